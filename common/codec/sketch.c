/* sketch.c - DDSketch: adding, merging, quantiles.  The wire form is in sketch_wire.c.
 *
 * Invariants
 *   count == zero_count + sum(bins)           (up to the rounding of double)
 *   len <= cap, len <= SONDE_SKETCH_BINS_MAX
 *   the first and the last bin in use are not zero
 *
 * Threads   none.
 * Bounds    SONDE_SKETCH_BINS_MAX bins; what lies below collapses into the lowest.
 */
#include "codec/sketch.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/sketch_internal.h"

#define BINS_STEP     64 /* capacity grows in these */
#define SMALLEST      (DBL_MIN * SKETCH_GAMMA)
#define TEN_BITS_MASK UINT64_C(0xfffff80000000000)

void sonde_sketch_init(sonde_sketch *s)
{
    memset(s, 0, sizeof(*s));
}

void sonde_sketch_done(sonde_sketch *s)
{
    if (!s)
        return;
    sonde_free(s->bins);
    sonde_sketch_init(s);
}

void sonde_sketch_clear(sonde_sketch *s)
{
    s->len = 0;
    s->zero_count = 0;
    s->count = 0;
}

/* ln(v) / ln(gamma) without libm: v = 2^e * m with m in [sqrt(1/2), sqrt(2)), and ln(m) is the series
 * of 2 artanh(s), s = (m - 1)/(m + 1), |s| < 0.172, whose tenth term is below 2^-55. */
double sonde_sketch_log(double v)
{
    uint64_t bits;
    int exponent;
    double m, s, z, z2, z4, series;

    memcpy(&bits, &v, sizeof(bits));
    exponent = (int)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    s = (m - 1) / (m + 1);
    z = s * s;
    z2 = z * z;
    z4 = z2 * z2;
    series = (1. / 3 + z * (1. / 5)) + z2 * (1. / 7 + z * (1. / 9)) +
             z4 * ((1. / 11 + z * (1. / 13)) + z2 * (1. / 15 + z * (1. / 17)) + z4 * (1. / 19));
    return exponent * SKETCH_LOG_2 + (s + s * z * series) * (2 * SKETCH_LOG_E);
}

int32_t sonde_sketch_floor(double x)
{
    int32_t truncated = (int32_t)x;

    return truncated - (x < truncated);
}

/* Adds the bins below `lo` up and moves the others to where [lo, lo + len) wants them. */
static void relocate(sonde_sketch *s, int32_t lo, uint32_t len)
{
    int64_t below = (int64_t)lo - s->offset;
    uint32_t gone = below <= 0 ? 0 : below < s->len ? (uint32_t)below : s->len;
    uint32_t kept = s->len - gone;
    uint32_t first = kept ? (uint32_t)(s->offset + (int64_t)gone - lo) : 0;
    double collapsed = 0;
    uint32_t i;

    for (i = 0; i < gone; i++)
        collapsed += s->bins[i];
    memmove(s->bins + first, s->bins + gone, kept * sizeof(double));
    memset(s->bins, 0, first * sizeof(double));
    memset(s->bins + first + kept, 0, (len - first - kept) * sizeof(double));
    s->bins[0] += collapsed;
    s->offset = lo;
    s->len = len;
}

sonde_status sonde_sketch_cover(sonde_sketch *s, int32_t lo, int32_t hi)
{
    uint32_t len, cap;
    double *bins;

    if (s->len && lo > s->offset)
        lo = s->offset;
    if (s->len && hi < s->offset + (int32_t)s->len - 1)
        hi = s->offset + (int32_t)s->len - 1;
    if (hi - lo >= SONDE_SKETCH_BINS_MAX)
        lo = hi - (SONDE_SKETCH_BINS_MAX - 1);
    len = (uint32_t)(hi - lo) + 1;
    if (lo == s->offset && len == s->len)
        return SONDE_OK;
    if (len > s->cap) {
        cap = (len + BINS_STEP - 1) / BINS_STEP * BINS_STEP;
        bins = sonde_realloc(s->bins, cap * sizeof(double));
        if (!bins)
            return SONDE_ERR_NOMEM;
        s->bins = bins;
        s->cap = cap;
    }
    relocate(s, lo, len);
    return SONDE_OK;
}

sonde_status sonde_sketch_add(sonde_sketch *s, double value, double count)
{
    sonde_status status;
    int32_t index;

    if (!(value <= DBL_MAX && value >= -DBL_MAX && count > 0 && count <= DBL_MAX))
        return SONDE_ERR_INVALID;
    if (value < SMALLEST) {
        s->zero_count += count;
        s->count += count;
        return SONDE_OK;
    }
    index = sonde_sketch_floor(sonde_sketch_log(value));
    if ((uint32_t)(index - s->offset) >= s->len) {
        status = sonde_sketch_cover(s, index, index);
        if (status != SONDE_OK)
            return status;
    }
    sonde_sketch_add_covered(s, index, count);
    return SONDE_OK;
}

double sonde_sketch_value_of_ns(int64_t duration_ns)
{
    double v = (double)duration_ns;
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    bits &= TEN_BITS_MASK;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

sonde_status sonde_sketch_merge(sonde_sketch *into, const sonde_sketch *from)
{
    double count = from->count, zero_count = from->zero_count; /* first: `from` may be `into` */
    sonde_status status;
    int64_t shift;
    uint32_t i, low;

    if (from->len) {
        status = sonde_sketch_cover(into, from->offset, from->offset + (int32_t)from->len - 1);
        if (status != SONDE_OK)
            return status;
    }
    shift = (int64_t)from->offset - into->offset; /* negative: the lowest have collapsed */
    low = shift >= 0 ? 0 : -shift < from->len ? (uint32_t)-shift : from->len;
    for (i = 0; i < low; i++)
        into->bins[0] += from->bins[i];
    for (; i < from->len; i++)
        into->bins[shift + i] += from->bins[i];
    into->zero_count += zero_count;
    into->count += count;
    return SONDE_OK;
}

static double gamma_to_the(int32_t n)
{
    uint32_t left = n < 0 ? 0u - (uint32_t)n : (uint32_t)n;
    double power = 1, square = SKETCH_GAMMA;

    for (; left; left >>= 1, square *= square)
        if (left & 1)
            power *= square;
    return n < 0 ? 1 / power : power;
}

/* The middle of a bin: within 1 % of both its ends. */
static double value_of(int32_t index)
{
    double v = gamma_to_the(index) * 1.01;

    return v <= DBL_MAX ? v : DBL_MAX;
}

double sonde_sketch_quantile(const sonde_sketch *s, double q)
{
    double rank, seen;
    uint32_t i;

    if (!(s->count > 0))
        return 0;
    rank = s->count > 1 ? (q > 0 ? q < 1 ? q : 1 : 0) * (s->count - 1) : 0;
    seen = s->zero_count;
    if (s->len == 0 || seen > rank)
        return 0;
    for (i = 0; i + 1 < s->len; i++) {
        seen += s->bins[i];
        if (seen > rank)
            break;
    }
    return value_of(s->offset + (int32_t)i);
}
