/* test_flame.c - trees of functions: what is one node, sums, functions, comparisons; from a profile with inlined
 * functions and frames nobody knows. */
#include "agent/profiles/flame.h"

#include <math.h>
#include <stdio.h>

#include "agent/profiles/profile_join.h"
#include "base/alloc.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define assert_str_equal(got, want)                                                                \
    do {                                                                                           \
        sonde_str got_ = (got), want_ = (want);                                                    \
        if (!sonde_str_eq(got_, want_))                                                            \
            fail_msg("%s: got \"%.*s\", want \"%.*s\"", #got, SONDE_STR_ARG(got_),                 \
                     SONDE_STR_ARG(want_));                                                        \
    } while (0)

static flame *new_flame(void)
{
    flame *f = NULL;

    assert_status(flame_open(&f), SONDE_OK);
    return f;
}

static uint32_t child(flame *f, uint32_t parent, const char *name)
{
    return flame_child(f, parent, sonde_str_from(name), SONDE_STR("prog"), false);
}

static void test_a_function_called_twice_from_the_same_place_is_one_node(void **state)
{
    flame *f = new_flame();
    uint32_t main_ = child(f, 0, "main"), work = child(f, main_, "work");

    (void)state;
    assert_int_equal(child(f, main_, "work"), work);
    assert_int_not_equal(child(f, work, "work"), work);
    assert_int_not_equal(flame_child(f, main_, SONDE_STR("work"), SONDE_STR("libother.so"), false),
                         work);
    assert_int_not_equal(flame_child(f, main_, SONDE_STR("work"), SONDE_STR("prog"), true), work);
    assert_int_equal(f->tree.cut, 0);
    flame_close(f);
}

/* main 1 + (work 2 + work 4), other 8: two sides, the second ten times the first. */
static flame *recursive(void)
{
    flame *f = new_flame();
    uint32_t main_ = child(f, 0, "main"), work = child(f, main_, "work"),
             again = child(f, work, "work");
    uint32_t other = child(f, 0, "other");

    flame_count(f, main_, 0, 1, 1);
    flame_count(f, work, 0, 2, 1);
    flame_count(f, again, 0, 4, 1);
    flame_count(f, other, 0, 8, 1);
    flame_count(f, work, 1, 60, 3);
    flame_count(f, other, 1, 90, 9);
    flame_sum(f);
    return f;
}

static void test_totals_are_of_all_below(void **state)
{
    flame *f = recursive();

    (void)state;
    assert_int_equal(flame_total(f, 0, 0), 15);
    assert_int_equal(flame_total(f, 0, 1), 150);
    assert_int_equal(flame_total(f, 1, 0), 7); /* main */
    assert_int_equal(flame_total(f, 2, 0), 6); /* work */
    assert_int_equal(flame_total(f, 2, 1), 60);
    assert_int_equal(flame_total(f, 3, 0), 4); /* work of work */
    flame_close(f);
}

static void test_recursion_counts_once_in_the_total_of_a_function(void **state)
{
    static const struct {
        const char *name;
        int64_t self, total, after;
    } want[] = { { "other", 8, 8, 90 }, { "work", 6, 6, 60 }, { "main", 1, 7, 0 } };
    flame *f = recursive();
    flame_function *all;
    size_t len;

    (void)state;
    assert_status(flame_functions(f, &all, &len), SONDE_OK);
    assert_int_equal(len, 3);
    for (size_t i = 0; i < len; i++) {
        assert_str_equal(sonde_flame_name(&f->tree, all[i].frame), sonde_str_from(want[i].name));
        assert_int_equal(all[i].self[0], want[i].self);
        assert_int_equal(all[i].total[0], want[i].total);
        assert_int_equal(all[i].self[1], want[i].after);
    }
    sonde_free(all);
    flame_close(f);
}

