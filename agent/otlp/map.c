/* map.c - a resource and its spans in Datadog's words.
 *
 * A tag is found again by its key in constant time (otlp_keyset), so that a span of thousands of
 * attributes costs no more than they are. */
#include "map.h"

#include "agent/payload/normalize.h"
#include "base/digest.h"
#include "base/hex.h"
#include "base/parse.h"
#include "limits.h"
#include "vocab/tags.h"

#define NO_SERVICE    "otlpresourcenoservicename"
#define FIXED_META    20 /* tags made here at most, and what later stages add */
#define FIXED_METRICS 5
#define TEXT(literal) SONDE_STR(literal)

static bool says_something(const otlp_value *v)
{
    return v->type != OTLP_NONE && (v->type != OTLP_STRING || v->text.len > 0);
}

static const otlp_value *find_in(const otlp_attrs *attrs, otlp_key key)
{
    const otlp_attr *a = attrs->known[key] ? &attrs->items[attrs->known[key] - 1] : NULL;

    return a && says_something(&a->value) ? &a->value : NULL;
}

const otlp_value *otlp_find(const otlp_builder *b, otlp_key key)
{
    const otlp_value *v = find_in(&b->span.attrs, key);

    return v ? v : find_in(&b->resource, key);
}

static bool text_of(otlp_builder *b, const otlp_value *v, sonde_str *out)
{
    *out = (sonde_str){ NULL, 0 };
    return !v || otlp_value_text(b, v, out);
}

bool otlp_find_text(otlp_builder *b, otlp_key key, sonde_str *out)
{
    return text_of(b, otlp_find(b, key), out);
}

/* The first of several keys that says something in the resource. */
static bool resource_text(otlp_builder *b, const otlp_key *keys, size_t len, sonde_str *out)
{
    const otlp_value *v = NULL;

    for (size_t i = 0; !v && i < len; i++)
        v = find_in(&b->resource, keys[i]);
    return text_of(b, v, out);
}

static bool clean(otlp_builder *b, sonde_str *text)
{
    if (text->len == 0)
        return true;
    return normalize_tag_value(&b->p->arena, *text, text) == SONDE_OK ||
           otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
}

static bool is_never_a_tag(otlp_key key)
{
    return key == OTLP_KEY_SERVICE_NAME || key == OTLP_KEY_OPERATION_NAME ||
           key == OTLP_KEY_RESOURCE_NAME || key == OTLP_KEY_SPAN_TYPE;
}

/* The name an attribute has as a tag. */
static bool tag_key(otlp_builder *b, const otlp_attr *a, sonde_str *out)
{
    const sonde_str header = TEXT("http.request.header.");
    sonde_str parts[2] = { TEXT("http.request.headers."), { NULL, 0 } };

    *out = otlp_key_renamed(a->known);
    if (out->len)
        return true;
    *out = a->key;
    if (a->known != OTLP_KEY_OTHER || !sonde_str_starts(a->key, header))
        return true;
    parts[1] = sonde_str_sub(a->key, header.len, a->key.len);
    return otlp_join(b, parts, 2, out);
}

/* Attributes as tags for spans that have none of that name. */
static bool make_tags(otlp_builder *b, const otlp_attrs *attrs, span_meta **out, uint32_t *out_len)
{
    span_meta *tags;
    uint32_t len = 0;

    *out = NULL;
    *out_len = 0;
    if (attrs->len == 0)
        return true;
    tags = otlp_build_alloc(b, attrs->len, sizeof(*tags));
    if (!tags)
        return false;
    for (uint32_t i = 0; i < attrs->len; i++) {
        const otlp_attr *a = &attrs->items[i];

        if (is_never_a_tag(a->known) || a->known == OTLP_KEY_ANALYTICS_EVENT)
            continue;
        if (!tag_key(b, a, &tags[len].key) || !otlp_value_text(b, &a->value, &tags[len].value))
            return false;
        len++;
    }
    *out = tags;
    *out_len = len;
    return true;
}

static bool map_payload(otlp_builder *b)
{
    static const otlp_key env[] = { OTLP_KEY_DEPLOYMENT_ENV_NAME, OTLP_KEY_DEPLOYMENT_ENV };
    static const otlp_key container[] = { OTLP_KEY_CONTAINER_ID, OTLP_KEY_K8S_POD_UID };
    static const otlp_key hostname[] = { OTLP_KEY_DATADOG_HOST_NAME, OTLP_KEY_HOST_NAME };
    static const otlp_key language = OTLP_KEY_SDK_LANGUAGE, version = OTLP_KEY_SDK_VERSION;
    payload *p = b->p;
    sonde_str parts[2] = { TEXT("otlp-"), { NULL, 0 } };

    p->endpoint_version = "opentelemetry_v1";
    if (!resource_text(b, env, 2, &p->env) || !resource_text(b, container, 2, &p->container_id) ||
        !resource_text(b, hostname, 2, &p->hostname) ||
        !resource_text(b, &language, 1, &p->language_name) ||
        !resource_text(b, &version, 1, &parts[1]))
        return false;
    if (p->hostname.len == 0)
        p->hostname = b->options.hostname;
    p->client_computed_stats =
        b->options.stats_computed || find_in(&b->resource, OTLP_KEY_STATS_COMPUTED);
    return otlp_join(b, parts, 2, &p->tracer_version);
}

