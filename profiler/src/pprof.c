/* pprof.c - rows to samples, nodes to locations, names to functions, all texts to one table. */
#include "pprof.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/table.h"
#include "codec/pprof_write.h"

#include "code.h"
#include "maps.h"
#include "waits.h"

#define SHALLOW_FRAMES 128u
#define COARSE_SHARE   10000u
#define TEXTS_MAX      262144u
#define COLUMNS_MAX    32

/* What a column shows of which kind of row.  `value` -1: events, else value[value]. */
typedef struct column {
    uint32_t kind; /* 0: of the live heap */
    int value;
    const char *type;
    const char *unit;
    unsigned io; /* of I/O: which, see io_of() */
} column;

/* clang-format off */
#define IO_COLUMNS(name, io)                                             \
    { SONDE_PROF__IO, 1, name "-time", "nanoseconds", io },              \
    { SONDE_PROF__IO, 0, name "-time-samples", "count", io },            \
    { SONDE_PROF__IO, 2, name "-size", "bytes", io },                    \
    { SONDE_PROF__IO, 0, name "-size-samples", "count", io }
/* clang-format on */

static const column columns[] = {
    { SONDE_PROF__CPU, -1, "cpu-samples", "count", 0 },
    { SONDE_PROF__CPU, 0, "cpu-time", "nanoseconds", 0 },
    { SONDE_PROF__WALL, -1, "wall-samples", "count", 0 },
    { SONDE_PROF__WALL, 0, "wall-time", "nanoseconds", 0 },
    { SONDE_PROF__ALLOC, 0, "alloc-samples", "count", 0 },
    { SONDE_PROF__ALLOC, 1, "alloc-space", "bytes", 0 },
    { 0, 0, "inuse-objects", "count", 0 },
    { 0, 1, "inuse-space", "bytes", 0 },
    { SONDE_PROF__LOCK, 0, "lock-acquire", "count", 0 },
    { SONDE_PROF__LOCK, 1, "lock-acquire-wait", "nanoseconds", 0 },
    { SONDE_PROF__RELEASE, 0, "lock-release", "count", 0 },
    { SONDE_PROF__RELEASE, 1, "lock-release-wait", "nanoseconds", 0 },
    { SONDE_PROF__EXCEPTION, 0, "exception-samples", "count", 0 },
    IO_COLUMNS("socket-read", 0),
    IO_COLUMNS("socket-write", 1),
    IO_COLUMNS("file-io-read", 2),
    IO_COLUMNS("file-io-write", 3),
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

_Static_assert(COLUMNS <= COLUMNS_MAX, "room for all");

/* In the order of the format's numbers. */
static const char *const states[] = { "running", "io", "lock", "sleep", "poll", "wait", "blocked" };
static const char *const locks[] = { "mutex", "rwlock read", "rwlock write",
                                     "spin",  "condition",   "semaphore" };
static const char *const operations[] = { "read", "write", "sync", "connect", "accept" };
static const char *const synthetic[] = {
    "",       "[truncated]", "[unwind failure]", "[unknown mapping]", "[incomplete]",
    "[lost]", "[kernel]",    "[other]",          "<frames omitted>"
};

typedef struct writer {
    sonde_prof__pprof *p;
    sonde_prof__pprof_step step;
    sonde_buf *out;
    sonde_table texts;           /* number + 1; 0 is "" */
    sonde_table functions;       /* name -> id */
    sonde_prof__trie places;     /* map and address -> location */
    uint8_t *maps;               /* owned; by id: is mentioned */
    sonde_prof__endpoint *roots; /* owned; by hash of the local root, 0 free */
    uint32_t roots_mask;
    const column *shown[COLUMNS_MAX];
    uint32_t shown_len;
    bool has_kernel;
    bool no_memory;
} writer;

/* -- texts ------------------------------------------------------------------------------------------ */

static uint64_t intern(writer *w, sonde_table *t, sonde_str s)
{
    uintptr_t number;

    if (s.len == 0)
        return 0;
    number = (uintptr_t)sonde_table_get(t, s);
    if (number)
        return number;
    number = t->count + 1;
    if (sonde_table_put(t, s, (void *)number) != SONDE_OK) {
        w->no_memory = true;
        return 0;
    }
    return number;
}

static uint64_t text(writer *w, sonde_str s)
{
    return intern(w, &w->texts, s);
}

static uint64_t word(writer *w, const char *s)
{
    return text(w, sonde_str_from(s));
}

static void put_texts(writer *w)
{
    size_t cursor = 0;
    const sonde_table_entry *e;

    sonde_pb_str_always(w->out, SONDE_PPROF_TEXT, (sonde_str){ NULL, 0 });
    while ((e = sonde_table_next(&w->texts, &cursor)) != NULL)
        sonde_pb_str_always(w->out, SONDE_PPROF_TEXT, e->key);
}

/* -- columns ---------------------------------------------------------------------------------------- */

static void put_type(writer *w, uint32_t field, const char *type, const char *unit)
{
    uint64_t type_text = word(w, type);

    sonde_pprof_put_type(w->out, field, type_text, word(w, unit));
}

static void choose_columns(writer *w)
{
    size_t i;

    for (i = 0; i < COLUMNS; i++) {
        const column *c = &columns[i];

        if (c->kind ? !(w->p->kinds & 1u << c->kind) : !w->p->living)
            continue;
        w->shown[w->shown_len++] = c;
        put_type(w, SONDE_PPROF_SAMPLE_TYPE, c->type, c->unit);
    }
}

/* Reading or writing, of sockets or of anything else. */
static unsigned io_of(const sonde_prof__tally *r)
{
    uint32_t operation = r->key.extra[0], class = r->key.extra[1];
    bool writes = operation == SONDE_PROF__IO_WRITE || operation == SONDE_PROF__IO_SYNC ||
                  operation == SONDE_PROF__IO_CONNECT;

    return (class == SONDE_PROF__IO_SOCKET ? 0u : 2u) + (writes ? 1u : 0u);
}

static uint64_t value_of(const column *c, const sonde_prof__tally *r)
{
    if (c->kind != r->key.kind || (c->kind == SONDE_PROF__IO && c->io != io_of(r)))
        return 0;
    if (c->value < 0)
        return r->events;
    if (c->kind == SONDE_PROF__ALLOC && c->value == 0)
        return sonde_prof__round_256(r->value[0]);
    return r->value[c->value] > 0 ? (uint64_t)r->value[c->value] : 0;
}

/* -- stacks ----------------------------------------------------------------------------------------- */

static bool is_kernel(uint32_t map, uint64_t vaddr)
{
    return map == SONDE_PROF__SYNTHETIC &&
           (vaddr == SONDE_PROF__FRAME_KERNEL || vaddr >= SONDE_PROF__FRAME_KERNEL_SYMBOL);
}

static uint32_t place_of(writer *w, uint32_t map, uint64_t vaddr)
{
    uint32_t place = sonde_prof__trie_child(&w->places, 0, map, vaddr);

    if (is_kernel(map, vaddr))
        w->has_kernel = true;
    if (map >= SONDE_PROF__FIRST_MAP && map - SONDE_PROF__FIRST_MAP < sonde_prof__maps_len())
        w->maps[map - SONDE_PROF__FIRST_MAP] = 1;
    w->no_memory = w->no_memory || place == 0;
    return place;
}

/* The innermost first. */
static uint32_t stack_of(writer *w, uint32_t node, uint32_t out[SONDE_PROF__PPROF_FRAMES])
{
    uint32_t max = w->step >= SONDE_PROF__PPROF_SHALLOW ? SHALLOW_FRAMES : SONDE_PROF__PPROF_FRAMES;
    uint32_t len = 0;
    const sonde_prof__node *n;

    while ((n = sonde_prof__trie_node(&w->p->dict->trie, node)) != NULL) {
        if (len == max - 1 && n->parent != 0) {
            out[len++] = place_of(w, SONDE_PROF__SYNTHETIC, SONDE_PROF__FRAME_TRUNCATED);
            break;
        }
        out[len++] = place_of(w, n->map, n->vaddr);
        node = n->parent;
    }
    return len;
}

/* -- labels ----------------------------------------------------------------------------------------- */

static void label_text(writer *w, const char *key, sonde_str value)
{
    uint64_t key_text = value.len ? word(w, key) : 0;

    if (value.len)
        sonde_pprof_put_text_label(w->out, key_text, text(w, value));
}

static void label_number(writer *w, const char *key, uint64_t value)
{
    if (value)
        sonde_pprof_put_number_label(w->out, word(w, key), value, 0);
}

static void label_thread(writer *w, uint32_t number)
{
    const sonde_prof__dict *d = w->p->dict;
    sonde_str name;

    if (number == 0 || number > d->threads_len)
        return;
    name = sonde_prof__dict_text(d, d->threads[number - 1].name);
    label_number(w, "thread id", d->threads[number - 1].tid);
    label_number(w, "thread native id", d->threads[number - 1].tid);
    label_text(w, "thread name", name);
    label_text(w, "thread_name", name);
}

static uint32_t endpoint_slot(const writer *w, uint64_t local_root_id)
{
    uint32_t at = (uint32_t)sonde_hash(0, &local_root_id, sizeof(local_root_id)) & w->roots_mask;

    while (w->roots[at].local_root_id && w->roots[at].local_root_id != local_root_id)
        at = (at + 1) & w->roots_mask;
    return at;
}

/* The last report counts: the resource may have been set late. */
static void index_endpoints(writer *w)
{
    uint32_t len = 16, i;

    while (len < w->p->endpoints_len * 2)
        len *= 2;
    w->roots = (sonde_prof__endpoint *)sonde_calloc(len, sizeof(*w->roots));
    w->roots_mask = len - 1;
    w->no_memory = w->no_memory || !w->roots;
    for (i = 0; w->roots && i < w->p->endpoints_len; i++)
        if (w->p->endpoints[i].local_root_id != 0)
            w->roots[endpoint_slot(w, w->p->endpoints[i].local_root_id)] = w->p->endpoints[i];
}

static sonde_str endpoint_of(const writer *w, uint64_t local_root_id)
{
    if (!w->roots || local_root_id == 0)
        return (sonde_str){ NULL, 0 };
    return sonde_prof__dict_text(w->p->dict, w->roots[endpoint_slot(w, local_root_id)].resource);
}

static void label_context(writer *w, uint32_t number)
{
    const sonde_prof__context *c = sonde_prof__dict_find_context(w->p->dict, number);

    if (!c)
        return;
    label_number(w, "span id", c->span_id);
    label_number(w, "local root span id", c->local_root_id);
    label_text(w, "trace endpoint", endpoint_of(w, c->local_root_id));
}

static void label_lock(writer *w, const sonde_prof__tally *r)
{
    uint32_t kind = r->key.extra[1];

    label_text(w, "lock name", sonde_prof__dict_text(w->p->dict, r->key.extra[0]));
    if (kind < sizeof(locks) / sizeof(locks[0]))
        label_text(w, "lock type", sonde_str_from(locks[kind]));
}

static void label_extra(writer *w, const sonde_prof__tally *r)
{
    const sonde_prof__dict *d = w->p->dict;

    if (r->key.kind == SONDE_PROF__WALL && r->key.extra[0] < sizeof(states) / sizeof(states[0]))
        label_text(w, "thread state", sonde_str_from(states[r->key.extra[0]]));
    else if (r->key.kind == SONDE_PROF__LOCK || r->key.kind == SONDE_PROF__RELEASE)
        label_lock(w, r);
    else if (r->key.kind == SONDE_PROF__IO &&
             r->key.extra[0] < sizeof(operations) / sizeof(operations[0]))
        label_text(w, "io operation", sonde_str_from(operations[r->key.extra[0]]));
    else if (r->key.kind == SONDE_PROF__EXCEPTION)
        label_text(w, "exception type", sonde_prof__dict_text(d, r->key.extra[0]));
}

/* -- samples ---------------------------------------------------------------------------------------- */

static void put_stack(writer *w, uint32_t node)
{
    uint32_t stack[SONDE_PROF__PPROF_FRAMES], len = stack_of(w, node, stack), i;
    size_t mark = sonde_pb_begin(w->out, SONDE_PPROF_SAMPLE_LOCATIONS);

    for (i = 0; i < len; i++)
        sonde_pb_packed(w->out, stack[i]);
    sonde_pb_end(w->out, mark);
}

static void put_values(writer *w, const sonde_prof__tally *r)
{
    size_t mark = sonde_pb_begin(w->out, SONDE_PPROF_SAMPLE_VALUES);
    uint32_t i;

    for (i = 0; i < w->shown_len; i++)
        sonde_pb_packed(w->out, value_of(w->shown[i], r));
    sonde_pb_end(w->out, mark);
}

static void put_sample(writer *w, const sonde_prof__tally *r, uint32_t node)
{
    size_t mark = sonde_pb_begin(w->out, SONDE_PPROF_SAMPLE);
    char pid[SONDE_U64_MAX_LEN];

    put_stack(w, node);
    put_values(w, r);
    label_thread(w, r->key.thread);
    label_text(w, "process_id", (sonde_str){ pid, sonde_format_u64(w->p->pid, pid) });
    label_text(w, "process_name", w->p->process_name);
    label_context(w, r->key.context);
    label_extra(w, r);
    if (r->timed && w->step == SONDE_PROF__PPROF_WHOLE)
        label_number(w, "end_timestamp_ns", r->mono_ns + (uint64_t)w->p->time.mono_to_unix);
    sonde_pb_end(w->out, mark);
}

/* All that lives now: no thread, no span, no time. */
static void put_living(writer *w)
{
    const sonde_prof__living *l = w->p->living;
    uint32_t i;

    for (i = 0; l && i < l->len; i++) {
        const sonde_prof__tally row = {
            .value = { (int64_t)l->rows[i].objects, (int64_t)l->rows[i].bytes, 0 },
        };

        put_sample(w, &row, l->rows[i].node);
    }
}

static int by_key(const void *x, const void *y)
{
    const sonde_prof__tally *a = *(const sonde_prof__tally *const *)x;
    const sonde_prof__tally *b = *(const sonde_prof__tally *const *)y;

    return memcmp(&a->key, &b->key, sizeof(a->key));
}

static void add_up(sonde_prof__tally *sum, const sonde_prof__tally *r)
{
    unsigned i;

    sum->events += r->events;
    for (i = 0; i < 3; i++)
        sum->value[i] += r->value[i];
}

/* Whether all that rows like this one are worth is less than its share of every column. */
static bool is_small(const writer *w, const sonde_prof__tally *r, const uint64_t *totals)
{
    uint32_t i;

    for (i = 0; i < w->shown_len; i++) {
        uint64_t v = value_of(w->shown[i], r);

        if (v > 0 && v >= totals[i] / COARSE_SHARE)
            return false;
    }
    return true;
}

static void sum_columns(const writer *w, uint64_t *totals)
{
    uint32_t i, row;

    memset(totals, 0, COLUMNS_MAX * sizeof(*totals));
    for (row = 0; row < w->p->window->len; row++)
        for (i = 0; i < w->shown_len; i++)
            totals[i] += value_of(w->shown[i], &w->p->window->rows[row]);
}

static void put_sums(writer *w, const sonde_prof__tally **rows, uint32_t len)
{
    uint64_t totals[COLUMNS_MAX];
    uint32_t i = 0;

    sum_columns(w, totals);
    while (i < len) {
        sonde_prof__tally sum = *rows[i++];

        while (i < len && memcmp(&rows[i]->key, &sum.key, sizeof(sum.key)) == 0)
            add_up(&sum, rows[i++]);
        if (w->step == SONDE_PROF__PPROF_COARSE && is_small(w, &sum, totals)) {
            sum.key.context = 0;
            put_sample(w, &sum, w->p->dict->other);
        } else {
            put_sample(w, &sum, sum.key.node);
        }
    }
}

static bool is_shown(const writer *w, uint32_t kind)
{
    return w->p->kinds & 1u << kind;
}

static void put_samples(writer *w)
{
    const sonde_prof__window *from = w->p->window;
    const sonde_prof__tally **rows;
    uint32_t i, len = 0;

    if (w->step == SONDE_PROF__PPROF_WHOLE) {
        for (i = 0; i < from->len; i++)
            if (is_shown(w, from->rows[i].key.kind))
                put_sample(w, &from->rows[i], from->rows[i].key.node);
        return;
    }
    rows = (const sonde_prof__tally **)sonde_malloc((from->len + 1) * sizeof(*rows));
    if (!rows) {
        w->no_memory = true;
        return;
    }
    for (i = 0; i < from->len; i++)
        if (is_shown(w, from->rows[i].key.kind))
            rows[len++] = &from->rows[i];
    if (len > 0)
        qsort((void *)rows, len, sizeof(*rows), by_key);
    put_sums(w, rows, len);
    sonde_free((void *)rows);
}

/* -- places ----------------------------------------------------------------------------------------- */

/* `room`: where the name of generated code goes. */
static sonde_str name_of(writer *w, const sonde_prof__node *place,
                         char room[SONDE_PROF__CODE_NAME_MAX])
{
    const sonde_prof__loaded *object = sonde_prof__maps_by_id(place->map);

    if (place->map == SONDE_PROF__SYNTHETIC && place->vaddr >= SONDE_PROF__FRAME_KERNEL_SYMBOL)
        return sonde_prof__dict_text(w->p->dict,
                                     (uint32_t)(place->vaddr - SONDE_PROF__FRAME_KERNEL_SYMBOL));
    if (place->map == SONDE_PROF__SYNTHETIC)
        return sonde_str_from(place->vaddr < sizeof(synthetic) / sizeof(synthetic[0])
                                  ? synthetic[place->vaddr]
                                  : synthetic[SONDE_PROF__FRAME_KERNEL]);
    if (!object || (object->flags & SONDE_PROF__OBJECT_ANON))
        return (sonde_str){ room, sonde_prof__code_name(place->vaddr + (object ? object->bias : 0),
                                                        room) };
    return sonde_prof__symbols_find(w->p->symbols, object, place->vaddr);
}

/* Behind all objects. */
static uint32_t kernel_mapping(void)
{
    return sonde_prof__maps_len() + 1;
}

/* 0: none. */
static uint32_t mapping_of(const sonde_prof__node *place, const sonde_prof__loaded *object)
{
    if (object)
        return object->id - SONDE_PROF__FIRST_MAP + 1;
    return is_kernel(place->map, place->vaddr) ? kernel_mapping() : 0;
}

static void put_location(writer *w, uint32_t id)
{
    const sonde_prof__node *place = sonde_prof__trie_node(&w->places, id);
    const sonde_prof__loaded *object = sonde_prof__maps_by_id(place->map);
    char room[SONDE_PROF__CODE_NAME_MAX];
    sonde_str name = name_of(w, place, room);
    uint64_t function = intern(w, &w->functions, name);
    size_t mark =
        sonde_pprof_begin_location(w->out, id, mapping_of(place, object),
                                   place->map == SONDE_PROF__SYNTHETIC ? 0 : place->vaddr);

    if (function) {
        sonde_pprof_put_line(w->out, function, 0);
    } else if (object && object->build_id_len > 0) {
        w->p->unknown_frames = true;
    }
    sonde_pb_end(w->out, mark);
}

static void put_functions(writer *w)
{
    char room[SONDE_PROF__SYMBOL_MAX];
    size_t cursor = 0;
    const sonde_table_entry *e;

    while ((e = sonde_table_next(&w->functions, &cursor)) != NULL) {
        sonde_str readable = { room, sonde_prof__readable(e->key, room) };
        sonde_pprof_function fn = { .id = (uintptr_t)e->value };

        fn.name = text(w, readable);
        if (!sonde_str_eq(readable, e->key))
            fn.system_name = text(w, e->key);
        sonde_pprof_put_function(w->out, &fn);
    }
}

static void put_mapping(writer *w, const sonde_prof__loaded *l)
{
    char hex[2 * SONDE_PROF__BUILD_ID_MAX];
    sonde_pprof_mapping m = { .id = l->id - SONDE_PROF__FIRST_MAP + 1,
                              .start = l->start,
                              .limit = l->start + l->length,
                              .file_offset = l->file_offset,
                              .has_functions = true };

    sonde_hex_bytes(l->build_id, l->build_id_len, hex);
    m.file = text(w, l->path);
    m.build_id = text(w, (sonde_str){ hex, 2u * l->build_id_len });
    sonde_pprof_put_mapping(w->out, &m);
}

/* As perf names it. */
static void put_kernel_mapping(writer *w)
{
    const sonde_pprof_mapping m = { .id = kernel_mapping(),
                                    .file = word(w, "[kernel.kallsyms]"),
                                    .has_functions = true };

    sonde_pprof_put_mapping(w->out, &m);
}

/* The program first, then what is mentioned. */
static void put_mappings(writer *w)
{
    uint32_t i, pass;

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < sonde_prof__maps_len(); i++) {
            const sonde_prof__loaded *l = sonde_prof__maps_by_id(SONDE_PROF__FIRST_MAP + i);
            bool is_main = (l->flags & SONDE_PROF__OBJECT_MAIN) != 0;

            if (pass == 0 ? is_main : !is_main && w->maps[i])
                put_mapping(w, l);
        }
    }
    if (w->has_kernel)
        put_kernel_mapping(w);
}

