/* base/handover.h - lock-free hand-over from many threads to one: push one, take all.
 *
 * Intrusive: the item carries the link.  Pushing is one compare-exchange loop, taking is one exchange,
 * so there is no ABA problem.  take_all() returns newest first; sonde_handover_reverse() puts the list
 * in order of arrival.
 *
 * Threads   push: any; take_all: any (each item goes to exactly one taker).  Signal-safe.
 * Bounds    none of its own: the owner of the items bounds them before pushing.
 */
#ifndef SONDE_BASE_HANDOVER_H
#define SONDE_BASE_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct sonde_handover_link {
    struct sonde_handover_link *next;
} sonde_handover_link;

typedef struct sonde_handover {
    _Atomic(sonde_handover_link *) head;
} sonde_handover;

/* True when the list was empty before: the moment to wake the taker. */
static inline bool sonde_handover_push(sonde_handover *h, sonde_handover_link *item)
{
    sonde_handover_link *head = atomic_load_explicit(&h->head, memory_order_relaxed);

    do {
        item->next = head;
        /* pairs with sonde_handover_take_all() */
    } while (!atomic_compare_exchange_weak_explicit(&h->head, &head, item, memory_order_release,
                                                    memory_order_relaxed));
    return head == NULL;
}

static inline sonde_handover_link *sonde_handover_take_all(sonde_handover *h)
{
    /* pairs with sonde_handover_push() */
    return atomic_exchange_explicit(&h->head, NULL, memory_order_acquire);
}

static inline sonde_handover_link *sonde_handover_reverse(sonde_handover_link *list)
{
    sonde_handover_link *out = NULL;

    while (list) {
        sonde_handover_link *next = list->next;

        list->next = out;
        out = list;
        list = next;
    }
    return out;
}

#endif /* SONDE_BASE_HANDOVER_H */
