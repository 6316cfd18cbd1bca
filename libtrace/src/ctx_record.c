/* ctx_record.c - what is written once per thread or trace. */
#include "ctx_record.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "chars.h"
#include "ctx_tls.h"

#define LOCAL_ROOT_KEY 0 /* index of datadog.local_root_span_id in the key table */

void sonde__ctx_record_set_tid(sonde_thread_ctx *r)
{
    atomic_store_explicit(&r->tid, (uint32_t)syscall(SYS_gettid), memory_order_release);
}

bool sonde__ctx_record_publish(sonde_thread_ctx *r)
{
    void **pointer = sonde__ctx_tls();

    if (*pointer != NULL && *pointer != r)
        return false;
    *pointer = r;
    return true;
}

void sonde__ctx_record_unpublish(const sonde_thread_ctx *r)
{
    void **pointer = sonde__ctx_tls();

    if (*pointer == r)
        *pointer = NULL;
}

void sonde__ctx_record_retract(sonde_thread_ctx *r)
{
    sonde__ctx_record_hide(r);
    atomic_store_explicit(&r->tid, 0, memory_order_release);
    sonde__ctx_record_unpublish(r);
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
