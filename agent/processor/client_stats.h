/* agent/processor/client_stats.h - statistics of a tracer become as the agent would have made them.
 *
 * Env, names, services and resources are normalised; resources of databases are obfuscated unless the tracer
 * did that; rules are applied; then groups of a bucket that have become one are added up.
 *
 * Threads   from any number of threads, each on its own payload.
 * Counters  stats_groups_in = stats_groups_out + stats_groups_dropped(rule, no_memory).
 * Source    docs/spec/stats-concentrator.md, "Statistics of tracers".
 */
#ifndef SONDE_AGENT_PROCESSOR_CLIENT_STATS_H
#define SONDE_AGENT_PROCESSOR_CLIENT_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/payload.h"
#include "agent/processor/processor.h"
#include "codec/json_write.h"

/* Where ignore_resources (before obfuscation: false drops the group) and replace_tags (after it) join in. */
typedef struct client_stats_rules {
    bool (*keeps)(void *user, const stats_group *g);                         /* NULL: all */
    sonde_status (*replace)(void *user, sonde_arena *arena, stats_group *g); /* NULL: nothing */
    void *user;
    processor_sql sql;         /* resources as those of spans */
    size_t resource_max_bytes; /* 0: as without a configuration */
} client_stats_rules;

typedef struct client_stats_stage {
    sonde_str agent_env; /* stands for an empty env; borrowed for life */
    client_stats_rules rules;
    processor_sql_memory sql_memory;
    _Atomic uint64_t payloads;
    _Atomic uint64_t groups_in;
    _Atomic uint64_t groups_out;
    _Atomic uint64_t groups_ignored;   /* by a rule */
    _Atomic uint64_t groups_no_memory; /* the payload's arena is full */
    _Atomic uint64_t groups_merged;    /* of groups_out: their hits were added to an equal one */
} client_stats_stage;

void client_stats_stage_init(client_stats_stage *stage, sonde_str agent_env,
                             client_stats_rules rules);

void client_stats_run(client_stats_stage *stage, payload *p); /* p->stats, in place */

void client_stats_write_json(void *client_stats_stage,
                             sonde_json_writer *w); /* an info_source row */

#endif /* SONDE_AGENT_PROCESSOR_CLIENT_STATS_H */
