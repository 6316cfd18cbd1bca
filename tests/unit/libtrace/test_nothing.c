/* test_nothing.c - every exported function is given nothing: NULL and 0, before the start, while the tracer is on
 * and after the stop; then handles that live, and handles that are gone, with nothing beside them.
 *
 * What is looked at is that the call comes back, and that a span recorded afterwards is delivered.  A function
 * that is exported and has no call here fails the test. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sonde/profiler_hooks.h"
#include "sonde/sonde.h"
#include "sonde/statsd.h"
#include "sonde/test.h"
#include "support/fake_agent.h"

static fake_agent *agent;

/* What the calls are made with: NULL, or of the moment. */
static sonde_span *span;
static sonde_context *context;
static sonde_statsd *client;

#define NO_TEXT  ((sonde_str){ NULL, 0 })
#define NO_VALUE ((sonde_value){ 0 })

/* The function of the library, where the header has an inline one of that name too. */
#define OF(f) ((__typeof__(&(f)) volatile){ (f) })

/* clang-format off */
#define CALLS(X)                                                                                   \
    X(sonde_context_attach, sonde_context_detach(OF(sonde_context_attach)(context)))               \
    X(sonde_context_baggage, OF(sonde_context_baggage)(context, NULL, NULL, 0))                    \
    X(sonde_context_current, sonde_context_release(OF(sonde_context_current)()))                   \
    X(sonde_context_detach, OF(sonde_context_detach)(context))                                     \
    X(sonde_context_each_baggage, OF(sonde_context_each_baggage)(context, NULL, NULL))             \
    X(sonde_context_of_span, sonde_context_release(OF(sonde_context_of_span)(span)))               \
    X(sonde_context_release, OF(sonde_context_release)(context))                                   \
    X(sonde_context_retain, sonde_context_release(OF(sonde_context_retain)(context)))              \
    X(sonde_context_span_id, OF(sonde_context_span_id)(context))                                   \
    X(sonde_context_trace_id_high, OF(sonde_context_trace_id_high)(context))                       \
    X(sonde_context_trace_id_low, OF(sonde_context_trace_id_low)(context))                         \
    X(sonde_context_with_baggage, sonde_context_release(OF(sonde_context_with_baggage)(context, NULL, NULL))) \
    X(sonde_counters_read, OF(sonde_counters_read)(NULL))                                          \
    X(sonde_drop_name, OF(sonde_drop_name)(UINT32_MAX))                                            \
    X(sonde_enabled, OF(sonde_enabled)())                                                          \
    X(sonde_extract, sonde_context_release(OF(sonde_extract)(NULL)))                               \
    X(sonde_flush, OF(sonde_flush)(0))                                                             \
    X(sonde_flush_stats, OF(sonde_flush_stats)(0))                                                 \
    X(sonde_http_client_finish, OF(sonde_http_client_finish)(span, NULL))                          \
    X(sonde_http_client_start, sonde_span_finish(OF(sonde_http_client_start)(NULL, NULL)))         \
    X(sonde_http_server_finish, OF(sonde_http_server_finish)(span, NULL))                          \
    X(sonde_http_server_start, sonde_span_finish(OF(sonde_http_server_start)(NULL)))               \
    X(sonde_inject, OF(sonde_inject)(context, NULL))                                               \
    X(sonde_integration_report, OF(sonde_integration_report)(NULL))                                \
    X(sonde_log_ids_current, OF(sonde_log_ids_current)(NULL))                                      \
    X(sonde_log_ids_of_span, OF(sonde_log_ids_of_span)(span, NULL))                                \
    X(sonde_log_json, OF(sonde_log_json)(NULL, 0))                                                 \
    X(sonde_log_text, OF(sonde_log_text)(NULL, 0))                                                 \
    X(sonde_remote_config_at, OF(sonde_remote_config_at)(0, NULL))                                 \
    X(sonde_remote_poll, OF(sonde_remote_poll)(0))                                                 \
    X(sonde_set_log, OF(sonde_set_log)(NULL, NULL))                                                \
    X(sonde_setting_at, OF(sonde_setting_at)(0, NULL))                                             \
    X(sonde_setting_find, OF(sonde_setting_find)(NULL, NULL))                                      \
    X(sonde_span_activate, (OF(sonde_span_activate)(span), sonde_span_deactivate(span)))           \
    X(sonde_span_add_event, OF(sonde_span_add_event)(span, NULL, NULL, 0))                         \
    X(sonde_span_add_event_at, OF(sonde_span_add_event_at)(span, NO_TEXT, 0, NULL, 0))             \
    X(sonde_span_add_link, OF(sonde_span_add_link)(span, NULL))                                    \
    X(sonde_span_baggage, OF(sonde_span_baggage)(span, NULL, NULL, 0))                             \
    X(sonde_span_clear_baggage, OF(sonde_span_clear_baggage)(span))                                \
    X(sonde_span_clear_error, OF(sonde_span_clear_error)(span))                                    \
    X(sonde_span_current, OF(sonde_span_current)())                                                \
    X(sonde_span_deactivate, OF(sonde_span_deactivate)(span))                                      \
    X(sonde_span_drop, OF(sonde_span_drop)(span))                                                  \
    X(sonde_span_each_baggage, OF(sonde_span_each_baggage)(span, NULL, NULL))                      \
    X(sonde_span_enter, sonde_span_leave(OF(sonde_span_enter)(NULL, NULL)))                        \
    X(sonde_span_enter_n, sonde_span_leave(OF(sonde_span_enter_n)(NO_TEXT, NULL)))                 \
    X(sonde_span_error, OF(sonde_span_error)(span, NULL, NULL))                                    \
    X(sonde_span_error_n, OF(sonde_span_error_n)(span, NO_TEXT, NO_TEXT))                          \
    X(sonde_span_finish, OF(sonde_span_finish)(span))                                              \
    X(sonde_span_finish_at, OF(sonde_span_finish_at)(span, 0))                                     \
    X(sonde_span_get_double, OF(sonde_span_get_double)(span, NULL, NULL))                          \
    X(sonde_span_get_str, OF(sonde_span_get_str)(span, NULL, NULL, 0))                             \
    X(sonde_span_id, OF(sonde_span_id)(span))                                                      \
    X(sonde_span_keep, OF(sonde_span_keep)(span))                                                  \
    X(sonde_span_keep_for, OF(sonde_span_keep_for)(span, (enum sonde_product)0))                   \
    X(sonde_span_leave, OF(sonde_span_leave)(span))                                                \
    X(sonde_span_record_exception, OF(sonde_span_record_exception)(span, NULL, NULL, NULL))        \
    X(sonde_span_remove, OF(sonde_span_remove)(span, NULL))                                        \
    X(sonde_span_remove_baggage, OF(sonde_span_remove_baggage)(span, NULL))                        \
    X(sonde_span_set_analytics, OF(sonde_span_set_analytics)(span, 0))                             \
    X(sonde_span_set_baggage, OF(sonde_span_set_baggage)(span, NULL, NULL))                        \
    X(sonde_span_set_baggage_n, OF(sonde_span_set_baggage_n)(span, NO_TEXT, NO_TEXT))              \
    X(sonde_span_set_bool, OF(sonde_span_set_bool)(span, NULL, 0))                                 \
    X(sonde_span_set_bool_n, OF(sonde_span_set_bool_n)(span, NO_TEXT, 0))                          \
    X(sonde_span_set_double, OF(sonde_span_set_double)(span, NULL, 0))                             \
    X(sonde_span_set_double_n, OF(sonde_span_set_double_n)(span, NO_TEXT, 0))                      \
    X(sonde_span_set_error, OF(sonde_span_set_error)(span, NULL))                                  \
    X(sonde_span_set_int, OF(sonde_span_set_int)(span, NULL, 0))                                   \
    X(sonde_span_set_int_n, OF(sonde_span_set_int_n)(span, NO_TEXT, 0))                            \
    X(sonde_span_set_kind, OF(sonde_span_set_kind)(span, (enum sonde_kind)0))                      \
    X(sonde_span_set_measured, OF(sonde_span_set_measured)(span, 0))                               \
    X(sonde_span_set_name, OF(sonde_span_set_name)(span, NULL))                                    \
    X(sonde_span_set_name_n, OF(sonde_span_set_name_n)(span, NO_TEXT))                             \
    X(sonde_span_set_resource, OF(sonde_span_set_resource)(span, NULL))                            \
    X(sonde_span_set_resource_n, OF(sonde_span_set_resource_n)(span, NO_TEXT))                     \
    X(sonde_span_set_service, OF(sonde_span_set_service)(span, NULL))                              \
    X(sonde_span_set_service_n, OF(sonde_span_set_service_n)(span, NO_TEXT))                       \
    X(sonde_span_set_str, OF(sonde_span_set_str)(span, NULL, NULL))                                \
    X(sonde_span_set_str_n, OF(sonde_span_set_str_n)(span, NO_TEXT, NO_TEXT))                      \
    X(sonde_span_set_struct, OF(sonde_span_set_struct)(span, NULL, NULL, 0))                       \
    X(sonde_span_set_type, OF(sonde_span_set_type)(span, NULL))                                    \
    X(sonde_span_set_type_n, OF(sonde_span_set_type_n)(span, NO_TEXT))                             \
    X(sonde_span_set_user, OF(sonde_span_set_user)(span, NULL))                                    \
    X(sonde_span_set_value, OF(sonde_span_set_value)(span, NULL, NO_VALUE))                        \
    X(sonde_span_start, sonde_span_finish(OF(sonde_span_start)(NULL, NULL)))                       \
    X(sonde_span_start_n, sonde_span_finish(OF(sonde_span_start_n)(NO_TEXT, NULL)))                \
    X(sonde_span_trace_id_hex, OF(sonde_span_trace_id_hex)(span, NULL))                            \
    X(sonde_span_trace_id_high, OF(sonde_span_trace_id_high)(span))                                \
    X(sonde_span_trace_id_low, OF(sonde_span_trace_id_low)(span))                                  \
    X(sonde_start, OF(sonde_start)(NULL))                                                          \
    X(sonde_statsd_count, OF(sonde_statsd_count)(client, NULL, 0, NULL))                           \
    X(sonde_statsd_counters_read, OF(sonde_statsd_counters_read)(client, NULL))                    \
    X(sonde_statsd_default, OF(sonde_statsd_default)())                                            \
    X(sonde_statsd_distribution, OF(sonde_statsd_distribution)(client, NULL, 0, NULL))             \
    X(sonde_statsd_drop_name, OF(sonde_statsd_drop_name)(UINT32_MAX))                              \
    X(sonde_statsd_flush, OF(sonde_statsd_flush)(client, 0))                                       \
    X(sonde_statsd_free, OF(sonde_statsd_free)(NULL))                                              \
    X(sonde_statsd_gauge, OF(sonde_statsd_gauge)(client, NULL, 0, NULL))                           \
    X(sonde_statsd_histogram, OF(sonde_statsd_histogram)(client, NULL, 0, NULL))                   \
    X(sonde_statsd_new, sonde_statsd_free(OF(sonde_statsd_new)(NULL)))                             \
    X(sonde_statsd_send, OF(sonde_statsd_send)(client, NULL))                                      \
    X(sonde_statsd_send_check, OF(sonde_statsd_send_check)(client, NULL))                          \
    X(sonde_statsd_send_event, OF(sonde_statsd_send_event)(client, NULL))                          \
    X(sonde_statsd_set, OF(sonde_statsd_set)(client, NULL, NULL, NULL))                            \
    X(sonde_statsd_timing, OF(sonde_statsd_timing)(client, NULL, 0, NULL))                         \
    X(sonde_status_name, OF(sonde_status_name)((sonde_status)0))                                   \
    X(sonde_status_str, OF(sonde_status_str)((sonde_status)0))                                     \
    X(sonde_stop, OF(sonde_stop)())                                                                \
    X(sonde_test_advance, OF(sonde_test_advance)(0))                                               \
    X(sonde_test_at, OF(sonde_test_at)(0))                                                         \
    X(sonde_test_clear, OF(sonde_test_clear)())                                                    \
    X(sonde_test_count, OF(sonde_test_count)())                                                    \
    X(sonde_test_expect_count, OF(sonde_test_expect_count)(0))                                     \
    X(sonde_test_expect_error, OF(sonde_test_expect_error)(NULL, NULL))                            \
    X(sonde_test_expect_parent, OF(sonde_test_expect_parent)(NULL, NULL))                          \
    X(sonde_test_expect_span, OF(sonde_test_expect_span)(NULL))                                    \
    X(sonde_test_expect_tag, OF(sonde_test_expect_tag)(NULL, NULL, NULL))                          \
    X(sonde_test_find, OF(sonde_test_find)(NULL))                                                  \
    X(sonde_test_parent_of, OF(sonde_test_parent_of)(NULL))                                        \
    X(sonde_test_start, OF(sonde_test_start)(NULL))                                                \
    X(sonde_test_stop, OF(sonde_test_stop)())                                                      \
    X(sonde_test_tag, OF(sonde_test_tag)(NULL, NULL))                                              \
    X(sonde_trace_profiler_started, OF(sonde_trace_profiler_started)(NULL))                        \
    X(sonde_version, OF(sonde_version)())                                                          \
    X(sonde_wait_for_agent, OF(sonde_wait_for_agent)(0))
