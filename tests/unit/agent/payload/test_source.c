/* test_source.c - tracers told apart by their tags, within bounds. */
#include "agent/payload/source.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/payload/payload.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static void test_tags_are_what_is_known_in_datadogs_order(void **state)
{
    static const struct {
        const char *label;
        source_key key;
        const char *tags;
    } cases[] = {
        { "all of them",
          { .lang = { "go", 2 },
            .lang_version = { "1.22", 4 },
            .lang_vendor = { "v", 1 },
            .interpreter = { "i", 1 },
            .tracer_version = { "2.0", 3 },
            .endpoint_version = { "v0.4", 4 },
            .connection_type = { "uds", 3 },
            .service = { "web", 3 } },
          "lang:go,lang_version:1.22,lang_vendor:v,interpreter:i,tracer_version:2.0,endpoint_"
          "version:v0.4,"
          "connection_type:uds,service:web" },
        { "some", { .lang = { "c", 1 }, .service = { "s", 1 } }, "lang:c,service:s" },
        { "nothing", { .lang = { NULL, 0 } }, "" },
        { "what is no text", { .lang = { "a\xff\xc3", 3 } }, "lang:a__" },
        { "what is text", { .lang = { "\xc3\xa4", 2 } }, "lang:\xc3\xa4" },
        { "what would end a tag",
          { .service = { "a|b,c#d\"e\\f\ng", 13 } },
          "service:a_b_c_d_e_f_g" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_sources *all = sources_open();
        payload_source *s = sources_find(all, &cases[i].key);

        if (strcmp(s->tags, cases[i].tags) != 0)
            fail_msg("%s: %s", cases[i].label, s->tags);
        assert_ptr_equal(s, sources_find(all, &cases[i].key));
        sources_close(all);
    }
}

static void test_a_long_value_is_cut_between_characters(void **state)
{
    char service[4 * SOURCE_VALUE_MAX];
    payload_sources *all = sources_open();
    payload_source *s;

    (void)state;
    for (size_t i = 0; i < sizeof(service); i += 2)
        memcpy(service + i, "\xc3\xa4", 2); /* two bytes each; the limit is even, so shift it */
    service[0] = 'x';
    service[1] = 'y';
    s = sources_find(all, &(source_key){ .lang = { service + 1, sizeof(service) - 1 } });
    assert_int_equal(s->tags_len, strlen("lang:") + SOURCE_VALUE_MAX - 1);
    sources_close(all);
}

static void test_beyond_the_ceiling_all_share_one_without_tags(void **state)
{
    payload_sources *all = sources_open();
    payload_source *shared = sources_at(all, 0), *s = NULL;
    char service[16];

    (void)state;
    for (int i = 0; i < SOURCES_MAX + 5; i++) {
        (void)snprintf(service, sizeof(service), "s%d", i);
        s = sources_find(all, &(source_key){ .service = sonde_str_from(service) });
        assert_true(i < SOURCES_MAX ? s != shared : s == shared);
    }
    assert_int_equal(sources_len(all), SOURCES_MAX + 1);
    assert_int_equal(shared->tags_len, 0);
    s = sources_find(all,
                     &(source_key){ .service = SONDE_STR("s0") }); /* the first are still known */
    assert_string_equal(s->tags, "service:s0");
    sources_close(all);
}

static void test_priorities_are_counted_one_by_one(void **state)
{
    static const struct {
        int32_t priority;
        source_count what;
    } cases[] = {
        { PRIORITY_NONE, SOURCE_PRIORITY_NONE },
        { -10, SOURCE_PRIORITY_FIRST },
        { -1, SOURCE_PRIORITY_FIRST + 9 },
        { 0, SOURCE_PRIORITY_FIRST + 10 },
        { 2, SOURCE_PRIORITY_FIRST + 12 },
        { 10, SOURCE_PRIORITY_LAST },
        { 11, SOURCE_PRIORITY_LAST },
        { -11, SOURCE_PRIORITY_FIRST },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_sources *all = sources_open();
        payload_source *s = sources_at(all, 0);

        source_add_priority(s, cases[i].priority);
        if (source_read(s, cases[i].what) != 1)
            fail_msg("%d", cases[i].priority);
        sources_close(all);
    }
    source_add_priority(NULL, 1); /* nobody counts */
    source_add(NULL, SOURCE_BYTES, 1);
}

#define FINDERS 4

static void *find_many(void *all)
{
    char service[16];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(service, sizeof(service), "s%d", i % 40);
        source_add(sources_find(all, &(source_key){ .service = sonde_str_from(service) }),
                   SOURCE_BYTES, 1);
    }
    return NULL;
}

static void test_threads_find_the_same_sources(void **state)
{
    payload_sources *all = sources_open();
    pthread_t threads[FINDERS];
    uint64_t sum = 0;

    (void)state;
    for (int i = 0; i < FINDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_many, all), 0);
    for (int i = 0; i < FINDERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(sources_len(all), 41);
    for (size_t i = 0; i < sources_len(all); i++)
        sum += source_read(sources_at(all, i), SOURCE_BYTES);
    assert_int_equal(sum, 4 * 1000);
    sources_close(all);
}

static void test_a_timing_knows_count_sum_and_most(void **state)
{
    timing t = { .count = 0 };

    (void)state;
    timing_add(&t, 3);
    timing_add(&t, 9);
    timing_add(&t, 5);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.total, 17);
    assert_int_equal(t.max, 9);
    timings_add(NULL, TIMING_EVP, 1);
}

static sonde_status open_and_find(void *user)
{
    payload_sources *all = sources_open();

    (void)user;
    if (!all)
        return SONDE_ERR_NOMEM;
    if (sources_find(all, &(source_key){ .service = SONDE_STR("s") }) == sources_at(all, 0)) {
        sources_close(all); /* no memory: the shared one */
        return SONDE_ERR_NOMEM;
    }
    sources_close(all);
    return SONDE_OK;
}

static void test_without_memory_the_shared_one_counts(void **state)
{
    (void)state;
    alloc_fail_each(open_and_find, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_are_what_is_known_in_datadogs_order),
        cmocka_unit_test(test_a_long_value_is_cut_between_characters),
        cmocka_unit_test(test_beyond_the_ceiling_all_share_one_without_tags),
        cmocka_unit_test(test_priorities_are_counted_one_by_one),
        cmocka_unit_test(test_threads_find_the_same_sources),
        cmocka_unit_test(test_a_timing_knows_count_sum_and_most),
        cmocka_unit_test(test_without_memory_the_shared_one_counts),
    };

    return cmocka_run_group_tests_name("agent/payload/source", tests, NULL, NULL);
}
