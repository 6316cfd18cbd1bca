/* agent/profiles/windows.h - batches of a process become profiles of a minute.
 *
 *   batch ─▶ its process ─▶ the open window: a profile, start, end ── long enough, or the process is gone ─▶ ended ─▶ encoder
 *
 * The clock of a window is the client's, in its batches; this process's clock only ends windows of clients
 * that are gone or whose clock went back.  Windows of a process follow each other without a gap.
 *
 * Threads   none: the owner guards it.
 * Bounds    WINDOWS_MAX processes: the one silent longest ends early.
 * Invariant rows of all profiles = rows taken - rows of windows handed out
 */
#ifndef SONDE_AGENT_PROFILES_WINDOWS_H
#define SONDE_AGENT_PROFILES_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "sonde/status.h"

#include "profile.h"
#include "session.h"

/* Who a profile is of: texts of HELLO, owned. */
typedef struct window_identity {
    char *text[SPB_KEYS];
    char *tags;      /* "k:v,k:v" */
    char *container; /* id; NULL: none */
    uint64_t pid;    /* in its namespace */
    uint64_t flags;
    uint64_t interval[SPB_KINDS];
} window_identity;

/* One that has ended: everything the encoder needs. */
typedef struct window {
    window_identity who;
    profile *profile; /* owned */
    session_stats stats;
    session_counters counters; /* of this window */
    int64_t start_unix_ns, end_unix_ns;
    uint64_t seq; /* profile_seq */
    uint64_t late_batches;
    struct window *next; /* the owner's */
} window;

void window_free(window *w); /* NULL does nothing */
sonde_str window_text(const window *w, spb_key key);

typedef struct process process;

typedef struct windows {
    sonde_table processes; /* by service, env, version, runtime-id */
    uint64_t window_ns;
    size_t bytes; /* of all open profiles, as they were when a batch was last noted */
} windows;

/* window_ns: how long a window is; the first of a process is shorter, so that not all end at once. */
void windows_init(windows *ws, uint64_t window_ns);
void windows_done(windows *ws); /* what is open is lost */

/* The process a session belongs to, made when it is new; NULL: no memory.  When there are WINDOWS_MAX, the one silent
 * longest makes room, and *out_ended is what it had (NULL: nothing). */
process *windows_process(windows *ws, const session *s, window **out_ended);

/* The profile the next batch goes into; NULL: no memory. */
profile *process_profile(process *p);

/* A batch was merged: the window reaches as far as it, and knows what the session knows. */
SONDE_MUST_USE sonde_status process_note(windows *ws, process *p, const session *s,
                                         const batch_facts *f, sonde_str container,
                                         uint64_t now_mono_ns);

/* Before a batch: whether it is so far ahead that the open window has to end first. */
bool process_must_end(const process *p, const batch_facts *f);

/* Ends the window of a process now; NULL: there is none, or nothing to tell in it yet. */
window *process_end(windows *ws, process *p);

typedef struct windows_due {
    uint64_t now_mono_ns;
    bool (*is_gone)(void *user, pid_t host_pid); /* NULL: nobody can tell */
    void *user;
    bool all; /* at the end: whatever there is */
} windows_due;

/* The next window that is due; NULL: none.  Processes that are gone are forgotten on the way. */
window *windows_next_due(windows *ws, const windows_due *due);

size_t windows_rows(const windows *ws); /* in windows that are open */

/* Each process and what its profiler last said about itself. */
typedef void (*windows_tell)(void *user, const window_identity *who, const session_stats *stats);
void windows_each(const windows *ws, windows_tell tell, void *user);

#endif /* SONDE_AGENT_PROFILES_WINDOWS_H */
