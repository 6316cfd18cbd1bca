/* Crowds: when slots run short, some threads stand for others, and sums stay what they are. */
#include "support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/src/arena.h"
#include "profiler/src/counts.h"
#include "profiler/src/heap.h"
#include "profiler/src/threads.h"

#include "fake_maps.h"

#define HALF (SONDE_PROF__SLOTS_MAX / 2)

static uint32_t reserved;

static int setup(void **state)
{
    (void)state;
    loaded_read(&fake_maps);
    sonde_prof__arena_limit((size_t)1 << 30);
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

/* Slots of nobody, as if threads had them. */
static void reserve_until(uint32_t len)
{
    for (; reserved < len; reserved++)
        assert_non_null(sonde_prof__slot_reserve());
}

typedef struct one {
    uint32_t tid;
    uint32_t weight; /* 0: it has no slot */
    int64_t value;
    uint32_t events;
} one;

/* What a sample of 10 in this thread counts. */
static void sample(one *o)
{
    sonde_prof__sample s = { .kind = SONDE_PROF__LOCK, .events = 1, .value = { 1, 10, 7, 7 } };

    if (!sonde_prof__sample_here(&s, NULL))
        return;
    o->value = s.value[1];
    o->events = s.events;
    assert_true(s.value[0] == o->events && s.value[2] == 7 && s.value[3] == 7);
    while (sonde_prof__ring_peek(&sonde_prof__self.slot->ring)) /* as the drainer does */
        sonde_prof__ring_pop(&sonde_prof__self.slot->ring);
}

static void *be_one(void *arg)
{
    one *o = arg;

    o->tid = (uint32_t)syscall(SYS_gettid);
    sonde_prof__thread_begin();
    o->weight = sonde_prof__self.slot ? atomic_load(&sonde_prof__self.slot->weight) : 0;
    assert_ptr_equal(sonde_prof__slot_mine(), sonde_prof__self.slot); /* also by a hook none */
    sample(o);
    sonde_prof__thread_end(0);
    return NULL;
}

static one next(void)
{
    pthread_t thread;
    one o = { 0 };

    assert_int_equal(pthread_create(&thread, NULL, be_one, &o), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return o;
}

typedef struct crowd {
    int64_t sampled, sum;
    uint64_t passed;
    uint32_t weight;
} crowd;

static crowd run_crowd(int len)
{
    uint64_t before = atomic_load(&sonde_prof__count.crowd_passed);
    crowd c = { 0 };

    for (; len > 0; len--) {
        one o = next();

        c.sampled += o.weight != 0;
        c.sum += o.value;
        if (o.weight == 0)
            continue;
        c.weight = o.weight;
        assert_int_equal(o.events, o.weight);
        assert_int_equal(o.value, 10 * (int64_t)o.weight);
    }
    c.passed = atomic_load(&sonde_prof__count.crowd_passed) - before;
    return c;
}

static void test_in_a_crowd_one_of_k_threads_counts_k_times(void **state)
{
    enum { N = 512 };
    static const struct {
        const char *label;
        uint32_t reserved;
        uint32_t k;
    } rows[] = {
        { "half of the slots", HALF - 2, 1 },
        { "more than half", HALF, 2 },
        { "three quarters", HALF / 2 * 3, 4 },
        { "seven eighths", HALF / 4 * 7, 8 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const double k = rows[i].k, p = 1 / k;
        crowd c;

        print_message("%s\n", rows[i].label);
        reserve_until(rows[i].reserved);
        c = run_crowd(N);
        assert_int_equal(c.weight, rows[i].k);
        assert_int_equal(c.sampled + (int64_t)c.passed, N);
        /* as if by chance: the sum is right within five deviations of that */
        assert_true((double)(c.sum - 10 * N) * (double)(c.sum - 10 * N) <=
                    25 * 100 * k * k * N * p * (1 - p));
    }
}

static sem_t begun, scanned;

static void *stay(void *arg)
{
    one *o = arg;

    sonde_prof__thread_begin();
    o->tid = (uint32_t)syscall(SYS_gettid);
    o->weight = sonde_prof__self.slot ? atomic_load(&sonde_prof__self.slot->weight) : 0;
    (void)sem_post(&begun);
    while (sem_wait(&scanned) != 0)
        ;
    if (sonde_prof__slot_mine())
        sample(o);
    sonde_prof__thread_end(0);
    return NULL;
}

static void test_when_the_crowd_has_gone_each_stands_for_itself(void **state)
{
    enum { N = 32 };
    pthread_t threads[N];
    one all[N];
    int i, passed = 0;

    (void)state;
    reserve_until(HALF);
    assert_int_equal(sem_init(&begun, 0, 0), 0);
    assert_int_equal(sem_init(&scanned, 0, 0), 0);
    for (i = 0; i < N; i++) {
        all[i] = (one){ 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, stay, &all[i]), 0);
        while (sem_wait(&begun) != 0)
            ;
        passed += all[i].weight == 0;
    }
    assert_true(passed > 0 && passed < N);
    sonde_prof__threads_scan(); /* there are few threads, whatever the table says */
    for (i = 0; i < N; i++)
        (void)sem_post(&scanned);
    for (i = 0; i < N; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(all[i].value, 10);
        assert_int_equal(all[i].events, 1);
    }
}

/* If it stands for others. */
static void *fork_one(void *out_status)
{
    pid_t child;

    sonde_prof__thread_begin();
    if (!sonde_prof__self.slot || atomic_load(&sonde_prof__self.slot->weight) == 1)
        return NULL;
    sonde_prof__threads_prefork();
    child = fork();
    if (child == 0) {
        one o = { 0 };

        sonde_prof__threads_postfork_child();
        if (sonde_prof__slot_mine())
            sample(&o);
        _exit(o.value == 10 ? 0 : 1);
    }
    sonde_prof__threads_postfork_parent();
    (void)waitpid(child, out_status, 0);
    sonde_prof__thread_end(0);
    return NULL;
}

static void test_a_child_of_a_thread_of_a_crowd_stands_for_itself(void **state)
{
    int i, status = -1;
    pthread_t thread;

    (void)state;
    reserve_until(HALF);
    for (i = 0; i < 1000 && status == -1; i++) {
        assert_int_equal(pthread_create(&thread, NULL, fork_one, &status), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(status, 0);
}

static void test_threads_that_find_the_table_full_are_counted(void **state)
{
    uint64_t before = atomic_load(&sonde_prof__count.slots_full);
    int i;

    (void)state;
    while (sonde_prof__slot_reserve())
        ;
    for (i = 0; i < 10000 && atomic_load(&sonde_prof__count.slots_full) == before; i++)
        assert_int_equal(next().weight, 0); /* most are passed: one in 64 would have a slot */
    assert_int_equal(atomic_load(&sonde_prof__count.slots_full), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_a_crowd_one_of_k_threads_counts_k_times),
        cmocka_unit_test(test_when_the_crowd_has_gone_each_stands_for_itself),
        cmocka_unit_test(test_a_child_of_a_thread_of_a_crowd_stands_for_itself),
        cmocka_unit_test(test_threads_that_find_the_table_full_are_counted),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
