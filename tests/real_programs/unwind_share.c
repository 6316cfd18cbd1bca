/* unwind_share.c - how many stacks of a real program can be followed to the function its thread began with.
 *
 * Preloaded into it, with the samplers and no wire.  SONDE_UNWIND_SHARE names the beginning of a file name; each process
 * writes PREFIX.PID, a JSON object of counts by how walks ended, once a second and at its end.  The first few stacks
 * that could not be followed come along.
 *
 * Threads   one of its own.
 * Bounds    BROKEN_MAX stacks. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "profiler/src/arena.h"
#include "profiler/src/counts.h"
#include "profiler/src/maps.h"
#include "profiler/src/samplers.h"
#include "profiler/src/threads.h"

#define BROKEN_MAX 20u
#define TEXT_BYTES 4000u
#define ENDS       6u
#define WARM_UP_NS (3 * (uint64_t)SONDE_NS_PER_S)

static const char *const end_names[ENDS] = { "complete", "truncated",  "no_rule",
                                             "bad_cfa",  "unreadable", "no_range" };
static uint64_t ends[2][ENDS]; /* CPU, wall */
static uint64_t frames;
static char broken[BROKEN_MAX][TEXT_BYTES];
static uint32_t broken_len;
static char prefix[256]; /* a copy: servers write their title over the environment */
/* before it modules come and go, and there are no tables of them for a moment */
static uint64_t count_from_ns;

/* -- counting --------------------------------------------------------------------------------------- */

static const char *base_name(sonde_str path)
{
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

    return path.len == 0 ? "?" : slash ? slash + 1 : path.ptr;
}

/* object+offset, the interrupted frame first */
static void describe(const sonde_prof__sample *s, char *out)
{
    size_t n = (size_t)snprintf(out, TEXT_BYTES, "%s:", end_names[s->end]);
    uint32_t i;

    for (i = 0; i < s->depth && n < TEXT_BYTES - 100; i++) {
        const sonde_prof__loaded *object = sonde_prof__maps_find(s->frames[i]);

        n += (size_t)snprintf(out + n, TEXT_BYTES - n, " %.40s+0x%llx",
                              object ? base_name(object->path) : "?",
                              (unsigned long long)(s->frames[i] - (object ? object->bias : 0)));
    }
}

static void count(const sonde_prof__sample *s)
{
    if ((s->kind != SONDE_PROF__CPU && s->kind != SONDE_PROF__WALL) || s->mono_ns < count_from_ns)
        return;
    ends[s->kind == SONDE_PROF__WALL][s->end]++;
    frames += s->depth;
    if (s->end > SONDE_PROF__TRUNCATED && broken_len < BROKEN_MAX)
        describe(s, broken[broken_len++]);
}

static void drain(void)
{
    uint32_t i;

    for (i = 0; i < sonde_prof__slots_count(); i++) {
        sonde_prof__ring *r = &sonde_prof__slot_at(i)->ring;
        const sonde_prof__sample *s;

        for (; (s = sonde_prof__ring_peek(r)) != NULL; sonde_prof__ring_pop(r))
            count(s);
    }
}

/* -- the report ------------------------------------------------------------------------------------- */

static void write_ends(FILE *f, const char *kind, const uint64_t *counts)
{
    uint32_t i;

    (void)fprintf(f, "  \"%s\": {", kind);
    for (i = 0; i < ENDS; i++)
        (void)fprintf(f, "%s\"%s\": %llu", i ? ", " : "", end_names[i],
                      (unsigned long long)counts[i]);
    (void)fprintf(f, "},\n");
}

static void report(void)
{
    char name[512];
    uint32_t i;
    FILE *f;

    (void)snprintf(name, sizeof(name), "%s.%ld", prefix, (long)getpid());
    f = fopen(name, "we");
    if (!f)
        return;
    (void)fchmod(fileno(f), 0666); /* a worker may become another user */
    (void)fprintf(f, "{\n");
    write_ends(f, "cpu", ends[0]);
    write_ends(f, "wall", ends[1]);
    (void)fprintf(
        f, "  \"frames\": %llu, \"handler_ns\": %llu, \"program\": \"%s\",\n  \"broken\": [",
        (unsigned long long)frames, (unsigned long long)atomic_load(&sonde_prof__count.handler_ns),
        program_invocation_short_name);
    for (i = 0; i < broken_len; i++)
        (void)fprintf(f, "%s\n    \"%s\"", i ? "," : "", broken[i]);
    (void)fprintf(f, "\n  ]\n}\n");
    (void)fclose(f);
}

/* -- life ------------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    uint64_t next_report_ns = 0, now;

    (void)arg;
    sonde_prof__thread_is_ours();
    for (;;) {
        sonde_prof__samplers_wait(50 * (uint64_t)SONDE_NS_PER_MS);
        now = sonde_mono_ns();
        sonde_prof__samplers_tick(now);
        if (sonde_prof__maps_refresh(now) != SONDE_OK)
            continue;
        drain();
        if (now < next_report_ns)
            continue;
        next_report_ns = now + SONDE_NS_PER_S;
        report();
    }
    return NULL;
}

static void start_thread(void)
{
    pthread_t thread;

    count_from_ns = sonde_mono_ns() + WARM_UP_NS;
    sonde_prof__self.depth++;
    if (sonde_thread_start(&thread, "share-drain", (size_t)1024 * 1024, run, NULL) != SONDE_OK)
        sonde_prof__samplers_stop();
    sonde_prof__self.depth--;
}

static void prefork(void)
{
    sonde_prof__samplers_prefork();
    sonde_prof__arena_prefork();
}

static void postfork_parent(void)
{
    sonde_prof__arena_postfork_parent();
    sonde_prof__samplers_postfork_parent();
}

static void postfork_child(void)
{
    sonde_prof__arena_postfork_child();
    sonde_prof__maps_postfork_child();
    sonde_prof__samplers_postfork_child();
    memset(ends, 0, sizeof(ends));
    frames = broken_len = 0;
    start_thread();
}

__attribute__((constructor)) static void begin(void)
{
    static const sonde_prof__sampler_settings settings = { .cpu = true,
                                                           .wall = true,
                                                           .cpu_period_ns = SONDE_NS_PER_MS,
                                                           .wall_interval_ns =
                                                               5 * SONDE_NS_PER_MS };
    static const sonde_fork_hooks hooks = { SONDE_RANK_LIFECYCLE, prefork, postfork_parent,
                                            postfork_child };
    const char *wanted = getenv("SONDE_UNWIND_SHARE");

    if (!wanted || strlen(wanted) >= sizeof(prefix))
        return;
    memcpy(prefix, wanted, strlen(wanted) + 1);
    sonde_prof__arena_install();
    if (sonde_prof__maps_refresh(sonde_mono_ns()) != SONDE_OK ||
        sonde_fork_register(&hooks) != SONDE_OK ||
        sonde_prof__samplers_start(&settings) != SONDE_OK)
        return;
    start_thread();
}

__attribute__((destructor)) static void end(void)
{
    if (!prefix[0])
        return;
    sonde_prof__samplers_stop();
    report(); /* the thread may be at it, too: the same numbers */
}
