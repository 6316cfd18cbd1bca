/* trie.h - the call trie: a stack is one number, and stacks that share callers share nodes.
 *
 *   root 0 ── main 1 ── serve 2 ── parse 3        a node is its place in the list; parents come before children
 *                              └── write 4
 *
 * Threads   none: the drainer.
 * Bounds    the `max` of init(); then 0 for what is new, and `full` counts.
 * Source    docs/spec/profile-batch.md, NODES */
#ifndef SONDE_PROFILER_TRIE_H
#define SONDE_PROFILER_TRIE_H

#include <stdbool.h>
#include <stdint.h>

#define SONDE_PROF__SYNTHETIC                                                                      \
    1u /* the map of frames that are no code; their address is one of these */

enum sonde_prof__synthetic_frame {
    SONDE_PROF__FRAME_TRUNCATED = 1,
    SONDE_PROF__FRAME_UNWIND_FAILURE = 2,
    SONDE_PROF__FRAME_UNKNOWN_MAPPING = 3,
    SONDE_PROF__FRAME_INCOMPLETE = 4,
    SONDE_PROF__FRAME_LOST = 5,
    SONDE_PROF__FRAME_KERNEL = 6,
    SONDE_PROF__FRAME_OTHER = 7,
    SONDE_PROF__FRAME_OMITTED = 8,
    SONDE_PROF__FRAME_KERNEL_SYMBOL = 16, /* + its string */
};

typedef struct sonde_prof__node {
    uint32_t parent; /* 0: the root */
    uint32_t map;    /* maps.h; 0: the address belongs to no object */
    uint64_t vaddr;  /* in its object */
} sonde_prof__node;

typedef struct sonde_prof__trie {
    sonde_prof__node *nodes; /* owned; node n is nodes[n - 1] */
    uint32_t *slots;         /* owned; numbers by hash, 0 free */
    uint32_t len;
    uint32_t cap;
    uint32_t slots_len; /* a power of two */
    uint32_t max;
    uint64_t full; /* new nodes refused: ceiling or memory */
} sonde_prof__trie;

void sonde_prof__trie_init(sonde_prof__trie *t, uint32_t max); /* allocates nothing */
void sonde_prof__trie_done(sonde_prof__trie *t);
void sonde_prof__trie_clear(sonde_prof__trie *t); /* empty, memory given back */

/* The node of that frame below `parent`, made if it is new; 0: no room. */
uint32_t sonde_prof__trie_child(sonde_prof__trie *t, uint32_t parent, uint32_t map, uint64_t vaddr);

/* NULL for the root and for numbers that are none. */
const sonde_prof__node *sonde_prof__trie_node(const sonde_prof__trie *t, uint32_t node);

/* The path that ends in `node` of `from`, in `to`; 0: no room, or no such node. */
uint32_t sonde_prof__trie_copy(sonde_prof__trie *to, const sonde_prof__trie *from, uint32_t node);

#endif /* SONDE_PROFILER_TRIE_H */
