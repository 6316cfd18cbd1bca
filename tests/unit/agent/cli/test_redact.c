/* test_redact.c - what leaves the machine holds no secret, and stays readable. */
#include "agent/cli/redact.h"

#include <string.h>

#include "support/test.h"

static void test_secrets_are_cut_and_the_rest_stays(void **state)
{
    static const struct {
        const char *label, *text, *want;
    } cases[] = {
        { "plain", "service web, 42 spans\n", "service web, 42 spans\n" },
        { "a known key anywhere", "xsecret-of-mine/y", "x***/y" },
        { "the key of another endpoint", "key second-one, ok", "key ***, ok" },
        { "a short one is no secret", "the k is short", "the k is short" },
        { "named in YAML", "api_key: abc\nenv: x", "api_key: ***\nenv: x" },
        { "named in JSON", "{\"app_key\":\"abc\",\"n\":1}", "{\"app_key\":\"***\",\"n\":1}" },
        { "named in a query", "/x?token=abc&y=1", "/x?token=***&y=1" },
        { "named in capitals", "DD_API_KEY=abc rest", "DD_API_KEY=*** rest" },
        { "a header", "DD-Api-Key: abc", "DD-Api-Key: ***" },
        { "a name without value", "password:", "password:" },
        { "a word of it", "the password is long", "the password is long" },
        { "shaped like an API key", "id 0123456789abcdef0123456789abcdef.", "id ***." },
        { "shaped like an application key", "0123456789abcdef0123456789abcdef01234567", "***" },
        { "longer: a digest", "0123456789abcdef0123456789abcdef0123456789abcdef",
          "0123456789abcdef0123456789abcdef0123456789abcdef" },
        { "user and password of an address", "via http://me:pw@proxy:3128/ failed",
          "via http://***@proxy:3128/ failed" },
        { "an address without them", "http://host/a@b and x://", "http://host/a@b and x://" },
        { "part of a word", "x0123456789abcdef0123456789abcdef",
          "x0123456789abcdef0123456789abcdef" },
    };
    char *variables[] = {
        (char *)(uintptr_t) "DD_API_KEY=secret-of-mine",
        (char *)(uintptr_t) "DD_APM_ADDITIONAL_ENDPOINTS={\"http://x\":[\"second-one\",\"k\"]}",
        NULL
    };
    agent_config *c = NULL;

    (void)state;
    assert_status(config_load_text(
                      &(config_options){ .environment = variables, .os_hostname = "h", .cpus = 1 },
                      SONDE_STR(""), "t", &c, NULL),
                  SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf got;

        sonde_buf_init(&got, 4096);
        redact(c, sonde_str_from(cases[i].text), &got);
        if (strcmp(sonde_buf_cstr(&got), cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].label, sonde_buf_cstr(&got));
        sonde_buf_done(&got);
    }
    config_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_secrets_are_cut_and_the_rest_stays) };

    return cmocka_run_group_tests_name("agent/cli/redact", tests, NULL, NULL);
}
