/* cmd_record.c - `sonde record`: stands between tracers and their agent and keeps what passes.
 *
 *   tracer ─▶ sonde record ─▶ agent
 *                 └─▶ file
 *
 * Works in front of any trace agent, changes nothing in it, and costs nothing while it does not run.
 *
 * Threads   one, the server's: a request is written and handed on before the next is read.
 * Bounds    the file: --max-size; what comes beyond is handed on, not kept, and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/main/signals.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "net/http_plain.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "vocab/headers.h"

#include "agent_client.h"
#include "cli.h"
#include "recording.h"

#define PORT           8136
#define MAX_SIZE       (UINT64_C(256) * 1024 * 1024)
#define BODY_MAX_BYTES (50u * 1024 * 1024)
#define HANDLE_NS      (UINT64_C(10) * SONDE_NS_PER_S)
#define STOP_NS        (UINT64_C(2) * SONDE_NS_PER_S)
#define HEADERS_MAX    24
#define SOCKET_MODE    0722

static const char help[] =
    "Usage: sonde record [OPTION]... FILE\n"
    "\n"
    "Listens like an agent, writes every request into FILE and hands it on to the real\n"
    "agent, whose answer the tracer gets.  Point tracers at it, for example with\n"
    "DD_TRACE_AGENT_URL=http://127.0.0.1:8136, and stop it with Ctrl-C.\n"
    "\n"
    "  FILE holds whole payloads: resources, tags, perhaps names and addresses of people.\n"
    "  Treat it as you treat that data.  API keys are not written.\n"
    "\n"
    "      --listen PORT     TCP port to listen on (8136; 0 any free one)\n"
    "      --listen-socket PATH  listen on this Unix socket as well\n"
    "      --max-size SIZE   keep no more than that (256MiB)\n"
    "      --no-agent        answer by itself instead of handing on\n"
    "  -c, --config FILE     read FILE to learn where the agent is\n"
    "  -p, --port N          TCP port of the agent (8126)\n"
    "      --socket PATH     hand on over this Unix socket instead\n"
    "  -h, --help            print this text, then exit\n";

enum {
    OPT_LISTEN,
    OPT_LISTEN_SOCKET,
    OPT_MAX_SIZE,
    OPT_NO_AGENT,
    OPT_CONFIG,
    OPT_PORT,
    OPT_SOCKET,
    OPT_FILE
};

static const cli_option options[] = {
    [OPT_LISTEN] = { 0, "listen", NULL, NULL },
    [OPT_LISTEN_SOCKET] = { 0, "listen-socket", NULL, NULL },
    [OPT_MAX_SIZE] = { 0, "max-size", NULL, NULL },
    [OPT_NO_AGENT] = { 0, "no-agent", NULL, "1" },
    [OPT_CONFIG] = { 'c', "config", NULL, NULL },
    [OPT_PORT] = { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    [OPT_SOCKET] = { 0, "socket", NULL, NULL },
    [OPT_FILE] = { 0, "", NULL, "FILE" },
};

/* What a request is recorded and handed on with.  Never a key. */
static const char *const kept_headers[] = {
    "Content-Type",
    "Content-Encoding",
    SONDE_HDR_TRACE_COUNT,
    SONDE_HDR_LANG,
    SONDE_HDR_LANG_VERSION,
    SONDE_HDR_LANG_INTERPRETER,
    SONDE_HDR_LANG_VENDOR,
    SONDE_HDR_TRACER_VERSION,
    SONDE_HDR_COMPUTED_TOP_LEVEL,
    SONDE_HDR_COMPUTED_STATS,
    SONDE_HDR_OBFUSCATION,
    SONDE_HDR_DROPPED_P0_TRACES,
    SONDE_HDR_DROPPED_P0_SPANS,
    SONDE_HDR_RATES_VERSION,
    SONDE_HDR_REAL_STATUS,
    SONDE_HDR_CONTAINER_ID,
    SONDE_HDR_ENTITY_ID,
    SONDE_HDR_EXTERNAL_ENV,
    "X-Datadog-Process-Tags",
};
#define KEPT_LEN (sizeof(kept_headers) / sizeof(kept_headers[0]))

typedef struct recorder {
    int fd;
    uint64_t began_mono_ns;
    uint64_t max_bytes;
    sonde_http_plain *agent; /* NULL: answers by itself */
    sonde_buf entry;
    sonde_buf headers;
    uint64_t bytes;
    _Atomic uint64_t kept, not_kept,
        refused; /* requests: in the file, beyond its size, by the agent */
} recorder;

