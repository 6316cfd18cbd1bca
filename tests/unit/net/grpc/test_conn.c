/* test_conn.c - the calls of one connection, the client's end being libnghttp2 in memory. */
#include "net/grpc/conn.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "h2_client.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define MAX_BYTES    64
#define BUDGET_BYTES 200

static struct {
    grpc_core core;
    grpc_conn *conn;
    h2_client client;
    uint64_t now_ns;
    grpc_status answer; /* of the handler */
    unsigned handled;
    bool was_gzip;
    char header[64];
    sonde_status lost;
    unsigned losses;
} f;

/* Says the message again. */
static void echo(void *user, grpc_call *call, grpc_answer *answer)
{
    (void)user;
    f.handled++;
    f.was_gzip = call->is_gzip;
    (void)snprintf(f.header, sizeof(f.header), "%s", call->header.ptr ? call->header.ptr : "");
    answer->status = f.answer;
    answer->message = "as told";
    sonde_buf_append(&answer->body, call->message, call->len);
}

static void lose(void *user, sonde_status why)
{
    (void)user;
    f.losses++;
    f.lost = why;
}

static const grpc_method methods[] = { { "/test.Echo/Say", echo, lose, NULL } };
static const grpc_server_options options = {
    .methods = methods,
    .methods_len = 1,
    .header = "x-wanted",
    .max_message_bytes = MAX_BYTES,
    .budget_bytes = BUDGET_BYTES,
    .read_timeout_ns = 5 * SONDE_NS_PER_S,
    .idle_timeout_ns = 600 * SONDE_NS_PER_S,
};

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    f.now_ns = 1000 * SONDE_NS_PER_S;
    grpc_core_init(&f.core, &options);
    assert_status(grpc_conn_open(&f.core, f.now_ns, &f.conn), SONDE_OK);
    h2_open(&f.client);
    return 0;
}

/* calls = handled + lost + unknown + not_grpc once all are over. */
static int teardown(void **state)
{
    const grpc_server_counters *c = &f.core.counters;

    (void)state;
    grpc_conn_close(f.conn);
    h2_close(&f.client);
    assert_int_equal(c->calls, c->handled + c->lost_too_big + c->lost_full + c->lost_malformed +
                                   c->lost_timeout + c->lost_aborted + c->unknown + c->not_grpc);
    assert_int_equal(c->open_calls, 0);
    assert_int_equal(c->open_connections, 0);
    assert_int_equal(c->budget_used_bytes, 0);
    return 0;
}

/* Bytes go to and fro until nobody has anything to say. */
static sonde_status pump(void)
{
    for (;;) {
        const uint8_t *bytes;
        ssize_t len = nghttp2_session_mem_send(f.client.session, &bytes);
        sonde_str out;
        sonde_status status;

        assert_true(len >= 0);
        if (len) {
            status =
                grpc_conn_feed(f.conn, (sonde_str){ (const char *)bytes, (size_t)len }, f.now_ns);
            if (status != SONDE_OK)
                return status;
        }
        status = grpc_conn_output(f.conn, &out);
        if (status != SONDE_OK)
            return status;
        if (out.len)
            assert_int_equal(
                nghttp2_session_mem_recv(f.client.session, (const uint8_t *)out.ptr, out.len),
                out.len);
        grpc_conn_sent(f.conn, out.len, f.now_ns);
        if (!len && !out.len)
            return SONDE_OK;
    }
}

static void exchange(h2_call *k)
{
    h2_submit(&f.client, k);
    assert_status(pump(), SONDE_OK);
}

static void a_call_is_answered_with_message_and_trailers(void **state)
{
    h2_call k = { .body = "\0\0\0\0\2hi", .len = 7, .header = "yes" };

    (void)state;
    exchange(&k);
    assert_true(k.answer.is_closed);
    assert_int_equal(k.answer.error, NGHTTP2_NO_ERROR);
    assert_string_equal(k.answer.status, "200");
    assert_string_equal(k.answer.grpc_status, "0");
    assert_int_equal(k.answer.data.len, 7);
    assert_memory_equal(k.answer.data.data, "\0\0\0\0\2hi", 7);
    assert_string_equal(f.header, "yes");
    assert_int_equal(f.handled, 1);
    h2_answer_done(&k);
}

