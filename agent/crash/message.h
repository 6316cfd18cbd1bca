/* agent/crash/message.h - a report as telemetry has it: two requests of type `logs`, a ping and the report itself.
 *
 * Threads   none.
 * Bounds    MESSAGE_MAX_BYTES of a request; MESSAGE_SPANS_MAX open spans are named.
 * Source    docs/spec/crash-report.md, "To the intake" */
#ifndef SONDE_AGENT_CRASH_MESSAGE_H
#define SONDE_AGENT_CRASH_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/payload.h"
#include "base/buf.h"

#include "names.h"
#include "report.h"

#define MESSAGE_MAX_BYTES (4u << 20)
#define MESSAGE_SPANS_MAX 64u
#define MESSAGE_UUID_ROOM 37

/* A report on its way: the packet, and the objects of its stack. */
typedef struct crash_case {
    uint8_t *packet; /* owned; what `r` points into */
    report r;
    crash_symbols symbols;
    void *objects
        [REPORT_MODULES_MAX]; /* of the modules of its stack; NULL: of no frame, or not to be had */
    char uuid[MESSAGE_UUID_ROOM];
    pid_t pid; /* as the agent sees it */
} crash_case;

/* Copies the packet and opens the objects.  NULL: no memory, or not a report (`out_malformed`). */
crash_case *crash_case_new(const uint8_t *packet, size_t len, pid_t pid,
                           const crash_symbols *symbols, bool *out_malformed);
void crash_case_free(crash_case *c); /* NULL does nothing */

/* "process terminated by SIGSEGV (SEGV_MAPERR)". */
#define MESSAGE_TEXT_ROOM 96
void message_text(const report *r, char out[MESSAGE_TEXT_ROOM]);

/* The stack as people read it, a line for each frame; false: no memory. */
bool message_stack(crash_case *c, sonde_buf *out);

/* The request's body.  `process`: who it was, by its black box or else by the report; `spans`: what was open, NULL for
 * nothing.  False: no memory, or too big. */
bool message_ping(const crash_case *c, const process_block *process, sonde_buf *out);
bool message_report(crash_case *c, const process_block *process, const payload *spans,
                    sonde_buf *out);

#endif /* SONDE_AGENT_CRASH_MESSAGE_H */
