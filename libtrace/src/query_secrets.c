/* query_secrets.c - a matcher by hand.
 *
 * Functions that match take the place where they begin and return where they end, or NONE.  Those that may look far
 * ahead do so only up to a character that also ends every later look, or remember in `search` where they failed: so
 * no character is looked at more than a few times. */
#include "query_secrets.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NONE SIZE_MAX

typedef struct search {
    sonde_str s;
    size_t no_jwt_before; /* a token that begins before here is none */
} search;

/* -- characters ----------------------------------------------------------------------------------- */

static char lower_at(sonde_str s, size_t at)
{
    char c = at < s.len ? s.ptr[at] : '\0';

    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* `text` is lower-case. */
static size_t literal(sonde_str s, size_t at, const char *text)
{
    for (; *text; text++, at++)
        if (at >= s.len || lower_at(s, at) != *text)
            return NONE;
    return at;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

typedef bool (*char_class)(char c);

static bool is_bearer_char(char c)
{
    return is_alnum(c) || c == '.' || c == '_' || c == '-';
}

static bool is_word_char(char c)
{
    return is_alnum(c) || c == '_' || c == '=' || c == '-';
}

static bool is_signature_char(char c)
{
    return is_word_char(c) || c == '.' || c == '+' || c == '/';
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || is_blank(c);
}

static bool is_key_char(char c)
{
    return is_alnum(c) || c == '/' || c == '.' || c == '+';
}

/* What the escapes of a run begin with: three characters each, one after the other. */
static size_t run(sonde_str s, size_t at, char_class in, const char *escapes, size_t *out_count)
{
    size_t count = 0;

    for (; at < s.len; count++) {
        const char *e = escapes;

        if (in(lower_at(s, at))) {
            at++;
            continue;
        }
        while (*e && !(lower_at(s, at) == e[0] && lower_at(s, at + 1) == e[1] &&
                       lower_at(s, at + 2) == e[2]))
            e += 3;
        if (!*e)
            break;
        at += 3;
    }
    if (out_count)
        *out_count = count;
    return at;
}

/* As run(), of at least one. */
static size_t some(sonde_str s, size_t at, char_class in, const char *escapes)
{
    size_t end = run(s, at, in, escapes, NULL);

    return end > at ? end : NONE;
}

static size_t exactly(sonde_str s, size_t at, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!is_alnum(lower_at(s, at + i)))
            return NONE;
    return at + n;
}

static size_t either(sonde_str s, size_t at, const char *a, const char *b)
{
    size_t end = literal(s, at, a);

    return end != NONE ? end : literal(s, at, b);
}

/* -- "password=..." and "password": "..." --------------------------------------------------------- */

static size_t quoted_value(sonde_str s, size_t at)
{
    size_t begin = at;

    while (at < s.len && s.ptr[at] != '"') {
        if (s.ptr[at] != '%') {
            at++;
        } else if (at + 2 < s.len && s.ptr[at + 1] == '2' && s.ptr[at + 2] != '2') {
            at += 3;
        } else if (at + 1 < s.len && s.ptr[at + 1] != '2') {
            at += 2;
        } else {
            break;
        }
    }
    return at > begin ? either(s, at, "\"", "%22") : NONE;
}

static size_t json_value(sonde_str s, size_t at)
{
    if ((at = either(s, at, "\"", "%22")) == NONE)
        return NONE;
    at = run(s, at, is_blank, "%20", NULL);
    if ((at = either(s, at, ":", "%3a")) == NONE)
        return NONE;
    at = run(s, at, is_blank, "%20", NULL);
    at = either(s, at, "\"", "%22");
    return at == NONE ? NONE : quoted_value(s, at);
}

/* What makes a key's value one. */
static size_t value(sonde_str s, size_t at)
{
    size_t after = either(s, run(s, at, is_blank, "%20", NULL), "=", "%3d");
    const char *end;

    if (after == NONE || after >= s.len || s.ptr[after] == '&')
        return json_value(s, at);
    end = (const char *)memchr(s.ptr + after, '&', s.len - after);
    return end ? (size_t)(end - s.ptr) : s.len;
}

/* Words of a pattern: "_" is an optional - or _, "{a|b|}" one of these. */
static size_t words(sonde_str s, size_t at, const char *p);

static size_t one_of(sonde_str s, size_t at, const char *p)
{
    const char *rest = strchr(p, '}') + 1;

    while (*p != '}') {
        size_t to = at;
        bool fits = true;

        for (p++; *p != '|' && *p != '}'; p++) {
            if (*p == '_')
                to += lower_at(s, to) == '-' || lower_at(s, to) == '_';
            else if (fits && (fits = lower_at(s, to) == *p))
                to++;
        }
        if (fits && (to = words(s, to, rest)) != NONE)
            return to;
    }
    return NONE;
}

static size_t words(sonde_str s, size_t at, const char *p)
{
    for (; *p && *p != '{'; p++) {
        if (*p == '_')
            at += lower_at(s, at) == '-' || lower_at(s, at) == '_';
        else if (lower_at(s, at) != *p)
            return NONE;
        else
            at++;
    }
    return *p ? one_of(s, at, p) : value(s, at);
}

static size_t key_and_value(sonde_str s, size_t at)
{
    static const char *const keys[] = {
        "{old_|new_|}{pwd|pword|passwd|password}{1|2|}",
        "pass{_phrase|}",
        "secret",
        "{api_|private_|public_|access_|secret_|app_|application_}key{_id|}",
        "token",
        "consumer_{id|key|secret}",
        "sign{ed|ature|}",
        "auth{entication|orization|}",
    };
    size_t end = NONE;
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]) && end == NONE; i++)
        end = words(s, at, keys[i]);
    return end;
}