/* 40 of 100 before, 60 of 100 after: p = 0.5, error = sqrt(0.25 * 0.02) = 0.0707107, z = 2.8284271. */
static void test_the_z_of_two_proportions(void **state)
{
    flame *f = new_flame();
    uint32_t a = child(f, 0, "a"), b = child(f, 0, "b");
    flame_function fn = { .events = { 40, 60 } };
    double z = 0;

    (void)state;
    assert_false(flame_change_z(f, &fn, &z)); /* nobody counted */
    flame_count(f, a, 0, 400, 40);
    flame_count(f, b, 0, 600, 60);
    flame_count(f, a, 1, 600, 60);
    flame_count(f, b, 1, 400, 40);
    assert_true(flame_change_z(f, &fn, &z));
    assert_true(fabs(z - 2.8284271) < 1e-6);
    flame_close(f);
}

/* Whatever room the texts before it have left. */
static void test_the_type_is_kept_while_texts_move(void **state)
{
    char name[16];

    (void)state;
    for (unsigned before = 0; before < 70; before++) {
        flame *f = new_flame();

        for (unsigned i = 0; i < before; i++) {
            (void)snprintf(name, sizeof(name), "f%u", i);
            (void)child(f, 0, name);
        }
        flame_set_type(f, SONDE_STR("cpu-time"), SONDE_STR("nanoseconds"));
        assert_str_equal(f->type, SONDE_STR("cpu-time"));
        assert_str_equal(f->unit, SONDE_STR("nanoseconds"));
        flame_close(f);
    }
}

/* ---- from a profile ---- */

static uint32_t synthetic(profile *p, uint32_t parent, const char *name)
{
    uint32_t text = profile_string(p, sonde_str_from(name));

    return profile_node_of(
        p, parent,
        profile_location_of(p, PROFILE_MAP_SYNTHETIC, PROFILE_KERNEL_SYMBOL + (uint64_t)text));
}

/* [truncated] ─▶ outer ⊃ inner (one address of /opt/lib/libx.so.1) ─▶ an address of it nobody knows */
static profile *with_inlines(void)
{
    profile *p = NULL;
    profile_sample row = { .kind = PROFILE_CPU, .events = 2, .value = { 30 } };
    uint32_t map, known, node;

    assert_status(profile_open(&p), SONDE_OK);
    map = profile_add_mapping(
        p, &(profile_mapping){ .path = profile_string(p, SONDE_STR("/opt/lib/libx.so.1")) });
    known = profile_location_of(p, map, 0x10);
    p->lines = sonde_calloc(2, sizeof(*p->lines));
    p->lines[0].function = profile_function_of(
        p, &(profile_function){ .name = profile_string(p, SONDE_STR("inner")) });
    p->lines[1].function = profile_function_of(
        p, &(profile_function){ .name = profile_string(p, SONDE_STR("outer")) });
    p->lines_len = p->lines_cap = 2;
    p->locations[known].lines_len = 2;
    node = profile_node_of(p, 0, profile_location_of(p, PROFILE_MAP_SYNTHETIC, PROFILE_TRUNCATED));
    node = profile_node_of(p, node, known);
    row.node = node;
    profile_add(p, &row);
    row.node = profile_node_of(p, node, profile_location_of(p, map, 0x2a));
    profile_add(p, &row);
    row.kind = PROFILE_WALL;
    row.node = synthetic(p, 0, "asleep");
    profile_add(p, &row);
    return p;
}

static const profile_column cpu_time = { .kind = PROFILE_CPU, .value = 0 };

static void check_inlines(flame *f, uint32_t first)
{
    static const struct {
        const char *name, *object;
        bool is_inlined;
        int64_t self;
    } want[] = {
        { "[truncated]", "", false, 0 },
        { "outer", "libx.so.1", false, 0 },
        { "inner", "libx.so.1", true, 30 },
        { "libx.so.1+0x2a", "libx.so.1", false, 30 },
    };

    assert_int_equal(f->tree.nodes_len,
                     first + 4); /* nothing of what the column has no values of */
    for (uint32_t i = 0; i < 4; i++) {
        const sonde_flame_node *n = &f->tree.nodes[first + i];

        assert_str_equal(flame_name(f, first + i), sonde_str_from(want[i].name));
        assert_str_equal(flame_object(f, first + i), sonde_str_from(want[i].object));
        assert_int_equal(n->parent, first + i - 1);
        assert_int_equal(n->is_inlined, want[i].is_inlined);
        assert_int_equal(flame_self(f, first + i, 0), want[i].self);
        assert_int_equal(flame_events(f, first + i, 0), want[i].self ? 2 : 0);
    }
}

