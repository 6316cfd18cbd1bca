/* libgcc_oracle.h - in a signal handler: the interrupted stack by our tables and by libgcc's unwinder, compared.
 *
 * One thread.  What a handler may not do - libgcc's unwinder allocates the first time - is done before.  Not compared is what has
 * libgcc itself on its stack: a throw rewrites the frames it stands on, and libgcc's unwinder dies of them. */
#ifndef SONDE_TESTS_PROFILER_LIBGCC_ORACLE_H
#define SONDE_TESTS_PROFILER_LIBGCC_ORACLE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#include "loaded.h"
#include "profiler/src/regs.h"

#define ORACLE_FRAMES 256

typedef struct oracle_trace {
    uint64_t ip[ORACLE_FRAMES];
    uint32_t len;
} oracle_trace;

typedef struct oracle {
    const sonde_prof__map *map;
    sonde_prof__stack stack; /* of the one thread; zero: not known */
    volatile sig_atomic_t samples, equal, complete;
    char first_difference[4096]; /* ours/theirs, the interrupted address first */
} oracle;

static oracle the_oracle;

static bool oracle_is_throwing(const uint64_t *ip, uint32_t len)
{
    const sonde_prof__table *libgcc =
        sonde_prof__map_find(the_oracle.map, (uint64_t)(uintptr_t)&_Unwind_Backtrace);
    uint32_t i;

    for (i = 0; i < len; i++)
        if (libgcc && ip[i] >= libgcc->text_lo && ip[i] < libgcc->text_hi)
            return true;
    return false;
}

static _Unwind_Reason_Code oracle_collect(struct _Unwind_Context *context, void *user)
{
    oracle_trace *t = user;
    int before = 0;
    uint64_t ip = _Unwind_GetIPInfo(context, &before);

    if (t->len < ORACLE_FRAMES && ip != 0) /* it goes one beyond the first function */
        t->ip[t->len++] = before ? ip : ip - 1;
    return _URC_NO_REASON;
}

static void oracle_describe(const oracle_trace *want, uint32_t from, const uint64_t *have,
                            uint32_t len, sonde_prof__end end)
{
    char *out = the_oracle.first_difference;
    const size_t room = sizeof(the_oracle.first_difference);
    int n = snprintf(out, room, "end %d:", (int)end);
    uint32_t i;

    for (i = 0; (i < len || from + i < want->len) && (size_t)n + 40 < room; i++)
        n += snprintf(out + n, room - (size_t)n, " %llx/%llx",
                      i < len ? (unsigned long long)have[i] : 0,
                      from + i < want->len ? (unsigned long long)want->ip[from + i] : 0);
}

static void oracle_on_signal(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    uint64_t have[ORACLE_FRAMES], all[16];
    sonde_prof__regs regs = sonde_prof__regs_of(context, all);
    sonde_prof__end end;
    oracle_trace want = { .len = 0 };
    uint32_t len =
        sonde_prof__unwind(the_oracle.map, &regs, &the_oracle.stack, have, ORACLE_FRAMES, &end);
    uint32_t from = 0;

    (void)signo, (void)info;
    errno = saved;
    if (oracle_is_throwing(have, len))
        return;
    (void)_Unwind_Backtrace(oracle_collect, &want);
    while (from < want.len && want.ip[from] != regs.pc) /* the handler's own frames */
        from++;
    the_oracle.samples++;
    the_oracle.complete += end == SONDE_PROF__COMPLETE;
    if (want.len - from == len && memcmp(want.ip + from, have, len * sizeof(have[0])) == 0)
        the_oracle.equal++;
    else if (!the_oracle.first_difference[0])
        oracle_describe(&want, from, have, len, end);
    errno = saved;
}

static int oracle_find_stack(void)
{
    pthread_attr_t attributes;
    void *lo;
    size_t bytes;
    int error = pthread_getattr_np(pthread_self(), &attributes);

    if (error != 0)
        return error;
    error = pthread_attr_getstack(&attributes, &lo, &bytes);
    (void)pthread_attr_destroy(&attributes);
    the_oracle.stack =
        (sonde_prof__stack){ (uint64_t)(uintptr_t)lo, (uint64_t)(uintptr_t)lo + bytes, NULL };
    return error;
}

/* Compares at every `signo` of now on. */
static void oracle_begin(const sonde_prof__map *map, int signo)
{
    struct sigaction action = { .sa_sigaction = oracle_on_signal,
                                .sa_flags = SA_SIGINFO | SA_RESTART };
    oracle_trace warm = { .len = 0 };

    the_oracle.map = map;
    the_oracle.samples = the_oracle.equal = the_oracle.complete = 0;
    the_oracle.first_difference[0] = '\0';
    (void)_Unwind_Backtrace(oracle_collect, &warm); /* loads and allocates the first time */
    (void)sigaction(signo, &action, NULL);
}

#endif /* SONDE_TESTS_PROFILER_LIBGCC_ORACLE_H */
