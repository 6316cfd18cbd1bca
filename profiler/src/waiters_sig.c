/* waiters_sig.c - a table of waits, open addressing by lock, each place a small state machine.
 *
 *   free ──waiter──▶ waiting ──waiter──▶ free
 *                       └─releaser─▶ taken ──releaser──▶ given ──waiter──▶ free
 *                                       └─waiter─▶ left ──releaser──▶ free
 *
 * Each step is one compare-and-swap of a word that also counts the waits of the place, so that who comes late for one wait
 * never meets the next.  Nobody ever waits for anybody here. */
#include "waiters.h"

#include <errno.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#include "counts.h"

#define CLAIMED   ((uintptr_t)1)                   /* instead of a lock, while a place is made */
#define STEP_BITS 3u                               /* of the state; above: which wait it is */
#define SOON_NS   (50 * (uint64_t)SONDE_NS_PER_US) /* a released thread runs that much later */

enum step { FREE, WAITING, TAKEN, GIVEN, LEFT };

typedef struct place {
    _Atomic uintptr_t lock; /* 0: free */
    _Atomic uint64_t due_ns;
    _Atomic uint32_t state;
    _Atomic(sonde_prof__release *) release; /* once given; NULL: there was no room */
} place;

_Atomic uint16_t sonde_prof__waiting[SONDE_PROF__WAITERS_MAX];
_Atomic(sonde_prof__release *) sonde_prof__releases;
static place places[SONDE_PROF__WAITERS_MAX];

