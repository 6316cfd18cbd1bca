/* batch.h - the worked example of docs/spec/profile-batch.md, and batches put together by hand, for tests. */
#ifndef SONDE_TESTS_AGENT_PROFILES_BATCH_H
#define SONDE_TESTS_AGENT_PROFILES_BATCH_H

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* clang-format off */
static const uint8_t example[] = {
    0x92, 0x00, 0x86, 0x00, 0x01, 0x01, 0xc4, 0x10, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
    0xdd, 0xee, 0xff, 0x02, 0x07, 0x03, 0xcf, 0x18, 0x86, 0x72, 0x51, 0xed, 0xfa, 0x00, 0x00, 0x04, 0xcf, 0x18, 0x86, 0x72, 0x54,
    0x42, 0x05, 0xe4, 0x00, 0x05, 0xcd, 0x10, 0x92,                                                 /* HELLO */
    0x93, 0x01, 0x01, 0x93, 0xad, '/', 'o', 'p', 't', '/', 'a', 'p', 'p', '/', 'd', 'e', 'm', 'o', 0xa8, 'w', 'o', 'r', 'k', 'e',
    'r', '-', '1', 0xa5, 'G', 'E', 'T', ' ', '/',                                                   /* STRINGS */
    0x92, 0x02, 0x91, 0x9a, 0x02, 0xce, 0x00, 0x40, 0x10, 0x00, 0xcd, 0x10, 0x00, 0xcd, 0x10, 0x00, 0x00, 0x00, 0x01, 0xc4, 0x08,
    0x1f, 0x2e, 0x3d, 0x4c, 0x5b, 0x6a, 0x79, 0x88, 0x00, 0x00,                                     /* MAPPINGS */
    0x93, 0x04, 0x01, 0x96, 0x00, 0x02, 0xce, 0x00, 0x40, 0x11, 0x80, 0x01, 0x02, 0xce, 0x00, 0x40, 0x11, 0x36, /* NODES */
    0x92, 0x06, 0x91, 0x94, 0x01, 0xcd, 0x10, 0x92, 0x02, 0x00,                                     /* THREADS */
    0x92, 0x07, 0x91, 0x95, 0x01, 0x00, 0xcf, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0xcf, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
    0x0f, 0x10, 0x11, 0xcf, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,                         /* CONTEXTS */
    0x92, 0x08, 0x91, 0x94, 0xcf, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x03, 0x00, 0x01, /* ENDPOINTS */
    0x94, 0x05, 0x01, 0xcf, 0x18, 0x86, 0x72, 0x51, 0xed, 0xfa, 0x00, 0x00, 0x9c, 0xcd, 0x27, 0x10, 0x01, 0x01, 0x02, 0x01, 0xce,
    0x00, 0x98, 0x96, 0x80, 0xcd, 0x27, 0x10, 0x01, 0x01, 0x02, 0x01, 0xce, 0x00, 0x98, 0x96, 0x80, /* SAMPLES */
    0x92, 0x0b, 0x07,                                                                               /* END */
};
/* clang-format on */

static const sonde_str example_body = { (const char *)example, sizeof(example) };

/* Appends one msgpack value: 'u' uint64_t, 'i' int64_t, 's' text, 'b' bytes and length, 'n' nil, '[' and '{' with
 * an int count of what follows (pairs for a map); spaces mean nothing. */
static inline void put(sonde_buf *b, const char *form, ...)
{
    va_list args;
    uint64_t v;
    const char *text;
    size_t len;

    va_start(args, form);
    for (; *form; form++) {
        uint8_t bytes[9] = { 0 };

        switch (*form) {
        case 'u':
        case 'i':
            v = va_arg(args, uint64_t);
            bytes[0] = *form == 'u' ? 0xcf : 0xd3;
            for (int k = 0; k < 8; k++)
                bytes[1 + k] = (uint8_t)(v >> (56 - 8 * k));
            sonde_buf_append(b, bytes, 9);
            break;
        case 's':
        case 'b':
            text = va_arg(args, const char *);
            len = *form == 's' ? strlen(text) : va_arg(args, size_t);
            bytes[0] = *form == 's' ? 0xda : 0xc5;
            bytes[1] = (uint8_t)(len >> 8);
            bytes[2] = (uint8_t)len;
            sonde_buf_append(b, bytes, 3);
            sonde_buf_append(b, text, len);
            break;
        case 'n':
            sonde_buf_append_byte(b, 0xc0);
            break;
        case '[':
        case '{':
            len = (size_t)va_arg(args, int);
            bytes[0] = *form == '[' ? 0xdc : 0xde;
            bytes[1] = (uint8_t)(len >> 8);
            bytes[2] = (uint8_t)len;
            sonde_buf_append(b, bytes, 3);
            break;
        default:
            break;
        }
    }
    va_end(args);
}

#define U(v)      ((uint64_t)(v))
#define SECOND    UINT64_C(1000000000)
#define SESSION_A "session-a-------"

/* HELLO of a first batch; the window in seconds. */
static inline void put_hello(sonde_buf *b, const char *id, uint64_t seq, uint64_t start_s,
                             uint64_t end_s)
{
    put(b, "[u{ u u u b u u u u u u u u", 2, U(0), 6, U(0), U(1), U(1), id, (size_t)16, U(2), seq,
        U(3), start_s * SECOND, U(4), end_s * SECOND, U(5), U(42));
}

static inline void put_end(sonde_buf *b, uint64_t seq)
{
    put(b, "[uu", 2, U(11), seq);
}

#endif /* SONDE_TESTS_AGENT_PROFILES_BATCH_H */
