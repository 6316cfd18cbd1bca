/* test_trace_agent.c - libtrace against agents that are absent, slow, dying or lying.
 *
 * Whatever the agent does, the program goes on, memory stays below the ceiling, and afterwards
 * finished == delivered + dropped + queued, where delivered is what the agent counted itself. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/clock.h"
#include "sonde/sonde.h"
#include "support/fake_agent.h"
#include "support/temp_dir.h"

static sonde_counters before;

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

static void start(const char *url)
{
    sonde_options o = { .service = "it", .agent_url = url, .stop_timeout_ms = 3000 };

    assert_int_equal(setenv("DD_TRACE_RETRY_INTERVAL", "1ms", 1), 0);
    assert_int_equal(setenv("DD_TRACE_AGENT_TIMEOUT", "3", 1), 0);
    assert_int_equal(setenv("DD_TRACE_LOG_LEVEL", "error", 1), 0);
    before = counters();
    assert_status(sonde_start(&o), SONDE_OK);
}

static void traces(int n, int spans)
{
    int i, j;

    for (i = 0; i < n; i++) {
        SONDE_SPAN(root, "request");

        for (j = 1; j < spans; j++) {
            SONDE_SPAN(child, "query");
            sonde_span_set_str(child, "k", "a value of some length");
        }
    }
}

static uint64_t dropped(const sonde_counters *c, uint32_t reason)
{
    return c->spans_dropped[reason] - before.spans_dropped[reason];
}

/* A stop returns at its deadline; on a busy machine the thread may then have a moment to go. */
static sonde_counters settled(void)
{
    uint64_t until = sonde_deadline(sonde_mono_ns(), 60 * (uint64_t)SONDE_NS_PER_S);
    sonde_counters c = counters();

    while (c.spans_queued > 0 && sonde_mono_ns() < until) {
        (void)usleep(1000);
        c = counters();
    }
    return c;
}

/* Stops, and checks the law; returns the counters. */
static sonde_counters stop_and_balance(uint64_t spans, const fake_agent *agent, fake_counts seen)
{
    sonde_counters c;
    uint64_t lost = 0;
    uint32_t i;

    sonde_stop();
    c = settled();
    for (i = 0; i < c.drops; i++)
        lost += dropped(&c, i);
    assert_int_equal(c.spans_started - before.spans_started, spans);
    assert_int_equal(c.spans_open, before.spans_open);
    assert_int_equal(c.spans_queued, 0);
    assert_int_equal(c.chunks_queued, 0);
    assert_int_equal(c.spans_finished - before.spans_finished,
                     c.spans_delivered - before.spans_delivered + lost);
    if (agent)
        assert_int_equal(seen.taken_spans, c.spans_delivered - before.spans_delivered);
    return c;
}

static void test_everything_arrives_over_tcp_and_over_a_socket(void **state)
{
    char dir[256];
    char path[300];
    int over_socket;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/apm.socket", dir);
    for (over_socket = 0; over_socket < 2; over_socket++) {
        fake_agent *agent = fake_agent_open(over_socket ? path : NULL);

        start(fake_agent_url(agent));
        traces(500, 10);
        assert_status(sonde_flush(60000), SONDE_OK);
        assert_int_equal(fake_agent_counts(agent).announced, 500);
        assert_int_equal(fake_agent_counts(agent).bad, 0);
        (void)stop_and_balance(5000, agent, fake_agent_counts(agent));
        assert_int_equal(fake_agent_counts(agent).taken_spans, 5000);
        fake_agent_close(agent);
    }
    temp_dir_remove(dir);
}

static void test_a_request_says_who_sends(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    static const char *const want[] = {
        "POST /v0.4/traces HTTP/1.1",
        "Content-Type: application/msgpack",
        "Datadog-Meta-Lang: c",
        "Datadog-Client-Computed-Top-Level: yes",
        "Datadog-Send-Real-Http-Status: ",
        "X-Datadog-Trace-Count: 3",
    };
    char *head;
    size_t i;

    (void)state;
    start(fake_agent_url(agent));
    traces(3, 1);
    assert_status(sonde_flush(60000), SONDE_OK);
    head = fake_agent_last_head(agent);
    for (i = 0; i < COUNT_OF(want); i++)
        if (!strstr(head, want[i]))
            fail_msg("no \"%s\" in:\n%s", want[i], head);
    free(head);
    (void)stop_and_balance(3, agent, fake_agent_counts(agent));
    fake_agent_close(agent);
}

