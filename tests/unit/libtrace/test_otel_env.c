/* test_otel_env.c - what each OTEL_* variable becomes, and what hides it. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "libtrace/src/config.h"
#include "libtrace/src/otel_env.h"

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static int warnings;
static char last_warning[600];

static void note_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user;
    warnings += level == SONDE_LOG_WARN;
    (void)snprintf(last_warning, sizeof(last_warning), "%.*s", (int)len, line);
}

static const struct {
    const char *label;
    const char *env[4];
    const char *setting;
    const char *want; /* NULL: nothing is said */
    int warnings;
} cases[] = {
    { "name", { "OTEL_SERVICE_NAME= s " }, "DD_SERVICE", "s", 0 },
    { "name, empty", { "OTEL_SERVICE_NAME=" }, "DD_SERVICE", NULL, 0 },
    { "name, hidden", { "OTEL_SERVICE_NAME=s", "DD_SERVICE=t" }, "DD_SERVICE", NULL, 1 },
    { "name, hidden by an alias",
      { "OTEL_SERVICE_NAME=s", "DD_SERVICE_NAME=t" },
      "DD_SERVICE",
      NULL,
      1 },
    { "name, not hidden by nothing",
      { "OTEL_SERVICE_NAME=s", "DD_SERVICE= " },
      "DD_SERVICE",
      "s",
      0 },
    { "level", { "OTEL_LOG_LEVEL=Warn" }, "DD_TRACE_LOG_LEVEL", "Warn", 0 },
    { "level is no debug", { "OTEL_LOG_LEVEL=info" }, "DD_TRACE_DEBUG", NULL, 0 },
    { "level debug", { "OTEL_LOG_LEVEL=debug" }, "DD_TRACE_DEBUG", "true", 0 },
    { "level, unknown", { "OTEL_LOG_LEVEL=trace" }, "DD_TRACE_LOG_LEVEL", NULL, 1 },
    { "propagators", { "OTEL_PROPAGATORS=b3,none" }, "DD_TRACE_PROPAGATION_STYLE", "b3,none", 0 },
    { "propagators, one unknown",
      { "OTEL_PROPAGATORS=b3,x" },
      "DD_TRACE_PROPAGATION_STYLE",
      "b3,x",
      0 },
    { "propagators, unknown", { "OTEL_PROPAGATORS=x,y" }, "DD_TRACE_PROPAGATION_STYLE", NULL, 1 },
    { "always on", { "OTEL_TRACES_SAMPLER=always_on" }, "DD_TRACE_SAMPLE_RATE", "1.0", 1 },
    { "parent-based always on",
      { "OTEL_TRACES_SAMPLER=parentbased_always_on" },
      "DD_TRACE_SAMPLE_RATE",
      "1.0",
      0 },
    { "always off", { "OTEL_TRACES_SAMPLER=always_off" }, "DD_TRACE_SAMPLE_RATE", "0.0", 1 },
    { "parent-based always off",
      { "OTEL_TRACES_SAMPLER=parentbased_always_off" },
      "DD_TRACE_SAMPLE_RATE",
      "0.0",
      0 },
    { "ratio",
      { "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25" },
      "DD_TRACE_SAMPLE_RATE",
      "0.25",
      1 },
    { "parent-based ratio",
      { "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25" },
      "DD_TRACE_SAMPLE_RATE",
      "0.25",
      0 },
    { "ratio, no argument",
      { "OTEL_TRACES_SAMPLER=parentbased_traceidratio" },
      "DD_TRACE_SAMPLE_RATE",
      "1.0",
      0 },
    { "ratio, bad argument",
      { "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2" },
      "DD_TRACE_SAMPLE_RATE",
      "1.0",
      2 },
    { "sampler, unknown", { "OTEL_TRACES_SAMPLER=x" }, "DD_TRACE_SAMPLE_RATE", NULL, 1 },
    { "sampler, hidden",
      { "OTEL_TRACES_SAMPLER=always_on", "DD_TRACE_SAMPLE_RATE=0.5" },
      "DD_TRACE_SAMPLE_RATE",
      NULL,
      1 },
    { "exporter", { "OTEL_TRACES_EXPORTER=none" }, "DD_TRACE_ENABLED", "false", 0 },
    { "exporter, other", { "OTEL_TRACES_EXPORTER=otlp" }, "DD_TRACE_ENABLED", NULL, 1 },
    { "metrics", { "OTEL_METRICS_EXPORTER=none" }, "DD_RUNTIME_METRICS_ENABLED", "false", 0 },
    { "metrics, other", { "OTEL_METRICS_EXPORTER=otlp" }, "DD_RUNTIME_METRICS_ENABLED", NULL, 1 },
    { "logs, none", { "OTEL_LOGS_EXPORTER=none" }, "DD_TRACE_ENABLED", NULL, 0 },
    { "logs", { "OTEL_LOGS_EXPORTER=otlp" }, "DD_TRACE_ENABLED", NULL, 1 },
    { "sdk", { "OTEL_SDK_DISABLED=true" }, "DD_TRACE_OTEL_ENABLED", "false", 0 },
    { "sdk, not boolean", { "OTEL_SDK_DISABLED=1" }, "DD_TRACE_OTEL_ENABLED", NULL, 1 },
    { "attributes",
      { "OTEL_RESOURCE_ATTRIBUTES=a=b, c = d e ,x=y=z,n=" },
      "DD_TAGS",
      "a:b,c:d e,x:y=z,n:,",
      0 },
    { "attributes with settings first",
      { "OTEL_RESOURCE_ATTRIBUTES=a=1,service.version=2,deployment.environment=e" },
      "DD_TAGS",
      "version:2,env:e,a:1,",
      0 },
    { "ten attributes",
      { "OTEL_RESOURCE_ATTRIBUTES=a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9,j=10,service.name=s" },
      "DD_TAGS",
      "service:s,a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9,",
      0 },
    { "attribute without value", { "OTEL_RESOURCE_ATTRIBUTES=a=1,b" }, "DD_TAGS", NULL, 1 },
    { "attribute without key", { "OTEL_RESOURCE_ATTRIBUTES==1" }, "DD_TAGS", NULL, 1 },
    { "attributes, comma at the end", { "OTEL_RESOURCE_ATTRIBUTES=a=1," }, "DD_TAGS", "a:1,", 0 },
    { "attributes, encoded",
      { "OTEL_RESOURCE_ATTRIBUTES=a%20b=c%2Cd%3de,f=%25" },
      "DD_TAGS",
      "a b:c\x1f"
      "d=e,f:%,",
      0 },
    { "attributes, half a byte", { "OTEL_RESOURCE_ATTRIBUTES=a=1%2" }, "DD_TAGS", NULL, 1 },
    { "attributes, no byte", { "OTEL_RESOURCE_ATTRIBUTES=a=%zz" }, "DD_TAGS", NULL, 1 },
    { "attributes, hidden", { "OTEL_RESOURCE_ATTRIBUTES=a=1", "DD_TAGS=b:2" }, "DD_TAGS", NULL, 1 },
};

