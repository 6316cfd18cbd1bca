/* The live heap: what is put in is found until it is taken out, whatever its neighbours do. */
#include "support/test.h"

#include <string.h>

#include "profiler/src/live.h"

static sonde_prof__live entry_of(uint64_t address, uint64_t bytes, uint32_t serial)
{
    sonde_prof__live e = { .address = address, .bytes = bytes, .weight = 2, .serial = serial };

    return e;
}

/* Addresses that are spread as malloc's are: multiples of 16 from two areas. */
static uint64_t address_of(uint32_t i)
{
    return (i % 2 ? UINT64_C(0x7f0012340000) : UINT64_C(0x55aa00000000)) + (uint64_t)i * 48;
}

static void test_what_is_put_is_found_and_taken_once(void **state)
{
    enum { N = 50000 };
    sonde_prof__live e;
    uint32_t i;

    (void)state;
    sonde_prof__live_open(262144);
    for (i = 0; i < N; i++) {
        e = entry_of(address_of(i), i, i);
        assert_false(sonde_prof__live_take(e.address, &e));
        assert_true(sonde_prof__live_put(&e));
        assert_true(sonde_prof__live_may_hold(e.address));
        if (i % 3 == 0) { /* frees among the allocations move entries up */
            assert_true(sonde_prof__live_take(address_of(i / 3 * 2), &e));
            assert_int_equal(e.serial, i / 3 * 2);
        }
    }
    for (i = 0; i < N; i++) {
        bool gone = i % 2 == 0 && i / 2 * 3 < N;

        assert_int_equal(sonde_prof__live_take(address_of(i), &e), !gone);
        if (!gone)
            assert_int_equal(e.bytes, i);
    }
    assert_int_equal(sonde_prof__live_len(), 0);
    for (i = 0; i < N; i++)
        assert_false(sonde_prof__live_may_hold(address_of(i)));
}

static void test_an_address_that_comes_again_is_the_new_block(void **state)
{
    sonde_prof__live e = entry_of(0x1000, 10, 1);

    (void)state;
    sonde_prof__live_open(1000);
    assert_true(sonde_prof__live_put(&e));
    e = entry_of(0x1000, 20, 2);
    assert_true(sonde_prof__live_put(&e));
    assert_int_equal(sonde_prof__live_len(), 1);
    assert_false(sonde_prof__live_resolve(0x1000, 1, 7)); /* the sample of the old one */
    assert_true(sonde_prof__live_resolve(0x1000, 2, 8));
    assert_true(sonde_prof__live_take(0x1000, &e));
    assert_int_equal(e.bytes, 20);
    assert_int_equal(e.node, 8);
}

static void test_a_full_table_refuses_and_counts(void **state)
{
    uint64_t before = sonde_prof__live_full();
    uint32_t i, taken = 0;

    (void)state;
    sonde_prof__live_open(SONDE_PROF__LIVE_SHARDS * 64);
    for (i = 0; i < 20000; i++) {
        sonde_prof__live e = entry_of(address_of(i), 1, i);

        taken += sonde_prof__live_put(&e);
    }
    assert_int_equal(taken, SONDE_PROF__LIVE_SHARDS * 56); /* seven eighths of each shard */
    assert_int_equal(sonde_prof__live_full() - before, 20000 - taken);
    assert_int_equal(sonde_prof__live_len(), taken);
}

typedef struct seen {
    uint32_t n;
    uint64_t bytes;
} seen;

static void add(void *user, sonde_prof__live *entry)
{
    seen *s = user;

    s->n++;
    s->bytes += entry->bytes;
}

static seen look(void)
{
    seen s = { 0, 0 };

    sonde_prof__live_each(add, &s);
    return s;
}

static void test_a_snapshot_has_what_was_drained(void **state)
{
    sonde_prof__live e = entry_of(0x1000, 10, 1);

    (void)state;
    sonde_prof__live_open(1000);
    assert_true(sonde_prof__live_put(&e));
    assert_int_equal(look().n, 0);
    assert_true(sonde_prof__live_resolve(0x1000, 1, 5));
    assert_int_equal(look().n, 1);
}

static void region(uint64_t lo, uint64_t bytes, uint32_t serial)
{
    sonde_prof__live e = entry_of(lo, bytes, serial);

    assert_true(sonde_prof__live_map(&e));
    assert_true(sonde_prof__live_resolve(lo, serial, 1));
}

static void test_a_region_goes_in_parts(void **state)
{
    static const struct {
        const char *label;
        uint64_t lo, bytes;
        uint32_t n;
        uint64_t left;
    } rows[] = {
        { "behind it", 0x40000, 0x1000, 1, 0x20000 },
        { "before it", 0x8000, 0x8000, 1, 0x20000 },
        { "its head", 0x10000, 0x4000, 1, 0x1c000 },
        { "over its head", 0x8000, 0xc000, 1, 0x1c000 },
        { "its tail", 0x2c000, 0x4000, 1, 0x1c000 },
        { "over its tail", 0x2c000, 0x40000, 1, 0x1c000 },
        { "its middle", 0x18000, 0x8000, 2, 0x18000 },
        { "all of it", 0x10000, 0x20000, 0, 0 },
        { "more than it", 0, 0x100000, 0, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_prof__live_open(1000);
        assert_false(sonde_prof__live_has_regions());
        region(0x10000, 0x20000, 1);
        sonde_prof__live_unmap(rows[i].lo, rows[i].bytes);
        if (look().n != rows[i].n || look().bytes != rows[i].left)
            fail_msg("%s: %u left, %llu bytes", rows[i].label, look().n,
                     (unsigned long long)look().bytes);
        assert_int_equal(sonde_prof__live_has_regions(), rows[i].n > 0);
    }
}

static void test_a_region_moves(void **state)
{
    (void)state;
    sonde_prof__live_open(1000);
    region(0x10000, 0x20000, 1);
    sonde_prof__live_move(0x10000, 0x20000, 0x90000, 0x40000);
    assert_int_equal(look().bytes, 0x40000);
    sonde_prof__live_unmap(0x10000, 0x20000);
    assert_int_equal(look().n, 1);
    sonde_prof__live_unmap(0x90000, 0x40000);
    assert_int_equal(look().n, 0);
}

static void test_regions_have_a_ceiling(void **state)
{
    uint64_t before = sonde_prof__live_full();
    sonde_prof__live e;
    uint32_t i;

    (void)state;
    sonde_prof__live_open(1000);
    for (i = 0; i < SONDE_PROF__LIVE_REGIONS; i++) {
        e = entry_of(0x100000 * (i + 1ull), 0x20000, i);
        assert_true(sonde_prof__live_map(&e));
    }
    assert_false(sonde_prof__live_map(&e));
    assert_int_equal(sonde_prof__live_full() - before, 1);
    sonde_prof__live_open(1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_is_found_and_taken_once),
        cmocka_unit_test(test_an_address_that_comes_again_is_the_new_block),
        cmocka_unit_test(test_a_full_table_refuses_and_counts),
        cmocka_unit_test(test_a_snapshot_has_what_was_drained),
        cmocka_unit_test(test_a_region_goes_in_parts),
        cmocka_unit_test(test_a_region_moves),
        cmocka_unit_test(test_regions_have_a_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
