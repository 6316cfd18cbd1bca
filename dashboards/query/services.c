/* services.c - adds up rows of statistics by service, by resource, by time and by facet. */
#include "dashboards/query/services.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* What the store keeps: 10 s for 6 h, minutes for 3 d, hours beyond (with a margin for the edges). */
static uint32_t resolution(const stats_range *range, uint32_t wanted_s)
{
    int64_t age_s = range->now_s - range->from_s;

    if (age_s > 3 * 86400 - 3600 || wanted_s % 3600 == 0)
        return 3600;
    if (age_s > 6 * 3600 - 60 || wanted_s % 60 == 0)
        return 60;
    return 10;
}

/* The smallest usual step with at most `points` points. */
static uint32_t choose_step(int64_t range_s, size_t points)
{
    static const uint32_t steps[] = { 10,   20,   30,   60,    120,   300,   600,    900,
                                      1800, 3600, 7200, 14400, 43200, 86400, 604800, 2592000 };
    size_t i;

    for (i = 0; i + 1 < sizeof(steps) / sizeof(steps[0]); i++)
        if (range_s / steps[i] < (int64_t)points)
            return steps[i];
    return steps[i];
}

static int64_t floor_to(int64_t s, int64_t step)
{
    return s - s % step;
}

/* `to` is inside: the bucket that starts this very second holds what just happened. */
static store_stats_query query_of(const stats_range *range, uint32_t step_s)
{
    return (store_stats_query){ .from_s = floor_to(range->from_s, step_s),
                                .to_s = range->to_s + 1,
                                .step_s = step_s,
                                .service = range->service,
                                .env = range->env };
}

/* ---- sums ---- */

static sonde_status sum_add(stats_sum *s, const stats_row *row, sonde_sketch *scratch)
{
    sonde_status status = stats_sketch_merge(&s->latency, row->ok_sketch, scratch);

    if (status == SONDE_OK)
        status = stats_sketch_merge(&s->latency, row->err_sketch, scratch);
    s->hits += row->hits;
    s->errors += row->errors;
    s->top_hits += row->top_hits;
    s->duration_ns += row->duration_ns;
    return status == SONDE_ERR_NOMEM ? status : SONDE_OK; /* a damaged sketch costs itself only */
}

latency stats_latency(const stats_sum *s)
{
    const sonde_sketch *l = &s->latency;

    if (s->hits == 0)
        return (latency){ 0 };
    return (latency){ .avg = (double)s->duration_ns / (double)s->hits,
                      .p50 = sonde_sketch_quantile(l, 0.50),
                      .p75 = sonde_sketch_quantile(l, 0.75),
                      .p95 = sonde_sketch_quantile(l, 0.95),
                      .p99 = sonde_sketch_quantile(l, 0.99),
                      .max = sonde_sketch_quantile(l, 1.0) };
}

/* ---- services and resources ---- */

typedef struct gathering {
    stats_view *view;
    bool by_resource;
    sonde_sketch scratch;
    sonde_buf key;
    sonde_status status;
} gathering;

static sonde_str key_of(gathering *g, const stats_row *row)
{
    const sonde_str *fields[] = { &row->name, &row->resource, &row->type, &row->kind };
    size_t i;

    if (!g->by_resource)
        return row->service;
    sonde_buf_reset(&g->key);
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        sonde_buf_append_str(&g->key, *fields[i]);
        sonde_buf_append_byte(&g->key, 0);
    }
    return sonde_buf_str(&g->key);
}

static stats_entry *new_entry(gathering *g, sonde_str key, const stats_row *row)
{
    stats_view *v = g->view;
    stats_entry *e;

    if (v->table.count == STATS_ENTRIES_MAX) {
        v->truncated = true;
        return NULL;
    }
    e = (stats_entry *)sonde_arena_zalloc(&v->arena, 1, sizeof(*e));
    g->status = e ? sonde_table_put(&v->table, key, e) : SONDE_ERR_NOMEM;
    if (g->status != SONDE_OK)
        return NULL;
    sonde_sketch_init(&e->sum.latency);
    e->service = sonde_arena_copy(&v->arena, row->service);
    e->name = sonde_arena_copy(&v->arena, row->name);
    e->resource = sonde_arena_copy(&v->arena, row->resource);
    e->type = sonde_arena_copy(&v->arena, row->type);
    e->kind = sonde_arena_copy(&v->arena, row->kind);
    return e;
}

