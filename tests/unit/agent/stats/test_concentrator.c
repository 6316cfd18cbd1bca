/* The concentrator: keys, buckets, weights, rounding, ceilings; sums against a naive recount. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "agent/stats/concentrator.h"
#include "agent/stats/limits.h"
#include "base/rng.h"
#include "base/str.h"
#include "support/alloc_fail.h"

#define S    INT64_C(1000000000)
#define T0   (INT64_C(1700000000) * S) /* start of a bucket */
#define KEPT 4096

/* What the sink saw, flattened: one row per group. */
typedef struct row {
    char key[200];  /* env/host/version/base|service/name/resource/type/kind/... */
    char image[40]; /* commit/tag */
    uint64_t start_unix_ns, width;
    uint64_t hits, errors, top, duration;
    uint64_t ok_len;
    bool synthetics;
    int32_t is_trace_root;
    uint32_t http;
    char grpc[8];
    uint32_t peers;
} row;

typedef struct sink_log {
    row rows[KEPT];
    size_t rows_len;
    size_t pushes;
    size_t clients;
    sonde_status answer;
} sink_log;

static sink_log sunk;

static sonde_status sink_push(void *stage, const stats_payload *s)
{
    uint32_t i, j, k;

    (void)stage;
    sunk.pushes++;
    if (sunk.answer != SONDE_OK)
        return sunk.answer;
    sunk.clients += s->stats_len;
    for (i = 0; i < s->stats_len; i++)
        for (j = 0; j < s->stats[i].buckets_len; j++)
            for (k = 0; k < s->stats[i].buckets[j].groups_len; k++) {
                const client_stats *c = &s->stats[i];
                const stats_group *g = &c->buckets[j].groups[k];
                row *r = &sunk.rows[sunk.rows_len++ % KEPT];

                *r = (row){ .start_unix_ns = c->buckets[j].start_unix_ns,
                            .width = c->buckets[j].duration_ns,
                            .hits = g->hits,
                            .errors = g->errors,
                            .top = g->top_level_hits,
                            .duration = g->duration_ns,
                            .ok_len = g->ok_summary.len,
                            .synthetics = g->synthetics,
                            .is_trace_root = g->is_trace_root,
                            .http = g->http_status_code,
                            .peers = g->peer_tags_len };
                (void)snprintf(
                    r->key, sizeof(r->key), "%.*s/%.*s/%.*s/%.*s|%.*s/%.*s/%.*s/%.*s/%.*s/%.*s",
                    SONDE_STR_ARG(c->env), SONDE_STR_ARG(c->hostname), SONDE_STR_ARG(c->version),
                    SONDE_STR_ARG(c->service), SONDE_STR_ARG(g->service), SONDE_STR_ARG(g->name),
                    SONDE_STR_ARG(g->resource), SONDE_STR_ARG(g->type), SONDE_STR_ARG(g->span_kind),
                    SONDE_STR_ARG(g->service_source));
                (void)snprintf(r->image, sizeof(r->image), "%.*s/%.*s",
                               SONDE_STR_ARG(c->git_commit_sha), SONDE_STR_ARG(c->image_tag));
                (void)snprintf(r->grpc, sizeof(r->grpc), "%.*s",
                               SONDE_STR_ARG(g->grpc_status_code));
            }
    return SONDE_OK;
}

static double never_up(void *user)
{
    (void)user;
    return 0.999999999;
}

static double always_up(void *user)
{
    (void)user;
    return 0.0;
}

static concentrator *open_with(concentrator_options o)
{
    concentrator *c = NULL;

    memset(&sunk, 0, sizeof(sunk));
    o.agent_env = SONDE_STR("none");
    o.hostname = SONDE_STR("h1");
    o.sink = (stats_sink){ sink_push, NULL };
    if (!o.random)
        o.random = never_up;
    assert_status(concentrator_open(&o, T0, &c), SONDE_OK);
    return c;
}

/* A payload of one chunk whose spans the test fills. */
typedef struct one_chunk {
    payload p;
    payload_chunk chunk;
    payload_span spans[8];
    span_meta meta[8][8];
    span_metric metrics[8][8];
} one_chunk;

