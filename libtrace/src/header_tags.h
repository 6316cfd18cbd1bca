/* header_tags.h - which headers of requests and responses become tags (DD_TRACE_HEADER_TAGS).
 *
 * The list stays text, "header,header:tag", and is read where it is used: it is short, mostly empty, and can be
 * replaced while the program runs.
 *
 * Threads   sonde__header_tags_set(): one at a time.  The rest: all, without a lock.
 * Bounds    SONDE__HEADER_TAGS_ROOM bytes of a list that replaces the configured one; SONDE__HEADER_VALUE_MAX bytes
 *           of a header's values together.
 * Source    docs/spec/http-spans.md, "Headers as tags" */
#ifndef SONDE_LIBTRACE_HEADER_TAGS_H
#define SONDE_LIBTRACE_HEADER_TAGS_H

#include <stdbool.h>

#include "apm_tracing.h"
#include "base/str.h"
#include "config.h"
#include "sonde/propagate.h"
#include "sonde/span.h"

#define SONDE__HEADER_TAGS_ROOM SONDE__HEADER_TAGS_MAX_BYTES
#define SONDE__HEADER_VALUE_MAX 1024

/* Replaces the configured list from now on; ptr NULL: it holds again.  Of a list that is too long the entries
 * that fit. */
void sonde__header_tags_set(sonde_str list);

/* The list in force, in `room` or in the configuration. */
sonde_str sonde__header_tags(const sonde__config *c, char room[SONDE__HEADER_TAGS_ROOM]);

/* Tags `span` with the headers of a request or a response. */
void sonde__header_tags_put(sonde_span *span, sonde_str list, const sonde_reader *headers,
                            bool is_response);

/* Calls back with every value the carrier has under this lower-case name. */
void sonde__each_value(const sonde_reader *headers, sonde_str name,
                       void (*take)(void *user, sonde_str value), void *user);

#endif /* SONDE_LIBTRACE_HEADER_TAGS_H */
