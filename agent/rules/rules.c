/* rules.c - the lanes: made once for a configuration, taken and given back.
 *
 * A reload makes a new set of lanes; a lane of the old one that is taken goes back to it, and the last one
 * given back ends it. */
#include <stdatomic.h>

#include "agent/rules/lane.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/mutex.h"

#define LANE_MAX_BYTES (4u << 20)

/* The lanes of one configuration. */
typedef struct lane_set {
    agent_config *config; /* a reference; the lanes' texts are its */
    rules_lane *lanes;    /* all of them */
    size_t lanes_len;
    rules_lane *free; /* guarded by the rules' mu, as the next */
    size_t taken;
    bool has_ignored;
    bool has_replace;
} lane_set;

struct trace_rules {
    sonde_mutex mu;
    pthread_cond_t given;
    lane_set *current;    /* guarded by mu */
    _Atomic bool has_any; /* of the current set: a look before the lock is taken */
    _Atomic bool has_ignored;
    _Atomic bool has_replace;
};

static bool has_rules(const agent_config *c)
{
    return c->ignore_resources.len || c->filter_require.len || c->filter_reject.len ||
           c->filter_regex_require.len || c->filter_regex_reject.len || c->replace_tags.len ||
           c->obfuscation.remove_stack_traces;
}

static sonde_status open_lane(lane_set *set, sonde_error *out_error)
{
    rules_lane *lane = &set->lanes[set->lanes_len];
    bool is_first = set->lanes_len == 0;
    sonde_status status;

    sonde_arena_init(&lane->arena, LANE_MAX_BYTES);
    sonde_buf_init(&lane->text, RULES_TEXT_MAX_BYTES);
    lane->owner = set;
    set->lanes_len++;
    status = filters_open(lane, set->config);
    if (status != SONDE_OK)
        return sonde_fail(out_error, status, "filters");
    status = replace_open(lane, set->config, is_first, out_error);
    lane->next = set->free;
    set->free = lane;
    set->has_ignored = lane->ignored_len > 0;
    set->has_replace = lane->replace_len > 0;
    return status;
}

static void close_set(lane_set *set)
{
    size_t i;

    if (!set)
        return;
    for (i = 0; i < set->lanes_len; i++) {
        filters_close(&set->lanes[i]);
        replace_close(&set->lanes[i]);
        sonde_buf_done(&set->lanes[i].text);
        sonde_arena_done(&set->lanes[i].arena);
    }
    sonde_free(set->lanes);
    config_put(set->config);
    sonde_free(set);
}

static sonde_status open_set(agent_config *config, unsigned threads, lane_set **out,
                             sonde_error *out_error)
{
    lane_set *set = sonde_calloc(1, sizeof(*set));
    sonde_status status = SONDE_OK;

    if (!set)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "rules");
    set->config = config_get(config);
    if (has_rules(config)) {
        set->lanes = sonde_calloc(threads, sizeof(*set->lanes));
        if (!set->lanes)
            status = sonde_fail(out_error, SONDE_ERR_NOMEM, "rules");
        while (status == SONDE_OK && set->lanes_len < threads)
            status = open_lane(set, out_error);
    }
    if (status != SONDE_OK) {
        close_set(set);
        return status;
    }
    *out = set;
    return SONDE_OK;
}

/* Puts a set in force; returns the one before if nobody uses it any more. */
static lane_set *put_in_force(trace_rules *r, lane_set *set)
{
    lane_set *before;

    sonde_mutex_lock(&r->mu);
    before = r->current;
    r->current = set;
    atomic_store_explicit(&r->has_any, set->lanes_len > 0, memory_order_relaxed);
    atomic_store_explicit(&r->has_ignored, set->has_ignored, memory_order_relaxed);
    atomic_store_explicit(&r->has_replace, set->has_replace, memory_order_relaxed);
    (void)pthread_cond_broadcast(&r->given);
    if (before && before->taken > 0)
        before = NULL;
    sonde_mutex_unlock(&r->mu);
    return before;
}

sonde_status rules_open(agent_config *config, unsigned threads, trace_rules **out,
                        sonde_error *out_error)
{
    trace_rules *r = sonde_calloc(1, sizeof(*r));
    lane_set *set = NULL;
    sonde_status status;

    if (!r)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "rules");
    sonde_mutex_init(&r->mu, SONDE_RANK_POOL);
    sonde_cond_init(&r->given);
    status = open_set(config, threads, &set, out_error);
    if (status != SONDE_OK) {
        rules_close(r);
        return status;
    }
    (void)put_in_force(r, set);
    *out = r;
    return SONDE_OK;
}

sonde_status rules_reload(trace_rules *r, agent_config *config, unsigned threads,
                          sonde_error *out_error)
{
    lane_set *set = NULL;
    sonde_status status = open_set(config, threads, &set, out_error);

    if (status == SONDE_OK)
        close_set(put_in_force(r, set));
    return status;
}

void rules_close(trace_rules *r)
{
    if (!r)
        return;
    close_set(r->current);
    (void)pthread_cond_destroy(&r->given);
    sonde_mutex_done(&r->mu);
    sonde_free(r);
}

rules_lane *rules_take(trace_rules *r)
{
    rules_lane *lane = NULL;

    if (!atomic_load_explicit(&r->has_any, memory_order_relaxed))
        return NULL;
    sonde_mutex_lock(&r->mu);
    while (r->current->lanes_len > 0 && !r->current->free)
        sonde_cond_wait_until(&r->given, &r->mu, UINT64_MAX);
    if (r->current->lanes_len > 0) {
        lane = r->current->free;
        r->current->free = lane->next;
        r->current->taken++;
    }
    sonde_mutex_unlock(&r->mu);
    return lane;
}

void rules_give(trace_rules *r, rules_lane *lane)
{
    lane_set *set, *done = NULL;

    if (!lane)
        return;
    set = lane->owner;
    sonde_mutex_lock(&r->mu);
    lane->next = set->free;
    set->free = lane;
    set->taken--;
    if (set == r->current)
        (void)pthread_cond_signal(&r->given);
    else if (set->taken == 0)
        done = set;
    sonde_mutex_unlock(&r->mu);
    close_set(done);
}

bool rules_keep_group(void *rules_, const stats_group *g)
{
    trace_rules *r = rules_;
    bool any = atomic_load_explicit(&r->has_ignored, memory_order_relaxed);
    rules_lane *lane = any ? rules_take(r) : NULL;
    bool ignored = lane && is_ignored(lane, g->resource);

    rules_give(r, lane);
    return !ignored;
}

sonde_status rules_replace_group(void *rules_, sonde_arena *arena, stats_group *g)
{
    trace_rules *r = rules_;
    bool any = atomic_load_explicit(&r->has_replace, memory_order_relaxed);
    rules_lane *lane = any ? rules_take(r) : NULL;
    sonde_status status = SONDE_OK;

    if (lane)
        status = replace_in_stats(lane, &g->resource, &g->http_status_code, arena);
    rules_give(r, lane);
    return status;
}
