/* attach_target.c - a program the profiler is put into while it runs; links nothing of ours and tells what it noticed.
 *
 *   attach_target WAIT      waits in that call for a byte on standard input, or for so many seconds; says what the call
 *                           returned: "poll 1 0"
 *   attach_target threads   50 threads allocate all the time, until standard input ends
 *   attach_target registers one thread looks whether its registers are what it put there, until standard input ends
 *   attach_target filter    reads, behind a filter of system calls that allows all
 *   attach_target fork      for each byte on standard input a child allocates and says how many threads it has
 *   attach_target fill      for the first byte on standard input it takes memory, for the second it looks whether that is as it left it
 *   attach_target profiled  computes, with a timer of its own that sends SIGPROF, until standard input ends
 *   attach_target handler   its only thread waits in the handler of a signal
 *
 * The first line it prints is "ready". */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 3
#define THREADS 50
#define BLOCKS  16
#define PIECES  256
#define PIECE   16384

static void say_ready(void)
{
    (void)printf("ready\n");
    (void)fflush(stdout);
}

/* ---- one call ---- */

static int wait_nanosleep(void)
{
    const struct timespec t = { SECONDS, 0 };

    return nanosleep(&t, NULL);
}

static int wait_clock_nanosleep(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += SECONDS;
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    return errno ? -1 : 0;
}

static int wait_poll(void)
{
    struct pollfd p = { STDIN_FILENO, POLLIN, 0 };

    return poll(&p, 1, -1);
}

static int wait_poll_timeout(void)
{
    return poll(NULL, 0, SECONDS * 1000);
}

static int wait_select(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(STDIN_FILENO, &set);
    return select(STDIN_FILENO + 1, &set, NULL, NULL, NULL);
}

static int wait_read(void)
{
    char c;

    return (int)read(STDIN_FILENO, &c, 1);
}

static int wait_epoll(void)
{
    struct epoll_event e = { .events = EPOLLIN }, got;
    int fd = epoll_create1(EPOLL_CLOEXEC);

    (void)epoll_ctl(fd, EPOLL_CTL_ADD, STDIN_FILENO, &e);
    return epoll_wait(fd, &got, 1, -1);
}

static int wait_epoll_timeout(void)
{
    struct epoll_event got;

    return epoll_wait(epoll_create1(EPOLL_CLOEXEC), &got, 1, SECONDS * 1000);
}

/* With a time-out a socket's calls are not begun anew by the kernel. */
static int wait_recv(void)
{
    const struct timeval t = { 60, 0 };
    int pair[2];
    char c;

    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    (void)setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    if (fork() == 0) {
        (void)!read(STDIN_FILENO, &c, 1);
        (void)!write(pair[1], "x", 1);
        _exit(0);
    }
    return (int)recv(pair[0], &c, 1, 0);
}

static int wait_wait(void)
{
    char c;

    if (fork() == 0) {
        (void)!read(STDIN_FILENO, &c, 1);
        _exit(0);
    }
    return wait(NULL) > 0 ? 0 : -1;
}

static sem_t semaphore;

static void *post_when_told(void *arg)
{
    char c;

    (void)arg;
    (void)!read(STDIN_FILENO, &c, 1);
    (void)sem_post(&semaphore);
    return NULL;
}

static int wait_semaphore(void)
{
    pthread_t thread;

    (void)sem_init(&semaphore, 0, 0);
    (void)pthread_create(&thread, NULL, post_when_told, NULL);
    return sem_wait(&semaphore);
}

static const struct {
    const char *name;
    int (*wait)(void);
} waits[] = {
    { "nanosleep", wait_nanosleep }, { "clock_nanosleep", wait_clock_nanosleep },
    { "poll", wait_poll },           { "poll_timeout", wait_poll_timeout },
    { "select", wait_select },       { "read", wait_read },
    { "epoll", wait_epoll },         { "epoll_timeout", wait_epoll_timeout },
    { "recv", wait_recv },           { "wait", wait_wait },
    { "semaphore", wait_semaphore },
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool wait_in(const char *name)
{
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        int64_t from = now_ms();
        int got;

        if (strcmp(name, waits[i].name) != 0)
            continue;
        errno = 0;
        got = waits[i].wait();
        (void)printf("%s %d %d %d\n", name, got, errno, (int)(now_ms() - from));
        return true;
    }
    return false;
}

/* ---- all the time ---- */

static _Atomic bool ends;
static _Atomic uint64_t rounds;

static void *allocate(void *arg)
{
    unsigned char *blocks[BLOCKS] = { NULL }, mark = (unsigned char)(uintptr_t)arg;
    uint64_t n = 0;

    while (!atomic_load_explicit(&ends, memory_order_relaxed)) {
        size_t i = n % BLOCKS, bytes = 16 + n % 5000;

        if (blocks[i] && blocks[i][0] != mark)
            abort();
        free(blocks[i]);
        blocks[i] = malloc(bytes);
        if (!blocks[i])
            abort();
        memset(blocks[i], mark, bytes);
        n++;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    atomic_fetch_add(&rounds, n);
    return NULL;
}

static void await_end(void)
{
    char c;

    say_ready();
    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
    atomic_store(&ends, true);
}

static void run_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, allocate, (void *)(uintptr_t)(i + 1)) != 0)
            abort();
    await_end();
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)printf("threads %s\n", atomic_load(&rounds) > THREADS ? "ok" : "idle");
}