/* -- all of it -------------------------------------------------------------------------------------- */

static void put_all(writer *w)
{
    const sonde_prof__pprof *p = w->p;
    uint32_t i;

    choose_columns(w);
    index_endpoints(w);
    put_samples(w);
    put_living(w);
    put_mappings(w);
    for (i = 1; i <= w->places.len; i++)
        put_location(w, i);
    put_functions(w);
    sonde_pb_int64(w->out, SONDE_PPROF_TIME, (int64_t)p->time.start_unix_ns);
    sonde_pb_int64(w->out, SONDE_PPROF_DURATION,
                   (int64_t)(p->time.end_unix_ns - p->time.start_unix_ns));
    if (p->cpu_period_ns) {
        put_type(w, SONDE_PPROF_PERIOD_TYPE, "cpu-time", "nanoseconds");
        sonde_pb_int64(w->out, SONDE_PPROF_PERIOD, (int64_t)p->cpu_period_ns);
    }
    put_texts(w);
}

sonde_status sonde_prof__pprof_write(sonde_prof__pprof *p, sonde_prof__pprof_step step,
                                     sonde_buf *out)
{
    writer w = { .p = p, .step = step, .out = out };

    p->unknown_frames = false;
    w.maps = (uint8_t *)sonde_calloc(sonde_prof__maps_len() + 1, 1);
    if (!w.maps)
        return SONDE_ERR_NOMEM;
    sonde_table_init(&w.texts, TEXTS_MAX);
    sonde_table_init(&w.functions, TEXTS_MAX);
    sonde_prof__trie_init(&w.places, SONDE_PROF__NODES_MAX);
    put_all(&w);
    sonde_table_done(&w.texts);
    sonde_table_done(&w.functions);
    sonde_prof__trie_done(&w.places);
    sonde_free(w.maps);
    sonde_free(w.roots);
    return w.no_memory ? SONDE_ERR_NOMEM : out->status;
}