/* clang-format on */

#define X(name, call)                                                                              \
    static void call_##name(void)                                                                  \
    {                                                                                              \
        (void)(call);                                                                              \
    }
CALLS(X)
#undef X

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {
#define X(name, call) { #name, call_##name },
    CALLS(X)
#undef X
};

/* -- the states they are called in ---------------------------------------------------------------- */

static void start(void)
{
    sonde_options o = { .agent_url = fake_agent_url(agent) };

    assert_status(sonde_start(&o), SONDE_OK);
}

/* A call may have started, stopped or replaced the tracer: the next one finds it as this one did. */
static void call_each(bool on, void (*before)(void), void (*after)(void))
{
    size_t i;

    for (i = 0; i < COUNT_OF(calls); i++) {
        before();
        calls[i].call();
        after();
        if (strncmp(calls[i].name, "sonde_test_st", 13) == 0)
            sonde_test_stop();
        if (!on)
            sonde_stop();
        else if (!sonde_enabled())
            start();
    }
}

static void no_handles(void)
{
    span = NULL;
    context = NULL;
    client = NULL;
}

static void live_handles(void)
{
    span = sonde_span_start("live", NULL);
    sonde_span_set_baggage(span, "k", "v");
    sonde_span_set_str(span, "k", "v");
    context = sonde_context_of_span(span);
    client = sonde_statsd_default();
}

