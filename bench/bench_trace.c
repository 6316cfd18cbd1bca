/* bench_trace.c - what a span costs the program, and the process.
 *
 *   bench_trace [NAME...]      prints one JSON object a line; without names all scenarios
 *
 * The sink is another process that answers 200 to every request and looks at nothing; what it takes lets
 * DD_TRACE_API_VERSION choose the form, and where statistics are measured it leaves them to the tracer.  Times
 * of the hot
 * path are taken in bursts that fit into the tracer's memory, with a flush between bursts outside the
 * clock, so that what is measured is spans that are kept and sent, never spans that were dropped. */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sonde/sonde.h>

#include "base/parse.h"
#include "base/str.h"

#define BURST_TRACES 400
#define TRACE_SPANS  10 /* a root and nine children, one after another */
#define BURSTS_MAX   100

static char agent_url[64];

/* -- counting allocations ------------------------------------------------------------------------- */

static _Atomic uint64_t allocations;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static void count_allocation(void)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *malloc(size_t bytes)
{
    count_allocation();
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    count_allocation();
    return __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes)
{
    count_allocation();
    return __libc_realloc(p, bytes);
}

/* -- the sink ------------------------------------------------------------------------------------- */

/* In memory shared with it. */
typedef struct sink_page {
    _Atomic uint64_t traces; /* sum of X-Datadog-Trace-Count */
    _Atomic bool no_stats;   /* the tracer computes them */
} sink_page;

typedef struct sink {
    pid_t pid;
    sink_page *page;
} sink;

/* The number `text` begins with, blanks before it. */
static uint64_t number_at(const char *text)
{
    sonde_str s = sonde_str_trim((sonde_str){ text, strcspn(text, "\r\n") });
    uint64_t v = 0;

    s.len = strspn(s.ptr, "0123456789");
    (void)sonde_parse_u64(s, &v);
    return v;
}

#define TAKES "{\"endpoints\":[\"/v0.4/traces\",\"/v0.5/traces\",\"/v1.0/traces\""

static void answer(int fd, bool no_stats)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" TAKES "]}";
    static const char leaves[] = "HTTP/1.1 200 OK\r\nContent-Length: 97\r\n\r\n" TAKES
                                 ",\"/v0.6/stats\"],\"client_drop_p0s\":true}";

    (void)!write(fd, no_stats ? leaves : ok, no_stats ? sizeof(leaves) - 1 : sizeof(ok) - 1);
}

/* One connection after another: the tracer has one. */
static void serve_connection(int fd, char *buffer, size_t cap, sink_page *page)
{
    size_t have = 0;

    for (;;) {
        ssize_t n = read(fd, buffer + have, 16384 - have);
        char *end, *length, *count;
        long long left;

        if (n <= 0)
            return;
        have += (size_t)n;
        end = (char *)memmem(buffer, have, "\r\n\r\n", 4);
        if (!end)
            continue;
        *end = '\0';
        length = strcasestr(buffer, "Content-Length:");
        count = strcasestr(buffer, "X-Datadog-Trace-Count:");
        left = length ? (long long)number_at(length + 15) : 0;
        left -= (long long)(have - (size_t)(end + 4 - buffer));
        while (left > 0) {
            n = read(fd, buffer + 16384, cap - 16384);
            if (n <= 0)
                return;
            left -= n;
        }
        if (count)
            atomic_fetch_add(&page->traces, number_at(count + 22));
        answer(fd, atomic_load(&page->no_stats));
        have = 0;
    }
}

static void serve(int listener, sink_page *page)
{
    size_t cap = 1u << 20;
    char *buffer = (char *)malloc(cap);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            _exit(1);
        serve_connection(fd, buffer, cap, page);
        (void)close(fd);
    }
}

static sink start_sink(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sink s;

    s.page =
        (sink_page *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        perror("sink");
        exit(1);
    }
    (void)snprintf(agent_url, sizeof(agent_url), "http://127.0.0.1:%d", ntohs(at.sin_port));
    s.pid = fork();
    if (s.pid == 0)
        serve(fd, s.page);
    (void)close(fd);
    return s;
}

static sink the_sink;

