/* v1.0: the table of texts, values of every type, what becomes of them as spans of the agent. */
#include <stdio.h>
#include <string.h>

#include "agent/receiver/v10.h"
#include "decode_fixture.h"
#include "pack.h"
#include "support/trace_bodies.h"

static void test_the_golden_span_is_decoded(void **state)
{
    sonde_buf body;
    const payload_span *s;
    decoded d;

    (void)state;
    golden_load("msgpack/v10_one_span.hex", &body);
    assert_int_equal(body.len, 103);
    d = decode_buf(decode_v10, &body);
    assert_status(d.status, SONDE_OK);
    assert_text(d.p->language_name, "go");
    assert_text(d.p->env, "prod");
    assert_int_equal(d.p->chunks_len, 1);
    assert_int_equal(d.p->chunks[0].priority, 1);
    assert_int_equal(d.p->chunks[0].spans_len, 1);
    s = &d.p->chunks[0].spans[0];
    assert_text(s->service, "web");
    assert_text(s->name, "http.request");
    assert_text(s->resource, "GET /");
    assert_int_equal(s->trace_id, 0x0102);
    assert_int_equal(s->span_id, 0x0304);
    assert_int_equal(s->parent_id, 0);
    assert_true(s->start == 1700000000000000000);
    assert_int_equal(s->duration, 1500000);
    assert_int_equal(s->error, 0);
    assert_int_equal(s->meta_len, 1);
    assert_text(*span_meta_get(s, SONDE_STR("peer")), "web");
    assert_true(*span_metric_get(s, SONDE_STR("retries")) == 2);
    assert_int_equal(d.tally.spans, 1);
    payload_free(d.p);
    decode_without_memory(decode_v10, &body);
    sonde_buf_done(&body);
}

/* A payload of one chunk of one span: `hex` are further fields of the span. */
static decoded decode_span(const char *hex, unsigned fields, sonde_buf *bytes)
{
    char text[4096];

    (void)snprintf(text, sizeof(text), "81 0b 91 82 06 c410 %s %s 04 91 %02x 04 07 %s",
                   "0123456789abcdef", "0000000000000102", 0x80u | (fields + 1), hex);
    return decode_hex(decode_v10, text, bytes);
}

static void test_places_of_their_own_become_the_tags_everybody_knows(void **state)
{
    sonde_buf bytes;
    decoded d = decode_hex(decode_v10,
                           "82 0a 93 a16b 01 a176"    /* payload attributes k = v */
                           "0b 91 86"                 /* a chunk */
                           " 01 ff 02 a3726d31 05 c3" /* priority -1, origin, dropped */
                           " 07 04"                   /* mechanism */
                           " 04 92"                   /* spans */
                           "  86 04 01 0d a470726f64 0e a137 0f a3677670 10 02 08 c3"
                           "  85 04 02 05 01 0d 04 10 01 08 c2"
                           " 06 c410 0123456789abcdef 0000000000000102",
                           &bytes);
    const payload_chunk *c;

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_text(*payload_tag_get(d.p, SONDE_STR("k")), "v");
    c = &d.p->chunks[0];
    assert_int_equal(c->priority, -1);
    assert_text(c->origin, "rm1");
    assert_true(c->dropped_trace);
    assert_int_equal(c->spans[0].trace_id, 0x0102);
    assert_int_equal(c->spans[1].trace_id, 0x0102);
    assert_text(*span_meta_get(&c->spans[0], SONDE_STR("_dd.p.tid")), "0123456789abcdef");
    assert_text(*span_meta_get(&c->spans[0], SONDE_STR("_dd.p.dm")), "-4");
    assert_text(*span_meta_get(&c->spans[0], SONDE_STR("env")), "prod");
    assert_text(*span_meta_get(&c->spans[0], SONDE_STR("version")), "7");
    assert_text(*span_meta_get(&c->spans[0], SONDE_STR("component")), "gvp");
    assert_text(*span_meta_get(&c->spans[0], SONDE_STR("span.kind")), "server");
    assert_int_equal(c->spans[0].error, 1);
    assert_text(*span_meta_get(&c->spans[1], SONDE_STR("env")), "prod"); /* text number 4 */
    assert_text(*span_meta_get(&c->spans[1], SONDE_STR("span.kind")), "internal");
    assert_null(span_meta_get(&c->spans[1], SONDE_STR("_dd.p.tid")));
    assert_int_equal(c->spans[1].parent_id, 1);
    payload_free(d.p);
    sonde_buf_done(&bytes);
}

