/* test_arena.c - base/arena.h */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "support/alloc_fail.h"

static size_t count_blocks(const sonde_arena *a)
{
    size_t count = 0;
    sonde_arena_block *const *block;

    for (block = &a->blocks; *block; block = (sonde_arena_block *const *)*block)
        count++; /* the link is the first member */
    return count;
}

static void test_arena_aligns_what_it_hands_out(void **state)
{
    static const size_t aligns[] = { 1, 2, 4, 8, 16 };
    sonde_arena a;
    size_t i;

    (void)state;
    sonde_arena_init(&a, 1 << 20);
    for (i = 0; i < 1000; i++) {
        size_t align = aligns[i % COUNT_OF(aligns)];
        char *p = (char *)sonde_arena_alloc_aligned(&a, 1 + i % 37, align);

        assert_non_null(p);
        if ((uintptr_t)p % align != 0)
            fail_msg("%p is not aligned to %zu", (void *)p, align);
        memset(p, 0xaa, 1 + i % 37);
    }
    sonde_arena_done(&a);
}

static void test_arena_allocations_do_not_overlap(void **state)
{
    enum { COUNT = 3000 };
    static unsigned char *at[COUNT];
    sonde_arena a;
    size_t i, j;

    (void)state;
    sonde_arena_init(&a, 4 << 20);
    for (i = 0; i < COUNT; i++) {
        at[i] = (unsigned char *)sonde_arena_alloc(&a, 1 + i % 200);
        assert_non_null(at[i]);
        memset(at[i], (int)(i & 0xff), 1 + i % 200);
    }
    for (i = 0; i < COUNT; i++) {
        for (j = 0; j < 1 + i % 200; j++)
            assert_int_equal(at[i][j], i & 0xff);
    }
    sonde_arena_done(&a);
}

static void test_arena_refuses_above_its_ceiling_and_stays_usable(void **state)
{
    sonde_arena a;

    (void)state;
    sonde_arena_init(&a, 8192);
    assert_null(sonde_arena_alloc(&a, 8192)); /* the block's header does not fit any more */
    assert_null(sonde_arena_alloc(&a, SIZE_MAX));
    assert_null(sonde_arena_alloc(&a, SIZE_MAX - 15));
    assert_null(sonde_arena_zalloc(&a, SIZE_MAX / 2, 4));

    assert_non_null(sonde_arena_alloc(&a, 100));
    assert_true(a.held_bytes <= a.max_bytes);
    while (sonde_arena_alloc(&a, 64))
        ;
    assert_int_equal(a.held_bytes, a.max_bytes); /* the last block is cut to what is left */
    sonde_arena_done(&a);
    assert_int_equal(a.held_bytes, 0);
}

static void test_arena_gives_a_large_request_its_own_block_and_goes_on_in_the_newest(void **state)
{
    sonde_arena a;
    char *before, *large, *after;

    (void)state;
    sonde_arena_init(&a, 1 << 20);
    before = (char *)sonde_arena_alloc(&a, 16);
    large = (char *)sonde_arena_alloc(&a, 200000);
    after = (char *)sonde_arena_alloc(&a, 16);

    assert_non_null(large);
    memset(large, 1, 200000);
    assert_ptr_equal(after, before + 16);
    assert_int_equal(count_blocks(&a), 2);
    sonde_arena_done(&a);
}

static void test_arena_reset_keeps_the_first_block_only(void **state)
{
    sonde_arena a;
    void *first;
    int i;

    (void)state;
    sonde_arena_init(&a, 1 << 20);
    first = sonde_arena_alloc(&a, 16);
    for (i = 0; i < 1000; i++)
        assert_non_null(sonde_arena_alloc(&a, 100));
    sonde_arena_reset(&a);

    assert_int_equal(a.held_bytes, 4096);
    assert_int_equal(count_blocks(&a), 1);
    assert_ptr_equal(sonde_arena_alloc(&a, 16), first);
    sonde_arena_done(&a);
}

static void test_arena_reset_gives_back_an_oversized_first_block(void **state)
{
    sonde_arena a;

    (void)state;
    sonde_arena_init(&a, 1 << 20);
    assert_non_null(sonde_arena_alloc(&a, 500000));
    sonde_arena_reset(&a);

    assert_int_equal(a.held_bytes, 0);
    assert_non_null(sonde_arena_alloc(&a, 1));
    sonde_arena_done(&a);
}

static void test_arena_copies_text_with_nul(void **state)
{
    sonde_arena a;
    sonde_str copy;

    (void)state;
    sonde_arena_init(&a, 8192);
    copy = sonde_arena_copy(&a, SONDE_STR("checkout"));
    assert_int_equal(copy.len, 8);
    assert_string_equal(copy.ptr, "checkout");
    copy = sonde_arena_copy(&a, (sonde_str){ NULL, 0 });
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.ptr, "");
    copy = sonde_arena_copy(&a, (sonde_str){ "x", SIZE_MAX });
    assert_null(copy.ptr);
    sonde_arena_done(&a);
}

static sonde_status fill_an_arena(void *user)
{
    sonde_arena a;
    sonde_status status = SONDE_OK;
    int i;

    (void)user;
    sonde_arena_init(&a, 1 << 20);
    for (i = 0; i < 300 && status == SONDE_OK; i++) {
        if (!sonde_arena_zalloc(&a, 1, i % 50 == 0 ? 70000 : 100))
            status = SONDE_ERR_NOMEM;
    }
    sonde_arena_done(&a);
    return status;
}

static void test_arena_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(fill_an_arena, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_aligns_what_it_hands_out),
        cmocka_unit_test(test_arena_allocations_do_not_overlap),
        cmocka_unit_test(test_arena_refuses_above_its_ceiling_and_stays_usable),
        cmocka_unit_test(test_arena_gives_a_large_request_its_own_block_and_goes_on_in_the_newest),
        cmocka_unit_test(test_arena_reset_keeps_the_first_block_only),
        cmocka_unit_test(test_arena_reset_gives_back_an_oversized_first_block),
        cmocka_unit_test(test_arena_copies_text_with_nul),
        cmocka_unit_test(test_arena_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
