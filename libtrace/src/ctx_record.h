/* ctx_record.h - the records that show each thread's active span to profilers and outside readers.
 *
 * Threads   a record is written by its thread only; readers may be anywhere.
 * Bounds    SONDE__CTX_RECORDS_MAX, counter ctx_records_full.
 * Source    docs/spec/thread-context.md */
#ifndef SONDE_LIBTRACE_CTX_RECORD_H
#define SONDE_LIBTRACE_CTX_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread_ctx.h"

#define SONDE__CTX_RECORDS_MAX 8192

/* Record number `i`, for ever; NULL: no room. */
sonde_thread_ctx *sonde__ctx_record_at(uint32_t i);

/* Gives the record to the calling thread and publishes it; false when somebody else published one
 * (the record is kept for our own readers). */
bool sonde__ctx_record_publish(sonde_thread_ctx *r);
void sonde__ctx_record_retract(sonde_thread_ctx *r); /* the thread ends */
void sonde__ctx_record_set_tid(sonde_thread_ctx *r); /* after a fork */

typedef struct sonde__ctx_ids {
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t span_id;
    uint64_t local_root_id;
    uint8_t flags;
} sonde__ctx_ids;

/* The record shows these ids.  `same_trace`: trace and local root are what it shows already. */
void sonde__ctx_record_show(sonde_thread_ctx *r, const sonde__ctx_ids *ids, bool same_trace);
void sonde__ctx_record_hide(sonde_thread_ctx *r); /* no active span */

#endif /* SONDE_LIBTRACE_CTX_RECORD_H */
