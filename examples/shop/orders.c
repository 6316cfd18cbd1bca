/* orders.c - keeps orders in SQLite, takes the money, and ships on another thread.
 *
 *   shop-orders [port [database]]
 *
 * Shows: spans around a database, errors, and a context handle that carries a trace to another thread (ship.c).
 * Every 50th order fails (the payment provider times out), every 100th is slow (a full scan). */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "database.h"
#include "ship.h"
#include "web.h"

#define FAILS_EVERY   50
#define SLOW_EVERY    100
#define STATUS_PLACED 0

static _Atomic uint64_t placed;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Stands for a call to a payment provider. */
static int charge(uint64_t number, uint64_t cents)
{
    SONDE_SPAN(span, "payment.charge");
    sonde_span_set_int(span, "payment.cents", (int64_t)cents);

    if (number % FAILS_EVERY == 7) {
        pause_ms(12);
        return sonde_span_error(span, "payment.timeout",
                                "the provider did not answer within 12 ms"),
               -1;
    }
    pause_ms(1);
    return 0;
}

static void place(const web_request *request, web_reply *reply)
{
    uint64_t number = atomic_fetch_add_explicit(&placed, 1, memory_order_relaxed);
    uint64_t customer = web_argument(request, "customer", 0);
    uint64_t lines = web_argument(request, "lines", 1);
    int64_t price = 0, id = 0;

    sonde_span_set_int(request->span, "order.lines", (int64_t)lines);
    if (number % SLOW_EVERY == 31)
        db_query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
                 "SELECT count(*) FROM n WHERE i % 7 = ?1 % 7",
                 (int64_t)customer, 0, &price);
    db_query("SELECT cents FROM product WHERE id = 1 + ?1 % 100", (int64_t)customer, 0, &price);

    if (charge(number, (uint64_t)price * lines) != 0) {
        reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        snprintf(reply->body, sizeof(reply->body), "{\"error\":\"payment failed\"}\n");
        return;
    }
    if (db_query("INSERT INTO orders (customer, cents, status) VALUES (?1, ?2, 0) RETURNING id",
                 (int64_t)customer, price * (int64_t)lines, &id) != 0) {
        reply->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        return;
    }
    sonde_span_set_int(request->span, "order.id", id);
    ship_later(id);
    reply->status = MHD_HTTP_CREATED;
    snprintf(reply->body, sizeof(reply->body), "{\"id\":%" PRId64 ",\"cents\":%" PRId64 "}\n", id,
             price * (int64_t)lines);
}

static void look_up(const web_request *request, web_reply *reply)
{
    uint64_t id = web_number(request->path + strlen("/orders/"), 0);
    int64_t cents = 0;

    sonde_span_set_int(request->span, "order.id", (int64_t)id);
    if (db_query("SELECT cents FROM orders WHERE id = ?1", (int64_t)id, 0, &cents) != 0) {
        reply->status = MHD_HTTP_NOT_FOUND;
        snprintf(reply->body, sizeof(reply->body), "{\"error\":\"no such order\"}\n");
        return;
    }
    reply->status = MHD_HTTP_OK;
    snprintf(reply->body, sizeof(reply->body), "{\"id\":%" PRIu64 ",\"cents\":%" PRId64 "}\n", id,
             cents);
}

static void handle(const web_request *request, web_reply *reply)
{
    if (strcmp(request->method, "POST") == 0 && strcmp(request->path, "/orders") == 0) {
        sonde_span_set_resource(request->span, "POST /orders");
        place(request, reply);
    } else if (strcmp(request->method, "GET") == 0 && strncmp(request->path, "/orders/", 8) == 0) {
        sonde_span_set_resource(request->span, "GET /orders/{id}");
        look_up(request, reply);
    }
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)web_number(argc > 1 ? argv[1] : NULL, 8132);
    char counters[512];
    int failed = 1;

    web_block_signals();
    sonde_start(NULL); /* DD_SERVICE, DD_ENV, DD_TRACE_AGENT_URL, ... */
    if (db_open(argc > 2 ? argv[2] : "") == 0 && ship_start() == 0)
        failed = web_serve(port, handle);
    ship_stop(); /* ships what waits, so its spans are sent too */
    db_close();
    sonde_stop();

    web_counters_json(counters, sizeof(counters));
    fputs(counters, stdout);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
