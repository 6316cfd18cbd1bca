/* dashboards/model/reader.h - reads the numbers and bytes of packed bodies; errors stick.
 *
 * After the first failure every read returns zero and nothing is left; loops that would go on for
 * long look at `status`.
 *
 * Threads   none. */
#ifndef SONDE_DASHBOARDS_MODEL_READER_H
#define SONDE_DASHBOARDS_MODEL_READER_H

#include "base/str.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/varint.h"

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    sonde_status status;
} reader;

static inline void reader_bad(reader *r)
{
    if (r->status == SONDE_OK)
        r->status = SONDE_ERR_SYNTAX;
    r->at = r->end;
}

static inline uint64_t reader_take(reader *r)
{
    uint64_t v = 0;
    size_t n;

    if (r->at < r->end && *r->at < 0x80)
        return *r->at++;
    n = varint_get(r->at, r->end, &v);
    if (n == 0)
        reader_bad(r);
    r->at += n;
    return v;
}

static inline uint64_t reader_take_u64(reader *r)
{
    uint64_t v;

    if (r->end - r->at < 8) {
        reader_bad(r);
        return 0;
    }
    v = varint_get_le64(r->at);
    r->at += 8;
    return v;
}

/* A number below `limit`. */
static inline uint32_t reader_take_index(reader *r, size_t limit)
{
    uint64_t v = reader_take(r);

    if (v < limit)
        return (uint32_t)v;
    reader_bad(r);
    return 0;
}

/* A count of things that take at least one byte each. */
static inline size_t reader_take_count(reader *r)
{
    uint64_t v = reader_take(r);

    if (v <= FRAME_ITEMS_MAX && v <= (uint64_t)(r->end - r->at))
        return (size_t)v;
    reader_bad(r);
    return 0;
}

static inline sonde_str reader_take_bytes(reader *r, size_t len)
{
    sonde_str s = { (const char *)r->at, len };

    if ((size_t)(r->end - r->at) < len) {
        reader_bad(r);
        return (sonde_str){ NULL, 0 };
    }
    r->at += len;
    return s;
}

#endif /* SONDE_DASHBOARDS_MODEL_READER_H */
