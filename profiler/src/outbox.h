/* outbox.h - batches that wait for the agent, and what its answers do to them.
 *
 *   window ──build──▶ batch ──push──▶ [oldest | ... | newest] ──post──▶ agent
 *                                        │ a fourth comes
 *                                        └─▶ its samples are lost, its dictionary goes to the next
 *
 * A batch has three parts: `dict`, which an agent that forgot the session gets anew and whole; `own`, contexts, endpoints
 * and unmaps, which go with it; `rest`, samples and statistics, which may be lost.
 *
 * Threads   none: the drainer.
 * Bounds    SONDE_PROF__OUTBOX_MAX batches; a body of SONDE_PROF__SPB_BODY_MAX.
 * Source    docs/spec/profile-batch.md, "Answers" */
#ifndef SONDE_PROFILER_OUTBOX_H
#define SONDE_PROFILER_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sonde/status.h"

#include "spb.h"

#define SONDE_PROF__OUTBOX_MAX      3
#define SONDE_PROF__BATCH_PARTS_MAX 64 /* records of `rest` that can be sent apart */

typedef struct sonde_prof__batch {
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    uint8_t session[SONDE_PROF__SESSION_BYTES]; /* whose ids are in it */
    uint8_t prev[SONDE_PROF__SESSION_BYTES];    /* the one before; all 0: none */
    uint64_t seq;                               /* of the session; counts once it was sent */
    bool has_seq;                               /* an attempt was made: the agent may have it */
    sonde_buf dict;
    sonde_buf own;
    sonde_buf rest;
    uint64_t events;                             /* in `rest` */
    size_t part_at[SONDE_PROF__BATCH_PARTS_MAX]; /* where its records begin */
    uint64_t part_events[SONDE_PROF__BATCH_PARTS_MAX];
    uint32_t parts;
} sonde_prof__batch;

typedef struct sonde_prof__outbox {
    sonde_prof__batch batches[SONDE_PROF__OUTBOX_MAX]; /* oldest first */
    uint32_t len;
    uint64_t sent; /* batches */
    uint64_t lost;
    uint64_t events_sent;
    uint64_t events_lost;
} sonde_prof__outbox;

void sonde_prof__batch_init(sonde_prof__batch *b);
void sonde_prof__batch_done(sonde_prof__batch *b);

/* A record of that many events begins at `at` of `rest`. */
void sonde_prof__batch_part(sonde_prof__batch *b, size_t at, uint64_t events);

void sonde_prof__outbox_init(sonde_prof__outbox *o);
void sonde_prof__outbox_done(sonde_prof__outbox *o); /* what is in it is lost, and counted */

/* Takes the batch over; `b` is empty afterwards. */
void sonde_prof__outbox_push(sonde_prof__outbox *o, sonde_prof__batch *b);

sonde_prof__batch *sonde_prof__outbox_head(sonde_prof__outbox *o); /* NULL: empty */
uint64_t sonde_prof__outbox_events(const sonde_prof__outbox *o);   /* waiting */

/* The agent took the oldest. */
void sonde_prof__outbox_sent(sonde_prof__outbox *o);

/* The agent will never take the samples of the oldest: they are lost.  Its dictionary goes to the next one of its
 * session, or waits alone in an empty batch. */
void sonde_prof__outbox_drop(sonde_prof__outbox *o);

/* The oldest is lost, with its dictionary: its session is over. */
void sonde_prof__outbox_discard(sonde_prof__outbox *o);

/* The oldest is too big.  Its second half becomes a batch of its own behind it, if it has halves and there is room;
 * else what is in it is lost.  */
void sonde_prof__outbox_halve(sonde_prof__outbox *o);

/* The oldest and those of its session belong to another one now, which counts from the start: `dict` is all there is
 * to know, and goes with the oldest. */
void sonde_prof__outbox_resync(sonde_prof__outbox *o, sonde_buf *dict,
                               const uint8_t session[SONDE_PROF__SESSION_BYTES]);

#endif /* SONDE_PROFILER_OUTBOX_H */
