/* The catalogue of services: signatures, least recently seen first out. */
#include "support/test.h"

#include <stdio.h>

#include "agent/sampler/catalog.h"
#include "base/str.h"
#include "support/alloc_fail.h"

static sonde_str number(char buf[32], int n)
{
    (void)snprintf(buf, 32, "svc-%d", n);
    return sonde_str_from(buf);
}

static void test_signature_is_the_hash_of_service_and_env(void **state)
{
    (void)state;
    assert_int_equal(catalog_signature(SONDE_STR("web"), SONDE_STR("prod")), 2726573998u);
}

static void test_seeing_a_service_again_returns_the_same_entry(void **state)
{
    catalog c;

    (void)state;
    catalog_init(&c, 10);
    assert_int_equal(catalog_see(&c, SONDE_STR("web"), SONDE_STR("prod")), 2726573998u);
    assert_int_equal(catalog_see(&c, SONDE_STR("web"), SONDE_STR("prod")), 2726573998u);

    assert_int_equal(c.by_key.count, 1);
    assert_int_equal(c.newest->service_len, 3);
    assert_memory_equal(c.newest->key, "web,prod", 8);
    catalog_done(&c);
}

static void test_the_least_recently_seen_service_makes_room(void **state)
{
    catalog c;
    char buf[32];
    int i;

    (void)state;
    catalog_init(&c, 3);
    for (i = 0; i < 3; i++)
        (void)catalog_see(&c, number(buf, i), SONDE_STR(""));
    (void)catalog_see(&c, number(buf, 0), SONDE_STR("")); /* now 1 is the oldest */
    (void)catalog_see(&c, number(buf, 3), SONDE_STR(""));

    assert_int_equal(c.evicted, 1);
    assert_int_equal(c.by_key.count, 3);
    assert_memory_equal(c.oldest->key, "svc-2,", 6);
    assert_null(sonde_table_get(&c.by_key, SONDE_STR("svc-1,")));
    catalog_done(&c);
}

static void test_overlong_names_are_cut_not_overrun(void **state)
{
    char text[4000];
    catalog c;

    (void)state;
    memset(text, 'x', sizeof(text));
    catalog_init(&c, 3);
    (void)catalog_see(&c, (sonde_str){ text, sizeof(text) }, (sonde_str){ text, sizeof(text) });

    assert_true(c.newest->key_len <= 512);
    catalog_done(&c);
}

static void test_seeing_survives_every_failing_allocation(void **state)
{
    char buf[32];
    size_t n;
    int i;

    (void)state;
    alloc_fail_begin();
    for (n = 1; n < 40; n++) {
        catalog c;

        catalog_init(&c, 4);
        alloc_fail_at(n);
        for (i = 0; i < 8; i++)
            assert_int_equal(catalog_see(&c, number(buf, i), SONDE_STR("e")),
                             catalog_signature(number(buf, i), SONDE_STR("e")));
        alloc_fail_at(0);
        catalog_done(&c);
        assert_int_equal(alloc_fail_live_blocks(), 0);
    }
    alloc_fail_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_is_the_hash_of_service_and_env),
        cmocka_unit_test(test_seeing_a_service_again_returns_the_same_entry),
        cmocka_unit_test(test_the_least_recently_seen_service_makes_room),
        cmocka_unit_test(test_overlong_names_are_cut_not_overrun),
        cmocka_unit_test(test_seeing_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
