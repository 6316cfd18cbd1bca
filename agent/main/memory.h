/* agent/main/memory.h - the cap on the process' memory: is there room for what somebody wants to send?
 *
 * The budgets of queues, statistics and bodies add up to more than the cap, because they are never all used up at once -
 * but with an intake that hangs they nearly are.  So it is not them that decide but what the kernel says the process
 * has: near its cap nothing more is taken, which the answers and counters of a full queue tell.
 *
 * Threads   all.  memory_wants_trim(): the timers.
 * Bounds    takes until MEMORY_CAP_PERCENT of the limit; the rest is for statistics that are being handed out, for the
 *           program's own pages, and for what a moment brings between two looks.
 */
#ifndef SONDE_AGENT_MAIN_MEMORY_H
#define SONDE_AGENT_MAIN_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_CAP_PERCENT  80
#define MEMORY_TRIM_PERCENT 60 /* from here on the allocator's holes are given back */
#define MEMORY_LOOK_NS      (UINT64_C(5) * 1000000)
#define MEMORY_LOOK_BYTES   (64u * 1024) /* whoever wants more looks anew */
#define MEMORY_TRIM_NS      (UINT64_C(2) * 1000000000)

typedef struct memory_guard {
    uint64_t limit_bytes;   /* 0: no cap */
    uint64_t (*look)(void); /* bytes the process has */
    _Atomic uint64_t seen_bytes, seen_mono_ns;
    uint64_t trimmed_mono_ns; /* the timers' own */
} memory_guard;

/* `limit_bytes` 0: there is always room. */
void memory_guard_init(memory_guard *g, uint64_t limit_bytes, uint64_t (*look)(void));

/* Room for `bytes` more. */
bool memory_has_room(memory_guard *g, size_t bytes, uint64_t now_mono_ns);

/* True when it is time to give the allocator's holes back to the kernel. */
bool memory_wants_trim(memory_guard *g, uint64_t now_mono_ns);

#endif /* SONDE_AGENT_MAIN_MEMORY_H */
