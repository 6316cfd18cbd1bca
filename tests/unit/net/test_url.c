/* test_url.c - what is an address and what is not. */
#include <stdio.h>
#include <string.h>

#include "net/url.h"
#include "support/test.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_url_takes_addresses_apart(void **state)
{
    static const struct {
        const char *in;
        sonde_url_scheme scheme;
        uint16_t port;
        const char *host, *path;
    } cases[] = {
        { "http://localhost:8126", SONDE_URL_HTTP, 8126, "localhost", "" },
        { "http://localhost", SONDE_URL_HTTP, 80, "localhost", "" },
        { "https://trace.agent.datadoghq.com.", SONDE_URL_HTTPS, 443, "trace.agent.datadoghq.com.",
          "" },
        { "HTTP://Host_1/", SONDE_URL_HTTP, 80, "Host_1", "" },
        { "http://10.0.0.1:1/a/b///", SONDE_URL_HTTP, 1, "10.0.0.1", "/a/b" },
        { "http://[::1]:65535/x", SONDE_URL_HTTP, 65535, "::1", "/x" },
        { "http://[fe80::1]", SONDE_URL_HTTP, 80, "fe80::1", "" },
        { "unix:///var/run/datadog/apm.socket", SONDE_URL_UNIX, 0, "",
          "/var/run/datadog/apm.socket" },
        { "unix:///a b?c#d@e", SONDE_URL_UNIX, 0, "", "/a b?c#d@e" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_url url;
        sonde_status got = sonde_url_parse(sonde_str_from(cases[i].in), &url, NULL);

        if (got != SONDE_OK || url.scheme != (int32_t)cases[i].scheme ||
            url.port != cases[i].port || strcmp(url.host, cases[i].host) != 0 ||
            strcmp(url.path, cases[i].path) != 0)
            fail_msg("%s: %s, host %s, port %u, path %s", cases[i].in, sonde_status_name(got),
                     url.host, url.port, url.path);
    }
}

static void test_url_names_the_part_that_is_wrong(void **state)
{
    static const struct {
        const char *label, *in;
        sonde_status want;
        const char *named;
    } cases[] = {
        { "empty", "", SONDE_ERR_SYNTAX, "begin with" },
        { "no scheme", "localhost:8126", SONDE_ERR_SYNTAX, "begin with" },
        { "other scheme", "ftp://x", SONDE_ERR_SYNTAX, "begin with" },
        { "no host", "http://", SONDE_ERR_SYNTAX, "host" },
        { "no host but port", "http://:80", SONDE_ERR_SYNTAX, "host" },
        { "space in host", "http://a b", SONDE_ERR_SYNTAX, "host" },
        { "line feed in host", "http://a\nb", SONDE_ERR_SYNTAX, "host" },
        { "percent in host", "http://a%41", SONDE_ERR_SYNTAX, "host" },
        { "open bracket", "http://[::1", SONDE_ERR_SYNTAX, "]" },
        { "no v6 address", "http://[1:2]", SONDE_ERR_SYNTAX, "IPv6" },
        { "text behind bracket", "http://[::1]x", SONDE_ERR_SYNTAX, "between" },
        { "bare v6 address", "http://::1", SONDE_ERR_SYNTAX, "host" },
        { "port zero", "http://a:0", SONDE_ERR_SYNTAX, "port" },
        { "port too big", "http://a:65536", SONDE_ERR_SYNTAX, "port" },
        { "port empty", "http://a:", SONDE_ERR_SYNTAX, "port" },
        { "port with sign", "http://a:+1", SONDE_ERR_SYNTAX, "port" },
        { "user info", "http://u:secret@a", SONDE_ERR_SYNTAX, "user" },
        { "query", "http://a/?api_key=secret", SONDE_ERR_SYNTAX, "query" },
        { "fragment", "http://a/#secret", SONDE_ERR_SYNTAX, "fragment" },
        { "space in path", "http://a/b c", SONDE_ERR_SYNTAX, "path" },
        { "line feed in path", "http://a/b\r\nX: y", SONDE_ERR_SYNTAX, "path" },
        { "host of 256", "http://" A64 A64 A64 A64, SONDE_ERR_TOO_BIG, "host" },
        { "relative socket", "unix://run/x", SONDE_ERR_SYNTAX, "absolute" },
        { "no socket", "unix://", SONDE_ERR_SYNTAX, "absolute" },
        { "socket of 129", "unix:///" A64 A64, SONDE_ERR_TOO_BIG, "path" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_url url, canary;
        sonde_error error = { 0 };
        sonde_status got;

        memset(&url, 0xee, sizeof(url));
        canary = url;
        got = sonde_url_parse(sonde_str_from(cases[i].in), &url, &error);
        if (got != cases[i].want || !strstr(error.message, cases[i].named) ||
            strstr(error.message, "secret") || memcmp(&url, &canary, sizeof(url)) != 0)
            fail_msg("%s: %s, \"%s\"", cases[i].label, sonde_status_name(got), error.message);
    }
}

static void test_url_refuses_a_path_beyond_its_ceiling(void **state)
{
    char text[SONDE_URL_PATH_MAX + 16] = "http://a/";
    size_t len = strlen(text);
    sonde_url url;

    (void)state;
    memset(text + len, 'p', sizeof(text) - len);

    assert_status(sonde_url_parse((sonde_str){ text, 8 + SONDE_URL_PATH_MAX }, &url, NULL),
                  SONDE_OK);
    assert_int_equal(strlen(url.path), SONDE_URL_PATH_MAX);
    assert_status(sonde_url_parse((sonde_str){ text, 9 + SONDE_URL_PATH_MAX }, &url, NULL),
                  SONDE_ERR_TOO_BIG);
}

static void test_an_address_is_written_as_it_would_be_read(void **state)
{
    static const char *const texts[] = { "http://h:8126/a/b", "http://[::1]:8126",
                                         "http://10.0.0.1:80", "unix:///var/run/x.sock" };
    char out[SONDE_URL_TEXT_MAX];
    sonde_url url;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(sonde_url_parse(sonde_str_from(texts[i]), &url, NULL), SONDE_OK);
        sonde_url_write(&url, out, sizeof(out));
        assert_string_equal(out, texts[i]);
    }
}

static void test_a_host_and_a_port_are_an_address(void **state)
{
    static const struct {
        const char *host, *want;
    } rows[] = {
        { "agent", "http://agent:8126" },
        { "::1", "http://[::1]:8126" },
        { "[::1]", "http://[::1]:8126" },
        { "", "http://:8126" },
    };
    char out[300], host[400];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_url_write_http(sonde_str_from(rows[i].host), 8126, out, sizeof(out));
        assert_string_equal(out, rows[i].want);
    }
    memset(host, 'a', sizeof(host)); /* one byte more than a host may have is kept, to be refused */
    sonde_url_write_http((sonde_str){ host, sizeof(host) }, 8126, out, sizeof(out));
    assert_int_equal(strlen(out), strlen("http://") + SONDE_URL_HOST_MAX + 1 + strlen(":8126"));
}

