/* net/url.h - the addresses Sonde talks to: http://host[:port][/path], https://..., unix:///path.
 *
 * Threads   pure functions. */
#ifndef SONDE_NET_URL_H
#define SONDE_NET_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

#define SONDE_URL_HOST_MAX 255
#define SONDE_URL_PATH_MAX 1023

typedef enum sonde_url_scheme { SONDE_URL_HTTP, SONDE_URL_HTTPS, SONDE_URL_UNIX } sonde_url_scheme;

typedef struct sonde_url {
    int32_t scheme;                    /* sonde_url_scheme */
    uint16_t port;                     /* 80/443 when absent; 0 for unix */
    char host[SONDE_URL_HOST_MAX + 1]; /* without brackets; empty for unix */
    /* http: path prefix without trailing '/', maybe empty; unix: socket */
    char path[SONDE_URL_PATH_MAX + 1];
} sonde_url;

/* User info, query and fragment are refused; the message names the part that is wrong. */
SONDE_MUST_USE sonde_status sonde_url_parse(sonde_str text, sonde_url *out, sonde_error *out_error);

#define SONDE_URL_TEXT_MAX                                                                         \
    (sizeof("unix://") + SONDE_URL_HOST_MAX + SONDE_URL_PATH_MAX + sizeof("[]:65535"))

/* As text, for logs; NUL-terminated, SONDE_URL_TEXT_MAX is always room enough. */
void sonde_url_write(const sonde_url *url, char *out, size_t room);

/* "http://host:port", an IPv6 address in its brackets whether it came with them or not; not checked. */
void sonde_url_write_http(sonde_str host, unsigned port, char *out, size_t room);

/* Where "user:password@" stands in "scheme://user:password@host", a valid address else or not.  False: there is none. */
bool sonde_url_find_user(sonde_str text, size_t *out_user, size_t *out_host);

#endif /* SONDE_NET_URL_H */
