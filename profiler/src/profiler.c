/* profiler.c - start, stop, fork, exit: in which order its parts begin and end.
 *
 *   start   arena ▶ configuration ▶ drainer (objects first) ▶ crash reports ▶ samplers ▶ heap, waits ▶ slots, if we came late
 *           ▶ libtrace is told
 *   stop    libtrace is told ▶ waits, heap ▶ samplers ▶ drainer (last window)
 *   fork    before: names ▶ drainer ▶ endpoints ▶ samplers ▶ live heap ▶ arena; after: the other way round */
#include "profiler.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "net/look_ups.h"

#include "arena.h"
#include "attach.h"
#include "child.h"
#include "code.h"
#include "config.h"
#include "crash.h"
#include "drainer.h"
#include "endpoints.h"
#include "files.h"
#include "frames.h"
#include "guard.h"
#include "heap.h"
#include "hooks.h"
#include "late.h"
#include "lock.h"
#include "maps.h"
#include "sampler.h"
#include "samplers.h"
#include "waits.h"

#define STOP_NS         (2 * (uint64_t)SONDE_NS_PER_S)
#define ADDRESSES_MIN   ((rlim_t)256 << 20)
#define SETTLE_NS       (SONDE_NS_PER_MS)
#define SETTLE_TRIES    200u /* for handlers under way */
#define CHILD_THREAD_NS (50 * (uint64_t)SONDE_NS_PER_MS)

static sonde_prof__lock lock; /* of start and stop */
static sonde_prof__config *config;
static _Atomic int32_t running;
static _Atomic bool is_quiet; /* for crash reports alone: nothing is sampled or sent */
static bool prepared;
static bool stays_here; /* programs that are executed are not followed */
_Atomic bool sonde_prof__child_waits;
static _Atomic uint64_t child_since_ns;

/* -- where profiling would hurt --------------------------------------------------------------------- */

static bool has_symbol(const char *name)
{
    return dlsym(RTLD_DEFAULT, name) != NULL;
}

/* The kernel counts by its ticks: at one of them nothing is left of a timer that comes again. */
static bool is_armed(const struct itimerval *t)
{
    return t->it_value.tv_sec || t->it_value.tv_usec || t->it_interval.tv_sec ||
           t->it_interval.tv_usec;
}

/* NULL: nothing speaks against it. */
static const char *why_not(const sonde_prof__config *c)
{
    static const char *const sanitizers[] = { "__asan_init", "__tsan_init", "__msan_init",
                                              "__hwasan_init" };
    struct itimerval timer = { 0 };
    struct rlimit limit;
    size_t i;

    if (getauxval(AT_SECURE))
        return "set-user-ID or the like";
    for (i = 0; i < sizeof(sanitizers) / sizeof(sanitizers[0]); i++)
        if (has_symbol(sanitizers[i]))
            return "a sanitizer";
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < ADDRESSES_MIN)
        return "less than 256 MiB of address space";
    if (c->signal == SIGPROF && getitimer(ITIMER_PROF, &timer) == 0 && is_armed(&timer))
        return "another profiler uses SIGPROF: set SONDE_PROFILING_SIGNAL";
    return NULL;
}

/* -- start and stop --------------------------------------------------------------------------------- */

static void prefork(void)
{
    sonde_prof__lock_take(&lock);
    sonde_look_ups_prefork();
    sonde_prof__drainer_prefork(); /* takes endpoints while it drains */
    sonde_prof__endpoints_prefork();
    sonde_prof__code_prefork();
    sonde_prof__frames_prefork();
    sonde_prof__samplers_prefork();
    sonde_prof__live_prefork();
    sonde_prof__arena_prefork();
}

static void postfork_parent(void)
{
    sonde_prof__arena_postfork_parent();
    sonde_prof__live_postfork_parent();
    sonde_prof__samplers_postfork_parent();
    sonde_prof__frames_postfork_parent();
    sonde_prof__code_postfork_parent();
    sonde_prof__endpoints_postfork_parent();
    sonde_prof__drainer_postfork_parent();
    sonde_look_ups_postfork_parent();
    sonde_prof__lock_give(&lock);
}

/* Nobody outside knows of the child, and would end it. */
static void end_in_child(void)
{
    sonde_prof__attach_postfork_child();
    atomic_store_explicit(&running, 0, memory_order_release);
    sonde_prof__hooks_set_endpoint_sink(NULL);
    sonde_prof__waits_stop();
    sonde_prof__heap_stop();
    sonde_prof__samplers_stop();
}

