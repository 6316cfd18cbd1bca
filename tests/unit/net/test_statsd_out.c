/* test_statsd_out.c - datagrams to DogStatsD: what shares one, and what is lost. */
#include "net/statsd_out.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "support/temp_dir.h"
#include "support/test.h"

static int listen_at(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static int listen_udp(uint16_t *out_port)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *out_port = ntohs(at.sin_port);
    return fd;
}

static size_t receive(int fd, char *out, size_t cap)
{
    ssize_t len = recv(fd, out, cap, 0);

    return len > 0 ? (size_t)len : 0;
}

static void test_lines_share_datagrams_as_far_as_they_fit(void **state)
{
    char folder[256], path[300], line[1001], text[STATSD_OUT_UNIX_BYTES + 1];
    static statsd_out s;
    int fd;

    (void)state;
    temp_dir_make(folder, sizeof(folder));
    (void)snprintf(path, sizeof(path), "%s/dsd", folder);
    memset(line, 'x', 1000);
    statsd_out_init(&s, sonde_str_from(path), 0);
    statsd_out_line(&s, SONDE_STR("early\n"));
    statsd_out_flush(&s);
    assert_true(s.lost == 1 && s.sent == 0); /* nobody there: counted, not waited for */
    fd = listen_at(path);
    for (int i = 0; i < 9; i++)
        statsd_out_line(&s, (sonde_str){ line, 1000 });
    assert_int_equal(receive(fd, text, sizeof(text)), 8000);
    statsd_out_flush(&s);
    assert_int_equal(receive(fd, text, sizeof(text)), 1000);
    assert_true(s.lost == 1 && s.sent == 2);
    statsd_out_done(&s);
    (void)close(fd);
    statsd_out_init(&s, (sonde_str){ NULL, 0 }, 0);
    statsd_out_line(&s, SONDE_STR("no address\n"));
    assert_true(s.len == 0 && !s.set);
    temp_dir_remove(folder);
}

static void test_a_long_line_goes_alone_and_an_endless_one_is_lost(void **state)
{
    static char line[STATSD_OUT_UNIX_BYTES + 1], text[STATSD_OUT_UNIX_BYTES + 1];
    static statsd_out s;
    uint16_t port;
    int fd = listen_udp(&port);

    (void)state;
    memset(line, 'x', sizeof(line));
    statsd_out_init(&s, (sonde_str){ NULL, 0 }, port);
    statsd_out_line(&s, SONDE_STR("a\n"));
    statsd_out_line(&s, (sonde_str){ line, STATSD_OUT_UNIX_BYTES });
    statsd_out_line(&s, SONDE_STR("b\n"));
    statsd_out_line(&s, (sonde_str){ line, STATSD_OUT_UNIX_BYTES + 1 });
    assert_int_equal(s.lost, 1);
    statsd_out_flush(&s);
    assert_int_equal(receive(fd, text, sizeof(text)), 2);
    assert_int_equal(receive(fd, text, sizeof(text)), STATSD_OUT_UNIX_BYTES);
    assert_int_equal(receive(fd, text, sizeof(text)), 2);
    assert_true(s.sent == 3 && s.lost == 1);
    statsd_out_done(&s);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_share_datagrams_as_far_as_they_fit),
        cmocka_unit_test(test_a_long_line_goes_alone_and_an_endless_one_is_lost),
    };

    return cmocka_run_group_tests_name("net/statsd_out", tests, NULL, NULL);
}
