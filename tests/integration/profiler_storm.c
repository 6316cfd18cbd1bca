/* profiler_storm.c - what programs do that profilers trip over, a part a name: forks, spawn, exec, dlopen, threads, altstack, deep, fibers,
 * signals, fetched, files, memory, overflow, undumpable, stopped; throw, churn, libraries, descriptors, chroot, addresses, seccomp
 * (profiler_storm_limits.c).
 *
 *   profiler_storm PART SCALE MODULE
 *
 * Each part prints what it found, which is the same on every machine and does not depend on who looks on.  On standard
 * error it says whether a profiler ran and took samples.
 *
 * Bounds    SCALE times some tens of milliseconds of work. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sonde/profiler.h"

#include "profiler_storm.h"

#define THREADS 4
#define FIBERS  8

extern char **environ;

const char *self_path;
const char *storm_module;
uint64_t storm_scale;

static void fail(const char *what)
{
    (void)printf("failed: %s\n", what);
    (void)fflush(stdout);
    _exit(99);
}

void expect(bool ok, const char *what)
{
    if (!ok)
        fail(what);
}

/* -- work ------------------------------------------------------------------------------------------- */

__attribute__((noinline)) uint64_t mix(uint64_t seed, uint64_t rounds)
{
    uint64_t x = seed | 1, i;

    for (i = 0; i < rounds; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

__attribute__((noinline)) uint64_t climb(uint64_t seed, unsigned depth)
{
    volatile char frame[64];
    uint64_t below;

    frame[seed % sizeof(frame)] = (char)depth;
    below = depth > 0 ? climb(seed, depth - 1) : mix(seed, 20000);
    return below + (uint64_t)frame[seed % sizeof(frame)];
}

uint64_t churn_memory(uint64_t seed, int rounds)
{
    enum { BLOCKS = 64 };
    struct {
        uint8_t *at;
        size_t len;
        uint8_t fill;
    } blocks[BLOCKS] = { { NULL, 0, 0 } };
    uint64_t sum = 0;
    int i;

    for (i = 0; i < rounds; i++) {
        uint64_t dice = mix(seed + (uint64_t)i, 3);
        size_t k = dice % BLOCKS, len = (size_t)(dice >> 8) % 9000 + 1, old = blocks[k].len;

        if (old)
            expect(blocks[k].at[0] == blocks[k].fill && blocks[k].at[old - 1] == blocks[k].fill,
                   "a block holds what was written");
        if (dice >> 40 & 1) {
            free(blocks[k].at);
            blocks[k].at = malloc(len);
        } else {
            blocks[k].at = realloc(blocks[k].at, len);
        }
        expect(blocks[k].at != NULL, "memory");
        blocks[k].len = len;
        blocks[k].fill = (uint8_t)dice;
        memset(blocks[k].at, blocks[k].fill, len);
        sum += len;
    }
    for (i = 0; i < BLOCKS; i++)
        free(blocks[i].at);
    return sum;
}

/* -- threads ---------------------------------------------------------------------------------------- */

void in_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    uintptr_t i;

    for (i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, run, (void *)i) == 0, "pthread_create");
    for (i = 0; i < THREADS; i++)
        expect(pthread_join(threads[i], NULL) == 0, "pthread_join");
}

static void *short_life(void *arg)
{
    return (void *)(uintptr_t)mix((uint64_t)(uintptr_t)arg, 50);
}

static void *exits_early(void *arg)
{
    (void)churn_memory((uintptr_t)arg, 20);
    pthread_exit(arg);
}

static void *makes_threads(void *arg)
{
    uint64_t i;

    for (i = 0; i < 250 * storm_scale; i++) {
        pthread_t thread;
        void *result;

        expect(pthread_create(&thread, NULL, i % 2 ? short_life : exits_early, (void *)i) == 0,
               "pthread_create");
        expect(pthread_join(thread, &result) == 0, "pthread_join");
        expect((uintptr_t)result == (i % 2 ? (uintptr_t)mix(i, 50) : i), "a thread's result");
    }
    return arg;
}

static void part_threads(void)
{
    in_threads(makes_threads);
}

/* -- processes -------------------------------------------------------------------------------------- */

static int status_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) != child)
        expect(errno == EINTR, "waitpid");
    return status;
}

