/* stats_routes.c - /api/sonde/v1/services, its resources and series, and facets. */
#include <stdlib.h>

#include "base/alloc.h"
#include "dashboards/query/services.h"
#include "internal.h"

#define SERVICES_PATH "/api/sonde/v1/services/"
#define RESOURCES_MAX 500u

static bool range_of(api *a, const http_request *request, http_response *response, stats_range *out)
{
    api_range range;

    if (!api_param_range(a, request, response, &range))
        return false;
    *out = (stats_range){ .from_s = range.from_s,
                          .to_s = range.to_s,
                          .now_s = a->clock->unix_ns(a->clock->user) / 1000000000,
                          .env = api_param_str(request, "env") };
    return true;
}

static void put_ns(sonde_json_writer *w, const char *key, double ns)
{
    sonde_json_put_u64(w, key, ns > 0 ? (uint64_t)(ns + 0.5) : 0);
}

static void write_latency(sonde_json_writer *w, const stats_sum *s)
{
    latency l = stats_latency(s);

    sonde_json_key(w, SONDE_STR("duration_ns"));
    sonde_json_begin_object(w);
    put_ns(w, "avg", l.avg);
    put_ns(w, "p50", l.p50);
    put_ns(w, "p75", l.p75);
    put_ns(w, "p95", l.p95);
    put_ns(w, "p99", l.p99);
    put_ns(w, "max", l.max);
    sonde_json_end_object(w);
}

static void write_rates(sonde_json_writer *w, uint64_t hits, uint64_t errors,
                        const stats_range *range)
{
    int64_t length_s = range->to_s - range->from_s;

    sonde_json_put_u64(w, "hits", hits);
    sonde_json_put_u64(w, "errors", errors);
    sonde_json_put_double(w, "error_rate", hits ? (double)errors / (double)hits : 0);
    sonde_json_put_double(w, "per_second", length_s > 0 ? (double)hits / (double)length_s : 0);
}

static void write_counts(sonde_json_writer *w, const char *key, const uint64_t *counts, size_t len)
{
    size_t i;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    for (i = 0; i < len; i++)
        sonde_json_u64(w, counts[i]);
    sonde_json_end_array(w);
}

static void write_service(sonde_json_writer *w, const stats_view *v, const stats_entry *e,
                          const stats_range *range)
{
    size_t i;

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "service", e->service);
    sonde_json_put_str(w, "type", e->type);
    sonde_json_key(w, SONDE_STR("envs"));
    sonde_json_begin_array(w);
    for (i = 0; i < e->envs_len; i++)
        sonde_json_str(w, e->envs[i]);
    sonde_json_end_array(w);
    write_rates(w, e->sum.top_hits, e->sum.errors, range);
    write_latency(w, &e->sum);
    sonde_json_key(w, SONDE_STR("spark"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "step_s", v->spark_step_s);
    sonde_json_put_i64(w, "start", v->spark_start_s);
    write_counts(w, "hits", e->spark_hits, v->spark_len);
    write_counts(w, "errors", e->spark_errors, v->spark_len);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

static sonde_status read_services(api *a, store_reader *r, const http_request *request,
                                  http_response *response)
{
    sonde_json_writer w;
    stats_range range;
    stats_view v;
    sonde_status status;
    size_t i;

    if (!range_of(a, request, response, &range))
        return SONDE_OK;
    status = services_read(r, &range, &v);
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    sonde_json_begin_object(&w);
    sonde_json_put_i64(&w, "from", range.from_s);
    sonde_json_put_i64(&w, "to", range.to_s);
    sonde_json_key(&w, SONDE_STR("services"));
    sonde_json_begin_array(&w);
    for (i = 0; i < v.len; i++)
        write_service(&w, &v, v.entries[i], &range);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
    stats_view_done(&v);
    return SONDE_OK;
}

static void write_resource(sonde_json_writer *w, const stats_entry *e, const stats_range *range)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", e->name);
    sonde_json_put_str(w, "resource", e->resource);
    sonde_json_put_str(w, "type", e->type);
    sonde_json_put_str(w, "span_kind", e->kind);
    sonde_json_put_bool(w, "top_level", e->sum.top_hits > 0);
    write_rates(w, e->sum.hits, e->sum.errors, range);
    write_latency(w, &e->sum);
    sonde_json_end_object(w);
}

/* "/api/sonde/v1/services/<service><suffix>": the service, which may hold slashes. */
static bool service_of(const http_request *request, sonde_str suffix, sonde_str *out)
{
    sonde_str path = http_request_path(request);
    size_t around = sizeof(SERVICES_PATH) - 1 + suffix.len;

    if (!sonde_str_ends(path, suffix) || path.len <= around)
        return false;
    *out = sonde_str_sub(path, sizeof(SERVICES_PATH) - 1, path.len - around);
    return true;
}

