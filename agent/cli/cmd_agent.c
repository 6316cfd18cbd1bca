/* cmd_agent.c - `sonde agent`: receives, counts, samples and forwards; hosts the intake in local mode. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/main/agent_main.h"
#include "agent/main/signals.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#include "activation.h"
#include "check_config.h"
#include "cli.h"
#include "local_intake.h"
#include "log_outputs.h"

#define INTAKE_STOP_NS (UINT64_C(5) * SONDE_NS_PER_S)
#define TEXT_MAX_BYTES (1024u * 1024)

static const char help[] =
    "Usage: sonde agent [OPTION]...\n"
    "\n"
    "Receives traces from Datadog-compatible tracers, computes statistics on every\n"
    "span, samples, and forwards both to one or several intakes.\n"
    "\n"
    "Without an API key the agent runs in local mode: it hosts the intake and the web\n"
    "UI in the same process and forwards to it.  With DD_API_KEY it forwards to DD_SITE,\n"
    "or to the intake named by DD_APM_DD_URL; --local asks for both.\n"
    "\n"
    "  -c, --config FILE     read FILE (default /etc/sonde/datadog.yaml, if there)\n"
    "  -p, --port N          TCP port for traces (8126; 0 none, -1 any free one)\n"
    "      --bind HOST       address to listen on (localhost)\n"
    "      --socket PATH     Unix socket for traces (/var/run/datadog/apm.socket;\n"
    "                        \"\" none)\n"
    "      --intake-url URL  forward there instead of to the site\n"
    "      --local           host the intake here, API key or not\n"
    "      --no-local        never host it\n"
    "      --local-port N    port of the intake and the UI (8127; 0 any free one)\n"
    "      --data-dir DIR    where the intake keeps its store\n"
    "      --log-level LEVEL error, warn, info, debug or trace\n"
    "      --show-config     print every setting and where it comes from, then exit\n"
    "      --check-config    the same, and whether anything is wrong; exit status 1 if so\n"
    "      --help-config     print what every setting means, then exit\n"
    "  -h, --help            print this text, then exit\n"
    "\n"
    "Options win over environment variables, which win over the files conf.d/*.yaml\n"
    "beside FILE, which win over FILE.  SIGTERM and Ctrl-C stop the agent after it has\n"
    "sent what it holds; after SIGHUP it reads its configuration again.\n"
    "\n"
    "  sonde agent\n"
    "  DD_API_KEY=... DD_SITE=datadoghq.eu sonde agent\n";

enum { OPT_CONFIG, OPT_SHOW = 10, OPT_CHECK, OPT_HELP_CONFIG };

static const cli_option options[] = {
    { 'c', "config", NULL, NULL },
    { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    { 0, "bind", "DD_BIND_HOST", NULL },
    { 0, "socket", "DD_APM_RECEIVER_SOCKET", NULL },
    { 0, "intake-url", "DD_APM_DD_URL", NULL },
    { 0, "local", "SONDE_LOCAL", "true" },
    { 0, "no-local", "SONDE_LOCAL", "false" },
    { 0, "local-port", "SONDE_LOCAL_PORT", NULL },
    { 0, "data-dir", "SONDE_DATA_DIR", NULL },
    { 0, "log-level", "DD_LOG_LEVEL", NULL },
    [OPT_SHOW] = { 0, "show-config", NULL, "1" },
    [OPT_CHECK] = { 0, "check-config", NULL, "1" },
    [OPT_HELP_CONFIG] = { 0, "help-config", NULL, "1" },
};

static int print_text(void (*print)(const agent_config *c, sonde_buf *out), const agent_config *c)
{
    sonde_buf text;
    bool ok;

    sonde_buf_init(&text, TEXT_MAX_BYTES);
    print(c, &text);
    ok = text.status == SONDE_OK && fwrite(text.data, 1, text.len, stdout) == text.len;
    sonde_buf_done(&text);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static void print_help(const agent_config *c, sonde_buf *out)
{
    (void)c;
    config_print_help(out);
}

static int start_failed(const command *self, const agent_config *c, const sonde_error *error)
{
    (void)cli_fail(self, "%s",
                   error->message[0] ? error->message : sonde_status_str(error->status));
    if (c->local_mode && !local_intake_exists())
        (void)fprintf(
            stderr,
            "Set DD_API_KEY to forward to an intake, or build with SONDE_BUILD_DASHBOARDS=ON.\n");
    return EXIT_FAILED;
}

static sonde_status start(agent_config *c, const notify *supervisor, local_intake **out_intake,
                          agent_main **out_agent, sonde_error *error)
{
    sonde_status status = SONDE_OK;

    if (c->local_mode) {
        status = local_intake_open(c, NULL, out_intake, error);
        if (status != SONDE_OK)
            return status;
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "intake and UI: listening on %s data=%.*s",
                         local_intake_url(*out_intake), SONDE_STR_ARG(c->data_dir));
    }
    return agent_main_open(
        &(agent_main_options){ c, *out_intake ? local_intake_url(*out_intake) : NULL, supervisor },
        out_agent, error);
}

/* Payloads are taken by one thread and freed by another.  glibc's arena per thread and its growing
 * mmap threshold would keep several times what is in use; two arenas and a fixed threshold do not, at
 * no measurable cost (bench_agent_load). */
