/* test_otlp.c - the room over real sockets: answers, counters, what the sink refuses.
 *
 * The sink runs on the server's threads and only records; the tests assert after the answer came. */
#include "agent/otlp/otlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/compress/compress.h"
#include "codec/proto/otlp_traces.pb-c.h"
#include "net/socket.h"
#include "support/raw_http.h"
#include "support/test.h"

#define MAX_PAYLOAD  "65536"
#define BUDGET_BYTES 100000

/* A resource with one span: resource_spans{ scope_spans{ span{ ids, name "n" } } } */
#define ONE                                                                                        \
    "\x0a\x23\x12\x21\x12\x1f\x0a\x10\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\x12\x08"            \
    "\0\0\0\0\0\0\0\5\x2a\1n"
#define ONE_LEN (sizeof(ONE) - 1)

static struct {
    agent_config *config;
    origin *origin;
    otlp *o;
    _Atomic(payload *) held[8]; /* what the sink took */
    _Atomic unsigned held_len;
    _Atomic int room; /* how many more payloads it takes */
    _Atomic int refusal;
} f;

static raw_answer answer; /* large */

static sonde_status record(void *stage, payload *p)
{
    (void)stage;
    if (atomic_fetch_sub(&f.room, 1) <= 0)
        return (sonde_status)atomic_load(&f.refusal);
    atomic_store(&f.held[atomic_load(&f.held_len) % 8], p); /* one request at a time */
    atomic_fetch_add(&f.held_len, 1);
    return SONDE_OK;
}

static void free_held(void)
{
    while (f.held_len)
        payload_free(f.held[--f.held_len]);
}

static agent_config *configure(const char *endpoints, const char *more)
{
    config_options options = { .os_hostname = "h", .cpus = 2 };
    agent_config *c = NULL;
    char yaml[512];

    (void)snprintf(yaml, sizeof(yaml),
                   "apm_config: {max_payload_size: " MAX_PAYLOAD ", receiver_timeout: 60}\n"
                   "otlp_config: {receiver: {protocols: {%s}}%s}\n",
                   endpoints, more);
    assert_status(config_load_text(&options, sonde_str_from(yaml), "t", &c, NULL), SONDE_OK);
    assert_int_equal(c->warnings_len, 0);
    return c;
}

static void open_with(const char *more)
{
    sonde_error error = { 0 };

    f.config =
        configure("http: {endpoint: \"127.0.0.1:0\"}, grpc: {endpoint: \"localhost:0\"}", more);
    if (otlp_open(&(otlp_options){ f.config, { record, NULL }, BUDGET_BYTES, f.origin }, &f.o,
                  &error) != SONDE_OK)
        fail_msg("%s", error.message);
}

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    atomic_store(&f.room, 1000);
    atomic_store(&f.refusal, SONDE_ERR_FULL);
    assert_status(origin_open(&(origin_options){ .container_tags = NULL }, &f.origin), SONDE_OK);
    open_with("");
    return 0;
}

/* Every request was accepted or dropped for one reason, every span handed on or rejected. */
static int teardown(void **state)
{
    const otlp_counters *c = otlp_read_counters(f.o);
    uint64_t dropped = 0;

    (void)state;
    free_held();
    for (int i = 0; i < OTLP_REASONS; i++)
        dropped += c->requests_dropped[i];
    assert_int_equal(c->requests_received, c->requests_accepted + dropped);
    assert_int_equal(c->spans_decoded, c->spans_accepted + c->spans_rejected);
    assert_int_equal(c->held_bytes, 0);
    otlp_close(f.o, sonde_deadline(sonde_mono_ns(), sonde_s_to_ns(60)));
    origin_close(f.origin);
    config_put(f.config);
    return 0;
}

static void post(const char *path, const char *type, const char *more, const void *body, size_t len)
{
    int fd = raw_connect(otlp_http_port(f.o));
    char head[512];

    (void)snprintf(
        head, sizeof(head),
        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n", path,
        type, more, len);
    raw_send(fd, head);
    raw_send_bytes(fd, body, len);
    raw_read_answer(fd, &answer);
    (void)close(fd);
}

#define PB   "application/x-protobuf"
#define JSON "application/json"

static void a_request_is_answered_in_its_own_type(void **state)
{
    (void)state;
    post("/v1/traces", PB, "", ONE, ONE_LEN);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_len, 0);
    assert_non_null(strstr(answer.text, "Content-Type: " PB));
    post("/v1/traces", JSON "; charset=utf-8", "", "{}", 2);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "{}");
    assert_non_null(strstr(answer.text, "Content-Type: " JSON));
    assert_int_equal(f.held_len, 1);
    assert_string_equal(f.held[0]->endpoint_version, "opentelemetry_v1");
    assert_int_equal(otlp_read_counters(f.o)->traces_accepted, 1);
    assert_int_equal(otlp_read_counters(f.o)->spans_accepted, 1);
    assert_int_equal(otlp_read_counters(f.o)->requests_accepted, 2);
}