static bool make_service(otlp_builder *b, const otlp_value *v, sonde_str *out)
{
    if (!text_of(b, v, out) || !clean(b, out))
        return false;
    if (out->len == 0)
        *out = TEXT(NO_SERVICE);
    return true;
}

bool otlp_map_resource(otlp_builder *b)
{
    otlp_resource_facts *f = &b->facts;

    return map_payload(b) &&
           make_service(b, find_in(&b->resource, OTLP_KEY_SERVICE_NAME), &f->service) &&
           make_tags(b, &b->resource, &f->tags, &f->tags_len);
}

/* The entries of a span under construction: what keyset_place() compares with. */
typedef struct entries {
    const void *items; /* each starts with its key */
    size_t bytes;
    uint32_t len;
    uint32_t cap;
} entries;

/* A place for `key`: its index when it is there, else e->len, where the caller appends, unless that is
 * e->cap: then there is no room. */
static uint32_t keyset_place(otlp_keyset *set, uint64_t seed, sonde_str key, const entries *e)
{
    uint32_t at = (uint32_t)sonde_hash(seed, key.ptr, key.len) & (OTLP_KEY_SLOTS - 1);

    for (; set->slots[at] >> 16 == set->generation; at = (at + 1) & (OTLP_KEY_SLOTS - 1)) {
        uint32_t i = set->slots[at] & 0xffff;
        sonde_str there;

        memcpy(&there, (const char *)e->items + i * e->bytes, sizeof(there));
        if (sonde_str_eq(there, key))
            return i;
    }
    if (e->len < e->cap)
        set->slots[at] = set->generation << 16 | e->len;
    return e->len;
}

static void keyset_clear(otlp_keyset *set)
{
    if (++set->generation <= UINT16_MAX)
        return;
    memset(set->slots, 0, sizeof(set->slots));
    set->generation = 1;
}

typedef enum when_there { REPLACE, LEAVE } when_there;

static void put_meta(otlp_builder *b, payload_span *s, sonde_str key, sonde_str value,
                     when_there rule)
{
    const entries there = { s->meta, sizeof(*s->meta), s->meta_len, s->meta_cap };
    uint32_t at = keyset_place(&b->meta_keys, b->seed, key, &there);

    if (at == s->meta_cap) {
        b->tally.tags_cut++;
    } else if (at == s->meta_len) {
        s->meta[s->meta_len++] = (span_meta){ key, value };
    } else if (rule == REPLACE) {
        s->meta[at].value = value;
    }
}

static void put_metric(otlp_builder *b, payload_span *s, sonde_str key, double value)
{
    const entries there = { s->metrics, sizeof(*s->metrics), s->metrics_len, s->metrics_cap };
    uint32_t at = keyset_place(&b->metric_keys, b->seed, key, &there);

    if (at == s->metrics_cap) {
        b->tally.tags_cut++;
        return;
    }
    s->metrics[at] = (span_metric){ key, value };
    s->metrics_len += at == s->metrics_len;
}

/* Room for everything the span may get, so that nothing moves. */
static bool make_room(otlp_builder *b, payload_span *s, uint32_t scope_tags)
{
    uint32_t numbers = FIXED_METRICS, texts = FIXED_META + b->facts.tags_len + scope_tags;

    for (uint32_t i = 0; i < b->span.attrs.len; i++) {
        int32_t type = b->span.attrs.items[i].value.type;

        if (type == OTLP_INT || type == OTLP_DOUBLE)
            numbers++;
        else
            texts++;
    }
    if (texts > SPAN_ENTRIES_MAX)
        texts = SPAN_ENTRIES_MAX;
    if (numbers > SPAN_ENTRIES_MAX)
        numbers = SPAN_ENTRIES_MAX;
    s->meta = otlp_build_alloc(b, texts, sizeof(*s->meta));
    s->metrics = otlp_build_alloc(b, numbers, sizeof(*s->metrics));
    s->meta_cap = texts;
    s->metrics_cap = numbers;
    keyset_clear(&b->meta_keys);
    keyset_clear(&b->metric_keys);
    return s->meta && s->metrics;
}

