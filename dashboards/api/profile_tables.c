/* profile_tables.c - merged profiles as tables: functions, time, and the traces whose requests were sampled. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "profile_views.h"

#define BUCKETS_WANTED 200

/* ---- functions ---- */

typedef struct top_row {
    uint32_t frame;
    int64_t key; /* sorted by it */
} top_row;

static int row_order(const void *a, const void *b)
{
    const top_row *x = (const top_row *)a, *y = (const top_row *)b;

    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static double share(int64_t value, int64_t total)
{
    return total > 0 ? (double)value / (double)total : 0;
}

/* How many standard errors the share of a function differs in two sets of samples; 0 without samples. */
static double difference_z(const flametree *f, size_t index)
{
    double a = share(flametree_frame_total(f, index, 0), f->totals[0]);
    double b = share(flametree_frame_total(f, index, 1), f->totals[1]);
    double n = (double)f->samples[0], m = (double)f->samples[1];
    double p = n + m > 0 ? (a * n + b * m) / (n + m) : 0;
    double error = n > 0 && m > 0 ? sqrt(p * (1 - p) * (1 / n + 1 / m)) : 0;

    return error > 0 ? (a - b) / error : 0;
}

static int64_t key_of(const flametree *f, size_t index, sonde_str sort)
{
    double change;

    if (sonde_str_eq(sort, SONDE_STR("total")))
        return flametree_frame_total(f, index, 0);
    if (!sonde_str_eq(sort, SONDE_STR("change")) || f->tree.columns < 2)
        return flametree_frame_self(f, index, 0);
    change = share(flametree_frame_self(f, index, 0), f->totals[0]) -
             share(flametree_frame_self(f, index, 1), f->totals[1]);
    return (int64_t)(fabs(change) * 1e15);
}

static void write_row(const flametree *f, size_t index, sonde_json_writer *w)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", sonde_flame_name(&f->tree, index));
    sonde_json_put_str(w, "object", sonde_flame_object(&f->tree, index));
    sonde_json_put_str(w, "file", sonde_flame_file(&f->tree, index));
    sonde_json_put_i64(w, "self", flametree_frame_self(f, index, 0));
    sonde_json_put_i64(w, "total", flametree_frame_total(f, index, 0));
    if (f->tree.columns > 1) {
        sonde_json_put_i64(w, "base_self", flametree_frame_self(f, index, 1));
        sonde_json_put_i64(w, "base_total", flametree_frame_total(f, index, 1));
        sonde_json_put_double(w, "z", difference_z(f, index));
    }
    sonde_json_end_object(w);
}

static sonde_status write_rows(const flametree *f, const profile_request *q, sonde_json_writer *w)
{
    top_row *rows = (top_row *)sonde_calloc(f->tree.frames_len, sizeof(*rows));
    size_t i, c, len = 0;

    if (!rows)
        return SONDE_ERR_NOMEM;
    for (i = 1; i < f->tree.frames_len; i++) {
        int64_t any = 0;

        for (c = 0; c < f->tree.columns; c++)
            any |= flametree_frame_total(f, i, c);
        if (any)
            rows[len++] = (top_row){ (uint32_t)i, key_of(f, i, q->sort) };
    }
    if (len)
        qsort(rows, len, sizeof(*rows), row_order);
    sonde_json_put_u64(w, "functions", len);
    sonde_json_key(w, SONDE_STR("rows"));
    sonde_json_begin_array(w);
    for (i = 0; i < len && i < q->limit; i++)
        write_row(f, rows[i].frame, w);
    sonde_json_end_array(w);
    sonde_free(rows);
    return SONDE_OK;
}

/* Runs the request and begins the answer; the caller ends it when the status is OK. */
static sonde_status begin(store_reader *r, profile_request *q, http_response *response,
                          profile_answer *x, sonde_json_writer *w)
{
    sonde_status status = profile_request_run(r, q, x);

    if (status != SONDE_OK)
        return status;
    api_begin_json(response, w);
    sonde_json_begin_object(w);
    profile_write_about(w, x, q);
    return SONDE_OK;
}

