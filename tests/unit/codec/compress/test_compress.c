/* gzip, deflate and zstd: what goes in comes out, and nothing hostile costs more than the ceiling. */
#include "codec/compress/compress.h"

#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "base/rng.h"
#include "support/alloc_fail.h"
#include "support/golden.h"
#include "support/test.h"

#define TEXT_BYTES ((size_t)200 * 1000)

static const sonde_encoding ALL[] = { SONDE_ENCODING_IDENTITY, SONDE_ENCODING_GZIP,
                                      SONDE_ENCODING_DEFLATE, SONDE_ENCODING_ZSTD };

static char text[TEXT_BYTES]; /* half repetitive, half random */

static int make_text(void **state)
{
    sonde_rng rng;
    size_t i;

    (void)state;
    sonde_rng_seed(&rng, 7);
    for (i = 0; i < TEXT_BYTES; i++)
        text[i] = (char)(i < TEXT_BYTES / 2 ? 'a' + i % 7 : sonde_rng_next(&rng) & 0xff);
    return 0;
}

static sonde_buf compressed(sonde_encoding e, sonde_str in)
{
    sonde_buf out;

    sonde_buf_init(&out, TEXT_BYTES * 2);
    assert_status(sonde_compress(e, 0, in, &out), SONDE_OK);
    return out;
}

static void test_encoding_names_are_read_in_any_case(void **state)
{
    static const struct {
        const char *name;
        sonde_status want;
        sonde_encoding encoding;
    } cases[] = {
        { "", SONDE_OK, SONDE_ENCODING_IDENTITY },
        { "identity", SONDE_OK, SONDE_ENCODING_IDENTITY },
        { "GZip", SONDE_OK, SONDE_ENCODING_GZIP },
        { " gzip ", SONDE_OK, SONDE_ENCODING_GZIP },
        { "deflate", SONDE_OK, SONDE_ENCODING_DEFLATE },
        { "zstd", SONDE_OK, SONDE_ENCODING_ZSTD },
        { "zstd1", SONDE_OK, SONDE_ENCODING_ZSTD },
        { "br", SONDE_ERR_INVALID, 99 },
        { "gzip, zstd", SONDE_ERR_INVALID, 99 },
        { "gzi", SONDE_ERR_INVALID, 99 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_encoding e = 99;

        if (sonde_encoding_parse(sonde_str_from(cases[i].name), &e) != cases[i].want ||
            e != cases[i].encoding)
            fail_msg("\"%s\": %d", cases[i].name, (int)e);
    }
    assert_string_equal(sonde_encoding_name(SONDE_ENCODING_ZSTD), "zstd");
    assert_string_equal(sonde_encoding_name(SONDE_ENCODING_IDENTITY), "");
}

static void test_decompress_gives_back_what_was_compressed(void **state)
{
    static const size_t lengths[] = { 0, 1, 100, 16 * 1024, TEXT_BYTES };
    size_t e, i;

    (void)state;
    for (e = 0; e < COUNT_OF(ALL); e++)
        for (i = 0; i < COUNT_OF(lengths); i++) {
            sonde_str in = { text, lengths[i] };
            sonde_buf packed = compressed(ALL[e], in), back;

            sonde_buf_init(&back, lengths[i]); /* a ceiling that is reached exactly */
            if (sonde_decompress(ALL[e], sonde_buf_str(&packed), &back) != SONDE_OK ||
                !sonde_str_eq(sonde_buf_str(&back), in))
                fail_msg("encoding %zu, %zu bytes: %zu back", e, lengths[i], back.len);
            sonde_buf_done(&packed);
            sonde_buf_done(&back);
        }
}

static void test_compress_is_read_by_the_libraries_themselves(void **state)
{
    static uint8_t back[TEXT_BYTES];
    sonde_str in = { text, TEXT_BYTES };
    sonde_buf packed = compressed(SONDE_ENCODING_DEFLATE, in);
    uLongf len = sizeof(back);

    (void)state;
    assert_int_equal(uncompress(back, &len, packed.data, packed.len), Z_OK);
    assert_int_equal(len, TEXT_BYTES);
    assert_memory_equal(back, text, TEXT_BYTES);
    sonde_buf_done(&packed);

    packed = compressed(SONDE_ENCODING_ZSTD, in);
    assert_int_equal(ZSTD_decompress(back, sizeof(back), packed.data, packed.len), TEXT_BYTES);
    assert_memory_equal(back, text, TEXT_BYTES);
    assert_int_equal(ZSTD_getFrameContentSize(packed.data, packed.len), TEXT_BYTES);
    sonde_buf_done(&packed);
}

static void test_compress_and_decompress_append(void **state)
{
    size_t e;

    (void)state;
    for (e = 0; e < COUNT_OF(ALL); e++) {
        sonde_buf packed, back;

        sonde_buf_init(&packed, 1024);
        sonde_buf_init(&back, 1024);
        sonde_buf_append_byte(&packed, 'x');
        sonde_buf_append_byte(&back, 'y');
        assert_status(sonde_compress(ALL[e], 0, SONDE_STR("abc"), &packed), SONDE_OK);
        assert_int_equal(packed.data[0], 'x');
        assert_status(
            sonde_decompress(ALL[e], sonde_str_sub(sonde_buf_str(&packed), 1, 1024), &back),
            SONDE_OK);
        assert_true(sonde_str_eq(sonde_buf_str(&back), SONDE_STR("yabc")));
        sonde_buf_done(&packed);
        sonde_buf_done(&back);
    }
}

static void test_decompress_joins_members_and_frames(void **state)
{
    static const sonde_encoding encodings[] = { SONDE_ENCODING_GZIP, SONDE_ENCODING_ZSTD };
    size_t e;

    (void)state;
    for (e = 0; e < COUNT_OF(encodings); e++) {
        sonde_buf packed, back;

        sonde_buf_init(&packed, 4096);
        sonde_buf_init(&back, 4096);
        assert_status(sonde_compress(encodings[e], 0, SONDE_STR("one "), &packed), SONDE_OK);
        assert_status(sonde_compress(encodings[e], 0, SONDE_STR("two "), &packed), SONDE_OK);
        assert_status(sonde_compress(encodings[e], 0, SONDE_STR("three"), &packed), SONDE_OK);

        assert_status(sonde_decompress(encodings[e], sonde_buf_str(&packed), &back), SONDE_OK);

        assert_true(sonde_str_eq(sonde_buf_str(&back), SONDE_STR("one two three")));
        sonde_buf_done(&packed);
        sonde_buf_done(&back);
    }
}

static void test_decompress_tolerates_raw_deflate(void **state)
{
    uint8_t packed[64];
    z_stream z = { .next_out = packed, .avail_out = sizeof(packed) };
    sonde_buf back;

    (void)state;
    z.next_in = (z_const Bytef *)"raw raw raw";
    z.avail_in = 11;
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&z), Z_OK);
    sonde_buf_init(&back, 100);

    assert_status(sonde_decompress(SONDE_ENCODING_DEFLATE,
                                   (sonde_str){ (char *)packed, sizeof(packed) - z.avail_out },
                                   &back),
                  SONDE_OK);

    assert_true(sonde_str_eq(sonde_buf_str(&back), SONDE_STR("raw raw raw")));
    sonde_buf_done(&back);
}

