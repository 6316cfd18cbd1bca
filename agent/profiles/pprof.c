/* pprof.c - rows, then what they refer to, then the strings of it all.
 *
 * Ids of the message are given in the order of first use, so only what is used is written.
 */
#include "pprof.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/pprof_write.h"
#include "spb.h"

/* Ids of the profile to those of the message, in the order of first use. */
typedef struct id_map {
    uint32_t *given; /* by id of the profile; 0: not used yet */
    uint32_t *order; /* the used ones */
    uint32_t ids;    /* of the profile */
    uint32_t len;
} id_map;

enum label_key {
    KEY_END,
    KEY_SPAN,
    KEY_ROOT,
    KEY_ENDPOINT,
    KEY_TYPE,
    KEY_THREAD_ID,
    KEY_NATIVE_ID,
    KEY_THREAD_NAME,
    KEY_STATE,
    KEY_LOCK,
    KEY_LOCK_TYPE,
    KEY_EXCEPTION,
    KEY_IO,
    KEY_DD_THREAD_NAME,
    KEY_PROCESS_ID,
    KEY_PROCESS_NAME,
    KEY_CONTAINER,
    KEYS
};

static const char *const key_names[KEYS] = {
    [KEY_END] = "end_timestamp_ns",
    [KEY_SPAN] = "span id",
    [KEY_ROOT] = "local root span id",
    [KEY_ENDPOINT] = "trace endpoint",
    [KEY_TYPE] = "trace type",
    [KEY_THREAD_ID] = "thread id",
    [KEY_NATIVE_ID] = "thread native id",
    [KEY_THREAD_NAME] = "thread name",
    [KEY_STATE] = "thread state",
    [KEY_LOCK] = "lock name",
    [KEY_LOCK_TYPE] = "lock type",
    [KEY_EXCEPTION] = "exception type",
    [KEY_IO] = "io operation",
    [KEY_DD_THREAD_NAME] = "thread_name",
    [KEY_PROCESS_ID] = "process_id",
    [KEY_PROCESS_NAME] = "process_name",
    [KEY_CONTAINER] = "container_id",
};

typedef struct encoder {
    profile *p;
    const pprof_options *o;
    sonde_buf *out;
    id_map strings, mappings, functions, locations;
    uint32_t *location_first; /* id of the message of a location's innermost function */
    uint32_t next_location;
    profile_column columns[PROFILE_COLUMNS_MAX];
    size_t columns_len;
    int64_t floor[PROFILE_COLUMNS_MAX]; /* rows below in every column go into [other] */
    uint32_t keys[KEYS];
    uint32_t process_id, process_name, container; /* strings */
    unsigned labels;                              /* of the row that is being written */
} encoder;

static bool map_open(id_map *m, uint32_t ids)
{
    m->ids = ids;
    m->given = sonde_calloc(ids ? ids : 1, sizeof(*m->given));
    m->order = sonde_calloc(ids ? ids : 1, sizeof(*m->order));
    return m->given && m->order;
}

static void map_done(id_map *m)
{
    sonde_free(m->given);
    sonde_free(m->order);
}

static uint32_t map_id(id_map *m, uint32_t id)
{
    if (!m->given[id]) {
        m->order[m->len++] = id;
        m->given[id] = m->len;
    }
    return m->given[id];
}

/* ---- strings ---- */

/* The message's index of a string of the profile; 0 stands for "" in both. */
static uint32_t string_index(encoder *e, uint32_t string)
{
    return string ? map_id(&e->strings, string) : 0;
}

static void write_value_type(encoder *e, uint32_t field, sonde_str type, sonde_str unit)
{
    uint32_t type_text = string_index(e, profile_string(e->p, type));
    uint32_t unit_text = string_index(e, profile_string(e->p, unit));

    sonde_pprof_put_type(e->out, field, type_text, unit_text);
}

/* ---- labels ---- */

static void label_str(encoder *e, enum label_key key, uint32_t string)
{
    uint32_t text;

    if (!string || e->labels == PROFILE_LABELS_MAX)
        return;
    e->labels++;
    text = string_index(e, e->keys[key]);
    sonde_pprof_put_text_label(e->out, text, string_index(e, string));
}

