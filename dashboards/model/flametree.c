/* flametree.c - see flametree.h: which samples count, as which stacks, and what is summed up beside the tree. */
#include "dashboards/model/flametree.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/format.h"

#define STACK_MAX                                                                                  \
    (SONDE_PPROF_STACK_MAX * 4) /* with inlined functions; what is deeper is cut off */
#define TEXT_MAX     4096       /* of a name; what is longer is cut */
#define FIRST_FRAMES 256

#define INLINED (1u << 31) /* in a stack, beside the frame */

/* flametree_frame.matches */
enum {
    OBJECT_ASKED = 1,
    OBJECT_MATCHES = 2,
    FRAME_ASKED = 4,
    FRAME_MATCHES = 8,
};

/* ---- memory ---- */

/* Room for what is known of every frame of the tree. */
static bool fit_frames(flametree *f)
{
    size_t cap = f->frames_cap ? f->frames_cap : FIRST_FRAMES;
    size_t row = f->tree.columns * 2 * sizeof(*f->frame_values);
    flametree_frame *frames;
    int64_t *values;

    if (f->tree.frames_len <= f->frames_cap)
        return true;
    while (cap < f->tree.frames_len)
        cap *= 2;
    frames = (flametree_frame *)sonde_realloc(f->frames, cap * sizeof(*frames));
    if (frames)
        f->frames = frames;
    values = (int64_t *)sonde_realloc(f->frame_values, cap * row);
    if (values)
        f->frame_values = values;
    if (!frames || !values) {
        f->no_memory = true;
        return false;
    }
    memset(frames + f->frames_cap, 0, (cap - f->frames_cap) * sizeof(*frames));
    memset((char *)values + f->frames_cap * row, 0, (cap - f->frames_cap) * row);
    f->frames_cap = cap;
    return true;
}

static bool fit_ids(flametree *f, uint32_t **ids, size_t *cap, size_t len)
{
    if (len > *cap) {
        uint32_t *more = (uint32_t *)sonde_realloc(*ids, len * sizeof(**ids));

        if (!more) {
            f->no_memory = true;
            return false;
        }
        *ids = more;
        *cap = len;
    }
    if (len)
        memset(*ids, 0, len * sizeof(**ids));
    return true;
}

/* ---- frames ---- */

static sonde_str base_name(sonde_str path)
{
    size_t i;

    for (i = path.len; i-- > 0;)
        if (path.ptr[i] == '/')
            return sonde_str_sub(path, i + 1, path.len);
    return path;
}

static sonde_str cut(sonde_str text)
{
    return sonde_str_sub(text, 0, sonde_utf8_cut(text, TEXT_MAX));
}

/* The index of a frame; 0: no room. */
static uint32_t use_frame(flametree *f, sonde_str name, sonde_str file, sonde_str object)
{
    uint32_t frame = sonde_flame_frame_of(&f->tree, cut(name), cut(object), cut(file));

    return fit_frames(f) ? frame : 0;
}

/* Nobody knows its name: "object+0xADDR", the address as the object has it. */
static uint32_t use_address(flametree *f, const sonde_pprof_view *v, const sonde_pprof_location *l)
{
    sonde_str object = sonde_pprof_object(v, l);
    uint64_t address = sonde_pprof_object_address(v, l);
    sonde_str base = base_name(object);
    uint32_t frame;
    sonde_buf name;

    sonde_buf_init(&name, 2 * TEXT_MAX);
    if (base.len)
        sonde_buf_printf(&name, "%.*s+0x%llx", SONDE_STR_ARG(base), (unsigned long long)address);
    else
        sonde_buf_printf(&name, "0x%llx", (unsigned long long)address);
    frame = use_frame(f, sonde_buf_str(&name), (sonde_str){ "", 0 }, object);
    sonde_buf_done(&name);
    return frame;
}

static uint32_t frame_of_line(flametree *f, const sonde_pprof_view *v,
                              const sonde_pprof_location *l, uint32_t line)
{
    uint32_t *known = &f->line_frames[line];

    if (*known == 0) {
        const sonde_pprof_view_function *fn = &v->functions[v->lines[line]];

        sonde_str name = sonde_pprof_text(v, fn->name);

        *known = name.len == 0
                     ? use_address(f, v, l)
                     : use_frame(f, name, sonde_pprof_text(v, fn->file), sonde_pprof_object(v, l));
    }
    return *known;
}

