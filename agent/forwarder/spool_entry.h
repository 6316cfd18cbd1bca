/* agent/forwarder/spool_entry.h - what is known in memory of a body on disk. */
#ifndef SONDE_AGENT_FORWARDER_SPOOL_ENTRY_H
#define SONDE_AGENT_FORWARDER_SPOOL_ENTRY_H

#include <stdint.h>

typedef struct spool_entry {
    uint64_t sequence;        /* the file's name; order of arrival; 0: not on disk */
    int64_t accepted_mono_ns; /* of this life's clock, so that steps of the other do not matter */
    uint64_t items;
    uint64_t chunks;
    uint64_t file_bytes;
    uint32_t body_bytes;
    uint32_t kind; /* upload_kind */
} spool_entry;

#endif /* SONDE_AGENT_FORWARDER_SPOOL_ENTRY_H */
