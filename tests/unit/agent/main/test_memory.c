/* Room is what the kernel says is left below the cap; looks are rare for small bodies, and one for each large one. */
#include "support/test.h"

#include "agent/main/memory.h"

#define LIMIT UINT64_C(100000000)
#define LARGE MEMORY_LOOK_BYTES

static uint64_t resident;
static unsigned looks;

static uint64_t look(void)
{
    looks++;
    return resident;
}

static memory_guard make(uint64_t limit)
{
    memory_guard g;

    looks = 0;
    memory_guard_init(&g, limit, look);
    return g;
}

static void test_there_is_room_up_to_the_cap(void **state)
{
    static const struct {
        uint64_t resident;
        size_t bytes;
        bool room;
    } cases[] = {
        { 0, 0, true },
        { 0, 80000000, true },
        { 0, 80000001, false },
        { 79000000, 1000000, true },
        { 79000000, 1000001, false },
        { 80000000, 0, true },
        { 80000001, 0, false },
        { 1, SIZE_MAX, false }, /* does not wrap */
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        memory_guard g = make(LIMIT);

        resident = cases[i].resident;
        if (memory_has_room(&g, cases[i].bytes, MEMORY_LOOK_NS) != cases[i].room)
            fail_msg("%llu + %zu", (unsigned long long)resident, cases[i].bytes);
    }
}

static void test_without_a_limit_there_is_always_room(void **state)
{
    memory_guard g = make(0);

    (void)state;
    resident = UINT64_MAX;
    assert_true(memory_has_room(&g, SIZE_MAX, MEMORY_LOOK_NS));
    assert_false(memory_wants_trim(&g, MEMORY_TRIM_NS));
    assert_int_equal(looks, 0);
}

static void test_small_bodies_share_a_look_and_large_ones_have_their_own(void **state)
{
    uint64_t now = UINT64_C(1000000000);
    memory_guard g = make(LIMIT);

    (void)state;
    resident = 0;
    assert_true(memory_has_room(&g, 100, now));
    resident = LIMIT; /* not seen yet */
    assert_true(memory_has_room(&g, 100, now + MEMORY_LOOK_NS - 1));
    assert_int_equal(looks, 1);
    assert_false(memory_has_room(&g, LARGE, now + MEMORY_LOOK_NS - 1));
    assert_int_equal(looks, 2);
    assert_false(memory_has_room(&g, 100, now + MEMORY_LOOK_NS));
    resident = 0;
    assert_true(memory_has_room(&g, 100, now + 2 * MEMORY_LOOK_NS));
    assert_int_equal(looks, 3);
}

static void test_holes_are_given_back_now_and_then_when_there_is_much(void **state)
{
    uint64_t now = UINT64_C(10000000000);
    memory_guard g = make(LIMIT);

    (void)state;
    resident = LIMIT / 100 * MEMORY_TRIM_PERCENT - 1;
    assert_false(memory_wants_trim(&g, now));
    resident++;
    assert_true(memory_wants_trim(&g, now));
    assert_false(memory_wants_trim(&g, now + MEMORY_TRIM_NS - 1));
    assert_true(memory_wants_trim(&g, now + MEMORY_TRIM_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_is_room_up_to_the_cap),
        cmocka_unit_test(test_without_a_limit_there_is_always_room),
        cmocka_unit_test(test_small_bodies_share_a_look_and_large_ones_have_their_own),
        cmocka_unit_test(test_holes_are_given_back_now_and_then_when_there_is_much),
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
