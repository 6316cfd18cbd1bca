/* A payload of a trace agent goes in over HTTP and comes out of the query API. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "codec/compress/compress.h"
#include "intake_client.h"
#include "support/raw_http.h"

/* The worked example of the protocol page: one span, written by hand. */
static const uint8_t worked[] = {
    0x0a, 0x02, 0x68, 0x31, 0x12, 0x04, 0x6e, 0x6f, 0x6e, 0x65, 0x2a, 0x62, 0x12, 0x02, 0x67,
    0x6f, 0x32, 0x56, 0x08, 0x01, 0x1a, 0x52, 0x0a, 0x03, 0x77, 0x65, 0x62, 0x12, 0x0c, 0x68,
    0x74, 0x74, 0x70, 0x2e, 0x72, 0x65, 0x71, 0x75, 0x65, 0x73, 0x74, 0x1a, 0x05, 0x47, 0x45,
    0x54, 0x20, 0x2f, 0x20, 0x82, 0x02, 0x28, 0x84, 0x06, 0x38, 0x80, 0x80, 0xa8, 0xb1, 0xe3,
    0x9f, 0xe7, 0xcb, 0x17, 0x40, 0xe0, 0xc6, 0x5b, 0x52, 0x0b, 0x0a, 0x03, 0x65, 0x6e, 0x76,
    0x12, 0x04, 0x70, 0x72, 0x6f, 0x64, 0x5a, 0x15, 0x0a, 0x0a, 0x5f, 0x74, 0x6f, 0x70, 0x5f,
    0x6c, 0x65, 0x76, 0x65, 0x6c, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x3f, 0x42,
    0x04, 0x70, 0x72, 0x6f, 0x64, 0x3a, 0x05, 0x31, 0x2e, 0x30, 0x2e, 0x30, 0x41, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x24, 0x40, 0x49, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x24, 0x40,
};

static const sonde_str worked_body = { (const char *)worked, sizeof(worked) };

static void test_a_span_is_returned_by_its_trace_id_once_its_payload_was_acknowledged(void **state)
{
    intake_world *w = (intake_world *)*state;

    assert_int_equal(intake_post(w, "/api/v0.2/traces", "k", NULL, worked_body), 200);

    assert_int_equal(intake_get(w, "/api/sonde/v1/traces/258"), 200);
    assert_answer_has(w, "\"trace_id\":\"00000000000000000000000000000102\"");
    assert_answer_has(
        w, "\"span_id\":\"772\",\"parent_id\":\"0\",\"service\":\"web\",\"name\":\"http.request\","
           "\"resource\":\"GET /\",\"type\":\"\",\"env\":\"prod\",\"version\":\"\",\"host\":\"h1\","
           "\"start_unix_ns\":\"1700000000000000000\",\"duration_ns\":1500000,\"error\":0,"
           "\"meta\":{\"env\":\"prod\"},\"metrics\":{\"_top_level\":1},\"links\":[],\"events\":[]");
    assert_int_equal(intake_get(w, "/api/sonde/v1/counters"), 200);
    assert_answer_has(
        w, "\"received\":{\"trace_payloads\":1,\"stats_payloads\":0,\"chunks\":1,\"spans\":1");
    assert_answer_has(w, "\"stored\":{\"chunks\":1,\"spans\":1,");
    assert_answer_has(w, "\"queued\":{\"spans\":0,\"profiles\":0}");
}

static void test_every_encoding_agents_use_is_inflated(void **state)
{
    static const char *const names[] = { "gzip", "deflate", "zstd", "identity" };
    intake_world *w = (intake_world *)*state;
    size_t i;

    for (i = 0; i < COUNT_OF(names); i++) {
        sonde_encoding e;
        sonde_buf packed;

        sonde_buf_init(&packed, 4096);
        assert_status(sonde_encoding_parse(sonde_str_from(names[i]), &e), SONDE_OK);
        if (e == SONDE_ENCODING_IDENTITY)
            sonde_buf_append_str(&packed, worked_body);
        else
            assert_status(sonde_compress(e, 0, worked_body, &packed), SONDE_OK);
        if (intake_post(w, "/api/v0.2/traces", "k", names[i], sonde_buf_str(&packed)) != 200)
            fail_msg("%s: %d", names[i], w->answer.status);
        sonde_buf_done(&packed);
    }
    assert_int_equal(intake_get(w, "/api/sonde/v1/counters"), 200);
    assert_answer_has(w, "\"stored\":{\"chunks\":4,\"spans\":4,");
}

