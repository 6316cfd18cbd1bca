/* test_http_url.c - URLs as tags, secrets in them, endpoints and statuses, against docs/spec/http-spans.md.  What the
 * expression of secrets gives was found with another regex engine. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regex.h"
#include "libtrace/src/http_url.h"
#include "libtrace/src/query_secrets.h"
#include "libtrace/src/statuses.h"
#include "support/alloc_fail.h"

static void assert_text(const char *label, const char *got, size_t len, const char *want)
{
    if (len != strlen(want) || (len > 0 && memcmp(got, want, len) != 0))
        fail_msg("%s: %.*s, want %s", label, (int)len, got, want);
}

static void test_urls_are_written_without_users(void **state)
{
    static const struct {
        const char *in;
        sonde__query_mode query;
        const char *want;
    } cases[] = {
        { "http://h/p", SONDE__QUERY_REDACTED, "http://h/p" },
        { "https://u:p@h:8/p?a=b#f", SONDE__QUERY_REDACTED, "https://h:8/p?a=b#f" },
        { "http://u@v@h?x", SONDE__QUERY_REDACTED, "http://h?x" },
        { "http://h/p@q?u:p@x", SONDE__QUERY_REDACTED, "http://h/p@q?u:p@x" },
        { "/p?a=b", SONDE__QUERY_REDACTED, "/p?a=b" },
        { "/p?a=http://u:p@h", SONDE__QUERY_REDACTED, "/p?a=http://u:p@h" },
        { "/p?token=1&a=b", SONDE__QUERY_REDACTED, "/p?<redacted>&a=b" },
        { "/p?token=1&a=b", SONDE__QUERY_AS_IT_IS, "/p?token=1&a=b" },
        { "/p?token=1#f", SONDE__QUERY_LEFT_OUT, "/p#f" },
        { "/p?", SONDE__QUERY_REDACTED, "/p" },
        { "h:443", SONDE__QUERY_REDACTED, "h:443" },
        { "*", SONDE__QUERY_REDACTED, "*" },
        { "", SONDE__QUERY_REDACTED, "" },
    };
    char got[SONDE__HTTP_URL_MAX_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__http_url url;

        sonde__http_url_split(sonde_str_from(cases[i].in), &url);
        assert_text(cases[i].in, got,
                    sonde__http_url_write(&url, (sonde__query_rule){ cases[i].query, NULL }, got),
                    cases[i].want);
    }
}

static const sonde__query_rule redacted = { SONDE__QUERY_REDACTED, NULL };

static void test_long_urls_are_cut_and_long_queries_replaced(void **state)
{
    static char text[20000] = "http://h/";
    char got[SONDE__HTTP_URL_MAX_BYTES];
    sonde__http_url url;

    (void)state;
    memset(text + 9, 'a', 8000);
    sonde__http_url_split(sonde_str_from(text), &url);
    assert_int_equal(sonde__http_url_write(&url, redacted, got), sizeof(got));
    memset(text, 'a', sizeof(text));
    memcpy(text, "/?", 2);
    sonde__http_url_split((sonde_str){ text, 2 + SONDE__HTTP_QUERY_MAX_BYTES + 1 }, &url);
    assert_text("long", got, sonde__http_url_write(&url, redacted, got), "/?<redacted>");
    sonde__http_url_split((sonde_str){ text, 2 + SONDE__HTTP_QUERY_MAX_BYTES }, &url);
    assert_int_equal(sonde__http_url_write(&url, redacted, got), sizeof(got));
}

static void test_hosts_and_ports(void **state)
{
    static const struct {
        const char *in, *host;
        uint32_t port;
    } cases[] = {
        { "http://h/", "h", 80 },           { "https://h", "h", 443 },
        { "HTTPS://h", "h", 443 },          { "http://h:8126/x", "h", 8126 },
        { "http://[::1]:9/x", "[::1]", 9 }, { "http://[::1]/x", "[::1]", 80 },
        { "http://h:x/", "h", 80 },         { "ftp://h", "h", 0 },
        { "http://u:p@h:7", "h", 7 },       { "/x", "", 80 },
        { "http://h:70000", "h", 80 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__http_url url;
        uint32_t port;
        sonde_str host;

        sonde__http_url_split(sonde_str_from(cases[i].in), &url);
        host = sonde__http_host(&url, &port);
        assert_text(cases[i].in, host.ptr, host.len, cases[i].host);
        if (port != cases[i].port)
            fail_msg("%s: port %u", cases[i].in, port);
    }
}

#define KEY100                                                                                     \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                           \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NUMBERS "0123456789abcdefghijABCDEFGHIJ012345"

static void test_secrets_are_taken_out(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "a=1&password=hunter2&b=2", "a=1&<redacted>&b=2" },
        { "application_key=123&x=y", "<redacted>&x=y" },
        { "json=%7B%20%22sign%22%3A%20%22abc%22%7D", "json=%7B%20<redacted>%7D" },
        { "auth=Bearer%20abc.def&z=1", "<redacted>&z=1" },
        { "x=token:abcdefghijklm", "x=<redacted>" },
        { "k=eyJhbGciOi.eyJzdWIi.sig_x-1&ok=1", "k=<redacted>&ok=1" },
        { "mypass=1", "my<redacted>" },
        { "tokenizer=1", "tokenizer=1" },
        { "authorize=1", "authorize=1" },
        { "signin=1", "signin=1" },
        { "key=1", "key=1" },
        /* keys */
        { "PWD=1", "<redacted>" },
        { "pword=1", "<redacted>" },
        { "passwd2=1", "<redacted>" },
        { "old-password1=1&", "<redacted>&" },
        { "newpwd=1", "<redacted>" },
        { "new_pwd=1", "<redacted>" },
        { "new__pwd=1", "new__<redacted>" },
        { "passphrase=1", "<redacted>" },
        { "pass-phrase=1", "<redacted>" },
        { "secret=1", "<redacted>" },
        { "secret_key_id=1", "<redacted>" },
        { "apikey=1", "<redacted>" },
        { "api-key=1", "<redacted>" },
        { "appkeyid=1", "<redacted>" },
        { "private_key=1", "<redacted>" },
        { "publickey=1", "<redacted>" },
        { "access_key=1", "<redacted>" },
        { "token=1", "<redacted>" },
        { "consumer_id=1", "<redacted>" },
        { "consumersecret=1", "<redacted>" },
        { "signed=1", "<redacted>" },
        { "signature=1", "<redacted>" },
        { "authentication=1", "<redacted>" },
        { "authorization=1", "<redacted>" },
        { "auth=", "auth=" },
        { "auth=&x", "auth=&x" },
        { "auth%20%20%3Dx", "<redacted>" },
        { "auth =x&y", "<redacted>&y" },
        { "auth%3D", "auth%3D" },
        /* JSON */
        { "{\"pass\":\"x\"}", "{<redacted>}" },
        { "{\"pass\" : \"x\"}", "{<redacted>}" },
        { "{pass\": \"x\"}", "{<redacted>}" },
        { "{\"pass\":\"\"}", "{\"pass\":\"\"}" },
        { "{\"pass\":\"x", "{\"pass\":\"x" },
        { "%22pass%22%3A%22x%25y%22z", "<redacted>z" },
        { "%22pass%22%3A%22x%2", "%22pass%22%3A%22x%2" },
        /* without keys */
        { "a=bearer%20x.y-z_1!", "a=<redacted>!" },
        { "bearer x&y", "<redacted>&y" },
        { "bearer%20", "bearer%20" },
        { "token%3Aabcdefghijklmn", "<redacted>n" },
        { "token:abcdefghijkl", "token:abcdefghijkl" },
        { "ghp_" NUMBERS "!", "<redacted>!" },
        { "GHO_" NUMBERS, "<redacted>" },
        { "ghx_" NUMBERS, "ghx_" NUMBERS },
        { "ghp_1", "ghp_1" },
        { "eyJa.eyLb", "<redacted>" },
        { "eyJa.eyLb.", "<redacted>." },
        { "eyJa%3D.eyKb%3D.c%2F%2B+/.d%3D", "<redacted>" },
        { "eyHa.eyLb", "eyHa.eyLb" },
        { "eyJeyJa.eyMb", "eyJeyJa.eyMb" },
        { "eyJx.eyJa.eyLb", "<redacted>" },
        { "eyJx.yJa.eyLb", "eyJx.yJa.eyLb" },
        { "-----BEGIN%20RSA%20PRIVATE%20KEY-----abc-----END%20RSA%20PRIVATE%20KEY-----%0Ax",
          "<redacted>x" },
        { "-----BEGIN RSA PRIVATE KEY-----abc-----END RSA PRIVATE KEYx", "<redacted>x" },
        { "-----BEGINPRIVATE KEY-----abc-----END RSA PRIVATE KEY-----",
          "-----BEGINPRIVATE KEY-----abc-----END RSA PRIVATE KEY-----" },
        { "-----BEGIN PUBLIC KEY-----abc-----END PUBLIC KEY-----",
          "-----BEGIN PUBLIC KEY-----abc-----END PUBLIC KEY-----" },
        { "ssh-rsa " KEY100 "== me@h", "<redacted>@h" },
        { "ssh-dss%20" KEY100, "<redacted>" },
        { "ecdsa-sha2-nistp256%09" KEY100 "%3D%20me&x", "<redacted>&x" },
        { "ssh-rsa" KEY100, "ssh-rsa" KEY100 },
        { "ssh-rsa aaaa", "ssh-rsa aaaa" },
        { "", "" },
    };
    char got[400];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_text(cases[i].in, got,
                    sonde__query_redact(sonde_str_from(cases[i].in), got, sizeof(got)),
                    cases[i].want);
    assert_text("room", got, sonde__query_redact(SONDE_STR("a=1&pwd=2"), got, 8), "a=1&<red");
}

