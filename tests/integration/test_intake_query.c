/* Questions over HTTP about traces and statistics that were sent over HTTP. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "codec/msgpack_write.h"
#include "codec/sketch.h"
#include "intake_client.h"

#define MS 1000000ll
#define S  (1000 * MS)

static int64_t now_ns; /* what the spans are placed around */

static void send_spans(intake_world *w, const test_span *spans, size_t len)
{
    sonde_buf b;

    sonde_buf_init(&b, 1 << 20);
    write_agent_payload(&b, spans, len);
    if (intake_post(w, "/api/v0.2/traces", "k", NULL, sonde_buf_str(&b)) != 200)
        fail_msg("%d", w->answer.status);
    sonde_buf_done(&b);
}

/* Trace 1 crosses two processes, whose payloads come one after the other, the second with an error;
 * trace 2 is older and longer; trace 3 is the oldest. */
static void send_three_traces(intake_world *w)
{
    const test_span gateway[] = {
        { 1, 10, 0, "gateway", "GET /orders", now_ns - 10 * S, 50 * MS, 0, "http.status_code",
          "502" },
        { 1, 11, 10, "gateway", "call orders", now_ns - 10 * S + MS, 45 * MS, 0, NULL, NULL },
    };
    const test_span orders[] = {
        { 1, 12, 11, "orders", "POST /order", now_ns - 10 * S + 2 * MS, 40 * MS, 1, "order.id",
          "17" },
        { 1, 13, 12, "orders", "INSERT", now_ns - 10 * S + 3 * MS, 5 * MS, 0, NULL, NULL },
    };
    const test_span slow = {
        2, 20, 0, "gateway", "GET /slow", now_ns - 20 * S, 2 * S, 0, "k", "v"
    };
    const test_span old = { 3, 30, 0, "batch", "run", now_ns - 30 * S, 10 * MS, 0, NULL, NULL };

    send_spans(w, orders, 2);
    send_spans(w, gateway, 2);
    send_spans(w, &slow, 1);
    send_spans(w, &old, 1);
}

static int open_with_traces(void **state)
{
    int result = intake_world_open(state);

    now_ns = sonde_unix_ns();
    send_three_traces((intake_world *)*state);
    return result;
}

/* Which of the traces 1, 2, 3 are in the answer, in order: "123". */
static const char *listed(const intake_world *w, char out[16])
{
    sonde_str rest = w->answer.body;
    size_t at, n = 0;

    while (n < 15 &&
           sonde_str_find(rest, SONDE_STR("\"trace_id\":\"0000000000000000000000000000000"), &at)) {
        rest = sonde_str_sub(rest, at + 12 + 31, rest.len);
        out[n++] = rest.ptr[0];
    }
    out[n] = '\0';
    return out;
}

static void test_a_trace_is_put_together_from_the_payloads_of_its_processes(void **state)
{
    intake_world *w = (intake_world *)*state;

    assert_int_equal(intake_get(w, "/api/sonde/v1/traces/00000000000000000000000000000001"), 200);
    assert_answer_has(w, "\"services\":[\"gateway\",\"orders\"],\"truncated\":false");
    assert_answer_has(w, "\"duration_ns\":50000000,");
    assert_answer_has(w, "{\"span_id\":\"12\",\"parent_id\":\"11\",\"service\":\"orders\"");
    assert_answer_has(w, "\"span_id\":\"13\",\"parent_id\":\"12\"");
    assert_int_equal(intake_get(w, "/api/sonde/v1/traces/4"), 404);
    assert_int_equal(intake_get(w, "/api/sonde/v1/traces/zzz"), 400);
}