/* How many cases set it, with a warning or without. */
static unsigned cases_of(const char *variable, bool warned)
{
    size_t len = strlen(variable), i, k;
    unsigned n = 0;

    for (i = 0; i < COUNT_OF(cases); i++)
        for (k = 0; k < COUNT_OF(cases[i].env) && cases[i].env[k]; k++)
            n += strncmp(cases[i].env[k], variable, len) == 0 && cases[i].env[k][len] == '=' &&
                 (cases[i].warnings > 0) == warned;
    return n;
}

static void test_every_variable_has_a_case_that_counts_and_one_that_does_not(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < SONDE__OTEL_VARIABLES; i++) {
        const char *setting;
        const char *name = sonde__otel_name(i, &setting);

        if (cases_of(name, false) == 0 || cases_of(name, true) == 0)
            fail_msg("%s: %u cases without a warning, %u with", name, cases_of(name, false),
                     cases_of(name, true));
    }
}

static void test_variables_are_translated(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__otel o;
        const char *name = NULL;
        sonde_str got = { NULL, 0 };
        bool said;

        warnings = 0;
        sonde__otel_read(&o, look_up, (void *)(uintptr_t)cases[i].env);
        sonde__otel_warn(&o);
        said = sonde__otel_get(&o, cases[i].setting, &name, &got);
        if (said != (cases[i].want != NULL) || warnings != cases[i].warnings ||
            (said && !sonde_str_eq(got, sonde_str_from(cases[i].want))))
            fail_msg("%s: %.*s, %d warnings", cases[i].label, SONDE_STR_ARG(got), warnings);
        if (said)
            assert_int_equal(strncmp(cases[i].env[0], name, strlen(name)), 0);
    }
}

