/* otel.c - the OpenTelemetry API on our spans.
 *
 * An OpenTelemetry span's name is our resource; our name follows from its kind and attributes at the end
 * (otel_name.h), unless the attribute operation.name gave one.  Times are in microseconds. */
#include "endpoints.h"

#include <string.h>

#include "base/hex.h"

#include "otel_name.h"

#define NS_PER_US 1000

/* -- attributes ----------------------------------------------------------------------------------- */

static void set_operation_name(span_entry *e, sonde_str given)
{
    char name[OTEL_NAME_ROOM];
    size_t i;

    for (i = 0; i < given.len && i + 1 < sizeof(name); i++)
        name[i] =
            (char)(given.ptr[i] >= 'A' && given.ptr[i] <= 'Z' ? given.ptr[i] | 0x20 : given.ptr[i]);
    e->has_name = true;
    sonde_span_set_name_n(e->span, (sonde_str){ name, i });
}

/* Only what says clearly yes or no counts. */
static void set_analytics(span_entry *e, const json_node *value)
{
    static const char *const words[] = { "0", "f", "F", "false", "FALSE", "False",
                                         "1", "t", "T", "true",  "TRUE",  "True" };
    size_t i;

    if (value->kind == JSON_FALSE || value->kind == JSON_TRUE)
        sonde_span_set_analytics(e->span, value->kind == JSON_TRUE ? 1 : 0);
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (sonde_str_eq(value->text, sonde_str_from(words[i])))
            sonde_span_set_analytics(e->span, i < 6 ? 0 : 1);
}

static void set_attribute(call *c, span_entry *e, const json_node *a)
{
    if (sonde_str_eq(a->key, SONDE_STR("operation.name")) && a->kind == JSON_STRING)
        set_operation_name(e, a->text);
    else if (sonde_str_eq(a->key, SONDE_STR("analytics.event")))
        set_analytics(e, a);
    else if (sonde_str_eq(a->key, SONDE_STR("http.response.status_code")))
        set_tag(c, e->span, SONDE_STR("http.status_code"), a);
    else
        set_tag(c, e->span, a->key, a);
}

static void set_attributes(call *c, span_entry *e, const json_node *attributes)
{
    const json_node *a;

    if (!attributes || attributes->kind != JSON_OBJECT)
        return;
    for (a = attributes->first; a; a = a->next)
        set_attribute(c, e, a);
}

void otel_set_attributes(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        set_attributes(c, e, json_member(c->body, "attributes"));
}

/* -- links and events ----------------------------------------------------------------------------- */

static void add_links(call *c, span_entry *e, const json_node *links)
{
    const json_node *link;

    for (link = links ? links->first : NULL; link; link = link->next) {
        const json_node *headers = json_member(link, "http_headers");
        sonde_context *to;
        uint64_t id = 0;

        (void)json_id(json_member(link, "parent_id"), &id);
        to = headers ? context_of_headers(headers) : context_of_id(id);
        if (to)
            add_link(c, e->span, to, json_member(link, "attributes"));
        sonde_context_release(to);
    }
}

static void add_event(call *c, span_entry *e, const json_node *event)
{
    const json_node *name = json_member(event, "name");
    int64_t unix_ns = call_i64(event, "time_unix_nano");
    sonde_attribute *a;
    uint32_t len = call_attributes(c, json_member(event, "attributes"), &a);

    if (unix_ns == 0)
        unix_ns = call_i64(event, "timestamp") * NS_PER_US;
    if (name && name->kind == JSON_STRING)
        sonde_span_add_event_at(e->span, name->text, unix_ns, a, len);
}

void otel_add_event(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        add_event(c, e, c->body);
}

static sonde_value *find_attribute(sonde_attribute *a, uint32_t len, const char *key)
{
    uint32_t i;

    for (i = 0; i < len; i++)
        if (sonde_str_eq(a[i].key, sonde_str_from(key)))
            return &a[i].value;
    return NULL;
}

/* exception.<part>, unless it is among the attributes, and the tag error.<part>. */
static void put_part(span_entry *e, sonde_attribute *a, uint32_t *len, const char *key,
                     const char *tag, const char *fallback)
{
    const sonde_value *given = find_attribute(a, *len, key);

    if (!given && fallback) {
        a[*len] = sonde_attr_str(key, fallback);
        given = &a[(*len)++].value;
    }
    if (given && given->type == SONDE_VALUE_STR)
        sonde_span_set_str_n(e->span, sonde_str_from(tag), given->as.str);
}

void otel_record_exception(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const json_node *given = json_member(c->body, "attributes");
    uint32_t room = (given ? given->len : 0) + 2;
    sonde_attribute *all = (sonde_attribute *)sonde_arena_zalloc(&c->arena, room, sizeof(*all));
    sonde_attribute *some;
    uint32_t len = call_attributes(c, given, &some);

    if (!e || !all)
        return;
    if (len > 0)
        memcpy(all, some, len * sizeof(*all));
    put_part(e, all, &len, "exception.message", "error.message", call_text(c, "message"));
    put_part(e, all, &len, "exception.type", "error.type", "Exception");
    put_part(e, all, &len, "exception.stacktrace", "error.stack", NULL);
    sonde_span_add_event_at(e->span, SONDE_STR("exception"), 0, all, len);
}