static void test_answers_decide_between_retry_and_drop(void **state)
{
    static const struct {
        const char *label;
        fake_answer answer;
        int times;
        uint64_t requests;
        int reason; /* -1: delivered in the end */
    } cases[] = {
        { "429 twice", { .status = 429 }, 2, 3, -1 },
        { "429 for ever", { .status = 429 }, 3, 3, SONDE_DROP_AGENT_BUSY },
        { "500 once", { .status = 500 }, 1, 2, -1 },
        { "408 for ever", { .status = 408 }, 3, 3, SONDE_DROP_AGENT_BUSY },
        { "404", { .status = 404 }, 1, 1, SONDE_DROP_AGENT_REFUSED },
        { "413", { .status = 413 }, 1, 1, SONDE_DROP_AGENT_REFUSED },
        { "closed once", { .manner = FAKE_CLOSE }, 1, 2, -1 },
        { "garbage for ever", { .manner = FAKE_GARBAGE }, 3, 3, SONDE_DROP_AGENT_UNREACHABLE },
        { "hangs once", { .manner = FAKE_HANG }, 1, 2, -1 },
        { "rates that lie",
          { .body = "{\"rate_by_service\":{\"service:,env:\":1e999}}" },
          1,
          1,
          -1 },
        { "rates that are none", { .body = "{\"rate_by_service\":{" }, 1, 1, -1 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        fake_agent *agent = fake_agent_open(NULL);
        sonde_counters c;

        fake_agent_answer(agent, cases[i].answer, cases[i].times);
        start(fake_agent_url(agent));
        traces(2, 5);
        assert_status(sonde_flush(60000), SONDE_OK);
        if (fake_agent_counts(agent).requests != cases[i].requests)
            fail_msg("%s: %llu requests", cases[i].label,
                     (unsigned long long)fake_agent_counts(agent).requests);
        c = stop_and_balance(10, agent, fake_agent_counts(agent));
        if (cases[i].reason >= 0 && dropped(&c, (uint32_t)cases[i].reason) != 10)
            fail_msg("%s: not dropped for %s", cases[i].label,
                     sonde_drop_name((uint32_t)cases[i].reason));
        if (cases[i].reason < 0 && c.spans_delivered - before.spans_delivered != 10)
            fail_msg("%s: not delivered", cases[i].label);
        fake_agent_close(agent);
    }
}

static void test_rates_of_the_answer_decide_the_next_traces(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    int i, kept = 0;

    (void)state;
    fake_agent_answer(agent,
                      (fake_answer){ .body = "{\"rate_by_service\":{\"service:it,env:\":0}}" }, 1);
    start(fake_agent_url(agent));
    traces(1, 1);
    assert_status(sonde_flush(60000), SONDE_OK);
    for (i = 0; i < 20; i++) {
        sonde_span *span = sonde_span_start("request", NULL);
        uint8_t *body;
        size_t len;

        if (i == 19)
            sonde_span_keep(span);
        sonde_span_finish(span);
        assert_status(sonde_flush(60000), SONDE_OK);
        body = fake_agent_last_body(agent, &len);
        kept += memmem(body, len, "_dd.p.dm", 8) != NULL;
        free(body);
    }
    assert_int_equal(kept, 1); /* the one kept by hand */
    (void)stop_and_balance(21, agent, fake_agent_counts(agent));
    fake_agent_close(agent);
}

static void test_without_an_agent_spans_are_dropped_and_memory_is_bounded(void **state)
{
    sonde_counters c;
    int i;

    (void)state;
    start("http://127.0.0.1:1");
    for (i = 0; i < 40; i++) {
        traces(1000, 10);
        c = counters();
        assert_true(c.memory_bytes <= c.memory_max_bytes);
    }
    c = stop_and_balance(400000, NULL, (fake_counts){ 0 });
    assert_int_equal(c.spans_delivered, before.spans_delivered);
    assert_true(dropped(&c, SONDE_DROP_AGENT_UNREACHABLE) > 0);
}

static void test_an_agent_that_dies_and_returns_gets_what_comes_later(void **state)
{
    char dir[256];
    char path[300];
    char url[320];
    fake_agent *agent;
    fake_counts first, second;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/apm.socket", dir);
    (void)snprintf(url, sizeof(url), "unix://%s", path);
    agent = fake_agent_open(path);
    start(url);
    traces(10, 2);
    assert_status(sonde_flush(60000), SONDE_OK);
    first = fake_agent_counts(agent);
    fake_agent_close(agent);
    traces(10, 2);
    assert_status(sonde_flush(60000), SONDE_OK); /* dropped by now */
    agent = fake_agent_open(path);
    traces(10, 2);
    assert_status(sonde_flush(60000), SONDE_OK);
    second = fake_agent_counts(agent);
    assert_int_equal(first.taken_spans, 20);
    assert_int_equal(second.taken_spans, 20);
    second.taken_spans += first.taken_spans;
    (void)stop_and_balance(60, agent, second);
    fake_agent_close(agent);
    temp_dir_remove(dir);
}

static void test_stop_meets_its_deadline_with_an_agent_that_hangs(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_options o = { .service = "it",
                        .agent_url = fake_agent_url(agent),
                        .stop_timeout_ms = 200 };
    uint64_t from;
    sonde_counters c;

    (void)state;
    fake_agent_answer(agent, (fake_answer){ .manner = FAKE_HANG }, 60);
    before = counters();
    assert_status(sonde_start(&o), SONDE_OK);
    traces(5, 2);
    from = sonde_mono_ns();
    c = stop_and_balance(10, agent, fake_agent_counts(agent));
    assert_true(sonde_mono_ns() - from < 60 * (uint64_t)SONDE_NS_PER_S); /* not for ever */
    assert_int_equal(dropped(&c, SONDE_DROP_AGENT_UNREACHABLE), 10);
    fake_agent_close(agent);
}

/* The thread that sends hangs until the deadline has come: nothing is left that anybody could wait for. */
static void test_what_is_queued_at_the_deadline_of_a_stop_is_dropped_unread(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_options o = { .service = "it",
                        .agent_url = fake_agent_url(agent),
                        .stop_timeout_ms = 1000 };
    sonde_counters c;

    (void)state;
    fake_agent_answer(agent, (fake_answer){ .manner = FAKE_HANG }, 60);
    assert_int_equal(setenv("DD_TRACE_AGENT_TIMEOUT", "10", 1), 0);
    before = counters();
    assert_status(sonde_start(&o), SONDE_OK);
    traces(1, 1);
    (void)sonde_flush(0);
    assert_true(fake_agent_wait_requests(agent, 1, 60000));
    traces(1000, 10);
    c = stop_and_balance(10001, agent, fake_agent_counts(agent));
    assert_int_equal(dropped(&c, SONDE_DROP_STOPPED), 10000);
    assert_int_equal(dropped(&c, SONDE_DROP_AGENT_UNREACHABLE), 1);
    start(fake_agent_url(agent)); /* the thread is gone */
    sonde_stop();
    fake_agent_close(agent);
}

static void test_spans_open_at_the_stop_are_dropped_when_they_finish(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_span *open, *child;
    sonde_counters c;

    (void)state;
    start(fake_agent_url(agent));
    open = sonde_span_enter("open", NULL);
    child = sonde_span_start("finished", NULL);
    sonde_span_finish(child);
    sonde_stop();
    assert_null(sonde_span_start("off", NULL));
    sonde_span_set_str(open, "k", "v");
    sonde_span_leave(open);
    c = counters();
    assert_int_equal(dropped(&c, SONDE_DROP_STOPPED), 2);
    start(fake_agent_url(agent));
    traces(1, 1);
    assert_status(sonde_flush(60000), SONDE_OK);
    (void)stop_and_balance(1, agent, fake_agent_counts(agent));
    fake_agent_close(agent);
}

static void test_a_context_outlives_stop_and_start(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_span *open, *child;
    sonde_context *context;
    uint64_t trace;

    (void)state;
    start(fake_agent_url(agent));
    open = sonde_span_start("open", NULL);
    trace = sonde_span_trace_id_low(open);
    context = sonde_context_of_span(open);
    sonde_stop();
    start(fake_agent_url(agent));
    child = sonde_span_start("child", &(sonde_span_options){ .context = context });
    assert_true(sonde_span_trace_id_low(child) == trace);
    sonde_context_release(context);
    sonde_span_finish(child);
    sonde_span_finish(open);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 1);
    sonde_stop();
    fake_agent_close(agent);
}

