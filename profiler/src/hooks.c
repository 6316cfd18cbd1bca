/* hooks.c - records in a table of addresses that only grows; the libraries that were told of us in a short list. */
#include "hooks.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/thread_ctx.h"

#include "context.h"
#include "counts.h"

#define RECORDS     16384u /* places; at most half are used */
#define RECORDS_MAX 8192u
#define TOLD_MAX    8u
#define TRACER_NAME "sonde_trace_profiler_started"
#define FOREIGN_TLS "otel_thread_ctx_v1"

typedef void started_fn(const sonde_profiler_hooks *hooks);

static _Atomic(sonde_thread_ctx *) records[RECORDS];
static _Atomic uint32_t records_len;
static _Atomic bool foreign_there; /* somebody but libtrace publishes */
static _Atomic(sonde_prof_endpoint_fn *) endpoint_sink;
static _Atomic(started_fn *) told[TOLD_MAX];

/* -- records ---------------------------------------------------------------------------------------- */

/* Into the table, once. */
static void remember(sonde_thread_ctx *record)
{
    uint32_t i = (uint32_t)((uintptr_t)record / sizeof(*record)) % RECORDS;
    sonde_thread_ctx *there = NULL;

    for (;; i = (i + 1) % RECORDS, there = NULL) {
        if (atomic_load_explicit(&records[i], memory_order_acquire) == record)
            return;
        if (atomic_load_explicit(&records[i], memory_order_relaxed) != NULL)
            continue;
        if (atomic_fetch_add_explicit(&records_len, 1, memory_order_relaxed) >= RECORDS_MAX) {
            atomic_fetch_sub_explicit(&records_len, 1, memory_order_relaxed);
            SONDE_PROF__COUNT(records_full);
            return;
        }
        if (atomic_compare_exchange_strong_explicit(&records[i], &there, record,
                                                    memory_order_release, memory_order_acquire) ||
            there == record)
            return;
        atomic_fetch_sub_explicit(&records_len, 1, memory_order_relaxed);
    }
}

/* Whose a record is stands in it; a slot that comes later looks for it. */
SONDE_API void sonde_prof_set_context_record(sonde_thread_ctx *record)
{
    uint32_t tid = atomic_load_explicit(&record->tid, memory_order_relaxed);
    sonde_prof__slot *slot;

    remember(record);
    if (tid == 0)
        return;
    slot = sonde_prof__slot_find(tid);
    if (slot)
        atomic_store_explicit(&slot->record, record, memory_order_release);
}

void sonde_prof__hooks_find_record(sonde_prof__slot *slot)
{
    uint32_t tid = atomic_load_explicit(&slot->tid, memory_order_relaxed), i;

    if (atomic_load_explicit(&records_len, memory_order_relaxed) == 0)
        return;
    for (i = 0; i < RECORDS; i++) {
        sonde_thread_ctx *record = atomic_load_explicit(&records[i], memory_order_acquire);

        if (record && atomic_load_explicit(&record->tid, memory_order_relaxed) == tid) {
            atomic_store_explicit(&slot->record, record, memory_order_release);
            return;
        }
    }
}

void *_Atomic *sonde_prof__hooks_foreign(void)
{
    return atomic_load_explicit(&foreign_there, memory_order_relaxed)
               ? dlsym(RTLD_DEFAULT, FOREIGN_TLS)
               : NULL;
}

void sonde_prof__hooks_set_local_root_key(int key)
{
    atomic_store_explicit(&sonde_prof__local_root_key, key, memory_order_relaxed);
}

/* -- endpoints -------------------------------------------------------------------------------------- */

void sonde_prof__hooks_set_endpoint_sink(sonde_prof_endpoint_fn *sink)
{
    atomic_store_explicit(&endpoint_sink, sink, memory_order_release);
}

SONDE_API void sonde_prof_endpoint(uint64_t local_root_id, sonde_str resource, sonde_str type,
                                   uint32_t finished)
{
    sonde_prof_endpoint_fn *sink = atomic_load_explicit(&endpoint_sink, memory_order_acquire);

    if (sink)
        sink(local_root_id, resource, type, finished);
}

/* -- telling libtrace ------------------------------------------------------------------------------- */

static bool tell(started_fn *started)
{
    static const sonde_profiler_hooks ours = { sizeof(ours), sonde_prof_set_context_record,
                                               sonde_prof_endpoint };
    started_fn *none;
    uint32_t i;

    for (i = 0; i < TOLD_MAX; i++) {
        none = NULL;
        if (atomic_compare_exchange_strong_explicit(&told[i], &none, started, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            started(&ours);
            return true;
        }
        if (none == started)
            return true;
    }
    return false;
}

/* libtrace defines the name too, and its records are told to us. */
static void look_for_foreign(void)
{
    atomic_store_explicit(&foreign_there,
                          atomic_load_explicit(&told[0], memory_order_relaxed) == NULL &&
                              dlsym(RTLD_DEFAULT, FOREIGN_TLS) != NULL,
                          memory_order_relaxed);
}

bool sonde_prof__hooks_announce(const char *library)
{
    bool is_told;

    void *handle = library ? dlopen(library, RTLD_NOLOAD | RTLD_LAZY) : RTLD_DEFAULT;
    union {
        void *object;
        started_fn *function;
    } found = { NULL };

    if (library && !handle)
        return false;
    found.object = dlsym(handle, TRACER_NAME);
    is_told = found.function && tell(found.function);
    if (library)
        (void)dlclose(handle);
    look_for_foreign();
    return is_told;
}

void sonde_prof__hooks_withdraw(void)
{
    uint32_t i;

    for (i = 0; i < TOLD_MAX; i++) {
        started_fn *started = atomic_exchange_explicit(&told[i], NULL, memory_order_relaxed);

        if (started)
            started(NULL);
    }
}
