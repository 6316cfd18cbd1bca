/* test_statsd_socket.c - addresses of DogStatsD servers, and datagrams to sockets that read, do not read, go
 * away and come back. */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "libtrace/src/statsd_socket.h"
#include "support/temp_dir.h"

/* -- addresses ------------------------------------------------------------------------------------ */

static void test_addresses_are_read_in_every_form(void **state)
{
    static const struct {
        const char *text;
        int kind; /* -1: refused */
        const char *where;
        int port;
        const char *printed;
    } cases[] = {
        { "udp://h:1", SONDE__STATSD_UDP, "h", 1, "udp://h:1" },
        { "h:8125", SONDE__STATSD_UDP, "h", 8125, "udp://h:8125" },
        { "h", SONDE__STATSD_UDP, "h", 8125, "udp://h:8125" },
        { "udp://10.0.0.1", SONDE__STATSD_UDP, "10.0.0.1", 8125, "udp://10.0.0.1:8125" },
        { "[::1]", SONDE__STATSD_UDP, "::1", 8125, "udp://[::1]:8125" },
        { "udp://[::1]:9", SONDE__STATSD_UDP, "::1", 9, "udp://[::1]:9" },
        { "unix:///run/dsd.socket", SONDE__STATSD_UNIX, "/run/dsd.socket", 0,
          "unix:///run/dsd.socket" },
        { "/run/dsd.socket", SONDE__STATSD_UNIX, "/run/dsd.socket", 0, "unix:///run/dsd.socket" },
        { "unixgram:///a", SONDE__STATSD_UNIXGRAM, "/a", 0, "unixgram:///a" },
        { "unixstream:///a", SONDE__STATSD_UNIXSTREAM, "/a", 0, "unixstream:///a" },
        { "", -1, "", 0, "" },
        { "udp://", -1, "", 0, "" },
        { "udp://h:0", -1, "", 0, "" },
        { "udp://h:65536", -1, "", 0, "" },
        { "h:1/x", -1, "", 0, "" },
        { "http://h:1", -1, "", 0, "" },
        { "unix://run/x", -1, "", 0, "" },
        { "unix://", -1, "", 0, "" },
        { "a b", -1, "", 0, "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__statsd_address a = { .kind = 77 };
        sonde_status status = sonde__statsd_address_parse(sonde_str_from(cases[i].text), &a);
        char printed[300];

        if ((status == SONDE_OK) != (cases[i].kind >= 0))
            fail_msg("%s: %s", cases[i].text, sonde_status_name(status));
        if (status != SONDE_OK) {
            assert_int_equal(a.kind, 77);
            continue;
        }
        assert_int_equal(a.kind, cases[i].kind);
        assert_string_equal(a.kind == SONDE__STATSD_UDP ? a.host : a.path, cases[i].where);
        assert_int_equal(a.port, cases[i].port);
        sonde__statsd_address_print(&a, printed);
        assert_string_equal(printed, cases[i].printed);
    }
}

/* -- sockets -------------------------------------------------------------------------------------- */

static char dir[64];

static struct sockaddr_un path_of(const char *name)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/%s", dir, name);
    return a;
}