static void test_a_trace_too_big_for_a_request_is_sent_in_parts_or_counted(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    static char value[20000];
    int i;

    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    start(fake_agent_url(agent));
    {
        SONDE_SPAN(root, "huge");

        for (i = 0; i < 1500; i++) {
            SONDE_SPAN(child, "part");
            sonde_span_set_str(child, "value", value);
        }
    }
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_int_equal(fake_agent_counts(agent).bad, 0);
    (void)stop_and_balance(1501, agent, fake_agent_counts(agent));
    fake_agent_close(agent);
}

static void test_the_agent_is_asked_what_it_can_do(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);

    (void)state;
    fake_agent_info(agent, "{\"endpoints\":[\"/v0.4/traces\"]}", "one");
    assert_status(sonde_wait_for_agent(10000), SONDE_ERR_STATE);
    start(fake_agent_url(agent)); /* telemetry starts the thread, whose first question it is */
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    assert_int_equal(fake_agent_counts(agent).infos, 1);
    traces(1, 1); /* the first state seen is no change */
    assert_status(sonde_flush(60000), SONDE_OK);
    fake_agent_info(agent, "{}", "two");
    traces(1, 1);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_true(fake_agent_wait_infos(agent, 2, 60000));
    (void)stop_and_balance(2, agent, fake_agent_counts(agent));
    assert_int_equal(fake_agent_counts(agent).infos, 2);
    fake_agent_close(agent);
}

