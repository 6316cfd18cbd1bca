/* ctx_record.c - the writer's side of the thread context protocol.
 *
 *   seq odd, valid 0 | fields | valid 1, seq even
 *
 * A signal handler on this thread needs only that the compiler keeps the order; the release fences are
 * for our profiler's thread, which reads other threads' records and checks `seq` on both sides. */
#include "ctx_record.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hex.h"
#include "ctx_tls.h"

#define LOCAL_ROOT_KEY 0 /* index of datadog.local_root_span_id in the key table */

static _Atomic(sonde_thread_ctx *) records;

sonde_thread_ctx *sonde__ctx_record_at(uint32_t i)
{
    sonde_thread_ctx *base = atomic_load_explicit(&records, memory_order_acquire);

    if (i >= SONDE__CTX_RECORDS_MAX)
        return NULL;
    if (!base) { /* the caller holds the mutex of the areas */
        void *map = mmap(NULL, SONDE__CTX_RECORDS_MAX * sizeof(*base), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (map == MAP_FAILED)
            return NULL;
        base = (sonde_thread_ctx *)map;
        atomic_store_explicit(&records, base, memory_order_release);
    }
    base[i].tail_version = SONDE_THREAD_CTX_TAIL_VERSION;
    return &base[i];
}

void sonde__ctx_record_set_tid(sonde_thread_ctx *r)
{
    atomic_store_explicit(&r->tid, (uint32_t)syscall(SYS_gettid), memory_order_release);
}

bool sonde__ctx_record_publish(sonde_thread_ctx *r)
{
    void **pointer = sonde__ctx_tls();

    sonde__ctx_record_set_tid(r);
    if (*pointer != NULL && *pointer != r)
        return false;
    *pointer = r;
    return true;
}

void sonde__ctx_record_retract(sonde_thread_ctx *r)
{
    void **pointer = sonde__ctx_tls();

    sonde__ctx_record_hide(r);
    atomic_store_explicit(&r->tid, 0, memory_order_release);
    if (*pointer == r)
        *pointer = NULL;
}

static inline void begin_write(sonde_thread_ctx *r)
{
    uint32_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed);

    atomic_store_explicit(&r->seq, seq + 1, memory_order_relaxed);
    atomic_store_explicit(&r->valid, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void end_write(sonde_thread_ctx *r, uint8_t valid)
{
    uint32_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed);

    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&r->valid, valid, memory_order_relaxed);
    atomic_store_explicit(&r->seq, seq + 1, memory_order_release);
}

static inline void put_be64(uint8_t *to, uint64_t v)
{
    int i;

    for (i = 0; i < 8; i++) /* compilers make one instruction of it */
        to[i] = (uint8_t)(v >> (56 - 8 * i));
}

void sonde__ctx_record_show(sonde_thread_ctx *r, const sonde__ctx_ids *ids, bool same_trace)
{
    begin_write(r);
    put_be64(r->span_id, ids->span_id);
    r->span_id_host = ids->span_id;
    r->trace_flags = ids->flags;
    if (!same_trace) {
        put_be64(r->trace_id, ids->trace_id_high);
        put_be64(r->trace_id + 8, ids->trace_id_low);
        r->local_root_id_host = ids->local_root_id;
        r->attrs[0] = LOCAL_ROOT_KEY;
        r->attrs[1] = 16;
        sonde_hex_u64(ids->local_root_id, (char *)r->attrs + 2);
        r->attrs_bytes = 18;
    }
    end_write(r, 1);
}

void sonde__ctx_record_hide(sonde_thread_ctx *r)
{
    begin_write(r);
    r->span_id_host = 0;
    end_write(r, 0);
}
