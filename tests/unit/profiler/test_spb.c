/* The batch format, byte by byte: the worked example of docs/spec/profile-batch.md, typed in from there. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "profiler/src/spb.h"

/* clang-format off */
static const uint8_t hello_bytes[] = {
    0x92, 0x00, 0x86, 0x00, 0x01, 0x01, 0xc4, 0x10,
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    0x02, 0x07, 0x03, 0xcf, 0x18, 0x86, 0x72, 0x51, 0xed, 0xfa, 0x00, 0x00,
    0x04, 0xcf, 0x18, 0x86, 0x72, 0x54, 0x42, 0x05, 0xe4, 0x00, 0x05, 0xcd, 0x10, 0x92,
};
static const uint8_t strings_bytes[] = {
    0x93, 0x01, 0x01, 0x93,
    0xad, '/', 'o', 'p', 't', '/', 'a', 'p', 'p', '/', 'd', 'e', 'm', 'o',
    0xa8, 'w', 'o', 'r', 'k', 'e', 'r', '-', '1', 0xa5, 'G', 'E', 'T', ' ', '/',
};
static const uint8_t mapping_bytes[] = {
    0x92, 0x02, 0x91, 0x9a, 0x02, 0xce, 0x00, 0x40, 0x10, 0x00, 0xcd, 0x10, 0x00, 0xcd, 0x10, 0x00,
    0x00, 0x00, 0x01, 0xc4, 0x08, 0x1f, 0x2e, 0x3d, 0x4c, 0x5b, 0x6a, 0x79, 0x88, 0x00, 0x00,
};
static const uint8_t nodes_bytes[] = {
    0x93, 0x04, 0x01, 0x96, 0x00, 0x02, 0xce, 0x00, 0x40, 0x11, 0x80, 0x01, 0x02, 0xce, 0x00, 0x40, 0x11, 0x36,
};
static const uint8_t thread_bytes[] = { 0x92, 0x06, 0x91, 0x94, 0x01, 0xcd, 0x10, 0x92, 0x02, 0x00 };
static const uint8_t context_bytes[] = {
    0x92, 0x07, 0x91, 0x95, 0x01, 0x00, 0xcf, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
    0xcf, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0xcf, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
};
static const uint8_t endpoint_bytes[] = {
    0x92, 0x08, 0x91, 0x94, 0xcf, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x03, 0x00, 0x01,
};
static const uint8_t cpu_bytes[] = {
    0x94, 0x05, 0x01, 0xcf, 0x18, 0x86, 0x72, 0x51, 0xed, 0xfa, 0x00, 0x00, 0x9c,
    0xcd, 0x27, 0x10, 0x01, 0x01, 0x02, 0x01, 0xce, 0x00, 0x98, 0x96, 0x80,
    0xcd, 0x27, 0x10, 0x01, 0x01, 0x02, 0x01, 0xce, 0x00, 0x98, 0x96, 0x80,
};
static const uint8_t end_bytes[] = { 0x92, 0x0b, 0x07 };
/* clang-format on */

#define START_NS 0x18867251edfa0000u
#define END_NS   (START_NS + 10000000000u)

static const sonde_prof__context span = { 0, 0x1122334455667788, 0x0a0b0c0d0e0f1011,
                                          0x0102030405060708 };

static void assert_bytes(const char *what, const sonde_buf *b, const uint8_t *want, size_t len)
{
    assert_status(b->status, SONDE_OK);
    if (b->len != len || memcmp(b->data, want, len) != 0)
        fail_msg("%s: %zu bytes, want %zu, or they differ", what, b->len, len);
}

#define ASSERT_BYTES(b, want) assert_bytes(#want, (b), (want), sizeof(want))

typedef struct scene {
    sonde_buf b;
    sonde_prof__dict d;
    sonde_prof__window w;
} scene;

/* The dictionary of the example.  Its node 1 is not ours: `[other]` has that number. */
static int setup(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    sonde_buf_init(&s.b, SONDE_PROF__SPB_BODY_MAX);
    assert_status(sonde_prof__dict_init(&s.d), SONDE_OK);
    sonde_prof__trie_clear(&s.d.trie);
    sonde_prof__window_init(&s.w, 1000);
    assert_int_equal(sonde_prof__dict_string(&s.d, SONDE_STR("/opt/app/demo")), 1);
    assert_int_equal(sonde_prof__dict_string(&s.d, SONDE_STR("worker-1")), 2);
    assert_int_equal(sonde_prof__dict_string(&s.d, SONDE_STR("GET /")), 3);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;

    sonde_buf_done(&s->b);
    sonde_prof__dict_done(&s->d);
    sonde_prof__window_done(&s->w);
    return 0;
}

