/* cmd_version.c - `sonde version`. */
#include <stdio.h>

#include "cli.h"
#include "local_intake.h"

static const char help[] = "Usage: sonde version\n"
                           "\n"
                           "Prints the version and which parts this build has.\n";

static int run(const command *self, int argc, char **argv)
{
    cli_line line;
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    (void)printf("sonde %s (agent%s)\n", SONDE_VERSION,
                 local_intake_exists() ? ", intake" : "; no intake in this build");
    return EXIT_DONE;
}

const command version_command = {
    .name = "version", .summary = "print the version", .help = help, .run = run
};
