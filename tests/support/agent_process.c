/* agent_process.c - see agent_process.h.  SONDE_PROGRAM is the path of the built program. */
#include "support/agent_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/socket.h"
#include "support/temp_dir.h"

#define ENVIRONMENT_MAX 16
#define START_NS        (UINT64_C(120) * SONDE_NS_PER_S)

/* Below those the kernel gives to outgoing connections, and not among those of other processes (stack.py). */
uint16_t agent_process_free_port(void)
{
    static unsigned next;
    unsigned first = 10240 + (unsigned)getpid() % 64 * 352, tries;

    for (tries = 0; tries < 352; tries++) {
        uint16_t port = (uint16_t)(first + next++ % 352);
        int fd;

        if (sonde_listen_tcp("127.0.0.1", port, &fd, NULL) == SONDE_OK) {
            (void)close(fd);
            return port;
        }
    }
    abort();
}

static void run(uint16_t port, const char *intake_url, const char *data_dir,
                const char *const *environment)
{
    char port_text[16], data_text[300];
    char *list[ENVIRONMENT_MAX + 3];
    size_t n = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no agent behind */
    list[n++] = (char[]){ "DD_API_KEY=0123456789abcdef" };
    for (; environment && *environment && n <= ENVIRONMENT_MAX; environment++)
        list[n++] = (char *)(uintptr_t)*environment;
    (void)snprintf(data_text, sizeof(data_text), "SONDE_DATA_DIR=%s", data_dir);
    list[n++] = data_text;
    list[n] = NULL;
    (void)snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    (void)execle(SONDE_PROGRAM, "sonde", "agent", "--port", port_text, "--bind", "127.0.0.1",
                 "--socket", "", "--intake-url", intake_url, (char *)NULL, list);
    _exit(127);
}

void agent_process_start(agent_process *a, const char *intake_url, const char *const *environment)
{
    sonde_url url = { .scheme = SONDE_URL_HTTP, .host = "127.0.0.1" };
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), START_NS);
    struct timespec step = sonde_ns_to_timespec(5 * SONDE_NS_PER_MS);
    int fd;

    a->port = url.port = agent_process_free_port();
    temp_dir_make(a->data_dir, sizeof(a->data_dir));
    a->pid = fork();
    if (a->pid == 0)
        run(a->port, intake_url, a->data_dir, environment);
    while (sonde_mono_ns() < deadline) {
        if (sonde_connect(&url, sonde_deadline(sonde_mono_ns(), SONDE_NS_PER_S), &fd) == SONDE_OK) {
            (void)close(fd);
            return;
        }
        (void)nanosleep(&step, NULL);
    }
    (void)fprintf(stderr, "%s does not listen\n", SONDE_PROGRAM);
    agent_process_kill(a);
    abort();
}

static int await(agent_process *a)
{
    int status = 0;

    if (a->pid <= 0 || waitpid(a->pid, &status, 0) != a->pid)
        return -1;
    a->pid = 0;
    temp_dir_remove(a->data_dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int agent_process_stop(agent_process *a)
{
    if (a->pid > 0)
        (void)kill(a->pid, SIGTERM);
    return await(a);
}

void agent_process_kill(agent_process *a)
{
    if (a->pid > 0)
        (void)kill(a->pid, SIGKILL);
    (void)await(a);
}
