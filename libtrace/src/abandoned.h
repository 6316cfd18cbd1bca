/* abandoned.h - spans that stay open too long: DD_TRACE_DEBUG_ABANDONED_SPANS.
 *
 * While it is on, every start and finish of a span takes one lock; while it is off, neither knows of it
 * (watch.h).
 *
 * Threads   all.
 * Bounds    SONDE__OPEN_SPANS_MAX watched at a time, 1 MB; more are not looked at, and the log says so. */
#ifndef SONDE_LIBTRACE_ABANDONED_H
#define SONDE_LIBTRACE_ABANDONED_H

#include <stdint.h>

#include "beats.h"
#include "segment.h"

#define SONDE__OPEN_SPANS_MAX 8192u

extern const sonde__beat sonde__abandoned_beat;

/* A life begins.  No memory: nothing is watched (one log line). */
void sonde__abandoned_open(const sonde__config *c);

void sonde__abandoned_starts(const sonde__span *span, sonde_str name);
void sonde__abandoned_finishes(const sonde__span *span);

/* Logs spans open for longer than `after_ns`, each once, some at a call.  True: there may be more. */
bool sonde__abandoned_look(uint64_t now_mono_ns, uint64_t after_ns);

void sonde__abandoned_prefork(void);
void sonde__abandoned_postfork_parent(void);
void sonde__abandoned_postfork_child(void); /* what is open is the parent's */

#endif /* SONDE_LIBTRACE_ABANDONED_H */
