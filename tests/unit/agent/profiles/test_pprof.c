/* test_pprof.c - the worked example and a profile of everything, as pprof, read back by protobuf-c; that others read
 * the same is in tests/integration/test_profiles.py. */
#include "agent/profiles/pprof.h"

#include <stdlib.h>
#include <string.h>

#include "agent/profiles/session.h"
#include "base/alloc.h"
#include "codec/proto/pprof.pb-c.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#include "batch.h"

static profile *profile_of(sonde_str body)
{
    session *s = NULL;
    profile *p = NULL;
    batch_facts facts;

    assert_status(batch_check(body, &facts, NULL), SONDE_OK);
    assert_status(session_open(facts.hello.session, NULL, &s), SONDE_OK);
    assert_status(profile_open(&p), SONDE_OK);
    assert_status(session_greet(s, &facts.hello), SONDE_OK);
    assert_status(session_merge(s, body, p), SONDE_OK);
    session_close(s);
    return p;
}

static Sonde__Pprof__Profile *encode(profile *p, const pprof_options *o)
{
    Sonde__Pprof__Profile *m;
    sonde_buf out;

    sonde_buf_init(&out, PPROF_MAX_BYTES);
    assert_status(pprof_encode(p, o, &out), SONDE_OK);
    m = sonde__pprof__profile__unpack(NULL, out.len, out.data);
    sonde_buf_done(&out);
    assert_non_null(m);
    return m;
}

static void give_back(Sonde__Pprof__Profile *m)
{
    sonde__pprof__profile__free_unpacked(m, NULL);
}

static const char *text(const Sonde__Pprof__Profile *m, int64_t at)
{
    assert_in_range(at, 0, m->n_string_table - 1);
    return m->string_table[at];
}

static const Sonde__Pprof__Label *label(const Sonde__Pprof__Profile *m,
                                        const Sonde__Pprof__Sample *s, const char *key)
{
    for (size_t i = 0; i < s->n_label; i++) {
        if (strcmp(text(m, s->label[i]->key), key) == 0)
            return s->label[i];
    }
    return NULL;
}

static const Sonde__Pprof__Location *location(const Sonde__Pprof__Profile *m, uint64_t id)
{
    for (size_t i = 0; i < m->n_location; i++) {
        if (m->location[i]->id == id)
            return m->location[i];
    }
    fail_msg("no location %llu", (unsigned long long)id);
    return NULL;
}

static void test_the_worked_example_field_by_field(void **state)
{
    const pprof_options o = { .start_unix_ns = 0x18867251edfa0000,
                              .duration_ns = 10 * SECOND,
                              .process_id = SONDE_STR("4242"),
                              .process_name = SONDE_STR("demo") };
    profile *p = profile_of(example_body);
    Sonde__Pprof__Profile *m = encode(p, &o);
    const Sonde__Pprof__Sample *s;

    (void)state;
    assert_string_equal(m->string_table[0], "");
    assert_int_equal(m->n_sample_type, 2);
    assert_string_equal(text(m, m->sample_type[0]->type), "cpu-samples");
    assert_string_equal(text(m, m->sample_type[0]->unit), "count");
    assert_string_equal(text(m, m->sample_type[1]->type), "cpu-time");
    assert_string_equal(text(m, m->sample_type[1]->unit), "nanoseconds");
    assert_string_equal(text(m, m->default_sample_type), "cpu-time");
    assert_string_equal(text(m, m->period_type->type), "cpu-time");
    assert_int_equal(m->time_nanos, o.start_unix_ns);
    assert_int_equal(m->duration_nanos, o.duration_ns);

    assert_int_equal(m->n_mapping, 1);
    assert_int_equal(m->mapping[0]->id, 1);
    assert_int_equal(m->mapping[0]->memory_start, 0x401000);
    assert_int_equal(m->mapping[0]->memory_limit, 0x402000);
    assert_int_equal(m->mapping[0]->file_offset, 0x1000);
    assert_string_equal(text(m, m->mapping[0]->filename), "/opt/app/demo");
    assert_string_equal(text(m, m->mapping[0]->build_id), "1f2e3d4c5b6a7988");

    assert_int_equal(m->n_sample, 1);
    s = m->sample[0];
    assert_int_equal(s->n_value, 2);
    assert_int_equal(s->value[0], 2);
    assert_int_equal(s->value[1], 20000000);
    assert_int_equal(s->n_location_id, 2);
    assert_int_equal(location(m, s->location_id[0])->address, 0x401136); /* the innermost first */
    assert_int_equal(location(m, s->location_id[1])->address, 0x401180);
    assert_int_equal(location(m, s->location_id[0])->mapping_id, 1);
    assert_int_equal(location(m, s->location_id[0])->n_line, 0); /* nobody knows its name */

    assert_int_equal(label(m, s, "span id")->num, 0x0a0b0c0d0e0f1011);
    assert_int_equal(label(m, s, "local root span id")->num, 0x0102030405060708);
    assert_string_equal(text(m, label(m, s, "trace endpoint")->str), "GET /");
    assert_null(label(m, s, "trace type")); /* an empty one */
    assert_int_equal(label(m, s, "thread id")->num, 4242);
    assert_int_equal(label(m, s, "thread native id")->num, 4242);
    assert_string_equal(text(m, label(m, s, "thread name")->str), "worker-1");
    assert_string_equal(text(m, label(m, s, "thread_name")->str), "worker-1");
    assert_string_equal(text(m, label(m, s, "process_id")->str), "4242");
    assert_string_equal(text(m, label(m, s, "process_name")->str), "demo");
    assert_null(label(m, s, "end_timestamp_ns"));
    give_back(m);
    profile_close(p);
}

