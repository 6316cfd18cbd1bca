/* agent/crash/crash.h - the crash socket: takes the black boxes of processes and the reports of fatal signals, and submits
 * what those that died were doing, and where.
 *
 *   accept ─▶ HELLO with the box ─▶ ACK ─▶ ... ─▶ the process ends ─▶ its open spans become a payload
 *   accept ─▶ HELLO, CRASH ────────────────────────────┘         └─▶ its report two requests of telemetry
 *
 * A process may outlive its fatal signal: then there is no report.  A process has ended when its pidfd says so.  A connection that is hung up proves nothing: a child may hold it
 * open, exec() closes it.  The payload goes where those of tracers go: it is normalised, counted and sampled
 * like any other.
 *
 * Threads   "agent-crash", which calls sink.push(); the functions here: agent/main.
 * Bounds    below; what is refused or dropped is counted by reason.
 * Source    docs/spec/black-box.md
 */
#ifndef SONDE_AGENT_CRASH_CRASH_H
#define SONDE_AGENT_CRASH_CRASH_H

#include "agent/payload/sink.h"
#include "base/buf.h"
#include "base/str.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#include "crash/names.h"

#define CRASH_CONNECTIONS_MAX    4096
#define CRASH_CONNECTIONS_OF_PID 4
#define CRASH_DEATHS_PER_MINUTE  100

/* One request of telemetry. */
typedef struct crash_request {
    sonde_buf *body; /* the taker empties it on success */
    sonde_str language;
    sonde_str library_version;
    sonde_str container_id;
} crash_request;

typedef struct crash crash;

typedef struct crash_options {
    sonde_str trace_socket; /* the crash socket stands beside it */
    payload_sink sink;
    sonde_crash_symbols symbols; /* all NULL: reports have addresses only */
    void *telemetry;
    sonde_status (*push_telemetry)(void *telemetry, crash_request *request); /* NULL: nowhere */
} crash_options;

/* SONDE_ERR_SYS and the like: no socket to be had, the message says why; the agent does without. */
SONDE_MUST_USE sonde_status crash_open(const crash_options *options, crash **out_crash,
                                       sonde_error *out_error);
void crash_stop(crash *c);  /* submits nothing any more; NULL does nothing */
void crash_close(crash *c); /* NULL does nothing */

sonde_str crash_socket_path(const crash *c);              /* "" for NULL */
void crash_write_json(void *crash, sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_CRASH_CRASH_H */
