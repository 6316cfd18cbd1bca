/* otel_name.h - the operation name of an OpenTelemetry span: what it was, by kind and attributes.
 *
 * Source: the operation names that tracers with an OpenTelemetry API agree on. */
#ifndef SONDE_PARAMETRIC_OTEL_NAME_H
#define SONDE_PARAMETRIC_OTEL_NAME_H

#include "sonde/span.h"

#define OTEL_NAME_ROOM 128

/* In lower case; "internal" for a kind that is not known. */
void otel_name(const sonde_span *span, enum sonde_kind kind, char out[OTEL_NAME_ROOM]);

#endif /* SONDE_PARAMETRIC_OTEL_NAME_H */
