/* queue.c - bounded first-in first-out hand-over between threads, in items and bytes. */
#include "base/queue.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"

sonde_status sonde_queue_init(sonde_queue *q, size_t max_items, size_t max_bytes)
{
    sonde_queue_item *items;

    if (max_items == 0)
        return SONDE_ERR_INVALID;
    items = (sonde_queue_item *)sonde_calloc(max_items, sizeof(*items));
    if (!items)
        return SONDE_ERR_NOMEM;
    *q = (sonde_queue){ .items = items, .max_items = max_items, .max_bytes = max_bytes };
    sonde_mutex_init(&q->mu, SONDE_RANK_QUEUE);
    sonde_cond_init(&q->not_empty);
    sonde_cond_init(&q->not_full);
    return SONDE_OK;
}

void sonde_queue_done(sonde_queue *q)
{
    if (!q->items)
        return;
    SONDE_ASSERT(q->stats.len == 0);
    (void)pthread_cond_destroy(&q->not_full);
    (void)pthread_cond_destroy(&q->not_empty);
    sonde_mutex_done(&q->mu);
    sonde_free(q->items);
    q->items = NULL;
}

static bool has_room_locked(const sonde_queue *q, size_t bytes)
{
    return q->stats.len < q->max_items && bytes <= q->max_bytes - q->stats.bytes;
}

static void append_locked(sonde_queue *q, void *item, size_t bytes)
{
    size_t at = (q->head + q->stats.len) % q->max_items;

    q->items[at] = (sonde_queue_item){ item, bytes };
    q->stats.len++;
    q->stats.bytes += bytes;
    q->stats.accepted++;
    (void)pthread_cond_signal(&q->not_empty);
}

/* The reason not to take `bytes` now, SONDE_OK when there is room; counts nothing. */
static sonde_status admit_locked(const sonde_queue *q, size_t bytes)
{
    if (q->closed)
        return SONDE_ERR_CLOSED;
    if (bytes > q->max_bytes)
        return SONDE_ERR_TOO_BIG;
    return has_room_locked(q, bytes) ? SONDE_OK : SONDE_ERR_FULL;
}

static void count_refusal_locked(sonde_queue *q, sonde_status why)
{
    if (why == SONDE_ERR_CLOSED)
        q->stats.refused_closed++;
    else if (why == SONDE_ERR_TOO_BIG)
        q->stats.refused_too_big++;
    else
        q->stats.refused_full++;
}

sonde_status sonde_queue_push(sonde_queue *q, void *item, size_t bytes)
{
    sonde_status status;

    sonde_mutex_lock(&q->mu);
    status = admit_locked(q, bytes);
    if (status == SONDE_OK)
        append_locked(q, item, bytes);
    else
        count_refusal_locked(q, status);
    sonde_mutex_unlock(&q->mu);
    return status;
}

sonde_status sonde_queue_push_wait(sonde_queue *q, void *item, size_t bytes,
                                   uint64_t deadline_mono_ns)
{
    sonde_status status;

    sonde_mutex_lock(&q->mu);
    while ((status = admit_locked(q, bytes)) == SONDE_ERR_FULL) {
        if (sonde_mono_ns() >= deadline_mono_ns) {
            status = SONDE_ERR_TIMEOUT;
            break;
        }
        sonde_cond_wait_until(&q->not_full, &q->mu, deadline_mono_ns);
    }
    if (status == SONDE_OK)
        append_locked(q, item, bytes);
    else
        count_refusal_locked(q, status);
    sonde_mutex_unlock(&q->mu);
    return status;
}

static void take_oldest_locked(sonde_queue *q, void **out_item, size_t *out_bytes)
{
    sonde_queue_item oldest = q->items[q->head];

    q->head = (q->head + 1) % q->max_items;
    q->stats.len--;
    q->stats.bytes -= oldest.bytes;
    q->stats.popped++;
    *out_item = oldest.ptr;
    *out_bytes = oldest.bytes;
    (void)pthread_cond_broadcast(&q->not_full); /* the room may fit any of the waiting sizes */
}

sonde_status sonde_queue_pop(sonde_queue *q, uint64_t deadline_mono_ns, void **out_item,
                             size_t *out_bytes)
{
    sonde_status status = SONDE_OK;

    sonde_mutex_lock(&q->mu);
    while (q->stats.len == 0 && status == SONDE_OK) {
        if (q->closed)
            status = SONDE_ERR_CLOSED;
        else if (sonde_mono_ns() >= deadline_mono_ns)
            status = SONDE_ERR_TIMEOUT;
        else
            sonde_cond_wait_until(&q->not_empty, &q->mu, deadline_mono_ns);
    }
    if (status == SONDE_OK)
        take_oldest_locked(q, out_item, out_bytes);
    sonde_mutex_unlock(&q->mu);
    return status;
}

void sonde_queue_close(sonde_queue *q)
{
    sonde_mutex_lock(&q->mu);
    q->closed = true;
    (void)pthread_cond_broadcast(&q->not_empty);
    (void)pthread_cond_broadcast(&q->not_full);
    sonde_mutex_unlock(&q->mu);
}

sonde_queue_stats sonde_queue_read_stats(sonde_queue *q)
{
    sonde_queue_stats stats;

    sonde_mutex_lock(&q->mu);
    stats = q->stats;
    sonde_mutex_unlock(&q->mu);
    return stats;
}
