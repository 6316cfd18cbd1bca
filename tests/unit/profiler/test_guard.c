/* A program that crashed young is profiled less the next time, and who was killed is not taken for one that crashed. */
#include "support/test.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "profiler/src/guard.h"
#include "support/temp_dir.h"

#define YOUNG_NS (SONDE_PROF__GUARD_YOUNG_S * (uint64_t)SONDE_NS_PER_S)

static char folder[256];
static sonde_prof__config web, shop;

static void say_nothing(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
}

static int set_up(void **state)
{
    (void)state;
    web = (sonde_prof__config){ .crash_guard = SONDE_PROF__ON,
                                .exe = SONDE_STR("/nowhere/test_guard"),
                                .service = SONDE_STR("web") };
    shop = web;
    shop.service = SONDE_STR("shop");
    temp_dir_make(folder, sizeof(folder));
    sonde_log_set_sink(say_nothing, NULL);
    return setenv("XDG_RUNTIME_DIR", folder, 1);
}

static int tear_down(void **state)
{
    (void)state;
    sonde_prof__guard_end();
    temp_dir_remove(folder);
    return 0;
}

static siginfo_t fault(void)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = SIGSEGV;
    info.si_code = SEGV_MAPERR;
    return info;
}

/* The file of `web`, "" for none, and what it says. */
static char mark(char out_path[512])
{
    char pattern[300], digit = 0;
    glob_t found;
    int fd;

    (void)snprintf(pattern, sizeof(pattern), "%s/sonde-crash-*", folder);
    out_path[0] = 0;
    if (glob(pattern, 0, NULL, &found) == 0) {
        assert_int_equal(found.gl_pathc, 1);
        (void)snprintf(out_path, 512, "%s", found.gl_pathv[0]);
        fd = open(out_path, O_RDONLY);
        assert_int_equal(read(fd, &digit, 1), 1);
        (void)close(fd);
    }
    globfree(&found);
    return digit;
}

static char mark_now(void)
{
    char path[512];

    return mark(path);
}

/* One life that crashes at once; what it was allowed. */
static sonde_prof__allowed crash(const sonde_prof__config *c)
{
    sonde_prof__allowed allowed = sonde_prof__guard_begin(c, sonde_mono_ns());
    siginfo_t info = fault();

    sonde_prof__guard_crashed(&info);
    return allowed;
}

static sonde_prof__allowed look(const sonde_prof__config *c)
{
    return sonde_prof__guard_begin(c, sonde_mono_ns());
}

static void age(int64_t seconds)
{
    struct timespec times[2] = { { 0, UTIME_OMIT }, { 0, 0 } };
    char path[512];

    (void)mark(path);
    times[1].tv_sec = time(NULL) - seconds;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void after_one_crash_cpu_only_after_two_nothing_for_an_hour(void **state)
{
    (void)state;
    assert_int_equal(crash(&web), SONDE_PROF__ALLOW_ALL);
    assert_int_equal(mark_now(), '1');
    assert_int_equal(look(&shop), SONDE_PROF__ALLOW_ALL); /* another service */
    assert_int_equal(crash(&web), SONDE_PROF__ALLOW_CPU);
    assert_int_equal(mark_now(), '2');
    assert_int_equal(crash(&web), SONDE_PROF__ALLOW_NOTHING); /* of its own accord: not ours */
    age(3500);
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_NOTHING);
    age(3601);
    assert_int_equal(crash(&web), SONDE_PROF__ALLOW_CPU);
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_NOTHING); /* the hour begins anew */
    age(-600);                                               /* the clock was put back */
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_CPU);
}

static void ten_seconds_of_life_or_an_orderly_exit_clear_it(void **state)
{
    uint64_t now = sonde_mono_ns();

    (void)state;
    (void)crash(&web);
    assert_int_equal(sonde_prof__guard_begin(&web, now), SONDE_PROF__ALLOW_CPU);
    sonde_prof__guard_look(now + YOUNG_NS - 1);
    assert_int_equal(mark_now(), '1');
    sonde_prof__guard_look(now + YOUNG_NS);
    assert_int_equal(mark_now(), 0);
    (void)crash(&web);
    (void)look(&web);
    sonde_prof__guard_end();
    assert_int_equal(mark_now(), 0);
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_ALL);
}

static void who_has_lived_or_is_stopped_leaves_no_mark(void **state)
{
    uint64_t now = sonde_mono_ns();
    siginfo_t info = fault();

    (void)state;
    (void)sonde_prof__guard_begin(&web, now - YOUNG_NS);
    sonde_prof__guard_crashed(&info); /* before the drainer has looked */
    assert_int_equal(mark_now(), 0);
    (void)sonde_prof__guard_begin(&web, now);
    sonde_prof__guard_end();
    sonde_prof__guard_crashed(&info);
    assert_int_equal(mark_now(), 0);
}

static void a_signal_that_somebody_sent_is_no_crash(void **state)
{
    siginfo_t info = fault();

    (void)state;
    info.si_code = SI_USER;
    info.si_pid = getppid();
    (void)look(&web);
    sonde_prof__guard_crashed(&info);
    assert_int_equal(mark_now(), 0);
    info.si_code = SI_TKILL; /* abort() */
    info.si_pid = getpid();
    (void)look(&web);
    sonde_prof__guard_crashed(&info);
    assert_int_equal(mark_now(), '1');
}

static void many_at_once_and_forked_children_make_one_mark(void **state)
{
    siginfo_t info = fault();
    int i, status;

    (void)state;
    (void)look(&web);
    for (i = 0; i < 3; i++) {
        pid_t child = fork();

        if (child == 0) {
            sonde_prof__guard_crashed(&info);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(mark_now(), '1'); /* they were allowed all: not a second time */
    }
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_CPU);
    if (fork() == 0) {
        sonde_prof__guard_end();
        _exit(0);
    }
    assert_true(wait(&status) > 0);
    assert_int_equal(mark_now(), '1'); /* the parent is on trial, not its child */
}

static void folders_and_files_of_others_are_not_used(void **state)
{
    char path[512], target[512];

    (void)state;
    (void)crash(&web);
    (void)mark(path);
    (void)snprintf(target, sizeof(target), "%s/target", folder);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(crash(&web), SONDE_PROF__ALLOW_ALL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it */
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_ALL);
    sonde_prof__guard_end();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(target, path), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_ALL); /* looks in /tmp/sonde-UID then */
    sonde_prof__guard_end();
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(look(&web), SONDE_PROF__ALLOW_CPU);
}

static void it_can_be_switched_off(void **state)
{
    sonde_prof__config c = web;

    (void)state;
    (void)crash(&web);
    c.crash_guard = SONDE_PROF__OFF;
    assert_int_equal(crash(&c), SONDE_PROF__ALLOW_ALL);
    assert_int_equal(mark_now(), '1');
    c.crash_guard = SONDE_PROF__AUTO; /* nobody would mark anything */
    assert_int_equal(look(&c), SONDE_PROF__ALLOW_ALL);
    c.crash = true;
    assert_int_equal(look(&c), SONDE_PROF__ALLOW_CPU);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_one_crash_cpu_only_after_two_nothing_for_an_hour),
        TEST(ten_seconds_of_life_or_an_orderly_exit_clear_it),
        TEST(who_has_lived_or_is_stopped_leaves_no_mark),
        TEST(a_signal_that_somebody_sent_is_no_crash),
        TEST(many_at_once_and_forked_children_make_one_mark),
        TEST(folders_and_files_of_others_are_not_used),
        TEST(it_can_be_switched_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
