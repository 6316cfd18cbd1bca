/* cmd_status.c - `sonde status`: asks the running agent how it is. */
#include <stdio.h>
#include <string.h>

#include "agent_client.h"
#include "base/buf.h"
#include "cli.h"
#include "status_text.h"

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
                        address, AGENT_STATUS_PATH, answer->status);
    if (json)
        return fwrite(answer->body.ptr, 1, answer->body.len, stdout) == answer->body.len
                   ? EXIT_DONE
                   : EXIT_FAILED;
    sonde_buf_init(&text, AGENT_ANSWER_MAX_BYTES);
    if (status_text_write(answer->body, &text) != SONDE_OK)
        (void)cli_fail(self, "the answer of %s cannot be read; try --json", address);
    else if (fwrite(text.data, 1, text.len, stdout) == text.len)
        code = EXIT_DONE;
    sonde_buf_done(&text);
    return code;
}

static int ask(const command *self, agent_config *c, const cli_line *line)
{
    sonde_http_plain_answer answer;
    sonde_error error = { 0 };
    sonde_status status;
    agent_client agent;
    int code;

    status = agent_client_open(&agent, c, line->values[OPT_SOCKET], &error);
    if (status != SONDE_OK)
        return cli_fail(self, "%s: %s", agent.address,
                        error.message[0] ? error.message : sonde_status_str(status));
    status = agent_client_get(&agent, AGENT_STATUS_PATH, &answer);
    code = status == SONDE_OK ? show(self, agent.address, &answer, line->values[OPT_JSON] != NULL)
                              : not_there(self, agent.address, status);
    agent_client_close(&agent);
    return code;
}

const command status_command = { .name = "status",
                                 .summary = "what the running agent received and forwarded",
                                 .help = help,
                                 CLI_OPTIONS(options),
                                 .run = cli_run,
                                 .work = ask };