static void build(one_chunk *b, uint32_t spans)
{
    uint32_t i;

    memset(b, 0, sizeof(*b));
    b->p.chunks = &b->chunk;
    b->p.chunks_len = 1;
    b->p.env = SONDE_STR("prod");
    b->chunk.spans = b->spans;
    b->chunk.spans_len = spans;
    for (i = 0; i < spans; i++)
        b->spans[i] = (payload_span){
            .service = SONDE_STR("web"),
            .name = SONDE_STR("http.request"),
            .resource = SONDE_STR("GET /"),
            .type = SONDE_STR("web"),
            .trace_id = 1,
            .span_id = i + 1,
            .parent_id = i,
            .start = T0,
            .duration = 1000000,
            .meta = b->meta[i],
            .metrics = b->metrics[i],
        };
}

static void meta(one_chunk *b, uint32_t span, const char *key, const char *value)
{
    b->meta[span][b->spans[span].meta_len++] =
        (span_meta){ sonde_str_from(key), sonde_str_from(value) };
}

static void metric(one_chunk *b, uint32_t span, const char *key, double value)
{
    b->metrics[span][b->spans[span].metrics_len++] = (span_metric){ sonde_str_from(key), value };
}

static void test_only_eligible_spans_are_counted(void **state)
{
    static const struct {
        const char *label;
        const char *kind;
        const char *metric;
        double value;
        bool partial;
        bool counted;
    } cases[] = {
        { "plain", NULL, NULL, 0, false, false },
        { "top-level", NULL, "_top_level", 1, false, true },
        { "top-level by the tracer", NULL, "_dd.top_level", 1, false, true },
        { "measured", NULL, "_dd.measured", 1, false, true },
        { "top-level 0", NULL, "_top_level", 0, false, false },
        { "server", "server", NULL, 0, false, true },
        { "client", "Client", NULL, 0, false, true },
        { "internal", "internal", NULL, 0, false, false },
        { "snapshot of an open span", "server", "_top_level", 1, true, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        concentrator *c = open_with((concentrator_options){ 0 });
        concentrator_counters n;
        one_chunk b;

        build(&b, 1);
        if (cases[i].kind)
            meta(&b, 0, "span.kind", cases[i].kind);
        if (cases[i].metric)
            metric(&b, 0, cases[i].metric, cases[i].value);
        if (cases[i].partial)
            metric(&b, 0, "_dd.partial_version", 3);
        concentrator_add(c, &b.p, T0);
        concentrator_read_counters(c, &n);
        if (n.spans_counted != cases[i].counted ||
            n.spans_in != n.spans_counted + n.spans_not_eligible)
            fail_msg("%s", cases[i].label);
        concentrator_close(c);
    }
}

static void test_what_counts_beyond_top_level_spans_can_be_switched_off(void **state)
{
    concentrator *c = open_with((concentrator_options){ .no_stats_by_kind = true });
    concentrator_counters n;
    one_chunk b;

    (void)state;
    build(&b, 2);
    meta(&b, 0, "span.kind", "server");
    meta(&b, 1, "span.kind", "server");
    metric(&b, 1, "_top_level", 1);
    concentrator_add(c, &b.p, T0);
    concentrator_read_counters(c, &n);
    assert_int_equal(n.spans_counted, 1);
    concentrator_close(c);
}

static void test_peers_are_told_apart_by_the_tags_configured(void **state)
{
    const sonde_str more = SONDE_STR("my.peer");
    const struct {
        const char *label;
        concentrator_options options;
        size_t names; /* 43 are built in */
        uint32_t peers;
    } cases[] = {
        { "as built in", { .no_peer_tags = false }, 43, 1 },
        { "one more", { .peer_tags = &more, .peer_tags_len = 1 }, 44, 2 },
        { "off", { .peer_tags = &more, .peer_tags_len = 1, .no_peer_tags = true }, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        concentrator *c = open_with(cases[i].options);
        size_t names;
        one_chunk b;

        build(&b, 1);
        meta(&b, 0, "span.kind", "client");
        meta(&b, 0, "db.name", "orders");
        meta(&b, 0, "my.peer", "p");
        concentrator_add(c, &b.p, T0);
        concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
        (void)concentrator_peer_tags(c, &names);
        if (names != cases[i].names || sunk.rows_len != 1 || sunk.rows[0].peers != cases[i].peers)
            fail_msg("%s: %zu names, %u peers", cases[i].label, names, sunk.rows[0].peers);
        concentrator_close(c);
    }
}

static void test_containers_and_processes_are_told_apart_unless_told_not_to(void **state)
{
    static span_meta tags[2] = { { { "_dd.tags.process", 16 }, { "a:1", 3 } },
                                 { { "_dd.tags.process", 16 }, { "a:2", 3 } } };
    static const struct {
        const char *label;
        concentrator_options options;
        size_t clients;
    } cases[] = {
        { "both", { .no_process_tags = false }, 4 },
        { "no containers", { .no_container_ids = true }, 2 },
        { "no processes", { .no_process_tags = true }, 2 },
        { "neither", { .no_container_ids = true, .no_process_tags = true }, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        concentrator *c = open_with(cases[i].options);
        one_chunk b;

        for (size_t k = 0; k < 4; k++) {
            build(&b, 1);
            metric(&b, 0, "_top_level", 1);
            b.p.container_id = k & 1 ? SONDE_STR("c1") : SONDE_STR("c2");
            b.p.tags = &tags[k >> 1];
            b.p.tags_len = 1;
            concentrator_add(c, &b.p, T0);
        }
        concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
        if (sunk.clients != cases[i].clients)
            fail_msg("%s: %zu", cases[i].label, sunk.clients);
        concentrator_close(c);
    }
}

static void test_a_bucket_is_as_wide_as_configured(void **state)
{
    concentrator *c = open_with((concentrator_options){ .bucket_ns = 4 * S });
    one_chunk b;

    (void)state;
    build(&b, 1);
    metric(&b, 0, "_top_level", 1);
    b.spans[0].start = T0 + 5 * S;
    concentrator_add(c, &b.p, T0 + 5 * S);
    concentrator_flush(c, T0 + 11 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.rows_len, 0);
    concentrator_flush(c, T0 + 12 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.rows_len, 1);
    assert_int_equal(sunk.rows[0].start_unix_ns, T0 + 4 * S);
    assert_int_equal(sunk.rows[0].width, 4 * S);
    concentrator_close(c);
}

static void test_the_container_tells_what_the_tracer_does_not(void **state)
{
    static span_meta tags[] = { { { "_dd.tags.container", 18 },
                                  { "image_tag:v7,git.commit.sha:aaa,kube_job:x", 42 } } };
    static const struct {
        const char *label, *own_sha, *want;
    } cases[] = { { "nothing said", NULL, "aaa/v7" }, { "the root wins", "bbb", "bbb/v7" } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        concentrator *c = open_with((concentrator_options){ 0 });
        one_chunk b;

        build(&b, 1);
        metric(&b, 0, "_top_level", 1);
        if (cases[i].own_sha)
            meta(&b, 0, "_dd.git.commit.sha", cases[i].own_sha);
        b.p.tags = tags;
        b.p.tags_len = 1;
        concentrator_add(c, &b.p, T0);
        concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
        assert_int_equal(sunk.rows_len, 1);
        if (strcmp(sunk.rows[0].image, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].label, sunk.rows[0].image);
        concentrator_close(c);
    }
}

static void test_a_group_holds_every_field_of_the_key(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    one_chunk b;

    (void)state;
    build(&b, 1);
    b.p.app_version = SONDE_STR("1.2");
    b.chunk.origin = SONDE_STR("synthetics-browser");
    b.spans[0].error = 1;
    metric(&b, 0, "_top_level", 1);
    meta(&b, 0, "span.kind", "client");
    meta(&b, 0, "http.status_code", "503");
    meta(&b, 0, "grpc.code", "UNAVAILABLE");
    meta(&b, 0, "_dd.svc_src", "opt.plugin");
    meta(&b, 0, "_dd.base_service", "shop");
    meta(&b, 0, "peer.service", "bank");
    concentrator_add(c, &b.p, T0);
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);

    assert_int_equal(sunk.rows_len, 1);
    assert_string_equal(sunk.rows[0].key,
                        "prod/h1/1.2/shop|web/http.request/GET //web/client/opt.plugin");
    assert_int_equal(sunk.rows[0].hits, 1);
    assert_int_equal(sunk.rows[0].errors, 1);
    assert_int_equal(sunk.rows[0].top, 1);
    assert_int_equal(sunk.rows[0].duration, 1000000);
    assert_int_equal(sunk.rows[0].http, 503);
    assert_string_equal(sunk.rows[0].grpc, "14");
    assert_int_equal(sunk.rows[0].is_trace_root, STATS_ROOT_TRUE);
    assert_true(sunk.rows[0].synthetics);
    assert_int_equal(sunk.rows[0].peers, 2); /* _dd.base_service and peer.service */
    assert_true(sunk.rows[0].start_unix_ns == (uint64_t)T0);
    concentrator_close(c);
}

static void test_each_field_of_the_key_separates_groups(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    int i;

    (void)state;
    for (i = 0; i < 13; i++) {
        one_chunk b;

        build(&b, 1);
        metric(&b, 0, "_top_level", 1);
        switch (i) {
        case 1:
            b.spans[0].service = SONDE_STR("x");
            break;
        case 2:
            b.spans[0].name = SONDE_STR("x");
            break;
        case 3:
            b.spans[0].resource = SONDE_STR("x");
            break;
        case 4:
            b.spans[0].type = SONDE_STR("x");
            break;
        case 5:
            meta(&b, 0, "span.kind", "server");
            break;
        case 6:
            meta(&b, 0, "http.status_code", "1");
            break;
        case 7:
            b.chunk.origin = SONDE_STR("synthetics");
            break;
        case 8:
            meta(&b, 0, "_dd.svc_src", "x");
            break;
        case 9:
            b.spans[0].parent_id = 5;
            break;
        case 10:
            meta(&b, 0, "grpc.code", "1");
            break;
        case 11:
            b.p.env = SONDE_STR("x");
            break;
        case 12:
            meta(&b, 0, "_dd.base_service", "x");
            break; /* payload key and peer tag */
        default:
            break;
        }
        concentrator_add(c, &b.p, T0);
        concentrator_add(c, &b.p, T0);
    }
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);

    assert_int_equal(sunk.rows_len, 13);
    for (i = 0; i < 13; i++)
        assert_int_equal(sunk.rows[i].hits, 2);
    assert_int_equal(sunk.clients, 3);
    concentrator_close(c);
}

static void add_at(concentrator *c, int64_t end_ns, int64_t now_ns)
{
    one_chunk b;

    build(&b, 1);
    metric(&b, 0, "_top_level", 1);
    b.spans[0].start = end_ns - b.spans[0].duration;
    concentrator_add(c, &b.p, now_ns);
}

static void test_a_bucket_is_handed_out_twenty_seconds_after_it_began(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });

    (void)state;
    add_at(c, T0 + 5 * S, T0 + 5 * S);
    concentrator_flush(c, T0 + 20 * S - 1, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.pushes, 0);

    concentrator_flush(c, T0 + 20 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.pushes, 1);
    assert_true(sunk.rows[0].start_unix_ns == (uint64_t)T0);
    concentrator_flush(c, T0 + 30 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.pushes, 1);
    concentrator_close(c);
}

