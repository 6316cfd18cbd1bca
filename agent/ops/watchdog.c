/* watchdog.c - the three verdicts. */
#include "watchdog.h"

void watchdog_init(watchdog *w, uint64_t limit_bytes, uint64_t kill_bytes)
{
    *w = (watchdog){ .limit_bytes = limit_bytes, .kill_bytes = kill_bytes };
}

static void see_cpu(watchdog *w, double cpu_user_s, uint64_t now_mono_ns)
{
    uint64_t span_ns = now_mono_ns - w->cpu_from_ns;

    if (w->cpu_from_ns && span_ns < WATCHDOG_CPU_SPAN_NS)
        return;
    if (w->cpu_from_ns)
        w->cpu_percent = (cpu_user_s - w->cpu_from_s) * 1e9 / (double)span_ns * 100;
    w->cpu_from_ns = now_mono_ns;
    w->cpu_from_s = cpu_user_s;
}

watch_verdict watchdog_see(watchdog *w, uint64_t memory_bytes, double cpu_user_s,
                           uint64_t now_mono_ns)
{
    see_cpu(w, cpu_user_s, now_mono_ns);
    if (!w->kill_bytes)
        return WATCH_FINE;
    if (memory_bytes > w->kill_bytes)
        return WATCH_KILL;
    if (memory_bytes > w->limit_bytes) {
        w->sheds += !w->shedding;
        w->shedding = true;
    } else if (memory_bytes < w->limit_bytes / 10 * 9) {
        w->shedding = false;
    }
    return w->shedding ? WATCH_SHED : WATCH_FINE;
}
