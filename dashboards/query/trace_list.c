/* trace_list.c - lists traces from the summaries of the frames of the asked time; see trace_list.h.
 *
 * A trace has one key, so that pages neither repeat nor miss it: the latest (or earliest) start, or
 * the length of the longest, of its parts that match.  Walking over the frames, a trace is listed
 * when the part is met that its key comes from; its other parts are looked up then, so only for
 * traces that get onto the page.  In order of start the walk ends where no frame left can hold a key
 * that belongs on the page.
 *
 * Whether a part matches is told by its summary; where that cannot say, its frame is decoded, once,
 * and the traces in it that match are remembered. */
#include "dashboards/query/trace_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/table.h"

#define TEXT_MAX_BYTES     (8u * 1024 * 1024)
#define VERDICTS_MAX_BYTES (64u * 1024 * 1024)
#define SUMMARIES_KEPT     16

typedef struct trace_id {
    uint64_t hi, lo;
} trace_id;

typedef struct verdict { /* what was found out about a frame */
    bool excluded;       /* by its filter */
    bool decoded;
    trace_id *traces; /* that match, sorted; when decoded */
    size_t traces_len;
} verdict;

typedef struct finder {
    const traces_request *request;
    store_reader *reader;
    trace_row *rows; /* best first, want + 1 of room */
    size_t len;
    size_t want; /* one more than the page, to know whether there is a next one */
    bool has_cursor;
    int64_t cursor_key;
    trace_id cursor_id;
    uint64_t tokens[SEARCH_TOKENS_MAX];
    size_t tokens_len;
    sonde_arena arena;    /* of verdicts */
    sonde_table verdicts; /* by day and frame */
    sonde_arena *text;    /* of rows; borrowed */
    sonde_arena scratch;  /* of the row in the making */
    struct {
        int32_t day;
        int64_t frame; /* 0: free */
        summary_view view;
    } summaries[SUMMARIES_KEPT]; /* of frames looked up, replaced in turn */
    unsigned next_summary;
    bool timed_out;
    sonde_status status;
} finder;

/* ---- order ---- */

static bool by_start(traces_order order)
{
    return order == TRACES_LATEST_FIRST || order == TRACES_EARLIEST_FIRST;
}

static int64_t part_key(traces_order order, const frame_part *p)
{
    int64_t length;

    if (by_start(order))
        return p->start_unix_ns;
    return __builtin_sub_overflow(p->end_unix_ns, p->start_unix_ns, &length) ? INT64_MAX : length;
}

/* Of two parts of a trace, the key is that of the later or longer, or of the earlier one. */
static int64_t better_key(traces_order order, int64_t a, int64_t b)
{
    return order == TRACES_EARLIEST_FIRST ? (a < b ? a : b) : (a > b ? a : b);
}

/* < 0: a comes first. */
static int order_of(traces_order order, int64_t a_key, trace_id a, int64_t b_key, trace_id b)
{
    int o = (a_key > b_key) - (a_key < b_key);

    if (order == TRACES_LATEST_FIRST || order == TRACES_LONGEST_FIRST)
        o = -o;
    if (o == 0)
        o = (a.lo > b.lo) - (a.lo < b.lo);
    return o ? o : (a.hi > b.hi) - (a.hi < b.hi);
}

static int row_order(const finder *f, size_t at, int64_t key, trace_id id)
{
    const trace_row *row = &f->rows[at];

    return order_of(f->request->order, row->key,
                    (trace_id){ row->part.trace_hi, row->part.trace_lo }, key, id);
}

static bool is_past_cursor(const finder *f, int64_t key, trace_id id)
{
    return !f->has_cursor || order_of(f->request->order, key, id, f->cursor_key, f->cursor_id) > 0;
}

static bool is_full(const finder *f)
{
    return f->len == f->want;
}

static bool may_be_listed(const finder *f, int64_t key, trace_id id)
{
    return is_past_cursor(f, key, id) && (!is_full(f) || row_order(f, f->len - 1, key, id) > 0);
}

/* ---- frames ---- */

static verdict *verdict_of(finder *f, int32_t day, int64_t frame_id)
{
    char key[12];
    verdict *v;

    memcpy(key, &day, 4);
    memcpy(key + 4, &frame_id, 8);
    v = (verdict *)sonde_table_get(&f->verdicts, (sonde_str){ key, sizeof(key) });
    if (v)
        return v;
    v = (verdict *)sonde_arena_zalloc(&f->arena, 1, sizeof(*v));
    f->status =
        v ? sonde_table_put(&f->verdicts, (sonde_str){ key, sizeof(key) }, v) : SONDE_ERR_NOMEM;
    if (f->status != SONDE_OK)
        return NULL;
    v->excluded = !store_may_hold(f->reader, &(store_frame_ref){ .day = day, .id = frame_id },
                                  f->tokens, f->tokens_len);
    return v;
}

