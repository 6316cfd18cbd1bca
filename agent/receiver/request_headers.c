/* request_headers.c - what the head of a trace request says about its payload.
 *
 * Source   docs/spec/receiver.md, "Headers".
 */
#include "internal.h"

#include "base/parse.h"
#include "vocab/headers.h"

#define TAG_PROCESS_TAGS   "_dd.tags.process"
#define TAG_CONTAINER_TAGS "_dd.tags.container"

bool header_is_true(const http_request *request, const char *name)
{
    static const char *const falses[] = { "0", "f", "F", "FALSE", "False", "false" };
    sonde_str value = http_request_header(request, name);

    if (value.len == 0)
        return false;
    for (size_t i = 0; i < sizeof(falses) / sizeof(falses[0]); i++) {
        if (sonde_str_eq(value, sonde_str_from(falses[i])))
            return false;
    }
    return true;
}

static int64_t header_count(const http_request *request, const char *name)
{
    int64_t v = 0;

    if (sonde_parse_i64(sonde_str_trim(http_request_header(request, name)), &v) != SONDE_OK ||
        v < 0)
        return 0;
    return v;
}

uint64_t header_trace_count(const http_request *request)
{
    return (uint64_t)header_count(request, SONDE_HDR_TRACE_COUNT);
}

sonde_str media_type(const http_request *request)
{
    sonde_str value = http_request_header(request, "Content-Type");

    return sonde_str_trim(sonde_str_cut(&value, ';'));
}

/* A header's value in the arena, as UTF-8. */
static sonde_status copy_text(payload *p, sonde_str value, sonde_str *out)
{
    *out = (sonde_str){ NULL, 0 };
    if (value.len == 0 || !sonde_utf8_valid(value))
        return SONDE_OK;
    *out = sonde_arena_copy(&p->arena, value);
    return out->ptr ? SONDE_OK : SONDE_ERR_NOMEM;
}

sonde_status read_request_headers(receiver *r, payload *p, const http_request *request)
{
    container_id room;
    const struct {
        sonde_str value;
        sonde_str *out;
    } texts[] = {
        { http_request_header(request, SONDE_HDR_LANG), &p->language_name },
        { http_request_header(request, SONDE_HDR_LANG_VERSION), &p->language_version },
        { http_request_header(request, SONDE_HDR_TRACER_VERSION), &p->tracer_version },
        { origin_container_id(r->origin, request, room), &p->container_id },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (copy_text(p, texts[i].value, texts[i].out) != SONDE_OK)
            return SONDE_ERR_NOMEM;
    }
    p->client_computed_top_level = header_is_true(request, SONDE_HDR_COMPUTED_TOP_LEVEL);
    p->client_computed_stats = header_is_true(request, SONDE_HDR_COMPUTED_STATS);
    p->client_dropped_p0_traces = header_count(request, SONDE_HDR_DROPPED_P0_TRACES);
    p->client_dropped_p0_spans = header_count(request, SONDE_HDR_DROPPED_P0_SPANS);
    return SONDE_OK;
}

payload_source *find_source(const bound_endpoint *b, const http_request *request, sonde_str service)
{
    const source_key key = {
        .lang = http_request_header(request, SONDE_HDR_LANG),
        .lang_version = http_request_header(request, SONDE_HDR_LANG_VERSION),
        .lang_vendor = http_request_header(request, SONDE_HDR_LANG_VENDOR),
        .interpreter = http_request_header(request, SONDE_HDR_LANG_INTERPRETER),
        .tracer_version = http_request_header(request, SONDE_HDR_TRACER_VERSION),
        .endpoint_version = sonde_str_from(b->row->version),
        .connection_type = http_request_is_unix(request) ? SONDE_STR("uds") : SONDE_STR("tcp"),
        .service = service,
    };

    return b->r->sources ? sources_find(b->r->sources, &key) : NULL;
}

/* The container a tracer's head names counts, never the one in the body. */
void take_stats_headers(const receiver *r, payload *p, const http_request *request)
{
    if (config_has_feature(r->config, "disable_cid_stats"))
        p->container_id = (sonde_str){ NULL, 0 };
    p->stats->container_id = p->container_id;
    if (p->stats->lang.len == 0)
        p->stats->lang = p->language_name;
    p->stats->obfuscated = http_request_header(request, SONDE_HDR_OBFUSCATION).len > 0;
}

sonde_status take_container_tags(receiver *r, payload *p)
{
    origin_tags_text room;
    sonde_str tags = origin_tags(r->origin, p->container_id, room);

    if (tags.len == 0)
        return SONDE_OK;
    tags = sonde_arena_copy(&p->arena, tags);
    return tags.ptr ? payload_tag_set(p, SONDE_STR(TAG_CONTAINER_TAGS), tags) : SONDE_ERR_NOMEM;
}

sonde_status take_process_tags(payload *p, const http_request *request)
{
    const sonde_str key = SONDE_STR(TAG_PROCESS_TAGS);
    const sonde_str *said = NULL;
    sonde_str value;

    if (payload_tag_get(p, key))
        return SONDE_OK;
    if (p->chunks_len && p->chunks[0].spans_len)
        said = span_meta_get(&p->chunks[0].spans[0], key);
    if (said && said->len)
        return payload_tag_set(p, key, *said);
    if (copy_text(p, http_request_header(request, HDR_PROCESS_TAGS), &value) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    return value.len ? payload_tag_set(p, key, value) : SONDE_OK;
}
