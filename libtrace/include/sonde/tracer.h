/* sonde/tracer.h - the life of the process's tracer.
 *
 *   sonde_start(NULL);      reads DD_SERVICE, DD_ENV, DD_TRACE_AGENT_URL, ...
 *   ...                     spans, from any thread
 *   sonde_stop();           sends what is finished, with a deadline
 *
 * Before sonde_start(), after sonde_stop() and with DD_TRACE_ENABLED=false every call of the API is
 * allowed, does nothing and costs about a nanosecond.  A process that ends through exit() without
 * sonde_stop() sends what is finished as well, within the same deadline.
 *
 * Threads   all.  start, stop and flush may meet; they wait for each other.
 * Failure   tracing never fails the traced program: a value that cannot be used costs one log line and
 *           is replaced by its default; losses are counted, see <sonde/counters.h>.
 * Memory    spans, the queue, payloads, statistics and what threads need stay together below one ceiling
 *           (memory_bytes); beyond it spans are dropped and counted.  What does not grow with the load lies
 *           beside it, each part with its own ceiling: the configuration, what telemetry, remote configuration
 *           and flares hold, the black box (8.4 MB), a statsd client.  docs/spec/memory.md lists them.
 * Fork      the child traces on by itself: own runtime id, own queue, own thread on first use.  What the
 *           parent had finished or open is the parent's to send.
 * Source    docs/spec/spans.md, docs/spec/agent-http.md
 */
#ifndef SONDE_TRACER_H
#define SONDE_TRACER_H

#if defined(SONDE_DISABLE) && !defined(SONDE_SONDE_H)
#    error "with SONDE_DISABLE include <sonde/sonde.h> first"
#endif

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What sonde_start() may be told by the program.  Zero-initialise: every field then means "from the
 * environment, else the default".  A field that is set wins over the environment. */
typedef struct sonde_options {
    uint32_t struct_bytes; /* sizeof(sonde_options); 0: all fields of this header */
    int32_t enabled;       /* 1 on, -1 off; default: DD_TRACE_ENABLED, else on */
    const char *service;   /* default: DD_SERVICE, else the name of the executable */
    const char *env;       /* default: DD_ENV, else none */
    const char *version;   /* default: DD_VERSION, else none */
    const char *tags;      /* "key:value,key:value" for every span; default: DD_TAGS */
    /* "http://host:port" or "unix:///path"; default: DD_TRACE_AGENT_URL, ... */
    const char *agent_url;
    uint64_t memory_bytes;      /* ceiling, see above; default: SONDE_TRACE_MEMORY, else 16 MiB */
    uint32_t flush_interval_ms; /* longest wait of a finished trace; default: 2000 */
    uint32_t stop_timeout_ms;   /* deadline of sonde_stop() and of exit(); default: 2000 */
    const char *language;       /* for a library of another language that is built on this one: what
                                   the agent is told; default: "c" */
    const char *tracer_version; /* the same: of that library; default: SONDE_VERSION */
} sonde_options;

/* Starts the process's tracer, and a thread of our own that tells the agent so and asks it for settings.  With
 * DD_INSTRUMENTATION_TELEMETRY_ENABLED, DD_REMOTE_CONFIGURATION_ENABLED and, where the agent is behind a Unix
 * socket, SONDE_BLACKBOX all false, that thread and the network wait for the first finished trace (or for
 * sonde_wait_for_agent(), or a statsd client).  Only with DD_TRACE_ORG_GUARD_ENABLED does the call itself wait,
 * up to a second, for what the agent says.
 *
 * options   may be NULL.
 * Returns   SONDE_OK, also when tracing is switched off by configuration; SONDE_ERR_STATE when it was
 *           started already, or the last life's thread still looks up the agent's name;
 *           SONDE_ERR_NOMEM.  The program need not look: after a failure the API is
 *           inert. */
SONDE_API sonde_status sonde_start(const sonde_options *options);

/* Hands what is finished to the agent, statistics with it, and waits until it was delivered or dropped.
 * Spans still open are not touched.
 *
 * Returns   SONDE_OK; SONDE_ERR_TIMEOUT after `timeout_ms`; SONDE_ERR_STATE when not started. */
SONDE_API sonde_status sonde_flush(uint32_t timeout_ms);

/* Hands the statistics computed here (DD_TRACE_STATS_COMPUTATION_ENABLED) to the agent, those of the ten
 * seconds that are running included, and waits as sonde_flush() does.  What was finished before is counted in
 * them; traces are sent at their own time.  Without statistics there is no request. */
SONDE_API sonde_status sonde_flush_stats(uint32_t timeout_ms);

/* Waits until the agent has told what it can do (its /info), and begins to ask for it if nothing has
 * happened yet.  Until it is known traces are sent in the form every agent takes; a program that cares
 * for its very first ones calls this after sonde_start().
 *
 * Returns   SONDE_OK, also for an agent too old to tell; SONDE_ERR_TIMEOUT after `timeout_ms`;
 *           SONDE_ERR_STATE when not started, or stopped meanwhile. */
SONDE_API sonde_status sonde_wait_for_agent(uint32_t timeout_ms);

/* sonde_flush() within stop_timeout_ms, then ends the tracer's thread.  Afterwards the API is inert:
 * spans still open are dropped when they finish (reason `stopped`).  sonde_start() may follow. */
SONDE_API void sonde_stop(void);

/* 1 while spans are recorded, else 0. */
SONDE_API int sonde_enabled(void);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_TRACER_H */
