/* 03_links_events.c - a batch that links to the jobs it was made of, and events with typed attributes. */
#include <stdio.h>

#include <sonde/sonde.h>

typedef struct job {
    const char *name;
    sonde_context *context; /* of the span that queued it */
} job;

static void queue_job(job *j, const char *name)
{
    SONDE_SPAN(span, "job.queue");

    j->name = name;
    j->context = sonde_context_current();
}

static void run_batch(job *jobs, uint32_t count)
{
    SONDE_SPAN(span, "batch.run");
    uint32_t i;

    for (i = 0; i < count; i++) {
        const sonde_attribute what[] = { sonde_attr_str("job.name", jobs[i].name),
                                         sonde_attr_int("job.number", i) };

        sonde_span_add_link(
            span,
            &(sonde_link){ .context = jobs[i].context, .attributes = what, .attributes_len = 2 });
        sonde_span_add_event(span, "job.done", what, 2);
        sonde_context_release(jobs[i].context);
    }
}

int main(void)
{
    job jobs[2];

    sonde_start(NULL);
    queue_job(&jobs[0], "thumbnail");
    queue_job(&jobs[1], "mail");
    run_batch(jobs, 2);
    sonde_stop();
    printf("2 jobs in one batch\n");
    return 0;
}
