/* profile_routes.c - GET /api/sonde/v1/profiles and what is below it. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "profile_request.h"

/* ---- the list ---- */

static void put_types(sonde_json_writer *w, const pprof_type *types, size_t len)
{
    size_t i;

    sonde_json_key(w, SONDE_STR("types"));
    sonde_json_begin_array(w);
    for (i = 0; i < len; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "type", types[i].type);
        sonde_json_put_str(w, "unit", types[i].unit);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}

typedef struct service_sum {
    sonde_str service, env;
    uint64_t profiles, samples;
    int64_t last_unix_ns;
} service_sum;

static void sum_services(const profile_list *l, service_sum *sums, size_t *out_len)
{
    size_t i, k, len = 0;

    for (i = 0; i < l->len; i++) {
        const profile_item *p = &l->items[i];

        for (k = 0; k < len; k++)
            if (sonde_str_eq(sums[k].service, p->service) && sonde_str_eq(sums[k].env, p->env))
                break;
        if (k == len)
            sums[len++] = (service_sum){ p->service, p->env, 0, 0, p->end_unix_ns };
        sums[k].profiles++;
        sums[k].samples += p->samples;
    }
    *out_len = len;
}

static void write_services(sonde_json_writer *w, const profile_list *l, service_sum *sums)
{
    size_t i, len;

    sum_services(l, sums, &len);
    sonde_json_key(w, SONDE_STR("services"));
    sonde_json_begin_array(w);
    for (i = 0; i < len; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "service", sums[i].service);
        sonde_json_put_str(w, "env", sums[i].env);
        sonde_json_put_u64(w, "profiles", sums[i].profiles);
        sonde_json_put_u64(w, "samples", sums[i].samples);
        api_write_unix_ns(w, "last_unix_ns", sums[i].last_unix_ns);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}

static void write_item(sonde_json_writer *w, const profile_item *p)
{
    sonde_buf id;

    sonde_buf_init(&id, 64);
    sonde_buf_printf(&id, "%d.%lld", p->day, (long long)p->id);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "id", sonde_buf_str(&id));
    sonde_json_put_str(w, "service", p->service);
    sonde_json_put_str(w, "env", p->env);
    sonde_json_put_str(w, "version", p->version);
    sonde_json_put_str(w, "host", p->host);
    sonde_json_put_str(w, "runtime_id", p->runtime_id);
    sonde_json_put_str(w, "family", p->family);
    sonde_json_put_str(w, "name", p->name);
    api_write_unix_ns(w, "start_unix_ns", p->start_unix_ns);
    api_write_unix_ns(w, "end_unix_ns", p->end_unix_ns);
    sonde_json_put_u64(w, "samples", p->samples);
    sonde_json_put_u64(w, "bytes", p->bytes);
    sonde_json_end_object(w);
    sonde_buf_done(&id);
}

static sonde_status list_profiles(store_reader *r, const profile_request *q,
                                  http_response *response)
{
    profile_list l;
    sonde_json_writer w;
    service_sum *sums = NULL;
    sonde_status status = profiles_list(r, &q->selection, &l);
    size_t i;

    if (status == SONDE_OK && !(sums = (service_sum *)sonde_calloc(l.len + 1, sizeof(*sums))))
        status = SONDE_ERR_NOMEM;
    if (status == SONDE_OK) {
        api_begin_json(response, &w);
        sonde_json_begin_object(&w);
        write_services(&w, &l, sums);
        put_types(&w, l.types, l.types_len);
        sonde_json_key(&w, SONDE_STR("profiles"));
        sonde_json_begin_array(&w);
        for (i = 0; i < l.len && i < q->limit; i++)
            write_item(&w, &l.items[i]);
        sonde_json_end_array(&w);
        sonde_json_put_bool(&w, "truncated", l.truncated || l.len > q->limit);
        sonde_json_end_object(&w);
    }
    sonde_free(sums);
    profile_list_done(&l);
    return status;
}

/* ---- the flame graph ---- */

