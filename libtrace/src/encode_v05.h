/* encode_v05.h - chunks to the body of POST /v0.5/traces: every text once, spans refer to it by number.
 *
 * A chunk is first written as v0.4 and then from there, so that both forms carry the same spans.
 *
 * Threads   one: the flusher.
 * Bounds    half of max_bytes for texts and the complete body, a quarter each for spans and the table of
 *           texts; a chunk that does not fit leaves the payload as it was.
 * Source    docs/spec/agent-http.md, "v0.5" */
#ifndef SONDE_LIBTRACE_ENCODE_V05_H
#define SONDE_LIBTRACE_ENCODE_V05_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#include "text_numbers.h"

typedef struct sonde__v05 {
    sonde_buf texts; /* array of two begins; list of texts; in the end the spans too */
    sonde_buf spans;
    sonde_buf json;    /* the links of a span */
    size_t texts_mark; /* where the two counts stand */
    size_t spans_mark;
    sonde__text_numbers numbers; /* of `texts` */
} sonde__v05;

SONDE_MUST_USE sonde_status sonde__v05_open(sonde__v05 *v, size_t max_bytes);
void sonde__v05_close(sonde__v05 *v);
void sonde__v05_reset(sonde__v05 *v); /* an empty payload */

/* Appends a chunk as encode_v04.c wrote it.  SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM: nothing was appended. */
SONDE_MUST_USE sonde_status sonde__v05_add(sonde__v05 *v, sonde_str chunk);

/* Completes the payload of `chunks` chunks and returns its bytes (empty when memory ran out); what
 * follows is sonde__v05_reset(). */
sonde_str sonde__v05_body(sonde__v05 *v, uint64_t chunks);

static inline size_t sonde__v05_len(const sonde__v05 *v)
{
    return v->texts.len + v->spans.len;
}

#endif /* SONDE_LIBTRACE_ENCODE_V05_H */
