/* attach_killed.c - kills a command behind the Nth of its calls of ptrace(2): wherever it may be killed while it holds a thread of another process.
 *
 *   attach_killed N COMMAND...     exit code 0: it was killed; 1: it ended before
 *
 * Reading and writing words is not counted: the thread has its own registers then, or all that matters is there. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_command(char **argv)
{
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)execv(argv[0], argv);
    _exit(127);
}

static bool counts(const struct __ptrace_syscall_info *call)
{
    return call->entry.nr == SYS_ptrace && call->entry.args[0] != PTRACE_PEEKDATA &&
           call->entry.args[0] != PTRACE_POKEDATA;
}

/* At a stop of a call: true behind one that counts. */
static bool is_behind(pid_t pid, bool *is_inside)
{
    struct __ptrace_syscall_info call;
    bool was_inside = *is_inside;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(call), &call) <= 0)
        abort();
    *is_inside = call.op == PTRACE_SYSCALL_INFO_ENTRY && counts(&call);
    return was_inside && !*is_inside;
}

static int run(pid_t pid, long n)
{
    bool is_inside = false;
    int status, signo;

    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) !=
            0)
        return 2;
    for (signo = 0;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signo) != 0 ||
            waitpid(pid, &status, 0) != pid)
            return 2;
        if (!WIFSTOPPED(status))
            return 1;
        signo = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
        if (signo == 0 && is_behind(pid, &is_inside) && --n == 0)
            break;
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
        ;
    return 0;
}

int main(int argc, char **argv)
{
    pid_t pid = argc > 2 ? fork() : -1;
    long n = 0;

    if (pid == 0)
        be_command(argv + 2);
    for (const char *digit = argc > 1 ? argv[1] : ""; *digit; digit++)
        n = 10 * n + (*digit - '0');
    return pid > 0 ? run(pid, n) : 2;
}
