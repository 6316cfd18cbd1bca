/* 05_threads.c - work that goes on elsewhere: a context is kept with the job and attached there. */
#include <pthread.h>
#include <stdio.h>

#include <sonde/sonde.h>

typedef struct job {
    int number;
    sonde_context *context;
} job;

static void *run_job(void *arg)
{
    job *j = (job *)arg;
    SONDE_ATTACH(j->context);
    SONDE_SPAN(span, "order.ship"); /* child of order.place, which has long finished */

    sonde_span_set_int(span, "order.number", j->number);
    sonde_context_release(j->context);
    return NULL;
}

static void place_order(job *j)
{
    SONDE_SPAN(span, "order.place");

    sonde_span_set_int(span, "order.number", j->number);
    j->context = sonde_context_current(); /* keeps the trace, not this span's life */
}

int main(void)
{
    pthread_t worker;
    job j = { .number = 7, .context = NULL };

    sonde_start(NULL);
    place_order(&j);
    if (pthread_create(&worker, NULL, run_job, &j) == 0)
        (void)pthread_join(worker, NULL);
    puts("placed here, shipped on another thread");
    sonde_stop();
    return 0;
}
