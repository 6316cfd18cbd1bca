/* test_info.c - the fixed body of /info, its digest, the status document and its sources. */
#include "agent/info/info.h"

#include <string.h>

#include "base/digest.h"
#include "base/hex.h"
#include "codec/json_read.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static agent_config *config;

static const char *const endpoints[] = { "/v0.4/traces", "/v0.3/traces" };
static const char *const evp_headers[] = { "Content-Type" };
static const char *const peer_tags[] = { "_dd.base_service", "db.name" };

static int64_t fixed_unix_ns(void *user)
{
    return *(int64_t *)user;
}

static sonde_status open_info(info **out_info)
{
    const info_options options = { .config = config,
                                   .agent_version = "0.1.0",
                                   .git_commit = "abc1234",
                                   .endpoints = endpoints,
                                   .endpoints_len = COUNT_OF(endpoints),
                                   .evp_headers = evp_headers,
                                   .evp_headers_len = COUNT_OF(evp_headers),
                                   .peer_tags = peer_tags,
                                   .peer_tags_len = COUNT_OF(peer_tags),
                                   .stats_by_span_kind = true };

    return info_open(&options, out_info);
}

static int group_setup(void **state)
{
    config_options options = { .os_hostname = "h1", .cpus = 1 };

    (void)state;
    return config_load_text(&options, SONDE_STR("env: My Env\nunknown: 1\n"), "t.yaml", &config,
                            NULL) == SONDE_OK
               ? 0
               : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    config_put(config);
    return 0;
}

static void test_the_body_is_exactly_this(void **state)
{
    static const char want[] =
        "{\n"
        "\t\"version\": \"0.1.0\",\n"
        "\t\"git_commit\": \"abc1234\",\n"
        "\t\"endpoints\": [\n\t\t\"/v0.3/traces\",\n\t\t\"/v0.4/traces\"\n\t],\n"
        "\t\"client_drop_p0s\": false,\n"
        "\t\"span_meta_structs\": true,\n"
        "\t\"long_running_spans\": true,\n"
        "\t\"span_events\": true,\n"
        "\t\"evp_proxy_allowed_headers\": [\n\t\t\"Content-Type\"\n\t],\n"
        "\t\"config\": {\n"
        "\t\t\"default_env\": \"my_env\",\n"
        "\t\t\"target_tps\": 1000,\n"
        "\t\t\"max_eps\": 200,\n"
        "\t\t\"receiver_port\": 8126,\n"
        "\t\t\"receiver_socket\": \"/var/run/datadog/apm.socket\",\n"
        "\t\t\"connection_limit\": 0,\n"
        "\t\t\"receiver_timeout\": 0,\n"
        "\t\t\"max_request_bytes\": 26214400,\n"
        "\t\t\"statsd_port\": 8125,\n"
        "\t\t\"max_memory\": 67108864,\n"
        "\t\t\"max_cpu\": 0.5,\n"
        "\t\t\"analyzed_spans_by_service\": {},\n"
        "\t\t\"obfuscation\": {\n"
        "\t\t\t\"elastic_search\": true,\n"
        "\t\t\t\"mongo\": true,\n"
        "\t\t\t\"sql_exec_plan\": false,\n"
        "\t\t\t\"sql_exec_plan_normalize\": false,\n"
        "\t\t\t\"sql_obfuscation_mode\": \"\",\n"
        "\t\t\t\"http\": {\n"
        "\t\t\t\t\"remove_query_string\": false,\n"
        "\t\t\t\t\"remove_path_digits\": false\n"
        "\t\t\t},\n"
        "\t\t\t\"remove_stack_traces\": false,\n"
        "\t\t\t\"redis\": {\n"
        "\t\t\t\t\"enabled\": true,\n"
        "\t\t\t\t\"remove_all_args\": false\n"
        "\t\t\t},\n"
        "\t\t\t\"valkey\": {\n"
        "\t\t\t\t\"enabled\": true,\n"
        "\t\t\t\t\"remove_all_args\": false\n"
        "\t\t\t},\n"
        "\t\t\t\"memcached\": {\n"
        "\t\t\t\t\"enabled\": true,\n"
        "\t\t\t\t\"keep_command\": false\n"
        "\t\t\t}\n"
        "\t\t}\n"
        "\t},\n"
        "\t\"peer_tags\": [\n\t\t\"_dd.base_service\",\n\t\t\"db.name\"\n\t],\n"
        "\t\"span_kinds_stats_computed\": "
        "[\n\t\t\"client\",\n\t\t\"consumer\",\n\t\t\"producer\",\n"
        "\t\t\"server\"\n\t],\n"
        "\t\"obfuscation_version\": 1,\n"
        "\t\"filter_tags\": {},\n"
        "\t\"filter_tags_regex\": {}\n"
        "}\n";
    info *i = NULL;

    (void)state;
    assert_status(open_info(&i), SONDE_OK);
    if (!sonde_str_eq(info_body(i), sonde_str_from(want)))
        fail_msg("%.*s", SONDE_STR_ARG(info_body(i)));
    info_close(i);
}

