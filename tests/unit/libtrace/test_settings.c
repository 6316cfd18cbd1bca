/* test_settings.c - every row of the table: valid, invalid, absent, empty, by an alias; and what is
 * shown of it to the program and in docs/TRACER-CONFIGURATION.md. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "libtrace/src/config.h"
#include "libtrace/src/settings.h"
#include "sonde/tracer.h"

/* One for every row, in its order.  `field` is what then stands in the field: see write_field(). */
static const struct row_case {
    const char *name;
    const char *absent; /* the field without any source; NULL: whatever the machine says */
    const char *valid;
    const char *field;
    const char *invalid; /* NULL: every text is one */
} cases[] = {
    { "DD_TRACE_LOG_LEVEL", "2", "error", "0", "loud" },
    { "DD_TRACE_DEBUG", "false", "1", "true", "maybe" },
    { "DD_TRACE_ENABLED", "true", "Off", "false", "2" },
    { "DD_APM_TRACING_ENABLED", "true", "no", "false", "apm" },
    { "DD_EXPERIMENTAL_APPSEC_STANDALONE_ENABLED", "false", "1", "true", "appsec" },
    { "DD_TRACE_LOG_DIRECTORY", "", "/var/log/x", "/var/log/x", NULL },
    { "DD_LOGGING_RATE", "60000000000", "0", "0", "-1" },
    { "DD_TRACE_STARTUP_LOGS", "true", "no", "false", "never" },
    { "DD_SERVICE", "test_libtrace_settings", "web", "web", NULL },
    { "DD_ENV", "", " prod ", "prod", NULL },
    { "DD_VERSION", "", "1.2", "1.2", NULL },
    { "DD_TAGS", "", "a:b,c:d", "a:b,c:d", NULL },
    { "DD_TRACE_UNIVERSAL_VERSION_ENABLED", "false", "true", "true", "all" },
    { "DD_SERVICE_MAPPING", "", "a:b", "a:b", NULL },
    { "DD_TRACE_SPAN_ATTRIBUTE_SCHEMA", "0", "v1", "1", "v2" },
    { "DD_TRACE_PEER_SERVICE_DEFAULTS_ENABLED", "false", "1", "true", "all" },
    { "DD_TRACE_PEER_SERVICE_MAPPING", "", "a:b", "a:b", NULL },
    { "DD_TRACE_REPORT_HOSTNAME", "false", "on", "true", "h" },
    { "DD_TRACE_SOURCE_HOSTNAME", "", "h", "h", NULL },
    { "DD_HOSTNAME", NULL, "h", "h", NULL },
    { "DD_TRACE_GIT_METADATA_ENABLED", "true", "F", "false", "git" },
    { "DD_GIT_REPOSITORY_URL", "", "https://u:p@h/x", "https://h/x", NULL },
    { "DD_GIT_COMMIT_SHA", "", "0123abc", "0123abc", NULL },
    { "DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED", "true", "0", "false", "0.0" },
    { "DD_TRACE_AGENT_URL", "", "unix:///x", "unix:///x", "https://h" },
    { "DD_AGENT_HOST", "localhost", "h", "h", NULL },
    { "DD_TRACE_AGENT_PORT", "8126", "65535", "65535", "65536" },
    { "DD_TRACE_AGENT_TIMEOUT", "10000000000", "3", "3000000000", "0" },
    { "DD_TRACE_SEND_RETRIES", "2", "0", "0", "1.5" },
    { "DD_TRACE_RETRY_INTERVAL", "100000000", "5", "5000000", "soon" },
    { "DD_TRACE_API_VERSION", "0", "v0.5", "1", "v0.3" },
    { "DD_TRACE_STATS_COMPUTATION_ENABLED", "true", "0", "false", "perhaps" },
    { "DD_TRACE_STATS_CARDINALITY_LIMIT", "2048", "7000", "7000", "0" },
    { "DD_TRACE_STATS_RESOURCE_CARDINALITY_LIMIT", "1024", "1", "1", "0" },
    { "DD_TRACE_STATS_HTTP_ENDPOINT_CARDINALITY_LIMIT", "512", "9", "9", "-1" },
    { "DD_TRACE_STATS_PEER_TAGS_CARDINALITY_LIMIT", "512", "9", "9", "many" },
    { "DD_TRACE_STATS_ADDITIONAL_TAGS_CARDINALITY_LIMIT", "100", "7", "7", "0" },
    { "DD_TRACE_STATS_ADDITIONAL_TAGS", "", "a, b", "a, b", NULL },
    { "DD_TRACE_PARTIAL_FLUSH_ENABLED", "true", "f", "false", "-" },
    { "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "300", "99999", "99999", "0" },
    { "DD_TRACE_NATIVE_SPAN_EVENTS", "false", "1", "true", "events" },
    { "DD_EXTERNAL_ENV", "", "it-false,cn-x", "it-false,cn-x", NULL },
    { "DD_DOGSTATSD_URL", "", "unixgram:///x", "unixgram:///x", "tcp://h:1" },
    { "DD_DOGSTATSD_HOST", "", "h", "h", NULL },
    { "DD_DOGSTATSD_PORT", "8125", "1", "1", "0" },
    { "DD_ENTITY_ID", "", "pod-7", "pod-7", NULL },
    { "DD_ORIGIN_DETECTION_ENABLED", "true", "0", "false", "container" },
    { "DD_CARDINALITY", "0", "low", "2", "medium" },
    { "DD_TRACE_DEBUG_ABANDONED_SPANS", "false", "t", "true", "leaks" },
    { "DD_TRACE_ABANDONED_SPAN_TIMEOUT", "600000000000", "90", "90000000000", "0" },
    { "DD_TRACE_ANALYTICS_ENABLED", "false", "on", "true", "some" },
    { "DD_TRACE_FEATURES", "", "a,b", "a,b", NULL },
    { "DD_RUNTIME_METRICS_ENABLED", "false", "1", "true", "cpu" },
    { "DD_TRACE_HEALTH_METRICS_ENABLED", "false", "yes", "true", "well" },
    { "SONDE_TRACE_MEMORY", "16777216", "1", "2097152", "-1" },
    { "SONDE_TRACE_FLUSH_INTERVAL_MS", "2000000000", "250", "250000000", "0" },
    { "SONDE_TRACE_EXIT_TIMEOUT_MS", "2000000000", "1s", "1000000000", "1 s" },
    { "DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", "true", "no", "false", "none" },
    { "DD_TRACE_PROPAGATION_STYLE", "0,1,4,", "tracecontext", "1,", "pigeon" },
    { "DD_TRACE_PROPAGATION_STYLE_EXTRACT", "0,1,4,", "datadog", "0,", "pigeon" },
    { "DD_TRACE_PROPAGATION_STYLE_INJECT", "0,1,4,", "none", "", "pigeon" },
    { "DD_TRACE_PROPAGATION_EXTRACT_FIRST", "false", "YES", "true", "ja" },
    { "DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "0", "Restart", "1", "forget" },
    { "DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH", "512", "600", "512", "long" },
    { "DD_TRACE_ORG_GUARD_ENABLED", "false", "true", "true", "guard" },
    { "DD_TRACE_ORG_GUARD_STRICT", "false", "1", "true", "very" },
    { "DD_TRACE_ORG_GUARD_TRUSTED_OPMS", "", "AaBb,CcDd", "AaBb,CcDd", NULL },
    { "DD_TRACE_BAGGAGE_MAX_ITEMS", "64", "3", "3", "some" },
    { "DD_TRACE_BAGGAGE_MAX_BYTES", "8192", "9000", "8192", "some" },
    { "DD_TRACE_BAGGAGE_TAG_KEYS", "user.id,session.id,account.id", "*", "*", NULL },
    { "DD_TRACE_HEADER_TAGS", "", "a,b:c", "a,b:c", NULL },
    { "DD_TRACE_HTTP_SERVER_ERROR_STATUSES", "500-599", "418, 500-503", "418, 500-503", "500-" },
    { "DD_TRACE_HTTP_CLIENT_ERROR_STATUSES", "400-499", "0", "0", "4xx" },
    { "DD_TRACE_HTTP_URL_QUERY_STRING_DISABLED", "false", "1", "true", "no query" },
    { "DD_TRACE_HTTP_CLIENT_TAG_QUERY_STRING", "true", "0", "false", "-1" },
    { "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP", "builtin", "a+", "a+", NULL },
    { "DD_TRACE_CLIENT_IP_ENABLED", "false", "on", "true", "ip" },
    { "DD_TRACE_CLIENT_IP_HEADER", "", "X-Ip", "X-Ip", NULL },
    { "DD_TRACE_RESOURCE_RENAMING_ENABLED", "false", "y", "true", "res" },
    { "DD_TRACE_RESOURCE_RENAMING_ALWAYS_SIMPLIFIED_ENDPOINT", "false", "t", "true", "2" },
    { "DD_LOGS_INJECTION", "true", "no", "false", "structure" },
    { "DD_TRACE_128_BIT_TRACEID_LOGGING_ENABLED", "true", "0", "false", "128" },
    { "DD_TRACE_SAMPLING_RULES", "", "[{}]", "[{}]", NULL },
    { "DD_TRACE_SAMPLING_RULES_FILE", "", "/etc/rules.json", "/etc/rules.json", NULL },
    { "DD_TRACE_SAMPLING_RULES_FORMAT", "glob", "regex", "regex", NULL },
    { "DD_TRACE_SAMPLE_RATE", "-1", "0.25", "0.25", "1.5" },
    { "DD_TRACE_RATE_LIMIT", "100", "0", "0", "-1" },
    { "DD_TRACE_SAMPLE_IGNORE_PARENT", "false", "no", "false", "true" },
    { "DD_SPAN_SAMPLING_RULES", "", "[]", "[]", NULL },
    { "DD_SPAN_SAMPLING_RULES_FILE", "", "rules.json", "rules.json", NULL },
    { "SONDE_TAIL_KEEP", "", "error,slow", "error,slow", NULL },
    { "SONDE_TAIL_KEEP_PER_SECOND", "10", "0.5", "0.5", "-1" },
    { "SONDE_BLACKBOX", "true", "0", "false", "grey" },
    { "SONDE_COST_PER_SPAN", "true", "off", "false", "dear" },
    { "DD_INSTRUMENTATION_TELEMETRY_ENABLED", "true", "0", "false", "some" },
    { "DD_TELEMETRY_HEARTBEAT_INTERVAL", "60000000000", "0.1", "100000000", "0" },
    { "DD_TELEMETRY_EXTENDED_HEARTBEAT_INTERVAL", "86400000000000", "0.5", "500000000", "-1" },
    { "DD_TELEMETRY_METRICS_INTERVAL_SECONDS", "60000000000", "10", "10000000000", "often" },
    { "DD_TELEMETRY_METRICS_ENABLED", "true", "no", "false", "some" },
    { "DD_TELEMETRY_LOG_COLLECTION_ENABLED", "true", "no", "false", "some" },
    { "DD_TELEMETRY_DEPENDENCY_COLLECTION_ENABLED", "true", "no", "false", "some" },
    { "DD_TELEMETRY_DEBUG", "false", "1", "true", "some" },
    { "DD_INSTRUMENTATION_INSTALL_ID", "", "68e75c48", "68e75c48", NULL },
    { "DD_INSTRUMENTATION_INSTALL_TYPE", "", "k8s_single_step", "k8s_single_step", NULL },
    { "DD_INSTRUMENTATION_INSTALL_TIME", "", "1703188212", "1703188212", NULL },
    { "DD_INJECTION_ENABLED", "", "tracer", "tracer", NULL },
    { "DD_INJECT_FORCE", "", "true", "true", NULL },
    { "DD_APPSEC_SCA_ENABLED", "", "1", "1", NULL },
    { "DD_PROFILING_ENABLED", "false", "auto", "auto", NULL },
    { "DD_CRASHTRACKING_ENABLED", "false", "1", "true", "crash" },
    { "DD_SITE", "datadoghq.com", "datadoghq.eu", "datadoghq.eu", NULL },
    { "DD_API_KEY", "", "0123abcd", "0123abcd", NULL },
    { "DD_TRACE_REMOVE_INTEGRATION_SERVICE_NAMES_ENABLED", "false", "1", "true", "names" },
    { "DD_DBM_PROPAGATION_MODE", "0", "full", "2", "most" },
    { "DD_TRACE_OTEL_ENABLED", "false", "1", "true", "otel" },
    { "DD_DATA_STREAMS_ENABLED", "false", "1", "true", "dsm" },
    { "DD_DYNAMIC_INSTRUMENTATION_ENABLED", "false", "1", "true", "di" },
    { "DD_APPSEC_ENABLED", "false", "1", "true", "asm" },
    { "DD_IAST_ENABLED", "false", "1", "true", "iast" },
    { "DD_REMOTE_CONFIGURATION_ENABLED", "true", "0", "false", "sometimes" },
    { "DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS", "5000000000", "0.2", "200000000", "0" },
};

/* -- an environment of two variables -------------------------------------------------------------- */

typedef struct variables {
    const char *name[2];
    const char *value[2];
} variables;

static const char *look_up(void *user, const char *name)
{
    const variables *v = (const variables *)user;
    int i;

    for (i = 0; i < 2; i++)
        if (v->name[i] && strcmp(v->name[i], name) == 0)
            return v->value[i];
    return NULL;
}

static int complaints;
static char last_complaint[600];

static void note_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user;
    if (level != SONDE_LOG_WARN)
        return;
    complaints++;
    (void)snprintf(last_complaint, sizeof(last_complaint), "%.*s", (int)len, line);
}

static sonde__config *make(variables v)
{
    sonde__config *c;

    complaints = 0;
    last_complaint[0] = '\0';
    c = sonde__config_new(NULL, look_up, &v);
    assert_non_null(c);
    return c;
}

static void write_field(const sonde__config *c, const sonde__row *row, char out[200])
{
    const void *field = (const char *)c + row->field;
    const sonde__styles *styles = (const sonde__styles *)field;
    uint32_t i;

    out[0] = '\0';
    switch (row->type) {
    case SONDE__TYPE_BOOL:
        (void)snprintf(out, 200, "%s", *(const bool *)field ? "true" : "false");
        break;
    case SONDE__TYPE_INT:
    case SONDE__TYPE_CHOICE:
        (void)snprintf(out, 200, "%u", *(const uint32_t *)field);
        break;
    case SONDE__TYPE_NUMBER:
        (void)snprintf(out, 200, "%g", *(const double *)field);
        break;
    case SONDE__TYPE_DURATION:
    case SONDE__TYPE_BYTES:
        (void)snprintf(out, 200, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case SONDE__TYPE_LEVEL:
        (void)snprintf(out, 200, "%d", (int)*(const sonde_log_level *)field);
        break;
    case SONDE__TYPE_STYLES:
        for (i = 0; i < styles->len; i++)
            (void)snprintf(out + 2 * i, 200 - 2 * i, "%d,", (int)styles->style[i]);
        break;
    default:
        (void)snprintf(out, 200, "%.*s", SONDE_STR_ARG(*(const sonde_str *)field));
    }
}

static void expect(const char *label, const sonde__config *c, size_t i, const char *want_field,
                   const char *want_value, sonde__origin want_origin)
{
    const sonde__setting *s = &c->settings[i];
    char field[200];

    write_field(c, &sonde__rows[i], field);
    if (want_field && strcmp(field, want_field) != 0)
        fail_msg("%s, %s: field is %s, want %s", cases[i].name, label, field, want_field);
    if (want_value && !sonde_str_eq(s->value, sonde_str_from(want_value)))
        fail_msg("%s, %s: value is %.*s, want %s", cases[i].name, label, SONDE_STR_ARG(s->value),
                 want_value);
    if (s->origin != want_origin &&
        !(want_origin == SONDE__ORIGIN_DEFAULT && s->origin == SONDE__ORIGIN_CALCULATED))
        fail_msg("%s, %s: origin is %s, want %s", cases[i].name, label,
                 sonde__origin_name(s->origin), sonde__origin_name(want_origin));
}

/* -- every row ------------------------------------------------------------------------------------ */

static void test_every_row_has_a_case(void **state)
{
    size_t i;

    (void)state;
    assert_int_equal(sonde__rows_len, COUNT_OF(cases));
    for (i = 0; i < sonde__rows_len; i++)
        assert_string_equal(sonde__rows[i].names[0], cases[i].name);
}

static void test_absent_and_empty_give_the_default(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *label[] = { "absent", "empty", "blank" };
        const char *value[] = { NULL, "", " \t" };
        int k;

        for (k = 0; k < 3; k++) {
            sonde__config *c;

            if (k > 0 && sonde__rows[i].empty_is_a_value)
                continue;
            c = make((variables){ { cases[i].name }, { value[k] } });
            expect(label[k], c, i, cases[i].absent, NULL, SONDE__ORIGIN_DEFAULT);
            assert_int_equal(complaints, 0);
            sonde__config_free(c);
        }
    }
}

static void test_valid_values_are_taken(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__config *c = make((variables){ { cases[i].name }, { cases[i].valid } });
        sonde_str want = sonde_str_trim(sonde_str_from(cases[i].valid));

        expect("valid", c, i, cases[i].field, NULL, SONDE__ORIGIN_ENV);
        assert_true(sonde_str_eq(c->settings[i].value, want));
        assert_int_equal(complaints, 0);
        sonde__config_free(c);
    }
}

