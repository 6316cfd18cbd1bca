/* Statistics of tracers: placing, keys, sums, sketches, ceilings, hand-out. */
#include "agent/stats/client_aggregator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "agent/stats/limits.h"
#include "base/buf.h"
#include "codec/sketch.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define S    INT64_C(1000000000)
#define T0   (INT64_C(1700000000) * S) /* an even second */
#define KEPT 64

typedef struct row {
    uint64_t start_unix_ns, duration_ns;
    uint64_t hits, errors, top, total_ns;
    double points, p50;
    char key[300];
} row;

static struct {
    row rows[KEPT];
    size_t rows_len, clients, pushes;
    bool client_computed;
    sonde_status answer;
} sunk;

static void note(const client_stats *c, const stats_bucket *b, const stats_group *g)
{
    row *r = &sunk.rows[sunk.rows_len++ % KEPT];
    sonde_sketch sketch;

    sonde_sketch_init(&sketch);
    assert_status(sonde_sketch_decode_merge(&sketch, g->ok_summary), SONDE_OK);
    assert_status(sonde_sketch_decode_merge(&sketch, g->error_summary), SONDE_OK);
    *r = (row){ .start_unix_ns = b->start_unix_ns,
                .duration_ns = b->duration_ns,
                .hits = g->hits,
                .errors = g->errors,
                .top = g->top_level_hits,
                .total_ns = g->duration_ns,
                .points = sketch.count,
                .p50 = sonde_sketch_quantile(&sketch, 0.5) };
    (void)snprintf(r->key, sizeof(r->key),
                   "%.*s/%.*s/%.*s/%.*s/%.*s/%.*s/%.*s/%llu|%.*s/%.*s/%d/%.*s/%.*s/%u/%u",
                   SONDE_STR_ARG(c->env), SONDE_STR_ARG(c->hostname), SONDE_STR_ARG(c->version),
                   SONDE_STR_ARG(c->service), SONDE_STR_ARG(c->container_id),
                   SONDE_STR_ARG(c->git_commit_sha), SONDE_STR_ARG(c->image_tag),
                   (unsigned long long)c->process_tags_hash, SONDE_STR_ARG(g->resource),
                   SONDE_STR_ARG(g->type), (int)g->is_trace_root, SONDE_STR_ARG(g->http_method),
                   SONDE_STR_ARG(g->http_endpoint), g->peer_tags_len, g->metric_tags_len);
    sonde_sketch_done(&sketch);
}

static sonde_status push(void *stage, const stats_payload *s)
{
    (void)stage;
    sunk.pushes++;
    if (sunk.answer != SONDE_OK)
        return sunk.answer;
    sunk.client_computed = s->client_computed;
    sunk.clients += s->stats_len;
    for (uint32_t i = 0; i < s->stats_len; i++)
        for (uint32_t j = 0; j < s->stats[i].buckets_len; j++)
            for (uint32_t k = 0; k < s->stats[i].buckets[j].groups_len; k++)
                note(&s->stats[i], &s->stats[i].buckets[j], &s->stats[i].buckets[j].groups[k]);
    return SONDE_OK;
}

static client_aggregator *open_at(int64_t now, size_t max_bytes)
{
    client_aggregator *a = NULL;

    memset(&sunk, 0, sizeof(sunk));
    assert_status(client_aggregator_open((stats_sink){ push, NULL }, max_bytes, now, &a), SONDE_OK);
    return a;
}

static void finish(client_aggregator *a)
{
    client_aggregator_counters n;

    client_aggregator_read_counters(a, &n);
    assert_int_equal(n.groups_in, n.groups_counted + n.groups_lost);
    client_aggregator_close(a);
}

/* One bucket of one group, to be changed by the test. */
typedef struct one {
    client_stats stats;
    stats_bucket bucket;
    stats_group group;
    sonde_buf ok, error;
} one;

static void put_points(sonde_buf *b, int64_t ns, double points)
{
    sonde_sketch sketch;

    sonde_sketch_init(&sketch);
    sonde_buf_init(b, 1 << 20);
    if (points > 0)
        assert_status(sonde_sketch_add(&sketch, sonde_sketch_value_of_ns(ns), points), SONDE_OK);
    sonde_sketch_encode(&sketch, b);
    sonde_sketch_done(&sketch);
}

