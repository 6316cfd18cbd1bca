/* test_receiver.c - the receiver over real sockets: every endpoint, answer, refusal and counter.
 *
 * The sink runs on the server's threads and only records; the tests assert after the answer came. */
#include "agent/receiver/receiver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <poll.h>
#include <sys/socket.h>

#include "agent/receiver/internal.h"
#include "base/clock.h"
#include "net/http_plain.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/golden.h"
#include "support/raw_http.h"
#include "support/test.h"

#define MAX_PAYLOAD  "65536"
#define BUDGET_BYTES 100000

static const char state_hex[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static struct {
    agent_config *config;
    rates_cell rates;
    origin *origin; /* NULL: none */
    receiver *r;
    char dir[32], path[64];
    _Atomic(payload *) last; /* what the sink got last; owned */
    _Atomic int sink_status; /* what the sink answers */
    uint64_t dropped_before[RECEIVER_REASONS];
    uint64_t accepted_before, received_before;
} f;

static raw_answer answer; /* large */

static sonde_status record(void *stage, payload *p)
{
    sonde_status status = (sonde_status)atomic_load(&f.sink_status);

    (void)stage;
    if (status == SONDE_OK)
        payload_free(atomic_exchange(&f.last, p));
    return status;
}

static http_result serve_more(void *user, http_request *request, http_response *response)
{
    (void)user, (void)request;
    response->static_body = SONDE_STR("more\n");
    return HTTP_DONE;
}

static sonde_status open_receiver(receiver **out_receiver, sonde_error *out_error)
{
    static const http_route more[] = { { .path = "/info", .handle = serve_more },
                                       { .path = "/more", .handle = serve_more } };
    const receiver_options options = {
        .config = f.config,
        .sink = { .push = record },
        .rates = &f.rates,
        .origin = f.origin,
        .agent_version = "0.1.0",
        .agent_state = state_hex,
        .body_budget_bytes = BUDGET_BYTES,
        .more_routes = more,
        .more_routes_len = COUNT_OF(more),
    };

    return receiver_open(&options, out_receiver, out_error);
}

static agent_config *configure(const char *more)
{
    config_options options = { .os_hostname = "h", .cpus = 2 };
    agent_config *c = NULL;
    char yaml[512];

    (void)snprintf(
        yaml, sizeof(yaml),
        "apm_config: {receiver_port: -1, receiver_socket: \"%s\", max_payload_size: " MAX_PAYLOAD
        ", %s%s}\n",
        f.path, strstr(more, "decoder_timeout") ? "" : "decoder_timeout: 0, ", more);
    assert_status(config_load_text(&options, sonde_str_from(yaml), "t", &c, NULL), SONDE_OK);
    assert_int_equal(c->warnings_len, 0);
    return c;
}

static int group_setup(void **state)
{
    sonde_error error = { 0 };

    (void)state;
    (void)snprintf(f.dir, sizeof(f.dir), "/tmp/sonde-recv-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    (void)snprintf(f.path, sizeof(f.path), "%s/apm.socket", f.dir);
    f.config = configure("receiver_timeout: 60");
    assert_status(rates_cell_init(&f.rates), SONDE_OK);
    if (open_receiver(&f.r, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    receiver_close(f.r, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    payload_free(atomic_exchange(&f.last, NULL));
    rates_cell_done(&f.rates);
    config_put(f.config);
    (void)unlink(f.path);
    (void)rmdir(f.dir);
    return 0;
}

static int setup(void **state)
{
    const receiver_counters *c = receiver_read_counters(f.r);

    (void)state;
    payload_free(atomic_exchange(&f.last, NULL));
    atomic_store(&f.sink_status, SONDE_OK);
    rates_cell_publish(&f.rates, rates_new(SONDE_STR("{\"rate_by_service\":{}}\n"), SONDE_STR("")));
    for (int i = 0; i < RECEIVER_REASONS; i++)
        f.dropped_before[i] = c->payloads_dropped[i];
    f.accepted_before = c->payloads_accepted;
    f.received_before = c->payloads_received;
    return 0;
}

/* Checked after each test: every trace request was accepted or dropped for one reason. */
static int teardown(void **state)
{
    const receiver_counters *c = receiver_read_counters(f.r);
    uint64_t dropped = 0;

    (void)state;
    for (int i = 0; i < RECEIVER_REASONS; i++)
        dropped += c->payloads_dropped[i] - f.dropped_before[i];
    assert_int_equal(c->payloads_received - f.received_before,
                     c->payloads_accepted - f.accepted_before + dropped);
    return 0;
}

static uint64_t dropped(receiver_reason why)
{
    return receiver_read_counters(f.r)->payloads_dropped[why] - f.dropped_before[why];
}

static uint64_t accepted(void)
{
    return receiver_read_counters(f.r)->payloads_accepted - f.accepted_before;
}

/* Sends head lines and a body on a new connection, reads the answer. */
static void say(int fd, const char *line, const char *headers, const void *body, size_t len)
{
    char head[1024];

    (void)snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                   line, headers, len);
    raw_send(fd, head);
    if (len)
        raw_send_bytes(fd, body, len);
}

static void hear(int fd)
{
    raw_read_answer(fd, &answer);
    (void)close(fd);
}

static void ask_with(int fd, const char *line, const char *headers, const void *body, size_t len)
{
    say(fd, line, headers, body, len);
    hear(fd);
}

static void ask(const char *line, const char *headers, const void *body, size_t len)
{
    ask_with(raw_connect(receiver_port(f.r)), line, headers, body, len);
}

#define MSGPACK "Content-Type: application/msgpack\r\n"
#define JSON    "Content-Type: application/json\r\n"
#define RATES   "{\"rate_by_service\":{}}\n"

static bool has_header(const char *line)
{
    char *at = strstr(answer.text, line);

    return at && at < answer.text + answer.head_len;
}

static void expect_answer(const char *label, int status, const char *body)
{
    if (answer.status != status || answer.body_len != strlen(body) ||
        memcmp(answer.body, body, answer.body_len) != 0)
        fail_msg("%s: %d \"%.*s\", want %d \"%s\"", label, answer.status, (int)answer.body_len,
                 answer.body, status, body);
}

static void test_every_endpoint_answers_as_the_table_says(void **state)
{
    static const struct {
        const char *line, *headers, *body;
        int status;
        const char *want;
    } cases[] = {
        { "PUT /v0.4/traces", MSGPACK, "\x90", 200, RATES },
        { "POST /v0.4/traces", MSGPACK, "\x90", 200, RATES },
        { "PUT /v0.4/traces", "content-type: Application/MSGPACK; charset=utf-8\r\n", "\x90", 200,
          RATES },
        { "PUT /v0.4/traces", JSON, "[]", 200, RATES },
        { "PUT /v0.4/traces", "Content-Type: text/json\r\n", "[]", 200, RATES },
        { "PUT /v0.4/traces", "", "[]", 200, RATES },
        { "PUT /v0.4/traces", "Content-Type: weird\r\n", "[]", 200, RATES },
        { "PUT /v0.3/traces", MSGPACK, "\x90", 200, "OK\n" },
        { "PUT /v0.3/traces", JSON, "[]", 200, "OK\n" },
        { "PUT /v0.5/traces", MSGPACK, "\x92\x90\x90", 200, RATES },
        { "PUT /v0.5/traces", JSON, "\x92\x90\x90", 200, RATES }, /* msgpack whatever it says */
        { "PUT /v0.2/traces", JSON, "[]", 200, "OK\n" },
        { "PUT /spans", JSON, "[]", 200, "OK\n" },
        { "PUT /v0.1/spans", "", "[{\"trace_id\":1,\"span_id\":1}]", 200, "OK\n" },
        { "PUT /v0.1/spans", JSON, "[", 400, "unexpected-eof\n" },
        { "PUT /v0.7/traces", JSON, "\x80", 200, RATES },
        { "PUT /v1.0/traces", MSGPACK, "\x80", 200, RATES },
        { "PUT /v1.0/traces", MSGPACK, "\x81\x07\x05", 400, "string index 5 out of range\n" },
        { "PUT /v0.2/traces", MSGPACK, "\x90", 415,
          "unsupported media type: \"application/msgpack\"\n" },
        { "PUT /v0.3/services", JSON, "{}", 200, "OK\n" },
        { "PUT /v0.4/services", MSGPACK, "\x80", 200, "OK\n" },
        { "PUT /v0.2/services", JSON, "anything", 200, "OK\n" },
        { "PUT /v0.1/services", JSON, "", 200, "OK\n" },
        { "PUT /services", JSON, "", 200, "OK\n" },
        { "POST /v0.7/config", JSON, "{\"client\":{}}", 200, "{}" },
        { "POST /v0.7/config", JSON, "", 400, "the body is not a JSON object\n" },
        { "POST /v0.7/config", JSON, "{\"client\":", 400, "the body is not a JSON object\n" },
        { "POST /v0.7/config", JSON, "[]", 400, "the body is not a JSON object\n" },
        { "POST /v0.7/config", JSON, "{}{}", 400, "the body is not a JSON object\n" },
        { "GET /more", "", "", 200, "more\n" },
        { "PUT /v0.6/stats", MSGPACK, "\x80", 200, "" },
        { "POST /v0.6/stats", JSON, "\x80", 200, "" }, /* msgpack whatever it says */
        { "POST /v0.6/stats", "Sec-Fetch-Site: cross-site\r\n", "\x80", 200, "" },
        { "POST /v0.6/stats", MSGPACK, "", 400, "msgp: too few bytes left to read object\n" },
        { "PUT /nothing", "", "", 404, "404 page not found\n" },
        { "PUT /v0.4/traces", MSGPACK, "", 400, "msgp: too few bytes left to read object\n" },
        { "PUT /v0.4/traces", MSGPACK, "\x91", 400, "msgp: too few bytes left to read object\n" },
        { "PUT /v0.4/traces", JSON, "", 400, "unexpected-eof\n" },
        { "PUT /v0.4/traces", JSON, "[[", 400, "unexpected-eof\n" },
        { "PUT /v0.5/traces", MSGPACK, "\x92\x90\x91\x91\x91\x01", 400,
          "encoded span needs exactly 12 elements in array (at byte 5)\n" },
        { "PUT /v0.4/traces", "Sec-Fetch-Site: cross-site\r\n" MSGPACK, "\x90", 403,
          "cross-site request rejected\n" },
        { "PUT /v0.4/traces", "Sec-Fetch-Site: same-origin\r\n" MSGPACK, "\x90", 200, RATES },
        { "PUT /v0.3/services", "Sec-Fetch-Site: cross-site\r\n", "", 403,
          "cross-site request rejected\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ask(cases[i].line, cases[i].headers, cases[i].body, strlen(cases[i].body));
        expect_answer(cases[i].line, cases[i].status, cases[i].want);
        assert_true(has_header("Datadog-Agent-Version: 0.1.0\r\n"));
        assert_true(has_header(state_hex));
    }
    assert_int_equal(dropped(RECEIVER_MEDIA_TYPE), 1);
    assert_int_equal(dropped(RECEIVER_CROSS_SITE), 1);
    assert_int_equal(dropped(RECEIVER_EOF), 3);
    assert_int_equal(dropped(RECEIVER_DECODE), 5);
}

static void test_info_carries_no_agent_headers(void **state)
{
    (void)state;
    ask("GET /info", "", NULL, 0);
    expect_answer("/info", 200, "more\n");
    assert_false(has_header("Datadog-Agent"));
}

static void test_errors_are_plain_text_that_is_not_sniffed(void **state)
{
    (void)state;
    ask("PUT /v0.4/traces", MSGPACK, "\xc1", 1);
    assert_int_equal(answer.status, 400);
    assert_true(has_header("Content-Type: text/plain; charset=utf-8\r\n"));
    assert_true(has_header("X-Content-Type-Options: nosniff\r\n"));
}

static void test_a_payload_carries_body_and_head_to_the_sink(void **state)
{
    static const char headers[] =
        MSGPACK "Datadog-Meta-Lang: cpp\r\nDatadog-Meta-Lang-Version: 201703\r\n"
                "datadog-meta-tracer-version: v2.2.1\r\n"
                "Datadog-Entity-ID: ci-abc\r\nX-Datadog-Trace-Count: 1\r\n"
                "Datadog-Client-Computed-Top-Level: yes\r\n"
                "Datadog-Client-Computed-Stats: false\r\n"
                "Datadog-Client-Dropped-P0-Traces: 7\r\n"
                "X-Datadog-Process-Tags: entrypoint.name:x\r\n";
    sonde_buf body;
    payload *p;

    (void)state;
    golden_load("msgpack/v04_one_span.hex", &body);
    ask("PUT /v0.4/traces", headers, body.data, body.len);
    expect_answer("traces", 200, RATES);
    p = atomic_load(&f.last);
    assert_non_null(p);
    assert_int_equal(p->chunks_len, 1);
    assert_true(sonde_str_eq(p->chunks[0].spans[0].service, SONDE_STR("web")));
    assert_true(sonde_str_eq(p->language_name, SONDE_STR("cpp")));
    assert_true(sonde_str_eq(p->language_version, SONDE_STR("201703")));
    assert_true(sonde_str_eq(p->tracer_version, SONDE_STR("v2.2.1")));
    assert_true(sonde_str_eq(p->container_id, SONDE_STR("abc")));
    assert_true(p->client_computed_top_level);
    assert_false(p->client_computed_stats);
    assert_int_equal(p->client_dropped_p0_traces, 7);
    assert_string_equal(p->endpoint_version, "v0.4");
    assert_true(sonde_str_eq(*payload_tag_get(p, SONDE_STR("_dd.tags.process")),
                             SONDE_STR("entrypoint.name:x")));
    assert_true(p->charged_bytes > body.len);
    assert_int_equal(accepted(), 1);
    sonde_buf_done(&body);
}

static void test_chunked_bodies_and_unix_sockets_work_alike(void **state)
{
    int fd = raw_connect_unix(f.path);

    (void)state;
    raw_send(fd, "PUT /v0.4/traces HTTP/1.1\r\nHost: localhost\r\n" MSGPACK
                 "Transfer-Encoding: chunked\r\n\r\n1\r\n");
    raw_send_bytes(fd, "\x91", 1);
    raw_send(fd, "\r\n1\r\n");
    raw_send_bytes(fd, "\x90", 1);
    raw_send(fd, "\r\n0\r\n\r\n");
    raw_read_answer(fd, &answer);
    expect_answer("chunked", 200, RATES);
    (void)close(fd);
    assert_non_null(atomic_load(&f.last));
}

static void test_rates_are_answered_by_version(void **state)
{
    static const char body[] = "{\"rate_by_service\":{\"service:,env:\":1}}\n";
    static const struct {
        const char *label, *headers, *want, *version; /* NULL: no version header */
    } cases[] = {
        { "a client that does not know versions", MSGPACK, body, NULL },
        { "an empty version", MSGPACK "Datadog-Rates-Payload-Version: \r\n", body, NULL },
        { "an old version", MSGPACK "Datadog-Rates-Payload-Version: 1-1\r\n", body, "65a1b2c3-4" },
        { "the current version", MSGPACK "Datadog-Rates-Payload-Version: 65a1b2c3-4\r\n", "{}",
          "65a1b2c3-4" },
    };

    (void)state;
    rates_cell_publish(&f.rates, rates_new(sonde_str_from(body), SONDE_STR("65a1b2c3-4")));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ask("PUT /v0.4/traces", cases[i].headers, "\x90", 1);
        expect_answer(cases[i].label, 200, cases[i].want);
        assert_true(has_header("Content-Type: application/json\r\n"));
        if (has_header("Datadog-Rates-Payload-Version: ") != (cases[i].version != NULL))
            fail_msg("%s: version header", cases[i].label);
    }
}

/* An agent that was started anew, and a tracer that remembers the one before. */
static void test_a_version_is_answered_before_there_are_rates(void **state)
{
    (void)state;
    ask("PUT /v0.4/traces", MSGPACK "Datadog-Rates-Payload-Version: 65a1b2c3-4\r\n", "\x90", 1);
    expect_answer("no rates yet", 200, RATES);
    assert_false(has_header("Datadog-Rates-Payload-Version: "));
}

static void test_a_full_queue_refuses_as_the_client_wants_to_hear_it(void **state)
{
    static const struct {
        const char *label, *line, *headers, *body;
        int status;
        const char *want;
    } cases[] = {
        { "rates and 200", "PUT /v0.4/traces", MSGPACK, "\x91\x90", 200, RATES },
        { "429 when asked", "PUT /v0.4/traces", MSGPACK "Datadog-Send-Real-Http-Status: true\r\n",
          "\x91\x90", 429, RATES },
        { "anything but false is true", "PUT /v0.5/traces",
          "Datadog-Send-Real-Http-Status: please\r\n", "\x92\x90\x91\x90", 429, RATES },
        { "false is false", "PUT /v0.4/traces", MSGPACK "Datadog-Send-Real-Http-Status: False\r\n",
          "\x91\x90", 200, RATES },
        { "OK before v0.4", "PUT /v0.3/traces", MSGPACK, "\x91\x90", 200, "OK\n" },
    };
    uint64_t traces = receiver_read_counters(f.r)->traces_dropped[RECEIVER_REFUSED_QUEUE];

    (void)state;
    atomic_store(&f.sink_status, SONDE_ERR_FULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char headers[256];

        (void)snprintf(headers, sizeof(headers), "%sX-Datadog-Trace-Count: 2\r\n",
                       cases[i].headers);
        ask(cases[i].line, headers, cases[i].body, strlen(cases[i].body));
        expect_answer(cases[i].label, cases[i].status, cases[i].want);
        assert_false(has_header("Datadog-Rates-Payload-Version"));
    }
    assert_int_equal(dropped(RECEIVER_REFUSED_QUEUE), COUNT_OF(cases));
    assert_int_equal(receiver_read_counters(f.r)->traces_dropped[RECEIVER_REFUSED_QUEUE] - traces,
                     2 * COUNT_OF(cases));
    atomic_store(&f.sink_status, SONDE_ERR_CLOSED);
    ask("PUT /v0.4/traces", MSGPACK, "\x91\x90", 2);
    assert_int_equal(dropped(RECEIVER_REFUSED_CLOSING), 1);
}

/* Another receiver in the place of the fixture's, which returns. */
static void other_receiver(const char *config, void (*test)(void))
{
    agent_config *good = f.config;
    receiver *own = f.r;
    uint64_t before[RECEIVER_REASONS];

    memcpy(before, f.dropped_before, sizeof(before));
    memset(f.dropped_before, 0, sizeof(f.dropped_before));
    f.config = configure(config);
    sonde_log_set_level(SONDE_LOG_ERROR); /* the Unix socket is taken */
    assert_status(open_receiver(&f.r, NULL), SONDE_OK);
    sonde_log_set_level(SONDE_LOG_INFO);
    test();
    memcpy(f.dropped_before, before, sizeof(before));
    payload_free(atomic_exchange(&f.last, NULL)); /* its body is the server's */
    receiver_close(f.r, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    config_put(f.config);
    f.config = good;
    f.r = own;
}

static void await_waiting(size_t count)
{
    while (waiting_count(f.r->waiting) != count)
        (void)usleep(1000);
}

static void three_wait_and_are_taken(void)
{
    int fds[3];

    atomic_store(&f.sink_status, SONDE_ERR_FULL);
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(receiver_port(f.r));
        say(fds[i], "PUT /v0.4/traces", MSGPACK, "\x91\x90", 2);
        await_waiting((size_t)i + 1);
    }
    assert_int_equal(receiver_read_counters(f.r)->payloads_received, 3);
    assert_int_equal(receiver_read_counters(f.r)->payloads_accepted, 0);
    ask("PUT /v0.4/traces", MSGPACK, "\x90", 1); /* carries nothing: who waits keeps nobody out */
    expect_answer("empty", 200, RATES);
    atomic_store(&f.sink_status, SONDE_OK);
    for (int i = 0; i < 3; i++) {
        hear(fds[i]);
        expect_answer("it waited", 200, RATES);
    }
    await_waiting(0);
    assert_int_equal(receiver_read_counters(f.r)->payloads_accepted, 4);
}

static void test_payloads_wait_for_room_in_the_queue(void **state)
{
    (void)state;
    other_receiver("receiver_timeout: 60, decoder_timeout: 59000", three_wait_and_are_taken);
}

static void nobody_waits_for_memory(void)
{
    atomic_store(&f.sink_status, SONDE_ERR_NOMEM);
    ask("PUT /v0.4/traces", MSGPACK "Datadog-Send-Real-Http-Status: 1\r\n", "\x91\x90", 2);
    expect_answer("memory is short", 429, RATES);
    assert_int_equal(dropped(RECEIVER_NO_MEMORY), 1);
}

static void test_who_finds_memory_short_is_refused_at_once(void **state)
{
    (void)state;
    other_receiver("receiver_timeout: 60, decoder_timeout: 59000", nobody_waits_for_memory);
}

static void one_waits_in_vain(void)
{
    atomic_store(&f.sink_status, SONDE_ERR_FULL);
    ask("PUT /v0.4/traces", MSGPACK "Datadog-Send-Real-Http-Status: 1\r\n", "\x91\x90", 2);
    expect_answer("in vain", 429, RATES);
    assert_int_equal(dropped(RECEIVER_REFUSED_QUEUE), 1);
}

static void test_who_waited_in_vain_is_refused(void **state)
{
    (void)state;
    other_receiver("receiver_timeout: 60, decoder_timeout: 1", one_waits_in_vain);
}

static void two_wait_to_their_end(void)
{
    int traces = raw_connect(receiver_port(f.r)), stats = raw_connect(receiver_port(f.r));
    static const char group[] = "\x81\xa5Stats\x91\x81\xa5Stats\x91\x81\xa7Service\xa1s";

    atomic_store(&f.sink_status, SONDE_ERR_FULL);
    say(traces, "PUT /v0.4/traces", MSGPACK, "\x91\x90", 2);
    say(stats, "PUT /v0.6/stats", MSGPACK, group, sizeof(group) - 1);
    hear(traces);
    expect_answer("traces", 429, "");
    hear(stats);
    expect_answer("statistics", 408, "timeout\n");
    assert_int_equal(dropped(RECEIVER_TIMEOUT), 2);
}

static void test_who_may_wait_longer_than_a_request_may_take_is_told_429_and_408(void **state)
{
    (void)state;
    other_receiver("receiver_timeout: 3, decoder_timeout: 20000", two_wait_to_their_end);
}

static void one_waits_at_the_end(void)
{
    int fd = raw_connect(receiver_port(f.r));

    atomic_store(&f.sink_status, SONDE_ERR_FULL);
    say(fd, "PUT /v0.4/traces", MSGPACK, "\x91\x90", 2);
    await_waiting(1);
    receiver_stop(f.r);
    hear(fd);
    expect_answer("the end", 200, RATES);
    assert_int_equal(dropped(RECEIVER_REFUSED_CLOSING), 1);
}

static void test_who_waits_when_the_receiver_stops_is_refused(void **state)
{
    (void)state;
    other_receiver("receiver_timeout: 60, decoder_timeout: 59000", one_waits_at_the_end);
}

static void statistics_lose_their_container(void)
{
    static const char group[] = "\x81\xa5Stats\x91\x81\xa5Stats\x91\x81\xa7Service\xa1s";

    ask("PUT /v0.6/stats", MSGPACK "Datadog-Container-ID: abc\r\n", group, sizeof(group) - 1);
    expect_answer("statistics", 200, "");
    assert_int_equal(atomic_load(&f.last)->stats->container_id.len, 0);
}

static void test_a_feature_takes_the_container_off_statistics(void **state)
{
    (void)state;
    other_receiver("features: [disable_cid_stats]", statistics_lose_their_container);
}

static void one_is_told_the_real_status(void)
{
    atomic_store(&f.sink_status, SONDE_ERR_FULL);
    ask("PUT /v0.4/traces", MSGPACK, "\x91\x90", 2);
    expect_answer("full", 429, RATES);
}

static void test_a_feature_tells_every_client_the_real_status(void **state)
{
    (void)state;
    other_receiver("features: [\"429\"]", one_is_told_the_real_status);
}

static void test_a_container_brings_its_tags(void **state)
{
    sonde_str items[] = { SONDE_STR("image:a"), SONDE_STR("pod:b") };
    config_list tags = { items, COUNT_OF(items) };
    agent_config *good = f.config;
    receiver *own = f.r;
    const sonde_str *tag;
    sonde_buf body;

    (void)state;
    assert_status(origin_open(&(origin_options){ .container_tags = &tags }, &f.origin), SONDE_OK);
    f.config = configure("receiver_timeout: 60");
    sonde_log_set_level(SONDE_LOG_ERROR); /* the Unix socket is taken */
    assert_status(open_receiver(&f.r, NULL), SONDE_OK);
    sonde_log_set_level(SONDE_LOG_INFO);
    golden_load("msgpack/v04_one_span.hex", &body);
    ask("PUT /v0.4/traces", MSGPACK "Datadog-Entity-ID: ci-abc\r\n", body.data, body.len);
    expect_answer("traces", 200, RATES);
    tag = payload_tag_get(atomic_load(&f.last), SONDE_STR("_dd.tags.container"));
    assert_non_null(tag);
    assert_true(sonde_str_eq(*tag, SONDE_STR("image:a,pod:b")));
    ask("PUT /v0.4/traces", MSGPACK, body.data, body.len);
    assert_null(payload_tag_get(atomic_load(&f.last), SONDE_STR("_dd.tags.container")));
    /* its tags are the origin's, its body the server's */
    payload_free(atomic_exchange(&f.last, NULL));
    receiver_close(f.r, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    origin_close(f.origin);
    config_put(f.config);
    f.origin = NULL;
    f.config = good;
    f.r = own;
    sonde_buf_done(&body);
}

static void test_bodies_beyond_the_budget_are_refused_before_they_are_read(void **state)
{
    static uint8_t body[60000];

    (void)state;
    body[0] = 0x91; /* one empty chunk, and bytes behind it */
    body[1] = 0x90;
    ask("PUT /v0.4/traces", MSGPACK, body, sizeof(body));
    expect_answer("first", 200, RATES);
    assert_non_null(atomic_load(&f.last)); /* holds 60 000 of 100 000 bytes */

    ask("PUT /v0.4/traces", MSGPACK "Datadog-Send-Real-Http-Status: 1\r\n", body, sizeof(body));
    expect_answer("second", 429, RATES);
    assert_int_equal(dropped(RECEIVER_REFUSED_BUDGET), 1);

    payload_free(atomic_exchange(&f.last, NULL)); /* gives the bytes back */
    ask("PUT /v0.4/traces", MSGPACK, body, sizeof(body));
    expect_answer("third", 200, RATES);
    assert_int_equal(accepted(), 2);
}

static void test_a_body_over_the_limit_is_413_with_its_traces_counted(void **state)
{
    static uint8_t body[70000];
    uint64_t traces = receiver_read_counters(f.r)->traces_dropped[RECEIVER_TOO_BIG];

    (void)state;
    ask("PUT /v0.4/traces", MSGPACK "X-Datadog-Trace-Count: 5\r\n", body, sizeof(body));
    expect_answer("413", 413, "payload-too-large\n");
    assert_true(has_header("Datadog-Agent-Version: 0.1.0\r\n"));
    assert_int_equal(dropped(RECEIVER_TOO_BIG), 1);
    assert_int_equal(receiver_read_counters(f.r)->traces_dropped[RECEIVER_TOO_BIG] - traces, 5);
}

static void test_a_body_that_would_decode_too_large_is_413(void **state)
{
    static uint8_t body[60000];

    (void)state;
    memset(body, 0x80, sizeof(body)); /* empty span maps of 176 bytes each */
    memcpy(body, "\x91\xdd\x00\x00\xea\x00", 6);
    ask("PUT /v0.4/traces", MSGPACK, body, sizeof(body));
    assert_int_equal(answer.status, 413);
    assert_int_equal(dropped(RECEIVER_DECODED_TOO_BIG), 1);
}

static void a_client_stalls(void)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60));
    int fd = raw_connect(receiver_port(f.r));

    raw_send(fd,
             "PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\n" MSGPACK "Content-Length: 10\r\n\r\n\x90");
    raw_read_answer(fd, &answer); /* after receiver_timeout: one second */
    assert_int_equal(answer.status, 408);
    (void)close(fd);
    while (dropped(RECEIVER_TIMEOUT) == 0 && sonde_mono_ns() < deadline)
        (void)poll(NULL, 0, 1); /* counted when the connection is gone */
    assert_int_equal(dropped(RECEIVER_TIMEOUT), 1);
}

static void test_a_client_that_stalls_is_told_408(void **state)
{
    (void)state;
    other_receiver("receiver_timeout: 1", a_client_stalls);
}

static void test_info_lists_exactly_the_rows_that_say_so(void **state)
{
    size_t listed = 0;

    (void)state;
    for (size_t i = 0; i < receiver_endpoints_len; i++) {
        if (!receiver_endpoints[i].listed)
            continue;
        assert_true(listed < receiver_listed_endpoints_len);
        assert_string_equal(receiver_listed_endpoints[listed], receiver_endpoints[i].path);
        listed++;
    }
    assert_int_equal(listed, receiver_listed_endpoints_len);
}

static void test_counters_are_written_as_json(void **state)
{
    sonde_json_writer w;
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, 1 << 16);
    sonde_json_writer_init(&w, &out);
    receiver_write_json(f.r, &w);
    assert_int_equal(out.status, SONDE_OK);
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"payloads_dropped\":{\"refused_budget\":"));
    sonde_buf_done(&out);
}

