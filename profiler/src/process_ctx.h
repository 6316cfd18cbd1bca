/* process_ctx.h - what a tracer says about this process: the mapping OTEL_CTX, and what of it we need.
 *
 * The tracer may take it away or write it anew at any time: it is copied without being touched, and only kept when its time
 * stamp is the same before and after.
 *
 * Threads   none: the drainer.
 * Bounds    a message of SONDE_PROF__PROCESS_CTX_MAX bytes.
 * Source    docs/spec/thread-context.md, "The process" */
#ifndef SONDE_PROFILER_PROCESS_CTX_H
#define SONDE_PROFILER_PROCESS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SONDE_PROF__PROCESS_CTX_MAX 65536u

typedef struct sonde_prof__process_ctx {
    char runtime_id[37]; /* "" when it is not said */
    int local_root_key; /* which attribute of a thread's record is the local root span; -1: none is said to be */
} sonde_prof__process_ctx;

/* False: there is none, or none that can be read. */
bool sonde_prof__process_ctx_read(sonde_prof__process_ctx *out);

/* Of the message. */
bool sonde_prof__process_ctx_parse(const uint8_t *message, size_t len,
                                   sonde_prof__process_ctx *out);

#endif /* SONDE_PROFILER_PROCESS_CTX_H */
