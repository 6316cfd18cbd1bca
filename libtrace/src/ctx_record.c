/* ctx_record.c - the records' memory, and what is written once per thread or trace. */
#include "ctx_record.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chars.h"
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

void sonde__ctx_record_put_trace(sonde_thread_ctx *r, const sonde__ctx_trace *trace)
{
    sonde__put_be64(r->trace_id, trace->id_high);
    sonde__put_be64(r->trace_id + 8, trace->id_low);
    r->local_root_id_host = trace->local_root_id;
    r->attrs[0] = LOCAL_ROOT_KEY;
    r->attrs[1] = 16;
    sonde__put_hex16(trace->local_root_id, (char *)r->attrs + 2);
    r->attrs_bytes = 18;
}
