/* agent/main/signals.h - the signals that end the program, waited for instead of handled.
 *
 * Threads   signals_block() on the main thread before any other thread exists; signals_wait() there.
 */
#ifndef SONDE_AGENT_MAIN_SIGNALS_H
#define SONDE_AGENT_MAIN_SIGNALS_H

/* Blocks SIGTERM, SIGINT and SIGHUP for this thread and all it starts; ignores SIGPIPE. */
void signals_block(void);

/* Waits for SIGTERM, SIGINT or SIGHUP and returns its number. */
int signals_wait(void);

/* From now on SIGTERM and SIGINT end the program at once: for the second Ctrl-C. */
void signals_unblock(void);

#endif /* SONDE_AGENT_MAIN_SIGNALS_H */
