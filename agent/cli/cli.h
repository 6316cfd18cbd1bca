/* agent/cli/cli.h - what the subcommands of `sonde` share.
 *
 * Exit codes: 0 done, 1 it did not work, 2 the command line was wrong.
 */
#ifndef SONDE_AGENT_CLI_CLI_H
#define SONDE_AGENT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config.h"
#include "sonde/status.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* An option of a subcommand.  With `variable`, its value goes into the configuration the way that
 * environment variable would, but before it.  One whose name is "", the last, is the word that is no
 * option and has to be there, called `fixed`: `sonde replay FILE`.  One called CLI_COMMAND, the last, takes all words
 * from the first on that is no option, options of theirs included: `sonde run -- COMMAND -x`. */
#define CLI_COMMAND "--"

typedef struct cli_option {
    char letter;          /* 0: long form only */
    const char *name;     /* "port" */
    const char *variable; /* "DD_APM_RECEIVER_PORT"; NULL: the command reads it itself */
    const char *fixed;    /* value of an option without argument; NULL: takes one */
} cli_option;

#define CLI_OPTIONS_MAX 16

typedef struct cli_line {
    const char *values[CLI_OPTIONS_MAX];  /* by index of the option; NULL: not given */
    char *variables[CLI_OPTIONS_MAX + 2]; /* owned: "NAME=value" of those given */
    size_t variables_len;
    char **rest; /* of CLI_COMMAND: the words, NULL at the end; views of argv */
} cli_line;

typedef struct command {
    const char *name;
    const char *summary;       /* one line, for `sonde help` */
    const char *help;          /* the whole text of `sonde NAME --help` */
    const cli_option *options; /* CLI_OPTIONS(table) */
    size_t options_len;
    int (*run)(const struct command *self, int argc, char **argv); /* argv[0] is the name */
    int (*work)(const struct command *self, agent_config *c, const cli_line *line); /* cli_run() */
} command;

#define CLI_OPTIONS(table) .options = (table), .options_len = sizeof(table) / sizeof((table)[0])

extern const command agent_command;
extern const command intake_command;
extern const command run_command;
extern const command status_command;
extern const command doctor_command;
extern const command profile_command;
extern const command profile_diff_command; /* `sonde profile diff`: of profile_command */
extern const command top_command;
extern const command record_command;
extern const command replay_command;
extern const command flare_command;
extern const command completion_command;
extern const command version_command;
extern const command help_command;

extern const command *const commands[];
extern const size_t commands_len;

/* Reads the command line; --help and -h are understood everywhere.  True: go on; false: *out_exit. */
bool cli_parse(const command *self, int argc, char **argv, cli_line *out_line, int *out_exit);
void cli_line_done(cli_line *line);

/* The `run` of commands that look at an agent: reads the command line and the configuration the agent has (that of
 * --config), then works. */
int cli_run(const command *self, int argc, char **argv);

/* One more variable; left out when there is no room or memory. */
void cli_add_variable(cli_line *line, const char *name, int value);

/* The configuration from file, environment and command line, warnings logged, log set up.  NULL: said
 * why on standard error. */
agent_config *cli_config(const char *file, const cli_line *line);

/* The same for a program that serves already: what is wrong goes to its log. */
agent_config *cli_config_again(const char *file, const cli_line *line);

/* Whether standard output is a terminal that shows colours, and nobody set NO_COLOR. */
bool cli_in_colour(void);

/* False, and said why: an option's value is not of the kind its setting takes. */
bool cli_values_are_good(const command *self, const agent_config *c, const cli_line *line);

/* "sonde NAME: message" on standard error; returns EXIT_FAILED. */
int cli_fail(const command *self, const char *fmt, ...) SONDE_PRINTF(2, 3);

#endif /* SONDE_AGENT_CLI_CLI_H */