static void test_a_socket_that_cannot_be_made_is_no_error_but_a_port_is(void **state)
{
    agent_config *good = f.config;
    sonde_error error = { 0 };
    receiver *r = NULL;
    config_options options = { .os_hostname = "h", .cpus = 1 };
    char yaml[128];

    (void)state;
    assert_status(
        config_load_text(
            &options,
            SONDE_STR("apm_config: {receiver_port: -1, receiver_socket: /no/such/dir/s}\n"), "t",
            &f.config, NULL),
        SONDE_OK);
    sonde_log_set_level(SONDE_LOG_ERROR);
    assert_status(open_receiver(&r, &error), SONDE_OK);
    sonde_log_set_level(SONDE_LOG_INFO);
    assert_int_equal(receiver_socket_path(r).len, 0);
    assert_true(receiver_port(r) != 0);
    receiver_close(r, 0);
    config_put(f.config);

    (void)snprintf(yaml, sizeof(yaml), "apm_config: {receiver_port: %u, receiver_socket: \"\"}\n",
                   receiver_port(f.r));
    assert_status(config_load_text(&options, sonde_str_from(yaml), "t", &f.config, NULL), SONDE_OK);
    r = NULL;
    assert_true(open_receiver(&r, &error) != SONDE_OK);
    assert_null(r);
    assert_true(error.message[0] != '\0');
    config_put(f.config);

    assert_status(
        config_load_text(&options,
                         SONDE_STR("apm_config: {receiver_port: 0, receiver_socket: \"\"}\n"), "t",
                         &f.config, NULL),
        SONDE_OK);
    assert_status(open_receiver(&r, &error), SONDE_ERR_CONFIG);
    config_put(f.config);
    f.config = good;
}

