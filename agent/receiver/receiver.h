/* agent/receiver/receiver.h - listeners, trace endpoints, decoding, answers.
 *
 * A request is admitted by bytes before its body is read, decoded on the server's threads, handed to
 * the sink and answered with the current rates.  The answer comes before processing: acceptance never
 * means "kept".  What cannot be taken is refused as the protocol says and counted by reason; what only finds the
 * queue full waits for config->decoder_timeout_ns first.
 *
 * Threads   "agent-recv-0" ...: config->decoders of them, and "agent-recv-wait" (waiting.h); they call
 *           sink.push(), which must not block.
 * Bounds    config->max_payload_bytes a body, body_budget_bytes for all bodies until their payloads are
 *           freed, config->max_connections per listener; decoded sizes: agent/payload/limits.h.
 * Counters  receiver_counters; payloads: received = accepted + dropped(reason) + waiting.
 * Source    docs/spec/receiver.md.
 */
#ifndef SONDE_AGENT_RECEIVER_RECEIVER_H
#define SONDE_AGENT_RECEIVER_RECEIVER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/origin/origin.h"
#include "agent/payload/rates.h"
#include "agent/payload/sink.h"
#include "agent/payload/source.h"
#include "codec/json_write.h"
#include "net/server/http_server.h"
#include "sonde/status.h"

typedef struct receiver receiver;

/* Why a trace request was not taken.  "Refused" ones were well formed: the agent was busy. */
/* clang-format off */
#define RECEIVER_REASON_MAP(X)                                                          \
    X(REFUSED_BUDGET,  "refused_budget")  /* bodies in flight at their ceiling */       \
    X(REFUSED_QUEUE,   "refused_queue")   /* the workers' queue is full */              \
    X(REFUSED_CLOSING, "refused_closing") /* the agent is shutting down */              \
    X(TOO_BIG,         "payload_too_large") /* 413 */                                   \
    X(DECODED_TOO_BIG, "decoded_too_big") /* 413: would need too much memory */         \
    X(EOF,             "unexpected_eof")                                                \
    X(TIMEOUT,         "timeout")                                                       \
    X(DECODE,          "decoding_error")                                                \
    X(MEDIA_TYPE,      "media_type")      /* 415 */                                     \
    X(CROSS_SITE,      "cross_site")      /* 403 */                                     \
    X(NO_MEMORY,       "no_memory")
/* clang-format on */

typedef enum receiver_reason {
#define X(name, text) RECEIVER_##name,
    RECEIVER_REASON_MAP(X)
#undef X
        RECEIVER_REASONS
} receiver_reason;

typedef struct receiver_counters {
    _Atomic uint64_t payloads_received; /* trace and stats requests that reached a handler */
    _Atomic uint64_t payloads_accepted; /* handed to the sink, or empty */
    _Atomic uint64_t payloads_dropped[RECEIVER_REASONS];
    _Atomic uint64_t traces_dropped[RECEIVER_REASONS]; /* by X-Datadog-Trace-Count, or decoded */
    _Atomic uint64_t payloads_cut; /* of payloads_accepted: too large, their beginning taken */
    _Atomic uint64_t largest_payload_bytes;   /* gauge: of all that came, refused ones too */
    _Atomic uint64_t bytes_received;          /* bodies of accepted payloads */
    _Atomic uint64_t traces_received;         /* chunks handed on */
    _Atomic uint64_t spans_received;          /* spans handed on */
    _Atomic uint64_t stats_payloads_received; /* of payloads_accepted */
    _Atomic uint64_t stats_groups_received;
    _Atomic uint64_t stats_buckets_received;
    _Atomic uint64_t stats_bytes_received;
    _Atomic uint64_t stats_rejected_decode; /* of payloads_dropped, as the next */
    _Atomic uint64_t stats_rejected_timeout;
    _Atomic uint64_t strings_repaired; /* invalid UTF-8 */
    _Atomic uint64_t tags_cut;         /* beyond SPAN_ENTRIES_MAX */
    _Atomic uint64_t nil_spans;        /* dropped while decoding */
    _Atomic uint64_t client_dropped_p0_traces;
    _Atomic uint64_t client_dropped_p0_spans;
    _Atomic uint64_t config_requests; /* /v0.7/config, answered with {} */
} receiver_counters;

typedef struct receiver_options {
    agent_config *config;     /* a reference is taken */
    payload_sink sink;        /* SONDE_ERR_FULL: not now; CLOSED: closing; NOMEM: memory is short */
    rates_cell *rates;        /* borrowed */
    payload_sources *sources; /* borrowed; NULL: tracers are not told apart */
    timings *timings;         /* borrowed; NULL: nothing is measured */
    origin *origin;           /* borrowed; NULL: only what heads state */
    const char *agent_version; /* static */
    const char *agent_state;   /* 64 hex digits of /info (info_state()); outlives the receiver */
    size_t body_budget_bytes;  /* 0: a quarter of config->memory_limit_bytes,
                                      one body of the largest size at least */
    bool (*has_room)(void *user, size_t bytes); /* of http_server_options; NULL: always */
    void *has_room_user;
    const http_route *more_routes; /* rows of other rooms (/info, status, proxies); copied */
    size_t more_routes_len;
} receiver_options;

/* Opens the listeners and serves at once.  A TCP port that cannot be bound is an error; a Unix socket
 * that cannot be is one log line, and serving goes on without it. */
SONDE_MUST_USE sonde_status receiver_open(const receiver_options *options, receiver **out_receiver,
                                          sonde_error *out_error);

/* Stops accepting and takes what is in flight until the deadline; then every trace request is refused. */
void receiver_drain(receiver *r, uint64_t deadline_mono_ns);

/* The same, then closes.  NULL is fine.  Payloads that
 * were handed to the sink live on. */
void receiver_close(receiver *r, uint64_t deadline_mono_ns);

/* From now on every trace request is refused (REFUSED_CLOSING) as the protocol says. */
void receiver_stop(receiver *r);

uint16_t receiver_port(const receiver *r);         /* of the TCP listener; 0: none */
sonde_str receiver_socket_path(const receiver *r); /* empty: none */
const receiver_counters *receiver_read_counters(const receiver *r);
void receiver_write_json(void *receiver, sonde_json_writer *w); /* an info_source row: one object */

/* What /info lists of this room, in the order of the protocol. */
extern const char *const receiver_listed_endpoints[];
extern const size_t receiver_listed_endpoints_len;

#endif /* SONDE_AGENT_RECEIVER_RECEIVER_H */
