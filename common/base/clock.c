/* clock.c - the system's two clocks. */
#include "base/clock.h"

#include <limits.h>
#include <stddef.h>

int64_t sonde_unix_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * SONDE_NS_PER_S + ts.tv_nsec;
}

uint64_t sonde_mono_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * SONDE_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int64_t system_unix_ns(void *user)
{
    (void)user;
    return sonde_unix_ns();
}

static uint64_t system_mono_ns(void *user)
{
    (void)user;
    return sonde_mono_ns();
}

const sonde_clock sonde_system_clock = { system_unix_ns, system_mono_ns, NULL };

struct timespec sonde_ns_to_timespec(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / SONDE_NS_PER_S),
                              .tv_nsec = (long)(ns % SONDE_NS_PER_S) };
}

int sonde_ms_left(uint64_t deadline_mono_ns, uint64_t now_mono_ns)
{
    uint64_t left_ns, left_ms;

    if (deadline_mono_ns <= now_mono_ns)
        return 0;
    left_ns = deadline_mono_ns - now_mono_ns;
    left_ms = left_ns / SONDE_NS_PER_MS + (left_ns % SONDE_NS_PER_MS != 0);
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
