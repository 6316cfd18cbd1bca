/* stages.h - what the stages of a payload's processing share (processor.c has their order).
 *
 * A stage works on one chunk in place.  Counts are collected in the run and added to the processor's
 * counters once per payload.
 */
#ifndef SONDE_AGENT_PROCESSOR_STAGES_H
#define SONDE_AGENT_PROCESSOR_STAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/processor/processor.h"
#include "codec/obfuscate.h"

/* Look-up of a chunk's spans by id.  Short chunks are searched, longer ones hashed. */
typedef struct span_index {
    uint32_t *slots; /* index + 1; kept in the arena from chunk to chunk */
    uint32_t slots_cap;
    uint32_t mask; /* 0: searched */
} span_index;

typedef struct run {
    payload *p;
    int64_t now_unix_ns;
    uint64_t seed;    /* of the index: ids come from outside */
    span_index index; /* of the chunk at hand, built by stage_normalize */
    const config_obfuscation *obfuscation;
    rules_lane *rules; /* NULL: none */
    sonde_buf scratch; /* a text being rewritten; its memory serves the whole payload */
    sonde_buf tables;  /* of a statement */
    unsigned features; /* PROCESSOR_* below */
    processor_sql sql;
    bool literal_escapes[SONDE_SQL_DIALECTS]; /* see sonde_obfuscate_sql() */
    bool is_v1;                 /* spans that came as v1.0: some rules are not for them */
    sonde_str fallback_service; /* unnamed-<lang>-service, made at its first use */
    uint32_t fixed[PROCESSOR_FIXES];
} run;

#define PROCESSOR_TEXT_MAX_BYTES (128u << 20) /* above what any payload makes of one text */

/* apm_config.features, those that matter here; the first ones are codec/obfuscate.h's. */
enum {
    PROCESSOR_SQL_FLAGS = SONDE_SQL_KEEP_ALIAS | SONDE_SQL_REPLACE_DIGITS | SONDE_SQL_DOLLAR_FUNC,
    PROCESSOR_TABLE_NAMES = 16,
    PROCESSOR_BIG_RESOURCE = 32,
    PROCESSOR_COMPONENT_TO_NAME = 64,
};

/* PROCESSOR_DROPS: go on; anything else removes the chunk for that reason. */
typedef processor_drop (*chunk_stage)(run *r, payload_chunk *chunk);

#define RESOURCE_MAX_BYTES     5000
#define BIG_RESOURCE_MAX_BYTES 15000 /* feature big_resource */

#define KEEP PROCESSOR_DROPS

processor_drop stage_normalize(run *r, payload_chunk *chunk);          /* stage_normalize.c */
processor_drop stage_root(run *r, payload_chunk *chunk);               /* stage_root.c */
processor_drop stage_chunk_attributes(run *r, payload_chunk *chunk);   /* stage_root.c */
processor_drop stage_filter(run *r, payload_chunk *chunk);             /* stage_rules.c */
processor_drop stage_replace(run *r, payload_chunk *chunk);            /* stage_rules.c */
processor_drop stage_obfuscate(run *r, payload_chunk *chunk);          /* stage_obfuscate.c */
processor_drop stage_truncate(run *r, payload_chunk *chunk);           /* stage_truncate.c */
processor_drop stage_client_rate(run *r, payload_chunk *chunk);        /* stage_root.c */
processor_drop stage_top_level(run *r, payload_chunk *chunk);          /* stage_root.c */
processor_drop stage_payload_attributes(run *r, payload_chunk *chunk); /* stage_root.c */

/* stage_normalize.c: what stands for a service or an operation, in statistics of tracers too. */
SONDE_MUST_USE sonde_status normalize_service(run *r, sonde_str *service);
SONDE_MUST_USE sonde_status normalize_operation(run *r, sonde_str *name);

/* stage_obfuscate.c: how a statement is read; the tables in it are not asked for. */
sonde_sql_options sql_options(run *r, sonde_str db_type);
void sql_recall(run *r, processor_sql_memory *from);
void sql_remember(const run *r, processor_sql_memory *to);

/* Indexes the chunk's spans by id, a later one in place of an earlier; counts repeated ids. */
sonde_status span_index_build(run *r, const payload_chunk *chunk, uint32_t *out_repeated);

/* The last span with that id, or NULL. */
const payload_span *span_index_find(const run *r, const payload_chunk *chunk, uint64_t span_id);

#endif /* SONDE_AGENT_PROCESSOR_STAGES_H */
