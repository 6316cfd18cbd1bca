/* apm_tracing.h - the configurations of product APM_TRACING: settings of the tracer for a service, an
 * environment, a cluster or all of an organisation.
 *
 * Threads   none.
 * Bounds    SONDE__DEFAULT_TAGS_MAX tags, SONDE__RULES_MAX_BYTES of rules, SONDE__HEADER_TAGS_MAX_BYTES of
 *           header tags; a configuration beyond is refused.
 * Source    docs/spec/remote-config.md */
#ifndef SONDE_LIBTRACE_APM_TRACING_H
#define SONDE_LIBTRACE_APM_TRACING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "config.h"
#include "sonde/status.h"

#define SONDE__HEADER_TAGS_MAX_BYTES 4096
#define SONDE__APM_ERROR_ROOM        128

/* What is set from afar; what is not set is left to the configuration. */
typedef struct sonde__remote_values {
    int tracing_enabled;    /* 0, 1; negative: not set */
    int log_injection;      /* likewise */
    double sample_rate;     /* 0 to 1; negative: not set */
    sonde_str rules;        /* a JSON array; ptr NULL: not set */
    sonde_str header_tags;  /* in the form of DD_TRACE_HEADER_TAGS; ptr NULL: not set */
    const sonde__tag *tags; /* NULL: not set */
    uint32_t tags_len;
    int log_level; /* of sonde_log_level, of product AGENT_CONFIG; SONDE__REMOTE_LEVEL_NONE: not set */
} sonde__remote_values;

#define SONDE__REMOTE_LEVEL_NONE (-2)
#define SONDE__REMOTE_VALUES_NONE                                                                  \
    {                                                                                              \
        .tracing_enabled = -1, .log_injection = -1, .sample_rate = -1,                             \
        .log_level = SONDE__REMOTE_LEVEL_NONE                                                      \
    }

/* Whom it is for; later ones come first. */
typedef enum sonde__scope {
    SONDE__SCOPE_ORG,
    SONDE__SCOPE_CLUSTER,
    SONDE__SCOPE_ENV,
    SONDE__SCOPE_SERVICE,
    SONDE__SCOPE_SERVICE_AND_ENV,
} sonde__scope;

typedef struct sonde__apm_tracing {
    sonde__scope scope;
    uint64_t revision;
    sonde__remote_values values;
} sonde__apm_tracing;

/* The views in `out` point into `texts`.  SONDE_ERR_SYNTAX, SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM: `error`
 * says what is wrong. */
SONDE_MUST_USE sonde_status sonde__apm_tracing_parse(sonde_str json, sonde_arena *texts,
                                                     sonde__apm_tracing *out,
                                                     char error[SONDE__APM_ERROR_ROOM]);

/* Several in one, field by field: the narrower scope wins, then the higher revision, then the earlier.
 * Sorts `each`. */
sonde__remote_values sonde__apm_tracing_merge(sonde__apm_tracing *each, uint32_t len);

#endif /* SONDE_LIBTRACE_APM_TRACING_H */
