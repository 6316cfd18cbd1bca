/* test_decode_v05.c - the string table, its indices, and what may not be. */
#include "agent/receiver/decode.h"

#include <string.h>

#include "decode_fixture.h"
#include "pack.h"

static void test_the_golden_span_is_decoded(void **state)
{
    sonde_buf body;
    decoded d;

    (void)state;
    golden_load("msgpack/v05_one_span.hex", &body);
    d = decode_buf(decode_v05, &body);

    assert_is_the_golden_span(&d);
    payload_free(d.p);
    sonde_buf_done(&body);
}

#define DICT    "92 93 a0 a177 a165 "       /* "", "w", "e" */
#define NUMBERS " 01 02 00 01 01 00 "       /* trace, span, parent, start, duration, error */
#define SPAN    "91 91 9c 01 02 00" NUMBERS /* service w, name e, resource "" */

static void test_bodies_are_taken_or_refused_as_the_protocol_says(void **state)
{
    static const struct {
        const char *label, *hex;
        sonde_status status;
        const char *message;
    } cases[] = {
        { "the smallest span", DICT SPAN "80 80 00", SONDE_OK, NULL },
        { "nil maps", DICT SPAN "c0 c0 00", SONDE_OK, NULL },
        { "indices as uint8, uint16, uint32, uint64",
          DICT "91 91 9c cc01 cd0002 ce00000001" NUMBERS "81 cf0000000000000001 00 80 00", SONDE_OK,
          NULL },
        { "no chunks", "92 90 90", SONDE_OK, NULL },
        { "a text as bin", "92 91 c40177 91 91 9c 00 00 00" NUMBERS "80 80 00", SONDE_OK, NULL },
        { "index at the table's end", DICT "91 91 9c 03 00 00" NUMBERS "80 80 00", SONDE_ERR_SYNTAX,
          "dictionary index 3 out of range" },
        { "index far out", DICT "91 91 9c ceffffffff 00 00" NUMBERS "80 80 00", SONDE_ERR_SYNTAX,
          "dictionary index 4294967295 out of range" },
        { "a negative index", DICT "91 91 9c ff 00 00" NUMBERS "80 80 00", SONDE_ERR_SYNTAX,
          "dictionary index" },
        { "meta value out of range", DICT SPAN "81 01 07 80 00", SONDE_ERR_SYNTAX,
          "dictionary index 7 out of range" },
        { "eleven elements", DICT "91 91 9b 01 02 00" NUMBERS "80 80", SONDE_ERR_SYNTAX,
          "encoded span needs exactly 12 elements in array" },
        { "thirteen elements", DICT "91 91 9d 01 02 00" NUMBERS "80 80 00 00", SONDE_ERR_SYNTAX,
          "encoded span needs exactly 12 elements in array" },
        { "a nil span", DICT "91 91 c0", SONDE_ERR_SYNTAX, NULL },
        { "an index that is a text", DICT "91 91 9c a177 00 00" NUMBERS "80 80 00",
          SONDE_ERR_SYNTAX, NULL },
        { "a metric that is float32", DICT SPAN "80 81 01 ca3f000000 00", SONDE_ERR_SYNTAX, NULL },
        { "three parts", "93 90 90 90", SONDE_ERR_SYNTAX, NULL },
        { "four billion texts", "92 ddffffffff", SONDE_ERR_SYNTAX, NULL },
        { "cut after the table", DICT, SONDE_ERR_SYNTAX, "msgp: too few bytes left" },
        { "empty", "", SONDE_ERR_SYNTAX, "msgp: too few bytes left" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf body;
        decoded d = decode_hex(decode_v05, cases[i].hex, &body);

        if (d.status != cases[i].status ||
            (cases[i].message &&
             strncmp(d.error.message, cases[i].message, strlen(cases[i].message))))
            fail_msg("%s: %s, %s", cases[i].label, sonde_status_name(d.status), d.error.message);
        payload_free(d.p);
        sonde_buf_done(&body);
    }
}

static void test_texts_are_repaired_once_in_the_table(void **state)
{
    sonde_buf body;
    decoded d = decode_hex(decode_v05,
                           "92 92 a0 a261ff 91 92 "
                           "9c 01 01 01" NUMBERS "80 80 00 9c 01 01 01" NUMBERS "80 80 00",
                           &body);

    (void)state;
    assert_status(d.status, SONDE_OK);
    assert_int_equal(d.tally.strings_repaired, 1);
    assert_text(d.p->chunks[0].spans[1].resource, "a\xef\xbf\xbd");
    assert_ptr_equal(d.p->chunks[0].spans[0].name.ptr, d.p->chunks[0].spans[1].name.ptr);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_equal_keys_under_two_indices_are_one_tag(void **state)
{
    sonde_buf body;
    decoded d = decode_hex(decode_v05,
                           "92 94 a0 a16b a16b a176 91 91 9c 00 00 00" NUMBERS "82 01 00 02 03 "
                           "82 01 05 02 06 00",
                           &body);
    const payload_span *s;

    (void)state;
    assert_status(d.status, SONDE_OK);
    s = &d.p->chunks[0].spans[0];
    assert_int_equal(s->meta_len, 1);
    assert_text(s->meta[0].value, "v");
    assert_int_equal(s->metrics_len, 1);
    assert_true(s->metrics[0].value == 6);
    payload_free(d.p);
    sonde_buf_done(&body);
}

static void test_every_cut_of_a_good_body_is_refused(void **state)
{
    sonde_buf body;

    (void)state;
    golden_load("msgpack/v05_one_span.hex", &body);
    for (size_t len = 0; len < body.len; len++) {
        uint8_t *copy = test_malloc(len + 1);
        decoded d;

        memcpy(copy, body.data, len);
        d = decode_bytes(decode_v05, copy, len);
        if (d.status != SONDE_ERR_SYNTAX)
            fail_msg("%zu of %zu bytes: %s", len, body.len, sonde_status_name(d.status));
        payload_free(d.p);
        test_free(copy);
    }
    sonde_buf_done(&body);
}

static void test_decoding_copes_without_memory(void **state)
{
    sonde_buf body;

    (void)state;
    sonde_buf_init(&body, 1 << 20);
    sonde_buf_append_byte(&body, 0x92);
    pack_array32(&body, 5000);
    for (int i = 0; i < 5000; i++)
        pack_str(&body, "x");
    pack_array32(&body, 0);
    decode_without_memory(decode_v05, &body);
    sonde_buf_done(&body);
}

static void test_of_a_body_that_was_too_large_the_whole_chunks_are_kept(void **state)
{
    (void)state;
    decode_cut_everywhere(decode_v05, "msgpack/v05_one_span.hex", 58);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_golden_span_is_decoded),
        cmocka_unit_test(test_bodies_are_taken_or_refused_as_the_protocol_says),
        cmocka_unit_test(test_texts_are_repaired_once_in_the_table),
        cmocka_unit_test(test_equal_keys_under_two_indices_are_one_tag),
        cmocka_unit_test(test_every_cut_of_a_good_body_is_refused),
        cmocka_unit_test(test_decoding_copes_without_memory),
        cmocka_unit_test(test_of_a_body_that_was_too_large_the_whole_chunks_are_kept),
    };

    return cmocka_run_group_tests_name("decode_v05", tests, NULL, NULL);
}
