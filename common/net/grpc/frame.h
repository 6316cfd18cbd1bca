/* frame.h - the message inside a call's data: flag, length, bytes.
 *
 * Fed with whatever arrives; memory is taken for what is there, not for what is announced.
 *
 * Threads   none. */
#ifndef SONDE_NET_GRPC_FRAME_H
#define SONDE_NET_GRPC_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "sonde/status.h"

#define GRPC_PREFIX_LEN 5

typedef struct grpc_frame {
    uint8_t prefix[GRPC_PREFIX_LEN];
    uint32_t prefix_len; /* bytes of it that are there */
    sonde_buf message;   /* its ceiling is the largest message taken */
} grpc_frame;

void grpc_frame_init(grpc_frame *f, size_t max_bytes);
void grpc_frame_done(grpc_frame *f);

/* SONDE_ERR_TOO_BIG: announced above the ceiling; SONDE_ERR_SYNTAX: an unknown flag, or bytes behind the
 * message; SONDE_ERR_NOMEM. */
SONDE_MUST_USE sonde_status grpc_frame_feed(grpc_frame *f, sonde_str bytes);

bool grpc_frame_is_whole(const grpc_frame *f);
bool grpc_frame_is_packed(const grpc_frame *f);

void grpc_frame_put_prefix(size_t len, uint8_t out[GRPC_PREFIX_LEN]); /* of an unpacked message */

#endif /* SONDE_NET_GRPC_FRAME_H */
