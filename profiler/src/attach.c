/* attach.c - from the first word with whoever attached to the last. */
#include "attach.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include <sys/prctl.h>
#include <unistd.h>

#include "base/attach.h"
#include "base/clock.h"
#include "base/str.h"
#include "sonde/profiler_hooks.h"

#include "files.h"
#include "profiler.h"
#include "slot.h"
#include "threads.h"

#define LOOK_NS    (20 * (long)SONDE_NS_PER_MS)
#define SILENCE_NS (SONDE_ATTACH_SILENCE_S * (uint64_t)SONDE_NS_PER_S)

static _Atomic bool is_on;

bool sonde_prof__attach_is_on(void)
{
    return atomic_load_explicit(&is_on, memory_order_acquire);
}

void sonde_prof__attach_postfork_child(void)
{
    atomic_store_explicit(&is_on, false, memory_order_relaxed);
}

/* -- what we were told ------------------------------------------------------------------------------ */

/* The environment is not asked: it was written for another occasion. */
static const char *told(void *user, const char *name)
{
    const sonde_attach_block *b = user;
    size_t name_len = strlen(name), at = 0, len;

    for (; at < sizeof(b->settings) && b->settings[at]; at += len + 1) {
        const char *line = b->settings + at;

        len = strnlen(line, sizeof(b->settings) - at);
        if (len == sizeof(b->settings) - at)
            return NULL; /* does not end */
        if (strncmp(line, name, name_len) == 0 && line[name_len] == '=')
            return line + name_len + 1;
    }
    return NULL;
}

static void refuse(sonde_attach_block *b, const char *why)
{
    size_t len = strnlen(why, sizeof(b->message) - 1);

    memcpy(b->message, why, len);
    b->message[len] = '\0';
    /* pairs with the reader outside: the message first */
    atomic_store_explicit(&b->state, SONDE_ATTACH_REFUSED, memory_order_release);
}

/* -- while he is there ------------------------------------------------------------------------------ */

/* One who is gone reads nothing more: then the thread need not wait for his leave. */
static void wait_until_asked(sonde_attach_block *b)
{
    const struct timespec pause = { 0, LOOK_NS };
    uint64_t heard_ns = sonde_mono_ns();
    uint32_t beat = atomic_load_explicit(&b->beat, memory_order_relaxed), now;

    while (atomic_load_explicit(&b->ask, memory_order_acquire) == SONDE_ATTACH_GO_ON &&
           sonde_prof_is_running() && sonde_mono_ns() - heard_ns < SILENCE_NS) {
        (void)nanosleep(&pause, NULL);
        now = atomic_load_explicit(&b->beat, memory_order_relaxed);
        if (now != beat)
            heard_ns = sonde_mono_ns();
        beat = now;
    }
    if (sonde_mono_ns() - heard_ns >= SILENCE_NS)
        atomic_store_explicit(&b->ask, SONDE_ATTACH_LEAVE, memory_order_relaxed);
}

/* On a busy machine the last profile may still be about to end. */
static sonde_status start(sonde_attach_block *b, const char **out_why)
{
    const struct timespec pause = { 0, LOOK_NS };
    uint64_t until = sonde_mono_ns() + SILENCE_NS;
    sonde_status status;

    while ((status = sonde_prof__start_told(told, b, out_why)) == SONDE_ERR_TIMEOUT &&
           sonde_mono_ns() < until &&
           atomic_load_explicit(&b->ask, memory_order_acquire) == SONDE_ATTACH_GO_ON)
        (void)nanosleep(&pause, NULL);
    return status;
}

static void profile(sonde_attach_block *b)
{
    const char *why = "";

    if (atomic_load_explicit(&b->ask, memory_order_acquire) != SONDE_ATTACH_GO_ON) {
        refuse(b, "it took too long to begin");
        return;
    }
    if (start(b, &why) != SONDE_OK) {
        refuse(b, why);
        return;
    }
    atomic_store_explicit(&b->state, SONDE_ATTACH_RUNNING, memory_order_release);
    wait_until_asked(b);
    sonde_prof_stop();
    atomic_store_explicit(&b->state, SONDE_ATTACH_ENDED, memory_order_release);
}

/* Made by some thread of the program, we are like it: our threads need no better place than its first one has. */
static void be_ordinary(void)
{
    const struct sched_param none = { .sched_priority = 0 };
    cpu_set_t processors;

    if (sched_getscheduler(0) > SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_OTHER, &none);
    if (sched_getaffinity(getpid(), sizeof(processors), &processors) == 0)
        (void)sched_setaffinity(0, sizeof(processors), &processors);
}

SONDE_API void sonde_prof_attach(sonde_attach_block *b)
{
    bool no = false;

    if (b->magic != SONDE_ATTACH_MAGIC || b->version != SONDE_ATTACH_VERSION) {
        atomic_store_explicit(&b->state, SONDE_ATTACH_REFUSED, memory_order_release);
        return;
    }
    if (b->library_fd >= 0)
        (void)close(b->library_fd);
    if (!atomic_compare_exchange_strong_explicit(&is_on, &no, true, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        refuse(b, "somebody else is profiling it this way");
        return;
    }
    (void)prctl(PR_SET_NAME, "sonde-attach");
    be_ordinary();
    sonde_prof__files_look();
    sonde_prof__thread_is_ours();
    profile(b);
    sonde_prof__thread_is_ours_no_more();
    atomic_store_explicit(&is_on, false, memory_order_release);
}
