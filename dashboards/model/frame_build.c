/* frame_build.c - collects chunks and writes them as one frame; format: docs/spec/store.md.
 *
 * Text repeats: services, names and most tags of a payload are the same few bytes over and over.  So
 * every distinct string and every distinct attribute is kept once and spans refer to it by number; an
 * attribute is recognised by the bytes it has on the wire, before it is decoded, which makes the usual
 * span a row of hash look-ups.  Spans are written column by column, because like stands beside like
 * then and zstd has little left to do.
 *
 * Threads   none.  Bounds: see frame.h. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/format.h"
#include "codec/compress/compress.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/summary.h"
#include "dashboards/model/varint.h"
#include "vocab/tags.h"

#define PARENT_WINDOW 32 /* spans before and after in which a parent is looked for */

typedef struct seen { /* a slot of the two look-up tables */
    uint32_t hash;
    uint32_t id; /* + 1; 0: free */
} seen;

typedef struct lookup {
    seen *slots;
    size_t len; /* power of two */
    size_t used;
} lookup;

typedef struct attr_row {
    sonde_str raw; /* as on the wire: identity */
    sonde_str text;
    double number;
    uint32_t key;
    uint8_t kind;
} attr_row;

typedef struct chunk_row {
    frame_chunk head;
    uint32_t origin;
    uint32_t source;
    uint32_t first_span;
    uint32_t first_ref; /* of the chunk's own attributes */
    uint32_t refs;
} chunk_row;

typedef struct span_row {
    frame_span span;
    uint32_t first_ref;
    uint32_t refs;
} span_row;

/* A growing array: `items` of `cap` elements. */
#define ROWS(type)                                                                                 \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t len, cap;                                                                           \
    }

struct frame_builder {
    sonde_status status;
    lookup by_text; /* strings */
    lookup by_raw;  /* attributes */
    ROWS(sonde_str) strings;
    ROWS(attr_row) attrs;
    ROWS(uint32_t) sources; /* MODEL_SOURCE_FIELDS string ids each */
    ROWS(chunk_row) chunks;
    ROWS(span_row) spans;
    ROWS(uint32_t) refs;
    ROWS(summary_row) parts;
    uint32_t source;    /* current */
    uint32_t open_span; /* first span of the chunk in hand */
    uint32_t open_ref;  /* first reference of the span in hand */
    size_t raw_bytes;   /* text so far */
    sonde_buf raw;      /* the body before compression */
    sonde_buf packed;
};

static bool grow(frame_builder *b, void **items, size_t *cap, size_t item_bytes)
{
    size_t want = *cap ? *cap * 2 : 256;
    void *more = want > FRAME_ITEMS_MAX * 2 ? NULL : sonde_realloc(*items, want * item_bytes);

    if (!more) {
        b->status = want > FRAME_ITEMS_MAX * 2 ? SONDE_ERR_TOO_BIG : SONDE_ERR_NOMEM;
        return false;
    }
    *items = more;
    *cap = want;
    return true;
}

/* Room for one more row: true, or the builder has failed. */
#define ROOM(b, rows)                                                                              \
    ((b)->rows.len < (b)->rows.cap ||                                                              \
     grow((b), (void **)&(b)->rows.items, &(b)->rows.cap, sizeof(*(b)->rows.items)))

static bool lookup_grow(frame_builder *b, lookup *t)
{
    size_t len = t->len ? t->len * 2 : 1024, i;
    seen *slots = (seen *)sonde_calloc(len, sizeof(*slots));

    if (!slots) {
        b->status = SONDE_ERR_NOMEM;
        return false;
    }
    for (i = 0; i < t->len; i++) {
        size_t at = t->slots[i].hash & (len - 1);

        if (!t->slots[i].id)
            continue;
        while (slots[at].id)
            at = (at + 1) & (len - 1);
        slots[at] = t->slots[i];
    }
    sonde_free(t->slots);
    t->slots = slots;
    t->len = len;
    return true;
}

