/* bench_codec.c - the formats on their own: how fast traces are read and written.
 *
 *   {"bench":"msgpack_read","ns_per_op":...,"mb_per_s":...,"n":...}
 *
 * One operation is one span, or one value for the sketch.  Each line is the fastest of ROUNDS rounds, so
 * that a busy machine shows the code and not its neighbours. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "codec/msgpack_read.h"
#include "codec/msgpack_write.h"
#include "codec/obfuscate.h"
#include "codec/pb_read.h"
#include "codec/pb_write.h"
#include "codec/sketch.h"

#define ROUNDS          15
#define PAYLOAD_BYTES   ((size_t)1 << 20)
#define SPANS_PER_CHUNK 5
#define CEILING_BYTES   ((size_t)64 << 20)

typedef struct pair {
    sonde_str key;
    sonde_str value;
} pair;

#define PAIR(key, value)                                                                           \
    {                                                                                              \
        { key, sizeof(key) - 1 },                                                                  \
        {                                                                                          \
            value, sizeof(value) - 1                                                               \
        }                                                                                          \
    }

/* What a web service's span carries. */
static const pair META[] = {
    PAIR("http.method", "GET"),
    PAIR("http.url", "http://shop.example/api/v1/orders/4711/items"),
    PAIR("http.route", "/api/v1/orders/:id/items"),
    PAIR("span.kind", "server"),
    PAIR("component", "microhttpd"),
    PAIR("env", "prod"),
    PAIR("version", "1.2.3"),
    PAIR("runtime-id", "3f2a6b1c-9d4e-4f7a-8b2c-5d6e7f8a9b0c"),
};

static const pair METRICS[] = { PAIR("http.status_code", ""), PAIR("_dd.top_level", ""),
                                PAIR("_sampling_priority_v1", "") };

static volatile uint64_t sink; /* keeps results alive */

static void report(const char *bench, uint64_t ns, uint64_t n, size_t bytes)
{
    double ns_per_op = (double)ns / (double)n;

    printf("{\"bench\":\"%s\",\"ns_per_op\":%.1f", bench, ns_per_op);
    if (bytes)
        printf(",\"mb_per_s\":%.0f,\"bytes_per_op\":%.0f", (double)bytes * 1e3 / (double)ns,
               (double)bytes / (double)n);
    printf(",\"threads\":1,\"n\":%llu}\n", (unsigned long long)n);
}

/* Runs one scenario ROUNDS times and returns the fastest. */
static uint64_t fastest(void (*run)(void *), void *user)
{
    uint64_t best = UINT64_MAX, start, ns;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        start = sonde_mono_ns();
        run(user);
        ns = sonde_mono_ns() - start;
        best = ns < best ? ns : best;
    }
    return best;
}

/* msgpack */

static void write_span(sonde_buf *b, uint64_t id)
{
    size_t i;

    sonde_mp_write_map(b, 12);
    sonde_mp_write_str(b, SONDE_STR("service"));
    sonde_mp_write_str(b, SONDE_STR("orders"));
    sonde_mp_write_str(b, SONDE_STR("name"));
    sonde_mp_write_str(b, SONDE_STR("http.request"));
    sonde_mp_write_str(b, SONDE_STR("resource"));
    sonde_mp_write_str(b, SONDE_STR("GET /api/v1/orders/:id/items"));
    sonde_mp_write_str(b, SONDE_STR("type"));
    sonde_mp_write_str(b, SONDE_STR("web"));
    sonde_mp_write_str(b, SONDE_STR("trace_id"));
    sonde_mp_write_u64(b, id / SPANS_PER_CHUNK * UINT64_C(0x9e3779b97f4a7c15));
    sonde_mp_write_str(b, SONDE_STR("span_id"));
    sonde_mp_write_u64(b, id * UINT64_C(0xbf58476d1ce4e5b9));
    sonde_mp_write_str(b, SONDE_STR("parent_id"));
    sonde_mp_write_u64(b, (id + 1) * UINT64_C(0xbf58476d1ce4e5b9));
    sonde_mp_write_str(b, SONDE_STR("start"));
    sonde_mp_write_i64(b, 1700000000000000000 + (int64_t)id);
    sonde_mp_write_str(b, SONDE_STR("duration"));
    sonde_mp_write_i64(b, 1500000 + (int64_t)id);
    sonde_mp_write_str(b, SONDE_STR("error"));
    sonde_mp_write_i64(b, 0);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, sizeof(META) / sizeof(META[0]));
    for (i = 0; i < sizeof(META) / sizeof(META[0]); i++) {
        sonde_mp_write_str(b, META[i].key);
        sonde_mp_write_str(b, META[i].value);
    }
    sonde_mp_write_str(b, SONDE_STR("metrics"));
    sonde_mp_write_map(b, sizeof(METRICS) / sizeof(METRICS[0]));
    for (i = 0; i < sizeof(METRICS) / sizeof(METRICS[0]); i++) {
        sonde_mp_write_str(b, METRICS[i].key);
        sonde_mp_write_double(b, (double)i);
    }
}

