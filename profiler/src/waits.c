/* waits.c - waited time used up: draw anew, and say where and for what. */
#include "waits.h"

#include <errno.h>

#include <sys/stat.h>

#include "base/clock.h"

#include "arena.h"
#include "context.h"
#include "poisson.h"
#include "waiters.h"

#define NS_PER_US 1000u

_Atomic uint32_t sonde_prof__locks_on;
_Atomic bool sonde_prof__io_on, sonde_prof__throws_on;

/* One kind of wait: what was asked for, what is in force, and how many were sampled since the last look. */
typedef struct rate {
    uint32_t asked_us;
    _Atomic uint32_t mean_us;
    _Atomic uint32_t sampled;
} rate;

static rate locks, io;
static _Atomic uint32_t step_now;
static uint64_t next_look_ns, last_look_ns;

/* -- credit ----------------------------------------------------------------------------------------- */

static void draw(const rate *r, int64_t *credit, uint32_t *mean_us)
{
    sonde_prof__tls *self = &sonde_prof__self;

    if (self->rng == 0)
        self->rng = sonde_prof__random_seed(self, sonde_mono_ns());
    *mean_us = atomic_load_explicit(&r->mean_us, memory_order_relaxed);
    *credit = sonde_prof__poisson_gap(&self->rng, (uint64_t)*mean_us * NS_PER_US);
}

/* 0: not sampled; else what it weighs.  Draws the next gap. */
static double weight_of(rate *r, int64_t *credit, uint32_t *mean_us, uint64_t ns)
{
    double weight = 0;

    if (*mean_us == 0)
        draw(r, credit, mean_us);
    *credit -= (int64_t)(ns ? ns : 1);
    if (*credit > 0)
        return 0;
    weight = sonde_prof__poisson_weight(ns, (uint64_t)*mean_us * NS_PER_US);
    draw(r, credit, mean_us);
    atomic_fetch_add_explicit(&r->sampled, 1, memory_order_relaxed);
    return weight;
}

/* To a whole number, up or down by chance, so that sums stay right where weights are small. */
static int64_t whole(double x)
{
    uint64_t dice = sonde_prof__random(&sonde_prof__self.rng) >> 11;

    return (int64_t)(x + (double)dice * 0x1p-53);
}

/* -- samples ---------------------------------------------------------------------------------------- */

/* By whoever let go: what the waiter says, with another stack. */
static void say_who(sonde_prof__sample *s, const sonde_prof__release *r)
{
    s->kind = SONDE_PROF__RELEASE;
    s->tid = r ? r->tid : 0;
    s->depth = r ? r->depth : 0;
    s->end = r ? r->end : 0;
    s->context = r ? r->context : (sonde_prof__context){ 0, 0, 0, 0 };
    (void)sonde_prof__sample_put(s, r ? r->frames : NULL);
}

static void waited(const volatile void *lock, enum sonde_prof__lock_kind kind, uint64_t ns,
                   const sonde_prof__release *r, const void *caller)
{
    sonde_prof__tls *self = &sonde_prof__self;
    sonde_prof__sample s = { .kind = SONDE_PROF__LOCK, .events = 1 };
    double weight = weight_of(&locks, &self->lock_credit, &self->lock_mean, ns);

    if (weight == 0 || !sonde_prof__slot_mine())
        return;
    s.value[0] = whole(weight);
    s.value[1] = whole(weight * (double)ns);
    s.value[2] = (int64_t)(uintptr_t)lock;
    s.value[3] = kind;
    sonde_prof__context_add(self->slot, SONDE_PROF__COST_LOCK_NS, (uint64_t)s.value[1]);
    (void)sonde_prof__sample_here(&s, caller);
    say_who(&s, r);
}

void sonde_prof__lock_waited(const volatile void *lock, enum sonde_prof__lock_kind kind,
                             uint64_t ns, const sonde_prof__release *r, const void *caller)
{
    sonde_prof__self.depth++;
    waited(lock, kind, ns, r, caller);
    sonde_prof__self.depth--;
}