/* ---- the stack of a sample ---- */

static void push(flametree *f, uint32_t frame, bool is_inlined)
{
    f->tree.cut += frame == 0;
    if (frame && f->stack_len < STACK_MAX)
        f->stack[f->stack_len++] = frame | (is_inlined ? INLINED : 0);
}

static uint32_t frame_at(const flametree *f, size_t i)
{
    return f->stack[i] & ~INLINED;
}

/* Whether location `i` of a sample is inlined into the next one: those who write one function a location (we, libdatadog)
 * give all of an address their numbers from the innermost on.  In a recursion the next is the one before, too. */
static bool is_part(const sonde_pprof_view *v, const sonde_pprof_sample *s, size_t i)
{
    const sonde_pprof_location *inner = &v->locations[s->locations[i]], *outer;

    if (i + 1 == s->depth || s->locations[i] >= s->locations[i + 1])
        return false;
    outer = &v->locations[s->locations[i + 1]];
    return inner->address && inner->address == outer->address && inner->mapping == outer->mapping;
}

/* Root first. */
static void build_stack(flametree *f, const sonde_pprof_view *v, const sonde_pprof_sample *s)
{
    size_t i;
    uint32_t k;

    f->stack_len = 0;
    f->tree.cut += s->cut;
    for (i = s->depth; i-- > 0;) {
        const sonde_pprof_location *l = &v->locations[s->locations[i]];

        for (k = l->lines; k-- > 0;)
            push(f, frame_of_line(f, v, l, l->first_line + k),
                 k + 1 < l->lines || is_part(v, s, i));
        if (l->lines == 0) {
            uint32_t *known = &f->location_frames[s->locations[i]];

            if (*known == 0)
                *known = use_address(f, v, l);
            push(f, *known, false);
        }
    }
}

static bool object_matches(flametree *f, uint32_t index, sonde_regex *re)
{
    flametree_frame *frame = &f->frames[index];
    bool matches;

    if (!(frame->matches & OBJECT_ASKED)) {
        matches = sonde_regex_matches(re, sonde_flame_object(&f->tree, index));
        frame->matches |= (uint8_t)(OBJECT_ASKED | (matches ? OBJECT_MATCHES : 0));
    }
    return (frame->matches & OBJECT_MATCHES) != 0;
}

static bool name_matches(flametree *f, uint32_t index, sonde_regex *re)
{
    flametree_frame *frame = &f->frames[index];
    bool matches;

    if (!(frame->matches & FRAME_ASKED)) {
        matches = sonde_regex_matches(re, sonde_flame_name(&f->tree, index));
        frame->matches |= (uint8_t)(FRAME_ASKED | (matches ? FRAME_MATCHES : 0));
    }
    return (frame->matches & FRAME_MATCHES) != 0;
}

static bool stack_passes(flametree *f, const flametree_filter *filter)
{
    bool object = !filter->object, frame = !filter->frame;
    size_t i;

    for (i = 0; i < f->stack_len && (!object || !frame); i++) {
        object = object || object_matches(f, frame_at(f, i), filter->object);
        frame = frame || name_matches(f, frame_at(f, i), filter->frame);
    }
    return object && frame;
}

/* Cuts the stack to what the filter is about.  False: the focus is not in it. */
static bool shape_stack(flametree *f, const flametree_filter *filter)
{
    size_t i;

    if (filter->focus.len) {
        for (i = 0; i < f->stack_len; i++)
            if (sonde_str_eq(sonde_flame_name(&f->tree, frame_at(f, i)), filter->focus))
                break;
        if (i == f->stack_len)
            return false;
        if (filter->inverted) {
            f->stack_len = i + 1;
        } else {
            f->stack_len -= i;
            memmove(f->stack, f->stack + i, f->stack_len * sizeof(*f->stack));
        }
    }
    for (i = 0; filter->inverted && i < f->stack_len / 2; i++) {
        uint32_t other = f->stack[f->stack_len - 1 - i];

        f->stack[f->stack_len - 1 - i] = f->stack[i];
        f->stack[i] = other;
    }
    if (f->stack_len && (filter->focus.len || filter->inverted))
        f->stack[0] &= ~INLINED; /* what one looks from is one function, however it got there */
    return true;
}

