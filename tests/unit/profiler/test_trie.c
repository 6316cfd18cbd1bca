/* Stacks as numbers: shared prefixes, ceilings, copies. */
#include "support/test.h"

#include "profiler/src/trie.h"
#include "support/alloc_fail.h"

static void stacks_share_their_callers(void **state)
{
    sonde_prof__trie t;
    uint32_t main_, serve, parse, write_;

    (void)state;
    sonde_prof__trie_init(&t, 100);
    main_ = sonde_prof__trie_child(&t, 0, 2, 0x1000);
    serve = sonde_prof__trie_child(&t, main_, 2, 0x2000);
    parse = sonde_prof__trie_child(&t, serve, 2, 0x3000);
    write_ = sonde_prof__trie_child(&t, serve, 3, 0x3000);
    assert_int_equal(main_, 1);
    assert_int_equal(t.len, 4);
    assert_int_not_equal(parse, write_);
    assert_int_equal(sonde_prof__trie_child(&t, serve, 2, 0x3000), parse);
    assert_int_equal(sonde_prof__trie_child(&t, 0, 2, 0x1000), main_);
    assert_int_equal(t.len, 4);
    assert_int_equal(sonde_prof__trie_node(&t, parse)->parent, serve);
    assert_null(sonde_prof__trie_node(&t, 0));
    assert_null(sonde_prof__trie_node(&t, 5));
    sonde_prof__trie_done(&t);
}

static void beyond_the_ceiling_new_nodes_are_refused_and_old_ones_found(void **state)
{
    sonde_prof__trie t;
    uint32_t i;

    (void)state;
    sonde_prof__trie_init(&t, 3000);
    for (i = 0; i < 3000; i++)
        assert_int_equal(sonde_prof__trie_child(&t, i, 2, i), i + 1);
    assert_int_equal(sonde_prof__trie_child(&t, 3000, 2, 1), 0);
    assert_int_equal(t.full, 1);
    assert_int_equal(sonde_prof__trie_child(&t, 2999, 2, 2999), 3000);
    sonde_prof__trie_clear(&t);
    assert_int_equal(sonde_prof__trie_child(&t, 0, 2, 7), 1);
    assert_int_equal(t.full, 1);
    sonde_prof__trie_done(&t);
}

static void a_path_is_copied_with_all_its_callers(void **state)
{
    sonde_prof__trie from, to;
    uint32_t leaf, copy;

    (void)state;
    sonde_prof__trie_init(&from, 100);
    sonde_prof__trie_init(&to, 100);
    (void)sonde_prof__trie_child(&to, 0, 9, 9);
    leaf = sonde_prof__trie_child(&from, sonde_prof__trie_child(&from, 0, 2, 1), 3, 5);
    copy = sonde_prof__trie_copy(&to, &from, leaf);
    assert_int_equal(copy, 3);
    assert_int_equal(sonde_prof__trie_node(&to, copy)->vaddr, 5);
    assert_int_equal(sonde_prof__trie_node(&to, copy)->map, 3);
    assert_int_equal(sonde_prof__trie_node(&to, 2)->vaddr, 1);
    assert_int_equal(sonde_prof__trie_node(&to, 2)->parent, 0);
    assert_int_equal(sonde_prof__trie_copy(&to, &from, 77), 0);
    sonde_prof__trie_done(&from);
    sonde_prof__trie_done(&to);
}

static sonde_status fill(void *user)
{
    sonde_prof__trie t;
    uint32_t i;
    sonde_status status = SONDE_OK;

    (void)user;
    sonde_prof__trie_init(&t, 5000);
    for (i = 0; i < 3000 && status == SONDE_OK; i++)
        if (sonde_prof__trie_child(&t, 0, 2, i) == 0)
            status = SONDE_ERR_NOMEM;
    if (status == SONDE_OK)
        assert_int_equal(t.len, 3000);
    sonde_prof__trie_done(&t);
    return status;
}

static void no_memory_refuses_a_node_and_leaks_nothing(void **state)
{
    (void)state;
    alloc_fail_each(fill, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_share_their_callers),
        cmocka_unit_test(beyond_the_ceiling_new_nodes_are_refused_and_old_ones_found),
        cmocka_unit_test(a_path_is_copied_with_all_its_callers),
        cmocka_unit_test(no_memory_refuses_a_node_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
