/* statsd_out.h - lines gathered into datagrams, and sent.
 *
 * A ring of datagrams; lines go into the last one while it is open.  One thread at a time sends, the first
 * one first, and holds no lock meanwhile.
 *
 * Threads   all.
 * Bounds    SONDE__STATSD_QUEUE_BYTES of datagrams, two at least; beyond it lines are dropped.
 * Fork      the child calls sonde__statsd_out_forget(). */
#ifndef SONDE_LIBTRACE_STATSD_OUT_H
#define SONDE_LIBTRACE_STATSD_OUT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mutex.h"
#include "sonde/statsd.h"

#include "statsd_socket.h"

#define SONDE__STATSD_QUEUE_BYTES (64u << 10)
#define SONDE__STATSD_SLOTS_MAX   1024u /* of datagrams of 64 bytes */

typedef struct sonde__statsd_slot {
    uint32_t len;
    uint32_t lines;
} sonde__statsd_slot;

typedef struct sonde__statsd_out {
    sonde_mutex mu;
    pthread_cond_t sent;
    uint8_t *bytes; /* slots * slot_bytes */
    uint32_t slot_bytes;
    uint32_t slots;
    sonde__statsd_slot *slot;
    uint32_t first; /* guarded by mu, as all below */
    uint32_t used;
    bool is_open; /* the last one takes lines */
    bool sending; /* a thread is at it: the first one and `socket` are its own */
    uint64_t lines, lines_sent, datagrams_sent, datagrams_dropped, bytes_sent, connects;
    uint64_t dropped[SONDE_STATSD_DROPS];
    sonde__statsd_socket socket;
} sonde__statsd_out;

/* SONDE_ERR_NOMEM: nothing is left to be closed. */
SONDE_MUST_USE sonde_status sonde__statsd_out_open(sonde__statsd_out *o,
                                                   const sonde__statsd_address *to,
                                                   uint32_t max_datagram_bytes);
void sonde__statsd_out_close(sonde__statsd_out *o);

/* Puts a line into [to, end) and returns the place behind it, or NULL when it does not fit.  Called again
 * when it left something for another line: *io_more. */
typedef char *(*sonde__statsd_putter)(void *user, char *to, const char *end, bool *io_more);

/* Adds the lines.  True: a datagram is full, and nobody sends. */
bool sonde__statsd_out_add(sonde__statsd_out *o, sonde__statsd_putter put, void *user);

/* Looks the host up and connects, so that nobody has to later.  Failing is fine. */
void sonde__statsd_out_connect(sonde__statsd_out *o);

/* Makes the caller the one who sends; false: until the deadline (0: now) another thread was.  The caller
 * may call send_full() as often as it likes, then end(). */
bool sonde__statsd_out_begin(sonde__statsd_out *o, uint64_t deadline_mono_ns);
void sonde__statsd_out_send_full(sonde__statsd_out *o, uint64_t deadline_mono_ns, bool may_resolve);

/* Sends the rest, the open one too when `all`. */
void sonde__statsd_out_end(sonde__statsd_out *o, bool all, uint64_t deadline_mono_ns,
                           bool may_resolve);

void sonde__statsd_out_forget(sonde__statsd_out *o); /* in a forked child: empty, unlocked */
void sonde__statsd_out_count(sonde__statsd_out *o, sonde_statsd_counters *out);

#endif /* SONDE_LIBTRACE_STATSD_OUT_H */
