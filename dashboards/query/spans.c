/* spans.c - span search over frames; see spans.h. */
#include "dashboards/query/spans.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"

typedef struct finder {
    const spans_request *request;
    spans_page *page;
    size_t want; /* one more than the page, to know whether there is a next one */
    bool has_cursor;
    int64_t cursor_start;
    uint64_t cursor_id;
    uint64_t tokens[SEARCH_TOKENS_MAX];
    size_t tokens_len;
} finder;

/* ---- order ---- */

/* < 0: a comes first. */
static int order_of(spans_order order, int64_t a_start, uint64_t a_id, int64_t b_start,
                    uint64_t b_id)
{
    int o = a_start != b_start ? (a_start < b_start ? -1 : 1) : (a_id > b_id) - (a_id < b_id);

    return order == SPANS_LATEST_FIRST ? -o : o;
}

static int frames_latest_first(const void *a, const void *b)
{
    const store_frame_ref *x = (const store_frame_ref *)a, *y = (const store_frame_ref *)b;

    return (x->max_start_unix_ns < y->max_start_unix_ns) -
           (x->max_start_unix_ns > y->max_start_unix_ns);
}

static int frames_earliest_first(const void *a, const void *b)
{
    const store_frame_ref *x = (const store_frame_ref *)a, *y = (const store_frame_ref *)b;

    return (x->min_start_unix_ns > y->min_start_unix_ns) -
           (x->min_start_unix_ns < y->min_start_unix_ns);
}

/* Can a span of this frame still get onto the page? */
static bool may_improve(const finder *f, const store_frame_ref *ref)
{
    const span_place *last;

    if (f->page->len < f->want)
        return true;
    last = &f->page->places[f->page->len - 1];
    return f->request->order == SPANS_LATEST_FIRST ? ref->max_start_unix_ns >= last->start_unix_ns
                                                   : ref->min_start_unix_ns <= last->start_unix_ns;
}

/* ---- the page ---- */

static void insert(finder *f, const span_place *place)
{
    spans_page *p = f->page;
    size_t low = 0, high = p->len;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (order_of(f->request->order, p->places[mid].start_unix_ns, p->places[mid].span_id,
                     place->start_unix_ns, place->span_id) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == f->want)
        return;
    if (p->len == f->want)
        p->len--;
    memmove(p->places + low + 1, p->places + low, (p->len - low) * sizeof(*p->places));
    p->places[low] = *place;
    p->len++;
}

static bool is_wanted(const finder *f, const model_span *s)
{
    const spans_request *q = f->request;

    if (s->start_unix_ns < q->from_unix_ns || s->start_unix_ns > q->to_unix_ns)
        return false;
    return !f->has_cursor ||
           order_of(q->order, s->start_unix_ns, s->span_id, f->cursor_start, f->cursor_id) > 0;
}

static void take_frame(finder *f, const store_frame_ref *ref, const frame_view *v)
{
    size_t i;

    f->page->frames_decoded++;
    for (i = 0; i < v->spans_len; i++) {
        const model_span *s = &v->spans[i];
        const span_place place = { .start_unix_ns = s->start_unix_ns,
                                   .span_id = s->span_id,
                                   .day = ref->day,
                                   .frame = ref->id,
                                   .index = (uint32_t)i };

        if (is_wanted(f, s) && search_matches(f->request->search, v, s))
            insert(f, &place);
    }
}

/* ---- cursors ---- */

static sonde_status read_cursor(finder *f)
{
    sonde_str c = f->request->cursor;
    uint64_t start;

    if (c.len == 0)
        return SONDE_OK;
    if (c.len != 32 || sonde_hex_parse_u64(sonde_str_sub(c, 0, 16), 1, &start) != SONDE_OK ||
        sonde_hex_parse_u64(sonde_str_sub(c, 16, 16), 1, &f->cursor_id) != SONDE_OK)
        return SONDE_ERR_INVALID;
    f->cursor_start = (int64_t)start;
    f->has_cursor = true;
    return SONDE_OK;
}

