/* test_decode_v04.c - v0.4 as tracers really pack it, as loosely as it may come, and as attackers do. */
#include "agent/receiver/decode.h"

#include <stdio.h>
#include <string.h>

#include "agent/receiver/decoder.h"
#include "decode_fixture.h"
#include "pack.h"

static void test_the_golden_span_is_decoded(void **state)
{
    sonde_buf body;
    decoded d;

    (void)state;
    golden_load("msgpack/v04_one_span.hex", &body);
    d = decode_buf(decode_v04, &body);

    assert_is_the_golden_span(&d);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_dd_trace_js_forms_are_decoded(void **state)
{
    const payload_span *s;
    sonde_buf body;
    decoded d;

    (void)state;
    golden_load("msgpack/v04_js.hex", &body);
    d = decode_buf(decode_v04, &body);

    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_text(s->type, "web");
    assert_text(s->resource, "/api/v1/users/:id/orders/:order_id/items");
    assert_true(s->trace_id == 0x0123456789abcdef);
    assert_true(s->span_id == 0xfedcba9876543210);
    assert_int_equal(s->duration, 0xffff);
    assert_true(*span_metric_get(s, SONDE_STR("process_id")) == 1234);
    assert_true(*span_metric_get(s, SONDE_STR("_dd.agent_psr")) == 0.5);
    payload_free(d.p);
    sonde_buf_done(&body);
}

/* One chunk, one span with one field in the encoding of the case. */
static void test_scalars_are_taken_in_every_encoding_allowed(void **state)
{
    static const struct {
        const char *label;
        const char *hex;
        sonde_status status;
        uint64_t trace_id;
        int64_t start;
        int32_t error;
        double metric;
    } cases[] = {
        { "ids as nil", "9191 81 a874726163655f6964 c0", SONDE_OK, 0, 0, 0, 0 },
        { "id as fixint", "9191 81 a874726163655f6964 07", SONDE_OK, 7, 0, 0, 0 },
        { "id as negative int: two's complement", "9191 81 a874726163655f6964 ff", SONDE_OK,
          UINT64_MAX, 0, 0, 0 },
        { "id as int64", "9191 81 a874726163655f6964 d38000000000000000", SONDE_OK,
          0x8000000000000000u, 0, 0, 0 },
        { "id as uint16", "9191 81 a874726163655f6964 cd0102", SONDE_OK, 0x0102, 0, 0, 0 },
        { "id as text", "9191 81 a874726163655f6964 a131", SONDE_ERR_SYNTAX, 0, 0, 0, 0 },
        { "id as double", "9191 81 a874726163655f6964 cb3ff0000000000000", SONDE_ERR_SYNTAX, 0, 0,
          0, 0 },
        { "start as uint64 up to 2^63-1", "9191 81 a57374617274 cf7fffffffffffffff", SONDE_OK, 0,
          INT64_MAX, 0, 0 },
        { "start as uint64 above", "9191 81 a57374617274 cf8000000000000000", SONDE_ERR_SYNTAX, 0,
          0, 0, 0 },
        { "start as negative int64", "9191 81 a57374617274 d3ffffffffffffffff", SONDE_OK, 0, -1, 0,
          0 },
        { "start as uint32", "9191 81 a57374617274 ceffffffff", SONDE_OK, 0, 0xffffffff, 0, 0 },
        { "start as nil", "9191 81 a57374617274 c0", SONDE_OK, 0, 0, 0, 0 },
        { "error as uint64", "9191 81 a56572726f72 cf0000000000000001", SONDE_OK, 0, 0, 1, 0 },
        { "error above int32", "9191 81 a56572726f72 ce80000000", SONDE_ERR_SYNTAX, 0, 0, 0, 0 },
        { "metric as fixint", "9191 81 a76d657472696373 81 a16d 05", SONDE_OK, 0, 0, 0, 5 },
        { "metric as negative fixint", "9191 81 a76d657472696373 81 a16d ff", SONDE_OK, 0, 0, 0,
          -1 },
        { "metric as uint32", "9191 81 a76d657472696373 81 a16d ce00010000", SONDE_OK, 0, 0, 0,
          65536 },
        { "metric as double", "9191 81 a76d657472696373 81 a16d cb3fe0000000000000", SONDE_OK, 0, 0,
          0, 0.5 },
        { "metric as nil", "9191 81 a76d657472696373 81 a16d c0", SONDE_OK, 0, 0, 0, 0 },
        { "metric as float32", "9191 81 a76d657472696373 81 a16d ca3f000000", SONDE_ERR_SYNTAX, 0,
          0, 0, 0 },
        { "metrics as nil", "9191 81 a76d657472696373 c0", SONDE_OK, 0, 0, 0, 0 },
        { "meta as nil", "9191 81 a46d657461 c0", SONDE_OK, 0, 0, 0, 0 },
        { "meta as array", "9191 81 a46d657461 90", SONDE_ERR_SYNTAX, 0, 0, 0, 0 },
        { "unknown keys of any shape",
          "9191 83 a178 9281a1610ac3 a179 d6ff00000000 a874726163655f6964 01", SONDE_OK, 1, 0, 0,
          0 },
        { "the last of two equal keys", "9191 82 a874726163655f6964 01 a874726163655f6964 02",
          SONDE_OK, 2, 0, 0, 0 },
        { "keys as str32", "dd00000001dd00000001 df00000001 db00000008 74726163655f6964 05",
          SONDE_OK, 5, 0, 0, 0 },
        { "keys as bin", "9191 81 c408 74726163655f6964 05", SONDE_OK, 5, 0, 0, 0 },
        { "a nil key is an unknown one", "9191 82 c0 01 a874726163655f6964 05", SONDE_OK, 5, 0, 0,
          0 },
        { "bytes behind the body", "9191 81 a874726163655f6964 05 ffff", SONDE_OK, 5, 0, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf body;
        decoded d = decode_hex(decode_v04, cases[i].hex, &body);
        const payload_span *s;
        const double *metric;

        if (d.status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].label, sonde_status_name(d.status), d.error.message);
        if (d.status == SONDE_OK) {
            s = &d.p->chunks[0].spans[0];
            metric = span_metric_get(s, SONDE_STR("m"));
            if (s->trace_id != cases[i].trace_id || s->start != cases[i].start ||
                s->error != cases[i].error || (metric ? *metric : 0) != cases[i].metric)
                fail_msg("%s: wrong value", cases[i].label);
        }
        payload_free(d.p);
        sonde_buf_done(&body);
    }
}

static void test_texts_are_str_bin_or_nil_and_repaired(void **state)
{
    static const struct {
        const char *label, *hex, *want;
        uint64_t repaired;
    } cases[] = {
        { "fixstr", "9191 81 a773657276696365 a3776562", "web", 0 },
        { "str8", "9191 81 a773657276696365 d903776562", "web", 0 },
        { "str16", "9191 81 a773657276696365 da0003776562", "web", 0 },
        { "str32", "9191 81 a773657276696365 db00000003776562", "web", 0 },
        { "bin8", "9191 81 a773657276696365 c403776562", "web", 0 },
        { "nil", "9191 81 a773657276696365 c0", "", 0 },
        { "UTF-8", "9191 81 a773657276696365 a2c3a9", "\xc3\xa9", 0 },
        { "one bad byte", "9191 81 a773657276696365 a361ff62",
          "a\xef\xbf\xbd"
          "b",
          1 },
        { "a cut sequence", "9191 81 a773657276696365 a361e4b8", "a\xef\xbf\xbd\xef\xbf\xbd", 1 },
        { "a surrogate", "9191 81 a773657276696365 a3eda080",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 1 },
        { "bad in the middle of a long one",
          "9191 81 a773657276696365 b4 61616161616161616161ff616161616161616161",
          "aaaaaaaaaa\xef\xbf\xbd"
          "aaaaaaaaa",
          1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf body;
        decoded d = decode_hex(decode_v04, cases[i].hex, &body);

        if (d.status != SONDE_OK || d.tally.strings_repaired != cases[i].repaired ||
            !sonde_str_eq(d.p->chunks[0].spans[0].service, sonde_str_from(cases[i].want)))
            fail_msg("%s: %s", cases[i].label, d.error.message);
        payload_free(d.p);
        sonde_buf_done(&body);
    }
}

static void test_texts_stay_in_the_body(void **state)
{
    sonde_buf body;
    decoded d;
    const char *at;

    (void)state;
    golden_load("msgpack/v04_one_span.hex", &body);
    d = decode_buf(decode_v04, &body);
    at = d.p->chunks[0].spans[0].service.ptr;

    assert_true(at > (const char *)body.data && at < (const char *)body.data + body.len);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_nil_spans_are_dropped_and_counted(void **state)
{
    sonde_buf body;
    decoded d = decode_hex(decode_v04, "91 93 c0 81a874726163655f696405 c0", &body);

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->chunks[0].spans_len, 1);
    assert_int_equal(d.p->chunks[0].spans[0].trace_id, 5);
    assert_int_equal(d.tally.nil_spans, 2);
    assert_int_equal(d.tally.spans, 1);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_empty_payloads_and_chunks_are_no_error(void **state)
{
    sonde_buf body;
    decoded d = decode_hex(decode_v04, "90", &body);

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->chunks_len, 0);
    payload_free(d.p);
    sonde_buf_done(&body);

    d = decode_hex(decode_v04, "92 90 90", &body);
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->chunks_len, 2);
    assert_int_equal(d.p->chunks[1].spans_len, 0);
    payload_free(d.p);
    sonde_buf_done(&body);
}

/* A span whose meta holds `count` keys, each twice: v<i> first, then w<i>. */
static void pack_repeated_keys(sonde_buf *body, uint32_t count)
{
    pack_array32(body, 1);
    pack_array32(body, 1);
    pack_map32(body, 1);
    pack_str(body, "meta");
    pack_map32(body, 2 * count);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < count; i++) {
            char key[16], value[16];

            (void)snprintf(key, sizeof(key), "key.%u", i);
            (void)snprintf(value, sizeof(value), "%c%u", round ? 'w' : 'v', i);
            pack_str(body, key);
            pack_str32(body, value);
        }
    }
}

