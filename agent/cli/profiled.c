/* profiled.c - the program's environment, its start, and signals until its end. */
#include "profiled.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"

#define STOP_NS (UINT64_C(10) * SONDE_NS_PER_S) /* for a program that was asked to end */

/* ---- what is sampled ---- */

static const struct {
    const char *event;
    const char *variables[2];
} events[] = {
    { "cpu", { "DD_PROFILING_CPU_ENABLED" } },
    { "wall", { "DD_PROFILING_WALLTIME_ENABLED" } },
    { "heap", { "DD_PROFILING_ALLOCATION_ENABLED", "DD_PROFILING_HEAP_ENABLED" } },
    { "lock", { "DD_PROFILING_LOCK_ENABLED" } },
    { "io", { "SONDE_PROFILING_IO_ENABLED" } },
    { "exception", { "DD_PROFILING_EXCEPTION_ENABLED" } },
};

#define EVENTS       (sizeof(events) / sizeof(events[0]))
#define EVENTS_KNOWN "cpu, wall, heap, lock, io, exception"
#define EVENTS_USUAL "cpu,wall,heap,lock"

/* A bit for each; false: said why. */
static bool read_events(const command *self, const char *list, unsigned *out)
{
    sonde_str rest = sonde_str_from(list ? list : EVENTS_USUAL);

    *out = 0;
    while (rest.len) {
        sonde_str word = sonde_str_cut(&rest, ',');
        size_t i;

        for (i = 0; i < EVENTS && !sonde_str_eq(word, sonde_str_from(events[i].event)); i++)
            ;
        if (i == EVENTS) {
            (void)cli_fail(self, "--events: there is no \"%.*s\"; there are " EVENTS_KNOWN,
                           SONDE_STR_ARG(word));
            return false;
        }
        *out |= 1u << i;
    }
    if (*out == 0)
        (void)cli_fail(self, "--events: nothing is named; there are " EVENTS_KNOWN);
    return *out != 0;
}

static sonde_status set_events(environment *e, unsigned wanted)
{
    sonde_status status = SONDE_OK;

    for (size_t i = 0; i < EVENTS; i++)
        for (size_t k = 0; k < 2 && events[i].variables[k] && status == SONDE_OK; k++)
            status = environment_set(e, events[i].variables[k], wanted & (1u << i) ? "1" : "0");
    return status;
}

/* Where profiles go is a variable of its own: traces go where they went before. */
static sonde_status make_environment(environment *e, const profiled_options *o, unsigned wanted,
                                     const char *library, const char *url)
{
    char interval[16];
    const char *const pairs[][2] = {
        { "DD_PROFILING_ENABLED", "true" },
        { "DD_PROFILING_URL", url },
        { "SONDE_PROFILING_WIRE", "spb" },
        { "SONDE_PROFILING_BATCH_INTERVAL_MS", interval },
        { "DD_PROFILING_TIMELINE_ENABLED", "false" },
        { "DD_PROFILING_FLUSH_ON_EXIT", "true" },
        { "DD_PROFILING_DO_EXPORT", "true" },
        { "SONDE_PROFILING_CPU_FREQUENCY", o->frequency },
    };
    sonde_status status = environment_open(e);

    (void)snprintf(interval, sizeof(interval), "%u", o->batch_ms);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]) && status == SONDE_OK; i++)
        if (pairs[i][1])
            status = environment_set(e, pairs[i][0], pairs[i][1]);
    if (status == SONDE_OK)
        status = set_events(e, wanted);
    return status == SONDE_OK ? environment_preload(e, library) : status;
}

/* ---- start ---- */

static sigset_t ours(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    return set;
}

static int redirect(posix_spawn_file_actions_t *a, const char *prints_to)
{
    int error = posix_spawn_file_actions_addopen(a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (!error)
        error = posix_spawn_file_actions_addopen(a, STDOUT_FILENO, prints_to,
                                                 O_WRONLY | O_CREAT | O_TRUNC, 0666);
    return error ? error : posix_spawn_file_actions_adddup2(a, STDOUT_FILENO, STDERR_FILENO);
}

/* In the program signals are as they were here before. */
static int spawn(profiled *p, const char *path, const profiled_options *o, char **variables,
                 const sigset_t *mask)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);

    if (error)
        return error;
    error = posix_spawn_file_actions_init(&files);
    if (error) {
        (void)posix_spawnattr_destroy(&attributes);
        return error;
    }
    (void)posix_spawnattr_setsigmask(&attributes, mask);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (o->prints_to)
        error = redirect(&files, o->prints_to);
    if (!error)
        error = posix_spawnp(&p->pid, path, &files, &attributes, o->argv, variables);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

static bool find_all(const command *self, const profiled_options *o, char program[PATH_MAX],
                     char library[PATH_MAX], int *out_exit)
{
    const char *why;

    *out_exit = EXIT_FAILED;
    if (!program_find(o->argv[0], program))
        *out_exit = errno == ENOENT ? 127 : 126,
        (void)cli_fail(self, "%s: %s%s", o->argv[0], strerror(errno),
                       errno == ENOENT && !strchr(o->argv[0], '/') ? " in PATH" : "");
    else if ((why = program_obstacle(program)) != NULL)
        (void)cli_fail(self, "%s cannot be profiled: %s", program, why);
    else if (!program_find_profiler(library))
        (void)cli_fail(self, PROFILER_LIBRARY
                       " is neither beside this program nor in " SONDE_FULL_LIBDIR);
    else
        return true;
    return false;
}

