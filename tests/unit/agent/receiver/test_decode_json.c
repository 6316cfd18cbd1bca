/* test_decode_json.c - traces as JSON: the same span, null, unknown keys, limits. */
#include "agent/receiver/decode.h"

#include <stdio.h>
#include <string.h>

#include "decode_fixture.h"

static decoded decode_text_body(const char *json)
{
    return decode_bytes(decode_json, json, strlen(json));
}

static const char golden_span[] =
    "[[{\"service\":\"web\",\"name\":\"http.request\",\"resource\":\"GET /\",\"trace_id\":258,"
    "\"span_id\":772,\"parent_id\":0,\"start\":1700000000000000000,\"duration\":1500000,\"error\":"
    "0,"
    "\"meta\":{\"env\":\"prod\"},\"metrics\":{\"_sampling_priority_v1\":1}}]]";

static void test_the_golden_span_is_decoded(void **state)
{
    decoded d = decode_text_body(golden_span);

    (void)state;
    assert_is_the_golden_span(&d);
    payload_free(d.p);
}

static void test_bodies_are_taken_or_refused(void **state)
{
    static const struct {
        const char *label, *json;
        sonde_status status;
    } cases[] = {
        { "no traces", "[]", SONDE_OK },
        { "null", "null", SONDE_OK },
        { "an empty trace", "[[]]", SONDE_OK },
        { "a null trace and a null span", "[null,[null,{}]]", SONDE_OK },
        { "null fields",
          "[[{\"service\":null,\"trace_id\":null,\"meta\":null,\"metrics\":null,"
          "\"span_links\":null,\"span_events\":null,\"error\":null,\"start\":null}]]",
          SONDE_OK },
        { "unknown keys of any shape",
          "[[{\"x\":[1,{\"y\":[]}],\"z\":1e9,\"meta_struct\":{\"a\":\"b\"}}]]", SONDE_OK },
        { "the largest id", "[[{\"trace_id\":18446744073709551615}]]", SONDE_OK },
        { "text behind the array", "[[]] trailing", SONDE_OK },
        { "an id above 64 bits", "[[{\"trace_id\":18446744073709551616}]]", SONDE_ERR_SYNTAX },
        { "an id as text", "[[{\"trace_id\":\"1\"}]]", SONDE_ERR_SYNTAX },
        { "a negative id", "[[{\"trace_id\":-1}]]", SONDE_ERR_SYNTAX },
        { "an id with a fraction", "[[{\"trace_id\":1.5}]]", SONDE_ERR_SYNTAX },
        { "an error above int32", "[[{\"error\":2147483648}]]", SONDE_ERR_SYNTAX },
        { "a number as service", "[[{\"service\":1}]]", SONDE_ERR_SYNTAX },
        { "a text as metric", "[[{\"metrics\":{\"a\":\"1\"}}]]", SONDE_ERR_SYNTAX },
        { "an object at the top", "{}", SONDE_ERR_SYNTAX },
        { "a span that is a number", "[[1]]", SONDE_ERR_SYNTAX },
        { "not JSON", "hello", SONDE_ERR_SYNTAX },
        { "empty", "", SONDE_ERR_EOF },
        { "cut off", "[[{\"service\":\"we", SONDE_ERR_EOF },
        { "cut off between spans", "[[{},", SONDE_ERR_EOF },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        decoded d = decode_text_body(cases[i].json);

        if (d.status != cases[i].status)
            fail_msg("%s: %s, %s", cases[i].label, sonde_status_name(d.status), d.error.message);
        if (d.status == SONDE_ERR_EOF)
            assert_string_equal(d.error.message, "unexpected-eof");
        payload_free(d.p);
    }
}

