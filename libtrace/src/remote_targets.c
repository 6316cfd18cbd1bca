/* remote_targets.c - the answer is gone over twice: first for the list, then for what is said about it. */
#include "remote_targets.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/parse.h"
#include "codec/json_read.h"

typedef struct reading {
    sonde_json_reader json;
    sonde__remote_answer *out;
    char *error;
    sonde_status status;      /* of the first complaint */
    sonde__remote_target *at; /* being described */
} reading;

/* The first complaint stays. */
static bool reject(reading *in, sonde_status status, const char *what, sonde_str about)
{
    if (in->status == SONDE_OK)
        (void)snprintf(in->error, SONDE__REMOTE_ERROR_ROOM, "%s%s%s", what, about.len ? ": " : "",
                       about.len ? SONDE_LOG_QUOTE(sonde_str_sub(about, 0, 160)) : "");
    if (in->status == SONDE_OK)
        in->status = status;
    return false;
}

static bool reject_plain(reading *in, sonde_status status, const char *what)
{
    return reject(in, status, what, (sonde_str){ NULL, 0 });
}

/* -- paths ---------------------------------------------------------------------------------------- */

const char *sonde__product_name(sonde__product product)
{
    static const char *const names[SONDE__PRODUCTS] = {
        [SONDE__APM_TRACING] = "APM_TRACING",
        [SONDE__AGENT_CONFIG] = "AGENT_CONFIG",
        [SONDE__AGENT_TASK] = "AGENT_TASK",
    };

    return names[product];
}

static bool find_product(sonde_str name, sonde__product *out)
{
    int i;

    for (i = 0; i < SONDE__PRODUCTS; i++) {
        if (!sonde_str_eq(name, sonde_str_from(sonde__product_name((sonde__product)i))))
            continue;
        *out = (sonde__product)i;
        return true;
    }
    return false;
}

bool sonde__remote_path_parse(sonde_str path, sonde__remote_path *out)
{
    sonde_str first = sonde_str_cut(&path, '/');
    uint64_t org;

    if (sonde_str_eq(first, SONDE_STR("datadog"))) {
        if (sonde_parse_u64(sonde_str_cut(&path, '/'), &org) == SONDE_ERR_SYNTAX)
            return false;
    } else if (!sonde_str_eq(first, SONDE_STR("employee"))) {
        return false;
    }
    if (!find_product(sonde_str_cut(&path, '/'), &out->product))
        return false;
    out->id = sonde_str_cut(&path, '/');
    out->name = path;
    return out->id.len > 0 && path.len > 0 && !memchr(path.ptr, '/', path.len);
}

/* -- the list ------------------------------------------------------------------------------------- */

static sonde__remote_target *find_target(sonde__remote_answer *a, sonde_str path)
{
    uint32_t i;

    for (i = 0; i < a->len; i++)
        if (sonde_str_eq(a->target[i].path, path))
            return &a->target[i];
    return NULL;
}

static bool list_path(reading *in)
{
    sonde__remote_target *t = &in->out->target[in->out->len];
    sonde_str path = in->json.text;

    if (find_target(in->out, path))
        return true;
    if (in->out->len == SONDE__REMOTE_CONFIGS_MAX)
        return reject_plain(in, SONDE_ERR_TOO_BIG, "too many configurations");
    if (path.len > SONDE__REMOTE_PATH_MAX_BYTES)
        return reject(in, SONDE_ERR_TOO_BIG, "too long a path", path);
    memset(t, 0, sizeof(*t));
    t->path = sonde_arena_copy(&in->out->texts, path);
    if (!t->path.ptr)
        return reject_plain(in, SONDE_ERR_NOMEM, "no memory for the paths");
    if (!sonde__remote_path_parse(t->path, &t->parts))
        return reject(in, SONDE_ERR_SYNTAX, "not a path this client asked for", path);
    in->out->len++;
    return true;
}

static bool read_list(void *arg, sonde_json_event e)
{
    reading *in = arg;
    if (e != SONDE_JSON_ARRAY)
        return e == SONDE_JSON_NULL ||
               reject_plain(in, SONDE_ERR_SYNTAX, "client_configs is not an array");
    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_STRING)
        if (!list_path(in))
            return false;
    return e == SONDE_JSON_ARRAY_END ||
           reject_plain(in, SONDE_ERR_SYNTAX, "client_configs is not a list of paths");
}

/* -- walking objects ------------------------------------------------------------------------------ */

static bool read_members(reading *in, const sonde_json_member *table)
{
    return sonde_json_read_members(&in->json, table, in);
}

