/* endpoints.h - what the driver can ask for; routes.c has the paths.
 *
 * spans.c   /trace/span/...: start, set, finish
 * carry.c   /trace/span/...: headers, baggage, the active span
 * otel.c    /trace/otel/...
 * control.c the rest: flushing, the agent, configuration, crash */
#ifndef SONDE_PARAMETRIC_ENDPOINTS_H
#define SONDE_PARAMETRIC_ENDPOINTS_H

#include "call.h"
#include "table.h"

/* clang-format off */
#define ENDPOINT_MAP(X)                                                        \
    X("POST", "/trace/span/start",                span_start)                  \
    X("POST", "/trace/span/finish",               span_finish)                 \
    X("POST", "/trace/span/set_resource",         span_set_resource)           \
    X("POST", "/trace/span/set_meta",             span_set_tag)                \
    X("POST", "/trace/span/set_metric",           span_set_tag)                \
    X("POST", "/trace/span/error",                span_error)                  \
    X("POST", "/trace/span/manual_keep",          span_keep)                   \
    X("POST", "/trace/span/manual_drop",          span_drop)                   \
    X("POST", "/trace/span/add_link",             span_add_link)               \
    X("POST", "/trace/span/add_event",            span_add_event)              \
    X("POST", "/trace/span/set_baggage",          carry_set_baggage)           \
    X("GET",  "/trace/span/get_baggage",          carry_get_baggage)           \
    X("GET",  "/trace/span/get_all_baggage",      carry_get_all_baggage)       \
    X("POST", "/trace/span/remove_baggage",       carry_remove_baggage)        \
    X("POST", "/trace/span/remove_all_baggage",   carry_remove_all_baggage)    \
    X("GET",  "/trace/span/current",              carry_current)               \
    X("POST", "/trace/span/inject_headers",       carry_inject)                \
    X("POST", "/trace/span/extract_headers",      carry_extract)               \
    X("POST", "/trace/span/flush",                control_flush)               \
    X("POST", "/trace/stats/flush",               control_flush_stats)         \
    X("GET",  "/trace/crash",                     control_crash)               \
    X("GET",  "/trace/config",                    control_config)              \
    X("GET",  "/trace/agent/ensure_agent_info",   control_wait_for_agent)      \
    X("POST", "/trace/remote-config/apply",       control_remote)              \
    X("POST", "/trace/otel/start_span",           otel_start)                  \
    X("POST", "/trace/otel/end_span",             otel_end)                    \
    X("POST", "/trace/otel/set_attributes",       otel_set_attributes)         \
    X("POST", "/trace/otel/set_name",             otel_set_name)               \
    X("POST", "/trace/otel/set_status",           otel_set_status)             \
    X("POST", "/trace/otel/add_event",            otel_add_event)              \
    X("POST", "/trace/otel/record_exception",     otel_record_exception)       \
    X("POST", "/trace/otel/is_recording",         otel_is_recording)           \
    X("POST", "/trace/otel/span_context",         otel_span_context)           \
    X("GET",  "/trace/otel/current_span",         carry_current)               \
    X("POST", "/trace/otel/otel_set_baggage",     otel_set_baggage)            \
    X("POST", "/trace/otel/flush",                otel_flush)
/* clang-format on */

#define X(method, path, name) void name(call *c);
ENDPOINT_MAP(X)
#undef X

/* The span the request is about (its `field`); NULL: there is none of that id, and the call has failed. */
span_entry *the_span(call *c, const char *field);

/* A reference to what an id stands for: a span or a received context; NULL: nothing. */
sonde_context *context_of_id(uint64_t id);

/* A reference to what these headers, an array of [name, value], carry; NULL: nothing. */
sonde_context *context_of_headers(const json_node *headers);

typedef void (*header_taker)(void *user, sonde_str name, sonde_str value);
void inject_into(const sonde_context *context, header_taker take, void *user);

/* Sets a tag; a null removes it, except manual.keep and manual.drop, which it sets. */
void set_tag(call *c, sonde_span *span, sonde_str key, const json_node *value);

void add_link(call *c, sonde_span *span, sonde_context *to, const json_node *attributes);

/* Gives an OpenTelemetry span its name, as far as it is known. */
void otel_name_span(const span_entry *e);

/* Starts the span and answers with its ids; NULL: the call has failed. */
span_entry *start_span(call *c, const char *name, sonde_span_options *options);

#endif /* SONDE_PARAMETRIC_ENDPOINTS_H */
