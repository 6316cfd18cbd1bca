/* Who lets go of a lock leaves its stack with who waited for it: when that is due, once, and never with another. */
#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler/src/counts.h"
#include "profiler/src/threads.h"
#include "profiler/src/waits.h"

#include "fake_maps.h"

#define LATER UINT64_C(1000000000000000000) /* of the clock */

static uint8_t locks[65536]; /* as addresses */

static int setup(void **state)
{
    const sonde_prof__wait_settings settings = { .locks = SONDE_PROF__MUTEXES };

    (void)state;
    loaded_read(&fake_maps);
    assert_int_equal(sonde_prof__threads_start(), SONDE_OK);
    assert_non_null(sonde_prof__slot_mine());
    sonde_prof__waits_start(&settings);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sonde_prof__waits_stop();
    sonde_prof__threads_stop();
    loaded_free(&fake_maps);
    return 0;
}

static sonde_prof__slot *slots_new(size_t len)
{
    return calloc(len, sizeof(sonde_prof__slot));
}

/* Another lock that looks the same to those who let go. */
static void *same_hash(const void *lock)
{
    size_t i;

    for (i = 0; i < sizeof(locks); i += 4)
        if (&locks[i] != lock && sonde_prof__lock_hash(&locks[i]) == sonde_prof__lock_hash(lock))
            return &locks[i];
    fail();
    return NULL;
}

static bool nobody_waits(void)
{
    uint32_t i, n = 0;

    for (i = 0; i < SONDE_PROF__WAITERS_MAX; i++)
        n += atomic_load(&sonde_prof__waiting[i]);
    for (i = 0; i < SONDE_PROF__RELEASES_MAX; i++)
        n += atomic_load(&atomic_load(&sonde_prof__releases)[i].refs);
    return n == 0;
}

static __attribute__((noinline)) void let_go(const void *lock, bool all)
{
    sonde_prof__released(lock, all, NULL);
    __asm__ volatile("");
}

static void test_a_wait_that_is_due_gets_the_stack_of_who_lets_go(void **state)
{
    static const struct {
        const char *label;
        uint64_t due_ns;
        bool other_lock;
        bool gets;
    } rows[] = {
        { "due", 1, false, true },
        { "not due for long", LATER, false, false },
        { "another lock of the same hash", 1, true, false },
    };
    sonde_prof__slot *mine = sonde_prof__self.slot;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_prof__waiter w = sonde_prof__waiter_add(mine, &locks[64], rows[i].due_ns);
        sonde_prof__release *r;

        print_message("%s\n", rows[i].label);
        assert_true(sonde_prof__is_waited_for(&locks[64]));
        let_go(rows[i].other_lock ? same_hash(&locks[64]) : &locks[64], true);
        r = sonde_prof__waiter_remove(mine, w);
        assert_int_equal(r != NULL, rows[i].gets);
        if (r) {
            assert_int_equal(r->tid, syscall(SYS_gettid));
            assert_true(r->depth > 1);
            assert_int_equal(atomic_load(&r->refs), 1);
        }
        sonde_prof__release_put(r);
        assert_null(sonde_prof__waiter_remove(mine, w)); /* it is over */
        assert_true(nobody_waits());
    }
}

static void test_the_first_to_let_go_is_the_one(void **state)
{
    sonde_prof__slot *mine = sonde_prof__self.slot;
    sonde_prof__waiter w = sonde_prof__waiter_add(mine, &locks[64], 1);
    sonde_prof__release *r;
    uint64_t first;

    (void)state;
    let_go(&locks[64], true);
    first = atomic_load(&sonde_prof__releases)[0].frames[0];
    sonde_prof__released(&locks[64], true, NULL); /* elsewhere */
    r = sonde_prof__waiter_remove(mine, w);
    assert_ptr_equal(r, atomic_load(&sonde_prof__releases));
    assert_true(r->frames[0] == first);
    sonde_prof__release_put(r);
    assert_true(nobody_waits());
}

static void test_all_who_wait_get_it_or_the_one_that_is_due_longest(void **state)
{
    sonde_prof__slot *slots = slots_new(3);
    sonde_prof__waiter w[3];
    sonde_prof__release *r[3];
    int i, all;

    (void)state;
    for (all = 0; all < 2; all++) {
        for (i = 0; i < 3; i++)
            w[i] = sonde_prof__waiter_add(&slots[i], &locks[64], i == 1 ? 1 : 2);
        let_go(&locks[64], all == 1);
        for (i = 0; i < 3; i++)
            r[i] = sonde_prof__waiter_remove(&slots[i], w[i]);
        assert_non_null(r[1]);
        assert_ptr_equal(r[0], all ? r[1] : NULL);
        assert_ptr_equal(r[2], all ? r[1] : NULL);
        for (i = 0; i < 3; i++)
            sonde_prof__release_put(r[i]);
        assert_true(nobody_waits());
    }
    free(slots);
}

