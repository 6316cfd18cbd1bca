/* profile_routes.c - GET /api/sonde/v1/profiles: the list, and which view a path below it is. */

#include "base/alloc.h"
#include "profile_views.h"

/* ---- the list ---- */

void profile_put_types(sonde_json_writer *w, const sonde_pprof_type *types, size_t len)
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

static sonde_status list_profiles(store_reader *r, profile_request *q, http_response *response)
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
        profile_put_types(&w, l.types, l.types_len);
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

/* ---- the routes ---- */

static sonde_status read_profiles(api *a, store_reader *r, const http_request *request,
                                  http_response *response)
{
    static const struct {
        const char *path;
        sonde_status (*answer)(store_reader *r, profile_request *q, http_response *response);
    } routes[] = {
        { "", list_profiles },
        { "/flamegraph", profile_answer_flamegraph },
        { "/top", profile_answer_top },
        { "/lanes", profile_answer_lanes },
        { "/timeline", profile_answer_timeline },
        { "/traces", profile_answer_traces },
        { "/download", profile_answer_download },
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
