/* test_encode_v05.c - bytes by hand from docs/spec/agent-http.md; and that both forms carry the same
 * spans, each read with msgpack-c's unpacker. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include <msgpack.h>

#include "codec/msgpack_write.h"
#include "libtrace/src/encode_v05.h"
#include "support/alloc_fail.h"
#include "support/golden.h"

/* The chunk of agent-http.md, "v0.4". */
static const char one_span[] =
    "91 8c"
    "a7 73657276696365 a1 73  a4 6e616d65 a1 6e  a8 7265736f75726365 a1 6e  a4 74797065 a0"
    "a8 74726163655f6964 01  a7 7370616e5f6964 02  a9 706172656e745f6964 00"
    "a5 7374617274 0a  a8 6475726174696f6e 05  a5 6572726f72 00"
    "a4 6d657461 82  a8 6c616e6775616765 a1 63  a1 61 a1 62"
    "a7 6d657472696373 82  a1 6d cb 3ff0000000000000"
    "b5 5f73616d706c696e675f7072696f726974795f7631 cb 3ff0000000000000";

static void test_a_chunk_is_written_as_in_the_specification(void **state)
{
    sonde_buf chunk, want;
    sonde__v05 v;
    sonde_str got;

    (void)state;
    golden_bytes(one_span, &chunk);
    golden_bytes("92 dd00000009"
                 "a0 a173 a16e a86c616e6775616765 a163 a161 a162 a16d"
                 "b5 5f73616d706c696e675f7072696f726974795f7631"
                 "dd00000002"
                 "91 9c 01 02 02 01 02 00 0a 05 00 82 03 04 05 06"
                 "82 07 cb3ff0000000000000 08 cb3ff0000000000000 00"
                 "91 9c 01 02 02 01 02 00 0a 05 00 82 03 04 05 06"
                 "82 07 cb3ff0000000000000 08 cb3ff0000000000000 00",
                 &want);
    assert_status(sonde__v05_open(&v, 1u << 16), SONDE_OK);
    assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    got = sonde__v05_body(&v, 2);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.data, want.len);
    sonde__v05_reset(&v);
    assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)),
                  SONDE_OK); /* the table is empty again */
    assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    got = sonde__v05_body(&v, 2);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.data, want.len);
    sonde__v05_close(&v);
    sonde_buf_done(&chunk);
    sonde_buf_done(&want);
}

/* -- the same spans ------------------------------------------------------------------------------- */

static void write_text_field(sonde_buf *b, const char *key, const char *value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, sonde_str_from(value));
}

static void write_number_field(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

/* Span `n`, with n texts and n numbers; fields in another order than usual. */
static void write_v04_span(sonde_buf *b, uint32_t n)
{
    char key[64], value[400];
    uint32_t i;

    sonde_mp_write_map(b, 12);
    write_number_field(b, "span_id", UINT64_MAX - n);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, n);
    for (i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i);
        (void)snprintf(value, sizeof(value), "%*u \xc3\xa9", (int)(i * 7), (n + i) % 5);
        write_text_field(b, key, i % 7 ? value : "");
    }
    write_text_field(b, "service", n % 2 ? "web" : "db");
    write_text_field(b, "resource", "GET /");
    write_text_field(b, "name", "request");
    write_text_field(b, "type", n % 3 ? "web" : "");
    write_number_field(b, "trace_id", 1);
    write_number_field(b, "parent_id", n);
    write_number_field(b, "start", UINT64_C(1700000000000000000) + n);
    write_number_field(b, "duration", n * 1000u);
    write_number_field(b, "error", n % 2);
    sonde_mp_write_str(b, SONDE_STR("metrics"));
    sonde_mp_write_map(b, n);
    for (i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i + 2);
        sonde_mp_write_str(b, sonde_str_from(key));
        sonde_mp_write_double(b, i / 3.0);
    }
}

static const msgpack_object *member(const msgpack_object *map, const char *key)
{
    uint32_t i;

    for (i = 0; i < map->via.map.size; i++)
        if (map->via.map.ptr[i].key.via.str.size == strlen(key) &&
            memcmp(map->via.map.ptr[i].key.via.str.ptr, key, strlen(key)) == 0)
            return &map->via.map.ptr[i].val;
    fail_msg("no %s", key);
    return NULL;
}