static int listen_unix(const char *name, int type)
{
    struct sockaddr_un a = path_of(name);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)unlink(a.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static int listen_udp(uint16_t *out_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

static sonde__statsd_socket open_to(const char *scheme, const char *name)
{
    sonde__statsd_address to;
    sonde__statsd_socket s;
    char text[200];

    (void)snprintf(text, sizeof(text), "%s%s", scheme, path_of(name).sun_path);
    assert_status(sonde__statsd_address_parse(sonde_str_from(text), &to), SONDE_OK);
    assert_status(sonde__statsd_socket_open(&s, &to, 8192), SONDE_OK);
    return s;
}

static sonde__statsd_verdict send_text(sonde__statsd_socket *s, const char *text)
{
    return sonde__statsd_socket_send(s, (const uint8_t *)text, strlen(text), 0, false);
}

static void expect_datagram(int fd, const char *want)
{
    char got[256];
    ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, strlen(want));
}

static void test_a_datagram_arrives_over_udp(void **state)
{
    sonde__statsd_address to = { .kind = SONDE__STATSD_UDP, .host = "localhost" };
    int fd = listen_udp(&to.port);
    sonde__statsd_socket s;

    (void)state;
    assert_status(sonde__statsd_socket_open(&s, &to, 1432), SONDE_OK);
    assert_int_equal(send_text(&s, "a:1|c\n"), SONDE__STATSD_SENT);
    expect_datagram(fd, "a:1|c\n");
    (void)close(fd);
    (void)send_text(&s, "the kernel learns of it\n");
    assert_int_equal(send_text(&s, "b:1|c\n"), SONDE__STATSD_UNREACHABLE);
    assert_int_equal(s.connects, 1);
    sonde__statsd_socket_close(&s);
}

static void test_a_host_name_is_looked_up_only_where_that_may_wait(void **state)
{
    sonde__statsd_address to = { .kind = SONDE__STATSD_UDP, .host = "ip6-nowhere", .port = 1 };
    sonde__statsd_socket s;

    (void)state;
    assert_status(sonde__statsd_socket_open(&s, &to, 1432), SONDE_OK);
    assert_int_equal(send_text(&s, "a:1|c\n"), SONDE__STATSD_UNREACHABLE);
    assert_int_equal(s.retry_mono_ns, 0); /* nothing was tried */
    sonde__statsd_socket_close(&s);
}

static void test_the_port_the_agent_tells_is_taken(void **state)
{
    sonde__statsd_address to = {
        .kind = SONDE__STATSD_UDP, .host = "127.0.0.1", .port = 1, .port_is_told = true
    };
    uint16_t port;
    int fd = listen_udp(&port);
    sonde__statsd_socket s;

    (void)state;
    assert_status(sonde__statsd_socket_open(&s, &to, 1432), SONDE_OK);
    (void)send_text(&s, "to port 1\n");
    sonde__statsd_set_agent_port(port);
    assert_int_equal(send_text(&s, "a:1|c\n"), SONDE__STATSD_SENT);
    expect_datagram(fd, "a:1|c\n");
    assert_int_equal(s.connects, 2);
    sonde__statsd_set_agent_port(0);
    sonde__statsd_socket_close(&s);
    (void)close(fd);
}

static void test_unix_datagrams_that_nobody_reads_are_refused_not_waited_for(void **state)
{
    int fd = listen_unix("gram", SOCK_DGRAM);
    sonde__statsd_socket s = open_to("unix://", "gram");
    int sent = 0;

    (void)state;
    while (send_text(&s, "a:1|c\n") == SONDE__STATSD_SENT && sent < 100000)
        sent++;
    assert_in_range(sent, 1, 99999);
    assert_int_equal(send_text(&s, "a:1|c\n"), SONDE__STATSD_SOCKET_FULL);
    expect_datagram(fd, "a:1|c\n");
    assert_int_equal(send_text(&s, "a:1|c\n"), SONDE__STATSD_SENT);
    sonde__statsd_socket_close(&s);
    (void)close(fd);
}

static void test_a_server_that_comes_back_is_found_again(void **state)
{
    int fd = listen_unix("back", SOCK_DGRAM);
    sonde__statsd_socket s = open_to("unix://", "back");

    (void)state;
    assert_int_equal(send_text(&s, "1"), SONDE__STATSD_SENT);
    (void)close(fd);
    assert_int_equal(send_text(&s, "2"), SONDE__STATSD_UNREACHABLE);
    assert_true(s.retry_mono_ns > sonde_mono_ns()); /* at most once a second */
    fd = listen_unix("back", SOCK_DGRAM);
    assert_int_equal(send_text(&s, "3"), SONDE__STATSD_UNREACHABLE);
    s.retry_mono_ns = 0; /* the second is over */
    assert_int_equal(send_text(&s, "4"), SONDE__STATSD_SENT);
    expect_datagram(fd, "4");
    (void)close(fd);
    fd = listen_unix("back", SOCK_DGRAM);
    assert_int_equal(send_text(&s, "5"), SONDE__STATSD_SENT); /* restarted in between: no loss */
    expect_datagram(fd, "5");
    sonde__statsd_socket_close(&s);
    (void)close(fd);
}

static void test_a_stream_gets_frames(void **state)
{
    /* docs/spec/statsd.md, "Sockets" */
    static const char frame[] = "\x18\0\0\0page.views:1|c|#env:dev\n";
    int listener = listen_unix("stream", SOCK_STREAM);
    sonde__statsd_socket s = open_to("unix://", "stream"); /* finds out that it is a stream */
    char got[64];
    int fd;

    (void)state;
    assert_int_equal(send_text(&s, "page.views:1|c|#env:dev\n"), SONDE__STATSD_SENT);
    fd = accept(listener, NULL, NULL);
    assert_int_equal(read(fd, got, sizeof(got)), sizeof(frame) - 1);
    assert_memory_equal(got, frame, sizeof(frame) - 1);
    sonde__statsd_socket_close(&s);
    (void)close(fd);
    (void)close(listener);
}

/* Frames stay whole whatever the kernel takes of them. */
static void test_a_stream_nobody_reads_drops_whole_frames(void **state)
{
    int listener = listen_unix("slow", SOCK_STREAM);
    sonde__statsd_socket s = open_to("unixstream://", "slow");
    static uint8_t data[8000];
    uint64_t sent = 0, frames = 0;
    uint8_t head[4];
    int fd;

    (void)state;
    while (sonde__statsd_socket_send(&s, data, sizeof(data), 0, false) == SONDE__STATSD_SENT)
        sent++;
    assert_true(sent > 0);
    fd = accept(listener, NULL, NULL);
    for (;;) {
        ssize_t n = recv(fd, head, 4, MSG_DONTWAIT);

        if (n < 4)
            break;
        assert_int_equal(head[0] | head[1] << 8 | head[2] << 16 | head[3] << 24, sizeof(data));
        n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (n < (ssize_t)sizeof(data)) { /* the begun one: its rest comes with the next */
            assert_int_equal(sonde__statsd_socket_send(&s, data, 1, 0, false), SONDE__STATSD_SENT);
            n += recv(fd, data, sizeof(data) - (size_t)n, MSG_DONTWAIT);
        }
        assert_int_equal(n, sizeof(data));
        frames++;
        if (frames == sent)
            break;
    }
    assert_int_equal(frames, sent);
    sonde__statsd_socket_close(&s);
    (void)close(fd);
    (void)close(listener);
}

static int make_dir(void **state)
{
    (void)state;
    temp_dir_make(dir, sizeof(dir));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_in_every_form),
        cmocka_unit_test(test_a_datagram_arrives_over_udp),
        cmocka_unit_test(test_a_host_name_is_looked_up_only_where_that_may_wait),
        cmocka_unit_test(test_the_port_the_agent_tells_is_taken),
        cmocka_unit_test(test_unix_datagrams_that_nobody_reads_are_refused_not_waited_for),
        cmocka_unit_test(test_a_server_that_comes_back_is_found_again),
        cmocka_unit_test(test_a_stream_gets_frames),
        cmocka_unit_test(test_a_stream_nobody_reads_drops_whole_frames),
    };

    return cmocka_run_group_tests_name("statsd_socket", tests, make_dir, remove_dir);
}
