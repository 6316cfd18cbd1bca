/* crash/message.h - a report as telemetry has it: two requests of type `logs`, a ping and the report itself.
 *
 * Threads   none.
 * Bounds    SONDE_CRASH_MESSAGE_MAX_BYTES of a request; SONDE_CRASH_SPANS_MAX open spans are named.
 * Source    docs/spec/crash-report.md, "To the intake" */
#ifndef SONDE_CRASH_MESSAGE_H
#define SONDE_CRASH_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/machine.h"

#include "names.h"
#include "report.h"

#define SONDE_CRASH_MESSAGE_MAX_BYTES (4u << 20)
#define SONDE_CRASH_SPANS_MAX         64u
#define SONDE_CRASH_UUID_ROOM         37

/* A report on its way: the packet, and the objects of its stack. */
typedef struct sonde_crash_case {
    uint8_t *packet; /* owned; what `r` points into */
    sonde_crash_report r;
    sonde_crash_symbols symbols;
    /* of the modules of its stack; NULL: of no frame, or not to be had */
    void *objects[SONDE_CRASH_REPORT_MODULES_MAX];
    char uuid[SONDE_CRASH_UUID_ROOM];
    pid_t pid; /* as the agent sees it */
    sonde_machine machine;
} sonde_crash_case;

/* Copies the packet.  NULL: no memory, or not a report (`out_malformed`). */
sonde_crash_case *sonde_crash_case_new(const uint8_t *packet, size_t len, pid_t pid,
                                       const sonde_crash_symbols *symbols, bool *out_malformed);
/* Opens the objects of the stack: without, nothing has a name. */
void sonde_crash_case_open(sonde_crash_case *c);
void sonde_crash_case_free(sonde_crash_case *c); /* NULL does nothing */

/* "process terminated by SIGSEGV (SEGV_MAPERR)". */
#define SONDE_CRASH_TEXT_ROOM 96
void sonde_crash_text(const sonde_crash_report *r, char out[SONDE_CRASH_TEXT_ROOM]);

/* The stack as people read it, a line for each frame; false: no memory. */
bool sonde_crash_stack(sonde_crash_case *c, sonde_buf *out);

/* What was open; at most SONDE_CRASH_SPANS_MAX of each are of use. */
typedef struct sonde_crash_id {
    uint64_t high; /* of a trace */
    uint64_t low;
    sonde_str thread_name; /* empty: not known */
} sonde_crash_id;

typedef struct sonde_crash_open {
    const sonde_crash_id *spans;
    size_t spans_len;
    const sonde_crash_id *traces;
    size_t traces_len;
} sonde_crash_open;

/* The request's body.  `process`: who it was, by its black box or else by the report; `open`: NULL for
 * nothing.  False: no memory, or too big. */
bool sonde_crash_ping(const sonde_crash_case *c, const sonde_process_block *process,
                      sonde_buf *out);
bool sonde_crash_message(sonde_crash_case *c, const sonde_process_block *process,
                         const sonde_crash_open *open, sonde_buf *out);

#endif /* SONDE_CRASH_MESSAGE_H */
