/* test_fork.c - base/fork.h */
#include "support/test.h"

#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"

static char trail[16]; /* one letter per hook that ran */

static void leave(char mark)
{
    size_t len = strlen(trail);

    if (len < sizeof(trail) - 1)
        trail[len] = mark;
}

static void low_pre(void)
{
    leave('l');
}
static void high_pre(void)
{
    leave('h');
}
static void low_parent(void)
{
    leave('L');
}
static void high_parent(void)
{
    leave('H');
}
static void low_child(void)
{
    leave('1');
}
static void high_child(void)
{
    leave('9');
}

static const sonde_fork_hooks high = { 90, high_pre, high_parent, high_child };
static const sonde_fork_hooks low = { 10, low_pre, low_parent, low_child };
static const sonde_fork_hooks empty = { .rank = 50 };

static void test_fork_runs_hooks_by_rank_up_before_and_down_after(void **state)
{
    char in_child[sizeof(trail)] = "";
    int pipe_fds[2], status = -1;
    pid_t pid;

    (void)state;
    assert_status(sonde_fork_register(&high), SONDE_OK);
    assert_status(sonde_fork_register(&low), SONDE_OK);
    assert_status(sonde_fork_register(&empty), SONDE_OK);
    assert_int_equal(pipe(pipe_fds), 0);

    pid = fork();
    if (pid == 0)
        _exit(write(pipe_fds[1], trail, sizeof(trail)) == sizeof(trail) ? 0 : 1);
    assert_int_equal(read(pipe_fds[0], in_child, sizeof(in_child)), sizeof(in_child));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);

    assert_int_equal(status, 0);
    assert_string_equal(trail, "lhHL");
    assert_string_equal(in_child, "lh91");
}

static void test_fork_register_works_in_a_child(void **state)
{
    int status = -1;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(sonde_fork_register(&empty) == SONDE_OK ? 0
                                                      : 1); /* would hang on an inherited lock */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_fork_register_refuses_beyond_its_ceiling(void **state)
{
    int left = SONDE_FORK_HOOKS_MAX - 3; /* the first test registered three */

    (void)state;
    while (left-- > 0)
        assert_status(sonde_fork_register(&empty), SONDE_OK);
    assert_status(sonde_fork_register(&empty), SONDE_ERR_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_runs_hooks_by_rank_up_before_and_down_after),
        cmocka_unit_test(test_fork_register_works_in_a_child),
        cmocka_unit_test(test_fork_register_refuses_beyond_its_ceiling),
    };

    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
