/* dashboards/main/intake_main.h - runs the intake, its store, the query API and the UI in this process.
 *
 * `sonde intake` and the agent's local mode (agent/cli) are its callers.
 *
 * Threads   intake_main_open() starts its own ("intake-0" ..., "store-write"); the caller needs none.
 */
#ifndef SONDE_DASHBOARDS_MAIN_INTAKE_MAIN_H
#define SONDE_DASHBOARDS_MAIN_INTAKE_MAIN_H

#include <stdint.h>

#include "base/buf.h"
#include "sonde/status.h"

typedef struct intake_main intake_main;

typedef struct intake_main_options {
    const char *host;         /* "127.0.0.1" */
    uint16_t port;            /* 8127; 0 picks one */
    const char *data_dir;     /* directory of the store, made when missing */
    const char *api_keys;     /* comma list of accepted keys; NULL: any non-empty key */
    uint64_t max_store_bytes; /* 0: 2 GiB */
    uint64_t max_trace_age_s; /* 0: 3 days */
    int sync_full;            /* fsync every commit */
} intake_main_options;

SONDE_MUST_USE sonde_status intake_main_open(const intake_main_options *options,
                                             intake_main **out_intake, sonde_error *out_error);
uint16_t intake_main_port(const intake_main *m);

/* Stops accepting, commits what was received, closes the store.  NULL is fine. */
void intake_main_close(intake_main *m, uint64_t deadline_mono_ns);

/* The body of GET /api/sonde/v1/counters, for status pages. */
void intake_main_counters_json(intake_main *m, sonde_buf *out);

#endif /* SONDE_DASHBOARDS_MAIN_INTAKE_MAIN_H */
