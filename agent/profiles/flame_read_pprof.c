/* flame_read_pprof.c - which column of a pprof message is meant, and its samples as stacks of functions. */
#include "flame_read.h"

#include <string.h>

#include "base/buf.h"
#include "codec/pprof_read.h"

#define NONE SIZE_MAX

/* The columns that are taken. */
typedef struct columns {
    size_t value;
    size_t events; /* counts the samples behind it; NONE: nobody did */
} columns;

/* ---- which column ---- */

static size_t type_called(const sonde_pprof_view *v, sonde_str name)
{
    for (size_t i = 0; i < v->types_len; i++)
        if (sonde_str_eq(v->types[i].type, name))
            return i;
    return NONE;
}

/* "cpu-time" is counted in "cpu-samples"; Go's "cpu" in "samples". */
static size_t events_of(const sonde_pprof_view *v, sonde_str type)
{
    char name[64];

    if (sonde_str_eq(type, SONDE_STR("cpu")))
        return type_called(v, SONDE_STR("samples"));
    if (sonde_str_ends(type, SONDE_STR("samples")))
        return type_called(v, type);
    if (!sonde_str_ends(type, SONDE_STR("-time")) || type.len > sizeof(name) - 8)
        return NONE;
    memcpy(name, type.ptr, type.len - 4);
    memcpy(name + type.len - 4, "samples", 7);
    return type_called(v, (sonde_str){ name, type.len + 3 });
}

/* CPU time, or what the file itself shows first. */
static size_t usual_type(const sonde_pprof_view *v)
{
    const sonde_str first[] = { SONDE_STR("cpu-time"), SONDE_STR("cpu"), v->default_type };

    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        if (type_called(v, first[i]) != NONE)
            return type_called(v, first[i]);
    return 0;
}

static sonde_status choose_columns(const sonde_pprof_view *v, sonde_str type, columns *out)
{
    out->value = type.len ? type_called(v, type) : usual_type(v);
    if (out->value == NONE)
        return SONDE_ERR_NOT_FOUND;
    out->events = events_of(v, v->types[out->value].type);
    return SONDE_OK;
}

/* ---- samples ---- */

static sonde_str base_name(sonde_str path)
{
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

    return slash ? sonde_str_sub(path, (size_t)(slash - path.ptr) + 1, path.len) : path;
}

static uint32_t add_address(flame *f, uint32_t parent, uint64_t address, sonde_str object)
{
    sonde_buf name;
    uint32_t node;

    sonde_buf_init(&name, 4096);
    sonde_buf_printf(&name, "%.*s%s0x%llx", (int)(object.len < 512 ? object.len : 512),
                     object.len ? object.ptr : "", object.len ? "+" : "",
                     (unsigned long long)address);
    node = flame_child(f, parent, sonde_buf_str(&name), object, false);
    sonde_buf_done(&name);
    return node;
}

static uint32_t add_location(flame *f, uint32_t parent, const sonde_pprof_view *v,
                             const sonde_pprof_location *l)
{
    sonde_str object = base_name(sonde_pprof_object(v, l));

    if (l->lines == 0)
        return add_address(f, parent, sonde_pprof_object_address(v, l), object);
    for (uint32_t i = l->lines; i-- > 0;) {
        const sonde_pprof_view_function *fn = &v->functions[v->lines[l->first_line + i]];

        parent = flame_child(f, parent, sonde_pprof_text(v, fn->name), object, i + 1 < l->lines);
    }
    return parent;
}

static void add_sample(flame *f, const sonde_pprof_view *v, const sonde_pprof_sample *s,
                       const columns *c, unsigned side)
{
    int64_t events = c->events == NONE ? 0 : s->values[c->events];
    uint32_t node = 0;

    if (s->values[c->value] <= 0)
        return;
    f->tree.cut += s->cut;
    for (size_t i = s->depth; i-- > 0;)
        node = add_location(f, node, v, &v->locations[s->locations[i]]);
    flame_count(f, node, side, s->values[c->value], events > 0 ? events : 0);
}

sonde_status flame_read_pprof(flame *f, sonde_str message, sonde_str type, unsigned side)
{
    const sonde_pprof_sample *s;
    sonde_pprof_view v;
    columns c;
    sonde_status status = sonde_pprof_view_decode(&v, message);

    if (status != SONDE_OK)
        return status;
    status = choose_columns(&v, type, &c);
    if (status == SONDE_OK) {
        flame_set_type(f, v.types[c.value].type, v.types[c.value].unit);
        while ((s = sonde_pprof_next_sample(&v)))
            add_sample(f, &v, s, &c, side);
    }
    sonde_pprof_view_done(&v);
    return status;
}
