/* profile_file.c - merged profiles as files other programs open: pprof, collapsed stacks, speedscope, a page.
 *
 * Source    docs/spec/sonde-api.md, "Profiles" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "dashboards/ui/ui_files.h"
#include "profile_views.h"

#define PAGE_PATH      "/ui/flamegraph.html"
#define PAGE_DATA      "\"@PROFILE@\""
#define PAGE_MAX_BYTES (1u * 1024 * 1024)

/* ---- collapsed: "root;child;leaf 42" ---- */

/* What separates frames and lines has no place in a name. */
static void append_name(sonde_buf *out, sonde_str name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        sonde_buf_append_byte(out, (uint8_t)(c == ';' ? ':' : (unsigned char)c < ' ' ? ' ' : c));
    }
}

/* Nodes from below the root to `node`; the path is FLAMETREE_DEPTH_MAX long. */
static size_t path_to(const flametree *f, size_t node, uint32_t path[FLAMETREE_DEPTH_MAX])
{
    size_t depth = f->tree.nodes[node].depth, i;

    for (i = depth; i-- > 0; node = f->tree.nodes[node].parent)
        path[i] = f->tree.nodes[node].frame;
    return depth;
}

static void write_collapsed(const flametree *f, size_t column, sonde_buf *out)
{
    uint32_t path[FLAMETREE_DEPTH_MAX];
    size_t i, k, depth;

    for (i = 1; i < f->tree.nodes_len; i++) {
        if (flametree_self(f, i, column) == 0)
            continue;
        depth = path_to(f, i, path);
        for (k = 0; k < depth; k++) {
            if (k)
                sonde_buf_append_byte(out, ';');
            append_name(out, sonde_flame_name(&f->tree, path[k]));
        }
        sonde_buf_printf(out, " %lld\n", (long long)flametree_self(f, i, column));
    }
}

/* ---- speedscope ---- */

static sonde_str speedscope_unit(sonde_str unit)
{
    static const char *const known[] = { "nanoseconds", "microseconds", "milliseconds", "seconds",
                                         "bytes" };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sonde_str_eq(unit, sonde_str_from(known[i])))
            return sonde_str_from(known[i]);
    return SONDE_STR("none");
}

static void write_scope_frames(const flametree *f, sonde_json_writer *w)
{
    size_t i;

    sonde_json_key(w, SONDE_STR("shared"));
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("frames"));
    sonde_json_begin_array(w);
    for (i = 1; i < f->tree.frames_len; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "name", sonde_flame_name(&f->tree, i));
        if (sonde_flame_file(&f->tree, i).len)
            sonde_json_put_str(w, "file", sonde_flame_file(&f->tree, i));
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

static void write_scope_stack(const flametree *f, size_t node, sonde_json_writer *w)
{
    uint32_t path[FLAMETREE_DEPTH_MAX];
    size_t k, depth = path_to(f, node, path);

    sonde_json_begin_array(w);
    for (k = 0; k < depth; k++)
        sonde_json_u64(w, path[k] - 1);
    sonde_json_end_array(w);
}

static void write_scope_profile(const flametree *f, size_t column, const pprof_type *type,
                                sonde_json_writer *w)
{
    size_t i;

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "type", SONDE_STR("sampled"));
    sonde_json_put_str(w, "name", type->type);
    sonde_json_put_str(w, "unit", speedscope_unit(type->unit));
    sonde_json_put_i64(w, "startValue", 0);
    sonde_json_put_i64(w, "endValue", f->totals[column]);
    sonde_json_key(w, SONDE_STR("samples"));
    sonde_json_begin_array(w);
    for (i = 1; i < f->tree.nodes_len; i++)
        if (flametree_self(f, i, column))
            write_scope_stack(f, i, w);
    sonde_json_end_array(w);
    sonde_json_key(w, SONDE_STR("weights"));
    sonde_json_begin_array(w);
    for (i = 1; i < f->tree.nodes_len; i++)
        if (flametree_self(f, i, column))
            sonde_json_i64(w, flametree_self(f, i, column));
    sonde_json_end_array(w);
    sonde_json_end_object(w);
}

static void write_speedscope(const profile_answer *x, sonde_str name, sonde_buf *out)
{
    sonde_json_writer w;
    size_t c;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "$schema",
                       SONDE_STR("https://www.speedscope.app/file-format-schema.json"));
    sonde_json_put_str(&w, "version", SONDE_STR("0.0.1"));
    sonde_json_put_str(&w, "name", name);
    sonde_json_put_str(&w, "exporter", SONDE_STR("sonde"));
    sonde_json_put_u64(&w, "activeProfileIndex",
                       (uint64_t)(profiles_default_type(&x->list) - x->list.types));
    write_scope_frames(&x->flame, &w);
    sonde_json_key(&w, SONDE_STR("profiles"));
    sonde_json_begin_array(&w);
    for (c = 0; c < x->flame.tree.columns; c++)
        write_scope_profile(&x->flame, c, &x->list.types[c], &w);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
}

/* ---- a page ---- */

static sonde_status read_page(sonde_buf *out)
{
    size_t i;

    for (i = 0; i < ui_files_len; i++) {
        const ui_file *file = &ui_files[i];
        sonde_str data = { (const char *)file->data, file->len };

        if (strcmp(file->path, PAGE_PATH) != 0)
            continue;
        if (file->gzip)
            return sonde_decompress(SONDE_ENCODING_GZIP, data, out);
        sonde_buf_append_str(out, data);
        return out->status;
    }
    return SONDE_ERR_NOT_FOUND;
}