static void test_the_last_of_equal_tag_keys_wins_in_small_and_large_maps(void **state)
{
    static const uint32_t counts[] = { 1, 5, 16, 17, 100, 2048 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        sonde_buf body;
        decoded d;
        const payload_span *s;

        sonde_buf_init(&body, 1 << 20);
        pack_repeated_keys(&body, counts[i]);
        d = decode_buf(decode_v04, &body);
        assert_status(d.status, SONDE_OK);
        s = &d.p->chunks[0].spans[0];
        if (s->meta_len != counts[i])
            fail_msg("%u keys: got %u", counts[i], s->meta_len);
        for (uint32_t k = 0; k < s->meta_len; k++) {
            if (s->meta[k].value.ptr[0] != 'w')
                fail_msg("%u keys: entry %u has an older value", counts[i], k);
        }
        payload_free(d.p);
        sonde_buf_done(&body);
    }
}

static void test_tags_beyond_the_ceiling_are_cut_and_counted(void **state)
{
    const uint32_t extra = 10;
    sonde_buf body;
    decoded d;

    (void)state;
    sonde_buf_init(&body, 1 << 20);
    pack_array32(&body, 1);
    pack_array32(&body, 1);
    pack_map32(&body, 2);
    pack_str(&body, "meta");
    pack_map32(&body, SPAN_ENTRIES_MAX + extra);
    for (uint32_t i = 0; i < SPAN_ENTRIES_MAX + extra; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%u", i);
        pack_str(&body, key);
        pack_nil(&body);
    }
    pack_str(&body, "trace_id"); /* what follows is still read */
    pack_u64(&body, 9);
    d = decode_buf(decode_v04, &body);

    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.p->chunks[0].spans[0].meta_len, SPAN_ENTRIES_MAX);
    assert_int_equal(d.p->chunks[0].spans[0].trace_id, 9);
    assert_int_equal(d.tally.tags_cut, extra);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void pack_links_and_events(sonde_buf *b)
{
    pack_array32(b, 1);
    pack_array32(b, 1);
    pack_map32(b, 3);
    pack_str(b, "span_links");
    pack_array32(b, 1);
    pack_map32(b, 7);
    pack_str(b, "trace_id");
    pack_u64(b, 1);
    pack_str(b, "trace_id_high");
    pack_u64(b, 2);
    pack_str(b, "span_id");
    pack_u64(b, 3);
    pack_str(b, "tracestate");
    pack_str(b, "dd=s:1");
    pack_str(b, "flags");
    pack_u64(b, 0x80000001u);
    pack_str(b, "unknown");
    pack_array32(b, 0);
    pack_str(b, "attributes");
    pack_map32(b, 1);
    pack_str(b, "link.name");
    pack_str(b, "job");
    pack_str(b, "span_events");
    pack_array32(b, 1);
    pack_map32(b, 3);
    pack_str(b, "name");
    pack_str(b, "exception");
    pack_str(b, "time_unix_nano");
    pack_u64(b, 1700000000000000000u);
    pack_str(b, "attributes");
    pack_map32(b, 5);
    pack_str(b, "s");
    pack_map32(b, 2);
    pack_str(b, "type");
    pack_u64(b, 0);
    pack_str(b, "string_value");
    pack_str(b, "boom");
    pack_str(b, "b");
    pack_map32(b, 2);
    pack_str(b, "type");
    pack_u64(b, 1);
    pack_str(b, "bool_value");
    sonde_buf_append_byte(b, 0xc3);
    pack_str(b, "i");
    pack_map32(b, 2);
    pack_str(b, "int_value"); /* value before type */
    sonde_buf_append_byte(b, 0xf6);
    pack_str(b, "type");
    pack_u64(b, 2);
    pack_str(b, "d");
    pack_map32(b, 2);
    pack_str(b, "type");
    pack_u64(b, 3);
    pack_str(b, "double_value");
    pack_double(b, 0.25);
    pack_str(b, "a");
    pack_map32(b, 2);
    pack_str(b, "type");
    pack_u64(b, 4);
    pack_str(b, "array_value");
    pack_map32(b, 1);
    pack_str(b, "values");
    pack_array32(b, 2);
    pack_map32(b, 2);
    pack_str(b, "type");
    pack_u64(b, 2);
    pack_str(b, "int_value");
    pack_u64(b, 1);
    pack_map32(b, 2);
    pack_str(b, "type");
    pack_u64(b, 2);
    pack_str(b, "int_value");
    pack_u64(b, 2);
    pack_str(b, "meta_struct");
    pack_map32(b, 1);
    pack_str(b, "appsec");
    pack_bin8(b, "\x81\xa1x\x01");
}