static void a_container_brings_its_tags(void **state)
{
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    static const char body[] =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"container.id\",\"value\":"
        "{\"stringValue\":\"" ID "\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":"
        "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"1112131415161718\",\"name\":\"n\"}]}]}]"
        "}";
    const sonde_str *tags;

    (void)state;
    post("/v1/traces", JSON, "", body, sizeof(body) - 1);
    assert_int_equal(answer.status, 200);
    assert_int_equal(f.held_len, 1);
    tags = payload_tag_get(f.held[0], SONDE_STR("_dd.tags.container"));
    assert_true(tags && sonde_str_eq(*tags, SONDE_STR("container_id:" ID)));
#undef ID
}

/* Each exporter of a host keeps a connection. */
static void a_hundred_exporters_over_grpc_find_room(void **state)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    int fds[100];
    bool all = false;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = raw_connect(otlp_grpc_port(f.o));
        raw_send_bytes(fds[i], hello, sizeof(hello) - 1);
    }
    while (!all) {
        sonde_json_writer w;
        sonde_buf out;

        sonde_buf_init(&out, 1 << 16);
        sonde_json_writer_init(&w, &out);
        otlp_write_json(f.o, &w);
        all = strstr(sonde_buf_cstr(&out), ",\"connections\":100,") != NULL;
        sonde_buf_done(&out);
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        (void)close(fds[i]);
}

static void packed_bodies_are_unpacked_and_charged(void **state)
{
    sonde_buf packed;

    (void)state;
    sonde_buf_init(&packed, 4096);
    assert_status(sonde_compress(SONDE_ENCODING_GZIP, 0, (sonde_str){ ONE, ONE_LEN }, &packed),
                  SONDE_OK);
    post("/v1/traces", PB, "Content-Encoding: gzip\r\n", packed.data, packed.len);
    assert_int_equal(answer.status, 200);
    assert_int_equal(otlp_read_counters(f.o)->held_bytes, ONE_LEN);
    assert_int_equal(otlp_read_counters(f.o)->bytes_received, ONE_LEN);
    sonde_buf_done(&packed);
}

static void what_cannot_be_taken_is_answered_with_its_status(void **state)
{
    static char big[65537];
    static const struct {
        const char *label, *path, *type, *more;
        const char *body;
        size_t len;
        int status;
        const char *text; /* begin of the body */
        otlp_reason why;  /* OTLP_REASONS: not counted here */
    } rows[] = {
        { "text", "/v1/traces", "text/plain", "", "x", 1, 415, "415 unsupported media type",
          OTLP_MEDIA_TYPE },
        { "no JSON", "/v1/traces", JSON, "", "[]", 2, 400,
          "{\"code\":3,\"message\":\"expected an object\"}", OTLP_DECODE },
        { "cut JSON", "/v1/traces", JSON, "", "{", 1, 400, "{\"code\":3", OTLP_EOF },
        { "no protobuf", "/v1/traces", PB, "", "\x0b", 1, 400, "\x08\x03\x12\x12malformed protobuf",
          OTLP_DECODE },
        { "no gzip", "/v1/traces", PB, "Content-Encoding: gzip\r\n", "xx", 2, 400, "\x08\x03",
          OTLP_DECODE },
        { "snappy", "/v1/traces", PB, "Content-Encoding: snappy\r\n", "xx", 2, 415,
          "415 unsupported content", OTLP_ENCODING },
        { "too big", "/v1/traces", PB, "", big, sizeof(big), 413, "", OTLP_TOO_BIG },
        { "metrics", "/v1/metrics", PB, "", "", 0, 404, "404", OTLP_REASONS },
        { "logs", "/v1/logs", JSON, "", "{}", 2, 404, "404", OTLP_REASONS },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t before = rows[i].why == OTLP_REASONS
                              ? 0
                              : otlp_read_counters(f.o)->requests_dropped[rows[i].why];

        post(rows[i].path, rows[i].type, rows[i].more, rows[i].body, rows[i].len);
        if (answer.status != rows[i].status ||
            strncmp(answer.body, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("%s: %d %s", rows[i].label, answer.status, answer.body);
        if (rows[i].why != OTLP_REASONS &&
            otlp_read_counters(f.o)->requests_dropped[rows[i].why] != before + 1)
            fail_msg("%s: not counted", rows[i].label);
    }
    assert_int_equal(f.held_len, 0);
}

static void a_bomb_is_too_large(void **state)
{
    static char zeros[1 << 20];
    sonde_buf packed;

    (void)state;
    sonde_buf_init(&packed, 65536);
    assert_status(
        sonde_compress(SONDE_ENCODING_GZIP, 9, (sonde_str){ zeros, sizeof(zeros) }, &packed),
        SONDE_OK);
    post("/v1/traces", PB, "Content-Encoding: gzip\r\n", packed.data, packed.len);
    assert_int_equal(answer.status, 413);
    assert_int_equal(otlp_read_counters(f.o)->requests_dropped[OTLP_TOO_BIG], 1);
    sonde_buf_done(&packed);
}

static void a_full_queue_is_429_and_a_stopped_agent_503(void **state)
{
    (void)state;
    atomic_store(&f.room, 0);
    post("/v1/traces", PB, "", ONE, ONE_LEN);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(answer.text, "Retry-After: 1\r\n"));
    atomic_store(&f.refusal, SONDE_ERR_CLOSED);
    post("/v1/traces", PB, "", ONE, ONE_LEN);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.text, "Retry-After: 1\r\n"));
    atomic_store(&f.room, 10);
    otlp_stop(f.o);
    post("/v1/traces", PB, "", ONE, ONE_LEN);
    assert_int_equal(answer.status, 503);
    assert_int_equal(otlp_read_counters(f.o)->requests_dropped[OTLP_REFUSED_QUEUE], 1);
    assert_int_equal(otlp_read_counters(f.o)->requests_dropped[OTLP_REFUSED_CLOSING], 2);
    assert_int_equal(otlp_read_counters(f.o)->spans_rejected, 3);
}

