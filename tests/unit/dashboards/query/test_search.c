/* The span search language: what is refused, what matches, and what follows for summaries and filters. */
#include <stdio.h>
#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#include "dashboards/query/search.h"

static void test_bad_queries_are_refused_with_a_place_and_a_reason(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *reason;
    } cases[] = {
        { "(service:a", 0, "parenthesis is not closed" },
        { "service:a)", 9, "unexpected" },
        { "service:", 8, "a value is missing" },
        { ":a", 0, "a name is missing" },
        { "service:\"a", 8, "quote is not closed" },
        { "a OR", 4, "a term is missing" },
        { "AND b", 0, "a term is missing" },
        { "a AND OR b", 6, "a term is missing" },
        { "-", 0, "a term is missing" },
        { "()", 1, "a term is missing" },
        { "@a:[1 TO", 8, "must be a number" },
        { "@a:[1 2]", 6, "a range is [low TO high]" },
        { "@a:[1 TO 2", 3, "range is not closed" },
        { "@a:>x", 4, "must be a number" },
        { "service:>5", 8, "this field is text" },
        { "@duration:fast", 10, "a duration must be a number like 20ms" },
        { "trace_id:xyz", 9, "an id must be" },
        { "span_id:12345678901234567890123456789012", 8, "an id must be" },
        { "a\\", 1, "nothing follows the backslash" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        search_error error = { 0 };
        search s = { 0 };
        sonde_status got = search_parse(sonde_str_from(cases[i].text), &s, &error);

        if (got != SONDE_ERR_SYNTAX || error.at != cases[i].at ||
            !strstr(error.message, cases[i].reason) || s.root)
            fail_msg("%s: %s, at %zu: %s", cases[i].text, sonde_status_name(got), error.at,
                     error.message);
    }
}

static void test_limits_of_length_depth_and_terms_are_kept(void **state)
{
    static char text[SEARCH_TEXT_MAX_BYTES + 2];
    search_error error;
    search s;
    int i;

    (void)state;
    memset(text, 'a', SEARCH_TEXT_MAX_BYTES + 1);
    assert_status(search_parse(sonde_str_from(text), &s, &error), SONDE_ERR_TOO_BIG);
    memset(text, '(', SEARCH_DEPTH_MAX + 1);
    text[SEARCH_DEPTH_MAX + 1] = '\0';
    assert_status(search_parse(sonde_str_from(text), &s, &error), SONDE_ERR_SYNTAX);
    assert_non_null(strstr(error.message, "nested deeper"));
    for (i = 0; i <= SEARCH_TERMS_MAX; i++)
        memcpy(text + 2 * i, "a ", 3);
    assert_status(search_parse(sonde_str_from(text), &s, &error), SONDE_ERR_SYNTAX);
    assert_non_null(strstr(error.message, "terms"));
}

/* ---- one span to search ---- */

static model_attr attrs[] = {
    { .key = { "http.status_code", 16 }, .text = { "500", 3 }, .kind = MODEL_ATTR_META },
    { .key = { "http.url", 8 }, .text = { "http://shop/cart?x=1", 20 }, .kind = MODEL_ATTR_META },
    { .key = { "http.method", 11 }, .text = { "PUT", 3 }, .kind = MODEL_ATTR_META },
    { .key = { "retries", 7 }, .number = 3, .kind = MODEL_ATTR_METRIC },
    { .key = { "odd/tag", 7 }, .text = { "a b", 3 }, .kind = MODEL_ATTR_META },
    { .key = { "deploy", 6 }, .text = { "blue*", 5 }, .kind = MODEL_ATTR_META },
    { .key = { "of.chunk", 8 }, .text = { "yes", 3 }, .kind = MODEL_ATTR_META },
};
static const uint32_t span_attrs[] = { 0, 1, 2, 3, 4, 5 }, chunk_attrs[] = { 6 };
static model_source source = { .env = { "prod", 4 }, .host = { "h1", 2 }, .version = { "1.2", 3 } };
static model_chunk chunk = {
    .trace_hi = 0xabc, .trace_lo = 258, .source = &source, .attrs = chunk_attrs, .attrs_len = 1
};
static model_span span = {
    .span_id = 772,
    .parent_id = 5,
    .start_unix_ns = 1700000000000000000,
    .duration_ns = 25000000,
    .error = 1,
    .attrs = span_attrs,
    .attrs_len = COUNT_OF(span_attrs),
    .service = { "web-shop", 8 },
    .name = { "http.request", 12 },
    .resource = { "GET /cart/checkout", 18 },
    .type = { "web", 3 },
    .chunk = &chunk,
};
static const frame_view view = { .attrs = attrs, .attrs_len = COUNT_OF(attrs) };

