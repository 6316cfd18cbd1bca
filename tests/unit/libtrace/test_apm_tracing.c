/* test_apm_tracing.c - what a configuration of APM_TRACING sets, and several of them together. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/src/apm_tracing.h"
#include "libtrace/src/rules.h"
#include "support/alloc_fail.h"

/* In one line, what is not set left out. */
static void describe(const sonde__remote_values *v, char *to, size_t cap)
{
    size_t len = 0;
    uint32_t i;

    to[0] = '\0';
    if (v->tracing_enabled >= 0)
        len += (size_t)snprintf(to + len, cap - len, "enabled=%d ", v->tracing_enabled);
    if (v->log_injection >= 0)
        len += (size_t)snprintf(to + len, cap - len, "logs=%d ", v->log_injection);
    if (v->sample_rate >= 0)
        len += (size_t)snprintf(to + len, cap - len, "rate=%g ", v->sample_rate);
    if (v->rules.ptr)
        len += (size_t)snprintf(to + len, cap - len, "rules=%.*s ", SONDE_STR_ARG(v->rules));
    if (v->header_tags.ptr)
        len +=
            (size_t)snprintf(to + len, cap - len, "headers=%.*s ", SONDE_STR_ARG(v->header_tags));
    if (v->tags)
        len += (size_t)snprintf(to + len, cap - len, "tags=");
    for (i = 0; i < v->tags_len; i++)
        len += (size_t)snprintf(to + len, cap - len, "(%.*s|%.*s)", SONDE_STR_ARG(v->tags[i].key),
                                SONDE_STR_ARG(v->tags[i].value));
}

#define LIB(fields) "{\"lib_config\":{" fields "}}"
#define RULE                                                                                       \
    "{\"service\":\"a\",\"resource\":\"*\",\"provenance\":\"customer\",\"sample_rate\":0.1}"

