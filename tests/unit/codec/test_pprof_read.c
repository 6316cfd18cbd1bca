/* pprof messages as tables: what they say is read back, what refers to nothing is refused. */
#include "codec/pprof_read.h"

#include "support/alloc_fail.h"
#include "support/pprof_body.h"
#include "support/test.h"

#define assert_str(got, want) assert_true(sonde_str_eq((got), sonde_str_from(want)))

#define TYPES "cpu-samples/count,cpu-time/nanoseconds"

static void write_example(pprof_body *b)
{
    pprof_body_begin(b, TYPES);
    pprof_body_sample(b, "main;work;/lib/libc.so!memcpy", (int64_t[]){ 2, 20, -1 },
                      "thread name=worker,span id=#7");
    pprof_body_sample(b, "main;/lib/libc.so!#64", (int64_t[]){ 1, 300, -1 }, "");
    pprof_body_end(b);
}

static sonde_str name_of(const sonde_pprof_view *v, uint32_t location)
{
    return sonde_pprof_text(v, v->functions[v->lines[v->locations[location].first_line]].name);
}

static void test_a_message_is_read_as_it_was_written(void **state)
{
    pprof_body b;
    sonde_pprof_view v;
    const sonde_pprof_sample *s;

    (void)state;
    write_example(&b);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&b.out)), SONDE_OK);

    assert_int_equal(v.types_len, 2);
    assert_str(v.types[1].type, "cpu-time");
    assert_str(v.types[1].unit, "nanoseconds");
    assert_int_equal(v.samples_len, 2);
    s = sonde_pprof_next_sample(&v);
    assert_int_equal(s->depth, 3);
    assert_str(name_of(&v, s->locations[0]), "memcpy");
    assert_str(sonde_pprof_object(&v, &v.locations[s->locations[0]]), "/lib/libc.so");
    assert_str(name_of(&v, s->locations[2]), "main");
    assert_int_equal(s->values[0], 2);
    assert_int_equal(s->values[1], 20);
    assert_str(sonde_pprof_find_label(s, SONDE_STR("thread name"))->text, "worker");
    assert_int_equal(sonde_pprof_find_label(s, SONDE_STR("span id"))->number, 7);
    assert_null(sonde_pprof_find_label(s, SONDE_STR("thread")));
    s = sonde_pprof_next_sample(&v);
    assert_int_equal(v.locations[s->locations[0]].lines, 0);
    assert_int_equal(v.locations[s->locations[0]].address, 64);
    assert_int_equal(s->values[1], 300);
    assert_null(sonde_pprof_next_sample(&v));
    assert_int_equal(sonde_pprof_next_sample(&v)->values[1], 20); /* from the first on again */
    sonde_pprof_view_done(&v);
    pprof_body_done(&b);
}

static void test_ids_may_come_in_any_order_and_be_large(void **state)
{
    static const char message[] =
        "\x0a\x02\x08\x01"                             /* type "x" */
        "\x12\x09\x0a\x04\x90\x4e\x05\x05\x12\x01\x03" /* 10000, 5, 5: 3 */
        "\x22\x03\x08\x90\x4e\x22\x02\x08\x05"
        "\x32\x00\x32\x01x";
    sonde_pprof_view v;
    const sonde_pprof_sample *s;

    (void)state;
    assert_status(sonde_pprof_view_decode(&v, (sonde_str){ message, sizeof(message) - 1 }),
                  SONDE_OK);
    s = sonde_pprof_next_sample(&v);
    assert_int_equal(s->depth, 3);
    assert_int_equal(v.locations[s->locations[0]].id, 10000);
    assert_int_equal(v.locations[s->locations[1]].id, 5);
    assert_int_equal(s->values[0], 3);
    sonde_pprof_view_done(&v);
}