/* ---- keys ---- */

/* The index of a key's item; SIZE_MAX: no room. */
static size_t use_key(flametree *f, flametree_keys *keys, sonde_str text)
{
    size_t at = (size_t)(uintptr_t)sonde_table_get(&keys->table, text);

    if (at)
        return at - 1;
    if (keys->len == FLAMETREE_KEYS_MAX || text.len == 0)
        return SIZE_MAX;
    if (keys->len == keys->cap) {
        size_t cap = keys->cap ? keys->cap * 2 : 16;
        flametree_key *more = (flametree_key *)sonde_realloc(keys->items, cap * sizeof(*more));

        if (!more) {
            f->no_memory = true;
            return SIZE_MAX;
        }
        keys->items = more;
        keys->cap = cap;
    }
    keys->items[keys->len] = (flametree_key){ sonde_arena_copy(&f->tree.text, text), 0 };
    if (!keys->items[keys->len].text.ptr ||
        sonde_table_put(&keys->table, text, (void *)(uintptr_t)(keys->len + 1)) != SONDE_OK)
        return SIZE_MAX;
    return keys->len++;
}

static void add_key(flametree *f, flametree_keys *keys, sonde_str text, int64_t value)
{
    size_t at = use_key(f, keys, text);

    if (at != SIZE_MAX)
        keys->items[at].value = sonde_flame_add(keys->items[at].value, value);
}

/* ---- labels ---- */

typedef struct facts {
    sonde_str thread_name;
    sonde_str thread_id;
    sonde_str endpoint;
    sonde_str state;
    char id_text[SONDE_I64_MAX_LEN];
    uint64_t span, root;
    int64_t unix_ns; /* 0: it does not say */
} facts;

static void read_facts(const sonde_pprof_sample *s, facts *out)
{
    size_t i;

    memset(out, 0, sizeof(*out));
    for (i = 0; i < s->labels_len; i++) {
        const sonde_pprof_label *l = &s->labels[i];

        if (sonde_str_eq(l->key, SONDE_STR("thread name")) ||
            sonde_str_eq(l->key, SONDE_STR("thread_name"))) {
            out->thread_name = l->text;
        } else if (sonde_str_eq(l->key, SONDE_STR("thread id"))) {
            out->thread_id = l->text.len ? l->text
                                         : (sonde_str){ out->id_text,
                                                        sonde_format_i64(l->number, out->id_text) };
        } else if (sonde_str_eq(l->key, SONDE_STR("trace endpoint"))) {
            out->endpoint = l->text;
        } else if (sonde_str_eq(l->key, SONDE_STR("thread state"))) {
            out->state = l->text;
        } else if (sonde_str_eq(l->key, SONDE_STR("span id"))) {
            out->span = (uint64_t)l->number;
        } else if (sonde_str_eq(l->key, SONDE_STR("local root span id"))) {
            out->root = (uint64_t)l->number;
        } else if (sonde_str_eq(l->key, SONDE_STR("end_timestamp_ns"))) {
            out->unix_ns = l->number;
        }
    }
}

static int u64_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool is_one_of(const uint64_t *ids, size_t len, uint64_t id)
{
    return len == 0 || bsearch(&id, ids, len, sizeof(*ids), u64_order) != NULL;
}

static bool facts_pass(const facts *x, const flametree_filter *filter)
{
    if (filter->thread.len && !sonde_str_eq(x->thread_name, filter->thread) &&
        !sonde_str_eq(x->thread_id, filter->thread))
        return false;
    if (filter->endpoint.len && !sonde_str_eq(x->endpoint, filter->endpoint))
        return false;
    return is_one_of(filter->spans, filter->spans_len, x->span) &&
           is_one_of(filter->roots, filter->roots_len, x->root);
}

/* A time outside the filter's. */
static bool is_elsewhen(const facts *x, const flametree_filter *filter)
{
    return x->unix_ns && filter->to_unix_ns &&
           (x->unix_ns < filter->from_unix_ns || x->unix_ns > filter->to_unix_ns);
}

