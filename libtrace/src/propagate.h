/* propagate.h - what the header formats exchange with the rest.
 *
 * Reading goes through a sonde__extraction: each style fills its own half from the views of the headers; the
 * halves are merged, and only then something is stored (propagate.c).
 *
 * Source: docs/spec/propagation.md */
#ifndef SONDE_LIBTRACE_PROPAGATE_H
#define SONDE_LIBTRACE_PROPAGATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"
#include "base/str.h"
#include "cell.h"
#include "config.h"
#include "context.h"
#include "segment.h"
#include "sonde/propagate.h"

#define SONDE__TRACESTATE_LINES_MAX        8
#define SONDE__TRACESTATE_MAX_BYTES        4096
#define SONDE__TRACESTATE_MEMBERS_MAX      32 /* outbound, ours included */
#define SONDE__TRACESTATE_MEMBER_MAX_BYTES 512
#define SONDE__DD_MEMBER_MAX_BYTES         256
#define SONDE__TRACEPARENT_LEN             55
#define SONDE__BAGGAGE_LINES_MAX           8
#define SONDE__BAGGAGE_HEADER_MAX          8192
#define SONDE__OT_BAGGAGE_MAX              16

/* The headers a carrier had, as views.  Entries of the arrays beyond their count are not set. */
typedef struct sonde__headers {
    sonde_str trace_id;
    sonde_str parent_id;
    sonde_str priority;
    sonde_str origin;
    sonde_str tags;
    sonde_str traceparent;
    sonde_str b3;
    sonde_str b3_trace_id;
    sonde_str b3_span_id;
    sonde_str b3_sampled;
    sonde_str b3_flags;
    uint32_t traceparent_count;
    uint32_t tracestate_count;
    uint32_t baggage_count;
    uint32_t ot_baggage_count;
    sonde_str tracestate[SONDE__TRACESTATE_LINES_MAX];
    sonde_str baggage[SONDE__BAGGAGE_LINES_MAX];
    sonde__tag ot_baggage[SONDE__OT_BAGGAGE_MAX]; /* keys without the prefix */
} sonde__headers;

/* One style's context.  Views point into the headers. */
typedef struct sonde__remote {
    sonde__style style;
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t parent_id;
    bool has_priority;
    int priority;
    sonde_str origin;
    /* datadog: the value of x-datadog-tags, when usable; w3c: the dd member's items */
    sonde_str tags;
    sonde_str dm;           /* datadog: the value of a well-formed _dd.p.dm */
    bool has_other_tags;    /* datadog: more than one tid and one dm */
    sonde_str last_id;      /* w3c: p of the dd member */
    bool has_unknown_items; /* w3c: the dd member holds some */
    bool is_only_member;    /* w3c: tracestate is the dd member */
    bool dm_is_default;     /* w3c: a received dm is replaced by "-0" */
    bool dm_is_gone;        /* w3c: a received dm is dropped */
    const char *error;      /* _dd.propagation_error, or NULL */
    sonde_str error_value;  /* what follows it */
} sonde__remote;

/* Fill `out`; false: the style yields nothing. */
bool sonde__extract_datadog(const sonde__headers *h, uint32_t tags_max_bytes, sonde__remote *out);
bool sonde__extract_w3c(const sonde__headers *h, sonde__remote *out);
bool sonde__extract_b3(const sonde__headers *h, sonde__remote *out);
bool sonde__extract_b3multi(const sonde__headers *h, sonde__remote *out);

/* What the headers hold as baggage, 0: none.  The reference is the caller's. */
sonde__baggage_ref sonde__extract_baggage(const sonde__headers *h, const sonde__config *c,
                                          sonde__area *a);

/* The value of _dd.p.<suffix>, an empty view when there is none; of w3c decoded into `room`. */
sonde_str sonde__datadog_tag(const sonde__remote *r, sonde_str suffix);
sonde_str sonde__w3c_tag(const sonde__remote *r, sonde_str suffix,
                         char room[SONDE__DD_MEMBER_MAX_BYTES]);

/* Store what a style's tags hold as records of the segment (PROPAGATING, and for w3c DD_UNKNOWN). */
bool sonde__store_datadog_tags(const sonde__remote *r, sonde__segment *s, sonde__cell_stack *cells);
bool sonde__store_w3c_tags(const sonde__remote *r, sonde__segment *s, sonde__cell_stack *cells);

/* Why a received context became a link. */
typedef enum sonde__link_reason { SONDE__LINK_CONFLICT, SONDE__LINK_RESTART } sonde__link_reason;

/* Keep a context that is not continued, and give what was kept to the first span as its links. */
bool sonde__store_link(const sonde__remote *r, sonde__link_reason reason, const sonde__headers *h,
                       sonde__segment *s, sonde__cell_stack *cells);
void sonde__add_stored_links(sonde__span *span);

/* Store the foreign members of tracestate, and what our own member (of `w3c`) holds that we do not know.
 * `decides`: the decision is made here, and may add an ot member. */
bool sonde__store_tracestate(const sonde__headers *h, const sonde__remote *w3c, bool decides,
                             sonde__segment *s, sonde__cell_stack *cells);

/* What is injected. */
typedef struct sonde__outbound {
    sonde__where at;
    sonde__segment *segment; /* of `at` */
    uint64_t span_id;
    bool is_local; /* a span of this process, not one passed through */
    bool is_plain; /* see sonde__trace_tags_are_plain() */
    sonde__decision decision;
} sonde__outbound;

/* A priority as text; returns its length. */
static inline size_t sonde__put_priority(sonde__decision d, char out[SONDE_I64_MAX_LEN])
{
    int priority = sonde__decision_priority(d);

    if (__builtin_expect(priority < 0 || priority > 9, 0))
        return sonde_format_i64(priority, out);
    out[0] = (char)('0' + priority);
    return 1;
}

void sonde__inject_datadog(const sonde__outbound *o, uint32_t tags_max_bytes,
                           const sonde_writer *w);
void sonde__inject_w3c(const sonde__outbound *o, const sonde_writer *w);
void sonde__inject_b3(const sonde__outbound *o, const sonde_writer *w);
void sonde__inject_b3multi(const sonde__outbound *o, const sonde_writer *w);

void sonde__inject_baggage(const sonde__where *at, const sonde__config *c, const sonde_writer *w);

/* Tags for the baggage keys that are configured. */
void sonde__baggage_tag(sonde__span *span);

#endif /* SONDE_LIBTRACE_PROPAGATE_H */