static void test_invalid_values_cost_one_line_and_leave_the_default(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__config *c;

        if (!cases[i].invalid)
            continue;
        c = make((variables){ { cases[i].name }, { cases[i].invalid } });
        expect("invalid", c, i, cases[i].absent, NULL, SONDE__ORIGIN_DEFAULT);
        if (complaints != 1 || !strstr(last_complaint, cases[i].name) ||
            !strstr(last_complaint, cases[i].invalid))
            fail_msg("%s: %d lines: %s", cases[i].name, complaints, last_complaint);
        assert_int_equal(c->settings[i].bad, 1u << SONDE__ORIGIN_ENV);
        assert_true(sonde_str_eq(c->settings[i].given[SONDE__ORIGIN_ENV],
                                 sonde_str_from(cases[i].invalid)));
        sonde__config_free(c);
    }
}

static void test_the_memory_limit_in_mb_counts_mib(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } limits[] = {
        { "32", UINT64_C(32) << 20 },  { "0", UINT64_C(2) << 20 },
        { "4MiB", UINT64_C(4) << 20 }, { "18446744073709551615", UINT64_C(1) << 40 },
        { "x", UINT64_C(16) << 20 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(limits); i++) {
        sonde__config *c =
            make((variables){ { "SONDE_TRACE_MEMORY_LIMIT_MB" }, { limits[i].text } });

        if (c->memory_bytes != limits[i].bytes)
            fail_msg("%s: %llu bytes", limits[i].text, (unsigned long long)c->memory_bytes);
        sonde__config_free(c);
    }
}