static void bodies_kept_beyond_the_budget_are_refused(void **state)
{
    static char nothing[60000];
    sonde_buf body, packed;

    (void)state;
    sonde_buf_init(&packed, 65536);
    sonde_buf_init(&body, 65536);
    sonde_buf_append(&body, ONE "\x7a\xe0\xd4\x03", ONE_LEN + 4); /* then field 15: 60000 bytes */
    sonde_buf_append(&body, nothing, sizeof(nothing));
    assert_status(sonde_compress(SONDE_ENCODING_GZIP, 0, sonde_buf_str(&body), &packed), SONDE_OK);
    sonde_buf_done(&body);
    post("/v1/traces", PB, "Content-Encoding: gzip\r\n", packed.data, packed.len);
    assert_int_equal(answer.status, 200);
    post("/v1/traces", PB, "Content-Encoding: gzip\r\n", packed.data, packed.len);
    assert_int_equal(answer.status, 429);
    assert_int_equal(otlp_read_counters(f.o)->requests_dropped[OTLP_REFUSED_BUDGET], 1);
    free_held();
    post("/v1/traces", PB, "Content-Encoding: gzip\r\n", packed.data, packed.len);
    assert_int_equal(answer.status, 200);
    sonde_buf_done(&packed);
}

static void what_the_queue_took_is_not_asked_for_again(void **state)
{
    static const char two[] = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]},"
                              "{\"scopeSpans\":[{\"spans\":[{},{}]}]}]}";
    Sonde__Otlp__ExportTraceResponse *said;

    (void)state;
    atomic_store(&f.room, 1);
    post("/v1/traces", PB, "", ONE ONE ONE, 3 * ONE_LEN);
    assert_int_equal(answer.status, 200);
    said = sonde__otlp__export_trace_response__unpack(NULL, answer.body_len,
                                                      (const uint8_t *)answer.body);
    assert_non_null(said);
    assert_int_equal(said->partial_success->rejected_spans, 2);
    assert_string_equal(said->partial_success->error_message, "the agent is busy");
    sonde__otlp__export_trace_response__free_unpacked(said, NULL);
    assert_int_equal(otlp_read_counters(f.o)->requests_partial, 1);
    assert_int_equal(otlp_read_counters(f.o)->spans_rejected, 2);

    atomic_store(&f.room, 1);
    post("/v1/traces", JSON, "", two, sizeof(two) - 1);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "{\"partialSuccess\":{\"rejectedSpans\":\"2\","
                                     "\"errorMessage\":\"the agent is busy\"}}");
}

