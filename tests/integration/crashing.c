/* crashing.c - a traced program that ends, or does not, by a fatal signal.
 *
 *     crashing HOW [open]    `open`: starts the tracer, waits for a line, and crashes inside two spans
 *
 * It prints a JSON object first, and "handled" where a handler of its own ran. */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <sonde/sonde.h>

static int *volatile nowhere; /* volatile: the optimizer does not see it coming */
static char *volatile page;
static sigjmp_buf back;

__attribute__((noinline)) static void write_to_nowhere(void)
{
    *nowhere = 1;
}

__attribute__((noinline)) static int recurse(int n)
{
    volatile char much[1024];

    much[n % 1024] = (char)n;
    return n < 1 << 30 ? recurse(n + 1) + much[n % 1024] : 0;
}

static void say_handled(void)
{
    (void)!write(STDOUT_FILENO, "handled\n", 8);
}

/* -- ways to end ------------------------------------------------------------------------------------ */

static void end_null(void)
{
    write_to_nowhere();
}

static void end_abort(void)
{
    abort();
}

static void end_overflow(void)
{
    (void)recurse(0);
}

static void *in_thread(void *arg)
{
    (void)arg;
    write_to_nowhere();
    return NULL;
}

static void *overflow_in_thread(void *arg)
{
    (void)arg;
    (void)recurse(0);
    return NULL;
}

static void run(void *(*what)(void *))
{
    pthread_t t;

    if (pthread_create(&t, NULL, what, NULL) == 0)
        (void)pthread_join(t, NULL);
}

static void end_thread(void)
{
    run(in_thread);
}

static void end_thread_overflow(void)
{
    run(overflow_in_thread);
}

static void crash_in_handler(int signo)
{
    (void)signo;
    write_to_nowhere();
}

static void end_handler(void)
{
    (void)signal(SIGUSR1, crash_in_handler);
    (void)raise(SIGUSR1);
}

/* The allocator finds out, and aborts. */
static void end_malloc(void)
{
    char *volatile p = malloc(64);

    p += 16;
    free(p);
}

static void end_fpe(void)
{
    volatile int zero = 0, some = 1234;

    some /= zero;
    (void)some;
    (void)raise(SIGFPE); /* processors that divide by zero */
}

static void end_ill(void)
{
    __builtin_trap();
}

static void end_call(void)
{
    void (*volatile f)(void) = NULL;

    f();
}

static void end_sent(void)
{
    (void)kill(getpid(), SIGBUS);
    (void)pause();
}

/* -- with handlers of its own ----------------------------------------------------------------------- */

static void exit_7(int signo)
{
    (void)signo;
    say_handled();
    _exit(7);
}

static void end_own_exit(void)
{
    (void)signal(SIGSEGV, exit_7);
    write_to_nowhere();
}

static void jump(int signo)
{
    say_handled();
    siglongjmp(back, signo);
}

static void end_own_jump(void)
{
    (void)signal(SIGSEGV, jump);
    if (sigsetjmp(back, 1) == 0)
        write_to_nowhere();
}

static void raise_again(int signo)
{
    say_handled();
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
}

static void end_own_raise(void)
{
    (void)signal(SIGSEGV, raise_again);
    write_to_nowhere();
}

static void mend(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    say_handled();
    if (info->si_addr == page)
        (void)mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void end_own_mend(void)
{
    const struct sigaction a = { .sa_sigaction = mend, .sa_flags = SA_SIGINFO };

    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)sigaction(SIGSEGV, &a, NULL);
    *page = 1;
}

/* What sigaction() says is what was asked for. */
static void end_own_asked(void)
{
    struct sigaction a = { .sa_handler = exit_7, .sa_flags = (int)SA_RESETHAND },
                     old = { .sa_flags = 0 };

    if (sigaction(SIGSEGV, NULL, &old) != 0 || old.sa_handler != SIG_DFL)
        _exit(1);
    if (sigaction(SIGSEGV, &a, &old) != 0 || old.sa_handler != SIG_DFL)
        _exit(2);
    if (signal(SIGSEGV, SIG_DFL) != exit_7 || signal(SIGSEGV, exit_7) != SIG_DFL)
        _exit(3);
    if (sigaction(SIGSEGV, NULL, &old) != 0 || old.sa_handler != exit_7)
        _exit(4);
    write_to_nowhere();
}

static void say(int signo)
{
    (void)signo;
    say_handled();
}

/* Once; then the default. */
static void end_own_once(void)
{
    const struct sigaction a = { .sa_handler = say, .sa_flags = (int)SA_RESETHAND };

    (void)sigaction(SIGSEGV, &a, NULL);
    write_to_nowhere();
}

static void end_ignored(void)
{
    (void)signal(SIGFPE, SIG_IGN);
    (void)raise(SIGFPE);
    (void)signal(SIGSEGV, SIG_IGN);
    write_to_nowhere(); /* a fault cannot be ignored */
}

static void end_fork(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        write_to_nowhere();
    (void)waitpid(child, &status, 0);
    _exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void end_quit(void)
{
}

static const struct {
    const char *name;
    void (*end)(void);
} ways[] = {
    { "null", end_null },
    { "abort", end_abort },
    { "overflow", end_overflow },
    { "thread", end_thread },
    { "thread-overflow", end_thread_overflow },
    { "handler", end_handler },
    { "malloc", end_malloc },
    { "fpe", end_fpe },
    { "ill", end_ill },
    { "call", end_call },
    { "sent", end_sent },
    { "own-exit", end_own_exit },
    { "own-jump", end_own_jump },
    { "own-raise", end_own_raise },
    { "own-mend", end_own_mend },
    { "own-asked", end_own_asked },
    { "own-once", end_own_once },
    { "ignored", end_ignored },
    { "fork", end_fork },
    { "quit", end_quit },
};

/* The box is filled from the first span that starts after the agent took it: the test says when that was. */
static void open_spans(void)
{
    char trace[33] = "";
    sonde_span *span;

    (void)sonde_wait_for_agent(60000);
    (void)getchar();
    (void)sonde_span_enter("outer", NULL);
    span = sonde_span_enter("inner", &(sonde_span_options){ .resource = "GET /crash" });
    sonde_span_trace_id_hex(span, trace);
    (void)printf("{\"trace\":\"%s\",\"span\":\"%" PRIu64 "\"}\n", trace, sonde_span_id(span));
}

int main(int argc, char **argv)
{
    size_t i;

    if (argc > 2) {
        sonde_start(NULL);
        open_spans();
    } else {
        (void)printf("{}\n");
    }
    (void)fflush(stdout);
    for (i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].end();
            return 0;
        }
    return 99;
}
