/* beats.h - jobs the background thread does from time to time beside sending traces.
 *
 * A file that has something to do every so often, or something to ask the agent, defines one beat and
 * names it in the table of beats.c; that is all:
 *
 *   static bool wanted(const sonde__config *c) { return c->remote_enabled; }
 *   static uint64_t work(uint64_t now)
 *   {
 *       sonde__answer answer;
 *
 *       if (sonde__beat_request(&(sonde__request){ .path = "/v0.7/config", .body = ... }, &answer) == SONDE_OK)
 *           take(&answer);
 *       return sonde_deadline(now, 5 * (uint64_t)SONDE_NS_PER_S);       when it is due again
 *   }
 *   const sonde__beat sonde__remote_beat = { "remote", wanted, work, NULL, forget, NULL };
 *
 * The thread does one beat, empties the queues of traces, does the next; a beat may hold traces up for
 * the time of one request, SONDE__BEAT_REQUEST_NS.  What needs more requests returns `now` and goes on
 * when it is called again.
 *
 * The thread starts with sonde_start() when any beat is wanted that has something to do, also when tracing is
 * switched off, and in a forked child with the first chunk.
 *
 * Threads   a beat's functions: the flusher's thread; forget() also the thread that stops or forks,
 *           when that one is gone.  A beat's state needs no lock of its own: all of them run under the
 *           lock fork() waits for, which is let go only for the time of a request.  A fork thus finds the
 *           state whole, or whole and inside sonde__beat_request().  They may take locks from
 *           SONDE_RANK_SEGMENT on; they never take the one of tracer.c (sonde__settings_hold()).
 * Bounds    SONDE__BEATS_MAX; one request of SONDE__BEAT_REQUEST_NS for each call of work(). */
#ifndef SONDE_LIBTRACE_BEATS_H
#define SONDE_LIBTRACE_BEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#include "config.h"
#include "transport.h"

#define SONDE__BEATS_MAX       16
#define SONDE__BEAT_REQUEST_NS (1 * (uint64_t)SONDE_NS_PER_S)
#define SONDE__NEVER           UINT64_MAX

typedef struct sonde__beat {
    const char *name; /* for logs */

    /* Asked at the start and again when the thread begins; no side effects. */
    bool (*wanted)(const sonde__config *c);

    /* Does what is due; first called when the thread begins.  The configuration is sonde__settings().
     * Returns when it is due next, or SONDE__NEVER until sonde__beat_hurry(). */
    uint64_t (*work)(uint64_t now_mono_ns);

    /* Last words at the stop, after the last traces; requests end with the deadline of the stop.  NULL: none. */
    void (*last)(uint64_t now_mono_ns);

    /* The life is over, or this is a forked child and all of it is the parent's: frees and forgets.  Also
     * called when it never worked.  NULL: it keeps nothing. */
    void (*forget)(void);

    /* True while it has nothing to do, so that no thread is started for it alone.  NULL: it always has. */
    bool (*idle)(void);
} sonde__beat;

/* -- for beats ------------------------------------------------------------------------------------ */

/* One request over the thread's connection, from work() and last() only; see sonde__transport_ask(). */
SONDE_MUST_USE sonde_status sonde__beat_request(const sonde__request *request, sonde__answer *out);

/* Calls a function without the lock fork() waits for, from work() and last() only: for what may wait and does
 * not touch the beat's state. */
void sonde__beat_apart(void (*call)(void *user), void *user);

/* Makes it due now and wakes the thread if there is one.  Any thread; takes SONDE_RANK_QUEUE. */
void sonde__beat_hurry(const sonde__beat *beat);

/* -- for the flusher ------------------------------------------------------------------------------ */

bool sonde__beats_wanted(const sonde__config *c); /* any of them, with something to do */
void sonde__beats_open(const sonde__config *c);   /* the thread begins */
uint64_t sonde__beats_work(uint64_t now_mono_ns); /* does one that is due; when the next is */
void sonde__beats_last(uint64_t now_mono_ns);
void sonde__beats_forget(void);

/* Stand in for the table; NULL: the table again.  For tests, while no thread runs. */
void sonde__beats_replace(const sonde__beat *const *beats, unsigned len);

#endif /* SONDE_LIBTRACE_BEATS_H */