static uint64_t spans; /* in the payload last written */

static void write_payload(void *user)
{
    sonde_buf *b = user;
    size_t chunks_mark;
    uint32_t chunks = 0;

    sonde_buf_reset(b);
    spans = 0;
    chunks_mark = sonde_mp_begin_array32(b);
    for (; b->len < PAYLOAD_BYTES; chunks++) {
        sonde_mp_write_array(b, SPANS_PER_CHUNK);
        for (int i = 0; i < SPANS_PER_CHUNK; i++)
            write_span(b, spans++);
    }
    sonde_mp_patch32(b, chunks_mark, chunks);
}

static void read_text_map(sonde_mp_reader *r)
{
    sonde_str key, value;
    uint32_t n = 0;

    for ((void)sonde_mp_read_map(r, &n); n && r->status == SONDE_OK; n--)
        if (sonde_mp_read_str(r, &key) && sonde_mp_read_str(r, &value))
            sink += value.len;
}

static void read_number_map(sonde_mp_reader *r)
{
    sonde_str key;
    double value;
    uint32_t n = 0;

    for ((void)sonde_mp_read_map(r, &n); n && r->status == SONDE_OK; n--)
        if (sonde_mp_read_str(r, &key) && sonde_mp_read_double(r, &value))
            sink += (uint64_t)value;
}

/* Dispatch by length and one letter: what the bench measures is the reader. */
static void read_field(sonde_mp_reader *r)
{
    sonde_str key, text;
    uint64_t u;
    int64_t i;

    if (!sonde_mp_read_str(r, &key))
        return;
    if (sonde_str_eq(key, SONDE_STR("meta")))
        read_text_map(r);
    else if (sonde_str_eq(key, SONDE_STR("metrics")))
        read_number_map(r);
    else if (key.len > 3 && key.ptr[key.len - 1] == 'd')
        sink += sonde_mp_read_u64(r, &u) ? u : 0;
    else if (sonde_str_eq(key, SONDE_STR("start")) || sonde_str_eq(key, SONDE_STR("duration")) ||
             sonde_str_eq(key, SONDE_STR("error")))
        sink += sonde_mp_read_i64(r, &i) ? (uint64_t)i : 0;
    else
        sink += sonde_mp_read_str(r, &text) ? text.len : 0;
}

static void read_payload(void *user)
{
    const sonde_buf *b = user;
    uint32_t chunks = 0, n = 0, fields = 0;
    sonde_mp_reader r;

    sonde_mp_reader_init(&r, b->data, b->len);
    for ((void)sonde_mp_read_array(&r, &chunks); chunks && r.status == SONDE_OK; chunks--)
        for ((void)sonde_mp_read_array(&r, &n); n && r.status == SONDE_OK; n--)
            for ((void)sonde_mp_read_map(&r, &fields); fields && r.status == SONDE_OK; fields--)
                read_field(&r);
    if (r.status != SONDE_OK || r.at != r.end)
        abort();
}

static void skip_payload(void *user)
{
    const sonde_buf *b = user;
    sonde_mp_reader r;

    sonde_mp_reader_init(&r, b->data, b->len);
    if (!sonde_mp_skip(&r))
        abort();
}

static void bench_msgpack(void)
{
    sonde_buf b;
    uint64_t ns;

    sonde_buf_init(&b, CEILING_BYTES);
    ns = fastest(write_payload, &b);
    report("msgpack_write", ns, spans, b.len);
    ns = fastest(read_payload, &b);
    report("msgpack_read", ns, spans, b.len);
    ns = fastest(skip_payload, &b);
    report("msgpack_skip", ns, spans, b.len);
    sonde_buf_done(&b);
}

/* protobuf */

static void write_pb_span(sonde_buf *b, uint64_t id)
{
    size_t mark = sonde_pb_begin(b, 3), i;

    sonde_pb_str(b, 1, SONDE_STR("orders"));
    sonde_pb_str(b, 2, SONDE_STR("http.request"));
    sonde_pb_str(b, 3, SONDE_STR("GET /api/v1/orders/:id/items"));
    sonde_pb_varint(b, 4, id / SPANS_PER_CHUNK * UINT64_C(0x9e3779b97f4a7c15));
    sonde_pb_varint(b, 5, id * UINT64_C(0xbf58476d1ce4e5b9));
    sonde_pb_varint(b, 6, (id + 1) * UINT64_C(0xbf58476d1ce4e5b9));
    sonde_pb_int64(b, 7, 1700000000000000000 + (int64_t)id);
    sonde_pb_int64(b, 8, 1500000 + (int64_t)id);
    for (i = 0; i < sizeof(META) / sizeof(META[0]); i++)
        sonde_pb_map_str_str(b, 10, META[i].key, META[i].value);
    for (i = 0; i < sizeof(METRICS) / sizeof(METRICS[0]); i++)
        sonde_pb_map_str_double(b, 11, METRICS[i].key, (double)i);
    sonde_pb_str(b, 12, SONDE_STR("web"));
    sonde_pb_end(b, mark);
}

