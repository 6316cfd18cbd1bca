/* agent/sampler/catalog.h - the services whose rates are published, least recently seen last.
 *
 * A service is known by the text "service,env"; its FNV-1a hash is the signature the rates are kept
 * under.
 *
 * Threads   none: the owner guards it.
 * Bounds    max_entries; the least recently seen one makes room and is counted in `evicted`.
 */
#ifndef SONDE_AGENT_SAMPLER_CATALOG_H
#define SONDE_AGENT_SAMPLER_CATALOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "base/table.h"
#include "sonde/status.h"

typedef struct catalog_entry {
    struct catalog_entry *newer;
    struct catalog_entry *older;
    uint32_t signature;
    uint32_t service_len; /* where the comma is */
    uint32_t key_len;
    char key[]; /* "service,env" */
} catalog_entry;

typedef struct catalog {
    sonde_table by_key;
    catalog_entry *newest;
    catalog_entry *oldest;
    size_t max_entries;
    uint64_t evicted;
} catalog;

void catalog_init(catalog *c, size_t max_entries);
void catalog_done(catalog *c);

/* The signature of a service, remembered as just seen (when memory allows). */
uint32_t catalog_see(catalog *c, sonde_str service, sonde_str env);

/* FNV-1a 32 of "service,env". */
uint32_t catalog_signature(sonde_str service, sonde_str env);

void catalog_remove(catalog *c, catalog_entry *e);

#endif /* SONDE_AGENT_SAMPLER_CATALOG_H */