typedef struct drawing {
    const flame *f;
    sonde_json_writer *w;
    uint32_t *node_no;  /* node -> its number in the answer + 1 */
    uint32_t *frame_no; /* frame -> its number in the answer + 1 */
    uint32_t *frames;   /* numbers to frames */
    size_t nodes, frames_len;
    int64_t least;
    uint32_t depth;
} drawing;

/* How much of the screen it takes, whichever side has more of it. */
static int64_t weight(const flame *f, size_t node)
{
    int64_t most = 0;
    size_t c;

    for (c = 0; c < f->columns; c++) {
        int64_t v = flame_total(f, node, c);

        most = v > most ? v : most;
    }
    return most;
}

static bool is_shown(const drawing *d, size_t node)
{
    return node == 0 || (d->f->nodes[node].depth <= d->depth && weight(d->f, node) >= d->least &&
                         weight(d->f, node) > 0);
}

/* The least weight that leaves no more nodes than asked for. */
static void find_least(drawing *d, const profile_request *q)
{
    double least = 1.0;
    size_t shown, i;
    int64_t all = weight(d->f, 0);

    least = (double)all * q->min_share;
    for (;;) {
        d->least = (int64_t)least;
        for (shown = 0, i = 0; i < d->f->nodes_len; i++)
            shown += is_shown(d, i);
        if (shown <= q->nodes || least >= (double)all)
            return;
        least = least < 1 ? 1 : least * 1.5;
    }
}

static uint32_t number_frame(drawing *d, uint32_t index)
{
    if (d->frame_no[index] == 0) {
        d->frames[d->frames_len++] = index;
        d->frame_no[index] = (uint32_t)d->frames_len;
    }
    return d->frame_no[index] - 1;
}

/* [parent, frame, self, total] and, with a base, its [self, total]. */
static void write_nodes(drawing *d)
{
    size_t i, c;

    sonde_json_key(d->w, SONDE_STR("nodes"));
    sonde_json_begin_array(d->w);
    for (i = 0; i < d->f->nodes_len; i++) {
        const flame_node *n = &d->f->nodes[i];

        /* a parent weighs no less than its child, so it is there, too */
        if (!is_shown(d, i) || (i && d->node_no[n->parent] == 0))
            continue;
        d->node_no[i] = (uint32_t)++d->nodes;
        sonde_json_begin_array(d->w);
        sonde_json_u64(d->w, i ? d->node_no[n->parent] - 1 : 0);
        sonde_json_u64(d->w, number_frame(d, n->frame));
        for (c = 0; c < d->f->columns; c++) {
            sonde_json_i64(d->w, flame_self(d->f, i, c));
            sonde_json_i64(d->w, flame_total(d->f, i, c));
        }
        sonde_json_end_array(d->w);
    }
    sonde_json_end_array(d->w);
}

/* [name, object, file] */
static void write_frames(drawing *d)
{
    size_t i;

    sonde_json_key(d->w, SONDE_STR("frames"));
    sonde_json_begin_array(d->w);
    for (i = 0; i < d->frames_len; i++) {
        const flame_frame *fr = &d->f->frames[d->frames[i]];

        sonde_json_begin_array(d->w);
        sonde_json_str(d->w, fr->name);
        sonde_json_str(d->w, fr->object);
        sonde_json_str(d->w, fr->file);
        sonde_json_end_array(d->w);
    }
    sonde_json_end_array(d->w);
}

static sonde_status write_tree(const flame *f, const profile_request *q, sonde_json_writer *w)
{
    drawing d = { .f = f, .w = w, .depth = (uint32_t)q->depth };
    sonde_status status = SONDE_ERR_NOMEM;

    d.node_no = (uint32_t *)sonde_calloc(f->nodes_len, sizeof(*d.node_no));
    d.frame_no = (uint32_t *)sonde_calloc(f->frames_len, sizeof(*d.frame_no));
    d.frames = (uint32_t *)sonde_calloc(f->frames_len, sizeof(*d.frames));
    if (d.node_no && d.frame_no && d.frames) {
        find_least(&d, q);
        write_nodes(&d);
        write_frames(&d);
        status = SONDE_OK;
    }
    sonde_free(d.node_no);
    sonde_free(d.frame_no);
    sonde_free(d.frames);
    return status;
}