static void test_the_end_of_a_span_decides_its_bucket(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });

    (void)state;
    add_at(c, T0 + 10 * S - 1, T0 + 11 * S);
    add_at(c, T0 + 10 * S, T0 + 11 * S);
    concentrator_flush(c, T0 + 20 * S, CONCENTRATOR_FLUSH_READY);

    assert_int_equal(sunk.rows_len, 1);
    assert_int_equal(sunk.rows[0].hits, 1);
    concentrator_close(c);
}

static void test_late_spans_land_in_the_oldest_open_bucket(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    concentrator_counters n;

    (void)state;
    add_at(c, T0 - 3600 * S, T0); /* before the start: the start-up bucket */
    concentrator_flush(c, T0 + 40 * S, CONCENTRATOR_FLUSH_READY);
    assert_true(sunk.rows[0].start_unix_ns == (uint64_t)T0);

    add_at(c, T0, T0 + 41 * S); /* oldest is now T0 + 30 */
    concentrator_flush(c, T0 + 50 * S, CONCENTRATOR_FLUSH_READY);
    assert_true(sunk.rows[1].start_unix_ns == (uint64_t)(T0 + 30 * S));
    concentrator_read_counters(c, &n);
    assert_int_equal(n.spans_late, 2);
    concentrator_close(c);
}

