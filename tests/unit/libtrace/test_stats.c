/* test_stats.c - what is counted under which key, read with msgpack-c's unpacker; what is left out of
 * chunks that were not sampled. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include <msgpack.h>

#include "base/parse.h"
#include "codec/msgpack_write.h"
#include "libtrace/src/p0.h"
#include "libtrace/src/stats.h"
#include "libtrace/src/stats_key.h"
#include "support/alloc_fail.h"

#define S   UINT64_C(1000000000)
#define NOW (1700000005 * S)

static const char runtime_id[] = "00000000-0000-4000-8000-000000000000";

static const sonde__config config = {
    .language = { "c", 1 },
    .tracer_version = { SONDE_VERSION, sizeof(SONDE_VERSION) - 1 },
    .service = { "web", 3 },
    .env = { "prod", 4 },
    .version = { "1.0", 3 },
    .stats_keys_max = 2048,
    .stats_resources_max = 1024,
    .stats_endpoints_max = 512,
    .stats_peers_max = 512,
};

static const sonde_str peer_names[] = { { "peer.service", 12 }, { "db.name", 7 } };
static const sonde_str kind_names[] = { { "server", 6 }, { "client", 6 } };
static const sonde__agent_info agent = { .peer_tags = { peer_names, 2 },
                                         .span_kinds = { kind_names, 2 } };

/* -- spans ---------------------------------------------------------------------------------------- */

typedef struct spec {
    const char *resource; /* NULL: "GET /" */
    const char *type;     /* NULL: "web" */
    uint64_t parent_id;
    uint64_t end_unix_ns; /* 0: NOW */
    uint64_t duration_ns;
    int error;
    const char *meta;    /* "key=value key=value" */
    const char *metrics; /* "key=number" */
} spec;

static void write_pairs(sonde_buf *b, const char *pairs, bool numbers)
{
    sonde_str rest = sonde_str_from(pairs ? pairs : "");
    uint32_t n = rest.len > 0;
    double number;
    size_t i;

    for (i = 0; i < rest.len; i++)
        n += rest.ptr[i] == ' ';
    sonde_mp_write_map(b, n);
    while (rest.len > 0) {
        sonde_str value = sonde_str_cut(&rest, ' ');

        sonde_mp_write_str(b, sonde_str_cut(&value, '='));
        if (!numbers) {
            sonde_mp_write_str(b, value);
            continue;
        }
        assert_status(sonde_parse_double(value, &number), SONDE_OK);
        sonde_mp_write_double(b, number);
    }
}

static void write_text(sonde_buf *b, const char *key, const char *value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, sonde_str_from(value));
}

static void write_number(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void write_span(sonde_buf *b, const spec *s)
{
    sonde_mp_write_map(b, 12);
    write_text(b, "service", "web");
    write_text(b, "name", "http.request");
    write_text(b, "resource", s->resource ? s->resource : "GET /");
    write_text(b, "type", s->type ? s->type : "web");
    write_number(b, "trace_id", 7);
    write_number(b, "span_id", 8);
    write_number(b, "parent_id", s->parent_id);
    write_number(b, "start", (s->end_unix_ns ? s->end_unix_ns : NOW) - s->duration_ns);
    write_number(b, "duration", s->duration_ns);
    write_number(b, "error", (uint64_t)s->error);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    write_pairs(b, s->meta, false);
    sonde_mp_write_str(b, SONDE_STR("metrics"));
    write_pairs(b, s->metrics, true);
}

static sonde_buf chunk_of(const spec *spans, size_t len)
{
    sonde_buf b;
    size_t i;

    sonde_buf_init(&b, 1u << 24);
    sonde_mp_write_array(&b, (uint32_t)len);
    for (i = 0; i < len; i++)
        write_span(&b, &spans[i]);
    assert_status(b.status, SONDE_OK);
    return b;
}

static void add(sonde__stats *s, const spec *spans, size_t len)
{
    sonde_buf b = chunk_of(spans, len);

    sonde__stats_add(s, sonde_buf_str(&b), NULL, &agent, NOW);
    sonde_buf_done(&b);
}

static sonde__stats *open_with(const sonde__config *c, size_t max_bytes)
{
    sonde__stats *s;

    assert_status(sonde__stats_open(c, runtime_id, max_bytes, NOW - 20 * S, &s), SONDE_OK);
    return s;
}

/* -- payloads ------------------------------------------------------------------------------------- */

static msgpack_unpacked unpacked;

static void take(sonde__stats *s, uint64_t now, bool all)
{
    sonde__stats_payload p;

    assert_true(sonde__stats_next(s, now, all, &p));
    msgpack_unpacked_destroy(&unpacked);
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, p.body.ptr, p.body.len, NULL),
                     MSGPACK_UNPACK_SUCCESS);
}