static one *make(int64_t start, uint64_t hits, int64_t ns)
{
    static one o;

    sonde_buf_done(&o.ok);
    sonde_buf_done(&o.error);
    memset(&o, 0, sizeof(o));
    put_points(&o.ok, ns, (double)hits);
    put_points(&o.error, 0, 0);
    o.group = (stats_group){ .service = SONDE_STR("web"),
                             .name = SONDE_STR("op"),
                             .resource = SONDE_STR("GET /"),
                             .type = SONDE_STR("web"),
                             .is_trace_root = STATS_ROOT_TRUE,
                             .hits = hits,
                             .errors = hits / 2,
                             .top_level_hits = hits,
                             .duration_ns = hits * (uint64_t)ns,
                             .ok_summary = sonde_buf_str(&o.ok),
                             .error_summary = sonde_buf_str(&o.error) };
    o.bucket = (stats_bucket){ .start_unix_ns = (uint64_t)start,
                               .duration_ns = 10 * (uint64_t)S,
                               .groups = &o.group,
                               .groups_len = 1 };
    o.stats = (client_stats){ .env = SONDE_STR("prod"),
                              .hostname = SONDE_STR("h"),
                              .lang = SONDE_STR("c"),
                              .buckets = &o.bucket,
                              .buckets_len = 1 };
    return &o;
}

static void test_equal_groups_are_added_and_their_sketches_merged(void **state)
{
    client_aggregator *a = open_at(T0, 0);

    (void)state;
    client_aggregator_add(a, &make(T0, 3, 1000000)->stats, T0 + S);
    client_aggregator_add(a, &make(T0 + S, 5, 8000000)->stats, T0 + S);
    client_aggregator_flush(a, T0 + S, CLIENT_FLUSH_ALL);
    assert_int_equal(sunk.rows_len, 1);
    assert_true(sunk.client_computed);
    assert_int_equal(sunk.rows[0].hits, 8);
    assert_int_equal(sunk.rows[0].errors, 3);
    assert_int_equal(sunk.rows[0].top, 8);
    assert_int_equal(sunk.rows[0].total_ns, 43000000);
    assert_true(sunk.rows[0].points == 8);
    assert_true(sunk.rows[0].p50 > 7900000 && sunk.rows[0].p50 < 8100000);
    assert_int_equal(sunk.rows[0].duration_ns, 10 * S);
    finish(a);
}

/* docs/spec/stats-concentrator.md, "Statistics of tracers": opened at T0, so the oldest is T0 - 17 s. */
static void test_a_bucket_goes_to_the_odd_second_of_its_start(void **state)
{
    static const struct {
        const char *label;
        int64_t start, now, want;
    } rows[] = {
        { "an even start", 0, 0, 1 * S },          { "an odd one", 1 * S, 1 * S, 1 * S },
        { "between", 2 * S - 1, 5 * S, 1 * S },    { "the next two seconds", 2 * S, 5 * S, 3 * S },
        { "ten seconds ago", -10 * S, 0, -9 * S }, { "as old as may be", -17 * S, 0, -17 * S },
        { "too old", -17 * S - 1, 0, -17 * S },    { "of 1970", -T0, 0, -17 * S },
        { "ahead", 100 * S, 4 * S, 5 * S },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        client_aggregator *a = open_at(T0, 0);

        client_aggregator_add(a, &make(T0 + rows[i].start, 1, 1)->stats, T0 + rows[i].now);
        client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
        assert_int_equal(sunk.rows_len, 1);
        if (sunk.rows[0].start_unix_ns != (uint64_t)(T0 + rows[i].want))
            fail_msg("%s: %lld s", rows[i].label,
                     (long long)((int64_t)sunk.rows[0].start_unix_ns - T0) / (long long)S);
        finish(a);
    }
}

static void test_a_bucket_is_handed_out_once_when_it_is_due(void **state)
{
    client_aggregator *a = open_at(T0, 0);
    client_aggregator_counters n;

    (void)state;
    client_aggregator_add(a, &make(T0, 1, 1)->stats, T0); /* T0 + 1 s */
    client_aggregator_flush(a, T0 + 20 * S - 1, CLIENT_FLUSH_READY);
    assert_int_equal(sunk.pushes, 0);
    client_aggregator_flush(a, T0 + 20 * S, CLIENT_FLUSH_READY);
    assert_int_equal(sunk.pushes, 1);
    client_aggregator_flush(a, T0 + 60 * S, CLIENT_FLUSH_READY);
    assert_int_equal(sunk.pushes, 1);
    client_aggregator_add(a, &make(T0, 1, 1)->stats, T0 + 60 * S); /* what comes now is late */
    client_aggregator_read_counters(a, &n);
    assert_int_equal(n.buckets_late, 1);
    assert_int_equal(n.flushed.buckets_out, 1);
    assert_int_equal(n.flushed.groups_out, 1);
    finish(a);
}