static void test_links_events_and_meta_struct_are_decoded(void **state)
{
    const payload_span *s;
    const span_event *e;
    sonde_buf body;
    decoded d;

    (void)state;
    sonde_buf_init(&body, 1 << 16);
    pack_links_and_events(&body);
    d = decode_buf(decode_v04, &body);

    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_int_equal(s->links_len, 1);
    assert_int_equal(s->links[0].trace_id, 1);
    assert_int_equal(s->links[0].trace_id_high, 2);
    assert_int_equal(s->links[0].span_id, 3);
    assert_text(s->links[0].tracestate, "dd=s:1");
    assert_true(s->links[0].flags == 0x80000001u);
    assert_text(s->links[0].attributes[0].value, "job");

    assert_int_equal(s->events_len, 1);
    e = &s->events[0];
    assert_text(e->name, "exception");
    assert_true(e->time_unix_nano == 1700000000000000000u);
    assert_int_equal(e->attributes_len, 5);
    assert_text(e->attributes[0].value.str, "boom");
    assert_int_equal(e->attributes[1].value.integer, 1);
    assert_int_equal(e->attributes[2].value.integer, -10);
    assert_true(e->attributes[3].value.number == 0.25);
    assert_int_equal(e->attributes[4].value.values_len, 2);
    assert_int_equal(e->attributes[4].value.values[1].integer, 2);

    assert_int_equal(s->meta_struct_len, 1);
    assert_int_equal(s->meta_struct[0].value.len, 4);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_event_attributes_of_later_types_are_left_out(void **state)
{
    /* a: type 9; b: array of an array and of the text "x"; c: true */
    static const char hex[] = "9191 81 ab7370616e5f6576656e7473 91 81 aa61747472696275746573 83"
                              "a161 82 a474797065 09 ac737472696e675f76616c7565 a178"
                              "a162 82 a474797065 04 ab61727261795f76616c7565 81 a676616c756573 92"
                              " 81 a474797065 04  82 a474797065 00 ac737472696e675f76616c7565 a178"
                              "a163 82 a474797065 01 aa626f6f6c5f76616c7565 c3";
    sonde_buf body;
    decoded d = decode_hex(decode_v04, hex, &body);
    const span_event *e;

    (void)state;
    assert_status(d.status, SONDE_OK);
    e = &d.p->chunks[0].spans[0].events[0];
    assert_int_equal(e->attributes_len, 2);
    assert_text(e->attributes[0].key, "b");
    assert_int_equal(e->attributes[0].value.values_len, 1);
    assert_text(e->attributes[0].value.values[0].str, "x");
    assert_text(e->attributes[1].key, "c");
    assert_int_equal(e->attributes[1].value.integer, 1);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_event_attributes_may_have_every_field_and_nil(void **state)
{
    /* a: true, b: 5, each with all fields, the array nil; c: nil; a link and an event that are nil */
    static const char all[] =
        "ac737472696e675f76616c7565 a0 aa626f6f6c5f76616c7565 c3"
        "a9696e745f76616c7565 05 ac646f75626c655f76616c7565 cb0000000000000000"
        "ab61727261795f76616c7565 c0";
    char hex[1024];
    sonde_buf body;
    decoded d;
    const payload_span *s;

    (void)state;
    (void)snprintf(
        hex, sizeof(hex),
        "9191 82 aa7370616e5f6c696e6b73 91c0 ab7370616e5f6576656e7473 92 c0 81"
        "aa61747472696275746573 83 a161 86 a474797065 01 %s a162 86 a474797065 02 %s a163 c0",
        all, all);
    d = decode_hex(decode_v04, hex, &body);
    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_int_equal(s->links_len, 0);
    assert_int_equal(s->events_len, 1);
    assert_int_equal(s->events[0].attributes_len, 3);
    assert_int_equal(s->events[0].attributes[0].value.integer, 1);
    assert_int_equal(s->events[0].attributes[1].value.integer, 5);
    assert_int_equal(s->events[0].attributes[2].value.type, SPAN_ANY_STRING);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_hostile_bodies_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *label, *hex;
        sonde_status status;
        const char *message; /* start of it; NULL: any */
    } cases[] = {
        { "empty", "", SONDE_ERR_SYNTAX, "msgp: too few bytes left" },
        { "not an array", "80", SONDE_ERR_SYNTAX, NULL },
        { "cut in a text", "9191 81 a77365", SONDE_ERR_SYNTAX, "msgp: too few bytes left" },
        { "cut in a long text", "9191 81 dbffffffff 6161616161616161", SONDE_ERR_SYNTAX,
          "msgp: too few" },
        { "cut in a number", "9191 81 a874726163655f6964 cf00", SONDE_ERR_SYNTAX, "msgp: too few" },
        { "four billion chunks", "ddffffffff", SONDE_ERR_SYNTAX, NULL },
        { "four billion spans", "91ddffffffff", SONDE_ERR_SYNTAX, NULL },
        { "four billion tags", "9191 81 a46d657461 dfffffffff", SONDE_ERR_SYNTAX, NULL },
        { "a chunk that is nil", "91c0", SONDE_ERR_SYNTAX, NULL },
        { "an extension where a text is due", "9191 81 a773657276696365 d4 01 00", SONDE_ERR_SYNTAX,
          NULL },
        { "a byte that is nothing", "9191 81 a773657276696365 c1", SONDE_ERR_SYNTAX, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf body;
        decoded d = decode_hex(decode_v04, cases[i].hex, &body);

        if (d.status != cases[i].status || d.p->chunks ||
            (cases[i].message &&
             strncmp(d.error.message, cases[i].message, strlen(cases[i].message))))
            fail_msg("%s: %s, %s", cases[i].label, sonde_status_name(d.status), d.error.message);
        payload_free(d.p);
        sonde_buf_done(&body);
    }
}

static void test_every_cut_of_a_good_body_is_refused(void **state)
{
    sonde_buf body;

    (void)state;
    sonde_buf_init(&body, 1 << 16);
    pack_links_and_events(&body);
    for (size_t len = 0; len < body.len; len++) {
        uint8_t *copy = test_malloc(len + 1); /* so that a sanitizer sees reading on */
        decoded d;

        memcpy(copy, body.data, len);
        d = decode_bytes(decode_v04, copy, len);
        if (d.status != SONDE_ERR_SYNTAX)
            fail_msg("%zu of %zu bytes: %s", len, body.len, sonde_status_name(d.status));
        payload_free(d.p);
        test_free(copy);
    }
    sonde_buf_done(&body);
}

static void test_nesting_is_bounded(void **state)
{
    uint8_t body[4096];
    decoded d;

    (void)state;
    memcpy(body, "\x91\x91\x81\xa1x", 5);
    memset(body + 5, 0x91, sizeof(body) - 5);
    d = decode_bytes(decode_v04, body, sizeof(body));
    assert_status(d.status, SONDE_ERR_SYNTAX);
    payload_free(d.p);
}

static void test_more_than_500000_chunks_are_refused(void **state)
{
    size_t len = 5 + PAYLOAD_ARRAY_MAX + 1;
    uint8_t *body = test_malloc(len);
    decoded d;

    (void)state;
    memcpy(body, "\xdd\x00\x07\xa1\x21", 5); /* 500 001 */
    memset(body + 5, 0x90, len - 5);
    d = decode_bytes(decode_v04, body, len);
    assert_status(d.status, SONDE_ERR_SYNTAX);
    assert_non_null(strstr(d.error.message, "configured reader limit exceeded"));
    payload_free(d.p);
    test_free(body);
}

static void test_a_body_that_would_need_too_much_memory_is_refused(void **state)
{
    payload *p = payload_new(1 << 20);
    size_t len = 5 + 100000;
    uint8_t *body = test_malloc(len);
    decode_tally tally;
    sonde_error error;

    (void)state;
    memcpy(body, "\x91\xdd\x00\x01\x86", 5); /* about 100 000 spans of one byte: 17 MB decoded */
    memset(body + 5, 0x80, len - 5);
    body[5] = 0x9f;
    p->body = (sonde_str){ (const char *)body, len };
    assert_status(decode_v04(p, &tally, &error), SONDE_ERR_TOO_BIG);
    assert_true(p->arena.held_bytes <= 1 << 20);
    payload_free(p);
    test_free(body);
}

static void test_decoding_copes_without_memory(void **state)
{
    sonde_buf body;

    (void)state;
    sonde_buf_init(&body, 1 << 20);
    pack_repeated_keys(&body, 2000); /* needs several blocks */
    decode_without_memory(decode_v04, &body);
    sonde_buf_done(&body);
}

static void test_of_a_body_that_was_too_large_the_whole_chunks_are_kept(void **state)
{
    (void)state;
    decode_cut_everywhere(decode_v04, "msgpack/v04_one_span.hex", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_golden_span_is_decoded),
        cmocka_unit_test(test_dd_trace_js_forms_are_decoded),
        cmocka_unit_test(test_scalars_are_taken_in_every_encoding_allowed),
        cmocka_unit_test(test_texts_are_str_bin_or_nil_and_repaired),
        cmocka_unit_test(test_texts_stay_in_the_body),
        cmocka_unit_test(test_nil_spans_are_dropped_and_counted),
        cmocka_unit_test(test_empty_payloads_and_chunks_are_no_error),
        cmocka_unit_test(test_the_last_of_equal_tag_keys_wins_in_small_and_large_maps),
        cmocka_unit_test(test_tags_beyond_the_ceiling_are_cut_and_counted),
        cmocka_unit_test(test_links_events_and_meta_struct_are_decoded),
        cmocka_unit_test(test_event_attributes_of_later_types_are_left_out),
        cmocka_unit_test(test_event_attributes_may_have_every_field_and_nil),
        cmocka_unit_test(test_hostile_bodies_are_refused_with_a_reason),
        cmocka_unit_test(test_every_cut_of_a_good_body_is_refused),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_more_than_500000_chunks_are_refused),
        cmocka_unit_test(test_a_body_that_would_need_too_much_memory_is_refused),
        cmocka_unit_test(test_decoding_copes_without_memory),
        cmocka_unit_test(test_of_a_body_that_was_too_large_the_whole_chunks_are_kept),
    };

    return cmocka_run_group_tests_name("decode_v04", tests, NULL, NULL);
}
