/* Waits: which are sampled, what a sample says, how the interval follows their number. */
#include "support/test.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler/src/poisson.h"
#include "profiler/src/threads.h"
#include "profiler/src/waits.h"

#include "fake_maps.h"

#define MEAN_NS 1000000u

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

static void start(void)
{
    const sonde_prof__wait_settings settings = { .locks = SONDE_PROF__LOCKS_AS_USUAL,
                                                 .io = true,
                                                 .exception = true };

    sonde_prof__waits_start(&settings);
    sonde_prof__self.rng = 88172645463325252u; /* the same luck each time */
    sonde_prof__self.lock_mean = sonde_prof__self.io_mean = 0;
}

typedef struct sums {
    uint32_t records;
    double value[2];
    int64_t last[4];
    uint8_t kind;
    uint32_t releases; /* of these: their sums must be the same */
    double released[2];
} sums;

static void drain(sums *t)
{
    sonde_prof__ring *r = &sonde_prof__self.slot->ring;
    const sonde_prof__sample *s;

    for (; (s = sonde_prof__ring_peek(r)) != NULL; sonde_prof__ring_pop(r)) {
        if (s->kind == SONDE_PROF__RELEASE) {
            t->releases++;
            t->released[0] += (double)s->value[0];
            t->released[1] += (double)s->value[1];
            assert_true(s->value[2] == t->last[2] && s->value[3] == t->last[3]);
            continue;
        }
        t->records++;
        t->value[0] += (double)s->value[0];
        t->value[1] += (double)s->value[1];
        t->kind = s->kind;
        memcpy(t->last, s->value, sizeof(t->last));
    }
}

static void test_sums_of_samples_are_those_of_the_waits(void **state)
{
    enum { N = 100000 };
    static const uint64_t waits[] = { 500, 20000, 900000, 0, 7000000 };
    double n = 0, ns = 0, var_n = 0, var_ns = 0;
    sums t = { 0 };
    int i, lock;

    (void)state;
    start();
    for (i = 0; i < N; i++) {
        uint64_t w = i % 50 == 49 ? waits[4] : waits[i % 4];
        double s = w ? (double)w : 1, x = exp(-s / MEAN_NS) / -expm1(-s / MEAN_NS);

        sonde_prof__lock_waited(&lock, SONDE_PROF__RWLOCK_WRITE, w, NULL, NULL);
        n++;
        ns += (double)w;
        var_n += x + 0.25; /* and what rounding adds */
        var_ns += s * s * x + 0.25;
        drain(&t);
    }
    assert_int_equal(t.kind, SONDE_PROF__LOCK);
    assert_true(t.last[2] == (int64_t)(uintptr_t)&lock);
    assert_int_equal(t.last[3], SONDE_PROF__RWLOCK_WRITE);
    assert_true(t.records > 10000);
    assert_int_equal(t.releases, t.records);
    assert_true(t.released[0] == t.value[0] && t.released[1] == t.value[1]);
    assert_true(fabs(t.value[0] - n) < 5 * sqrt(var_n));
    assert_true(fabs(t.value[1] - ns) < 5 * sqrt(var_ns));
    sonde_prof__waits_stop();
}

static void test_calls_of_io_say_what_they_were_on(void **state)
{
    const uint64_t second = SONDE_NS_PER_S;
    int sockets[2];
    sums t = { 0 };

    (void)state;
    start();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    errno = 5;
    sonde_prof__io_waited(sockets[0], SONDE_PROF__IO_WRITE, second, 4096, NULL);
    assert_int_equal(errno, 5);
    drain(&t);
    assert_int_equal(t.kind, SONDE_PROF__IO);
    assert_int_equal(t.last[0], 1);
    assert_int_equal(t.last[1], second);
    assert_int_equal(t.last[2], 4096);
    assert_int_equal(t.last[3], SONDE_PROF__IO_WRITE | SONDE_PROF__IO_SOCKET << 8);
    sonde_prof__io_waited(-1, SONDE_PROF__IO_READ, second, 0, NULL);
    assert_int_equal(errno, 5);
    drain(&t);
    assert_int_equal(t.last[3], SONDE_PROF__IO_READ | SONDE_PROF__IO_UNKNOWN << 8);
    (void)close(sockets[0]);
    (void)close(sockets[1]);
    sonde_prof__waits_stop();
}