static void test_v05_is_sent_once_the_agent_takes_it(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    char *head;

    (void)state;
    (void)setenv("DD_TRACE_API_VERSION", "v0.5", 1);
    fake_agent_info(agent, "{\"endpoints\":[\"/v0.4/traces\"]}", NULL);
    start(fake_agent_url(agent));
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    traces(10, 3);
    assert_status(sonde_flush(60000), SONDE_OK);
    (void)stop_and_balance(30, agent, fake_agent_counts(agent));
    head = fake_agent_last_head(agent);
    assert_non_null(strstr(head, "POST /v0.4/traces "));
    free(head);
    fake_agent_info(agent, "{\"endpoints\":[\"/v0.4/traces\",\"/v0.5/traces\"]}", NULL);
    start(fake_agent_url(agent));
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    traces(500, 10);
    assert_status(sonde_flush(60000), SONDE_OK);
    (void)stop_and_balance(5000, agent, (fake_counts){ .taken_spans = 5000 });
    head = fake_agent_last_head(agent);
    assert_non_null(strstr(head, "POST /v0.5/traces "));
    free(head);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 5030);
    assert_int_equal(fake_agent_counts(agent).bad, 0);
    fake_agent_close(agent);
    (void)unsetenv("DD_TRACE_API_VERSION");
}

static void assert_in_head(fake_agent *agent, const char *text, bool want)
{
    char *head = fake_agent_last_head(agent);

    if ((strstr(head, text) != NULL) != want)
        fail_msg("%s \"%s\" in:\n%s", want ? "no" : "found", text, head);
    free(head);
}

/* The last test of v1: from the 404 on the process does without. */
static void test_v1_is_sent_until_the_agent_refuses_it(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_counters after;

    (void)state;
    (void)setenv("DD_TRACE_AGENT_PROTOCOL_VERSION", "1.0", 1);
    fake_agent_info(agent, "{\"endpoints\":[\"/v0.4/traces\",\"/v1.0/traces\"]}", NULL);
    start(fake_agent_url(agent));
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    traces(500, 10);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_in_head(agent, "POST /v1.0/traces ", true);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 5000);
    fake_agent_answer(agent, (fake_answer){ .status = 404 }, 1);
    traces(1, 2);
    assert_status(sonde_flush(60000), SONDE_OK);
    traces(1, 3);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_in_head(agent, "POST /v0.4/traces ", true);
    sonde_stop();
    after = counters();
    assert_int_equal(after.spans_dropped[SONDE_DROP_AGENT_REFUSED] -
                         before.spans_dropped[SONDE_DROP_AGENT_REFUSED],
                     2);
    start(fake_agent_url(agent)); /* for good */
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    traces(1, 3);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_in_head(agent, "POST /v0.4/traces ", true);
    sonde_stop();
    assert_int_equal(fake_agent_counts(agent).bad, 0);
    fake_agent_close(agent);
    (void)unsetenv("DD_TRACE_AGENT_PROTOCOL_VERSION");
}