static void test_the_list_has_a_row_a_trace(void **state)
{
    intake_world *w = (intake_world *)*state;
    char row[512];

    assert_int_equal(intake_get(w, "/api/sonde/v1/traces"), 200);
    snprintf(row, sizeof(row),
             "{\"trace_id\":\"00000000000000000000000000000001\",\"start_unix_ns\":\"%lld\","
             "\"duration_ns\":50000000,\"service\":\"gateway\",\"name\":\"http.request\","
             "\"resource\":\"GET /orders\",\"type\":\"web\",\"env\":\"test\",\"status\":\"error\","
             "\"error_spans\":1,\"spans\":4,\"services\":[\"gateway\",\"orders\"],"
             "\"http_status\":\"502\"}",
             (long long)(now_ns - 10 * S));
    assert_answer_has(w, row);
    assert_answer_has(w, "\"next\":\"\"");
}

static void test_traces_are_listed_by_search_and_in_order(void **state)
{
    static const struct {
        const char *query, *want;
    } cases[] = {
        { "", "123" },
        { "sort=start", "321" },
        { "sort=-duration", "213" },
        { "sort=duration", "312" },
        { "query=service:orders", "1" },
        { "query=service:gateway", "12" },
        { "query=-service:gateway", "13" }, /* any span: those of orders */
        { "query=status:error", "1" },
        { "query=status:error+service:gateway", "" }, /* not one span */
        { "query=status:error+service:orders", "1" },
        { "query=@order.id:17", "1" },
        { "query=@order.id:18", "" },
        { "query=@order.id:1*", "1" },
        { "query=resource_name:INSERT", "1" },
        { "query=slow", "2" },
        { "query=@duration:>1s", "2" },
        { "query=@k:v+OR+service:batch", "23" },
        { "env=test", "123" },
        { "env=prod", "" },
        { "query=trace_id:2", "2" },
    };
    intake_world *w = (intake_world *)*state;
    size_t i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        char path[256], got[16];

        snprintf(path, sizeof(path), "/api/sonde/v1/traces?%s", cases[i].query);
        if (intake_get(w, path) != 200 || strcmp(listed(w, got), cases[i].want) != 0)
            fail_msg("%s: %s, not %s\n%.*s", cases[i].query, listed(w, got), cases[i].want,
                     SONDE_STR_ARG(w->answer.body));
    }
}

static void test_bad_parameters_are_refused_with_their_name(void **state)
{
    static const struct {
        const char *path, *text;
    } cases[] = {
        { "/api/sonde/v1/traces?query=(a", "query: parenthesis is not closed (at byte 0)" },
        { "/api/sonde/v1/traces?sort=size", "sort: " },
        { "/api/sonde/v1/traces?limit=201", "limit: " },
        { "/api/sonde/v1/traces?cursor=x", "cursor: " },
        { "/api/sonde/v1/traces?from=yesterday", "from: " },
        { "/api/sonde/v1/services?from=now&to=now-1h", "from: must not be after to" },
        { "/api/sonde/v1/services/web/series?step=15", "step: " },
    };
    intake_world *w = (intake_world *)*state;
    size_t i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        if (intake_get(w, cases[i].path) != 400)
            fail_msg("%s: %d", cases[i].path, w->answer.status);
        assert_answer_has(w, cases[i].text);
    }
}

/* Follows the pages of a list to the end; the traces in order. */
static void follow(intake_world *w, const char *params, char *out)
{
    char path[512], got[16];
    sonde_str next = { NULL, 0 };
    int pages = 0;

    *out = '\0';
    do {
        snprintf(path, sizeof(path), "/api/sonde/v1/traces?limit=1&%s&cursor=%.*s", params,
                 SONDE_STR_ARG(next));
        assert_int_equal(intake_get(w, path), 200);
        strncat(out, listed(w, got), 15);
        next = answer_text(w, "next");
    } while (next.len && ++pages < 10);
}

static void test_pages_of_traces_neither_repeat_nor_miss_one(void **state)
{
    intake_world *w = (intake_world *)*state;
    char got[256];

    follow(w, "sort=-start", got);
    assert_string_equal(got, "123");
    follow(w, "sort=start", got);
    assert_string_equal(got, "321");
    follow(w, "sort=-duration", got);
    assert_string_equal(got, "213");
    follow(w, "query=service:gateway", got);
    assert_string_equal(got, "12");
}

