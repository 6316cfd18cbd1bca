/* config_rows.c - the table itself, in the order of docs/TRACER-CONFIGURATION.md. */
#include "config_rows.h"

#include "base/clock.h"

#include "config.h"
#include "propagate.h"

#define FIELD(name)  offsetof(sonde__config, name)
#define OPTION(name) offsetof(sonde_options, name)

/* clang-format off */
const sonde__row sonde__rows[] = {
    /* These two come first: what is wrong with the others is logged at their level. */
    { .names = { "DD_TRACE_LOG_LEVEL", "DD_LOG_LEVEL" }, .type = SONDE__TYPE_LEVEL, .fallback = "info",
      .field = FIELD(log_level), .doc = "trace, debug, info, warn, error or off." },
    { .names = { "DD_TRACE_DEBUG" }, .type = SONDE__TYPE_BOOL, .fallback = "false", .field = FIELD(debug),
      .doc = "Log at level debug, whatever the level says." },

    { .names = { "DD_TRACE_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "true", .field = FIELD(enabled),
      .option = OPTION(enabled), .doc = "Record spans. Off: every call does nothing and no thread starts." },
    { .names = { "DD_TRACE_STARTUP_LOGS" }, .type = SONDE__TYPE_BOOL, .fallback = "true",
      .field = FIELD(startup_logs), .doc = "Log the configuration once, at the start, and that the agent cannot be reached." },
    { .names = { "DD_SERVICE", "DD_SERVICE_NAME" }, .type = SONDE__TYPE_TEXT, .fallback = "",
      .instead = "`service` of DD_TAGS, else the executable's name", .field = FIELD(service),
      .option = OPTION(service), .doc = "Service of spans that name none." },
    { .names = { "DD_ENV" }, .type = SONDE__TYPE_TEXT, .fallback = "", .instead = "`env` of DD_TAGS",
      .field = FIELD(env), .option = OPTION(env), .doc = "Environment, on every span." },
    { .names = { "DD_VERSION" }, .type = SONDE__TYPE_TEXT, .fallback = "", .instead = "`version` of DD_TAGS",
      .field = FIELD(version), .option = OPTION(version), .doc = "Version of the program, on spans of its service." },
    { .names = { "DD_TAGS", "DD_TRACE_TAGS", "DD_TRACE_GLOBAL_TAGS" }, .type = SONDE__TYPE_MAP, .fallback = "",
      .field = FIELD(tags_text), .option = OPTION(tags),
      .doc = "Tags of every span, at most 64; separated by commas, or by blanks when there is no comma." },

    { .names = { "DD_TRACE_UNIVERSAL_VERSION_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "false",
      .field = FIELD(universal_version), .doc = "The version goes on the spans of every service." },
    { .names = { "DD_SERVICE_MAPPING" }, .type = SONDE__TYPE_MAP, .fallback = "", .field = FIELD(service_mapping),
      .doc = "from:to pairs: what a span or an integration names `from` is sent as `to`. The tracer's own service stays." },
    { .names = { "DD_TRACE_REPORT_HOSTNAME" }, .type = SONDE__TYPE_BOOL, .fallback = "false",
      .field = FIELD(report_hostname), .doc = "Put the name of the host on the first span of each chunk." },
    { .names = { "DD_TRACE_SOURCE_HOSTNAME" }, .type = SONDE__TYPE_TEXT, .fallback = "", .field = FIELD(source_hostname),
      .doc = "That name; implies DD_TRACE_REPORT_HOSTNAME." },
    { .names = { "DD_HOSTNAME" }, .type = SONDE__TYPE_TEXT, .fallback = "", .instead = "the system's",
      .field = FIELD(hostname), .doc = "Name of this host." },
    { .names = { "DD_TRACE_GIT_METADATA_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "true",
      .field = FIELD(git_metadata), .doc = "Put the next two on the first span of each chunk." },
    { .names = { "DD_GIT_REPOSITORY_URL" }, .type = SONDE__TYPE_REPOSITORY, .fallback = "",
      .instead = "`git.repository_url` of DD_TAGS", .field = FIELD(git_repository),
      .doc = "Where the source is; a user and password in it are left out." },
    { .names = { "DD_GIT_COMMIT_SHA" }, .type = SONDE__TYPE_TEXT, .fallback = "",
      .instead = "`git.commit.sha` of DD_TAGS", .field = FIELD(git_commit), .doc = "Commit the program was built from." },
    { .names = { "DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "true",
      .field = FIELD(process_tags_enabled), .doc = "Put names of executable and folders on the first span of each chunk." },

    { .names = { "DD_TRACE_AGENT_URL" }, .type = SONDE__TYPE_URL, .fallback = "",
      .instead = "host and port, else the agent's socket, else http://localhost:8126", .field = FIELD(agent_url),
      .option = OPTION(agent_url), .doc = "Address of the agent, http://host:port or unix:///path; wins over host and port." },
    { .names = { "DD_AGENT_HOST", "DD_TRACE_AGENT_HOSTNAME" }, .type = SONDE__TYPE_TEXT, .fallback = "localhost",
      .field = FIELD(agent_host), .doc = "Host of the agent." },
    { .names = { "DD_TRACE_AGENT_PORT", "DD_AGENT_PORT" }, .type = SONDE__TYPE_INT, .fallback = "8126", .min = 1,
      .max = 65535, .field = FIELD(agent_port), .doc = "Port of the agent." },
    { .names = { "DD_TRACE_AGENT_TIMEOUT" }, .type = SONDE__TYPE_DURATION, .fallback = "10", .min = 1, .max = 3600,
      .unit_ns = SONDE_NS_PER_S, .field = FIELD(agent_timeout_ns), .doc = "Longest wait for one answer of the agent." },
    { .names = { "DD_TRACE_SEND_RETRIES" }, .type = SONDE__TYPE_INT, .fallback = "2", .max = 10,
      .field = FIELD(send_retries), .doc = "Further attempts for a payload that could not be delivered." },
    { .names = { "DD_TRACE_RETRY_INTERVAL" }, .type = SONDE__TYPE_DURATION, .fallback = "100ms",
      .unit_ns = SONDE_NS_PER_MS, .field = FIELD(retry_pause_ns), .doc = "Pause before the first of them; doubled for the next." },
    { .names = { "DD_TRACE_API_VERSION" }, .type = SONDE__TYPE_CHOICE, .fallback = "v0.4", .choices = "v0.4,v0.5",
      .field = FIELD(api_version), .doc = "Form of the payloads; v0.5 once the agent has said that it takes it." },
    { .names = { "DD_TRACE_PARTIAL_FLUSH_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "true",
      .field = FIELD(partial_flush), .doc = "Send finished spans of a trace that is still open." },
    { .names = { "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS" }, .type = SONDE__TYPE_INT, .fallback = "300", .min = 1,
      .max = 99999, .field = FIELD(partial_flush_len), .doc = "How many of them at least." },
    { .names = { "DD_EXTERNAL_ENV" }, .type = SONDE__TYPE_TEXT, .fallback = "", .field = FIELD(external_env),
      .doc = "Sent to the agent as it is; set by the Datadog admission controller." },
    { .names = { "SONDE_TRACE_MEMORY" }, .type = SONDE__TYPE_BYTES, .fallback = "16MiB", .clamp = true,
      .min = SONDE__MEMORY_MIN_BYTES, .max = (double)(UINT64_C(1) << 40), .field = FIELD(memory_bytes),
      .option = OPTION(memory_bytes), .doc = "Ceiling of all memory the tracer takes; at least 2MiB." },
    { .names = { "SONDE_TRACE_FLUSH_INTERVAL_MS" }, .type = SONDE__TYPE_DURATION, .fallback = "2000",
      .min = 1, .max = UINT32_MAX, .unit_ns = SONDE_NS_PER_MS, .field = FIELD(flush_interval_ns),
      .option = OPTION(flush_interval_ms), .doc = "Longest wait of a finished trace." },
    { .names = { "SONDE_TRACE_EXIT_TIMEOUT_MS" }, .type = SONDE__TYPE_DURATION, .fallback = "2000",
      .min = 1, .max = UINT32_MAX, .unit_ns = SONDE_NS_PER_MS, .field = FIELD(stop_timeout_ns),
      .option = OPTION(stop_timeout_ms), .doc = "Longest wait of sonde_stop() and of exit() for the agent." },

    { .names = { "DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "true",
      .field = FIELD(id_128_bit), .doc = "New traces get 128-bit ids." },
    { .names = { "DD_TRACE_PROPAGATION_STYLE" }, .type = SONDE__TYPE_STYLES, .fallback = "datadog,tracecontext,baggage",
      .field = FIELD(styles), .doc = "Headers to read and to write: datadog, tracecontext, b3, b3multi, baggage, none." },
    { .names = { "DD_TRACE_PROPAGATION_STYLE_EXTRACT", "DD_PROPAGATION_STYLE_EXTRACT" }, .type = SONDE__TYPE_STYLES,
      .fallback = "", .instead = "DD_TRACE_PROPAGATION_STYLE", .field = FIELD(extract), .doc = "Headers to read." },
    { .names = { "DD_TRACE_PROPAGATION_STYLE_INJECT", "DD_PROPAGATION_STYLE_INJECT" }, .type = SONDE__TYPE_STYLES,
      .fallback = "", .instead = "DD_TRACE_PROPAGATION_STYLE", .field = FIELD(inject), .doc = "Headers to write." },
    { .names = { "DD_TRACE_PROPAGATION_EXTRACT_FIRST" }, .type = SONDE__TYPE_BOOL, .fallback = "false",
      .field = FIELD(extract_first), .doc = "Take the first style that has a context, and look no further." },
    { .names = { "DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT" }, .type = SONDE__TYPE_CHOICE, .fallback = "continue",
      .choices = "continue,restart,ignore", .field = FIELD(extract_behavior),
      .doc = "Continue the received trace, start one that links to it, or do not look at the headers." },
    { .names = { "DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH", "DD_TRACE_TAGS_PROPAGATION_MAX_LENGTH" }, .type = SONDE__TYPE_INT,
      .fallback = "512", .clamp = true, .max = 512, .field = FIELD(tags_max_bytes),
      .doc = "Longest x-datadog-tags header, read or written; 0 neither." },
    { .names = { "DD_TRACE_BAGGAGE_MAX_ITEMS" }, .type = SONDE__TYPE_INT, .fallback = "64", .clamp = true,
      .max = SONDE__BAGGAGE_ITEMS_MAX, .field = FIELD(baggage_max_items), .doc = "Most items of a baggage header, read or written." },
    { .names = { "DD_TRACE_BAGGAGE_MAX_BYTES" }, .type = SONDE__TYPE_INT, .fallback = "8192", .clamp = true,
      .max = SONDE__BAGGAGE_HEADER_MAX, .field = FIELD(baggage_max_bytes), .doc = "Longest baggage header, read or written." },
    { .names = { "DD_TRACE_BAGGAGE_TAG_KEYS" }, .type = SONDE__TYPE_LIST, .fallback = "user.id,session.id,account.id",
      .empty_is_a_value = true, .field = FIELD(baggage_tag_keys),
      .doc = "Received baggage that becomes tags baggage.<key> of the first span; * is all of it, empty none." },

    { .names = { "DD_LOGS_INJECTION" }, .type = SONDE__TYPE_BOOL, .fallback = "true", .field = FIELD(logs_injection),
      .doc = "sonde_log_...() give ids to the program's own log lines." },
    { .names = { "DD_TRACE_128_BIT_TRACEID_LOGGING_ENABLED" }, .type = SONDE__TYPE_BOOL, .fallback = "true",
      .field = FIELD(logs_128_bit), .doc = "As 32 hex digits where the trace id has 128 bits; else the decimal low half." },

    { .names = { "DD_TRACE_SAMPLING_RULES" }, .type = SONDE__TYPE_TEXT, .fallback = "", .field = FIELD(sampling_rules),
      .doc = "Which traces to keep, at what rate: a JSON array, see docs/spec/trace-sampling.md." },
    { .names = { "DD_TRACE_SAMPLING_RULES_FILE" }, .type = SONDE__TYPE_TEXT, .fallback = "",
      .field = FIELD(sampling_rules_file), .doc = "File with such an array, when the variable is not set." },
    { .names = { "DD_TRACE_SAMPLE_RATE" }, .type = SONDE__TYPE_NUMBER, .fallback = "", .instead = "the agent's rates",
      .min = 0, .max = 1, .field = FIELD(sample_rate), .doc = "Part of the traces to keep that no rule matches." },
    { .names = { "DD_TRACE_RATE_LIMIT" }, .type = SONDE__TYPE_NUMBER, .fallback = "100", .min = 0, .max = 1e9,
      .field = FIELD(rate_limit), .doc = "Traces a second to keep at most by rules and that rate." },
    { .names = { "DD_SPAN_SAMPLING_RULES" }, .type = SONDE__TYPE_TEXT, .fallback = "", .field = FIELD(span_rules),
      .doc = "Which single spans to keep of traces that are dropped: such an array." },
    { .names = { "DD_SPAN_SAMPLING_RULES_FILE" }, .type = SONDE__TYPE_TEXT, .fallback = "", .field = FIELD(span_rules_file),
      .doc = "File with it, when the variable is not set." },
};
/* clang-format on */

const size_t sonde__rows_len = sizeof(sonde__rows) / sizeof(sonde__rows[0]);

_Static_assert(sizeof(sonde__rows) / sizeof(sonde__rows[0]) <= SONDE__ROWS_MAX, "a place for each");
