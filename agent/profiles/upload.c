/* upload.c - event.json, multipart, headers. */
#include "upload.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/rng.h"
#include "codec/compress/compress.h"
#include "codec/json_write.h"
#include "pprof.h"

#define EVENT_MAX_BYTES (256u * 1024)
#define TAGS_MAX_BYTES  (64u * 1024)
#define PROFILE_NAME    "profile.pprof"
#define PROFILE_PATH    "" /* the whole address is the endpoint's */

/* ---- tags ---- */

static const char *const reserved[] = {
    "language",       "runtime",          "service",          "env",
    "version",        "runtime-id",       "profile_seq",      "process_id",
    "cpu_arch",       "profiler_version", "include_kernel",   "runtime_os",
    "remote_symbols", "runtime_version",  "runtime_platform",
};

static void append_value(sonde_buf *out, sonde_str value)
{
    for (size_t i = 0; i < value.len; i++)
        sonde_buf_append_byte(out, value.ptr[i] == ',' ? '_' : (uint8_t)value.ptr[i]);
}

/* Nothing for an empty value. */
static void append_tag(sonde_buf *out, const char *key, sonde_str value)
{
    value = sonde_str_trim(value);
    if (value.len == 0)
        return;
    if (out->len)
        sonde_buf_append_byte(out, ',');
    sonde_buf_append_str(out, sonde_str_from(key));
    sonde_buf_append_byte(out, ':');
    append_value(out, value);
}

static void append_number_tag(sonde_buf *out, const char *key, uint64_t v)
{
    char text[SONDE_U64_MAX_LEN];

    append_tag(out, key, (sonde_str){ text, sonde_format_u64(v, text) });
}

static bool is_reserved(sonde_str key)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (sonde_str_eq(key, sonde_str_from(reserved[i])))
            return true;
    }
    return false;
}

/* The user's, behind ours and never in place of them. */
static void append_user_tags(sonde_buf *out, sonde_str tags)
{
    while (tags.len) {
        sonde_str tag = sonde_str_trim(sonde_str_cut(&tags, ',')), rest = tag;

        if (tag.len == 0 || is_reserved(sonde_str_cut(&rest, ':')))
            continue;
        sonde_buf_append_byte(out, ',');
        sonde_buf_append_str(out, tag);
    }
}

static void write_tags(const window *w, sonde_buf *out)
{
    sonde_str arch = window_text(w, SPB_KEY_ARCH);
    bool is_arm = sonde_str_eq(arch, SONDE_STR("arm64"));

    append_tag(out, "language", SONDE_STR("native"));
    append_tag(out, "runtime", SONDE_STR("native"));
    append_tag(out, "service", window_text(w, SPB_KEY_SERVICE));
    append_tag(out, "env", window_text(w, SPB_KEY_ENV));
    append_tag(out, "version", window_text(w, SPB_KEY_VERSION));
    append_tag(out, "runtime-id", window_text(w, SPB_KEY_RUNTIME_ID));
    append_tag(out, "profiler_version", window_text(w, SPB_KEY_PROFILER));
    append_number_tag(out, "profile_seq", w->seq);
    append_number_tag(out, "process_id", w->who.pid);
    append_tag(out, "cpu_arch", arch);
    append_tag(out, "include_kernel",
               w->who.flags & SPB_FLAG_KERNEL ? SONDE_STR("true") : SONDE_STR("false"));
    if (pprof_has_unknown(w->profile))
        append_tag(out, "remote_symbols", SONDE_STR("yes"));
    append_tag(out, "runtime_os", SONDE_STR("linux"));
    append_tag(out, "runtime_version", window_text(w, SPB_KEY_LIBC));
    append_user_tags(out, sonde_str_from(w->who.tags));
    append_tag(out, "runtime_platform",
               is_arm ? SONDE_STR("aarch64-unknown-linux-gnu")
                      : SONDE_STR("x86_64-unknown-linux-gnu"));
}

/* ---- event.json ---- */

static void put_time(sonde_json_writer *j, const char *key, int64_t unix_ns)
{
    char text[SONDE_RFC3339_LEN + 16];
    int64_t part = unix_ns % 1000000000;
    int n;

    (void)sonde_format_rfc3339(unix_ns, text); /* "2026-11-25T15:04:05.123Z" */
    n = snprintf(text + 20, sizeof(text) - 20, "%09lldZ",
                 (long long)(part < 0 ? part + 1000000000 : part));
    sonde_json_put_str(j, key, (sonde_str){ text, 20 + (size_t)n });
}

