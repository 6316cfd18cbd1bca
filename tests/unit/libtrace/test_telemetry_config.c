/* test_telemetry_config.c - entries of the configuration: names, values, origins, errors. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "codec/json_read.h"
#include "libtrace/src/telemetry_config.h"
#include "support/temp_dir.h"

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static sonde_buf text;

static void write_all(const sonde__config *c)
{
    sonde_json_writer w;
    uint64_t seq = 100;

    sonde_buf_init(&text, 1u << 20);
    sonde_json_writer_init(&w, &text);
    sonde_json_begin_array(&w);
    sonde__telemetry_put_configuration(&w, c, &seq);
    sonde_json_end_array(&w);
    assert_status(text.status, SONDE_OK);
}

/* Every number from `"seq_id":101` up to the number of entries, once and in order. */
static void expect_sequence(void)
{
    const char *at = sonde_buf_cstr(&text);
    unsigned n = 100;
    char want[40];

    while ((at = strstr(at, "\"seq_id\":"))) {
        (void)snprintf(want, sizeof(want), "\"seq_id\":%u", ++n);
        assert_memory_equal(at, want, strlen(want));
        at += 9;
    }
    assert_true(n > 200);
}

static void expect_json(void)
{
    sonde_json_reader r;

    sonde_json_reader_init(&r, sonde_buf_str(&text), 1u << 16);
    assert_true(sonde_json_skip(&r, sonde_json_next(&r)));
    assert_int_equal(sonde_json_next(&r), SONDE_JSON_END);
    sonde_json_reader_done(&r);
}

/* The entry without its seq_id, which depends on the length of the table. */
static bool has_entry(const char *want)
{
    const char *hole = strstr(want, "#");
    const char *at = sonde_buf_cstr(&text);
    size_t before = (size_t)(hole - want);

    for (; (at = strstr(at, "{\"name\"")); at++) {
        const char *end = at + before;

        if (strncmp(at, want, before) != 0)
            continue;
        end += strspn(end, "0123456789");
        if (strncmp(end, hole + 1, strlen(hole + 1)) == 0)
            return true;
    }
    return false;
}

#define ENTRY(n, v, o, x)                                                                          \
    "{\"name\":\"" n "\",\"value\":" v ",\"origin\":\"" o "\",\"seq_id\":#" x "}"
#define ERROR(message) ",\"error\":{\"code\":0,\"message\":\"" message "\"}"
#define WRONG          ERROR("not a value it can have")