static void test_attributes_have_a_ceiling(void **state)
{
    static char text[2 * SONDE__OTEL_TEXT_MAX_BYTES] = "OTEL_RESOURCE_ATTRIBUTES=a=";
    const char *env[] = { text, NULL };
    size_t fits = SONDE__OTEL_TEXT_MAX_BYTES - 3; /* with "a:" and "," */
    const char *name;
    sonde_str got;
    sonde__otel o;

    (void)state;
    memset(text + strlen(text), 'v', fits);
    sonde__otel_read(&o, look_up, env);
    assert_true(sonde__otel_get(&o, "DD_TAGS", &name, &got));
    assert_int_equal(got.len, SONDE__OTEL_TEXT_MAX_BYTES);
    text[strlen(text)] = 'v';
    sonde__otel_read(&o, look_up, env);
    assert_false(sonde__otel_get(&o, "DD_TAGS", &name, &got));
}

static void test_a_configuration_follows_them(void **state)
{
    const char *env[] = {
        "OTEL_RESOURCE_ATTRIBUTES=service.name=attr,deployment.environment=my env",
        "OTEL_SERVICE_NAME=svc",
        "OTEL_TRACES_EXPORTER=none",
        "OTEL_PROPAGATORS=b3,pigeon",
        "OTEL_LOG_LEVEL=debug",
        NULL
    };
    sonde__config *c;
    const sonde__setting *s;

    (void)state;
    warnings = 0;
    c = sonde__config_new(NULL, look_up, env);
    assert_non_null(c);
    s = sonde__setting_of(c, offsetof(sonde__config, service));
    assert_true(sonde_str_eq(c->service, SONDE_STR("svc")));
    assert_string_equal(s->name, "OTEL_SERVICE_NAME");
    assert_int_equal(s->origin, SONDE__ORIGIN_OTEL);
    assert_true(sonde_str_eq(c->env, SONDE_STR("my env")));
    assert_false(c->enabled);
    assert_int_equal(c->extract.len, 1);
    assert_int_equal(c->extract.style[0], SONDE__STYLE_B3);
    assert_int_equal(sonde_log_get_level(), SONDE_LOG_DEBUG);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(last_warning, "OTEL_PROPAGATORS=\"pigeon\""));
    sonde__config_free(c);
}

static void test_an_encoded_comma_separates_nothing(void **state)
{
    const char *env[] = { "OTEL_RESOURCE_ATTRIBUTES=service.name=a%2Cb,list=1%2C2,x=y", NULL };
    const sonde__setting *s;
    sonde__config *c;

    (void)state;
    c = sonde__config_new(NULL, look_up, env);
    assert_non_null(c);
    assert_true(sonde_str_eq(c->service, SONDE_STR("a,b")));
    assert_int_equal(c->tags_len, 2);
    assert_true(sonde_str_eq(c->tags[0].value, SONDE_STR("1,2")));
    s = sonde__setting_of(c, offsetof(sonde__config, tags_text));
    assert_int_equal(s->origin, SONDE__ORIGIN_OTEL);
    assert_true(sonde_str_eq(s->value, SONDE_STR("service:a,b,list:1,2,x:y,")));
    sonde__config_free(c);
}

static int listen(void **state)
{
    (void)state;
    sonde_log_set_sink(note_line, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_variable_has_a_case_that_counts_and_one_that_does_not),
        cmocka_unit_test(test_variables_are_translated),
        cmocka_unit_test(test_attributes_have_a_ceiling),
        cmocka_unit_test(test_a_configuration_follows_them),
        cmocka_unit_test(test_an_encoded_comma_separates_nothing),
    };

    return cmocka_run_group_tests_name("otel_env", tests, listen, NULL);
}
