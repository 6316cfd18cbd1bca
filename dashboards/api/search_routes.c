/* search_routes.c - GET /api/sonde/v1/traces and POST /api/v2/spans/events/search. */
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/parse.h"
#include "codec/json_read.h"
#include "dashboards/query/frame_cache.h"
#include "dashboards/query/spans.h"
#include "dashboards/query/trace_list.h"
#include "internal.h"

#define NS_PER_S 1000000000
#define TEXT_MAX 8192

static int64_t first_ns(int64_t s)
{
    return s > INT64_MAX / NS_PER_S ? INT64_MAX : s * NS_PER_S;
}

static int64_t last_ns(int64_t s) /* `to` is a whole second, and all of it counts */
{
    return s >= INT64_MAX / NS_PER_S ? INT64_MAX : s * NS_PER_S + (NS_PER_S - 1);
}

static bool parse_query(sonde_str text, search *out, http_response *response)
{
    search_error error;
    sonde_buf b;
    sonde_status status = search_parse(text, out, &error);

    if (status == SONDE_OK)
        return true;
    sonde_buf_init(&b, 256);
    sonde_buf_printf(&b, "query: %s (at byte %zu)", error.message, error.at);
    api_error(response, status == SONDE_ERR_NOMEM ? 503 : 400, sonde_buf_cstr(&b));
    sonde_buf_done(&b);
    return false;
}

/* ---- the list of traces ---- */

static bool parse_traces_order(sonde_str text, traces_order *out)
{
    static const struct {
        const char *name;
        traces_order order;
    } orders[] = {
        { "", TRACES_LATEST_FIRST },           { "-start", TRACES_LATEST_FIRST },
        { "start", TRACES_EARLIEST_FIRST },    { "-duration", TRACES_LONGEST_FIRST },
        { "duration", TRACES_SHORTEST_FIRST },
    };
    size_t i;

    for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        if (sonde_str_eq(text, sonde_str_from(orders[i].name))) {
            *out = orders[i].order;
            return true;
        }
    return false;
}

static void write_row(sonde_json_writer *w, const frame_part *p)
{
    sonde_str services = p->services;

    sonde_json_begin_object(w);
    api_write_trace_id(w, "trace_id", p->trace_hi, p->trace_lo);
    api_write_unix_ns(w, "start_unix_ns", p->start_unix_ns);
    sonde_json_put_i64(w, "duration_ns",
                       (int64_t)((uint64_t)p->end_unix_ns - (uint64_t)p->start_unix_ns));
    sonde_json_put_str(w, "service", p->service);
    sonde_json_put_str(w, "name", p->name);
    sonde_json_put_str(w, "resource", p->resource);
    sonde_json_put_str(w, "type", p->type);
    sonde_json_put_str(w, "env", p->env);
    sonde_json_put_str(w, "status", p->errors ? SONDE_STR("error") : SONDE_STR("ok"));
    sonde_json_put_u64(w, "error_spans", p->errors);
    sonde_json_put_u64(w, "spans", p->spans);
    sonde_json_key(w, SONDE_STR("services"));
    sonde_json_begin_array(w);
    while (services.len)
        sonde_json_str(w, sonde_str_cut(&services, '\n'));
    sonde_json_end_array(w);
    sonde_json_put_str(w, "http_status", p->http_status);
    sonde_json_end_object(w);
}

static sonde_status answer_traces(store_reader *r, const traces_request *q, http_response *response)
{
    sonde_json_writer w;
    traces_page page;
    sonde_status status = traces_find(r, q, &page);
    size_t i;

    if (status == SONDE_ERR_INVALID) {
        api_error(response, 400, "cursor: not one that was given out");
        return SONDE_OK;
    }
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("traces"));
    sonde_json_begin_array(&w);
    for (i = 0; i < page.len; i++)
        write_row(&w, &page.rows[i].part);
    sonde_json_end_array(&w);
    sonde_json_put_str(&w, "next", sonde_str_from(page.next));
    if (page.timed_out)
        sonde_json_put_bool(&w, "timed_out", true);
    sonde_json_end_object(&w);
    traces_page_done(&page);
    return SONDE_OK;
}

