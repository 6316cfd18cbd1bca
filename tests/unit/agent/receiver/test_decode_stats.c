/* /v0.6/stats: the worked example field by field, leniency, limits, hostile counts. */
#include <string.h>

#include "decode_fixture.h"
#include "pack.h"

static void test_the_worked_example_decodes(void **state)
{
    sonde_buf bytes;
    const client_stats *c;
    const stats_group *g;
    decoded d;

    (void)state;
    golden_load("msgpack/v06_stats.hex", &bytes);
    d = decode_buf(decode_stats, &bytes);
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->chunks_len, 0);
    assert_int_equal(d.tally.groups, 1);
    c = d.p->stats;
    assert_text(c->hostname, "h1");
    assert_text(c->env, "prod");
    assert_text(c->lang, "c");
    assert_int_equal(c->buckets_len, 1);
    assert_true(c->buckets[0].start_unix_ns == 1700000000000000000u);
    assert_true(c->buckets[0].duration_ns == 10000000000u);
    assert_int_equal(c->buckets[0].groups_len, 1);
    g = &c->buckets[0].groups[0];
    assert_text(g->service, "web");
    assert_text(g->name, "http.request");
    assert_text(g->resource, "GET /");
    assert_text(g->type, "web");
    assert_text(g->span_kind, "server");
    assert_int_equal(g->http_status_code, 200);
    assert_int_equal(g->hits, 1);
    assert_int_equal(g->top_level_hits, 1);
    assert_int_equal(g->errors, 0);
    assert_int_equal(g->duration_ns, 1000000);
    assert_int_equal(g->ok_summary.len, 28);
    assert_int_equal(g->error_summary.len, 15);
    assert_int_equal(g->is_trace_root, STATS_ROOT_TRUE);
    payload_free(d.p);
    decode_without_memory(decode_stats, &bytes);
    sonde_buf_done(&bytes);
}

/* {"Stats": [{"Stats": [{`key`: ...}]}]}, the value to follow. */
static void open_group(sonde_buf *b, const char *key)
{
    sonde_buf_init(b, 1 << 24);
    sonde_buf_append_byte(b, 0x81);
    pack_str(b, "Stats");
    sonde_buf_append_byte(b, 0x91);
    sonde_buf_append_byte(b, 0x81);
    pack_str(b, "Stats");
    sonde_buf_append_byte(b, 0x91);
    sonde_buf_append_byte(b, 0x81);
    pack_str(b, key);
}

static void test_a_group_has_all_the_fields_tracers_fill(void **state)
{
    const stats_group *g;
    sonde_buf b;
    decoded d;

    (void)state;
    open_group(&b, "PeerTags");
    b.data[b.len - 10] = 0x89; /* the map of the group */
    sonde_buf_append_byte(&b, 0x92);
    pack_str(&b, "db.name:x");
    pack_bin8(&b, "out.host:y");
    pack_str(&b, "AdditionalMetricTags");
    sonde_buf_append_byte(&b, 0x91);
    pack_str(&b, "tier:gold");
    pack_str(&b, "GRPCStatusCode");
    pack_str(&b, "4");
    pack_str(&b, "HTTPMethod");
    pack_str(&b, "GET");
    pack_str(&b, "HTTPEndpoint");
    pack_str(&b, "/users/?");
    pack_str(&b, "srv_src");
    pack_str(&b, "opt");
    pack_str(&b, "Synthetics");
    sonde_buf_append_byte(&b, 0xc3);
    pack_str(&b, "DBType");
    pack_str(&b, "mysql");
    pack_str(&b, "Unknown");
    pack_nil(&b);
    d = decode_buf(decode_stats, &b);
    assert_status(d.status, SONDE_OK);
    g = &d.p->stats->buckets[0].groups[0];
    assert_int_equal(g->peer_tags_len, 2);
    assert_text(g->peer_tags[0], "db.name:x");
    assert_text(g->peer_tags[1], "out.host:y");
    assert_int_equal(g->metric_tags_len, 1);
    assert_text(g->metric_tags[0], "tier:gold");
    assert_text(g->grpc_status_code, "4");
    assert_text(g->http_method, "GET");
    assert_text(g->http_endpoint, "/users/?");
    assert_text(g->service_source, "opt");
    assert_text(g->db_type, "mysql");
    assert_true(g->synthetics);
    payload_free(d.p);
    sonde_buf_done(&b);
}

