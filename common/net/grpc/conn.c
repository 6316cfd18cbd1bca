/* conn.c - calls of one connection; libnghttp2 does the HTTP/2.
 *
 *   head ──▶ collecting ── whole, end of stream ──▶ handler ──▶ answered ──▶ closed
 *     │          └─ too big, over budget, malformed, too late ──▶ answered ──▶ RST_STREAM
 *     └─ not gRPC, no such method ─────────────────────────────▶ answered ──▶ RST_STREAM
 *
 * A call is counted once: where it leaves `collecting`. */
#include "conn.h"

#include <stdio.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "frame.h"

#define WINDOW_STREAM     (256 * 1024)
#define WINDOW_CONNECTION (1024 * 1024)
#define PATH_MAX_LEN      127
#define TYPE_GRPC         "application/grpc"

typedef enum call_state { COLLECTING, ANSWERED } call_state;
typedef enum call_encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_UNKNOWN } call_encoding;

typedef struct call {
    struct call *prev, *next;
    int32_t id;
    call_state state;
    call_encoding encoding;
    bool is_post;
    bool is_grpc;
    bool remote_done; /* the client has said all */
    size_t head_bytes;
    char path[PATH_MAX_LEN + 1];
    char header[GRPC_HEADER_MAX_LEN + 1];
    const grpc_method *method;
    uint64_t began_ns;
    grpc_frame frame;
    size_t charged;
    sonde_buf answer; /* prefix and message */
    size_t answer_at;
} call;

struct grpc_conn {
    grpc_core *core;
    nghttp2_session *session;
    call *calls;
    unsigned calls_len;
    bool is_settled; /* the peer's SETTINGS came */
    bool is_leaving; /* GOAWAY was said, at first without a last call */
    bool has_left;   /* and then with it */
    uint64_t left_ns;
    uint64_t now_ns; /* of the event under way */
    uint64_t progress_ns;
    const uint8_t *out;
    size_t out_len;
};

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void uncount(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

void grpc_core_init(grpc_core *core, const grpc_server_options *options)
{
    grpc_server_options *o = &core->options;

    memset(core, 0, sizeof(*core));
    *o = *options;
    if (!o->max_connections)
        o->max_connections = 64;
    if (!o->max_message_bytes)
        o->max_message_bytes = 4u << 20;
    if (!o->budget_bytes)
        o->budget_bytes = 16u << 20;
    if (!o->read_timeout_ns)
        o->read_timeout_ns = UINT64_C(5) * SONDE_NS_PER_S;
    if (!o->idle_timeout_ns)
        o->idle_timeout_ns = UINT64_C(600) * SONDE_NS_PER_S;
}

static void count_lost(grpc_core *core, sonde_status why)
{
    grpc_server_counters *n = &core->counters;

    switch (why) {
    case SONDE_ERR_TOO_BIG:
        count(&n->lost_too_big, 1);
        break;
    case SONDE_ERR_FULL:
        count(&n->lost_full, 1);
        break;
    case SONDE_ERR_TIMEOUT:
        count(&n->lost_timeout, 1);
        break;
    case SONDE_ERR_EOF:
        count(&n->lost_aborted, 1);
        break;
    default:
        count(&n->lost_malformed, 1);
        break;
    }
}

static void discharge(grpc_conn *c, call *k)
{
    uncount(&c->core->counters.budget_used_bytes, k->charged);
    k->charged = 0;
}

/* Leaves COLLECTING without having reached the handler. */
static void lose(grpc_conn *c, call *k, sonde_status why)
{
    count_lost(c->core, why);
    if (k->method && k->method->lost)
        k->method->lost(k->method->user, why);
    grpc_frame_done(&k->frame);
    discharge(c, k);
    k->state = ANSWERED;
}

/* :status, content-type, then what else the answer has. */
#define NV(n, v)                                                                                   \
    {                                                                                              \
        (uint8_t *)(n), (uint8_t *)(v), sizeof("" n) - 1, strlen(v), NGHTTP2_NV_FLAG_NONE          \
    }

/* An answer without a message: its head is its trailers. */
static void answer_status(grpc_conn *c, call *k, grpc_status status, const char *message)
{
    char code[4];

    (void)snprintf(code, sizeof(code), "%d", (int)status % 100);
    const nghttp2_nv head[] = {
        NV(":status", "200"),
        NV("content-type", TYPE_GRPC),
        NV("grpc-status", code),
        NV("grpc-message", message),
        NV("grpc-accept-encoding", "identity,gzip"),
    };

    (void)nghttp2_submit_response(c->session, k->id, head, 5, NULL);
}

static void refuse(grpc_conn *c, call *k, sonde_status why)
{
    lose(c, k, why);
    switch (why) {
    case SONDE_ERR_TOO_BIG:
        answer_status(c, k, GRPC_RESOURCE_EXHAUSTED, "message too large");
        break;
    case SONDE_ERR_FULL:
    case SONDE_ERR_NOMEM:
        answer_status(c, k, GRPC_UNAVAILABLE, "the agent is busy");
        break;
    case SONDE_ERR_INVALID:
        answer_status(c, k, GRPC_UNIMPLEMENTED, "unknown grpc-encoding");
        break;
    case SONDE_ERR_TIMEOUT:
        (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, k->id, NGHTTP2_CANCEL);
        break;
    default:
        answer_status(c, k, GRPC_INVALID_ARGUMENT, "expected one message");
        break;
    }
}

/* What is no call of ours: plain HTTP. */
static void answer_http(grpc_conn *c, call *k, const char *status)
{
    const nghttp2_nv head[] = { NV(":status", status) };

    count(&c->core->counters.not_grpc, 1);
    k->state = ANSWERED;
    (void)nghttp2_submit_response(c->session, k->id, head, 1, NULL);
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t room,
                           uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
    call *k = source->ptr;
    const nghttp2_nv trailers[] = { NV("grpc-status", "0") };
    size_t left = k->answer.len - k->answer_at;
    size_t len = left < room ? left : room;

    (void)user;
    if (len)
        memcpy(to, k->answer.data + k->answer_at, len);
    k->answer_at += len;
    if (k->answer_at == k->answer.len) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, stream_id, trailers, 1) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)len;
}

