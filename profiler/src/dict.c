/* dict.c - numbers for strings, threads, contexts and stacks. */
#include "dict.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#include "kernel.h"
#include "maps.h"
#include "unwind.h"

#define FULL(len, max) ((len) > (max) / 8 * 7)
#define SLOTS_FIRST    64u

/* -- life ------------------------------------------------------------------------------------------- */

static void done_contexts(sonde_prof__contexts *c)
{
    sonde_free(c->items);
    sonde_free(c->slots);
    memset(c, 0, sizeof(*c));
}

static sonde_status begin(sonde_prof__dict *d)
{
    sonde_prof__trie_init(&d->trie, SONDE_PROF__NODES_MAX);
    sonde_table_init(&d->strings, SONDE_PROF__STRINGS_MAX);
    d->other = sonde_prof__trie_child(&d->trie, 0, SONDE_PROF__SYNTHETIC, SONDE_PROF__FRAME_OTHER);
    return d->other ? SONDE_OK : SONDE_ERR_NOMEM;
}

sonde_status sonde_prof__dict_init(sonde_prof__dict *d)
{
    memset(d, 0, sizeof(*d));
    return begin(d);
}

void sonde_prof__dict_done(sonde_prof__dict *d)
{
    sonde_prof__trie_done(&d->trie);
    sonde_table_done(&d->strings);
    sonde_free(d->threads);
    sonde_free(d->thread_slots);
    done_contexts(&d->now);
    done_contexts(&d->before);
    memset(d, 0, sizeof(*d));
}

sonde_status sonde_prof__dict_restart(sonde_prof__dict *d)
{
    sonde_prof__dict kept = *d;

    sonde_prof__dict_done(d);
    d->lost.nodes_full = kept.lost.nodes_full;
    d->lost.strings_full = kept.lost.strings_full;
    d->lost.threads_full = kept.lost.threads_full;
    d->lost.contexts_full = kept.lost.contexts_full;
    return begin(d);
}

/* -- strings ---------------------------------------------------------------------------------------- */

uint32_t sonde_prof__dict_string(sonde_prof__dict *d, sonde_str text)
{
    uintptr_t number;

    text.len = sonde_utf8_cut(text, SONDE_PROF__STRING_BYTES);
    if (text.len == 0)
        return 0;
    number = (uintptr_t)sonde_table_get(&d->strings, text);
    if (number)
        return (uint32_t)number;
    number = d->strings.count + 1;
    if (d->strings_bytes + text.len > SONDE_PROF__STRINGS_SUM ||
        sonde_table_put(&d->strings, text, (void *)number) != SONDE_OK) {
        d->lost.strings_full++;
        return 0;
    }
    d->strings_bytes += (uint32_t)text.len;
    return (uint32_t)number;
}

sonde_str sonde_prof__dict_text(const sonde_prof__dict *d, uint32_t string)
{
    if (string == 0 || string > d->strings.entries_len)
        return (sonde_str){ "", 0 };
    return d->strings.entries[string - 1].key; /* nothing is ever removed */
}

/* -- threads ---------------------------------------------------------------------------------------- */

static uint32_t *thread_slot(const sonde_prof__dict *d, uint32_t tid)
{
    return &d->thread_slots[(uint32_t)sonde_hash(0, &tid, sizeof(tid)) & (d->thread_slots_len - 1)];
}

static bool more_thread_slots(sonde_prof__dict *d)
{
    uint32_t len = d->thread_slots_len ? d->thread_slots_len * 2 : SLOTS_FIRST, i;
    uint32_t *slots = (uint32_t *)sonde_calloc(len, sizeof(*slots));

    if (!slots)
        return false;
    sonde_free(d->thread_slots);
    d->thread_slots = slots;
    d->thread_slots_len = len;
    for (i = 0; i < d->threads_len; i++) {
        uint32_t *slot = thread_slot(d, d->threads[i].tid);

        d->threads[i].next = *slot;
        *slot = i + 1;
    }
    return true;
}

static bool room_for_thread(sonde_prof__dict *d)
{
    uint32_t cap = d->threads_cap ? d->threads_cap * 2 : SLOTS_FIRST;
    sonde_prof__thread *grown;

    if (d->threads_len == SONDE_PROF__THREADS_MAX)
        return false;
    if (d->threads_len == d->thread_slots_len && !more_thread_slots(d))
        return false;
    if (d->threads_len < d->threads_cap)
        return true;
    grown = (sonde_prof__thread *)sonde_realloc(d->threads, cap * sizeof(*grown));
    if (!grown)
        return false;
    d->threads = grown;
    d->threads_cap = cap;
    return true;
}

