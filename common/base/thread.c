/* thread.c - named threads that leave the host's signals alone. */
#include "base/thread.h"

#define STACK_DEFAULT_BYTES ((size_t)256 * 1024)

/* Everything but the faults: a crash in one of our threads must reach the host's crash handler, and
 * a blocked fault ends the process without calling it. */
void sonde_thread_signals_to_block(sigset_t *out)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
    size_t i;

    (void)sigfillset(out);
    for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        (void)sigdelset(out, faults[i]);
}

sonde_status sonde_thread_start(pthread_t *out_thread, const char *name, size_t stack_bytes,
                                void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t block, before;
    pthread_t thread;
    int error;

    if (pthread_attr_init(&attr) != 0)
        return SONDE_ERR_NOMEM;
    if (pthread_attr_setstacksize(&attr, stack_bytes ? stack_bytes : STACK_DEFAULT_BYTES) != 0) {
        (void)pthread_attr_destroy(&attr);
        return SONDE_ERR_INVALID;
    }
    sonde_thread_signals_to_block(&block);
    (void)pthread_sigmask(SIG_BLOCK, &block, &before); /* inherited by the new thread */
    error = pthread_create(&thread, &attr, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (error != 0)
        return SONDE_ERR_SYS;
    (void)pthread_setname_np(thread, name);
    *out_thread = thread;
    return SONDE_OK;
}
