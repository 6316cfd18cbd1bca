/* status_text.c - walks the JSON and writes  room / name  value  lines.
 *
 * The rooms decide what they report; this file knows only objects, arrays and values, so a new counter
 * shows up by itself.
 */
#include "status_text.h"

#include <stdbool.h>

#include "codec/json_read.h"

#define STRING_MAX_BYTES 65536
#define PATH_MAX_BYTES   256
#define VALUE_COLUMN     34

typedef struct walk {
    sonde_json_reader r;
    sonde_buf *out;
    char path[PATH_MAX_BYTES]; /* "payloads_dropped timeout" below a room */
    size_t path_len;
} walk;

static bool value(walk *w, sonde_json_event e, unsigned depth);

static void push_name(walk *w, sonde_str name)
{
    size_t i;

    if (w->path_len + name.len + 2 > sizeof(w->path))
        return;
    if (w->path_len)
        w->path[w->path_len++] = ' ';
    for (i = 0; i < name.len; i++)
        w->path[w->path_len++] = (char)(name.ptr[i] == '_' ? ' ' : name.ptr[i]);
}

static void line(walk *w, sonde_str text)
{
    sonde_buf_printf(w->out, "  %-*.*s %.*s\n", VALUE_COLUMN, (int)w->path_len, w->path,
                     SONDE_STR_ARG(text));
}

/* A reason that never came up, a door nobody used are no news. */
static bool is_boring(const walk *w, sonde_str text)
{
    static const char *const lists[] = { "dropped ", "spans malformed ", "accepted by endpoint ",
                                         "batches refused " };
    const sonde_str path = { w->path, w->path_len };
    size_t at;

    if (!sonde_str_eq(text, SONDE_STR("0")))
        return false;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (sonde_str_find(path, sonde_str_from(lists[i]), &at))
            return true;
    return false;
}

static bool object(walk *w, unsigned depth)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&w->r)) == SONDE_JSON_KEY) {
        size_t mark = w->path_len;

        push_name(w, w->r.text);
        if (depth == 0) {
            sonde_buf_printf(w->out, "%s%.*s\n", w->out->len ? "\n" : "", (int)w->path_len,
                             w->path);
            w->path_len = mark;
        }
        if (!value(w, sonde_json_next(&w->r), depth + 1))
            return false;
        w->path_len = mark;
    }
    return e == SONDE_JSON_OBJECT_END;
}

static bool array(walk *w, unsigned depth)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&w->r)) != SONDE_JSON_ARRAY_END)
        if (!value(w, e, depth + 1))
            return false;
    return true;
}

static bool value(walk *w, sonde_json_event e, unsigned depth)
{
    switch (e) {
    case SONDE_JSON_OBJECT:
        return object(w, depth);
    case SONDE_JSON_ARRAY:
        return array(w, depth);
    case SONDE_JSON_STRING:
    case SONDE_JSON_NUMBER:
        if (!is_boring(w, w->r.text))
            line(w, w->r.text);
        return true;
    case SONDE_JSON_TRUE:
        line(w, SONDE_STR("yes"));
        return true;
    case SONDE_JSON_FALSE:
        line(w, SONDE_STR("no"));
        return true;
    case SONDE_JSON_NULL:
        line(w, SONDE_STR("none"));
        return true;
    default:
        return false;
    }
}

sonde_status status_text_write(sonde_str json, sonde_buf *out)
{
    walk w = { .out = out };
    bool ok;

    sonde_json_reader_init(&w.r, json, STRING_MAX_BYTES);
    ok = sonde_json_next(&w.r) == SONDE_JSON_OBJECT && object(&w, 0) &&
         sonde_json_next(&w.r) == SONDE_JSON_END;
    sonde_json_reader_done(&w.r);
    if (out->status != SONDE_OK)
        return out->status;
    return ok ? SONDE_OK : SONDE_ERR_SYNTAX;
}
