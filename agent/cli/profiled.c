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
#define ATTACHED_NS                                                                                \
    (UINT64_C(200) * SONDE_NS_PER_MS) /* between looks at a process that is no child */

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

/* A bit for each; false: said why. */
static bool read_events(const command *self, const char *list, unsigned *out)
{
    sonde_str rest = sonde_str_from(list ? list : PROFILED_EVENTS_USUAL);

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

/* Where profiles go is a variable of its own: traces go where they went before. */
typedef struct settings {
    char interval[16];
    const char *pairs[20][2];
    size_t len;
} settings;

static void add_setting(settings *s, const char *name, const char *value)
{
    if (value && s->len < sizeof(s->pairs) / sizeof(s->pairs[0])) {
        s->pairs[s->len][0] = name;
        s->pairs[s->len++][1] = value;
    }
}

static void make_settings(settings *s, const profiled_options *o, unsigned wanted, const char *url)
{
    s->len = 0;
    (void)snprintf(s->interval, sizeof(s->interval), "%u", o->batch_ms);
    add_setting(s, "DD_PROFILING_ENABLED", "true");
    add_setting(s, "DD_PROFILING_URL", url);
    add_setting(s, "SONDE_PROFILING_WIRE", "spb");
    add_setting(s, "SONDE_PROFILING_BATCH_INTERVAL_MS", s->interval);
    add_setting(s, "DD_PROFILING_TIMELINE_ENABLED", "false");
    add_setting(s, "DD_PROFILING_FLUSH_ON_EXIT", "true");
    add_setting(s, "DD_PROFILING_DO_EXPORT", "true");
    add_setting(s, "SONDE_PROFILING_CPU_FREQUENCY", o->frequency);
    for (size_t i = 0; i < EVENTS; i++)
        for (size_t k = 0; k < 2 && events[i].variables[k]; k++)
            add_setting(s, events[i].variables[k], wanted & (1u << i) ? "1" : "0");
}

static sonde_status make_environment(environment *e, const settings *s, const char *library)
{
    sonde_status status = environment_open(e);

    for (size_t i = 0; i < s->len && status == SONDE_OK; i++)
        status = environment_set(e, s->pairs[i][0], s->pairs[i][1]);
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
    settings told;
    int error;

    if (!find_all(self, o, path, library, out_exit))
        return false;
    make_settings(&told, o, wanted, collector_url(p->collector));
    if (make_environment(&e, &told, library) == SONDE_OK)
        error = spawn(p, path, o, e.all, mask);
    else
        error = ENOMEM;
    environment_done(&e);
    if (error)
        *out_exit = cli_fail(self, "%s: %s", path, strerror(error));
    return error == 0;
}

/* ---- processes that run already ---- */

static bool read_pid(const command *self, const char *text, pid_t *out, int *out_exit)
{
    uint64_t pid;

    *out_exit = EXIT_USAGE;
    if (sonde_parse_u64(sonde_str_from(text), &pid) != SONDE_OK || pid == 0 || pid > INT32_MAX) {
        (void)cli_fail(self, "--pid %s: expected the number of a process", text);
        return false;
    }
    *out = (pid_t)pid;
    return true;
}

/* Each with its NUL.  What it prints is the process's own: the profiler in it says nothing. */
static size_t write_settings(const settings *s, char *out, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < s->len && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s=%s", s->pairs[i][0], s->pairs[i][1]) + 1;
    return len < cap ? len : cap;
}

static bool open_attached(const command *self, const profiled_options *o, profiled *p,
                          int *out_exit)
{
    pid_t pid;

    p->is_attached = true;
    if (!read_pid(self, o->pid, &pid, out_exit))
        return false;
    if (attached_open(&p->attached, pid, o->trusts_seccomp)) {
        p->pid = pid;
        (void)snprintf(p->name, sizeof(p->name), "%s (%d)", p->attached.target.name, (int)pid);
        return true;
    }
    *out_exit = cli_fail(self, "%s", p->attached.why);
    return false;
}

static bool start_attached(const command *self, const profiled_options *o, unsigned wanted,
                           profiled *p, int *out_exit)
{
    char library[PATH_MAX], text[sizeof(((sonde_attach_block *)0)->settings)];
    settings told;
    bool ok;

    if (!program_find_profiler(library)) {
        *out_exit = cli_fail(self, PROFILER_LIBRARY
                             " is neither beside this program nor in " SONDE_FULL_LIBDIR);
        return false;
    }
    make_settings(&told, o, wanted, collector_url(p->collector));
    add_setting(&told, "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL", "off");
    ok = attached_begin(&p->attached, library, text, write_settings(&told, text, sizeof(text)));
    if (!ok)
        *out_exit = cli_fail(self, "%s", p->attached.why);
    return ok;
}

/* ---- begin and end ---- */

static sonde_status open_collector(const profiled_options *o, profiled *p, sonde_error *out_error)
{
    collector_place place;

    if (!p->is_attached)
        return collector_open(o->inlines, NULL, &p->collector, out_error);
    place = attached_place(&p->attached);
    return collector_open(o->inlines, &place, &p->collector, out_error);
}

static bool start(const command *self, const profiled_options *o, unsigned wanted, profiled *p,
                  const sigset_t *mask, int *out_exit)
{
    if (p->is_attached)
        return start_attached(self, o, wanted, p, out_exit);
    (void)snprintf(p->name, sizeof(p->name), "%s", o->argv[0]);
    return start_program(self, o, wanted, p, mask, out_exit);
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
    if (o->pid && !open_attached(self, o, out, out_exit)) {
        profiled_end(out);
        return false;
    }
    if (open_collector(o, out, &error) != SONDE_OK) {
        *out_exit = cli_fail(self, "%s", error.message);
        profiled_end(out);
        return false;
    }
    out->began_mono_ns = sonde_mono_ns();
    out->began_unix_ns = (int64_t)sonde_unix_ns();
    if (start(self, o, wanted, out, &mask, out_exit))
        return true;
    profiled_end(out);
    return false;
}

void profiled_end(profiled *p)
{
    collector_close(p->collector);
    p->collector = NULL;
    if (p->is_attached)
        attached_close(&p->attached);
}

/* ---- until it ends ---- */

static void look_whether_over(profiled *p)
{
    if (p->is_attached)
        p->is_over = !attached_beat(&p->attached);
    else if (waitpid(p->pid, &p->status, WNOHANG) == p->pid && !(WIFSTOPPED(p->status)))
        p->is_over = true;
}

/* A terminal tells the program by itself; what was sent to us alone is passed on. */
static void pass_on(profiled *p, const siginfo_t *info)
{
    p->interrupted = true;
    if (!p->is_attached && !p->is_over && info->si_code <= 0)
        (void)kill(p->pid, info->si_signo);
}

bool profiled_goes_on(const profiled *p)
{
    return !p->is_over && !(p->is_attached && p->interrupted);
}

/* A process that is no child is looked at now and then. */
void profiled_wait(profiled *p, uint64_t until_mono_ns)
{
    uint64_t soon = sonde_deadline(sonde_mono_ns(), ATTACHED_NS);
    sigset_t set = ours();
    siginfo_t info;

    if (p->is_attached && soon < until_mono_ns)
        until_mono_ns = soon;
    look_whether_over(p);
    while (profiled_goes_on(p)) {
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
    uint64_t deadline;

    if (p->is_attached) {
        attached_end(&p->attached);
        return;
    }
    deadline = sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(3 * (uint64_t)batch_ms));
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
    if (!p->is_over || p->is_attached)
        return EXIT_DONE;
    return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}
