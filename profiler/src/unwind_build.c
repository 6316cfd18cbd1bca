/* unwind_build.c - FDEs in the order of their code, rules each once, rows, pages.
 *
 * Code without an FDE gets the frame-pointer rule, except for gaps up to GAP_MAX bytes: padding between
 * functions, where the last rule runs on. */
#include "unwind_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#define GAP_MAX       15
#define RULES_MAX     65535u
#define TEXT_MAX      (UINT64_C(1) << 32)
#define FDES_MAX      (1u << 24)
#define RULE_SLOTS    1024u /* at first */
#define RULE_FALLBACK 0u

static const sonde_prof__rule fallback = { 0, 0, SONDE_PROF__CFA_FALLBACK, SONDE_PROF__AUX_SAME,
                                           0, 0 };
static const sonde_prof__rule invalid = {
    0, 0, SONDE_PROF__CFA_INVALID, SONDE_PROF__AUX_UNDEF, 0, 0
};
static const sonde_prof__rule signal_frame = { 0, 0, SONDE_PROF__CFA_SIGNAL, SONDE_PROF__AUX_UNDEF,
                                               0, 0 };

/* A row while building. */
typedef struct mark {
    uint32_t offset;
    uint16_t rule;
} mark;

typedef struct builder {
    sonde_prof__object object;
    mark *marks;
    uint32_t marks_len, marks_cap;
    sonde_prof__rule *rules;
    uint32_t rules_len, rules_cap;
    uint32_t *slots; /* index + 1 of a rule */
    uint32_t slots_len;
    uint32_t flags;
    bool no_memory;
} builder;

/* -- rules ------------------------------------------------------------------------------------------ */

static bool grow(void **list, uint32_t *cap, uint32_t first, size_t item)
{
    uint32_t more = *cap ? *cap * 2 : first;
    void *grown = sonde_realloc(*list, more * item);

    if (!grown)
        return false;
    *list = grown;
    *cap = more;
    return true;
}

static uint32_t slot_of(const builder *b, const sonde_prof__rule *rule)
{
    uint32_t at = (uint32_t)sonde_hash(0, rule, sizeof(*rule)) & (b->slots_len - 1);

    while (b->slots[at] && memcmp(&b->rules[b->slots[at] - 1], rule, sizeof(*rule)) != 0)
        at = (at + 1) & (b->slots_len - 1);
    return at;
}

static bool more_slots(builder *b)
{
    uint32_t *slots, len = b->slots_len ? b->slots_len * 2 : RULE_SLOTS, i;

    slots = sonde_calloc(len, sizeof(*slots));
    if (!slots)
        return false;
    sonde_free(b->slots);
    b->slots = slots;
    b->slots_len = len;
    for (i = 0; i < b->rules_len; i++)
        b->slots[slot_of(b, &b->rules[i])] = i + 1;
    return true;
}

static uint16_t rule_number(builder *b, const sonde_prof__rule *rule)
{
    uint32_t at;

    if (b->rules_len * 2 >= b->slots_len && !more_slots(b)) {
        b->no_memory = true;
        return RULE_FALLBACK;
    }
    at = slot_of(b, rule);
    if (b->slots[at])
        return (uint16_t)(b->slots[at] - 1);
    if (b->rules_len == RULES_MAX) {
        b->flags |= SONDE_PROF__RULES_FULL;
        return RULE_FALLBACK;
    }
    if (b->rules_len == b->rules_cap &&
        !grow((void **)&b->rules, &b->rules_cap, 256, sizeof(*b->rules))) {
        b->no_memory = true;
        return RULE_FALLBACK;
    }
    b->rules[b->rules_len++] = *rule;
    b->slots[at] = b->rules_len;
    return (uint16_t)(b->rules_len - 1);
}

/* -- rows ------------------------------------------------------------------------------------------- */

/* From `pc` on; takes back what was said of it and later before. */
static bool mark_at(builder *b, uint64_t pc, const sonde_prof__rule *rule)
{
    uint32_t offset = (uint32_t)(pc - b->object.text_lo);
    uint16_t number = rule_number(b, rule);

    while (b->marks_len > 0 && b->marks[b->marks_len - 1].offset >= offset)
        b->marks_len--;
    if (b->marks_len > 0 && b->marks[b->marks_len - 1].rule == number)
        return true;
    if (b->marks_len == b->marks_cap &&
        !grow((void **)&b->marks, &b->marks_cap, 1024, sizeof(*b->marks)))
        b->no_memory = true;
    if (!b->no_memory)
        b->marks[b->marks_len++] = (mark){ offset, number };
    return !b->no_memory;
}

