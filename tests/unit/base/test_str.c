/* test_str.c - base/str.h; malformed UTF-8 after the Unicode Standard, table 3-7. */
#include "support/test.h"

#include "base/str.h"

static void test_cut_splits_at_the_first_separator(void **state)
{
    sonde_str rest = SONDE_STR("a,b,,c");

    (void)state;
    assert_true(sonde_str_eq(sonde_str_cut(&rest, ','), SONDE_STR("a")));
    assert_true(sonde_str_eq(sonde_str_cut(&rest, ','), SONDE_STR("b")));
    assert_true(sonde_str_eq(sonde_str_cut(&rest, ','), SONDE_STR("")));
    assert_true(sonde_str_eq(sonde_str_cut(&rest, ','), SONDE_STR("c")));
    assert_int_equal(rest.len, 0);
    assert_int_equal(sonde_str_cut(&rest, ',').len, 0);
    rest = (sonde_str){ NULL, 0 };
    assert_int_equal(sonde_str_cut(&rest, ',').len, 0);
}

static void test_sub_clips_to_the_text(void **state)
{
    sonde_str s = SONDE_STR("abcdef");

    (void)state;
    assert_true(sonde_str_eq(sonde_str_sub(s, 2, 3), SONDE_STR("cde")));
    assert_true(sonde_str_eq(sonde_str_sub(s, 4, 99), SONDE_STR("ef")));
    assert_int_equal(sonde_str_sub(s, 7, 1).len, 0);
    assert_int_equal(sonde_str_sub((sonde_str){ NULL, 0 }, 1, 1).len, 0);
}

static void test_comparisons_cope_with_empty_views(void **state)
{
    sonde_str none = { NULL, 0 };

    (void)state;
    assert_true(sonde_str_eq(none, SONDE_STR("")));
    assert_true(sonde_str_eq(sonde_str_from(NULL), none));
    assert_true(sonde_str_starts(SONDE_STR("_dd.p.dm"), SONDE_STR("_dd.p.")));
    assert_false(sonde_str_starts(SONDE_STR("_dd"), SONDE_STR("_dd.p.")));
    assert_true(sonde_str_starts(none, none));
    assert_true(sonde_str_ends(SONDE_STR("x.sock"), SONDE_STR(".sock")));
    assert_false(sonde_str_ends(SONDE_STR("sock"), SONDE_STR(".sock")));
    assert_true(sonde_str_eq_nocase(SONDE_STR("Content-Type"), SONDE_STR("content-TYPE")));
    assert_false(sonde_str_eq_nocase(SONDE_STR("a["), SONDE_STR("A{"))); /* ASCII letters only */
    assert_true(sonde_str_cmp(SONDE_STR("a"), SONDE_STR("ab")) < 0);
    assert_true(sonde_str_cmp(SONDE_STR("b"), SONDE_STR("ab")) > 0);
    assert_true(sonde_str_cmp(SONDE_STR("\xff"), SONDE_STR("a")) > 0);
    assert_int_equal(sonde_str_cmp(none, SONDE_STR("")), 0);
}

static void test_trim_takes_blanks_from_both_ends(void **state)
{
    (void)state;
    assert_true(sonde_str_eq(sonde_str_trim(SONDE_STR(" \t a b\t ")), SONDE_STR("a b")));
    assert_int_equal(sonde_str_trim(SONDE_STR(" \t ")).len, 0);
    assert_int_equal(sonde_str_trim((sonde_str){ NULL, 0 }).len, 0);
}

static void test_find_gives_the_first_occurrence(void **state)
{
    size_t at = 99;

    (void)state;
    assert_true(sonde_str_find(SONDE_STR("a==b==c"), SONDE_STR("=="), &at));
    assert_int_equal(at, 1);
    assert_true(sonde_str_find((sonde_str){ NULL, 0 }, SONDE_STR(""), &at));
    assert_int_equal(at, 0);
    at = 99;
    assert_false(sonde_str_find(SONDE_STR("ab"), SONDE_STR("abc"), &at));
    assert_false(sonde_str_find(SONDE_STR("abab"), SONDE_STR("bb"), &at));
    assert_int_equal(at, 99);
}

