/* json.c - one pass over the bytes; what is kept is copied, a value is written once, when it begins.
 *
 * Bounds   a bit for each level of nesting, on the stack. */
#include "agent/obfuscate/obfuscators.h"

#define SQL_FAILED                                                                                 \
    "Datadog-agent failed to obfuscate SQL string. Enable agent debug logs for more info."
#define SQL_MAX_BYTES (1u << 20)
#define NO_DEPTH      (OBFUSCATE_JSON_DEPTH_MAX + 1)

typedef struct json {
    const char *at, *end;
    sonde_buf *out;
    const obfuscate_json_options *options;
    unsigned depth;
    unsigned keep_depth; /* values at least that deep are kept; NO_DEPTH: none */
    bool is_sql;         /* the value of the key just read */
    uint8_t is_object[OBFUSCATE_JSON_DEPTH_MAX / 8];
} json;

static bool in_object(const json *j)
{
    return j->depth > 0 && (j->is_object[(j->depth - 1) / 8] >> ((j->depth - 1) % 8) & 1);
}

static bool is_keeping(const json *j)
{
    return j->depth >= j->keep_depth;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_spaces(json *j)
{
    while (j->at < j->end && is_space(*j->at))
        j->at++;
}

static bool take(json *j, char c)
{
    skip_spaces(j);
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    sonde_buf_append_byte(j->out, (uint8_t)c);
    return true;
}

/* -- literals: false when they are cut off or wrong, with j->at where that shows ------------------- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Behind a backslash. */
static bool scan_escape(json *j)
{
    int digits = 4;

    if (j->at == j->end)
        return false;
    if (*j->at != 'u') {
        if (*j->at == '\0' || !strchr("bfnrt\\/\"", *j->at))
            return false;
        j->at++;
        return true;
    }
    for (j->at++; digits > 0 && j->at < j->end && is_hex(*j->at); digits--)
        j->at++;
    return digits == 0;
}

/* At the opening quote. */
static bool scan_string(json *j)
{
    for (j->at++; j->at < j->end;) {
        unsigned char c = (unsigned char)*j->at;

        if (c < 0x20)
            return false;
        j->at++;
        if (c == '"')
            return true;
        if (c == '\\' && !scan_escape(j))
            return false;
    }
    return false;
}

static bool scan_digits(json *j)
{
    const char *from = j->at;

    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return j->at > from;
}

static bool scan_number(json *j)
{
    if (*j->at == '-')
        j->at++;
    if (j->at < j->end && *j->at == '0')
        j->at++;
    else if (!scan_digits(j))
        return false;
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (!scan_digits(j))
            return false;
    }
    if (j->at < j->end && (*j->at | 0x20) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        return scan_digits(j);
    }
    return true;
}

static bool scan_word(json *j, const char *word)
{
    for (; *word; word++, j->at++)
        if (j->at == j->end || *j->at != *word)
            return false;
    return true;
}

static bool begins_literal(char c)
{
    return c == '"' || c == '-' || (c >= '0' && c <= '9') || c == 't' || c == 'f' || c == 'n';
}

static bool scan_literal(json *j)
{
    switch (*j->at) {
    case '"':
        return scan_string(j);
    case 't':
        return scan_word(j, "true");
    case 'f':
        return scan_word(j, "false");
    case 'n':
        return scan_word(j, "null");
    default:
        return scan_number(j);
    }
}

/* -- values ---------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Behind a backslash of a scanned string; false: not an escape Go knows in its own strings. */
static bool decode_escape(const char **at, sonde_buf *out)
{
    static const char letters[] = "bfnrt\\\"";
    static const char bytes[] = "\b\f\n\r\t\\\"";
    const char *known = strchr(letters, **at);
    unsigned rune = 0;
    char utf8[4];
    int i;

    if (known) {
        sonde_buf_append_byte(out, (uint8_t)bytes[known - letters]);
        (*at)++;
        return true;
    }
    if (**at != 'u')
        return false;
    for (i = 1; i <= 4; i++)
        rune = rune << 4 | (unsigned)hex_value((*at)[i]);
    if (rune >= 0xd800 && rune < 0xe000)
        return false;
    sonde_buf_append(out, utf8, sonde_utf8_encode(rune, utf8));
    *at += 5;
    return true;
}

/* The text of a literal: a string without quotes and escapes, if Go could read it too; else as it stands. */
static void decode_literal(sonde_str literal, sonde_buf *out)
{
    const char *at = literal.ptr + 1;
    const char *end = literal.ptr + literal.len - 1;

    if (literal.ptr[0] == '"') {
        while (at < end) {
            if (*at != '\\') {
                sonde_buf_append_byte(out, (uint8_t)*at++);
                continue;
            }
            at++;
            if (!decode_escape(&at, out))
                break;
        }
        if (at >= end)
            return;
    }
    sonde_buf_reset(out);
    sonde_buf_append_str(out, literal);
}

