/* Perf events: what the kernel writes into a ring is read, the sums are those of the CPU clock, and what ends an event ends it. */
#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler/src/counts.h"
#include "profiler/src/cpu_timer.h"
#include "profiler/src/events.h"
#include "profiler/src/sampler.h"
#include "profiler/src/samplers.h"
#include "profiler/src/threads.h"

/* -- rings ------------------------------------------------------------------------------------------ */

#define DATA_BYTES 512u

typedef struct fake_ring {
    struct perf_event_mmap_page page;
    uint64_t data[DATA_BYTES / 8];
} fake_ring;

static fake_ring ring;

static void empty_ring(uint64_t at)
{
    memset(&ring, 0, sizeof(ring));
    ring.page.data_offset = offsetof(fake_ring, data);
    ring.page.data_size = DATA_BYTES;
    ring.page.data_head = ring.page.data_tail = at;
}

static void write_word(uint64_t word)
{
    ring.data[ring.page.data_head % DATA_BYTES / 8] = word;
    ring.page.data_head += 8;
}

static void write_head(uint32_t type, uint64_t bytes)
{
    write_word(type | bytes << 48);
}

static void write_sample(const uint64_t *chain, uint64_t len)
{
    uint64_t i;

    write_head(PERF_RECORD_SAMPLE, 16 + len * 8);
    write_word(len);
    for (i = 0; i < len; i++)
        write_word(chain[i]);
}

static const uint64_t mark = (uint64_t)PERF_CONTEXT_KERNEL;

static void test_frames_come_without_marks_and_end_where_they_should(void **state)
{
    const uint64_t chain[] = { mark, 0xffffffff81000010, 0xffffffff81000020, 0xffffffff81000030 };
    uint64_t room[8], at;

    (void)state;
    for (at = 0; at < 2 * DATA_BYTES; at += 8) { /* also across the end of the ring */
        empty_ring(at);
        assert_int_equal(sonde_prof__event_waiting(&ring), 0);
        write_sample(chain, 4);
        write_head(PERF_RECORD_LOST, 24);
        write_word(0);
        write_word(0);
        write_sample(chain, 0);
        write_sample(chain, 2);
        assert_int_equal(sonde_prof__event_waiting(&ring), 3);
        memset(room, 0, sizeof(room));
        assert_int_equal(sonde_prof__event_next(&ring, room + 8, 8), 3);
        assert_memory_equal(room + 5, chain + 1, 24);
        assert_int_equal(room[4], 0);
        assert_int_equal(sonde_prof__event_next(&ring, room + 8, 8), 0);
        assert_int_equal(sonde_prof__event_waiting(&ring), 1);
        assert_int_equal(sonde_prof__event_next(&ring, room + 8, 8), 1);
        assert_true(room[7] == chain[1]);
        assert_int_equal(sonde_prof__event_next(&ring, room + 8, 8), 0);
        assert_true(ring.page.data_tail == ring.page.data_head);
    }
}

static void test_a_deep_chain_is_cut_at_its_outer_end(void **state)
{
    uint64_t chain[40], room[4] = { 0 };
    uint32_t i;

    (void)state;
    for (i = 0; i < 40; i++)
        chain[i] = i == 0 ? mark : 0xffffffff81000000 + i;
    empty_ring(0);
    write_sample(chain, 40);
    assert_int_equal(sonde_prof__event_next(&ring, room + 4, 3), 3);
    assert_memory_equal(room + 1, chain + 1, 24);
    assert_int_equal(room[0], 0);
}

static void test_what_cannot_be_a_record_is_left_out(void **state)
{
    static const struct {
        const char *what;
        uint64_t first, second;
    } cases[] = {
        { "no length", PERF_RECORD_SAMPLE, 0 },
        { "longer than the ring holds", PERF_RECORD_SAMPLE | UINT64_C(64) << 48, 0 },
        { "of half a word", PERF_RECORD_SAMPLE | UINT64_C(12) << 48, 0 },
        { "with more frames than it has", PERF_RECORD_SAMPLE | UINT64_C(16) << 48, 7 },
        { "with very many frames", PERF_RECORD_SAMPLE | UINT64_C(16) << 48, UINT64_MAX },
        { "of its head alone", PERF_RECORD_SAMPLE | UINT64_C(8) << 48, 7 },
    };
    uint64_t room[4] = { 0 };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        empty_ring(0);
        write_word(cases[i].first);
        write_word(cases[i].second);
        (void)sonde_prof__event_waiting(&ring);
        if (sonde_prof__event_next(&ring, room + 4, 4) != 0)
            fail_msg("%s", cases[i].what);
    }
    empty_ring(0);
    ring.page.data_size = 0;
    ring.page.data_head = 64;
    assert_int_equal(sonde_prof__event_waiting(&ring), 0);
}