#define COUNTING                                                                                   \
    "{\"endpoints\":[\"/v0.4/traces\",\"/v0.5/traces\",\"/v1.0/traces\",\"/v0.6/stats\"],"         \
    "\"client_drop_p0s\":true"

static void dropped_trace(int failed)
{
    SONDE_SPAN(root, "unwanted");
    SONDE_SPAN(child, "child");

    sonde_span_drop(root);
    if (failed)
        sonde_span_error(child, "E", "message");
}

static void test_statistics_are_computed_where_the_agent_leaves_it_to_us(void **state)
{
    static const char *const versions[] = { "v0.4", "v0.5", "v1" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(versions); i++) {
        fake_agent *agent = fake_agent_open(NULL);
        sonde_counters c;
        int j;

        (void)setenv("DD_TRACE_API_VERSION", versions[i], 1);
        fake_agent_info(agent, COUNTING "}", NULL);
        start(fake_agent_url(agent));
        assert_status(sonde_wait_for_agent(10000), SONDE_OK);
        for (j = 0; j < 20; j++)
            dropped_trace(0); /* counted, not sent */
        assert_status(sonde_flush(60000), SONDE_OK);
        assert_int_equal(fake_agent_counts(agent).requests, 0);
        assert_int_equal(fake_agent_counts(agent).stats, 1);
        traces(10, 3);
        dropped_trace(1); /* errors are sent */
        assert_status(sonde_flush(60000), SONDE_OK);
        assert_in_head(agent, "Datadog-Client-Computed-Stats: yes", true);
        assert_in_head(agent, "Datadog-Client-Dropped-P0-Traces: 20\r", true);
        assert_in_head(agent, "Datadog-Client-Dropped-P0-Spans: 40\r", true);
        assert_in_head(agent, "X-Datadog-Trace-Count: 11\r", true);
        traces(1, 1);
        assert_status(sonde_flush(60000), SONDE_OK);
        assert_in_head(agent, "Datadog-Client-Dropped", false);
        c = stop_and_balance(73, NULL, fake_agent_counts(agent));
        assert_int_equal(dropped(&c, SONDE_DROP_NOT_SAMPLED), 40);
        assert_int_equal(c.chunks_dropped[SONDE_DROP_NOT_SAMPLED] -
                             before.chunks_dropped[SONDE_DROP_NOT_SAMPLED],
                         20);
        assert_int_equal(c.stats_spans - before.stats_spans, 20 + 10 + 1 + 1);
        assert_int_equal(c.stats_spans, c.stats_spans_delivered + c.stats_spans_lost);
        assert_int_equal(c.stats_spans_lost, before.stats_spans_lost);
        assert_int_equal(fake_agent_counts(agent).taken_spans, 33);
        assert_int_equal(fake_agent_counts(agent).bad, 0);
        fake_agent_close(agent);
    }
    (void)unsetenv("DD_TRACE_API_VERSION");
}

static void test_children_are_counted_for_their_kind_or_when_measured(void **state)
{
    static const struct {
        const char *tags; /* of every span */
        uint64_t counted;
    } cases[] = { { "", 3 }, { "span.kind:server", 4 }, { "_dd.measured:1", 3 } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        fake_agent *agent = fake_agent_open(NULL);
        sonde_counters c;

        (void)setenv("DD_TAGS", cases[i].tags, 1);
        fake_agent_info(agent, COUNTING "}", NULL);
        start(fake_agent_url(agent));
        assert_status(sonde_wait_for_agent(10000), SONDE_OK);
        {
            SONDE_SPAN(root, "root");
            SONDE_SPAN(plain, "plain");
            SONDE_SPAN(client, "client");
            SONDE_SPAN(measured, "measured");
            SONDE_SPAN(internal, "internal");

            sonde_span_set_str(plain, "span.kinds", "client");
            sonde_span_set_kind(client, SONDE_KIND_CLIENT);
            sonde_span_set_measured(measured, 1);
            sonde_span_set_kind(internal, SONDE_KIND_INTERNAL);
        }
        assert_status(sonde_flush(60000), SONDE_OK);
        c = stop_and_balance(5, agent, fake_agent_counts(agent));
        if (c.stats_spans - before.stats_spans != cases[i].counted)
            fail_msg("%s: %llu", cases[i].tags,
                     (unsigned long long)(c.stats_spans - before.stats_spans));
        fake_agent_close(agent);
    }
    (void)unsetenv("DD_TAGS");
}

