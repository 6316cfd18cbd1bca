/* agent_info.h - what the agent says it can do: its answer to GET /info, read once, then only looked at.
 *
 * Threads   none: a parsed sonde__agent_info does not change.  The present one (sonde__agent()) belongs
 *           to the flusher, which alone replaces it.
 * Bounds    SONDE__AGENT_LIST_MAX entries of each list, SONDE__AGENT_INFO_MAX_BYTES of texts; a list
 *           that is longer is cut, and `cut` says so.
 * Source    docs/spec/agent-http.md, "What the agent can do" */
#ifndef SONDE_LIBTRACE_AGENT_INFO_H
#define SONDE_LIBTRACE_AGENT_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "sonde/status.h"

struct sonde__trace_filter;

#define SONDE__AGENT_LIST_MAX       128
#define SONDE__AGENT_INFO_MAX_BYTES 65536

typedef struct sonde__texts {
    const sonde_str *item;
    uint32_t len;
} sonde__texts;

/* Absent fields are zero; `span_kinds` are then the four kinds every agent counts. */
typedef struct sonde__agent_info {
    sonde_str version;
    sonde__texts endpoints; /* "/v0.4/traces" */
    bool client_drop_p0s;
    bool span_meta_structs;
    bool span_events;
    uint32_t obfuscation_version;
    sonde_str crash_socket; /* path, of Sonde's agent only */
    uint32_t statsd_port;   /* of its configuration */
    sonde_str org_marker;   /* of our organisation */
    sonde__texts peer_tags;
    sonde__texts span_kinds; /* counted in statistics though not top-level */
    sonde__texts require;    /* filters: "key" or "key:value" */
    sonde__texts reject;
    sonde__texts require_regex;
    sonde__texts reject_regex;
    sonde__texts ignore_resources; /* patterns */
    bool cut;                      /* a list above had more entries than are kept */
    sonde_arena texts;             /* owned; what the views point into */
} sonde__agent_info;

/* A field of another type than expected counts as absent.  SONDE_ERR_SYNTAX, SONDE_ERR_NOMEM (also beyond
 * the ceiling of texts): `out` needs no sonde__agent_info_done(). */
SONDE_MUST_USE sonde_status sonde__agent_info_parse(sonde_str json, sonde__agent_info *out);
void sonde__agent_info_done(sonde__agent_info *info);

/* Whether statistics are left to tracers without being asked: Datadog's agents do so well from 7.65 on (other
 * tracers draw the same line), ours (0.x) always.  A version that is said and cannot be read is no promise. */
bool sonde__agent_counts_well(const sonde__agent_info *info);

bool sonde__agent_serves(const sonde__agent_info *info, sonde_str endpoint);

/* -- the present one ------------------------------------------------------------------------------ */

/* Of the flusher's thread; valid until its next sonde__agent_take().  Before the first answer, and for
 * an agent without /info, everything in it is zero. */
const sonde__agent_info *sonde__agent(void);

/* What this agent filters out (trace_filter.h); NULL: nothing.  False: it has filters that cannot be applied
 * here.  Valid as long. */
bool sonde__agent_filter(struct sonde__trace_filter **out);

/* Takes over an answer: 200 with a body, 404 from an agent too old for /info.  Any other status and a
 * body that does not parse keep what is known.  True once anything is known.  A body equal to the last
 * one costs no allocation. */
bool sonde__agent_take(int http_status, sonde_str body);
void sonde__agent_forget(void);

#endif /* SONDE_LIBTRACE_AGENT_INFO_H */
