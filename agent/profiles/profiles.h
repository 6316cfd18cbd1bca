/* agent/profiles/profiles.h - the profiler's batches come in, a profile a minute goes out.
 *
 *   POST /sonde/profiling/v1/batch ─▶ session ─▶ window of the process ── ended ─▶ symbolize ─▶ pprof ─▶ upload_sink
 *
 * Threads   handlers on the server's threads take batches; "agent-profiles" ends windows and encodes them.  One mutex
 *           (rank SONDE_RANK_ROOM), which nothing is read, encoded or sent under.
 * Bounds    limits.h.
 * Counters  batches: received = taken + repeated + resync + sum(refused);
 *           rows:    received = uploaded + sum(dropped) + held.
 * Source    docs/spec/profile-batch.md
 */
#ifndef SONDE_AGENT_PROFILES_PROFILES_H
#define SONDE_AGENT_PROFILES_PROFILES_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/origin/origin.h"
#include "agent/payload/sink.h"
#include "codec/json_write.h"
#include "net/server/http_server.h"
#include "sonde/status.h"

typedef struct profiles profiles;

/* clang-format off */
#define PROFILES_REFUSAL_MAP(X)                                            \
    X(MALFORMED, "malformed") /* 400 */                                    \
    X(TOO_BIG,   "too_big")   /* 413 */                                    \
    X(LOST,      "body_lost") /* the body did not come whole */            \
    X(ENCODING,  "encoding")  /* 415: an unknown Content-Encoding */       \
    X(BUSY,      "busy")      /* 503: bodies in flight at their budget */  \
    X(CLOSING,   "closing")   /* 503 */                                    \
    X(NO_MEMORY, "no_memory") /* 503 */

#define PROFILES_DROP_MAP(X)                                                         \
    X(FULL,       "profile_full")   /* of a batch: a ceiling of the open profile */  \
    X(UNKNOWN,    "unknown_id")     /* of a batch: no such node */                   \
    X(CUSTOM,     "custom_types")   /* of a batch: too many sample types */          \
    X(NEGATIVE,   "negative_value") /* of a batch */                                 \
    X(WAITING,    "queue_full")     /* of a window: encoding cannot keep up */       \
    X(BIG,        "too_big")        /* of a window: after every step */              \
    X(ENCODER,    "no_memory")      /* of a window */                                \
    X(SINK,       "closed")         /* of a window: the forwarder is stopped */
/* clang-format on */

typedef enum profiles_refusal {
#define X(name, text) PROFILES_REFUSED_##name,
    PROFILES_REFUSAL_MAP(X)
#undef X
        PROFILES_REFUSALS
} profiles_refusal;

typedef enum profiles_drop { /* the first ones are those of profile_loss */
#define X(name, text) PROFILES_DROP_##name,
                             PROFILES_DROP_MAP(X)
#undef X
                                 PROFILES_DROPS
} profiles_drop;

typedef struct profiles_counters {
    uint64_t batches_received;
    uint64_t batches_taken;
    uint64_t batches_repeated; /* taken before; answered as if for the first time */
    uint64_t batches_resync;   /* 409 */
    uint64_t batches_refused[PROFILES_REFUSALS];
    uint64_t batch_bytes; /* of batches taken */
    uint64_t rows_received;
    uint64_t rows_uploaded;
    uint64_t rows_dropped[PROFILES_DROPS];
    uint64_t rows_held; /* gauge */
    uint64_t rows_clamped;
    uint64_t live_rows_dropped;
    uint64_t unknown_contexts;
    uint64_t dictionary_left_out;
    uint64_t sessions_begun;
    uint64_t sessions_evicted;
    uint64_t sessions; /* gauge, as the two below */
    uint64_t session_bytes;
    uint64_t processes;
    uint64_t profiles_uploaded;
    uint64_t profile_bytes; /* bodies of those */
    uint64_t ladder_steps;  /* detail given up to make one fit */
    uint64_t timelines_cut; /* profiles that lost times of rows */
    uint64_t encode_ns;     /* symbolizing, encoding, compressing */
} profiles_counters;

typedef struct profiles_options {
    agent_config *config;      /* a reference is taken */
    upload_sink sink;          /* takes a profile each minute and process */
    origin *origin;            /* borrowed; NULL: only what heads state */
    const char *agent_version; /* static */
    sonde_str via, tags;       /* headers of every upload; borrowed until close */
    const sonde_clock *clock;  /* NULL: the system's */
} profiles_options;

SONDE_MUST_USE sonde_status profiles_open(const profiles_options *options, profiles **out_profiles,
                                          sonde_error *out_error);

/* Batches are refused from now on; what is open is encoded and handed to the sink. */
void profiles_stop(profiles *p);
void profiles_close(profiles *p); /* stops if it was not stopped; NULL does nothing */

#define PROFILES_ROUTES 1
void profiles_routes(profiles *p, http_route out[PROFILES_ROUTES]);

#define PROFILES_PATH "/sonde/profiling/v1/batch" /* for /info */

/* Counters of the profilers themselves, for DogStatsD: "sonde.profiler.<name>:<value>|g|#service:...\n", of
 * PROFILES_STATSD_MAX processes at most. */
#define PROFILES_STATSD_MAX 256u
void profiles_to_statsd(void *profiles, void (*line)(void *to, sonde_str line), void *to);

void profiles_read_counters(profiles *p, profiles_counters *out);
void profiles_write_json(void *profiles, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_PROFILES_PROFILES_H */