static void test_escapes_and_bad_bytes_become_text(void **state)
{
    decoded d = decode_text_body(
        "[[{\"service\":\"a\\u00e9\\n\",\"name\":\"b\xff\",\"meta\":{\"k\\u0031\":\"v\\t\","
        "\"k1\":\"last\"}}]]");
    const payload_span *s;

    (void)state;
    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_text(s->service, "a\xc3\xa9\n");
    assert_text(s->name, "b\xef\xbf\xbd");
    assert_int_equal(s->meta_len, 1);
    assert_text(*span_meta_get(s, SONDE_STR("k1")), "last");
    assert_int_equal(d.tally.strings_repaired, 1);
    payload_free(d.p);
}

static void test_event_attributes_of_later_types_are_left_out(void **state)
{
    decoded d = decode_text_body(
        "[[{\"span_events\":[{\"attributes\":{\"a\":{\"type\":5,\"string_value\":\"x\"},"
        "\"t\":{\"type\":1,\"bool_value\":true,\"int_value\":0},"
        "\"b\":{\"type\":4,\"array_value\":{\"values\":[{\"type\":4},"
        "{\"type\":2,\"int_value\":7}]}}}}]}]]");
    const span_event *e;

    (void)state;
    assert_status(d.status, SONDE_OK);
    e = &d.p->chunks[0].spans[0].events[0];
    assert_int_equal(e->attributes_len, 2);
    assert_int_equal(e->attributes[0].value.integer, 1);
    assert_text(e->attributes[1].key, "b");
    assert_int_equal(e->attributes[1].value.values_len, 1);
    assert_int_equal(e->attributes[1].value.values[0].integer, 7);
    payload_free(d.p);
}

static void test_links_and_events_are_decoded(void **state)
{
    decoded d = decode_text_body(
        "[[{\"span_links\":[{\"trace_id\":1,\"trace_id_high\":2,\"span_id\":3,\"tracestate\":\"a="
        "b\","
        "\"flags\":2147483649,\"attributes\":{\"k\":\"v\"}},null],"
        "\"span_events\":[{\"time_unix_nano\":5,\"name\":\"e\",\"attributes\":{"
        "\"s\":{\"type\":0,\"string_value\":\"x\"},\"b\":{\"type\":1,\"bool_value\":true},"
        "\"d\":{\"type\":3,\"double_value\":0.5},"
        "\"a\":{\"type\":4,\"array_value\":{\"values\":[{\"type\":2,\"int_value\":7}]}}}}]}]]");
    const payload_span *s;

    (void)state;
    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_int_equal(s->links_len, 1);
    assert_int_equal(s->links[0].trace_id_high, 2);
    assert_true(s->links[0].flags == 2147483649u);
    assert_int_equal(s->events_len, 1);
    assert_int_equal(s->events[0].attributes_len, 4);
    assert_int_equal(s->events[0].attributes[1].value.integer, 1);
    assert_true(s->events[0].attributes[2].value.number == 0.5);
    assert_int_equal(s->events[0].attributes[3].value.values[0].integer, 7);
    payload_free(d.p);
}

/* A span of `count` tags, each twice. */
static void write_many_tags(sonde_buf *out, uint32_t count)
{
    sonde_buf_printf(out, "{\"meta\":{");
    for (uint32_t i = 0; i < 2 * count; i++)
        sonde_buf_printf(out, "%s\"key%u\":\"%s\"", i ? "," : "", i % count,
                         i < count ? "old" : "new");
    sonde_buf_printf(out, "},\"trace_id\":9}");
}

