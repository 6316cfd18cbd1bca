/* tracer.c - start, stop, flush, fork: the life of the process's tracer.
 *
 *             sonde_start()                 sonde_stop(), exit()
 *   STOPPED ───────────────▶ STARTED ──────────────────────────────▶ STOPPED
 *                             │   ▲ fork: in the child a new epoch, everything lazily anew
 *                             └───┘
 *
 * While STARTED, sonde__live is the epoch, or 0 when tracing is switched off, here or from afar.
 *
 * Threads   `mu` orders start, stop and fork. */
#include "tracer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fork.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "net/look_ups.h"
#include "sonde/log.h"
#include "sonde/span.h"
#include "sonde/tracer.h"

#include "abandoned.h"
#include "area.h"
#include "at_work.h"
#include "blackbox.h"
#include "cell.h"
#include "counters.h"
#include "discovery.h"
#include "fast_clock.h"
#include "flare_log.h"
#include "flusher.h"
#include "live.h"
#include "log_file.h"
#include "org_marker.h"
#include "otel_ctx.h"
#include "policy.h"
#include "profiler_link.h"
#include "remote.h"
#include "segment.h"
#include "sender.h"
#include "service.h"
#include "standalone.h"
#include "startup_log.h"
#include "tail_keep.h"
#include "telemetry.h"
#include "watch.h"

#define ORG_MARKER_WAIT_MS 1000

_Atomic uint32_t sonde__live;
uint32_t sonde_on_; /* the same, for the inline functions of <sonde/span.h> */
_Atomic(sonde__config *) sonde__config_now;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_LIFECYCLE);
static bool started;              /* guarded by mu */
static _Atomic uint32_t epoch;    /* the last one begun; written with mu held */
static _Atomic bool ended = true; /* no life, or it is ending: nothing switches tracing on */
static _Atomic uint32_t first_epoch = 1;
static sonde__config *former;             /* guarded by mu: other threads may still read it */
static char runtime_id[SONDE__UUID_ROOM]; /* written at start and fork */
static char root_runtime_id[SONDE__UUID_ROOM];
static bool is_forked; /* from a process that had started us */
static _Atomic int64_t mono_to_unix;

uint32_t sonde__first_epoch(void)
{
    return atomic_load_explicit(&first_epoch, memory_order_relaxed);
}

/* The lock outlives the call. */
SONDE_NO_TSA const sonde__config *sonde__settings_hold(void)
{
    sonde_mutex_lock(&mu);
    return sonde__settings();
}

SONDE_NO_TSA void sonde__settings_release(void)
{
    sonde_mutex_unlock(&mu);
}

bool sonde__is_started(void)
{
    return !atomic_load_explicit(&ended, memory_order_relaxed);
}

const char *sonde__runtime_id(void)
{
    return runtime_id;
}

static void set_live(uint32_t now, memory_order order)
{
    atomic_store_explicit(&sonde__live, now, order);
    __atomic_store_n(&sonde_on_, now, __ATOMIC_SEQ_CST);
}

const char *sonde__root_runtime_id(void)
{
    return root_runtime_id;
}

int64_t sonde__mono_to_unix_ns(void)
{
    return atomic_load_explicit(&mono_to_unix, memory_order_relaxed);
}

void sonde__clock_anchor(void)
{
    int64_t offset = sonde__fast_clock_is_frozen() ? 0 : sonde_unix_ns() - (int64_t)sonde_mono_ns();

    atomic_store_explicit(&mono_to_unix, offset, memory_order_relaxed);
    sonde__fast_clock_calibrate();
}