static void test_a_clock_that_is_set_back_holds_nothing_up(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    concentrator_counters n;
    int64_t back = T0 - 3600 * S;

    (void)state;
    add_at(c, T0, T0 + 1 * S);
    concentrator_flush(c, T0 - 5 * S, CONCENTRATOR_FLUSH_READY); /* a correction, not a step */
    assert_int_equal(sunk.pushes, 0);
    add_at(c, back, back + 1 * S); /* nobody has seen the step yet: late */
    concentrator_flush(c, back + 2 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.rows_len, 1);
    assert_true(sunk.rows[0].start_unix_ns == (uint64_t)T0);
    assert_int_equal(sunk.rows[0].hits, 2);

    add_at(c, back + 5 * S, back + 5 * S);
    concentrator_flush(c, back + 20 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.rows_len, 2);
    assert_true(sunk.rows[1].start_unix_ns == (uint64_t)back);
    concentrator_read_counters(c, &n);
    assert_int_equal(n.spans_late, 1);
    assert_int_equal(n.flushed.open_buckets, 0);
    concentrator_close(c);
}

static void test_spans_from_the_future_wait_for_their_bucket_within_a_ceiling(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    concentrator_counters n;
    int i;

    (void)state;
    for (i = 1; i <= 200; i++)
        add_at(c, T0 + i * 1000 * S, T0);
    add_at(c, INT64_MAX - 1000001, T0);
    add_at(c, T0, T0);
    concentrator_read_counters(c, &n);

    assert_int_equal(n.spans_counted, 202);
    assert_int_equal(n.spans_moved, 201 - STATS_BUCKETS_AHEAD_MAX);
    assert_in_range(n.flushed.open_buckets, 2, STATS_BUCKETS_MAX);
    concentrator_flush(c, T0 + 20 * S, CONCENTRATOR_FLUSH_READY);
    assert_int_equal(sunk.rows[0].hits, 202 - STATS_BUCKETS_AHEAD_MAX);
    concentrator_close(c);
}