static void parse(const char *text, search *s)
{
    search_error error;

    if (search_parse(sonde_str_from(text), s, &error) != SONDE_OK)
        fail_msg("%s: at %zu: %s", text, error.at, error.message);
}

static void test_spans_match_as_the_language_says(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        { "", true },
        { "*", true },
        { "service:web-shop", true },
        { "service:Web-shop", false },
        { "service:web*", true },
        { "service:*shop", true },
        { "service:w?b-shop", true },
        { "service:\"web*\"", false },
        { "service:(web-shop OR db)", true },
        { "service:(-web-shop)", false },
        { "-service:db", true },
        { "NOT service:web-shop", false },
        { "service:db OR env:prod", true },
        { "service:db env:prod", false },
        { "service:db AND env:prod OR env:prod", true },
        { "service:db (env:prod OR env:dev)", false },
        { "env:prod host:h1 version:1.2 type:web", true },
        { "operation_name:http.request", true },
        { "resource_name:\"GET /cart/checkout\"", true },
        { "resource_name:GET\\ \\/cart\\/checkout", true },
        { "resource_name:GET*", true },
        { "status:error", true },
        { "status:ok", false },
        { "-status:(info OR debug)", true },
        { "@http.status_code:500", true },
        { "@http.status_code:>=500", true },
        { "@http.status_code:>500", false },
        { "@http.status_code:[400 TO 599]", true },
        { "@http.status_code:{500 TO 599]", false },
        { "@http.status_code:[* TO 499]", false },
        { "@http.status_code:(>=500 AND <600)", true },
        { "@http.method:(HEAD OR PUT)", true },
        { "@http.method:>5", false },
        { "http.method:PUT", true },
        { "@http.url:*cart*", true },
        { "@http.url:http\\:\\/\\/shop\\/cart\\?x\\=1", true },
        { "@http.url:http://shop/cart\\?x=1", true },
        { "@http.url:*", true },
        { "-@http.url:*", false },
        { "@absent:*", false },
        { "-@absent:*", true },
        { "@retries:3", true },
        { "@retries:3.0", true },
        { "@retries:<=2", false },
        { "@of.chunk:yes", true },
        { "@deploy:blue\\*", true },
        { "@deploy:bl\\*", false },
        { "tags:\"odd/tag\"", true },
        { "tags:\"odd/tag:a b\"", true },
        { "tags:\"odd/tag:c\"", false },
        { "@duration:>20ms", true },
        { "@duration:25ms", true },
        { "duration:<25ms", false },
        { "@duration:[20ms TO 1s]", true },
        { "@duration:>0.001min", false },
        { "@duration:25000000", true },
        { "timestamp:>=1700000000000", true },
        { "timestamp:<1700000000000", false },
        { "trace_id:258", true },
        { "trace_id:0000000000000abc0000000000000102", true },
        { "trace_id:0000000000000abd0000000000000102", false },
        { "span_id:772", true },
        { "parent_id:5", true },
        { "checkout", true },
        { "CHECKOUT", true },
        { "payment", false },
        { "\"cart/checkout\"", true },
        { "*:(blue)", true },
        { "*:purple", false },
        { "OReilly", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        search s;

        parse(cases[i].text, &s);
        if (search_matches(&s, &view, &span) != cases[i].want)
            fail_msg("%s: not %s", cases[i].text, cases[i].want ? "true" : "false");
        search_done(&s);
    }
}

