/* test_findings.c - the doctor's findings as text and as JSON. */
#include "agent/cli/findings.h"

#include <string.h>

#include "support/test.h"

static void test_the_first_failure_is_named(void **state)
{
    static findings f;
    sonde_buf text;

    (void)state;
    f.len = 0;
    findings_add(&f, "resolve", FINDING_OK, NULL, "%s", "localhost");
    assert_false(findings_failed(&f));
    findings_add(&f, "connect", FINDING_FAILED, "start it", "port %d", 8126);
    findings_add(&f, "info", FINDING_SKIPPED, NULL, "no connection");
    assert_true(findings_failed(&f));
    sonde_buf_init(&text, 4096);
    findings_text(&f, false, &text);
    assert_string_equal(sonde_buf_cstr(&text), "ok       resolve        localhost\n"
                                               "failed   connect        port 8126\n"
                                               "                        fix: start it\n"
                                               "skipped  info           no connection\n"
                                               "\nconnect failed: port 8126\n");
    sonde_buf_reset(&text);
    findings_text(&f, true, &text);
    assert_non_null(strstr(sonde_buf_cstr(&text), "\033[31mfailed  \033[0m connect        port"));
    sonde_buf_reset(&text);
    findings_json(&f, &text);
    assert_string_equal(
        sonde_buf_cstr(&text),
        "{\"ok\":false,\"failed\":\"connect\",\"steps\":["
        "{\"step\":\"resolve\",\"state\":\"ok\",\"detail\":\"localhost\",\"fix\":\"\"},"
        "{\"step\":\"connect\",\"state\":\"failed\",\"detail\":\"port 8126\",\"fix\":\"start it\"},"
        "{\"step\":\"info\",\"state\":\"skipped\",\"detail\":\"no connection\",\"fix\":\"\"}]}\n");
    sonde_buf_done(&text);
}

static void test_more_findings_than_fit_are_left_out(void **state)
{
    static findings f;

    (void)state;
    f.len = 0;
    for (int i = 0; i < FINDINGS_MAX + 3; i++)
        findings_add(&f, "step", FINDING_OK, NULL, "%d", i);
    assert_int_equal(f.len, FINDINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_failure_is_named),
        cmocka_unit_test(test_more_findings_than_fit_are_left_out),
    };

    return cmocka_run_group_tests_name("agent/cli/findings", tests, NULL, NULL);
}
