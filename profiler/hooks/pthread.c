/* pthread.c - threads are known from their first instruction on. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#include "base/alloc.h"
#include "sonde/export.h"

#include "profiler/src/crash.h"
#include "profiler/src/profiler.h"
#include "profiler/src/threads.h"

#include "real.h"

SONDE_PROF__REAL(pthread_create)

typedef struct start {
    void *(*run)(void *);
    void *arg;
} start;

static void *thread_main(void *arg)
{
    start s = *(start *)arg;
    void *result;

    sonde_free(arg);
    sonde_prof__crash_thread_begin();
    sonde_prof__thread_begin();
    result = s.run(s.arg); /* one that does not come back ends by a pthread key */
    sonde_prof__thread_end((uintptr_t)s.run);
    return result;
}

SONDE_API int pthread_create(pthread_t *out_thread, const pthread_attr_t *attributes,
                             void *(*run)(void *), void *arg)
{
    __typeof__(&pthread_create) real = real_pthread_create();
    start *s = NULL;
    int error;

    if (!real)
        return ENOSYS;
    sonde_prof__resume();
    if ((sonde_prof__threads_started() || sonde_prof__crash_is_on()) && sonde_prof__self.depth == 0)
        s = sonde_malloc(sizeof(*s));
    if (!s)
        return real(out_thread, attributes, run, arg);
    *s = (start){ run, arg };
    error = real(out_thread, attributes, thread_main, s);
    if (error != 0)
        sonde_free(s);
    return error;
}