static void test_large_maps_keep_the_last_value_and_the_ceiling(void **state)
{
    static const struct {
        uint32_t count, kept;
    } cases[] = { { 3, 3 }, { 33, 33 }, { 1000, 1000 }, { SPAN_ENTRIES_MAX, SPAN_ENTRIES_MAX } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf body;
        decoded d;
        const payload_span *s;

        sonde_buf_init(&body, 1 << 20);
        sonde_buf_printf(&body, "[[");
        write_many_tags(&body, cases[i].count);
        sonde_buf_printf(&body, "]]");
        d = decode_bytes(decode_json, body.data, body.len);
        assert_status(d.status, SONDE_OK);
        s = &d.p->chunks[0].spans[0];
        assert_int_equal(s->trace_id, 9);
        assert_int_equal(s->meta_len, cases[i].kept);
        if (cases[i].count < SPAN_ENTRIES_MAX)
            assert_text(*span_meta_get(s, SONDE_STR("key0")), "new");
        else
            assert_int_equal(d.tally.tags_cut, cases[i].count);
        payload_free(d.p);
        sonde_buf_done(&body);
    }
}

static void test_nesting_is_bounded(void **state)
{
    char body[4096];
    decoded d;

    (void)state;
    memset(body, '[', sizeof(body));
    memcpy(body, "[[{\"x\":", 7);
    d = decode_bytes(decode_json, body, sizeof(body));
    assert_status(d.status, SONDE_ERR_SYNTAX);
    payload_free(d.p);
}

static void test_decoding_copes_without_memory(void **state)
{
    sonde_buf body;

    (void)state;
    sonde_buf_init(&body, 1 << 20);
    sonde_buf_printf(&body, "[[{\"service\":\"\\u0041\"},");
    write_many_tags(&body, 1000);
    sonde_buf_printf(&body, "]]");
    decode_without_memory(decode_json, &body);
    sonde_buf_done(&body);
}

static void test_a_flat_list_becomes_a_chunk_for_each_trace(void **state)
{
    static const char body[] =
        "[{\"trace_id\":9,\"span_id\":1},{\"trace_id\":4,\"span_id\":2},null,"
        "{\"trace_id\":9,\"span_id\":3},{\"trace_id\":4,\"span_id\":4}]";
    static const uint64_t want[2][2] = { { 2, 4 }, { 1, 3 } };
    const sonde_buf buf = { .data = (uint8_t *)(uintptr_t)body, .len = sizeof(body) - 1 };
    decoded d = decode_bytes(decode_json_flat, body, sizeof(body) - 1);

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.tally.spans, 4);
    assert_int_equal(d.p->chunks_len, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(d.p->chunks[i].priority, PRIORITY_NONE);
        assert_int_equal(d.p->chunks[i].spans_len, 2);
        for (int k = 0; k < 2; k++)
            assert_int_equal(d.p->chunks[i].spans[k].span_id, want[i][k]);
    }
    payload_free(d.p);
    decode_without_memory(decode_json_flat, &buf);
}

static void test_a_flat_list_may_be_empty_but_must_be_one(void **state)
{
    static const struct {
        const char *body;
        sonde_status want;
    } rows[] = { { "[]", SONDE_OK },          { "null", SONDE_OK },    { "[null]", SONDE_OK },
                 { "", SONDE_ERR_EOF },       { "[{", SONDE_ERR_EOF }, { "{}", SONDE_ERR_SYNTAX },
                 { "[[]]", SONDE_ERR_SYNTAX } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        decoded d = decode_bytes(decode_json_flat, rows[i].body, strlen(rows[i].body));

        assert_status(d.status, rows[i].want);
        assert_int_equal(d.p->chunks_len, 0);
        payload_free(d.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flat_list_becomes_a_chunk_for_each_trace),
        cmocka_unit_test(test_a_flat_list_may_be_empty_but_must_be_one),
        cmocka_unit_test(test_the_golden_span_is_decoded),
        cmocka_unit_test(test_bodies_are_taken_or_refused),
        cmocka_unit_test(test_escapes_and_bad_bytes_become_text),
        cmocka_unit_test(test_event_attributes_of_later_types_are_left_out),
        cmocka_unit_test(test_links_and_events_are_decoded),
        cmocka_unit_test(test_large_maps_keep_the_last_value_and_the_ceiling),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_decoding_copes_without_memory),
    };

    return cmocka_run_group_tests_name("decode_json", tests, NULL, NULL);
}
