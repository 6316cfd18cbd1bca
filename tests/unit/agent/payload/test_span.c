/* test_span.c - tags of spans, chunks and payloads; payload life. */
#include "agent/payload/span.h"

#include <stdio.h>
#include <string.h>

#include "agent/payload/payload.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static void test_set_adds_once_and_replaces_afterwards(void **state)
{
    payload_span s = { 0 };
    sonde_arena arena;

    (void)state;
    sonde_arena_init(&arena, 1 << 16);
    assert_status(span_meta_set(&s, &arena, SONDE_STR("a"), SONDE_STR("1")), SONDE_OK);
    assert_status(span_meta_set(&s, &arena, SONDE_STR("a"), SONDE_STR("2")), SONDE_OK);
    assert_status(span_metric_set(&s, &arena, SONDE_STR("m"), 1), SONDE_OK);
    assert_status(span_metric_set(&s, &arena, SONDE_STR("m"), 2), SONDE_OK);

    assert_int_equal(s.meta_len, 1);
    assert_int_equal(s.metrics_len, 1);
    assert_true(sonde_str_eq(*span_meta_get(&s, SONDE_STR("a")), SONDE_STR("2")));
    assert_true(*span_metric_get(&s, SONDE_STR("m")) == 2);
    sonde_arena_done(&arena);
}

static void test_tags_survive_growth_and_removal(void **state)
{
    static char keys[100][8];
    payload_span s = { 0 };
    sonde_arena arena;

    (void)state;
    sonde_arena_init(&arena, 1 << 20);
    for (int i = 0; i < 100; i++) {
        int len = snprintf(keys[i], sizeof(keys[i]), "k%d", i);

        assert_status(
            span_meta_set(&s, &arena, (sonde_str){ keys[i], (size_t)len }, SONDE_STR("v")),
            SONDE_OK);
        assert_status(span_metric_set(&s, &arena, (sonde_str){ keys[i], (size_t)len }, i),
                      SONDE_OK);
    }
    span_meta_remove(&s, SONDE_STR("k0"));
    span_meta_remove(&s, SONDE_STR("k99"));
    span_metric_remove(&s, SONDE_STR("k50"));
    span_meta_remove(&s, SONDE_STR("not there"));

    assert_int_equal(s.meta_len, 98);
    assert_int_equal(s.metrics_len, 99);
    assert_null(span_meta_get(&s, SONDE_STR("k0")));
    assert_null(span_metric_get(&s, SONDE_STR("k50")));
    assert_true(*span_metric_get(&s, SONDE_STR("k51")) == 51);
    assert_non_null(span_meta_get(&s, SONDE_STR("k98")));
    sonde_arena_done(&arena);
}

static void test_top_level_and_measured_want_exactly_one(void **state)
{
    static const struct {
        const char *key;
        double value;
        bool top_level, measured;
    } cases[] = {
        { "_top_level", 1, true, false },   { "_dd.top_level", 1, true, false },
        { "_top_level", 0, false, false },  { "_dd.top_level", 2, false, false },
        { "_dd.measured", 1, false, true }, { "_dd.measured", 0.5, false, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        span_metric metric = { sonde_str_from(cases[i].key), cases[i].value };
        payload_span s = { .metrics = &metric, .metrics_len = 1 };

        if (span_is_top_level(&s) != cases[i].top_level ||
            span_is_measured(&s) != cases[i].measured)
            fail_msg("%s = %g", cases[i].key, cases[i].value);
    }
}

static int released;

static void count_release(payload *p)
{
    (void)p;
    released++;
}

static void test_a_payload_gives_its_body_back_once(void **state)
{
    payload *p = payload_new(1 << 16);

    (void)state;
    released = 0;
    p->release_body = count_release;
    assert_status(payload_tag_set(p, SONDE_STR("a"), SONDE_STR("1")), SONDE_OK);
    assert_true(sonde_str_eq(*payload_tag_get(p, SONDE_STR("a")), SONDE_STR("1")));
    assert_null(payload_tag_get(p, SONDE_STR("b")));
    payload_free(p);
    payload_free(NULL);

    assert_int_equal(released, 1);
}

static sonde_status fill(void *user)
{
    payload *p = payload_new(1 << 16);
    payload_chunk chunk = { 0 };
    payload_span span = { 0 };
    sonde_status status;

    (void)user;
    if (!p)
        return SONDE_ERR_NOMEM;
    status = payload_tag_set(p, SONDE_STR("a"), SONDE_STR("1"));
    if (status == SONDE_OK)
        status = chunk_tag_set(&chunk, &p->arena, SONDE_STR("a"), SONDE_STR("1"));
    if (status == SONDE_OK)
        status = span_metric_set(&span, &p->arena, SONDE_STR("m"), 1);
    payload_free(p);
    return status;
}

static void test_filling_a_payload_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(fill, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_adds_once_and_replaces_afterwards),
        cmocka_unit_test(test_tags_survive_growth_and_removal),
        cmocka_unit_test(test_top_level_and_measured_want_exactly_one),
        cmocka_unit_test(test_a_payload_gives_its_body_back_once),
        cmocka_unit_test(test_filling_a_payload_copes_without_memory),
    };

    return cmocka_run_group_tests_name("span", tests, NULL, NULL);
}
