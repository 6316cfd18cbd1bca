/* dashboards/intake/decode_idx.h - tracer payloads whose texts stand once, in a table, said in the plain form.
 *
 * Newer agents send idx.TracerPayload.  What it says becomes a TracerPayload, so that the decoder of
 * traces knows one form only.
 *
 * Threads   none.
 * Memory    `out` holds copies.
 * Failure   SONDE_ERR_SYNTAX/EOF: not well formed, or a reference to a text that is not there;
 *           SONDE_ERR_TOO_BIG: a limit below, or the ceiling of `out`; NOMEM.
 * Source    docs/spec/agent-payload.md, "With a string table"; docs/spec/receiver.md, "v1.0". */
#ifndef SONDE_DASHBOARDS_INTAKE_DECODE_IDX_H
#define SONDE_DASHBOARDS_INTAKE_DECODE_IDX_H

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

/* A text may be referred to often: what a body says in the plain form may not be larger than a body. */
#define IDX_PLAIN_MAX_BYTES (64u * 1024 * 1024)
#define IDX_STRINGS_MAX     (1u << 20)
#define IDX_DEPTH_MAX       32                 /* arrays and lists inside one another */
#define IDX_VALUE_MAX_BYTES (8u * 1024 * 1024) /* an array or a list as JSON */

/* Appends the fields of a TracerPayload. */
SONDE_MUST_USE sonde_status idx_to_plain(sonde_str body, sonde_buf *out);

#endif /* SONDE_DASHBOARDS_INTAKE_DECODE_IDX_H */
