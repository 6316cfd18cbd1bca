/* span_cost.c - from the record's counters to tags. */
#include "span_cost.h"

#include <string.h>

#include "span.h"
#include "watch.h"

static const sonde_str keys[SONDE__COSTS_LEN] = {
    { "sonde.cpu_ns", 12 },
    { "sonde.alloc_bytes", 17 },
    { "sonde.lock_wait_ns", 18 },
};

static inline uint64_t counter(const sonde_thread_ctx *r, unsigned i)
{
    const _Atomic uint64_t *const all[SONDE__COSTS_LEN] = { &r->cpu_ns, &r->alloc_bytes,
                                                            &r->lock_wait_ns };

    return atomic_load_explicit(all[i], memory_order_relaxed);
}

/* The profiler's present life, 0: none. */
static inline uint32_t life(void)
{
    return sonde__watched() & SONDE__WATCH_COSTS;
}

static inline bool is_counted(const sonde__span *span)
{
    return life() != 0 && (span->flags & SONDE__SPAN_COSTED) == life();
}

void sonde__cost_begins(sonde__area *a)
{
    unsigned i;

    for (i = 0; a->record && i < SONDE__COSTS_LEN; i++)
        a->cost_seen[i] = counter(a->record, i);
}

void sonde__cost_settle(sonde__area *a)
{
    sonde__place *top = sonde__area_top(a);
    unsigned i;

    for (i = 0; a->record && i < SONDE__COSTS_LEN; i++) {
        uint64_t now = counter(a->record, i);

        if (top && (top->costed & SONDE__COSTS_COUNTED))
            top->cost[i] += now - a->cost_seen[i];
        a->cost_seen[i] = now;
    }
}

void sonde__cost_enters(sonde__place *p)
{
    p->costed = SONDE__COSTS_SEEN;
    if (is_counted(p->span))
        p->costed |= SONDE__COSTS_COUNTED;
    memset(p->cost, 0, sizeof(p->cost));
}

/* The value of the span's last record of the key, to be changed in place; NULL: it has none. */
static uint8_t *find(const sonde__span *span, sonde_str key)
{
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde__record r;
    uint8_t *found = NULL;

    while (sonde__text_next(&c, &r))
        if (r.kind == SONDE__TEXT_NUMBER && r.rest == 0 && sonde_str_eq(sonde__record_key(&r), key))
            found = (uint8_t *)(uintptr_t)r.value;
    return found;
}

static void add(sonde__area *a, sonde__span *span, sonde_str key, uint64_t value)
{
    uint8_t *at = find(span, key);
    double sum = (double)value;
    double was;

    if (at) {
        memcpy(&was, at, sizeof(was));
        sum += was;
        memcpy(at, &sum, sizeof(sum));
    } else if (sonde__text_add(&span->text, &a->cells, SONDE__TEXT_NUMBER, key,
                               (sonde_str){ (const char *)&sum, sizeof(sum) })) {
        span->text.count++;
    } else {
        sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, 1);
    }
}

void sonde__cost_leaves(sonde__area *a, const sonde__place *p)
{
    unsigned i;

    for (i = 0; (p->costed & SONDE__COSTS_COUNTED) && i < SONDE__COSTS_LEN; i++)
        if (p->cost[i] > 0)
            add(a, p->span, keys[i], p->cost[i]);
}

/* What it has is of a profiler that has gone. */
static void take_away(sonde__area *a, sonde__span *span)
{
    sonde_str none = { NULL, 0 };
    unsigned i;

    for (i = 0; i < SONDE__COSTS_LEN; i++)
        if (find(span, keys[i]) &&
            sonde__text_add(&span->text, &a->cells, SONDE__TEXT_GONE, keys[i], none))
            span->text.count++;
}

void sonde__cost_finishes(sonde__area *a, sonde__span *span)
{
    uint64_t token = sonde__cell_token(span);
    uint32_t i;

    if (!is_counted(span)) {
        take_away(a, span);
        return;
    }
    if (span->active == 0)
        return;
    sonde__cost_settle(a);
    for (i = 0; i < a->depth; i++) {
        sonde__place *p = &a->places[i];

        if (p->token != token || p->holds)
            continue;
        sonde__cost_leaves(a, p);
        p->costed = SONDE__COSTS_SEEN;
    }
}