static void test_a_bad_request_gets_its_status_and_is_counted_by_reason(void **state)
{
    static const uint8_t bomb_text[1 << 16];
    intake_world *w = (intake_world *)*state;
    sonde_buf big, bomb;
    size_t i;

    assert_int_equal(intake_post(w, "/api/v0.2/traces", NULL, NULL, worked_body), 403);
    assert_int_equal(intake_post(w, "/api/v0.2/traces", "k", "br", worked_body), 415);
    assert_int_equal(intake_post(w, "/api/v0.2/traces", "k", "gzip", worked_body), 400);
    assert_int_equal(intake_post(w, "/api/v0.2/traces", "k", NULL,
                                 sonde_str_sub(worked_body, 0, sizeof(worked) - 3)),
                     400);
    assert_int_equal(intake_post(w, "/api/v0.2/stats", "k", NULL, SONDE_STR("\xc1")), 400);

    sonde_buf_init(&big, 80u << 20);
    sonde_buf_init(&bomb, 80u << 20);
    for (i = 0; i < 1040; i++)
        sonde_buf_append(&big, bomb_text, sizeof(bomb_text));
    assert_status(sonde_compress(SONDE_ENCODING_ZSTD, 1, sonde_buf_str(&big), &bomb), SONDE_OK);
    assert_int_equal(intake_post(w, "/api/v0.2/traces", "k", "zstd", sonde_buf_str(&bomb)), 413);
    sonde_buf_done(&big);
    sonde_buf_done(&bomb);

    assert_int_equal(intake_get(w, "/api/sonde/v1/counters"), 200);
    assert_answer_has(
        w, "\"payloads\":{\"forbidden\":1,\"encoding\":1,\"too_big\":1,\"malformed\":3,\"busy\":0");
    assert_answer_has(
        w, "\"received\":{\"trace_payloads\":0,\"stats_payloads\":0,\"chunks\":0,\"spans\":0");
}

static void test_unknown_routes_are_answered_so_that_no_agent_keeps_its_data(void **state)
{
    intake_world *w = (intake_world *)*state;

    assert_int_equal(intake_post(w, "/api/v2/series", "k", NULL, SONDE_STR("{}")), 202);
    assert_int_equal(intake_post(w, "/api/v1/collector", "k", NULL, SONDE_STR("x")), 202);
    assert_int_equal(intake_get(w, "/api/v1/nothing"), 404);
    assert_answer_has(w, "{\"errors\":[\"");
    assert_int_equal(intake_get(w, "/services/web"), 200); /* a screen of the UI */
    assert_answer_has(w, "<");
    assert_int_equal(intake_get(w, "/api/v1/validate"), 403);
    assert_int_equal(intake_get(w, "/api/v1/validate?api_key=k"), 200);
    assert_answer_has(w, "{\"valid\":true}");

    assert_int_equal(intake_get(w, "/api/sonde/v1/counters"), 200);
    assert_answer_has(w, "\"ignored_requests\":2");
}

static int get_as(const intake_world *w, const char *path, const char *host, const char *origin)
{
    static raw_answer answer;
    char text[512];
    int fd = raw_connect(intake_main_port(w->intake));

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s%sConnection: close\r\n\r\n",
             path, host, origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "");
    raw_send(fd, text);
    raw_read_answer(fd, &answer);
    close(fd);
    return answer.status;
}

static void test_a_foreign_page_reads_nothing(void **state)
{
    static const struct {
        const char *host, *origin;
        int want;
    } cases[] = {
        { "localhost:8127", NULL, 200 },
        { "127.0.0.1", "http://127.0.0.1", 200 },
        { "[::1]:8127", "http://[::1]:8127", 200 },
        { "evil.example", NULL, 403 },
        { "localhost.evil.example:8127", NULL, 403 },
        { "127.0.0.1.evil.example", NULL, 403 },
        { "localhost:8127", "http://evil.example", 403 },
        { "localhost:8127", "null", 403 },
        { "localhost:8127", "http://localhost:9999", 403 },
    };
    intake_world *w = (intake_world *)*state;
    size_t i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        int got = get_as(w, "/api/sonde/v1/counters", cases[i].host, cases[i].origin);

        if (got != cases[i].want)
            fail_msg("Host %s, Origin %s: %d", cases[i].host,
                     cases[i].origin ? cases[i].origin : "none", got);
    }
}

static void test_a_restart_keeps_what_was_acknowledged(void **state)
{
    intake_world *w = (intake_world *)*state;

    assert_int_equal(intake_post(w, "/api/v0.2/traces", "k", NULL, worked_body), 200);
    intake_world_stop(w);
    intake_world_start(w);

    assert_int_equal(intake_get(w, "/api/sonde/v1/traces/0000000000000102"), 200);
    assert_answer_has(w, "\"span_id\":\"772\"");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, intake_world_open, intake_world_close)
    const struct CMUnitTest tests[] = {
        T(test_a_span_is_returned_by_its_trace_id_once_its_payload_was_acknowledged),
        T(test_every_encoding_agents_use_is_inflated),
        T(test_a_bad_request_gets_its_status_and_is_counted_by_reason),
        T(test_unknown_routes_are_answered_so_that_no_agent_keeps_its_data),
        T(test_a_foreign_page_reads_nothing),
        T(test_a_restart_keeps_what_was_acknowledged),
    };

    return cmocka_run_group_tests_name("intake traces", tests, NULL, NULL);
}