static void what_cannot_be_taken_is_answered_with_its_status(void **state)
{
    static const char three[] = "\0\0\0\0\1x";
    static const struct {
        const char *label;
        h2_call call;
        const char *http, *grpc;
        sonde_status lost; /* OK: not told */
    } rows[] = {
        { "GET", { .method = "GET", .body = three, .len = 6 }, "405", "", SONDE_OK },
        { "JSON", { .type = "application/json", .body = three, .len = 6 }, "415", "", SONDE_OK },
        { "unknown",
          { .path = "/test.Echo/Sing", .body = three, .len = 6 },
          "200",
          "12",
          SONDE_OK },
        { "snappy",
          { .encoding = "snappy", .body = three, .len = 6 },
          "200",
          "12",
          SONDE_ERR_INVALID },
        { "nothing", { .body = "", .len = 0 }, "200", "3", SONDE_ERR_SYNTAX },
        { "cut off", { .body = "\0\0\0\0\2x", .len = 6 }, "200", "3", SONDE_ERR_SYNTAX },
        { "two", { .body = "\0\0\0\0\0\0\0\0\0\0", .len = 10 }, "200", "3", SONDE_ERR_SYNTAX },
        { "flag", { .body = "\7\0\0\0\0", .len = 5 }, "200", "3", SONDE_ERR_SYNTAX },
        { "packed without saying how",
          { .body = "\1\0\0\0\1x", .len = 6 },
          "200",
          "3",
          SONDE_ERR_SYNTAX },
        { "too big", { .body = "\0\0\0\0\101", .len = 5 }, "200", "8", SONDE_ERR_TOO_BIG },
        { "too big, open",
          { .body = "\0\0\0\0\101", .len = 5, .is_open_ended = true },
          "200",
          "8",
          SONDE_ERR_TOO_BIG },
        { "unknown, open",
          { .path = "/x", .body = "", .is_open_ended = true },
          "200",
          "12",
          SONDE_OK },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        h2_call k = rows[i].call;

        f.lost = SONDE_OK;
        exchange(&k);
        if (!k.answer.is_closed || strcmp(k.answer.status, rows[i].http) != 0 ||
            strcmp(k.answer.grpc_status, rows[i].grpc) != 0 || f.lost != rows[i].lost)
            fail_msg("%s: closed %d, HTTP %s, gRPC %s, lost %s", rows[i].label, k.answer.is_closed,
                     k.answer.status, k.answer.grpc_status, sonde_status_name(f.lost));
        h2_answer_done(&k);
    }
    assert_int_equal(f.handled, 0);
}

static void a_handler_is_told_of_gzip_and_may_refuse(void **state)
{
    h2_call k = { .body = "\1\0\0\0\1x", .len = 6, .encoding = "gzip" };

    (void)state;
    f.answer = GRPC_UNAVAILABLE;
    exchange(&k);
    assert_true(f.was_gzip);
    assert_string_equal(k.answer.grpc_status, "14");
    assert_string_equal(k.answer.message, "as told");
    assert_int_equal(k.answer.data.len, 0);
    h2_answer_done(&k);
}

static void the_budget_of_arriving_messages_is_a_ceiling(void **state)
{
    char body[5 + 60] = "\0\0\0\0\74"; /* 60 bytes */
    h2_call open[4], k = { .body = "\0\0\0\0\1x", .len = 6 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        open[i] = (h2_call){ .body = body, .len = 64, .is_open_ended = true };
        exchange(&open[i]);
    }
    assert_int_equal(f.core.counters.budget_used_bytes, 3 * 64);
    assert_string_equal(open[3].answer.grpc_status, "14");
    exchange(&k);
    assert_string_equal(k.answer.grpc_status, "0");
    assert_int_equal(f.core.counters.lost_full, 1);
    h2_answer_done(&k);
    for (size_t i = 0; i < 4; i++)
        h2_answer_done(&open[i]);
}

