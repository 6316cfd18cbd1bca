/* event_sig.c - perf events as handlers meet them: whose signal it is, and what the kernel wrote beside it.
 *
 * A ring is what perf_event_open(2) says: a page of positions, a page of records of whole words.  The kernel writes, the
 * thread reads, in its handler and nowhere else. */
#include "events.h"

#include <linux/perf_event.h>

#include "sampler.h"

#define IS_MARK(address) ((address) >= (uint64_t)PERF_CONTEXT_MAX) /* between parts of a chain */

sonde_prof__perf sonde_prof__events_mode(void)
{
    return (sonde_prof__perf)atomic_load_explicit(&sonde_prof__sampling_now.perf,
                                                  memory_order_relaxed);
}

bool sonde_prof__event_is(const sonde_prof__slot *slot, const siginfo_t *info)
{
    if (info->si_code != POLL_IN)
        return false;
    if (!slot)
        return (sonde_prof__self.gone || sonde_prof__self.passed) &&
               sonde_prof__events_mode() != SONDE_PROF__PERF_NONE;
    return info->si_fd >= 0 &&
           info->si_fd == atomic_load_explicit(&slot->event_known, memory_order_relaxed);
}

static uint64_t word(const struct perf_event_mmap_page *page, uint64_t at)
{
    const uint64_t *data =
        (const uint64_t *)(const void *)((const uint8_t *)page + page->data_offset);

    return data[(at & (page->data_size - 1)) / sizeof(*data)];
}

typedef struct record {
    uint32_t type;
    uint32_t bytes;
    uint64_t at;
} record;

/* The one at `at`; false: there is none.  What cannot be a record ends the ring. */
static bool look(const struct perf_event_mmap_page *page, uint64_t at, record *out)
{
    /* pairs with the kernel's */
    uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
    uint64_t first;

    if (at >= head || page->data_size == 0)
        return false;
    first = word(page, at);
    *out = (record){ (uint32_t)first, (uint32_t)(first >> 48), at };
    return out->bytes >= sizeof(uint64_t) && out->bytes % sizeof(uint64_t) == 0 &&
           out->bytes <= head - at;
}

uint32_t sonde_prof__event_waiting(const void *ring)
{
    const struct perf_event_mmap_page *page = ring;
    uint64_t at = page->data_tail;
    uint32_t n = 0;
    record r;

    for (; look(page, at, &r); at += r.bytes)
        n += r.type == PERF_RECORD_SAMPLE;
    return n;
}

/* { head, number of addresses, addresses... } */
static uint32_t take_frames(const struct perf_event_mmap_page *page, const record *r, uint64_t *end,
                            uint32_t max)
{
    uint64_t len = r->bytes >= 2 * sizeof(uint64_t) ? word(page, r->at + sizeof(uint64_t)) : 0, i;
    uint64_t room = r->bytes / sizeof(uint64_t) - 2, at = r->at + 2 * sizeof(uint64_t);
    uint32_t n = 0, k = 0;

    if (len > room)
        return 0;
    for (i = 0; i < len; i++)
        n += !IS_MARK(word(page, at + i * sizeof(uint64_t)));
    n = n < max ? n : max;
    for (i = 0; i < len && k < n; i++)
        if (!IS_MARK(word(page, at + i * sizeof(uint64_t))))
            end[(int64_t)k++ - (int64_t)n] = word(page, at + i * sizeof(uint64_t));
    return n;
}

static void move_to(struct perf_event_mmap_page *page, uint64_t at)
{
    __atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE); /* what was read has been read */
}

void sonde_prof__event_skip(void *ring)
{
    struct perf_event_mmap_page *page = ring;

    move_to(page, __atomic_load_n(&page->data_head, __ATOMIC_RELAXED));
}

uint32_t sonde_prof__event_next(void *ring, uint64_t *end, uint32_t max)
{
    struct perf_event_mmap_page *page = ring;
    uint64_t at = page->data_tail;
    uint32_t n;
    record r;

    for (; look(page, at, &r); at += r.bytes)
        if (r.type == PERF_RECORD_SAMPLE) {
            n = take_frames(page, &r, end, max);
            move_to(page, at + r.bytes);
            return n;
        }
    sonde_prof__event_skip(page); /* nothing in it is for us */
    return 0;
}
