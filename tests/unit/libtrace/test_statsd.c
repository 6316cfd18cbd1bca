/* test_statsd.c - <sonde/statsd.h> against sockets of the test: what is collected, what is sent, what is
 * dropped and counted. */
#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/rng.h"
#include "base/str.h"
#include "libtrace/src/statsd_client.h"
#include "sonde/sonde.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"

#define LINES_MAX 20000

/* -- the receiver --------------------------------------------------------------------------------- */

static char dir[64];
static char address[128];
static int server = -1;

static char *lines[LINES_MAX];
static size_t lines_len;
static size_t longest_datagram;
static size_t datagrams;

static int open_server(void **state)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int bytes = 4 << 20;

    (void)state;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/dsd", dir);
    (void)snprintf(address, sizeof(address), "unix://%s", a.sun_path);
    (void)unlink(a.sun_path);
    server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(server, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    return bind(server, (struct sockaddr *)&a, sizeof(a));
}

static void forget_lines(void)
{
    while (lines_len > 0)
        free(lines[--lines_len]);
    longest_datagram = datagrams = 0;
}

static int close_server(void **state)
{
    (void)state;
    forget_lines();
    return close(server);
}

/* Takes datagrams apart; every one ends in a line feed. */
static void receive(void)
{
    static char data[66000];
    ssize_t n;

    while ((n = recv(server, data, sizeof(data), MSG_DONTWAIT)) > 0) {
        sonde_str rest = { data, (size_t)n };

        datagrams++;
        if ((size_t)n > longest_datagram)
            longest_datagram = (size_t)n;
        assert_int_equal(data[n - 1], '\n');
        while (rest.len > 0) {
            sonde_str line = sonde_str_cut(&rest, '\n');

            assert_true(line.len > 0 && lines_len < LINES_MAX);
            lines[lines_len++] = strndup(line.ptr, line.len);
        }
    }
}

static size_t times(const char *line)
{
    size_t n = 0;
    size_t i;

    for (i = 0; i < lines_len; i++)
        n += strcmp(lines[i], line) == 0;
    return n;
}

static void expect_lines(const char *const *want, size_t len)
{
    size_t i;

    receive();
    for (i = 0; i < len; i++)
        if (times(want[i]) != 1)
            fail_msg("\"%s\" was sent %zu times; the first is \"%s\"", want[i], times(want[i]),
                     lines_len ? lines[0] : "");
    assert_int_equal(lines_len, len);
    forget_lines();
}

#define EXPECT_LINES(...)                                                                          \
    expect_lines((const char *const[]){ __VA_ARGS__ },                                             \
                 sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

static sonde_statsd *client(sonde_statsd_options o)
{
    sonde_statsd *s;

    o.address = o.address ? o.address : address;
    o.by_hand = 1;
    s = sonde_statsd_new(&o);
    assert_non_null(s);
    return s;
}

/* The law of the header; returns what was counted. */
static sonde_statsd_counters counters(sonde_statsd *s)
{
    sonde_statsd_counters c = { .struct_bytes = sizeof(c) };
    uint64_t sum;
    uint32_t i;

    sonde_statsd_counters_read(s, &c);
    sum = c.lines_sent + c.lines_queued;
    for (i = 0; i < c.drops; i++)
        sum += c.lines_dropped[i];
    assert_int_equal(sum, c.lines);
    return c;
}

/* -- collecting ----------------------------------------------------------------------------------- */

static void test_counts_are_summed_gauges_are_the_last_and_members_are_sent_once(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .prefix = "shop.", .tags = "team:a" });

    (void)state;
    sonde_statsd_count(s, "orders", 1, NULL);
    sonde_statsd_count(s, "orders", 41, "");
    sonde_statsd_count(s, "orders", 1, "kind:gift");
    sonde_statsd_count(s, "down", 2, NULL);
    sonde_statsd_count(s, "down", -5, NULL);
    sonde_statsd_gauge(s, "queue", 3, NULL);
    sonde_statsd_gauge(s, "queue", 2.5, NULL);
    sonde_statsd_set(s, "users", "ada", NULL);
    sonde_statsd_set(s, "users", "ada", NULL);
    sonde_statsd_set(s, "users", "bob", NULL);
    assert_int_equal(counters(s).contexts, 6);
    assert_int_equal(counters(s).lines, 0);
    assert_status(sonde_statsd_flush(s, 30000), SONDE_OK);
    EXPECT_LINES("shop.orders:42|c|#team:a", "shop.orders:1|c|#team:a,kind:gift",
                 "shop.down:-3|c|#team:a", "shop.queue:2.5|g|#team:a", "shop.users:ada|s|#team:a",
                 "shop.users:bob|s|#team:a");
    assert_status(sonde_statsd_flush(s, 30000), SONDE_OK);
    expect_lines(NULL, 0); /* each once */
    sonde_statsd_free(s);
}

