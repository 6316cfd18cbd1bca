/* agent/sampler/rare.h - keeps a trace with a kind of span that was not seen for minutes.
 *
 * Looked at are top-level and measured spans.  A kind that is new, or was not seen for `cooldown`, takes a
 * token of a bucket; with one the span is marked (_dd.rare), its trace is kept, and all such kinds of the
 * trace count as just seen.
 *
 * Threads   none: sampler.c guards it.
 * Bounds    RARE_SERVICES_MAX services (service and env), `cardinality` kinds of each: beyond, kinds of a service
 *           share so many places.  Spans of further services are never rare (`services_full`).
 * Source    docs/spec/sampling.md, "Rare".
 */
#ifndef SONDE_AGENT_SAMPLER_RARE_H
#define SONDE_AGENT_SAMPLER_RARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/payload.h"

#define RARE_SERVICES_MAX    4096
#define RARE_CARDINALITY_MAX 4096

typedef struct rare_options {
    bool enabled;
    double tokens_per_s;
    uint64_t cooldown_ns;
    uint32_t cardinality; /* of a service; at most RARE_CARDINALITY_MAX */
} rare_options;

/* A kind of span: when it may be rare again. */
typedef struct rare_kind {
    uint32_t signature;
    int64_t until_unix_ns; /* 0: place free */
} rare_kind;

typedef struct rare_service {
    uint32_t signature; /* FNV-1a 32 of "service,env" */
    uint32_t kinds_len;
    uint32_t slots_len; /* power of two; 0: place free */
    bool shrunk;        /* kinds share `cardinality` places */
    rare_kind *slots;   /* owned */
} rare_service;

typedef struct rare_sampler {
    rare_options options;
    rare_service *services; /* owned; open addressing, RARE_SERVICES_MAX * 2 places */
    uint32_t services_len;
    double tokens;
    int64_t refilled_unix_ns;
    uint64_t hits;          /* traces kept */
    uint64_t misses;        /* rare, and no token */
    uint64_t shrinks;       /* services with too many kinds */
    uint64_t unmarked;      /* kept without the mark: the payload's arena was full */
    uint64_t services_full; /* spans not looked at, for want of a place or of memory */
} rare_sampler;

void rare_init(rare_sampler *r, const rare_options *options);
void rare_done(rare_sampler *r);

/* True: keep.  Marks the span that is rare. */
bool rare_keeps(rare_sampler *r, payload_chunk *c, sonde_arena *arena, sonde_str env,
                int64_t now_unix_ns);

#endif /* SONDE_AGENT_SAMPLER_RARE_H */
