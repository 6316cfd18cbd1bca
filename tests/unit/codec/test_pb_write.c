/* Fields as bytes; the expected ones are from the protobuf encoding guide and by hand. */
#include "codec/pb_write.h"

#include <string.h>

#include "support/alloc_fail.h"
#include "support/golden.h"
#include "support/test.h"

static char filler[40000];

static void expect(const char *label, sonde_buf *b, const char *hex)
{
    sonde_buf want;

    golden_bytes(hex, &want);
    if (b->status != SONDE_OK || !sonde_str_eq(sonde_buf_str(b), sonde_buf_str(&want)))
        fail_msg("%s: %zu bytes, want %zu (%s)", label, b->len, want.len, hex);
    sonde_buf_done(&want);
    sonde_buf_reset(b);
}

static void test_varint_length_is_right_at_every_step(void **state)
{
    unsigned bits;

    (void)state;
    assert_int_equal(sonde_pb_varint_len(0), 1);
    for (bits = 1; bits <= 64; bits++) {
        uint64_t highest = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;

        assert_int_equal(sonde_pb_varint_len(highest), (bits + 6) / 7);
        assert_int_equal(sonde_pb_varint_len(UINT64_C(1) << (bits - 1)), (bits + 6) / 7);
    }
}

static void test_write_scalars(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 256);
    sonde_pb_varint(&b, 1, 150);
    expect("varint", &b, "08 9601");
    sonde_pb_varint(&b, 16, 1);
    expect("two-byte tag", &b, "8001 01");
    sonde_pb_varint(&b, (1u << 29) - 1, UINT64_MAX);
    expect("largest", &b, "f8ffffff0f ffffffffffffffffff01");
    sonde_pb_int64(&b, 1, -2);
    expect("negative", &b, "08 feffffffffffffffff01");
    sonde_pb_int64(&b, 7, 1700000000000000000);
    expect("start", &b, "38 8080a8b1e39fe7cb17");
    sonde_pb_sint32(&b, 3, 690);
    expect("zigzag", &b, "18 e40a");
    sonde_pb_sint32(&b, 3, -1);
    expect("zigzag -1", &b, "18 01");
    sonde_pb_sint32(&b, 3, INT32_MIN);
    expect("zigzag lowest", &b, "18 ffffffff0f");
    sonde_pb_sint32(&b, 3, INT32_MAX);
    expect("zigzag highest", &b, "18 feffffff0f");
    sonde_pb_fixed64(&b, 1, UINT64_C(0x0102030405060708));
    expect("fixed64", &b, "09 0807060504030201");
    sonde_pb_double(&b, 8, 10);
    expect("double", &b, "41 0000000000002440");
    sonde_pb_double(&b, 8, -0.0);
    expect("negative zero", &b, "41 0000000000000080");
    sonde_pb_double_always(&b, 8, 0);
    expect("zero when asked for", &b, "41 0000000000000000");
    sonde_buf_done(&b);
}

static void test_write_leaves_zero_values_out(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 256);
    sonde_pb_varint(&b, 1, 0);
    sonde_pb_int64(&b, 1, 0);
    sonde_pb_sint32(&b, 1, 0);
    sonde_pb_fixed64(&b, 1, 0);
    sonde_pb_double(&b, 1, 0);
    sonde_pb_str(&b, 1, (sonde_str){ NULL, 0 });
    expect("nothing", &b, "");
    sonde_pb_str_always(&b, 1, (sonde_str){ NULL, 0 });
    expect("empty when asked for", &b, "0a00");
    sonde_buf_done(&b);
}

static void test_write_strings_and_map_entries(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 256);
    sonde_pb_str(&b, 2, SONDE_STR("testing"));
    expect("string", &b, "12 07 74657374696e67");
    sonde_pb_map_str_str(&b, 10, SONDE_STR("env"), SONDE_STR("prod"));
    expect("str str", &b, "52 0b 0a03656e76 120470726f64");
    sonde_pb_map_str_double(&b, 11, SONDE_STR("_top_level"), 1);
    expect("str double", &b, "5a 15 0a0a5f746f705f6c6576656c 11000000000000f03f");
    sonde_pb_map_str_str(&b, 16, (sonde_str){ NULL, 0 }, (sonde_str){ NULL, 0 });
    expect("empty entry", &b, "8201 04 0a00 1200");
    sonde_pb_map_str_double(&b, 1, SONDE_STR("a"), 0);
    expect("zero entry", &b, "0a 0c 0a0161 110000000000000000");
    sonde_buf_done(&b);
}

