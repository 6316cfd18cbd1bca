/* Wall samples: of blocked threads without waking them, of running ones by signal. */
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread_ctx.h"
#include "profiler/src/arena.h"
#include "profiler/src/context.h"
#include "profiler/src/counts.h"
#include "profiler/src/hooks.h"
#include "profiler/src/threads.h"
#include "profiler/src/wall.h"

#include "fake_maps.h"

#define NEVER_NS ((uint64_t)3600 * SONDE_NS_PER_S) /* rounds are the tests' */
#define DT_NS    ((uint64_t)SONDE_NS_PER_MS)

#ifdef __SANITIZE_ADDRESS__ /* which adds a lot */
#    define FUNCTION_BYTES 3000u
#else
#    define FUNCTION_BYTES 300u
#endif

static uint32_t my_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* -- threads that are somewhere --------------------------------------------------------------------- */

typedef struct sleeper {
    int pipe[2]; /* first, for assembly */
    pthread_t thread;
    _Atomic uint32_t tid;
    void (*sleep)(struct sleeper *);
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool wake;
    int interrupted; /* calls that ended with EINTR */
    sonde_thread_ctx record;
    bool in_span;
} sleeper;

static volatile uint64_t sink;

static __attribute__((noinline)) void in_poll(sleeper *s)
{
    struct pollfd fd = { s->pipe[0], POLLIN, 0 };

    while (poll(&fd, 1, -1) < 0)
        s->interrupted++;
}

static __attribute__((noinline)) void in_read(sleeper *s)
{
    char c;

    while (read(s->pipe[0], &c, 1) < 0)
        s->interrupted++;
}

static __attribute__((noinline)) void in_sleep(sleeper *s)
{
    const struct timespec day = { 86400, 0 };
    struct pollfd fd = { s->pipe[0], POLLIN, 0 };

    while (poll(&fd, 1, 0) != 1)
        if (nanosleep(&day, NULL) < 0)
            s->interrupted++;
}

static __attribute__((noinline)) void in_cond(sleeper *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    while (!s->wake)
        (void)pthread_cond_wait(&s->cond, &s->mutex);
    (void)pthread_mutex_unlock(&s->mutex);
}

static __attribute__((noinline)) void in_naps(sleeper *s)
{
    const struct timespec nap = { 0, 50000 };
    struct pollfd fd = { s->pipe[0], POLLIN, 0 };
    int n;

    while ((n = poll(&fd, 1, 1)) != 1)
        s->interrupted += (n < 0) + (nanosleep(&nap, NULL) < 0);
}

static __attribute__((noinline)) void running(sleeper *s)
{
    struct pollfd fd = { s->pipe[0], POLLIN, 0 };

    while (poll(&fd, 1, 0) != 1)
        for (int i = 0; i < 100000; i++)
            sink += (uint64_t)i;
}

#if defined(__x86_64__)

/* The first has no frame pointer and something else in that register; the one with a frame pointer is jumped to. */
void in_numbers(sleeper *s, void (*sleep)(sleeper *));

__asm__(".text\n"
        ".type in_numbers, @function\n"
        "in_numbers:\n"
        "    .cfi_startproc\n"
        "    push %rbp\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset %rbp, -16\n"
        "    mov $7, %ebp\n"
        "    call jumped_from\n"
        "    pop %rbp\n"
        "    .cfi_def_cfa_offset 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size in_numbers, .-in_numbers\n"
        ".type jumped_from, @function\n"
        "jumped_from:\n"
        "    .cfi_startproc\n"
        "    jmp jumped_to\n"
        "    .cfi_endproc\n"
        ".size jumped_from, .-jumped_from\n"
        ".type jumped_to, @function\n"
        "jumped_to:\n"
        "    .cfi_startproc\n"
        "    xor %eax, %eax\n"
        "    push %rbp\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset %rbp, -16\n"
        "    lea jumped_from(%rip), %rdx\n"
        "    mov %rsp, %rbp\n"
        "    .cfi_def_cfa_register %rbp\n"
        "    push %r12\n"
        "    movq $1, %rax\n"
        "    lea -8(%rbp,%rax,2), %r12\n"
        "    push %rbx\n"
        "    mov %fs:0x28, %rax\n"
        "    movabs $0x1122334455667788, %rcx\n"
        "    sub $0x120, %rsp\n"
        "    call *%rsi\n"
        "    add $0x120, %rsp\n"
        "    pop %rbx\n"
        "    pop %r12\n"
        "    pop %rbp\n"
        "    .cfi_def_cfa %rsp, 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size jumped_to, .-jumped_to\n");