static void test_what_came_meanwhile_is_thrown_away(void **state)
{
    (void)state;
    empty_ring(64);
    write_sample(&mark, 1);
    write_sample(&mark, 1);
    sonde_prof__event_skip(&ring);
    assert_int_equal(sonde_prof__event_waiting(&ring), 0);
}

/* -- real ones -------------------------------------------------------------------------------------- */

#define PERIOD_NS (100 * (uint64_t)SONDE_NS_PER_US) /* 10 kHz */

static volatile uint64_t sink;

static __attribute__((noinline)) void burn_ms(uint64_t ms)
{
    uint64_t until = sonde_prof__thread_cpu_ns() + ms * SONDE_NS_PER_MS;
    int i;

    while (sonde_prof__thread_cpu_ns() < until)
        for (i = 0; i < 20000; i++)
            sink += (uint64_t)i;
}

typedef struct tally {
    uint64_t records, events, ns, with_kernel, lost;
} tally;

static tally drain(uint32_t tid)
{
    tally t = { 0, 0, 0, 0, 0 };
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__ring *r = &sonde_prof__slot_at(i)->ring;
        const sonde_prof__sample *s;

        for (; (s = sonde_prof__ring_peek(r)) != NULL; sonde_prof__ring_pop(r))
            if (s->kind == SONDE_PROF__CPU && (tid == 0 || s->tid == tid)) {
                t.records++;
                t.events += s->events;
                t.ns += (uint64_t)s->value[0];
                t.with_kernel += s->depth > 1 && SONDE_PROF__IS_KERNEL(s->frames[0]) &&
                                 !SONDE_PROF__IS_KERNEL(s->frames[s->depth - 1]);
            }
        t.lost += atomic_exchange(&r->lost_value[SONDE_PROF__CPU], 0);
    }
    return t;
}

static void add(tally *sum, tally t)
{
    sum->records += t.records;
    sum->events += t.events;
    sum->ns += t.ns;
    sum->with_kernel += t.with_kernel;
    sum->lost += t.lost;
}

static uint32_t my_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

static sonde_prof__slot *mine(void)
{
    return sonde_prof__slot_find(my_tid());
}

static void pause_ms(uint64_t ms)
{
    const struct timespec t = sonde_ns_to_timespec(ms * SONDE_NS_PER_MS);

    (void)nanosleep(&t, NULL);
}

/* Skips where the kernel refuses. */
static void start(void)
{
    const sonde_prof__sampler_settings settings = { .cpu = true,
                                                    .perf = true,
                                                    .cpu_period_ns = PERIOD_NS };

    assert_status(sonde_prof__samplers_start(&settings), SONDE_OK);
    if (sonde_prof__events_mode() == SONDE_PROF__PERF_NONE) {
        print_message("  perf_event_open is refused here\n");
        skip();
    }
}

static void await_event(const sonde_prof__slot *slot)
{
    while (atomic_load(&slot->event_on) == 0)
        pause_ms(1);
}

static int stop(void **state)
{
    (void)state;
    sonde_prof__samplers_stop();
    (void)drain(0);
    return 0;
}

static void test_ten_thousand_a_second_are_ten_thousand(void **state)
{
    tally sum = { 0, 0, 0, 0, 0 };
    uint64_t begin_ns, used_ns;
    int i;

    (void)state;
    start();
    await_event(mine());
    burn_ms(1); /* what the clock owed for the time before is told */
    (void)drain(0);
    begin_ns = sonde_prof__thread_cpu_ns();
    for (i = 0; i < 50; i++) {
        burn_ms(10);
        add(&sum, drain(my_tid()));
    }
    used_ns = sonde_prof__thread_cpu_ns() - begin_ns;
    assert_true(sum.ns == sum.events * PERIOD_NS);
    /* A signal late by a hypervisor's whim at either end; in between the clock counts. */
    assert_true(sum.ns + sum.lost <= used_ns + 100 * PERIOD_NS);
    assert_true(sum.ns + sum.lost + 100 * PERIOD_NS >= used_ns);
    assert_true(sum.records > sum.events / 4); /* timers would tell of 125 ticks of 4 ms */
}

