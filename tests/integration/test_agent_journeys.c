/* A real agent process between a tracer's requests and an intake that decodes with other people's
 * libraries: everything arrives once, statistics are right, outages and stops lose nothing. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/http_plain.h"
#include "support/agent_process.h"
#include "support/fake_intake.h"
#include "support/raw_http.h"
#include "support/trace_bodies.h"

#define TRACES 40
#define SPANS  (TRACES * BODY_SPANS_A_TRACE) /* of one body */
#define S      UINT64_C(1000000000)

typedef struct journey {
    fake_intake intake;
    agent_process agent;
    sonde_http_plain *client;
    sonde_http_plain_answer answer;
} journey;

static journey j;

static void connect_client(void)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .host = "127.0.0.1", .port = j.agent.port };

    sonde_http_plain_close(j.client);
    assert_status(sonde_http_plain_open(&url, 1 << 20, &j.client), SONDE_OK);
}

static void begin(const char *const *environment)
{
    fake_intake_open(&j.intake, 0);
    agent_process_start(&j.agent, j.intake.url, environment);
    j.client = NULL;
    connect_client();
}

static int setup(void **state)
{
    (void)state;
    begin(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sonde_http_plain_close(j.client);
    j.client = NULL;
    agent_process_kill(&j.agent);
    if (j.intake.server)
        fake_intake_close(&j.intake);
    fake_intake_done(&j.intake);
    return 0;
}

static int request(const char *path, sonde_str body, const sonde_http_header *headers, size_t len)
{
    const sonde_http_plain_request r = { .method = "PUT",
                                         .path = path,
                                         .headers = headers,
                                         .headers_len = len,
                                         .body = body,
                                         .deadline_mono_ns = sonde_mono_ns() + 20 * S };

    assert_status(sonde_http_plain_send(j.client, &r, &j.answer), SONDE_OK);
    return j.answer.status;
}

static int send_traces(sonde_str body)
{
    const sonde_http_header headers[] = { { SONDE_STR("Content-Type"),
                                            SONDE_STR("application/msgpack") },
                                          { SONDE_STR("Datadog-Meta-Lang"), SONDE_STR("c") } };

    return request("/v0.4/traces", body, headers, 2);
}

static bool answer_says(const char *text)
{
    return memmem(j.answer.body.ptr, j.answer.body.len, text, strlen(text)) != NULL;
}

static void send_body(uint64_t seed)
{
    sonde_buf b;

    sonde_buf_init(&b, 1 << 22);
    trace_body_v04(&b, seed, TRACES, sonde_unix_ns());
    assert_int_equal(send_traces(sonde_buf_str(&b)), 200);
    sonde_buf_done(&b);
}

/* Ends both sides, so that what the intake took can be read. */
static void finish(void)
{
    assert_int_equal(agent_process_stop(&j.agent), 0);
    fake_intake_close(&j.intake);
    assert_int_equal(atomic_load(&j.intake.malformed), 0);
    assert_int_equal(atomic_load(&j.intake.without_key), 0);
    assert_false(j.intake.overflow);
}

static int by_span_id(const void *a, const void *b)
{
    uint64_t x = ((const fake_span *)a)->span_id, y = ((const fake_span *)b)->span_id;

    return (x > y) - (x < y);
}

static void assert_each_span_once(size_t want)
{
    size_t i;

    assert_int_equal(j.intake.spans_len, want);
    qsort(j.intake.spans, j.intake.spans_len, sizeof(fake_span), by_span_id);
    for (i = 1; i < j.intake.spans_len; i++)
        assert_true(j.intake.spans[i - 1].span_id != j.intake.spans[i].span_id);
}

static void test_every_span_arrives_once_and_whole(void **state)
{
    size_t i, tops = 0;
    uint64_t k;

    (void)state;
    for (k = 1; k <= 5; k++)
        send_body(k);
    finish();

    assert_each_span_once(5 * SPANS);
    assert_string_equal(j.intake.languages, "c");
    for (i = 0; i < j.intake.spans_len; i++) {
        const fake_span *s = &j.intake.spans[i];

        tops += s->top_level;
        assert_true(s->trace_id && s->start > 0 && s->duration > 0);
        assert_string_equal(s->env, "prod");
        assert_true(strcmp(s->service, "gateway") == 0 || strcmp(s->service, "orders") == 0);
    }
    assert_int_equal(tops, 5 * TRACES * 2); /* the gateway's root, the orders' entry */
}

static bool same_group(const fake_group *g, const fake_span *s)
{
    uint64_t end = (uint64_t)(s->start + s->duration);

    return g->start == end - end % (10 * S) && g->http_status == s->http_status &&
           (g->is_trace_root == 1) == (s->parent_id == 0) && strcmp(g->service, s->service) == 0 &&
           strcmp(g->name, s->name) == 0 && strcmp(g->resource, s->resource) == 0 &&
           strcmp(g->type, s->type) == 0 && strcmp(g->kind, s->kind) == 0 &&
           strcmp(g->env, s->env) == 0;
}

static bool counts(const fake_span *s)
{
    return s->top_level || strcmp(s->kind, "server") == 0 || strcmp(s->kind, "client") == 0;
}

/* All traces are kept here, so the statistics can be counted again from the spans that arrived. */
static void test_statistics_equal_a_recount_of_the_spans(void **state)
{
    uint64_t hits = 0, eligible = 0, k;
    size_t i, n;

    (void)state;
    for (k = 1; k <= 8; k++)
        send_body(k);
    finish();

    for (n = 0; n < j.intake.spans_len; n++)
        eligible += counts(&j.intake.spans[n]);
    for (i = 0; i < j.intake.groups_len; i++) {
        const fake_group *g = &j.intake.groups[i];
        fake_group want = { .hits = 0 };

        for (n = 0; n < j.intake.spans_len; n++) {
            const fake_span *s = &j.intake.spans[n];

            if (!counts(s) || !same_group(g, s))
                continue;
            want.hits++;
            want.errors += s->error != 0;
            want.top_level_hits += s->top_level;
            want.duration += (uint64_t)s->duration;
        }
        if (want.hits != g->hits || want.errors != g->errors || want.duration != g->duration ||
            want.top_level_hits != g->top_level_hits)
            fail_msg("%s %s %s: hits %llu, want %llu; errors %llu, want %llu", g->service, g->name,
                     g->resource, (unsigned long long)g->hits, (unsigned long long)want.hits,
                     (unsigned long long)g->errors, (unsigned long long)want.errors);
        hits += g->hits;
    }
    assert_true(eligible > 0);
    assert_int_equal(hits, eligible);
}

static void test_rates_come_with_the_answer(void **state)
{
    const sonde_http_header same[] = { { SONDE_STR("Datadog-Rates-Payload-Version"), { NULL, 0 } },
                                       { SONDE_STR("Content-Type"),
                                         SONDE_STR("application/msgpack") } };
    sonde_http_header headers[2];
    char version[64];
    int tries = 0;

    (void)state;
    /* The answer precedes processing, so the first rates come with some later answer. */
    do {
        send_body((uint64_t)tries + 1);
    } while (!answer_says("\"service:,env:\":1") && ++tries < 1000);
    assert_true(tries < 1000);

    memcpy(headers, same, sizeof(same));
    headers[0].value = SONDE_STR("stale");
    assert_int_equal(request("/v0.4/traces", SONDE_STR("\x90"), headers, 2), 200);
    (void)snprintf(version, sizeof(version), "%.*s",
                   SONDE_STR_ARG(sonde_http_plain_header(
                       &j.answer, SONDE_STR("Datadog-Rates-Payload-Version"))));
    assert_true(strchr(version, '-') != NULL);
}

static void test_bad_bodies_cost_only_themselves(void **state)
{
    const struct {
        const char *label;
        sonde_str body;
    } bad[] = {
        { "reserved byte", SONDE_STR("\xc1") },
        { "cut off", SONDE_STR("\x91\x91\x82") },
        { "a number", SONDE_STR("\x2a") },
        { "a string where spans belong", SONDE_STR("\x91\xa3"
                                                   "abc") },
        { "announced millions", SONDE_STR("\xdd\xff\xff\xff\xff") },
        { "empty", { NULL, 0 } },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(bad); i++) {
        int status = send_traces(bad[i].body);

        if (status < 400 || status > 499)
            fail_msg("%s: status %d", bad[i].label, status);
        send_body(i + 1);
    }
    finish();
    assert_each_span_once(COUNT_OF(bad) * SPANS);
}

static void test_a_body_that_is_too_large_is_refused_before_it_is_read(void **state)
{
    const char *const environment[] = { "DD_APM_MAX_PAYLOAD_SIZE=100000", NULL };
    sonde_buf b;

    (void)state;
    begin(environment);
    sonde_buf_init(&b, 1 << 22);
    trace_body_v04(&b, 1, 300, sonde_unix_ns());
    assert_true(b.len > 100000);
    assert_int_equal(send_traces(sonde_buf_str(&b)), 413);
    sonde_buf_done(&b);
    send_body(1);
    finish();
    assert_each_span_once(SPANS);
}

static void test_the_first_trace_of_a_service_names_the_installation(void **state)
{
    const char *const environment[] = { "DD_INSTRUMENTATION_INSTALL_ID=i-1", NULL };
    size_t i, named = 0;

    (void)state;
    begin(environment);
    send_body(1);
    send_body(2);
    finish();
    assert_each_span_once(2 * SPANS);
    for (i = 0; i < j.intake.spans_len; i++) {
        named += j.intake.spans[i].names_installation;
        assert_false(j.intake.spans[i].names_installation && j.intake.spans[i].parent_id);
    }
    assert_int_equal(named, 1); /* all traces begin at the gateway */
}

static void get_status(void)
{
    const sonde_http_plain_request r = { .method = "GET",
                                         .path = "/sonde/v1/status",
                                         .deadline_mono_ns = sonde_mono_ns() + 20 * S };

    assert_status(sonde_http_plain_send(j.client, &r, &j.answer), SONDE_OK);
    assert_int_equal(j.answer.status, 200);
}

/* A body that was announced and never arrives holds its part of the budget. */
static int hold_budget(void)
{
    int fd = raw_connect(j.agent.port);

    raw_send(fd, "PUT /v0.4/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
                 "Content-Length: 6000000\r\n\r\nx");
    do
        get_status();
    while (answer_says("\"budget_used_bytes\":0,"));
    return fd;
}

static void test_what_exceeds_the_budget_is_refused_as_the_client_asked(void **state)
{
    static char body[4000000];
    const char *const environment[] = { "SONDE_MEMORY_LIMIT=16MiB",
                                        "DD_APM_MAX_PAYLOAD_SIZE=8000000", NULL };
    const sonde_http_header honest[] = {
        { SONDE_STR("Content-Type"), SONDE_STR("application/msgpack") },
        { SONDE_STR("Datadog-Send-Real-Http-Status"), SONDE_STR("true") }
    };
    int fd;

    (void)state;
    begin(environment);
    fd = hold_budget();
    assert_int_equal(send_traces((sonde_str){ body, sizeof(body) }),
                     200); /* what old clients expect */
    connect_client();
    assert_int_equal(request("/v0.4/traces", (sonde_str){ body, sizeof(body) }, honest, 2), 429);
    connect_client();
    get_status();
    assert_true(answer_says("\"refused_budget\":2"));
    send_body(1); /* what fits goes on */
    (void)close(fd);
    finish();
    assert_each_span_once(SPANS);
}

static void test_an_intake_that_fails_for_a_while_loses_nothing(void **state)
{
    uint64_t k;

    (void)state;
    atomic_store(&j.intake.status, 503);
    for (k = 1; k <= 40;
         k++) /* enough for several bodies: the writer flushes when full, or every 5 s */
        send_body(k);
    assert_true(fake_intake_wait_requests(&j.intake, 2));
    atomic_store(&j.intake.status, 200);
    for (; k <= 60; k++)
        send_body(k);
    finish();

    assert_true(atomic_load(&j.intake.refused) >= 2);
    assert_each_span_once(60 * SPANS);
}

static void test_an_intake_that_is_not_there_yet_loses_nothing(void **state)
{
    uint16_t port = agent_process_free_port();
    char url[64];
    uint64_t k;

    (void)state;
    memset(&j, 0, sizeof(j));
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", (unsigned)port);
    agent_process_start(&j.agent, url, (const char *const[]){ "DD_LOG_LEVEL=error", NULL });
    connect_client();
    for (k = 1; k <= 10; k++)
        send_body(k);
    fake_intake_open(&j.intake, port);
    finish();
    assert_each_span_once(10 * SPANS);
}

static void test_the_status_page_has_every_stage_and_no_secret(void **state)
{
    static const char *const wanted[] = { "\"receiver\"", "\"processor\"",    "\"stats\"",
                                          "\"sampler\"",  "\"trace_writer\"", "\"forwarder\"",
                                          "\"process\"" };
    char spans[64];
    size_t i;

    (void)state;
    send_body(1);
    (void)snprintf(spans, sizeof(spans), "\"spans_received\":%d", SPANS);
    get_status();
    for (i = 0; i < COUNT_OF(wanted); i++)
        assert_true(answer_says(wanted[i]));
    assert_true(answer_says(spans));
    assert_false(answer_says("0123456789abcdef")); /* the API key */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_span_arrives_once_and_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_statistics_equal_a_recount_of_the_spans, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_rates_come_with_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_bodies_cost_only_themselves, setup, teardown),
        cmocka_unit_test_teardown(test_a_body_that_is_too_large_is_refused_before_it_is_read,
                                  teardown),
        cmocka_unit_test_teardown(test_the_first_trace_of_a_service_names_the_installation,
                                  teardown),
        cmocka_unit_test_teardown(test_what_exceeds_the_budget_is_refused_as_the_client_asked,
                                  teardown),
        cmocka_unit_test_setup_teardown(test_an_intake_that_fails_for_a_while_loses_nothing, setup,
                                        teardown),
        cmocka_unit_test_teardown(test_an_intake_that_is_not_there_yet_loses_nothing, teardown),
        cmocka_unit_test_setup_teardown(test_the_status_page_has_every_stage_and_no_secret, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("agent_journeys", tests, NULL, NULL);
}