static void tame_malloc(void)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

static void open_supervisor(notify *out)
{
    notify_open(out, sonde_str_from(getenv("NOTIFY_SOCKET")),
                sonde_str_from(getenv("WATCHDOG_USEC")), sonde_str_from(getenv("WATCHDOG_PID")));
}

/* Whatever cannot be read leaves the agent as it runs. */
static void reload(agent_main *agent, const notify *supervisor, const cli_line *line)
{
    agent_config *c;

    notify_send(supervisor, "RELOADING=1\nMONOTONIC_USEC=%llu",
                (unsigned long long)(sonde_mono_ns() / SONDE_NS_PER_US));
    c = cli_config_again(line->values[OPT_CONFIG], line);
    if (!c) {
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "reload failed, going on as before");
    } else {
        log_outputs_use(c);
        agent_main_reload(agent, c);
        config_put(c);
    }
    notify_send(supervisor, "READY=1");
}

static int serve(const command *self, agent_config *c, const cli_line *line)
{
    sonde_error error = { 0 };
    local_intake *in = NULL;
    agent_main *agent = NULL;
    notify supervisor;
    int code = EXIT_DONE;

    if (!c->apm_enabled && !c->errors_only) {
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "nothing to do: apm_config.enabled is false");
        return EXIT_DONE;
    }
    tame_malloc();
    signals_block();
    log_outputs_use(c);
    open_supervisor(&supervisor);
    if (start(c, &supervisor, &in, &agent, &error) == SONDE_OK) {
        notify_send(&supervisor, "READY=1\nSTATUS=%s",
                    c->local_mode ? "hosting the intake" : "forwarding");
        while (signals_wait() == SIGHUP)
            reload(agent, &supervisor, line);
        notify_send(&supervisor, "STOPPING=1\nSTATUS=sending what is left");
        signals_unblock(); /* a second Ctrl-C does not wait */
        agent_main_stop(agent);
    } else {
        code = start_failed(self, c, &error);
    }
    agent_main_close(agent);
    local_intake_close(in, sonde_deadline(sonde_mono_ns(), INTAKE_STOP_NS));
    notify_close(&supervisor);
    return code;
}

/* The sockets systemd opened, as if DD_APM_*_RECEIVER_FD named them. */
static void take_sockets(cli_line *line)
{
    activation a;

    activation_find(&a, sonde_str_from(getenv("LISTEN_FDS")), sonde_str_from(getenv("LISTEN_PID")));
    if (a.tcp >= 0)
        cli_add_variable(line, "DD_APM_NET_RECEIVER_FD", a.tcp);
    if (a.unix_stream >= 0)
        cli_add_variable(line, "DD_APM_UNIX_RECEIVER_FD", a.unix_stream);
}

static int run(const command *self, int argc, char **argv)
{
    agent_config *c;
    cli_line line;
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    sonde_log_set_prefix("sonde agent");
    if (line.values[OPT_HELP_CONFIG]) {
        cli_line_done(&line);
        return print_text(print_help, NULL);
    }
    take_sockets(&line);
    c = cli_config(line.values[OPT_CONFIG], &line);
    if (!c)
        code = EXIT_FAILED;
    else if (!cli_values_are_good(self, c, &line))
        code = EXIT_USAGE;
    else if (line.values[OPT_SHOW])
        code = print_text(config_print_values, c);
    else if (line.values[OPT_CHECK])
        code = check_config(c);
    else
        code = serve(self, c, &line);
    config_put(c);
    cli_line_done(&line);
    return code;
}

const command agent_command = { .name = "agent",
                                .summary = "receive, count, sample and forward traces",
                                .help = help,
                                CLI_OPTIONS(options),
                                .run = run };
