/* ui_routes.c - requests no route knows: files of the UI, its start page, and the rest. */
#include <stdlib.h>
#include <string.h>

#include "codec/compress/compress.h"
#include "dashboards/ui/ui_files.h"
#include "internal.h"

static int path_order(const void *key, const void *file)
{
    return sonde_str_cmp(*(const sonde_str *)key, sonde_str_from(((const ui_file *)file)->path));
}

static const ui_file *find_file(sonde_str path)
{
    return (const ui_file *)bsearch(&path, ui_files, ui_files_len, sizeof(ui_files[0]), path_order);
}

static void add_headers(http_response *response, const ui_file *f)
{
    http_response_header(response, "ETag", f->etag);
    http_response_header(response, "Cache-Control", "no-cache"); /* ask, 304 is cheap */
    http_response_header(response, "X-Content-Type-Options", "nosniff");
    http_response_header(response, "Referrer-Policy", "no-referrer");
    http_response_header(response, "Content-Security-Policy",
                         "default-src 'none'; script-src 'self'; style-src 'self'; "
                         "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
                         "form-action 'none'; frame-ancestors 'none'");
}

static void serve(const ui_file *f, const http_request *request, http_response *response)
{
    sonde_str data = { (const char *)f->data, f->len };
    size_t at;

    add_headers(response, f);
    if (sonde_str_eq(http_request_header(request, "If-None-Match"), sonde_str_from(f->etag))) {
        response->status = 304;
        return;
    }
    response->content_type = f->content_type;
    if (!f->gzip) {
        response->static_body = data;
    } else if (sonde_str_find(http_request_header(request, "Accept-Encoding"), SONDE_STR("gzip"),
                              &at)) {
        http_response_header(response, "Content-Encoding", "gzip");
        response->static_body = data;
    } else if (sonde_decompress(SONDE_ENCODING_GZIP, data, &response->body) != SONDE_OK) {
        api_error(response, 500, "out of memory");
    }
}

static void serve_ui(sonde_str path, const http_request *request, http_response *response)
{
    const ui_file *f = find_file(path);

    /* Everything else is a screen of the UI, which reads the path itself; a missing module is not. */
    if (!f && !sonde_str_starts(path, SONDE_STR("/ui/")))
        f = find_file(SONDE_STR("/index.html"));
    if (f)
        serve(f, request, response);
    else
        api_error(response, 404, "not found");
}

http_result main_other(void *user, http_request *request, http_response *response)
{
    intake_main *m = (intake_main *)user;
    sonde_str method = http_request_method(request), path = http_request_path(request);

    response->status = 200; /* the server has prepared its own 404 */
    response->content_type = NULL;
    sonde_buf_reset(&response->body);
    if (sonde_str_eq(method, SONDE_STR("POST")) || sonde_str_eq(method, SONDE_STR("PUT")))
        intake_ignore(m->intake, response);
    else if (!sonde_str_eq(method, SONDE_STR("GET")) && !sonde_str_eq(method, SONDE_STR("HEAD")))
        api_error(response, 405, "method not allowed");
    else if (sonde_str_starts(path, SONDE_STR("/api/")))
        api_error(response, 404, "not found");
    else
        serve_ui(path, request, response);
    return HTTP_DONE;
}