static bool start_program(const command *self, const profiled_options *o, unsigned wanted,
                          profiled *p, const sigset_t *mask, int *out_exit)
{
    char path[PATH_MAX], library[PATH_MAX];
    environment e = { 0 };
    int error;

    if (!find_all(self, o, path, library, out_exit))
        return false;
    if (make_environment(&e, o, wanted, library, collector_url(p->collector)) == SONDE_OK)
        error = spawn(p, path, o, e.all, mask);
    else
        error = ENOMEM;
    environment_done(&e);
    if (error)
        *out_exit = cli_fail(self, "%s: %s", path, strerror(error));
    return error == 0;
}

bool profiled_begin(const command *self, const profiled_options *o, profiled *out, int *out_exit)
{
    sigset_t mask, set = ours();
    sonde_error error = { 0 };
    unsigned wanted;

    *out = (profiled){ .pid = 0 };
    *out_exit = EXIT_USAGE;
    if (!read_events(self, o->events, &wanted))
        return false;
    (void)sigprocmask(SIG_BLOCK, &set, &mask); /* before there are threads */
    if (collector_open(o->inlines, &out->collector, &error) != SONDE_OK) {
        *out_exit = cli_fail(self, "%s", error.message);
        return false;
    }
    out->began_mono_ns = sonde_mono_ns();
    out->began_unix_ns = (int64_t)sonde_unix_ns();
    if (start_program(self, o, wanted, out, &mask, out_exit))
        return true;
    profiled_end(out);
    return false;
}

void profiled_end(profiled *p)
{
    collector_close(p->collector);
    p->collector = NULL;
}

/* ---- processes that run already ---- */

/* Whether a library is mapped into it. */
static bool has_mapped(uint64_t pid, const char *library)
{
    char path[48], line[PATH_MAX + 128];
    bool found = false;
    FILE *maps;

    (void)snprintf(path, sizeof(path), "/proc/%llu/maps", (unsigned long long)pid);
    maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof(line), maps))
        found = strstr(line, library) != NULL;
    if (maps)
        (void)fclose(maps);
    return found;
}

int profiled_refuse_pid(const command *self, const char *text)
{
    uint64_t pid;

    if (sonde_parse_u64(sonde_str_from(text), &pid) != SONDE_OK || pid == 0 || pid > INT32_MAX) {
        (void)cli_fail(self, "--pid %s: expected the number of a process", text);
        return EXIT_USAGE;
    }
    if (kill((pid_t)pid, 0) != 0)
        return cli_fail(self, "process %s: %s", text, strerror(errno));
    if (has_mapped(pid, PROFILER_LIBRARY))
        return cli_fail(
            self, "process %s has the profiler already: its profiles are with its agent", text);
    return cli_fail(self,
                    "process %s runs without the profiler, and nothing is put into a running "
                    "process. Start it anew: "
                    "`sonde %s -- COMMAND`, or for good: `sonde run --profile -- COMMAND`",
                    text, self->name);
}

/* ---- until it ends ---- */

static void look_whether_over(profiled *p)
{
    if (waitpid(p->pid, &p->status, WNOHANG) == p->pid && !(WIFSTOPPED(p->status)))
        p->is_over = true;
}

/* A terminal tells the program by itself; what was sent to us alone is passed on. */
static void pass_on(profiled *p, const siginfo_t *info)
{
    p->interrupted = true;
    if (!p->is_over && info->si_code <= 0)
        (void)kill(p->pid, info->si_signo);
}

void profiled_wait(profiled *p, uint64_t until_mono_ns)
{
    sigset_t set = ours();
    siginfo_t info;

    look_whether_over(p);
    while (!p->is_over) {
        uint64_t now = sonde_mono_ns(), left = until_mono_ns > now ? until_mono_ns - now : 0;
        struct timespec t = { (time_t)(left / SONDE_NS_PER_S), (long)(left % SONDE_NS_PER_S) };
        int signo = sigtimedwait(&set, &info, &t);

        if (signo == SIGCHLD)
            look_whether_over(p);
        else if (signo > 0)
            pass_on(p, &info);
        else if (errno == EAGAIN)
            break;
    }
}

void profiled_stop(profiled *p, unsigned batch_ms)
{
    int64_t until = (int64_t)sonde_unix_ns();
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(3 * (uint64_t)batch_ms));

    while (!p->is_over && sonde_mono_ns() < deadline &&
           collector_read(p->collector).end_unix_ns < until)
        profiled_wait(p, sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(20)));
    if (p->is_over)
        return;
    (void)kill(p->pid, SIGTERM);
    profiled_wait(p, sonde_deadline(sonde_mono_ns(), STOP_NS));
}

int profiled_exit_code(const profiled *p)
{
    if (!p->is_over)
        return EXIT_DONE;
    return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}