static void test_aliases_count_in_their_order(void **state)
{
    size_t i;
    int a, b;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *const *names = sonde__rows[i].names;

        for (b = 1; b < SONDE__NAMES_MAX && names[b]; b++) {
            sonde__config *c = make((variables){ { names[b] }, { cases[i].valid } });

            expect(names[b], c, i, cases[i].field, NULL, SONDE__ORIGIN_ENV);
            assert_ptr_equal(c->settings[i].name, names[b]);
            sonde__config_free(c);
            for (a = 0; a < b; a++) {
                const char *other = cases[i].invalid ? cases[i].invalid : "other";

                c = make((variables){ { names[b], names[a] }, { other, cases[i].valid } });
                expect("older name set too", c, i, cases[i].field, NULL, SONDE__ORIGIN_ENV);
                sonde__config_free(c);
            }
        }
    }
}

static void test_options_win_over_variables(void **state)
{
    static const sonde_options options = { .enabled = -1,
                                           .service = "o-service",
                                           .env = "o-env",
                                           .version = "o-version",
                                           .tags = "o:1",
                                           .agent_url = "http://o:1",
                                           .memory_bytes = 1u << 23,
                                           .flush_interval_ms = 7,
                                           .stop_timeout_ms = 8 };
    size_t i;

    (void)state;
    for (i = 0; i < sonde__rows_len; i++) {
        variables v = { { cases[i].name }, { cases[i].valid } };
        sonde__config *c = sonde__config_new(&options, look_up, &v);
        bool by_code = sonde__rows[i].option != 0;

        assert_non_null(c);
        assert_int_equal(c->settings[i].origin, by_code ? SONDE__ORIGIN_CODE : SONDE__ORIGIN_ENV);
        assert_true(c->settings[i].given[SONDE__ORIGIN_ENV].len > 0);
        assert_int_equal(c->flush_interval_ns, 7000000);
        assert_int_equal(c->memory_bytes, 1u << 23);
        assert_false(c->enabled);
        sonde__config_free(c);
    }
}