static void label_num(encoder *e, enum label_key key, uint64_t v)
{
    if (!v || e->labels == PROFILE_LABELS_MAX)
        return;
    e->labels++;
    sonde_pprof_put_number_label(e->out, string_index(e, e->keys[key]), v, 0);
}

static uint32_t name_of(encoder *e, const char *const *names, size_t len, uint8_t which)
{
    return profile_string(e->p, which < len ? sonde_str_from(names[which]) : SONDE_STR("other"));
}

static void label_kind(encoder *e, const profile_sample *s)
{
    static const char *const states[] = { "running", "io",   "lock",   "sleep",
                                          "poll",    "wait", "blocked" };
    static const char *const locks[] = { "mutex", "rwlock read", "rwlock write",
                                         "spin",  "condition",   "semaphore" };
    static const char *const io[] = { "read", "write", "sync", "connect", "accept" };

    switch (s->kind) {
    case PROFILE_WALL:
        label_str(e, KEY_STATE, name_of(e, states, sizeof(states) / sizeof(states[0]), s->detail));
        break;
    case PROFILE_LOCK:
    case PROFILE_RELEASE:
        label_str(e, KEY_LOCK, s->text);
        label_str(e, KEY_LOCK_TYPE, name_of(e, locks, sizeof(locks) / sizeof(locks[0]), s->detail));
        break;
    case PROFILE_EXCEPTION:
        label_str(e, KEY_EXCEPTION, s->text);
        break;
    case PROFILE_SOCKET_READ:
    case PROFILE_SOCKET_WRITE:
    case PROFILE_FILE_READ:
    case PROFILE_FILE_WRITE:
        label_str(e, KEY_IO, name_of(e, io, sizeof(io) / sizeof(io[0]), s->detail));
        break;
    default:
        break;
    }
}

/* Most telling first: what is beyond the ceiling is left out. */
static void write_labels(encoder *e, const profile_sample *s)
{
    const profile_endpoint *endpoint = profile_endpoint_of(e->p, s->local_root_id);
    const profile_thread *t = &e->p->threads[s->thread];

    e->labels = 0;
    if (!e->o->no_timeline)
        label_num(e, KEY_END, (uint64_t)s->end_unix_ns);
    label_num(e, KEY_SPAN, s->span_id);
    label_num(e, KEY_ROOT, s->local_root_id);
    if (endpoint) {
        label_str(e, KEY_ENDPOINT, endpoint->endpoint);
        label_str(e, KEY_TYPE, endpoint->type);
    }
    label_num(e, KEY_THREAD_ID, t->tid);
    label_str(e, KEY_THREAD_NAME, t->name);
    label_kind(e, s);
    label_num(e, KEY_NATIVE_ID, t->tid);
    label_str(e, KEY_DD_THREAD_NAME, t->name);
    label_str(e, KEY_PROCESS_ID, e->process_id);
    label_str(e, KEY_PROCESS_NAME, e->process_name);
    label_str(e, KEY_CONTAINER, e->container);
}

/* ---- rows ---- */

static bool is_split(const encoder *e, const profile_location *l)
{
    return !e->o->inlines_in_one && l->lines_len > 1;
}

static void put_location(encoder *e, uint32_t location)
{
    const profile_location *l = &e->p->locations[location];
    uint32_t parts = is_split(e, l) ? l->lines_len : 1;

    if (!e->locations.given[location]) {
        (void)map_id(&e->locations, location);
        e->location_first[location] = e->next_location;
        e->next_location += parts;
    }
    for (uint32_t i = 0; i < parts; i++)
        sonde_pb_packed(e->out, e->location_first[location] + i);
}

static void write_stack(encoder *e, uint32_t node)
{
    uint32_t max = e->o->max_depth ? e->o->max_depth : PROFILE_DEPTH_MAX;
    size_t mark = sonde_pb_begin(e->out, SONDE_PPROF_SAMPLE_LOCATIONS);

    for (; node && max > 0; node = e->p->nodes[node].parent, max--)
        put_location(e, e->p->nodes[node].location);
    if (node)
        put_location(e, profile_location_of(e->p, PROFILE_MAP_SYNTHETIC, PROFILE_TRUNCATED));
    sonde_pb_end(e->out, mark);
}