static void test_an_expression_of_ones_own_takes_out_what_it_finds(void **state)
{
    static const struct {
        const char *pattern, *in, *want;
    } cases[] = {
        { "pin=[0-9]+", "a=1&PIN=12&b=pin=3", "a=1&<redacted>&b=<redacted>" },
        { "x*", "axxb", "a<redacted>b" },
        { "x*", "", "" },
        { "^a|b$", "aab", "<redacted>a<redacted>" },
        { "token", "password=1", "password=1" },
    };
    char got[200];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__query_pattern *p = NULL;

        assert_status(sonde__query_pattern_new(sonde_str_from(cases[i].pattern), &p, NULL),
                      SONDE_OK);
        assert_text(cases[i].in, got,
                    sonde__query_pattern_redact(p, sonde_str_from(cases[i].in), got, sizeof(got)),
                    cases[i].want);
        sonde__query_pattern_free(p);
    }
}

/* More threads than searches at a time: each gets the right answer, or nothing of the query. */
static sonde__query_pattern *shared;
static _Atomic int wrong;

static void *search_much(void *unused)
{
    char got[100];
    int i;

    for (i = 0; i < 300; i++) {
        size_t len = sonde__query_pattern_redact(shared, SONDE_STR("a=1&pin=2"), got, sizeof(got));
        sonde_str text = { got, len };

        if (!sonde_str_eq(text, SONDE_STR("a=1&<redacted>")) &&
            !sonde_str_eq(text, SONDE_STR("<redacted>")))
            atomic_fetch_add(&wrong, 1);
    }
    return unused;
}

