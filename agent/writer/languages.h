/* agent/writer/languages.h - the languages a payload's tracers speak, for one header.
 *
 * Threads   none.
 * Bounds    TRACE_LANGUAGES_MAX names of TRACE_LANGUAGE_MAX_BYTES; others are left out, as are names
 *           with anything but letters, digits and "._+#-": they come from outside.
 */
#ifndef SONDE_AGENT_WRITER_LANGUAGES_H
#define SONDE_AGENT_WRITER_LANGUAGES_H

#include <stddef.h>

#include "base/str.h"

#include "limits.h"

typedef struct languages {
    char names[TRACE_LANGUAGES_MAX][TRACE_LANGUAGE_MAX_BYTES + 1]; /* sorted */
    size_t len;
} languages;

void languages_add(languages *l, sonde_str name);

/* "X-Datadog-Reported-Languages: go|java\n", or "" for none; as many names as fit. */
void languages_header(const languages *l, char *out, size_t cap);

#endif /* SONDE_AGENT_WRITER_LANGUAGES_H */
