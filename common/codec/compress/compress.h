/* codec/compress/compress.h - gzip, deflate and zstd of whole bodies.
 *
 * Threads   all; nothing is kept between calls.
 * Bounds    the output buffer's ceiling: going beyond it is SONDE_ERR_TOO_BIG, and memory is taken for
 *           what really comes out, whatever the input claims; zstd windows 8 MiB; input below 4 GiB.
 * Memory    zlib's through base/alloc; zstd's from libc. */
#ifndef SONDE_CODEC_COMPRESS_COMPRESS_H
#define SONDE_CODEC_COMPRESS_COMPRESS_H

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

typedef enum sonde_encoding {
    SONDE_ENCODING_IDENTITY,
    SONDE_ENCODING_GZIP,
    SONDE_ENCODING_DEFLATE, /* zlib-wrapped; raw deflate is tolerated when decoding */
    SONDE_ENCODING_ZSTD,
} sonde_encoding;

/* Content-Encoding value, any case; "" and "identity" are IDENTITY, "x-gzip" is GZIP, "zstd1" is ZSTD.
 * SONDE_ERR_INVALID: another, or several. */
sonde_status sonde_encoding_parse(sonde_str name, sonde_encoding *out);
const char *sonde_encoding_name(sonde_encoding e); /* "zstd"; "" for identity */

/* Appends to `out`.  level: the library's; 0 means fastest sensible (gzip 1, zstd 1). */
SONDE_MUST_USE sonde_status sonde_compress(sonde_encoding e, int level, sonde_str in,
                                           sonde_buf *out);

/* Appends to `out`.  Several gzip members or zstd frames one behind the other count as one body.
 * SONDE_ERR_SYNTAX: not that format or damaged; SONDE_ERR_EOF: cut off; SONDE_ERR_TOO_BIG: above the
 * ceiling of `out`, whose content is then undefined. */
SONDE_MUST_USE sonde_status sonde_decompress(sonde_encoding e, sonde_str in, sonde_buf *out);

/* The same for one .xz stream, at most 128 MiB of dictionary. */
SONDE_MUST_USE sonde_status sonde_xz_decompress(sonde_str in, sonde_buf *out);

#endif /* SONDE_CODEC_COMPRESS_COMPRESS_H */