static void test_a_value_goes_where_its_type_belongs(void **state)
{
    static const struct {
        const char *label;
        const char *hex; /* type and value of attribute "a" */
        const char *meta;
        double metric;
        const char *bytes;
    } rows[] = {
        { "text", "01 a3666f6f", "foo", 0, NULL },
        { "empty text", "01 00", "", 0, NULL },
        { "true", "02 c3", "true", 0, NULL },
        { "false", "02 c2", "false", 0, NULL },
        { "double", "03 cb3ff8000000000000", NULL, 1.5, NULL },
        { "float32", "03 ca3fc00000", NULL, 1.5, NULL },
        { "int", "04 d0fe", NULL, -2, NULL },
        { "bytes", "05 c403616263", NULL, 0, "abc" },
        { "array", "06 98 01 a178 04 02 02 c3 03 cb3ff8000000000000", "[\"x\",2,true,1.5]", 0,
          NULL },
        { "empty array", "06 90", "[]", 0, NULL },
        { "map", "07 93 a16b 01 a176", "{\"k\":\"v\"}", 0, NULL },
        { "nested", "06 92 07 93 a16b 06 92 05 c403616263", "[{\"k\":[\"YWJj\"]}]", 0, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const sonde_str key = SONDE_STR("a");
        const payload_span *s;
        sonde_buf bytes;
        char hex[256];
        decoded d;

        (void)snprintf(hex, sizeof(hex), "09 93 a161 %s", rows[i].hex);
        d = decode_span(hex, 1, &bytes);
        if (d.status != SONDE_OK)
            fail_msg("%s: %s", rows[i].label, d.error.message);
        s = &d.p->chunks[0].spans[0];
        if (rows[i].meta)
            assert_text(*span_meta_get(s, key), rows[i].meta);
        else if (rows[i].bytes)
            assert_text(s->meta_struct[0].value, rows[i].bytes);
        else
            assert_true(*span_metric_get(s, key) == rows[i].metric);
        assert_int_equal((span_meta_get(s, key) != NULL) + (span_metric_get(s, key) != NULL) +
                             (s->meta_struct_len != 0),
                         1);
        payload_free(d.p);
        sonde_buf_done(&bytes);
    }
}

static void test_links_and_events_keep_their_attributes(void **state)
{
    sonde_buf bytes;
    decoded d = decode_span("0b 91 85 01 c410 00000000000000aa 00000000000000bb 02 0c"
                            " 03 93 a16b 04 07 04 a3613d62 05 01"
                            "0c 91 83 01 cf17979cfe362a0000 02 a3657631"
                            " 03 9c a173 01 a178  a162 02 c3  a164 03 cb3ff8000000000000"
                            "       a161 06 96 04 01 01 a178 07 93 a16b 02 c2",
                            2, &bytes);
    const payload_span *s;
    const span_event_attr *a;

    (void)state;
    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_int_equal(s->links_len, 1);
    assert_int_equal(s->links[0].trace_id_high, 0xaa);
    assert_int_equal(s->links[0].trace_id, 0xbb);
    assert_int_equal(s->links[0].span_id, 12);
    assert_text(s->links[0].tracestate, "a=b");
    assert_int_equal(s->links[0].flags, 1);
    assert_text(s->links[0].attributes[0].value, "7");
    assert_int_equal(s->events_len, 1);
    assert_text(s->events[0].name, "ev1");
    assert_true(s->events[0].time_unix_nano == 1700000000000000000u);
    a = s->events[0].attributes;
    assert_int_equal(s->events[0].attributes_len, 4);
    assert_int_equal(a[0].value.type, SPAN_ANY_STRING);
    assert_int_equal(a[1].value.type, SPAN_ANY_BOOL);
    assert_int_equal(a[1].value.integer, 1);
    assert_true(a[2].value.type == SPAN_ANY_DOUBLE && a[2].value.number == 1.5);
    assert_int_equal(a[3].value.type, SPAN_ANY_ARRAY);
    assert_int_equal(a[3].value.values_len, 3);
    assert_int_equal(a[3].value.values[0].integer, 1);
    assert_text(a[3].value.values[1].str, "x");
    assert_text(a[3].value.values[2].str, "{\"k\":false}");
    payload_free(d.p);
    sonde_buf_done(&bytes);
}

static void test_texts_are_numbered_as_they_come(void **state)
{
    static const struct {
        const char *label;
        const char *hex; /* fields 1, 7, 8 and 9 of a payload: list, env, host name, version */
        const char *env, *hostname, *version;
    } rows[] = {
        { "by number", "83 07 a161 08 01 09 00", "a", "a", "" },
        { "a text again takes no number", "83 07 a161 08 a161 09 a162", "a", "a", "b" },
        { "nor does the empty one", "83 07 a0 08 a161 09 01", "", "a", "a" },
        { "the list, with an empty one", "84 01 93 a161 a0 a162 07 02 08 01 09 a161", "b", "a",
          "a" },
        { "a list that repeats itself", "84 01 93 a161 a161 a162 07 03 08 02 09 a161", "b", "a",
          "a" },
        { "repaired alike, numbered apart", "83 07 a1ff 08 a1fe 09 02", "\xef\xbf\xbd",
          "\xef\xbf\xbd", "\xef\xbf\xbd" },
        { "repaired ones are known as sent", "83 07 a1ff 08 a162 09 a1ff", "\xef\xbf\xbd", "b",
          "\xef\xbf\xbd" },
        { "and take no second number", "84 07 a1ff 08 a1ff 06 a162 09 02", "\xef\xbf\xbd",
          "\xef\xbf\xbd", "b" },
        { "numbers of any width", "83 07 a161 08 cc01 09 ce00000001", "a", "a", "a" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sonde_buf bytes;
        decoded d = decode_hex(decode_v10, rows[i].hex, &bytes);

        if (d.status != SONDE_OK)
            fail_msg("%s: %s", rows[i].label, d.error.message);
        assert_text(d.p->env, rows[i].env);
        assert_text(d.p->hostname, rows[i].hostname);
        assert_text(d.p->app_version, rows[i].version);
        payload_free(d.p);
        sonde_buf_done(&bytes);
    }
}

/* More texts than the table begins with: numbers hold while it grows. */
static void test_numbers_hold_while_the_table_grows(void **state)
{
    sonde_buf b;
    decoded d;
    char text[16];

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    sonde_buf_append_byte(&b, 0x82);
    sonde_buf_append_byte(&b, 1);
    pack_array32(&b, 5000);
    for (int i = 1; i <= 5000; i++) {
        (void)snprintf(text, sizeof(text), "t%d", i);
        pack_str(&b, text);
    }
    sonde_buf_append_byte(&b, 10);
    pack_array32(&b, 3 * 4000);
    for (int i = 1; i <= 4000; i++) {
        pack_u64(&b, (uint64_t)i);
        sonde_buf_append_byte(&b, 1);
        (void)snprintf(text, sizeof(text), "t%d", i + 1000);
        if (i % 2)
            pack_str(&b, text);
        else
            pack_u64(&b, (uint64_t)i + 1000);
    }
    d = decode_buf(decode_v10, &b);
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->tags_len, 4000);
    for (int i = 1; i <= 4000; i++) {
        (void)snprintf(text, sizeof(text), "t%d", i);
        assert_text(d.p->tags[i - 1].key, text);
        (void)snprintf(text, sizeof(text), "t%d", i + 1000);
        assert_text(d.p->tags[i - 1].value, text);
    }
    payload_free(d.p);
    sonde_buf_done(&b);
}

static void test_the_last_of_equal_keys_counts_whatever_its_type(void **state)
{
    sonde_buf bytes;
    decoded d = decode_span("09 96 a161 01 a178 a161 04 03", 1, &bytes);
    const payload_span *s;

    (void)state;
    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_null(span_meta_get(s, SONDE_STR("a")));
    assert_true(*span_metric_get(s, SONDE_STR("a")) == 3);
    payload_free(d.p);
    sonde_buf_done(&bytes);
}

/* What is passed over for its number still gives its texts theirs. */
static void test_beyond_the_ceiling_texts_are_still_numbered(void **state)
{
    sonde_buf b;
    decoded d;
    char text[16];
    uint32_t attrs = SPAN_ENTRIES_MAX + 10;

    (void)state;
    sonde_buf_init(&b, 1 << 20);
    sonde_buf_append_byte(&b, 0x82);
    sonde_buf_append_byte(&b, 10);
    pack_array32(&b, 3 * attrs);
    for (uint32_t i = 1; i <= attrs; i++) {
        (void)snprintf(text, sizeof(text), "t%u", i);
        pack_str(&b, text);
        sonde_buf_append_byte(&b, 4);
        sonde_buf_append_byte(&b, 1);
    }
    sonde_buf_append_byte(&b, 7);
    pack_u64(&b, attrs);
    d = decode_buf(decode_v10, &b);
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->tags_len, SPAN_ENTRIES_MAX);
    assert_int_equal(d.tally.tags_cut, 10);
    (void)snprintf(text, sizeof(text), "t%u", attrs);
    assert_text(d.p->env, text);
    payload_free(d.p);
    sonde_buf_done(&b);
}

