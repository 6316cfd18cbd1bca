/* agent/cli/tracee.h - one thread of another process, stopped: what it was doing, system calls in its name, and on it goes.
 *
 * x86-64 only so far: elsewhere tracee_stop() says so.
 *
 * Threads   the main thread: the kernel knows who traces. */
#ifndef SONDE_AGENT_CLI_TRACEE_H
#define SONDE_AGENT_CLI_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__x86_64__)
#    include <sys/user.h>
typedef struct user_regs_struct tracee_registers;
#else
typedef struct tracee_registers {
    uint64_t none;
} tracee_registers;
#endif

#define TRACEE_STATE_MAX 16384u /* of vector registers and their like */

typedef enum tracee_result {
    TRACEE_OK,
    TRACEE_GONE,    /* the thread, or all of the process */
    TRACEE_BUSY,    /* it does not stop: it waits for a disk, say */
    TRACEE_HALTED,  /* all of the process was stopped by a signal */
    TRACEE_REFUSED, /* errno */
} tracee_result;

typedef struct tracee {
    pid_t tid;
    tracee_registers was; /* when it was stopped */
    uint64_t mask;        /* of signals, likewise */
    bool is_saved;        /* it is no longer what it was */
    int held_back;        /* a signal that came meanwhile and cannot be blocked; 0: none */
    uint32_t state_len;
    uint8_t state[TRACEE_STATE_MAX];
} tracee;

/* Stops a thread that runs or waits. */
tracee_result tracee_stop(tracee *t, pid_t tid);

/* It goes on as if nothing had happened: a call that was interrupted begins anew or waits on.  From tracee_stop() or, once
 * that went well, whatever came after. */
void tracee_release(tracee *t);

/* Before anything is done in its name: keeps all it has, and every signal out. */
bool tracee_borrow(tracee *t);

/* A system call in its name, from the instruction at `at`; -errno. */
int64_t tracee_call(tracee *t, uint64_t at, long number, const uint64_t args[6]);

/* Runs from `from` with `block` in its register and that stack, until it has made the system call that ends at `until`. */
tracee_result tracee_run(tracee *t, uint64_t from, uint64_t until, uint64_t block, uint64_t stack);

#endif /* SONDE_AGENT_CLI_TRACEE_H */
