/* base/thread.h - named threads with all signals blocked but the faults (SIGSEGV and its like). */
#ifndef SONDE_BASE_THREAD_H
#define SONDE_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "sonde/status.h"

/* The signals of another one's thread: everything but the faults. */
void sonde_thread_signals_to_block(sigset_t *out);

/* `name` is at most 15 bytes ("sonde-flush").  stack_bytes 0: 256 KiB (the libraries' threads; the
 * programs pass what they need).  The caller joins. */
SONDE_MUST_USE sonde_status sonde_thread_start(pthread_t *out_thread, const char *name,
                                               size_t stack_bytes, void *(*run)(void *), void *arg);

#endif /* SONDE_BASE_THREAD_H */
