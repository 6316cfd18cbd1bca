/* check_config.c - the configuration in force, and what is wrong with it, on standard output. */
#include "check_config.h"

#include <stdio.h>

#include "agent/rules/rules.h"
#include "base/buf.h"

#include "cli.h"
#include "local_intake.h"

#define TEXT_MAX_BYTES (1024u * 1024)

static void print_sources(const agent_config *c, sonde_buf *out)
{
    sonde_buf_printf(out, "# file: %.*s\n",
                     SONDE_STR_ARG(c->file.len ? c->file : SONDE_STR("none")));
    for (size_t i = 0; i < c->overrides_len; i++)
        sonde_buf_printf(out, "# override: %.*s\n", SONDE_STR_ARG(c->overrides[i]));
}

/* replace_tags is compiled only when the agent starts. */
static unsigned print_rule_problem(agent_config *c, sonde_buf *out)
{
    sonde_error error = { 0 };
    trace_rules *rules = NULL;

    if (rules_open(c, 1, &rules, &error) != SONDE_OK) {
        sonde_buf_printf(out, "error: %s\n", error.message);
        return 1;
    }
    rules_close(rules);
    return 0;
}

/* Good values that make no agent. */
static unsigned print_problems(agent_config *c, sonde_buf *out)
{
    unsigned problems = print_rule_problem(c, out);

    if (c->endpoints.len == 0 && !(c->local_mode && local_intake_exists())) {
        sonde_buf_printf(
            out,
            "error: nowhere to send: no api_key, no additional_endpoints and no local intake\n");
        problems++;
    }
    if (c->receiver_enabled && c->receiver_port == 0 && c->receiver_socket.len == 0) {
        sonde_buf_printf(
            out, "error: nowhere to listen: receiver_port is 0 and there is no receiver_socket\n");
        problems++;
    }
    return problems;
}

static void print_remarks(const agent_config *c, sonde_buf *out)
{
    for (size_t i = 0; i < c->notes_len; i++)
        sonde_buf_printf(out, "note: %.*s\n", SONDE_STR_ARG(c->notes[i]));
    if (c->notes_dropped)
        sonde_buf_printf(out, "note: %zu more notes\n", c->notes_dropped);
    for (size_t i = 0; i < c->warnings_len; i++)
        sonde_buf_printf(out, "warning: %.*s\n", SONDE_STR_ARG(c->warnings[i]));
    if (c->warnings_dropped)
        sonde_buf_printf(out, "warning: %zu more warnings\n", c->warnings_dropped);
}

int check_config(agent_config *c)
{
    size_t warnings = c->warnings_len + c->warnings_dropped;
    unsigned problems;
    sonde_buf text;
    bool good;

    sonde_buf_init(&text, TEXT_MAX_BYTES);
    print_sources(c, &text);
    config_print_values(c, &text);
    print_remarks(c, &text);
    problems = print_problems(c, &text);
    sonde_buf_printf(&text, "configuration %s: warnings=%zu errors=%u\n",
                     warnings || problems ? "has problems" : "is good", warnings, problems);
    good = text.status == SONDE_OK && fwrite(text.data, 1, text.len, stdout) == text.len &&
           warnings == 0 && problems == 0;
    sonde_buf_done(&text);
    return good ? EXIT_DONE : EXIT_FAILED;
}
