/* Lanes: values fall into steps of time, threads are told apart, and what finds no room is counted. */
#include "dashboards/model/lanes.h"

#include <stdio.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#define FROM 1000
#define STEP 10

static void begin(lanes *l)
{
    assert_status(lanes_init(l, LANE_KINDS, FROM, STEP, 4), SONDE_OK);
}

static void add(lanes *l, const char *name, const char *id, lane_kind kind, int64_t from,
                int64_t to, int64_t value)
{
    lanes_add(l, sonde_str_from(name), sonde_str_from(id), kind, from, to, value);
}

static void test_a_value_is_spread_over_the_steps_it_is_in(void **state)
{
    static const struct {
        const char *label;
        int64_t from, to, value;
        double want[4];
    } cases[] = {
        { "in one step", 1012, 1018, 6, { 0, 6, 0, 0 } },
        { "over three", 1005, 1025, 20, { 5, 10, 5, 0 } },
        { "begins before", 990, 1010, 20, { 10, 0, 0, 0 } },
        { "ends after", 1035, 1055, 20, { 0, 0, 0, 5 } },
        { "a moment", 1020, 1020, 7, { 0, 0, 7, 0 } },
        { "the end of the last step", 1040, 1040, 7, { 0, 0, 0, 0 } },
        { "long before", 0, 10, 10, { 0, 0, 0, 0 } },
        { "upside down", 1025, 1015, 3, { 0, 0, 3, 0 } },
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lanes l;

        begin(&l);
        add(&l, "a", "1", LANE_LOCK, cases[i].from, cases[i].to, cases[i].value);
        for (k = 0; k < 4; k++)
            if ((int64_t)(lanes_values(&l, 0, LANE_LOCK)[k] * 1000) !=
                (int64_t)(cases[i].want[k] * 1000))
                fail_msg("%s: step %zu", cases[i].label, k);
        assert_int_equal((int64_t)lanes_values(&l, 0, LANE_IO)[1], 0);
        lanes_done(&l);
    }
}

static void test_threads_of_one_name_or_one_number_are_several(void **state)
{
    lanes l;

    (void)state;
    begin(&l);
    add(&l, "worker", "1", LANE_RUNNING, 1000, 1001, 1);
    add(&l, "worker", "2", LANE_RUNNING, 1000, 1001, 5);
    add(&l, "", "2", LANE_RUNNING, 1000, 1001, 3);
    add(&l, "worker", "1", LANE_RUNNING, 1000, 1001, 1);
    assert_int_equal(l.len, 3);
    lanes_sort(&l);
    assert_int_equal(l.items[0].total[LANE_RUNNING], 5);
    assert_int_equal(l.items[1].total[LANE_RUNNING], 3);
    assert_int_equal(l.items[2].total[LANE_RUNNING], 2);
    assert_int_equal(l.items[1].name.len, 0);
    lanes_done(&l);
}

static void test_states_of_waiting_threads_have_a_kind(void **state)
{
    (void)state;
    assert_int_equal(lane_kind_of(SONDE_STR("running")), LANE_RUNNING);
    assert_int_equal(lane_kind_of(SONDE_STR("io")), LANE_IO);
    assert_int_equal(lane_kind_of(SONDE_STR("lock")), LANE_LOCK);
    assert_int_equal(lane_kind_of(SONDE_STR("sleep")), LANE_WAITING);
    assert_int_equal(lane_kind_of((sonde_str){ NULL, 0 }), LANE_WAITING);
}

static void test_beyond_the_ceiling_samples_are_left_out_and_counted(void **state)
{
    char id[16];
    size_t i;
    lanes l;

    (void)state;
    assert_status(lanes_init(&l, 1, FROM, STEP, 100000), SONDE_OK);
    assert_int_equal(l.steps, LANES_STEPS_MAX);
    for (i = 0; i < LANES_MAX + 3; i++) {
        (void)snprintf(id, sizeof(id), "%zu", i);
        add(&l, "t", id, 0, 1000, 1001, 1);
    }
    assert_int_equal(l.len, LANES_MAX);
    assert_int_equal(l.left_out, 3);
    add(&l, "t", "0", 0, 1000, 1001, INT64_MAX); /* one that is known; sums stay within the type */
    assert_int_equal(l.left_out, 3);
    assert_int_equal(l.items[0].total[0], INT64_MAX);
    lanes_done(&l);
}

static sonde_status add_some(void *arg)
{
    sonde_status status;
    lanes l;

    (void)arg;
    status = lanes_init(&l, LANE_KINDS, FROM, STEP, 4);
    if (status == SONDE_OK)
        add(&l, "a", "1", LANE_RUNNING, 1000, 1001, 1);
    if (l.no_memory)
        status = SONDE_ERR_NOMEM;
    lanes_done(&l);
    return status;
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    alloc_fail_each(add_some, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_is_spread_over_the_steps_it_is_in),
        cmocka_unit_test(test_threads_of_one_name_or_one_number_are_several),
        cmocka_unit_test(test_states_of_waiting_threads_have_a_kind),
        cmocka_unit_test(test_beyond_the_ceiling_samples_are_left_out_and_counted),
        cmocka_unit_test(test_without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
