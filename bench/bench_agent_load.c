/* bench_agent_load.c - a real `sonde agent` process between senders and a sink: spans per CPU second in small and in
 * large payloads, how long answers take at 50 000 spans a second, and its memory idle, at 100 000 spans a second, and
 * with an intake that never answers.
 *
 * The agent is the program beside this one; the sink is a forked child that answers 200 (or nothing).
 * CPU time is the agent's whole life, drain included, from wait4(2).
 *
 *   bench_agent_load [million spans, default 4] */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "net/http_plain.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "support/temp_dir.h"
#include "support/trace_bodies.h"

#define BODIES           64
#define TRACES           20
#define SPANS            (TRACES * BODY_SPANS_A_TRACE) /* of one body */
#define SENDERS          4
#define LARGE_TRACES     2000 /* of a large one */
#define PACED_PER_S      100000
#define PACED_S          10
#define ANSWERS_PER_S    50000
#define ANSWERS_S        10
#define ANSWERS          (ANSWERS_PER_S * ANSWERS_S / SPANS)
#define IDLE_S           10
#define START_TRIES      200
#define BACK_PRESSURE_NS (UINT64_C(20) * SONDE_NS_PER_MS)

static sonde_buf bodies[BODIES], large_bodies[1];
static uint64_t answer_ns[ANSWERS]; /* of the paced scenario that asks for it */
static uint16_t agent_port;
static _Atomic uint64_t next_body, refused;
static uint64_t bodies_to_send;
static uint64_t paced_since_mono_ns; /* 0: as fast as possible */
static uint64_t paced_per_s = PACED_PER_S;
static bool send_large;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_agent_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec t = sonde_ns_to_timespec(ns);

    (void)nanosleep(&t, NULL);
}

/* ---- the sink's process ---- */

static http_result answer_at_once(void *user, http_request *r, http_response *response)
{
    (void)user, (void)r, (void)response;
    return HTTP_DONE;
}

static http_result answer_never(void *user, http_request *r, http_response *response)
{
    (void)user, (void)r, (void)response;
    return HTTP_LATER;
}

static void run_sink(int port_fd, bool stalled)
{
    const http_route route = { .path = "/api/*",
                               .handle = stalled ? answer_never : answer_at_once,
                               .max_body_bytes = 64u << 20 };
    http_server *server;
    uint16_t port;
    int fd;

    if (sonde_listen_tcp("127.0.0.1", 0, &fd, NULL) != SONDE_OK ||
        http_server_open(&(http_server_options){ .name = "sink",
                                                 .routes = &route,
                                                 .routes_len = 1,
                                                 .threads = 1,
                                                 .body_budget_bytes = 1u << 30 },
                         &(http_listener){ .fd = fd }, 1, &server, NULL) != SONDE_OK)
        _exit(1);
    port = sonde_local_port(fd);
    if (write(port_fd, &port, sizeof(port)) != sizeof(port))
        _exit(1);
    for (;;)
        (void)pause();
}

static pid_t start_sink(bool stalled, uint16_t *out_port)
{
    int fds[2];
    pid_t pid;

    if (pipe(fds) != 0 || (pid = fork()) < 0)
        die("sink");
    if (pid == 0)
        run_sink(fds[1], stalled);
    (void)close(fds[1]);
    if (read(fds[0], out_port, sizeof(*out_port)) != sizeof(*out_port))
        die("sink");
    (void)close(fds[0]);
    return pid;
}

/* ---- the agent's process ---- */

static uint16_t free_port(void)
{
    uint16_t port;
    int fd;

    if (sonde_listen_tcp("127.0.0.1", 0, &fd, NULL) != SONDE_OK)
        die("port");
    port = sonde_local_port(fd);
    (void)close(fd);
    return port;
}

static char data_dir[256]; /* of the agents, one after the other */

static void exec_agent(uint16_t sink_port)
{
    char program[512], port[32], url[64];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 16);
    char data_setting[sizeof(data_dir) + 16];
    char *const environment[] = { (char[]){ "DD_API_KEY=bench" }, data_setting, NULL };
    char *slash;

    if (len <= 0)
        _exit(1);
    program[len] = '\0';
    slash = strrchr(program, '/');
    memcpy(slash + 1, "sonde", 6);
    (void)snprintf(port, sizeof(port), "%u", agent_port);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", sink_port);
    (void)snprintf(data_setting, sizeof(data_setting), "SONDE_DATA_DIR=%s", data_dir);
    (void)execle(program, "sonde", "agent", "--port", port, "--socket", "", "--intake-url", url,
                 "--log-level", "error", (char *)NULL, environment);
    _exit(127);
}