/* It leaves that register alone: nobody below says what it was. */
void in_bare_read(sleeper *s);

__asm__(".text\n"
        ".type in_bare_read, @function\n"
        "in_bare_read:\n"
        "    .cfi_startproc\n"
        "    sub $24, %rsp\n"
        "    .cfi_def_cfa_offset 32\n"
        "    mov (%rdi), %edi\n"
        "    lea 8(%rsp), %rsi\n"
        "    mov $1, %edx\n"
        "    xor %eax, %eax\n"
        "    syscall\n"
        "    add $24, %rsp\n"
        "    .cfi_def_cfa_offset 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size in_bare_read, .-in_bare_read\n");

/* Where SP is aligned, how the function begins does not say how far below the frame pointer it is; another pair stands
 * below the right one.  Called through a slot, as code without a PLT does. */
void by_slot(sleeper *s, void (*sleep)(sleeper *));

__asm__(".data\n"
        ".balign 8\n"
        "slot_of_aligned: .quad aligned\n"
        ".text\n"
        ".type aligned, @function\n"
        "aligned:\n"
        "    .cfi_startproc\n"
        "    push %rbp\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset %rbp, -16\n"
        "    mov %rsp, %rbp\n"
        "    .cfi_def_cfa_register %rbp\n"
        "    and $-64, %rsp\n"
        "    sub $0x140, %rsp\n"
        "    movq $0, (%rsp)\n"
        "    movq $0, 8(%rsp)\n"
        "    lea 0x100(%rsp), %rax\n"
        "    mov %rax, 0x40(%rsp)\n"
        "    lea 1f(%rip), %rax\n"
        "    mov %rax, 0x48(%rsp)\n"
        "    call *%rsi\n"
        "1:  leave\n"
        "    .cfi_def_cfa %rsp, 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size aligned, .-aligned\n"
        ".type by_slot, @function\n"
        "by_slot:\n"
        "    .cfi_startproc\n"
        "    sub $8, %rsp\n"
        "    .cfi_def_cfa_offset 16\n"
        "    call *slot_of_aligned(%rip)\n"
        "    add $8, %rsp\n"
        "    .cfi_def_cfa_offset 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size by_slot, .-by_slot\n");

static __attribute__((noinline)) void in_aligned(sleeper *s)
{
    by_slot(s, in_bare_read);
    sink++; /* not a jump */
}

static __attribute__((noinline)) void in_jumped(sleeper *s)
{
    in_numbers(s, in_bare_read);
    sink++; /* not a jump */
}

#endif

static void *begin(void *arg)
{
    sleeper *s = arg;

    sonde_prof__thread_begin();
    if (s->in_span) {
        s->record.span_id_host = 42;
        atomic_store(&s->record.tid, my_tid());
        atomic_store(&s->record.valid, 1);
        sonde_prof_set_context_record(&s->record);
    }
    atomic_store(&s->tid, my_tid());
    s->sleep(s);
    atomic_store(&s->record.tid, 0);
    sonde_prof__thread_end(0);
    return NULL;
}

static void launch(sleeper *s, void (*sleep)(sleeper *))
{
    bool in_span = s->in_span;

    memset(s, 0, sizeof(*s));
    s->in_span = in_span;
    s->sleep = sleep;
    assert_int_equal(pipe(s->pipe), 0);
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->cond, NULL);
    assert_int_equal(pthread_create(&s->thread, NULL, begin, s), 0);
    while (atomic_load(&s->tid) == 0)
        (void)sched_yield();
}

static void on_wake(int signo)
{
    (void)signo;
}

static void end(sleeper *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->wake = true;
    (void)pthread_cond_signal(&s->cond);
    (void)pthread_mutex_unlock(&s->mutex);
    assert_int_equal(write(s->pipe[1], "x", 1), 1);
    if (s->sleep == in_sleep) {
        struct sigaction action = { .sa_handler = on_wake };

        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        assert_int_equal(pthread_kill(s->thread, SIGUSR1), 0);
    }
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->pipe[0]);
    (void)close(s->pipe[1]);
}

/* -- what the rings hold ---------------------------------------------------------------------------- */