static void test_a_user_is_found_wherever_one_stands(void **state)
{
    static const struct {
        const char *in, *without; /* NULL: nobody */
    } rows[] = {
        { "https://me:secret@host/path", "https://host/path" },
        { "ssh://git@host", "ssh://host" },
        { "https://me:p@ss@host/a@b", "https://host/a@b" },
        { "https://@host", "https://host" },
        { "https://host/me@there", NULL },
        { "https://host?to=me@there", NULL },
        { "https://host#me@there", NULL },
        { "me@host", NULL },
        { "", NULL },
    };
    size_t i, user, host;
    char out[64];

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *in = rows[i].in;
        bool found = sonde_url_find_user(sonde_str_from(in), &user, &host);

        assert_int_equal(found, rows[i].without != NULL);
        if (!found)
            continue;
        (void)snprintf(out, sizeof(out), "%.*s%s", (int)user, in, in + host);
        assert_string_equal(out, rows[i].without);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_takes_addresses_apart),
        cmocka_unit_test(test_url_names_the_part_that_is_wrong),
        cmocka_unit_test(test_url_refuses_a_path_beyond_its_ceiling),
        cmocka_unit_test(test_an_address_is_written_as_it_would_be_read),
        cmocka_unit_test(test_a_host_and_a_port_are_an_address),
        cmocka_unit_test(test_a_user_is_found_wherever_one_stands),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
