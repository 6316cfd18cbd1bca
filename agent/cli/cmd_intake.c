/* cmd_intake.c - `sonde intake`: the Datadog-compatible intake with store, query API and web UI. */
#include <signal.h>
#include <stdio.h>

#include "agent/main/signals.h"
#include "base/clock.h"
#include "base/log.h"

#include "cli.h"
#include "local_intake.h"

#define STOP_NS (UINT64_C(5) * SONDE_NS_PER_S)

static const char help[] =
    "Usage: sonde intake [OPTION]...\n"
    "\n"
    "Accepts what Datadog agents send, keeps it, and shows it in a browser.  `sonde\n"
    "agent` without an API key runs the same intake in its own process; this command\n"
    "runs it alone, for several agents.\n"
    "\n"
    "  -c, --config FILE     read FILE (default /etc/sonde/datadog.yaml, if there)\n"
    "  -p, --port N          port of intake and UI (8127; 0 any free one)\n"
    "      --bind HOST       address to listen on (127.0.0.1)\n"
    "      --data-dir DIR    where the store is kept (/var/lib/sonde for root, else\n"
    "                        ~/.local/state/sonde)\n"
    "      --max-size SIZE   oldest traces leave above this size (2GiB)\n"
    "      --retention TIME  oldest traces leave at this age (3d)\n"
    "      --api-keys LIST   accept these keys only, comma-separated (any)\n"
    "      --log-level LEVEL error, warn, info, debug or trace\n"
    "  -h, --help            print this text, then exit\n"
    "\n"
    "Point an agent at it with DD_APM_DD_URL=http://HOST:8127 and any DD_API_KEY.\n";

enum { OPT_CONFIG, OPT_KEYS };

static const cli_option options[] = {
    [OPT_CONFIG] = { 'c', "config", NULL, NULL },
    [OPT_KEYS] = { 0, "api-keys", NULL, NULL },
    { 'p', "port", "SONDE_LOCAL_PORT", NULL },
    { 0, "bind", "SONDE_LOCAL_HOST", NULL },
    { 0, "data-dir", "SONDE_DATA_DIR", NULL },
    { 0, "max-size", "SONDE_LOCAL_STORE_MAX_SIZE", NULL },
    { 0, "retention", "SONDE_LOCAL_RETENTION", NULL },
    { 0, "log-level", "DD_LOG_LEVEL", NULL },
};

static int serve(const command *self, const agent_config *c, const char *keys)
{
    sonde_error error = { 0 };
    local_intake *in = NULL;

    signals_block();
    if (local_intake_open(c, keys, &in, &error) != SONDE_OK)
        return cli_fail(self, "%s",
                        error.message[0] ? error.message : sonde_status_str(error.status));
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "intake and UI: listening on %s data=%.*s",
                     local_intake_url(in), SONDE_STR_ARG(c->data_dir));
    while (signals_wait() == SIGHUP)
        ; /* nothing to read again */
    signals_unblock();
    local_intake_close(in, sonde_deadline(sonde_mono_ns(), STOP_NS));
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "intake stopped");
    return EXIT_DONE;
}

static int run(const command *self, int argc, char **argv)
{
    agent_config *c;
    cli_line line;
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    sonde_log_set_prefix("sonde intake");
    c = cli_config(line.values[OPT_CONFIG], &line);
    if (c && !cli_values_are_good(self, c, &line))
        code = EXIT_USAGE;
    else
        code = c ? serve(self, c, line.values[OPT_KEYS]) : EXIT_FAILED;
    config_put(c);
    cli_line_done(&line);
    return code;
}

const command intake_command = { .name = "intake",
                                 .summary = "accept, keep and show what agents send",
                                 .help = help,
                                 CLI_OPTIONS(options),
                                 .run = run };