static void a_slow_call_is_reset(void **state)
{
    h2_call k = { .body = "\0\0\0\0\2x", .len = 6, .is_open_ended = true };

    (void)state;
    exchange(&k);
    f.now_ns += 5 * SONDE_NS_PER_S - 1;
    assert_true(grpc_conn_tick(f.conn, f.now_ns));
    assert_status(pump(), SONDE_OK);
    assert_false(k.answer.is_closed);
    f.now_ns += 1;
    assert_true(grpc_conn_tick(f.conn, f.now_ns));
    assert_status(pump(), SONDE_OK);
    assert_true(k.answer.is_closed);
    assert_int_equal(k.answer.error, NGHTTP2_CANCEL);
    assert_int_equal(f.core.counters.lost_timeout, 1);
    h2_answer_done(&k);
}

static void a_connection_that_says_nothing_is_over(void **state)
{
    (void)state;
    assert_true(grpc_conn_tick(f.conn, f.now_ns + 5 * SONDE_NS_PER_S - 1));
    assert_false(grpc_conn_tick(f.conn, f.now_ns + 5 * SONDE_NS_PER_S));
}

static void an_idle_connection_lives_for_a_while(void **state)
{
    (void)state;
    assert_status(pump(), SONDE_OK);
    assert_true(grpc_conn_tick(f.conn, f.now_ns + 600 * SONDE_NS_PER_S - 1));
    assert_false(grpc_conn_tick(f.conn, f.now_ns + 600 * SONDE_NS_PER_S));
}

static void more_calls_than_allowed_wait_or_are_refused(void **state)
{
    static h2_call open[GRPC_STREAMS_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(open); i++) { /* before the server could say its limit */
        open[i] = (h2_call){ .body = "", .is_open_ended = true };
        h2_submit(&f.client, &open[i]);
    }
    assert_status(pump(), SONDE_OK);
    assert_int_equal(f.client.max_streams, GRPC_STREAMS_MAX);
    assert_int_equal(f.core.counters.open_calls, GRPC_STREAMS_MAX);
    for (size_t i = 0; i < COUNT_OF(open); i++)
        h2_answer_done(&open[i]);
}

static void a_head_that_is_too_large_is_refused(void **state)
{
    static char path[GRPC_HEAD_MAX_BYTES];
    h2_call k = { .path = path, .body = "" };

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    exchange(&k);
    assert_true(k.answer.is_closed);
    assert_int_not_equal(k.answer.error, NGHTTP2_NO_ERROR);
    h2_answer_done(&k);
}

/* Hands the server's bytes to the client; `out` was sent before. */
static void deliver(sonde_str out)
{
    assert_int_equal(nghttp2_session_mem_recv(f.client.session, (const uint8_t *)out.ptr, out.len),
                     out.len);
    grpc_conn_sent(f.conn, out.len, f.now_ns);
}

static void goaway_lets_open_calls_end(void **state)
{
    h2_call k = { .body = "\0\0\0\0\1x", .len = 6, .is_open_ended = true };

    (void)state;
    exchange(&k);
    grpc_conn_goaway(f.conn, f.now_ns);
    assert_status(pump(), SONDE_OK);
    assert_true(f.client.got_goaway);
    assert_int_equal(f.client.last_stream, 1); /* the PING came back */
    assert_false(grpc_conn_is_over(f.conn));
    k.is_open_ended = false;
    (void)nghttp2_session_resume_data(f.client.session, 1);
    assert_status(pump(), SONDE_OK);
    assert_string_equal(k.answer.grpc_status, "0");
    assert_true(grpc_conn_is_over(f.conn));
    h2_answer_done(&k);
}

/* Both say something at once: the client a call, the server that it leaves. */
static void a_call_that_meets_goaway_on_its_way_is_served(void **state)
{
    h2_call early = { .body = "\0\0\0\0\0", .len = 5 }, late = early;
    sonde_str out;

    (void)state;
    exchange(&early);
    grpc_conn_goaway(f.conn, f.now_ns);
    assert_status(grpc_conn_output(f.conn, &out), SONDE_OK);
    assert_true(out.len > 0);
    h2_submit(&f.client, &late);
    for (;;) { /* the server hears the call when its notice is out */
        const uint8_t *bytes;
        ssize_t len = nghttp2_session_mem_send(f.client.session, &bytes);

        if (len <= 0)
            break;
        assert_status(
            grpc_conn_feed(f.conn, (sonde_str){ (const char *)bytes, (size_t)len }, f.now_ns),
            SONDE_OK);
    }
    deliver(out);
    assert_status(pump(), SONDE_OK);
    assert_string_equal(late.answer.grpc_status, "0");
    assert_int_equal(f.handled, 2);
    assert_int_equal(f.client.last_stream, 3);
    assert_true(grpc_conn_is_over(f.conn));
    h2_answer_done(&early);
    h2_answer_done(&late);
}