/* -- secrets without a key ------------------------------------------------------------------------ */

static size_t bearer(sonde_str s, size_t at)
{
    if ((at = literal(s, at, "bearer")) == NONE || (at = some(s, at, is_blank, "%20")) == NONE)
        return NONE;
    return some(s, at, is_bearer_char, "");
}

static size_t token(sonde_str s, size_t at)
{
    if ((at = literal(s, at, "token")) == NONE || (at = either(s, at, ":", "%3a")) == NONE)
        return NONE;
    return exactly(s, at, 13);
}

static size_t github(sonde_str s, size_t at)
{
    char kind = lower_at(s, at + 2);

    if ((at = literal(s, at, "gh")) == NONE || kind == '\0' || !strchr("opsu", kind))
        return NONE;
    at = literal(s, at + 1, "_");
    return at == NONE ? NONE : exactly(s, at, 36);
}

static size_t jwt_part(sonde_str s, size_t at)
{
    char c = lower_at(s, at + 2);

    if (literal(s, at, "ey") == NONE || c < 'i' || c > 'l')
        return NONE;
    return some(s, at + 3, is_word_char, "%3d");
}

/* Two or three parts.  Where the first two are not there, no beginning in between has them either. */
static size_t jwt(search *q, size_t at)
{
    sonde_str s = q->s;
    size_t first, second, third;

    if (at < q->no_jwt_before || (first = jwt_part(s, at)) == NONE)
        return NONE;
    second = lower_at(s, first) == '.' ? jwt_part(s, first + 1) : NONE;
    if (second == NONE) {
        q->no_jwt_before = first;
        return NONE;
    }
    third = lower_at(s, second) == '.' ? some(s, second + 1, is_signature_char, "%3d%2f%2b") : NONE;
    return third != NONE ? third : second;
}

/* The end of the last "private key" in [from, to) with something before it. */
static size_t private_key(sonde_str s, size_t from, size_t to)
{
    size_t at, end;

    for (at = to; at > from; at--) {
        if ((end = literal(s, at, "private")) == NONE)
            continue;
        end = is_blank(lower_at(s, end)) ? end + 1 : literal(s, end, "%20");
        if (end != NONE && (end = literal(s, end, "key")) != NONE && end <= to)
            return end;
    }
    return NONE;
}

