/* later.c - requests whose handler returned HTTP_LATER: suspended until somebody answers.
 *
 *   NONE ──handler returned──▶ WAITING ──answer──▶ ANSWERED
 *     │                           └──server closes──▶ DETACHED
 *     └──answer, before the handler returned──▶ ANSWERED
 *
 * libmicrohttpd's suspend and resume call nothing of ours, so they may run under the lock; that makes
 * an answer that comes before the handler has returned an ordinary case. */
#include <microhttpd.h>

#include "net/server/internal.h"

static void waiting_add(http_request *r)
{
    http_server *s = r->server;

    r->next_waiting = s->waiting;
    if (s->waiting)
        s->waiting->prev_waiting = r;
    s->waiting = r;
}

static void waiting_remove(http_request *r)
{
    if (r->prev_waiting)
        r->prev_waiting->next_waiting = r->next_waiting;
    else
        r->server->waiting = r->next_waiting;
    if (r->next_waiting)
        r->next_waiting->prev_waiting = r->prev_waiting;
    r->prev_waiting = r->next_waiting = NULL;
}

bool later_wait(http_request *r)
{
    http_server *s = r->server;
    bool answered;

    sonde_mutex_lock(&s->mu);
    answered = r->later == LATER_ANSWERED;
    if (!answered) {
        r->later = LATER_WAITING;
        waiting_add(r);
        MHD_suspend_connection(r->connection);
    }
    sonde_mutex_unlock(&s->mu);
    return !answered;
}

bool later_is_detached(http_request *r)
{
    bool detached;

    sonde_mutex_lock(&r->server->mu);
    detached = r->later == LATER_DETACHED;
    sonde_mutex_unlock(&r->server->mu);
    return detached;
}

void later_detach_all(http_server *s)
{
    sonde_mutex_lock(&s->mu);
    while (s->waiting) {
        http_request *r = s->waiting;

        waiting_remove(r);
        r->later = LATER_DETACHED;
        MHD_resume_connection(r->connection);
    }
    sonde_mutex_unlock(&s->mu);
}

http_response *http_later_response(http_request *r)
{
    return &r->response;
}

void http_later_answer(http_request *r)
{
    http_server *s = r->server;
    request_later was;

    sonde_mutex_lock(&s->mu);
    was = r->later;
    if (was == LATER_WAITING)
        waiting_remove(r);
    if (was != LATER_DETACHED)
        r->later = LATER_ANSWERED;
    if (was == LATER_WAITING)
        MHD_resume_connection(r->connection);
    sonde_mutex_unlock(&s->mu);
    request_put(r);
}
