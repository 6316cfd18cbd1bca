/* frame_read.c - decodes the body of a frame into a frame_view; format: docs/spec/store.md.
 *
 * The body comes from disk and is checked like any input: every count against the bytes that remain
 * (and FRAME_ITEMS_MAX) before memory is asked for, every reference against its table.
 *
 * Threads   none.  Bounds: FRAME_RAW_MAX_BYTES inflated. */
#include <string.h>

#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/reader.h"

static void *rows(reader *r, size_t count, size_t bytes)
{
    void *p = r->status == SONDE_OK ? sonde_calloc(count ? count : 1, bytes) : NULL;

    if (!p && r->status == SONDE_OK)
        r->status = SONDE_ERR_NOMEM;
    return p;
}

static void read_strings(reader *r, frame_view *v)
{
    size_t i;

    for (i = 0; i < v->strings_len; i++) {
        uint64_t len = reader_take(r);

        if (len > FRAME_RAW_MAX_BYTES)
            reader_bad(r);
        v->strings[i].len = (size_t)len;
    }
    for (i = 0; i < v->strings_len && r->status == SONDE_OK; i++)
        v->strings[i] = reader_take_bytes(r, v->strings[i].len);
}

static void read_attrs(reader *r, frame_view *v)
{
    model_attr *a = v->attrs;
    size_t i;

    for (i = 0; i < v->attrs_len; i++) {
        uint64_t code = reader_take(r);

        if (code / MODEL_ATTR_KINDS >= v->strings_len) {
            reader_bad(r);
            return;
        }
        a[i].key = v->strings[code / MODEL_ATTR_KINDS];
        a[i].kind = (uint8_t)(code % MODEL_ATTR_KINDS);
    }
    for (i = 0; i < v->attrs_len; i++)
        if (a[i].kind != MODEL_ATTR_METRIC) {
            uint64_t len = reader_take(r);

            if (len > FRAME_RAW_MAX_BYTES)
                reader_bad(r);
            a[i].text.len = (size_t)len;
        }
    for (i = 0; i < v->attrs_len && r->status == SONDE_OK; i++)
        if (a[i].kind != MODEL_ATTR_METRIC)
            a[i].text = reader_take_bytes(r, a[i].text.len);
    for (i = 0; i < v->attrs_len && r->status == SONDE_OK; i++)
        if (a[i].kind == MODEL_ATTR_METRIC)
            a[i].number = varint_to_double(reader_take_u64(r));
}

/* Appends `count` references to the view's table; its place there, which never moves. */
static const uint32_t *read_refs(reader *r, frame_view *v, size_t count, size_t cap)
{
    const uint32_t *first = v->refs + v->refs_len;
    size_t i;

    if (count > cap - v->refs_len) {
        reader_bad(r);
        return NULL;
    }
    for (i = 0; i < count; i++)
        v->refs[v->refs_len++] = reader_take_index(r, v->attrs_len);
    return first;
}

static void read_chunks(reader *r, frame_view *v, size_t refs_cap)
{
    size_t i, k, spans = 0;

    for (i = 0; i < v->sources_len; i++) {
        sonde_str *fields = &v->sources[i].env;

        for (k = 0; k < MODEL_SOURCE_FIELDS; k++) {
            uint32_t id = reader_take_index(r, v->strings_len);

            if (r->status != SONDE_OK)
                return;
            fields[k] = v->strings[id];
        }
    }
    for (i = 0; i < v->chunks_len && r->status == SONDE_OK; i++) {
        model_chunk *c = &v->chunks[i];
        uint32_t origin, source;

        c->trace_hi = reader_take_u64(r);
        c->trace_lo = reader_take_u64(r);
        c->priority = (int32_t)varint_unzigzag(reader_take(r));
        origin = reader_take_index(r, v->strings_len);
        source = reader_take_index(r, v->sources_len);
        c->first_span = (uint32_t)spans;
        c->spans_len = reader_take_index(r, v->spans_len - spans + 1);
        c->attrs_len = (uint32_t)reader_take_count(r);
        c->attrs = read_refs(r, v, c->attrs_len, refs_cap);
        if (r->status != SONDE_OK)
            return;
        c->origin = v->strings[origin];
        c->source = &v->sources[source];
        spans += c->spans_len;
        for (k = 0; k < c->spans_len; k++)
            v->spans[c->first_span + k].chunk = c;
    }
    if (spans != v->spans_len)
        reader_bad(r);
}

/* Checks the codes and passes over them; read_parents() turns them into ids. */
static void check_parents(reader *r, const frame_view *v)
{
    size_t i, c;

    for (c = 0; c < v->chunks_len; c++) {
        size_t first = v->chunks[c].first_span, end = first + v->chunks[c].spans_len;

        for (i = first; i < end; i++) {
            uint64_t code = reader_take(r);
            int64_t at = (int64_t)i + (code < 2 ? 0 : varint_unzigzag(code - 1));

            if (code > FRAME_ITEMS_MAX || at < (int64_t)first || at >= (int64_t)end) {
                reader_bad(r);
                return;
            }
        }
    }
}

static void read_parents(reader *r, frame_view *v)
{
    const uint8_t *codes = r->at;
    size_t i;

    check_parents(r, v);
    for (i = 0; i < v->spans_len && r->status == SONDE_OK; i++) {
        model_span *s = &v->spans[i];
        uint64_t code = 0;

        codes += varint_get(codes, r->end, &code);
        if (code == 1)
            s->parent_id = reader_take_u64(r);
        else if (code > 1)
            s->parent_id = v->spans[(int64_t)i + varint_unzigzag(code - 1)].span_id;
    }
}

