/* v0.7: a payload that names its client, chunks that carry their own attributes. */
#include <string.h>

#include "decode_fixture.h"
#include "pack.h"

static void test_the_golden_payload_is_decoded(void **state)
{
    sonde_buf body;
    decoded d;
    const payload_chunk *c;
    const payload_span *s;

    (void)state;
    golden_load("msgpack/v07_one_span.hex", &body);
    d = decode_buf(decode_v07, &body);
    assert_status(d.status, SONDE_OK);
    assert_text(d.p->language_name, "go");
    assert_text(d.p->env, "prod");
    assert_text(d.p->app_version, "7");
    assert_text(d.p->container_id, "c1");
    assert_text(*payload_tag_get(d.p, SONDE_STR("k")), "v");
    assert_int_equal(d.p->chunks_len, 1);
    c = &d.p->chunks[0];
    assert_int_equal(c->priority, 2);
    assert_text(c->origin, "rm1");
    assert_true(c->dropped_trace);
    assert_int_equal(c->tags_len, 1);
    assert_text(c->tags[0].value, "x=");
    assert_int_equal(c->spans_len, 1);
    s = &c->spans[0];
    assert_text(s->service, "web");
    assert_text(s->resource, "GET /");
    assert_int_equal(s->trace_id, 0x0102);
    assert_true(s->start == 1700000000000000000);
    assert_text(*span_meta_get(s, SONDE_STR("env")), "prod");
    assert_true(*span_metric_get(s, SONDE_STR("_sampling_priority_v1")) == 1);
    assert_int_equal(d.tally.spans, 1);
    payload_free(d.p);
    decode_without_memory(decode_v07, &body);
    sonde_buf_done(&body);
}

/* What the head of the request said is not asked. */
static void test_the_body_alone_says_who_the_client_is(void **state)
{
    payload *p = payload_new(1 << 20);
    decode_tally tally;

    (void)state;
    assert_non_null(p);
    p->language_name = p->tracer_version = p->container_id = SONDE_STR("head");
    p->body = SONDE_STR("\x80");
    assert_status(decode_v07(p, &tally, NULL), SONDE_OK);
    assert_int_equal(p->language_name.len + p->tracer_version.len + p->container_id.len, 0);
    assert_int_equal(p->chunks_len, 0);
    payload_free(p);
}

static void test_loose_forms_are_taken_and_others_refused(void **state)
{
    static const struct {
        const char *label;
        const char *hex;
        const char *want; /* NULL: taken */
        int32_t priority;
    } rows[] = {
        { "no priority is 0, not none", "81 a66368756e6b73 91 80", NULL, 0 },
        { "a nil chunk", "81 a66368756e6b73 91 c0", NULL, 0 },
        { "a negative priority", "81 a66368756e6b73 91 81 a87072696f72697479 ff", NULL, -1 },
        { "nil tags", "82 a474616773 c0 a66368756e6b73 91 80", NULL, 0 },
        { "nil spans are dropped", "81 a66368756e6b73 91 81 a57370616e73 91 c0", NULL, 0 },
        { "unknown keys", "82 a178 92 01 80 a66368756e6b73 91 81 a179 80", NULL, 0 },
        { "spans twice: the last", "81 a66368756e6b73 91 82 a57370616e73 92 80 80 a57370616e73 90",
          NULL, 0 },
        { "an array", "90", "expected a map", 0 },
        { "chunks of arrays", "81 a66368756e6b73 91 91 80", "expected a map", 0 },
        { "cut off", "81 a66368756e6b73 91", "msgp: too few bytes left to read object", 0 },
        { "a text for a priority", "81 a66368756e6b73 91 81 a87072696f72697479 a131",
          "expected an integer", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sonde_buf bytes;
        decoded d = decode_hex(decode_v07, rows[i].hex, &bytes);

        if ((d.status == SONDE_OK) != (rows[i].want == NULL))
            fail_msg("%s: status %d (%s)", rows[i].label, (int)d.status, d.error.message);
        if (rows[i].want && !strstr(d.error.message, rows[i].want))
            fail_msg("%s: said \"%s\"", rows[i].label, d.error.message);
        if (!rows[i].want) {
            assert_int_equal(d.p->chunks_len, 1);
            assert_int_equal(d.p->chunks[0].priority, rows[i].priority);
            assert_int_equal(d.tally.spans, 0);
        }
        payload_free(d.p);
        sonde_buf_done(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_golden_payload_is_decoded),
        cmocka_unit_test(test_the_body_alone_says_who_the_client_is),
        cmocka_unit_test(test_loose_forms_are_taken_and_others_refused),
    };

    return cmocka_run_group_tests_name("decode_v07", tests, NULL, NULL);
}
