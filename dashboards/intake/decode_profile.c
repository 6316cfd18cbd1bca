/* decode_profile.c - see decode_profile.h. */
#include "dashboards/intake/decode_profile.h"

#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "codec/compress/compress.h"
#include "codec/json_read.h"
#include "codec/pprof_read.h"
#include "dashboards/intake/multipart.h"

#define EVENT_TEXT_MAX_BYTES (1u * 1024 * 1024)
#define NAME_MAX_BYTES       256

const char *const profile_skip_names[PROFILE_SKIPS] = {
#define X(name, text) text,
    PROFILE_SKIP_MAP(X)
#undef X
};

/* ---- event.json ---- */

typedef struct event {
    sonde_json_reader json;
    sonde_arena text;
    store_profile about; /* what is the same for every attachment */
    bool started, ended;
    bool no_memory;
} event;

static bool keep(event *e, sonde_str text, sonde_str *out)
{
    *out = sonde_arena_copy(&e->text, text);
    e->no_memory |= out->ptr == NULL;
    return out->ptr != NULL;
}

static bool read_time(event *e, sonde_json_event first, int64_t *out, bool *out_found)
{
    if (first != SONDE_JSON_STRING)
        return sonde_json_skip(&e->json, first);
    *out_found = sonde_parse_rfc3339(e->json.text, out) == SONDE_OK;
    return *out_found;
}

static bool read_start(void *user, sonde_json_event first)
{
    event *e = (event *)user;

    return read_time(e, first, &e->about.start_unix_ns, &e->started);
}

static bool read_end(void *user, sonde_json_event first)
{
    event *e = (event *)user;

    return read_time(e, first, &e->about.end_unix_ns, &e->ended);
}

static bool read_tags(void *user, sonde_json_event first)
{
    event *e = (event *)user;

    if (first == SONDE_JSON_STRING)
        return keep(e, e->json.text, &e->about.tags);
    return sonde_json_skip(&e->json, first);
}

static bool read_family(void *user, sonde_json_event first)
{
    event *e = (event *)user;

    if (first == SONDE_JSON_STRING)
        return keep(e, sonde_str_sub(e->json.text, 0, NAME_MAX_BYTES), &e->about.family);
    return sonde_json_skip(&e->json, first);
}

/* "service:shop,env:dev,..."; the first of a name counts. */
static void read_known_tags(store_profile *about)
{
    sonde_str left = about->tags;

    while (left.len) {
        sonde_str value = sonde_str_trim(sonde_str_cut(&left, ','));
        sonde_str key = sonde_str_cut(&value, ':');
        sonde_str *to = NULL;

        value = sonde_str_sub(value, 0, sonde_utf8_cut(value, NAME_MAX_BYTES));
        if (sonde_str_eq(key, SONDE_STR("service")))
            to = &about->service;
        else if (sonde_str_eq(key, SONDE_STR("env")) || sonde_str_eq(key, SONDE_STR("default_env")))
            to = &about->env;
        else if (sonde_str_eq(key, SONDE_STR("version")))
            to = &about->version;
        else if (sonde_str_eq(key, SONDE_STR("host")))
            to = &about->host;
        else if (sonde_str_eq(key, SONDE_STR("runtime-id")))
            to = &about->runtime_id;
        else if (sonde_str_eq(key, SONDE_STR("language")) && about->family.len == 0)
            to = &about->family;
        if (to && to->len == 0)
            *to = value;
    }
    if (about->service.len == 0)
        about->service = SONDE_STR("unnamed-service");
}

static sonde_status read_event(event *e, sonde_str json)
{
    static const sonde_json_member members[] = {
        { "start", read_start },   { "end", read_end }, { "tags_profiler", read_tags },
        { "family", read_family }, { NULL, NULL },
    };
    sonde_status status = SONDE_OK;

    sonde_json_reader_init(&e->json, json, EVENT_TEXT_MAX_BYTES);
    if (sonde_json_next(&e->json) != SONDE_JSON_OBJECT ||
        !sonde_json_read_members(&e->json, members, e) ||
        sonde_json_next(&e->json) != SONDE_JSON_END)
        status = SONDE_ERR_SYNTAX;
    if (e->no_memory || e->json.status == SONDE_ERR_NOMEM)
        status = SONDE_ERR_NOMEM;
    sonde_json_reader_done(&e->json);
    if (status == SONDE_OK && (!e->started || !e->ended))
        status = SONDE_ERR_SYNTAX;
    if (status == SONDE_OK && e->about.end_unix_ns < e->about.start_unix_ns)
        e->about.end_unix_ns = e->about.start_unix_ns;
    read_known_tags(&e->about);
    return status;
}

/* ---- attachments ---- */

static bool has_magic(sonde_str s, const char *magic, size_t len)
{
    return s.len >= len && memcmp(s.ptr, magic, len) == 0;
}

static bool is_event(const multipart_part *part)
{
    return sonde_str_eq(part->name, SONDE_STR("event")) ||
           sonde_str_eq(part->filename, SONDE_STR("event.json"));
}

static bool is_pprof(sonde_str name)
{
    return sonde_str_ends(name, SONDE_STR(".pprof")) || sonde_str_ends(name, SONDE_STR(".pb")) ||
           sonde_str_ends(name, SONDE_STR(".pb.gz"));
}

/* "cpu-samples/count,cpu-time/nanoseconds" */
static void write_types(const sonde_pprof_view *v, sonde_buf *out)
{
    size_t i;

    for (i = 0; i < v->types_len; i++) {
        if (i)
            sonde_buf_append_byte(out, ',');
        sonde_buf_append_str(out, v->types[i].type);
        sonde_buf_append_byte(out, '/');
        sonde_buf_append_str(out, v->types[i].unit);
    }
}

