/* agent/main/pipeline.h - the stages of the agent, connected.
 *
 *   receiver ─▶ queue ─▶ workers: processor ─▶ stats ─▶ sampler ─▶ trace writer ─┐
 *      ▲                             │                     │                     ├▶ forwarder ─▶ intakes
 *      └────────── rates ────────────│─────────────────────┘                     │
 *                                    └── every 10 s ─▶ stats writer ─────────────┘
 *
 * Statistics that tracers made take the same way as far as their stage in the processor, then the client
 * aggregator, which hands to the stats writer what is 18 to 20 s old.
 *
 * Threads   the receiver's and the forwarder's own; "agent-proc-N" take payloads from the queue;
 *           "agent-timers" flushes statistics and traces when they are due.
 * Bounds    the queue: apm_config.trace_buffer payloads and a quarter of the memory limit; a full queue
 *           refuses, and the receiver answers as the protocol says.
 */
#ifndef SONDE_AGENT_MAIN_PIPELINE_H
#define SONDE_AGENT_MAIN_PIPELINE_H

#include <stdint.h>

#include "agent/config/config.h"
#include "agent/forwarder/forwarder.h"
#include "agent/ops/notify.h"
#include "sonde/status.h"

typedef struct pipeline pipeline;

typedef struct pipeline_options {
    agent_config *config; /* a reference is taken */
    const forwarder_endpoint *endpoints;
    size_t endpoints_len;
    const char *local_url;    /* of the intake in this process; borrowed for the call; NULL: none */
    const notify *supervisor; /* borrowed; NULL: nobody */
} pipeline_options;

SONDE_MUST_USE sonde_status pipeline_open(const pipeline_options *options, pipeline **out_pipeline,
                                          sonde_error *out_error);

/* Stops from the first stage to the last, each emptied into the next: listeners, workers, statistics,
 * traces, uploads.  What is not delivered at the deadline is dropped and counted. */
void pipeline_stop(pipeline *p, uint64_t deadline_mono_ns);
void pipeline_close(pipeline *p); /* NULL does nothing; stops at once if it was not stopped */

/* Takes over what may change while running (config_key.reloads); everything else keeps the snapshot it
 * was opened with. */
void pipeline_reload(pipeline *p, agent_config *config);

uint16_t pipeline_port(const pipeline *p);         /* of the TCP listener; 0: none */
sonde_str pipeline_socket_path(const pipeline *p); /* empty: none */

/* One line's worth of sums, for the log at the end. */
typedef struct pipeline_summary {
    uint64_t payloads_accepted;
    uint64_t spans_received;
    uint64_t spans_delivered; /* to the first intake */
    uint64_t spans_dropped;   /* by the forwarder, all reasons */
} pipeline_summary;

void pipeline_summarize(pipeline *p, pipeline_summary *out);

#endif /* SONDE_AGENT_MAIN_PIPELINE_H */
