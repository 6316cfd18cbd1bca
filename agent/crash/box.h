/* agent/crash/box.h - what a dead process's black box says: its open spans, as a payload.
 *
 * The file comes from outside and is never believed: sizes, lengths, text and times are checked, and it is
 * copied with pread(), never mapped.
 *
 * Threads   none.
 * Bounds    BOX_FILE_MAX_BYTES; SONDE_BLACKBOX_PLACES spans of each area; what a payload's arena holds.
 * Source    docs/spec/black-box.md
 */
#ifndef SONDE_AGENT_CRASH_BOX_H
#define SONDE_AGENT_CRASH_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/payload.h"
#include "base/blackbox.h"

#include "crash/process_block.h"

#define BOX_FILE_MAX_BYTES (20u * 1024 * 1024)

/* Whether a descriptor is a black box that can be read without danger. */
enum sonde_crash_reason box_check(int fd, uint32_t said_bytes);

/* How a process ended. */
typedef enum box_cause {
    BOX_SIGNAL, /* `number` is the signal */
    BOX_OOM_KILL,
    BOX_EXIT, /* `number` is the status */
    BOX_UNKNOWN,
    BOX_CAUSES
} box_cause;

/* What a report says about the crash: it goes to the span that was active then. */
typedef struct box_crash {
    uint64_t span_id; /* 0: none was */
    int64_t unix_ns;
    sonde_str type;    /* "SIGSEGV" */
    sonde_str message; /* borrowed for the call, like the next */
    sonde_str stack;
} box_crash;

typedef struct box_death {
    box_cause cause;
    int number;
    int pid; /* in the agent's namespace */
    int64_t unix_ns;
    const box_crash *crash; /* NULL: no report */
} box_death;

/* The state the header is in; 0 when it cannot be read. */
uint32_t box_state(int fd, int *out_signo);

/* The span that was active on a thread (in the process's own numbers); 0: none, or not known. */
uint64_t box_active_span(int fd, uint32_t tid);

/* What a box says of its process: views into `room`; false: it cannot be read. */
bool box_process(int fd, char room[SONDE_BLACKBOX_PROCESS_MAX], sonde_process_block *out);

typedef struct box_counts {
    uint32_t spans;
    uint32_t torn;     /* texts were being changed */
    uint32_t unplaced; /* spans the process had no place for */
    uint32_t lost;     /* no memory */
} box_counts;

/* The open spans, a chunk for each trace, ordered by start.  NULL: none, or no memory. */
payload *box_read(int fd, const box_death *death, box_counts *out_counts);

/* "signal:SIGSEGV", "oom_kill", "exit:3", "unknown". */
#define BOX_CAUSE_ROOM 32
void box_cause_text(const box_death *death, char out[BOX_CAUSE_ROOM]);

#endif /* SONDE_AGENT_CRASH_BOX_H */
