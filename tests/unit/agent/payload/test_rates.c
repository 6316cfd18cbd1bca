/* test_rates.c - the published answer: empty at first, whole for whoever holds it. */
#include "agent/payload/rates.h"

#include <pthread.h>
#include <stdio.h>

#include "support/alloc_fail.h"
#include "support/test.h"

static void test_a_cell_starts_with_the_empty_answer(void **state)
{
    rates_cell cell;
    rates_snapshot *s;

    (void)state;
    assert_status(rates_cell_init(&cell), SONDE_OK);
    s = rates_cell_get(&cell);
    assert_true(sonde_str_eq(s->body, SONDE_STR("{\"rate_by_service\":{}}\n")));
    assert_string_equal(s->version, "");
    rates_put(s);
    rates_cell_done(&cell);
}

static void test_a_reader_keeps_its_snapshot_over_a_publication(void **state)
{
    rates_cell cell;
    rates_snapshot *old, *new;

    (void)state;
    assert_status(rates_cell_init(&cell), SONDE_OK);
    old = rates_cell_get(&cell);
    rates_cell_publish(&cell, rates_new(SONDE_STR("{}\n"), SONDE_STR("65a1b2c3-4")));
    new = rates_cell_get(&cell);
    assert_int_equal(old->body.len, 23);
    assert_string_equal(new->version, "65a1b2c3-4");
    rates_put(old);
    rates_put(new);
    rates_cell_done(&cell);
}

static void test_a_version_too_long_is_refused(void **state)
{
    static const char version[RATES_VERSION_MAX_LEN + 1] = { 0 };

    (void)state;
    assert_null(rates_new(SONDE_STR(""), (sonde_str){ version, sizeof(version) }));
}

static void *publish_often(void *cell)
{
    for (int i = 0; i < 2000; i++) {
        char text[16];
        int len = snprintf(text, sizeof(text), "%d", i);
        sonde_str view = { text, (size_t)len };

        rates_cell_publish(cell, rates_new(view, view));
    }
    return NULL;
}

static void *read_often(void *cell)
{
    uintptr_t torn = 0;

    for (int i = 0; i < 2000; i++) {
        rates_snapshot *s = rates_cell_get(cell);

        torn += s->version[0] && !sonde_str_eq(s->body, sonde_str_from(s->version));
        rates_put(s);
    }
    return (void *)torn;
}

static void test_readers_and_publishers_never_see_half_a_snapshot(void **state)
{
    pthread_t publishers[2], readers[3];
    rates_cell cell;
    void *torn;

    (void)state;
    assert_status(rates_cell_init(&cell), SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(publishers); i++)
        assert_int_equal(pthread_create(&publishers[i], NULL, publish_often, &cell), 0);
    for (size_t i = 0; i < COUNT_OF(readers); i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_often, &cell), 0);
    for (size_t i = 0; i < COUNT_OF(publishers); i++)
        assert_int_equal(pthread_join(publishers[i], NULL), 0);
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        assert_int_equal(pthread_join(readers[i], &torn), 0);
        assert_null(torn);
    }
    rates_cell_done(&cell);
}

static sonde_status init_and_publish(void *user)
{
    rates_cell cell;
    rates_snapshot *s;
    sonde_status status = rates_cell_init(&cell);

    (void)user;
    if (status != SONDE_OK)
        return status;
    s = rates_new(SONDE_STR("x"), SONDE_STR("1"));
    if (s)
        rates_cell_publish(&cell, s);
    rates_cell_done(&cell);
    return s ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_publishing_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(init_and_publish, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cell_starts_with_the_empty_answer),
        cmocka_unit_test(test_a_reader_keeps_its_snapshot_over_a_publication),
        cmocka_unit_test(test_a_version_too_long_is_refused),
        cmocka_unit_test(test_readers_and_publishers_never_see_half_a_snapshot),
        cmocka_unit_test(test_publishing_copes_without_memory),
    };

    return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
