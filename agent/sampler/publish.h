/* agent/sampler/publish.h - the rates tracers sample with: from the priority sampler to the answers' snapshot.
 *
 * Threads   make: under the sampler's lock; publish: after it.
 * Source    docs/spec/sampling.md, "Answer" */
#ifndef SONDE_AGENT_SAMPLER_PUBLISH_H
#define SONDE_AGENT_SAMPLER_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/rates.h"

#include "priority.h"
#include "rates_body.h"

/* A copy of all live rates. */
typedef struct rates_copy {
    rates_row *rows; /* owned: one block, the rows, then the text of their keys; NULL: none */
    size_t len;
    uint64_t update; /* number of this version */
    int64_t now_unix_s;
} rates_copy;

/* The default rate first; forgets services that have none any more.  False: no memory. */
bool rates_copy_make(rates_copy *copy, priority_sampler *p, sonde_str agent_env);

/* Publishes, unless nothing changed: the version tells tracers whether to read the body again.  Frees the
 * copy. */
void rates_copy_publish(rates_copy *copy, rates_cell *to);

#endif /* SONDE_AGENT_SAMPLER_PUBLISH_H */
