/* endpoint.c - the life of deliveries to one intake. */
#include "endpoint.h"

#include "base/clock.h"

const char *const forwarder_drop_names[FORWARDER_DROPS] = {
#define X(name, text) [FORWARDER_DROP_##name] = text,
    FORWARDER_DROP_MAP(X)
#undef X
};

static void tally_add(tally t[UPLOAD_KINDS], const upload *u)
{
    t[u->kind].payloads++;
    t[u->kind].items += u->items;
    t[u->kind].chunks += u->chunks;
    t[u->kind].bytes += u->body_len;
}

static void tally_remove(tally t[UPLOAD_KINDS], const upload *u)
{
    t[u->kind].payloads--;
    t[u->kind].items -= u->items;
    t[u->kind].chunks -= u->chunks;
    t[u->kind].bytes -= u->body_len;
}

/* Ends the life of a delivery that is neither waiting nor in flight. */
static void drop(endpoint *e, delivery *d, forwarder_drop why)
{
    tally_remove(e->counters.queued, &d->upload->what);
    tally_add(e->counters.dropped[why], &d->upload->what);
    delivery_free(d);
}

static size_t held_bytes(const endpoint *e)
{
    return e->waiting.bytes + e->in_flight_bytes;
}

void endpoint_lose(endpoint *e, const upload *u)
{
    tally_add(e->counters.accepted, u);
    tally_add(e->counters.dropped[FORWARDER_DROP_NO_MEMORY], u);
}

void endpoint_push(endpoint *e, delivery *d, uint64_t now_mono_ns)
{
    size_t bytes = d->upload->what.body_len;

    tally_add(e->counters.accepted, &d->upload->what);
    tally_add(e->counters.queued, &d->upload->what);
    d->endpoint = e;
    d->sequence = ++e->sequence;
    d->accepted_mono_ns = now_mono_ns;
    if (bytes > e->limits.memory_bytes) {
        drop(e, d, FORWARDER_DROP_TOO_BIG);
        return;
    }
    while (held_bytes(e) > e->limits.memory_bytes - bytes && e->waiting.len)
        drop(e, delivery_queue_pop(&e->waiting), FORWARDER_DROP_BUDGET);
    if (held_bytes(e) > e->limits.memory_bytes - bytes)
        drop(e, d, FORWARDER_DROP_BUDGET); /* everything else is in flight */
    else
        delivery_queue_push(&e->waiting, d);
}

static void drop_expired(endpoint *e, uint64_t now_mono_ns)
{
    const delivery *d;

    while ((d = delivery_queue_peek(&e->waiting)) != NULL &&
           now_mono_ns > sonde_deadline(d->accepted_mono_ns, e->limits.max_age_ns))
        drop(e, delivery_queue_pop(&e->waiting), FORWARDER_DROP_EXPIRED);
}

delivery *endpoint_next(endpoint *e, uint64_t now_mono_ns, uint64_t *out_wake_mono_ns)
{
    size_t requests = endpoint_is_failing(e) ? 1 : e->limits.requests;
    delivery *d;

    *out_wake_mono_ns = UINT64_MAX;
    drop_expired(e, now_mono_ns);
    if (!e->waiting.len || e->in_flight >= requests)
        return NULL;
    if (now_mono_ns < e->next_try_mono_ns) {
        *out_wake_mono_ns = e->next_try_mono_ns;
        return NULL;
    }
    d = delivery_queue_pop(&e->waiting);
    e->in_flight++;
    e->in_flight_bytes += d->upload->what.body_len;
    e->counters.attempts++;
    d->attempts++;
    return d;
}

/* Requests that were in flight together fail together: that is one failure, not five. */
static void pause_after_failure(endpoint *e, uint64_t now_mono_ns, uint64_t random)
{
    if (now_mono_ns >= e->next_try_mono_ns)
        e->next_try_mono_ns =
            sonde_deadline(now_mono_ns, sonde_backoff_next_ns(&e->backoff, random));
}

void endpoint_done(endpoint *e, delivery *d, outcome what, unsigned http_status,
                   uint64_t now_mono_ns, uint64_t random)
{
    e->in_flight--;
    e->in_flight_bytes -= d->upload->what.body_len;
    e->counters.last_http_status = http_status;
    if (what == OUTCOME_RETRY) {
        pause_after_failure(e, now_mono_ns, random);
        e->counters.retries++;
        if (e->limits.max_attempts && d->attempts >= e->limits.max_attempts)
            drop(e, d, FORWARDER_DROP_RETRIES);
        else
            delivery_queue_push(&e->waiting, d);
        return;
    }
    sonde_backoff_reset(&e->backoff);
    e->next_try_mono_ns = 0;
    if (what == OUTCOME_REFUSED) {
        drop(e, d, FORWARDER_DROP_REFUSED);
        return;
    }
    tally_remove(e->counters.queued, &d->upload->what);
    tally_add(e->counters.delivered, &d->upload->what);
    delivery_free(d);
}

bool endpoint_is_idle(const endpoint *e)
{
    return e->waiting.len == 0 && e->in_flight == 0;
}

bool endpoint_is_failing(const endpoint *e)
{
    return e->backoff.failures > 0;
}

void endpoint_abandon(endpoint *e)
{
    while (e->waiting.len)
        drop(e, delivery_queue_pop(&e->waiting), FORWARDER_DROP_SHUTDOWN);
}
