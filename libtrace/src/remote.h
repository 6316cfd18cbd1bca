/* remote.h - remote configuration: asking the agent, and putting in force what it answers.
 *
 *   remote_poll.c     what is asked          remote_state.c   the files held, and their states
 *   remote_targets.c  the answer, read       apm_tracing.c    one file: settings of the tracer
 *   live.c            the settings in force  flare.c          tasks, and the log level
 *
 * Threads   the flusher's, as a beat; <sonde/remote.h>: all.
 * Bounds    one poll at a time, SONDE__REMOTE_POLL_MIN_NS apart at least; those of the files above.
 * Source    docs/spec/remote-config.md */
#ifndef SONDE_LIBTRACE_REMOTE_H
#define SONDE_LIBTRACE_REMOTE_H

#include "beats.h"

#define SONDE__REMOTE_POLL_MIN_NS (10 * (uint64_t)SONDE_NS_PER_MS)

extern const sonde__beat sonde__remote_beat;

void sonde__remote_prefork(void);
void sonde__remote_postfork_parent(void);
void sonde__remote_postfork_child(void);

#endif /* SONDE_LIBTRACE_REMOTE_H */
