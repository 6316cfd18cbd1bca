/* storm.c - a traced program that does to its process what programs do, often and at once.
 *
 *   storm PART SCALE TOTALS_FILE
 *
 * One part a run; SCALE is how often.  Every process of the storm adds its counters to TOTALS_FILE when it
 * ends, so that they can be compared with what the agent received.  `failures` counts, and standard error
 * names, what broke: a law of <sonde/counters.h>, a process that ended otherwise than it should, or hung.
 *
 * Threads that trace record; laws are looked at when a process has only one thread left. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"
#include "sonde/sonde.h"

extern char **environ;

#define HANG_S 240 /* a process that lives longer hangs */

typedef struct totals { /* a file all processes have mapped */
    _Atomic uint64_t processes;
    _Atomic uint64_t finished;
    _Atomic uint64_t delivered;
    _Atomic uint64_t dropped;
    _Atomic uint64_t failures;
} totals;

static totals *all;
static char *self, *totals_file;
static uint64_t scale;

static void fail(const char *what)
{
    fprintf(stderr, "storm: pid %d: %s\n", (int)getpid(), what);
    atomic_fetch_add(&all->failures, 1);
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail(#condition);                                                                      \
    } while (0)

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

/* Runs last in every process: it is registered before the tracer's own exit handler. */
static void add_totals(void)
{
    sonde_counters c = counters();
    uint64_t dropped = 0;
    uint32_t i;

    for (i = 0; i < c.drops; i++)
        dropped += c.spans_dropped[i];
    EXPECT(c.spans_started == c.spans_open + c.spans_finished && c.spans_open <= c.spans_started);
    EXPECT(c.spans_finished == c.spans_delivered + dropped + c.spans_queued);
    EXPECT(c.spans_queued == 0 && c.chunks_queued == 0);
    EXPECT(c.memory_bytes <= c.memory_max_bytes);
    atomic_fetch_add(&all->processes, 1);
    atomic_fetch_add(&all->finished, c.spans_finished);
    atomic_fetch_add(&all->delivered, c.spans_delivered);
    atomic_fetch_add(&all->dropped, dropped);
}

static void start(void)
{
    EXPECT(sonde_start(&(sonde_options){ .stop_timeout_ms = 60000 }) == SONDE_OK);
}

/* A trace of three spans, some of them with a tag, an error, a context that is handed round. */
static void trace_once(uint64_t n)
{
    SONDE_SPAN(root, "storm.root");
    sonde_context *context = sonde_context_current();

    sonde_span_set_int(root, "n", (int64_t)n);
    {
        SONDE_SPAN(child, "storm.child");
        sonde_span_set_str(child, "text",
                           "some text that is a little longer than a cell's own room");
        if (n % 5 == 0)
            sonde_span_error(child, "storm", "it blows");
    }
    {
        SONDE_ATTACH(context);
        SONDE_SPAN(other, "storm.other");
    }
    sonde_context_release(context);
}

/* ---- threads that trace until they are told to end ---- */

#define BUSY_MAX 4

static pthread_t busy[BUSY_MAX];
static atomic_bool calm;

static void *trace_busily(void *unused)
{
    const struct timespec moment = { .tv_nsec = 500000 };
    uint64_t n;

    (void)unused;
    for (n = 0; !atomic_load(&calm); n++) {
        trace_once(n);
        nanosleep(&moment, NULL); /* busy, yet not more than an agent takes */
    }
    return NULL;
}

static void start_busy(void)
{
    int i;

    atomic_store(&calm, false);
    for (i = 0; i < BUSY_MAX; i++)
        if (pthread_create(&busy[i], NULL, trace_busily, NULL) != 0)
            abort();
}

static void end_busy(void)
{
    int i;

    atomic_store(&calm, true);
    for (i = 0; i < BUSY_MAX; i++)
        pthread_join(busy[i], NULL);
}

/* ---- other processes ---- */

static void await(pid_t pid, int want, const char *what)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == want))
        fail(what);
}

static pid_t run_part(const char *part)
{
    char *argv[] = { self, (char *)(uintptr_t)part, (char *)(uintptr_t) "1", totals_file, NULL };
    pid_t pid = -1;

    if (posix_spawn(&pid, self, NULL, NULL, argv, environ) != 0)
        fail("posix_spawn");
    return pid;
}

/* ---- threads: ten thousand in all ---- */

#define CROWD 50