/* One row of each kind on one stack: main -> "[truncated]" -> 0x30 in no mapping. */
static profile *everything(void)
{
    profile_sample row = { .events = 3, .value = { 5, 7, 11 }, .end_unix_ns = 77 };
    profile *p;

    assert_status(profile_open(&p), SONDE_OK);
    p->timeline = true;
    row.node =
        profile_node_of(p, 0, profile_location_of(p, PROFILE_MAP_SYNTHETIC, PROFILE_TRUNCATED));
    row.node = profile_node_of(p, row.node, profile_location_of(p, PROFILE_MAP_NONE, 0x30));
    row.thread = profile_add_thread(p, 9, profile_string(p, SONDE_STR("t")));
    row.text = profile_string(p, SONDE_STR("some text"));
    for (uint8_t kind = 0; kind < PROFILE_CUSTOM; kind++) {
        row.kind = kind;
        if (kind == PROFILE_LIVE) {
            profile_add_live(
                p, &(profile_sample){ .kind = kind, .node = row.node, .value = { 5, 7 } });
            continue;
        }
        profile_add(p, &row);
    }
    row.kind = PROFILE_CUSTOM;
    row.detail = (uint8_t)profile_custom_of(p, profile_string(p, SONDE_STR("queue")),
                                            profile_string(p, SONDE_STR("items")));
    profile_add(p, &row);
    return p;
}

static void test_columns_are_in_the_order_of_the_format(void **state)
{
    static const char *const order[] = {
        "cpu-samples",
        "cpu-time",
        "wall-samples",
        "wall-time",
        "alloc-samples",
        "alloc-space",
        "inuse-objects",
        "inuse-space",
        "lock-acquire",
        "lock-acquire-wait",
        "lock-release",
        "lock-release-wait",
        "exception-samples",
        "socket-read-time",
        "socket-read-time-samples",
        "socket-read-size",
        "socket-read-size-samples",
        "socket-write-time",
        "socket-write-time-samples",
        "socket-write-size",
        "socket-write-size-samples",
        "file-io-read-time",
        "file-io-read-time-samples",
        "file-io-read-size",
        "file-io-read-size-samples",
        "file-io-write-time",
        "file-io-write-time-samples",
        "file-io-write-size",
        "file-io-write-size-samples",
        "queue",
    };
    profile *p = everything();
    Sonde__Pprof__Profile *m = encode(p, &(pprof_options){ .start_unix_ns = 1 });

    (void)state;
    assert_int_equal(m->n_sample_type, COUNT_OF(order));
    for (size_t i = 0; i < COUNT_OF(order); i++)
        assert_string_equal(text(m, m->sample_type[i]->type), order[i]);
    assert_string_equal(text(m, m->sample_type[29]->unit), "items");
    assert_int_equal(m->n_sample, PROFILE_KINDS);
    for (size_t i = 0; i < m->n_sample; i++)
        assert_int_equal(m->sample[i]->n_value, COUNT_OF(order));
    give_back(m);
    profile_close(p);
}