/* The thread's slot with its event on and without a timer. */
static sonde_prof__slot *with_event_only(void)
{
    sonde_prof__slot *slot = mine();

    sonde_prof__self.slot = slot;
    await_event(slot);
    while (atomic_load(&slot->timer) >= 0) /* the one it had */
        pause_ms(1);
    burn_ms(1);
    (void)drain(0);
    return slot;
}

static uint64_t burn_200_ms(tally *sum)
{
    uint64_t begin_ns = sonde_prof__thread_cpu_ns();
    int i;

    for (i = 0; i < 20; i++) {
        burn_ms(10);
        add(sum, drain(my_tid()));
    }
    return sonde_prof__thread_cpu_ns() - begin_ns;
}

/* For a moment both are there; on a machine without time that moment is long. */
static void test_an_event_and_a_timer_tell_nothing_twice(void **state)
{
    tally sum = { 0, 0, 0, 0, 0 };
    sonde_prof__slot *slot;
    uint64_t used_ns;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it holds signals back and calls handlers itself */
#endif
    start();
    slot = with_event_only();
    assert_true(sonde_prof__timer_arm(slot, SIGPROF, PERIOD_NS));
    used_ns = burn_200_ms(&sum);
    sonde_prof__timer_disarm(slot);
    assert_true(sum.ns + sum.lost <= used_ns + 100 * PERIOD_NS);
    assert_true(sum.ns + sum.lost + 100 * PERIOD_NS >= used_ns);
}

/* A thread that begins where a scan has seen it before: the event of its slot's last turn is closed some time later. */
static void test_an_event_of_the_slots_last_turn_tells_nothing(void **state)
{
    tally sum = { 0, 0, 0, 0, 0 };
    sonde_prof__slot *slot;
    uint64_t used_ns = 0;
    int i;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it holds signals back and calls handlers itself */
#endif
    start();
    slot = with_event_only();
    atomic_store(&slot->event_on, 0); /* as who takes a slot away does */
    for (i = 0; i < 5; i++) { /* once a turn, until the timer's next tick, both would have told */
        assert_true(sonde_prof__timer_arm(slot, SIGPROF, PERIOD_NS));
        used_ns += burn_200_ms(&sum);
        sonde_prof__timer_disarm(slot);
    }
    assert_true(sum.ns + sum.lost > used_ns / 2);
    assert_true(sum.ns + sum.lost <= used_ns + 5 * PERIOD_NS);
}

static void test_the_kernels_frames_are_in_front(void **state)
{
    static char buffer[65536];
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), i;
    tally sum = { 0, 0, 0, 0, 0 };

    (void)state;
    start();
    if (sonde_prof__events_mode() != SONDE_PROF__PERF_KERNEL) {
        (void)close(fd);
        print_message("  the kernel's part is not to be seen here\n");
        skip();
    }
    await_event(mine());
    while (sum.with_kernel == 0)
        for (i = 0; i < 100; i++) {
            assert_true(read(fd, buffer, sizeof(buffer)) > 0); /* a signal cuts it short */
            add(&sum, drain(my_tid()));
        }
    (void)close(fd);
}

static void test_an_exec_finds_no_event_and_no_signal(void **state)
{
    sonde_prof__slot *slot;
    sigset_t set, pending;

    (void)state;
    start();
    slot = mine();
    await_event(slot);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPROF);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    burn_ms(5); /* one is waiting */
    /* as of a thread that was found by looking, and has not been sampled */
    sonde_prof__self.slot = NULL;
    sonde_prof__exec_begin();
    assert_int_equal(atomic_load(&slot->event_on), 0);
    burn_ms(5);
    (void)sigpending(&pending);
    assert_false(sigismember(&pending, SIGPROF));
    sonde_prof__exec_failed();
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    await_event(slot);
    assert_true(atomic_load(&sonde_prof__count.event_stuck) == 0);
}