typedef struct guest {
    pthread_t thread;
    sonde_context *invitation; /* borrowed */
    sonde_span *left_open;
} guest;

static pthread_key_t on_leaving;

/* Runs while the thread ends, before or after the tracer's own clean-up of it: both must do. */
static void trace_while_leaving(void *again)
{
    trace_once(3);
    if ((intptr_t)again < 3)
        (void)pthread_setspecific(on_leaving, (void *)((intptr_t)again + 1));
}

static void *visit(void *guest_)
{
    guest *g = (guest *)guest_;

    (void)pthread_setspecific(on_leaving, (void *)1);
    g->left_open =
        sonde_span_enter("storm.visit", &(sonde_span_options){ .context = g->invitation });
    trace_once((uint64_t)(uintptr_t)g);
    (void)sonde_context_attach(g->invitation); /* never detached */
    return NULL;
}

static void part_threads(void)
{
    static guest guests[CROWD];
    sonde_span *host;
    sonde_context *invitation;
    uint64_t round, i;

    EXPECT(pthread_key_create(&on_leaving, trace_while_leaving) == 0);
    start();
    host = sonde_span_start("storm.host", NULL);
    invitation = sonde_context_of_span(host);
    for (round = 0; round < scale / CROWD; round++) {
        for (i = 0; i < CROWD; i++) {
            guests[i] = (guest){ .invitation = invitation };
            if (pthread_create(&guests[i].thread, NULL, visit, &guests[i]) != 0)
                abort();
        }
        for (i = 0; i < CROWD; i++) {
            pthread_join(guests[i].thread, NULL);
            sonde_span_finish(guests[i].left_open); /* of a thread that is gone */
        }
    }
    sonde_context_release(invitation);
    sonde_span_finish(host);
    EXPECT(counters().threads_refused == 0);
}

/* ---- fork: from threads, with open spans, and again in the child ---- */

static void trace_as_child(sonde_span *inherited, sonde_context *context)
{
    uint64_t n;

    EXPECT(counters().spans_started == 0);
    alarm(HANG_S);
    sonde_span_set_str(inherited, "k", "not mine");
    sonde_span_finish(inherited);
    for (n = 0; n < 5; n++)
        trace_once(n);
    sonde_span_finish(
        sonde_span_start("storm.of.parent", &(sonde_span_options){ .context = context }));
}

/* Traces, and has children of its own while a span is open; ends without a stop. */
static _Noreturn void be_child(sonde_span *inherited, sonde_context *context, unsigned depth)
{
    for (;;) {
        pid_t pid;

        trace_as_child(inherited, context);
        if (depth == 0)
            exit(0);
        inherited = sonde_span_enter("storm.open", NULL);
        pid = fork();
        if (pid != 0) {
            await(pid, 0, "a grandchild did not end well");
            sonde_span_leave(inherited);
            exit(0);
        }
        depth--;
    }
}

static void *fork_often(void *unused)
{
    sonde_span *open = sonde_span_enter("storm.forker", NULL);
    sonde_context *context = sonde_context_current();
    uint64_t n;

    (void)unused;
    for (n = 0; n < scale; n++) {
        pid_t pid;

        trace_once(n);
        pid = fork();
        if (pid == 0)
            be_child(open, context, n % 4 == 0 ? 2 : 0);
        await(pid, 0, "a child did not end well");
    }
    sonde_context_release(context);
    sonde_span_leave(open);
    return NULL;
}

static void part_fork(void)
{
    pthread_t forkers[2];
    int i;

    start();
    start_busy();
    for (i = 0; i < 2; i++)
        if (pthread_create(&forkers[i], NULL, fork_often, NULL) != 0)
            abort();
    for (i = 0; i < 2; i++)
        pthread_join(forkers[i], NULL);
    end_busy();
}

/* ---- exec: with open spans and threads that hold some, by fork, vfork and spawn ---- */

static sem_t holding;

static void *hold_span(void *unused)
{
    (void)unused;
    (void)sonde_span_enter("storm.held", NULL);
    sem_post(&holding);
    for (;;)
        pause();
    return NULL;
}

/* What was open is gone with the old program, which is why only closed books are added. */
static void part_leaf(void)
{
    start();
    trace_once(1);
}