static sonde_status read_traces(api *a, store_reader *r, const http_request *request,
                                http_response *response)
{
    traces_request q = { .env = api_param_str(request, "env"),
                         .cursor = api_param_str(request, "cursor"),
                         .deadline_mono_ns = sonde_deadline(sonde_mono_ns(), API_DEADLINE_NS) };
    api_range range;
    uint64_t limit;
    search s;
    sonde_status status;

    if (!api_param_range(a, request, response, &range) ||
        !api_param_u64(request, response, "limit", 50, TRACES_LIMIT_MAX, &limit))
        return SONDE_OK;
    if (!parse_traces_order(api_param_str(request, "sort"), &q.order)) {
        api_error(response, 400, "sort: must be -start, start, -duration or duration");
        return SONDE_OK;
    }
    if (!parse_query(api_param_str(request, "query"), &s, response))
        return SONDE_OK;
    q.search = &s;
    q.from_unix_ns = first_ns(range.from_s);
    q.to_unix_ns = last_ns(range.to_s);
    q.limit = (size_t)limit;
    status = answer_traces(r, &q, response);
    search_done(&s);
    return status;
}

http_result api_get_traces(void *user, http_request *request, http_response *response)
{
    return api_run((api *)user, request, response, read_traces);
}

/* ---- span search: the request ---- */

typedef struct events_request { /* texts as they came, copied */
    char query[TEXT_MAX + 1], from[64], to[64], sort[32], cursor[64];
    double limit;
} events_request;

/* Copies a text the reader will reuse; false when it does not fit. */
static bool copy_text(char *to, size_t cap, sonde_str s)
{
    if (s.len >= cap)
        return false;
    if (s.len)
        memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
    return true;
}

static bool take_text(events_request *q, sonde_str key, sonde_str value)
{
    const struct {
        const char *key;
        char *to;
        size_t cap;
    } fields[] = {
        { "query", q->query, sizeof(q->query) },
        { "from", q->from, sizeof(q->from) },
        { "to", q->to, sizeof(q->to) },
        { "sort", q->sort, sizeof(q->sort) },
        { "cursor", q->cursor, sizeof(q->cursor) },
    };
    size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (sonde_str_eq(key, sonde_str_from(fields[i].key)))
            return copy_text(fields[i].to, fields[i].cap, value);
    return true;
}

static bool is_inner(sonde_str key)
{
    return sonde_str_eq(key, SONDE_STR("data")) || sonde_str_eq(key, SONDE_STR("attributes")) ||
           sonde_str_eq(key, SONDE_STR("filter")) || sonde_str_eq(key, SONDE_STR("page"));
}

/* The request is a few known names inside data.attributes: objects on the way there are entered, other
 * values are passed over. */
static bool parse_events_request(sonde_json_reader *r, events_request *q, int depth)
{
    for (;;) {
        sonde_json_event e = sonde_json_next(r);
        char key_text[32];
        sonde_str key;

        if (e == SONDE_JSON_OBJECT_END)
            return true;
        if (e != SONDE_JSON_KEY)
            return false;
        key = copy_text(key_text, sizeof(key_text), r->text) ? sonde_str_from(key_text)
                                                             : SONDE_STR("");
        e = sonde_json_next(r);
        if (e == SONDE_JSON_OBJECT && depth < 4 && is_inner(key)) {
            if (!parse_events_request(r, q, depth + 1))
                return false;
        } else if (e == SONDE_JSON_STRING) {
            if (!take_text(q, key, r->text))
                return false;
        } else if (e == SONDE_JSON_NUMBER && sonde_str_eq(key, SONDE_STR("limit"))) {
            q->limit = r->number;
        } else if (!sonde_json_skip(r, e)) {
            return false;
        }
    }
}