static void test_a_sampled_root_weighs_what_it_stands_for(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    one_chunk b;

    (void)state;
    build(&b, 2);
    metric(&b, 0, "_top_level", 1);
    metric(&b, 0, "_sample_rate", 0.25);
    metric(&b, 1, "_dd.measured", 1);
    b.spans[1].error = 1;
    concentrator_add(c, &b.p, T0);
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);

    assert_int_equal(sunk.rows_len, 2); /* root and child differ in is_trace_root */
    assert_int_equal(sunk.rows[0].hits + sunk.rows[1].hits, 8);
    assert_int_equal(sunk.rows[0].top + sunk.rows[1].top, 4);
    assert_int_equal(sunk.rows[0].errors + sunk.rows[1].errors, 4);
    assert_int_equal(sunk.rows[0].duration, 4000000);
    concentrator_close(c);
}

static void test_fractions_are_rounded_by_chance(void **state)
{
    static double (*const draws[])(void *) = { never_up, always_up };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(draws); i++) {
        concentrator *c = open_with((concentrator_options){ .random = draws[i] });
        one_chunk b;

        build(&b, 1);
        metric(&b, 0, "_top_level", 1);
        metric(&b, 0, "_sample_rate", 0.3); /* weight 3.33 */
        concentrator_add(c, &b.p, T0);
        concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
        assert_int_equal(sunk.rows[0].hits, 3 + i);
        concentrator_close(c);
    }
}

static void test_statistics_a_client_computed_are_left_alone(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    concentrator_counters n;
    one_chunk b;

    (void)state;
    build(&b, 1);
    metric(&b, 0, "_top_level", 1);
    b.p.client_computed_stats = true;
    concentrator_add(c, &b.p, T0);
    concentrator_read_counters(c, &n);
    assert_int_equal(n.spans_in, 0);
    concentrator_close(c);
}

