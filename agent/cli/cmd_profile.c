/* cmd_profile.c - `sonde profile`: where a program spends its time, without an agent. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli.h"
#include "profile_output.h"
#include "profiled.h"

#define BATCH_MS     500
#define TICK_NS      SONDE_NS_PER_S
#define ROWS         10
#define DURATION_MAX (UINT64_C(7) * 86400)

static const char help[] =
    "Usage: sonde profile [OPTION]... -- COMMAND [ARGUMENT]...\n"
    "       sonde profile [OPTION]... --pid PID\n"
    "       sonde profile diff [OPTION]... BEFORE AFTER\n"
    "\n"
    "Runs COMMAND and tells where it spent its time, which memory it took and where it waited: no "
    "agent, no rights,\n"
    "no change of the program. Ends with the program; what was seen up to then is written also "
    "after Ctrl-C.\n"
    "\n"
    "  -p, --pid PID        of a process that runs: the profiler is put into it and works until "
    "Ctrl-C "
    "or --duration;\n"
    "                       the process runs on\n"
    "      --trust-seccomp  also of one that filters its system calls: its filter allows what the "
    "profiler needs\n"
    "  -d, --duration S     ask the program to end after so many seconds (SIGTERM); with --pid: so "
    "long\n"
    "  -e, --events LIST    of cpu, wall, heap, lock, io, exception (cpu,wall,heap,lock)\n"
    "  -o, --output FILE    write the profile there, not a table of functions to standard output; "
    "by its ending:\n"
    "                         .html                  a flame graph to look at in a browser\n"
    "                         .pb.gz                 for pprof, and all that read its files\n"
    "                         .folded, .txt          a line for each stack, for flamegraph.pl and "
    "others\n"
    "                         .json                  for speedscope\n"
    "                       \"folded\" and \"speedscope\" mean: to standard output\n"
    "  -f, --format NAME    html, pprof, folded or speedscope, whatever the file is called\n"
    "  -t, --type TYPE      only this of cpu-time, cpu-samples, wall-time, alloc-space, "
    "inuse-space, ... (files for\n"
    "                       pprof have all); a wrong one says which there are\n"
    "  -F, --frequency N    CPU samples for a second of CPU time (99)\n"
    "      --no-inlines     do not look for inlined functions: faster with large programs\n"
    "\n"
    "The exit status is the program's, 128 + N when signal N ended it; with --pid 0 when the "
    "profile "
    "was written.\n"
    "\n"
    "`sonde profile diff --help` tells about comparing two profiles.\n"
    "\n"
    "  sonde profile -o flame.html -- ./server\n";

enum {
    OPT_PID,
    OPT_DURATION,
    OPT_EVENTS,
    OPT_OUTPUT,
    OPT_FORMAT,
    OPT_TYPE,
    OPT_FREQUENCY,
    OPT_NO_INLINES,
    OPT_TRUST_SECCOMP,
    OPT_COMMAND
};

static const cli_option options[] = {
    [OPT_PID] = { 'p', "pid", NULL, NULL },
    [OPT_DURATION] = { 'd', "duration", NULL, NULL },
    [OPT_EVENTS] = { 'e', "events", NULL, NULL },
    [OPT_OUTPUT] = { 'o', "output", NULL, NULL },
    [OPT_FORMAT] = { 'f', "format", NULL, NULL },
    [OPT_TYPE] = { 't', "type", NULL, NULL },
    [OPT_FREQUENCY] = { 'F', "frequency", NULL, NULL },
    [OPT_NO_INLINES] = { 0, "no-inlines", NULL, "1" },
    [OPT_TRUST_SECCOMP] = { 0, "trust-seccomp", NULL, "1" },
    [OPT_COMMAND] = { 0, CLI_COMMAND, NULL, "COMMAND" },
};

typedef struct request {
    const command *self;
    const cli_line *line;
    output_format format;
    uint64_t duration_ns; /* UINT64_MAX: until the program ends */
} request;

/* ---- while it runs ---- */

/* A line that is written over; nothing while the program writes to the same terminal. */
static bool shows_progress(void)
{
    return isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
}

static void show_progress(const profiled *p)
{
    collector_counters n = collector_read(p->collector);

    (void)fprintf(stderr, "\r%llu s, %llu rows, %llu processes ",
                  (unsigned long long)((sonde_mono_ns() - p->began_mono_ns) / SONDE_NS_PER_S),
                  (unsigned long long)n.rows, (unsigned long long)n.processes);
}

