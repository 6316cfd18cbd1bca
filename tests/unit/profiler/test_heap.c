/* Allocations: which are sampled, what a sample says, what lives on. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "profiler/src/counts.h"
#include "profiler/src/heap.h"
#include "profiler/src/poisson.h"
#include "profiler/src/profiler.h"
#include "profiler/src/threads.h"

#include "fake_maps.h"

#define MEAN 65536u

/* never: in place of profiler.c, which would bring all samplers */
_Atomic bool sonde_prof__child_waits;

void sonde_prof__resume_slow(void)
{
}

static int setup(void **state)
{
    (void)state;
    loaded_read(&fake_maps);
    assert_int_equal(sonde_prof__threads_start(), SONDE_OK);
    assert_non_null(sonde_prof__slot_mine());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sonde_prof__threads_stop();
    loaded_free(&fake_maps);
    return 0;
}

static void start(bool live)
{
    const sonde_prof__heap_settings settings = { .live = live,
                                                 .mean_bytes = MEAN,
                                                 .live_max = 262144 };

    sonde_prof__heap_start(&settings);
    sonde_prof__self.rng = 88172645463325252u; /* the same luck each time */
    sonde_prof__self.heap_mean = 0;
    sonde_prof__self.heap_credit = 0;
}

typedef struct sums {
    uint32_t records;
    double objects;
    double bytes;
    uint32_t from_here;
    int64_t value[4]; /* of the last */
    uint32_t events;
} sums;

/* As the drainer would, giving every stack the node 9. */
static void drain(sums *t, const void *caller)
{
    sonde_prof__ring *r = &sonde_prof__self.slot->ring;
    const sonde_prof__sample *s;

    for (; (s = sonde_prof__ring_peek(r)) != NULL; sonde_prof__ring_pop(r)) {
        assert_int_equal(s->kind, SONDE_PROF__ALLOC);
        t->records++;
        t->objects += (double)s->value[0] / 256;
        t->bytes += (double)s->value[1];
        t->from_here += s->depth > 0 && s->frames[0] + 1 == (uint64_t)(uintptr_t)caller;
        memcpy(t->value, s->value, sizeof(t->value));
        t->events = s->events;
        (void)sonde_prof__heap_resolve((uint64_t)s->value[2], (uint32_t)s->value[3], 9);
    }
}

/* A hook of malloc()'s shape. */
static __attribute__((noinline)) const void *hook(uint64_t address, size_t bytes)
{
    const void *caller = __builtin_return_address(0);

    if (sonde_prof__heap_looks())
        sonde_prof__heap_allocated((void *)(uintptr_t)address, bytes, caller);
    return caller;
}

static void test_sums_of_samples_are_those_of_the_program(void **state)
{
    enum { N = 200000 };
    static const size_t sizes[] = { 24, 100, 4000, 0, 1000000 };
    double objects = 0, bytes = 0, var_objects = 0, var_bytes = 0;
    const void *caller = NULL;
    sums t = { 0 };
    uint32_t i;

    (void)state;
    start(false);
    for (i = 0; i < N; i++) {
        size_t size = i % 400 == 399 ? sizes[4] : sizes[i % 4];
        double s = size ? (double)size : 1, x = exp(-s / MEAN) / -expm1(-s / MEAN);

        caller = hook(0x1000 + i * 64, size);
        objects += 1;
        bytes += s;
        var_objects += x;
        var_bytes += s * s * x;
        if (i % 16 == 0)
            drain(&t, caller);
    }
    drain(&t, caller);
    assert_int_equal(sonde_prof__self.slot->ring.lost[SONDE_PROF__ALLOC], 0);
    assert_int_equal(t.records, t.from_here);
    assert_true(t.records > 1000);
    assert_true(fabs(t.objects - objects) < 5 * sqrt(var_objects));
    assert_true(fabs(t.bytes - bytes) < 5 * sqrt(var_bytes));
    sonde_prof__heap_stop();
}

static void test_large_blocks_are_all_there_and_weigh_themselves(void **state)
{
    sums t = { 0 };

    (void)state;
    start(false);
    (void)hook(0x5000, (size_t)64 << 20);
    drain(&t, NULL);
    assert_int_equal(t.records, 1);
    assert_int_equal(t.value[0], 256); /* one object */
    assert_int_equal(t.value[1], 64 << 20);
    assert_int_equal(t.value[2], 0x5000);
    assert_int_equal(t.events, 1);
    sonde_prof__heap_stop();
}