static bool take_rule(void *user, uint64_t pc, const sonde_prof__rule *rule)
{
    return mark_at(user, pc, rule);
}

static bool is_inside(const builder *b, const sonde_prof__fde *fde)
{
    return fde->lo >= b->object.text_lo && fde->hi <= b->object.text_hi;
}

static void add_fde(builder *b, const sonde_prof__fde *fde)
{
    uint32_t before = b->marks_len;

    if (fde->is_signal) {
        /* The walk looks up the byte before a return address, and this one was never called. */
        (void)mark_at(b, fde->lo > b->object.text_lo ? fde->lo - 1 : fde->lo, &signal_frame);
    } else if (!sonde_prof__fde_run(fde, b->object.arch, take_rule, b)) {
        if (b->marks_len > before)
            b->marks_len = before;
        b->flags |= SONDE_PROF__FDES_BAD;
        (void)mark_at(b, fde->lo, &invalid);
    }
}

/* -- FDEs ------------------------------------------------------------------------------------------- */

typedef struct fde_list {
    sonde_prof__fde *items;
    uint32_t len, cap;
} fde_list;

static bool keep_fde(builder *b, fde_list *list, uint64_t addr)
{
    sonde_prof__fde fde;

    if (!sonde_prof__fde_read(&b->object.eh_frame, addr, &fde) || !is_inside(b, &fde)) {
        b->flags |= SONDE_PROF__FDES_BAD;
        return true;
    }
    if (list->len == list->cap &&
        !grow((void **)&list->items, &list->cap, 256, sizeof(*list->items))) {
        b->no_memory = true;
        return false;
    }
    list->items[list->len++] = fde;
    return true;
}

typedef struct header {
    sonde_prof__cursor c; /* at the table */
    uint64_t eh_frame;
    uint64_t count; /* of its rows; 0: no table */
    uint8_t encoding;
} header;

static bool read_header(const sonde_prof__image *hdr, header *out)
{
    sonde_prof__cursor c = { hdr->bytes, hdr->bytes + hdr->len, false };
    uint64_t version = sonde_prof__take(&c, 1);
    uint8_t frame = (uint8_t)sonde_prof__take(&c, 1), count = (uint8_t)sonde_prof__take(&c, 1);

    *out = (header){ .encoding = (uint8_t)sonde_prof__take(&c, 1) };
    if (c.bad || version != 1 || frame == SONDE_PROF__PE_OMIT)
        return false;
    out->eh_frame = sonde_prof__take_pointer(&c, hdr, frame, hdr->addr);
    if (count != SONDE_PROF__PE_OMIT && out->encoding != SONDE_PROF__PE_OMIT)
        out->count = sonde_prof__take_pointer(&c, hdr, count, hdr->addr);
    out->c = c;
    return !c.bad;
}

uint64_t sonde_prof__eh_frame_addr(const sonde_prof__image *hdr)
{
    header h;

    return hdr->len && read_header(hdr, &h) ? h.eh_frame : 0;
}

static void list_by_table(builder *b, header *h, fde_list *list)
{
    const sonde_prof__image *hdr = &b->object.hdr;
    uint64_t addr;

    while (h->count-- > 0 && !h->c.bad) {
        (void)sonde_prof__take_pointer(&h->c, hdr, h->encoding, hdr->addr); /* its first pc */
        addr = sonde_prof__take_pointer(&h->c, hdr, h->encoding, hdr->addr);
        if (!h->c.bad && (list->len == FDES_MAX || !keep_fde(b, list, addr)))
            return;
    }
}

/* Entry by entry, up to the empty one. */
static void list_by_walk(builder *b, fde_list *list)
{
    const sonde_prof__image *image = &b->object.eh_frame;
    sonde_prof__cursor c = { image->bytes, image->bytes + image->len, false };
    uint64_t addr, len, id;

    while (c.at < c.end && list->len < FDES_MAX) {
        const uint8_t *content;

        addr = image->addr + (uint64_t)(c.at - image->bytes);
        len = sonde_prof__take(&c, 4);
        if (len == 0xffffffff)
            len = sonde_prof__take(&c, 8);
        content = c.at;
        id = sonde_prof__take(&c, 4);
        if (c.bad || len < 4 || len > (uint64_t)(c.end - content))
            return;
        if (id != 0 && !keep_fde(b, list, addr))
            return;
        c.at = content + len;
    }
}

static int by_pc(const void *x, const void *y)
{
    const sonde_prof__fde *a = x, *b = y;

    return (a->lo > b->lo) - (a->lo < b->lo);
}