static bool read_events_request(const http_request *request, events_request *q,
                                http_response *response)
{
    sonde_str body = http_request_body(request);
    sonde_json_reader r;
    bool ok = true;

    memset(q, 0, sizeof(*q));
    q->limit = 10;
    if (body.len) {
        sonde_json_reader_init(&r, body, TEXT_MAX);
        ok = sonde_json_next(&r) == SONDE_JSON_OBJECT && parse_events_request(&r, q, 0) &&
             sonde_json_next(&r) == SONDE_JSON_END;
        sonde_json_reader_done(&r);
    }
    if (!ok)
        api_error(response, 400, "body: not a search request in JSON");
    else if (q->limit < 1 || q->limit > SPANS_LIMIT_MAX)
        api_error(response, 400, "page.limit: must be from 1 to 1000");
    else if (q->sort[0] && strcmp(q->sort, "timestamp") != 0 && strcmp(q->sort, "-timestamp") != 0)
        api_error(response, 400, "sort: must be timestamp or -timestamp");
    else
        return true;
    return false;
}

static bool events_range(api *a, const events_request *q, spans_request *out,
                         http_response *response)
{
    int64_t now_s = a->clock->unix_ns(a->clock->user) / NS_PER_S;
    int64_t from_s = now_s - 900, to_s = now_s;

    if ((q->from[0] && api_parse_time(sonde_str_from(q->from), now_s, &from_s) != SONDE_OK) ||
        (q->to[0] && api_parse_time(sonde_str_from(q->to), now_s, &to_s) != SONDE_OK)) {
        api_error(response, 400,
                  "filter.from, filter.to: must be a date, milliseconds, now or now-15m");
        return false;
    }
    out->from_unix_ns = first_ns(from_s);
    out->to_unix_ns = last_ns(to_s);
    return true;
}

/* ---- span search: the answer ---- */

static void put_time(sonde_json_writer *w, const char *key, int64_t unix_ns)
{
    char text[SONDE_RFC3339_LEN];
    size_t n = sonde_format_rfc3339(unix_ns, text);

    sonde_json_put_str(w, key, (sonde_str){ text, n });
}

static void put_pair(sonde_json_writer *w, const char *key, sonde_str value)
{
    sonde_buf b;

    if (value.len == 0)
        return;
    sonde_buf_init(&b, 64 * 1024);
    sonde_buf_printf(&b, "%s:%.*s", key, SONDE_STR_ARG(value));
    sonde_json_str(w, sonde_buf_str(&b));
    sonde_buf_done(&b);
}

static void write_attributes(sonde_json_writer *w, const found_span *f, bool text_only)
{
    uint32_t i;

    for (i = 0; i < f->span->attrs_len; i++) {
        const model_attr *attr = &f->frame->attrs[f->span->attrs[i]];

        if (attr->kind == MODEL_ATTR_META) {
            sonde_json_key(w, attr->key);
            sonde_json_str(w, attr->text);
        } else if (attr->kind == MODEL_ATTR_METRIC && !text_only) {
            sonde_json_key(w, attr->key);
            sonde_json_double(w, attr->number);
        }
    }
}

static void write_event_body(sonde_json_writer *w, const found_span *f)
{
    const model_span *s = f->span;
    const model_chunk *c = s->chunk;
    char hash[16];

    sonde_json_key(w, SONDE_STR("attributes"));
    sonde_json_begin_object(w);
    sonde_json_put_i64(w, "duration", s->duration_ns);
    sonde_json_put_str(w, "operation_name", s->name);
    sonde_json_put_str(w, "status", s->error ? SONDE_STR("error") : SONDE_STR("ok"));
    write_attributes(w, f, false);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("custom"));
    sonde_json_begin_object(w);
    write_attributes(w, f, true);
    sonde_json_end_object(w);
    put_time(w, "start_timestamp", s->start_unix_ns);
    put_time(w, "end_timestamp", (int64_t)((uint64_t)s->start_unix_ns + (uint64_t)s->duration_ns));
    sonde_json_put_str(w, "env", c->source->env);
    sonde_json_put_str(w, "host", c->source->host);
    sonde_json_put_str(w, "ingestion_reason",
                       c->priority > 1 ? SONDE_STR("manual") : SONDE_STR("auto"));
    api_write_id(w, "parent_id", s->parent_id);
    sonde_hex_u64(sonde_fnv1a64(SONDE_FNV1A64_INIT, s->resource.ptr, s->resource.len), hash);
    sonde_json_put_str(w, "resource_hash", (sonde_str){ hash, sizeof(hash) });
    sonde_json_put_str(w, "resource_name", s->resource);
    sonde_json_put_str(w, "retained_by", SONDE_STR("intake"));
    sonde_json_put_str(w, "service", s->service);
    sonde_json_put_bool(w, "single_span", false);
    api_write_id(w, "span_id", s->span_id);
    sonde_json_key(w, SONDE_STR("tags"));
    sonde_json_begin_array(w);
    put_pair(w, "env", c->source->env);
    put_pair(w, "version", c->source->version);
    put_pair(w, "host", c->source->host);
    put_pair(w, "language", c->source->language);
    sonde_json_end_array(w);
    api_write_trace_id(w, "trace_id", c->trace_hi, c->trace_lo);
    sonde_json_put_str(w, "type", s->type);
}