static void test_write_nested_messages_of_every_length(void **state)
{
    static const size_t lengths[] = { 0, 1, 127, 128, 16383, 16384, 40000 };
    static const char *const heads[] = { "2a00",   "2a01",     "2a7f",    "2a8001",
                                         "2aff7f", "2a808001", "2ac0b802" };
    sonde_buf b;
    size_t i, mark;

    (void)state;
    memset(filler, 'z', sizeof(filler));
    sonde_buf_init(&b, 1 << 20);
    for (i = 0; i < COUNT_OF(lengths); i++) {
        mark = sonde_pb_begin(&b, 5);
        sonde_buf_append(&b, filler, lengths[i]);
        sonde_pb_end(&b, mark);
        if (lengths[i])
            assert_memory_equal(b.data + b.len - lengths[i], filler, lengths[i]);
        b.len -= lengths[i];
        expect(heads[i], &b, heads[i]);
    }
    sonde_buf_done(&b);
}

static void test_write_announces_bytes_the_caller_appends(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 64);
    sonde_pb_len_prefix(&b, 2, 300);
    sonde_pb_len_prefix(&b, 16, 0);
    expect("prefixes", &b, "12 ac02 8201 00");
    sonde_buf_done(&b);
}

static void test_write_nests_inside_messages_that_move(void **state)
{
    sonde_buf b;
    size_t outer, inner;

    (void)state;
    sonde_buf_init(&b, 1024);
    outer = sonde_pb_begin(&b, 1);
    inner = sonde_pb_begin(&b, 20);
    sonde_buf_append(&b, filler, 200);
    sonde_pb_end(&b, inner); /* its length takes two bytes, so it moves */
    sonde_pb_varint(&b, 2, 7);
    sonde_pb_end(&b, outer);

    assert_int_equal(b.len, 3 + 4 + 200 + 2);
    assert_memory_equal(b.data, "\x0a\xce\x01\xa2\x01\xc8\x01", 7);
    assert_memory_equal(b.data + 207, "\x10\x07", 2);
    sonde_buf_done(&b);
}

static void test_write_beyond_the_ceiling_sets_the_status(void **state)
{
    sonde_buf b;
    size_t mark, len;

    (void)state;
    sonde_buf_init(&b, 256);
    mark = sonde_pb_begin(&b, 1);
    sonde_pb_str(&b, 1, (sonde_str){ filler, 200 });
    sonde_pb_str(&b, 1, (sonde_str){ filler, 200 });
    assert_status(b.status, SONDE_ERR_TOO_BIG);
    len = b.len;

    sonde_pb_end(&b, sonde_pb_begin(&b, 3)); /* everything is inert now */
    sonde_pb_varint(&b, 1, 1);
    sonde_pb_double(&b, 1, 1);
    sonde_pb_map_str_str(&b, 1, SONDE_STR("a"), SONDE_STR("b"));
    sonde_pb_map_str_double(&b, 1, SONDE_STR("a"), 1);
    sonde_pb_end(&b, mark);
    assert_int_equal(b.len, len);
    sonde_buf_done(&b);
}

static sonde_status encode(void *user)
{
    sonde_status status;
    sonde_buf b;
    size_t mark;

    (void)user;
    sonde_buf_init(&b, 1 << 20);
    mark = sonde_pb_begin(&b, 1);
    sonde_pb_str(&b, 1, (sonde_str){ filler, sizeof(filler) });
    sonde_pb_map_str_double(&b, 2, SONDE_STR("a"), 1);
    sonde_pb_end(&b, mark);
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
        cmocka_unit_test(test_varint_length_is_right_at_every_step),
        cmocka_unit_test(test_write_scalars),
        cmocka_unit_test(test_write_leaves_zero_values_out),
        cmocka_unit_test(test_write_strings_and_map_entries),
        cmocka_unit_test(test_write_nested_messages_of_every_length),
        cmocka_unit_test(test_write_announces_bytes_the_caller_appends),
        cmocka_unit_test(test_write_nests_inside_messages_that_move),
        cmocka_unit_test(test_write_beyond_the_ceiling_sets_the_status),
        cmocka_unit_test(test_write_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("pb_write", tests, NULL, NULL);
}
