/* test_glob.c - base/glob.h */
#include "support/test.h"

#include <string.h>

#include "base/glob.h"
#include "base/rng.h"

static void test_patterns_match_as_their_grammar_says(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "anything", true },
        { "**", "", true },
        { "?", "", false },
        { "?", "a", true },
        { "?", "ab", false },
        { "??", "ab", true },
        { "?*", "", false },
        { "?*", "a", true },
        { "*?", "abc", true },
        { "web", "web", true },
        { "web", "WEB", true },
        { "WEB", "web", true },
        { "web", "webs", false },
        { "web", "we", false },
        { "web*", "web-store", true },
        { "web*", "my-web", false },
        { "*web", "my-web", true },
        { "*web*", "my-web-store", true },
        { "http.?et", "http.get", true },
        { "http.?et", "http.set", true },
        { "http.?et", "http-get", false },
        { "GET /a*", "get /abc", true },
        { "a*b*c", "abc", true },
        { "a*b*c", "aXXbYYc", true },
        { "a*b*c", "aXXbYY", false },
        { "a*ab", "aaab", true },
        { "*ab*ab", "ab", false },
        { "*ab*ab", "abab", true },
        { "a*?c", "abbc", true },
        { "a*?c", "ac", false },
        { "[a]", "[a]", true },
        { "[a]", "a", false },
        { "a\\*", "a\\b", true },
        { "a\\*", "a*", false },
        { "caf?", "caf\xc3\xa9", true },
        { "caf??", "caf\xc3\xa9", false },
        { "?", "\xe2\x82\xac", true },
        { "?", "\xff", true },
        { "*\xa9", "\xc3\xa9", false },
        { "\xc3\x89", "\xc3\xa9", false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (sonde_glob_match(sonde_str_from(cases[i].pattern), sonde_str_from(cases[i].text)) !=
            cases[i].matches)
            fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].text);
}

/* The grammar, word for word; exponential, for short texts. */
static bool by_definition(const char *p, const char *t)
{
    if (*p == '\0')
        return *t == '\0';
    if (*p == '*')
        return by_definition(p + 1, t) || (*t && by_definition(p, t + 1));
    return *t && (*p == '?' || *p == *t) && by_definition(p + 1, t + 1);
}

static void test_random_patterns_match_as_defined(void **state)
{
    sonde_rng rng;
    int round, i;

    (void)state;
    sonde_rng_seed(&rng, 8);
    for (round = 0; round < 200000; round++) {
        char pattern[8] = "";
        char text[10] = "";
        int pattern_len = (int)(sonde_rng_next(&rng) % 8);
        int text_len = (int)(sonde_rng_next(&rng) % 10);

        for (i = 0; i < pattern_len; i++)
            pattern[i] = "ab*?"[sonde_rng_next(&rng) % 4];
        for (i = 0; i < text_len; i++)
            text[i] = "ab"[sonde_rng_next(&rng) % 2];
        if (sonde_glob_match(sonde_str_from(pattern), sonde_str_from(text)) !=
            by_definition(pattern, text))
            fail_msg("\"%s\" on \"%s\"", pattern, text);
    }
}

static void test_only_stars_match_every_text(void **state)
{
    (void)state;
    assert_true(sonde_glob_is_any(SONDE_STR("*")));
    assert_true(sonde_glob_is_any(SONDE_STR("***")));
    assert_false(sonde_glob_is_any(SONDE_STR("")));
    assert_false(sonde_glob_is_any(SONDE_STR("*?")));
    assert_false(sonde_glob_is_any(SONDE_STR("a*")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_as_their_grammar_says),
        cmocka_unit_test(test_random_patterns_match_as_defined),
        cmocka_unit_test(test_only_stars_match_every_text),
    };

    return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
