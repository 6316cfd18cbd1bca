/* statsd_beat.c - the background thread sends what statsd clients collected, so that the program's threads
 * need not. */
#include "statsd_beat.h"

#include "statsd_client.h"

#define WAIT_NS (50 * (uint64_t)SONDE_NS_PER_MS) /* for full sockets */

static bool wanted(const sonde__config *c)
{
    return c->enabled;
}

typedef struct round_of_sends {
    uint64_t now_mono_ns;
    bool all;
    uint64_t next_mono_ns;
} round_of_sends;

static void send_round(void *user)
{
    round_of_sends *r = (round_of_sends *)user;

    r->next_mono_ns =
        sonde__statsd_send_due(r->now_mono_ns, r->all, sonde_deadline(r->now_mono_ns, WAIT_NS));
}

static uint64_t work(uint64_t now_mono_ns)
{
    round_of_sends r = { .now_mono_ns = now_mono_ns };

    atomic_store_explicit(&sonde__statsd_tended, true, memory_order_relaxed);
    sonde__beat_apart(send_round, &r);
    return r.next_mono_ns;
}

static void last(uint64_t now_mono_ns)
{
    round_of_sends r = { .now_mono_ns = now_mono_ns, .all = true };

    sonde__beat_apart(send_round, &r);
}

static void forget(void)
{
    atomic_store_explicit(&sonde__statsd_tended, false, memory_order_relaxed);
}

static bool is_idle(void)
{
    return !sonde__statsd_has_clients();
}

const sonde__beat sonde__statsd_beat = { "statsd", wanted, work, last, forget, is_idle };
