/* keys.c - the table of every key the agent knows.
 *
 * Reading, range checks, --help and docs/CONFIGURATION.md come from here.  Names, variables and
 * defaults are Datadog's where Datadog has the key; what only Sonde has is sonde.* and SONDE_*.
 */
#include "internal.h"

#define MS          ((uint64_t)1000000)
#define S           ((uint64_t)1000000000)
#define DAY         (24 * 3600.0)
#define FIELD(name) offsetof(agent_config, name)

/* clang-format off */
const config_key config_keys[] = {
    { .name = "api_key", .env = "DD_API_KEY", .type = KEY_SECRET, .fallback = "", .offset = FIELD(api_key),
      .doc = "Key of the Datadog account that is sent to. Without one the agent runs in local mode." },
    { .name = "site", .env = "DD_SITE", .type = KEY_TEXT, .fallback = "datadoghq.com", .offset = FIELD(site),
      .doc = "Datadog site the default addresses are made from." },
    { .name = "dd_url", .env = "DD_DD_URL,DD_URL", .type = KEY_TEXT, .fallback = "", .offset = FIELD(dd_url),
      .doc = "Address of the metrics intake, in place of the site's." },
    { .name = "hostname", .env = "DD_HOSTNAME", .type = KEY_TEXT, .fallback = "", .offset = FIELD(hostname),
      .doc = "Name of this host; by default the system's." },
    { .name = "env", .env = "DD_ENV", .type = KEY_TEXT, .fallback = "", .offset = FIELD(env),
      .doc = "Environment of traces that do not say theirs." },
    { .name = "tags", .env = "DD_TAGS", .type = KEY_LIST, .fallback = "", .offset = FIELD(tags),
      .doc = "Host tags, key:value." },
    { .name = "bind_host", .env = "DD_BIND_HOST", .type = KEY_TEXT, .fallback = "localhost", .offset = FIELD(bind_host),
      .doc = "Address the TCP listeners bind to." },
    { .name = "skip_ssl_validation", .env = "DD_SKIP_SSL_VALIDATION", .type = KEY_BOOL, .fallback = "false",
      .offset = FIELD(skip_ssl_validation), .doc = "Do not verify certificates of intakes." },
    { .name = "log_level", .env = "DD_LOG_LEVEL", .type = KEY_LEVEL, .fallback = "info", .reloads = true, .offset = FIELD(log_level),
      .doc = "trace, debug, info, warn or error." },
    { .name = "log_format_json", .env = "DD_LOG_FORMAT_JSON", .type = KEY_BOOL, .fallback = "false",
      .reloads = true, .offset = FIELD(log_format_json), .doc = "One JSON object a line instead of text." },
    { .name = "log_file", .env = "DD_LOG_FILE", .type = KEY_TEXT, .fallback = "", .offset = FIELD(log_file),
      .doc = "File to log to; standard error when empty." },

    { .name = "apm_config.enabled", .env = "DD_APM_ENABLED", .type = KEY_BOOL, .fallback = "true",
      .offset = FIELD(apm_enabled), .doc = "Receive traces at all." },
    { .name = "apm_config.env", .env = "DD_APM_ENV", .type = KEY_TEXT, .fallback = "", .offset = FIELD(apm_env),
      .doc = "As env, for traces only; wins over it." },
    { .name = "apm_config.receiver_port", .env = "DD_APM_RECEIVER_PORT,DD_RECEIVER_PORT", .type = KEY_INT,
      .fallback = "8126", .min = -1, .max = 65535, .offset = FIELD(receiver_port),
      .doc = "TCP port for traces; 0 listens on the Unix socket only, -1 on any free port (tests)." },
    { .name = "apm_config.receiver_socket", .env = "DD_APM_RECEIVER_SOCKET", .type = KEY_TEXT,
      .fallback = "/var/run/datadog/apm.socket", .empty_is_a_value = true, .offset = FIELD(receiver_socket),
      .doc = "Unix socket for traces; empty switches it off." },
    { .name = "apm_config.apm_non_local_traffic", .env = "DD_APM_NON_LOCAL_TRAFFIC", .type = KEY_BOOL,
      .fallback = "false", .offset = FIELD(non_local_traffic),
      .doc = "Listen on 0.0.0.0 instead of bind_host." },
    { .name = "apm_config.receiver_timeout", .env = "DD_APM_RECEIVER_TIMEOUT", .type = KEY_DURATION, .fallback = "5",
      .min = 0, .max = 3600, .unit_ns = S, .offset = FIELD(receiver_timeout_ns),
      .doc = "Time a request may take to arrive; 0 means the default." },
    { .name = "apm_config.max_payload_size", .env = "DD_APM_MAX_PAYLOAD_SIZE", .type = KEY_BYTES, .fallback = "26214400",
      .min = 1024, .max = 1073741824, .offset = FIELD(max_payload_bytes),
      .doc = "Largest request body taken; larger ones are answered with 413." },
    { .name = "apm_config.max_connections", .env = "DD_APM_MAX_CONNECTIONS", .type = KEY_INT, .fallback = "1000",
      .min = 0, .max = 65535, .offset = FIELD(max_connections),
      .doc = "Open connections per listener; accepting pauses beyond. 0 becomes 1." },
    { .name = "apm_config.connection_limit", .env = "DD_APM_CONNECTION_LIMIT,DD_CONNECTION_LIMIT", .type = KEY_INT,
      .fallback = "2000", .min = 0, .max = 1000000, .offset = FIELD(connection_limit),
      .doc = "When set: connections accepted in 30 s, instead of max_connections; 0 does not limit." },
    { .name = "apm_config.net_receiver_fd", .env = "DD_APM_NET_RECEIVER_FD", .type = KEY_INT, .fallback = "-1", .min = -1,
      .max = 1000000, .offset = FIELD(net_fd), .doc = "Inherited listening TCP socket, instead of binding one." },
    { .name = "apm_config.unix_receiver_fd", .env = "DD_APM_UNIX_RECEIVER_FD", .type = KEY_INT, .fallback = "-1", .min = -1,
      .max = 1000000, .offset = FIELD(unix_fd), .doc = "Inherited listening Unix socket, instead of binding one." },
    { .name = "apm_config.net_receiver_client_fd", .env = "DD_APM_NET_RECEIVER_CLIENT_FD", .type = KEY_INT, .fallback = "-1",
      .min = -1, .max = 1000000, .offset = FIELD(net_client_fd), .doc = "Inherited TCP connection that was accepted already." },
    { .name = "apm_config.decoders", .env = "DD_APM_DECODERS", .type = KEY_INT, .fallback = "0", .min = 0, .max = 256,
      .offset = FIELD(decoders), .doc = "Threads that read and decode; 0 is half the CPUs." },
    { .name = "apm_config.target_traces_per_second", .env = "DD_APM_TARGET_TPS", .type = KEY_NUMBER, .fallback = "10",
      .min = 0, .max = 1e9, .reloads = true, .offset = FIELD(target_tps),
      .doc = "Traces per second the agent's rates aim at, all services together; 1000 when only the local intake gets them." },
    { .name = "apm_config.errors_per_second", .env = "DD_APM_ERROR_TPS", .type = KEY_NUMBER, .fallback = "10",
      .min = 0, .max = 1e9, .reloads = true, .offset = FIELD(errors_tps),
      .doc = "Traces with errors kept per second although no rate kept them." },
    { .name = "apm_config.max_events_per_second", .env = "DD_APM_MAX_EPS,DD_MAX_EPS", .type = KEY_NUMBER, .fallback = "200",
      .min = 0, .max = 1e9, .reloads = true, .offset = FIELD(max_eps), .doc = "APM events kept per second." },
    { .name = "apm_config.extra_sample_rate", .env = "", .type = KEY_NUMBER, .fallback = "1", .min = 0, .max = 1,
      .reloads = true, .offset = FIELD(extra_sample_rate), .doc = "Every rate of the agent is multiplied by it." },
    { .name = "apm_config.enable_rare_sampler", .env = "DD_APM_ENABLE_RARE_SAMPLER", .type = KEY_BOOL, .fallback = "false",
      .offset = FIELD(rare_enabled), .doc = "Keep traces with a kind of span that was not seen for a while." },
    { .name = "apm_config.rare_sampler.tps", .env = "", .type = KEY_NUMBER, .fallback = "5", .min = 0, .max = 1e9,
      .offset = FIELD(rare_tps), .doc = "Traces it keeps per second." },
    { .name = "apm_config.rare_sampler.cooldown", .env = "", .type = KEY_DURATION, .fallback = "5m", .min = 0, .max = 86400,
      .unit_ns = S, .offset = FIELD(rare_cooldown_ns), .doc = "Time after which a kind counts as not seen." },
    { .name = "apm_config.rare_sampler.cardinality", .env = "", .type = KEY_INT, .fallback = "200", .min = 1, .max = 4096,
      .offset = FIELD(rare_cardinality), .doc = "Kinds told apart in a service." },
    { .name = "apm_config.probabilistic_sampler.enabled", .env = "DD_APM_PROBABILISTIC_SAMPLER_ENABLED", .type = KEY_BOOL,
      .fallback = "false", .offset = FIELD(probabilistic_enabled),
      .doc = "Keep a fixed part of all traces, whatever the tracers decided." },
    { .name = "apm_config.probabilistic_sampler.sampling_percentage", .env = "DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE",
      .type = KEY_NUMBER, .fallback = "0", .min = 0, .max = 100, .offset = FIELD(probabilistic_percentage),
      .doc = "That part, in per cent." },
    { .name = "apm_config.probabilistic_sampler.hash_seed", .env = "DD_APM_PROBABILISTIC_SAMPLER_HASH_SEED", .type = KEY_INT,
      .fallback = "0", .min = 0, .max = 4294967295.0, .offset = FIELD(probabilistic_seed),
      .doc = "Agents and collectors with the same seed keep the same traces." },
    { .name = "apm_config.error_tracking_standalone.enabled", .env = "DD_APM_ERROR_TRACKING_STANDALONE_ENABLED",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(errors_only),
      .doc = "Only traces with errors count; all others are marked as dropped." },
    { .name = "apm_config.analyzed_spans", .env = "DD_APM_ANALYZED_SPANS", .type = KEY_LIST, .fallback = "",
      .offset = FIELD(analyzed_spans), .doc = "APM events: items service|operation=rate." },
    { .name = "apm_config.features", .env = "DD_APM_FEATURES", .type = KEY_LIST, .fallback = "", .offset = FIELD(features),
      .doc = "Switches of Datadog's agent; known here: error_rare_sample_tracer_drop, probabilistic_sampler_full_trace_id." },
    { .name = "apm_config.ignore_resources", .env = "DD_APM_IGNORE_RESOURCES,DD_IGNORE_RESOURCE", .type = KEY_LIST,
      .fallback = "", .separator = ',', .offset = FIELD(ignore_resources),
      .doc = "Patterns: traces whose root's resource matches one are dropped (variable: CSV)." },
    { .name = "apm_config.filter_tags.require", .env = "DD_APM_FILTER_TAGS_REQUIRE", .type = KEY_LIST, .fallback = "",
      .separator = ' ', .offset = FIELD(filter_require),
      .doc = "key or key:value: traces whose root lacks one of these tags are dropped (variable: JSON or spaces)." },
    { .name = "apm_config.filter_tags.reject", .env = "DD_APM_FILTER_TAGS_REJECT", .type = KEY_LIST, .fallback = "",
      .separator = ' ', .offset = FIELD(filter_reject), .doc = "The same: traces whose root has one of them are dropped." },
    { .name = "apm_config.filter_tags_regex.require", .env = "DD_APM_FILTER_TAGS_REGEX_REQUIRE", .type = KEY_LIST,
      .fallback = "", .separator = ' ', .offset = FIELD(filter_regex_require),
      .doc = "As filter_tags.require; the value is a pattern." },
    { .name = "apm_config.filter_tags_regex.reject", .env = "DD_APM_FILTER_TAGS_REGEX_REJECT", .type = KEY_LIST,
      .fallback = "", .separator = ' ', .offset = FIELD(filter_regex_reject),
      .doc = "As filter_tags.reject; the value is a pattern." },
    { .name = "apm_config.replace_tags", .env = "DD_APM_REPLACE_TAGS", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(replace_tags),
      .doc = "Rules name, pattern, repl: what matches in the tag of that name is replaced (JSON in the variable); "
             "name * is every tag, resource.name the resource. A rule that cannot be used stops the start." },
    { .name = "apm_config.sql_obfuscation_mode", .env = "DD_APM_SQL_OBFUSCATION_MODE", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(sql_obfuscation_mode),
      .doc = "Shown in /info; the default engine is the only one." },
    { .name = "apm_config.obfuscation.elasticsearch.enabled", .env = "DD_APM_OBFUSCATION_ELASTICSEARCH_ENABLED", .type = KEY_BOOL,
      .fallback = "true", .offset = FIELD(obfuscation.elasticsearch.enabled), .doc = "Values in elasticsearch.body become ?." },
    { .name = "apm_config.obfuscation.elasticsearch.keep_values", .env = "DD_APM_OBFUSCATION_ELASTICSEARCH_KEEP_VALUES", .type = KEY_LIST,
      .fallback = "", .offset = FIELD(obfuscation.elasticsearch.keep_values), .doc = "Keys whose values stay." },
    { .name = "apm_config.obfuscation.elasticsearch.obfuscate_sql_values",
      .env = "DD_APM_OBFUSCATION_ELASTICSEARCH_OBFUSCATE_SQL_VALUES", .type = KEY_LIST, .fallback = "",
      .offset = FIELD(obfuscation.elasticsearch.sql_values), .doc = "Keys whose values are statements of SQL." },
    { .name = "apm_config.obfuscation.opensearch.enabled", .env = "DD_APM_OBFUSCATION_OPENSEARCH_ENABLED", .type = KEY_BOOL,
      .fallback = "true", .offset = FIELD(obfuscation.opensearch.enabled), .doc = "Values in opensearch.body become ?." },
    { .name = "apm_config.obfuscation.opensearch.keep_values", .env = "DD_APM_OBFUSCATION_OPENSEARCH_KEEP_VALUES", .type = KEY_LIST,
      .fallback = "", .offset = FIELD(obfuscation.opensearch.keep_values), .doc = "Keys whose values stay." },
    { .name = "apm_config.obfuscation.opensearch.obfuscate_sql_values",
      .env = "DD_APM_OBFUSCATION_OPENSEARCH_OBFUSCATE_SQL_VALUES", .type = KEY_LIST, .fallback = "",
      .offset = FIELD(obfuscation.opensearch.sql_values), .doc = "Keys whose values are statements of SQL." },
    { .name = "apm_config.obfuscation.mongodb.enabled", .env = "DD_APM_OBFUSCATION_MONGODB_ENABLED", .type = KEY_BOOL,
      .fallback = "true", .offset = FIELD(obfuscation.mongodb.enabled), .doc = "Values in mongodb.query become ?." },
    { .name = "apm_config.obfuscation.mongodb.keep_values", .env = "DD_APM_OBFUSCATION_MONGODB_KEEP_VALUES", .type = KEY_LIST,
      .fallback = "", .offset = FIELD(obfuscation.mongodb.keep_values), .doc = "Keys whose values stay." },
    { .name = "apm_config.obfuscation.mongodb.obfuscate_sql_values",
      .env = "DD_APM_OBFUSCATION_MONGODB_OBFUSCATE_SQL_VALUES", .type = KEY_LIST, .fallback = "",
      .offset = FIELD(obfuscation.mongodb.sql_values), .doc = "Keys whose values are statements of SQL." },
    { .name = "apm_config.obfuscation.sql_exec_plan.enabled", .env = "DD_APM_OBFUSCATION_SQL_EXEC_PLAN_ENABLED", .type = KEY_BOOL,
      .fallback = "false", .offset = FIELD(obfuscation.sql_exec_plan.enabled), .doc = "Shown in /info; spans carry no plans." },
    { .name = "apm_config.obfuscation.sql_exec_plan.keep_values", .env = "DD_APM_OBFUSCATION_SQL_EXEC_PLAN_KEEP_VALUES", .type = KEY_LIST,
      .fallback = "", .offset = FIELD(obfuscation.sql_exec_plan.keep_values), .doc = "Keys whose values stay." },
    { .name = "apm_config.obfuscation.sql_exec_plan.obfuscate_sql_values",
      .env = "DD_APM_OBFUSCATION_SQL_EXEC_PLAN_OBFUSCATE_SQL_VALUES", .type = KEY_LIST, .fallback = "",
      .offset = FIELD(obfuscation.sql_exec_plan.sql_values), .doc = "Keys whose values are statements of SQL." },
    { .name = "apm_config.obfuscation.sql_exec_plan_normalize.enabled", .env = "DD_APM_OBFUSCATION_SQL_EXEC_PLAN_NORMALIZE_ENABLED", .type = KEY_BOOL,
      .fallback = "false", .offset = FIELD(obfuscation.sql_exec_plan_normalize.enabled), .doc = "Shown in /info; spans carry no plans." },
    { .name = "apm_config.obfuscation.sql_exec_plan_normalize.keep_values", .env = "DD_APM_OBFUSCATION_SQL_EXEC_PLAN_NORMALIZE_KEEP_VALUES", .type = KEY_LIST,
      .fallback = "", .offset = FIELD(obfuscation.sql_exec_plan_normalize.keep_values), .doc = "Keys whose values stay." },
    { .name = "apm_config.obfuscation.sql_exec_plan_normalize.obfuscate_sql_values",
      .env = "DD_APM_OBFUSCATION_SQL_EXEC_PLAN_NORMALIZE_OBFUSCATE_SQL_VALUES", .type = KEY_LIST, .fallback = "",
      .offset = FIELD(obfuscation.sql_exec_plan_normalize.sql_values), .doc = "Keys whose values are statements of SQL." },
    { .name = "apm_config.obfuscation.http.remove_query_string", .env = "DD_APM_OBFUSCATION_HTTP_REMOVE_QUERY_STRING",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.http_remove_query_string),
      .doc = "The query of http.url goes." },
    { .name = "apm_config.obfuscation.http.remove_paths_with_digits", .env = "DD_APM_OBFUSCATION_HTTP_REMOVE_PATHS_WITH_DIGITS",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.http_remove_path_digits),
      .doc = "Segments of the path of http.url with a digit become ?." },
    { .name = "apm_config.obfuscation.remove_stack_traces", .env = "DD_APM_OBFUSCATION_REMOVE_STACK_TRACES",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.remove_stack_traces),
      .doc = "error.stack and exception.stacktrace become ?." },
    { .name = "apm_config.obfuscation.redis.enabled", .env = "DD_APM_OBFUSCATION_REDIS_ENABLED",
      .type = KEY_BOOL, .fallback = "true", .offset = FIELD(obfuscation.redis.enabled),
      .doc = "Values in redis.raw_command become ?." },
    { .name = "apm_config.obfuscation.redis.remove_all_args", .env = "DD_APM_OBFUSCATION_REDIS_REMOVE_ALL_ARGS",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.redis.remove_all_args),
      .doc = "All arguments, not only values." },
    { .name = "apm_config.obfuscation.valkey.enabled", .env = "DD_APM_OBFUSCATION_VALKEY_ENABLED",
      .type = KEY_BOOL, .fallback = "true", .offset = FIELD(obfuscation.valkey.enabled),
      .doc = "Values in valkey.raw_command become ?." },
    { .name = "apm_config.obfuscation.valkey.remove_all_args", .env = "DD_APM_OBFUSCATION_VALKEY_REMOVE_ALL_ARGS",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.valkey.remove_all_args),
      .doc = "All arguments, not only values." },
    { .name = "apm_config.obfuscation.memcached.enabled", .env = "DD_APM_OBFUSCATION_MEMCACHED_ENABLED",
      .type = KEY_BOOL, .fallback = "true", .offset = FIELD(obfuscation.memcached_enabled),
      .doc = "memcached.command is emptied." },
    { .name = "apm_config.obfuscation.memcached.keep_command", .env = "DD_APM_OBFUSCATION_MEMCACHED_KEEP_COMMAND",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.memcached_keep_command),
      .doc = "Only its value goes." },
    { .name = "apm_config.obfuscation.credit_cards.enabled", .env = "DD_APM_OBFUSCATION_CREDIT_CARDS_ENABLED",
      .type = KEY_BOOL, .fallback = "true", .offset = FIELD(obfuscation.cards_enabled),
      .doc = "Tags that are the number of a credit card become ?." },
    { .name = "apm_config.obfuscation.credit_cards.luhn", .env = "DD_APM_OBFUSCATION_CREDIT_CARDS_LUHN",
      .type = KEY_BOOL, .fallback = "false", .offset = FIELD(obfuscation.cards_luhn),
      .doc = "Only where the check digit is right." },
    { .name = "apm_config.obfuscation.credit_cards.keep_values", .env = "DD_APM_OBFUSCATION_CREDIT_CARDS_KEEP_VALUES",
      .type = KEY_LIST, .fallback = "", .offset = FIELD(obfuscation.cards_keep_values),
      .doc = "Tags that are not looked at." },
    { .name = "apm_config.bucket_size_seconds", .env = "DD_APM_BUCKET_SIZE_SECONDS", .type = KEY_DURATION, .fallback = "10",
      .min = 1, .max = 600, .unit_ns = S, .offset = FIELD(bucket_ns),
      .doc = "Width of a statistics bucket." },
    { .name = "apm_config.trace_writer.flush_period_seconds", .env = "DD_APM_TRACE_WRITER_FLUSH_PERIOD_SECONDS",
      .type = KEY_DURATION, .fallback = "5", .min = 0.001, .max = 600, .unit_ns = S, .offset = FIELD(trace_flush_ns),
      .doc = "How long kept traces wait for company before they are sent; 1 when only the local intake gets them." },
    { .name = "apm_config.stats_writer.flush_period_seconds", .env = "DD_APM_STATS_WRITER_FLUSH_PERIOD_SECONDS",
      .type = KEY_DURATION, .fallback = "10", .min = 0.001, .max = 600, .unit_ns = S, .offset = FIELD(stats_flush_ns),
      .doc = "How often full buckets are looked for and sent." },
    { .name = "apm_config.max_sender_retries", .env = "DD_APM_MAX_SENDER_RETRIES", .type = KEY_INT, .fallback = "0",
      .min = 0, .max = 1000000, .offset = FIELD(max_sender_retries),
      .doc = "Attempts per payload; 0 retries within the limits of age and memory." },
    { .name = "apm_config.apm_dd_url", .env = "DD_APM_DD_URL", .type = KEY_TEXT, .fallback = "", .offset = FIELD(apm_dd_url),
      .doc = "Address of the trace intake, in place of https://trace.agent.<site>." },
    { .name = "apm_config.additional_endpoints", .env = "DD_APM_ADDITIONAL_ENDPOINTS", .type = KEY_ENDPOINTS, .fallback = "",
      .offset = FIELD(additional_endpoints),
      .doc = "Further intakes: a map from address to a list of keys (JSON in the variable)." },
    { .name = "apm_config.max_memory", .env = "DD_APM_MAX_MEMORY", .type = KEY_BYTES, .fallback = "0",
      .min = 0, .max = 1e12, .offset = FIELD(max_memory_bytes),
      .doc = "When set, replaces sonde.memory_limit; the watchdog ends the agent at one and a half of it, never when it is set to 0." },
    { .name = "apm_config.max_cpu_percent", .env = "DD_APM_MAX_CPU_PERCENT", .type = KEY_NUMBER, .fallback = "50",
      .min = 0, .max = 1e6, .offset = FIELD(max_cpu_percent), .doc = "Shown beside the CPU time in use, nothing else." },
    { .name = "apm_config.watchdog_check_delay", .env = "", .type = KEY_DURATION, .fallback = "10", .min = 0.01, .max = 600,
      .unit_ns = S, .offset = FIELD(watchdog_check_ns), .doc = "How often the watchdog looks at memory and CPU." },
    { .name = "apm_config.send_all_internal_stats", .env = "DD_APM_SEND_ALL_INTERNAL_STATS", .type = KEY_BOOL,
      .fallback = "false", .offset = FIELD(send_all_internal_stats), .doc = "Send the agent's own counts also while they are zero." },

    { .name = "app_key", .env = "DD_APP_KEY", .type = KEY_SECRET, .fallback = "", .offset = FIELD(proxy.app_key),
      .doc = "Application key, for requests of tracers that ask for one." },
    { .name = "apm_config.profiling_dd_url", .env = "DD_APM_PROFILING_DD_URL", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.profiling.url), .doc = "Address profiles go to, with its path, in place of the site's." },
    { .name = "apm_config.profiling_additional_endpoints", .env = "DD_APM_PROFILING_ADDITIONAL_ENDPOINTS",
      .type = KEY_ENDPOINTS, .fallback = "", .offset = FIELD(proxy.profiling.more),
      .doc = "Further targets of profiles: a map from address to a list of keys." },
    { .name = "apm_config.profiling_send_to_main_endpoint", .env = "DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT",
      .type = KEY_BOOL, .fallback = "true", .offset = FIELD(proxy.profiling_main),
      .doc = "Send profiles to the main target, too." },
    { .name = "apm_config.profiling_receiver_timeout", .env = "DD_APM_PROFILING_RECEIVER_TIMEOUT", .type = KEY_DURATION,
      .fallback = "5", .min = 0, .max = 3600, .unit_ns = S, .offset = FIELD(proxy.profiling_timeout_ns),
      .doc = "Time the upload of a profile may take; 0 means the default." },
    { .name = "apm_config.profiling_max_request_bytes", .env = "DD_APM_PROFILING_MAX_REQUEST_BYTES", .type = KEY_BYTES,
      .fallback = "52428800", .min = 1024, .max = 1073741824, .offset = FIELD(proxy.profiling_max_bytes),
      .doc = "Largest profile taken, within the budget of all bodies in flight." },
    { .name = "apm_config.additional_profile_tags", .env = "DD_APM_ADDITIONAL_PROFILE_TAGS", .type = KEY_LIST,
      .fallback = "", .offset = FIELD(proxy.profile_tags), .doc = "Tags added to each profile: a map, or key:value items." },
    { .name = "apm_config.telemetry.enabled", .env = "DD_APM_TELEMETRY_ENABLED", .type = KEY_BOOL, .fallback = "true",
      .offset = FIELD(proxy.telemetry_enabled), .doc = "Take the telemetry of tracers." },
    { .name = "apm_config.telemetry.dd_url", .env = "DD_APM_TELEMETRY_DD_URL", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.telemetry.url), .doc = "Address telemetry goes to, in place of the site's." },
    { .name = "apm_config.telemetry.additional_endpoints", .env = "DD_APM_TELEMETRY_ADDITIONAL_ENDPOINTS",
      .type = KEY_ENDPOINTS, .fallback = "", .offset = FIELD(proxy.telemetry.more), .doc = "Further targets of telemetry." },
    { .name = "apm_config.install_id", .env = "DD_INSTRUMENTATION_INSTALL_ID", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.install_id), .doc = "Which installation this is; sent with telemetry." },
    { .name = "apm_config.install_type", .env = "DD_INSTRUMENTATION_INSTALL_TYPE", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.install_type), .doc = "How it was installed; sent with telemetry." },
    { .name = "apm_config.install_time", .env = "DD_INSTRUMENTATION_INSTALL_TIME", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.install_time), .doc = "When it was installed; sent with telemetry." },
    { .name = "evp_proxy_config.enabled", .env = "DD_EVP_PROXY_CONFIG_ENABLED", .type = KEY_BOOL, .fallback = "true",
      .offset = FIELD(proxy.evp_enabled), .doc = "Pass on events of tracers (/evp_proxy)." },
    { .name = "evp_proxy_config.dd_url", .env = "DD_EVP_PROXY_CONFIG_DD_URL", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.evp.url), .doc = "Domain the events' subdomain is put in front of, in place of the site." },
    { .name = "evp_proxy_config.api_key", .env = "DD_EVP_PROXY_CONFIG_API_KEY", .type = KEY_SECRET, .fallback = "",
      .offset = FIELD(proxy.evp.api_key), .doc = "Key for events, in place of api_key." },
    { .name = "evp_proxy_config.additional_endpoints", .env = "DD_EVP_PROXY_CONFIG_ADDITIONAL_ENDPOINTS",
      .type = KEY_ENDPOINTS, .fallback = "", .offset = FIELD(proxy.evp.more), .doc = "Further domains of events." },
    { .name = "evp_proxy_config.max_payload_size", .env = "DD_EVP_PROXY_CONFIG_MAX_PAYLOAD_SIZE", .type = KEY_BYTES,
      .fallback = "10485760", .min = 1024, .max = 1073741824, .offset = FIELD(proxy.evp_max_bytes),
      .doc = "Largest body of an event request." },
    { .name = "evp_proxy_config.receiver_timeout", .env = "DD_EVP_PROXY_CONFIG_RECEIVER_TIMEOUT", .type = KEY_DURATION,
      .fallback = "0", .min = 0, .max = 3600, .unit_ns = S, .offset = FIELD(proxy.evp_timeout_ns),
      .doc = "Time an event request may take; 0 means 30 s." },
    { .name = "ol_proxy_config.enabled", .env = "DD_OL_PROXY_CONFIG_ENABLED", .type = KEY_BOOL, .fallback = "true",
      .offset = FIELD(proxy.lineage_enabled), .doc = "Pass on OpenLineage events." },
    { .name = "ol_proxy_config.dd_url", .env = "DD_OL_PROXY_CONFIG_DD_URL", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.lineage.url), .doc = "Host they go to, in place of the site's." },
    { .name = "ol_proxy_config.api_key", .env = "DD_OL_PROXY_CONFIG_API_KEY", .type = KEY_SECRET, .fallback = "",
      .offset = FIELD(proxy.lineage.api_key), .doc = "Key for them, in place of api_key." },
    { .name = "ol_proxy_config.additional_endpoints", .env = "DD_OL_PROXY_CONFIG_ADDITIONAL_ENDPOINTS",
      .type = KEY_ENDPOINTS, .fallback = "", .offset = FIELD(proxy.lineage.more), .doc = "Further hosts they go to." },
    { .name = "ol_proxy_config.api_version", .env = "DD_OL_PROXY_CONFIG_API_VERSION", .type = KEY_INT, .fallback = "2",
      .min = 0, .max = 1000, .offset = FIELD(proxy.lineage_version), .doc = "api-version they are sent with." },
    { .name = "apm_config.debugger_dd_url", .env = "DD_APM_DEBUGGER_DD_URL", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.debugger.url), .doc = "Address debugger snapshots go to, in place of the site's logs intake." },
    { .name = "apm_config.debugger_api_key", .env = "DD_APM_DEBUGGER_API_KEY", .type = KEY_SECRET, .fallback = "",
      .offset = FIELD(proxy.debugger.api_key), .doc = "Key for them, in place of api_key." },
    { .name = "apm_config.debugger_additional_endpoints", .env = "DD_APM_DEBUGGER_ADDITIONAL_ENDPOINTS",
      .type = KEY_ENDPOINTS, .fallback = "", .offset = FIELD(proxy.debugger.more), .doc = "Further targets of them." },
    { .name = "apm_config.debugger_diagnostics_dd_url", .env = "DD_APM_DEBUGGER_DIAGNOSTICS_DD_URL", .type = KEY_TEXT,
      .fallback = "", .offset = FIELD(proxy.diagnostics.url),
      .doc = "Address debugger diagnostics go to, in place of the site's." },
    { .name = "apm_config.debugger_diagnostics_api_key", .env = "DD_APM_DEBUGGER_DIAGNOSTICS_API_KEY", .type = KEY_SECRET,
      .fallback = "", .offset = FIELD(proxy.diagnostics.api_key), .doc = "Key for them, in place of api_key." },
    { .name = "apm_config.debugger_diagnostics_additional_endpoints", .env = "DD_APM_DEBUGGER_DIAGNOSTICS_ADDITIONAL_ENDPOINTS",
      .type = KEY_ENDPOINTS, .fallback = "", .offset = FIELD(proxy.diagnostics.more), .doc = "Further targets of them." },
    { .name = "apm_config.debugger_logs_enabled_override", .env = "DD_APM_DEBUGGER_LOGS_ENABLED_OVERRIDE", .type = KEY_BOOL,
      .fallback = "false", .offset = FIELD(proxy.debugger_logs_override),
      .doc = "Send debugger snapshots although logs_enabled is false." },
    { .name = "logs_enabled", .env = "DD_LOGS_ENABLED", .type = KEY_BOOL, .fallback = "false",
      .offset = FIELD(proxy.logs_enabled), .doc = "When set to false, debugger snapshots are dropped." },
    { .name = "apm_config.symdb_dd_url", .env = "DD_APM_SYMDB_DD_URL", .type = KEY_TEXT, .fallback = "",
      .offset = FIELD(proxy.symdb.url), .doc = "Address symbol data goes to, in place of the site's." },
    { .name = "apm_config.symdb_api_key", .env = "DD_APM_SYMDB_API_KEY", .type = KEY_SECRET, .fallback = "",
      .offset = FIELD(proxy.symdb.api_key), .doc = "Key for it, in place of api_key." },
    { .name = "apm_config.symdb_additional_endpoints", .env = "DD_APM_SYMDB_ADDITIONAL_ENDPOINTS", .type = KEY_ENDPOINTS,
      .fallback = "", .offset = FIELD(proxy.symdb.more), .doc = "Further targets of it." },

    { .name = "otlp_config.receiver.protocols.http.endpoint", .env = "DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT",
      .type = KEY_TEXT, .fallback = "", .offset = FIELD(otlp_http_endpoint),
      .doc = "Take OTLP over HTTP at host:port, usually localhost:4318; empty: not at all." },
    { .name = "otlp_config.receiver.protocols.grpc.endpoint", .env = "DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT",
      .type = KEY_TEXT, .fallback = "", .offset = FIELD(otlp_grpc_endpoint),
      .doc = "Take OTLP over gRPC at host:port, usually localhost:4317; empty: not at all." },
    { .name = "otlp_config.traces.enabled", .env = "DD_OTLP_CONFIG_TRACES_ENABLED", .type = KEY_BOOL, .fallback = "true",
      .offset = FIELD(otlp_traces), .doc = "Take traces there." },
    { .name = "otlp_config.traces.probabilistic_sampler.sampling_percentage",
      .env = "DD_OTLP_CONFIG_TRACES_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", .type = KEY_NUMBER, .fallback = "100",
      .min = 0, .max = 100, .offset = FIELD(otlp_percentage),
      .doc = "Part of the OTLP traces without a sampling.priority that is kept, in per cent." },

    { .name = "forwarder_timeout", .env = "DD_FORWARDER_TIMEOUT", .type = KEY_DURATION, .fallback = "20",
      .min = 0.1, .max = 600, .unit_ns = S, .offset = FIELD(forwarder_timeout_ns), .doc = "Time one upload may take." },
    { .name = "forwarder_retry_queue_payloads_max_size", .env = "DD_FORWARDER_RETRY_QUEUE_PAYLOADS_MAX_SIZE",
      .type = KEY_BYTES, .fallback = "15728640", .min = 65536, .max = 1e12, .offset = FIELD(forwarder_memory_bytes),
      .doc = "Waiting payloads of one endpoint; beyond it the oldest is dropped and counted." },
    { .name = "forwarder_backoff_base", .env = "DD_FORWARDER_BACKOFF_BASE", .type = KEY_DURATION, .fallback = "2",
      .min = 0.001, .max = 600, .unit_ns = S, .offset = FIELD(forwarder_backoff_base_ns), .doc = "First pause after a failure." },
    { .name = "forwarder_backoff_max", .env = "DD_FORWARDER_BACKOFF_MAX", .type = KEY_DURATION, .fallback = "64",
      .min = 0.001, .max = 3600, .unit_ns = S, .offset = FIELD(forwarder_backoff_max_ns), .doc = "Longest pause between attempts." },
    { .name = "forwarder_max_concurrent_requests", .env = "DD_FORWARDER_MAX_CONCURRENT_REQUESTS", .type = KEY_INT,
      .fallback = "4", .min = 1, .max = 64, .offset = FIELD(forwarder_requests), .doc = "Uploads in flight per endpoint." },

    { .name = "sonde.memory_limit", .env = "SONDE_MEMORY_LIMIT", .type = KEY_BYTES, .fallback = "64MiB",
      .min = 16777216, .max = 1e12, .offset = FIELD(memory_limit_bytes),
      .doc = "Memory the agent's queues and requests share." },
    { .name = "sonde.workers", .env = "SONDE_WORKERS", .type = KEY_INT, .fallback = "0", .min = 0, .max = 256,
      .offset = FIELD(workers), .doc = "Threads that process payloads; 0 is one per CPU." },
    { .name = "sonde.shutdown_timeout", .env = "SONDE_SHUTDOWN_TIMEOUT", .type = KEY_DURATION, .fallback = "5s",
      .min = 0, .max = 600, .unit_ns = S, .offset = FIELD(shutdown_ns),
      .doc = "Time a stop may take to finish requests and deliver what waits." },
    { .name = "sonde.forwarder.max_age", .env = "SONDE_FORWARDER_MAX_AGE", .type = KEY_DURATION, .fallback = "4h",
      .min = 1, .max = 30 * DAY, .unit_ns = S, .offset = FIELD(forwarder_max_age_ns),
      .doc = "Payloads that waited longer are given up and counted." },
    { .name = "sonde.crash_spans", .env = "SONDE_CRASH_SPANS", .type = KEY_BOOL, .fallback = "true",
      .offset = FIELD(crash_spans),
      .doc = "Offer crash.socket beside the trace socket: spans that were open when a process was killed are submitted." },
    { .name = "sonde.local.enabled", .env = "SONDE_LOCAL", .type = KEY_SWITCH, .fallback = "auto", .offset = FIELD(local),
      .doc = "Host the intake and the web UI in the agent; auto: when there is no api_key." },
    { .name = "sonde.local.host", .env = "SONDE_LOCAL_HOST", .type = KEY_TEXT, .fallback = "127.0.0.1",
      .offset = FIELD(local_host), .doc = "Address of the local intake and UI." },
    { .name = "sonde.local.port", .env = "SONDE_LOCAL_PORT", .type = KEY_INT, .fallback = "8127", .min = 0, .max = 65535,
      .offset = FIELD(local_port), .doc = "Port of the local intake and UI; 0 picks a free one." },
    { .name = "sonde.local.store_max_size", .env = "SONDE_LOCAL_STORE_MAX_SIZE", .type = KEY_BYTES, .fallback = "2GiB",
      .min = 1048576, .max = 1e14, .offset = FIELD(local_store_bytes), .doc = "Size of the local store; the oldest goes first." },
    { .name = "sonde.local.retention", .env = "SONDE_LOCAL_RETENTION", .type = KEY_DURATION, .fallback = "3d",
      .min = 60, .max = 3650 * DAY, .unit_ns = S, .offset = FIELD(local_retention_ns), .doc = "Age at which stored traces go." },
    { .name = "sonde.data_dir", .env = "SONDE_DATA_DIR", .type = KEY_TEXT, .fallback = "", .offset = FIELD(data_dir),
      .doc = "State of the agent: /var/lib/sonde for the service, ~/.local/state/sonde for a user." },
};
/* clang-format on */
const size_t config_keys_len = sizeof(config_keys) / sizeof(config_keys[0]);

