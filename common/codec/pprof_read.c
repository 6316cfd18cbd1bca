/* pprof_read.c - pprof's protobuf: one walk counts, others fill tables of exactly that size and resolve every
 * reference; samples stay in the message.  See pprof_read.h. */
#include "codec/pprof_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/pprof_write.h"

/* ---- tables ---- */

static sonde_status count_lines(sonde_str location, size_t *count)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, location.ptr, location.len);
    while (sonde_pb_next(&r))
        *count += r.field == 4;
    return r.status;
}

static sonde_status count_rows(sonde_pprof_view *v)
{
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;

    sonde_pb_reader_init(&r, v->message.ptr, v->message.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        v->types_len += r.field == SONDE_PPROF_SAMPLE_TYPE;
        v->samples_len += r.field == SONDE_PPROF_SAMPLE;
        v->mappings_len += r.field == SONDE_PPROF_MAPPING;
        v->locations_len += r.field == SONDE_PPROF_LOCATION;
        v->functions_len += r.field == SONDE_PPROF_FUNCTION;
        v->texts_len += r.field == SONDE_PPROF_TEXT;
        if (r.field == SONDE_PPROF_LOCATION)
            status = count_lines(sonde_pb_bytes(&r), &v->lines_len);
    }
    return status == SONDE_OK ? r.status : status;
}

static bool is_too_big(const sonde_pprof_view *v)
{
    return v->types_len > SONDE_PPROF_TYPES_MAX || v->mappings_len > SONDE_PPROF_MAPPINGS_MAX ||
           v->locations_len > SONDE_PPROF_ROWS_MAX || v->functions_len > SONDE_PPROF_ROWS_MAX ||
           v->texts_len > SONDE_PPROF_ROWS_MAX || v->lines_len > SONDE_PPROF_ROWS_MAX;
}

static bool make_tables(sonde_pprof_view *v)
{
    v->texts = sonde_calloc(v->texts_len + 1, sizeof(*v->texts));
    v->mappings = sonde_calloc(v->mappings_len + 1, sizeof(*v->mappings));
    v->functions = sonde_calloc(v->functions_len + 1, sizeof(*v->functions));
    v->locations = sonde_calloc(v->locations_len + 1, sizeof(*v->locations));
    v->lines = sonde_calloc(v->lines_len + 1, sizeof(*v->lines));
    v->sample = sonde_malloc(sizeof(*v->sample));
    return v->texts && v->mappings && v->functions && v->locations && v->lines && v->sample;
}

static sonde_status fill_texts(sonde_pprof_view *v)
{
    size_t len = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, v->message.ptr, v->message.len);
    while (sonde_pb_next(&r))
        if (r.field == SONDE_PPROF_TEXT)
            v->texts[len++] = sonde_pb_bytes(&r);
    return r.status;
}

/* The index of a text; one that is not there fails the reader. */
static uint32_t read_text(const sonde_pprof_view *v, sonde_pb_reader *r)
{
    uint64_t at = sonde_pb_u64(r);

    if (at < v->texts_len)
        return (uint32_t)at;
    if (at != 0)
        r->status = SONDE_ERR_SYNTAX;
    return 0;
}

static sonde_str text_at(const sonde_pprof_view *v, sonde_pb_reader *r)
{
    return sonde_pprof_text(v, read_text(v, r));
}

static sonde_status read_type(const sonde_pprof_view *v, sonde_str body, sonde_pprof_type *out)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            out->type = text_at(v, &r);
        else if (r.field == 2)
            out->unit = text_at(v, &r);
    }
    return r.status;
}

static sonde_status read_mapping(const sonde_pprof_view *v, sonde_str body,
                                 sonde_pprof_view_mapping *out)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            out->id = sonde_pb_u64(&r);
        else if (r.field == 2)
            out->start = sonde_pb_u64(&r);
        else if (r.field == 4)
            out->offset = sonde_pb_u64(&r);
        else if (r.field == 5)
            out->file = read_text(v, &r);
    }
    return r.status;
}

static sonde_status read_function(const sonde_pprof_view *v, sonde_str body,
                                  sonde_pprof_view_function *out)
{
    uint32_t system_name = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            out->id = sonde_pb_u64(&r);
        else if (r.field == 2)
            out->name = read_text(v, &r);
        else if (r.field == 3)
            system_name = read_text(v, &r);
        else if (r.field == 4)
            out->file = read_text(v, &r);
    }
    if (sonde_pprof_text(v, out->name).len == 0)
        out->name = system_name;
    return r.status;
}

