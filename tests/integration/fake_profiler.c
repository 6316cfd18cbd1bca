/* fake_profiler.c - see fake_profiler.h. */
#include "fake_profiler.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/thread_ctx.h"
#include "sonde/profiler_hooks.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT sonde_prof_set_context_record_fn sonde_prof_set_context_record;
EXPORT sonde_prof_endpoint_fn sonde_prof_endpoint;
EXPORT __typeof__(fake_prof_attach) fake_prof_attach, fake_prof_detach;
EXPORT __typeof__(fake_prof_knows) fake_prof_knows;
EXPORT __typeof__(fake_prof_calls) fake_prof_calls, fake_prof_reports;
EXPORT __typeof__(fake_prof_add) fake_prof_add;
EXPORT __typeof__(fake_prof_report_at) fake_prof_report_at;

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static sonde_thread_ctx *records[FAKE_PROF_MAX]; /* guarded by mu, as all below */
static uint32_t records_len;
static uint32_t calls;
static fake_prof_report reports[FAKE_PROF_MAX];
static uint32_t reports_len;

void sonde_prof_set_context_record(sonde_thread_ctx *record)
{
    uint32_t i;

    (void)pthread_mutex_lock(&mu);
    calls++;
    for (i = 0; i < records_len && records[i] != record; i++)
        ;
    if (i == FAKE_PROF_MAX)
        abort();
    records[i] = record;
    if (i == records_len)
        records_len++;
    (void)pthread_mutex_unlock(&mu);
}

static void copy(char *to, size_t room, sonde_str from)
{
    size_t len = from.len < room ? from.len : room - 1;

    memset(to, 0, room);
    memcpy(to, from.len > 0 ? from.ptr : "", len);
}

void sonde_prof_endpoint(uint64_t local_root_id, sonde_str resource, sonde_str type,
                         uint32_t finished)
{
    fake_prof_report *r;

    (void)pthread_mutex_lock(&mu);
    if (reports_len == FAKE_PROF_MAX)
        abort();
    r = &reports[reports_len++];
    r->root_id = local_root_id;
    r->finished = finished;
    copy(r->resource, sizeof(r->resource), resource);
    copy(r->type, sizeof(r->type), type);
    (void)pthread_mutex_unlock(&mu);
}

static bool tell(const char *library, const sonde_profiler_hooks *hooks)
{
    void (*started)(const sonde_profiler_hooks *hooks);
    void *handle = library ? dlopen(library, RTLD_NOLOAD | RTLD_LAZY) : RTLD_DEFAULT;
    void *found = library && !handle ? NULL : dlsym(handle, "sonde_trace_profiler_started");

    if (!found)
        return false;
    memcpy(&started, &found, sizeof(started)); /* ISO C has no other way */
    started(hooks);
    return true;
}

bool fake_prof_attach(const char *library)
{
    static const sonde_profiler_hooks hooks = { sizeof(hooks), sonde_prof_set_context_record,
                                                sonde_prof_endpoint };

    return tell(library, &hooks);
}

bool fake_prof_detach(const char *library)
{
    return tell(library, NULL);
}

static sonde_thread_ctx *record_of(uint32_t tid)
{
    sonde_thread_ctx *found = NULL;
    uint32_t i;

    (void)pthread_mutex_lock(&mu);
    for (i = 0; i < records_len; i++)
        if (atomic_load(&records[i]->tid) == tid)
            found = records[i];
    (void)pthread_mutex_unlock(&mu);
    return found;
}

bool fake_prof_knows(uint32_t tid)
{
    return record_of(tid) != NULL;
}

uint32_t fake_prof_calls(void)
{
    uint32_t n;

    (void)pthread_mutex_lock(&mu);
    n = calls;
    (void)pthread_mutex_unlock(&mu);
    return n;
}

bool fake_prof_add(uint64_t cpu_ns, uint64_t alloc_bytes, uint64_t lock_wait_ns)
{
    sonde_thread_ctx *r = record_of((uint32_t)syscall(SYS_gettid));

    if (!r)
        return false;
    atomic_fetch_add_explicit(&r->cpu_ns, cpu_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->alloc_bytes, alloc_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->lock_wait_ns, lock_wait_ns, memory_order_relaxed);
    return true;
}

uint32_t fake_prof_reports(void)
{
    uint32_t n;

    (void)pthread_mutex_lock(&mu);
    n = reports_len;
    (void)pthread_mutex_unlock(&mu);
    return n;
}

fake_prof_report fake_prof_report_at(uint32_t i)
{
    fake_prof_report r;

    (void)pthread_mutex_lock(&mu);
    r = reports[i];
    (void)pthread_mutex_unlock(&mu);
    return r;
}
