/* Samples through a ring: in order, whole, and what does not fit is counted. */
#include "support/test.h"

#include <pthread.h>
#include <string.h>

#include "profiler/src/ring.h"

#define BYTES 8192u

static _Alignas(64) uint8_t memory[BYTES];
static uint64_t frames[512];

static void begin(sonde_prof__ring *r)
{
    memset(r, 0, sizeof(*r));
    r->data = memory;
    r->size = BYTES;
}

static bool put(sonde_prof__ring *r, uint32_t tid, uint16_t depth)
{
    sonde_prof__sample s = { .kind = SONDE_PROF__CPU, .tid = tid, .depth = depth, .events = 2 };

    s.value[0] = 100;
    return sonde_prof__ring_put(r, &s, frames);
}

static void test_samples_come_out_as_they_went_in(void **state)
{
    const sonde_prof__sample *s;
    sonde_prof__ring r;
    uint32_t i;

    (void)state;
    begin(&r);
    assert_null(sonde_prof__ring_peek(&r));
    for (i = 0; i < 10000; i++) {
        uint16_t depth = (uint16_t)(i * 37 % 300);

        frames[0] = i;
        frames[depth ? depth - 1 : 0] = i;
        assert_true(put(&r, i, depth));
        s = sonde_prof__ring_peek(&r);
        assert_non_null(s);
        assert_int_equal(s->tid, i);
        assert_int_equal(s->depth, depth);
        assert_int_equal(s->value[0], 100);
        if (depth)
            assert_true(s->frames[depth - 1] == i);
        assert_true((const uint8_t *)s >= memory &&
                    (const uint8_t *)s + s->bytes <= memory + BYTES);
        sonde_prof__ring_pop(&r);
        assert_null(sonde_prof__ring_peek(&r));
    }
}

static void test_a_full_ring_counts_what_it_loses(void **state)
{
    sonde_prof__ring r;
    uint32_t in = 0, out = 0;

    (void)state;
    begin(&r);
    while (put(&r, in, 100))
        in++;
    assert_true(in >= 8);
    assert_true(sonde_prof__ring_is_filling(&r));
    assert_false(put(&r, 0, 100));
    assert_int_equal(r.lost[SONDE_PROF__CPU], 4);
    assert_int_equal(r.lost_value[SONDE_PROF__CPU], 200);
    for (; sonde_prof__ring_peek(&r); sonde_prof__ring_pop(&r))
        assert_int_equal(sonde_prof__ring_peek(&r)->tid, out++);
    assert_int_equal(out, in);
    assert_false(sonde_prof__ring_is_filling(&r));
    assert_true(put(&r, 0, 100));
}

static void test_without_memory_everything_is_lost(void **state)
{
    sonde_prof__ring r = { .data = NULL };
    sonde_prof__sample s = { .kind = SONDE_PROF__LOCK, .events = 1 };

    (void)state;
    s.value[0] = 3;
    s.value[1] = 5000;
    assert_false(sonde_prof__ring_put(&r, &s, frames));
    assert_int_equal(r.lost[SONDE_PROF__LOCK], 1);
    assert_int_equal(r.lost_value[SONDE_PROF__LOCK], 5000);
    assert_null(sonde_prof__ring_peek(&r));
}

static sonde_prof__ring shared;

static void *produce(void *arg)
{
    uint32_t i;

    (void)arg;
    for (i = 0; i < 200000;)
        if (put(&shared, i, (uint16_t)(i % 20)))
            i++;
    return NULL;
}

static void test_two_threads_see_the_same_samples(void **state)
{
    const sonde_prof__sample *s;
    pthread_t producer;
    uint32_t want = 0;

    (void)state;
    begin(&shared);
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    while (want < 200000) {
        s = sonde_prof__ring_peek(&shared);
        if (!s)
            continue;
        if (s->tid != want || s->depth != want % 20)
            fail_msg("sample %u came as %u", want, s->tid);
        want++;
        sonde_prof__ring_pop(&shared);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_come_out_as_they_went_in),
        cmocka_unit_test(test_a_full_ring_counts_what_it_loses),
        cmocka_unit_test(test_without_memory_everything_is_lost),
        cmocka_unit_test(test_two_threads_see_the_same_samples),
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
