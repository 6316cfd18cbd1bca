/* profiled_split.c - a program of known CPU split: takes turns in two functions until each has used its share of a
 * thread's CPU time, so that the truth does not depend on the machine; prints the shares it counted.
 *
 *   profiled_split MILLISECONDS [EXIT-CODE [CHILDREN]]
 *
 * three_parts() gets 3/4, one_part() 1/4, each by way of a function of its own.  With CHILDREN it is they who do it, at the
 * same time, each all of it.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t sink;

/* 1 to 3 ms, never in step with a sampler's period; the same in every run. */
static int64_t next_turn_ns(void)
{
    static uint64_t state = 1;

    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return 1000000 + (int64_t)((state >> 33) % 2000000);
}

static int64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Between two looks at the clock: nearly all samples are in the caller, not in the clock. */
#define BURN(used, limit)                                                                          \
    do {                                                                                           \
        int64_t begin = cpu_ns();                                                                  \
                                                                                                   \
        while (cpu_ns() - begin < (limit))                                                         \
            for (uint64_t i = 0; i < 20000; i++)                                                   \
                sink += i * i;                                                                     \
        *(used) += cpu_ns() - begin;                                                               \
    } while (0)

__attribute__((noinline)) static void three_parts(int64_t turn_ns, int64_t *used)
{
    BURN(used, 3 * turn_ns);
}

__attribute__((noinline)) static void one_part(int64_t turn_ns, int64_t *used)
{
    BURN(used, turn_ns);
}

__attribute__((noinline)) static void deep(int64_t turn_ns, int64_t *used)
{
    one_part(turn_ns, used);
    sink++;
}

static int64_t number(const char *text)
{
    int64_t n = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        n = 10 * n + (*text - '0');
    return n;
}

/* True in the children. */
static int split_up(int64_t children)
{
    int64_t i;

    for (i = 0; i < children; i++)
        if (fork() == 0)
            return 1;
    while (wait(NULL) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    int64_t limit = argc > 1 ? number(argv[1]) * 1000000 : 1000000000, three = 0, one = 0;

    if (argc > 3 && !split_up(number(argv[3])))
        return 0;
    while (three + one < limit) {
        int64_t turn = next_turn_ns();

        three_parts(turn, &three);
        deep(turn, &one);
    }
    (void)printf("{\"three_parts\":%lld,\"one_part\":%lld}\n", (long long)three, (long long)one);
    return argc > 2 ? (int)number(argv[2]) : 0;
}