uint32_t sonde_prof__dict_has_thread(const sonde_prof__dict *d, uint32_t tid,
                                     uint64_t start_mono_ns)
{
    uint32_t number = d->thread_slots_len ? *thread_slot(d, tid) : 0;

    while (number) {
        const sonde_prof__thread *t = &d->threads[number - 1];

        if (t->tid == tid && t->start_mono_ns == start_mono_ns)
            return number;
        number = t->next;
    }
    return 0;
}

uint32_t sonde_prof__dict_thread(sonde_prof__dict *d, uint32_t tid, uint64_t start_mono_ns)
{
    uint32_t number = sonde_prof__dict_has_thread(d, tid, start_mono_ns);
    sonde_prof__thread *t;
    uint32_t *slot;

    if (number)
        return number;
    if (!room_for_thread(d)) {
        d->lost.threads_full++;
        return 0;
    }
    slot = thread_slot(d, tid);
    t = &d->threads[d->threads_len++];
    *t = (sonde_prof__thread){
        .tid = tid, .next = *slot, .changed = true, .start_mono_ns = start_mono_ns
    };
    *slot = d->threads_len;
    return d->threads_len;
}

void sonde_prof__dict_name_thread(sonde_prof__dict *d, uint32_t thread, sonde_str name)
{
    uint32_t string;

    if (thread == 0 || thread > d->threads_len)
        return;
    string = sonde_prof__dict_string(d, name);
    if (string == d->threads[thread - 1].name)
        return;
    d->threads[thread - 1].name = string;
    d->threads[thread - 1].changed = true;
}

/* -- contexts --------------------------------------------------------------------------------------- */

static uint32_t context_slot(const sonde_prof__contexts *g, const sonde_prof__context *c)
{
    uint32_t at = (uint32_t)sonde_hash(0, c, sizeof(*c)) & (g->slots_len - 1);

    while (g->slots[at] && memcmp(&g->items[g->slots[at] - 1], c, sizeof(*c)) != 0)
        at = (at + 1) & (g->slots_len - 1);
    return at;
}

static uint32_t find_in(const sonde_prof__contexts *g, const sonde_prof__context *c)
{
    uint32_t place = g->slots_len ? g->slots[context_slot(g, c)] : 0;

    return place ? g->first + place - 1 : 0;
}

static bool room_for_context(sonde_prof__contexts *g)
{
    uint32_t cap = g->cap ? g->cap * 2 : SLOTS_FIRST, i;
    sonde_prof__context *items;
    uint32_t *slots;

    if (g->len == SONDE_PROF__CONTEXTS_MAX)
        return false;
    if (g->len < g->cap)
        return true;
    slots = (uint32_t *)sonde_calloc((size_t)cap * 2, sizeof(*slots));
    items = slots ? (sonde_prof__context *)sonde_realloc(g->items, cap * sizeof(*items)) : NULL;
    if (!items) {
        sonde_free(slots);
        return false;
    }
    sonde_free(g->slots);
    g->items = items;
    g->slots = slots;
    g->cap = cap;
    g->slots_len = cap * 2;
    for (i = 0; i < g->len; i++)
        g->slots[context_slot(g, &g->items[i])] = i + 1;
    return true;
}

uint32_t sonde_prof__dict_context(sonde_prof__dict *d, const sonde_prof__context *c)
{
    uint32_t number;

    if (c->span_id == 0)
        return 0;
    number = find_in(&d->now, c);
    if (number == 0)
        number = find_in(&d->before, c);
    if (number != 0)
        return number;
    if (!room_for_context(&d->now)) {
        d->lost.contexts_full++;
        return 0;
    }
    if (d->now.len == 0)
        d->now.first = d->contexts_len + 1;
    d->now.items[d->now.len++] = *c;
    d->now.slots[context_slot(&d->now, c)] = d->now.len;
    return ++d->contexts_len;
}

static const sonde_prof__context *context_in(const sonde_prof__contexts *g, uint32_t number)
{
    return g->len > 0 && number >= g->first && number - g->first < g->len
               ? &g->items[number - g->first]
               : NULL;
}

const sonde_prof__context *sonde_prof__dict_find_context(const sonde_prof__dict *d, uint32_t number)
{
    const sonde_prof__context *c = context_in(&d->now, number);

    return c ? c : context_in(&d->before, number);
}

/* -- stacks ----------------------------------------------------------------------------------------- */

