/* test_encode_v04.c - the bytes of a chunk, written by hand from docs/spec/agent-http.md. */
#include "support/test.h"

#include <string.h>

#include "libtrace/src/attributes.h"
#include "libtrace/src/encode_v04.h"
#include "support/alloc_fail.h"
#include "support/golden.h"

static const char runtime_id[] = "00000000-0000-4000-8000-000000000000";

/* A chunk of one span as in the specification's example, first of its chunk but no local root. */
static sonde__span *make_span(sonde__cell_stack *cells)
{
    sonde__segment *s = sonde__segment_new(cells, 1);
    sonde__span *span = (sonde__span *)sonde__cell_take(cells);
    double one = 1;

    s->trace_id_low = 1;
    s->mono_to_unix_ns = 0;
    atomic_store(&s->decision, sonde__decision_make(SONDE__AUTO_KEEP, SONDE__BY_DEFAULT, 1, 0));
    span->next = NULL;
    span->parent_id = 0;
    span->service = span->parent_service = 0;
    span->flags = span->active = 0;
    span->epoch = 1;
    span->segment = s;
    span->id = 2;
    span->start_mono_ns = 10;
    span->duration_ns = 5;
    sonde__text_init(&span->text, span, SONDE__SPAN_BYTES);
    assert_true(
        sonde__text_add(&span->text, cells, SONDE__TEXT_NAME, SONDE_STR(""), SONDE_STR("n")));
    assert_true(
        sonde__text_add(&span->text, cells, SONDE__TEXT_STR, SONDE_STR("a"), SONDE_STR("b")));
    assert_true(sonde__text_add(&span->text, cells, SONDE__TEXT_NUMBER, SONDE_STR("m"),
                                (sonde_str){ (const char *)&one, sizeof(one) }));
    return span;
}

static sonde__span *make_chunk(sonde__cell_stack *cells)
{
    sonde__span *span = make_span(cells);

    span->text.chunk_len = 1;
    return span;
}

static void test_a_chunk_is_written_as_in_the_specification(void **state)
{
    static sonde__encoder e;
    static const sonde__config config = { .service = { "s", 1 }, .language = { "c", 1 } };
    sonde__cell_stack cells = { .len = 0 };
    sonde__span *chunk = make_chunk(&cells);
    sonde_buf want;
    sonde_str got;

    (void)state;
    golden_bytes(
        "dd00000001 91 8c"
        "a7 73657276696365 a1 73  a4 6e616d65 a1 6e  a8 7265736f75726365 a1 6e  a4 74797065 a0"
        "a8 74726163655f6964 01  a7 7370616e5f6964 02  a9 706172656e745f6964 00"
        "a5 7374617274 0a  a8 6475726174696f6e 05  a5 6572726f72 00"
        "a4 6d657461 83  a8 6c616e6775616765 a1 63  a1 61 a1 62  a8 5f64642e702e646d a2 2d30"
        "a7 6d657472696373 82  a1 6d cb 3ff0000000000000"
        "b5 5f73616d706c696e675f7072696f726974795f7631 cb 3ff0000000000000",
        &want);
    assert_status(sonde__encoder_open(&e, &config, runtime_id, 1u << 20), SONDE_OK);
    assert_status(sonde__encode_chunk(&e, chunk), SONDE_OK);
    got = sonde__encoder_body(&e);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.data, want.len);
    sonde_buf_done(&want);
    sonde__encoder_close(&e);
    sonde__chunk_free(chunk, &cells);
    sonde__cells_give_all(&cells);
}

static void pack_attributes(sonde__packer *p, const void *attributes)
{
    uint32_t dropped;

    sonde__typed_pack(p, (const sonde__attributes *)attributes,
                      sonde__typed_count((const sonde__attributes *)attributes, &dropped));
}

