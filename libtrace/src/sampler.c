/* sampler.c - the hash, the agent's rates and decisions by hand. */
#include "sampler.h"

#include <stdio.h>

#define HASH_FACTOR UINT64_C(1111111111111111111)

bool sonde__sampler_keeps(uint64_t id, double rate)
{
    if (rate >= 1)
        return true;
    if (!(rate > 0))
        return false;
    return id * HASH_FACTOR <= (uint64_t)(rate * (double)UINT64_MAX);
}

static sonde__decision decide(uint64_t trace_id_low, sonde__service service)
{
    double rate;

    if (!sonde__service_rate(service, &rate))
        return sonde__decision_make(SONDE__AUTO_KEEP, SONDE__BY_DEFAULT, 1, 0);
    return sonde__decision_make(sonde__sampler_keeps(trace_id_low, rate) ? SONDE__AUTO_KEEP
                                                                         : SONDE__AUTO_DROP,
                                SONDE__BY_AGENT_RATE, rate, 0);
}

void sonde__segment_decide(sonde__segment *s, sonde__service service)
{
    sonde__decision was = atomic_load_explicit(&s->decision, memory_order_relaxed);
    sonde__decision now = decide(s->trace_id_low, service);

    while (!(was & SONDE__DECISION_LOCKED) &&
           !atomic_compare_exchange_weak_explicit(&s->decision, &was, now, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

sonde__decision sonde__segment_lock(sonde__segment *s)
{
    sonde__decision d = atomic_load_explicit(&s->decision, memory_order_relaxed);

    if (!(d & SONDE__DECISION_LOCKED))
        d = atomic_fetch_or_explicit(&s->decision, SONDE__DECISION_LOCKED, memory_order_relaxed);
    return d | SONDE__DECISION_LOCKED;
}

void sonde__segment_decide_by_hand(sonde__segment *s, bool keep)
{
    sonde__decision now =
        sonde__decision_make(keep ? SONDE__USER_KEEP : SONDE__USER_DROP, SONDE__BY_HAND, 0,
                             SONDE__DECISION_LOCKED | SONDE__DECISION_MANUAL);

    atomic_store_explicit(&s->decision, now, memory_order_relaxed);
}

size_t sonde__format_rate(double rate, char out[16])
{
    uint64_t millionths = rate >= 1 ? 1000000 : (uint64_t)(rate * 1e6 + 0.5);
    int len;

    if (millionths % 1000000 == 0)
        len = snprintf(out, 16, "%u", (unsigned)(millionths / 1000000));
    else
        len = snprintf(out, 16, "0.%06u", (unsigned)millionths);
    while (millionths % 1000000 != 0 && out[len - 1] == '0')
        len--;
    return (size_t)len;
}