static void test_values_are_packed_into_one_line(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ 0 });
    int i;

    (void)state;
    sonde_statsd_histogram(s, "h", 1, NULL);
    sonde_statsd_histogram(s, "h", 2.5, NULL);
    sonde_statsd_distribution(s, "h", 3, NULL);
    sonde_statsd_timing(s, "t", 12, "a");
    sonde_statsd_timing(s, "t", 13, "b");
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("h:1:2.5|h", "h:3|d", "t:12|ms|#a", "t:13|ms|#b");
    for (i = 0; i < 65; i++) /* one more than a context holds */
        sonde_statsd_distribution(s, "d", 7, NULL);
    (void)sonde_statsd_flush(s, 100);
    receive();
    assert_int_equal(lines_len, 2);
    assert_int_equal(strlen(lines[0]), 1 + 64 * 2 + 2);
    assert_string_equal(lines[1], "d:7|d");
    sonde_statsd_free(s);
}

static void test_without_packing_each_value_is_a_line(void **state)
{
    static const double values[] = { 1, 2, 3 };
    sonde_statsd *s = client((sonde_statsd_options){ .pack = -1 });
    sonde_statsd_metric m = {
        .type = SONDE_STATSD_TIMING, .name = "t", .values = values, .values_len = 3
    };

    (void)state;
    sonde_statsd_send(s, &m);
    sonde_statsd_count(s, "c", 1, NULL);
    sonde_statsd_count(s, "c", 1, NULL);
    assert_int_equal(counters(s).metrics, 3);
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("t:1|ms", "t:2|ms", "t:3|ms", "c:2|c");
    sonde_statsd_free(s);
}

static void test_without_collection_each_call_is_a_line(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .aggregate = -1 });
    int i;

    (void)state;
    for (i = 0; i < 3; i++)
        sonde_statsd_count(s, "c", i, NULL);
    sonde_statsd_gauge(s, "g", 1, NULL);
    assert_int_equal(counters(s).contexts, 0);
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("c:0|c", "c:1|c", "c:2|c", "g:1|g");
    sonde_statsd_free(s);
}

static void test_a_metric_with_a_time_goes_out_as_it_is(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ 0 });
    sonde_statsd_metric m = {
        .type = SONDE_STATSD_COUNT, .name = "c", .value = 1, .unix_s = 1656581400, .rate = 0.0001
    };
    int i;

    (void)state;
    sonde_statsd_send(s, &m); /* the agent does not make up for the rate there: there is none */
    m.unix_s++;
    sonde_statsd_send(s, &m);
    m.type = SONDE_STATSD_DISTRIBUTION; /* has no time */
    m.rate = 0;
    for (i = 0; i < 2; i++)
        sonde_statsd_send(s, &m);
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("c:1|c|T1656581400", "c:1|c|T1656581401", "c:1:1|d");
    sonde_statsd_free(s);
}

