/* The table of settings: each row valid, invalid, absent; and what follows from several. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "profiler/src/config.h"
#include "profiler/src/samplers.h"

/* "NAME=value" each; NULL ends. */
static const char *lookup(void *user, const char *name)
{
    const char *const *env = user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static sonde_prof__config *with(const sonde_prof_options *options, const char *const *env,
                                const char *file)
{
    sonde_prof__config *c =
        sonde_prof__config_new_with(options, lookup, (void *)(uintptr_t)env, sonde_str_from(file));

    assert_non_null(c);
    return c;
}

#define WITH(...)                                                                                  \
    with(NULL, (const char *const[]){ "DD_PROFILING_NATIVE_LOG_LEVEL=off", __VA_ARGS__, NULL }, "")

static void nothing_said_is_the_defaults(void **state)
{
    sonde_prof__config *c = WITH("X=1");

    (void)state;
    assert_int_equal(c->enabled, SONDE_PROF__ON);
    assert_false(c->is_asked_for);
    assert_string_equal(c->service.ptr, "test_profiler_config");
    assert_true(c->service_is_ours);
    assert_int_equal(c->agent.port, c->agent.scheme == SONDE_URL_UNIX ? 0 : 8126);
    assert_int_equal(c->upload_period_ns, 60000000000);
    assert_int_equal(c->upload_timeout_ns, 10000000000);
    assert_int_equal(c->batch_interval_ns, 10000000000);
    assert_int_equal(c->max_frames, 512);
    assert_true(c->cpu && c->wall && c->alloc && c->heap && c->lock);
    assert_false(c->io || c->exception);
    assert_int_equal(c->heap_sample_bytes, 524288);
    assert_int_equal(c->cpu_period_ns, 10101010);
    assert_int_equal(c->wall_interval_ns, 50000000);
    assert_int_equal(c->wall_threads, 16);
    assert_int_equal(c->signal, 27);
    assert_int_equal(c->memory_bytes, UINT64_C(48) << 20);
    assert_int_equal(c->wire, SONDE_PROF__WIRE_AUTO);
    assert_true(c->timeline && c->flush_on_exit && c->hotspots && c->endpoints);
    assert_int_equal(c->live_max, 262144);
    assert_true(c->max_overhead == 1.0);
    sonde_prof__config_free(c);
}

/* One value of a field, as text. */
static void print_field(const sonde_prof__config *c, const sonde_prof__setting_row *row,
                        char out[80])
{
    const char *at = (const char *)c + row->field;
    sonde_str text;

    switch (row->type) {
    case SONDE_PROF__TYPE_BOOL:
        (void)snprintf(out, 80, "%d", *(const bool *)at);
        break;
    case SONDE_PROF__TYPE_INT:
    case SONDE_PROF__TYPE_CHOICE:
        (void)snprintf(out, 80, "%u", *(const uint32_t *)(const void *)at);
        break;
    case SONDE_PROF__TYPE_LEVEL:
        (void)snprintf(out, 80, "%d", *(const int *)(const void *)at);
        break;
    case SONDE_PROF__TYPE_NUMBER:
        (void)snprintf(out, 80, "%g", *(const double *)(const void *)at);
        break;
    case SONDE_PROF__TYPE_DURATION:
    case SONDE_PROF__TYPE_BYTES:
        (void)snprintf(out, 80, "%llu", *(const unsigned long long *)(const void *)at);
        break;
    default:
        memcpy(&text, at, sizeof(text));
        (void)snprintf(out, 80, "%.*s", SONDE_STR_ARG(text));
    }
}

static const sonde_prof__setting_row *row_named(const char *name)
{
    size_t i, n;

    for (i = 0; i < sonde_prof__setting_rows_len; i++)
        for (n = 0; n < SONDE_PROF__NAMES_MAX && sonde_prof__setting_rows[i].names[n]; n++)
            if (strcmp(sonde_prof__setting_rows[i].names[n], name) == 0)
                return &sonde_prof__setting_rows[i];
    fail_msg("%s is in no row", name);
    return NULL;
}

static void every_variable_is_read_and_nonsense_is_the_default(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        const char *want;
    } cases[] = {
        { "DD_PROFILING_ENABLED", "auto", "2" },
        { "DD_PROFILING_ENABLED", "NO", "0" },
        { "DD_PROFILING_ENABLED", "maybe", "1" },
        { "DD_SERVICE", " shop ", "shop" },
        { "DD_ENV", "prod", "prod" },
        { "DD_VERSION", "1.2", "1.2" },
        { "DD_HOSTNAME", "web-1", "web-1" },
        { "DD_PROFILING_RUNTIME_ID", "id", "id" },
        { "DD_PROFILING_UPLOAD_PERIOD", "59", "59000000000" },
        { "DD_PROFILING_UPLOAD_INTERVAL", "30.5", "30500000000" },
        { "DD_PROFILING_UPLOAD_PERIOD", "0", "60000000000" },
        { "DD_PROFILING_UPLOAD_PERIOD", "x", "60000000000" },
        { "DD_PROFILING_UPLOAD_TIMEOUT", "5s", "5000000000" },
        { "DD_PROFILING_UPLOAD_TIMEOUT", "5", "5000000000" },
        { "DD_PROFILING_UPLOAD_TIMEOUT", "5000ms", "5000000000" },
        { "DD_PROFILING_UPLOAD_TIMEOUT", "-1", "10000000000" },
        { "DD_PROFILING_API_TIMEOUT_MS", "2500", "2500000000" },
        { "DD_PROFILING_API_TIMEOUT_MS", "1", "10000000000" },
        { "DD_PROFILING_FLUSH_ON_EXIT", "off", "0" },
        { "DD_PROFILING_FLUSH_ON_EXIT", "?", "1" },
        { "DD_PROFILING_DO_EXPORT", "0", "0" },
        { "DD_PROFILING_OUTPUT_PPROF", "/tmp/p", "/tmp/p" },
        { "DD_PROFILING_OUTPUT_DIR", "/tmp/d", "/tmp/d" },
        { "DD_PROFILING_PPROF_PREFIX", "/tmp/q", "/tmp/q" },
        { "DD_PROFILING_DEBUG_COMPRESSION_SETTINGS", "none", "0" },
        { "DD_PROFILING_DEBUG_COMPRESSION_SETTINGS", "zstd-3", "1" },
        { "DD_PROFILING_DEBUG_COMPRESSION_SETTINGS", "lz4", "1" },
        { "DD_PROFILING_CPU_ENABLED", "false", "0" },
        { "DD_PROFILING_WALLTIME_ENABLED", "false", "0" },
        { "DD_PROFILING_ALLOCATION_ENABLED", "0", "0" },
        { "DD_HEAP_SAMPLING_ENABLED", "0", "0" },
        { "DD_PROFILING_LOCK_ENABLED", "no", "0" },
        { "SONDE_PROFILING_IO_ENABLED", "yes", "1" },
        { "DD_PROFILING_EXCEPTION_ENABLED", "on", "1" },
        { "DD_PROFILING_MAX_FRAMES", "64", "64" },
        { "DD_PROFILING_MAX_FRAMES", "5000", "598" },
        { "DD_PROFILING_MAX_FRAMES", "many", "512" },
        { "DD_PROFILING_HEAP_SAMPLE_SIZE", "1", "65536" },
        { "DD_PROFILING_HEAP_SAMPLE_SIZE", "1MiB", "1048576" },
        { "DD_PROFILING_HEAP_SAMPLE_SIZE", "x", "524288" },
        { "DD_PROFILING_TIMELINE_ENABLE", "false", "0" },
        { "DD_PROFILING_TIMELINE_ENABLED", "false", "0" },
        { "DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED", "false", "0" },
        { "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED", "false", "0" },
        { "DD_PROFILING_ENDPOINT_COUNT_ENABLED", "false", "0" },
        { "DD_PROFILING_STACK_ADAPTIVE_SAMPLING_TARGET_OVERHEAD", "2.5", "2.5" },
        { "SONDE_PROFILING_MAX_OVERHEAD", "0.5", "0.5" },
        { "SONDE_PROFILING_MAX_OVERHEAD", "none", "1" },
        { "SONDE_PROFILING_CPU_ENGINE", "perf", "1" },
        { "SONDE_PROFILING_CPU_ENGINE", "magic", "0" },
        { "SONDE_PROFILING_WALL_ENGINE", "signal", "1" },
        { "SONDE_PROFILING_SIGNAL", "40", "40" },
        { "SONDE_PROFILING_SIGNAL", "99", "27" },
        { "SONDE_PROFILING_CPU_FREQUENCY", "250", "250" },
        { "SONDE_PROFILING_CPU_FREQUENCY", "100000", "1000" }, /* by timers */
        { "SONDE_PROFILING_WALL_INTERVAL_MS", "10", "10000000" },
        { "SONDE_PROFILING_WALL_INTERVAL_MS", "0", "50000000" },
        { "SONDE_PROFILING_WALL_THREADS_PER_TICK", "4", "4" },
        { "SONDE_PROFILING_LOCK_INTERVAL_US", "10", "10000" },
        { "SONDE_PROFILING_IO_INTERVAL_US", "10", "10000" },
        { "SONDE_PROFILING_LIVE_HEAP_MAX_ENTRIES", "4096", "4096" },
        { "SONDE_PROFILING_MEMORY_LIMIT_MB", "64", "67108864" },
        { "SONDE_PROFILING_MEMORY_LIMIT_MB", "1", "8388608" },
        { "SONDE_PROFILING_MEMORY_LIMIT_MB", "64MiB", "67108864" },
        { "SONDE_PROFILING_BATCH_INTERVAL_MS", "1000", "1000000000" },
        { "SONDE_PROFILING_WIRE", "pprof", "2" },
        { "SONDE_PROFILING_WIRE", "smoke", "0" },
        { "DD_PROFILING_NATIVE_ALLOCATION_PROFILING_FOLLOW_EXECS", "0", "0" },
        { "DD_PROFILING_SHOW_CONFIG", "1", "1" },
        { "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL", "debug", "3" },
        { "DD_PROFILING_AGENTLESS", "1", "1" },
    };
    char text[80], got[80];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_prof__config *c;

        (void)snprintf(text, sizeof(text), "%s=%s", cases[i].name, cases[i].value);
        c = WITH(text);
        print_field(c, row_named(cases[i].name), got);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: got %s, want %s", text, got, cases[i].want);
        sonde_prof__config_free(c);
    }
}