static sonde_status read_resources(api *a, store_reader *r, const http_request *request,
                                   http_response *response)
{
    sonde_json_writer w;
    stats_range range;
    stats_view v;
    sonde_status status;
    size_t i;

    if (!range_of(a, request, response, &range) ||
        !service_of(request, SONDE_STR("/resources"), &range.service))
        return SONDE_OK;
    status = resources_read(r, &range, &v);
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "service", range.service);
    sonde_json_key(&w, SONDE_STR("resources"));
    sonde_json_begin_array(&w);
    for (i = 0; i < v.len && i < RESOURCES_MAX; i++)
        write_resource(&w, v.entries[i], &range);
    sonde_json_end_array(&w);
    if (v.truncated || v.len > RESOURCES_MAX)
        sonde_json_put_bool(&w, "truncated", true);
    sonde_json_end_object(&w);
    stats_view_done(&v);
    return SONDE_OK;
}

static void put_quantile(sonde_json_writer *w, const char *key, const stats_sum *s, double ns)
{
    if (s->hits) {
        put_ns(w, key, ns);
        return;
    }
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_null(w);
}

static void write_point(sonde_json_writer *w, int64_t t, const stats_sum *s)
{
    latency l = stats_latency(s);

    sonde_json_begin_object(w);
    sonde_json_put_i64(w, "t", t);
    sonde_json_put_u64(w, "hits", s->top_hits);
    sonde_json_put_u64(w, "errors", s->errors);
    put_quantile(w, "p50", s, l.p50);
    put_quantile(w, "p75", s, l.p75);
    put_quantile(w, "p95", s, l.p95);
    put_quantile(w, "p99", s, l.p99);
    sonde_json_end_object(w);
}

static sonde_status read_series(api *a, store_reader *r, const http_request *request,
                                http_response *response)
{
    sonde_json_writer w;
    stats_range range;
    series_view v;
    uint64_t step;
    sonde_status status;
    size_t i;

    if (!range_of(a, request, response, &range) ||
        !service_of(request, SONDE_STR("/series"), &range.service) ||
        !api_param_u64(request, response, "step", 0, 86400, &step))
        return SONDE_OK;
    if (step % STATS_STEP_S) {
        api_error(response, 400, "step: must be a multiple of 10");
        return SONDE_OK;
    }
    status = series_read(r, &range, step, &v);
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    sonde_json_begin_object(&w);
    sonde_json_put_u64(&w, "step_s", v.step_s);
    sonde_json_key(&w, SONDE_STR("points"));
    sonde_json_begin_array(&w);
    for (i = 0; i < v.len; i++)
        write_point(&w, v.start_s + (int64_t)i * v.step_s, &v.points[i]);
    sonde_json_end_array(&w);
    sonde_json_end_object(&w);
    series_view_done(&v);
    return SONDE_OK;
}

http_result api_get_services(void *user, http_request *request, http_response *response)
{
    return api_run((api *)user, request, response, read_services);
}

http_result api_get_service(void *user, http_request *request, http_response *response)
{
    sonde_str service;

    if (service_of(request, SONDE_STR("/resources"), &service))
        return api_run((api *)user, request, response, read_resources);
    if (service_of(request, SONDE_STR("/series"), &service))
        return api_run((api *)user, request, response, read_series);
    api_error(response, 404, "not found");
    return HTTP_DONE;
}

/* ---- facets ---- */

static int text_order(const void *a, const void *b)
{
    return sonde_str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static void write_facet(sonde_json_writer *w, const char *key, const sonde_table *values)
{
    sonde_str *sorted = (sonde_str *)sonde_calloc(values->count + 1, sizeof(*sorted));
    sonde_table_entry *entry;
    size_t cursor = 0, len = 0, i;

    while (sorted && (entry = sonde_table_next(values, &cursor)) != NULL)
        sorted[len++] = entry->key;
    if (len)
        qsort(sorted, len, sizeof(*sorted), text_order);
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_array(w);
    for (i = 0; i < len; i++)
        sonde_json_str(w, sorted[i]);
    sonde_json_end_array(w);
    sonde_free(sorted);
}

static sonde_status read_facets(api *a, store_reader *r, const http_request *request,
                                http_response *response)
{
    static const char *const names[FACETS] = { "envs", "services", "operations", "types", "hosts" };
    sonde_json_writer w;
    stats_range range;
    facets_view v;
    sonde_status status;
    int i;

    if (!range_of(a, request, response, &range))
        return SONDE_OK;
    status = facets_read(r, &range, &v);
    if (status != SONDE_OK)
        return status;
    api_begin_json(response, &w);
    sonde_json_begin_object(&w);
    for (i = 0; i < FACETS; i++)
        write_facet(&w, names[i], &v.values[i]);
    sonde_json_end_object(&w);
    facets_view_done(&v);
    return SONDE_OK;
}

http_result api_get_facets(void *user, http_request *request, http_response *response)
{
    return api_run((api *)user, request, response, read_facets);
}