static void test_many_threads_share_an_expression(void **state)
{
    pthread_t threads[2 * SONDE__QUERY_PATTERNS];
    size_t i;

    (void)state;
    assert_status(sonde__query_pattern_new(SONDE_STR("pin=."), &shared, NULL), SONDE_OK);
    for (i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_much, NULL), 0);
    for (i = 0; i < COUNT_OF(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    sonde__query_pattern_free(shared);
}

static sonde_status make_and_free(void *user)
{
    sonde__query_pattern *p = NULL;
    sonde_status status = sonde__query_pattern_new(sonde_str_from((const char *)user), &p, NULL);

    sonde__query_pattern_free(p);
    return status;
}

static void test_expressions_that_cannot_be_had_are_refused(void **state)
{
    static char text[SONDE_REGEX_PATTERN_MAX];
    sonde__query_pattern *p = NULL;
    sonde_error error = { .status = SONDE_OK };

    (void)state;
    assert_status(sonde__query_pattern_new(SONDE_STR("a("), &p, &error), SONDE_ERR_SYNTAX);
    memset(text, 'a', sizeof(text));
    assert_status(sonde__query_pattern_new((sonde_str){ text, sizeof(text) - 3 }, &p, &error),
                  SONDE_ERR_TOO_BIG);
    assert_null(p);
    alloc_fail_each(make_and_free, (void *)(uintptr_t) "(a|b)+c");
}

static void test_paths_become_endpoints(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "/users/1234/files/ab12cd34", "/users/{param:int}/files/{param:hex}" },
        { "/users/42/orders/7", "/users/{param:int}/orders/7" },
        { "/f/3fa85f64-5717-4562-b3fc-2c963f66afa6", "/f/{param:hex_id}" },
        { "/", "/" },
        { "", "/" },
        { "///a//b/", "/a/b" },
        { "/0123/10", "/{param:int_id}/{param:int}" },
        { "/01/0", "/01/0" },
        { "/1.2/1-2/v1", "/{param:int_id}/{param:int_id}/v1" },
        { "/---/abcdef/abcde1", "/---/abcdef/{param:hex}" },
        { "/abcde/abc-e1", "/abcde/{param:hex_id}" },
        { "/aaaaaaaaaaaaaaaaaaag/aaaaaaaaaaaaaaaaaag", "/{param:str}/aaaaaaaaaaaaaaaaaag" },
        { "/a%20b/a=b/a@b/(x)", "/{param:str}/{param:str}/{param:str}/{param:str}" },
        { "/1/2/3/4/5/6/7/8/9", "/1/2/3/4/5/6/7/8" },
        { "/caf\xc3\xa9", "/caf\xc3\xa9" },
    };
    char got[SONDE__ENDPOINT_MAX_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_text(cases[i].in, got, sonde__http_endpoint(sonde_str_from(cases[i].in), got),
                    cases[i].want);
}

