/* profiled_scenarios.c - programs of known profiles, as prof-correctness has them; prints what it counted.
 *
 *   profiled_scenarios ab MS         main() calls a() a third of the CPU time, b() the rest
 *   profiled_scenarios inline MS     the same of functions that are inlined into work()
 *   profiled_scenarios leak KIB      blocks of a KiB from leak() that are kept, as many from balanced() that are not
 *   profiled_scenarios spans MS      nine loops, each the same CPU time inside a span of its own below one request
 *   profiled_scenarios switch MS N   N threads that go from span to span every 50 us; each thread has ids of its own
 *   profiled_scenarios equal MS N    N threads, each the same CPU time in in_equal()
 *   profiled_scenarios brief US N    N threads, two at a time, each so many microseconds in in_brief()
 *
 * Linked with the tracer and the profiler; DD_PROFILING_ENABLED starts the latter. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sonde/profiler.h"
#include "sonde/sonde.h"

#if defined(__clang__)
#    define APART __attribute__((noinline))
#else
#    define APART __attribute__((noinline, noclone, no_icf))
#endif
#define NS_PER_MS   UINT64_C(1000000)
#define LOOPS       9
#define THREADS_MAX 64
#define SPANS       8
#define SWITCH_NS   UINT64_C(50000)

static uint64_t my_cpu(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static volatile uint64_t sink;

static inline __attribute__((always_inline)) uint64_t use(uint64_t ns)
{
    uint64_t from = my_cpu(), now;

    do {
        int i;

        for (i = 0; i < 2000; i++)
            sink += (uint64_t)i;
        now = my_cpu();
    } while (now - from < ns);
    return now - from;
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

/* Lengths must not keep step with a timer. */
static uint64_t chance(void)
{
    static uint64_t random = 88172645463325252u;

    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random;
}

/* -- ab, inline ------------------------------------------------------------------------------------- */

static APART uint64_t a(uint64_t ns)
{
    return use(ns);
}

static APART uint64_t b(uint64_t ns)
{
    return use(ns);
}

static inline __attribute__((always_inline)) uint64_t inlined_a(uint64_t ns)
{
    return use(ns);
}

static inline __attribute__((always_inline)) uint64_t inlined_b(uint64_t ns)
{
    return use(ns);
}

static APART void work(uint64_t ns, uint64_t *of_a, uint64_t *of_b)
{
    *of_a += inlined_a(ns);
    *of_b += inlined_b(2 * ns);
}

static void say_ab(uint64_t of_a, uint64_t of_b)
{
    (void)printf("{\"a\":%llu,\"b\":%llu}\n", (unsigned long long)of_a, (unsigned long long)of_b);
}

/* -- leak ------------------------------------------------------------------------------------------- */

static void *volatile kept;

static APART void *leak(void)
{
    void **block = malloc(1024);

    if (block)
        *block = kept;
    return block;
}

static APART void *balanced(void)
{
    return malloc(1024);
}

static void run_leak(uint64_t kib)
{
    uint64_t i;

    for (i = 0; i < kib; i++) {
        void *volatile block = balanced();

        kept = leak();
        free(block);
    }
    (void)printf("{\"bytes\":%llu,\"objects\":%llu}\n", (unsigned long long)kib * 1024,
                 (unsigned long long)kib);
}

/* -- spans ------------------------------------------------------------------------------------------ */

/* clang-format off */
#define LOOP(n) static APART uint64_t loop_##n(uint64_t ns) { return use(ns); }
LOOP(0) LOOP(1) LOOP(2) LOOP(3) LOOP(4) LOOP(5) LOOP(6) LOOP(7) LOOP(8)
    /* clang-format on */

    static uint64_t (*const loops[LOOPS])(uint64_t) = { loop_0, loop_1, loop_2, loop_3, loop_4,
                                                        loop_5, loop_6, loop_7, loop_8 };

static void run_spans(uint64_t ms)
{
    const sonde_span_options request = { .resource = "GET /loops", .type = "web" };
    sonde_span *root = sonde_span_start("request", &request), *spans[LOOPS];
    uint64_t used[LOOPS] = { 0 }, all = 0;
    int i;

    sonde_span_activate(root);
    for (i = 0; i < LOOPS; i++)
        spans[i] = sonde_span_start("loop", NULL);
    while (all < ms * NS_PER_MS) {
        uint64_t ns = chance() % (2 * NS_PER_MS);

        for (i = 0; i < LOOPS; i++) {
            sonde_span_activate(spans[i]);
            used[i] += loops[i](ns);
            sonde_span_deactivate(spans[i]);
            all += ns;
        }
    }
    (void)printf("{\"root\":%llu,\"loops\":[", (unsigned long long)sonde_span_id(root));
    for (i = 0; i < LOOPS; i++) {
        (void)printf("%s{\"span\":%llu,\"used\":%llu}", i ? "," : "",
                     (unsigned long long)sonde_span_id(spans[i]), (unsigned long long)used[i]);
        sonde_span_finish(spans[i]);
    }
    (void)printf("]}\n");
    sonde_span_finish(root);
}

/* -- switch ----------------------------------------------------------------------------------------- */

static uint64_t switch_ns, thread_ids[THREADS_MAX][SPANS + 2]; /* spans, the root, the thread */

static APART void in_switch(uint64_t ns)
{
    (void)use(ns);
}