static const msgpack_object *member(const msgpack_object *map, const char *key)
{
    uint32_t i;

    for (i = 0; i < map->via.map.size; i++)
        if (map->via.map.ptr[i].key.via.str.size == strlen(key) &&
            memcmp(map->via.map.ptr[i].key.via.str.ptr, key, strlen(key)) == 0)
            return &map->via.map.ptr[i].val;
    fail_msg("no %s", key);
    return NULL;
}

static const msgpack_object *bucket(void)
{
    const msgpack_object *buckets = member(&unpacked.data, "Stats");

    assert_int_equal(buckets->via.array.size, 1);
    return &buckets->via.array.ptr[0];
}

static const msgpack_object *groups(void)
{
    return member(bucket(), "Stats");
}

/* One text of a group: "key=value", texts as they are, arrays joined by commas. */
static void show(const msgpack_object *group, const char *key, char out[200])
{
    const msgpack_object *v = member(group, key);
    uint32_t i;
    size_t n = 0;

    out[0] = '\0';
    if (v->type == MSGPACK_OBJECT_STR)
        (void)snprintf(out, 200, "%.*s", (int)v->via.str.size, v->via.str.ptr);
    else if (v->type == MSGPACK_OBJECT_BOOLEAN)
        (void)snprintf(out, 200, "%s", v->via.boolean ? "true" : "false");
    else if (v->type == MSGPACK_OBJECT_ARRAY)
        for (i = 0; i < v->via.array.size; i++)
            n += (size_t)snprintf(out + n, 200 - n, "%s%.*s", i ? "," : "",
                                  (int)v->via.array.ptr[i].via.str.size,
                                  v->via.array.ptr[i].via.str.ptr);
    else
        (void)snprintf(out, 200, "%llu", (unsigned long long)v->via.u64);
}

static void assert_group(const char *label, uint32_t at, const char *key, const char *want)
{
    char got[200];

    assert_in_range(at, 0, groups()->via.array.size - 1);
    show(&groups()->via.array.ptr[at], key, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s is \"%s\", want \"%s\"", label, key, got, want);
}

static void assert_bin(const msgpack_object *v, const void *want, size_t len)
{
    assert_int_equal(v->type, MSGPACK_OBJECT_BIN);
    assert_int_equal(v->via.bin.size, len);
    assert_memory_equal(v->via.bin.ptr, want, len);
}

/* -- tests ---------------------------------------------------------------------------------------- */

