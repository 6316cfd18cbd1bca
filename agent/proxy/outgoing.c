/* outgoing.c - the head of a request that is passed on: address and header lines. */
#include <string.h>

#include "internal.h"
#include "vocab/headers.h"

#define URL_MAX_BYTES   (32u * 1024)
#define LINES_MAX_BYTES (64u * 1024) /* the client's own are at most 32 KiB */

void outgoing_init(outgoing *o)
{
    *o = (outgoing){ .len = 0 };
    sonde_buf_init(&o->url, URL_MAX_BYTES);
    sonde_buf_init(&o->lines, LINES_MAX_BYTES);
}

void outgoing_done(outgoing *o)
{
    sonde_buf_done(&o->url);
    sonde_buf_done(&o->lines);
}

static bool has(const outgoing *o, sonde_str name)
{
    for (size_t i = 0; i < o->len; i++) {
        const char *line = (const char *)o->lines.data + o->at[i];

        if (sonde_str_eq_nocase((sonde_str){ line, strcspn(line, ":;") }, name))
            return true;
    }
    return false;
}

/* What would end the line early, or is no text, does not travel. */
static bool is_clean(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t')
            return false;
    }
    return true;
}

static void add(outgoing *o, sonde_str name, sonde_str value)
{
    value = sonde_str_trim(value);
    if (o->len == PROXY_HEADERS_MAX || !is_clean(name) || !is_clean(value))
        return;
    o->at[o->len++] = o->lines.len;
    sonde_buf_append_str(&o->lines, name);
    if (value.len) {
        sonde_buf_append_str(&o->lines, SONDE_STR(": "));
        sonde_buf_append_str(&o->lines, value);
    } else {
        sonde_buf_append_byte(&o->lines, ';'); /* libcurl's way to say: empty, but there */
    }
    sonde_buf_append_byte(&o->lines, '\0');
}

void outgoing_header(outgoing *o, const char *name, sonde_str value)
{
    if (!has(o, sonde_str_from(name)))
        add(o, sonde_str_from(name), value);
}

void outgoing_suppress(outgoing *o, const char *line)
{
    if (o->len == PROXY_HEADERS_MAX || has(o, (sonde_str){ line, strcspn(line, ":") }))
        return;
    o->at[o->len++] = o->lines.len;
    sonde_buf_append(&o->lines, line, strlen(line) + 1);
}

void outgoing_copy(outgoing *o, const http_request *from, const char *name)
{
    sonde_str value = http_request_header(from, name);

    if (value.ptr)
        outgoing_header(o, name, value);
}

void outgoing_container_tags(outgoing *o, const proxy *p, sonde_str container)
{
    origin_tags_text room;
    sonde_str tags = origin_tags(p->origin, container, room);

    if (tags.len)
        outgoing_header(o, "X-Datadog-Container-Tags", tags);
}

typedef struct copying {
    outgoing *o;
    sonde_str connection; /* names more headers of the hop */
} copying;

static bool is_in_list(sonde_str list, sonde_str name)
{
    while (list.len) {
        if (sonde_str_eq_nocase(sonde_str_trim(sonde_str_cut(&list, ',')), name))
            return true;
    }
    return false;
}

/* Of the client's connection, of our request, or a key that is ours to give. */
static bool stays_here(const copying *c, sonde_str name)
{
    static const char *const names[] = {
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Host",
        "Proxy-Connection",
        "Content-Length",
        "Expect",
        "DD-API-KEY",
        "DD-APPLICATION-KEY",
        "Authorization",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (sonde_str_eq_nocase(name, sonde_str_from(names[i])))
            return true;
    }
    return is_in_list(c->connection, name);
}

static void copy_line(void *user, sonde_str name, sonde_str value)
{
    const copying *c = user;

    if (!stays_here(c, name) && !has(c->o, name))
        add(c->o, name, value);
}

void outgoing_copy_all(outgoing *o, const http_request *from)
{
    copying c = { o, http_request_header(from, "Connection") };

    http_request_each_header(from, copy_line, &c);
}

sonde_status outgoing_lines(outgoing *o, const char *out[PROXY_HEADERS_MAX + 1])
{
    if (o->lines.status != SONDE_OK)
        return o->lines.status;
    for (size_t i = 0; i < o->len; i++)
        out[i] = (const char *)o->lines.data + o->at[i];
    out[o->len] = NULL;
    return o->url.status;
}

static void append_encoded(sonde_buf *out, sonde_str s, const char *plain)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (word || (c && strchr(plain, c)))
            sonde_buf_append_byte(out, c);
        else if (c == ' ' && plain[0] != '/')
            sonde_buf_append_byte(out, '+');
        else
            sonde_buf_printf(out, "%%%02X", c);
    }
}

void append_path(sonde_buf *out, sonde_str path)
{
    append_encoded(out, path, "/-_.~!$&'()*+,;=:@");
}

void append_query_value(sonde_buf *out, sonde_str value)
{
    append_encoded(out, value, "-_.~");
}
