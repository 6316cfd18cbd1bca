/* test_own_metrics.c - runtime metrics against work of known size, health metrics against known counters, and
 * both of a tracer's life as they arrive. */
#include "support/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "libtrace/src/health_metrics.h"
#include "libtrace/src/runtime_metrics.h"
#include "libtrace/src/statsd_client.h"
#include "sonde/sonde.h"
#include "support/temp_dir.h"

/* -- what is read --------------------------------------------------------------------------------- */

static void test_texts_of_the_kernel_are_read_and_odd_ones_are_not(void **state)
{
    static const struct {
        const char *stat;
        int64_t want;
    } cases[] = {
        { "7 (a) S 1 7 7 0 -1 4194560 100 0 2 0 5 6 0 0 20 0 3 0 99 8192 12\n", 3 },
        { "7 (a ) b) 1) S 1 7 7 0 -1 4194560 100 0 2 0 5 6 0 0 20 0 44 0 99\n", 44 },
        { "7 (a) S 1 7", -1 },
        { "", -1 },
        { "7 (a", -1 },
    };
    sonde__runtime r;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(sonde__runtime_threads(sonde_str_from(cases[i].stat)), cases[i].want);
    sonde__runtime_memory(SONDE_STR("1000 250 3 4 0 5 0\n"), 4096, &r);
    assert_int_equal(r.virtual_bytes, 4096000);
    assert_int_equal(r.rss_bytes, 1024000);
    sonde__runtime_memory(SONDE_STR("2251799813685248000 1 1"), 4096, &r);
    assert_int_equal(r.virtual_bytes, -1); /* does not fit */
    assert_int_equal(r.rss_bytes, 4096);
    sonde__runtime_memory(SONDE_STR("x"), 4096, &r);
    assert_int_equal(r.virtual_bytes, -1);
    assert_int_equal(r.rss_bytes, -1);
}

#define PAGES   512
#define THREADS 3
#define FDS     5

static pthread_barrier_t meet;

static void *stand(void *unused)
{
    (void)unused;
    (void)pthread_barrier_wait(&meet); /* all are there */
    (void)pthread_barrier_wait(&meet); /* and may go */
    return NULL;
}

/* Touches pages, opens descriptors, starts threads, burns time; how much, is known. */
static void test_work_of_known_size_is_seen(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    sonde__runtime before, now;
    pthread_t thread[THREADS];
    struct timespec t = { 0, 1 };
    int fd[FDS], i;
    char *memory;
    void *volatile block; /* else the compiler does without */

    (void)state;
    (void)pthread_barrier_init(&meet, NULL, THREADS + 1);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, stand, NULL), 0);
    (void)pthread_barrier_wait(&meet);
    sonde__runtime_read(&before);
    for (i = 0; i < FDS; i++)
        fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    memory = (char *)mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
    (void)madvise(memory, PAGES * page, MADV_NOHUGEPAGE);
    for (i = 0; i < PAGES; i++)
        memory[(size_t)i * page] = 1;
    block = malloc(100000);
    memset(block, 1, 100000);
    do {
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        sonde__runtime_read(&now);
    } while (now.user_us + now.system_us < before.user_us + before.system_us + 20000);
    for (i = 0; i < 10; i++)
        (void)nanosleep(&(struct timespec){ 0, 1 }, NULL);
    sonde__runtime_read(&now);
    /* The upper bounds leave room for a sanitizer's own work. */
    assert_int_equal(now.fds, before.fds + FDS);
    assert_in_range(now.minor_faults - before.minor_faults, PAGES, 20 * PAGES);
    assert_in_range(now.virtual_bytes - before.virtual_bytes, PAGES * page, 20 * PAGES * page);
    assert_in_range(now.rss_bytes - before.rss_bytes, PAGES * page / 2, 20 * PAGES * page);
    if (before.heap_bytes > 0) /* not under sanitizers, which bring an allocator of their own */
        assert_in_range(now.heap_bytes - before.heap_bytes, 100000, 150000);
    assert_in_range(now.voluntary_switches - before.voluntary_switches, 10, 100000);
    assert_true(now.mono_ns > before.mono_ns);
    (void)pthread_barrier_wait(&meet);
    for (i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    before = now;
    do /* the kernel counts a thread for a moment longer than a join takes */
        sonde__runtime_read(&now);
    while (now.threads > before.threads - THREADS &&
           now.mono_ns - before.mono_ns < 30 * (uint64_t)SONDE_NS_PER_S);
    assert_int_equal(now.threads, before.threads - THREADS);
    for (i = 0; i < FDS; i++)
        (void)close(fd[i]);
    free(block);
    (void)munmap(memory, PAGES * page);
    (void)pthread_barrier_destroy(&meet);
}

/* -- what arrives --------------------------------------------------------------------------------- */