static void test_the_rate_is_on_the_line_of_what_was_sampled(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .max_datagram_bytes = 8192 });
    sonde_statsd_metric m = { .name = "n", .value = 1, .rate = 0.5 };
    sonde_statsd_counters c;
    size_t sent = 0, i;
    const char *at;

    (void)state;
    for (i = 0; i < 1000; i++) {
        m.type = SONDE_STATSD_DISTRIBUTION;
        sonde_statsd_send(s, &m);
        m.type = SONDE_STATSD_COUNT; /* collected: exact */
        sonde_statsd_send(s, &m);
        m.type = SONDE_STATSD_SET;
        m.member = "x";
        sonde_statsd_send(s, &m);
    }
    c = counters(s);
    assert_in_range(c.sampled_out, 350, 650); /* 9 sigma */
    assert_int_equal(c.metrics + c.sampled_out, 3000);
    (void)sonde_statsd_flush(s, 100);
    receive();
    assert_int_equal(times("n:1000|c"), 1);
    assert_int_equal(times("n:x|s"), 1);
    for (i = 0; i < lines_len; i++) {
        if (!strstr(lines[i], "|d"))
            continue;
        assert_non_null(strstr(lines[i], "|d|@0.5"));
        for (at = lines[i]; (at = strchr(at, ':')) != NULL; at++)
            sent++;
    }
    assert_int_equal(sent, 1000 - c.sampled_out);
    sonde_statsd_free(s);
}

static void test_what_differs_in_type_tags_or_cardinality_is_kept_apart(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ 0 });
    sonde_statsd_metric m = { .type = SONDE_STATSD_COUNT, .name = "ab", .value = 1 };
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        m.cardinality = "low";
        sonde_statsd_send(s, &m);
        m.cardinality = "high";
        sonde_statsd_send(s, &m);
        m.cardinality = NULL;
        sonde_statsd_send(s, &m);
        sonde_statsd_gauge(s, "ab", i, NULL);
        sonde_statsd_count(s, "a", 1, "b");
        sonde_statsd_count(s, "ab", 1, "c");
    }
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("ab:2|c|card:low", "ab:2|c|card:high", "ab:2|c", "ab:1|g", "a:2|c|#b",
                 "ab:2|c|#c");
    sonde_statsd_free(s);
}

static void test_events_and_checks_are_sent(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .tags = "a:b", .cardinality = "low" });

    (void)state;
    sonde_statsd_send_event(s, &(sonde_statsd_event){ .title = "deploy", .text = "done" });
    sonde_statsd_send_check(s, &(sonde_statsd_check){ .name = "db", .state = SONDE_STATSD_OK });
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("_e{6,4}:deploy|done|#a:b|card:low", "_sc|db|0|#a:b|card:low");
    sonde_statsd_free(s);
}

static void test_what_is_no_metric_is_refused_and_counted(void **state)
{
    static const double values[] = { 1, INFINITY };
    static const sonde_statsd_metric metrics[] = {
        { .type = SONDE_STATSD_TYPES, .name = "n" },
        { .type = -1, .name = "n" },
        { .type = SONDE_STATSD_COUNT, .name = "" },
        { .type = SONDE_STATSD_GAUGE, .name = "n", .value = NAN },
        { .type = SONDE_STATSD_GAUGE, .name = "n", .values = values, .values_len = 0 },
        { .type = SONDE_STATSD_GAUGE, .name = "n", .values = values, .values_len = 2 },
        { .type = SONDE_STATSD_TIMING, .name = "n", .values = values, .values_len = 2 },
        { .type = SONDE_STATSD_SET, .name = "n" },
        { .type = SONDE_STATSD_SET, .name = "n", .member = "" },
    };
    sonde_statsd *s = client((sonde_statsd_options){ 0 });
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(metrics); i++) {
        sonde_statsd_send(s, &metrics[i]);
        assert_int_equal(counters(s).refused, i + 1);
    }
    sonde_statsd_count(s, NULL, 1, NULL);
    sonde_statsd_send_event(s, &(sonde_statsd_event){ .text = "no title" });
    sonde_statsd_send_check(s, &(sonde_statsd_check){ .name = "n", .state = 4 });
    sonde_statsd_send_check(s, &(sonde_statsd_check){ .state = SONDE_STATSD_OK });
    assert_int_equal(counters(s).refused, COUNT_OF(metrics) + 4);
    assert_int_equal(counters(s).metrics, 0);
    (void)sonde_statsd_flush(s, 0);
    expect_lines(NULL, 0);
    sonde_statsd_free(s);
}

