/* report.c - encode, wrap, wait, send. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/rng.h"
#include "codec/gzip_write.h"
#include "codec/json_write.h"

#include "events.h"

#define PPROF_MAX_BYTES ((size_t)64 << 20) /* not packed */
#define EVENT_MAX_BYTES ((size_t)1 << 20)
#define BODY_MAX_BYTES  (SONDE_PROF__REPORT_MAX_BYTES + EVENT_MAX_BYTES + 4096)
#define PAUSE_MAX_NS    (600 * (uint64_t)SONDE_NS_PER_S)

#if defined(__x86_64__)
#    define PLATFORM "x86_64-unknown-linux-"
#else
#    define PLATFORM "aarch64-unknown-linux-"
#endif
#if defined(__GLIBC__)
#    define LIBC "gnu"
#else
#    define LIBC "musl"
#endif

void sonde_prof__reports_init(sonde_prof__reports *r)
{
    memset(r, 0, sizeof(*r));
}

static void forget(sonde_prof__reports *r, uint32_t at)
{
    sonde_buf_done(&r->items[at].body);
    memmove(&r->items[at], &r->items[at + 1], (r->len - at - 1) * sizeof(r->items[0]));
    r->len--;
}

static void lose(sonde_prof__reports *r, uint32_t at)
{
    r->events_lost += r->items[at].events;
    r->lost++;
    forget(r, at);
}

void sonde_prof__reports_done(sonde_prof__reports *r)
{
    while (r->len > 0)
        lose(r, 0);
}

uint64_t sonde_prof__report_events(const sonde_prof__reports *r)
{
    uint64_t events = 0;
    uint32_t i;

    for (i = 0; i < r->len; i++)
        events += r->items[i].events;
    return events;
}

/* -- event.json ------------------------------------------------------------------------------------- */

static void tag(sonde_buf *b, const char *key, sonde_str value)
{
    size_t i;

    value = sonde_str_trim(value);
    if (value.len == 0)
        return;
    if (b->len > 0)
        sonde_buf_append_byte(b, ',');
    sonde_buf_append_str(b, sonde_str_from(key));
    sonde_buf_append_byte(b, ':');
    for (i = 0; i < value.len; i++)
        sonde_buf_append_byte(b, value.ptr[i] == ',' ? '_' : (uint8_t)value.ptr[i]);
}

static void tag_number(sonde_buf *b, const char *key, uint64_t v)
{
    char text[SONDE_U64_MAX_LEN];

    tag(b, key, (sonde_str){ text, sonde_format_u64(v, text) });
}

void sonde_prof__report_tags(sonde_buf *b, const sonde_prof__identity *who, uint64_t seq,
                             bool unknown_frames)
{
    const sonde_prof__config *c = who->config;
    uint32_t i;

    tag(b, "language", SONDE_STR("native"));
    tag(b, "runtime", SONDE_STR("native"));
    tag(b, "service", c->service);
    tag(b, "env", c->env);
    tag(b, "version", c->version);
    tag(b, "runtime-id", sonde_str_from(who->runtime_id));
    tag(b, "profiler_version", SONDE_STR(SONDE_VERSION));
    tag_number(b, "profile_seq", seq);
    tag_number(b, "process_id", who->pid);
    tag(b, "cpu_arch", sonde_str_from(sonde_prof__arch));
    tag(b, "include_kernel",
        sonde_prof__events_mode() == SONDE_PROF__PERF_KERNEL ? SONDE_STR("true")
                                                             : SONDE_STR("false"));
    if (unknown_frames)
        tag(b, "remote_symbols", SONDE_STR("yes"));
    tag(b, "runtime_os", SONDE_STR("linux"));
    tag(b, "runtime_version", sonde_str_from(who->libc));
    tag(b, "git.repository_url", c->git_repository);
    tag(b, "git.commit.sha", c->git_commit);
    for (i = 0; i < who->tags_len; i++) {
        sonde_buf_append_byte(b, ',');
        sonde_buf_append_str(b, who->tags[i]);
    }
    tag(b, "runtime_platform", SONDE_STR(PLATFORM LIBC));
}

