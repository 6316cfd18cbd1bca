/* test_telemetry_write.c - the envelope, byte for byte as docs/spec/telemetry.md has it. */
#include "support/test.h"

#include "codec/telemetry_write.h"

static const sonde_machine machine = {
    .kernel = { .sysname = "Linux", .release = "6.1", .version = "#1 SMP", .machine = "x86_64" },
    .os_version = "12",
};

static sonde_telemetry_head make_head(void)
{
    return (sonde_telemetry_head){
        .type = "app-heartbeat",
        .unix_s = 1700000000,
        .seq = 7,
        .runtime_id = SONDE_STR("<uuid>"),
        .service = SONDE_STR("web"),
        .env = SONDE_STR("prod"),
        .version = SONDE_STR("1.2"),
        .tracer_version = SONDE_STR("0.1.0"),
        .language = SONDE_STR("c"),
        .process_tags = SONDE_STR("entrypoint.name:web"),
        .hostname = SONDE_STR("h1"),
        .machine = &machine,
    };
}

static void expect_request(const sonde_telemetry_head *h, const char *want)
{
    sonde_json_writer w;
    sonde_buf out;

    sonde_buf_init(&out, 4096);
    sonde_json_writer_init(&w, &out);
    sonde_telemetry_begin(&w, h);
    sonde_json_begin_object(&w);
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
    assert_string_equal(sonde_buf_cstr(&out), want);
    sonde_buf_done(&out);
}

static void test_a_request_is_as_documented(void **state)
{
    sonde_telemetry_head h = make_head();

    (void)state;
    expect_request(
        &h,
        "{\"api_version\":\"v2\",\"request_type\":\"app-heartbeat\",\"tracer_time\":1700000000,"
        "\"runtime_id\":\"<uuid>\",\"seq_id\":7,\"debug\":false,"
        "\"application\":{\"service_name\":\"web\",\"env\":\"prod\",\"service_version\":\"1.2\","
        "\"tracer_version\":\"0.1.0\",\"language_name\":\"c\",\"language_version\":\"201112\","
        "\"process_tags\":\"entrypoint.name:web\"},"
        "\"host\":{\"hostname\":\"h1\",\"os\":\"GNU/Linux\",\"os_version\":\"12\","
        "\"architecture\":\"x86_64\",\"kernel_name\":\"Linux\",\"kernel_release\":\"6.1\","
        "\"kernel_version\":\"#1 SMP\"},\"payload\":{}}");
}

static void test_what_is_not_known_is_empty_and_tags_are_left_out(void **state)
{
    static const sonde_machine unknown;
    sonde_telemetry_head h = { .type = "logs", .debug = true, .machine = &unknown };

    (void)state;
    expect_request(
        &h, "{\"api_version\":\"v2\",\"request_type\":\"logs\",\"tracer_time\":0,"
            "\"runtime_id\":\"\",\"seq_id\":0,\"debug\":true,"
            "\"application\":{\"service_name\":\"\",\"env\":\"\",\"service_version\":\"\","
            "\"tracer_version\":\"\",\"language_name\":\"\",\"language_version\":\"201112\"},"
            "\"host\":{\"hostname\":\"\",\"os\":\"GNU/Linux\",\"os_version\":\"\","
            "\"architecture\":\"\",\"kernel_name\":\"\",\"kernel_release\":\"\","
            "\"kernel_version\":\"\"},\"payload\":{}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_as_documented),
        cmocka_unit_test(test_what_is_not_known_is_empty_and_tags_are_left_out),
    };

    return cmocka_run_group_tests_name("telemetry_write", tests, NULL, NULL);
}