static bool says(const info *i, const char *text)
{
    size_t at;

    return sonde_str_find(info_body(i), sonde_str_from(text), &at);
}

static void test_what_is_configured_is_said_in_a_fixed_order(void **state)
{
    static const char yaml[] =
        "apm_config: {features: [b, a], receiver_timeout: 7, connection_limit: 12, "
        "max_cpu_percent: 30, "
        "filter_tags: {require: [\"z:1\", a], reject: [\"x<y\"]}, "
        "filter_tags_regex: {reject: [\"k:^v\"]}, ignore_resources: [\"GET /b\", \"GET /a\"], "
        "obfuscation: {redis: {remove_all_args: true}, memcached: {keep_command: true}}}\n";
    const info_analyzed analyzed[] = {
        { SONDE_STR("web"), SONDE_STR("z"), 0.5 },
        { SONDE_STR("api"), SONDE_STR("q"), 1 },
        { SONDE_STR("web"), SONDE_STR("a"), 0.25 },
    };
    static const char *const listed[] = { "/sonde/profiling/v1/batch", "/tracer_flare/v1",
                                          "/v0.6/stats", "/profiling/v1/input", "/v0.5/traces" };
    static const char *const wants[] = {
        "\t\"endpoints\": [\n\t\t\"/v0.5/traces\",\n\t\t\"/profiling/v1/input\",\n"
        "\t\t\"/v0.6/stats\",\n\t\t\"/tracer_flare/v1\",\n\t\t\"/sonde/profiling/v1/batch\"\n\t],\n"
        "\t\"feature_flags\": [\n\t\t\"a\",\n\t\t\"b\"\n\t],\n\t\"client_drop_p0s\"",
        "\"connection_limit\": 12,",
        "\"receiver_timeout\": 7,",
        "\"max_cpu\": 0.3,",
        "\t\t\"analyzed_spans_by_service\": {\n\t\t\t\"api\": {\n\t\t\t\t\"q\": 1\n\t\t\t},\n"
        "\t\t\t\"web\": {\n\t\t\t\t\"a\": 0.25,\n\t\t\t\t\"z\": 0.5\n\t\t\t}\n\t\t},\n",
        "\"redis\": {\n\t\t\t\t\"enabled\": true,\n\t\t\t\t\"remove_all_args\": true",
        "\"keep_command\": true",
        "\t\"filter_tags\": {\n\t\t\"require\": [\n\t\t\t\"z:1\",\n\t\t\t\"a\"\n\t\t],\n"
        "\t\t\"reject\": [\n\t\t\t\"x\\u003cy\"\n\t\t]\n\t},\n"
        "\t\"filter_tags_regex\": {\n\t\t\"reject\": [\n\t\t\t\"k:^v\"\n\t\t]\n\t},\n"
        "\t\"ignore_resources\": [\n\t\t\"GET /b\",\n\t\t\"GET /a\"\n\t],\n"
        "\t\"sonde\": {\n\t\t\"crash_socket\": \"/run/c\"\n\t}\n}\n",
        "\t\"peer_tags\": null,\n\t\"span_kinds_stats_computed\": null,\n",
    };
    config_options from = { .os_hostname = "h1", .cpus = 1 };
    info_options options = { .agent_version = "0.1.0",
                             .git_commit = "",
                             .endpoints = listed,
                             .endpoints_len = COUNT_OF(listed),
                             .analyzed = analyzed,
                             .analyzed_len = COUNT_OF(analyzed),
                             .crash_socket = SONDE_STR("/run/c") };
    info *i = NULL;

    (void)state;
    assert_status(config_load_text(&from, sonde_str_from(yaml), "t", &options.config, NULL),
                  SONDE_OK);
    assert_status(info_open(&options, &i), SONDE_OK);
    for (size_t k = 0; k < COUNT_OF(wants); k++) {
        if (!says(i, wants[k]))
            fail_msg("no %s in %.*s", wants[k], SONDE_STR_ARG(info_body(i)));
    }
    info_close(i);
    config_put(options.config);
}

