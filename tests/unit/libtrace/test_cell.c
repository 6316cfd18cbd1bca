/* test_cell.c - cells, handles and the texts in them. */
#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/src/area.h"
#include "libtrace/src/cell.h"
#include "libtrace/src/text.h"

#define CELLS 4096u

static void test_a_handle_is_stale_once_its_cell_was_given_back(void **state)
{
    sonde__cell_stack stack = { .len = 0 };
    sonde__cell *cell = (sonde__cell *)sonde__cell_take(&stack);
    void *handle = sonde__cell_handle(cell);

    (void)state;
    assert_ptr_equal(sonde__cell_of(handle), cell);
    sonde__cell_give(&stack, cell);
    assert_null(sonde__cell_of(handle));
    assert_ptr_equal(sonde__cell_take(&stack), cell);
    assert_null(sonde__cell_of(handle));
    assert_null(sonde__cell_of(NULL));
    assert_null(sonde__cell_of((void *)(uintptr_t)UINT64_MAX));
    assert_null(sonde__cell_of((void *)(uintptr_t)SONDE__CELL_INDEX_MASK));
    sonde__cell_give(&stack, cell);
    sonde__cells_give_all(&stack);
}

static void test_the_region_ends_and_comes_back(void **state)
{
    sonde__cell_stack stack = { .len = 0 };
    static void *taken[CELLS];
    uint32_t n = 0;
    uint32_t i;

    (void)state;
    while (n < CELLS && (taken[n] = sonde__cell_take(&stack)) != NULL)
        n++;
    assert_in_range(n, CELLS - 4 * SONDE__CELL_BATCH, CELLS - 1);
    assert_null(sonde__cell_take(&stack));
    for (i = 0; i < n; i++)
        sonde__cell_give(&stack, taken[i]);
    for (i = 0; i < n; i++)
        assert_non_null(taken[i] = sonde__cell_take(&stack));
    for (i = 0; i < n; i++)
        sonde__cell_give(&stack, taken[i]);
    sonde__cells_give_all(&stack);
}

static uint32_t take_all(sonde__cell_stack *stack, void *taken[CELLS])
{
    uint32_t n = 0;

    while (n < CELLS && (taken[n] = sonde__cell_take(stack)) != NULL)
        n++;
    return n;
}

static void give(sonde__cell_stack *stack, void *taken[CELLS], uint32_t n)
{
    while (n > 0)
        sonde__cell_give(stack, taken[--n]);
    sonde__cells_give_all(stack);
}

static uint32_t len_of(sonde__cell_list *list)
{
    return atomic_load(&list->len);
}

static void
test_a_quarter_of_the_region_waits_for_one_thread_and_others_get_it_at_last(void **state)
{
    static sonde__area area; /* lists that are not an area's are not found */
    static void *taken[CELLS];
    sonde__cell_stack of_area = { .home = &area.returned };
    sonde__cell_stack other = { .len = 0 };
    uint32_t shared, n;

    (void)state;
    atomic_store(&sonde__areas, &area);
    give(&of_area, taken, take_all(&of_area, taken));
    assert_int_equal(len_of(&area.returned), CELLS / SONDE__CELL_BATCH / 4);
    assert_true(sonde__cells_used_bytes() < 5u * SONDE__CELL_BATCH * SONDE__CELL_BYTES);
    assert_false(sonde__cells_half_used());

    shared = len_of(&sonde__pool.shared); /* first its own, */
    assert_non_null(taken[0] = sonde__cell_take(&of_area));
    assert_int_equal(len_of(&sonde__pool.shared), shared);
    sonde__cell_give(&of_area, taken[0]);
    sonde__cells_give_all(&of_area);
    assert_non_null(taken[0] = sonde__cell_take(&other)); /* and another's is not asked, */
    assert_int_equal(len_of(&area.returned), CELLS / SONDE__CELL_BATCH / 4);
    sonde__cell_give(&other, taken[0]);

    n = take_all(&other, taken); /* until nothing else is left */
    assert_in_range(n, CELLS - 5 * SONDE__CELL_BATCH, CELLS - 1);
    assert_int_equal(len_of(&area.returned), 0);
    assert_true(sonde__cells_half_used());
    give(&other, taken, n);
    assert_false(sonde__cells_half_used());
}

