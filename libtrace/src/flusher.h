/* flusher.h - the one background thread: chunks -> payload -> agent.
 *
 *          chunk queued             nothing queued, nothing encoded
 * IDLE ───────────────▶ GATHERING ──────────────────────────────────▶ IDLE
 *                        │     ▲
 *     interval, size or  │     │ answered, or dropped after retries
 *     flush is due       ▼     │
 *                       SENDING
 *
 * GATHERING empties all queues every 100 ms, or at once when half of the cells are in use.  The thread
 * starts with the tracer when a beat is wanted (beats.h), else with the first chunk; in a forked child
 * always with the first chunk.  First thing, and every 5 s from then on, it asks the agent for /info, for
 * at most a second.  Between two rounds of gathering it does one beat that is due; IDLE, it sleeps until
 * the next beat or /info is due.
 *
 * Threads   the functions here: all.
 * Bounds    payload: SONDE__PAYLOAD_SOFT_BYTES starts a request, a chunk that would pass the hard limit
 *           is dropped (payload_too_big). */
#ifndef SONDE_LIBTRACE_FLUSHER_H
#define SONDE_LIBTRACE_FLUSHER_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

struct sonde__span;

/* A life of the tracer begins.  SONDE_ERR_STATE: the thread of the last one still looks up the agent's
 * name, or connects. */
SONDE_MUST_USE sonde_status sonde__flusher_open(void);

/* The configuration is in force: starts the thread when a beat is wanted. */
void sonde__flusher_begin(void);
void sonde__flusher_rouse(void); /* wakes the thread if there is one */

/* Hands a chunk over.  Never blocks on the network; starts or wakes the thread where needed. */
void sonde__flusher_push(struct sonde__span *chunk);
void sonde__flusher_wake(void); /* empties the queues now */

/* Waits until everything handed over before was delivered or dropped; without `traces`, until it was
 * counted and the statistics were. */
sonde_status sonde__flusher_flush(uint64_t deadline_mono_ns, bool traces);

/* Waits until the agent has said what it can do (agent_info.h); asks every GATHER_NS until then. */
sonde_status sonde__flusher_wait_for_agent(uint64_t deadline_mono_ns);

/* Flushes within the deadline and ends the thread. */
void sonde__flusher_stop(uint64_t deadline_mono_ns);

/* -- for the sender ------------------------------------------------------------------------------- */

extern _Atomic uint64_t sonde__flusher_stop_at; /* the deadline; UINT64_MAX: no stop */
uint64_t sonde__flusher_stop_deadline(void);
bool sonde__flusher_is_late(void); /* it has passed: what is still queued is dropped */

/* Waits until the time, or until a stop is ordered whose deadline the time would pass: false. */
bool sonde__flusher_pause_until(uint64_t time_mono_ns);

/* The connection is in use, or no longer.  was_sending(): in a forked child, about its parent. */
void sonde__flusher_set_sending(bool now);
bool sonde__flusher_was_sending(void);

void sonde__flusher_prefork_orders(void);
void sonde__flusher_postfork_parent_orders(void);
void sonde__flusher_postfork_child_orders(void);

#endif /* SONDE_LIBTRACE_FLUSHER_H */
