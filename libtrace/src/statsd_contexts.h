/* statsd_contexts.h - what a statsd client collects between two flushes.
 *
 * One context per name, tags, type and cardinality; of sets also per member, of values per rate.  They lie
 * in shards, each with a lock held for the moment of an addition or for a few lines of a flush, never over
 * a system call.
 *
 * Threads   all; one at a time walks (sonde__statsd_contexts_next).
 * Bounds    max contexts, keys of SONDE__STATSD_KEY_MAX bytes: what finds no place is told so.
 *           SONDE__STATSD_VALUES values of a context; then they are emitted at once.  A context not used in
 *           SONDE__STATSD_IDLE_WALKS walks is forgotten. */
#ifndef SONDE_LIBTRACE_STATSD_CONTEXTS_H
#define SONDE_LIBTRACE_STATSD_CONTEXTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mutex.h"

#include "statsd_line.h"

#define SONDE__STATSD_SHARDS     16u
#define SONDE__STATSD_KEY_MAX    1024u
#define SONDE__STATSD_VALUES     64u
#define SONDE__STATSD_IDLE_WALKS 5u

struct sonde__statsd_context;

typedef struct sonde__statsd_shard {
    pthread_mutex_t mu; /* a plain one: a fork takes them all, in order */
    struct sonde__statsd_context **buckets;
    _Atomic uint64_t added; /* metrics; written with mu held */
    char apart[64];
} sonde__statsd_shard;

/* Called with a shard's lock held, so it may not come back here. */
typedef void (*sonde__statsd_emitter)(void *user, const sonde__statsd_line *line);

typedef struct sonde__statsd_contexts {
    sonde__statsd_shard shard[SONDE__STATSD_SHARDS];
    uint32_t buckets; /* of a shard, a power of two */
    uint32_t max;
    _Atomic uint32_t len;
    sonde__statsd_emitter emit;
    void *user;
} sonde__statsd_contexts;

SONDE_MUST_USE sonde_status sonde__statsd_contexts_open(sonde__statsd_contexts *c, uint32_t max,
                                                        sonde__statsd_emitter emit, void *user);
void sonde__statsd_contexts_close(sonde__statsd_contexts *c); /* what they hold is lost */

/* Adds one value, or a member; false: there is no place for the context. */
bool sonde__statsd_contexts_add(sonde__statsd_contexts *c, const sonde__statsd_line *line);

/* Emits some contexts from *cursor (0 at first) on; false: that was all. */
bool sonde__statsd_contexts_next(sonde__statsd_contexts *c, uint32_t *cursor);

uint64_t sonde__statsd_contexts_added(const sonde__statsd_contexts *c);

void sonde__statsd_contexts_lock(sonde__statsd_contexts *c); /* all, for a fork */
void sonde__statsd_contexts_unlock(sonde__statsd_contexts *c);
void sonde__statsd_contexts_clear(sonde__statsd_contexts *c); /* with all locked */

#endif /* SONDE_LIBTRACE_STATSD_CONTEXTS_H */
