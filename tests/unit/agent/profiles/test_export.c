/* test_export.c - the page of a profile: its data, byte by byte, and that it needs nothing else. */
#include "agent/profiles/export.h"

#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#define assert_str_equal(got, want)                                                                \
    do {                                                                                           \
        sonde_str got_ = (got), want_ = (want);                                                    \
        if (!sonde_str_eq(got_, want_))                                                            \
            fail_msg("%s: got \"%.*s\", want \"%.*s\"", #got, SONDE_STR_ARG(got_),                 \
                     SONDE_STR_ARG(want_));                                                        \
    } while (0)

static const sonde_str prog = { "prog", 4 };

/* main ─▶ "a;b" 3 (5 after), main ─▶ in\nner (inlined) 0 (7 after), main itself 2. */
static flame *sample(void)
{
    flame *f = NULL;
    uint32_t main_;

    assert_status(flame_open(&f), SONDE_OK);
    flame_set_type(f, SONDE_STR("cpu-time"), SONDE_STR("nanoseconds"));
    main_ = flame_child(f, 0, SONDE_STR("main"), prog, false);
    flame_count(f, main_, 0, 2, 1);
    flame_count(f, flame_child(f, main_, SONDE_STR("a;b"), (sonde_str){ NULL, 0 }, false), 0, 3, 1);
    flame_count(f, 2, 1, 5, 1);
    flame_count(f, flame_child(f, main_, SONDE_STR("in\nner"), prog, true), 1, 7, 1);
    flame_sum(f);
    return f;
}

static sonde_buf new_buf(void)
{
    sonde_buf out;

    sonde_buf_init(&out, EXPORT_MAX_BYTES);
    return out;
}

static void test_the_data_of_the_page(void **state)
{
    const char *want =
        "{\"title\":\"\\u003c/script>\",\"note\":\"1 s\",\"compared\":true,\"flames\":[{"
        "\"type\":\"cpu-time\",\"unit\":\"nanoseconds\","
        "\"texts\":[\"\",\"cpu-time\",\"nanoseconds\",\"main\",\"prog\",\"a;b\",\"in\\nner\"],"
        "\"names\":[0,3,5,6],\"objects\":[0,4,0,4],\"up\":[0,0,1,1],\"frame\":[0,1,2,3],"
        "\"inlined\":[0,0,0,1],\"self\":[0,2,3,0],\"after\":[0,0,5,7]}]}";
    flame *f = sample();
    const export_page page = { SONDE_STR("</script>"), SONDE_STR("1 s"), true };
    sonde_buf out = new_buf();
    size_t at;

    (void)state;
    export_html((const flame *const *)&f, 1, &page, &out);
    assert_status(out.status, SONDE_OK);
    assert_true(sonde_str_starts(sonde_buf_str(&out), SONDE_STR("<!doctype html>")));
    assert_true(sonde_str_find(sonde_buf_str(&out), sonde_str_from(want), &at));
    sonde_buf_done(&out);
    flame_close(f);
}

static void test_the_page_knows_whose_a_value_is(void **state)
{
    static const profile_column cpu_time = { .kind = PROFILE_CPU, .value = 0 };
    const export_page page = { SONDE_STR("t"), SONDE_STR(""), false };
    flame *f = NULL;
    profile *p = NULL;
    profile_sample row = { .kind = PROFILE_CPU, .value = { 5 } };
    sonde_buf out = new_buf();
    size_t at;

    (void)state;
    assert_status(flame_open(&f), SONDE_OK);
    assert_status(profile_open(&p), SONDE_OK);
    row.node = profile_node_of(p, 0, profile_location_of(p, PROFILE_MAP_NONE, 0x2a));
    row.thread = profile_add_thread(p, 7, profile_string(p, SONDE_STR("one")));
    profile_add(p, &row);
    row.thread = profile_add_thread(p, 8, 0);
    row.value[0] = 6;
    profile_add(p, &row);
    assert_status(flame_add_profile(f, p, &cpu_time, 0), SONDE_OK);
    export_html((const flame *const *)&f, 1, &page, &out);
    assert_true(sonde_str_find(sonde_buf_str(&out),
                               SONDE_STR("\"texts\":[\"\",\"0x2a\",\"one (7)\",\" (8)\"]"), &at));
    assert_true(sonde_str_find(sonde_buf_str(&out),
                               SONDE_STR("\"self\":[0,11],\"parts\":[1,2,5,1,3,6]}]}"), &at));
    sonde_buf_done(&out);
    profile_close(p);
    flame_close(f);
}

static void test_the_page_needs_nothing_from_elsewhere(void **state)
{
    flame *f = sample();
    const export_page page = { SONDE_STR("t"), SONDE_STR(""), false };
    sonde_buf out = new_buf();
    size_t at;

    (void)state;
    export_html((const flame *const *)&f, 1, &page, &out);
    assert_false(sonde_str_find(sonde_buf_str(&out), SONDE_STR("http:"), &at));
    assert_false(sonde_str_find(sonde_buf_str(&out), SONDE_STR("https:"), &at));
    assert_false(sonde_str_find(sonde_buf_str(&out), SONDE_STR("src="), &at));
    assert_false(sonde_str_find(sonde_buf_str(&out), SONDE_STR("{{"), &at));
    sonde_buf_done(&out);
    flame_close(f);
}

static sonde_status without_memory(void *arg)
{
    static const export_page page = { { "t", 1 }, { NULL, 0 }, false };
    const flame *f = arg;
    sonde_buf out = new_buf();
    sonde_status status;

    export_html(&f, 1, &page, &out);
    status = out.status;
    sonde_buf_done(&out);
    return status;
}

static void test_without_memory_the_buffer_says_so(void **state)
{
    flame *f = sample();

    (void)state;
    alloc_fail_each(without_memory, f);
    flame_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_data_of_the_page),
        cmocka_unit_test(test_the_page_knows_whose_a_value_is),
        cmocka_unit_test(test_the_page_needs_nothing_from_elsewhere),
        cmocka_unit_test(test_without_memory_the_buffer_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
