/* compress.c - zlib and zstd behind one pair of functions.
 *
 * Output grows in steps, so that a small body that claims or makes gigabytes costs what it really makes
 * and never more than the buffer's ceiling.
 *
 * Threads   all: nothing is kept between calls.
 * Bounds    the ceiling of `out`; zstd windows of ZSTD_WINDOW_LOG_MAX; input below 4 GiB.
 */
#include "codec/compress/compress.h"

#include <limits.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"

#define STEP_MIN_BYTES      (16u * 1024)
#define ZSTD_WINDOW_LOG_MAX 23 /* 8 MiB: what the levels up to 19 use */

enum { WINDOW_ZLIB = 15, WINDOW_RAW = -15, WINDOW_GZIP = 15 + 16 }; /* zlib's windowBits */

static const struct {
    const char *name;
    sonde_encoding encoding;
} NAMES[] = {
    { "", SONDE_ENCODING_IDENTITY },       { "identity", SONDE_ENCODING_IDENTITY },
    { "gzip", SONDE_ENCODING_GZIP },       { "x-gzip", SONDE_ENCODING_GZIP },
    { "deflate", SONDE_ENCODING_DEFLATE }, { "zstd", SONDE_ENCODING_ZSTD },
    { "zstd1", SONDE_ENCODING_ZSTD },
};

sonde_status sonde_encoding_parse(sonde_str name, sonde_encoding *out)
{
    size_t i;

    name = sonde_str_trim(name);
    for (i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (sonde_str_eq_nocase(name, sonde_str_from(NAMES[i].name))) {
            *out = NAMES[i].encoding;
            return SONDE_OK;
        }
    return SONDE_ERR_INVALID;
}

const char *sonde_encoding_name(sonde_encoding e)
{
    switch (e) {
    case SONDE_ENCODING_GZIP:
        return "gzip";
    case SONDE_ENCODING_DEFLATE:
        return "deflate";
    case SONDE_ENCODING_ZSTD:
        return "zstd";
    default:
        return "";
    }
}

/* Where the next output goes.  When `out` is full it is one spare byte: a stream may still end then,
 * but not write. */
typedef struct room {
    uint8_t *at;
    size_t bytes;
    uint8_t spare;
} room;

/* Takes what the buffer has left, else grows it: to `first` bytes, then by doubling. */
static sonde_status room_begin(room *m, sonde_buf *out, size_t first)
{
    size_t left = out->max_bytes - out->len;
    size_t want = out->cap - out->len;

    if (out->status != SONDE_OK)
        return out->status;
    if (want == 0)
        want = out->len > first ? out->len : first;
    if (want < STEP_MIN_BYTES)
        want = STEP_MIN_BYTES;
    m->bytes = want < left ? want : left;
    m->at = m->bytes ? sonde_buf_reserve(out, m->bytes) : &m->spare;
    if (m->bytes == 0)
        m->bytes = 1;
    return out->status;
}

static sonde_status room_end(const room *m, sonde_buf *out, size_t used)
{
    if (m->at != &m->spare)
        sonde_buf_commit(out, used);
    else if (used)
        return SONDE_ERR_TOO_BIG;
    return SONDE_OK;
}

/* zlib */

static voidpf zlib_alloc(voidpf user, uInt count, uInt bytes)
{
    size_t all;

    (void)user;
    return sonde_mul_size(count, bytes, &all) ? sonde_malloc(all) : NULL;
}

static void zlib_free(voidpf user, voidpf ptr)
{
    (void)user;
    sonde_free(ptr);
}

static z_stream zlib_stream(sonde_str in)
{
    z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free };

    z.next_in = (z_const Bytef *)in.ptr;
    z.avail_in = (uInt)in.len;
    return z;
}

/* Runs deflate() or inflate() until it says Z_STREAM_END; lack of progress ends the loop too. */
static sonde_status run_zlib(z_stream *z, int (*step)(z_stream *, int), int flush, sonde_buf *out)
{
    size_t first = z->avail_in;
    sonde_status status;
    room m;
    int rc;

    for (;;) {
        status = room_begin(&m, out, first);
        if (status != SONDE_OK)
            return status;
        z->next_out = m.at;
        z->avail_out = m.bytes < UINT_MAX ? (uInt)m.bytes : UINT_MAX;
        rc = step(z, flush);
        status = room_end(&m, out, (size_t)(z->next_out - m.at));
        if (status != SONDE_OK || rc == Z_STREAM_END)
            return status;
        if (rc == Z_MEM_ERROR)
            return SONDE_ERR_NOMEM;
        if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out > 0))
            return SONDE_ERR_EOF;
        if (rc != Z_OK)
            return SONDE_ERR_SYNTAX;
    }
}