static void put_endpoint_counts(sonde_json_writer *j, const profile *p)
{
    uint64_t *sums = sonde_calloc(p->strings_len, sizeof(*sums)); /* by name */

    if (!sums) {
        j->out->status = SONDE_ERR_NOMEM;
        return;
    }
    for (uint32_t i = 0; i < p->endpoints_len; i++)
        sums[p->endpoints[i].endpoint] += p->endpoints[i].finished;
    sonde_json_key(j, SONDE_STR("endpoint_counts"));
    sonde_json_begin_object(j);
    for (uint32_t name = 1; name < p->strings_len; name++) {
        if (sums[name])
            sonde_json_put_u64(j, p->strings[name].ptr, sums[name]);
    }
    sonde_json_end_object(j);
    sonde_free(sums);
}

/* Counters of record STATS; the first three have one for each kind, the fourth one for each end of a walk. */
static const char *const stat_names[] = {
    [1] = "samples",
    [2] = "lost",
    [3] = "lost_value",
    [4] = "unwind",
    [5] = "handler_ns",
    [6] = "handler_max_ns",
    [7] = "hook_ns",
    [8] = "drain_ns",
    [9] = "arena_bytes",
    [10] = "live_entries",
    [11] = "live_full",
    [12] = "unknown_thread",
    [13] = "foreign_signals",
    [14] = "timer_failures",
    [15] = "snapshot_refreshes",
    [16] = "table_bytes",
    [17] = "cpu_period_ns",
    [18] = "wall_interval_ns",
    [19] = "overhead_ppm",
    [20] = "fp_guessed",
    [21] = "wall_discarded",
    [22] = "wall_reused",
    [23] = "heap_started_late_ms",
    [24] = "cpu_engine",
    [25] = "event_failures",
};
static const char *const kind_names[SPB_KINDS] = {
    [SPB_CPU] = "cpu",       [SPB_WALL] = "wall",       [SPB_ALLOC] = "alloc",
    [SPB_LOCK] = "lock",     [SPB_IO] = "io",           [SPB_EXCEPTION] = "exception",
    [SPB_CUSTOM] = "custom", [SPB_RELEASE] = "release",
};

bool upload_stat_name(size_t id, size_t part, char out[64])
{
    const char *name = id < sizeof(stat_names) / sizeof(stat_names[0]) ? stat_names[id] : NULL;

    if (!name)
        return false;
    if (id > 4)
        (void)snprintf(out, 64, "%s", name);
    else if (id < 4 && part < SPB_KINDS && kind_names[part])
        (void)snprintf(out, 64, "%s_%s", name, kind_names[part]);
    else
        (void)snprintf(out, 64, "%s_%zu", name, part);
    return id <= 4 || part == 0;
}

static void put_stats(sonde_json_writer *j, const session_stats *stats)
{
    char name[64];

    for (size_t id = 0; id < SESSION_STATS_MAX; id++) {
        for (size_t part = 0; part < SESSION_PARTS_MAX; part++) {
            if ((stats->present[id] & 1u << part) && upload_stat_name(id, part, name))
                sonde_json_put_i64(j, name, stats->value[id][part]);
        }
    }
}

