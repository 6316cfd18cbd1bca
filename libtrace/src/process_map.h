/* process_map.h - who this process is, as a msgpack map: of process discovery, and of the black box.
 *
 * Threads   pure.
 * Source    docs/spec/process-discovery.md */
#ifndef SONDE_LIBTRACE_PROCESS_MAP_H
#define SONDE_LIBTRACE_PROCESS_MAP_H

#include "base/buf.h"
#include "config.h"

/* Appends schema_version and what has a value, cut at `value_max` bytes (process_tags is not); then as
 * many tags of DD_TAGS under the key "tags", or no such key when `tags` is SONDE__NO_TAGS. */
void sonde__process_map(sonde_buf *out, const sonde__config *c, const char *runtime_id,
                        size_t value_max, uint32_t tags);

#define SONDE__NO_TAGS UINT32_MAX

#endif /* SONDE_LIBTRACE_PROCESS_MAP_H */
