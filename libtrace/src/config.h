/* config.h - what the tracer was told: options over environment over defaults, validated.
 *
 * A configuration is made once by sonde__config_new() and then only read.  A value that cannot be used is
 * reported in one log line; the next source, in the end the default, is used instead.
 *
 *   config_rows.c   what there is            config.c   what follows from several settings at once
 *   config_read.c   one row from its sources   settings.c   all of it, for <sonde/config.h>
 *
 * Source: docs/TRACER-CONFIGURATION.md, docs/spec/spans.md. */
#ifndef SONDE_LIBTRACE_CONFIG_H
#define SONDE_LIBTRACE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "net/url.h"
#include "query_pattern.h"
#include "sonde/tracer.h"
#include "styles.h"

#include "config_rows.h"
#include "otel_env.h"
#include "statsd_socket.h"

#define SONDE__LANGUAGE "c"

#define SONDE__DEFAULT_TAGS_MAX 64
#define SONDE__CHUNK_TAGS_MAX   4

typedef struct sonde__tag {
    sonde_str key;
    sonde_str value;
} sonde__tag;

/* What becomes of received headers; in the order of the row's choices. */
enum sonde__extract_behavior {
    SONDE__EXTRACT_CONTINUE,
    SONDE__EXTRACT_RESTART,
    SONDE__EXTRACT_IGNORE
};

/* Where a value comes from; later ones win. */
typedef enum sonde__origin {
    SONDE__ORIGIN_DEFAULT,
    SONDE__ORIGIN_CALCULATED, /* follows from other settings or from what is found at start */
    SONDE__ORIGIN_LOCAL,      /* stable_config.h */
    SONDE__ORIGIN_OTEL,       /* otel_env.h */
    SONDE__ORIGIN_ENV,
    SONDE__ORIGIN_FLEET,  /* stable_config.h */
    SONDE__ORIGIN_CODE,   /* sonde_options */
    SONDE__ORIGIN_REMOTE, /* live.h: over the configuration, never in it */
    SONDE__ORIGINS
} sonde__origin;

/* What became of one row of the table.  Texts live as long as the configuration. */
typedef struct sonde__setting {
    sonde_str value; /* in force, as text */
    sonde__origin origin;
    const char *name;                /* the name it was found under; static */
    sonde_str given[SONDE__ORIGINS]; /* what each source said, in force or not */
    uint32_t bad;                    /* bit per origin: could not be used */
} sonde__setting;