static void test_nothing_happens_without_a_client(void **state)
{
    sonde_statsd_counters c = { .struct_bytes = sizeof(c), .lines = 9 };

    (void)state;
    sonde_statsd_count(NULL, "c", 1, NULL);
    sonde_statsd_set(NULL, "c", "m", NULL);
    sonde_statsd_send(NULL, &(sonde_statsd_metric){ .name = "c" });
    sonde_statsd_send_event(NULL, &(sonde_statsd_event){ .title = "t" });
    sonde_statsd_send_check(NULL, NULL);
    sonde_statsd_free(NULL);
    assert_status(sonde_statsd_flush(NULL, 1), SONDE_ERR_INVALID);
    sonde_statsd_counters_read(NULL, &c);
    assert_int_equal(c.lines, 0);
    sonde_statsd_counters_read(NULL, NULL);
    assert_null(sonde_statsd_new(&(sonde_statsd_options){ .address = "tcp://h:1" }));
    assert_string_equal(sonde_statsd_drop_name(SONDE_STATSD_DROP_SOCKET_FULL), "socket_full");
    assert_string_equal(sonde_statsd_drop_name(99), "unknown");
}

static void test_an_older_program_gives_shorter_structs(void **state)
{
    sonde_statsd *s =
        client((sonde_statsd_options){ .struct_bytes = sizeof(sonde_statsd_options) });
    sonde_statsd_metric m = { .struct_bytes = offsetof(sonde_statsd_metric, rate),
                              .type = SONDE_STATSD_COUNT,
                              .name = "c",
                              .value = 5,
                              .unix_s = 1656581400,
                              .cardinality = "high" };
    sonde_statsd_counters c = { .struct_bytes = offsetof(sonde_statsd_counters, refused),
                                .refused = 77 };

    (void)state;
    sonde_statsd_send(s, &m);
    sonde_statsd_counters_read(s, &c);
    assert_int_equal(c.metrics, 1);
    assert_int_equal(c.refused, 77);
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("c:5|c");
    sonde_statsd_free(s);
}

/* -- bounds --------------------------------------------------------------------------------------- */

static void test_beyond_the_contexts_metrics_become_lines_of_their_own(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .contexts_max = 4 });
    static char long_name[1100];
    char name[16];
    int i;

    (void)state;
    for (i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i % 6);
        sonde_statsd_count(s, name, 1, NULL);
    }
    assert_int_equal(counters(s).contexts, 4);
    assert_int_equal(counters(s).contexts_refused, 4);
    (void)sonde_statsd_flush(s, 100);
    receive();
    for (i = 0; i < 4; i++) {
        char want[32];

        (void)snprintf(want, sizeof(want), "c%d:2|c", i);
        assert_int_equal(times(want), 1);
    }
    assert_int_equal(times("c4:1|c") + times("c5:1|c"), 4);
    memset(long_name, 'n', sizeof(long_name) - 1);
    sonde_statsd_count(s, long_name, 1, NULL);
    assert_int_equal(counters(s).contexts_refused, 5);
    for (i = 0; i < 6; i++)
        (void)sonde_statsd_flush(s, 0);
    assert_int_equal(counters(s).contexts, 0); /* idle: forgotten */
    sonde_statsd_count(s, "c9", 1, NULL);
    assert_int_equal(counters(s).contexts, 1);
    sonde_statsd_free(s);
}

