/* test_error.c - base/error.h */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void test_fail_fills_the_detail_and_returns_the_status(void **state)
{
    sonde_error e = { .sys_errno = 77 };

    (void)state;
    assert_status(
        sonde_fail(&e, SONDE_ERR_CONFIG, "%s=\"%s\": above 1.0", "DD_TRACE_SAMPLE_RATE", "1.7"),
        SONDE_ERR_CONFIG);
    assert_status(e.status, SONDE_ERR_CONFIG);
    assert_int_equal(e.sys_errno, 0);
    assert_string_equal(e.message, "DD_TRACE_SAMPLE_RATE=\"1.7\": above 1.0");
}

static void test_fail_sys_keeps_errno_and_says_what_it_means(void **state)
{
    sonde_error e;

    (void)state;
    assert_status(sonde_fail_sys(&e, ENOENT, "open %s", "/x"), SONDE_ERR_SYS);
    assert_int_equal(e.sys_errno, ENOENT);
    assert_string_equal(e.message, "open /x: No such file or directory");
}

static void test_fail_without_detail_still_returns_the_status(void **state)
{
    (void)state;
    assert_status(sonde_fail(NULL, SONDE_ERR_FULL, "x"), SONDE_ERR_FULL);
    assert_status(sonde_fail_sys(NULL, EIO, "x"), SONDE_ERR_SYS);
}

static void test_fail_cuts_a_long_message(void **state)
{
    char text[1000];
    sonde_error e;

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)sonde_fail(&e, SONDE_ERR_INVALID, "%s", text);
    assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
    (void)sonde_fail_sys(&e, EIO, "%s", text);
    assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_fills_the_detail_and_returns_the_status),
        cmocka_unit_test(test_fail_sys_keeps_errno_and_says_what_it_means),
        cmocka_unit_test(test_fail_without_detail_still_returns_the_status),
        cmocka_unit_test(test_fail_cuts_a_long_message),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