static pid_t start_agent(uint16_t sink_port)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .host = "127.0.0.1" };
    pid_t pid;
    int i, fd;

    agent_port = free_port();
    url.port = agent_port;
    if ((pid = fork()) < 0)
        die("agent");
    if (pid == 0)
        exec_agent(sink_port);
    for (i = 0; i < START_TRIES; i++) {
        if (sonde_connect(&url, sonde_mono_ns() + SONDE_NS_PER_S, &fd) == SONDE_OK) {
            (void)close(fd);
            return pid;
        }
        sleep_ns(10 * SONDE_NS_PER_MS);
    }
    die("the agent does not listen");
    return -1;
}

/* Ends a child and returns the CPU seconds of its life. */
static double stop(pid_t pid, int signal_number)
{
    struct rusage use;
    int status;

    (void)kill(pid, signal_number);
    if (wait4(pid, &status, 0, &use) != pid)
        die("wait4");
    return (double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

static double rss_mib(pid_t pid)
{
    char path[64], line[256];
    uint64_t kib = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "Rss:", 4) == 0) {
            char *digits = line + 4 + strspn(line + 4, " \t");

            (void)sonde_parse_u64((sonde_str){ digits, strspn(digits, "0123456789") }, &kib);
        }
    if (f)
        (void)fclose(f);
    return (double)kib / 1024.0;
}

/* ---- senders ---- */

static void wait_for_turn(uint64_t index)
{
    uint64_t due, now = sonde_mono_ns();

    if (!paced_since_mono_ns)
        return;
    due = paced_since_mono_ns + index * SPANS * (SONDE_NS_PER_S / paced_per_s);
    if (due > now)
        sleep_ns(due - now);
}

static void *send_bodies(void *arg)
{
    static const sonde_http_header headers[] = {
        { { "Content-Type", 12 }, { "application/msgpack", 19 } },
        { { "Datadog-Meta-Lang", 17 }, { "c", 1 } },
        { { "Datadog-Send-Real-Http-Status", 29 }, { "1", 1 } }
    };
    sonde_url url = { .scheme = SONDE_URL_HTTP, .port = agent_port, .host = "127.0.0.1" };
    sonde_http_plain_answer answer = { 0 };
    sonde_http_plain *c;
    uint64_t i, start;

    (void)arg;
    if (sonde_http_plain_open(&url, 1u << 20, &c) != SONDE_OK)
        exit(1);
    while ((i = atomic_fetch_add(&next_body, 1)) < bodies_to_send) {
        sonde_http_plain_request request = {
            .method = "PUT",
            .path = "/v0.4/traces",
            .headers = headers,
            .headers_len = 3,
            .body = sonde_buf_str(send_large ? &large_bodies[0] : &bodies[i % BODIES])
        };

        wait_for_turn(i);
        start = sonde_mono_ns();
        for (;;) {
            request.deadline_mono_ns = sonde_mono_ns() + 30u * SONDE_NS_PER_S;
            if (sonde_http_plain_send(c, &request, &answer) != SONDE_OK)
                die("send");
            if (answer.status != 429)
                break;
            atomic_fetch_add(&refused, 1);
            if (paced_since_mono_ns)
                break;                  /* lost, and reported */
            sleep_ns(BACK_PRESSURE_NS); /* at full speed the sender waits for the agent */
        }
        if (paced_per_s == ANSWERS_PER_S)
            answer_ns[i] = sonde_mono_ns() - start;
    }
    sonde_http_plain_close(c);
    return NULL;
}

/* Sends the bodies over all connections; `watch` is called about once a second meanwhile. */
static void send_all(uint64_t count, bool paced, void (*watch)(pid_t pid, double *max), pid_t pid,
                     double *max)
{
    pthread_t threads[SENDERS];
    int i;

    atomic_store(&next_body, 0);
    atomic_store(&refused, 0);
    bodies_to_send = count;
    paced_since_mono_ns = paced ? sonde_mono_ns() : 0;
    for (i = 0; i < SENDERS; i++)
        if (pthread_create(&threads[i], NULL, send_bodies, NULL) != 0)
            die("thread");
    while (watch && atomic_load(&next_body) < count) {
        watch(pid, max);
        sleep_ns(SONDE_NS_PER_S / 2);
    }
    for (i = 0; i < SENDERS; i++)
        (void)pthread_join(threads[i], NULL);
}

static void watch_rss(pid_t pid, double *max)
{
    double mib = rss_mib(pid);

    if (mib > *max)
        *max = mib;
}

/* ---- the scenarios ---- */

