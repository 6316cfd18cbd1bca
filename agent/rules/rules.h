/* agent/rules/rules.h - what users say of traces and tags: ignore_resources, filter_tags, replace_tags.
 *
 * A compiled pattern serves one thread at a time, so the rules exist once for each of `threads`: a lane.
 * Who works on a payload takes one and gives it back.
 *
 * Threads   rules_take(), rules_give(), rules_keep_group(), rules_replace_group(): any; a lane: one at a time.
 * Failure   patterns of filters that cannot be used are passed over (agent/config warns of them); a rule of replace_tags that
 *           cannot be used is an error: what it should hide would leave the host.
 * Bounds    RULES_MAX rules, CONFIG_LIST_MAX items a filter, base/regex.h for patterns, a replaced text
 *           RULES_TEXT_MAX_BYTES.
 * Source    docs/spec/filters.md */
#ifndef SONDE_AGENT_RULES_RULES_H
#define SONDE_AGENT_RULES_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/payload/span.h"
#include "agent/payload/stats.h"
#include "base/arena.h"
#include "sonde/status.h"

#define RULES_MAX            256
#define RULES_TEXT_MAX_BYTES (4u << 20)

typedef struct trace_rules trace_rules;
typedef struct rules_lane rules_lane;

/* A reference to the configuration is taken.  `threads`: how many may hold a lane at once, at least 1. */
SONDE_MUST_USE sonde_status rules_open(agent_config *config, unsigned threads, trace_rules **out,
                                       sonde_error *out_error);

/* The rules of another configuration from now on; lanes that are out finish with theirs.  After a failure
 * the rules are as before. */
SONDE_MUST_USE sonde_status rules_reload(trace_rules *r, agent_config *config, unsigned threads,
                                         sonde_error *out_error);
void rules_close(trace_rules *r); /* NULL does nothing */

/* Waits until one is free; NULL: there are no rules at all. */
rules_lane *rules_take(trace_rules *r);
void rules_give(trace_rules *r, rules_lane *lane); /* NULL does nothing */

/* Whether a trace with that root is dropped. */
bool rules_filter(rules_lane *lane, const payload_span *root);

/* Applies replace_tags to one span; new texts go to `arena`. */
SONDE_MUST_USE sonde_status rules_replace(rules_lane *lane, payload_span *s, sonde_arena *arena);

/* The same for a group of a tracer's statistics, with a lane of their own: what client_stats_rules of the
 * processor asks for. */
bool rules_keep_group(void *rules, const stats_group *g);
SONDE_MUST_USE sonde_status rules_replace_group(void *rules, sonde_arena *arena, stats_group *g);

#endif /* SONDE_AGENT_RULES_RULES_H */
