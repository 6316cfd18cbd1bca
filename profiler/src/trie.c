/* trie.c - a list of nodes and a hash of (parent, map, address) into it. */
#include "trie.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#define NODES_FIRST 1024u
#define PATH_MAX    1024u /* frames of a path that is copied */

void sonde_prof__trie_init(sonde_prof__trie *t, uint32_t max)
{
    memset(t, 0, sizeof(*t));
    t->max = max;
}

void sonde_prof__trie_done(sonde_prof__trie *t)
{
    sonde_free(t->nodes);
    sonde_free(t->slots);
    sonde_prof__trie_init(t, t->max);
}

void sonde_prof__trie_clear(sonde_prof__trie *t)
{
    uint64_t full = t->full;

    sonde_prof__trie_done(t);
    t->full = full;
}

static uint32_t slot_of(const sonde_prof__trie *t, const sonde_prof__node *n)
{
    uint32_t at = (uint32_t)sonde_hash(0, n, sizeof(*n)) & (t->slots_len - 1);

    while (t->slots[at] && memcmp(&t->nodes[t->slots[at] - 1], n, sizeof(*n)) != 0)
        at = (at + 1) & (t->slots_len - 1);
    return at;
}

static bool more_slots(sonde_prof__trie *t, uint32_t len)
{
    uint32_t *slots = (uint32_t *)sonde_calloc(len, sizeof(*slots));
    uint32_t i;

    if (!slots)
        return false;
    sonde_free(t->slots);
    t->slots = slots;
    t->slots_len = len;
    for (i = 0; i < t->len; i++)
        t->slots[slot_of(t, &t->nodes[i])] = i + 1;
    return true;
}

static bool make_room(sonde_prof__trie *t)
{
    uint32_t cap = t->cap ? t->cap * 2 : NODES_FIRST;
    sonde_prof__node *nodes;

    if (t->len == t->max)
        return false;
    if (t->len < t->cap)
        return true;
    if (t->slots_len < cap * 2 && !more_slots(t, cap * 2))
        return false;
    nodes = (sonde_prof__node *)sonde_realloc(t->nodes, cap * sizeof(*nodes));
    if (!nodes)
        return false;
    t->nodes = nodes;
    t->cap = cap;
    return true;
}

uint32_t sonde_prof__trie_child(sonde_prof__trie *t, uint32_t parent, uint32_t map, uint64_t vaddr)
{
    sonde_prof__node n = { parent, map, vaddr };
    uint32_t at;

    if (t->slots_len > 0) {
        at = slot_of(t, &n);
        if (t->slots[at])
            return t->slots[at];
    }
    if (!make_room(t)) {
        t->full++;
        return 0;
    }
    at = slot_of(t, &n);
    t->nodes[t->len++] = n;
    t->slots[at] = t->len;
    return t->len;
}

const sonde_prof__node *sonde_prof__trie_node(const sonde_prof__trie *t, uint32_t node)
{
    return node > 0 && node <= t->len ? &t->nodes[node - 1] : NULL;
}

uint32_t sonde_prof__trie_copy(sonde_prof__trie *to, const sonde_prof__trie *from, uint32_t node)
{
    uint32_t path[PATH_MAX];
    uint32_t len = 0, copy = 0;
    const sonde_prof__node *n;

    while ((n = sonde_prof__trie_node(from, node)) != NULL && len < PATH_MAX) {
        path[len++] = node;
        node = n->parent;
    }
    while (len-- > 0) {
        n = &from->nodes[path[len] - 1];
        copy = sonde_prof__trie_child(to, copy, n->map, n->vaddr);
        if (copy == 0)
            return 0;
    }
    return copy;
}