static void end_handles(void)
{
    sonde_span_finish(span);
    sonde_context_release(context);
}

static void gone_handles(void)
{
    live_handles();
    end_handles();
    client = NULL;
}

static void leave_handles(void)
{
}

/* What was done to it has not broken the tracer. */
static void expect_that_it_still_works(void)
{
    fake_counts before = fake_agent_counts(agent);
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_span_finish(sonde_span_start("works", NULL));
    assert_status(sonde_flush(60000), SONDE_OK);
    assert_true(fake_agent_counts(agent).taken_spans > before.taken_spans);
    assert_int_equal(fake_agent_counts(agent).bad, 0);
    sonde_counters_read(&c);
    assert_int_equal(c.spans_started, c.spans_finished);
    assert_null(sonde_span_current());
}

/* -- tests ---------------------------------------------------------------------------------------- */

/* A line of exports.txt: neither a comment nor data. */
static bool is_function(const char *name)
{
    static const char *const data[] = { "otel_thread_ctx_v1", "sonde_on_" };
    size_t i;

    for (i = 0; i < COUNT_OF(data); i++)
        if (strcmp(name, data[i]) == 0)
            return false;
    return name[0] != '#' && name[0] != '\0';
}

static void test_every_exported_function_is_called(void **state)
{
    FILE *f = fopen(SONDE_EXPORTS, "r");
    char line[200];
    size_t i, functions = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        if (!is_function(line))
            continue;
        functions++;
        for (i = 0; i < COUNT_OF(calls) && strcmp(calls[i].name, line) != 0; i++)
            ;
        if (i == COUNT_OF(calls))
            fail_msg("%s is exported and not called here", line);
    }
    (void)fclose(f);
    assert_int_equal(functions, COUNT_OF(calls));
}

