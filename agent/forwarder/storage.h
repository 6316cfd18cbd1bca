/* agent/forwarder/storage.h - the folder of the agent that holds the spools and the ledger.
 *
 *   <path>/lock          held by the agent that uses the folder
 *   <path>/<endpoint>/   one spool each: host and a hash of the URL, then a number for its keys
 *
 * Two keys of one URL are told apart by their order in the configuration: the key itself is nowhere on
 * disk, and bodies outlive its replacement.
 */
#ifndef SONDE_AGENT_FORWARDER_STORAGE_H
#define SONDE_AGENT_FORWARDER_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include "sonde/status.h"

#define STORAGE_NAME_MAX 80

/* Makes the folder (0700, with those above it) and locks it; *out_fd keeps the lock until it is closed. */
SONDE_MUST_USE sonde_status storage_open(const char *path, int *out_fd, sonde_error *out_error);

/* Removes bodies older than `max_age_ns` from the folders of endpoints that are not among `names`, and those
 * folders once they are empty; returns how many bodies. */
uint64_t storage_sweep(const char *path, const char (*names)[STORAGE_NAME_MAX], size_t names_len,
                       int64_t now_unix_ns, uint64_t max_age_ns);

/* "trace.example.com-8f2c31d09b7a64e1-0" */
void storage_endpoint_name(const char *url, unsigned ordinal, char out[STORAGE_NAME_MAX]);

#endif /* SONDE_AGENT_FORWARDER_STORAGE_H */
