/* Stacks by unwind tables, against libgcc's unwinder: interrupted anywhere, in code of every kind. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

#include "libgcc_oracle.h"

#define FRAMES ORACLE_FRAMES

/* One in thousands differs where a machine is emulated: two of a thousand happen, ten do not. */
#if defined(__x86_64__)
#    define EQUAL_PER_1000 999L
#else
#    define EQUAL_PER_1000 990L
#endif

static loaded objects;

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

static void sample_work(int wanted)
{
    const struct itimerval every = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };

    oracle_begin(&objects.map, SIGPROF);
    (void)setitimer(ITIMER_PROF, &every, NULL);
    while (the_oracle.samples < wanted)
        work();
    (void)setitimer(ITIMER_PROF, &off, NULL);
}

static void check_equal(long per_1000)
{
    if (the_oracle.equal * 1000L < the_oracle.samples * per_1000)
        fail_msg("%d of %d stacks are equal; the first other one: %s", (int)the_oracle.equal,
                 (int)the_oracle.samples, the_oracle.first_difference);
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
    assert_int_equal(oracle_find_stack(), 0);
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
    check_equal(EQUAL_PER_1000);
}

static void test_a_stack_of_unknown_bounds_is_read_all_the_same(void **state)
{
    sonde_prof__stack known = the_oracle.stack;

    (void)state;
    skip_where_signals_come_late();
    the_oracle.stack = (sonde_prof__stack){ 0, 0, NULL };
    sample_work(200);
    the_oracle.stack = known;
    check_equal(990);
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
            uint32_t n =
                sonde_prof__unwind(&objects.map, &regs, &the_oracle.stack, out, FRAMES, &end);

            assert_true(n >= 1 && n <= FRAMES);
            regs.pc = values[i];
            n = sonde_prof__unwind(&objects.map, &regs, &the_oracle.stack, out, FRAMES, &end);
            assert_true(n >= 1 && n <= FRAMES);
        }
}

static __attribute__((noinline)) int walk_here(uint64_t *out, uint32_t max, sonde_prof__end *end)
{
    ucontext_t here; /* of kilobytes, on some machines */
    uint64_t all[16];
    sonde_prof__regs regs;

    (void)getcontext(&here);
    regs = sonde_prof__regs_of(&here, all);
    return (int)sonde_prof__unwind(&objects.map, &regs, &the_oracle.stack, out, max, end);
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
