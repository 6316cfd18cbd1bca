/* test_log_ring.c - the last lines of the log, whole ones only. */
#include "agent/ops/log_ring.h"

#include <string.h>

#include "base/log.h"
#include "support/test.h"

static void quiet(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
}

static void test_the_last_lines_are_kept_whole(void **state)
{
    sonde_buf text;
    sonde_str all;

    (void)state;
    sonde_log_set_sink(quiet, NULL);
    log_ring_start();
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "the first one");
    sonde_buf_init(&text, 1 << 20);
    log_ring_write(&text);
    assert_non_null(strstr(sonde_buf_cstr(&text), "the first one\n"));
    for (int i = 0; i < 5000; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "line %d of many", i);
    sonde_buf_reset(&text);
    log_ring_write(&text);
    assert_true(text.len <= LOG_RING_BYTES && text.len > LOG_RING_BYTES - 200);
    assert_null(strstr(sonde_buf_cstr(&text), "the first one"));
    assert_non_null(strstr(sonde_buf_cstr(&text), "line 4999 of many\n"));
    all = sonde_buf_str(&text);
    while (all.len) {
        sonde_str line = sonde_str_cut(&all, '\n');

        if (!sonde_str_ends(line, SONDE_STR(" of many")) || line.len < 20)
            fail_msg("a broken line: %.*s", SONDE_STR_ARG(line));
    }
    log_ring_stop();
    sonde_buf_reset(&text);
    log_ring_write(&text);
    assert_int_equal(text.len, 0);
    sonde_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_the_last_lines_are_kept_whole) };

    return cmocka_run_group_tests_name("agent/ops/log_ring", tests, NULL, NULL);
}
