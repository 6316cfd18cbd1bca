/* trace.c - gathers the frames that hold parts of a trace and picks its spans. */
#include "dashboards/query/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

typedef struct places {
    struct {
        int32_t day;
        int64_t frame;
    } at[TRACE_FRAMES_MAX];
    size_t len;
    bool truncated;
} places;

static bool note_place(void *user, int32_t day, int64_t frame_id)
{
    places *p = (places *)user;
    size_t i;

    for (i = 0; i < p->len; i++)
        if (p->at[i].day == day && p->at[i].frame == frame_id)
            return true;
    if (p->len == TRACE_FRAMES_MAX) {
        p->truncated = true;
        return false;
    }
    p->at[p->len].day = day;
    p->at[p->len].frame = frame_id;
    p->len++;
    return true;
}

static sonde_status read_frames(store_reader *r, const places *p, trace_view *t)
{
    size_t i;

    t->frames = (frame_view *)sonde_calloc(p->len, sizeof(*t->frames));
    if (!t->frames)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < p->len; i++) {
        frame_view *v = &t->frames[t->frames_len];
        sonde_status status;

        frame_view_init(v);
        status = store_read_frame(r, p->at[i].day, p->at[i].frame, v);
        if (status == SONDE_ERR_NOMEM)
            return status;
        if (status == SONDE_OK)
            t->frames_len++;
        else
            SONDE_LOG(SONDE_LOG_WARN, "query: frame passed over: day=%d frame=%lld status=%s",
                      p->at[i].day, (long long)p->at[i].frame, sonde_status_name(status));
    }
    return SONDE_OK;
}

static bool is_wanted(const trace_view *t, const model_chunk *c)
{
    return c->trace_lo == t->trace_lo && (t->trace_hi == 0 || c->trace_hi == t->trace_hi);
}

static size_t count_spans(const trace_view *t)
{
    size_t i, k, count = 0;

    for (i = 0; i < t->frames_len; i++)
        for (k = 0; k < t->frames[i].chunks_len; k++)
            if (is_wanted(t, &t->frames[i].chunks[k]))
                count += t->frames[i].chunks[k].spans_len;
    return count;
}

static void take_chunk(trace_view *t, const frame_view *view, const model_chunk *c)
{
    uint32_t i;

    for (i = 0; i < c->spans_len; i++) {
        if (t->spans_len == TRACE_SPANS_MAX) {
            t->truncated = true;
            return;
        }
        t->spans[t->spans_len++] = (found_span){ view, &view->spans[c->first_span + i] };
    }
}

static int by_start(const void *a, const void *b)
{
    const model_span *x = ((const found_span *)a)->span, *y = ((const found_span *)b)->span;

    if (x->start_unix_ns != y->start_unix_ns)
        return x->start_unix_ns < y->start_unix_ns ? -1 : 1;
    if ((x->parent_id == 0) != (y->parent_id == 0))
        return x->parent_id == 0 ? -1 : 1;
    return (x->span_id > y->span_id) - (x->span_id < y->span_id);
}

static sonde_status pick_spans(trace_view *t)
{
    size_t i, k, count = count_spans(t);

    if (count == 0)
        return SONDE_ERR_NOT_FOUND;
    t->spans = (found_span *)sonde_calloc(count, sizeof(*t->spans));
    if (!t->spans)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < t->frames_len; i++)
        for (k = 0; k < t->frames[i].chunks_len; k++)
            if (is_wanted(t, &t->frames[i].chunks[k]))
                take_chunk(t, &t->frames[i], &t->frames[i].chunks[k]);
    qsort(t->spans, t->spans_len, sizeof(*t->spans), by_start);
    return SONDE_OK;
}

static void note_service(trace_view *t, sonde_str service)
{
    size_t i;

    for (i = 0; i < t->services_len; i++)
        if (sonde_str_eq(t->services[i], service))
            return;
    if (t->services_len < TRACE_SERVICES_MAX)
        t->services[t->services_len++] = service;
}

static void summarize(trace_view *t)
{
    size_t i;

    t->trace_hi = t->spans[0].span->chunk->trace_hi;
    t->start_unix_ns = t->spans[0].span->start_unix_ns;
    t->end_unix_ns = INT64_MIN;
    for (i = 0; i < t->spans_len; i++) {
        const model_span *s = t->spans[i].span;
        int64_t end;

        if (__builtin_add_overflow(s->start_unix_ns, s->duration_ns, &end))
            end = INT64_MAX;
        if (end > t->end_unix_ns)
            t->end_unix_ns = end;
        note_service(t, s->service);
    }
}

sonde_status trace_read(store_reader *r, uint64_t trace_hi, uint64_t trace_lo, trace_view *out)
{
    trace_view t = { .trace_hi = trace_hi, .trace_lo = trace_lo };
    places p = { .len = 0 };
    sonde_status status = store_find_trace(r, trace_hi, trace_lo, note_place, &p);

    if (status == SONDE_OK && p.len == 0)
        return SONDE_ERR_NOT_FOUND;
    t.truncated = p.truncated;
    if (status == SONDE_OK)
        status = read_frames(r, &p, &t);
    if (status == SONDE_OK)
        status = pick_spans(&t);
    if (status != SONDE_OK) {
        trace_view_done(&t);
        return status;
    }
    summarize(&t);
    *out = t;
    return SONDE_OK;
}

void trace_view_done(trace_view *t)
{
    size_t i;

    for (i = 0; i < t->frames_len; i++)
        frame_view_done(&t->frames[i]);
    sonde_free(t->frames);
    sonde_free(t->spans);
    memset(t, 0, sizeof(*t));
}
