/* bench_otlp.c - what one OTLP span costs from bytes to payload, in one thread, without sockets.
 *
 *   bench_otlp [million spans, default 1]
 *
 * Bodies are what an SDK's batch looks like: one resource of eight attributes, 500 spans of five a
 * trace, six or seven attributes each; about 300 bytes a span. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/otlp/read.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/rng.h"
#include "codec/pb_write.h"

#define BODIES 16
#define SPANS  500

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SONDE_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void put_text(sonde_buf *b, uint32_t field, const char *key, const char *value)
{
    size_t pair = sonde_pb_begin(b, field), any;

    sonde_pb_str(b, 1, sonde_str_from(key));
    any = sonde_pb_begin(b, 2);
    sonde_pb_str(b, 1, sonde_str_from(value));
    sonde_pb_end(b, any);
    sonde_pb_end(b, pair);
}

static void put_int(sonde_buf *b, const char *key, int64_t value)
{
    size_t pair = sonde_pb_begin(b, 9), any;

    sonde_pb_str(b, 1, sonde_str_from(key));
    any = sonde_pb_begin(b, 2);
    sonde_pb_int64(b, 3, value);
    sonde_pb_end(b, any);
    sonde_pb_end(b, pair);
}

static void put_resource(sonde_buf *b)
{
    static const char *const pairs[][2] = {
        { "service.name", "checkout" },
        { "service.version", "1.42.0" },
        { "deployment.environment.name", "production" },
        { "telemetry.sdk.language", "cpp" },
        { "telemetry.sdk.name", "opentelemetry" },
        { "telemetry.sdk.version", "1.16.1" },
        { "host.name", "node-17" },
        { "process.runtime.name", "native" },
    };
    size_t resource = sonde_pb_begin(b, 1);

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        put_text(b, 1, pairs[i][0], pairs[i][1]);
    sonde_pb_end(b, resource);
}

static void put_server(sonde_buf *b)
{
    sonde_pb_varint(b, 6, 2);
    put_text(b, 9, "http.request.method", "GET");
    put_text(b, 9, "http.route", "/api/v1/orders/{id}");
    put_text(b, 9, "url.path", "/api/v1/orders/18273");
    put_text(b, 9, "server.address", "shop.example.com");
    put_text(b, 9, "user_agent.original", "curl/8.5.0");
    put_int(b, "http.response.status_code", 200);
}

static void put_client(sonde_buf *b)
{
    sonde_pb_varint(b, 6, 3);
    put_text(b, 9, "db.system", "postgresql");
    put_text(b, 9, "db.namespace", "orders");
    put_text(b, 9, "db.operation.name", "SELECT");
    put_text(b, 9, "db.query.text", "SELECT * FROM orders WHERE id = $1");
    put_text(b, 9, "server.address", "db.internal");
    put_int(b, "server.port", 5432);
    put_int(b, "thread.id", 17);
}

static void put_span(sonde_buf *b, sonde_rng *rng, uint64_t trace[2], uint64_t *parent, uint32_t i)
{
    size_t span = sonde_pb_begin(b, 2);
    uint64_t id = sonde_rng_next(rng);

    if (i % 5 == 0)
        trace[0] = sonde_rng_next(rng), trace[1] = sonde_rng_next(rng);
    sonde_pb_str(b, 1, (sonde_str){ (const char *)trace, 16 });
    sonde_pb_str(b, 2, (sonde_str){ (const char *)&id, 8 });
    if (i % 5)
        sonde_pb_str(b, 4, (sonde_str){ (const char *)parent, 8 });
    else
        *parent = id;
    sonde_pb_str(b, 5, SONDE_STR("GET /api/v1/orders/{id}"));
    sonde_pb_fixed64(b, 7, UINT64_C(1700000000000000000) + i);
    sonde_pb_fixed64(b, 8, UINT64_C(1700000000001000000) + i);
    if (i % 5)
        put_client(b);
    else
        put_server(b);
    sonde_pb_end(b, span);
}

static void make_body(sonde_buf *b, sonde_rng *rng)
{
    uint64_t trace[2] = { 0, 0 }, parent = 0;
    size_t all, scope_spans, scope;

    sonde_buf_init(b, 1 << 22);
    all = sonde_pb_begin(b, 1);
    put_resource(b);
    scope_spans = sonde_pb_begin(b, 2);
    scope = sonde_pb_begin(b, 1);
    sonde_pb_str(b, 1, SONDE_STR("shop"));
    sonde_pb_end(b, scope);
    for (uint32_t i = 0; i < SPANS; i++)
        put_span(b, rng, trace, &parent, i);
    sonde_pb_end(b, scope_spans);
    sonde_pb_end(b, all);
}

static void run_one(const sonde_buf *body)
{
    const otlp_build_options options = { .rate = 1, .max_arena_bytes = 32u << 20 };
    static otlp_builder b;
    payload *p;

    otlp_build_init(&b, &options, body->len);
    if (otlp_read_pb(&b, sonde_buf_str(body)) != SONDE_OK || b.tally.spans != SPANS)
        exit(1);
    while ((p = otlp_build_take(&b)) != NULL)
        payload_free(p);
    otlp_build_done(&b);
}

int main(int argc, char **argv)
{
    static sonde_buf bodies[BODIES];
    uint64_t millions = 1, done = 0, ns;
    sonde_rng rng;

    if (argc > 1 && sonde_parse_u64(sonde_str_from(argv[1]), &millions) != SONDE_OK)
        return 2;
    sonde_rng_seed(&rng, 1);
    for (size_t i = 0; i < BODIES; i++)
        make_body(&bodies[i], &rng);
    ns = cpu_ns();
    for (; done < millions * 1000000; done += SPANS)
        run_one(&bodies[done / SPANS % BODIES]);
    ns = cpu_ns() - ns;
    (void)printf("{\"bench\":\"otlp\",\"ns_per_span\":%.1f,\"spans_per_cpu_s\":%.0f,"
                 "\"bytes_per_span\":%.0f}\n",
                 (double)ns / (double)done, (double)done * 1e9 / (double)ns,
                 (double)bodies[0].len / SPANS);
    for (size_t i = 0; i < BODIES; i++)
        sonde_buf_done(&bodies[i]);
    return 0;
}
