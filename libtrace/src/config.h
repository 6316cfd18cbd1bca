/* config.h - what the tracer was told: options over environment over defaults, validated.
 *
 * A configuration is made once by sonde__config_new() and then only read.  A value that cannot be used is
 * reported in one log line and replaced by its default.
 *
 * Source: docs/spec/spans.md, "Variables". */
#ifndef SONDE_LIBTRACE_CONFIG_H
#define SONDE_LIBTRACE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "net/url.h"
#include "sonde/tracer.h"
#include "styles.h"

#define SONDE__DEFAULT_TAGS_MAX 64

typedef struct sonde__tag {
    sonde_str key;
    sonde_str value;
} sonde__tag;

typedef struct sonde__config {
    bool enabled;
    bool id_128_bit;
    bool extract_first;
    sonde_str service; /* never empty */
    sonde_str env;
    sonde_str version;
    sonde_str external_env;
    sonde__tag tags[SONDE__DEFAULT_TAGS_MAX]; /* without service, env and version */
    uint32_t tags_len;
    sonde__styles extract;
    sonde__styles inject;
    uint32_t tags_max_bytes;    /* of x-datadog-tags */
    uint32_t partial_flush_len; /* UINT32_MAX: off */
    uint64_t memory_bytes;
    uint64_t flush_interval_ns;
    uint64_t stop_timeout_ns;
    uint64_t agent_timeout_ns;
    uint32_t send_retries;
    uint64_t retry_pause_ns; /* before the first retry; doubled for the next */
    sonde_url agent;
    char agent_text[1100]; /* for logs */
    sonde_arena texts;     /* owned; what the views point into */
} sonde__config;

#define SONDE__MEMORY_DEFAULT_BYTES (UINT64_C(16) << 20)
#define SONDE__MEMORY_MIN_BYTES     (UINT64_C(2) << 20)

typedef const char *(*sonde__env_lookup)(void *user, const char *name); /* like getenv */

/* options may be NULL; `lookup` NULL reads the environment.  NULL when memory ran out. */
sonde__config *sonde__config_new(const sonde_options *options, sonde__env_lookup lookup,
                                 void *user);
void sonde__config_free(sonde__config *c);

/* One item of a DD_TAGS text (grammar in docs/spec/spans.md) taken off its front; false: no more. */
bool sonde__tags_next(sonde_str *rest, bool by_comma, sonde__tag *out);

#endif /* SONDE_LIBTRACE_CONFIG_H */