static void test_obfuscated_statistics_say_so(void **state)
{
    static const char *const infos[] = { COUNTING ",\"obfuscation_version\":1}",
                                         COUNTING ",\"obfuscation_version\":2}", COUNTING "}" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(infos); i++) {
        fake_agent *agent = fake_agent_open(NULL);
        char *head;

        fake_agent_info(agent, infos[i], NULL);
        start(fake_agent_url(agent));
        assert_status(sonde_wait_for_agent(10000), SONDE_OK);
        traces(3, 1);
        assert_status(sonde_flush(60000), SONDE_OK);
        assert_int_equal(fake_agent_counts(agent).stats, 1);
        head = fake_agent_last_stats_head(agent);
        assert_true((strstr(head, "Datadog-Obfuscation-Version: 1\r\n") != NULL) == (i == 0));
        free(head);
        assert_in_head(agent, "Datadog-Obfuscation-Version", false);
        (void)stop_and_balance(3, agent, fake_agent_counts(agent));
        fake_agent_close(agent);
    }
}

static void test_statistics_can_be_flushed_without_the_traces(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_counters c;

    (void)state;
    fake_agent_info(agent, COUNTING "}", NULL);
    start(fake_agent_url(agent));
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    assert_status(sonde_flush_stats(10000), SONDE_OK);
    assert_int_equal(fake_agent_counts(agent).stats, 0); /* nothing to tell, no request */
    traces(3, 1);
    assert_status(sonde_flush_stats(10000), SONDE_OK);
    assert_int_equal(fake_agent_counts(agent).stats, 1);
    assert_int_equal(fake_agent_counts(agent).requests, 0);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_int_equal(fake_agent_counts(agent).stats, 1);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 3);
    c = stop_and_balance(3, agent, fake_agent_counts(agent));
    assert_int_equal(c.stats_spans, c.stats_spans_delivered + c.stats_spans_lost);
    assert_status(sonde_flush_stats(10000), SONDE_ERR_STATE);
    fake_agent_close(agent);
}

static void
test_single_spans_of_unsampled_traces_travel_with_what_belongs_to_the_trace(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_counters c;
    uint8_t *body;
    size_t len;

    (void)state;
    (void)setenv("DD_SPAN_SAMPLING_RULES", "[{\"name\":\"child\"}]", 1);
    fake_agent_info(agent, COUNTING "}", NULL);
    start(fake_agent_url(agent));
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    dropped_trace(0);
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_in_head(agent, "Datadog-Client-Dropped-P0-Traces: 0\r", true);
    assert_in_head(agent, "Datadog-Client-Dropped-P0-Spans: 1\r", true);
    body = fake_agent_last_body(agent, &len);
    assert_non_null(memmem(body, len, "_dd.p.tid", 9));
    assert_null(memmem(body, len, "unwanted", 8));
    free(body);
    c = stop_and_balance(2, agent, fake_agent_counts(agent));
    assert_int_equal(dropped(&c, SONDE_DROP_NOT_SAMPLED), 1);
    assert_int_equal(fake_agent_counts(agent).taken_chunks, 1);
    fake_agent_close(agent);
    (void)unsetenv("DD_SPAN_SAMPLING_RULES");
}

static void test_what_the_agent_filters_out_is_neither_sent_nor_counted(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_context *context = NULL;
    sonde_counters c;
    int i;

    (void)state;
    fake_agent_info(agent, COUNTING ",\"ignore_resources\":[\"^GET /health\"]}", NULL);
    start(fake_agent_url(agent));
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    for (i = 0; i < 10; i++) {
        SONDE_SPAN(root, "request");
        SONDE_SPAN(child, "part");

        (void)child;
        sonde_span_set_resource(root, i < 4 ? "GET /healthz" : "GET /");
        if (i == 0)
            context = sonde_context_of_span(root);
    }
    assert_status(sonde_flush(60000), SONDE_OK);
    sonde_span_finish(sonde_span_start("late", &(sonde_span_options){ .context = context }));
    sonde_context_release(context); /* what comes late goes with its root */
    assert_status(sonde_flush(60000), SONDE_OK);
    c = stop_and_balance(21, agent, fake_agent_counts(agent));
    assert_int_equal(dropped(&c, SONDE_DROP_FILTERED), 9);
    assert_int_equal(fake_agent_counts(agent).taken_spans, 12);
    assert_int_equal(c.stats_spans - before.stats_spans, 6);
    assert_in_head(agent, "Datadog-Client-Dropped-P0", false);
    fake_agent_close(agent);
}

