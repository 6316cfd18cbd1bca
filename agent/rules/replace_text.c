/* replace_text.c - all matches in a text give way to a template, as Go's ReplaceAllString does it. */
#include "agent/rules/lane.h"

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* Behind `$`: "name" or "{name}".  False: neither stands there and nothing was taken. */
static bool take_name(sonde_str *rest, sonde_str *out)
{
    bool braced = sonde_str_starts(*rest, SONDE_STR("{"));
    sonde_str name = sonde_str_sub(*rest, braced, rest->len);
    size_t len = 0;

    while (len < name.len && is_name_char(name.ptr[len]))
        len++;
    if (len == 0 || (braced && (len == name.len || name.ptr[len] != '}')))
        return false;
    *out = sonde_str_sub(name, 0, len);
    *rest = sonde_str_sub(name, len + braced, name.len);
    return true;
}

/* The group a name stands for; SIZE_MAX: none. */
static size_t group_of(const sonde_regex *re, sonde_str name)
{
    size_t n = 0;
    size_t i;

    for (i = 0; i < name.len && name.ptr[i] >= '0' && name.ptr[i] <= '9' && n < 100000000; i++)
        n = n * 10 + (size_t)(name.ptr[i] - '0');
    if (i == name.len && (name.len == 1 || name.ptr[0] != '0'))
        return n <= sonde_regex_groups(re) ? n : SIZE_MAX;
    n = sonde_regex_group_named(re, name);
    return n ? n : SIZE_MAX;
}

static void put_group(sonde_buf *out, const replace_rule *rule, sonde_str name, sonde_str text)
{
    size_t group = group_of(rule->pattern, name);

    if (group == SIZE_MAX || rule->bounds[2 * group] == SONDE_REGEX_NO_BOUND)
        return;
    sonde_buf_append_str(out, sonde_str_sub(text, rule->bounds[2 * group],
                                            rule->bounds[2 * group + 1] - rule->bounds[2 * group]));
}

static void expand(sonde_buf *out, const replace_rule *rule, sonde_str text)
{
    sonde_str rest = rule->repl;

    while (rest.len > 0) {
        bool has_dollar = memchr(rest.ptr, '$', rest.len) != NULL;
        sonde_str name;

        sonde_buf_append_str(out, sonde_str_cut(&rest, '$'));
        if (!has_dollar)
            return;
        if (sonde_str_starts(rest, SONDE_STR("$"))) {
            rest = sonde_str_sub(rest, 1, rest.len);
            sonde_buf_append_byte(out, '$');
        } else if (take_name(&rest, &name)) {
            put_group(out, rule, name, text);
        } else {
            sonde_buf_append_byte(out, '$');
        }
    }
}

/* At least one rune further than `at`, or one byte of what is none. */
static size_t behind_rune(sonde_str text, size_t at)
{
    unsigned rune;
    size_t n = at < text.len ? sonde_utf8_decode(sonde_str_sub(text, at, 4), &rune) : 0;

    return at + (n ? n : 1);
}

sonde_status replace_text(rules_lane *lane, replace_rule *rule, sonde_str text)
{
    sonde_buf *out = &lane->text;
    size_t *match = rule->bounds;
    size_t from = 0; /* of the search */
    size_t done = 0; /* end of the last match */

    if (!sonde_regex_find_groups(rule->pattern, text, 0, match))
        return SONDE_ERR_NOT_FOUND;
    sonde_buf_reset(out);
    do {
        sonde_buf_append_str(out, sonde_str_sub(text, done, match[0] - done));
        if (match[1] > done || match[0] == 0) /* not an empty match right behind another */
            expand(out, rule, text);
        done = match[1];
        from = behind_rune(text, from) > done ? behind_rune(text, from) : done;
    } while (from <= text.len && out->status == SONDE_OK &&
             sonde_regex_find_groups(rule->pattern, text, from, match));
    sonde_buf_append_str(out, sonde_str_sub(text, done, text.len));
    return out->status;
}
