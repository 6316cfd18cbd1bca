/* test_socket.c - connecting and listening, and every way it fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "net/socket.h"
#include "support/raw_http.h"
#include "support/sys_fail.h"
#include "support/test.h"

static uint64_t soon(void)
{
    return sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60));
}

static sonde_url url_of(const char *host, uint16_t port)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = port };

    (void)snprintf(url.host, sizeof(url.host), "%s", host);
    return url;
}

static sonde_url unix_url(const char *path)
{
    sonde_url url = { .scheme = SONDE_URL_UNIX };

    (void)snprintf(url.path, sizeof(url.path), "%s", path);
    return url;
}

/* A directory per test, removed with what the test put into it. */
static int make_dir(void **state)
{
    char *dir = strdup("/tmp/sonde-socket-XXXXXX");

    *state = mkdtemp(dir);
    return *state ? 0 : -1;
}

static int remove_dir(void **state)
{
    int failed = rmdir(*state);

    free(*state);
    return failed;
}

static void assert_well_kept(int fd)
{
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void test_socket_connects_to_what_listens_on_tcp(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "LOCALHOST" };
    int listening, fd = -1;
    size_t i;

    (void)state;
    assert_status(sonde_listen_tcp("localhost", 0, &listening, NULL), SONDE_OK);
    assert_well_kept(listening);
    assert_true(sonde_local_port(listening) > 0);
    for (i = 0; i < COUNT_OF(hosts); i++) {
        sonde_url url = url_of(hosts[i], sonde_local_port(listening));

        assert_status(sonde_connect(&url, soon(), &fd), SONDE_OK);
        assert_well_kept(fd);
        assert_int_equal(sonde_peer_pid(fd), 0); /* only Unix sockets know */
        (void)close(fd);
    }
    (void)close(listening);
}

static void test_socket_knows_which_hosts_need_no_look_up(void **state)
{
    static const char *const literal[] = { "127.0.0.1", "::1", "localhost", "LocalHost" };
    sonde_url url = unix_url("/run/agent");
    size_t i;

    (void)state;
    assert_true(sonde_is_literal(&url));
    assert_status(sonde_resolve(&url), SONDE_OK);
    for (i = 0; i < COUNT_OF(literal); i++) {
        url = url_of(literal[i], 1);
        assert_true(sonde_is_literal(&url));
        assert_status(sonde_resolve(&url), SONDE_OK);
        assert_string_equal(url.host, literal[i]);
    }
    url = url_of("agent.example", 1);
    assert_false(sonde_is_literal(&url));
}

/* A form that only the resolver reads, without asking a name server. */
static void test_socket_puts_an_address_in_the_place_of_a_name(void **state)
{
    sonde_url url = url_of("127.1", 8126);

    (void)state;
    assert_false(sonde_is_literal(&url));
    assert_status(sonde_resolve(&url), SONDE_OK);
    assert_string_equal(url.host, "127.0.0.1");
    assert_int_equal(url.port, 8126);
}

static void test_socket_reports_connection_refused_with_its_errno(void **state)
{
    sonde_url url;
    int listening, fd = -7;

    (void)state;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listening, NULL), SONDE_OK);
    url = url_of("localhost", sonde_local_port(listening));
    (void)close(listening);

    assert_status(sonde_connect(&url, soon(), &fd), SONDE_ERR_CONNECT);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(fd, -7);
}

static void test_socket_refuses_to_listen_on_a_name(void **state)
{
    sonde_error error = { 0 };
    int fd = -7;

    (void)state;
    assert_status(sonde_listen_tcp("example.invalid", 0, &fd, &error), SONDE_ERR_INVALID);
    assert_non_null(strstr(error.message, "example.invalid"));
    assert_int_equal(fd, -7);
}

static void test_socket_names_the_address_that_is_in_use(void **state)
{
    sonde_error error = { 0 };
    char port[8];
    int first, second = -7;

    (void)state;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &first, NULL), SONDE_OK);
    (void)snprintf(port, sizeof(port), "%u", sonde_local_port(first));

    assert_status(sonde_listen_tcp("127.0.0.1", sonde_local_port(first), &second, &error),
                  SONDE_ERR_SYS);
    assert_int_equal(error.sys_errno, EADDRINUSE);
    assert_non_null(strstr(error.message, port));
    assert_int_equal(second, -7);
    (void)close(first);
}

