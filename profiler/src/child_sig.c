/* child_sig.c - whether this moment is one to begin a thread in. */
#include "child.h"

#define ROOM_BYTES (UINT64_C(64) * 1024)

sonde_prof__child_code sonde_prof__child_code_now;

enum whose { THE_PROGRAMS, OURS, LIBCS };

static enum whose whose(uint64_t pc)
{
    const sonde_prof__child_code *c = &sonde_prof__child_code_now;
    uint32_t i;

    for (i = 0; i < SONDE_PROF__CHILD_RANGES; i++)
        if (pc >= c->range[i].lo && pc < c->range[i].hi)
            return i == 0 ? OURS : LIBCS;
    return THE_PROGRAMS;
}

/* What a thread begins with: two functions of libc, between them and the program our thread_main() or the program's own
 * _start() before them; or less. */
static bool is_beginning(const uint64_t *frames, uint32_t len)
{
    if (len == 0)
        return true;
    if (len <= 2)
        return whose(frames[0]) == LIBCS && whose(frames[len - 1]) == LIBCS;
    if (len > 3 || whose(frames[1]) != LIBCS)
        return false;
    return whose(frames[0]) == LIBCS ? whose(frames[2]) == THE_PROGRAMS : whose(frames[2]) == LIBCS;
}

/* Else it is a stack for signals, or there is little left. */
static bool has_room(const sonde_prof__slot *slot)
{
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);

    return here > slot->stack.lo + ROOM_BYTES && here < slot->stack.hi;
}

bool sonde_prof__child_may_begin(const sonde_prof__slot *slot, const uint64_t *frames, uint32_t len)
{
    uint32_t programs = 0;

    while (programs < len && whose(frames[programs]) == THE_PROGRAMS)
        programs++;
    return sonde_prof__child_code_now.is_known && has_room(slot) && programs > 0 &&
           is_beginning(frames + programs, len - programs);
}
