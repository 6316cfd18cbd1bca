/* Profiles merged into a tree: values add up, filters leave out, every frame counts a sample once. */
#include "dashboards/model/flametree.h"

#include <stdio.h>

#include "support/alloc_fail.h"
#include "support/pprof_body.h"
#include "support/test.h"

#define assert_str(got, want) assert_true(sonde_str_eq((got), sonde_str_from(want)))

#define TYPES   "cpu-samples/count,cpu-time/nanoseconds"
#define START   1000000
#define SECONDS 60

static void write_example(pprof_body *b)
{
    pprof_body_begin(b, TYPES);
    pprof_body_sample(b, "main;work;/lib/libc.so!memcpy", (int64_t[]){ 1, 10, -1 },
                      "thread name=a,thread id=#11,span id=#7,local root span id=#5,"
                      "trace endpoint=GET /");
    pprof_body_sample(b, "main;work", (int64_t[]){ 2, 20, -1 },
                      "thread name=b,thread id=#12,span id=#8,local root span id=#6");
    pprof_body_sample(b, "main;work;fold;fold;work", (int64_t[]){ 4, 40, -1 }, "thread name=a");
    pprof_body_sample(b, "main;/lib/libc.so!#64", (int64_t[]){ 8, 80, -1 },
                      "end_timestamp_ns=#2000000");
    pprof_body_end(b);
}

typedef struct merged {
    flametree f;
    pprof_body body;
} merged;

/* cpu-time of the example. */
static void merge(merged *m, const flametree_filter *filter)
{
    flametree_source source = { .column_of = { FLAMETREE_NO_COLUMN, 0 },
                                .start_unix_ns = START,
                                .end_unix_ns = START + SECONDS };
    sonde_pprof_view v;

    write_example(&m->body);
    assert_status(flametree_init(&m->f, 1), SONDE_OK);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&m->body.out)), SONDE_OK);
    flametree_add(&m->f, &v, filter, &source);
    sonde_pprof_view_done(&v);
    assert_status(flametree_finish(&m->f), SONDE_OK);
}

static void done(merged *m)
{
    flametree_done(&m->f);
    pprof_body_done(&m->body);
}

static bool name_is(const flametree *f, size_t node, sonde_str name)
{
    return sonde_str_eq(sonde_flame_name(&f->tree, f->tree.nodes[node].frame), name);
}

/* The node at "main;work"; 0: none. */
static size_t node_at(const flametree *f, const char *path)
{
    sonde_str left = sonde_str_from(path);
    size_t node = 0, child;

    while (left.len) {
        sonde_str name = sonde_str_cut(&left, ';');

        for (child = node + 1; child < f->tree.nodes_len; child++)
            if (f->tree.nodes[child].parent == node && name_is(f, child, name))
                break;
        if (child == f->tree.nodes_len)
            return 0;
        node = child;
    }
    return node;
}

static size_t frame_named(const flametree *f, const char *name)
{
    size_t i;

    for (i = 1; i < f->tree.frames_len; i++)
        if (sonde_str_eq(sonde_flame_name(&f->tree, i), sonde_str_from(name)))
            return i;
    fail_msg("no frame %s", name);
    return 0;
}

static void test_samples_add_up_along_their_stacks(void **state)
{
    const flametree_filter all = { .inverted = false };
    merged m;

    (void)state;
    merge(&m, &all);
    assert_int_equal(m.f.totals[0], 150);
    assert_int_equal(m.f.samples[0], 4);
    assert_int_equal(m.f.profiles[0], 1);
    assert_int_equal(flametree_total(&m.f, node_at(&m.f, "main"), 0), 150);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "main"), 0), 0);
    assert_int_equal(flametree_total(&m.f, node_at(&m.f, "main;work"), 0), 70);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "main;work"), 0), 20);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "main;work;memcpy"), 0), 10);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "main;work;fold;fold;work"), 0), 40);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "main;libc.so+0x40"), 0), 80);
    done(&m);
}

