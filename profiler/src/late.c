/* late.c - when slots are looked at. */
#include "late.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#include "objects.h"
#include "proc.h"

#define LOOK_NS     ((uint64_t)SONDE_NS_PER_S)
#define LOOK_NS_MAX (8 * (uint64_t)SONDE_NS_PER_S) /* between looks at slots that wait */

static sonde_prof__late_patch patch; /* NULL: not late */
static uint32_t groups; /* all that were ever asked for: their slots stay as they are */
static uint64_t generation;
static uint64_t next_look_ns, again_ns, pause_ns;
static bool waits;
static _Atomic uint64_t heap_ms;

void sonde_prof__late_set(sonde_prof__late_patch with)
{
    patch = with;
}

uint64_t sonde_prof__late_heap_ms(void)
{
    return atomic_load_explicit(&heap_ms, memory_order_relaxed);
}

/* The age of the process: its start is in clock ticks since the machine was booted. */
static uint64_t process_age_ms(void)
{
    long per_s = sysconf(_SC_CLK_TCK);
    struct timespec boot = { 0, 0 };
    uint64_t started, now;

    if (per_s <= 0 || !sonde_prof__proc_stat(22, &started))
        return 0;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    now = (uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / SONDE_NS_PER_MS;
    started = started * 1000 / (uint64_t)per_s;
    return now > started ? now - started : 0;
}

static void look(bool is_new)
{
    sonde_got_counts counts;

    generation = sonde_prof__objects_generation(); /* before: what comes later is seen next time */
    patch(groups, is_new, &counts);
    if (counts.patched)
        SONDE_LOG(SONDE_LOG_DEBUG, "hooks: slots=%llu waiting=%llu objects=%llu",
                  (unsigned long long)counts.patched, (unsigned long long)counts.waiting,
                  (unsigned long long)counts.objects);
    waits = counts.waiting > 0;
}

void sonde_prof__late_start(uint32_t wanted, uint64_t now_mono_ns)
{
    bool is_new = (groups | wanted) != groups;

    if (!patch)
        return;
    groups |= wanted;
    look(is_new);
    pause_ns = LOOK_NS;
    next_look_ns = again_ns = now_mono_ns + pause_ns;
    if ((wanted & SONDE_PROF__LATE_HEAP) && sonde_prof__late_heap_ms() == 0)
        atomic_store_explicit(&heap_ms, process_age_ms(), memory_order_relaxed);
}

/* Slots that wait come without a change of the list: when their object has been loaded, or they are first called through. */
void sonde_prof__late_tick(uint64_t now_mono_ns)
{
    bool has_changed;

    if (!patch || !groups || now_mono_ns < next_look_ns)
        return;
    next_look_ns = now_mono_ns + LOOK_NS;
    has_changed = sonde_prof__objects_generation() != generation;
    if (!has_changed && !(waits && now_mono_ns >= again_ns))
        return;
    pause_ns = has_changed ? LOOK_NS : pause_ns < LOOK_NS_MAX ? pause_ns * 2 : pause_ns;
    again_ns = now_mono_ns + pause_ns;
    look(false);
}