/* ---- the public span search ---- */

static void search_spans(intake_world *w, const char *attributes)
{
    char body[1024];

    snprintf(body, sizeof(body), "{\"data\":{\"type\":\"search_request\",\"attributes\":{%s}}}",
             attributes);
    if (intake_post(w, "/api/v2/spans/events/search", NULL, NULL, sonde_str_from(body)) != 200)
        fail_msg("%s: %d %.*s", attributes, w->answer.status, SONDE_STR_ARG(w->answer.body));
}

static void test_span_search_speaks_the_public_api(void **state)
{
    intake_world *w = (intake_world *)*state;

    search_spans(
        w, "\"filter\":{\"query\":\"service:orders "
           "status:error\",\"from\":\"now-15m\",\"to\":\"now\"},"
           "\"sort\":\"-timestamp\",\"page\":{\"limit\":50},\"options\":{\"timezone\":\"UTC\"}");
    assert_answer_has(w, "\"type\":\"spans\"");
    assert_answer_has(w, "\"span_id\":\"12\"");
    assert_answer_has(w, "\"parent_id\":\"11\"");
    assert_answer_has(w, "\"resource_name\":\"POST /order\"");
    assert_answer_has(w, "\"order.id\":\"17\"");
    assert_answer_has(w, "\"env\":\"test\"");
    assert_answer_has(w, "\"status\":\"done\"");
    assert_answer_has_not(w, "\"span_id\":\"13\"");
    assert_answer_has_not(w, "\"after\"");
}

static void test_pages_of_spans_neither_repeat_nor_miss_one(void **state)
{
    static const char *const latest[] = { "13", "12", "11", "10", "20", "30" };
    intake_world *w = (intake_world *)*state;
    char attributes[256], cursor[64] = "";
    size_t i;

    for (i = 0; i < COUNT_OF(latest); i++) {
        sonde_str after;

        snprintf(attributes, sizeof(attributes),
                 "\"filter\":{\"query\":\"\"},\"page\":{\"limit\":1,\"cursor\":\"%s\"}", cursor);
        search_spans(w, attributes);
        if (!sonde_str_eq(answer_text(w, "span_id"), sonde_str_from(latest[i])))
            fail_msg("page %zu: %.*s", i, SONDE_STR_ARG(w->answer.body));
        after = answer_text(w, "after");
        assert_int_equal(after.len, i + 1 < COUNT_OF(latest) ? 32 : 0);
        snprintf(cursor, sizeof(cursor), "%.*s", SONDE_STR_ARG(after));
    }
}

static void test_bad_span_searches_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{",
        "[]",
        "{\"data\":{\"attributes\":{\"page\":{\"limit\":0}}}}",
        "{\"data\":{\"attributes\":{\"sort\":\"size\"}}}",
        "{\"data\":{\"attributes\":{\"filter\":{\"query\":\"a OR\"}}}}",
        "{\"data\":{\"attributes\":{\"filter\":{\"from\":\"then\"}}}}",
        "{\"data\":{\"attributes\":{\"page\":{\"cursor\":\"x\"}}}}",
    };
    intake_world *w = (intake_world *)*state;
    size_t i;

    for (i = 0; i < COUNT_OF(bodies); i++) {
        int got =
            intake_post(w, "/api/v2/spans/events/search", NULL, NULL, sonde_str_from(bodies[i]));

        if (got != 400)
            fail_msg("%s: %d", bodies[i], got);
        assert_answer_has(w, "{\"errors\":[\"");
    }
}

/* ---- statistics ---- */

static void put_str(sonde_buf *b, const char *key, const char *value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, sonde_str_from(value));
}

