/* base/backoff.h - exponential back-off with full jitter.
 *
 * The pause before attempt k (k >= 1, the first retry) is uniform in [0, min(max, base * 2^k)).
 * Threads: none, the owner guards it.  Randomness enters through the caller. */
#ifndef SONDE_BASE_BACKOFF_H
#define SONDE_BASE_BACKOFF_H

#include <stdint.h>

typedef struct sonde_backoff {
    uint64_t base_ns;
    uint64_t max_ns;
    uint32_t failures; /* in a row */
} sonde_backoff;

/* Counts a failure and returns the pause; `random` is uniform over 64 bits. */
uint64_t sonde_backoff_next_ns(sonde_backoff *b, uint64_t random);
void sonde_backoff_reset(sonde_backoff *b); /* after a success */

#endif /* SONDE_BASE_BACKOFF_H */
