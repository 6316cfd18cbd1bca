/* crash_state.h - between crash.c and its handler.
 *
 * Threads   written by crash.c, read by handlers.  Signal-safe: yes, all. */
#ifndef SONDE_PROFILER_CRASH_STATE_H
#define SONDE_PROFILER_CRASH_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/un.h>

#include "base/blackbox.h"
#include "base/crash_report.h"

#define SONDE_PROF__CRASH_SIGNALS 6

/* Modules one behind the other, as they stand in a report. */
typedef struct sonde_prof__crash_modules {
    uint32_t bytes;
    uint32_t len;
    uint8_t list[];
} sonde_prof__crash_modules;

/* One behind the other as they are sent. */
typedef struct sonde_prof__crash_packet {
    sonde_crash_crash crash;
    sonde_crash_report_head head;
    uint8_t rest[SONDE_CRASH_REPORT_MAX - sizeof(sonde_crash_report_head)];
} sonde_prof__crash_packet;

typedef struct sonde_prof__crash_signal {
    int signo;
    bool is_ours;                            /* the handler was installed */
    struct sigaction before;                 /* whose it was; written before */
    _Atomic(const struct sigaction *) asked; /* the program's, of later; NULL: none */
} sonde_prof__crash_signal;

typedef struct sonde_prof__crash_state {
    sonde_prof__crash_signal signal[SONDE_PROF__CRASH_SIGNALS];
    struct sockaddr_un to;
    _Atomic(sonde_prof__crash_modules *) modules; /* NULL: not yet */
    uint32_t process_bytes;
    uint8_t process[SONDE_CRASH_PROCESS_MAX];
    uint8_t runtime_id[16];
    /* whoever has `busy` writes it, and the next two; NULL: nothing is reported */
    sonde_prof__crash_packet *packet;
    size_t packet_bytes; /* of the report in it */
    uint32_t kept_tid;   /* it was told to nobody, and this thread's; 0: none is kept */
    /* receiver.h */
    int (*receive)(void *unused); /* NULL: none */
    char *receiver_stack;         /* its upper end */
    uint64_t receiver_ns;
    _Atomic(const struct sonde_url *) agent; /* NULL: not known yet */
    _Atomic uint32_t busy;                   /* thread that reports; 0: none */
    _Atomic uint64_t next_ns;                /* no report before, while the program has a handler */
    _Atomic uint64_t died_ns;                /* the default action was due then; 0: never */
    _Atomic uint64_t reports;                /* sent */
    _Atomic uint64_t unsent;                 /* the agent was away, or did not take it */
} sonde_prof__crash_state;

extern sonde_prof__crash_state sonde_prof__crash_now;

sonde_prof__crash_signal *sonde_prof__crash_signal_of(int signo); /* NULL: none of these */

/* The program's, or whose it was before. */
const struct sigaction *sonde_prof__crash_asked(const sonde_prof__crash_signal *s);

/* receiver_sig.c */
bool sonde_prof__receiver_run(void);

void sonde_prof__on_crash(int signo, siginfo_t *info, void *context);

#endif /* SONDE_PROFILER_CRASH_STATE_H */
