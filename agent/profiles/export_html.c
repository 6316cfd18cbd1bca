/* export_html.c - the page of flame.html with the flames in it, as JSON:
 *
 *   {"title","note","compared","flames":[{"type","unit","texts":[text...],
 *     "names":[its text...],"objects":[its text...],          of frame 0, 1, ...; 0 is none
 *     "up":[parent...],"frame":[...],"inlined":[0|1...],      of node 0, 1, ...; 0 is the root
 *     "self":[...],"after":[...],                             the same; "after" in a comparison
 *     "parts":[node, its thread's text, value, ...]}]}        what of "self" is whose, when threads are known
 */
#include "export.h"

#include <string.h>

#include "codec/json_write.h"

#include "flame_page.h"

static void write_texts(const flame *f, sonde_json_writer *w)
{
    sonde_json_key(w, SONDE_STR("texts"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.texts_len; i++)
        sonde_json_str(w, f->tree.texts[i]);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("names"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.frames_len; i++)
        sonde_json_u64(w, f->tree.frames[i].name);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("objects"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.frames_len; i++)
        sonde_json_u64(w, f->tree.frames[i].object);
    sonde_json_end_array(w);
}

static void write_nodes(const flame *f, sonde_json_writer *w)
{
    sonde_json_key(w, SONDE_STR("up"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.nodes_len; i++)
        sonde_json_u64(w, f->tree.nodes[i].parent);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("frame"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.nodes_len; i++)
        sonde_json_u64(w, f->tree.nodes[i].frame);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("inlined"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.nodes_len; i++)
        sonde_json_u64(w, f->tree.nodes[i].is_inlined);
    sonde_json_end_array(w);
}

static void write_values(const flame *f, const char *key, unsigned side, sonde_json_writer *w)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->tree.nodes_len; i++)
        sonde_json_i64(w, flame_self(f, i, side));
    sonde_json_end_array(w);
}

static void write_parts(const flame *f, sonde_json_writer *w)
{
    sonde_json_key(w, SONDE_STR("parts"));
    sonde_json_begin_array(w);
    for (uint32_t i = 0; i < f->parts_len; i++) {
        sonde_json_u64(w, f->parts[i].node);
        sonde_json_u64(w, f->parts[i].thread);
        sonde_json_i64(w, f->parts[i].value);
    }
    sonde_json_end_array(w);
}

static void write_flame(const flame *f, bool compared, sonde_json_writer *w)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "type", f->type);
    sonde_json_put_str(w, "unit", f->unit);
    write_texts(f, w);
    write_nodes(f, w);
    write_values(f, "self", 0, w);
    if (compared)
        write_values(f, "after", 1, w);
    if (f->parts_len)
        write_parts(f, w);
    sonde_json_end_object(w);
}

static void write_data(const flame *const *flames, size_t len, const export_page *page,
                       sonde_buf *out)
{
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "title", page->title);
    sonde_json_put_str(&w, "note", page->note);
    sonde_json_put_bool(&w, "compared", page->compared);
    sonde_json_key(&w, SONDE_STR("flames"));
    sonde_json_begin_array(&w);
    for (size_t k = 0; k < len; k++)
        write_flame(flames[k], page->compared, &w);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
}

/* No name may end the script element: '<' is only ever inside of strings. */
static void append_guarded(sonde_str json, sonde_buf *out)
{
    const char *at;

    while (json.len && (at = memchr(json.ptr, '<', json.len)) != NULL) {
        size_t before = (size_t)(at - json.ptr);

        sonde_buf_append_str(out, sonde_str_sub(json, 0, before));
        sonde_buf_append_str(out, SONDE_STR("\\u003c"));
        json = sonde_str_sub(json, before + 1, json.len);
    }
    sonde_buf_append_str(out, json);
}

void export_html(const flame *const *flames, size_t len, const export_page *page, sonde_buf *out)
{
    const sonde_str template = { (const char *)flame_page, flame_page_len };
    const sonde_str mark = SONDE_STR("{{profile}}");
    sonde_buf data;
    size_t at = 0;

    sonde_buf_init(&data, EXPORT_MAX_BYTES);
    write_data(flames, len, page, &data);
    if (data.status == SONDE_OK && !sonde_str_find(template, mark, &at))
        data.status = SONDE_ERR_STATE;
    if (data.status == SONDE_OK) {
        sonde_buf_append_str(out, sonde_str_sub(template, 0, at));
        append_guarded(sonde_buf_str(&data), out);
        sonde_buf_append_str(out, sonde_str_sub(template, at + mark.len, template.len));
    } else if (out->status == SONDE_OK) {
        out->status = data.status;
    }
    sonde_buf_done(&data);
}