static const struct {
    const char *label, *json;
    const char *want; /* NULL: refused */
    const char *error;
} fields[] = {
    { "nothing", "{}", "", "" },
    { "no fields", LIB(""), "", "" },
    { "null", "{\"lib_config\":null}", "", "" },
    { "unknown", LIB("\"tracing_debug\":true,\"x\":{\"tracing_enabled\":1}"), "", "" },
    { "all null",
      LIB("\"tracing_enabled\":null,\"tracing_sampling_rate\":null,\"log_injection_enabled\":"
          "null,"
          "\"tracing_sampling_rules\":null,\"tracing_tags\":null,\"tracing_header_tags\":null"),
      "", "" },
    { "off", LIB("\"tracing_enabled\":false"), "enabled=0 ", "" },
    { "on", LIB("\"tracing_enabled\":true"), "enabled=1 ", "" },
    { "a word", LIB("\"tracing_enabled\":\"true\""), NULL, "tracing_enabled: not a boolean" },
    { "logs", LIB("\"log_injection_enabled\":true"), "logs=1 ", "" },
    { "logs by number", LIB("\"log_injection_enabled\":1"), NULL,
      "log_injection_enabled: not a boolean" },
    { "rate", LIB("\"tracing_sampling_rate\":0.25"), "rate=0.25 ", "" },
    { "rate 0", LIB("\"tracing_sampling_rate\":0"), "rate=0 ", "" },
    { "rate above 1", LIB("\"tracing_sampling_rate\":1.01"), NULL,
      "tracing_sampling_rate: not a number from 0 to 1" },
    { "negative rate", LIB("\"tracing_sampling_rate\":-0.1"), NULL,
      "tracing_sampling_rate: not a number from 0 to 1" },
    { "rate as text", LIB("\"tracing_sampling_rate\":\"1\""), NULL,
      "tracing_sampling_rate: not a number from 0 to 1" },
    { "rules", LIB("\"tracing_sampling_rules\": [" RULE "]"), "rules=[" RULE "] ", "" },
    { "no rules", LIB("\"tracing_sampling_rules\":[]"), "rules=[] ", "" },
    { "rules as object", LIB("\"tracing_sampling_rules\":{}"), NULL,
      "tracing_sampling_rules: not an array" },
    { "a rule as text", LIB("\"tracing_sampling_rules\":[\"x\"]"), NULL,
      "tracing_sampling_rules: not a list of objects" },
    { "a rule without service",
      LIB("\"tracing_sampling_rules\":[{\"resource\":\"*\",\"provenance\":\"dynamic\",\"sample_"
          "rate\":1}]"),
      NULL, "tracing_sampling_rules: no service" },
    { "a rule without resource",
      LIB("\"tracing_sampling_rules\":[{\"service\":\"*\",\"provenance\":\"dynamic\",\"sample_"
          "rate\":1}]"),
      NULL, "tracing_sampling_rules: no resource" },
    { "a rule without provenance",
      LIB("\"tracing_sampling_rules\":[{\"service\":\"*\",\"resource\":\"*\",\"sample_rate\":1}"
          "]"),
      NULL, "tracing_sampling_rules: no provenance" },
    { "a rule without rate",
      LIB("\"tracing_sampling_rules\":[{\"service\":\"*\",\"resource\":\"*\",\"provenance\":"
          "\"dynamic\"}]"),
      NULL, "tracing_sampling_rules: no sample_rate from 0 to 1" },
    { "a second rule that is wrong", LIB("\"tracing_sampling_rules\":[" RULE ",{}]"), NULL,
      "tracing_sampling_rules: no service" },
    { "tags", LIB("\"tracing_tags\":[\"a:1\",\" b : c:d \",\"lone\",\"\",\":x\"]"),
      "tags=(a|1)(b|c:d)(lone|)", "" },
    { "who we are stays", LIB("\"tracing_tags\":[\"service:x\",\"env:x\",\"version:x\",\"a:\"]"),
      "tags=(a|)", "" },
    { "no tags", LIB("\"tracing_tags\":[]"), "tags=", "" },
    { "tags as object", LIB("\"tracing_tags\":{\"a\":\"1\"}"), NULL, "tracing_tags: not an array" },
    { "tags of numbers", LIB("\"tracing_tags\":[1]"), NULL, "tracing_tags: not a list of texts" },
    { "headers",
      LIB("\"tracing_header_tags\":[{\"header\":\"X-A\",\"tag_name\":\"a\"},"
          "{\"tag_name\":\"\",\"header\":\" X-B \",\"x\":[]},{\"header\":\"X-C\"}]"),
      "headers=X-A:a,X-B,X-C ", "" },
    { "headers that cannot be listed",
      LIB("\"tracing_header_tags\":[{\"header\":\"a,b\"},{\"header\":\"a\",\"tag_name\":\"b:"
          "c\"},"
          "{\"header\":\"\"},{}]"),
      "headers= ", "" },
    { "headers as text", LIB("\"tracing_header_tags\":\"a:b\""), NULL,
      "tracing_header_tags: not an array" },
    { "headers of texts", LIB("\"tracing_header_tags\":[\"a:b\"]"), NULL,
      "tracing_header_tags: not a list of objects" },
    { "lib_config is a list", "{\"lib_config\":[]}", NULL, "lib_config: not an object" },
    { "not JSON", "{", NULL, "not a JSON object" },
    { "a list", "[]", NULL, "not a JSON object" },
    { "more behind it", "{}1", NULL, "not a JSON object" },
};

