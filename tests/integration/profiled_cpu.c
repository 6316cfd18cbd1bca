/* profiled_cpu - uses CPU time in functions that do nothing else, and says how much; told what to do line by line.
 *
 *   burn MS           in path_a() a third of it, in path_b() the rest, in slices of random length
 *   threads N MS      N threads with names, each in in_thread()
 *   fork MS           a child, which allocates too, in in_child(); it ends with the next line
 *   alone             a child that calls nothing but in_alone() from now on, until the end; another one, forked by a thread
 *   end
 *
 * With SONDE_LINKED it is linked against the profiler and the tracer, and knows more:
 *
 *   start, stop, flush, counters
 *   span MS           in in_span(), inside a request
 *   made MS           in code that is made then and told of as made_code; x86-64 only
 *   jit MS            in below_made(), called by made code that has no frame pointer, but registers its unwind information
 *                     as a JIT does; x86-64 only
 *   unjit             which it takes back, and gives the memory back */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef SONDE_LINKED
#    include "sonde/profiler.h"
#    include "sonde/sonde.h"
#endif

/* Each a function of its own, though their code is the same. */
#if defined(__clang__)
#    define APART __attribute__((noinline))
#else
#    define APART __attribute__((noinline, noclone, no_icf))
#endif
#define THREADS_MAX 16
#define NS_PER_MS   UINT64_C(1000000)

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define MY_CPU() clock_ns(CLOCK_THREAD_CPUTIME_ID)

static volatile uint64_t sink;

static inline __attribute__((always_inline)) uint64_t use(uint64_t ns)
{
    uint64_t from = MY_CPU(), now;

    do {
        int i;

        for (i = 0; i < 2000; i++)
            sink += (uint64_t)i;
        now = MY_CPU();
    } while (now - from < ns);
    return now - from;
}

static APART uint64_t path_a(uint64_t ns)
{
    return use(ns);
}

static APART uint64_t path_b(uint64_t ns)
{
    return use(ns);
}

static APART uint64_t in_thread(uint64_t ns)
{
    return use(ns);
}

static APART uint64_t in_child(uint64_t ns)
{
    return use(ns);
}

static void say_end(void)
{
    (void)printf(",\"end\":%llu}\n", (unsigned long long)clock_ns(CLOCK_REALTIME));
    (void)fflush(stdout);
}

/* The lengths must not keep step with any timer. */
static void burn(uint64_t ms)
{
    uint64_t a = 0, b = 0, random = 88172645463325252u;

    while (a + b < ms * NS_PER_MS) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        a += path_a(random % NS_PER_MS);
        b += path_b((random >> 32) % (2 * NS_PER_MS));
    }
    (void)printf("{\"path_a\":%llu,\"path_b\":%llu", (unsigned long long)a, (unsigned long long)b);
    say_end();
}

static uint64_t thread_ms, thread_used[THREADS_MAX];

static void *run_thread(void *arg)
{
    uint64_t *used = arg;
    char name[16];

    (void)snprintf(name, sizeof(name), "worker-%u", (unsigned)(used - thread_used));
    (void)pthread_setname_np(pthread_self(), name);
    *used = in_thread(thread_ms * NS_PER_MS);
    return NULL;
}

static void run_threads(unsigned n, uint64_t ms)
{
    pthread_t threads[THREADS_MAX];
    unsigned i;

    n = n < THREADS_MAX ? n : THREADS_MAX;
    thread_ms = ms;
    for (i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, run_thread, &thread_used[i]) != 0)
            abort();
    (void)printf("{\"used\":[");
    for (i = 0; i < n; i++) {
        (void)pthread_join(threads[i], NULL);
        (void)printf("%s%llu", i ? "," : "", (unsigned long long)thread_used[i]);
    }
    (void)printf("]");
    say_end();
}

/* Sampled allocations are where a forked child gets its threads back. */
static void run_child(uint64_t ms, int tell, int hear)
{
    uint64_t used = 0, words[2];
    char byte;

    while (used < ms * NS_PER_MS) {
        void *volatile block = malloc(4u << 20);

        free(block);
        used += in_child(5 * NS_PER_MS);
    }
    words[0] = used;
    words[1] = clock_ns(CLOCK_REALTIME);
    if (write(tell, words, sizeof(words)) != (ssize_t)sizeof(words))
        _exit(3);
    (void)!read(hear, &byte, 1); /* until the parent lets go */
    exit(0);
}

static int hold = -1; /* the child waits for its end */
static pid_t child;

