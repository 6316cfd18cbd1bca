/* agent/forwarder/delivery.h - one body on its way to one endpoint.
 *
 * Several endpoints get the same body: the bytes are shared, each has its own delivery with its own
 * state.
 *
 * Threads   a delivery has one owner at a time (queue, or in flight); the count of the shared bytes is
 *           atomic.
 */
#ifndef SONDE_AGENT_FORWARDER_DELIVERY_H
#define SONDE_AGENT_FORWARDER_DELIVERY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/sink.h"

#include "record.h"
#include "spool_entry.h"

typedef struct shared_upload {
    _Atomic uint32_t refs;
    upload what;         /* owns what.body */
    record_texts *texts; /* what the texts of `what` point into when they came from disk; or NULL */
} shared_upload;

struct endpoint;

typedef struct delivery {
    struct delivery *older, *newer; /* in a queue */
    shared_upload *upload;
    struct endpoint *endpoint; /* borrowed */
    uint64_t sequence;         /* order of arrival at this endpoint */
    uint64_t accepted_mono_ns;
    uint32_t attempts;
    spool_entry on_disk; /* on_disk.sequence 0: it is in memory only */
} delivery;

/* Takes over `u`'s body with one reference.  NULL: no memory, the body stays the caller's. */
shared_upload *shared_upload_new(const upload *u);
void shared_upload_put(shared_upload *s); /* NULL does nothing */

delivery *delivery_new(shared_upload *s); /* takes a reference of its own; NULL: no memory */
void delivery_free(delivery *d);          /* NULL does nothing */

/* A delivery from what was read back.  Takes over `body` when it returns OK; NOMEM. */
SONDE_MUST_USE sonde_status delivery_from_record(const record_facts *facts,
                                                 const record_texts *texts, uint8_t *body,
                                                 delivery **out_delivery);

#endif /* SONDE_AGENT_FORWARDER_DELIVERY_H */
