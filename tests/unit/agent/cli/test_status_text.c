/* The status document as text: headings, names, what is left out, damage. */
#include "support/test.h"

#include "agent/cli/status_text.h"
#include "support/alloc_fail.h"

static void test_rooms_become_headings_and_values_lines(void **state)
{
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, 4096);
    assert_status(
        status_text_write(
            SONDE_STR("{\"agent\":{\"version\":\"1\",\"local_mode\":true,\"file\":null},"
                      "\"trace_writer\":{\"spans_in\":7,\"spans_dropped\":{\"no_memory\":0,"
                      "\"refused\":3}},\"forwarder\":[{\"url\":\"http://x\"}]}\n"),
            &out),
        SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&out), "agent\n"
                                              "  version                            1\n"
                                              "  local mode                         yes\n"
                                              "  file                               none\n"
                                              "\n"
                                              "trace writer\n"
                                              "  spans in                           7\n"
                                              "  spans dropped refused              3\n"
                                              "\n"
                                              "forwarder\n"
                                              "  url                                http://x\n");
    sonde_buf_done(&out);
}

static void test_anything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "[]", "7", "{", "{\"a\":}", "{\"a\":1} x", "{\"a\":{\"b\":[1,}}"
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(bad); i++) {
        sonde_buf out;

        sonde_buf_init(&out, 4096);
        if (status_text_write(sonde_str_from(bad[i]), &out) != SONDE_ERR_SYNTAX)
            fail_msg("taken: %s", bad[i]);
        sonde_buf_done(&out);
    }
}

static void test_very_long_names_are_left_out_not_overrun(void **state)
{
    sonde_buf json, out;
    int i;

    (void)state;
    sonde_buf_init(&json, 1 << 16);
    sonde_buf_init(&out, 1 << 16);
    sonde_buf_printf(&json, "{\"room\":{\"");
    for (i = 0; i < 5000; i++)
        sonde_buf_append_byte(&json, 'n');
    sonde_buf_printf(&json, "\":1}}");
    assert_status(status_text_write(sonde_buf_str(&json), &out), SONDE_OK);
    sonde_buf_done(&json);
    sonde_buf_done(&out);
}

static sonde_status write_one(void *user)
{
    sonde_buf out;
    sonde_status status;

    (void)user;
    sonde_buf_init(&out, 4096);
    status = status_text_write(SONDE_STR("{\"agent\":{\"a\\u0041\":\"\\n\"}}"), &out);
    sonde_buf_done(&out);
    return status == SONDE_ERR_SYNTAX ? SONDE_ERR_NOMEM
                                      : status; /* the reader had no memory for the escapes */
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    alloc_fail_each(write_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rooms_become_headings_and_values_lines),
        cmocka_unit_test(test_anything_else_is_refused),
        cmocka_unit_test(test_very_long_names_are_left_out_not_overrun),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("status_text", tests, NULL, NULL);
}