static void test_each_field_is_set_absent_or_wrong(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(fields); i++) {
        char error[SONDE__APM_ERROR_ROOM] = "";
        char got[512];
        sonde__apm_tracing a;
        sonde_arena texts;
        sonde_status status;

        sonde_arena_init(&texts, 1u << 20);
        status = sonde__apm_tracing_parse(sonde_str_from(fields[i].json), &texts, &a, error);
        if (fields[i].want)
            describe(&a.values, got, sizeof(got));
        if ((status == SONDE_OK) != (fields[i].want != NULL) ||
            strcmp(error, fields[i].error) != 0 ||
            (fields[i].want && strcmp(got, fields[i].want) != 0))
            fail_msg("%s: %s, error \"%s\", %s", fields[i].label, sonde_status_name(status), error,
                     fields[i].want ? got : "");
        sonde_arena_done(&texts);
    }
}

static void test_the_target_says_how_narrow_it_is(void **state)
{
    static const struct {
        const char *label, *json;
        sonde__scope want;
    } cases[] = {
        { "none", "{}", SONDE__SCOPE_ORG },
        { "null", "{\"service_target\":null,\"k8s_target_v2\":null}", SONDE__SCOPE_ORG },
        { "stars", "{\"service_target\":{\"service\":\"*\",\"env\":\"*\"}}", SONDE__SCOPE_ORG },
        { "empty", "{\"service_target\":{\"service\":\"\",\"env\":\"\"}}", SONDE__SCOPE_ORG },
        { "both", "{\"service_target\":{\"service\":\"a\",\"env\":\"b\"}}",
          SONDE__SCOPE_SERVICE_AND_ENV },
        { "service", "{\"service_target\":{\"service\":\"a\",\"env\":\"*\"}}",
          SONDE__SCOPE_SERVICE },
        { "env", "{\"service_target\":{\"env\":\"b\"}}", SONDE__SCOPE_ENV },
        { "cluster", "{\"k8s_target_v2\":{\"cluster_targets\":[]}}", SONDE__SCOPE_CLUSTER },
        { "env in a cluster", "{\"k8s_target_v2\":{},\"service_target\":{\"env\":\"b\"}}",
          SONDE__SCOPE_ENV },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char error[SONDE__APM_ERROR_ROOM];
        sonde__apm_tracing a;
        sonde_arena texts;

        sonde_arena_init(&texts, 65536);
        assert_status(sonde__apm_tracing_parse(sonde_str_from(cases[i].json), &texts, &a, error),
                      SONDE_OK);
        if (a.scope != cases[i].want)
            fail_msg("%s: scope %d", cases[i].label, (int)a.scope);
        sonde_arena_done(&texts);
    }
}

static void test_several_are_merged_field_by_field(void **state)
{
    static const char *const json[] = {
        "{\"lib_config\":{\"tracing_sampling_rate\":0.1,\"tracing_enabled\":false,\"tracing_tags\":"
        "[\"from:org\"]}}",
        "{\"service_target\":{\"env\":\"e\"},\"revision\":1,\"lib_config\":{\"tracing_sampling_"
        "rate\":0.2,"
        "\"log_injection_enabled\":true}}",
        "{\"service_target\":{\"env\":\"e\"},\"revision\":2,\"lib_config\":{\"tracing_sampling_"
        "rate\":0.3}}",
        "{\"service_target\":{\"env\":\"e\"},\"revision\":2,\"lib_config\":{\"tracing_sampling_"
        "rate\":0.4}}",
        "{\"service_target\":{\"service\":\"s\",\"env\":\"e\"},\"lib_config\":{\"tracing_header_"
        "tags\":[]}}",
        "{\"service_target\":{\"service\":\"s\"},\"lib_config\":{\"tracing_header_tags\":[{"
        "\"header\":\"x\"}]}}",
    };
    sonde__apm_tracing each[COUNT_OF(json)];
    char error[SONDE__APM_ERROR_ROOM];
    sonde__remote_values v;
    sonde_arena texts;
    char got[512];
    size_t i;

    (void)state;
    sonde_arena_init(&texts, 65536);
    for (i = 0; i < COUNT_OF(json); i++)
        assert_status(sonde__apm_tracing_parse(sonde_str_from(json[i]), &texts, &each[i], error),
                      SONDE_OK);
    v = sonde__apm_tracing_merge(each, COUNT_OF(json));
    describe(&v, got, sizeof(got));
    assert_string_equal(got, "enabled=0 logs=1 rate=0.3 headers= tags=(from|org)");
    v = sonde__apm_tracing_merge(each, 0);
    describe(&v, got, sizeof(got));
    assert_string_equal(got, "");
    sonde_arena_done(&texts);
}

