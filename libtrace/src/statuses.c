/* statuses.c - one entry after the other: lists are short. */
#include "statuses.h"

#include <string.h>

#include "chars.h"

#define STATUS_MAX 999

static bool read_status(sonde_str text, uint64_t *out)
{
    text = sonde_str_trim(text);
    return text.len > 0 && sonde__decimal(text, out) && *out <= STATUS_MAX;
}

/* "418" or "500-599" taken off the front. */
static bool next(sonde_str *rest, uint64_t *out_low, uint64_t *out_high)
{
    sonde_str high = sonde_str_cut(rest, ',');
    bool is_range = high.len > 0 && memchr(high.ptr, '-', high.len) != NULL;

    if (!read_status(sonde_str_cut(&high, '-'), out_low))
        return false;
    *out_high = *out_low;
    return !is_range || (read_status(high, out_high) && *out_low <= *out_high);
}

bool sonde__statuses_valid(sonde_str list)
{
    uint64_t low, high;

    if (list.len == 0 || list.ptr[list.len - 1] == ',')
        return false;
    while (list.len > 0)
        if (!next(&list, &low, &high))
            return false;
    return true;
}

bool sonde__statuses_have(sonde_str list, uint32_t status)
{
    uint64_t low, high;

    while (list.len > 0 && next(&list, &low, &high))
        if (status >= low && status <= high)
            return true;
    return false;
}
