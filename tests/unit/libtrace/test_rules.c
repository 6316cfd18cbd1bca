/* test_rules.c - sampling rules: JSON in, the first that matches out. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/log.h"
#include "libtrace/src/decision.h"
#include "libtrace/src/rules.h"
#include "support/alloc_fail.h"

static char last_line[1024];
static int lines;

static void keep_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level;
    lines++;
    len = len < sizeof(last_line) - 1 ? len : sizeof(last_line) - 1;
    memcpy(last_line, line, len);
    last_line[len] = '\0';
}

static int catch_log(void **state)
{
    (void)state;
    lines = 0;
    last_line[0] = '\0';
    sonde_log_set_sink(keep_line, NULL);
    return 0;
}

static int release_log(void **state)
{
    (void)state;
    sonde_log_set_sink(NULL, NULL);
    return 0;
}

/* -- matching ------------------------------------------------------------------------------------- */

typedef struct subject {
    const char *service, *name, *resource;
    const char *key, *value; /* a tag, or NULL */
    double number;           /* when `value` is NULL */
} subject;

static double rate_for(sonde__rules *r, const subject *s)
{
    sonde__bits known = r->always;
    sonde_str none = { NULL, 0 };
    const sonde__rule *rule;

    sonde__rules_note(r, SONDE__RULE_SERVICE, none, sonde_str_from(s->service), &known);
    sonde__rules_note(r, SONDE__RULE_NAME, none, sonde_str_from(s->name), &known);
    sonde__rules_note(r, SONDE__RULE_RESOURCE, none, sonde_str_from(s->resource), &known);
    if (s->key && s->value)
        sonde__rules_note(r, SONDE__RULE_TAG, sonde_str_from(s->key), sonde_str_from(s->value),
                          &known);
    else if (s->key)
        sonde__rules_note_number(r, sonde_str_from(s->key), s->number, &known);
    rule = sonde__rules_first(r, &known);
    return rule ? rule->rate : -1;
}

