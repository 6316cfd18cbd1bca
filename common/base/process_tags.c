/* process_tags.c - names from paths, made into values of tags. */
#include "base/process_tags.h"

#define VALUE_MAX_BYTES 200

/* Five keys of at most 20 bytes with ':' and ','. */
_Static_assert(SONDE_PROCESS_TAGS_MAX_BYTES >= 5 * (VALUE_MAX_BYTES + 22), "room for all");

static bool may_stay(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '.' ||
           c == '/' || c == '-';
}

/* Lower-case; what may not stay becomes '_', and of several '_' one is left. */
static size_t put_value(char *to, sonde_str value)
{
    size_t len = 0;
    size_t i;

    for (i = 0; i < value.len && len < VALUE_MAX_BYTES; i++) {
        char c = value.ptr[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!may_stay(c))
            c = '_';
        if (c != '_' || len == 0 || to[len - 1] != '_')
            to[len++] = c;
    }
    return len;
}

static size_t put_tag(char *out, size_t len, sonde_str key, sonde_str value)
{
    if (value.len == 0)
        return len;
    if (len > 0)
        out[len++] = ',';
    memcpy(out + len, key.ptr, key.len);
    len += key.len;
    out[len++] = ':';
    return len + put_value(out + len, value);
}

/* Takes the last component off a path. */
static sonde_str take_last(sonde_str *path)
{
    sonde_str last = { NULL, 0 };

    while (path->len > 0 && path->ptr[path->len - 1] == '/')
        path->len--;
    while (path->len > 0 && path->ptr[path->len - 1] != '/') {
        path->len--;
        last = (sonde_str){ path->ptr + path->len, last.len + 1 };
    }
    return last;
}

/* The name of a folder; empty when it says nothing. */
static sonde_str folder_name(sonde_str path)
{
    sonde_str name = take_last(&path);

    return sonde_str_eq(name, SONDE_STR("bin")) ? (sonde_str){ NULL, 0 } : name;
}

size_t sonde_process_tags(sonde_str executable, sonde_str workdir, sonde_str auto_service,
                          char out[SONDE_PROCESS_TAGS_MAX_BYTES])
{
    sonde_str name = take_last(&executable); /* leaves the directory */
    size_t len = 0;

    len = put_tag(out, len, SONDE_STR("entrypoint.basedir"), folder_name(executable));
    len = put_tag(out, len, SONDE_STR("entrypoint.name"), name);
    len = put_tag(out, len, SONDE_STR("entrypoint.type"), SONDE_STR("executable"));
    len = put_tag(out, len, SONDE_STR("entrypoint.workdir"), folder_name(workdir));
    if (auto_service.len > 0)
        return put_tag(out, len, SONDE_STR("svc.auto"), auto_service);
    return put_tag(out, len, SONDE_STR("svc.user"), SONDE_STR("true"));
}