static void test_every_datagram_keeps_to_the_limit_and_holds_whole_lines(void **state)
{
    static const uint32_t limits[] = { 64, 100, 512, 1432, 8192 };
    sonde_rng rng;
    size_t i;
    int k;

    (void)state;
    sonde_rng_seed(&rng, 7);
    for (i = 0; i < COUNT_OF(limits); i++) {
        sonde_statsd *s = client(
            (sonde_statsd_options){ .max_datagram_bytes = limits[i], .aggregate = i % 2 ? -1 : 1 });
        sonde_statsd_counters c;

        forget_lines();
        for (k = 0; k < 3000; k++) {
            char name[80];

            memset(name, 'a' + (int)(sonde_rng_next(&rng) % 26), sizeof(name));
            name[1 + sonde_rng_next(&rng) % 70] = '\0';
            sonde_statsd_distribution(s, name, sonde_rng_unit(&rng), "k:v");
            sonde_statsd_count(s, name, (int64_t)sonde_rng_next(&rng), "k:v");
            if (k % 50 == 0)
                (void)sonde_statsd_flush(s, 0);
            receive();
        }
        (void)sonde_statsd_flush(s, 100);
        receive();
        c = counters(s);
        assert_int_equal(c.lines_sent, lines_len);
        assert_int_equal(c.datagrams_sent, datagrams);
        assert_true(longest_datagram <= limits[i]);
        if (limits[i] >= 100)
            assert_int_equal(c.lines_dropped[SONDE_STATSD_DROP_TOO_BIG], 0);
        else
            assert_true(c.lines_dropped[SONDE_STATSD_DROP_TOO_BIG] > 0);
        sonde_statsd_free(s);
    }
}

static void test_an_event_above_the_limit_is_dropped_alone(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .max_datagram_bytes = 1432 });
    static char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    sonde_statsd_send_event(s, &(sonde_statsd_event){ .title = "before" });
    sonde_statsd_send_event(s, &(sonde_statsd_event){ .title = "big", .text = text });
    sonde_statsd_send_event(s, &(sonde_statsd_event){ .title = "after" });
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("_e{6,0}:before|", "_e{5,0}:after|");
    assert_int_equal(counters(s).lines_dropped[SONDE_STATSD_DROP_TOO_BIG], 1);
    sonde_statsd_free(s);
}

static void test_a_receiver_that_does_not_read_costs_lines_not_time(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .aggregate = -1, .max_datagram_bytes = 64 });
    sonde_statsd_counters c;
    int i;

    (void)state;
    for (i = 0; i < 20000; i++)
        sonde_statsd_count(s, "a.name.of.some.length.to.fill.it", i, NULL);
    assert_status(sonde_statsd_flush(s, 0), SONDE_ERR_TIMEOUT);
    c = counters(s);
    assert_int_equal(c.lines, 20000);
    assert_int_equal(c.lines_queued, 0);
    assert_true(c.lines_dropped[SONDE_STATSD_DROP_SOCKET_FULL] > 0);
    assert_true(c.datagrams_dropped > 0);
    receive();
    assert_int_equal(c.lines_sent, lines_len);
    sonde_statsd_free(s);
}

static void test_without_a_receiver_lines_are_dropped_and_counted(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .address = "unix:///nowhere/dsd.socket" });

    (void)state;
    sonde_statsd_count(s, "c", 1, NULL);
    assert_status(sonde_statsd_flush(s, 100), SONDE_ERR_CONNECT);
    assert_int_equal(counters(s).lines_dropped[SONDE_STATSD_DROP_UNREACHABLE], 1);
    assert_int_equal(counters(s).connects, 0);
    sonde_statsd_free(s);
}

/* While one thread is in the system call of a datagram, others fill the ring. */
static void test_what_waits_is_bounded(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ .aggregate = -1 });
    sonde_statsd_counters c;
    int i;

    (void)state;
    assert_true(sonde__statsd_out_begin(&s->out, 0));
    for (i = 0; i < 10000; i++)
        sonde_statsd_count(s, "a.name.of.some.length.to.fill.it", i, NULL);
    c = counters(s);
    assert_true(c.lines_dropped[SONDE_STATSD_DROP_QUEUE_FULL] > 0);
    assert_in_range(c.lines_queued, 1000, 65536 / 36);
    assert_status(sonde_statsd_flush(s, 1), SONDE_ERR_TIMEOUT);
    sonde__statsd_out_end(&s->out, true, 0, false);
    receive();
    assert_int_equal(lines_len, c.lines_queued);
    sonde_statsd_free(s);
}

/* -- memory --------------------------------------------------------------------------------------- */

