/* Every value in its shortest form; msgpack-c's unpacker is the second opinion. */
#include "codec/msgpack_write.h"

#include <string.h>

#include <msgpack.h>

#include "support/alloc_fail.h"
#include "support/golden.h"
#include "support/test.h"

static char filler[70000];

static void expect(const char *label, sonde_buf *b, const char *hex)
{
    sonde_buf want;

    golden_bytes(hex, &want);
    if (b->status != SONDE_OK || !sonde_str_eq(sonde_buf_str(b), sonde_buf_str(&want)))
        fail_msg("%s: %zu bytes, first %02x", label, b->len, b->len ? b->data[0] : 0);
    sonde_buf_done(&want);
    sonde_buf_reset(b);
}

static void test_write_u64_takes_the_shortest_form(void **state)
{
    static const struct {
        uint64_t v;
        const char *hex;
    } cases[] = {
        { 0, "00" },
        { 127, "7f" },
        { 128, "cc80" },
        { 255, "ccff" },
        { 256, "cd0100" },
        { 65535, "cdffff" },
        { 65536, "ce00010000" },
        { UINT32_MAX, "ceffffffff" },
        { UINT64_C(1) << 32, "cf0000000100000000" },
        { UINT64_MAX, "cfffffffffffffffff" },
    };
    sonde_buf b;
    size_t i;

    (void)state;
    sonde_buf_init(&b, 64);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_write_u64(&b, cases[i].v);
        expect(cases[i].hex, &b, cases[i].hex);
    }
    sonde_buf_done(&b);
}

static void test_write_i64_takes_the_shortest_form(void **state)
{
    static const struct {
        int64_t v;
        const char *hex;
    } cases[] = {
        { 0, "00" },
        { 300, "cd012c" },
        { -1, "ff" },
        { -32, "e0" },
        { -33, "d0df" },
        { -128, "d080" },
        { -129, "d1ff7f" },
        { -32769, "d2ffff7fff" },
        { INT32_MIN, "d280000000" },
        { INT64_MIN, "d38000000000000000" },
        { INT64_MAX, "cf7fffffffffffffff" },
    };
    sonde_buf b;
    size_t i;

    (void)state;
    sonde_buf_init(&b, 64);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_write_i64(&b, cases[i].v);
        expect(cases[i].hex, &b, cases[i].hex);
    }
    sonde_buf_done(&b);
}

static void test_write_heads_of_strings_binaries_arrays_and_maps(void **state)
{
    static const struct {
        uint32_t len;
        const char *str, *bin, *array, *map; /* the head alone */
    } cases[] = {
        { 0, "a0", "c400", "90", "80" },
        { 15, "af", "c40f", "9f", "8f" },
        { 16, "b0", "c410", "dc0010", "de0010" },
        { 31, "bf", "c41f", "dc001f", "de001f" },
        { 32, "d920", "c420", "dc0020", "de0020" },
        { 255, "d9ff", "c4ff", "dc00ff", "de00ff" },
        { 256, "da0100", "c50100", "dc0100", "de0100" },
        { 65535, "daffff", "c5ffff", "dcffff", "deffff" },
        { 65536, "db00010000", "c600010000", "dd00010000", "df00010000" },
    };
    sonde_buf b;
    size_t i;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_mp_write_str(&b, (sonde_str){ filler, cases[i].len });
        b.len -= cases[i].len;
        expect("str", &b, cases[i].str);
        sonde_mp_write_bin(&b, filler, cases[i].len);
        b.len -= cases[i].len;
        expect("bin", &b, cases[i].bin);
        sonde_mp_write_array(&b, cases[i].len);
        expect("array", &b, cases[i].array);
        sonde_mp_write_map(&b, cases[i].len);
        expect("map", &b, cases[i].map);
    }
    sonde_buf_done(&b);
}

static void test_write_copies_text_of_every_length(void **state)
{
    char text[100];
    sonde_buf b;
    size_t len;

    (void)state;
    for (len = 0; len < sizeof(text); len++)
        text[len] = (char)(len + 1);
    sonde_buf_init(&b, 1024);
    for (len = 0; len <= sizeof(text); len++) {
        sonde_buf_reset(&b);
        sonde_mp_write_str(&b, (sonde_str){ text, len });
        assert_int_equal(b.len, (len < 32 ? 1 : 2) + len);
        assert_memory_equal(b.data + b.len - len, text, len);
    }
    sonde_buf_done(&b);
}

static void test_write_nil_booleans_and_doubles(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 64);
    sonde_mp_write_nil(&b);
    sonde_mp_write_bool(&b, true);
    sonde_mp_write_bool(&b, false);
    sonde_mp_write_double(&b, 1.0);
    sonde_mp_write_double(&b, -0.0);
    sonde_mp_write_str(&b, (sonde_str){ NULL, 0 });
    expect("scalars", &b, "c0 c3 c2 cb3ff0000000000000 cb8000000000000000 a0");
    sonde_buf_done(&b);
}