static void write_values(encoder *e, const profile_sample *s)
{
    size_t mark = sonde_pb_begin(e->out, SONDE_PPROF_SAMPLE_VALUES);

    for (size_t i = 0; i < e->columns_len; i++)
        sonde_pb_packed(e->out, (uint64_t)profile_value(&e->columns[i], s));
    sonde_pb_end(e->out, mark);
}

static bool is_small(const encoder *e, const profile_sample *s)
{
    for (size_t i = 0; i < e->columns_len; i++) {
        if (profile_value(&e->columns[i], s) > e->floor[i])
            return false;
    }
    return true;
}

static void write_row(encoder *e, const profile_sample *s)
{
    size_t mark = sonde_pb_begin(e->out, SONDE_PPROF_SAMPLE);

    write_stack(e, s->node);
    write_values(e, s);
    write_labels(e, s);
    sonde_pb_end(e->out, mark);
}

static int by_labels(const void *av, const void *bv)
{
    const profile_sample *a = av, *b = bv;

#define COMPARE(field)                                                                             \
    if (a->field != b->field)                                                                      \
        return a->field < b->field ? -1 : 1;
    COMPARE(kind)
    COMPARE(node)
    COMPARE(thread)
    COMPARE(span_id)
    COMPARE(local_root_id)
    COMPARE(text)
    COMPARE(detail)
#undef COMPARE
    return 0;
}

/* Rows that differ in time only, in one: in place. */
static void sum_up_rows(profile_sample *rows, uint32_t *len)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *len; i++)
        rows[i].end_unix_ns = 0;
    qsort(rows, *len, sizeof(*rows), by_labels);
    for (uint32_t i = 0; i < *len; i++) {
        if (kept && by_labels(&rows[kept - 1], &rows[i]) == 0)
            profile_sum_up(&rows[kept - 1], &rows[i]);
        else
            rows[kept++] = rows[i];
    }
    *len = kept;
}

/* What is too small to tell goes into one row of each kind. */
static void gather_small(encoder *e, profile_sample *rows, uint32_t *len)
{
    profile_sample other[PROFILE_KINDS] = { 0 };
    uint32_t kept = 0;
    uint32_t node =
        profile_node_of(e->p, 0, profile_location_of(e->p, PROFILE_MAP_SYNTHETIC, PROFILE_OTHER));

    for (uint32_t i = 0; i < *len; i++) {
        if (rows[i].kind != PROFILE_CUSTOM && is_small(e, &rows[i]))
            profile_sum_up(&other[rows[i].kind], &rows[i]);
        else
            rows[kept++] = rows[i];
    }
    for (uint8_t k = 0; k < PROFILE_KINDS && kept < *len; k++) {
        other[k].kind = k;
        other[k].node = node;
        if (other[k].events || other[k].value[0])
            rows[kept++] = other[k];
    }
    *len = kept;
}

static void find_floors(encoder *e, const profile_sample *rows, uint32_t len)
{
    for (size_t c = 0; c < e->columns_len; c++) {
        double total = 0;

        for (uint32_t i = 0; i < len; i++)
            total += (double)profile_value(&e->columns[c], &rows[i]);
        e->floor[c] = (int64_t)(total / e->o->cut_share);
    }
}

/* The rows as they are to be written, in memory of their own when they are not those of the profile. */
static void write_rows(encoder *e, const profile_sample *from, uint32_t len)
{
    profile_sample *own = NULL;

    if ((e->o->no_timeline || e->o->cut_share) && len) {
        own = sonde_malloc(len * sizeof(*own));
        if (!own) {
            e->out->status = SONDE_ERR_NOMEM;
            return;
        }
        memcpy(own, from, len * sizeof(*own));
        if (e->o->no_timeline)
            sum_up_rows(own, &len);
        if (e->o->cut_share) {
            find_floors(e, own, len);
            gather_small(e, own, &len);
        }
    }
    for (uint32_t i = 0; i < len; i++)
        write_row(e, own ? &own[i] : &from[i]);
    sonde_free(own);
}

/* ---- what rows refer to ---- */

static uint32_t function_id(encoder *e, uint32_t function)
{
    return function ? map_id(&e->functions, function) : 0;
}

