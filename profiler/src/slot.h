/* slot.h - a thread as the profiler knows it, and the few bytes each thread keeps in thread-local memory.
 *
 * Slots live in a fixed table, are made when a thread is first seen and used again after it has gone; they are
 * never unmapped, so a late reader reads a free slot, not a hole.
 *
 * Threads   the fields say who writes them.  Everything a handler reads is plain memory of ours or a relaxed
 *           atomic.  Nothing here allocates on the thread it is about.
 * Bounds    SONDE_PROF__SLOTS_MAX threads at once; further ones are not sampled (counter `slots_full`).  Of a crowd, more than
 *           half of them, one thread in k is sampled and stands for k (threads.h). */
#ifndef SONDE_PROFILER_SLOT_H
#define SONDE_PROFILER_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "unwind.h"

#define SONDE_PROF__SLOTS_MAX         8192
#define SONDE_PROF__KERNEL_FRAMES_MAX 64

struct sonde_thread_ctx;

#define SONDE_PROF__LOOK_FRAMES 240 /* deeper stacks are walked every time */

/* A blocked thread as the wall sampler saw it; its own.  As long as its CPU clock stands still, it has not moved. */
typedef struct sonde_prof__look {
    uint32_t tid; /* 0: nothing yet */
    uint16_t depth;
    uint8_t end;
    uint8_t state;
    uint64_t cpu_ns;
    uint64_t asked_ns; /* when the first of wall_events was asked for */
    uint64_t frames[SONDE_PROF__LOOK_FRAMES];
} sonde_prof__look;

/* A thread's place in the table of those that wait for a lock (waiters.h). */
typedef struct sonde_prof__waiter {
    uint32_t place; /* + 1; 0: none */
    uint32_t state; /* the place's, when it was taken */
} sonde_prof__waiter;

typedef struct sonde_prof__slot {
    _Atomic uint32_t tid; /* 0: free */
    uint32_t generation;  /* one more each time the slot is taken */
    uint32_t number;      /* of the slot in the table */
    uint64_t start_mono_ns;
    sonde_prof__stack stack; /* 0, 0 until known */
    char name[16];           /* the drainer's; from /proc/self/task/TID/comm */

    _Atomic uint8_t busy;   /* a sampler is at work on this thread: others pass by */
    _Atomic uint8_t weight; /* threads it stands for; the registry's */

    /* libtrace's record of this thread; NULL: none.  By any thread (hooks.c). */
    _Atomic(struct sonde_thread_ctx *) record;
    /* another publisher's pointer variable (otel_thread_ctx_v1); NULL: none */
    void *_Atomic *foreign;

    _Atomic int timer;          /* POSIX timer of the CPU sampler; -1: none */
    _Atomic uint64_t period_ns; /* its period */
    /* the thread's CPU time then; UINT64_MAX: armed from elsewhere, not known */
    uint64_t armed_cpu_ns;
    uint64_t phase_ns;           /* from there to the first expiry */
    uint64_t sampled_ns;         /* since then */
    uint32_t counted_generation; /* whose thread these are about */

    /* The thread's perf event, in place of the timer (events.h); by sonde-perf but for the first two. */
    _Atomic uint32_t event_on; /* a futex: 1 it is running; 0 also by whoever takes the slot away */
    _Atomic bool event_held;   /* none wanted: the thread is about to exec */
    _Atomic int event_known;   /* its descriptor, or the last one's: what siginfo says; -1 */
    _Atomic(void *) event_page; /* its ring; NULL: none */
    int event_fd;               /* -1: none */
    uint32_t event_generation;  /* of the thread it was made for, or could not be made */
    uint64_t event_period_ns;

    sonde_prof__ring ring;
    uint64_t *frames; /* in `room`: where a walk writes, never the interrupted stack */
    /* the kernel's go first */
    uint64_t room[SONDE_PROF__KERNEL_FRAMES_MAX + SONDE_PROF__FRAMES_MAX];

    sonde_prof__look *wall; /* NULL: never looked at */
    /* what the wall sampler asks of the thread's next handler; 0: nothing */
    _Atomic uint32_t wall_events;
    _Atomic int64_t wall_ns;
    bool no_wall_signals; /* about to exec; guarded by the lock of wall.c */

    sonde_prof__waiter waiter; /* the thread's own */

    /* The registry's (threads.c), guarded by its lock. */
    _Atomic uint32_t next; /* number + 1: with this hash of tid, or of the next free one */
    bool is_reserved;      /* for its ring, for ever */
    uint32_t seen;         /* the last scan that found it alive */
} sonde_prof__slot;