static int id_order(const void *a, const void *b)
{
    const trace_id *x = (const trace_id *)a, *y = (const trace_id *)b;

    if (x->lo != y->lo)
        return x->lo < y->lo ? -1 : 1;
    return (x->hi > y->hi) - (x->hi < y->hi);
}

static bool chunk_matches(const finder *f, const frame_view *view, const model_chunk *c)
{
    uint32_t i;

    for (i = 0; i < c->spans_len; i++)
        if (search_matches(f->request->search, view, &view->spans[c->first_span + i]))
            return true;
    return false;
}

static void judge(finder *f, const frame_view *view, verdict *v)
{
    size_t i;

    v->traces = (trace_id *)sonde_arena_zalloc(&f->arena, view->chunks_len, sizeof(*v->traces));
    if (!v->traces) {
        f->status = SONDE_ERR_NOMEM;
        return;
    }
    for (i = 0; i < view->chunks_len; i++) {
        const model_chunk *c = &view->chunks[i];

        if (chunk_matches(f, view, c))
            v->traces[v->traces_len++] = (trace_id){ c->trace_hi, c->trace_lo };
    }
    if (v->traces_len)
        qsort(v->traces, v->traces_len, sizeof(*v->traces), id_order);
}

/* Decodes the frame; one that cannot be read has no matches. */
static void decode(finder *f, int32_t day, int64_t frame_id, verdict *v)
{
    frame_view view;
    sonde_status status;

    frame_view_init(&view);
    status = store_read_frame(f->reader, day, frame_id, &view);
    if (status == SONDE_OK)
        judge(f, &view, v);
    else if (status == SONDE_ERR_NOMEM)
        f->status = status;
    v->decoded = true;
    frame_view_done(&view);
}

static bool part_matches(finder *f, int32_t day, int64_t frame_id, const frame_part *p)
{
    const trace_id id = { p->trace_hi, p->trace_lo };
    search_share share;
    verdict *v;

    if (p->start_unix_ns < f->request->from_unix_ns || p->start_unix_ns > f->request->to_unix_ns ||
        (f->request->env.len && !sonde_str_eq(f->request->env, p->env)))
        return false;
    share = search_share_of(f->request->search, p);
    if (share != SEARCH_MAYBE)
        return share != SEARCH_NONE;
    v = verdict_of(f, day, frame_id);
    if (!v || v->excluded)
        return false;
    if (!v->decoded)
        decode(f, day, frame_id, v);
    return v->traces_len && bsearch(&id, v->traces, v->traces_len, sizeof(id), id_order) != NULL;
}

/* ---- rows ---- */

typedef struct summing {
    finder *finder;
    frame_part sum;
    size_t parts;
    int64_t key; /* of the matching parts so far */
    size_t matching;
} summing;

static sonde_str keep(summing *s, sonde_str text)
{
    sonde_str copy = text.len ? sonde_arena_copy(s->finder->text, text) : (sonde_str){ NULL, 0 };

    if (text.len && !copy.ptr)
        s->finder->status = SONDE_ERR_NOMEM;
    return copy;
}

/* Adds the services of `more` that are not in the list yet. */
static void add_services(summing *s, sonde_str more)
{
    char joined[4096];
    sonde_str left = more;
    size_t n = s->sum.services.len < sizeof(joined) ? s->sum.services.len : 0;

    if (n)
        memcpy(joined, s->sum.services.ptr, n);
    while (left.len) {
        sonde_str service = sonde_str_cut(&left, '\n'), known = s->sum.services;
        bool found = false;

        while (known.len && !found)
            found = sonde_str_eq(sonde_str_cut(&known, '\n'), service);
        if (found || n + service.len + 1 > sizeof(joined))
            continue;
        if (n)
            joined[n++] = '\n';
        memcpy(joined + n, service.ptr, service.len);
        n += service.len;
    }
    if (n != s->sum.services.len)
        s->sum.services = keep(s, (sonde_str){ joined, n });
}

/* The row is told by its root, or by the part that comes closest to it. */
static bool tells_more(const summing *s, const frame_part *p)
{
    if (s->parts == 0 || p->has_root != s->sum.has_root)
        return s->parts == 0 || p->has_root;
    return p->start_unix_ns < s->sum.start_unix_ns;
}