static void test_the_state_is_the_digest_of_the_body(void **state)
{
    uint8_t digest[32];
    char hex[65] = "";
    info *i = NULL, *again = NULL;

    (void)state;
    assert_status(open_info(&i), SONDE_OK);
    assert_status(open_info(&again), SONDE_OK);
    sonde_sha256(info_body(i).ptr, info_body(i).len, digest);
    sonde_hex_bytes(digest, sizeof(digest), hex);
    assert_string_equal(info_state(i), hex);
    assert_string_equal(info_state(i), info_state(again)); /* stable between restarts */
    info_close(i);
    info_close(again);
}

static void write_number(void *user, sonde_json_writer *w)
{
    sonde_json_u64(w, *(uint64_t *)user);
}

static void test_the_status_joins_its_sources_in_order(void **state)
{
    int64_t now = 1700000000000000000;
    const sonde_clock clock = { .unix_ns = fixed_unix_ns, .user = &now };
    const info_options options = {
        .config = config, .agent_version = "0.1.0", .git_commit = "", .clock = &clock
    };
    uint64_t one = 1, two = 2;
    sonde_json_reader reader;
    sonde_json_event e;
    info *i = NULL;
    sonde_buf out;

    (void)state;
    assert_status(info_open(&options, &i), SONDE_OK);
    assert_status(info_add_source(i, (info_source){ "receiver", write_number, &one }), SONDE_OK);
    assert_status(info_add_source(i, (info_source){ "stats", write_number, &two }), SONDE_OK);
    now += 90 * (int64_t)SONDE_NS_PER_S;
    sonde_buf_init(&out, 1 << 16);
    info_write_status(i, &out);

    assert_non_null(strstr(sonde_buf_cstr(&out), "\"uptime_s\":90"));
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"hostname\":\"h1\""));
    assert_non_null(strstr(sonde_buf_cstr(&out), "unknown key"));
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"receiver\":1,\"stats\":2}\n"));
    sonde_json_reader_init(&reader, sonde_buf_str(&out), 4096);
    while ((e = sonde_json_next(&reader)) != SONDE_JSON_END)
        assert_true(e != SONDE_JSON_ERROR);
    sonde_json_reader_done(&reader);
    sonde_buf_done(&out);
    info_close(i);
}

static void test_sources_are_bounded(void **state)
{
    uint64_t n = 0;
    info *i = NULL;

    (void)state;
    assert_status(open_info(&i), SONDE_OK);
    for (int k = 0; k < INFO_SOURCES_MAX; k++)
        assert_status(info_add_source(i, (info_source){ "x", write_number, &n }), SONDE_OK);
    assert_status(info_add_source(i, (info_source){ "x", write_number, &n }), SONDE_ERR_FULL);
    info_close(i);
}

static sonde_status open_and_close(void *user)
{
    info *i = NULL;
    sonde_status status = open_info(&i);

    (void)user;
    info_close(i);
    return status;
}

static void test_opening_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(open_and_close, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_body_is_exactly_this),
        cmocka_unit_test(test_what_is_configured_is_said_in_a_fixed_order),
        cmocka_unit_test(test_the_state_is_the_digest_of_the_body),
        cmocka_unit_test(test_the_status_joins_its_sources_in_order),
        cmocka_unit_test(test_sources_are_bounded),
        cmocka_unit_test(test_opening_copes_without_memory),
    };

    return cmocka_run_group_tests_name("info", tests, group_setup, group_teardown);
}
