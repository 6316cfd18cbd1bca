/* test_status.c - sonde/status.h: the numbers are ABI. */
#include "support/test.h"

#include <string.h>

static void test_status_numbers_never_change(void **state)
{
    static const struct {
        sonde_status status;
        int number;
        const char *name;
    } cases[] = {
        { SONDE_OK, 0, "SONDE_OK" },
        { SONDE_ERR_INVALID, 1, "SONDE_ERR_INVALID" },
        { SONDE_ERR_CONFIG, 2, "SONDE_ERR_CONFIG" },
        { SONDE_ERR_STATE, 3, "SONDE_ERR_STATE" },
        { SONDE_ERR_NOT_FOUND, 4, "SONDE_ERR_NOT_FOUND" },
        { SONDE_ERR_NOMEM, 20, "SONDE_ERR_NOMEM" },
        { SONDE_ERR_SYS, 21, "SONDE_ERR_SYS" },
        { SONDE_ERR_TIMEOUT, 22, "SONDE_ERR_TIMEOUT" },
        { SONDE_ERR_REFUSED, 40, "SONDE_ERR_REFUSED" },
        { SONDE_ERR_TOO_BIG, 41, "SONDE_ERR_TOO_BIG" },
        { SONDE_ERR_SYNTAX, 42, "SONDE_ERR_SYNTAX" },
        { SONDE_ERR_EOF, 43, "SONDE_ERR_EOF" },
        { SONDE_ERR_CONNECT, 44, "SONDE_ERR_CONNECT" },
        { SONDE_ERR_FULL, 60, "SONDE_ERR_FULL" },
        { SONDE_ERR_CLOSED, 61, "SONDE_ERR_CLOSED" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(cases[i].status, cases[i].number);
        assert_string_equal(sonde_status_name(cases[i].status), cases[i].name);
        assert_true(strlen(sonde_status_str(cases[i].status)) > 0);
        assert_string_not_equal(sonde_status_str(cases[i].status), "unknown status");
    }
}

static void test_status_of_an_unknown_number_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(sonde_status_str((sonde_status)19), "unknown status");
    assert_string_equal(sonde_status_name((sonde_status)19), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_numbers_never_change),
        cmocka_unit_test(test_status_of_an_unknown_number_has_a_text),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
