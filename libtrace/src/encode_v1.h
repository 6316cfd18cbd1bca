/* encode_v1.h - chunks to the body of POST /v1.0/traces: a text where it first occurs, from then on its number.
 *
 * A chunk is first written as v0.4 and then from there, so that all forms carry the same spans.  What
 * v0.4 says in tags and v1 has a place for (priority, origin, mechanism, env, version, component, kind,
 * the process's tags) goes to its place.
 *
 * Threads   one: the flusher.
 * Bounds    two thirds of max_bytes for the body, a third for the table of texts; a chunk that does not
 *           fit leaves the payload as it was.
 * Source    docs/spec/agent-http.md, "v1" */
#ifndef SONDE_LIBTRACE_ENCODE_V1_H
#define SONDE_LIBTRACE_ENCODE_V1_H

#include <stdint.h>

#include "base/buf.h"
#include "base/container.h"
#include "base/str.h"

#include "config.h"
#include "text_numbers.h"

typedef struct sonde__v1 {
    sonde_buf body;
    size_t chunks_mark;          /* where the number of chunks stands */
    sonde__text_numbers texts;   /* in `body` */
    const sonde__config *config; /* borrowed */
    char runtime_id[37];
    char container[SONDE_CONTAINER_ID_MAX];
} sonde__v1;

/* `container` is the id of the container, "" when there is none. */
SONDE_MUST_USE sonde_status sonde__v1_open(sonde__v1 *v, const sonde__config *config,
                                           const char *runtime_id, const char *container,
                                           size_t max_bytes);
void sonde__v1_close(sonde__v1 *v);
void sonde__v1_reset(sonde__v1 *v); /* an empty payload */

/* Appends a chunk as encode_v04.c wrote it, events as they are natively.  SONDE_ERR_TOO_BIG,
 * SONDE_ERR_NOMEM: nothing was appended. */
SONDE_MUST_USE sonde_status sonde__v1_add(sonde__v1 *v, sonde_str chunk);

/* Completes the payload of `chunks` chunks and returns its bytes (empty when memory ran out); what
 * follows is sonde__v1_reset(). */
sonde_str sonde__v1_body(sonde__v1 *v, uint64_t chunks);

#endif /* SONDE_LIBTRACE_ENCODE_V1_H */
