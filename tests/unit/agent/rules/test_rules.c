/* test_rules.c - filters and replace_tags: the tables of docs/spec/filters.md. */
#include "agent/rules/rules.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/payload/payload.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static agent_config *config_of(const char *yaml, const char *variable)
{
    const char *const variables[] = { variable, NULL };
    const config_options options = { .environment = (char *const *)(uintptr_t)variables,
                                     .os_hostname = "h",
                                     .cpus = 1 };
    sonde_error error = { 0 };
    agent_config *c = NULL;

    if (config_load_text(&options, sonde_str_from(yaml), "test", &c, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    if (c->warnings_len && !strstr(c->warnings[0].ptr, "pattern")) /* those are passed over */
        fail_msg("%.*s", SONDE_STR_ARG(c->warnings[0]));
    return c;
}

/* One rule in force, on a span with the tags of the cases below. */
typedef struct fixture {
    agent_config *config;
    trace_rules *rules;
    rules_lane *lane;
    sonde_arena arena;
    payload_span span;
} fixture;

static void open_fixture(fixture *f, const char *yaml, const char *variable)
{
    sonde_error error = { 0 };

    *f = (fixture){ .config = config_of(yaml, variable) };
    sonde_arena_init(&f->arena, 1u << 20);
    if (rules_open(f->config, 1, &f->rules, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    f->lane = rules_take(f->rules);
}

static void close_fixture(fixture *f)
{
    rules_give(f->rules, f->lane);
    rules_close(f->rules);
    config_put(f->config);
    sonde_arena_done(&f->arena);
}

static void put_meta(fixture *f, const char *key, const char *value)
{
    assert_status(span_meta_set(&f->span, &f->arena, sonde_str_from(key), sonde_str_from(value)),
                  SONDE_OK);
}

static void put_metric(fixture *f, const char *key, double value)
{
    assert_status(span_metric_set(&f->span, &f->arena, sonde_str_from(key), value), SONDE_OK);
}

#define assert_text(got, want)                                                                     \
    do {                                                                                           \
        sonde_str text_got_ = (got);                                                               \
        if (!sonde_str_eq(text_got_, sonde_str_from(want)))                                        \
            fail_msg("got \"%.*s\", want \"%s\"", SONDE_STR_ARG(text_got_), (want));               \
    } while (0)

static void test_roots_are_filtered(void **state)
{
    static const struct {
        const char *label, *yaml, *variable;
        bool filtered;
    } cases[] = {
        { "a pattern anywhere in the resource", "apm_config: {ignore_resources: [health]}", NULL,
          true },
        { "a pattern that does not match", "apm_config: {ignore_resources: [\"^health\"]}", NULL,
          false },
        { "the second of two", "", "DD_APM_IGNORE_RESOURCES=\"(GET|POST) /x\",\"^GET /health$\"",
          true },
        { "a comma inside quotes", "", "DD_APM_IGNORE_RESOURCES=\"l{1,2}th\"", true },
        { "a pattern that begins with a bracket", "", "DD_APM_IGNORE_RESOURCES=[a-h]ealth,x",
          true },
        { "the old variable", "", "DD_IGNORE_RESOURCE=x,health", true },
        { "a bad pattern is passed over", "apm_config: {ignore_resources: [\"(\", health]}", NULL,
          true },
        { "a bad pattern alone", "apm_config: {ignore_resources: [\"(\"]}", NULL, false },
        { "reject a key", "apm_config: {filter_tags: {reject: [a]}}", NULL, true },
        { "reject a key that is absent", "apm_config: {filter_tags: {reject: [z]}}", NULL, false },
        { "reject a value", "apm_config: {filter_tags: {reject: [\" a : 1 \"]}}", NULL, true },
        { "reject another value", "apm_config: {filter_tags: {reject: [\"a:2\"]}}", NULL, false },
        { "a value with a colon", "apm_config: {filter_tags: {reject: [\"u:x:y\"]}}", NULL, true },
        { "no metric", "apm_config: {filter_tags: {reject: [m]}}", NULL, false },
        { "require a key", "apm_config: {filter_tags: {require: [a]}}", NULL, false },
        { "require an absent key", "apm_config: {filter_tags: {require: [a, z]}}", NULL, true },
        { "require another value", "apm_config: {filter_tags: {require: [\"a:2\"]}}", NULL, true },
        { "variable: spaces", "", "DD_APM_FILTER_TAGS_REJECT=z a:1", true },
        { "variable: spaces, a comma is a value's", "", "DD_APM_FILTER_TAGS_REJECT=c:1,2", true },
        { "variable: JSON", "", "DD_APM_FILTER_TAGS_REJECT=[\"z\",\"s:x y\"]", true },
        { "variable: require", "", "DD_APM_FILTER_TAGS_REQUIRE=z", true },
        { "regex reject", "apm_config: {filter_tags_regex: {reject: [\"s:x.y\"]}}", NULL, true },
        { "regex reject, no match", "apm_config: {filter_tags_regex: {reject: [\"s:^y\"]}}", NULL,
          false },
        { "regex reject, key only", "apm_config: {filter_tags_regex: {reject: [s]}}", NULL, true },
        { "regex require", "apm_config: {filter_tags_regex: {require: [\"s:^y\"]}}", NULL, true },
        { "regex require holds", "apm_config: {filter_tags_regex: {require: [\"s:y$\"]}}", NULL,
          false },
        { "variable: regex", "", "DD_APM_FILTER_TAGS_REGEX_REJECT=s:^x", true },
        { "variable: regex require", "", "DD_APM_FILTER_TAGS_REGEX_REQUIRE=s:^y", true },
        { "an exact filter of the same key goes before",
          "apm_config: {filter_tags: {reject: [\"a:2\"]}, filter_tags_regex: {reject: [a]}}", NULL,
          false },
        { "a bad pattern of a tag is passed over",
          "apm_config: {filter_tags_regex: {require: [\"s:(\"]}}", NULL, false },
        { "reject wins over require", "apm_config: {filter_tags: {require: [a], reject: [\"u\"]}}",
          NULL, true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fixture f;

        open_fixture(&f, cases[i].yaml, cases[i].variable);
        f.span.resource = SONDE_STR("GET /health");
        put_meta(&f, "a", "1");
        put_meta(&f, "s", "x y");
        put_meta(&f, "u", "x:y");
        put_meta(&f, "c", "1,2");
        put_metric(&f, "m", 1);
        if (!f.lane)
            fail_msg("%s: no rules", cases[i].label);
        if (rules_filter(f.lane, &f.span) != cases[i].filtered)
            fail_msg("%s", cases[i].label);
        close_fixture(&f);
    }
}

/* The tag t, after one rule for it. */
static void test_matches_give_way_to_go_templates(void **state)
{
    static const struct {
        const char *pattern, *repl, *text, *want;
    } cases[] = {
        { "b", "x", "abcb", "axcx" },
        { "z", "x", "abc", "abc" },
        { "token=\\\\w+", "token=?", "a?token=abc&b=1", "a?token=?&b=1" },
        { "(a)(b)", "$2$1", "ab ab", "ba ba" },
        { "(?P<first>a)(b)", "${first}-$2", "ab", "a-b" },
        { "(a)", "$1x", "a", "" }, /* the group 1x */
        { "(a)", "${1}x", "a", "ax" },
        { "(a)", "$0$0", "a", "aa" },
        { "(a)", "$2", "a", "" },
        { "(a)", "$01", "a", "" },
        { "(a)", "$$1", "a", "$1" },
        { "(a)", "$", "a", "$" },
        { "(a)", "${1", "a", "${1" },
        { "(a)", "$-", "a", "$-" },
        { "(a)", "${}", "a", "${}" },
        { "(a)|(b)", "[$1$2]", "ab", "[a][b]" },
        { "(?s).*", "?", "a\\nb", "?" },
        { "(?s).*", "?", "", "?" },
        { "x*", "-", "abc", "-a-b-c-" },
        { "b*", "-", "abc", "-a-c-" },
        { "", "-", "\\u00e9", "-\\u00e9-" },
        { "^", "x", "ab", "xab" },
        { "$", "x", "ab", "abx" },
        { "a", "", "aaa", "" },
        { "\\\\bq", "x", "qq q", "xq x" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char yaml[300];
        fixture f;

        /* texts are JSON in a variable */
        (void)snprintf(yaml, sizeof(yaml),
                       "DD_APM_REPLACE_TAGS=[{\"name\":\"t\",\"pattern\":\"%s\",\"repl\":\"%s\"}]",
                       cases[i].pattern[0] ? cases[i].pattern : "(?:)", cases[i].repl);
        open_fixture(&f, "", yaml);
        put_meta(&f, "t",
                 strcmp(cases[i].text, "\\u00e9") == 0 ? "\xc3\xa9"
                 : strcmp(cases[i].text, "a\\nb") == 0 ? "a\nb"
                                                       : cases[i].text);
        assert_status(rules_replace(f.lane, &f.span, &f.arena), SONDE_OK);
        if (!sonde_str_eq(f.span.meta[0].value,
                          sonde_str_from(strcmp(cases[i].want, "-\\u00e9-") == 0 ? "-\xc3\xa9-"
                                                                                 : cases[i].want)))
            fail_msg("%s to %s in %s: %.*s", cases[i].pattern, cases[i].repl, cases[i].text,
                     SONDE_STR_ARG(f.span.meta[0].value));
        close_fixture(&f);
    }
}

static void test_rules_look_where_their_name_says(void **state)
{
    static const char yaml[] = "apm_config:\n"
                               "  replace_tags:\n"
                               "    - {name: \"*\", pattern: one, repl: \"1\"}\n"
                               "    - {name: resource.name, pattern: two, repl: \"2\"}\n"
                               "    - {name: _dd.x, pattern: three, repl: \"3\"}\n"
                               "    - {name: b, pattern: \"1\", repl: again}\n";
    span_event_attr attributes[] = {
        { SONDE_STR("e"), { .type = SPAN_ANY_STRING, .str = SONDE_STR("one") } },
        { SONDE_STR("_e"), { .type = SPAN_ANY_STRING, .str = SONDE_STR("one") } },
    };
    span_event event = { .attributes = attributes, .attributes_len = 2 };
    fixture f;

    (void)state;
    open_fixture(&f, yaml, NULL);
    f.span.resource = SONDE_STR("one two three");
    f.span.events = &event;
    f.span.events_len = 1;
    put_meta(&f, "a", "one two three");
    put_meta(&f, "b", "one");
    put_meta(&f, "_dd.x", "one three");
    assert_status(rules_replace(f.lane, &f.span, &f.arena), SONDE_OK);
    assert_text(f.span.resource, "1 2 three");
    assert_text(f.span.meta[0].value, "1 two three");
    assert_text(f.span.meta[1].value, "again");
    assert_text(f.span.meta[2].value, "one 3");
    assert_int_equal(attributes[0].value.type, SPAN_ANY_INT);
    assert_int_equal(attributes[0].value.integer, 1);
    assert_text(attributes[1].value.str, "one");
    close_fixture(&f);
}

static void test_numbers_are_replaced_as_text(void **state)
{
    static const struct {
        double value;
        const char *pattern, *repl;
        double want;           /* when it is still a number */
        const char *want_text; /* when it became one */
    } cases[] = {
        { 200, "2", "4", 400, NULL },
        { 200, "5", "x", 200, NULL },
        { 0.25, "^0\\\\.", "1.", 1.25, NULL },
        { 1e21, "^1000000000000000000000$", "7", 7, NULL },
        { 1.5e300, "^150+$", "8", 8, NULL },
        { -1.25e-7, "^-0\\\\.000000125$", "9", 9, NULL },
        { 5e-324, "^0\\\\.0+5$", "10", 10, NULL },
        { 200, "200", "ok", 0, "ok" },
        { 200, "0+", "", 2, NULL },
        { 200, ".*", "", 0, "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char variable[200];
        const double *number;
        const sonde_str *text;
        fixture f;

        (void)snprintf(variable, sizeof(variable),
                       "DD_APM_REPLACE_TAGS=[{\"name\":\"m\",\"pattern\":\"%s\",\"repl\":\"%s\"}]",
                       cases[i].pattern, cases[i].repl);
        open_fixture(&f, "", variable);
        put_metric(&f, "before", 1);
        put_metric(&f, "m", cases[i].value);
        put_metric(&f, "behind", 2);
        assert_status(rules_replace(f.lane, &f.span, &f.arena), SONDE_OK);
        number = span_metric_get(&f.span, SONDE_STR("m"));
        text = span_meta_get(&f.span, SONDE_STR("m"));
        if ((number != NULL) != (cases[i].want_text == NULL) ||
            (number && !(*number == cases[i].want)))
            fail_msg("%g with %s: %g", cases[i].value, cases[i].pattern, number ? *number : -1);
        if (cases[i].want_text)
            assert_text(*text, cases[i].want_text);
        assert_int_equal(f.span.metrics_len, number ? 3 : 2);
        close_fixture(&f);
    }
}

static void test_attributes_of_events_take_the_type_of_their_text(void **state)
{
    span_any list[] = { { .type = SPAN_ANY_INT, .integer = 12 },
                        { .type = SPAN_ANY_STRING, .str = SONDE_STR("x") } };
    span_event_attr attributes[] = {
        { SONDE_STR("i"), { .type = SPAN_ANY_INT, .integer = 12 } },
        { SONDE_STR("d"), { .type = SPAN_ANY_DOUBLE, .number = 1.5 } },
        { SONDE_STR("b"), { .type = SPAN_ANY_BOOL, .integer = 1 } },
        { SONDE_STR("l"), { .type = SPAN_ANY_ARRAY, .values = list, .values_len = 2 } },
        { SONDE_STR("s"), { .type = SPAN_ANY_STRING, .str = SONDE_STR("same") } },
    };
    span_event event = { .attributes = attributes, .attributes_len = 5 };
    fixture f;

    (void)state;
    open_fixture(&f,
                 "apm_config:\n  replace_tags:\n"
                 "    - {name: \"*\", pattern: \"^1\", repl: \"3\"}\n"
                 "    - {name: \"*\", pattern: \"true\", repl: \"false\"}\n"
                 "    - {name: d, pattern: \"5\", repl: \"x\"}\n",
                 NULL);
    f.span.events = &event;
    f.span.events_len = 1;
    assert_status(rules_replace(f.lane, &f.span, &f.arena), SONDE_OK);
    assert_int_equal(attributes[0].value.type, SPAN_ANY_INT);
    assert_int_equal(attributes[0].value.integer, 32);
    assert_int_equal(attributes[1].value.type, SPAN_ANY_STRING);
    assert_text(attributes[1].value.str, "3.x");
    assert_int_equal(attributes[2].value.type, SPAN_ANY_BOOL);
    assert_int_equal(attributes[2].value.integer, 0);
    assert_int_equal(list[0].integer, 32);
    assert_text(list[1].str, "x");
    assert_text(attributes[4].value.str, "same");
    close_fixture(&f);
}

static void test_stack_traces_go_when_asked(void **state)
{
    fixture f;

    (void)state;
    open_fixture(&f, "apm_config: {obfuscation: {remove_stack_traces: true}}", NULL);
    put_meta(&f, "error.stack", "main.c:5\nabort.c:7\n");
    put_meta(&f, "exception.stacktrace", "x");
    put_meta(&f, "error.msg", "x");
    assert_status(rules_replace(f.lane, &f.span, &f.arena), SONDE_OK);
    assert_text(f.span.meta[0].value, "?");
    assert_text(f.span.meta[1].value, "?");
    assert_text(f.span.meta[2].value, "x");
    close_fixture(&f);
}

static void test_groups_of_statistics_follow_the_rules(void **state)
{
    stats_group g = { .resource = SONDE_STR("GET /user/5"), .http_status_code = 204 };
    fixture f;

    (void)state;
    open_fixture(&f,
                 "apm_config:\n  ignore_resources: [health]\n  replace_tags:\n"
                 "    - {name: resource.name, pattern: \"[0-9]+\", repl: \"?\"}\n"
                 "    - {name: http.status_code, pattern: \"04$\", repl: \"00\"}\n"
                 "    - {name: \"*\", pattern: \"GET\", repl: \"PUT\"}\n"
                 "    - {name: http.status_code, pattern: \".*\", repl: \"none\"}\n",
                 NULL);
    rules_give(f.rules, f.lane);
    f.lane = NULL;
    assert_true(rules_keep_group(f.rules, &g));
    assert_status(rules_replace_group(f.rules, &f.arena, &g), SONDE_OK);
    assert_text(g.resource, "PUT /user/?");
    assert_int_equal(g.http_status_code, 200);
    g.resource = SONDE_STR("GET /health");
    assert_false(rules_keep_group(f.rules, &g));
    close_fixture(&f);
}

static void test_a_rule_that_cannot_be_used_is_an_error(void **state)
{
    static const char *const cases[] = {
        "DD_APM_REPLACE_TAGS=[{\"pattern\":\"a\",\"repl\":\"b\"}]",
        "DD_APM_REPLACE_TAGS=[{\"name\":\"a\",\"repl\":\"b\"}]",
        "DD_APM_REPLACE_TAGS=[{\"name\":\"a\",\"pattern\":\"(\"}]",
        "DD_APM_REPLACE_TAGS=[{\"name\":\"a\",\"pattern\":\"\\\\pX\"}]",
        "DD_APM_REPLACE_TAGS=[{\"name\":\"a\",\"pattern\":\"a\"}",
        "DD_APM_REPLACE_TAGS=[{\"name\":[],\"pattern\":\"a\"}]",
        "DD_APM_REPLACE_TAGS={\"name\":\"a\",\"pattern\":\"a\"}",
        "DD_APM_REPLACE_TAGS=[\"a\"]",
        "DD_APM_REPLACE_TAGS=a",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = config_of("", cases[i]);
        sonde_error error = { 0 };
        trace_rules *r = NULL;

        if (rules_open(c, 2, &r, &error) == SONDE_OK)
            fail_msg("%s", cases[i]);
        assert_non_null(strstr(error.message, "replace_tags"));
        config_put(c);
    }
}

static void test_without_rules_there_is_no_lane(void **state)
{
    fixture f;

    (void)state;
    open_fixture(&f, "", NULL);
    assert_null(f.lane);
    close_fixture(&f);
}

static void *take_and_give(void *user)
{
    trace_rules *r = user;

    for (int i = 0; i < 2000; i++) {
        rules_lane *lane = rules_take(r);
        payload_span root = { .resource = SONDE_STR("GET /health") };

        if (!lane || !rules_filter(lane, &root))
            return r;
        rules_give(r, lane);
    }
    return NULL;
}

static void test_threads_wait_for_a_lane(void **state)
{
    agent_config *c = config_of("apm_config: {ignore_resources: [health]}", NULL);
    pthread_t threads[4];
    trace_rules *r = NULL;
    void *failed;

    (void)state;
    assert_status(rules_open(c, 2, &r, NULL), SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, r), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    rules_close(r);
    config_put(c);
}

static bool drops(rules_lane *lane, sonde_str resource)
{
    payload_span root = { .resource = resource };

    return lane && rules_filter(lane, &root);
}

/* A lane that is out keeps its rules; whoever takes one afterwards gets the new ones. */
static void test_a_reload_changes_the_rules_for_the_next_payload(void **state)
{
    agent_config *first = config_of("apm_config: {ignore_resources: [health]}", NULL);
    agent_config *second = config_of("apm_config: {ignore_resources: [ready]}", NULL);
    agent_config *none = config_of("", NULL);
    agent_config *bad =
        config_of("", "DD_APM_REPLACE_TAGS=[{\"name\":\"t\",\"pattern\":\"(\",\"repl\":\"\"}]");
    rules_lane *old, *lane;
    trace_rules *r = NULL;

    (void)state;
    assert_status(rules_open(first, 1, &r, NULL), SONDE_OK);
    config_put(first); /* the rules hold what they need */
    old = rules_take(r);
    assert_status(rules_reload(r, second, 1, NULL), SONDE_OK);
    config_put(second);
    lane = rules_take(r);
    assert_true(drops(lane, SONDE_STR("ready")) && !drops(lane, SONDE_STR("health")));
    assert_true(drops(old, SONDE_STR("health")) && !drops(old, SONDE_STR("ready")));
    rules_give(r, old);
    rules_give(r, lane);
    assert_true(rules_reload(r, bad, 1, NULL) != SONDE_OK);
    lane = rules_take(r);
    assert_true(drops(lane, SONDE_STR("ready"))); /* as before */
    rules_give(r, lane);
    assert_status(rules_reload(r, none, 1, NULL), SONDE_OK);
    assert_null(rules_take(r));
    rules_close(r);
    config_put(none);
    config_put(bad);
}

/* A text that grows beyond all measure is an error, not a text that was not replaced. */
static void test_a_replaced_text_has_a_ceiling(void **state)
{
    static char text[25000];
    char variable[700];
    fixture f;

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    (void)snprintf(variable, sizeof(variable),
                   "DD_APM_REPLACE_TAGS=[{\"name\":\"t\",\"pattern\":\"a\",\"repl\":\"%.*s\"}]",
                   400, text);
    open_fixture(&f, "", variable);
    put_meta(&f, "t", text);
    assert_status(rules_replace(f.lane, &f.span, &f.arena), SONDE_ERR_TOO_BIG);
    close_fixture(&f);
}

static sonde_status open_and_replace(void *user)
{
    sonde_status status;
    sonde_arena arena;
    trace_rules *r = NULL;

    sonde_arena_init(&arena, 1u << 20);
    status = rules_open(user, 2, &r, NULL);
    if (status == SONDE_OK) {
        rules_lane *lane = rules_take(r);
        span_meta meta[8] = { { SONDE_STR("t"), SONDE_STR("abc") } };
        span_metric metrics[1] = { { SONDE_STR("t"), 5 } };
        payload_span s = { .meta = meta,
                           .meta_len = 1,
                           .meta_cap = 8,
                           .metrics = metrics,
                           .metrics_len = 1,
                           .metrics_cap = 1 };

        status = rules_replace(lane, &s, &arena);
        rules_give(r, lane);
    }
    rules_close(r);
    sonde_arena_done(&arena);
    return status;
}

static void test_rules_survive_every_failing_allocation(void **state)
{
    agent_config *c = config_of("apm_config:\n"
                                "  ignore_resources: [a, b]\n"
                                "  filter_tags: {reject: [c], require: [t]}\n"
                                "  filter_tags_regex: {reject: [\"d:e\"], require: [\"f:g\"]}\n"
                                "  replace_tags:\n"
                                "    - {name: t, pattern: \"(b)|5\", repl: \"$1x\"}\n",
                                NULL);

    (void)state;
    alloc_fail_each(open_and_replace, c);
    config_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roots_are_filtered),
        cmocka_unit_test(test_matches_give_way_to_go_templates),
        cmocka_unit_test(test_rules_look_where_their_name_says),
        cmocka_unit_test(test_numbers_are_replaced_as_text),
        cmocka_unit_test(test_attributes_of_events_take_the_type_of_their_text),
        cmocka_unit_test(test_stack_traces_go_when_asked),
        cmocka_unit_test(test_groups_of_statistics_follow_the_rules),
        cmocka_unit_test(test_a_rule_that_cannot_be_used_is_an_error),
        cmocka_unit_test(test_without_rules_there_is_no_lane),
        cmocka_unit_test(test_threads_wait_for_a_lane),
        cmocka_unit_test(test_a_reload_changes_the_rules_for_the_next_payload),
        cmocka_unit_test(test_a_replaced_text_has_a_ceiling),
        cmocka_unit_test(test_rules_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
