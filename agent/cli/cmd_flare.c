/* cmd_flare.c - `sonde flare`: what somebody needs who is to say why it does not work, in one archive.
 *
 * Everything passes redact() on its way in.  An agent that does not answer is a finding, not a failure: the
 * archive is written with what there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/utsname.h>

#include "base/buf.h"
#include "codec/zip.h"

#include "agent_client.h"
#include "cli.h"
#include "redact.h"
#include "status_text.h"

#define FILE_MAX_BYTES    (4u * 1024 * 1024)
#define ARCHIVE_MAX_BYTES (32u * 1024 * 1024)
#define LOG_TAIL_BYTES    (1024u * 1024)

static const char help[] =
    "Usage: sonde flare [OPTION]...\n"
    "\n"
    "Writes a ZIP archive for somebody who is to help: configuration and where it comes\n"
    "from, status, /info, metrics, the end of the log, the system.  API keys, passwords\n"
    "and what looks like them are cut out.  Nothing is sent anywhere: look into it first.\n"
    "\n"
    "  -o, --output FILE     write there (sonde-flare-DATE.zip)\n"
    "  -c, --config FILE     read FILE (default /etc/sonde/datadog.yaml, if there)\n"
    "  -p, --port N          TCP port of the agent (8126)\n"
    "      --socket PATH     ask over this Unix socket instead\n"
    "  -h, --help            print this text, then exit\n";

enum { OPT_OUTPUT, OPT_CONFIG, OPT_PORT, OPT_SOCKET };

static const cli_option options[] = {
    [OPT_OUTPUT] = { 'o', "output", NULL, NULL },
    [OPT_CONFIG] = { 'c', "config", NULL, NULL },
    [OPT_PORT] = { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    [OPT_SOCKET] = { 0, "socket", NULL, NULL },
};

typedef struct flare {
    const agent_config *config;
    agent_client agent;
    sonde_zip zip;
    sonde_buf archive;
    sonde_buf raw;   /* one file, before redact() */
    sonde_buf clean; /* and after */
} flare;

/* Adds what was written into `raw`. */
static void add_file(flare *f, const char *name)
{
    sonde_buf_reset(&f->clean);
    redact(f->config, sonde_buf_str(&f->raw), &f->clean);
    sonde_zip_add(&f->zip, name, sonde_buf_str(&f->clean));
    sonde_buf_reset(&f->raw);
}

static void add_configuration(flare *f)
{
    const agent_config *c = f->config;

    sonde_buf_printf(&f->raw, "# file: %.*s\n", SONDE_STR_ARG(c->file));
    for (size_t i = 0; i < c->overrides_len; i++)
        sonde_buf_printf(&f->raw, "# override: %.*s\n", SONDE_STR_ARG(c->overrides[i]));
    config_print_values(c, &f->raw);
    for (size_t i = 0; i < c->warnings_len; i++)
        sonde_buf_printf(&f->raw, "# warning: %.*s\n", SONDE_STR_ARG(c->warnings[i]));
    for (size_t i = 0; i < c->notes_len; i++)
        sonde_buf_printf(&f->raw, "# note: %.*s\n", SONDE_STR_ARG(c->notes[i]));
    add_file(f, "configuration.yaml");
}

static void add_system(flare *f)
{
    struct utsname u;

    sonde_buf_printf(&f->raw, "sonde %s\n", SONDE_VERSION);
    if (uname(&u) == 0)
        sonde_buf_printf(&f->raw, "%s %s %s %s\n", u.sysname, u.release, u.version, u.machine);
    sonde_buf_printf(&f->raw, "cpus %ld, page %ld, user %u\n", sysconf(_SC_NPROCESSORS_ONLN),
                     sysconf(_SC_PAGESIZE), (unsigned)geteuid());
    add_file(f, "system.txt");
}

/* The page as it came, or why it did not. */
static sonde_str ask(flare *f, const char *path)
{
    sonde_http_plain_answer answer;
    sonde_status status = agent_client_get(&f->agent, path, &answer);

    if (status == SONDE_OK && answer.status == 200)
        return answer.body;
    if (status == SONDE_OK)
        sonde_buf_printf(&f->raw, "GET %s%s gave status %d\n", f->agent.address, path,
                         answer.status);
    else
        sonde_buf_printf(&f->raw, "GET %s%s: %s\n", f->agent.address, path,
                         sonde_status_str(status));
    return (sonde_str){ NULL, 0 };
}