enum { CLIENTS = 6, REQUESTS = 40 };

typedef struct client {
    pthread_t thread;
    uint64_t answered; /* with 200 */
    uint64_t refused;  /* with 429 */
    uint64_t failed;   /* anything else */
} client;

/* Records only: cmocka asserts in the main thread. */
static void *send_many(void *arg)
{
    const sonde_http_header headers[] = {
        { SONDE_STR("Content-Type"), SONDE_STR("application/msgpack") },
        { SONDE_STR("Datadog-Send-Real-Http-Status"), SONDE_STR("true") },
    };
    const sonde_url url = { .scheme = SONDE_URL_HTTP,
                            .port = receiver_port(f.r),
                            .host = "127.0.0.1" };
    sonde_http_plain_request request = { .method = "PUT",
                                         .path = "/v0.4/traces",
                                         .headers = headers,
                                         .headers_len = COUNT_OF(headers),
                                         .body = SONDE_STR("\x91\x90") };
    sonde_http_plain_answer got;
    sonde_http_plain *http;
    client *me = arg;

    if (sonde_http_plain_open(&url, 4096, &http) != SONDE_OK)
        return NULL;
    for (int i = 0; i < REQUESTS; i++) {
        request.deadline_mono_ns = sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60));
        if (sonde_http_plain_send(http, &request, &got) != SONDE_OK)
            me->failed++;
        else if (got.status == 200)
            me->answered++;
        else if (got.status == 429)
            me->refused++;
        else
            me->failed++;
    }
    sonde_http_plain_close(http);
    return NULL;
}

