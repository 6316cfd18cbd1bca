/* json_write.c - JSON text, value by value.
 *
 * Each open container has one byte of state: whether it is an object and whether something is in it.
 * Once the buffer has failed every call does nothing, so the states need not follow.
 *
 * Threads   none.
 * Bounds    nesting SONDE_JSON_DEPTH_MAX: deeper sets the buffer's status to SONDE_ERR_TOO_BIG.
 */
#include "codec/json_write.h"

#include <string.h>

#include "base/assert.h"
#include "base/format.h"

enum { HAS_ITEMS = 1, IS_OBJECT = 2 };

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void sonde_json_writer_init(sonde_json_writer *w, sonde_buf *out)
{
    memset(w, 0, sizeof(*w));
    w->out = out;
    w->indent = "";
}

static void append_cstr(sonde_json_writer *w, const char *text)
{
    sonde_buf_append(w->out, text, strlen(text));
}

static void new_line(sonde_json_writer *w)
{
    unsigned i;

    if (!w->indent[0])
        return;
    sonde_buf_append_byte(w->out, '\n');
    for (i = 0; i < w->depth; i++)
        append_cstr(w, w->indent);
}

static void begin_item(sonde_json_writer *w) /* a key, or an element of an array */
{
    uint8_t *state = &w->has_items[w->depth];

    if (*state & HAS_ITEMS)
        sonde_buf_append_byte(w->out, ',');
    *state |= HAS_ITEMS;
    if (w->depth)
        new_line(w);
}

/* What precedes a value.  False when the buffer has failed. */
static bool begin_value(sonde_json_writer *w)
{
    if (w->out->status != SONDE_OK)
        return false;
    if (w->after_key) {
        w->after_key = false;
        return true;
    }
    SONDE_CHECK(!(w->has_items[w->depth] & IS_OBJECT), return false); /* a key is due */
    begin_item(w);
    return true;
}

static void begin_container(sonde_json_writer *w, uint8_t brace, uint8_t state)
{
    if (!begin_value(w))
        return;
    if (w->depth == SONDE_JSON_DEPTH_MAX) {
        w->out->status = SONDE_ERR_TOO_BIG;
        return;
    }
    sonde_buf_append_byte(w->out, brace);
    w->has_items[++w->depth] = state;
}

static void end_container(sonde_json_writer *w, uint8_t brace, uint8_t kind)
{
    uint8_t state;

    if (w->out->status != SONDE_OK)
        return;
    state = w->has_items[w->depth];
    SONDE_CHECK(w->depth > 0 && !w->after_key && (state & IS_OBJECT) == kind, return );
    w->depth--;
    if (state & HAS_ITEMS)
        new_line(w);
    sonde_buf_append_byte(w->out, brace);
}

void sonde_json_begin_object(sonde_json_writer *w)
{
    begin_container(w, '{', IS_OBJECT);
}

void sonde_json_end_object(sonde_json_writer *w)
{
    end_container(w, '}', IS_OBJECT);
}

void sonde_json_begin_array(sonde_json_writer *w)
{
    begin_container(w, '[', 0);
}

void sonde_json_end_array(sonde_json_writer *w)
{
    end_container(w, ']', 0);
}

static void append_unicode_escape(sonde_buf *b, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    const char text[6] = { '\\',
                           'u',
                           digits[unit >> 12 & 15],
                           digits[unit >> 8 & 15],
                           digits[unit >> 4 & 15],
                           digits[unit & 15] };

    sonde_buf_append(b, text, sizeof(text));
}

static void append_escaped(sonde_buf *b, uint8_t c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c ? strchr(plain, c) : NULL;

    if (!at) {
        append_unicode_escape(b, c);
        return;
    }
    sonde_buf_append_byte(b, '\\');
    sonde_buf_append_byte(b, (uint8_t)letters[at - plain]);
}

static bool needs_escape(uint8_t c, bool escape_html)
{
    if (c < 0x20 || c == '"' || c == '\\')
        return true;
    return escape_html && (c == '<' || c == '>' || c == '&');
}

