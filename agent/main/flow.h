/* agent/main/flow.h - payloads on their way through the stages, and the threads that carry them.
 *
 * Threads   flow_accept(): those of the receivers; flow_upload(): those of the writers; the rest: agent/main. */
#ifndef SONDE_AGENT_MAIN_FLOW_H
#define SONDE_AGENT_MAIN_FLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/payload/sink.h"
#include "sonde/status.h"

#include "pipeline.h"

/* Room in memory for so much more (memory.h). */
bool flow_has_room(void *pipeline, size_t bytes);

/* The receivers' sink: into the queue.  SONDE_ERR_NOMEM while memory is short: not worth waiting for. */
sonde_status flow_accept(void *pipeline, payload *what);

/* The statistics' sink: to their writer. */
sonde_status flow_push_stats(void *pipeline, const stats_payload *s);

/* The writers' sink: to the forwarder. */
sonde_status flow_upload(void *pipeline, upload *u);

/* Workers (queue to trace writer) and timers (what is due). */
SONDE_MUST_USE sonde_status flow_start(pipeline *p, sonde_error *out_error);
void flow_note_writer_drops(pipeline *p); /* in the ledger; when no timer runs */
void flow_join_workers(pipeline *p);      /* closes the queue; they empty it */
void flow_join_timers(pipeline *p);

#endif /* SONDE_AGENT_MAIN_FLOW_H */