static void test_the_heads_container_stands_where_the_body_has_none(void **state)
{
    static const char *const rows[][2] = { { "\x81\x02\xa1"
                                             "b",
                                             "b" },
                                           { "\x80", "head" } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        payload *p = payload_new(1 << 20);
        decode_tally tally;

        assert_non_null(p);
        p->container_id = p->language_name = SONDE_STR("head");
        p->body = sonde_str_from(rows[i][0]);
        assert_status(decode_v10(p, &tally, NULL), SONDE_OK);
        assert_text(p->container_id, rows[i][1]);
        assert_text(p->language_name, "");
        payload_free(p);
    }
}

static void test_what_cannot_be_is_refused_with_words(void **state)
{
    static const struct {
        const char *label;
        const char *hex;
        const char *want;
    } rows[] = {
        { "an array", "90", "expected a map" },
        { "a text for a key", "81 a16b 01", "expected an integer" },
        { "a number no text has", "81 07 05", "string index 5 out of range" },
        { "the first number no text has", "81 07 01", "string index 1 out of range" },
        { "the first behind a text", "82 07 a161 03 02", "string index 2 out of range" },
        { "a negative number", "81 07 ff", "expected a string" },
        { "nil for a text", "81 07 c0", "expected a string" },
        { "the list too late", "82 07 a161 01 91 a162", "strings come before their list" },
        { "a number in the list", "81 01 91 00", "expected a string" },
        { "attributes of two thirds", "81 0a 92 a161 01", "attributes do not come in whole" },
        { "no such type", "81 0a 93 a161 08 01", "unknown type of an attribute" },
        { "type 0", "81 0a 93 a161 00 01", "unknown type of an attribute" },
        { "a text for a bool", "81 0a 93 a161 02 a178", "expected" },
        { "an array of half an element", "81 0a 93 a161 06 91 01", "whole entries" },
        { "a map of half an entry", "81 0a 93 a161 07 92 01 01", "whole entries" },
        { "an id of 15 bytes", "81 0b 91 81 06 c40f 000000000000000000000000000000",
          "a trace id needs exactly 16 bytes" },
        { "an id of 17 bytes", "81 0b 91 81 06 c411 0000000000000000000000000000000000",
          "a trace id needs exactly 16 bytes" },
        { "an integer for an error", "81 0b 91 81 04 91 81 08 01", "expected" },
        { "cut off", "81 0b 91", "msgp: too few bytes left to read object" },
        { "cut off in a text", "81 07 a5 61", "msgp: too few bytes left to read object" },
        { "a million chunks", "81 0b dd000f4240 80", "msgp: too few bytes left to read object" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sonde_buf bytes;
        decoded d = decode_hex(decode_v10, rows[i].hex, &bytes);

        if (d.status == SONDE_OK)
            fail_msg("%s: taken", rows[i].label);
        if (!strstr(d.error.message, rows[i].want))
            fail_msg("%s: said \"%s\"", rows[i].label, d.error.message);
        assert_null(d.p->chunks);
        payload_free(d.p);
        sonde_buf_done(&bytes);
    }
}

static void test_unknown_keys_are_passed_over_everywhere(void **state)
{
    sonde_buf bytes;
    decoded d = decode_hex(decode_v10,
                           "83 18 92 01 80 07 a161"
                           "0b 91 82 18 80"
                           " 04 91 84 04 01 18 c0"
                           "  0b 91 81 18 01"
                           "  0c 91 81 18 a178",
                           &bytes);

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_text(d.p->env, "a");
    assert_int_equal(d.p->chunks[0].spans_len, 1);
    assert_int_equal(d.p->chunks[0].spans[0].links_len, 1);
    assert_int_equal(d.p->chunks[0].spans[0].events_len, 1);
    payload_free(d.p);
    sonde_buf_done(&bytes);
}

/* `levels` arrays in one another around a number. */
static decoded decode_nested(unsigned levels, sonde_buf *b)
{
    sonde_buf_init(b, 1 << 20);
    golden_bytes("81 0a 93 a161", b);
    for (unsigned i = 0; i < levels; i++) {
        sonde_buf_append_byte(b, 6);
        sonde_buf_append_byte(b, 0x92);
    }
    sonde_buf_append_byte(b, 4);
    sonde_buf_append_byte(b, 1);
    return decode_buf(decode_v10, b);
}

static void test_nesting_has_an_end(void **state)
{
    sonde_buf b;
    decoded d = decode_nested(V10_DEPTH_MAX, &b);

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->tags[0].value.len, 2 * V10_DEPTH_MAX + 1);
    payload_free(d.p);
    sonde_buf_done(&b);
    d = decode_nested(V10_DEPTH_MAX + 1, &b);
    assert_status(d.status, SONDE_ERR_SYNTAX);
    assert_non_null(strstr(d.error.message, "nested too deeply"));
    payload_free(d.p);
    sonde_buf_done(&b);
}

