/* profiles.c - the room's life, its thread and its numbers. */
#include "profiles.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/thread.h"
#include "internal.h"
#include "symbolize.h"
#include "symbols_disk.h"
#include "symbols_fetch.h"

#define STACK_BYTES ((size_t)1024 * 1024)
#define LOOK_NS     ((uint64_t)SONDE_NS_PER_S) /* how often windows are looked at while there are any */

static const char *const refusal_names[PROFILES_REFUSALS] = {
#define X(name, text) [PROFILES_REFUSED_##name] = text,
    PROFILES_REFUSAL_MAP(X)
#undef X
};

static const char *const drop_names[PROFILES_DROPS] = {
#define X(name, text) [PROFILES_DROP_##name] = text,
    PROFILES_DROP_MAP(X)
#undef X
};

_Static_assert((int)PROFILES_DROP_FULL == (int)PROFILE_LOSS_FULL &&
                   (int)PROFILES_DROP_NEGATIVE == (int)PROFILE_LOSS_NEGATIVE,
               "losses of a profile come first");

/* ---- encoding ---- */

static profiles_drop drop_for(sonde_status status)
{
    return status == SONDE_ERR_TOO_BIG  ? PROFILES_DROP_BIG
           : status == SONDE_ERR_CLOSED ? PROFILES_DROP_SINK
                                        : PROFILES_DROP_ENCODER;
}

static sonde_status send(profiles *p, window *w, upload_facts *facts)
{
    origin_tags_text room;
    upload u;
    sonde_status status;

    symbols_await_files(p->symbols);
    profile_symbolize(w->profile);
    status = upload_make(&p->frame, w,
                         origin_tags(p->origin, sonde_str_from(w->who.container), room), &u, facts);
    if (status != SONDE_OK)
        return status;
    status = p->sink.push(p->sink.stage, &u);
    if (status != SONDE_OK)
        sonde_free(u.body);
    return status;
}

/* Encodes one window; its rows leave `held` in every case. */
static void finish_window(profiles *p, window *w)
{
    uint64_t begun = p->clock->mono_ns(p->clock->user);
    upload_facts facts = { 0 };
    sonde_status status = send(p, w, &facts);
    profiles_counters *n = &p->counters;

    sonde_mutex_lock(&p->mu);
    if (status == SONDE_OK) {
        n->profiles_uploaded++;
        n->profile_bytes += facts.wire_bytes;
        n->rows_uploaded += w->profile->rows;
    } else {
        n->rows_dropped[drop_for(status)] += w->profile->rows;
    }
    n->ladder_steps += facts.steps;
    n->timelines_cut += w->profile->timeline_truncated || facts.steps > 0;
    n->encode_ns += p->clock->mono_ns(p->clock->user) - begun;
    p->encoding_rows = 0;
    sonde_mutex_unlock(&p->mu);
    if (status != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "a profile was lost: service=%s rows=%llu error=\"%s\"",
                  SONDE_LOG_QUOTE(window_text(w, SPB_KEY_SERVICE)),
                  (unsigned long long)w->profile->rows, sonde_status_str(status));
    window_free(w);
}

static bool is_gone(void *user, pid_t pid)
{
    (void)user;
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Sessions of processes that are gone, or silent for long, give their memory back. */
static void close_silent_locked(profiles *p, uint64_t now)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    while ((e = sonde_table_next(&p->sessions, &cursor)) != NULL) {
        session *s = e->value;
        uint64_t silent = now - s->last_batch_mono_ns;
        bool gone = s->host_pid > 0 && s->pid_is_sure && is_gone(NULL, s->host_pid);

        if (silent > SESSION_SILENT_NS || (gone && silent > WINDOW_DEAD_NS))
            profiles_close_session_locked(p, s);
    }
}

/* The next window to encode; NULL: none now. */
static window *next_window_locked(profiles *p)
{
    const windows_due due = { .now_mono_ns = p->clock->mono_ns(p->clock->user),
                              .is_gone = is_gone,
                              .all = p->stopping };
    window *w = p->waiting;

    if (w) {
        p->waiting = w->next;
        p->waiting_len--;
        p->waiting_rows -= w->profile->rows;
        p->waiting_bytes -= profile_bytes(w->profile);
    } else {
        w = windows_next_due(&p->windows, &due);
    }
    p->encoding_rows = w ? w->profile->rows : 0;
    if (!w)
        close_silent_locked(p, due.now_mono_ns);
    return w;
}

