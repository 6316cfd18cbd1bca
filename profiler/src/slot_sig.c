/* slot_sig.c - finding the slot of a thread, from anywhere.
 *
 * Slots with the same hash are a list.  Slots are never unmapped and change lists only under the registry's lock, so a
 * reader that meets a change ends on another list, at worst, and finds nothing. */
#include "slot.h"

#include "slot_table.h"

#define STEPS_MAX 256u

_Thread_local sonde_prof__tls sonde_prof__self;
sonde_prof__slot_table sonde_prof__slots;

uint32_t sonde_prof__slots_count(void)
{
    return atomic_load_explicit(&sonde_prof__slots.count, memory_order_acquire);
}

sonde_prof__slot *sonde_prof__slot_at(uint32_t number)
{
    return atomic_load_explicit(&sonde_prof__slots.at[number], memory_order_relaxed);
}

sonde_prof__slot *sonde_prof__slot_find(uint32_t tid)
{
    uint32_t next = atomic_load_explicit(&sonde_prof__slots.first[tid % SONDE_PROF__SLOT_LISTS],
                                         memory_order_acquire); /* pairs with enlist() */
    uint32_t i;

    for (i = 0; next != 0 && i < STEPS_MAX; i++) {
        sonde_prof__slot *slot = sonde_prof__slot_at(next - 1);

        if (atomic_load_explicit(&slot->tid, memory_order_relaxed) == tid)
            return slot;
        next = atomic_load_explicit(&slot->next, memory_order_acquire);
    }
    return NULL;
}
