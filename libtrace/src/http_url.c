/* http_url.c - splitting, writing and simplifying. */
#include "http_url.h"

#include <string.h>

#include "base/parse.h"

#include "query_secrets.h"

#define SEGMENT_LONG 20 /* from here on it is a parameter */

/* -- parts ---------------------------------------------------------------------------------------- */

/* Takes off the front what stands before the first of `ends`. */
static sonde_str take_until(sonde_str *rest, const char *ends)
{
    size_t n = 0;
    sonde_str head;

    while (n < rest->len && (rest->ptr[n] == '\0' || !strchr(ends, rest->ptr[n])))
        n++;
    head = sonde_str_sub(*rest, 0, n);
    *rest = sonde_str_sub(*rest, n, rest->len);
    return head;
}

static sonde_str without_user(sonde_str authority)
{
    size_t n = authority.len;

    while (n > 0 && authority.ptr[n - 1] != '@')
        n--;
    return sonde_str_sub(authority, n, authority.len);
}

static bool is_scheme(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (!((s.ptr[i] | 0x20) >= 'a' && (s.ptr[i] | 0x20) <= 'z') &&
            !(i > 0 && ((s.ptr[i] >= '0' && s.ptr[i] <= '9') || strchr("+-.", s.ptr[i]))))
            return false;
    return s.len > 0;
}

void sonde__http_url_split(sonde_str text, sonde__http_url *out)
{
    sonde_str rest = text;
    sonde_str scheme = take_until(&rest, ":/?#");

    memset(out, 0, sizeof(*out));
    if (is_scheme(scheme) && sonde_str_starts(rest, SONDE_STR("://"))) {
        out->scheme = scheme;
        rest = sonde_str_sub(rest, 3, rest.len);
        out->host = without_user(take_until(&rest, "/?#"));
    } else {
        rest = text;
    }
    out->path = take_until(&rest, "?#");
    out->query = take_until(&rest, "#");
    out->fragment = rest;
}

typedef struct output {
    char *to;
    size_t len;
} output;

static void put(output *o, sonde_str text)
{
    if (text.len > SONDE__HTTP_URL_MAX_BYTES - o->len)
        text.len = SONDE__HTTP_URL_MAX_BYTES - o->len;
    memcpy(o->to + o->len, text.len ? text.ptr : "", text.len);
    o->len += text.len;
}

static void put_query(output *o, sonde_str query, sonde__query_rule rule)
{
    char *to = o->to + o->len + 1;
    size_t cap = SONDE__HTTP_URL_MAX_BYTES - o->len;

    if (query.len < 2 || cap == 0 || rule.mode == SONDE__QUERY_LEFT_OUT)
        return;
    put(o, SONDE_STR("?"));
    query = sonde_str_sub(query, 1, query.len);
    if (rule.mode == SONDE__QUERY_AS_IT_IS)
        put(o, query);
    else if (query.len > SONDE__HTTP_QUERY_MAX_BYTES)
        put(o, SONDE_STR(SONDE__REDACTED));
    else if (rule.secrets)
        o->len += sonde__query_pattern_redact(rule.secrets, query, to, cap - 1);
    else
        o->len += sonde__query_redact(query, to, cap - 1);
}

size_t sonde__http_url_write(const sonde__http_url *url, sonde__query_rule query,
                             char to[SONDE__HTTP_URL_MAX_BYTES])
{
    output o = { to, 0 };

    if (url->host.len > 0) {
        put(&o, url->scheme.len > 0 ? url->scheme : SONDE_STR("http"));
        put(&o, SONDE_STR("://"));
        put(&o, url->host);
    }
    put(&o, url->path);
    put_query(&o, url->query, query);
    put(&o, url->fragment);
    return o.len;
}

sonde_str sonde__http_host(const sonde__http_url *url, uint32_t *out_port)
{
    sonde_str host = url->host;
    size_t n = host.len;
    uint64_t port;

    *out_port = 0;
    if (sonde_str_eq_nocase(url->scheme, SONDE_STR("https")))
        *out_port = 443;
    else if (url->scheme.len == 0 || sonde_str_eq_nocase(url->scheme, SONDE_STR("http")))
        *out_port = 80;
    while (n > 0 && host.ptr[n - 1] != ':' && host.ptr[n - 1] != ']')
        n--;
    if (n == 0 || host.ptr[n - 1] == ']')
        return host;
    if (sonde_parse_u64(sonde_str_sub(host, n, host.len), &port) == SONDE_OK && port > 0 &&
        port <= UINT16_MAX)
        *out_port = (uint32_t)port;
    return sonde_str_sub(host, 0, n - 1);
}

/* -- endpoint ------------------------------------------------------------------------------------- */

enum { IS_DIGIT = 1, IS_HEX = 2, IS_MARK = 4, IS_ODD = 8 }; /* letters a-f; . _ -; % & ... */

static unsigned class_of(char c)
{
    if (c >= '0' && c <= '9')
        return IS_DIGIT;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return IS_HEX;
    if (c == '.' || c == '_' || c == '-')
        return IS_MARK;
    return c != '\0' && strchr("%&'()*+,:=@", c) ? IS_ODD : 0x10;
}

/* What the whole segment looks like. */
static const char *parameter(sonde_str s)
{
    unsigned all = 0;
    size_t i;

    for (i = 0; i < s.len; i++)
        all |= class_of(s.ptr[i]);
    if (all == IS_DIGIT && s.len >= 2 && s.ptr[0] != '0')
        return "{param:int}";
    if (all & IS_DIGIT && !(all & ~(unsigned)(IS_DIGIT | IS_MARK)) && s.len >= 3)
        return "{param:int_id}";
    if (all & IS_DIGIT && !(all & ~(unsigned)(IS_DIGIT | IS_HEX)) && s.len >= 6)
        return "{param:hex}";
    if (all & IS_DIGIT && !(all & ~(unsigned)(IS_DIGIT | IS_HEX | IS_MARK)) && s.len >= 6)
        return "{param:hex_id}";
    return s.len >= SEGMENT_LONG || all & IS_ODD ? "{param:str}" : NULL;
}

size_t sonde__http_endpoint(sonde_str path, char to[SONDE__ENDPOINT_MAX_BYTES])
{
    size_t len = 0;
    int segments = 0;

    while (path.len > 0 && segments < SONDE__ENDPOINT_SEGMENTS) {
        sonde_str segment = sonde_str_cut(&path, '/');
        const char *instead = parameter(segment);

        if (segment.len == 0)
            continue;
        if (instead)
            segment = sonde_str_from(instead);
        to[len++] = '/';
        memcpy(to + len, segment.ptr, segment.len);
        len += segment.len;
        segments++;
    }
    if (len == 0)
        to[len++] = '/';
    return len;
}
