/* chars.h - classes of characters in headers, one look-up each.  Pure. */
#ifndef SONDE_LIBTRACE_CHARS_H
#define SONDE_LIBTRACE_CHARS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "be.h"

/* clang-format off */
enum sonde__char_class {
    SONDE__CHAR_PRINTABLE = 1, /* 0x20 to 0x7e */
    SONDE__CHAR_TAG_KEY = 2,   /* printable but space , = */
    SONDE__CHAR_TAG_VALUE = 4, /* printable but , */
    SONDE__CHAR_DD_KEY = 8,    /* printable but space , ; = */
    SONDE__CHAR_DD_VALUE = 16, /* printable but , ; ~ = (the last is written as ~) */
    SONDE__CHAR_BAGGAGE_KEY = 32,   /* letters, digits, ! # $ & ' * + - . ^ _ ` | ~ */
    SONDE__CHAR_BAGGAGE_VALUE = 64, /* printable but space " , ; \ % */
};
/* clang-format on */

extern const uint8_t sonde__char_classes[256];

static inline bool sonde__char_is(char c, unsigned class_)
{
    return (sonde__char_classes[(unsigned char)c] & class_) != 0;
}

/* Every character of `s` is of that class. */
static inline bool sonde__all_are(sonde_str s, unsigned class_)
{
    unsigned all = class_;
    size_t i;

    for (i = 0; i < s.len; i++)
        all &= sonde__char_classes[(unsigned char)s.ptr[i]];
    return all != 0;
}

bool sonde__printable(sonde_str s); /* the same for SONDE__CHAR_PRINTABLE, quicker */
bool sonde__graphic(sonde_str s);   /* printable, and no space */

/* Spreads 8 hex digits over 8 bytes, highest first. */
static inline uint64_t sonde__hex8(uint32_t v)
{
    uint64_t x = v;

    x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
    x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    /* '0' + digit, and 'a' - '0' - 10 more from 10 on */
    return x + UINT64_C(0x3030303030303030) +
           ((x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101)) * 0x27;
}

/* 16 lower-case digits without a look-up: ids are written as hex several times a request. */
static inline void sonde__put_hex16(uint64_t v, char *to)
{
    sonde__put_be64((uint8_t *)to, sonde__hex8((uint32_t)(v >> 32)));
    sonde__put_be64((uint8_t *)to + 8, sonde__hex8((uint32_t)v));
}

/* Digits only, the whole of `s`, below 2^64. */
bool sonde__decimal(sonde_str s, uint64_t *out);

/* 16, or 2, lower-case digits; false: others, and `out` of 16 is as before. */
bool sonde__hex16(const char *digits, uint64_t *out);
bool sonde__hex2(const char *digits, unsigned *out);

/* A sampling priority: an integer from -128 to 127.  False: none, and 0. */
bool sonde__priority_of(sonde_str s, int *out);

#endif /* SONDE_LIBTRACE_CHARS_H */
