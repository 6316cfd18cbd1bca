/* bench_intake.c - spans committed to SQLite per CPU second of an intake process, and its reads.
 *
 * A forked child runs the intake on a temporary folder; this process sends payloads made beforehand
 * over SENDERS connections, as agents do: five spans a trace, about ten tags a span, zstd.  CPU time is
 * the child's, from /proc; what is counted is what was acknowledged, so it is committed.
 *
 *   bench_intake [million spans, default 1] */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/rng.h"
#include "codec/compress/compress.h"
#include "codec/msgpack_write.h"
#include "codec/pb_write.h"
#include "codec/sketch.h"
#include "dashboards/main/intake_main.h"
#include "net/http_plain.h"
#include "net/url.h"

#define PAYLOADS         64
#define TRACES_A_PAYLOAD 1000
#define SPANS_A_TRACE    5
#define SPANS_A_PAYLOAD  (TRACES_A_PAYLOAD * SPANS_A_TRACE)
#define SENDERS          6
#define READS            200

static sonde_buf payloads[PAYLOADS];
static uint64_t sample_trace; /* some trace's low half */
static uint16_t port;
static _Atomic uint64_t next_payload, acknowledged;
static uint64_t payloads_to_send;

/* ---- payloads ---- */

static void add_meta(sonde_buf *b, const char *key, const char *value)
{
    sonde_pb_map_str_str(b, 10, sonde_str_from(key), sonde_str_from(value));
}

static void add_metric(sonde_buf *b, const char *key, double value)
{
    sonde_pb_map_str_double(b, 11, sonde_str_from(key), value);
}

static void add_span(sonde_buf *b, sonde_rng *rng, uint64_t trace, uint64_t parent,
                     uint64_t *out_id, int k, int64_t start)
{
    static const char *const services[] = { "gateway", "orders", "orders", "stock", "payments" };
    static const char *const names[] = { "http.request", "http.request", "sqlite.query",
                                         "grpc.client", "http.request" };
    static const char *const types[] = { "web", "web", "sql", "rpc", "web" };
    static const char *const kinds[] = { "server", "client", "client", "client", "server" };
    size_t mark = sonde_pb_begin(b, 3);
    uint64_t r = sonde_rng_next(rng);
    char text[96];

    *out_id = sonde_rng_next(rng) >> 1;
    sonde_pb_str(b, 1, sonde_str_from(services[k]));
    sonde_pb_str(b, 2, sonde_str_from(names[k]));
    snprintf(text, sizeof(text),
             k == 2 ? "SELECT * FROM t%d WHERE id = ?" : "GET /api/v1/things/%d/?", (int)(r % 40));
    sonde_pb_str(b, 3, sonde_str_from(text));
    sonde_pb_varint(b, 4, trace);
    sonde_pb_varint(b, 5, *out_id);
    sonde_pb_varint(b, 6, parent);
    sonde_pb_int64(b, 7, start + k * 1000000);
    sonde_pb_int64(b, 8, (int64_t)(r % 50000000 + 100000));
    sonde_pb_int64(b, 9, r % 97 == 0);
    add_meta(b, "env", "bench");
    add_meta(b, "language", "c");
    add_meta(b, "runtime-id", "0b7d1b5e-57a4-4c5c-9a3c-6cbb3a3f3b11");
    add_meta(b, "span.kind", kinds[k]);
    add_meta(b, "component", "libmicrohttpd");
    if (k == 0) {
        snprintf(text, sizeof(text), "http://shop.example/api/v1/things/%llu",
                 (unsigned long long)(r >> 40));
        add_meta(b, "http.url", text);
        add_meta(b, "_dd.p.tid", "674490a100000000");
        add_meta(b, "_dd.p.dm", "-1");
    }
    if (k != 2) {
        add_meta(b, "http.method", "GET");
        add_meta(b, "http.status_code", r % 97 == 0 ? "500" : "200");
    } else {
        add_meta(b, "db.statement", "SELECT * FROM things WHERE id = ?");
        snprintf(text, sizeof(text), "%llu", (unsigned long long)(r % 100000));
        add_meta(b, "order.id", text);
    }
    add_metric(b, "_sampling_priority_v1", 1);
    add_metric(b, "process_id", 4711);
    if (k == 0)
        add_metric(b, "_top_level", 1);
    sonde_pb_str(b, 12, sonde_str_from(types[k]));
    sonde_pb_end(b, mark);
}

