/* internal.h - what the files of the room share. */
#ifndef SONDE_AGENT_PROFILES_INTERNAL_H
#define SONDE_AGENT_PROFILES_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "agent/profiles/profiles.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/table.h"

#include "session.h"
#include "symbols.h"
#include "upload.h"
#include "windows.h"

struct profiles {
    agent_config *config; /* shared */
    upload_sink sink;
    origin *origin; /* borrowed; NULL: none */
    const sonde_clock *clock;
    symbols *symbols;
    upload_frame frame;

    sonde_mutex mu;      /* guards everything below */
    pthread_cond_t wake; /* the thread */
    pthread_t thread;
    bool has_thread;
    bool stopping;
    sonde_table sessions; /* by id */
    size_t session_bytes; /* of all */
    windows windows;
    window *waiting; /* ended early, to be encoded; oldest first */
    size_t waiting_len;
    uint64_t waiting_rows;
    uint64_t encoding_rows; /* of the window that is being encoded */
    profiles_counters counters;
};

/* batches.c */
void profiles_close_session_locked(profiles *p, session *s);

#endif /* SONDE_AGENT_PROFILES_INTERNAL_H */
