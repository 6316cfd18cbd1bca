/* agent/processor/processor.h - makes decoded payloads canonical: normalise, root, truncate, top-level.
 *
 * processor_run() works through a table of stages (processor.c) in the order Datadog's agent has, and
 * changes the payload in place; chunks that break a rule are removed and counted by reason.
 *
 * Threads   processor_run() from any number of threads, each on its own payload.
 * Counters  processor_counters; spans_received = spans_out + sum of spans_dropped (with FILTERED, shown apart).
 * Source    docs/spec/normalization.md.
 */
#ifndef SONDE_AGENT_PROCESSOR_PROCESSOR_H
#define SONDE_AGENT_PROCESSOR_PROCESSOR_H

#include <stdatomic.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/payload/payload.h"
#include "agent/payload/source.h"
#include "agent/rules/rules.h"
#include "base/clock.h"
#include "codec/json_write.h"
#include "codec/obfuscate.h"
#include "sonde/status.h"

typedef struct processor processor;

/* clang-format off */
#define PROCESSOR_DROP_MAP(X)                                              \
    X(EMPTY_TRACE,   "empty_trace")                                        \
    X(TRACE_ID_ZERO, "trace_id_zero")                                      \
    X(SPAN_ID_ZERO,  "span_id_zero")                                       \
    X(FOREIGN_SPAN,  "foreign_span")                                       \
    X(FILTERED,      "filtered")      /* ignore_resources, filter_tags */  \
    X(NO_MEMORY,     "no_memory")     /* the payload's arena is full */
/* clang-format on */

#define PROCESSOR_FIX_MAP SOURCE_FIX_MAP

typedef enum processor_drop {
#define X(name, text) PROCESSOR_DROP_##name,
    PROCESSOR_DROP_MAP(X)
#undef X
        PROCESSOR_DROPS
} processor_drop;

typedef enum processor_fix {
#define X(name, text) PROCESSOR_FIX_##name,
    PROCESSOR_FIX_MAP(X)
#undef X
        PROCESSOR_FIXES
} processor_fix;

typedef struct processor_counters {
    _Atomic uint64_t payloads;
    _Atomic uint64_t chunks_received;
    _Atomic uint64_t chunks_out;
    _Atomic uint64_t spans_received;
    _Atomic uint64_t spans_out;
    _Atomic uint64_t chunks_dropped[PROCESSOR_DROPS];
    _Atomic uint64_t spans_dropped[PROCESSOR_DROPS];
    _Atomic uint64_t fixed[PROCESSOR_FIXES]; /* spans_malformed by reason */
} processor_counters;

typedef struct processor_options {
    const sonde_clock *clock; /* NULL: the system's */
    agent_config *config;     /* obfuscation, features; held.  NULL: defaults */
    trace_rules *rules;       /* filters, replace_tags; borrowed.  NULL: none */
} processor_options;

SONDE_MUST_USE sonde_status processor_open(const processor_options *options,
                                           processor **out_processor);
void processor_close(processor *p); /* NULL does nothing */

void processor_run(processor *p, payload *what);

/* After sampling: the first kept trace of each service says which installation this is, if that has an id. */
void processor_mark_first(processor *p, payload *what);

/* How the configuration wants statements of SQL; NULL: as Datadog's agent does without one. */
typedef struct processor_sql {
    unsigned flags; /* SONDE_SQL_* */
    sonde_sql_mode mode;
    bool by_db_type; /* in the dialect it names */
} processor_sql;

/* What a backslash meant in the last statement of each dialect: a hint that all threads share. */
typedef struct processor_sql_memory {
    _Atomic bool literal_escapes[SONDE_SQL_DIALECTS];
} processor_sql_memory;

processor_sql processor_sql_of(const agent_config *c);
size_t processor_resource_max_bytes(const agent_config *c);

const processor_counters *processor_read_counters(const processor *p);
void processor_write_json(void *processor,
                          sonde_json_writer *w); /* an info_source row: one object */

#endif /* SONDE_AGENT_PROCESSOR_PROCESSOR_H */
