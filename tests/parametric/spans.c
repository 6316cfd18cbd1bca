/* spans.c - spans of the native API: start, set, finish. */
#include "endpoints.h"

span_entry *the_span(call *c, const char *field)
{
    uint64_t id = 0;
    span_entry *e = NULL;

    if (!call_id(c, field, &id))
        call_fail(c, 422, "no span id");
    else if (!(e = table_find(id)))
        call_fail(c, 404, "no span of that id");
    return e;
}

sonde_context *context_of_id(uint64_t id)
{
    const span_entry *e = table_find(id);

    return e ? table_context(e) : sonde_context_retain(table_find_context(id));
}

span_entry *start_span(call *c, const char *name, sonde_span_options *options)
{
    uint64_t parent_id = 0;
    span_entry *parent = NULL;
    sonde_context *context = NULL;
    span_entry *e;

    if (call_id(c, "parent_id", &parent_id))
        parent = table_find(parent_id);
    if (parent && !parent->ended)
        options->parent =
            parent->span; /* and not its context: the span's baggage may have changed */
    else
        context = context_of_id(parent_id);
    options->context = context;
    options->new_trace = !options->parent && !context;
    e = table_add(sonde_span_start(name, options), parent_id);
    sonde_context_release(context);
    if (!e) {
        call_fail(c, 503, "too many spans");
        return NULL;
    }
    sonde_json_put_u64(c->out, "span_id", e->id);
    sonde_json_put_u64(c->out, "trace_id", e->trace_low);
    return e;
}

/* -- tags ----------------------------------------------------------------------------------------- */

static bool is_decision(sonde_str key)
{
    return sonde_str_eq(key, SONDE_STR("manual.keep")) ||
           sonde_str_eq(key, SONDE_STR("manual.drop"));
}

void set_tag(call *c, sonde_span *span, sonde_str key, const json_node *value)
{
    bool is_null = !value || value->kind == JSON_NULL;
    sonde_value v = value ? json_value(&c->arena, value) : (sonde_value){ 0 };

    if (v.type == SONDE_VALUE_NONE && value && value->kind == JSON_NUMBER)
        v = sonde_value_str_n(value->text); /* a number no tag can hold */

    if (is_null && is_decision(key))
        sonde_span_set_bool_n(span, key, 1);
    else if (is_null)
        sonde_span_remove(span, key.ptr);
    else
        sonde_span_set_value(span, key.ptr, v);
}

/* [["key", "value"], ...] */
static void set_tags(call *c, sonde_span *span, const json_node *pairs)
{
    const json_node *pair;

    if (!pairs || pairs->kind != JSON_ARRAY)
        return;
    for (pair = pairs->first; pair; pair = pair->next)
        if (pair->len == 2 && pair->first->kind == JSON_STRING)
            set_tag(c, span, pair->first->text, pair->first->next);
}

void span_start(call *c)
{
    const char *name = call_needs_text(c, "name");
    sonde_span_options options = { .service = call_text(c, "service"),
                                   .resource = call_text(c, "resource"),
                                   .type = call_text(c, "type") };
    span_entry *e = name ? start_span(c, name, &options) : NULL;

    if (e)
        set_tags(c, e->span, json_member(c->body, "span_tags"));
}

void span_set_tag(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *key = e ? call_needs_text(c, "key") : NULL;

    if (key)
        set_tag(c, e->span, sonde_str_from(key), json_member(c->body, "value"));
}

void span_set_resource(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *resource = e ? call_needs_text(c, "resource") : NULL;

    if (resource)
        sonde_span_set_resource(e->span, resource);
}

/* -- the rest ------------------------------------------------------------------------------------- */

void span_finish(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (!e)
        return;
    otel_name_span(e);
    table_finish(e, 0);
}

void span_error(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        sonde_span_set_error(e->span, &(sonde_failure){ .type = call_text(c, "type"),
                                                        .message = call_text(c, "message"),
                                                        .stack = call_text(c, "stack") });
}

void span_keep(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        sonde_span_keep(e->span);
}

void span_drop(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        sonde_span_drop(e->span);
}

void add_link(call *c, sonde_span *span, sonde_context *to, const json_node *attributes)
{
    sonde_attribute *a;
    uint32_t len = call_attributes(c, attributes, &a);

    sonde_span_add_link(span,
                        &(sonde_link){ .context = to, .attributes = a, .attributes_len = len });
}

void span_add_link(call *c)
{
    span_entry *e = the_span(c, "span_id");
    uint64_t id = 0;
    sonde_context *to;

    if (!e)
        return;
    (void)call_id(c, "parent_id", &id);
    to = context_of_id(id);
    if (to)
        add_link(c, e->span, to, json_member(c->body, "attributes"));
    else
        call_fail(c, 404, "no span or context of that id to link to");
    sonde_context_release(to);
}

void span_add_event(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *name = e ? call_needs_text(c, "name") : NULL;
    sonde_attribute *a;
    uint32_t len = call_attributes(c, json_member(c->body, "attributes"), &a);

    if (name)
        sonde_span_add_event_at(e->span, sonde_str_from(name), call_i64(c->body, "timestamp"), a,
                                len);
}