static void test_inlined_functions_are_below_those_they_are_in(void **state)
{
    profile *p = with_inlines();
    flame *f = new_flame();

    (void)state;
    assert_status(flame_add_profile(f, p, &cpu_time, 0), SONDE_OK);
    check_inlines(f, 1);
    flame_close(f);
    profile_close(p);
}

static void test_two_processes_in_one_profile_have_a_root_each(void **state)
{
    profile *p = with_inlines(), *all = NULL;
    flame *f = new_flame();

    (void)state;
    assert_status(profile_open(&all), SONDE_OK);
    assert_status(profile_join(all, p, SONDE_STR("one")), SONDE_OK);
    assert_status(profile_join(all, p, SONDE_STR("two")), SONDE_OK);
    assert_int_equal(all->samples_len, 6);
    assert_status(flame_add_profile(f, all, &cpu_time, 0), SONDE_OK);
    flame_sum(f);
    assert_int_equal(flame_total(f, 0, 0), 120);
    assert_str_equal(flame_name(f, 1), SONDE_STR("one"));
    assert_int_equal(flame_total(f, 1, 0), 60);
    flame_close(f);
    profile_close(all);
    profile_close(p);
}

static void test_one_process_stays_as_it_is(void **state)
{
    profile *p = with_inlines(), *all = NULL;

    (void)state;
    assert_status(profile_open(&all), SONDE_OK);
    assert_status(profile_join(all, p, (sonde_str){ NULL, 0 }), SONDE_OK);
    assert_int_equal(all->samples_len, p->samples_len);
    assert_int_equal(all->nodes_len, p->nodes_len);
    for (uint32_t i = 0; i < p->samples_len; i++) {
        assert_int_equal(all->samples[i].node, p->samples[i].node);
        assert_int_equal(all->samples[i].value[0], p->samples[i].value[0]);
    }
    assert_true(all->enabled[PROFILE_CPU] && all->enabled[PROFILE_WALL]);
    profile_close(all);
    profile_close(p);
}

static sonde_status without_memory(void *arg)
{
    flame *f = NULL;
    profile *all = NULL;
    sonde_status status = flame_open(&f);

    if (status == SONDE_OK)
        status = flame_add_profile(f, arg, &cpu_time, 0);
    if (status == SONDE_OK)
        status = f->tree.cut ? SONDE_ERR_NOMEM : SONDE_OK;
    flame_close(f);
    if (status == SONDE_OK)
        status = profile_open(&all);
    if (status == SONDE_OK)
        status = profile_join(all, arg, SONDE_STR("root"));
    profile_close(all);
    return status;
}

static void test_without_memory_it_fails_or_counts(void **state)
{
    profile *p = with_inlines();

    (void)state;
    alloc_fail_each(without_memory, p);
    profile_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_function_called_twice_from_the_same_place_is_one_node),
        cmocka_unit_test(test_totals_are_of_all_below),
        cmocka_unit_test(test_recursion_counts_once_in_the_total_of_a_function),
        cmocka_unit_test(test_the_z_of_two_proportions),
        cmocka_unit_test(test_the_type_is_kept_while_texts_move),
        cmocka_unit_test(test_inlined_functions_are_below_those_they_are_in),
        cmocka_unit_test(test_two_processes_in_one_profile_have_a_root_each),
        cmocka_unit_test(test_one_process_stays_as_it_is),
        cmocka_unit_test(test_without_memory_it_fails_or_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