static void perf_events_are_not_bound_to_the_scheduler(void **state)
{
    static const struct {
        const char *hz;
        uint64_t period_ns;
    } cases[] = { { "SONDE_PROFILING_CPU_FREQUENCY=10000", 100000 },
                  { "SONDE_PROFILING_CPU_FREQUENCY=20000", 100000 },
                  { "DD_PROFILING_NATIVE_EVENTS=sCPU frequency=5000", 200000 } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_prof__config *c = WITH("SONDE_PROFILING_CPU_ENGINE=perf", cases[i].hz);

        assert_int_equal(c->cpu_period_ns, cases[i].period_ns);
        sonde_prof__config_free(c);
    }
}

static void an_option_goes_before_the_environment_and_that_before_the_file(void **state)
{
    const char *const env[] = { "DD_SERVICE=env", "DD_PROFILING_WALLTIME_ENABLED=false",
                                "DD_PROFILING_UPLOAD_TIMEOUT=1s",
                                "DD_PROFILING_API_TIMEOUT_MS=2000", NULL };
    const sonde_prof_options o = {
        .service = "code", .wall = 1, .cpu = -1, .cpu_frequency = 10, .memory_bytes = 16 << 20
    };
    sonde_prof__config *c =
        with(&o, env,
             "# a comment\n[section]\nservice = \"file\"\nenvironment = 'stage' \n"
             "upload_period=20 # seconds\nDD_PROFILING_MAX_FRAMES = 100\nbroken\n");

    (void)state;
    assert_string_equal(c->service.ptr, "code");
    assert_false(c->service_is_ours);
    assert_true(c->wall);
    assert_false(c->cpu);
    assert_int_equal(c->cpu_period_ns, 100000000);
    assert_int_equal(c->memory_bytes, 16 << 20);
    assert_true(sonde_str_eq(c->env, SONDE_STR("stage")));
    assert_int_equal(c->upload_period_ns, 20000000000);
    assert_int_equal(c->max_frames, 100);
    assert_int_equal(c->upload_timeout_ns, 1000000000);
    sonde_prof__config_free(c);
}

