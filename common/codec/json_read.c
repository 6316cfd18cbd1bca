/* json_read.c - a JSON text as a sequence of events.
 *
 * What may come next is one of four states; the kind of the open containers is a bit per level.
 *
 *   VALUE   a value; before the first event and behind a key
 *   FIRST   behind "{" or "[": the end of the container, or its first item (a key or a value)
 *   AFTER   behind an item: a comma with the next item, or the end of the container
 *   DONE    behind the top-level value: nothing
 *
 * Threads   none.
 * Bounds    as in the header; the scratch buffer holds one decoded string.
 */
#include "codec/json_read.h"

#include <string.h>

#include "base/parse.h"

enum { EXPECT_VALUE, EXPECT_FIRST, EXPECT_AFTER, EXPECT_DONE };

void sonde_json_reader_init(sonde_json_reader *r, sonde_str json, size_t max_string_bytes)
{
    memset(r, 0, sizeof(*r));
    r->start = r->at = json.len ? json.ptr : "";
    r->end = r->start + json.len;
    r->expect = EXPECT_VALUE;
    sonde_buf_init(&r->scratch, max_string_bytes);
}

void sonde_json_reader_done(sonde_json_reader *r)
{
    sonde_buf_done(&r->scratch);
}

/* So that functions of both return types can end in `return fail(...)`. */
_Static_assert(SONDE_JSON_ERROR == 0, "a failure is also false");

static sonde_json_event fail(sonde_json_reader *r, sonde_status status, const char *error)
{
    if (r->status == SONDE_OK) {
        r->status = status;
        r->error = error;
        r->error_at = (size_t)(r->at - r->start);
    }
    return SONDE_JSON_ERROR;
}

static sonde_json_event unexpected(sonde_json_reader *r, const char *error)
{
    return fail(r, r->at == r->end ? SONDE_ERR_EOF : SONDE_ERR_SYNTAX, error);
}

