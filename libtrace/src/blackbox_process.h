/* blackbox_process.h - what the black box says of its process.
 *
 * Threads   pure.
 * Source    docs/spec/black-box.md, "The process" */
#ifndef SONDE_LIBTRACE_BLACKBOX_PROCESS_H
#define SONDE_LIBTRACE_BLACKBOX_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/blackbox.h"
#include "config.h"

/* Writes a msgpack map and returns its length; 0: no memory.  Of the tags as many as have room. */
size_t sonde__blackbox_process(const sonde__config *c, const char *runtime_id,
                               uint8_t out[SONDE_BLACKBOX_PROCESS_MAX]);

#endif /* SONDE_LIBTRACE_BLACKBOX_PROCESS_H */
