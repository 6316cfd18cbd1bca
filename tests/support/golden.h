/* support/golden.h - expected bytes from tests/golden, kept as commented hexadecimal text.
 *
 *   golden_load("sketch/one_ms.hex", &buf);
 *
 * Digits come in pairs, white space is free, "#" starts a comment up to the end of the line.  A file
 * that is missing or malformed fails the test. */
#ifndef SONDE_TESTS_SUPPORT_GOLDEN_H
#define SONDE_TESTS_SUPPORT_GOLDEN_H

#include "base/buf.h"

#define GOLDEN_MAX_BYTES ((size_t)1 << 20)

/* Initialises `out` and fills it; the caller calls sonde_buf_done(). */
void golden_load(const char *name, sonde_buf *out);

/* Fails with both texts in hexadecimal unless `got` equals the file. */
void golden_expect(const char *name, sonde_str got);

/* The same format from a string, for bytes that stand in the test itself. */
void golden_bytes(const char *hex, sonde_buf *out);

#endif /* SONDE_TESTS_SUPPORT_GOLDEN_H */
