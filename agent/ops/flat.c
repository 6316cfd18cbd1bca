/* flat.c - walks the JSON, keeping the path. */
#include "flat.h"

#include <stdbool.h>
#include <stdio.h>

#include "codec/json_read.h"

#define STRING_MAX_BYTES 65536

typedef struct walk {
    sonde_json_reader r;
    void (*see)(void *user, sonde_str path, double value);
    void *user;
    char path[FLAT_PATH_MAX];
    size_t len;
    bool cut; /* the path did not fit */
} walk;

static bool value(walk *w, sonde_json_event e);

/* Appends a name; returns the length before it. */
static size_t push(walk *w, sonde_str name)
{
    size_t mark = w->len;

    if (w->cut || w->len + name.len + 1 > sizeof(w->path)) {
        w->cut = true;
        return mark;
    }
    if (w->len)
        w->path[w->len++] = '.';
    if (name.len)
        memcpy(w->path + w->len, name.ptr, name.len);
    w->len += name.len;
    return mark;
}

static bool object(walk *w)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&w->r)) == SONDE_JSON_KEY) {
        bool was_cut = w->cut;
        size_t mark = push(w, w->r.text);

        if (!value(w, sonde_json_next(&w->r)))
            return false;
        w->len = mark;
        w->cut = was_cut;
    }
    return e == SONDE_JSON_OBJECT_END;
}

static bool array(walk *w)
{
    char index[24];
    sonde_json_event e;
    unsigned i = 0;

    while ((e = sonde_json_next(&w->r)) != SONDE_JSON_ARRAY_END) {
        bool was_cut = w->cut;
        size_t mark;

        (void)snprintf(index, sizeof(index), "%u", i++);
        mark = push(w, sonde_str_from(index));
        if (!value(w, e))
            return false;
        w->len = mark;
        w->cut = was_cut;
    }
    return true;
}

static void see(walk *w, double number)
{
    if (!w->cut)
        w->see(w->user, (sonde_str){ w->path, w->len }, number);
}

static bool value(walk *w, sonde_json_event e)
{
    switch (e) {
    case SONDE_JSON_OBJECT:
        return object(w);
    case SONDE_JSON_ARRAY:
        return array(w);
    case SONDE_JSON_NUMBER:
        see(w, w->r.number);
        return true;
    case SONDE_JSON_TRUE:
    case SONDE_JSON_FALSE:
        see(w, e == SONDE_JSON_TRUE);
        return true;
    case SONDE_JSON_STRING:
    case SONDE_JSON_NULL:
        return true;
    default:
        return false;
    }
}

sonde_status flat_walk(sonde_str json, void (*see_)(void *user, sonde_str path, double value),
                       void *user)
{
    walk w = { .see = see_, .user = user };
    bool ok;

    sonde_json_reader_init(&w.r, json, STRING_MAX_BYTES);
    ok = value(&w, sonde_json_next(&w.r)) && sonde_json_next(&w.r) == SONDE_JSON_END;
    sonde_json_reader_done(&w.r);
    return ok ? SONDE_OK : SONDE_ERR_SYNTAX;
}