/* "<head>" + count times "<item>" with commas + "<tail>" */
static char *repeat(const char *head, const char *item, size_t count, const char *tail)
{
    char *text = (char *)malloc(strlen(head) + (strlen(item) + 1) * count + strlen(tail) + 1);
    size_t len = strlen(head);

    memcpy(text, head, len);
    while (count-- > 0) {
        memcpy(text + len, item, strlen(item));
        len += strlen(item);
        if (count > 0)
            text[len++] = ',';
    }
    memcpy(text + len, tail, strlen(tail) + 1);
    return text;
}

static void test_more_than_the_ceilings_is_refused(void **state)
{
    static const struct {
        const char *field, *item;
        size_t fits; /* so many, and no more */
        const char *error;
    } cases[] = {
        { "tracing_tags", "\"a:b\"", SONDE__DEFAULT_TAGS_MAX, "tracing_tags: too many" },
        { "tracing_header_tags", "{\"header\":\"0123456\"}", SONDE__HEADER_TAGS_MAX_BYTES / 8,
          "tracing_header_tags: too long" },
        { "tracing_sampling_rules", RULE, SONDE__RULES_MAX_BYTES / sizeof(RULE),
          "tracing_sampling_rules: too long" },
    };
    size_t i, more;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        for (more = 0; more < 2; more++) {
            char error[SONDE__APM_ERROR_ROOM] = "";
            char head[64];
            sonde__apm_tracing a;
            sonde_arena texts;
            sonde_status got;
            char *json;

            (void)snprintf(head, sizeof(head), "{\"lib_config\":{\"%s\":[", cases[i].field);
            json = repeat(head, cases[i].item, cases[i].fits + more, "]}}");
            sonde_arena_init(&texts, 1u << 20);
            got = sonde__apm_tracing_parse(sonde_str_from(json), &texts, &a, error);
            if (got != (more ? SONDE_ERR_TOO_BIG : SONDE_OK) ||
                strcmp(error, more ? cases[i].error : "") != 0)
                fail_msg("%s, %zu: %s \"%s\"", cases[i].field, cases[i].fits + more,
                         sonde_status_name(got), error);
            sonde_arena_done(&texts);
            free(json);
        }
    }
}

static sonde_status parse_all(void *unused)
{
    static const char json[] =
        LIB("\"tracing_sampling_rules\":[" RULE "],\"tracing_tags\":[\"a:1\"],"
            "\"tracing_header_tags\":[{\"header\":\"X-\\u0041\",\"tag_name\":\"a\"}]");
    char error[SONDE__APM_ERROR_ROOM];
    sonde__apm_tracing a;
    sonde_arena texts;
    sonde_status status;

    (void)unused;
    sonde_arena_init(&texts, 1u << 20);
    status = sonde__apm_tracing_parse(sonde_str_from(json), &texts, &a, error);
    sonde_arena_done(&texts);
    return status;
}

static void test_without_memory_a_configuration_is_refused(void **state)
{
    (void)state;
    alloc_fail_each(parse_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_field_is_set_absent_or_wrong),
        cmocka_unit_test(test_the_target_says_how_narrow_it_is),
        cmocka_unit_test(test_several_are_merged_field_by_field),
        cmocka_unit_test(test_more_than_the_ceilings_is_refused),
        cmocka_unit_test(test_without_memory_a_configuration_is_refused),
    };

    return cmocka_run_group_tests_name("apm_tracing", tests, NULL, NULL);
}
