/* limiter.c - the bucket, and the ratio.
 *
 * A second's count is one word: its number in 24 bits, questions in 20, passes in 20. */
#include "base/limiter.h"

#include "base/clock.h"

#define EPOCH_NS        (UINT64_C(1) << 62) /* added to all times: a full bucket lies before them */
#define INTERVAL_MAX_NS 9e17                /* 28 years */

#define SECOND_SHIFT 40
#define SECOND_MASK  0xffffffu
#define ASKED_SHIFT  20
#define COUNT_MASK   0xfffffu

static uint64_t second_of(uint64_t count)
{
    return count >> SECOND_SHIFT;
}

static uint64_t asked_of(uint64_t count)
{
    return count >> ASKED_SHIFT & COUNT_MASK;
}

static uint64_t passed_of(uint64_t count)
{
    return count & COUNT_MASK;
}

void sonde_limiter_init(sonde_limiter *l, double per_second)
{
    double interval = (double)SONDE_NS_PER_S / per_second;

    if (!(per_second > 0))
        l->interval_ns = UINT64_MAX;
    else
        l->interval_ns = (uint64_t)(interval < INTERVAL_MAX_NS ? interval : INTERVAL_MAX_NS);
    l->depth_ns = l->interval_ns < SONDE_NS_PER_S ? SONDE_NS_PER_S : l->interval_ns;
    atomic_init(&l->used_until, 0);
    atomic_init(&l->this_second, 0);
    atomic_init(&l->last_second, 0);
}

static bool take(sonde_limiter *l, uint64_t now)
{
    uint64_t was = atomic_load_explicit(&l->used_until, memory_order_relaxed);
    uint64_t used;

    if (l->interval_ns == UINT64_MAX)
        return false;
    do {
        used = (was > now - l->depth_ns ? was : now - l->depth_ns) + l->interval_ns;
        if (used > now)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&l->used_until, &was, used,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* Threads may read the clock in another order than they come here: a second does not come back. */
static bool is_later(uint64_t second, uint64_t than)
{
    uint64_t ahead = (second - than) & SECOND_MASK;

    return ahead != 0 && ahead <= SECOND_MASK / 2;
}

static void note(sonde_limiter *l, uint64_t second, bool passed)
{
    uint64_t was = atomic_load_explicit(&l->this_second, memory_order_relaxed);
    uint64_t now;
    bool next;

    do {
        next = is_later(second, second_of(was));
        now = next ? second << SECOND_SHIFT : was;
        if (asked_of(now) < COUNT_MASK)
            now += (UINT64_C(1) << ASKED_SHIFT) + passed;
    } while (!atomic_compare_exchange_weak_explicit(&l->this_second, &was, now,
                                                    memory_order_relaxed, memory_order_relaxed));
    if (next)
        atomic_store_explicit(&l->last_second, was, memory_order_relaxed);
}

bool sonde_limiter_pass(sonde_limiter *l, uint64_t now_mono_ns)
{
    bool passed = take(l, now_mono_ns + EPOCH_NS);

    note(l, now_mono_ns / SONDE_NS_PER_S & SECOND_MASK, passed);
    return passed;
}

double sonde_limiter_ratio(const sonde_limiter *l)
{
    uint64_t now = atomic_load_explicit(&l->this_second, memory_order_relaxed);
    uint64_t last = atomic_load_explicit(&l->last_second, memory_order_relaxed);
    uint64_t asked = asked_of(now);
    uint64_t passed = passed_of(now);

    if (((second_of(last) + 1) & SECOND_MASK) == second_of(now)) {
        asked += asked_of(last);
        passed += passed_of(last);
    }
    return asked > 0 ? (double)passed / (double)asked : 1;
}