static sonde_status write_page(const profile_answer *x, const profile_request *q, sonde_str name,
                               sonde_buf *out)
{
    sonde_json_writer w;
    sonde_buf page;
    sonde_str text;
    size_t at;
    sonde_status status;

    sonde_buf_init(&page, PAGE_MAX_BYTES);
    status = read_page(&page);
    text = sonde_buf_str(&page);
    if (status == SONDE_OK && !sonde_str_find(text, SONDE_STR(PAGE_DATA), &at))
        status = SONDE_ERR_SYNTAX;
    if (status == SONDE_OK) {
        sonde_buf_append_str(out, sonde_str_sub(text, 0, at));
        sonde_json_writer_init(&w, out);
        w.escape_html = true; /* no name ends the script */
        sonde_json_begin_object(&w);
        sonde_json_put_str(&w, "name", name);
        profile_write_about(&w, x, q);
        status = profile_write_tree(&x->flame, q, &w);
        sonde_json_end_object(&w);
        sonde_buf_append_str(out, sonde_str_sub(text, at + sizeof(PAGE_DATA) - 1, text.len));
    }
    sonde_buf_done(&page);
    return status;
}

/* ---- the answer ---- */

typedef enum file_format { FILE_PPROF, FILE_COLLAPSED, FILE_SPEEDSCOPE, FILE_HTML } file_format;

static const struct {
    const char *name, *content_type, *extension;
} formats[] = {
    [FILE_PPROF] = { "pprof", "application/octet-stream", "pb.gz" },
    [FILE_COLLAPSED] = { "collapsed", "text/plain; charset=utf-8", "collapsed.txt" },
    [FILE_SPEEDSCOPE] = { "speedscope", "application/json", "speedscope.json" },
    [FILE_HTML] = { "html", "text/html; charset=utf-8", "html" },
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

/* The service, as far as it is fit for a file name. */
static void file_name(sonde_str service, file_format format, char *out, size_t size)
{
    char safe[64];
    size_t i, len = 0;

    for (i = 0; i < service.len && len < sizeof(safe) - 1; i++) {
        char c = service.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';

        safe[len++] = plain ? c : '_';
    }
    safe[len] = '\0';
    snprintf(out, size, "attachment; filename=\"%s.%s\"", len ? safe : "profile",
             formats[format].extension);
}

static sonde_status gzip(sonde_buf *message, http_response *response)
{
    if (message->status != SONDE_OK)
        return message->status;
    return sonde_compress(SONDE_ENCODING_GZIP, 0, sonde_buf_str(message), &response->body);
}

/* One profile goes out as it came in. */
static sonde_status write_stored(store_reader *r, const profile_request *q, http_response *response)
{
    sonde_buf message;
    sonde_status status;

    sonde_buf_init(&message, 64u * 1024 * 1024);
    status = store_read_profile(r, q->selection.day, q->selection.id, &message);
    if (status == SONDE_OK)
        status = gzip(&message, response);
    sonde_buf_done(&message);
    return status;
}

static sonde_status write_pprof(const profile_answer *x, http_response *response)
{
    const profile_list *l = &x->list;
    int64_t start = l->len ? l->items[0].start_unix_ns : 0, end = start;
    sonde_buf message;
    sonde_status status;
    size_t i;

    for (i = 0; i < l->len; i++) {
        start = l->items[i].start_unix_ns < start ? l->items[i].start_unix_ns : start;
        end = l->items[i].end_unix_ns > end ? l->items[i].end_unix_ns : end;
    }
    sonde_buf_init(&message, 64u * 1024 * 1024);
    profile_write_pprof(&x->flame, l->types, start, end, &message);
    status = gzip(&message, response);
    sonde_buf_done(&message);
    return status;
}

static sonde_status write_file(profile_answer *x, const profile_request *q, file_format format,
                               http_response *response)
{
    sonde_str name = q->selection.query.service;

    if (name.len == 0 && x->list.len)
        name = x->list.items[0].service;
    switch (format) {
    case FILE_PPROF:
        return write_pprof(x, response);
    case FILE_COLLAPSED:
        write_collapsed(&x->flame, 0, &response->body);
        break;
    case FILE_SPEEDSCOPE:
        write_speedscope(x, name, &response->body);
        break;
    case FILE_HTML:
        return write_page(x, q, name, &response->body);
    }
    return response->body.status;
}

sonde_status profile_answer_download(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .timed_out = false };
    char disposition[160];
    size_t format;
    sonde_status status;

    for (format = 0; format < FORMATS; format++)
        if (sonde_str_eq(q->format, sonde_str_from(formats[format].name)))
            break;
    if (format == FORMATS) {
        api_error(response, 400, "format: must be pprof, collapsed, speedscope or html");
        return SONDE_OK;
    }
    if (format == FILE_PPROF && q->selection.day) {
        status = write_stored(r, q, response);
    } else {
        x.all_types = format == FILE_PPROF || format == FILE_SPEEDSCOPE;
        status = profile_request_run(r, q, &x);
        if (status == SONDE_OK && x.list.len == 0)
            status = SONDE_ERR_NOT_FOUND;
        if (status == SONDE_OK)
            status = write_file(&x, q, (file_format)format, response);
        profile_answer_done(&x);
    }
    if (status != SONDE_OK)
        return status;
    file_name(q->selection.query.service, (file_format)format, disposition, sizeof(disposition));
    response->content_type = formats[format].content_type;
    http_response_header(response, "Content-Disposition", disposition);
    http_response_header(response, "Cache-Control", "no-store");
    http_response_header(response, "X-Content-Type-Options", "nosniff");
    return SONDE_OK;
}