static char dir[64];
static char address[128];
static int server = -1;
static char got[65536];

static int open_server(void **state)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    (void)state;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/dsd", dir);
    (void)snprintf(address, sizeof(address), "unix://%s", a.sun_path);
    (void)unlink(a.sun_path);
    server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return bind(server, (struct sockaddr *)&a, sizeof(a));
}

static int close_server(void **state)
{
    (void)state;
    return close(server);
}

/* All that was sent, with a line feed before each line. */
static void receive(void)
{
    size_t len = 1;
    ssize_t n;

    got[0] = '\n';
    while ((n = recv(server, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    got[len] = '\0';
}

static void expect_line(const char *begin)
{
    char text[300];

    (void)snprintf(text, sizeof(text), "\n%s", begin);
    if (!strstr(got, text))
        fail_msg("no line begins with \"%s\" in:%s", begin, got);
}

static size_t lines(void)
{
    size_t n = 0;
    const char *at;

    for (at = got + 1; (at = strchr(at, '\n')) != NULL; at++)
        n++;
    return n;
}

static sonde_statsd *client(void)
{
    sonde_statsd *s = sonde_statsd_new(&(sonde_statsd_options){ .address = address, .by_hand = 1 });

    assert_non_null(s);
    return s;
}

static void test_what_happened_is_told_per_second(void **state)
{
    const sonde__runtime before = { .mono_ns = 1, .user_us = 100, .minor_faults = 10 };
    const sonde__runtime now = { .mono_ns = 1 + 10 * (uint64_t)SONDE_NS_PER_S,
                                 .user_us = 100 + 2500000,
                                 .system_us = 50000,
                                 .minor_faults = 30,
                                 .major_faults = 5,
                                 .voluntary_switches = 100,
                                 .involuntary_switches = -1,
                                 .rss_bytes = 4096,
                                 .virtual_bytes = 8192,
                                 .heap_bytes = -1,
                                 .threads = 2,
                                 .fds = 3 };
    sonde_statsd *s = client();

    (void)state;
    sonde__runtime_report(s, &before, &now);
    sonde_statsd_free(s);
    receive();
    expect_line("runtime.native.cpu.user:250|g\n");
    expect_line("runtime.native.cpu.system:5|g\n");
    expect_line("runtime.native.mem.rss:4096|g\n");
    expect_line("runtime.native.mem.virtual:8192|g\n");
    expect_line("runtime.native.threads:2|g\n");
    expect_line("runtime.native.fds:3|g\n");
    expect_line("runtime.native.page_faults.minor:2|g\n");
    expect_line("runtime.native.page_faults.major:0.5|g\n");
    expect_line("runtime.native.ctx_switches.voluntary:10|g\n");
    assert_int_equal(lines(), 9); /* what is not known is not told */
}

static void test_counters_are_told_by_what_they_grew(void **state)
{
    sonde_counters before = { .spans_started = 5, .payloads_sent = 1 };
    sonde_counters now = { .spans_started = 7,
                           .spans_finished = 2,
                           .chunks_queued = 4,
                           .payloads_sent = 2,
                           .payloads_failed = 1,
                           .send_retries = 3,
                           .payload_bytes = 100,
                           .stats_payloads_failed = 1 };
    sonde_statsd *s = client();

    (void)state;
    now.chunks_dropped[SONDE_DROP_NO_MEMORY] = 1;
    now.chunks_dropped[SONDE_DROP_TRACE_TOO_BIG] = 2;
    now.chunks_dropped[SONDE_DROP_PAYLOAD_TOO_BIG] = 3;
    now.chunks_dropped[SONDE_DROP_AGENT_BUSY] = 4;
    now.chunks_dropped[SONDE_DROP_STOPPED] = 5;
    now.chunks_dropped[SONDE_DROP_NOT_SAMPLED] = 6;
    now.spans_dropped[SONDE_DROP_NOT_SAMPLED] = 60;
    sonde__health_report(s, &before, &now);
    sonde_statsd_free(s);
    receive();
    expect_line("datadog.tracer.spans_started:2|c\n");
    expect_line("datadog.tracer.spans_finished:2|c\n");
    expect_line("datadog.tracer.queue.length:4|g\n");
    expect_line("datadog.tracer.traces_dropped:1|c|#reason:queue_full\n");
    expect_line("datadog.tracer.traces_dropped:2|c|#reason:trace_too_large\n");
    expect_line("datadog.tracer.traces_dropped:3|c|#reason:encoding_error\n");
    expect_line("datadog.tracer.traces_dropped:9|c|#reason:send_failed\n");
    expect_line("datadog.tracer.flush_triggered:2|c\n");
    expect_line("datadog.tracer.flush_bytes:100|c\n");
    expect_line("datadog.tracer.api.requests:6|c\n");
    expect_line("datadog.tracer.api.errors:5|c\n");
    expect_line("datadog.tracer.dropped_p0_traces:6|c\n");
    expect_line("datadog.tracer.dropped_p0_spans:60|c\n");
    expect_line("datadog.tracer.stats.flush_payloads:1|c\n");
    expect_line("datadog.tracer.stats.flush_buckets:1|c\n");
    expect_line("datadog.tracer.stats.flush_errors:1|c\n");
    assert_int_equal(lines(), 16);
}

static void test_a_life_of_the_tracer_is_told_from_start_to_stop(void **state)
{
    sonde_options o = { .service = "shop", .env = "dev" };
    char text[300];

    (void)state;
    assert_int_equal(setenv("DD_DOGSTATSD_URL", address, 1), 0);
    assert_status(sonde_start(&o), SONDE_OK);
    assert_int_equal(poll(&(struct pollfd){ .fd = server, .events = POLLIN }, 1, 30000), 1);
    receive();
    (void)snprintf(text, sizeof(text),
                   "datadog.tracer.started:1|c|#env:dev,service:shop,lang:c,runtime-id:");
    expect_line(text);
    sonde_span_finish(sonde_span_start("work", NULL));
    sonde_stop();
    receive();
    expect_line("datadog.tracer.spans_started:1|c|");
    expect_line("datadog.tracer.spans_finished:1|c|");
    expect_line("datadog.tracer.flush_triggered:1|c|");
    expect_line("datadog.tracer.flush_duration:");
    expect_line("datadog.tracer.traces_dropped:1|c|#env:dev,service:shop,lang:c,runtime-id:");
    expect_line("datadog.tracer.stopped:1|c|");
    assert_non_null(strstr(got, ",reason:send_failed\n"));
}

/* Nothing is called after the count: the thread that tends the clients sends it. */
static void test_the_background_thread_sends_what_clients_collect(void **state)
{
    sonde_statsd *before =
        sonde_statsd_new(&(sonde_statsd_options){ .address = address, .flush_interval_ms = 10 });
    sonde_statsd *after;

    (void)state;
    assert_status(sonde_start(NULL), SONDE_OK);
    while (!atomic_load_explicit(&sonde__statsd_tended, memory_order_relaxed))
        (void)usleep(100);
    after = sonde_statsd_new(
        &(sonde_statsd_options){ .address = address, .flush_interval_ms = 3600000 });
    sonde_statsd_count(before, "before", 1, NULL);
    sonde_statsd_count(after, "after", 1, NULL);
    assert_int_equal(poll(&(struct pollfd){ .fd = server, .events = POLLIN }, 1, 30000), 1);
    receive();
    expect_line("before:1|c");
    assert_null(strstr(got, "after"));
    sonde_stop(); /* sends what is not due yet */
    receive();
    expect_line("after:1|c");
    assert_false(atomic_load_explicit(&sonde__statsd_tended, memory_order_relaxed));
    sonde_statsd_free(before);
    sonde_statsd_free(after);
}

static void test_they_are_off_unless_asked_for(void **state)
{
    (void)state;
    assert_int_equal(setenv("DD_TRACE_HEALTH_METRICS_ENABLED", "false", 1), 0);
    assert_int_equal(setenv("DD_RUNTIME_METRICS_ENABLED", "false", 1), 0);
    assert_status(sonde_start(NULL), SONDE_OK);
    sonde_span_finish(sonde_span_start("work", NULL));
    sonde_stop();
    receive();
    assert_int_equal(lines(), 0);
}

static int prepare(void **state)
{
    (void)state;
    temp_dir_make(dir, sizeof(dir));
    return setenv("DD_ORIGIN_DETECTION_ENABLED", "false", 1) |
           setenv("DD_TRACE_HEALTH_METRICS_ENABLED", "true", 1) |
           setenv("DD_RUNTIME_METRICS_ENABLED", "true", 1) |
           setenv("DD_TRACE_AGENT_URL", "unix:///nowhere", 1) |
           setenv("DD_TRACE_SEND_RETRIES", "0", 1) | setenv("DD_TRACE_STARTUP_LOGS", "false", 1) |
           setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false", 1) |
           setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1);
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
        cmocka_unit_test(test_texts_of_the_kernel_are_read_and_odd_ones_are_not),
        cmocka_unit_test(test_work_of_known_size_is_seen),
        T(test_what_happened_is_told_per_second),
        T(test_counters_are_told_by_what_they_grew),
        T(test_a_life_of_the_tracer_is_told_from_start_to_stop),
        T(test_they_are_off_unless_asked_for),
        T(test_the_background_thread_sends_what_clients_collect),
    };

    return cmocka_run_group_tests_name("own_metrics", tests, prepare, remove_dir);
}
