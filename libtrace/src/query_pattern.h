/* query_pattern.h - an expression of the program's own for the secrets in query strings.
 *
 * A compiled pattern serves one search at a time, so there are some: a search takes one that is free.
 *
 * Threads   sonde__query_pattern_redact(): all, without a lock.
 * Bounds    SONDE__QUERY_PATTERNS searches at once; a query for which none becomes free is replaced as a whole. */
#ifndef SONDE_LIBTRACE_QUERY_PATTERN_H
#define SONDE_LIBTRACE_QUERY_PATTERN_H

#include <stddef.h>

#include "base/str.h"
#include "sonde/status.h"

#define SONDE__QUERY_PATTERNS 8

typedef struct sonde__query_pattern sonde__query_pattern;

/* Without case.  What sonde_regex_compile() returns. */
SONDE_MUST_USE sonde_status sonde__query_pattern_new(sonde_str text, sonde__query_pattern **out,
                                                     sonde_error *out_error);
void sonde__query_pattern_free(sonde__query_pattern *p); /* NULL does nothing */

/* As sonde__query_redact(), by that pattern. */
size_t sonde__query_pattern_redact(sonde__query_pattern *p, sonde_str query, char *to, size_t cap);

#endif /* SONDE_LIBTRACE_QUERY_PATTERN_H */