static void add_page(flare *f, const char *path, const char *name)
{
    sonde_buf_append_str(&f->raw, ask(f, path));
    add_file(f, name);
}

static void add_status_text(flare *f)
{
    sonde_str json = ask(f, AGENT_STATUS_PATH);

    if (json.len && status_text_write(json, &f->raw) != SONDE_OK)
        sonde_buf_printf(&f->raw, "not the status document\n");
    add_file(f, "status.txt");
}

/* The end of the log file, when there is one. */
static void add_log_file(flare *f)
{
    uint8_t *to;
    off_t size;
    ssize_t got;
    int fd;

    if (f->config->log_file.len == 0)
        return;
    fd = open(f->config->log_file.ptr, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        sonde_buf_printf(&f->raw, "%.*s: %s\n", SONDE_STR_ARG(f->config->log_file),
                         strerror(errno));
        add_file(f, "log-file.txt");
        return;
    }
    size = lseek(fd, 0, SEEK_END);
    to = sonde_buf_reserve(&f->raw, LOG_TAIL_BYTES);
    got =
        to ? pread(fd, to, LOG_TAIL_BYTES, size > (off_t)LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0)
           : -1;
    if (got > 0)
        sonde_buf_commit(&f->raw, (size_t)got);
    (void)close(fd);
    add_file(f, "log-file.txt");
}

static void collect(flare *f)
{
    sonde_zip_begin(&f->zip, &f->archive);
    add_configuration(f);
    add_system(f);
    add_page(f, AGENT_STATUS_PATH, "status.json");
    add_status_text(f);
    add_page(f, "/info", "info.json");
    add_page(f, "/metrics", "metrics.txt");
    add_page(f, "/debug/vars", "vars.json");
    add_page(f, "/sonde/v1/log", "log.txt");
    add_log_file(f);
    sonde_zip_end(&f->zip);
}

static int write_archive(const command *self, const flare *f, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t at = 0;
    ssize_t n = 0;

    if (fd < 0)
        return cli_fail(self, "%s: %s", path, strerror(errno));
    while (at < f->archive.len &&
           ((n = write(fd, f->archive.data + at, f->archive.len - at)) > 0 || errno == EINTR))
        at += n > 0 ? (size_t)n : 0;
    if (close(fd) != 0 || at < f->archive.len)
        return cli_fail(self, "%s: %s", path, strerror(errno));
    (void)printf("%s\n", path);
    return EXIT_DONE;
}

static void default_name(char *out, size_t cap)
{
    time_t now = time(NULL);
    struct tm t;
    size_t len = 0;

    if (gmtime_r(&now, &t))
        len = strftime(out, cap, "sonde-flare-%Y%m%dT%H%M%SZ.zip", &t);
    if (!len)
        (void)snprintf(out, cap, "sonde-flare.zip");
}

static int make(const command *self, agent_config *c, const cli_line *line)
{
    flare f = { .config = c };
    sonde_error error = { 0 };
    char name[64];
    int code;

    if (agent_client_open(&f.agent, c, line->values[OPT_SOCKET], &error) != SONDE_OK)
        return cli_fail(self, "%s: %s", f.agent.address, error.message);
    sonde_buf_init(&f.archive, ARCHIVE_MAX_BYTES);
    sonde_buf_init(&f.raw, FILE_MAX_BYTES);
    sonde_buf_init(&f.clean, FILE_MAX_BYTES);
    default_name(name, sizeof(name));
    collect(&f);
    if (f.archive.status != SONDE_OK)
        code = cli_fail(self, "%s", sonde_status_str(f.archive.status));
    else
        code = write_archive(self, &f, line->values[OPT_OUTPUT] ? line->values[OPT_OUTPUT] : name);
    sonde_buf_done(&f.clean);
    sonde_buf_done(&f.raw);
    sonde_buf_done(&f.archive);
    agent_client_close(&f.agent);
    return code;
}

const command flare_command = { .name = "flare",
                                .summary =
                                    "an archive for somebody who is to help, secrets cut out",
                                .help = help,
                                CLI_OPTIONS(options),
                                .run = cli_run,
                                .work = make };
