/* profile.c - interning, merging, columns. */
#include "profile.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"

const char *const profile_loss_names[PROFILE_LOSSES] = {
#define X(name, text) text,
    PROFILE_LOSS_MAP(X)
#undef X
};

static _Atomic uint64_t serials;

/* ---- strings ---- */

static bool same_string(const void *of, uint32_t id, const void *key)
{
    return sonde_str_eq(((const profile *)of)->strings[id], *(const sonde_str *)key);
}

static sonde_str copy_valid(sonde_arena *a, sonde_str text)
{
    char *to = sonde_arena_alloc_aligned(a, text.len * 3 + 1, 1);
    size_t len;

    if (!to)
        return (sonde_str){ NULL, 0 };
    len = sonde_utf8_repair(text, to);
    to[len] = '\0';
    return (sonde_str){ to, len };
}

uint32_t profile_string(profile *p, sonde_str text)
{
    uint64_t hash = sonde_hash(1, text.ptr, text.len);
    uint32_t id;
    sonde_str *items;
    sonde_str copy;

    if (text.len == 0)
        return 0;
    if (sonde_id_index_find(&p->string_index, hash, same_string, p, &text, &id))
        return id;
    if (!sonde_utf8_valid(text)) {
        copy = copy_valid(&p->text, text);
        return copy.ptr ? profile_string(p, copy) : 0;
    }
    items = sonde_array_room(p->strings, p->strings_len, &p->strings_cap, sizeof(*items),
                             PROFILE_STRINGS_MAX);
    if (!items)
        return 0;
    p->strings = items;
    copy = sonde_arena_copy(&p->text, text);
    if (!copy.ptr || !sonde_id_index_add(&p->string_index, hash, p->strings_len))
        return 0;
    p->strings[p->strings_len] = copy;
    return p->strings_len++;
}

sonde_str profile_text(const profile *p, uint32_t string)
{
    return string < p->strings_len ? p->strings[string] : (sonde_str){ NULL, 0 };
}

/* ---- mappings, functions, locations, nodes, threads ---- */

uint32_t profile_add_mapping(profile *p, const profile_mapping *m)
{
    profile_mapping *items = sonde_array_room(p->mappings, p->mappings_len, &p->mappings_cap,
                                              sizeof(*items), PROFILE_MAPPINGS_MAX);

    if (!items)
        return 0;
    p->mappings = items;
    items[p->mappings_len] = *m;
    if (m->object)
        symbol_object_get(m->object);
    return p->mappings_len++;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t words[2] = { a, b };

    return sonde_hash(2, words, sizeof(words));
}

static bool same_function(const void *of, uint32_t id, const void *key)
{
    const profile_function *a = &((const profile *)of)->functions[id], *b = key;

    return a->name == b->name && a->system_name == b->system_name && a->file == b->file &&
           a->start_line == b->start_line;
}

uint32_t profile_function_of(profile *p, const profile_function *f)
{
    uint64_t hash =
        mix((uint64_t)f->name << 32 | f->system_name, (uint64_t)f->file << 32 | f->start_line);
    profile_function *items;
    uint32_t id;

    if (sonde_id_index_find(&p->function_index, hash, same_function, p, f, &id))
        return id;
    items = sonde_array_room(p->functions, p->functions_len, &p->functions_cap, sizeof(*items),
                             PROFILE_FUNCTIONS_MAX);
    if (!items)
        return 0;
    p->functions = items;
    if (!sonde_id_index_add(&p->function_index, hash, p->functions_len))
        return 0;
    items[p->functions_len] = *f;
    return p->functions_len++;
}

bool profile_add_line(profile *p, uint32_t location, profile_line line)
{
    profile_location *l = &p->locations[location];
    profile_line *items =
        sonde_array_room(p->lines, p->lines_len, &p->lines_cap, sizeof(*items), PROFILE_LINES_MAX);

    if (!items)
        return false;
    p->lines = items;
    if (l->lines_len == 0)
        l->lines_at = p->lines_len;
    items[p->lines_len++] = line;
    l->lines_len++;
    return true;
}

