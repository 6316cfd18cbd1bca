/* test_flame_read.c - files another implementation packed, packed numbers or not, tables behind the samples; collapsed
 * stacks; damaged ones. */
#include "agent/profiles/flame_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "codec/pb_write.h"
#include "codec/proto/pprof.pb-c.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define NONE ((sonde_str){ NULL, 0 })
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

/* main ─▶ outer ⊃ inner: 3 samples, 30 ns; main ─▶ 0x2a nobody knows: 1 sample, 12 ns.  Ids are far apart. */
static sonde_buf packed(void)
{
    static const char *const strings[] = { "",         "cpu-samples", "count",
                                           "cpu-time", "nanoseconds", "main",
                                           "outer",    "inner",       "/opt/lib/libx.so" };
    Sonde__Pprof__ValueType types[2] = { SONDE__PPROF__VALUE_TYPE__INIT,
                                         SONDE__PPROF__VALUE_TYPE__INIT };
    Sonde__Pprof__Function functions[3];
    Sonde__Pprof__Line lines[3];
    Sonde__Pprof__Line *of_main = &lines[0], *of_both[] = { &lines[2], &lines[1] };
    Sonde__Pprof__Location locations[3];
    Sonde__Pprof__Mapping mapping = SONDE__PPROF__MAPPING__INIT;
    Sonde__Pprof__Sample samples[2] = { SONDE__PPROF__SAMPLE__INIT, SONDE__PPROF__SAMPLE__INIT };
    uint64_t first[] = { 1000, 7 }, second[] = { 1ull << 40, 7 };
    int64_t first_values[] = { 3, 30 }, second_values[] = { 1, 12 };
    Sonde__Pprof__ValueType *type_list[] = { &types[0], &types[1] };
    Sonde__Pprof__Function *function_list[] = { &functions[2], &functions[1], &functions[0] };
    Sonde__Pprof__Location *location_list[] = { &locations[2], &locations[1], &locations[0] };
    Sonde__Pprof__Mapping *mapping_list[] = { &mapping };
    Sonde__Pprof__Sample *sample_list[] = { &samples[0], &samples[1] };
    Sonde__Pprof__Profile p = SONDE__PPROF__PROFILE__INIT;
    sonde_buf out;

    types[0].type = 1, types[0].unit = 2, types[1].type = 3, types[1].unit = 4;
    mapping.id = 5, mapping.filename = 8;
    for (uint64_t i = 0; i < 3; i++) {
        sonde__pprof__function__init(&functions[i]);
        functions[i].id = 100 + i;
        functions[i].name = (int64_t)(5 + i);
        sonde__pprof__line__init(&lines[i]);
        lines[i].function_id = 100 + i;
        sonde__pprof__location__init(&locations[i]);
    }
    locations[0].id = 7, locations[0].n_line = 1, locations[0].line = &of_main;
    locations[1].id = 1000, locations[1].n_line = 2, locations[1].line = of_both,
    locations[1].mapping_id = 5;
    locations[2].id = 1ull << 40, locations[2].address = 0x2a, locations[2].mapping_id = 5;
    samples[0].n_location_id = samples[1].n_location_id = 2;
    samples[0].location_id = first, samples[1].location_id = second;
    samples[0].n_value = samples[1].n_value = 2;
    samples[0].value = first_values, samples[1].value = second_values;
    p.n_sample_type = 2, p.sample_type = type_list;
    p.n_function = 3, p.function = function_list;
    p.n_location = 3, p.location = location_list;
    p.n_mapping = 1, p.mapping = mapping_list;
    p.n_sample = 2, p.sample = sample_list;
    p.n_string_table = COUNT_OF(strings), p.string_table = (char **)(uintptr_t)strings;
    sonde_buf_init(&out, 4096);
    sonde__pprof__profile__pack(
        &p, sonde_buf_reserve(&out, sonde__pprof__profile__get_packed_size(&p)));
    sonde_buf_commit(&out, sonde__pprof__profile__get_packed_size(&p));
    return out;
}

static void check(const flame *f, int64_t work, int64_t unknown)
{
    static const struct {
        const char *name, *object;
        uint32_t parent;
        bool is_inlined;
    } want[] = { { "main", "", 0, false },
                 { "outer", "libx.so", 1, false },
                 { "inner", "libx.so", 2, true },
                 { "libx.so+0x2a", "libx.so", 1, false } };

    assert_int_equal(f->tree.nodes_len, 5);
    for (uint32_t i = 0; i < COUNT_OF(want); i++) {
        assert_str_equal(flame_name(f, i + 1), sonde_str_from(want[i].name));
        assert_str_equal(flame_object(f, i + 1), sonde_str_from(want[i].object));
        assert_int_equal(f->tree.nodes[i + 1].parent, want[i].parent);
        assert_int_equal(f->tree.nodes[i + 1].is_inlined, want[i].is_inlined);
    }
    assert_int_equal(flame_self(f, 3, 1), work);
    assert_int_equal(flame_events(f, 3, 1), 3);
    assert_int_equal(flame_self(f, 4, 1), unknown);
    assert_int_equal(flame_events(f, 4, 1), 1);
}