static void test_a_frame_counts_a_sample_once_however_deep_it_recurses(void **state)
{
    const flametree_filter all = { .inverted = false };
    merged m;

    (void)state;
    merge(&m, &all);
    assert_int_equal(flametree_frame_total(&m.f, frame_named(&m.f, "work"), 0), 70);
    assert_int_equal(flametree_frame_self(&m.f, frame_named(&m.f, "work"), 0), 60);
    assert_int_equal(flametree_frame_total(&m.f, frame_named(&m.f, "fold"), 0), 40);
    assert_int_equal(flametree_frame_self(&m.f, frame_named(&m.f, "fold"), 0), 0);
    assert_str(sonde_flame_object(&m.f.tree, frame_named(&m.f, "memcpy")), "/lib/libc.so");
    done(&m);
}

static sonde_regex *regex(const char *pattern)
{
    sonde_regex *re = NULL;

    assert_status(sonde_regex_compile(sonde_str_from(pattern), &re, NULL), SONDE_OK);
    return re;
}

static void test_filters_leave_samples_out(void **state)
{
    static const uint64_t span[] = { 8 }, roots[] = { 5, 6 };
    sonde_regex *libc = regex("libc"), *folds = regex("^fold$");
    const struct {
        const char *label;
        flametree_filter filter;
        int64_t total;
    } cases[] = {
        { "thread by name", { .thread = SONDE_STR("a") }, 50 },
        { "thread by id", { .thread = SONDE_STR("12") }, 20 },
        { "endpoint", { .endpoint = SONDE_STR("GET /") }, 10 },
        { "span", { .spans = span, .spans_len = 1 }, 20 },
        { "local roots", { .roots = roots, .roots_len = 2 }, 30 },
        { "object", { .object = libc }, 90 },
        { "frame", { .frame = folds }, 40 },
        { "both", { .object = libc, .frame = folds }, 0 },
        { "time", { .from_unix_ns = 1, .to_unix_ns = 1999999 }, 70 }, /* of those that say it */
        { "focus", { .focus = SONDE_STR("work") }, 70 },
        { "nothing has it", { .focus = SONDE_STR("nobody") }, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        merged m;

        merge(&m, &cases[i].filter);
        if (m.f.totals[0] != cases[i].total)
            fail_msg("%s: %lld", cases[i].label, (long long)m.f.totals[0]);
        done(&m);
    }
    sonde_regex_free(libc);
    sonde_regex_free(folds);
}

static void test_inverted_begins_with_the_leaf(void **state)
{
    const flametree_filter inverted = { .inverted = true };
    merged m;

    (void)state;
    merge(&m, &inverted);
    assert_int_equal(flametree_total(&m.f, node_at(&m.f, "work"), 0), 60);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "work;main"), 0), 20);
    assert_int_equal(flametree_self(&m.f, node_at(&m.f, "work;fold;fold;work;main"), 0), 40);
    assert_int_equal(flametree_frame_self(&m.f, frame_named(&m.f, "main"), 0),
                     0); /* the leaf is the leaf */
    assert_int_equal(flametree_frame_self(&m.f, frame_named(&m.f, "work"), 0), 60);
    done(&m);
}

static void test_a_focus_shows_what_it_calls_or_who_calls_it(void **state)
{
    const flametree_filter callees = { .focus = SONDE_STR("fold") };
    const flametree_filter callers = { .focus = SONDE_STR("fold"), .inverted = true };
    merged m;

    (void)state;
    merge(&m, &callees);
    assert_int_equal(flametree_total(&m.f, node_at(&m.f, "fold;fold;work"), 0), 40);
    assert_int_equal(node_at(&m.f, "main"), 0);
    done(&m);
    merge(&m, &callers); /* the outermost call counts */
    assert_int_equal(flametree_total(&m.f, node_at(&m.f, "fold;work;main"), 0), 40);
    done(&m);
}

static const flametree_key *find_key(const flametree_keys *keys, const char *text)
{
    size_t i;

    for (i = 0; i < keys->len; i++)
        if (sonde_str_eq(keys->items[i].text, sonde_str_from(text)))
            return &keys->items[i];
    fail_msg("no key %s", text);
    return NULL;
}

