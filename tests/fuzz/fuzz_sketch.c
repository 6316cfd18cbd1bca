/* Property: a refused sketch leaves the target as it was; an accepted one adds exactly its count, keeps
 * the bins within their ceiling, answers quantiles with finite numbers that rise, and survives encoding
 * and decoding unchanged. */
#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/sketch.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double bins_total(const sonde_sketch *s)
{
    double total = s->zero_count;
    uint32_t i;

    for (i = 0; i < s->len; i++) {
        CHECK(s->bins[i] >= 0);
        total += s->bins[i];
    }
    return total;
}

static void check_shape(const sonde_sketch *s)
{
    double total = bins_total(s), low = 0, at;
    int i;

    CHECK(s->len <= SONDE_SKETCH_BINS_MAX && s->cap <= SONDE_SKETCH_BINS_MAX && s->len <= s->cap);
    CHECK(total >= s->count * (1 - 1e-9) && total <= s->count * (1 + 1e-9));
    for (i = 0; i <= 10; i++) {
        at = sonde_sketch_quantile(s, i / 10.0);
        CHECK(at >= low && at <= DBL_MAX);
        low = at;
    }
}

static void check_round_trip(const sonde_sketch *s)
{
    sonde_sketch back;
    sonde_buf out;

    sonde_buf_init(&out, (size_t)1 << 20);
    sonde_sketch_init(&back);
    sonde_sketch_encode(s, &out);
    CHECK(out.status == SONDE_OK);
    CHECK(sonde_sketch_decode_merge(&back, sonde_buf_str(&out)) == SONDE_OK);
    CHECK(back.zero_count == s->zero_count && back.len == s->len);
    CHECK(s->len == 0 ||
          (back.offset == s->offset && memcmp(back.bins, s->bins, s->len * sizeof(double)) == 0));
    sonde_sketch_done(&back);
    sonde_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str bytes = { (const char *)data, size };
    sonde_sketch alone, joined;

    sonde_sketch_init(&alone);
    sonde_sketch_init(&joined);
    CHECK(sonde_sketch_add(&joined, 1e6, 1) == SONDE_OK);
    if (sonde_sketch_decode_merge(&alone, bytes) != SONDE_OK) {
        CHECK(alone.count == 0 && alone.len == 0);
        CHECK(sonde_sketch_decode_merge(&joined, bytes) != SONDE_OK && joined.count == 1);
    } else {
        CHECK(sonde_sketch_decode_merge(&joined, bytes) == SONDE_OK);
        check_shape(&alone);
        check_shape(&joined);
        check_round_trip(&alone);
    }
    sonde_sketch_done(&alone);
    sonde_sketch_done(&joined);
    return 0;
}