static void test_what_follows_from_others_is_calculated(void **state)
{
    sonde__config *c =
        make((variables){ { "DD_TAGS", "DD_AGENT_HOST" }, { "env:e,version:v,service:s", "h" } });
    static const struct {
        size_t field;
        const char *value;
    } want[] = {
        { offsetof(sonde__config, service), "s" },
        { offsetof(sonde__config, env), "e" },
        { offsetof(sonde__config, version), "v" },
        { offsetof(sonde__config, agent_url), "http://h:8126" },
        { offsetof(sonde__config, extract), "datadog,tracecontext,baggage" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(want); i++) {
        const sonde__setting *s = sonde__setting_of(c, want[i].field);

        assert_true(sonde_str_eq(s->value, sonde_str_from(want[i].value)));
        assert_int_equal(s->origin, SONDE__ORIGIN_CALCULATED);
    }
    sonde__config_free(c);
}

/* -- what is shown -------------------------------------------------------------------------------- */

static void test_secrets_are_not_printed(void **state)
{
    static const struct {
        const char *label;
        sonde__row row;
        const char *value, *want;
    } shown[] = {
        { "text", { .type = SONDE__TYPE_TEXT }, "http://u:p@h", "http://u:p@h" },
        { "secret", { .secret = true }, "0123", "***" },
        { "no secret", { .secret = true }, "", "" },
        { "password", { .type = SONDE__TYPE_URL }, "http://u:p@h/x", "http://h/x" },
        { "at sign in it", { .type = SONDE__TYPE_URL }, "http://u:p@q@h", "http://h" },
        { "at sign in the path", { .type = SONDE__TYPE_URL }, "http://h/a@b", "http://h/a@b" },
        { "no address", { .type = SONDE__TYPE_URL }, "a@b", "a@b" },
    };
    char out[SONDE_SETTING_ROOM];
    uint32_t bytes;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(shown); i++) {
        sonde__setting_print(&shown[i].row, sonde_str_from(shown[i].value), out, &bytes);
        if (strcmp(out, shown[i].want) != 0 || bytes != strlen(out))
            fail_msg("%s: %s, %u bytes", shown[i].label, out, bytes);
    }
}