static int64_t value_of(const Sonde__Pprof__Profile *m, const char *column)
{
    int64_t sum = 0;
    size_t c;

    for (c = 0; c < m->n_sample_type && strcmp(text(m, m->sample_type[c]->type), column) != 0; c++)
        ;
    assert_true(c < m->n_sample_type);
    for (size_t i = 0; i < m->n_sample; i++)
        sum += m->sample[i]->value[c];
    return sum;
}

static void test_each_column_has_the_value_it_is_named_after(void **state)
{
    static const struct {
        const char *column;
        int64_t want;
    } cases[] = {
        { "cpu-samples", 3 },
        { "cpu-time", 5 },
        { "wall-samples", 3 },
        { "wall-time", 5 },
        { "alloc-samples", 5 },
        { "alloc-space", 7 },
        { "inuse-objects", 5 },
        { "inuse-space", 7 },
        { "lock-acquire", 5 },
        { "lock-acquire-wait", 7 },
        { "lock-release", 5 },
        { "lock-release-wait", 7 },
        { "exception-samples", 5 },
        { "socket-read-time", 7 },
        { "socket-read-size", 11 },
        { "socket-read-time-samples", 5 },
        { "file-io-write-size-samples", 5 },
        { "queue", 5 },
    };
    profile *p = everything();
    Sonde__Pprof__Profile *m = encode(p, &(pprof_options){ .start_unix_ns = 1 });

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (value_of(m, cases[i].column) != cases[i].want)
            fail_msg("%s: %lld", cases[i].column, (long long)value_of(m, cases[i].column));
    }
    give_back(m);
    profile_close(p);
}

static void test_no_row_has_more_labels_than_twelve_or_one_twice(void **state)
{
    const pprof_options o = { .process_id = SONDE_STR("1"),
                              .process_name = SONDE_STR("n"),
                              .container_id = SONDE_STR("c") };
    profile *p = everything();
    Sonde__Pprof__Profile *m;

    (void)state;
    p->samples[0].span_id = p->samples[0].local_root_id = 5;
    for (size_t i = 0; i < p->samples_len; i++)
        p->samples[i].span_id = p->samples[i].local_root_id = 5;
    profile_set_endpoint(p, 5, profile_string(p, SONDE_STR("GET")),
                         profile_string(p, SONDE_STR("web")), 1);
    m = encode(p, &o);
    for (size_t i = 0; i < m->n_sample; i++) {
        const Sonde__Pprof__Sample *s = m->sample[i];

        assert_true(s->n_label <= PROFILE_LABELS_MAX);
        for (size_t k = 0; k < s->n_label; k++) {
            assert_ptr_equal(label(m, s, text(m, s->label[k]->key)), s->label[k]);
            assert_true((s->label[k]->str != 0) != (s->label[k]->num != 0));
        }
    }
    assert_int_equal(label(m, m->sample[0], "end_timestamp_ns")->num, 77);
    give_back(m);
    profile_close(p);
}

static void test_frames_that_are_no_code_have_a_name_and_no_address(void **state)
{
    profile *p = everything();
    Sonde__Pprof__Profile *m = encode(p, &(pprof_options){ .start_unix_ns = 1 });
    const Sonde__Pprof__Location *inner = location(m, m->sample[0]->location_id[0]);
    const Sonde__Pprof__Location *outer = location(m, m->sample[0]->location_id[1]);

    (void)state;
    assert_int_equal(inner->address, 0x30);
    assert_int_equal(inner->mapping_id, 0);
    assert_int_equal(outer->address, 0);
    assert_int_equal(outer->n_line, 1);
    for (size_t i = 0; i < m->n_function; i++) {
        if (m->function[i]->id == outer->line[0]->function_id)
            assert_string_equal(text(m, m->function[i]->name), "[truncated]");
    }
    give_back(m);
    profile_close(p);
}

