/* agent/forwarder/endpoint.h - one intake: what waits for it, what is on its way, when to try again.
 *
 *         push                 next                     done(SENT)
 *   ───────────▶  waiting  ───────────▶  in flight  ───────────────▶  delivered
 *                  │   ▲                  │   │
 *                  │   └──── done(RETRY) ─┘   └ done(REFUSED) ▶ dropped(refused)
 *                  └ budget, expired, shutdown ▶ dropped
 *
 * A failure pauses the whole endpoint (full jitter, growing); while it is failing one request at a time
 * probes it.
 *
 * Threads   none: forwarder.c guards it.  Time and randomness are arguments.
 * Invariant accepted == delivered + dropped(by reason) + queued, in payloads, items, chunks
 *           and bytes.
 */
#ifndef SONDE_AGENT_FORWARDER_ENDPOINT_H
#define SONDE_AGENT_FORWARDER_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/sink.h"
#include "base/backoff.h"
#include "net/url.h"

#include "delivery.h"
#include "outcome.h"
#include "queue.h"

/* clang-format off */
#define FORWARDER_DROP_MAP(X)                                                       \
    X(BUDGET,   "budget")   /* the oldest, to make room within the byte ceiling */  \
    X(TOO_BIG,  "too_big")  /* alone above the byte ceiling */                      \
    X(EXPIRED,  "expired")  /* older than the maximum age */                        \
    X(REFUSED,  "refused")  /* the intake said it will never take it */             \
    X(RETRIES,  "retries")  /* apm_config.max_sender_retries attempts */            \
    X(SHUTDOWN, "shutdown") /* still waiting at the deadline of the stop */         \
    X(NO_MEMORY, "no_memory")
/* clang-format on */

typedef enum forwarder_drop {
#define X(name, text) FORWARDER_DROP_##name,
    FORWARDER_DROP_MAP(X)
#undef X
        FORWARDER_DROPS
} forwarder_drop;

extern const char *const forwarder_drop_names[FORWARDER_DROPS];

typedef struct tally {
    uint64_t payloads;
    uint64_t items;  /* spans or groups */
    uint64_t chunks; /* of traces */
    uint64_t bytes;  /* of bodies as sent */
} tally;

typedef struct endpoint_counters {
    tally accepted[UPLOAD_KINDS];
    tally delivered[UPLOAD_KINDS];
    tally dropped[FORWARDER_DROPS][UPLOAD_KINDS];
    tally queued[UPLOAD_KINDS]; /* gauge: waiting and in flight */
    uint64_t attempts;
    uint64_t retries;          /* attempts that are to be repeated */
    unsigned last_http_status; /* 0: the last attempt got no answer */
} endpoint_counters;

typedef struct endpoint_limits {
    size_t memory_bytes;
    uint64_t max_age_ns;
    unsigned requests;     /* in flight */
    uint32_t max_attempts; /* 0: as long as age and bytes allow */
} endpoint_limits;

typedef struct endpoint {
    char url[SONDE_URL_HOST_MAX + SONDE_URL_PATH_MAX + 24]; /* without trailing '/' */
    char api_key[128];                                      /* secret */
    endpoint_limits limits;
    delivery_queue waiting;
    size_t in_flight;
    size_t in_flight_bytes;
    sonde_backoff backoff;
    uint64_t next_try_mono_ns; /* 0: now */
    uint64_t sequence;
    endpoint_counters counters;
} endpoint;

/* Takes over `d` in every case: queued, or dropped and counted. */
void endpoint_push(endpoint *e, delivery *d, uint64_t now_mono_ns);

/* Counts a body for which there was no memory. */
void endpoint_lose(endpoint *e, const upload *u);

/* The next delivery to send now, NULL when there is none; then *out_wake_mono_ns is when to ask again
 * (UINT64_MAX: after the next push or done). */
delivery *endpoint_next(endpoint *e, uint64_t now_mono_ns, uint64_t *out_wake_mono_ns);

/* The end of an attempt; takes `d` back.  `random` is uniform over 64 bits. */
void endpoint_done(endpoint *e, delivery *d, outcome what, unsigned http_status,
                   uint64_t now_mono_ns, uint64_t random);

bool endpoint_is_idle(const endpoint *e);    /* nothing waits, nothing is in flight */
bool endpoint_is_failing(const endpoint *e); /* the last attempt failed */

/* Drops what waits, with the reason shutdown. */
void endpoint_abandon(endpoint *e);

#endif /* SONDE_AGENT_FORWARDER_ENDPOINT_H */
