/* agent/ops/ops.h - what operators see of a running agent, and what watches over it.
 *
 *   GET /metrics        OpenMetrics          \
 *   GET /debug/vars     expvar, as Datadog's  > loopback and Unix sockets only
 *   GET /sonde/v1/log   the last lines       /
 *   every 5 s, 10 s     datadog.trace_agent.* to DogStatsD, when an address is set
 *   every check         memory: refuse, or end the process; systemd's watchdog, while payloads move
 *
 * Threads   ops_open(), ops_close() by agent/main; ops_tick() on its timers thread; pages on the server's.
 * Bounds    series.h, log_ring.h; one page 4 MiB.
 * Source    docs/spec/agent-metrics.md
 */
#ifndef SONDE_AGENT_OPS_OPS_H
#define SONDE_AGENT_OPS_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/payload/decision.h"
#include "agent/payload/rates.h"
#include "agent/payload/source.h"
#include "base/buf.h"
#include "codec/json_write.h"
#include "net/server/http_server.h"
#include "sonde/status.h"

#include "notify.h"

typedef struct ops ops;

typedef struct ops_options {
    agent_config *config; /* a reference is taken */
    const char *version;  /* static, as the next */
    const char *commit;
    rates_cell *rates;            /* borrowed */
    payload_sources *sources;     /* borrowed; NULL: none */
    timings *timings;             /* borrowed; NULL: none */
    decisions_walk each_decision; /* NULL: none */
    void *decisions_user;
    /* Gauges of another room, a line at a time; NULL: none. */
    void (*more_lines)(void *user, void (*line)(void *to, sonde_str line), void *to);
    void *more_lines_user;
    const notify *supervisor;                         /* borrowed; NULL: nobody */
    void (*write_status)(void *user, sonde_buf *out); /* the status document */
    void *status_user;
    void (*shed)(void *user, bool on); /* memory is short: refuse payloads, or take them again */
    void *shed_user;
    void (*die)(void); /* NULL: _exit(1) */
} ops_options;

/* How far the pipeline is, at one moment. */
typedef struct ops_progress {
    uint64_t taken;        /* payloads that left the queue so far */
    uint64_t waiting;      /* in it */
    uint64_t memory_bytes; /* what this process wrote to, files left out; 0: unknown */
    double cpu_user_s;
} ops_progress;

SONDE_MUST_USE sonde_status ops_open(const ops_options *options, ops **out_ops);
void ops_close(ops *o); /* NULL does nothing; the server must be closed */

/* To be called often, about twice a second. */
void ops_tick(ops *o, const ops_progress *progress, uint64_t now_mono_ns);

#define OPS_ROUTES 3
void ops_routes(ops *o, http_route out[OPS_ROUTES]);

void ops_write_json(void *ops, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_OPS_OPS_H */