static void watch(const request *r, profiled *p)
{
    uint64_t end = sonde_deadline(p->began_mono_ns, r->duration_ns);
    bool shows = shows_progress();

    while (profiled_goes_on(p) && sonde_mono_ns() < end) {
        uint64_t tick = sonde_deadline(sonde_mono_ns(), TICK_NS);

        profiled_wait(p, tick < end ? tick : end);
        if (shows)
            show_progress(p);
    }
    if (shows)
        (void)fputs("\r\033[K", stderr);
    if (!p->is_over)
        profiled_stop(p, BATCH_MS);
}

/* ---- what came of it ---- */

static int fail_type(const request *r, const profile *got, const char *what)
{
    profile_column columns[PROFILE_COLUMNS_MAX];
    size_t len = profile_columns(got, columns);
    sonde_buf names;
    int code;

    sonde_buf_init(&names, 4096);
    for (size_t i = 0; i < len; i++)
        sonde_buf_printf(&names, "%s%.*s", i ? ", " : "", SONDE_STR_ARG(columns[i].type));
    code = cli_fail(r->self, "--type %s: %s %.*s", r->line->values[OPT_TYPE], what,
                    SONDE_STR_ARG(len ? sonde_buf_str(&names) : SONDE_STR("nothing")));
    sonde_buf_done(&names);
    return code;
}

static int write_profile(const request *r, profiled *p, profile *got)
{
    const char *file = output_file_of(r->line->values[OPT_OUTPUT]);
    const output_facts facts = { .title = p->name,
                                 .type = r->line->values[OPT_TYPE],
                                 .start_unix_ns = p->began_unix_ns,
                                 .duration_ns = sonde_mono_ns() - p->began_mono_ns,
                                 .rows = ROWS };
    sonde_status status;
    sonde_buf out;
    int code = EXIT_DONE;

    sonde_buf_init(&out, OUTPUT_MAX_BYTES);
    status = output_write(r->format, got, &facts, &out);
    if (status == SONDE_ERR_NOT_FOUND)
        code = fail_type(r, got, "the profile has none of it; it has");
    else if (status != SONDE_OK)
        code = cli_fail(r->self, "the profile could not be written: %s", sonde_status_str(status));
    else if (output_save(file, sonde_buf_str(&out)) != SONDE_OK)
        code = cli_fail(r->self, "%s: %s", file ? file : "standard output", strerror(errno));
    else if (file && isatty(STDERR_FILENO))
        (void)fprintf(stderr, "%s: %zu KiB\n", file, (out.len + 1023) / 1024);
    sonde_buf_done(&out);
    return code;
}

/* What a user would wonder about. */
static void tell_losses(const request *r, const collector_counters *n)
{
    if (n->batches == 0)
        (void)cli_fail(r->self,
                       r->line->values[OPT_PID]
                           ? "no samples came: it did nothing meanwhile, or ended at once"
                           : "no samples came: the program ended at once, or by a signal, or "
                             "cleared its environment");
    else if (n->rows == 0)
        (void)cli_fail(
            r->self, "no samples came: the program did nothing of --events %s, or too little",
            r->line->values[OPT_EVENTS] ? r->line->values[OPT_EVENTS] : PROFILED_EVENTS_USUAL);
    if (n->lost)
        (void)cli_fail(r->self, "%llu rows found no room", (unsigned long long)n->lost);
    if (n->refused)
        (void)cli_fail(r->self, "%llu batches were refused: there are at most %u processes",
                       (unsigned long long)n->refused, COLLECTOR_PROCESSES_MAX);
    if (n->strangers)
        (void)cli_fail(r->self,
                       "%llu batches were refused: of other users' processes whose parents have "
                       "ended",
                       (unsigned long long)n->strangers);
}

static int finish(const request *r, profiled *p)
{
    collector_counters n = collector_read(p->collector);
    profile *got = NULL;
    sonde_status status = collector_take(p->collector, &got);
    int code;

    tell_losses(r, &n);
    if (status != SONDE_OK)
        return cli_fail(r->self, "%s", sonde_status_str(status));
    code = write_profile(r, p, got);
    profile_close(got);
    return code;
}

static int profile_program(const request *r)
{
    const profiled_options o = { .argv = r->line->rest,
                                 .pid = r->line->values[OPT_PID],
                                 .trusts_seccomp = r->line->values[OPT_TRUST_SECCOMP] != NULL,
                                 .events = r->line->values[OPT_EVENTS],
                                 .frequency = r->line->values[OPT_FREQUENCY],
                                 .batch_ms = BATCH_MS,
                                 .inlines = !r->line->values[OPT_NO_INLINES] };
    const char *file = output_file_of(r->line->values[OPT_OUTPUT]);
    profiled p;
    int code;

    if (!output_is_possible(file))
        return cli_fail(r->self, "%s: %s", file, strerror(errno));
    if (!profiled_begin(r->self, &o, &p, &code))
        return code;
    watch(r, &p);
    code = finish(r, &p);
    profiled_end(&p);
    return code != EXIT_DONE ? code : profiled_exit_code(&p);
}

