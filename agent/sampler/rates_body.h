/* agent/sampler/rates_body.h - the rates as tracers read them: one JSON object, keys in byte order.
 *
 *   {"rate_by_service":{"service:,env:":1,"service:web,env:prod":0.05}}\n
 *
 * Threads   pure.
 * Source    docs/spec/sampling.md, "Answer".
 */
#ifndef SONDE_AGENT_SAMPLER_RATES_BODY_H
#define SONDE_AGENT_SAMPLER_RATES_BODY_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

#define RATES_BODY_MAX_BYTES (4u * 1024 * 1024)

typedef struct rates_row {
    sonde_str key; /* "service:web,env:prod" */
    double rate;
} rates_row;

/* Sorts `rows` and appends the body. */
void rates_body_write(rates_row *rows, size_t len, sonde_buf *out);

#endif /* SONDE_AGENT_SAMPLER_RATES_BODY_H */