static void make_payload(sonde_buf *raw, sonde_rng *rng, int64_t now)
{
    size_t tracer, chunk;
    int t, k;

    sonde_pb_str(raw, 1, SONDE_STR("bench-host"));
    sonde_pb_str(raw, 2, SONDE_STR("bench"));
    tracer = sonde_pb_begin(raw, 5);
    sonde_pb_str(raw, 2, SONDE_STR("c"));
    for (t = 0; t < TRACES_A_PAYLOAD; t++) {
        uint64_t trace = sonde_rng_next(rng), root = 0, id;

        sample_trace = trace;
        chunk = sonde_pb_begin(raw, 6);
        sonde_pb_varint(raw, 1, 1);
        for (k = 0; k < SPANS_A_TRACE; k++) {
            add_span(raw, rng, trace, root, &id, k,
                     now - (int64_t)(sonde_rng_next(rng) % 5000000000u));
            if (k == 0)
                root = id;
        }
        sonde_pb_end(raw, chunk);
    }
    sonde_pb_str(raw, 8, SONDE_STR("bench"));
    sonde_pb_end(raw, tracer);
}

static size_t make_payloads(void)
{
    sonde_rng rng;
    sonde_buf raw;
    size_t i, bytes = 0;

    sonde_rng_seed(&rng, 1);
    sonde_buf_init(&raw, 64u << 20);
    for (i = 0; i < PAYLOADS; i++) {
        sonde_buf_reset(&raw);
        make_payload(&raw, &rng, sonde_unix_ns());
        bytes += raw.len;
        sonde_buf_init(&payloads[i], 64u << 20);
        if (sonde_compress(SONDE_ENCODING_ZSTD, 1, sonde_buf_str(&raw), &payloads[i]) != SONDE_OK)
            exit(1);
    }
    sonde_buf_done(&raw);
    return bytes;
}

/* ---- the intake's process ---- */

static void run_intake(const char *dir, int port_fd, int stop_fd)
{
    intake_main_options options = { .host = "127.0.0.1",
                                    .data_dir = dir,
                                    .max_store_bytes = 8ull << 30 };
    intake_main *m;
    sonde_error error;
    uint16_t p;
    char byte;

    if (intake_main_open(&options, &m, &error) != SONDE_OK) {
        fprintf(stderr, "%s\n", error.message);
        _exit(1);
    }
    p = intake_main_port(m);
    if (write(port_fd, &p, sizeof(p)) != sizeof(p))
        _exit(1);
    (void)!read(stop_fd, &byte, 1);
    intake_main_close(m, sonde_deadline(sonde_mono_ns(), 5ull * SONDE_NS_PER_S));
    _exit(0);
}

static double cpu_s(pid_t pid)
{
    char path[64], line[1024];
    FILE *f;
    char *at;
    int i;
    uint64_t user = 0, system_ticks = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (!f || !fgets(line, sizeof(line), f))
        exit(1);
    fclose(f);
    at = strrchr(line, ')') + 2; /* field 3 */
    for (i = 3; i < 14; i++)
        at = strchr(at, ' ') + 1;
    (void)sonde_parse_u64(sonde_str_sub(sonde_str_from(at), 0, strcspn(at, " ")), &user);
    at = strchr(at, ' ') + 1;
    (void)sonde_parse_u64(sonde_str_sub(sonde_str_from(at), 0, strcspn(at, " ")), &system_ticks);
    return (double)(user + system_ticks) / (double)sysconf(_SC_CLK_TCK);
}

static uint64_t rss_kib(pid_t pid)
{
    char path[64], line[256];
    uint64_t kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "VmHWM:", 6) == 0) {
            char *digits = line + 6 + strspn(line + 6, " \t");

            (void)sonde_parse_u64((sonde_str){ digits, strspn(digits, "0123456789") }, &kib);
        }
    if (f)
        fclose(f);
    return kib;
}

/* ---- requests ---- */

static sonde_http_plain *connect_intake(void)
{
    char text[64];
    sonde_url url;
    sonde_http_plain *c;

    snprintf(text, sizeof(text), "http://127.0.0.1:%u", port);
    if (sonde_url_parse(sonde_str_from(text), &url, NULL) != SONDE_OK ||
        sonde_http_plain_open(&url, 64u << 20, &c) != SONDE_OK)
        exit(1);
    return c;
}