static void let_go(void)
{
    int status;

    if (hold < 0)
        return;
    (void)close(hold);
    hold = -1;
    if (waitpid(child, &status, 0) != child || status != 0)
        abort();
}

static APART void in_alone(void)
{
    for (;;)
        sink++;
}

static pid_t alone[2]; /* forked by the first thread, and by another */

static void *fork_alone(void *out_pid)
{
    const struct rlimit longest = { 120, 120 }; /* seconds, should nobody kill it */
    pid_t pid = fork();

    if (pid == 0) {
        (void)setrlimit(RLIMIT_CPU, &longest);
        in_alone();
    }
    *(pid_t *)out_pid = pid;
    return NULL;
}

static void fork_both_alone(void)
{
    pthread_t thread;

    (void)fork_alone(&alone[0]);
    if (pthread_create(&thread, NULL, fork_alone, &alone[1]) != 0)
        abort();
    (void)pthread_join(thread, NULL);
    (void)printf("{\"pids\":[%d,%d]}\n", (int)alone[0], (int)alone[1]);
    (void)fflush(stdout);
}

static void end_alone(void)
{
    int i;

    for (i = 0; i < 2 && alone[i] > 0; i++) {
        (void)kill(alone[i], SIGKILL);
        (void)waitpid(alone[i], NULL, 0);
    }
}

static void fork_child(uint64_t ms)
{
    int up[2], down[2];
    uint64_t words[2] = { 0, 0 };

    if (pipe(up) != 0 || pipe(down) != 0)
        abort();
    child = fork();
    if (child == 0) {
        (void)close(down[1]);
        run_child(ms, up[1], down[0]);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    if (read(up[0], words, sizeof(words)) != (ssize_t)sizeof(words))
        abort();
    (void)close(up[0]);
    hold = down[1];
    (void)printf("{\"pid\":%d,\"in_child\":%llu,\"end\":%llu}\n", (int)child,
                 (unsigned long long)words[0], (unsigned long long)words[1]);
    (void)fflush(stdout);
}

#ifdef SONDE_LINKED
static APART uint64_t in_span(uint64_t ns)
{
    return use(ns);
}

static void run_span(uint64_t ms)
{
    const sonde_span_options o = { .resource = "GET /shop", .type = "web" };
    sonde_span *span = sonde_span_start("request", &o);
    uint64_t used, id = sonde_span_id(span);

    sonde_span_activate(span);
    used = in_span(ms * NS_PER_MS);
    sonde_span_finish(span);
    (void)printf("{\"span\":%llu,\"in_span\":%llu", (unsigned long long)id,
                 (unsigned long long)used);
    say_end();
}

/* Counts down from its argument. */
static uint64_t run_made(uint64_t ms)
{
    uint64_t from = MY_CPU(), used = 0;
#    if defined(__x86_64__)
    static const unsigned char code[] = { 0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3 };
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    union {
        void *object;
        void (*run)(uint64_t n);
    } made = { page };

    if (page == MAP_FAILED)
        abort();
    memcpy(page, code, sizeof(code));
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0 ||
        sonde_prof_register_code(page, sizeof(code), "made_code") != SONDE_OK)
        abort();
    for (; used < ms * NS_PER_MS; used = MY_CPU() - from)
        made.run(100000);
#    else
    (void)ms, (void)from;
#    endif
    return used;
}

#    if defined(__x86_64__)
extern void __register_frame(const void *section);
extern void __deregister_frame(const void *section);

static APART void below_made(uint64_t ns)
{
    (void)use(ns);
}

/* push rbp; sub rsp, 64; mov rbp, 4660; mov rax, rdi; mov rdi, rsi; call rax; add rsp, 64; pop rbp; ret */
static const unsigned char jit_code[] = { 0x55, 0x48, 0x83, 0xec, 0x40, 0x48, 0xc7, 0xc5, 0x34,
                                          0x12, 0,    0,    0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7,
                                          0xff, 0xd0, 0x48, 0x83, 0xc4, 0x40, 0x5d, 0xc3 };
/* A CIE, an FDE whose first instruction and length are at 32 and 40, the end. */
static const unsigned char jit_frame[] = {
    20, 0,  0, 0,  0,  0,  0,   0, 1,  'z', 'R', 0,  1,  120, 16, 1,  0, 12, 7, 8, 144, 1, 0,
    0,  36, 0, 0,  0,  28, 0,   0, 0,  0,   0,   0,  0,  0,   0,  0,  0, 0,  0, 0, 0,   0, 0,
    0,  0,  0, 65, 14, 16, 134, 2, 68, 14,  80,  83, 14, 16,  65, 14, 8, 0,  0, 0, 0,   0,
};
static unsigned char *jit_page; /* code, then its section */

