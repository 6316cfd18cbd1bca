/* test_normalize.c - the tables of docs/spec/normalization.md, and what holds for any text. */
#include "agent/payload/normalize.h"

#include <string.h>

#include "agent/payload/unicode.h"
#include "base/rng.h"
#include "support/test.h"

typedef sonde_status (*rule)(sonde_arena *arena, sonde_str in, sonde_str *out);

typedef struct text_case {
    const char *in;
    const char *want;
} text_case;

static void expect(rule apply, const text_case *cases, size_t len)
{
    sonde_arena arena;

    sonde_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < len; i++) {
        sonde_str got;

        assert_status(apply(&arena, sonde_str_from(cases[i].in), &got), SONDE_OK);
        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("\"%s\": got \"%.*s\", want \"%s\"", cases[i].in, SONDE_STR_ARG(got),
                     cases[i].want);
    }
    sonde_arena_done(&arena);
}

static void test_tag_value_follows_the_table(void **state)
{
    static const text_case cases[] = {
        { "Web Store", "web_store" },
        { "  padded  ", "_padded" },
        { "12345", "12345" },
        { "_leading", "_leading" },
        { "trailing_", "trailing" },
        { "a!!!b", "a_b" },
        { "\xc3\x80\xc3\x89 Caf\xc3\xa9", "\xc3\xa0\xc3\xa9_caf\xc3\xa9" },
        { "env#1", "env_1" },
        { "-dash", "-dash" },
        { "test\xf0\x9f\x8d\xa3\xf0\x9f\x8d\xa3", "test" },
        { "***", "" },
        { "", "" },
        { "a__b", "a_b" },
        { "key:Value/x.y-z", "key:value/x.y-z" },
        { "\xd0\x96\xd0\xa3\xd0\x9a", "\xd0\xb6\xd1\x83\xd0\xba" }, /* Cyrillic capitals */
        { "\xc4\xb0x", "\xc4\xb0x" }, /* I with dot: lower is shorter */
        { "\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe6\x96\x87" }, /* letters without case */
        { "a\xd9\xa3"
          "b",
          "a\xd9\xa3"
          "b" }, /* Arabic digit three */
        { "a\xff"
          "b",
          "a_b" }, /* not UTF-8 */
    };

    (void)state;
    expect(normalize_tag_value, cases, COUNT_OF(cases));
}

static void test_tag_drops_what_comes_before_the_first_letter(void **state)
{
    static const text_case cases[] = {
        { "Web Store", "web_store" },
        { "  padded  ", "padded" },
        { "12345", "" },
        { "_leading", "leading" },
        { "trailing_", "trailing" },
        { "a!!!b", "a_b" },
        { "env#1", "env_1" },
        { "-dash", "dash" },
        { ":colon", ":colon" },
        { "***", "" },
        { "\xc3\x80\xc3\x89 Caf\xc3\xa9", "\xc3\xa0\xc3\xa9_caf\xc3\xa9" },
    };

    (void)state;
    expect(normalize_tag, cases, COUNT_OF(cases));
}

static void test_name_follows_the_table(void **state)
{
    static const text_case cases[] = {
        { "HTTP Request", "HTTP_Request" },
        { "a_.b", "a.b" },
        { "123abc", "abc" },
        { "a._b", "a._b" }, /* passes the quick check */
        { "web.request!", "web.request" },
        { "a..b", "a..b" },
        { "Foo::Bar#baz", "Foo_Bar_baz" },
        { "caf\xc3\xa9.op", "caf.op" },
        { "a__b", "a_b" },
        { "---", "" },
        { "", "" },
        { "a._b!", "a.b" }, /* the slow path differs from the quick check */
        { "x_", "x" },
        { "1a._b_", "a._b" }, /* it does not ask what is left out at either end */
        { "a._b__", "a.b" },
    };

    (void)state;
    expect(normalize_name, cases, COUNT_OF(cases));
}

static void test_tag_value_stops_after_200_runes_or_400_bytes(void **state)
{
    static const struct {
        const char *label;
        const char *unit;
        size_t count;
        size_t want_bytes;
    } cases[] = {
        { "205 letters", "a", 205, 200 },
        { "200 letters", "a", 200, 200 },
        { "201 two-byte letters", "\xc3\xa9", 201, 400 },
        { "three-byte letters", "\xe4\xb8\xad", 200,
          402 }, /* the one that reaches byte 400 counts */
        { "300 capitals", "A", 300, 200 },
    };
    sonde_arena arena;

    (void)state;
    sonde_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char in[2048];
        size_t unit = strlen(cases[i].unit);
        sonde_str got;

        for (size_t k = 0; k < cases[i].count; k++)
            memcpy(in + k * unit, cases[i].unit, unit);
        assert_status(normalize_tag_value(&arena, (sonde_str){ in, cases[i].count * unit }, &got),
                      SONDE_OK);
        if (got.len != cases[i].want_bytes)
            fail_msg("%s: %zu bytes, want %zu", cases[i].label, got.len, cases[i].want_bytes);
    }
    sonde_arena_done(&arena);
}

