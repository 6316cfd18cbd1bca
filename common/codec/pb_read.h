/* codec/pb_read.h - zero-copy protobuf reader over bytes in memory.
 *
 *   sonde_pb_reader r;
 *   sonde_pb_reader_init(&r, bytes, len);
 *   while (sonde_pb_next(&r))
 *       switch (r.field) {
 *       case 1: name = sonde_pb_bytes(&r); break;
 *       ...                                    // fields not asked for are skipped
 *       }
 *   if (r.status != SONDE_OK) ...
 *
 * The first failure sticks and ends the loop.  A value read with the wrong wire type is a failure
 * (SONDE_ERR_SYNTAX) and gives zero or the empty view.  Groups are refused.
 *
 * Threads   none.
 * Failure   SONDE_ERR_EOF: cut off; SONDE_ERR_SYNTAX: not protobuf, or not of the type asked for.
 * Bounds    nesting is the caller's, one reader a level. */
#ifndef SONDE_CODEC_PB_READ_H
#define SONDE_CODEC_PB_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

typedef struct sonde_pb_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t field;  /* of the current value */
    uint32_t wire;   /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t scalar; /* current varint or fixed */
    sonde_str bytes; /* current length-delimited value */
    sonde_status status;
} sonde_pb_reader;

void sonde_pb_reader_init(sonde_pb_reader *r, const void *data, size_t len);
/* advances to the next field; false at the end or on failure */
bool sonde_pb_next(sonde_pb_reader *r);

/* The next varint of a packed field, for a reader over what sonde_pb_bytes() gave. */
bool sonde_pb_next_packed(sonde_pb_reader *r);

/* Scalars of any width, varint or fixed; the narrow ones keep the low 32 bits, as protobuf does. */
uint64_t sonde_pb_u64(sonde_pb_reader *r); /* also bool: != 0 */
int64_t sonde_pb_i64(sonde_pb_reader *r);
int32_t sonde_pb_i32(sonde_pb_reader *r);
int32_t sonde_pb_s32(sonde_pb_reader *r); /* zigzag */
double sonde_pb_f64(sonde_pb_reader *r);
sonde_str sonde_pb_bytes(sonde_pb_reader *r); /* string, bytes, message or packed */

#endif /* SONDE_CODEC_PB_READ_H */
