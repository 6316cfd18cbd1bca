/* profile_file.c - merged profiles as files other programs open: pprof, collapsed stacks, speedscope, a page.
 *
 * Source    docs/spec/sonde-api.md, "Profiles" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "dashboards/ui/ui_files.h"
#include "flame/export.h"
#include "profile_views.h"

#define PAGE_PATH      "/ui/flamegraph.html"
#define PAGE_DATA      "\"@PROFILE@\""
#define PAGE_MAX_BYTES (1u * 1024 * 1024)

/* ---- speedscope ---- */

static void write_speedscope(const profile_answer *x, sonde_str name, sonde_buf *out)
{
    const profile_list *l = &x->list;
    sonde_flame_column columns[PROFILES_TYPES_MAX];
    size_t c;

    for (c = 0; c < l->types_len; c++)
        columns[c] = (sonde_flame_column){ .tree = &x->flame.tree,
                                           .column = (uint32_t)c,
                                           .type = l->types[c].type,
                                           .unit = l->types[c].unit };
    sonde_flame_speedscope(columns, l->types_len, (size_t)(profiles_default_type(l) - l->types),
                           name, out);
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

static sonde_status write_pprof(const profile_answer *x, const profile_request *q,
                                http_response *response)
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
    profile_write_pprof(&x->flame, l->types, !q->filter.inverted, start, end, &message);
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
        return write_pprof(x, q, response);
    case FILE_COLLAPSED:
        sonde_flame_folded(&x->flame.tree, 1, &response->body);
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
        x.keeps_labels = format == FILE_PPROF;
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
