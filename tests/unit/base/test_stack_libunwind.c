/* test_stack_libunwind.c - the form of a stack; skipped where libunwind is not installed. */
#include "support/test.h"

#include <string.h>

#include "base/stack_libunwind.h"

static void test_frames_are_numbered_lines_with_addresses_and_modules(void **state)
{
    char text[8192];
    size_t len = sonde_stack_text(text, sizeof(text));

    (void)state;
    if (len == 0)
        skip();
    assert_memory_equal(text, "#0 0x", 5);
    assert_int_equal(text[len - 1], '\n');
    text[len - 1] = '\0';
    assert_non_null(strstr(text, "\n#1 0x"));
    assert_non_null(strstr(text, "(test_base_stack_libunwind+0x"));
    assert_non_null(strstr(text, "__libc_start_main"));
}

static void test_a_small_buffer_holds_whole_lines_only(void **state)
{
    char text[8192];
    size_t whole = sonde_stack_text(text, sizeof(text));
    size_t bytes;

    (void)state;
    if (whole == 0)
        skip();
    for (bytes = 0; bytes < 300; bytes++) {
        size_t len;

        memset(text, 'x', sizeof(text));
        len = sonde_stack_text(text, bytes);
        assert_true(len <= bytes);
        assert_true(len == 0 || text[len - 1] == '\n');
        assert_int_equal(text[bytes], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_are_numbered_lines_with_addresses_and_modules),
        cmocka_unit_test(test_a_small_buffer_holds_whole_lines_only),
    };

    return cmocka_run_group_tests_name("stack_libunwind", tests, NULL, NULL);
}
