/* sketch_wire.c - DDSketch as protobuf.
 *
 *   DDSketch      1 mapping, 2 positive store, 3 negative store, 4 zero count (double)
 *   IndexMapping  1 gamma (double), 2 index offset (double), 3 interpolation (0: none)
 *   Store         1 map<sint32, double>, 2 packed doubles, 3 sint32 index of the first of them
 *
 * Decoding reads the bytes twice: the first round checks everything and finds the range of the
 * indices, so that the second cannot fail and `into` is changed either wholly or not at all.
 *
 * Threads   none.
 * Bounds    no allocation but the bins of `into`; time is linear in the bytes.
 * See also  docs/spec/sketch.md.
 */
#include <float.h>
#include <string.h>

#include "codec/bytes.h"
#include "codec/pb_read.h"
#include "codec/pb_write.h"
#include "codec/sketch.h"
#include "codec/sketch_internal.h"

#define COUNT_MAX       9223372036854775808.0 /* 2^63 */
#define GAMMA_TOLERANCE 1e-12

enum { SKETCH_MAPPING = 1, SKETCH_POSITIVE = 2, SKETCH_NEGATIVE = 3, SKETCH_ZERO_COUNT = 4 };
enum { MAPPING_GAMMA = 1, MAPPING_OFFSET = 2, MAPPING_INTERPOLATION = 3 };
enum { STORE_MAP = 1, STORE_PACKED = 2, STORE_PACKED_OFFSET = 3 };

static void encode_store(const sonde_sketch *s, sonde_buf *out)
{
    size_t mark = sonde_pb_begin(out, STORE_PACKED);
    uint8_t *at = sonde_buf_reserve(out, s->len * sizeof(double));
    uint64_t bits;
    uint32_t i;

    for (i = 0; at && i < s->len; i++) {
        memcpy(&bits, &s->bins[i], sizeof(bits));
        sonde_bytes_put64le(at + i * sizeof(bits), bits);
    }
    if (at)
        sonde_buf_commit(out, s->len * sizeof(double));
    sonde_pb_end(out, mark);
    sonde_pb_sint32(out, STORE_PACKED_OFFSET, s->offset);
}

void sonde_sketch_encode(const sonde_sketch *s, sonde_buf *out)
{
    size_t mark = sonde_pb_begin(out, SKETCH_MAPPING);

    sonde_pb_double(out, MAPPING_GAMMA, SKETCH_GAMMA);
    sonde_pb_end(out, mark);

    mark = sonde_pb_begin(out, SKETCH_POSITIVE);
    if (s->len)
        encode_store(s, out);
    sonde_pb_end(out, mark);

    sonde_pb_end(out, sonde_pb_begin(out, SKETCH_NEGATIVE));
    sonde_pb_double(out, SKETCH_ZERO_COUNT, s->zero_count);
}

/* Decoding */

typedef struct mapping {
    bool seen;
    bool ours;
    double offset;
    double bin_log; /* of the foreign gamma, to the base of ours: bins of ours per bin of theirs */
    double middle_log; /* from a foreign bin's lower end to its middle */
} mapping;

typedef struct scan {
    mapping map;
    sonde_sketch *add_to; /* NULL in the first round */
    bool negative;        /* the store being read */
    bool any;             /* lo and hi are set */
    int32_t lo, hi;       /* of bins that are not empty */
    double zero, total;   /* total includes zero */
} scan;

static sonde_status finish_mapping(mapping *m, double gamma, uint64_t interpolation)
{
    if (!(gamma > 1 && gamma <= DBL_MAX) || interpolation != 0)
        return SONDE_ERR_SYNTAX;
    if (!(m->offset >= -DBL_MAX && m->offset <= DBL_MAX))
        return SONDE_ERR_SYNTAX;
    m->seen = true;
    m->ours = gamma - SKETCH_GAMMA < GAMMA_TOLERANCE && SKETCH_GAMMA - gamma < GAMMA_TOLERANCE &&
              m->offset == 0;
    m->bin_log = sonde_sketch_log(gamma);
    m->middle_log = sonde_sketch_log(2 / (1 + 1 / gamma));
    return SONDE_OK;
}

static sonde_status decode_mapping(sonde_str bytes, mapping *m)
{
    double gamma = 0;
    uint64_t interpolation = 0;
    sonde_pb_reader r;

    m->offset = 0;
    sonde_pb_reader_init(&r, bytes.ptr, bytes.len);
    while (sonde_pb_next(&r)) {
        if (r.field == MAPPING_GAMMA)
            gamma = sonde_pb_f64(&r);
        else if (r.field == MAPPING_OFFSET)
            m->offset = sonde_pb_f64(&r);
        else if (r.field == MAPPING_INTERPOLATION)
            interpolation = sonde_pb_u64(&r);
    }
    return r.status == SONDE_OK ? finish_mapping(m, gamma, interpolation) : r.status;
}

/* Our index for a bin of theirs: that of the bin's middle, as a double because it may be anything. */
static double our_index(const mapping *m, int64_t index)
{
    if (m->ours)
        return (double)index;
    return ((double)index - m->offset) * m->bin_log + m->middle_log;
}

