/* web.h - what gateway and orders share: a traced HTTP server, its counters, numbers from the command line.
 *
 * Threads   one per connection (libmicrohttpd makes them), so a handler may block.
 */
#ifndef SHOP_WEB_H
#define SHOP_WEB_H

#include <stdint.h>

#include <microhttpd.h>
#include <sonde/sonde.h>

typedef struct web_request {
    struct MHD_Connection *connection; /* borrowed */
    const char *method;                /* "GET" */
    const char *path;                  /* "/orders/17" */
    sonde_span *span;                  /* of this request; active */
} web_request;

typedef struct web_reply {
    unsigned status;
    char body[512]; /* JSON */
} web_reply;

typedef void (*web_handler)(const web_request *request, web_reply *reply);

/* Serves on 127.0.0.1:`port` (0: any) until SIGTERM or SIGINT, then returns 0; -1 when it cannot listen.
 * Says where it listens on standard output.  GET /counters is answered here and not traced. */
int web_serve(uint16_t port, web_handler handler);

/* Blocks SIGTERM and SIGINT in this thread and those it starts: call it first in main(). */
void web_block_signals(void);

/* ?name=123; `otherwise` when absent or no number. */
uint64_t web_argument(const web_request *request, const char *name, uint64_t otherwise);

/* Digits only; `otherwise` for anything else. */
uint64_t web_number(const char *text, uint64_t otherwise);

/* http.status_code, and the error of a 5xx. */
void web_tag_status(sonde_span *span, unsigned status);

/* One JSON line: what this process produced and what became of it. */
void web_counters_json(char *out, size_t size);

#endif /* SHOP_WEB_H */
