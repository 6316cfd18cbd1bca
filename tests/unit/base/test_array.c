/* test_array.c - base/array.h */
#include "support/test.h"

#include "base/alloc.h"
#include "base/array.h"
#include "support/alloc_fail.h"

static void test_an_array_grows_to_its_ceiling_and_stays_whole(void **state)
{
    uint32_t *items = NULL, len = 0, cap = 0;

    (void)state;
    for (;;) {
        uint32_t *room = sonde_array_room(items, len, &cap, sizeof(*items), 100);

        if (!room)
            break;
        items = room;
        assert_int_equal(items[len], 0); /* what is new is zero */
        items[len] = ~len;
        len++;
    }
    assert_int_equal(len, 100);
    assert_int_equal(cap, 100);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(items[i], ~i);
    sonde_free(items);
}

static bool same(const void *of, uint32_t id, const void *key)
{
    return ((const uint32_t *)of)[id] == *(const uint32_t *)key;
}

static void test_ids_are_found_by_what_the_owner_says_though_hashes_collide(void **state)
{
    uint32_t items[1000], id;
    sonde_id_index x = { 0 };

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        items[i] = i * 7;
        assert_false(sonde_id_index_find(&x, items[i] % 13, same, items, &items[i], &id));
        assert_true(sonde_id_index_add(&x, items[i] % 13, i));
    }
    for (uint32_t i = 0; i < COUNT_OF(items); i++) {
        assert_true(sonde_id_index_find(&x, items[i] % 13, same, items, &items[i], &id));
        assert_int_equal(id, i);
    }
    sonde_id_index_done(&x);
}

static sonde_status grow_both(void *arg)
{
    sonde_id_index x = { 0 };
    uint32_t cap = 0;
    void *room = sonde_array_room(NULL, 0, &cap, 8, 10);
    bool ok = room && sonde_id_index_add(&x, 1, 0);

    (void)arg;
    sonde_free(room);
    sonde_id_index_done(&x);
    return ok ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_without_memory_there_is_no_room(void **state)
{
    (void)state;
    alloc_fail_each(grow_both, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_array_grows_to_its_ceiling_and_stays_whole),
        cmocka_unit_test(test_ids_are_found_by_what_the_owner_says_though_hashes_collide),
        cmocka_unit_test(test_without_memory_there_is_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
