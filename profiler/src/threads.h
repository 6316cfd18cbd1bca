/* threads.h - who is there: a slot for every thread of the process, but our own.
 *
 * A thread made with pthread_create() is registered by our wrapper on the way in, and leaves by a pthread key's
 * destructor; others are found, and missed, by looking at /proc/self/task.  Before threads_start() nobody is.
 *
 * Threads   all; signal-safe: no, but slot_find(), slot_at() and slots_count() of slot.h.
 *   slots in use   up to 4 096   6 144   7 168   7 680   7 936   8 064   8 192
 *   sampled              1 in 1       2       4       8      16      32      64   of the threads that come
 *
 * In such a crowd the thread id decides by a hash, and what is measured of a thread counts k times, so sums stay right; when
 * the crowd has gone, the next scan gives everybody a slot, and each stands for itself.
 *
 * Bounds    SONDE_PROF__SLOTS_MAX; a ring has 64 KiB for the first 128 slots, 16 KiB up to 512, 8 KiB beyond.  Low slots
 *           are used first, so that memory follows the number of threads at once.
 * See also  slot.h */
#ifndef SONDE_PROFILER_THREADS_H
#define SONDE_PROFILER_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sonde/status.h"

#include "slot.h"

/* Finds who is there, the calling thread first. */
SONDE_MUST_USE sonde_status sonde_prof__threads_start(void);
void sonde_prof__threads_stop(void);    /* new threads pass by; slots stay */
bool sonde_prof__threads_started(void); /* Signal-safe: yes */

/* Looks who came and went without a word.  The drainer, once a second. */
void sonde_prof__threads_scan(void);

/* A slot of nobody, for its ring: never given back.  NULL: none is free. */
sonde_prof__slot *sonde_prof__slot_reserve(void);

/* Calls for each thread that has a slot, under the registry's lock. */
void sonde_prof__threads_each(void (*each)(sonde_prof__slot *slot));

/* Calls under the registry's lock, if the slot is still that thread's; else false. */
bool sonde_prof__thread_if_still(sonde_prof__slot *slot, uint32_t generation,
                                 void (*then)(sonde_prof__slot *slot));

/* The calling thread begins (with stack bounds and all) or ends.  `entry` is the address of its first function, when that
 * has returned to the caller: CPU time no timer told of is put down to it; 0: to where the thread is. */
void sonde_prof__thread_begin(void);
void sonde_prof__thread_end(uintptr_t entry);

/* Makes one of ours, which no hook announces and which calls thread_is_ours() first. */
SONDE_MUST_USE sonde_status sonde_prof__thread_start(pthread_t *out_thread, const char *name,
                                                     size_t stack_bytes, void *(*run)(void *));

/* The calling thread is one of ours, and in no profile.  What it calls passes through all hooks, and what it opens is
 * its own (files.h). */
void sonde_prof__thread_is_ours(void);
void sonde_prof__thread_is_ours_no_more(void); /* about to end */
uint64_t sonde_prof__threads_own_cpu_ns(void); /* CPU time of those, living and ended */

/* Names anew, from /proc; the drainer, every few seconds. */
void sonde_prof__threads_read_names(void);

void sonde_prof__threads_prefork(void);
void sonde_prof__threads_postfork_parent(void);
void sonde_prof__threads_postfork_child(void); /* only the calling thread is left, under a new id */

#endif /* SONDE_PROFILER_THREADS_H */
