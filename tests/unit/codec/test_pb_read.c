/* One field after the other, and what is refused. */
#include "codec/pb_read.h"

#include <string.h>

#include "support/golden.h"
#include "support/test.h"

static sonde_pb_reader reader(const char *hex) /* the bytes live until the next call */
{
    static uint8_t bytes[1024];
    sonde_pb_reader r;
    sonde_buf b;

    golden_bytes(hex, &b);
    assert_true(b.len <= sizeof(bytes));
    if (b.len)
        memcpy(bytes, b.data, b.len);
    sonde_pb_reader_init(&r, bytes, b.len);
    sonde_buf_done(&b);
    return r;
}

static void test_next_gives_fields_in_wire_order(void **state)
{
    sonde_pb_reader r =
        reader("08 9601  1203616263  19 0807060504030201  25 04030201  f8ffffff0f 01");

    (void)state;
    assert_true(sonde_pb_next(&r) && r.field == 1 && sonde_pb_u64(&r) == 150);
    assert_true(sonde_pb_next(&r) && r.field == 2 &&
                sonde_str_eq(sonde_pb_bytes(&r), SONDE_STR("abc")));
    assert_true(sonde_pb_next(&r) && r.field == 3 &&
                sonde_pb_u64(&r) == UINT64_C(0x0102030405060708));
    assert_true(sonde_pb_next(&r) && r.field == 4 && sonde_pb_u64(&r) == 0x01020304);
    assert_true(sonde_pb_next(&r) && r.field == (1u << 29) - 1 && sonde_pb_u64(&r) == 1);
    assert_false(sonde_pb_next(&r));
    assert_status(r.status, SONDE_OK);
}

static void test_next_passes_over_fields_nobody_asks_for(void **state)
{
    sonde_pb_reader r = reader("0801 12020102 190000000000000000 2500000000 3007");
    unsigned fields = 0;

    (void)state;
    while (sonde_pb_next(&r))
        fields++;
    assert_int_equal(fields, 5);
    assert_status(r.status, SONDE_OK);
}

