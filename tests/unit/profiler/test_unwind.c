/* Stacks by unwind tables, against libgcc's unwinder: interrupted anywhere, in code of every kind. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unwind.h>

#include "loaded.h"

#define FRAMES 256

/* One in thousands differs where a machine is emulated: two of a thousand happen, ten do not. */
#if defined(__x86_64__)
#    define EQUAL_PER_1000 999L
#else
#    define EQUAL_PER_1000 990L
#endif

static loaded objects;
static sonde_prof__stack own_stack;
static volatile sig_atomic_t samples, equal, complete;
static char first_difference[4096];

/* -- the other unwinder ----------------------------------------------------------------------------- */

typedef struct trace {
    uint64_t ip[FRAMES];
    uint32_t len;
} trace;

static _Unwind_Reason_Code collect(struct _Unwind_Context *context, void *user)
{
    trace *t = user;
    int before = 0;
    uint64_t ip = _Unwind_GetIPInfo(context, &before);

    if (t->len < FRAMES && ip != 0) /* it goes one beyond the first function */
        t->ip[t->len++] = before ? ip : ip - 1;
    return _URC_NO_REASON;
}

/* -- comparing -------------------------------------------------------------------------------------- */

static sonde_prof__regs regs_of(const ucontext_t *u, uint64_t all[16])
{
#if defined(__x86_64__)
    static const int order[16] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                   REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15 };
    int i;

    for (i = 0; i < 16; i++)
        all[i] = (uint64_t)u->uc_mcontext.gregs[order[i]];
    return (
        sonde_prof__regs){ (uint64_t)u->uc_mcontext.gregs[REG_RIP], all[7], all[6], 0, all, NULL };
#else
    (void)all;
    return (sonde_prof__regs){ u->uc_mcontext.pc,
                               u->uc_mcontext.sp,
                               u->uc_mcontext.regs[29],
                               u->uc_mcontext.regs[30],
                               NULL,
                               NULL };
#endif
}

static void describe(const trace *want, uint32_t from, const uint64_t *have, uint32_t len,
                     sonde_prof__end end)
{
    int n = snprintf(first_difference, sizeof(first_difference), "end %d:", (int)end);
    uint32_t i;

    for (i = 0; i < len || from + i < want->len; i++)
        n += snprintf(first_difference + n, sizeof(first_difference) - (size_t)n, " %llx/%llx",
                      i < len ? (unsigned long long)have[i] : 0,
                      from + i < want->len ? (unsigned long long)want->ip[from + i] : 0);
}

static void on_tick(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    uint64_t have[FRAMES], all[16];
    sonde_prof__regs regs = regs_of(context, all);
    sonde_prof__end end;
    trace want = { .len = 0 };
    uint32_t len = sonde_prof__unwind(&objects.map, &regs, &own_stack, have, FRAMES, &end),
             from = 0;

    (void)signo, (void)info;
    (void)_Unwind_Backtrace(collect, &want);
    while (from < want.len && want.ip[from] != regs.pc)
        from++;
    samples++;
    complete += end == SONDE_PROF__COMPLETE;
    if (want.len - from == len && memcmp(want.ip + from, have, len * sizeof(have[0])) == 0)
        equal++;
    else if (!first_difference[0])
        describe(&want, from, have, len, end);
    errno = saved;
}

/* -- work ------------------------------------------------------------------------------------------- */

static volatile double sink;

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

static void work(void)
{
    double *list = malloc(2000 * sizeof(*list));
    int i;

    if (!list)
        return;
    for (i = 0; i < 2000; i++)
        list[i] = (double)((i * 7919) % 2003);
    qsort(list, 2000, sizeof(*list), compare);
    free(list);
    sink += recurse(20, (char *)"x");
}

static void find_stack(void)
{
    pthread_attr_t attributes;
    void *lo;
    size_t bytes;

    assert_int_equal(pthread_getattr_np(pthread_self(), &attributes), 0);
    assert_int_equal(pthread_attr_getstack(&attributes, &lo, &bytes), 0);
    (void)pthread_attr_destroy(&attributes);
    own_stack =
        (sonde_prof__stack){ (uint64_t)(uintptr_t)lo, (uint64_t)(uintptr_t)lo + bytes, NULL };
}

static void sample_work(int wanted)
{
    struct sigaction action = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
    const struct itimerval every = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };
    trace warm = { .len = 0 };

    samples = equal = complete = 0;
    first_difference[0] = '\0';
    (void)_Unwind_Backtrace(collect, &warm); /* loads and allocates the first time */
    (void)sigaction(SIGPROF, &action, NULL);
    (void)setitimer(ITIMER_PROF, &every, NULL);
    while (samples < wanted)
        work();
    (void)setitimer(ITIMER_PROF, &off, NULL);
}

