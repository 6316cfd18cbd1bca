/* codec/gzip_write.h - gzip without a library: matches of the last 32 KiB, fixed Huffman codes.
 *
 * For host processes, where no compressor is loaded.  What does not shrink is stored.  About twice the size zlib
 * makes of a profile, at several times its speed.
 *
 * Threads   pure; 256 KiB while it works.
 * Failure   the buffer's sticky status.
 * Source    RFC 1951, RFC 1952 */
#ifndef SONDE_CODEC_GZIP_WRITE_H
#define SONDE_CODEC_GZIP_WRITE_H

#include "base/buf.h"
#include "base/str.h"

/* Appends one gzip member. */
void sonde_gzip_write(sonde_buf *b, sonde_str content);

#endif /* SONDE_CODEC_GZIP_WRITE_H */
