/* lanes.c - see lanes.h. */
#include "dashboards/model/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

#define KEY_MAX_BYTES 1024

sonde_status lanes_init(lanes *l, size_t kinds, int64_t from_unix_ns, int64_t step_ns, size_t steps)
{
    *l = (lanes){ .kinds = kinds,
                  .steps = steps < LANES_STEPS_MAX ? steps : LANES_STEPS_MAX,
                  .from_unix_ns = from_unix_ns,
                  .step_ns = step_ns };
    sonde_arena_init(&l->text, LANES_TEXT_MAX_BYTES);
    sonde_table_init(&l->table, LANES_MAX);
    l->items = (lane *)sonde_calloc(LANES_MAX, sizeof(*l->items));
    return l->items ? SONDE_OK : SONDE_ERR_NOMEM;
}

void lanes_done(lanes *l)
{
    size_t i;

    for (i = 0; i < l->len; i++)
        sonde_free(l->items[i].values);
    sonde_free(l->items);
    sonde_table_done(&l->table);
    sonde_arena_done(&l->text);
    memset(l, 0, sizeof(*l));
}

lane_kind lane_kind_of(sonde_str thread_state)
{
    static const struct {
        const char *state;
        lane_kind kind;
    } known[] = { { "running", LANE_RUNNING }, { "io", LANE_IO }, { "lock", LANE_LOCK } };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sonde_str_eq(thread_state, sonde_str_from(known[i].state)))
            return known[i].kind;
    return LANE_WAITING;
}

static lane *new_lane(lanes *l, sonde_str key, sonde_str name, sonde_str id)
{
    lane *new = &l->items[l->len];

    *new = (lane){ .name = sonde_arena_copy(&l->text, name), .id = sonde_arena_copy(&l->text, id) };
    if (!new->name.ptr || !new->id.ptr)
        return NULL;
    new->values = (double *)sonde_calloc(l->kinds * l->steps, sizeof(*new->values));
    if (!new->values ||
        sonde_table_put(&l->table, key, (void *)(uintptr_t)(l->len + 1)) != SONDE_OK) {
        sonde_free(new->values);
        l->no_memory = true;
        return NULL;
    }
    l->len++;
    return new;
}

/* NULL: no room. */
static lane *lane_of(lanes *l, sonde_str name, sonde_str id)
{
    char room[KEY_MAX_BYTES];
    sonde_str key = { room, 0 };
    uintptr_t at;

    name = sonde_str_sub(name, 0, sonde_utf8_cut(name, KEY_MAX_BYTES / 2 - 1));
    id = sonde_str_sub(id, 0, sonde_utf8_cut(id, KEY_MAX_BYTES / 2 - 1));
    if (id.len)
        memcpy(room, id.ptr, id.len);
    room[id.len] = '\0';
    if (name.len)
        memcpy(room + id.len + 1, name.ptr, name.len);
    key.len = id.len + 1 + name.len;
    at = (uintptr_t)sonde_table_get(&l->table, key);
    if (at)
        return &l->items[at - 1];
    return l->len < LANES_MAX ? new_lane(l, key, name, id) : NULL;
}

static void spread(const lanes *l, double *steps, int64_t from, int64_t to, int64_t value)
{
    int64_t step = l->step_ns, all = (int64_t)l->steps * step, t;

    if (to <= from) {
        if (from >= 0 && from < all)
            steps[from / step] += (double)value;
        return;
    }
    for (t = from > 0 ? from / step * step : 0; t < to && t < all; t += step) {
        int64_t a = t > from ? t : from, b = t + step < to ? t + step : to;

        steps[t / step] += (double)value * (double)(b - a) / (double)(to - from);
    }
}

void lanes_add(lanes *l, sonde_str name, sonde_str id, size_t kind, int64_t start_unix_ns,
               int64_t end_unix_ns, int64_t value)
{
    lane *to = lane_of(l, name, id);

    if (!to || kind >= l->kinds) {
        l->left_out++;
        return;
    }
    if (__builtin_add_overflow(to->total[kind], value, &to->total[kind]))
        to->total[kind] = INT64_MAX;
    spread(l, to->values + kind * l->steps, start_unix_ns - l->from_unix_ns,
           end_unix_ns - l->from_unix_ns, value);
}

static int64_t waited(const lane *x)
{
    return x->total[LANE_IO] / 2 +
           x->total[LANE_LOCK] / 2; /* half: their sum stays within the type */
}

static int busier(const void *a, const void *b)
{
    const lane *x = (const lane *)a, *y = (const lane *)b;

    if (x->total[LANE_RUNNING] != y->total[LANE_RUNNING])
        return x->total[LANE_RUNNING] > y->total[LANE_RUNNING] ? -1 : 1;
    if (waited(x) != waited(y))
        return waited(x) > waited(y) ? -1 : 1;
    return sonde_str_cmp(x->name, y->name) ? sonde_str_cmp(x->name, y->name)
                                           : sonde_str_cmp(x->id, y->id);
}

void lanes_sort(lanes *l)
{
    if (l->len)
        qsort(l->items, l->len, sizeof(*l->items), busier);
}
