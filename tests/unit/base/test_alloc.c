/* test_alloc.c - base/alloc.h and the failing allocator tests use. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "support/alloc_fail.h"

static void test_calloc_refuses_a_product_that_overflows(void **state)
{
    (void)state;
    assert_null(sonde_calloc(SIZE_MAX / 2, 3));
}

static void test_calloc_zeroes_with_either_allocator(void **state)
{
    static const char zero[64];
    int replaced;

    (void)state;
    for (replaced = 0; replaced < 2; replaced++) {
        char *p;

        if (replaced)
            alloc_fail_begin();
        p = (char *)sonde_calloc(4, 16);
        assert_non_null(p);
        assert_memory_equal(p, zero, sizeof(zero));
        sonde_free(p);
        if (replaced)
            alloc_fail_end();
    }
}

static void test_zero_bytes_give_a_block(void **state)
{
    void *p = sonde_malloc(0), *q = sonde_calloc(0, 8);

    (void)state;
    assert_non_null(p);
    assert_non_null(q);
    p = sonde_realloc(p, 0);
    assert_non_null(p);
    sonde_free(p);
    sonde_free(q);
    sonde_free(NULL);
}

static void test_strndup_ends_with_nul(void **state)
{
    char *copy = sonde_strndup("trace", 3);

    (void)state;
    assert_string_equal(copy, "tra");
    sonde_free(copy);
    copy = sonde_strndup(NULL, 0);
    assert_string_equal(copy, "");
    sonde_free(copy);
    assert_null(sonde_strndup("x", SIZE_MAX));
}

static void test_failing_allocator_fails_the_nth_and_counts_what_lives(void **state)
{
    void *first, *second;

    (void)state;
    alloc_fail_begin();
    alloc_fail_at(2);
    first = sonde_malloc(1);
    assert_null(sonde_malloc(1));
    second = sonde_malloc(1);

    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(alloc_fail_live_blocks(), 2);
    second = sonde_realloc(second, 100);
    assert_int_equal(alloc_fail_live_blocks(), 2);
    sonde_free(first);
    sonde_free(second);
    assert_int_equal(alloc_fail_live_blocks(), 0);
    alloc_fail_end();
}

static sonde_status two_allocations(void *user)
{
    int *rounds = (int *)user;
    void *first = sonde_malloc(1), *second = first ? sonde_malloc(1) : NULL;
    sonde_status status = second ? SONDE_OK : SONDE_ERR_NOMEM;

    (*rounds)++;
    sonde_free(first);
    sonde_free(second);
    return status;
}

static void test_each_runs_until_nothing_fails_any_more(void **state)
{
    int rounds = 0;

    (void)state;
    alloc_fail_each(two_allocations, &rounds);

    assert_int_equal(rounds, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calloc_refuses_a_product_that_overflows),
        cmocka_unit_test(test_calloc_zeroes_with_either_allocator),
        cmocka_unit_test(test_zero_bytes_give_a_block),
        cmocka_unit_test(test_strndup_ends_with_nul),
        cmocka_unit_test(test_failing_allocator_fails_the_nth_and_counts_what_lives),
        cmocka_unit_test(test_each_runs_until_nothing_fails_any_more),
    };

    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