static sonde_status make_and_use(void *unused)
{
    sonde_statsd_options o = { .address = address, .by_hand = 1, .tags = "a:b", .prefix = "p." };
    sonde_statsd *s = sonde_statsd_new(&o);

    (void)unused;
    if (!s)
        return SONDE_ERR_NOMEM;
    sonde_statsd_count(s, "c", 1, NULL);
    sonde_statsd_distribution(s, "d", 1, NULL);
    assert_status(sonde_statsd_flush(s, 30000), SONDE_OK);
    receive();
    assert_int_equal(times("p.c:1|c|#a:b") + times("p.d:1|d|#a:b"), 2);
    forget_lines();
    sonde_statsd_free(s);
    return SONDE_OK;
}

static void test_no_memory_costs_the_collection_not_the_metric(void **state)
{
    (void)state;
    alloc_fail_each(make_and_use, NULL);
}

static void test_a_known_context_costs_no_allocation(void **state)
{
    sonde_statsd *s;
    int i;

    (void)state;
    alloc_fail_begin();
    s = client((sonde_statsd_options){ 0 });
    for (i = 0; i < 2; i++) {
        sonde_statsd_count(s, "c", 1, "a:b");
        sonde_statsd_distribution(s, "d", 1, "a:b");
        (void)sonde_statsd_flush(s, 0);
        alloc_fail_at(1); /* the second round may have none */
    }
    assert_int_equal(counters(s).contexts_refused, 0);
    alloc_fail_at(0);
    sonde_statsd_free(s);
    alloc_fail_end();
}

/* -- threads, fork, who sends --------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS  20000

static void *count_much(void *user)
{
    sonde_statsd *s = (sonde_statsd *)user;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        sonde_statsd_count(s, "shared", 1, NULL);
        sonde_statsd_count(s, i % 2 ? "odd" : "even", 1, NULL);
        sonde_statsd_gauge(s, "last", i, NULL);
        if (i % 500 == 0)
            (void)sonde_statsd_flush(s, 0);
    }
    return NULL;
}

static int64_t sum_of(const char *name)
{
    int64_t sum = 0;
    size_t i;

    for (i = 0; i < lines_len; i++) {
        sonde_str rest = sonde_str_from(lines[i]);
        int64_t n = 0;

        if (!sonde_str_eq(sonde_str_cut(&rest, ':'), sonde_str_from(name)))
            continue;
        assert_status(sonde_parse_i64(sonde_str_cut(&rest, '|'), &n), SONDE_OK);
        sum += n;
    }
    return sum;
}

static void test_no_count_of_several_threads_is_lost(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ 0 });
    pthread_t thread[THREADS];
    int i;

    (void)state;
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count_much, s), 0);
    for (i = 0; i < 200; i++)
        receive(); /* so that nothing is dropped, most likely; below it is made sure */
    for (i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    (void)sonde_statsd_flush(s, 1000);
    receive();
    assert_int_equal(counters(s).metrics, 3 * THREADS * ROUNDS);
    if (counters(s).lines_sent == counters(s).lines) {
        assert_int_equal(sum_of("shared"), THREADS * ROUNDS);
        assert_int_equal(sum_of("odd") + sum_of("even"), THREADS * ROUNDS);
    }
    sonde_statsd_free(s);
}

static int in_child(sonde_statsd *s)
{
    if (counters(s).metrics != 0 || counters(s).contexts != 0 || counters(s).lines != 0)
        return 1;
    sonde_statsd_count(s, "child", 1, NULL);
    if (sonde_statsd_flush(s, 1000) != SONDE_OK || counters(s).connects != 1)
        return 2;
    sonde_statsd_free(s);
    return 0;
}

static void test_a_forked_child_begins_empty(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ 0 });
    int status = -1;
    pid_t pid;

    (void)state;
    sonde_statsd_count(s, "parent", 1, NULL);
    sonde_statsd_send_event(s, &(sonde_statsd_event){ .title = "parent" });
    pid = fork();
    if (pid == 0)
        _exit(in_child(s));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    sonde_statsd_count(s, "parent", 1, NULL);
    assert_status(sonde_statsd_flush(s, 30000), SONDE_OK);
    EXPECT_LINES("child:1|c", "parent:2|c", "_e{6,0}:parent|");
    sonde_statsd_free(s);
}