static void test_an_agent_that_knows_events_gets_typed_values(void **state)
{
    static sonde__encoder e;
    static const sonde__config config = { .service = { "s", 1 }, .language = { "c", 1 } };
    const sonde_value list[] = { sonde_value_int(1), sonde_value_int(-1) };
    const sonde_attribute a[] = { sonde_attr_str("s", "x"), sonde_attr_bool("b", 1),
                                  sonde_attr_int("i", 300), sonde_attr_double("d", 1),
                                  sonde_attr_array("l", list, 2) };
    const sonde__attributes attributes = { a, 5 };
    sonde__cell_stack cells = { .len = 0 };
    sonde__span *chunk = make_span(&cells);
    sonde_buf want;
    sonde_str got;

    (void)state;
    golden_bytes("ab 7370616e5f6576656e7473 91 85"
                 "a1 73 82 a4 74797065 00 ac 737472696e675f76616c7565 a1 78"
                 "a1 62 82 a4 74797065 01 aa 626f6f6c5f76616c7565 c3"
                 "a1 69 82 a4 74797065 02 a9 696e745f76616c7565 cd 012c"
                 "a1 64 82 a4 74797065 03 ac 646f75626c655f76616c7565 cb 3ff0000000000000"
                 "a1 6c 82 a4 74797065 04 ab 61727261795f76616c7565 81 a6 76616c756573 92"
                 "   82 a4 74797065 02 a9 696e745f76616c7565 01"
                 "   82 a4 74797065 02 a9 696e745f76616c7565 ff",
                 &want);
    assert_true(
        sonde__text_pack(&chunk->text, &cells, SONDE__TEXT_EVENT, pack_attributes, &attributes));
    chunk->text.chunk_len = 1;
    assert_status(sonde__encoder_open(&e, &config, runtime_id, 1u << 20), SONDE_OK);
    e.native_events = true;
    assert_status(sonde__encode_chunk(&e, chunk), SONDE_OK);
    got = sonde__encoder_body(&e);
    assert_int_equal((uint8_t)got.ptr[6], 0x8d);
    assert_true(got.len > want.len);
    assert_memory_equal(got.ptr + got.len - want.len, want.data, want.len);
    sonde_buf_done(&want);
    sonde__encoder_close(&e);
    sonde__chunk_free(chunk, &cells);
    sonde__cells_give_all(&cells);
}

static void test_a_chunk_that_does_not_fit_leaves_the_payload_as_it_was(void **state)
{
    static sonde__encoder e;
    static const sonde__config config = { .service = { "s", 1 }, .language = { "c", 1 } };
    sonde__cell_stack cells = { .len = 0 };
    sonde__span *chunk = make_chunk(&cells);
    size_t len;
    int fitted = 0;

    (void)state;
    assert_status(sonde__encoder_open(&e, &config, runtime_id, 2000), SONDE_OK);
    while (sonde__encode_chunk(&e, chunk) == SONDE_OK)
        fitted++;
    assert_in_range(fitted, 1, 20);
    len = e.payload.len;
    assert_status(sonde__encode_chunk(&e, chunk), SONDE_ERR_TOO_BIG);
    assert_int_equal(e.payload.len, len);
    assert_int_equal(e.chunks, fitted);
    sonde__encoder_reset(&e);
    assert_status(sonde__encode_chunk(&e, chunk), SONDE_OK);
    sonde__encoder_close(&e);
    sonde__chunk_free(chunk, &cells);
    sonde__cells_give_all(&cells);
}

static sonde_status encode_once(void *user)
{
    static sonde__encoder e;
    static const sonde__config config = { .service = { "s", 1 }, .language = { "c", 1 } };
    sonde_status status = sonde__encoder_open(&e, &config, runtime_id, 1u << 20);

    if (status == SONDE_OK)
        status = sonde__encode_chunk(&e, (sonde__span *)user);
    sonde__encoder_close(&e);
    return status;
}

static void test_encoding_survives_every_failing_allocation(void **state)
{
    sonde__cell_stack cells = { .len = 0 };
    sonde__span *chunk = make_chunk(&cells);

    (void)state;
    alloc_fail_each(encode_once, chunk);
    sonde__chunk_free(chunk, &cells);
    sonde__cells_give_all(&cells);
}

static void test_links_and_events_survive_every_failing_allocation(void **state)
{
    static const uint8_t link[] = "\x82\xa8trace_id\x01\xa7span_id\x02";
    static const uint8_t event[] = "\x82\xa4name\xa1"
                                   "e\xaetime_unix_nano\x07";
    sonde__cell_stack cells = { .len = 0 };
    sonde__span *chunk = make_span(&cells);

    (void)state;
    assert_true(sonde__text_add(&chunk->text, &cells, SONDE__TEXT_LINK, SONDE_STR(""),
                                (sonde_str){ (const char *)link, sizeof(link) - 1 }));
    assert_true(sonde__text_add(&chunk->text, &cells, SONDE__TEXT_EVENT, SONDE_STR(""),
                                (sonde_str){ (const char *)event, sizeof(event) - 1 }));
    chunk->text.chunk_len = 1;
    alloc_fail_each(encode_once, chunk);
    sonde__chunk_free(chunk, &cells);
    sonde__cells_give_all(&cells);
}

static int open_parts(void **state)
{
    (void)state;
    if (sonde__services_open(SONDE_STR("s"), SONDE_STR("")) != SONDE_OK)
        return -1;
    return sonde__cells_open(1u << 20) == SONDE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chunk_is_written_as_in_the_specification),
        cmocka_unit_test(test_an_agent_that_knows_events_gets_typed_values),
        cmocka_unit_test(test_links_and_events_survive_every_failing_allocation),
        cmocka_unit_test(test_a_chunk_that_does_not_fit_leaves_the_payload_as_it_was),
        cmocka_unit_test(test_encoding_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("encode_v04", tests, open_parts, NULL);
}