typedef struct tally {
    uint64_t records;
    uint64_t events;
    uint64_t ns;
    uint64_t in_state;
    uint64_t in_function;
    uint64_t complete;
    uint64_t in_span;
} tally;

static bool is_in(const sonde_prof__sample *s, uint64_t function)
{
    uint32_t i;

    for (i = 0; i < s->depth; i++)
        if (s->frames[i] >= function && s->frames[i] < function + FUNCTION_BYTES)
            return true;
    return false;
}

/* Of one thread, or of all (0); nothing is taken out. */
static tally look_for(uint32_t tid, sonde_prof__state state, uint64_t function)
{
    tally t = { 0, 0, 0, 0, 0, 0, 0 };
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__ring r = sonde_prof__slot_at(i)->ring;
        const sonde_prof__sample *s;

        for (; (s = sonde_prof__ring_peek(&r)) != NULL; sonde_prof__ring_pop(&r)) {
            if (tid != 0 && s->tid != tid)
                continue;
            t.records++;
            t.events += s->events;
            t.ns += (uint64_t)s->value[0];
            t.in_state += s->value[1] == (int64_t)state;
            t.complete += s->end == SONDE_PROF__COMPLETE;
            t.in_function += is_in(s, function);
            t.in_span += s->context.span_id == 42;
        }
    }
    return t;
}

static tally look(uint32_t tid, sonde_prof__state state, void (*function)(sleeper *))
{
    return look_for(tid, state, (uint64_t)(uintptr_t)function);
}

/* And nobody is asked for anything. */
static void empty(void)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(i);

        while (sonde_prof__ring_peek(&slot->ring))
            sonde_prof__ring_pop(&slot->ring);
        atomic_store(&slot->wall_events, 0);
        atomic_store(&slot->wall_ns, 0);
    }
}

static int start_with(sonde_prof__sampler_settings settings)
{
    settings.wall = true;
    settings.wall_interval_ns = NEVER_NS;
    assert_status(sonde_prof__samplers_start(&settings), SONDE_OK);
    assert_int_equal(sonde_prof__samplers_wall_interval_ns(), NEVER_NS);
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with((sonde_prof__sampler_settings){ .wall = true });
}

/* No clock of a thread signals it. */
static int start_without_ticks(void **state)
{
    (void)state;
    return start_with((sonde_prof__sampler_settings){ .cpu_period_ns = NEVER_NS });
}

static int start_by_signal(void **state)
{
    (void)state;
    return start_with((sonde_prof__sampler_settings){ .wall_engine = SONDE_PROF__WALL_SIGNAL });
}

static int stop(void **state)
{
    (void)state;
    sonde_prof__samplers_stop();
    empty();
    return 0;
}

/* Rounds until the thread was seen where it sleeps: it may not have got there yet. */
static void rounds_until_asleep(const sleeper *s, sonde_prof__state state)
{
    while (look(s->tid, state, s->sleep).in_state == 0) {
        empty();
        sonde_prof__wall_round(DT_NS);
    }
    empty();
}

/* -- tests ------------------------------------------------------------------------------------------ */

static void test_what_the_kernel_says_is_understood(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        sonde_prof__place place;
    } cases[] = {
        { "running\n", true, { SONDE_PROF__RUNNING, 0, 0 } },
        { "-1 0x7ffd10 0x401000\n", true, { SONDE_PROF__BLOCKED, 0x7ffd10, 0x401000 } },
        { "0 0x3 0x7f 0x1 0x0 0x0 0x0 0x7ffee0 0x7f1234567890\n",
          SYS_read == 0,
          { SONDE_PROF__IN_IO, 0x7ffee0, 0x7f1234567890 } },
        { "", false, { 0, 0, 0 } },
        { "running away", true, { SONDE_PROF__RUNNING, 0, 0 } },
        { "-1 0x7ffd10", false, { 0, 0, 0 } },
        { "-1 7ffd10 0x401000", false, { 0, 0, 0 } },
        { "-1 0x 0x401000", false, { 0, 0, 0 } },
        { "-1 0x12345678901234567 0x401000", false, { 0, 0, 0 } },
        { "-1 0xg 0x401000", false, { 0, 0, 0 } },
        { "-2 0x7ffd10 0x401000", false, { 0, 0, 0 } },
        { "99999 0x3 0x7f 0x1 0x0 0x0 0x0 0xffffffffffffffff 0x1",
          true,
          { SONDE_PROF__BLOCKED, UINT64_MAX, 1 } },
    };
    sonde_prof__place place;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        if (i == 2 && SYS_read != 0)
            continue;
        if (sonde_prof__place_read(cases[i].text, &place) != cases[i].ok)
            fail_msg("\"%s\"", cases[i].text);
        if (cases[i].ok && (place.state != cases[i].place.state || place.sp != cases[i].place.sp ||
                            place.pc != cases[i].place.pc))
            fail_msg("\"%s\": %d", cases[i].text, (int)place.state);
    }
}

