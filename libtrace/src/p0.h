/* p0.h - what is sent of a chunk whose trace was not sampled, once its statistics are counted here.
 *
 * Threads   none.
 * Source    docs/spec/client-stats.md, "Traces that are not sent" */
#ifndef SONDE_LIBTRACE_P0_H
#define SONDE_LIBTRACE_P0_H

#include <stdint.h>

#include "base/buf.h"

/* `b` ends in a chunk as encode_v04.c wrote it, from `at` on: all of it stays when it has an error or a
 * sampled analytics event, else the spans that were sampled by themselves, else nothing.  Returns how
 * many spans stay. */
uint32_t sonde__p0_trim(sonde_buf *b, size_t at);

#endif /* SONDE_LIBTRACE_P0_H */
