/* backoff.c - exponential back-off with full jitter. */
#include "base/backoff.h"

/* min(max, base * 2^failures) */
static uint64_t ceiling_ns(const sonde_backoff *b)
{
    if (b->failures >= 64 || b->base_ns > b->max_ns >> b->failures)
        return b->max_ns;
    return b->base_ns << b->failures;
}

uint64_t sonde_backoff_next_ns(sonde_backoff *b, uint64_t random)
{
    uint64_t ceiling;

    if (b->failures < UINT32_MAX)
        b->failures++;
    ceiling = ceiling_ns(b);
    return ceiling ? random % ceiling : 0;
}

void sonde_backoff_reset(sonde_backoff *b)
{
    b->failures = 0;
}