static void test_keys_beyond_the_memory_ceiling_are_counted_as_other(void **state)
{
    concentrator *c = open_with((concentrator_options){ .max_bytes = 256 * 1024 });
    concentrator_counters n;
    uint64_t hits = 0;
    bool other = false;
    char text[32];
    size_t i;

    (void)state;
    for (i = 0; i < 5000; i++) {
        one_chunk b;

        build(&b, 1);
        metric(&b, 0, "_top_level", 1);
        (void)snprintf(text, sizeof(text), "GET /%zu", i);
        b.spans[0].resource = sonde_str_from(text);
        concentrator_add(c, &b.p, T0);
    }
    concentrator_read_counters(c, &n);
    assert_true(n.flushed.held_bytes < 256 * 1024 + 200 * 1024);
    assert_true(n.spans_collapsed > 1000);
    assert_int_equal(n.spans_counted, 5000);
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);

    assert_true(sunk.rows_len < KEPT);
    for (i = 0; i < sunk.rows_len; i++) {
        hits += sunk.rows[i].hits;
        other |= strstr(sunk.rows[i].key, "|other/other/other/") != NULL;
    }
    assert_int_equal(hits, 5000);
    assert_true(other);
    concentrator_close(c);
}

static void test_payload_keys_beyond_the_ceiling_share_the_first(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    concentrator_counters n;
    char text[32];
    uint32_t i;

    (void)state;
    for (i = 0; i < STATS_PAYLOAD_KEYS_MAX + 7; i++) {
        one_chunk b;

        build(&b, 1);
        metric(&b, 0, "_top_level", 1);
        (void)snprintf(text, sizeof(text), "container-%u", i);
        b.p.container_id = sonde_str_from(text);
        concentrator_add(c, &b.p, T0);
    }
    concentrator_read_counters(c, &n);
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);

    assert_int_equal(n.spans_collapsed, 7);
    assert_int_equal(sunk.clients, STATS_PAYLOAD_KEYS_MAX);
    concentrator_close(c);
}

static void test_a_payload_key_of_two_buckets_is_one_client_payload(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });

    (void)state;
    add_at(c, T0 + 1 * S, T0 + 1 * S);
    add_at(c, T0 + 11 * S, T0 + 11 * S);
    concentrator_flush(c, T0 + 12 * S, CONCENTRATOR_FLUSH_ALL);

    assert_int_equal(sunk.clients, 1);
    assert_int_equal(sunk.rows_len, 2);
    assert_true(sunk.rows[0].start_unix_ns < sunk.rows[1].start_unix_ns);
    concentrator_close(c);
}

static void test_a_refused_flush_is_counted(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    concentrator_counters n;

    (void)state;
    add_at(c, T0, T0);
    sunk.answer = SONDE_ERR_FULL;
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
    concentrator_read_counters(c, &n);
    assert_int_equal(n.flushed.flush_failed, 1);
    concentrator_close(c);
}

/* The same spans counted by a loop over a flat list must give the same sums. */
static void test_sums_equal_a_naive_recount_of_random_spans(void **state)
{
    static const char *const services[] = { "a", "b", "c" };
    static const char *const resources[] = { "r1", "r2", "r3", "r4", "r5" };
    struct {
        uint64_t hits, errors, duration;
    } want[3][5][2][4] = { 0 };
    concentrator *c = open_with((concentrator_options){ 0 });
    sonde_rng rng;
    size_t i;

    (void)state;
    sonde_rng_seed(&rng, 7);
    for (i = 0; i < 20000; i++) {
        uint64_t r = sonde_rng_next(&rng);
        size_t s = r % 3, e = (r >> 8) % 5, root = (r >> 16) & 1, bucket = (r >> 20) % 4;
        one_chunk b;

        build(&b, 1);
        metric(&b, 0, "_dd.measured", 1);
        b.spans[0].service = sonde_str_from(services[s]);
        b.spans[0].resource = sonde_str_from(resources[e]);
        b.spans[0].parent_id = root ? 0 : 9;
        b.spans[0].error = (int32_t)((r >> 24) & 1);
        b.spans[0].duration = (int64_t)(r >> 34);
        b.spans[0].start = T0 + (int64_t)bucket * 10 * S + 5 * S - b.spans[0].duration;
        concentrator_add(c, &b.p, T0 + 35 * S);
        want[s][e][root][bucket].hits++;
        want[s][e][root][bucket].errors += (r >> 24) & 1;
        want[s][e][root][bucket].duration += r >> 34;
    }
    concentrator_flush(c, T0 + 35 * S, CONCENTRATOR_FLUSH_ALL);

    assert_int_equal(sunk.rows_len, 3 * 5 * 2 * 4);
    for (i = 0; i < sunk.rows_len; i++) {
        const row *g = &sunk.rows[i];
        const char *at = strchr(g->key, '|') + 1;
        size_t s = (size_t)(at[0] - 'a'), e = (size_t)(strstr(at, "/r")[2] - '1');
        size_t root = g->is_trace_root == STATS_ROOT_TRUE;
        size_t bucket = (size_t)((int64_t)g->start_unix_ns - T0) / (size_t)(10 * S);

        assert_int_equal(g->hits, want[s][e][root][bucket].hits);
        assert_int_equal(g->errors, want[s][e][root][bucket].errors);
        assert_int_equal(g->duration, want[s][e][root][bucket].duration);
    }
    concentrator_close(c);
}