static void test_nothing_is_looked_at_while_off_inside_or_gone(void **state)
{
    sums t = { 0 };

    (void)state;
    start(false);
    sonde_prof__heap_stop();
    (void)hook(0x5000, (size_t)64 << 20);
    start(false);
    sonde_prof__self.depth++;
    (void)hook(0x5000, (size_t)64 << 20);
    sonde_prof__self.depth--;
    sonde_prof__self.gone = 1;
    (void)hook(0x5000, (size_t)64 << 20);
    sonde_prof__self.gone = 0;
    drain(&t, NULL);
    assert_int_equal(t.records, 0);
    sonde_prof__heap_stop();
}

/* The weight is that of the interval the credit was drawn with, not of the one in force. */
static void test_an_interval_that_changes_biases_nothing(void **state)
{
    double want = sonde_prof__poisson_weight(1000, MEAN);
    sums t = { 0 };
    uint32_t i;

    (void)state;
    start(false);
    (void)hook(0x1000, 1); /* draws */
    drain(&t, NULL);
    sonde_prof__heap_set_mean(16 * MEAN);
    for (i = 0; t.records == 0; i++) {
        (void)hook(0x2000, 1000);
        drain(&t, NULL);
    }
    assert_int_equal(t.value[0], (int64_t)(want * 256 + 0.5));
    assert_int_equal(sonde_prof__self.heap_mean, 16 * MEAN / 1024);
    assert_int_equal(sonde_prof__heap_mean(), 16 * MEAN);
    sonde_prof__heap_set_mean(1);
    assert_int_equal(sonde_prof__heap_mean(), SONDE_PROF__HEAP_MEAN_BYTES_MIN);
    sonde_prof__heap_stop();
    assert_int_equal(sonde_prof__heap_mean(), 0);
}

static void count(void *user, sonde_prof__live *entry)
{
    assert_int_equal(entry->node, 9);
    (*(uint32_t *)user)++;
}

static uint32_t living(void)
{
    uint32_t n = 0;

    sonde_prof__live_each(count, &n);
    return n;
}

static void test_what_is_freed_does_not_live(void **state)
{
    sums t = { 0 };
    uint32_t i;

    (void)state;
    start(true);
    for (i = 0; i < 1000; i++) {
        (void)hook(0x100000 + i * 64ull, MEAN);
        drain(&t, NULL);
    }
    assert_true(t.records > 500);
    assert_int_equal(living(), t.records);
    for (i = 0; i < 1000; i++)
        sonde_prof__heap_freed((void *)(uintptr_t)(0x100000 + i * 64ull));
    assert_int_equal(living(), 0);
    assert_int_equal(sonde_prof__live_len(), 0);
    sonde_prof__heap_freed(NULL);
    sonde_prof__heap_stop();
}

/* A sample that found no room in the ring has no stack: what it allocated is not shown as living either. */
static void test_a_lost_sample_leaves_nothing_behind(void **state)
{
    sonde_prof__ring *r = &sonde_prof__self.slot->ring;
    uint32_t i, before = r->lost[SONDE_PROF__ALLOC];
    sums t = { 0 };

    (void)state;
    start(true);
    for (i = 0; i < 2000; i++)
        (void)hook(0x100000 + i * 64ull, 100 * MEAN);
    drain(&t, NULL);
    assert_true(r->lost[SONDE_PROF__ALLOC] > before);
    assert_int_equal(t.records + r->lost[SONDE_PROF__ALLOC] - before, 2000);
    assert_int_equal(sonde_prof__live_len(), t.records);
    assert_int_equal(living(), t.records);
    sonde_prof__heap_stop();
}

/* A thread that found the table of threads full has no ring: what it would have said is counted. */
static void test_a_thread_without_a_slot_is_counted(void **state)
{
    sonde_prof__slot *mine = sonde_prof__self.slot;
    uint64_t before = atomic_load(&sonde_prof__count.heap_no_slot);
    sums t = { 0 };

    (void)state;
    start(true);
    sonde_prof__threads_stop();
    sonde_prof__self.slot = NULL;
    (void)hook(0x5000, (size_t)64 << 20);
    sonde_prof__self.slot = mine;
    assert_int_equal(sonde_prof__threads_start(), SONDE_OK);
    drain(&t, NULL);
    assert_int_equal(t.records, 0);
    assert_int_equal(atomic_load(&sonde_prof__count.heap_no_slot), before + 1);
    assert_int_equal(sonde_prof__live_len(), 0);
    sonde_prof__heap_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_of_samples_are_those_of_the_program),
        cmocka_unit_test(test_large_blocks_are_all_there_and_weigh_themselves),
        cmocka_unit_test(test_nothing_is_looked_at_while_off_inside_or_gone),
        cmocka_unit_test(test_an_interval_that_changes_biases_nothing),
        cmocka_unit_test(test_what_is_freed_does_not_live),
        cmocka_unit_test(test_a_lost_sample_leaves_nothing_behind),
        cmocka_unit_test(test_a_thread_without_a_slot_is_counted),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