/* The frame that stands for the callers that are not known; 0: they all are. */
static uint32_t frame_of_end(uint8_t end)
{
    switch (end) {
    case SONDE_PROF__COMPLETE:
        return 0;
    case SONDE_PROF__TRUNCATED:
        return SONDE_PROF__FRAME_TRUNCATED;
    case SONDE_PROF__UNREADABLE:
        return SONDE_PROF__FRAME_INCOMPLETE;
    case SONDE_PROF__NO_RANGE:
        return SONDE_PROF__FRAME_UNKNOWN_MAPPING;
    default:
        return SONDE_PROF__FRAME_UNWIND_FAILURE;
    }
}

/* The kernel's function by its name, or just the kernel. */
static uint64_t kernel_place(sonde_prof__dict *d, uint64_t address)
{
    uint32_t at = (uint32_t)sonde_hash(0, &address, sizeof(address)) % SONDE_PROF__KERNEL_PLACES;
    uint32_t name;

    if (d->kernel[at].address != address) {
        name = sonde_prof__dict_string(d, sonde_prof__kernel_name(address));
        d->kernel[at].address = address;
        d->kernel[at].vaddr =
            name ? SONDE_PROF__FRAME_KERNEL_SYMBOL + (uint64_t)name : SONDE_PROF__FRAME_KERNEL;
    }
    return d->kernel[at].vaddr;
}

/* One node for however many frames without a name. */
static uint32_t kernel_child(sonde_prof__dict *d, uint32_t parent, uint64_t address)
{
    uint64_t vaddr = kernel_place(d, address);
    const sonde_prof__node *above = sonde_prof__trie_node(&d->trie, parent);

    if (vaddr == SONDE_PROF__FRAME_KERNEL && above && above->map == SONDE_PROF__SYNTHETIC &&
        above->vaddr == vaddr)
        return parent;
    return sonde_prof__trie_child(&d->trie, parent, SONDE_PROF__SYNTHETIC, vaddr);
}

uint32_t sonde_prof__dict_stack(sonde_prof__dict *d, const sonde_prof__sample *s)
{
    uint32_t unknown = sonde_prof__is_nobodys(s)
                           ? SONDE_PROF__FRAME_LOST
                           : frame_of_end(s->depth ? s->end : SONDE_PROF__NO_RULE);
    const sonde_prof__loaded *object = NULL;
    uint32_t node = 0, i = s->depth;
    bool ok = true;

    if (unknown) {
        node = sonde_prof__trie_child(&d->trie, 0, SONDE_PROF__SYNTHETIC, unknown);
        ok = node != 0;
    }
    while (ok && i-- > 0) {
        uint64_t pc = s->frames[i];

        if (SONDE_PROF__IS_KERNEL(pc)) {
            node = kernel_child(d, node, pc);
            ok = node != 0;
            continue;
        }
        if (!object || pc - object->start >= object->length)
            object = sonde_prof__maps_find(pc);
        node = sonde_prof__trie_child(&d->trie, node, object ? object->id : 0,
                                      object ? pc - object->bias : pc);
        ok = node != 0;
    }
    if (ok)
        return node;
    d->lost.nodes_full++;
    return d->other;
}

/* -- batches ---------------------------------------------------------------------------------------- */

bool sonde_prof__dict_is_full(const sonde_prof__dict *d)
{
    return FULL(d->trie.len, SONDE_PROF__NODES_MAX) ||
           FULL(d->strings.count, SONDE_PROF__STRINGS_MAX) ||
           FULL(d->strings_bytes, SONDE_PROF__STRINGS_SUM) ||
           FULL(d->threads_len, SONDE_PROF__THREADS_MAX) || FULL(d->contexts_len, UINT32_C(262144));
}

void sonde_prof__dict_mark(sonde_prof__dict *d)
{
    uint32_t i;

    d->mark.strings = (uint32_t)d->strings.count;
    d->mark.nodes = d->trie.len;
    d->mark.maps = sonde_prof__maps_len();
    for (i = 0; i < d->threads_len; i++)
        d->threads[i].changed = false;
}

void sonde_prof__dict_next_contexts(sonde_prof__dict *d)
{
    done_contexts(&d->before);
    d->before = d->now;
    memset(&d->now, 0, sizeof(d->now));
}

void sonde_prof__dict_rewind(sonde_prof__dict *d)
{
    uint32_t i;

    memset(&d->mark, 0, sizeof(d->mark));
    for (i = 0; i < d->threads_len; i++)
        d->threads[i].changed = true;
}
