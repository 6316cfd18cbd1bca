/* profiles.c - see profiles.h. */
#include "dashboards/query/profiles.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define LIST_TEXT_MAX_BYTES (16u * 1024 * 1024)
#define MESSAGE_MAX_BYTES   (64u * 1024 * 1024)

/* ---- the list ---- */

typedef struct listing {
    const profile_selection *what;
    profile_list *list;
    bool no_memory;
} listing;

/* Neighbours mostly say the same: one copy. */
static bool keep(profile_list *l, sonde_str before, sonde_str text, sonde_str *out)
{
    if (text.len == 0)
        *out = (sonde_str){ "", 0 };
    else
        *out = sonde_str_eq(before, text) ? before : sonde_arena_copy(&l->text, text);
    return out->ptr != NULL;
}

static bool make_room(profile_list *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    profile_item *more;

    if (l->len < l->cap)
        return true;
    more = (profile_item *)sonde_realloc(l->items, cap * sizeof(*more));
    if (!more)
        return false;
    l->items = more;
    l->cap = cap;
    return true;
}

static void note_types(profile_list *l, sonde_str types)
{
    while (types.len) {
        sonde_str unit = sonde_str_cut(&types, ',');
        sonde_str type = sonde_str_cut(&unit, '/');

        if (!profiles_find_type(l, type) && l->types_len < PROFILES_TYPES_MAX)
            l->types[l->types_len++] = (sonde_pprof_type){ type, unit };
    }
}

static bool list_one(void *user, const store_profile_ref *ref)
{
    static const profile_item none = { .day = 0 };
    listing *g = (listing *)user;
    profile_list *l = g->list;
    const store_profile *p = &ref->info;
    const profile_item *before = l->len ? &l->items[l->len - 1] : &none;
    profile_item item = { .day = ref->day,
                          .id = ref->id,
                          .start_unix_ns = p->start_unix_ns,
                          .end_unix_ns = p->end_unix_ns,
                          .samples = p->samples,
                          .bytes = ref->bytes };

    if (g->what->day && (g->what->day != ref->day || g->what->id != ref->id))
        return true;
    if (l->len == PROFILES_LISTED_MAX) {
        l->truncated = true;
        return false;
    }
    if (!keep(l, before->service, p->service, &item.service) ||
        !keep(l, before->env, p->env, &item.env) ||
        !keep(l, before->version, p->version, &item.version) ||
        !keep(l, before->host, p->host, &item.host) ||
        !keep(l, before->runtime_id, p->runtime_id, &item.runtime_id) ||
        !keep(l, before->family, p->family, &item.family) ||
        !keep(l, before->name, p->name, &item.name) ||
        !keep(l, before->types, p->types, &item.types) || !make_room(l)) {
        g->no_memory = true;
        return false;
    }
    if (item.types.ptr != before->types.ptr)
        note_types(l, item.types);
    l->items[l->len++] = item;
    return true;
}

sonde_status profiles_list(store_reader *r, const profile_selection *what, profile_list *out)
{
    listing g = { .what = what, .list = out };
    sonde_status status;

    memset(out, 0, sizeof(*out));
    sonde_arena_init(&out->text, LIST_TEXT_MAX_BYTES);
    status = store_list_profiles(r, &what->query, list_one, &g);
    return g.no_memory ? SONDE_ERR_NOMEM : status;
}

void profile_list_done(profile_list *l)
{
    sonde_free(l->items);
    sonde_arena_done(&l->text);
    memset(l, 0, sizeof(*l));
}

const sonde_pprof_type *profiles_find_type(const profile_list *l, sonde_str name)
{
    size_t i;

    for (i = 0; i < l->types_len; i++)
        if (sonde_str_eq(l->types[i].type, name))
            return &l->types[i];
    return NULL;
}

const sonde_pprof_type *profiles_default_type(const profile_list *l)
{
    static const char *const first[] = { "cpu-time", "cpu", "cpu-samples", "wall-time", "wall" };
    size_t i;

    for (i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        const sonde_pprof_type *t = profiles_find_type(l, sonde_str_from(first[i]));

        if (t)
            return t;
    }
    return l->types_len ? &l->types[0] : NULL;
}

/* ---- merging ---- */

/* False: the profile has nothing of what is asked for. */
static bool map_columns(const profile_list *l, const profiles_merge *how, const sonde_pprof_view *v,
                        flametree_source *out)
{
    bool any = false;
    size_t i;

    for (i = 0; i < v->types_len; i++) {
        const sonde_pprof_type *t = profiles_find_type(l, v->types[i].type);

        out->column_of[i] = FLAMETREE_NO_COLUMN;
        if (how->type.len && sonde_str_eq(v->types[i].type, how->type))
            out->column_of[i] = how->column;
        else if (how->beside.len && sonde_str_eq(v->types[i].type, how->beside))
            out->column_of[i] = (uint8_t)(how->column + 1);
        else if (how->type.len == 0 && t)
            out->column_of[i] = (uint8_t)(t - l->types);
        any |= out->column_of[i] != FLAMETREE_NO_COLUMN;
    }
    return any;
}

static sonde_status add_one(store_reader *r, const profile_list *l, const profile_item *item,
                            const profiles_merge *how, flametree *f, sonde_buf *message)
{
    flametree_source source = { .start_unix_ns = item->start_unix_ns,
                                .end_unix_ns = item->end_unix_ns };
    sonde_pprof_view v;
    sonde_status status;

    sonde_buf_reset(message);
    status = store_read_profile(r, item->day, item->id, message);
    if (status == SONDE_OK)
        status = sonde_pprof_view_decode(&v, sonde_buf_str(message));
    if (status == SONDE_ERR_NOMEM || status == SONDE_ERR_NOT_FOUND) /* retired meanwhile */
        return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
    if (status != SONDE_OK) {
        SONDE_LOG(SONDE_LOG_WARN, "query: profile passed over: day=%d id=%lld status=%s", item->day,
                  (long long)item->id, sonde_status_name(status));
        return SONDE_OK;
    }
    if (map_columns(l, how, &v, &source))
        flametree_add(f, &v, how->filter, &source);
    sonde_pprof_view_done(&v);
    return SONDE_OK;
}

sonde_status profiles_add(store_reader *r, const profile_list *l, const profiles_merge *how,
                          flametree *f, bool *out_timed_out)
{
    sonde_status status = SONDE_OK;
    sonde_buf message;
    size_t i;

    sonde_buf_init(&message, MESSAGE_MAX_BYTES);
    for (i = 0; i < l->len && status == SONDE_OK; i++) {
        if (sonde_mono_ns() > how->deadline_mono_ns) {
            *out_timed_out = true;
            break;
        }
        status = add_one(r, l, &l->items[i], how, f, &message);
    }
    sonde_buf_done(&message);
    return status;
}
