/* Property: skipping never reads outside the input; a value that can be skipped can be read with the
 * typed readers, which end at the same byte; and writing what they read gives a value that reads and
 * writes the same again. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/msgpack_read.h"
#include "codec/msgpack_write.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_value(sonde_mp_reader *r, sonde_buf *out);

static void copy_elements(sonde_mp_reader *r, sonde_buf *out, uint64_t count)
{
    while (count-- && r->status == SONDE_OK)
        copy_value(r, out);
}

static void copy_text(sonde_mp_reader *r, sonde_buf *out, bool bin)
{
    sonde_str s;

    if (!(bin ? sonde_mp_read_bin(r, &s) : sonde_mp_read_str(r, &s)))
        return;
    if (bin)
        sonde_mp_write_bin(out, s.ptr, s.len);
    else
        sonde_mp_write_str(out, s);
}

static void copy_number(sonde_mp_reader *r, sonde_buf *out, sonde_mp_type type)
{
    uint64_t u = 0;
    int64_t i = 0;
    double d = 0;

    if (type == SONDE_MP_UINT && sonde_mp_read_u64(r, &u))
        sonde_mp_write_u64(out, u);
    else if (type == SONDE_MP_INT && sonde_mp_read_i64(r, &i))
        sonde_mp_write_i64(out, i);
    else if (type == SONDE_MP_DOUBLE && sonde_mp_read_double(r, &d))
        sonde_mp_write_double(out, d);
}

static void copy_container(sonde_mp_reader *r, sonde_buf *out, bool map)
{
    uint32_t count;

    if (!(map ? sonde_mp_read_map(r, &count) : sonde_mp_read_array(r, &count)))
        return;
    if (map)
        sonde_mp_write_map(out, count);
    else
        sonde_mp_write_array(out, count);
    copy_elements(r, out, map ? (uint64_t)count * 2 : count);
}

static void copy_value(sonde_mp_reader *r, sonde_buf *out)
{
    sonde_mp_type type = sonde_mp_peek(r);
    sonde_str raw;
    bool b;

    switch (type) {
    case SONDE_MP_NIL:
        CHECK(sonde_mp_read_nil(r));
        sonde_mp_write_nil(out);
        break;
    case SONDE_MP_BOOL:
        CHECK(sonde_mp_read_bool(r, &b));
        sonde_mp_write_bool(out, b);
        break;
    case SONDE_MP_STR:
    case SONDE_MP_BIN:
        copy_text(r, out, type == SONDE_MP_BIN);
        break;
    case SONDE_MP_ARRAY:
    case SONDE_MP_MAP:
        copy_container(r, out, type == SONDE_MP_MAP);
        break;
    case SONDE_MP_FLOAT32:
    case SONDE_MP_EXT:
        if (sonde_mp_read_raw(r, &raw))
            sonde_buf_append_str(out, raw);
        break;
    case SONDE_MP_UINT:
    case SONDE_MP_INT:
    case SONDE_MP_DOUBLE:
        copy_number(r, out, type);
        break;
    default:
        CHECK(!sonde_mp_skip(r));
    }
}

static void copy_all(const void *data, size_t size, sonde_buf *out)
{
    sonde_mp_reader r;

    sonde_mp_reader_init(&r, data, size);
    copy_value(&r, out);
    CHECK(r.status == SONDE_OK && r.at == r.end && out->status == SONDE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_mp_reader r;
    sonde_buf once, twice;
    sonde_str raw;

    sonde_mp_reader_init(&r, data, size);
    if (!sonde_mp_read_raw(&r, &raw)) {
        CHECK(r.status != SONDE_OK && r.error && r.error_at <= size && r.at == r.end);
        return 0;
    }
    CHECK(raw.len <= size && (const uint8_t *)raw.ptr == data);

    sonde_buf_init(&once, size * 2 + 64);
    sonde_buf_init(&twice, size * 2 + 64);
    copy_all(raw.ptr, raw.len, &once);
    CHECK(once.len <= raw.len); /* the shortest forms */
    copy_all(once.data, once.len, &twice);
    CHECK(sonde_str_eq(sonde_buf_str(&once), sonde_buf_str(&twice)));
    sonde_buf_done(&once);
    sonde_buf_done(&twice);
    return 0;
}
