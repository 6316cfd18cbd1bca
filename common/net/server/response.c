/* response.c - filling a response. */
#include <stdio.h>
#include <string.h>

#include "net/server/internal.h"

void http_response_header(http_response *r, const char *name, const char *value)
{
    if (r->headers_len == HTTP_RESPONSE_HEADERS_MAX)
        return;
    r->headers[r->headers_len].name = name;
    (void)snprintf(r->headers[r->headers_len].value, sizeof(r->headers[0].value), "%s", value);
    r->headers_len++;
}

void http_response_text(http_response *r, unsigned status, const char *text)
{
    r->status = status;
    r->content_type = "text/plain; charset=utf-8";
    r->static_body = (sonde_str){ NULL, 0 };
    sonde_buf_reset(&r->body);
    sonde_buf_append(&r->body, text, strlen(text));
}