static int key_order(const void *a, const void *b)
{
    const flame_key *x = (const flame_key *)a, *y = (const flame_key *)b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return sonde_str_cmp(x->text, y->text);
}

static void write_keys(sonde_json_writer *w, const char *name, flame_keys *keys, size_t limit)
{
    size_t i;

    if (keys->len)
        qsort(keys->items, keys->len, sizeof(*keys->items), key_order);
    sonde_json_key(w, sonde_str_from(name));
    sonde_json_begin_array(w);
    for (i = 0; i < keys->len && i < limit; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "name", keys->items[i].text);
        sonde_json_put_i64(w, "value", keys->items[i].value);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}

/* What every answer about merged profiles begins with. */
static void write_about(sonde_json_writer *w, const profile_answer *x, const profile_request *q)
{
    const flame *f = &x->flame;

    sonde_json_put_str(w, "type", x->type);
    sonde_json_put_str(w, "unit", x->unit);
    put_types(w, x->list.types, x->list.types_len);
    sonde_json_put_i64(w, "total", f->totals[0]);
    sonde_json_put_u64(w, "samples", f->samples[0]);
    sonde_json_put_u64(w, "profiles", f->profiles[0]);
    if (q->has_base) {
        sonde_json_key(w, SONDE_STR("base"));
        sonde_json_begin_object(w);
        sonde_json_put_i64(w, "total", f->totals[1]);
        sonde_json_put_u64(w, "samples", f->samples[1]);
        sonde_json_put_u64(w, "profiles", f->profiles[1]);
        sonde_json_end_object(w);
    }
    sonde_json_put_bool(w, "truncated",
                        f->truncated || x->list.truncated || x->base_list.truncated);
    sonde_json_put_bool(w, "timed_out", x->timed_out);
}

static sonde_status draw_flamegraph(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .timed_out = false };
    sonde_json_writer w;
    sonde_status status = flame_init(&x.flame, q->has_base ? 2 : 1);

    if (status == SONDE_OK)
        status = profile_request_run(r, q, &x);
    if (status == SONDE_OK) {
        api_begin_json(response, &w);
        sonde_json_begin_object(&w);
        write_about(&w, &x, q);
        write_keys(&w, "threads", &x.flame.threads, 100);
        write_keys(&w, "endpoints", &x.flame.endpoints, 100);
        write_keys(&w, "objects", &x.flame.objects, 100);
        status = write_tree(&x.flame, q, &w);
        sonde_json_end_object(&w);
    }
    profile_answer_done(&x);
    return status;
}

/* ---- the routes ---- */

typedef sonde_status (*answer_fn)(store_reader *r, profile_request *q, http_response *response);

static sonde_status list_adapter(store_reader *r, profile_request *q, http_response *response)
{
    return list_profiles(r, q, response);
}

static sonde_status read_profiles(api *a, store_reader *r, const http_request *request,
                                  http_response *response)
{
    static const struct {
        const char *path;
        answer_fn answer;
    } routes[] = {
        { "", list_adapter },
        { "/flamegraph", draw_flamegraph },
    };
    sonde_str path = http_request_path(request);
    sonde_str rest = sonde_str_sub(path, sizeof("/api/sonde/v1/profiles") - 1, path.len);
    profile_request *q = (profile_request *)sonde_calloc(1, sizeof(*q));
    sonde_status status = SONDE_ERR_NOT_FOUND;
    size_t i;

    if (!q)
        return SONDE_ERR_NOMEM;
    for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!sonde_str_eq(rest, sonde_str_from(routes[i].path)))
            continue;
        status = SONDE_OK; /* or an error that has been answered */
        if (profile_request_read(a, request, response, q))
            status = routes[i].answer(r, q, response);
        profile_request_done(q);
    }
    sonde_free(q);
    return status;
}

http_result api_get_profiles(void *user, http_request *request, http_response *response)
{
    return api_run((api *)user, request, response, read_profiles);
}
