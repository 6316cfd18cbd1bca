/* test_config.c - options over variables over defaults. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "libtrace/src/config.h"
#include "sonde/version.h"
#include "support/alloc_fail.h"

/* An environment: "NAME=value" texts, ended by NULL. */
static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

#define ENV(...) ((const char *[]){ __VA_ARGS__, NULL })

static sonde__config *make(const sonde_options *o, const char **env)
{
    sonde__config *c = sonde__config_new(o, look_up, (void *)env);

    assert_non_null(c);
    return c;
}

static int complaints;

static void count_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)line, (void)len;
    complaints += level == SONDE_LOG_WARN;
}

static void assert_text(const char *label, sonde_str got, const char *want)
{
    if (!sonde_str_eq(got, sonde_str_from(want)))
        fail_msg("%s: got %.*s, want %s", label, SONDE_STR_ARG(got), want);
}

static void test_tags_are_split_as_the_grammar_says(void **state)
{
    static const struct {
        const char *label;
        const char *in;
        const char *out; /* key=value; in order */
    } cases[] = {
        { "commas", "a:1,b:2", "a=1;b=2;" },
        { "blanks", "a:1 b:2", "a=1;b=2;" },
        { "blanks inside with commas", " a : x y ,b: ", "a=x y;b=;" },
        { "first colon", "a:b:c", "a=b:c;" },
        { "no colon", "a,b", "a=;b=;" },
        { "empty key", ":x,b:1", "b=1;" },
        { "trailing separators", "a:1,,b:2,", "a=1;b=2;" },
        { "tab and newline", "a:1\tb:2\nc:3", "a=1;b=2;c=3;" },
        { "nothing", "", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str rest = sonde_str_from(cases[i].in);
        char out[200] = "";
        sonde__tag tag;

        while (sonde__tags_next(&rest, strchr(cases[i].in, ',') != NULL, &tag)) {
            size_t len = strlen(out);

            (void)snprintf(out + len, sizeof(out) - len, "%.*s=%.*s;", SONDE_STR_ARG(tag.key),
                           SONDE_STR_ARG(tag.value));
        }
        if (strcmp(out, cases[i].out) != 0)
            fail_msg("%s: got %s", cases[i].label, out);
    }
}

static void test_identity_comes_from_options_then_variables_then_tags(void **state)
{
    sonde_options o = { .service = "by-option" };
    sonde__config *c;

    (void)state;
    c = make(&o, ENV("DD_SERVICE=by-variable", "DD_TAGS=env:by-tag,version:1,k:v,service:x"));
    assert_text("service", c->service, "by-option");
    assert_text("env", c->env, "by-tag");
    assert_text("version", c->version, "1");
    assert_int_equal(c->tags_len, 1);
    assert_text("tag", c->tags[0].key, "k");
    sonde__config_free(c);

    c = make(NULL, ENV("DD_SERVICE=by-variable", "DD_ENV=prod", "DD_TAGS=env:by-tag service:x"));
    assert_text("service", c->service, "by-variable");
    assert_text("env", c->env, "prod");
    sonde__config_free(c);

    c = make(NULL, ENV("DD_ENV=a\xff"
                       "b"));
    assert_text("not UTF-8", c->env,
                "a\xef\xbf\xbd"
                "b");
    sonde__config_free(c);

    c = make(NULL, ENV("DD_SERVICE="));
    assert_text("executable", c->service, "test_libtrace_config");
    sonde__config_free(c);
}

static void test_agent_is_found_in_the_order_of_the_rules(void **state)
{
    static const struct {
        const char *label;
        const char *option, *url, *host, *port;
        const char *want;
        int complaints;
    } cases[] = {
        { "option", "http://a:1", "DD_TRACE_AGENT_URL=http://b:2", "", "", "http://a:1", 0 },
        { "url", NULL, "DD_TRACE_AGENT_URL=http://b:2", "DD_AGENT_HOST=c", "", "http://b:2", 0 },
        { "unix", NULL, "DD_TRACE_AGENT_URL=unix:///x/y", "", "", "unix:///x/y", 0 },
        { "path prefix", NULL, "DD_TRACE_AGENT_URL=http://b:2/p", "", "", "http://b:2/p", 0 },
        { "bad url", NULL, "DD_TRACE_AGENT_URL=ftp://b", "DD_AGENT_HOST=c", "", "http://c:8126",
          1 },
        { "https", NULL, "DD_TRACE_AGENT_URL=https://b", "DD_AGENT_HOST=c", "", "http://c:8126",
          1 },
        { "host and port", NULL, "", "DD_AGENT_HOST=c", "DD_TRACE_AGENT_PORT=9", "http://c:9", 0 },
        { "port alone", NULL, "", "", "DD_TRACE_AGENT_PORT=9", "http://localhost:9", 0 },
        { "bad port", NULL, "", "DD_AGENT_HOST=c", "DD_TRACE_AGENT_PORT=70000", "http://c:8126",
          1 },
        { "v6", NULL, "", "DD_AGENT_HOST=::1", "", "http://[::1]:8126", 0 },
        { "v6 in brackets", NULL, "", "DD_AGENT_HOST=[::1]", "", "http://[::1]:8126", 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_options o = { .agent_url = cases[i].option };
        sonde__config *c;

        complaints = 0;
        c = make(&o, ENV(cases[i].url, cases[i].host, cases[i].port));
        if (strcmp(c->agent_text, cases[i].want) != 0 || complaints != cases[i].complaints)
            fail_msg("%s: got %s, %d complaints", cases[i].label, c->agent_text, complaints);
        sonde__config_free(c);
    }
}

static void test_metrics_go_to_the_host_of_the_agent_unless_told_otherwise(void **state)
{
    static const struct {
        const char *label;
        const char *env[4];
        const char *host;
        uint16_t port;
    } cases[] = {
        { "nothing", { NULL }, "localhost", 8125 },
        { "traces", { "DD_TRACE_AGENT_URL=http://t:1" }, "t", 8125 },
        { "agent", { "DD_TRACE_AGENT_URL=http://t:1", "DD_AGENT_HOST=a" }, "a", 8125 },
        { "IPv6", { "DD_AGENT_HOST=::1" }, "::1", 8125 },
        { "bracketed", { "DD_AGENT_HOST=[::1]" }, "::1", 8125 },
        { "socket", { "DD_TRACE_AGENT_URL=unix:///s" }, "localhost", 8125 },
        { "its own", { "DD_AGENT_HOST=a", "DD_DOGSTATSD_HOST=d", "DD_DOGSTATSD_PORT=9" }, "d", 9 },
        { "its own port", { "DD_AGENT_HOST=a", "DD_DOGSTATSD_PORT=9" }, "a", 9 },
        { "address", { "DD_AGENT_HOST=a", "DD_DOGSTATSD_URL=udp://u:7" }, "u", 7 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__config *c = make(NULL, (const char **)(uintptr_t)cases[i].env);

        assert_text(cases[i].label, sonde_str_from(c->statsd.host), cases[i].host);
        if (c->statsd.port != cases[i].port)
            fail_msg("%s: got port %u", cases[i].label, c->statsd.port);
        sonde__config_free(c);
    }
}

static void test_bad_values_cost_one_line_each_and_leave_the_default(void **state)
{
    sonde__config *c;

    (void)state;
    complaints = 0;
    c = make(NULL,
             ENV("DD_TRACE_ENABLED=perhaps", "DD_TRACE_AGENT_TIMEOUT=-1", "SONDE_TRACE_MEMORY=lots",
                 "DD_TRACE_SEND_RETRIES=many", "DD_TRACE_PROPAGATION_STYLE=carrier-pigeon",
                 "DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH=9999", "DD_TRACE_RETRY_INTERVAL=soon"));
    assert_true(c->enabled);
    assert_int_equal(c->agent_timeout_ns, 10000000000);
    assert_int_equal(c->memory_bytes, SONDE__MEMORY_DEFAULT_BYTES);
    assert_int_equal(c->send_retries, 2);
    assert_int_equal(c->retry_pause_ns, 100000000);
    assert_int_equal(c->extract.len, 3);
    assert_int_equal(c->tags_max_bytes, 512);
    assert_int_equal(complaints, 5 + 1);
    sonde__config_free(c);
}

static void test_propagation_styles_are_lists_per_direction(void **state)
{
    sonde__config *c;

    (void)state;
    c = make(NULL, ENV("DD_TRACE_PROPAGATION_STYLE=TraceContext,datadog,tracecontext",
                       "DD_TRACE_PROPAGATION_STYLE_INJECT=none"));
    assert_int_equal(c->extract.len, 2);
    assert_int_equal(c->extract.style[0], SONDE__STYLE_TRACECONTEXT);
    assert_int_equal(c->inject.len, 0);
    sonde__config_free(c);
    c = make(NULL, ENV("DD_PROPAGATION_STYLE_EXTRACT=datadog, baggage", "DD_TRACE_ENABLED=n"));
    assert_int_equal(c->extract.len, 2);
    assert_int_equal(c->extract.style[1], SONDE__STYLE_BAGGAGE);
    assert_int_equal(c->inject.len, 3);
    assert_false(c->enabled);
    sonde__config_free(c);
    c = make(NULL,
             ENV("OTEL_PROPAGATORS=b3,b3multi", "DD_TRACE_PROPAGATION_STYLE_EXTRACT=datadog"));
    assert_int_equal(c->extract.len, 1);
    assert_int_equal(c->inject.len, 2);
    assert_int_equal(c->inject.style[0], SONDE__STYLE_B3);
    sonde__config_free(c);
}

static void test_an_older_callers_options_are_read_up_to_their_size(void **state)
{
    sonde_options o = { .struct_bytes = offsetof(sonde_options, env),
                        .service = "s",
                        .env = "unseen" };
    sonde__config *c = make(&o, ENV("DD_VERSION=1"));

    (void)state;
    assert_text("service", c->service, "s");
    assert_text("env", c->env, "");
    sonde__config_free(c);
}

static void test_a_library_built_on_this_one_says_its_own_name_and_version(void **state)
{
    sonde_options o = { .language = "zig", .tracer_version = "7.8.9-rc1" };
    sonde_options empty = { .language = "", .tracer_version = "" };
    sonde__config *c = make(&o, ENV(NULL));

    (void)state;
    assert_text("language", c->language, "zig");
    assert_text("version", c->tracer_version, "7.8.9-rc1");
    sonde__config_free(c);
    c = make(&empty, ENV(NULL));
    assert_text("language", c->language, "c");
    assert_text("version", c->tracer_version, SONDE_VERSION);
    sonde__config_free(c);
}

static sonde_status make_and_free(void *user)
{
    sonde__config *c = sonde__config_new(NULL, look_up, user);

    sonde__config_free(c);
    return c ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_config_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(make_and_free, ENV("DD_SERVICE=s", "DD_TAGS=a:b,c:d"));
}

static int quiet(void **state)
{
    (void)state;
    sonde_log_set_sink(count_line, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_are_split_as_the_grammar_says),
        cmocka_unit_test(test_identity_comes_from_options_then_variables_then_tags),
        cmocka_unit_test(test_agent_is_found_in_the_order_of_the_rules),
        cmocka_unit_test(test_metrics_go_to_the_host_of_the_agent_unless_told_otherwise),
        cmocka_unit_test(test_bad_values_cost_one_line_each_and_leave_the_default),
        cmocka_unit_test(test_propagation_styles_are_lists_per_direction),
        cmocka_unit_test(test_an_older_callers_options_are_read_up_to_their_size),
        cmocka_unit_test(test_a_library_built_on_this_one_says_its_own_name_and_version),
        cmocka_unit_test(test_config_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("config", tests, quiet, NULL);
}
