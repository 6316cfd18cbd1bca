/* pprof_read.c - pprof's protobuf: one walk counts, one fills tables of exactly that size, then every
 * reference is resolved; see pprof_read.h. */
#include "dashboards/model/pprof_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/pb_read.h"

/* Fields of Profile. */
enum {
    SAMPLE_TYPE = 1,
    SAMPLE = 2,
    MAPPING = 3,
    LOCATION = 4,
    FUNCTION = 5,
    STRING = 6,
    TIME = 9,
    DURATION = 10,
};

/* ---- tables ---- */

static sonde_status count_lines(sonde_str location, size_t *count)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, location.ptr, location.len);
    while (sonde_pb_next(&r))
        *count += r.field == 4;
    return r.status;
}

static sonde_status count_rows(pprof_view *v, sonde_str message)
{
    sonde_pb_reader r;
    sonde_status status = SONDE_OK;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        v->types_len += r.field == SAMPLE_TYPE;
        v->samples_len += r.field == SAMPLE;
        v->mappings_len += r.field == MAPPING;
        v->locations_len += r.field == LOCATION;
        v->functions_len += r.field == FUNCTION;
        v->strings_len += r.field == STRING;
        if (r.field == LOCATION)
            status = count_lines(sonde_pb_bytes(&r), &v->lines_len);
    }
    return status == SONDE_OK ? r.status : status;
}

static bool is_too_big(const pprof_view *v)
{
    return v->types_len > PPROF_TYPES_MAX || v->samples_len > PPROF_ROWS_MAX ||
           v->mappings_len > PPROF_ROWS_MAX || v->locations_len > PPROF_ROWS_MAX ||
           v->functions_len > PPROF_ROWS_MAX || v->strings_len > PPROF_ROWS_MAX ||
           v->lines_len > PPROF_ROWS_MAX;
}

static bool make_tables(pprof_view *v)
{
    v->strings = (sonde_str *)sonde_calloc(v->strings_len + 1, sizeof(*v->strings));
    v->mappings = (pprof_mapping *)sonde_calloc(v->mappings_len + 1, sizeof(*v->mappings));
    v->functions = (pprof_function *)sonde_calloc(v->functions_len + 1, sizeof(*v->functions));
    v->locations = (pprof_location *)sonde_calloc(v->locations_len + 1, sizeof(*v->locations));
    v->lines = (uint32_t *)sonde_calloc(v->lines_len + 1, sizeof(*v->lines));
    v->samples = (sonde_str *)sonde_calloc(v->samples_len + 1, sizeof(*v->samples));
    v->scratch = (pprof_sample *)sonde_malloc(sizeof(*v->scratch));
    return v->strings && v->mappings && v->functions && v->locations && v->lines && v->samples &&
           v->scratch;
}

/* Texts and samples; the rest may refer to texts that come later. */
static sonde_status fill_bytes(pprof_view *v, sonde_str message)
{
    size_t strings = 0, samples = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (sonde_pb_next(&r)) {
        if (r.field == STRING)
            v->strings[strings++] = sonde_pb_bytes(&r);
        else if (r.field == SAMPLE)
            v->samples[samples++] = sonde_pb_bytes(&r);
        else if (r.field == TIME)
            v->time_unix_ns = sonde_pb_i64(&r);
        else if (r.field == DURATION)
            v->duration_ns = sonde_pb_i64(&r);
    }
    return r.status;
}

/* The text of an index; a wrong one fails the reader. */
static sonde_str text_at(const pprof_view *v, sonde_pb_reader *r)
{
    uint64_t at = sonde_pb_u64(r);

    if (at < v->strings_len)
        return v->strings[at];
    if (at != 0)
        r->status = SONDE_ERR_SYNTAX;
    return (sonde_str){ NULL, 0 };
}

static sonde_status read_type(const pprof_view *v, sonde_str body, pprof_type *out)
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

static sonde_status read_mapping(const pprof_view *v, sonde_str body, pprof_mapping *out)
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
            out->file = text_at(v, &r);
    }
    return r.status;
}

