/* The Bloom filter of a frame. */
#include <stdio.h>

#include "support/test.h"

#include "dashboards/model/filter.h"

static sonde_str number(char out[16], int i)
{
    int n = snprintf(out, 16, "value-%d", i);

    return (sonde_str){ out, (size_t)n };
}

static void test_filter_holds_whatever_was_added(void **state)
{
    static uint8_t filter[FILTER_MAX_BYTES];
    size_t bytes = filter_bytes(1000);
    char text[16];
    int i;

    (void)state;
    for (i = 0; i < 1000; i++)
        filter_add(filter, bytes, filter_attr_token(SONDE_STR("k"), number(text, i)));

    for (i = 0; i < 1000; i++)
        if (!filter_may_hold(filter, bytes, filter_attr_token(SONDE_STR("k"), number(text, i))))
            fail_msg("value %d was forgotten", i);
}

static void test_filter_excludes_nearly_all_that_was_not_added(void **state)
{
    static uint8_t filter[FILTER_MAX_BYTES];
    size_t bytes = filter_bytes(1000);
    char text[16];
    int i, wrong = 0;

    (void)state;
    for (i = 0; i < 1000; i++)
        filter_add(filter, bytes, filter_token(FILTER_SERVICE, number(text, i)));

    for (i = 0; i < 10000; i++)
        wrong += filter_may_hold(filter, bytes, filter_token(FILTER_NAME, number(text, i)));
    if (wrong > 500)
        fail_msg("%d of 10000 pass", wrong);
}

static void test_filter_tokens_tell_field_key_and_value_apart(void **state)
{
    (void)state;
    assert_int_not_equal(filter_token(FILTER_SERVICE, SONDE_STR("a")),
                         filter_token(FILTER_NAME, SONDE_STR("a")));
    assert_int_not_equal(filter_attr_token(SONDE_STR("ab"), SONDE_STR("c")),
                         filter_attr_token(SONDE_STR("a"), SONDE_STR("bc")));
}

/* FNV-1a over 01 'a': tokens are stored, so they never change. */
static void test_filter_token_is_fnv1a_of_field_and_text(void **state)
{
    uint64_t want = 14695981039346656037u;

    (void)state;
    want = (want ^ 1) * 1099511628211u;
    want = (want ^ 'a') * 1099511628211u;
    assert_int_equal(filter_token(FILTER_SERVICE, SONDE_STR("a")), want);
}

static void test_filter_size_is_a_multiple_of_eight_with_a_ceiling(void **state)
{
    (void)state;
    assert_int_equal(filter_bytes(0), 8);
    assert_int_equal(filter_bytes(64), 88);
    assert_int_equal(filter_bytes(SIZE_MAX), FILTER_MAX_BYTES);
}

static void test_an_empty_filter_excludes_nothing(void **state)
{
    (void)state;
    assert_true(filter_may_hold(NULL, 0, 17));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_holds_whatever_was_added),
        cmocka_unit_test(test_filter_excludes_nearly_all_that_was_not_added),
        cmocka_unit_test(test_filter_tokens_tell_field_key_and_value_apart),
        cmocka_unit_test(test_filter_token_is_fnv1a_of_field_and_text),
        cmocka_unit_test(test_filter_size_is_a_multiple_of_eight_with_a_ceiling),
        cmocka_unit_test(test_an_empty_filter_excludes_nothing),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
