/* How samplers adapt: to what they use, and to memory that runs short. */
#include "support/test.h"

#include "base/clock.h"
#include "profiler/src/counts.h"
#include "profiler/src/overhead.h"

#define SECOND ((uint64_t)SONDE_NS_PER_S)
#define MS     ((uint64_t)SONDE_NS_PER_MS)

typedef struct machine {
    sonde_prof__overhead o;
    sonde_prof__costs c;
} machine;

static void start(machine *m, double percent)
{
    sonde_prof__overhead_init(&m->o, percent);
    m->c = (sonde_prof__costs){ .now_mono_ns = SECOND, .memory_max = 800 };
    (void)sonde_prof__overhead_look(&m->o, &m->c);
}

/* `n` seconds in which samplers used `own` and the process `cpu` each. */
static void pass(machine *m, unsigned n, uint64_t own, uint64_t cpu)
{
    while (n-- > 0) {
        m->c.now_mono_ns += SECOND;
        m->c.own_ns += own;
        m->c.cpu_ns += cpu;
        (void)sonde_prof__overhead_look(&m->o, &m->c);
    }
}

static void too_much_makes_samples_rarer_and_calm_brings_them_back(void **state)
{
    uint64_t rarer;
    machine m;

    (void)state;
    start(&m, 1.0);
    pass(&m, 5, 9 * MS, 1000 * MS);
    assert_int_equal(m.o.step, 0);
    assert_int_equal(m.o.ppm, 9000);
    rarer = atomic_load(&sonde_prof__count.made_rarer);
    pass(&m, 1, 11 * MS, 1000 * MS);
    assert_int_equal(m.o.step, 1);
    assert_int_equal(atomic_load(&sonde_prof__count.made_rarer), rarer + 1);
    pass(&m, 20, 11 * MS, 1000 * MS);
    assert_int_equal(m.o.step, SONDE_PROF__STEPS_MAX);
    pass(&m, 100, 6 * MS, 1000 * MS); /* neither too much nor little */
    assert_int_equal(m.o.step, SONDE_PROF__STEPS_MAX);
    pass(&m, 30, 4 * MS, 1000 * MS);
    assert_int_equal(m.o.step, SONDE_PROF__STEPS_MAX);
    pass(&m, 1, 4 * MS, 1000 * MS);
    assert_int_equal(m.o.step, SONDE_PROF__STEPS_MAX - 1);
    pass(&m, 30 * SONDE_PROF__STEPS_MAX, 4 * MS, 1000 * MS);
    assert_int_equal(m.o.step, 0);
}

static void a_process_that_does_little_has_two_milliseconds_a_second(void **state)
{
    machine m;

    (void)state;
    start(&m, 1.0);
    pass(&m, 10, 19 * MS / 10, 3 * MS);
    assert_int_equal(m.o.step, 0);
    pass(&m, 1, 21 * MS / 10, 3 * MS);
    assert_int_equal(m.o.step, 1);
}

static void memory_is_given_up_in_order_and_taken_back(void **state)
{
    uint64_t shed = atomic_load(&sonde_prof__count.shed);
    machine m;

    (void)state;
    start(&m, 1.0);
    m.c.memory_bytes = 700;
    pass(&m, 1, 0, SECOND);
    assert_int_equal(m.o.shed, SONDE_PROF__SHED_NOTHING);
    m.c.memory_bytes = 701;
    pass(&m, 1, 0, SECOND);
    assert_int_equal(m.o.shed, SONDE_PROF__SHED_TIMELINE);
    pass(&m, 10, 0, SECOND);
    assert_int_equal(m.o.shed, SONDE_PROF__SHED_WALL);
    assert_int_equal(atomic_load(&sonde_prof__count.shed), shed + SONDE_PROF__SHED_WALL);
    m.c.memory_bytes = 650; /* between the two */
    pass(&m, 100, 0, SECOND);
    assert_int_equal(m.o.shed, SONDE_PROF__SHED_WALL);
    m.c.memory_bytes = 500;
    pass(&m, 31, 0, SECOND);
    assert_int_equal(m.o.shed, SONDE_PROF__SHED_LOCKS);
    pass(&m, 90, 0, SECOND);
    assert_int_equal(m.o.shed, SONDE_PROF__SHED_NOTHING);
}

static void one_look_a_second_is_enough(void **state)
{
    machine m;

    (void)state;
    start(&m, 1.0);
    m.c.own_ns += SECOND;
    m.c.now_mono_ns += SECOND - 1;
    assert_false(sonde_prof__overhead_look(&m.o, &m.c));
    m.c.now_mono_ns += 1;
    assert_true(sonde_prof__overhead_look(&m.o, &m.c));
}

static void intervals_grow_by_halves_and_by_doubles(void **state)
{
    (void)state;
    assert_int_equal(sonde_prof__cpu_period_at(1000, 0), 1000);
    assert_int_equal(sonde_prof__cpu_period_at(1000, 1), 1500);
    assert_int_equal(sonde_prof__cpu_period_at(1000, 2), 2250);
    assert_int_equal(sonde_prof__cpu_period_at(1000, SONDE_PROF__STEPS_MAX), 8000);
    assert_int_equal(sonde_prof__interval_at(50, 3), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_much_makes_samples_rarer_and_calm_brings_them_back),
        cmocka_unit_test(a_process_that_does_little_has_two_milliseconds_a_second),
        cmocka_unit_test(memory_is_given_up_in_order_and_taken_back),
        cmocka_unit_test(one_look_a_second_is_enough),
        cmocka_unit_test(intervals_grow_by_halves_and_by_doubles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
