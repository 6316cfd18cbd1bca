/* test_folder.c - base/folder.h */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/folder.h"
#include "support/temp_dir.h"

static void test_every_part_of_a_path_is_made_for_its_owner(void **state)
{
    char dir[256], path[300];
    struct stat st;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/a/b", dir);
    assert_status(sonde_folder_make(path), SONDE_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 077, 0);
    assert_status(sonde_folder_make(path), SONDE_OK); /* there already */
    temp_dir_remove(dir);
}

static void test_what_cannot_be_made_is_told(void **state)
{
    char dir[256], path[300], longest[SONDE_FOLDER_MAX + 1];
    FILE *f;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    (void)snprintf(path, sizeof(path), "%s/file/below", dir);
    assert_status(sonde_folder_make(path), SONDE_ERR_SYS);
    assert_int_equal(errno, ENOTDIR);
    assert_status(sonde_folder_make(""), SONDE_ERR_CONFIG);
    memset(longest, 'x', SONDE_FOLDER_MAX);
    longest[SONDE_FOLDER_MAX] = '\0';
    assert_status(sonde_folder_make(longest), SONDE_ERR_CONFIG);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part_of_a_path_is_made_for_its_owner),
        cmocka_unit_test(test_what_cannot_be_made_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
