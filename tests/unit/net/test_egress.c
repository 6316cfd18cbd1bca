/* Which address goes through which proxy. */
#include "support/test.h"

#include <string.h>

#include "net/egress.h"

static const struct {
    const char *no_proxy;
    bool nonexact;
    const char *url;
    const char *want; /* h, s or none */
} cases[] = {
    /* by scheme */
    { "", false, "http://a.example", "h" },
    { "", false, "https://a.example/x?y=http://z", "s" },
    { "", false, "HTTPS://a.example", "s" },
    { "", false, "unix:///x", "" },
    { "", false, "http://user@a.example", "" },
    /* loopback */
    { "", false, "http://127.0.0.1:8127/x", "" },
    { "", false, "http://127.9.9.9", "" },
    { "", false, "http://localhost:1", "" },
    { "", false, "http://LocalHost:1", "" },
    { "", false, "http://[::1]:1/x", "" },
    { "", false, "http://128.0.0.1", "h" },
    { "", false, "http://localhost.example", "h" },
    /* exactly */
    { "a.example", false, "http://a.example", "" },
    { "a.example", false, "https://a.example/path", "" },
    { "A.Example", false, "http://a.example", "" },
    { "a.example", false, "https://a.example.", "" },
    { "a.example", false, "http://b.a.example", "h" },
    { "a.example", false, "http://a.example:81", "h" },
    { "a.example:81", false, "http://a.example:81", "" },
    { "a.example:80", false, "http://a.example", "" },
    { "a.example:81", false, "http://a.example", "h" },
    { "x,a.example", false, "http://a.example", "" },
    { "x, a.example ,y", false, "http://a.example", "" },
    { "x a.example", false, "http://a.example", "" },
    { "*", false, "http://a.example", "h" },
    { "10.0.0.0/8", false, "http://10.1.1.1", "h" },
    { "10.1.1.1", false, "http://10.1.1.1", "" },
    { "[fd00::1]:80", false, "http://[fd00::1]", "" },
    { "fd00::1", false, "http://[fd00::1]", "" },
    /* with what is below */
    { "*", true, "http://a.example", "" },
    { "a.example", true, "http://a.example", "" },
    { "a.example", true, "http://b.a.example", "" },
    { "a.example", true, "http://a.example:81", "" },
    { "a.example", true, "http://ba.example", "h" },
    { "a.example:81", true, "http://b.a.example:81", "" },
    { "a.example:81", true, "http://b.a.example:82", "h" },
    { ".a.example", true, "http://a.example", "h" },
    { ".a.example", true, "http://b.a.example", "" },
    { "*.a.example", true, "http://b.a.example", "" },
    { "*.a.example", true, "http://a.example", "h" },
    { ".", true, "http://a.example", "h" },
    { "10.0.0.0/8", true, "http://10.1.1.1", "" },
    { "10.0.0.0/8", true, "http://11.1.1.1", "h" },
    { "10.64.0.0/10", true, "http://10.127.1.1", "" },
    { "10.64.0.0/10", true, "http://10.128.1.1", "h" },
    { "0.0.0.0/0", true, "http://10.128.1.1", "" },
    { "10.0.0.0/33", true, "http://10.0.0.0", "h" },
    { "10.0.0.0/", true, "http://10.0.0.0", "h" },
    { "10.0.0.0/8", true, "http://a.example", "h" },
    { "fd00::/8", true, "http://[fdff::1]:80", "" },
    { "fd00::/8", true, "http://10.1.1.1", "h" },
    { "10.1.1.1", true, "http://10.1.1.1", "" },
};

static void test_an_address_goes_through_the_proxy_its_scheme_and_host_say(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const sonde_egress e = { .proxy_http = SONDE_STR("h"),
                                 .proxy_https = SONDE_STR("s"),
                                 .no_proxy = sonde_str_from(cases[i].no_proxy),
                                 .no_proxy_nonexact = cases[i].nonexact };
        sonde_str got = sonde_egress_proxy(&e, cases[i].url);

        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s, no_proxy \"%s\"%s: \"%.*s\"", cases[i].url, cases[i].no_proxy,
                     cases[i].nonexact ? " nonexact" : "", SONDE_STR_ARG(got));
    }
}

static void test_without_proxies_nothing_has_one(void **state)
{
    const sonde_egress e = { .no_proxy_nonexact = true };

    (void)state;
    assert_int_equal(sonde_egress_proxy(&e, "https://a.example").len, 0);
    assert_non_null(sonde_egress_proxy(&e, "").ptr); /* a text in any case */
}

static void test_versions_of_tls_are_known_by_datadogs_names(void **state)
{
    sonde_tls_version v = SONDE_TLS_DEFAULT;

    (void)state;
    assert_status(sonde_tls_version_parse(SONDE_STR("TLSv1.3"), &v), SONDE_OK);
    assert_int_equal(v, SONDE_TLS_1_3);
    assert_status(sonde_tls_version_parse(SONDE_STR("tlsv1.0"), &v), SONDE_OK);
    assert_int_equal(v, SONDE_TLS_1_0);
    assert_status(sonde_tls_version_parse(SONDE_STR("1.2"), &v), SONDE_ERR_SYNTAX);
    assert_status(sonde_tls_version_parse(SONDE_STR(""), &v), SONDE_ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_goes_through_the_proxy_its_scheme_and_host_say),
        cmocka_unit_test(test_without_proxies_nothing_has_one),
        cmocka_unit_test(test_versions_of_tls_are_known_by_datadogs_names),
    };

    return cmocka_run_group_tests_name("egress", tests, NULL, NULL);
}
