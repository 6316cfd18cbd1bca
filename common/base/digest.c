/* digest.c - sonde_hash, CRC-32, CRC-32C, SHA-256.
 *
 * The CRCs go four bits a step: their tables stay in two cache lines, and nothing here is hot. */
#include "base/digest.h"

#include <string.h>

__extension__ typedef unsigned __int128 uint128;

#define HASH_K0 0x9e3779b97f4a7c15u
#define HASH_K1 0xd6e8feb86659fd93u

/* The 128-bit product folded to 64: every bit of `a` reaches every bit of the result. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint128 product = (uint128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* 1 to 7 bytes in one word, each of them at least once; the length is hashed apart. */
static inline uint64_t short_word(const unsigned char *p, size_t len)
{
    uint32_t low, high;

    if (len < 4)
        return p[0] | (uint64_t)p[len / 2] << 8 | (uint64_t)p[len - 1] << 16;
    memcpy(&low, p, 4);
    memcpy(&high, p + len - 4, 4);
    return low | (uint64_t)high << 32;
}

/* The last word of a longer text reaches back into the one before. */
uint64_t sonde_hash(uint64_t seed, const void *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    uint64_t h = (seed ^ HASH_K0) + len * HASH_K1;
    const unsigned char *end = len ? p + len : p;
    uint64_t word;

    if (len >= 8) {
        for (; end - p > 8; p += 8) {
            memcpy(&word, p, 8);
            h = mix(h ^ word, HASH_K1);
        }
        memcpy(&word, end - 8, 8);
        h = mix(h ^ word, HASH_K1);
    } else if (len > 0) {
        h = mix(h ^ short_word(p, len), HASH_K1);
    }
    return mix(h ^ HASH_K1, HASH_K0);
}

/* clang-format off */
static const uint32_t crc32_nibble[16] = { /* reflected 0x04c11db7 */
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static const uint32_t crc32c_nibble[16] = { /* reflected 0x1edc6f41 */
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static const uint32_t sha256_k[64] = { /* FIPS 180-4, 4.2.2 */
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* clang-format on */

static uint32_t crc(const uint32_t table[16], uint32_t crc, const void *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i;

    crc = ~crc;
    for (i = 0; i < len; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

uint32_t sonde_crc32(uint32_t previous, const void *data, size_t len)
{
    return crc(crc32_nibble, previous, data, len);
}

uint32_t sonde_crc32c(uint32_t previous, const void *data, size_t len)
{
    return crc(crc32c_nibble, previous, data, len);
}

static inline uint32_t rotr(uint32_t v, int n)
{
    return v >> n | v << (32 - n);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void sha256_schedule(const uint8_t block[64], uint32_t w[64])
{
    int i;

    for (i = 0; i < 16; i++)
        w[i] = load_be32(block + 4 * i);
    for (; i < 64; i++) {
        uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;

        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void sha256_block(uint32_t state[8], const uint8_t block[64])
{
    uint32_t w[64], s[8];
    int i;

    sha256_schedule(block, w);
    memcpy(s, state, sizeof(s));
    for (i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t1 = s[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & s[5]) ^ (~e & s[6])) +
                      sha256_k[i] + w[i];
        uint32_t t2 =
            (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (i = 0; i < 8; i++)
        state[i] += s[i];
}

void sonde_sha256(const void *data, size_t len, uint8_t out[32])
{
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    const uint8_t *p = (const uint8_t *)data;
    uint64_t bits = (uint64_t)len * 8;
    uint8_t tail[128] = { 0 };
    size_t tail_len;
    int i;

    for (; len >= 64; p += 64, len -= 64)
        sha256_block(state, p);
    if (len)
        memcpy(tail, p, len);
    tail[len] = 0x80;
    tail_len = len < 56 ? 64 : 128;
    store_be32(tail + tail_len - 8, (uint32_t)(bits >> 32));
    store_be32(tail + tail_len - 4, (uint32_t)bits);
    sha256_block(state, tail);
    if (tail_len == 128)
        sha256_block(state, tail + 64);
    for (i = 0; i < 8; i++)
        store_be32(out + 4 * i, state[i]);
}
