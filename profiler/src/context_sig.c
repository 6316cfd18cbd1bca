/* context_sig.c - from the record in memory to ids. */
#include "context.h"

#include <stdbool.h>

#include "base/thread_ctx.h"

#define ROOT_DIGITS 16u

_Atomic int sonde_prof__local_root_key = -1;

static uint64_t big_endian(const uint8_t bytes[8])
{
    uint64_t value = 0;
    int i;

    for (i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void copy_ours(const sonde_thread_ctx *record, sonde_prof__context *out)
{
    out->trace_hi = big_endian(record->trace_id);
    out->trace_lo = big_endian(record->trace_id + 8);
    out->span_id = record->span_id_host;
    out->local_root_id = record->local_root_id_host;
}

static bool digit(uint8_t c, uint64_t *out)
{
    if (c >= '0' && c <= '9')
        *out = c - '0';
    else if (c >= 'a' && c <= 'f')
        *out = c - 'a' + 10u;
    else
        return false;
    return true;
}

static uint64_t hex(const uint8_t *text)
{
    uint64_t value = 0, d;
    uint32_t i;

    for (i = 0; i < ROOT_DIGITS; i++) {
        if (!digit(text[i], &d))
            return 0;
        value = value << 4 | d;
    }
    return value;
}

/* The last attribute of that key counts; one that runs past the end ends the list. */
static uint64_t foreign_root(const sonde_thread_ctx *record)
{
    int key = atomic_load_explicit(&sonde_prof__local_root_key, memory_order_relaxed);
    uint32_t len = record->attrs_bytes, at = 0;
    uint64_t root = 0;

    if (len > SONDE_THREAD_CTX_ATTRS_MAX)
        return 0;
    while (at + 2 <= len && record->attrs[at + 1] <= len - at - 2) {
        if (record->attrs[at] == key)
            root = record->attrs[at + 1] == ROOT_DIGITS ? hex(record->attrs + at + 2) : 0;
        at += 2u + record->attrs[at + 1];
    }
    return root;
}

/* Of the record's first 640 bytes, on the publisher's own thread. */
static void read_foreign(void *_Atomic *variable, sonde_prof__context *out)
{
    const sonde_thread_ctx *record = atomic_load_explicit(variable, memory_order_relaxed);

    atomic_signal_fence(memory_order_acquire);
    if (!record || atomic_load_explicit(&record->valid, memory_order_relaxed) != 1)
        return;
    out->trace_hi = big_endian(record->trace_id);
    out->trace_lo = big_endian(record->trace_id + 8);
    out->span_id = big_endian(record->span_id);
    out->local_root_id = foreign_root(record);
}

static sonde_thread_ctx *record_of(const sonde_prof__slot *slot)
{
    sonde_thread_ctx *record = atomic_load_explicit(&slot->record, memory_order_acquire);

    return record && atomic_load_explicit(&record->tid, memory_order_relaxed) ==
                         atomic_load_explicit(&slot->tid, memory_order_relaxed)
               ? record
               : NULL;
}

void sonde_prof__context_read(const sonde_prof__slot *slot, sonde_prof__context *out)
{
    const sonde_thread_ctx *record = record_of(slot);

    *out = (sonde_prof__context){ 0, 0, 0, 0 };
    if (record && atomic_load_explicit(&record->valid, memory_order_relaxed) == 1) {
        atomic_signal_fence(memory_order_acquire);
        copy_ours(record, out);
    } else if (!record && slot->foreign) {
        read_foreign(slot->foreign, out);
    }
}

/* As a sequence lock: two tries. */
__attribute__((no_sanitize("thread"))) void
sonde_prof__context_read_remote(const sonde_prof__slot *slot, sonde_prof__context *out)
{
    const sonde_thread_ctx *record = record_of(slot);
    uint32_t seq;
    int i;

    for (i = 0; record && i < 2; i++) {
        seq = atomic_load_explicit(&record->seq, memory_order_acquire);
        if (atomic_load_explicit(&record->valid, memory_order_relaxed) != 1)
            break;
        copy_ours(record, out);
        atomic_thread_fence(memory_order_acquire);
        if (seq % 2 == 0 && seq == atomic_load_explicit(&record->seq, memory_order_relaxed) &&
            record == record_of(slot))
            return;
    }
    *out = (sonde_prof__context){ 0, 0, 0, 0 };
}

bool sonde_prof__context_is_active(const sonde_prof__slot *slot)
{
    const sonde_thread_ctx *record = record_of(slot);

    return record && atomic_load_explicit(&record->valid, memory_order_relaxed) == 1;
}

void sonde_prof__context_add(const sonde_prof__slot *slot, sonde_prof__cost cost, uint64_t amount)
{
    sonde_thread_ctx *record = record_of(slot);

    if (!record)
        return;
    switch (cost) {
    case SONDE_PROF__COST_CPU_NS:
        atomic_fetch_add_explicit(&record->cpu_ns, amount, memory_order_relaxed);
        break;
    case SONDE_PROF__COST_ALLOC_BYTES:
        atomic_fetch_add_explicit(&record->alloc_bytes, amount, memory_order_relaxed);
        break;
    case SONDE_PROF__COST_LOCK_NS:
        atomic_fetch_add_explicit(&record->lock_wait_ns, amount, memory_order_relaxed);
        break;
    }
}