static void test_counting_a_known_group_allocates_nothing(void **state)
{
    concentrator *c = open_with((concentrator_options){ 0 });
    size_t blocks;
    int i;

    (void)state;
    alloc_fail_begin();
    add_at(c, T0, T0);
    blocks = alloc_fail_live_blocks();
    alloc_fail_at(1);
    for (i = 0; i < 1000; i++)
        add_at(c, T0, T0);
    alloc_fail_at(0);
    assert_int_equal(alloc_fail_live_blocks(), blocks);
    concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
    alloc_fail_end();

    assert_int_equal(sunk.rows[0].hits, 1001);
    concentrator_close(c);
}

static void test_every_failing_allocation_is_survived(void **state)
{
    uint64_t latencies_lost = 0;
    size_t n;

    (void)state;
    for (n = 1; n < 60; n++) {
        concentrator_counters counters;
        concentrator *c = open_with((concentrator_options){ 0 });
        one_chunk b;
        uint32_t i;

        build(&b, 3);
        for (i = 0; i < 3; i++) {
            metric(&b, i, "_top_level", 1);
            meta(&b, i, "span.kind", "client");
            meta(&b, i, "peer.service", i ? "10.1.2.3" : "b");
        }
        alloc_fail_begin();
        alloc_fail_at(n);
        concentrator_add(c, &b.p, T0);
        concentrator_flush(c, T0, CONCENTRATOR_FLUSH_ALL);
        alloc_fail_at(0);
        concentrator_read_counters(c, &counters);
        assert_int_equal(counters.spans_in, 3);
        assert_int_equal(counters.spans_counted + counters.spans_lost, 3);
        latencies_lost += counters.latencies_lost;
        concentrator_close(c);
        alloc_fail_end();
    }
    assert_true(latencies_lost > 0); /* one of the failures was a sketch's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_eligible_spans_are_counted),
        cmocka_unit_test(test_what_counts_beyond_top_level_spans_can_be_switched_off),
        cmocka_unit_test(test_peers_are_told_apart_by_the_tags_configured),
        cmocka_unit_test(test_containers_and_processes_are_told_apart_unless_told_not_to),
        cmocka_unit_test(test_a_bucket_is_as_wide_as_configured),
        cmocka_unit_test(test_the_container_tells_what_the_tracer_does_not),
        cmocka_unit_test(test_a_group_holds_every_field_of_the_key),
        cmocka_unit_test(test_each_field_of_the_key_separates_groups),
        cmocka_unit_test(test_a_bucket_is_handed_out_twenty_seconds_after_it_began),
        cmocka_unit_test(test_the_end_of_a_span_decides_its_bucket),
        cmocka_unit_test(test_late_spans_land_in_the_oldest_open_bucket),
        cmocka_unit_test(test_a_clock_that_is_set_back_holds_nothing_up),
        cmocka_unit_test(test_spans_from_the_future_wait_for_their_bucket_within_a_ceiling),
        cmocka_unit_test(test_a_sampled_root_weighs_what_it_stands_for),
        cmocka_unit_test(test_fractions_are_rounded_by_chance),
        cmocka_unit_test(test_statistics_a_client_computed_are_left_alone),
        cmocka_unit_test(test_keys_beyond_the_memory_ceiling_are_counted_as_other),
        cmocka_unit_test(test_payload_keys_beyond_the_ceiling_share_the_first),
        cmocka_unit_test(test_a_payload_key_of_two_buckets_is_one_client_payload),
        cmocka_unit_test(test_a_refused_flush_is_counted),
        cmocka_unit_test(test_sums_equal_a_naive_recount_of_random_spans),
        cmocka_unit_test(test_counting_a_known_group_allocates_nothing),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("concentrator", tests, NULL, NULL);
}
