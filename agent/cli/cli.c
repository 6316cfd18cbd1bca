/* cli.c - command lines and the configuration behind them. */
#include "cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

#define LONG_BASE 256 /* getopt values of options without a letter */

int cli_fail(const command *self, const char *fmt, ...)
{
    va_list args;

    (void)fprintf(stderr, "sonde %s: ", self->name);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return EXIT_FAILED;
}

static int usage(const command *self)
{
    (void)fprintf(stderr, "Try `sonde %s --help`.\n", self->name);
    return EXIT_USAGE;
}

/* Whether the last one of a table stands for words that are no options. */
static bool ends_in(const cli_option *options, size_t len, const char *name)
{
    return len > 0 && strcmp(options[len - 1].name, name) == 0;
}

/* getopt's two tables from ours; -h/--help last. */
static void getopt_tables(const cli_option *options, size_t len, struct option *longs,
                          char *letters)
{
    size_t i;

    if (ends_in(options, len, CLI_COMMAND))
        *letters++ = '+'; /* options after the first other word are that program's */
    for (i = 0; i < len; i++) {
        longs[i] =
            (struct option){ options[i].name, options[i].fixed ? no_argument : required_argument,
                             NULL, LONG_BASE + (int)i };
        if (!options[i].letter)
            continue;
        *letters++ = options[i].letter;
        if (!options[i].fixed)
            *letters++ = ':';
    }
    if (ends_in(options, len, "") || ends_in(options, len, CLI_COMMAND))
        len--;
    longs[len] = (struct option){ "help", no_argument, NULL, 'h' };
    longs[len + 1] = (struct option){ NULL, 0, NULL, 0 };
    *letters++ = 'h';
    *letters = '\0';
}

static size_t index_of(const cli_option *options, size_t len, int got)
{
    size_t i;

    if (got >= LONG_BASE)
        return (size_t)(got - LONG_BASE);
    for (i = 0; i < len && options[i].letter != got; i++)
        ;
    return i;
}

static bool keep_value(const cli_option *option, size_t index, const char *value, cli_line *line)
{
    size_t bytes;
    char *text;

    line->values[index] = value;
    if (!option->variable || line->variables_len == CLI_OPTIONS_MAX)
        return true;
    bytes = strlen(option->variable) + strlen(value) + 2;
    text = sonde_malloc(bytes);
    if (!text)
        return false;
    (void)snprintf(text, bytes, "%s=%s", option->variable, value);
    line->variables[line->variables_len++] = text;
    return true;
}

/* The word that is no option, where the command has one. */
static bool take_operand(const command *self, int argc, char **argv, cli_line *out_line)
{
    size_t last = self->options_len - 1;

    out_line->rest = argv + optind;
    if (ends_in(self->options, self->options_len, CLI_COMMAND))
        return true;
    if (ends_in(self->options, self->options_len, "")) {
        if (optind == argc) {
            (void)cli_fail(self, "%s is missing", self->options[last].fixed);
            return false;
        }
        out_line->values[last] = argv[optind++];
    }
    if (optind == argc)
        return true;
    (void)cli_fail(self, "\"%s\" was not expected", argv[optind]);
    return false;
}

bool cli_parse(const command *self, int argc, char **argv, cli_line *out_line, int *out_exit)
{
    const cli_option *options = self->options;
    size_t options_len = self->options_len;
    struct option longs[CLI_OPTIONS_MAX + 2];
    char letters[2 * CLI_OPTIONS_MAX + 4];
    int got;

    memset(out_line, 0, sizeof(*out_line));
    getopt_tables(options, options_len, longs, letters);
    opterr = 0; /* what is wrong is said here, under the name of the subcommand */
    while ((got = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        size_t i = index_of(options, options_len, got);

        if (got == 'h') {
            (void)fputs(self->help, stdout);
            cli_line_done(out_line);
            *out_exit = EXIT_DONE;
            return false;
        }
        if (got == '?' || i >= options_len) {
            (void)cli_fail(self, "%s: no such option, or its value is missing", argv[optind - 1]);
            cli_line_done(out_line);
            *out_exit = usage(self);
            return false;
        }
        if (!keep_value(&options[i], i, options[i].fixed ? options[i].fixed : optarg, out_line)) {
            cli_line_done(out_line);
            *out_exit = cli_fail(self, "%s", sonde_status_str(SONDE_ERR_NOMEM));
            return false;
        }
    }
    if (take_operand(self, argc, argv, out_line))
        return true;
    cli_line_done(out_line);
    *out_exit = usage(self);
    return false;
}

void cli_add_variable(cli_line *line, const char *name, int value)
{
    size_t bytes = strlen(name) + 16;
    char *text = sonde_malloc(bytes);

    if (!text || line->variables_len == sizeof(line->variables) / sizeof(line->variables[0])) {
        sonde_free(text);
        return;
    }
    (void)snprintf(text, bytes, "%s=%d", name, value);
    line->variables[line->variables_len++] = text;
}

void cli_line_done(cli_line *line)
{
    size_t i;

    for (i = 0; i < line->variables_len; i++)
        sonde_free(line->variables[i]);
    line->variables_len = 0;
}

/* The line's variables before the process's, since the first one of a name counts. */
static char **join_environment(const cli_line *line)
{
    size_t len = 0, i;
    char **all;

    while (environ && environ[len])
        len++;
    all = sonde_calloc(line->variables_len + len + 1, sizeof(*all));
    if (!all)
        return NULL;
    for (i = 0; i < line->variables_len; i++)
        all[i] = line->variables[line->variables_len - 1 - i]; /* the last one given wins */
    if (len)
        memcpy(all + line->variables_len, environ, len * sizeof(*all));
    return all;
}

static void log_warnings(const agent_config *c)
{
    size_t i;

    if (c->file.len)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "configuration: file=%.*s", SONDE_STR_ARG(c->file));
    for (i = 0; i < c->overrides_len; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "configuration: override=%.*s",
                         SONDE_STR_ARG(c->overrides[i]));
    for (i = 0; i < c->warnings_len; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "configuration: %.*s", SONDE_STR_ARG(c->warnings[i]));
    if (c->warnings_dropped)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "configuration: %zu more warnings", c->warnings_dropped);
    for (i = 0; i < c->notes_len; i++)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "configuration: %.*s", SONDE_STR_ARG(c->notes[i]));
}

