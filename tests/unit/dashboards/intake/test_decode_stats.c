/* StatsPayload to rows: keys in any order, numbers in any width, what is unknown passed over. */
#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#include "codec/msgpack_write.h"
#include "dashboards/intake/decode.h"

static void key(sonde_buf *b, const char *name)
{
    sonde_mp_write_str(b, sonde_str_from(name));
}

static void write_sketch(sonde_buf *b, double ns)
{
    sonde_sketch s;
    sonde_buf bytes;

    sonde_sketch_init(&s);
    sonde_buf_init(&bytes, 65536);
    assert_status(sonde_sketch_add(&s, ns, 1), SONDE_OK);
    sonde_sketch_encode(&s, &bytes);
    sonde_mp_write_bin(b, bytes.data, bytes.len);
    sonde_buf_done(&bytes);
    sonde_sketch_done(&s);
}

/* The host of the agent comes last, as it may; a float where nothing is asked for it. */
static void write_payload(sonde_buf *b)
{
    sonde_mp_write_map(b, 4);
    key(b, "Unknown");
    sonde_mp_write_array(b, 1);
    sonde_mp_write_double(b, 1.5);
    key(b, "Stats");
    sonde_mp_write_array(b, 2);
    sonde_mp_write_map(b, 2);
    key(b, "Stats");
    sonde_mp_write_array(b, 1);
    sonde_mp_write_map(b, 3);
    key(b, "Stats");
    sonde_mp_write_array(b, 1);
    sonde_mp_write_map(b, 11);
    key(b, "Service");
    sonde_mp_write_str(b, SONDE_STR("web"));
    key(b, "Name");
    sonde_mp_write_str(b, SONDE_STR("http.request"));
    key(b, "Resource");
    sonde_mp_write_str(b, SONDE_STR("GET /"));
    key(b, "HTTPStatusCode");
    sonde_mp_write_u64(b, 500);
    key(b, "Hits");
    sonde_mp_write_u64(b, 3);
    key(b, "Errors");
    sonde_mp_write_i64(b, 1);
    key(b, "TopLevelHits");
    sonde_mp_write_u64(b, 2);
    key(b, "Duration");
    sonde_mp_write_u64(b, 5000000000);
    key(b, "SpanKind");
    sonde_mp_write_str(b, SONDE_STR("server"));
    key(b, "OkSummary");
    write_sketch(b, 1e6);
    key(b, "srv_src");
    sonde_mp_write_nil(b);
    key(b, "Duration");
    sonde_mp_write_u64(b, 10000000000);
    key(b, "Start");
    sonde_mp_write_u64(b, 1764000015ull * 1000000000);
    key(b, "Env");
    sonde_mp_write_str(b, SONDE_STR("prod"));
    sonde_mp_write_nil(b); /* a client payload that is not there */
    key(b, "AgentEnv");
    sonde_mp_write_str(b, SONDE_STR("none"));
    key(b, "AgentHostname");
    sonde_mp_write_str(b, SONDE_STR("h1"));
}

static void test_a_group_becomes_a_row(void **state)
{
    store_batch *batch = store_batch_new();
    sonde_sketch s;
    sonde_buf b;
    const stats_row *row;

    (void)state;
    sonde_buf_init(&b, 65536);
    write_payload(&b);
    assert_status(stats_decode(sonde_buf_str(&b), batch), SONDE_OK);
    memset(b.data, 0xee, b.len); /* nothing may refer to the body */

    assert_int_equal(batch->stats_len, 1);
    row = &batch->stats[0];
    assert_true(sonde_str_eq(row->service, SONDE_STR("web")));
    assert_true(sonde_str_eq(row->env, SONDE_STR("prod")));
    assert_true(sonde_str_eq(row->host, SONDE_STR("h1")));
    assert_true(sonde_str_eq(row->kind, SONDE_STR("server")));
    assert_int_equal(row->http_status, 500);
    assert_int_equal(row->bucket_s, 1764000010);
    assert_int_equal(row->hits, 3);
    assert_int_equal(row->errors, 1);
    assert_int_equal(row->top_hits, 2);
    assert_int_equal(row->duration_ns, 5000000000);
    sonde_sketch_init(&s);
    assert_status(stats_sketch_unpack(row->ok_sketch, &s), SONDE_OK);
    assert_true(s.count == 1);
    assert_int_equal(row->err_sketch.len, 0);
    sonde_sketch_done(&s);
    sonde_buf_done(&b);
    store_batch_free(batch);
}

static void test_malformed_payloads_are_refused(void **state)
{
    static const struct {
        const char *label;
        sonde_str bytes;
    } cases[] = {
        { "empty", { NULL, 0 } },
        { "not a map", { "\x01", 1 } },
        { "map without end", { "\x82\xa5Stats", 7 } },
        { "list is a number", { "\x81\xa5Stats\x05", 8 } },
        { "array longer than the bytes", { "\x81\xa5Stats\xdd\xff\xff\xff\xff", 12 } },
        { "never used byte", { "\x81\xa5Stats\xc1", 8 } },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        store_batch *batch = store_batch_new();

        if (stats_decode(cases[i].bytes, batch) == SONDE_OK)
            fail_msg("%s", cases[i].label);
        store_batch_free(batch);
    }
}

static sonde_status decode_scenario(void *user)
{
    sonde_str body = sonde_buf_str((const sonde_buf *)user);
    store_batch *batch = store_batch_new();
    sonde_status status = batch ? stats_decode(body, batch) : SONDE_ERR_NOMEM;

    store_batch_free(batch);
    return status;
}

static void test_decoding_copes_with_failing_allocations(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 65536);
    write_payload(&b);
    alloc_fail_each(decode_scenario, &b);
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_becomes_a_row),
        cmocka_unit_test(test_malformed_payloads_are_refused),
        cmocka_unit_test(test_decoding_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("decode stats", tests, NULL, NULL);
}