void sonde__make_uuid(char out[SONDE__UUID_ROOM])
{
    uint64_t high = (sonde_random_u64() & ~UINT64_C(0xf000)) | 0x4000;
    uint64_t low = (sonde_random_u64() & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    char hex[32];
    int from = 0;
    int to = 0;

    sonde_hex_u64(high, hex);
    sonde_hex_u64(low, hex + 16);
    while (from < 32) {
        if (from == 8 || from == 12 || from == 16 || from == 20)
            out[to++] = '-';
        out[to++] = hex[from++];
    }
    out[to] = '\0';
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA static void prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA static void postfork_parent(void)
{
    sonde_mutex_unlock(&mu);
}

/* Runs last: the other files have put their house in order. */
SONDE_NO_TSA static void postfork_child(void)
{
    uint32_t e = atomic_load_explicit(&epoch, memory_order_relaxed) + 1;

    sonde__counters_postfork_child();
    is_forked = is_forked || runtime_id[0] != '\0';
    sonde__watch_postfork_child();
    sonde__otel_ctx_postfork_child();
    sonde__make_uuid(runtime_id);
    atomic_store_explicit(&epoch, e, memory_order_relaxed);
    atomic_store_explicit(&first_epoch, e, memory_order_relaxed);
    /* Also where it was switched off from afar: nobody would ask whether it still is (live.c). */
    if (started && sonde__settings()->enabled) {
        set_live(e, memory_order_relaxed);
        sonde__discovery_open(sonde__settings(), runtime_id);
    }
    sonde_mutex_unlock(&mu);
}

/* One per mutex, with its rank; and look-ups of names. */
static const sonde_fork_hooks fork_hooks[] = {
    { SONDE_RANK_AT_WORK, sonde__at_work_await, sonde__at_work_end, sonde__at_work_forked },
    { SONDE_RANK_LIFECYCLE, sonde_look_ups_prefork, sonde_look_ups_postfork_parent,
      sonde_look_ups_postfork_child },
    { SONDE_RANK_LIFECYCLE, prefork, postfork_parent, postfork_child },
    { SONDE_RANK_ROOM, sonde__sender_prefork, sonde__sender_postfork_parent,
      sonde__sender_postfork_child },
    { SONDE_RANK_SEGMENT, sonde__segments_prefork, sonde__segments_postfork,
      sonde__segments_postfork },
    { SONDE_RANK_POLICY, sonde__policy_prefork, sonde__policy_postfork_parent,
      sonde__policy_postfork_child },
    { SONDE_RANK_LIVE, sonde__live_prefork, sonde__live_postfork_parent,
      sonde__live_postfork_child },
    { SONDE_RANK_REMOTE, sonde__remote_prefork, sonde__remote_postfork_parent,
      sonde__remote_postfork_child },
    { SONDE_RANK_STORE, sonde__services_prefork, sonde__services_postfork,
      sonde__services_postfork },
    { SONDE_RANK_QUEUE, sonde__flusher_prefork_orders, sonde__flusher_postfork_parent_orders,
      sonde__flusher_postfork_child_orders },
    { SONDE_RANK_OPEN_SPANS, sonde__abandoned_prefork, sonde__abandoned_postfork_parent,
      sonde__abandoned_postfork_child },
    { SONDE_RANK_POOL, sonde__areas_prefork, sonde__areas_postfork, sonde__areas_postfork_child },
    { SONDE_RANK_LOG, sonde__flare_log_prefork, sonde__flare_log_postfork,
      sonde__flare_log_postfork },
};

/* -- log ------------------------------------------------------------------------------------------ */

static struct {
    sonde_log_callback call;
    void *user;
} log_to;

static void pass_on(void *unused, sonde_log_level level, const char *line, size_t len)
{
    (void)unused;
    log_to.call(log_to.user, (int32_t)level, line, len);
}

/* The program's callback wins over a file. */
static void choose_log(const sonde__config *c)
{
    sonde_log_set_pause(c->log_pause_ns);
    sonde__log_file_close();
    if (log_to.call)
        sonde_log_set_sink(pass_on, NULL);
    else if (c->log_directory.len > 0 && sonde__log_file_open(c->log_directory) != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no log file there: DD_TRACE_LOG_DIRECTORY=%s errno=%d",
                         SONDE_LOG_QUOTE(c->log_directory), errno);
}

void sonde_set_log(sonde_log_callback callback, void *user)
{
    log_to.call = callback;
    log_to.user = user;
    sonde_log_set_sink(callback ? pass_on : NULL, NULL);
}

/* -- life ----------------------------------------------------------------------------------------- */

static void at_exit(void)
{
    sonde_stop();
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sonde_status registered;

/* Fork hooks and atexit.  Not under `mu`: the list of fork hooks has a lock of its own, which fork()
 * takes before `mu`. */
static void register_once(void)
{
    size_t i;

    for (i = 0; i < sizeof(fork_hooks) / sizeof(fork_hooks[0]) && registered == SONDE_OK; i++)
        registered = sonde_fork_register(&fork_hooks[i]);
    (void)atexit(at_exit); /* refused: what is finished is lost unless the program stops us */
}

/* Half of the memory for spans, a quarter for the payload, an eighth each for statistics and threads. */
static sonde_status open_parts(const sonde__config *c)
{
    sonde_status status = sonde__flusher_open();

    if (status != SONDE_OK)
        return status; /* the thread of the last life still works with its parts */
    status = sonde__cells_open(c->memory_bytes / 2);
    sonde__live_open(c);
    sonde__services_map(c->service_mapping);
    sonde__org_learn(c, (sonde_str){ NULL, 0 });
    sonde__standalone_open(!c->apm_tracing);
    if (status == SONDE_OK)
        status = sonde__services_open(c->service, c->env);
    if (status == SONDE_OK)
        status = sonde__policy_open(c);
    if (status == SONDE_OK)
        sonde__tail_open(c);
    sonde__areas_open(c->memory_bytes / 8, c->enabled && c->blackbox);
    return status;
}

static void begin_life_locked(sonde__config *c)
{
    uint32_t e;

    sonde__config_free(former);
    former = atomic_load_explicit(&sonde__config_now, memory_order_relaxed);
    /* pairs with sonde__settings() */
    atomic_store_explicit(&sonde__config_now, c, memory_order_release);
    sonde__make_uuid(runtime_id);
    if (!is_forked)
        memcpy(root_runtime_id, runtime_id, sizeof(root_runtime_id));
    sonde__fast_clock_open();
    sonde__clock_anchor();
    sonde__blackbox_begin(c, runtime_id);
    sonde__profiler_begin(c);
    if (c->enabled)
        sonde__otel_ctx_publish(c, runtime_id);
    started = true;
    e = atomic_load_explicit(&epoch, memory_order_relaxed) + 1;
    atomic_store_explicit(&epoch, e, memory_order_relaxed);
    atomic_store_explicit(&ended, false, memory_order_relaxed);
    sonde__abandoned_open(c);
    sonde__watch_clear(SONDE__WATCH_ANALYTICS);
    if (c->analytics)
        sonde__watch_set(SONDE__WATCH_ANALYTICS);
    /* pairs with the loads at every start and finish */
    set_live(c->enabled ? e : 0, memory_order_release);
}

static sonde_status start_locked(const sonde_options *options)
{
    uint64_t from = sonde_mono_ns();
    sonde__config *c;
    sonde_status status;

    if (started)
        return SONDE_ERR_STATE;
    if (registered != SONDE_OK)
        return registered;
    sonde__telemetry_listen();
    c = sonde__config_new(options, NULL, NULL);
    if (!c)
        return SONDE_ERR_NOMEM;
    choose_log(c);
    status = open_parts(c);
    if (status != SONDE_OK) {
        sonde__config_free(c);
        return status;
    }
    sonde__telemetry_open(c, sonde_mono_ns() - from);
    begin_life_locked(c);
    if (c->enabled)
        sonde__discovery_open(c, runtime_id);
    sonde__startup_log(c);
    sonde__flusher_begin();
    return SONDE_OK;
}

sonde_status sonde_start(const sonde_options *options)
{
    sonde_status status;

    (void)pthread_once(&once, register_once);
    sonde__profiler_look();
    sonde_mutex_lock(&mu);
    status = start_locked(options);
    sonde_mutex_unlock(&mu);
    if (status != SONDE_OK && status != SONDE_ERR_STATE)
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "tracing is off: reason=\"%s\"",
                         sonde_status_str(status));
    if (status == SONDE_OK && sonde__settings()->org_guard)
        (void)sonde_wait_for_agent(ORG_MARKER_WAIT_MS); /* until then nothing can be guarded */
    return status;
}

/* Not under `mu`, which a stop holds while it waits for the thread that calls this. */
void sonde__tracing_switch(bool on)
{
    set_live(on && sonde__settings()->enabled ? atomic_load_explicit(&epoch, memory_order_relaxed)
                                              : 0,
             memory_order_seq_cst);
    /* Either this load sees the stop, or the stop's store comes behind ours. */
    if (atomic_load_explicit(&ended, memory_order_seq_cst))
        set_live(0, memory_order_seq_cst);
}

static sonde_status flush(uint32_t timeout_ms, bool traces)
{
    if (sonde_enabled() == 0)
        return SONDE_ERR_STATE;
    return sonde__flusher_flush(sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms)),
                                traces);
}

sonde_status sonde_flush(uint32_t timeout_ms)
{
    return flush(timeout_ms, true);
}

sonde_status sonde_flush_stats(uint32_t timeout_ms)
{
    return flush(timeout_ms, false);
}

sonde_status sonde_wait_for_agent(uint32_t timeout_ms)
{
    if (sonde_enabled() == 0)
        return SONDE_ERR_STATE;
    return sonde__flusher_wait_for_agent(
        sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms)));
}

void sonde_stop(void)
{
    sonde_mutex_lock(&mu);
    if (started) {
        started = false;
        atomic_store_explicit(&ended, true, memory_order_seq_cst);
        set_live(0, memory_order_seq_cst);
        sonde__discovery_close();
        sonde__flusher_stop(sonde_deadline(sonde_mono_ns(), sonde__settings()->stop_timeout_ns));
        sonde__otel_ctx_retract();
        sonde__blackbox_end();
    }
    sonde_mutex_unlock(&mu);
}

int sonde_enabled(void)
{
    return atomic_load_explicit(&sonde__live, memory_order_relaxed) != 0;
}
