/* ship.c - a queue and a worker thread; each job carries a context handle, so that its span joins the trace of the order. */
#include "ship.h"

#include <pthread.h>

#include <sonde/sonde.h>

#include "database.h"

#define WAITING_MAX 256

typedef struct job {
    int64_t order;
    sonde_context *context; /* a handle: keeps the trace, not the request's life */
} job;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    job waiting[WAITING_MAX]; /* ring; guarded by mutex, like all below */
    unsigned first, count;
    int stopping, running;
    pthread_t thread;
} queue = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void ship(job *j)
{
    SONDE_ATTACH(j->context);
    SONDE_SPAN_WITH(span, "order.ship", &(sonde_span_options){ .type = "worker" });

    sonde_span_set_int(span, "order.id", j->order);
    db_query("UPDATE orders SET status = 1 WHERE id = ?1", j->order, 0, NULL);
    sonde_context_release(j->context);
}

/* 0 when the queue is empty and closed. */
static int take(job *out_job)
{
    int got;

    pthread_mutex_lock(&queue.mutex);
    while (queue.count == 0 && !queue.stopping)
        pthread_cond_wait(&queue.changed, &queue.mutex);
    got = queue.count > 0;
    if (got) {
        *out_job = queue.waiting[queue.first];
        queue.first = (queue.first + 1) % WAITING_MAX;
        queue.count--;
    }
    pthread_mutex_unlock(&queue.mutex);
    return got;
}

static void *work(void *unused)
{
    job j;

    (void)unused;
    while (take(&j))
        ship(&j);
    return NULL;
}

int ship_start(void)
{
    queue.running = pthread_create(&queue.thread, NULL, work, NULL) == 0;
    return queue.running ? 0 : -1;
}

void ship_later(int64_t order)
{
    job j = { .order = order, .context = sonde_context_current() };
    int queued;

    pthread_mutex_lock(&queue.mutex);
    queued = queue.count < WAITING_MAX;
    if (queued)
        queue.waiting[(queue.first + queue.count++) % WAITING_MAX] = j;
    pthread_mutex_unlock(&queue.mutex);
    if (queued)
        pthread_cond_signal(&queue.changed);
    else
        ship(&j);
}

void ship_stop(void)
{
    if (!queue.running)
        return;
    pthread_mutex_lock(&queue.mutex);
    queue.stopping = 1;
    pthread_mutex_unlock(&queue.mutex);
    pthread_cond_signal(&queue.changed);
    pthread_join(queue.thread, NULL);
    queue.running = 0;
}
