/* test_top_table.c - a profile of two functions as the table of `sonde top`, letter by letter; by thread; cut to a
 * terminal. */
#include "agent/cli/top_table.h"

#include <string.h>

#include "base/alloc.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define MIB (1024 * 1024)

static uint32_t function(profile *p, uint32_t parent, const char *name, uint32_t mapping,
                         uint64_t address)
{
    uint32_t location = profile_location_of(p, mapping, address);
    profile_line *lines = sonde_realloc(p->lines, (p->lines_len + 1) * sizeof(*lines));

    assert_non_null(lines);
    p->lines = lines;
    lines[p->lines_len] =
        (profile_line){ profile_function_of(p, &(profile_function){ .name = profile_string(
                                                                        p, sonde_str_from(name)) }),
                        0 };
    p->locations[location].lines_at = p->lines_len++;
    p->locations[location].lines_len = 1;
    p->lines_cap = p->lines_len;
    return profile_node_of(p, parent, location);
}

/* main ─▶ work: 750 ms of CPU in work, 250 ms in main; work allocated 3 MiB, and holds 1 MiB; main waited 20 ms. */
static profile *sample(void)
{
    profile *p = NULL;
    uint32_t map, main_, work, one, two;

    assert_status(profile_open(&p), SONDE_OK);
    map = profile_add_mapping(
        p, &(profile_mapping){ .path = profile_string(p, SONDE_STR("/bin/prog")) });
    one = profile_add_thread(p, 7, profile_string(p, SONDE_STR("one")));
    two = profile_add_thread(p, 8, profile_string(p, SONDE_STR("two\033[2J")));
    main_ = function(p, 0, "main", map, 1);
    work = function(p, main_, "work", map, 2);
    profile_add(p, &(profile_sample){
                       .kind = PROFILE_CPU, .node = work, .thread = one, .value = { 750000000 } });
    profile_add(p, &(profile_sample){
                       .kind = PROFILE_CPU, .node = main_, .thread = two, .value = { 250000000 } });
    profile_add(p,
                &(profile_sample){
                    .kind = PROFILE_ALLOC, .node = work, .thread = one, .value = { 1, 3 * MIB } });
    profile_add(p,
                &(profile_sample){
                    .kind = PROFILE_LOCK, .node = main_, .thread = one, .value = { 1, 20000000 } });
    profile_add_live(p,
                     &(profile_sample){
                         .kind = PROFILE_LIVE, .node = work, .thread = one, .value = { 1, MIB } });
    return p;
}

static void check(top_view view, top_kind kind, uint32_t columns, const char *want)
{
    const top_layout layout = {
        .kind = kind, .seconds = 2, .rows = 10, .columns = columns, .newline = "\n"
    };
    profile *p = sample();
    top_table t;
    sonde_buf out;

    top_table_init(&t);
    sonde_buf_init(&out, 65536);
    assert_status(top_table_make(&t, p, view, kind), SONDE_OK);
    top_table_write(&t, &layout, &out);
    assert_string_equal(sonde_buf_cstr(&out), want);
    sonde_buf_done(&out);
    top_table_done(&t);
    profile_close(p);
}

static void test_functions_by_cpu_time(void **state)
{
    (void)state;
    check(TOP_FUNCTIONS, TOP_CPU, 0,
          "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s\n"
          " 75.0%  75.0%       375.0       1.5       1.0            work  prog\n"
          " 25.0% 100.0%       125.0                          10.0  main  prog\n");
}

static void test_functions_by_what_they_waited(void **state)
{
    (void)state;
    check(TOP_FUNCTIONS, TOP_LOCK, 0,
          "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s\n"
          "100.0% 100.0%       125.0                          10.0  main  prog\n");
}

static void test_threads_and_no_control_characters(void **state)
{
    (void)state;
    check(TOP_THREADS, TOP_CPU, 0,
          "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s\n"
          " 75.0%  75.0%       375.0       1.5       1.0      10.0  one  7\n"
          " 25.0%  25.0%       125.0                                two?[2J  8\n");
}

static void test_no_line_is_longer_than_the_terminal(void **state)
{
    (void)state;
    check(TOP_FUNCTIONS, TOP_CPU, 60,
          "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s\n"
          " 75.0%  75.0%       375.0       1.5       1.0            wor\n"
          " 25.0% 100.0%       125.0                          10.0  mai\n");
}

static void test_everything_without_requests_is_one_endpoint(void **state)
{
    (void)state;
    check(TOP_ENDPOINTS, TOP_CPU, 0,
          "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s\n"
          "100.0% 100.0%       500.0       1.5       1.0      10.0  (no request)\n");
}

static sonde_status without_memory(void *arg)
{
    top_table t;
    sonde_status status;

    top_table_init(&t);
    status = top_table_make(&t, arg, TOP_FUNCTIONS, TOP_CPU);
    top_table_done(&t);
    return status;
}

static void test_without_memory_it_says_so(void **state)
{
    profile *p = sample();

    (void)state;
    alloc_fail_each(without_memory, p);
    profile_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_by_cpu_time),
        cmocka_unit_test(test_functions_by_what_they_waited),
        cmocka_unit_test(test_threads_and_no_control_characters),
        cmocka_unit_test(test_no_line_is_longer_than_the_terminal),
        cmocka_unit_test(test_everything_without_requests_is_one_endpoint),
        cmocka_unit_test(test_without_memory_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
