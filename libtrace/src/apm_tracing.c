/* apm_tracing.c - "service_target" says whom it is for, "lib_config" what is set; the rest is passed over. */
#include "apm_tracing.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "codec/json_read.h"

#include "rules.h"

typedef struct reading {
    sonde_json_reader json;
    sonde_arena *texts;
    sonde__apm_tracing *out;
    char *error;
    sonde_status status;
    bool for_service, for_env, for_cluster;
} reading;

/* The first complaint stays. */
static bool reject(reading *in, sonde_status status, const char *what)
{
    if (in->status == SONDE_OK) {
        in->status = status;
        (void)snprintf(in->error, SONDE__APM_ERROR_ROOM, "%s", what);
    }
    return false;
}

static bool no_memory(reading *in)
{
    return reject(in, SONDE_ERR_NOMEM, "no memory");
}

/* -- walking -------------------------------------------------------------------------------------- */

static bool read_members(reading *in, const sonde_json_member *table)
{
    return sonde_json_read_members(&in->json, table, in);
}

/* -- whom it is for ------------------------------------------------------------------------------- */

static bool is_narrow(reading *in, sonde_json_event e)
{
    return e == SONDE_JSON_STRING && in->json.text.len > 0 &&
           !sonde_str_eq(in->json.text, SONDE_STR("*"));
}

static bool read_service(void *arg, sonde_json_event e)
{
    reading *in = arg;
    in->for_service = is_narrow(in, e);
    return sonde_json_skip(&in->json, e);
}

static bool read_env(void *arg, sonde_json_event e)
{
    reading *in = arg;
    in->for_env = is_narrow(in, e);
    return sonde_json_skip(&in->json, e);
}

static bool read_service_target(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = { { "service", read_service },
                                               { "env", read_env },
                                               { NULL, NULL } };

    return e == SONDE_JSON_OBJECT ? read_members(in, table) : sonde_json_skip(&in->json, e);
}

static bool read_cluster_target(void *arg, sonde_json_event e)
{
    reading *in = arg;
    in->for_cluster = e == SONDE_JSON_OBJECT;
    return sonde_json_skip(&in->json, e);
}

static bool read_revision(void *arg, sonde_json_event e)
{
    reading *in = arg;
    if (e == SONDE_JSON_NUMBER)
        (void)sonde_parse_u64(in->json.text, &in->out->revision);
    return sonde_json_skip(&in->json, e);
}

static sonde__scope scope_of(const reading *in)
{
    if (in->for_service)
        return in->for_env ? SONDE__SCOPE_SERVICE_AND_ENV : SONDE__SCOPE_SERVICE;
    if (in->for_env)
        return SONDE__SCOPE_ENV;
    return in->for_cluster ? SONDE__SCOPE_CLUSTER : SONDE__SCOPE_ORG;
}

/* -- plain values --------------------------------------------------------------------------------- */

static bool read_flag(reading *in, sonde_json_event e, int *to, const char *complaint)
{
    if (e == SONDE_JSON_TRUE || e == SONDE_JSON_FALSE)
        *to = e == SONDE_JSON_TRUE;
    else if (e != SONDE_JSON_NULL)
        return reject(in, SONDE_ERR_SYNTAX, complaint);
    return true;
}

static bool read_tracing_enabled(void *arg, sonde_json_event e)
{
    reading *in = arg;
    return read_flag(in, e, &in->out->values.tracing_enabled, "tracing_enabled: not a boolean");
}

static bool read_log_injection(void *arg, sonde_json_event e)
{
    reading *in = arg;
    return read_flag(in, e, &in->out->values.log_injection, "log_injection_enabled: not a boolean");
}

static bool is_rate(const reading *in, sonde_json_event e)
{
    return e == SONDE_JSON_NUMBER && in->json.number >= 0 && in->json.number <= 1;
}

static bool read_sample_rate(void *arg, sonde_json_event e)
{
    reading *in = arg;
    if (is_rate(in, e))
        in->out->values.sample_rate = in->json.number;
    else if (e != SONDE_JSON_NULL)
        return reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rate: not a number from 0 to 1");
    return true;
}

/* -- sampling rules ------------------------------------------------------------------------------- */

/* They are read by rules.c; here it is checked that each has what one from afar has to have. */
static bool check_rule(reading *in)
{
    bool service = false, resource = false, provenance = false, rate = false;
    sonde_json_event e;

    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_KEY) {
        sonde_str key = in->json.text;
        bool is_service = sonde_str_eq(key, SONDE_STR("service"));
        bool is_resource = sonde_str_eq(key, SONDE_STR("resource"));
        bool is_provenance = sonde_str_eq(key, SONDE_STR("provenance"));
        bool is_sample_rate = sonde_str_eq(key, SONDE_STR("sample_rate"));

        e = sonde_json_next(&in->json);
        service |= is_service && e == SONDE_JSON_STRING;
        resource |= is_resource && e == SONDE_JSON_STRING;
        provenance |= is_provenance && e == SONDE_JSON_STRING;
        rate |= is_sample_rate && is_rate(in, e);
        if (!sonde_json_skip(&in->json, e))
            return false;
    }
    if (e != SONDE_JSON_OBJECT_END)
        return false;
    return !service      ? reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rules: no service")
           : !resource   ? reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rules: no resource")
           : !provenance ? reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rules: no provenance")
           : !rate
               ? reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rules: no sample_rate from 0 to 1")
               : true;
}