static void lookup_clear(lookup *t)
{
    if (t->used)
        memset(t->slots, 0, t->len * sizeof(*t->slots));
    t->used = 0;
}

/* Keeps a free slot for whoever inserts next: probing always ends. */
static bool lookup_room(frame_builder *b, lookup *t)
{
    return t->used * 2 < t->len || lookup_grow(b, t);
}

frame_builder *frame_builder_new(void)
{
    frame_builder *b = (frame_builder *)sonde_calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    sonde_buf_init(&b->raw, FRAME_RAW_MAX_BYTES);
    sonde_buf_init(&b->packed, FRAME_RAW_MAX_BYTES + FRAME_RAW_MAX_BYTES / 128 + 1024);
    frame_builder_reset(b);
    return b;
}

void frame_builder_free(frame_builder *b)
{
    if (!b)
        return;
    sonde_free(b->by_text.slots);
    sonde_free(b->by_raw.slots);
    sonde_free(b->strings.items);
    sonde_free(b->attrs.items);
    sonde_free(b->sources.items);
    sonde_free(b->chunks.items);
    sonde_free(b->spans.items);
    sonde_free(b->refs.items);
    sonde_free(b->parts.items);
    sonde_buf_done(&b->raw);
    sonde_buf_done(&b->packed);
    sonde_free(b);
}

void frame_builder_reset(frame_builder *b)
{
    b->status = SONDE_OK;
    lookup_clear(&b->by_text);
    lookup_clear(&b->by_raw);
    b->strings.len = b->attrs.len = b->sources.len = b->chunks.len = 0;
    b->spans.len = b->refs.len = b->parts.len = 0;
    b->source = b->open_span = b->open_ref = 0;
    b->raw_bytes = 0;
}

bool frame_builder_is_full(const frame_builder *b)
{
    return b->spans.len >= FRAME_SPANS_MAX || b->raw_bytes >= FRAME_RAW_TARGET_BYTES ||
           b->refs.len >= FRAME_ITEMS_MAX / 2 || b->strings.len >= FRAME_ITEMS_MAX / 2;
}

uint32_t frame_builder_spans(const frame_builder *b)
{
    return (uint32_t)b->spans.len;
}

sonde_status frame_builder_status(const frame_builder *b)
{
    return b->status;
}

uint32_t frame_builder_str(frame_builder *b, sonde_str s)
{
    uint32_t hash = (uint32_t)sonde_hash(0, s.ptr, s.len);
    size_t at;

    if (b->status != SONDE_OK || !lookup_room(b, &b->by_text))
        return 0;
    for (at = hash & (b->by_text.len - 1); b->by_text.slots[at].id;
         at = (at + 1) & (b->by_text.len - 1)) {
        const seen *slot = &b->by_text.slots[at];

        if (slot->hash == hash && sonde_str_eq(b->strings.items[slot->id - 1], s))
            return slot->id - 1;
    }
    if (!ROOM(b, strings))
        return 0;
    b->strings.items[b->strings.len++] = s;
    b->by_text.slots[at] = (seen){ hash, (uint32_t)b->strings.len };
    b->by_text.used++;
    b->raw_bytes += s.len;
    return (uint32_t)b->strings.len - 1;
}

void frame_builder_source(frame_builder *b, const model_source *source)
{
    const sonde_str *fields = &source->env;
    int i;

    for (i = 0; i < MODEL_SOURCE_FIELDS; i++) {
        uint32_t id = frame_builder_str(b, fields[i]);

        if (b->status != SONDE_OK || !ROOM(b, sources))
            return;
        b->sources.items[b->sources.len++] = id;
    }
    b->source = (uint32_t)(b->sources.len / MODEL_SOURCE_FIELDS) - 1;
}

static void add_ref(frame_builder *b, uint32_t attr)
{
    if (ROOM(b, refs))
        b->refs.items[b->refs.len++] = attr;
}

