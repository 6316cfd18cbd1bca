/* fuzz_regex.c - a pattern, a NUL, a text.
 *
 * Property   no input crashes; the work of a search is at most five times its instructions for each byte
 *            of the text and its end; finding and matching agree, and a match stays one when the pattern
 *            becomes an alternative; in what RE2 and POSIX have in common the C library agrees. */
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Letters, dots, groups, alternatives, * + ? and anchors, where both dialects have a meaning for them. */
static bool is_common(sonde_str p)
{
    size_t i;

    if (p.len == 0 || p.len > 24)
        return false;
    for (i = 0; i < p.len; i++) {
        char c = p.ptr[i];
        char before = i > 0 ? p.ptr[i - 1] : '|';

        if (!is_one_of(c, "abc.()|*+?^$"))
            return false;
        if (is_one_of(c, "*+?") && is_one_of(before, "(|*+?^$"))
            return false;
        if (is_one_of(c, ")|") && is_one_of(before, "(|"))
            return false;
        /* in the middle of an expression POSIX leaves their meaning open */
        if ((c == '^' && !is_one_of(before, "(|")) || before == '$')
            return false;
    }
    return p.ptr[p.len - 1] != '|';
}

static bool is_plain(sonde_str text)
{
    size_t i;

    for (i = 0; i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] > '~')
            return false;
    return text.len < 64;
}

static void compare_with_posix(sonde_str pattern, sonde_str text, bool matched)
{
    char p[32], t[64];
    regex_t re;

    memcpy(p, pattern.ptr, pattern.len);
    p[pattern.len] = '\0';
    memcpy(t, text.len ? text.ptr : "", text.len);
    t[text.len] = '\0';
    if (regcomp(&re, p, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    require((regexec(&re, t, 0, NULL, 0) == 0) == matched);
    regfree(&re);
}

static void check_alternative(sonde_str pattern, sonde_str text)
{
    char wider[SONDE_REGEX_PATTERN_MAX];
    sonde_regex *re;

    if (pattern.len > sizeof(wider) - 8)
        return;
    memcpy(wider, "\\z|(?:", 6);
    memcpy(wider + 6, pattern.len ? pattern.ptr : "", pattern.len);
    wider[6 + pattern.len] = ')';
    if (sonde_regex_compile((sonde_str){ wider, pattern.len + 7 }, &re, NULL) != SONDE_OK)
        return; /* too big now, or a \Q that took the bracket */
    require(sonde_regex_matches(re, text));
    sonde_regex_free(re);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    sonde_str pattern = sonde_str_cut(&text, '\0');
    sonde_regex *re = NULL;
    size_t at, len;
    bool matched;

    if (sonde_regex_compile(pattern, &re, NULL) != SONDE_OK)
        return 0;
    require(sonde_regex_steps(re) <= SONDE_REGEX_STEPS_MAX);
    matched = sonde_regex_matches(re, text);
    require(sonde_regex_work(re) <= UINT64_C(5) * sonde_regex_steps(re) * (text.len + 1));
    require(sonde_regex_find(re, text, 0, &at, &len) == matched);
    require(!matched || (at <= text.len && len <= text.len - at));
    if (is_common(pattern) && is_plain(text))
        compare_with_posix(pattern, text, matched);
    check_alternative(pattern, text);
    sonde_regex_free(re);
    return 0;
}
