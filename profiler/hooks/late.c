/* late.c - the list of hooks that slots are pointed at.
 *
 * Where hooks and the functions behind them are is looked up by name, so that this file declares none of them. */
#include "late.h"

#include <stdatomic.h>
#include <string.h>

#include "base/got.h"

#include "profiler/src/late.h"

#define LIBC_HAS_IT "__libc_start_main" /* as nobody else has */

typedef struct late_hook {
    const char *name;
    uint32_t group;
} late_hook;

#define ALWAYS     SONDE_PROF__LATE_ALWAYS
#define HEAP       SONDE_PROF__LATE_HEAP
#define LOCKS      SONDE_PROF__LATE_LOCKS
#define IO         SONDE_PROF__LATE_IO
#define EXCEPTIONS SONDE_PROF__LATE_EXCEPTIONS

/* Those of exports.txt, by name, but for free_sized() and free_aligned_sized(), which a program that calls them has, and the
 * registration of frames, which counts on having seen all of them. */
static const late_hook late_hooks[] = {
    { "_ZdaPv", HEAP },
    { "_ZdaPvRKSt9nothrow_t", HEAP },
    { "_ZdaPvSt11align_val_t", HEAP },
    { "_ZdaPvSt11align_val_tRKSt9nothrow_t", HEAP },
    { "_ZdaPvm", HEAP },
    { "_ZdaPvmSt11align_val_t", HEAP },
    { "_ZdlPv", HEAP },
    { "_ZdlPvRKSt9nothrow_t", HEAP },
    { "_ZdlPvSt11align_val_t", HEAP },
    { "_ZdlPvSt11align_val_tRKSt9nothrow_t", HEAP },
    { "_ZdlPvm", HEAP },
    { "_ZdlPvmSt11align_val_t", HEAP },
    { "_Znam", HEAP },
    { "_ZnamRKSt9nothrow_t", HEAP },
    { "_ZnamSt11align_val_t", HEAP },
    { "_ZnamSt11align_val_tRKSt9nothrow_t", HEAP },
    { "_Znwm", HEAP },
    { "_ZnwmRKSt9nothrow_t", HEAP },
    { "_ZnwmSt11align_val_t", HEAP },
    { "_ZnwmSt11align_val_tRKSt9nothrow_t", HEAP },
    { "__cxa_throw", EXCEPTIONS },
    { "accept", IO },
    { "accept4", IO },
    { "aligned_alloc", HEAP },
    { "calloc", HEAP },
    { "cnd_broadcast", LOCKS },
    { "cnd_signal", LOCKS },
    { "cnd_timedwait", LOCKS },
    { "cnd_wait", LOCKS },
    { "connect", IO },
    { "execl", ALWAYS },
    { "execle", ALWAYS },
    { "execlp", ALWAYS },
    { "execv", ALWAYS },
    { "execve", ALWAYS },
    { "execvp", ALWAYS },
    { "execvpe", ALWAYS },
    { "fdatasync", IO },
    { "fexecve", ALWAYS },
    { "free", HEAP },
    { "fsync", IO },
    { "malloc", HEAP },
    { "memalign", HEAP },
    { "mmap", HEAP },
    { "mmap64", HEAP },
    { "mremap", HEAP },
    { "mtx_lock", LOCKS },
    { "mtx_unlock", LOCKS },
    { "munmap", HEAP },
    { "posix_memalign", HEAP },
    { "pread", IO },
    { "pthread_cond_broadcast", LOCKS },
    { "pthread_cond_clockwait", LOCKS },
    { "pthread_cond_signal", LOCKS },
    { "pthread_cond_timedwait", LOCKS },
    { "pthread_cond_wait", LOCKS },
    { "pthread_create", ALWAYS },
    { "pthread_mutex_clocklock", LOCKS },
    { "pthread_mutex_lock", LOCKS },
    { "pthread_mutex_timedlock", LOCKS },
    { "pthread_mutex_unlock", LOCKS },
    { "pthread_rwlock_clockrdlock", LOCKS },
    { "pthread_rwlock_clockwrlock", LOCKS },
    { "pthread_rwlock_rdlock", LOCKS },
    { "pthread_rwlock_timedrdlock", LOCKS },
    { "pthread_rwlock_timedwrlock", LOCKS },
    { "pthread_rwlock_unlock", LOCKS },
    { "pthread_rwlock_wrlock", LOCKS },
    { "pthread_spin_lock", LOCKS },
    { "pthread_spin_unlock", LOCKS },
    { "pvalloc", HEAP },
    { "pwrite", IO },
    { "read", IO },
    { "readv", IO },
    { "realloc", HEAP },
    { "reallocarray", HEAP },
    { "recv", IO },
    { "recvfrom", IO },
    { "recvmsg", IO },
    { "sem_clockwait", LOCKS },
    { "sem_post", LOCKS },
    { "sem_timedwait", LOCKS },
    { "sem_wait", LOCKS },
    { "send", IO },
    { "sendmsg", IO },
    { "sendto", IO },
    { "sigaction", ALWAYS },
    { "signal", ALWAYS },
    { "signalfd", ALWAYS },
    { "sigtimedwait", ALWAYS },
    { "sigwait", ALWAYS },
    { "sigwaitinfo", ALWAYS },
    { "valloc", HEAP },
    { "write", IO },
    { "writev", IO },
};

#define HOOKS (sizeof(late_hooks) / sizeof(late_hooks[0]))

_Static_assert(HOOKS <= SONDE_GOT_HOOKS_MAX, "all of them");

uint64_t sonde_prof__late_here(void)
{
    return (uint64_t)(uintptr_t)&sonde_prof__late_here;
}

bool sonde_prof__came_late(void)
{
    enum { NOT_ASKED, IN_TIME, LATE };
    static _Atomic int answer;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);

    if (known == NOT_ASKED) {
        known = sonde_got_is_behind(sonde_prof__late_here(), LIBC_HAS_IT) ? LATE : IN_TIME;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == LATE;
}

static void patch(uint32_t groups, bool is_new, sonde_got_counts *out)
{
    static sonde_got_hook hooks[HOOKS];
    static size_t len;
    uint64_t here = sonde_prof__late_here();
    size_t i;

    if (is_new) {
        sonde_got_forget();
        for (i = len = 0; i < HOOKS; i++)
            if (late_hooks[i].group & groups)
                hooks[len++] =
                    (sonde_got_hook){ .name = late_hooks[i].name,
                                      .hook = sonde_got_find_in(late_hooks[i].name, here) };
    }
    for (i = 0; i < len; i++) /* objects that were loaded since may have more of them */
        if (hooks[i].hook)
            hooks[i].real = sonde_got_find(hooks[i].name, here, &hooks[i].is_only);
    sonde_got_patch(hooks, len, out);
}

/* After the hooks know what is behind them (101). */
__attribute__((constructor(102))) static void say_so(void)
{
    if (sonde_prof__came_late())
        sonde_prof__late_set(patch);
}
