/* Code that was made while the program runs: found by address, replaced, taken once, bounded. */
#include "support/test.h"

#include <string.h>

#include "profiler/src/code.h"

static sonde_str name_at(uint64_t address)
{
    static char room[SONDE_PROF__CODE_NAME_MAX];

    return (sonde_str){ room, sonde_prof__code_name(address, room) };
}

static void count(void *user, uint64_t lo, uint64_t bytes, sonde_str name)
{
    uint64_t *n = user;

    assert_true(lo > 0 && bytes > 0 && name.len > 0);
    ++*n;
}

static uint64_t taken(bool again)
{
    uint64_t n = 0;

    sonde_prof__code_take(again, count, &n);
    return n;
}

static void a_piece_is_found_by_every_address_in_it(void **state)
{
    (void)state;
    assert_status(sonde_prof__code_add(0x2000, 0x10, SONDE_STR("second")), SONDE_OK);
    assert_status(sonde_prof__code_add(0x1000, 0x10, SONDE_STR("first")), SONDE_OK);
    assert_true(sonde_str_eq(name_at(0x1000), SONDE_STR("first")));
    assert_true(sonde_str_eq(name_at(0x100f), SONDE_STR("first")));
    assert_int_equal(name_at(0x1010).len, 0);
    assert_int_equal(name_at(0xfff).len, 0);
    assert_true(sonde_str_eq(name_at(0x2008), SONDE_STR("second")));
    assert_int_equal(taken(false), 2);
    assert_int_equal(taken(false), 0);
    assert_int_equal(taken(true), 2);
    assert_status(sonde_prof__code_add(0x1000, 0x20, SONDE_STR("anew")), SONDE_OK);
    assert_true(sonde_str_eq(name_at(0x1018), SONDE_STR("anew")));
    assert_int_equal(taken(false), 1);
    sonde_prof__code_remove(0x1000);
    sonde_prof__code_remove(0x1000);
    sonde_prof__code_remove(0x2000);
    assert_int_equal(name_at(0x1000).len, 0);
    assert_int_equal(taken(true), 0);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_status(sonde_prof__code_add(0x1000, 0, SONDE_STR("x")), SONDE_ERR_INVALID);
    assert_status(sonde_prof__code_add(UINT64_MAX, 2, SONDE_STR("x")), SONDE_ERR_INVALID);
    assert_status(sonde_prof__code_add(0x1000, 1, SONDE_STR("")), SONDE_ERR_INVALID);
}

static void more_than_fit_are_refused(void **state)
{
    uint64_t i;

    (void)state;
    for (i = 1; i <= SONDE_PROF__CODE_MAX; i++)
        assert_status(sonde_prof__code_add(i << 8, 1, SONDE_STR("x")), SONDE_OK);
    assert_status(sonde_prof__code_add(i << 8, 1, SONDE_STR("x")), SONDE_ERR_FULL);
    assert_status(sonde_prof__code_add(1 << 8, 2, SONDE_STR("y")), SONDE_OK); /* in place of one */
    for (i = 1; i <= SONDE_PROF__CODE_MAX; i++)
        sonde_prof__code_remove(i << 8);
    assert_int_equal(taken(true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_found_by_every_address_in_it),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(more_than_fit_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