static bool read_object(reading *in, sonde_json_event e, const sonde_json_member *table)
{
    if (e != SONDE_JSON_OBJECT)
        return sonde_json_skip(&in->json, e);
    return read_members(in, table);
}

/* All of `json` as one object. */
static bool read_document(reading *in, sonde_str json, const char *what,
                          const sonde_json_member *table)
{
    bool ok;

    sonde_json_reader_init(&in->json, json, json.len);
    ok = sonde_json_next(&in->json) == SONDE_JSON_OBJECT && read_members(in, table) &&
         sonde_json_next(&in->json) == SONDE_JSON_END;
    if (!ok)
        (void)reject(in, in->json.status == SONDE_ERR_NOMEM ? SONDE_ERR_NOMEM : SONDE_ERR_SYNTAX,
                     what, sonde_str_from(in->json.error));
    sonde_json_reader_done(&in->json);
    return ok;
}

/* -- targets -------------------------------------------------------------------------------------- */

static bool read_number(reading *in, sonde_json_event e, uint64_t *to)
{
    if (e == SONDE_JSON_NUMBER && sonde_parse_u64(in->json.text, to) == SONDE_OK)
        return true;
    return reject_plain(in, SONDE_ERR_SYNTAX, "targets: not a whole number");
}

static bool read_length(void *arg, sonde_json_event e)
{
    reading *in = arg;
    return read_number(in, e, &in->at->length);
}

static bool read_v(void *arg, sonde_json_event e)
{
    reading *in = arg;
    return read_number(in, e, &in->at->version);
}

static bool read_custom(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = { { "v", read_v }, { NULL, NULL } };

    return read_object(in, e, table);
}

static bool read_sha256(void *arg, sonde_json_event e)
{
    reading *in = arg;
    sonde_str text = in->json.text;
    int i, j;

    if (e != SONDE_JSON_STRING || text.len != 64)
        return reject_plain(in, SONDE_ERR_SYNTAX, "targets: not a SHA-256");
    for (i = 0; i < 4; i++) {
        uint64_t word;

        if (sonde_hex_parse_u64(sonde_str_sub(text, (size_t)i * 16, 16), 1, &word) != SONDE_OK)
            return reject_plain(in, SONDE_ERR_SYNTAX, "targets: not a SHA-256");
        for (j = 0; j < 8; j++)
            in->at->sha256[i * 8 + j] = (uint8_t)(word >> (56 - 8 * j));
    }
    in->at->described = true;
    return true;
}

static bool read_hashes(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = { { "sha256", read_sha256 }, { NULL, NULL } };

    return read_object(in, e, table);
}

static bool read_target(reading *in, sonde_json_event e)
{
    static const sonde_json_member table[] = { { "length", read_length },
                                               { "hashes", read_hashes },
                                               { "custom", read_custom },
                                               { NULL, NULL } };

    return read_object(in, e, table);
}

/* {"<path>":{...}} */
static bool read_target_list(void *arg, sonde_json_event e)
{
    reading *in = arg;
    if (e != SONDE_JSON_OBJECT)
        return sonde_json_skip(&in->json, e);
    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_KEY) {
        in->at = find_target(in->out, in->json.text);
        e = sonde_json_next(&in->json);
        if (in->at ? !read_target(in, e) : !sonde_json_skip(&in->json, e))
            return false;
    }
    return e == SONDE_JSON_OBJECT_END;
}

static bool read_state(void *arg, sonde_json_event e)
{
    reading *in = arg;
    if (e != SONDE_JSON_STRING)
        return sonde_json_skip(&in->json, e);
    if (in->json.text.len > SONDE__REMOTE_BACKEND_STATE_MAX_BYTES)
        return reject_plain(in, SONDE_ERR_TOO_BIG, "targets: too long a state of the backend");
    in->out->backend_state = sonde_arena_copy(&in->out->texts, in->json.text);
    return in->out->backend_state.ptr ||
           reject_plain(in, SONDE_ERR_NOMEM, "no memory for the backend's state");
}

static bool read_signed_custom(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = { { "opaque_backend_state", read_state },
                                               { NULL, NULL } };

    return read_object(in, e, table);
}

static bool read_version(void *arg, sonde_json_event e)
{
    reading *in = arg;
    return read_number(in, e, &in->out->version);
}

static bool read_signed(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = { { "version", read_version },
                                               { "custom", read_signed_custom },
                                               { "targets", read_target_list },
                                               { NULL, NULL } };

    if (e != SONDE_JSON_OBJECT)
        return reject_plain(in, SONDE_ERR_SYNTAX, "targets: \"signed\" is not an object");
    in->out->says_something = true;
    return read_members(in, table);
}

