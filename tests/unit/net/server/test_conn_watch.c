/* test_conn_watch.c - connections that keep the server waiting are shut down, the others are not. */
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/clock.h"
#include "net/server/conn_watch.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define SHORT_NS (5 * (uint64_t)SONDE_NS_PER_MS)
#define LONG_NS  (3600 * (uint64_t)SONDE_NS_PER_S)

typedef struct pair {
    int ours, theirs;
    conn_watch_entry entry;
} pair;

static conn_watch *open_watch(uint64_t read_ns, uint64_t idle_ns)
{
    conn_watch_options options = { "watch", read_ns, idle_ns };
    conn_watch *w = NULL;

    assert_status(conn_watch_open(&options, &w), SONDE_OK);
    return w;
}

static void open_pair(pair *p)
{
    struct timeval limit = { .tv_sec = 10 };
    int fds[2];

    memset(p, 0, sizeof(*p));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    p->ours = p->entry.fd = fds[0];
    p->theirs = fds[1];
    (void)setsockopt(p->theirs, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void close_pair(conn_watch *w, pair *p)
{
    conn_watch_forget(w, &p->entry);
    (void)close(p->ours);
    (void)close(p->theirs);
}

static void test_watch_ends_a_connection_that_sends_no_head(void **state)
{
    conn_watch *w = open_watch(SHORT_NS, LONG_NS);
    char byte;
    pair p;

    (void)state;
    open_pair(&p);
    conn_watch_set(w, &p.entry, CONN_READING);

    assert_int_equal(recv(p.theirs, &byte, 1, 0), 0); /* the end, and nothing before it */
    assert_true(conn_watch_expired(w, &p.entry));
    close_pair(w, &p);
    conn_watch_close(w);
}

static void test_watch_tells_408_when_the_head_was_read(void **state)
{
    conn_watch *w = open_watch(SHORT_NS, LONG_NS);
    char text[512] = "";
    pair p;

    (void)state;
    open_pair(&p);
    conn_watch_set(w, &p.entry, CONN_READING);
    conn_watch_head_read(w, &p.entry);

    assert_true(recv(p.theirs, text, sizeof(text) - 1, MSG_WAITALL) > 0);
    assert_int_equal(strncmp(text, "HTTP/1.1 408 ", 13), 0);
    assert_non_null(strstr(text, "Content-Length: 8\r\n\r\ntimeout\n"));
    close_pair(w, &p);
    conn_watch_close(w);
}

static void test_watch_ends_idle_connections_without_a_word(void **state)
{
    conn_watch *w = open_watch(LONG_NS, SHORT_NS);
    char byte;
    pair p;

    (void)state;
    open_pair(&p);
    conn_watch_set(w, &p.entry, CONN_READING);
    conn_watch_head_read(w, &p.entry);
    conn_watch_set(w, &p.entry, CONN_IDLE);

    assert_int_equal(recv(p.theirs, &byte, 1, 0), 0);
    close_pair(w, &p);
    conn_watch_close(w);
}

/* A 408 belongs to a request: the head of the one before does not count. */
static void test_watch_forgets_the_head_with_its_request(void **state)
{
    conn_watch *w = open_watch(SHORT_NS, LONG_NS);
    char byte;
    pair p;

    (void)state;
    open_pair(&p);
    conn_watch_set(w, &p.entry, CONN_BUSY);
    conn_watch_head_read(w, &p.entry);
    conn_watch_set(w, &p.entry, CONN_READING);

    assert_int_equal(recv(p.theirs, &byte, 1, 0), 0);
    close_pair(w, &p);
    conn_watch_close(w);
}

/* Of many connections only those still reading end; the order of leaving the queue does not matter. */
static void test_watch_leaves_busy_and_forgotten_connections_alone(void **state)
{
    conn_watch *w = open_watch(SHORT_NS, LONG_NS);
    pair p[9];
    size_t i;
    char byte;

    (void)state;
    for (i = 0; i < COUNT_OF(p); i++) {
        open_pair(&p[i]);
        conn_watch_set(w, &p[i].entry, i == 8 ? CONN_READING : CONN_BUSY);
    }
    for (i = 0; i < 8; i++)
        conn_watch_set(w, &p[i].entry, CONN_IDLE);
    conn_watch_set(w, &p[7].entry, CONN_BUSY);
    conn_watch_set(w, &p[3].entry, CONN_BUSY);
    conn_watch_forget(w, &p[0].entry);

    assert_int_equal(recv(p[8].theirs, &byte, 1, 0), 0);
    for (i = 0; i < 8; i++) {
        assert_false(conn_watch_expired(w, &p[i].entry));
        assert_int_equal(recv(p[i].theirs, &byte, 1, MSG_DONTWAIT), -1);
    }
    for (i = 0; i < COUNT_OF(p); i++)
        close_pair(w, &p[i]);
    conn_watch_close(w);
}

static sonde_status open_one(void *user)
{
    conn_watch_options options = { "watch", LONG_NS, LONG_NS };
    conn_watch *w = NULL;
    sonde_status status = conn_watch_open(&options, &w);

    (void)user;
    conn_watch_close(w);
    return status;
}

static void test_watch_opens_or_says_that_memory_is_lacking(void **state)
{
    (void)state;
    alloc_fail_each(open_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_ends_a_connection_that_sends_no_head),
        cmocka_unit_test(test_watch_tells_408_when_the_head_was_read),
        cmocka_unit_test(test_watch_ends_idle_connections_without_a_word),
        cmocka_unit_test(test_watch_forgets_the_head_with_its_request),
        cmocka_unit_test(test_watch_leaves_busy_and_forgotten_connections_alone),
        cmocka_unit_test(test_watch_opens_or_says_that_memory_is_lacking),
    };

    return cmocka_run_group_tests_name("conn_watch", tests, NULL, NULL);
}