static void test_decompress_stops_at_the_ceiling(void **state)
{
    static char zeros[10 * 1000 * 1000]; /* a bomb: 1000 : 1 and more */
    size_t e;

    (void)state;
    for (e = 0; e < COUNT_OF(ALL); e++) {
        sonde_buf packed, back;

        sonde_buf_init(&packed, sizeof(zeros));
        assert_status(sonde_compress(ALL[e], 0, (sonde_str){ zeros, sizeof(zeros) }, &packed),
                      SONDE_OK);
        sonde_buf_init(&back, 100 * 1000);
        assert_status(sonde_decompress(ALL[e], sonde_buf_str(&packed), &back), SONDE_ERR_TOO_BIG);
        assert_true(back.cap <= 100 * 1000);
        sonde_buf_done(&packed);
        sonde_buf_done(&back);
    }
}

static void test_decompress_stops_one_byte_below_the_content(void **state)
{
    size_t e;

    (void)state;
    for (e = 0; e < COUNT_OF(ALL); e++) {
        sonde_buf packed = compressed(ALL[e], (sonde_str){ text, 1000 }), back;

        sonde_buf_init(&back, 999);
        assert_status(sonde_decompress(ALL[e], sonde_buf_str(&packed), &back), SONDE_ERR_TOO_BIG);
        sonde_buf_done(&packed);
        sonde_buf_done(&back);
    }
}

static void test_compress_stops_at_the_ceiling(void **state)
{
    size_t e;

    (void)state;
    for (e = 0; e < COUNT_OF(ALL); e++) {
        sonde_buf packed;

        sonde_buf_init(&packed, 1000);
        assert_status(sonde_compress(ALL[e], 0, (sonde_str){ text, TEXT_BYTES }, &packed),
                      SONDE_ERR_TOO_BIG);
        sonde_buf_done(&packed);
    }
}

