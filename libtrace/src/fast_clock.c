/* fast_clock.c - calibrating the counter against CLOCK_MONOTONIC. */
#include "fast_clock.h"

#include <string.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TRIES          5
#define PAIR_TICKS_MAX 3000 /* a pair read with more in between was interrupted */

sonde__fast_clock sonde__clock;

static bool usable;
static _Atomic uint64_t frozen_ns;        /* 0: the clock goes */
static uint64_t base_ticks, base_mono_ns; /* where the next line begins; 0: nowhere yet */

static void publish(sonde__fast_clock *c, uint64_t ticks, uint64_t mono_ns, uint64_t scale,
                    uint64_t fresh)
{
    /* A fork may have caught the parent's thread here, with an odd number. */
    uint32_t seq = atomic_load_explicit(&c->seq, memory_order_relaxed) | 1;

    /* Release on every field keeps them behind the odd `seq`; pairs with sonde__fast_clock_at(). */
    atomic_store_explicit(&c->seq, seq, memory_order_relaxed);
    atomic_store_explicit(&c->ticks, ticks, memory_order_release);
    atomic_store_explicit(&c->mono_ns, mono_ns, memory_order_release);
    atomic_store_explicit(&c->ns_per_tick, scale, memory_order_release);
    atomic_store_explicit(&c->fresh_ticks, fresh, memory_order_release);
    atomic_store_explicit(&c->seq, seq + 1, memory_order_release);
}

void sonde__fast_clock_enter(sonde__fast_clock *c, uint64_t from_ticks, uint64_t from_mono_ns,
                             uint64_t ticks, uint64_t mono_ns)
{
    uint64_t dt = ticks - from_ticks;
    uint64_t dn = mono_ns - from_mono_ns;

    /* Counters run at 0.5 to 8 GHz; a distance above 4 s would overflow. */
    if (dn < SONDE__FAST_CLOCK_BASE_NS || dn >= UINT64_C(1) << 32 || dt < dn / 2 || dt > dn * 8) {
        publish(c, 0, 0, 0, 0);
        return;
    }
    publish(c, ticks, mono_ns, (dn << 32) / dt, SONDE__FAST_CLOCK_FRESH_NS / 1024 * dt / dn * 1024);
}

bool sonde__fast_clock_is_frozen(void)
{
    return atomic_load_explicit(&frozen_ns, memory_order_relaxed) != 0;
}

/* A line of no slope that is always fresh. */
void sonde__fast_clock_freeze(uint64_t unix_ns)
{
    atomic_store_explicit(&frozen_ns, unix_ns, memory_order_relaxed);
    publish(&sonde__clock, 0, unix_ns, 0, unix_ns ? UINT64_MAX : 0);
}

void sonde__fast_clock_advance(uint64_t ns)
{
    if (sonde__fast_clock_is_frozen())
        sonde__fast_clock_freeze(atomic_load_explicit(&frozen_ns, memory_order_relaxed) + ns);
}

#if defined(__x86_64__)

/* A debugger or sandbox may have made the instruction a fault. */
static bool may_read_counter(void)
{
    int state = PR_TSC_ENABLE;

    return prctl(PR_GET_TSC, &state) != 0 || state == PR_TSC_ENABLE;
}

static bool kernel_uses_counter(void)
{
    char name[8] = "";
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                  O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, name, sizeof(name));
    (void)close(fd);
    return n == 4 && memcmp(name, "tsc\n", 4) == 0;
}

static bool read_pair(uint64_t *out_ticks, uint64_t *out_mono_ns)
{
    int i;

    for (i = 0; i < TRIES; i++) {
        uint64_t before = __builtin_ia32_rdtsc();
        uint64_t mono_ns = sonde_mono_ns();
        uint64_t after = __builtin_ia32_rdtsc();

        if (after - before > PAIR_TICKS_MAX)
            continue;
        *out_ticks = before + (after - before) / 2;
        *out_mono_ns = mono_ns;
        return true;
    }
    return false;
}

void sonde__fast_clock_open(void)
{
    if (sonde__fast_clock_is_frozen())
        return;
    usable = may_read_counter() && kernel_uses_counter();
    publish(&sonde__clock, 0, 0, 0, 0);
    if (usable && !read_pair(&base_ticks, &base_mono_ns))
        base_mono_ns = 0;
}

void sonde__fast_clock_calibrate(void)
{
    uint64_t ticks, mono_ns;

    if (sonde__fast_clock_is_frozen() || !usable || !read_pair(&ticks, &mono_ns))
        return;
    if (base_mono_ns == 0 || mono_ns - base_mono_ns >= SONDE__FAST_CLOCK_FRESH_NS) {
        /* Too far apart for one line: the kernel answers until the next calibration. */
        publish(&sonde__clock, 0, 0, 0, 0);
        base_ticks = ticks;
        base_mono_ns = mono_ns;
        usable = kernel_uses_counter(); /* it may have found the counter unstable */
        return;
    }
    if (mono_ns - base_mono_ns < SONDE__FAST_CLOCK_BASE_NS)
        return;
    sonde__fast_clock_enter(&sonde__clock, base_ticks, base_mono_ns, ticks, mono_ns);
    if (mono_ns - base_mono_ns >=
        SONDE_NS_PER_S) { /* long enough to measure the next one from here */
        base_ticks = ticks;
        base_mono_ns = mono_ns;
    }
}

#else

void sonde__fast_clock_open(void)
{
}

void sonde__fast_clock_calibrate(void)
{
}

#endif
