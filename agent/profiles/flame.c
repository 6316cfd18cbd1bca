/* flame.c - a column of a profile into a tree; its functions; what changed. */
#include "flame.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void flame_set_type(flame *f, sonde_str type, sonde_str unit)
{
    uint32_t type_text = sonde_flame_text_of(&f->tree, type); /* may move them all */
    uint32_t unit_text = sonde_flame_text_of(&f->tree, unit);

    f->type = f->tree.texts[type_text];
    f->unit = f->tree.texts[unit_text];
}

uint32_t flame_child(flame *f, uint32_t parent, sonde_str name, sonde_str object, bool is_inlined)
{
    return sonde_flame_child(&f->tree, parent,
                             sonde_flame_frame_of(&f->tree, name, object, (sonde_str){ NULL, 0 }),
                             is_inlined);
}

void flame_count(flame *f, uint32_t node, unsigned side, int64_t value, int64_t events)
{
    sonde_flame_count(&f->tree, node, side, value);
    sonde_flame_count(&f->tree, node, FLAME_SIDES + side, events);
}

void flame_sum(flame *f)
{
    sonde_flame_sum(&f->tree);
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
        return profile_location_is_kernel(l) ? SONDE_STR("[kernel]") : (sonde_str){ NULL, 0 };
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

    return sonde_flame_text_of(&f->tree, (sonde_str){ text, n > 0 ? (size_t)n : 0 });
}

/* names: those of threads that were there before; 0: not yet. */
static void add_part(flame *f, const profile *p, const profile_sample *row, uint32_t node,
                     int64_t value, uint32_t *names)
{
    flame_part *items =
        sonde_array_room(f->parts, f->parts_len, &f->parts_cap, sizeof(*items), FLAME_PARTS_MAX);

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

static bool is_recursion(const sonde_flame *t, uint32_t node)
{
    uint32_t frame = t->nodes[node].frame;

    for (uint32_t i = t->nodes[node].parent; i; i = t->nodes[i].parent)
        if (t->nodes[i].frame == frame)
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
    const sonde_flame *t = &f->tree;
    flame_function *all = sonde_calloc(t->frames_len, sizeof(*all));

    if (!all)
        return SONDE_ERR_NOMEM;
    for (uint32_t i = 1; i < t->frames_len; i++)
        all[i].frame = i;
    for (uint32_t i = 1; i < t->nodes_len; i++) {
        flame_function *fn = &all[t->nodes[i].frame];
        bool again = is_recursion(t, i);

        for (unsigned side = 0; side < FLAME_SIDES; side++) {
            fn->self[side] += flame_self(f, i, side);
            fn->events[side] += flame_events(f, i, side);
            fn->total[side] += again ? 0 : flame_total(f, i, side);
        }
    }
    *out_len = t->frames_len - 1;
    memmove(all, all + 1, *out_len * sizeof(*all)); /* without "none" */
    qsort(all, *out_len, sizeof(*all), by_self);
    *out = all;
    return SONDE_OK;
}

bool flame_change_z(const flame *f, const flame_function *fn, double *out_z)
{
    double all[FLAME_SIDES] = { 0 }, share, error;

    for (uint32_t i = 0; i < f->tree.nodes_len; i++)
        for (unsigned side = 0; side < FLAME_SIDES; side++)
            all[side] += (double)flame_events(f, i, side);
    if (all[0] <= 0 || all[1] <= 0)
        return false;
    share = (double)(fn->events[0] + fn->events[1]) / (all[0] + all[1]);
    error = sqrt(share * (1 - share) * (1 / all[0] + 1 / all[1]));
    *out_z =
        error > 0 ? ((double)fn->events[1] / all[1] - (double)fn->events[0] / all[0]) / error : 0;
    return true;
}

/* ---- life ---- */

sonde_status flame_open(flame **out_flame)
{
    static const sonde_flame_limits limits = { .nodes = FLAME_NODES_MAX,
                                               .frames = FLAME_FRAMES_MAX,
                                               .texts = FLAME_TEXTS_MAX,
                                               .text_bytes = FLAME_TEXT_MAX_BYTES };
    flame *f = sonde_calloc(1, sizeof(*f));
    sonde_status status =
        f ? sonde_flame_init(&f->tree, 2 * FLAME_SIDES, &limits) : SONDE_ERR_NOMEM;

    if (status == SONDE_OK)
        *out_flame = f;
    else
        flame_close(f);
    return status;
}

void flame_close(flame *f)
{
    if (!f)
        return;
    sonde_flame_done(&f->tree);
    sonde_free(f->parts);
    sonde_free(f);
}