static void test_read_signed_numbers(void **state)
{
    static const struct {
        const char *hex;
        int64_t i64;
        int32_t i32, s32;
    } cases[] = {
        { "08 feffffffffffffffff01", -2, -2, INT32_MAX },
        { "08 01", 1, 1, -1 },
        { "08 02", 2, 2, 1 },
        { "08 e40a", 1380, 1380, 690 },
        { "08 ffffffff0f", 4294967295, -1, INT32_MIN },
        { "08 80808080f8ffffffff01", INT32_MIN, INT32_MIN, 1 << 30 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_pb_reader r = reader(cases[i].hex);

        assert_true(sonde_pb_next(&r));
        if (sonde_pb_i64(&r) != cases[i].i64 || sonde_pb_i32(&r) != cases[i].i32 ||
            sonde_pb_s32(&r) != cases[i].s32)
            fail_msg("%s: %lld %d %d", cases[i].hex, (long long)sonde_pb_i64(&r), sonde_pb_i32(&r),
                     sonde_pb_s32(&r));
    }
}

static void test_read_doubles(void **state)
{
    sonde_pb_reader r = reader("41 0000000000002440");

    (void)state;
    assert_true(sonde_pb_next(&r));
    assert_true(sonde_pb_f64(&r) == 10);
}

static void test_next_refuses_what_is_not_protobuf(void **state)
{
    static const struct {
        const char *label, *hex;
        sonde_status want;
    } cases[] = {
        { "tag cut off", "80", SONDE_ERR_EOF },
        { "value missing", "08", SONDE_ERR_EOF },
        { "varint cut off", "08 8080", SONDE_ERR_EOF },
        { "varint of eleven bytes", "08 8080808080808080808001", SONDE_ERR_SYNTAX },
        { "varint beyond 64 bits", "08 ffffffffffffffffff02", SONDE_ERR_SYNTAX },
        { "fixed64 cut off", "09 00000000000000", SONDE_ERR_EOF },
        { "fixed32 cut off", "0d 000000", SONDE_ERR_EOF },
        { "bytes cut off", "0a 03 6162", SONDE_ERR_EOF },
        { "bytes of 2^64 - 1", "0a ffffffffffffffffff01 61", SONDE_ERR_EOF },
        { "field 0", "00 01", SONDE_ERR_SYNTAX },
        { "field 2^29", "8080808010 01", SONDE_ERR_SYNTAX },
        { "group", "0b 0c", SONDE_ERR_SYNTAX },
        { "wire type 6", "0e", SONDE_ERR_SYNTAX },
        { "wire type 7", "0f", SONDE_ERR_SYNTAX },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_pb_reader r = reader(cases[i].hex);

        if (sonde_pb_next(&r) || r.status != cases[i].want || sonde_pb_next(&r))
            fail_msg("%s: %s", cases[i].label, sonde_status_name(r.status));
    }
}

static void test_read_as_another_type_ends_the_loop(void **state)
{
    sonde_pb_reader r = reader("0801 1001");

    (void)state;
    assert_true(sonde_pb_next(&r));
    assert_int_equal(sonde_pb_bytes(&r).len, 0);
    assert_status(r.status, SONDE_ERR_SYNTAX);
    assert_false(sonde_pb_next(&r));

    r = reader("0a0161 1001");
    assert_true(sonde_pb_next(&r));
    assert_int_equal(sonde_pb_u64(&r), 0);
    assert_false(sonde_pb_next(&r));
    assert_status(r.status, SONDE_ERR_SYNTAX);

    r = reader("0801 1001");
    assert_true(sonde_pb_next(&r));
    assert_true(sonde_pb_f64(&r) == 0);
    assert_false(sonde_pb_next(&r));
    assert_status(r.status, SONDE_ERR_SYNTAX);
}

static void test_packed_numbers_come_one_after_the_other(void **state)
{
    sonde_pb_reader r = reader("01 9601 ffffffffffffffffff01");

    (void)state;
    assert_true(sonde_pb_next_packed(&r) && sonde_pb_u64(&r) == 1);
    assert_true(sonde_pb_next_packed(&r) && sonde_pb_u64(&r) == 150);
    assert_true(sonde_pb_next_packed(&r) && sonde_pb_i64(&r) == -1);
    assert_false(sonde_pb_next_packed(&r));
    assert_status(r.status, SONDE_OK);
}

static void test_packed_numbers_that_are_none_are_refused(void **state)
{
    sonde_pb_reader r = reader("01 80");

    (void)state;
    assert_true(sonde_pb_next_packed(&r));
    assert_false(sonde_pb_next_packed(&r));
    assert_status(r.status, SONDE_ERR_EOF);

    r = reader("8080808080808080808001 01");
    assert_false(sonde_pb_next_packed(&r));
    assert_false(sonde_pb_next_packed(&r));
    assert_status(r.status, SONDE_ERR_SYNTAX);
}

static void test_reader_of_nothing_has_no_fields(void **state)
{
    sonde_pb_reader r;

    (void)state;
    sonde_pb_reader_init(&r, NULL, 0);
    assert_false(sonde_pb_next(&r));
    assert_status(r.status, SONDE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_fields_in_wire_order),
        cmocka_unit_test(test_next_passes_over_fields_nobody_asks_for),
        cmocka_unit_test(test_read_signed_numbers),
        cmocka_unit_test(test_read_doubles),
        cmocka_unit_test(test_next_refuses_what_is_not_protobuf),
        cmocka_unit_test(test_read_as_another_type_ends_the_loop),
        cmocka_unit_test(test_packed_numbers_come_one_after_the_other),
        cmocka_unit_test(test_packed_numbers_that_are_none_are_refused),
        cmocka_unit_test(test_reader_of_nothing_has_no_fields),
    };

    return cmocka_run_group_tests_name("pb_read", tests, NULL, NULL);
}