static size_t find_raw(const frame_builder *b, uint32_t hash, sonde_str raw, uint8_t kind)
{
    size_t at;

    for (at = hash & (b->by_raw.len - 1); b->by_raw.slots[at].id;
         at = (at + 1) & (b->by_raw.len - 1)) {
        const seen *slot = &b->by_raw.slots[at];
        const attr_row *row = &b->attrs.items[slot->id - 1];

        if (slot->hash == hash && row->kind == kind && sonde_str_eq(row->raw, raw))
            break;
    }
    return at;
}

bool frame_builder_known_attr(frame_builder *b, model_attr_kind kind, sonde_str raw)
{
    uint32_t hash = (uint32_t)sonde_hash(kind, raw.ptr, raw.len);
    size_t at;

    if (b->status != SONDE_OK || !lookup_room(b, &b->by_raw))
        return true; /* failed: nothing more is wanted */
    at = find_raw(b, hash, raw, (uint8_t)kind);
    if (!b->by_raw.slots[at].id)
        return false;
    add_ref(b, b->by_raw.slots[at].id - 1);
    return true;
}

void frame_builder_new_attr(frame_builder *b, sonde_str raw, const model_attr *attr)
{
    uint32_t hash = (uint32_t)sonde_hash(attr->kind, raw.ptr, raw.len);
    uint32_t key = frame_builder_str(b, attr->key);
    size_t at;

    if (b->status != SONDE_OK || !ROOM(b, attrs) || !lookup_room(b, &b->by_raw))
        return;
    at = find_raw(b, hash, raw, attr->kind);
    b->attrs.items[b->attrs.len++] = (attr_row){
        .raw = raw, .text = attr->text, .number = attr->number, .key = key, .kind = attr->kind
    };
    b->by_raw.slots[at] = (seen){ hash, (uint32_t)b->attrs.len };
    b->by_raw.used++;
    b->raw_bytes += attr->text.len + 8;
    add_ref(b, (uint32_t)b->attrs.len - 1);
}

void frame_builder_end_span(frame_builder *b, const frame_span *span)
{
    if (b->status != SONDE_OK || !ROOM(b, spans))
        return;
    b->spans.items[b->spans.len++] = (span_row){ .span = *span,
                                                 .first_ref = b->open_ref,
                                                 .refs = (uint32_t)b->refs.len - b->open_ref };
    b->open_ref = (uint32_t)b->refs.len;
    b->raw_bytes += span->extra.len;
}

/* ---- summaries ---- */

/* The span that stands for the chunk: the one without parent, else the first whose parent is not
 * here, which is what a process's local root looks like. */
static const span_row *chunk_root(const span_row *spans, size_t len)
{
    const span_row *local = NULL;
    size_t i, k;

    for (i = 0; i < len; i++)
        if (spans[i].span.parent_id == 0)
            return &spans[i];
    /* Large chunks without a root are rare: looking for each parent is kept to the first spans. */
    for (i = 0; i < len && i < PARENT_WINDOW && !local; i++) {
        for (k = 0; k < len; k++)
            if (spans[k].span.span_id == spans[i].span.parent_id)
                break;
        if (k == len)
            local = &spans[i];
    }
    return local ? local : spans;
}

static void part_add_service(summary_row *p, uint32_t service)
{
    uint32_t i;

    for (i = 0; i < p->services_len; i++)
        if (p->services[i] == service)
            return;
    if (p->services_len < SUMMARY_SERVICES_MAX)
        p->services[p->services_len++] = service;
}

/* The text of the span's http.status_code as a string's number; that of "" when it has none. */
static uint32_t find_http_status(frame_builder *b, const span_row *span)
{
    sonde_str found = { NULL, 0 };
    uint32_t i;

    for (i = 0; i < span->refs && !found.len; i++) {
        const attr_row *row = &b->attrs.items[b->refs.items[span->first_ref + i]];

        if (row->kind == MODEL_ATTR_META &&
            sonde_str_eq(b->strings.items[row->key], SONDE_STR(SONDE_TAG_HTTP_STATUS_CODE)))
            found = row->text;
    }
    return frame_builder_str(b, found);
}

