/* priority.c - the priority sampler: a rate core keyed by service. */
#include "priority.h"

#include "limits.h"

void priority_init(priority_sampler *s, double target_per_s, double extra_rate, size_t max_services)
{
    rate_core_init(&s->core, target_per_s, extra_rate, SAMPLER_SIGNATURES_MAX);
    catalog_init(&s->services, max_services);
}

void priority_done(priority_sampler *s)
{
    rate_core_done(&s->core);
    catalog_done(&s->services);
}

static uint32_t count(priority_sampler *s, const trace_facts *t, bool *out_turned)
{
    uint32_t signature = catalog_see(&s->services, t->service, t->env);

    if (rate_core_count(&s->core, t->now_unix_s, signature, t->weight + t->p0_dropped))
        *out_turned = true;
    return signature;
}

bool priority_sample(priority_sampler *s, const trace_facts *t, int32_t priority, bool *out_turned,
                     double *out_rate)
{
    bool keep = priority == 1 || priority == 2;

    if (priority < 0 || priority > 1)
        return keep; /* the user's decision: the rates have no part in it */
    *out_rate = rate_core_rate(&s->core, count(s, t, out_turned));
    return keep;
}