/* The nodes of one tree, as "name" or "(name)" when inlined, in order. */
static void assert_nodes(const char *stack, const flametree_filter *filter, const char *want)
{
    static const flametree_source source = { .column_of = { 0 } };
    char got[256] = "";
    size_t i, len = 0;
    pprof_body b;
    sonde_pprof_view v;
    flametree f;

    pprof_body_begin(&b, "cpu-samples/count");
    pprof_body_sample(&b, "main;work", (int64_t[]){ 1, -1 }, "");
    pprof_body_sample(&b, stack, (int64_t[]){ 2, -1 }, "");
    pprof_body_end(&b);
    assert_status(flametree_init(&f, 1), SONDE_OK);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&b.out)), SONDE_OK);
    flametree_add(&f, &v, filter, &source);
    sonde_pprof_view_done(&v);
    assert_status(flametree_finish(&f), SONDE_OK);
    for (i = 1; i < f.tree.nodes_len; i++) {
        bool in = f.tree.nodes[i].is_inlined;

        len += (size_t)snprintf(got + len, sizeof(got) - len, " %s%.*s%s", in ? "(" : "",
                                SONDE_STR_ARG(sonde_flame_name(&f.tree, f.tree.nodes[i].frame)),
                                in ? ")" : "");
    }
    assert_string_equal(got + 1, want);
    flametree_done(&f);
    pprof_body_done(&b);
}

static void test_inlined_functions_are_marked_and_kept_apart_from_called_ones(void **state)
{
    const flametree_filter all = { .inverted = false }, focus = { .focus = SONDE_STR("work") };
    const flametree_filter up = { .inverted = true };

    (void)state;
    assert_nodes("main+work+add;leaf", &all, "main work (work) (add) leaf");
    assert_nodes("main+work+add;leaf", &focus, "work (add) leaf");
    assert_nodes("main+work", &up, "work main");
    assert_nodes("main+add+work", &up, "work main (add) main");
    /* a location each, with one address */
    assert_nodes("main;work@64;add@64;leaf", &all, "main work (add) leaf");
    assert_nodes("main;work@64;add@65;leaf", &all, "main work add leaf");
    assert_nodes("main;work@64;/lib/libc.so!add@64;leaf", &all, "main work add leaf");
    assert_nodes("main;work@64;add@64;work@64;add@64", &all, "main work (add) work (add)");
    assert_nodes("main;work@64;work@64", &all, "main work work");
}

static void test_threads_endpoints_objects_and_roots_are_summed_up(void **state)
{
    const flametree_filter one = { .thread = SONDE_STR("b") };
    merged m;

    (void)state;
    merge(&m, &one);
    assert_int_equal(find_key(&m.f.threads, "a")->value, 50); /* whatever the filter */
    assert_int_equal(find_key(&m.f.threads, "b")->value, 20);
    assert_int_equal(find_key(&m.f.endpoints, "GET /")->value, 10);
    assert_int_equal(find_key(&m.f.objects, "demo")->value, 60);
    assert_int_equal(find_key(&m.f.objects, "libc.so")->value, 90);
    assert_int_equal(m.f.roots_by_id.len, 1); /* after it */
    assert_int_equal(m.f.roots[0].id, 6);
    assert_int_equal(m.f.roots[0].value, 20);
    assert_int_equal(m.f.roots[0].first_unix_ns, START);
    done(&m);
}