static void add_part(frame_builder *b, const frame_chunk *head)
{
    const span_row *spans = b->spans.items + b->open_span;
    size_t i, len = b->spans.len - b->open_span;
    const span_row *root = chunk_root(spans, len);
    summary_row *p;

    if (!ROOM(b, parts))
        return;
    p = &b->parts.items[b->parts.len++];
    memset(p, 0, sizeof(*p));
    p->part.trace_hi = head->trace_hi;
    p->part.trace_lo = head->trace_lo;
    p->part.start_unix_ns = INT64_MAX;
    p->part.end_unix_ns = INT64_MIN;
    p->part.spans = (uint32_t)len;
    p->part.has_root = root->span.parent_id == 0;
    p->service = root->span.service;
    p->name = root->span.name;
    p->resource = root->span.resource;
    p->type = root->span.type;
    p->env = b->sources.items[b->source * MODEL_SOURCE_FIELDS];
    p->http_status = find_http_status(b, root);
    for (i = 0; i < len; i++) {
        const frame_span *s = &spans[i].span;
        int64_t end;

        if (__builtin_add_overflow(s->start_unix_ns, s->duration_ns, &end))
            end = INT64_MAX;
        if (s->start_unix_ns < p->part.start_unix_ns)
            p->part.start_unix_ns = s->start_unix_ns;
        if (end > p->part.end_unix_ns)
            p->part.end_unix_ns = end;
        p->part.errors += s->error != 0;
        part_add_service(p, s->service);
    }
}

void frame_builder_end_chunk(frame_builder *b, const frame_chunk *chunk)
{
    uint32_t origin;

    if (b->open_span == b->spans.len || b->status != SONDE_OK) {
        b->open_ref = (uint32_t)b->refs.len;
        return;
    }
    if (b->sources.len == 0) {
        b->status = SONDE_ERR_STATE;
        return;
    }
    origin = frame_builder_str(b, chunk->origin);
    if (b->status != SONDE_OK || !ROOM(b, chunks))
        return;
    b->chunks.items[b->chunks.len++] = (chunk_row){
        .head = *chunk,
        .origin = origin,
        .source = b->source,
        .first_span = b->open_span,
        .first_ref = b->open_ref,
        .refs = (uint32_t)b->refs.len - b->open_ref,
    };
    add_part(b, chunk);
    b->open_ref = (uint32_t)b->refs.len;
    b->open_span = (uint32_t)b->spans.len;
}

/* ---- writing ---- */

static void write_strings(frame_builder *b, sonde_buf *out)
{
    size_t i;

    for (i = 0; i < b->strings.len; i++)
        varint_append(out, b->strings.items[i].len);
    for (i = 0; i < b->strings.len; i++)
        sonde_buf_append_str(out, b->strings.items[i]);
}

static void write_attrs(frame_builder *b, sonde_buf *out)
{
    const attr_row *rows = b->attrs.items;
    size_t i;

    for (i = 0; i < b->attrs.len; i++)
        varint_append(out, (uint64_t)rows[i].key * MODEL_ATTR_KINDS + rows[i].kind);
    for (i = 0; i < b->attrs.len; i++)
        if (rows[i].kind != MODEL_ATTR_METRIC)
            varint_append(out, rows[i].text.len);
    for (i = 0; i < b->attrs.len; i++)
        if (rows[i].kind != MODEL_ATTR_METRIC)
            sonde_buf_append_str(out, rows[i].text);
    for (i = 0; i < b->attrs.len; i++)
        if (rows[i].kind == MODEL_ATTR_METRIC)
            varint_append_le64(out, varint_of_double(rows[i].number));
}

static void write_refs(frame_builder *b, sonde_buf *out, uint32_t first, uint32_t len)
{
    uint32_t i;

    varint_append(out, len);
    for (i = 0; i < len; i++)
        varint_append(out, b->refs.items[first + i]);
}

