/* watch.c - tells those who look. */
#include "watch.h"

#include <string.h>

#include "vocab/tags.h"

#include "abandoned.h"
#include "blackbox.h"
#include "crash_socket.h"
#include "flusher.h"
#include "otel_ctx.h"
#include "profiler_link.h"
#include "sampler.h"
#include "span_cost.h"
#include "tracer.h"

_Atomic uint32_t sonde__watch;

void sonde__watch_set(uint32_t bits)
{
    atomic_fetch_or_explicit(&sonde__watch, bits, memory_order_relaxed);
}

void sonde__watch_clear(uint32_t bits)
{
    atomic_fetch_and_explicit(&sonde__watch, ~bits, memory_order_relaxed);
}

/* The first span of a forked child: what says who this process is, and what a child does not inherit. */
static __attribute__((noinline, cold)) void child_begins(void)
{
    if (!(atomic_fetch_and_explicit(&sonde__watch, ~SONDE__WATCH_FORKED, memory_order_relaxed) &
          SONDE__WATCH_FORKED))
        return;
    sonde__areas_renew();
    sonde__otel_ctx_publish(sonde__settings(), sonde__runtime_id());
    sonde__profiler_tell_all();
    if (sonde__crash_socket_beat.wanted(sonde__settings()))
        sonde__flusher_wake(); /* else it starts with the first chunk */
}

/* The first record of a span's text. */
static sonde_str name_of(const sonde__span *span)
{
    const uint8_t *record = (const uint8_t *)span + SONDE__SPAN_BYTES;
    uint16_t len;

    memcpy(&len, record + 2, sizeof(len));
    return (sonde_str){ (const char *)record + SONDE__TEXT_HEAD, len };
}

void sonde__watch_starts(sonde__area *a, sonde__span *span, const sonde_span_options *o)
{
    sonde_str resource = sonde_str_from(o->resource);
    sonde_str type = sonde_str_from(o->type);
    uint32_t watched = sonde__watched();

    if (watched & SONDE__WATCH_FORKED)
        child_begins();
    span->flags |= (uint16_t)(watched & SONDE__SPAN_COSTED);
    if (watched & SONDE__WATCH_BLACKBOX)
        sonde__blackbox_starts(a, span, &(sonde__span_texts){ name_of(span), resource, type });
    if (watched & SONDE__WATCH_ENDPOINTS) {
        span->flags |= SONDE__SPAN_ENDPOINT;
        sonde__endpoint_starts(span, resource, type);
    }
    if (watched & SONDE__WATCH_ABANDONED)
        sonde__abandoned_starts(span, name_of(span));
    if ((watched & SONDE__WATCH_ANALYTICS) && (span->flags & SONDE__SPAN_LOCAL_ROOT))
        sonde_span_set_double((sonde_span *)sonde__cell_handle(span), SONDE_TAG_ANALYTICS_RATE, 1);
}

void sonde__watch_changes(sonde__area *a, sonde__span *span, unsigned kind, sonde_str text)
{
    if (span->flags & SONDE__SPAN_WATCHED)
        sonde__root_changes(a, span, kind, (sonde_str){ NULL, 0 }, text);
    sonde__blackbox_changes(span, kind, text);
    if (kind == SONDE__TEXT_RESOURCE && (sonde__watched() & SONDE__WATCH_ENDPOINTS))
        sonde__endpoint_changes(span, text);
}

void sonde__watch_finishes(sonde__area *a, sonde__span *span)
{
    uint32_t watched = sonde__watched();

    sonde__blackbox_finishes(a, span);
    if (watched & SONDE__WATCH_ABANDONED)
        sonde__abandoned_finishes(span);
    if (!(span->flags & SONDE__SPAN_COSTED) && !(watched & SONDE__WATCH_ENDPOINTS))
        return;
    if (span->epoch < sonde__first_epoch())
        return; /* the parent's */
    if (span->flags & SONDE__SPAN_COSTED)
        sonde__cost_finishes(a, span);
    if (watched & SONDE__WATCH_ENDPOINTS)
        sonde__endpoint_finishes(span);
}

void sonde__watch_postfork_child(void)
{
    sonde__watch_clear(SONDE__WATCH_BLACKBOX);
    sonde__watch_set(SONDE__WATCH_FORKED);
}