static void test_sleeping_threads_are_seen_where_they_sleep(void **state)
{
    static const struct {
        void (*sleep)(sleeper *);
        sonde_prof__state state;
    } kinds[] = {
        { in_poll, SONDE_PROF__IN_POLL },
        { in_read, SONDE_PROF__IN_IO },
        { in_sleep, SONDE_PROF__IN_SLEEP },
        { in_cond, SONDE_PROF__IN_LOCK },
#if defined(__x86_64__)
        { in_bare_read, SONDE_PROF__IN_IO }, /* called by the first function of the thread */
        { in_jumped, SONDE_PROF__IN_IO },
        { in_aligned, SONDE_PROF__IN_IO },
#endif
    };
    static sleeper s[COUNT_OF(kinds)];
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT_OF(kinds); i++)
        launch(&s[i], kinds[i].sleep);
    for (i = 0; i < COUNT_OF(kinds); i++)
        rounds_until_asleep(&s[i], kinds[i].state);
    for (i = 0; i < COUNT_OF(kinds); i++)
        s[i].interrupted = 0; /* one may have been asked on its way there */
    for (k = 0; k < 50; k++)
        sonde_prof__wall_round(DT_NS);
    for (i = 0; i < COUNT_OF(kinds); i++) {
        tally t = look(s[i].tid, kinds[i].state, kinds[i].sleep);

        assert_int_equal(t.records, 50);
        assert_int_equal(t.events, 50);
        assert_int_equal(t.ns, 50 * DT_NS);
        assert_int_equal(t.in_state, 50);
        assert_int_equal(t.in_function, 50);
        assert_int_equal(t.complete, 50);
#if defined(__x86_64__)
        if (kinds[i].sleep == in_jumped)
            assert_int_equal(
                look_for(s[i].tid, SONDE_PROF__IN_IO, (uint64_t)(uintptr_t)in_numbers).in_function,
                50);
        if (kinds[i].sleep == in_aligned)
            assert_int_equal(
                look_for(s[i].tid, SONDE_PROF__IN_IO, (uint64_t)(uintptr_t)by_slot).in_function,
                50);
#endif
    }
    for (i = 0; i < COUNT_OF(kinds); i++)
        end(&s[i]);
    assert_int_equal(s[0].interrupted, 0); /* poll is not restarted after a handler */
    assert_true(s[2].interrupted <= 1);    /* by the test itself */
}

static void test_a_thread_that_has_not_moved_is_not_walked_again(void **state)
{
    static sleeper s;
    uint64_t reused;

    (void)state;
    launch(&s, in_poll);
    rounds_until_asleep(&s, SONDE_PROF__IN_POLL);
    sonde_prof__wall_round(DT_NS);
    reused = atomic_load(&sonde_prof__count.wall_reused);
    sonde_prof__wall_round(DT_NS);
    assert_true(atomic_load(&sonde_prof__count.wall_reused) > reused);
    end(&s);
}

static void test_a_running_thread_looks_itself(void **state)
{
    static sleeper s;
    tally t;

    (void)state;
    launch(&s, running);
    do {
        sonde_prof__wall_round(DT_NS);
        t = look(s.tid, SONDE_PROF__RUNNING, running);
    } while (t.in_state < 5 || t.in_function < 5);
    end(&s);
    assert_true(t.ns >= t.records * DT_NS);
}

static bool is_pending(void)
{
    sigset_t set;

    (void)sigpending(&set);
    return sigismember(&set, SIGPROF);
}

static void test_a_running_thread_is_sent_no_signal(void **state)
{
    sigset_t set, before;

    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPROF);
    (void)pthread_sigmask(SIG_BLOCK, &set, &before);
    sonde_prof__wall_round(DT_NS); /* this very thread is running */
    assert_false(is_pending());
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(atomic_load(&sonde_prof__slot_find(my_tid())->wall_events), 1);
}

