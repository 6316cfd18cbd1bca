/* unwind_table_sig.c - looking up. */
#include "unwind_table.h"

#include <stdbool.h>

const sonde_prof__rule *sonde_prof__table_find(const sonde_prof__table *t, uint64_t pc)
{
    uint64_t offset = pc - t->text_lo;
    uint32_t page = (uint32_t)(offset >> 16), first, last;

    if (pc < t->text_lo || pc >= t->text_hi || page >= t->pages_len)
        return NULL;
    /* The row sought is the last one at or below: perhaps the last of an earlier page. */
    first = t->page[page];
    last = t->page[page + 1];
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;

        if (t->rows[middle].lo <= (uint16_t)offset)
            first = middle + 1;
        else
            last = middle;
    }
    return first > 0 ? &t->rules[t->rows[first - 1].rule] : NULL;
}

size_t sonde_prof__table_bytes(const sonde_prof__table *t)
{
    return sizeof(*t) + (t->pages_len + 1) * sizeof(*t->page) + t->rules_len * sizeof(*t->rules) +
           t->rows_len * sizeof(*t->rows);
}