sonde_prof__wait sonde_prof__wait_begin(const volatile void *lock)
{
    sonde_prof__tls *self = &sonde_prof__self;
    sonde_prof__wait w = { 0, { 0, 0 } };
    sonde_prof__slot *slot;
    int saved = errno;

    self->depth++;
    if (self->lock_mean == 0)
        draw(&locks, &self->lock_credit, &self->lock_mean);
    slot = sonde_prof__slot_mine();
    w.from_ns = sonde_mono_ns();
    if (slot)
        w.waiter = sonde_prof__waiter_add(slot, lock, w.from_ns + (uint64_t)self->lock_credit);
    self->depth--;
    errno = saved;
    return w;
}

void sonde_prof__wait_end(const sonde_prof__wait *w, const volatile void *lock,
                          enum sonde_prof__lock_kind kind, bool is_mine, const void *caller)
{
    sonde_prof__tls *self = &sonde_prof__self;
    uint64_t ns = sonde_mono_ns() - w->from_ns;
    sonde_prof__release *r = NULL;
    int saved = errno;

    if (self->slot)
        r = sonde_prof__waiter_remove(self->slot, w->waiter);
    if (is_mine)
        sonde_prof__lock_waited(lock, kind, ns, r, caller);
    sonde_prof__release_put(r);
    errno = saved;
}

static enum sonde_prof__io_class class_of(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return SONDE_PROF__IO_UNKNOWN;
    return S_ISSOCK(st.st_mode)  ? SONDE_PROF__IO_SOCKET
           : S_ISREG(st.st_mode) ? SONDE_PROF__IO_FILE
                                 : SONDE_PROF__IO_UNKNOWN;
}

void sonde_prof__io_waited(int fd, enum sonde_prof__io_operation operation, uint64_t ns,
                           uint64_t bytes, const void *caller)
{
    sonde_prof__tls *self = &sonde_prof__self;
    sonde_prof__sample s = { .kind = SONDE_PROF__IO, .events = 1 };
    int saved = errno;
    double weight;

    self->depth++;
    weight = weight_of(&io, &self->io_credit, &self->io_mean, ns);
    if (weight > 0 && sonde_prof__slot_mine()) {
        s.value[0] = whole(weight);
        s.value[1] = whole(weight * (double)ns);
        s.value[2] = whole(weight * (double)bytes);
        s.value[3] = (int64_t)operation | (int64_t)class_of(fd) << 8;
        (void)sonde_prof__sample_here(&s, caller);
    }
    self->depth--;
    errno = saved;
}

/* Each throw is one point in THROWS_PER_SAMPLE, or more: no credit is kept for what is so rare. */
void sonde_prof__threw(const char *type_name, const void *caller)
{
    sonde_prof__tls *self = &sonde_prof__self;
    sonde_prof__sample s = { .kind = SONDE_PROF__EXCEPTION, .events = 1 };
    uint64_t each = (uint64_t)SONDE_PROF__THROWS_PER_SAMPLE
                    << atomic_load_explicit(&step_now, memory_order_relaxed);

    self->depth++;
    if (self->rng == 0)
        self->rng = sonde_prof__random_seed(self, sonde_mono_ns());
    if (sonde_prof__random(&self->rng) % each == 0 && sonde_prof__slot_mine()) {
        s.value[0] = (int64_t)each;
        s.value[1] = (int64_t)(uintptr_t)type_name;
        (void)sonde_prof__sample_here(&s, caller);
    }
    self->depth--;
}

/* -- life ------------------------------------------------------------------------------------------- */

static void begin(rate *r, uint64_t mean_ns)
{
    if (mean_ns == 0)
        mean_ns = SONDE_PROF__WAIT_MEAN_NS;
    r->asked_us = mean_ns < NS_PER_US ? 1 : (uint32_t)(mean_ns / NS_PER_US);
    atomic_store_explicit(&r->mean_us, r->asked_us, memory_order_relaxed);
    atomic_store_explicit(&r->sampled, 0, memory_order_relaxed);
}

