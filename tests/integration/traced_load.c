/* traced_load.c - a traced program under load, asked for its counters while others kill what it talks to.
 *
 *   traced_load TRACES_PER_SECOND THREADS IDS_FILE
 *
 * Threads produce traces at a steady pace.  A trace has 1 + (low half of its id) % 4 spans, so that who knows
 * the id knows how many spans must be stored.  Each line on standard input is answered with one JSON object:
 *
 *   counters     go on
 *   pause        the threads have stopped producing; the tracer goes on
 *   go           they produce again
 *   stop         sonde_stop(), then the ids (64 bits each, native order) go to IDS_FILE, and the end
 *
 * The producing threads run with a filter on their network system calls: each one made is counted as
 * `network_calls`, and refused.  -1: this kernel has no such filter. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"
#include "sonde/sonde.h"

#define THREADS_MAX 8
#define IDS_MAX     (1u << 20) /* of one thread; it stops producing there */
#define TICK_NS     5000000

typedef struct producer {
    pthread_t thread;
    uint64_t *ids;
    _Atomic size_t ids_len;
    double per_tick;
} producer;

static producer producers[THREADS_MAX];
static unsigned producers_len;
static atomic_bool stopping, pausing;
static _Atomic unsigned paused;

/* ---- network calls of application threads ---- */

static _Atomic long network_calls;
static _Atomic bool unwatched;
static _Thread_local volatile bool probing, bitten;

static void count_call(int number, siginfo_t *info, void *context_)
{
    ucontext_t *context = (ucontext_t *)context_;

    (void)number, (void)info;
    if (probing)
        bitten = true;
    else
        atomic_fetch_add(&network_calls, 1);
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
    context->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#endif
}

#define TRAP(name)                                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)

/* For this thread and those it starts. */
static bool filter_network_calls(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        TRAP(socket),
        TRAP(connect),
        TRAP(sendto),
        TRAP(sendmsg),
        TRAP(recvfrom),
        TRAP(recvmsg),
        TRAP(ppoll),
#ifdef SYS_poll
        TRAP(poll),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* Sees the filter bite, so that a count of 0 means something. */
static bool watch_network_calls(void)
{
    struct sigaction action = { .sa_sigaction = count_call, .sa_flags = SA_SIGINFO };

    if (sigaction(SIGSYS, &action, NULL) != 0 || !filter_network_calls())
        return false;
    probing = true;
    (void)socket(AF_INET, SOCK_STREAM, 0);
    probing = false;
    return bitten;
}

/* ---- producing ---- */

static void produce_trace(producer *p)
{
    size_t at = atomic_load_explicit(&p->ids_len, memory_order_relaxed);
    sonde_span *root;
    uint64_t id, i;

    if (at == IDS_MAX)
        return;
    root = sonde_span_enter("load.request",
                            &(sonde_span_options){ .resource = "GET /load", .type = "web" });
    id = sonde_span_trace_id_low(root);
    sonde_span_set_int(root, "at", (int64_t)at);
    for (i = 0; i < id % 4; i++) {
        SONDE_SPAN(child, "load.step");
        sonde_span_set_str(child, "step", "select something from somewhere where it hurts");
    }
    sonde_span_leave(root);
    if (id == 0)
        return; /* no memory: counted by the tracer */
    p->ids[at] = id;
    atomic_store_explicit(&p->ids_len, at + 1, memory_order_release);
}

static void next_tick(struct timespec *t)
{
    t->tv_nsec += TICK_NS;
    if (t->tv_nsec >= 1000000000) {
        t->tv_nsec -= 1000000000;
        t->tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, t, NULL) == EINTR)
        continue;
}

static void *produce(void *arg)
{
    producer *p = (producer *)arg;
    struct timespec tick;
    double owed = 0;
    bool was_pausing = false;

    if (!watch_network_calls())
        atomic_store(&unwatched, true);
    clock_gettime(CLOCK_MONOTONIC, &tick);
    while (!atomic_load(&stopping)) {
        bool pause_now = atomic_load(&pausing);

        if (pause_now != was_pausing)
            atomic_fetch_add(&paused, pause_now ? 1u : -1u);
        was_pausing = pause_now;
        for (owed += pause_now ? 0 : p->per_tick; owed >= 1; owed--)
            produce_trace(p);
        next_tick(&tick);
    }
    return NULL;
}

static void make_producers(double traces_per_second)
{
    unsigned i;

    for (i = 0; i < producers_len; i++) {
        producer *p = &producers[i];

        p->ids = (uint64_t *)malloc(IDS_MAX * sizeof(uint64_t));
        if (!p->ids)
            abort();
        memset(p->ids, 0xff, IDS_MAX * sizeof(uint64_t)); /* in memory before memory is measured */
        p->per_tick = traces_per_second * TICK_NS / 1e9 / producers_len;
    }
}

static void start_producers(void)
{
    unsigned i;

    for (i = 0; i < producers_len; i++)
        if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]) != 0)
            abort();
}

static void join_producers(void)
{
    unsigned i;

    atomic_store(&stopping, true);
    for (i = 0; i < producers_len; i++)
        pthread_join(producers[i].thread, NULL);
}

