/* propagate_links.c - received contexts that are not continued become links of the first span here.
 *
 * They come with the headers, before there is a span: until then each is a record of the segment's text,
 * with ids, flags and style as its key and the tracestate as its value. */
#include <string.h>

#include "sonde/link.h"

#include "chars.h"
#include "propagate.h"
#include "trace_tags.h"

typedef struct stored {
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t span_id;
    uint32_t flags;
    uint8_t style;
    uint8_t reason;
    uint8_t unused[2];
} stored;

/* All lines, joined; an empty view when they are too long or hold what no header may.  `to` has room. */
static sonde_str join_tracestate(const sonde__headers *h, char *to)
{
    size_t len = 0;
    uint32_t i;

    for (i = 0; i < h->tracestate_count; i++) {
        sonde_str line = sonde_str_trim(h->tracestate[i]);

        if (len + 1 + line.len > SONDE__TRACESTATE_MAX_BYTES ||
            !sonde__all_are(line, SONDE__CHAR_PRINTABLE))
            return (sonde_str){ NULL, 0 };
        if (len > 0)
            to[len++] = ',';
        memcpy(to + len, line.len ? line.ptr : "", line.len);
        len += line.len;
    }
    return (sonde_str){ to, len };
}

bool sonde__store_link(const sonde__remote *r, sonde__link_reason reason, const sonde__headers *h,
                       sonde__segment *s, sonde__cell_stack *cells)
{
    char room[SONDE__TRACESTATE_MAX_BYTES];
    sonde_str tracestate = { NULL, 0 };
    stored l = { .trace_id_high = r->trace_id_high,
                 .trace_id_low = r->trace_id_low,
                 .span_id = r->parent_id,
                 .style = (uint8_t)r->style,
                 .reason = (uint8_t)reason };

    if (r->has_priority)
        l.flags = r->priority > 0 ? SONDE_LINK_SAMPLED : SONDE_LINK_NOT_SAMPLED;
    if (r->style == SONDE__STYLE_TRACECONTEXT)
        tracestate = join_tracestate(h, room);
    atomic_fetch_or_explicit(&s->flags, SONDE__SEGMENT_HAS_TEXT | SONDE__SEGMENT_HAS_LINKS,
                             memory_order_relaxed);
    return sonde__text_add(&s->text, cells, SONDE__TEXT_LINK_TO,
                           (sonde_str){ (const char *)&l, sizeof(l) }, tracestate);
}

static void add_link(sonde__span *span, const sonde__record *r)
{
    static const char *const reasons[] = { [SONDE__LINK_CONFLICT] = "terminated_context",
                                           [SONDE__LINK_RESTART] = "propagation_behavior_extract" };
    char tracestate[SONDE__TRACESTATE_MAX_BYTES + 1];
    stored l;

    memcpy(&l, r->key, sizeof(l));
    sonde__text_copy(r, tracestate);
    tracestate[r->value_len] = '\0';
    sonde_span_add_link((sonde_span *)sonde__cell_handle(span),
                        &(sonde_link){
                            .trace_id_high = l.trace_id_high,
                            .trace_id_low = l.trace_id_low,
                            .span_id = l.span_id,
                            .flags = l.flags,
                            .tracestate = tracestate,
                            .attributes =
                                (const sonde_attribute[]){
                                    { SONDE_STR("reason"), sonde_value_str(reasons[l.reason]) },
                                    { SONDE_STR("context_headers"),
                                      sonde_value_str(sonde__style_name((sonde__style)l.style)) } },
                            .attributes_len = 2,
                        });
}

void sonde__add_stored_links(sonde__span *span)
{
    const sonde__segment *s = span->segment;
    sonde__text_cursor c = sonde__text_read(&s->text, s, SONDE__SEGMENT_BYTES);
    sonde__record r;

    while (sonde__text_next(&c, &r))
        if (r.kind == SONDE__TEXT_LINK_TO)
            add_link(span, &r);
}
