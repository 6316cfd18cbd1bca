/* score.c - the score sampler: signatures narrowed to a fixed number, then a rate core. */
#include "score.h"

#include <stdlib.h>

#include "limits.h"

void score_init(score_sampler *s, double target_per_s, double extra_rate)
{
    *s = (score_sampler){ .narrowed = false };
    rate_core_init(&s->core, target_per_s, extra_rate, SAMPLER_SIGNATURES_MAX);
}

void score_done(score_sampler *s)
{
    rate_core_done(&s->core);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Those that have a rate by now. */
static void remember_known(score_sampler *s)
{
    size_t i;

    s->known_len = 0;
    for (i = 0; i < s->core.entries_len && s->known_len < SCORE_KINDS_MAX * 2; i++)
        if (s->core.entries[i].has_rate)
            s->known[s->known_len++] = s->core.entries[i].signature;
    qsort(s->known, s->known_len, sizeof(*s->known), ascending);
    s->narrowed = true;
}

static uint32_t narrow(score_sampler *s, uint32_t signature)
{
    if (s->core.entries_len < SCORE_KINDS_MAX) {
        s->narrowed = false;
        return signature;
    }
    if (!s->narrowed)
        remember_known(s);
    if (bsearch(&signature, s->known, s->known_len, sizeof(*s->known), ascending))
        return signature;
    return signature % SCORE_KINDS_MAX;
}

bool score_keeps(score_sampler *s, uint32_t signature, uint64_t trace_id, double weight,
                 double client_rate, int64_t now_unix_s, double *out_rate)
{
    if (s->core.target_per_s <= 0.0)
        return false;
    signature = narrow(s, signature);
    (void)rate_core_count(&s->core, now_unix_s, signature, weight);
    *out_rate = rate_core_rate(&s->core, signature);
    return rate_keeps(trace_id, *out_rate * client_rate);
}
