/* normalize.c - Datadog's text rules: a quick check for what is clean, a slow path for the rest.
 *
 * Practically all traffic is clean ASCII, so each rule first looks whether there is anything to do.
 *
 * Bounds   a result is never longer than its input; at most NORMALIZE_TAG_MAX_BYTES are read of a tag.
 */
#include "normalize.h"

#include <stdint.h>

#include "unicode.h"

/* Per byte: what a tag keeps as it is.  '_' is kept too, but not twice in a row nor at the end. */
enum { TAG_KEEP = 1, TAG_UNDERSCORE = 2, TAG_LETTER = 4 };

static const uint8_t tag_class[256] = {
    /* clang-format off */
    ['a'] = 5, ['b'] = 5, ['c'] = 5, ['d'] = 5, ['e'] = 5, ['f'] = 5, ['g'] = 5, ['h'] = 5, ['i'] = 5,
    ['j'] = 5, ['k'] = 5, ['l'] = 5, ['m'] = 5, ['n'] = 5, ['o'] = 5, ['p'] = 5, ['q'] = 5, ['r'] = 5,
    ['s'] = 5, ['t'] = 5, ['u'] = 5, ['v'] = 5, ['w'] = 5, ['x'] = 5, ['y'] = 5, ['z'] = 5, [':'] = 5,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1,
    ['9'] = 1, ['.'] = 1, ['/'] = 1, ['-'] = 1, ['_'] = 2,
    /* clang-format on */
};

static bool tag_is_clean(sonde_str s)
{
    uint8_t before = 0;

    if (s.len > NORMALIZE_TAG_MAX_RUNES)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t class = tag_class[(uint8_t)s.ptr[i]];

        if (class == 0 || (class & before & TAG_UNDERSCORE))
            return false;
        before = class;
    }
    return before != TAG_UNDERSCORE;
}

/* One code point of `in` as a tag shows it; 0 stands for "becomes an underscore". */
static unsigned tag_rune(unsigned rune)
{
    rune = unicode_lower_same_width(rune);
    if (unicode_is_letter(rune) || unicode_is_digit(rune) || rune == ':' || rune == '.' ||
        rune == '/' || rune == '-')
        return rune;
    return 0;
}

typedef enum tag_start { TAG_FROM_ANYTHING, TAG_FROM_LETTER } tag_start;

/* `out` has room for as many bytes as are read of `in`. */
static size_t tag_rewrite(sonde_str in, tag_start start, char *out)
{
    size_t at = 0, len = 0, runes = 0;
    bool gap = false; /* an underscore is due before the next kept rune */

    while (at < in.len && at < NORMALIZE_TAG_MAX_BYTES && runes < NORMALIZE_TAG_MAX_RUNES) {
        unsigned rune = 0;
        size_t width = sonde_utf8_decode(sonde_str_sub(in, at, 4), &rune);
        unsigned keep = width ? tag_rune(rune) : 0;

        at += width ? width : 1;
        if (start == TAG_FROM_LETTER && keep != ':' && !unicode_is_letter(keep))
            continue;
        start = TAG_FROM_ANYTHING;
        runes++;
        if (keep == 0) {
            gap = true;
            continue;
        }
        if (gap)
            out[len++] = '_';
        gap = false;
        len += sonde_utf8_encode(keep, out + len);
    }
    return len;
}

static sonde_status tag_normalize(sonde_arena *arena, sonde_str in, tag_start start, sonde_str *out)
{
    size_t room = in.len < NORMALIZE_TAG_MAX_BYTES + 4 ? in.len : NORMALIZE_TAG_MAX_BYTES + 4;
    char *text;

    if (tag_is_clean(in) && (start == TAG_FROM_ANYTHING || in.len == 0 ||
                             (tag_class[(uint8_t)in.ptr[0]] & TAG_LETTER))) {
        *out = in;
        return SONDE_OK;
    }
    text = sonde_arena_alloc_aligned(arena, room, 1);
    if (!text)
        return SONDE_ERR_NOMEM;
    *out = (sonde_str){ text, tag_rewrite(in, start, text) };
    return SONDE_OK;
}

sonde_status normalize_tag_value(sonde_arena *arena, sonde_str in, sonde_str *out)
{
    return tag_normalize(arena, in, TAG_FROM_ANYTHING, out);
}

sonde_status normalize_tag(sonde_arena *arena, sonde_str in, sonde_str *out)
{
    return tag_normalize(arena, in, TAG_FROM_LETTER, out);
}

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_alnum(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9');
}

/* Starts with a letter; '.' and '_' do not follow a '_'. */
static bool name_is_clean(sonde_str s)
{
    char before = '_';

    if (s.len == 0 || !is_alpha(s.ptr[0]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!is_alnum(c) && !((c == '.' || c == '_') && before != '_'))
            return false;
        before = c;
    }
    return before != '_';
}

static size_t name_rewrite(sonde_str in, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];

        if (is_alnum(c))
            out[len++] = c;
        else if (c == '.' && out[len - 1] == '_')
            out[len - 1] = '.';
        else if (c == '.')
            out[len++] = '.';
        else if (out[len - 1] != '.' && out[len - 1] != '_')
            out[len++] = '_';
    }
    return out[len - 1] == '_' ? len - 1 : len;
}

sonde_status normalize_name(sonde_arena *arena, sonde_str in, sonde_str *out)
{
    sonde_str clean;
    char *text;

    while (in.len && !is_alpha(in.ptr[0]))
        in = sonde_str_sub(in, 1, in.len);
    clean = in;
    clean.len -= in.len && in.ptr[in.len - 1] == '_';
    if (in.len == 0 || name_is_clean(clean)) {
        *out = clean;
        return SONDE_OK;
    }
    text = sonde_arena_alloc_aligned(arena, in.len, 1);
    if (!text)
        return SONDE_ERR_NOMEM;
    *out = (sonde_str){ text, name_rewrite(in, text) };
    return SONDE_OK;
}
