/* ring_sig.c - records one behind the other, a multiple of eight bytes each.
 *
 * head and tail only grow (and wrap); a record that would not fit before the end of the memory begins at its start, and
 * a record of kind 0 fills what is left.  */
#include "ring.h"

#include <stddef.h>

static void copy(uint64_t *to, const uint64_t *from, size_t words)
{
    size_t i;

    for (i = 0; i < words; i++)
        to[i] = from[i];
}

static sonde_prof__sample *at(const sonde_prof__ring *r, uint32_t position)
{
    return (sonde_prof__sample *)(void *)(r->data + (position & (r->size - 1)));
}

/* Bytes to the end of the memory from that position. */
static uint32_t left_from(const sonde_prof__ring *r, uint32_t position)
{
    return r->size - (position & (r->size - 1));
}

static bool lose(sonde_prof__ring *r, const sonde_prof__sample *s)
{
    atomic_fetch_add_explicit(&r->lost[s->kind], s->events, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->lost_value[s->kind], (uint64_t)sonde_prof__worth(s),
                              memory_order_relaxed);
    return false;
}

bool sonde_prof__ring_put(sonde_prof__ring *r, const sonde_prof__sample *sample,
                          const uint64_t *frames)
{
    uint32_t bytes = (uint32_t)(sizeof(*sample) + sample->depth * sizeof(*frames));
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    /* pairs with ring_pop() */
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    uint32_t left, skipped;

    if (!r->data)
        return lose(r, sample);
    left = left_from(r, head);
    skipped = left < bytes ? left : 0;
    if (r->size - (head - tail) < skipped + bytes)
        return lose(r, sample);
    if (skipped) {
        at(r, head)->bytes = skipped; /* there are eight bytes at least */
        at(r, head)->kind = 0;
    }
    copy((uint64_t *)(void *)at(r, head + skipped), (const uint64_t *)(const void *)sample,
         sizeof(*sample) / sizeof(uint64_t));
    at(r, head + skipped)->bytes = bytes;
    copy(at(r, head + skipped)->frames, frames, sample->depth);
    /* pairs with ring_peek() */
    atomic_store_explicit(&r->head, head + skipped + bytes, memory_order_release);
    return true;
}

bool sonde_prof__ring_is_filling(const sonde_prof__ring *r)
{
    uint32_t used = atomic_load_explicit(&r->head, memory_order_relaxed) -
                    atomic_load_explicit(&r->tail, memory_order_relaxed);

    return used > r->size - r->size / 4;
}

const sonde_prof__sample *sonde_prof__ring_peek(sonde_prof__ring *r)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    /* pairs with ring_put() */
    uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);

    if (head != tail && at(r, tail)->kind == 0) {
        tail += at(r, tail)->bytes;
        /* pairs with ring_put() */
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
    return head == tail ? NULL : at(r, tail);
}

void sonde_prof__ring_pop(sonde_prof__ring *r)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    /* pairs with ring_put() */
    atomic_store_explicit(&r->tail, tail + at(r, tail)->bytes, memory_order_release);
}