static void write_cursor(spans_page *p, size_t limit)
{
    if (p->len <= limit)
        return;
    p->len = limit;
    sonde_hex_u64((uint64_t)p->places[limit - 1].start_unix_ns, p->next);
    sonde_hex_u64(p->places[limit - 1].span_id, p->next + 16);
}

/* ---- frames ---- */

typedef struct trace_frames {
    store_frame_ref refs[TRACE_FRAMES_MAX];
    size_t len;
} trace_frames;

static bool note_frame(void *user, int32_t day, int64_t frame_id)
{
    trace_frames *t = (trace_frames *)user;
    size_t i;

    for (i = 0; i < t->len; i++)
        if (t->refs[i].day == day && t->refs[i].id == frame_id)
            return true;
    if (t->len == TRACE_FRAMES_MAX)
        return false;
    t->refs[t->len++] = (store_frame_ref){
        .day = day, .id = frame_id, .min_start_unix_ns = INT64_MIN, .max_start_unix_ns = INT64_MAX
    };
    return true;
}

/* A search for one trace needs the frames of that trace only. */
static sonde_status list(store_reader *r, const spans_request *q, store_frame_ref **out_refs,
                         size_t *out_len)
{
    uint64_t hi, lo;
    trace_frames t = { .len = 0 };
    sonde_status status;

    if (!search_only_trace(q->search, &hi, &lo))
        return store_list_frames(r, q->from_unix_ns, q->to_unix_ns, out_refs, out_len);
    status = store_find_trace(r, hi, lo, note_frame, &t);
    if (status != SONDE_OK || t.len == 0)
        return status;
    *out_refs = (store_frame_ref *)sonde_calloc(t.len, sizeof(t.refs[0]));
    if (!*out_refs)
        return SONDE_ERR_NOMEM;
    memcpy(*out_refs, t.refs, t.len * sizeof(t.refs[0]));
    *out_len = t.len;
    return SONDE_OK;
}

static sonde_status search_frames(finder *f, store_reader *r, store_frame_ref *refs, size_t len)
{
    const spans_request *q = f->request;
    frame_view view;
    sonde_status status = SONDE_OK;
    size_t i;

    frame_view_init(&view);
    if (len)
        qsort(refs, len, sizeof(*refs),
              q->order == SPANS_LATEST_FIRST ? frames_latest_first : frames_earliest_first);
    for (i = 0; i < len && may_improve(f, &refs[i]); i++) {
        if (sonde_mono_ns() >= q->deadline_mono_ns) {
            f->page->timed_out = true;
            break;
        }
        if (!store_may_hold(r, &refs[i], f->tokens, f->tokens_len))
            continue;
        status = store_read_frame(r, refs[i].day, refs[i].id, &view);
        if (status == SONDE_ERR_NOMEM)
            break;
        if (status == SONDE_OK)
            take_frame(f, &refs[i], &view);
        status = SONDE_OK; /* a damaged or retired frame is passed over */
    }
    frame_view_done(&view);
    return status;
}

sonde_status spans_find(store_reader *r, const spans_request *request, spans_page *out)
{
    spans_page page = { 0 };
    finder f = { .request = request, .page = &page, .want = request->limit + 1 };
    store_frame_ref *refs = NULL;
    size_t len = 0;
    sonde_status status = read_cursor(&f);

    if (status != SONDE_OK)
        return status;
    f.tokens_len = search_tokens(request->search, f.tokens);
    page.places = (span_place *)sonde_calloc(f.want + 1, sizeof(*page.places));
    if (!page.places)
        return SONDE_ERR_NOMEM;
    status = list(r, request, &refs, &len);
    if (status == SONDE_OK)
        status = search_frames(&f, r, refs, len);
    sonde_free(refs);
    if (status != SONDE_OK) {
        spans_page_done(&page);
        return status;
    }
    write_cursor(&page, request->limit);
    *out = page;
    return SONDE_OK;
}

void spans_page_done(spans_page *p)
{
    sonde_free(p->places);
    memset(p, 0, sizeof(*p));
}
