/* base/rng.h - fast random numbers for ids and jitter, not for secrets.
 *
 * One xoshiro256++ generator per thread, seeded from getrandom(2) (clock, pid and address mixed when
 * that fails), reseeded in a forked child.  For tests a generator can be owned and seeded by hand.
 *
 * Threads   all.  Cost: a few ns, no system call after the first use in a thread.
 */
#ifndef SONDE_BASE_RNG_H
#define SONDE_BASE_RNG_H

#include <stdint.h>

typedef struct sonde_rng {
    uint64_t s[4];
} sonde_rng;

void sonde_rng_seed(sonde_rng *r, uint64_t seed); /* splitmix64 expansion: repeatable */
uint64_t sonde_rng_next(sonde_rng *r);
double sonde_rng_unit(sonde_rng *r); /* [0, 1) */

uint64_t sonde_random_u64(void);     /* this thread's generator */
void sonde_rng_postfork_child(void); /* makes every thread's generator reseed at its next use */

#endif /* SONDE_BASE_RNG_H */
