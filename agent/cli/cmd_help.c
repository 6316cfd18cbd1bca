/* cmd_help.c - `sonde help [COMMAND]`. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] = "Usage: sonde help [COMMAND]\n"
                           "\n"
                           "Lists the commands, or prints the help of one.\n";

static void list_commands(void)
{
    size_t i;

    (void)fputs("Usage: sonde COMMAND [OPTION]...\n"
                "\n"
                "Tracing and a telemetry agent for native programs, compatible with Datadog.\n"
                "\n",
                stdout);
    for (i = 0; i < commands_len; i++)
        (void)printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)fputs(
        "\n"
        "`sonde COMMAND --help` tells more.  To see traces of your programs on this machine:\n"
        "run `sonde agent` and open http://127.0.0.1:8127\n",
        stdout);
}

static int run(const command *self, int argc, char **argv)
{
    size_t i;

    (void)self;
    if (argc < 2) {
        list_commands();
        return EXIT_DONE;
    }
    for (i = 0; i < commands_len; i++)
        if (strcmp(argv[1], commands[i]->name) == 0) {
            (void)fputs(commands[i]->help, stdout);
            return EXIT_DONE;
        }
    (void)fprintf(stderr, "sonde help: there is no command \"%s\"; `sonde help` lists them\n",
                  argv[1]);
    return EXIT_USAGE;
}

const command help_command = {
    .name = "help", .summary = "list the commands, or explain one", .help = help, .run = run
};