static void a_shorter_struct_is_an_older_caller(void **state)
{
    const char *const env[] = { NULL };
    const sonde_prof_options o = { .struct_bytes = offsetof(sonde_prof_options, service),
                                   .service = "new",
                                   .cpu = -1 };
    sonde_prof__config *c = with(&o, env, "");

    (void)state;
    assert_false(c->cpu);
    assert_string_equal(c->service.ptr, "test_profiler_config");
    sonde_prof__config_free(c);
}

static void the_agent_is_looked_for_in_order(void **state)
{
    static const struct {
        const char *env[4];
        const char *want;
    } cases[] = {
        { { "DD_TRACE_AGENT_URL=unix:///run/a.sock", "DD_AGENT_HOST=x" }, "unix:///run/a.sock" },
        { { "DD_AGENT_HOST=box", "DD_TRACE_AGENT_PORT=1234" }, "http://box:1234" },
        { { "DD_AGENT_HOST=::1" }, "http://[::1]:8126" },
        { { "DD_TRACE_AGENT_PORT=99" }, "http://localhost:99" },
        { { "DD_TRACE_AGENT_URL=https://x", "DD_AGENT_HOST=box" }, "http://box:8126" },
        { { "DD_PROFILING_URL=http://p:1/x", "DD_TRACE_AGENT_URL=http://q:1" }, "http://p:1/x" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *env[6] = { "DD_PROFILING_NATIVE_LOG_LEVEL=off", cases[i].env[0],
                               cases[i].env[1], NULL };
        sonde_prof__config *c = with(NULL, env, "");

        assert_string_equal(c->agent_text, cases[i].want);
        sonde_prof__config_free(c);
    }
}

static void injection_and_tags_say_what_variables_do_not(void **state)
{
    sonde_prof__config *c =
        WITH("DD_INJECTION_ENABLED=tracer,profiler",
             "DD_TAGS=env:prod,git.repository_url:https://me:secret@host/r.git,a:b");
    sonde_prof__config *off = WITH("DD_INJECTION_ENABLED=profiler", "DD_PROFILING_ENABLED=false");

    (void)state;
    assert_true(c->is_asked_for);
    assert_int_equal(c->enabled, SONDE_PROF__ON);
    assert_true(sonde_str_eq(c->env, SONDE_STR("prod")));
    assert_true(sonde_str_eq(c->git_repository, SONDE_STR("https://host/r.git")));
    assert_int_equal(off->enabled, SONDE_PROF__OFF);
    sonde_prof__config_free(c);
    sonde_prof__config_free(off);
}

static void ddprofs_presets_and_events_choose_samplers(void **state)
{
    static const struct {
        const char *env[3];
        bool cpu, alloc, heap;
        uint64_t heap_bytes, period;
    } cases[] = {
        { { "DD_PROFILING_NATIVE_PRESET=cpu_only" }, true, false, false, 524288, 10101010 },
        { { "DD_PROFILING_NATIVE_PRESET=alloc_live_heap" }, false, true, true, 524288, 10101010 },
        { { "DD_PROFILING_NATIVE_PRESET=default" }, true, true, false, 524288, 10101010 },
        { { "DD_PROFILING_NATIVE_PRESET=cpu_only", "DD_PROFILING_ALLOCATION_ENABLED=1" },
          true,
          true,
          false,
          524288,
          10101010 },
        { { "DD_PROFILING_NATIVE_PRESET=odd" }, true, true, true, 524288, 10101010 },
        { { "DD_PROFILING_NATIVE_EVENTS=sCPU f=50;sALLOC period=-1048576 mode=sl" },
          true,
          true,
          true,
          1048576,
          20000000 },
        { { "DD_PROFILING_NATIVE_EVENTS=sALLOC;hCPU" }, false, true, false, 524288, 10101010 },
        { { "DD_PROFILING_NATIVE_EVENTS=e=sCPU period=5000000" },
          true,
          false,
          false,
          524288,
          5000000 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *env[5] = { "DD_PROFILING_NATIVE_LOG_LEVEL=off", cases[i].env[0],
                               cases[i].env[1], NULL };
        sonde_prof__config *c = with(NULL, env, "");

        if (c->cpu != cases[i].cpu || c->alloc != cases[i].alloc || c->heap != cases[i].heap ||
            c->heap_sample_bytes != cases[i].heap_bytes || c->cpu_period_ns != cases[i].period)
            fail_msg("%s: cpu %d alloc %d heap %d of %llu, period %llu", cases[i].env[0], c->cpu,
                     c->alloc, c->heap, (unsigned long long)c->heap_sample_bytes,
                     (unsigned long long)c->cpu_period_ns);
        sonde_prof__config_free(c);
    }
}

static char shown[65536];

static void keep_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    size_t at = strlen(shown);

    (void)user;
    (void)level;
    if (at + len + 2 < sizeof(shown)) {
        memcpy(shown + at, line, len);
        shown[at + len] = '\n';
        shown[at + len + 1] = '\0';
    }
}

static void what_is_in_force_is_shown_when_it_is_asked_for(void **state)
{
    sonde_prof__config *c;

    (void)state;
    sonde_log_set_sink(keep_line, NULL);
    c = WITH("DD_PROFILING_SHOW_CONFIG=1", "DD_SERVICE=shop", "DD_PROFILING_UPLOAD_PERIOD=30",
             "DD_TRACE_AGENT_URL=http://box:1");
    sonde_log_set_sink(NULL, NULL);
    assert_non_null(strstr(shown, "DD_SERVICE=\"shop\" origin=environment"));
    assert_non_null(strstr(shown, "DD_PROFILING_UPLOAD_PERIOD=\"30000ms\" origin=environment"));
    assert_non_null(strstr(shown, "DD_PROFILING_CPU_ENABLED=\"true\" origin=default"));
    assert_non_null(strstr(shown, "agent=http://box:1"));
    sonde_prof__config_free(c);
}

/* -- docs/PROFILER-CONFIGURATION.md ----------------------------------------------------------------- */

#define DOCUMENT SONDE_DOCS_DIR "/PROFILER-CONFIGURATION.md"

static const char *const type_names[SONDE_PROF__TYPES] = {
    [SONDE_PROF__TYPE_BOOL] = "true or false", [SONDE_PROF__TYPE_INT] = "whole number",
    [SONDE_PROF__TYPE_NUMBER] = "number",      [SONDE_PROF__TYPE_TEXT] = "text",
    [SONDE_PROF__TYPE_CHOICE] = "choice",      [SONDE_PROF__TYPE_DURATION] = "duration",
    [SONDE_PROF__TYPE_BYTES] = "size",         [SONDE_PROF__TYPE_LEVEL] = "level",
};

/* "false=0=no,true=1": the first spelling of each. */
static void describe_choices(const char *choices, sonde_buf *out)
{
    sonde_str rest = sonde_str_from(choices);
    const char *before = " of ";

    while (rest.len > 0) {
        sonde_str one = sonde_str_cut(&rest, ',');
        sonde_str first = sonde_str_cut(&one, '=');

        sonde_buf_printf(out, "%s%.*s", before, SONDE_STR_ARG(first));
        before = ", ";
    }
}

static void describe(const sonde_prof__setting_row *row, sonde_buf *out)
{
    const char *unit = row->unit_ns == SONDE_NS_PER_S    ? "s"
                       : row->unit_ns == SONDE_NS_PER_MS ? "ms"
                                                         : "µs";
    size_t i;

    for (i = 0; i < SONDE_PROF__NAMES_MAX && row->names[i]; i++)
        sonde_buf_printf(out, i == 0 ? "| `%s`" : ", `%s`", row->names[i]);
    sonde_buf_printf(out, " | %s", type_names[row->type]);
    if (row->type == SONDE_PROF__TYPE_CHOICE)
        describe_choices(row->choices, out);
    if (row->type == SONDE_PROF__TYPE_DURATION)
        sonde_buf_printf(out, " in %s", unit);
    if (row->type == SONDE_PROF__TYPE_INT || row->type == SONDE_PROF__TYPE_NUMBER)
        sonde_buf_printf(out, " %g–%.0f", row->min, row->max);
    if (row->instead)
        sonde_buf_printf(out, " | %s", row->instead);
    else if (row->second)
        sonde_buf_printf(out, " |");
    else if (row->fallback[0])
        sonde_buf_printf(out, " | `%s`", row->fallback);
    else
        sonde_buf_printf(out, " | none");
    sonde_buf_printf(out, row->key ? " | `%s`" : " | %s", row->key ? row->key : "");
    sonde_buf_printf(out, " | %s |\n", row->doc);
}

static void write_document(sonde_buf *out)
{
    size_t i;

    sonde_buf_printf(out, "# Configuration of the profiler\n\n"
                          "Made from the table in `profiler/src/config_rows.c`; do not edit: run "
                          "the test `profiler.config` with\n"
                          "`SONDE_UPDATE_DOCS=1`.\n\n"
                          "The first source that has a usable value wins: `sonde_prof_options` of "
                          "`sonde_prof_start()`, the environment, the\n"
                          "file that `DD_PROFILING_NATIVE_CONFIG` names, the default. The file has "
                          "lines `NAME = value`, with the variable's\n"
                          "name or the key below; quotes around values, comments behind `#` and "
                          "sections are passed over.\n\n"
                          "Blanks around a value do not count; an empty one is unset. A value that "
                          "cannot be used costs one log line, which\n"
                          "names it. Booleans are `1 t true yes on` and `0 f false no off` in any "
                          "case; durations may have a unit (`250ms`,\n"
                          "`5s`, `2m`), sizes too (`64MiB`, 1024-based).\n\n"
                          "| Variable | Type | Default | Key | Meaning |\n|---|---|---|---|---|\n");
    for (i = 0; i < sonde_prof__setting_rows_len; i++)
        describe(&sonde_prof__setting_rows[i], out);
}

static void the_document_says_what_the_table_says(void **state)
{
    static char have[65536];
    size_t len;
    sonde_buf want;
    FILE *f;

    (void)state;
    sonde_buf_init(&want, sizeof(have));
    write_document(&want);
    assert_status(want.status, SONDE_OK);
    if (getenv("SONDE_UPDATE_DOCS")) {
        f = fopen(DOCUMENT, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(want.data, 1, want.len, f), want.len);
        assert_int_equal(fclose(f), 0);
    }
    f = fopen(DOCUMENT, "r");
    assert_non_null(f);
    len = fread(have, 1, sizeof(have) - 1, f);
    (void)fclose(f);
    have[len] = '\0';
    assert_string_equal(have, sonde_buf_cstr(&want)); /* else: SONDE_UPDATE_DOCS=1 */
    sonde_buf_done(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_the_defaults),
        cmocka_unit_test(every_variable_is_read_and_nonsense_is_the_default),
        cmocka_unit_test(perf_events_are_not_bound_to_the_scheduler),
        cmocka_unit_test(an_option_goes_before_the_environment_and_that_before_the_file),
        cmocka_unit_test(a_shorter_struct_is_an_older_caller),
        cmocka_unit_test(the_agent_is_looked_for_in_order),
        cmocka_unit_test(injection_and_tags_say_what_variables_do_not),
        cmocka_unit_test(ddprofs_presets_and_events_choose_samplers),
        cmocka_unit_test(what_is_in_force_is_shown_when_it_is_asked_for),
        cmocka_unit_test(the_document_says_what_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