static void test_a_payload_is_as_in_the_specification(void **state)
{
    static const char ok[] = "\x0a\x09\x09\xfd\x4a\x81\x5a\xbf\x52\xf0\x3f\x12\x0d\x12\x08\x00\x00"
                             "\x00\x00\x00\x00\xf0\x3f\x18\xb2\x05\x1a\x00";
    static const char none[] = "\x0a\x09\x09\xfd\x4a\x81\x5a\xbf\x52\xf0\x3f\x12\x00\x1a\x00";
    static const char *const texts[][2] = {
        { "Hostname", "" }, { "Env", "prod" },   { "Version", "1.0" },        { "Service", "web" },
        { "Lang", "c" },    { "Sequence", "1" }, { "RuntimeID", runtime_id }, { "Tags", "" },
    };
    sonde__stats *s = open_with(&config, 1u << 20);
    sonde__stats_payload p;
    char got[200];
    size_t i;

    (void)state;
    add(s, (spec[]){ { .duration_ns = 1000, .metrics = "_dd.top_level=1" } }, 1);
    take(s, NOW, true);
    for (i = 0; i < COUNT_OF(texts); i++) {
        show(&unpacked.data, texts[i][0], got);
        assert_string_equal(got, texts[i][1]);
    }
    assert_int_equal(member(bucket(), "Start")->via.u64, 1700000000 * S);
    assert_int_equal(member(bucket(), "Duration")->via.u64, 10 * S);
    assert_int_equal(groups()->via.array.size, 1);
    assert_bin(member(&groups()->via.array.ptr[0], "OkSummary"), ok, sizeof(ok) - 1);
    assert_bin(member(&groups()->via.array.ptr[0], "ErrorSummary"), none, sizeof(none) - 1);
    assert_false(sonde__stats_next(s, NOW, true, &p));
    sonde__stats_close(s);
}

static void test_spans_are_counted_by_their_tags(void **state)
{
    static const struct {
        const char *label;
        spec span;
        bool counted;
    } cases[] = {
        { "top level", { .metrics = "_dd.top_level=1" }, true },
        { "measured", { .metrics = "_dd.measured=1" }, true },
        { "kind the agent wants", { .meta = "span.kind=SERVER" }, true },
        { "kind it does not", { .meta = "span.kind=producer" }, false },
        { "internal", { .meta = "span.kind=internal" }, false },
        { "none of it", { .meta = "a=b", .metrics = "_dd.top_level=0" }, false },
        { "still open", { .metrics = "_dd.top_level=1 _dd.partial_version=0" }, false },
        { "no more", { .metrics = "_dd.top_level=1 _dd.partial_version=-1" }, true },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__stats *s = open_with(&config, 1u << 20);
        sonde__stats_payload p;

        add(s, &cases[i].span, 1);
        if (sonde__stats_next(s, NOW, true, &p) != cases[i].counted)
            fail_msg("%s", cases[i].label);
        sonde__stats_close(s);
    }
}