static void write_chunks(frame_builder *b, sonde_buf *out)
{
    size_t i;

    for (i = 0; i < b->sources.len; i++)
        varint_append(out, b->sources.items[i]);
    for (i = 0; i < b->chunks.len; i++) {
        const chunk_row *c = &b->chunks.items[i];
        uint32_t end = i + 1 < b->chunks.len ? c[1].first_span : (uint32_t)b->spans.len;

        varint_append_le64(out, c->head.trace_hi);
        varint_append_le64(out, c->head.trace_lo);
        varint_append(out, varint_zigzag(c->head.priority));
        varint_append(out, c->origin);
        varint_append(out, c->source);
        varint_append(out, end - c->first_span);
        write_refs(b, out, c->first_ref, c->refs);
    }
}

/* 0: no parent; 1: an id in the column of far parents; else the distance, zigzag, plus 1. */
static uint64_t parent_code(const span_row *spans, size_t first, size_t end, size_t at)
{
    uint64_t parent = spans[at].span.parent_id;
    size_t d;

    if (parent == 0)
        return 0;
    for (d = 1; d <= PARENT_WINDOW; d++) {
        if (at >= first + d && spans[at - d].span.span_id == parent)
            return varint_zigzag(-(int64_t)d) + 1;
        if (at + d < end && spans[at + d].span.span_id == parent)
            return varint_zigzag((int64_t)d) + 1;
    }
    return 1;
}

static void write_parents(frame_builder *b, sonde_buf *out)
{
    const span_row *spans = b->spans.items;
    size_t c, i, far_at = out->len;
    size_t far = 0;

    for (c = 0; c < b->chunks.len; c++) {
        size_t first = b->chunks.items[c].first_span;
        size_t end = c + 1 < b->chunks.len ? b->chunks.items[c + 1].first_span : b->spans.len;

        for (i = first; i < end; i++) {
            uint64_t code = parent_code(spans, first, end, i);

            far += code == 1;
            varint_append(out, code);
        }
    }
    if (far == 0 || out->status != SONDE_OK)
        return;
    /* The codes just written say which spans need their parent in full. */
    for (i = 0; i < b->spans.len; i++) {
        uint64_t code = 0;

        far_at += varint_get(out->data + far_at, out->data + out->len, &code);
        if (code == 1)
            varint_append_le64(out, spans[i].span.parent_id);
    }
}

#define COLUMN(expr)                                                                               \
    do {                                                                                           \
        for (i = 0; i < len; i++)                                                                  \
            varint_append(out, (expr));                                                            \
    } while (0)

static void write_spans(frame_builder *b, sonde_buf *out)
{
    const span_row *rows = b->spans.items;
    size_t i, len = b->spans.len;
    int64_t before = 0;

    COLUMN(rows[i].span.service);
    COLUMN(rows[i].span.name);
    COLUMN(rows[i].span.resource);
    COLUMN(rows[i].span.type);
    for (i = 0; i < len; i++)
        varint_append_le64(out, rows[i].span.span_id);
    write_parents(b, out);
    for (i = 0; i < len; i++) {
        varint_append(
            out, varint_zigzag((int64_t)((uint64_t)rows[i].span.start_unix_ns - (uint64_t)before)));
        before = rows[i].span.start_unix_ns;
    }
    COLUMN(varint_zigzag(rows[i].span.duration_ns));
    COLUMN(varint_zigzag(rows[i].span.error));
    COLUMN(rows[i].refs);
    for (i = 0; i < len; i++) {
        uint32_t k;

        for (k = 0; k < rows[i].refs; k++)
            varint_append(out, b->refs.items[rows[i].first_ref + k]);
    }
    COLUMN(rows[i].span.extra.len);
    for (i = 0; i < len; i++)
        sonde_buf_append_str(out, rows[i].span.extra);
}