static void the_hello_of_the_worked_example(void **state)
{
    scene *s = *state;
    sonde_prof__hello h = {
        .seq = 7, .start_unix_ns = START_NS, .end_unix_ns = END_NS, .pid = 4242
    };
    unsigned i;

    for (i = 0; i < 16; i++)
        h.session[i] = (uint8_t)(i * 0x11);
    sonde_prof__spb_hello(&s->b, &h, true);
    ASSERT_BYTES(&s->b, hello_bytes);
}

static void an_agent_that_knows_us_is_told_only_what_changed(void **state)
{
    static const uint8_t want[] = { 0x86, 0x00, 0x01, 0x01, 0xc4, 0x10 };
    static const uint8_t intervals[] = { 0x11, 0x81, 0x02, 0x64 };
    scene *s = *state;
    sonde_prof__hello h = { .pid = 4242, .service = SONDE_STR("demo"), .interval = { 0, 0, 100 } };

    sonde_prof__spb_hello(&s->b, &h, false);
    assert_memory_equal(s->b.data + 2, want, sizeof(want));
    assert_memory_equal(s->b.data + s->b.len - sizeof(intervals), intervals, sizeof(intervals));
    assert_int_equal(s->b.len, 2 + 1 + 2 + 19 + 2 + 2 + 2 + sizeof(intervals));
}

static void the_strings_of_the_worked_example(void **state)
{
    scene *s = *state;

    sonde_prof__spb_strings(&s->b, &s->d);
    ASSERT_BYTES(&s->b, strings_bytes);
}

static void the_mapping_of_the_worked_example(void **state)
{
    static const uint8_t build_id[] = { 0x1f, 0x2e, 0x3d, 0x4c, 0x5b, 0x6a, 0x79, 0x88 };
    scene *s = *state;
    sonde_prof__loaded l = {
        .id = 2, .start = 0x401000, .length = 0x1000, .file_offset = 0x1000, .build_id_len = 8
    };
    const sonde_prof__loaded *one = &l;
    uint32_t path = 1;

    memcpy(l.build_id, build_id, sizeof(build_id));
    sonde_prof__spb_mappings(&s->b, &one, &path, 1);
    ASSERT_BYTES(&s->b, mapping_bytes);
}

static void the_nodes_of_the_worked_example(void **state)
{
    scene *s = *state;

    assert_int_equal(sonde_prof__trie_child(&s->d.trie, 0, 2, 0x401180), 1);
    assert_int_equal(sonde_prof__trie_child(&s->d.trie, 1, 2, 0x401136), 2);
    sonde_prof__spb_nodes(&s->b, &s->d);
    ASSERT_BYTES(&s->b, nodes_bytes);
}

static void the_thread_of_the_worked_example(void **state)
{
    scene *s = *state;
    uint32_t number = sonde_prof__dict_thread(&s->d, 4242, 0);

    sonde_prof__dict_name_thread(&s->d, number, SONDE_STR("worker-1"));
    sonde_prof__spb_threads(&s->b, &s->d, 1000);
    ASSERT_BYTES(&s->b, thread_bytes);
}

static void the_context_of_the_worked_example(void **state)
{
    scene *s = *state;

    assert_int_equal(sonde_prof__dict_context(&s->d, &span), 1);
    sonde_prof__spb_contexts(&s->b, &s->d.now);
    ASSERT_BYTES(&s->b, context_bytes);
}

static void the_endpoint_of_the_worked_example(void **state)
{
    scene *s = *state;
    const sonde_prof__endpoint e = { 0x0102030405060708, 3, 0, 1 };

    sonde_prof__spb_endpoints(&s->b, &e, 1);
    ASSERT_BYTES(&s->b, endpoint_bytes);
}

/* Two samples at 10 and 20 us; monotonic time is START - 5 s then. */
static void the_samples_of_the_worked_example(void **state)
{
    const sonde_prof__span_of_time time = { START_NS, END_NS, 5000000000 };
    scene *s = *state;
    sonde_prof__tally *rows;
    uint32_t cursor = 0, i;

    s->w.rows = rows = (sonde_prof__tally *)sonde_calloc(2, sizeof(sonde_prof__tally));
    s->w.len = s->w.cap = 2;
    for (i = 0; i < 2; i++) {
        rows[i].key = (sonde_prof__tally_key){ SONDE_PROF__CPU, 1, 1, 2, { 0, 0 } };
        rows[i].mono_ns = START_NS - 5000000000u + 10000 * (i + 1);
        rows[i].events = 1;
        rows[i].value[0] = 10000000;
    }
    assert_true(sonde_prof__spb_samples(&s->b, &s->w, SONDE_PROF__CPU, &cursor, &time));
    ASSERT_BYTES(&s->b, cpu_bytes);
    assert_false(sonde_prof__spb_samples(&s->b, &s->w, SONDE_PROF__CPU, &cursor, &time));
    assert_int_equal(s->b.len, sizeof(cpu_bytes));
}

