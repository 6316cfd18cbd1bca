/* cmd_status.c - `sonde status`: asks the running agent how it is. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/http_plain.h"
#include "net/url.h"

#include "cli.h"
#include "status_text.h"

#define TIMEOUT_NS     (UINT64_C(5) * SONDE_NS_PER_S)
#define BODY_MAX_BYTES (4u * 1024 * 1024)
#define STATUS_PATH    "/sonde/v1/status"

static const char help[] =
    "Usage: sonde status [OPTION]...\n"
    "\n"
    "Asks the agent on this machine what it received, dropped and forwarded.  Exits with\n"
    "0 when it answered and 1 when nothing did.\n"
    "\n"
    "  -c, --config FILE     read FILE (default /etc/sonde/datadog.yaml, if there)\n"
    "  -p, --port N          TCP port of the agent (8126)\n"
    "      --socket PATH     ask over this Unix socket instead\n"
    "      --json            print the answer as it came\n"
    "  -h, --help            print this text, then exit\n";

enum { OPT_CONFIG, OPT_PORT, OPT_SOCKET, OPT_JSON };

static const cli_option options[] = {
    [OPT_CONFIG] = { 'c', "config", NULL, NULL },
    [OPT_PORT] = { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    [OPT_SOCKET] = { 0, "socket", NULL, NULL },
    [OPT_JSON] = { 0, "json", NULL, "1" },
};

/* Where the agent of this configuration listens. */
static void agent_address(const agent_config *c, const char *socket, char *out, size_t cap)
{
    const char *host = c->non_local_traffic ? "127.0.0.1" : c->receiver_host.ptr;

    if (socket)
        (void)snprintf(out, cap, "unix://%s", socket);
    else if (c->receiver_port > 0)
        (void)snprintf(out, cap, "http://%s:%d", host, (int)c->receiver_port);
    else
        (void)snprintf(out, cap, "unix://%.*s", SONDE_STR_ARG(c->receiver_socket));
}

static int not_there(const command *self, const char *address, sonde_status status)
{
    (void)cli_fail(self, "no agent answers at %s: %s", address, sonde_status_str(status));
    (void)fprintf(stderr,
                  "Start one with `sonde agent`, or name its address with --port or --socket.\n");
    return EXIT_FAILED;
}

static int show(const command *self, const char *address, const sonde_http_plain_answer *answer,
                bool json)
{
    sonde_buf text;
    int code = EXIT_FAILED;

    if (answer->status != 200)
        return cli_fail(self, "%s answers, but not as a Sonde agent: GET %s gave status %d",
                        address, STATUS_PATH, answer->status);
    if (json)
        return fwrite(answer->body.ptr, 1, answer->body.len, stdout) == answer->body.len
                   ? EXIT_DONE
                   : EXIT_FAILED;
    sonde_buf_init(&text, BODY_MAX_BYTES);
    if (status_text_write(answer->body, &text) != SONDE_OK)
        (void)cli_fail(self, "the answer of %s cannot be read; try --json", address);
    else if (fwrite(text.data, 1, text.len, stdout) == text.len)
        code = EXIT_DONE;
    sonde_buf_done(&text);
    return code;
}

static int ask(const command *self, const char *address, bool json)
{
    const sonde_http_plain_request request = { .method = "GET",
                                               .path = STATUS_PATH,
                                               .deadline_mono_ns = sonde_mono_ns() + TIMEOUT_NS };
    sonde_http_plain_answer answer;
    sonde_http_plain *client = NULL;
    sonde_error error = { 0 };
    sonde_status status;
    sonde_url url;
    int code;

    if (sonde_url_parse(sonde_str_from(address), &url, &error) != SONDE_OK)
        return cli_fail(self, "%s: %s", address, error.message);
    status = sonde_http_plain_open(&url, BODY_MAX_BYTES, &client);
    if (status == SONDE_OK)
        status = sonde_http_plain_send(client, &request, &answer);
    code =
        status == SONDE_OK ? show(self, address, &answer, json) : not_there(self, address, status);
    sonde_http_plain_close(client);
    return code;
}

static int run(const command *self, int argc, char **argv)
{
    char address[1100];
    agent_config *c;
    cli_line line;
    int code;

    if (!cli_parse(self, options, sizeof(options) / sizeof(options[0]), argc, argv, &line, &code))
        return code;
    sonde_log_set_level(
        SONDE_LOG_ERROR); /* warnings about the configuration are the agent's business */
    c = cli_config(line.values[OPT_CONFIG], &line);
    if (c) {
        agent_address(c, line.values[OPT_SOCKET], address, sizeof(address));
        code = ask(self, address, line.values[OPT_JSON] != NULL);
    } else {
        code = EXIT_FAILED;
    }
    config_put(c);
    cli_line_done(&line);
    return code;
}

const command status_command = { "status", "what the running agent received and forwarded", help,
                                 run };
