/* agent/proxy/proxy.h - the doors beside the trace endpoints: what tracers send through the agent and
 * the agent only passes on.
 *
 *   request ─▶ door: off? well formed? ─▶ address, headers, key per target ─▶ libcurl ─▶ intakes
 *      ▲                                                                        │
 *      └── status, a few headers and body of the first target's answer ─────────┘
 *
 * Telemetry alone is answered at once and sent in its own time (telemetry.c).  A door without a target
 * (no api_key, switched off) is not listed in /info and says so.
 *
 * Threads   handlers on the server's threads; "agent-proxy" carries the transfers and answers.
 * Bounds    limits.h; bodies stay in the server's budget until every target has answered.
 * Counters  proxy_counters of each door: received = passed_on + discarded + sum(dropped) + held.
 * Source    docs/spec/proxies.md.
 */
#ifndef SONDE_AGENT_PROXY_PROXY_H
#define SONDE_AGENT_PROXY_PROXY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/origin/origin.h"
#include "agent/payload/timing.h"
#include "agent/proxy/limits.h"
#include "base/buf.h"
#include "codec/json_write.h"
#include "net/server/http_server.h"
#include "sonde/status.h"

typedef struct proxy proxy;

/* clang-format off */
#define PROXY_DOOR_MAP(X)             \
    X(PROFILING,   "profiling")       \
    X(TELEMETRY,   "telemetry")       \
    X(PIPELINE,    "pipeline_stats")  \
    X(LINEAGE,     "openlineage")     \
    X(EVP,         "evp")             \
    X(DEBUGGER,    "debugger")        \
    X(DIAGNOSTICS, "diagnostics")     \
    X(SYMDB,       "symdb")           \
    X(STATSD,      "dogstatsd")       \
    X(FLARE,       "tracer_flare")

#define PROXY_REASON_MAP(X)                                                          \
    X(OFF,       "off")          /* switched off, or there is no key to send with */ \
    X(INVALID,   "invalid")      /* the request is not what the door takes */        \
    X(TOO_BIG,   "too_big")      /* body above the door's ceiling */                 \
    X(LOST,      "body_lost")    /* the body did not come whole */                   \
    X(BUSY,      "busy")         /* too many requests or bytes in flight */          \
    X(FAILED,    "failed")       /* the target could not be reached or hung up */    \
    X(TIMEOUT,   "timeout")      /* the target did not answer in time */             \
    X(CLOSING,   "closing")                                                          \
    X(NO_MEMORY, "no_memory")
/* clang-format on */

typedef enum proxy_door {
#define X(name, text) DOOR_##name,
    PROXY_DOOR_MAP(X)
#undef X
        PROXY_DOORS
} proxy_door;

typedef enum proxy_reason {
#define X(name, text) PROXY_##name,
    PROXY_REASON_MAP(X)
#undef X
        PROXY_REASONS
} proxy_reason;

typedef struct proxy_counters {
    _Atomic uint64_t received;  /* requests */
    _Atomic uint64_t passed_on; /* the first target answered, whatever its status */
    _Atomic uint64_t discarded; /* taken on purpose though there is nowhere to send it */
    _Atomic uint64_t dropped[PROXY_REASONS];
    _Atomic uint64_t held;          /* gauge: under way */
    _Atomic uint64_t bytes_sent;    /* bodies passed on, once however many targets */
    _Atomic uint64_t errors_4xx;    /* of passed_on: what the first target thought of it */
    _Atomic uint64_t errors_5xx;    /* of passed_on */
    _Atomic uint64_t copies_failed; /* further targets that did not take theirs */
} proxy_counters;

typedef struct proxy_options {
    agent_config *config;      /* a reference is taken */
    sonde_str agent_env;       /* normalised */
    const char *agent_version; /* static */
    origin *origin;            /* borrowed; NULL: only what heads state */
    timings *timings;          /* borrowed; NULL: nothing is measured */
    const char *local_url; /* of the intake in this process; profiles go there, too; NULL: none */
} proxy_options;

SONDE_MUST_USE sonde_status proxy_open(const proxy_options *options, proxy **out_proxy,
                                       sonde_error *out_error);

/* New requests are refused from now on; waits until the deadline, PROXY_STOP_NS at most, for what is
 * under way.  NULL is fine. */
void proxy_stop(proxy *p, uint64_t deadline_mono_ns);

/* After the server was closed.  Aborts what is still under way.  NULL is fine. */
void proxy_close(proxy *p);

/* Rows for receiver_options.more_routes; returns how many.  Doors that are off have a row, too. */
#define PROXY_ROUTES_MAX 20
size_t proxy_routes(proxy *p, http_route out[PROXY_ROUTES_MAX]);

/* Paths for /info: doors that lead somewhere. */
size_t proxy_listed(const proxy *p, const char *out[PROXY_ROUTES_MAX]);

/* Request headers that pass /evp_proxy, for /info. */
extern const char *const proxy_evp_headers[];
extern const size_t proxy_evp_headers_len;

/* Where a door leads: views that live as long as the proxy; returns how many. */
typedef struct proxy_target {
    sonde_str url, api_key;
} proxy_target;
size_t proxy_targets(const proxy *p, proxy_door door, proxy_target out[PROXY_TARGETS_MAX]);

/* Headers the agent adds to each profile. */
sonde_str proxy_via(const proxy *p);
sonde_str proxy_profile_tags(const proxy *p);

/* Telemetry of the agent's own: as if a client had posted it to the door.  SONDE_ERR_FULL; SONDE_ERR_STATE: the door leads
 * nowhere.  Empties `body` on success. */
typedef struct proxy_telemetry {
    sonde_buf *body;
    const char *request_type; /* static */
    sonde_str language;       /* empty texts are left out */
    sonde_str library_version;
    sonde_str container_id;
} proxy_telemetry;
SONDE_MUST_USE sonde_status proxy_push_telemetry(proxy *p, proxy_telemetry *t);

const proxy_counters *proxy_read_counters(const proxy *p, proxy_door door);
void proxy_write_json(void *proxy, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_PROXY_PROXY_H */
