/* test_log_syslog.c - lines as a syslog daemon takes them, and what happens while it is away. */
#include "agent/cli/log_syslog.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/log.h"
#include "support/temp_dir.h"
#include "support/test.h"

static char folder[2048], path[2100], uri[2200];

static int daemon_at(int fd, const void *at, socklen_t len)
{
    const struct timeval patience = { 60, 0 };

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(bind(fd, at, len), 0);
    return fd;
}

static int local_daemon(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    (void)unlink(path);
    assert_true(strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path) + 1);
    return daemon_at(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), &at, sizeof(at));
}

static const char *heard(int fd)
{
    static char text[4096];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

static void write_text(sonde_log_level level, const char *line)
{
    log_syslog_write(NULL, level, line, strlen(line));
}

static void use(const char *where, bool rfc5424)
{
    sonde_error error = { 0 };

    if (log_syslog_use(sonde_str_from(where), rfc5424, &error) != SONDE_OK)
        fail_msg("%s", error.message);
}

static void test_a_line_has_priority_tag_and_no_time(void **state)
{
    static const struct {
        sonde_log_level level;
        int priority;
    } cases[] = { { SONDE_LOG_ERROR, 27 },
                  { SONDE_LOG_WARN, 28 },
                  { SONDE_LOG_INFO, 30 },
                  { SONDE_LOG_DEBUG, 31 },
                  { SONDE_LOG_TRACE, 31 } };
    int daemon = local_daemon();
    char want[256];
    size_t i;

    (void)state;
    use(uri, false);
    for (i = 0; i < COUNT_OF(cases); i++) {
        write_text(cases[i].level, "2026-11-26T01:16:11.185Z level sonde agent: a line");
        (void)snprintf(want, sizeof(want), "<%d>sonde-agent[%d]: level sonde agent: a line",
                       cases[i].priority, (int)getpid());
        assert_string_equal(heard(daemon), want);
    }
    write_text(SONDE_LOG_INFO, "{\"time\":\"x y\"}"); /* JSON is left whole */
    assert_non_null(strstr(heard(daemon), "]: {\"time\":\"x y\"}"));
    (void)close(daemon);
}

static void test_rfc_5424_has_time_host_and_process(void **state)
{
    int daemon = local_daemon();
    char want[128];
    sonde_str text, word;

    (void)state;
    use(uri, true);
    write_text(SONDE_LOG_WARN, "2026-11-26T01:16:11.185Z warn what");
    text = sonde_str_from(heard(daemon));
    assert_true(sonde_str_eq(sonde_str_cut(&text, ' '), SONDE_STR("<28>1")));
    word = sonde_str_cut(&text, ' ');
    assert_true(word.len == 24 && word.ptr[10] == 'T' && word.ptr[23] == 'Z');
    assert_true(sonde_str_cut(&text, ' ').len > 0); /* the host */
    (void)snprintf(want, sizeof(want), "sonde-agent %d - - warn what", (int)getpid());
    assert_string_equal(text.ptr, want);
    (void)close(daemon);
}

static void test_datagrams_go_by_udp(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int daemon;
    char where[64];

    (void)state;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    daemon = daemon_at(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), &at, sizeof(at));
    assert_int_equal(getsockname(daemon, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(where, sizeof(where), "udp://127.0.0.1:%u", ntohs(at.sin_port));
    use(where, false);
    write_text(SONDE_LOG_INFO, "time hello");
    assert_non_null(strstr(heard(daemon), "]: hello"));
    (void)close(daemon);
}

static void test_a_daemon_that_was_started_anew_is_found_again(void **state)
{
    int daemon = local_daemon();

    (void)state;
    use(uri, false);
    (void)close(daemon);
    daemon = local_daemon(); /* another socket at the same path */
    use(uri, false);         /* not before a second has gone by, else; or after SIGHUP */
    write_text(SONDE_LOG_INFO, "time again");
    assert_non_null(strstr(heard(daemon), "]: again"));
    (void)close(daemon);
    (void)unlink(path);
    use(uri, false); /* nobody there: no error */
    write_text(SONDE_LOG_INFO, "time lost");
}

static void test_an_address_that_cannot_be_is_refused(void **state)
{
    static const char *const bad[] = {
        "tcp://127.0.0.1:514", "unixgram://relative", "unixgram://", "udp://127.0.0.1",
        "udp://:514",          "udp://[::1:514",      "/dev/log",    "udp://127.0.0.1:"
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(bad); i++) {
        sonde_error error = { 0 };

        if (log_syslog_use(sonde_str_from(bad[i]), false, &error) != SONDE_ERR_INVALID ||
            !strstr(error.message, "expected unixgram:///PATH or udp://HOST:PORT"))
            fail_msg("%s: %s", bad[i], error.message);
    }
}

static int make_folder(void **state)
{
    (void)state;
    temp_dir_make(folder, sizeof(folder));
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)snprintf(uri, sizeof(uri), "unixgram://%s", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_priority_tag_and_no_time),
        cmocka_unit_test(test_rfc_5424_has_time_host_and_process),
        cmocka_unit_test(test_datagrams_go_by_udp),
        cmocka_unit_test(test_a_daemon_that_was_started_anew_is_found_again),
        cmocka_unit_test(test_an_address_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests_name("agent/cli/log_syslog", tests, make_folder, remove_folder);
}
