/* agent/main/pipeline_state.h - the stages and what connects them: of pipeline.c, which opens and closes them, and of
 * flow.c, which moves payloads through them. */
#ifndef SONDE_AGENT_MAIN_PIPELINE_STATE_H
#define SONDE_AGENT_MAIN_PIPELINE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/crash/crash.h"
#include "agent/info/info.h"
#include "agent/ops/ops.h"
#include "agent/origin/origin.h"
#include "agent/otlp/otlp.h"
#include "agent/payload/rates.h"
#include "agent/payload/source.h"
#include "agent/processor/client_stats.h"
#include "agent/processor/processor.h"
#include "agent/profiles/profiles.h"
#include "agent/proxy/proxy.h"
#include "agent/receiver/receiver.h"
#include "agent/rules/rules.h"
#include "agent/sampler/sampler.h"
#include "agent/stats/client_aggregator.h"
#include "agent/stats/concentrator.h"
#include "agent/writer/stats.h"
#include "agent/writer/trace.h"
#include "base/mutex.h"
#include "base/queue.h"

#include "crash_names.h"
#include "memory.h"
#include "pipeline.h"
#include "sampling.h"

typedef struct worker {
    pipeline *p;
    pthread_t thread;
    sonde_buf scratch; /* its own, for encoding */
} worker;

struct pipeline {
    agent_config *config;
    sonde_arena text; /* agent_env */
    sonde_str agent_env;

    /* the stages, last to first */
    forwarder *forwarder;
    stats_writer stats_writer;
    trace_writer *trace_writer;
    payload_sources *sources;
    timings timings;
    _Atomic uint64_t uploads; /* so far */
    rates_cell rates;
    bool has_rates;
    sampling_rates event_rates; /* what the sampler's options point to */
    sampler *sampler;
    concentrator *concentrator;
    client_aggregator *client_aggregator;
    trace_rules *rules;
    processor *processor;
    client_stats_stage client_stats;
    sonde_queue queue;
    bool has_queue;
    worker *workers;
    size_t workers_len; /* started */
    crash *crash;       /* NULL: no socket for it */
    crash_names crash_names;
    origin *origin;
    proxy *proxy;
    forwarder *profile_forwarder; /* NULL: profiles have nowhere to go */
    profiles *profiles;           /* NULL: the same, or not configured */
    info *info;
    receiver *receiver;
    otlp *otlp; /* NULL: not configured */
    ops *ops;
    _Atomic bool watched; /* ops may be ticked: everything is open */
    memory_guard memory;
    _Atomic bool shedding; /* memory is short */
    _Atomic uint64_t shed; /* payloads refused for it */

    pthread_t timers;
    bool has_timers;
    sonde_mutex mu;
    pthread_cond_t wake;     /* the timers thread */
    bool stopping;           /* guarded by mu */
    uint64_t writer_dropped; /* spans, as the ledger knows; the timers' own */
    bool stopped;
};

#endif /* SONDE_AGENT_MAIN_PIPELINE_STATE_H */
