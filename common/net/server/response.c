/* response.c - filling a response. */
#include <stdio.h>
#include <string.h>

#include "net/server/internal.h"

void http_response_header(http_response *r, const char *name, const char *value)
{
    size_t i = 0;

    while (i < r->headers_len && strcmp(r->headers[i].name, name) != 0)
        i++;
    if (i == HTTP_RESPONSE_HEADERS_MAX)
        return;
    r->headers[i].name = name;
    (void)snprintf(r->headers[i].value, sizeof(r->headers[i].value), "%s", value);
    if (i == r->headers_len)
        r->headers_len++;
}

void http_response_text(http_response *r, unsigned status, const char *text)
{
    r->status = status;
    r->content_type = "text/plain; charset=utf-8";
    if (status >= 400) /* an error may repeat what the client sent */
        http_response_header(r, "X-Content-Type-Options", "nosniff");
    r->static_body = (sonde_str){ NULL, 0 };
    sonde_buf_reset(&r->body);
    sonde_buf_append(&r->body, text, strlen(text));
}
