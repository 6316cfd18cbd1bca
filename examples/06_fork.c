/* 06_fork.c - a forked child traces on by itself: own runtime id, own queue, own connection. */
#include <stdio.h>

#include <sys/wait.h>
#include <unistd.h>

#include <sonde/sonde.h>

static int work(void)
{
    SONDE_SPAN(span, "child.work"); /* child of what was active at the fork */

    sonde_span_set_int(span, "pid", getpid());
    return 0;
}

int main(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };
    int status = 0;
    pid_t pid;

    sonde_start(NULL);
    {
        SONDE_SPAN(span, "parent.work");

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0)
            return work(); /* exit() sends; "parent.work" is the parent's to finish and send */
        (void)waitpid(pid, &status, 0);
        sonde_span_set_int(span, "child.status", status);
    }
    sonde_stop();
    sonde_counters_read(&c);
    printf("parent: %llu started, %llu delivered\n", (unsigned long long)c.spans_started,
           (unsigned long long)c.spans_delivered);
    return 0;
}