static sonde_status refuse_every_third(void *stage, payload *p)
{
    static _Atomic unsigned calls;

    (void)stage;
    if (atomic_fetch_add(&calls, 1) % 3 == 2)
        return SONDE_ERR_FULL;
    payload_free(p);
    return SONDE_OK;
}

static void test_counts_add_up_with_many_clients_at_once(void **state)
{
    client clients[CLIENTS] = { 0 };
    uint64_t answered = 0, refused = 0, failed = 0;

    (void)state;
    f.r->sink.push = refuse_every_third; /* nobody is connected now */
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i].thread, NULL, send_many, &clients[i]), 0);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
        answered += clients[i].answered;
        refused += clients[i].refused;
        failed += clients[i].failed;
    }
    f.r->sink.push = record;
    assert_int_equal(failed, 0);
    assert_int_equal(answered + refused, CLIENTS * REQUESTS);
    assert_int_equal(refused, CLIENTS * REQUESTS / 3);
    assert_int_equal(accepted(), answered);
    assert_int_equal(dropped(RECEIVER_REFUSED_QUEUE), refused);
}

static sonde_status open_and_close(void *user)
{
    receiver *r = NULL;
    sonde_status status = open_receiver(&r, NULL);

    (void)user;
    receiver_close(r, 0);
    return status;
}