/* -- measuring ------------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static void start(int enabled)
{
    sonde_options o = {
        .service = "bench", .env = "bench", .agent_url = agent_url, .enabled = enabled
    };

    if (sonde_start(&o) != SONDE_OK)
        fprintf(stderr, "bench_trace: cannot start\n"), exit(1);
}

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

/* Left out on purpose is not dropped. */
static uint64_t dropped(void)
{
    sonde_counters c = counters();
    uint64_t sum = 0;
    uint32_t i;

    for (i = 0; i < c.drops; i++)
        sum += i == SONDE_DROP_NOT_SAMPLED ? 0 : c.spans_dropped[i];
    return sum;
}

static void tag(sonde_span *span, int tags)
{
    if (tags == 0)
        return;
    sonde_span_set_str(span, "http.method", "GET");
    sonde_span_set_str(span, "http.route", "/users/{id}/orders");
    sonde_span_set_str(span, "component", "bench");
}

static void one_trace(int spans, int tags)
{
    SONDE_SPAN(root, "http.request");
    int i;

    tag(root, tags);
    for (i = 1; i < spans; i++) {
        SONDE_SPAN(child, "db.query");
        tag(child, tags);
    }
}

typedef struct load {
    int cpu;
    int spans; /* of one trace */
    int tags;
    int bursts;
    uint64_t burst_ns[BURSTS_MAX]; /* of each burst, for the median */
    pthread_barrier_t *barrier;
} load;

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

/* All threads burst together; one of them flushes between bursts. */
static void *burst(void *arg)
{
    load *l = (load *)arg;
    int traces = BURST_TRACES * TRACE_SPANS / l->spans;
    int i, j;

    if (l->cpu >= 0)
        pin(l->cpu);
    for (i = 0; i < l->bursts; i++) {
        uint64_t from;

        if (l->barrier)
            (void)pthread_barrier_wait(l->barrier);
        from = now_ns();
        for (j = 0; j < traces; j++)
            one_trace(l->spans, l->tags);
        l->burst_ns[i] = now_ns() - from;
        if (l->barrier)
            (void)pthread_barrier_wait(l->barrier);
        if (l->cpu <= 0)
            (void)sonde_flush(10000);
    }
    return NULL;
}

