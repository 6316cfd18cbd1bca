/* stage_normalize.c - the rules every span must meet: ids, names, times, well-known tags.
 *
 * What cannot be repaired removes the chunk; everything else is repaired and counted.  Clean spans,
 * nearly all of them, cost one look at each text and tag key.
 *
 * Bounds   SERVICE_MAX, NAME_MAX_BYTES, TYPE_MAX bytes; a cut never splits a UTF-8 sequence.
 * Source   docs/spec/normalization.md.
 */
#include "stages.h"

#include "agent/payload/normalize.h"
#include "base/parse.h"
#include "vocab/tags.h"

#define SERVICE_MAX_BYTES 100
#define NAME_MAX_BYTES    100
#define TYPE_MAX_BYTES    100
#define YEAR_2000_UNIX_NS 946684800000000000
#define NAME_FALLBACK     "unnamed_operation"

/* The well-known tags of a span, found in one pass over its meta. */
typedef struct known_tags {
    sonde_str *env;
    sonde_str *tid;
    sonde_str *peer_service;
    sonde_str *base_service;
    sonde_str *http_status_code;
} known_tags;

static known_tags find_known_tags(payload_span *s)
{
    known_tags known = { 0 };

    for (uint32_t i = 0; i < s->meta_len; i++) {
        span_meta *m = &s->meta[i];

        switch (m->key.len) {
        case sizeof(SONDE_TAG_ENV) - 1:
            if (sonde_str_eq(m->key, SONDE_STR(SONDE_TAG_ENV)))
                known.env = &m->value;
            break;
        case sizeof(SONDE_TAG_TID) - 1:
            if (sonde_str_eq(m->key, SONDE_STR(SONDE_TAG_TID)))
                known.tid = &m->value;
            break;
        case sizeof(SONDE_TAG_PEER_SERVICE) - 1:
            if (sonde_str_eq(m->key, SONDE_STR(SONDE_TAG_PEER_SERVICE)))
                known.peer_service = &m->value;
            break;
        case sizeof(SONDE_TAG_HTTP_STATUS_CODE) - 1: /* and _dd.base_service */
            if (sonde_str_eq(m->key, SONDE_STR(SONDE_TAG_HTTP_STATUS_CODE)))
                known.http_status_code = &m->value;
            else if (sonde_str_eq(m->key, SONDE_STR(SONDE_TAG_BASE_SERVICE)))
                known.base_service = &m->value;
            break;
        default:
            break;
        }
    }
    return known;
}

_Static_assert(sizeof(SONDE_TAG_HTTP_STATUS_CODE) == sizeof(SONDE_TAG_BASE_SERVICE),
               "find_known_tags() looks for both under one length");

static void count(run *r, processor_fix why)
{
    r->fixed[why]++;
}

/* Nothing valid in a text that was also cut, for the first reason: it counts once. */
static void count_invalid(run *r, bool was_cut, processor_fix cut_reason, processor_fix why)
{
    r->fixed[cut_reason] -= was_cut;
    count(r, why);
}

/* Cuts `text` to `max` bytes; says whether it had to. */
static bool cut(run *r, sonde_str *text, size_t max, processor_fix why)
{
    if (text->len <= max)
        return false;
    text->len = sonde_utf8_cut(*text, max);
    count(r, why);
    return true;
}

/* The language as the tracer writes it. */
static sonde_status fallback_service(run *r, sonde_str *out)
{
    sonde_str lang = r->p->language_name;
    char *at;

    if (r->fallback_service.len) {
        *out = r->fallback_service;
        return SONDE_OK;
    }
    *out = SONDE_STR("unnamed-service");
    if (lang.len == 0)
        return SONDE_OK;
    lang.len = sonde_utf8_cut(lang, SERVICE_MAX_BYTES - 16);
    at = sonde_arena_alloc_aligned(&r->p->arena, lang.len + 16, 1);
    if (!at)
        return SONDE_ERR_NOMEM;
    memcpy(at, "unnamed-", 8);
    memcpy(at + 8, lang.ptr, lang.len);
    memcpy(at + 8 + lang.len, "-service", 8);
    *out = r->fallback_service = (sonde_str){ at, lang.len + 16 };
    return SONDE_OK;
}

