/* frame.c - one length-prefixed message. */
#include "frame.h"

void grpc_frame_init(grpc_frame *f, size_t max_bytes)
{
    *f = (grpc_frame){ .prefix_len = 0 };
    sonde_buf_init(&f->message, max_bytes);
}

void grpc_frame_done(grpc_frame *f)
{
    sonde_buf_done(&f->message);
}

static size_t announced(const grpc_frame *f)
{
    return (size_t)f->prefix[1] << 24 | (size_t)f->prefix[2] << 16 | (size_t)f->prefix[3] << 8 |
           f->prefix[4];
}

static sonde_status check_prefix(const grpc_frame *f)
{
    if (f->prefix[0] > 1)
        return SONDE_ERR_SYNTAX;
    return announced(f) <= f->message.max_bytes ? SONDE_OK : SONDE_ERR_TOO_BIG;
}

static sonde_status feed_prefix(grpc_frame *f, sonde_str *bytes)
{
    while (f->prefix_len < GRPC_PREFIX_LEN && bytes->len) {
        f->prefix[f->prefix_len++] = (uint8_t)bytes->ptr[0];
        *bytes = sonde_str_sub(*bytes, 1, bytes->len);
    }
    return f->prefix_len == GRPC_PREFIX_LEN ? check_prefix(f) : SONDE_OK;
}

sonde_status grpc_frame_feed(grpc_frame *f, sonde_str bytes)
{
    sonde_status status = feed_prefix(f, &bytes);

    if (status != SONDE_OK || bytes.len == 0)
        return status;
    if (bytes.len > announced(f) - f->message.len)
        return SONDE_ERR_SYNTAX;
    sonde_buf_append_str(&f->message, bytes);
    return f->message.status;
}

bool grpc_frame_is_whole(const grpc_frame *f)
{
    return f->prefix_len == GRPC_PREFIX_LEN && f->message.len == announced(f);
}

bool grpc_frame_is_packed(const grpc_frame *f)
{
    return f->prefix[0] == 1;
}

void grpc_frame_put_prefix(size_t len, uint8_t out[GRPC_PREFIX_LEN])
{
    out[0] = 0;
    out[1] = (uint8_t)(len >> 24);
    out[2] = (uint8_t)(len >> 16);
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}