static void write_event(sonde_json_writer *w, const found_span *f)
{
    char id[32];

    sonde_hex_u64(f->span->chunk->trace_lo, id);
    sonde_hex_u64(f->span->span_id, id + 16);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "id", (sonde_str){ id, sizeof(id) });
    sonde_json_put_str(w, "type", SONDE_STR("spans"));
    sonde_json_key(w, SONDE_STR("attributes"));
    sonde_json_begin_object(w);
    write_event_body(w, f);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

/* Neighbours on the page are mostly neighbours in a frame, too: a small cache is enough. */
static sonde_status write_events(sonde_json_writer *w, store_reader *r, const spans_page *page)
{
    frame_cache cache;
    sonde_status status = SONDE_OK;
    size_t i;

    frame_cache_init(&cache, r);
    for (i = 0; i < page->len && status != SONDE_ERR_NOMEM; i++) {
        const span_place *p = &page->places[i];
        const frame_view *v = frame_cache_get(&cache, p->day, p->frame, &status);

        if (v && p->index < v->spans_len)
            write_event(w, &(found_span){ v, &v->spans[p->index] });
    }
    frame_cache_done(&cache);
    return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
}

static sonde_status answer_events(store_reader *r, const spans_request *q, http_response *response)
{
    uint64_t start = sonde_mono_ns();
    sonde_json_writer w;
    spans_page page;
    sonde_status status = spans_find(r, q, &page);

    if (status == SONDE_ERR_INVALID) {
        api_error(response, 400, "page.cursor: not one that was given out");
        return SONDE_OK;
    }
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    sonde_json_begin_object(&w);
    sonde_json_key(&w, SONDE_STR("data"));
    sonde_json_begin_array(&w);
    status = write_events(&w, r, &page);
    sonde_json_end_array(&w);
    sonde_json_key(&w, SONDE_STR("meta"));
    sonde_json_begin_object(&w);
    sonde_json_put_u64(&w, "elapsed", (sonde_mono_ns() - start) / SONDE_NS_PER_MS);
    sonde_json_put_str(&w, "status", page.timed_out ? SONDE_STR("timeout") : SONDE_STR("done"));
    if (page.next[0]) {
        sonde_json_key(&w, SONDE_STR("page"));
        sonde_json_begin_object(&w);
        sonde_json_put_str(&w, "after", sonde_str_from(page.next));
        sonde_json_end_object(&w);
    }
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
    spans_page_done(&page);
    return status;
}

static sonde_status read_events(api *a, store_reader *r, const http_request *request,
                                http_response *response)
{
    events_request e;
    spans_request q = { .deadline_mono_ns = sonde_deadline(sonde_mono_ns(), API_DEADLINE_NS) };
    search s;
    sonde_status status;

    if (!read_events_request(request, &e, response) || !events_range(a, &e, &q, response) ||
        !parse_query(sonde_str_from(e.query), &s, response))
        return SONDE_OK;
    q.search = &s;
    q.order = strcmp(e.sort, "timestamp") == 0 ? SPANS_EARLIEST_FIRST : SPANS_LATEST_FIRST;
    q.limit = (size_t)e.limit;
    q.cursor = sonde_str_from(e.cursor);
    status = answer_events(r, &q, response);
    search_done(&s);
    return status;
}

http_result api_search_spans(void *user, http_request *request, http_response *response)
{
    return api_run((api *)user, request, response, read_events);
}
