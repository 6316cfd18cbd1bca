/* profiled_kernel.c - a program whose CPU time, partly in the kernel, is known; for the profiler's perf events.
 *
 *   profiled_kernel read MS         reads zeros until that much CPU time is used
 *   profiled_kernel threads N MS    N threads, one after the other, each burns so long
 *   profiled_kernel crowd N MS      N threads at once
 *   profiled_kernel exec N          executes itself N times, busy or at rest before
 *   profiled_kernel forks N MS      N children, each burns so long
 *
 * Prints the nanoseconds of CPU time that were used, by the threads' own clocks. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 256

static volatile uint64_t sink;
static int64_t burn_until_ns;
static pthread_barrier_t together;

static int64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t number(const char *text)
{
    int64_t n = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        n = 10 * n + (*text - '0');
    return n;
}

__attribute__((noinline)) static void burn(int64_t ns)
{
    int64_t until = cpu_ns() + ns;

    while (cpu_ns() < until)
        for (uint64_t i = 0; i < 20000; i++)
            sink += i * i;
}

__attribute__((noinline)) static int read_zeros(int64_t ns)
{
    static char buffer[65536];
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    int64_t begin = cpu_ns();

    while (cpu_ns() - begin < ns)
        if (read(fd, buffer, sizeof(buffer)) < 0)
            return 1;
    printf("%lld\n", (long long)(cpu_ns() - begin));
    return close(fd);
}

static void *burning(void *arg)
{
    burn(burn_until_ns);
    *(int64_t *)arg = cpu_ns();
    return NULL;
}

static void *burning_together(void *arg)
{
    (void)pthread_barrier_wait(&together);
    return burning(arg);
}

static int threads(int64_t n, int64_t ns, int at_once)
{
    pthread_t thread[THREADS_MAX];
    int64_t used[THREADS_MAX], sum = 0;

    if (n > THREADS_MAX)
        return 1;
    burn_until_ns = ns;
    (void)pthread_barrier_init(&together, NULL, (unsigned)n);
    for (int64_t i = 0; i < n; i++) {
        if (pthread_create(&thread[i], NULL, at_once ? burning_together : burning, &used[i]) != 0 ||
            (!at_once && pthread_join(thread[i], NULL) != 0))
            return 1;
    }
    for (int64_t i = 0; i < n; i++) {
        if (at_once && pthread_join(thread[i], NULL) != 0)
            return 1;
        sum += used[i];
    }
    printf("%lld\n", (long long)sum);
    return 0;
}

static int exec_on(const char *self, int64_t n)
{
    const struct timespec rest = { 0, 20000000 };
    char left[32];

    if (n %
        2) /* a signal is due any moment; or none has come yet, and what the kernel does for exec brings the first */
        burn(2000000);
    else
        (void)nanosleep(&rest, NULL);
    if (n == 0) {
        puts("0");
        return 0;
    }
    (void)snprintf(left, sizeof(left), "%lld", (long long)(n - 1));
    (void)execl("/nonexistent", "nothing", (char *)NULL); /* fails, and all goes on */
    (void)execl(self, self, "exec", left, (char *)NULL);
    return 1;
}

static int forks(int64_t n, int64_t ns)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < n; i++) {
        int status, ends[2];
        int64_t used = 0;
        pid_t child;

        if (pipe(ends) != 0 || (child = fork()) < 0)
            return 1;
        if (child == 0) {
            burn(ns);
            used = cpu_ns();
            exit(write(ends[1], &used, sizeof(used)) == (ssize_t)sizeof(used) ? 0 : 1);
        }
        if (read(ends[0], &used, sizeof(used)) != (ssize_t)sizeof(used) ||
            waitpid(child, &status, 0) != child || status != 0)
            return 1;
        (void)close(ends[0]);
        (void)close(ends[1]);
        sum += used;
    }
    printf("%lld\n", (long long)sum);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    int64_t a = argc > 2 ? number(argv[2]) : 0, ms = argc > 3 ? number(argv[3]) : 0;

    if (strcmp(what, "read") == 0)
        return read_zeros(a * 1000000);
    if (strcmp(what, "threads") == 0 || strcmp(what, "crowd") == 0)
        return threads(a, ms * 1000000, what[0] == 'c');
    if (strcmp(what, "exec") == 0)
        return exec_on(argv[0], a);
    if (strcmp(what, "forks") == 0)
        return forks(a, ms * 1000000);
    return 2;
}
