/* flame.c - functions and nodes, each found by what it is; sums. */
#include "flame.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

/* ---- strings and frames ---- */

static bool same_string(const void *of, uint32_t id, const void *key)
{
    return sonde_str_eq(((const flame *)of)->strings[id], *(const sonde_str *)key);
}

/* A copy of valid UTF-8; NULL: no room. */
static char *copy_text(flame *f, sonde_str text)
{
    char *copy = sonde_arena_alloc_aligned(&f->text, text.len, 1);
    unsigned rune;

    if (!copy)
        return NULL;
    memcpy(copy, text.ptr, text.len);
    if (sonde_utf8_valid(text))
        return copy;
    for (size_t i = 0; i < text.len;) {
        size_t n = sonde_utf8_decode(sonde_str_sub(text, i, text.len), &rune);

        if (n == 0)
            copy[i] = '?';
        i += n ? n : 1;
    }
    return copy;
}

/* 0: the empty one, or no room. */
static uint32_t string_of(flame *f, sonde_str text)
{
    uint64_t hash = text.len ? sonde_hash(11, text.ptr, text.len) : 0;
    sonde_str *items;
    char *copy;
    uint32_t id;

    if (text.len == 0)
        return 0;
    if (id_index_find(&f->string_index, hash, same_string, f, &text, &id))
        return id;
    items =
        array_room(f->strings, f->strings_len, &f->strings_cap, sizeof(*items), FLAME_STRINGS_MAX);
    if (!items)
        return 0;
    f->strings = items;
    copy = copy_text(f, text);
    if (!copy)
        return 0;
    text.ptr = copy;
    if (!id_index_add(&f->string_index, hash, f->strings_len))
        return 0;
    items[f->strings_len] = text;
    return f->strings_len++;
}

sonde_str flame_text(const flame *f, uint32_t string)
{
    return f->strings[string];
}

void flame_set_type(flame *f, sonde_str type, sonde_str unit)
{
    f->type = flame_text(f, string_of(f, type));
    f->unit = flame_text(f, string_of(f, unit));
}

static bool same_frame(const void *of, uint32_t id, const void *key)
{
    const flame_frame *a = &((const flame *)of)->frames[id], *b = key;

    return a->name == b->name && a->object == b->object;
}

/* 0: no room. */
static uint32_t frame_of(flame *f, const flame_frame *what)
{
    uint64_t hash = sonde_hash(12, what, sizeof(*what));
    flame_frame *items;
    uint32_t id;

    if (id_index_find(&f->frame_index, hash, same_frame, f, what, &id))
        return id;
    items = array_room(f->frames, f->frames_len, &f->frames_cap, sizeof(*items), FLAME_FRAMES_MAX);
    if (!items)
        return 0;
    f->frames = items;
    if (!id_index_add(&f->frame_index, hash, f->frames_len))
        return 0;
    items[f->frames_len] = *what;
    return f->frames_len++;
}

/* ---- nodes ---- */

typedef struct node_key {
    uint32_t parent, frame, is_inlined;
} node_key;

static bool same_node(const void *of, uint32_t id, const void *key)
{
    const flame_node *n = &((const flame *)of)->nodes[id];
    const node_key *k = key;

    return n->parent == k->parent && n->frame == k->frame && n->is_inlined == (k->is_inlined != 0);
}

/* 0: no room. */
static uint32_t node_of(flame *f, const node_key *k)
{
    uint64_t hash = sonde_hash(13, k, sizeof(*k));
    flame_node *items;
    uint32_t id;

    if (id_index_find(&f->node_index, hash, same_node, f, k, &id))
        return id;
    items = array_room(f->nodes, f->nodes_len, &f->nodes_cap, sizeof(*items), FLAME_NODES_MAX);
    if (!items)
        return 0;
    f->nodes = items;
    if (!id_index_add(&f->node_index, hash, f->nodes_len))
        return 0;
    items[f->nodes_len] =
        (flame_node){ .parent = k->parent, .frame = k->frame, .is_inlined = k->is_inlined != 0 };
    return f->nodes_len++;
}

uint32_t flame_child(flame *f, uint32_t parent, sonde_str name, sonde_str object, bool is_inlined)
{
    const flame_frame what = { string_of(f, name), string_of(f, object) };
    node_key k = { parent, frame_of(f, &what), is_inlined };
    uint32_t id = k.frame ? node_of(f, &k) : 0;

    f->cut += id == 0;
    return id ? id : parent;
}

