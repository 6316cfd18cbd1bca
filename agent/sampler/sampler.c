/* sampler.c - the order in which the samplers are asked.
 *
 *   errors only             a trace with an error: errors; any other is sent, and marked as dropped
 *   rare                    a kind of span not seen for minutes: keep
 *   probabilistic           instead of all below but errors
 *   priority below 0        drop, the user said so
 *   priority set            priority.c
 *   priority none           score.c, by the kind of trace
 *   an error in it          score.c again, with a budget of its own
 *   else                    drop: what is left are spans kept by themselves, or events
 */
#include "sampler.h"

#include <string.h>

#include "agent/payload/source.h"
#include "agent/payload/tags.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/str.h"
#include "vocab/tags.h"

#include "decisions.h"
#include "limits.h"
#include "priority.h"
#include "probabilistic.h"
#include "publish.h"
#include "score.h"
#include "signature.h"

#define PRIORITY_USER_KEEP 2

struct sampler {
    sonde_mutex mu;
    priority_sampler priority; /* guarded by mu */
    score_sampler no_priority; /* guarded by mu */
    score_sampler errors;      /* guarded by mu */
    rare_sampler rare;         /* guarded by mu */
    event_sampler events;      /* guarded by mu */
    sampler_counters counters; /* guarded by mu */
    decisions decisions;       /* guarded by mu */
    uint64_t updates;          /* guarded by mu; counts published versions */
    sampler_options options;
};

/* One chunk on its way through the samplers. */
typedef struct question {
    payload *p;
    payload_chunk *c;
    trace_facts t;
    int64_t now_unix_ns;
    bool has_error;       /* looked at unless the tracer's priority keeps the trace anyway */
    uint32_t signature;   /* where a score sampler may ask for it */
    const char *rate_key; /* what to mark the root with; NULL: nothing */
    double rate;
    bool turned; /* rates are due for publication */
    bool asked_errors;
} question;

sonde_status sampler_open(const sampler_options *options, sampler **out_sampler)
{
    sampler *s = sonde_calloc(1, sizeof(*s));
    double extra = options->extra_sample_rate > 0.0 ? options->extra_sample_rate : 1.0;

    if (!s)
        return SONDE_ERR_NOMEM;
    s->options = *options;
    sonde_mutex_init(&s->mu, SONDE_RANK_ROOM);
    priority_init(&s->priority, options->target_per_s, extra,
                  options->catalog_max ? options->catalog_max : SAMPLER_CATALOG_MAX);
    score_init(&s->no_priority, options->target_per_s, extra);
    score_init(&s->errors, options->errors_per_s, extra);
    rare_init(&s->rare, &options->rare);
    events_init(&s->events, &options->events);
    *out_sampler = s;
    return SONDE_OK;
}

void sampler_close(sampler *s)
{
    if (!s)
        return;
    priority_done(&s->priority);
    score_done(&s->no_priority);
    score_done(&s->errors);
    rare_done(&s->rare);
    decisions_done(&s->decisions);
    sonde_mutex_done(&s->mu);
    sonde_free(s);
}

void sampler_set_targets(sampler *s, const sampler_options *options)
{
    double extra = options->extra_sample_rate > 0.0 ? options->extra_sample_rate : 1.0;

    sonde_mutex_lock(&s->mu);
    s->priority.core.target_per_s = options->target_per_s;
    s->priority.core.extra_rate = extra;
    s->no_priority.core.target_per_s = options->target_per_s;
    s->no_priority.core.extra_rate = extra;
    s->errors.core.target_per_s = options->errors_per_s;
    s->errors.core.extra_rate = extra;
    s->events.options.max_per_s = options->events.max_per_s;
    sonde_mutex_unlock(&s->mu);
}

/* -- the question --------------------------------------------------------------------------------- */

static double rate_metric(const payload_span *s, sonde_str key)
{
    const double *v = span_metric_get(s, key);

    return v && *v > 0.0 && *v <= 1.0 ? *v : 1.0;
}

