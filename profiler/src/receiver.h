/* receiver.h - a crash report for an agent without a crash socket: a copy of the process sends it.
 *
 *   handler ──▶ report, in memory set aside ──▶ copy of the process, one thread ──▶ names, two requests ──▶ agent
 *      └─▶ waits until the copy is gone, RECEIVER_NS at most, then goes on
 *
 * The copy shares no memory with the process and has no signals, descriptors or threads of it; our allocator is made new
 * there, and libc's is left alone: whoever held its lock is not there.  The process is told nothing of its end (no SIGCHLD, and
 * only wait() for clones would see it).  Until then nothing runs and nothing is open.
 *
 * Threads   start, look: the owner (crash.c).  run: the handler that has `busy`.
 * Bounds    one copy at a time; a stack of RECEIVER_STACK_BYTES, untouched until needed; RECEIVER_MEMORY_BYTES of its own;
 *           SEND_NS for all it does.
 * Source    docs/spec/crash-report.md, docs/decisions/0008-crash-receiver-is-a-copy.md */
#ifndef SONDE_PROFILER_RECEIVER_H
#define SONDE_PROFILER_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

#define SONDE_PROF__RECEIVER_NS           UINT64_C(4500000000) /* the process is gone within five seconds */
#define SONDE_PROF__RECEIVER_SEND_NS      UINT64_C(4000000000)
#define SONDE_PROF__RECEIVER_STACK_BYTES  ((size_t)256 << 10)
#define SONDE_PROF__RECEIVER_MEMORY_BYTES ((size_t)256 << 20)

/* False: no memory. */
bool sonde_prof__receiver_start(const sonde_prof__config *c);

/* The drainer, each time: an agent that has a name is looked up now and then, since a copy cannot. */
void sonde_prof__receiver_look(const sonde_prof__config *c, uint64_t now_mono_ns);

/* Sends the report that stands in crash_state.h's packet.  False: no agent is known, no copy could be made, or it
 * could not send.  Signal-safe: yes. */
bool sonde_prof__receiver_run(void);

#endif /* SONDE_PROFILER_RECEIVER_H */
