/* dashboards/intake/intake.h - the routes agents send to.
 *
 * A payload is inflated and decoded on the server's thread, queued in the store, and its request is
 * answered when the store has committed it.  What we do not understand is answered 202 and counted,
 * because an agent would keep anything else and send it again.
 *
 * Threads   handlers run on the server's threads; answers come from the store's writer.
 * Bounds    INTAKE_BODY_MAX_BYTES inflated (413), the store's queue (503), DECODERS_KEPT idle decoders.
 * Source    docs/spec/intake.md.
 */
#ifndef SONDE_DASHBOARDS_INTAKE_INTAKE_H
#define SONDE_DASHBOARDS_INTAKE_INTAKE_H

#include <stdatomic.h>

#include "dashboards/intake/decode_profile.h"
#include "dashboards/store/store.h"
#include "net/server/http_server.h"

#define INTAKE_BODY_MAX_BYTES (64u * 1024 * 1024)

typedef struct intake intake;

/* clang-format off */
#define INTAKE_DROP_MAP(X)                                                             \
    X(FORBIDDEN, "forbidden")     /* 403: no or unknown API key */                     \
    X(ENCODING,  "encoding")      /* 415 */                                            \
    X(TOO_BIG,   "too_big")       /* 413 after inflating, or above the queue */        \
    X(MALFORMED, "malformed")     /* 400 */                                            \
    X(BUSY,      "busy")          /* 503: queue full, agents send it again */          \
    X(NO_MEMORY, "no_memory")     /* 503 */
/* clang-format on */

typedef enum intake_drop {
#define X(name, text) INTAKE_DROP_##name,
    INTAKE_DROP_MAP(X)
#undef X
        INTAKE_DROPS
} intake_drop;

typedef struct intake_counters {
    _Atomic uint64_t trace_payloads; /* decoded and queued */
    _Atomic uint64_t stats_payloads;
    _Atomic uint64_t chunks;
    _Atomic uint64_t spans; /* spans_too_big included */
    _Atomic uint64_t stats_groups;
    _Atomic uint64_t spans_too_big;
    _Atomic uint64_t profile_payloads;
    _Atomic uint64_t attachments; /* of profile payloads: profiles + skipped_attachments */
    _Atomic uint64_t profiles;    /* queued */
    _Atomic uint64_t skipped_attachments[PROFILE_SKIPS];
    _Atomic uint64_t dropped_payloads[INTAKE_DROPS];
    _Atomic uint64_t ignored_requests;
} intake_counters;

extern const char *const intake_drop_names[INTAKE_DROPS];

/* api_keys: comma list, borrowed; NULL: any that is not empty. */
SONDE_MUST_USE sonde_status intake_open(store *s, const char *api_keys, intake **out_intake);
void intake_close(intake *in); /* after the server and the store; NULL is fine */

const intake_counters *intake_read_counters(const intake *in);

/* Its rows of the server's table, with `user` set; INTAKE_ROUTES of them. */
#define INTAKE_ROUTES 7
void intake_routes(intake *in, http_route out_routes[INTAKE_ROUTES]);

/* For requests no route knows: POST and PUT are answered 202 and counted. */
void intake_ignore(intake *in, http_response *response);

#endif /* SONDE_DASHBOARDS_INTAKE_INTAKE_H */
