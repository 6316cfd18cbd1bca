/* living.c - a pass over the table, added up by stack. */
#include "living.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "heap.h"

void sonde_prof__living_init(sonde_prof__living *l)
{
    memset(l, 0, sizeof(*l));
    sonde_prof__trie_init(&l->trie, SONDE_PROF__LIVING_NODES_MAX);
}

void sonde_prof__living_done(sonde_prof__living *l)
{
    sonde_prof__trie_done(&l->trie);
    sonde_free(l->rows);
    memset(l, 0, sizeof(*l));
}

/* -- stacks ----------------------------------------------------------------------------------------- */

typedef struct move {
    sonde_prof__trie to;
    const sonde_prof__trie *from;
} move;

static void move_entry(void *user, sonde_prof__live *entry)
{
    move *m = user;

    entry->node = sonde_prof__trie_copy(&m->to, m->from, entry->node);
}

static void drop_dead_stacks(sonde_prof__living *l)
{
    move m = { .from = &l->trie };

    sonde_prof__trie_init(&m.to, SONDE_PROF__LIVING_NODES_MAX);
    sonde_prof__live_each(move_entry, &m);
    m.to.full = l->trie.full;
    sonde_prof__trie_done(&l->trie);
    l->trie = m.to;
}

void sonde_prof__living_note(sonde_prof__living *l, sonde_prof__dict *d,
                             const sonde_prof__sample *s)
{
    uint32_t in_dict = sonde_prof__dict_stack(d, s);
    uint32_t node = sonde_prof__trie_copy(&l->trie, &d->trie, in_dict);

    if (node == 0) {
        drop_dead_stacks(l);
        node = sonde_prof__trie_copy(&l->trie, &d->trie, in_dict);
    }
    if (node == 0)
        l->lost++;
    else
        (void)sonde_prof__heap_resolve((uint64_t)s->value[2], (uint32_t)s->value[3], node);
}

/* -- snapshot --------------------------------------------------------------------------------------- */

typedef struct sum {
    double objects;
    double bytes;
    uint32_t since_s;
} sum;

static void add(void *user, sonde_prof__live *entry)
{
    sum *s = &((sum *)user)[entry->node];

    if (s->objects == 0 || entry->time_s < s->since_s)
        s->since_s = entry->time_s;
    s->objects += (double)entry->weight;
    s->bytes += (double)entry->weight * (double)entry->bytes;
}

static void put_row(sonde_prof__living *l, sonde_prof__dict *d, uint32_t node, const sum *s,
                    uint32_t now_s)
{
    uint32_t in_dict = sonde_prof__trie_copy(&d->trie, &l->trie, node);

    l->rows[l->len++] = (sonde_prof__living_row){
        .node = in_dict ? in_dict : d->other,
        .objects = (uint64_t)(s->objects + 0.5),
        .bytes = (uint64_t)(s->bytes + 0.5),
        .oldest_age_s = now_s - s->since_s,
    };
}

sonde_status sonde_prof__living_snapshot(sonde_prof__living *l, sonde_prof__dict *d,
                                         uint64_t now_mono_ns)
{
    uint32_t node, used = 0, nodes = l->trie.len + 1;
    sum *sums = sonde_calloc(nodes, sizeof(*sums));

    l->len = 0;
    sonde_free(l->rows);
    l->rows = NULL;
    if (sums)
        sonde_prof__live_each(add, sums);
    for (node = 1; sums && node < nodes; node++)
        used += sums[node].objects > 0;
    if (used > 0)
        l->rows = sonde_calloc(used, sizeof(*l->rows));
    for (node = 1; l->rows && node < nodes; node++)
        if (sums[node].objects > 0)
            put_row(l, d, node, &sums[node], (uint32_t)(now_mono_ns / SONDE_NS_PER_S));
    sonde_free(sums);
    return sums && l->len == used ? SONDE_OK : SONDE_ERR_NOMEM;
}
