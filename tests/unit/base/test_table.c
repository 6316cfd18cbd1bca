/* test_table.c - base/table.h */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/table.h"
#include "support/alloc_fail.h"

static sonde_str numbered(char out[16], unsigned n)
{
    return (sonde_str){ out, (size_t)snprintf(out, 16, "key%u", n) };
}

static void test_table_finds_what_was_put_and_replaces(void **state)
{
    sonde_table t;
    int a, b;

    (void)state;
    sonde_table_init(&t, 10);
    assert_null(sonde_table_get(&t, SONDE_STR("web")));
    assert_status(sonde_table_put(&t, SONDE_STR("web"), &a), SONDE_OK);
    assert_status(sonde_table_put(&t, SONDE_STR(""), &b), SONDE_OK); /* the empty key is a key */
    assert_ptr_equal(sonde_table_get(&t, SONDE_STR("web")), &a);
    assert_ptr_equal(sonde_table_get(&t, SONDE_STR("")), &b);
    assert_null(sonde_table_get(&t, SONDE_STR("we")));
    assert_status(sonde_table_put(&t, SONDE_STR("web"), &b), SONDE_OK);
    assert_ptr_equal(sonde_table_get(&t, SONDE_STR("web")), &b);
    assert_int_equal(t.count, 2);
    sonde_table_done(&t);
}

static void test_table_refuses_a_new_key_at_its_ceiling_but_replaces_old_ones(void **state)
{
    sonde_table t;
    int v;

    (void)state;
    sonde_table_init(&t, 2);
    assert_status(sonde_table_put(&t, SONDE_STR("a"), &v), SONDE_OK);
    assert_status(sonde_table_put(&t, SONDE_STR("b"), &v), SONDE_OK);
    assert_status(sonde_table_put(&t, SONDE_STR("c"), &v), SONDE_ERR_FULL);
    assert_status(sonde_table_put(&t, SONDE_STR("a"), &v), SONDE_OK);
    assert_ptr_equal(sonde_table_remove(&t, SONDE_STR("a")), &v);
    assert_status(sonde_table_put(&t, SONDE_STR("c"), &v), SONDE_OK);
    assert_int_equal(t.count, 2);
    sonde_table_done(&t);
}

static void test_table_walks_in_insertion_order_and_over_holes(void **state)
{
    static const char *const want[] = { "key0", "key1", "key3", "key4" };
    size_t cursor = 0, i;
    sonde_table_entry *e;
    sonde_table t;
    char key[16];
    unsigned n;

    (void)state;
    sonde_table_init(&t, 100);
    for (n = 0; n < 5; n++)
        assert_status(sonde_table_put(&t, numbered(key, n), &t), SONDE_OK);
    assert_ptr_equal(sonde_table_remove(&t, SONDE_STR("key2")), &t);
    for (i = 0; (e = sonde_table_next(&t, &cursor)) != NULL; i++) {
        assert_true(i < COUNT_OF(want));
        assert_string_equal(e->key.ptr, want[i]);
    }
    assert_int_equal(i, COUNT_OF(want));
    sonde_table_done(&t);
}

static void test_table_allows_removing_during_a_walk(void **state)
{
    sonde_table_entry *e;
    size_t cursor = 0;
    sonde_table t;
    char key[16];
    unsigned n, seen = 0;

    (void)state;
    sonde_table_init(&t, 1000);
    for (n = 0; n < 1000; n++)
        assert_status(sonde_table_put(&t, numbered(key, n), &t), SONDE_OK);
    while ((e = sonde_table_next(&t, &cursor)) != NULL) {
        seen++;
        assert_ptr_equal(sonde_table_remove(&t, e->key), &t);
    }
    assert_int_equal(seen, 1000);
    assert_int_equal(t.count, 0);
    sonde_table_done(&t);
}

/* Against the plainest table there is: an array of 256 values. */
static void test_table_agrees_with_an_array_under_random_use(void **state)
{
    enum { KEYS = 256, STEPS = 60000 };
    static char values[KEYS];
    void *model[KEYS] = { NULL };
    size_t count = 0;
    sonde_table t;
    sonde_rng rng;
    int i;

    (void)state;
    sonde_rng_seed(&rng, 42);
    sonde_table_init(&t, KEYS);
    for (i = 0; i < STEPS; i++) {
        uint64_t random = sonde_rng_next(&rng);
        unsigned n = (unsigned)(random % KEYS);
        char text[16];
        sonde_str key = numbered(text, n);

        assert_ptr_equal(sonde_table_get(&t, key), model[n]);
        if (random >> 32 & 1) {
            assert_status(sonde_table_put(&t, key, &values[n]), SONDE_OK);
            count += model[n] == NULL;
            model[n] = &values[n];
        } else {
            assert_ptr_equal(sonde_table_remove(&t, key), model[n]);
            count -= model[n] != NULL;
            model[n] = NULL;
        }
        assert_int_equal(t.count, count);
    }
    assert_true(t.entries_cap <= 512); /* holes are reused: 60 000 steps did not make it grow */
    sonde_table_done(&t);
}

static void test_table_clear_keeps_memory_but_not_that_of_an_exceptional_round(void **state)
{
    sonde_table t;
    char key[16];
    unsigned n;

    (void)state;
    sonde_table_init(&t, 5000);
    for (n = 0; n < 4000; n++)
        assert_status(sonde_table_put(&t, numbered(key, n), &t), SONDE_OK);
    sonde_table_clear(&t);
    assert_int_equal(t.count, 0);
    assert_int_equal(t.entries_cap, 4096);
    assert_null(sonde_table_get(&t, SONDE_STR("key1")));
    assert_status(sonde_table_put(&t, SONDE_STR("key1"), &t), SONDE_OK);
    assert_ptr_equal(sonde_table_get(&t, SONDE_STR("key1")), &t);
    sonde_table_clear(&t); /* one key in a table for thousands */
    assert_int_equal(t.entries_cap, 0);
    sonde_table_done(&t);
}

static sonde_status fill_a_table(void *user)
{
    sonde_status status = SONDE_OK;
    sonde_table t;
    char key[16];
    unsigned n;

    (void)user;
    sonde_table_init(&t, 100);
    for (n = 0; n < 40 && status == SONDE_OK; n++) {
        size_t before = t.count;

        status = sonde_table_put(&t, numbered(key, n), &t);
        if (status != SONDE_OK) { /* as it was */
            assert_int_equal(t.count, before);
            assert_null(sonde_table_get(&t, numbered(key, n)));
            assert_true(n == 0 || sonde_table_get(&t, SONDE_STR("key0")) == &t);
        }
    }
    sonde_table_done(&t);
    return status;
}

static void test_table_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(fill_a_table, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_finds_what_was_put_and_replaces),
        cmocka_unit_test(test_table_refuses_a_new_key_at_its_ceiling_but_replaces_old_ones),
        cmocka_unit_test(test_table_walks_in_insertion_order_and_over_holes),
        cmocka_unit_test(test_table_allows_removing_during_a_walk),
        cmocka_unit_test(test_table_agrees_with_an_array_under_random_use),
        cmocka_unit_test(test_table_clear_keeps_memory_but_not_that_of_an_exceptional_round),
        cmocka_unit_test(test_table_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