#if defined(__x86_64__)
/* What a compiler would keep there, and the flags. */
static bool registers_hold(uint64_t salt)
{
    uint64_t wrong;

    __asm__ volatile(
        "mov %1, %%r8\n lea 1(%%r8), %%r9\n lea 2(%%r8), %%r10\n lea 3(%%r8), %%r11\n"
        "lea 4(%%r8), %%r12\n lea 5(%%r8), %%r13\n lea 6(%%r8), %%r14\n lea 7(%%r8), %%r15\n"
        "movq %%r8, %%xmm0\n movq %%r9, %%xmm7\n movq %%r15, %%xmm15\n"
        "movq %%r8, -64(%%rsp)\n mov $2000000, %%ecx\n" /* below the stack pointer: leaf functions keep things there */
        "1: dec %%ecx\n jnz 1b\n"
        "xor %0, %0\n"
        "movq %%xmm0, %%rdx\n sub %%r8, %%rdx\n or %%rdx, %0\n"
        "movq %%xmm7, %%rdx\n sub %%r9, %%rdx\n or %%rdx, %0\n"
        "movq %%xmm15, %%rdx\n sub %%r15, %%rdx\n or %%rdx, %0\n"
        "mov -64(%%rsp), %%rdx\n sub %%r8, %%rdx\n or %%rdx, %0\n"
        "mov %%r8, %%rdx\n sub %1, %%rdx\n or %%rdx, %0\n"
        "lea 7(%%r8), %%rdx\n sub %%r15, %%rdx\n or %%rdx, %0\n"
        "lea 3(%%r8), %%rdx\n sub %%r11, %%rdx\n or %%rdx, %0\n"
        "lea 2(%%r8), %%rdx\n sub %%r10, %%rdx\n or %%rdx, %0\n"
        : "=&b"(wrong)
        : "S"(salt)
        : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm7",
          "xmm15", "cc", "memory");
    return wrong == 0;
}
#else
static bool registers_hold(uint64_t salt)
{
    (void)salt;
    return true;
}
#endif

static void run_registers(void)
{
    struct pollfd p = { STDIN_FILENO, POLLIN, 0 };
    uint64_t salt = UINT64_C(0x123456789abcdef);

    say_ready();
    while (poll(&p, 1, 0) == 0)
        if (!registers_hold(salt++))
            abort();
    (void)printf("registers ok\n");
}

static void run_filter(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { 1, &allow };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        abort();
    say_ready();
    (void)wait_in("read");
}

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    for (struct dirent *e = tasks ? readdir(tasks) : NULL; e; e = readdir(tasks))
        n += e->d_name[0] != '.';
    if (tasks)
        (void)closedir(tasks);
    return n;
}

/* Long enough for a thread to come that would. */
static void be_child(void)
{
    const struct timespec pause = { 0, 10000000 };

    for (int i = 0; i < 50; i++) {
        void *volatile block = malloc(1000000);

        free(block);
        (void)nanosleep(&pause, NULL);
    }
    (void)printf("child %d\n", count_threads());
    (void)fflush(stdout);
    _exit(0);
}

static void run_fork(void)
{
    char c;

    say_ready();
    while (read(STDIN_FILENO, &c, 1) > 0) {
        if (fork() == 0)
            be_child();
        (void)wait(NULL);
    }
}

/* Pieces so small and many that they fill what somebody else gave back. */
static void run_fill(void)
{
    unsigned char *pieces[PIECES];
    char c;

    say_ready();
    (void)!read(STDIN_FILENO, &c, 1);
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pieces[i] == MAP_FAILED)
            abort();
        memset(pieces[i], 0xaa, PIECE);
    }
    (void)printf("filled\n");
    (void)fflush(stdout);
    (void)!read(STDIN_FILENO, &c, 1);
    for (int i = 0; i < PIECES; i++)
        for (int k = 0; k < PIECE; k++)
            if (pieces[i][k] != 0xaa)
                abort();
    (void)printf("fill ok\n");
}

static void run_profiled(void)
{
    const struct itimerval every = { { 0, 4000 }, { 0, 4000 } };
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct pollfd p = { STDIN_FILENO, POLLIN, 0 };

    (void)sigaction(SIGPROF, &ignore, NULL);
    (void)setitimer(ITIMER_PROF, &every, NULL);
    say_ready();
    while (poll(&p, 1, 0) == 0)
        ;
}

/* The handler has come to a thread that may be anywhere: that thread is not to be borrowed. */
static void on_signal(int signo)
{
    char c;

    (void)signo;
    (void)!read(STDIN_FILENO, &c, 1);
    _exit(0);
}

static void run_handler(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    (void)sigaction(SIGUSR1, &action, NULL);
    say_ready();
    (void)raise(SIGUSR1);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "threads") == 0)
        run_threads();
    else if (strcmp(what, "registers") == 0)
        run_registers();
    else if (strcmp(what, "filter") == 0)
        run_filter();
    else if (strcmp(what, "fork") == 0)
        run_fork();
    else if (strcmp(what, "fill") == 0)
        run_fill();
    else if (strcmp(what, "profiled") == 0)
        run_profiled();
    else if (strcmp(what, "handler") == 0)
        run_handler();
    else {
        say_ready();
        if (!wait_in(what))
            return 2;
    }
    return 7;
}