/* Each thread marks its cells; nobody else may have them meanwhile. */
static void *take_and_give(void *arg)
{
    sonde__cell_stack stack = { .len = 0 };
    sonde__cell *mine[200];
    uintptr_t bad = 0;
    int round, i;

    for (round = 0; round < 300; round++) {
        int n = 0;

        while (n < 200 && (mine[n] = (sonde__cell *)sonde__cell_take(&stack)) != NULL)
            memcpy(mine[n++]->body, &arg, sizeof(arg));
        for (i = 0; i < n; i++) {
            void *mark;

            memcpy(&mark, mine[i]->body, sizeof(mark));
            bad += mark != arg;
            sonde__cell_give(&stack, mine[i]);
        }
    }
    sonde__cells_give_all(&stack);
    return (void *)bad;
}

static void test_threads_never_share_a_cell(void **state)
{
    pthread_t thread[4];
    uintptr_t bad = 0;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (i = 0; i < COUNT_OF(thread); i++) {
        void *result;

        assert_int_equal(pthread_join(thread[i], &result), 0);
        bad += (uintptr_t)result;
    }
    assert_int_equal(bad, 0);
}

/* Records of every size around the borders of cells come back as they were. */
static void test_texts_come_back_whatever_their_size(void **state)
{
    static const size_t sizes[] = { 0,   1,   3,   7,   15,  16,   17,   100,  143,
                                    144, 145, 231, 232, 235, 236,  237,  238,  239,
                                    240, 241, 479, 480, 481, 1000, 4096, 25000 };
    static char value[25000];
    static char copy[25000];
    sonde__cell_stack stack = { .len = 0 };
    size_t first, i, round;

    (void)state;
    for (i = 0; i < sizeof(value); i++)
        value[i] = (char)('a' + i % 23);
    for (first = 80; first < 120; first++) {
        void *owner = sonde__cell_take(&stack);
        sonde__text_cursor c;
        sonde__record r;
        sonde__text t;

        sonde__text_init(&t, owner, first);
        for (round = 0; round < 2; round++)
            for (i = 0; i < COUNT_OF(sizes); i++)
                assert_true(sonde__text_add(&t, &stack, SONDE__TEXT_STR, (sonde_str){ value, i },
                                            (sonde_str){ value, sizes[i] }));
        c = sonde__text_read(&t, owner, first);
        for (round = 0; round < 2; round++) {
            for (i = 0; i < COUNT_OF(sizes); i++) {
                assert_true(sonde__text_next(&c, &r));
                sonde__text_copy(&r, copy);
                if (r.key_len != i || memcmp(r.key, value, i) != 0 || r.value_len != sizes[i] ||
                    memcmp(copy, value, sizes[i]) != 0)
                    fail_msg("first %zu, size %zu", first, sizes[i]);
            }
        }
        assert_false(sonde__text_next(&c, &r));
        while (t.more) {
            sonde__cell *next = t.more->next;

            sonde__cell_give(&stack, t.more);
            t.more = next;
        }
        sonde__cell_give(&stack, owner);
    }
    sonde__cells_give_all(&stack);
}

static void test_a_text_is_unchanged_when_memory_is_short(void **state)
{
    sonde__cell_stack stack = { .len = 0 };
    static void *taken[CELLS];
    static char value[20000];
    void *owner = sonde__cell_take(&stack);
    sonde__text_cursor c;
    sonde__record r;
    sonde__text t;
    uint32_t n = 0;

    (void)state;
    sonde__text_init(&t, owner, 100);
    assert_true(sonde__text_add(&t, &stack, SONDE__TEXT_STR, SONDE_STR("k"), SONDE_STR("v")));
    while (n < CELLS - 20 && (taken[n] = sonde__cell_take(&stack)) != NULL)
        n++;
    assert_false(sonde__text_add(&t, &stack, SONDE__TEXT_STR, SONDE_STR("big"),
                                 (sonde_str){ value, sizeof(value) }));
    c = sonde__text_read(&t, owner, 100);
    assert_true(sonde__text_next(&c, &r));
    assert_false(sonde__text_next(&c, &r));
    while (n > 0)
        sonde__cell_give(&stack, taken[--n]);
    sonde__cell_give(&stack, owner);
    sonde__cells_give_all(&stack);
}

static int open_cells(void **state)
{
    (void)state;
    return sonde__cells_open(CELLS * SONDE__CELL_BYTES) == SONDE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_handle_is_stale_once_its_cell_was_given_back),
        cmocka_unit_test(test_texts_come_back_whatever_their_size),
        cmocka_unit_test(test_threads_never_share_a_cell),
        cmocka_unit_test(test_a_text_is_unchanged_when_memory_is_short),
        cmocka_unit_test(
            test_a_quarter_of_the_region_waits_for_one_thread_and_others_get_it_at_last),
        cmocka_unit_test(test_the_region_ends_and_comes_back),
    };

    return cmocka_run_group_tests_name("cell", tests, open_cells, NULL);
}
