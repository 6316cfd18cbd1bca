/* test_config.c - sources and their order, bad values, unknown keys, what is derived and printed. */
#include "agent/config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/alloc_fail.h"
#include "support/temp_dir.h"
#include "support/test.h"

/* A configuration from a file's text and variables; must load. */
static agent_config *load(const char *yaml, const char *const *variables)
{
    config_options options = { .environment = (char *const *)(uintptr_t)variables,
                               .os_hostname = "h0",
                               .cpus = 4 };
    sonde_error error = { 0 };
    agent_config *c = NULL;

    if (config_load_text(&options, sonde_str_from(yaml), "t.yaml", &c, &error) != SONDE_OK)
        fail_msg("%s: %s", yaml, error.message);
    return c;
}

#define assert_text(got, want)                                                                     \
    do {                                                                                           \
        sonde_str text_got_ = (got);                                                               \
        if (!sonde_str_eq(text_got_, sonde_str_from(want)))                                        \
            fail_msg("%s: got \"%.*s\", want \"%s\"", #got, SONDE_STR_ARG(text_got_), (want));     \
    } while (0)

static void test_defaults_are_those_of_the_table(void **state)
{
    agent_config *c = load("", NULL);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_text(c->site, "datadoghq.com");
    assert_int_equal(c->receiver_port, 8126);
    assert_text(c->receiver_socket, "/var/run/datadog/apm.socket");
    assert_text(c->receiver_host, "localhost");
    assert_int_equal(c->max_payload_bytes, 26214400);
    assert_int_equal(c->max_connections, 1000);
    assert_int_equal(c->decoders, 2);
    assert_int_equal(c->workers, 4);
    assert_true(c->target_tps == 1000 && c->errors_tps == 10); /* local mode */
    assert_true(c->trace_flush_ns == 1000000000u);             /* local mode */
    assert_true(c->bucket_ns == 10000000000u);
    assert_true(c->memory_limit_bytes == 64u << 20);
    assert_true(c->local_store_bytes == (uint64_t)2 << 30);
    assert_true(c->local_retention_ns == (uint64_t)3 * 86400 * 1000000000);
    assert_int_equal(c->log_level, SONDE_LOG_INFO);
    assert_text(c->hostname, "h0");
    assert_text(c->agent_env, "none");
    assert_true(c->local_mode);
    assert_int_equal(c->endpoints.len, 0);
    assert_text(config_origin(c, "site"), "default");
    config_put(c);
}

static void test_the_environment_wins_over_the_file(void **state)
{
    static const char *const variables[] = { "DD_ENV=staging", "DD_APM_RECEIVER_PORT=8200",
                                             "DD_RECEIVER_PORT=8300", "DD_SITE=", NULL };
    agent_config *c = load(
        "env: prod\nsite: datadoghq.eu\napm_config:\n  receiver_port: 8100\n  env: x\n", variables);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_text(c->env, "staging");
    assert_text(c->agent_env, "x"); /* the trace key wins over the global one */
    assert_int_equal(c->receiver_port, 8200);
    assert_text(c->site, "datadoghq.eu"); /* an empty variable is not set */
    assert_text(config_origin(c, "env"), "DD_ENV");
    assert_text(config_origin(c, "apm_config.receiver_port"), "DD_APM_RECEIVER_PORT");
    assert_text(config_origin(c, "site"), "t.yaml:2:1");
    assert_int_equal(config_origin(c, "no such key").len, 0);
    assert_int_equal(config_origin(&(agent_config){ .refs = 1 }, "site").len,
                     0); /* nobody read it */
    config_put(c);
}

static void test_the_way_out_is_what_file_and_variables_say(void **state)
{
    static const char *const variables[] = { "http_proxy=http://c:1",
                                             "HTTP_PROXY=http://b:1",
                                             "DD_PROXY_HTTP=http://u:geheim@a:1",
                                             "HTTPS_PROXY=http://b:2",
                                             "DD_PROXY_NO_PROXY=x.example y.example:81",
                                             NULL };
    agent_config *c = load("proxy:\n  http: http://file:1\n  https: http://file:2\n"
                           "  no_proxy: [z]\nmin_tls_version: TLSv1.3\n",
                           variables);
    sonde_buf text;

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_text(c->egress.proxy_http, "http://u:geheim@a:1");
    assert_text(c->egress.proxy_https, "http://b:2");
    assert_text(c->egress.no_proxy, "x.example,y.example:81");
    assert_int_equal(c->egress.min_tls, SONDE_TLS_1_3);
    assert_false(c->egress.no_proxy_nonexact || c->egress.skip_tls_verify);
    sonde_buf_init(&text, 1 << 20);
    config_print_values(c, &text);
    assert_null(strstr(sonde_buf_cstr(&text), "geheim"));
    sonde_buf_done(&text);
    config_put(c);

    c = load("min_tls_version: ssl3\n", NULL);
    assert_int_equal(c->warnings_len, 1);
    assert_int_equal(c->egress.min_tls, SONDE_TLS_1_2);
    config_put(c);
}

static void test_a_mode_of_sql_that_is_none_leaves_the_default(void **state)
{
    agent_config *c = load("apm_config: {sql_obfuscation_mode: obfuscate_only}\n", NULL);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_text(c->sql_obfuscation_mode, "obfuscate_only");
    config_put(c);
    c = load("apm_config: {sql_obfuscation_mode: obfuscate}\n", NULL);
    assert_int_equal(c->warnings_len, 1);
    assert_text(c->sql_obfuscation_mode, "");
    config_put(c);
}

static void test_the_mode_of_the_agent_is_edge_or_none(void **state)
{
    agent_config *c = load("apm_config: {mode: Edge}\n", NULL);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_text(c->apm_mode, "edge");
    config_put(c);
    c = load("apm_config: {mode: serverless}\n", NULL);
    assert_int_equal(c->warnings_len, 1);
    assert_text(c->apm_mode, "");
    config_put(c);
}

static void test_payloads_on_disk_are_below_the_data_folder_unless_told_otherwise(void **state)
{
    static const char *const variables[] = { "SONDE_DATA_DIR=/d", NULL };
    agent_config *c = load("", variables);

    (void)state;
    assert_text(c->forwarder_storage_path, "/d/forwarder");
    assert_true(c->forwarder_disk_bytes == 256u << 20);
    config_put(c);
    c = load("forwarder_storage_path: /e\nforwarder_storage_max_size_in_bytes: 0\n", variables);
    assert_text(c->forwarder_storage_path, "/e");
    assert_int_equal(c->forwarder_disk_bytes, 0);
    config_put(c);
}

static void test_traces_go_to_the_site_or_what_stands_in_for_it(void **state)
{
    static const struct {
        const char *yaml, *url;
        size_t warnings;
    } cases[] = {
        { "", "https://trace.agent.datadoghq.com.", 0 },
        { "site: us3.datadoghq.com\n", "https://trace.agent.us3.datadoghq.com.", 0 },
        { "site: ddog-gov.com\n", "https://trace.agent.ddog-gov.com.", 0 },
        { "site: notdatadoghq.com\n", "https://trace.agent.notdatadoghq.com", 0 },
        { "convert_dd_site_fqdn:\n  enabled: false\n", "https://trace.agent.datadoghq.com", 0 },
        { "apm_config:\n  apm_dd_url: https://x.datadoghq.com\n", "https://x.datadoghq.com", 0 },
        { "observability_pipelines_worker:\n  traces:\n    enabled: true\n    url: http://w:1\n",
          "http://w:1", 0 },
        { "observability_pipelines_worker:\n  traces:\n    url: http://w:1\n",
          "https://trace.agent.datadoghq.com.", 0 },
        { "vector:\n  traces:\n    enabled: true\n    url: http://v:1\n"
          "apm_config:\n  apm_dd_url: https://x\n",
          "http://v:1", 0 },
        { "vector:\n  traces:\n    enabled: true\n", "https://trace.agent.datadoghq.com.", 1 },
    };
    static const char *const variables[] = { "DD_API_KEY=k", NULL };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, variables);

        assert_text(c->endpoints.items[0].url, cases[i].url);
        assert_int_equal(c->warnings_len, cases[i].warnings);
        config_put(c);
    }
}