static void test_who_finds_the_table_full_waits_unseen(void **state)
{
    enum { N = SONDE_PROF__WAITERS_PROBES };
    sonde_prof__slot *slots = slots_new(N + 1);
    uint64_t before = atomic_load(&sonde_prof__count.waiters_full);
    sonde_prof__waiter w[N + 1];
    int i;

    (void)state;
    for (i = 0; i <= N; i++)
        w[i] = sonde_prof__waiter_add(&slots[i], &locks[64], LATER);
    assert_int_equal(w[N].place, 0);
    assert_int_equal(atomic_load(&sonde_prof__count.waiters_full), before + 1);
    assert_null(sonde_prof__waiter_remove(&slots[N], w[N]));
    assert_null(sonde_prof__waiter_remove(&slots[0], w[0]));
    w[N] = sonde_prof__waiter_add(&slots[N], &locks[64], LATER); /* there is room again */
    assert_int_equal(w[N].place, w[0].place);
    assert_int_not_equal(w[N].state, w[0].state);
    for (i = 1; i <= N; i++)
        sonde_prof__waiter_forget(&slots[i]);
    assert_true(nobody_waits());
    free(slots);
}

static void test_stacks_that_find_no_room_are_counted(void **state)
{
    enum { N = SONDE_PROF__RELEASES_MAX };
    sonde_prof__slot *slots = slots_new(N + 1);
    uint64_t before = atomic_load(&sonde_prof__count.releases_full);
    sonde_prof__waiter w[N + 1];
    int i;

    (void)state;
    for (i = 0; i <= N; i++) {
        w[i] = sonde_prof__waiter_add(&slots[i], &locks[i * 4], 1);
        let_go(&locks[i * 4], true);
    }
    assert_int_equal(atomic_load(&sonde_prof__count.releases_full), before + 1);
    assert_null(sonde_prof__waiter_remove(&slots[N], w[N]));
    for (i = 0; i < N; i++) {
        sonde_prof__release *r = sonde_prof__waiter_remove(&slots[i], w[i]);

        assert_non_null(r);
        sonde_prof__release_put(r);
    }
    assert_true(nobody_waits());
    free(slots);
}

static void test_a_thread_that_ends_in_the_middle_waits_no_more(void **state)
{
    sonde_prof__slot *mine = sonde_prof__self.slot;
    sonde_prof__waiter first = sonde_prof__waiter_add(mine, &locks[64], 1), second;

    (void)state;
    second = sonde_prof__waiter_add(mine, &locks[128], 1); /* out of a handler, by longjmp() */
    assert_false(sonde_prof__is_waited_for(&locks[64]));
    let_go(&locks[128], true);
    assert_null(sonde_prof__waiter_remove(mine, first));
    sonde_prof__waiter_forget(mine);
    assert_null(sonde_prof__waiter_remove(mine, second));
    assert_true(nobody_waits());
}

static void test_nobody_waits_in_a_forked_child(void **state)
{
    sonde_prof__slot *mine = sonde_prof__self.slot;
    sonde_prof__waiter w = sonde_prof__waiter_add(mine, &locks[64], 1);
    int status = 1;
    pid_t child;

    (void)state;
    let_go(&locks[64], true);
    child = fork();
    if (child == 0) {
        sonde_prof__threads_postfork_child();
        if (!nobody_waits() || sonde_prof__waiter_remove(mine, w))
            _exit(1);
        w = sonde_prof__waiter_add(mine, &locks[64], 1);
        let_go(&locks[64], true);
        _exit(sonde_prof__waiter_remove(mine, w) ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sonde_prof__waiter_forget(mine);
    assert_true(nobody_waits());
}

/* -- all at once ------------------------------------------------------------------------------------- */

#define STORM_LOCKS  4
#define STORM_ROUNDS 20000

static _Atomic uint64_t given;

/* Waits for one of few locks and lets go of another, of the same hash or not. */
static void *storm(void *seed)
{
    sonde_prof__slot *mine = sonde_prof__slot_mine();
    uint64_t random = (uint64_t)(uintptr_t)seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    int i;

    for (i = 0; mine && i < STORM_ROUNDS; i++) {
        const void *lock, *other;
        sonde_prof__waiter w;
        sonde_prof__release *r;

        random = random * UINT64_C(6364136223846793005) + 1;
        lock = &locks[(random >> 33) % STORM_LOCKS * 4];
        other = &locks[(random >> 40) % STORM_LOCKS * 4];
        w = sonde_prof__waiter_add(mine, lock, random >> 50 & 1 ? 1 : LATER);
        sonde_prof__released(other, random >> 51 & 1, NULL);
        r = sonde_prof__waiter_remove(mine, w);
        if (r && r->depth > 0 && r->frames[0] != 0 && r->frames[r->depth - 1] != 0)
            atomic_fetch_add(&given, 1);
        sonde_prof__release_put(r);
    }
    sonde_prof__thread_end(0);
    return NULL;
}

static void test_a_storm_leaves_nothing_behind(void **state)
{
    pthread_t threads[4];
    uintptr_t i;

    (void)state;
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm, (void *)(i + 1)), 0);
    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(atomic_load(&given) > 0);
    assert_true(nobody_waits());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wait_that_is_due_gets_the_stack_of_who_lets_go),
        cmocka_unit_test(test_the_first_to_let_go_is_the_one),
        cmocka_unit_test(test_all_who_wait_get_it_or_the_one_that_is_due_longest),
        cmocka_unit_test(test_who_finds_the_table_full_waits_unseen),
        cmocka_unit_test(test_stacks_that_find_no_room_are_counted),
        cmocka_unit_test(test_a_thread_that_ends_in_the_middle_waits_no_more),
        cmocka_unit_test(test_nobody_waits_in_a_forked_child),
        cmocka_unit_test(test_a_storm_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
