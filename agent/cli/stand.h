/* agent/cli/stand.h - where a thread of a process stands, and whether it can start another one there.
 *
 * pthread_create() needs the allocator, a lock of stacks and one of thread-local storage, each held for moments by whoever
 * has it, all of which run on.  So the thread must not have one itself: it waits in the kernel in a call that nobody makes
 * who has, or runs code of neither libc, the loader nor an allocator; and it is in no signal handler, which may have come at
 * any point.
 *
 * Threads   the main thread.
 * Bounds    STAND_KNOWN_MAX pieces of code are judged; a thread in any other one does not stand well.
 */
#ifndef SONDE_AGENT_CLI_STAND_H
#define SONDE_AGENT_CLI_STAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target.h"
#include "tracee.h"

#define STAND_KNOWN_MAX 256u

typedef struct stand {
    const target *target;
    struct {
        const target_mapping *mapping;
        bool is_harmless;
    } known[STAND_KNOWN_MAX]; /* code that threads were in */
    size_t known_len;
    const target_mapping *unknown;
} stand;

/* Those first that notice least. */
typedef enum stand_order {
    STAND_WAITS_WELL,
    STAND_RUNS,
    STAND_WAITS_SO_SO, /* with a time-out that would begin anew */
    STAND_ORDERS       /* not to be tried */
} stand_order;

stand_order stand_order_of(pid_t pid, pid_t tid);

/* Threads of ours have files of their own; those of the kernel are no threads of the program. */
bool stand_is_of_the_program(pid_t pid, pid_t tid);

/* It does not wait for a disk, say. */
bool stand_can_be_stopped(pid_t tid);

/* A time-out that begins anew is little longer when it has just begun: the time to come. */
void stand_await_next_wait(pid_t tid, uint64_t until_ns);

/* Of a stopped thread.  Of code nobody was in before it says no, and judges that when no thread waits for it. */
bool stand_is_good(stand *s, const tracee *t);
void stand_look_at_unknown(stand *s);

#endif /* SONDE_AGENT_CLI_STAND_H */