static void put_u64(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void put_group(sonde_buf *b, const char *service, const char *resource, uint64_t hits,
                      uint64_t errors, uint64_t top, uint64_t each_ns)
{
    sonde_sketch s;
    sonde_buf bytes;

    sonde_sketch_init(&s);
    sonde_buf_init(&bytes, 65536);
    assert_status(sonde_sketch_add(&s, (double)each_ns, (double)hits), SONDE_OK);
    sonde_sketch_encode(&s, &bytes);
    sonde_mp_write_map(b, 9);
    put_str(b, "Service", service);
    put_str(b, "Name", "http.request");
    put_str(b, "Resource", resource);
    put_str(b, "Type", "web");
    put_u64(b, "Hits", hits);
    put_u64(b, "Errors", errors);
    put_u64(b, "TopLevelHits", top);
    put_u64(b, "Duration", hits * each_ns);
    sonde_mp_write_str(b, SONDE_STR("OkSummary"));
    sonde_mp_write_bin(b, bytes.data, bytes.len);
    sonde_buf_done(&bytes);
    sonde_sketch_done(&s);
}

static void send_stats(intake_world *w)
{
    sonde_buf b;

    sonde_buf_init(&b, 1 << 20);
    sonde_mp_write_map(&b, 2);
    put_str(&b, "AgentHostname", "h1");
    sonde_mp_write_str(&b, SONDE_STR("Stats"));
    sonde_mp_write_array(&b, 1);
    sonde_mp_write_map(&b, 2);
    put_str(&b, "Env", "prod");
    sonde_mp_write_str(&b, SONDE_STR("Stats"));
    sonde_mp_write_array(&b, 1);
    sonde_mp_write_map(&b, 2);
    put_u64(&b, "Start", (uint64_t)(sonde_unix_ns() / (10 * S) * (10 * S)));
    sonde_mp_write_str(&b, SONDE_STR("Stats"));
    sonde_mp_write_array(&b, 3);
    put_group(&b, "web", "GET /", 90, 9, 90, 1000000);
    put_group(&b, "web", "GET /slow", 10, 0, 10, 100000000);
    put_group(&b, "web", "inner", 500, 0, 0, 1000);
    assert_int_equal(intake_post(w, "/api/v0.2/stats", "k", NULL, sonde_buf_str(&b)), 200);
    sonde_buf_done(&b);
}

/* The number that follows `"name":` in the answer. */
static double answer_number(const intake_world *w, const char *name)
{
    sonde_str rest = w->answer.body;
    char mark[64];
    double number = -1;
    size_t at, len = 0;

    snprintf(mark, sizeof(mark), "\"%s\":", name);
    assert_true(sonde_str_find(rest, sonde_str_from(mark), &at));
    rest = sonde_str_sub(rest, at + strlen(mark), rest.len);
    while (len < rest.len && !strchr(",}]", rest.ptr[len]))
        len++;
    assert_status(sonde_parse_double(sonde_str_sub(rest, 0, len), &number), SONDE_OK);
    return number;
}

static void assert_near(double got, double want)
{
    if (got < want * 0.985 || got > want * 1.015)
        fail_msg("%g is not within 1.5 %% of %g", got, want);
}

static void test_services_have_exact_counts_and_percentiles_from_the_sketches(void **state)
{
    intake_world *w = (intake_world *)*state;

    send_stats(w);
    send_stats(w); /* a second agent: the same groups again */

    assert_int_equal(intake_get(w, "/api/sonde/v1/services"), 200);
    assert_answer_has(w, "\"services\":[{\"service\":\"web\",\"type\":\"web\",\"envs\":[\"prod\"],"
                         "\"hits\":200,\"errors\":18,\"error_rate\":0.09,");
    assert_near(answer_number(w, "avg"), 10900000);
    assert_near(answer_number(w, "p50"), 1000000);
    assert_near(answer_number(w, "p75"), 1000000);
    assert_near(answer_number(w, "p95"), 100000000);
    assert_near(answer_number(w, "max"), 100000000);
    assert_int_equal(intake_get(w, "/api/sonde/v1/services?env=dev"), 200);
    assert_answer_has(w, "\"services\":[]");
}

static void test_resources_of_a_service_have_all_its_groups(void **state)
{
    intake_world *w = (intake_world *)*state;

    send_stats(w);

    assert_int_equal(intake_get(w, "/api/sonde/v1/services/web/resources"), 200);
    assert_answer_has(w, "{\"service\":\"web\",\"resources\":[{\"name\":\"http.request\","
                         "\"resource\":\"inner\",\"type\":\"web\",\"span_kind\":\"\","
                         "\"top_level\":false,\"hits\":500,");
    assert_answer_has(w, "\"resource\":\"GET /\",\"type\":\"web\",\"span_kind\":\"\","
                         "\"top_level\":true,\"hits\":90,\"errors\":9,\"error_rate\":0.1,");
    assert_int_equal(intake_get(w, "/api/sonde/v1/services/other/resources"), 200);
    assert_answer_has(w, "\"resources\":[]");
}

static void test_the_bucket_that_starts_at_the_end_of_the_range_is_in_it(void **state)
{
    intake_world *w = (intake_world *)*state;
    long long start = (long long)(sonde_unix_ns() / (10 * S) * 10);
    char path[128];

    send_stats(w);
    if (sonde_unix_ns() / (10 * S) * 10 != start)
        start += 10; /* the statistics went into the next bucket */

    snprintf(path, sizeof(path), "/api/sonde/v1/services/web/series?from=%lld&to=%lld&step=10",
             start - 60, start);
    assert_int_equal(intake_get(w, path), 200);
    assert_answer_has(w, "\"hits\":100,\"errors\":9,\"p50\":");
    snprintf(path, sizeof(path), "/api/sonde/v1/services?from=%lld&to=%lld", start - 60, start);
    assert_int_equal(intake_get(w, path), 200);
    assert_answer_has(w, "\"service\":\"web\"");
}

static void test_series_and_facets_come_from_the_statistics(void **state)
{
    intake_world *w = (intake_world *)*state;

    send_stats(w);

    assert_int_equal(intake_get(w, "/api/sonde/v1/services/web/series?from=now-1m&step=10"), 200);
    assert_answer_has(w, "{\"step_s\":10,\"points\":[{\"t\":");
    assert_answer_has(w, "\"hits\":100,\"errors\":9,\"p50\":");
    assert_answer_has(
        w, "\"hits\":0,\"errors\":0,\"p50\":null,\"p75\":null,\"p95\":null,\"p99\":null");
    assert_int_equal(intake_get(w, "/api/sonde/v1/facets"), 200);
    assert_answer_has(
        w, "{\"envs\":[\"prod\"],\"services\":[\"web\"],\"operations\":[\"http.request\"],"
           "\"types\":[\"web\"],\"hosts\":[\"h1\"]}");
    assert_int_equal(intake_get(w, "/api/sonde/v1/counters"), 200);
    assert_answer_has(w, "\"stats_payloads\":1,");
    assert_answer_has(w, "\"stored\":{\"chunks\":0,\"spans\":0,\"stats_groups\":3,\"profiles\":0}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_with_traces, intake_world_close)
#define E(name) cmocka_unit_test_setup_teardown(name, intake_world_open, intake_world_close)
    const struct CMUnitTest tests[] = {
        T(test_a_trace_is_put_together_from_the_payloads_of_its_processes),
        T(test_the_list_has_a_row_a_trace),
        T(test_traces_are_listed_by_search_and_in_order),
        T(test_bad_parameters_are_refused_with_their_name),
        T(test_pages_of_traces_neither_repeat_nor_miss_one),
        T(test_span_search_speaks_the_public_api),
        T(test_pages_of_spans_neither_repeat_nor_miss_one),
        T(test_bad_span_searches_are_refused),
        E(test_services_have_exact_counts_and_percentiles_from_the_sketches),
        E(test_resources_of_a_service_have_all_its_groups),
        E(test_the_bucket_that_starts_at_the_end_of_the_range_is_in_it),
        E(test_series_and_facets_come_from_the_statistics),
    };

    return cmocka_run_group_tests_name("intake query", tests, NULL, NULL);
}
