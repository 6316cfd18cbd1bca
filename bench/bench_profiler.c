/* bench_profiler.c - what the profiler costs a busy core, in percent of its CPU time, and a pair of calls, in nanoseconds.
 *
 * A program with a fixed amount of work runs ROUNDS times with the profiler and as often without, in turns.  Where the
 * difference of the medians is within the spread of the runs, the profiler's own time (handlers and threads, as it
 * counts them) is the figure, and "by" says so.  Pairs: the difference of the medians, of a block of 64 bytes that is not
 * sampled and of a mutex nobody else holds. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sonde/profiler.h"

#define ROUNDS 11
#define WORK   35 /* about a second */
#define PAIRS  5000000

/* -- the program that is measured ------------------------------------------------------------------- */

typedef struct result {
    uint64_t cpu_ns;
    uint64_t own_ns; /* 0 without a profiler */
    uint64_t events;
} result;

static __attribute__((noinline)) uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t cpu_ns(void)
{
    struct rusage r;

    (void)getrusage(RUSAGE_SELF, &r);
    return ((uint64_t)r.ru_utime.tv_sec + (uint64_t)r.ru_stime.tv_sec) * 1000000000u +
           ((uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec) * 1000u;
}

static volatile uint64_t sink;

static int be_busy(void)
{
    union {
        void *object;
        void (*read)(sonde_prof_counters *);
    } found = { dlsym(RTLD_DEFAULT, "sonde_prof_read_counters") };
    sonde_prof_counters counters = { .struct_bytes = sizeof(counters) };
    result r = { 0, 0, 0 };
    int i;

    for (i = 0; i < 16; i++)
        sink += fibonacci(WORK);
    if (found.object) {
        found.read(&counters);
        r.own_ns = counters.own_ns;
        r.events = counters.events_taken;
    }
    r.cpu_ns = cpu_ns();
    return write(STDOUT_FILENO, &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1;
}

static void *sleep_on(void *unused)
{
    (void)unused;
    (void)pause();
    return NULL;
}

/* CPU time of the fastest of a few rounds: what else the machine does only adds.  With a second thread, as programs with
 * locks have: for a process of one, libc leaves out what makes a mutex one. */
static int be_paired(bool locks)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    result r = { UINT64_MAX, 1, 1 };
    pthread_t other;
    int i, round;

    if (pthread_create(&other, NULL, sleep_on, NULL) != 0)
        return 1;
    for (round = 0; round < 5; round++) {
        uint64_t from = cpu_ns();

        for (i = 0; i < PAIRS; i++) {
            void *volatile block = locks ? NULL : malloc(64);

            if (locks && pthread_mutex_lock(&mutex) == 0)
                (void)pthread_mutex_unlock(&mutex);
            else
                free(block);
        }
        from = cpu_ns() - from;
        if (from < r.cpu_ns)
            r.cpu_ns = from;
    }
    return write(STDOUT_FILENO, &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1;
}

/* -- measuring -------------------------------------------------------------------------------------- */

static bool run(const char *program, const char *mode, const char *library, bool all, result *out)
{
    int ends[2], status;
    pid_t child;
    bool ok;

    if (pipe(ends) != 0)
        return false;
    child = fork();
    if (child == 0) {
        const char *rest = all ? "true" : "false";

        (void)dup2(ends[1], STDOUT_FILENO);
        (void)setenv("SONDE_PROFILING_CPU_FREQUENCY", "100", 1);
        (void)setenv("DD_PROFILING_WALLTIME_ENABLED", rest, 1);
        (void)setenv("DD_PROFILING_ALLOCATION_ENABLED", rest, 1);
        (void)setenv("DD_PROFILING_HEAP_ENABLED", rest, 1);
        (void)setenv("DD_PROFILING_LOCK_ENABLED", rest, 1);
        (void)setenv("DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL", "off", 1);
        (void)setenv("DD_TRACE_AGENT_URL", "http://127.0.0.1:9", 1);
        (void)setenv("DD_PROFILING_FLUSH_ON_EXIT", "false", 1);
        if (library)
            (void)setenv("LD_PRELOAD", library, 1);
        (void)execl(program, program, mode, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    ok = child > 0 && read(ends[0], out, sizeof(*out)) == (ssize_t)sizeof(*out);
    (void)close(ends[0]);
    return waitpid(child, &status, 0) == child && ok && status == 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const char *program, const char *library, bool all)
{
    double without[ROUNDS], with[ROUNDS], own[ROUNDS], base, difference, spread;
    result r = { 0, 0, 0 };
    int i;

    for (i = 0; i < ROUNDS; i++) {
        if (!run(program, "busy", NULL, all, &r))
            exit(1);
        without[i] = (double)r.cpu_ns;
        if (!run(program, "busy", library, all, &r) || r.own_ns == 0 || r.events == 0)
            exit(1);
        with[i] = (double)r.cpu_ns;
        own[i] = (double)r.own_ns / (double)r.cpu_ns * 100;
    }
    qsort(without, ROUNDS, sizeof(without[0]), by_size);
    qsort(with, ROUNDS, sizeof(with[0]), by_size);
    qsort(own, ROUNDS, sizeof(own[0]), by_size);
    base = without[ROUNDS / 2];
    difference = (with[ROUNDS / 2] - base) / base * 100;
    spread = (without[ROUNDS * 3 / 4] - without[ROUNDS / 4]) / base * 100;
    (void)printf("{\"bench\":\"profiler_cpu\",\"what\":\"%s\",\"cpu_pct\":%.3f,\"by\":\"%s\","
                 "\"difference_pct\":%.3f,\"own_pct\":%.3f,"
                 "\"spread_pct\":%.3f}\n",
                 all ? "all" : "cpu", difference > spread ? difference : own[ROUNDS / 2],
                 difference > spread ? "difference" : "own time", difference, own[ROUNDS / 2],
                 spread);
}

static void measure_pairs(const char *program, const char *library, const char *mode)
{
    double without[ROUNDS], with[ROUNDS];
    result r = { 0, 0, 0 };
    int i;

    for (i = 0; i < ROUNDS; i++) {
        if (!run(program, mode, NULL, true, &r))
            exit(1);
        without[i] = (double)r.cpu_ns / PAIRS;
        if (!run(program, mode, library, true, &r))
            exit(1);
        with[i] = (double)r.cpu_ns / PAIRS;
    }
    qsort(without, ROUNDS, sizeof(without[0]), by_size);
    qsort(with, ROUNDS, sizeof(with[0]), by_size);
    (void)printf(
        "{\"bench\":\"profiler_pairs\",\"what\":\"%s\",\"added_ns\":%.2f,\"without_ns\":%.2f}\n",
        mode, with[ROUNDS / 2] - without[ROUNDS / 2], without[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
    char library[4096], *slash = strrchr(argv[0], '/');
    int folder = slash ? (int)(slash - argv[0]) : 0;

    if (argc == 2 && strcmp(argv[1], "busy") == 0)
        return be_busy();
    if (argc == 2)
        return be_paired(strcmp(argv[1], "lock") == 0);
    (void)snprintf(library, sizeof(library), "%.*s/../lib/libsonde-profiler.so", folder, argv[0]);
    measure(argv[0], library, false);
    measure(argv[0], library, true);
    measure_pairs(argv[0], library, "malloc");
    measure_pairs(argv[0], library, "lock");
    return 0;
}
