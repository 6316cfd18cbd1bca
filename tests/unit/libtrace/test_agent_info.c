/* test_agent_info.c - what is read from /info, and what becomes of answers that are odd. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "libtrace/src/agent_info.h"
#include "support/alloc_fail.h"

static const char stock[] =
    "{\"version\": \"7.80.2\", \"git_commit\": \"abc1234\",\n"
    "\"endpoints\": [\"/v0.4/traces\", \"/v0.5/traces\", \"/v0.6/stats\"],\n"
    "\"client_drop_p0s\": true, \"span_meta_structs\": true, \"span_events\": true,\n"
    "\"config\": {\"peer_tags\": [\"not this one\"], \"statsd_port\": 8225, \"obfuscation\": "
    "{\"http\": {\"a\": [1, "
    "{}]}}},\n"
    "\"peer_tags\": [\"_dd.base_service\", \"db.name\"], \"obfuscation_version\": 1,\n"
    "\"span_kinds_stats_computed\": [\"server\"],\n"
    "\"filter_tags\": {\"require\": [\"a\", \"b:c\"], \"reject\": [\"d\"]},\n"
    "\"filter_tags_regex\": {\"require\": [\"e:^f\"], \"reject\": []},\n"
    "\"ignore_resources\": [\"GET /healthz\"], \"org_prop_marker\": \"AaBbCcDdEeA\"}";

static void assert_list(const sonde__texts *list, const char *want)
{
    char got[4096] = "";
    size_t len = 0;
    uint32_t i;

    for (i = 0; i < list->len; i++)
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%.*s", i ? " | " : "",
                                SONDE_STR_ARG(list->item[i]));
    assert_string_equal(got, want);
}

static void test_a_stock_agents_answer_is_read(void **state)
{
    sonde__agent_info info;

    (void)state;
    assert_status(sonde__agent_info_parse(sonde_str_from(stock), &info), SONDE_OK);
    assert_true(sonde_str_eq(info.version, SONDE_STR("7.80.2")));
    assert_list(&info.endpoints, "/v0.4/traces | /v0.5/traces | /v0.6/stats");
    assert_true(sonde__agent_serves(&info, SONDE_STR("/v0.5/traces")));
    assert_false(sonde__agent_serves(&info, SONDE_STR("/v0.5")));
    assert_true(info.client_drop_p0s && info.span_meta_structs && info.span_events);
    assert_int_equal(info.obfuscation_version, 1);
    assert_int_equal(info.statsd_port, 8225);
    assert_true(sonde_str_eq(info.org_marker, SONDE_STR("AaBbCcDdEeA")));
    assert_list(&info.peer_tags, "_dd.base_service | db.name");
    assert_list(&info.span_kinds, "server");
    assert_list(&info.require, "a | b:c");
    assert_list(&info.reject, "d");
    assert_list(&info.require_regex, "e:^f");
    assert_list(&info.reject_regex, "");
    assert_list(&info.ignore_resources, "GET /healthz");
    assert_false(info.cut);
    sonde__agent_info_done(&info);
}

static void test_what_only_our_agent_says_is_read(void **state)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        { "{\"sonde\":{\"crash_socket\":\"/run/crash.socket\",\"x\":[{}]}}", "/run/crash.socket" },
        { "{\"sonde\":{}}", "" },
        { "{\"sonde\":\"crash_socket\"}", "" },
        { "{\"sonde\":{\"crash_socket\":7}}", "" },
        { "{\"crash_socket\":\"/not/this\"}", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__agent_info info;

        assert_status(sonde__agent_info_parse(sonde_str_from(cases[i].json), &info), SONDE_OK);
        if (!sonde_str_eq(info.crash_socket, sonde_str_from(cases[i].want)))
            fail_msg("%s: %.*s", cases[i].json, SONDE_STR_ARG(info.crash_socket));
        sonde__agent_info_done(&info);
    }
}

static void test_absent_and_odd_fields_count_as_absent(void **state)
{
    static const struct {
        const char *label, *json, *kinds, *peers;
    } cases[] = {
        { "empty", "{}", "server | client | producer | consumer", "" },
        { "null", "{\"span_kinds_stats_computed\":null,\"peer_tags\":null}", "", "" },
        { "other types", "{\"span_kinds_stats_computed\":{\"a\":[1]},\"peer_tags\":\"x\"}",
          "server | client | producer | consumer", "" },
        { "mixed list", "{\"peer_tags\":[1,\"a\",[\"b\"],null,\"c\"]}",
          "server | client | producer | consumer", "a | c" },
        { "flags and numbers", "{\"client_drop_p0s\":1,\"obfuscation_version\":-1,\"version\":7}",
          "server | client | producer | consumer", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__agent_info info;

        if (sonde__agent_info_parse(sonde_str_from(cases[i].json), &info) != SONDE_OK)
            fail_msg("%s", cases[i].label);
        assert_list(&info.span_kinds, cases[i].kinds);
        assert_list(&info.peer_tags, cases[i].peers);
        assert_true(!info.client_drop_p0s && info.obfuscation_version == 0);
        assert_int_equal(info.version.len, 0);
        sonde__agent_info_done(&info);
    }
}

static void test_old_and_unknown_agents_are_not_trusted_with_statistics(void **state)
{
    static const struct {
        const char *version;
        bool well;
    } cases[] = {
        { "7.80.2", true },     { "7.65.0", true }, { "7.64.3", false }, { "6.53.0", false },
        { "8.0.0-rc.1", true }, { "0.1.0", true },  { "test", false },   { "7", false },
        { "v7.80.0", false },   { "7.x", false },   { "", true },        { "7.65", true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const sonde__agent_info info = { .version = sonde_str_from(cases[i].version) };

        if (sonde__agent_counts_well(&info) != cases[i].well)
            fail_msg("%s", cases[i].version);
    }
}

static void test_a_long_list_is_cut_and_says_so(void **state)
{
    char json[4096] = "{\"reject\":[],\"filter_tags\":{\"reject\":[\"0\"";
    size_t len = strlen(json);
    sonde__agent_info info;
    int i;

    (void)state;
    for (i = 1; i <= SONDE__AGENT_LIST_MAX; i++)
        len += (size_t)snprintf(json + len, sizeof(json) - len, ",\"%d\"", i);
    (void)snprintf(json + len, sizeof(json) - len, "]}}");
    assert_status(sonde__agent_info_parse(sonde_str_from(json), &info), SONDE_OK);
    assert_int_equal(info.reject.len, SONDE__AGENT_LIST_MAX);
    assert_true(info.cut);
    sonde__agent_info_done(&info);
}

static void test_what_does_not_parse_keeps_what_is_known(void **state)
{
    static const char *const bad[] = {
        "", "OK", "[]", "{\"endpoints\":[\"/v0.4", "{} x", "{\"a\":}"
    };
    static char texts[2 * SONDE__AGENT_INFO_MAX_BYTES];
    size_t i;

    (void)state;
    assert_false(sonde__agent_take(0, SONDE_STR("")));
    assert_false(sonde__agent_take(200, SONDE_STR("nonsense")));
    assert_true(sonde__agent_take(200, sonde_str_from(stock)));
    for (i = 0; i < COUNT_OF(bad); i++)
        assert_true(sonde__agent_take(200, sonde_str_from(bad[i])));
    memset(texts, 'x', sizeof(texts) - 1);
    memcpy(texts, "{\"version\":\"", 12);
    memcpy(texts + sizeof(texts) - 3, "\"}", 2);
    assert_true(sonde__agent_take(200, sonde_str_from(texts)));
    assert_true(sonde__agent_take(500, SONDE_STR("{}")));
    assert_true(sonde__agent_take(0, SONDE_STR("")));
    assert_true(sonde__agent()->client_drop_p0s);
    assert_true(sonde__agent_take(200, SONDE_STR("{}")));
    assert_false(sonde__agent()->client_drop_p0s);
    sonde__agent_forget();
}

static void test_an_agent_without_info_is_known_to_do_nothing_special(void **state)
{
    (void)state;
    assert_true(sonde__agent_take(200, sonde_str_from(stock)));
    assert_true(sonde__agent_take(404, SONDE_STR("not found")));
    assert_int_equal(sonde__agent()->endpoints.len, 0);
    assert_false(sonde__agent()->client_drop_p0s);
    sonde__agent_forget();
}

static sonde_status parse_once(void *user)
{
    sonde__agent_info info;
    sonde_status status = sonde__agent_info_parse(sonde_str_from((const char *)user), &info);

    if (status == SONDE_OK)
        sonde__agent_info_done(&info);
    return status;
}

static void test_parsing_survives_every_failing_allocation(void **state)
{
    char text[sizeof(stock)];

    (void)state;
    memcpy(text, stock, sizeof(stock));
    alloc_fail_each(parse_once, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stock_agents_answer_is_read),
        cmocka_unit_test(test_what_only_our_agent_says_is_read),
        cmocka_unit_test(test_absent_and_odd_fields_count_as_absent),
        cmocka_unit_test(test_old_and_unknown_agents_are_not_trusted_with_statistics),
        cmocka_unit_test(test_a_long_list_is_cut_and_says_so),
        cmocka_unit_test(test_what_does_not_parse_keeps_what_is_known),
        cmocka_unit_test(test_an_agent_without_info_is_known_to_do_nothing_special),
        cmocka_unit_test(test_parsing_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("agent_info", tests, NULL, NULL);
}