static void test_lists_of_statuses(void **state)
{
    static const struct {
        const char *list;
        bool valid;
        uint32_t has, has_not;
    } cases[] = {
        { "500-599", true, 500, 499 },
        { "500-599", true, 599, 600 },
        { "418", true, 418, 417 },
        { "500-503, 418 ,0", true, 0, 504 },
        { " 400 - 404 ", true, 404, 405 },
        { "", false, 0, 0 },
        { ",", false, 0, 0 },
        { "500,", false, 0, 0 },
        { "500,,418", false, 0, 0 },
        { "500-", false, 0, 0 },
        { "-500", false, 0, 0 },
        { "599-500", false, 0, 0 },
        { "+500", false, 0, 0 },
        { "5xx", false, 0, 0 },
        { "1000", false, 0, 0 },
        { "400-404-410", false, 0, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str list = sonde_str_from(cases[i].list);

        if (sonde__statuses_valid(list) != cases[i].valid)
            fail_msg("%s: valid is not %d", cases[i].list, cases[i].valid);
        if (cases[i].valid && (!sonde__statuses_have(list, cases[i].has) ||
                               sonde__statuses_have(list, cases[i].has_not)))
            fail_msg("%s: %u, %u", cases[i].list, cases[i].has, cases[i].has_not);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_are_written_without_users),
        cmocka_unit_test(test_long_urls_are_cut_and_long_queries_replaced),
        cmocka_unit_test(test_hosts_and_ports),
        cmocka_unit_test(test_secrets_are_taken_out),
        cmocka_unit_test(test_an_expression_of_ones_own_takes_out_what_it_finds),
        cmocka_unit_test(test_many_threads_share_an_expression),
        cmocka_unit_test(test_expressions_that_cannot_be_had_are_refused),
        cmocka_unit_test(test_paths_become_endpoints),
        cmocka_unit_test(test_lists_of_statuses),
    };

    return cmocka_run_group_tests_name("http_url", tests, NULL, NULL);
}