/* The message of an attachment: itself, or what comes out into `inflated`. */
static sonde_status unpack(sonde_str body, sonde_buf *inflated, sonde_str *out)
{
    sonde_encoding e = SONDE_ENCODING_IDENTITY;
    sonde_status status;

    if (has_magic(body, "\x1f\x8b", 2))
        e = SONDE_ENCODING_GZIP;
    else if (has_magic(body, "\x28\xb5\x2f\xfd", 4))
        e = SONDE_ENCODING_ZSTD;
    *out = body;
    if (e == SONDE_ENCODING_IDENTITY)
        return SONDE_OK;
    status = sonde_decompress(e, body, inflated);
    *out = sonde_buf_str(inflated);
    return status;
}

/* Checks the message and adds it to the batch, compressed the way the store has it. */
static sonde_status add_message(sonde_str message, store_batch *batch, const store_profile *about)
{
    store_profile p = *about;
    sonde_buf types, body;
    sonde_pprof_view v;
    sonde_status status = sonde_pprof_view_decode(&v, message);

    if (status != SONDE_OK)
        return status;
    sonde_buf_init(&types, 64u * 1024);
    sonde_buf_init(&body, PROFILE_MESSAGE_MAX);
    write_types(&v, &types);
    p.types = sonde_buf_str(&types);
    p.samples = v.samples_len;
    sonde_pprof_view_done(&v);
    status = types.status;
    if (status == SONDE_OK)
        status = sonde_compress(SONDE_ENCODING_ZSTD, 0, message, &body);
    if (status == SONDE_OK) {
        p.body = sonde_buf_take(&body, &p.body_len);
        status = p.body ? store_batch_add_profile(batch, &p) : SONDE_ERR_NOMEM;
        if (status != SONDE_OK)
            sonde_free(p.body);
    }
    sonde_buf_done(&types);
    sonde_buf_done(&body);
    return status;
}

static sonde_status add_attachment(const multipart_part *part, store_batch *batch,
                                   store_profile *about, profile_counts *counts)
{
    sonde_str name = part->filename.len ? part->filename : part->name, message;
    sonde_buf inflated;
    sonde_status status;

    counts->attachments++;
    if (!is_pprof(name)) {
        counts->skipped[PROFILE_SKIP_NOT_PPROF]++;
        return SONDE_OK;
    }
    if (has_magic(part->body, "\x04\x22\x4d\x18", 4)) {
        counts->skipped[PROFILE_SKIP_LZ4]++;
        return SONDE_OK;
    }
    about->name = sonde_str_sub(name, 0, sonde_utf8_cut(name, NAME_MAX_BYTES));
    sonde_buf_init(&inflated, PROFILE_MESSAGE_MAX);
    status = unpack(part->body, &inflated, &message);
    if (status == SONDE_OK)
        status = add_message(message, batch, about);
    sonde_buf_done(&inflated);
    if (status == SONDE_ERR_NOMEM)
        return status;
    if (status == SONDE_OK)
        counts->profiles++;
    else
        counts->skipped[status == SONDE_ERR_TOO_BIG ? PROFILE_SKIP_TOO_BIG
                                                    : PROFILE_SKIP_MALFORMED]++;
    return SONDE_OK;
}

/* ---- the upload ---- */

typedef struct upload {
    multipart_part parts[MULTIPART_PARTS_MAX];
    size_t len;
    const multipart_part *event;
} upload;

static sonde_status read_parts(upload *u, sonde_str content_type, sonde_str body)
{
    multipart m;
    multipart_part part;
    sonde_status status = multipart_open(&m, content_type, body);

    if (status != SONDE_OK)
        return status;
    while (multipart_next(&m, &part)) {
        u->parts[u->len] = part;
        if (is_event(&part))
            u->event = &u->parts[u->len];
        u->len++;
    }
    if (m.status != SONDE_OK)
        return m.status;
    return u->event ? SONDE_OK : SONDE_ERR_SYNTAX; /* none: a client of before version 4 */
}

static sonde_status add_attachments(const upload *u, store_batch *batch, store_profile *about,
                                    profile_counts *counts)
{
    sonde_status status = SONDE_OK;
    size_t i;

    for (i = 0; i < u->len && status == SONDE_OK; i++)
        if (&u->parts[i] != u->event)
            status = add_attachment(&u->parts[i], batch, about, counts);
    if (status != SONDE_OK || counts->profiles)
        return status;
    if (counts->skipped[PROFILE_SKIP_TOO_BIG])
        return SONDE_ERR_TOO_BIG;
    return counts->skipped[PROFILE_SKIP_MALFORMED] ? SONDE_ERR_SYNTAX : SONDE_OK;
}

sonde_status profile_decode(sonde_str content_type, sonde_str body, store_batch *batch,
                            profile_counts *out_counts)
{
    upload *u = (upload *)sonde_calloc(1, sizeof(*u));
    event e = { .no_memory = false };
    sonde_status status;

    memset(out_counts, 0, sizeof(*out_counts));
    if (!u)
        return SONDE_ERR_NOMEM;
    sonde_arena_init(&e.text, EVENT_TEXT_MAX_BYTES * 2);
    status = read_parts(u, content_type, body);
    if (status == SONDE_OK)
        status = read_event(&e, u->event->body);
    if (status == SONDE_OK)
        status = add_attachments(u, batch, &e.about, out_counts);
    sonde_arena_done(&e.text);
    sonde_free(u);
    return status;
}