static void test_an_empty_socket_variable_switches_it_off(void **state)
{
    static const char *const variables[] = { "DD_APM_RECEIVER_SOCKET=", NULL };
    agent_config *c = load("", variables);

    (void)state;
    assert_text(c->receiver_socket, "");
    config_put(c);
}

static void test_bad_values_are_named_and_the_value_before_stays(void **state)
{
    static const struct {
        const char *label, *yaml, *variable, *warning;
    } cases[] = {
        { "not a number", "apm_config:\n  receiver_port: http\n", NULL,
          "t.yaml:2:3: apm_config.receiver_port = \"http\": expected an integer" },
        { "out of range", "apm_config:\n  receiver_port: 70000\n", NULL,
          "t.yaml:2:3: apm_config.receiver_port = \"70000\": out of range (-1 to 65535)," },
        { "a variable", "", "DD_APM_RECEIVER_PORT=x",
          "DD_APM_RECEIVER_PORT: apm_config.receiver_port = \"x\": expected an integer" },
        { "a boolean", "apm_config:\n  enabled: perhaps\n", NULL, "expected true or false" },
        { "a level", "log_level: loud\n", NULL, "expected trace, debug, info, warn or error" },
        { "a size", "apm_config:\n  max_payload_size: lots\n", NULL, "expected a size" },
        { "a duration", "apm_config:\n  receiver_timeout: soon\n", NULL, "expected a duration" },
        { "a duration out of range", "apm_config:\n  receiver_timeout: 2h\n", NULL,
          "out of range (0 to 3600 s)," },
        { "a number", "apm_config:\n  target_traces_per_second: -1\n", NULL, "out of range" },
        { "a switch", "sonde:\n  local:\n    enabled: maybe\n", NULL,
          "expected auto, true or false" },
        { "a map for a list", "tags:\n  a: b\n", NULL, NULL },
        { "endpoints that are a list", "apm_config:\n  additional_endpoints: [a]\n", NULL,
          "apm_config.additional_endpoints = (secret): expected a map" },
        { "an endpoint that is no URL", "apm_config:\n  additional_endpoints:\n    nowhere: [k]\n",
          NULL, "an address is not a URL" },
        { "a section that is a scalar", "apm_config: 3\n", NULL, "expected a section" },
        { "a list for a number", "apm_config:\n  receiver_port: [1]\n", NULL,
          "expected an integer" },
        { "an alias", "env: &e x\nhostname: *e\n", NULL, "aliases are not followed" },
        { "a filter's pattern", "apm_config:\n  ignore_resources: ['a', '(']\n", NULL,
          "t.yaml:2:3: apm_config.ignore_resources: pattern \"(\": a group without its end, passed "
          "over" },
        { "a tag filter's pattern", "", "DD_APM_FILTER_TAGS_REGEX_REJECT=a:x b: c:*",
          "DD_APM_FILTER_TAGS_REGEX_REJECT: apm_config.filter_tags_regex.reject: pattern \"*\"" },
        { "a required tag's pattern", "", "DD_APM_FILTER_TAGS_REGEX_REQUIRE=a:[",
          "DD_APM_FILTER_TAGS_REGEX_REQUIRE: apm_config.filter_tags_regex.require: pattern \"[\"" },
        { "a trace address that is no URL", "api_key: k\napm_config:\n  apm_dd_url: nowhere\n",
          NULL, "apm_config.apm_dd_url" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const variables[] = { cases[i].variable, NULL };
        agent_config *c = load(cases[i].yaml, variables);
        char warning[1024] = "";

        if (c->warnings_len)
            (void)snprintf(warning, sizeof(warning), "%.*s", SONDE_STR_ARG(c->warnings[0]));
        if (cases[i].warning ? c->warnings_len != 1 || !strstr(warning, cases[i].warning) : false)
            fail_msg("%s: %zu warnings, \"%s\"", cases[i].label, c->warnings_len, warning);
        if (c->receiver_port != 8126 || !c->apm_enabled || c->max_payload_bytes != 26214400)
            fail_msg("%s: a default was lost", cases[i].label);
        config_put(c);
    }
}

static void test_unknown_keys_are_warned_about_with_the_nearest_known(void **state)
{
    static const struct {
        const char *yaml, *warning;
    } cases[] = {
        { "hostnam: x\n",
          "t.yaml:1:1: \"hostnam\": unknown key, passed over; did you mean hostname?" },
        { "apm_config:\n  reciever_port: 1\n",
          "t.yaml:2:3: \"apm_config.reciever_port\": unknown key, passed over; did you mean "
          "apm_config.receiver_port?" },
        { "lumps_config:\n  a: 1\n  b: 2\n",
          "t.yaml:1:1: \"lumps_config\": unknown key, passed over" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, NULL);

        assert_int_equal(c->warnings_len, 1);
        assert_text(c->warnings[0], cases[i].warning);
        config_put(c);
    }
}

static void test_a_secret_of_a_backend_is_refused_and_no_key(void **state)
{
    static const char *const variables[] = { "DD_API_KEY=ENC[vault://key]", NULL };
    agent_config *c = load("api_key: ENC[one]\nsecret_backend_command: /bin/secrets\n", variables);

    (void)state;
    assert_int_equal(c->warnings_len, 2);
    assert_non_null(
        strstr(c->warnings[0].ptr, "a secret of a backend, which is not resolved here"));
    assert_int_equal(c->notes_len, 1);
    assert_int_equal(c->api_key.len, 0);
    config_put(c);
}

static void test_keys_without_effect_are_noted_and_no_warning(void **state)
{
    static const char *const variables[] = { "DD_APM_INTERNAL_PROFILING_ENABLED=true",
                                             "DD_INSTRUMENTATION_INSTALL_ID=", NULL };
    agent_config *c = load("tls_handshake_timeout: 5s\nlogs_config:\n  a: 1\n"
                           "apm_config:\n  internal_profiling:\n    enabled: true\n"
                           "network_path:\n",
                           variables);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_int_equal(c->notes_len, 5);
    assert_text(c->notes[0], "t.yaml:1:1: tls_handshake_timeout has no effect here: "
                             "a request to an intake has 10 s in all");
    assert_text(c->notes[1], "t.yaml:2:1: logs_config has no effect here");
    assert_text(
        c->notes[2],
        "t.yaml:6:5: apm_config.internal_profiling.enabled has no effect here: any profiler "
        "can be preloaded");
    assert_text(c->notes[4],
                "DD_APM_INTERNAL_PROFILING_ENABLED: apm_config.internal_profiling.enabled "
                "has no effect here: any profiler can be preloaded");
    config_put(c);
}

static void test_features_without_effect_are_noted(void **state)
{
    static const char *const variables[] = { "DD_APM_FEATURES=429,nonesuch,sqllexer", NULL };
    agent_config *c = load("", variables);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_int_equal(c->notes_len, 1);
    assert_text(c->notes[0], "DD_APM_FEATURES: apm_config.features: nonesuch has no effect here");
    assert_true(config_has_feature(c, "nonesuch")); /* /info tells it all the same */
    config_put(c);
}

static void test_a_key_without_a_variable_of_its_own_has_one_made_from_its_name(void **state)
{
    static const char *const variables[] = { "DD_APM_CONFIG_RARE_SAMPLER_TPS=7", NULL };
    agent_config *c = load("", variables);

    (void)state;
    assert_true(c->rare_tps == 7);
    assert_text(config_origin(c, "apm_config.rare_sampler.tps"), "DD_APM_CONFIG_RARE_SAMPLER_TPS");
    config_put(c);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        fail_msg("%s cannot be written", path);
}

static void test_overrides_win_over_the_file_in_byte_order(void **state)
{
    static const char *const variables[] = { "DD_SITE=from.variable", NULL };
    char folder[256], conf_d[300], file[300];
    config_options options = { .environment = (char *const *)(uintptr_t)variables,
                               .os_hostname = "h0",
                               .cpus = 4 };
    sonde_error error = { 0 };
    agent_config *c = NULL;

    (void)state;
    temp_dir_make(folder, sizeof(folder));
    (void)snprintf(conf_d, sizeof(conf_d), "%s/conf.d", folder);
    (void)snprintf(file, sizeof(file), "%s/datadog.yaml", folder);
    assert_int_equal(mkdir(conf_d, 0700), 0);
    write_file(folder, "datadog.yaml", "env: one\nsite: one\nhostname: one\n");
    write_file(conf_d, "20-b.yaml", "env: three\nsite: three\n");
    write_file(conf_d, "10-a.yml", "env: two\nhostname: two\n");
    write_file(conf_d, "redis.yaml", "init_config:\ninstances:\n  - host: x\nenv: four\n");
    write_file(conf_d, "note.txt", "env: five\n");
    write_file(conf_d, ".hidden.yaml", "env: six\n");
    options.file = file;
    assert_status(config_load(&options, &c, &error), SONDE_OK);
    assert_text(c->env, "three");
    assert_text(c->hostname, "two");
    assert_text(c->site, "from.variable");
    assert_int_equal(c->warnings_len, 0);
    assert_int_equal(c->notes_len, 1);
    assert_int_equal(c->overrides_len, 3);
    config_put(c);

    write_file(conf_d, "30-bad.yaml", "env: [\n");
    c = NULL;
    assert_status(config_load(&options, &c, &error), SONDE_ERR_SYNTAX);
    assert_non_null(strstr(error.message, "30-bad.yaml:"));
    temp_dir_remove(folder);
}

typedef struct changes {
    char text[256];
} changes;

static void add_change(void *user, const char *key, bool reloads)
{
    changes *all = user;
    size_t len = strlen(all->text);

    (void)snprintf(all->text + len, sizeof(all->text) - len, "%s%s ", key, reloads ? "!" : "");
}

static void test_what_differs_between_two_snapshots_is_told(void **state)
{
    agent_config *a = load("api_key: k1\ntags: [a, b]\nlog_level: warn\n", NULL);
    agent_config *b = load("api_key: k2\ntags: [a, c]\nlog_level: debug\n"
                           "apm_config:\n  errors_per_second: 3\n  receiver_port: 9\n"
                           "  additional_endpoints: { 'http://x': [k] }\n",
                           NULL);
    changes all = { "" };

    (void)state;
    config_compare(a, a, add_change, &all);
    assert_string_equal(all.text, "");
    config_compare(a, b, add_change, &all);
    assert_string_equal(all.text, "api_key tags log_level! apm_config.receiver_port "
                                  "apm_config.errors_per_second! apm_config.additional_endpoints ");
    config_put(a);
    config_put(b);
}

static void test_the_kill_line_is_one_and_a_half_of_the_memory(void **state)
{
    static const struct {
        const char *label, *yaml;
        uint64_t want;
    } cases[] = {
        { "the default", "api_key: k\n", (uint64_t)96 << 20 },
        { "hosting the intake", "", 0 },
        { "said", "apm_config:\n  max_memory: 1000000\n", 1500000 },
        { "switched off", "api_key: k\napm_config:\n  max_memory: 0\n", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, NULL);

        if (c->memory_kill_bytes != cases[i].want)
            fail_msg("%s: %llu", cases[i].label, (unsigned long long)c->memory_kill_bytes);
        config_put(c);
    }
}

static void count_secret(void *user, sonde_str secret)
{
    *(size_t *)user += secret.len;
}

static void test_every_secret_is_told(void **state)
{
    agent_config *c =
        load("api_key: abc\napm_config:\n  additional_endpoints: { 'http://x': [de, f] }\n", NULL);
    size_t bytes = 0;

    (void)state;
    config_each_secret(c, count_secret, &bytes);
    assert_int_equal(bytes, 6);
    config_put(c);
}

static void test_warnings_are_bounded_and_the_rest_counted(void **state)
{
    sonde_buf yaml;
    agent_config *c;

    (void)state;
    sonde_buf_init(&yaml, 1 << 16);
    for (int i = 0; i < CONFIG_WARNINGS_MAX + 5; i++)
        sonde_buf_printf(&yaml, "unknown_%d: 1\n", i);
    c = load(sonde_buf_cstr(&yaml), NULL);
    assert_int_equal(c->warnings_len, CONFIG_WARNINGS_MAX);
    assert_int_equal(c->warnings_dropped, 5);
    config_put(c);
    sonde_buf_done(&yaml);
}

static void test_secrets_never_reach_a_warning_or_the_printed_values(void **state)
{
    static const char *const variables[] = {
        "DD_API_KEY=0123456789abcdef0123456789abcdef",
        "DD_APM_ADDITIONAL_ENDPOINTS={\"secret-key-in-the-wrong-place\"",
        "DD_APM_PROFILING_DD_URL=https://user:geheim@prof.example/a@b", NULL
    };
    agent_config *c = load("", variables);
    sonde_buf out;

    (void)state;
    assert_int_equal(c->warnings_len, 1);
    sonde_buf_init(&out, 1 << 16);
    sonde_buf_append_str(&out, c->warnings[0]);
    config_print_values(c, &out);
    assert_null(strstr(sonde_buf_cstr(&out), "secret-key"));
    assert_null(strstr(sonde_buf_cstr(&out), "0123456789"));
    assert_null(strstr(sonde_buf_cstr(&out), "geheim"));
    assert_non_null(strstr(sonde_buf_cstr(&out), "https://***@prof.example/a@b"));
    assert_non_null(strstr(sonde_buf_cstr(&out), "api_key: ***cdef  # DD_API_KEY"));
    sonde_buf_done(&out);
    config_put(c);
}

static void test_lists_are_taken_in_every_form(void **state)
{
    static const struct {
        const char *label, *yaml, *variable;
    } cases[] = {
        { "a sequence", "tags: [\"a:1\", b]\n", NULL },
        { "a block sequence", "tags:\n  - a:1\n  - b\n", NULL },
        { "a text with spaces", "tags: a:1 b\n", NULL },
        { "commas", "", "DD_TAGS=a:1,b" },
        { "commas and spaces", "", "DD_TAGS=a:1, b," },
        { "JSON", "", "DD_TAGS=[\"a:1\",\"b\"]" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const variables[] = { cases[i].variable, NULL };
        agent_config *c = load(cases[i].yaml, variables);

        if (c->tags.len != 2 || !sonde_str_eq(c->tags.items[0], SONDE_STR("a:1")) ||
            !sonde_str_eq(c->tags.items[1], SONDE_STR("b")))
            fail_msg("%s: %zu items", cases[i].label, c->tags.len);
        config_put(c);
    }
}

static void test_some_lists_have_a_separator_of_their_own(void **state)
{
    static const struct {
        const char *variable;
        const char *items[3];
        size_t warnings;
    } cases[] = {
        { "DD_APM_IGNORE_RESOURCES=\"(GET|POST) /health\",\"^x$\"",
          { "(GET|POST) /health", "^x$" },
          0 },
        { "DD_APM_IGNORE_RESOURCES=a b, c", { "a b", "c" }, 0 },
        { "DD_APM_IGNORE_RESOURCES=\"a,b\" , \"c\"\"d\"", { "a,b", "c\"d" }, 0 },
        { "DD_APM_IGNORE_RESOURCES=\"\"\"a\"\"\"", { "\"a\"" }, 0 },
        { "DD_APM_IGNORE_RESOURCES=[\"a,b\",\"c\"]", { "a,b", "c" }, 0 },
        { "DD_APM_IGNORE_RESOURCES=[ab],c", { "[ab]", "c" }, 0 },
        { "DD_APM_IGNORE_RESOURCES=\"a", { NULL }, 1 },
        { "DD_APM_IGNORE_RESOURCES=\"a\"b", { NULL }, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const variables[] = { cases[i].variable, NULL };
        agent_config *c = load("", variables);
        size_t n = 0;

        for (; cases[i].items[n]; n++)
            if (n >= c->ignore_resources.len ||
                !sonde_str_eq(c->ignore_resources.items[n], sonde_str_from(cases[i].items[n])))
                fail_msg("%s: item %zu", cases[i].variable, n);
        assert_int_equal(c->ignore_resources.len, n);
        assert_int_equal(c->warnings_len, cases[i].warnings);
        config_put(c);
    }
}

static void test_endpoints_come_from_key_site_address_and_map(void **state)
{
    static const char *const variables[] = { "DD_API_KEY= key1 ", NULL };
    agent_config *c =
        load("site: datadoghq.eu\napm_config:\n  additional_endpoints:\n"
             "    https://a.example: [k1, 22]\n    http://b.example:8080:\n      - k3\n",
             variables);

    (void)state;
    assert_int_equal(c->warnings_len, 0);
    assert_int_equal(c->endpoints.len, 4);
    assert_text(c->endpoints.items[0].url, "https://trace.agent.datadoghq.eu.");
    assert_text(c->endpoints.items[0].api_key, "key1");
    assert_text(c->endpoints.items[1].url, "https://a.example");
    assert_text(c->endpoints.items[2].api_key, "22");
    assert_text(c->endpoints.items[3].url, "http://b.example:8080");
    assert_false(c->local_mode);
    config_put(c);

    c = load("api_key: k\napm_config:\n  apm_dd_url: http://127.0.0.1:9\nsonde:\n  local:\n    "
             "enabled: true\n",
             NULL);
    assert_int_equal(c->endpoints.len, 1);
    assert_text(c->endpoints.items[0].url, "http://127.0.0.1:9");
    assert_true(c->local_mode); /* both at once */
    config_put(c);
}

static void test_former_names_and_switches_count_as_they_should(void **state)
{
    static const struct {
        const char *label, *yaml;
        const char *key, *log_file; /* of the first endpoint; "": there is none */
        int64_t port;
        double target;
    } cases[] = {
        { "nothing set", "api_key: k\n", "k", "", 8126, 10 },
        { "the former key wins", "api_key: k\napm_config: {api_key: old}\n", "old", "", 8126, 10 },
        { "a former key is a key", "apm_config: {api_key: old}\n", "old", "", 8126, 10 },
        { "no main endpoint",
          "api_key: k\napm_config: {send_to_main_endpoint: false, additional_endpoints: "
          "{'http://x': "
          "[m]}}\n",
          "m", "", 8126, 10 },
        { "the former target", "api_key: k\napm_config: {max_traces_per_second: 3}\n", "k", "",
          8126, 3 },
        { "the present one wins",
          "api_key: k\napm_config: {max_traces_per_second: 3, target_traces_per_second: 4}\n", "k",
          "", 8126, 4 },
        { "the trace agent's log", "api_key: k\nlog_file: /a\napm_config: {log_file: /b}\n", "k",
          "/b", 8126, 10 },
        { "no file at all", "api_key: k\nlog_file: /a\ndisable_file_logging: true\n", "k", "", 8126,
          10 },
        { "no receiver", "api_key: k\napm_config: {receiver_enabled: false, receiver_port: 9}\n",
          "k", "", 0, 10 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, NULL);

        if (c->warnings_len || c->endpoints.len != 1 || c->local_mode ||
            !sonde_str_eq(c->endpoints.items[0].api_key, sonde_str_from(cases[i].key)) ||
            !sonde_str_eq(c->log_file, sonde_str_from(cases[i].log_file)) ||
            c->receiver_port != cases[i].port || c->target_tps != cases[i].target)
            fail_msg("%s: key %.*s, log %.*s, port %lld, target %g", cases[i].label,
                     SONDE_STR_ARG(c->endpoints.items[0].api_key), SONDE_STR_ARG(c->log_file),
                     (long long)c->receiver_port, c->target_tps);
        if (cases[i].port == 0 && c->receiver_socket.len)
            fail_msg("%s: a socket is left", cases[i].label);
        config_put(c);
    }
}

static void test_a_value_that_came_by_another_key_says_by_which(void **state)
{
    static const struct {
        const char *yaml, *line;
    } cases[] = {
        { "apm_config:\n  log_file: /b\n", "\nlog_file: /b  # t.yaml:2:3\n" },
        { "log_file: /a\ndisable_file_logging: true\n", "\nlog_file:   # t.yaml:2:1\n" },
        { "apm_config:\n  max_traces_per_second: 3\n",
          "\napm_config.target_traces_per_second: 3  # t.yaml:2:3\n" },
        { "apm_config:\n  receiver_enabled: false\n",
          "\napm_config.receiver_port: 0  # t.yaml:2:3\n" },
        { "apm_config:\n  max_memory: 100000000\n",
          "\nsonde.memory_limit: 100000000  # t.yaml:2:3\n" },
        { "apm_config:\n  trace_writer:\n    connection_limit: 7\n",
          "\nforwarder_max_concurrent_requests: 7  # t.yaml:3:5\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, NULL);
        sonde_buf out;

        sonde_buf_init(&out, 1 << 16);
        config_print_values(c, &out);
        if (!strstr(sonde_buf_cstr(&out), cases[i].line))
            fail_msg("no %sin\n%s", cases[i].line, sonde_buf_cstr(&out));
        sonde_buf_done(&out);
        config_put(c);
    }
}

static void test_values_follow_from_others(void **state)
{
    static const struct {
        const char *label, *yaml;
        const char *host, *env;
        uint64_t memory;
    } cases[] = {
        { "env from tags", "tags: [team:a, env:from-tags]\n", "localhost", "from-tags", 64u << 20 },
        { "env from extra_tags", "tags: ['env:']\nextra_tags: ['env:x']\n", "localhost", "x",
          64u << 20 },
        { "env before tags", "env: e\ntags: [env:t]\n", "localhost", "e", 64u << 20 },
        { "bind_host", "bind_host: 10.0.0.1\n", "10.0.0.1", "none", 64u << 20 },
        { "non-local traffic wins",
          "bind_host: 10.0.0.1\napm_config:\n  apm_non_local_traffic: true\n", "0.0.0.0", "none",
          64u << 20 },
        { "max_memory replaces the limit",
          "apm_config:\n  max_memory: 5e8\nsonde:\n  memory_limit: 32MiB\n", "localhost", "none",
          500000000 },
        { "the limit alone", "sonde:\n  memory_limit: 32MiB\n", "localhost", "none", 32u << 20 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, NULL);

        if (c->warnings_len || !sonde_str_eq(c->receiver_host, sonde_str_from(cases[i].host)) ||
            !sonde_str_eq(c->agent_env, sonde_str_from(cases[i].env)) ||
            c->memory_limit_bytes != cases[i].memory)
            fail_msg("%s: %.*s %.*s %llu", cases[i].label, SONDE_STR_ARG(c->receiver_host),
                     SONDE_STR_ARG(c->agent_env), (unsigned long long)c->memory_limit_bytes);
        config_put(c);
    }
}

static void test_in_a_container_tcp_listens_to_all_unless_told(void **state)
{
    static const struct {
        const char *label, *yaml, *variable, *host;
    } cases[] = {
        { "in a container", "", "DOCKER_DD_AGENT=true", "0.0.0.0" },
        { "any value says so", "", "DOCKER_DD_AGENT=yes", "0.0.0.0" },
        { "but not false", "", "DOCKER_DD_AGENT=false", "localhost" },
        { "nor nothing", "", "DOCKER_DD_AGENT=", "localhost" },
        { "not in one", "", "X=1", "localhost" },
        { "bind_host wins", "bind_host: 127.0.0.2\n", "DOCKER_DD_AGENT=true", "127.0.0.2" },
        { "local traffic only", "apm_config: {apm_non_local_traffic: false}\n",
          "DOCKER_DD_AGENT=true", "localhost" },
        { "all traffic before bind_host",
          "bind_host: 127.0.0.2\napm_config: {apm_non_local_traffic: true}\n", "X=1", "0.0.0.0" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char variable[64];
        const char *const environment[] = { variable, NULL };
        agent_config *c;

        (void)snprintf(variable, sizeof(variable), "%s", cases[i].variable);
        c = load(cases[i].yaml, environment);
        if (!sonde_str_eq(c->receiver_host, sonde_str_from(cases[i].host)))
            fail_msg("%s: %.*s", cases[i].label, SONDE_STR_ARG(c->receiver_host));
        config_put(c);
    }
}

static void test_local_only_shows_more_and_sooner_unless_told(void **state)
{
    static const struct {
        const char *label;
        const char *yaml;
        uint64_t want_flush_ns;
        double want_tps;
    } cases[] = {
        { "local only", "", 1000000000u, 1000 },
        { "flush asked for", "apm_config: { trace_writer: { flush_period_seconds: 5 } }",
          5000000000u, 1000 },
        { "rate asked for", "apm_config: { target_traces_per_second: 10 }", 1000000000u, 10 },
        { "rate asked for by its former name", "apm_config: { max_traces_per_second: 30 }",
          1000000000u, 30 },
        { "a key", "api_key: abc", 5000000000u, 10 },
        { "a key and local", "{ api_key: abc, sonde: { local: { enabled: true } } }", 5000000000u,
          10 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = load(cases[i].yaml, NULL);

        if (c->trace_flush_ns != cases[i].want_flush_ns || c->target_tps != cases[i].want_tps)
            fail_msg("%s: flush %llu, target %g", cases[i].label,
                     (unsigned long long)c->trace_flush_ns, c->target_tps);
        config_put(c);
    }
}

static void test_the_state_directory_depends_on_who_runs_it(void **state)
{
    static const char *const systemd[] = { "STATE_DIRECTORY=/var/lib/sonde-x", NULL };
    agent_config *c = load("", systemd);

    (void)state;
    assert_text(c->data_dir, "/var/lib/sonde-x");
    config_put(c);
    c = load("sonde:\n  data_dir: /tmp/elsewhere\n", systemd);
    assert_text(c->data_dir, "/tmp/elsewhere");
    config_put(c);
}

static void test_a_file_that_is_no_yaml_is_an_error_with_its_place(void **state)
{
    static const struct {
        const char *label, *yaml, *place;
    } cases[] = {
        { "an open bracket", "env: prod\ntags: [a\n", "t.yaml:" },
        { "a list at the top", "- a\n", "t.yaml: expected keys" },
        { "a text at the top", "hello\n", "t.yaml: expected keys" },
        { "a key twice", "env: a\nenv: b\n", "t.yaml:2" },
        { "bytes that are no text", "env: a\nsite: \xf2\xf2\n", "t.yaml:2: not UTF-8 text" },
        { "a directive over which libfyaml 0.7.12 loops", "%nv: \xf2\xf2y\n",
          "t.yaml:1: not UTF-8" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        config_options options = { .os_hostname = "h", .cpus = 1 };
        agent_config *c = (agent_config *)(uintptr_t)1;
        sonde_error error = { 0 };

        assert_status(
            config_load_text(&options, sonde_str_from(cases[i].yaml), "t.yaml", &c, &error),
            SONDE_ERR_SYNTAX);
        assert_int_equal((uintptr_t)c, 1);
        if (strncmp(error.message, cases[i].place, strlen(cases[i].place)) != 0)
            fail_msg("%s: %s", cases[i].label, error.message);
    }
}

static void test_nothing_but_comments_is_a_good_file(void **state)
{
    static const char *const texts[] = { "# nothing\n", "\n\n", "env:\napm_config:\n", "---\n..." };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        agent_config *c = load(texts[i], NULL);

        assert_int_equal(c->warnings_len, 0);
        config_put(c);
    }
}

static void test_files_are_found_missing_or_too_large(void **state)
{
    char path[] = "/tmp/sonde-config-XXXXXX";
    config_options options = { .file = path, .os_hostname = "h", .cpus = 1 };
    sonde_error error = { 0 };
    agent_config *c = NULL;
    static char large[2 << 20];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "env: from-file\n", 15), 15);
    assert_status(config_load(&options, &c, &error), SONDE_OK);
    assert_text(c->env, "from-file");
    assert_text(c->file, path);
    config_put(c);

    memset(large, '#', sizeof(large));
    assert_int_equal(write(fd, large, sizeof(large)), sizeof(large));
    assert_status(config_load(&options, &c, &error), SONDE_ERR_TOO_BIG);
    (void)close(fd);
    (void)unlink(path);
    assert_status(config_load(&options, &c, &error), SONDE_ERR_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
}

#define DOCUMENT SONDE_DOCS_DIR "/CONFIGURATION.md"

static void update_document(const sonde_buf *text)
{
    FILE *file = fopen(DOCUMENT, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text->data, 1, text->len, file), text->len);
    assert_int_equal(fclose(file), 0);
}

static void test_documentation_on_disk_is_what_the_table_says(void **state)
{
    static char have[65536];
    sonde_buf want;
    FILE *file;

    (void)state;
    sonde_buf_init(&want, sizeof(have));
    config_print_markdown(&want);
    if (getenv("SONDE_UPDATE_DOCS"))
        update_document(&want);
    file = fopen(DOCUMENT, "r");
    assert_non_null(file);
    have[fread(have, 1, sizeof(have) - 1, file)] = '\0';
    (void)fclose(file);
    assert_string_equal(have, sonde_buf_cstr(&want)); /* else: SONDE_UPDATE_DOCS=1 */
    sonde_buf_done(&want);
}

static void test_help_names_every_key_with_its_variable(void **state)
{
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, 1 << 16);
    config_print_help(&out);
    assert_non_null(strstr(sonde_buf_cstr(&out), "apm_config.receiver_port, DD_APM_RECEIVER_PORT, "
                                                 "DD_RECEIVER_PORT (integer, default 8126)"));
    sonde_buf_done(&out);
}

static sonde_status load_scenario(void *user)
{
    static const char *const variables[] = { "DD_API_KEY=k", "DD_TAGS=a,b", NULL };
    config_options options = { .environment = (char *const *)(uintptr_t)variables, .cpus = 1 };
    agent_config *c = NULL;
    sonde_status status;

    (void)user;
    status = config_load_text(&options, SONDE_STR("env: prod\nunknown: 1\ntags: [x, y]\n"), "t", &c,
                              NULL);
    config_put(c);
    return status;
}

static void test_loading_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(load_scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_the_table),
        cmocka_unit_test(test_the_environment_wins_over_the_file),
        cmocka_unit_test(test_the_way_out_is_what_file_and_variables_say),
        cmocka_unit_test(test_a_mode_of_sql_that_is_none_leaves_the_default),
        cmocka_unit_test(test_the_mode_of_the_agent_is_edge_or_none),
        cmocka_unit_test(test_payloads_on_disk_are_below_the_data_folder_unless_told_otherwise),
        cmocka_unit_test(test_traces_go_to_the_site_or_what_stands_in_for_it),
        cmocka_unit_test(test_an_empty_socket_variable_switches_it_off),
        cmocka_unit_test(test_bad_values_are_named_and_the_value_before_stays),
        cmocka_unit_test(test_unknown_keys_are_warned_about_with_the_nearest_known),
        cmocka_unit_test(test_a_secret_of_a_backend_is_refused_and_no_key),
        cmocka_unit_test(test_keys_without_effect_are_noted_and_no_warning),
        cmocka_unit_test(test_features_without_effect_are_noted),
        cmocka_unit_test(test_a_key_without_a_variable_of_its_own_has_one_made_from_its_name),
        cmocka_unit_test(test_overrides_win_over_the_file_in_byte_order),
        cmocka_unit_test(test_what_differs_between_two_snapshots_is_told),
        cmocka_unit_test(test_the_kill_line_is_one_and_a_half_of_the_memory),
        cmocka_unit_test(test_every_secret_is_told),
        cmocka_unit_test(test_warnings_are_bounded_and_the_rest_counted),
        cmocka_unit_test(test_secrets_never_reach_a_warning_or_the_printed_values),
        cmocka_unit_test(test_lists_are_taken_in_every_form),
        cmocka_unit_test(test_some_lists_have_a_separator_of_their_own),
        cmocka_unit_test(test_endpoints_come_from_key_site_address_and_map),
        cmocka_unit_test(test_former_names_and_switches_count_as_they_should),
        cmocka_unit_test(test_a_value_that_came_by_another_key_says_by_which),
        cmocka_unit_test(test_values_follow_from_others),
        cmocka_unit_test(test_in_a_container_tcp_listens_to_all_unless_told),
        cmocka_unit_test(test_local_only_shows_more_and_sooner_unless_told),
        cmocka_unit_test(test_the_state_directory_depends_on_who_runs_it),
        cmocka_unit_test(test_a_file_that_is_no_yaml_is_an_error_with_its_place),
        cmocka_unit_test(test_nothing_but_comments_is_a_good_file),
        cmocka_unit_test(test_files_are_found_missing_or_too_large),
        cmocka_unit_test(test_documentation_on_disk_is_what_the_table_says),
        cmocka_unit_test(test_help_names_every_key_with_its_variable),
        cmocka_unit_test(test_loading_copes_without_memory),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
