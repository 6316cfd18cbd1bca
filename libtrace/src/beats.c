/* beats.c - the table of beats, and when each is due. */
#include "beats.h"

#include <stdatomic.h>

#include "abandoned.h"
#include "collector.h"
#include "crash_socket.h"
#include "flare.h"
#include "flusher.h"
#include "own_metrics.h"
#include "remote.h"
#include "statsd_beat.h"
#include "telemetry.h"

/* A file's own beat joins here. */
static const sonde__beat *const table[] = {
    &sonde__telemetry_beat,   &sonde__abandoned_beat,    &sonde__remote_beat, &sonde__statsd_beat,
    &sonde__own_metrics_beat, &sonde__crash_socket_beat, &sonde__flare_beat,
};

#define TABLE_LEN (sizeof(table) / sizeof(table[0]))

_Static_assert(TABLE_LEN <= SONDE__BEATS_MAX, "a place for each");

typedef struct place {
    bool open; /* wanted in this life; of the flusher, guarded by its `work`, as `due` */
    uint64_t due_mono_ns;
    _Atomic bool hurry;
} place;

static const sonde__beat *const *beats = table;
static unsigned beats_len = TABLE_LEN;
static place places[SONDE__BEATS_MAX];

/* A program under test talks to no agent. */
static bool is_wanted(const sonde__beat *b, const sonde__config *c)
{
    return !sonde__collector_is_open() && b->wanted(c);
}

bool sonde__beats_wanted(const sonde__config *c)
{
    unsigned i;

    for (i = 0; i < beats_len; i++)
        if (is_wanted(beats[i], c) && !(beats[i]->idle && beats[i]->idle()))
            return true;
    return false;
}

void sonde__beats_open(const sonde__config *c)
{
    unsigned i;

    for (i = 0; i < beats_len; i++) {
        places[i].open = is_wanted(beats[i], c);
        places[i].due_mono_ns = places[i].open ? 0 : SONDE__NEVER;
        atomic_store_explicit(&places[i].hurry, false, memory_order_relaxed);
    }
}

static place *longest_due(void)
{
    place *first = &places[0];
    unsigned i;

    for (i = 0; i < beats_len; i++) {
        if (atomic_exchange_explicit(&places[i].hurry, false, memory_order_acquire) &&
            places[i].open)
            places[i].due_mono_ns = 0;
        if (places[i].due_mono_ns < first->due_mono_ns)
            first = &places[i];
    }
    return first;
}

uint64_t sonde__beats_work(uint64_t now_mono_ns)
{
    place *p;

    if (beats_len == 0)
        return SONDE__NEVER;
    p = longest_due();
    if (p->open && p->due_mono_ns <= now_mono_ns) {
        p->due_mono_ns = beats[p - places]->work(now_mono_ns);
        p = longest_due();
    }
    return p->due_mono_ns;
}

void sonde__beats_last(uint64_t now_mono_ns)
{
    unsigned i;

    for (i = 0; i < beats_len; i++)
        if (places[i].open && beats[i]->last)
            beats[i]->last(now_mono_ns);
}

void sonde__beats_forget(void)
{
    unsigned i;

    for (i = 0; i < beats_len; i++) {
        places[i].open = false;
        places[i].due_mono_ns = SONDE__NEVER;
        if (beats[i]->forget)
            beats[i]->forget();
    }
}

void sonde__beat_hurry(const sonde__beat *beat)
{
    unsigned i;

    for (i = 0; i < beats_len; i++)
        if (beats[i] == beat)
            /* pairs with longest_due() */
            atomic_store_explicit(&places[i].hurry, true, memory_order_release);
    sonde__flusher_rouse();
}

void sonde__beats_replace(const sonde__beat *const *stand_ins, unsigned len)
{
    beats = stand_ins ? stand_ins : table;
    beats_len = stand_ins ? len : TABLE_LEN;
}