/* What the wall sampler asked of the slot's thread. */
static inline void sonde_prof__slot_forget_asked(sonde_prof__slot *slot)
{
    atomic_store_explicit(&slot->wall_events, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->wall_ns, 0, memory_order_relaxed);
}

/* In thread-local memory with the initial-exec model: 64 bytes at most, or a dlopen()ed library may find no
 * room.  Zero for a thread the profiler has not seen. */
typedef struct sonde_prof__tls {
    sonde_prof__slot *slot;
    int64_t heap_credit; /* bytes until the next sampled allocation */
    int64_t lock_credit; /* waited ns until the next sampled wait */
    int64_t io_credit;
    uint64_t rng;       /* 0: not seeded */
    uint32_t heap_mean; /* KiB: the interval the credit was drawn with */
    uint32_t lock_mean; /* us */
    uint32_t io_mean;
    uint16_t depth;    /* hooks entered: only the outermost counts */
    uint8_t gone;      /* the thread is past its destructors: hooks pass through */
    uint8_t own_files; /* a thread of ours, whose descriptors are its own */
    uint8_t passed; /* it found no slot, by turn or by fullness: a scan gives it one, or nobody */
} sonde_prof__tls;

_Static_assert(sizeof(sonde_prof__tls) <= 64, "static TLS is scarce");

extern _Thread_local sonde_prof__tls sonde_prof__self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The calling thread's slot, made if it has none; NULL: table full, or the thread is on its way out.
 * Signal-safe: no (a handler reads sonde_prof__self.slot, or asks find). */
sonde_prof__slot *sonde_prof__slot_mine(void);

/* By thread id.  Signal-safe: yes. */
sonde_prof__slot *sonde_prof__slot_find(uint32_t tid);

/* Slots ever taken, for walking the table: 0..count-1.  Signal-safe: yes. */
uint32_t sonde_prof__slots_count(void);
sonde_prof__slot *sonde_prof__slot_at(uint32_t number);

/* Takes a sample of the calling thread: registers, walk, context, ring.  For hooks (heap, locks, I/O), between depth++ and
 * depth--.  The stack begins where the hook returns to, `caller` (__builtin_return_address(0) in it); NULL: in the function
 * that calls this one.  `s` gives kind, events and values; the rest is filled here.  False: lost, and counted.
 * Signal-safe: yes. */
bool sonde_prof__sample_here(sonde_prof__sample *s, const void *caller);

/* The same into `s` and `frames` (SONDE_PROF__FRAMES_MAX of them), in no ring.  False: a sampler of this thread was
 * interrupted, or it has no slot.  Signal-safe: yes. */
bool sonde_prof__stack_here(sonde_prof__sample *s, uint64_t *frames, const void *caller);

/* Makes it stand for as many threads as the slot's does.  Signal-safe: yes. */
void sonde_prof__sample_weigh(sonde_prof__sample *s, const sonde_prof__slot *slot);

/* A whole sample, maybe about another thread, into the calling thread's ring.  False: lost, and counted.
 * Signal-safe: yes. */
bool sonde_prof__sample_put(sonde_prof__sample *s, const uint64_t *frames);

/* The active span of the slot's thread, read on that thread.  Signal-safe: yes. */
void sonde_prof__context_read(const sonde_prof__slot *slot, sonde_prof__context *out);

#endif /* SONDE_PROFILER_SLOT_H */