static void test_without_descriptors_the_timer_stays(void **state)
{
    uint64_t before;
    struct rlimit was, none;
    sonde_prof__slot *slot;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    start();
    slot = mine();
    await_event(slot);
    before = atomic_load(&sonde_prof__count.event_failures);
    none = (struct rlimit){ 0, was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    sonde_prof__self.slot = slot;
    sonde_prof__exec_begin();
    assert_int_equal(atomic_load(&slot->event_on), 0);
    /* As another thread of the slot: its own event is asked for. */
    slot->generation++;
    sonde_prof__event_release(slot);
    sonde_prof__sampler_attach(slot);
    while (atomic_load(&sonde_prof__count.event_failures) == before)
        pause_ms(1);
    assert_true(atomic_load(&slot->timer) >= 0);
    assert_int_equal(atomic_load(&slot->event_on), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static void *short_one(void *arg)
{
    sonde_prof__thread_begin();
    burn_ms(*(uint64_t *)arg);
    sonde_prof__thread_end(0);
    return NULL;
}

/* Timer, event and end of a thread tell of the same clock, whenever one takes over from the other. */
static void test_threads_of_every_age_add_up(void **state)
{
    tally sum = { 0, 0, 0, 0, 0 };
    uint64_t ms = 0, all_ms = 0;
    pthread_t thread;

    (void)state;
    start();
    (void)drain(0);
    for (ms = 1; ms <= 30; ms++) {
        assert_int_equal(pthread_create(&thread, NULL, short_one, &ms), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        all_ms += ms;
        add(&sum, drain(0));
    }
    /* The test's own thread used little, and each end is known to a period; what threads use beyond burning, too. */
    assert_true(sum.ns + sum.lost + 30 * PERIOD_NS >= all_ms * SONDE_NS_PER_MS);
    assert_true(sum.ns + sum.lost <= all_ms * SONDE_NS_PER_MS * 3 / 2);
}

static void test_a_forked_child_has_its_own(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it allows a forked child no thread */
#endif
    start();
    await_event(mine());
    sonde_prof__samplers_prefork();
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sonde_prof__slot *slot;

        sonde_prof__samplers_postfork_child();
        slot = mine();
        if (!slot || atomic_load(&slot->event_on) != 0 || atomic_load(&slot->timer) < 0)
            _exit(1);
        sonde_prof__samplers_tick(sonde_mono_ns());
        await_event(slot);
        (void)drain(0);
        burn_ms(20);
        sonde_prof__samplers_stop();
        _exit(drain(my_tid()).records > 0 ? 0 : 2);
    }
    sonde_prof__samplers_postfork_parent();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    burn_ms(20);
    assert_true(drain(my_tid()).records > 0); /* the parent's goes on */
}

static void test_only_its_own_signals_are_known(void **state)
{
    sonde_prof__slot *slot;
    siginfo_t info;
    int fd;

    (void)state;
    start();
    slot = mine();
    await_event(slot);
    fd = atomic_load(&slot->event_known);
    memset(&info, 0, sizeof(info));
    info.si_code = POLL_IN;
    info.si_fd = fd;
    assert_true(sonde_prof__event_is(slot, &info));
    info.si_fd = fd + 1;
    assert_false(sonde_prof__event_is(slot, &info));
    info.si_fd = fd;
    info.si_code = POLL_OUT;
    assert_false(sonde_prof__event_is(slot, &info));
    info.si_code = POLL_IN;
    assert_false(sonde_prof__event_is(NULL, &info)); /* of a thread that is not on its way out */
    sonde_prof__samplers_stop();
    assert_true(sonde_prof__event_is(slot, &info)); /* one that was late */
}

static void test_a_real_time_signal_is_not_asked_of_the_kernel(void **state)
{
    (void)state;
    sonde_prof__events_start(40);
    assert_int_equal(sonde_prof__events_mode(), SONDE_PROF__PERF_NONE);
    sonde_prof__events_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_come_without_marks_and_end_where_they_should),
        cmocka_unit_test(test_a_deep_chain_is_cut_at_its_outer_end),
        cmocka_unit_test(test_what_cannot_be_a_record_is_left_out),
        cmocka_unit_test(test_what_came_meanwhile_is_thrown_away),
        cmocka_unit_test_teardown(test_a_real_time_signal_is_not_asked_of_the_kernel, stop),
        cmocka_unit_test_teardown(test_ten_thousand_a_second_are_ten_thousand, stop),
        cmocka_unit_test_teardown(test_an_event_and_a_timer_tell_nothing_twice, stop),
        cmocka_unit_test_teardown(test_an_event_of_the_slots_last_turn_tells_nothing, stop),
        cmocka_unit_test_teardown(test_the_kernels_frames_are_in_front, stop),
        cmocka_unit_test_teardown(test_an_exec_finds_no_event_and_no_signal, stop),
        cmocka_unit_test_teardown(test_threads_of_every_age_add_up, stop),
        cmocka_unit_test_teardown(test_a_forked_child_has_its_own, stop),
        cmocka_unit_test_teardown(test_only_its_own_signals_are_known, stop),
        cmocka_unit_test_teardown(test_without_descriptors_the_timer_stays, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
