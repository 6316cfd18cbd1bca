/* payload.c - which form, what of a chunk is sent, and how the memory is divided. */
#include "payload.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "agent_info.h"
#include "counters.h"
#include "p0.h"
#include "trace_filter.h"
#include "wire_span.h"

#define SOFT_BYTES 4750000u

/* For the rest of the process's life, whatever /info says later.  Of the flusher's thread. */
static bool v1_is_refused;

static sonde_status open_form(sonde__payload *p, const sonde__config *config,
                              const char *runtime_id, size_t max_bytes)
{
    char container[SONDE_CONTAINER_ID_MAX];
    char entity[SONDE_CONTAINER_ID_MAX];

    if (p->wanted == SONDE__API_V05)
        return sonde__v05_open(&p->v05, max_bytes);
    if (p->wanted != SONDE__API_V1)
        return SONDE_OK;
    sonde_container_read(container, entity);
    return sonde__v1_open(&p->v1, config, runtime_id, container, max_bytes);
}

sonde_status sonde__payload_open(sonde__payload *p, const sonde__config *config,
                                 const char *runtime_id, size_t max_bytes)
{
    bool counts = config->stats_computation && config->apm_tracing;
    size_t stats_bytes = counts ? max_bytes / 3 : 0;
    size_t v04_bytes = max_bytes - stats_bytes;
    size_t form_bytes = 0;
    sonde_status status;

    memset(p, 0, sizeof(*p));
    p->wanted = config->api_version;
    p->stats_asked_for = config->stats_asked_for;
    p->events_told = config->events_told;
    p->native_events = config->native_events;
    if (p->wanted != SONDE__API_V04)
        form_bytes = v04_bytes / 3 * 2;
    v04_bytes -= form_bytes;
    p->soft_bytes = v04_bytes / 4 * 3 < SOFT_BYTES ? v04_bytes / 4 * 3 : SOFT_BYTES;
    status = sonde__encoder_open(&p->v04, config, runtime_id, v04_bytes);
    if (status == SONDE_OK)
        status = open_form(p, config, runtime_id, form_bytes);
    if (status == SONDE_OK && counts)
        status = sonde__stats_open(config, runtime_id, stats_bytes, (uint64_t)sonde_unix_ns(),
                                   &p->stats);
    return status;
}

void sonde__payload_close(sonde__payload *p)
{
    sonde__encoder_close(&p->v04);
    sonde__v05_close(&p->v05);
    sonde__v1_close(&p->v1);
    sonde__stats_close(p->stats);
    p->stats = NULL;
}

void sonde__payload_reset(sonde__payload *p)
{
    sonde__encoder_reset(&p->v04);
    if (p->form == SONDE__API_V05)
        sonde__v05_reset(&p->v05);
    else if (p->form == SONDE__API_V1)
        sonde__v1_reset(&p->v1);
    p->form = SONDE__API_V04;
}

/* Filters are applied before statistics; where we cannot, both are the agent's work. */
static bool can_count(const sonde__payload *p, const sonde__agent_info *a)
{
    sonde__trace_filter *filter;

    return p->stats && (p->stats_asked_for || sonde__agent_counts_well(a)) && a->client_drop_p0s &&
           !a->cut && sonde__agent_serves(a, SONDE_STR("/v0.6/stats")) &&
           sonde__agent_filter(&filter);
}

static const sonde_str trace_paths[] = { [SONDE__API_V04] = { "/v0.4/traces", 12 },
                                         [SONDE__API_V05] = { "/v0.5/traces", 12 },
                                         [SONDE__API_V1] = { "/v1.0/traces", 12 } };

static uint32_t pick_form(const sonde__payload *p, const sonde__agent_info *a)
{
    if (p->wanted == SONDE__API_V1 && v1_is_refused)
        return SONDE__API_V04;
    return sonde__agent_serves(a, trace_paths[p->wanted]) ? p->wanted : SONDE__API_V04;
}

/* v1 knows no other events, v0.5 none; in v0.4 the program or else the agent says it. */
static bool has_native_events(const sonde__payload *p, const sonde__agent_info *a)
{
    if (p->form != SONDE__API_V04)
        return p->form == SONDE__API_V1;
    return p->events_told ? p->native_events : a->span_events;
}

static void begin(sonde__payload *p)
{
    const sonde__agent_info *a = sonde__agent();

    p->form = pick_form(p, a);
    p->is_counted = p->v04.for_stats = can_count(p, a);
    p->v04.has_structs =
        p->form == SONDE__API_V1 || (p->form == SONDE__API_V04 && a->span_meta_structs);
    p->v04.native_events = has_native_events(p, a);
}