static void test_cpu_time_comes_first_and_any_type_when_asked_for(void **state)
{
    sonde_buf file = packed();
    flame *f = new_flame();

    (void)state;
    assert_status(flame_read(f, sonde_buf_str(&file), NONE, 1), SONDE_OK);
    assert_str_equal(f->type, SONDE_STR("cpu-time"));
    assert_str_equal(f->unit, SONDE_STR("nanoseconds"));
    check(f, 30, 12);
    flame_close(f);
    f = new_flame();
    assert_status(flame_read(f, sonde_buf_str(&file), SONDE_STR("cpu-samples"), 1), SONDE_OK);
    check(f, 3, 1);
    assert_status(flame_read(f, sonde_buf_str(&file), SONDE_STR("alloc-space"), 1),
                  SONDE_ERR_NOT_FOUND);
    flame_close(f);
    sonde_buf_done(&file);
}

static void test_compressed_ones(void **state)
{
    static const sonde_encoding encodings[] = { SONDE_ENCODING_GZIP, SONDE_ENCODING_ZSTD };
    sonde_buf file = packed();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(encodings); i++) {
        flame *f = new_flame();
        sonde_buf small;

        sonde_buf_init(&small, 65536);
        assert_status(sonde_compress(encodings[i], 1, sonde_buf_str(&file), &small), SONDE_OK);
        assert_status(flame_read(f, sonde_buf_str(&small), NONE, 1), SONDE_OK);
        check(f, 30, 12);
        sonde_buf_done(&small);
        flame_close(f);
    }
    sonde_buf_done(&file);
}

/* By hand: samples before tables, numbers one by one; Go's names. */
static void test_numbers_that_are_not_packed_and_tables_behind(void **state)
{
    static const char bytes[] =
        "\x12\x08"                         /* sample */
        "\x08\x02\x08\x01\x10\x02\x10\x14" /* locations 2, 1; values 2, 20 */
        "\x0a\x04\x08\x01\x10\x02"         /* types: samples, count */
        "\x0a\x04\x08\x03\x10\x04"         /* cpu, nanoseconds */
        "\x22\x06\x08\x01\x22\x02\x08\x01" /* location 1: function 1 */
        "\x22\x06\x08\x02\x22\x02\x08\x02" /* location 2: function 2 */
        "\x2a\x04\x08\x01\x10\x05"         /* function 1: main */
        "\x2a\x04\x08\x02\x10\x06"         /* function 2: leaf */
        "\x32\x00\x32\x07samples\x32\x05"
        "count\x32\x03"
        "cpu\x32\x02ns\x32\x04main\x32\x04leaf";
    flame *f = new_flame();

    (void)state;
    assert_status(flame_read(f, (sonde_str){ bytes, sizeof(bytes) - 1 }, NONE, 0), SONDE_OK);
    assert_str_equal(f->type, SONDE_STR("cpu"));
    assert_int_equal(f->tree.nodes_len, 3);
    assert_str_equal(flame_name(f, 1), SONDE_STR("main"));
    assert_str_equal(flame_name(f, 2), SONDE_STR("leaf"));
    assert_int_equal(flame_self(f, 2, 0), 20);
    assert_int_equal(flame_events(f, 2, 0), 2);
    flame_close(f);
}

