/* profile_request.c - see profile_request.h. */
#include "profile_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"

#define DEFAULT_NODES 20000
#define NODES_MAX     200000

#define TRACE_SLACK_NS (1ll * 1000000000) /* a sample is taken a moment after its span ended */

static bool refuse(http_response *response, const char *text)
{
    api_error(response, 400, text);
    return false;
}

/* A comma list of decimal ids, sorted. */
static bool read_ids(const http_request *request, http_response *response, const char *name,
                     uint64_t ids[PROFILE_IDS_MAX], size_t *out_len)
{
    sonde_str left = api_param_str(request, name);
    size_t len = 0, i;

    while (left.len) {
        sonde_str id = sonde_str_trim(sonde_str_cut(&left, ','));

        if (len == PROFILE_IDS_MAX)
            return refuse(response, "span, root: at most 256 ids");
        if (sonde_parse_u64(id, &ids[len]) != SONDE_OK)
            return refuse(response, "span, root: decimal ids, with commas between");
        for (i = len++; i > 0 && ids[i] < ids[i - 1]; i--) {
            uint64_t other = ids[i];

            ids[i] = ids[i - 1];
            ids[i - 1] = other;
        }
    }
    *out_len = len;
    return true;
}

static bool read_pattern(const http_request *request, http_response *response, const char *name,
                         sonde_regex **out)
{
    sonde_str pattern = api_param_str(request, name);

    if (pattern.len == 0)
        return true;
    return sonde_regex_compile(pattern, out, NULL) == SONDE_OK ||
           refuse(response, "object, frame: not a regular expression in RE2's syntax");
}

/* "20251125.17" */
static bool read_profile_id(const http_request *request, http_response *response,
                            profile_selection *s)
{
    sonde_str id = api_param_str(request, "id"), day;
    uint64_t d, n;

    if (id.len == 0)
        return true;
    day = sonde_str_cut(&id, '.');
    if (sonde_parse_u64(day, &d) != SONDE_OK || sonde_parse_u64(id, &n) != SONDE_OK || d == 0 ||
        d > 99999999 || n > INT64_MAX)
        return refuse(response, "id: as the list of profiles has it");
    s->day = (int32_t)d;
    s->id = (int64_t)n;
    s->query = (store_profile_query){ .from_unix_ns = 0, .to_unix_ns = INT64_MAX };
    return true;
}

static store_profile_query query_of(const api_range *range, sonde_str service, sonde_str env)
{
    return (store_profile_query){ .from_unix_ns = range->from_s * (int64_t)SONDE_NS_PER_S,
                                  .to_unix_ns = range->to_s * (int64_t)SONDE_NS_PER_S,
                                  .service = service,
                                  .env = env };
}

static sonde_str or_else(sonde_str text, sonde_str other)
{
    return text.len ? text : other;
}

/* base_from, base_to, base_service, base_env: what is not said is as in the selection. */
static bool read_base(api *a, const http_request *request, http_response *response,
                      profile_request *q)
{
    int64_t now_s = a->clock->unix_ns(a->clock->user) / (int64_t)SONDE_NS_PER_S;
    sonde_str from = api_param_str(request, "base_from"), to = api_param_str(request, "base_to");
    sonde_str service = api_param_str(request, "base_service");
    sonde_str env = api_param_str(request, "base_env");
    const store_profile_query *sel = &q->selection.query;
    api_range range = { sel->from_unix_ns / (int64_t)SONDE_NS_PER_S,
                        sel->to_unix_ns / (int64_t)SONDE_NS_PER_S };

    q->has_base = from.len || to.len || service.len || env.len;
    if (!q->has_base)
        return true;
    if ((from.len && api_parse_time(from, now_s, &range.from_s) != SONDE_OK) ||
        (to.len && api_parse_time(to, now_s, &range.to_s) != SONDE_OK) || range.from_s > range.to_s)
        return refuse(response, "base_from, base_to: must be Unix seconds, now, or now-15m");
    q->base.query = query_of(&range, or_else(service, sel->service), or_else(env, sel->env));
    return true;
}

static bool read_trace_id(const http_request *request, http_response *response, profile_request *q)
{
    sonde_str id = api_param_str(request, "trace");

    q->has_trace = id.len > 0;
    return !q->has_trace || trace_parse_id(id, &q->trace_hi, &q->trace_lo) == SONDE_OK ||
           refuse(response, "trace: must be 32 or 16 hex digits, or a decimal number");
}

static bool read_share(const http_request *request, http_response *response, double *out)
{
    sonde_str text = api_param_str(request, "min_share");

    *out = 0.0005;
    if (text.len && (sonde_parse_double(text, out) != SONDE_OK || *out < 0 || *out > 1))
        return refuse(response, "min_share: must be from 0 to 1");
    return true;
}

