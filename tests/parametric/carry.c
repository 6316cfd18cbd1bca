/* carry.c - what travels: headers in and out, baggage; and what is active. */
#include "endpoints.h"

/* -- headers -------------------------------------------------------------------------------------- */

static void each_header(void *user, sonde_visitor visit, void *visitor_user)
{
    const json_node *headers = (const json_node *)user;
    const json_node *pair;

    for (pair = headers->first; pair; pair = pair->next)
        visit(visitor_user, pair->first->text, pair->first->next->text);
}

static bool are_pairs_of_texts(const json_node *headers)
{
    const json_node *pair;

    if (!headers || headers->kind != JSON_ARRAY)
        return false;
    for (pair = headers->first; pair; pair = pair->next)
        if (pair->kind != JSON_ARRAY || pair->len != 2 || pair->first->kind != JSON_STRING ||
            pair->first->next->kind != JSON_STRING)
            return false;
    return true;
}

sonde_context *context_of_headers(const json_node *headers)
{
    if (!are_pairs_of_texts(headers))
        return NULL;
    return sonde_extract(
        &(sonde_reader){ .each = each_header, .user = (void *)(uintptr_t)headers });
}

void carry_extract(call *c)
{
    const json_node *headers = json_member(c->body, "http_headers");
    sonde_context *context;
    uint64_t id;

    if (!are_pairs_of_texts(headers)) {
        call_fail(c, 422, "http_headers is not an array of [name, value]");
        return;
    }
    context = context_of_headers(headers);
    if (!context) {
        sonde_json_key(c->out, SONDE_STR("span_id"));
        sonde_json_null(c->out);
    } else if (table_add_context(context, &id)) {
        sonde_json_put_u64(c->out, "span_id", id);
    } else {
        sonde_context_release(context);
        call_fail(c, 503, "too many contexts");
    }
}

void inject_into(const sonde_context *context, header_taker take, void *user)
{
    if (context)
        sonde_inject(context, &(sonde_writer){ .set = take, .user = user });
}

static void write_header(void *user, sonde_str name, sonde_str value)
{
    sonde_json_writer *out = (sonde_json_writer *)user;

    sonde_json_begin_array(out);
    sonde_json_str(out, name);
    sonde_json_str(out, value);
    sonde_json_end_array(out);
}

void carry_inject(call *c)
{
    sonde_context *context = NULL;
    uint64_t id = 0;

    if (call_id(c, "span_id", &id))
        context = context_of_id(id);
    sonde_json_key(c->out, SONDE_STR("http_headers"));
    sonde_json_begin_array(c->out);
    inject_into(context, write_header, c->out);
    sonde_json_end_array(c->out);
    sonde_context_release(context);
}

/* -- baggage -------------------------------------------------------------------------------------- */

void carry_set_baggage(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *key = e ? call_needs_text(c, "key") : NULL;
    const char *value = key ? call_needs_text(c, "value") : NULL;

    if (value)
        sonde_span_set_baggage(e->span, key, value);
}

void carry_remove_baggage(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *key = e ? call_needs_text(c, "key") : NULL;

    if (key)
        sonde_span_remove_baggage(e->span, key);
}

void carry_remove_all_baggage(call *c)
{
    span_entry *e = the_span(c, "span_id");

    if (e)
        sonde_span_clear_baggage(e->span);
}

typedef struct wanted_item {
    sonde_json_writer *out;
    sonde_str key;
    bool found;
} wanted_item;

static void write_if_wanted(void *user, sonde_str key, sonde_str value)
{
    wanted_item *wanted = (wanted_item *)user;

    if (wanted->found || !sonde_str_eq(key, wanted->key))
        return;
    wanted->found = true;
    sonde_json_str(wanted->out, value);
}

void carry_get_baggage(call *c)
{
    span_entry *e = the_span(c, "span_id");
    const char *key = e ? call_needs_text(c, "key") : NULL;
    wanted_item wanted = { .out = c->out, .key = sonde_str_from(key) };
    sonde_context *context;

    if (!key)
        return;
    context = table_context(e);
    sonde_json_key(c->out, SONDE_STR("baggage"));
    if (context)
        sonde_context_each_baggage(context, write_if_wanted, &wanted);
    if (!wanted.found)
        sonde_json_null(c->out);
    sonde_context_release(context);
}

static void write_item(void *user, sonde_str key, sonde_str value)
{
    sonde_json_writer *out = (sonde_json_writer *)user;

    sonde_json_key(out, key);
    sonde_json_str(out, value);
}

void carry_get_all_baggage(call *c)
{
    span_entry *e = the_span(c, "span_id");
    sonde_context *context;

    if (!e)
        return;
    context = table_context(e);
    sonde_json_key(c->out, SONDE_STR("baggage"));
    sonde_json_begin_object(c->out);
    if (context)
        sonde_context_each_baggage(context, write_item, c->out);
    sonde_json_end_object(c->out);
    sonde_context_release(context);
}

/* -- active --------------------------------------------------------------------------------------- */

void carry_current(call *c)
{
    const sonde_span *span = sonde_span_current();

    sonde_json_put_u64(c->out, "span_id", sonde_span_id(span));
    sonde_json_put_u64(c->out, "trace_id", sonde_span_trace_id_low(span));
}
