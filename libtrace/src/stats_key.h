/* stats_key.h - whether a span is counted in statistics, and under which key.
 *
 * The key is written as the piece of msgpack that stands for it in the payload: texts and numbers of the
 * group, in a fixed order.  Spans are equal to statistics when these bytes are.
 *
 * Threads   none.
 * Source    docs/spec/client-stats.md, "Which spans", "Key" */
#ifndef SONDE_LIBTRACE_STATS_KEY_H
#define SONDE_LIBTRACE_STATS_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include "agent_info.h"
#include "wire_span.h"

#define SONDE__STATS_KEY_MEMBERS     14 /* and one more where there are additional tags */
#define SONDE__STATS_EXTRAS_MAX      6
#define SONDE__STATS_EXTRA_MAX_BYTES 200 /* of a value */
#define SONDE__STATS_BLOCKED         "tracer_blocked_value"

typedef struct sonde__stats_key {
    sonde_str service;
    sonde_str name;
    sonde_str resource;
    sonde_str type;
    sonde_str kind;
    sonde_str grpc_status;
    sonde_str http_method;
    sonde_str http_endpoint;
    sonde_str service_source;
    uint32_t http_status;
    bool synthetics;
    bool is_trace_root;
    uint32_t peers_len;
    sonde_str peers[SONDE__AGENT_LIST_MAX];    /* "key:value" */
    uint32_t extras_len;                       /* additional tags that are asked for */
    sonde_str extras[SONDE__STATS_EXTRAS_MAX]; /* "key:value" of each; "" where the span has none */
    uint32_t extras_too_long;                  /* a bit for each whose value is */
    bool top_level;                            /* not part of the key */
} sonde__stats_key;

/* `extras` are the keys of additional tags.  False: the span is not counted.  Texts are views of the span, of the agent's lists or of `scratch`; a
 * peer tag that finds no room there is left out. */
bool sonde__stats_key_of(const sonde__wire_span *span, const sonde__agent_info *agent,
                         const sonde__texts *extras, sonde_arena *scratch, sonde__stats_key *out);

void sonde__stats_key_write(const sonde__stats_key *key, sonde_buf *out);

#endif /* SONDE_LIBTRACE_STATS_KEY_H */