/* ---- what else is counted of column 0 ---- */

static void count_objects(flametree *f, int64_t value)
{
    sonde_str last = { NULL, 0 };
    size_t i;

    for (i = f->stack_len; i-- > 0;) { /* the leaf's object: where the time went */
        last = sonde_flame_object(&f->tree, frame_at(f, i));
        if (last.len)
            break;
    }
    add_key(f, &f->objects, base_name(last), value);
}

static void count_root(flametree *f, const facts *x, const flametree_source *source, int64_t value)
{
    int64_t first = x->unix_ns ? x->unix_ns : source->start_unix_ns;
    int64_t last = x->unix_ns ? x->unix_ns : source->end_unix_ns;
    char id[SONDE_U64_MAX_LEN];
    size_t at;
    flametree_root *r;

    if (x->span)
        add_key(f, &f->spans, (sonde_str){ id, sonde_format_u64(x->span, id) }, value);
    if (x->root == 0)
        return;
    f->spans_value = sonde_flame_add(f->spans_value, value);
    at = use_key(f, &f->roots_by_id, (sonde_str){ id, sonde_format_u64(x->root, id) });
    if (at == SIZE_MAX)
        return;
    if (at >= f->roots_cap) {
        size_t cap = f->roots_cap ? f->roots_cap * 2 : 16;
        flametree_root *more = (flametree_root *)sonde_realloc(f->roots, cap * sizeof(*more));

        if (!more) {
            f->no_memory = true;
            return;
        }
        memset(more + f->roots_cap, 0, (cap - f->roots_cap) * sizeof(*more));
        f->roots = more;
        f->roots_cap = cap;
    }
    r = &f->roots[at];
    if (r->samples++ == 0) {
        r->id = x->root;
        r->first_unix_ns = first;
        r->last_unix_ns = last;
    }
    if (r->endpoint.len == 0 && x->endpoint.len)
        r->endpoint = sonde_arena_copy(&f->tree.text, x->endpoint);
    r->value = sonde_flame_add(r->value, value);
    r->first_unix_ns = first < r->first_unix_ns ? first : r->first_unix_ns;
    r->last_unix_ns = last > r->last_unix_ns ? last : r->last_unix_ns;
}

/* A sample without a time is spread evenly over its profile's. */
static void count_buckets(flametree *f, const facts *x, const flametree_source *source,
                          int64_t value)
{
    int64_t from = source->start_unix_ns - f->bucket_from_ns;
    int64_t to = source->end_unix_ns - f->bucket_from_ns;
    int64_t step = f->bucket_step_ns, all = (int64_t)f->buckets_len * step, t;

    if (x->unix_ns) {
        from = x->unix_ns - f->bucket_from_ns;
        to = from;
    }
    if (to <= from) {
        if (from >= 0 && from < all)
            f->buckets[from / step] += (double)value;
        return;
    }
    for (t = from > 0 ? from / step * step : 0; t < to && t < all; t += step) {
        int64_t a = t > from ? t : from, b = t + step < to ? t + step : to;

        f->buckets[t / step] += (double)value * (double)(b - a) / (double)(to - from);
    }
}

/* A sample with a time is the end of what it tells of. */
static void count_lane(flametree *f, const facts *x, const flametree_source *source, uint8_t column,
                       int64_t value)
{
    bool is_time = f->lanes->kinds == LANE_KINDS;
    lane_kind kind = is_time ? lane_kind_of(x->state) : LANE_RUNNING;
    int64_t from = source->start_unix_ns, to = source->end_unix_ns;

    if (f->lanes->has_cpu && column == 0)
        kind = LANE_RUNNING;
    else if (f->lanes->has_cpu && kind == LANE_RUNNING)
        return; /* as CPU time it is known better */
    if (x->unix_ns) {
        from = is_time ? x->unix_ns - value : x->unix_ns;
        to = x->unix_ns;
    }
    lanes_add(f->lanes, x->thread_name, x->thread_id, kind, from, to, value);
}

static void count_lanes(flametree *f, const facts *x, const sonde_pprof_sample *s, size_t types,
                        const flametree_source *source)
{
    size_t t;

    for (t = 0; t < types; t++)
        if (source->column_of[t] != FLAMETREE_NO_COLUMN && s->values[t] > 0)
            count_lane(f, x, source, source->column_of[t], s->values[t]);
}