static void test_entries_say_what_every_source_said(void **state)
{
    static const struct {
        const char *label;
        const char *env;  /* NULL: none */
        const char *want; /* with # for the number */
        bool absent;
    } cases[] = {
        { "default boolean", NULL, ENTRY("DD_TRACE_ENABLED", "true", "default", ""), false },
        { "its older name", NULL, ENTRY("trace_enabled", "true", "default", ""), false },
        { "default under a given one", "DD_TRACE_ENABLED=0",
          ENTRY("DD_TRACE_ENABLED", "true", "default", ""), false },
        { "given boolean", "DD_TRACE_ENABLED=0", ENTRY("trace_enabled", "false", "env_var", ""),
          false },
        { "invalid boolean", "DD_TRACE_DEBUG=loud",
          ENTRY("trace_debug_enabled", "\"loud\"", "env_var", WRONG), false },
        { "number not given", NULL, ENTRY("trace_sample_rate", "null", "default", ""), false },
        { "number as it was given", "DD_TRACE_SAMPLE_RATE=0.30",
          ENTRY("DD_TRACE_SAMPLE_RATE", "\"0.30\"", "env_var", ""), false },
        { "number out of range", "DD_TRACE_SAMPLE_RATE=3",
          ENTRY("trace_sample_rate", "\"3\"", "env_var", WRONG), false },
        { "number with a default", NULL, ENTRY("DD_TRACE_RATE_LIMIT", "\"100\"", "default", ""),
          false },
        { "map not given", NULL, ENTRY("trace_tags", "\"\"", "default", ""), false },
        { "map", "DD_TAGS=team:apm,component:web",
          ENTRY("tags", "\"team:apm,component:web\"", "env_var", ""), false },
        { "found out at start", "DD_TAGS=service:s", ENTRY("service", "\"s\"", "calculated", ""),
          false },
        { "list", "DD_TRACE_PROPAGATION_STYLE=datadog",
          ENTRY("trace_propagation_style", "\"datadog\"", "env_var", ""), false },
        { "follows from it", "DD_TRACE_PROPAGATION_STYLE=datadog",
          ENTRY("trace_propagation_style_inject", "\"datadog\"", "calculated", ""), false },
        { "by OpenTelemetry", "OTEL_SERVICE_NAME=o", ENTRY("DD_SERVICE", "\"o\"", "env_var", ""),
          false },
        { "boolean without a default", NULL,
          ENTRY("DD_TRACE_NATIVE_SPAN_EVENTS", "null", "default", ""), false },
        { "never true", "DD_TRACE_SAMPLE_IGNORE_PARENT=1",
          ENTRY("DD_TRACE_SAMPLE_IGNORE_PARENT", "true", "env_var", WRONG), false },
        { "false instead", "DD_TRACE_SAMPLE_IGNORE_PARENT=1",
          ENTRY("DD_TRACE_SAMPLE_IGNORE_PARENT", "false", "calculated", ""), false },
        { "secret", "DD_API_KEY=0123abcd", ENTRY("DD_API_KEY", "\"***\"", "env_var", ""), false },
        { "password", "DD_TRACE_AGENT_URL=http://u:p@h:1",
          ENTRY("trace_agent_url", "\"http://h:1\"", "env_var", WRONG), false },
        { "injection", "DD_INJECTION_ENABLED=a,b,false",
          ENTRY("ssi_injection_enabled", "\"a,b,false\"", "env_var", ""), false },
        { "no injection", NULL, ENTRY("ssi_injection_enabled", "null", "default", ""), false },
        { "forced", "DD_INJECT_FORCE=True",
          ENTRY("ssi_forced_injection_enabled", "true", "env_var", ""), false },
        { "not forced", NULL, ENTRY("ssi_forced_injection_enabled", "null", "default", ""), false },
        { "source", NULL, ENTRY("instrumentation_source", "\"manual\"", "calculated", ""), false },
        { "source: injected", "DD_INJECTION_ENABLED=tracer",
          ENTRY("instrumentation_source", "\"ssi\"", "calculated", ""), false },
        { "SCA", "DD_APPSEC_SCA_ENABLED=1", ENTRY("DD_APPSEC_SCA_ENABLED", "true", "env_var", ""),
          false },
        { "SCA off", "DD_APPSEC_SCA_ENABLED=False",
          ENTRY("appsec.sca_enabled", "false", "env_var", ""), false },
        { "no SCA", NULL, ENTRY("DD_APPSEC_SCA_ENABLED", "\"\"", "default", ""), true },
        { "profiler", NULL, ENTRY("profiling_enabled", "false", "default", ""), false },
        { "profiler auto", "DD_PROFILING_ENABLED=auto",
          ENTRY("profiling_enabled", "\"auto\"", "env_var", ""), false },
        { "not to be had, off", "DD_APPSEC_ENABLED=0",
          ENTRY("appsec_enabled", "false", "env_var", ""), false },
        { "not to be had, on", "DD_APPSEC_ENABLED=1",
          ENTRY("appsec_enabled", "true", "env_var", ERROR("not supported by this library")),
          false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *env[] = { cases[i].env, NULL };
        sonde__config *c = sonde__config_new(NULL, look_up, env);

        assert_non_null(c);
        write_all(c);
        expect_json();
        expect_sequence();
        if (has_entry(cases[i].want) == cases[i].absent)
            fail_msg("%s: %s\nin %s", cases[i].label, cases[i].want, sonde_buf_cstr(&text));
        sonde_buf_done(&text);
        sonde__config_free(c);
    }
}

static void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The last entry is the one in force, and says which file it came from. */
static void test_sources_come_in_the_order_in_which_they_win(void **state)
{
    static const char local_text[] = "apm_configuration_default:\n  DD_ENV: l\n";
    static const char fleet_text[] = "config_id: c-12\napm_configuration_default:\n  DD_ENV: f\n";
    static const char *const want[] = {
        ENTRY("DD_ENV", "\"\"", "default", ""),
        ENTRY("DD_ENV", "\"l\"", "local_stable_config", ""),
        ENTRY("DD_ENV", "\"e\"", "env_var", ""),
        ENTRY("DD_ENV", "\"f\"", "fleet_stable_config", ",\"config_id\":\"c-12\""),
        ENTRY("DD_ENV", "\"o\"", "code", ""),
    };
    const char *env[] = { "DD_ENV=e", NULL };
    sonde_options options = { .env = "o" };
    char dir[256], local[300], fleet[300];
    const char *before = NULL;
    sonde__config *c;
    size_t i;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(local, sizeof(local), "%s/local.yaml", dir);
    (void)snprintf(fleet, sizeof(fleet), "%s/fleet.yaml", dir);
    write_file(local, local_text);
    write_file(fleet, fleet_text);
    c = sonde__config_new_with_files(&options, look_up, env, local, fleet);
    assert_non_null(c);
    write_all(c);
    for (i = 0; i < COUNT_OF(want); i++) {
        const char *at;
        char start[200];

        assert_true(has_entry(want[i]));
        (void)snprintf(start, sizeof(start), "%.*s", (int)(strchr(want[i], '#') - want[i]),
                       want[i]);
        at = strstr(sonde_buf_cstr(&text), start);
        assert_true(at > before);
        before = at;
    }
    sonde_buf_done(&text);
    sonde__config_free(c);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_say_what_every_source_said),
        cmocka_unit_test(test_sources_come_in_the_order_in_which_they_win),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