static void postfork_child(void)
{
    sonde_rng_postfork_child(); /* siblings are not to have one id */
    sonde_prof__arena_postfork_child();
    sonde_prof__live_postfork_child();
    sonde_prof__maps_postfork_child();
    sonde_prof__crash_postfork_child();
    sonde_prof__samplers_postfork_child();
    sonde_prof__endpoints_postfork_child();
    sonde_prof__frames_postfork_child();
    sonde_prof__code_postfork_child();
    sonde_prof__drainer_postfork_child();
    sonde_look_ups_postfork_child();
    sonde_prof__lock_init(&lock);
    if (sonde_prof__attach_is_on())
        end_in_child();
    if (atomic_load_explicit(&running, memory_order_relaxed)) {
        atomic_store_explicit(&child_since_ns, sonde_mono_ns(), memory_order_relaxed);
        atomic_store_explicit(&sonde_prof__child_waits, true, memory_order_release);
        atomic_store_explicit(&sonde_prof__sampling_now.begin_child, sonde_prof__resume_slow,
                              memory_order_release);
    }
}

static const sonde_fork_hooks fork_hooks = { SONDE_RANK_LIFECYCLE, prefork, postfork_parent,
                                             postfork_child };

static void stop_parts(void);

/* A program that is over before anything was sampled waits for no thread of ours. */
static void at_exit(void)
{
    sonde_prof__guard_end();
    if (config && !config->crash && !sonde_prof__drainer_has_work())
        return;
    if (config && !config->flush_on_exit) {
        sonde_prof__samplers_stop();
        return;
    }
    sonde_prof__lock_take(&lock);
    if (atomic_load_explicit(&running, memory_order_relaxed))
        stop_parts();
    sonde_prof__lock_give(&lock);
}

static bool prepare(void)
{
    if (prepared)
        return true;
    sonde_prof__arena_install();
    sonde_log_set_prefix("sonde profiler");
    sonde_log_set_sink(sonde_prof__files_log, NULL);
    if (sonde_fork_register(&fork_hooks) != SONDE_OK)
        return false;
    (void)atexit(at_exit);
    prepared = true;
    return true;
}

static sonde_status start_samplers(void)
{
    const sonde_prof__sampler_settings settings = {
        .cpu = config->cpu,
        .wall = config->wall,
        .signo = (int)config->signal,
        .cpu_period_ns = config->cpu_period_ns,
        .wall_interval_ns = config->wall_interval_ns,
        .wall_threads = config->wall_threads,
        .frames_max = config->max_frames < SONDE_PROF__FRAMES_MAX ? config->max_frames
                                                                  : SONDE_PROF__FRAMES_MAX,
        .wall_engine = (sonde_prof__wall_engine)config->wall_engine,
        .perf = config->cpu_engine == SONDE_PROF__ENGINE_PERF,
    };

    return sonde_prof__samplers_start(&settings);
}

static void start_heap(void)
{
    const sonde_prof__heap_settings settings = {
        .live = config->heap,
        .mean_bytes = config->heap_sample_bytes,
        .live_max = config->live_max,
    };

    if (config->alloc)
        sonde_prof__heap_start(&settings);
}

static void start_waits(void)
{
    const sonde_prof__wait_settings settings = {
        .locks = config->lock ? config->lock_kinds : 0,
        .io = config->io,
        .exception = config->exception,
        .lock_mean_ns = config->lock_interval_ns,
        .io_mean_ns = config->io_interval_ns,
    };

    sonde_prof__waits_start(&settings);
}

static uint32_t late_groups(void)
{
    return SONDE_PROF__LATE_ALWAYS | (config->alloc ? SONDE_PROF__LATE_HEAP : 0u) |
           (config->lock ? SONDE_PROF__LATE_LOCKS : 0u) | (config->io ? SONDE_PROF__LATE_IO : 0u) |
           (config->exception ? SONDE_PROF__LATE_EXCEPTIONS : 0u);
}

static sonde_status start_sampling(void)
{
    sonde_status status = start_samplers();

    if (status != SONDE_OK)
        return status;
    start_heap();
    start_waits();
    sonde_prof__late_start(late_groups(), sonde_mono_ns());
    return SONDE_OK;
}

bool sonde_prof__awaken(void)
{
    if (!sonde_prof__lock_try(&lock, 0))
        return false; /* later */
    if (atomic_load_explicit(&running, memory_order_relaxed) && start_sampling() != SONDE_OK)
        SONDE_LOG(SONDE_LOG_ERROR, "not profiling: the signal cannot be had, or no memory");
    sonde_prof__lock_give(&lock);
    return true;
}

