/* cmd_run.c - `sonde run`: a program with Sonde in it, without a change of the program. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "program.h"

static const char help[] =
    "Usage: sonde run --profile [OPTION]... -- COMMAND [ARGUMENT]...\n"
    "\n"
    "Becomes COMMAND, with the profiler in it: its profiles go to the agent (DD_TRACE_AGENT_URL, "
    "DD_AGENT_HOST, else\n"
    "this machine's). Where nothing can be preloaded the program runs without, and a line says "
    "so.\n"
    "\n"
    "      --profile              continuous profiling\n"
    "  -S, --service NAME         name of the service: DD_SERVICE (the program's)\n"
    "  -E, --environment NAME     DD_ENV\n"
    "  -V, --service-version V    DD_VERSION\n"
    "\n"
    "  sonde run --profile -S shop -E prod -- ./server\n";

enum { OPT_PROFILE, OPT_SERVICE, OPT_ENVIRONMENT, OPT_VERSION, OPT_COMMAND };

static const cli_option options[] = {
    [OPT_PROFILE] = { 0, "profile", NULL, "1" },
    [OPT_SERVICE] = { 'S', "service", NULL, NULL },
    [OPT_ENVIRONMENT] = { 'E', "environment", NULL, NULL },
    [OPT_VERSION] = { 'V', "service-version", NULL, NULL },
    [OPT_COMMAND] = { 0, CLI_COMMAND, NULL, "COMMAND" },
};

/* The library in the program's environment; false: said why not, and the program runs as it is. */
static bool find_library(const command *self, const char *program, char library[PATH_MAX])
{
    const char *why = program_obstacle(program);

    if (why)
        (void)cli_fail(self, "%s runs without the profiler: %s", program, why);
    else if (!program_find_profiler(library))
        (void)cli_fail(self,
                       "%s runs without the profiler: " PROFILER_LIBRARY
                       " is neither beside this program nor in " SONDE_FULL_LIBDIR,
                       program);
    else
        return true;
    return false;
}

static sonde_status change_environment(environment *e, const cli_line *line, const char *library)
{
    static const char *const names[] = {
        [OPT_SERVICE] = "DD_SERVICE", [OPT_ENVIRONMENT] = "DD_ENV", [OPT_VERSION] = "DD_VERSION"
    };
    sonde_status status = environment_preload(e, library);

    for (size_t i = OPT_SERVICE; i <= OPT_VERSION && status == SONDE_OK; i++)
        if (line->values[i])
            status = environment_set(e, names[i], line->values[i]);
    return status == SONDE_OK ? environment_set(e, "DD_PROFILING_ENABLED", "true") : status;
}

/* Returns only when it failed, with the exit code shells give for that. */
static int become(const command *self, const cli_line *line)
{
    char program[PATH_MAX], library[PATH_MAX];
    environment e = { 0 };
    int error;

    if (!program_find(line->rest[0], program)) {
        error = errno;
        (void)cli_fail(self, "%s: %s", line->rest[0], strerror(error));
        return error == ENOENT ? 127 : 126;
    }
    if (environment_open(&e) != SONDE_OK || (find_library(self, program, library) &&
                                             change_environment(&e, line, library) != SONDE_OK)) {
        environment_done(&e);
        return cli_fail(self, "%s", sonde_status_str(SONDE_ERR_NOMEM));
    }
    (void)execvpe(program, line->rest, e.all);
    error = errno;
    environment_done(&e);
    (void)cli_fail(self, "%s: %s", program, strerror(error));
    return 126;
}

static int run(const command *self, int argc, char **argv)
{
    cli_line line;
    int code;

    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    code = EXIT_USAGE;
    if (!line.rest[0])
        (void)cli_fail(self, "there is no program: sonde run --profile -- COMMAND");
    else if (!line.values[OPT_PROFILE])
        (void)cli_fail(self, "with what? So far there is --profile");
    else
        code = become(self, &line);
    cli_line_done(&line);
    return code;
}

const command run_command = { .name = "run",
                              .summary = "run a program with the profiler in it",
                              .help = help,
                              CLI_OPTIONS(options),
                              .run = run };