static void sum_part(summing *s, const frame_part *p)
{
    frame_part *sum = &s->sum;

    if (tells_more(s, p)) {
        sum->has_root = p->has_root;
        sum->service = keep(s, p->service);
        sum->name = keep(s, p->name);
        sum->resource = keep(s, p->resource);
        sum->type = keep(s, p->type);
        sum->env = keep(s, p->env);
        sum->http_status = keep(s, p->http_status);
    }
    if (s->parts == 0 || p->start_unix_ns < sum->start_unix_ns)
        sum->start_unix_ns = p->start_unix_ns;
    if (s->parts == 0 || p->end_unix_ns > sum->end_unix_ns)
        sum->end_unix_ns = p->end_unix_ns;
    sum->spans += p->spans;
    sum->errors += p->errors;
    add_services(s, p->services);
    s->parts++;
}

/* NULL: it cannot be read. */
static const summary_view *summary_of(finder *f, int32_t day, int64_t frame_id)
{
    unsigned i;
    sonde_status status;

    for (i = 0; i < SUMMARIES_KEPT; i++)
        if (f->summaries[i].frame == frame_id && f->summaries[i].day == day)
            return &f->summaries[i].view;
    i = f->next_summary++ % SUMMARIES_KEPT;
    f->summaries[i].frame = 0;
    status = store_read_summary(f->reader, day, frame_id, &f->summaries[i].view);
    if (status == SONDE_ERR_NOMEM)
        f->status = status;
    if (status != SONDE_OK)
        return NULL;
    f->summaries[i].day = day;
    f->summaries[i].frame = frame_id;
    return &f->summaries[i].view;
}

static bool sum_place(void *user, int32_t day, int64_t frame_id)
{
    summing *s = (summing *)user;
    finder *f = s->finder;
    const summary_view *v = summary_of(f, day, frame_id);
    const frame_part *p = v ? summary_view_find(v, s->sum.trace_hi, s->sum.trace_lo) : NULL;

    if (p && part_matches(f, day, frame_id, p)) {
        int64_t key = part_key(f->request->order, p);

        s->key = s->matching++ ? better_key(f->request->order, s->key, key) : key;
    }
    if (p)
        sum_part(s, p);
    return s->parts < TRACE_PARTS_MAX && f->status == SONDE_OK;
}

static bool is_listed(const finder *f, trace_id id)
{
    size_t i;

    for (i = 0; i < f->len; i++)
        if (f->rows[i].part.trace_lo == id.lo && f->rows[i].part.trace_hi == id.hi)
            return true;
    return false;
}

/* Moves the texts of a row from the scratch to the page. */
static void keep_row(finder *f, trace_row *row)
{
    sonde_str *texts[] = { &row->part.service, &row->part.name, &row->part.resource,
                           &row->part.type,    &row->part.env,  &row->part.http_status,
                           &row->part.services };
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->len)
            *texts[i] = sonde_arena_copy(f->text, *texts[i]);
        if (texts[i]->len && !texts[i]->ptr)
            f->status = SONDE_ERR_NOMEM;
    }
}

static void insert(finder *f, trace_row *row)
{
    const trace_id id = { row->part.trace_hi, row->part.trace_lo };
    size_t i;

    keep_row(f, row);
    for (i = f->len; i > 0 && row_order(f, i - 1, row->key, id) > 0; i--)
        f->rows[i] = f->rows[i - 1];
    f->rows[i] = *row;
    if (!is_full(f))
        f->len++;
}

/* Lists the trace if its key is this one, which is that of the part in hand. */
static void list_trace(finder *f, trace_id id, int64_t key)
{
    summing s = { .finder = f, .sum = { .trace_hi = id.hi, .trace_lo = id.lo } };
    sonde_status status;

    if (is_listed(f, id))
        return;
    sonde_arena_reset(&f->scratch);
    status = store_find_trace(f->reader, id.hi, id.lo, sum_place, &s);
    if (f->status == SONDE_OK)
        f->status = status;
    if (f->status == SONDE_OK && s.matching && s.key == key)
        insert(f, &(trace_row){ .part = s.sum, .key = key });
}

static void take_frame(finder *f, const store_frame_ref *ref)
{
    summary_view view;
    size_t i;
    sonde_status status;

    summary_view_init(&view);
    status = store_read_summary(f->reader, ref->day, ref->id, &view);
    if (status == SONDE_ERR_NOMEM)
        f->status = status;
    for (i = 0; i < view.parts_len && f->status == SONDE_OK; i++) {
        const frame_part *p = &view.parts[i];
        const trace_id id = { p->trace_hi, p->trace_lo };
        int64_t key = part_key(f->request->order, p);

        if (may_be_listed(f, key, id) && part_matches(f, ref->day, ref->id, p))
            list_trace(f, id, key);
    }
    summary_view_done(&view);
}

/* ---- cursors ---- */

