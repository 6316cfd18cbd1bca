/* overhead.c - one look a second. */
#include "overhead.h"

#include <string.h>

#include "base/clock.h"

#include "counts.h"

#define LOOK_NS  ((uint64_t)SONDE_NS_PER_S)
#define CALM_NS  (30 * (uint64_t)SONDE_NS_PER_S)
#define LEAST_NS (2 * (uint64_t)SONDE_NS_PER_MS) /* a second */
#define CPU_MAX  8u

void sonde_prof__overhead_init(sonde_prof__overhead *o, double max_percent)
{
    memset(o, 0, sizeof(*o));
    o->max = max_percent / 100;
}

/* True once when `low` has held for CALM_NS; then it counts anew. */
static bool held(uint64_t *since, bool low, uint64_t now)
{
    if (!low) {
        *since = 0;
        return false;
    }
    if (*since == 0)
        *since = now;
    if (now - *since < CALM_NS)
        return false;
    *since = now;
    return true;
}

static void mind_time(sonde_prof__overhead *o, uint64_t own, uint64_t cpu, uint64_t elapsed,
                      uint64_t now)
{
    double budget = (double)cpu * o->max;
    double least = (double)LEAST_NS * ((double)elapsed / SONDE_NS_PER_S);

    if (budget < least)
        budget = least;
    o->ppm = cpu ? (uint32_t)((double)own * 1e6 / (double)cpu) : 0;
    if ((double)own > budget && o->step < SONDE_PROF__STEPS_MAX) {
        o->step++;
        SONDE_PROF__COUNT(made_rarer);
    }
    if (held(&o->low_since_ns, (double)own < budget / 2, now) && o->step > 0)
        o->step--;
}

static void mind_memory(sonde_prof__overhead *o, const sonde_prof__costs *c)
{
    if (c->memory_bytes > c->memory_max / 8 * 7 && o->shed < SONDE_PROF__SHED_WALL) {
        o->shed++;
        SONDE_PROF__COUNT(shed);
    }
    if (held(&o->slim_since_ns, c->memory_bytes < c->memory_max / 4 * 3, c->now_mono_ns) &&
        o->shed > 0)
        o->shed--;
}

bool sonde_prof__overhead_look(sonde_prof__overhead *o, const sonde_prof__costs *c)
{
    uint32_t step = o->step, shed = o->shed;
    uint64_t elapsed = c->now_mono_ns - o->last_ns;
    bool is_first = o->last_ns == 0;

    if (c->now_mono_ns < o->next_ns)
        return false;
    o->next_ns = c->now_mono_ns + LOOK_NS;
    if (!is_first)
        mind_time(o, c->own_ns - o->last_own_ns, c->cpu_ns - o->last_cpu_ns, elapsed,
                  c->now_mono_ns);
    mind_memory(o, c);
    o->last_ns = c->now_mono_ns;
    o->last_own_ns = c->own_ns;
    o->last_cpu_ns = c->cpu_ns;
    return o->step != step || o->shed != shed;
}

uint64_t sonde_prof__cpu_period_at(uint64_t period_ns, uint32_t step)
{
    uint64_t longest = period_ns * CPU_MAX, at = period_ns;

    while (step-- > 0)
        at += at / 2;
    return at < longest ? at : longest;
}

uint64_t sonde_prof__interval_at(uint64_t interval, uint32_t step)
{
    return interval << step;
}