static void test_socket_serves_a_unix_path_with_its_mode_and_peer(void **state)
{
    char path[100];
    struct stat st;
    sonde_url url;
    int listening, fd, accepted;

    (void)snprintf(path, sizeof(path), "%s/s", (char *)*state);
    assert_status(sonde_listen_unix(path, 0722, &listening, NULL), SONDE_OK);
    url = unix_url(path);

    assert_status(sonde_connect(&url, soon(), &fd), SONDE_OK);
    accepted = accept(listening, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(sonde_peer_pid(accepted), getpid());
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0722);
    assert_int_equal(sonde_local_port(listening), 0);
    (void)close(accepted);
    (void)close(fd);
    (void)close(listening);
    (void)unlink(path);
}

static void test_socket_replaces_a_stale_unix_socket(void **state)
{
    char path[100];
    int first, second;

    (void)snprintf(path, sizeof(path), "%s/s", (char *)*state);
    assert_status(sonde_listen_unix(path, 0700, &first, NULL), SONDE_OK);
    (void)close(first);

    assert_status(sonde_listen_unix(path, 0700, &second, NULL), SONDE_OK);
    (void)close(second);
    (void)unlink(path);
}

static void test_socket_leaves_a_living_unix_socket_alone(void **state)
{
    sonde_error error = { 0 };
    char path[100];
    sonde_url url;
    int first, second = -7, fd;

    (void)snprintf(path, sizeof(path), "%s/s", (char *)*state);
    assert_status(sonde_listen_unix(path, 0700, &first, NULL), SONDE_OK);
    url = unix_url(path);

    assert_status(sonde_listen_unix(path, 0700, &second, &error), SONDE_ERR_SYS);
    assert_int_equal(error.sys_errno, EADDRINUSE);
    assert_int_equal(second, -7);
    assert_status(sonde_connect(&url, soon(), &fd), SONDE_OK); /* still there */
    (void)close(fd);
    (void)close(first);
    (void)unlink(path);
}

static void test_socket_does_not_remove_what_is_no_socket(void **state)
{
    sonde_error error = { 0 };
    char path[100];
    int file, fd = -7;

    (void)snprintf(path, sizeof(path), "%s/file", (char *)*state);
    file = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    (void)close(file);

    assert_status(sonde_listen_unix(path, 0700, &fd, &error), SONDE_ERR_INVALID);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(fd, -7);
    (void)unlink(path);
}

static void test_socket_refuses_unix_paths_that_do_not_fit(void **state)
{
    char path[200];
    int fd = -7;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_status(sonde_listen_unix(path, 0700, &fd, NULL), SONDE_ERR_INVALID);
    assert_status(sonde_listen_unix("", 0700, &fd, NULL), SONDE_ERR_INVALID);
    assert_int_equal(fd, -7);
}

/* A listener whose backlog is full leaves further connections without an answer. */
static void test_socket_gives_up_at_the_deadline(void **state)
{
    int listening, queued[4], fd = -7;
    sonde_url url;
    size_t i;

    (void)state;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &listening, NULL), SONDE_OK);
    assert_int_equal(listen(listening, 0), 0);
    url = url_of("127.0.0.1", sonde_local_port(listening));
    for (i = 0; i < COUNT_OF(queued); i++) {
        if (sonde_connect(&url, sonde_mono_ns(), &queued[i]) != SONDE_OK)
            queued[i] = -1;
    }

    assert_status(sonde_connect(&url, sonde_mono_ns() + 20 * SONDE_NS_PER_MS, &fd),
                  SONDE_ERR_TIMEOUT);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(fd, -7);
    for (i = 0; i < COUNT_OF(queued); i++) {
        if (queued[i] >= 0)
            (void)close(queued[i]);
    }
    (void)close(listening);
}

