/* counters.c - one set per thread area and a shared one. */
#include "counters.h"

#include <string.h>

#include "area.h"
#include "sender.h"
#include "tracer.h"

static sonde__counts shared; /* of the flusher and of threads without an area */

void sonde__count(unsigned which, uint64_t n)
{
    sonde__area *a = sonde__self;

    if (a)
        sonde__count_own(&a->counts, which, n);
    else
        atomic_fetch_add_explicit(&shared.n[which], n, memory_order_relaxed);
}

void sonde__count_dropped(unsigned reason, uint64_t spans, uint64_t chunks)
{
    sonde__count(SONDE__SPANS_DROPPED + reason, spans);
    sonde__count(SONDE__CHUNKS_DROPPED + reason, chunks);
}

static uint64_t counted(unsigned which)
{
    /* pairs with the publication of an area */
    const sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);
    uint64_t sum = atomic_load_explicit(&shared.n[which], memory_order_relaxed);

    for (; a; a = a->next)
        sum += atomic_load_explicit(&a->counts.n[which], memory_order_relaxed);
    return sum;
}

static void add(const sonde__counts *c, uint64_t out[SONDE__COUNTERS])
{
    int i;

    for (i = 0; i < SONDE__COUNTERS; i++)
        out[i] += atomic_load_explicit(&c->n[i], memory_order_relaxed);
}

void sonde__counters_sum(uint64_t out[SONDE__COUNTERS])
{
    const sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    memset(out, 0, SONDE__COUNTERS * sizeof(out[0]));
    add(&shared, out);
    for (; a; a = a->next)
        add(&a->counts, out);
}

static void clear(sonde__counts *c)
{
    int i;

    for (i = 0; i < SONDE__COUNTERS; i++)
        atomic_store_explicit(&c->n[i], 0, memory_order_relaxed);
}

void sonde__counters_postfork_child(void)
{
    sonde__area *a = atomic_load_explicit(&sonde__areas, memory_order_acquire);

    clear(&shared);
    for (; a; a = a->next)
        clear(&a->counts);
}

/* What went out is read before what came in, so that a reader among running threads never sees more
 * delivered than finished. */
static void read_flow(sonde_counters *c)
{
    uint64_t spans = 0;
    uint64_t chunks = 0;
    unsigned i;

    c->spans_delivered = counted(SONDE__SPANS_DELIVERED);
    c->chunks_delivered = counted(SONDE__CHUNKS_DELIVERED);
    for (i = 0; i < SONDE_DROPS; i++) {
        c->spans_dropped[i] = counted(SONDE__SPANS_DROPPED + i);
        c->chunks_dropped[i] = counted(SONDE__CHUNKS_DROPPED + i);
        spans += c->spans_dropped[i];
        chunks += c->chunks_dropped[i];
    }
    c->chunks_queued_total = counted(SONDE__CHUNKS_QUEUED);
    c->chunks_queued = c->chunks_queued_total - c->chunks_delivered - chunks;
    c->spans_finished = counted(SONDE__SPANS_FINISHED);
    c->spans_queued = c->spans_finished - c->spans_delivered - spans;
    c->spans_started = counted(SONDE__SPANS_STARTED);
    c->spans_open = c->spans_started - c->spans_finished;
}

void sonde_counters_read(sonde_counters *out)
{
    uint32_t bytes;
    sonde_counters c;

    if (!out)
        return;
    bytes = out->struct_bytes ? out->struct_bytes : (uint32_t)sizeof(c);
    if (bytes > sizeof(c))
        bytes = (uint32_t)sizeof(c);
    memset(&c, 0, sizeof(c));
    c.struct_bytes = out->struct_bytes;
    c.drops = SONDE_DROPS;
    read_flow(&c);
    c.payloads_sent = counted(SONDE__PAYLOADS_SENT);
    c.payloads_failed = counted(SONDE__PAYLOADS_FAILED);
    c.payload_bytes = counted(SONDE__PAYLOAD_BYTES);
    c.send_retries = counted(SONDE__SEND_RETRIES);
    c.tags_truncated = counted(SONDE__TAGS_TRUNCATED);
    c.tags_dropped = counted(SONDE__TAGS_DROPPED);
    c.links_dropped = counted(SONDE__LINKS_DROPPED);
    c.events_dropped = counted(SONDE__EVENTS_DROPPED);
    c.services_refused = counted(SONDE__SERVICES_REFUSED);
    c.activations_refused = counted(SONDE__ACTIVATIONS_REFUSED);
    c.contexts_refused = counted(SONDE__CONTEXTS_REFUSED);
    c.threads_refused = counted(SONDE__THREADS_REFUSED);
    c.ctx_records_full = counted(SONDE__CTX_RECORDS_FULL);
    c.ctx_foreign_publisher = counted(SONDE__CTX_FOREIGN_PUBLISHER);
    c.baggage_dropped = counted(SONDE__BAGGAGE_DROPPED);
    c.tail_kept = counted(SONDE__TAIL_KEPT);
    c.tail_refused = counted(SONDE__TAIL_REFUSED);
    c.tail_evicted = counted(SONDE__TAIL_EVICTED);
    c.telemetry_sent = counted(SONDE__TELEMETRY_SENT);
    c.telemetry_failed = counted(SONDE__TELEMETRY_FAILED);
    c.telemetry_dropped = counted(SONDE__TELEMETRY_DROPPED);
    c.remote_updates = counted(SONDE__REMOTE_UPDATES);
    c.remote_rejected = counted(SONDE__REMOTE_REJECTED);
    c.flares_sent = counted(SONDE__FLARES_SENT);
    c.flares_failed = counted(SONDE__FLARES_FAILED);
    c.telemetry_left_out = counted(SONDE__TELEMETRY_LEFT_OUT);
    c.spans_abandoned = counted(SONDE__SPANS_ABANDONED);
    c.memory_bytes = sonde__cells_used_bytes() + sonde__areas_bytes() + sonde__sender_bytes();
    c.memory_max_bytes = sonde__settings() ? sonde__settings()->memory_bytes : 0;
    c.stats_spans_delivered = counted(SONDE__STATS_SPANS_DELIVERED);
    c.stats_spans_lost = counted(SONDE__STATS_SPANS_LOST);
    c.stats_spans_collapsed = counted(SONDE__STATS_SPANS_COLLAPSED);
    c.stats_spans = counted(SONDE__STATS_SPANS);
    c.stats_payloads_sent = counted(SONDE__STATS_PAYLOADS_SENT);
    c.stats_payloads_failed = counted(SONDE__STATS_PAYLOADS_FAILED);
    c.blackbox_no_place = counted(SONDE__BLACKBOX_NO_PLACE);
    c.blackbox_no_area = counted(SONDE__BLACKBOX_NO_AREA);
    c.otel_ctx_failed = counted(SONDE__OTEL_CTX_FAILED);
    memcpy(out, &c, bytes);
}

const char *sonde_drop_name(uint32_t drop)
{
    static const char *const names[] = {
#define X(name, text) text,
        SONDE_DROP_MAP(X)
#undef X
    };

    return drop < SONDE_DROPS ? names[drop] : "unknown";
}