static agent_config *read_config(const char *file, const cli_line *line, sonde_error *out_error)
{
    agent_config *c = NULL;
    char **environment = join_environment(line);
    sonde_status status = SONDE_ERR_NOMEM;

    if (environment)
        status = config_load(&(config_options){ .file = file, .environment = environment }, &c,
                             out_error);
    sonde_free(environment);
    if (status != SONDE_OK && !out_error->message[0])
        (void)sonde_fail(out_error, status, "%s", sonde_status_str(status));
    return status == SONDE_OK ? c : NULL;
}

static agent_config *load(const char *file, const cli_line *line)
{
    sonde_error error = { 0 };
    agent_config *c = read_config(file, line, &error);

    if (!c)
        (void)fprintf(stderr, "sonde: configuration: %s\n", error.message);
    return c;
}

/* What it says of the log holds from here on. */
static void use_log(const agent_config *c)
{
    sonde_log_set_level((sonde_log_level)c->log_level);
    sonde_log_set_json(c->log_format_json);
    log_warnings(c);
}

agent_config *cli_config(const char *file, const cli_line *line)
{
    agent_config *c = load(file, line);

    if (c)
        use_log(c);
    return c;
}

agent_config *cli_config_again(const char *file, const cli_line *line)
{
    sonde_error error = { 0 };
    agent_config *c = read_config(file, line, &error);

    if (c)
        use_log(c);
    else
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "configuration: %s", error.message);
    return c;
}

/* For commands that look at an agent: what its configuration is to be warned about is not theirs to say. */
static agent_config *config_quiet(const char *file, const cli_line *line)
{
    sonde_log_set_level(SONDE_LOG_ERROR);
    return load(file, line);
}

/* What is wrong with the variable's value, from the warning about it; empty: nothing. */
static sonde_str refusal_of(const agent_config *c, const char *variable)
{
    sonde_str name = sonde_str_from(variable);

    for (size_t i = 0; i < c->warnings_len; i++) {
        sonde_str text = c->warnings[i], why;
        size_t at;

        if (!sonde_str_starts(text, name) || !sonde_str_find(text, SONDE_STR(", staying"), &at) ||
            text.ptr[name.len] != ':')
            continue;
        why = sonde_str_sub(text, 0, at);
        while (sonde_str_find(why, SONDE_STR(": "), &at))
            why = sonde_str_sub(why, at + 2, why.len);
        return why;
    }
    return (sonde_str){ NULL, 0 };
}

bool cli_values_are_good(const command *self, const agent_config *c, const cli_line *line)
{
    for (size_t i = 0; i < self->options_len; i++) {
        const cli_option *o = &self->options[i];
        sonde_str why = { NULL, 0 };

        if (line->values[i] && o->variable)
            why = refusal_of(c, o->variable);
        if (why.len) {
            (void)cli_fail(self, "--%s %s: %.*s", o->name, line->values[i], SONDE_STR_ARG(why));
            return false;
        }
    }
    return true;
}

bool cli_in_colour(void)
{
    sonde_str term = sonde_str_from(getenv("TERM"));

    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term.len &&
           !sonde_str_eq(term, SONDE_STR("dumb"));
}

static const char *config_file(const command *self, const cli_line *line)
{
    for (size_t i = 0; i < self->options_len; i++)
        if (strcmp(self->options[i].name, "config") == 0)
            return line->values[i];
    return NULL;
}

int cli_run(const command *self, int argc, char **argv)
{
    agent_config *c;
    cli_line line;
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    c = config_quiet(config_file(self, &line), &line);
    if (c && !cli_values_are_good(self, c, &line))
        code = EXIT_USAGE;
    else
        code = c ? self->work(self, c, &line) : EXIT_FAILED;
    config_put(c);
    cli_line_done(&line);
    return code;
}
