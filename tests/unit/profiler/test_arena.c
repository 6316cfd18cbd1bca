/* The profiler's own memory: blocks that do not overlap, a ceiling, both sides of a fork. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "profiler/src/arena.h"

#define BLOCKS 2000

static int setup(void **state)
{
    (void)state;
    sonde_prof__arena_install();
    sonde_prof__arena_limit(SIZE_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sonde_alloc_set(NULL);
    return 0;
}

static size_t size_of(size_t i)
{
    return i % 97 == 0 ? 40000 + i : 1 + (i * 7919) % 5000;
}

static void check(const uint8_t *block, size_t i)
{
    size_t k;

    assert_int_equal((uintptr_t)block % 16, 0);
    for (k = 0; k < size_of(i); k++)
        if (block[k] != (uint8_t)i)
            fail_msg("byte %zu of block %zu is %u", k, i, block[k]);
}

static void test_blocks_are_aligned_and_do_not_overlap(void **state)
{
    static uint8_t *blocks[BLOCKS];
    size_t i, round;

    (void)state;
    for (round = 0; round < 3; round++) {
        for (i = round; i < BLOCKS; i += 1 + round) {
            sonde_free(blocks[i]);
            blocks[i] = sonde_malloc(size_of(i));
            assert_non_null(blocks[i]);
            memset(blocks[i], (uint8_t)i, size_of(i));
        }
        for (i = 0; i < BLOCKS; i++)
            check(blocks[i], i);
    }
    for (i = 0; i < BLOCKS; i++)
        sonde_free(blocks[i]);
}

static void test_growing_keeps_what_was_there(void **state)
{
    static const size_t sizes[] = { 1, 32, 33, 5000, 24576, 24577, 100000, 3000000 };
    char *block = NULL;
    size_t i, k, had = 0;

    (void)state;
    for (i = 0; i < COUNT_OF(sizes); i++) {
        block = sonde_realloc(block, sizes[i]);
        assert_non_null(block);
        for (k = 0; k < had; k++)
            assert_int_equal(block[k], 'x');
        memset(block, 'x', sizes[i]);
        had = sizes[i];
    }
    sonde_free(block);
}

static void test_fresh_memory_of_calloc_is_zero(void **state)
{
    uint8_t *block = sonde_malloc(300);
    size_t i;

    (void)state;
    memset(block, 0xff, 300);
    sonde_free(block);
    block = sonde_calloc(3, 100);
    for (i = 0; i < 300; i++)
        assert_int_equal(block[i], 0);
    sonde_free(block);
}

static void test_above_the_ceiling_there_is_nothing(void **state)
{
    size_t before = sonde_prof__arena_bytes();
    uint64_t refused = sonde_prof__arena_refused();
    void *large, *small = sonde_malloc(64);

    (void)state;
    sonde_prof__arena_limit(before + 1024 * 1024);
    large = sonde_malloc(900 * 1024);
    assert_non_null(large);
    assert_null(sonde_malloc(900 * 1024));
    assert_null(sonde_malloc(SIZE_MAX - 8));
    assert_int_equal(sonde_prof__arena_refused(),
                     refused + 1); /* the other one is no size at all */
    sonde_free(large);
    large = sonde_malloc(900 * 1024);
    assert_non_null(large);
    sonde_free(large);
    sonde_free(small);
    sonde_prof__arena_limit(SIZE_MAX);
}

static void test_large_blocks_go_back_to_the_system(void **state)
{
    size_t before = sonde_prof__arena_bytes();
    void *large = sonde_malloc(1000000);

    (void)state;
    assert_true(sonde_prof__arena_bytes() >= before + 1000000);
    sonde_free(large);
    assert_int_equal(sonde_prof__arena_bytes(), before);
    large = sonde_prof__pages_map(5000);
    assert_int_equal(sonde_prof__arena_bytes(), before + 8192);
    sonde_prof__pages_unmap(large, 5000);
    assert_int_equal(sonde_prof__arena_bytes(), before);
    sonde_prof__pages_unmap(NULL, 5000);
}

static void test_a_forked_child_goes_on(void **state)
{
    pid_t child;
    int status;

    (void)state;
    sonde_prof__arena_prefork();
    child = fork();
    if (child == 0) {
        sonde_prof__arena_postfork_child();
        _exit(sonde_malloc(100) ? 7 : 8);
    }
    sonde_prof__arena_postfork_parent();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    sonde_free(sonde_malloc(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_do_not_overlap),
        cmocka_unit_test(test_growing_keeps_what_was_there),
        cmocka_unit_test(test_fresh_memory_of_calloc_is_zero),
        cmocka_unit_test(test_above_the_ceiling_there_is_nothing),
        cmocka_unit_test(test_large_blocks_go_back_to_the_system),
        cmocka_unit_test(test_a_forked_child_goes_on),
    };

    return cmocka_run_group_tests_name("arena", tests, setup, teardown);
}