static void the_end_of_the_worked_example(void **state)
{
    scene *s = *state;

    sonde_prof__spb_end(&s->b, 7);
    ASSERT_BYTES(&s->b, end_bytes);
}

static void times_far_outside_of_the_batch_are_moved_to_its_edges(void **state)
{
    const sonde_prof__span_of_time time = { START_NS, END_NS, 0 };
    /* d3: a signed number of eight bytes, -60 s */
    static const uint8_t early[] = { 0xd3, 0xff, 0xff, 0xff, 0xf2, 0x07, 0xc3, 0x70, 0x00 };
    scene *s = *state;
    uint32_t cursor = 0;

    s->w.rows = (sonde_prof__tally *)sonde_calloc(1, sizeof(sonde_prof__tally));
    s->w.len = s->w.cap = 1;
    s->w.rows[0].key.kind = SONDE_PROF__CPU;
    s->w.rows[0].mono_ns = START_NS - 90000000000u;
    assert_true(sonde_prof__spb_samples(&s->b, &s->w, SONDE_PROF__CPU, &cursor, &time));
    assert_memory_equal(s->b.data + 13, early, 1);
    assert_int_equal(s->b.data[14], 0xff);
}

static void statistics_that_are_zero_are_left_out(void **state)
{
    static const uint8_t want[] = { 0x92, 0x0a, 0x82, 0x01, 0x81, 0x01, 0x05, 0x05, 0x64 };
    sonde_prof__stats stats = { .samples = { 0, 5 } };
    scene *s = *state;

    stats.value[SONDE_PROF__STAT_HANDLER_NS] = 100;
    sonde_prof__spb_stats(&s->b, &stats);
    ASSERT_BYTES(&s->b, want);
}

static void live_entries_are_flat(void **state)
{
    static const uint8_t want[] = { 0x93, 0x09, 0x0a, 0x95, 0x02, 0x01, 0x03, 0x40, 0x09 };
    scene *s = *state;

    sonde_prof__spb_live_begin(&s->b, 10, 1);
    sonde_prof__spb_live_entry(&s->b, 2, 1, 3, 64, 9);
    ASSERT_BYTES(&s->b, want);
}

static void generated_code_has_a_place_and_a_name(void **state)
{
    static const uint8_t want[] = { 0x92, 0x0c, 0x91, 0x94, 0x03, 0xcd, 0x10, 0x00, 0x20, 0x02 };
    const sonde_prof__code_row row = { 3, 2, 0x1000, 32 };
    scene *s = *state;

    sonde_prof__spb_code(&s->b, &row, 1);
    ASSERT_BYTES(&s->b, want);
}

static void what_was_written_is_not_written_again(void **state)
{
    scene *s = *state;

    (void)sonde_prof__trie_child(&s->d.trie, 0, 2, 0x401180);
    (void)sonde_prof__dict_thread(&s->d, 4242, 0);
    sonde_prof__dict_mark(&s->d);
    sonde_prof__dict_next_contexts(&s->d);
    sonde_prof__spb_strings(&s->b, &s->d);
    sonde_prof__spb_nodes(&s->b, &s->d);
    sonde_prof__spb_threads(&s->b, &s->d, 0);
    assert_int_equal(s->b.len, 0);
    sonde_prof__dict_rewind(&s->d);
    sonde_prof__spb_strings(&s->b, &s->d);
    ASSERT_BYTES(&s->b, strings_bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_hello_of_the_worked_example),
        CASE(an_agent_that_knows_us_is_told_only_what_changed),
        CASE(the_strings_of_the_worked_example),
        CASE(the_mapping_of_the_worked_example),
        CASE(the_nodes_of_the_worked_example),
        CASE(the_thread_of_the_worked_example),
        CASE(the_context_of_the_worked_example),
        CASE(the_endpoint_of_the_worked_example),
        CASE(the_samples_of_the_worked_example),
        CASE(the_end_of_the_worked_example),
        CASE(times_far_outside_of_the_batch_are_moved_to_its_edges),
        CASE(statistics_that_are_zero_are_left_out),
        CASE(live_entries_are_flat),
        CASE(generated_code_has_a_place_and_a_name),
        CASE(what_was_written_is_not_written_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