/* Nine digits behind the point. */
static void put_time(sonde_json_writer *j, const char *key, uint64_t unix_ns)
{
    char text[SONDE_RFC3339_LEN + 16];
    int n;

    (void)sonde_format_rfc3339((int64_t)unix_ns, text); /* "2026-11-25T15:04:05.123Z" */
    n = snprintf(text + 20, sizeof(text) - 20, "%09uZ", (unsigned)(unix_ns % SONDE_NS_PER_S));
    sonde_json_put_str(j, key, (sonde_str){ text, 20 + (size_t)n });
}

/* Finished requests by resource: added up at the place of its number. */
static void put_endpoint_counts(sonde_json_writer *j, const sonde_prof__pprof *p)
{
    uint32_t len = (uint32_t)p->dict->strings.count + 1, i;
    uint64_t *sums = p->finished_len ? (uint64_t *)sonde_calloc(len, sizeof(*sums)) : NULL;

    sonde_json_key(j, SONDE_STR("endpoint_counts"));
    sonde_json_begin_object(j);
    for (i = 0; sums && i < p->finished_len; i++)
        if (p->finished[i].resource < len)
            sums[p->finished[i].resource] += p->finished[i].finished;
    for (i = 1; sums && i < len; i++) {
        if (sums[i] == 0)
            continue;
        sonde_json_key(j, sonde_prof__dict_text(p->dict, i));
        sonde_json_u64(j, sums[i]);
    }
    sonde_json_end_object(j);
    sonde_free(sums);
}

static const char *const kind_names[SONDE_PROF__KINDS] = { "",          "cpu",    "wall",
                                                           "alloc",     "lock",   "io",
                                                           "exception", "custom", "release" };

static void put_by_kind(sonde_json_writer *j, const char *prefix, const uint64_t *by)
{
    char name[40];
    uint32_t kind;

    for (kind = 1; kind < SONDE_PROF__KINDS; kind++) {
        (void)snprintf(name, sizeof(name), "%s_%s", prefix, kind_names[kind]);
        if (by[kind] > 0)
            sonde_json_put_u64(j, name, by[kind]);
    }
}

