/* url.c - an address taken apart as Go's net/url does it; what stays, stays as it was written. */
#include "agent/obfuscate/obfuscators.h"

#include <stdint.h>

typedef struct url_parts {
    /* scheme and "//"; all but path, query and fragment where there is no host */
    sonde_str before_user;
    sonde_str user; /* with its "@" */
    sonde_str host;
    sonde_str path;
    sonde_str query;    /* with its "?" */
    sonde_str fragment; /* with its "#" */
} url_parts;

static bool is_alpha(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || is_alpha(c);
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static int hex_value(unsigned char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static bool has_good_escapes(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (s.ptr[i] == '%' && (s.len - i < 3 || !is_hex((unsigned char)s.ptr[i + 1]) ||
                                !is_hex((unsigned char)s.ptr[i + 2])))
            return false;
    return true;
}

static bool has_controls(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

/* The length of the scheme with its ":", 0: none.  False: a ":" that nothing stands before. */
static bool scheme_length(sonde_str s, size_t *out)
{
    size_t i;

    *out = 0;
    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (is_alpha(c) || (i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            continue;
        if (c != ':')
            return true;
        *out = i + 1;
        return i > 0;
    }
    return true;
}

static bool is_port(sonde_str s) /* with its ":", or nothing */
{
    size_t i;

    if (s.len > 0 && s.ptr[0] != ':')
        return false;
    for (i = 1; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

static bool is_one_of(unsigned char c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool is_good_user(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (!is_alnum((unsigned char)s.ptr[i]) &&
            !is_one_of((unsigned char)s.ptr[i], "-._:~!$&'()*+,;=%@"))
            return false;
    return has_good_escapes(s);
}

static bool is_good_name(sonde_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        /* an escape may stand for what is not ASCII, or for itself */
        if (c == '%' && s.len - i >= 3 && hex_value((unsigned char)s.ptr[i + 1]) < 8 &&
            !sonde_str_starts(sonde_str_sub(s, i, 3), SONDE_STR("%25")))
            return false;
        if (c < 0x80 && !is_alnum(c) && !is_one_of(c, "-._~!$&'()*+,;=:[]<>\"%"))
            return false;
    }
    return has_good_escapes(s);
}

static bool last_of(sonde_str s, char c, size_t *out)
{
    size_t i;

    for (i = s.len; i > 0; i--) {
        if (s.ptr[i - 1] != c)
            continue;
        *out = i - 1;
        return true;
    }
    return false;
}

static bool is_good_host(sonde_str s)
{
    size_t at;

    if (sonde_str_starts(s, SONDE_STR("["))) {
        if (!last_of(s, ']', &at) || !is_port(sonde_str_sub(s, at + 1, s.len)))
            return false;
        return has_good_escapes(sonde_str_sub(s, 0, at));
    }
    if (last_of(s, ':', &at) && !is_port(sonde_str_sub(s, at, s.len)))
        return false;
    return is_good_name(s);
}

static sonde_str cut_from(sonde_str *s, char c)
{
    const char *at = s->len ? (const char *)memchr(s->ptr, c, s->len) : NULL;
    sonde_str tail = { NULL, 0 };

    if (!at)
        return tail;
    tail = sonde_str_sub(*s, (size_t)(at - s->ptr), s->len);
    s->len -= tail.len;
    return tail;
}

/* Behind the scheme, at "//". */
static bool split_authority(sonde_str rest, url_parts *out)
{
    size_t at;

    rest = sonde_str_sub(rest, 2, rest.len);
    out->before_user.len += 2;
    out->path = cut_from(&rest, '/');
    out->host = rest;
    if (last_of(rest, '@', &at)) {
        out->user = sonde_str_sub(rest, 0, at + 1);
        out->host = sonde_str_sub(rest, at + 1, rest.len);
        if (!is_good_user(sonde_str_sub(rest, 0, at)))
            return false;
    }
    return is_good_host(out->host) && has_good_escapes(out->path);
}

/* False: Go would not take it. */
static bool split_url(sonde_str url, url_parts *out)
{
    sonde_str rest = url;
    size_t scheme;

    *out = (url_parts){ .fragment = { NULL, 0 } };
    if (has_controls(url))
        return false;
    out->fragment = cut_from(&rest, '#');
    if (!has_good_escapes(out->fragment) || !scheme_length(rest, &scheme))
        return false;
    out->query = cut_from(&rest, '?');
    out->before_user = sonde_str_sub(rest, 0, scheme);
    rest = sonde_str_sub(rest, scheme, rest.len);
    if (!sonde_str_starts(rest, SONDE_STR("/")) && scheme > 0) {
        out->before_user.len += rest.len; /* mailto:a@b */
        return true;
    }
    if (sonde_str_starts(rest, SONDE_STR("//")) &&
        (scheme > 0 || !sonde_str_starts(rest, SONDE_STR("///"))))
        return split_authority(rest, out);
    out->path = rest;
    rest = sonde_str_cut(&rest, '/'); /* a ":" in the first segment would make it a scheme */
    return has_good_escapes(out->path) && !(rest.len && memchr(rest.ptr, ':', rest.len));
}

static bool has_digit(sonde_str segment)
{
    size_t i;

    for (i = 0; i < segment.len; i++) {
        unsigned char c = (unsigned char)segment.ptr[i];

        if (c == '%' && segment.len - i >= 3) {
            c = (unsigned char)(hex_value((unsigned char)segment.ptr[i + 1]) << 4 |
                                hex_value((unsigned char)segment.ptr[i + 2]));
            i += 2;
        }
        if (c >= '0' && c <= '9')
            return true;
    }
    return false;
}

static bool put_path(sonde_str path, sonde_buf *out)
{
    bool changed = false;
    bool is_first = true;

    while (path.len > 0 || !is_first) {
        bool is_last = !memchr(path.len ? path.ptr : "", '/', path.len);
        sonde_str segment = sonde_str_cut(&path, '/');
        bool hide = has_digit(segment);

        if (!is_first)
            sonde_buf_append_byte(out, '/');
        sonde_buf_append_str(out, hide ? SONDE_STR("?") : segment);
        changed |= hide;
        is_first = false;
        if (is_last)
            break;
    }
    return changed;
}

bool obfuscate_url(sonde_str url, unsigned what, sonde_buf *out)
{
    bool changed;
    url_parts p;

    if (!what && !(url.len && memchr(url.ptr, '@', url.len)))
        return false;
    sonde_buf_reset(out);
    if (!split_url(url, &p)) {
        if (what)
            sonde_buf_append_byte(out, '?');
        return what != 0;
    }
    changed = p.user.len > 0;
    sonde_buf_append_str(out, p.before_user);
    sonde_buf_append_str(out, p.host);
    if (what & OBFUSCATE_URL_PATH_DIGITS)
        changed |= put_path(p.path, out);
    else
        sonde_buf_append_str(out, p.path);
    if ((what & OBFUSCATE_URL_QUERY) && p.query.len > 1) {
        p.query.len = 1;
        changed = true;
    }
    sonde_buf_append_str(out, p.query);
    if (p.fragment.len > 1) /* not a "#" alone */
        sonde_buf_append_str(out, p.fragment);
    return changed;
}