static void read_text_column(reader *r, frame_view *v, size_t offset)
{
    size_t i;

    for (i = 0; i < v->spans_len; i++) {
        uint32_t id = reader_take_index(r, v->strings_len);

        if (r->status != SONDE_OK)
            return;
        memcpy((char *)&v->spans[i] + offset, &v->strings[id], sizeof(sonde_str));
    }
}

static void read_numbers(reader *r, frame_view *v)
{
    model_span *s = v->spans;
    uint64_t start = 0;
    size_t i;

    for (i = 0; i < v->spans_len; i++) {
        start += (uint64_t)varint_unzigzag(reader_take(r));
        s[i].start_unix_ns = (int64_t)start;
    }
    for (i = 0; i < v->spans_len; i++)
        s[i].duration_ns = varint_unzigzag(reader_take(r));
    for (i = 0; i < v->spans_len; i++)
        s[i].error = (int32_t)varint_unzigzag(reader_take(r));
}

static void read_tail(reader *r, frame_view *v, size_t refs_cap)
{
    model_span *s = v->spans;
    size_t i;

    for (i = 0; i < v->spans_len; i++)
        s[i].attrs_len = (uint32_t)reader_take_count(r);
    for (i = 0; i < v->spans_len && r->status == SONDE_OK; i++)
        s[i].attrs = read_refs(r, v, s[i].attrs_len, refs_cap);
    for (i = 0; i < v->spans_len; i++) {
        uint64_t len = reader_take(r);

        if (len > FRAME_RAW_MAX_BYTES)
            reader_bad(r);
        s[i].extra.len = (size_t)len;
    }
    for (i = 0; i < v->spans_len && r->status == SONDE_OK; i++)
        s[i].extra = reader_take_bytes(r, s[i].extra.len);
}

static void read_spans(reader *r, frame_view *v, size_t refs_cap)
{
    size_t i;

    read_text_column(r, v, offsetof(model_span, service));
    read_text_column(r, v, offsetof(model_span, name));
    read_text_column(r, v, offsetof(model_span, resource));
    read_text_column(r, v, offsetof(model_span, type));
    for (i = 0; i < v->spans_len && r->status == SONDE_OK; i++)
        v->spans[i].span_id = reader_take_u64(r);
    read_parents(r, v);
    if (r->status != SONDE_OK)
        return;
    read_numbers(r, v);
    read_tail(r, v, refs_cap);
    if (r->at != r->end)
        reader_bad(r);
}

static sonde_status read_body(frame_view *v)
{
    reader r = { .status = SONDE_OK };
    size_t refs_cap;

    if (v->raw.len < FRAME_MAGIC_BYTES || memcmp(v->raw.data, FRAME_MAGIC, FRAME_MAGIC_BYTES) != 0)
        return SONDE_ERR_SYNTAX;
    r.at = v->raw.data + FRAME_MAGIC_BYTES;
    r.end = v->raw.data + v->raw.len;
    v->strings_len = reader_take_count(&r);
    v->attrs_len = reader_take_count(&r);
    v->sources_len = reader_take_count(&r);
    v->chunks_len = reader_take_count(&r);
    v->spans_len = reader_take_count(&r);
    refs_cap = (size_t)(r.end - r.at); /* a reference takes a byte at least */
    if (refs_cap > FRAME_ITEMS_MAX * 2)
        refs_cap = FRAME_ITEMS_MAX * 2;
    v->strings = (sonde_str *)rows(&r, v->strings_len, sizeof(*v->strings));
    v->attrs = (model_attr *)rows(&r, v->attrs_len, sizeof(*v->attrs));
    v->sources = (model_source *)rows(&r, v->sources_len, sizeof(*v->sources));
    v->chunks = (model_chunk *)rows(&r, v->chunks_len, sizeof(*v->chunks));
    v->spans = (model_span *)rows(&r, v->spans_len, sizeof(*v->spans));
    v->refs = (uint32_t *)rows(&r, refs_cap, sizeof(*v->refs));
    if (r.status == SONDE_OK)
        read_strings(&r, v);
    if (r.status == SONDE_OK)
        read_attrs(&r, v);
    if (r.status == SONDE_OK)
        read_chunks(&r, v, refs_cap);
    if (r.status == SONDE_OK)
        read_spans(&r, v, refs_cap);
    return r.status;
}

void frame_view_init(frame_view *v)
{
    memset(v, 0, sizeof(*v));
    sonde_buf_init(&v->raw, FRAME_RAW_MAX_BYTES);
}

void frame_view_done(frame_view *v)
{
    sonde_buf_done(&v->raw);
    sonde_free(v->strings);
    sonde_free(v->attrs);
    sonde_free(v->sources);
    sonde_free(v->chunks);
    sonde_free(v->spans);
    sonde_free(v->refs);
    frame_view_init(v);
}

sonde_status frame_view_decode(frame_view *v, sonde_str body)
{
    sonde_status status;

    frame_view_done(v);
    status = sonde_decompress(SONDE_ENCODING_ZSTD, body, &v->raw);
    if (status == SONDE_OK)
        status = read_body(v);
    if (status != SONDE_OK)
        frame_view_done(v);
    return status == SONDE_OK || status == SONDE_ERR_NOMEM ? status : SONDE_ERR_SYNTAX;
}

const model_attr *frame_view_attr(const frame_view *v, const model_span *span, sonde_str key)
{
    uint32_t i;

    for (i = 0; i < span->attrs_len; i++)
        if (sonde_str_eq(v->attrs[span->attrs[i]].key, key))
            return &v->attrs[span->attrs[i]];
    return NULL;
}