static bool read_rules(void *arg, sonde_json_event e)
{
    reading *in = arg;
    const char *from = in->json.at - 1;
    sonde_str text;

    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_ARRAY)
        return reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rules: not an array");
    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_OBJECT)
        if (!check_rule(in))
            return false;
    if (e != SONDE_JSON_ARRAY_END)
        return reject(in, SONDE_ERR_SYNTAX, "tracing_sampling_rules: not a list of objects");
    text = (sonde_str){ from, (size_t)(in->json.at - from) };
    if (text.len > SONDE__RULES_MAX_BYTES)
        return reject(in, SONDE_ERR_TOO_BIG, "tracing_sampling_rules: too long");
    in->out->values.rules = sonde_arena_copy(in->texts, text);
    return in->out->values.rules.ptr || no_memory(in);
}

/* -- tags ----------------------------------------------------------------------------------------- */

/* Who we are does not change from afar. */
static bool is_identity(sonde_str key)
{
    return sonde_str_eq(key, SONDE_STR("service")) || sonde_str_eq(key, SONDE_STR("env")) ||
           sonde_str_eq(key, SONDE_STR("version"));
}

static bool keep_tag(reading *in, sonde__tag *tags, uint32_t *len)
{
    sonde_str value = in->json.text;
    sonde_str key = sonde_str_trim(sonde_str_cut(&value, ':'));
    sonde__tag *t = &tags[*len];

    value = sonde_str_trim(value);
    if (key.len == 0 || is_identity(key))
        return true;
    if (*len == SONDE__DEFAULT_TAGS_MAX)
        return reject(in, SONDE_ERR_TOO_BIG, "tracing_tags: too many");
    t->key = sonde_arena_copy(in->texts, sonde_str_sub(key, 0, sonde_utf8_cut(key, 200)));
    t->value = sonde_arena_copy(in->texts, sonde_str_sub(value, 0, sonde_utf8_cut(value, 5000)));
    (*len)++;
    return (t->key.ptr && t->value.ptr) || no_memory(in);
}

static bool read_tags(void *arg, sonde_json_event e)
{
    reading *in = arg;
    sonde__tag *tags;

    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_ARRAY)
        return reject(in, SONDE_ERR_SYNTAX, "tracing_tags: not an array");
    tags = (sonde__tag *)sonde_arena_zalloc(in->texts, SONDE__DEFAULT_TAGS_MAX, sizeof(*tags));
    if (!tags)
        return no_memory(in);
    in->out->values.tags = tags;
    in->out->values.tags_len = 0;
    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_STRING)
        if (!keep_tag(in, tags, &in->out->values.tags_len))
            return false;
    return e == SONDE_JSON_ARRAY_END ||
           reject(in, SONDE_ERR_SYNTAX, "tracing_tags: not a list of texts");
}

/* -- header tags ---------------------------------------------------------------------------------- */

/* A text that would not come out of the comma list as it went in. */
static bool is_splittable(sonde_str text)
{
    return text.len > 0 && (memchr(text.ptr, ',', text.len) || memchr(text.ptr, ':', text.len));
}

static void append_header_tag(sonde_buf *list, sonde_str header, sonde_str tag)
{
    if (header.len == 0 || is_splittable(header) || is_splittable(tag))
        return;
    if (list->len > 0)
        sonde_buf_append_byte(list, ',');
    sonde_buf_append_str(list, header);
    if (tag.len > 0)
        sonde_buf_append_byte(list, ':');
    sonde_buf_append_str(list, tag);
}

/* {"header":"X-A","tag_name":"a"} */
static bool read_header_tag(reading *in, sonde_buf *list)
{
    sonde_str header = { NULL, 0 };
    sonde_str tag = { NULL, 0 };
    sonde_json_event e;

    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_KEY) {
        bool is_header = sonde_str_eq(in->json.text, SONDE_STR("header"));
        bool is_tag = sonde_str_eq(in->json.text, SONDE_STR("tag_name"));

        e = sonde_json_next(&in->json);
        if (e == SONDE_JSON_STRING && (is_header || is_tag)) {
            sonde_str *to = is_header ? &header : &tag;

            *to = sonde_arena_copy(in->texts, sonde_str_trim(in->json.text));
            if (!to->ptr)
                return no_memory(in);
        } else if (!sonde_json_skip(&in->json, e)) {
            return false;
        }
    }
    append_header_tag(list, header, tag);
    return e == SONDE_JSON_OBJECT_END;
}