bool profile_request_read(api *a, const http_request *request, http_response *response,
                          profile_request *q)
{
    api_range range;

    memset(q, 0, sizeof(*q));
    if (!api_param_range(a, request, response, &range))
        return false;
    q->selection.query =
        query_of(&range, api_param_str(request, "service"), api_param_str(request, "env"));
    q->type = api_param_str(request, "type");
    q->filter.thread = api_param_str(request, "thread");
    q->filter.endpoint = api_param_str(request, "endpoint");
    q->filter.focus = api_param_str(request, "focus");
    q->filter.inverted = sonde_str_eq(api_param_str(request, "inverted"), SONDE_STR("1"));
    q->timeline = sonde_str_eq(api_param_str(request, "timeline"), SONDE_STR("1"));
    q->sort = api_param_str(request, "sort");
    q->format = api_param_str(request, "format");
    q->filter.spans = q->spans;
    q->filter.roots = q->roots;
    if (!read_profile_id(request, response, &q->selection) || !read_base(a, request, response, q) ||
        !read_trace_id(request, response, q) ||
        !read_ids(request, response, "span", q->spans, &q->filter.spans_len) ||
        !read_ids(request, response, "root", q->roots, &q->filter.roots_len) ||
        !read_pattern(request, response, "object", &q->filter.object) ||
        !read_pattern(request, response, "frame", &q->filter.frame) ||
        !read_share(request, response, &q->min_share))
        return false;
    return api_param_u64(request, response, "depth", FLAMETREE_DEPTH_MAX, FLAMETREE_DEPTH_MAX,
                         &q->depth) &&
           api_param_u64(request, response, "nodes", DEFAULT_NODES, NODES_MAX, &q->nodes) &&
           api_param_u64(request, response, "limit", 200, 5000, &q->limit);
}

void profile_request_done(profile_request *q)
{
    sonde_regex_free(q->filter.object);
    sonde_regex_free(q->filter.frame);
    q->filter.object = NULL;
    q->filter.frame = NULL;
}

/* ---- running ---- */

static void choose_type(const profile_request *q, profile_answer *x)
{
    const sonde_pprof_type *t =
        q->type.len ? profiles_find_type(&x->list, q->type) : profiles_default_type(&x->list);

    if (!t && q->has_base)
        t = q->type.len ? profiles_find_type(&x->base_list, q->type)
                        : profiles_default_type(&x->base_list);
    x->type = t ? t->type : q->type;
    x->unit = t ? t->unit : (sonde_str){ "", 0 };
}

static sonde_status merge(store_reader *r, profile_request *q, const profile_selection *s,
                          const profile_list *l, uint8_t column, profile_answer *x)
{
    profiles_merge how = { .type = x->all_types ? (sonde_str){ "", 0 } : x->type,
                           .column = column,
                           .beside = x->beside,
                           .filter = &q->filter,
                           .deadline_mono_ns = sonde_deadline(sonde_mono_ns(), API_DEADLINE_NS) };

    if (x->type.len == 0)
        return SONDE_OK; /* no profile at all */
    q->filter.from_unix_ns = s->query.from_unix_ns;
    q->filter.to_unix_ns = s->query.to_unix_ns;
    return profiles_add(r, l, &how, &x->flame, &x->timed_out);
}

static int id_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The spans of the trace are the local roots; its time is the time. */
static sonde_status use_trace(store_reader *r, profile_request *q, profile_answer *x)
{
    trace_view t;
    sonde_status status = trace_read(r, q->trace_hi, q->trace_lo, &t);
    size_t i;

    if (status != SONDE_OK)
        return status;
    x->ids = (uint64_t *)sonde_calloc(t.spans_len, sizeof(*x->ids));
    if (x->ids) {
        for (i = 0; i < t.spans_len; i++)
            x->ids[i] = t.spans[i].span->span_id;
        qsort(x->ids, t.spans_len, sizeof(*x->ids), id_order);
        q->filter.roots = x->ids;
        q->filter.roots_len = t.spans_len;
        q->selection.query.from_unix_ns = t.start_unix_ns - TRACE_SLACK_NS;
        q->selection.query.to_unix_ns = t.end_unix_ns + TRACE_SLACK_NS;
    }
    trace_view_done(&t);
    return x->ids ? SONDE_OK : SONDE_ERR_NOMEM;
}

static sonde_status init_flame(const profile_request *q, profile_answer *x)
{
    size_t columns = q->has_base || x->beside.len ? 2 : 1;
    sonde_status status;

    if (x->all_types)
        columns = x->list.types_len ? x->list.types_len : 1;
    status = flametree_init(&x->flame, columns);
    x->flame.lanes = x->wants_lanes ? &x->lanes : NULL;
    if (status == SONDE_OK && x->keeps_labels)
        flametree_keep_labels(&x->flame);
    if (status == SONDE_OK && x->buckets_len)
        status = flametree_want_buckets(&x->flame, x->bucket_from_unix_ns, x->bucket_step_ns,
                                        x->buckets_len);
    return status;
}

sonde_status profile_request_run(store_reader *r, profile_request *q, profile_answer *x)
{
    sonde_status status = q->has_trace ? use_trace(r, q, x) : SONDE_OK;

    if (x->all_types)
        q->has_base = false;
    if (status == SONDE_OK)
        status = profiles_list(r, &q->selection, &x->list);
    if (status == SONDE_OK && q->has_base)
        status = profiles_list(r, &q->base, &x->base_list);
    if (status != SONDE_OK)
        return status;
    choose_type(q, x);
    if (x->wants_lanes)
        status = profile_want_lanes(q, x);
    if (status == SONDE_OK)
        status = init_flame(q, x);
    if (status == SONDE_OK)
        status = merge(r, q, &q->selection, &x->list, 0, x);
    if (status == SONDE_OK && q->has_base)
        status = merge(r, q, &q->base, &x->base_list, 1, x);
    return status == SONDE_OK ? flametree_finish(&x->flame) : status;
}

void profile_answer_done(profile_answer *x)
{
    flametree_done(&x->flame);
    lanes_done(&x->lanes);
    sonde_free(x->ids);
    profile_list_done(&x->list);
    profile_list_done(&x->base_list);
}
