/* bench_agent_path.c - what one span costs at each stage of the agent, in one thread, without sockets.
 *
 *   bench_agent_path [million spans, default 1] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/payload/limits.h"
#include "agent/processor/processor.h"
#include "agent/receiver/decode.h"
#include "agent/sampler/sampler.h"
#include "agent/stats/concentrator.h"
#include "agent/writer/trace.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"
#include "support/trace_bodies.h"

#define BODIES 64
#define TRACES 20

#define V10_ROUNDS 100

typedef struct stage_time {
    uint64_t decode, process, stats, sample, encode, flush, release;
} stage_time;

typedef struct path {
    processor *processor;
    concentrator *concentrator;
    sampler *sampler;
    trace_writer *writer;
    sonde_buf scratch;
    stage_time ns;
    uint64_t bytes_out;
} path;

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
}

static sonde_status take_upload(void *stage, upload *u)
{
    path *p = stage;

    p->bytes_out += u->body_len;
    sonde_free(u->body);
    return SONDE_OK;
}

static sonde_status take_stats(void *stage, const stats_payload *s)
{
    (void)stage, (void)s;
    return SONDE_OK;
}

static void must(sonde_status status, const char *what)
{
    if (status == SONDE_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, sonde_status_str(status));
    exit(1);
}

static void open_path(path *p)
{
    must(processor_open(&(processor_options){ .clock = NULL }, &p->processor), "processor");
    must(concentrator_open(&(concentrator_options){ .agent_env = SONDE_STR("none"),
                                                    .hostname = SONDE_STR("h"),
                                                    .sink = { take_stats, NULL } },
                           sonde_unix_ns(), &p->concentrator),
         "concentrator");
    must(sampler_open(&(sampler_options){ .target_per_s = 10, .agent_env = SONDE_STR("none") },
                      &p->sampler),
         "sampler");
    must(trace_writer_open(&(trace_writer_options){ .sink = { take_upload, p } }, 0, &p->writer),
         "writer");
    trace_scratch_init(&p->scratch);
}

static void close_path(path *p)
{
    trace_writer_close(p->writer);
    sampler_close(p->sampler);
    concentrator_close(p->concentrator);
    processor_close(p->processor);
    sonde_buf_done(&p->scratch);
}

static uint64_t lap(uint64_t *sum, uint64_t since)
{
    uint64_t now = cpu_ns();

    *sum += now - since;
    return now;
}

static void run_one(path *p, const sonde_buf *body)
{
    payload *what = payload_new(PAYLOAD_ARENA_BASE_BYTES + PAYLOAD_ARENA_FACTOR * body->len);
    decode_tally tally = { 0 };
    uint64_t at = cpu_ns();
    uint32_t i;

    if (!what)
        exit(1);
    what->body = sonde_buf_str(body);
    what->language_name = SONDE_STR("c");
    what->endpoint_version = "v0.4";
    must(decode_v04(what, &tally, NULL), "decode");
    at = lap(&p->ns.decode, at);
    processor_run(p->processor, what);
    at = lap(&p->ns.process, at);
    concentrator_add(p->concentrator, what, sonde_unix_ns());
    at = lap(&p->ns.stats, at);
    for (i = 0; i < what->chunks_len; i++)
        (void)sampler_keeps(p->sampler, what, &what->chunks[i], 0.0, sonde_unix_ns());
    at = lap(&p->ns.sample, at);
    trace_writer_add(p->writer, &p->scratch, what, 0); /* compresses when full */
    at = lap(&p->ns.encode, at);
    payload_free(what);
    (void)lap(&p->ns.release, at);
}

/* What the same traces cost to decode as v1.0. */
static uint64_t decode_as_v10(uint64_t seed, int64_t now)
{
    decode_tally tally;
    sonde_buf body;
    uint64_t ns = 0;
    int i;

    sonde_buf_init(&body, 1 << 24);
    trace_body_v10(&body, seed, TRACES, now);
    for (i = 0; i < V10_ROUNDS; i++) {
        payload *what = payload_new(PAYLOAD_ARENA_BASE_BYTES + PAYLOAD_ARENA_FACTOR * body.len);
        uint64_t at = cpu_ns();

        if (!what)
            exit(1);
        what->body = sonde_buf_str(&body);
        must(decode_v10(what, &tally, NULL), "decode v1.0");
        (void)lap(&ns, at);
        payload_free(what);
    }
    sonde_buf_done(&body);
    return ns;
}

static void print(const char *stage, uint64_t ns, uint64_t spans)
{
    (void)printf("{\"bench\":\"agent_path\",\"stage\":\"%s\",\"ns_per_span\":%.1f}\n", stage,
                 (double)ns / (double)spans);
}

int main(int argc, char **argv)
{
    static sonde_buf bodies[BODIES];
    uint64_t millions = 1, spans, done = 0, raw = 0, total, v10 = 0;
    path p = { .bytes_out = 0 };
    trace_writer_counters n;
    int64_t now = sonde_unix_ns();
    size_t i;

    if (argc > 1 && sonde_parse_u64(sonde_str_from(argv[1]), &millions) != SONDE_OK)
        return 2;
    for (i = 0; i < BODIES; i++) {
        sonde_buf_init(&bodies[i], 1 << 24);
        trace_body_v04(&bodies[i], i + 1, TRACES, now);
        raw += bodies[i].len;
    }
    open_path(&p);
    for (spans = millions * 1000000; done < spans; done += TRACES * BODY_SPANS_A_TRACE)
        run_one(&p, &bodies[done / (TRACES * BODY_SPANS_A_TRACE) % BODIES]);
    p.ns.flush = cpu_ns();
    trace_writer_flush(p.writer, 0);
    p.ns.flush = cpu_ns() - p.ns.flush;
    trace_writer_read_counters(p.writer, &n);

    total = p.ns.decode + p.ns.process + p.ns.stats + p.ns.sample + p.ns.encode + p.ns.flush +
            p.ns.release;
    print("decode", p.ns.decode, done);
    print("process", p.ns.process, done);
    print("stats", p.ns.stats, done);
    print("sample", p.ns.sample, done);
    print("encode_compress", p.ns.encode + p.ns.flush, done);
    print("release", p.ns.release, done);
    (void)printf(
        "{\"bench\":\"agent_path\",\"stage\":\"all\",\"ns_per_span\":%.1f,\"spans_per_s\":%.0f,"
        "\"bytes_in_per_span\":%.0f,\"bytes_raw_per_span\":%.0f,\"bytes_out_per_span\":%.1f}\n",
        (double)total / (double)done, (double)done * 1e9 / (double)total,
        (double)raw / BODIES / (TRACES * BODY_SPANS_A_TRACE),
        (double)n.bytes_raw / (double)n.spans_out, (double)p.bytes_out / (double)n.spans_out);
    for (i = 0; i < BODIES; i++)
        v10 += decode_as_v10(i + 1, now);
    print("decode_v10", v10, (uint64_t)BODIES * V10_ROUNDS * TRACES * BODY_SPANS_A_TRACE);
    close_path(&p);
    for (i = 0; i < BODIES; i++)
        sonde_buf_done(&bodies[i]);
    return 0;
}
