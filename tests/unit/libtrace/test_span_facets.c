/* test_span_facets.c - arrays of tags, reading back, kinds, errors; through the API alone. */
#include "support/test.h"

#include <string.h>

#include "sonde/sonde.h"

static void assert_tag(const sonde_span *span, const char *key, const char *want)
{
    char text[64];
    int64_t len = sonde_span_get_str(span, key, text, sizeof(text));

    if (!want) {
        assert_int_equal(len, -1);
        assert_string_equal(text, "");
        return;
    }
    assert_int_equal(len, strlen(want));
    assert_string_equal(text, want);
}

static uint64_t tags_dropped(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c.tags_dropped;
}

static void test_arrays_become_numbered_tags_of_their_types(void **state)
{
    const sonde_value inner[] = { sonde_value_str("x"), sonde_value_double(0.5) };
    const sonde_value list[] = { sonde_value_str("a"), sonde_value_int(-7), sonde_value_bool(1),
                                 sonde_value_array(inner, 2), sonde_value_str(NULL) };
    sonde_value deep[10];
    double number = 0;
    uint64_t before;
    int i;
    SONDE_SPAN(s, "arrays");

    (void)state;
    sonde_span_set_value(s, "l", sonde_value_array(list, 5));
    assert_tag(s, "l", NULL);
    assert_tag(s, "l.0", "a");
    assert_int_equal(sonde_span_get_double(s, "l.1", &number), 1);
    assert_true(number == -7);
    assert_tag(s, "l.2", "true");
    assert_tag(s, "l.3.0", "x");
    assert_tag(s, "l.3.1", "0.5");
    assert_tag(s, "l.4", NULL);
    sonde_span_set_value(s, "none", sonde_value_array(list, 0));
    assert_tag(s, "none.0", NULL);
    sonde_span_set_value(s, "one", sonde_value_int(3));
    assert_tag(s, "one", "3");
    before = tags_dropped();
    for (i = 0; i < 10; i++)
        deep[i] = i ? sonde_value_array(&deep[i - 1], 1) : sonde_value_int(1);
    sonde_span_set_value(s, "eight", deep[8]);
    assert_tag(s, "eight.0.0.0.0.0.0.0.0", "1");
    assert_int_equal(tags_dropped(), before);
    sonde_span_set_value(s, "nine", deep[9]);
    assert_int_equal(tags_dropped(), before + 1);
}

static void test_a_key_without_room_for_its_number_is_counted(void **state)
{
    static char key[201];
    const sonde_value list[] = { sonde_value_int(1), sonde_value_int(2) };
    uint64_t before = tags_dropped();
    SONDE_SPAN(s, "long key");

    (void)state;
    memset(key, 'k', 199);
    sonde_span_set_value(s, key, sonde_value_array(list, 2));
    assert_int_equal(tags_dropped(), before + 2);
    key[198] = '\0';
    sonde_span_set_value(s, key, sonde_value_array(list, 2));
    assert_int_equal(tags_dropped(), before + 2);
}