static void *run(void *arg)
{
    profiles *p = arg;
    window *w;

    sonde_mutex_lock(&p->mu);
    for (;;) {
        w = next_window_locked(p);
        if (w) {
            sonde_mutex_unlock(&p->mu);
            finish_window(p, w);
            sonde_mutex_lock(&p->mu);
            continue;
        }
        if (p->stopping)
            break;
        sonde_cond_wait_until(&p->wake, &p->mu,
                              p->sessions.count || p->windows.processes.count
                                  ? sonde_deadline(sonde_mono_ns(), LOOK_NS)
                                  : UINT64_MAX);
    }
    sonde_mutex_unlock(&p->mu);
    return NULL;
}

/* ---- life ---- */

/* Without a disk, and without others' debug files, it works all the same. */
static void open_disk(profiles *p)
{
    const agent_config *c = p->config;
    char folder[SONDE_FOLDER_MAX];
    sonde_status status = SONDE_ERR_CONFIG;

    if (c->profiling.symbol_disk_bytes == 0)
        return;
    if (snprintf(folder, sizeof(folder), "%.*s/symbols", SONDE_STR_ARG(c->data_dir)) <
        (int)sizeof(folder))
        status = symbols_disk_open(folder, c->profiling.symbol_disk_bytes, &p->symbols_disk);
    if (status != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "symbols are not kept on disk: folder=%s error=\"%s\"",
                  SONDE_LOG_QUOTE(sonde_str_from(folder)),
                  status == SONDE_ERR_SYS ? strerror(errno) : sonde_status_str(status));
}

static void open_fetch(profiles *p)
{
    const agent_config *c = p->config;
    const symbols_fetch_options options = { .urls = c->profiling.debuginfod_urls,
                                            .disk = p->symbols_disk,
                                            .egress = c->egress,
                                            .user_agent = "sonde",
                                            .clock = p->clock };
    sonde_error error = { .message = "sonde.profiling.symbol_disk_cache is 0 or cannot be used" };

    if (!c->profiling.debuginfod)
        return;
    if (!p->symbols_disk || symbols_fetch_open(&options, &p->symbols_fetch, &error) != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "debug files are not fetched: error=\"%s\"", error.message);
}

static sonde_status open_symbols(profiles *p, const profiles_options *options)
{
    symbols_options of_symbols = { .max_bytes = (size_t)p->config->profiling.symbol_bytes,
                                   .lines = p->config->profiling.lines,
                                   .clock = options->clock };

    open_disk(p);
    open_fetch(p);
    of_symbols.disk = p->symbols_disk;
    of_symbols.fetch = p->symbols_fetch;
    return symbols_open(&of_symbols, &p->symbols);
}

sonde_status profiles_open(const profiles_options *options, profiles **out_profiles,
                           sonde_error *out_error)
{
    const agent_config *c = options->config;
    profiles *p = sonde_calloc(1, sizeof(*p));
    sonde_status status;

    if (!p)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "profiles");
    p->config = config_get(options->config);
    p->sink = options->sink;
    p->origin = options->origin;
    p->clock = options->clock ? options->clock : &sonde_system_clock;
    sonde_mutex_init(&p->mu, SONDE_RANK_ROOM);
    sonde_cond_init(&p->wake);
    sonde_table_init(&p->sessions, SESSIONS_MAX);
    p->sessions_max_bytes = (size_t)c->memory_limit_bytes / SESSIONS_SHARE;
    p->windows_max_bytes = (size_t)c->memory_limit_bytes / WINDOWS_SHARE;
    p->waiting_max_bytes = (size_t)c->memory_limit_bytes / WAITING_SHARE;
    windows_init(&p->windows, c->profiling.window_ns);
    upload_frame_init(&p->frame, options->agent_version);
    p->frame.inlines_in_one = c->profiling.inlines_in_one;
    p->frame.via = options->via;
    p->frame.tags = options->tags;
    status = open_symbols(p, options);
    if (status == SONDE_OK)
        status = sonde_thread_start(&p->thread, "agent-profiles", STACK_BYTES, run, p);
    p->has_thread = status == SONDE_OK;
    if (status != SONDE_OK) {
        profiles_close(p);
        return sonde_fail(out_error, status, "profiles");
    }
    *out_profiles = p;
    return SONDE_OK;
}