static bool write_all(int fd, sonde_str text)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = sonde_str_sub(text, (size_t)n, text.len);
    }
    return true;
}

static void keep(recorder *r, const http_request *request)
{
    recording_entry e = { .at_ns = sonde_mono_ns() - r->began_mono_ns,
                          .method = http_request_method(request),
                          .path = http_request_path(request),
                          .body = http_request_body(request) };

    sonde_buf_reset(&r->headers);
    for (size_t i = 0; i < KEPT_LEN; i++) {
        sonde_str value = http_request_header(request, kept_headers[i]);

        if (value.len && !memchr(value.ptr, '\n', value.len))
            sonde_buf_printf(&r->headers, "%s: %.*s\n", kept_headers[i], SONDE_STR_ARG(value));
    }
    e.headers = sonde_buf_str(&r->headers);
    sonde_buf_reset(&r->entry);
    recording_write_entry(&r->entry, &e);
    if (r->entry.status != SONDE_OK || r->bytes + r->entry.len > r->max_bytes ||
        !write_all(r->fd, sonde_buf_str(&r->entry))) {
        atomic_fetch_add_explicit(&r->not_kept, 1, memory_order_relaxed);
        SONDE_LOG(SONDE_LOG_WARN, "a request was not kept: file_bytes=%llu max_bytes=%llu",
                  (unsigned long long)r->bytes, (unsigned long long)r->max_bytes);
        return;
    }
    r->bytes += r->entry.len;
    atomic_fetch_add_explicit(&r->kept, 1, memory_order_relaxed);
}

static void pass_header(http_response *response, const sonde_http_plain_answer *answer,
                        const char *name)
{
    sonde_str value = sonde_http_plain_header(answer, sonde_str_from(name));
    char text[128];

    if (!value.len || value.len >= sizeof(text))
        return;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    http_response_header(response, name, text);
}

static void hand_on(recorder *r, const http_request *request, http_response *response)
{
    sonde_http_header headers[HEADERS_MAX];
    char method[16], path[1024];
    sonde_http_plain_request up = { .method = method,
                                    .path = path,
                                    .headers = headers,
                                    .body = http_request_body(request),
                                    .deadline_mono_ns = sonde_mono_ns() + HANDLE_NS };
    sonde_http_plain_answer answer;

    (void)snprintf(method, sizeof(method), "%.*s", SONDE_STR_ARG(http_request_method(request)));
    (void)snprintf(path, sizeof(path), "%.*s", SONDE_STR_ARG(http_request_path(request)));
    for (size_t i = 0; i < KEPT_LEN; i++) {
        sonde_str value = http_request_header(request, kept_headers[i]);

        if (value.len)
            headers[up.headers_len++] =
                (sonde_http_header){ sonde_str_from(kept_headers[i]), value };
    }
    if (sonde_http_plain_send(r->agent, &up, &answer) != SONDE_OK) {
        atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
        http_response_text(response, 502, "the agent behind this recorder does not answer\n");
        return;
    }
    if (answer.status >= 400)
        atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
    response->status = (unsigned)answer.status;
    response->content_type = "application/json";
    pass_header(response, &answer, SONDE_HDR_RATES_VERSION);
    pass_header(response, &answer, SONDE_HDR_AGENT_VERSION);
    pass_header(response, &answer, SONDE_HDR_AGENT_STATE);
    sonde_buf_append_str(&response->body, answer.body);
}

static http_result handle(void *user, http_request *request, http_response *response)
{
    recorder *r = user;

    if (!sonde_str_eq(http_request_method(request), SONDE_STR("GET")))
        keep(r, request);
    if (r->agent) {
        hand_on(r, request, response);
    } else {
        response->content_type = "application/json";
        sonde_buf_append_str(&response->body, SONDE_STR("{\"rate_by_service\":{}}\n"));
    }
    return HTTP_DONE;
}

static sonde_status open_file(recorder *r, const char *path)
{
    sonde_buf head;
    bool ok;

    r->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (r->fd < 0)
        return SONDE_ERR_SYS;
    sonde_buf_init(&head, 64);
    recording_write_head(&head, sonde_unix_ns());
    ok = head.status == SONDE_OK && write_all(r->fd, sonde_buf_str(&head));
    r->bytes = head.len;
    sonde_buf_done(&head);
    return ok ? SONDE_OK : SONDE_ERR_SYS;
}