/* poll() and nanosleep() are not begun again after a handler. */
static void test_who_is_about_to_sleep_is_not_interrupted(void **state)
{
    static sleeper s[8];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(s); i++)
        launch(&s[i], in_naps);
    for (i = 0; i < 2000; i++) {
        sonde_prof__wall_round(DT_NS);
        empty();
    }
    for (i = 0; i < COUNT_OF(s); i++)
        end(&s[i]);
    for (i = 0; i < COUNT_OF(s); i++)
        assert_int_equal(s[i].interrupted, 0);
}

static void test_what_a_thread_was_asked_is_told_when_it_blocks_for_long(void **state)
{
    static sleeper s;
    sonde_prof__slot *slot;
    uint64_t k;
    tally t;

    (void)state;
    launch(&s, in_poll);
    rounds_until_asleep(&s, SONDE_PROF__IN_POLL);
    slot = sonde_prof__slot_find(s.tid);
    atomic_store(&slot->wall_ns, 3 * DT_NS);
    atomic_store(&slot->wall_events, 3);
    slot->wall->asked_ns = UINT64_MAX / 2; /* in the time to come: not long ago */
    sonde_prof__wall_round(DT_NS);
    assert_int_equal(look(s.tid, SONDE_PROF__RUNNING, in_poll).in_state, 0);
    slot->wall->asked_ns = 0;
    for (k = 0; k < 2; k++) { /* asleep as at the last look, and looked at anew */
        sonde_prof__wall_round(DT_NS);
        t = look(s.tid, SONDE_PROF__RUNNING, in_poll);
        assert_int_equal(t.in_state, 1);
        assert_int_equal(t.ns, (5 - k) * DT_NS);
        assert_int_equal(t.events, 5 - k);
        empty();
        atomic_store(&slot->wall_ns, 3 * DT_NS);
        atomic_store(&slot->wall_events, 3);
        slot->wall->tid = 0;
    }
    end(&s);
}

static void *ask_and_end(void *arg)
{
    sonde_prof__slot *slot;

    sonde_prof__thread_begin();
    slot = sonde_prof__slot_find(my_tid());
    atomic_store(&slot->wall_ns, 3 * DT_NS);
    atomic_store(&slot->wall_events, 3);
    sonde_prof__thread_end((uintptr_t)ask_and_end);
    *(uint32_t *)arg = my_tid();
    return NULL;
}

static void test_what_a_thread_was_asked_is_told_when_it_ends(void **state)
{
    pthread_t thread;
    uint32_t tid = 0;
    tally t;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, ask_and_end, &tid), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    t = look_for(tid, SONDE_PROF__RUNNING, (uint64_t)(uintptr_t)ask_and_end);
    assert_int_equal(t.records, 1);
    assert_int_equal(t.in_state, 1);
    assert_int_equal(t.in_function, 1);
    assert_int_equal(t.ns, 3 * DT_NS);
}

/* Until the calling thread's clock has come to it. */
static void answer(void)
{
    const sonde_prof__slot *slot = sonde_prof__slot_find(my_tid());

    while (atomic_load(&slot->wall_events) != 0)
        for (int i = 0; i < 1000; i++)
            sink += (uint64_t)i;
    (void)getppid(); /* the thread sanitizer calls handlers at system calls */
}

#define MANY 40

/* 16 looks for 40 threads and more: what they say adds up to all threads' time. */
static void test_looks_weigh_what_was_not_looked_at(void **state)
{
    static sleeper s[MANY];
    uint32_t i;
    tally t;

    (void)state;
    for (i = 0; i < MANY; i++)
        launch(&s[i], in_poll);
    for (i = 0; i < MANY; i++)
        rounds_until_asleep(&s[i], SONDE_PROF__IN_POLL);
    sonde_prof__wall_round(DT_NS);
    answer(); /* the main thread, if it was asked */
    t = look(0, SONDE_PROF__IN_POLL, in_poll);
    assert_int_equal(t.records, 16);
    assert_true(t.ns <= (MANY + 1) * DT_NS && t.ns + 16 >= (MANY + 1) * DT_NS);
    assert_true(t.events >= 32 && t.events <= 48);
    for (i = 0; i < MANY; i++)
        end(&s[i]);
}

