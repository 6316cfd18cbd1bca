/* profile_lanes.c - merged profiles as lanes: what each thread did when.
 *
 * Of CPU and wall clock time together: a thread ran, or waited for something.  Of any other type: its values.
 *
 * Source    docs/spec/sonde-api.md, "Profiles" */
#include <math.h>

#include "base/clock.h"
#include "profile_views.h"

#define STEPS_WANTED 240
#define NS_PER_MS    1000000

static int64_t step_ms_of(int64_t range_ms)
{
    static const int64_t steps[] = { 10,     20,     50,      100,     200,    500,   1000,
                                     2000,   5000,   10000,   15000,   30000,  60000, 120000,
                                     300000, 600000, 1800000, 3600000, 7200000 };
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (range_ms / steps[i] <= STEPS_WANTED)
            return steps[i];
    return range_ms / STEPS_WANTED;
}

static const sonde_pprof_type *find_time(const profile_list *l, const char *name,
                                         const char *short_name)
{
    const sonde_pprof_type *t = profiles_find_type(l, sonde_str_from(name));

    if (!t)
        t = profiles_find_type(l, sonde_str_from(short_name));
    return t && sonde_str_eq(t->unit, SONDE_STR("nanoseconds")) ? t : NULL;
}

sonde_status profile_want_lanes(const profile_request *q, profile_answer *x)
{
    const sonde_pprof_type *cpu = find_time(&x->list, "cpu-time", "cpu");
    const sonde_pprof_type *wall = find_time(&x->list, "wall-time", "wall");
    int64_t from = q->selection.query.from_unix_ns, range = q->selection.query.to_unix_ns - from;
    int64_t step = step_ms_of(range / NS_PER_MS) * NS_PER_MS;
    bool states = (cpu || wall) && (sonde_str_starts(x->type, SONDE_STR("cpu")) ||
                                    sonde_str_starts(x->type, SONDE_STR("wall")));
    sonde_status status;

    if (states) {
        x->type = cpu ? cpu->type : wall->type;
        x->unit = cpu ? cpu->unit : wall->unit;
        if (cpu && wall)
            x->beside = wall->type;
    }
    status = lanes_init(&x->lanes, states ? LANE_KINDS : 1, from / step * step, step,
                        (size_t)((range + step - 1) / step + 1));
    x->lanes.has_cpu = states && cpu;
    return status;
}

static void write_values(sonde_json_writer *w, const lanes *l, size_t index)
{
    size_t kind, step;

    sonde_json_key(w, SONDE_STR("values"));
    sonde_json_begin_array(w);
    for (kind = 0; kind < l->kinds; kind++) {
        sonde_json_begin_array(w);
        for (step = 0; step < l->steps; step++)
            sonde_json_double(w, round(lanes_values(l, index, kind)[step]));
        sonde_json_end_array(w);
    }
    sonde_json_end_array(w);
}

static void write_lanes(sonde_json_writer *w, const lanes *l, size_t limit)
{
    static const char *const kinds[LANE_KINDS] = { "running", "io", "lock", "waiting" };
    size_t i;

    sonde_json_put_i64(w, "start_ms", l->from_unix_ns / NS_PER_MS);
    sonde_json_put_i64(w, "step_ms", l->step_ns / NS_PER_MS);
    sonde_json_key(w, SONDE_STR("kinds"));
    sonde_json_begin_array(w);
    for (i = 0; i < l->kinds; i++)
        sonde_json_str(w, sonde_str_from(l->kinds == 1 ? "value" : kinds[i]));
    sonde_json_end_array(w);
    sonde_json_put_bool(w, "left_out", l->left_out > 0 || l->len > limit);
    sonde_json_key(w, SONDE_STR("lanes"));
    sonde_json_begin_array(w);
    for (i = 0; i < l->len && i < limit; i++) {
        sonde_json_begin_object(w);
        sonde_json_put_str(w, "name", l->items[i].name);
        sonde_json_put_str(w, "id", l->items[i].id);
        write_values(w, l, i);
        sonde_json_end_object(w);
    }
    sonde_json_end_array(w);
}

sonde_status profile_answer_lanes(store_reader *r, profile_request *q, http_response *response)
{
    profile_answer x = { .wants_lanes = true };
    sonde_json_writer w;
    sonde_status status;

    q->has_base = false;
    status = profile_request_run(r, q, &x);
    if (status == SONDE_OK && x.lanes.no_memory)
        status = SONDE_ERR_NOMEM;
    if (status == SONDE_OK) {
        lanes_sort(&x.lanes);
        api_begin_json(response, &w);
        sonde_json_begin_object(&w);
        profile_write_about(&w, &x, q);
        write_lanes(&w, &x.lanes, q->limit);
        sonde_json_end_object(&w);
    }
    profile_answer_done(&x);
    return status;
}