static void part_exec_now(void)
{
    char leaf[] = "leaf", one[] = "1";
    char *argv[] = { self, leaf, one, totals_file, NULL };
    pthread_t holder;

    start();
    EXPECT(sem_init(&holding, 0, 0) == 0);
    if (pthread_create(&holder, NULL, hold_span, NULL) != 0)
        abort();
    while (sem_wait(&holding) != 0)
        continue;
    trace_once(0);
    (void)sonde_span_enter("storm.open", NULL);
    EXPECT(sonde_flush(60000) == SONDE_OK);
    add_totals();
    (void)execv(self, argv);
    fail("execv");
}

static void exec_by_vfork(void)
{
    char leaf[] = "leaf", one[] = "1";
    char *argv[] = { self, leaf, one, totals_file, NULL };
    pid_t pid;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    pid = vfork();
#pragma GCC diagnostic pop
    if (pid == 0) {
        (void)execv(self, argv);
        _exit(9);
    }
    await(pid, 0, "a program behind vfork did not end well");
}

static void part_exec(void)
{
    uint64_t n;

    start();
    start_busy();
    for (n = 0; n < scale; n++) {
        SONDE_SPAN(open, "storm.parent");

        await(run_part("exec_now"), 0, "a program that replaced itself did not end well");
        exec_by_vfork();
    }
    end_busy();
}

/* ---- exit: every way to end without sonde_stop() ---- */

static void part_exit_open(void)
{
    start();
    trace_once(1);
    (void)sonde_span_enter("storm.open", NULL);
    exit(3);
}

static void part_exit_busy(void)
{
    start();
    start_busy();
    trace_once(2);
    exit(3); /* the others trace on meanwhile */
}

static void *exit_from_here(void *unused)
{
    (void)unused;
    trace_once(3);
    exit(3);
}

static void part_exit_thread(void)
{
    pthread_t thread;

    start();
    start_busy();
    if (pthread_create(&thread, NULL, exit_from_here, NULL) != 0)
        abort();
    pthread_join(thread, NULL); /* returns only because the process ends */
}

static void *finish_later(void *unused)
{
    const struct timespec moment = { .tv_nsec = 20000000 };

    (void)unused;
    nanosleep(&moment, NULL);
    trace_once(4);
    exit(3);
}

static void part_exit_main_first(void)
{
    pthread_t thread;

    start();
    if (pthread_create(&thread, NULL, finish_later, NULL) != 0)
        abort();
    trace_once(5);
    pthread_exit(NULL);
}

static void part_exit_at_once(void)
{
    start();
    trace_once(6);
    EXPECT(sonde_flush(60000) == SONDE_OK);
    add_totals();
    _exit(3); /* no handler runs */
}

static void part_exit_quick(void)
{
    start();
    trace_once(7);
    EXPECT(sonde_flush(60000) == SONDE_OK);
    add_totals();
    quick_exit(3);
}

static void trace_after_all(void)
{
    trace_once(8);
    sonde_stop();
    (void)sonde_flush(1);
}

static void part_exit_handlers(void)
{
    (void)atexit(trace_after_all); /* runs after the tracer's own: inert */
    start();
    (void)atexit(trace_after_all); /* runs before it, and stops */
    trace_once(9);
    exit(3);
}

static void part_exit(void)
{
    static const char *const ways[] = { "exit_open",       "exit_busy",    "exit_thread",
                                        "exit_main_first", "exit_at_once", "exit_quick",
                                        "exit_handlers" };
    uint64_t n;
    size_t i;

    for (n = 0; n < scale; n++)
        for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
            await(run_part(ways[i]), 3, ways[i]);
}

/* ---- signals: every system call interrupted, none of them ours to keep ---- */

static _Atomic uint64_t interrupts, interrupts_of_tracer;

static void on_signal(int number)
{
    char name[17] = "";
    int was = errno;

    (void)number;
    (void)prctl(PR_GET_NAME, name);
    if (strncmp(name, "sonde", 5) == 0)
        atomic_fetch_add(&interrupts_of_tracer, 1);
    else
        atomic_fetch_add(&interrupts, 1);
    errno = was;
}

static void *trace_some(void *unused)
{
    uint64_t n;

    (void)unused;
    for (n = 0; n < scale; n++) {
        trace_once(n);
        if (n % 50 == 0)
            EXPECT(sonde_flush(60000) == SONDE_OK);
    }
    return NULL;
}