static void test_the_key_has_every_element(void **state)
{
    static const struct {
        spec span;
        const char *key, *want;
    } cases[] = {
        { { .resource = "" }, "Resource", "http.request" },
        { { .resource = "r" }, "Resource", "r" },
        { { 0 }, "Service", "web" },
        { { 0 }, "Name", "http.request" },
        { { 0 }, "Type", "web" },
        { { 0 }, "DBType", "" },
        { { 0 }, "IsTraceRoot", "1" },
        { { .parent_id = 1 }, "IsTraceRoot", "2" },
        { { .meta = "http.status_code=404" }, "HTTPStatusCode", "404" },
        { { .meta = "http.status_code=no" }, "HTTPStatusCode", "0" },
        { { .metrics = "_dd.top_level=1 http.status_code=500" }, "HTTPStatusCode", "500" },
        { { .meta = "_dd.origin=synthetics-browser" }, "Synthetics", "true" },
        { { .meta = "_dd.origin=rum" }, "Synthetics", "false" },
        { { .meta = "span.kind=server" }, "SpanKind", "server" },
        { { .meta = "rpc.grpc.status_code=7" }, "GRPCStatusCode", "7" },
        { { .meta = "grpc.code=StatusCode.NOT_FOUND" }, "GRPCStatusCode", "5" },
        { { .meta = "grpc.status.code=Canceled" }, "GRPCStatusCode", "1" },
        { { .meta = "grpc.code=nonsense" }, "GRPCStatusCode", "" },
        { { .metrics = "_dd.top_level=1 grpc.code=16" }, "GRPCStatusCode", "16" },
        { { .meta = "grpc.code=3", .metrics = "_dd.top_level=1 rpc.grpc.status_code=7" },
          "GRPCStatusCode",
          "7" },
        { { .meta = "http.method=GET" }, "HTTPMethod", "GET" },
        { { .meta = "http.endpoint=/a http.route=/b" }, "HTTPEndpoint", "/a" },
        { { .meta = "http.route=/b" }, "HTTPEndpoint", "/b" },
        { { .meta = "_dd.svc_src=m" }, "srv_src", "m" },
        { { .meta = "db.name=d span.kind=client peer.service=p x=y" },
          "PeerTags",
          "peer.service:p,db.name:d" },
        { { .meta = "span.kind=client peer.service=10.1.2.3" },
          "PeerTags",
          "peer.service:blocked-ip-address" },
        { { .meta = "span.kind=client _dd.base_service=b" }, "PeerTags", "" },
        { { .meta = "peer.service=p _dd.base_service=b" }, "PeerTags", "_dd.base_service:b" },
        { { .meta = "peer.service=p" }, "PeerTags", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__stats *s = open_with(&config, 1u << 20);
        spec span = cases[i].span;

        if (!span.metrics)
            span.metrics = "_dd.top_level=1";
        add(s, &span, 1);
        take(s, NOW, true);
        assert_group(span.meta ? span.meta : "", 0, cases[i].key, cases[i].want);
        sonde__stats_close(s);
    }
}

static void test_resources_of_databases_are_obfuscated_where_the_agent_knows_how(void **state)
{
    static const struct {
        const char *type, *resource, *want;
    } cases[] = {
        { "sql", "SELECT a FROM t WHERE b = 5", "SELECT a FROM t WHERE b = ?" },
        { "cassandra", "SELECT 'x'", "SELECT ?" },
        { "sql", "SELECT 'x", "Non-parsable SQL query" },
        { "redis", "get user:1", "GET" },
        { "valkey", "set a b", "SET" },
        { "SQL", "SELECT 'x'", "SELECT 'x'" },
        { "web", "GET /5", "GET /5" },
    };
    sonde__agent_info able = agent;
    size_t i, version;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        for (version = 0; version < 3; version++) {
            const spec span = { .type = cases[i].type,
                                .resource = cases[i].resource,
                                .metrics = "_dd.top_level=1" };
            sonde__stats *s = open_with(&config, 1u << 20);
            sonde_buf b = chunk_of(&span, 1);
            sonde__stats_payload p;

            able.obfuscation_version = (uint32_t)version;
            sonde__stats_add(s, sonde_buf_str(&b), NULL, &able, NOW);
            take(s, NOW, true);
            assert_group(cases[i].resource, 0, "Resource",
                         version == 1 ? cases[i].want : cases[i].resource);
            assert_false(sonde__stats_next(s, NOW, true, &p));
            sonde_buf_done(&b);
            sonde__stats_close(s);
        }
    }
}

static void test_obfuscated_and_other_resources_go_in_separate_payloads(void **state)
{
    const spec span = { .type = "sql", .resource = "SELECT 1", .metrics = "_dd.top_level=1" };
    sonde__stats *s = open_with(&config, 1u << 20);
    sonde_buf b = chunk_of(&span, 1);
    sonde__agent_info able = agent;
    sonde__stats_payload p;

    (void)state;
    able.obfuscation_version = 1;
    sonde__stats_add(s, sonde_buf_str(&b), NULL, &agent, NOW);
    sonde__stats_add(s, sonde_buf_str(&b), NULL, &able, NOW);
    sonde__stats_add(s, sonde_buf_str(&b), NULL, &able, NOW);
    assert_true(sonde__stats_next(s, NOW, true, &p));
    assert_false(p.obfuscated);
    assert_int_equal(p.spans, 1);
    assert_true(sonde__stats_next(s, NOW, true, &p));
    assert_true(p.obfuscated);
    assert_int_equal(p.spans, 2);
    assert_false(sonde__stats_next(s, NOW, true, &p));
    sonde_buf_done(&b);
    sonde__stats_close(s);
}

