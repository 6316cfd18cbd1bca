/* Strict and lenient reading, skipping, and hostile bytes. */
#include "codec/msgpack_read.h"

#include <string.h>

#include "support/golden.h"
#include "support/test.h"

/* A reader over hexadecimal text; the bytes live until the next call. */
static sonde_mp_reader reader(const char *hex)
{
    static uint8_t bytes[4096];
    sonde_mp_reader r;
    sonde_buf b;

    golden_bytes(hex, &b);
    assert_true(b.len <= sizeof(bytes));
    if (b.len)
        memcpy(bytes, b.data, b.len);
    sonde_mp_reader_init(&r, bytes, b.len);
    sonde_buf_done(&b);
    return r;
}

static void expect_end(const char *label, const sonde_mp_reader *r)
{
    if (r->status != SONDE_OK || r->at != r->end)
        fail_msg("%s: %s, %zu bytes left", label, sonde_status_name(r->status), sonde_mp_left(r));
}

static void expect_failure(const char *label, const sonde_mp_reader *r, sonde_status want)
{
    if (r->status != want || r->at != r->end || !r->error || r->error_at != 0)
        fail_msg("%s: %s (want %s) at byte %zu", label, sonde_status_name(r->status),
                 sonde_status_name(want), r->error_at);
}

static void test_peek_names_every_type(void **state)
{
    static const struct {
        const char *hex;
        sonde_mp_type want;
    } cases[] = {
        { "", SONDE_MP_END },       { "00", SONDE_MP_UINT },   { "7f", SONDE_MP_UINT },
        { "80", SONDE_MP_MAP },     { "90", SONDE_MP_ARRAY },  { "a0", SONDE_MP_STR },
        { "c0", SONDE_MP_NIL },     { "c1", SONDE_MP_BAD },    { "c2", SONDE_MP_BOOL },
        { "c3", SONDE_MP_BOOL },    { "c4", SONDE_MP_BIN },    { "c6", SONDE_MP_BIN },
        { "c7", SONDE_MP_EXT },     { "c9", SONDE_MP_EXT },    { "ca", SONDE_MP_FLOAT32 },
        { "cb", SONDE_MP_DOUBLE },  { "cc", SONDE_MP_UINT },   { "cf", SONDE_MP_UINT },
        { "d0ff", SONDE_MP_INT },   { "d001", SONDE_MP_UINT }, { "d0", SONDE_MP_INT },
        { "d38000", SONDE_MP_INT }, { "d4", SONDE_MP_EXT },    { "d8", SONDE_MP_EXT },
        { "d9", SONDE_MP_STR },     { "db", SONDE_MP_STR },    { "dc", SONDE_MP_ARRAY },
        { "dd", SONDE_MP_ARRAY },   { "de", SONDE_MP_MAP },    { "df", SONDE_MP_MAP },
        { "e0", SONDE_MP_INT },     { "ff", SONDE_MP_INT },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_reader r = reader(cases[i].hex);

        if (sonde_mp_peek(&r) != cases[i].want)
            fail_msg("%s: %d", cases[i].hex, (int)sonde_mp_peek(&r));
    }
}

