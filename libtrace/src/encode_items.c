/* encode_items.c - copies packed links and events, and makes JSON of events. */
#include "encode_items.h"

#include "codec/json_write.h"
#include "codec/msgpack_read.h"
#include "codec/msgpack_write.h"

#include "counters.h"

static bool next_of(sonde__text_cursor *c, unsigned kind, sonde__record *out)
{
    while (sonde__text_next(c, out))
        if (out->kind == kind)
            return true;
    return false;
}

static void append_value(sonde_buf *b, const sonde__record *r)
{
    uint8_t *to = sonde_buf_reserve(b, r->value_len);

    if (!to)
        return;
    sonde__text_copy(r, (char *)to);
    sonde_buf_commit(b, r->value_len);
}

void sonde__write_items(sonde_buf *b, const sonde__span *span, unsigned kind, uint32_t count)
{
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde__record r;

    sonde_mp_write_array(b, count);
    while (next_of(&c, kind, &r))
        append_value(b, &r);
}

/* -- JSON ------------------------------------------------------------------------------------------- */

/* {"type": n, "<kind>_value": v}: our own bytes, so reading them does not fail. */
static void write_value(sonde_json_writer *w, sonde_mp_reader *r)
{
    uint32_t members, count;
    sonde_str key, text;
    uint64_t type = 0;
    double number;
    int64_t integer;
    bool truth;

    if (!sonde_mp_read_map(r, &members) || !sonde_mp_read_str(r, &key) ||
        !sonde_mp_read_u64(r, &type) || !sonde_mp_read_str(r, &key))
        return;
    if (type == 0 && sonde_mp_read_str(r, &text))
        sonde_json_str(w, text);
    else if (type == 1 && sonde_mp_read_bool(r, &truth))
        sonde_json_bool(w, truth);
    else if (type == 2 && sonde_mp_read_i64(r, &integer))
        sonde_json_i64(w, integer);
    else if (type == 3 && sonde_mp_read_double(r, &number))
        sonde_json_double(w, number);
    else if (type == 4 && sonde_mp_read_map(r, &members) && sonde_mp_read_str(r, &key) &&
             sonde_mp_read_array(r, &count)) {
        sonde_json_begin_array(w);
        while (count-- > 0)
            write_value(w, r); /* of scalars: one level */
        sonde_json_end_array(w);
    }
}

static void write_attributes(sonde_json_writer *w, sonde_mp_reader *r)
{
    uint32_t count = 0;
    sonde_str key;

    (void)sonde_mp_read_map(r, &count);
    sonde_json_begin_object(w);
    while (count-- > 0 && sonde_mp_read_str(r, &key)) {
        sonde_json_key(w, key);
        write_value(w, r);
    }
    sonde_json_end_object(w);
}

static void write_event(sonde_buf *out, sonde_str packed)
{
    sonde_json_writer w;
    sonde_mp_reader r;
    uint32_t members = 0;
    sonde_str key;

    sonde_mp_reader_init(&r, packed.ptr, packed.len);
    sonde_json_writer_init(&w, out);
    (void)sonde_mp_read_map(&r, &members);
    sonde_json_begin_object(&w);
    while (members-- > 0 && sonde_mp_read_str(&r, &key)) {
        uint64_t time;
        sonde_str name;

        sonde_json_key(&w, key);
        if (sonde_str_eq(key, SONDE_STR("attributes")))
            write_attributes(&w, &r);
        else if (sonde_str_eq(key, SONDE_STR("name")) && sonde_mp_read_str(&r, &name))
            sonde_json_str(&w, name);
        else if (sonde_mp_read_u64(&r, &time))
            sonde_json_u64(&w, time);
    }
    sonde_json_end_object(&w);
}

void sonde__events_json(sonde_buf *out, sonde_buf *scratch, const sonde__span *span)
{
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde__record r;

    sonde_buf_reset(out);
    sonde_buf_append_byte(out, '[');
    while (next_of(&c, SONDE__TEXT_EVENT, &r)) {
        size_t before = out->len;

        sonde_buf_reset(scratch);
        append_value(scratch, &r);
        if (before > 1)
            sonde_buf_append_byte(out, ',');
        write_event(out, sonde_buf_str(scratch));
        if (out->len < SONDE__EVENTS_JSON_MAX_BYTES || out->status != SONDE_OK)
            continue;
        out->len = before;
        sonde__count(SONDE__EVENTS_DROPPED, 1);
    }
    sonde_buf_append_byte(out, ']');
}
