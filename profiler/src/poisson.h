/* poisson.h - when the next sample is due, and what one stands for.
 *
 * Sample points lie on the line of what is measured (allocated bytes, waited nanoseconds) at random, one per `mean` on
 * average.  An event of length s is sampled when at least one point falls into it, with the probability
 * p = 1 - exp(-s / mean); it then stands for 1/p events and s/p of what is measured, which makes both sums unbiased for
 * every mixture of lengths.  Adding up first and weighting later would not.
 *
 * The logarithm is our own: libm is not in every process, and must not be because of us.
 *
 * Threads   all, signal handlers included. */
#ifndef SONDE_PROFILER_POISSON_H
#define SONDE_PROFILER_POISSON_H

#include <stdint.h>

/* xorshift64*; *state is never 0. */
uint64_t sonde_prof__random(uint64_t *state);

/* A state that was never used, unlike that of any other place in memory or time. */
uint64_t sonde_prof__random_seed(const void *place, uint64_t time_ns);

/* Distance to the next point, 1 at least, 2^62 at most.  An integer gap of g is used up by the g-th byte, so that an
 * event is sampled when `credit -= s` makes the credit 0 or less. */
int64_t sonde_prof__poisson_gap(uint64_t *state, uint64_t mean);

/* 1/p, 1 or more; of length 0 as of 1. */
double sonde_prof__poisson_weight(uint64_t length, uint64_t mean);

#endif /* SONDE_PROFILER_POISSON_H */