/* ---- the command line ---- */

static bool read_duration(const request *r, uint64_t *out_ns)
{
    const char *text = r->line->values[OPT_DURATION];
    uint64_t seconds;

    *out_ns = UINT64_MAX;
    if (!text)
        return true;
    if (sonde_parse_u64(sonde_str_from(text), &seconds) != SONDE_OK || seconds == 0 ||
        seconds > DURATION_MAX) {
        (void)cli_fail(r->self, "--duration %s: expected a number of seconds", text);
        return false;
    }
    *out_ns = sonde_s_to_ns(seconds);
    return true;
}

/* Said before the program has run for hours. */
static bool check_type(const request *r)
{
    static const char *const events[PROFILE_KINDS] = {
        [PROFILE_CPU] = "cpu",
        [PROFILE_WALL] = "wall",
        [PROFILE_ALLOC] = "heap",
        [PROFILE_LIVE] = "heap",
        [PROFILE_LOCK] = "lock",
        [PROFILE_RELEASE] = "lock",
        [PROFILE_EXCEPTION] = "exception",
        [PROFILE_SOCKET_READ] = "io",
        [PROFILE_SOCKET_WRITE] = "io",
        [PROFILE_FILE_READ] = "io",
        [PROFILE_FILE_WRITE] = "io",
    };
    const char *type = r->line->values[OPT_TYPE], *list = r->line->values[OPT_EVENTS];
    sonde_str rest = sonde_str_from(list ? list : PROFILED_EVENTS_USUAL);
    profile_column columns[PROFILE_COLUMNS_MAX];
    profile any = { .enabled = { false } };
    size_t len, i;

    if (!type)
        return true;
    memset(any.enabled, true, sizeof(any.enabled));
    len = profile_columns(&any, columns);
    for (i = 0; i < len && !sonde_str_eq(columns[i].type, sonde_str_from(type)); i++)
        ;
    if (i == len) {
        (void)fail_type(r, &any, "there is no such type; there are");
        return false;
    }
    while (rest.len)
        if (sonde_str_eq(sonde_str_cut(&rest, ','), sonde_str_from(events[columns[i].kind])))
            return true;
    (void)cli_fail(r->self, "--type %s needs --events %s", type, events[columns[i].kind]);
    return false;
}

static bool read_request(request *r)
{
    const cli_line *line = r->line;
    uint64_t n;

    if (!line->rest[0] == !line->values[OPT_PID]) {
        (void)cli_fail(
            r->self, line->rest[0] ? "either --pid or a program, not both"
                                   : "there is no program: sonde profile -- COMMAND, or --pid PID");
        return false;
    }
    if (!output_format_of(line->values[OPT_OUTPUT], line->values[OPT_FORMAT], &r->format)) {
        (void)cli_fail(r->self, "in which format? " OUTPUT_HOW);
        return false;
    }
    if (r->format == OUTPUT_PPROF && !line->values[OPT_OUTPUT] && isatty(STDOUT_FILENO)) {
        (void)cli_fail(r->self, "--format pprof: not to a terminal; say --output FILE");
        return false;
    }
    if (line->values[OPT_FREQUENCY] &&
        (sonde_parse_u64(sonde_str_from(line->values[OPT_FREQUENCY]), &n) != SONDE_OK || n < 1 ||
         n > 1000)) {
        (void)cli_fail(r->self, "--frequency %s: expected a number from 1 to 1000",
                       line->values[OPT_FREQUENCY]);
        return false;
    }
    return check_type(r) && read_duration(r, &r->duration_ns);
}

static int run(const command *self, int argc, char **argv)
{
    cli_line line;
    request r = { .self = self, .line = &line };
    int code;

    if (argc > 1 && strcmp(argv[1], "diff") == 0)
        return profile_diff_command.run(&profile_diff_command, argc - 1, argv + 1);
    sonde_log_set_level(SONDE_LOG_ERROR);
    if (!cli_parse(self, argc, argv, &line, &code))
        return code;
    code = read_request(&r) ? profile_program(&r) : EXIT_USAGE;
    cli_line_done(&line);
    return code;
}

const command profile_command = { .name = "profile",
                                  .summary = "run a program and tell where it spends its time",
                                  .help = help,
                                  CLI_OPTIONS(options),
                                  .run = run };
