/* trace_tags.h - what belongs to the trace as a whole: propagating tags, origin, errors of propagation.
 *
 * They come with the headers (kept as records in the segment's text) or from the decision, and go out in
 * headers and on the first span of each chunk.
 *
 * Threads   a segment's text is written before the segment is shared and only read afterwards.
 * Source    docs/spec/propagation.md */
#ifndef SONDE_LIBTRACE_TRACE_TAGS_H
#define SONDE_LIBTRACE_TRACE_TAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "segment.h"

#define SONDE__PROPAGATING_PREFIX  "_dd.p."
#define SONDE__TRACE_TAG_VALUE_MAX 512

typedef struct sonde__trace_tag {
    sonde_str key; /* with the prefix */
    sonde_str value;
    bool is_received; /* else made here, from characters that every header takes */
    char room[64];    /* where a made value stands */
    char copied[SONDE__TRACE_TAG_VALUE_MAX]; /* where a value from several cells stands */
} sonde__trace_tag;

typedef struct sonde__trace_tag_walk {
    const sonde__segment *segment;
    sonde__decision decision;
    sonde__text_cursor cursor;
    sonde_str org_marker; /* ours; it takes the place of a received one */
    int step;
    unsigned source; /* products, see standalone.h */
    bool has_more;   /* of what follows the decision's; mostly not */
    bool has_org_marker;
    bool has_ksr;
    bool has_source;
    bool has_user;
} sonde__trace_tag_walk;

/* The tags that go out with `decision`, in order: our own tid, what was received, our own dm and ksr, the
 * products the trace is for, its user and the mark of our organisation. */
void sonde__trace_tags_begin(sonde__trace_tag_walk *w, const sonde__segment *s, sonde__decision d);
void sonde__trace_tags_begin_behind_tid(sonde__trace_tag_walk *w, const sonde__segment *s,
                                        sonde__decision d);
bool sonde__trace_tags_next(sonde__trace_tag_walk *w, sonde__trace_tag *out);

/* No tags but our own tid and, when it is kept, dm: nothing was received, the rate is nobody's to know. */
bool sonde__trace_tags_are_plain(const sonde__segment *s, sonde__decision d);

bool sonde__segment_find_text(const sonde__segment *s, unsigned kind, sonde__record *out);

/* Looks up a record of the segment's text; false: none of that kind. */
static inline bool sonde__segment_text(const sonde__segment *s, unsigned kind, sonde__record *out)
{
    return (atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_HAS_TEXT) &&
           sonde__segment_find_text(s, kind, out);
}

/* Meta entries of a span: origin on every span, the rest on the first of a chunk and the local root.
 * Returns how many were written. */
uint32_t sonde__write_trace_meta(sonde_buf *b, const sonde__segment *s, sonde__decision d,
                                 bool first, bool local_root);

#endif /* SONDE_LIBTRACE_TRACE_TAGS_H */