static void note_env(stats_view *v, stats_entry *e, sonde_str env)
{
    size_t i;

    for (i = 0; i < e->envs_len; i++)
        if (sonde_str_eq(e->envs[i], env))
            return;
    if (e->envs_len < SERVICE_ENVS_MAX)
        e->envs[e->envs_len++] = sonde_arena_copy(&v->arena, env);
}

static void note_type(stats_view *v, stats_entry *e, const stats_row *row)
{
    if (row->top_hits <= e->type_hits || row->type.len == 0)
        return;
    e->type_hits = row->top_hits;
    if (!sonde_str_eq(e->type, row->type))
        e->type = sonde_arena_copy(&v->arena, row->type);
}

static void note_spark(const stats_view *v, stats_entry *e, const stats_row *row)
{
    int64_t at = (row->bucket_s - v->spark_start_s) / v->spark_step_s;

    if (row->bucket_s < v->spark_start_s || at >= (int64_t)v->spark_len)
        return;
    e->spark_hits[at] += row->top_hits;
    e->spark_errors[at] += row->errors;
}

static bool gather_row(void *user, const stats_row *row)
{
    gathering *g = (gathering *)user;
    stats_view *v = g->view;
    sonde_str key = key_of(g, row);
    stats_entry *e;

    if (!g->by_resource && row->top_hits == 0)
        return true;
    e = (stats_entry *)sonde_table_get(&v->table, key);
    if (!e)
        e = new_entry(g, key, row);
    if (!e)
        return g->status == SONDE_OK;
    note_env(v, e, row->env);
    if (!g->by_resource) {
        note_type(v, e, row);
        note_spark(v, e, row);
    }
    g->status = sum_add(&e->sum, row, &g->scratch);
    return g->status == SONDE_OK;
}

static int most_hits_first(const void *a, const void *b)
{
    const stats_entry *x = *(stats_entry *const *)a, *y = *(stats_entry *const *)b;
    int order;

    if (x->sum.hits != y->sum.hits)
        return x->sum.hits > y->sum.hits ? -1 : 1;
    order = sonde_str_cmp(x->service, y->service);
    if (order == 0)
        order = sonde_str_cmp(x->name, y->name);
    return order ? order : sonde_str_cmp(x->resource, y->resource);
}

static sonde_status sort_entries(stats_view *v)
{
    sonde_table_entry *entry;
    size_t cursor = 0;

    v->entries =
        (stats_entry **)sonde_arena_zalloc(&v->arena, v->table.count + 1, sizeof(*v->entries));
    if (!v->entries)
        return SONDE_ERR_NOMEM;
    while ((entry = sonde_table_next(&v->table, &cursor)) != NULL)
        v->entries[v->len++] = (stats_entry *)entry->value;
    qsort(v->entries, v->len, sizeof(*v->entries), most_hits_first);
    return SONDE_OK;
}

static void plan_spark(stats_view *v, const stats_range *range)
{
    int64_t length_s = range->to_s - range->from_s;

    v->spark_step_s = choose_step(length_s, SPARK_POINTS_MAX);
    v->spark_start_s = floor_to(range->from_s, v->spark_step_s);
    v->spark_len = (size_t)((range->to_s - v->spark_start_s) / v->spark_step_s) + 1;
    if (v->spark_len > SPARK_POINTS_MAX) /* the step is the largest there is: the end counts */
        v->spark_len = SPARK_POINTS_MAX;
}

static sonde_status gather(store_reader *r, const stats_range *range, bool by_resource,
                           stats_view *out)
{
    gathering g = { .view = out, .by_resource = by_resource };
    store_stats_query query;
    sonde_status status;

    memset(out, 0, sizeof(*out));
    sonde_arena_init(&out->arena, STATS_VIEW_MAX_BYTES);
    sonde_table_init(&out->table, STATS_ENTRIES_MAX);
    sonde_sketch_init(&g.scratch);
    sonde_buf_init(&g.key, 64 * 1024);
    plan_spark(out, range);
    query = query_of(range, resolution(range, out->spark_step_s));
    status = store_scan_stats(r, &query, gather_row, &g);
    if (status == SONDE_OK)
        status = g.status;
    if (status == SONDE_OK)
        status = sort_entries(out);
    sonde_sketch_done(&g.scratch);
    sonde_buf_done(&g.key);
    if (status != SONDE_OK)
        stats_view_done(out);
    return status;
}