static sonde_status read_function(const pprof_view *v, sonde_str body, pprof_function *out)
{
    sonde_str system_name = { NULL, 0 };
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            out->id = sonde_pb_u64(&r);
        else if (r.field == 2)
            out->name = text_at(v, &r);
        else if (r.field == 3)
            system_name = text_at(v, &r);
        else if (r.field == 4)
            out->file = text_at(v, &r);
    }
    if (out->name.len == 0)
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
    const uint8_t *base = (const uint8_t *)rows, *row = NULL;

    if (id != 0 && id <= len && id_order(base + (id - 1) * size, &id) == 0)
        row = base + (id - 1) * size;
    else if (len)
        row = (const uint8_t *)bsearch(&id, rows, len, size, id_order);
    if (!row)
        return false;
    *out_at = (uint32_t)((size_t)(row - base) / size);
    return true;
}

/* In order of id, each but once and not 0. */
static sonde_status sort_rows(void *rows, size_t len, size_t size)
{
    const uint8_t *base = (const uint8_t *)rows;
    const uint64_t zero = 0;
    size_t i;

    if (len == 0)
        return SONDE_OK;
    qsort(rows, len, size, id_order);
    if (id_order(base, &zero) == 0)
        return SONDE_ERR_SYNTAX;
    for (i = 1; i < len; i++)
        if (id_order(base + (i - 1) * size, base + i * size) == 0)
            return SONDE_ERR_SYNTAX;
    return SONDE_OK;
}

/* Types, mappings, functions. */
static sonde_status fill_rows(pprof_view *v, sonde_str message)
{
    size_t types = 0, mappings = 0, functions = 0;
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == SAMPLE_TYPE)
            status = read_type(v, sonde_pb_bytes(&r), &v->types[types++]);
        else if (r.field == MAPPING)
            status = read_mapping(v, sonde_pb_bytes(&r), &v->mappings[mappings++]);
        else if (r.field == FUNCTION)
            status = read_function(v, sonde_pb_bytes(&r), &v->functions[functions++]);
    }
    if (status == SONDE_OK)
        status = sort_rows(v->mappings, v->mappings_len, sizeof(*v->mappings));
    if (status == SONDE_OK)
        status = sort_rows(v->functions, v->functions_len, sizeof(*v->functions));
    return status == SONDE_OK ? r.status : status;
}

static sonde_status read_line(const pprof_view *v, sonde_str body, uint32_t *out_function)
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

static sonde_status read_location(pprof_view *v, sonde_str body, size_t *lines, pprof_location *out)
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
    if (status == SONDE_OK)
        status = r.status;
    if (status != SONDE_OK || mapping == 0)
        return status;
    if (!find_row(v->mappings, v->mappings_len, sizeof(*v->mappings), mapping, &out->mapping))
        return SONDE_ERR_SYNTAX;
    out->mapping++;
    return SONDE_OK;
}

static sonde_status fill_locations(pprof_view *v, sonde_str message)
{
    size_t locations = 0, lines = 0;
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == LOCATION)
            status = read_location(v, sonde_pb_bytes(&r), &lines, &v->locations[locations++]);
    return status == SONDE_OK ? sort_rows(v->locations, v->locations_len, sizeof(*v->locations))
                              : status;
}

/* ---- samples ---- */

static sonde_status add_location(const pprof_view *v, uint64_t id, pprof_sample *s)
{
    if (s->depth == PPROF_STACK_MAX)
        return SONDE_ERR_TOO_BIG;
    return find_row(v->locations, v->locations_len, sizeof(*v->locations), id,
                    &s->locations[s->depth])
               ? (s->depth++, SONDE_OK)
               : SONDE_ERR_SYNTAX;
}

static sonde_status add_value(const pprof_view *v, uint64_t value, size_t *values, pprof_sample *s)
{
    if (*values == v->types_len)
        return SONDE_ERR_SYNTAX;
    s->values[(*values)++] = (int64_t)value;
    return SONDE_OK;
}