static void write_body(frame_builder *b)
{
    sonde_buf *out = &b->raw;

    sonde_buf_reset(out);
    sonde_buf_append(out, FRAME_MAGIC, FRAME_MAGIC_BYTES);
    varint_append(out, b->strings.len);
    varint_append(out, b->attrs.len);
    varint_append(out, b->sources.len / MODEL_SOURCE_FIELDS);
    varint_append(out, b->chunks.len);
    varint_append(out, b->spans.len);
    write_strings(b, out);
    write_attrs(b, out);
    write_chunks(b, out);
    write_spans(b, out);
}

/* ---- filter ---- */

static void filter_attr(const frame_builder *b, const attr_row *row, uint8_t *filter, size_t bytes)
{
    sonde_str key = b->strings.items[row->key];

    filter_add(filter, bytes, filter_token(FILTER_ATTR_NAME, key));
    if (row->kind == MODEL_ATTR_META) {
        filter_add(filter, bytes, filter_attr_token(key, row->text));
    } else if (row->kind == MODEL_ATTR_METRIC && row->number >= -1e15 && row->number <= 1e15 &&
               (double)(int64_t)row->number == row->number) {
        char text[SONDE_I64_MAX_LEN];
        size_t n = sonde_format_i64((int64_t)row->number, text);

        filter_add(filter, bytes, filter_attr_token(key, (sonde_str){ text, n }));
    }
}

static void filter_text(const frame_builder *b, frame *f, filter_field field, uint32_t id,
                        uint32_t *last)
{
    if (id + 1 == *last)
        return;
    *last = id + 1;
    filter_add(f->filter, f->filter_len, filter_token(field, b->strings.items[id]));
}

static sonde_status make_filter(const frame_builder *b, frame *f)
{
    uint32_t last[4] = { 0 };
    bool error = false;
    size_t i;

    f->filter_len = filter_bytes(b->attrs.len * 2 + b->strings.len + 64);
    f->filter = (uint8_t *)sonde_calloc(1, f->filter_len);
    if (!f->filter)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < b->attrs.len; i++)
        filter_attr(b, &b->attrs.items[i], f->filter, f->filter_len);
    for (i = 0; i < b->sources.len; i += MODEL_SOURCE_FIELDS) {
        const uint32_t *ids = b->sources.items + i;

        filter_add(f->filter, f->filter_len, filter_token(FILTER_ENV, b->strings.items[ids[0]]));
        filter_add(f->filter, f->filter_len, filter_token(FILTER_HOST, b->strings.items[ids[1]]));
        filter_add(f->filter, f->filter_len,
                   filter_token(FILTER_VERSION, b->strings.items[ids[2]]));
    }
    for (i = 0; i < b->spans.len; i++) {
        const frame_span *s = &b->spans.items[i].span;

        filter_text(b, f, FILTER_SERVICE, s->service, &last[0]);
        filter_text(b, f, FILTER_NAME, s->name, &last[1]);
        filter_text(b, f, FILTER_RESOURCE, s->resource, &last[2]);
        filter_text(b, f, FILTER_TYPE, s->type, &last[3]);
        error |= s->error != 0;
    }
    if (error)
        filter_add(f->filter, f->filter_len, filter_token(FILTER_STATUS, SONDE_STR("error")));
    return SONDE_OK;
}

/* ---- summary ---- */

static uint8_t *copy_bytes(const sonde_buf *from, size_t *out_len)
{
    uint8_t *copy = (uint8_t *)sonde_malloc(from->len);

    if (copy)
        memcpy(copy, from->data, from->len);
    *out_len = from->len;
    return copy;
}

static int part_order(const void *a, const void *b)
{
    const frame_part *x = &((const summary_row *)a)->part, *y = &((const summary_row *)b)->part;

    if (x->trace_lo != y->trace_lo)
        return x->trace_lo < y->trace_lo ? -1 : 1;
    if (x->trace_hi != y->trace_hi)
        return x->trace_hi < y->trace_hi ? -1 : 1;
    return 0;
}

