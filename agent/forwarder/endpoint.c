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

static void tally_move_entry(tally t[UPLOAD_KINDS], const spool_entry *e, bool add)
{
    const upload u = {
        .kind = (int32_t)e->kind, .items = e->items, .chunks = e->chunks, .body_len = e->body_bytes
    };

    if (add)
        tally_add(t, &u);
    else
        tally_remove(t, &u);
}

/* Ends the life of a delivery that is neither waiting nor in flight. */
static void drop(endpoint *e, delivery *d, forwarder_drop why)
{
    tally_remove(e->counters.queued, &d->upload->what);
    tally_add(e->counters.dropped[why], &d->upload->what);
    delivery_free(d);
}

/* What is on disk no more, or never was. */
static void forget_file(endpoint *e, const spool_entry *entry)
{
    if (!entry->sequence)
        return;
    tally_move_entry(e->counters.spooled, entry, false);
    e->spool.bytes -= entry->file_bytes;
}

/* The same for one that is on disk only; the caller removes the file. */
static void drop_on_disk(endpoint *e, const spool_entry *entry, forwarder_drop why)
{
    tally_move_entry(e->counters.queued, entry, false);
    tally_move_entry(e->counters.dropped[why], entry, true);
    forget_file(e, entry);
}

static size_t held_bytes(const endpoint *e)
{
    return e->waiting.bytes + e->in_flight_bytes + e->moving_bytes;
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

static bool has_slot(const endpoint *e)
{
    return e->in_flight < (endpoint_is_failing(e) ? 1 : e->limits.requests);
}

delivery *endpoint_next(endpoint *e, uint64_t now_mono_ns, uint64_t *out_wake_mono_ns)
{
    delivery *d;

    *out_wake_mono_ns = UINT64_MAX;
    drop_expired(e, now_mono_ns);
    if ((!e->waiting.len && !e->spool.len) || !has_slot(e))
        return NULL;
    if (now_mono_ns < e->next_try_mono_ns) {
        *out_wake_mono_ns = e->next_try_mono_ns;
        return NULL;
    }
    if (!e->waiting.len)
        return NULL;
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

bool endpoint_is_last(const endpoint *e, const delivery *d, outcome what)
{
    return what != OUTCOME_RETRY ||
           (e->limits.max_attempts && d->attempts >= e->limits.max_attempts);
}

/* Back to where it was: memory, or disk only. */
static void wait_again(endpoint *e, delivery *d)
{
    if (!d->on_disk.sequence) {
        delivery_queue_push(&e->waiting, d);
    } else if (spool_put(&e->spool, &d->on_disk) == SONDE_OK) {
        delivery_free(d);
    } else { /* the next life will find the file */
        forget_file(e, &d->on_disk);
        drop(e, d, FORWARDER_DROP_NO_MEMORY);
    }
}

void endpoint_done(endpoint *e, delivery *d, outcome what, unsigned http_status,
                   uint64_t now_mono_ns, uint64_t random)
{
    bool is_last = endpoint_is_last(e, d, what);

    e->in_flight--;
    e->in_flight_bytes -= d->upload->what.body_len;
    e->counters.last_http_status = http_status;
    if (d->on_disk.sequence)
        e->loading = false;
    if (is_last)
        forget_file(e, &d->on_disk);
    if (what == OUTCOME_RETRY) {
        pause_after_failure(e, now_mono_ns, random);
        e->counters.retries++;
        if (is_last)
            drop(e, d, FORWARDER_DROP_RETRIES);
        else
            wait_again(e, d);
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

double endpoint_queue_filled(const endpoint *e)
{
    return e->limits.memory_bytes ? (double)held_bytes(e) / (double)e->limits.memory_bytes : 0;
}

double endpoint_connections_filled(const endpoint *e)
{
    return e->limits.requests ? (double)e->in_flight / (double)e->limits.requests : 0;
}

void endpoint_abandon(endpoint *e)
{
    while (e->waiting.len)
        drop(e, delivery_queue_pop(&e->waiting), FORWARDER_DROP_SHUTDOWN);
}

/* ---- the disk ---- */

void endpoint_recover(endpoint *e)
{
    size_t i;

    for (i = 0; i < e->spool.len; i++) {
        const spool_entry *entry = &e->spool.entries[e->spool.first + i];

        tally_move_entry(e->counters.recovered, entry, true);
        tally_move_entry(e->counters.queued, entry, true);
        tally_move_entry(e->counters.spooled, entry, true);
    }
    e->sequence = spool_last_sequence(&e->spool);
}

static bool waits_too_long(const endpoint *e, uint64_t now_mono_ns)
{
    const delivery *oldest = delivery_queue_peek(&e->waiting);

    return endpoint_is_failing(e) &&
           now_mono_ns > sonde_deadline(oldest->accepted_mono_ns, e->limits.spill_age_ns);
}

delivery *endpoint_spill(endpoint *e, bool all, uint64_t now_mono_ns)
{
    delivery *d;

    if (!e->waiting.len || !spool_is_usable(&e->spool, now_mono_ns) ||
        !(all || e->waiting.bytes > e->limits.spill_bytes || waits_too_long(e, now_mono_ns)))
        return NULL;
    d = delivery_queue_pop(&e->waiting);
    e->moving_bytes += d->upload->what.body_len;
    return d;
}

bool endpoint_make_room(endpoint *e, uint64_t bytes, uint64_t limit, uint64_t *out_sequence)
{
    spool_entry entry;

    if (!e->spool.len || (bytes <= limit && e->spool.bytes <= limit - bytes &&
                          e->spool.len < SPOOL_FILES_MAX - e->limits.requests))
        return false;
    entry = spool_take(&e->spool);
    drop_on_disk(e, &entry, FORWARDER_DROP_DISK_BUDGET);
    *out_sequence = entry.sequence;
    return true;
}

void endpoint_spilled(endpoint *e, delivery *d, bool ok, uint64_t file_bytes, int error,
                      uint64_t now_mono_ns)
{
    const upload *u = &d->upload->what;
    const spool_entry entry = { .sequence = d->sequence,
                                .accepted_mono_ns = (int64_t)d->accepted_mono_ns,
                                .items = u->items,
                                .chunks = u->chunks,
                                .file_bytes = file_bytes,
                                .body_bytes = (uint32_t)u->body_len,
                                .kind = (uint32_t)u->kind };

    e->moving_bytes -= u->body_len;
    if (ok && spool_put(&e->spool, &entry) == SONDE_OK) {
        e->spool.bytes += file_bytes;
        e->spool.counters.written++;
        tally_move_entry(e->counters.spooled, &entry, true);
        delivery_free(d);
        return;
    }
    spool_failed(&e->spool, error, now_mono_ns);
    delivery_queue_push(&e->waiting, d);
}

/* Memory has its turn first, but never all of them. */
bool endpoint_load(endpoint *e, uint64_t now_mono_ns, spool_entry *out_entry)
{
    const spool_entry *oldest = spool_oldest(&e->spool);

    if (!oldest || e->loading || !has_slot(e) || now_mono_ns < e->next_try_mono_ns ||
        (endpoint_is_failing(e) && e->waiting.len) ||
        held_bytes(e) + oldest->body_bytes > e->limits.memory_bytes)
        return false;
    *out_entry = spool_take(&e->spool);
    e->loading = true;
    e->in_flight++;
    e->in_flight_bytes += out_entry->body_bytes;
    return true;
}

void endpoint_loaded(endpoint *e, const spool_entry *entry, delivery *d, bool keep,
                     uint64_t now_mono_ns)
{
    if (d) {
        d->endpoint = e;
        d->attempts++;
        e->counters.attempts++;
        e->spool.counters.read++;
        return;
    }
    e->loading = false;
    e->in_flight--;
    e->in_flight_bytes -= entry->body_bytes;
    if (keep && spool_put(&e->spool, entry) == SONDE_OK) {
        e->next_try_mono_ns = sonde_deadline(now_mono_ns, e->backoff.base_ns);
        return;
    }
    e->spool.counters.corrupt += !keep;
    drop_on_disk(e, entry, keep ? FORWARDER_DROP_NO_MEMORY : FORWARDER_DROP_CORRUPT);
}

bool endpoint_expire_on_disk(endpoint *e, uint64_t now_mono_ns, uint64_t *out_sequence)
{
    const spool_entry *oldest = spool_oldest(&e->spool);
    spool_entry entry;

    if (!oldest ||
        (int64_t)now_mono_ns - oldest->accepted_mono_ns <=
            (int64_t)(e->limits.max_age_ns < INT64_MAX ? e->limits.max_age_ns : INT64_MAX))
        return false;
    entry = spool_take(&e->spool);
    drop_on_disk(e, &entry, FORWARDER_DROP_EXPIRED);
    *out_sequence = entry.sequence;
    return true;
}
