/* test_notify.c - a supervisor's socket. */
#include "agent/ops/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "support/temp_dir.h"
#include "support/test.h"

/* A datagram socket bound to `path`; "@..." abstract. */
static int listen_at(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(at.sun_path, path, len);
    if (path[0] == '@')
        at.sun_path[0] = '\0';
    assert_true(fd >= 0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
        0);
    return fd;
}

static size_t receive(int fd, char *out, size_t cap)
{
    ssize_t len = recv(fd, out, cap - 1, 0);

    out[len > 0 ? len : 0] = '\0';
    return len > 0 ? (size_t)len : 0;
}

static void test_a_supervisor_hears_what_is_said(void **state)
{
    char folder[256], path[300], abstract[64], text[256];
    const char *places[2];

    (void)state;
    temp_dir_make(folder, sizeof(folder));
    (void)snprintf(path, sizeof(path), "%s/notify", folder);
    (void)snprintf(abstract, sizeof(abstract), "@sonde-test-%d", (int)getpid());
    places[0] = path;
    places[1] = abstract;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        int fd = listen_at(places[i]);
        notify n;

        notify_open(&n, sonde_str_from(places[i]), SONDE_STR("3000000"), SONDE_STR(""));
        notify_send(&n, "READY=1\nSTATUS=%s", "fine");
        (void)receive(fd, text, sizeof(text));
        assert_string_equal(text, "READY=1\nSTATUS=fine");
        assert_true(n.watchdog_ns == UINT64_C(3000000000));
        notify_close(&n);
        notify_send(&n, "gone");
        assert_int_equal(receive(fd, text, sizeof(text)), 0);
        (void)close(fd);
    }
    temp_dir_remove(folder);
}

static void test_no_supervisor_is_no_failure(void **state)
{
    static const char *const sockets[] = { "", "relative", "/nowhere/at/all", "@" };
    char pid[16];
    notify n;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sockets); i++) {
        notify_open(&n, sonde_str_from(sockets[i]), SONDE_STR("1"), SONDE_STR(""));
        assert_true(n.fd < 0 && n.watchdog_ns == 0);
        notify_send(&n, "READY=1");
        notify_close(&n);
    }
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
    {
        char name[64];
        int fd;

        (void)snprintf(name, sizeof(name), "@sonde-test-other-%d", (int)getpid());
        fd = listen_at(name);
        notify_open(&n, sonde_str_from(name), SONDE_STR("5"), sonde_str_from(pid));
        assert_true(n.fd >= 0 && n.watchdog_ns == 0); /* another process is watched */
        notify_close(&n);
        (void)close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_supervisor_hears_what_is_said),
        cmocka_unit_test(test_no_supervisor_is_no_failure),
    };

    return cmocka_run_group_tests_name("agent/ops/notify", tests, NULL, NULL);
}