static void test_decompress_tells_cut_off_from_damaged(void **state)
{
    size_t e, cut;

    (void)state;
    for (e = 1; e < COUNT_OF(ALL); e++) {
        sonde_buf packed = compressed(ALL[e], (sonde_str){ text, 500 }), back;

        for (cut = 0; cut < packed.len; cut++) {
            sonde_buf_init(&back, 1000);
            if (sonde_decompress(ALL[e], (sonde_str){ (char *)packed.data, cut }, &back) !=
                SONDE_ERR_EOF)
                fail_msg("encoding %zu cut at %zu of %zu", e, cut, packed.len);
            sonde_buf_done(&back);
        }
        packed.data[packed.len - 1] ^= 0x55; /* in the checksum, or the last literals */
        packed.data[2] ^= 0x55;
        sonde_buf_init(&back, 1000);
        assert_status(sonde_decompress(ALL[e], sonde_buf_str(&packed), &back), SONDE_ERR_SYNTAX);
        sonde_buf_done(&back);
        sonde_buf_done(&packed);
    }
}

static void test_decompress_refuses_what_is_not_that_format(void **state)
{
    size_t e;

    (void)state;
    for (e = 1; e < COUNT_OF(ALL); e++) {
        sonde_buf back;

        sonde_buf_init(&back, 1000);
        assert_status(sonde_decompress(ALL[e], SONDE_STR("{\"this\":\"is json\"}"), &back),
                      SONDE_ERR_SYNTAX);
        sonde_buf_done(&back);
    }
}

static void test_decompress_refuses_bytes_behind_the_end(void **state)
{
    size_t e;

    (void)state;
    for (e = 1; e < COUNT_OF(ALL); e++) {
        sonde_buf packed = compressed(ALL[e], SONDE_STR("abc")), back;

        sonde_buf_append(&packed, "trailing", 8);
        sonde_buf_init(&back, 1000);
        assert_status(sonde_decompress(ALL[e], sonde_buf_str(&packed), &back), SONDE_ERR_SYNTAX);
        sonde_buf_done(&packed);
        sonde_buf_done(&back);
    }
}

/* A frame head that asks for a window of 128 MiB, by hand (RFC 8878, 3.1.1.1): no content size, window
 * descriptor exponent 17 (2^27), then a block. */
static void test_decompress_refuses_a_zstd_window_beyond_its_bound(void **state)
{
    sonde_buf frame, back;

    (void)state;
    golden_bytes("28b52ffd 00 88 190000 616263", &frame);
    sonde_buf_init(&back, 1000);
    assert_status(sonde_decompress(SONDE_ENCODING_ZSTD, sonde_buf_str(&frame), &back),
                  SONDE_ERR_TOO_BIG);
    sonde_buf_done(&frame);
    sonde_buf_done(&back);
}

static sonde_status round_trip(void *user)
{
    const sonde_encoding *e = user;
    sonde_status status;
    sonde_buf packed, back;

    sonde_buf_init(&packed, TEXT_BYTES * 2);
    sonde_buf_init(&back, TEXT_BYTES);
    status = sonde_compress(*e, 0, (sonde_str){ text, TEXT_BYTES }, &packed);
    if (status == SONDE_OK)
        status = sonde_decompress(*e, sonde_buf_str(&packed), &back);
    sonde_buf_done(&packed);
    sonde_buf_done(&back);
    return status;
}

static void test_compress_survives_every_failing_allocation(void **state)
{
    size_t e;

    (void)state;
    for (e = 0; e < COUNT_OF(ALL); e++) {
        sonde_encoding encoding = ALL[e];

        alloc_fail_each(round_trip, &encoding);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoding_names_are_read_in_any_case),
        cmocka_unit_test(test_decompress_gives_back_what_was_compressed),
        cmocka_unit_test(test_compress_is_read_by_the_libraries_themselves),
        cmocka_unit_test(test_compress_and_decompress_append),
        cmocka_unit_test(test_decompress_joins_members_and_frames),
        cmocka_unit_test(test_decompress_tolerates_raw_deflate),
        cmocka_unit_test(test_decompress_stops_at_the_ceiling),
        cmocka_unit_test(test_decompress_stops_one_byte_below_the_content),
        cmocka_unit_test(test_compress_stops_at_the_ceiling),
        cmocka_unit_test(test_decompress_tells_cut_off_from_damaged),
        cmocka_unit_test(test_decompress_refuses_what_is_not_that_format),
        cmocka_unit_test(test_decompress_refuses_bytes_behind_the_end),
        cmocka_unit_test(test_decompress_refuses_a_zstd_window_beyond_its_bound),
        cmocka_unit_test(test_compress_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("compress", tests, make_text, NULL);
}