/* The client gets what the server says, and answers nothing. */
static void say_to_nobody(void)
{
    sonde_str out;

    do {
        assert_status(grpc_conn_output(f.conn, &out), SONDE_OK);
        grpc_conn_sent(f.conn, out.len, f.now_ns);
    } while (out.len);
}

static void goaway_does_not_wait_for_a_client_that_answers_no_ping(void **state)
{
    (void)state;
    assert_status(pump(), SONDE_OK);
    grpc_conn_goaway(f.conn, f.now_ns);
    say_to_nobody();
    assert_true(grpc_conn_tick(f.conn, f.now_ns + GRPC_NOTICE_NS - 1));
    assert_false(grpc_conn_is_over(f.conn));
    assert_true(grpc_conn_tick(f.conn, f.now_ns + GRPC_NOTICE_NS));
    say_to_nobody();
    assert_true(grpc_conn_is_over(f.conn));
}

static void a_client_that_leaves_loses_its_call(void **state)
{
    h2_call k = { .body = "\0\0\0\0\2x", .len = 6, .is_open_ended = true };

    (void)state;
    exchange(&k);
    (void)nghttp2_submit_rst_stream(f.client.session, 0, 1, NGHTTP2_CANCEL);
    assert_status(pump(), SONDE_OK);
    assert_int_equal(f.core.counters.lost_aborted, 1);
    assert_int_equal(f.lost, SONDE_ERR_EOF);
    h2_answer_done(&k);
}

static void what_is_not_http2_is_refused(void **state)
{
    (void)state;
    assert_status(grpc_conn_feed(f.conn, SONDE_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), f.now_ns),
                  SONDE_ERR_SYNTAX);
}

static sonde_status without_memory(void *user)
{
    h2_call k = { .body = "\0\0\0\0\2hi", .len = 7 };
    grpc_conn *conn = NULL, *before = f.conn;
    sonde_status status;

    (void)user;
    status = grpc_conn_open(&f.core, f.now_ns, &conn);
    if (status != SONDE_OK)
        return status;
    f.conn = conn;
    h2_open(&f.client);
    h2_submit(&f.client, &k);
    status = pump();
    if (status == SONDE_OK && strcmp(k.answer.grpc_status, "0") != 0)
        status = SONDE_ERR_NOMEM; /* refused, but alive */
    grpc_conn_close(conn);
    h2_close(&f.client);
    h2_answer_done(&k);
    f.conn = before;
    return status == SONDE_ERR_SYNTAX ? SONDE_ERR_NOMEM : status;
}

static void it_copes_without_memory(void **state)
{
    (void)state;
    h2_close(&f.client);
    alloc_fail_each(without_memory, NULL);
    h2_open(&f.client);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(a_call_is_answered_with_message_and_trailers),
        ROW(what_cannot_be_taken_is_answered_with_its_status),
        ROW(a_handler_is_told_of_gzip_and_may_refuse),
        ROW(the_budget_of_arriving_messages_is_a_ceiling),
        ROW(a_slow_call_is_reset),
        ROW(a_connection_that_says_nothing_is_over),
        ROW(an_idle_connection_lives_for_a_while),
        ROW(more_calls_than_allowed_wait_or_are_refused),
        ROW(a_head_that_is_too_large_is_refused),
        ROW(goaway_lets_open_calls_end),
        ROW(a_call_that_meets_goaway_on_its_way_is_served),
        ROW(goaway_does_not_wait_for_a_client_that_answers_no_ping),
        ROW(a_client_that_leaves_loses_its_call),
        ROW(what_is_not_http2_is_refused),
        ROW(it_copes_without_memory),
    };
#undef ROW

    return cmocka_run_group_tests(tests, NULL, NULL);
}