static sonde_status read_label(const pprof_view *v, sonde_str body, pprof_label *out)
{
    sonde_pb_reader r;

    *out = (pprof_label){ .number = 0 };
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

/* A repeated number, packed or one by one. */
static sonde_status read_numbers(const pprof_view *v, sonde_pb_reader *r, size_t *values,
                                 pprof_sample *s)
{
    bool location = r->field == 1;
    sonde_status status = SONDE_OK;
    sonde_str packed;
    size_t at = 0;

    if (r->wire == 0)
        return location ? add_location(v, sonde_pb_u64(r), s)
                        : add_value(v, sonde_pb_u64(r), values, s);
    packed = sonde_pb_bytes(r);
    while (status == SONDE_OK && at < packed.len) {
        uint64_t number = 0;
        unsigned shift = 0;
        uint8_t byte;

        do {
            if (at == packed.len || shift > 63)
                return SONDE_ERR_SYNTAX;
            byte = (uint8_t)packed.ptr[at++];
            number |= (uint64_t)(byte & 0x7f) << shift;
            shift += 7;
        } while (byte & 0x80);
        status = location ? add_location(v, number, s) : add_value(v, number, values, s);
    }
    return status;
}

static sonde_status read_sample(const pprof_view *v, sonde_str body, pprof_sample *s)
{
    sonde_status status = SONDE_OK;
    size_t values = 0;
    sonde_pb_reader r;

    s->depth = 0;
    s->labels_len = 0;
    sonde_pb_reader_init(&r, body.ptr, body.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == 1 || r.field == 2)
            status = read_numbers(v, &r, &values, s);
        else if (r.field == 3 && s->labels_len == PPROF_LABELS_MAX)
            status = SONDE_ERR_TOO_BIG;
        else if (r.field == 3)
            status = read_label(v, sonde_pb_bytes(&r), &s->labels[s->labels_len++]);
    }
    if (status == SONDE_OK)
        status = r.status;
    if (status == SONDE_OK && values != v->types_len)
        status = SONDE_ERR_SYNTAX;
    return status;
}

static sonde_status check_samples(pprof_view *v)
{
    sonde_status status = SONDE_OK;
    size_t i;

    for (i = 0; i < v->samples_len && status == SONDE_OK; i++)
        status = read_sample(v, v->samples[i], v->scratch);
    return status;
}

const pprof_sample *pprof_view_sample(pprof_view *v, size_t i)
{
    (void)read_sample(v, v->samples[i], v->scratch); /* it was checked */
    return v->scratch;
}

const pprof_label *pprof_find_label(const pprof_sample *s, sonde_str key)
{
    size_t i;

    for (i = 0; i < s->labels_len; i++)
        if (sonde_str_eq(s->labels[i].key, key))
            return &s->labels[i];
    return NULL;
}

/* ---- the view ---- */

static sonde_status decode(pprof_view *v, sonde_str message)
{
    sonde_status status = count_rows(v, message);

    if (status != SONDE_OK)
        return status;
    if (is_too_big(v))
        return SONDE_ERR_TOO_BIG;
    if (v->types_len == 0)
        return SONDE_ERR_SYNTAX; /* it says nothing: an empty text, or something else */
    if (!make_tables(v))
        return SONDE_ERR_NOMEM;
    status = fill_bytes(v, message);
    if (status == SONDE_OK)
        status = fill_rows(v, message);
    if (status == SONDE_OK)
        status = fill_locations(v, message);
    return status == SONDE_OK ? check_samples(v) : status;
}

sonde_status pprof_view_decode(pprof_view *v, sonde_str message)
{
    sonde_status status;

    memset(v, 0, sizeof(*v));
    status = decode(v, message);
    if (status != SONDE_OK)
        pprof_view_done(v);
    return status;
}

void pprof_view_done(pprof_view *v)
{
    sonde_free(v->strings);
    sonde_free(v->mappings);
    sonde_free(v->functions);
    sonde_free(v->locations);
    sonde_free(v->lines);
    sonde_free(v->samples);
    sonde_free(v->scratch);
    memset(v, 0, sizeof(*v));
}
