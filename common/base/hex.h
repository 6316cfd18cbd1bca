/* base/hex.h - ids as lower-case hex and back; base64.
 *
 * Threads   pure functions, signal-safe. */
#ifndef SONDE_BASE_HEX_H
#define SONDE_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sonde/status.h"

void sonde_hex_u64(uint64_t v, char out[16]);                   /* 16 lower-case digits, no NUL */
void sonde_hex_bytes(const uint8_t *in, size_t len, char *out); /* 2 * len digits, no NUL */

/* 1..16 digits; `any_case` false rejects A-F.  SONDE_ERR_SYNTAX otherwise. */
sonde_status sonde_hex_parse_u64(sonde_str s, int any_case, uint64_t *out);

size_t sonde_base64_encode_len(size_t bytes); /* with padding, no NUL */
size_t sonde_base64_encode(const uint8_t *in, size_t len, char *out);

/* Bytes at most; `out` needs that much room. */
size_t sonde_base64_decode_max(size_t chars);

/* The standard alphabet; padding may be left out.  SONDE_ERR_SYNTAX: anything else, also set bits that
 * belong to no byte. */
sonde_status sonde_base64_decode(sonde_str text, uint8_t *out, size_t *out_len);

#endif /* SONDE_BASE_HEX_H */
