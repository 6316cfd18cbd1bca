/* symbols_name.c - "_ZN3net6Server4loopEv" as "net::Server::loop"; what is not that simple stays.
 *
 * Of a C++ name only the path is shown: no parameters, no templates.  Old Rust names have the same form and a hash at
 * the end, which is left out. */
#include "symbols.h"

#include <string.h>

#define HASH_LEN 17u /* "h" and 16 digits */

typedef struct out {
    char *to;
    size_t len;
} out;

static bool put(out *o, sonde_str s)
{
    if (s.len > SONDE_PROF__SYMBOL_MAX - o->len)
        return false;
    memcpy(o->to + o->len, s.ptr, s.len);
    o->len += s.len;
    return true;
}

/* "6Server" */
static bool take_component(sonde_str *rest, sonde_str *name)
{
    size_t len = 0, digits = 0;

    while (digits < rest->len && digits < 4 && rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9')
        len = len * 10 + (size_t)(rest->ptr[digits++] - '0');
    if (len == 0 || len > rest->len - digits)
        return false;
    *name = sonde_str_sub(*rest, digits, len);
    *rest = sonde_str_sub(*rest, digits + len, rest->len);
    return true;
}

static bool is_hash(sonde_str name)
{
    size_t i;

    if (name.len != HASH_LEN || name.ptr[0] != 'h')
        return false;
    for (i = 1; i < name.len; i++)
        if (!((name.ptr[i] >= '0' && name.ptr[i] <= '9') ||
              (name.ptr[i] >= 'a' && name.ptr[i] <= 'f')))
            return false;
    return true;
}

/* Rust's "$LT$", ".." and their like. */
static bool put_rust(out *o, sonde_str name)
{
    /* clang-format off */
    static const struct {
        const char *code, *text;
    } codes[] = {
        { "$LT$", "<" },   { "$GT$", ">" },   { "$RF$", "&" },   { "$BP$", "*" },   { "$LP$", "(" },
        { "$RP$", ")" },   { "$C$", "," },    { "$u20$", " " },  { "$u27$", "'" },  { "$u5b$", "[" },
        { "$u5d$", "]" },  { "$u7b$", "{" },  { "$u7d$", "}" },  { "$u7e$", "~" },  { "..", "::" },
    };
    /* clang-format on */
    size_t i;

    if (sonde_str_starts(name,
                         SONDE_STR("_$"))) /* an underscore before what may not begin a name */
        name = sonde_str_sub(name, 1, name.len);
    while (name.len > 0) {
        sonde_str text = sonde_str_sub(name, 0, 1);
        size_t used = 1;

        for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
            if (!sonde_str_starts(name, sonde_str_from(codes[i].code)))
                continue;
            text = sonde_str_from(codes[i].text);
            used = strlen(codes[i].code);
            break;
        }
        if (!put(o, text))
            return false;
        name = sonde_str_sub(name, used, name.len);
    }
    return true;
}

/* Constructors and destructors are named after their class. */
static bool take_special(sonde_str *rest, out *o, sonde_str last)
{
    bool is_constructor = sonde_str_starts(*rest, SONDE_STR("C"));
    bool is_destructor = sonde_str_starts(*rest, SONDE_STR("D"));

    if (rest->len < 2 || (!is_constructor && !is_destructor) || rest->ptr[1] < '0' ||
        rest->ptr[1] > '5' || last.len == 0)
        return false;
    *rest = sonde_str_sub(*rest, 2, rest->len);
    return put(o, is_constructor ? SONDE_STR("::") : SONDE_STR("::~")) && put(o, last);
}

/* Behind "_ZN", up to "E". */
static bool put_path(out *o, sonde_str rest)
{
    sonde_str last = { NULL, 0 }, name;

    while (rest.len > 0 && strchr("rVKRO", rest.ptr[0])) /* const, volatile, & */
        rest = sonde_str_sub(rest, 1, rest.len);
    if (sonde_str_starts(rest, SONDE_STR("St"))) {
        rest = sonde_str_sub(rest, 2, rest.len);
        if (!put(o, SONDE_STR("std")))
            return false;
    }
    while (rest.len > 0 && rest.ptr[0] != 'E') {
        if (take_special(&rest, o, last))
            continue;
        if (!take_component(&rest, &name))
            return false;
        if (is_hash(name) && sonde_str_starts(rest, SONDE_STR("E")))
            break;
        if ((o->len > 0 && !put(o, SONDE_STR("::"))) || !put_rust(o, name))
            return false;
        last = name;
    }
    return rest.len > 0 && o->len > 0;
}

size_t sonde_prof__readable(sonde_str name, char to[SONDE_PROF__SYMBOL_MAX])
{
    out o = { to, 0 };
    sonde_str rest = name, one;
    bool ok = false;

    if (sonde_str_starts(name, SONDE_STR("_ZN"))) {
        ok = put_path(&o, sonde_str_sub(rest, 3, rest.len));
    } else if (sonde_str_starts(name, SONDE_STR("_Z"))) {
        rest = sonde_str_sub(rest, 2, rest.len);
        ok = take_component(&rest, &one) && !sonde_str_starts(rest, SONDE_STR("I")) && put(&o, one);
    }
    if (ok)
        return o.len;
    o.len = 0;
    (void)put(&o, sonde_str_sub(name, 0, sonde_utf8_cut(name, SONDE_PROF__SYMBOL_MAX)));
    return o.len;
}