static void test_additional_tags_belong_to_the_key(void **state)
{
    static char long_value[SONDE__STATS_EXTRA_MAX_BYTES + 8];
    static const struct {
        const char *label, *keys;
        const char *meta, *metrics; /* beside top level */
        const char *want;
    } cases[] = {
        { "one", "region", "region=eu", "", "region:eu" },
        { "in the order they are asked for", " b ,a,,c", "a=1 c=3 b=2", "", "b:2,a:1,c:3" },
        { "those that are there", "a,b", "b=2", "", "b:2" },
        { "none", "a,b", "x=y", "", "" },
        { "a number", "n,m", "", " n=2 m=0.5", "n:2,m:0.5" },
        { "six at most", "a,b,c,d,e,f,g", "a=1 b=1 c=1 d=1 e=1 f=1 g=1", "",
          "a:1,b:1,c:1,d:1,e:1,f:1" },
        { "too long", "a,b", long_value, "", "a:tracer_blocked_value" },
    };
    size_t i;

    (void)state;
    memset(long_value, 'v', SONDE__STATS_EXTRA_MAX_BYTES + 3);
    memcpy(long_value, "a=", 2);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__config c = config;
        char metrics[100];
        sonde__stats *s;

        c.stats_extras = sonde_str_from(cases[i].keys);
        c.stats_extras_max = 100;
        s = open_with(&c, 1u << 20);
        (void)snprintf(metrics, sizeof(metrics), "_dd.top_level=1%s", cases[i].metrics);
        add(s, &(spec){ .meta = cases[i].meta, .metrics = metrics }, 1);
        take(s, NOW, true);
        assert_group(cases[i].label, 0, "AdditionalMetricTags", cases[i].want);
        sonde__stats_close(s);
    }
}

static void test_values_of_additional_tags_have_a_ceiling(void **state)
{
    sonde__config c = config;
    char meta[40];
    sonde__stats *s;
    int i;

    (void)state;
    c.stats_extras = SONDE_STR("a");
    c.stats_extras_max = 10;
    s = open_with(&c, 1u << 20);
    for (i = 0; i < 15; i++) {
        (void)snprintf(meta, sizeof(meta), "a=%d", i);
        add(s, &(spec){ .meta = meta, .metrics = "_dd.top_level=1" }, 1);
    }
    take(s, NOW, true);
    assert_int_equal(groups()->via.array.size, 11);
    assert_group("a value", 0, "AdditionalMetricTags", "a:0");
    assert_group("the others", 10, "AdditionalMetricTags", "a:tracer_blocked_value");
    assert_group("the others", 10, "Hits", "5");
    sonde__stats_close(s);
}

static void test_spans_of_one_key_are_summed(void **state)
{
    static const spec spans[] = {
        { .duration_ns = 1000, .metrics = "_dd.top_level=1" },
        { .duration_ns = 2000, .metrics = "_dd.top_level=1", .error = 1 },
        { .duration_ns = 4000, .metrics = "_dd.measured=1" },
        { .duration_ns = 8000, .metrics = "_dd.measured=1", .resource = "other" },
    };
    sonde__stats *s = open_with(&config, 1u << 20);

    (void)state;
    add(s, spans, COUNT_OF(spans));
    take(s, NOW, true);
    assert_int_equal(groups()->via.array.size, 2);
    assert_group("sum", 0, "Hits", "3");
    assert_group("sum", 0, "Errors", "1");
    assert_group("sum", 0, "Duration", "7000");
    assert_group("sum", 0, "TopLevelHits", "2");
    assert_group("sum", 1, "Hits", "1");
    assert_group("sum", 1, "TopLevelHits", "0");
    sonde__stats_close(s);
}