/* -- base64 --------------------------------------------------------------------------------------- */

/* The text at hand, decoded into the answer's memory; ptr NULL: rejected. */
static sonde_str decode(reading *in, const char *what)
{
    sonde_str text = in->json.text;
    uint8_t *to = (uint8_t *)sonde_arena_alloc(&in->out->texts, sonde_base64_decode_max(text.len));
    size_t len;

    if (!to) {
        (void)reject_plain(in, SONDE_ERR_NOMEM, "no memory for the files");
        return (sonde_str){ NULL, 0 };
    }
    if (sonde_base64_decode(text, to, &len) != SONDE_OK) {
        (void)reject_plain(in, SONDE_ERR_SYNTAX, what);
        return (sonde_str){ NULL, 0 };
    }
    return (sonde_str){ (const char *)to, len };
}

/* A document within the document: a reader of its own. */
static bool read_targets(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = { { "signed", read_signed }, { NULL, NULL } };
    reading inner = { .out = in->out, .error = in->error };
    sonde_str json;

    if (e != SONDE_JSON_STRING)
        return e == SONDE_JSON_NULL ||
               reject_plain(in, SONDE_ERR_SYNTAX, "targets is not a string");
    if (in->json.text.len == 0)
        return true;
    json = decode(in, "targets is not base64");
    if (!json.ptr)
        return false;
    if (!read_document(&inner, json, "targets is not JSON", table)) {
        in->status = inner.status;
        return false;
    }
    return in->out->says_something || reject_plain(in, SONDE_ERR_SYNTAX, "targets: no \"signed\"");
}

/* -- files ---------------------------------------------------------------------------------------- */

static bool read_path(reading *in, sonde_json_event e)
{
    if (e == SONDE_JSON_STRING)
        in->at = find_target(in->out, in->json.text);
    return sonde_json_skip(&in->json, e);
}

static bool read_raw(reading *in, sonde_json_event e, sonde_str *out)
{
    if (e != SONDE_JSON_STRING)
        return sonde_json_skip(&in->json, e);
    *out = decode(in, "a file is not base64");
    return out->ptr != NULL;
}

/* {"path":"...","raw":"..."}, in any order */
static bool read_file(reading *in)
{
    sonde_str raw = { NULL, 0 };
    sonde_json_event e;

    in->at = NULL;
    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_KEY) {
        bool is_path = sonde_str_eq(in->json.text, SONDE_STR("path"));
        bool is_raw = sonde_str_eq(in->json.text, SONDE_STR("raw"));

        e = sonde_json_next(&in->json);
        if (is_path  ? !read_path(in, e)
            : is_raw ? !read_raw(in, e, &raw)
                     : !sonde_json_skip(&in->json, e))
            return false;
    }
    if (in->at && raw.ptr)
        in->at->file = raw;
    return e == SONDE_JSON_OBJECT_END;
}

static bool read_files(void *arg, sonde_json_event e)
{
    reading *in = arg;
    if (e != SONDE_JSON_ARRAY)
        return e == SONDE_JSON_NULL ||
               reject_plain(in, SONDE_ERR_SYNTAX, "target_files is not an array");
    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_OBJECT)
        if (!read_file(in))
            return false;
    return e == SONDE_JSON_ARRAY_END ||
           reject_plain(in, SONDE_ERR_SYNTAX, "target_files is not a list of files");
}

/* -- all of it ------------------------------------------------------------------------------------ */

sonde_status sonde__remote_answer_parse(sonde_str json, sonde__remote_answer *out,
                                        char error[SONDE__REMOTE_ERROR_ROOM])
{
    static const sonde_json_member lists[] = { { "client_configs", read_list }, { NULL, NULL } };
    static const sonde_json_member rest[] = { { "targets", read_targets },
                                              { "target_files", read_files },
                                              { NULL, NULL } };
    reading in = { .out = out, .error = error };

    out->says_something = false;
    out->version = 0;
    out->backend_state = (sonde_str){ "", 0 };
    out->len = 0;
    sonde_arena_init(&out->texts, SONDE__REMOTE_FILES_MAX_BYTES);
    if (read_document(&in, json, "the answer is not JSON", lists))
        (void)read_document(&in, json, "the answer is not JSON", rest);
    if (in.status != SONDE_OK)
        sonde__remote_answer_done(out);
    return in.status;
}

void sonde__remote_answer_done(sonde__remote_answer *a)
{
    sonde_arena_done(&a->texts);
    a->len = 0;
    a->says_something = false;
}