static void test_read_str_takes_str_bin_and_nil(void **state)
{
    static const struct {
        const char *hex, *want;
    } cases[] = {
        { "a3616263", "abc" },
        { "a0", "" },
        { "d903616263", "abc" },
        { "da0003616263", "abc" },
        { "db00000003616263", "abc" },
        { "c403616263", "abc" },
        { "c50003616263", "abc" },
        { "c600000003616263", "abc" },
        { "c0", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_reader r = reader(cases[i].hex);
        sonde_str s = SONDE_STR("untouched");

        if (!sonde_mp_read_str(&r, &s) || !sonde_str_eq(s, sonde_str_from(cases[i].want)))
            fail_msg("%s: %.*s", cases[i].hex, SONDE_STR_ARG(s));
        expect_end(cases[i].hex, &r);
    }
}

static void test_read_integers_of_every_width(void **state)
{
    static const struct {
        const char *hex;
        uint64_t u64;
        bool is_i64, is_i32;
    } cases[] = {
        { "00", 0, true, true },
        { "7f", 127, true, true },
        { "cc80", 128, true, true },
        { "cd0102", 258, true, true },
        { "ce7fffffff", INT32_MAX, true, true },
        { "ce80000000", UINT64_C(0x80000000), true, false },
        { "cf0000000000000001", 1, true, true },
        { "cf7fffffffffffffff", INT64_MAX, true, false },
        { "cf8000000000000000", UINT64_C(1) << 63, false, false },
        { "cfffffffffffffffff", UINT64_MAX, false, false },
        { "ff", (uint64_t)-1, true, true },
        { "e0", (uint64_t)-32, true, true },
        { "d080", (uint64_t)-128, true, true },
        { "d1fffe", (uint64_t)-2, true, true },
        { "d280000000", (uint64_t)INT32_MIN, true, true },
        { "d3fffffffeffffffff", (uint64_t)INT64_C(-4294967297), true, false },
        { "d37fffffffffffffff", INT64_MAX, true, false },
        { "c0", 0, true, true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *hex = cases[i].hex;
        uint64_t u64 = 77;
        int64_t i64 = 77;
        int32_t i32 = 77;
        sonde_mp_reader r = reader(hex);

        if (!sonde_mp_read_u64(&r, &u64) || u64 != cases[i].u64)
            fail_msg("%s: u64 %llu", hex, (unsigned long long)u64);
        expect_end(hex, &r);

        r = reader(hex);
        if (sonde_mp_read_i64(&r, &i64) != cases[i].is_i64 ||
            i64 != (cases[i].is_i64 ? (int64_t)cases[i].u64 : 77))
            fail_msg("%s: i64 %lld", hex, (long long)i64);
        if (!cases[i].is_i64)
            expect_failure(hex, &r, SONDE_ERR_SYNTAX);

        r = reader(hex);
        if (sonde_mp_read_i32(&r, &i32) != cases[i].is_i32 ||
            i32 != (cases[i].is_i32 ? (int32_t)(uint32_t)cases[i].u64 : 77))
            fail_msg("%s: i32 %d", hex, i32);
        if (!cases[i].is_i32)
            expect_failure(hex, &r, SONDE_ERR_SYNTAX);
    }
}

static void test_read_double_takes_float64_and_integers(void **state)
{
    static const struct {
        const char *hex;
        double want;
    } cases[] = {
        { "cb3ff8000000000000", 1.5 },
        { "05", 5 },
        { "ff", -1 },
        { "cd04d2", 1234 },
        { "cfffffffffffffffff", 18446744073709551615.0 },
        { "d3ffffffffffffff00", -256 },
        { "c0", 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_reader r = reader(cases[i].hex);
        double v = 77;

        if (!sonde_mp_read_double(&r, &v) || v != cases[i].want)
            fail_msg("%s: %g", cases[i].hex, v);
        expect_end(cases[i].hex, &r);
    }
}

static void test_read_booleans_nil_and_binaries(void **state)
{
    sonde_mp_reader r = reader("c3 c2 c0 c402ff00 a161 01");
    bool yes = false, no = true;
    sonde_str bin;

    (void)state;
    assert_false(sonde_mp_read_nil(&r)); /* not next, and no failure */
    assert_true(sonde_mp_read_bool(&r, &yes) && yes);
    assert_true(sonde_mp_read_bool(&r, &no) && !no);
    assert_true(sonde_mp_read_nil(&r));
    assert_true(sonde_mp_read_bin(&r, &bin) && sonde_str_eq(bin, (sonde_str){ "\xff\0", 2 }));
    assert_true(sonde_mp_read_bin(&r, &bin) && sonde_str_eq(bin, SONDE_STR("a")));
    assert_false(sonde_mp_read_bin(&r, &bin));
    assert_status(r.status, SONDE_ERR_SYNTAX);
    assert_int_equal(r.error_at, 9);
}

static void test_read_counts_in_every_form(void **state)
{
    static const struct {
        const char *hex;
        bool map;
        uint32_t want;
    } cases[] = {
        { "90", false, 0 },          { "92 00 00", false, 2 },
        { "dc0001 00", false, 1 },   { "dd00000002 00 00", false, 2 },
        { "80", true, 0 },           { "81 00 00", true, 1 },
        { "de0001 00 00", true, 1 }, { "df00000002 00 00 00 00", true, 2 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_reader r = reader(cases[i].hex);
        uint32_t count = 77;

        if (!(cases[i].map ? sonde_mp_read_map : sonde_mp_read_array)(&r, &count) ||
            count != cases[i].want)
            fail_msg("%s: %u", cases[i].hex, count);
    }
}

/* Which reader a bad input is given to. */
enum { STR, U64, I64, I32, DOUBLE, BOOL, ARRAY, MAP, BIN, SKIP, READERS };

static bool read_any(sonde_mp_reader *r, int which)
{
    union {
        sonde_str str;
        uint64_t u64;
        int64_t i64;
        int32_t i32;
        uint32_t u32;
        double f64;
        bool b;
    } out, before;
    bool read = false;

    memset(&out, 0xee, sizeof(out));
    memset(&before, 0xee, sizeof(before));
    switch (which) {
    case STR:
        read = sonde_mp_read_str(r, &out.str);
        break;
    case U64:
        read = sonde_mp_read_u64(r, &out.u64);
        break;
    case I64:
        read = sonde_mp_read_i64(r, &out.i64);
        break;
    case I32:
        read = sonde_mp_read_i32(r, &out.i32);
        break;
    case DOUBLE:
        read = sonde_mp_read_double(r, &out.f64);
        break;
    case BOOL:
        read = sonde_mp_read_bool(r, &out.b);
        break;
    case ARRAY:
        read = sonde_mp_read_array(r, &out.u32);
        break;
    case MAP:
        read = sonde_mp_read_map(r, &out.u32);
        break;
    case BIN:
        read = sonde_mp_read_bin(r, &out.str);
        break;
    default:
        read = sonde_mp_skip(r);
        break;
    }
    assert_true(read || memcmp(&out, &before, sizeof(out)) == 0);
    return read;
}

static void test_read_refuses_other_types_and_stays_failed(void **state)
{
    static const struct {
        const char *label, *hex;
        int reader;
        sonde_status want;
    } cases[] = {
        { "number for string", "01", STR, SONDE_ERR_SYNTAX },
        { "array for string", "90", STR, SONDE_ERR_SYNTAX },
        { "string for u64", "a131", U64, SONDE_ERR_SYNTAX },
        { "double for u64", "cb3ff0000000000000", U64, SONDE_ERR_SYNTAX },
        { "boolean for i64", "c3", I64, SONDE_ERR_SYNTAX },
        { "float32 for double", "ca3f800000", DOUBLE, SONDE_ERR_SYNTAX },
        { "string for double", "a131", DOUBLE, SONDE_ERR_SYNTAX },
        { "number for boolean", "01", BOOL, SONDE_ERR_SYNTAX },
        { "nil for boolean", "c0", BOOL, SONDE_ERR_SYNTAX },
        { "map for array", "80", ARRAY, SONDE_ERR_SYNTAX },
        { "nil for array", "c0", ARRAY, SONDE_ERR_SYNTAX },
        { "array for map", "90", MAP, SONDE_ERR_SYNTAX },
        { "nil for binary", "c0", BIN, SONDE_ERR_SYNTAX },
        { "0xc1", "c1", SKIP, SONDE_ERR_SYNTAX },
        { "0xc1 for string", "c1", STR, SONDE_ERR_SYNTAX },
        { "cut fixstr", "a36162", STR, SONDE_ERR_EOF },
        { "cut str8 head", "d9", STR, SONDE_ERR_EOF },
        { "cut str32", "db00000003 6162", STR, SONDE_ERR_EOF },
        { "str32 of 4 GiB", "dbffffffff 61", STR, SONDE_ERR_EOF },
        { "bin32 of 4 GiB", "c6ffffffff 61", BIN, SONDE_ERR_EOF },
        { "cut u64", "cf00000000000000", U64, SONDE_ERR_EOF },
        { "cut double", "cb3ff00000000000", DOUBLE, SONDE_ERR_EOF },
        { "nothing for u64", "", U64, SONDE_ERR_EOF },
        { "nothing for double", "", DOUBLE, SONDE_ERR_EOF },
        { "array of more than the bytes", "93 00 00", ARRAY, SONDE_ERR_EOF },
        { "array of 4 G", "ddffffffff 00", ARRAY, SONDE_ERR_EOF },
        { "map of more than the bytes", "82 00 00 00", MAP, SONDE_ERR_EOF },
        { "map of 4 G", "dfffffffff 00", MAP, SONDE_ERR_EOF },
        { "cut extension", "c7 02 01 00", SKIP, SONDE_ERR_EOF },
        { "cut fixext", "d5 01 00", SKIP, SONDE_ERR_EOF },
    };
    size_t i;
    int again;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_reader r = reader(cases[i].hex);

        if (read_any(&r, cases[i].reader))
            fail_msg("%s: taken", cases[i].label);
        expect_failure(cases[i].label, &r, cases[i].want);
        for (again = 0; again < READERS; again++)
            assert_false(read_any(&r, again));
        assert_false(sonde_mp_read_nil(&r));
        expect_failure(cases[i].label, &r, cases[i].want);
    }
}

static void test_failure_keeps_the_first_place_and_reason(void **state)
{
    sonde_mp_reader r = reader("01 a162 03");
    uint64_t v;

    (void)state;
    assert_true(sonde_mp_read_u64(&r, &v));
    assert_false(sonde_mp_read_u64(&r, &v));
    assert_false(sonde_mp_fail(&r, SONDE_ERR_TOO_BIG, "later"));

    assert_status(r.status, SONDE_ERR_SYNTAX);
    assert_string_equal(r.error, "expected an integer");
    assert_int_equal(r.error_at, 1);
}

static void test_skip_passes_over_every_form(void **state)
{
    static const char *const forms[] = {
        "00",
        "7f",
        "80",
        "90",
        "a0",
        "a161",
        "c0",
        "c2",
        "c3",
        "c40161",
        "c5000161",
        "c60000000161",
        "c7010561",
        "c800010561",
        "c9000000010561",
        "ca3f800000",
        "cb3ff0000000000000",
        "cc01",
        "cd0102",
        "ce01020304",
        "cf0102030405060708",
        "d0ff",
        "d1ffff",
        "d2ffffffff",
        "d3ffffffffffffffff",
        "d40561",
        "d5056161",
        "d60561616161",
        "d7056161616161616161",
        "d80561616161616161616161616161616161",
        "d90161",
        "da000161",
        "db0000000161",
        "dc000101",
        "dd0000000101",
        "de00010101",
        "df000000010101",
        "e0",
        "ff",
        "929190 81a161 92c0c1",
    };
    size_t i;

    (void)state;
    for (i = 0; i + 1 < COUNT_OF(forms); i++) {
        sonde_mp_reader r = reader(forms[i]);
        sonde_str raw;

        if (!sonde_mp_read_raw(&r, &raw) || raw.len != (size_t)(r.end - r.start))
            fail_msg("%s: %s", forms[i], r.error ? r.error : "not all");
    }
    {
        sonde_mp_reader r = reader(forms[i]); /* ends in 0xc1 */

        assert_false(sonde_mp_skip(&r));
        assert_status(r.status, SONDE_ERR_SYNTAX);
    }
}

static void test_skip_is_bounded_in_depth(void **state)
{
    uint8_t nested[SONDE_MP_DEPTH_MAX + 2];
    sonde_mp_reader r;

    (void)state;
    memset(nested, 0x91, sizeof(nested));
    nested[SONDE_MP_DEPTH_MAX] = 0;
    sonde_mp_reader_init(&r, nested, SONDE_MP_DEPTH_MAX + 1);
    assert_true(sonde_mp_skip(&r));

    nested[SONDE_MP_DEPTH_MAX] = 0x91;
    nested[SONDE_MP_DEPTH_MAX + 1] = 0;
    sonde_mp_reader_init(&r, nested, sizeof(nested));
    assert_false(sonde_mp_skip(&r));
    assert_status(r.status, SONDE_ERR_TOO_BIG);
}

static void test_skip_passes_over_whole_payloads_of_clients(void **state)
{
    static const char *const files[] = { "msgpack/v04_one_span.hex", "msgpack/v04_libtrace.hex",
                                         "msgpack/v04_js.hex", "msgpack/v05_one_span.hex",
                                         "msgpack/v06_stats.hex" };
    size_t i, cut;

    (void)state;
    for (i = 0; i < COUNT_OF(files); i++) {
        sonde_mp_reader r;
        sonde_buf b;

        golden_load(files[i], &b);
        sonde_mp_reader_init(&r, b.data, b.len);
        if (!sonde_mp_skip(&r))
            fail_msg("%s: %s", files[i], r.error);
        expect_end(files[i], &r);
        for (cut = 0; cut < b.len; cut++) {
            sonde_mp_reader_init(&r, b.data, cut);
            if (sonde_mp_skip(&r) || r.status != SONDE_ERR_EOF)
                fail_msg("%s cut at %zu: %s", files[i], cut, sonde_status_name(r.status));
        }
        sonde_buf_done(&b);
    }
}

static void test_reader_of_nothing_is_at_the_end(void **state)
{
    sonde_mp_reader r;

    (void)state;
    sonde_mp_reader_init(&r, NULL, 0);
    assert_int_equal(sonde_mp_peek(&r), SONDE_MP_END);
    assert_false(sonde_mp_skip(&r));
    assert_status(r.status, SONDE_ERR_EOF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peek_names_every_type),
        cmocka_unit_test(test_read_str_takes_str_bin_and_nil),
        cmocka_unit_test(test_read_integers_of_every_width),
        cmocka_unit_test(test_read_double_takes_float64_and_integers),
        cmocka_unit_test(test_read_booleans_nil_and_binaries),
        cmocka_unit_test(test_read_counts_in_every_form),
        cmocka_unit_test(test_read_refuses_other_types_and_stays_failed),
        cmocka_unit_test(test_failure_keeps_the_first_place_and_reason),
        cmocka_unit_test(test_skip_passes_over_every_form),
        cmocka_unit_test(test_skip_is_bounded_in_depth),
        cmocka_unit_test(test_skip_passes_over_whole_payloads_of_clients),
        cmocka_unit_test(test_reader_of_nothing_is_at_the_end),
    };

    return cmocka_run_group_tests_name("msgpack_read", tests, NULL, NULL);
}
