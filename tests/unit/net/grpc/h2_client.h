/* h2_client.h - the client's end of a connection in memory, for the tests of this room: libnghttp2 again,
 * from the other side.
 *
 * Threads   the test's. */
#ifndef SONDE_TESTS_NET_GRPC_H2_CLIENT_H
#define SONDE_TESTS_NET_GRPC_H2_CLIENT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "net/grpc/frame.h"

typedef struct h2_answer {
    char status[8];      /* :status */
    char grpc_status[8]; /* "" none */
    char message[128];   /* grpc-message */
    sonde_buf data;
    bool is_closed;
    uint32_t error; /* of RST_STREAM */
} h2_answer;

typedef struct h2_call {
    const char *method, *path, *type, *encoding, *header; /* encoding, header: may be NULL */
    const void *body;
    size_t len;
    bool is_open_ended; /* never says END_STREAM */
    size_t at;
    h2_answer answer;
} h2_call;

typedef struct h2_client {
    nghttp2_session *session;
    bool got_goaway;
    int32_t last_stream;  /* of the last GOAWAY */
    unsigned max_streams; /* as the server says */
} h2_client;

static inline void h2_text(char *to, size_t room, const uint8_t *value, size_t len)
{
    (void)snprintf(to, room, "%.*s", (int)len, (const char *)value);
}

static inline int h2_on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                               size_t name_len, const uint8_t *value, size_t len, uint8_t flags,
                               void *user)
{
    h2_call *k = nghttp2_session_get_stream_user_data(s, frame->hd.stream_id);
    sonde_str key = { (const char *)name, name_len };

    (void)flags, (void)user;
    if (!k)
        return 0;
    if (sonde_str_eq(key, SONDE_STR(":status")))
        h2_text(k->answer.status, sizeof(k->answer.status), value, len);
    else if (sonde_str_eq(key, SONDE_STR("grpc-status")))
        h2_text(k->answer.grpc_status, sizeof(k->answer.grpc_status), value, len);
    else if (sonde_str_eq(key, SONDE_STR("grpc-message")))
        h2_text(k->answer.message, sizeof(k->answer.message), value, len);
    return 0;
}

static inline int h2_on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                             size_t len, void *user)
{
    h2_call *k = nghttp2_session_get_stream_user_data(s, id);

    (void)flags, (void)user;
    if (k)
        sonde_buf_append(&k->answer.data, data, len);
    return 0;
}

static inline int h2_on_close(nghttp2_session *s, int32_t id, uint32_t error, void *user)
{
    h2_call *k = nghttp2_session_get_stream_user_data(s, id);

    (void)user;
    if (k) {
        k->answer.is_closed = true;
        k->answer.error = error;
    }
    return 0;
}

static inline int h2_on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
    h2_client *c = user;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->got_goaway = true;
        c->last_stream = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS)
        c->max_streams =
            nghttp2_session_get_remote_settings(s, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return 0;
}

static inline ssize_t h2_read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room,
                                   uint32_t *flags, nghttp2_data_source *source, void *user)
{
    h2_call *k = source->ptr;
    size_t left = k->len - k->at, len = left < room ? left : room;

    (void)s, (void)id, (void)user;
    if (len == 0 && k->is_open_ended)
        return NGHTTP2_ERR_DEFERRED;
    if (len)
        memcpy(to, (const uint8_t *)k->body + k->at, len);
    k->at += len;
    if (k->at == k->len && !k->is_open_ended)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static inline void h2_open(h2_client *c)
{
    nghttp2_session_callbacks *calls;

    memset(c, 0, sizeof(*c));
    (void)nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(calls, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, h2_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, h2_on_frame);
    (void)nghttp2_session_client_new(&c->session, calls, c);
    nghttp2_session_callbacks_del(calls);
    (void)nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static inline void h2_close(h2_client *c)
{
    nghttp2_session_del(c->session);
}

static inline nghttp2_nv h2_nv(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0 };
}

static inline void h2_submit(h2_client *c, h2_call *k)
{
    nghttp2_nv head[8];
    size_t len = 0;
    const nghttp2_data_provider body = { .source = { .ptr = k }, .read_callback = h2_read_body };

    memset(&k->answer, 0, sizeof(k->answer));
    sonde_buf_init(&k->answer.data, 1 << 20);
    head[len++] = h2_nv(":method", k->method ? k->method : "POST");
    head[len++] = h2_nv(":scheme", "http");
    head[len++] = h2_nv(":authority", "localhost");
    head[len++] = h2_nv(":path", k->path ? k->path : "/test.Echo/Say");
    head[len++] = h2_nv("content-type", k->type ? k->type : "application/grpc+proto");
    if (k->encoding)
        head[len++] = h2_nv("grpc-encoding", k->encoding);
    if (k->header)
        head[len++] = h2_nv("x-wanted", k->header);
    (void)nghttp2_submit_request(c->session, NULL, head, len, &body, k);
}

static inline void h2_answer_done(h2_call *k)
{
    sonde_buf_done(&k->answer.data);
}

#endif /* SONDE_TESTS_NET_GRPC_H2_CLIENT_H */
