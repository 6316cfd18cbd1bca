/* cmd_replay.c - `sonde replay`: sends what `sonde record` kept, at its pace or faster. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/parse.h"

#include "agent_client.h"
#include "cli.h"
#include "recording.h"

#define TIMEOUT_NS  (UINT64_C(30) * SONDE_NS_PER_S)
#define HEADERS_MAX 32

static const char help[] =
    "Usage: sonde replay [OPTION]... FILE\n"
    "\n"
    "Sends the requests `sonde record` kept in FILE to the agent, with the pauses they came\n"
    "with.  Times of spans stay as recorded: old ones are counted as late.\n"
    "\n"
    "      --speed X         so many times as fast (1)\n"
    "      --fast            without pauses\n"
    "      --list            print time, method, path and size of each request, send nothing\n"
    "  -c, --config FILE     read FILE to learn where the agent is\n"
    "  -p, --port N          TCP port of the agent (8126)\n"
    "      --socket PATH     send over this Unix socket instead\n"
    "  -h, --help            print this text, then exit\n"
    "\n"
    "Exits with 1 when a request was refused or the file is damaged.\n";

enum { OPT_SPEED, OPT_FAST, OPT_LIST, OPT_CONFIG, OPT_PORT, OPT_SOCKET, OPT_FILE };

static const cli_option options[] = {
    [OPT_SPEED] = { 0, "speed", NULL, NULL },
    [OPT_FAST] = { 0, "fast", NULL, "1" },
    [OPT_LIST] = { 0, "list", NULL, "1" },
    [OPT_CONFIG] = { 'c', "config", NULL, NULL },
    [OPT_PORT] = { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    [OPT_SOCKET] = { 0, "socket", NULL, NULL },
    [OPT_FILE] = { 0, "", NULL, "FILE" },
};

typedef struct replay {
    agent_client agent;
    double speed; /* 0: no pauses */
    uint64_t began_mono_ns;
    unsigned long long sent, refused, bytes;
} replay;

static void wait_for(const replay *r, uint64_t at_ns)
{
    uint64_t until = r->speed > 0 ? r->began_mono_ns + (uint64_t)((double)at_ns / r->speed) : 0;
    struct timespec t = sonde_ns_to_timespec(until);

    if (until > sonde_mono_ns())
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void send_entry(replay *r, const recording_entry *e)
{
    sonde_http_header headers[HEADERS_MAX];
    sonde_str lines = e->headers;
    char method[32], path[4096];
    sonde_http_plain_request request = { .method = method,
                                         .path = path,
                                         .headers = headers,
                                         .body = e->body,
                                         .deadline_mono_ns = sonde_mono_ns() + TIMEOUT_NS };
    sonde_http_plain_answer answer;
    sonde_status status;

    (void)snprintf(method, sizeof(method), "%.*s", SONDE_STR_ARG(e->method));
    (void)snprintf(path, sizeof(path), "%.*s", SONDE_STR_ARG(e->path));
    while (request.headers_len < HEADERS_MAX &&
           recording_header(&lines, &headers[request.headers_len].name,
                            &headers[request.headers_len].value))
        request.headers_len++;
    status = sonde_http_plain_send(r->agent.http, &request, &answer);
    r->sent++;
    r->bytes += e->body.len;
    if (status == SONDE_OK && answer.status < 400)
        return;
    r->refused++;
    (void)fprintf(stderr, "sonde replay: %s %s: %s %d\n", method, path,
                  status == SONDE_OK ? "status" : sonde_status_str(status),
                  status == SONDE_OK ? answer.status : 0);
}

static int send_all(const command *self, replay *r, recording_reader *reader, bool list)
{
    recording_entry e;
    sonde_status status;

    r->began_mono_ns = sonde_mono_ns();
    while ((status = recording_next(reader, &e)) == SONDE_OK) {
        if (list) {
            (void)printf("%12.6f %.*s %.*s %zu\n", (double)e.at_ns / SONDE_NS_PER_S,
                         SONDE_STR_ARG(e.method), SONDE_STR_ARG(e.path), e.body.len);
            continue;
        }
        wait_for(r, e.at_ns);
        send_entry(r, &e);
    }
    if (!list)
        (void)printf("requests=%llu bytes=%llu refused=%llu seconds=%.3f\n", r->sent, r->bytes,
                     r->refused, (double)(sonde_mono_ns() - r->began_mono_ns) / SONDE_NS_PER_S);
    if (status != SONDE_ERR_EOF)
        return cli_fail(self, "the file is damaged behind request %llu", r->sent);
    if (reader->rest.len)
        (void)fprintf(stderr, "sonde replay: the last request was cut off while it was recorded\n");
    return r->refused ? EXIT_FAILED : EXIT_DONE;
}

static int replay_file(const command *self, replay *r, const char *path, bool list)
{
    recording_reader reader;
    sonde_error error = { 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), code;
    void *map = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        code = cli_fail(self, "%s: %s", path, fd < 0 || errno ? strerror(errno) : "empty");
    else if (recording_open(&reader, (sonde_str){ map, (size_t)st.st_size }, &error) != SONDE_OK)
        code = cli_fail(self, "%s: %s", path, error.message);
    else
        code = send_all(self, r, &reader, list);
    if (map != MAP_FAILED)
        (void)munmap(map, (size_t)st.st_size);
    if (fd >= 0)
        (void)close(fd);
    return code;
}

static int start(const command *self, agent_config *c, const cli_line *line)
{
    replay r = { .speed = 1 };
    sonde_error error = { 0 };
    int code;

    if (line->values[OPT_SPEED] &&
        (sonde_parse_double(sonde_str_from(line->values[OPT_SPEED]), &r.speed) != SONDE_OK ||
         r.speed <= 0))
        return cli_fail(self, "--speed %s: expected a number above 0", line->values[OPT_SPEED]);
    if (line->values[OPT_FAST])
        r.speed = 0;
    if (agent_client_open(&r.agent, c, line->values[OPT_SOCKET], &error) != SONDE_OK)
        return cli_fail(self, "%s: %s", r.agent.address, error.message);
    code = replay_file(self, &r, line->values[OPT_FILE], line->values[OPT_LIST] != NULL);
    agent_client_close(&r.agent);
    return code;
}

const command replay_command = { .name = "replay",
                                 .summary = "send what `sonde record` kept",
                                 .help = help,
                                 CLI_OPTIONS(options),
                                 .run = cli_run,
                                 .work = start };
