/* codec/pb_write.h - protobuf wire format appended to a sonde_buf.
 *
 * For the messages that are written on hot paths or in host processes; everything else uses the
 * protobuf-c messages of codec/proto.  Zero values are left out, as proto3 does.  A nested message
 * whose size is known only afterwards is wrapped in begin()/end(), which moves the body when its
 * length needs more than the one byte reserved.
 *
 * Threads   none: the buffer's owner. */
#ifndef SONDE_CODEC_PB_WRITE_H
#define SONDE_CODEC_PB_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

void sonde_pb_varint(sonde_buf *b, uint32_t field, uint64_t v);
void sonde_pb_int64(sonde_buf *b, uint32_t field,
                    int64_t v); /* int32/int64: ten bytes when negative */
void sonde_pb_sint32(sonde_buf *b, uint32_t field, int32_t v); /* zigzag */
void sonde_pb_fixed64(sonde_buf *b, uint32_t field, uint64_t v);
void sonde_pb_double(sonde_buf *b, uint32_t field, double v); /* left out when +0.0 */
void sonde_pb_double_always(sonde_buf *b, uint32_t field, double v);
void sonde_pb_str(sonde_buf *b, uint32_t field,
                  sonde_str s); /* string or bytes; left out when empty */
void sonde_pb_str_always(sonde_buf *b, uint32_t field, sonde_str s);
void sonde_pb_map_str_str(sonde_buf *b, uint32_t field, sonde_str key, sonde_str value);
void sonde_pb_map_str_double(sonde_buf *b, uint32_t field, sonde_str key, double value);

size_t sonde_pb_begin(sonde_buf *b, uint32_t field); /* returns the mark for end() */
void sonde_pb_end(sonde_buf *b, size_t mark);

/* Tag and length of a message or bytes whose `len` bytes the caller appends next. */
void sonde_pb_len_prefix(sonde_buf *b, uint32_t field, size_t len);

/* A number of a packed field, whose begin() and end() are the caller's. */
void sonde_pb_packed(sonde_buf *b, uint64_t v);

size_t sonde_pb_varint_len(uint64_t v); /* bytes a varint takes */

#endif /* SONDE_CODEC_PB_WRITE_H */
