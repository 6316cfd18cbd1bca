/* codec/json_write.h - streaming JSON writer into a sonde_buf.
 *
 * Commas, colons and escapes are the writer's business; invalid UTF-8 becomes U+FFFD; numbers are
 * shortest round trip.  Misuse (a value where a key is due, unbalanced end) is asserted.  Errors are
 * the buffer's sticky status.
 *
 * Threads   none.
 * Bounds    nesting SONDE_JSON_DEPTH_MAX: deeper sets the buffer's status to SONDE_ERR_TOO_BIG. */
#ifndef SONDE_CODEC_JSON_WRITE_H
#define SONDE_CODEC_JSON_WRITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define SONDE_JSON_DEPTH_MAX 64

typedef struct sonde_json_writer {
    sonde_buf *out;     /* borrowed */
    const char *indent; /* "" compact; "\t" or spaces: pretty; static text */
    bool escape_html;   /* < > & U+2028 U+2029 as \u003c ..., as Go's encoder does */
    uint8_t depth;
    bool after_key;
    uint8_t has_items[SONDE_JSON_DEPTH_MAX + 1]; /* private: a level's state */
} sonde_json_writer;

void sonde_json_writer_init(sonde_json_writer *w, sonde_buf *out); /* compact */
void sonde_json_begin_object(sonde_json_writer *w);
void sonde_json_end_object(sonde_json_writer *w);
void sonde_json_begin_array(sonde_json_writer *w);
void sonde_json_end_array(sonde_json_writer *w);
void sonde_json_key(sonde_json_writer *w, sonde_str key);
void sonde_json_str(sonde_json_writer *w, sonde_str s);
void sonde_json_u64(sonde_json_writer *w, uint64_t v);
void sonde_json_i64(sonde_json_writer *w, int64_t v);
void sonde_json_double(sonde_json_writer *w, double v); /* not finite: null */
void sonde_json_bool(sonde_json_writer *w, bool v);
void sonde_json_null(sonde_json_writer *w);
void sonde_json_raw(sonde_json_writer *w, sonde_str json); /* a value that is JSON already */

/* key and value in one call */
void sonde_json_put_str(sonde_json_writer *w, const char *key, sonde_str s);
void sonde_json_put_u64(sonde_json_writer *w, const char *key, uint64_t v);
void sonde_json_put_i64(sonde_json_writer *w, const char *key, int64_t v);
void sonde_json_put_double(sonde_json_writer *w, const char *key, double v);
void sonde_json_put_bool(sonde_json_writer *w, const char *key, bool v);

/* What a counter stands at. */
static inline void sonde_json_put_counter(sonde_json_writer *w, const char *key,
                                          const _Atomic uint64_t *counter)
{
    sonde_json_put_u64(w, key, atomic_load_explicit(counter, memory_order_relaxed));
}

#endif /* SONDE_CODEC_JSON_WRITE_H */