static sonde_status listen_all(const cli_line *line, http_listener *out, size_t *out_len,
                               sonde_error *error)
{
    uint64_t port = PORT;
    sonde_status status;
    int fd;

    if (line->values[OPT_LISTEN] &&
        (sonde_parse_u64(sonde_str_from(line->values[OPT_LISTEN]), &port) != SONDE_OK ||
         port > 65535)) {
        (void)snprintf(error->message, sizeof(error->message), "--listen: expected a port");
        return SONDE_ERR_INVALID;
    }
    status = sonde_listen_tcp("127.0.0.1", (uint16_t)port, &fd, error);
    if (status != SONDE_OK)
        return status;
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "listening on http://127.0.0.1:%u",
                     (unsigned)sonde_local_port(fd));
    out[(*out_len)++] = (http_listener){ .fd = fd };
    if (!line->values[OPT_LISTEN_SOCKET])
        return SONDE_OK;
    status = sonde_listen_unix(line->values[OPT_LISTEN_SOCKET], SOCKET_MODE, &fd, error);
    if (status == SONDE_OK)
        out[(*out_len)++] = (http_listener){ .fd = fd, .is_unix = true };
    return status;
}

static int serve(const command *self, recorder *r, const cli_line *line)
{
    const http_route route = {
        .path = "*", .handle = handle, .max_body_bytes = BODY_MAX_BYTES, .user = r
    };
    const http_server_options server = { .name = "record",
                                         .routes = &route,
                                         .routes_len = 1,
                                         .threads = 1,
                                         .body_budget_bytes = 2 * BODY_MAX_BYTES };
    http_listener listeners[2];
    size_t len = 0;
    http_server *s = NULL;
    sonde_error error = { 0 };
    sonde_status status = listen_all(line, listeners, &len, &error);

    if (status == SONDE_OK)
        status = http_server_open(&server, listeners, len, &s, &error);
    if (status != SONDE_OK)
        return cli_fail(self, "%s", error.message[0] ? error.message : sonde_status_str(status));
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN,
                     "recording whole payloads, perhaps with data of people: file=%s",
                     line->values[OPT_FILE]);
    while (signals_wait() == SIGHUP)
        ;
    signals_unblock();
    http_server_close(s, sonde_deadline(sonde_mono_ns(), STOP_NS));
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO,
                     "recorded: requests=%llu bytes=%llu not_kept=%llu refused_by_agent=%llu",
                     (unsigned long long)r->kept, (unsigned long long)r->bytes,
                     (unsigned long long)r->not_kept, (unsigned long long)r->refused);
    return r->not_kept ? EXIT_FAILED : EXIT_DONE;
}

static int record(const command *self, agent_config *c, const cli_line *line)
{
    recorder r = { .fd = -1, .began_mono_ns = sonde_mono_ns(), .max_bytes = MAX_SIZE };
    agent_client agent = { .http = NULL };
    sonde_error error = { 0 };
    int code;

    sonde_log_set_prefix("sonde record");
    sonde_log_set_level(SONDE_LOG_INFO);
    if (line->values[OPT_MAX_SIZE] &&
        sonde_parse_bytes(sonde_str_from(line->values[OPT_MAX_SIZE]), &r.max_bytes) != SONDE_OK)
        return cli_fail(self, "--max-size %s: expected a size, such as 64MiB",
                        line->values[OPT_MAX_SIZE]);
    if (!line->values[OPT_NO_AGENT] &&
        agent_client_open(&agent, c, line->values[OPT_SOCKET], &error) != SONDE_OK)
        return cli_fail(self, "%s: %s", agent.address, error.message);
    r.agent = agent.http;
    sonde_buf_init(&r.entry, RECORDING_ENTRY_MAX + 64);
    sonde_buf_init(&r.headers, 64u * 1024);
    signals_block();
    if (open_file(&r, line->values[OPT_FILE]) != SONDE_OK)
        code = cli_fail(self, "%s: %s", line->values[OPT_FILE], strerror(errno));
    else
        code = serve(self, &r, line);
    if (r.fd >= 0 && close(r.fd) != 0)
        code = cli_fail(self, "%s: %s", line->values[OPT_FILE], strerror(errno));
    sonde_buf_done(&r.headers);
    sonde_buf_done(&r.entry);
    agent_client_close(&agent);
    return code;
}

const command record_command = { .name = "record",
                                 .summary =
                                     "keep what tracers send in a file, on its way to the agent",
                                 .help = help,
                                 CLI_OPTIONS(options),
                                 .run = cli_run,
                                 .work = record };