static bool chunk_has_error(const payload_chunk *c)
{
    uint32_t i;

    for (i = 0; i < c->spans_len; i++)
        if (c->spans[i].error != 0)
            return true;
    return false;
}

/* Also what a handled exception left behind. */
static bool chunk_has_exception(const payload_chunk *c)
{
    uint32_t i;

    for (i = 0; i < c->spans_len; i++) {
        const sonde_str *v = span_meta_get(&c->spans[i], SONDE_STR(SONDE_TAG_HAS_EXCEPTION));

        if (v && sonde_str_eq(*v, SONDE_STR("true")))
            return true;
    }
    return false;
}

/* All that can be known without the lock. */
static void look_at(const sampler *s, question *q)
{
    const sampler_options *o = &s->options;
    bool kept_anyway = !o->errors_only && !o->probabilistic.enabled && q->c->priority > 0;

    q->has_error = !kept_anyway && chunk_has_error(q->c);
    if (o->errors_only && !q->has_error)
        q->has_error = chunk_has_exception(q->c);
    if (q->has_error || (q->c->priority == PRIORITY_NONE && !o->probabilistic.enabled))
        q->signature = trace_signature(q->c, q->t.env, &q->p->arena);
}

/* -- the samplers, under the lock ----------------------------------------------------------------- */

static bool errors_keep(sampler *s, question *q)
{
    q->asked_errors = q->has_error;
    if (!q->has_error || !score_keeps(&s->errors, q->signature, q->c->spans[q->c->root].trace_id,
                                      q->t.weight, q->t.client_rate, q->t.now_unix_s, &q->rate))
        return false;
    q->rate_key = SONDE_TAG_ERRORS_RATE;
    return true;
}

static sampler_fate ask_errors_only(sampler *s, question *q)
{
    return errors_keep(s, q) ? SAMPLER_KEPT_ERRORS : SAMPLER_MARKED_DROPPED;
}

static sampler_fate ask_probabilistic(sampler *s, question *q, bool rare)
{
    const probabilistic_options *o = &s->options.probabilistic;

    if (!rare && probabilistic_keeps(q->c, o->percentage, o->seed, o->full_id)) {
        q->rate_key = SONDE_TAG_PROBABILISTIC_RATE;
        q->rate = o->percentage / 100.0;
        return SAMPLER_KEPT_PROBABILISTIC;
    }
    if (rare)
        return SAMPLER_KEPT_RARE;
    return errors_keep(s, q) ? SAMPLER_KEPT_ERRORS : SAMPLER_DROPPED_PROBABILISTIC;
}

/* The user's drop is final; where it is asked for, the tracer's own is not. */
static bool is_final_drop(const sampler *s, const payload_chunk *c)
{
    const sonde_str *dm;

    if (c->priority >= 0 || c->priority == PRIORITY_NONE)
        return false;
    if (!s->options.ask_after_tracer_drop)
        return true;
    dm = tags_get(c->tags, c->tags_len, SONDE_STR(SONDE_TAG_DM));
    return c->priority == -1 && dm && sonde_str_eq(*dm, SONDE_STR("-4"));
}

static sampler_fate ask_priority(sampler *s, question *q)
{
    q->rate = -1.0; /* not counted */
    if (!priority_sample(&s->priority, &q->t, q->c->priority, &q->turned, &q->rate))
        return errors_keep(s, q) ? SAMPLER_KEPT_ERRORS : SAMPLER_DROPPED_PRIORITY;
    if (q->rate >= 0.0)
        q->rate_key = SONDE_TAG_PRIORITY_RATE;
    return SAMPLER_KEPT_PRIORITY;
}

