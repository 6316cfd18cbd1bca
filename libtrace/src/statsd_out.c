/* statsd_out.c - the ring of datagrams. */
#include "statsd_out.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

sonde_status sonde__statsd_out_open(sonde__statsd_out *o, const sonde__statsd_address *to,
                                    uint32_t max_datagram_bytes)
{
    uint32_t slots = SONDE__STATSD_QUEUE_BYTES / max_datagram_bytes;
    sonde_status status;

    if (slots < 2)
        slots = 2;
    if (slots > SONDE__STATSD_SLOTS_MAX)
        slots = SONDE__STATSD_SLOTS_MAX;
    memset(o, 0, sizeof(*o));
    o->slot_bytes = max_datagram_bytes;
    o->slots = slots;
    o->bytes = (uint8_t *)sonde_malloc((size_t)slots * max_datagram_bytes);
    o->slot = (sonde__statsd_slot *)sonde_calloc(slots, sizeof(*o->slot));
    status = sonde__statsd_socket_open(&o->socket, to, max_datagram_bytes);
    sonde_mutex_init(&o->mu, SONDE_RANK_STATSD_OUT);
    sonde_cond_init(&o->sent);
    if (o->bytes && o->slot && status == SONDE_OK)
        return SONDE_OK;
    sonde__statsd_out_close(o);
    return SONDE_ERR_NOMEM;
}

void sonde__statsd_out_close(sonde__statsd_out *o)
{
    sonde__statsd_socket_close(&o->socket);
    sonde_free(o->slot);
    sonde_free(o->bytes);
    (void)pthread_cond_destroy(&o->sent);
    sonde_mutex_done(&o->mu);
}

/* -- lines in ------------------------------------------------------------------------------------- */

static uint32_t last_of(const sonde__statsd_out *o)
{
    return (o->first + o->used - 1) % o->slots;
}

static bool open_slot(sonde__statsd_out *o)
{
    if (o->is_open)
        return true;
    if (o->used == o->slots)
        return false;
    o->used++;
    o->slot[last_of(o)] = (sonde__statsd_slot){ 0, 0 };
    o->is_open = true;
    return true;
}

/* One line, into the open datagram or into a new one. */
static void add_line(sonde__statsd_out *o, sonde__statsd_putter put, void *user, bool *io_more)
{
    int attempts;

    o->lines++;
    *io_more = false;
    for (attempts = 0; attempts < 2 && open_slot(o); attempts++) {
        sonde__statsd_slot *slot = &o->slot[last_of(o)];
        char *start = (char *)o->bytes + (size_t)last_of(o) * o->slot_bytes;
        char *behind = put(user, start + slot->len, start + o->slot_bytes, io_more);

        if (behind) {
            slot->len = (uint32_t)(behind - start);
            slot->lines++;
            return;
        }
        *io_more = false;
        if (slot->lines == 0) {
            o->dropped[SONDE_STATSD_DROP_TOO_BIG]++;
            return; /* the empty datagram stays open for the next line */
        }
        o->is_open = false;
    }
    o->dropped[SONDE_STATSD_DROP_QUEUE_FULL]++;
}

static bool is_any_full(const sonde__statsd_out *o)
{
    return o->used > (o->is_open ? 1u : 0u);
}

bool sonde__statsd_out_add(sonde__statsd_out *o, sonde__statsd_putter put, void *user)
{
    bool more, full;

    sonde_mutex_lock(&o->mu);
    do
        add_line(o, put, user, &more);
    while (more);
    full = is_any_full(o) && !o->sending;
    sonde_mutex_unlock(&o->mu);
    return full;
}

/* -- datagrams out -------------------------------------------------------------------------------- */

bool sonde__statsd_out_begin(sonde__statsd_out *o, uint64_t deadline_mono_ns)
{
    bool mine;

    sonde_mutex_lock(&o->mu);
    while (o->sending && deadline_mono_ns > 0 && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&o->sent, &o->mu, deadline_mono_ns);
    mine = !o->sending;
    o->sending = true;
    sonde_mutex_unlock(&o->mu);
    return mine;
}