static void answer_message(grpc_conn *c, call *k, const sonde_buf *body)
{
    const nghttp2_nv head[] = { NV(":status", "200"), NV("content-type", TYPE_GRPC),
                                NV("grpc-accept-encoding", "identity,gzip") };
    const nghttp2_data_provider provider = { .source = { .ptr = k }, .read_callback = read_answer };
    uint8_t prefix[GRPC_PREFIX_LEN];

    grpc_frame_put_prefix(body->len, prefix);
    sonde_buf_init(&k->answer, body->len + GRPC_PREFIX_LEN);
    sonde_buf_append(&k->answer, prefix, sizeof(prefix));
    sonde_buf_append(&k->answer, body->data, body->len);
    if (body->status != SONDE_OK || k->answer.status != SONDE_OK)
        answer_status(c, k, GRPC_UNAVAILABLE, "out of memory");
    else
        (void)nghttp2_submit_response(c->session, k->id, head, 3, &provider);
}

static void run_handler(grpc_conn *c, call *k)
{
    grpc_call in = { .is_gzip = grpc_frame_is_packed(&k->frame),
                     .header = sonde_str_from(k->header) };
    grpc_answer answer = { .status = GRPC_OK, .message = "" };

    sonde_buf_init(&answer.body, c->core->options.max_message_bytes);
    in.message = sonde_buf_take(&k->frame.message, &in.len);
    discharge(c, k);
    k->state = ANSWERED;
    count(&c->core->counters.handled, 1);
    k->method->handle(k->method->user, &in, &answer);
    sonde_free(in.message);
    if (answer.status == GRPC_OK)
        answer_message(c, k, &answer.body);
    else
        answer_status(c, k, answer.status, answer.message);
    sonde_buf_done(&answer.body);
}

static const grpc_method *find_method(const grpc_core *core, const char *path)
{
    for (size_t i = 0; i < core->options.methods_len; i++) {
        if (strcmp(core->options.methods[i].path, path) == 0)
            return &core->options.methods[i];
    }
    return NULL;
}

static void begin_call(grpc_conn *c, call *k)
{
    if (!k->is_post) {
        answer_http(c, k, "405");
    } else if (!k->is_grpc) {
        answer_http(c, k, "415");
    } else if (!(k->method = find_method(c->core, k->path))) {
        count(&c->core->counters.unknown, 1);
        k->state = ANSWERED;
        answer_status(c, k, GRPC_UNIMPLEMENTED, "unknown method");
    } else if (k->encoding == ENCODING_UNKNOWN) {
        refuse(c, k, SONDE_ERR_INVALID);
    }
}

static void end_call(grpc_conn *c, call *k)
{
    k->remote_done = true;
    if (k->state != COLLECTING)
        return;
    if (!grpc_frame_is_whole(&k->frame) ||
        (grpc_frame_is_packed(&k->frame) && k->encoding != ENCODING_GZIP))
        refuse(c, k, SONDE_ERR_SYNTAX);
    else
        run_handler(c, k);
}

