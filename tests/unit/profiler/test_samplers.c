/* CPU samples: what they add up to, whose they are, whose work they saw. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread_ctx.h"
#include "profiler/src/context.h"
#include "profiler/src/counts.h"
#include "profiler/src/cpu_timer.h"
#include "profiler/src/hooks.h"
#include "profiler/src/sampler.h"
#include "profiler/src/samplers.h"
#include "profiler/src/threads.h"

#include "fake_maps.h"

#define PERIOD_NS (2 * (uint64_t)SONDE_NS_PER_MS)

/* A timer fires at a tick of the scheduler that finds the thread running: what was used after the last one is seen at the
 * thread's end only, and tests of threads that do not end ask for half. */
#define SLACK_NS (PERIOD_NS + 10 * (uint64_t)SONDE_NS_PER_MS)

static uint32_t my_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

static uint64_t my_cpu_ns(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
}

static volatile uint64_t sink;

static __attribute__((noinline)) void burn_ms(uint64_t ms)
{
    uint64_t until = my_cpu_ns() + ms * SONDE_NS_PER_MS;
    int i;

    while (my_cpu_ns() < until)
        for (i = 0; i < 20000; i++)
            sink += (uint64_t)i;
}

/* -- what the rings hold ---------------------------------------------------------------------------- */

typedef struct tally {
    uint64_t records;
    uint64_t events;
    uint64_t ns;
    uint64_t complete;
    uint64_t with_span; /* `span` */
    uint64_t in_burn;
    uint64_t lost;
} tally;

static void add(tally *t, const sonde_prof__sample *s, uint64_t span)
{
    uint64_t burn = (uint64_t)(uintptr_t)burn_ms;
    uint32_t i;

    t->records++;
    t->events += s->events;
    t->ns += (uint64_t)s->value[0];
    t->complete += s->end == SONDE_PROF__COMPLETE;
    t->with_span += s->context.span_id == span;
    for (i = 0; i < s->depth; i++)
        if (s->frames[i] >= burn && s->frames[i] < burn + 400) {
            t->in_burn++;
            return;
        }
}

/* Of one thread (0: of all), and away with the rest. */
static tally drain(uint32_t tid, uint64_t span)
{
    tally t = { 0, 0, 0, 0, 0, 0, 0 };
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__ring *r = &sonde_prof__slot_at(i)->ring;
        const sonde_prof__sample *s;

        for (; (s = sonde_prof__ring_peek(r)) != NULL; sonde_prof__ring_pop(r))
            if (s->kind == SONDE_PROF__CPU && (tid == 0 || s->tid == tid))
                add(&t, s, span);
        t.lost += atomic_exchange(&r->lost_value[SONDE_PROF__CPU], 0);
    }
    return t;
}

/* However many ticks pass it by. */
static tally burn_until_sampled(uint64_t span)
{
    tally t;

    do {
        burn_ms(50);
        t = drain(my_tid(), span);
    } while (t.records == 0);
    return t;
}

static void assert_near(uint64_t have, uint64_t want, uint64_t slack)
{
    if (have > want + slack || have + slack < want)
        fail_msg("%llu ns, expected %llu within %llu", (unsigned long long)have,
                 (unsigned long long)want, (unsigned long long)slack);
}

static const sonde_prof__sampler_settings cpu_only = { .cpu = true, .cpu_period_ns = PERIOD_NS };

static void start(void)
{
    assert_status(sonde_prof__samplers_start(&cpu_only), SONDE_OK);
}

static int stop(void **state)
{
    (void)state;
    sonde_prof__samplers_stop();
    (void)drain(0, 0);
    return 0;
}

/* -- tests ------------------------------------------------------------------------------------------ */

typedef struct worker {
    uint64_t ms;
    uint64_t used_ns;
    uint32_t tid;
    bool announced;   /* to the registry, as our pthread_create() does */
    _Atomic bool *go; /* waits for it; NULL: does not */
} worker;

static void *work(void *arg)
{
    worker *w = arg;

    if (w->announced)
        sonde_prof__thread_begin();
    w->tid = my_tid();
    while (w->go && !atomic_load(w->go))
        (void)sched_yield();
    burn_ms(w->ms);
    w->used_ns = my_cpu_ns();
    if (w->announced)
        sonde_prof__thread_end((uintptr_t)burn_ms);
    return NULL;
}

