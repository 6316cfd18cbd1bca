/* rules.c - the lanes: made once, taken and given back. */
#include "agent/rules/lane.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/mutex.h"

#define LANE_MAX_BYTES (4u << 20)

struct trace_rules {
    sonde_mutex mu;
    pthread_cond_t given;
    rules_lane *lanes; /* all of them */
    size_t lanes_len;
    rules_lane *free; /* guarded by mu */
    bool has_ignored;
    bool has_replace;
};

static bool has_rules(const agent_config *c)
{
    return c->ignore_resources.len || c->filter_require.len || c->filter_reject.len ||
           c->filter_regex_require.len || c->filter_regex_reject.len || c->replace_tags.len ||
           c->obfuscation.remove_stack_traces;
}

static sonde_status open_lane(trace_rules *r, const agent_config *config, sonde_error *out_error)
{
    rules_lane *lane = &r->lanes[r->lanes_len];
    bool is_first = r->lanes_len == 0;
    sonde_status status;

    sonde_arena_init(&lane->arena, LANE_MAX_BYTES);
    sonde_buf_init(&lane->text, RULES_TEXT_MAX_BYTES);
    r->lanes_len++;
    status = filters_open(lane, config, is_first);
    if (status != SONDE_OK)
        return sonde_fail(out_error, status, "filters");
    status = replace_open(lane, config, is_first, out_error);
    lane->next = r->free;
    r->free = lane;
    r->has_ignored = lane->ignored_len > 0;
    r->has_replace = lane->replace_len > 0;
    return status;
}

sonde_status rules_open(const agent_config *config, unsigned threads, trace_rules **out,
                        sonde_error *out_error)
{
    trace_rules *r = sonde_calloc(1, sizeof(*r));
    sonde_status status = SONDE_OK;

    if (!r)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "rules");
    sonde_mutex_init(&r->mu, SONDE_RANK_POOL);
    sonde_cond_init(&r->given);
    if (has_rules(config)) {
        r->lanes = sonde_calloc(threads, sizeof(*r->lanes));
        if (!r->lanes)
            status = sonde_fail(out_error, SONDE_ERR_NOMEM, "rules");
        while (status == SONDE_OK && r->lanes_len < threads)
            status = open_lane(r, config, out_error);
    }
    if (status != SONDE_OK) {
        rules_close(r);
        return status;
    }
    *out = r;
    return SONDE_OK;
}

void rules_close(trace_rules *r)
{
    size_t i;

    if (!r)
        return;
    for (i = 0; i < r->lanes_len; i++) {
        filters_close(&r->lanes[i]);
        replace_close(&r->lanes[i]);
        sonde_buf_done(&r->lanes[i].text);
        sonde_arena_done(&r->lanes[i].arena);
    }
    sonde_free(r->lanes);
    (void)pthread_cond_destroy(&r->given);
    sonde_mutex_done(&r->mu);
    sonde_free(r);
}

rules_lane *rules_take(trace_rules *r)
{
    rules_lane *lane;

    if (r->lanes_len == 0)
        return NULL;
    sonde_mutex_lock(&r->mu);
    while (!r->free)
        sonde_cond_wait_until(&r->given, &r->mu, UINT64_MAX);
    lane = r->free;
    r->free = lane->next;
    sonde_mutex_unlock(&r->mu);
    return lane;
}

void rules_give(trace_rules *r, rules_lane *lane)
{
    if (!lane)
        return;
    sonde_mutex_lock(&r->mu);
    lane->next = r->free;
    r->free = lane;
    (void)pthread_cond_signal(&r->given);
    sonde_mutex_unlock(&r->mu);
}

bool rules_keep_group(void *rules_, const stats_group *g)
{
    trace_rules *r = rules_;
    rules_lane *lane = r->has_ignored ? rules_take(r) : NULL;
    bool ignored = lane && is_ignored(lane, g->resource);

    rules_give(r, lane);
    return !ignored;
}

sonde_status rules_replace_group(void *rules_, sonde_arena *arena, stats_group *g)
{
    trace_rules *r = rules_;
    rules_lane *lane = r->has_replace ? rules_take(r) : NULL;
    sonde_status status = SONDE_OK;

    if (lane)
        status = replace_in_stats(lane, &g->resource, &g->http_status_code, arena);
    rules_give(r, lane);
    return status;
}