void profile_name_location(profile *p, uint32_t location, uint32_t name)
{
    const profile_function f = { .name = name };

    p->locations[location].symbolized =
        profile_add_line(p, location, (profile_line){ profile_function_of(p, &f), 0 });
}

static bool same_location(const void *of, uint32_t id, const void *key)
{
    const profile_location *a = &((const profile *)of)->locations[id], *b = key;

    return a->mapping == b->mapping && a->address == b->address;
}

uint32_t profile_location_of(profile *p, uint32_t mapping, uint64_t address)
{
    const profile_location want = { .mapping = mapping, .address = address };
    uint64_t hash = mix(mapping, address);
    profile_location *items;
    uint32_t id;

    if (sonde_id_index_find(&p->location_index, hash, same_location, p, &want, &id))
        return id;
    items = sonde_array_room(p->locations, p->locations_len, &p->locations_cap, sizeof(*items),
                             PROFILE_LOCATIONS_MAX);
    if (!items)
        return 0;
    p->locations = items;
    if (!sonde_id_index_add(&p->location_index, hash, p->locations_len))
        return 0;
    items[p->locations_len] = want;
    return p->locations_len++;
}

static bool same_node(const void *of, uint32_t id, const void *key)
{
    const profile_node *a = &((const profile *)of)->nodes[id], *b = key;

    return a->parent == b->parent && a->location == b->location;
}

uint32_t profile_node_of(profile *p, uint32_t parent, uint32_t location)
{
    const profile_node want = { parent, location };
    uint64_t hash = mix(parent, location);
    profile_node *items;
    uint32_t id;

    if (sonde_id_index_find(&p->node_index, hash, same_node, p, &want, &id))
        return id;
    items =
        sonde_array_room(p->nodes, p->nodes_len, &p->nodes_cap, sizeof(*items), PROFILE_NODES_MAX);
    if (!items)
        return 0;
    p->nodes = items;
    if (!sonde_id_index_add(&p->node_index, hash, p->nodes_len))
        return 0;
    items[p->nodes_len] = want;
    return p->nodes_len++;
}

uint32_t profile_add_thread(profile *p, uint64_t tid, uint32_t name)
{
    profile_thread *items = sonde_array_room(p->threads, p->threads_len, &p->threads_cap,
                                             sizeof(*items), PROFILE_THREADS_MAX);

    if (!items)
        return 0;
    p->threads = items;
    items[p->threads_len] = (profile_thread){ tid, name };
    return p->threads_len++;
}

/* ---- rows ---- */

void profile_lose(profile *p, profile_loss why, uint64_t rows)
{
    p->lost[why] += rows;
}

static bool same_labels(const profile_sample *a, const profile_sample *b)
{
    return a->node == b->node && a->kind == b->kind && a->thread == b->thread &&
           a->span_id == b->span_id && a->local_root_id == b->local_root_id && a->text == b->text &&
           a->detail == b->detail && a->end_unix_ns == b->end_unix_ns;
}

static bool same_sample(const void *of, uint32_t id, const void *key)
{
    return same_labels(&((const profile *)of)->samples[id], key);
}

static int64_t add_saturating(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum; /* neither is negative */
}

void profile_sum_up(profile_sample *to, const profile_sample *s)
{
    to->events = add_saturating(to->events, s->events);
    for (size_t i = 0; i < 3; i++)
        to->value[i] = add_saturating(to->value[i], s->value[i]);
}

static bool is_negative(const profile_sample *s)
{
    return s->events < 0 || s->value[0] < 0 || s->value[1] < 0 || s->value[2] < 0;
}

static bool append_sample(profile *p, const profile_sample *s)
{
    profile_sample *items = sonde_array_room(p->samples, p->samples_len, &p->samples_cap,
                                             sizeof(*items), PROFILE_SAMPLES_MAX);

    if (!items)
        return false;
    p->samples = items;
    items[p->samples_len++] = *s;
    return true;
}

static bool merge_sample(profile *p, const profile_sample *s)
{
    uint64_t hash = mix(mix((uint64_t)s->node << 32 | s->thread, s->span_id),
                        (uint64_t)s->text << 16 | (uint64_t)s->kind << 8 | s->detail);
    uint32_t id;

    if (sonde_id_index_find(&p->sample_index, hash, same_sample, p, s, &id)) {
        profile_sum_up(&p->samples[id], s);
        return true;
    }
    if (!append_sample(p, s))
        return false;
    if (sonde_id_index_add(&p->sample_index, hash, p->samples_len - 1))
        return true;
    p->samples_len--;
    return false;
}