static void test_what_is_no_profile_is_refused(void **state)
{
    static const struct {
        const char *label;
        const char *bytes;
        size_t len;
        sonde_status want;
    } cases[] = {
#define CASE(label, bytes, want) { label, bytes, sizeof(bytes) - 1, want }
        CASE("empty", "", SONDE_ERR_SYNTAX),
        CASE("no protobuf", "<html>", SONDE_ERR_SYNTAX),
        CASE("cut off", "\x0a\x05\x08", SONDE_ERR_EOF),
        CASE("a text that is not there", "\x0a\x02\x08\x01", SONDE_ERR_SYNTAX),
        CASE("a text behind the last", "\x0a\x02\x08\x02\x32\x00\x32\x01x", SONDE_ERR_SYNTAX),
        CASE("a sample of no location", "\x0a\x00\x12\x05\x0a\x01\x01\x12\x00\x32\x00",
             SONDE_ERR_SYNTAX),
        CASE("fewer values than types", "\x0a\x00\x0a\x00\x12\x03\x12\x01\x01", SONDE_ERR_SYNTAX),
        CASE("more values than types", "\x0a\x00\x12\x04\x12\x02\x01\x01", SONDE_ERR_SYNTAX),
        CASE("a line of no function", "\x0a\x00\x22\x06\x08\x01\x22\x02\x08\x01", SONDE_ERR_SYNTAX),
        CASE("an id twice", "\x0a\x00\x22\x02\x08\x01\x22\x02\x08\x01", SONDE_ERR_SYNTAX),
        CASE("id 0", "\x0a\x00\x2a\x02\x10\x00", SONDE_ERR_SYNTAX),
        CASE("a packed number without end", "\x0a\x00\x12\x03\x12\x01\x80", SONDE_ERR_EOF),
        CASE("a default type that is not there", "\x0a\x00\x70\x01", SONDE_ERR_SYNTAX),
        CASE("a table that is a number", "\x0a\x00\x20\x01", SONDE_ERR_SYNTAX),
#undef CASE
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_pprof_view v;
        sonde_status got = sonde_pprof_view_decode(&v, (sonde_str){ cases[i].bytes, cases[i].len });

        if (got != cases[i].want)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
    }
}

/* As pprof's own tool has it. */
static void test_a_location_may_have_a_mapping_nobody_described(void **state)
{
    static const char message[] = "\x0a\x00"
                                  "\x12\x06\x0a\x01\x01\x12\x01\x05"
                                  "\x22\x06\x08\x01\x10\x09\x18\x2a";
    sonde_pprof_view v;

    (void)state;
    assert_status(sonde_pprof_view_decode(&v, (sonde_str){ message, sizeof(message) - 1 }),
                  SONDE_OK);
    assert_int_equal(v.locations[0].mapping, 0);
    assert_int_equal(sonde_pprof_object(&v, &v.locations[0]).len, 0);
    assert_int_equal(sonde_pprof_object_address(&v, &v.locations[0]), 42);
    sonde_pprof_view_done(&v);
}

static void test_a_function_has_the_linkers_name_when_there_is_no_other(void **state)
{
    static const char message[] = "\x0a\x00"
                                  "\x2a\x04\x08\x01\x18\x01"
                                  "\x2a\x06\x08\x02\x10\x02\x18\x01"
                                  "\x32\x00\x32\x02_Z\x32\x01z";
    sonde_pprof_view v;

    (void)state;
    assert_status(sonde_pprof_view_decode(&v, (sonde_str){ message, sizeof(message) - 1 }),
                  SONDE_OK);
    assert_str(sonde_pprof_text(&v, v.functions[0].name), "_Z");
    assert_str(sonde_pprof_text(&v, v.functions[1].name), "z");
    sonde_pprof_view_done(&v);
}

static void test_an_address_is_that_of_the_object_wherever_it_was_mapped(void **state)
{
    static const char message[] =
        "\x0a\x00"
        "\x1a\x0b\x08\x01\x10\x80\x20\x18\x80\x40\x20\x80\x02" /* 4096 on: from 256 */
        "\x22\x07\x08\x01\x10\x01\x18\x81\x20"
        "\x22\x06\x08\x02\x10\x01\x18\x05"; /* not in it */
    sonde_pprof_view v;

    (void)state;
    assert_status(sonde_pprof_view_decode(&v, (sonde_str){ message, sizeof(message) - 1 }),
                  SONDE_OK);
    assert_int_equal(sonde_pprof_object_address(&v, &v.locations[0]), 257);
    assert_int_equal(sonde_pprof_object_address(&v, &v.locations[1]), 5);
    sonde_pprof_view_done(&v);
}

static void test_the_default_type_and_the_times_are_what_it_says(void **state)
{
    static const char message[] = "\x70\x01\x48\x07\x50\x08\x0a\x02\x08\x01\x32\x00\x32\x01x";
    sonde_pprof_view v;

    (void)state;
    assert_status(sonde_pprof_view_decode(&v, (sonde_str){ message, sizeof(message) - 1 }),
                  SONDE_OK);
    assert_str(v.default_type, "x");
    assert_int_equal(v.time_unix_ns, 7);
    assert_int_equal(v.duration_ns, 8);
    sonde_pprof_view_done(&v);
}