static void write_pb_payload(void *user)
{
    sonde_buf *b = user;
    size_t tracer, chunk;

    sonde_buf_reset(b);
    spans = 0;
    tracer = sonde_pb_begin(b, 5);
    while (b->len < PAYLOAD_BYTES) {
        chunk = sonde_pb_begin(b, 6);
        for (int i = 0; i < SPANS_PER_CHUNK; i++)
            write_pb_span(b, spans++);
        sonde_pb_end(b, chunk);
    }
    sonde_pb_end(b, tracer);
}

static void read_pb_message(sonde_str message, unsigned depth)
{
    sonde_pb_reader r;

    sonde_pb_reader_init(&r, message.ptr, message.len);
    while (sonde_pb_next(&r)) {
        if (r.wire == 2 && (depth < 3 || r.field == 10 || r.field == 11) && depth < 4)
            read_pb_message(sonde_pb_bytes(&r), depth + 1);
        else
            sink += r.wire == 2 ? sonde_pb_bytes(&r).len : sonde_pb_u64(&r);
    }
    if (r.status != SONDE_OK)
        abort();
}

static void read_pb_payload(void *user)
{
    read_pb_message(sonde_buf_str(user), 0); /* payload, tracer payload, chunk, span, map entry */
}

static void bench_pb(void)
{
    sonde_buf b;
    uint64_t ns;

    sonde_buf_init(&b, CEILING_BYTES);
    ns = fastest(write_pb_payload, &b);
    report("pb_write", ns, spans, b.len);
    ns = fastest(read_pb_payload, &b);
    report("pb_read", ns, spans, b.len);
    sonde_buf_done(&b);
}

/* sketch */

#define SKETCH_VALUES ((size_t)100000)

typedef struct sketch_run {
    sonde_sketch sketch, other;
    double values[SKETCH_VALUES];
} sketch_run;

static void add_values(void *user)
{
    sketch_run *run = user;
    size_t i;

    sonde_sketch_clear(&run->sketch);
    for (i = 0; i < SKETCH_VALUES; i++)
        if (sonde_sketch_add(&run->sketch, run->values[i], 1) != SONDE_OK)
            abort();
}

static void merge_sketches(void *user)
{
    sketch_run *run = user;
    size_t i;

    for (i = 0; i < 1000; i++)
        if (sonde_sketch_merge(&run->other, &run->sketch) != SONDE_OK)
            abort();
}

static void bench_sketch(void)
{
    static sketch_run run;
    sonde_rng rng;
    size_t i;

    sonde_rng_seed(&rng, 1);
    for (i = 0; i < SKETCH_VALUES; i++) /* 10 us to 1 s */
        run.values[i] = sonde_sketch_value_of_ns(
            (int64_t)(1e4 +
                      1e9 * sonde_rng_unit(&rng) * sonde_rng_unit(&rng) * sonde_rng_unit(&rng)));
    report("sketch_add", fastest(add_values, &run), SKETCH_VALUES, 0);
    report("sketch_merge", fastest(merge_sketches, &run), 1000, 0);
    sonde_sketch_done(&run.sketch);
    sonde_sketch_done(&run.other);
}

/* obfuscation */

static const char *const STATEMENTS[] = {
    "SELECT id, item, price FROM orders WHERE id = ?",
    "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE "
    "o.state IN (1, 2, 3) "
    "AND c.email = 'a@b.example' ORDER BY o.created_at DESC LIMIT 10 OFFSET 20",
    "INSERT INTO events (id, kind, body, created_at) VALUES (4711, 'order', 'a long text of the "
    "event that is stored "
    "with it', '2026-11-25T10:00:00Z'), (4712, 'order', 'another one', NULL)",
    "UPDATE \"accounts\" SET balance = balance - 10.5, updated_at = now() WHERE owner = 'it''s "
    "mine' AND id = $1",
};

static void obfuscate_statements(void *user)
{
    sonde_buf *out = user;
    bool literal = false;
    size_t i;

    for (i = 0; i < 20000; i++)
        if (sonde_obfuscate_sql(sonde_str_from(STATEMENTS[i % 4]), &literal, out) == SONDE_OK)
            sink += out->len;
}

static void bench_obfuscate(void)
{
    size_t bytes = 0;
    sonde_buf out;
    size_t i;

    sonde_buf_init(&out, CEILING_BYTES);
    for (i = 0; i < 4; i++)
        bytes += sonde_str_from(STATEMENTS[i]).len * 5000;
    report("obfuscate_sql", fastest(obfuscate_statements, &out), 20000, bytes);
    sonde_buf_done(&out);
}

int main(void)
{
    bench_obfuscate();
    bench_msgpack();
    bench_pb();
    bench_sketch();
    return 0;
}