static int write_ids(const char *path)
{
    FILE *f = fopen(path, "wb");
    unsigned i;
    bool ok = f != NULL;

    for (i = 0; ok && i < producers_len; i++) {
        size_t n = atomic_load(&producers[i].ids_len);

        ok = fwrite(producers[i].ids, sizeof(uint64_t), n, f) == n;
    }
    return f && fclose(f) == 0 && ok ? 0 : -1;
}

/* ---- memory ---- */

static _Atomic uint64_t memory_peak;
static uint64_t hwm_before_kib;

/* "VmHWM:     1234 kB" of /proc/self/status. */
static uint64_t read_hwm_kib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    uint64_t kib = 0;

    while (f && fgets(line, sizeof(line), f)) {
        sonde_str value = sonde_str_from(line);
        sonde_str key = sonde_str_cut(&value, ':');

        value = sonde_str_trim(value);
        if (sonde_str_eq(key, SONDE_STR("VmHWM")))
            (void)sonde_parse_u64(sonde_str_cut(&value, ' '), &kib);
    }
    if (f)
        fclose(f);
    return kib;
}

static void *watch_memory(void *unused)
{
    const struct timespec pause = { .tv_nsec = 2000000 };
    sonde_counters c;

    (void)unused;
    while (!atomic_load(&stopping)) {
        c.struct_bytes = sizeof(c);
        sonde_counters_read(&c);
        if (c.memory_bytes > atomic_load(&memory_peak))
            atomic_store(&memory_peak, c.memory_bytes);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- answers ---- */

static void print_reasons(const char *key, const uint64_t *by_reason, uint32_t reasons)
{
    uint32_t i;

    printf("\"%s\":{", key);
    for (i = 0; i < reasons; i++)
        printf("%s\"%s\":%llu", i ? "," : "", sonde_drop_name(i), (unsigned long long)by_reason[i]);
    printf("},");
}

static void print_counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    printf("{");
#define NUMBER(name) printf("\"" #name "\":%llu,", (unsigned long long)c.name)
    NUMBER(spans_started);
    NUMBER(spans_open);
    NUMBER(spans_finished);
    NUMBER(spans_queued);
    NUMBER(spans_delivered);
    NUMBER(chunks_queued_total);
    NUMBER(chunks_queued);
    NUMBER(chunks_delivered);
    NUMBER(payloads_sent);
    NUMBER(payloads_failed);
    NUMBER(send_retries);
    NUMBER(memory_max_bytes);
#undef NUMBER
    print_reasons("spans_dropped", c.spans_dropped, c.drops);
    print_reasons("chunks_dropped", c.chunks_dropped, c.drops);
    printf("\"memory_peak_bytes\":%llu,", (unsigned long long)atomic_load(&memory_peak));
    printf("\"hwm_grown_kib\":%llu,", (unsigned long long)(read_hwm_kib() - hwm_before_kib));
    printf("\"network_calls\":%ld}\n", atomic_load(&unwatched) ? -1 : atomic_load(&network_calls));
    fflush(stdout);
}

static void pause_producers(bool now)
{
    const struct timespec moment = { .tv_nsec = 1000000 };

    atomic_store(&pausing, now);
    while (atomic_load(&paused) != (now ? producers_len : 0))
        nanosleep(&moment, NULL);
}

static void converse(void)
{
    char line[64];

    while (fgets(line, sizeof(line), stdin) && strcmp(line, "stop\n") != 0) {
        if (strcmp(line, "pause\n") == 0)
            pause_producers(true);
        else if (strcmp(line, "go\n") == 0)
            pause_producers(false);
        print_counters();
    }
}

/* The tracer's thread starts with the first trace: here, not on a thread with a filter. */
static void start_tracer(void)
{
    sonde_start(&(sonde_options){ .flush_interval_ms = 200 });
    produce_trace(&producers[0]);
    sonde_flush(2000);
}

/* A stop returns at its deadline; on a busy machine the tracer's thread may then have a moment to go. */
static void await_empty_queue(void)
{
    const struct timespec moment = { .tv_nsec = 1000000 };
    sonde_counters c = { .struct_bytes = sizeof(c) };
    int waits;

    for (waits = 0; waits < 60000; waits++) {
        sonde_counters_read(&c);
        if (c.spans_queued == 0)
            return;
        nanosleep(&moment, NULL);
    }
}

int main(int argc, char **argv)
{
    uint64_t per_second, threads;
    pthread_t watcher;

    if (argc != 4 || sonde_parse_u64(sonde_str_from(argv[1]), &per_second) != SONDE_OK ||
        sonde_parse_u64(sonde_str_from(argv[2]), &threads) != SONDE_OK || threads < 1 ||
        threads > THREADS_MAX) {
        fprintf(stderr, "usage: traced_load TRACES_PER_SECOND THREADS IDS_FILE\n");
        return 2;
    }
    producers_len = (unsigned)threads;
    make_producers((double)per_second);
    hwm_before_kib = read_hwm_kib();
    start_tracer();
    start_producers();
    if (pthread_create(&watcher, NULL, watch_memory, NULL) != 0)
        return 1;
    converse();
    join_producers();
    pthread_join(watcher, NULL);
    sonde_stop();
    await_empty_queue();
    print_counters();
    return write_ids(argv[3]) == 0 ? 0 : 1;
}