static size_t label(sonde_str s, size_t at, const char *word)
{
    if ((at = literal(s, at, word)) == NONE)
        return NONE;
    return private_key(s, at, run(s, at, is_label_char, "%20", NULL));
}

static size_t pem(sonde_str s, size_t at)
{
    const char *dash;
    size_t end;

    if ((at = label(s, at, "-----begin")) == NONE || (at = literal(s, at, "-----")) == NONE)
        return NONE;
    dash = at < s.len ? (const char *)memchr(s.ptr + at, '-', s.len - at) : NULL;
    if (!dash || dash == s.ptr + at || (at = label(s, (size_t)(dash - s.ptr), "-----end")) == NONE)
        return NONE;
    if ((end = literal(s, at, "-----")) != NONE)
        at = end;
    end = either(s, at, "\n", "%0a");
    return end != NONE ? end : at;
}

static size_t ssh_kind(sonde_str s, size_t at)
{
    size_t end = either(s, at, "ssh-rsa", "ssh-dss");

    if (end != NONE)
        return end;
    if ((at = literal(s, at, "ecdsa-")) == NONE || (at = some(s, at, is_alnum, "")) == NONE ||
        (at = literal(s, at, "-")) == NONE)
        return NONE;
    return some(s, at, is_alnum, "");
}

static size_t ssh(sonde_str s, size_t at)
{
    size_t count, end;

    if ((at = ssh_kind(s, at)) == NONE || (at = some(s, at, is_blank, "%20%09")) == NONE)
        return NONE;
    at = run(s, at, is_key_char, "%2f%5c%2b", &count);
    if (count < 100)
        return NONE;
    while ((end = either(s, at, "=", "%3d")) != NONE)
        at = end;
    end = some(s, at, is_blank, "%20%09");
    end = end != NONE ? some(s, end, is_bearer_char, "") : NONE;
    return end != NONE ? end : at;
}

/* -- all of them ---------------------------------------------------------------------------------- */

/* Those that begin with this character, in the order in which they are tried. */
static size_t secret(search *q, size_t at)
{
    sonde_str s = q->s;
    size_t quote, end = NONE;

    switch (lower_at(s, at)) {
    case '"':
    case '%':
        quote = either(s, at, "\"", "%22");
        return quote != NONE ? key_and_value(s, quote) : NONE;
    case 'b':
        return bearer(s, at);
    case 'e':
        end = jwt(q, at);
        return end != NONE ? end : ssh(s, at);
    case 'g':
        return github(s, at);
    case '-':
        return pem(s, at);
    case 't':
        end = key_and_value(s, at);
        return end != NONE ? end : token(s, at);
    case 's':
        end = key_and_value(s, at);
        return end != NONE ? end : ssh(s, at);
    case 'a':
    case 'c':
    case 'n':
    case 'o':
    case 'p':
        return key_and_value(s, at);
    default:
        return NONE;
    }
}

typedef struct output {
    char *to;
    size_t len;
    size_t cap;
} output;

static void put(output *o, const char *text, size_t len)
{
    if (len > o->cap - o->len)
        len = o->cap - o->len;
    memcpy(o->to + o->len, text, len);
    o->len += len;
}

size_t sonde__query_redact(sonde_str query, char *to, size_t cap)
{
    search q = { query, 0 };
    output out = { to, 0, cap };
    size_t from = 0;
    size_t at = 0;

    while (at < query.len) {
        size_t end = secret(&q, at);

        if (end == NONE) {
            at++;
            continue;
        }
        put(&out, query.ptr + from, at - from);
        put(&out, SONDE__REDACTED, sizeof(SONDE__REDACTED) - 1);
        from = at = end;
    }
    if (from < query.len)
        put(&out, query.ptr + from, query.len - from);
    return out.len;
}