void flame_count(flame *f, uint32_t node, unsigned side, int64_t value, int64_t events)
{
    flame_node *n = &f->nodes[node];

    /* Sums of nonsense stay within the type. */
    if (__builtin_add_overflow(n->self[side], value, &n->self[side]))
        n->self[side] = INT64_MAX;
    if (__builtin_add_overflow(n->events[side], events, &n->events[side]))
        n->events[side] = INT64_MAX;
}

void flame_sum(flame *f)
{
    for (uint32_t i = 0; i < f->nodes_len; i++)
        memcpy(f->nodes[i].total, f->nodes[i].self, sizeof(f->nodes[i].total));
    for (uint32_t i = f->nodes_len; i-- > 1;) {
        flame_node *n = &f->nodes[i], *parent = &f->nodes[n->parent];

        for (unsigned side = 0; side < FLAME_SIDES; side++)
            if (__builtin_add_overflow(parent->total[side], n->total[side], &parent->total[side]))
                parent->total[side] = INT64_MAX;
    }
}

sonde_str flame_name(const flame *f, uint32_t node)
{
    return f->strings[f->frames[f->nodes[node].frame].name];
}

sonde_str flame_object(const flame *f, uint32_t node)
{
    return f->strings[f->frames[f->nodes[node].frame].object];
}

/* ---- from a profile ---- */

static const profile_sample *rows_of(const profile *p, const profile_column *c, uint32_t *out_len)
{
    *out_len = c->kind == PROFILE_LIVE ? p->live_len : p->samples_len;
    return c->kind == PROFILE_LIVE ? p->live : p->samples;
}

static sonde_str object_of(const profile *p, const profile_location *l)
{
    sonde_str path = profile_text(p, p->mappings[l->mapping].path);
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

    if (l->mapping == PROFILE_MAP_SYNTHETIC)
        return l->address == PROFILE_KERNEL || l->address >= PROFILE_KERNEL_SYMBOL
                   ? SONDE_STR("[kernel]")
                   : (sonde_str){ NULL, 0 };
    return slash ? sonde_str_sub(path, (size_t)(slash - path.ptr) + 1, path.len) : path;
}

/* The functions of one location below `parent`, the outermost first. */
static uint32_t add_location(flame *f, const profile *p, uint32_t parent, uint32_t location)
{
    const profile_location *l = &p->locations[location];
    sonde_str object = object_of(p, l);
    char room[512];

    if (l->lines_len == 0)
        return flame_child(f, parent, profile_fallback_name(p, location, room), object, false);
    for (uint32_t i = l->lines_len; i-- > 0;) {
        const profile_function *fn = &p->functions[p->lines[l->lines_at + i].function];

        parent = flame_child(f, parent, profile_text(p, fn->name), object, i + 1 < l->lines_len);
    }
    return parent;
}

/* Marks what has a value in the column, and its callers. */
static void mark_used(const profile *p, const profile_column *c, uint32_t *of)
{
    uint32_t len;
    const profile_sample *rows = rows_of(p, c, &len);

    for (uint32_t i = 0; i < len; i++)
        if (profile_value(c, &rows[i]) > 0)
            of[rows[i].node] = 1;
    for (uint32_t i = p->nodes_len; i-- > 1;)
        if (of[i])
            of[p->nodes[i].parent] = 1;
}

static uint32_t thread_name(flame *f, const profile *p, uint32_t thread)
{
    const profile_thread *t = &p->threads[thread];
    sonde_str name = profile_text(p, t->name);
    char text[128];
    int n = snprintf(text, sizeof(text), "%.*s (%llu)", (int)sonde_utf8_cut(name, 64),
                     name.len ? name.ptr : "", (unsigned long long)t->tid);

    return string_of(f, (sonde_str){ text, n > 0 ? (size_t)n : 0 });
}

/* names: those of threads that were there before; 0: not yet. */
static void add_part(flame *f, const profile *p, const profile_sample *row, uint32_t node,
                     int64_t value, uint32_t *names)
{
    flame_part *items =
        array_room(f->parts, f->parts_len, &f->parts_cap, sizeof(*items), FLAME_PARTS_MAX);

    if (!names[row->thread])
        names[row->thread] = thread_name(f, p, row->thread);
    if (!items)
        return;
    f->parts = items;
    items[f->parts_len++] = (flame_part){ node, names[row->thread], value };
}

static void add_rows(flame *f, const profile *p, const profile_column *c, unsigned side,
                     const uint32_t *of, uint32_t *names)
{
    uint32_t len;
    const profile_sample *rows = rows_of(p, c, &len);

    for (uint32_t i = 0; i < len; i++) {
        int64_t value = profile_value(c, &rows[i]);

        if (value <= 0)
            continue;
        flame_count(f, of[rows[i].node], side, value, rows[i].events);
        if (side == 0)
            add_part(f, p, &rows[i], of[rows[i].node], value, names);
    }
}