/* A frame that is no address has its name in a function of that name. */
static uint32_t synthetic_function(encoder *e, uint32_t location)
{
    char room[512];
    const profile_function f = { .name = profile_string(
                                     e->p, profile_fallback_name(e->p, location, room)) };

    return profile_function_of(e->p, &f);
}

static void write_line(encoder *e, uint32_t function, uint32_t line)
{
    if (function)
        sonde_pprof_put_line(e->out, function_id(e, function), line);
}

static void write_lines(encoder *e, uint32_t location, uint32_t from, uint32_t len)
{
    const profile_location *l = &e->p->locations[location];

    if (l->mapping == PROFILE_MAP_SYNTHETIC) {
        write_line(e, synthetic_function(e, location), 0);
        return;
    }
    for (uint32_t i = from; i < from + len; i++)
        write_line(e, e->p->lines[l->lines_at + i].function, e->p->lines[l->lines_at + i].line);
}

static void write_location(encoder *e, uint32_t location, uint32_t part, uint32_t lines)
{
    const profile_location *l = &e->p->locations[location];
    uint32_t mapping = l->mapping > PROFILE_MAP_SYNTHETIC || profile_location_is_kernel(l)
                           ? map_id(&e->mappings, l->mapping)
                           : 0;
    size_t mark = sonde_pprof_begin_location(e->out, e->location_first[location] + part, mapping,
                                             l->mapping != PROFILE_MAP_SYNTHETIC ? l->address : 0);

    write_lines(e, location, part, lines);
    sonde_pb_end(e->out, mark);
}

static void write_locations(encoder *e)
{
    for (uint32_t i = 0; i < e->locations.len; i++) {
        uint32_t location = e->locations.order[i];
        const profile_location *l = &e->p->locations[location];

        if (!is_split(e, l)) {
            write_location(e, location, 0, l->lines_len);
            continue;
        }
        for (uint32_t part = 0; part < l->lines_len; part++)
            write_location(e, location, part, 1);
    }
}

static void write_functions(encoder *e)
{
    for (uint32_t i = 0; i < e->functions.len; i++) {
        const profile_function *f = &e->p->functions[e->functions.order[i]];
        sonde_pprof_function out = { .id = i + 1, .start_line = f->start_line };

        out.name = string_index(e, f->name); /* texts are numbered in this order */
        out.system_name = string_index(e, f->system_name);
        out.file = string_index(e, f->file);
        sonde_pprof_put_function(e->out, &out);
    }
}

static void write_mapping(encoder *e, uint32_t id, const profile_mapping *m)
{
    sonde_pprof_mapping out = { .id = id,
                                .start = m->start,
                                .limit = m->start + m->length,
                                .file_offset = m->file_offset,
                                .has_functions = m->has_functions,
                                .has_files = m->has_lines,
                                .has_lines = m->has_lines,
                                .has_inlines = m->has_inlines };

    out.file = string_index(e, m->path);
    out.build_id = string_index(e, m->build_id);
    sonde_pprof_put_mapping(e->out, &out);
}

/* The main executable is the first one, used or not. */
static void give_main_first(encoder *e)
{
    for (uint32_t i = PROFILE_MAP_SYNTHETIC + 1; i < e->p->mappings_len; i++) {
        if (e->p->mappings[i].flags & SPB_MAPPING_MAIN) {
            (void)map_id(&e->mappings, i);
            return;
        }
    }
}

static void write_mappings(encoder *e)
{
    for (uint32_t i = 0; i < e->mappings.len; i++)
        write_mapping(e, i + 1, &e->p->mappings[e->mappings.order[i]]);
}

static void write_strings(encoder *e)
{
    sonde_pb_str_always(e->out, SONDE_PPROF_TEXT, SONDE_STR(""));
    for (uint32_t i = 0; i < e->strings.len; i++)
        sonde_pb_str_always(e->out, SONDE_PPROF_TEXT, profile_text(e->p, e->strings.order[i]));
}

/* ---- the message ---- */

static sonde_str default_type(const encoder *e)
{
    for (size_t i = 0; i < e->columns_len; i++) {
        if (sonde_str_eq(e->columns[i].unit, SONDE_STR("nanoseconds")))
            return e->columns[i].type;
    }
    return e->columns_len ? e->columns[0].type : SONDE_STR("");
}

