/* body.c - collects a request's body within two ceilings: the route's and the server's budget.
 *
 * Memory is charged to the budget before it is allocated, by capacity: one block of Content-Length
 * when the client declared it, else blocks that double from HTTP_BODY_FIRST_BYTES. */
#include <string.h>

#include "base/alloc.h"
#include "net/server/internal.h"

static bool budget_take(http_server *s, size_t bytes)
{
    _Atomic uint64_t *used = &s->counters.budget_used_bytes;
    uint64_t now = atomic_load_explicit(used, memory_order_relaxed);

    do {
        if (bytes > s->options.body_budget_bytes - now)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(used, &now, now + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* Of a body that is larger by `bytes`, still to come. */
static bool has_room(http_server *s, size_t bytes)
{
    const http_server_options *o = &s->options;
    uint64_t to_come = atomic_fetch_add_explicit(&s->to_come, bytes, memory_order_relaxed) + bytes;

    if (!o->has_room || o->has_room(o->has_room_user, (size_t)to_come))
        return true;
    atomic_fetch_sub_explicit(&s->to_come, bytes, memory_order_relaxed);
    return false;
}

static void come(http_server *s, size_t bytes)
{
    atomic_fetch_sub_explicit(&s->to_come, bytes, memory_order_relaxed);
}

static void budget_give(http_server *s, size_t bytes)
{
    atomic_fetch_sub_explicit(&s->counters.budget_used_bytes, bytes, memory_order_relaxed);
}

/* The body's block becomes `capacity` bytes, charged first. */
static sonde_status resize(http_body *body, size_t capacity)
{
    size_t more = capacity - body->charged;
    uint8_t *data;

    if (!budget_take(body->server, more))
        return SONDE_ERR_FULL;
    if (!has_room(body->server, more)) {
        budget_give(body->server, more);
        return SONDE_ERR_FULL;
    }
    data = sonde_realloc(body->data, capacity);
    if (!data) {
        come(body->server, more);
        budget_give(body->server, more);
        return SONDE_ERR_FULL;
    }
    body->data = data;
    body->charged = capacity;
    return SONDE_OK;
}

/* Doubles, but not beyond the route's ceiling. */
static size_t next_capacity(const http_body *body, size_t needed, size_t max)
{
    size_t capacity = body->charged ? body->charged : HTTP_BODY_FIRST_BYTES;

    while (capacity < needed)
        capacity = capacity > max / 2 ? max : capacity * 2;
    return capacity < max ? capacity : max;
}

void body_drop(http_body *body)
{
    sonde_free(body->data);
    if (body->charged) {
        come(body->server, body->charged - body->len);
        budget_give(body->server, body->charged);
    }
    body->data = NULL;
    body->len = 0;
    body->charged = 0;
}

sonde_status body_declare(http_request *r, uint64_t content_length)
{
    if (content_length > r->route->max_body_bytes) {
        if (!r->route->keep_start || content_length > HTTP_DRAIN_MAX_BYTES)
            return SONDE_ERR_TOO_BIG;
        content_length = r->route->max_body_bytes;
    }
    return content_length ? resize(&r->body, (size_t)content_length) : SONDE_OK;
}

/* What is beyond the ceiling does not count, where the start is wanted. */
static size_t keep_start(http_request *r, size_t len)
{
    size_t room = r->route->max_body_bytes - r->body.len;

    if (len <= room || !r->route->keep_start)
        return len;
    r->body_status = SONDE_ERR_TOO_BIG;
    r->drained_bytes += len - room;
    return room;
}

sonde_status body_append(http_request *r, const void *data, size_t len)
{
    http_body *body = &r->body;
    size_t max = r->route->max_body_bytes;
    sonde_status status = SONDE_OK;

    len = keep_start(r, len);
    if (len > max - body->len)
        status = SONDE_ERR_TOO_BIG;
    else if (len > body->charged - body->len)
        status = resize(body, next_capacity(body, body->len + len, max));
    if (status != SONDE_OK) {
        body_drop(body);
        return status;
    }
    memcpy(body->data + body->len, data, len);
    body->len += len;
    come(body->server, len);
    return SONDE_OK;
}

http_body http_request_take_body(http_request *r)
{
    http_body taken = r->body;

    r->body = (http_body){ .server = r->server };
    server_get(taken.server);
    return taken;
}

void http_body_release(http_body *body)
{
    http_server *s = body->server;

    if (!s)
        return;
    body_drop(body);
    body->server = NULL;
    server_put(s);
}
