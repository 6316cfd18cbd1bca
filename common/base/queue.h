/* base/queue.h - bounded first-in first-out hand-over between threads, in items and bytes.
 *
 * Threads   any number of producers and consumers; one mutex (rank SONDE_RANK_QUEUE).
 * Failure   push: SONDE_ERR_FULL (both ceilings refuse the newest), SONDE_ERR_TOO_BIG (item alone above
 *           max_bytes), SONDE_ERR_CLOSED.  The queue owns the item on SONDE_OK only.
 * Bounds    accepted == popped + len at any time; refusals are counted by reason.
 */
#ifndef SONDE_BASE_QUEUE_H
#define SONDE_BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mutex.h"
#include "sonde/status.h"

typedef struct sonde_queue_item {
    void *ptr;
    size_t bytes;
} sonde_queue_item;

typedef struct sonde_queue_stats {
    uint64_t accepted;
    uint64_t popped;
    uint64_t refused_full;
    uint64_t refused_too_big;
    uint64_t refused_closed;
    size_t len;
    size_t bytes;
} sonde_queue_stats;

typedef struct sonde_queue {
    sonde_mutex mu;
    pthread_cond_t not_empty; /* monotonic clock */
    pthread_cond_t not_full;
    sonde_queue_item *items; /* ring of max_items */
    size_t head;             /* all below guarded by mu */
    size_t max_items;
    size_t max_bytes;
    bool closed;
    sonde_queue_stats stats;
} sonde_queue;

SONDE_MUST_USE sonde_status sonde_queue_init(sonde_queue *q, size_t max_items, size_t max_bytes);
void sonde_queue_done(sonde_queue *q); /* must be empty */

SONDE_MUST_USE sonde_status sonde_queue_push(sonde_queue *q, void *item, size_t bytes);

/* Waits for room until the deadline (sonde_mono_ns clock); SONDE_ERR_TIMEOUT then, counted as full. */
SONDE_MUST_USE sonde_status sonde_queue_push_wait(sonde_queue *q, void *item, size_t bytes,
                                                  uint64_t deadline_mono_ns);

/* Takes the oldest item, waiting until the deadline (0: do not wait, UINT64_MAX: for ever).
 * SONDE_ERR_TIMEOUT: nothing came; SONDE_ERR_CLOSED: closed and empty. */
SONDE_MUST_USE sonde_status sonde_queue_pop(sonde_queue *q, uint64_t deadline_mono_ns,
                                            void **out_item, size_t *out_bytes);

/* Refuses pushes from now on and wakes all waiters; what is queued stays. */
void sonde_queue_close(sonde_queue *q);
sonde_queue_stats sonde_queue_read_stats(sonde_queue *q);

#endif /* SONDE_BASE_QUEUE_H */
