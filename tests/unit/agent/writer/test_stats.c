/* The stats writer: every field under its Go name, read back by msgpack-c; splits; failures. */
#include "support/test.h"

#include <string.h>

#include <msgpack.h>

#include "agent/writer/stats.h"
#include "base/alloc.h"
#include "base/str.h"
#include "codec/compress/compress.h"
#include "support/alloc_fail.h"

#define BODIES_MAX 16

typedef struct sink_log {
    sonde_buf bodies[BODIES_MAX]; /* decompressed */
    size_t len;
    uint64_t groups;
    sonde_status answer;
    bool keep;
    char headers[sizeof(((upload *)0)->headers)]; /* of the last one */
} sink_log;

static sonde_status sink_push(void *stage, upload *u)
{
    sink_log *log = stage;

    if (log->answer != SONDE_OK)
        return log->answer;
    assert_string_equal(u->content_encoding, "gzip");
    assert_string_equal(u->path, "/api/v0.2/stats");
    log->groups += u->items;
    memcpy(log->headers, u->headers, sizeof(log->headers));
    if (log->keep) {
        sonde_buf *b = &log->bodies[log->len++];

        sonde_buf_init(b, (size_t)16 << 20);
        assert_status(sonde_decompress(SONDE_ENCODING_GZIP,
                                       (sonde_str){ (const char *)u->body, u->body_len }, b),
                      SONDE_OK);
    }
    sonde_free(u->body);
    return SONDE_OK;
}

static void done(sink_log *log)
{
    size_t i;

    for (i = 0; i < log->len; i++)
        sonde_buf_done(&log->bodies[i]);
}

/* The value of a key of a map; fails when it is not there. */
static const msgpack_object *at(const msgpack_object *map, const char *key)
{
    uint32_t i;

    assert_int_equal(map->type, MSGPACK_OBJECT_MAP);
    for (i = 0; i < map->via.map.size; i++) {
        const msgpack_object *k = &map->via.map.ptr[i].key;

        if (k->via.str.size == strlen(key) && memcmp(k->via.str.ptr, key, k->via.str.size) == 0)
            return &map->via.map.ptr[i].val;
    }
    fail_msg("no key %s", key);
    return NULL;
}

static void assert_str(const msgpack_object *map, const char *key, const char *want)
{
    const msgpack_object *v = at(map, key);

    if (v->type != MSGPACK_OBJECT_STR || v->via.str.size != strlen(want) ||
        memcmp(v->via.str.ptr, want, v->via.str.size) != 0)
        fail_msg("%s is not \"%s\"", key, want);
}

static void assert_u64(const msgpack_object *map, const char *key, uint64_t want)
{
    const msgpack_object *v = at(map, key);

    if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER || v->via.u64 != want)
        fail_msg("%s is not %llu", key, (unsigned long long)want);
}