static void test_statistics_are_left_to_the_agent_otherwise(void **state)
{
    static const struct {
        const char *label, *info, *variable;
    } cases[] = {
        { "an old agent", NULL, "true" },
        { "no endpoint", "{\"client_drop_p0s\":true}", "true" },
        { "it wants everything", "{\"endpoints\":[\"/v0.6/stats\"],\"client_drop_p0s\":false}",
          "true" },
        { "switched off", COUNTING "}", "false" },
        { "a pattern not for us", COUNTING ",\"ignore_resources\":[\"\\\\pX\"]}", "true" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        fake_agent *agent = fake_agent_open(NULL);

        (void)setenv("DD_TRACE_STATS_COMPUTATION_ENABLED", cases[i].variable, 1);
        fake_agent_info(agent, cases[i].info, NULL);
        start(fake_agent_url(agent));
        assert_status(sonde_wait_for_agent(10000), SONDE_OK);
        dropped_trace(0);
        assert_status(sonde_flush(60000), SONDE_OK);
        assert_in_head(agent, "Datadog-Client-Computed-Stats", false);
        if (fake_agent_counts(agent).stats != 0)
            fail_msg("%s", cases[i].label);
        (void)stop_and_balance(2, agent, fake_agent_counts(agent));
        fake_agent_close(agent);
    }
    (void)unsetenv("DD_TRACE_STATS_COMPUTATION_ENABLED");
}

static void test_waiting_for_an_agent_ends_in_time_or_when_it_comes(void **state)
{
    char dir[256];
    char path[300];
    char url[320];
    fake_agent *agent;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/apm.socket", dir);
    (void)snprintf(url, sizeof(url), "unix://%s", path);
    start(url);
    assert_status(sonde_wait_for_agent(1), SONDE_ERR_TIMEOUT);
    agent = fake_agent_open(path); /* too old for /info */
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    traces(1, 1);
    assert_status(sonde_flush(60000), SONDE_OK);
    (void)stop_and_balance(1, agent, fake_agent_counts(agent));
    fake_agent_close(agent);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_arrives_over_tcp_and_over_a_socket),
        cmocka_unit_test(test_a_request_says_who_sends),
        cmocka_unit_test(test_the_agent_is_asked_what_it_can_do),
        cmocka_unit_test(test_v05_is_sent_once_the_agent_takes_it),
        cmocka_unit_test(test_statistics_are_computed_where_the_agent_leaves_it_to_us),
        cmocka_unit_test(test_children_are_counted_for_their_kind_or_when_measured),
        cmocka_unit_test(test_obfuscated_statistics_say_so),
        cmocka_unit_test(test_statistics_can_be_flushed_without_the_traces),
        cmocka_unit_test(
            test_single_spans_of_unsampled_traces_travel_with_what_belongs_to_the_trace),
        cmocka_unit_test(test_v1_is_sent_until_the_agent_refuses_it),
        cmocka_unit_test(test_what_the_agent_filters_out_is_neither_sent_nor_counted),
        cmocka_unit_test(test_statistics_are_left_to_the_agent_otherwise),
        cmocka_unit_test(test_waiting_for_an_agent_ends_in_time_or_when_it_comes),
        cmocka_unit_test(test_answers_decide_between_retry_and_drop),
        cmocka_unit_test(test_rates_of_the_answer_decide_the_next_traces),
        cmocka_unit_test(test_without_an_agent_spans_are_dropped_and_memory_is_bounded),
        cmocka_unit_test(test_an_agent_that_dies_and_returns_gets_what_comes_later),
        cmocka_unit_test(test_stop_meets_its_deadline_with_an_agent_that_hangs),
        cmocka_unit_test(test_what_is_queued_at_the_deadline_of_a_stop_is_dropped_unread),
        cmocka_unit_test(test_spans_open_at_the_stop_are_dropped_when_they_finish),
        cmocka_unit_test(test_a_context_outlives_stop_and_start),
        cmocka_unit_test(test_a_trace_too_big_for_a_request_is_sent_in_parts_or_counted),
    };

    return cmocka_run_group_tests_name("trace_agent", tests, NULL, NULL);
}
