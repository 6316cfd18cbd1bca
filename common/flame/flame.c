/* flame.c - texts, frames and nodes, each found by what it is; sums. */
#include "flame/flame.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

#define FIRST_SLOTS 1024u

/* Room for one more; NULL: the limit, or no memory. */
static void *room_for_one(sonde_flame *f, void *items, uint32_t len, uint32_t *cap, size_t bytes,
                          uint32_t max)
{
    void *room = sonde_array_room(items, len, cap, bytes, max);

    f->no_memory |= !room && len < max;
    return room;
}

/* ---- texts ---- */

static bool same_text(const void *of, uint32_t id, const void *key)
{
    return sonde_str_eq(((const sonde_flame *)of)->texts[id], *(const sonde_str *)key);
}

/* 0: no room. */
static uint32_t add_text(sonde_flame *f, sonde_str text, uint64_t hash)
{
    sonde_str *items =
        room_for_one(f, f->texts, f->texts_len, &f->texts_cap, sizeof(*items), f->limits.texts);
    char *copy;

    if (!items)
        return 0;
    f->texts = items;
    copy = sonde_arena_alloc_aligned(&f->text, text.len, 1);
    if (!copy)
        return 0;
    memcpy(copy, text.ptr, text.len);
    if (!sonde_id_index_add(&f->text_index, hash, f->texts_len)) {
        f->no_memory = true;
        return 0;
    }
    items[f->texts_len] = (sonde_str){ copy, text.len };
    return f->texts_len++;
}

static uint32_t find_or_add_text(sonde_flame *f, sonde_str text)
{
    uint64_t hash = sonde_hash(11, text.ptr, text.len);
    uint32_t id;

    if (sonde_id_index_find(&f->text_index, hash, same_text, f, &text, &id))
        return id;
    return sonde_utf8_valid(text) ? add_text(f, text, hash) : UINT32_MAX;
}

static void mend(char *text, size_t len)
{
    unsigned rune;

    for (size_t i = 0; i < len;) {
        size_t n = sonde_utf8_decode((sonde_str){ text + i, len - i }, &rune);

        if (n == 0)
            text[i] = '?';
        i += n ? n : 1;
    }
}

uint32_t sonde_flame_text_of(sonde_flame *f, sonde_str text)
{
    uint32_t id = text.len ? find_or_add_text(f, text) : 0;
    char *mended;

    if (id != UINT32_MAX)
        return id;
    mended = sonde_malloc(text.len);
    if (!mended) {
        f->no_memory = true;
        return 0;
    }
    memcpy(mended, text.ptr, text.len);
    mend(mended, text.len);
    id = find_or_add_text(f, (sonde_str){ mended, text.len });
    sonde_free(mended);
    return id;
}

/* ---- frames ---- */

static bool same_frame(const void *of, uint32_t id, const void *key)
{
    const sonde_flame_frame *a = &((const sonde_flame *)of)->frames[id], *b = key;

    return a->name == b->name && a->object == b->object;
}

uint32_t sonde_flame_frame_of(sonde_flame *f, sonde_str name, sonde_str object, sonde_str file)
{
    sonde_flame_frame what = { sonde_flame_text_of(f, name), sonde_flame_text_of(f, object), 0 };
    uint64_t hash = sonde_hash(12, &what, offsetof(sonde_flame_frame, file));
    sonde_flame_frame *items;
    uint32_t id;

    if ((name.len && !what.name) || (object.len && !what.object))
        return 0;
    if (sonde_id_index_find(&f->frame_index, hash, same_frame, f, &what, &id))
        return id;
    items =
        room_for_one(f, f->frames, f->frames_len, &f->frames_cap, sizeof(*items), f->limits.frames);
    if (!items)
        return 0;
    f->frames = items;
    if (!sonde_id_index_add(&f->frame_index, hash, f->frames_len)) {
        f->no_memory = true;
        return 0;
    }
    what.file = sonde_flame_text_of(f, file);
    items[f->frames_len] = what;
    return f->frames_len++;
}

/* ---- nodes: a table of their own, since every frame of every stack comes by ---- */

static uint32_t slot_of(const sonde_flame_node *n, uint32_t len)
{
    uint64_t h = ((uint64_t)n->parent << 32 | n->frame) * 0x9e3779b97f4a7c15u + n->is_inlined;

    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u; /* the parent reaches the low bits, too */
    return (uint32_t)(h ^ h >> 32) & (len - 1);
}

