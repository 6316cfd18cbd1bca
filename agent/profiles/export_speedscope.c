/* export_speedscope.c - speedscope's own file format: frames of all flames, then a "sampled" profile of each. */
#include "export.h"

#include <string.h>

#include "base/alloc.h"
#include "codec/json_write.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

static sonde_str unit_of(const flame *f)
{
    static const char *const units[] = { "nanoseconds", "microseconds", "milliseconds", "seconds",
                                         "bytes" };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (sonde_str_eq(f->unit, sonde_str_from(units[i])))
            return f->unit;
    return SONDE_STR("none");
}

static void write_frames(const flame *const *flames, size_t len, sonde_json_writer *w)
{
    sonde_json_key(w, SONDE_STR("shared"));
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("frames"));
    sonde_json_begin_array(w);
    for (size_t k = 0; k < len; k++) {
        const flame *f = flames[k];

        for (uint32_t i = 1; i < f->tree.frames_len; i++) {
            sonde_str object = sonde_flame_object(&f->tree, i);

            sonde_json_begin_object(w);
            sonde_json_put_str(w, "name", sonde_flame_name(&f->tree, i));
            if (object.len)
                sonde_json_put_str(w, "file", object);
            sonde_json_end_object(w);
        }
    }
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

/* The way from the root as indices of frames. */
static void write_stack(const flame *f, uint32_t node, uint32_t first, uint32_t *room,
                        sonde_json_writer *w)
{
    size_t len = 0;

    for (; node; node = f->tree.nodes[node].parent)
        room[len++] = first + f->tree.nodes[node].frame - 1;
    sonde_json_begin_array(w);
    while (len-- > 0)
        sonde_json_u64(w, room[len]);
    sonde_json_end_array(w);
}

static void write_profile(const flame *f, uint32_t first, uint32_t *room, sonde_json_writer *w)
{
    int64_t sum = 0;

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "type", SONDE_STR("sampled"));
    sonde_json_put_str(w, "name", f->type);
    sonde_json_put_str(w, "unit", unit_of(f));
    sonde_json_put_i64(w, "startValue", 0);
    sonde_json_key(w, SONDE_STR("samples"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.nodes_len; i++)
        if (flame_self(f, i, 0) > 0)
            write_stack(f, i, first, room, w);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("weights"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.nodes_len; i++) {
        if (flame_self(f, i, 0) <= 0)
            continue;
        sonde_json_i64(w, flame_self(f, i, 0));
        sum += flame_self(f, i, 0);
    }
    sonde_json_end_array(w);
    sonde_json_put_i64(w, "endValue", sum);
    sonde_json_end_object(w);
}

void export_speedscope(const flame *const *flames, size_t len, sonde_str name, sonde_buf *out)
{
    sonde_json_writer w;
    uint32_t first = 0, most = 1, *room;

    for (size_t k = 0; k < len; k++)
        most = flames[k]->tree.nodes_len > most ? flames[k]->tree.nodes_len : most;
    room = sonde_calloc(most, sizeof(*room));
    if (!room) {
        out->status = SONDE_ERR_NOMEM;
        return;
    }
    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "$schema", SONDE_STR(SCHEMA));
    sonde_json_put_str(&w, "version", SONDE_STR("0.0.1"));
    sonde_json_put_str(&w, "exporter", SONDE_STR("sonde@" SONDE_VERSION));
    sonde_json_put_str(&w, "name", name);
    sonde_json_put_i64(&w, "activeProfileIndex", 0);
    write_frames(flames, len, &w);
    sonde_json_key(&w, SONDE_STR("profiles"));
    sonde_json_begin_array(&w);
    for (size_t k = 0; k < len; k++) {
        write_profile(flames[k], first, room, &w);
        first += flames[k]->tree.frames_len - 1;
    }
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
    sonde_buf_append_byte(out, '\n');
    sonde_free(room);
}
