/* bench_unwind.c - stepping through a 40-deep stack: nanoseconds a frame by our tables, and by libgcc's unwinder. */
#include <stdio.h>
#include <ucontext.h>
#include <unwind.h>

#include <pthread.h>

#include "base/clock.h"
#include "profiler/src/regs.h"
#include "tests/unit/profiler/loaded.h"

#define DEPTH  40
#define ROUNDS 20000

static loaded objects;
static sonde_prof__stack own_stack;
static volatile int sink;

static uint32_t by_tables(const sonde_prof__regs *regs)
{
    uint64_t out[SONDE_PROF__FRAMES_MAX];
    sonde_prof__end end;

    return sonde_prof__unwind(&objects.map, regs, &own_stack, out, SONDE_PROF__FRAMES_MAX, &end);
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *user)
{
    (void)context;
    ++*(uint32_t *)user;
    return _URC_NO_REASON;
}

static __attribute__((noinline)) void measure_from(const ucontext_t *here)
{
    uint64_t all[16];
    const sonde_prof__regs regs = sonde_prof__regs_of(here, all);
    uint64_t start, ours, theirs;
    uint32_t frames = 0, their_frames = 0, i;

    start = sonde_mono_ns();
    for (i = 0; i < ROUNDS; i++)
        frames += by_tables(&regs);
    ours = sonde_mono_ns() - start;
    (void)_Unwind_Backtrace(count_frame, &their_frames); /* fills its caches */
    their_frames = 0;
    start = sonde_mono_ns();
    for (i = 0; i < ROUNDS; i++)
        (void)_Unwind_Backtrace(count_frame, &their_frames);
    theirs = sonde_mono_ns() - start;
    (void)printf(
        "{\"bench\":\"unwind\",\"ns_per_frame\":%.2f,\"frames\":%u,\"libgcc_ns_per_frame\":%.2f}\n",
        (double)ours / frames, frames / ROUNDS, (double)theirs / their_frames);
}

static void measure(void)
{
    ucontext_t here;

    (void)getcontext(&here);
    measure_from(&here);
}

static __attribute__((noinline)) int dive(int depth)
{
    volatile int kept[4] = { depth, depth, depth, depth };

    if (depth == 0)
        measure();
    else
        sink += dive(depth - 1);
    return kept[depth % 4];
}

static void measure_tables(void)
{
    size_t bytes = 0;
    uint32_t i, rows = 0;
    uint64_t start = sonde_mono_ns();

    loaded_read(&objects);
    start = sonde_mono_ns() - start;
    for (i = 0; i < objects.map.len; i++) {
        bytes += sonde_prof__table_bytes(objects.tables[i]);
        rows += objects.tables[i]->rows_len;
    }
    (void)printf(
        "{\"bench\":\"unwind_tables\",\"ms\":%.2f,\"kib\":%.1f,\"rows\":%u,\"objects\":%u}\n",
        (double)start * 1e-6, (double)bytes / 1024, rows, objects.map.len);
}

int main(void)
{
    pthread_attr_t attributes;
    size_t bytes;
    void *lo;

    measure_tables();
    if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
        pthread_attr_getstack(&attributes, &lo, &bytes) != 0)
        return 1;
    (void)pthread_attr_destroy(&attributes);
    own_stack =
        (sonde_prof__stack){ (uint64_t)(uintptr_t)lo, (uint64_t)(uintptr_t)lo + bytes, NULL };
    sink += dive(DEPTH);
    loaded_free(&objects);
    return 0;
}