static void test_the_first_rule_whose_patterns_all_match_counts(void **state)
{
    static const struct {
        const char *label;
        const char *json;
        subject span;
        double rate; /* -1: none */
    } cases[] = {
        { "no rules", "[]", { "web", "get", "/a", NULL, NULL, 0 }, -1 },
        { "nothing asked, nothing said", "[{}]", { "web", "get", "/a", NULL, NULL, 0 }, 1 },
        { "service",
          "[{\"service\":\"w*\",\"sample_rate\":0.5}]",
          { "web", "g", "r", 0, 0, 0 },
          0.5 },
        { "other service", "[{\"service\":\"w*\"}]", { "db", "g", "r", 0, 0, 0 }, -1 },
        { "name", "[{\"name\":\"http.?et\"}]", { "s", "HTTP.get", "r", 0, 0, 0 }, 1 },
        { "resource", "[{\"resource\":\"GET /a*\"}]", { "s", "n", "GET /abc", 0, 0, 0 }, 1 },
        { "all of several",
          "[{\"service\":\"a\",\"name\":\"b\"}]",
          { "a", "c", "r", 0, 0, 0 },
          -1 },
        { "the first",
          "[{\"sample_rate\":0.1},{\"sample_rate\":0.2}]",
          { "a", "b", "c", 0, 0, 0 },
          0.1 },
        { "the second",
          "[{\"service\":\"x\",\"sample_rate\":0.1},{\"sample_rate\":0.2}]",
          { "a", "b", "c", 0, 0, 0 },
          0.2 },
        { "empty pattern", "[{\"resource\":\"\"}]", { "a", "b", "c", 0, 0, 0 }, -1 },
        { "null is absent",
          "[{\"service\":null,\"tags\":null,\"sample_rate\":null}]",
          { "a", "b", "c", 0, 0, 0 },
          1 },
        { "tag", "[{\"tags\":{\"tier\":\"go?d\"}}]", { "a", "b", "c", "tier", "GOLD", 0 }, 1 },
        { "other tag", "[{\"tags\":{\"tier\":\"*\"}}]", { "a", "b", "c", "TIER", "gold", 0 }, -1 },
        { "absent tag", "[{\"tags\":{\"tier\":\"*\"}}]", { "a", "b", "c", 0, 0, 0 }, -1 },
        { "any value", "[{\"tags\":{\"tier\":\"*\"}}]", { "a", "b", "c", "tier", "", 0 }, 1 },
        { "one of two tags",
          "[{\"tags\":{\"a\":\"*\",\"b\":\"*\"}}]",
          { "a", "b", "c", "a", "1", 0 },
          -1 },
        { "whole number", "[{\"tags\":{\"n\":\"2?\"}}]", { "a", "b", "c", "n", NULL, 20 }, 1 },
        { "negative number", "[{\"tags\":{\"n\":\"-1\"}}]", { "a", "b", "c", "n", NULL, -1 }, 1 },
        { "fraction", "[{\"tags\":{\"n\":\"0.5\"}}]", { "a", "b", "c", "n", NULL, 0.5 }, -1 },
        { "fraction and ?*", "[{\"tags\":{\"n\":\"?*\"}}]", { "a", "b", "c", "n", NULL, 0.5 }, -1 },
        { "fraction and **", "[{\"tags\":{\"n\":\"**\"}}]", { "a", "b", "c", "n", NULL, 0.5 }, 1 },
        { "list of tags",
          "[{\"tags\":[{\"key\":\"n\",\"value_glob\":\"x\"}]}]",
          { "a", "b", "c", "n", "x", 0 },
          1 },
        { "escapes", "[{\"service\":\"\\u0077eb\"}]", { "web", "b", "c", 0, 0, 0 }, 1 },
        { "unknown fields",
          "[{\"x\":[{\"y\":1}],\"sample_rate\":0.5}]",
          { "a", "b", "c", 0, 0, 0 },
          0.5 },
        { "known everywhere", "[{\"tags\":{\"env\":\"prod\"}}]", { "a", "b", "c", 0, 0, 0 }, 1 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__rules r;
        double got;

        sonde__rules_init(&r);
        assert_status(sonde__rules_add(&r, "test", sonde_str_from(cases[i].json)), SONDE_OK);
        sonde__rules_know_tag(&r, SONDE_STR("env"), SONDE_STR("prod"));
        got = rate_for(&r, &cases[i].span);
        if (got != cases[i].rate)
            fail_msg("%s: got %g", cases[i].label, got);
        sonde__rules_done(&r);
    }
    assert_int_equal(lines, 0);
}

static void test_what_is_known_follows_the_span(void **state)
{
    sonde__rules r;
    sonde__bits known = { { 0 } };
    sonde_str key = SONDE_STR("tier");

    (void)state;
    sonde__rules_init(&r);
    assert_status(sonde__rules_add(&r, "test", SONDE_STR("[{\"tags\":{\"tier\":\"gold\"}}]")),
                  SONDE_OK);
    assert_null(sonde__rules_first(&r, &known));
    sonde__rules_note(&r, SONDE__RULE_TAG, key, SONDE_STR("gold"), &known);
    assert_non_null(sonde__rules_first(&r, &known));
    sonde__rules_note(&r, SONDE__RULE_TAG, key, SONDE_STR("lead"), &known);
    assert_null(sonde__rules_first(&r, &known));
    sonde__rules_note(&r, SONDE__RULE_TAG, key, SONDE_STR("gold"), &known);
    sonde__rules_note_number(&r, key, 5, &known);
    assert_null(sonde__rules_first(&r, &known));
    sonde__rules_note(&r, SONDE__RULE_TAG, key, SONDE_STR("gold"), &known);
    sonde__rules_note_gone(&r, key, &known);
    assert_null(sonde__rules_first(&r, &known));
    sonde__rules_done(&r);
}

/* -- what cannot be used -------------------------------------------------------------------------- */

static void test_a_rule_that_cannot_be_used_is_left_out_with_its_place(void **state)
{
    static const struct {
        const char *json; /* of the second of three rules */
        const char *why;
    } cases[] = {
        { "1", "not an object" },
        { "\"x\"", "not an object" },
        { "[{}]", "not an object" },
        { "{\"sample_rate\":1.1}", "sample_rate is not a number from 0 to 1" },
        { "{\"sample_rate\":-0.1}", "sample_rate is not a number from 0 to 1" },
        { "{\"sample_rate\":\"1\"}", "sample_rate is not a number from 0 to 1" },
        { "{\"sample_rate\":[1]}", "sample_rate is not a number from 0 to 1" },
        { "{\"service\":5}", "a pattern is not a string" },
        { "{\"name\":{\"a\":[]}}", "a pattern is not a string" },
        { "{\"resource\":false}", "a pattern is not a string" },
        { "{\"tags\":\"a\"}", "tags is not an object" },
        { "{\"tags\":{\"a\":1}}", "a pattern is not a string" },
        { "{\"tags\":[1]}", "a tag is not an object" },
        { "{\"tags\":[{\"value_glob\":\"x\"}]}", "a tag has no key" },
        { "{\"max_per_second\":-1}", "max_per_second is not a number from 0 up" },
        { "{\"provenance\":\"else\"}", "provenance is not local, customer or dynamic" },
        { "{\"provenance\":1}", "provenance is not local, customer or dynamic" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char json[200];
        sonde__rules r;
        int len = snprintf(json, sizeof(json), "[{\"sample_rate\":0.5},%s,{\"sample_rate\":0.25}]",
                           cases[i].json);

        lines = 0;
        sonde__rules_init(&r);
        assert_status(sonde__rules_add(&r, "TEST", (sonde_str){ json, (size_t)len }), SONDE_OK);
        if (r.len != 2 || r.rule[0].rate != 0.5 || r.rule[1].rate != 0.25)
            fail_msg("%s: %u rules", cases[i].json, r.len);
        if (r.conditions_len != 0)
            fail_msg("%s: leaves %u conditions", cases[i].json, r.conditions_len);
        if (lines != 1 || !strstr(last_line, "from=TEST rule=2 byte=2") ||
            !strstr(last_line, cases[i].why))
            fail_msg("%s: %d lines: %s", cases[i].json, lines, last_line);
        sonde__rules_done(&r);
    }
}

static void test_a_text_that_is_no_array_of_json_adds_nothing(void **state)
{
    static const char *const cases[] = {
        "",
        "{}",
        "1",
        "\"a\"",
        "null",
        "[{}",
        "[{}]]",
        "[{}] x",
        "[{},]",
        "[{\"a\"}]",
        "[{\"service\":",
        "[{\"tags\":{\"a\"",
        "[nul]",
        "[{\"tags\":[{\"key\":",
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__rules r;

        lines = 0;
        sonde__rules_init(&r);
        sonde__rules_add_rate(&r, 0.5, SONDE__BY_RULE);
        if (sonde__rules_add(&r, "TEST", sonde_str_from(cases[i])) != SONDE_ERR_SYNTAX)
            fail_msg("%s: taken", cases[i]);
        if (r.len != 1 || r.conditions_len != 0 || lines < 1)
            fail_msg("%s: %u rules, %d lines", cases[i], r.len, lines);
        sonde__rules_done(&r);
    }
}

static size_t repeat(char *out, size_t cap, const char *item, unsigned n, bool number)
{
    size_t len = 0;
    unsigned i;

    len += (size_t)snprintf(out + len, cap - len, "[");
    for (i = 0; i < n; i++) {
        len += (size_t)snprintf(out + len, cap - len, "%s{\"service\":\"%s", i ? "," : "", item);
        len += number ? (size_t)snprintf(out + len, cap - len, "%u", i) : 0;
        len += (size_t)snprintf(out + len, cap - len, "\"}");
    }
    return len + (size_t)snprintf(out + len, cap - len, "]");
}

static void test_rules_and_conditions_beyond_the_ceilings_are_left_out(void **state)
{
    static char json[SONDE__RULES_MAX_BYTES + 2];
    sonde__rules r;
    sonde_str text = { json, 0 };

    (void)state;
    sonde__rules_init(&r);
    text.len = repeat(json, sizeof(json), "same", SONDE__RULES_MAX + 3, false);
    assert_status(sonde__rules_add(&r, "TEST", text), SONDE_OK);
    assert_int_equal(r.len, SONDE__RULES_MAX);
    assert_int_equal(r.conditions_len, 1);
    assert_int_equal(lines, 3);
    assert_non_null(strstr(last_line, "too many rules"));
    sonde__rules_add_rate(&r, 0.5, SONDE__BY_RULE);
    assert_int_equal(r.len, SONDE__RULES_MAX);
    assert_true(r.rule[r.len - 1].rate == 0.5);
    sonde__rules_done(&r);

    sonde__rules_init(&r);
    assert_status(sonde__rules_add(&r, "TEST", SONDE_STR("[{\"name\":\"n\"}]")), SONDE_OK);
    text.len = repeat(json, sizeof(json), "s", SONDE__CONDITIONS_MAX - 1, true);
    assert_status(sonde__rules_add(&r, "TEST", text), SONDE_OK);
    assert_int_equal(r.conditions_len, SONDE__CONDITIONS_MAX);
    r.len = 2;
    assert_status(sonde__rules_add(&r, "TEST", SONDE_STR("[{\"name\":\"m\"},{\"name\":\"n\"}]")),
                  SONDE_OK);
    assert_int_equal(r.len, 3);
    assert_non_null(strstr(last_line, "too many different patterns"));

    memset(json, ' ', sizeof(json));
    text.len = SONDE__RULES_MAX_BYTES + 1;
    assert_status(sonde__rules_add(&r, "TEST", text), SONDE_ERR_TOO_BIG);
    assert_non_null(strstr(last_line, "above 65536 bytes"));
    sonde__rules_done(&r);
}

/* -- the rest ------------------------------------------------------------------------------------- */

static void test_provenance_becomes_the_mechanism(void **state)
{
    sonde__rules r;

    (void)state;
    sonde__rules_init(&r);
    assert_status(
        sonde__rules_add(&r, "test",
                         SONDE_STR("[{},{\"provenance\":\"local\"},"
                                   "{\"provenance\":\"customer\"},"
                                   "{\"provenance\":\"dynamic\",\"max_per_second\":2.5}]")),
        SONDE_OK);
    assert_int_equal(r.rule[0].mechanism, 3);
    assert_int_equal(r.rule[1].mechanism, 3);
    assert_int_equal(r.rule[2].mechanism, 11);
    assert_int_equal(r.rule[3].mechanism, 12);
    assert_true(r.rule[0].max_per_second < 0);
    assert_true(r.rule[3].max_per_second == 2.5);
    sonde__rules_done(&r);
}

static void test_rules_come_from_the_variable_else_from_the_file(void **state)
{
    char path[] = "/tmp/sonde-rules-XXXXXX";
    static const char in_file[] = "[{\"sample_rate\":0.25}]";
    sonde_str inline_json = SONDE_STR("[{\"sample_rate\":0.75}]");
    sonde_str none = { "", 0 };
    int fd = mkstemp(path);
    sonde__rules r;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, in_file, sizeof(in_file) - 1), sizeof(in_file) - 1);
    close(fd);
    sonde__rules_init(&r);
    sonde__rules_add_configured(&r, "V", none, "F", none);
    assert_int_equal(r.len, 0);
    sonde__rules_add_configured(&r, "V", none, "F", sonde_str_from(path));
    assert_int_equal(lines, 0);
    sonde__rules_add_configured(&r, "V", inline_json, "F", sonde_str_from(path));
    assert_int_equal(lines, 1);
    assert_int_equal(r.len, 2);
    assert_true(r.rule[0].rate == 0.25 && r.rule[1].rate == 0.75);
    unlink(path);
    sonde__rules_add_configured(&r, "V", none, "F", sonde_str_from(path));
    sonde__rules_add_configured(&r, "V", none, "F", SONDE_STR("/"));
    assert_int_equal(lines, 3);
    assert_int_equal(r.len, 2);
    sonde__rules_done(&r);
}

static sonde_status add_once(void *user)
{
    sonde__rules r;
    sonde_status status;

    (void)user;
    sonde__rules_init(&r);
    status = sonde__rules_add(&r, "test",
                              SONDE_STR("[{\"service\":\"a\\u0062\",\"tags\":{\"k\":\"v\"}}]"));
    if (status == SONDE_OK && r.len == 0)
        status = SONDE_ERR_NOMEM; /* the rule was left out */
    sonde__rules_done(&r);
    return status;
}

static void test_reading_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(add_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_first_rule_whose_patterns_all_match_counts, catch_log),
        cmocka_unit_test(test_what_is_known_follows_the_span),
        cmocka_unit_test_setup(test_a_rule_that_cannot_be_used_is_left_out_with_its_place,
                               catch_log),
        cmocka_unit_test_setup(test_a_text_that_is_no_array_of_json_adds_nothing, catch_log),
        cmocka_unit_test_setup(test_rules_and_conditions_beyond_the_ceilings_are_left_out,
                               catch_log),
        cmocka_unit_test(test_provenance_becomes_the_mechanism),
        cmocka_unit_test_setup(test_rules_come_from_the_variable_else_from_the_file, catch_log),
        cmocka_unit_test(test_reading_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, release_log);
}
