/* agent/otlp/otlp.h - traces as OpenTelemetry sends them: OTLP over HTTP and over gRPC.
 *
 * A request is decoded on the thread it came in on, mapped to payloads, one for each resource, and
 * handed to the sink.  The answer comes before processing.  A request is accepted whole, refused whole,
 * or, when the sink had room for some of its resources only, accepted with the number of spans that
 * were not (partial success), so that nobody sends again what was taken.
 *
 * Threads   "agent-otlp-0" ... for HTTP, "agent-grpc" for gRPC; they call sink.push(), which must not
 *           block.
 * Bounds    HTTP: config->max_payload_bytes a body, as sent and unpacked; gRPC: limits.h; together
 *           budget_bytes of bodies kept by payloads.
 * Counters  otlp_counters; requests: received = accepted + dropped(reason); spans: decoded = accepted +
 *           rejected.
 * Source    docs/spec/otlp.md.
 */
#ifndef SONDE_AGENT_OTLP_OTLP_H
#define SONDE_AGENT_OTLP_OTLP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/origin/origin.h"
#include "agent/payload/sink.h"
#include "codec/json_write.h"
#include "sonde/status.h"

typedef struct otlp otlp;

/* Why a request was not taken.  "Refused" ones were well formed: the agent was busy. */
/* clang-format off */
#define OTLP_REASON_MAP(X)                                                              \
    X(REFUSED_BUDGET,  "refused_budget")  /* bodies kept are at their ceiling */        \
    X(REFUSED_QUEUE,   "refused_queue")   /* the workers' queue is full */              \
    X(REFUSED_CLOSING, "refused_closing") /* the agent is shutting down */              \
    X(TOO_BIG,         "payload_too_large")                                             \
    X(DECODED_TOO_BIG, "decoded_too_big") /* would need too much memory */              \
    X(EOF,             "unexpected_eof")                                                \
    X(TIMEOUT,         "timeout")                                                       \
    X(DECODE,          "decoding_error")                                                \
    X(MEDIA_TYPE,      "media_type")                                                    \
    X(ENCODING,        "content_encoding")                                              \
    X(NO_MEMORY,       "no_memory")
/* clang-format on */

typedef enum otlp_reason {
#define X(name, text) OTLP_##name,
    OTLP_REASON_MAP(X)
#undef X
        OTLP_REASONS
} otlp_reason;

typedef struct otlp_counters {
    _Atomic uint64_t requests_received;
    _Atomic uint64_t requests_accepted; /* whole or in part, or empty */
    _Atomic uint64_t requests_dropped[OTLP_REASONS];
    _Atomic uint64_t requests_partial; /* of the accepted ones */
    _Atomic uint64_t bytes_received;   /* unpacked bodies of accepted requests */
    _Atomic uint64_t payloads;         /* handed on */
    _Atomic uint64_t spans_decoded;    /* in requests that decoded */
    _Atomic uint64_t traces_accepted;  /* handed on, as parts of them are seen in one request */
    _Atomic uint64_t spans_accepted;   /* the same */
    _Atomic uint64_t spans_rejected;   /* the sink had no room; the client was told */
    _Atomic uint64_t strings_repaired; /* invalid UTF-8 */
    _Atomic uint64_t tags_cut;         /* beyond a ceiling */
    _Atomic uint64_t held_bytes;       /* gauge: bodies kept by payloads, but those HTTP counts */
} otlp_counters;

typedef struct otlp_options {
    agent_config *config; /* a reference is taken */
    payload_sink sink;    /* SONDE_ERR_FULL: refused; SONDE_ERR_CLOSED: closing */
    size_t budget_bytes;  /* 0: an eighth of config->memory_limit_bytes, one body at least */
    const origin *origin; /* knows the tags of containers; borrowed, NULL: nobody does */
} otlp_options;

/* Opens the listeners the configuration names and serves at once; *out_otlp is NULL when it names none.
 * An endpoint that cannot be listened on is an error. */
SONDE_MUST_USE sonde_status otlp_open(const otlp_options *options, otlp **out_otlp,
                                      sonde_error *out_error);

/* From now on every request is refused (REFUSED_CLOSING).  NULL is fine. */
void otlp_stop(otlp *o);

/* Stops accepting and takes what is in flight until the deadline; then every request is refused.  NULL is
 * fine. */
void otlp_drain(otlp *o, uint64_t deadline_mono_ns);

/* The same, then closes.  NULL is fine.  Payloads that
 * were handed to the sink live on. */
void otlp_close(otlp *o, uint64_t deadline_mono_ns);

uint16_t otlp_http_port(const otlp *o); /* 0: not listening */
uint16_t otlp_grpc_port(const otlp *o);
const otlp_counters *otlp_read_counters(const otlp *o);
void otlp_write_json(void *otlp, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_OTLP_OTLP_H */
