/* dict.h - what samples refer to by number: strings, threads, contexts, nodes; the dictionaries of a session.
 *
 * Numbers are given here, begin at 1, and are never used again in a session.  What was written into a batch already
 * is behind a mark; sonde_prof__dict_rewind() sets the marks back for an agent that has forgotten it all.
 *
 * Threads   none: the drainer.
 * Bounds    below those of the format, for the sake of the host's memory: the *_MAX below.  When one is near
 *           (dict_is_full), the batch is closed and the session rolls over; what finds no room until then becomes the
 *           node `[other]`, the string "" and the context 0, counted.
 * Source    docs/spec/profile-batch.md */
#ifndef SONDE_PROFILER_DICT_H
#define SONDE_PROFILER_DICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "base/table.h"
#include "sonde/status.h"

#include "sample.h"
#include "trie.h"

#define SONDE_PROF__NODES_MAX    262144u
#define SONDE_PROF__STRINGS_MAX  65536u
#define SONDE_PROF__STRING_BYTES 4096u
#define SONDE_PROF__STRINGS_SUM  (4u << 20) /* bytes of all strings */
#define SONDE_PROF__THREADS_MAX  65536u
#define SONDE_PROF__CONTEXTS_MAX 65536u /* of one batch */

#define SONDE_PROF__KERNEL_PLACES 256u /* functions of the kernel whose strings are at hand */

typedef struct sonde_prof__thread {
    uint32_t tid;
    uint32_t name; /* string */
    uint32_t next; /* number of an older one with the same hash; 0: none */
    bool changed;  /* not in a batch as it is now */
    uint64_t start_mono_ns;
    uint64_t cpu_ns;     /* 0: not known */
    uint64_t name_at_ns; /* when its name is to be read again; the collector's */
} sonde_prof__thread;

/* Contexts of one batch, by hash. */
typedef struct sonde_prof__contexts {
    sonde_prof__context *items; /* owned */
    uint32_t *slots;            /* owned; place + 1 */
    uint32_t len;
    uint32_t cap;
    uint32_t slots_len;
    uint32_t first; /* number of items[0] */
} sonde_prof__contexts;

typedef struct sonde_prof__dict {
    sonde_prof__trie trie;
    uint32_t other; /* its node `[other]` */
    sonde_table strings;
    uint32_t strings_bytes;
    sonde_prof__thread *threads; /* owned; number - 1 */
    uint32_t *thread_slots;      /* owned */
    uint32_t threads_len, threads_cap, thread_slots_len;
    sonde_prof__contexts now;    /* of this batch */
    sonde_prof__contexts before; /* of the last one: its numbers still hold */
    uint32_t contexts_len;       /* numbers given */
    struct {                     /* the kernel's frames asked for last, by hash */
        uint64_t address;
        uint64_t vaddr; /* as a node has it */
    } kernel[SONDE_PROF__KERNEL_PLACES];
    struct { /* up to here it is in a batch */
        uint32_t strings;
        uint32_t nodes;
        uint32_t maps;
    } mark;
    struct {
        uint64_t nodes_full; /* stacks that became `[other]` */
        uint64_t strings_full;
        uint64_t threads_full;
        uint64_t contexts_full;
    } lost;
} sonde_prof__dict;

SONDE_MUST_USE sonde_status sonde_prof__dict_init(sonde_prof__dict *d);
void sonde_prof__dict_done(sonde_prof__dict *d);

/* A new session: no numbers are given.  Counters stay. */
SONDE_MUST_USE sonde_status sonde_prof__dict_restart(sonde_prof__dict *d);

/* Cut to SONDE_PROF__STRING_BYTES.  0 is "". */
uint32_t sonde_prof__dict_string(sonde_prof__dict *d, sonde_str text);
sonde_str sonde_prof__dict_text(const sonde_prof__dict *d, uint32_t string);

/* The thread of that id that began then; 0: no room. */
uint32_t sonde_prof__dict_thread(sonde_prof__dict *d, uint32_t tid, uint64_t start_mono_ns);
uint32_t sonde_prof__dict_has_thread(const sonde_prof__dict *d, uint32_t tid,
                                     uint64_t start_mono_ns); /* 0: not there */
void sonde_prof__dict_name_thread(sonde_prof__dict *d, uint32_t thread, sonde_str name);

uint32_t sonde_prof__dict_context(sonde_prof__dict *d, const sonde_prof__context *c);

/* Of this batch or the last one; NULL: none. */
const sonde_prof__context *sonde_prof__dict_find_context(const sonde_prof__dict *d,
                                                         uint32_t number);

/* The node of a stack: frames as in a sample, the interrupted one first.  Never 0. */
uint32_t sonde_prof__dict_stack(sonde_prof__dict *d, const sonde_prof__sample *s);

bool sonde_prof__dict_is_full(const sonde_prof__dict *d);

void sonde_prof__dict_mark(sonde_prof__dict *d);          /* everything up to here is in a batch */
void sonde_prof__dict_next_contexts(sonde_prof__dict *d); /* of the next one; found for one more */
void sonde_prof__dict_rewind(sonde_prof__dict *d);        /* nothing is */

#endif /* SONDE_PROFILER_DICT_H */