static void test_a_bucket_is_sent_when_it_is_20_s_old(void **state)
{
    static const spec spans[] = {
        { .metrics = "_dd.top_level=1", .end_unix_ns = 1 },                /* long ago */
        { .metrics = "_dd.top_level=1", .end_unix_ns = NOW },              /* now */
        { .metrics = "_dd.top_level=1", .end_unix_ns = NOW + 10 * S },     /* the next */
        { .metrics = "_dd.top_level=1", .end_unix_ns = NOW + 100000 * S }, /* far ahead: now */
    };
    sonde__stats *s = open_with(&config, 1u << 20);
    sonde__stats_payload p;

    (void)state;
    add(s, spans, COUNT_OF(spans));
    take(s, NOW, false); /* opened 20 s ago: its oldest bucket is due */
    assert_int_equal(member(bucket(), "Start")->via.u64, 1699999980 * S);
    assert_false(sonde__stats_next(s, NOW + 14 * S, false, &p));
    take(s, NOW + 15 * S, false);
    assert_int_equal(member(bucket(), "Start")->via.u64, 1700000000 * S);
    assert_group("now", 0, "Hits", "2");
    assert_false(sonde__stats_next(s, NOW + 15 * S, false, &p));
    add(s, spans, 1); /* late again: the oldest open one */
    take(s, NOW + 25 * S, false);
    assert_int_equal(member(bucket(), "Start")->via.u64, 1700000010 * S);
    assert_group("late", 0, "Hits", "2");
    assert_false(sonde__stats_next(s, NOW + 100 * S, true, &p));
    sonde__stats_close(s);
}

static uint64_t sum_of_hits(sonde__stats *s, uint64_t *out_groups)
{
    sonde__stats_payload p;
    uint64_t spans = 0, hits = 0;
    uint32_t i;

    *out_groups = 0;
    while (sonde__stats_next(s, NOW, true, &p)) {
        spans += p.spans;
        msgpack_unpacked_destroy(&unpacked);
        msgpack_unpacked_init(&unpacked);
        assert_int_equal(msgpack_unpack_next(&unpacked, p.body.ptr, p.body.len, NULL),
                         MSGPACK_UNPACK_SUCCESS);
        *out_groups += groups()->via.array.size;
        for (i = 0; i < groups()->via.array.size; i++)
            hits += member(&groups()->via.array.ptr[i], "Hits")->via.u64;
    }
    assert_int_equal(hits, spans);
    return hits;
}

static void test_beyond_a_ceiling_keys_collapse_and_nothing_is_lost(void **state)
{
    static const struct {
        const char *label;
        uint32_t keys, resources, endpoints;
        size_t max_bytes;
        uint64_t groups_min, groups_max;
    } cases[] = {
        { "keys", 10, 5000, 5000, 1u << 22, 11, 11 },
        { "resources", 5000, 20, 5000, 1u << 22, 21, 21 },
        { "memory", 5000, 5000, 5000, 1u << 18, 20, 900 },
        { "none", 5000, 5000, 5000, 1u << 23, 1000, 1000 },
    };
    size_t i;
    int j;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__config c = config;
        uint64_t n;
        sonde__stats *s;

        c.stats_keys_max = cases[i].keys;
        c.stats_resources_max = cases[i].resources;
        c.stats_endpoints_max = cases[i].endpoints;
        s = open_with(&c, cases[i].max_bytes);
        for (j = 0; j < 2000; j++) {
            char resource[32];

            (void)snprintf(resource, sizeof(resource), "GET /%d", j % 1000);
            add(s, (spec[]){ { .resource = resource, .metrics = "_dd.top_level=1" } }, 1);
        }
        assert_in_range(sonde__stats_bytes(s), 1, cases[i].max_bytes / 2 + 8192);
        assert_true(sonde__stats_is_full(s) == (cases[i].max_bytes == 1u << 18));
        assert_int_equal(sum_of_hits(s, &n), 2000);
        if (n < cases[i].groups_min || n > cases[i].groups_max)
            fail_msg("%s: %llu groups", cases[i].label, (unsigned long long)n);
        sonde__stats_close(s);
    }
}

