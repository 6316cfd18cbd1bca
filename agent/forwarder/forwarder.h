/* agent/forwarder/forwarder.h - finished bodies to one or several intakes, whatever happens on the way.
 *
 * forwarder_push() has the shape of upload_sink.push.  Every endpoint gets every body and has its own
 * queue, pause, folder on disk and counters (endpoint.h).
 *
 * Threads   "agent-forward" picks what to send next; libcurl's thread "agent-curl" carries it and
 *           reports back.  push and counters: all threads.  One mutex (rank SONDE_RANK_ROOM).
 * Bounds    limits.h, per endpoint.
 * Source    docs/spec/writers.md, "Sending"
 */
#ifndef SONDE_AGENT_FORWARDER_FORWARDER_H
#define SONDE_AGENT_FORWARDER_FORWARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/sink.h"
#include "codec/json_write.h"
#include "net/egress.h"
#include "sonde/status.h"

#include "endpoint.h"
#include "ledger.h"
#include "limits.h"

typedef struct forwarder forwarder;

typedef struct forwarder_endpoint {
    sonde_str url; /* http://host[:port][/prefix] or https://...; copied */
    sonde_str api_key;
} forwarder_endpoint;

typedef struct forwarder_options {
    const forwarder_endpoint *endpoints; /* at most FORWARDER_ENDPOINTS_MAX */
    size_t endpoints_len;                /* 0: everything is taken and dropped as refused */
    const char *user_agent;              /* borrowed during open */
    sonde_egress egress;                 /* the same */
    uint64_t connection_reset_ns;        /* age at which a connection is given up; 0: never */
    size_t memory_bytes; /* per endpoint; 0, here and below: the value of limits.h */
    uint64_t max_age_ns;
    uint64_t timeout_ns;
    uint64_t backoff_base_ns;
    uint64_t backoff_max_ns;
    unsigned requests;
    uint32_t max_attempts;    /* 0: no limit */
    const char *storage_path; /* NULL: memory only; unusable: the same, with a warning */
    uint64_t disk_bytes;      /* per endpoint; 0: memory only */
    uint64_t stale_ns;        /* age of files of endpoints that are no more; 0: they stay */
    double disk_ratio;        /* of the file system that may be full; 0: all */
    double spill_ratio; /* of memory_bytes that may wait before it goes to disk; 0: limits.h */
} forwarder_options;

SONDE_MUST_USE sonde_status forwarder_open(const forwarder_options *options,
                                           forwarder **out_forwarder, sonde_error *out_error);

/* Goes on sending until everything is delivered or the deadline; the rest goes to disk, or is dropped as
 * `shutdown`.  Pushes are refused from the call on.  The object stays for its counters. */
void forwarder_stop(forwarder *f, uint64_t deadline_mono_ns);
void forwarder_close(forwarder *f); /* stops at once if it was not stopped; NULL does nothing */

/* SONDE_ERR_CLOSED once stopped, SONDE_ERR_NOMEM; else the body is taken and counted. */
SONDE_MUST_USE sonde_status forwarder_push(void *forwarder, upload *u);

/* Of one endpoint, in the order of the options; false beyond the last. */
bool forwarder_read_counters(forwarder *f, size_t endpoint, endpoint_counters *out);

/* Adds spans to the row of the stages before (LEDGER_PIPELINE); cheap, any thread. */
void forwarder_note(forwarder *f, ledger_column column, uint64_t spans);

/* Rows of the status document: an array of endpoints; what the stages before have had over all lives. */
void forwarder_write_json(void *forwarder, sonde_json_writer *w);
void forwarder_write_ledger_json(void *forwarder, sonde_json_writer *w);

#endif /* SONDE_AGENT_FORWARDER_FORWARDER_H */
