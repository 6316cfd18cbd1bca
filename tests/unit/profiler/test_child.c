/* In which moments of a forked child a handler may begin a thread. */
#include "support/test.h"

#include <string.h>

#include "profiler/src/child.h"

/* Addresses of made-up code, and how tests write them. */
#define OURS_AT   1000
#define LIBC_AT   2000
#define LOADER_AT 3000
#define MALLOC_AT 4000
#define PROGRAM   9000

static sonde_prof__slot slot;

static void know(void)
{
    sonde_prof__child_code code = { .is_known = true };
    uint32_t i;

    for (i = 0; i < SONDE_PROF__CHILD_RANGES; i++) {
        code.range[i].lo = OURS_AT * (i + 1);
        code.range[i].hi = OURS_AT * (i + 1) + 100;
    }
    sonde_prof__child_code_now = code;
    slot.stack.lo = (uint64_t)(uintptr_t)&code - ((uint64_t)1 << 20);
    slot.stack.hi = (uint64_t)(uintptr_t)&code + 4096;
}

static void test_only_code_of_the_programs_may_be_interrupted(void **state)
{
    static const struct {
        const char *label;
        const char *stack; /* innermost first: p program, o ours, c libc, l loader, m malloc */
        bool may;
    } rows[] = {
        { "main()", "ppccp", true },
        { "main() of a program without _start()", "pcc", true },
        { "a thread of the program", "pppcc", true },
        { "a thread through our thread_main()", "pocc", true },
        { "a thread made by clone()", "pp", true },
        { "in a function of libc", "cpccp", false },
        { "in malloc()", "mpccp", false },
        { "in the loader, from a call not bound yet", "lpccp", false },
        { "in a hook", "opccp", false },
        { "in a function that qsort() called", "pcpccp", false },
        { "in a function that qsort() called, in a thread made by clone()", "pcp", false },
        { "in a handler of atexit()", "pccccp", false },
        { "in a constructor", "plll", false },
        { "in a handler of a signal", "pccpccp", false },
        { "in a handler we passed a signal on to", "poocpccp", false },
        { "in a destructor of a thread's memory", "pccc", false },
        { "in nothing", "", false },
    };
    static const uint64_t at[128] = {
        ['p'] = PROGRAM, ['o'] = OURS_AT, ['c'] = LIBC_AT, ['l'] = LOADER_AT, ['m'] = MALLOC_AT
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t len = (uint32_t)strlen(rows[i].stack);
        uint64_t frames[16];

        for (k = 0; k < len; k++)
            frames[k] = at[(uint8_t)rows[i].stack[k]] + k;
        know();
        if (sonde_prof__child_may_begin(&slot, frames, len) != rows[i].may)
            fail_msg("%s", rows[i].label);
        sonde_prof__child_code_now.is_known = false;
        assert_false(sonde_prof__child_may_begin(&slot, frames, len));
    }
}

static void test_not_on_a_stack_of_signals_or_near_the_end_of_one(void **state)
{
    const uint64_t frames[] = { PROGRAM };

    (void)state;
    know();
    assert_true(sonde_prof__child_may_begin(&slot, frames, 1));
    slot.stack.lo += (uint64_t)1 << 20; /* little is left */
    assert_false(sonde_prof__child_may_begin(&slot, frames, 1));
    know();
    slot.stack.hi = slot.stack.lo + 8192; /* elsewhere */
    assert_false(sonde_prof__child_may_begin(&slot, frames, 1));
    slot.stack.lo = slot.stack.hi = 0; /* not known */
    assert_false(sonde_prof__child_may_begin(&slot, frames, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_code_of_the_programs_may_be_interrupted),
        cmocka_unit_test(test_not_on_a_stack_of_signals_or_near_the_end_of_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