static sampler_fate ask_no_priority(sampler *s, question *q)
{
    if (score_keeps(&s->no_priority, q->signature, q->c->spans[q->c->root].trace_id, q->t.weight,
                    q->t.client_rate, q->t.now_unix_s, &q->rate)) {
        q->rate_key = SONDE_TAG_NO_PRIORITY_RATE;
        return SAMPLER_KEPT_NO_PRIORITY;
    }
    return errors_keep(s, q) ? SAMPLER_KEPT_ERRORS : SAMPLER_DROPPED_NO_PRIORITY;
}

static sampler_fate ask_locked(sampler *s, question *q)
{
    bool rare;

    if (s->options.errors_only)
        return ask_errors_only(s, q);
    rare = rare_keeps(&s->rare, q->c, &q->p->arena, q->t.env, q->now_unix_ns);
    if (s->options.probabilistic.enabled)
        return ask_probabilistic(s, q, rare);
    if (is_final_drop(s, q->c))
        return SAMPLER_DROPPED_MANUAL;
    if (rare)
        return SAMPLER_KEPT_RARE;
    return q->c->priority == PRIORITY_NONE ? ask_no_priority(s, q) : ask_priority(s, q);
}

/* -- what is left of a chunk that is not kept ----------------------------------------------------- */

/* Keeps the spans whose bit is set; the first of them stands for the chunk. */
static void keep_picked(payload_chunk *c, const uint8_t *picked)
{
    uint32_t i, kept = 0;

    for (i = 0; i < c->spans_len; i++)
        if (picked[i / 8] & (1u << (i % 8)))
            c->spans[kept++] = c->spans[i];
    c->spans_len = kept;
    c->root = 0;
}

static bool is_single(const payload_span *s)
{
    return span_metric_get(s, SONDE_STR(SONDE_TAG_SPAN_MECHANISM)) != NULL;
}

/* The spans that the tracer's rules for single spans kept; false: there are none. */
static bool reduce_to_single_spans(payload_chunk *c)
{
    uint32_t i, kept = 0;

    for (i = 0; i < c->spans_len && !is_single(&c->spans[i]);)
        i++;
    if (i == c->spans_len)
        return false;
    for (; i < c->spans_len; i++)
        if (is_single(&c->spans[i]))
            c->spans[kept++] = c->spans[i];
    c->spans_len = kept;
    c->root = 0;
    c->priority = PRIORITY_USER_KEEP;
    return true;
}

static bool reduce_to_events(sampler *s, question *q)
{
    payload_chunk *c = q->c;
    size_t bytes = c->spans_len / 8 + 1;
    uint8_t *picked = sonde_arena_alloc(&q->p->arena, bytes);

    if (!picked)
        return false;
    memset(picked, 0, bytes);
    if (events_pick(&s->events, c, &q->p->arena, q->t.now_unix_s, picked) == 0)
        return false;
    keep_picked(c, picked);
    c->dropped_trace = true;
    return true;
}

/* The fate of a chunk that nothing kept. */
static sampler_fate reduce_locked(sampler *s, question *q, sampler_fate fate)
{
    bool may_be_events = fate != SAMPLER_DROPPED_MANUAL && events_possible(&s->events, q->c);

    if (reduce_to_single_spans(q->c))
        return SAMPLER_REDUCED_TO_SPANS;
    if (may_be_events && reduce_to_events(s, q))
        return SAMPLER_REDUCED_TO_EVENTS;
    return fate;
}

static bool is_kept(sampler_fate fate)
{
    return fate <= SAMPLER_KEPT_ERRORS;
}

static bool is_sent(sampler_fate fate)
{
    return fate < SAMPLER_DROPPED_MANUAL;
}

/* Whose the decision is; the one that was asked last, where nobody kept it. */
static decider decider_of(const sampler *s, const question *q, sampler_fate fate)
{
    if (fate == SAMPLER_KEPT_RARE)
        return DECIDER_RARE;
    if (q->asked_errors || s->options.errors_only)
        return DECIDER_ERROR;
    if (s->options.probabilistic.enabled)
        return DECIDER_PROBABILISTIC;
    return q->c->priority == PRIORITY_NONE ? DECIDER_NO_PRIORITY : DECIDER_PRIORITY;
}

