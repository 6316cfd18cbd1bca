/* agent/config/config.h - the agent's configuration: one immutable snapshot.
 *
 * One table (keys.c) names every key, its environment variables, type, default, range and the field it
 * sets; reading, checking, help text and docs/CONFIGURATION.md come from it.  Later sources win:
 * default, file (datadog.yaml style), overrides (YAML files of conf.d beside it), environment.
 *
 * Failure   a bad value never stops the agent: the value before it stays and a warning names key,
 *           value, origin and place.  Only a file that cannot be read or parsed is an error.
 * Threads   the snapshot is read by all; the count of references is atomic.
 * Memory    texts are NUL-terminated behind their length and live as long as the snapshot.
 * Bounds    file 1 MiB, one value 64 KiB, CONFIG_OVERRIDES_MAX overrides, CONFIG_WARNINGS_MAX warnings
 *           and CONFIG_NOTES_MAX notes (the rest is counted).
 */
#ifndef SONDE_AGENT_CONFIG_CONFIG_H
#define SONDE_AGENT_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "net/egress.h"
#include "sonde/status.h"

#define CONFIG_DEFAULT_FILE  "/etc/sonde/datadog.yaml"
#define CONFIG_WARNINGS_MAX  64
#define CONFIG_NOTES_MAX     64
#define CONFIG_OVERRIDES_MAX 64 /* files of conf.d */

typedef struct config_list {
    sonde_str *items;
    size_t len;
} config_list;

typedef struct config_endpoint {
    sonde_str url; /* scheme and host, no path */
    sonde_str api_key;
} config_endpoint;

typedef struct config_endpoints {
    config_endpoint *items;
    size_t len;
} config_endpoints;

/* apm_config.obfuscation of one kind of document in JSON */
typedef struct config_json_obfuscation {
    bool enabled;
    config_list keep_values;
    config_list sql_values;
} config_json_obfuscation;

typedef struct config_redis_obfuscation {
    bool enabled;
    bool remove_all_args;
} config_redis_obfuscation;

/* apm_config.obfuscation */
typedef struct config_obfuscation {
    config_json_obfuscation elasticsearch;
    config_json_obfuscation opensearch;
    config_json_obfuscation mongodb;
    config_json_obfuscation sql_exec_plan; /* no span carries plans: shown in /info only */
    config_json_obfuscation sql_exec_plan_normalize; /* as above */
    bool http_remove_query_string;
    bool http_remove_path_digits;
    bool remove_stack_traces;
    config_redis_obfuscation redis;
    config_redis_obfuscation valkey;
    bool memcached_enabled;
    bool memcached_keep_command;
    bool cards_enabled;
    bool cards_luhn;
    config_list cards_keep_values;
    bool cache_enabled; /* no effect: there is none (docs/decisions) */
    uint64_t cache_max_bytes;
} config_obfuscation;

typedef enum config_switch { CONFIG_AUTO, CONFIG_ON, CONFIG_OFF } config_switch;

/* Where what comes in at one of the other doors (agent/proxy) goes. */
typedef struct config_door {
    sonde_str url;         /* "": the site's */
    sonde_str api_key;     /* secret; "": the agent's */
    config_endpoints more; /* further targets */
} config_door;

typedef struct config_proxy {
    sonde_str app_key; /* secret */

    config_door profiling;
    bool profiling_main; /* send to the main target at all */
    uint64_t profiling_timeout_ns;
    uint64_t profiling_max_bytes;
    config_list profile_tags;

    config_door telemetry;
    bool telemetry_enabled;
    sonde_str install_id, install_type, install_time;

    config_door evp; /* url: a host, or scheme and host */
    bool evp_enabled;
    uint64_t evp_max_bytes;
    uint64_t evp_timeout_ns; /* 0: 30 s */

    config_door lineage; /* url: a host, or scheme and host */
    bool lineage_enabled;
    int64_t lineage_version;

    config_door debugger, diagnostics, symdb;
    bool logs_enabled;           /* false only counts when it was configured */
    bool debugger_logs_override; /* debugger snapshots pass although logs are off */
} config_proxy;

/* An intake in place of the site's. */
typedef struct config_stand_in {
    bool enabled;
    sonde_str url;
} config_stand_in;

