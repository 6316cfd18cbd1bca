/* base/limiter.h - so many a second: a token bucket in one atomic word, on a clock the caller reads.
 *
 * The bucket holds what a second brings (at least one) and is full at first.  Instead of tokens it keeps
 * the time until which they are used up, so that refilling is no work.
 *
 * Threads   all but init; never blocks.
 * Bounds    the ratio counts up to 2^20 - 1 questions of a second. */
#ifndef SONDE_BASE_LIMITER_H
#define SONDE_BASE_LIMITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sonde_limiter {
    uint64_t interval_ns; /* between two that pass; UINT64_MAX: none does */
    uint64_t depth_ns;    /* how far tokens may be saved up */
    _Atomic uint64_t used_until;
    _Atomic uint64_t this_second; /* questions and answers, see limiter.c */
    _Atomic uint64_t last_second;
} sonde_limiter;

/* per_second 0 or less, or not a number: nothing passes; infinite: everything. */
void sonde_limiter_init(sonde_limiter *l, double per_second);

bool sonde_limiter_pass(sonde_limiter *l, uint64_t now_mono_ns);

/* Passed of asked, over the second of the last question and the one before; 1 when nobody asked. */
double sonde_limiter_ratio(const sonde_limiter *l);

#endif /* SONDE_BASE_LIMITER_H */