/* ---- adding ---- */

static void add_values(flametree *f, uint32_t node, const sonde_pprof_sample *s, size_t types,
                       const flametree_source *source)
{
    size_t t, i;

    f->sample_no++;
    for (i = 0; i < f->stack_len; i++) {
        flametree_frame *frame = &f->frames[frame_at(f, i)];
        bool first = frame->seen_by != f->sample_no;

        frame->seen_by = f->sample_no;
        for (t = 0; t < types && first; t++) {
            uint8_t c = source->column_of[t];

            if (c != FLAMETREE_NO_COLUMN) {
                int64_t *total = &f->frame_values[(frame_at(f, i) * f->tree.columns + c) * 2 + 1];

                *total = sonde_flame_add(*total, s->values[t]);
            }
        }
    }
    for (t = 0; t < types; t++) {
        uint8_t c = source->column_of[t];

        if (c == FLAMETREE_NO_COLUMN)
            continue;
        sonde_flame_count(&f->tree, node, c, s->values[t]);
        f->samples[c]++;
    }
}

/* The same beside the tree, in the row of the sample's labels. */
static void add_row(flametree *f, uint32_t node, const sonde_pprof_sample *s, size_t types,
                    const flametree_source *source)
{
    uint32_t row = sample_rows_of(&f->rows, node, s);
    size_t t;

    for (t = 0; t < types && row != SAMPLE_ROWS_NONE; t++) {
        uint8_t c = source->column_of[t];

        if (c != FLAMETREE_NO_COLUMN) {
            int64_t *value = sample_rows_value(&f->rows, row, c);

            *value = sonde_flame_add(*value, s->values[t]);
        }
    }
}

static void add_leaf(flametree *f, uint32_t leaf, const sonde_pprof_sample *s, size_t types,
                     const flametree_source *source)
{
    size_t t;

    for (t = 0; t < types; t++) {
        uint8_t c = source->column_of[t];

        if (c != FLAMETREE_NO_COLUMN) {
            int64_t *self = &f->frame_values[(leaf * f->tree.columns + c) * 2];

            *self = sonde_flame_add(*self, s->values[t]);
        }
    }
}

/* The value in column 0; false: nothing of this sample goes into any column. */
static bool weigh(const sonde_pprof_sample *s, size_t types, const flametree_source *source,
                  int64_t *out)
{
    bool any = false;
    size_t t;

    *out = 0;
    for (t = 0; t < types; t++) {
        if (source->column_of[t] == FLAMETREE_NO_COLUMN || s->values[t] == 0)
            continue;
        any = true;
        if (source->column_of[t] == 0)
            *out = sonde_flame_add(*out, s->values[t]);
    }
    return any;
}

static void add_sample(flametree *f, sonde_pprof_view *v, const sonde_pprof_sample *s,
                       const flametree_filter *filter, const flametree_source *source)
{
    int64_t value;
    uint32_t node = 0, leaf;
    facts x;
    size_t i;

    if (!weigh(s, v->types_len, source, &value))
        return;
    read_facts(s, &x);
    if (is_elsewhen(&x, filter))
        return;
    build_stack(f, v, s);
    if (value) {
        add_key(f, &f->threads, x.thread_name.len ? x.thread_name : x.thread_id, value);
        add_key(f, &f->endpoints, x.endpoint, value);
        count_objects(f, value);
    }
    leaf = f->stack_len ? frame_at(f, f->stack_len - 1) : 0;
    if (!facts_pass(&x, filter) || !stack_passes(f, filter) || !shape_stack(f, filter))
        return;
    for (i = 0; i < f->stack_len && i < FLAMETREE_DEPTH_MAX; i++)
        node = sonde_flame_child(&f->tree, node, frame_at(f, i), (f->stack[i] & INLINED) != 0);
    add_values(f, node, s, v->types_len, source);
    add_leaf(f, leaf, s, v->types_len, source);
    if (f->keeps_labels)
        add_row(f, node, s, v->types_len, source);
    if (value)
        count_root(f, &x, source, value);
    if (value && f->buckets_len)
        count_buckets(f, &x, source, value);
    if (f->lanes)
        count_lanes(f, &x, s, v->types_len, source);
}

