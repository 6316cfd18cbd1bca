/* test_flame.c - flame/flame.h */
#include "support/test.h"

#include "flame/flame.h"
#include "support/alloc_fail.h"

static const sonde_flame_limits small = { .nodes = 8, .frames = 5, .texts = 8, .text_bytes = 8192 };

static uint32_t child(sonde_flame *f, uint32_t parent, const char *name)
{
    return sonde_flame_child(
        f, parent, sonde_flame_frame_of(f, sonde_str_from(name), SONDE_STR("app"), SONDE_STR("")),
        false);
}

static void test_the_same_way_is_the_same_node(void **state)
{
    sonde_flame f;
    uint32_t main_node, work, frame;

    (void)state;
    assert_status(sonde_flame_init(&f, 1, &small), SONDE_OK);
    main_node = child(&f, 0, "main");
    work = child(&f, main_node, "work");
    assert_int_equal(child(&f, main_node, "work"), work);
    assert_int_not_equal(child(&f, work, "work"), work);
    frame = f.nodes[work].frame;
    assert_int_not_equal(sonde_flame_child(&f, main_node, frame, true), work);
    assert_int_equal(f.nodes[work].depth, 2);
    assert_true(sonde_str_eq(sonde_flame_name(&f, frame), SONDE_STR("work")));
    assert_true(sonde_str_eq(sonde_flame_object(&f, frame), SONDE_STR("app")));
    sonde_flame_done(&f);
}

static void test_the_file_of_a_frame_is_the_first_ones(void **state)
{
    sonde_flame f;
    uint32_t a, b;

    (void)state;
    assert_status(sonde_flame_init(&f, 1, &small), SONDE_OK);
    a = sonde_flame_frame_of(&f, SONDE_STR("f"), SONDE_STR("x.so"), SONDE_STR("f.c"));
    b = sonde_flame_frame_of(&f, SONDE_STR("f"), SONDE_STR("x.so"), SONDE_STR("g.c"));
    assert_int_equal(a, b);
    assert_int_not_equal(
        a, sonde_flame_frame_of(&f, SONDE_STR("f"), SONDE_STR("y.so"), SONDE_STR("f.c")));
    assert_true(sonde_str_eq(sonde_flame_file(&f, a), SONDE_STR("f.c")));
    sonde_flame_done(&f);
}

static void test_totals_are_of_all_below_in_every_column(void **state)
{
    sonde_flame f;
    uint32_t a, b;

    (void)state;
    assert_status(sonde_flame_init(&f, 2, &small), SONDE_OK);
    a = child(&f, 0, "a");
    b = child(&f, a, "b");
    sonde_flame_count(&f, a, 0, 1);
    sonde_flame_count(&f, b, 0, 2);
    sonde_flame_count(&f, b, 1, INT64_MAX);
    sonde_flame_count(&f, b, 1, 5); /* stays within the type */
    sonde_flame_sum(&f);
    assert_int_equal(sonde_flame_total(&f, 0, 0), 3);
    assert_int_equal(sonde_flame_total(&f, a, 0), 3);
    assert_int_equal(sonde_flame_self(&f, a, 0), 1);
    assert_int_equal(sonde_flame_total(&f, 0, 1), INT64_MAX);
    assert_int_equal(sonde_flame_self(&f, a, 1), 0);
    sonde_flame_done(&f);
}

static void test_damaged_text_is_mended_and_found_again(void **state)
{
    sonde_flame f;
    uint32_t text;

    (void)state;
    assert_status(sonde_flame_init(&f, 1, &small), SONDE_OK);
    text = sonde_flame_text_of(&f, SONDE_STR("a\xff"
                                             "b"));
    assert_true(sonde_str_eq(f.texts[text], SONDE_STR("a?b")));
    assert_int_equal(sonde_flame_text_of(&f, SONDE_STR("a\xff"
                                                       "b")),
                     text);
    assert_int_equal(sonde_flame_text_of(&f, SONDE_STR("a?b")), text);
    assert_int_equal(f.texts_len, 2);
    sonde_flame_done(&f);
}

static void test_what_finds_no_room_stays_with_its_caller(void **state)
{
    static const struct {
        const char *label;
        sonde_flame_limits limits;
    } cases[] = {
        { "nodes", { .nodes = 2, .frames = 5, .texts = 8, .text_bytes = 8192 } },
        { "frames", { .nodes = 8, .frames = 2, .texts = 8, .text_bytes = 8192 } },
        { "texts", { .nodes = 8, .frames = 5, .texts = 3, .text_bytes = 8192 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_flame f;
        uint32_t a;

        assert_status(sonde_flame_init(&f, 1, &cases[i].limits), SONDE_OK);
        a = child(&f, 0, "a");
        if (a != 1 || child(&f, a, "b") != a || f.cut != 1 || f.no_memory)
            fail_msg("%s: %u, %llu cut", cases[i].label, a, (unsigned long long)f.cut);
        sonde_flame_done(&f);
    }
}

static void test_long_texts_have_a_ceiling_together(void **state)
{
    char name[7000];
    sonde_flame f;

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_status(sonde_flame_init(&f, 1, &small), SONDE_OK);
    assert_int_equal(sonde_flame_text_of(&f, (sonde_str){ name, sizeof(name) }), 1);
    assert_int_equal(sonde_flame_text_of(&f, (sonde_str){ name, sizeof(name) - 1 }), 0);
    assert_false(f.no_memory);
    sonde_flame_done(&f);
}

static sonde_status build(void *arg)
{
    sonde_flame f;
    sonde_status status = sonde_flame_init(&f, 1, &small);

    (void)arg;
    if (status == SONDE_OK) {
        sonde_flame_count(&f, child(&f, child(&f, 0, "a"), "b\xff"), 0, 1);
        sonde_flame_sum(&f);
        assert_int_equal(sonde_flame_total(&f, 0, 0), 1);
        status = f.cut ? SONDE_ERR_NOMEM : SONDE_OK;
    }
    sonde_flame_done(&f);
    return status;
}

static void test_without_memory_nothing_is_lost(void **state)
{
    (void)state;
    alloc_fail_each(build, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_way_is_the_same_node),
        cmocka_unit_test(test_the_file_of_a_frame_is_the_first_ones),
        cmocka_unit_test(test_totals_are_of_all_below_in_every_column),
        cmocka_unit_test(test_damaged_text_is_mended_and_found_again),
        cmocka_unit_test(test_what_finds_no_room_stays_with_its_caller),
        cmocka_unit_test(test_long_texts_have_a_ceiling_together),
        cmocka_unit_test(test_without_memory_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