/* Touches the memory, and lets the tracer calibrate its clock. */
static void warm_up(int tags)
{
    uint64_t until = now_ns() + 300000000u;
    int i;

    while (now_ns() < until) {
        for (i = 0; i < BURST_TRACES; i++)
            one_trace(TRACE_SPANS, tags);
        (void)sonde_flush(10000);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The median burst, so that what else the machine does in between does not count. */
static double median_ns(uint64_t *burst_ns, int bursts, int ops)
{
    qsort(burst_ns, (size_t)bursts, sizeof(burst_ns[0]), by_size);
    return (double)burst_ns[bursts / 2] / ops;
}

static double ns_per_span(load *l)
{
    return median_ns(l->burst_ns, l->bursts, BURST_TRACES * TRACE_SPANS);
}

static void check_no_drops(const char *what)
{
    if (dropped() > 0)
        fprintf(stderr, "bench_trace: %s dropped %llu spans\n", what,
                (unsigned long long)dropped());
}

static void bench_span_of(const char *name, int spans, int tags)
{
    load l = { .cpu = -1, .spans = spans, .tags = tags, .bursts = 60 };
    uint64_t before;

    start(1);
    warm_up(tags);
    before = atomic_load(&allocations);
    (void)burst(&l);
    printf("{\"bench\":\"%s\",\"tags\":%d,\"threads\":1,\"ns_per_op\":%.1f,\"allocs_per_op\":%.6f,"
           "\"n\":%d}\n",
           name, tags, ns_per_span(&l),
           (double)(atomic_load(&allocations) - before) / (l.bursts * BURST_TRACES * TRACE_SPANS),
           l.bursts * BURST_TRACES * TRACE_SPANS);
    check_no_drops(name);
    sonde_stop();
}

static void bench_span(void)
{
    bench_span_of("span", TRACE_SPANS, 0);
    bench_span_of("span", TRACE_SPANS, 3);
    bench_span_of("root", 1, 0);
    bench_span_of("root", 1, 3);
}

/* As much work as a burst, of a thread alone with its registers: what the machine itself gives two threads. */
static void *spin(void *arg)
{
    load *l = (load *)arg;
    uint64_t x = 1;
    int i, j;

    pin(l->cpu);
    for (i = 0; i < l->bursts; i++) {
        uint64_t from;

        (void)pthread_barrier_wait(l->barrier);
        from = now_ns();
        for (j = 0; j < BURST_TRACES * TRACE_SPANS * 20; j++) {
            x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9) + (uint64_t)j;
            __asm__ volatile("" : "+r"(x));
        }
        l->burst_ns[i] = now_ns() - from;
        (void)pthread_barrier_wait(l->barrier);
    }
    return NULL;
}

/* Spans per second of so many threads together, each on its own core. */
static double burst_on(int threads, int tags, void *(*run)(void *))
{
    pthread_barrier_t barrier;
    pthread_t thread[2];
    load l[2];
    double rate = 0;
    int i;

    (void)pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (i = 0; i < threads; i++) {
        l[i] = (load){
            .cpu = i, .spans = TRACE_SPANS, .tags = tags, .bursts = 100, .barrier = &barrier
        };
        (void)pthread_create(&thread[i], NULL, run, &l[i]);
    }
    for (i = 0; i < threads; i++) {
        (void)pthread_join(thread[i], NULL);
        rate += 1e9 / ns_per_span(&l[i]);
    }
    (void)pthread_barrier_destroy(&barrier);
    return rate;
}

static void print_two_threads(int tags)
{
    uint64_t before = atomic_load(&allocations);
    double rate = burst_on(2, tags, burst);

    /* The threads themselves are allocated, so the figure is not quite 0. */
    printf("{\"bench\":\"span\",\"tags\":%d,\"threads\":2,\"ns_per_op\":%.1f,\"allocs_per_op\":%."
           "6f}\n",
           tags, 2e9 / rate,
           (double)(atomic_load(&allocations) - before) / (2.0 * 100 * BURST_TRACES * TRACE_SPANS));
}

static void bench_scaling(void)
{
    double one, two;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "bench_trace: two threads left out: one core\n");
        return;
    }
    start(1);
    warm_up(0);
    one = burst_on(1, 0, burst);
    two = burst_on(2, 0, burst);
    printf("{\"bench\":\"scaling\",\"threads\":2,\"ratio\":%.3f,\"one_per_s\":%.0f,\"two_per_s\":%."
           "0f,\"machine\":%.3f}\n",
           two / one, one, two, burst_on(2, 0, spin) / burst_on(1, 0, spin));
    print_two_threads(0);
    print_two_threads(3);
    check_no_drops("scaling");
    sonde_stop();
}

static void bench_off(void)
{
    const int n = 20000000;
    uint64_t from;
    int i;

    start(-1);
    from = now_ns();
    for (i = 0; i < n; i++) {
        SONDE_SPAN(span, "off");
    }
    printf("{\"bench\":\"off\",\"ns_per_op\":%.2f,\"n\":%d}\n", (double)(now_ns() - from) / n, n);
    sonde_stop();
}

/* -- unsampled ------------------------------------------------------------------------------------ */

/* The agent leaves them to the tracer, which then sends nothing of unsampled traces. */
static void start_with_statistics(void)
{
    atomic_store(&the_sink.page->no_stats, true);
    start(1);
    if (sonde_wait_for_agent(10000) != SONDE_OK)
        fprintf(stderr, "bench_trace: the sink does not answer\n"), exit(1);
}

static void stop_with_statistics(uint64_t stats_spans_before)
{
    if (counters().stats_spans == stats_spans_before)
        fprintf(stderr, "bench_trace: no statistics were computed\n");
    sonde_stop();
    atomic_store(&the_sink.page->no_stats, false);
}

