/* main.c - the program `sonde`: a table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

const command *const commands[] = {
    &agent_command,      &intake_command,  &status_command, &doctor_command, &run_command,
    &profile_command,    &top_command,     &record_command, &replay_command, &flare_command,
    &completion_command, &version_command, &help_command,
};
const size_t commands_len = sizeof(commands) / sizeof(commands[0]);

/* Habits of other programs. */
static const char *alias(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return "version";
    return name;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? alias(argv[1]) : "help";
    size_t i;

    for (i = 0; i < commands_len; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i]->run(commands[i], argc > 1 ? argc - 1 : argc,
                                    argc > 1 ? argv + 1 : argv);
    (void)fprintf(stderr, "sonde: there is no command \"%s\"; `sonde help` lists them\n", name);
    return EXIT_USAGE;
}