static void test_a_program_reads_every_setting(void **state)
{
    char version[3001];
    sonde_options options = {
        .service = "o", .version = version, .enabled = -1, .agent_url = "http://127.0.0.1:9"
    };
    sonde_setting s = { .struct_bytes = sizeof(s) };
    uint32_t i;

    (void)state;
    memset(version, 'v', 3000);
    version[3000] = '\0';
    assert_int_equal(sonde_setting_at(0, &s), SONDE_ERR_STATE);
    assert_int_equal(sonde_start(&options), SONDE_OK);
    assert_int_equal(sonde_setting_at(0, NULL), SONDE_ERR_INVALID);
    for (i = 0; sonde_setting_at(i, &s) == SONDE_OK; i++) {
        assert_string_equal(s.name, sonde__rows[i].names[0]);
        assert_non_null(s.found_as);
    }
    assert_int_equal(i, sonde__rows_len);
    assert_int_equal(sonde_setting_find("DD_SERVICE_NAME", &s), SONDE_OK);
    assert_string_equal(s.name, "DD_SERVICE");
    assert_string_equal(s.value, "o");
    assert_string_equal(s.origin, "code");
    assert_int_equal(sonde_setting_find("DD_TRACE_ENABLED", &s), SONDE_OK);
    assert_string_equal(s.value, "false");
    assert_int_equal(sonde_setting_find("DD_VERSION", &s), SONDE_OK);
    assert_int_equal(s.value_bytes, 3000);
    assert_int_equal(strlen(s.value), SONDE_SETTING_ROOM - 1);
    assert_int_equal(sonde_setting_find("DD_NOTHING", &s), SONDE_ERR_NOT_FOUND);
    assert_int_equal(sonde_setting_find(NULL, &s), SONDE_ERR_NOT_FOUND);
    sonde_stop();
    assert_int_equal(sonde_setting_find("DD_SERVICE", &s), SONDE_OK);
    s = (sonde_setting){ .struct_bytes = offsetof(sonde_setting, value), .value = "kept" };
    assert_int_equal(sonde_setting_find("DD_SERVICE", &s), SONDE_OK);
    assert_string_equal(s.value, "kept");
}

