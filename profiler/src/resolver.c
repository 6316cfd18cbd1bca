/* resolver.c - a lock around each look-up. */
#include "resolver.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "net/socket.h"

#include "lock.h"

static sonde_prof__lock looking_up;
static bool is_ours;                /* between prefork and postfork */
static _Atomic bool was_waited_for; /* in vain: this look-up takes long */

static void begin(void)
{
    sonde_prof__lock_take(&looking_up);
    atomic_store_explicit(&was_waited_for, false, memory_order_relaxed);
}

static void end(void)
{
    sonde_prof__lock_give(&looking_up);
}

void sonde_prof__resolver_prepare(void)
{
    sonde_around_look_ups(begin, end);
}

void sonde_prof__resolver_prefork(uint32_t max_ms)
{
    bool was = atomic_load_explicit(&was_waited_for, memory_order_relaxed);

    is_ours = sonde_prof__lock_try(&looking_up, was ? 0 : max_ms);
    if (!is_ours)
        atomic_store_explicit(&was_waited_for, true, memory_order_relaxed);
}

void sonde_prof__resolver_postfork_parent(void)
{
    if (is_ours)
        sonde_prof__lock_give(&looking_up);
}

void sonde_prof__resolver_postfork_child(void)
{
    sonde_prof__lock_init(&looking_up);
}