static bool step(place *p, uint32_t from, enum step to)
{
    return atomic_compare_exchange_strong_explicit(&p->state, &from,
                                                   (from & ~((1u << STEP_BITS) - 1)) | to,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static uint32_t at_step(uint32_t state, enum step s)
{
    return (state & ~((1u << STEP_BITS) - 1)) | s;
}

/* -- stacks ----------------------------------------------------------------------------------------- */

static sonde_prof__release *release_new(void)
{
    sonde_prof__release *all = atomic_load_explicit(&sonde_prof__releases, memory_order_acquire);
    uint32_t i, none;

    for (i = 0; all && i < SONDE_PROF__RELEASES_MAX; i++) {
        none = 0;
        if (atomic_compare_exchange_strong_explicit(&all[i].refs, &none, 1, memory_order_acquire,
                                                    memory_order_relaxed))
            return &all[i];
    }
    SONDE_PROF__COUNT(releases_full);
    return NULL;
}

void sonde_prof__release_put(sonde_prof__release *r)
{
    if (r)
        atomic_fetch_sub_explicit(&r->refs, 1, memory_order_release);
}

/* NULL: no room, or a sampler of this thread was interrupted. */
static sonde_prof__release *stack_of_self(const void *caller)
{
    sonde_prof__release *r = release_new();
    sonde_prof__sample s = { .kind = SONDE_PROF__RELEASE };

    if (!r)
        return NULL;
    if (!sonde_prof__stack_here(&s, r->frames, caller)) {
        sonde_prof__release_put(r);
        return NULL;
    }
    r->tid = s.tid;
    r->depth = s.depth;
    r->end = s.end;
    r->context = s.context;
    return r;
}

/* -- waiting ---------------------------------------------------------------------------------------- */

static place *claim(uint32_t home)
{
    uint32_t i;

    for (i = 0; i < SONDE_PROF__WAITERS_PROBES; i++) {
        place *p = &places[(home + i) % SONDE_PROF__WAITERS_MAX];
        uintptr_t none = 0;

        if (atomic_load_explicit(&p->lock, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&p->lock, &none, CLAIMED, memory_order_acquire,
                                                    memory_order_relaxed))
            return p;
    }
    SONDE_PROF__COUNT(waiters_full);
    return NULL;
}

sonde_prof__waiter sonde_prof__waiter_add(sonde_prof__slot *slot, const volatile void *lock,
                                          uint64_t due_mono_ns)
{
    uint32_t home = sonde_prof__lock_hash(lock), state;
    place *p;

    sonde_prof__waiter_forget(slot);
    p = claim(home);
    if (!p)
        return (sonde_prof__waiter){ 0, 0 };
    state = atomic_load_explicit(&p->state, memory_order_relaxed) + (1u << STEP_BITS);
    state = at_step(state, WAITING);
    atomic_store_explicit(&p->due_ns, due_mono_ns, memory_order_relaxed);
    atomic_store_explicit(&p->state, state, memory_order_release);
    atomic_store_explicit(&p->lock, (uintptr_t)lock,
                          memory_order_release); /* pairs with is_due() */
    atomic_fetch_add_explicit(&sonde_prof__waiting[home], 1, memory_order_relaxed);
    slot->waiter = (sonde_prof__waiter){ (uint32_t)(p - places) + 1, state };
    return slot->waiter;
}

static void free_place(place *p)
{
    atomic_store_explicit(&p->lock, 0, memory_order_release); /* pairs with claim() */
}

/* Whose lock has that hash. */
static bool is_at_home(const place *p, uint32_t home)
{
    uintptr_t lock = atomic_load_explicit(&p->lock, memory_order_relaxed);

    return lock > CLAIMED && sonde_prof__lock_hash((const void *)lock) == home;
}

/* Before the place is free. */
static void uncount(const place *p)
{
    uint32_t home =
        sonde_prof__lock_hash((const void *)atomic_load_explicit(&p->lock, memory_order_relaxed));

    atomic_fetch_sub_explicit(&sonde_prof__waiting[home], 1, memory_order_relaxed);
}

static sonde_prof__release *leave(sonde_prof__waiter w)
{
    place *p = &places[w.place - 1];
    sonde_prof__release *r;

    uncount(p);
    if (step(p, w.state, FREE)) {
        free_place(p);
        return NULL;
    }
    if (step(p, at_step(w.state, TAKEN), LEFT))
        return NULL; /* whoever took it frees it */
    (void)step(p, at_step(w.state, GIVEN), FREE);
    r = atomic_load_explicit(&p->release, memory_order_relaxed);
    free_place(p);
    return r;
}

sonde_prof__release *sonde_prof__waiter_remove(sonde_prof__slot *slot, sonde_prof__waiter waiter)
{
    if (waiter.place == 0 || slot->waiter.place != waiter.place ||
        slot->waiter.state != waiter.state)
        return NULL;
    slot->waiter = (sonde_prof__waiter){ 0, 0 };
    return leave(waiter);
}

void sonde_prof__waiter_forget(sonde_prof__slot *slot)
{
    sonde_prof__release_put(sonde_prof__waiter_remove(slot, slot->waiter));
}

/* -- letting go ------------------------------------------------------------------------------------- */

/* Its state, if that place waits for the lock and will have waited long enough; else 0.  The state first: whoever uses the
 * place next changes the lock before it. */
static uint32_t is_due(place *p, const volatile void *lock, uint64_t now_ns, uint64_t *out_due)
{
    uint32_t state = atomic_load_explicit(&p->state, memory_order_acquire);

    *out_due = atomic_load_explicit(&p->due_ns, memory_order_relaxed);
    return atomic_load_explicit(&p->lock, memory_order_relaxed) == (uintptr_t)lock &&
                   state == at_step(state, WAITING) && *out_due <= now_ns + SOON_NS
               ? state
               : 0;
}

/* `r` NULL: it is known who, but there was no room. */
static void give(place *p, uint32_t state, sonde_prof__release *r)
{
    if (r)
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&p->release, r, memory_order_relaxed);
    if (step(p, at_step(state, TAKEN), GIVEN))
        return;
    sonde_prof__release_put(r);
    (void)step(p, at_step(state, LEFT), FREE);
    free_place(p);
}

typedef struct releasing {
    const volatile void *lock;
    const void *caller;
    uint64_t now_ns;
    sonde_prof__release *stack;
    bool is_walked;
} releasing;

static void take(releasing *r, place *p, uint32_t state)
{
    if (!step(p, state, TAKEN))
        return;
    if (!r->is_walked)
        r->stack = stack_of_self(r->caller);
    r->is_walked = true;
    give(p, state, r->stack);
}

/* The kernel wakes who came first; the one that is due longest is as good, where only one is let go. */
static void look(releasing *r, bool all)
{
    uint32_t home = sonde_prof__lock_hash(r->lock), i, state, first_state = 0;
    uint32_t left = atomic_load_explicit(&sonde_prof__waiting[home], memory_order_relaxed);
    uint64_t due, first_due = UINT64_MAX;
    place *first = NULL;

    for (i = 0; i < SONDE_PROF__WAITERS_PROBES && left > 0; i++) {
        place *p = &places[(home + i) % SONDE_PROF__WAITERS_MAX];

        left -= is_at_home(p, home);
        state = is_due(p, r->lock, r->now_ns, &due);
        if (state && all) {
            take(r, p, state);
        } else if (state && due < first_due) {
            first = p;
            first_state = state;
            first_due = due;
        }
    }
    if (first)
        take(r, first, first_state);
}

void sonde_prof__released(const volatile void *lock, bool all, const void *caller)
{
    sonde_prof__tls *self = &sonde_prof__self;
    releasing r = { lock, caller, 0, NULL, false };
    int saved = errno;

    self->depth++;
    if (!self->slot)
        self->slot = sonde_prof__slot_find((uint32_t)syscall(SYS_gettid));
    r.now_ns = sonde_mono_ns();
    look(&r, all);
    sonde_prof__release_put(r.stack);
    self->depth--;
    errno = saved;
}

/* -- fork ------------------------------------------------------------------------------------------- */

void sonde_prof__waiters_postfork_child(void)
{
    sonde_prof__release *all = atomic_load_explicit(&sonde_prof__releases, memory_order_relaxed);
    uint32_t i;

    for (i = 0; i < SONDE_PROF__WAITERS_MAX; i++) {
        uint32_t state = atomic_load_explicit(&places[i].state, memory_order_relaxed);

        atomic_store_explicit(&sonde_prof__waiting[i], 0, memory_order_relaxed);
        atomic_store_explicit(&places[i].state, at_step(state, FREE), memory_order_relaxed);
        atomic_store_explicit(&places[i].lock, 0, memory_order_relaxed);
    }
    for (i = 0; all && i < SONDE_PROF__RELEASES_MAX; i++)
        atomic_store_explicit(&all[i].refs, 0, memory_order_relaxed);
}