static sonde_status start_parts(void)
{
    sonde_status status = sonde_prof__drainer_start(config);

    if (status != SONDE_OK)
        return status;
    sonde_prof__child_learn();
    if (config->crash || (!is_quiet && sonde_prof__guard_is_on(config)))
        (void)sonde_prof__crash_start(config); /* said so itself; profiling goes on without */
    if (is_quiet)
        return sonde_prof__crash_is_on() ? SONDE_OK : SONDE_ERR_STATE;
    status = config->enabled == SONDE_PROF__AUTO ? SONDE_OK : start_sampling();
    if (status != SONDE_OK) {
        sonde_prof__drainer_stop(sonde_mono_ns());
        return status;
    }
    sonde_prof__hooks_set_endpoint_sink(config->endpoints || config->enabled == SONDE_PROF__AUTO
                                            ? sonde_prof__endpoints_report
                                            : NULL);
    if (config->hotspots || config->enabled == SONDE_PROF__AUTO)
        (void)sonde_prof__hooks_announce();
    return SONDE_OK;
}

/* The drainer alone, which looks at what is loaded. */
static void be_quiet(sonde_prof__config *c)
{
    c->cpu = c->wall = c->alloc = c->heap = c->lock = c->io = c->exception = false;
    c->do_export = c->hotspots = c->endpoints = false;
    c->output_dir = c->output_pprof = c->pprof_prefix = (sonde_str){ "", 0 };
}

static sonde_status start_with(sonde_prof__config *c, bool profiles)
{
    sonde_status status;

    if (atomic_load_explicit(&running, memory_order_relaxed))
        stop_parts(); /* it was quiet */
    is_quiet = !profiles;
    if (is_quiet)
        be_quiet(c);
    sonde_prof__arena_limit(c->memory_bytes);
    sonde_prof__config_free(config);
    config = c;
    status = start_parts();
    if (is_quiet && status != SONDE_OK)
        sonde_prof__drainer_stop(sonde_mono_ns());
    atomic_store_explicit(&running, status == SONDE_OK, memory_order_release);
    return status;
}

/* Less than was told where an earlier run crashed; false: nothing. */
static bool heed_crashes(sonde_prof__config *c)
{
    sonde_prof__allowed allowed = sonde_prof__guard_begin(c, sonde_mono_ns());

    if (allowed == SONDE_PROF__ALLOW_CPU) {
        c->wall = c->alloc = c->heap = c->lock = c->io = c->exception = false;
        c->is_guarded = true;
    }
    return allowed != SONDE_PROF__ALLOW_NOTHING;
}

static sonde_status configure(const sonde_prof_options *options, sonde_prof__lookup lookup,
                              void *user, sonde_prof__config **out)
{
    if (!prepare())
        return SONDE_ERR_NOMEM;
    if (sonde_prof__drainer_is_left()) /* the thread of an earlier life, with its configuration */
        return SONDE_ERR_STATE;
    *out = sonde_prof__config_new(options, lookup, user);
    return *out ? SONDE_OK : SONDE_ERR_NOMEM;
}

static sonde_status start_locked(const sonde_prof_options *options, bool only_if_asked)
{
    sonde_prof__config *c;
    const char *reason;
    sonde_status status;
    bool profiles;

    if (sonde_prof_is_running())
        return SONDE_OK;
    status = configure(options, NULL, NULL, &c);
    if (status != SONDE_OK)
        return status;
    stays_here = !c->follow_execs;
    profiles = c->enabled != SONDE_PROF__OFF && (!only_if_asked || c->is_asked_for);
    reason = profiles || c->crash ? why_not(c) : "";
    if (profiles && !reason && !heed_crashes(c)) {
        profiles = false;
        reason = c->crash ? NULL : "";
    }
    if (reason && *reason)
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "not profiling: reason=\"%s\"", reason);
    if (reason || (!profiles && atomic_load_explicit(&running, memory_order_relaxed))) {
        sonde_prof__config_free(c);
        return SONDE_ERR_STATE;
    }
    return start_with(c, profiles);
}

sonde_status sonde_prof__start(const sonde_prof_options *options, bool only_if_asked)
{
    sonde_status status;

    sonde_prof__lock_take(&lock);
    status = start_locked(options, only_if_asked);
    sonde_prof__lock_give(&lock);
    return status;
}

static sonde_status start_told_locked(sonde_prof__lookup lookup, void *user, const char **out_why)
{
    sonde_prof__config *c;
    sonde_status status;

    if (atomic_load_explicit(&running, memory_order_relaxed)) {
        *out_why = "its own profiler runs, and what that sees goes to its agent";
        return SONDE_ERR_STATE;
    }
    if (sonde_prof__drainer_is_left()) {
        *out_why = "the last profile of it has not ended yet";
        return SONDE_ERR_TIMEOUT;
    }
    status = configure(NULL, lookup, user, &c);
    if (status != SONDE_OK)
        return status;
    *out_why = why_not(c);
    if (*out_why) {
        sonde_prof__config_free(c);
        return SONDE_ERR_STATE;
    }
    *out_why = "no memory, or its signal cannot be had";
    return start_with(c, true);
}

