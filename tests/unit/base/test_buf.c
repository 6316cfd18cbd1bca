/* test_buf.c - base/buf.h */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "support/alloc_fail.h"

static void test_buf_grows_and_keeps_its_content(void **state)
{
    sonde_buf b;
    size_t i;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    for (i = 0; i < 100000; i++)
        sonde_buf_append_byte(&b, (uint8_t)i);

    assert_status(b.status, SONDE_OK);
    assert_int_equal(b.len, 100000);
    for (i = 0; i < b.len; i++)
        assert_int_equal(b.data[i], (uint8_t)i);
    sonde_buf_done(&b);
}

static void test_buf_fills_to_its_ceiling_exactly_then_refuses_and_stays_as_it_was(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 10);
    sonde_buf_append_str(&b, SONDE_STR("12345678"));
    sonde_buf_append_str(&b, SONDE_STR("90"));
    assert_status(b.status, SONDE_OK);
    sonde_buf_append_byte(&b, 'x');

    assert_status(b.status, SONDE_ERR_TOO_BIG);
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "1234567890", 10);
    sonde_buf_done(&b);
}

static void test_buf_refuses_what_would_overflow_a_size(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, SIZE_MAX);
    sonde_buf_append_byte(&b, 'x');
    assert_null(sonde_buf_reserve(&b, SIZE_MAX - 1));
    assert_status(b.status, SONDE_ERR_NOMEM);
    sonde_buf_done(&b);
}

static void test_buf_error_is_sticky_until_reset(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 4);
    sonde_buf_append_str(&b, SONDE_STR("12345"));
    sonde_buf_append_byte(&b, 'x'); /* would fit */
    sonde_buf_printf(&b, "y");
    assert_status(b.status, SONDE_ERR_TOO_BIG);
    assert_int_equal(b.len, 0);
    assert_string_equal(sonde_buf_cstr(&b), "");

    sonde_buf_reset(&b);
    sonde_buf_append_byte(&b, 'x');
    assert_status(b.status, SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&b), "x");
    sonde_buf_done(&b);
}

static void test_buf_prints_what_fits_and_what_needs_growth(void **state)
{
    sonde_buf b;
    int i;

    (void)state;
    sonde_buf_init(&b, 1000);
    sonde_buf_printf(&b, "%s=%d", "first", 1);
    assert_string_equal(sonde_buf_cstr(&b), "first=1");
    sonde_buf_printf(&b, "%0200d", 7);
    assert_int_equal(b.len, 207);
    assert_int_equal(b.data[206], '7');
    for (i = 0; i < 7; i++)
        sonde_buf_printf(&b, "%0100d", 0);
    sonde_buf_printf(&b, "%093d", 0); /* to the last byte */
    assert_status(b.status, SONDE_OK);
    assert_int_equal(b.len, 1000);
    sonde_buf_printf(&b, "z");
    assert_status(b.status, SONDE_ERR_TOO_BIG);
    assert_int_equal(b.len, 1000);
    sonde_buf_done(&b);
}

static void test_buf_take_hands_the_bytes_over(void **state)
{
    sonde_buf b;
    size_t len = 0;
    uint8_t *data;

    (void)state;
    sonde_buf_init(&b, 100);
    sonde_buf_append_str(&b, SONDE_STR("body"));
    data = sonde_buf_take(&b, &len);

    assert_int_equal(len, 4);
    assert_memory_equal(data, "body", 4);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    sonde_buf_append_byte(&b, 'x'); /* still usable, same ceiling */
    assert_int_equal(b.max_bytes, 100);
    assert_int_equal(b.len, 1);
    sonde_free(data);
    sonde_buf_done(&b);
    sonde_buf_done(&b);
}

static void test_buf_of_no_bytes_takes_nothing(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 0);
    sonde_buf_append(&b, NULL, 0);
    assert_status(b.status, SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&b), "");
    sonde_buf_append_byte(&b, 'x');
    assert_status(b.status, SONDE_ERR_TOO_BIG);
    sonde_buf_done(&b);
}

static sonde_status build_text(void *user)
{
    sonde_buf b;
    sonde_status status;
    int i;

    (void)user;
    sonde_buf_init(&b, 1 << 16);
    for (i = 0; i < 500; i++)
        sonde_buf_printf(&b, "line %d\n", i);
    status = b.status;
    sonde_buf_done(&b);
    return status;
}

static void test_buf_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(build_text, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_grows_and_keeps_its_content),
        cmocka_unit_test(test_buf_fills_to_its_ceiling_exactly_then_refuses_and_stays_as_it_was),
        cmocka_unit_test(test_buf_refuses_what_would_overflow_a_size),
        cmocka_unit_test(test_buf_error_is_sticky_until_reset),
        cmocka_unit_test(test_buf_prints_what_fits_and_what_needs_growth),
        cmocka_unit_test(test_buf_take_hands_the_bytes_over),
        cmocka_unit_test(test_buf_of_no_bytes_takes_nothing),
        cmocka_unit_test(test_buf_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