static bool put_attr(otlp_builder *b, payload_span *s, const otlp_attr *a)
{
    sonde_str key, text;

    if (is_never_a_tag(a->known) || a->known == OTLP_KEY_ANALYTICS_EVENT)
        return true;
    if (!tag_key(b, a, &key))
        return false;
    if (a->value.type == OTLP_INT || a->value.type == OTLP_DOUBLE) {
        if (a->known == OTLP_KEY_SAMPLING_PRIORITY)
            key = TEXT(SONDE_TAG_PRIORITY);
        put_metric(b, s, key,
                   a->value.type == OTLP_INT ? (double)a->value.integer : a->value.number);
        return true;
    }
    if (!otlp_value_text(b, &a->value, &text))
        return false;
    put_meta(b, s, key, text, REPLACE);
    return true;
}

static bool put_attrs(otlp_builder *b, payload_span *s)
{
    for (uint32_t i = 0; i < b->span.attrs.len; i++) {
        if (!put_attr(b, s, &b->span.attrs.items[i]))
            return false;
    }
    return true;
}

/* A tag with the value of another attribute, unless it is there already. */
static bool put_found(otlp_builder *b, payload_span *s, sonde_str key, otlp_key from)
{
    sonde_str text;

    if (!otlp_find_text(b, from, &text))
        return false;
    if (text.len)
        put_meta(b, s, key, text, LEAVE);
    return true;
}

/* Datadog's own tags that OTLP has under other names. */
static bool put_reserved(otlp_builder *b, payload_span *s)
{
    return put_found(b, s, TEXT(SONDE_TAG_VERSION), OTLP_KEY_SERVICE_VERSION) &&
           put_found(b, s, TEXT(SONDE_TAG_ENV), OTLP_KEY_DEPLOYMENT_ENV_NAME) &&
           put_found(b, s, TEXT(SONDE_TAG_ENV), OTLP_KEY_DEPLOYMENT_ENV) &&
           (otlp_find(b, OTLP_KEY_DB_NAME) ||
            put_found(b, s, TEXT("db.name"), OTLP_KEY_DB_NAMESPACE));
}

static void put_tags(otlp_builder *b, payload_span *s, const span_meta *tags, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        put_meta(b, s, tags[i].key, tags[i].value, LEAVE);
}

static void put_text(otlp_builder *b, payload_span *s, sonde_str key, sonde_str value)
{
    if (value.len)
        put_meta(b, s, key, value, REPLACE);
}

static bool put_fixed(otlp_builder *b, payload_span *s)
{
    static const char *const kinds[OTLP_KIND_COUNT] = { "unspecified", "internal", "server",
                                                        "client",      "producer", "consumer" };
    static const char *const codes[OTLP_CODE_COUNT] = { "Unset", "Ok", "Error" };
    const otlp_span *o = &b->span;
    char *hex = otlp_build_alloc(b, 32, 1);

    if (!hex)
        return false;
    sonde_hex_u64(o->trace_id_high, hex);
    sonde_hex_u64(o->trace_id, hex + 16);
    put_text(b, s, TEXT("otel.trace_id"), (sonde_str){ hex, 32 });
    put_text(b, s, TEXT(SONDE_TAG_SPAN_KIND), sonde_str_from(kinds[o->kind]));
    put_text(b, s, TEXT("w3c.tracestate"), o->tracestate);
    put_text(b, s, TEXT("otel.library.name"), b->scope.name);
    put_text(b, s, TEXT("otel.library.version"), b->scope.version);
    put_text(b, s, TEXT("otel.status_code"), sonde_str_from(codes[o->code]));
    put_text(b, s, TEXT("otel.status_description"), o->message);
    return true;
}

static bool is_exception(const otlp_event *e)
{
    return sonde_str_eq(e->name, TEXT("exception"));
}

static bool put_events(otlp_builder *b, payload_span *s)
{
    sonde_str text;

    if (b->span.events_len == 0)
        return true;
    if (!otlp_events_text(b, &text))
        return false;
    put_text(b, s, TEXT(SONDE_TAG_EVENTS), text);
    for (uint32_t i = 0; i < b->span.events_len; i++) {
        if (is_exception(&b->span.events[i]))
            put_text(b, s, TEXT(SONDE_TAG_HAS_EXCEPTION), TEXT("true"));
    }
    return true;
}

static bool put_links(otlp_builder *b, payload_span *s)
{
    sonde_str text;

    if (b->span.links_len == 0)
        return true;
    if (!otlp_links_text(b, &text))
        return false;
    put_text(b, s, TEXT(SONDE_TAG_SPAN_LINKS), text);
    return true;
}