static void test_more_texts_than_the_table_takes_are_too_much(void **state)
{
    sonde_buf b;
    decoded d;

    (void)state;
    sonde_buf_init(&b, 8u << 20);
    sonde_buf_append_byte(&b, 0x81);
    sonde_buf_append_byte(&b, 1);
    pack_array32(&b, V10_TEXTS_MAX);
    for (uint32_t i = 0; i < V10_TEXTS_MAX; i++) {
        pack_be(&b, 0xa4, 0x20202020u + (i & 0x3f) + ((i >> 6 & 0x3f) << 8) + ((i >> 12) << 16), 4);
    }
    d = decode_buf(decode_v10, &b);
    assert_status(d.status, SONDE_ERR_TOO_BIG);
    payload_free(d.p);
    sonde_buf_done(&b);
}

static void assert_same_tags(const payload_span *want, const payload_span *got)
{
    for (uint32_t i = 0; i < want->meta_len; i++) {
        const sonde_str *value = span_meta_get(got, want->meta[i].key);

        if (!value || !sonde_str_eq(*value, want->meta[i].value))
            fail_msg("meta %.*s", SONDE_STR_ARG(want->meta[i].key));
    }
    assert_int_equal(want->meta_len, got->meta_len);
    for (uint32_t i = 0; i < got->metrics_len; i++) {
        const double *value = span_metric_get(want, got->metrics[i].key);

        if (!value || *value != got->metrics[i].value)
            fail_msg("metric %.*s", SONDE_STR_ARG(got->metrics[i].key));
    }
}