static sampler_fate decide_locked(sampler *s, question *q)
{
    uint64_t extracted = s->events.extracted, kept = s->events.kept;
    sampler_fate fate = ask_locked(s, q);

    decisions_count(&s->decisions, decider_of(s, q, fate), q->c->priority, q->t.service, q->t.env,
                    is_kept(fate));
    s->counters.seen++;
    s->counters.spans_seen += q->c->spans_len;
    if (fate == SAMPLER_MARKED_DROPPED)
        q->c->dropped_trace = true;
    else if (!is_kept(fate))
        fate = reduce_locked(s, q, fate);
    else if (!s->options.errors_only && events_possible(&s->events, q->c))
        (void)events_pick(&s->events, q->c, &q->p->arena, q->t.now_unix_s, NULL);
    source_add(q->p->source, SOURCE_EVENTS_EXTRACTED, s->events.extracted - extracted);
    source_add(q->p->source, SOURCE_EVENTS_SAMPLED, s->events.kept - kept);
    s->counters.fates[fate]++;
    s->counters.spans_out += is_sent(fate) ? q->c->spans_len : 0;
    return fate;
}

/* -- marks ---------------------------------------------------------------------------------------- */

/* A rate the tracer or a user rule applied already; ours must not overwrite it. */
static bool has_own_rate(const payload_span *root)
{
    return span_metric_get(root, SONDE_STR(SONDE_TAG_AGENT_PSR)) ||
           span_metric_get(root, SONDE_STR(SONDE_TAG_RULE_PSR)) ||
           span_metric_get(root, SONDE_STR(SONDE_TAG_PRIORITY_RATE));
}

static sonde_status mark(const sampler *s, const question *q, sampler_fate fate)
{
    payload_span *root = &q->c->spans[q->c->root];
    sonde_arena *arena = &q->p->arena;
    sonde_status status = SONDE_OK;

    if (s->options.probabilistic.enabled && fate != SAMPLER_REDUCED_TO_SPANS)
        q->c->priority = is_kept(fate) ? 1 : 0;
    if (s->options.errors_only && q->has_error)
        status =
            chunk_tag_set(q->c, arena, SONDE_STR(SONDE_TAG_STANDALONE_ERROR), SONDE_STR("true"));
    if (fate == SAMPLER_KEPT_PROBABILISTIC && status == SONDE_OK)
        status = chunk_tag_set(q->c, arena, SONDE_STR(SONDE_TAG_DM), SONDE_STR("-9"));
    if (!is_kept(fate) || !q->rate_key || status != SONDE_OK)
        return status;
    if (fate == SAMPLER_KEPT_PRIORITY && (root->parent_id != 0 || has_own_rate(root)))
        return SONDE_OK;
    return span_metric_set(root, arena, sonde_str_from(q->rate_key), q->rate);
}

bool sampler_keeps(sampler *s, payload *p, payload_chunk *c, double dropped_p0_share,
                   int64_t now_unix_ns)
{
    const payload_span *root = &c->spans[c->root];
    double client_rate = rate_metric(root, SONDE_STR(SONDE_TAG_SAMPLE_RATE));
    question q = {
        .p = p,
        .c = c,
        .now_unix_ns = now_unix_ns,
        .t = { .service = root->service,
               .env = p->env.len ? p->env : s->options.agent_env,
               .now_unix_s = now_unix_ns / (int64_t)SONDE_NS_PER_S,
               .weight =
                   1.0 / (client_rate * rate_metric(root, SONDE_STR(SONDE_TAG_PRE_SAMPLE_RATE))),
               .p0_dropped = dropped_p0_share,
               .client_rate = client_rate },
    };
    rates_copy copy = { .now_unix_s = q.t.now_unix_s };
    sampler_fate fate;

    look_at(s, &q);
    sonde_mutex_lock(&s->mu);
    fate = decide_locked(s, &q);
    if (q.turned && s->options.rates) {
        copy.update = ++s->updates;
        s->counters.publish_failed += !rates_copy_make(&copy, &s->priority, s->options.agent_env);
    }
    sonde_mutex_unlock(&s->mu);

    rates_copy_publish(&copy, s->options.rates);
    if (mark(s, &q, fate) != SONDE_OK) {
        sonde_mutex_lock(&s->mu);
        s->counters.unmarked++;
        sonde_mutex_unlock(&s->mu);
    }
    return is_sent(fate);
}

