/* agent/forwarder/queue.h - what waits for an endpoint, oldest first.
 *
 * In memory; what does not fit any more leaves from the old end.  Spilling to disk belongs here: the
 * rest of the room only pushes, pops and asks for sizes.
 *
 * Threads   none: the endpoint's owner guards it.
 * Bounds    none of its own; endpoint.c keeps the sum of bytes below its ceiling.
 */
#ifndef SONDE_AGENT_FORWARDER_QUEUE_H
#define SONDE_AGENT_FORWARDER_QUEUE_H

#include <stddef.h>

#include "delivery.h"

typedef struct delivery_queue {
    delivery *oldest;
    delivery *newest;
    size_t len;
    size_t bytes; /* of bodies */
} delivery_queue;

/* At its place by sequence: usually the new end; what comes back from a failed try, the old one. */
void delivery_queue_push(delivery_queue *q, delivery *d);

const delivery *delivery_queue_peek(const delivery_queue *q); /* the oldest; NULL: empty */
delivery *delivery_queue_pop(delivery_queue *q);              /* the oldest; NULL: empty */

#endif /* SONDE_AGENT_FORWARDER_QUEUE_H */
