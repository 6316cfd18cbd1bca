/* base/clock.h - wall and monotonic time, a fake for tests, conversions that saturate.
 *
 * Code that decides by time takes `now_mono_ns` or a sonde_clock, so that tests do not sleep.
 *
 * Threads   all.  sonde_unix_ns and sonde_mono_ns are signal-safe.
 */
#ifndef SONDE_BASE_CLOCK_H
#define SONDE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SONDE_NS_PER_US 1000u
#define SONDE_NS_PER_MS 1000000u
#define SONDE_NS_PER_S  1000000000u

typedef struct sonde_clock {
    int64_t (*unix_ns)(void *user);
    uint64_t (*mono_ns)(void *user);
    void *user;
} sonde_clock;

extern const sonde_clock sonde_system_clock;

int64_t sonde_unix_ns(void);
uint64_t sonde_mono_ns(void);

static inline uint64_t sonde_ms_to_ns(uint64_t ms)
{
    return ms > UINT64_MAX / SONDE_NS_PER_MS ? UINT64_MAX : ms * SONDE_NS_PER_MS;
}

static inline uint64_t sonde_s_to_ns(uint64_t s)
{
    return s > UINT64_MAX / SONDE_NS_PER_S ? UINT64_MAX : s * SONDE_NS_PER_S;
}

/* now + duration, saturating: UINT64_MAX means "never". */
static inline uint64_t sonde_deadline(uint64_t now_mono_ns, uint64_t duration_ns)
{
    return duration_ns > UINT64_MAX - now_mono_ns ? UINT64_MAX : now_mono_ns + duration_ns;
}

struct timespec sonde_ns_to_timespec(uint64_t ns);

/* Milliseconds left until the deadline for poll(): 0 when passed, rounded up, at most INT_MAX. */
int sonde_ms_left(uint64_t deadline_mono_ns, uint64_t now_mono_ns);

#endif /* SONDE_BASE_CLOCK_H */
