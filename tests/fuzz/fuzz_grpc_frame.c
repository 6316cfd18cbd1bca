/* fuzz_grpc_frame.c - data of a call, and bytes of a whole connection.
 *
 * Property   a message is the same in one piece and byte by byte, and never above its ceiling; bytes
 *            behind a client's preface never crash, also when the server leaves in the middle, and every call of
 *            the connection is counted once. */
#include <stdlib.h>
#include <string.h>

#include "net/grpc/conn.h"
#include "net/grpc/frame.h"

#define MAX_BYTES 1024
#define PREFACE   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" /* and SETTINGS */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int held)
{
    if (!held)
        abort();
}

static void check_frame(sonde_str bytes)
{
    grpc_frame whole, pieces;
    sonde_status a, z = SONDE_OK;

    grpc_frame_init(&whole, MAX_BYTES);
    grpc_frame_init(&pieces, MAX_BYTES);
    a = grpc_frame_feed(&whole, bytes);
    for (size_t i = 0; z == SONDE_OK && i < bytes.len; i++)
        z = grpc_frame_feed(&pieces, sonde_str_sub(bytes, i, 1));
    require(a == z && whole.message.len <= MAX_BYTES);
    require(a != SONDE_OK || grpc_frame_is_whole(&whole) == grpc_frame_is_whole(&pieces));
    require(a != SONDE_OK ||
            sonde_str_eq(sonde_buf_str(&whole.message), sonde_buf_str(&pieces.message)));
    grpc_frame_done(&whole);
    grpc_frame_done(&pieces);
}

static void echo(void *user, grpc_call *call, grpc_answer *answer)
{
    (void)user;
    sonde_buf_append(&answer->body, call->message, call->len);
}

static void drain(grpc_conn *c)
{
    sonde_str out;

    while (grpc_conn_output(c, &out) == SONDE_OK && out.len)
        grpc_conn_sent(c, out.len, 1);
}

/* False: the connection is broken. */
static bool hear(grpc_conn *c, sonde_str bytes)
{
    if (grpc_conn_feed(c, bytes, 1) != SONDE_OK)
        return false;
    drain(c);
    return true;
}

/* The server leaves when so many bytes have come. */
static void check_connection(sonde_str bytes, size_t leaves_at)
{
    static const grpc_method methods[] = { { "/a", echo, NULL, NULL } };
    const grpc_server_options options = { .methods = methods,
                                          .methods_len = 1,
                                          .header = "x",
                                          .max_message_bytes = MAX_BYTES,
                                          .budget_bytes = 4 * MAX_BYTES };
    grpc_core core;
    grpc_conn *c;
    const grpc_server_counters *n = &core.counters;

    grpc_core_init(&core, &options);
    if (grpc_conn_open(&core, 1, &c) != SONDE_OK)
        return;
    if (hear(c, (sonde_str){ PREFACE, sizeof(PREFACE) - 1 }) &&
        hear(c, sonde_str_sub(bytes, 0, leaves_at))) {
        grpc_conn_goaway(c, 1);
        drain(c);
        if (hear(c, sonde_str_sub(bytes, leaves_at, bytes.len)) &&
            grpc_conn_tick(c, 1 + GRPC_NOTICE_NS))
            drain(c);
    }
    grpc_conn_close(c);
    require(n->calls == n->handled + n->lost_too_big + n->lost_full + n->lost_malformed +
                            n->lost_timeout + n->lost_aborted + n->unknown + n->not_grpc);
    require(n->open_calls == 0 && n->budget_used_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str bytes = { (const char *)data, size };

    check_frame(bytes);
    check_connection(bytes, bytes.len);
    check_connection(bytes, bytes.len / 2);
    return 0;
}