static sonde_status zlib_compress(int window, int level, sonde_str in, sonde_buf *out)
{
    z_stream z = zlib_stream(in);
    sonde_status status;

    if (deflateInit2(&z, level ? level : Z_BEST_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return SONDE_ERR_NOMEM;
    status = run_zlib(&z, deflate, Z_FINISH, out);
    (void)deflateEnd(&z);
    return status;
}

/* A gzip body may have several members one behind the other: their contents count as one. */
static sonde_status zlib_decompress(int window, sonde_str in, sonde_buf *out)
{
    z_stream z = zlib_stream(in);
    sonde_status status;

    if (inflateInit2(&z, window) != Z_OK)
        return SONDE_ERR_NOMEM;
    do {
        status = run_zlib(&z, inflate, Z_NO_FLUSH, out);
    } while (status == SONDE_OK && z.avail_in > 0 && window == WINDOW_GZIP &&
             inflateReset(&z) == Z_OK);
    if (status == SONDE_OK && z.avail_in > 0)
        status = SONDE_ERR_SYNTAX; /* bytes behind the end */
    (void)inflateEnd(&z);
    return status;
}

/* "deflate" is zlib's format; some clients send the raw one.  The two first bytes tell (RFC 1950). */
static int deflate_window(sonde_str in)
{
    unsigned head;

    if (in.len < 2)
        return WINDOW_ZLIB;
    head = (unsigned)(uint8_t)in.ptr[0] << 8 | (uint8_t)in.ptr[1];
    return (head >> 8 & 15) == Z_DEFLATED && head % 31 == 0 ? WINDOW_ZLIB : WINDOW_RAW;
}

/* zstd */

static sonde_status run_zstd_compress(ZSTD_CCtx *ctx, sonde_str in, sonde_buf *out)
{
    ZSTD_inBuffer source = { in.ptr, in.len, 0 };
    sonde_status status;
    size_t left;
    room m;

    do {
        status = room_begin(&m, out, in.len / 2);
        if (status != SONDE_OK)
            return status;
        ZSTD_outBuffer sink = { m.at, m.bytes, 0 };
        left = ZSTD_compressStream2(ctx, &sink, &source, ZSTD_e_end);
        if (ZSTD_isError(left))
            return SONDE_ERR_NOMEM; /* nothing else is left to go wrong */
        status = room_end(&m, out, sink.pos);
    } while (status == SONDE_OK && left > 0);
    return status;
}

static sonde_status zstd_compress(int level, sonde_str in, sonde_buf *out)
{
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    sonde_status status;

    if (!ctx)
        return SONDE_ERR_NOMEM;
    (void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level ? level : 1);
    (void)ZSTD_CCtx_setPledgedSrcSize(ctx, in.len);
    status = run_zstd_compress(ctx, in, out);
    (void)ZSTD_freeCCtx(ctx);
    return status;
}

static sonde_status zstd_status(size_t code)
{
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation:
        return SONDE_ERR_NOMEM;
    case ZSTD_error_frameParameter_windowTooLarge:
        return SONDE_ERR_TOO_BIG;
    default:
        return SONDE_ERR_SYNTAX;
    }
}

/* Decodes frame after frame; `hint` is 0 exactly between two of them. */
static sonde_status run_zstd_decompress(ZSTD_DCtx *ctx, sonde_str in, sonde_buf *out)
{
    ZSTD_inBuffer source = { in.ptr, in.len, 0 };
    sonde_status status;
    size_t hint;
    room m;

    for (;;) {
        status = room_begin(&m, out, in.len);
        if (status != SONDE_OK)
            return status;
        ZSTD_outBuffer sink = { m.at, m.bytes, 0 };
        hint = ZSTD_decompressStream(ctx, &sink, &source);
        if (ZSTD_isError(hint))
            return zstd_status(hint);
        status = room_end(&m, out, sink.pos);
        if (status != SONDE_OK || (source.pos == source.size && hint == 0))
            return status;
        if (source.pos == source.size && sink.pos < sink.size)
            return SONDE_ERR_EOF;
    }
}

static sonde_status zstd_decompress(sonde_str in, sonde_buf *out)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    sonde_status status;

    if (!ctx)
        return SONDE_ERR_NOMEM;
    (void)ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    status = run_zstd_decompress(ctx, in, out);
    (void)ZSTD_freeDCtx(ctx);
    return status;
}

sonde_status sonde_compress(sonde_encoding e, int level, sonde_str in, sonde_buf *out)
{
    if (in.len >= UINT_MAX)
        return SONDE_ERR_TOO_BIG;
    switch (e) {
    case SONDE_ENCODING_GZIP:
        return zlib_compress(WINDOW_GZIP, level, in, out);
    case SONDE_ENCODING_DEFLATE:
        return zlib_compress(WINDOW_ZLIB, level, in, out);
    case SONDE_ENCODING_ZSTD:
        return zstd_compress(level, in, out);
    default:
        sonde_buf_append_str(out, in);
        return out->status;
    }
}

sonde_status sonde_decompress(sonde_encoding e, sonde_str in, sonde_buf *out)
{
    if (in.len >= UINT_MAX)
        return SONDE_ERR_TOO_BIG;
    switch (e) {
    case SONDE_ENCODING_GZIP:
        return zlib_decompress(WINDOW_GZIP, in, out);
    case SONDE_ENCODING_DEFLATE:
        return zlib_decompress(deflate_window(in), in, out);
    case SONDE_ENCODING_ZSTD:
        return zstd_decompress(in, out);
    default:
        sonde_buf_append_str(out, in);
        return out->status;
    }
}
