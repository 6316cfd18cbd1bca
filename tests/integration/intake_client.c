/* intake_client.c - see intake_client.h. */
#include "intake_client.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "codec/pb_write.h"
#include "support/temp_dir.h"

#define WAIT_NS (20ull * SONDE_NS_PER_S)

sonde_http_plain *intake_connect(uint16_t port)
{
    sonde_http_plain *client;
    sonde_url url;
    char text[64];

    snprintf(text, sizeof(text), "http://127.0.0.1:%u", port);
    assert_status(sonde_url_parse(sonde_str_from(text), &url, NULL), SONDE_OK);
    assert_status(sonde_http_plain_open(&url, 4 << 20, &client), SONDE_OK);
    return client;
}

void intake_world_start(intake_world *w)
{
    intake_main_options options = { .host = "127.0.0.1", .data_dir = w->dir };
    sonde_error error;

    if (intake_main_open(&options, &w->intake, &error) != SONDE_OK)
        fail_msg("%s", error.message);
    w->client = intake_connect(intake_main_port(w->intake));
}

void intake_world_stop(intake_world *w)
{
    sonde_http_plain_close(w->client);
    intake_main_close(w->intake, sonde_deadline(sonde_mono_ns(), WAIT_NS));
    w->client = NULL;
    w->intake = NULL;
}

int intake_world_open(void **state)
{
    static intake_world w;

    memset(&w, 0, sizeof(w));
    temp_dir_make(w.dir, sizeof(w.dir));
    intake_world_start(&w);
    *state = &w;
    return 0;
}

int intake_world_close(void **state)
{
    intake_world *w = (intake_world *)*state;

    intake_world_stop(w);
    temp_dir_remove(w->dir);
    return 0;
}

static int ask(intake_world *w, const char *method, const char *path,
               const sonde_http_header *headers, size_t headers_len, sonde_str body)
{
    sonde_http_plain_request request = {
        .method = method,
        .path = path,
        .headers = headers,
        .headers_len = headers_len,
        .body = body,
        .deadline_mono_ns = sonde_deadline(sonde_mono_ns(), WAIT_NS),
    };

    assert_status(sonde_http_plain_send(w->client, &request, &w->answer), SONDE_OK);
    return w->answer.status;
}

int intake_get(intake_world *w, const char *path)
{
    return ask(w, "GET", path, NULL, 0, (sonde_str){ NULL, 0 });
}

int intake_post(intake_world *w, const char *path, const char *key, const char *encoding,
                sonde_str body)
{
    sonde_http_header headers[2];
    size_t len = 0;

    if (key)
        headers[len++] = (sonde_http_header){ SONDE_STR("DD-Api-Key"), sonde_str_from(key) };
    if (encoding)
        headers[len++] =
            (sonde_http_header){ SONDE_STR("Content-Encoding"), sonde_str_from(encoding) };
    return ask(w, "POST", path, headers, len, body);
}

void assert_answer_has(const intake_world *w, const char *part)
{
    size_t at;

    if (!sonde_str_find(w->answer.body, sonde_str_from(part), &at))
        fail_msg("%s\nis not in\n%.*s", part, SONDE_STR_ARG(w->answer.body));
}

void assert_answer_has_not(const intake_world *w, const char *part)
{
    size_t at;

    if (sonde_str_find(w->answer.body, sonde_str_from(part), &at))
        fail_msg("%s\nis in\n%.*s", part, SONDE_STR_ARG(w->answer.body));
}

sonde_str answer_text(const intake_world *w, const char *name)
{
    sonde_str rest = w->answer.body;
    char mark[64];
    size_t at;

    snprintf(mark, sizeof(mark), "\"%s\":\"", name);
    if (!sonde_str_find(rest, sonde_str_from(mark), &at))
        return (sonde_str){ NULL, 0 };
    rest = sonde_str_sub(rest, at + strlen(mark), rest.len);
    return sonde_str_cut(&rest, '"');
}

static void write_span(sonde_buf *out, const test_span *s)
{
    size_t mark = sonde_pb_begin(out, 3);

    sonde_pb_str(out, 1, sonde_str_from(s->service));
    sonde_pb_str(out, 2, SONDE_STR("http.request"));
    sonde_pb_str(out, 3, sonde_str_from(s->resource));
    sonde_pb_varint(out, 4, s->trace);
    sonde_pb_varint(out, 5, s->id);
    sonde_pb_varint(out, 6, s->parent);
    sonde_pb_int64(out, 7, s->start_ns);
    sonde_pb_int64(out, 8, s->duration_ns);
    sonde_pb_int64(out, 9, s->error);
    if (s->tag_key)
        sonde_pb_map_str_str(out, 10, sonde_str_from(s->tag_key), sonde_str_from(s->tag_value));
    sonde_pb_str(out, 12, SONDE_STR("web"));
    sonde_pb_end(out, mark);
}

void write_agent_payload(sonde_buf *out, const test_span *spans, size_t len)
{
    size_t tracer, chunk, i;

    sonde_pb_str(out, 1, SONDE_STR("h1"));
    tracer = sonde_pb_begin(out, 5);
    chunk = sonde_pb_begin(out, 6);
    for (i = 0; i < len; i++)
        write_span(out, &spans[i]);
    sonde_pb_end(out, chunk);
    sonde_pb_str(out, 8, SONDE_STR("test"));
    sonde_pb_end(out, tracer);
}
