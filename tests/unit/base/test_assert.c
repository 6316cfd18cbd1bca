/* test_assert.c - base/assert.h */
#include "support/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

static void test_failed_assertion_aborts_and_names_the_place(void **state)
{
    char text[256] = "";
    int pipe_fds[2], status = 0;
    ssize_t len;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        sonde_assert_failed("len <= cap", "buf.c", 42);
    }
    (void)close(pipe_fds[1]);
    len = read(pipe_fds[0], text, sizeof(text) - 1);
    (void)close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(len > 0);
    assert_string_equal(text, "buf.c:42: assertion failed: len <= cap\n");
}

static int checked(int value)
{
    SONDE_CHECK(value > 0, return -1);
    return value;
}

static void test_failed_check_counts_and_takes_the_fallback(void **state)
{
    uint64_t before = sonde_internal_errors();

    (void)state;
    sonde_log_set_level(SONDE_LOG_OFF);
    assert_int_equal(checked(3), 3);
    assert_int_equal(sonde_internal_errors(), before);
    assert_int_equal(checked(0), -1);
    assert_int_equal(sonde_internal_errors(), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_assertion_aborts_and_names_the_place),
        cmocka_unit_test(test_failed_check_counts_and_takes_the_fallback),
    };

    return cmocka_run_group_tests_name("assert", tests, NULL, NULL);
}