static void test_samples_of_a_thread_add_up_to_its_cpu_time(void **state)
{
    worker w = { 300, 0, 0, true, NULL };
    pthread_t thread;
    tally t;

    (void)state;
    start();
    assert_int_equal(pthread_create(&thread, NULL, work, &w), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    sonde_prof__samplers_stop();
    t = drain(w.tid, 0);
    assert_int_equal(t.lost, 0);
    assert_near(t.ns, w.used_ns, SLACK_NS);
    assert_int_equal(t.ns, t.events * PERIOD_NS);
    assert_true(t.records > 0);
    assert_true(t.in_burn * 10 >= t.records * 8);
    assert_true(t.complete * 10 >= t.records * 9);
}

static void test_nothing_is_sampled_after_stop(void **state)
{
    (void)state;
    start();
    burn_ms(30);
    sonde_prof__samplers_stop();
    (void)drain(0, 0);
    burn_ms(50);
    assert_int_equal(drain(0, 0).records, 0);
    assert_int_equal(sonde_prof__samplers_cpu_period_ns(), 0);
}

static void test_each_thread_has_its_own_clock(void **state)
{
    worker w[4] = { { 50, 0, 0, true, NULL },
                    { 100, 0, 0, true, NULL },
                    { 150, 0, 0, true, NULL },
                    { 20, 0, 0, true, NULL } };
    pthread_t threads[4];
    size_t i;

    (void)state;
    start();
    for (i = 0; i < COUNT_OF(w); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    for (i = 0; i < COUNT_OF(w); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    sonde_prof__samplers_stop();
    for (i = 0; i < COUNT_OF(w); i++) {
        uint32_t k;
        uint64_t ns = 0;

        for (k = 0; k < sonde_prof__slots_count(); k++) { /* without taking anything out */
            sonde_prof__ring r = sonde_prof__slot_at(k)->ring;
            const sonde_prof__sample *s;

            for (; (s = sonde_prof__ring_peek(&r)) != NULL; sonde_prof__ring_pop(&r))
                ns += s->tid == w[i].tid ? (uint64_t)s->value[0] : 0;
        }
        assert_near(ns, w[i].used_ns, SLACK_NS);
    }
}

/* Made without us, as by a raw clone(): a scan finds it, and misses it when it has gone. */
static void test_threads_are_found_by_looking(void **state)
{
    _Atomic bool go = false;
    worker w = { 200, 0, 0, false, &go };
    pthread_t thread;

    (void)state;
    start();
    assert_int_equal(pthread_create(&thread, NULL, work, &w), 0);
    sonde_prof__threads_scan();
    atomic_store(&go, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(sonde_prof__slot_find(w.tid));
    while (sonde_prof__slot_find(w.tid))
        sonde_prof__threads_scan(); /* the kernel may list it a moment longer */
    assert_true(drain(w.tid, 0).ns > 0);
}

/* 300 threads of half a period: each is seen with a chance of its share, though most live between two ticks.  Five
 * sigma are 5 sqrt(n p (1 - p)) < 5 sqrt(300 / 4) < 44 periods; a quarter for what begins a thread, and is not seen. */
static void test_short_threads_are_seen_by_their_share(void **state)
{
    uint64_t used = 0;
    int i;
    tally t;

    (void)state;
    start();
    (void)drain(0, 0);
    for (i = 0; i < 300; i++) {
        worker w = { 1, 0, 0, true, NULL };
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, work, &w), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        used += w.used_ns;
    }
    sonde_prof__samplers_stop();
    sonde_prof__threads_scan();
    t = drain(0, 0);
    assert_true(t.ns > 0);
    assert_near(t.ns, used, 44 * PERIOD_NS + used / 4);
    assert_true(t.in_burn * 10 >= t.records * 7);
}

/* Each thread's error is even between -1 and +1 period: five sigma of the sum are 5 sqrt(n / 3) periods.  A twentieth for
 * what begins and ends a thread, which is not under observation. */
static void test_many_threads_add_up(void **state)
{
    enum { MANY = 64 };
    static worker w[MANY];
    pthread_t threads[MANY];
    uint64_t used = 0;
    size_t i;
    tally t;

    (void)state;
    start();
    (void)drain(0, 0);
    for (i = 0; i < MANY; i++) {
        w[i] = (worker){ 10 + i % 20, 0, 0, true, NULL };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (i = 0; i < MANY; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        used += w[i].used_ns;
    }
    sonde_prof__samplers_stop();
    t = drain(0, 0);
    assert_int_equal(t.lost, 0);
    assert_near(t.ns, used, 24 * PERIOD_NS + used / 20);
}

static __attribute__((noinline)) void burn_a(void)
{
    burn_ms(1);
    sink++;
}

static __attribute__((noinline)) void burn_b(void)
{
    burn_ms(2);
    sink++;
}

static bool is_below(const sonde_prof__sample *s, void (*function)(void))
{
    uint64_t at = (uint64_t)(uintptr_t)function;
    uint32_t i;

    for (i = 0; i < s->depth; i++)
        if (s->frames[i] >= at && s->frames[i] < at + 40)
            return true;
    return false;
}

/* A third and two thirds of 600 ms; samples every 2 ms or at ticks of 10: 60 of them at least, 5 sigma are 0.31. */
static void test_functions_have_their_share(void **state)
{
    uint64_t a = 0, b = 0, used;
    sonde_prof__ring *r;
    int i;

    (void)state;
    start();
    (void)drain(0, 0);
    used = my_cpu_ns();
    for (i = 0; i < 200; i++) {
        burn_a();
        burn_b();
    }
    used = my_cpu_ns() - used;
    sonde_prof__samplers_stop();
    r = &sonde_prof__slot_find(my_tid())->ring;
    for (; sonde_prof__ring_peek(r); sonde_prof__ring_pop(r)) {
        const sonde_prof__sample *s = sonde_prof__ring_peek(r);

        a += is_below(s, burn_a) ? (uint64_t)s->value[0] : 0;
        b += is_below(s, burn_b) ? (uint64_t)s->value[0] : 0;
    }
    assert_true(a + b >= used / 2 && a + b <= used + SLACK_NS);
    if (a * 100 < (a + b) * 2 || a * 100 > (a + b) * 64)
        fail_msg("%llu of %llu ns are a third", (unsigned long long)a, (unsigned long long)(a + b));
}

static void test_a_slot_is_used_again(void **state)
{
    uint32_t count;
    int i;

    (void)state;
    start();
    count = sonde_prof__slots_count();
    for (i = 0; i < 100; i++) {
        worker w = { 0, 0, 0, true, NULL };
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, work, &w), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_null(sonde_prof__slot_find(w.tid));
    }
    assert_true(sonde_prof__slots_count() <= count + 1);
}

static void test_the_period_changes_with_the_next_sample(void **state)
{
    uint64_t before, used;
    tally t;

    (void)state;
    start();
    sonde_prof__samplers_set_interval(10 * PERIOD_NS, 0);
    (void)burn_until_sampled(0);
    before = my_cpu_ns();
    burn_ms(300);
    used = my_cpu_ns() - before;
    sonde_prof__samplers_stop();
    t = drain(my_tid(), 0);
    assert_int_equal(t.ns, t.events * 10 * PERIOD_NS);
    assert_true(t.ns <= used + 10 * PERIOD_NS + SLACK_NS);
}

static void test_samples_carry_the_active_span_and_add_to_its_cost(void **state)
{
    static sonde_thread_ctx record;
    uint64_t cpu;
    tally t;

    (void)state;
    memset(&record, 0, sizeof(record));
    record.trace_id[7] = 3;
    record.trace_id[15] = 4;
    record.span_id_host = 77;
    record.local_root_id_host = 78;
    atomic_store(&record.tid, my_tid());
    atomic_store(&record.valid, 1);
    sonde_prof_set_context_record(&record); /* before the thread has a slot */
    start();
    (void)drain(0, 0);
    t = burn_until_sampled(77);
    assert_true(t.with_span + 1 >= t.records); /* one may have come before the record was found */
    cpu = atomic_load(&record.cpu_ns);
    assert_true(cpu >= t.ns);
    atomic_store(&record.valid, 0);
    burn_ms(100);
    t = drain(my_tid(), 0);
    assert_true(t.with_span + 1 >= t.records);
    atomic_store(&record.tid, 0);
}

static void test_from_another_thread_a_record_is_read_whole_or_not_at_all(void **state)
{
    static sonde_thread_ctx record;
    sonde_prof__slot slot = { .record = &record };
    sonde_prof__context c;

    (void)state;
    record.span_id_host = 5;
    atomic_store(&slot.tid, 3);
    atomic_store(&record.tid, 3);
    atomic_store(&record.valid, 1);
    sonde_prof__context_read_remote(&slot, &c);
    assert_true(c.span_id == 5);
    atomic_store(&record.seq, 1);
    sonde_prof__context_read_remote(&slot, &c);
    assert_true(c.span_id == 0);
    atomic_store(&record.seq, 2);
    atomic_store(&record.tid, 4); /* somebody else's by now */
    sonde_prof__context_read_remote(&slot, &c);
    assert_true(c.span_id == 0);
}

static void test_another_publishers_record_is_read_where_it_says(void **state)
{
    static sonde_thread_ctx record;
    static void *_Atomic variable = &record;
    sonde_prof__slot slot = { .foreign = &variable };
    sonde_prof__context c;

    (void)state;
    memcpy(record.trace_id, "\1\2\3\4\5\6\7\10\0\0\0\0\0\0\0\11", 16);
    memcpy(record.span_id, "\0\0\0\0\0\0\1\2", 8);
    memcpy(record.attrs,
           "\7\3abc\2\20"
           "00000000000000ff\3\1z",
           26);
    record.attrs_bytes = 26;
    sonde_prof__context_read(&slot, &c);
    assert_true(c.span_id == 0);
    atomic_store(&record.valid, 1);
    sonde_prof__context_read(&slot, &c);
    assert_true(c.trace_hi == UINT64_C(0x0102030405060708) && c.trace_lo == 9 && c.span_id == 258);
    assert_true(c.local_root_id == 0);
    sonde_prof__hooks_set_local_root_key(2);
    sonde_prof__context_read(&slot, &c);
    assert_true(c.local_root_id == 255);
    record.attrs_bytes = 22; /* cuts it */
    sonde_prof__context_read(&slot, &c);
    assert_true(c.local_root_id == 0);
    sonde_prof__hooks_set_local_root_key(-1);
}

static volatile sig_atomic_t foreign_calls, foreign_value;

static void on_foreign(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    foreign_calls++;
    foreign_value = info->si_code == SI_TKILL || info->si_code == SI_USER;
}

static void on_plain(int signo)
{
    (void)signo;
    foreign_calls += 100;
}

static void test_others_signals_go_to_whoever_asked_for_them(void **state)
{
    struct sigaction mine = { .sa_sigaction = on_foreign, .sa_flags = SA_SIGINFO }, old;
    struct sigaction plain = { .sa_handler = on_plain };
    uint64_t swallowed;

    (void)state;
    /* Without timers: a signal that meets a pending one of its number is lost. */
    assert_status(sonde_prof__samplers_start(&(sonde_prof__sampler_settings){ .cpu = false }),
                  SONDE_OK);
    swallowed = atomic_load(&sonde_prof__count.swallowed);
    errno = 1234;
    assert_int_equal(raise(SIGPROF), 0); /* its default would end us */
    assert_int_equal(errno, 1234);
    assert_int_equal(atomic_load(&sonde_prof__count.swallowed), swallowed + 1);

    assert_true(sonde_prof__signal_request(SIGPROF, &mine, &old));
    assert_true(old.sa_handler == SIG_DFL);
    assert_int_equal(raise(SIGPROF), 0);
    assert_int_equal(foreign_calls, 1);
    assert_int_equal(foreign_value, 1);
    assert_true(sonde_prof__signal_request(SIGPROF, &plain, &old));
    assert_true(old.sa_sigaction == on_foreign);
    assert_int_equal(raise(SIGPROF), 0);
    assert_int_equal(foreign_calls, 101);
    assert_false(sonde_prof__signal_request(SIGUSR1, &plain, &old));
}

/* Of other threads than this one; nothing is taken out. */
static uint32_t others_samples(uint32_t tid)
{
    uint32_t i, n = 0;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__ring r = sonde_prof__slot_at(i)->ring;

        for (; sonde_prof__ring_peek(&r); sonde_prof__ring_pop(&r))
            n += sonde_prof__ring_peek(&r)->tid != tid;
    }
    return n;
}

static void test_a_forked_child_is_sampled_by_itself(void **state)
{
    pid_t child;
    int status;

    (void)state;
    start();
    burn_ms(20);
    sonde_prof__samplers_prefork();
    child = fork();
    if (child == 0) {
        uint64_t ns = 0;

        sonde_prof__samplers_postfork_child();
        while (ns < 50 * (uint64_t)SONDE_NS_PER_MS) {
            burn_ms(50);
            if (others_samples(my_tid()) != 0)
                _exit(1); /* the parent's */
            ns += drain(my_tid(), 0).ns;
        }
        _exit(7);
    }
    sonde_prof__samplers_postfork_parent();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    (void)drain(0, 0);
    (void)burn_until_sampled(0);
}

static void test_a_hook_samples_its_caller(void **state)
{
    sonde_prof__sample s = { .kind = SONDE_PROF__ALLOC, .events = 1 };
    const sonde_prof__sample *have = NULL;
    sonde_prof__slot *slot;
    uint64_t here = (uint64_t)(uintptr_t)test_a_hook_samples_its_caller;

    (void)state;
    start();
    slot = sonde_prof__slot_mine();
    assert_non_null(slot);
    s.value[1] = 4096;
    assert_true(sonde_prof__sample_here(&s, NULL));
    while ((have = sonde_prof__ring_peek(&slot->ring)) != NULL && have->kind != SONDE_PROF__ALLOC)
        sonde_prof__ring_pop(&slot->ring);
    assert_non_null(have);
    assert_int_equal(have->tid, my_tid());
    assert_int_equal(have->value[1], 4096);
    assert_int_equal(have->end, SONDE_PROF__COMPLETE);
    assert_true(have->frames[0] >= here && have->frames[0] < here + 4096);
}

/* -- what the handler needs of a stack -------------------------------------------------------------- */

#define PAINTED_BYTES 65536u
#if defined(__SANITIZE_ADDRESS__)
#    define HANDLER_BYTES 32768u
#elif defined(__OPTIMIZE__)
#    define HANDLER_BYTES 2048u
#else
#    define HANDLER_BYTES 3072u
#endif

static _Alignas(64) uint8_t painted[PAINTED_BYTES];
static ucontext_t main_context, painted_context, interrupted;
static uintptr_t stack_at_call;

static void call_handler(void)
{
    static siginfo_t info;

    info.si_code = SI_TIMER;
    info.si_value.sival_ptr = (void *)(uintptr_t)&sonde_prof__cpu_cookie;
    stack_at_call = (uintptr_t)__builtin_frame_address(0);
    sonde_prof__on_signal(SIGPROF, &info, &interrupted);
}

static uintptr_t lowest_written(void)
{
    size_t at = 0;

    while (painted[at] == 0xa5)
        at++;
    return (uintptr_t)(painted + at);
}

static void test_the_handler_is_content_with_a_small_stack(void **state)
{
    (void)state;
    start();
    (void)sonde_prof__slot_mine();
    sonde_prof__samplers_stop(); /* no timers while we are on that stack */
    atomic_store(&sonde_prof__sampling_now.cpu, true);
    memset(painted, 0xa5, sizeof(painted));
    assert_int_equal(getcontext(&interrupted), 0);
    assert_int_equal(getcontext(&painted_context), 0);
    painted_context.uc_stack.ss_sp = painted;
    painted_context.uc_stack.ss_size = sizeof(painted);
    painted_context.uc_link = &main_context;
    makecontext(&painted_context, call_handler, 0);
    assert_int_equal(swapcontext(&main_context, &painted_context), 0);
    atomic_store(&sonde_prof__sampling_now.cpu, false);
    print_message("the handler used %zu bytes\n", (size_t)(stack_at_call - lowest_written()));
    assert_true(stack_at_call - lowest_written() <= HANDLER_BYTES);
    assert_true(drain(my_tid(), 0).records > 0);
}

static void *block_signal(void *arg)
{
    worker *w = arg;
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPROF);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    atomic_store(w->go, true);
    while (atomic_load(w->go))
        (void)sched_yield();
    return NULL;
}

static void test_threads_that_block_the_signal_are_counted(void **state)
{
    _Atomic bool go = false;
    worker w = { 0, 0, 0, false, &go };
    pthread_t thread;

    (void)state;
    start();
    sonde_prof__samplers_tick(1);
    assert_int_equal(atomic_load(&sonde_prof__count.sig_blocked), 0);
    assert_int_equal(pthread_create(&thread, NULL, block_signal, &w), 0);
    while (!atomic_load(&go))
        (void)sched_yield();
    sonde_prof__samplers_tick(20 * (uint64_t)SONDE_NS_PER_S);
    assert_int_equal(atomic_load(&sonde_prof__count.sig_blocked), 1);
    atomic_store(&go, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *be_ours(void *arg)
{
    uint32_t *tid = arg;

    *tid = my_tid();
    sonde_prof__thread_is_ours();
    sonde_prof__threads_scan();
    assert_null(sonde_prof__slot_find(*tid));
    assert_null(sonde_prof__slot_mine());
    return NULL;
}

static void test_threads_of_ours_are_left_alone(void **state)
{
    pthread_t thread;
    uint32_t tid;

    (void)state;
    start();
    assert_int_equal(pthread_create(&thread, NULL, be_ours, &tid), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_the_drainer_is_woken_when_a_ring_fills(void **state)
{
    uint32_t i, filling = 0;

    (void)state;
    start();
    sonde_prof__samplers_wait(1);
    for (i = 0; i < 2000 && !filling; i++) { /* nobody drains */
        sonde_prof__sample s = { .kind = SONDE_PROF__IO, .events = 1 };

        (void)sonde_prof__slot_mine();
        (void)sonde_prof__sample_here(&s, NULL);
        filling = sonde_prof__ring_is_filling(&sonde_prof__self.slot->ring);
    }
    assert_true(filling);
    sonde_prof__samplers_wait(UINT64_MAX / 4); /* comes back at once, or the test never ends */
    sonde_prof__samplers_wake();
    sonde_prof__samplers_wait(UINT64_MAX / 4);
}

/* Ten handlers above a millisecond, as the handler counts them. */
static void test_handlers_that_take_long_open_the_breaker(void **state)
{
    const uint64_t minute = 60 * (uint64_t)SONDE_NS_PER_S;

    (void)state;
    start();
    sonde_prof__samplers_tick(1);
    atomic_store(&sonde_prof__sampling_now.long_ones, 3);
    sonde_prof__samplers_tick(2);
    assert_int_equal(atomic_load(&sonde_prof__sampling_now.frames_max), 128);
    assert_int_not_equal(sonde_prof__samplers_cpu_period_ns(), 0);
    atomic_store(&sonde_prof__sampling_now.long_ones, 10);
    sonde_prof__samplers_tick(3);
    assert_int_equal(sonde_prof__samplers_cpu_period_ns(), 0);
    (void)drain(0, 0);
    burn_ms(50);
    assert_int_equal(drain(0, 0).records, 0);
    sonde_prof__samplers_tick(minute + 1);
    sonde_prof__samplers_tick(minute + 3);
    assert_int_equal(atomic_load(&sonde_prof__sampling_now.frames_max), SONDE_PROF__FRAMES_MAX);
    assert_int_equal(sonde_prof__samplers_cpu_period_ns(), PERIOD_NS);
    (void)burn_until_sampled(0);
}

/* In a child: the signal is not given back. */
static void test_a_handler_that_was_taken_away_ends_the_sampling(void **state)
{
    pid_t child;
    int status;

    (void)state;
    start();
    sonde_prof__samplers_prefork();
    child = fork();
    if (child == 0) {
        const struct sigaction theirs = { .sa_handler = SIG_IGN };

        sonde_prof__samplers_postfork_child();
        sonde_prof__samplers_tick(1);
        if (sonde_prof__samplers_cpu_period_ns() == 0)
            _exit(1);
        (void)sigaction(SIGPROF, &theirs, NULL); /* no hook of ours is in this program */
        sonde_prof__samplers_tick(2);
        _exit(sonde_prof__samplers_cpu_period_ns() == 0 && sonde_prof__slot_mine()->timer < 0 ? 7
                                                                                              : 2);
    }
    sonde_prof__samplers_postfork_parent();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static sonde_prof_endpoint_fn on_endpoint;
static uint64_t endpoint_root;

static void on_endpoint(uint64_t root, sonde_str resource, sonde_str type, uint32_t finished)
{
    endpoint_root = resource.len == 6 && type.len == 3 && finished == 1 ? root : 0;
}

static void test_endpoints_go_to_whoever_wants_them(void **state)
{
    (void)state;
    assert_false(sonde_prof__hooks_announce()); /* no libtrace here */
    assert_false(sonde_prof__hooks_announce_in(1));
    sonde_prof_endpoint(9, SONDE_STR("GET /a"), SONDE_STR("web"), 1);
    sonde_prof__hooks_set_endpoint_sink(on_endpoint);
    sonde_prof_endpoint(10, SONDE_STR("GET /a"), SONDE_STR("web"), 1);
    sonde_prof__hooks_set_endpoint_sink(NULL);
    sonde_prof_endpoint(11, SONDE_STR("GET /a"), SONDE_STR("web"), 1);
    assert_int_equal(endpoint_root, 10);
    sonde_prof__hooks_withdraw();
}

static int setup(void **state)
{
    (void)state;
    loaded_read(&fake_maps);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loaded_free(&fake_maps);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_samples_of_a_thread_add_up_to_its_cpu_time, stop),
        cmocka_unit_test_teardown(test_nothing_is_sampled_after_stop, stop),
        cmocka_unit_test_teardown(test_each_thread_has_its_own_clock, stop),
        cmocka_unit_test_teardown(test_threads_are_found_by_looking, stop),
        cmocka_unit_test_teardown(test_short_threads_are_seen_by_their_share, stop),
        cmocka_unit_test_teardown(test_many_threads_add_up, stop),
        cmocka_unit_test_teardown(test_functions_have_their_share, stop),
        cmocka_unit_test_teardown(test_a_slot_is_used_again, stop),
        cmocka_unit_test_teardown(test_the_period_changes_with_the_next_sample, stop),
        cmocka_unit_test_teardown(test_samples_carry_the_active_span_and_add_to_its_cost, stop),
        cmocka_unit_test(test_from_another_thread_a_record_is_read_whole_or_not_at_all),
        cmocka_unit_test_teardown(test_another_publishers_record_is_read_where_it_says, stop),
        cmocka_unit_test_teardown(test_others_signals_go_to_whoever_asked_for_them, stop),
        cmocka_unit_test_teardown(test_a_forked_child_is_sampled_by_itself, stop),
        cmocka_unit_test_teardown(test_a_hook_samples_its_caller, stop),
        cmocka_unit_test_teardown(test_the_handler_is_content_with_a_small_stack, stop),
        cmocka_unit_test_teardown(test_threads_that_block_the_signal_are_counted, stop),
        cmocka_unit_test_teardown(test_threads_of_ours_are_left_alone, stop),
        cmocka_unit_test_teardown(test_the_drainer_is_woken_when_a_ring_fills, stop),
        cmocka_unit_test_teardown(test_handlers_that_take_long_open_the_breaker, stop),
        cmocka_unit_test_teardown(test_a_handler_that_was_taken_away_ends_the_sampling, stop),
        cmocka_unit_test_teardown(test_endpoints_go_to_whoever_wants_them, stop),
    };

#ifdef __SANITIZE_THREAD__
    return 0; /* it keeps signals for later */
#endif
    return cmocka_run_group_tests_name("samplers", tests, setup, teardown);
}