static void test_write_patches_counts_that_are_known_afterwards(void **state)
{
    sonde_buf b;
    size_t array, map;

    (void)state;
    sonde_buf_init(&b, 64);
    array = sonde_mp_begin_array32(&b);
    map = sonde_mp_begin_map32(&b);
    sonde_mp_write_str(&b, SONDE_STR("k"));
    sonde_mp_write_u64(&b, 1);
    sonde_mp_patch32(&b, map, 1);
    sonde_mp_patch32(&b, array, 0x01020304);
    expect("patched", &b, "dd01020304 df00000001 a16b 01");
    sonde_buf_done(&b);
}

static void write_span_of_the_page(sonde_buf *b)
{
    sonde_mp_write_array(b, 1);
    sonde_mp_write_array(b, 1);
    sonde_mp_write_map(b, 12);
#define PUT_STR(key, value)                                                                        \
    sonde_mp_write_str(b, SONDE_STR(key)), sonde_mp_write_str(b, SONDE_STR(value))
#define PUT_U64(key, value) sonde_mp_write_str(b, SONDE_STR(key)), sonde_mp_write_u64(b, value)
    PUT_STR("service", "s");
    PUT_STR("name", "n");
    PUT_STR("resource", "n");
    PUT_STR("type", "");
    PUT_U64("trace_id", 1);
    PUT_U64("span_id", 2);
    PUT_U64("parent_id", 0);
    PUT_U64("start", 10);
    PUT_U64("duration", 5);
    PUT_U64("error", 0);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, 1);
    PUT_STR("a", "b");
    sonde_mp_write_str(b, SONDE_STR("metrics"));
    sonde_mp_write_map(b, 1);
    sonde_mp_write_str(b, SONDE_STR("m"));
    sonde_mp_write_double(b, 1);
}

static void test_write_gives_the_worked_v04_payload(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 4096);
    write_span_of_the_page(&b);
    golden_expect("msgpack/v04_libtrace.hex", sonde_buf_str(&b));
    sonde_buf_done(&b);
}

static void test_write_is_understood_by_msgpack_c(void **state)
{
    msgpack_unpacked unpacked;
    size_t at = 0;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    sonde_mp_write_array(&b, 4);
    sonde_mp_write_i64(&b, -70000);
    sonde_mp_write_str(&b, (sonde_str){ filler, sizeof(filler) });
    sonde_mp_write_bin(&b, "\0\1", 2);
    sonde_mp_write_double(&b, 0.1);

    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, (char *)b.data, b.len, &at),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(at, b.len);
    assert_int_equal(unpacked.data.via.array.size, 4);
    assert_int_equal(unpacked.data.via.array.ptr[0].via.i64, -70000);
    assert_int_equal(unpacked.data.via.array.ptr[1].via.str.size, sizeof(filler));
    assert_int_equal(unpacked.data.via.array.ptr[2].type, MSGPACK_OBJECT_BIN);
    assert_true(unpacked.data.via.array.ptr[3].via.f64 == 0.1);
    msgpack_unpacked_destroy(&unpacked);
    sonde_buf_done(&b);
}

static void test_write_beyond_the_ceiling_sets_the_status_and_keeps_the_content(void **state)
{
    sonde_buf b;
    size_t mark;

    (void)state;
    sonde_buf_init(&b, 32);
    sonde_mp_write_u64(&b, 7);
    sonde_mp_write_str(&b, (sonde_str){ filler, 100 });
    assert_status(b.status, SONDE_ERR_TOO_BIG);
    assert_int_equal(b.len, 1);

    mark = sonde_mp_begin_array32(&b); /* everything is inert now */
    sonde_mp_write_nil(&b);
    sonde_mp_write_map(&b, 3);
    sonde_mp_write_bin(&b, filler, 1);
    sonde_mp_patch32(&b, mark, 9);
    assert_int_equal(b.len, 1);
    assert_int_equal(b.data[0], 7);
    sonde_buf_done(&b);
}

static void test_write_refuses_a_string_no_length_can_express(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, SIZE_MAX / 2);
    sonde_mp_write_str(&b, (sonde_str){ filler, (size_t)UINT32_MAX + 1 });
    assert_status(b.status, SONDE_ERR_TOO_BIG);
    sonde_buf_done(&b);
}

static sonde_status encode(void *user)
{
    sonde_status status;
    sonde_buf b;

    (void)user;
    sonde_buf_init(&b, 4096);
    write_span_of_the_page(&b);
    status = b.status;
    sonde_buf_done(&b);
    return status;
}

static void test_write_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(encode, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_u64_takes_the_shortest_form),
        cmocka_unit_test(test_write_i64_takes_the_shortest_form),
        cmocka_unit_test(test_write_heads_of_strings_binaries_arrays_and_maps),
        cmocka_unit_test(test_write_copies_text_of_every_length),
        cmocka_unit_test(test_write_nil_booleans_and_doubles),
        cmocka_unit_test(test_write_patches_counts_that_are_known_afterwards),
        cmocka_unit_test(test_write_gives_the_worked_v04_payload),
        cmocka_unit_test(test_write_is_understood_by_msgpack_c),
        cmocka_unit_test(test_write_beyond_the_ceiling_sets_the_status_and_keeps_the_content),
        cmocka_unit_test(test_write_refuses_a_string_no_length_can_express),
        cmocka_unit_test(test_write_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("msgpack_write", tests, NULL, NULL);
}