static void test_two_profiles_stand_side_by_side_in_two_columns(void **state)
{
    const flametree_filter all = { .inverted = false };
    flametree_source source = { .column_of = { FLAMETREE_NO_COLUMN, 0 } };
    pprof_body first, second;
    sonde_pprof_view v;
    flametree f;

    (void)state;
    write_example(&first);
    pprof_body_begin(&second, TYPES);
    pprof_body_sample(&second, "main;work", (int64_t[]){ 1, 5, -1 }, "");
    pprof_body_sample(&second, "main;fresh", (int64_t[]){ 1, 7, -1 }, "");
    pprof_body_end(&second);
    assert_status(flametree_init(&f, 2), SONDE_OK);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&first.out)), SONDE_OK);
    flametree_add(&f, &v, &all, &source);
    sonde_pprof_view_done(&v);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&second.out)), SONDE_OK);
    source.column_of[1] = 1;
    flametree_add(&f, &v, &all, &source);
    sonde_pprof_view_done(&v);
    assert_status(flametree_finish(&f), SONDE_OK);

    assert_int_equal(f.totals[0], 150);
    assert_int_equal(f.totals[1], 12);
    assert_int_equal(flametree_total(&f, node_at(&f, "main;work"), 0), 70);
    assert_int_equal(flametree_total(&f, node_at(&f, "main;work"), 1), 5);
    assert_int_equal(flametree_total(&f, node_at(&f, "main;fresh"), 0), 0);
    assert_int_equal(flametree_total(&f, node_at(&f, "main;fresh"), 1), 7);
    flametree_done(&f);
    pprof_body_done(&first);
    pprof_body_done(&second);
}

static void test_samples_fall_into_buckets_by_their_time_or_evenly(void **state)
{
    const flametree_filter all = { .inverted = false };
    flametree_source source = { .column_of = { 0, FLAMETREE_NO_COLUMN },
                                .start_unix_ns = 1000,
                                .end_unix_ns = 1100 };
    pprof_body b;
    sonde_pprof_view v;
    flametree f;

    (void)state;
    pprof_body_begin(&b, TYPES);
    pprof_body_sample(&b, "main", (int64_t[]){ 100, 0, -1 }, "");
    pprof_body_sample(&b, "main", (int64_t[]){ 7, 0, -1 }, "end_timestamp_ns=#1030");
    pprof_body_end(&b);
    assert_status(flametree_init(&f, 1), SONDE_OK);
    assert_status(flametree_want_buckets(&f, 980, 40, 3), SONDE_OK); /* 980, 1020, 1060..1100 */
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&b.out)), SONDE_OK);
    flametree_add(&f, &v, &all, &source);
    sonde_pprof_view_done(&v);
    assert_status(flametree_finish(&f), SONDE_OK);
    assert_int_equal((int)(f.buckets[0] + 0.5), 20);
    assert_int_equal((int)(f.buckets[1] + 0.5), 47);
    assert_int_equal((int)(f.buckets[2] + 0.5), 40);
    flametree_done(&f);
    pprof_body_done(&b);
}

/* A message of `samples` stacks of `depth` frames, each with a root of its own, or nothing but. */
static void write_many(sonde_buf *b, uint32_t samples, uint32_t depth, bool all_own)
{
    uint32_t functions = all_own ? samples * depth : samples + 1, i, k;
    size_t mark, line;

    sonde_buf_init(b, 64u << 20);
    sonde_buf_append(b, "\x0a\x02\x08\x01", 4);
    for (i = 0; i < samples; i++) {
        size_t sample = sonde_pb_begin(b, 2);

        for (k = depth; k-- > 0;) /* leaf first; function 1 is common */
            sonde_pb_varint(b, 1, all_own ? i * depth + k + 1 : k ? 1 : i + 2);
        sonde_pb_varint(b, 2, 1);
        mark = sonde_pb_begin(b, 3);
        sonde_pb_varint(b, 1, 2);
        sonde_pb_varint(b, 3, i + 1);
        sonde_pb_end(b, mark);
        sonde_pb_end(b, sample);
    }
    for (i = 1; i <= functions; i++) {
        mark = sonde_pb_begin(b, 4);
        sonde_pb_varint(b, 1, i);
        line = sonde_pb_begin(b, 4);
        sonde_pb_varint(b, 1, i);
        sonde_pb_end(b, line);
        sonde_pb_end(b, mark);
        mark = sonde_pb_begin(b, 5);
        sonde_pb_varint(b, 1, i);
        sonde_pb_varint(b, 2, i + 2);
        sonde_pb_end(b, mark);
    }
    sonde_pb_str_always(b, 6, (sonde_str){ "", 0 });
    sonde_pb_str_always(b, 6, SONDE_STR("count"));
    sonde_pb_str_always(b, 6, SONDE_STR("local root span id"));
    for (i = 1; i <= functions; i++) {
        char name[16];
        int len = snprintf(name, sizeof(name), "f%u", i);

        sonde_pb_str_always(b, 6, (sonde_str){ name, (size_t)len });
    }
}

