/* agent/stats/process_tags.h - the hash lists of tags are known by.
 *
 * Threads   pure.
 * Bounds    PROCESS_TAGS_MAX tags; what follows is taken as one.
 */
#ifndef SONDE_AGENT_STATS_PROCESS_TAGS_H
#define SONDE_AGENT_STATS_PROCESS_TAGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define PROCESS_TAGS_MAX 64

/* FNV-1a 64 over the sorted entries of a comma list with one zero byte between them; 0 for none. */
uint64_t process_tags_hash(sonde_str list);

/* The same over entries already apart, which are sorted in place. */
uint64_t tag_texts_hash(sonde_str *texts, size_t len);

#endif /* SONDE_AGENT_STATS_PROCESS_TAGS_H */
