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
    symbols_disk *symbols_disk;   /* NULL: none */
    symbols_fetch *symbols_fetch; /* NULL: none */
    symbols *symbols;
    upload_frame frame;

    sonde_mutex mu;      /* guards everything below */
    pthread_cond_t wake; /* the thread */
    pthread_t thread;
    bool has_thread;
    bool stopping;
    sonde_table sessions; /* by id */
    size_t session_bytes; /* of all */
    size_t sessions_max_bytes;
    windows windows;
    size_t windows_max_bytes;
    size_t waiting_max_bytes;
    window *waiting; /* ended early, to be encoded; oldest first */
    size_t waiting_len;
    size_t waiting_bytes;
    uint64_t waiting_rows;
    uint64_t encoding_rows; /* of the window that is being encoded */
    profiles_counters counters;
};

/* ---- batches.c ---- */

typedef struct batch_request {
    batch_facts facts; /* of batch_check() */
    sonde_str body;
    pid_t pid;        /* 0: unknown */
    bool pid_is_sure; /* the kernel said it, not the client */
    sonde_str container;
} batch_request;

typedef enum take_result {
    TAKE_OK,
    TAKE_AGAIN, /* it was taken before */
    TAKE_RESYNC,
    TAKE_CLOSING,
    TAKE_NO_MEMORY
} take_result;

/* Counts the result; opens the files of new mappings. */
take_result profiles_take(profiles *p, const batch_request *r);

void profiles_close_session_locked(profiles *p, session *s);

#endif /* SONDE_AGENT_PROFILES_INTERNAL_H */
