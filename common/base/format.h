/* base/format.h - numbers and times as text, independent of the locale, without allocation.
 *
 * Threads   pure functions; signal-safe but for sonde_format_double. Return the bytes written, no NUL.
 */
#ifndef SONDE_BASE_FORMAT_H
#define SONDE_BASE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define SONDE_U64_MAX_LEN    20
#define SONDE_I64_MAX_LEN    20
#define SONDE_DOUBLE_MAX_LEN 32
#define SONDE_RFC3339_LEN    24 /* 2026-11-25T15:04:05.123Z */

/* Return the length.  What stands behind it in `out` is not kept. */
size_t sonde_format_u64(uint64_t v, char out[SONDE_U64_MAX_LEN]);
size_t sonde_format_i64(int64_t v, char out[SONDE_I64_MAX_LEN]);

/* The shortest decimal that reads back as the same double: "1", "0.05", "1e+21" (the form of
 * ECMAScript's Number.toString and Go's strconv 'g' as JSON encoders use it).  Not finite: "null". */
size_t sonde_format_double(double v, char out[SONDE_DOUBLE_MAX_LEN]);

/* UTC with milliseconds. */
size_t sonde_format_rfc3339(int64_t unix_ns, char out[SONDE_RFC3339_LEN]);

#endif /* SONDE_BASE_FORMAT_H */