static void *switches(void *arg)
{
    uint64_t *ids = arg, from = my_cpu();
    sonde_span *root = sonde_span_start("request", NULL), *spans[SPANS];
    unsigned i;

    sonde_span_activate(root);
    ids[SPANS] = sonde_span_id(root);
    ids[SPANS + 1] = (uint64_t)syscall(SYS_gettid);
    for (i = 0; i < SPANS; i++) {
        spans[i] = sonde_span_start("part", NULL);
        ids[i] = sonde_span_id(spans[i]);
    }
    for (i = 0; my_cpu() - from < switch_ns; i++) {
        sonde_span_activate(spans[i % SPANS]);
        in_switch(SWITCH_NS);
        sonde_span_deactivate(spans[i % SPANS]);
    }
    for (i = 0; i < SPANS; i++)
        sonde_span_finish(spans[i]);
    sonde_span_finish(root);
    return NULL;
}

static void run_switch(uint64_t ms, unsigned n)
{
    pthread_t threads[THREADS_MAX];
    unsigned i, k;

    n = n < THREADS_MAX ? n : THREADS_MAX;
    switch_ns = ms * NS_PER_MS;
    for (i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, switches, thread_ids[i]) != 0)
            abort();
    for (i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
    (void)printf("[");
    for (i = 0; i < n; i++) {
        (void)printf("%s[", i ? "," : "");
        for (k = 0; k < SPANS + 2; k++)
            (void)printf("%s%llu", k ? "," : "", (unsigned long long)thread_ids[i][k]);
        (void)printf("]");
    }
    (void)printf("]\n");
}

/* -- equal, brief ----------------------------------------------------------------------------------- */

#define EQUAL_MAX 256

static uint64_t equal_ns;
static struct {
    uint64_t used, tid;
} equals[EQUAL_MAX];

static APART uint64_t in_equal(uint64_t ns)
{
    return use(ns);
}

static APART uint64_t in_brief(uint64_t ns)
{
    return use(ns);
}

static void *runs_equal(void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;

    equals[i].tid = (uint64_t)syscall(SYS_gettid);
    equals[i].used = in_equal(equal_ns);
    return NULL;
}

static void *runs_brief(void *arg)
{
    uint64_t *used = arg;

    (void)in_brief(equal_ns);
    *used = my_cpu(); /* all of the thread's life */
    return NULL;
}

static uint64_t process_cpu(void)
{
    struct rusage r;

    (void)getrusage(RUSAGE_SELF, &r);
    return ((uint64_t)r.ru_utime.tv_sec + (uint64_t)r.ru_stime.tv_sec) * 1000000000u +
           ((uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec) * 1000u;
}

/* Of our handlers and threads. */
static uint64_t profiler_cpu(void)
{
    sonde_prof_counters c = { .struct_bytes = sizeof(c) };

    sonde_prof_read_counters(&c);
    return c.own_ns;
}

static void run_equal(unsigned n)
{
    uint64_t own = profiler_cpu(), process = process_cpu();
    pthread_t threads[EQUAL_MAX];
    uintptr_t i;

    n = n < EQUAL_MAX ? n : EQUAL_MAX;
    for (i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, runs_equal, (void *)i) != 0)
            abort();
    (void)printf("{\"threads\":[");
    for (i = 0; i < n; i++) {
        (void)pthread_join(threads[i], NULL);
        (void)printf("%s[%llu,%llu]", i ? "," : "", (unsigned long long)equals[i].tid,
                     (unsigned long long)equals[i].used);
    }
    (void)printf("],\"process\":%llu,\"own\":%llu}\n",
                 (unsigned long long)(process_cpu() - process),
                 (unsigned long long)(profiler_cpu() - own));
}

static void run_brief(unsigned n)
{
    uint64_t used[2] = { 0, 0 }, all = 0;
    pthread_t threads[2];
    unsigned i;

    for (i = 0; i < n; i++) {
        if (i >= 2) {
            (void)pthread_join(threads[i % 2], NULL);
            all += used[i % 2];
        }
        if (pthread_create(&threads[i % 2], NULL, runs_brief, &used[i % 2]) != 0)
            abort();
    }
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    (void)printf("{\"used\":%llu}\n", (unsigned long long)(all + used[0] + used[1]));
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 2 ? number(argv[2]) : 0, of_a = 0, of_b = 0;

    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "ab") == 0) {
        while (of_a + of_b < n * NS_PER_MS) {
            uint64_t ns = chance() % NS_PER_MS;

            of_a += a(ns);
            of_b += b(2 * ns);
        }
        say_ab(of_a, of_b);
    } else if (strcmp(argv[1], "inline") == 0) {
        while (of_a + of_b < n * NS_PER_MS)
            work(chance() % NS_PER_MS, &of_a, &of_b);
        say_ab(of_a, of_b);
    } else if (strcmp(argv[1], "leak") == 0) {
        run_leak(n);
    } else if (strcmp(argv[1], "equal") == 0) {
        equal_ns = n * NS_PER_MS;
        run_equal(argc > 3 ? (unsigned)number(argv[3]) : 8);
    } else if (strcmp(argv[1], "brief") == 0) {
        equal_ns = n * 1000;
        run_brief(argc > 3 ? (unsigned)number(argv[3]) : 1000);
    } else {
        if (sonde_start(NULL) != SONDE_OK)
            return 3;
        if (strcmp(argv[1], "spans") == 0)
            run_spans(n);
        else
            run_switch(n, argc > 3 ? (unsigned)number(argv[3]) : 8);
    }
    return 0;
}