static void test_beyond_a_ceiling_values_stay_with_the_callers(void **state)
{
    static const struct {
        const char *label;
        size_t columns;
        uint32_t samples, depth;
        bool all_own, truncated;
        size_t nodes, frames, roots;
    } cases[] = {
        { "depth", 1, 1, FLAMETREE_DEPTH_MAX + 1, false, false, FLAMETREE_DEPTH_MAX + 1, 3, 1 },
        { "nodes", 1, 1001, 500, false, true, FLAMETREE_NODES_MAX, 1003, FLAMETREE_KEYS_MAX },
        { "frames", 1, 400, 501, true, true, FLAMETREE_FRAMES_MAX, FLAMETREE_FRAMES_MAX, 400 },
        { "values", FLAMETREE_COLUMNS_MAX, 40, 500, false, true,
          FLAMETREE_VALUES_MAX / FLAMETREE_COLUMNS_MAX, 42, 40 },
    };
    const flametree_filter all = { .inverted = false };
    const flametree_source source = { .column_of = { 0 } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf b;
        sonde_pprof_view v;
        flametree f;

        write_many(&b, cases[i].samples, cases[i].depth, cases[i].all_own);
        assert_status(b.status, SONDE_OK);
        assert_status(flametree_init(&f, cases[i].columns), SONDE_OK);
        assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&b)), SONDE_OK);
        flametree_add(&f, &v, &all, &source);
        sonde_pprof_view_done(&v);
        assert_status(flametree_finish(&f), SONDE_OK);
        if (f.truncated != cases[i].truncated || f.tree.nodes_len != cases[i].nodes ||
            f.tree.frames_len != cases[i].frames || f.roots_by_id.len != cases[i].roots)
            fail_msg("%s: %u nodes, %u frames, %zu roots", cases[i].label, f.tree.nodes_len,
                     f.tree.frames_len, f.roots_by_id.len);
        assert_int_equal(f.totals[0], cases[i].samples); /* nothing is lost */
        flametree_done(&f);
        sonde_buf_done(&b);
    }
}

static sonde_status merge_scenario(void *user)
{
    const flametree_filter all = { .inverted = false };
    flametree_source source = { .column_of = { FLAMETREE_NO_COLUMN, 0 } };
    const pprof_body *b = (const pprof_body *)user;
    sonde_pprof_view v;
    flametree f;
    sonde_status status = flametree_init(&f, 1);

    if (status == SONDE_OK)
        status = sonde_pprof_view_decode(&v, sonde_buf_str(&b->out));
    if (status == SONDE_OK) {
        flametree_add(&f, &v, &all, &source);
        sonde_pprof_view_done(&v);
        status = flametree_finish(&f);
    }
    flametree_done(&f);
    return status;
}

static void test_merging_copes_with_failing_allocations(void **state)
{
    pprof_body b;

    (void)state;
    write_example(&b);
    alloc_fail_each(merge_scenario, &b);
    pprof_body_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_add_up_along_their_stacks),
        cmocka_unit_test(test_a_frame_counts_a_sample_once_however_deep_it_recurses),
        cmocka_unit_test(test_filters_leave_samples_out),
        cmocka_unit_test(test_inverted_begins_with_the_leaf),
        cmocka_unit_test(test_a_focus_shows_what_it_calls_or_who_calls_it),
        cmocka_unit_test(test_inlined_functions_are_marked_and_kept_apart_from_called_ones),
        cmocka_unit_test(test_threads_endpoints_objects_and_roots_are_summed_up),
        cmocka_unit_test(test_two_profiles_stand_side_by_side_in_two_columns),
        cmocka_unit_test(test_samples_fall_into_buckets_by_their_time_or_evenly),
        cmocka_unit_test(test_beyond_a_ceiling_values_stay_with_the_callers),
        cmocka_unit_test(test_merging_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("flametree", tests, NULL, NULL);
}