/* A location of three functions, two of them inlined. */
static profile *inlined(void)
{
    profile_sample row = { .kind = PROFILE_CPU, .events = 1, .value = { 1 } };
    uint32_t at;
    profile *p;

    assert_status(profile_open(&p), SONDE_OK);
    at = profile_location_of(p, PROFILE_MAP_NONE, 0x99);
    row.node = profile_node_of(p, 0, at);
    profile_add(p, &row);
    p->lines = sonde_calloc(3, sizeof(*p->lines));
    p->lines_len = p->lines_cap = 3;
    for (uint32_t i = 0; i < 3; i++) {
        char name[2] = { (char)('a' + i), '\0' };
        const profile_function f = { .name = profile_string(p, sonde_str_from(name)) };

        p->lines[i] = (profile_line){ profile_function_of(p, &f), 10 + i };
    }
    p->locations[at].lines_len = 3;
    return p;
}

static void test_the_kernels_code_has_its_mapping(void **state)
{
    profile_sample row = { .kind = PROFILE_CPU, .events = 1, .value = { 10 } };
    Sonde__Pprof__Profile *m;
    const Sonde__Pprof__Location *named, *unnamed;
    uint32_t name;
    profile *p;

    (void)state;
    assert_status(profile_open(&p), SONDE_OK);
    p->enabled[PROFILE_CPU] = true;
    name = profile_string(p, SONDE_STR("vfs_read"));
    row.node = profile_node_of(
        p, 0,
        profile_location_of(p, PROFILE_MAP_SYNTHETIC, PROFILE_KERNEL_SYMBOL + (uint64_t)name));
    row.node =
        profile_node_of(p, row.node, profile_location_of(p, PROFILE_MAP_SYNTHETIC, PROFILE_KERNEL));
    row.node =
        profile_node_of(p, row.node, profile_location_of(p, PROFILE_MAP_SYNTHETIC, PROFILE_LOST));
    profile_add(p, &row);
    m = encode(p, &(pprof_options){ .start_unix_ns = 1 });
    assert_int_equal(m->n_mapping, 1);
    assert_string_equal(text(m, m->mapping[0]->filename), "[kernel.kallsyms]");
    assert_int_equal(location(m, m->sample[0]->location_id[0])->mapping_id, 0); /* "[lost]" */
    unnamed = location(m, m->sample[0]->location_id[1]);
    named = location(m, m->sample[0]->location_id[2]);
    assert_int_equal(named->mapping_id, m->mapping[0]->id);
    assert_int_equal(unnamed->mapping_id, m->mapping[0]->id);
    assert_int_equal(named->address, 0);
    for (size_t i = 0; i < m->n_function; i++) {
        if (m->function[i]->id == named->line[0]->function_id)
            assert_string_equal(text(m, m->function[i]->name), "vfs_read");
        if (m->function[i]->id == unnamed->line[0]->function_id)
            assert_string_equal(text(m, m->function[i]->name), "[kernel]");
    }
    give_back(m);
    profile_close(p);
}

static void test_inlined_functions_are_locations_of_their_own_or_lines_of_one(void **state)
{
    profile *p = inlined();
    Sonde__Pprof__Profile *apart = encode(p, &(pprof_options){ .start_unix_ns = 1 });
    Sonde__Pprof__Profile *together = encode(p, &(pprof_options){ .inlines_in_one = true });

    (void)state;
    assert_int_equal(apart->sample[0]->n_location_id, 3);
    for (size_t i = 0; i < 3; i++) {
        const Sonde__Pprof__Location *l = location(apart, apart->sample[0]->location_id[i]);

        assert_int_equal(l->address, 0x99);
        assert_int_equal(l->n_line, 1);
        assert_int_equal(l->line[0]->line, 10 + i);
    }
    assert_int_equal(together->sample[0]->n_location_id, 1);
    assert_int_equal(together->location[0]->n_line, 3);
    assert_int_equal(together->location[0]->line[0]->line, 10);
    give_back(apart);
    give_back(together);
    profile_close(p);
}

static void test_without_times_rows_are_summed_up(void **state)
{
    profile_sample row = { .kind = PROFILE_CPU, .events = 1, .value = { 4 } };
    Sonde__Pprof__Profile *m;
    profile *p;

    (void)state;
    assert_status(profile_open(&p), SONDE_OK);
    p->timeline = true;
    row.node = profile_node_of(p, 0, profile_location_of(p, PROFILE_MAP_NONE, 1));
    for (int64_t at = 1; at <= 10; at++) {
        row.end_unix_ns = at;
        profile_add(p, &row);
    }
    m = encode(p, &(pprof_options){ .no_timeline = true });
    assert_int_equal(m->n_sample, 1);
    assert_int_equal(m->sample[0]->value[1], 40);
    assert_int_equal(p->samples_len, 10); /* the profile keeps them */
    give_back(m);
    profile_close(p);
}