/* Profiles made from the batches of our own profiler (agent/profiles). */
typedef struct config_profiling {
    bool enabled;
    bool lines;          /* read debug information: source lines, inlined functions */
    bool inlines_in_one; /* all functions at an address in one location of the pprof */
    uint64_t window_ns;
    uint64_t symbol_bytes;
    uint64_t symbol_disk_bytes; /* 0: nothing is kept on disk */
    bool debuginfod;            /* ask the servers below for debug files */
    sonde_str debuginfod_urls;  /* apart by spaces */
} config_profiling;

typedef struct agent_config {
    /* global */
    sonde_str api_key; /* secret */
    sonde_str site;
    sonde_str dd_url; /* metrics intake */
    sonde_str hostname;
    sonde_str env; /* as configured; see agent_env */
    config_list tags;
    config_list extra_tags;
    sonde_str bind_host;
    sonde_egress egress; /* proxies and TLS; no_proxy and min_tls are derived */
    config_list no_proxy;
    sonde_str min_tls; /* "tlsv1.2" */
    int32_t log_level; /* sonde_log_level */
    bool log_format_json;
    config_switch log_to_console; /* AUTO: when there is no file */
    bool log_to_syslog;
    sonde_str syslog_uri;    /* "": the local daemon */
    bool syslog_rfc;         /* 5424 */
    sonde_str log_file;      /* "": none */
    sonde_str apm_log_file;  /* as configured; log_file is what counts */
    bool no_log_file;        /* as the last */
    uint64_t log_file_bytes; /* at which it is begun anew */
    int64_t log_file_rolls;  /* former ones kept; 0: it grows */
    bool use_dogstatsd;
    int64_t dogstatsd_port;
    sonde_str dogstatsd_socket;

    /* apm_config: receiver */
    bool apm_enabled;
    bool receiver_enabled;
    sonde_str apm_env;
    sonde_str apm_mode;    /* "edge" or "" */
    int64_t receiver_port; /* 0: no TCP; -1: any free port */
    sonde_str receiver_socket;
    bool crash_spans;
    config_profiling profiling;
    bool non_local_traffic;
    uint64_t receiver_timeout_ns;
    uint64_t max_payload_bytes;
    int64_t max_connections;
    int64_t connection_limit;               /* counts only when it was configured */
    int64_t net_fd, unix_fd, net_client_fd; /* inherited descriptors; -1: none */
    uint64_t decoder_timeout_ns;            /* a payload may wait for the workers */
    int64_t decoders;                       /* threads that read, decode and answer */
    int64_t workers;                        /* threads that process */

    int64_t trace_buffer; /* payloads between the two */

    /* apm_config: samplers, stats, writers */
    double target_tps;
    double max_tps; /* as configured; target_tps is what counts */
    double errors_tps;
    double max_eps;
    double extra_sample_rate;
    bool rare_enabled;
    double rare_tps;
    uint64_t rare_cooldown_ns;
    int64_t rare_cardinality;
    bool probabilistic_enabled;
    double probabilistic_percentage;
    int64_t probabilistic_seed;
    bool errors_only;
    config_list analyzed_spans;    /* service|operation=rate */
    config_list analyzed_services; /* service=rate */
    int64_t catalog_entries;
    bool peer_tags_enabled;
    config_list peer_tags;
    bool stats_by_kind;
    config_list features;
    config_list ignore_resources;
    config_list filter_require; /* filter_tags */
    config_list filter_reject;
    config_list filter_regex_require;
    config_list filter_regex_reject;
    sonde_str replace_tags; /* JSON; "": no rules */
    sonde_str sql_obfuscation_mode;
    bool sql_dialects;
    bool keep_large_payloads;
    bool sql_keep_prefix;
    config_obfuscation obfuscation;
    uint64_t trace_flush_ns;
    uint64_t bucket_ns;         /* width of a statistics bucket */
    int64_t max_sender_retries; /* 0: retry within the age and byte limits */
    uint64_t connection_reset_ns;
    int64_t writer_connections; /* 0: forwarder_requests */
    config_stand_in pipelines, vector;
    bool site_fqdn;
    sonde_str apm_dd_url;
    sonde_str apm_api_key; /* secret */
    bool send_to_main;
    config_endpoints additional_endpoints;

    config_proxy proxy;
    config_list container_tags;
    /* otlp_config */
    sonde_str otlp_http_endpoint; /* "": not listening */
    sonde_str otlp_grpc_endpoint;
    int64_t otlp_grpc_fd; /* -1: none */
    bool otlp_traces;
    double otlp_percentage;

    /* forwarder */
    uint64_t forwarder_timeout_ns;   /* one request */
    uint64_t forwarder_memory_bytes; /* waiting payloads of one endpoint */
    uint64_t forwarder_backoff_base_ns;
    uint64_t forwarder_backoff_max_ns;
    uint64_t forwarder_max_age_ns; /* older ones are given up */
    int64_t forwarder_requests;    /* in flight per endpoint */
    double forwarder_spill_ratio;  /* of forwarder_memory_bytes */
    uint64_t forwarder_disk_bytes; /* of one endpoint; 0: none */
    double forwarder_disk_ratio;
    int64_t forwarder_stale_days; /* of folders nobody sends from any more */
    sonde_str forwarder_storage_path;

    /* memory and life */
    uint64_t max_memory_bytes;   /* apm_config.max_memory; 0: not set */
    uint64_t memory_limit_bytes; /* the agent's budget, after max_memory replaced it */
    uint64_t memory_kill_bytes;  /* where the watchdog ends the process; 0: never */
    uint64_t watchdog_check_ns;
    double max_cpu_percent; /* reported, nothing else */
    bool send_all_internal_stats;
    uint64_t shutdown_ns;

    /* local intake */
    config_switch local; /* AUTO: when there is no API key */
    sonde_str local_host;
    int64_t local_port;
    sonde_str data_dir;
    uint64_t local_store_bytes;
    uint64_t local_retention_ns;

    /* derived */
    sonde_str agent_env;     /* apm_env, env, first env: tag or "none"; not yet normalised */
    sonde_str receiver_host; /* where TCP listens */
    sonde_str statsd_socket; /* DogStatsD, where somebody named it; "": not there */
    uint16_t statsd_port;    /* on the loopback; 0: not there */
    config_endpoints
        endpoints;   /* where traces and stats go: main one when there is a key, additional
                                   ones; the local intake is added by agent/main */
    bool local_mode; /* host the intake in this process */

    /* about the snapshot */
    sonde_str file; /* "" when none was read */
    sonde_str overrides[CONFIG_OVERRIDES_MAX];
    size_t overrides_len;
    sonde_str warnings[CONFIG_WARNINGS_MAX];
    size_t warnings_len;
    size_t warnings_dropped;
    sonde_str notes[CONFIG_NOTES_MAX]; /* keys of Datadog's that do nothing here */
    size_t notes_len;
    size_t notes_dropped;
    sonde_str *origins; /* per row of the table: "default", "DD_ENV", "file:line" */
    sonde_arena arena;
    _Atomic uint32_t refs;
} agent_config;