static void write_sql(json *j, sonde_str literal)
{
    sonde_buf text, result;
    sonde_status status;

    sonde_buf_init(&text, SQL_MAX_BYTES);
    sonde_buf_init(&result, SQL_MAX_BYTES);
    decode_literal(literal, &text);
    status = text.status;
    if (status == SONDE_OK)
        status = sonde_obfuscate_sql_with(sonde_buf_str(&text), j->options->sql, &result);
    sonde_buf_append_byte(j->out, '"');
    sonde_buf_append_str(j->out,
                         status == SONDE_OK ? sonde_buf_str(&result) : SONDE_STR(SQL_FAILED));
    sonde_buf_append_byte(j->out, '"');
    if (status == SONDE_ERR_NOMEM)
        j->out->status = SONDE_ERR_NOMEM;
    sonde_buf_done(&text);
    sonde_buf_done(&result);
}

static bool put_literal(json *j)
{
    const char *from = j->at;
    bool is_sql = j->is_sql;
    bool is_whole;

    j->is_sql = false;
    is_whole = scan_literal(j);
    if (is_sql && is_whole)
        write_sql(j, (sonde_str){ from, (size_t)(j->at - from) });
    else if (is_sql)
        return false;
    else if (is_keeping(j))
        sonde_buf_append(j->out, from, (size_t)(j->at - from));
    else
        sonde_buf_append_str(j->out, SONDE_STR("\"?\""));
    return is_whole;
}

static bool has_name(obfuscate_names names, sonde_str name)
{
    size_t i;

    for (i = 0; i < names.len; i++)
        if (sonde_str_eq(names.items[i], name))
            return true;
    return false;
}

/* A key and its colon. */
static bool put_key(json *j)
{
    const char *from;
    sonde_str key;
    bool is_whole;

    skip_spaces(j);
    from = j->at;
    if (j->at == j->end || *j->at != '"')
        return false;
    is_whole = scan_string(j);
    sonde_buf_append(j->out, from, (size_t)(j->at - from));
    key = (sonde_str){ from + 1, (size_t)(j->at - from) - 2 };
    if (!is_whole || !take(j, ':'))
        return false;
    if (!is_keeping(j) && has_name(j->options->keep_values, key))
        j->keep_depth = j->depth;
    else
        j->is_sql = has_name(j->options->sql_values, key);
    return true;
}

static bool open_closure(json *j, bool is_object)
{
    uint8_t bit = (uint8_t)(1u << (j->depth % 8));

    if (j->depth == OBFUSCATE_JSON_DEPTH_MAX)
        return false;
    j->is_object[j->depth / 8] &= (uint8_t)~bit;
    if (is_object)
        j->is_object[j->depth / 8] |= bit;
    j->depth++;
    j->is_sql = false;
    return true;
}

/* Behind a value: up to the next one of the document, or to its end.  False: wrong or cut off. */
static bool end_value(json *j, bool *out_document_ended)
{
    while (j->depth > 0) {
        if (j->depth <= j->keep_depth)
            j->keep_depth = NO_DEPTH;
        if (take(j, ','))
            return !in_object(j) || put_key(j);
        if (!take(j, in_object(j) ? '}' : ']'))
            return false;
        j->depth--;
    }
    *out_document_ended = true;
    return true;
}

/* One value, or the beginning of one that has others in it. */
static bool put_value(json *j, bool *out_ended)
{
    bool is_object;

    skip_spaces(j);
    *out_ended = false;
    if (j->at == j->end)
        return false;
    if (begins_literal(*j->at)) {
        *out_ended = true;
        return put_literal(j);
    }
    is_object = *j->at == '{';
    if (!is_object && *j->at != '[')
        return false;
    (void)take(j, *j->at);
    if (!open_closure(j, is_object))
        return false;
    if (take(j, is_object ? '}' : ']')) {
        j->depth--;
        *out_ended = true;
        return true;
    }
    return !is_object || put_key(j);
}

static bool put_document(json *j)
{
    bool document_ended = false;
    bool value_ended;

    while (!document_ended)
        if (!put_value(j, &value_ended) || (value_ended && !end_value(j, &document_ended)))
            return false;
    return true;
}

sonde_status obfuscate_json(sonde_str text, const obfuscate_json_options *options, sonde_buf *out)
{
    json j = { .at = text.ptr,
               .end = text.len ? text.ptr + text.len : text.ptr,
               .out = out,
               .options = options,
               .keep_depth = NO_DEPTH };

    sonde_buf_reset(out);
    while (text.len > 0) {
        if (!put_document(&j)) {
            sonde_buf_append_str(out, SONDE_STR("..."));
            break;
        }
        while (j.at < j.end && is_space(*j.at)) /* between documents it stays */
            sonde_buf_append_byte(out, (uint8_t)*j.at++);
        if (j.at == j.end)
            break;
    }
    return out->status;
}