void profiles_stop(profiles *p)
{
    if (!p || !p->has_thread)
        return;
    sonde_mutex_lock(&p->mu);
    p->stopping = true;
    (void)pthread_cond_signal(&p->wake);
    sonde_mutex_unlock(&p->mu);
    (void)pthread_join(p->thread, NULL);
    p->has_thread = false;
}

void profiles_close(profiles *p)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    if (!p)
        return;
    profiles_stop(p);
    while ((e = sonde_table_next(&p->sessions, &cursor)) != NULL)
        session_close(e->value);
    sonde_table_done(&p->sessions);
    windows_done(&p->windows);
    symbols_close(p->symbols);
    symbols_fetch_close(p->symbols_fetch);
    symbols_disk_close(p->symbols_disk);
    (void)pthread_cond_destroy(&p->wake);
    sonde_mutex_done(&p->mu);
    config_put(p->config);
    sonde_free(p);
}

/* ---- numbers ---- */

void profiles_read_counters(profiles *p, profiles_counters *out)
{
    sonde_mutex_lock(&p->mu);
    *out = p->counters;
    out->rows_held = windows_rows(&p->windows) + p->waiting_rows + p->encoding_rows;
    out->sessions = p->sessions.count;
    out->session_bytes = p->session_bytes;
    out->processes = p->windows.processes.count;
    sonde_mutex_unlock(&p->mu);
}

static void put_reasons(sonde_json_writer *w, const char *key, const char *const *names,
                        const uint64_t *counts, size_t len)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (size_t i = 0; i < len; i++)
        sonde_json_put_u64(w, names[i], counts[i]);
    sonde_json_end_object(w);
}

void profiles_write_json(void *arg, sonde_json_writer *w)
{
    profiles *p = arg;
    profiles_counters n;

    profiles_read_counters(p, &n);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "batches_received", n.batches_received);
    sonde_json_put_u64(w, "batches_taken", n.batches_taken);
    sonde_json_put_u64(w, "batches_repeated", n.batches_repeated);
    sonde_json_put_u64(w, "batches_resync", n.batches_resync);
    put_reasons(w, "batches_refused", refusal_names, n.batches_refused, PROFILES_REFUSALS);
    sonde_json_put_u64(w, "batch_bytes", n.batch_bytes);
    sonde_json_put_u64(w, "rows_received", n.rows_received);
    sonde_json_put_u64(w, "rows_uploaded", n.rows_uploaded);
    put_reasons(w, "rows_dropped", drop_names, n.rows_dropped, PROFILES_DROPS);
    sonde_json_put_u64(w, "rows_held", n.rows_held);
    sonde_json_put_u64(w, "rows_clamped", n.rows_clamped);
    sonde_json_put_u64(w, "live_rows_dropped", n.live_rows_dropped);
    sonde_json_put_u64(w, "unknown_contexts", n.unknown_contexts);
    sonde_json_put_u64(w, "dictionary_left_out", n.dictionary_left_out);
    sonde_json_put_u64(w, "sessions", n.sessions);
    sonde_json_put_u64(w, "session_bytes", n.session_bytes);
    sonde_json_put_u64(w, "sessions_begun", n.sessions_begun);
    sonde_json_put_u64(w, "sessions_evicted", n.sessions_evicted);
    sonde_json_put_u64(w, "processes", n.processes);
    sonde_json_put_u64(w, "profiles_uploaded", n.profiles_uploaded);
    sonde_json_put_u64(w, "profile_bytes", n.profile_bytes);
    sonde_json_put_u64(w, "ladder_steps", n.ladder_steps);
    sonde_json_put_u64(w, "timelines_cut", n.timelines_cut);
    sonde_json_put_u64(w, "encode_ns", n.encode_ns);
    sonde_json_key(w, SONDE_STR("symbols"));
    symbols_write_json(p->symbols, w);
    sonde_json_end_object(w);
}