static void bench_unsampled(void)
{
    uint64_t stats_before = counters().stats_spans;
    uint64_t burst_ns[60];
    const int bursts = 60;
    int i, j, k;

    start_with_statistics();
    warm_up(0);
    for (i = 0; i < bursts; i++) {
        uint64_t from = now_ns();

        for (j = 0; j < BURST_TRACES; j++) {
            SONDE_SPAN(root, "http.request");
            sonde_span_drop(root);
            for (k = 1; k < TRACE_SPANS; k++) {
                SONDE_SPAN(child, "db.query");
            }
        }
        burst_ns[i] = now_ns() - from;
        (void)sonde_flush(10000);
    }
    printf("{\"bench\":\"unsampled\",\"ns_per_op\":%.1f,\"n\":%d}\n",
           median_ns(burst_ns, bursts, BURST_TRACES * TRACE_SPANS),
           bursts * BURST_TRACES * TRACE_SPANS);
    stop_with_statistics(stats_before);
}

/* -- propagation ---------------------------------------------------------------------------------- */

typedef struct map {
    struct {
        char name[32];
        char value[320];
        size_t name_len;
        size_t value_len;
    } row[8];
    int len;
} map;

static void map_set(void *user, sonde_str name, sonde_str value)
{
    map *m = (map *)user;

    memcpy(m->row[m->len].name, name.ptr, name.len);
    memcpy(m->row[m->len].value, value.ptr, value.len);
    m->row[m->len].name_len = name.len;
    m->row[m->len].value_len = value.len;
    m->len++;
}

static sonde_str map_get(void *user, sonde_str name)
{
    const map *m = (const map *)user;
    int i;

    for (i = 0; i < m->len; i++)
        if (m->row[i].name_len == name.len && memcmp(m->row[i].name, name.ptr, name.len) == 0)
            return (sonde_str){ m->row[i].value, m->row[i].value_len };
    return (sonde_str){ NULL, 0 };
}

static void hop(void)
{
    static map m;
    sonde_context *from;
    sonde_span *span;

    m.len = 0;

    sonde_inject(NULL, &(sonde_writer){ .set = map_set, .user = &m });
    from = sonde_extract(&(sonde_reader){ .get = map_get, .user = &m });
    span = sonde_span_start("http.request", &(sonde_span_options){ .context = from });
    sonde_context_release(from);
    sonde_span_finish(span);
}

static void bench_inject_extract(void)
{
    const int bursts = 100;
    const int n = 2000;
    uint64_t burst_ns[100];
    int i, j;

    start(1);
    warm_up(0);
    for (i = 0; i < bursts; i++) {
        uint64_t from;
        SONDE_SPAN(root, "client");

        from = now_ns();
        for (j = 0; j < n; j++)
            hop();
        burst_ns[i] = now_ns() - from;
        (void)sonde_flush(10000);
    }
    printf("{\"bench\":\"inject_extract\",\"ns_per_op\":%.1f,\"n\":%d}\n",
           median_ns(burst_ns, bursts, n), bursts * n);
    check_no_drops("inject_extract");
    sonde_stop();
}

/* -- the whole process ---------------------------------------------------------------------------- */

/* Runs `traces` traces at a steady rate, in slices of a millisecond. */
static void paced(uint64_t traces, uint64_t per_s, int spans, int tags)
{
    uint64_t from = now_ns();
    uint64_t done = 0;

    while (done < traces) {
        uint64_t want = (now_ns() - from) * per_s / 1000000000u;

        for (; done < want && done < traces; done++)
            one_trace(spans, tags);
        if (done < traces)
            (void)poll(NULL, 0, 1);
    }
}

/* Bursts with a flush behind each, so that nothing is dropped and nobody waits for a clock. */
static void bursts(int n, int tags)
{
    int i, j;

    for (i = 0; i < n; i++) {
        for (j = 0; j < BURST_TRACES; j++)
            one_trace(TRACE_SPANS, tags);
        (void)sonde_flush(10000);
    }
}

