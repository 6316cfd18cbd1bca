/* test_hex.c - base/hex.h; base64 vectors from RFC 4648, section 10. */
#include "support/test.h"

#include <string.h>

#include "base/hex.h"

static void test_hex_u64_has_sixteen_lower_case_digits(void **state)
{
    char out[17] = "";

    (void)state;
    sonde_hex_u64(0x00f067aa0ba902b7u, out);
    assert_string_equal(out, "00f067aa0ba902b7");
    sonde_hex_u64(UINT64_MAX, out);
    assert_string_equal(out, "ffffffffffffffff");
}

static void test_hex_bytes_keeps_the_order(void **state)
{
    static const uint8_t in[] = { 0x00, 0x1f, 0xa0, 0xff };
    char out[9] = "";

    (void)state;
    sonde_hex_bytes(in, sizeof(in), out);
    assert_string_equal(out, "001fa0ff");
}

static void test_hex_parse_accepts_one_to_sixteen_digits(void **state)
{
    static const struct {
        const char *label;
        sonde_str in;
        int any_case;
        sonde_status want;
        uint64_t value;
    } cases[] = {
        { "one digit", { "b", 1 }, 0, SONDE_OK, 11 },
        { "sixteen", { "ffffffffffffffff", 16 }, 0, SONDE_OK, UINT64_MAX },
        { "zero-padded", { "00000000000000a1", 16 }, 0, SONDE_OK, 161 },
        { "seventeen", { "0ffffffffffffffff", 17 }, 0, SONDE_ERR_SYNTAX, 0 },
        { "empty", { NULL, 0 }, 1, SONDE_ERR_SYNTAX, 0 },
        { "upper refused", { "A1", 2 }, 0, SONDE_ERR_SYNTAX, 0 },
        { "upper accepted", { "A1f", 3 }, 1, SONDE_OK, 0xa1f },
        { "prefix", { "0x1", 3 }, 1, SONDE_ERR_SYNTAX, 0 },
        { "beyond f", { "1g", 2 }, 1, SONDE_ERR_SYNTAX, 0 },
        { "space", { " 1", 2 }, 1, SONDE_ERR_SYNTAX, 0 },
        { "sign", { "-1", 2 }, 1, SONDE_ERR_SYNTAX, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint64_t v = 0xeeee;
        sonde_status got = sonde_hex_parse_u64(cases[i].in, cases[i].any_case, &v);

        if (got != cases[i].want || v != (got == SONDE_OK ? cases[i].value : 0xeeee))
            fail_msg("%s: got %s, %llx", cases[i].label, sonde_status_name(got),
                     (unsigned long long)v);
    }
}

static void test_base64_pads_every_length(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char out[16] = "";
        size_t len = sonde_base64_encode((const uint8_t *)cases[i][0], strlen(cases[i][0]), out);

        assert_string_equal(out, cases[i][1]);
        assert_int_equal(len, sonde_base64_encode_len(strlen(cases[i][0])));
    }
}

static void test_base64_is_read_with_and_without_padding(void **state)
{
    static const struct {
        const char *label, *in;
        sonde_status want;
        const char *out;
    } cases[] = {
        { "nothing", "", SONDE_OK, "" },
        { "one byte", "Zg==", SONDE_OK, "f" },
        { "two", "Zm8=", SONDE_OK, "fo" },
        { "three", "Zm9v", SONDE_OK, "foo" },
        { "six", "Zm9vYmFy", SONDE_OK, "foobar" },
        { "all kinds of digits", "+//+", SONDE_OK, "\xfb\xff\xfe" },
        { "no padding", "Zm9vYg", SONDE_OK, "foob" },
        { "half the padding", "Zg=", SONDE_ERR_SYNTAX, NULL },
        { "padding within", "Zg==Zg==", SONDE_ERR_SYNTAX, NULL },
        { "only padding", "====", SONDE_ERR_SYNTAX, NULL },
        { "one digit", "Z", SONDE_ERR_SYNTAX, NULL },
        { "line break", "Zm9v\nZm9v", SONDE_ERR_SYNTAX, NULL },
        { "alphabet of addresses", "-__-", SONDE_ERR_SYNTAX, NULL },
        { "bits of no byte", "Zh==", SONDE_ERR_SYNTAX, NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char out[16] = "";
        size_t len = 0;
        sonde_status got = sonde_base64_decode(sonde_str_from(cases[i].in), (uint8_t *)out, &len);

        if (got != cases[i].want || (got == SONDE_OK && strcmp(out, cases[i].out) != 0))
            fail_msg("%s: got %s, \"%s\"", cases[i].label, sonde_status_name(got), out);
        assert_true(len <= sonde_base64_decode_max(strlen(cases[i].in)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex_u64_has_sixteen_lower_case_digits),
        cmocka_unit_test(test_hex_bytes_keeps_the_order),
        cmocka_unit_test(test_hex_parse_accepts_one_to_sixteen_digits),
        cmocka_unit_test(test_base64_pads_every_length),
        cmocka_unit_test(test_base64_is_read_with_and_without_padding),
    };

    return cmocka_run_group_tests_name("hex", tests, NULL, NULL);
}