/* -- life ----------------------------------------------------------------------------------------- */

/* The driver's numbers begin with 0, internal. */
static enum sonde_kind read_kind(const call *c)
{
    int64_t kind = call_i64(c->body, "span_kind");

    return kind > 0 && kind <= 4 ? (enum sonde_kind)(kind + 1) : SONDE_KIND_INTERNAL;
}

void otel_name_span(const span_entry *e)
{
    char name[OTEL_NAME_ROOM];

    if (!e->is_otel || e->has_name || !e->span)
        return;
    otel_name(e->span, (enum sonde_kind)e->kind, name);
    sonde_span_set_name(e->span, name);
}

void otel_start(call *c)
{
    const char *name = call_needs_text(c, "name");
    sonde_span_options options = { .resource = name,
                                   .start_unix_ns = call_i64(c->body, "timestamp") * NS_PER_US };
    const json_node *events = json_member(c->body, "events");
    span_entry *e = name ? start_span(c, name, &options) : NULL;
    const json_node *event;

    if (!e)
        return;
    e->is_otel = true;
    e->kind = read_kind(c);
    sonde_span_set_kind(e->span, (enum sonde_kind)e->kind);
    set_attributes(c, e, json_member(c->body, "attributes"));
    otel_name_span(e);
    add_links(c, e, json_member(c->body, "links"));
    for (event = events ? events->first : NULL; event; event = event->next)
        add_event(c, e, event);
}

void otel_end(call *c)
{
    span_entry *e = the_span(c, "id");

    if (!e)
        return;
    otel_name_span(e);
    table_finish(e, call_i64(c->body, "timestamp") * NS_PER_US);
}

void otel_set_name(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *name = e ? call_needs_text(c, "name") : NULL;

    if (name)
        sonde_span_set_resource(e->span, name);
}

/* OK is final, and UNSET never takes anything back. */
void otel_set_status(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *code = e ? call_needs_text(c, "code") : NULL;

    if (!code || e->status == OTEL_OK)
        return;
    if (strcmp(code, "OK") == 0) {
        e->status = OTEL_OK;
        sonde_span_clear_error(e->span);
    } else if (strcmp(code, "ERROR") == 0) {
        e->status = OTEL_ERROR;
        sonde_span_error(e->span, NULL, call_text(c, "description"));
    }
}

void otel_is_recording(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        sonde_json_put_bool(c->out, "is_recording", e->span != NULL);
}

typedef struct w3c_headers {
    char flags[3];
    char state[1024];
} w3c_headers;

static void take_w3c(void *user, sonde_str name, sonde_str value)
{
    w3c_headers *h = (w3c_headers *)user;

    if (sonde_str_eq(name, SONDE_STR("traceparent")) && value.len == 55)
        memcpy(h->flags, value.ptr + 53, 2);
    if (sonde_str_eq(name, SONDE_STR("tracestate")) && value.len < sizeof(h->state))
        memcpy(h->state, value.ptr, value.len);
}

static void put_hex(call *c, const char *key, uint64_t high, uint64_t low, bool both)
{
    char hex[32];

    sonde_hex_u64(high, hex);
    sonde_hex_u64(low, hex + 16);
    sonde_json_put_str(c->out, key, both ? (sonde_str){ hex, 32 } : (sonde_str){ hex + 16, 16 });
}

void otel_span_context(call *c)
{
    span_entry *e = the_span(c, "span_id");
    w3c_headers h = { .flags = "00", .state = "" };
    sonde_context *context;

    if (!e)
        return;
    context = table_context(e);
    inject_into(context, take_w3c, &h);
    put_hex(c, "span_id", 0, e->id, false);
    put_hex(c, "trace_id", sonde_context_trace_id_high(context), e->trace_low, true);
    sonde_json_put_str(c->out, "trace_flags", sonde_str_from(h.flags));
    sonde_json_put_str(c->out, "trace_state", sonde_str_from(h.state));
    sonde_json_put_bool(c->out, "remote", false);
    sonde_context_release(context);
}

/* -- the rest ------------------------------------------------------------------------------------- */

void otel_set_baggage(call *c)
{
    const char *value = call_text(c, "value");

    carry_set_baggage(c);
    if (value)
        sonde_json_put_str(c->out, "value", sonde_str_from(value));
}

void otel_flush(call *c)
{
    int64_t seconds = call_i64(c->body, "seconds");
    sonde_status status;

    if (seconds < 1 || seconds > 60)
        seconds = 1;
    status = sonde_flush((uint32_t)seconds * 1000);
    sonde_json_put_bool(c->out, "success", status != SONDE_ERR_TIMEOUT);
}
