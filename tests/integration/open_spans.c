/* open_spans.c - a traced program that ends with spans open, in a way it is told.
 *
 *     open_spans            answers each line on standard input with a JSON object:
 *       open N              N from 1 to 9: opens N nested spans "outer_0", ... on this thread; their trace id
 *       end kill|segv|exit|quit|return     ends: SIGKILL to itself, a wrong write, _exit(3), _exit(0), in order
 *
 * It waits for the agent to have its black box before it answers "open". */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sonde/sonde.h>

/* The box is filled from the first span that starts after the agent took it. */
static void wait_for_box(void)
{
    const struct timespec pause = { 0, 50 * 1000 * 1000 };
    int i;

    (void)sonde_wait_for_agent(5000);
    for (i = 0; i < 20; i++)
        (void)nanosleep(&pause, NULL);
}

static void open_spans(int n)
{
    sonde_span *span = NULL;
    char name[32], trace[33] = "";
    int i;

    wait_for_box();
    for (i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "outer_%d", i);
        span = sonde_span_enter(name, &(sonde_span_options){ .resource = "GET /killed" });
    }
    sonde_span_trace_id_hex(span, trace);
    {
        SONDE_SPAN(done, "finished");
        (void)done;
    }
    (void)printf("{\"trace\":\"%s\",\"span\":\"%" PRIu64 "\"}\n", trace, sonde_span_id(span));
    (void)fflush(stdout);
}

static void end(const char *how)
{
    static int *volatile nowhere; /* volatile: the optimizer does not see it coming */

    if (strcmp(how, "kill") == 0)
        (void)raise(SIGKILL);
    if (strcmp(how, "segv") == 0)
        *nowhere = 1;
    if (strcmp(how, "exit") == 0)
        _exit(3);
    if (strcmp(how, "quit") == 0)
        _exit(0);
}

int main(void)
{
    char line[64];

    sonde_start(NULL);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "open ", 5) == 0) {
            open_spans(line[5] - '0');
        } else if (strncmp(line, "end ", 4) == 0) {
            end(line + 4);
            break;
        }
    }
    sonde_stop();
    return 0;
}
