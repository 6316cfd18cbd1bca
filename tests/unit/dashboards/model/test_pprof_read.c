/* pprof messages as tables: what they say is read back, what refers to nothing is refused. */
#include "dashboards/model/pprof_read.h"

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

static void test_a_message_is_read_as_it_was_written(void **state)
{
    pprof_body b;
    pprof_view v;
    const pprof_sample *s;

    (void)state;
    write_example(&b);
    assert_status(pprof_view_decode(&v, sonde_buf_str(&b.out)), SONDE_OK);

    assert_int_equal(v.types_len, 2);
    assert_str(v.types[1].type, "cpu-time");
    assert_str(v.types[1].unit, "nanoseconds");
    assert_int_equal(v.samples_len, 2);
    s = pprof_view_sample(&v, 0);
    assert_int_equal(s->depth, 3);
    assert_str(v.functions[v.lines[v.locations[s->locations[0]].first_line]].name, "memcpy");
    assert_str(v.mappings[v.locations[s->locations[0]].mapping - 1].file, "/lib/libc.so");
    assert_str(v.functions[v.lines[v.locations[s->locations[2]].first_line]].name, "main");
    assert_int_equal(s->values[0], 2);
    assert_int_equal(s->values[1], 20);
    assert_str(pprof_find_label(s, SONDE_STR("thread name"))->text, "worker");
    assert_int_equal(pprof_find_label(s, SONDE_STR("span id"))->number, 7);
    assert_null(pprof_find_label(s, SONDE_STR("thread")));
    s = pprof_view_sample(&v, 1);
    assert_int_equal(v.locations[s->locations[0]].lines, 0);
    assert_int_equal(v.locations[s->locations[0]].address, 64);
    assert_int_equal(s->values[1], 300);
    pprof_view_done(&v);
    pprof_body_done(&b);
}

static void test_ids_may_come_in_any_order_and_be_large(void **state)
{
    static const char message[] =
        "\x0a\x02\x08\x01"                             /* type "x" */
        "\x12\x09\x0a\x04\x90\x4e\x05\x05\x12\x01\x03" /* 10000, 5, 5: 3 */
        "\x22\x03\x08\x90\x4e\x22\x02\x08\x05"
        "\x32\x00\x32\x01x";
    pprof_view v;
    const pprof_sample *s;

    (void)state;
    assert_status(pprof_view_decode(&v, (sonde_str){ message, sizeof(message) - 1 }), SONDE_OK);
    s = pprof_view_sample(&v, 0);
    assert_int_equal(s->depth, 3);
    assert_int_equal(v.locations[s->locations[0]].id, 10000);
    assert_int_equal(v.locations[s->locations[1]].id, 5);
    assert_int_equal(s->values[0], 3);
    pprof_view_done(&v);
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
        CASE("a sample of no location", "\x0a\x00\x12\x05\x0a\x01\x01\x12\x00\x32\x00",
             SONDE_ERR_SYNTAX),
        CASE("fewer values than types", "\x0a\x00\x0a\x00\x12\x03\x12\x01\x01", SONDE_ERR_SYNTAX),
        CASE("more values than types", "\x0a\x00\x12\x04\x12\x02\x01\x01", SONDE_ERR_SYNTAX),
        CASE("a location of no mapping", "\x0a\x00\x22\x04\x08\x01\x10\x01", SONDE_ERR_SYNTAX),
        CASE("a line of no function", "\x0a\x00\x22\x06\x08\x01\x22\x02\x08\x01", SONDE_ERR_SYNTAX),
        CASE("an id twice", "\x0a\x00\x22\x02\x08\x01\x22\x02\x08\x01", SONDE_ERR_SYNTAX),
        CASE("id 0", "\x0a\x00\x2a\x02\x10\x00", SONDE_ERR_SYNTAX),
        CASE("a packed number without end", "\x0a\x00\x12\x03\x12\x01\x80", SONDE_ERR_SYNTAX),
        CASE("a table that is a number", "\x0a\x00\x20\x01", SONDE_ERR_SYNTAX),
#undef CASE
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        pprof_view v;
        sonde_status got = pprof_view_decode(&v, (sonde_str){ cases[i].bytes, cases[i].len });

        if (got != cases[i].want)
            fail_msg("%s: %s", cases[i].label, sonde_status_name(got));
    }
}

static void test_a_stack_beyond_the_bound_is_too_big(void **state)
{
    sonde_buf b;
    pprof_view v;
    size_t i, mark, sample;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    sonde_buf_append(&b, "\x0a\x00\x22\x02\x08\x01", 6);
    sample = sonde_pb_begin(&b, 2);
    mark = sonde_pb_begin(&b, 1);
    for (i = 0; i <= PPROF_STACK_MAX; i++)
        sonde_buf_append_byte(&b, 1);
    sonde_pb_end(&b, mark);
    sonde_pb_end(&b, sample);
    assert_status(pprof_view_decode(&v, sonde_buf_str(&b)), SONDE_ERR_TOO_BIG);
    sonde_buf_done(&b);
}

static sonde_status decode_scenario(void *user)
{
    const pprof_body *b = (const pprof_body *)user;
    pprof_view v;
    sonde_status status = pprof_view_decode(&v, sonde_buf_str(&b->out));

    if (status == SONDE_OK)
        pprof_view_done(&v);
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
        cmocka_unit_test(test_a_stack_beyond_the_bound_is_too_big),
        cmocka_unit_test(test_decoding_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("pprof read", tests, NULL, NULL);
}