static void *makes_processes(void *arg)
{
    uint64_t i;

    for (i = 0; i < 20 * storm_scale; i++) {
        pid_t child = fork();
        int status;

        if (child == 0)
            _exit((int)((mix(i, 20000) + churn_memory(i, 50)) % 100));
        status = status_of(child);
        expect(WIFEXITED(status) &&
                   (uint64_t)WEXITSTATUS(status) == (mix(i, 20000) + churn_memory(i, 50)) % 100,
               "the exit code of a forked child");
    }
    return arg;
}

static void part_forks(void)
{
    in_threads(makes_processes);
}

static pid_t run_by_vfork(char *const argv[])
{
    pid_t child = vfork();

    if (child == 0) {
        (void)execv(self_path, argv);
        _exit(98);
    }
    return child;
}

static void *spawns(void *arg)
{
    char code[8];
    char *const argv[] = { (char *)(uintptr_t)self_path, (char *)(uintptr_t) "exit", code, NULL };
    uint64_t i;

    for (i = 0; i < 5 * storm_scale; i++) {
        pid_t child = 0;
        int status;

        (void)snprintf(code, sizeof(code), "%d", (int)(i % 90));
        if (i % 2) {
            expect(posix_spawn(&child, self_path, NULL, NULL, argv, environ) == 0, "posix_spawn");
        } else {
            child = run_by_vfork(argv);
        }
        status = status_of(child);
        expect(WIFEXITED(status) && WEXITSTATUS(status) == (int)(i % 90),
               "a spawned program's code");
    }
    return arg;
}

static void part_spawn(void)
{
    in_threads(spawns);
}

static void *burns_for_ever(void *arg)
{
    for (;;)
        (void)climb(1, 20);
    return arg;
}

/* Again and again another program in the same process, while threads are being sampled. */
static void part_exec(void)
{
    char left[24];
    pthread_t thread;

    if (storm_scale == 0)
        return;
    expect(pthread_create(&thread, NULL, burns_for_ever, NULL) == 0, "pthread_create");
    (void)climb(2, 30);
    (void)mix(3, 3000000);
    (void)snprintf(left, sizeof(left), "%llu", (unsigned long long)(storm_scale - 1));
    (void)execl("/no/such/program", "x", (char *)NULL);
    expect(errno == ENOENT, "exec of nothing fails");
    (void)execl(self_path, self_path, "exec", left, storm_module, (char *)NULL);
    fail("exec");
}

static void part_overflow(void)
{
    uint64_t i;

    for (i = 0; i < 2 * storm_scale; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            const struct rlimit small = { 1u << 20, 1u << 20 }, none = { 0, 0 };

            (void)setrlimit(RLIMIT_STACK, &small);
            (void)setrlimit(RLIMIT_CORE, &none);
            _exit((int)climb(1, 10000000) & 1);
        }
        status = status_of(child);
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
               "a stack overflow ends with SIGSEGV");
    }
}

static void part_stopped(void)
{
    uint64_t i;

    for (i = 0; i < storm_scale; i++) {
        pid_t child = fork();
        int status, k;

        if (child == 0)
            _exit((int)(mix(i, 20000000) % 100));
        for (k = 0; k < 5; k++) {
            expect(kill(child, SIGSTOP) == 0, "SIGSTOP");
            expect(waitpid(child, &status, WUNTRACED) == child, "waitpid");
            if (!WIFSTOPPED(status))
                break; /* it had ended before */
            expect(kill(child, SIGCONT) == 0, "SIGCONT");
        }
        if (k == 5)
            status = status_of(child);
        expect(WIFEXITED(status) && (uint64_t)WEXITSTATUS(status) == mix(i, 20000000) % 100,
               "the code of a child that was stopped");
    }
}

/* -- code that comes and goes ----------------------------------------------------------------------- */

static void *loads(void *arg)
{
    union {
        void *object;
        uint64_t (*function)(uint64_t seed, uint64_t (*back)(uint64_t, uint64_t));
    } found;
    uint64_t i;

    for (i = 0; i < 100 * storm_scale; i++) {
        void *library = dlopen(storm_module, RTLD_NOW | RTLD_LOCAL);

        expect(library != NULL, "dlopen");
        found.object = dlsym(library, "storm_module");
        expect(found.object != NULL, "dlsym");
        expect(found.function(i, mix) == mix(i, 2000) + 1, "what the module says");
        expect(dlclose(library) == 0, "dlclose");
    }
    return arg;
}

static void part_dlopen(void)
{
    in_threads(loads);
}

