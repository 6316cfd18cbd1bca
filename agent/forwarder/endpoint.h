/* agent/forwarder/endpoint.h - one intake: what waits for it, what is on its way, when to try again.
 *
 *         push                 next                     done(SENT)
 *   ───────────▶  waiting  ───────────▶  in flight  ───────────────▶  delivered
 *                  │ │ ▲                  │ │ ▲
 *                  │ │ └──── done(RETRY) ─┤ │ └────────── load ────────┐
 *                  │ └── spill ──▶ on disk ◀─ done(RETRY)  ────────────┘
 *                  └ budget, expired, shutdown ▶ dropped   └ disk_budget, expired, corrupt ▶ dropped
 *
 * A failure pauses the whole endpoint (full jitter, growing); while it is failing one request at a time
 * probes it.  What memory has too much of goes to disk (spool.h), oldest first.  Memory is sent before
 * disk, so that what happens now is seen now; one request in flight at a time belongs to the disk, so
 * that it empties, oldest first.
 *
 * Threads   none: forwarder.c guards it.  Time and randomness are arguments.  Files are not touched
 *           here: what is to be read, written or removed is handed out and reported back.
 * Invariant accepted + recovered == delivered + dropped(by reason) + queued, in payloads, items, chunks
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
#include "spool.h"

/* clang-format off */
#define FORWARDER_DROP_MAP(X)                                                       \
    X(BUDGET,   "budget")   /* the oldest, to make room within the byte ceiling */  \
    X(TOO_BIG,  "too_big")  /* alone above the byte ceiling */                      \
    X(EXPIRED,  "expired")  /* older than the maximum age */                        \
    X(REFUSED,  "refused")  /* the intake said it will never take it */             \
    X(RETRIES,  "retries")  /* apm_config.max_sender_retries attempts */            \
    X(SHUTDOWN, "shutdown") /* still waiting at the deadline of the stop */         \
    X(DISK_BUDGET, "disk_budget") /* the oldest on disk, to make room there */      \
    X(CORRUPT,  "corrupt")  /* read back from disk, and not what was written */     \
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
    tally recovered[UPLOAD_KINDS]; /* found on disk at the start */
    tally queued[UPLOAD_KINDS];    /* gauge: waiting, in flight and on disk */
    tally spooled[UPLOAD_KINDS];   /* gauge: of queued, what is on disk */
    uint64_t attempts;
    uint64_t retries; /* attempts that are to be repeated */
    uint64_t failures[FAILURES];
    unsigned last_http_status; /* 0: the last attempt got no answer */
} endpoint_counters;

typedef struct endpoint_limits {
    size_t memory_bytes;
    uint64_t max_age_ns;
    unsigned requests;     /* in flight */
    uint32_t max_attempts; /* 0: as long as age and bytes allow */
    size_t spill_bytes;    /* waiting in memory beyond it goes to disk */
    uint64_t spill_age_ns; /* the same for what waits longer while the endpoint fails */
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
    size_t moving_bytes; /* in memory, on its way to disk */
    spool spool;
    bool loading; /* something of the spool is being read or in flight */
    endpoint_counters counters;
} endpoint;

/* Takes over `d` in every case: queued, or dropped and counted. */
void endpoint_push(endpoint *e, delivery *d, uint64_t now_mono_ns);

/* Counts a body for which there was no memory. */
void endpoint_lose(endpoint *e, const upload *u);

/* The next delivery to send now, NULL when there is none; then *out_wake_mono_ns is when to ask again
 * (UINT64_MAX: after the next push or done). */
delivery *endpoint_next(endpoint *e, uint64_t now_mono_ns, uint64_t *out_wake_mono_ns);

/* Whether `what` is the end of `d`; then its file, if there is one, goes before endpoint_done(). */
bool endpoint_is_last(const endpoint *e, const delivery *d, outcome what);

/* The end of an attempt; takes `d` back.  `random` is uniform over 64 bits. */
void endpoint_done(endpoint *e, delivery *d, outcome what, unsigned http_status,
                   uint64_t now_mono_ns, uint64_t random);

bool endpoint_is_idle(const endpoint *e);    /* nothing waits, nothing is in flight */
bool endpoint_is_failing(const endpoint *e); /* the last attempt failed */

/* 0 to 1: of the memory, and of the requests that may be in flight. */
double endpoint_queue_filled(const endpoint *e);
double endpoint_connections_filled(const endpoint *e);

/* Drops what waits in memory, with the reason shutdown. */
void endpoint_abandon(endpoint *e);

/* ---- the disk ---- */

/* Counts what the spool held when it was opened; later sequences come behind it. */
void endpoint_recover(endpoint *e);

/* The oldest in memory when there is too much of it or it waits too long (or `all`), to be written;
 * NULL: nothing. */
delivery *endpoint_spill(endpoint *e, bool all, uint64_t now_mono_ns);

/* Before the write of `bytes`: drops the oldest on disk while more than `limit` would be there.  True: the
 * file *out_sequence is to be removed, and the question asked again. */
bool endpoint_make_room(endpoint *e, uint64_t bytes, uint64_t limit, uint64_t *out_sequence);

/* The write has ended; takes `d`: on disk now, or back in memory (then `error` is why, 0: not the disk). */
void endpoint_spilled(endpoint *e, delivery *d, bool ok, uint64_t file_bytes, int error,
                      uint64_t now_mono_ns);

/* The oldest on disk that is to be sent now and read before; false: none. */
bool endpoint_load(endpoint *e, uint64_t now_mono_ns, spool_entry *out_entry);

/* The read has ended: `d` is to be sent, or NULL and the entry stays (`keep`) or is dropped as corrupt. */
void endpoint_loaded(endpoint *e, const spool_entry *entry, delivery *d, bool keep,
                     uint64_t now_mono_ns);

/* Drops the oldest on disk when it is too old.  True: the file *out_sequence is to be removed. */
bool endpoint_expire_on_disk(endpoint *e, uint64_t now_mono_ns, uint64_t *out_sequence);

#endif /* SONDE_AGENT_FORWARDER_ENDPOINT_H */
