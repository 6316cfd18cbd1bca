/* user.h - the id of the user a trace is about, when it travels on.
 *
 * Threads   the first that tells it counts; all read it.
 * Bounds    one cell of a segment. */
#ifndef SONDE_LIBTRACE_USER_H
#define SONDE_LIBTRACE_USER_H

#include "base/str.h"
#include "segment.h"

static inline bool sonde__segment_has_user(const sonde__segment *s)
{
    /* pairs with the release that follows the id */
    return (atomic_load_explicit(&s->flags, memory_order_acquire) & SONDE__SEGMENT_HAS_USER) != 0;
}

/* As _dd.p.usr.id has it, an empty view when there is none. */
sonde_str sonde__segment_user(const sonde__segment *s);

#endif /* SONDE_LIBTRACE_USER_H */