static void account(sonde__statsd_out *o, const sonde__statsd_slot *slot,
                    sonde__statsd_verdict verdict)
{
    static const unsigned reason[] = {
        [SONDE__STATSD_SOCKET_FULL] = SONDE_STATSD_DROP_SOCKET_FULL,
        [SONDE__STATSD_UNREACHABLE] = SONDE_STATSD_DROP_UNREACHABLE,
        [SONDE__STATSD_TOO_BIG] = SONDE_STATSD_DROP_TOO_BIG,
    };

    if (verdict == SONDE__STATSD_SENT) {
        o->lines_sent += slot->lines;
        o->datagrams_sent++;
        o->bytes_sent += slot->len;
    } else {
        o->dropped[reason[verdict]] += slot->lines;
        o->datagrams_dropped++;
    }
}

/* Sends the first datagram, the open one only when `all`.  The lock is not held meanwhile. */
SONDE_NO_TSA static bool send_first_locked(sonde__statsd_out *o, bool all,
                                           uint64_t deadline_mono_ns, bool may_resolve)
{
    sonde__statsd_verdict verdict;
    sonde__statsd_slot slot;
    const uint8_t *data;

    if (o->used == 0 || (!all && !is_any_full(o)) || o->slot[o->first].lines == 0)
        return false;
    if (o->used == 1)
        o->is_open = false;
    slot = o->slot[o->first];
    data = o->bytes + (size_t)o->first * o->slot_bytes;
    sonde_mutex_unlock(&o->mu);
    verdict = sonde__statsd_socket_send(&o->socket, data, slot.len, deadline_mono_ns, may_resolve);
    sonde_mutex_lock(&o->mu);
    account(o, &slot, verdict);
    o->first = (o->first + 1) % o->slots;
    o->used--;
    return true;
}

void sonde__statsd_out_connect(sonde__statsd_out *o)
{
    if (!sonde__statsd_out_begin(o, 0))
        return;
    sonde__statsd_socket_connect(&o->socket);
    sonde__statsd_out_end(o, false, 0, false);
}

void sonde__statsd_out_send_full(sonde__statsd_out *o, uint64_t deadline_mono_ns, bool may_resolve)
{
    sonde_mutex_lock(&o->mu);
    while (send_first_locked(o, false, deadline_mono_ns, may_resolve))
        ;
    sonde_mutex_unlock(&o->mu);
}

void sonde__statsd_out_end(sonde__statsd_out *o, bool all, uint64_t deadline_mono_ns,
                           bool may_resolve)
{
    sonde_mutex_lock(&o->mu);
    while (send_first_locked(o, all, deadline_mono_ns, may_resolve))
        ;
    o->connects = o->socket.connects;
    o->sending = false;
    (void)pthread_cond_signal(&o->sent);
    sonde_mutex_unlock(&o->mu);
}

/* -- fork, counters ------------------------------------------------------------------------------- */

void sonde__statsd_out_forget(sonde__statsd_out *o)
{
    sonde_mutex_init(&o->mu, SONDE_RANK_STATSD_OUT);
    sonde_cond_init(&o->sent);
    sonde__statsd_socket_reset(&o->socket);
    o->socket.connects = o->connects = 0;
    o->first = o->used = 0;
    o->is_open = o->sending = false;
    o->lines = o->lines_sent = o->bytes_sent = o->datagrams_sent = o->datagrams_dropped = 0;
    memset(o->dropped, 0, sizeof(o->dropped));
}

void sonde__statsd_out_count(sonde__statsd_out *o, sonde_statsd_counters *out)
{
    uint32_t i;

    sonde_mutex_lock(&o->mu);
    out->lines = o->lines;
    out->lines_sent = o->lines_sent;
    out->lines_queued = o->lines - o->lines_sent;
    for (i = 0; i < SONDE_STATSD_DROPS; i++) {
        out->lines_dropped[i] = o->dropped[i];
        out->lines_queued -= o->dropped[i];
    }
    out->datagrams_sent = o->datagrams_sent;
    out->datagrams_dropped = o->datagrams_dropped;
    out->bytes_sent = o->bytes_sent;
    out->connects = o->connects;
    sonde_mutex_unlock(&o->mu);
}