static void test_a_summary_tells_what_it_can(void **state)
{
    static const struct {
        const char *text;
        search_share want;
    } cases[] = {
        { "", SEARCH_EVERY },
        { "env:prod", SEARCH_EVERY },
        { "env:dev", SEARCH_NONE },
        { "service:web", SEARCH_SOME },
        { "service:mail", SEARCH_NONE },
        { "service:*b", SEARCH_EVERY },
        { "status:error", SEARCH_SOME },
        { "status:ok", SEARCH_SOME },
        { "status:*", SEARCH_EVERY },
        { "status:error env:prod", SEARCH_SOME },
        { "status:error service:web", SEARCH_MAYBE }, /* not known to be one span */
        { "status:error env:dev", SEARCH_NONE },
        { "resource_name:root", SEARCH_SOME },
        { "resource_name:other", SEARCH_MAYBE },
        { "@k:v", SEARCH_MAYBE },
        { "env:dev OR service:web", SEARCH_SOME },
        { "-env:dev", SEARCH_EVERY },
        { "-service:web", SEARCH_MAYBE },
        { "-env:prod", SEARCH_NONE },
        { "@duration:>2us", SEARCH_NONE },
        { "@duration:>1us", SEARCH_MAYBE },
        { "trace_id:7", SEARCH_EVERY },
    };
    static const frame_part part = {
        .trace_lo = 7,
        .start_unix_ns = 1000,
        .end_unix_ns = 2500,
        .spans = 3,
        .errors = 1,
        .has_root = true,
        .service = { "web", 3 },
        .name = { "op", 2 },
        .resource = { "root", 4 },
        .env = { "prod", 4 },
        .services = { "web\ndb", 6 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        search s;
        search_share got;

        parse(cases[i].text, &s);
        got = search_share_of(&s, &part);
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].text, (int)got);
        search_done(&s);
    }
}

static void test_only_values_that_must_be_there_become_tokens(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } cases[] = {
        { "service:a env:b @k:v", 3 },
        { "service:a OR env:b", 0 },
        { "-service:a", 0 },
        { "service:a*", 0 },
        { "@k:*", 1 },
        { "@k:>5", 1 },
        { "@k:500", 1 },
        { "@k:500.0", 0 },
        { "status:error", 1 },
        { "status:ok", 0 },
        { "free text", 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint64_t tokens[SEARCH_TOKENS_MAX];
        search s;

        parse(cases[i].text, &s);
        if (search_tokens(&s, tokens) != cases[i].want)
            fail_msg("%s", cases[i].text);
        search_done(&s);
    }
}

static void test_a_search_for_one_trace_is_recognised(void **state)
{
    uint64_t hi, lo;
    search s;

    (void)state;
    parse("env:prod trace_id:0000000000000abc0000000000000102", &s);
    assert_true(search_only_trace(&s, &hi, &lo));
    assert_int_equal(hi, 0xabc);
    assert_int_equal(lo, 0x102);
    search_done(&s);
    parse("trace_id:5 OR env:prod", &s);
    assert_false(search_only_trace(&s, &hi, &lo));
    search_done(&s);
}

static sonde_status parse_scenario(void *user)
{
    search_error error;
    search s = { 0 };
    sonde_status status =
        search_parse(SONDE_STR("service:(a OR b*) -@x:[1 TO 2] \"text\""), &s, &error);

    (void)user;
    search_done(&s);
    return status;
}

static void test_parsing_copes_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(parse_scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_queries_are_refused_with_a_place_and_a_reason),
        cmocka_unit_test(test_limits_of_length_depth_and_terms_are_kept),
        cmocka_unit_test(test_spans_match_as_the_language_says),
        cmocka_unit_test(test_a_summary_tells_what_it_can),
        cmocka_unit_test(test_only_values_that_must_be_there_become_tokens),
        cmocka_unit_test(test_a_search_for_one_trace_is_recognised),
        cmocka_unit_test(test_parsing_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
