/* stats.c - packing latency sketches; format: docs/spec/store.md.
 *
 * The wire form spends eight bytes on every bin between the fastest and the slowest request.  Stored,
 * only used bins count: a varint for the distance to the one before, a varint for the count.  Counts
 * are whole unless sampling weights made them fractions, which then keep their eight bytes.
 *
 * Bounds    SONDE_SKETCH_BINS_MAX bins, checked before memory is asked for. */
#include "dashboards/model/stats.h"

#include "base/alloc.h"
#include "dashboards/model/varint.h"

#define FORM_WHOLE  1
#define FORM_DOUBLE 2
#define WHOLE_MAX   1e15

static bool is_whole(double v)
{
    return v >= 0 && v < WHOLE_MAX && (double)(uint64_t)v == v;
}

static bool all_whole(const sonde_sketch *s)
{
    uint32_t i;

    for (i = 0; i < s->len; i++)
        if (!is_whole(s->bins[i]))
            return false;
    return is_whole(s->zero_count);
}

static void put_count(sonde_buf *out, int form, double v)
{
    if (form == FORM_WHOLE)
        varint_append(out, (uint64_t)v);
    else
        varint_append_le64(out, varint_of_double(v));
}

void stats_sketch_pack(const sonde_sketch *s, sonde_buf *out)
{
    int form = all_whole(s) ? FORM_WHOLE : FORM_DOUBLE;
    int64_t before = 0;
    uint32_t i;

    if (s->count <= 0)
        return;
    sonde_buf_append_byte(out, (uint8_t)form);
    put_count(out, form, s->zero_count);
    for (i = 0; i < s->len; i++) {
        int64_t index = (int64_t)s->offset + i;

        if (s->bins[i] <= 0)
            continue;
        varint_append(out, varint_zigzag(index - before));
        put_count(out, form, s->bins[i]);
        before = index;
    }
}

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    int form;
} reader;

static bool take_count(reader *r, double *out)
{
    uint64_t v = 0;
    size_t n;

    if (r->form == FORM_WHOLE) {
        n = varint_get(r->at, r->end, &v);
        r->at += n;
        *out = (double)v;
        return n > 0;
    }
    if (r->end - r->at < 8)
        return false;
    *out = varint_to_double(varint_get_le64(r->at));
    r->at += 8;
    return *out >= 0 && *out < 1e300;
}

static bool take_bin(reader *r, int64_t *index, double *out_count)
{
    uint64_t v = 0;
    size_t n = varint_get(r->at, r->end, &v);
    int64_t step = varint_unzigzag(v);

    if (n == 0 || step < INT32_MIN || step > INT32_MAX)
        return false;
    r->at += n;
    *index += step;
    return *index >= INT32_MIN && *index <= INT32_MAX && take_count(r, out_count);
}

/* First pass: the range of bins, and whether the bytes are well formed. */
static sonde_status measure(reader r, int64_t *out_low, int64_t *out_high)
{
    int64_t index = 0, before = INT64_MIN;
    double count;

    *out_low = 0;
    *out_high = -1;
    while (r.at < r.end) {
        if (!take_bin(&r, &index, &count) || index <= before)
            return SONDE_ERR_SYNTAX;
        if (before == INT64_MIN)
            *out_low = index;
        *out_high = before = index;
    }
    return *out_high - *out_low < SONDE_SKETCH_BINS_MAX ? SONDE_OK : SONDE_ERR_SYNTAX;
}

static sonde_status make_room(sonde_sketch *s, uint32_t len)
{
    double *bins;

    if (s->cap >= len)
        return SONDE_OK;
    bins = (double *)sonde_realloc(s->bins, len * sizeof(*bins));
    if (!bins)
        return SONDE_ERR_NOMEM;
    s->bins = bins;
    s->cap = len;
    return SONDE_OK;
}

sonde_status stats_sketch_unpack(sonde_str packed, sonde_sketch *out)
{
    reader r;
    int64_t low, high, index = 0;
    double count, zero;
    sonde_status status;
    uint32_t i;

    sonde_sketch_clear(out);
    if (packed.len == 0)
        return SONDE_OK;
    r.at = (const uint8_t *)packed.ptr;
    r.end = r.at + packed.len;
    r.form = *r.at++;
    if ((r.form != FORM_WHOLE && r.form != FORM_DOUBLE) || !take_count(&r, &zero))
        return SONDE_ERR_SYNTAX;
    status = measure(r, &low, &high);
    if (status == SONDE_OK)
        status = make_room(out, (uint32_t)(high - low + 1));
    if (status != SONDE_OK)
        return status;
    out->offset = (int32_t)low;
    out->len = (uint32_t)(high - low + 1);
    out->zero_count = out->count = zero;
    for (i = 0; i < out->len; i++)
        out->bins[i] = 0;
    while (r.at < r.end && take_bin(&r, &index, &count)) {
        out->bins[index - low] = count;
        out->count += count;
    }
    return SONDE_OK;
}

sonde_status stats_sketch_merge(sonde_sketch *into, sonde_str packed, sonde_sketch *scratch)
{
    sonde_status status = stats_sketch_unpack(packed, scratch);

    return status == SONDE_OK && packed.len ? sonde_sketch_merge(into, scratch) : status;
}
