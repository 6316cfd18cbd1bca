/* span_rules.h - single spans kept of traces that are dropped.
 *
 * The rules are those of rules.h; the hash is over the span's id, and each rule may have a limiter.
 *
 * Threads   one: the flusher.
 * Source    docs/spec/trace-sampling.md, "Single spans" */
#ifndef SONDE_LIBTRACE_SPAN_RULES_H
#define SONDE_LIBTRACE_SPAN_RULES_H

#include <stdint.h>

#include "base/buf.h"
#include "config.h"
#include "rules.h"
#include "text.h"

/* What rules ask about.  Texts may lie in several cells. */
typedef struct sonde__span_facts {
    uint64_t id;
    sonde_str service;
    const sonde__record *name;     /* NULL: none */
    const sonde__record *resource; /* NULL or empty: the name */
    const sonde__record *tags;     /* of kinds STR, NUMBER, GONE; others are passed over */
    uint32_t tags_len;
} sonde__span_facts;

/* The rules of the configuration; *out is NULL when there are none. */
SONDE_MUST_USE sonde_status sonde__span_rules_open(const sonde__config *c, sonde__rules **out);
void sonde__span_rules_close(sonde__rules *r); /* NULL: nothing */

/* The rule by which the span is kept, or NULL.  `scratch` is for texts in several cells. */
const sonde__rule *sonde__span_rules_pick(sonde__rules *r, const sonde__span_facts *facts,
                                          sonde_buf *scratch, uint64_t now_mono_ns);

#endif /* SONDE_LIBTRACE_SPAN_RULES_H */
