/* first_trace.c - the first kept trace of each service says which installation it came through.
 *
 * Seen services are a table of hashes that only grows: a place is taken once, without a lock.
 *
 * Bounds   FIRST_TRACE_SERVICES services; of what comes later no trace is marked. */
#include "first_trace.h"

#include "base/alloc.h"
#include "base/digest.h"

#define SLOTS (2 * FIRST_TRACE_SERVICES)

struct first_traces {
    uint64_t seed;
    sonde_str id, type, time; /* borrowed */
    _Atomic uint32_t services;
    _Atomic uint64_t unmarked; /* traces of services that found the table full */
    _Atomic uint64_t slots[SLOTS];
};

sonde_status first_traces_open(const agent_config *c, uint64_t seed, first_traces **out)
{
    first_traces *f;

    *out = NULL;
    if (!c || c->proxy.install_id.len == 0)
        return SONDE_OK;
    f = sonde_calloc(1, sizeof(*f));
    if (!f)
        return SONDE_ERR_NOMEM;
    f->seed = seed;
    f->id = c->proxy.install_id;
    f->type = c->proxy.install_type;
    f->time = c->proxy.install_time;
    *out = f;
    return SONDE_OK;
}

void first_traces_close(first_traces *f)
{
    sonde_free(f);
}

/* Whether this one is new; it is not when there is no room for it. */
static bool add(first_traces *f, sonde_str service)
{
    uint64_t hash = sonde_hash(f->seed, service.ptr, service.len) | 1;
    uint64_t at = hash / 2 % SLOTS;
    uint64_t there = atomic_load_explicit(&f->slots[at], memory_order_relaxed);

    while (there != hash) {
        if (there != 0) {
            at = (at + 1) % SLOTS;
            there = atomic_load_explicit(&f->slots[at], memory_order_relaxed);
            continue;
        }
        if (atomic_fetch_add_explicit(&f->services, 1, memory_order_relaxed) >=
            FIRST_TRACE_SERVICES) {
            (void)atomic_fetch_sub_explicit(&f->services, 1, memory_order_relaxed);
            (void)atomic_fetch_add_explicit(&f->unmarked, 1, memory_order_relaxed);
            return false;
        }
        if (atomic_compare_exchange_strong_explicit(&f->slots[at], &there, hash,
                                                    memory_order_relaxed, memory_order_relaxed))
            return true;
        (void)atomic_fetch_sub_explicit(&f->services, 1, memory_order_relaxed);
    }
    return false;
}

/* Without memory for it the trace goes as it is. */
static void put(payload *p, payload_span *root, sonde_str key, sonde_str value)
{
    if (value.len && !span_meta_get(root, key))
        (void)!span_meta_set(root, &p->arena, key, value);
}

void first_traces_mark(first_traces *f, payload *p)
{
    for (uint32_t i = 0; f && i < p->chunks_len; i++) {
        payload_chunk *chunk = &p->chunks[i];
        payload_span *root = &chunk->spans[chunk->root];

        if (chunk->dropped_trace || !add(f, root->service))
            continue;
        put(p, root, SONDE_STR("_dd.install.id"), f->id);
        put(p, root, SONDE_STR("_dd.install.type"), f->type);
        put(p, root, SONDE_STR("_dd.install.time"), f->time);
    }
}

uint64_t first_traces_unmarked(const first_traces *f)
{
    return f ? atomic_load_explicit(&f->unmarked, memory_order_relaxed) : 0;
}