/* -- stacks of other kinds -------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;
static sigjmp_buf out_of_handler;

static void on_signal_burn(int signo)
{
    (void)signo;
    handled++;
    (void)climb((uint64_t)handled, 10);
}

static void on_signal_jump(int signo)
{
    (void)signo;
    handled++;
    (void)climb((uint64_t)handled, 5);
    siglongjmp(out_of_handler, 1);
}

static void part_altstack(void)
{
    struct sigaction burn = { .sa_handler = on_signal_burn, .sa_flags = SA_ONSTACK };
    struct sigaction jump = { .sa_handler = on_signal_jump, .sa_flags = SA_ONSTACK };
    stack_t stack = { .ss_size = 65536 };
    uint64_t i;

    stack.ss_sp = malloc(stack.ss_size);
    expect(stack.ss_sp && sigaltstack(&stack, NULL) == 0, "sigaltstack");
    expect(sigaction(SIGUSR1, &burn, NULL) == 0 && sigaction(SIGUSR2, &jump, NULL) == 0,
           "sigaction");
    for (i = 0; i < 500 * storm_scale; i++) {
        (void)raise(SIGUSR1);
        if (sigsetjmp(out_of_handler, 1) == 0) {
            (void)raise(SIGUSR2);
            fail("the handler jumps");
        }
    }
    expect((uint64_t)handled == 1000 * storm_scale, "every signal is handled once");
}

static void part_deep(void)
{
    uint64_t i;

    for (i = 0; i < 20 * storm_scale; i++)
        expect(climb(i, 30000) != 1, "a deep stack");
}

static ucontext_t back_to_main, fibers[FIBERS];
static uint64_t fiber_steps;

static void fiber(int number)
{
    uint64_t i;

    for (i = 0; i < 100 * storm_scale; i++) {
        (void)climb(i, 8);
        fiber_steps++;
        (void)swapcontext(&fibers[number], number + 1 < FIBERS ? &fibers[number + 1] : &fibers[0]);
    }
    (void)setcontext(&back_to_main);
}

static void part_fibers(void)
{
    static char *stacks[FIBERS];
    int i;

    for (i = 0; i < FIBERS; i++) {
        stacks[i] = malloc(32768);
        expect(stacks[i] && getcontext(&fibers[i]) == 0, "getcontext");
        fibers[i].uc_stack.ss_sp = stacks[i];
        fibers[i].uc_stack.ss_size = 32768;
        makecontext(&fibers[i], (void (*)(void))(uintptr_t)fiber, 1, i);
    }
    expect(swapcontext(&back_to_main, &fibers[0]) == 0, "swapcontext");
    expect(fiber_steps == FIBERS * 100 * storm_scale, "every fiber's steps");
    for (i = 0; i < FIBERS; i++)
        free(stacks[i]);
}

/* -- signals of the program's own ------------------------------------------------------------------- */

static volatile sig_atomic_t profs, alarms;

static void on_prof(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    if (info->si_code == SI_TKILL || info->si_code == SI_USER)
        profs++;
}

static void on_alarm(int signo)
{
    (void)signo;
    alarms++;
}

