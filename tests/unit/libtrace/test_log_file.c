/* test_log_file.c - log lines in a file of our own. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/log.h"
#include "libtrace/src/log_file.h"
#include "sonde/sonde.h"
#include "support/temp_dir.h"

static char dir[200];

static size_t read_log(char *out, size_t cap)
{
    char path[300];
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/sonde-%ld.log", dir, (long)getpid());
    file = fopen(path, "r");
    out[0] = '\0';
    if (!file)
        return 0;
    len = fread(out, 1, cap - 1, file);
    out[len] = '\0';
    (void)fclose(file);
    return len;
}

static void test_lines_go_to_a_file_in_an_existing_folder(void **state)
{
    char text[16384];

    (void)state;
    assert_int_equal(setenv("DD_TRACE_LOG_DIRECTORY", dir, 1), 0);
    assert_status(sonde_start(NULL), SONDE_OK);
    sonde_stop();
    assert_true(read_log(text, sizeof(text)) > 0);
    assert_non_null(strstr(text, " info sonde: DATADOG TRACER CONFIGURATION - {"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static int called;

static void count_lines(void *user, int32_t severity, const char *line, size_t len)
{
    (void)user, (void)severity, (void)line, (void)len;
    called++;
}

static void test_the_programs_callback_wins(void **state)
{
    char text[16384];
    size_t before = read_log(text, sizeof(text));

    (void)state;
    sonde_set_log(count_lines, NULL);
    assert_status(sonde_start(NULL), SONDE_OK);
    sonde_stop();
    sonde_set_log(NULL, NULL);
    assert_int_equal(called, 1);
    assert_int_equal(read_log(text, sizeof(text)), before);
}

static void test_a_folder_that_is_not_there_is_an_error(void **state)
{
    char missing[300];

    (void)state;
    (void)snprintf(missing, sizeof(missing), "%s/missing", dir);
    assert_status(sonde__log_file_open(sonde_str_from(missing)), SONDE_ERR_SYS);
    memset(missing, 'x', sizeof(missing) - 1);
    missing[sizeof(missing) - 1] = '\0';
    assert_status(sonde__log_file_open(sonde_str_from(missing)), SONDE_ERR_SYS);
}

static void test_a_file_has_a_ceiling(void **state)
{
    static char big[1u << 20];
    char path[300];
    long size;
    FILE *file;
    int i;

    (void)state;
    memset(big, 'x', sizeof(big));
    assert_status(sonde__log_file_open(sonde_str_from(dir)), SONDE_OK);
    sonde_log_set_level(SONDE_LOG_INFO);
    for (i = 0; i < 80; i++)
        sonde_log_long(SONDE_LOG_INFO, (sonde_str){ big, sizeof(big) });
    sonde__log_file_close();
    (void)snprintf(path, sizeof(path), "%s/sonde-%ld.log", dir, (long)getpid());
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    (void)fclose(file);
    assert_in_range(size, SONDE__LOG_FILE_MAX_BYTES - (2u << 20),
                    SONDE__LOG_FILE_MAX_BYTES + (1u << 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_go_to_a_file_in_an_existing_folder),
        cmocka_unit_test(test_the_programs_callback_wins),
        cmocka_unit_test(test_a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(test_a_file_has_a_ceiling),
    };
    int failed;

    (void)setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "0",
                 1);                                         /* no thread that misses the agent, */
    (void)setenv("DD_REMOTE_CONFIGURATION_ENABLED", "0", 1); /* and says so */
    temp_dir_make(dir, sizeof(dir));
    failed = cmocka_run_group_tests_name("log_file", tests, NULL, NULL);
    temp_dir_remove(dir);
    return failed;
}