sonde_status sonde_prof__start_told(sonde_prof__lookup lookup, void *user, const char **out_why)
{
    sonde_status status;

    *out_why = "no memory";
    sonde_prof__lock_take(&lock);
    status = start_told_locked(lookup, user, out_why);
    sonde_prof__lock_give(&lock);
    return status;
}

bool sonde_prof__follows_execs(void)
{
    return !stays_here;
}

SONDE_API sonde_status sonde_prof_start(const sonde_prof_options *options)
{
    return sonde_prof__start(options, false);
}

static void wait_for_handlers(void)
{
    const struct timespec pause = { 0, SETTLE_NS };
    uint32_t i;

    for (i = 0; i < SETTLE_TRIES && sonde_prof__maps_under_way() > 0; i++)
        (void)nanosleep(&pause, NULL);
}

static void stop_parts(void)
{
    uint64_t deadline = sonde_mono_ns() + STOP_NS;

    atomic_store_explicit(&running, 0, memory_order_release);
    sonde_prof__hooks_withdraw();
    sonde_prof__hooks_set_endpoint_sink(NULL);
    sonde_prof__waits_stop();
    sonde_prof__heap_stop();
    sonde_prof__samplers_stop();
    wait_for_handlers();
    sonde_prof__drainer_stop(deadline);
}

SONDE_API void sonde_prof_stop(void)
{
    sonde_prof__lock_take(&lock);
    if (sonde_prof_is_running()) {
        sonde_prof__guard_end();
        stop_parts();
    }
    sonde_prof__lock_give(&lock);
}

SONDE_API sonde_status sonde_prof_flush(uint32_t timeout_ms)
{
    sonde_status status = SONDE_ERR_STATE;

    sonde_prof__lock_take(&lock);
    if (atomic_load_explicit(&running, memory_order_relaxed))
        status =
            sonde_prof__drainer_flush(sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms)));
    sonde_prof__lock_give(&lock);
    return status;
}

SONDE_API sonde_status sonde_prof_register_code(const void *start, uint64_t bytes, const char *name)
{
    if (!sonde_prof_is_running())
        return SONDE_ERR_STATE;
    sonde_prof__maps_poke();
    return sonde_prof__code_add((uint64_t)(uintptr_t)start, bytes, sonde_str_from(name));
}

SONDE_API void sonde_prof_unregister_code(const void *start)
{
    sonde_prof__code_remove((uint64_t)(uintptr_t)start);
}

SONDE_API sonde_status sonde_prof_register_frames(const void *eh_frame, uint64_t bytes)
{
    sonde_prof__maps_poke();
    return sonde_prof__frames_add(eh_frame, bytes, false);
}

SONDE_API void sonde_prof_unregister_frames(const void *eh_frame)
{
    (void)sonde_prof__frames_remove(eh_frame);
}

SONDE_API int32_t sonde_prof_is_running(void)
{
    return atomic_load_explicit(&running, memory_order_acquire) && !is_quiet;
}

void sonde_prof__resume_slow(void)
{
    bool waits = true;

    if (sonde_mono_ns() <
            atomic_load_explicit(&child_since_ns, memory_order_relaxed) + CHILD_THREAD_NS ||
        !atomic_compare_exchange_strong_explicit(&sonde_prof__child_waits, &waits, false,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    atomic_store_explicit(&sonde_prof__sampling_now.begin_child, NULL, memory_order_relaxed);
    sonde_prof__lock_take(&lock);
    if (atomic_load_explicit(&running, memory_order_relaxed))
        sonde_prof__drainer_resume();
    sonde_prof__lock_give(&lock);
}

SONDE_API void sonde_prof_read_counters(sonde_prof_counters *out)
{
    sonde_prof__drainer_counts d = sonde_prof__drainer_counted();
    sonde_prof_counters c = {
        .events_taken = d.taken,
        .events_sent = d.sent,
        .events_lost = d.lost,
        .events_waiting = d.waiting,
        .batches_sent = d.batches_sent,
        .batches_lost = d.batches_lost,
        .memory_bytes = sonde_prof__arena_bytes(),
        .threads = sonde_prof__slots_count(),
        .own_ns = sonde_prof__samplers_own_ns(),
    };
    size_t bytes = out->struct_bytes < sizeof(c) ? out->struct_bytes : sizeof(c);

    if (bytes == 0)
        bytes = sizeof(c);
    c.struct_bytes = (uint32_t)bytes;
    memcpy(out, &c, bytes);
}