/* Does the profile bring anything to a column? */
static void count_profile(flametree *f, const sonde_pprof_view *v, const flametree_source *source)
{
    size_t t;

    for (t = 0; t < v->types_len; t++)
        if (source->column_of[t] != FLAMETREE_NO_COLUMN)
            f->profiles[source->column_of[t]]++;
}

void flametree_add(flametree *f, sonde_pprof_view *v, const flametree_filter *filter,
                   const flametree_source *source)
{
    const sonde_pprof_sample *s;

    if (f->no_memory || !fit_ids(f, &f->line_frames, &f->line_frames_cap, v->lines_len) ||
        !fit_ids(f, &f->location_frames, &f->location_frames_cap, v->locations_len))
        return;
    count_profile(f, v, source);
    while (!f->no_memory && (s = sonde_pprof_next_sample(v)))
        add_sample(f, v, s, filter, source);
}

/* ---- the object ---- */

static void init_keys(flametree_keys *keys)
{
    memset(keys, 0, sizeof(*keys));
    sonde_table_init(&keys->table, FLAMETREE_KEYS_MAX);
}

static void done_keys(flametree_keys *keys)
{
    sonde_table_done(&keys->table);
    sonde_free(keys->items);
}

static uint32_t smaller(size_t a, size_t b)
{
    return (uint32_t)(a < b ? a : b);
}

sonde_status flametree_init(flametree *f, size_t columns)
{
    const sonde_flame_limits limits = {
        .nodes = smaller(FLAMETREE_NODES_MAX, FLAMETREE_VALUES_MAX / columns),
        .frames = smaller(FLAMETREE_FRAMES_MAX, FLAMETREE_VALUES_MAX / columns),
        .texts = 3 * FLAMETREE_FRAMES_MAX,
        .text_bytes = FLAMETREE_TEXT_MAX_BYTES,
    };
    sonde_status status;

    memset(f, 0, sizeof(*f));
    init_keys(&f->threads);
    init_keys(&f->endpoints);
    init_keys(&f->objects);
    init_keys(&f->spans);
    init_keys(&f->roots_by_id);
    status = sonde_flame_init(&f->tree, (uint32_t)columns, &limits);
    f->stack = (uint32_t *)sonde_malloc(STACK_MAX * sizeof(*f->stack));
    return status == SONDE_OK && f->stack && fit_frames(f) ? SONDE_OK : SONDE_ERR_NOMEM;
}

void flametree_keep_labels(flametree *f)
{
    f->keeps_labels = true;
    sample_rows_init(&f->rows, &f->tree,
                     smaller(SAMPLE_ROWS_MAX, FLAMETREE_VALUES_MAX / f->tree.columns));
}

void flametree_done(flametree *f)
{
    sample_rows_done(&f->rows);
    sonde_flame_done(&f->tree);
    done_keys(&f->threads);
    done_keys(&f->endpoints);
    done_keys(&f->objects);
    done_keys(&f->spans);
    done_keys(&f->roots_by_id);
    sonde_free(f->roots);
    sonde_free(f->frames);
    sonde_free(f->frame_values);
    sonde_free(f->line_frames);
    sonde_free(f->location_frames);
    sonde_free(f->stack);
    sonde_free(f->buckets);
    memset(f, 0, sizeof(*f));
}

sonde_status flametree_want_buckets(flametree *f, int64_t from_unix_ns, int64_t step_ns, size_t len)
{
    f->buckets = (double *)sonde_calloc(len, sizeof(*f->buckets));
    if (!f->buckets)
        return SONDE_ERR_NOMEM;
    f->bucket_from_ns = from_unix_ns;
    f->bucket_step_ns = step_ns;
    f->buckets_len = len;
    return SONDE_OK;
}

sonde_status flametree_finish(flametree *f)
{
    size_t c;

    if (f->no_memory || f->tree.no_memory)
        return SONDE_ERR_NOMEM;
    sonde_flame_sum(&f->tree);
    for (c = 0; c < f->tree.columns; c++)
        f->totals[c] = flametree_total(f, 0, c);
    f->truncated = f->tree.cut > 0;
    return SONDE_OK;
}