static void test_utf8_is_checked_strictly(void **state)
{
    static const struct {
        const char *label;
        sonde_str in;
        bool valid;
        unsigned rune; /* when it is one valid sequence */
    } cases[] = {
        { "ascii", { "a", 1 }, true, 'a' },
        { "nul", { "\0", 1 }, true, 0 },
        { "two", { "\xc3\xa9", 2 }, true, 0xe9 },
        { "three", { "\xe2\x82\xac", 3 }, true, 0x20ac },
        { "four", { "\xf0\x9f\x98\x80", 4 }, true, 0x1f600 },
        { "last", { "\xf4\x8f\xbf\xbf", 4 }, true, 0x10ffff },
        { "beyond last", { "\xf4\x90\x80\x80", 4 }, false, 0 },
        { "overlong two", { "\xc0\x80", 2 }, false, 0 },
        { "overlong slash", { "\xc1\xaf", 2 }, false, 0 },
        { "overlong three", { "\xe0\x9f\xbf", 3 }, false, 0 },
        { "overlong four", { "\xf0\x8f\xbf\xbf", 4 }, false, 0 },
        { "surrogate", { "\xed\xa0\x80", 3 }, false, 0 },
        { "before surrogates", { "\xed\x9f\xbf", 3 }, true, 0xd7ff },
        { "lone continuation", { "\x80", 1 }, false, 0 },
        { "cut short", { "\xe2\x82", 2 }, false, 0 },
        { "wrong second", { "\xe2\x28\xa1", 3 }, false, 0 },
        { "five bytes", { "\xf8\x88\x80\x80\x80", 5 }, false, 0 },
        { "ff", { "\xff", 1 }, false, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        unsigned rune = 0xdead;
        size_t len = sonde_utf8_decode(cases[i].in, &rune);
        char again[4];

        if (sonde_utf8_valid(cases[i].in) != cases[i].valid || (len != 0) != cases[i].valid ||
            rune != (len ? cases[i].rune : 0xdead))
            fail_msg("%s: length %zu, rune %x", cases[i].label, len, rune);
        if (cases[i].valid) {
            assert_int_equal(sonde_utf8_encode(rune, again), cases[i].in.len);
            assert_memory_equal(again, cases[i].in.ptr, cases[i].in.len);
        }
    }
    assert_true(sonde_utf8_valid((sonde_str){ NULL, 0 }));
    assert_true(sonde_utf8_valid(SONDE_STR("eight by\xc3\xa9te, then some more\xe2\x82\xac")));
    assert_false(sonde_utf8_valid(SONDE_STR("eight by eight \xc3")));
}

static void test_utf8_encodes_no_surrogate_and_nothing_beyond_the_last(void **state)
{
    char out[4];

    (void)state;
    assert_int_equal(sonde_utf8_encode(0xd800, out), 0);
    assert_int_equal(sonde_utf8_encode(0xdfff, out), 0);
    assert_int_equal(sonde_utf8_encode(0x110000, out), 0);
}

static void test_utf8_repair_replaces_every_byte_that_is_none(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "\xc3\xa9\xff!", "\xc3\xa9\xef\xbf\xbd!" },
        { "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char out[16] = "";
        size_t len = sonde_utf8_repair(sonde_str_from(cases[i].in), out);

        if (!sonde_str_eq((sonde_str){ out, len }, sonde_str_from(cases[i].want)) ||
            sonde_utf8_repair(sonde_str_from(cases[i].in), NULL) != len)
            fail_msg("case %zu: \"%.*s\"", i, (int)len, out);
    }
}

static void test_utf8_cut_leaves_no_half_sequence(void **state)
{
    static const struct {
        const char *label;
        sonde_str in;
        size_t max, want;
    } cases[] = {
        { "fits", { "abc", 3 }, 5, 3 },
        { "exact", { "abc", 3 }, 3, 3 },
        { "ascii", { "abcdef", 6 }, 4, 4 },
        { "inside two", { "a\xc3\xa9", 3 }, 2, 1 },
        { "inside four, one in", { "a\xf0\x9f\x98\x80", 5 }, 2, 1 },
        { "inside four, three in", { "a\xf0\x9f\x98\x80", 5 }, 4, 1 },
        { "between", { "\xc3\xa9\xc3\xa9", 4 }, 2, 2 },
        { "not UTF-8", { "\x80\x80\x80\x80\x80\x80", 6 }, 5, 5 },
        { "to nothing", { "\xc3\xa9", 2 }, 1, 0 },
        { "zero", { "abc", 3 }, 0, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        size_t got = sonde_utf8_cut(cases[i].in, cases[i].max);

        if (got != cases[i].want)
            fail_msg("%s: got %zu, want %zu", cases[i].label, got, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_splits_at_the_first_separator),
        cmocka_unit_test(test_sub_clips_to_the_text),
        cmocka_unit_test(test_comparisons_cope_with_empty_views),
        cmocka_unit_test(test_trim_takes_blanks_from_both_ends),
        cmocka_unit_test(test_find_gives_the_first_occurrence),
        cmocka_unit_test(test_utf8_is_checked_strictly),
        cmocka_unit_test(test_utf8_encodes_no_surrogate_and_nothing_beyond_the_last),
        cmocka_unit_test(test_utf8_repair_replaces_every_byte_that_is_none),
        cmocka_unit_test(test_utf8_cut_leaves_no_half_sequence),
    };

    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