static void add_all(builder *b, const fde_list *list)
{
    uint64_t end = b->object.text_lo;
    uint32_t i;

    (void)mark_at(b, b->object.text_lo, &fallback);
    for (i = 0; i < list->len && !b->no_memory; i++) {
        const sonde_prof__fde *fde = &list->items[i];

        if (i > 0 && fde->lo > end && fde->lo - end > GAP_MAX)
            (void)mark_at(b, end, &fallback);
        if (fde->hi <= end)
            continue; /* inside the one before */
        add_fde(b, fde);
        end = fde->hi;
    }
    if (end < b->object.text_hi && !b->no_memory)
        (void)mark_at(b, end, &fallback);
}

/* From the first instruction any of them is about to the last. */
static void span(builder *b, const fde_list *list)
{
    uint32_t i;

    b->object.text_lo = UINT64_MAX;
    b->object.text_hi = 0;
    for (i = 0; i < list->len; i++) {
        if (list->items[i].lo < b->object.text_lo)
            b->object.text_lo = list->items[i].lo;
        if (list->items[i].hi > b->object.text_hi)
            b->object.text_hi = list->items[i].hi;
    }
}

/* -- the table -------------------------------------------------------------------------------------- */

/* All in one block: the table, its pages, its rules, its rows. */
static sonde_prof__table *finish(const builder *b)
{
    const sonde_prof__object *o = &b->object;
    uint32_t pages = (uint32_t)((o->text_hi - o->text_lo + 0xffff) >> 16), i, page = 0;
    size_t bytes = sizeof(sonde_prof__table) + (pages + 1) * sizeof(uint32_t) +
                   b->rules_len * sizeof(sonde_prof__rule) + b->marks_len * sizeof(sonde_prof__row);
    sonde_prof__table *t = sonde_malloc(bytes);
    sonde_prof__rule *rules;
    sonde_prof__row *rows;
    uint32_t *first;

    if (!t)
        return NULL;
    first = (uint32_t *)(t + 1);
    rules = (sonde_prof__rule *)(first + pages + 1);
    rows = (sonde_prof__row *)(rules + b->rules_len);
    memcpy(rules, b->rules, b->rules_len * sizeof(*rules));
    for (i = 0; i < b->marks_len; i++) {
        while (page <= b->marks[i].offset >> 16)
            first[page++] = i;
        rows[i] = (sonde_prof__row){ (uint16_t)b->marks[i].offset, b->marks[i].rule };
    }
    while (page <= pages)
        first[page++] = b->marks_len;
    *t = (sonde_prof__table){ o->text_lo, o->text_hi, b->marks_len, b->rules_len, pages,
                              b->flags,   first,      rules,        rows };
    return t;
}

static sonde_status build(builder *b, sonde_prof__table **out_table)
{
    fde_list list = { NULL, 0, 0 };
    header h;

    (void)rule_number(b, &fallback); /* RULE_FALLBACK */
    if (b->object.hdr.len && read_header(&b->object.hdr, &h) && h.count > 0)
        list_by_table(b, &h, &list);
    else
        list_by_walk(b, &list);
    if (list.len == 0 && !b->no_memory) {
        sonde_free(list.items);
        return SONDE_ERR_NOT_FOUND;
    }
    if (list.len > 0 && b->object.text_hi == UINT64_MAX)
        span(b, &list);
    if (b->object.text_hi - b->object.text_lo >= TEXT_MAX) {
        sonde_free(list.items);
        return b->no_memory ? SONDE_ERR_NOMEM : SONDE_ERR_TOO_BIG;
    }
    if (list.len > 0)
        qsort(list.items, list.len, sizeof(*list.items), by_pc);
    add_all(b, &list);
    sonde_free(list.items);
    if (!b->no_memory)
        *out_table = finish(b);
    return !b->no_memory && *out_table ? SONDE_OK : SONDE_ERR_NOMEM;
}

sonde_status sonde_prof__table_build(const sonde_prof__object *object,
                                     sonde_prof__table **out_table)
{
    builder b = { .object = *object };
    sonde_status status;

    *out_table = NULL;
    if (object->text_hi == 0)
        b.object.text_hi = UINT64_MAX; /* see span() */
    else if (object->text_hi <= object->text_lo || object->text_hi - object->text_lo >= TEXT_MAX)
        return SONDE_ERR_TOO_BIG;
    status = build(&b, out_table);
    sonde_free(b.marks);
    sonde_free(b.rules);
    sonde_free(b.slots);
    return status;
}

void sonde_prof__table_free(sonde_prof__table *t)
{
    sonde_free(t);
}