sonde_status normalize_service(run *r, sonde_str *service)
{
    bool was_cut;

    if (service->len == 0) {
        count(r, PROCESSOR_FIX_SERVICE_EMPTY);
        return fallback_service(r, service);
    }
    was_cut = cut(r, service, SERVICE_MAX_BYTES, PROCESSOR_FIX_SERVICE_TRUNCATE);
    if (normalize_tag_value(&r->p->arena, *service, service) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (service->len)
        return SONDE_OK;
    count_invalid(r, was_cut, PROCESSOR_FIX_SERVICE_TRUNCATE, PROCESSOR_FIX_SERVICE_INVALID);
    return fallback_service(r, service);
}

/* peer.service and _dd.base_service: as a service, but nothing stands in for an invalid one. */
static sonde_status fix_service_tag(run *r, sonde_str *value, processor_fix cut_reason,
                                    processor_fix invalid_reason)
{
    bool was_cut;

    if (!value || value->len == 0)
        return SONDE_OK;
    was_cut = cut(r, value, SERVICE_MAX_BYTES, cut_reason);
    if (normalize_tag_value(&r->p->arena, *value, value) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (value->len == 0)
        count_invalid(r, was_cut, cut_reason, invalid_reason);
    return SONDE_OK;
}

sonde_status normalize_operation(run *r, sonde_str *name)
{
    bool was_cut;

    if (name->len == 0) {
        count(r, PROCESSOR_FIX_SPAN_NAME_EMPTY);
        *name = SONDE_STR(NAME_FALLBACK);
        return SONDE_OK;
    }
    was_cut = cut(r, name, NAME_MAX_BYTES, PROCESSOR_FIX_SPAN_NAME_TRUNCATE);
    if (normalize_name(&r->p->arena, *name, name) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (name->len == 0) {
        count_invalid(r, was_cut, PROCESSOR_FIX_SPAN_NAME_TRUNCATE,
                      PROCESSOR_FIX_SPAN_NAME_INVALID);
        *name = SONDE_STR(NAME_FALLBACK);
    }
    return SONDE_OK;
}

static void fix_duration(run *r, payload_span *s)
{
    int64_t end;

    if (s->duration >= 0 && !__builtin_add_overflow(s->start, s->duration, &end))
        return;
    count(r, PROCESSOR_FIX_INVALID_DURATION);
    s->duration = 0;
}

/* The duration first: a start that is made up ends now. */
static void fix_times(run *r, payload_span *s)
{
    fix_duration(r, s);
    if (s->start >= YEAR_2000_UNIX_NS)
        return;
    count(r, PROCESSOR_FIX_INVALID_START_DATE);
    s->start = r->now_unix_ns - s->duration;
    if (s->start < 0)
        s->start = r->now_unix_ns;
    fix_duration(r, s); /* one of centuries may end after the last nanosecond now */
}

static bool is_http_status(sonde_str text)
{
    int64_t code;

    return sonde_parse_i64(text, &code) == SONDE_OK && code >= 100 && code < 600;
}

static sonde_status fix_link_names(run *r, payload_span *s)
{
    for (uint32_t i = 0; i < s->links_len; i++) {
        for (uint32_t k = 0; k < s->links[i].attributes_len; k++) {
            span_meta *m = &s->links[i].attributes[k];

            if (!sonde_str_eq(m->key, SONDE_STR("link.name")))
                continue;
            m->value.len = sonde_utf8_cut(m->value, NAME_MAX_BYTES);
            if (normalize_name(&r->p->arena, m->value, &m->value) != SONDE_OK)
                return SONDE_ERR_NOMEM;
            if (m->value.len == 0)
                m->value = SONDE_STR(NAME_FALLBACK);
        }
    }
    return SONDE_OK;
}

static sonde_status fix_known_tags(run *r, payload_span *s, const known_tags *known)
{
    if (fix_service_tag(r, known->peer_service, PROCESSOR_FIX_PEER_SERVICE_TRUNCATE,
                        PROCESSOR_FIX_PEER_SERVICE_INVALID) != SONDE_OK ||
        fix_service_tag(r, known->base_service, PROCESSOR_FIX_BASE_SERVICE_TRUNCATE,
                        PROCESSOR_FIX_BASE_SERVICE_INVALID) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (known->env && known->env->len &&
        normalize_tag_value(&r->p->arena, *known->env, known->env) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (known->http_status_code && !is_http_status(*known->http_status_code)) {
        count(r, PROCESSOR_FIX_INVALID_HTTP_STATUS_CODE);
        span_meta_remove(s, SONDE_STR(SONDE_TAG_HTTP_STATUS_CODE)); /* last: it moves the others */
    }
    return SONDE_OK;
}

static void take_name_of_component(payload_span *s)
{
    const sonde_str *component = span_meta_get(s, SONDE_STR(SONDE_TAG_COMPONENT));

    if (component && component->len)
        s->name = *component;
}

static sonde_status fix_span(run *r, payload_span *s, const known_tags *known)
{
    if (r->features & PROCESSOR_COMPONENT_TO_NAME)
        take_name_of_component(s);
    if (normalize_service(r, &s->service) != SONDE_OK ||
        normalize_operation(r, &s->name) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    if (s->resource.len == 0) {
        count(r, PROCESSOR_FIX_RESOURCE_EMPTY);
        s->resource = s->name;
    }
    if (s->parent_id == s->span_id && (r->is_v1 || s->parent_id == s->trace_id))
        s->parent_id = 0;
    fix_times(r, s);
    (void)cut(r, &s->type, TYPE_MAX_BYTES, PROCESSOR_FIX_TYPE_TRUNCATE);
    if (s->links_len && fix_link_names(r, s) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    return fix_known_tags(r, s, known);
}

/* Another trace than the chunk's first span: by the low half, and by the high one where both say it. */
static bool is_foreign(const payload_span *first, const sonde_str *first_tid, const payload_span *s,
                       const sonde_str *tid)
{
    if (s->trace_id != first->trace_id)
        return true;
    return first_tid && tid && !sonde_str_eq(*first_tid, *tid);
}

processor_drop stage_normalize(run *r, payload_chunk *chunk)
{
    sonde_str first_tid_value = { NULL, 0 };
    const sonde_str *first_tid = NULL;
    uint32_t repeated;

    if (chunk->spans_len == 0)
        return PROCESSOR_DROP_EMPTY_TRACE;
    for (uint32_t i = 0; i < chunk->spans_len; i++) {
        payload_span *s = &chunk->spans[i];
        const known_tags known = find_known_tags(s);

        if (s->trace_id == 0 && !r->is_v1) /* the low half of 128 bits */
            return PROCESSOR_DROP_TRACE_ID_ZERO;
        if (s->span_id == 0)
            return PROCESSOR_DROP_SPAN_ID_ZERO;
        if (is_foreign(&chunk->spans[0], first_tid, s, known.tid))
            return PROCESSOR_DROP_FOREIGN_SPAN;
        if (i == 0 && known.tid) {
            first_tid_value = *known.tid; /* by value: tags move when one is removed */
            first_tid = &first_tid_value;
        }
        if (fix_span(r, s, &known) != SONDE_OK)
            return PROCESSOR_DROP_NO_MEMORY;
    }
    if (span_index_build(r, chunk, &repeated) != SONDE_OK)
        return PROCESSOR_DROP_NO_MEMORY;
    r->fixed[PROCESSOR_FIX_DUPLICATE_SPAN_ID] += repeated;
    return KEEP;
}
