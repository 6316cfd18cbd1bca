/* be.h - big-endian integers at any address, each in one store.  Pure. */
#ifndef SONDE_LIBTRACE_BE_H
#define SONDE_LIBTRACE_BE_H

#include <stdint.h>
#include <string.h>

#include <endian.h>

static inline void sonde__put_be64(uint8_t *to, uint64_t v)
{
    v = htobe64(v);
    memcpy(to, &v, sizeof(v));
}

static inline void sonde__put_be32(uint8_t *to, uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof(v));
}

static inline void sonde__put_be16(uint8_t *to, uint16_t v)
{
    v = htobe16(v);
    memcpy(to, &v, sizeof(v));
}

#endif /* SONDE_LIBTRACE_BE_H */