static void test_of_a_stack_beyond_the_bound_the_innermost_locations_stay(void **state)
{
    sonde_buf b;
    sonde_pprof_view v;
    const sonde_pprof_sample *s;
    size_t i, mark, sample;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    sonde_buf_append(&b, "\x0a\x00\x22\x02\x08\x01\x22\x02\x08\x02", 10);
    sample = sonde_pb_begin(&b, 2);
    mark = sonde_pb_begin(&b, 1);
    for (i = 0; i < SONDE_PPROF_STACK_MAX + 3; i++)
        sonde_buf_append_byte(&b, i < SONDE_PPROF_STACK_MAX ? 1 : 2);
    sonde_pb_end(&b, mark);
    sonde_pb_varint(&b, 2, 5);
    sonde_pb_end(&b, sample);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&b)), SONDE_OK);
    s = sonde_pprof_next_sample(&v);
    assert_int_equal(s->depth, SONDE_PPROF_STACK_MAX);
    assert_int_equal(s->cut, 3);
    assert_int_equal(s->locations[s->depth - 1], 0);
    assert_int_equal(s->values[0], 5);
    sonde_pprof_view_done(&v);
    sonde_buf_done(&b);
}

static void test_rows_beyond_their_bound_are_too_big(void **state)
{
    static const struct {
        const char *label, *row;
        size_t len, max;
    } cases[] = {
        { "types", "\x0a\x00", 2, SONDE_PPROF_TYPES_MAX - 1 }, /* one is there */
        { "mappings", "\x1a\x00", 2, SONDE_PPROF_MAPPINGS_MAX },
        { "locations", "\x22\x00", 2, SONDE_PPROF_ROWS_MAX },
        { "lines", "\x22\x04\x22\x00\x22\x00", 6, SONDE_PPROF_ROWS_MAX / 2 },
        { "functions", "\x2a\x00", 2, SONDE_PPROF_ROWS_MAX },
        { "texts", "\x32\x00", 2, SONDE_PPROF_ROWS_MAX },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_pprof_view v;
        sonde_status got;
        sonde_buf b;

        sonde_buf_init(&b, 16u << 20);
        sonde_buf_append(&b, "\x0a\x00", 2);
        for (size_t k = 0; k <= cases[i].max; k++)
            sonde_buf_append(&b, cases[i].row, cases[i].len);
        got = sonde_pprof_view_decode(&v, sonde_buf_str(&b));
        if (got != SONDE_ERR_TOO_BIG)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
        sonde_buf_done(&b);
    }
}

static void test_labels_beyond_their_bound_are_too_big(void **state)
{
    sonde_pprof_view v;
    sonde_buf b;
    size_t sample;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    sonde_buf_append(&b, "\x0a\x00", 2);
    sample = sonde_pb_begin(&b, 2);
    for (size_t i = 0; i <= SONDE_PPROF_LABELS_MAX; i++)
        sonde_buf_append(&b, "\x1a\x00", 2);
    sonde_pb_varint(&b, 2, 5);
    sonde_pb_end(&b, sample);
    assert_status(sonde_pprof_view_decode(&v, sonde_buf_str(&b)), SONDE_ERR_TOO_BIG);
    sonde_buf_done(&b);
}

static sonde_status decode_scenario(void *user)
{
    const pprof_body *b = (const pprof_body *)user;
    sonde_pprof_view v;
    sonde_status status = sonde_pprof_view_decode(&v, sonde_buf_str(&b->out));

    if (status == SONDE_OK)
        sonde_pprof_view_done(&v);
    return status;
}

static void test_decoding_copes_with_failing_allocations(void **state)
{
    pprof_body b;

    (void)state;
    write_example(&b);
    alloc_fail_each(decode_scenario, &b);
    pprof_body_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_is_read_as_it_was_written),
        cmocka_unit_test(test_ids_may_come_in_any_order_and_be_large),
        cmocka_unit_test(test_what_is_no_profile_is_refused),
        cmocka_unit_test(test_a_location_may_have_a_mapping_nobody_described),
        cmocka_unit_test(test_a_function_has_the_linkers_name_when_there_is_no_other),
        cmocka_unit_test(test_an_address_is_that_of_the_object_wherever_it_was_mapped),
        cmocka_unit_test(test_the_default_type_and_the_times_are_what_it_says),
        cmocka_unit_test(test_of_a_stack_beyond_the_bound_the_innermost_locations_stay),
        cmocka_unit_test(test_rows_beyond_their_bound_are_too_big),
        cmocka_unit_test(test_labels_beyond_their_bound_are_too_big),
        cmocka_unit_test(test_decoding_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("pprof_read", tests, NULL, NULL);
}