/* Waits a hundredth of a second at most: the interval. */
static void test_the_calling_thread_sends_when_it_is_time(void **state)
{
    sonde_statsd *s =
        sonde_statsd_new(&(sonde_statsd_options){ .address = address, .flush_interval_ms = 10 });

    (void)state;
    do
        sonde_statsd_count(s, "c", 1, NULL);
    while (counters(s).lines == 0);
    receive();
    assert_int_equal(lines_len, 1);
    sonde_statsd_free(s);
}

static void test_freeing_sends_the_rest(void **state)
{
    sonde_statsd *s = client((sonde_statsd_options){ 0 });

    (void)state;
    sonde_statsd_count(s, "c", 1, NULL);
    sonde_statsd_free(s);
    EXPECT_LINES("c:1|c");
}

static void test_the_default_client_is_made_from_the_environment(void **state)
{
    sonde_statsd *s;

    (void)state;
    assert_int_equal(setenv("DD_DOGSTATSD_URL", address, 1), 0);
    assert_int_equal(setenv("DD_ORIGIN_DETECTION_ENABLED", "true", 1), 0);
    assert_int_equal(setenv("DD_ENV", "dev", 1), 0);
    assert_int_equal(setenv("DD_SERVICE", "shop", 1), 0);
    assert_int_equal(setenv("DD_VERSION", "7", 1), 0);
    assert_int_equal(setenv("DD_ENTITY_ID", "pod", 1), 0);
    assert_int_equal(setenv("DD_EXTERNAL_ENV", "it-false", 1), 0);
    assert_int_equal(setenv("DATADOG_CARDINALITY", "none", 1), 0);
    s = sonde_statsd_default();
    assert_non_null(s);
    assert_ptr_equal(s, sonde_statsd_default());
    s->shared.local_data = SONDE_STR("in-12"); /* whatever this machine is */
    sonde_statsd_count(s, "c", 1, NULL);
    sonde_statsd_free(s); /* does nothing */
    (void)sonde_statsd_flush(s, 100);
    EXPECT_LINES("c:1|c|#dd.internal.entity_id:pod,env:dev,service:shop,version:7|c:in-12"
                 "|e:it-false|card:none");
}

static int make_dir(void **state)
{
    (void)state;
    temp_dir_make(dir, sizeof(dir));
    return setenv("DD_ORIGIN_DETECTION_ENABLED", "false", 1);
}

static int remove_dir(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_server, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_counts_are_summed_gauges_are_the_last_and_members_are_sent_once),
        T(test_values_are_packed_into_one_line),
        T(test_without_packing_each_value_is_a_line),
        T(test_without_collection_each_call_is_a_line),
        T(test_a_metric_with_a_time_goes_out_as_it_is),
        T(test_the_rate_is_on_the_line_of_what_was_sampled),
        T(test_what_differs_in_type_tags_or_cardinality_is_kept_apart),
        T(test_events_and_checks_are_sent),
        T(test_what_is_no_metric_is_refused_and_counted),
        T(test_nothing_happens_without_a_client),
        T(test_an_older_program_gives_shorter_structs),
        T(test_beyond_the_contexts_metrics_become_lines_of_their_own),
        T(test_every_datagram_keeps_to_the_limit_and_holds_whole_lines),
        T(test_an_event_above_the_limit_is_dropped_alone),
        T(test_a_receiver_that_does_not_read_costs_lines_not_time),
        T(test_without_a_receiver_lines_are_dropped_and_counted),
        T(test_what_waits_is_bounded),
        T(test_no_memory_costs_the_collection_not_the_metric),
        T(test_a_known_context_costs_no_allocation),
        T(test_no_count_of_several_threads_is_lost),
        T(test_a_forked_child_begins_empty),
        T(test_the_calling_thread_sends_when_it_is_time),
        T(test_freeing_sends_the_rest),
        T(test_the_default_client_is_made_from_the_environment),
    };

    return cmocka_run_group_tests_name("statsd", tests, make_dir, remove_dir);
}
