/* otel_env.h - OTEL_* variables in the words of ours.
 *
 * Each has a Datadog variable that wins over it.  What was hidden so, or cannot be used, is remembered
 * for one log line (and for telemetry).
 *
 * Threads   none.
 * Bounds    OTEL_RESOURCE_ATTRIBUTES: SONDE__OTEL_TAGS_MAX entries, SONDE__OTEL_TEXT_MAX_BYTES.
 * Source    docs/spec/otel-variables.md */
#ifndef SONDE_LIBTRACE_OTEL_ENV_H
#define SONDE_LIBTRACE_OTEL_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SONDE__OTEL_TAGS_MAX       10
#define SONDE__OTEL_TEXT_MAX_BYTES 4096
#define SONDE__OTEL_COMMA          '\x1f' /* in a translated text: a comma that separates nothing */

typedef enum sonde__otel_state {
    SONDE__OTEL_UNSET,
    SONDE__OTEL_USED,
    SONDE__OTEL_HIDDEN, /* the Datadog variable is set as well */
    SONDE__OTEL_INVALID,
} sonde__otel_state;

enum { SONDE__OTEL_VARIABLES = 10 };

typedef struct sonde__otel {
    sonde__otel_state state[SONDE__OTEL_VARIABLES];
    sonde_str given[SONDE__OTEL_VARIABLES];      /* borrowed from the environment */
    sonde_str translated[SONDE__OTEL_VARIABLES]; /* when used */
    char tags[SONDE__OTEL_TEXT_MAX_BYTES];       /* the translated attributes */
} sonde__otel;

/* Looks at them all; `variable` is like getenv. */
void sonde__otel_read(sonde__otel *o, const char *(*variable)(void *user, const char *name),
                      void *user);

/* What they say about the setting of that name.  `out_name`: which variable.  False: nothing. */
bool sonde__otel_get(const sonde__otel *o, const char *setting, const char **out_name,
                     sonde_str *out_value);

/* The name of the i-th, and of the setting it speaks for as telemetry has it (NULL: of none). */
const char *sonde__otel_name(unsigned i, const char **out_setting);

/* Variables of OpenTelemetry that mean nothing here: the i-th, NULL behind the last (at most 32). */
const char *sonde__otel_unsupported(unsigned i);

/* One warning for each that is hidden, invalid, or followed in part only. */
void sonde__otel_warn(const sonde__otel *o);

#endif /* SONDE_LIBTRACE_OTEL_ENV_H */