static void test_socket_survives_failing_system_calls(void **state)
{
    static const struct {
        const char *label;
        sys_fail_call call;
        int error;
    } connecting[] = {
        { "no descriptor", SYS_FAIL_SOCKET, EMFILE },
        { "unreachable", SYS_FAIL_CONNECT, ENETUNREACH },
    };
    static const struct {
        const char *label;
        sys_fail_call call;
        int error;
    } listening[] = {
        { "no descriptor", SYS_FAIL_SOCKET, EMFILE },
        { "not allowed", SYS_FAIL_BIND, EACCES },
        { "cannot listen", SYS_FAIL_LISTEN, EADDRINUSE },
    };
    int server, fd = -7;
    sonde_url url;
    size_t i;

    (void)state;
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &server, NULL), SONDE_OK);
    url = url_of("127.0.0.1", sonde_local_port(server));
    for (i = 0; i < COUNT_OF(connecting); i++) {
        sys_fail(connecting[i].call, 1, connecting[i].error);
        if (sonde_connect(&url, soon(), &fd) != SONDE_ERR_CONNECT || errno != connecting[i].error ||
            fd != -7)
            fail_msg("connecting: %s", connecting[i].label);
        sys_fail_clear();
    }
    for (i = 0; i < COUNT_OF(listening); i++) {
        sonde_error error = { 0 };

        sys_fail(listening[i].call, 1, listening[i].error);
        if (sonde_listen_tcp("127.0.0.1", 0, &fd, &error) != SONDE_ERR_SYS ||
            error.sys_errno != listening[i].error || fd != -7)
            fail_msg("listening: %s", listening[i].label);
        sys_fail_clear();
    }
    (void)close(server);
}

static void test_socket_takes_over_only_what_is_of_its_kind(void **state)
{
    char path[128];
    int tcp, unix_fd, connection, pipes[2];
    sonde_error error = { 0 };

    (void)snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    assert_status(sonde_listen_tcp("localhost", 0, &tcp, NULL), SONDE_OK);
    assert_status(sonde_listen_unix(path, 0700, &unix_fd, NULL), SONDE_OK);
    connection = raw_connect(sonde_local_port(tcp));
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fcntl(tcp, F_SETFD, 0), 0);
    assert_int_equal(fcntl(tcp, F_SETFL, 0), 0);

    assert_status(sonde_inherit_listener(tcp, false, &error), SONDE_OK);
    assert_well_kept(tcp);
    assert_true(fcntl(tcp, F_GETFL) & O_NONBLOCK);
    assert_status(sonde_inherit_listener(unix_fd, true, NULL), SONDE_OK);
    assert_status(sonde_inherit_connection(connection, NULL), SONDE_OK);
    assert_well_kept(connection);

    assert_status(sonde_inherit_listener(tcp, true, &error), SONDE_ERR_INVALID);
    assert_non_null(strstr(error.message, "is no listening Unix socket"));
    assert_status(sonde_inherit_listener(unix_fd, false, NULL), SONDE_ERR_INVALID);
    assert_status(sonde_inherit_listener(connection, false, NULL), SONDE_ERR_INVALID);
    assert_status(sonde_inherit_listener(pipes[0], false, NULL), SONDE_ERR_INVALID);
    assert_status(sonde_inherit_listener(99999, false, NULL), SONDE_ERR_INVALID);
    assert_status(sonde_inherit_connection(tcp, NULL), SONDE_ERR_INVALID);
    assert_status(sonde_inherit_connection(pipes[1], NULL), SONDE_ERR_INVALID);
    (void)close(tcp);
    (void)close(unix_fd);
    (void)close(connection);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_connects_to_what_listens_on_tcp),
        cmocka_unit_test(test_socket_knows_which_hosts_need_no_look_up),
        cmocka_unit_test(test_socket_puts_an_address_in_the_place_of_a_name),
        cmocka_unit_test(test_socket_reports_connection_refused_with_its_errno),
        cmocka_unit_test(test_socket_refuses_to_listen_on_a_name),
        cmocka_unit_test(test_socket_names_the_address_that_is_in_use),
        cmocka_unit_test_setup_teardown(test_socket_serves_a_unix_path_with_its_mode_and_peer,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_socket_replaces_a_stale_unix_socket, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_socket_leaves_a_living_unix_socket_alone, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_socket_does_not_remove_what_is_no_socket, make_dir,
                                        remove_dir),
        cmocka_unit_test(test_socket_refuses_unix_paths_that_do_not_fit),
        cmocka_unit_test_setup_teardown(test_socket_takes_over_only_what_is_of_its_kind, make_dir,
                                        remove_dir),
        cmocka_unit_test(test_socket_gives_up_at_the_deadline),
        cmocka_unit_test(test_socket_survives_failing_system_calls),
    };

    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
