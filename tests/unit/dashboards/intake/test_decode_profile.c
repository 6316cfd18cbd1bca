/* Uploads of profilers: whose they are, which attachments are kept, and why the others are not. */
#include "dashboards/intake/decode_profile.h"

#include "support/alloc_fail.h"
#include "support/pprof_body.h"
#include "support/test.h"

#include "codec/compress/compress.h"

#define assert_str(got, want) assert_true(sonde_str_eq((got), sonde_str_from(want)))

#define TYPE "multipart/form-data; boundary=b1"
#define EVENT                                                                                      \
    "{\"version\":\"4\",\"family\":\"native\",\"start\":\"2026-01-01T00:00:00.000000001Z\","       \
    "\"end\":\"2026-01-01T00:00:59.5Z\",\"attachments\":[\"cpu.pprof\"],"                          \
    "\"tags_profiler\":\"service:shop,env:prod,version:1.2,runtime-id:r-1,host:h1,service:two\","  \
    "\"endpoint_counts\":null,\"internal\":{\"a\":[1,{}]},\"info\":{}}"

static void part(sonde_buf *b, const char *name, sonde_str body)
{
    sonde_buf_printf(b,
                     "--b1\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n\r\n",
                     name, name);
    sonde_buf_append_str(b, body);
    sonde_buf_append_str(b, SONDE_STR("\r\n"));
}

static void write_pprof(sonde_encoding e, sonde_buf *out)
{
    pprof_body b;

    pprof_body_begin(&b, "cpu-samples/count,cpu-time/nanoseconds");
    pprof_body_sample(&b, "main;work", (int64_t[]){ 1, 10, -1 }, "");
    pprof_body_end(&b);
    assert_status(sonde_compress(e, 0, sonde_buf_str(&b.out), out), SONDE_OK);
    pprof_body_done(&b);
}

/* An upload of one pprof. */
static void write_upload(sonde_encoding e, const char *event, sonde_buf *out)
{
    sonde_buf pprof;

    sonde_buf_init(&pprof, 1 << 20);
    sonde_buf_init(out, 1 << 20);
    write_pprof(e, &pprof);
    part(out, "cpu.pprof", sonde_buf_str(&pprof));
    part(out, "event", sonde_str_from(event));
    sonde_buf_append_str(out, SONDE_STR("--b1--\r\n"));
    sonde_buf_done(&pprof);
}

static void test_an_upload_becomes_a_profile(void **state)
{
    static const sonde_encoding encodings[] = { SONDE_ENCODING_IDENTITY, SONDE_ENCODING_GZIP,
                                                SONDE_ENCODING_ZSTD };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(encodings); i++) {
        store_batch *batch = store_batch_new();
        profile_counts counts;
        const store_profile *p;
        sonde_buf body, message;

        write_upload(encodings[i], EVENT, &body);
        assert_status(profile_decode(SONDE_STR(TYPE), sonde_buf_str(&body), batch, &counts),
                      SONDE_OK);
        assert_int_equal(counts.attachments, 1);
        assert_int_equal(counts.profiles, 1);
        assert_int_equal(batch->profiles_len, 1);
        p = &batch->profiles[0];
        assert_str(p->service, "shop");
        assert_str(p->env, "prod");
        assert_str(p->version, "1.2");
        assert_str(p->runtime_id, "r-1");
        assert_str(p->host, "h1");
        assert_str(p->family, "native");
        assert_str(p->name, "cpu.pprof");
        assert_str(p->types, "cpu-samples/count,cpu-time/nanoseconds");
        assert_int_equal(p->samples, 1);
        assert_int_equal(p->start_unix_ns, 1767225600000000001);
        assert_int_equal(p->end_unix_ns, 1767225659500000000);
        sonde_buf_init(&message, 1 << 20);
        assert_status(sonde_decompress(SONDE_ENCODING_ZSTD,
                                       (sonde_str){ (const char *)p->body, p->body_len }, &message),
                      SONDE_OK);
        assert_int_equal(message.data[0], 0x0a);
        sonde_buf_done(&message);
        sonde_buf_done(&body);
        store_batch_free(batch);
    }
}

