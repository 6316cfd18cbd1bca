/* collector.h - takes the payloads of a program under test in place of the agent (<sonde/test.h>).
 *
 * Threads   all.
 * Bounds    SONDE__COLLECTOR_MAX_BYTES; a payload that does not fit is refused. */
#ifndef SONDE_LIBTRACE_COLLECTOR_H
#define SONDE_LIBTRACE_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/test.h"

#define SONDE__COLLECTOR_MAX_BYTES ((size_t)64 << 20)

void sonde__collector_open(void);
void sonde__collector_close(void);
void sonde__collector_clear(void);
bool sonde__collector_is_open(void);

/* A v0.4 body; false: it is too much. */
bool sonde__collector_take(sonde_str body);

uint32_t sonde__collector_count(void);
const sonde_test_span *sonde__collector_at(uint32_t index);

/* A tag as text, made for it when it is a number; NULL: none. */
const char *sonde__collector_tag(const sonde_test_span *span, sonde_str key);

#endif /* SONDE_LIBTRACE_COLLECTOR_H */