typedef struct sonde__config {
    sonde__setting settings[SONDE__ROWS_MAX]; /* parallel to sonde__rows */
    bool enabled;
    bool apm_tracing;
    bool appsec_standalone; /* an older way to say the opposite */
    bool debug;
    bool startup_logs;
    uint64_t log_pause_ns;
    sonde_str log_directory;
    bool id_128_bit;
    bool extract_first;
    bool partial_flush;
    bool logs_injection;
    bool logs_128_bit;
    sonde_log_level log_level;
    sonde_str language;       /* never empty, as the next: who we say we are, wherever it is said */
    sonde_str tracer_version; /* likewise */
    sonde_str service;        /* never empty */
    sonde_str env;
    sonde_str version;
    sonde_str external_env;
    sonde_str tags_text;
    sonde__tag tags[SONDE__DEFAULT_TAGS_MAX]; /* without service, env and version */
    uint32_t tags_len;
    sonde__tag chunk_tags[SONDE__CHUNK_TAGS_MAX]; /* of the first span of each chunk */
    uint32_t chunk_tags_len;
    bool universal_version;
    bool report_hostname;
    bool git_metadata;
    bool process_tags_enabled;
    bool service_is_ours; /* found at start, not configured */
    sonde_str service_mapping;
    uint32_t attribute_schema; /* 0 or 1 */
    bool peer_defaults;
    sonde_str peer_mapping; /* "from:to,..." */
    sonde_str source_hostname;
    sonde_str hostname; /* never empty */
    sonde_str git_repository;
    sonde_str git_commit;
    sonde_str process_tags; /* "" when they are off */
    sonde__styles styles;
    sonde__styles extract;
    sonde__styles inject;
    uint32_t extract_behavior; /* enum sonde__extract_behavior */
    uint32_t tags_max_bytes;   /* of x-datadog-tags */
    bool org_guard;
    bool org_strict;
    sonde_str org_trusted;   /* "a,b" */
    sonde_str header_tags;   /* "header,header:tag" */
    sonde_str server_errors; /* "500-599,418" */
    sonde_str client_errors;
    bool query_left_out;
    bool client_query;
    sonde_str query_regexp;              /* of secrets; "": none */
    sonde__query_pattern *query_pattern; /* owned; NULL: the built-in one */
    bool client_ip;
    sonde_str client_ip_header;
    bool resource_renaming;
    bool always_endpoint;
    uint32_t baggage_max_items; /* of the header, both ways */
    uint32_t baggage_max_bytes;
    sonde_str baggage_tag_keys; /* "a,b", or "*" */
    sonde_str sampling_rules;
    sonde_str sampling_rules_file;
    sonde_str sampling_rules_format; /* reported only */
    bool ignore_parent;              /* never true */
    sonde_str span_rules;
    sonde_str span_rules_file;
    double sample_rate; /* negative: none */
    double rate_limit;
    bool blackbox;
    bool cost_per_span;
    sonde_str tail_keep;
    double tail_keep_per_second;
    uint32_t partial_flush_len; /* UINT32_MAX: off */
    uint64_t memory_bytes;
    uint64_t flush_interval_ns;
    uint64_t stop_timeout_ns;
    uint64_t agent_timeout_ns;
    uint32_t send_retries;
    uint32_t api_version; /* SONDE__API_... */
    bool stats_computation;
    bool stats_asked_for;    /* that was set, and is not the default */
    uint32_t stats_keys_max; /* of a bucket, as those below */
    uint32_t stats_resources_max;
    uint32_t stats_endpoints_max;
    uint32_t stats_peers_max;
    uint32_t stats_extras_max;
    sonde_str stats_extras; /* "a,b": keys of additional tags */
    bool native_events;
    bool events_told;        /* that was set: the agent's word does not count */
    uint64_t retry_pause_ns; /* before the first retry; doubled for the next */
    sonde_str agent_url;
    sonde_str agent_host;
    uint32_t agent_port;
    sonde_url agent;
    char agent_text[1100]; /* for logs */
    bool remote_enabled;
    uint64_t remote_poll_ns;
    bool debug_abandoned;
    uint64_t abandoned_after_ns;
    bool analytics;
    sonde_str features; /* reported only */
    bool runtime_metrics;
    bool health_metrics;
    sonde_str statsd_url;
    sonde_str statsd_host;
    uint32_t statsd_port;
    sonde__statsd_address statsd; /* that follows from them */
    sonde_str entity_id;
    bool origin_detection;
    uint32_t cardinality; /* enum sonde__cardinality */
    sonde_str local_id;   /* config_id of the files; "" */
    sonde_str fleet_id;
    sonde__otel_state otel[SONDE__OTEL_VARIABLES]; /* what became of them */
    uint32_t otel_unsupported; /* bit per sonde__otel_unsupported() that is set */
    bool telemetry;
    bool telemetry_metrics;
    bool telemetry_logs;
    bool telemetry_dependencies;
    bool telemetry_debug;
    uint64_t telemetry_heartbeat_ns;
    uint64_t telemetry_extended_ns;
    uint64_t telemetry_metrics_ns;
    sonde_str install_id;
    sonde_str install_type;
    sonde_str install_time;
    sonde_str injection_enabled; /* these only telemetry speaks of */
    sonde_str inject_force;
    sonde_str sca_enabled;
    sonde_str profiling_enabled;
    bool crash_tracking;
    sonde_str site;
    sonde_str api_key;
    bool keep_service; /* these two are read by integrations */
    uint32_t dbm_mode;
    bool otel_enabled;
    bool data_streams;
    bool dynamic_instrumentation;
    bool appsec_enabled;
    bool iast_enabled;
    sonde_arena texts; /* owned; what the views point into */
} sonde__config;

/* In the order of the choices of DD_TRACE_API_VERSION, each of which has a second spelling. */
enum { SONDE__API_V04, SONDE__API_V05, SONDE__API_V1, SONDE__APIS };

#define SONDE__MEMORY_DEFAULT_BYTES (UINT64_C(16) << 20)
#define SONDE__MEMORY_MIN_BYTES     (UINT64_C(2) << 20)

typedef const char *(*sonde__env_lookup)(void *user, const char *name); /* like getenv */

/* options may be NULL; `lookup` NULL reads the environment.  NULL when memory ran out. */
sonde__config *sonde__config_new(const sonde_options *options, sonde__env_lookup lookup,
                                 void *user);
void sonde__config_free(sonde__config *c);

/* The same with the given files, NULL for none.  sonde__config_new() takes those of the host when it reads
 * the environment, else none. */
sonde__config *sonde__config_new_with_files(const sonde_options *options, sonde__env_lookup lookup,
                                            void *user, const char *local_path,
                                            const char *fleet_path);

/* The setting whose field this is: sonde__setting_of(c, offsetof(sonde__config, service)). */
sonde__setting *sonde__setting_of(sonde__config *c, size_t field);

/* One item of a DD_TAGS text (grammar in docs/spec/spans.md) taken off its front; false: no more. */
bool sonde__tags_next(sonde_str *rest, bool by_comma, sonde__tag *out);

#endif /* SONDE_LIBTRACE_CONFIG_H */