static call *call_new(grpc_conn *c, int32_t id)
{
    call *k = sonde_calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->id = id;
    k->began_ns = c->now_ns;
    grpc_frame_init(&k->frame, c->core->options.max_message_bytes);
    k->next = c->calls;
    if (k->next)
        k->next->prev = k;
    c->calls = k;
    c->calls_len++;
    count(&c->core->counters.calls, 1);
    count(&c->core->counters.open_calls, 1);
    return k;
}

static void call_free(grpc_conn *c, call *k)
{
    if (k->state == COLLECTING)
        lose(c, k, SONDE_ERR_EOF);
    if (k->prev)
        k->prev->next = k->next;
    else
        c->calls = k->next;
    if (k->next)
        k->next->prev = k->prev;
    c->calls_len--;
    uncount(&c->core->counters.open_calls, 1);
    grpc_frame_done(&k->frame);
    sonde_buf_done(&k->answer);
    sonde_free(k);
}

static call *call_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    grpc_conn *c = user;
    call *k;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (c->calls_len >= GRPC_STREAMS_MAX) {
        count(&c->core->counters.refused_streams, 1);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    k = call_new(c, frame->hd.stream_id);
    if (!k)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (nghttp2_session_set_stream_user_data(session, k->id, k) == 0)
        return 0;
    call_free(c, k);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void copy_text(char *to, size_t room, sonde_str value)
{
    size_t len = value.len < room ? value.len : 0; /* too long is none */

    if (len)
        memcpy(to, value.ptr, len);
    to[len] = '\0';
}

static call_encoding encoding_of(sonde_str value)
{
    if (sonde_str_eq(value, SONDE_STR("gzip")))
        return ENCODING_GZIP;
    return sonde_str_eq(value, SONDE_STR("identity")) ? ENCODING_NONE : ENCODING_UNKNOWN;
}

static void take_header(const grpc_conn *c, call *k, sonde_str name, sonde_str value)
{
    const char *wanted = c->core->options.header;

    if (sonde_str_eq(name, SONDE_STR(":path")))
        copy_text(k->path, sizeof(k->path), value);
    else if (sonde_str_eq(name, SONDE_STR(":method")))
        k->is_post = sonde_str_eq(value, SONDE_STR("POST"));
    else if (sonde_str_eq(name, SONDE_STR("content-type")))
        k->is_grpc = sonde_str_starts(value, SONDE_STR(TYPE_GRPC));
    else if (sonde_str_eq(name, SONDE_STR("grpc-encoding")))
        k->encoding = encoding_of(value);
    else if (wanted && sonde_str_eq(name, sonde_str_from(wanted)))
        copy_text(k->header, sizeof(k->header), value);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    call *k = call_of(session, frame->hd.stream_id);

    (void)flags;
    if (!k || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    k->head_bytes += name_len + value_len + 32; /* as RFC 9113 counts */
    if (k->head_bytes > GRPC_HEAD_MAX_BYTES)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    take_header(user, k, (sonde_str){ (const char *)name, name_len },
                (sonde_str){ (const char *)value, value_len });
    return 0;
}

/* From here on new calls are none. */
static void leave(grpc_conn *c)
{
    if (c->has_left)
        return;
    c->has_left = true;
    (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(c->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    grpc_conn *c = user;
    call *k = call_of(session, frame->hd.stream_id);

    c->is_settled = c->is_settled || frame->hd.type == NGHTTP2_SETTINGS;
    if (c->is_leaving && frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        leave(c);
    if (!k || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        begin_call(c, k);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        end_call(c, k);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    grpc_conn *c = user;
    grpc_server_counters *n = &c->core->counters;
    call *k = call_of(session, stream_id);
    uint64_t used;
    sonde_status status;

    (void)flags;
    if (!k || k->state != COLLECTING)
        return 0;
    used = atomic_fetch_add_explicit(&n->budget_used_bytes, len, memory_order_relaxed);
    k->charged += len;
    status = used + len > c->core->options.budget_bytes
                 ? SONDE_ERR_FULL
                 : grpc_frame_feed(&k->frame, (sonde_str){ (const char *)data, len });
    if (status != SONDE_OK)
        refuse(c, k, status == SONDE_ERR_NOMEM ? SONDE_ERR_FULL : status);
    return 0;
}

/* An answer given before the client had said all: it may stop now. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    const call *k = call_of(session, frame->hd.stream_id);

    (void)user;
    if (k && !k->remote_done && frame->hd.type == NGHTTP2_HEADERS &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, k->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *user)
{
    call *k = call_of(session, stream_id);

    (void)error_code;
    if (k)
        call_free(user, k);
    return 0;
}

static void *mem_malloc(size_t bytes, void *user)
{
    (void)user;
    return sonde_malloc(bytes ? bytes : 1);
}

static void mem_free(void *ptr, void *user)
{
    (void)user;
    sonde_free(ptr);
}

static void *mem_calloc(size_t count, size_t bytes, void *user)
{
    (void)user;
    return sonde_calloc(count, bytes);
}

static void *mem_realloc(void *ptr, size_t bytes, void *user)
{
    (void)user;
    return sonde_realloc(ptr, bytes ? bytes : 1);
}

static int make_session(grpc_conn *c)
{
    nghttp2_mem mem = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };
    nghttp2_session_callbacks *calls = NULL;
    int failed = nghttp2_session_callbacks_new(&calls);

    if (failed)
        return failed;
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
    failed = nghttp2_session_server_new3(&c->session, calls, c, NULL, &mem);
    nghttp2_session_callbacks_del(calls);
    return failed;
}

static int say_settings(grpc_conn *c)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEAD_MAX_BYTES },
    };
    int failed = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 3);

    return failed ? failed
                  : nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                          WINDOW_CONNECTION);
}

sonde_status grpc_conn_open(grpc_core *core, uint64_t now_ns, grpc_conn **out_conn)
{
    grpc_conn *c = sonde_calloc(1, sizeof(*c));

    if (!c)
        return SONDE_ERR_NOMEM;
    c->core = core;
    c->now_ns = c->progress_ns = now_ns;
    count(&core->counters.open_connections, 1);
    if (make_session(c) != 0 || say_settings(c) != 0) {
        grpc_conn_close(c);
        return SONDE_ERR_NOMEM;
    }
    *out_conn = c;
    return SONDE_OK;
}

void grpc_conn_close(grpc_conn *c)
{
    while (c->calls)
        call_free(c, c->calls);
    nghttp2_session_del(c->session);
    uncount(&c->core->counters.open_connections, 1);
    sonde_free(c);
}

sonde_status grpc_conn_feed(grpc_conn *c, sonde_str bytes, uint64_t now_ns)
{
    ssize_t used;

    c->now_ns = c->progress_ns = now_ns;
    used = nghttp2_session_mem_recv(c->session, (const uint8_t *)bytes.ptr, bytes.len);
    if (used == NGHTTP2_ERR_NOMEM)
        return SONDE_ERR_NOMEM;
    return used < 0 || (size_t)used != bytes.len ? SONDE_ERR_SYNTAX : SONDE_OK;
}

sonde_status grpc_conn_output(grpc_conn *c, sonde_str *out)
{
    if (c->out_len == 0) {
        ssize_t len = nghttp2_session_mem_send(c->session, &c->out);

        if (len < 0)
            return len == NGHTTP2_ERR_NOMEM ? SONDE_ERR_NOMEM : SONDE_ERR_SYNTAX;
        c->out_len = (size_t)len;
    }
    *out = (sonde_str){ (const char *)c->out, c->out_len };
    return SONDE_OK;
}

void grpc_conn_sent(grpc_conn *c, size_t bytes, uint64_t now_ns)
{
    c->out += bytes;
    c->out_len -= bytes;
    if (bytes)
        c->progress_ns = now_ns;
}

bool grpc_conn_tick(grpc_conn *c, uint64_t now_ns)
{
    const grpc_server_options *o = &c->core->options;
    uint64_t quiet_ns = now_ns - c->progress_ns;

    c->now_ns = now_ns;
    for (call *k = c->calls; k; k = k->next) {
        if (k->state == COLLECTING && now_ns - k->began_ns >= o->read_timeout_ns)
            refuse(c, k, SONDE_ERR_TIMEOUT);
    }
    if (c->is_leaving && now_ns - c->left_ns >= GRPC_NOTICE_NS)
        leave(c);
    if (quiet_ns >= o->read_timeout_ns && (!c->is_settled || c->out_len))
        return false;
    return quiet_ns < o->idle_timeout_ns;
}

void grpc_conn_goaway(grpc_conn *c, uint64_t now_ns)
{
    if (c->is_leaving)
        return;
    c->is_leaving = true;
    c->left_ns = now_ns;
    (void)nghttp2_submit_shutdown_notice(c->session);
    (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
}

bool grpc_conn_is_over(const grpc_conn *c)
{
    return c->out_len == 0 && !nghttp2_session_want_read(c->session) &&
           !nghttp2_session_want_write(c->session);
}