void profile_add(profile *p, const profile_sample *s)
{
    profile_sample row = *s;
    bool ok;

    if (is_negative(s)) {
        profile_lose(p, PROFILE_LOSS_NEGATIVE, 1);
        return;
    }
    if (p->timeline && row.end_unix_ns && p->timeline_len < PROFILE_TIMELINE_MAX) {
        ok = append_sample(p, &row);
        p->timeline_len += ok;
    } else {
        p->timeline_truncated |= p->timeline && row.end_unix_ns;
        row.end_unix_ns = 0;
        ok = merge_sample(p, &row);
    }
    if (!ok) {
        profile_lose(p, PROFILE_LOSS_FULL, 1);
        return;
    }
    p->enabled[s->kind] = true;
    p->rows++;
}

void profile_add_live(profile *p, const profile_sample *s)
{
    profile_sample *items;

    if (is_negative(s)) {
        p->live_lost++;
        return;
    }
    items = sonde_array_room(p->live, p->live_len, &p->live_cap, sizeof(*items), PROFILE_LIVE_MAX);
    if (!items) {
        p->live_lost++;
        return;
    }
    p->live = items;
    items[p->live_len++] = *s;
    p->enabled[PROFILE_LIVE] = true;
}

void profile_clear_live(profile *p)
{
    p->live_len = 0;
}

uint32_t profile_custom_of(profile *p, uint32_t type, uint32_t unit)
{
    uint32_t i;

    for (i = 0; i < p->custom_len; i++) {
        if (p->custom[i].type == type && p->custom[i].unit == unit)
            return i;
    }
    if (i < PROFILE_CUSTOM_MAX)
        p->custom[p->custom_len++] = (profile_custom){ type, unit };
    return i;
}

/* ---- endpoints ---- */

static bool same_endpoint(const void *of, uint32_t id, const void *key)
{
    return ((const profile *)of)->endpoints[id].local_root_id == *(const uint64_t *)key;
}

void profile_set_endpoint(profile *p, uint64_t local_root_id, uint32_t endpoint, uint32_t type,
                          uint64_t finished)
{
    uint64_t hash = mix(local_root_id, 0);
    profile_endpoint *items;
    uint32_t id;

    if (sonde_id_index_find(&p->endpoint_index, hash, same_endpoint, p, &local_root_id, &id)) {
        profile_endpoint *e = &p->endpoints[id];

        e->endpoint = endpoint;
        e->type = type;
        e->finished += finished;
        e->carried = false;
        return;
    }
    items = sonde_array_room(p->endpoints, p->endpoints_len, &p->endpoints_cap, sizeof(*items),
                             PROFILE_ENDPOINTS_MAX);
    if (!items)
        return;
    p->endpoints = items;
    if (sonde_id_index_add(&p->endpoint_index, hash, p->endpoints_len))
        items[p->endpoints_len++] =
            (profile_endpoint){ local_root_id, endpoint, type, finished, false };
}

void profile_carry_endpoint(profile *p, uint64_t local_root_id, uint32_t endpoint, uint32_t type)
{
    uint32_t before = p->endpoints_len;

    profile_set_endpoint(p, local_root_id, endpoint, type, 0);
    if (p->endpoints_len > before)
        p->endpoints[before].carried = true;
}

const profile_endpoint *profile_endpoint_of(const profile *p, uint64_t local_root_id)
{
    uint32_t id;

    if (local_root_id == 0 || !sonde_id_index_find(&p->endpoint_index, mix(local_root_id, 0),
                                                   same_endpoint, p, &local_root_id, &id))
        return NULL;
    return &p->endpoints[id];
}

/* ---- columns ---- */