/* -- the document --------------------------------------------------------------------------------- */

#define DOCUMENT SONDE_DOCS_DIR "/TRACER-CONFIGURATION.md"

static const char *const type_names[SONDE__TYPES] = {
    [SONDE__TYPE_BOOL] = "true or false",
    [SONDE__TYPE_INT] = "whole number",
    [SONDE__TYPE_NUMBER] = "number",
    [SONDE__TYPE_TEXT] = "text",
    [SONDE__TYPE_LIST] = "list",
    [SONDE__TYPE_MAP] = "map",
    [SONDE__TYPE_URL] = "address",
    [SONDE__TYPE_STATSD] = "address",
    [SONDE__TYPE_REPOSITORY] = "address",
    [SONDE__TYPE_CHOICE] = "choice",
    [SONDE__TYPE_DURATION] = "duration",
    [SONDE__TYPE_BYTES] = "size",
    [SONDE__TYPE_LEVEL] = "level",
    [SONDE__TYPE_STYLES] = "list of styles",
    [SONDE__TYPE_STATUSES] = "list of statuses",
};

static void describe_type(const sonde__row *row, sonde_buf *out)
{
    sonde_buf_printf(out, "%s", type_names[row->type]);
    if (row->type == SONDE__TYPE_CHOICE)
        sonde_buf_printf(out, " of %s", row->choices);
    if (row->type == SONDE__TYPE_DURATION)
        sonde_buf_printf(out, " in %s",
                         row->unit_ns == 1000000000 ? "s" : "ms"); /* without a unit */
    if ((row->type == SONDE__TYPE_INT || row->type == SONDE__TYPE_NUMBER) && row->max > row->min)
        sonde_buf_printf(out, " %g–%.0f", row->min, row->max);
}