static void part_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART */
    struct itimerval every = { { 0, 500 }, { 0, 500 } };
    struct itimerval never = { { 0, 0 }, { 0, 0 } };
    pthread_t threads[2];
    int i;

    EXPECT(sigaction(SIGVTALRM, &action, NULL) == 0);
    EXPECT(sigaction(SIGPROF, &action, NULL) == 0);
    EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
    start();
    (void)setitimer(ITIMER_VIRTUAL, &every, NULL);
    (void)setitimer(ITIMER_PROF, &every, NULL);
    for (i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, trace_some, NULL) != 0)
            abort();
    for (i = 0; i < 500; i++) {
        const struct timespec moment = { .tv_nsec = 200000 };

        (void)kill(getpid(), SIGUSR1);
        (void)pthread_kill(threads[i % 2], SIGUSR1);
        nanosleep(&moment, NULL);
    }
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    (void)setitimer(ITIMER_VIRTUAL, &never, NULL);
    (void)setitimer(ITIMER_PROF, &never, NULL);
    EXPECT(atomic_load(&interrupts) > 0);
    EXPECT(atomic_load(&interrupts_of_tracer) == 0);
}

/* ---- cycles: stop and start while others trace, hold spans and hand contexts on ---- */

static void part_cycles(void)
{
    uint64_t n;

    start();
    start_busy();
    for (n = 0; n < scale; n++) {
        const struct timespec moment = { .tv_nsec = 1000000 };
        sonde_span *open = sonde_span_enter("storm.across", NULL);
        sonde_context *context = sonde_context_current();

        trace_once(n);
        if (n % 3 == 0)
            EXPECT(sonde_flush(60000) == SONDE_OK);
        sonde_stop();
        trace_once(n);
        sonde_span_set_str(open, "k", "v");
        start();
        sonde_span_finish(
            sonde_span_start("storm.after", &(sonde_span_options){ .context = context }));
        sonde_span_leave(open);
        sonde_context_release(context);
        nanosleep(&moment, NULL);
    }
    end_busy();
}

/* ---- memory: the system has none left ---- */

static void *trace_hungrily(void *unused)
{
    uint64_t n;

    (void)unused;
    for (n = 0; n < scale; n++)
        trace_once(n);
    return NULL;
}

static void part_memory(void)
{
    struct rlimit none = { 1 << 20, RLIM_INFINITY }; /* below what is mapped already */
    struct rlimit before;
    pthread_t threads[2];
    int i;

    EXPECT(getrlimit(RLIMIT_AS, &before) == 0);
    start(); /* its region is reserved, its thread is not started */
    for (i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, trace_hungrily, NULL) != 0)
            abort();
    none.rlim_max = before.rlim_max;
    EXPECT(setrlimit(RLIMIT_AS, &none) == 0);
    (void)trace_hungrily(NULL);
    (void)sonde_flush(10);
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    EXPECT(setrlimit(RLIMIT_AS, &before) == 0);
    sonde_stop();
    start(); /* and then there is some again */
    {
        uint64_t had = counters().spans_delivered;

        trace_once(1);
        EXPECT(sonde_flush(60000) == SONDE_OK);
        EXPECT(counters().spans_delivered == had + 3);
    }
}

/* ---- the program ---- */

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    { "threads", part_threads },
    { "fork", part_fork },
    { "exec", part_exec },
    { "exit", part_exit },
    { "signals", part_signals },
    { "cycles", part_cycles },
    { "memory", part_memory },
    /* what the others run */
    { "leaf", part_leaf },
    { "exec_now", part_exec_now },
    { "exit_open", part_exit_open },
    { "exit_busy", part_exit_busy },
    { "exit_thread", part_exit_thread },
    { "exit_main_first", part_exit_main_first },
    { "exit_at_once", part_exit_at_once },
    { "exit_quick", part_exit_quick },
    { "exit_handlers", part_exit_handlers },
};

static bool map_totals(void)
{
    int fd = open(totals_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, sizeof(totals)) != 0)
        return false;
    all = (totals *)mmap(NULL, sizeof(totals), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return all != MAP_FAILED;
}

int main(int argc, char **argv)
{
    size_t i;

    self = argv[0];
    if (argc != 4 || sonde_parse_u64(sonde_str_from(argv[2]), &scale) != SONDE_OK)
        return 2;
    totals_file = argv[3];
    if (!map_totals())
        return 2;
    (void)atexit(add_totals);
    alarm(HANG_S);
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(argv[1], parts[i].name) == 0) {
            parts[i].run();
            return 0;
        }
    return 2;
}
