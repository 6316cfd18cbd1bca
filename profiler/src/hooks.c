/* hooks.c - records in a table of addresses that only grows; the libraries that were told of us in a short list. */
#include "hooks.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/elf_image.h"
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

/* -- finding it ------------------------------------------------------------------------------------- */

/* In one object, by its own tables.  dlopen(RTLD_NOLOAD) would find them, too; but when the process is ending it runs the
 * constructors of what has ended already.  And dlsym() makes a text of what it does not find, by the program's malloc(): where
 * that has no memory left, one or the other does not survive a new thread's asking. */
typedef struct publisher {
    uint64_t bias;   /* which it is */
    uint64_t tracer; /* 0: not in it */
    bool has_foreign;
} publisher;

static int each_object(struct dl_phdr_info *info, size_t size, void *user)
{
    publisher *p = user;
    sonde_elf_image e;

    (void)size;
    if (info->dlpi_addr != p->bias)
        return 0;
    if (sonde_elf_open_loaded(&e, info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr)) {
        p->tracer = sonde_elf_function(&e, TRACER_NAME);
        p->has_foreign = sonde_elf_defines(&e, FOREIGN_TLS);
    }
    return 1;
}

/* libtrace defines the name of the foreign variable too, and its records are told to us. */
static bool tell_found(void *tracer, bool has_foreign)
{
    union {
        void *object;
        started_fn *function;
    } found = { tracer };
    bool is_told = found.function && tell(found.function);

    if (atomic_load_explicit(&told[0], memory_order_relaxed) != NULL)
        atomic_store_explicit(&foreign_there, false, memory_order_relaxed);
    else if (has_foreign)
        atomic_store_explicit(&foreign_there, true, memory_order_relaxed);
    return is_told;
}

bool sonde_prof__hooks_announce(void)
{
    return tell_found(dlsym(RTLD_DEFAULT, TRACER_NAME), dlsym(RTLD_DEFAULT, FOREIGN_TLS) != NULL);
}

bool sonde_prof__hooks_announce_in(uint64_t bias)
{
    publisher p = { .bias = bias };

    (void)dl_iterate_phdr(each_object, &p);
    return tell_found((void *)(uintptr_t)p.tracer, p.has_foreign);
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