static void write_head(encoder *e)
{
    e->columns_len = profile_columns(e->p, e->columns);
    for (size_t i = 0; i < e->columns_len; i++)
        write_value_type(e, SONDE_PPROF_SAMPLE_TYPE, e->columns[i].type, e->columns[i].unit);
    sonde_pb_int64(e->out, SONDE_PPROF_TIME, e->o->start_unix_ns);
    sonde_pb_varint(e->out, SONDE_PPROF_DURATION, e->o->duration_ns);
    write_value_type(e, SONDE_PPROF_PERIOD_TYPE, SONDE_STR("cpu-time"), SONDE_STR("nanoseconds"));
    sonde_pb_varint(e->out, SONDE_PPROF_PERIOD, e->p->cpu_period_ns);
    sonde_pb_varint(e->out, SONDE_PPROF_DEFAULT_TYPE,
                    string_index(e, profile_string(e->p, default_type(e))));
}

/* As perf names it; of what has no place, only the kernel's code is given this mapping. */
static void name_kernel(profile *p)
{
    profile_mapping *m = &p->mappings[PROFILE_MAP_SYNTHETIC];

    m->path = profile_string(p, SONDE_STR("[kernel.kallsyms]"));
    m->has_functions = true;
}

/* Everything that will be interned while rows are written, so that ids fit the maps. */
static void intern_words(encoder *e)
{
    static const char *const words[] = {
        "running",   "io",       "lock",        "sleep",        "poll",    "wait",
        "blocked",   "mutex",    "rwlock read", "rwlock write", "spin",    "condition",
        "semaphore", "read",     "write",       "sync",         "connect", "accept",
        "other",     "cpu-time", "nanoseconds", "count",        "bytes",
    };
    profile_column columns[PROFILE_COLUMNS_MAX];
    size_t len = profile_columns(e->p, columns);

    for (size_t i = 0; i < KEYS; i++)
        e->keys[i] = profile_string(e->p, sonde_str_from(key_names[i]));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        (void)profile_string(e->p, sonde_str_from(words[i]));
    for (size_t i = 0; i < len; i++)
        (void)profile_string(e->p, columns[i].type);
    e->process_id = profile_string(e->p, e->o->process_id);
    e->process_name = profile_string(e->p, e->o->process_name);
    e->container = profile_string(e->p, e->o->container_id);
    (void)profile_location_of(e->p, PROFILE_MAP_SYNTHETIC, PROFILE_TRUNCATED);
    (void)profile_location_of(e->p, PROFILE_MAP_SYNTHETIC, PROFILE_OTHER);
    for (uint32_t i = 1; i < e->p->locations_len; i++) {
        if (e->p->locations[i].mapping == PROFILE_MAP_SYNTHETIC)
            (void)synthetic_function(e, i);
        if (profile_location_is_kernel(&e->p->locations[i]))
            name_kernel(e->p);
    }
}

static bool open_maps(encoder *e)
{
    bool ok = map_open(&e->strings, e->p->strings_len) &&
              map_open(&e->mappings, e->p->mappings_len) &&
              map_open(&e->functions, e->p->functions_len) &&
              map_open(&e->locations, e->p->locations_len);

    e->location_first = sonde_calloc(e->p->locations_len, sizeof(*e->location_first));
    return ok && e->location_first;
}

sonde_status pprof_encode(profile *p, const pprof_options *options, sonde_buf *out)
{
    encoder e = { .p = p, .o = options, .out = out, .next_location = 1 };

    intern_words(&e);
    if (!open_maps(&e)) {
        out->status = SONDE_ERR_NOMEM;
    } else {
        give_main_first(&e);
        write_head(&e);
        write_rows(&e, p->samples, p->samples_len);
        write_rows(&e, p->live, p->live_len);
        write_locations(&e);
        write_functions(&e);
        write_mappings(&e);
        write_strings(&e);
    }
    map_done(&e.strings);
    map_done(&e.mappings);
    map_done(&e.functions);
    map_done(&e.locations);
    sonde_free(e.location_first);
    return out->status;
}

bool pprof_has_unknown(const profile *p)
{
    for (uint32_t i = 1; i < p->locations_len; i++) {
        const profile_location *l = &p->locations[i];

        if (l->lines_len == 0 && p->mappings[l->mapping].build_id)
            return true;
    }
    return false;
}
