/* packed.c - counting and writing msgpack through the same functions. */
#include "packed.h"

#include <string.h>

#include "be.h"

static void put(sonde__packer *p, const void *bytes, size_t len)
{
    p->len += len;
    if (p->place.to)
        sonde__text_put(&p->place, bytes, len);
}

static void put_8(sonde__packer *p, uint8_t lead, uint8_t v)
{
    uint8_t bytes[2] = { lead, v };

    put(p, bytes, sizeof(bytes));
}

static void put_16(sonde__packer *p, uint8_t lead, uint16_t v)
{
    uint8_t bytes[3] = { lead };

    sonde__put_be16(bytes + 1, v);
    put(p, bytes, sizeof(bytes));
}

static void put_32(sonde__packer *p, uint8_t lead, uint32_t v)
{
    uint8_t bytes[5] = { lead };

    sonde__put_be32(bytes + 1, v);
    put(p, bytes, sizeof(bytes));
}

static void put_64(sonde__packer *p, uint8_t lead, uint64_t v)
{
    uint8_t bytes[9] = { lead };

    sonde__put_be64(bytes + 1, v);
    put(p, bytes, sizeof(bytes));
}

static void put_byte(sonde__packer *p, uint8_t byte)
{
    put(p, &byte, 1);
}

void sonde__pack_bool(sonde__packer *p, bool v)
{
    put_byte(p, v ? 0xc3 : 0xc2);
}

void sonde__pack_u64(sonde__packer *p, uint64_t v)
{
    if (v < 128)
        put_byte(p, (uint8_t)v);
    else if (v <= UINT8_MAX)
        put_8(p, 0xcc, (uint8_t)v);
    else if (v <= UINT16_MAX)
        put_16(p, 0xcd, (uint16_t)v);
    else if (v <= UINT32_MAX)
        put_32(p, 0xce, (uint32_t)v);
    else
        put_64(p, 0xcf, v);
}

void sonde__pack_i64(sonde__packer *p, int64_t v)
{
    if (v >= 0)
        sonde__pack_u64(p, (uint64_t)v);
    else if (v >= -32)
        put_byte(p, (uint8_t)v);
    else if (v >= INT32_MIN)
        put_32(p, 0xd2, (uint32_t)v);
    else
        put_64(p, 0xd3, (uint64_t)v);
}

void sonde__pack_double(sonde__packer *p, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    put_64(p, 0xcb, bits);
}

/* Each byte that is not UTF-8 becomes U+FFFD.  Returns the length; writes when `p` is given. */
static size_t repair(sonde__packer *p, sonde_str s)
{
    size_t len = 0;

    while (s.len > 0) {
        unsigned rune;
        size_t n = sonde_utf8_decode(s, &rune);

        len += n ? n : 3;
        if (p)
            put(p, n ? s.ptr : "\xef\xbf\xbd", n ? n : 3);
        s = sonde_str_sub(s, n ? n : 1, s.len);
    }
    return len;
}

static void put_str_head(sonde__packer *p, size_t len)
{
    if (len < 32)
        put_byte(p, (uint8_t)(0xa0 | len));
    else if (len <= UINT8_MAX)
        put_8(p, 0xd9, (uint8_t)len);
    else if (len <= UINT16_MAX)
        put_16(p, 0xda, (uint16_t)len);
    else
        put_32(p, 0xdb, (uint32_t)len);
}

void sonde__pack_str(sonde__packer *p, sonde_str s)
{
    if (sonde_utf8_valid(s)) {
        put_str_head(p, s.len);
        put(p, s.len ? s.ptr : "", s.len);
        return;
    }
    put_str_head(p, repair(NULL, s));
    (void)repair(p, s);
}

void sonde__pack_array(sonde__packer *p, uint32_t count)
{
    if (count < 16)
        put_byte(p, (uint8_t)(0x90 | count));
    else if (count <= UINT16_MAX)
        put_16(p, 0xdc, (uint16_t)count);
    else
        put_32(p, 0xdd, count);
}

void sonde__pack_map(sonde__packer *p, uint32_t count)
{
    if (count < 16)
        put_byte(p, (uint8_t)(0x80 | count));
    else if (count <= UINT16_MAX)
        put_16(p, 0xde, (uint16_t)count);
    else
        put_32(p, 0xdf, count);
}

bool sonde__text_pack(sonde__text *t, sonde__cell_stack *cells, unsigned kind, sonde__pack pack,
                      const void *what)
{
    sonde__packer p = { { NULL, NULL, NULL }, 0 };

    pack(&p, what);
    if (p.len > SONDE__TEXT_VALUE_MAX || !sonde__text_open(t, cells, kind, p.len, &p.place))
        return false;
    pack(&p, what);
    sonde__text_close(t, &p.place);
    return true;
}