static void bench_kept_cpu(int tags, bool statistics)
{
    const int n = 250;
    const double spans = (double)n * BURST_TRACES * TRACE_SPANS;
    sonde_counters before, after;
    uint64_t cpu;

    before = counters();
    if (statistics)
        start_with_statistics();
    else
        start(1);
    warm_up(tags);
    before.payload_bytes = counters().payload_bytes;
    cpu = cpu_ns();
    bursts(n, tags);
    cpu = cpu_ns() - cpu;
    after = counters();
    printf(
        "{\"bench\":\"kept_cpu%s%s\",\"tags\":%d,\"ns_per_op\":%.1f,\"n\":%.0f,\"bytes_per_op\":%."
        "0f}\n",
        tags ? "3" : "", statistics ? "_stats" : "", tags, (double)cpu / spans, spans,
        (double)(after.payload_bytes - before.payload_bytes) / spans);
    check_no_drops("kept_cpu");
    if (statistics)
        stop_with_statistics(before.stats_spans);
    else
        sonde_stop();
}

static void bench_kept(void)
{
    bench_kept_cpu(0, false);
    bench_kept_cpu(3, false);
    bench_kept_cpu(0, true);
}

static void bench_delivered_at(const sink *s, uint64_t spans_per_s)
{
    const uint64_t traces = spans_per_s / TRACE_SPANS * 10;
    uint64_t before;
    uint64_t got;

    start(1);
    before = atomic_load(&s->page->traces);
    paced(traces, spans_per_s / TRACE_SPANS, TRACE_SPANS, 3);
    (void)sonde_flush(10000);
    got = atomic_load(&s->page->traces) - before;
    printf("{\"bench\":\"delivered%s\",\"pct\":%.3f,\"spans_per_s\":%llu}\n",
           spans_per_s > 75000 ? "_150k" : "", 100.0 * (double)got / (double)traces,
           (unsigned long long)spans_per_s);
    sonde_stop();
}

static long high_water_kib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = (long)number_at(line + 6);
    if (f)
        (void)fclose(f);
    return kib;
}

/* The part of the process below. */
static void million_spans(int enabled)
{
    int i;

    start(enabled);
    for (i = 0; i < 1000000 / TRACE_SPANS; i++)
        one_trace(TRACE_SPANS, 3);
    printf("%ld\n", high_water_kib());
    (void)fflush(stdout);
    _exit(0);
}

/* The high-water mark of a fresh process after a million spans nobody takes. */
static long million_spans_kib(const char *self, const char *enabled)
{
    char command[4200];
    char line[32] = "";
    FILE *f;

    (void)snprintf(command, sizeof(command), "'%s' million %s", self, enabled);
    f = popen(command, "r");
    if (!f || !fgets(line, sizeof(line), f))
        line[0] = '\0';
    if (f)
        (void)pclose(f);
    return (long)number_at(line);
}

static void bench_cap(void)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    long off, on;

    self[len > 0 ? len : 0] = '\0';
    off = million_spans_kib(self, "-1");
    on = million_spans_kib(self, "1");
    printf("{\"bench\":\"cap\",\"mib\":%.2f,\"off_mib\":%.2f}\n", (double)(on - off) / 1024,
           (double)off / 1024);
}

static void bench_delivered(void)
{
    bench_delivered_at(&the_sink, 75000);
    bench_delivered_at(&the_sink, 150000);
}

static bool is_wanted(int argc, char **argv, const char *name)
{
    int i;

    for (i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } benches[] = {
        { "span", bench_span },
        { "scaling", bench_scaling },
        { "off", bench_off },
        { "unsampled", bench_unsampled },
        { "inject_extract", bench_inject_extract },
        { "kept_cpu", bench_kept },
        { "delivered", bench_delivered },
        { "cap", bench_cap },
    };
    size_t i;

    (void)setenv("DD_TRACE_LOG_LEVEL", "error", 1);
    if (argc == 3 && strcmp(argv[1], "million") == 0) {
        (void)snprintf(agent_url, sizeof(agent_url), "http://127.0.0.1:1"); /* nobody listens */
        million_spans(strcmp(argv[2], "1") == 0 ? 1 : -1);
    }
    the_sink = start_sink();
    for (i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
        if (is_wanted(argc, argv, benches[i].name))
            benches[i].run();
        (void)fflush(stdout);
    }
    (void)kill(the_sink.pid, SIGKILL);
    (void)waitpid(the_sink.pid, NULL, 0);
    return 0;
}
