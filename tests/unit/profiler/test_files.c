/* Descriptors of a thread of ours: not among the program's, nor the program's among its own. */
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include <sys/resource.h>
#include <unistd.h>

#include "profiler/src/files.h"
#include "profiler/src/slot.h"

static int in_pipe[2], in_fd = -1;
static bool has_own, has_pipe;

static void *be_ours(void *arg)
{
    sonde_prof__files_own();
    has_own = sonde_prof__self.own_files;
    has_pipe = fcntl(in_pipe[1], F_GETFD) >= 0;
    in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sonde_prof__files_log(NULL, SONDE_LOG_WARN, "it works", 8);
    return arg;
}

/* With standard error in a pipe. */
static void run_thread(char *out, size_t cap)
{
    int before = dup(STDERR_FILENO);
    pthread_t thread;
    ssize_t n;

    assert_int_equal(pipe(in_pipe), 0);
    assert_true(dup2(in_pipe[1], STDERR_FILENO) >= 0);
    sonde_prof__files_look();
    assert_int_equal(pthread_create(&thread, NULL, be_ours, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    (void)close(in_pipe[1]);
    n = read(in_pipe[0], out, cap - 1); /* it ends: nobody else holds the other side */
    out[n > 0 ? n : 0] = '\0';
    (void)close(in_pipe[0]);
}

static int lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)close(fd);
    return fd;
}

static void test_a_thread_of_ours_has_its_own_table(void **state)
{
    int before = lowest_free();
    char said[64];

    (void)state;
    run_thread(said, sizeof(said));
    assert_string_equal(said, "it works\n");
    if (!has_own)
        skip(); /* an old kernel, or a filter: the common table, and the rest holds */
    assert_false(has_pipe);
    assert_int_equal(in_fd, 0);
    assert_int_equal(lowest_free(), before); /* ours are where they were */
}

static void *be_ours_alone(void *arg)
{
    sonde_prof__files_own();
    has_own = sonde_prof__self.own_files;
    return arg;
}

/* A program may use all of them up before a thread of ours has its first turn. */
static void test_it_has_one_where_the_program_has_none_left(void **state)
{
    struct rlimit before, none;
    pthread_t thread;
    bool had_own = has_own; /* in the test before */
    int created;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    has_own = false;
    sonde_prof__files_look(); /* it was made before */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    created = pthread_create(&thread, NULL, be_ours_alone, NULL);
    if (created == 0)
        (void)pthread_join(thread, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(created, 0);
    assert_int_equal(has_own, had_own);
}

static bool sees_file, second_has_own;

static void *be_second(void *arg)
{
    sonde_prof__files_own();
    second_has_own = sonde_prof__self.own_files;
    sees_file = fcntl(in_fd, F_GETFD) >= 0;
    return arg;
}

static void *make_second(void *arg)
{
    struct rlimit before, none;
    pthread_t thread;

    sonde_prof__files_own();
    has_own = sonde_prof__self.own_files;
    in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    (void)setrlimit(RLIMIT_NOFILE, &none);
    sonde_prof__files_look(); /* in vain */
    (void)setrlimit(RLIMIT_NOFILE, &before);
    if (pthread_create(&thread, NULL, be_second, NULL) == 0)
        (void)pthread_join(thread, NULL);
    (void)close(in_fd);
    return arg;
}

/* What a filter might forbid is not tried; yet it is no table of the program's. */
static void test_one_made_by_ours_shares_its_table_when_in_doubt(void **state)
{
    pthread_t thread;

    (void)state;
    sonde_prof__files_look();
    assert_int_equal(pthread_create(&thread, NULL, make_second, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(second_has_own, has_own);
    assert_true(sees_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_of_ours_has_its_own_table),
        cmocka_unit_test(test_one_made_by_ours_shares_its_table_when_in_doubt),
        cmocka_unit_test(test_it_has_one_where_the_program_has_none_left),
    };

    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
