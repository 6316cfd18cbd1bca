/* waiting.c - a list, and a thread that looks at its head while there is one.
 *
 * Deadlines are nearly in the order of the list, because all wait about equally long; one that is earlier than
 * those before it is met late by that much. */
#include "waiting.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread.h"

#define WAITING_STACK_BYTES (256u * 1024) /* answers are made here */

typedef struct guest {
    struct guest *next;
    uint64_t deadline_mono_ns;
    arrival a;
} guest;

struct waiting_room {
    waiting_options options;
    pthread_t thread;
    bool started;
    _Atomic size_t count;
    sonde_mutex mu; /* guards everything below */
    pthread_cond_t wake;
    guest *head, *tail;
    size_t bytes;
    bool closing;
};

static guest *first(waiting_room *w, bool *out_closing)
{
    guest *g;

    sonde_mutex_lock(&w->mu);
    while (!w->head && !w->closing)
        sonde_cond_wait_until(&w->wake, &w->mu, UINT64_MAX);
    g = w->head;
    *out_closing = w->closing;
    sonde_mutex_unlock(&w->mu);
    return g;
}

static void pause_a_little(waiting_room *w)
{
    sonde_mutex_lock(&w->mu);
    if (!w->closing)
        sonde_cond_wait_until(&w->wake, &w->mu, sonde_mono_ns() + WAITING_PAUSE_NS);
    sonde_mutex_unlock(&w->mu);
}

static void leave(waiting_room *w, guest *g)
{
    sonde_mutex_lock(&w->mu);
    w->head = g->next;
    if (!w->head)
        w->tail = NULL;
    w->bytes -= g->a.said.charged_bytes;
    atomic_fetch_sub_explicit(&w->count, 1, memory_order_relaxed);
    sonde_mutex_unlock(&w->mu);
    sonde_free(g);
}

static void *run(void *arg)
{
    waiting_room *w = arg;
    bool closing;
    guest *g;

    while ((g = first(w, &closing)) != NULL) {
        sonde_status status = w->options.offer(&g->a);

        if (status == SONDE_ERR_FULL && !closing && sonde_mono_ns() < g->deadline_mono_ns) {
            pause_a_little(w);
            continue;
        }
        w->options.settle(&g->a, status);
        leave(w, g);
    }
    return NULL;
}

sonde_status waiting_open(const waiting_options *options, waiting_room **out_waiting)
{
    waiting_room *w = sonde_calloc(1, sizeof(*w));
    sonde_status status;

    if (!w)
        return SONDE_ERR_NOMEM;
    w->options = *options;
    sonde_mutex_init(&w->mu, SONDE_RANK_ROOM);
    sonde_cond_init(&w->wake);
    status = sonde_thread_start(&w->thread, "agent-recv-wait", WAITING_STACK_BYTES, run, w);
    w->started = status == SONDE_OK;
    if (status != SONDE_OK) {
        waiting_close(w);
        return status;
    }
    *out_waiting = w;
    return SONDE_OK;
}

void waiting_close(waiting_room *w)
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

size_t waiting_count(const waiting_room *w)
{
    return w ? atomic_load_explicit(&w->count, memory_order_relaxed) : 0;
}

bool waiting_has_line(const waiting_room *w)
{
    return waiting_count(w) > 0;
}

/* At the end of the list; false: no room. */
static bool append(waiting_room *w, guest *g)
{
    size_t bytes = g->a.said.charged_bytes;
    bool fits;

    sonde_mutex_lock(&w->mu);
    fits =
        !w->closing &&
        (!w->head || (w->bytes < w->options.max_bytes && bytes <= w->options.max_bytes - w->bytes));
    if (fits) {
        if (w->tail)
            w->tail->next = g;
        else
            w->head = g;
        w->tail = g;
        w->bytes += bytes;
        atomic_fetch_add_explicit(&w->count, 1, memory_order_relaxed);
        pthread_cond_signal(&w->wake);
    }
    sonde_mutex_unlock(&w->mu);
    return fits;
}

bool waiting_enter(waiting_room *w, const arrival *a, uint64_t deadline_mono_ns)
{
    guest *g = w ? sonde_malloc(sizeof(*g)) : NULL;

    if (!g)
        return false;
    *g = (guest){ .deadline_mono_ns = deadline_mono_ns, .a = *a };
    if (append(w, g))
        return true;
    sonde_free(g);
    return false;
}