static void assert_same_span(const payload_span *want, const payload_span *got)
{
    assert_true(sonde_str_eq(want->service, got->service));
    assert_true(sonde_str_eq(want->name, got->name));
    assert_true(sonde_str_eq(want->resource, got->resource));
    assert_true(sonde_str_eq(want->type, got->type));
    assert_true(want->trace_id == got->trace_id && want->span_id == got->span_id &&
                want->parent_id == got->parent_id);
    assert_true(want->start == got->start && want->duration == got->duration);
    assert_int_equal(want->error, got->error);
    assert_same_tags(want, got);
}

/* The priority is the chunk's there and a metric of the root here. */
static void test_the_same_traces_are_the_same_spans_as_over_v04(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sonde_buf old, new;
        decoded want, got;

        sonde_buf_init(&old, 1 << 24);
        sonde_buf_init(&new, 1 << 24);
        trace_body_v04(&old, seed, 20, 1700000000000000000);
        trace_body_v10(&new, seed, 20, 1700000000000000000);
        want = decode_buf(decode_v04, &old);
        got = decode_buf(decode_v10, &new);
        assert_status(want.status, SONDE_OK);
        assert_status(got.status, SONDE_OK);
        assert_int_equal(want.tally.spans, got.tally.spans);
        for (uint32_t i = 0; i < want.p->chunks_len; i++) {
            assert_int_equal(got.p->chunks[i].priority, 1);
            for (uint32_t k = 0; k < want.p->chunks[i].spans_len; k++)
                assert_same_span(&want.p->chunks[i].spans[k], &got.p->chunks[i].spans[k]);
        }
        payload_free(want.p);
        payload_free(got.p);
        sonde_buf_done(&old);
        sonde_buf_done(&new);
    }
}

