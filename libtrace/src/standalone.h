/* standalone.h - traces for other products, and a process that traces for those alone.
 *
 * A trace that another product needs bears that product's bit (_dd.p.ts).  With DD_APM_TRACING_ENABLED=false
 * only such traces are kept and passed on, and one other a minute, which shows that the service is alive.
 *
 * Threads   all.
 * Source    docs/spec/propagation.md, "Other products". */
#ifndef SONDE_LIBTRACE_STANDALONE_H
#define SONDE_LIBTRACE_STANDALONE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "segment.h"

#define SONDE__SOURCE_APM 0x01u /* as good as no product */

extern _Atomic bool sonde__standalone;

/* Begins a life of the tracer. */
void sonde__standalone_open(bool standalone);

static inline bool sonde__is_standalone(void)
{
    return atomic_load_explicit(&sonde__standalone, memory_order_relaxed);
}

/* The products a segment is for, as bits. */
static inline unsigned sonde__segment_source(const sonde__segment *s)
{
    return atomic_load_explicit(&s->flags, memory_order_relaxed) >> SONDE__SEGMENT_SOURCE_SHIFT &
           0xff;
}

static inline bool sonde__segment_is_for_products(const sonde__segment *s)
{
    return (sonde__segment_source(s) & ~SONDE__SOURCE_APM) != 0;
}

/* What a received _dd.p.ts says, two lower-case hex digits; anything else is not understood. */
void sonde__segment_take_source(sonde__segment *s, sonde_str value);

/* The decision of a segment that none came with. */
sonde__decision sonde__standalone_decide(const sonde__segment *s, uint64_t now_mono_ns);

#endif /* SONDE_LIBTRACE_STANDALONE_H */