sonde_status profile_answer_top(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .timed_out = false };
    sonde_json_writer w;
    sonde_status status = begin(r, q, response, &x, &w);

    if (status == SONDE_OK) {
        status = write_rows(&x.flame, q, &w);
        sonde_json_end_object(&w);
    }
    profile_answer_done(&x);
    return status;
}

/* ---- time ---- */

static int64_t step_of(int64_t range_s)
{
    static const int64_t steps[] = { 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200 };
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (range_s / steps[i] <= BUCKETS_WANTED)
            return steps[i];
    return range_s / BUCKETS_WANTED;
}

void profile_want_timeline(const profile_request *q, profile_answer *x)
{
    int64_t from_s = q->selection.query.from_unix_ns / (int64_t)SONDE_NS_PER_S;
    int64_t to_s = q->selection.query.to_unix_ns / (int64_t)SONDE_NS_PER_S;
    int64_t step_s = step_of(to_s - from_s), start_s = from_s / step_s * step_s;

    x->bucket_from_unix_ns = start_s * (int64_t)SONDE_NS_PER_S;
    x->bucket_step_ns = step_s * (int64_t)SONDE_NS_PER_S;
    x->buckets_len = (size_t)((to_s - start_s) / step_s + 1);
}

void profile_write_timeline(sonde_json_writer *w, const profile_answer *x)
{
    size_t i;

    sonde_json_put_i64(w, "step_s", x->bucket_step_ns / (int64_t)SONDE_NS_PER_S);
    sonde_json_put_i64(w, "start", x->bucket_from_unix_ns / (int64_t)SONDE_NS_PER_S);
    sonde_json_key(w, SONDE_STR("values"));
    sonde_json_begin_array(w);
    for (i = 0; i < x->buckets_len; i++)
        sonde_json_double(w, round(x->flame.buckets[i]));
    sonde_json_end_array(w);
}

sonde_status profile_answer_timeline(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .timed_out = false };
    sonde_json_writer w;
    sonde_status status;

    profile_want_timeline(q, &x);
    status = begin(r, q, response, &x, &w);
    if (status == SONDE_OK) {
        profile_write_timeline(&w, &x);
        sonde_json_end_object(&w);
    }
    profile_answer_done(&x);
    return status;
}

/* ---- traces ---- */

static int root_order(const void *a, const void *b)
{
    const flametree_root *x = (const flametree_root *)a, *y = (const flametree_root *)b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void write_root(const flametree_root *root, sonde_json_writer *w)
{
    sonde_json_begin_object(w);
    api_write_id(w, "local_root_span_id", root->id);
    sonde_json_put_str(w, "endpoint", root->endpoint);
    sonde_json_put_i64(w, "value", root->value);
    sonde_json_put_u64(w, "samples", root->samples);
    api_write_unix_ns(w, "first_unix_ns", root->first_unix_ns);
    api_write_unix_ns(w, "last_unix_ns", root->last_unix_ns);
    sonde_json_end_object(w);
}

sonde_status profile_answer_traces(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .timed_out = false };
    sonde_json_writer w;
    sonde_status status = begin(r, q, response, &x, &w);
    size_t i, len;

    if (status == SONDE_OK) {
        len = x.flame.roots_by_id.len;
        if (len)
            qsort(x.flame.roots, len, sizeof(*x.flame.roots), root_order);
        sonde_json_put_i64(&w, "with_spans", x.flame.spans_value);
        sonde_json_key(&w, SONDE_STR("traces"));
        sonde_json_begin_array(&w);
        for (i = 0; i < len && i < q->limit; i++)
            write_root(&x.flame.roots[i], &w);
        sonde_json_end_array(&w);
        sonde_json_end_object(&w);
    }
    profile_answer_done(&x);
    return status;
}