static void test_threads_in_a_span_are_looked_at_first(void **state)
{
    static sleeper s[MANY];
    uint32_t i;
    tally t;

    (void)state;
    for (i = 0; i < MANY; i++) {
        s[i].in_span = i < 3;
        launch(&s[i], in_poll);
    }
    for (i = 0; i < 3; i++)
        rounds_until_asleep(&s[i], SONDE_PROF__IN_POLL);
    for (i = 0; i < 10; i++)
        sonde_prof__wall_round(DT_NS);
    for (i = 0; i < 3; i++) {
        t = look(s[i].tid, SONDE_PROF__IN_POLL, in_poll);
        assert_int_equal(t.records, 10);
        assert_int_equal(t.events, 10);
        assert_int_equal(t.ns, 10 * DT_NS);
        assert_int_equal(t.in_span, 10);
    }
    for (i = 0; i < MANY; i++)
        end(&s[i]);
}

/* -- a storm of contexts ---------------------------------------------------------------------------- */

#define WRITERS 4

typedef struct writer {
    sonde_thread_ctx record;
    _Atomic uint32_t tid;
    _Atomic bool end;
} writer;

/* Everything in a record follows from its number: what is torn does not. */
static void write_record(sonde_thread_ctx *r, uint32_t tid, uint64_t number)
{
    uint32_t seq = atomic_load_explicit(&r->seq, memory_order_relaxed);
    uint64_t id = (uint64_t)tid << 32 | (number & 0xffffffff);
    int i;

    atomic_store_explicit(&r->seq, seq + 1, memory_order_relaxed);
    atomic_store_explicit(&r->valid, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (i = 0; i < 8; i++) {
        r->trace_id[i] = (uint8_t)(~id >> (56 - 8 * i));
        r->trace_id[8 + i] = (uint8_t)(id >> (56 - 8 * i));
    }
    r->span_id_host = id * 3;
    r->local_root_id_host = id * 5;
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&r->valid, number % 7 != 0, memory_order_relaxed);
    atomic_store_explicit(&r->seq, seq + 2, memory_order_release);
}

static void *write_contexts(void *arg)
{
    writer *w = arg;
    uint64_t number = 1;

    sonde_prof__thread_begin();
    atomic_store(&w->record.tid, my_tid());
    sonde_prof_set_context_record(&w->record);
    atomic_store(&w->tid, my_tid());
    while (!atomic_load_explicit(&w->end, memory_order_relaxed))
        write_record(&w->record, my_tid(), number++);
    sonde_prof__thread_end(0);
    return NULL;
}

static void check_context(const sonde_prof__sample *s)
{
    const sonde_prof__context *c = &s->context;

    if (c->span_id == 0 && c->trace_lo == 0)
        return;
    if (c->trace_lo >> 32 != s->tid || c->trace_hi != ~c->trace_lo ||
        c->span_id != c->trace_lo * 3 || c->local_root_id != c->trace_lo * 5)
        fail_msg("a torn context: trace %llx %llx, span %llx, root %llx",
                 (unsigned long long)c->trace_hi, (unsigned long long)c->trace_lo,
                 (unsigned long long)c->span_id, (unsigned long long)c->local_root_id);
}

static void test_no_sample_has_a_context_that_never_was(void **state)
{
    static writer w[WRITERS];
    pthread_t threads[WRITERS];
    uint32_t i, k, in_span = 0;
    sonde_prof__context c;

    (void)state;
    for (i = 0; i < WRITERS; i++) {
        memset(&w[i], 0, sizeof(w[i]));
        assert_int_equal(pthread_create(&threads[i], NULL, write_contexts, &w[i]), 0);
        while (atomic_load(&w[i].tid) == 0)
            (void)sched_yield();
    }
    for (k = 0; k < 3000 || in_span < 100; k++) {
        sonde_prof__wall_round(DT_NS); /* by signal, on the thread itself */
        for (i = 0; i < WRITERS; i++) {
            sonde_prof__slot *slot = sonde_prof__slot_find(w[i].tid);
            const sonde_prof__sample *s;
            sonde_prof__sample remote = { .tid = w[i].tid };

            sonde_prof__context_read_remote(slot, &c);
            remote.context = c;
            check_context(&remote);
            for (; (s = sonde_prof__ring_peek(&slot->ring)) != NULL;
                 sonde_prof__ring_pop(&slot->ring)) {
                check_context(s);
                in_span += s->context.span_id != 0;
            }
        }
    }
    for (i = 0; i < WRITERS; i++) {
        atomic_store(&w[i].end, true);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        atomic_store(&w[i].record.tid, 0);
    }
}

