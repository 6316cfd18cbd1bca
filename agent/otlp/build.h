/* build.h - what the readers call: resources, scopes and spans in, payloads out.
 *
 *   otlp_builder b;
 *   status = otlp_build_init(&b, &options, body_bytes);
 *   for each resource:
 *       otlp_build_resource(&b, spans expected); fill b.resource; otlp_build_resource_ready(&b)
 *       for each scope: otlp_build_scope(&b); fill b.scope
 *           for each span: otlp_build_span(&b); fill b.span; otlp_build_span_ready(&b)
 *       otlp_build_resource_done(&b)
 *   p = otlp_build_take(&b), again until NULL
 *   otlp_build_done(&b);
 *
 * Each resource with spans becomes a payload, its spans grouped into chunks by the low half of their
 * trace id, in the order they came.  Functions return false on failure; b.status and b.error say why.
 *
 * Threads   none: a builder belongs to one request.
 * Failure   SONDE_ERR_NOMEM; SONDE_ERR_TOO_BIG (arena, OTLP_RESOURCES_MAX, PAYLOAD_ARRAY_MAX spans);
 *           SONDE_ERR_SYNTAX by the readers.  Sticky.
 * Bounds    limits.h, agent/payload/limits.h.
 */
#ifndef SONDE_AGENT_OTLP_BUILD_H
#define SONDE_AGENT_OTLP_BUILD_H

#include <stdbool.h>

#include "agent/payload/limits.h"
#include "agent/payload/payload.h"
#include "base/buf.h"
#include "model.h"

typedef struct otlp_build_options {
    double rate;            /* of traces without a priority: 0 to 1 */
    bool leave_undecided;   /* the probabilistic sampler decides */
    bool stats_computed;    /* the request's head says so */
    sonde_str hostname;     /* the agent's; outlives the payloads */
    size_t max_arena_bytes; /* of all payloads of a request */
} otlp_build_options;

typedef struct otlp_tally {
    uint64_t spans;
    uint64_t strings_repaired; /* held invalid UTF-8 */
    uint64_t tags_cut;         /* beyond SPAN_ENTRIES_MAX or OTLP_TEXT_MAX_BYTES */
} otlp_tally;

/* Which keys a span under construction has: generation and index of the entry in one word. */
#define OTLP_KEY_SLOTS (2 * SPAN_ENTRIES_MAX)
typedef struct otlp_keyset {
    uint32_t slots[OTLP_KEY_SLOTS];
    uint32_t generation; /* in the upper half of a slot; others are empty */
} otlp_keyset;

typedef struct otlp_resource_facts { /* what every span of a resource needs */
    sonde_str service;               /* normalised */
    span_meta *tags;                 /* under their new names, as text */
    uint32_t tags_len;
} otlp_resource_facts;

typedef struct otlp_builder {
    otlp_build_options options;
    sonde_status status;
    const char *error; /* static text */
    otlp_tally tally;

    payload *p; /* of the resource under way; kept for the next one when that has no spans */
    otlp_attrs resource;
    otlp_resource_facts facts;
    otlp_scope scope;
    otlp_span span;
    payload_span *spans; /* in p's arena */
    uint32_t spans_len, spans_cap;

    payload **done; /* owned array of finished payloads */
    uint32_t done_len, done_cap, taken;
    size_t arena_left;

    otlp_keyset meta_keys, metric_keys;
    uint64_t seed;
    sonde_buf text; /* JSON and names under construction */
} otlp_builder;

bool otlp_build_init(otlp_builder *b, const otlp_build_options *options, size_t body_bytes);
void otlp_build_done(otlp_builder *b); /* frees what was not taken; zeroed memory is fine */

bool otlp_build_resource(otlp_builder *b, uint32_t spans_expected);
bool otlp_build_resource_ready(otlp_builder *b);
void otlp_build_scope(otlp_builder *b);
void otlp_build_span(otlp_builder *b);
bool otlp_build_span_ready(otlp_builder *b);
bool otlp_build_resource_done(otlp_builder *b);
payload *otlp_build_take(otlp_builder *b);

/* For the readers. */
bool otlp_build_fail(otlp_builder *b, sonde_status status, const char *error); /* false */
void *otlp_build_alloc(otlp_builder *b, size_t count, size_t bytes);           /* NULL: failed */
bool otlp_build_utf8(otlp_builder *b, sonde_str *text); /* repairs what is not UTF-8 */
bool otlp_build_copy(otlp_builder *b, sonde_str *text); /* into the arena */

/* One more attribute, event or link of the span; NULL: failed, or `*out_cut`: beyond the ceiling and
 * counted, to be passed over. */
otlp_attr *otlp_build_attr(otlp_builder *b, otlp_attrs *attrs, bool *out_cut);
otlp_event *otlp_build_event(otlp_builder *b, bool *out_cut);
otlp_link *otlp_build_link(otlp_builder *b, bool *out_cut);

/* The key is known now: remembers where it is.  The first of several counts for look-ups. */
void otlp_build_attr_key(otlp_attrs *attrs, otlp_attr *a);

#endif /* SONDE_AGENT_OTLP_BUILD_H */
