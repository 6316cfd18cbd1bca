/* otel_ctx.h - who this process is, in a mapping that outside profilers find (OpenTelemetry OTEP 4719).
 *
 * The mapping is named OTEL_CTX: a head of 32 bytes, behind it a protobuf message with service, version,
 * runtime id and what readers need to read the thread context records.
 *
 * Threads   all.  A reader of another process copies, then looks at the time of publication again.
 * Bounds    SONDE__OTEL_CTX_MAX_BYTES; what fails is counted, otel_ctx_failed, and costs nothing else.
 * Source    docs/spec/thread-context.md, "The process context" */
#ifndef SONDE_LIBTRACE_OTEL_CTX_H
#define SONDE_LIBTRACE_OTEL_CTX_H

#include <stdint.h>

#include "config.h"

#define SONDE__OTEL_CTX_MAX_BYTES 65536

typedef struct sonde__otel_ctx {
    char signature[8]; /* "OTEL_CTX", not terminated */
    uint32_t version;  /* 2 */
    uint32_t payload_bytes;
    _Atomic uint64_t published_at_ns; /* CLOCK_BOOTTIME; 0: being written */
    const uint8_t *payload;
} sonde__otel_ctx;

_Static_assert(sizeof(sonde__otel_ctx) == 32, "head of the mapping");

/* Publishes, or replaces what was published. */
void sonde__otel_ctx_publish(const sonde__config *c, const char *runtime_id);
void sonde__otel_ctx_retract(void);
void sonde__otel_ctx_postfork_child(void); /* which has not inherited it */

#endif /* SONDE_LIBTRACE_OTEL_CTX_H */