static sonde_status scan_zero(scan *s, double count)
{
    if (!(count >= 0 && count <= COUNT_MAX))
        return SONDE_ERR_SYNTAX;
    s->zero += count;
    s->total += count;
    return s->total <= COUNT_MAX ? SONDE_OK : SONDE_ERR_SYNTAX;
}

static sonde_status scan_bin(scan *s, int64_t index, double count)
{
    double x;
    int32_t i;

    if (count == 0)
        return SONDE_OK;
    if (!s->map.seen || index < INT32_MIN || index > INT32_MAX ||
        !(count > 0 && count <= COUNT_MAX))
        return SONDE_ERR_SYNTAX;
    x = our_index(&s->map, index);
    if (s->negative || x < SKETCH_INDEX_MIN)
        return scan_zero(s, count);
    if (!(x < SKETCH_INDEX_MAX + 1))
        return SONDE_ERR_SYNTAX;
    i = sonde_sketch_floor(x);
    s->total += count;
    if (s->add_to)
        sonde_sketch_add_covered(s->add_to, i, count);
    s->lo = s->any && s->lo < i ? s->lo : i;
    s->hi = s->any && s->hi > i ? s->hi : i;
    s->any = true;
    return s->total <= COUNT_MAX ? SONDE_OK : SONDE_ERR_SYNTAX;
}

static sonde_status scan_map_entry(scan *s, sonde_str entry)
{
    int32_t index = 0;
    double count = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, entry.ptr, entry.len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            index = sonde_pb_s32(&r);
        else if (r.field == 2)
            count = sonde_pb_f64(&r);
    }
    return r.status == SONDE_OK ? scan_bin(s, index, count) : r.status;
}

/* Packed doubles from *next on, which moves behind them. */
static sonde_status scan_packed(scan *s, sonde_str doubles, int64_t *next)
{
    sonde_status status = doubles.len % 8 ? SONDE_ERR_SYNTAX : SONDE_OK;
    uint64_t bits;
    double count;
    size_t i;

    for (i = 0; i < doubles.len && status == SONDE_OK; i += 8) {
        bits = sonde_bytes_get64le(doubles.ptr + i);
        memcpy(&count, &bits, sizeof(count));
        status = scan_bin(s, (*next)++, count);
    }
    return status;
}

/* The index of the first contiguous bin, which may stand behind the bins. */
static sonde_status find_packed_offset(sonde_str store, int64_t *out)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, store.ptr, store.len);
    *out = 0;
    while (sonde_pb_next(&r))
        if (r.field == STORE_PACKED_OFFSET)
            *out = sonde_pb_s32(&r);
    return r.status;
}

static sonde_status scan_store(scan *s, sonde_str store)
{
    int64_t next = 0;
    sonde_status status = find_packed_offset(store, &next);
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, store.ptr, store.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == STORE_MAP)
            status = scan_map_entry(s, sonde_pb_bytes(&r));
        else if (r.field == STORE_PACKED && r.wire == 1) /* allowed: repeated, not packed */
            status = scan_bin(s, next++, sonde_pb_f64(&r));
        else if (r.field == STORE_PACKED)
            status = scan_packed(s, sonde_pb_bytes(&r), &next);
    }
    return status == SONDE_OK ? r.status : status;
}

static sonde_status find_mapping(sonde_str bytes, mapping *out)
{
    sonde_status status = SONDE_OK;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, bytes.ptr, bytes.len);
    while (status == SONDE_OK && sonde_pb_next(&r))
        if (r.field == SKETCH_MAPPING)
            status = decode_mapping(sonde_pb_bytes(&r), out);
    return status == SONDE_OK ? r.status : status;
}

static sonde_status scan_sketch(scan *s, sonde_str bytes)
{
    sonde_status status = SONDE_OK;
    double zero_count = 0;
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, bytes.ptr, bytes.len);
    while (status == SONDE_OK && sonde_pb_next(&r)) {
        if (r.field == SKETCH_POSITIVE || r.field == SKETCH_NEGATIVE) {
            s->negative = r.field == SKETCH_NEGATIVE;
            status = scan_store(s, sonde_pb_bytes(&r));
        } else if (r.field == SKETCH_ZERO_COUNT) {
            zero_count = sonde_pb_f64(&r);
        }
    }
    if (status == SONDE_OK)
        status = r.status;
    return status == SONDE_OK ? scan_zero(s, zero_count) : status;
}

sonde_status sonde_sketch_decode_merge(sonde_sketch *into, sonde_str bytes)
{
    scan first = { .add_to = NULL }, second;
    sonde_status status = find_mapping(bytes, &first.map);

    if (status == SONDE_OK)
        status = scan_sketch(&first, bytes);
    if (status == SONDE_OK && first.any)
        status = sonde_sketch_cover(into, first.lo, first.hi);
    if (status != SONDE_OK)
        return status;

    second = (scan){ .map = first.map, .add_to = into };
    (void)scan_sketch(&second, bytes); /* the first round has checked all of it */
    into->zero_count += second.zero;
    into->count += second.zero;
    return SONDE_OK;
}
