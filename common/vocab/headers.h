/* vocab/headers.h - HTTP header names of the trace protocols, each spelled once.
 * Source: docs/spec/agent-http.md. */
#ifndef SONDE_VOCAB_HEADERS_H
#define SONDE_VOCAB_HEADERS_H

#define SONDE_HDR_TRACE_COUNT        "X-Datadog-Trace-Count"
#define SONDE_HDR_CONTAINER_ID       "Datadog-Container-ID"
#define SONDE_HDR_ENTITY_ID          "Datadog-Entity-ID"
#define SONDE_HDR_EXTERNAL_ENV       "Datadog-External-Env"
#define SONDE_HDR_LANG               "Datadog-Meta-Lang"
#define SONDE_HDR_LANG_VERSION       "Datadog-Meta-Lang-Version"
#define SONDE_HDR_LANG_INTERPRETER   "Datadog-Meta-Lang-Interpreter"
#define SONDE_HDR_LANG_VENDOR        "Datadog-Meta-Lang-Interpreter-Vendor"
#define SONDE_HDR_TRACER_VERSION     "Datadog-Meta-Tracer-Version"
#define SONDE_HDR_COMPUTED_TOP_LEVEL "Datadog-Client-Computed-Top-Level"
#define SONDE_HDR_COMPUTED_STATS     "Datadog-Client-Computed-Stats"
#define SONDE_HDR_OBFUSCATION        "Datadog-Obfuscation-Version"
#define SONDE_HDR_DROPPED_P0_TRACES  "Datadog-Client-Dropped-P0-Traces"
#define SONDE_HDR_DROPPED_P0_SPANS   "Datadog-Client-Dropped-P0-Spans"
#define SONDE_HDR_RATES_VERSION      "Datadog-Rates-Payload-Version"
#define SONDE_HDR_REAL_STATUS        "Datadog-Send-Real-Http-Status"
#define SONDE_HDR_AGENT_VERSION      "Datadog-Agent-Version"
#define SONDE_HDR_AGENT_STATE        "Datadog-Agent-State"
#define SONDE_HDR_API_KEY            "DD-Api-Key"

#define SONDE_HDR_DD_TRACE_ID  "x-datadog-trace-id"
#define SONDE_HDR_DD_PARENT_ID "x-datadog-parent-id"
#define SONDE_HDR_DD_PRIORITY  "x-datadog-sampling-priority"
#define SONDE_HDR_DD_ORIGIN    "x-datadog-origin"
#define SONDE_HDR_DD_TAGS      "x-datadog-tags"
#define SONDE_HDR_TRACEPARENT  "traceparent"
#define SONDE_HDR_TRACESTATE   "tracestate"
#define SONDE_HDR_BAGGAGE      "baggage"
#define SONDE_HDR_OT_BAGGAGE   "ot-baggage-" /* a prefix */
#define SONDE_HDR_B3           "b3"
#define SONDE_HDR_B3_TRACE_ID  "x-b3-traceid"
#define SONDE_HDR_B3_SPAN_ID   "x-b3-spanid"
#define SONDE_HDR_B3_SAMPLED   "x-b3-sampled"
#define SONDE_HDR_B3_FLAGS     "x-b3-flags"

#endif /* SONDE_VOCAB_HEADERS_H */
