/* base/process_tags.h - one line about the process: "entrypoint.name:web,entrypoint.type:executable,...".
 *
 * Goes with the first span of each chunk, and wherever else the process introduces itself.  Pure.
 * Source: docs/spec/spans.md, "The process". */
#ifndef SONDE_BASE_PROCESS_TAGS_H
#define SONDE_BASE_PROCESS_TAGS_H

#include "base/str.h"

#define SONDE_PROCESS_TAGS_MAX_BYTES 1200 /* room that always suffices */

/* Writes the tags, sorted by key, and returns their length.
 *
 * executable, workdir   paths; empty when unknown
 * auto_service          the service we chose; empty when the user chose */
size_t sonde_process_tags(sonde_str executable, sonde_str workdir, sonde_str auto_service,
                          char out[SONDE_PROCESS_TAGS_MAX_BYTES]);

#endif /* SONDE_BASE_PROCESS_TAGS_H */