static void skip_space(sonde_json_reader *r)
{
    while (r->at != r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static bool next_is(const sonde_json_reader *r, char c)
{
    return r->at != r->end && *r->at == c;
}

static bool in_object(const sonde_json_reader *r)
{
    return r->depth && (r->open_objects >> (r->depth - 1) & 1);
}

static void value_is_over(sonde_json_reader *r)
{
    r->expect = r->depth ? EXPECT_AFTER : EXPECT_DONE;
}

/* Strings */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits of a \u escape at `at`, or -1. */
static long code_unit(const sonde_json_reader *r, const char *at)
{
    long unit = 0;
    int i, digit;

    if (r->end - at < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* The escape \uXXXX whose digits are at r->at, with the second half of a pair; a half that is alone
 * becomes U+FFFD. */
static bool decode_unicode(sonde_json_reader *r)
{
    long unit = code_unit(r, r->at), low;
    char utf8[4];

    if (unit < 0)
        return unexpected(r, "expected four hexadecimal digits");
    r->at += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && r->end - r->at >= 2 && r->at[0] == '\\' &&
        r->at[1] == 'u') {
        low = code_unit(r, r->at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            r->at += 6;
        }
    }
    if (unit >= 0xd800 && unit < 0xe000)
        unit = 0xfffd;
    sonde_buf_append(&r->scratch, utf8, sonde_utf8_encode((unsigned)unit, utf8));
    return true;
}

static bool decode_escape(sonde_json_reader *r) /* r->at is behind the backslash */
{
    static const char letters[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (next_is(r, 'u')) {
        r->at++;
        return decode_unicode(r);
    }
    at = r->at == r->end || *r->at == '\0' ? NULL : strchr(letters, *r->at);
    if (!at)
        return unexpected(r, "unknown escape");
    sonde_buf_append_byte(&r->scratch, (uint8_t)plain[at - letters]);
    r->at++;
    return true;
}

/* Moves r->at to the first quote, backslash or control character. */
static sonde_str plain_run(sonde_json_reader *r)
{
    const char *from = r->at;

    while (r->at != r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
        r->at++;
    return (sonde_str){ from, (size_t)(r->at - from) };
}

/* The rest of a string, from its first escape on, into the scratch buffer. */
static bool decode_string(sonde_json_reader *r, sonde_str head)
{
    sonde_buf_reset(&r->scratch);
    sonde_buf_append_str(&r->scratch, head);
    while (next_is(r, '\\')) {
        r->at++;
        if (!decode_escape(r))
            return false;
        sonde_buf_append_str(&r->scratch, plain_run(r));
    }
    if (r->scratch.status != SONDE_OK)
        return fail(r, r->scratch.status, "the string is too long");
    r->text = sonde_buf_str(&r->scratch);
    return true;
}

static bool take_string(sonde_json_reader *r) /* r->at is at the opening quote */
{
    r->at++;
    r->text = plain_run(r);
    if (next_is(r, '\\')) {
        if (!decode_string(r, r->text))
            return false;
    } else if (r->text.len > r->scratch.max_bytes) {
        return fail(r, SONDE_ERR_TOO_BIG, "the string is too long");
    }
    if (!next_is(r, '"'))
        return unexpected(r, "the string does not end");
    r->at++;
    return true;
}

/* Numbers */

static bool skip_digits(sonde_json_reader *r)
{
    const char *from = r->at;

    while (r->at != r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at != from;
}

static bool skip_number(sonde_json_reader *r)
{
    if (next_is(r, '-'))
        r->at++;
    if (next_is(r, '0'))
        r->at++;
    else if (!skip_digits(r))
        return false;
    if (next_is(r, '.')) {
        r->at++;
        if (!skip_digits(r))
            return false;
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        r->at++;
        if (next_is(r, '+') || next_is(r, '-'))
            r->at++;
        if (!skip_digits(r))
            return false;
    }
    return true;
}

static sonde_json_event take_number(sonde_json_reader *r)
{
    const char *from = r->at;

    if (!skip_number(r))
        return unexpected(r, "malformed number");
    r->text = (sonde_str){ from, (size_t)(r->at - from) };
    if (sonde_parse_double(r->text, &r->number) != SONDE_OK)
        return fail(r, SONDE_ERR_SYNTAX, "the number is out of range");
    value_is_over(r);
    return SONDE_JSON_NUMBER;
}

static sonde_json_event take_word(sonde_json_reader *r, sonde_str word, sonde_json_event event)
{
    sonde_str rest = { r->at, (size_t)(r->end - r->at) };

    if (!sonde_str_starts(rest, word))
        return sonde_str_starts(word, rest) ? fail(r, SONDE_ERR_EOF, "cut off")
                                            : fail(r, SONDE_ERR_SYNTAX, "expected a value");
    r->at += word.len;
    value_is_over(r);
    return event;
}

/* Structure */

static sonde_json_event open_container(sonde_json_reader *r, sonde_json_event event)
{
    uint64_t bit;

    if (r->depth == SONDE_JSON_READ_DEPTH_MAX)
        return fail(r, SONDE_ERR_TOO_BIG, "nested too deeply");
    bit = UINT64_C(1) << r->depth++;
    r->open_objects = event == SONDE_JSON_OBJECT ? r->open_objects | bit : r->open_objects & ~bit;
    r->at++;
    r->expect = EXPECT_FIRST;
    return event;
}

static sonde_json_event close_container(sonde_json_reader *r)
{
    sonde_json_event event = in_object(r) ? SONDE_JSON_OBJECT_END : SONDE_JSON_ARRAY_END;

    r->at++;
    r->depth--;
    value_is_over(r);
    return event;
}

static sonde_json_event take_value(sonde_json_reader *r)
{
    switch (r->at == r->end ? '\0' : *r->at) {
    case '{':
        return open_container(r, SONDE_JSON_OBJECT);
    case '[':
        return open_container(r, SONDE_JSON_ARRAY);
    case '"':
        if (!take_string(r))
            return SONDE_JSON_ERROR;
        value_is_over(r);
        return SONDE_JSON_STRING;
    case 't':
        return take_word(r, SONDE_STR("true"), SONDE_JSON_TRUE);
    case 'f':
        return take_word(r, SONDE_STR("false"), SONDE_JSON_FALSE);
    case 'n':
        return take_word(r, SONDE_STR("null"), SONDE_JSON_NULL);
    default:
        if (r->at != r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')))
            return take_number(r);
        return unexpected(r, "expected a value");
    }
}

static sonde_json_event take_key(sonde_json_reader *r)
{
    if (!next_is(r, '"'))
        return unexpected(r, "expected a key");
    if (!take_string(r))
        return SONDE_JSON_ERROR;
    skip_space(r);
    if (!next_is(r, ':'))
        return unexpected(r, "expected a colon");
    r->at++;
    r->expect = EXPECT_VALUE;
    return SONDE_JSON_KEY;
}

static sonde_json_event take_item(sonde_json_reader *r)
{
    return in_object(r) ? take_key(r) : take_value(r);
}

static bool closes(const sonde_json_reader *r)
{
    return next_is(r, in_object(r) ? '}' : ']');
}

sonde_json_event sonde_json_next(sonde_json_reader *r)
{
    if (r->status != SONDE_OK)
        return SONDE_JSON_ERROR;
    skip_space(r);
    switch (r->expect) {
    case EXPECT_VALUE:
        return take_value(r);
    case EXPECT_FIRST:
        return closes(r) ? close_container(r) : take_item(r);
    case EXPECT_AFTER:
        if (closes(r))
            return close_container(r);
        if (!next_is(r, ','))
            return unexpected(r, "expected a comma or the end");
        r->at++;
        skip_space(r);
        return take_item(r);
    default: /* EXPECT_DONE */
        return r->at == r->end ? SONDE_JSON_END : unexpected(r, "more than one value");
    }
}

bool sonde_json_skip(sonde_json_reader *r, sonde_json_event first)
{
    unsigned depth;

    if (first == SONDE_JSON_KEY)
        first = sonde_json_next(r);
    if (first == SONDE_JSON_OBJECT || first == SONDE_JSON_ARRAY) {
        depth = r->depth - 1u;
        while (r->depth > depth)
            if (sonde_json_next(r) == SONDE_JSON_ERROR)
                return false;
    }
    return first != SONDE_JSON_ERROR;
}

bool sonde_json_read_members(sonde_json_reader *r, const sonde_json_member *table, void *user)
{
    sonde_json_event e;

    while ((e = sonde_json_next(r)) == SONDE_JSON_KEY) {
        const sonde_json_member *m = table;

        while (m->name && !sonde_str_eq(r->text, sonde_str_from(m->name)))
            m++;
        e = sonde_json_next(r);
        if (m->name ? !m->read(user, e) : !sonde_json_skip(r, e))
            return false;
    }
    return e == SONDE_JSON_OBJECT_END;
}