sonde_status services_read(store_reader *r, const stats_range *range, stats_view *out)
{
    return gather(r, range, false, out);
}

sonde_status resources_read(store_reader *r, const stats_range *range, stats_view *out)
{
    return gather(r, range, true, out);
}

void stats_view_done(stats_view *v)
{
    sonde_table_entry *entry;
    size_t cursor = 0;

    while ((entry = sonde_table_next(&v->table, &cursor)) != NULL)
        sonde_sketch_done(&((stats_entry *)entry->value)->sum.latency);
    sonde_table_done(&v->table);
    sonde_arena_done(&v->arena);
    memset(v, 0, sizeof(*v));
}

/* ---- series ---- */

typedef struct filling {
    series_view *view;
    sonde_sketch scratch;
    sonde_status status;
} filling;

static bool fill_row(void *user, const stats_row *row)
{
    filling *f = (filling *)user;
    int64_t at = (row->bucket_s - f->view->start_s) / f->view->step_s;

    if (row->top_hits == 0 || row->bucket_s < f->view->start_s || at >= (int64_t)f->view->len)
        return true;
    f->status = sum_add(&f->view->points[at], row, &f->scratch);
    return f->status == SONDE_OK;
}

sonde_status series_read(store_reader *r, const stats_range *range, uint64_t step_s,
                         series_view *out)
{
    int64_t length_s = range->to_s - range->from_s;
    uint32_t smallest = choose_step(length_s, SERIES_POINTS_MAX), data_step;
    uint32_t step =
        step_s ? (uint32_t)(step_s > 86400 ? 86400 : step_s) : choose_step(length_s, 200);
    filling f = { .view = out };
    store_stats_query query;
    sonde_status status;

    memset(out, 0, sizeof(*out));
    step = step < smallest ? smallest : step - step % STATS_STEP_S;
    data_step = resolution(range, step);
    step = step < data_step ? data_step : step - step % data_step;
    out->step_s = step;
    out->start_s = floor_to(range->from_s, step);
    out->len = (size_t)((range->to_s - out->start_s) / step + 1);
    out->points = (stats_sum *)sonde_calloc(out->len + 1, sizeof(*out->points));
    if (!out->points)
        return SONDE_ERR_NOMEM;
    sonde_sketch_init(&f.scratch);
    query = query_of(range, data_step);
    query.from_s = out->start_s;
    status = store_scan_stats(r, &query, fill_row, &f);
    sonde_sketch_done(&f.scratch);
    if (status == SONDE_OK)
        status = f.status;
    if (status != SONDE_OK)
        series_view_done(out);
    return status;
}

void series_view_done(series_view *v)
{
    size_t i;

    for (i = 0; v->points && i < v->len; i++)
        sonde_sketch_done(&v->points[i].latency);
    sonde_free(v->points);
    memset(v, 0, sizeof(*v));
}

/* ---- facets ---- */

static bool note_facets(void *user, const stats_row *row)
{
    facets_view *v = (facets_view *)user;
    const sonde_str values[FACETS] = { [FACET_ENV] = row->env,
                                       [FACET_SERVICE] = row->service,
                                       [FACET_OPERATION] = row->name,
                                       [FACET_TYPE] = row->type,
                                       [FACET_HOST] = row->host };
    int i;

    for (i = 0; i < FACETS; i++)
        if (values[i].len && !sonde_table_get(&v->values[i], values[i]))
            (void)sonde_table_put(&v->values[i], values[i], v); /* full: enough to choose from */
    return true;
}

sonde_status facets_read(store_reader *r, const stats_range *range, facets_view *out)
{
    store_stats_query query =
        query_of(range, resolution(range, choose_step(range->to_s - range->from_s, 60)));
    sonde_status status;
    int i;

    for (i = 0; i < FACETS; i++)
        sonde_table_init(&out->values[i], FACET_VALUES_MAX);
    status = store_scan_stats(r, &query, note_facets, out);
    if (status != SONDE_OK)
        facets_view_done(out);
    return status;
}

void facets_view_done(facets_view *v)
{
    int i;

    for (i = 0; i < FACETS; i++)
        sonde_table_done(&v->values[i]);
}