static void test_deep_stacks_are_cut_at_their_roots(void **state)
{
    profile_sample row = { .kind = PROFILE_CPU, .events = 1, .value = { 4 } };
    Sonde__Pprof__Profile *m;
    profile *p;

    (void)state;
    assert_status(profile_open(&p), SONDE_OK);
    for (uint64_t i = 1; i <= 200; i++)
        row.node = profile_node_of(p, row.node, profile_location_of(p, PROFILE_MAP_NONE, i));
    profile_add(p, &row);
    m = encode(p, &(pprof_options){ .max_depth = 128 });
    assert_int_equal(m->sample[0]->n_location_id, 129);
    assert_int_equal(location(m, m->sample[0]->location_id[0])->address, 200);
    assert_int_equal(location(m, m->sample[0]->location_id[128])->n_line, 1); /* [truncated] */
    give_back(m);
    profile_close(p);
}

static void test_small_rows_are_gathered_and_no_value_is_lost(void **state)
{
    profile_sample row = { .kind = PROFILE_CPU, .events = 1 };
    Sonde__Pprof__Profile *m;
    profile *p;

    (void)state;
    assert_status(profile_open(&p), SONDE_OK);
    for (uint64_t i = 1; i <= 20; i++) {
        row.node = profile_node_of(p, 0, profile_location_of(p, PROFILE_MAP_NONE, i));
        row.events = i == 1 ? 100000 : 1;
        row.value[0] = i == 1 ? 1000000 : 10;
        profile_add(p, &row);
    }
    m = encode(p, &(pprof_options){ .cut_share = 10000 });
    assert_int_equal(m->n_sample, 2);
    assert_int_equal(value_of(m, "cpu-time"), 1000190);
    assert_int_equal(value_of(m, "cpu-samples"), 100019);
    give_back(m);
    profile_close(p);
}

static void test_names_that_are_not_utf_8_become_so(void **state)
{
    profile *p;

    (void)state;
    assert_status(profile_open(&p), SONDE_OK);
    assert_memory_equal(profile_text(p, profile_string(p, SONDE_STR("a\xff"
                                                                    "b")))
                            .ptr,
                        "a\xef\xbf\xbd"
                        "b",
                        6);
    profile_close(p);
}

static sonde_status encode_the_example(void *user)
{
    session *s = NULL;
    profile *p = NULL;
    batch_facts facts;
    sonde_buf out;
    sonde_status status = batch_check(example_body, &facts, NULL);

    (void)user;
    sonde_buf_init(&out, 1u << 20);
    if (status == SONDE_OK)
        status = session_open(facts.hello.session, NULL, &s);
    if (status == SONDE_OK)
        status = profile_open(&p);
    if (status == SONDE_OK)
        status = session_greet(s, &facts.hello);
    if (status == SONDE_OK)
        status = session_merge(s, example_body, p);
    if (status == SONDE_OK)
        status = pprof_encode(p, &(pprof_options){ .no_timeline = true, .cut_share = 2 }, &out);
    sonde_buf_done(&out);
    session_close(s);
    profile_close(p);
    return status;
}

static void test_encoding_survives_every_failed_allocation(void **state)
{
    (void)state;
    alloc_fail_each(encode_the_example, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_worked_example_field_by_field),
        cmocka_unit_test(test_columns_are_in_the_order_of_the_format),
        cmocka_unit_test(test_each_column_has_the_value_it_is_named_after),
        cmocka_unit_test(test_no_row_has_more_labels_than_twelve_or_one_twice),
        cmocka_unit_test(test_frames_that_are_no_code_have_a_name_and_no_address),
        cmocka_unit_test(test_the_kernels_code_has_its_mapping),
        cmocka_unit_test(test_inlined_functions_are_locations_of_their_own_or_lines_of_one),
        cmocka_unit_test(test_without_times_rows_are_summed_up),
        cmocka_unit_test(test_deep_stacks_are_cut_at_their_roots),
        cmocka_unit_test(test_small_rows_are_gathered_and_no_value_is_lost),
        cmocka_unit_test(test_names_that_are_not_utf_8_become_so),
        cmocka_unit_test(test_encoding_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("pprof", tests, NULL, NULL);
}
