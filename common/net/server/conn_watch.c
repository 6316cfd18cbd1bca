/* conn_watch.c - two queues of connections in deadline order and the thread that watches their heads. */
#include "net/server/conn_watch.h"

#include <pthread.h>
#include <stddef.h>

#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/thread.h"

#define WATCH_STACK_BYTES (64 * 1024)

struct conn_watch {
    sonde_mutex mu; /* guards everything below and every entry */
    pthread_cond_t wake;
    conn_watch_entry *head[CONN_PHASES], *tail[CONN_PHASES];
    uint64_t timeout_ns[CONN_PHASES]; /* 0: not watched */
    uint64_t sleeps_until_mono_ns;
    pthread_t thread;
    bool started;
    bool closing;
};

static const sonde_str answer_408 = {
    "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; "
    "charset=utf-8\r\n"
    "Content-Length: 8\r\n\r\ntimeout\n",
    sizeof("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; "
           "charset=utf-8\r\nContent-Length: 8\r\n\r\ntimeout\n") -
        1
};

static void unlink_entry(conn_watch *w, conn_watch_entry *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else if (w->head[e->phase] == e)
        w->head[e->phase] = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else if (w->tail[e->phase] == e)
        w->tail[e->phase] = e->prev;
    e->prev = e->next = NULL;
    e->phase = CONN_BUSY;
}

static void append_entry(conn_watch *w, conn_watch_entry *e, conn_phase phase)
{
    e->phase = phase;
    e->prev = w->tail[phase];
    if (e->prev)
        e->prev->next = e;
    else
        w->head[phase] = e;
    w->tail[phase] = e;
}

static void expire(conn_watch *w, conn_watch_entry *e)
{
    bool answer = e->phase == CONN_READING && e->head_read;

    unlink_entry(w, e);
    e->expired = true;
    if (answer)
        (void)send(e->fd, answer_408.ptr, answer_408.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(e->fd, SHUT_RDWR);
}

/* Ends what is due and returns when the next is. */
static uint64_t expire_due(conn_watch *w, uint64_t now_mono_ns)
{
    uint64_t next = UINT64_MAX;
    int phase;

    for (phase = 0; phase < CONN_PHASES; phase++) {
        while (w->head[phase] && w->head[phase]->deadline_mono_ns <= now_mono_ns)
            expire(w, w->head[phase]);
        if (w->head[phase] && w->head[phase]->deadline_mono_ns < next)
            next = w->head[phase]->deadline_mono_ns;
    }
    return next;
}

static void *run_watch(void *arg)
{
    conn_watch *w = arg;

    sonde_mutex_lock(&w->mu);
    while (!w->closing) {
        w->sleeps_until_mono_ns = expire_due(w, sonde_mono_ns());
        sonde_cond_wait_until(&w->wake, &w->mu, w->sleeps_until_mono_ns);
    }
    sonde_mutex_unlock(&w->mu);
    return NULL;
}

sonde_status conn_watch_open(const conn_watch_options *options, conn_watch **out_watch)
{
    conn_watch *w = sonde_calloc(1, sizeof(*w));
    sonde_status status;

    if (!w)
        return SONDE_ERR_NOMEM;
    sonde_mutex_init(&w->mu, SONDE_RANK_POOL);
    sonde_cond_init(&w->wake);
    w->timeout_ns[CONN_READING] = options->read_timeout_ns;
    w->timeout_ns[CONN_IDLE] = options->idle_timeout_ns;
    w->sleeps_until_mono_ns = UINT64_MAX;
    status = sonde_thread_start(&w->thread, options->name, WATCH_STACK_BYTES, run_watch, w);
    w->started = status == SONDE_OK;
    if (status != SONDE_OK) {
        conn_watch_close(w);
        return status;
    }
    *out_watch = w;
    return SONDE_OK;
}

void conn_watch_close(conn_watch *w)
{
    if (!w)
        return;
    if (w->started) {
        sonde_mutex_lock(&w->mu);
        w->closing = true;
        pthread_cond_signal(&w->wake);
        sonde_mutex_unlock(&w->mu);
        (void)pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->wake);
    sonde_mutex_done(&w->mu);
    sonde_free(w);
}

void conn_watch_set(conn_watch *w, conn_watch_entry *e, conn_phase phase)
{
    uint64_t now = phase == CONN_BUSY ? 0 : sonde_mono_ns();

    sonde_mutex_lock(&w->mu);
    unlink_entry(w, e);
    e->head_read = false;
    if (w->timeout_ns[phase] && !e->expired) {
        e->deadline_mono_ns = sonde_deadline(now, w->timeout_ns[phase]);
        append_entry(w, e, phase);
        if (e->deadline_mono_ns < w->sleeps_until_mono_ns) {
            w->sleeps_until_mono_ns = e->deadline_mono_ns;
            pthread_cond_signal(&w->wake);
        }
    }
    sonde_mutex_unlock(&w->mu);
}

void conn_watch_head_read(conn_watch *w, conn_watch_entry *e)
{
    sonde_mutex_lock(&w->mu);
    e->head_read = true;
    sonde_mutex_unlock(&w->mu);
}

void conn_watch_forget(conn_watch *w, conn_watch_entry *e)
{
    sonde_mutex_lock(&w->mu);
    unlink_entry(w, e);
    sonde_mutex_unlock(&w->mu);
}

bool conn_watch_expired(conn_watch *w, const conn_watch_entry *e)
{
    bool expired;

    sonde_mutex_lock(&w->mu);
    expired = e->expired;
    sonde_mutex_unlock(&w->mu);
    return expired;
}