static void test_one_throw_in_a_hundred_is_sampled(void **state)
{
    enum { N = 100000 };
    sums t = { 0 };
    int i;

    (void)state;
    start();
    for (i = 0; i < N; i++) {
        sonde_prof__threw("St13runtime_error", NULL);
        drain(&t);
    }
    assert_int_equal(t.kind, SONDE_PROF__EXCEPTION);
    assert_string_equal((const char *)(uintptr_t)t.last[1], "St13runtime_error");
    assert_true(fabs(t.value[0] - N) < 5 * 100 * sqrt(N * 0.01 * 0.99));
    sonde_prof__waits_stop();
}

static void test_many_samples_make_the_interval_longer_and_few_bring_it_back(void **state)
{
    uint64_t now = 1000 * (uint64_t)SONDE_NS_PER_S;
    sums t = { 0 };
    int second, i, lock;

    (void)state;
    start();
    assert_int_equal(sonde_prof__lock_mean(), MEAN_NS);
    sonde_prof__waits_tick(now);
    for (second = 0; second < 20; second++) {
        for (i = 0; i < 10000; i++) { /* ten seconds of waiting each */
            sonde_prof__lock_waited(&lock, SONDE_PROF__MUTEX, MEAN_NS, NULL, NULL);
            drain(&t);
        }
        now += SONDE_NS_PER_S;
        sonde_prof__waits_tick(now);
    }
    assert_true(sonde_prof__lock_mean() >= 64 * MEAN_NS &&
                sonde_prof__lock_mean() <= 512 * MEAN_NS);
    assert_int_equal(sonde_prof__io_mean(), MEAN_NS);
    for (second = 0; second < 10; second++) {
        now += SONDE_NS_PER_S;
        sonde_prof__waits_tick(now);
    }
    assert_int_equal(sonde_prof__lock_mean(), MEAN_NS);
    sonde_prof__waits_stop();
    assert_int_equal(sonde_prof__lock_mean(), 0);
}

/* Memory is short, and is not any more: other intervals, the same sums. */
static void test_a_step_makes_all_rarer_and_changes_no_sum(void **state)
{
    enum { N = 64000 };
    uint64_t now = 1000 * (uint64_t)SONDE_NS_PER_S;
    double var = 0, throws_var = 0;
    sums t = { 0 }, throws = { 0 };
    int i, lock;

    (void)state;
    start();
    for (i = 0; i < N; i++) {
        if (i % 16000 == 0) {
            uint32_t step = i / 16000 % 2 ? 6 : 1;

            sonde_prof__waits_set_step(step);
            throws_var += 16000.0 * (SONDE_PROF__THROWS_PER_SAMPLE << step);
            now += SONDE_NS_PER_S;
            sonde_prof__waits_tick(now); /* no I/O: half the interval, but not below the least */
            assert_int_equal(sonde_prof__io_mean(), (uint64_t)MEAN_NS << (step == 6 ? 6
                                                                          : i == 0  ? 1
                                                                                    : 5));
        }
        sonde_prof__lock_waited(&lock, SONDE_PROF__MUTEX, MEAN_NS, NULL, NULL);
        var += 64.0 * MEAN_NS * MEAN_NS; /* at most */
        drain(&t);
        sonde_prof__threw("", NULL);
        drain(&throws);
    }
    assert_true(fabs(t.value[1] - (double)N * MEAN_NS) < 5 * sqrt(var));
    assert_true(fabs(throws.value[0] - N) < 5 * sqrt(throws_var));
    sonde_prof__waits_set_step(30);
    assert_int_equal(sonde_prof__io_mean(), SONDE_PROF__WAIT_MEAN_NS_MAX);
    sonde_prof__waits_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_of_samples_are_those_of_the_waits),
        cmocka_unit_test(test_calls_of_io_say_what_they_were_on),
        cmocka_unit_test(test_one_throw_in_a_hundred_is_sampled),
        cmocka_unit_test(test_a_step_makes_all_rarer_and_changes_no_sum),
        cmocka_unit_test(test_many_samples_make_the_interval_longer_and_few_bring_it_back),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
