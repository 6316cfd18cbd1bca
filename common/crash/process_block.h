/* crash/process_block.h - what a black box says about its process: a msgpack map, from outside.
 *
 * Threads   none.  Memory: views into the text it was read from.
 * Bounds    SONDE_PROCESS_TAGS_MAX tags; further ones are left out.  What does not parse ends the reading; what was
 *           read before it counts.
 * Source    docs/spec/black-box.md, "The process" */
#ifndef SONDE_CRASH_PROCESS_BLOCK_H
#define SONDE_CRASH_PROCESS_BLOCK_H

#include <stdint.h>

#include "base/str.h"

#define SONDE_PROCESS_TAGS_MAX 32

typedef struct sonde_process_tag {
    sonde_str key;
    sonde_str value;
} sonde_process_tag;

typedef struct sonde_process_block { /* empty: not said */
    sonde_str runtime_id;
    sonde_str tracer_version;
    sonde_str language;
    sonde_str service;
    sonde_str env;
    sonde_str version;
    sonde_str process_tags;
    sonde_str container_id;
    sonde_process_tag tags[SONDE_PROCESS_TAGS_MAX];
    uint32_t tags_len;
} sonde_process_block;

void sonde_process_block_read(sonde_process_block *b, sonde_str msgpack);

#endif /* SONDE_CRASH_PROCESS_BLOCK_H */
