/* standalone.c - one trace a minute, and the products that want more. */
#include "standalone.h"

#include "base/clock.h"
#include "base/hex.h"
#include "sonde/span.h"

#include "sampler.h"
#include "span.h"

#define PRODUCTS                                                                                   \
    (SONDE_FOR_APPSEC | SONDE_FOR_DSM | SONDE_FOR_DJM | SONDE_FOR_DBM | SONDE_FOR_AI_GUARD)
#define BEAT_NS (60 * (uint64_t)SONDE_NS_PER_S)

_Atomic bool sonde__standalone;
static _Atomic uint64_t next_beat_mono_ns;

void sonde__standalone_open(bool standalone)
{
    atomic_store_explicit(&next_beat_mono_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&sonde__standalone, standalone, memory_order_relaxed);
}

void sonde__segment_take_source(sonde__segment *s, sonde_str value)
{
    uint64_t bits;

    if (value.len == 2 && sonde_hex_parse_u64(value, 0, &bits) == SONDE_OK)
        atomic_fetch_or_explicit(&s->flags, (uint32_t)bits << SONDE__SEGMENT_SOURCE_SHIFT,
                                 memory_order_relaxed);
}

static bool is_a_beat(uint64_t now_mono_ns)
{
    uint64_t due = atomic_load_explicit(&next_beat_mono_ns, memory_order_relaxed);

    return now_mono_ns >= due &&
           atomic_compare_exchange_strong_explicit(&next_beat_mono_ns, &due, now_mono_ns + BEAT_NS,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static unsigned mechanism_of(unsigned source)
{
    if (source & SONDE_FOR_APPSEC)
        return SONDE__BY_APPSEC;
    return source & SONDE_FOR_AI_GUARD ? SONDE__BY_AI_GUARD : SONDE__BY_HAND;
}

sonde__decision sonde__standalone_decide(const sonde__segment *s, uint64_t now_mono_ns)
{
    const uint64_t flags = SONDE__DECISION_LOCKED | SONDE__DECISION_BEAT;

    if (sonde__segment_is_for_products(s))
        return sonde__decision_make(SONDE__USER_KEEP, mechanism_of(sonde__segment_source(s)), 0,
                                    flags);
    return sonde__decision_make(is_a_beat(now_mono_ns) ? SONDE__AUTO_KEEP : SONDE__USER_DROP,
                                SONDE__BY_DEFAULT, 0, flags);
}

void sonde_span_keep_for(sonde_span *handle, enum sonde_product product)
{
    sonde__span *span = sonde__span_open(handle);
    unsigned source = (unsigned)product & PRODUCTS;

    if (!span || source != (unsigned)product || source == 0)
        return;
    atomic_fetch_or_explicit(&span->segment->flags, source << SONDE__SEGMENT_SOURCE_SHIFT,
                             memory_order_relaxed);
    sonde__segment_decide_by_hand(span->segment, SONDE__USER_KEEP, mechanism_of(source));
}