static void describe(const sonde__row *row, sonde_buf *out)
{
    size_t i;

    for (i = 0; i < SONDE__NAMES_MAX && row->names[i]; i++)
        sonde_buf_printf(out, i == 0 ? "| `%s`" : ", `%s`", row->names[i]);
    sonde_buf_printf(out, " | ");
    describe_type(row, out);
    if (row->instead)
        sonde_buf_printf(out, " | %s", row->instead);
    else
        sonde_buf_printf(out, *row->fallback ? " | `%s`" : " | –", row->fallback);
    sonde_buf_printf(out, " | %s |\n", row->doc);
}

static void write_document(sonde_buf *out)
{
    size_t i;

    sonde_buf_printf(
        out,
        "# Configuration of the tracer\n\n"
        "Made from the table in `libtrace/src/config_rows.c`; do not edit: run the test\n"
        "`libtrace.settings` with `SONDE_UPDATE_DOCS=1`.\n\n"
        "The first source that has a usable value wins:\n\n"
        "1. `sonde_options` of `sonde_start()`\n"
        "2. the fleet's file of this host, [stable-config.md](spec/stable-config.md)\n"
        "3. the environment\n"
        "4. `OTEL_*` variables, [otel-variables.md](spec/otel-variables.md)\n"
        "5. the local file of this host\n"
        "6. the default\n\n"
        "While the program runs, remote configuration ([remote-config.md](spec/remote-config.md)) "
        "sets some "
        "of them over all\nthese sources.\n\n"
        "Blanks around a value do not count; an empty one is unset. A value that cannot be used "
        "costs one log\n"
        "line, which names it. Of several names of one setting the first that is set counts.\n"
        "Booleans are `1 t true yes y on` and `0 f false no n off` in any case; durations may have "
        "a unit\n"
        "(`250ms`, `5s`, `2m`), sizes too (`64MiB`, 1024-based). What is in force, and from where, "
        "can be\n"
        "read with `<sonde/config.h>`.\n\n"
        "| Variable | Type | Default | Meaning |\n|---|---|---|---|\n");
    for (i = 0; i < sonde__rows_len; i++)
        describe(&sonde__rows[i], out);
}