static void put_internal(sonde_json_writer *j, const upload_frame *f, const window *w)
{
    const session_counters *n = &w->counters;

    sonde_json_key(j, SONDE_STR("internal"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "sonde_version", sonde_str_from(f->agent_version));
    put_stats(j, &w->stats);
    sonde_json_put_u64(j, "rows", n->rows);
    sonde_json_put_u64(j, "rows_clamped", n->clamped);
    sonde_json_put_u64(j, "unknown_contexts", n->unknown_contexts);
    sonde_json_put_u64(j, "dictionary_left_out", n->left_out);
    sonde_json_put_u64(j, "stacks_cut", n->too_deep);
    sonde_json_put_u64(j, "late_batches", w->late_batches);
    for (size_t i = 0; i < PROFILE_LOSSES; i++) {
        if (w->profile->lost[i])
            sonde_json_put_u64(j, profile_loss_names[i], w->profile->lost[i]);
    }
    if (w->profile->timeline_truncated)
        sonde_json_put_bool(j, "timeline_truncated", true);
    sonde_json_end_object(j);
}

static void put_info(sonde_json_writer *j, const window *w)
{
    sonde_json_key(j, SONDE_STR("info"));
    sonde_json_begin_object(j);
    sonde_json_key(j, SONDE_STR("platform"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "hostname", window_text(w, SPB_KEY_HOSTNAME));
    sonde_json_end_object(j);
    sonde_json_key(j, SONDE_STR("runtime"));
    sonde_json_begin_object(j);
    sonde_json_put_str(j, "engine", SONDE_STR("native"));
    sonde_json_put_str(j, "version", window_text(w, SPB_KEY_LIBC));
    sonde_json_end_object(j);
    sonde_json_key(j, SONDE_STR("profiler"));
    sonde_json_begin_object(j);
    sonde_json_key(j, SONDE_STR("settings"));
    sonde_json_begin_object(j);
    for (size_t k = SPB_CPU; k < SPB_KINDS; k++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "%s_interval", kind_names[k]);
        if (w->who.interval[k])
            sonde_json_put_u64(j, name, w->who.interval[k]);
    }
    sonde_json_end_object(j);
    sonde_json_end_object(j);
    sonde_json_end_object(j);
}

static void write_event(const upload_frame *f, const window *w, sonde_buf *out)
{
    sonde_str process_tags = window_text(w, SPB_KEY_PROCESS_TAGS);
    sonde_json_writer j;
    sonde_buf tags;

    sonde_buf_init(&tags, TAGS_MAX_BYTES);
    write_tags(w, &tags);
    sonde_json_writer_init(&j, out);
    sonde_json_begin_object(&j);
    sonde_json_put_str(&j, "version", SONDE_STR("4"));
    sonde_json_put_str(&j, "family", SONDE_STR("native"));
    put_time(&j, "start", w->start_unix_ns);
    put_time(&j, "end", w->end_unix_ns);
    sonde_json_key(&j, SONDE_STR("attachments"));
    sonde_json_begin_array(&j);
    sonde_json_str(&j, SONDE_STR(PROFILE_NAME));
    sonde_json_end_array(&j);
    sonde_json_put_str(&j, "tags_profiler", sonde_buf_str(&tags));
    put_endpoint_counts(&j, w->profile);
    if (process_tags.len)
        sonde_json_put_str(&j, "process_tags", process_tags);
    put_internal(&j, f, w);
    put_info(&j, w);
    sonde_json_end_object(&j);
    if (tags.status == SONDE_ERR_NOMEM)
        out->status = tags.status;
    sonde_buf_done(&tags);
}

/* ---- the profile ---- */

static sonde_str base_name(sonde_str path)
{
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

    return slash ? sonde_str_sub(path, (size_t)(slash - path.ptr) + 1, path.len) : path;
}

static sonde_status encode(window *w, pprof_options *o, sonde_buf *out, size_t *out_plain)
{
    sonde_buf plain;
    sonde_status status;

    sonde_buf_init(&plain, PPROF_MAX_BYTES);
    status = pprof_encode(w->profile, o, &plain);
    if (status == SONDE_OK)
        status = sonde_compress(SONDE_ENCODING_ZSTD, 1, sonde_buf_str(&plain), out);
    *out_plain = plain.len;
    sonde_buf_done(&plain);
    return status;
}

/* Gives up detail until it fits. */
static sonde_status encode_to_size(const upload_frame *f, window *w, sonde_buf *out,
                                   upload_facts *facts)
{
    char pid[SONDE_U64_MAX_LEN];
    pprof_options o = {
        .start_unix_ns = w->start_unix_ns,
        .duration_ns = w->end_unix_ns > w->start_unix_ns
                           ? (uint64_t)w->end_unix_ns - (uint64_t)w->start_unix_ns
                           : 0,
        .process_id = { pid, sonde_format_u64(w->who.pid, pid) },
        .process_name = base_name(window_text(w, SPB_KEY_EXE)),
        .container_id = sonde_str_from(w->who.container),
        .inlines_in_one = f->inlines_in_one,
    };
    sonde_status status;

    for (facts->steps = 0;; facts->steps++) {
        sonde_buf_reset(out);
        o.no_timeline = facts->steps >= 1;
        o.max_depth = facts->steps >= 2 ? PPROF_CUT_DEPTH : 0;
        o.cut_share = facts->steps >= 3 ? PPROF_CUT_SHARE : 0;
        status = encode(w, &o, out, &facts->pprof_bytes);
        if (status == SONDE_OK && out->len <= f->max_bytes)
            return SONDE_OK;
        if (facts->steps == 3 || (status != SONDE_OK && status != SONDE_ERR_TOO_BIG))
            return status; /* as small as it gets: up to PPROF_HARD_MAX_BYTES it is sent */
    }
}

/* ---- the request ---- */

static void open_part(const upload_frame *f, sonde_buf *out, const char *name,
                      const char *file_name, const char *type)
{
    sonde_buf_printf(out,
                     "--%s\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n",
                     f->boundary, name, file_name);
    if (type)
        sonde_buf_printf(out, "Content-Type: %s\r\n", type);
    sonde_buf_append_str(out, SONDE_STR("\r\n"));
}

static void write_multipart(const upload_frame *f, const window *w, const sonde_buf *pprof,
                            sonde_buf *out)
{
    sonde_buf event;

    sonde_buf_init(&event, EVENT_MAX_BYTES + PROFILE_TEXT_MAX_BYTES);
    write_event(f, w, &event);
    open_part(f, out, "event", "event.json", "application/json");
    sonde_buf_append_str(out, sonde_buf_str(&event));
    sonde_buf_append_str(out, SONDE_STR("\r\n"));
    open_part(f, out, PROFILE_NAME, PROFILE_NAME, NULL);
    sonde_buf_append_str(out, sonde_buf_str(pprof));
    sonde_buf_printf(out, "\r\n--%s--\r\n", f->boundary);
    if (event.status != SONDE_OK)
        out->status = event.status;
    sonde_buf_done(&event);
}

/* A line that does not fit any more is left out. */
static void add_header(char *out, size_t size, const char *name, sonde_str value)
{
    size_t len = strlen(out);

    if (value.len == 0 || len + strlen(name) + value.len + 4 > size)
        return;
    (void)snprintf(out + len, size - len, "%s: %.*s\n", name, SONDE_STR_ARG(value));
}

sonde_status upload_make(const upload_frame *f, window *w, sonde_str container_tags, upload *out,
                         upload_facts *out_facts)
{
    upload_facts facts = { 0 };
    upload u = { .kind = UPLOAD_PROFILES,
                 .path = f->path,
                 .content_type = f->content_type,
                 .content_encoding = "",
                 .items = w->profile->rows,
                 .chunks = 1 };
    sonde_buf pprof, body;
    sonde_status status;

    sonde_buf_init(&pprof, PPROF_HARD_MAX_BYTES);
    sonde_buf_init(&body, PPROF_HARD_MAX_BYTES + EVENT_MAX_BYTES + PROFILE_TEXT_MAX_BYTES);
    status = encode_to_size(f, w, &pprof, &facts);
    if (status == SONDE_OK) {
        write_multipart(f, w, &pprof, &body);
        status = body.status;
    }
    if (status == SONDE_OK) {
        add_header(u.headers, sizeof(u.headers), "DD-EVP-ORIGIN", SONDE_STR("sonde-profiler"));
        add_header(u.headers, sizeof(u.headers), "DD-EVP-ORIGIN-VERSION",
                   window_text(w, SPB_KEY_PROFILER));
        add_header(u.headers, sizeof(u.headers), "Via", f->via);
        add_header(u.headers, sizeof(u.headers), "X-Datadog-Additional-Tags", f->tags);
        add_header(u.headers, sizeof(u.headers), "X-Datadog-Container-Tags", container_tags);
        u.body = sonde_buf_take(&body, &u.body_len);
        facts.wire_bytes = u.body_len;
        *out = u;
        *out_facts = facts;
    }
    sonde_buf_done(&pprof);
    sonde_buf_done(&body);
    return status;
}

void upload_frame_init(upload_frame *f, const char *agent_version)
{
    char hex[33] = { 0 };

    *f = (upload_frame){ .path = PROFILE_PATH,
                         .agent_version = agent_version,
                         .max_bytes = PPROF_WIRE_MAX_BYTES };
    sonde_hex_u64(sonde_random_u64(), hex);
    sonde_hex_u64(sonde_random_u64(), hex + 16);
    (void)snprintf(f->boundary, sizeof(f->boundary), "sonde-%s", hex);
    (void)snprintf(f->content_type, sizeof(f->content_type), "multipart/form-data; boundary=%s",
                   f->boundary);
}
