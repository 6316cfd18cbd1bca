/* sonde/remote.h - what the agent has configured while the program runs.
 *
 *   sonde_remote_config config = { 0 };
 *
 *   if (sonde_remote_poll(10000) == SONDE_OK)
 *       for (uint32_t i = 0; sonde_remote_config_at(i, &config) == SONDE_OK; i++)
 *           printf("%s %s\n", config.product, config.config_id);
 *
 * The tracer asks the agent every DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS by itself; nothing here has to be
 * called.  What it changes is in <sonde/config.h>, with the origin "remote_config".
 *
 * Threads   all.
 */
#ifndef SONDE_REMOTE_H
#define SONDE_REMOTE_H

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_REMOTE_ID_ROOM 128

typedef struct sonde_remote_config {
    uint32_t struct_bytes; /* set by the caller: sizeof(sonde_remote_config); 0 counts as that */
    uint32_t reserved;     /* 0 */
    uint64_t version;      /* as the backend counts them */
    const char *product;   /* "APM_TRACING", "AGENT_CONFIG", "AGENT_TASK"; static storage */
    char config_id[SONDE_REMOTE_ID_ROOM]; /* longer ones are cut, between characters */
} sonde_remote_config;

/* Asks the agent now, whatever the interval, and waits until what it answers is in force.
 *
 * timeout_ms   longest wait; the request itself takes a second at most.
 * Returns      SONDE_OK: asked, and in force.  SONDE_ERR_STATE: not started, or remote configuration is
 *              off.  SONDE_ERR_TIMEOUT.  SONDE_ERR_NOT_FOUND: this agent has none.  SONDE_ERR_SYNTAX: its
 *              answer was rejected, what was in force stays.  SONDE_ERR_REFUSED: it answered with an error.
 *              SONDE_ERR_CONNECT and others of the connection: it could not be asked. */
SONDE_API sonde_status sonde_remote_poll(uint32_t timeout_ms);

/* A configuration that is in force, counted from 0; those with an error are left out.  A poll between two
 * calls may move them.
 *
 * out       filled up to out->struct_bytes; untouched on failure.
 * Returns   SONDE_OK; SONDE_ERR_NOT_FOUND behind the last; SONDE_ERR_INVALID when `out` is NULL. */
SONDE_API sonde_status sonde_remote_config_at(uint32_t index, sonde_remote_config *out);

#ifdef __cplusplus
}
#endif
#endif /* SONDE_REMOTE_H */
