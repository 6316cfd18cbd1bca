/* url.c - takes an address apart, strictly: what it accepts is safe to put into a request head. */
#include "net/url.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"

#define UNIX_PATH_MAX_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static const struct {
    sonde_str prefix;
    sonde_url_scheme scheme;
    uint16_t port;
} schemes[] = {
    { { "http://", 7 }, SONDE_URL_HTTP, 80 },
    { { "https://", 8 }, SONDE_URL_HTTPS, 443 },
    { { "unix://", 7 }, SONDE_URL_UNIX, 0 },
};

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

/* No spaces and control bytes: they would end the request line. */
static bool is_path_text(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c == 0x7f)
            return false;
    }
    return true;
}

static void copy_text(char *to, sonde_str s)
{
    if (s.len)
        memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
}

static sonde_status parse_port(sonde_str s, uint16_t *out, sonde_error *out_error)
{
    uint64_t port = 0;

    if (sonde_parse_u64(s, &port) != SONDE_OK || port < 1 || port > UINT16_MAX)
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: the port must be between 1 and 65535");
    *out = (uint16_t)port;
    return SONDE_OK;
}

static sonde_status set_host(sonde_url *url, sonde_str host, bool bracketed, sonde_error *out_error)
{
    unsigned char addr[16];
    size_t i;

    if (host.len == 0)
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: the host is missing");
    if (host.len > SONDE_URL_HOST_MAX)
        return sonde_fail(out_error, SONDE_ERR_TOO_BIG, "URL: the host is longer than %d bytes",
                          SONDE_URL_HOST_MAX);
    for (i = 0; i < host.len; i++) {
        if (!is_host_byte(host.ptr[i]) && !(bracketed && host.ptr[i] == ':'))
            return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: the host has a forbidden byte");
    }
    copy_text(url->host, host);
    if (bracketed && inet_pton(AF_INET6, url->host, addr) != 1)
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: no IPv6 address between the brackets");
    return SONDE_OK;
}

/* host[:port] or [v6][:port] */
static sonde_status parse_authority(sonde_url *url, sonde_str s, sonde_error *out_error)
{
    bool bracketed = sonde_str_starts(s, SONDE_STR("["));
    sonde_str host, rest;
    size_t at;
    sonde_status status;

    if (sonde_str_find(s, SONDE_STR("@"), &at))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX,
                          "URL: a user name or password is not supported");
    if (bracketed) {
        if (!sonde_str_find(s, SONDE_STR("]"), &at))
            return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: the host has no closing ]");
        host = sonde_str_sub(s, 1, at - 1);
        rest = sonde_str_sub(s, at + 1, s.len);
    } else {
        if (!sonde_str_find(s, SONDE_STR(":"), &at))
            at = s.len;
        host = sonde_str_sub(s, 0, at);
        rest = sonde_str_sub(s, at, s.len);
    }
    status = set_host(url, host, bracketed, out_error);
    if (status != SONDE_OK || rest.len == 0)
        return status;
    if (rest.ptr[0] != ':')
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: text between the host and its port");
    return parse_port(sonde_str_sub(rest, 1, rest.len), &url->port, out_error);
}

static sonde_status parse_http(sonde_url *url, sonde_str s, sonde_error *out_error)
{
    size_t slash, at;
    sonde_str path;
    sonde_status status;

    if (sonde_str_find(s, SONDE_STR("?"), &at))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: a query is not supported");
    if (sonde_str_find(s, SONDE_STR("#"), &at))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: a fragment is not supported");
    if (!sonde_str_find(s, SONDE_STR("/"), &slash))
        slash = s.len;
    status = parse_authority(url, sonde_str_sub(s, 0, slash), out_error);
    if (status != SONDE_OK)
        return status;

    path = sonde_str_sub(s, slash, s.len);
    while (sonde_str_ends(path, SONDE_STR("/")))
        path.len--;
    if (path.len > SONDE_URL_PATH_MAX)
        return sonde_fail(out_error, SONDE_ERR_TOO_BIG, "URL: the path is longer than %d bytes",
                          SONDE_URL_PATH_MAX);
    if (!is_path_text(path))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: the path has a forbidden byte");
    copy_text(url->path, path);
    return SONDE_OK;
}

/* The path is a file name, taken as it is: no escapes. */
static sonde_status parse_unix(sonde_url *url, sonde_str path, sonde_error *out_error)
{
    if (!sonde_str_starts(path, SONDE_STR("/")))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX,
                          "URL: the socket's path must be absolute (unix:///path)");
    if (path.len > UNIX_PATH_MAX_BYTES)
        return sonde_fail(out_error, SONDE_ERR_TOO_BIG,
                          "URL: the socket's path is longer than %zu bytes", UNIX_PATH_MAX_BYTES);
    if (memchr(path.ptr, '\0', path.len))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX, "URL: the path has a forbidden byte");
    copy_text(url->path, path);
    return SONDE_OK;
}

sonde_status sonde_url_parse(sonde_str text, sonde_url *out, sonde_error *out_error)
{
    sonde_url url = { 0 };
    sonde_status status;
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (sonde_str_eq_nocase(sonde_str_sub(text, 0, schemes[i].prefix.len), schemes[i].prefix))
            break;
    }
    if (i == sizeof(schemes) / sizeof(schemes[0]))
        return sonde_fail(out_error, SONDE_ERR_SYNTAX,
                          "URL: it must begin with http://, https:// or unix://");

    url.scheme = (int32_t)schemes[i].scheme;
    url.port = schemes[i].port;
    text = sonde_str_sub(text, schemes[i].prefix.len, text.len);
    status = schemes[i].scheme == SONDE_URL_UNIX ? parse_unix(&url, text, out_error)
                                                 : parse_http(&url, text, out_error);
    if (status == SONDE_OK)
        *out = url;
    return status;
}

void sonde_url_write(const sonde_url *url, char *out, size_t room)
{
    if (url->scheme == SONDE_URL_UNIX)
        (void)snprintf(out, room, "unix://%s", url->path);
    else
        (void)snprintf(out, room, strchr(url->host, ':') ? "http://[%s]:%u%s" : "http://%s:%u%s",
                       url->host, (unsigned)url->port, url->path);
}

void sonde_url_write_http(sonde_str host, unsigned port, char *out, size_t room)
{
    bool bare_v6 = host.len > 0 && host.ptr[0] != '[' && memchr(host.ptr, ':', host.len) != NULL;

    (void)snprintf(out, room, bare_v6 ? "http://[%.*s]:%u" : "http://%.*s:%u",
                   (int)(host.len <= SONDE_URL_HOST_MAX ? host.len : SONDE_URL_HOST_MAX + 1),
                   host.ptr, port);
}

bool sonde_url_find_user(sonde_str text, size_t *out_user, size_t *out_host)
{
    size_t at, i;

    if (!sonde_str_find(text, SONDE_STR("://"), &at))
        return false;
    *out_user = at + 3;
    *out_host = 0;
    for (i = *out_user; i < text.len && !strchr("/?#", text.ptr[i]); i++)
        if (text.ptr[i] == '@')
            *out_host = i + 1;
    return *out_host > 0;
}