void sampler_each_decision(void *sampler_, void (*tell)(void *user, decision_count *d), void *user)
{
    sampler *s = sampler_;

    sonde_mutex_lock(&s->mu);
    decisions_each(&s->decisions, tell, user);
    sonde_mutex_unlock(&s->mu);
}

void sampler_read_counters(sampler *s, sampler_counters *out)
{
    sonde_mutex_lock(&s->mu);
    *out = s->counters;
    out->signatures_collapsed =
        s->priority.core.collapsed + s->no_priority.core.collapsed + s->errors.core.collapsed;
    out->catalog_evicted = s->priority.services.evicted;
    out->rare_misses = s->rare.misses;
    out->rare_shrinks = s->rare.shrinks;
    out->rare_services_full = s->rare.services_full;
    out->events_extracted = s->events.extracted;
    out->events_kept = s->events.kept;
    out->max_events_per_s = s->events.options.max_per_s;
    out->events_per_s = events_per_s(&s->events, sonde_unix_ns() / (int64_t)SONDE_NS_PER_S);
    out->signatures[0] = s->priority.core.entries_len;
    out->signatures[1] = s->no_priority.core.entries_len;
    out->signatures[2] = s->errors.core.entries_len;
    out->unmarked += s->rare.unmarked + s->events.unmarked;
    sonde_mutex_unlock(&s->mu);
}

void sampler_write_json(void *arg, sonde_json_writer *w)
{
    static const char *const names[SAMPLER_FATES] = {
#define X(name, text) text,
        SAMPLER_FATE_MAP(X)
#undef X
    };
    sampler_counters n;
    int i;

    sampler_read_counters(arg, &n);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "chunks_seen", n.seen);
    for (i = 0; i < SAMPLER_FATES; i++)
        sonde_json_put_u64(w, names[i], n.fates[i]);
    sonde_json_put_u64(w, "spans_seen", n.spans_seen);
    sonde_json_put_u64(w, "spans_out", n.spans_out);
    sonde_json_put_u64(w, "signatures_collapsed", n.signatures_collapsed);
    sonde_json_put_u64(w, "catalog_evicted", n.catalog_evicted);
    sonde_json_put_u64(w, "rare_misses", n.rare_misses);
    sonde_json_put_u64(w, "rare_shrinks", n.rare_shrinks);
    sonde_json_put_u64(w, "rare_services_full", n.rare_services_full);
    sonde_json_put_u64(w, "events_extracted", n.events_extracted);
    sonde_json_put_u64(w, "events_kept", n.events_kept);
    sonde_json_put_double(w, "max_events_per_s", n.max_events_per_s);
    sonde_json_put_double(w, "events_per_s", n.events_per_s);
    sonde_json_put_double(w, "events_rate",
                          n.events_per_s > n.max_events_per_s ? n.max_events_per_s / n.events_per_s
                                                              : 1);
    sonde_json_put_bool(w, "events_limited", n.events_per_s > n.max_events_per_s);
    sonde_json_put_u64(w, "signatures_priority", n.signatures[0]);
    sonde_json_put_u64(w, "signatures_no_priority", n.signatures[1]);
    sonde_json_put_u64(w, "signatures_errors", n.signatures[2]);
    sonde_json_put_u64(w, "unmarked", n.unmarked);
    sonde_json_put_u64(w, "publish_failed", n.publish_failed);
    sonde_json_end_object(w);
}
