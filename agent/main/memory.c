/* memory.c - looks at the process now and then, and at every large body. */
#include "memory.h"

static uint64_t percent(const memory_guard *g, unsigned n)
{
    return g->limit_bytes / 100 * n;
}

static uint64_t look(memory_guard *g, uint64_t now_mono_ns)
{
    uint64_t bytes = g->look();

    atomic_store_explicit(&g->seen_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&g->seen_mono_ns, now_mono_ns, memory_order_relaxed);
    return bytes;
}

void memory_guard_init(memory_guard *g, uint64_t limit_bytes, uint64_t (*how)(void))
{
    g->limit_bytes = limit_bytes;
    g->look = how;
    atomic_init(&g->seen_bytes, 0);
    atomic_init(&g->seen_mono_ns, 0);
    g->trimmed_mono_ns = 0;
}

bool memory_has_room(memory_guard *g, size_t bytes, uint64_t now_mono_ns)
{
    uint64_t seen_at = atomic_load_explicit(&g->seen_mono_ns, memory_order_relaxed);
    uint64_t seen = atomic_load_explicit(&g->seen_bytes, memory_order_relaxed);

    if (!g->limit_bytes)
        return true;
    if (bytes >= MEMORY_LOOK_BYTES || now_mono_ns - seen_at >= MEMORY_LOOK_NS)
        seen = look(g, now_mono_ns);
    return bytes <= g->limit_bytes && seen + bytes <= percent(g, MEMORY_CAP_PERCENT);
}

bool memory_wants_trim(memory_guard *g, uint64_t now_mono_ns)
{
    if (!g->limit_bytes || now_mono_ns - g->trimmed_mono_ns < MEMORY_TRIM_NS ||
        look(g, now_mono_ns) < percent(g, MEMORY_TRIM_PERCENT))
        return false;
    g->trimmed_mono_ns = now_mono_ns;
    return true;
}
