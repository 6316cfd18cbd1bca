/* agent/forwarder/record.h - one body as a file of the spool.
 *
 *   0   8  "SNDSPL01"
 *   8   4  CRC-32C of everything behind it
 *   12  4  kind
 *   16  8  length of the body      24  8  items      32  8  chunks
 *   40  8  when it was accepted, Unix ns
 *   48  4  attempts so far
 *   52  8  lengths of path, content type, content encoding, further headers (2 each)
 *   60  4  zero
 *   64     those four texts, then the body
 *
 * Little-endian.  Addresses and keys of the intake are not in it: the folder says which endpoint, the
 * configuration says its key.
 *
 * Threads   pure.
 * Failure   a file is input from outside: one that is cut off or changed is refused, never trusted.
 */
#ifndef SONDE_AGENT_FORWARDER_RECORD_H
#define SONDE_AGENT_FORWARDER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/payload/sink.h"

#define RECORD_HEAD_BYTES 64
#define RECORD_TEXTS      4
#define RECORD_TEXT_MAX   1023 /* each */
#define RECORD_PREFIX_MAX (RECORD_HEAD_BYTES + RECORD_TEXTS * RECORD_TEXT_MAX)
#define RECORD_BODY_MAX   (64u * 1024 * 1024)

/* What the head says. */
typedef struct record_facts {
    uint64_t items;
    uint64_t chunks;
    int64_t accepted_unix_ns;
    uint32_t kind; /* upload_kind */
    uint32_t attempts;
    uint32_t body_len;
    uint32_t prefix_len; /* of head and texts */
    uint16_t text_len[RECORD_TEXTS];
} record_facts;

typedef struct record_texts { /* NUL-terminated copies */
    char text[RECORD_TEXTS][RECORD_TEXT_MAX + 1];
} record_texts;

/* What stands before the body; returns its length, 0 when the upload does not fit the form. */
size_t record_write_prefix(const upload *u, int64_t accepted_unix_ns, uint32_t attempts,
                           uint8_t out[RECORD_PREFIX_MAX]);

/* Reads the first RECORD_HEAD_BYTES of a file; false when it cannot be one of ours and whole. */
bool record_read_head(const uint8_t *head, uint64_t file_len, record_facts *out);

/* The whole of it: checksum and texts; `prefix` holds facts->prefix_len bytes. */
bool record_check(const record_facts *facts, const uint8_t *prefix, const uint8_t *body,
                  record_texts *out);

#endif /* SONDE_AGENT_FORWARDER_RECORD_H */
