/* agent/payload/rates.h - the rates answer: published by the sampler, read by the receiver.
 *
 * A snapshot is immutable and reference-counted; the cell holds the current one.  The body is the
 * finished JSON, so that answering a tracer costs one copy.
 *
 * Threads   all.  Rank SONDE_RANK_ROOM; held for two assignments.
 * Memory    rates_cell_get() returns a reference the caller gives back with rates_put().
 */
#ifndef SONDE_AGENT_PAYLOAD_RATES_H
#define SONDE_AGENT_PAYLOAD_RATES_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/mutex.h"
#include "base/str.h"
#include "sonde/status.h"

#define RATES_VERSION_MAX_LEN 40

typedef struct rates_snapshot {
    _Atomic uint32_t refs;
    char version[RATES_VERSION_MAX_LEN + 1]; /* "65a1b2c3-4"; "" before the first update */
    sonde_str body;                          /* {"rate_by_service":{...}} and a newline */
} rates_snapshot;

typedef struct rates_cell {
    sonde_mutex mu;
    rates_snapshot *current; /* guarded by mu; never NULL once initialised */
} rates_cell;

/* A snapshot with one reference; copies both. NULL: out of memory. */
rates_snapshot *rates_new(sonde_str body, sonde_str version);
void rates_put(rates_snapshot *s); /* NULL does nothing */

/* Starts with the empty answer {"rate_by_service":{}} and version "". */
SONDE_MUST_USE sonde_status rates_cell_init(rates_cell *c);
void rates_cell_done(rates_cell *c);
void rates_cell_publish(rates_cell *c, rates_snapshot *s); /* takes the reference */
rates_snapshot *rates_cell_get(rates_cell *c);

#endif /* SONDE_AGENT_PAYLOAD_RATES_H */
