/* sampler.c - the order in which the samplers are asked, and the publication of rates.
 *
 *   priority below 0        drop, the user said so
 *   rare                    not built yet: keeps a signature not seen for minutes
 *   priority set            priority.c
 *   priority none           the same rates, by trace id
 *   errors                  not built yet: a budget of its own for traces with an error
 *   else                    drop
 */
#include "sampler.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/str.h"
#include "vocab/tags.h"

#include "limits.h"
#include "priority.h"
#include "rates_body.h"

struct sampler {
    sonde_mutex mu;
    priority_sampler priority; /* guarded by mu */
    sampler_counters counters; /* guarded by mu */
    uint64_t updates;          /* guarded by mu; counts published versions */
    sampler_options options;
};

/* A copy of all live rates, made under the lock and written out after it. */
typedef struct rates_copy {
    rates_row *rows; /* one block: the rows, then the text of their keys */
    size_t len;
    uint64_t update;
    int64_t now_unix_s;
} rates_copy;

sonde_status sampler_open(const sampler_options *options, sampler **out_sampler)
{
    sampler *s = sonde_calloc(1, sizeof(*s));

    if (!s)
        return SONDE_ERR_NOMEM;
    s->options = *options;
    sonde_mutex_init(&s->mu, SONDE_RANK_ROOM);
    priority_init(&s->priority, options->target_per_s,
                  options->extra_sample_rate > 0.0 ? options->extra_sample_rate : 1.0,
                  SAMPLER_CATALOG_MAX);
    *out_sampler = s;
    return SONDE_OK;
}

void sampler_close(sampler *s)
{
    if (!s)
        return;
    priority_done(&s->priority);
    sonde_mutex_done(&s->mu);
    sonde_free(s);
}

static double rate_metric(const payload_span *s, sonde_str key)
{
    const double *v = span_metric_get(s, key);

    return v && *v > 0.0 && *v <= 1.0 ? *v : 1.0;
}

/* A rate the tracer or a user rule applied already; ours must not overwrite it. */
static bool has_own_rate(const payload_span *root)
{
    return span_metric_get(root, SONDE_STR(SONDE_TAG_AGENT_PSR)) ||
           span_metric_get(root, SONDE_STR(SONDE_TAG_RULE_PSR)) ||
           span_metric_get(root, SONDE_STR(SONDE_TAG_PRIORITY_RATE));
}

#define KEY_EXTRA_BYTES 13 /* "service:" and ",env:" beside the catalogue's own text and comma */

static rates_row *alloc_rows_locked(const sampler *s, char **out_text)
{
    const catalog_entry *e;
    size_t bytes = KEY_EXTRA_BYTES, rows = 1;
    rates_row *block;

    for (e = s->priority.services.newest; e; e = e->older, rows += 2)
        bytes += e->key_len + KEY_EXTRA_BYTES;
    block = sonde_malloc(rows * sizeof(*block) + bytes);
    if (block)
        *out_text = (char *)(block + rows);
    return block;
}