static int id_order(const void *a, const void *b)
{
    uint64_t x, y; /* the id is the first member of every row */

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* Ids are mostly 1, 2, 3...  `rows` in order of id; false: not there. */
static bool find_row(const void *rows, size_t len, size_t size, uint64_t id, uint32_t *out_at)
{
    const uint8_t *base = rows, *row = NULL;

    if (id != 0 && id <= len && id_order(base + (id - 1) * size, &id) == 0)
        row = base + (id - 1) * size;
    else if (len)
        row = bsearch(&id, rows, len, size, id_order);
    if (!row)
        return false;
    *out_at = (uint32_t)((size_t)(row - base) / size);
    return true;
}

/* In order of id, each but once and not 0. */
static bool are_sorted(const void *rows, size_t len, size_t size)
{
    const uint8_t *base = rows;
    const uint64_t zero = 0;

    for (size_t i = 0; i < len; i++)
        if (id_order(i ? base + (i - 1) * size : (const void *)&zero, base + i * size) >= 0)
            return false;
    return true;
}

static sonde_status sort_rows(void *rows, size_t len, size_t size)
{
    if (are_sorted(rows, len, size))
        return SONDE_OK;
    qsort(rows, len, size, id_order);
    return are_sorted(rows, len, size) ? SONDE_OK : SONDE_ERR_SYNTAX;
}

/* All that refers to texts alone. */
static sonde_status fill_rows(sonde_pprof_view *v)
{
    size_t types = 0, mappings = 0, functions = 0;
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, v->message.ptr, v->message.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == SONDE_PPROF_SAMPLE_TYPE)
            status = read_type(v, sonde_pb_bytes(&r), &v->types[types++]);
        else if (r.field == SONDE_PPROF_MAPPING)
            status = read_mapping(v, sonde_pb_bytes(&r), &v->mappings[mappings++]);
        else if (r.field == SONDE_PPROF_FUNCTION)
            status = read_function(v, sonde_pb_bytes(&r), &v->functions[functions++]);
        else if (r.field == SONDE_PPROF_TIME)
            v->time_unix_ns = sonde_pb_i64(&r);
        else if (r.field == SONDE_PPROF_DURATION)
            v->duration_ns = sonde_pb_i64(&r);
        else if (r.field == SONDE_PPROF_DEFAULT_TYPE)
            v->default_type = text_at(v, &r);
    }
    if (status == SONDE_OK)
        status = sort_rows(v->mappings, v->mappings_len, sizeof(*v->mappings));
    if (status == SONDE_OK)
        status = sort_rows(v->functions, v->functions_len, sizeof(*v->functions));
    return status == SONDE_OK ? r.status : status;
}

static sonde_status read_line(const sonde_pprof_view *v, sonde_str body, uint32_t *out_function)
{
    uint64_t id = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r))
        if (r.field == 1)
            id = sonde_pb_u64(&r);
    if (r.status != SONDE_OK)
        return r.status;
    return find_row(v->functions, v->functions_len, sizeof(*v->functions), id, out_function)
               ? SONDE_OK
               : SONDE_ERR_SYNTAX;
}

static sonde_status read_location(sonde_pprof_view *v, sonde_str body, size_t *lines,
                                  sonde_pprof_location *out)
{
    uint64_t mapping = 0;
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    out->first_line = (uint32_t)*lines;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == 1)
            out->id = sonde_pb_u64(&r);
        else if (r.field == 2)
            mapping = sonde_pb_u64(&r);
        else if (r.field == 3)
            out->address = sonde_pb_u64(&r);
        else if (r.field == 4)
            status = read_line(v, sonde_pb_bytes(&r), &v->lines[(*lines)++]);
    }
    out->lines = (uint32_t)*lines - out->first_line;
    if (find_row(v->mappings, v->mappings_len, sizeof(*v->mappings), mapping, &out->mapping))
        out->mapping++;
    return status == SONDE_OK ? r.status : status;
}

static sonde_status fill_locations(sonde_pprof_view *v)
{
    size_t locations = 0, lines = 0;
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, v->message.ptr, v->message.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == SONDE_PPROF_LOCATION)
            status = read_location(v, sonde_pb_bytes(&r), &lines, &v->locations[locations++]);
    return status == SONDE_OK ? sort_rows(v->locations, v->locations_len, sizeof(*v->locations))
                              : status;
}

/* ---- samples ---- */

static sonde_status add_location(const sonde_pprof_view *v, uint64_t id, sonde_pprof_sample *s)
{
    uint32_t at;

    if (!find_row(v->locations, v->locations_len, sizeof(*v->locations), id, &at))
        return SONDE_ERR_SYNTAX;
    if (s->depth < SONDE_PPROF_STACK_MAX)
        s->locations[s->depth++] = at;
    else
        s->cut++;
    return SONDE_OK;
}

static sonde_status add_value(const sonde_pprof_view *v, uint64_t value, size_t *values,
                              sonde_pprof_sample *s)
{
    if (*values == v->types_len)
        return SONDE_ERR_SYNTAX;
    s->values[(*values)++] = (int64_t)value;
    return SONDE_OK;
}

static sonde_status read_label(const sonde_pprof_view *v, sonde_str body, sonde_pprof_label *out)
{
    sonde_pb_reader r;

    *out = (sonde_pprof_label){ .number = 0 };
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            out->key = text_at(v, &r);
        else if (r.field == 2)
            out->text = text_at(v, &r);
        else if (r.field == 3)
            out->number = sonde_pb_i64(&r);
        else if (r.field == 4)
            out->unit = text_at(v, &r);
    }
    return r.status;
}

