/* http_url.h - a URL as a tag, and a path as the name of an endpoint.
 *
 * Threads   pure.
 * Bounds    what is written ends where its room ends; SONDE__ENDPOINT_MAX_BYTES hold every endpoint.
 * Source    docs/spec/http-spans.md */
#ifndef SONDE_LIBTRACE_HTTP_URL_H
#define SONDE_LIBTRACE_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "query_pattern.h"

#define SONDE__HTTP_URL_MAX_BYTES   4096
#define SONDE__HTTP_QUERY_MAX_BYTES 10240 /* a longer one is redacted as a whole */
#define SONDE__ENDPOINT_SEGMENTS    8
#define SONDE__ENDPOINT_MAX_BYTES   (SONDE__ENDPOINT_SEGMENTS * 20)

/* The parts of a URL or of a request's target; absent ones are empty. */
typedef struct sonde__http_url {
    sonde_str scheme;
    sonde_str host; /* with its port, without user and password */
    sonde_str path;
    sonde_str query;    /* with its ? */
    sonde_str fragment; /* with its # */
} sonde__http_url;

typedef enum sonde__query_mode {
    SONDE__QUERY_REDACTED, /* secrets are taken out */
    SONDE__QUERY_AS_IT_IS,
    SONDE__QUERY_LEFT_OUT
} sonde__query_mode;

typedef struct sonde__query_rule {
    sonde__query_mode mode;
    sonde__query_pattern *secrets; /* NULL: those of query_secrets.h */
} sonde__query_rule;

void sonde__http_url_split(sonde_str text, sonde__http_url *out);

/* "scheme://host/path?query#fragment", without what there is not.  Returns the length. */
size_t sonde__http_url_write(const sonde__http_url *url, sonde__query_rule query,
                             char to[SONDE__HTTP_URL_MAX_BYTES]);

/* Host and port of "host:port"; the port of the scheme when none is named, 0 when that is unknown. */
sonde_str sonde__http_host(const sonde__http_url *url, uint32_t *out_port);

/* The path with what looks like a parameter replaced: "/users/{param:int}".  Returns the length. */
size_t sonde__http_endpoint(sonde_str path, char to[SONDE__ENDPOINT_MAX_BYTES]);

#endif /* SONDE_LIBTRACE_HTTP_URL_H */
