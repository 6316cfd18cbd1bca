/* query_secrets.h - takes passwords, tokens and keys out of query strings.
 *
 * Finds what this expression finds, leftmost and without case, but in linear time and without a regex engine:
 * docs/spec/http-spans.md, "Secrets".
 *
 * Threads   pure. */
#ifndef SONDE_LIBTRACE_QUERY_SECRETS_H
#define SONDE_LIBTRACE_QUERY_SECRETS_H

#include <stddef.h>

#include "base/str.h"

#define SONDE__REDACTED "<redacted>"

/* Copies `query` to `to` with every secret replaced; what does not fit is left out.  Returns the length. */
size_t sonde__query_redact(sonde_str query, char *to, size_t cap);

#endif /* SONDE_LIBTRACE_QUERY_SECRETS_H */
