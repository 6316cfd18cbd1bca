/* test_activation.c - sockets handed over by systemd are told apart by what they are. */
#include "agent/cli/activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/log.h"
#include "support/test.h"

static void quiet(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
}

/* Puts descriptors in the places systemd uses. */
static void place(int fd, int at)
{
    if (fd != at) {
        (void)dup2(fd, at);
        (void)close(fd);
    }
}

static int tcp_listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd >= 0 && listen(fd, 1) == 0 ? fd : -1;
}

static int unix_listener(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "sonde-activation-%d", (int)getpid());
    return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0 ? fd
                                                                                              : -1;
}

/* In a child, whose descriptors 3 to 6 may be anything. */
static int try_it(void)
{
    activation a;
    char pid[16];

    sonde_log_set_sink(quiet, NULL);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    place(socket(AF_INET, SOCK_DGRAM, 0), 3);
    place(unix_listener(), 4);
    place(tcp_listener(), 5);
    place(tcp_listener(), 6);
    activation_find(&a, SONDE_STR("4"), sonde_str_from(pid));
    if (a.tcp != 5 || a.unix_stream != 4)
        return 1;
    if (!(fcntl(5, F_GETFD) & FD_CLOEXEC) || !(fcntl(3, F_GETFD) & FD_CLOEXEC))
        return 2;
    activation_find(&a, SONDE_STR("4"), SONDE_STR("1"));
    if (a.tcp != -1 || a.unix_stream != -1)
        return 3; /* another process was meant */
    activation_find(&a, SONDE_STR("2"), sonde_str_from(pid));
    if (a.tcp != -1 || a.unix_stream != 4)
        return 4;
    activation_find(&a, SONDE_STR("x"), sonde_str_from(pid));
    return a.tcp == -1 && a.unix_stream == -1 ? 0 : 5;
}

static void test_sockets_are_told_apart_by_what_they_are(void **state)
{
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(try_it());
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_are_told_apart_by_what_they_are),
    };

    return cmocka_run_group_tests_name("agent/cli/activation", tests, NULL, NULL);
}
