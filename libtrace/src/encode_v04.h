/* encode_v04.h - chunks to the body of POST /v0.4/traces.
 *
 * Threads   one: the flusher.
 * Bounds    the payload's ceiling; a chunk that does not fit leaves the payload as it was.
 * Source    docs/spec/agent-http.md, "v0.4" */
#ifndef SONDE_LIBTRACE_ENCODE_V04_H
#define SONDE_LIBTRACE_ENCODE_V04_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config.h"
#include "segment.h"
#include "span_rules.h"

#define SONDE__STRUCTS_MAX 32   /* of a span */
#define SONDE__RECORDS_MAX 1100 /* 1 024 tags, and what the span is called */

typedef struct sonde__encoder {
    sonde_buf payload;
    size_t count_mark; /* where the number of chunks stands in it */
    size_t room;       /* made for the span being written */
    uint64_t chunks;   /* in the payload */
    uint64_t spans;
    bool has_root;               /* the last chunk begins with its local root */
    const sonde__config *config; /* borrowed */
    const sonde__tag *tags;      /* of every span, borrowed as of `tags_version` (live.h) */
    uint32_t tags_len;
    uint32_t tags_version;
    char runtime_id[37];
    uint32_t pid;
    uint64_t default_keys; /* which keys may clash with ours, see may_clash() */
    sonde_buf common;      /* meta entries every span has, encoded */
    uint32_t common_count;
    bool has_structs;   /* the agent knows them; else they are left out */
    bool native_events; /* the agent knows them; else they are JSON in meta */
    bool for_stats;     /* `countable` is wanted */
    bool tags_count;    /* a tag of every span may have it counted */
    sonde_buf
        countable;  /* of the chunk written last: where in it spans begin (size_t) that statistics
                               * may count; with a status, no memory for all */
    sonde_buf fix;  /* a value while it is made valid UTF-8 */
    sonde_buf json; /* the events of a span */
    sonde__rules *span_rules; /* owned; NULL: none */
    sonde__record structs[SONDE__STRUCTS_MAX];
    sonde__record records[SONDE__RECORDS_MAX];
    uint16_t slots[4096]; /* keys of a span with many tags */
} sonde__encoder;

/* `max_bytes` is the ceiling of the payload. */
sonde_status sonde__encoder_open(sonde__encoder *e, const sonde__config *config,
                                 const char *runtime_id, size_t max_bytes);
void sonde__encoder_close(sonde__encoder *e);
void sonde__encoder_reset(sonde__encoder *e); /* an empty payload */

/* Appends `chunk` (local root first).  SONDE_ERR_TOO_BIG, SONDE_ERR_NOMEM: nothing was appended. */
sonde_status sonde__encode_chunk(sonde__encoder *e, sonde__span *chunk);

/* Completes the payload and returns its bytes. */
sonde_str sonde__encoder_body(sonde__encoder *e);

#endif /* SONDE_LIBTRACE_ENCODE_V04_H */