const config_key *key_find(sonde_str name)
{
    for (size_t i = 0; i < config_keys_len; i++) {
        if (sonde_str_eq(name, sonde_str_from(config_keys[i].name)))
            return &config_keys[i];
    }
    return NULL;
}

#define NAME_MAX_LEN 64

/* Edits from one name to the other; both at most NAME_MAX_LEN. */
static unsigned distance(sonde_str a, sonde_str b)
{
    unsigned row[NAME_MAX_LEN + 1];

    for (unsigned k = 0; k <= b.len; k++)
        row[k] = k;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned k = 1; k <= b.len; k++) {
            unsigned best = diagonal + (a.ptr[i - 1] != b.ptr[k - 1]);

            diagonal = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[b.len];
}

const config_key *key_nearest(sonde_str name)
{
    const config_key *nearest = NULL;
    unsigned least = 4; /* more than three edits is another word */

    if (name.len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < config_keys_len; i++) {
        sonde_str known = sonde_str_from(config_keys[i].name);
        unsigned edits = known.len > NAME_MAX_LEN ? least : distance(name, known);

        if (edits < least && edits < name.len / 2) {
            least = edits;
            nearest = &config_keys[i];
        }
    }
    return nearest;
}

const char *key_type_name(const config_key *key)
{
    static const char *const names[] = {
        [KEY_TEXT] = "text",
        [KEY_SECRET] = "secret",
        [KEY_BOOL] = "true or false",
        [KEY_SWITCH] = "auto, true or false",
        [KEY_INT] = "integer",
        [KEY_NUMBER] = "number",
        [KEY_BYTES] = "bytes",
        [KEY_DURATION] = "duration",
        [KEY_LEVEL] = "level",
        [KEY_LIST] = "list",
        [KEY_ENDPOINTS] = "map of lists",
    };

    return names[key->type];
}
