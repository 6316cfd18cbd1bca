/* stack_work.c - what ordinary C does to a stack: recursion, callbacks from libc, printing, frames of a size known at run time only,
 * realigned ones, tail calls, jumps out.  Compiled in many ways by test_stacks.py; part of stack_oracle. */
#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile double sink;
static jmp_buf out;

static __attribute__((noinline)) int recurse(int depth, char *text)
{
    char number[64];
    int n;

    if (depth == 0)
        return (int)strlen(text);
    n = snprintf(number, sizeof(number), "%d.%d", depth, depth * 7);
    sink += strtod(number, NULL);
    return recurse(depth - 1, number) + n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    sink += x * y;
    return (x > y) - (x < y);
}

static __attribute__((noinline)) void of_any_size(unsigned n)
{
    char *at = alloca(n);

    memset(at, (int)n, n);
    sink += at[n / 2];
    if (n > 100)
        of_any_size(n / 2);
    sink += at[n / 3];
}

static __attribute__((noinline)) double realigned(int n)
{
    _Alignas(64) double wide[32];
    int i;

    for (i = 0; i < 32; i++)
        wide[i] = (double)(n + i) * 0.5;
    if (n > 0)
        wide[n % 32] += realigned(n - 1);
    for (i = 1; i < 32; i++)
        wide[0] += wide[i] * wide[i - 1];
    sink += wide[0];
    return wide[0] > 1e100 ? 0 : wide[0];
}

static __attribute__((noinline)) long even(long n);

static __attribute__((noinline)) long odd(long n)
{
    sink += (double)n;
    return n == 0 ? 0 : even(n - 1);
}

static __attribute__((noinline)) long even(long n)
{
    sink -= (double)n;
    return n == 0 ? 1 : odd(n - 1);
}

static __attribute__((noinline)) void leave(int depth)
{
    if (depth == 0)
        longjmp(out, 1);
    leave(depth - 1);
    sink += depth;
}

static __attribute__((noinline)) void jump(void)
{
    if (setjmp(out) == 0)
        leave(10);
}

static __attribute__((noinline, format(printf, 1, 2))) int format(const char *how, ...)
{
    char text[2000];
    va_list args;
    int n;

    va_start(args, how);
    n = vsnprintf(text, sizeof(text), how, args);
    va_end(args);
    return n;
}

static __attribute__((noinline)) void sorted(void)
{
    double *list = malloc(500 * sizeof(*list));
    int i;

    if (!list)
        return;
    for (i = 0; i < 500; i++)
        list[i] = (double)((i * 7919) % 503);
    qsort(list, 500, sizeof(*list), compare);
    free(list);
}

static __attribute__((noinline)) void dated(void)
{
    time_t now = 1700000000;
    struct tm day;
    char text[64];

    if (gmtime_r(&now, &day))
        sink += (double)strftime(text, sizeof(text), "%A %d %B %Y", &day);
}

void work(void)
{
    sorted();
    of_any_size(4000);
    sink += realigned(12);
    sink += (double)odd(50);
    jump();
    sink += format("%s %.17g %lld %p %-200s", "text", 0.1, 123456789LL, (void *)&sink, "wide");
    dated();
    sink += recurse(20, (char *)"x");
}