/* Counts the chunk from `at` on, once, and takes out of it what is not sent.  Returns the spans left. */
static uint32_t count_and_trim(sonde__payload *p, const sonde__span *chunk, size_t at)
{
    sonde__decision d = atomic_load_explicit(&chunk->segment->decision, memory_order_relaxed);
    sonde_buf *b = &p->v04.payload;
    uint32_t len = chunk->text.chunk_len;

    if (p->counted_id != chunk->id)
        sonde__stats_add(p->stats, (sonde_str){ (const char *)b->data + at, b->len - at },
                         &p->v04.countable, sonde__agent(), (uint64_t)sonde_unix_ns());
    p->counted_id = chunk->id;
    return sonde__decision_priority(d) > 0 ? len : sonde__p0_trim(b, at);
}

/* Whether the agent would filter the chunk that was just encoded, from `at` on.  The local root decides;
 * what is sent before it has finished stays, what comes later goes with it. */
static bool is_filtered(const sonde__payload *p, sonde__span *chunk, size_t at)
{
    _Atomic uint32_t *flags = &chunk->segment->flags;
    sonde__trace_filter *filter;
    sonde__wire_span root;
    sonde_mp_reader r;
    uint32_t len;

    if (!sonde__agent_filter(&filter) || !filter)
        return false;
    if (!p->v04.has_root)
        return atomic_load_explicit(flags, memory_order_relaxed) & SONDE__SEGMENT_FILTERED;
    sonde_mp_reader_init(&r, p->v04.payload.data + at, p->v04.payload.len - at);
    if (!sonde_mp_read_array(&r, &len) || !sonde__wire_span_read(&r, &root) ||
        !sonde__trace_filter_drops(filter, &root))
        return false;
    (void)atomic_fetch_or_explicit(flags, SONDE__SEGMENT_FILTERED, memory_order_relaxed);
    return true;
}

/* Takes the chunk that was just encoded, from `at` on, out again. */
static void leave_out_filtered(sonde__payload *p, size_t at, uint32_t spans)
{
    p->v04.payload.len = at;
    p->v04.chunks--;
    p->v04.spans -= spans;
    sonde__count_dropped(SONDE_DROP_FILTERED, spans, 1);
}

static void note_left_out(sonde__payload *p, uint32_t spans, bool whole)
{
    p->p0_spans += spans;
    p->p0_traces += whole;
    sonde__count_dropped(SONDE_DROP_NOT_SAMPLED, spans, whole);
}

/* Moves the chunk that was just encoded, from `at` on, into the form of the payload. */
static sonde_status move_to_form(sonde__payload *p, size_t at)
{
    sonde_buf *b = &p->v04.payload;
    sonde_str chunk = { (const char *)b->data + at, b->len - at };
    sonde_status status =
        p->form == SONDE__API_V05 ? sonde__v05_add(&p->v05, chunk) : sonde__v1_add(&p->v1, chunk);

    b->len = at;
    return status;
}

sonde_status sonde__payload_add(sonde__payload *p, sonde__span *chunk)
{
    uint32_t len = chunk->text.chunk_len;
    uint32_t left = len;
    size_t at = p->v04.payload.len;
    sonde_status status;

    if (p->v04.chunks == 0)
        begin(p);
    status = sonde__encode_chunk(&p->v04, chunk);
    if (status != SONDE_OK)
        return status;
    if (p->is_counted && is_filtered(p, chunk, at)) {
        leave_out_filtered(p, at, len);
        return SONDE_OK;
    }
    if (p->is_counted)
        left = count_and_trim(p, chunk, at);
    if (left > 0 && p->form != SONDE__API_V04)
        status = move_to_form(p, at);
    if (left == 0 || status != SONDE_OK)
        p->v04.chunks--;
    p->v04.spans -= status == SONDE_OK ? len - left : len;
    if (status == SONDE_OK && left < len)
        note_left_out(p, len - left, left == 0);
    return status;
}

size_t sonde__payload_len(const sonde__payload *p)
{
    if (p->form == SONDE__API_V05)
        return sonde__v05_len(&p->v05);
    return p->form == SONDE__API_V1 ? p->v1.body.len : p->v04.payload.len;
}

bool sonde__payload_is_full(const sonde__payload *p)
{
    return sonde__payload_len(p) > p->soft_bytes;
}

sonde_str sonde__payload_body(sonde__payload *p)
{
    if (p->form == SONDE__API_V05)
        return sonde__v05_body(&p->v05, p->v04.chunks);
    return p->form == SONDE__API_V1 ? sonde__v1_body(&p->v1, p->v04.chunks)
                                    : sonde__encoder_body(&p->v04);
}

const char *sonde__payload_path(const sonde__payload *p)
{
    return trace_paths[p->form].ptr;
}

void sonde__payload_not_served(const sonde__payload *p)
{
    if (p->form != SONDE__API_V1)
        return;
    v1_is_refused = true;
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "agent does not take v1 payloads, going on with v0.4");
}

size_t sonde__payload_bytes(const sonde__payload *p)
{
    return p->v04.payload.cap + p->v04.countable.cap + p->v05.texts.cap + p->v05.spans.cap +
           sonde__text_numbers_bytes(&p->v05.numbers) + p->v1.body.cap +
           sonde__text_numbers_bytes(&p->v1.texts) + (p->stats ? sonde__stats_bytes(p->stats) : 0);
}
