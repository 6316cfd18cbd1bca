/* watch.h - who looks at spans while they are open: the black box, the profiler, a debugging aid.
 *
 * One word says whether anybody does; while it is 0, starting, changing and finishing a span cost one
 * predictable branch each.
 *
 *   bit 0      the agent has the black box: spans get places
 *   bit 1      this is a forked child that has not started a span yet
 *   bit 2      the profiler wants to know endpoints
 *   bit 3      spans that stay open are to be logged (abandoned.h)
 *   bit 4      DD_TRACE_ANALYTICS_ENABLED: first spans of traces here get a tag
 *   bits 6..7  the profiler adds up costs: which of its lives (1 to 3), 0 none; the same bits in a
 *              span's flags say in which it was started
 *
 * Threads   all. */
#ifndef SONDE_LIBTRACE_WATCH_H
#define SONDE_LIBTRACE_WATCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "area.h"
#include "segment.h"
#include "sonde/span.h"

#define SONDE__WATCH_BLACKBOX  1u
#define SONDE__WATCH_FORKED    2u
#define SONDE__WATCH_ENDPOINTS 4u
#define SONDE__WATCH_ABANDONED 8u
#define SONDE__WATCH_ANALYTICS 16u
#define SONDE__WATCH_COSTS     SONDE__SPAN_COSTED

extern __attribute__((visibility("hidden"))) _Atomic uint32_t sonde__watch;

static inline uint32_t sonde__watched(void)
{
    return atomic_load_explicit(&sonde__watch, memory_order_relaxed);
}

void sonde__watch_set(uint32_t bits);
void sonde__watch_clear(uint32_t bits);

/* Out of line: for spans while somebody looks, changes for those with SONDE__SPAN_TELLS. */
void sonde__watch_starts(sonde__area *a, sonde__span *span, const sonde_span_options *o);
void sonde__watch_changes(sonde__area *a, sonde__span *span, unsigned kind, sonde_str text);
void sonde__watch_finishes(sonde__area *a, sonde__span *span);

void sonde__watch_postfork_child(void);

#endif /* SONDE_LIBTRACE_WATCH_H */
