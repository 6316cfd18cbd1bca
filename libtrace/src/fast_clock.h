/* fast_clock.h - CLOCK_MONOTONIC at half its price, from the processor's time stamp counter.
 *
 * The kernel's own reading takes about 22 ns, most of it a serialising instruction that also keeps the
 * processor from overlapping anything; a span needs two.  Where the kernel itself uses the counter as its
 * clock source (x86-64, and the system says so), the counter is read here directly and converted with
 * a line through the last two calibrations.
 *
 * A calibration is a pair of readings of both clocks.  The flusher makes one each time it goes round; the
 * line is used for SONDE__FAST_CLOCK_FRESH_NS after the last one, in which it is off by a few
 * microseconds at most, and after that (idle process, forked child) the kernel is asked again.
 *
 * Threads   now: all; calibrate: one at a time.  Elsewhere than on x86-64 it is sonde_mono_ns(). */
#ifndef SONDE_LIBTRACE_FAST_CLOCK_H
#define SONDE_LIBTRACE_FAST_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define SONDE__FAST_CLOCK_BASE_NS  (50 * (uint64_t)SONDE_NS_PER_MS) /* shortest useful distance */
#define SONDE__FAST_CLOCK_FRESH_NS (3 * (uint64_t)SONDE_NS_PER_S)

/* mono = mono_ns + (ticks - this->ticks) * ns_per_tick / 2^32, for fresh_ticks after `ticks`. */
typedef struct sonde__fast_clock {
    _Atomic uint32_t seq; /* odd while being written */
    _Atomic uint64_t ticks;
    _Atomic uint64_t mono_ns;
    _Atomic uint64_t ns_per_tick; /* times 2^32 */
    _Atomic uint64_t fresh_ticks; /* 0: do not use the line */
} sonde__fast_clock;

extern sonde__fast_clock sonde__clock;

void sonde__fast_clock_open(void); /* looks whether the counter may be used */
void sonde__fast_clock_calibrate(void);

/* Stops the clock at `unix_ns` for tests, and lets it go on (0).  Monotonic time is then Unix time.  Before
 * the tracer starts and after it stops. */
void sonde__fast_clock_freeze(uint64_t unix_ns);
void sonde__fast_clock_advance(uint64_t ns); /* a frozen one */
bool sonde__fast_clock_is_frozen(void);

/* Enters a pair into `c`; the line goes through it and the pair `from`. */
void sonde__fast_clock_enter(sonde__fast_clock *c, uint64_t from_ticks, uint64_t from_mono_ns,
                             uint64_t ticks, uint64_t mono_ns);

/* The time at `ticks`; false: the line is too old, being written, or not there. */
static inline bool sonde__fast_clock_at(sonde__fast_clock *c, uint64_t ticks, uint64_t *out_mono_ns)
{
    /* Acquire on every field keeps the second look at `seq` behind them; pairs with the writer. */
    uint32_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);
    uint64_t from = atomic_load_explicit(&c->ticks, memory_order_acquire);
    uint64_t mono_ns = atomic_load_explicit(&c->mono_ns, memory_order_acquire);
    uint64_t scale = atomic_load_explicit(&c->ns_per_tick, memory_order_acquire);
    uint64_t fresh = atomic_load_explicit(&c->fresh_ticks, memory_order_acquire);

    if (__builtin_expect(ticks - from >= fresh || (seq & 1), 0) ||
        seq != atomic_load_explicit(&c->seq, memory_order_relaxed))
        return false;
    /* The product is the nanoseconds times 2^31; in the fresh time it stays below 2^63. */
    *out_mono_ns = mono_ns + ((ticks - from) * (scale >> 1) >> 31);
    return true;
}

static inline uint64_t sonde__now_mono_ns(void)
{
    uint64_t now;

#if defined(__x86_64__)
    if (__builtin_expect(sonde__fast_clock_at(&sonde__clock, __builtin_ia32_rdtsc(), &now), 1))
        return now;
#else
    if (sonde__fast_clock_at(&sonde__clock, 0, &now)) /* only when frozen */
        return now;
#endif
    return sonde_mono_ns();
}

#endif /* SONDE_LIBTRACE_FAST_CLOCK_H */