/* A leaf behind as many recursions as fit, and a root that does not. */
static void test_of_a_deep_stack_the_innermost_frames_stay(void **state)
{
    static const char tables[] = "\x0a\x00"
                                 "\x22\x06\x08\x01\x22\x02\x08\x01"
                                 "\x22\x06\x08\x02\x22\x02\x08\x02"
                                 "\x2a\x04\x08\x01\x10\x01"
                                 "\x2a\x04\x08\x02\x10\x02"
                                 "\x32\x00\x32\x04root\x32\x04leaf";
    flame *f = new_flame();
    size_t sample, mark;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 65536);
    sonde_buf_append(&b, tables, sizeof(tables) - 1);
    sample = sonde_pb_begin(&b, 2);
    mark = sonde_pb_begin(&b, 1);
    for (size_t i = 0; i <= FLAME_READ_DEPTH_MAX; i++)
        sonde_pb_packed(&b, i < FLAME_READ_DEPTH_MAX ? 2 : 1);
    sonde_pb_end(&b, mark);
    sonde_pb_varint(&b, 2, 5);
    sonde_pb_end(&b, sample);
    assert_status(flame_read(f, sonde_buf_str(&b), NONE, 0), SONDE_OK);
    assert_int_equal(f->tree.nodes_len, FLAME_READ_DEPTH_MAX + 1);
    assert_str_equal(flame_name(f, 1), SONDE_STR("leaf"));
    assert_int_equal(flame_self(f, FLAME_READ_DEPTH_MAX, 0), 5);
    assert_int_equal(f->tree.cut, 1);
    sonde_buf_done(&b);
    flame_close(f);
}

static void test_collapsed_stacks(void **state)
{
    flame *f = new_flame();

    (void)state;
    assert_status(flame_read(f, SONDE_STR("main;a b 3\r\nmain 2\n\nmain;a b 4"), NONE, 0),
                  SONDE_OK);
    assert_int_equal(f->tree.nodes_len, 3);
    assert_str_equal(flame_name(f, 2), SONDE_STR("a b"));
    assert_int_equal(flame_self(f, 2, 0), 7);
    assert_int_equal(flame_events(f, 2, 0), 7);
    assert_int_equal(flame_self(f, 1, 0), 2);
    flame_close(f);
}

static void test_marks_of_collapsed_stacks_are_no_part_of_names(void **state)
{
    flame *f = new_flame();

    (void)state;
    assert_status(flame_read(f, SONDE_STR("main;add_[i];sys_read_[k] 3\nmain;add 4"), NONE, 0),
                  SONDE_OK);
    assert_int_equal(f->tree.nodes_len, 5);
    assert_str_equal(flame_name(f, 2), SONDE_STR("add"));
    assert_true(f->tree.nodes[2].is_inlined);
    assert_str_equal(flame_name(f, 3), SONDE_STR("sys_read"));
    assert_str_equal(flame_object(f, 3), SONDE_STR("[kernel]"));
    assert_str_equal(flame_name(f, 4), SONDE_STR("add"));
    assert_false(f->tree.nodes[4].is_inlined);
    flame_close(f);
}

static void test_what_is_no_profile_is_refused(void **state)
{
    static const struct {
        sonde_str file;
        sonde_status want;
    } cases[] = {
        { { "", 0 }, SONDE_ERR_EOF },
        { { "\n", 1 }, SONDE_ERR_EOF },
        { { "main", 4 }, SONDE_ERR_SYNTAX },
        { { "main x", 6 }, SONDE_ERR_SYNTAX },
        { { "main -3", 7 }, SONDE_ERR_SYNTAX },
        { { " 3", 2 }, SONDE_ERR_SYNTAX },
        { { "\x7f"
            "ELF\x02\x01\x01",
            7 },
          SONDE_ERR_SYNTAX },
        { { "\x1f\x8bnonsense", 10 }, SONDE_ERR_SYNTAX },
        { { "\x12\x7f\x01", 3 }, SONDE_ERR_EOF }, /* a sample of 127 bytes, cut off */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        flame *f = new_flame();
        sonde_status got = flame_read(f, cases[i].file, NONE, 0);

        if (got != cases[i].want)
            fail_msg("case %zu: %s", i, sonde_status_name(got));
        flame_close(f);
    }
}

static sonde_status without_memory(void *arg)
{
    sonde_buf *file = arg;
    flame *f = NULL;
    sonde_status status = flame_open(&f);

    if (status == SONDE_OK)
        status = flame_read(f, sonde_buf_str(file), NONE, 0);
    flame_close(f);
    return status;
}

static void test_without_memory_it_fails_or_counts(void **state)
{
    sonde_buf file = packed();

    (void)state;
    alloc_fail_each(without_memory, &file);
    sonde_buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_time_comes_first_and_any_type_when_asked_for),
        cmocka_unit_test(test_compressed_ones),
        cmocka_unit_test(test_numbers_that_are_not_packed_and_tables_behind),
        cmocka_unit_test(test_of_a_deep_stack_the_innermost_frames_stay),
        cmocka_unit_test(test_collapsed_stacks),
        cmocka_unit_test(test_marks_of_collapsed_stacks_are_no_part_of_names),
        cmocka_unit_test(test_what_is_no_profile_is_refused),
        cmocka_unit_test(test_without_memory_it_fails_or_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