static void test_what_cannot_be_is_refused_with_words(void **state)
{
    static const struct {
        const char *label;
        const char *key;
        uint8_t bytes[8];
        size_t len;
        const char *want; /* NULL: taken */
    } rows[] = {
        { "nil for a text", "Service", { 0xc0 }, 1, NULL },
        { "nil for a sketch", "OkSummary", { 0xc0 }, 1, NULL },
        { "nil for tags", "PeerTags", { 0xc0 }, 1, NULL },
        { "a root out of range", "IsTraceRoot", { 0x07 }, 1, NULL },
        { "a number for a text", "Service", { 0x01 }, 1, "expected a string" },
        { "a text for a number", "Hits", { 0xa1, 'x' }, 2, "expected an integer" },
        { "a status of 33 bits", "HTTPStatusCode", { 0xcf, 0, 0, 0, 1, 0, 0, 0 }, 8, "few bytes" },
        { "half a million tags", "PeerTags", { 0xdd, 0, 7, 0xa1, 0x21 }, 5, "few bytes" },
        { "cut off", "Hits", { 0 }, 0, "too few bytes left to read object" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sonde_buf b;
        decoded d;

        open_group(&b, rows[i].key);
        sonde_buf_append(&b, rows[i].bytes, rows[i].len);
        d = decode_buf(decode_stats, &b);
        if ((d.status == SONDE_OK) != (rows[i].want == NULL))
            fail_msg("%s: status %d (%s)", rows[i].label, (int)d.status, d.error.message);
        if (rows[i].want && !strstr(d.error.message, rows[i].want))
            fail_msg("%s: said \"%s\"", rows[i].label, d.error.message);
        assert_true((d.p->stats != NULL) == (d.status == SONDE_OK));
        payload_free(d.p);
        sonde_buf_done(&b);
    }
}

static void test_more_than_half_a_million_tags_are_refused(void **state)
{
    sonde_buf b;
    decoded d;

    (void)state;
    open_group(&b, "PeerTags");
    pack_array32(&b, 500001);
    for (int i = 0; i < 500001; i++)
        sonde_buf_append_byte(&b, 0xa0);
    d = decode_buf(decode_stats, &b);
    assert_status(d.status, SONDE_ERR_SYNTAX);
    assert_non_null(strstr(d.error.message, "msgp: configured reader limit exceeded"));
    payload_free(d.p);
    sonde_buf_done(&b);
}

static void test_a_sketch_beyond_its_limit_is_refused(void **state)
{
    sonde_buf b;
    decoded d;

    (void)state;
    open_group(&b, "OkSummary");
    pack_be(&b, 0xc6, 500001, 4);
    for (int i = 0; i < 500001; i++)
        sonde_buf_append_byte(&b, 0);
    d = decode_buf(decode_stats, &b);
    assert_status(d.status, SONDE_ERR_SYNTAX);
    assert_non_null(strstr(d.error.message, "msgp: configured reader limit exceeded"));
    payload_free(d.p);
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_worked_example_decodes),
        cmocka_unit_test(test_a_group_has_all_the_fields_tracers_fill),
        cmocka_unit_test(test_what_cannot_be_is_refused_with_words),
        cmocka_unit_test(test_more_than_half_a_million_tags_are_refused),
        cmocka_unit_test(test_a_sketch_beyond_its_limit_is_refused),
    };

    return cmocka_run_group_tests_name("decode_stats", tests, NULL, NULL);
}