sonde_status flame_add_profile(flame *f, const profile *p, const profile_column *c, unsigned side)
{
    uint32_t *of = sonde_calloc(p->nodes_len, sizeof(*of)); /* nodes of the profile to ours */
    uint32_t *names = sonde_calloc(p->threads_len, sizeof(*names));
    bool ok = of && names;

    if (ok) {
        mark_used(p, c, of);
        of[0] = 0;
        for (uint32_t i = 1; i < p->nodes_len; i++)
            if (of[i])
                of[i] = add_location(f, p, of[p->nodes[i].parent], p->nodes[i].location);
        add_rows(f, p, c, side, of, names);
    }
    sonde_free(of);
    sonde_free(names);
    return ok ? SONDE_OK : SONDE_ERR_NOMEM;
}

/* ---- by function ---- */

static bool is_recursion(const flame *f, uint32_t node)
{
    uint32_t frame = f->nodes[node].frame;

    for (uint32_t i = f->nodes[node].parent; i; i = f->nodes[i].parent)
        if (f->nodes[i].frame == frame)
            return true;
    return false;
}

static int by_self(const void *a, const void *b)
{
    const flame_function *x = a, *y = b;

    if (x->self[0] != y->self[0])
        return x->self[0] < y->self[0] ? 1 : -1;
    if (x->total[0] != y->total[0])
        return x->total[0] < y->total[0] ? 1 : -1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

sonde_status flame_functions(const flame *f, flame_function **out, size_t *out_len)
{
    flame_function *all = sonde_calloc(f->frames_len, sizeof(*all));

    if (!all)
        return SONDE_ERR_NOMEM;
    for (uint32_t i = 1; i < f->frames_len; i++)
        all[i].frame = i;
    for (uint32_t i = 1; i < f->nodes_len; i++) {
        const flame_node *n = &f->nodes[i];
        flame_function *fn = &all[n->frame];
        bool again = is_recursion(f, i);

        for (unsigned side = 0; side < FLAME_SIDES; side++) {
            fn->self[side] += n->self[side];
            fn->events[side] += n->events[side];
            fn->total[side] += again ? 0 : n->total[side];
        }
    }
    *out_len = f->frames_len - 1;
    memmove(all, all + 1, *out_len * sizeof(*all)); /* without "none" */
    qsort(all, *out_len, sizeof(*all), by_self);
    *out = all;
    return SONDE_OK;
}

bool flame_change_z(const flame *f, const flame_function *fn, double *out_z)
{
    double all[FLAME_SIDES] = { 0 }, share, error;

    for (uint32_t i = 0; i < f->nodes_len; i++)
        for (unsigned side = 0; side < FLAME_SIDES; side++)
            all[side] += (double)f->nodes[i].events[side];
    if (all[0] <= 0 || all[1] <= 0)
        return false;
    share = (double)(fn->events[0] + fn->events[1]) / (all[0] + all[1]);
    error = sqrt(share * (1 - share) * (1 / all[0] + 1 / all[1]));
    *out_z =
        error > 0 ? ((double)fn->events[1] / all[1] - (double)fn->events[0] / all[0]) / error : 0;
    return true;
}

/* ---- life ---- */

/* Element 0 of each array: no text, no function, the root. */
static bool reserve_none(flame *f)
{
    f->strings = array_room(NULL, 0, &f->strings_cap, sizeof(*f->strings), FLAME_STRINGS_MAX);
    f->frames = array_room(NULL, 0, &f->frames_cap, sizeof(*f->frames), FLAME_FRAMES_MAX);
    f->nodes = array_room(NULL, 0, &f->nodes_cap, sizeof(*f->nodes), FLAME_NODES_MAX);
    f->strings_len = f->frames_len = f->nodes_len = 1;
    return f->strings && f->frames && f->nodes;
}

sonde_status flame_open(flame **out_flame)
{
    flame *f = sonde_calloc(1, sizeof(*f));

    if (!f)
        return SONDE_ERR_NOMEM;
    sonde_arena_init(&f->text, FLAME_TEXT_MAX_BYTES);
    if (!reserve_none(f)) {
        flame_close(f);
        return SONDE_ERR_NOMEM;
    }
    *out_flame = f;
    return SONDE_OK;
}

void flame_close(flame *f)
{
    if (!f)
        return;
    id_index_done(&f->string_index);
    id_index_done(&f->frame_index);
    id_index_done(&f->node_index);
    sonde_free(f->strings);
    sonde_free(f->frames);
    sonde_free(f->nodes);
    sonde_free(f->parts);
    sonde_arena_done(&f->text);
    sonde_free(f);
}