static sonde_status read_cursor(finder *f)
{
    sonde_str c = f->request->cursor;
    uint64_t key;

    if (c.len == 0)
        return SONDE_OK;
    if (c.len != 48 || sonde_hex_parse_u64(sonde_str_sub(c, 0, 16), 1, &key) != SONDE_OK ||
        sonde_hex_parse_u64(sonde_str_sub(c, 16, 16), 1, &f->cursor_id.hi) != SONDE_OK ||
        sonde_hex_parse_u64(sonde_str_sub(c, 32, 16), 1, &f->cursor_id.lo) != SONDE_OK)
        return SONDE_ERR_INVALID;
    f->cursor_key = (int64_t)key;
    f->has_cursor = true;
    return SONDE_OK;
}

static void write_cursor(finder *f, traces_page *page)
{
    const trace_row *last;

    if (f->len < f->want)
        return;
    f->len--; /* the one beyond the page only says that there is more */
    last = &f->rows[f->len - 1];
    sonde_hex_u64((uint64_t)last->key, page->next);
    sonde_hex_u64(last->part.trace_hi, page->next + 16);
    sonde_hex_u64(last->part.trace_lo, page->next + 32);
}

static int earliest_first(const void *a, const void *b)
{
    const store_frame_ref *x = (const store_frame_ref *)a, *y = (const store_frame_ref *)b;

    return (x->min_start_unix_ns > y->min_start_unix_ns) -
           (x->min_start_unix_ns < y->min_start_unix_ns);
}

/* Can this frame, or one after it, still change the page? */
static bool may_improve(const finder *f, const store_frame_ref *ref)
{
    if (!is_full(f))
        return true;
    if (f->request->order == TRACES_LATEST_FIRST)
        return ref->max_start_unix_ns >= f->rows[f->len - 1].key;
    if (f->request->order == TRACES_EARLIEST_FIRST)
        return ref->min_start_unix_ns <= f->rows[f->len - 1].key;
    return true;
}

static void walk(finder *f, const store_frame_ref *refs, size_t len)
{
    size_t i;

    for (i = 0; i < len && f->status == SONDE_OK && may_improve(f, &refs[i]); i++) {
        if (sonde_mono_ns() >= f->request->deadline_mono_ns) {
            f->timed_out = true;
            return;
        }
        if (store_may_hold(f->reader, &refs[i], f->tokens, f->tokens_len))
            take_frame(f, &refs[i]);
    }
}

static sonde_status scan(finder *f)
{
    const traces_request *q = f->request;
    store_frame_ref *refs = NULL;
    int64_t from = q->from_unix_ns, to = q->to_unix_ns;
    size_t len = 0;
    sonde_status status;

    if (f->has_cursor && q->order == TRACES_LATEST_FIRST && f->cursor_key < to)
        to = f->cursor_key;
    if (f->has_cursor && q->order == TRACES_EARLIEST_FIRST && f->cursor_key > from)
        from = f->cursor_key;
    status = store_list_frames(f->reader, from, to, &refs, &len);
    if (status != SONDE_OK)
        return status;
    if (len && q->order == TRACES_EARLIEST_FIRST)
        qsort(refs, len, sizeof(*refs), earliest_first);
    walk(f, refs, len);
    sonde_free(refs);
    return f->status;
}

sonde_status traces_find(store_reader *r, const traces_request *request, traces_page *out)
{
    traces_page page = { .rows = NULL };
    finder f = { .request = request, .reader = r, .want = request->limit + 1, .text = &page.text };
    sonde_status status = read_cursor(&f);
    size_t i;

    if (status != SONDE_OK)
        return status;
    for (i = 0; i < SUMMARIES_KEPT; i++)
        summary_view_init(&f.summaries[i].view);
    sonde_arena_init(&f.scratch, TEXT_MAX_BYTES);
    sonde_arena_init(&page.text, TEXT_MAX_BYTES);
    sonde_arena_init(&f.arena, VERDICTS_MAX_BYTES);
    sonde_table_init(&f.verdicts, STORE_FRAMES_LISTED_MAX);
    f.tokens_len = search_tokens(request->search, f.tokens);
    f.rows = (trace_row *)sonde_calloc(f.want + 1, sizeof(*f.rows));
    status = f.rows ? scan(&f) : SONDE_ERR_NOMEM;
    sonde_table_done(&f.verdicts);
    sonde_arena_done(&f.arena);
    sonde_arena_done(&f.scratch);
    for (i = 0; i < SUMMARIES_KEPT; i++)
        summary_view_done(&f.summaries[i].view);
    page.rows = f.rows;
    write_cursor(&f, &page);
    page.len = f.len;
    page.timed_out = f.timed_out;
    if (status != SONDE_OK) {
        traces_page_done(&page);
        return status;
    }
    *out = page;
    return SONDE_OK;
}

void traces_page_done(traces_page *p)
{
    sonde_free(p->rows);
    sonde_arena_done(&p->text);
    memset(p, 0, sizeof(*p));
}
