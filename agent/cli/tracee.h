/* agent/cli/tracee.h - one thread of another process, stopped: what it was doing, system calls in its name, and on it goes.
 *
 * It goes on as well, and as if nothing had happened, when this program is killed at any moment (way_back.h).
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
#    include "way_back.h"
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
    bool is_in_call;      /* stopped at one, where registers cannot be given back */
    int held_back;        /* a signal that came meanwhile and cannot be blocked; 0: none */
    uint64_t back_at;     /* its way back */
#if defined(__x86_64__)
    way_back there; /* what was there before */
#endif
    uint32_t state_len;
    uint8_t state[TRACEE_STATE_MAX];
} tracee;

/* Stops a thread that runs or waits. */
tracee_result tracee_stop(tracee *t, pid_t tid);

/* It goes on as if nothing had happened: a call that was interrupted begins anew or waits on.  From tracee_stop() or, once
 * that went well, whatever came after. */
void tracee_release(tracee *t);

/* Before anything is done in its name: keeps all it has, and every signal out.  At `back_at` there is room for a way_back. */
bool tracee_borrow(tracee *t, uint64_t back_at);

/* Where it goes on if we do not put it back, and with which flags, once it has its vector registers. */
uint64_t tracee_way_back(const tracee *t, uint64_t *out_flags);

/* A system call in its name; -errno. */
int64_t tracee_call(tracee *t, long number, const uint64_t args[6]);

/* It runs from `from` on with `block` in its register and that stack. */
bool tracee_start(tracee *t, uint64_t from, uint64_t block, uint64_t stack);

/* Nothing has happened to it since. */
bool tracee_runs(tracee *t);

/* Stopped again, where its instruction is in [from, to).  GONE also when it found back alone. */
tracee_result tracee_take_back(tracee *t, uint64_t from, uint64_t to);

#endif /* SONDE_AGENT_CLI_TRACEE_H */
