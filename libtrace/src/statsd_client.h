/* statsd_client.h - a statsd client as the library sees it.
 *
 * Threads   all. */
#ifndef SONDE_LIBTRACE_STATSD_CLIENT_H
#define SONDE_LIBTRACE_STATSD_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "sonde/statsd.h"

#include "config.h"
#include "statsd_contexts.h"
#include "statsd_line.h"
#include "statsd_out.h"

struct sonde_statsd {
    sonde__statsd_shared shared;
    sonde_arena texts; /* what its views point into */
    bool aggregate;
    bool pack;
    bool by_hand;
    uint64_t interval_ns;
    _Atomic uint64_t due_mono_ns;
    _Atomic bool is_full;    /* a datagram was filled while a shard was locked */
    _Atomic uint64_t direct; /* metrics that were not collected */
    _Atomic uint64_t refused;
    _Atomic uint64_t sampled_out;
    _Atomic uint64_t contexts_refused;
    sonde__statsd_contexts contexts;
    sonde__statsd_out out;
    struct sonde_statsd *next; /* guarded by the list's lock */
    uint32_t users; /* guarded by the list's lock: who walks the list and is at this one */
};

/* sonde_statsd_new() for a given configuration, of which nothing is kept.  Looks no host up. */
sonde_statsd *sonde__statsd_new(const sonde_statsd_options *options, const sonde__config *c);
void sonde__statsd_discard(sonde_statsd *s); /* sends nothing */

/* A thread of ours calls sonde__statsd_send_due(): then those of the program need not look at the time. */
extern _Atomic bool sonde__statsd_tended;

/* Sends of all clients but those flushed by hand what is due, or all of it.  Waits until the deadline for
 * full sockets.  Returns when the next is due, UINT64_MAX without any. */
bool sonde__statsd_has_clients(void);
uint64_t sonde__statsd_send_due(uint64_t now_mono_ns, bool all, uint64_t deadline_mono_ns);

/* Sends what was collected up to now.  False: another thread was at it until the deadline. */
bool sonde__statsd_send_all(sonde_statsd *s, uint64_t deadline_mono_ns, bool may_resolve);

/* Of contexts, with a shard locked; `user` is the client. */
void sonde__statsd_emit_collected(void *user, const sonde__statsd_line *line);

/* A few ns, some ms coarse. */
static inline uint64_t sonde__statsd_coarse_mono_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Copies what the caller's struct has; fields it does not know stay 0. */
static inline void sonde__statsd_read_struct(void *to, size_t to_bytes, const void *from,
                                             uint32_t from_bytes)
{
    size_t n = from_bytes > 0 && from_bytes < to_bytes ? from_bytes : to_bytes;

    memset(to, 0, to_bytes);
    memcpy(to, from, n);
}

#endif /* SONDE_LIBTRACE_STATSD_CLIENT_H */
