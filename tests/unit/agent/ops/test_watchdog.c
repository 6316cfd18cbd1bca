/* test_watchdog.c - when memory makes the agent refuse, and when it ends. */
#include "agent/ops/watchdog.h"

#include "support/test.h"

#define MIB (UINT64_C(1) << 20)
#define S   UINT64_C(1000000000)

static void test_memory_sheds_before_it_kills(void **state)
{
    static const struct {
        const char *label;
        uint64_t memory;
        watch_verdict want;
    } steps[] = {
        { "little", 10 * MIB, WATCH_FINE },
        { "at the limit", 64 * MIB, WATCH_FINE },
        { "above it", 65 * MIB, WATCH_SHED },
        { "just below it: not yet", 60 * MIB, WATCH_SHED },
        { "well below it", 50 * MIB, WATCH_FINE },
        { "again", 70 * MIB, WATCH_SHED },
        { "at the line", 96 * MIB, WATCH_SHED },
        { "above the line", 97 * MIB, WATCH_KILL },
    };
    watchdog w;

    (void)state;
    watchdog_init(&w, 64 * MIB, 96 * MIB);
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        if (watchdog_see(&w, steps[i].memory, 0, (i + 1) * S) != steps[i].want)
            fail_msg("%s", steps[i].label);
    assert_int_equal(w.sheds, 2);
}

static void test_without_a_line_memory_is_only_seen(void **state)
{
    watchdog w;

    (void)state;
    watchdog_init(&w, 64 * MIB, 0);
    assert_int_equal(watchdog_see(&w, 1000 * MIB, 0, S), WATCH_FINE);
}

static void test_cpu_is_averaged_over_twenty_seconds(void **state)
{
    watchdog w;

    (void)state;
    watchdog_init(&w, MIB, 0);
    (void)watchdog_see(&w, 0, 1.0, 100 * S);
    (void)watchdog_see(&w, 0, 9.0, 110 * S);
    assert_true(w.cpu_percent == 0);
    (void)watchdog_see(&w, 0, 11.0, 120 * S);
    assert_true(w.cpu_percent == 50);
    (void)watchdog_see(&w, 0, 11.0, 145 * S);
    assert_true(w.cpu_percent == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_sheds_before_it_kills),
        cmocka_unit_test(test_without_a_line_memory_is_only_seen),
        cmocka_unit_test(test_cpu_is_averaged_over_twenty_seconds),
    };

    return cmocka_run_group_tests_name("agent/ops/watchdog", tests, NULL, NULL);
}