static void *send_payloads(void *arg)
{
    static const sonde_http_header headers[] = {
        { { "DD-Api-Key", 10 }, { "bench", 5 } },
        { { "Content-Type", 12 }, { "application/x-protobuf", 22 } },
        { { "Content-Encoding", 16 }, { "zstd", 4 } },
    };
    sonde_http_plain *c = connect_intake();
    uint64_t i;

    (void)arg;
    while ((i = atomic_fetch_add(&next_payload, 1)) < payloads_to_send) {
        sonde_http_plain_request request = {
            .method = "POST",
            .path = "/api/v0.2/traces",
            .headers = headers,
            .headers_len = 3,
            .body = sonde_buf_str(&payloads[i % PAYLOADS]),
        };
        sonde_http_plain_answer answer = { 0 };

        do {
            request.deadline_mono_ns = sonde_mono_ns() + 30ull * SONDE_NS_PER_S;
            if (sonde_http_plain_send(c, &request, &answer) != SONDE_OK)
                exit(1);
        } while (answer.status == 503);
        if (answer.status != 200) {
            fprintf(stderr, "status %d\n", answer.status);
            exit(1);
        }
        atomic_fetch_add(&acknowledged, SPANS_A_PAYLOAD);
    }
    sonde_http_plain_close(c);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median milliseconds of a GET. */
static double get_ms(const char *path, int times)
{
    sonde_http_plain *c = connect_intake();
    double ms[READS];
    int i;

    for (i = 0; i < times && i < READS; i++) {
        uint64_t start = sonde_mono_ns();
        sonde_http_plain_request request = { .method = "GET",
                                             .path = path,
                                             .deadline_mono_ns = start + 30ull * SONDE_NS_PER_S };
        sonde_http_plain_answer answer = { 0 };

        if (sonde_http_plain_send(c, &request, &answer) != SONDE_OK || answer.status != 200)
            fprintf(stderr, "GET %s: %d %.*s\n", path, answer.status, SONDE_STR_ARG(answer.body));
        ms[i] = (double)(sonde_mono_ns() - start) / 1e6;
    }
    sonde_http_plain_close(c);
    qsort(ms, (size_t)i, sizeof(ms[0]), by_value);
    return ms[i / 2];
}

static uint64_t dir_bytes(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    uint64_t sum = 0;

    while (d && (e = readdir(d)) != NULL) {
        char path[512];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_size;
    }
    if (d)
        closedir(d);
    return sum;
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

/* ---- statistics: an hour of GROUPS groups in 10 s buckets, as an agent sends them ---- */

#define GROUPS 50

static void add_group(sonde_buf *b, int g, sonde_str sketch)
{
    char text[32];

    snprintf(text, sizeof(text), "GET /things/%d", g);
    sonde_mp_write_map(b, 9);
    sonde_mp_write_str(b, SONDE_STR("Service"));
    sonde_mp_write_str(b, g % 5 ? SONDE_STR("orders") : SONDE_STR("gateway"));
    sonde_mp_write_str(b, SONDE_STR("Name"));
    sonde_mp_write_str(b, SONDE_STR("http.request"));
    sonde_mp_write_str(b, SONDE_STR("Resource"));
    sonde_mp_write_str(b, sonde_str_from(text));
    sonde_mp_write_str(b, SONDE_STR("Type"));
    sonde_mp_write_str(b, SONDE_STR("web"));
    sonde_mp_write_str(b, SONDE_STR("Hits"));
    sonde_mp_write_u64(b, 200);
    sonde_mp_write_str(b, SONDE_STR("Errors"));
    sonde_mp_write_u64(b, 2);
    sonde_mp_write_str(b, SONDE_STR("TopLevelHits"));
    sonde_mp_write_u64(b, 200);
    sonde_mp_write_str(b, SONDE_STR("Duration"));
    sonde_mp_write_u64(b, 200 * 5000000u);
    sonde_mp_write_str(b, SONDE_STR("OkSummary"));
    sonde_mp_write_bin(b, sketch.ptr, sketch.len);
}

static void send_stats(void)
{
    static const sonde_http_header headers[] = { { { "DD-Api-Key", 10 }, { "bench", 5 } } };
    sonde_http_plain *c = connect_intake();
    sonde_sketch sketch;
    sonde_buf sketch_bytes, b;
    sonde_rng rng;
    int64_t bucket = sonde_unix_ns() / 1000000000 / 10 * 10 - 3600;
    int i, g;

    sonde_rng_seed(&rng, 2);
    sonde_sketch_init(&sketch);
    for (i = 0; i < 200; i++)
        if (sonde_sketch_add(&sketch, (double)(sonde_rng_next(&rng) % 50000000u + 100000), 1) !=
            SONDE_OK)
            exit(1);
    sonde_buf_init(&sketch_bytes, 1 << 20);
    sonde_sketch_encode(&sketch, &sketch_bytes);
    sonde_buf_init(&b, 8u << 20);
    for (i = 0; i < 360; i++, bucket += 10) {
        sonde_http_plain_request request = {
            .method = "POST", .path = "/api/v0.2/stats", .headers = headers, .headers_len = 1
        };
        sonde_http_plain_answer answer = { 0 };

        sonde_buf_reset(&b);
        sonde_mp_write_map(&b, 1);
        sonde_mp_write_str(&b, SONDE_STR("Stats"));
        sonde_mp_write_array(&b, 1);
        sonde_mp_write_map(&b, 2);
        sonde_mp_write_str(&b, SONDE_STR("Env"));
        sonde_mp_write_str(&b, SONDE_STR("bench"));
        sonde_mp_write_str(&b, SONDE_STR("Stats"));
        sonde_mp_write_array(&b, 1);
        sonde_mp_write_map(&b, 2);
        sonde_mp_write_str(&b, SONDE_STR("Start"));
        sonde_mp_write_u64(&b, (uint64_t)bucket * 1000000000u);
        sonde_mp_write_str(&b, SONDE_STR("Stats"));
        sonde_mp_write_array(&b, GROUPS);
        for (g = 0; g < GROUPS; g++)
            add_group(&b, g, sonde_buf_str(&sketch_bytes));
        request.body = sonde_buf_str(&b);
        request.deadline_mono_ns = sonde_mono_ns() + 30ull * SONDE_NS_PER_S;
        if (sonde_http_plain_send(c, &request, &answer) != SONDE_OK || answer.status != 200)
            exit(1);
    }
    sonde_buf_done(&b);
    sonde_buf_done(&sketch_bytes);
    sonde_sketch_done(&sketch);
    sonde_http_plain_close(c);
}

static void read_back(void)
{
    static const struct {
        const char *what, *path;
        int times;
    } reads[] = {
        { "services_last_hour", "/api/sonde/v1/services", 50 },
        { "resources_last_hour", "/api/sonde/v1/services/orders/resources", 50 },
        { "series_last_hour", "/api/sonde/v1/services/orders/series", 50 },
        { "traces_latest", "/api/sonde/v1/traces?from=now-1h", 50 },
        { "traces_errors", "/api/sonde/v1/traces?from=now-1h&query=status:error", 50 },
        { "traces_longest", "/api/sonde/v1/traces?from=now-1h&sort=-duration", 5 },
        { "traces_rare_tag", "/api/sonde/v1/traces?from=now-1h&query=@order.id:17", 20 },
        { "traces_absent_tag", "/api/sonde/v1/traces?from=now-1h&query=@order.id:none", 20 },
        { "traces_full_scan", "/api/sonde/v1/traces?from=now-1h&query=@order.id:*999991", 3 },
    };
    char path[128];
    size_t i;

    snprintf(path, sizeof(path), "/api/sonde/v1/traces/%llu", (unsigned long long)sample_trace);
    printf("{\"bench\":\"intake_read\",\"what\":\"trace_by_id\",\"ms\":%.3f}\n", get_ms(path, 100));
    for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
        printf("{\"bench\":\"intake_read\",\"what\":\"%s\",\"ms\":%.3f}\n", reads[i].what,
               get_ms(reads[i].path, reads[i].times));
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/sonde-bench-XXXXXX";
    int port_pipe[2], stop_pipe[2], i;
    uint64_t millions = 1, start, wall;
    pthread_t threads[SENDERS];
    double cpu;
    pid_t pid;
    size_t raw_bytes;

    if (argc > 1)
        (void)sonde_parse_u64(sonde_str_from(argv[1]), &millions);
    if (!mkdtemp(dir) || pipe(port_pipe) != 0 || pipe(stop_pipe) != 0)
        return 1;
    pid = fork();
    if (pid == 0) {
        close(stop_pipe[1]);
        run_intake(dir, port_pipe[1], stop_pipe[0]);
    }
    if (read(port_pipe[0], &port, sizeof(port)) != sizeof(port))
        return 1;
    raw_bytes = make_payloads();
    payloads_to_send = millions * 1000000 / SPANS_A_PAYLOAD;
    cpu = cpu_s(pid);
    start = sonde_mono_ns();
    for (i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_payloads, NULL);
    for (i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    wall = sonde_mono_ns() - start;
    cpu = cpu_s(pid) - cpu;
    printf("{\"bench\":\"intake\",\"spans\":%llu,\"spans_per_cpu_s\":%.0f,\"spans_per_s\":%.0f,"
           "\"wire_bytes_per_span\":%.0f,\"stored_bytes_per_span\":%.1f,\"peak_rss_kib\":%llu}\n",
           (unsigned long long)acknowledged, (double)acknowledged / cpu,
           (double)acknowledged / ((double)wall / 1e9),
           (double)raw_bytes / (PAYLOADS * SPANS_A_PAYLOAD),
           (double)dir_bytes(dir) / (double)acknowledged, (unsigned long long)rss_kib(pid));
    send_stats();
    read_back();
    close(stop_pipe[1]);
    waitpid(pid, NULL, 0);
    remove_dir(dir);
    return 0;
}