static void part_signals(void)
{
    struct sigaction prof = { .sa_sigaction = on_prof, .sa_flags = SA_SIGINFO }, old;
    struct sigaction alarm = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    const struct itimerval every = { { 0, 700 }, { 0, 700 } }, never = { { 0, 0 }, { 0, 0 } };
    uint64_t i, count;

    expect(sigaction(SIGPROF, NULL, &old) == 0 && old.sa_handler == SIG_DFL, "SIGPROF is nobody's");
    expect(sigaction(SIGPROF, &prof, &old) == 0 && old.sa_handler == SIG_DFL, "SIGPROF is ours");
    expect(sigaction(SIGPROF, NULL, &old) == 0 && old.sa_sigaction == on_prof,
           "SIGPROF stays ours");
    expect(sigaction(SIGALRM, &alarm, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0,
           "setitimer");
    for (i = 0; i < 2000 * storm_scale; i++) {
        errno = 4711;
        (void)mix(i, 500);
        expect(errno == 4711, "errno");
        (void)raise(SIGPROF);
    }
    expect(setitimer(ITIMER_REAL, &never, NULL) == 0, "setitimer");
    count = (uint64_t)profs;
    /* Of one number one signal is pending at most: one that meets the profiler's is lost. */
    expect(count <= 2000 * storm_scale && count >= 1500 * storm_scale,
           "the program's own SIGPROF is handled");
    expect(signal(SIGPROF, SIG_IGN) != SIG_ERR, "signal");
    (void)raise(SIGPROF);
    expect((uint64_t)profs == count, "an ignored signal is ignored");
}

/* Signals fetched instead of handled: of ours none comes. */
static void part_fetched(void)
{
    const struct timespec at_once = { 0, 0 };
    struct signalfd_siginfo read_info;
    sigset_t all, before;
    siginfo_t info;
    uint64_t i;
    int fd, signo;

    (void)sigfillset(&all);
    expect(pthread_sigmask(SIG_SETMASK, &all, &before) == 0, "pthread_sigmask");
    fd = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
    expect(fd >= 0, "signalfd");
    for (i = 0; i < 20 * storm_scale; i++) {
        (void)mix(i, 2000000);
        expect(read(fd, &read_info, sizeof(read_info)) < 0 && errno == EAGAIN, "nothing to read");
        expect(sigtimedwait(&all, &info, &at_once) < 0 && errno == EAGAIN, "no signal waits");
        (void)raise(SIGUSR1);
        expect(sigwaitinfo(&all, &info) == SIGUSR1, "sigwaitinfo");
        (void)mix(i, 500000);
        (void)raise(SIGUSR2);
        expect(sigwait(&all, &signo) == 0 && signo == SIGUSR2, "sigwait");
        (void)raise(SIGUSR1);
        expect(read(fd, &read_info, sizeof(read_info)) == (ssize_t)sizeof(read_info) &&
                   read_info.ssi_signo == SIGUSR1,
               "signalfd");
    }
    (void)close(fd);
    expect(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0, "pthread_sigmask");
}

/* -- memory ------------------------------------------------------------------------------------------ */

static void *churns(void *arg)
{
    (void)churn_memory((uintptr_t)arg, (int)(20000 * storm_scale));
    return arg;
}

static void part_memory(void)
{
    in_threads(churns);
}

/* What is under /proc/self belongs to root from here on. */
static void part_undumpable(void)
{
    expect(prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) == 0, "PR_SET_DUMPABLE");
    in_threads(makes_threads);
    in_threads(churns);
}

/* -- main ------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    { "threads", part_threads },
    { "forks", part_forks },
    { "spawn", part_spawn },
    { "exec", part_exec },
    { "dlopen", part_dlopen },
    { "altstack", part_altstack },
    { "deep", part_deep },
    { "fibers", part_fibers },
    { "signals", part_signals },
    { "files", part_files },
    { "memory", part_memory },
    { "overflow", part_overflow },
    { "stopped", part_stopped },
    { "undumpable", part_undumpable },
    { "fetched", part_fetched },
    { "throw", part_throw },
    { "churn", part_churn },
    { "libraries", part_libraries },
    { "descriptors", part_descriptors },
    { "chroot", part_chroot },
    { "addresses", part_addresses },
    { "seccomp", part_seccomp },
    { "killed", part_killed },
};

bool wait_for_samples(void)
{
    sonde_prof_counters counters = { .struct_bytes = sizeof(counters) };
    union {
        void *object;
        void (*read)(sonde_prof_counters *);
    } found = { dlsym(RTLD_DEFAULT, "sonde_prof_read_counters") };

    if (!found.object)
        return false;
    do { /* until one was: a profiler that takes none hangs us, and the test has a deadline */
        (void)mix(1, 1000000);
        found.read(&counters);
    } while (counters.events_taken == 0);
    return true;
}

int main(int argc, char **argv)
{
    size_t i;

    if (argc == 3 && strcmp(argv[1], "exit") == 0)
        return (argv[2][0] - '0') * (argv[2][1] ? 10 : 1) + (argv[2][1] ? argv[2][1] - '0' : 0);
    if (argc != 4)
        return 2;
    self_path = argv[0];
    storm_module = argv[3];
    for (i = 0; argv[2][i]; i++)
        storm_scale = storm_scale * 10 + (uint64_t)(argv[2][i] - '0');
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(parts[i].name, argv[1]) == 0) {
            parts[i].run();
            if (wait_for_samples())
                (void)fprintf(stderr, "sampled\n");
            (void)printf("%s: good\n", argv[1]);
            return 0;
        }
    return 2;
}