/* Bytes from `at` that go out as they are. */
static size_t plain_run(const sonde_json_writer *w, sonde_str s, size_t at)
{
    size_t i = at;

    while (i < s.len && (uint8_t)s.ptr[i] < 0x80 &&
           !needs_escape((uint8_t)s.ptr[i], w->escape_html))
        i++;
    return i - at;
}

/* One byte or sequence that plain_run() stopped at; returns its length. */
static size_t append_special(const sonde_json_writer *w, sonde_str rest)
{
    size_t len;
    unsigned rune;

    if ((uint8_t)rest.ptr[0] < 0x80) {
        append_escaped(w->out, (uint8_t)rest.ptr[0]);
        return 1;
    }
    len = sonde_utf8_decode(rest, &rune);
    if (len == 0) {
        sonde_buf_append(w->out, REPLACEMENT, 3);
        return 1;
    }
    if (w->escape_html && (rune == 0x2028 || rune == 0x2029)) /* line ends to JavaScript */
        append_unicode_escape(w->out, rune);
    else
        sonde_buf_append(w->out, rest.ptr, len);
    return len;
}

static void append_quoted(sonde_json_writer *w, sonde_str s)
{
    size_t at = 0, run;

    sonde_buf_append_byte(w->out, '"');
    while (at < s.len) {
        run = plain_run(w, s, at);
        if (run)
            sonde_buf_append(w->out, s.ptr + at, run);
        at += run;
        if (at < s.len)
            at += append_special(w, sonde_str_sub(s, at, s.len));
    }
    sonde_buf_append_byte(w->out, '"');
}

void sonde_json_key(sonde_json_writer *w, sonde_str key)
{
    if (w->out->status != SONDE_OK)
        return;
    SONDE_CHECK((w->has_items[w->depth] & IS_OBJECT) && !w->after_key, return );
    begin_item(w);
    append_quoted(w, key);
    sonde_buf_append_byte(w->out, ':');
    if (w->indent[0])
        sonde_buf_append_byte(w->out, ' ');
    w->after_key = true;
}

void sonde_json_str(sonde_json_writer *w, sonde_str s)
{
    if (begin_value(w))
        append_quoted(w, s);
}

void sonde_json_u64(sonde_json_writer *w, uint64_t v)
{
    char text[SONDE_U64_MAX_LEN];

    if (begin_value(w))
        sonde_buf_append(w->out, text, sonde_format_u64(v, text));
}

void sonde_json_i64(sonde_json_writer *w, int64_t v)
{
    char text[SONDE_I64_MAX_LEN];

    if (begin_value(w))
        sonde_buf_append(w->out, text, sonde_format_i64(v, text));
}

void sonde_json_double(sonde_json_writer *w, double v)
{
    char text[SONDE_DOUBLE_MAX_LEN];

    if (begin_value(w))
        sonde_buf_append(w->out, text, sonde_format_double(v, text));
}

void sonde_json_bool(sonde_json_writer *w, bool v)
{
    if (begin_value(w))
        append_cstr(w, v ? "true" : "false");
}

void sonde_json_null(sonde_json_writer *w)
{
    if (begin_value(w))
        append_cstr(w, "null");
}

void sonde_json_raw(sonde_json_writer *w, sonde_str json)
{
    if (begin_value(w))
        sonde_buf_append_str(w->out, json);
}

void sonde_json_put_str(sonde_json_writer *w, const char *key, sonde_str s)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_str(w, s);
}

void sonde_json_put_u64(sonde_json_writer *w, const char *key, uint64_t v)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_u64(w, v);
}

void sonde_json_put_i64(sonde_json_writer *w, const char *key, int64_t v)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_i64(w, v);
}

void sonde_json_put_double(sonde_json_writer *w, const char *key, double v)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_double(w, v);
}

void sonde_json_put_bool(sonde_json_writer *w, const char *key, bool v)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_bool(w, v);
}