/* Two chunks of one trace in one frame (a partial flush, or two processes) become one part. */
static void part_merge(summary_row *into, const summary_row *from)
{
    frame_part *p = &into->part;
    uint32_t i;

    if (from->part.has_root && !p->has_root) {
        summary_row other = *from;

        part_merge(&other, into);
        *into = other;
        return;
    }
    if (from->part.start_unix_ns < p->start_unix_ns)
        p->start_unix_ns = from->part.start_unix_ns;
    if (from->part.end_unix_ns > p->end_unix_ns)
        p->end_unix_ns = from->part.end_unix_ns;
    p->spans += from->part.spans;
    p->errors += from->part.errors;
    for (i = 0; i < from->services_len; i++)
        part_add_service(into, from->services[i]);
}

static size_t merge_parts(summary_row *rows, size_t len)
{
    size_t i, kept = 0;

    qsort(rows, len, sizeof(*rows), part_order);
    for (i = 1; i < len; i++)
        if (part_order(&rows[kept], &rows[i]) == 0)
            part_merge(&rows[kept], &rows[i]);
        else
            rows[++kept] = rows[i];
    return kept + 1;
}

static sonde_status make_summary(frame_builder *b, frame *f)
{
    size_t i, len = merge_parts(b->parts.items, b->parts.len);
    sonde_status status;

    sonde_buf_reset(&b->packed);
    status = summary_write(b->strings.items, b->strings.len, b->parts.items, len, &b->packed);
    if (status != SONDE_OK)
        return status;
    f->summary = copy_bytes(&b->packed, &f->summary_len);
    f->traces = (frame_trace *)sonde_calloc(len, sizeof(*f->traces));
    if (!f->summary || !f->traces)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < len; i++)
        f->traces[i] =
            (frame_trace){ b->parts.items[i].part.trace_lo, b->parts.items[i].part.trace_hi };
    f->traces_len = len;
    f->held_bytes += f->summary_len + len * sizeof(*f->traces);
    return SONDE_OK;
}

static void make_times(const frame_builder *b, frame *f)
{
    size_t i;

    f->min_start_unix_ns = INT64_MAX;
    f->max_start_unix_ns = INT64_MIN;
    for (i = 0; i < b->spans.len; i++) {
        int64_t start = b->spans.items[i].span.start_unix_ns;

        if (start < f->min_start_unix_ns)
            f->min_start_unix_ns = start;
        if (start > f->max_start_unix_ns)
            f->max_start_unix_ns = start;
    }
}

static sonde_status make_body(frame_builder *b, frame *f)
{
    sonde_status status;

    write_body(b);
    if (b->raw.status != SONDE_OK)
        return b->raw.status;
    sonde_buf_reset(&b->packed);
    status = sonde_compress(SONDE_ENCODING_ZSTD, 1, sonde_buf_str(&b->raw), &b->packed);
    if (status != SONDE_OK)
        return status;
    f->body = copy_bytes(&b->packed, &f->body_len);
    if (!f->body)
        return SONDE_ERR_NOMEM;
    f->crc = sonde_crc32c(0, f->body, f->body_len);
    return SONDE_OK;
}

sonde_status frame_builder_finish(frame_builder *b, frame *out)
{
    frame f = { .spans = (uint32_t)b->spans.len, .chunks = (uint32_t)b->chunks.len };
    sonde_status status = b->status;

    if (status == SONDE_OK && (b->spans.len == 0 || b->open_span != b->spans.len))
        status = SONDE_ERR_STATE;
    if (status == SONDE_OK)
        status = make_body(b, &f);
    if (status == SONDE_OK)
        status = make_filter(b, &f);
    if (status == SONDE_OK)
        status = make_summary(b, &f);
    if (status == SONDE_OK)
        make_times(b, &f);
    frame_builder_reset(b);
    if (status != SONDE_OK) {
        frame_done(&f);
        return status;
    }
    f.held_bytes += f.body_len + f.filter_len;
    *out = f;
    return SONDE_OK;
}

void frame_done(frame *f)
{
    sonde_free(f->body);
    sonde_free(f->filter);
    sonde_free(f->summary);
    sonde_free(f->traces);
    memset(f, 0, sizeof(*f));
}