/* A status that is a number, also one in a text; 0: none. */
static int64_t http_status(const otlp_builder *b)
{
    const otlp_value *v = otlp_find(b, OTLP_KEY_HTTP_STATUS_CODE);
    int64_t status = 0;

    if (!v)
        v = otlp_find(b, OTLP_KEY_HTTP_RESPONSE_CODE);
    if (!v)
        return 0;
    if (v->type == OTLP_INT)
        return v->integer;
    if (v->type == OTLP_DOUBLE)
        return v->number >= 0 && v->number < 1e6 ? (int64_t)v->number : 0;
    return v->type == OTLP_STRING && sonde_parse_i64(v->text, &status) == SONDE_OK ? status : 0;
}

/* What an exception says of itself, where the error's own tags do not. */
static bool put_exception(otlp_builder *b, payload_span *s, const otlp_event *e)
{
    static const struct {
        const char *key;
        const char *tag;
    } rows[] = { { "exception.message", "error.msg" },
                 { "exception.type", SONDE_TAG_ERROR_TYPE },
                 { "exception.stacktrace", SONDE_TAG_ERROR_STACK } };

    for (uint32_t i = 0; i < e->attrs_len; i++) {
        const otlp_attr *a = &b->span.more.items[e->attrs_from + i];

        for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
            sonde_str text;

            if (!sonde_str_eq(a->key, sonde_str_from(rows[k].key)))
                continue;
            if (!otlp_value_text(b, &a->value, &text))
                return false;
            put_text(b, s, sonde_str_from(rows[k].tag), text);
        }
    }
    return true;
}

static bool put_error(otlp_builder *b, payload_span *s, int64_t status)
{
    sonde_str parts[3] = { { NULL, 0 }, TEXT(" "), otlp_reason_phrase(status) };
    const otlp_value code = { .type = OTLP_INT, .integer = status };
    sonde_str message = b->span.message;

    if (b->span.code != OTLP_ERROR)
        return true;
    s->error = 1;
    for (uint32_t i = 0; i < b->span.events_len; i++) {
        if (is_exception(&b->span.events[i]) && !put_exception(b, s, &b->span.events[i]))
            return false;
    }
    if (message.len == 0 && status != 0) {
        if (!otlp_value_text(b, &code, &parts[0]) ||
            !otlp_join(b, parts, parts[2].len ? 3 : 1, &message))
            return false;
    }
    if (message.len)
        put_meta(b, s, TEXT("error.msg"), message, LEAVE);
    return true;
}

/* 1 t true, 0 f false and their like, as Datadog's agent reads them. */
static void put_analytics(otlp_builder *b, payload_span *s)
{
    const otlp_value *v = otlp_find(b, OTLP_KEY_ANALYTICS_EVENT);
    bool yes;

    if (!v)
        return;
    if (v->type == OTLP_BOOL || v->type == OTLP_INT)
        yes = v->integer != 0;
    else if (v->type != OTLP_STRING || sonde_parse_bool(v->text, &yes) != SONDE_OK)
        return;
    put_metric(b, s, TEXT(SONDE_TAG_ANALYTICS_RATE), yes);
}

static bool put_names(otlp_builder *b, payload_span *s)
{
    const otlp_value *own = find_in(&b->span.attrs, OTLP_KEY_SERVICE_NAME);

    s->service = b->facts.service;
    return (!own || make_service(b, own, &s->service)) && otlp_operation_name(b, &s->name) &&
           otlp_resource_name(b, &s->resource) && otlp_span_type(b, &s->type);
}

static void put_ids(otlp_builder *b, payload_span *s)
{
    otlp_span *o = &b->span;

    *s = (payload_span){ .trace_id = o->trace_id,
                         .span_id = o->span_id,
                         .parent_id = o->parent_id,
                         .start = (int64_t)o->start,
                         .duration = (int64_t)(o->end - o->start) };
    if (o->kind < 0 || o->kind >= OTLP_KIND_COUNT)
        o->kind = OTLP_UNSPECIFIED;
    if (o->code < 0 || o->code >= OTLP_CODE_COUNT)
        o->code = OTLP_UNSET;
}

bool otlp_map_span(otlp_builder *b, payload_span *s)
{
    int64_t status;
    span_meta *scope_tags;
    uint32_t scope_len;

    put_ids(b, s);
    status = http_status(b);
    if (!make_tags(b, &b->scope.attrs, &scope_tags, &scope_len) || !make_room(b, s, scope_len) ||
        !put_names(b, s) || !put_attrs(b, s))
        return false;
    if (!put_reserved(b, s) || !put_fixed(b, s) || !put_events(b, s) || !put_links(b, s) ||
        !put_error(b, s, status))
        return false;
    if (status)
        put_metric(b, s, TEXT(SONDE_TAG_HTTP_STATUS_CODE), (double)status);
    put_analytics(b, s);
    put_tags(b, s, b->facts.tags, b->facts.tags_len);
    put_tags(b, s, scope_tags, scope_len);
    return true;
}