static void put_internal(sonde_json_writer *j, const sonde_prof__stats *s, bool is_guarded)
{
    static const char *const names[SONDE_PROF__STATS_LEN] = {
        [SONDE_PROF__STAT_HANDLER_NS] = "handler_ns",
        [SONDE_PROF__STAT_HANDLER_MAX_NS] = "handler_max_ns",
        [SONDE_PROF__STAT_HOOK_NS] = "hook_ns",
        [SONDE_PROF__STAT_DRAIN_NS] = "drain_ns",
        [SONDE_PROF__STAT_ARENA_BYTES] = "arena_bytes",
        [SONDE_PROF__STAT_LIVE_ENTRIES] = "live_entries",
        [SONDE_PROF__STAT_LIVE_FULL] = "live_full",
        [SONDE_PROF__STAT_UNKNOWN_THREAD] = "unknown_thread",
        [SONDE_PROF__STAT_FOREIGN_SIGNALS] = "foreign_signals",
        [SONDE_PROF__STAT_TIMER_FAILURES] = "timer_failures",
        [SONDE_PROF__STAT_REFRESHES] = "snapshot_refreshes",
        [SONDE_PROF__STAT_TABLE_BYTES] = "table_bytes",
        [SONDE_PROF__STAT_CPU_PERIOD] = "cpu_period_ns",
        [SONDE_PROF__STAT_WALL_INTERVAL] = "wall_interval_ns",
        [SONDE_PROF__STAT_OVERHEAD_PPM] = "overhead_ppm",
        [SONDE_PROF__STAT_FP_GUESSED] = "fp_guessed",
        [SONDE_PROF__STAT_WALL_DISCARDED] = "wall_discarded",
        [SONDE_PROF__STAT_WALL_REUSED] = "wall_reused",
        [SONDE_PROF__STAT_HEAP_LATE_MS] = "heap_started_late_ms",
        [SONDE_PROF__STAT_CPU_ENGINE] = "cpu_engine",
        [SONDE_PROF__STAT_EVENT_FAILURES] = "event_failures",
    };
    uint32_t i;

    sonde_json_key(j, SONDE_STR("internal"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "sonde_version", SONDE_STR(SONDE_VERSION));
    if (is_guarded)
        sonde_json_put_str(j, "crash_guard", SONDE_STR("cpu only"));
    put_by_kind(j, "samples", s->samples);
    put_by_kind(j, "lost", s->lost);
    for (i = 0; i < SONDE_PROF__STATS_LEN; i++)
        if (names[i] && s->value[i] > 0)
            sonde_json_put_u64(j, names[i], s->value[i]);
    sonde_json_end_object(j);
}

static void put_info(sonde_json_writer *j, const sonde_prof__identity *who)
{
    const sonde_prof__config *c = who->config;

    sonde_json_key(j, SONDE_STR("info"));
    sonde_json_begin_object(j);
    sonde_json_key(j, SONDE_STR("application"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "env", c->env);
    sonde_json_end_object(j);
    sonde_json_key(j, SONDE_STR("platform"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "hostname", c->hostname);
    sonde_json_end_object(j);
    sonde_json_key(j, SONDE_STR("runtime"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "engine", SONDE_STR("native"));
    sonde_json_put_str(j, "version", sonde_str_from(who->libc));
    sonde_json_end_object(j);
    sonde_json_key(j, SONDE_STR("profiler"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "activation", SONDE_STR("manual"));
    sonde_json_key(j, SONDE_STR("ssi"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "mechanism", SONDE_STR("none"));
    sonde_json_end_object(j);
    sonde_json_key(j, SONDE_STR("settings"));
    sonde_json_begin_object(j);
    sonde_json_put_double(j, "cpu_hz", c->cpu_frequency);
    sonde_json_put_bool(j, "timeline", c->timeline);
    sonde_json_put_bool(j, "cpu", c->cpu);
    sonde_json_put_bool(j, "wall", c->wall);
    sonde_json_put_bool(j, "alloc", c->alloc);
    sonde_json_put_bool(j, "heap", c->heap);
    sonde_json_put_bool(j, "lock", c->lock);
    sonde_json_end_object(j);
    sonde_json_end_object(j);
    sonde_json_end_object(j);
}

static void write_event(sonde_buf *out, const sonde_prof__report_facts *f, uint64_t seq)
{
    sonde_json_writer j;
    sonde_buf tags;

    sonde_buf_init(&tags, EVENT_MAX_BYTES / 2);
    sonde_prof__report_tags(&tags, f->who, seq, f->pprof->unknown_frames);
    sonde_json_writer_init(&j, out);
    sonde_json_begin_object(&j);
    sonde_json_put_str(&j, "version", SONDE_STR("4"));
    sonde_json_put_str(&j, "family", SONDE_STR("native"));
    put_time(&j, "start", f->pprof->time.start_unix_ns);
    put_time(&j, "end", f->pprof->time.end_unix_ns);
    sonde_json_key(&j, SONDE_STR("attachments"));
    sonde_json_begin_array(&j);
    sonde_json_str(&j, SONDE_STR("profile.pprof"));
    sonde_json_end_array(&j);
    sonde_json_put_str(&j, "tags_profiler", sonde_buf_str(&tags));
    put_endpoint_counts(&j, f->pprof);
    sonde_json_key(&j, SONDE_STR("process_tags"));
    if (f->who->process_tags.len > 0)
        sonde_json_str(&j, f->who->process_tags);
    else
        sonde_json_null(&j);
    put_internal(&j, f->stats, f->who->config->is_guarded);
    put_info(&j, f->who);
    sonde_json_end_object(&j);
    if (tags.status != SONDE_OK && out->status == SONDE_OK)
        out->status = tags.status;
    sonde_buf_done(&tags);
}

/* -- encoding --------------------------------------------------------------------------------------- */

static sonde_status encode_step(sonde_prof__report_facts *f, sonde_buf *out)
{
    sonde_status status;
    sonde_buf plain;

    sonde_buf_init(&plain, PPROF_MAX_BYTES);
    status = sonde_prof__pprof_write(f->pprof, f->step, &plain);
    sonde_buf_reset(out);
    if (status == SONDE_OK && f->who->config->compression)
        sonde_gzip_write(out, sonde_buf_str(&plain));
    else if (status == SONDE_OK)
        sonde_buf_append_str(out, sonde_buf_str(&plain));
    sonde_buf_done(&plain);
    return status == SONDE_OK ? out->status : status;
}

sonde_status sonde_prof__report_encode(const sonde_prof__reports *r, sonde_prof__report_facts *f,
                                       sonde_buf *out_profile, sonde_buf *out_event)
{
    sonde_status status = encode_step(f, out_profile);

    while (status == SONDE_ERR_TOO_BIG && f->step + 1 < SONDE_PROF__PPROF_STEPS) {
        f->step++;
        status = encode_step(f, out_profile);
    }
    if (status != SONDE_OK)
        return status;
    sonde_buf_reset(out_event);
    write_event(out_event, f, r->seq);
    return out_event->status;
}

/* -- the body --------------------------------------------------------------------------------------- */

static void put_part(sonde_buf *b, const char *boundary, const char *name, const char *file,
                     const char *type, sonde_str content)
{
    sonde_buf_printf(b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n",
                     boundary, name, file);
    if (type)
        sonde_buf_printf(b, "Content-Type: %s\r\n", type);
    sonde_buf_append_str(b, SONDE_STR("\r\n"));
    sonde_buf_append_str(b, content);
    sonde_buf_append_str(b, SONDE_STR("\r\n"));
}

static void fill(sonde_prof__upload *u, sonde_str profile, sonde_str event)
{
    memcpy(u->boundary, "sonde-", 6);
    sonde_hex_u64(sonde_random_u64(), u->boundary + 6);
    u->boundary[22] = '\0';
    sonde_buf_reset(&u->body);
    put_part(&u->body, u->boundary, "event", "event.json", "application/json", event);
    put_part(&u->body, u->boundary, "profile.pprof", "profile.pprof", NULL, profile);
    sonde_buf_printf(&u->body, "--%s--\r\n", u->boundary);
}

void sonde_prof__report_push(sonde_prof__reports *r, sonde_str profile, sonde_str event,
                             uint64_t events)
{
    sonde_prof__upload *u;

    if (r->len == SONDE_PROF__REPORTS_MAX)
        lose(r, 0);
    u = &r->items[r->len++];
    memset(u, 0, sizeof(*u));
    u->events = events;
    sonde_buf_init(&u->body, BODY_MAX_BYTES);
    fill(u, profile, event);
    r->seq++;
    if (u->body.status != SONDE_OK)
        lose(r, r->len - 1);
}

void sonde_prof__report_replace(sonde_prof__reports *r, sonde_str profile, sonde_str event)
{
    if (r->len == 0)
        return;
    fill(&r->items[r->len - 1], profile, event);
    if (r->items[r->len - 1].body.status != SONDE_OK)
        lose(r, r->len - 1);
}

void sonde_prof__report_drop_newest(sonde_prof__reports *r)
{
    if (r->len > 0)
        lose(r, r->len - 1);
}

/* -- sending ---------------------------------------------------------------------------------------- */

static int post(const sonde_prof__upload *u, sonde_prof__link *link, uint64_t deadline_mono_ns)
{
    char type[64];
    sonde_http_header headers[] = {
        { SONDE_STR("Connection"), SONDE_STR("close") },
        { SONDE_STR("DD-EVP-ORIGIN"), SONDE_STR("sonde-profiler") },
        { SONDE_STR("DD-EVP-ORIGIN-VERSION"), SONDE_STR(SONDE_VERSION) },
        { SONDE_STR("Content-Type"), { NULL, 0 } },
    };

    (void)snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", u->boundary);
    headers[3].value = sonde_str_from(type);
    return sonde_prof__link_post(link, SONDE_PROF__PROFILE_PATH, headers,
                                 sizeof(headers) / sizeof(headers[0]), sonde_buf_str(&u->body),
                                 deadline_mono_ns)
        .status;
}

/* Network errors and 5xx but 504 are worth another try, at some time of the period to come. */
static bool try_later(sonde_prof__reports *r, int status, uint64_t period_ns)
{
    sonde_prof__upload *u = &r->items[0];

    if (status != 0 && (status < 500 || status == 504))
        return false;
    if (++u->tries >= SONDE_PROF__REPORT_TRIES)
        return false;
    if (period_ns > PAUSE_MAX_NS)
        period_ns = PAUSE_MAX_NS;
    r->next_try_ns = sonde_mono_ns() + sonde_random_u64() % (period_ns + 1);
    return true;
}

/* One answer to the oldest; true: go on. */
static bool take_answer(sonde_prof__reports *r, int status, uint64_t period_ns,
                        sonde_prof__reporting *out)
{
    if (status >= 200 && status < 300) {
        r->events_sent += r->items[0].events;
        r->sent++;
        forget(r, 0);
        return true;
    }
    if (status == 404) {
        *out = SONDE_PROF__REPORT_NEVER;
        return false;
    }
    if (status == 413 && r->len == 1) {
        *out = SONDE_PROF__REPORT_TOO_BIG;
        return false;
    }
    if (try_later(r, status, period_ns)) {
        *out = SONDE_PROF__REPORT_LATER;
        return false;
    }
    SONDE_LOG(SONDE_LOG_WARN, "a profile is lost: status=%d", status);
    lose(r, 0);
    return true;
}

sonde_prof__reporting sonde_prof__report_send(sonde_prof__reports *r, sonde_prof__link *link,
                                              uint64_t period_ns, uint64_t deadline_mono_ns)
{
    sonde_prof__reporting result = SONDE_PROF__REPORTED;

    while (r->len > 0 &&
           take_answer(r, post(&r->items[0], link, deadline_mono_ns), period_ns, &result))
        ;
    return r->len > 0 ? result : SONDE_PROF__REPORTED;
}

/* -- files ------------------------------------------------------------------------------------------ */

bool sonde_prof__report_wants_files(const sonde_prof__config *c)
{
    return c->output_dir.len > 0 || c->output_pprof.len > 0 || c->pprof_prefix.len > 0;
}

static void write_file(sonde_prof__reports *r, const char *path, sonde_str content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    sonde_str rest = content;
    ssize_t n = 0;

    while (fd >= 0 && rest.len > 0 && (n = write(fd, rest.ptr, rest.len)) > 0)
        rest = sonde_str_sub(rest, (size_t)n, rest.len);
    if (fd < 0 || rest.len > 0)
        SONDE_LOG(SONDE_LOG_WARN, "profile not written: file=%s errno=%d",
                  SONDE_LOG_QUOTE(sonde_str_from(path)), errno);
    else
        r->written++;
    if (fd >= 0)
        (void)close(fd);
}

/* "20261125T150405Z" */
static void format_time(uint64_t unix_ns, char out[17])
{
    char text[SONDE_RFC3339_LEN];

    (void)sonde_format_rfc3339((int64_t)unix_ns, text); /* "2026-11-25T15:04:05.123Z" */
    (void)snprintf(out, 17, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", text, text + 5, text + 8, text + 11,
                   text + 14, text + 17);
}

static void write_directory(sonde_prof__reports *r, const sonde_prof__report_facts *f,
                            sonde_str profile, sonde_str event)
{
    sonde_str dir = f->who->config->output_dir;
    char path[4200];
    int len =
        snprintf(path, sizeof(path) - 32, "%.*s/%u.%llu", (int)(dir.len < 4000 ? dir.len : 4000),
                 dir.ptr, f->who->pid, (unsigned long long)r->seq);

    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        SONDE_LOG(SONDE_LOG_WARN, "profile not written: directory=%s errno=%d",
                  SONDE_LOG_QUOTE(sonde_str_from(path)), errno);
        return;
    }
    (void)snprintf(path + len, 32, "/profile.pprof");
    write_file(r, path, profile);
    (void)snprintf(path + len, 32, "/event.json");
    write_file(r, path, event);
}

void sonde_prof__report_write_files(sonde_prof__reports *r, const sonde_prof__report_facts *f,
                                    sonde_str profile, sonde_str event)
{
    const sonde_prof__config *c = f->who->config;
    char path[4200], time[17];

    if (c->output_dir.len > 0)
        write_directory(r, f, profile, event);
    if (c->output_pprof.len > 0) {
        (void)snprintf(path, sizeof(path), "%.*s.%u.%llu",
                       (int)(c->output_pprof.len < 4000 ? c->output_pprof.len : 4000),
                       c->output_pprof.ptr, f->who->pid, (unsigned long long)r->seq);
        write_file(r, path, profile);
    }
    if (c->pprof_prefix.len > 0) {
        format_time(f->pprof->time.end_unix_ns, time);
        (void)snprintf(path, sizeof(path), "%.*s%s.pprof%s",
                       (int)(c->pprof_prefix.len < 4000 ? c->pprof_prefix.len : 4000),
                       c->pprof_prefix.ptr, time, c->compression ? ".gz" : "");
        write_file(r, path, profile);
    }
}