static char *put(char *at, sonde_str s)
{
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

/* Appends "service:<name>,env:<env>" to *text. */
static sonde_str put_key(char **text, sonde_str service, sonde_str env)
{
    char *start = *text, *at = start;

    at = put(at, SONDE_STR("service:"));
    at = put(at, service);
    at = put(at, SONDE_STR(",env:"));
    at = put(at, env);
    *text = at;
    return (sonde_str){ start, (size_t)(at - start) };
}

/* One row for the service; one more without the env when it is the agent's own. */
static void add_rows(const sampler *s, rates_copy *copy, char **text, const catalog_entry *e,
                     double rate)
{
    sonde_str service = { e->key, e->service_len };
    sonde_str env = { e->key + e->service_len + 1, e->key_len - e->service_len - 1 };
    sonde_str key = put_key(text, service, env);

    copy->rows[copy->len++] = (rates_row){ key, rate };
    if (env.len && sonde_str_eq(env, s->options.agent_env))
        copy->rows[copy->len++] = (rates_row){ { key.ptr, key.len - env.len }, rate };
}

/* All live rates, the default one first; forgets services that have none any more. */
static void copy_rates_locked(sampler *s, rates_copy *copy)
{
    static const sonde_str none = { NULL, 0 };
    catalog_entry *e, *older;
    char *text;

    copy->rows = alloc_rows_locked(s, &text);
    if (!copy->rows) {
        s->counters.publish_failed++;
        return;
    }
    copy->update = ++s->updates;
    copy->rows[copy->len++] =
        (rates_row){ put_key(&text, none, none), rate_core_default_rate(&s->priority.core) };
    for (e = s->priority.services.newest; e; e = older) {
        double rate;

        older = e->older;
        if (rate_core_find(&s->priority.core, e->signature, &rate))
            add_rows(s, copy, &text, e, rate);
        else if (e != s->priority.services.newest) /* that one is being counted just now */
            catalog_remove(&s->priority.services, e);
    }
}

/* Publishes unless nothing changed: the version tells tracers whether to read the body again. */
static void publish(sampler *s, rates_copy *copy)
{
    char version[RATES_VERSION_MAX_LEN + 1];
    rates_snapshot *before = rates_cell_get(s->options.rates), *now = NULL;
    sonde_buf body;

    sonde_buf_init(&body, RATES_BODY_MAX_BYTES);
    rates_body_write(copy->rows, copy->len, &body);
    if (body.status == SONDE_OK && !sonde_str_eq(sonde_buf_str(&body), before->body)) {
        (void)snprintf(version, sizeof(version), "%llx-%llx", (unsigned long long)copy->now_unix_s,
                       (unsigned long long)copy->update);
        now = rates_new(sonde_buf_str(&body), sonde_str_from(version));
    }
    if (now)
        rates_cell_publish(s->options.rates, now);
    rates_put(before);
    sonde_buf_done(&body);
}

static bool decide_locked(sampler *s, const payload_chunk *c, const trace_facts *t, bool *turned,
                          double *rate)
{
    bool keep;

    if (c->priority == PRIORITY_NONE) {
        keep = priority_sample_unset(&s->priority, t, c->spans[c->root].trace_id, turned);
        s->counters.dropped_no_priority += !keep;
    } else if (c->priority < 0) {
        keep = false;
        s->counters.dropped_manual++;
    } else {
        keep = priority_sample(&s->priority, t, c->priority, turned, rate);
        s->counters.dropped_priority += !keep;
    }
    s->counters.seen++;
    s->counters.kept += keep;
    return keep;
}

static void mark_rate(sampler *s, payload *p, payload_span *root, double rate)
{
    if (root->parent_id != 0 || has_own_rate(root))
        return;
    if (span_metric_set(root, &p->arena, SONDE_STR(SONDE_TAG_PRIORITY_RATE), rate) == SONDE_OK)
        return;
    sonde_mutex_lock(&s->mu);
    s->counters.unmarked++;
    sonde_mutex_unlock(&s->mu);
}

bool sampler_keeps(sampler *s, payload *p, payload_chunk *c, double dropped_p0_share,
                   int64_t now_unix_ns)
{
    payload_span *root = &c->spans[c->root];
    double client_rate = rate_metric(root, SONDE_STR(SONDE_TAG_SAMPLE_RATE));
    const trace_facts t = {
        .service = root->service,
        .env = p->env.len ? p->env : s->options.agent_env,
        .now_unix_s = now_unix_ns / (int64_t)SONDE_NS_PER_S,
        .weight = 1.0 / (client_rate * rate_metric(root, SONDE_STR(SONDE_TAG_PRE_SAMPLE_RATE))) +
                  dropped_p0_share,
        .client_rate = client_rate,
    };
    rates_copy copy = { .now_unix_s = t.now_unix_s };
    double rate = -1.0; /* none */
    bool turned = false, keep;

    sonde_mutex_lock(&s->mu);
    keep = decide_locked(s, c, &t, &turned, &rate);
    if (turned && s->options.rates)
        copy_rates_locked(s, &copy);
    sonde_mutex_unlock(&s->mu);

    if (copy.rows)
        publish(s, &copy);
    sonde_free(copy.rows);
    if (keep && rate >= 0.0)
        mark_rate(s, p, root, rate);
    return keep;
}

void sampler_read_counters(sampler *s, sampler_counters *out)
{
    sonde_mutex_lock(&s->mu);
    *out = s->counters;
    out->signatures_collapsed = s->priority.core.collapsed;
    out->catalog_evicted = s->priority.services.evicted;
    sonde_mutex_unlock(&s->mu);
}

void sampler_write_json(void *arg, sonde_json_writer *w)
{
    sampler_counters n;

    sampler_read_counters(arg, &n);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "chunks_seen", n.seen);
    sonde_json_put_u64(w, "chunks_kept", n.kept);
    sonde_json_put_u64(w, "dropped_manual", n.dropped_manual);
    sonde_json_put_u64(w, "dropped_priority", n.dropped_priority);
    sonde_json_put_u64(w, "dropped_no_priority", n.dropped_no_priority);
    sonde_json_put_u64(w, "signatures_collapsed", n.signatures_collapsed);
    sonde_json_put_u64(w, "catalog_evicted", n.catalog_evicted);
    sonde_json_put_u64(w, "unmarked", n.unmarked);
    sonde_json_put_u64(w, "publish_failed", n.publish_failed);
    sonde_json_end_object(w);
}