static void test_what_stays_of_an_unsampled_chunk(void **state)
{
    static const struct {
        const char *label;
        spec spans[3];
        uint32_t kept;
    } cases[] = {
        { "nothing", { { 0 }, { 0 }, { 0 } }, 0 },
        { "an error", { { 0 }, { .error = 1 }, { 0 } }, 3 },
        { "an analytics event", { { 0 }, { 0 }, { .metrics = "_dd1.sr.eausr=1" } }, 3 },
        { "one not sampled", { { 0 }, { 0 }, { .metrics = "_dd1.sr.eausr=0" } }, 0 },
        { "two sampled spans",
          { { .resource = "a", .metrics = "_dd.span_sampling.mechanism=8" },
            { .resource = "b" },
            { .resource = "c", .metrics = "x=1 _dd.span_sampling.mechanism=8" } },
          2 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf b = chunk_of(cases[i].spans, 3);
        size_t len = b.len;

        if (sonde__p0_trim(&b, 0) != cases[i].kept)
            fail_msg("%s", cases[i].label);
        if (cases[i].kept == 0)
            assert_int_equal(b.len, 0);
        if (cases[i].kept == 3)
            assert_int_equal(b.len, len);
        if (cases[i].kept == 2) {
            sonde_buf want = chunk_of((spec[]){ cases[i].spans[0], cases[i].spans[2] }, 2);

            assert_int_equal(b.len, want.len);
            assert_memory_equal(b.data, want.data, want.len);
            sonde_buf_done(&want);
        }
        sonde_buf_done(&b);
    }
}

static sonde_status count_once(void *user)
{
    sonde__stats_payload p;
    sonde__stats *s;
    sonde_status status = sonde__stats_open(&config, runtime_id, 1u << 20, NOW, &s);
    uint64_t spans = 0;

    if (status != SONDE_OK)
        return status;
    sonde__stats_add(s, sonde_buf_str((const sonde_buf *)user), NULL, &agent, NOW);
    while (sonde__stats_next(s, NOW, true, &p))
        spans += p.body.len > 0 ? p.spans : 0;
    sonde__stats_close(s);
    return spans == 2 ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_counting_survives_every_failing_allocation(void **state)
{
    static const spec spans[] = {
        { .duration_ns = 1000, .meta = "span.kind=client peer.service=10.1.2.3" },
        { .duration_ns = 9000, .metrics = "_dd.top_level=1", .error = 1 },
    };
    sonde_buf b = chunk_of(spans, 2);

    (void)state;
    alloc_fail_each(count_once, &b);
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_payload_is_as_in_the_specification),
        cmocka_unit_test(test_spans_are_counted_by_their_tags),
        cmocka_unit_test(test_the_key_has_every_element),
        cmocka_unit_test(test_resources_of_databases_are_obfuscated_where_the_agent_knows_how),
        cmocka_unit_test(test_obfuscated_and_other_resources_go_in_separate_payloads),
        cmocka_unit_test(test_additional_tags_belong_to_the_key),
        cmocka_unit_test(test_values_of_additional_tags_have_a_ceiling),
        cmocka_unit_test(test_spans_of_one_key_are_summed),
        cmocka_unit_test(test_a_bucket_is_sent_when_it_is_20_s_old),
        cmocka_unit_test(test_beyond_a_ceiling_keys_collapse_and_nothing_is_lost),
        cmocka_unit_test(test_what_stays_of_an_unsampled_chunk),
        cmocka_unit_test(test_counting_survives_every_failing_allocation),
    };
    int failed;

    msgpack_unpacked_init(&unpacked);
    failed = cmocka_run_group_tests_name("stats", tests, NULL, NULL);
    msgpack_unpacked_destroy(&unpacked);
    return failed;
}