static void test_before_the_start_nothing_happens(void **state)
{
    (void)state;
    call_each(false, no_handles, leave_handles);
}

static void test_while_it_is_on_nothing_breaks(void **state)
{
    (void)state;
    start();
    call_each(true, no_handles, leave_handles);
    expect_that_it_still_works();
    call_each(true, live_handles, end_handles);
    expect_that_it_still_works();
    call_each(true, gone_handles, leave_handles);
    expect_that_it_still_works();
    sonde_stop();
}

/* Handles that were alive at the stop, too. */
static void test_after_the_stop_nothing_happens(void **state)
{
    (void)state;
    start();
    live_handles();
    sonde_stop();
    call_each(false, leave_handles, leave_handles);
    call_each(false, no_handles, leave_handles);
    call_each(false, gone_handles, leave_handles);
    start();
    expect_that_it_still_works();
    sonde_stop();
}

static void quiet(void *user, int32_t severity, const char *line, size_t len)
{
    (void)user, (void)severity, (void)line, (void)len;
}

static int open_agent(void **state)
{
    (void)state;
    agent = fake_agent_open(NULL);
    sonde_set_log(quiet, NULL);
    return setenv("DD_TRACE_AGENT_URL", fake_agent_url(agent), 1) == 0 &&
                   setenv("DD_TRACE_LOG_LEVEL", "off", 1) == 0 &&
                   setenv("DD_DOGSTATSD_URL", "udp://127.0.0.1:9", 1) == 0
               ? 0
               : -1;
}

static int close_agent(void **state)
{
    (void)state;
    fake_agent_close(agent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_exported_function_is_called),
        cmocka_unit_test(test_before_the_start_nothing_happens),
        cmocka_unit_test(test_while_it_is_on_nothing_breaks),
        cmocka_unit_test(test_after_the_stop_nothing_happens),
    };

    return cmocka_run_group_tests_name("nothing", tests, open_agent, close_agent);
}
