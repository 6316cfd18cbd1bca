/* Facts of a span: eligibility, kinds, HTTP and gRPC status, wherever they are written. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "agent/stats/span_facts.h"
#include "base/str.h"

typedef struct tag {
    const char *key;
    const char *text; /* NULL: a number */
    double number;
} tag;

static span_facts facts_of(const tag *tags, size_t len)
{
    static span_meta meta[8];
    static span_metric metrics[8];
    payload_span s = { .meta = meta, .metrics = metrics };
    span_facts f;
    size_t i;

    for (i = 0; i < len && tags[i].key; i++) {
        if (tags[i].text)
            meta[s.meta_len++] =
                (span_meta){ sonde_str_from(tags[i].key), sonde_str_from(tags[i].text) };
        else
            metrics[s.metrics_len++] = (span_metric){ sonde_str_from(tags[i].key), tags[i].number };
    }
    span_facts_collect(&f, &s);
    return f;
}

static void test_every_tag_is_recognised_and_its_neighbours_are_not(void **state)
{
    static const char *const names[] = {
#define X(name, text) text,
        STAT_TAG_MAP(X)
#undef X
    };
    char other[64];
    size_t i;

    (void)state;
    for (i = 0; i < STAT_TAGS; i++) {
        tag t = { names[i], "v", 0 };
        span_facts f = facts_of(&t, 1);

        if (f.meta_seen != 1u << i)
            fail_msg("%s: seen %x", names[i], f.meta_seen);
        (void)snprintf(other, sizeof(other), "%s", names[i]);
        other[strlen(other) - 1] ^= 1; /* same length */
        t.key = other;
        f = facts_of(&t, 1);
        if (f.meta_seen)
            fail_msg("%s was taken for a known tag", other);
    }
}

static void test_http_status_is_read_from_the_first_place_that_has_one(void **state)
{
    static const struct {
        const char *label;
        tag tags[3];
        uint32_t want;
    } cases[] = {
        { "metric", { { "http.status_code", NULL, 404 } }, 404 },
        { "text", { { "http.status_code", "503", 0 } }, 503 },
        { "metric before text",
          { { "http.status_code", "503", 0 }, { "http.status_code", NULL, 200 } },
          200 },
        { "newer name", { { "http.response.status_code", "201", 0 } }, 201 },
        { "newer name, metric", { { "http.response.status_code", NULL, 201 } }, 201 },
        { "older name first",
          { { "http.response.status_code", NULL, 201 }, { "http.status_code", "500", 0 } },
          500 },
        { "not a number", { { "http.status_code", "teapot", 0 } }, 0 },
        { "negative", { { "http.status_code", NULL, -1 } }, 0 },
        { "too large", { { "http.status_code", NULL, 1e300 } }, 0 },
        { "no whole number, then text",
          { { "http.status_code", NULL, 404.5 }, { "http.status_code", "503", 0 } },
          503 },
        { "absent", { { NULL, NULL, 0 } }, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        span_facts f = facts_of(cases[i].tags, 3);

        if (facts_http_status(&f) != cases[i].want)
            fail_msg("%s: got %u", cases[i].label, facts_http_status(&f));
    }
}

static void test_grpc_status_is_read_in_any_spelling(void **state)
{
    static const struct {
        const char *label;
        tag tags[3];
        const char *want;
    } cases[] = {
        { "digits", { { "rpc.grpc.status_code", "14", 0 } }, "14" },
        { "metric", { { "rpc.grpc.status_code", NULL, 5 } }, "5" },
        { "no whole number", { { "rpc.grpc.status_code", NULL, 5.5 } }, "" },
        { "the metric of a name before the text of the next",
          { { "grpc.code", "9", 0 }, { "rpc.grpc.status_code", NULL, 5 } },
          "5" },
        { "the text of a name before its metric",
          { { "grpc.code", NULL, 9 }, { "grpc.code", "5", 0 } },
          "5" },
        { "second name", { { "grpc.code", "OK", 0 } }, "0" },
        { "third name", { { "rpc.grpc.status.code", "7", 0 } }, "7" },
        { "fourth name", { { "grpc.status.code", NULL, 0 } }, "0" },
        { "name", { { "grpc.code", "NOT_FOUND", 0 } }, "5" },
        { "lower case without underscores", { { "grpc.code", "notfound", 0 } }, "5" },
        { "prefixed", { { "grpc.code", "StatusCode.UNAVAILABLE", 0 } }, "14" },
        { "one l", { { "grpc.code", "Canceled", 0 } }, "1" },
        { "two l", { { "grpc.code", "CANCELLED", 0 } }, "1" },
        { "unknown name", { { "grpc.code", "FINE", 0 } }, "" },
        { "endless name", { { "grpc.code", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0 } }, "" },
        { "rpc status of grpc",
          { { "rpc.response.status_code", "3", 0 }, { "rpc.system.name", "grpc", 0 } },
          "3" },
        { "rpc status, older system",
          { { "rpc.response.status_code", "3", 0 }, { "rpc.system", "grpc", 0 } },
          "3" },
        { "rpc status of another",
          { { "rpc.response.status_code", "3", 0 }, { "rpc.system", "jsonrpc", 0 } },
          "" },
        { "newer system name decides",
          { { "rpc.response.status_code", "3", 0 },
            { "rpc.system", "grpc", 0 },
            { "rpc.system.name", "dubbo", 0 } },
          "" },
        { "absent", { { NULL, NULL, 0 } }, "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char scratch[GRPC_STATUS_SCRATCH_BYTES];
        span_facts f = facts_of(cases[i].tags, 3);
        sonde_str got = facts_grpc_status(&f, scratch);

        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s: got \"%.*s\", want \"%s\"", cases[i].label, SONDE_STR_ARG(got),
                     cases[i].want);
    }
}

static void test_kinds_are_read_in_any_case(void **state)
{
    static const struct {
        tag t;
        span_kind want;
    } cases[] = {
        { { "span.kind", "server", 0 }, KIND_SERVER },
        { { "span.kind", "CLIENT", 0 }, KIND_CLIENT },
        { { "span.kind", "Producer", 0 }, KIND_PRODUCER },
        { { "span.kind", "consumer", 0 }, KIND_CONSUMER },
        { { "span.kind", "internal", 0 }, KIND_INTERNAL },
        { { "span.kind", "odd", 0 }, KIND_OTHER },
        { { "span.kind", "", 0 }, KIND_NONE },
        { { "x", "y", 0 }, KIND_NONE },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        span_facts f = facts_of(&cases[i].t, 1);

        assert_int_equal(facts_kind(&f), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tag_is_recognised_and_its_neighbours_are_not),
        cmocka_unit_test(test_http_status_is_read_from_the_first_place_that_has_one),
        cmocka_unit_test(test_grpc_status_is_read_in_any_spelling),
        cmocka_unit_test(test_kinds_are_read_in_any_case),
    };

    return cmocka_run_group_tests_name("span_facts", tests, NULL, NULL);
}
