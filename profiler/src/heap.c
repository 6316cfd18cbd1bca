/* heap.c - the credit is used up: draw anew, and say where. */
#include "heap.h"

#include "base/clock.h"

#include "context.h"
#include "counts.h"
#include "poisson.h"
#include "profiler.h"

#define KIB 1024u
#define FX  256.0 /* objects are counted in 256ths */

_Atomic bool sonde_prof__heap_on;
_Atomic bool sonde_prof__heap_live;

static _Atomic uint32_t mean_kib; /* of the next draw */
static _Atomic uint32_t serials;

/* -- credit ----------------------------------------------------------------------------------------- */

static void draw(sonde_prof__tls *self)
{
    if (self->rng == 0)
        self->rng = sonde_prof__random_seed(self, sonde_mono_ns());
    self->heap_mean = atomic_load_explicit(&mean_kib, memory_order_relaxed);
    self->heap_credit = sonde_prof__poisson_gap(&self->rng, (uint64_t)self->heap_mean * KIB);
}

/* A thread's first allocation finds a credit of nothing: it is drawn now, and asked again. */
static bool is_sampled(sonde_prof__tls *self, size_t bytes)
{
    if (self->heap_mean != 0)
        return true;
    draw(self);
    self->heap_credit -= (int64_t)(bytes ? bytes : 1);
    return self->heap_credit <= 0;
}

/* -- one sample ------------------------------------------------------------------------------------- */

static bool remember(void *block, size_t bytes, bool is_region, double weight, uint32_t serial)
{
    sonde_prof__live entry = { .address = (uintptr_t)block,
                               .bytes = bytes,
                               .weight = (float)weight,
                               .serial = serial,
                               .tid = atomic_load_explicit(&sonde_prof__self.slot->tid,
                                                           memory_order_relaxed),
                               .time_s = (uint32_t)(sonde_mono_ns() / SONDE_NS_PER_S) };

    return is_region ? sonde_prof__live_map(&entry) : sonde_prof__live_put(&entry);
}

static void forget(void *block, size_t bytes, bool is_region)
{
    sonde_prof__live gone;

    if (is_region)
        sonde_prof__live_unmap((uintptr_t)block, bytes);
    else
        (void)sonde_prof__live_take((uintptr_t)block, &gone);
}

static void say(void *block, size_t bytes, bool is_region, const void *caller)
{
    double weight = sonde_prof__poisson_weight(bytes, (uint64_t)sonde_prof__self.heap_mean * KIB);
    uint32_t serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
    sonde_prof__sample s = { .kind = SONDE_PROF__ALLOC, .events = 1 };
    bool lives = false;

    s.value[0] = (int64_t)(weight * FX + 0.5);
    s.value[1] = (int64_t)(weight * (double)(bytes ? bytes : 1) + 0.5);
    s.value[2] = (int64_t)(uintptr_t)block;
    s.value[3] = serial;
    if (atomic_load_explicit(&sonde_prof__heap_live, memory_order_relaxed))
        lives = remember(
            block, bytes, is_region,
            weight * atomic_load_explicit(&sonde_prof__self.slot->weight, memory_order_relaxed),
            serial);
    sonde_prof__context_add(sonde_prof__self.slot, SONDE_PROF__COST_ALLOC_BYTES,
                            (uint64_t)s.value[1]);
    if (!sonde_prof__sample_here(&s, caller) && lives)
        forget(block, bytes, is_region);
}

__attribute__((noinline, cold)) void sonde_prof__heap_sample(void *block, size_t bytes,
                                                             bool is_region, const void *caller)
{
    sonde_prof__tls *self = &sonde_prof__self;

    self->depth++;
    sonde_prof__resume();
    if (is_sampled(self, bytes)) {
        if (sonde_prof__slot_mine())
            say(block, bytes, is_region, caller);
        else
            SONDE_PROF__COUNT(heap_no_slot);
        draw(self);
    }
    self->depth--;
}

/* Out of line, so that free() needs no room on the stack. */
__attribute__((noinline, cold)) void sonde_prof__heap_forget(const void *block)
{
    sonde_prof__live was;

    (void)sonde_prof__live_take((uintptr_t)block, &was);
}

/* -- life ------------------------------------------------------------------------------------------- */

void sonde_prof__heap_set_mean(uint64_t bytes)
{
    if (bytes < SONDE_PROF__HEAP_MEAN_BYTES_MIN)
        bytes = SONDE_PROF__HEAP_MEAN_BYTES_MIN;
    if (bytes / KIB > UINT32_MAX)
        bytes = (uint64_t)UINT32_MAX * KIB;
    atomic_store_explicit(&mean_kib, (uint32_t)(bytes / KIB), memory_order_relaxed);
}

uint64_t sonde_prof__heap_mean(void)
{
    return atomic_load_explicit(&sonde_prof__heap_on, memory_order_relaxed)
               ? (uint64_t)atomic_load_explicit(&mean_kib, memory_order_relaxed) * KIB
               : 0;
}

void sonde_prof__heap_start(const sonde_prof__heap_settings *settings)
{
    sonde_prof__heap_set_mean(settings->mean_bytes ? settings->mean_bytes
                                                   : SONDE_PROF__HEAP_MEAN_BYTES);
    if (settings->live)
        sonde_prof__live_open(settings->live_max ? settings->live_max : SONDE_PROF__LIVE_MAX);
    atomic_store_explicit(&sonde_prof__heap_live, settings->live, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__heap_on, true, memory_order_relaxed);
}

void sonde_prof__heap_stop(void)
{
    atomic_store_explicit(&sonde_prof__heap_on, false, memory_order_relaxed);
}