typedef struct config_options {
    const char *file;         /* NULL: CONFIG_DEFAULT_FILE, which may be missing */
    char *const *environment; /* NULL: none; the program passes environ */
    const char *os_hostname;  /* NULL: gethostname(2) */
    int cpus;                 /* 0: as many as this process may use */
} config_options;

SONDE_MUST_USE sonde_status config_load(const config_options *options, agent_config **out_config,
                                        sonde_error *out_error);

/* The same from text instead of a file; `name` stands for it in messages. */
SONDE_MUST_USE sonde_status config_load_text(const config_options *options, sonde_str yaml,
                                             const char *name, agent_config **out_config,
                                             sonde_error *out_error);

agent_config *config_get(agent_config *c);
void config_put(agent_config *c); /* NULL does nothing */

/* Calls `tell` for every key whose value differs; `reloads`: a running agent takes it over. */
void config_compare(const agent_config *before, const agent_config *after,
                    void (*tell)(void *user, const char *key, bool reloads), void *user);

/* Every secret in it (API keys, passwords), for those who must cut them out of a text. */
void config_each_secret(const agent_config *c, void (*tell)(void *user, sonde_str secret),
                        void *user);

/* Whether apm_config.features lists it. */
bool config_has_feature(const agent_config *c, const char *name);

/* Where the value of a key ("apm_config.receiver_port") came from; empty: no such key, or a configuration that nobody read. */
sonde_str config_origin(const agent_config *c, const char *key);

void config_print_help(sonde_buf *out);     /* one paragraph a key, for --help */
void config_print_markdown(sonde_buf *out); /* docs/CONFIGURATION.md */
void config_print_values(const agent_config *c,
                         sonde_buf *out); /* key: value  # origin; secrets cut */

#endif /* SONDE_AGENT_CONFIG_CONFIG_H */