/* For the rest of the process's life: a wait may be under way. */
static void open_releases(void)
{
    if (!atomic_load_explicit(&sonde_prof__releases, memory_order_relaxed))
        atomic_store_explicit(&sonde_prof__releases,
                              (sonde_prof__release *)sonde_prof__pages_map(
                                  SONDE_PROF__RELEASES_MAX * sizeof(sonde_prof__release)),
                              memory_order_release);
}

void sonde_prof__waits_start(const sonde_prof__wait_settings *settings)
{
    begin(&locks, settings->lock_mean_ns);
    begin(&io, settings->io_mean_ns);
    last_look_ns = next_look_ns = 0;
    atomic_store_explicit(&step_now, 0, memory_order_relaxed);
    if (settings->locks)
        open_releases();
    atomic_store_explicit(&sonde_prof__locks_on, settings->locks, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__io_on, settings->io, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__throws_on, settings->exception, memory_order_relaxed);
}

void sonde_prof__waits_stop(void)
{
    atomic_store_explicit(&sonde_prof__locks_on, 0, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__io_on, false, memory_order_relaxed);
    atomic_store_explicit(&sonde_prof__throws_on, false, memory_order_relaxed);
}

/* What an interval is not below: what was asked for, and more when there is need. */
static uint32_t least_us(const rate *r)
{
    const uint32_t max = SONDE_PROF__WAIT_MEAN_NS_MAX / NS_PER_US;
    uint32_t us = r->asked_us, i;

    for (i = atomic_load_explicit(&step_now, memory_order_relaxed); i > 0 && us < max; i--)
        us *= 2;
    return us < max || us == r->asked_us ? us : max;
}

static void keep_least(rate *r)
{
    uint32_t least = least_us(r);

    if (atomic_load_explicit(&r->mean_us, memory_order_relaxed) < least)
        atomic_store_explicit(&r->mean_us, least, memory_order_relaxed);
}

void sonde_prof__waits_set_step(uint32_t step)
{
    atomic_store_explicit(&step_now, step, memory_order_relaxed);
    keep_least(&locks);
    keep_least(&io);
}

/* The number of samples is inverse to the interval, so a few seconds find it. */
static void adapt(rate *r, double seconds)
{
    double per_s = (double)atomic_exchange_explicit(&r->sampled, 0, memory_order_relaxed) / seconds;
    uint32_t mean = atomic_load_explicit(&r->mean_us, memory_order_relaxed), least = least_us(r);

    if (per_s > SONDE_PROF__WAITS_PER_S && mean < SONDE_PROF__WAIT_MEAN_NS_MAX / NS_PER_US)
        mean *= 2;
    else if (per_s < SONDE_PROF__WAITS_PER_S / 2 && mean > least)
        mean = mean / 2 > least ? mean / 2 : least;
    atomic_store_explicit(&r->mean_us, mean, memory_order_relaxed);
}

void sonde_prof__waits_tick(uint64_t now_mono_ns)
{
    if (now_mono_ns < next_look_ns)
        return;
    next_look_ns = now_mono_ns + SONDE_NS_PER_S;
    if (last_look_ns != 0 && now_mono_ns > last_look_ns) {
        double seconds = (double)(now_mono_ns - last_look_ns) / SONDE_NS_PER_S;

        adapt(&locks, seconds);
        adapt(&io, seconds);
    }
    last_look_ns = now_mono_ns;
}

static uint64_t mean_of(bool on, const rate *r)
{
    return on ? (uint64_t)atomic_load_explicit(&r->mean_us, memory_order_relaxed) * NS_PER_US : 0;
}

uint64_t sonde_prof__lock_mean(void)
{
    return mean_of(atomic_load_explicit(&sonde_prof__locks_on, memory_order_relaxed) != 0, &locks);
}

uint64_t sonde_prof__io_mean(void)
{
    return mean_of(atomic_load_explicit(&sonde_prof__io_on, memory_order_relaxed), &io);
}