static bool read_header_tag_list(reading *in, sonde_buf *list)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_OBJECT)
        if (!read_header_tag(in, list))
            return false;
    if (e != SONDE_JSON_ARRAY_END)
        return reject(in, SONDE_ERR_SYNTAX, "tracing_header_tags: not a list of objects");
    if (list->status != SONDE_OK)
        return list->status == SONDE_ERR_NOMEM
                   ? no_memory(in)
                   : reject(in, SONDE_ERR_TOO_BIG, "tracing_header_tags: too long");
    in->out->values.header_tags = sonde_arena_copy(in->texts, sonde_buf_str(list));
    return in->out->values.header_tags.ptr || no_memory(in);
}

static bool read_header_tags(void *arg, sonde_json_event e)
{
    reading *in = arg;
    sonde_buf list;
    bool ok;

    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_ARRAY)
        return reject(in, SONDE_ERR_SYNTAX, "tracing_header_tags: not an array");
    sonde_buf_init(&list, SONDE__HEADER_TAGS_MAX_BYTES);
    ok = read_header_tag_list(in, &list);
    sonde_buf_done(&list);
    return ok;
}

/* -- all of it ------------------------------------------------------------------------------------ */

static bool read_lib_config(void *arg, sonde_json_event e)
{
    reading *in = arg;
    static const sonde_json_member table[] = {
        { "tracing_enabled", read_tracing_enabled },
        { "tracing_sampling_rate", read_sample_rate },
        { "tracing_sampling_rules", read_rules },
        { "log_injection_enabled", read_log_injection },
        { "tracing_tags", read_tags },
        { "tracing_header_tags", read_header_tags },
        { NULL, NULL },
    };

    if (e == SONDE_JSON_NULL)
        return true;
    if (e != SONDE_JSON_OBJECT)
        return reject(in, SONDE_ERR_SYNTAX, "lib_config: not an object");
    return read_members(in, table);
}

sonde_status sonde__apm_tracing_parse(sonde_str json, sonde_arena *texts, sonde__apm_tracing *out,
                                      char error[SONDE__APM_ERROR_ROOM])
{
    static const sonde_json_member table[] = {
        { "service_target", read_service_target },
        { "k8s_target_v2", read_cluster_target },
        { "revision", read_revision },
        { "lib_config", read_lib_config },
        { NULL, NULL },
    };
    reading in = { .texts = texts, .out = out, .error = error };
    bool ok;

    *out = (sonde__apm_tracing){ .values = SONDE__REMOTE_VALUES_NONE };
    sonde_json_reader_init(&in.json, json, json.len);
    ok = sonde_json_next(&in.json) == SONDE_JSON_OBJECT && read_members(&in, table) &&
         sonde_json_next(&in.json) == SONDE_JSON_END;
    if (!ok)
        (void)reject(&in, in.json.status == SONDE_ERR_NOMEM ? SONDE_ERR_NOMEM : SONDE_ERR_SYNTAX,
                     "not a JSON object");
    sonde_json_reader_done(&in.json);
    out->scope = scope_of(&in);
    return in.status;
}

/* -- several -------------------------------------------------------------------------------------- */

static bool comes_before(const sonde__apm_tracing *a, const sonde__apm_tracing *b)
{
    return a->scope != b->scope ? a->scope > b->scope : a->revision > b->revision;
}

/* By insertion: few, and equal ones keep their order. */
static void sort(sonde__apm_tracing *each, uint32_t len)
{
    uint32_t i, at;

    for (i = 1; i < len; i++) {
        sonde__apm_tracing moved = each[i];

        for (at = i; at > 0 && comes_before(&moved, &each[at - 1]); at--)
            each[at] = each[at - 1];
        each[at] = moved;
    }
}

static void fill(sonde__remote_values *v, const sonde__remote_values *from)
{
    if (v->tracing_enabled < 0)
        v->tracing_enabled = from->tracing_enabled;
    if (v->log_injection < 0)
        v->log_injection = from->log_injection;
    if (v->sample_rate < 0)
        v->sample_rate = from->sample_rate;
    if (!v->rules.ptr)
        v->rules = from->rules;
    if (!v->header_tags.ptr)
        v->header_tags = from->header_tags;
    if (!v->tags) {
        v->tags = from->tags;
        v->tags_len = from->tags_len;
    }
}

sonde__remote_values sonde__apm_tracing_merge(sonde__apm_tracing *each, uint32_t len)
{
    sonde__remote_values v = SONDE__REMOTE_VALUES_NONE;
    uint32_t i;

    sort(each, len);
    for (i = 0; i < len; i++)
        fill(&v, &each[i].values);
    return v;
}