static double measure_speed(uint64_t millions)
{
    uint16_t sink_port;
    pid_t sink = start_sink(false, &sink_port), agent = start_agent(sink_port);
    uint64_t start, count = millions * 1000000 / SPANS;
    double cpu, idle, wall;

    sleep_ns(IDLE_S * (uint64_t)SONDE_NS_PER_S);
    idle = rss_mib(agent);
    start = sonde_mono_ns();
    send_all(count, false, NULL, agent, NULL);
    wall = (double)(sonde_mono_ns() - start) * 1e-9;
    cpu = stop(agent, SIGTERM);
    (void)stop(sink, SIGKILL);
    (void)printf("{\"bench\":\"agent_idle\",\"mib\":%.2f}\n", idle);
    (void)printf("{\"bench\":\"agent_speed\",\"spans_per_cpu_s\":%.0f,\"cpu_ns_per_span\":%.0f,"
                 "\"spans\":%llu,"
                 "\"wall_s\":%.2f,\"refused\":%llu}\n",
                 (double)(count * SPANS) / cpu, cpu * 1e9 / (double)(count * SPANS),
                 (unsigned long long)(count * SPANS), wall,
                 (unsigned long long)atomic_load(&refused));
    return cpu * 1e9 / (double)(count * SPANS);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void measure_answers(void)
{
    uint16_t sink_port;
    pid_t sink = start_sink(false, &sink_port), agent = start_agent(sink_port);

    paced_per_s = ANSWERS_PER_S;
    send_all(ANSWERS, true, NULL, agent, NULL);
    paced_per_s = PACED_PER_S;
    (void)stop(agent, SIGTERM);
    (void)stop(sink, SIGKILL);
    qsort(answer_ns, ANSWERS, sizeof(answer_ns[0]), ascending);
    (void)printf("{\"bench\":\"agent_answers\",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
                 (double)answer_ns[ANSWERS / 2] * 1e-6,
                 (double)answer_ns[ANSWERS * 99 / 100] * 1e-6,
                 (double)answer_ns[ANSWERS - 1] * 1e-6);
}

/* CPU of a span in a payload of LARGE_TRACES traces. */
static void measure_large(uint64_t millions, double small_ns)
{
    uint16_t sink_port;
    pid_t sink = start_sink(false, &sink_port), agent = start_agent(sink_port);
    uint64_t spans = (uint64_t)LARGE_TRACES * BODY_SPANS_A_TRACE;
    uint64_t count = millions * 1000000 / spans;
    double ns;

    send_large = true;
    send_all(count, false, NULL, agent, NULL);
    send_large = false;
    ns = stop(agent, SIGTERM) * 1e9 / (double)(count * spans);
    (void)stop(sink, SIGKILL);
    (void)printf("{\"bench\":\"agent_large\",\"cpu_ns_per_span\":%.0f,\"of_small\":%.3f}\n", ns,
                 ns / small_ns);
}

static void measure_memory(const char *name, bool stalled)
{
    uint16_t sink_port;
    pid_t sink = start_sink(stalled, &sink_port), agent = start_agent(sink_port);
    double max = 0.0;

    send_all((uint64_t)PACED_PER_S * PACED_S / SPANS, true, watch_rss, agent, &max);
    watch_rss(agent, &max);
    (void)stop(agent, stalled ? SIGKILL : SIGTERM);
    (void)stop(sink, SIGKILL);
    (void)printf("{\"bench\":\"%s\",\"mib\":%.2f,\"spans_per_s\":%d,\"refused\":%llu}\n", name, max,
                 PACED_PER_S, (unsigned long long)atomic_load(&refused));
}

int main(int argc, char **argv)
{
    uint64_t millions = 4;
    int i;

    if (argc > 1 && sonde_parse_u64(sonde_str_from(argv[1]), &millions) != SONDE_OK)
        return 2;
    temp_dir_make(data_dir, sizeof(data_dir));
    for (i = 0; i < BODIES; i++) {
        sonde_buf_init(&bodies[i], 1 << 24);
        trace_body_v04(&bodies[i], (uint64_t)i + 1, TRACES, sonde_unix_ns());
    }
    sonde_buf_init(&large_bodies[0], 1 << 26);
    trace_body_v04(&large_bodies[0], 1, LARGE_TRACES, sonde_unix_ns());
    measure_large(millions, measure_speed(millions));
    measure_answers();
    measure_memory("agent_loaded", false);
    measure_memory("agent_stalled", true);
    for (i = 0; i < BODIES; i++)
        sonde_buf_done(&bodies[i]);
    sonde_buf_done(&large_bodies[0]);
    temp_dir_remove(data_dir);
    return 0;
}
