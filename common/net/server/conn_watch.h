/* net/server/conn_watch.h - ends connections that keep the server waiting.
 *
 * libmicrohttpd knows only "no byte for n seconds", which a client that sends one byte now and then
 * never meets.  Here a connection is in one of three phases, and in two of them the clock runs from the
 * phase's beginning, whatever trickles in:
 *
 *   accept ──▶ READING ──body complete──▶ BUSY ──answer sent──▶ IDLE
 *                 ▲   handler runs, answer is written             │
 *                 └──────────────── next request line ◀───────────┘
 *
 * When the time is up the socket is shut down; its owner notices as if the peer had left, finds
 * `expired` and closes it.  A peer whose request head was complete is first told 408.
 *
 * Both time-outs are constants, so each phase is a queue in order of its deadlines and the watching
 * thread sleeps until the first one.
 *
 * Threads   all functions from any thread; one thread of its own ("<name>").
 * Bounds    as many entries as the owner has connections; an entry lives in its owner's memory.
 */
#ifndef SONDE_NET_SERVER_CONN_WATCH_H
#define SONDE_NET_SERVER_CONN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/status.h"

typedef struct conn_watch conn_watch;

typedef enum conn_phase { CONN_BUSY, CONN_READING, CONN_IDLE, CONN_PHASES } conn_phase;

typedef struct conn_watch_entry { /* zeroed by the owner; fields guarded by the watch */
    struct conn_watch_entry *prev, *next;
    uint64_t deadline_mono_ns;
    conn_phase phase;
    int fd;         /* borrowed: valid until conn_watch_forget() */
    bool head_read; /* the request's head is complete: worth a 408 */
    bool expired;
} conn_watch_entry;

typedef struct conn_watch_options {
    const char *name; /* thread name, at most 15 bytes */
    uint64_t read_timeout_ns;
    uint64_t idle_timeout_ns;
} conn_watch_options;

SONDE_MUST_USE sonde_status conn_watch_open(const conn_watch_options *options,
                                            conn_watch **out_watch);
void conn_watch_close(conn_watch *w); /* NULL is fine; no entry may be left */

/* Moves the entry into a phase, its time beginning anew. */
void conn_watch_set(conn_watch *w, conn_watch_entry *e, conn_phase phase);
void conn_watch_head_read(conn_watch *w, conn_watch_entry *e);
void conn_watch_forget(conn_watch *w, conn_watch_entry *e);
bool conn_watch_expired(conn_watch *w, const conn_watch_entry *e);

#endif /* SONDE_NET_SERVER_CONN_WATCH_H */