/* ThreadSanitizer keeps signals for later: what the handler is told is no longer true. */
static void skip_where_signals_come_late(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

static int setup(void **state)
{
    (void)state;
    loaded_read(&objects);
    find_stack();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loaded_free(&objects);
    return 0;
}

static void test_every_object_has_a_table(void **state)
{
    uint32_t i, rows = 0;

    (void)state;
    assert_true(objects.map.len >= 3); /* the program, libc, the loader or the vdso */
    for (i = 0; i < objects.map.len; i++) {
        assert_int_equal(objects.tables[i]->flags & SONDE_PROF__RULES_FULL, 0);
        rows += objects.tables[i]->rows_len;
    }
    assert_true(rows > 10000);
}

static void test_stacks_equal_those_of_libgcc(void **state)
{
    (void)state;
    skip_where_signals_come_late();
    sample_work(1000);
    print_message("%d samples, %d equal, %d complete\n%s\n", (int)samples, (int)equal,
                  (int)complete, first_difference);
    if (equal * 1000L < samples * EQUAL_PER_1000)
        fail_msg("%d of %d stacks are equal; the first other one: %s", (int)equal, (int)samples,
                 first_difference);
}

static void test_a_stack_of_unknown_bounds_is_read_all_the_same(void **state)
{
    sonde_prof__stack known = own_stack;

    (void)state;
    skip_where_signals_come_late();
    own_stack = (sonde_prof__stack){ 0, 0, NULL };
    sample_work(200);
    own_stack = known;
    if (equal * 1000L < samples * 990L)
        fail_msg("%d of %d stacks are equal; the first other one: %s", (int)equal, (int)samples,
                 first_difference);
}

static void test_garbage_registers_end_the_walk(void **state)
{
    static const uint64_t values[] = { 0, 1, 8, 4096, 0x7fffffffffff, UINT64_MAX, 0xdeadbeef000 };
    uint64_t pc = (uint64_t)(uintptr_t)&snprintf, out[FRAMES];
    sonde_prof__end end;
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT_OF(values); i++)
        for (k = 0; k < COUNT_OF(values); k++) {
            sonde_prof__regs regs = { pc, values[i], values[k], values[k], NULL, NULL };
            uint32_t n = sonde_prof__unwind(&objects.map, &regs, &own_stack, out, FRAMES, &end);

            assert_true(n >= 1 && n <= FRAMES);
            regs.pc = values[i];
            n = sonde_prof__unwind(&objects.map, &regs, &own_stack, out, FRAMES, &end);
            assert_true(n >= 1 && n <= FRAMES);
        }
}

static __attribute__((noinline)) int walk_here(uint64_t *out, uint32_t max, sonde_prof__end *end)
{
    ucontext_t here; /* of kilobytes, on some machines */
    uint64_t all[16];
    sonde_prof__regs regs;

    (void)getcontext(&here);
    regs = regs_of(&here, all);
    return (int)sonde_prof__unwind(&objects.map, &regs, &own_stack, out, max, end);
}

static __attribute__((noinline)) int deep(int depth, uint64_t *out, uint32_t max,
                                          sonde_prof__end *end)
{
    int n = depth > 0 ? deep(depth - 1, out, max, end) : walk_here(out, max, end);

    sink += n;
    return n;
}

static void test_a_deep_stack_is_cut_at_what_was_asked_for(void **state)
{
    uint64_t out[SONDE_PROF__FRAMES_MAX];
    sonde_prof__end end;

    (void)state;
    assert_int_equal(deep(5, out, 3, &end), 3);
    assert_int_equal(end, SONDE_PROF__TRUNCATED);
    assert_int_equal(deep(2000, out, SONDE_PROF__FRAMES_MAX, &end), SONDE_PROF__FRAMES_MAX);
    assert_int_equal(end, SONDE_PROF__TRUNCATED);
    assert_true(deep(5, out, SONDE_PROF__FRAMES_MAX, &end) > 8);
    assert_int_equal(end, SONDE_PROF__COMPLETE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_object_has_a_table),
        cmocka_unit_test(test_stacks_equal_those_of_libgcc),
        cmocka_unit_test(test_a_stack_of_unknown_bounds_is_read_all_the_same),
        cmocka_unit_test(test_garbage_registers_end_the_walk),
        cmocka_unit_test(test_a_deep_stack_is_cut_at_what_was_asked_for),
    };

    return cmocka_run_group_tests_name("unwind", tests, setup, teardown);
}
