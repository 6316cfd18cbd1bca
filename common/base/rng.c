/* rng.c - xoshiro256++ per thread, reseeded when the process forks.
 *
 * A thread's generator is valid for one epoch; a forked child starts a new one, so that parent and
 * child never hand out the same ids. */
#include "base/rng.h"

#include <stdatomic.h>

#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic uint32_t epoch = 1;

static __thread struct {
    sonde_rng rng;
    uint32_t epoch; /* 0: never seeded */
} local __attribute__((tls_model("initial-exec")));

static inline uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void sonde_rng_seed(sonde_rng *r, uint64_t seed)
{
    int i;

    for (i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t sonde_rng_next(sonde_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

double sonde_rng_unit(sonde_rng *r)
{
    return (double)(sonde_rng_next(r) >> 11) * 0x1p-53;
}

static void seed_local(uint32_t now_epoch)
{
    sonde_rng *r = &local.rng;

    if (getrandom(r->s, sizeof(r->s), GRND_NONBLOCK) != (ssize_t)sizeof(r->s) ||
        (r->s[0] | r->s[1] | r->s[2] | r->s[3]) == 0) {
        uint64_t seed = sonde_mono_ns() ^ rotl((uint64_t)sonde_unix_ns(), 32) ^
                        rotl((uint64_t)getpid(), 48) ^ (uint64_t)(uintptr_t)r;

        sonde_rng_seed(r, seed);
    }
    local.epoch = now_epoch;
}

uint64_t sonde_random_u64(void)
{
    uint32_t now_epoch = atomic_load_explicit(&epoch, memory_order_relaxed);

    if (__builtin_expect(local.epoch != now_epoch, 0))
        seed_local(now_epoch);
    return sonde_rng_next(&local.rng);
}

void sonde_rng_postfork_child(void)
{
    atomic_fetch_add_explicit(&epoch, 1, memory_order_relaxed);
}
