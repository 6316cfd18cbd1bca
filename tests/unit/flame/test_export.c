/* test_export.c - what others read, byte by byte: collapsed stacks and speedscope's JSON. */
#include "flame/export.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#define assert_text(out, want)                                                                     \
    do {                                                                                           \
        sonde_str got_ = sonde_buf_str(&(out)), want_ = sonde_str_from(want);                      \
        if (!sonde_str_eq(got_, want_))                                                            \
            fail_msg("got \"%.*s\", want \"%.*s\"", SONDE_STR_ARG(got_), SONDE_STR_ARG(want_));    \
    } while (0)

static const sonde_flame_limits limits = {
    .nodes = 16, .frames = 16, .texts = 32, .text_bytes = 65536
};

static uint32_t child(sonde_flame *f, uint32_t parent, const char *name, const char *object,
                      const char *file, bool is_inlined)
{
    uint32_t frame =
        sonde_flame_frame_of(f, sonde_str_from(name), sonde_str_from(object), sonde_str_from(file));

    return sonde_flame_child(f, parent, frame, is_inlined);
}

/* Two columns: main itself 2 and 0, "a;b" 3 and 5, in\nner, inlined, 0 and 7, below it the kernel 1 and 0. */
static void begin(sonde_flame *f)
{
    uint32_t main_node, inner;

    assert_status(sonde_flame_init(f, 2, &limits), SONDE_OK);
    main_node = child(f, 0, "main", "prog", "main.c", false);
    sonde_flame_count(f, main_node, 0, 2);
    sonde_flame_count(f, child(f, main_node, "a;b", "", "", false), 0, 3);
    sonde_flame_count(f, child(f, main_node, "a;b", "", "", false), 1, 5);
    inner = child(f, main_node, "in\nner", "prog", "", true);
    sonde_flame_count(f, inner, 1, 7);
    sonde_flame_count(f, child(f, inner, "sys_read", "[kernel.kallsyms]", "", false), 0, 1);
    sonde_flame_sum(f);
}

static void test_collapsed_stacks_have_a_value_of_each_column(void **state)
{
    sonde_flame f;
    sonde_buf out;

    (void)state;
    begin(&f);
    sonde_buf_init(&out, 1u << 16);
    sonde_flame_folded(&f, 1, &out);
    assert_text(out, "main 2\nmain;a:b 3\nmain;in ner_[i];sys_read_[k] 1\n");
    sonde_buf_reset(&out);
    sonde_flame_folded(&f, 2, &out);
    assert_text(out,
                "main 2 0\nmain;a:b 3 5\nmain;in ner_[i] 0 7\nmain;in ner_[i];sys_read_[k] 1 0\n");
    sonde_buf_done(&out);
    sonde_flame_done(&f);
}

static void test_speedscope_has_the_frames_of_a_tree_once(void **state)
{
    const char *want =
        "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"version\":\"0.0.1\","
        "\"exporter\":\"sonde@" SONDE_VERSION "\",\"name\":\"me\",\"activeProfileIndex\":1,"
        "\"shared\":{\"frames\":[{\"name\":\"main\",\"file\":\"main.c\"},{\"name\":\"a;b\"},"
        "{\"name\":\"in\\nner\",\"file\":\"prog\"},"
        "{\"name\":\"sys_read\",\"file\":\"[kernel.kallsyms]\"},"
        "{\"name\":\"in\\nner (inlined)\",\"file\":\"prog\"},"
        "{\"name\":\"f\"}]},\"profiles\":["
        "{\"type\":\"sampled\",\"name\":\"cpu-time\",\"unit\":\"nanoseconds\",\"startValue\":0,"
        "\"samples\":[[0],[0,1],[0,4,3]],\"weights\":[2,3,1],\"endValue\":6},"
        "{\"type\":\"sampled\",\"name\":\"alloc-space\",\"unit\":\"bytes\",\"startValue\":0,"
        "\"samples\":[[0,1],[0,4]],\"weights\":[5,7],\"endValue\":12},"
        "{\"type\":\"sampled\",\"name\":\"lock-acquire\",\"unit\":\"none\",\"startValue\":0,"
        "\"samples\":[[5]],\"weights\":[9],\"endValue\":9}]}\n";
    sonde_flame two, one;
    const sonde_flame_column columns[] = {
        { &two, 0, SONDE_STR("cpu-time"), SONDE_STR("nanoseconds") },
        { &two, 1, SONDE_STR("alloc-space"), SONDE_STR("bytes") },
        { &one, 0, SONDE_STR("lock-acquire"), SONDE_STR("count") },
    };
    sonde_buf out;

    (void)state;
    begin(&two);
    assert_status(sonde_flame_init(&one, 1, &limits), SONDE_OK);
    sonde_flame_count(&one, child(&one, 0, "f", "", "", false), 0, 9);
    sonde_flame_sum(&one);
    sonde_buf_init(&out, 1u << 16);
    sonde_flame_speedscope(columns, 3, 1, SONDE_STR("me"), &out);
    assert_text(out, want);
    sonde_buf_done(&out);
    sonde_flame_done(&one);
    sonde_flame_done(&two);
}

static sonde_status without_memory(void *arg)
{
    const sonde_flame *f = (const sonde_flame *)arg;
    const sonde_flame_column column = { f, 0, SONDE_STR("cpu-time"), SONDE_STR("nanoseconds") };
    sonde_status status;
    sonde_buf out;

    sonde_buf_init(&out, 1u << 16);
    sonde_flame_folded(f, 2, &out);
    sonde_flame_speedscope(&column, 1, 0, SONDE_STR("me"), &out);
    status = out.status;
    sonde_buf_done(&out);
    return status;
}

static void test_without_memory_the_buffer_says_so(void **state)
{
    sonde_flame f;

    (void)state;
    begin(&f);
    alloc_fail_each(without_memory, &f);
    sonde_flame_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collapsed_stacks_have_a_value_of_each_column),
        cmocka_unit_test(test_speedscope_has_the_frames_of_a_tree_once),
        cmocka_unit_test(test_without_memory_the_buffer_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
