/* xz.c - the format of .gnu_debugdata; reading only. */
#include "compress.h"

#include <lzma.h>

#define CHUNK_BYTES     (64u * 1024)
#define XZ_MEMORY_BYTES (UINT64_C(128) * 1024 * 1024)

static sonde_status status_of(lzma_ret r)
{
    switch (r) {
    case LZMA_STREAM_END:
        return SONDE_OK;
    case LZMA_MEM_ERROR:
        return SONDE_ERR_NOMEM;
    case LZMA_MEMLIMIT_ERROR:
        return SONDE_ERR_TOO_BIG;
    case LZMA_OK:
    case LZMA_BUF_ERROR:
        return SONDE_ERR_EOF;
    default:
        return SONDE_ERR_SYNTAX;
    }
}

sonde_status sonde_xz_decompress(sonde_str in, sonde_buf *out)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret r = lzma_stream_decoder(&s, XZ_MEMORY_BYTES, 0);

    s.next_in = (const uint8_t *)in.ptr;
    s.avail_in = in.len;
    while (r == LZMA_OK) {
        size_t room =
            out->max_bytes - out->len < CHUNK_BYTES ? out->max_bytes - out->len : CHUNK_BYTES;
        /* at the ceiling that fails, as it should */
        uint8_t *to = sonde_buf_reserve(out, room ? room : 1);

        if (!to)
            break;
        s.next_out = to;
        s.avail_out = room;
        r = lzma_code(&s, LZMA_FINISH);
        sonde_buf_commit(out, room - s.avail_out);
    }
    lzma_end(&s);
    return out->status != SONDE_OK ? out->status : status_of(r);
}