static void test_no_signal_is_under_way_when_a_program_begins(void **state)
{
    sigset_t set, before;

    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPROF);
    (void)pthread_sigmask(SIG_BLOCK, &set, &before);
    sonde_prof__self.slot = sonde_prof__slot_find(my_tid());
    sonde_prof__wall_round(DT_NS); /* this very thread is running */
    assert_true(is_pending());
    sonde_prof__exec_begin();
    assert_false(is_pending());
    sonde_prof__wall_round(DT_NS);
    assert_false(is_pending());
    sonde_prof__exec_failed();
    sonde_prof__wall_round(DT_NS);
    assert_true(is_pending());
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_false(is_pending());
    assert_int_equal(look(my_tid(), SONDE_PROF__RUNNING, NULL).ns, DT_NS);
}

static void test_anothers_signal_goes_on_waiting(void **state)
{
    sigset_t set, before;
    siginfo_t info;

    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPROF);
    (void)pthread_sigmask(SIG_BLOCK, &set, &before);
    sonde_prof__self.slot = sonde_prof__slot_find(my_tid());
    assert_int_equal(pthread_kill(pthread_self(), SIGPROF), 0);
    sonde_prof__exec_begin();
    assert_true(is_pending());
    assert_int_equal(sigwaitinfo(&set, &info), SIGPROF);
    assert_int_not_equal(info.si_code, SI_QUEUE);
    sonde_prof__exec_failed();
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void test_its_thread_makes_rounds(void **state)
{
    uint64_t ticks = atomic_load(&sonde_prof__count.wall_ticks);
    const struct timespec ms = { 0, SONDE_NS_PER_MS };

    (void)state;
    sonde_prof__wall_stop();
    assert_int_equal(sonde_prof__samplers_wall_interval_ns(), 0);
    sonde_prof__samplers_stop();
    assert_status(sonde_prof__samplers_start(&(sonde_prof__sampler_settings){
                      .wall = true, .wall_interval_ns = SONDE_NS_PER_MS }),
                  SONDE_OK);
    while (atomic_load(&sonde_prof__count.wall_ticks) < ticks + 5)
        (void)nanosleep(&ms, NULL);
}

static int setup(void **state)
{
    (void)state;
    sonde_prof__arena_install(); /* what slots hold is never given back */
    loaded_read(&fake_maps);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loaded_free(&fake_maps);
    sonde_alloc_set(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_kernel_says_is_understood),
        cmocka_unit_test_setup_teardown(test_sleeping_threads_are_seen_where_they_sleep, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_a_thread_that_has_not_moved_is_not_walked_again, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_a_running_thread_looks_itself, start, stop),
        cmocka_unit_test_setup_teardown(test_a_running_thread_is_sent_no_signal,
                                        start_without_ticks, stop),
        cmocka_unit_test_setup_teardown(test_who_is_about_to_sleep_is_not_interrupted,
                                        start_without_ticks, stop),
        cmocka_unit_test_setup_teardown(
            test_what_a_thread_was_asked_is_told_when_it_blocks_for_long, start_without_ticks,
            stop),
        cmocka_unit_test_setup_teardown(test_what_a_thread_was_asked_is_told_when_it_ends,
                                        start_without_ticks, stop),
        cmocka_unit_test_setup_teardown(test_looks_weigh_what_was_not_looked_at, start, stop),
        cmocka_unit_test_setup_teardown(test_threads_in_a_span_are_looked_at_first, start, stop),
        cmocka_unit_test_setup_teardown(test_no_sample_has_a_context_that_never_was, start, stop),
        cmocka_unit_test_setup_teardown(test_no_signal_is_under_way_when_a_program_begins,
                                        start_by_signal, stop),
        cmocka_unit_test_setup_teardown(test_anothers_signal_goes_on_waiting, start, stop),
        cmocka_unit_test_setup_teardown(test_its_thread_makes_rounds, start, stop),
    };

#ifdef __SANITIZE_THREAD__
    return 0; /* it keeps signals for later */
#endif
    return cmocka_run_group_tests_name("wall", tests, setup, teardown);
}
