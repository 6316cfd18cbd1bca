/* codec/msgpack_write.h - msgpack values appended to a sonde_buf, each in its shortest form.
 *
 * Errors are the buffer's sticky status.  Counts are given before the elements; where the count is
 * known only afterwards, begin_array32()/begin_map32() leave room that patch32() fills.
 *
 * Threads   none: the buffer's owner. */
#ifndef SONDE_CODEC_MSGPACK_WRITE_H
#define SONDE_CODEC_MSGPACK_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

void sonde_mp_write_nil(sonde_buf *b);
void sonde_mp_write_bool(sonde_buf *b, bool v);
void sonde_mp_write_u64(sonde_buf *b, uint64_t v);
void sonde_mp_write_i64(sonde_buf *b, int64_t v);
void sonde_mp_write_double(sonde_buf *b, double v);
void sonde_mp_write_str(sonde_buf *b, sonde_str s);
void sonde_mp_write_bin(sonde_buf *b, const void *data, size_t len);
void sonde_mp_write_array(sonde_buf *b, uint32_t count);
void sonde_mp_write_map(sonde_buf *b, uint32_t count);

size_t sonde_mp_begin_array32(sonde_buf *b); /* returns the mark for patch32 */
size_t sonde_mp_begin_map32(sonde_buf *b);
void sonde_mp_patch32(sonde_buf *b, size_t mark, uint32_t count);

#endif /* SONDE_CODEC_MSGPACK_WRITE_H */
