/* test_grpc_server.c - the socket half: calls over TCP, clients that misbehave, the end. */
#include "net/grpc/grpc_server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "h2_client.h"
#include "net/socket.h"
#include "support/test.h"

static void echo(void *user, grpc_call *call, grpc_answer *answer)
{
    (void)user;
    sonde_buf_append(&answer->body, call->message, call->len);
}

static const grpc_method methods[] = { { "/test.Echo/Say", echo, NULL, NULL } };

static grpc_server *serve(unsigned max_connections, uint16_t *out_port)
{
    const grpc_server_options options = { .name = "test-grpc",
                                          .methods = methods,
                                          .methods_len = 1,
                                          .max_connections = max_connections };
    grpc_server *s = NULL;
    int fd;

    assert_status(sonde_listen_tcp("127.0.0.1", 0, &fd, NULL), SONDE_OK);
    *out_port = sonde_local_port(fd);
    assert_status(grpc_server_open(&options, fd, &s, NULL), SONDE_OK);
    return s;
}

static int connect_to(uint16_t port)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = port, .host = "127.0.0.1" };
    int fd;

    assert_status(sonde_connect(&url, sonde_mono_ns() + 60 * (uint64_t)SONDE_NS_PER_S, &fd),
                  SONDE_OK);
    return fd;
}

static sonde_status try_to_connect(uint16_t port)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = port, .host = "127.0.0.1" };
    int fd = -1;
    sonde_status status = sonde_connect(&url, sonde_mono_ns() + 60 * (uint64_t)SONDE_NS_PER_S, &fd);

    if (status == SONDE_OK)
        (void)close(fd);
    return status;
}

static bool say(int fd, h2_client *c)
{
    const uint8_t *bytes;
    ssize_t len;

    while ((len = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        while (len > 0) {
            ssize_t n = send(fd, bytes, (size_t)len, MSG_NOSIGNAL);

            if (n < 0)
                return false;
            bytes += n;
            len -= n;
        }
    }
    return true;
}

/* Until the condition holds; false: the server closed. */
static bool listen_until(int fd, h2_client *c, const bool *done)
{
    uint8_t bytes[65536];

    while (!*done) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        assert_int_equal(poll(&p, 1, 10000), 1);
        n = recv(fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            return false;
        assert_int_equal(nghttp2_session_mem_recv(c->session, bytes, (size_t)n), n);
        if (!say(fd, c))
            return false;
    }
    return true;
}

static void calls_on_one_connection_are_answered(void **state)
{
    static char body[5 + 300000] = { 0, 0, 4, (char)0x93, (char)0xe0 }; /* beyond every window */
    uint16_t port;
    grpc_server *s = serve(0, &port);
    int fd = connect_to(port);
    h2_client c;

    (void)state;
    h2_open(&c);
    for (int i = 0; i < 3; i++) {
        h2_call k = { .body = body, .len = sizeof(body) };

        h2_submit(&c, &k);
        assert_true(say(fd, &c) && listen_until(fd, &c, &k.answer.is_closed));
        assert_string_equal(k.answer.grpc_status, "0");
        assert_int_equal(k.answer.data.len, sizeof(body));
        h2_answer_done(&k);
    }
    assert_int_equal(grpc_server_read_counters(s)->handled, 3);
    assert_int_equal(grpc_server_read_counters(s)->connections, 1);
    grpc_server_close(s, sonde_mono_ns() + 60 * (uint64_t)SONDE_NS_PER_S);
    assert_true(listen_until(fd, &c, &c.got_goaway));
    h2_close(&c);
    (void)close(fd);
}

static void what_is_not_http2_is_disconnected(void **state)
{
    uint16_t port;
    grpc_server *s = serve(0, &port);
    int fd = connect_to(port);
    h2_client c;
    const bool never = false;

    (void)state;
    h2_open(&c);
    assert_true(send(fd, "GET / HTTP/1.1\r\n\r\n........", 26, MSG_NOSIGNAL) == 26);
    assert_false(listen_until(fd, &c, &never));
    grpc_server_close(s, 0);
    h2_close(&c);
    (void)close(fd);
}

static void connections_beyond_the_ceiling_wait(void **state)
{
    uint16_t port;
    grpc_server *s = serve(1, &port);
    int first = connect_to(port), second = connect_to(port);
    h2_client c;
    h2_call k = { .body = "\0\0\0\0\0", .len = 5 };

    (void)state;
    h2_open(&c);
    (void)close(first);
    h2_submit(&c, &k);
    assert_true(say(second, &c) && listen_until(second, &c, &k.answer.is_closed));
    assert_string_equal(k.answer.grpc_status, "0");
    assert_int_equal(grpc_server_read_counters(s)->open_connections, 1);
    grpc_server_close(s, 0);
    h2_answer_done(&k);
    h2_close(&c);
    (void)close(second);
}

static void *drain(void *server)
{
    grpc_server_drain(server, sonde_mono_ns() + 60 * SONDE_NS_PER_S);
    return NULL;
}

static void a_call_under_way_is_finished_before_the_end(void **state)
{
    uint16_t port;
    grpc_server *s = serve(0, &port);
    int fd = connect_to(port);
    const bool never = false;
    pthread_t thread;
    h2_client c;
    h2_call k = { .body = "\0\0\0\0\3abc", .len = 6, .is_open_ended = true };

    (void)state;
    h2_open(&c);
    h2_submit(&c, &k);
    assert_true(say(fd, &c));
    while (grpc_server_read_counters(s)->open_calls == 0)
        (void)usleep(1000);
    assert_int_equal(pthread_create(&thread, NULL, drain, s), 0);
    assert_true(listen_until(fd, &c, &c.got_goaway));
    k.is_open_ended = false;
    k.len = 8; /* the rest of the message */
    (void)nghttp2_session_resume_data(c.session, 1);
    assert_true(say(fd, &c) && listen_until(fd, &c, &k.answer.is_closed));
    assert_string_equal(k.answer.grpc_status, "0");
    assert_int_equal(k.answer.data.len, 8);
    assert_false(listen_until(fd, &c, &never)); /* it hangs up then */
    (void)close(fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.last_stream, 1);
    assert_status(try_to_connect(port), SONDE_ERR_CONNECT);
    assert_int_equal(grpc_server_read_counters(s)->handled, 1);
    assert_int_equal(grpc_server_read_counters(s)->connections_failed, 0);
    grpc_server_close(s, 0);
    h2_answer_done(&k);
    h2_close(&c);
}

static void open_calls_end_by_the_deadline(void **state)
{
    uint16_t port;
    grpc_server *s = serve(0, &port);
    int fd = connect_to(port);
    h2_client c;
    h2_call open = { .body = "", .is_open_ended = true }, k = { .body = "\0\0\0\0\0", .len = 5 };

    (void)state;
    h2_open(&c);
    h2_submit(&c, &open);
    h2_submit(&c, &k);
    assert_true(say(fd, &c) && listen_until(fd, &c, &k.answer.is_closed));
    grpc_server_close(s, sonde_mono_ns() + SONDE_NS_PER_S / 20);
    assert_true(listen_until(fd, &c, &c.got_goaway));
    assert_false(listen_until(fd, &c, &open.answer.is_closed));
    h2_answer_done(&k);
    h2_answer_done(&open);
    h2_close(&c);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_on_one_connection_are_answered),
        cmocka_unit_test(what_is_not_http2_is_disconnected),
        cmocka_unit_test(connections_beyond_the_ceiling_wait),
        cmocka_unit_test(a_call_under_way_is_finished_before_the_end),
        cmocka_unit_test(open_calls_end_by_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