static void test_attachments_that_are_not_kept_are_counted_by_reason(void **state)
{
    store_batch *batch = store_batch_new();
    profile_counts counts;
    sonde_buf body, pprof;

    (void)state;
    sonde_buf_init(&pprof, 1 << 20);
    sonde_buf_init(&body, 1 << 20);
    write_pprof(SONDE_ENCODING_GZIP, &pprof);
    part(&body, "event", SONDE_STR(EVENT));
    part(&body, "metrics.json", SONDE_STR("{}"));
    part(&body, "main.jfr", SONDE_STR("FLR"));
    part(&body, "lz.pprof", SONDE_STR("\x04\x22\x4d\x18rest"));
    part(&body, "bad.pprof", SONDE_STR("<html>"));
    part(&body, "badgz.pprof", SONDE_STR("\x1f\x8bzz"));
    part(&body, "cpu.pprof", sonde_buf_str(&pprof));
    sonde_buf_append_str(&body, SONDE_STR("--b1--\r\n"));
    assert_status(profile_decode(SONDE_STR(TYPE), sonde_buf_str(&body), batch, &counts), SONDE_OK);
    assert_int_equal(counts.attachments, 6);
    assert_int_equal(counts.profiles, 1);
    assert_int_equal(counts.skipped[PROFILE_SKIP_NOT_PPROF], 2);
    assert_int_equal(counts.skipped[PROFILE_SKIP_LZ4], 1);
    assert_int_equal(counts.skipped[PROFILE_SKIP_MALFORMED], 2);
    sonde_buf_done(&body);
    sonde_buf_done(&pprof);
    store_batch_free(batch);
}

static void test_uploads_that_say_too_little_are_refused(void **state)
{
    static const struct {
        const char *label, *event;
    } cases[] = {
        { "not JSON", "{" },
        { "not an object", "[]" },
        { "no start", "{\"end\":\"2026-01-01T00:00:00Z\"}" },
        { "no time", "{\"start\":\"yesterday\",\"end\":\"2026-01-01T00:00:00Z\"}" },
        { "more than one value", EVENT "{}" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        store_batch *batch = store_batch_new();
        profile_counts counts;
        sonde_buf body;

        write_upload(SONDE_ENCODING_GZIP, cases[i].event, &body);
        if (profile_decode(SONDE_STR(TYPE), sonde_buf_str(&body), batch, &counts) == SONDE_OK)
            fail_msg("%s", cases[i].label);
        sonde_buf_done(&body);
        store_batch_free(batch);
    }
}

static void test_an_upload_whose_only_pprof_is_broken_is_refused(void **state)
{
    store_batch *batch = store_batch_new();
    profile_counts counts;
    sonde_buf body;

    (void)state;
    sonde_buf_init(&body, 1 << 20);
    part(&body, "event", SONDE_STR(EVENT));
    part(&body, "cpu.pprof", SONDE_STR("<html>"));
    sonde_buf_append_str(&body, SONDE_STR("--b1--\r\n"));
    assert_status(profile_decode(SONDE_STR(TYPE), sonde_buf_str(&body), batch, &counts),
                  SONDE_ERR_SYNTAX);
    sonde_buf_done(&body);
    store_batch_free(batch);
}

static sonde_status decode_scenario(void *user)
{
    store_batch *batch = store_batch_new();
    profile_counts counts;
    sonde_status status =
        batch ? profile_decode(SONDE_STR(TYPE), sonde_buf_str((sonde_buf *)user), batch, &counts)
              : SONDE_ERR_NOMEM;

    store_batch_free(batch);
    return status;
}

static void test_decoding_copes_with_failing_allocations(void **state)
{
    sonde_buf body;

    (void)state;
    write_upload(SONDE_ENCODING_IDENTITY, EVENT, &body);
    alloc_fail_each(decode_scenario, &body);
    sonde_buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_upload_becomes_a_profile),
        cmocka_unit_test(test_attachments_that_are_not_kept_are_counted_by_reason),
        cmocka_unit_test(test_uploads_that_say_too_little_are_refused),
        cmocka_unit_test(test_an_upload_whose_only_pprof_is_broken_is_refused),
        cmocka_unit_test(test_decoding_copes_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("decode profile", tests, NULL, NULL);
}
