/* profiler_storm_module.c - a library that profiler_storm loads and closes. */
#include <stdint.h>

#include "sonde/export.h"

SONDE_API uint64_t storm_module(uint64_t seed, uint64_t (*back)(uint64_t, uint64_t));

/* Calls back into who called it: the frame between belongs to code that is about to go. */
SONDE_API uint64_t storm_module(uint64_t seed, uint64_t (*back)(uint64_t, uint64_t))
{
    volatile uint64_t sum = 0;
    uint64_t i;

    for (i = 0; i < 2000; i++)
        sum += i;
    return back(seed, 2000) + (sum == 2000 * 1999 / 2);
}
