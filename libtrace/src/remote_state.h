/* remote_state.h - the configurations this client holds, and what the agent is told about them.
 *
 * An update is taken as a whole or rejected as a whole: then the former files stay, and the next poll says
 * why.  A file whose hash did not change is not applied again; one that is no longer listed is gone.
 *
 *   answer                   SONDE__CONFIG_NEW ──▶ the user applies each and sets
 *   ──────▶ take ──▶ files                         SONDE__CONFIG_ACKNOWLEDGED or SONDE__CONFIG_ERROR
 *
 * Threads   none: it belongs to the flusher.
 * Bounds    SONDE__REMOTE_CONFIGS_MAX files, SONDE__REMOTE_HELD_MAX_BYTES in all; an update beyond is
 *           rejected.
 * Source    docs/spec/remote-config.md */
#ifndef SONDE_LIBTRACE_REMOTE_STATE_H
#define SONDE_LIBTRACE_REMOTE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "remote_targets.h"
#include "sonde/status.h"

#define SONDE__REMOTE_HELD_MAX_BYTES (512u << 10)
#define SONDE__CONFIG_ERROR_ROOM     128

/* The numbers are those of the wire. */
typedef enum sonde__config_state {
    SONDE__CONFIG_NEW = 1, /* "unacknowledged" */
    SONDE__CONFIG_ACKNOWLEDGED = 2,
    SONDE__CONFIG_ERROR = 3,
} sonde__config_state;

typedef struct sonde__remote_file {
    sonde_str path; /* the views point behind the struct */
    sonde_str content;
    sonde__remote_path parts;
    uint64_t version;
    uint8_t sha256[32];
    sonde__config_state state;
    char error[SONDE__CONFIG_ERROR_ROOM]; /* "" but for SONDE__CONFIG_ERROR */
} sonde__remote_file;

typedef struct sonde__remote_state {
    sonde__remote_file *file[SONDE__REMOTE_CONFIGS_MAX]; /* owned; in the order of the answer */
    uint32_t len;
    uint64_t targets_version;
    sonde_str backend_state;              /* owned */
    char error[SONDE__REMOTE_ERROR_ROOM]; /* of the last update; "": it was taken */
} sonde__remote_state;

/* A zeroed state is an empty one. */
void sonde__remote_state_done(sonde__remote_state *s);

/* Reads an answer's body and takes it over.  True when files came, changed or went.  Rejected: s->error. */
bool sonde__remote_state_take(sonde__remote_state *s, sonde_str body);

void sonde__remote_file_fail(sonde__remote_file *f, const char *error);

#endif /* SONDE_LIBTRACE_REMOTE_STATE_H */
