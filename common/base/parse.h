/* base/parse.h - values from text, strict and independent of the locale.
 *
 * All reject empty input, surrounding spaces, overflow and trailing bytes with SONDE_ERR_SYNTAX (a
 * value out of the type's range: SONDE_ERR_TOO_BIG) and leave *out untouched then.
 *
 * Threads   pure functions.
 */
#ifndef SONDE_BASE_PARSE_H
#define SONDE_BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

sonde_status sonde_parse_u64(sonde_str s, uint64_t *out);  /* digits only */
sonde_status sonde_parse_i64(sonde_str s, int64_t *out);   /* one leading '-' allowed */
sonde_status sonde_parse_double(sonde_str s, double *out); /* decimal, finite; no hex, inf or nan */

/* 1 t true yes on / 0 f false no off, any case. */
sonde_status sonde_parse_bool(sonde_str s, bool *out);

/* "150ms", "5s", "2m", "1h", "3d", "250us", "10ns"; a bare number counts in `unit_ns`. */
sonde_status sonde_parse_duration_ns(sonde_str s, uint64_t unit_ns, uint64_t *out_ns);

/* "64MiB", "10kb", "2G", "512": K M G are 1024-based, with optional "b", "ib". */
sonde_status sonde_parse_bytes(sonde_str s, uint64_t *out_bytes);

/* "2026-11-25T15:04:05[.123456789](Z|+01:00)" from 1970 on; digits beyond nanoseconds are cut off. */
sonde_status sonde_parse_rfc3339(sonde_str s, int64_t *out_unix_ns);

#endif /* SONDE_BASE_PARSE_H */