static const msgpack_object *text_at(const msgpack_object *texts, const msgpack_object *number)
{
    assert_int_equal(number->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
    assert_true(number->via.u64 < texts->via.array.size);
    return &texts->via.array.ptr[number->via.u64];
}

static void assert_same_map(const msgpack_object *v04, const msgpack_object *v05,
                            const msgpack_object *texts)
{
    uint32_t i;

    assert_int_equal(v04->via.map.size, v05->via.map.size);
    for (i = 0; i < v04->via.map.size; i++) {
        const msgpack_object *value = &v05->via.map.ptr[i].val;

        assert_true(msgpack_object_equal(v04->via.map.ptr[i].key,
                                         *text_at(texts, &v05->via.map.ptr[i].key)));
        if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
            value = text_at(texts, value);
        assert_true(msgpack_object_equal(v04->via.map.ptr[i].val, *value));
    }
}

static void assert_same_span(const msgpack_object *v04, const msgpack_object *v05,
                             const msgpack_object *texts)
{
    static const struct {
        const char *key;
        int at;
        bool text;
    } fields[] = { { "service", 0, true },   { "name", 1, true },      { "resource", 2, true },
                   { "trace_id", 3, false }, { "span_id", 4, false },  { "parent_id", 5, false },
                   { "start", 6, false },    { "duration", 7, false }, { "error", 8, false },
                   { "type", 11, true } };
    size_t i;

    assert_int_equal(v05->type, MSGPACK_OBJECT_ARRAY);
    assert_int_equal(v05->via.array.size, 12);
    for (i = 0; i < COUNT_OF(fields); i++) {
        const msgpack_object *value = &v05->via.array.ptr[fields[i].at];

        if (!msgpack_object_equal(*member(v04, fields[i].key),
                                  fields[i].text ? *text_at(texts, value) : *value))
            fail_msg("%s differs", fields[i].key);
    }
    assert_same_map(member(v04, "meta"), &v05->via.array.ptr[9], texts);
    assert_same_map(member(v04, "metrics"), &v05->via.array.ptr[10], texts);
}

static void test_both_forms_carry_the_same_spans(void **state)
{
    msgpack_unpacked v04, v05;
    sonde_buf chunk;
    sonde__v05 v;
    sonde_str body;
    uint32_t i;

    (void)state;
    sonde_buf_init(&chunk, 1u << 20);
    sonde_mp_write_array(&chunk, 40);
    for (i = 0; i < 40; i++)
        write_v04_span(&chunk, i);
    assert_status(sonde__v05_open(&v, 1u << 20), SONDE_OK);
    assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    body = sonde__v05_body(&v, 1);
    assert_true(body.len < chunk.len);
    msgpack_unpacked_init(&v04);
    msgpack_unpacked_init(&v05);
    assert_int_equal(msgpack_unpack_next(&v04, (const char *)chunk.data, chunk.len, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(msgpack_unpack_next(&v05, body.ptr, body.len, NULL), MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(v05.data.via.array.size, 2);
    for (i = 0; i < 40; i++)
        assert_same_span(&v04.data.via.array.ptr[i],
                         &v05.data.via.array.ptr[1].via.array.ptr[0].via.array.ptr[i],
                         &v05.data.via.array.ptr[0]);
    msgpack_unpacked_destroy(&v04);
    msgpack_unpacked_destroy(&v05);
    sonde__v05_close(&v);
    sonde_buf_done(&chunk);
}

static void test_links_become_json(void **state)
{
    static const char want[] =
        "[{\"trace_id\":\"000000000000000000000000000004d2\",\"span_id\":\"000000000000162e\","
        "\"attributes\":{\"k\":\"v\"}},"
        "{\"trace_id\":\"0000000000000001000000000000000f\",\"span_id\":\"0000000000000002\","
        "\"tracestate\":\"dd=s:1\",\"flags\":1}]";
    msgpack_unpacked u;
    sonde_buf chunk;
    sonde__v05 v;
    sonde_str body;
    const msgpack_object *texts, *meta;

    (void)state;
    golden_bytes("91 82 a4 6d657461 81 a1 61 a1 62"
                 "aa 7370616e5f6c696e6b73 92"
                 "83 a8 74726163655f6964 cd04d2 a7 7370616e5f6964 cd162e"
                 "   aa 61747472696275746573 81 a1 6b a1 76"
                 "85 a8 74726163655f6964 0f ad 74726163655f69645f68696768 01 a7 7370616e5f6964 02"
                 "   aa 74726163657374617465 a6 64643d733a31 a5 666c616773 ce80000001",
                 &chunk);
    assert_status(sonde__v05_open(&v, 1u << 16), SONDE_OK);
    assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)), SONDE_OK);
    body = sonde__v05_body(&v, 1);
    msgpack_unpacked_init(&u);
    assert_int_equal(msgpack_unpack_next(&u, body.ptr, body.len, NULL), MSGPACK_UNPACK_SUCCESS);
    texts = &u.data.via.array.ptr[0];
    meta = &u.data.via.array.ptr[1].via.array.ptr[0].via.array.ptr[0].via.array.ptr[9];
    assert_int_equal(meta->via.map.size, 2);
    assert_int_equal(text_at(texts, &meta->via.map.ptr[0].key)->via.str.size, 14);
    assert_int_equal(text_at(texts, &meta->via.map.ptr[0].val)->via.str.size, strlen(want));
    assert_memory_equal(text_at(texts, &meta->via.map.ptr[0].val)->via.str.ptr, want, strlen(want));
    msgpack_unpacked_destroy(&u);
    sonde__v05_close(&v);
    sonde_buf_done(&chunk);
}

/* -- ceilings ------------------------------------------------------------------------------------- */

static void write_wide_span(sonde_buf *b, unsigned first, unsigned count)
{
    char text[32];

    sonde_mp_write_array(b, 1);
    sonde_mp_write_map(b, 1);
    sonde_mp_write_str(b, SONDE_STR("meta"));
    sonde_mp_write_map(b, count);
    for (; count > 0; count--, first++) {
        (void)snprintf(text, sizeof(text), "%u", first);
        write_text_field(b, "k", text);
    }
}

static void test_what_does_not_fit_leaves_the_payload_as_it_was(void **state)
{
    static const struct {
        const char *label;
        size_t max_bytes;
        unsigned texts; /* of each chunk */
    } cases[] = {
        { "texts or table", 1u << 16, 100 },
        { "spans", 1u << 12, 1 },
        { "one chunk", 1u << 12, 10000 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        msgpack_unpacked u;
        sonde_str body;
        sonde__v05 v;
        sonde_buf chunk;
        unsigned n = 0;

        sonde_buf_init(&chunk, 1u << 20);
        assert_status(sonde__v05_open(&v, cases[i].max_bytes), SONDE_OK);
        for (;; n++) {
            sonde_buf_reset(&chunk);
            write_wide_span(&chunk, n * cases[i].texts, cases[i].texts);
            if (sonde__v05_add(&v, sonde_buf_str(&chunk)) != SONDE_OK)
                break;
        }
        assert_in_range(n, cases[i].texts == 10000 ? 0 : 2, 1000);
        assert_status(sonde__v05_add(&v, sonde_buf_str(&chunk)), SONDE_ERR_TOO_BIG);
        body = sonde__v05_body(&v, n);
        assert_in_range(body.len, 1, cases[i].max_bytes / 2);
        msgpack_unpacked_init(&u);
        if (msgpack_unpack_next(&u, body.ptr, body.len, NULL) != MSGPACK_UNPACK_SUCCESS)
            fail_msg("%s", cases[i].label);
        assert_int_equal(u.data.via.array.ptr[1].via.array.size, n);
        assert_in_range(u.data.via.array.ptr[0].via.array.size, 1, 2 + n * cases[i].texts);
        msgpack_unpacked_destroy(&u);
        sonde__v05_close(&v);
        sonde_buf_done(&chunk);
    }
}

static sonde_status encode_once(void *user)
{
    sonde__v05 v;
    sonde_status status = sonde__v05_open(&v, 1u << 20);

    if (status == SONDE_OK)
        status = sonde__v05_add(&v, sonde_buf_str((const sonde_buf *)user));
    if (status == SONDE_OK && sonde__v05_body(&v, 1).len == 0)
        status = SONDE_ERR_NOMEM;
    sonde__v05_close(&v);
    return status;
}

static void test_encoding_survives_every_failing_allocation(void **state)
{
    sonde_buf chunk;
    uint32_t i;

    (void)state;
    sonde_buf_init(&chunk, 1u << 20);
    sonde_mp_write_array(&chunk, 40);
    for (i = 0; i < 40; i++)
        write_v04_span(&chunk, i);
    alloc_fail_each(encode_once, &chunk);
    sonde_buf_done(&chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chunk_is_written_as_in_the_specification),
        cmocka_unit_test(test_both_forms_carry_the_same_spans),
        cmocka_unit_test(test_links_become_json),
        cmocka_unit_test(test_what_does_not_fit_leaves_the_payload_as_it_was),
        cmocka_unit_test(test_encoding_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("encode_v05", tests, NULL, NULL);
}
