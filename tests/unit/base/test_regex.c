/* test_regex.c - base/regex.h */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/regex.h"
#include "support/alloc_fail.h"

static sonde_regex *compile(const char *pattern)
{
    sonde_error error = { .status = SONDE_OK };
    sonde_regex *re = NULL;

    if (sonde_regex_compile(sonde_str_from(pattern), &re, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    return re;
}

static const struct {
    const char *pattern;
    const char *text;
    bool matches;
} matches[] = {
    { "", "", true },
    { "", "a", true },
    { "a", "", false },
    { "b", "abc", true },
    { "^b", "abc", false },
    { "^abc$", "abc", true },
    { "^abc$", "abc\n", false },
    { "a.c", "abc", true },
    { "a.c", "a\nc", false },
    { "(?s)a.c", "a\nc", true },
    { "^.$", "\xc3\xa9", true },
    { "^.$", "\xff", true },
    { "^..$", "\xc3", false },
    { "\xc3\xa9+$", "\xc3\xa9\xc3\xa9", true },
    { "^(GET|POST) /health", "GET /healthz", true },
    { "^(GET|POST) /health", "PUT /health", false },
    { "(GET|POST) /health$", "GET /healthz", false },
    { "a|", "", true },
    { "^(|a)$", "a", true },
    { "^()$", "", true },
    { "ab*c", "ac", true },
    { "ab+c", "ac", false },
    { "ab?c", "abbc", false },
    { "^a{2}$", "aa", true },
    { "^a{2}$", "aaa", false },
    { "^a{2,}$", "aaaaa", true },
    { "^a{1,3}$", "aaa", true },
    { "^a{1,3}$", "aaaa", false },
    { "^a{0}$", "", true },
    { "^a{0}$", "a", false },
    { "a{,2}", "a{,2}", true },
    { "a{x}", "a{x}", true },
    { "a{01}", "a{01}", true },
    { "}]", "}]", true },
    { "^(ab){2}$", "abab", true },
    { "^(?:ab|c)*?$", "cabc", true },
    { "[abc]", "b", true },
    { "[^abc]", "b", false },
    { "[^a]", "\n", true },
    { "[a-c]", "d", false },
    { "[]a]", "]", true },
    { "[^]a]", "]", false },
    { "[a-]", "-", true },
    { "[-a]", "-", true },
    { "[a-c-e]", "-", true },
    { "[a\\]b]", "]", true },
    { "[\\d]+$", "x1", true },
    { "^[\\D]$", "1", false },
    { "[[:alpha:]]", "1", false },
    { "[[:^alpha:]]", "1", true },
    { "[[:word:]-]", "-", true },
    { "[[:punct:]]", "~", true },
    { "[[:space:]]", "\v", true },
    { "\\s", "\v", false },
    { "[[:alpha]", ":", true },
    { "\\d\\D\\s\\S\\w\\W", "1a b_!", true },
    { "^\\x41\\x{1F600}$", "A\xf0\x9f\x98\x80", true },
    { "^\\101\\0$", "A", false },
    { "^\\101$", "A", true },
    { "\\a\\f\\t\\n\\r\\v", "\a\f\t\n\r\v", true },
    { "a\\.b", "axb", false },
    { "\\_\\-\\/\\^", "_-/^", true },
    { "\\Qa.b*\\E+", "a.b**", true },
    { "\\Qa.b", "axb", false },
    { "\\bfoo\\b", "a foo b", true },
    { "\\bfoo\\b", "afoo", false },
    { "o\\Bo", "foo", true },
    { "\\B", "", true },
    { "\\b", "\xc3\xa9", false },
    { "\\Ab", "a\nb", false },
    { "(?m)^b$", "a\nb\nc", true },
    { "^b$", "a\nb\nc", false },
    { "a\\z", "a\n", false },
    { "(?i)HeLLo", "hEllO", true },
    { "(?i)[a-f]+$", "xFACE", true },
    { "(?i)k", "\xe2\x84\xaa", true },
    { "(?i)s", "\xc5\xbf", true },
    { "k", "\xe2\x84\xaa", false },
    { "(?i)\\w", "\xc5\xbf", true },
    { "^(?i)\\W", "\xc5\xbf", false },
    { "(?i)[^k]", "K", false },
    { "a(?i)b|c", "C", true },
    { "(?i:a)b", "AB", false },
    { "(?i)a(?-i)b", "Ab", true },
    { "(?i)a(?-i)b", "AB", false },
    { "(a(?i)b)c", "aBC", false },
    { "(?i-s:A).", "ab", true },
    { "(?)a", "a", true },
    { "(?P<x>a)(?<y>b)", "ab", true },
    { "a*(?i)*", "", true },
    { "^*a", "ba", true },
    { "(a*)*$", "b", true },
    { "(a|b*)*c", "abbac", true },
    { "(a?){3}b", "aab", true },
    { "x*", "\xff\xfe", true },
    { "^[^a]$", "\xf0\x9f\x98\x80", true },
};

static void test_patterns_match_as_in_re2(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(matches); i++) {
        sonde_regex *re = compile(matches[i].pattern);

        if (sonde_regex_matches(re, sonde_str_from(matches[i].text)) != matches[i].matches)
            fail_msg("%s on %s", matches[i].pattern, matches[i].text);
        sonde_regex_free(re);
    }
}

static void test_what_does_not_compile_says_whether_re2_would_take_it(void **state)
{
    static const struct {
        const char *pattern;
        sonde_status status;
    } cases[] = {
        { "(", SONDE_ERR_SYNTAX },
        { ")", SONDE_ERR_SYNTAX },
        { "a)b", SONDE_ERR_SYNTAX },
        { "*", SONDE_ERR_SYNTAX },
        { "a|*", SONDE_ERR_SYNTAX },
        { "(*a)", SONDE_ERR_SYNTAX },
        { "a**", SONDE_ERR_SYNTAX },
        { "a*?*", SONDE_ERR_SYNTAX },
        { "a++", SONDE_ERR_SYNTAX },
        { "a{2}{3}", SONDE_ERR_SYNTAX },
        { "{2}", SONDE_ERR_SYNTAX },
        { "a{2,1}", SONDE_ERR_SYNTAX },
        { "a{1001}", SONDE_ERR_SYNTAX },
        { "(a{100}){11}", SONDE_ERR_SYNTAX },
        { "a{99999999999}", SONDE_ERR_SYNTAX },
        { "[a", SONDE_ERR_SYNTAX },
        { "[", SONDE_ERR_SYNTAX },
        { "[]", SONDE_ERR_SYNTAX },
        { "[b-a]", SONDE_ERR_SYNTAX },
        { "[a-\\d]", SONDE_ERR_SYNTAX },
        { "[[:foo:]]", SONDE_ERR_SYNTAX },
        { "\\", SONDE_ERR_SYNTAX },
        { "\\8", SONDE_ERR_SYNTAX },
        { "(a)\\1", SONDE_ERR_SYNTAX },
        { "\\Z", SONDE_ERR_SYNTAX },
        { "\\C", SONDE_ERR_SYNTAX },
        { "[\\b]", SONDE_ERR_SYNTAX },
        { "\\x4", SONDE_ERR_SYNTAX },
        { "\\x{110000}", SONDE_ERR_SYNTAX },
        { "\\x{}", SONDE_ERR_SYNTAX },
        { "\\x{41", SONDE_ERR_SYNTAX },
        { "(?=a)", SONDE_ERR_SYNTAX },
        { "(?<=a)b", SONDE_ERR_SYNTAX },
        { "(?!a)", SONDE_ERR_SYNTAX },
        { "(?x)", SONDE_ERR_SYNTAX },
        { "(?i", SONDE_ERR_SYNTAX },
        { "(?i-)a", SONDE_ERR_SYNTAX },
        { "(?P<a>b)(?P<a>c)", SONDE_ERR_SYNTAX },
        { "(?P<>a)", SONDE_ERR_SYNTAX },
        { "(?P<a-b>a)", SONDE_ERR_SYNTAX },
        { "\xff", SONDE_ERR_SYNTAX },
        { "\\\xc3\xa9", SONDE_ERR_SYNTAX },
        { "\\p", SONDE_ERR_SYNTAX },
        { "\\p{", SONDE_ERR_SYNTAX },
        { "\\p{}", SONDE_ERR_SYNTAX },
        { "\\p{L", SONDE_ERR_SYNTAX },
        { "\\p{L-u}", SONDE_ERR_SYNTAX },
        { "\\p{^}", SONDE_ERR_SYNTAX },
        { "[a-\\pL]", SONDE_ERR_SYNTAX },
        { "[\\p]", SONDE_ERR_SYNTAX },
        { "\\pX", SONDE_ERR_INVALID },
        { "\\p{Cn}", SONDE_ERR_INVALID }, /* nor does RE2 know it */
        { "\\p{Lx}", SONDE_ERR_INVALID },
        { "[\\p{Cherokee}]", SONDE_ERR_INVALID },
        { "(?i)\\p{Lu}", SONDE_ERR_INVALID },
        { "(?i)\xc3\xa9", SONDE_ERR_INVALID },
        { "(?i)[a-\xc3\xa9]", SONDE_ERR_INVALID },
        { "(?:ab(?:cd|ef){500}){2}", SONDE_ERR_TOO_BIG },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_error error = { .status = SONDE_OK };
        sonde_regex *re = NULL;

        if (sonde_regex_compile(sonde_str_from(cases[i].pattern), &re, &error) != cases[i].status)
            fail_msg("%s: %s", cases[i].pattern, error.message);
        assert_int_equal(error.status, cases[i].status);
        assert_null(re);
    }
}

/* From Unicode's own table of characters. */
static void test_classes_of_unicode_are_those_of_their_names(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        { "^\\pL+$", "a\xc3\xa9\xce\xa9\xd0\xb4\xe6\xbc\xa2\xd7\x90",
          true },                                      /* a e' Omega de han alef */
        { "\\pL", "1-_ \xe2\x82\xac\xd9\xa3", false }, /* euro, arabic three */
        { "^\\PL+$", "1-_ \xe2\x82\xac", true },
        { "^\\p{^L}$", "1", true },
        { "^\\P{^L}$", "1", false },
        { "^\\P{^L}$", "x", true },
        { "^\\p{Lu}\\p{Ll}$", "\xc3\x89\xc3\xa9", true }, /* E' e' */
        { "^\\p{Lu}\\p{Ll}$", "\xc3\xa9\xc3\x89", false },
        { "^\\p{Lu}\\p{Ll}\\p{Lu}\\p{Ll}$", "\xc4\x80\xc4\x81\xc4\xb9\xc4\xba",
          true }, /* by turns, either way */
        { "\\p{Ll}", "\xc4\x80\xc4\xb9", false },
        { "\\p{Lu}", "\xc4\x81\xc4\xba", false },
        { "^\\p{Lt}$", "\xc7\x85", true },                /* D with small z and caron */
        { "^\\p{Nd}+$", "09\xd9\xa3\xe0\xa5\xa9", true }, /* arabic, devanagari three */
        { "\\p{Nd}", "\xe2\x85\xa7\xc2\xbd", false },     /* roman eight, one half */
        { "^\\p{Nl}\\p{No}$", "\xe2\x85\xa7\xc2\xbd", true },
        { "^\\pN{3}$", "7\xe2\x85\xa7\xc2\xbd", true },
        { "^\\p{P}+$", "!-_()\xc2\xab\xe2\x80\x94", true }, /* guillemet, em dash */
        { "^\\p{Pd}\\p{Pi}\\p{Pc}\\p{Ps}\\p{Pe}$", "\xe2\x80\x94\xc2\xab_()", true },
        { "^\\p{S}+$", "$+^\xe2\x82\xac\xc2\xa9\xf0\x9f\x98\x80",
          true }, /* euro, copyright, a face */
        { "^\\p{Sc}\\p{Sm}\\p{Sk}\\p{So}$", "$+^\xc2\xa9", true },
        { "\\pP|\\pL", "$+^1 ", false },
        { "^\\pZ{3}$", " \xc2\xa0\xe2\x80\xa8", true }, /* no-break, line separator */
        { "\\pZ", "\t\n", false },
        { "^\\p{Cc}+$", "\t\n\x7f\xc2\x85", true },
        { "^\\pM$", "\xcc\x81", true },     /* combining acute */
        { "\\pC|\\pL", "\xcd\xb8", false }, /* U+0378 is assigned to nothing */
        { "^\\p{Co}$", "\xee\x80\x80", true },
        { "^\\p{Co}$", "\xf4\x8f\xbf\xbd", true }, /* U+10FFFD, nearly the last */
        { "^\\p{Any}{2}$", "a\xf4\x8f\xbf\xbf", true },
        { "^\\p{Greek}+$", "\xce\xa9\xcf\x89\xe1\xbc\x80", true },
        { "\\p{Greek}", "aд", false },
        { "^\\p{Cyrillic}+$", "дом", true },
        { "^\\p{Latin}+$", "aZ\xc3\xa9", true },
        { "\\p{Latin}", "1\xc2\xb5", false }, /* the micro sign belongs to all */
        { "^\\p{Han}\\p{Hiragana}\\p{Katakana}\\p{Hangul}$", "漢あアᄀ", true },
        { "^[\\p{L}\\p{N}_-]+$", "дом_7-\xe2\x85\xa7", true },
        { "^[^\\p{L}\\d]+$", "!? ", true },
        { "[^\\p{L}\\d]", "aд1", false },
        { "^[\\PL]$", "1", true },
        { "^[\\p{Lu}\\p{Ll}\\p{Lt}]$", "\xc7\x85", true },
        { "^\\p{L}{1,200}$", "дом", true }, /* one set, however often it stands there */
        { "(?i)^\\pL\\p{Nd}$",
          "\xcd\x85"
          "1",
          true }, /* a mark that folds to iota */
        { "^\\pL\\p{Nd}$",
          "\xcd\x85"
          "1",
          false },
        { "(?i)\\p{Greek}", "\xc2\xb5", true },
        { "(?i)a\\p{Any}", "A1", true },
        { "(?i)\\P{L}", "a", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_regex *re = compile(cases[i].pattern);

        if (sonde_regex_matches(re, sonde_str_from(cases[i].text)) != cases[i].matches)
            fail_msg("%s: \"%s\"", cases[i].pattern, cases[i].text);
        sonde_regex_free(re);
    }
}

static void test_a_match_is_found_where_a_backtracking_matcher_finds_it(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        size_t from;
        long at; /* -1: none */
        size_t len;
    } cases[] = {
        { "a+", "baaac", 0, 1, 3 },
        { "a+?", "baaac", 0, 1, 1 },
        { "a*", "baaac", 0, 0, 0 },
        { "(?U)a+", "baaac", 0, 1, 1 },
        { "(?U)a+?", "baaac", 0, 1, 3 },
        { "a|ab", "ab", 0, 0, 1 },
        { "ab|a", "ab", 0, 0, 2 },
        { "x?y|z", "azxy", 0, 1, 1 },
        { "(a|ab)(c|bcd)", "abcd", 0, 0, 4 },
        { "a{1,2}?b?", "aab", 0, 0, 1 },
        { "a{1,2}", "aaa", 0, 0, 2 },
        { "token=[^&]*", "?a=1&token=x&b=2", 0, 5, 7 },
        { "a", "aba", 1, 2, 1 },
        { "^a", "aa", 1, -1, 0 },
        { "\\ba", "aa", 1, -1, 0 },
        { "a", "b", 5, -1, 0 },
        { "$", "ab", 0, 2, 0 },
        { "b(?m)$|c", "ab\ncd", 0, 1, 1 },
        { ".*@.*", "abc", 0, -1, 0 },
        { ".*@.*", "a@c", 0, 0, 3 },
        { "(?:ab)+c", "abab", 0, -1, 0 },
        { "(?:ab){0}c", "c", 0, 0, 1 },
        { "(?:a|b)x*", "b", 0, 0, 1 },
        { "a?", "", 0, 0, 0 },
        { "a@", "a@b", 2, -1, 0 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_regex *re = compile(cases[i].pattern);
        size_t at, len;
        bool any = sonde_regex_find(re, sonde_str_from(cases[i].text), cases[i].from, &at, &len);

        if (any != (cases[i].at >= 0) ||
            (any && (at != (size_t)cases[i].at || len != cases[i].len)))
            fail_msg("%s on %s: %d %zu %zu", cases[i].pattern, cases[i].text, any, at, len);
        sonde_regex_free(re);
    }
}

/* Begin and end of each group, "-" for one that had no part; "none" for no match. */
static void print_groups(const char *pattern, const char *text, char *out, size_t room)
{
    size_t bounds[2 * 9] = { 0 };
    size_t len = 0;
    sonde_regex *re = NULL;

    assert_status(sonde_regex_compile_groups(sonde_str_from(pattern), &re, NULL), SONDE_OK);
    assert_in_range(sonde_regex_groups(re), 0, 8);
    if (!sonde_regex_find_groups(re, sonde_str_from(text), 0, bounds))
        len = (size_t)snprintf(out, room, "none");
    else
        for (uint32_t i = 0; i <= sonde_regex_groups(re); i++)
            len += (size_t)(bounds[2 * i] == SONDE_REGEX_NO_BOUND
                                ? snprintf(out + len, room - len, " -")
                                : snprintf(out + len, room - len, " %zu-%zu", bounds[2 * i],
                                           bounds[2 * i + 1]));
    sonde_regex_free(re);
}

static void test_groups_are_where_a_backtracking_matcher_finds_them(void **state)
{
    static const char *const cases[][3] = {
        { "a(b)c", "xabc", " 1-4 2-3" },
        { "(a)|(b)", "b", " 0-1 - 0-1" },
        { "(a+)(a+)", "aaaa", " 0-4 0-3 3-4" },
        { "(a+?)(a+)", "aaaa", " 0-4 0-1 1-4" },
        { "(a|ab)(c|bcd)(d*)", "abcd", " 0-4 0-1 1-4 4-4" },
        { "(?:x(y))*", "xyxy", " 0-4 3-4" },
        { "((a)(b)?)+", "aba", " 0-3 2-3 2-3 1-2" },
        { "(?P<u>[^:]+):(?P<p>.*)@", "http://u:p@h", " 0-11 0-4 5-10" },
        { "(^|/)([0-9]+)", "/a/12", " 2-5 2-3 3-5" },
        { "(a){2}", "aa", " 0-2 1-2" },
        { "(\xc3\xa9)(.)", "x\xc3\xa9\xc3\xa9", " 1-5 1-3 3-5" },
        { "()a", "ba", " 1-2 1-1" },
        { "(b)\\b", "bab", " 2-3 2-3" },
        { "abc", "xabc", " 1-4" },
        { "(a)", "b", "none" },
        { "(a)?b", "b", " 0-1 -" },
        { "(?i)(k)", "K", " 0-1 0-1" },
        { "(a*)(b*)", "", " 0-0 0-0 0-0" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char got[200] = "";

        print_groups(cases[i][0], cases[i][1], got, sizeof(got));
        if (strcmp(got, cases[i][2]) != 0)
            fail_msg("%s on %s:%s", cases[i][0], cases[i][1], got);
    }
}

static void test_groups_are_found_by_name(void **state)
{
    sonde_regex *re = NULL;

    (void)state;
    assert_status(sonde_regex_compile_groups(SONDE_STR("(a)(?P<x>b)(?<yy>c)"), &re, NULL),
                  SONDE_OK);
    assert_int_equal(sonde_regex_groups(re), 3);
    assert_int_equal(sonde_regex_group_named(re, SONDE_STR("x")), 2);
    assert_int_equal(sonde_regex_group_named(re, SONDE_STR("yy")), 3);
    assert_int_equal(sonde_regex_group_named(re, SONDE_STR("y")), 0);
    sonde_regex_free(re);
    assert_status(
        sonde_regex_compile_groups(SONDE_STR("(?:(a)(b)(c)(d)(e)(f)(g)(h)){300}"), &re, NULL),
        SONDE_ERR_TOO_BIG);
}

static void test_the_work_is_linear_in_the_text(void **state)
{
    static const char *const patterns[] = {
        "(a?){30}a{30}", "(a*)*b", "(a|a|a|a)*b", "(x+x+)+y", "(.*)(.*)(.*)(.*)z", "a{1,400}b",
    };
    static char text[20000];
    size_t i;

    (void)state;
    memset(text, 'a', sizeof(text));
    for (i = 0; i < COUNT_OF(patterns); i++) {
        sonde_regex *re = compile(patterns[i]);

        (void)sonde_regex_matches(re, (sonde_str){ text, sizeof(text) });
        assert_in_range(sonde_regex_work(re), 0,
                        UINT64_C(5) * sonde_regex_steps(re) * (sizeof(text) + 1));
        sonde_regex_free(re);
    }
}

static sonde_status compile_text(const char *text, size_t len)
{
    sonde_regex *re = NULL;
    sonde_status status = sonde_regex_compile((sonde_str){ text, len }, &re, NULL);

    sonde_regex_free(re);
    return status;
}

static void test_every_ceiling_is_met(void **state)
{
    char text[40000];
    size_t len = 0;
    int i;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_status(compile_text(text, SONDE_REGEX_PATTERN_MAX), SONDE_OK);
    assert_status(compile_text(text, SONDE_REGEX_PATTERN_MAX + 1), SONDE_ERR_TOO_BIG);
    memset(text, '(', sizeof(text));
    memset(text + SONDE_REGEX_DEPTH_MAX, ')', SONDE_REGEX_DEPTH_MAX);
    assert_status(compile_text(text, 2 * SONDE_REGEX_DEPTH_MAX), SONDE_OK);
    memset(text, '(', sizeof(text));
    assert_status(compile_text(text, 2000), SONDE_ERR_TOO_BIG);
    for (i = 0; i < 40; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "(?P<n%d>a)", i);
    assert_status(compile_text(text, len), SONDE_ERR_TOO_BIG);
    len = (size_t)snprintf(text, sizeof(text), "(?:[^\xc3\xa0\xc3\xa2\xc3\xa4\xc3\xa6]){1000}");
    assert_status(compile_text(text, len), SONDE_OK); /* one set */
    for (i = 0, len = 0; i < 8; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\\p{L}");
    assert_status(compile_text(text, len), SONDE_ERR_TOO_BIG);
    len = (size_t)snprintf(text, sizeof(text), "%s", "((((a*)*)*)*){1000}");
    assert_status(compile_text(text, len), SONDE_ERR_TOO_BIG);
    for (text[0] = '[', len = 1; len < 1900; len++)
        text[len] = (len & 1) ? '\\' : 'w';
    text[len++] = ']';
    assert_status(compile_text(text, len), SONDE_ERR_TOO_BIG);
}

static sonde_status compile_once(void *user)
{
    const char *pattern = (const char *)user;
    sonde_status status = compile_text(pattern, strlen(pattern));
    sonde_regex *re = NULL;

    if (status == SONDE_OK)
        status = sonde_regex_compile_groups(sonde_str_from(pattern), &re, NULL);
    sonde_regex_free(re);
    return status;
}

static void test_compiling_survives_every_failing_allocation(void **state)
{
    static char pattern[] = "^(GET|POST) /(?i)[a-z\\d]{2,30}(?:x|y|z)*$";

    (void)state;
    alloc_fail_each(compile_once, pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_as_in_re2),
        cmocka_unit_test(test_what_does_not_compile_says_whether_re2_would_take_it),
        cmocka_unit_test(test_classes_of_unicode_are_those_of_their_names),
        cmocka_unit_test(test_a_match_is_found_where_a_backtracking_matcher_finds_it),
        cmocka_unit_test(test_groups_are_where_a_backtracking_matcher_finds_them),
        cmocka_unit_test(test_groups_are_found_by_name),
        cmocka_unit_test(test_the_work_is_linear_in_the_text),
        cmocka_unit_test(test_every_ceiling_is_met),
        cmocka_unit_test(test_compiling_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("regex", tests, NULL, NULL);
}
