/* trace_bodies.c - the mixed load of journeys and benchmarks. */
#include "support/trace_bodies.h"

#include <stdio.h>

#include "base/hex.h"
#include "base/rng.h"
#include "codec/msgpack_write.h"

typedef struct shape { /* one kind of span */
    const char *service, *name, *resource, *type, *kind;
    const char *meta[7][2]; /* fixed tags */
    int parent;             /* index in the trace, -1: root */
} shape;

static const shape shapes[BODY_SPANS_A_TRACE] = {
    { "gateway",
      "http.request",
      "GET /orders/{id}",
      "web",
      "server",
      { { "component", "microhttpd" },
        { "http.method", "GET" },
        { "http.url", "http://gateway:8080/orders/4711" },
        { "http.useragent", "Mozilla/5.0 (X11; Linux x86_64)" },
        { "http.route", "/orders/{id}" },
        { "network.client.ip", "10.3.1.7" } },
      -1 },
    { "gateway",
      "http.request",
      "GET orders",
      "http",
      "client",
      { { "component", "libcurl" },
        { "http.method", "GET" },
        { "http.url", "http://orders:8081/orders/4711" },
        { "peer.service", "orders" },
        { "out.host", "orders" },
        { "network.destination.port", "8081" } },
      0 },
    { "orders",
      "http.request",
      "GET /orders/{id}",
      "web",
      "server",
      { { "component", "microhttpd" },
        { "http.method", "GET" },
        { "http.url", "http://orders:8081/orders/4711" },
        { "http.useragent", "libcurl/7.88.1" },
        { "http.route", "/orders/{id}" } },
      1 },
    { "orders",
      "sqlite.query",
      "SELECT id, item, price FROM orders WHERE id = ?",
      "sql",
      "client",
      { { "component", "sqlite" },
        { "db.system", "sqlite" },
        { "db.name", "orders.db" },
        { "db.operation", "SELECT" },
        { "out.host", "localhost" } },
      2 },
    { "orders",
      "render",
      "order.json",
      "template",
      "internal",
      { { "component", "template" }, { "template.name", "order.json" }, { "cache", "miss" } },
      2 },
};

static void put_str(sonde_buf *b, const char *key, const char *value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, sonde_str_from(value));
}

static void put_i64(sonde_buf *b, const char *key, int64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_i64(b, value);
}

static void put_u64(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void put_meta(sonde_buf *b, const shape *s, bool root, uint64_t random)
{
    char tid[17], order[32];
    uint32_t n = 5, i;

    for (i = 0; i < 7 && s->meta[i][0]; i++)
        n++;
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, n + (root ? 3 : 0));
    put_str(b, "env", "prod");
    put_str(b, "version", "1.4.2");
    put_str(b, "language", "c");
    put_str(b, "span.kind", s->kind);
    (void)snprintf(order, sizeof(order), "%llu", (unsigned long long)(random % 100000));
    put_str(b, "order.id", order);
    for (i = 0; i < 7 && s->meta[i][0]; i++)
        put_str(b, s->meta[i][0], s->meta[i][1]);
    if (!root)
        return;
    sonde_hex_u64(random, tid);
    tid[16] = '\0';
    put_str(b, "_dd.p.tid", tid);
    put_str(b, "_dd.p.dm", "-1");
    put_str(b, "runtime-id", "5f1b2c6e-93f3-4f6b-8f3a-0d1f6f3a9b77");
}

static void put_metrics(sonde_buf *b, const shape *s, bool root, uint64_t random)
{
    bool http = s->type[0] == 'w' || s->type[0] == 'h';

    sonde_mp_write_str(b, SONDE_STR("metrics"));
    sonde_mp_write_map(b, 1 + http + (root ? 2u : 0u));
    put_i64(b, "process_id", 4711);
    if (http) {
        sonde_mp_write_str(b, SONDE_STR("http.status_code"));
        sonde_mp_write_double(b, random % 50 ? 200 : 503);
    }
    if (root) {
        put_i64(b, "_sampling_priority_v1", 1);
        sonde_mp_write_str(b, SONDE_STR("_dd.agent_psr"));
        sonde_mp_write_double(b, 1.0);
    }
}

static void put_span(sonde_buf *b, const shape *s, uint64_t trace, uint64_t id, uint64_t parent,
                     int64_t start, uint64_t random)
{
    bool root = s->parent < 0;

    sonde_mp_write_map(b, 12);
    put_str(b, "service", s->service);
    put_str(b, "name", s->name);
    put_str(b, "resource", s->resource);
    put_u64(b, "trace_id", trace);
    put_u64(b, "span_id", id);
    put_u64(b, "parent_id", parent);
    put_i64(b, "start", start);
    put_i64(b, "duration", 50000 + (int64_t)(random % 20000000));
    put_i64(b, "error", random % 50 == 0);
    put_str(b, "type", s->type);
    put_meta(b, s, root, random);
    put_metrics(b, s, root, random);
}

static void put_trace(sonde_buf *b, sonde_rng *rng, int64_t now_unix_ns)
{
    uint64_t trace = sonde_rng_next(rng), ids[BODY_SPANS_A_TRACE];
    int i;

    sonde_mp_write_array(b, BODY_SPANS_A_TRACE);
    for (i = 0; i < BODY_SPANS_A_TRACE; i++) {
        const shape *s = &shapes[i];

        ids[i] = sonde_rng_next(rng);
        put_span(b, s, trace, ids[i], s->parent < 0 ? 0 : ids[s->parent], now_unix_ns + i * 1000,
                 sonde_rng_next(rng));
    }
}

void trace_body_v04(sonde_buf *out, uint64_t seed, uint32_t traces, int64_t now_unix_ns)
{
    sonde_rng rng;
    uint32_t i;

    sonde_rng_seed(&rng, seed);
    sonde_mp_write_array(out, traces);
    for (i = 0; i < traces; i++)
        put_trace(out, &rng, now_unix_ns);
}
