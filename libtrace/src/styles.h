/* styles.h - the names of the header formats, and lists of them.  Pure.
 *
 * Source: docs/spec/propagation.md, "Styles". */
#ifndef SONDE_LIBTRACE_STYLES_H
#define SONDE_LIBTRACE_STYLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef enum sonde__style {
    SONDE__STYLE_DATADOG,
    SONDE__STYLE_TRACECONTEXT,
    SONDE__STYLE_B3,      /* one header */
    SONDE__STYLE_B3MULTI, /* x-b3-* */
    SONDE__STYLE_BAGGAGE,
    SONDE__STYLES
} sonde__style;

/* Each style at most once, in the order of the list. */
typedef struct sonde__styles {
    uint32_t len; /* 0: propagation is off */
    sonde__style style[SONDE__STYLES];
} sonde__styles;

/* Reads a list like "datadog, b3".  `out_unknown` gets the first word that is none, else an empty view.
 * False when the list holds no valid word. */
bool sonde__styles_parse(sonde_str list, sonde__styles *out, sonde_str *out_unknown);

bool sonde__styles_have(const sonde__styles *styles, sonde__style style);

/* "b3" for SONDE__STYLE_B3.  Static storage. */
const char *sonde__style_name(sonde__style style);

#endif /* SONDE_LIBTRACE_STYLES_H */