static void test_a_clock_that_is_set_back_holds_nothing_up(void **state)
{
    client_aggregator *a = open_at(T0, 0);
    client_aggregator_counters n;
    int64_t back = T0 - 3600 * S;

    (void)state;
    client_aggregator_add(a, &make(T0, 1, 1)->stats, T0);
    client_aggregator_flush(a, T0 - 15 * S, CLIENT_FLUSH_READY); /* a correction, not a step */
    assert_int_equal(sunk.pushes, 0);
    client_aggregator_flush(a, back, CLIENT_FLUSH_READY);
    assert_int_equal(sunk.rows_len, 1);

    client_aggregator_add(a, &make(back, 1, 1)->stats, back);
    client_aggregator_flush(a, back + 20 * S, CLIENT_FLUSH_READY);
    assert_int_equal(sunk.rows_len, 2);
    assert_true(sunk.rows[1].start_unix_ns == (uint64_t)(back + 1 * S));
    client_aggregator_read_counters(a, &n);
    assert_int_equal(n.buckets_late, 0);
    finish(a);
}

static void test_any_part_of_a_key_makes_a_group_of_its_own(void **state)
{
    sonde_str peers[2] = { SONDE_STR("out.host:b"), SONDE_STR("db.name:a") };
    sonde_str swapped[2] = { SONDE_STR("db.name:a"), SONDE_STR("out.host:b") };
    sonde_str metric[1] = { SONDE_STR("tier:gold") };
    client_aggregator *a = open_at(T0, 0);
    one *o;

    (void)state;
    for (int i = 0; i < 20; i++) {
        o = make(T0, 1, 1);
        switch (i) {
        case 0:
            o->group.resource = SONDE_STR("other one");
            break;
        case 1:
            o->group.type = SONDE_STR("rpc");
            break;
        case 2:
            o->group.span_kind = SONDE_STR("client");
            break;
        case 3:
            o->group.http_status_code = 404;
            break;
        case 4:
            o->group.synthetics = true;
            break;
        case 5:
            o->group.is_trace_root = STATS_ROOT_FALSE;
            break;
        case 6:
            o->group.is_trace_root = STATS_ROOT_UNSET;
            break;
        case 7:
            o->group.grpc_status_code = SONDE_STR("4");
            break;
        case 8:
            o->group.http_method = SONDE_STR("GET");
            break;
        case 9:
            o->group.http_endpoint = SONDE_STR("/users/?");
            break;
        case 10:
            o->group.peer_tags = peers;
            o->group.peer_tags_len = 2;
            break;
        case 11:
            o->group.metric_tags = metric;
            o->group.metric_tags_len = 1;
            break;
        case 12:
            o->stats.env = SONDE_STR("dev");
            break;
        case 13:
            o->stats.version = SONDE_STR("2");
            break;
        case 14:
            o->stats.container_id = SONDE_STR("c1");
            break;
        case 15:
            o->stats.image_tag = SONDE_STR("v3");
            break;
        case 16:
            o->stats.process_tags = SONDE_STR("b:2,a:1");
            break;
        case 17:
            o->stats.service = SONDE_STR("base");
            break;
        case 18:
            o->group.service_source = SONDE_STR("opt");
            break;
        default:
            o->group.peer_tags = swapped;
            o->group.peer_tags_len = 2;
            break; /* as 10 */
        }
        client_aggregator_add(a, &o->stats, T0);
    }
    client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
    assert_int_equal(sunk.rows_len, 19);
    assert_int_equal(sunk.clients, 7); /* the rest share one payload key */
    for (size_t i = 0; i < sunk.rows_len; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(sunk.rows[i].key, sunk.rows[k].key) == 0 && sunk.rows[i].hits != 1)
                fail_msg("twice: %s", sunk.rows[i].key);
    finish(a);
}

static void test_a_sketch_that_is_none_costs_only_the_latencies(void **state)
{
    client_aggregator *a = open_at(T0, 0);
    client_aggregator_counters n;
    one *o = make(T0, 4, 1000);

    (void)state;
    o->group.ok_summary = SONDE_STR("\xff\xff\xff");
    client_aggregator_add(a, &o->stats, T0);
    client_aggregator_read_counters(a, &n);
    assert_int_equal(n.sketches_lost, 1);
    client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
    assert_int_equal(sunk.rows[0].hits, 4);
    assert_true(sunk.rows[0].points == 0);
    finish(a);
}

static void test_beyond_the_ceiling_groups_are_counted_as_other(void **state)
{
    client_aggregator *a = open_at(T0, 8192);
    client_aggregator_counters n;
    uint64_t hits = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        one *o = make(T0, 2, 1000);
        char resource[16];

        (void)snprintf(resource, sizeof(resource), "r%d", i);
        o->group.resource = sonde_str_from(resource);
        client_aggregator_add(a, &o->stats, T0);
    }
    client_aggregator_read_counters(a, &n);
    assert_true(n.groups_collapsed > 0 && n.groups_collapsed < 60);
    assert_int_equal(n.hits_in, 120);
    assert_int_equal(n.hits_counted, 120);
    client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
    for (size_t i = 0; i < sunk.rows_len; i++)
        hits += sunk.rows[i].hits;
    assert_int_equal(hits, 120);
    finish(a);
}