static void unpack(msgpack_unpacked *u, const sonde_buf *b)
{
    size_t off = 0;

    msgpack_unpacked_init(u);
    assert_int_equal(msgpack_unpack_next(u, (const char *)b->data, b->len, &off),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(off, b->len);
}

static void test_every_field_is_there_under_its_go_name(void **state)
{
    sonde_str peers[] = { SONDE_STR("db.name:a"), SONDE_STR("peer.service:b") };
    stats_group g = { .service = SONDE_STR("web"),
                      .name = SONDE_STR("http.request"),
                      .resource = SONDE_STR("GET /"),
                      .type = SONDE_STR("web"),
                      .span_kind = SONDE_STR("client"),
                      .grpc_status_code = SONDE_STR("14"),
                      .http_method = SONDE_STR("GET"),
                      .http_endpoint = SONDE_STR("/e"),
                      .service_source = SONDE_STR("src"),
                      .http_status_code = 503,
                      .is_trace_root = 1,
                      .synthetics = true,
                      .hits = 7,
                      .errors = 2,
                      .top_level_hits = 6,
                      .duration_ns = 1234567890,
                      .ok_summary = SONDE_STR("ok!"),
                      .error_summary = SONDE_STR("err!"),
                      .peer_tags = peers,
                      .peer_tags_len = 2 };
    stats_bucket bucket = { UINT64_C(1700000000000000000), UINT64_C(10000000000), &g, 1 };
    const client_stats client = { .hostname = SONDE_STR("h"),
                                  .env = SONDE_STR("e"),
                                  .version = SONDE_STR("v"),
                                  .lang = SONDE_STR("c"),
                                  .service = SONDE_STR("base"),
                                  .container_id = SONDE_STR("cid"),
                                  .git_commit_sha = SONDE_STR("sha"),
                                  .image_tag = SONDE_STR("img"),
                                  .process_tags = SONDE_STR("a:b"),
                                  .process_tags_hash = UINT64_MAX,
                                  .buckets = &bucket,
                                  .buckets_len = 1 };
    const stats_payload s = { &client, 1, false };
    const msgpack_object *c, *b, *o, *p;
    sink_log log = { .keep = true };
    msgpack_unpacked u;
    stats_writer w;

    (void)state;
    stats_writer_init(&w, SONDE_STR("agent-host"), SONDE_STR("agent-env"), SONDE_STR("1.2.3"),
                      (upload_sink){ sink_push, &log });
    assert_status(stats_writer_push(&w, &s), SONDE_OK);
    assert_int_equal(log.len, 1);
    assert_string_equal(log.headers, "X-Datadog-Reported-Languages: c\n");
    unpack(&u, &log.bodies[0]);

    p = &u.data;
    assert_str(p, "AgentHostname", "agent-host");
    assert_str(p, "AgentEnv", "agent-env");
    assert_str(p, "AgentVersion", "1.2.3");
    assert_false(at(p, "ClientComputed")->via.boolean);
    assert_false(at(p, "SplitPayload")->via.boolean);
    c = &at(p, "Stats")->via.array.ptr[0];
    assert_str(c, "Hostname", "h");
    assert_str(c, "Env", "e");
    assert_str(c, "Version", "v");
    assert_str(c, "Lang", "c");
    assert_str(c, "Service", "base");
    assert_str(c, "ContainerID", "cid");
    assert_str(c, "GitCommitSha", "sha");
    assert_str(c, "ImageTag", "img");
    assert_str(c, "ProcessTags", "a:b");
    assert_u64(c, "ProcessTagsHash", UINT64_MAX);
    b = &at(c, "Stats")->via.array.ptr[0];
    assert_u64(b, "Start", UINT64_C(1700000000000000000));
    assert_u64(b, "Duration", UINT64_C(10000000000));
    o = &at(b, "Stats")->via.array.ptr[0];
    assert_str(o, "Service", "web");
    assert_str(o, "Name", "http.request");
    assert_str(o, "Resource", "GET /");
    assert_str(o, "Type", "web");
    assert_u64(o, "HTTPStatusCode", 503);
    assert_u64(o, "Hits", 7);
    assert_u64(o, "Errors", 2);
    assert_u64(o, "Duration", 1234567890);
    assert_u64(o, "TopLevelHits", 6);
    assert_u64(o, "IsTraceRoot", 1);
    assert_true(at(o, "Synthetics")->via.boolean);
    assert_str(o, "SpanKind", "client");
    assert_str(o, "GRPCStatusCode", "14");
    assert_str(o, "HTTPMethod", "GET");
    assert_str(o, "HTTPEndpoint", "/e");
    assert_str(o, "srv_src", "src");
    assert_int_equal(at(o, "OkSummary")->type, MSGPACK_OBJECT_BIN);
    assert_int_equal(at(o, "ErrorSummary")->via.bin.size, 4);
    assert_int_equal(at(o, "PeerTags")->via.array.size, 2);
    msgpack_unpacked_destroy(&u);
    done(&log);
}

/* Groups of one body; each must be one not seen before. */
static uint64_t count_groups(const sonde_buf *body, bool *seen, bool *out_split)
{
    msgpack_unpacked u;
    const msgpack_object *clients;
    uint64_t n = 0;
    uint32_t i, j, k;

    unpack(&u, body);
    *out_split = at(&u.data, "SplitPayload")->via.boolean;
    clients = at(&u.data, "Stats");
    assert_true(clients->via.array.size > 0);
    for (i = 0; i < clients->via.array.size; i++) {
        const msgpack_object *buckets = at(&clients->via.array.ptr[i], "Stats");

        assert_true(buckets->via.array.size > 0);
        for (j = 0; j < buckets->via.array.size; j++) {
            const msgpack_object *groups = at(&buckets->via.array.ptr[j], "Stats");

            assert_true(groups->via.array.size > 0);
            for (k = 0; k < groups->via.array.size; k++, n++) {
                uint64_t id = at(&groups->via.array.ptr[k], "Hits")->via.u64;

                assert_false(seen[id]);
                seen[id] = true;
            }
        }
    }
    msgpack_unpacked_destroy(&u);
    return n;
}

static void test_many_groups_are_dealt_out_over_several_bodies(void **state)
{
    static const struct {
        uint32_t clients, buckets, groups;
        size_t bodies;
    } cases[] = { { 1, 1, 10, 1 }, { 1, 1, 11, 2 }, { 3, 2, 5, 3 },
                  { 7, 3, 1, 3 },  { 2, 2, 20, 8 }, { 1, 1, 100, 10 } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint32_t total = cases[i].clients * cases[i].buckets * cases[i].groups, id = 0, c, b;
        stats_group groups[200] = { { .hits = 0 } };
        stats_bucket buckets[64] = { { .groups_len = 0 } };
        client_stats clients[8] = { { .buckets = NULL } };
        const stats_payload s = { clients, cases[i].clients, false };
        sink_log log = { .keep = true };
        bool seen[200] = { false }, split;
        uint64_t found = 0;
        stats_writer w;
        size_t k;

        for (id = 0; id < total; id++)
            groups[id].hits = id;
        for (c = id = 0; c < cases[i].clients; c++) {
            clients[c].buckets = &buckets[c * cases[i].buckets];
            clients[c].buckets_len = cases[i].buckets;
            for (b = 0; b < cases[i].buckets; b++, id += cases[i].groups)
                buckets[c * cases[i].buckets + b] =
                    (stats_bucket){ .groups = &groups[id], .groups_len = cases[i].groups };
        }
        stats_writer_init(&w, SONDE_STR("h"), SONDE_STR("e"), SONDE_STR("v"),
                          (upload_sink){ sink_push, &log });
        w.groups_max = 10;
        assert_status(stats_writer_push(&w, &s), SONDE_OK);

        assert_int_equal(log.len, cases[i].bodies);
        for (k = 0; k < log.len; k++) {
            uint64_t n = count_groups(&log.bodies[k], seen, &split);

            assert_true(n <= 10);
            assert_int_equal(split, cases[i].bodies > 1);
            found += n;
        }
        assert_int_equal(found, total);
        assert_int_equal(log.groups, total);
        done(&log);
    }
}

static void test_nothing_is_sent_for_no_groups(void **state)
{
    sink_log log = { .keep = true };
    stats_writer w;

    (void)state;
    stats_writer_init(&w, SONDE_STR("h"), SONDE_STR("e"), SONDE_STR("v"),
                      (upload_sink){ sink_push, &log });
    assert_status(stats_writer_push(&w, &(stats_payload){ 0 }), SONDE_OK);
    assert_int_equal(log.len, 0);
}

static sonde_status push_one(void *user)
{
    stats_group g = { .service = SONDE_STR("web") };
    stats_bucket bucket = { 1, 2, &g, 1 };
    const client_stats client = { .buckets = &bucket, .buckets_len = 1 };
    const stats_payload s = { &client, 1, false };
    sink_log log = { .keep = false };
    stats_writer w;
    sonde_status status;

    (void)user;
    stats_writer_init(&w, SONDE_STR("h"), SONDE_STR("e"), SONDE_STR("v"),
                      (upload_sink){ sink_push, &log });
    status = stats_writer_push(&w, &s);
    assert_int_equal(w.groups_in, w.groups_out + w.groups_dropped);
    assert_int_equal(w.groups_out, log.groups);
    return status;
}

static void test_every_failing_allocation_is_counted(void **state)
{
    (void)state;
    alloc_fail_each(push_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_is_there_under_its_go_name),
        cmocka_unit_test(test_many_groups_are_dealt_out_over_several_bodies),
        cmocka_unit_test(test_nothing_is_sent_for_no_groups),
        cmocka_unit_test(test_every_failing_allocation_is_counted),
    };

    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
