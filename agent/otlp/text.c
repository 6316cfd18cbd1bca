/* text.c - values as text; events and links as JSON. */
#include "map.h"

#include "base/format.h"
#include "base/hex.h"
#include "codec/json_write.h"

bool otlp_keep_text(otlp_builder *b, sonde_str *out)
{
    *out = sonde_buf_str(&b->text);
    if (b->text.status == SONDE_ERR_NOMEM)
        return otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    if (b->text.status != SONDE_OK) { /* nested too deeply or too long: half of it is nothing */
        b->tally.tags_cut++;
        out->len = 0;
    }
    return otlp_build_copy(b, out);
}

bool otlp_join(otlp_builder *b, const sonde_str *parts, size_t len, sonde_str *out)
{
    size_t total = 0, at = 0;
    char *text;

    for (size_t i = 0; i < len; i++)
        total += parts[i].len;
    text = otlp_build_alloc(b, total + 1, 1);
    if (!text)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (parts[i].len)
            memcpy(text + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    *out = (sonde_str){ text, total };
    return true;
}

static bool number_text(otlp_builder *b, const otlp_value *v, sonde_str *out)
{
    char text[SONDE_DOUBLE_MAX_LEN];

    out->len = v->type == OTLP_INT ? sonde_format_i64(v->integer, text)
                                   : sonde_format_double(v->number, text);
    out->ptr = text;
    return otlp_build_copy(b, out);
}

/* Bytes are kept as a JSON string: as text they lose its quotes. */
static sonde_str without_quotes(sonde_str json)
{
    return json.len >= 2 && json.ptr[0] == '"' ? sonde_str_sub(json, 1, json.len - 2) : json;
}

bool otlp_value_text(otlp_builder *b, const otlp_value *v, sonde_str *out)
{
    switch (v->type) {
    case OTLP_STRING:
        *out = v->text;
        return true;
    case OTLP_JSON:
        *out = without_quotes(v->text);
        return true;
    case OTLP_BOOL:
        *out = v->integer ? SONDE_STR("true") : SONDE_STR("false");
        return true;
    case OTLP_INT:
    case OTLP_DOUBLE:
        return number_text(b, v, out);
    default:
        *out = (sonde_str){ "", 0 };
        return true;
    }
}

static void put_value(sonde_json_writer *w, const otlp_value *v)
{
    switch (v->type) {
    case OTLP_JSON:
        if (v->text.len)
            sonde_json_raw(w, v->text);
        else
            sonde_json_null(w);
        break;
    case OTLP_BOOL:
        sonde_json_bool(w, v->integer != 0);
        break;
    case OTLP_INT:
        sonde_json_i64(w, v->integer);
        break;
    case OTLP_DOUBLE:
        sonde_json_double(w, v->number);
        break;
    default:
        sonde_json_str(w, v->text);
        break;
    }
}

static void put_event(sonde_json_writer *w, const otlp_span *s, const otlp_event *e)
{
    sonde_json_begin_object(w);
    if (e->name.len)
        sonde_json_put_str(w, "name", e->name);
    if (e->time_unix_nano)
        sonde_json_put_u64(w, "time_unix_nano", e->time_unix_nano);
    if (e->attrs_len) {
        sonde_json_key(w, SONDE_STR("attributes"));
        sonde_json_begin_object(w);
        for (uint32_t i = 0; i < e->attrs_len; i++) {
            const otlp_attr *a = &s->more.items[e->attrs_from + i];

            sonde_json_key(w, a->key);
            put_value(w, &a->value);
        }
        sonde_json_end_object(w);
    }
    sonde_json_end_object(w);
}

bool otlp_events_text(otlp_builder *b, sonde_str *out)
{
    sonde_json_writer w;

    sonde_buf_reset(&b->text);
    sonde_json_writer_init(&w, &b->text);
    sonde_json_begin_array(&w);
    for (uint32_t i = 0; i < b->span.events_len; i++)
        put_event(&w, &b->span, &b->span.events[i]);
    sonde_json_end_array(&w);
    return otlp_keep_text(b, out);
}

/* The attributes of a link are texts. */
static bool put_link_attributes(otlp_builder *b, sonde_json_writer *w, const otlp_link *l)
{
    sonde_json_key(w, SONDE_STR("attributes"));
    sonde_json_begin_object(w);
    for (uint32_t i = 0; i < l->attrs_len; i++) {
        const otlp_attr *a = &b->span.more.items[l->attrs_from + i];
        sonde_str text;

        if (!otlp_value_text(b, &a->value, &text))
            return false;
        sonde_json_key(w, a->key);
        sonde_json_str(w, text);
    }
    sonde_json_end_object(w);
    return true;
}

static bool put_link(otlp_builder *b, sonde_json_writer *w, const otlp_link *l)
{
    char hex[32];

    sonde_json_begin_object(w);
    sonde_hex_u64(l->trace_id_high, hex);
    sonde_hex_u64(l->trace_id, hex + 16);
    sonde_json_put_str(w, "trace_id", (sonde_str){ hex, 32 });
    sonde_hex_u64(l->span_id, hex);
    sonde_json_put_str(w, "span_id", (sonde_str){ hex, 16 });
    if (l->attrs_len && !put_link_attributes(b, w, l))
        return false;
    if (l->tracestate.len)
        sonde_json_put_str(w, "tracestate", l->tracestate);
    if (l->flags & 0xff) /* W3C's; the others say how the link was made */
        sonde_json_put_u64(w, "flags", l->flags & 0xff);
    sonde_json_end_object(w);
    return true;
}

bool otlp_links_text(otlp_builder *b, sonde_str *out)
{
    sonde_json_writer w;

    sonde_buf_reset(&b->text);
    sonde_json_writer_init(&w, &b->text);
    sonde_json_begin_array(&w);
    for (uint32_t i = 0; i < b->span.links_len; i++) {
        if (!put_link(b, &w, &b->span.links[i]))
            return false;
    }
    sonde_json_end_array(&w);
    return otlp_keep_text(b, out);
}