static void test_opening_copes_without_memory(void **state)
{
    agent_config *good = f.config;

    (void)state;
    f.config = configure("decoders: 1");
    f.config->receiver_socket = (sonde_str){ NULL, 0 };
    alloc_fail_each(open_and_close, NULL);
    config_put(f.config);
    f.config = good;
}

/* As systemd or a parent process hands them over. */
static void test_inherited_descriptors_are_served(void **state)
{
    agent_config *good = f.config;
    sonde_error error = { 0 };
    receiver *r = NULL, *own = f.r;
    char more[256], path[80];
    int tcp, unix_fd, waiting, connected, accepted, kept;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/inherited", f.dir);
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &tcp, NULL), SONDE_OK);
    assert_status(sonde_listen_unix(path, 0700, &unix_fd, NULL), SONDE_OK);
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &waiting, NULL), SONDE_OK);
    connected = raw_connect(sonde_local_port(waiting));
    accepted = accept(waiting, NULL, NULL);
    (void)snprintf(more, sizeof(more),
                   "net_receiver_fd: %d, unix_receiver_fd: %d, net_receiver_client_fd: %d", tcp,
                   unix_fd, accepted);
    f.config = configure(more);
    kept = dup(tcp); /* as whoever started us has it */
    if (open_receiver(&r, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    f.r = r;
    ask_with(connected, "POST /v0.7/config", JSON, "{}", 2);
    expect_answer("the connection", 200, "{}");
    ask_with(raw_connect(sonde_local_port(tcp)), "POST /v0.7/config", JSON, "{}", 2);
    expect_answer("over TCP", 200, "{}");
    ask_with(raw_connect_unix(path), "POST /v0.7/config", JSON, "{}", 2);
    expect_answer("over the Unix socket", 200, "{}");
    assert_int_equal(receiver_port(r), sonde_local_port(tcp));
    receiver_close(r, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    config_put(f.config);
    (void)close(raw_connect(sonde_local_port(kept))); /* waits for the next one to be started */
    accepted = accept(kept, NULL, NULL);
    assert_true(accepted >= 0);
    (void)close(accepted);
    (void)close(kept);

    f.config = configure("net_receiver_fd: 99999, net_receiver_client_fd: 99999");
    assert_status(open_receiver(&r, &error), SONDE_OK); /* binds as ever */
    f.r = r;
    ask("POST /v0.7/config", JSON, "{}", 2);
    expect_answer("a descriptor of no use", 200, "{}");
    receiver_close(r, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    config_put(f.config);
    f.config = good;
    f.r = own;
    (void)close(waiting);
    (void)unlink(path);
}

static void test_a_stopped_receiver_refuses_but_answers(void **state)
{
    (void)state;
    receiver_stop(f.r); /* the last test: it stays stopped */
    ask("PUT /v0.4/traces", MSGPACK, "\x91\x90", 2);
    expect_answer("stopped", 200, RATES);
    assert_int_equal(dropped(RECEIVER_REFUSED_CLOSING), 1);
}

#define unit(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_opening_copes_without_memory), /* first: the fixture's server must be idle */
        unit(test_every_endpoint_answers_as_the_table_says),
        unit(test_info_carries_no_agent_headers),
        unit(test_errors_are_plain_text_that_is_not_sniffed),
        unit(test_a_payload_carries_body_and_head_to_the_sink),
        unit(test_chunked_bodies_and_unix_sockets_work_alike),
        unit(test_rates_are_answered_by_version),
        unit(test_a_version_is_answered_before_there_are_rates),
        unit(test_a_full_queue_refuses_as_the_client_wants_to_hear_it),
        unit(test_payloads_wait_for_room_in_the_queue),
        unit(test_who_waited_in_vain_is_refused),
        unit(test_who_finds_memory_short_is_refused_at_once),
        unit(test_who_may_wait_longer_than_a_request_may_take_is_told_429_and_408),
        unit(test_who_waits_when_the_receiver_stops_is_refused),
        unit(test_a_feature_tells_every_client_the_real_status),
        unit(test_a_feature_takes_the_container_off_statistics),
        unit(test_a_container_brings_its_tags),
        unit(test_bodies_beyond_the_budget_are_refused_before_they_are_read),
        unit(test_a_body_over_the_limit_is_413_with_its_traces_counted),
        unit(test_a_body_that_would_decode_too_large_is_413),
        unit(test_a_client_that_stalls_is_told_408),
        unit(test_info_lists_exactly_the_rows_that_say_so),
        unit(test_counters_are_written_as_json),
        unit(test_a_socket_that_cannot_be_made_is_no_error_but_a_port_is),
        unit(test_counts_add_up_with_many_clients_at_once),
        unit(test_inherited_descriptors_are_served),
        unit(test_a_stopped_receiver_refuses_but_answers),
    };

    return cmocka_run_group_tests_name("receiver", tests, group_setup, group_teardown);
}