static void test_of_a_body_that_was_too_large_the_whole_chunks_are_kept(void **state)
{
    (void)state;
    decode_cut_everywhere(decode_v10, "msgpack/v10_one_span.hex", 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_golden_span_is_decoded),
        cmocka_unit_test(test_places_of_their_own_become_the_tags_everybody_knows),
        cmocka_unit_test(test_a_value_goes_where_its_type_belongs),
        cmocka_unit_test(test_the_same_traces_are_the_same_spans_as_over_v04),
        cmocka_unit_test(test_links_and_events_keep_their_attributes),
        cmocka_unit_test(test_texts_are_numbered_as_they_come),
        cmocka_unit_test(test_numbers_hold_while_the_table_grows),
        cmocka_unit_test(test_the_last_of_equal_keys_counts_whatever_its_type),
        cmocka_unit_test(test_beyond_the_ceiling_texts_are_still_numbered),
        cmocka_unit_test(test_the_heads_container_stands_where_the_body_has_none),
        cmocka_unit_test(test_what_cannot_be_is_refused_with_words),
        cmocka_unit_test(test_unknown_keys_are_passed_over_everywhere),
        cmocka_unit_test(test_nesting_has_an_end),
        cmocka_unit_test(test_more_texts_than_the_table_takes_are_too_much),
        cmocka_unit_test(test_of_a_body_that_was_too_large_the_whole_chunks_are_kept),
    };

    return cmocka_run_group_tests_name("decode_v10", tests, NULL, NULL);
}
