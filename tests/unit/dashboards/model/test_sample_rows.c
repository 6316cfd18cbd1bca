/* Samples of one node kept apart by their labels, as long as there is room. */
#include "dashboards/model/sample_rows.h"

#include "support/alloc_fail.h"
#include "support/test.h"

static const sonde_flame_limits limits = {
    .nodes = 16, .frames = 16, .texts = 64, .text_bytes = 65536
};

typedef struct fixture {
    sonde_flame tree;
    sample_rows rows;
} fixture;

static void open_fixture(fixture *x, uint32_t rows_max)
{
    assert_status(sonde_flame_init(&x->tree, 1, &limits), SONDE_OK);
    sample_rows_init(&x->rows, &x->tree, rows_max);
}

static void close_fixture(fixture *x)
{
    sample_rows_done(&x->rows);
    sonde_flame_done(&x->tree);
}

/* thread name, span id, and a time when it is not 0 */
static uint32_t row_of(fixture *x, uint32_t node, const char *thread, int64_t span, int64_t time)
{
    static sonde_pprof_sample s; /* large */

    s.labels_len = 0;
    if (thread)
        s.labels[s.labels_len++] =
            (sonde_pprof_label){ .key = SONDE_STR("thread name"), .text = sonde_str_from(thread) };
    if (span)
        s.labels[s.labels_len++] =
            (sonde_pprof_label){ .key = SONDE_STR("span id"), .number = span };
    if (time)
        s.labels[s.labels_len++] = (sonde_pprof_label){ .key = SONDE_STR("end_timestamp_ns"),
                                                        .number = time,
                                                        .unit = SONDE_STR("nanoseconds") };
    return sample_rows_of(&x->rows, node, &s);
}

static void test_the_same_node_and_labels_are_one_row(void **state)
{
    fixture x;
    uint32_t row;
    const sample_label *l;

    (void)state;
    open_fixture(&x, 100);
    row = row_of(&x, 1, "main", 7, 99);
    assert_int_equal(row_of(&x, 1, "main", 7, 99), row);
    assert_int_not_equal(row_of(&x, 2, "main", 7, 99), row);
    assert_int_not_equal(row_of(&x, 1, "other", 7, 99), row);
    assert_int_not_equal(row_of(&x, 1, "main", 8, 99), row);
    assert_int_not_equal(row_of(&x, 1, "main", 7, 0), row);
    assert_int_equal(x.rows.rows_len, 5);
    assert_int_equal(x.rows.sets_len, 4); /* two nodes share one */
    l = x.rows.labels + x.rows.sets[x.rows.rows[row].set].first;
    assert_true(sonde_str_eq(x.tree.texts[l[0].key], SONDE_STR("thread name")));
    assert_true(sonde_str_eq(x.tree.texts[l[0].text], SONDE_STR("main")));
    assert_int_equal(l[1].text, 0);
    assert_int_equal(l[1].number, 7);
    assert_true(sonde_str_eq(x.tree.texts[l[2].unit], SONDE_STR("nanoseconds")));
    assert_int_equal(row_of(&x, 1, NULL, 0, 0), SAMPLE_ROWS_NONE); /* no labels at all */
    close_fixture(&x);
}

static void test_times_go_first_then_labels(void **state)
{
    fixture x;
    int64_t i;

    (void)state;
    open_fixture(&x, 10);
    for (i = 1; i <= 5; i++)
        assert_int_equal(row_of(&x, 1, "main", 0, i), i - 1);
    for (i = 6; i <= 9; i++)
        assert_int_equal(row_of(&x, 1, "main", 0, i), 5); /* without its time */
    assert_int_equal(x.rows.without_time, 4);
    for (i = 1; i <= 4; i++)
        assert_int_equal(row_of(&x, 1, "main", i, 0), 5 + i);
    assert_int_equal(row_of(&x, 1, "main", 5, 0), SAMPLE_ROWS_NONE);
    assert_int_equal(row_of(&x, 1, "main", 4, 0), 9); /* what is there still counts */
    assert_int_equal(x.rows.unlabelled, 1);
    close_fixture(&x);
}

static void test_labels_leave_half_of_the_texts_to_functions(void **state)
{
    fixture x;
    char thread[] = "a";

    (void)state;
    open_fixture(&x, 100);
    for (; thread[0] <= 'z'; thread[0]++)
        (void)row_of(&x, 1, thread, 0, 0);
    assert_true(x.tree.texts_len <= limits.texts / 2 + 3);
    for (thread[0] = 'A'; thread[0] <= 'Z'; thread[0]++)
        (void)row_of(&x, 1, thread, 0, 0);
    assert_true(x.tree.texts_len <= limits.texts / 2 + 3);
    assert_true(x.rows.unlabelled > 0);
    assert_int_not_equal(
        sonde_flame_frame_of(&x.tree, SONDE_STR("f"), SONDE_STR("x.so"), SONDE_STR("f.c")), 0);
    close_fixture(&x);
}

static sonde_status add_some(void *arg)
{
    fixture x;
    sonde_status status = sonde_flame_init(&x.tree, 1, &limits);

    (void)arg;
    sample_rows_init(&x.rows, &x.tree, 100);
    if (status == SONDE_OK && row_of(&x, 1, "main", 7, 99) == SAMPLE_ROWS_NONE)
        status = SONDE_ERR_NOMEM;
    close_fixture(&x);
    return status;
}

static void test_without_memory_there_is_no_row(void **state)
{
    (void)state;
    alloc_fail_each(add_some, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_node_and_labels_are_one_row),
        cmocka_unit_test(test_times_go_first_then_labels),
        cmocka_unit_test(test_labels_leave_half_of_the_texts_to_functions),
        cmocka_unit_test(test_without_memory_there_is_no_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
