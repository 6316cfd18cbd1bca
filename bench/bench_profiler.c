/* bench_profiler.c - what the profiler costs a busy core, in percent of its CPU time, and a pair of calls, in nanoseconds.
 *
 * A program with a fixed amount of work runs ROUNDS times with the profiler and as often without, in turns, each time the
 * other one first; its CPU time counts from main() on.  The figure is the median of the differences of neighbours: what the
 * machine does slower for a minute is in both.  Where it is within their error, the profiler's own time (handlers and threads,
 * as it counts them) stands there, and "by" says so.  Pairs: the difference of the medians, of a block of 64 bytes that is
 * not sampled and of a mutex nobody else holds.
 *
 *   bench_profiler                   all of it
 *   bench_profiler busy [LOOPS]      the program that is measured (peers.py runs it too)
 *   bench_profiler memory MIB LIB... loads libraries until so much text is there, runs 16 threads, and says its memory */
#include <dlfcn.h>
#include <link.h>
#include <math.h>
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

#define ROUNDS 21
#define WORK   35 /* 60 ms */
#define LOOPS  8
#define PAIRS  5000000

#define MEMORY_THREADS 16
#define MEMORY_S       6

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

static int be_busy(int loops)
{
    union {
        void *object;
        void (*read)(sonde_prof_counters *);
    } found = { dlsym(RTLD_DEFAULT, "sonde_prof_read_counters") };
    sonde_prof_counters counters = { .struct_bytes = sizeof(counters) };
    result r = { 0, 0, 0 };
    uint64_t from = cpu_ns();
    int i;

    for (i = 0; i < loops; i++)
        sink += fibonacci(WORK);
    if (found.object) {
        found.read(&counters);
        r.own_ns = counters.own_ns;
        r.events = counters.events_taken;
    }
    r.cpu_ns = cpu_ns() - from;
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

/* -- memory ----------------------------------------------------------------------------------------- */

static int add_text(struct dl_phdr_info *info, size_t size, void *bytes)
{
    int i;

    (void)size;
    for (i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X))
            *(double *)bytes += (double)info->dlpi_phdr[i].p_memsz;
    return 0;
}

static double text_mib(void)
{
    double bytes = 0;

    (void)dl_iterate_phdr(add_text, &bytes);
    return bytes / 1048576;
}

/* A little of everything, until the process ends. */
static void *work_on(void *unused)
{
    const struct timespec pause = { 0, 2000000 };

    for (;;) {
        void *volatile block = malloc(4000);

        sink += fibonacci(18);
        free(block);
        (void)nanosleep(&pause, NULL);
    }
    return unused;
}

static double number(const char *text)
{
    double n = 0;

    text += strspn(text, " ");
    for (; *text >= '0' && *text <= '9'; text++)
        n = 10 * n + (*text - '0');
    return n;
}

static double kib_of(const char *key)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    double kib = 0;

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = number(line + strlen(key));
    if (f)
        (void)fclose(f);
    return kib;
}

static int be_big(double mib, char **libraries)
{
    const struct timespec a_while = { MEMORY_S, 0 };
    pthread_t thread;
    int i;

    for (; *libraries && text_mib() < mib; libraries++)
        (void)dlopen(*libraries, RTLD_NOW);
    for (i = 0; i < MEMORY_THREADS; i++)
        if (pthread_create(&thread, NULL, work_on, NULL) != 0)
            return 1;
    (void)nanosleep(&a_while, NULL);
    (void)printf("{\"text_mib\":%.1f,\"pss_kib\":%.0f,\"rss_kib\":%.0f,\"anonymous_kib\":%.0f}\n",
                 text_mib(), kib_of("Pss:"), kib_of("Rss:"), kib_of("Anonymous:"));
    return 0;
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

/* One with the profiler and one without. */
static void run_both(const char *program, const char *library, bool all, bool with_first,
                     result *without, result *with)
{
    if (with_first && !run(program, "busy", library, all, with))
        exit(1);
    if (!run(program, "busy", NULL, all, without))
        exit(1);
    if (!with_first && !run(program, "busy", library, all, with))
        exit(1);
    if (with->own_ns == 0 || with->events == 0)
        exit(1);
}

static void measure(const char *program, const char *library, bool all)
{
    double difference[ROUNDS], own[ROUNDS], spread;
    result without = { 0, 0, 0 }, with = { 0, 0, 0 };
    bool is_clear;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        run_both(program, library, all, i % 2, &without, &with);
        difference[i] = ((double)with.cpu_ns / (double)without.cpu_ns - 1) * 100;
        own[i] = (double)with.own_ns / (double)with.cpu_ns * 100;
    }
    qsort(difference, ROUNDS, sizeof(difference[0]), by_size);
    qsort(own, ROUNDS, sizeof(own[0]), by_size);
    /* Two standard errors of a median, by the quartiles: 1.25 / 1.35 of their distance over the root of n. */
    spread = 2 * 0.93 * (difference[ROUNDS * 3 / 4] - difference[ROUNDS / 4]) / sqrt(ROUNDS);
    is_clear = difference[ROUNDS / 2] > spread;
    (void)printf("{\"bench\":\"profiler_cpu\",\"what\":\"%s\",\"cpu_pct\":%.3f,\"by\":\"%s\","
                 "\"difference_pct\":%.3f,\"own_pct\":%.3f,"
                 "\"error_pct\":%.3f}\n",
                 all ? "all" : "cpu", is_clear ? difference[ROUNDS / 2] : own[ROUNDS / 2],
                 is_clear ? "difference" : "own time", difference[ROUNDS / 2], own[ROUNDS / 2],
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

    if (argc >= 2 && strcmp(argv[1], "busy") == 0)
        return be_busy(argc > 2 ? (int)number(argv[2]) : LOOPS);
    if (argc > 2 && strcmp(argv[1], "memory") == 0)
        return be_big(number(argv[2]), argv + 3);
    if (argc == 2)
        return be_paired(strcmp(argv[1], "lock") == 0);
    (void)snprintf(library, sizeof(library), "%.*s/../lib/libsonde-profiler.so", folder, argv[0]);
    measure(argv[0], library, false);
    measure(argv[0], library, true);
    measure_pairs(argv[0], library, "malloc");
    measure_pairs(argv[0], library, "lock");
    return 0;
}