/* clang-format off */
#define COLUMN(type, unit, kind, value) { { type, sizeof(type) - 1 }, { unit, sizeof(unit) - 1 }, kind, 0, value }
#define IO_COLUMNS(name, kind)                                \
    COLUMN(name "-time", "nanoseconds", kind, 1),             \
    COLUMN(name "-time-samples", "count", kind, 0),           \
    COLUMN(name "-size", "bytes", kind, 2),                   \
    COLUMN(name "-size-samples", "count", kind, 0)

static const profile_column all_columns[] = {
    COLUMN("cpu-samples",       "count",       PROFILE_CPU, -1),
    COLUMN("cpu-time",          "nanoseconds", PROFILE_CPU, 0),
    COLUMN("wall-samples",      "count",       PROFILE_WALL, -1),
    COLUMN("wall-time",         "nanoseconds", PROFILE_WALL, 0),
    COLUMN("alloc-samples",     "count",       PROFILE_ALLOC, 0),
    COLUMN("alloc-space",       "bytes",       PROFILE_ALLOC, 1),
    COLUMN("inuse-objects",     "count",       PROFILE_LIVE, 0),
    COLUMN("inuse-space",       "bytes",       PROFILE_LIVE, 1),
    COLUMN("lock-acquire",      "count",       PROFILE_LOCK, 0),
    COLUMN("lock-acquire-wait", "nanoseconds", PROFILE_LOCK, 1),
    COLUMN("lock-release",      "count",       PROFILE_RELEASE, 0),
    COLUMN("lock-release-wait", "nanoseconds", PROFILE_RELEASE, 1),
    COLUMN("exception-samples", "count",       PROFILE_EXCEPTION, 0),
    IO_COLUMNS("socket-read",   PROFILE_SOCKET_READ),
    IO_COLUMNS("socket-write",  PROFILE_SOCKET_WRITE),
    IO_COLUMNS("file-io-read",  PROFILE_FILE_READ),
    IO_COLUMNS("file-io-write", PROFILE_FILE_WRITE),
};
/* clang-format on */

_Static_assert(sizeof(all_columns) / sizeof(all_columns[0]) + PROFILE_CUSTOM_MAX <=
                   PROFILE_COLUMNS_MAX,
               "PROFILE_COLUMNS_MAX holds them all");

size_t profile_columns(const profile *p, profile_column out[PROFILE_COLUMNS_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < sizeof(all_columns) / sizeof(all_columns[0]); i++) {
        if (p->enabled[all_columns[i].kind])
            out[len++] = all_columns[i];
    }
    for (uint32_t i = 0; i < p->custom_len; i++)
        out[len++] =
            (profile_column){ profile_text(p, p->custom[i].type),
                              profile_text(p, p->custom[i].unit), PROFILE_CUSTOM, (uint8_t)i, 0 };
    return len;
}

int64_t profile_value(const profile_column *c, const profile_sample *s)
{
    if (c->kind != s->kind || (c->kind == PROFILE_CUSTOM && c->custom != s->detail))
        return 0;
    return c->value < 0 ? s->events : s->value[c->value];
}

/* ---- names ---- */

static const char *const synthetic_names[] = {
    [PROFILE_TRUNCATED] = "[truncated]",
    [PROFILE_UNWIND_FAILURE] = "[unwind failure]",
    [PROFILE_UNKNOWN_MAPPING] = "[unknown mapping]",
    [PROFILE_INCOMPLETE] = "[incomplete]",
    [PROFILE_LOST] = "[lost]",
    [PROFILE_KERNEL] = "[kernel]",
    [PROFILE_OTHER] = "[other]",
    [PROFILE_OMITTED] = "<frames omitted>",
};

static sonde_str synthetic_name(const profile *p, uint64_t address)
{
    if (address >= PROFILE_PROCESS)
        return profile_text(p, (uint32_t)(address - PROFILE_PROCESS));
    if (address >= PROFILE_KERNEL_SYMBOL)
        return profile_text(p, (uint32_t)(address - PROFILE_KERNEL_SYMBOL));
    if (address == 0 || address >= sizeof(synthetic_names) / sizeof(synthetic_names[0]))
        return SONDE_STR("[unknown]");
    return sonde_str_from(synthetic_names[address]);
}