static void test_what_the_sink_refuses_is_counted(void **state)
{
    client_aggregator *a = open_at(T0, 0);
    client_aggregator_counters n;

    (void)state;
    sunk.answer = SONDE_ERR_CLOSED;
    client_aggregator_add(a, &make(T0, 4, 1000)->stats, T0);
    client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
    client_aggregator_read_counters(a, &n);
    assert_int_equal(n.flushed.flush_failed, 1);
    assert_int_equal(n.flushed.open_buckets, 0);
    finish(a);
}

static sonde_status take(void *stage, const stats_payload *s)
{
    (void)stage, (void)s;
    return SONDE_OK;
}

#define ADDERS 4
#define ROUNDS 500

typedef struct adder {
    client_aggregator *a;
    stats_group group;
    stats_bucket bucket;
    client_stats stats;
} adder;

static void *add_rounds(void *user)
{
    adder *x = user;

    for (int i = 0; i < ROUNDS; i++) {
        x->bucket.start_unix_ns = (uint64_t)(T0 + i % 40 * S);
        client_aggregator_add(x->a, &x->stats, T0 + 40 * S);
    }
    return NULL;
}

static _Atomic uint64_t hits_taken;

static sonde_status take_hits(void *stage, const stats_payload *s)
{
    (void)stage;
    for (uint32_t i = 0; i < s->stats_len; i++)
        for (uint32_t j = 0; j < s->stats[i].buckets_len; j++)
            for (uint32_t k = 0; k < s->stats[i].buckets[j].groups_len; k++)
                hits_taken += s->stats[i].buckets[j].groups[k].hits;
    return SONDE_OK;
}

static void test_nothing_is_lost_between_threads_that_add_and_one_that_flushes(void **state)
{
    const one *o = make(T0, 3, 1000);
    adder adders[ADDERS];
    pthread_t threads[ADDERS];
    client_aggregator *a = NULL;

    (void)state;
    hits_taken = 0;
    assert_status(client_aggregator_open((stats_sink){ take_hits, NULL }, 0, T0, &a), SONDE_OK);
    for (int i = 0; i < ADDERS; i++) {
        adders[i] = (adder){ a, o->group, o->bucket, o->stats };
        adders[i].bucket.groups = &adders[i].group;
        adders[i].stats.buckets = &adders[i].bucket;
        assert_int_equal(pthread_create(&threads[i], NULL, add_rounds, &adders[i]), 0);
    }
    for (int i = 0; i < 50; i++)
        client_aggregator_flush(a, T0 + (i + 10) * S, CLIENT_FLUSH_READY);
    for (int i = 0; i < ADDERS; i++)
        (void)pthread_join(threads[i], NULL);
    client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
    assert_int_equal(hits_taken, 3 * ADDERS * ROUNDS);
    finish(a);
}

static sonde_status attempt(void *user)
{
    client_aggregator *a = NULL;
    client_aggregator_counters n;
    sonde_status status = client_aggregator_open((stats_sink){ take, NULL }, 0, T0, &a);

    if (status != SONDE_OK)
        return status;
    client_aggregator_add(a, user, T0);
    client_aggregator_flush(a, T0, CLIENT_FLUSH_ALL);
    client_aggregator_read_counters(a, &n);
    client_aggregator_close(a);
    return n.groups_lost || n.flushed.flush_failed || n.sketches_lost ? SONDE_ERR_NOMEM : SONDE_OK;
}

static void test_no_memory_loses_a_group_and_counts_it(void **state)
{
    sonde_str peers[1] = { SONDE_STR("db.name:a") };
    one *o = make(T0, 4, 1000);

    (void)state;
    o->group.peer_tags = peers;
    o->group.peer_tags_len = 1;
    alloc_fail_each(attempt, &o->stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_groups_are_added_and_their_sketches_merged),
        cmocka_unit_test(test_a_bucket_goes_to_the_odd_second_of_its_start),
        cmocka_unit_test(test_a_bucket_is_handed_out_once_when_it_is_due),
        cmocka_unit_test(test_a_clock_that_is_set_back_holds_nothing_up),
        cmocka_unit_test(test_any_part_of_a_key_makes_a_group_of_its_own),
        cmocka_unit_test(test_a_sketch_that_is_none_costs_only_the_latencies),
        cmocka_unit_test(test_beyond_the_ceiling_groups_are_counted_as_other),
        cmocka_unit_test(test_what_the_sink_refuses_is_counted),
        cmocka_unit_test(test_nothing_is_lost_between_threads_that_add_and_one_that_flushes),
        cmocka_unit_test(test_no_memory_loses_a_group_and_counts_it),
    };

    return cmocka_run_group_tests_name("client_aggregator", tests, NULL, NULL);
}