static bool fit_slots(sonde_flame *f)
{
    uint32_t len = f->node_slots_len ? f->node_slots_len * 2 : FIRST_SLOTS, at;
    uint32_t *slots;

    if ((uint64_t)f->nodes_len * 2 < f->node_slots_len)
        return true;
    slots = sonde_calloc(len, sizeof(*slots));
    if (!slots) {
        f->no_memory = true;
        return false;
    }
    for (uint32_t i = 1; i < f->nodes_len; i++) {
        for (at = slot_of(&f->nodes[i], len); slots[at];)
            at = (at + 1) & (len - 1);
        slots[at] = i;
    }
    sonde_free(f->node_slots);
    f->node_slots = slots;
    f->node_slots_len = len;
    return true;
}

/* Room for a node and its values. */
static bool fit_node(sonde_flame *f)
{
    sonde_flame_node *nodes =
        room_for_one(f, f->nodes, f->nodes_len, &f->nodes_cap, sizeof(*nodes), f->limits.nodes);
    int64_t *values;

    if (!nodes)
        return false;
    f->nodes = nodes;
    values = room_for_one(f, f->values, f->nodes_len, &f->values_cap,
                          sizeof(*values) * 2 * f->columns, f->limits.nodes);
    if (!values)
        return false;
    f->values = values;
    return true;
}

static bool is_node(const sonde_flame_node *a, const sonde_flame_node *b)
{
    return a->parent == b->parent && a->frame == b->frame && a->is_inlined == b->is_inlined;
}

uint32_t sonde_flame_child(sonde_flame *f, uint32_t parent, uint32_t frame, bool is_inlined)
{
    const sonde_flame_node what = { parent, frame, f->nodes[parent].depth + 1, is_inlined };
    uint32_t at, id;

    if (frame == 0 || !fit_slots(f)) {
        f->cut++;
        return parent;
    }
    for (at = slot_of(&what, f->node_slots_len); (id = f->node_slots[at]) != 0;
         at = (at + 1) & (f->node_slots_len - 1))
        if (is_node(&f->nodes[id], &what))
            return id;
    if (!fit_node(f)) {
        f->cut++;
        return parent;
    }
    f->nodes[f->nodes_len] = what;
    f->node_slots[at] = f->nodes_len;
    return f->nodes_len++;
}

/* ---- values ---- */

int64_t sonde_flame_add(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

void sonde_flame_count(sonde_flame *f, uint32_t node, uint32_t column, int64_t value)
{
    int64_t *self = &f->values[((size_t)node * f->columns + column) * 2];

    *self = sonde_flame_add(*self, value);
}

void sonde_flame_sum(sonde_flame *f)
{
    for (size_t i = f->nodes_len; i-- > 0;) { /* children come after their parents */
        for (size_t c = 0; c < f->columns; c++) {
            int64_t *own = &f->values[(i * f->columns + c) * 2];
            int64_t *parent = &f->values[(f->nodes[i].parent * f->columns + c) * 2];

            own[1] = sonde_flame_add(own[1], own[0]);
            if (i)
                parent[1] = sonde_flame_add(parent[1], own[1]);
        }
    }
}

/* ---- life ---- */

sonde_status sonde_flame_init(sonde_flame *f, uint32_t columns, const sonde_flame_limits *limits)
{
    memset(f, 0, sizeof(*f));
    f->limits = *limits;
    f->columns = columns;
    sonde_arena_init(&f->text, limits->text_bytes);
    f->texts = room_for_one(f, NULL, 0, &f->texts_cap, sizeof(*f->texts), limits->texts);
    f->frames = room_for_one(f, NULL, 0, &f->frames_cap, sizeof(*f->frames), limits->frames);
    if (!f->texts || !f->frames || !fit_node(f))
        return SONDE_ERR_NOMEM;
    f->texts_len = f->frames_len = f->nodes_len = 1; /* no text, no function, the root */
    return SONDE_OK;
}

void sonde_flame_done(sonde_flame *f)
{
    sonde_id_index_done(&f->text_index);
    sonde_id_index_done(&f->frame_index);
    sonde_free(f->texts);
    sonde_free(f->frames);
    sonde_free(f->nodes);
    sonde_free(f->node_slots);
    sonde_free(f->values);
    sonde_arena_done(&f->text);
    memset(f, 0, sizeof(*f));
}