static void update_document(const sonde_buf *text)
{
    FILE *file = fopen(DOCUMENT, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text->data, 1, text->len, file), text->len);
    assert_int_equal(fclose(file), 0);
}

static void test_documentation_on_disk_is_what_the_table_says(void **state)
{
    static char have[1 << 17];
    sonde_buf want;
    FILE *file;

    (void)state;
    sonde_buf_init(&want, sizeof(have));
    write_document(&want);
    assert_int_equal(want.status, SONDE_OK);
    if (getenv("SONDE_UPDATE_DOCS"))
        update_document(&want);
    file = fopen(DOCUMENT, "r");
    assert_non_null(file);
    have[fread(have, 1, sizeof(have) - 1, file)] = '\0';
    (void)fclose(file);
    assert_string_equal(have, sonde_buf_cstr(&want)); /* else: SONDE_UPDATE_DOCS=1 */
    sonde_buf_done(&want);
}

static int listen_to_complaints(void **state)
{
    (void)state;
    sonde_log_set_sink(note_line, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_case),
        cmocka_unit_test(test_absent_and_empty_give_the_default),
        cmocka_unit_test(test_valid_values_are_taken),
        cmocka_unit_test(test_invalid_values_cost_one_line_and_leave_the_default),
        cmocka_unit_test(test_the_memory_limit_in_mb_counts_mib),
        cmocka_unit_test(test_aliases_count_in_their_order),
        cmocka_unit_test(test_options_win_over_variables),
        cmocka_unit_test(test_what_follows_from_others_is_calculated),
        cmocka_unit_test(test_secrets_are_not_printed),
        cmocka_unit_test(test_a_program_reads_every_setting),
        cmocka_unit_test(test_documentation_on_disk_is_what_the_table_says),
    };

    return cmocka_run_group_tests_name("settings", tests, listen_to_complaints, NULL);
}
