/* events.c - rates of spans, the limit over all of them, the marks. */
#include "events.h"

#include "vocab/tags.h"

#include "rate_core.h"

#define PRIORITY_USER_KEEP 2
#define DECAY              1.125 /* the score is divided by it every second */
#define SCORE_TO_PER_S                                                                             \
    (DECAY - 1.0) /* a steady stream's score is its rate times the sum of the series */

void events_init(event_sampler *e, const event_options *options)
{
    *e = (event_sampler){ .options = *options };
}

static const event_rate *find(const event_rate *list, size_t len, sonde_str service,
                              const sonde_str *operation)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (sonde_str_eq_nocase(list[i].service, service) &&
            (!operation || sonde_str_eq_nocase(list[i].operation, *operation)))
            return &list[i];
    return NULL;
}

/* The rate of the first source that knows the span; negative: none does. */
static double rate_of(const event_sampler *e, const payload_span *s, int32_t priority)
{
    const double *own = span_metric_get(s, SONDE_STR(SONDE_TAG_ANALYTICS_RATE));
    const event_options *o = &e->options;
    const event_rate *of;
    double rate;

    if (!own && o->by_operation_len == 0) {
        of = span_is_top_level(s) ? find(o->by_service, o->by_service_len, s->service, NULL) : NULL;
        return of ? of->rate : -1.0;
    }
    of = own ? NULL : find(o->by_operation, o->by_operation_len, s->service, &s->name);
    if (!own && !of)
        return -1.0;
    rate = own ? *own : of->rate;
    return rate > 0.0 && priority >= PRIORITY_USER_KEEP ? 1.0 : rate;
}

bool events_possible(const event_sampler *e, const payload_chunk *c)
{
    uint32_t i;

    if (e->options.by_operation_len || e->options.by_service_len)
        return true;
    for (i = 0; i < c->spans_len; i++)
        if (span_metric_get(&c->spans[i], SONDE_STR(SONDE_TAG_ANALYTICS_RATE)))
            return true;
    return false;
}

static void decay(event_sampler *e, int64_t now_s)
{
    int64_t steps = now_s - e->decayed_s;

    if (steps > 200 || steps < 0) /* nothing is left of it; or the clock was set back */
        e->score = steps > 0 ? 0.0 : e->score;
    else
        for (; steps > 0; steps--)
            e->score /= DECAY;
    e->decayed_s = now_s;
}

double events_per_s(const event_sampler *e, int64_t now_unix_s)
{
    event_sampler then = *e;

    decay(&then, now_unix_s);
    return then.score * SCORE_TO_PER_S;
}

/* The rate that holds the limit: counts the event. */
static double limit_rate(event_sampler *e, int64_t now_s)
{
    double per_s;

    decay(e, now_s);
    e->score += 1.0;
    per_s = e->score * SCORE_TO_PER_S;
    return per_s > e->options.max_per_s ? e->options.max_per_s / per_s : 1.0;
}

/* A rate is written when it says something. */
static void mark(event_sampler *e, payload_span *s, sonde_arena *arena, sonde_str key, double rate)
{
    if (rate < 1.0)
        e->unmarked += span_metric_set(s, arena, key, rate) != SONDE_OK;
    else
        span_metric_remove(s, key);
}

static double rate_metric(const payload_span *s, sonde_str key)
{
    const double *v = span_metric_get(s, key);

    return v && *v > 0.0 && *v <= 1.0 ? *v : 1.0;
}

uint32_t events_pick(event_sampler *e, payload_chunk *c, sonde_arena *arena, int64_t now_unix_s,
                     uint8_t *picked)
{
    const payload_span *root = &c->spans[c->root];
    double client_rate = rate_metric(root, SONDE_STR(SONDE_TAG_CLIENT_RATE));
    double pre_rate = rate_metric(root, SONDE_STR(SONDE_TAG_PRE_SAMPLE_RATE));
    uint32_t i, n = 0;

    for (i = 0; i < c->spans_len; i++) {
        payload_span *s = &c->spans[i];
        double rate = rate_of(e, s, c->priority), limit = 1.0;

        if (rate < 0.0 || !rate_keeps(s->trace_id, rate))
            continue;
        e->extracted++;
        if (c->priority < PRIORITY_USER_KEEP)
            limit = limit_rate(e, now_unix_s);
        if (!rate_keeps(s->trace_id, limit))
            continue;
        mark(e, s, arena, SONDE_STR(SONDE_TAG_EVENT_LIMIT_RATE), limit);
        mark(e, s, arena, SONDE_STR(SONDE_TAG_CLIENT_RATE), client_rate);
        mark(e, s, arena, SONDE_STR(SONDE_TAG_PRE_SAMPLE_RATE), pre_rate);
        mark(e, s, arena, SONDE_STR(SONDE_TAG_ANALYTICS_RATE), rate);
        e->unmarked += span_metric_set(s, arena, SONDE_STR(SONDE_TAG_ANALYZED), 1.0) != SONDE_OK;
        if (picked)
            picked[i / 8] |= (uint8_t)(1u << (i % 8));
        e->kept++;
        n++;
    }
    return n;
}
