/* test_log_file.c - the log in a file: rolled at its size, bounded on disk, opened anew. */
#include "agent/cli/log_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/log.h"
#include "support/temp_dir.h"
#include "support/test.h"

#define MAX_BYTES 4096L

static char folder[2048];

/* Size of path.n (path itself for 0); -1: there is none. */
static long size_of(const char *path, unsigned n)
{
    char name[4200];
    struct stat st;

    (void)snprintf(name, sizeof(name), n ? "%s.%u" : "%s", path, n);
    return stat(name, &st) == 0 ? (long)st.st_size : -1;
}

static void use(const char *path, unsigned rolls)
{
    sonde_error error = { 0 };

    if (log_file_use(sonde_str_from(path), MAX_BYTES, rolls, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    sonde_log_set_sink(log_file_write, NULL);
}

static void write_lines(unsigned len)
{
    unsigned i;

    for (i = 0; i < len; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "line %u of a test, long enough to fill a file soon", i);
}

static void test_a_full_file_is_renamed_and_so_many_are_kept(void **state)
{
    char path[4096];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    use(path, 2);
    write_lines(1);
    assert_true(size_of(path, 0) > 0 && size_of(path, 1) == -1);
    write_lines(500); /* some 50 KiB */
    assert_true(size_of(path, 0) >= 0 && size_of(path, 0) <= MAX_BYTES);
    assert_true(size_of(path, 1) > MAX_BYTES && size_of(path, 1) < MAX_BYTES + 1024);
    assert_true(size_of(path, 2) > MAX_BYTES && size_of(path, 2) < MAX_BYTES + 1024);
    assert_int_equal(size_of(path, 3), -1);
    sonde_log_set_sink(NULL, NULL);
}

static void test_without_rolls_it_grows_and_a_renamed_one_is_opened_anew(void **state)
{
    char path[4096], aside[4096];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)snprintf(aside, sizeof(aside), "%s/aside", folder);
    use(path, 0);
    write_lines(200);
    assert_true(size_of(path, 0) > 2L * MAX_BYTES);
    assert_int_equal(size_of(path, 1), -1);
    assert_int_equal(rename(path, aside), 0);
    use(path, 0);
    write_lines(1);
    assert_true(size_of(path, 0) > 0 && size_of(path, 0) < 1024);
    sonde_log_set_sink(NULL, NULL);
}

static void test_a_file_that_cannot_be_opened_leaves_the_one_before(void **state)
{
    sonde_error error = { 0 };
    char path[4096];
    long before;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    use(path, 1);
    assert_int_equal(log_file_use(SONDE_STR("/no/such/folder/log"), MAX_BYTES, 1, &error),
                     SONDE_ERR_SYS);
    assert_non_null(strstr(error.message, "/no/such/folder/log"));
    before = size_of(path, 0);
    write_lines(1);
    assert_true(size_of(path, 0) > before);
    sonde_log_set_sink(NULL, NULL);
}

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder, sizeof(folder));
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_full_file_is_renamed_and_so_many_are_kept,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_without_rolls_it_grows_and_a_renamed_one_is_opened_anew, make_folder,
            remove_folder),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_opened_leaves_the_one_before,
                                        make_folder, remove_folder),
    };

    return cmocka_run_group_tests_name("log_file", tests, NULL, NULL);
}
