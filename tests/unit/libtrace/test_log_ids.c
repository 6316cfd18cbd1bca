/* test_log_ids.c - ids of spans as log lines carry them. */
#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sonde/sonde.h"

static void start_with(const char *name, const char *value)
{
    sonde_options o = { .service = "web",
                        .env = "prod",
                        .version = "1.2",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 2000 };

    if (name)
        assert_int_equal(setenv(name, value, 1), 0);
    assert_status(sonde_start(&o), SONDE_OK);
    if (name)
        assert_int_equal(unsetenv(name), 0);
}

static sonde_str header(void *user, sonde_str name)
{
    const char *const *h = (const char *const *)user;

    for (; *h; h += 2)
        if (strncasecmp(*h, name.ptr, name.len) == 0 && (*h)[name.len] == '\0')
            return (sonde_str){ h[1], strlen(h[1]) };
    return (sonde_str){ NULL, 0 };
}

static sonde_context *received(const char *traceparent)
{
    const char *headers[] = { "traceparent", traceparent, NULL };

    return sonde_extract(&(sonde_reader){ .get = header, .user = headers });
}

static void test_the_ids_are_those_of_the_active_span(void **state)
{
    static const struct {
        const char *label;
        const char *variable, *value;
        const char *traceparent;
        const char *trace_id;
    } rows[] = {
        { "128 bits", NULL, NULL, "00-67400000000000000000000000000001-0000000000000009-01",
          "67400000000000000000000000000001" },
        { "64 bits", NULL, NULL, "00-0000000000000000ffffffffffffffff-0000000000000009-01",
          "18446744073709551615" },
        { "128 bits unwanted", "DD_TRACE_128_BIT_TRACEID_LOGGING_ENABLED", "false",
          "00-67400000000000000000000000000001-0000000000000009-01", "1" },
    };
    sonde_log_ids ids;
    char span_id[24];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_context *from;

        start_with(rows[i].variable, rows[i].value);
        from = received(rows[i].traceparent);
        {
            SONDE_SPAN_WITH(span, rows[i].label, &(sonde_span_options){ .context = from });

            (void)snprintf(span_id, sizeof(span_id), "%" PRIu64, sonde_span_id(span));
            assert_int_equal(sonde_log_ids_current(&ids), 1);
            assert_string_equal(ids.trace_id, rows[i].trace_id);
            assert_string_equal(ids.span_id, span_id);
            memset(&ids, 0, sizeof(ids));
            assert_int_equal(sonde_log_ids_of_span(span, &ids), 1);
            assert_string_equal(ids.trace_id, rows[i].trace_id);
        }
        {
            SONDE_ATTACH(from);

            assert_int_equal(sonde_log_ids_current(&ids), 1);
            assert_string_equal(ids.span_id, "9");
        }
        sonde_context_release(from);
        sonde_stop();
    }
}

static void test_lines_have_all_fields(void **state)
{
    char text[SONDE_LOG_ROOM], want[SONDE_LOG_ROOM];
    sonde_log_ids ids;

    (void)state;
    start_with(NULL, NULL);
    assert_string_equal(sonde_log_text(text, sizeof(text)),
                        "dd.service=web dd.env=prod dd.version=1.2");
    assert_string_equal(sonde_log_json(text, sizeof(text)),
                        ",\"dd.service\":\"web\",\"dd.env\":\"prod\",\"dd.version\":\"1.2\"");
    {
        SONDE_SPAN(span, "line");

        assert_int_equal(sonde_log_ids_current(&ids), 1);
        (void)snprintf(want, sizeof(want),
                       "dd.service=web dd.env=prod dd.version=1.2 dd.trace_id=\"%s\" "
                       "dd.span_id=\"%s\"",
                       ids.trace_id, ids.span_id);
        assert_string_equal(sonde_log_text(text, sizeof(text)), want);
        (void)snprintf(want, sizeof(want),
                       ",\"dd.service\":\"web\",\"dd.env\":\"prod\",\"dd.version\":\"1.2\","
                       "\"dd.trace_id\":\"%s\",\"dd.span_id\":\"%s\"",
                       ids.trace_id, ids.span_id);
        assert_string_equal(sonde_log_json(text, sizeof(text)), want);
        (void)snprintf(want, sizeof(want), SONDE_LOG_IDS_FMT, SONDE_LOG_IDS_ARG(ids));
        assert_non_null(strstr(want, ids.trace_id));
    }
    sonde_stop();
}

static void test_fields_that_do_not_fit_are_left_out_whole(void **state)
{
    char text[64];
    size_t bytes;

    (void)state;
    start_with(NULL, NULL);
    assert_string_equal(sonde_log_text(NULL, 9), "");
    assert_string_equal(sonde_log_text(text, 0), "");
    for (bytes = 1; bytes < sizeof(text); bytes++) {
        memset(text, 'x', sizeof(text));
        (void)sonde_log_text(text, bytes);
        assert_string_equal(text, bytes > 41   ? "dd.service=web dd.env=prod dd.version=1.2"
                                  : bytes > 26 ? "dd.service=web dd.env=prod"
                                  : bytes > 14 ? "dd.service=web"
                                  : bytes > 11 ? "dd.env=prod"
                                               : "");
        assert_int_equal(text[bytes], 'x');
    }
    sonde_stop();
}

static void test_a_value_cannot_end_the_line_or_the_text(void **state)
{
    sonde_options o = { .service = "a\"b\\\n",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 2000 };
    char text[SONDE_LOG_ROOM];

    (void)state;
    assert_status(sonde_start(&o), SONDE_OK);
    assert_string_equal(sonde_log_text(text, sizeof(text)), "dd.service=a\"b\\_");
    assert_string_equal(sonde_log_json(text, sizeof(text)),
                        ",\"dd.service\":\"a\\u0022b\\u005c\\u000a\"");
    sonde_stop();
}

static void test_nothing_is_written_when_it_is_not_wanted(void **state)
{
    static const char *const rows[][2] = { { "DD_LOGS_INJECTION", "false" },
                                           { "DD_TRACE_ENABLED", "false" } };
    char text[SONDE_LOG_ROOM];
    sonde_log_ids ids;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        start_with(rows[i][0], rows[i][1]);
        {
            SONDE_SPAN(span, "unwanted");

            memset(&ids, 'x', sizeof(ids));
            assert_int_equal(sonde_log_ids_current(&ids), 0);
            assert_string_equal(ids.trace_id, "");
            assert_string_equal(ids.span_id, "");
            assert_int_equal(sonde_log_ids_of_span(span, &ids), 0);
            assert_string_equal(sonde_log_text(text, sizeof(text)), "");
        }
        sonde_stop();
    }
    assert_int_equal(sonde_log_ids_current(&ids), 0); /* stopped */
    assert_string_equal(sonde_log_json(text, sizeof(text)), "");
    assert_int_equal(sonde_log_ids_current(NULL), 0);
    assert_int_equal(sonde_log_ids_of_span(NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ids_are_those_of_the_active_span),
        cmocka_unit_test(test_lines_have_all_fields),
        cmocka_unit_test(test_fields_that_do_not_fit_are_left_out_whole),
        cmocka_unit_test(test_a_value_cannot_end_the_line_or_the_text),
        cmocka_unit_test(test_nothing_is_written_when_it_is_not_wanted),
    };

    (void)setenv("DD_TRACE_SEND_RETRIES", "0", 1); /* nobody listens */
    return cmocka_run_group_tests_name("log_ids", tests, NULL, NULL);
}
