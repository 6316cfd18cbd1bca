/* look_ups.c - a count of look-ups and a mark of a fork.  Without a mutex: the profiler stands in front of those. */
#include "look_ups.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/clock.h"

static _Atomic uint32_t looking_up;
static _Atomic bool forking;
static _Atomic bool was_waited_for; /* in vain: what is looked up takes long */

static void pause_ms(void)
{
    const struct timespec ms = { 0, SONDE_NS_PER_MS };

    (void)nanosleep(&ms, NULL);
}

void sonde_look_up_begin(void)
{
    uint32_t ms;

    for (ms = 0;; ms++) {
        atomic_fetch_add_explicit(&looking_up, 1, memory_order_seq_cst); /* before it looks */
        if (!atomic_load_explicit(&forking, memory_order_seq_cst) || ms == SONDE_LOOK_UP_WAIT_MS)
            break;
        atomic_fetch_sub_explicit(&looking_up, 1, memory_order_seq_cst);
        pause_ms();
    }
    atomic_store_explicit(&was_waited_for, false, memory_order_relaxed);
}

void sonde_look_up_end(void)
{
    atomic_fetch_sub_explicit(&looking_up, 1, memory_order_seq_cst);
}

void sonde_look_ups_prefork(void)
{
    bool was = atomic_load_explicit(&was_waited_for, memory_order_relaxed);
    uint32_t ms;

    atomic_store_explicit(&forking, true, memory_order_seq_cst); /* before it looks */
    for (ms = 0; atomic_load_explicit(&looking_up, memory_order_seq_cst) != 0; ms++) {
        if (was || ms == SONDE_LOOK_UP_FORK_MS) {
            atomic_store_explicit(&was_waited_for, true, memory_order_relaxed);
            return;
        }
        pause_ms();
    }
}

void sonde_look_ups_postfork_parent(void)
{
    atomic_store_explicit(&forking, false, memory_order_seq_cst);
}

void sonde_look_ups_postfork_child(void)
{
    atomic_store_explicit(&looking_up, 0, memory_order_relaxed);
    atomic_store_explicit(&forking, false, memory_order_relaxed);
}
