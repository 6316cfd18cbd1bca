/* test_chars.c - digits and classes of characters, each byte in each place. */
#include "support/test.h"

#include <string.h>

#include "libtrace/src/chars.h"

static void test_each_byte_in_each_place_is_judged_as_by_itself(void **state)
{
    int at, c;

    (void)state;
    for (at = 0; at < 19; at++)
        for (c = 0; c < 256; c++) {
            char text[20] = "1111111111111111111";
            sonde_str some = { text, 13 };
            bool is_graphic = c > 0x20 && c <= 0x7e;
            uint64_t v;
            bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

            text[at] = (char)c;
            if (sonde__hex16(text, &v) != (at >= 16 || hex) ||
                sonde__decimal((sonde_str){ text, 19 }, &v) != (c >= '0' && c <= '9') ||
                sonde__printable(some) != (at >= 13 || is_graphic || c == ' ') ||
                sonde__graphic(some) != (at >= 13 || is_graphic) ||
                sonde__graphic(sonde_str_sub(some, 0, 5)) != (at >= 5 || is_graphic))
                fail_msg("byte %d in place %d", c, at);
        }
}

static void test_numbers_of_every_length_are_read(void **state)
{
    const sonde_str digits = { "9876543210123456789", 19 };
    uint64_t want = 0;
    uint64_t v;
    size_t len;

    (void)state;
    for (len = 1; len <= digits.len; len++) {
        want = want * 10 + (uint64_t)(digits.ptr[len - 1] - '0');
        assert_true(sonde__decimal(sonde_str_sub(digits, 0, len), &v));
        assert_int_equal(v, want);
    }
}

static void test_ids_are_read_as_the_table_says(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "7", true, 7 },
        { "12345678", true, 12345678 },
        { "123456789", true, 123456789 },
        { "1234567890123456", true, UINT64_C(1234567890123456) },
        { "00000000000000000001", true, 1 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999", false, 0 },
        { "000000000000000000001", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
    };
    uint64_t v;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (sonde__decimal(sonde_str_from(cases[i].in), &v) != cases[i].ok ||
            (cases[i].ok && v != cases[i].value))
            fail_msg("%s", cases[i].in);
    assert_true(sonde__hex16("0123456789abcdef", &v));
    assert_int_equal(v, UINT64_C(0x0123456789abcdef));
    assert_false(sonde__hex16("0123456789abcdeF", &v));
    assert_int_equal(v, UINT64_C(0x0123456789abcdef));
}

static void test_two_hex_digits_are_read_in_lower_case_only(void **state)
{
    int high, low;

    (void)state;
    for (high = 0; high < 256; high++)
        for (low = 0; low < 256; low++) {
            const char text[2] = { (char)high, (char)low };
            const char *digits = "0123456789abcdef";
            const char *h = high ? strchr(digits, high) : NULL;
            const char *l = low ? strchr(digits, low) : NULL;
            unsigned v;

            if (sonde__hex2(text, &v) != (h && l) ||
                (h && l && v != (h - digits) * 16u + (l - digits)))
                fail_msg("%02x %02x", (unsigned)high, (unsigned)low);
        }
}

static void test_priorities_are_read_as_the_table_says(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        int value;
    } cases[] = {
        { "0", true, 0 },
        { "2", true, 2 },
        { "-1", true, -1 },
        { "127", true, 127 },
        { "128", false, 0 },
        { "-128", true, -128 },
        { "-129", false, 0 },
        { "", false, 0 },
        { "x", false, 0 },
        { "/", false, 0 },
        { ":", false, 0 },
        { "1 ", false, 0 },
        { "9223372036854775808", false, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        int v = 99;

        if (sonde__priority_of(sonde_str_from(cases[i].in), &v) != cases[i].ok ||
            v != cases[i].value)
            fail_msg("%s: %d", cases[i].in, v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_byte_in_each_place_is_judged_as_by_itself),
        cmocka_unit_test(test_numbers_of_every_length_are_read),
        cmocka_unit_test(test_ids_are_read_as_the_table_says),
        cmocka_unit_test(test_two_hex_digits_are_read_in_lower_case_only),
        cmocka_unit_test(test_priorities_are_read_as_the_table_says),
    };

    return cmocka_run_group_tests_name("chars", tests, NULL, NULL);
}