static void test_clean_text_comes_back_as_it_went_in(void **state)
{
    const sonde_str service = SONDE_STR("orders-service"), name = SONDE_STR("http.request");
    sonde_arena arena;
    sonde_str out;

    (void)state;
    sonde_arena_init(&arena, 4096);
    assert_status(normalize_tag_value(&arena, service, &out), SONDE_OK);
    assert_ptr_equal(out.ptr, service.ptr);
    assert_status(normalize_name(&arena, name, &out), SONDE_OK);
    assert_ptr_equal(out.ptr, name.ptr);
    assert_int_equal(arena.held_bytes, 0);
    sonde_arena_done(&arena);
}

static void test_a_full_arena_is_said(void **state)
{
    sonde_arena arena;
    sonde_str out = SONDE_STR("canary");

    (void)state;
    sonde_arena_init(&arena, 1);
    assert_status(normalize_tag_value(&arena, SONDE_STR("Web Store"), &out), SONDE_ERR_NOMEM);
    assert_status(normalize_tag(&arena, SONDE_STR("Web Store"), &out), SONDE_ERR_NOMEM);
    assert_status(normalize_name(&arena, SONDE_STR("Web Store"), &out), SONDE_ERR_NOMEM);
    assert_true(sonde_str_eq(out, SONDE_STR("canary")));
    sonde_arena_done(&arena);
}

/* Pieces that make every branch likely. */
static sonde_str random_text(sonde_rng *rng, char *out, size_t cap)
{
    static const char *const pieces[] = { "a",
                                          "Z",
                                          "7",
                                          "_",
                                          "__",
                                          ".",
                                          "/",
                                          "-",
                                          ":",
                                          " ",
                                          "!",
                                          "\xc3\x89",
                                          "\xff",
                                          "\xe4\xb8\xad",
                                          "\xf0\x9f\x8d\xa3",
                                          "\xc4\xb0",
                                          "service" };
    size_t len = 0, want = sonde_rng_next(rng) % cap;

    while (len + 8 < want) {
        const char *piece = pieces[sonde_rng_next(rng) % COUNT_OF(pieces)];

        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return (sonde_str){ out, len };
}

static void test_results_are_stable_valid_and_within_limits(void **state)
{
    static const struct {
        const char *label;
        rule apply;
    } rules[] = { { "tag value", normalize_tag_value },
                  { "tag", normalize_tag },
                  { "name", normalize_name } };
    sonde_arena arena;
    sonde_rng rng;

    (void)state;
    sonde_rng_seed(&rng, 1);
    sonde_arena_init(&arena, 1 << 20);
    for (int round = 0; round < 30000; round++) {
        char buffer[600];
        sonde_str in = random_text(&rng, buffer, round % 100 ? 60 : sizeof(buffer));

        for (size_t i = 0; i < COUNT_OF(rules); i++) {
            sonde_str once, twice;

            assert_status(rules[i].apply(&arena, in, &once), SONDE_OK);
            assert_status(rules[i].apply(&arena, once, &twice), SONDE_OK);
            if (!sonde_str_eq(once, twice) || !sonde_utf8_valid(once) || once.len > in.len)
                fail_msg("%s: \"%.*s\" gives \"%.*s\", then \"%.*s\"", rules[i].label,
                         SONDE_STR_ARG(in), SONDE_STR_ARG(once), SONDE_STR_ARG(twice));
        }
        sonde_arena_reset(&arena);
    }
    sonde_arena_done(&arena);
}

static void test_unicode_tables_know_letters_digits_and_case(void **state)
{
    static const struct {
        unsigned rune;
        bool letter, digit;
        unsigned lower;
    } cases[] = {
        { 'A', true, false, 'a' },
        { '0', false, true, '0' },
        { '_', false, false, '_' },
        { 0xc9, true, false, 0xe9 },  /* E acute */
        { 0xd7, false, false, 0xd7 }, /* multiplication sign, between capitals */
        { 0x100, true, false, 0x101 },
        { 0x101, true, false, 0x101 },   /* step-two run */
        { 0x130, true, false, 0x130 },   /* lower case is one byte shorter */
        { 0x1e9e, true, false, 0x1e9e }, /* sharp S: lower case is shorter */
        { 0x0663, false, true, 0x0663 },
        { 0x4e2d, true, false, 0x4e2d },
        { 0x10400, true, false, 0x10428 },
        { 0x1f363, false, false, 0x1f363 },
        { 0x10ffff, false, false, 0x10ffff },
        { 0x20ac, false, false, 0x20ac },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unsigned rune = cases[i].rune;

        if (unicode_is_letter(rune) != cases[i].letter ||
            unicode_is_digit(rune) != cases[i].digit ||
            unicode_lower_same_width(rune) != cases[i].lower)
            fail_msg("U+%04X", rune);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tag_value_follows_the_table),
        cmocka_unit_test(test_tag_drops_what_comes_before_the_first_letter),
        cmocka_unit_test(test_name_follows_the_table),
        cmocka_unit_test(test_tag_value_stops_after_200_runes_or_400_bytes),
        cmocka_unit_test(test_clean_text_comes_back_as_it_went_in),
        cmocka_unit_test(test_a_full_arena_is_said),
        cmocka_unit_test(test_results_are_stable_valid_and_within_limits),
        cmocka_unit_test(test_unicode_tables_know_letters_digits_and_case),
    };

    return cmocka_run_group_tests_name("normalize", tests, NULL, NULL);
}