static sonde_status add_number(const sonde_pprof_view *v, uint32_t field, uint64_t number,
                               size_t *values, sonde_pprof_sample *s)
{
    return field == SONDE_PPROF_SAMPLE_LOCATIONS ? add_location(v, number, s)
                                                 : add_value(v, number, values, s);
}

/* A repeated number, packed or one by one. */
static sonde_status read_numbers(const sonde_pprof_view *v, sonde_pb_reader *r, size_t *values,
                                 sonde_pprof_sample *s)
{
    sonde_str packed;
    sonde_status status = SONDE_OK;
    sonde_pb_reader numbers;

    if (r->wire == 0)
        return add_number(v, r->field, sonde_pb_u64(r), values, s);
    packed = sonde_pb_bytes(r);
    sonde_pb_reader_init(&numbers, packed.ptr, packed.len);
    while (status == SONDE_OK && sonde_pb_next_packed(&numbers))
        status = add_number(v, r->field, sonde_pb_u64(&numbers), values, s);
    return status == SONDE_OK ? numbers.status : status;
}

static sonde_status read_sample(const sonde_pprof_view *v, sonde_str body, sonde_pprof_sample *s)
{
    sonde_status status = SONDE_OK;
    size_t values = 0;
    sonde_pb_reader r;

    s->depth = 0;
    s->cut = 0;
    s->labels_len = 0;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == SONDE_PPROF_SAMPLE_LOCATIONS || r.field == SONDE_PPROF_SAMPLE_VALUES)
            status = read_numbers(v, &r, &values, s);
        else if (r.field == SONDE_PPROF_SAMPLE_LABEL && s->labels_len == SONDE_PPROF_LABELS_MAX)
            status = SONDE_ERR_TOO_BIG;
        else if (r.field == SONDE_PPROF_SAMPLE_LABEL)
            status = read_label(v, sonde_pb_bytes(&r), &s->labels[s->labels_len++]);
    }
    if (status == SONDE_OK)
        status = r.status;
    if (status == SONDE_OK && values != v->types_len)
        status = SONDE_ERR_SYNTAX;
    return status;
}

static sonde_status check_samples(sonde_pprof_view *v)
{
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, v->message.ptr, v->message.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == SONDE_PPROF_SAMPLE)
            status = read_sample(v, sonde_pb_bytes(&r), v->sample);
    return status == SONDE_OK ? r.status : status;
}

const sonde_pprof_sample *sonde_pprof_next_sample(sonde_pprof_view *v)
{
    while (sonde_pb_next(&v->rest))
        if (v->rest.field == SONDE_PPROF_SAMPLE) {
            (void)read_sample(v, sonde_pb_bytes(&v->rest), v->sample); /* it was checked */
            return v->sample;
        }
    sonde_pb_reader_init(&v->rest, v->message.ptr, v->message.len);
    return NULL;
}

const sonde_pprof_label *sonde_pprof_find_label(const sonde_pprof_sample *s, sonde_str key)
{
    for (size_t i = 0; i < s->labels_len; i++)
        if (sonde_str_eq(s->labels[i].key, key))
            return &s->labels[i];
    return NULL;
}

/* ---- the view ---- */

static sonde_status decode(sonde_pprof_view *v)
{
    sonde_status status = count_rows(v);

    if (status != SONDE_OK)
        return status;
    if (is_too_big(v))
        return SONDE_ERR_TOO_BIG;
    if (v->types_len == 0)
        return SONDE_ERR_SYNTAX; /* it says nothing: an empty text, or something else */
    if (!make_tables(v))
        return SONDE_ERR_NOMEM;
    status = fill_texts(v);
    if (status == SONDE_OK)
        status = fill_rows(v);
    if (status == SONDE_OK)
        status = fill_locations(v);
    return status == SONDE_OK ? check_samples(v) : status;
}

sonde_status sonde_pprof_view_decode(sonde_pprof_view *v, sonde_str message)
{
    sonde_status status;

    memset(v, 0, sizeof(*v));
    v->message = message;
    sonde_pb_reader_init(&v->rest, message.ptr, message.len);
    status = decode(v);
    if (status != SONDE_OK)
        sonde_pprof_view_done(v);
    return status;
}

void sonde_pprof_view_done(sonde_pprof_view *v)
{
    sonde_free(v->texts);
    sonde_free(v->mappings);
    sonde_free(v->functions);
    sonde_free(v->locations);
    sonde_free(v->lines);
    sonde_free(v->sample);
    memset(v, 0, sizeof(*v));
}

sonde_str sonde_pprof_object(const sonde_pprof_view *v, const sonde_pprof_location *l)
{
    return l->mapping ? sonde_pprof_text(v, v->mappings[l->mapping - 1].file)
                      : (sonde_str){ NULL, 0 };
}

uint64_t sonde_pprof_object_address(const sonde_pprof_view *v, const sonde_pprof_location *l)
{
    const sonde_pprof_view_mapping *m = l->mapping ? &v->mappings[l->mapping - 1] : NULL;

    return m && l->address >= m->start ? l->address - m->start + m->offset : l->address;
}