static void make_jit(void)
{
    const uint64_t bytes = sizeof(jit_code);
    unsigned char *page =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t lo = (uint64_t)(uintptr_t)page;

    if (page == MAP_FAILED)
        abort();
    memcpy(page, jit_code, sizeof(jit_code));
    memcpy(page + 4096, jit_frame, sizeof(jit_frame));
    memcpy(page + 4096 + 32, &lo, sizeof(lo));
    memcpy(page + 4096 + 40, &bytes, sizeof(bytes));
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0)
        abort();
    __register_frame(page + 4096);
    jit_page = page;
}

static APART uint64_t over_made(void (*made)(void (*)(uint64_t), uint64_t), uint64_t ns)
{
    made(below_made, ns);
    return ns;
}

static uint64_t run_jit(uint64_t ms)
{
    union {
        void *object;
        void (*run)(void (*)(uint64_t), uint64_t);
    } made;

    if (!jit_page)
        make_jit();
    made.object = jit_page;
    return over_made(made.run, ms * NS_PER_MS);
}

static void end_jit(void)
{
    __deregister_frame(jit_page + 4096);
    (void)munmap(jit_page, 8192);
    jit_page = NULL;
}
#    else
static uint64_t run_jit(uint64_t ms)
{
    return ms;
}

static void end_jit(void)
{
}
#    endif

static void say_status(sonde_status status)
{
    (void)printf("{\"status\":%d", (int)status);
    say_end();
}

static void say_counters(void)
{
    sonde_prof_counters c = { .struct_bytes = sizeof(c) };

    sonde_prof_read_counters(&c);
    (void)printf("{\"taken\":%llu,\"sent\":%llu,\"lost\":%llu,\"waiting\":%llu,\"memory\":%llu,"
                 "\"running\":%d",
                 (unsigned long long)c.events_taken, (unsigned long long)c.events_sent,
                 (unsigned long long)c.events_lost, (unsigned long long)c.events_waiting,
                 (unsigned long long)c.memory_bytes, (int)sonde_prof_is_running());
    say_end();
}

static int obey_linked(const char *line, uint64_t n)
{
    if (strncmp(line, "start", 5) == 0)
        say_status(sonde_prof_start(NULL));
    else if (strncmp(line, "flush", 5) == 0)
        say_status(sonde_prof_flush(60000));
    else if (strncmp(line, "counters", 8) == 0)
        say_counters();
    else if (strncmp(line, "span", 4) == 0)
        run_span(n);
    else if (strncmp(line, "made", 4) == 0) {
        (void)printf("{\"made_code\":%llu", (unsigned long long)run_made(n));
        say_end();
    } else if (strncmp(line, "jit", 3) == 0) {
        (void)printf("{\"jit\":%llu", (unsigned long long)run_jit(n));
        say_end();
    } else if (strncmp(line, "unjit", 5) == 0) {
        end_jit();
        say_status(SONDE_OK);
    } else if (strncmp(line, "stop", 4) == 0) {
        sonde_prof_stop();
        say_status(SONDE_OK);
    } else
        return 0;
    return 1;
}
#endif

/* The next number of a line; 0 when there is none. */
static unsigned take_number(const char **line)
{
    unsigned n = 0;

    while (**line == ' ')
        ++*line;
    while (**line >= '0' && **line <= '9')
        n = n * 10 + (unsigned)(*(*line)++ - '0');
    return n;
}

static int obey(const char *line)
{
    size_t len = strcspn(line, " \n");
    const char *rest = line + len;
    unsigned n = take_number(&rest), m = take_number(&rest);

    if (strncmp(line, "burn", len) == 0)
        burn(n);
    else if (strncmp(line, "threads", len) == 0)
        run_threads(n, m);
    else if (strncmp(line, "fork", len) == 0)
        fork_child(n);
    else if (strncmp(line, "alone", len) == 0)
        fork_both_alone();
    else
#ifdef SONDE_LINKED
        return obey_linked(line, n);
#else
        return 0;
#endif
    return 1;
}

int main(void)
{
    char line[100];

#ifdef SONDE_LINKED
    (void)sonde_start(NULL);
#endif
    while (fgets(line, sizeof(line), stdin)) {
        let_go();
        end_alone();
        if (!obey(line))
            return strcmp(line, "end\n") == 0 ? 0 : 2;
    }
    return 0;
}