static void test_what_was_set_last_is_read_back(void **state)
{
    static char text[600], back[600];
    double number;
    size_t i;
    SONDE_SPAN(s, "read");

    (void)state;
    for (i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('a' + i % 26);
    sonde_span_set_str(s, "k", "first");
    sonde_span_set_int(s, "k", 5);
    assert_tag(s, "k", "5");
    sonde_span_set_str(s, "long", text);
    sonde_span_set_str(s, "k", "");
    assert_tag(s, "k", "");
    assert_int_equal(sonde_span_get_double(s, "k", &number), 0);
    sonde_span_remove(s, "k");
    assert_tag(s, "k", NULL);
    for (i = 1; i <= sizeof(back); i++) {
        memset(back, '#', sizeof(back));
        assert_int_equal(sonde_span_get_str(s, "long", back, i), 599);
        assert_int_equal(strlen(back), i - 1);
        assert_memory_equal(back, text, i - 1);
    }
    assert_int_equal(sonde_span_get_str(s, "long", NULL, 0), 599);
    sonde_span_set_str(s, "umlaut", "a\xc3\xa4");
    assert_int_equal(sonde_span_get_str(s, "umlaut", back, 3), 3);
    assert_string_equal(back, "a"); /* not half a character */
}

static void test_facets_are_their_tags(void **state)
{
    SONDE_SPAN_FUNC(s);

    (void)state;
    sonde_span_set_kind(s, SONDE_KIND_CONSUMER);
    assert_tag(s, "span.kind", "consumer");
    sonde_span_set_kind(s, SONDE_KIND_SERVER);
    sonde_span_set_kind(s, (enum sonde_kind)0);
    sonde_span_set_kind(s, (enum sonde_kind)6);
    assert_tag(s, "span.kind", "server");
    sonde_span_set_measured(s, 1);
    assert_tag(s, "_dd.measured", "1");
    sonde_span_set_measured(s, 0);
    assert_tag(s, "_dd.measured", NULL);
    sonde_span_set_analytics(s, 0.25);
    sonde_span_set_analytics(s, 1.5);
    sonde_span_set_analytics(s, -1);
    assert_tag(s, "_dd1.sr.eausr", "0.25");
}

static void test_an_error_has_a_type_a_message_and_a_stack(void **state)
{
    char stack[64];
    SONDE_SPAN(s, "error");

    (void)state;
    sonde_span_set_error(s, &(sonde_failure){ .type = "E", .message = "m", .stack = "frames" });
    assert_tag(s, "error.type", "E");
    assert_tag(s, "error.message", "m");
    assert_tag(s, "error.stack", "frames");
    sonde_span_clear_error(s);
    assert_tag(s, "error.stack", NULL);
    sonde_span_set_error(s, &(sonde_failure){ .struct_bytes = offsetof(sonde_failure, message),
                                              .type = "older",
                                              .message = "not there yet" });
    assert_tag(s, "error.type", "older");
    assert_tag(s, "error.message", NULL);
    sonde_span_set_error(s, &(sonde_failure){ .capture_stack = 1 });
    if (sonde_span_get_str(s, "error.stack", stack, sizeof(stack)) > 0) /* libunwind is installed */
        assert_memory_equal(stack, "#0 0x", 5);
}

static void test_null_and_finished_spans_have_nothing(void **state)
{
    sonde_span *finished = sonde_span_start("finished", NULL);
    sonde_span *spans[2] = { NULL, finished };
    double number = 7;
    char text[8];
    int i;

    (void)state;
    sonde_span_set_str(finished, "k", "v");
    sonde_span_finish(finished);
    for (i = 0; i < 2; i++) {
        sonde_span_set_value(spans[i], "k", sonde_value_int(1));
        sonde_span_set_kind(spans[i], SONDE_KIND_CLIENT);
        sonde_span_set_measured(spans[i], 1);
        sonde_span_set_analytics(spans[i], 1);
        sonde_span_set_error(spans[i], &(sonde_failure){ .capture_stack = 1 });
        assert_int_equal(sonde_span_get_str(spans[i], "k", text, sizeof(text)), -1);
        assert_int_equal(sonde_span_get_double(spans[i], "k", &number), 0);
        assert_true(number == 7);
    }
    {
        SONDE_SPAN(s, "null");

        sonde_span_set_error(s, NULL);
        sonde_span_set_value(s, NULL, sonde_value_int(1));
        sonde_span_set_value(s, "", sonde_value_int(1));
        assert_int_equal(sonde_span_get_str(s, NULL, text, sizeof(text)), -1);
        assert_int_equal(sonde_span_get_double(s, "k", NULL), 0);
    }
}

static int start(void **state)
{
    sonde_options o = { .service = "unit",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 2000 };

    (void)state;
    return sonde_start(&o) == SONDE_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sonde_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_become_numbered_tags_of_their_types),
        cmocka_unit_test(test_a_key_without_room_for_its_number_is_counted),
        cmocka_unit_test(test_what_was_set_last_is_read_back),
        cmocka_unit_test(test_facets_are_their_tags),
        cmocka_unit_test(test_an_error_has_a_type_a_message_and_a_stack),
        cmocka_unit_test(test_null_and_finished_spans_have_nothing),
    };

    return cmocka_run_group_tests_name("span_facets", tests, start, stop);
}