static void payloads_of_a_request_share_its_body(void **state)
{
    payload *first, *second;

    (void)state;
    post("/v1/traces", PB, "", ONE ONE, 2 * ONE_LEN);
    assert_int_equal(answer.status, 200);
    assert_int_equal(f.held_len, 2);
    first = atomic_load(&f.held[0]);
    second = atomic_load(&f.held[1]);
    assert_ptr_equal(first->body.ptr, second->body.ptr);
    assert_int_equal(first->charged_bytes, first->arena.held_bytes + 2 * ONE_LEN);
    assert_int_equal(second->charged_bytes, second->arena.held_bytes); /* the body counts once */
    payload_free(first);
    assert_memory_equal(second->chunks[0].spans[0].resource.ptr, "n", 1);
    atomic_store(&f.held[0], second);
    atomic_store(&f.held_len, 1);
}

static void payloads_outlive_the_room(void **state)
{
    payload *p;

    (void)state;
    post("/v1/traces", PB, "", ONE, ONE_LEN);
    p = f.held[--f.held_len];
    assert_int_equal(otlp_read_counters(f.o)->requests_accepted, 1);
    otlp_close(f.o, 0);
    assert_memory_equal(p->chunks[0].spans[0].resource.ptr, "n", 1);
    payload_free(p);
    config_put(f.config);
    open_with("");
}

static void statistics_computed_by_the_client_are_noted(void **state)
{
    (void)state;
    post("/v1/traces", PB, "Datadog-Client-Computed-Stats: true\r\n", ONE, ONE_LEN);
    assert_true(f.held[0]->client_computed_stats);
}

static void without_traces_there_is_no_path(void **state)
{
    (void)state;
    otlp_close(f.o, 0);
    config_put(f.config);
    open_with(", traces: {enabled: false}");
    post("/v1/traces", PB, "", ONE, ONE_LEN);
    assert_int_equal(answer.status, 404);
}

static void another_method_is_not_allowed(void **state)
{
    int fd = raw_connect(otlp_http_port(f.o));

    (void)state;
    raw_send(fd, "GET /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read_answer(fd, &answer);
    assert_int_equal(answer.status, 405);
    (void)close(fd);
}

static void nothing_configured_is_nothing_opened(void **state)
{
    agent_config *c = configure("", "");
    otlp *o = (otlp *)&f;

    (void)state;
    assert_status(otlp_open(&(otlp_options){ .config = c }, &o, NULL), SONDE_OK);
    assert_null(o);
    otlp_stop(o);
    otlp_close(o, 0);
    config_put(c);
}

static void an_inherited_socket_is_used(void **state)
{
    char more[32];
    int fd;

    (void)state;
    otlp_close(f.o, 0);
    config_put(f.config);
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &fd, NULL), SONDE_OK);
    (void)snprintf(more, sizeof(more), ", grpc_fd: %d", fd);
    open_with(more);
    assert_int_equal(otlp_grpc_port(f.o), sonde_local_port(fd));
}

static void an_endpoint_is_host_and_port(void **state)
{
    static const char *const wrong[] = { "localhost", "localhost:", "localhost:x",
                                         "localhost:65536", "nobody.invalid:4318" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[128];
        sonde_error error = { 0 };
        agent_config *c;
        otlp *o;

        (void)snprintf(text, sizeof(text), "http: {endpoint: \"%s\"}", wrong[i]);
        c = configure(text, "");
        if (otlp_open(&(otlp_options){ .config = c }, &o, &error) == SONDE_OK || !error.message[0])
            fail_msg("%s was taken", wrong[i]);
        config_put(c);
    }
}

static void the_status_page_is_json(void **state)
{
    sonde_buf out;
    sonde_json_writer w;

    (void)state;
    sonde_buf_init(&out, 65536);
    sonde_json_writer_init(&w, &out);
    otlp_write_json(f.o, &w);
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"requests_received\":0"));
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"grpc\":{\"port\":"));
    sonde_buf_done(&out);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(a_request_is_answered_in_its_own_type),
        ROW(a_hundred_exporters_over_grpc_find_room),
        ROW(a_container_brings_its_tags),
        ROW(packed_bodies_are_unpacked_and_charged),
        ROW(what_cannot_be_taken_is_answered_with_its_status),
        ROW(a_bomb_is_too_large),
        ROW(a_full_queue_is_429_and_a_stopped_agent_503),
        ROW(bodies_kept_beyond_the_budget_are_refused),
        ROW(what_the_queue_took_is_not_asked_for_again),
        ROW(payloads_of_a_request_share_its_body),
        ROW(payloads_outlive_the_room),
        ROW(statistics_computed_by_the_client_are_noted),
        ROW(without_traces_there_is_no_path),
        ROW(another_method_is_not_allowed),
        ROW(nothing_configured_is_nothing_opened),
        ROW(an_inherited_socket_is_used),
        ROW(an_endpoint_is_host_and_port),
        ROW(the_status_page_is_json),
    };
#undef ROW

    return cmocka_run_group_tests(tests, NULL, NULL);
}