sonde_str profile_fallback_name(const profile *p, uint32_t location, char room[512])
{
    const profile_location *l = &p->locations[location];
    const char *slash;
    sonde_str path;
    int n;

    if (l->mapping == PROFILE_MAP_SYNTHETIC)
        return synthetic_name(p, l->address);
    path = profile_text(p, p->mappings[l->mapping].path);
    slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;
    if (slash)
        path = sonde_str_sub(path, (size_t)(slash - path.ptr) + 1, path.len);
    path.len = sonde_utf8_cut(path, 480);
    n = snprintf(room, 512, "%.*s%s0x%llx", SONDE_STR_ARG(path), path.len ? "+" : "",
                 (unsigned long long)l->address);
    return (sonde_str){ room, n > 0 ? (size_t)n : 0 };
}

/* ---- life ---- */

/* Makes element 0 of each array, which stands for none. */
static bool reserve_none(profile *p)
{
    const profile_mapping none = { 0 };

    p->strings =
        sonde_array_room(NULL, 0, &p->strings_cap, sizeof(*p->strings), PROFILE_STRINGS_MAX);
    p->functions =
        sonde_array_room(NULL, 0, &p->functions_cap, sizeof(*p->functions), PROFILE_FUNCTIONS_MAX);
    p->locations =
        sonde_array_room(NULL, 0, &p->locations_cap, sizeof(*p->locations), PROFILE_LOCATIONS_MAX);
    p->nodes = sonde_array_room(NULL, 0, &p->nodes_cap, sizeof(*p->nodes), PROFILE_NODES_MAX);
    if (!p->strings || !p->functions || !p->locations || !p->nodes)
        return false;
    p->strings_len = p->functions_len = p->locations_len = p->nodes_len = 1;
    (void)profile_add_mapping(p, &none);
    (void)profile_add_mapping(p, &none); /* PROFILE_MAP_SYNTHETIC */
    (void)profile_add_thread(p, 0, 0);
    return p->mappings_len == 2 && p->threads_len == 1;
}

sonde_status profile_open(profile **out_profile)
{
    profile *p = sonde_calloc(1, sizeof(*p));

    if (!p)
        return SONDE_ERR_NOMEM;
    p->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1;
    sonde_arena_init(&p->text, PROFILE_TEXT_MAX_BYTES);
    if (!reserve_none(p)) {
        profile_close(p);
        return SONDE_ERR_NOMEM;
    }
    *out_profile = p;
    return SONDE_OK;
}

static size_t index_bytes(const sonde_id_index *x)
{
    return x->slots_len * sizeof(*x->slots);
}

size_t profile_bytes(const profile *p)
{
    return sizeof(*p) + p->text.held_bytes + p->strings_cap * sizeof(*p->strings) +
           p->mappings_cap * sizeof(*p->mappings) + p->functions_cap * sizeof(*p->functions) +
           p->lines_cap * sizeof(*p->lines) + p->locations_cap * sizeof(*p->locations) +
           p->nodes_cap * sizeof(*p->nodes) + p->threads_cap * sizeof(*p->threads) +
           (p->samples_cap + p->live_cap) * sizeof(*p->samples) +
           p->endpoints_cap * sizeof(*p->endpoints) + index_bytes(&p->string_index) +
           index_bytes(&p->function_index) + index_bytes(&p->location_index) +
           index_bytes(&p->node_index) + index_bytes(&p->sample_index) +
           index_bytes(&p->endpoint_index);
}

void profile_close(profile *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->mappings_len; i++)
        symbol_object_put(p->mappings[i].object);
    sonde_id_index_done(&p->string_index);
    sonde_id_index_done(&p->function_index);
    sonde_id_index_done(&p->location_index);
    sonde_id_index_done(&p->node_index);
    sonde_id_index_done(&p->sample_index);
    sonde_id_index_done(&p->endpoint_index);
    sonde_free(p->strings);
    sonde_free(p->mappings);
    sonde_free(p->functions);
    sonde_free(p->lines);
    sonde_free(p->locations);
    sonde_free(p->nodes);
    sonde_free(p->threads);
    sonde_free(p->samples);
    sonde_free(p->live);
    sonde_free(p->endpoints);
    sonde_arena_done(&p->text);
    sonde_free(p);
}
