/* profiler_link.c - meeting the profiler; records and endpoints for it. */
#include "profiler_link.h"

#include <dlfcn.h>
#include <string.h>

#include "span.h"
#include "tracer.h"
#include "watch.h"

#define RESOURCE_MAX_BYTES 5000
#define LIVES_TOLD_APART   3u /* two bits, 0 is none */

static _Atomic(sonde_prof_set_context_record_fn *) set_record;
static _Atomic(sonde_prof_endpoint_fn *) report;
static _Atomic uint32_t lives; /* of profilers */

/* -- meeting -------------------------------------------------------------------------------------- */

static void take_over(sonde_prof_set_context_record_fn *record_fn,
                      sonde_prof_endpoint_fn *endpoint_fn)
{
    if (record_fn)
        atomic_fetch_add_explicit(&lives, 1, memory_order_relaxed);
    /* pairs with sonde__profiler_tell() and endpoint() */
    atomic_store_explicit(&report, endpoint_fn, memory_order_release);
    atomic_store_explicit(&set_record, record_fn, memory_order_release);
}

void sonde__profiler_look(void)
{
    sonde_prof_set_context_record_fn *record_fn;
    sonde_prof_endpoint_fn *endpoint_fn;
    void *found[2];

    if (atomic_load_explicit(&set_record, memory_order_acquire))
        return;
    found[0] = dlsym(RTLD_DEFAULT, "sonde_prof_set_context_record");
    found[1] = dlsym(RTLD_DEFAULT, "sonde_prof_endpoint");
    if (!found[0])
        return;
    memcpy(&record_fn, &found[0], sizeof(record_fn)); /* ISO C has no other way */
    memcpy(&endpoint_fn, &found[1], sizeof(endpoint_fn));
    take_over(record_fn, endpoint_fn);
    sonde__profiler_tell_all();
}

void sonde__profiler_begin(const sonde__config *c)
{
    uint32_t number = atomic_load_explicit(&lives, memory_order_relaxed);
    uint32_t bits = 0;

    if (atomic_load_explicit(&report, memory_order_acquire))
        bits |= SONDE__WATCH_ENDPOINTS;
    if (atomic_load_explicit(&set_record, memory_order_acquire) && c->cost_per_span)
        bits |= (number % LIVES_TOLD_APART + 1) << SONDE__SPAN_COSTED_SHIFT;
    sonde__watch_clear(SONDE__WATCH_ENDPOINTS | SONDE__WATCH_COSTS);
    sonde__watch_set(bits);
}

void sonde__profiler_tell(sonde_thread_ctx *record)
{
    sonde_prof_set_context_record_fn *tell =
        atomic_load_explicit(&set_record, memory_order_acquire);

    if (tell && record)
        tell(record);
}

void sonde__profiler_tell_all(void)
{
    sonde_thread_ctx *record;
    uint32_t tid;
    uint32_t i;

    for (i = 0; (record = sonde__areas_record(i, &tid)) != NULL; i++)
        if (tid != 0)
            sonde__profiler_tell(record);
}

void sonde_trace_profiler_started(const sonde_profiler_hooks *hooks)
{
    sonde_profiler_hooks h;
    const sonde__config *c;

    memset(&h, 0, sizeof(h));
    if (hooks)
        memcpy(&h, hooks, hooks->size < sizeof(h) ? hooks->size : sizeof(h));
    c = sonde__settings_hold();
    take_over(h.set_context_record, h.endpoint);
    if (c)
        sonde__profiler_begin(c);
    sonde__settings_release();
    sonde__profiler_tell_all();
}

/* -- endpoints ------------------------------------------------------------------------------------ */

static bool is_root(const sonde__span *span)
{
    return (span->flags & SONDE__SPAN_LOCAL_ROOT) &&
           atomic_load_explicit(&span->segment->local_root_id, memory_order_relaxed) == span->id;
}

/* Resources of other types, a query for one, may hold what nobody should see. */
static bool is_reported(sonde_str type)
{
    return type.len == 0 || sonde_str_eq(type, SONDE_STR("web")) ||
           sonde_str_eq(type, SONDE_STR("rpc"));
}

static bool endpoint(const sonde__span *span, sonde_str resource, sonde_str type, uint32_t finished)
{
    sonde_prof_endpoint_fn *tell = atomic_load_explicit(&report, memory_order_acquire);

    if (!tell || resource.len == 0 || !is_reported(type))
        return false;
    resource.len = sonde_utf8_cut(resource, RESOURCE_MAX_BYTES);
    tell(span->id, resource, type, finished);
    return true;
}

/* The last value of each kind in the span's text. */
typedef struct texts {
    sonde__record name;
    sonde__record resource;
    sonde__record type;
} texts;

static void read_texts(const sonde__span *span, texts *out)
{
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde__record r;

    memset(out, 0, sizeof(*out));
    while (sonde__text_next(&c, &r)) {
        if (r.kind == SONDE__TEXT_NAME)
            out->name = r;
        else if (r.kind == SONDE__TEXT_RESOURCE)
            out->resource = r;
        else if (r.kind == SONDE__TEXT_TYPE)
            out->type = r;
    }
}

static sonde_str copy(const sonde__record *r, char *room)
{
    if (r->value_len == 0)
        return (sonde_str){ NULL, 0 };
    sonde__text_copy(r, room);
    return (sonde_str){ room, r->value_len };
}

void sonde__endpoint_starts(sonde__span *span, sonde_str resource, sonde_str type)
{
    if (is_root(span) && endpoint(span, resource, type, 0))
        span->flags |= SONDE__SPAN_REPORTED;
}

void sonde__endpoint_changes(sonde__span *span, sonde_str resource)
{
    char type[SONDE__NAME_MAX_BYTES];
    texts t;

    if ((span->flags & SONDE__SPAN_REPORTED) || !is_root(span))
        return;
    read_texts(span, &t);
    if (endpoint(span, resource, copy(&t.type, type), 0))
        span->flags |= SONDE__SPAN_REPORTED;
}

/* An empty resource is the name. */
void sonde__endpoint_finishes(const sonde__span *span)
{
    char resource[RESOURCE_MAX_BYTES];
    char type[SONDE__NAME_MAX_BYTES];
    texts t;

    if (!is_root(span))
        return;
    read_texts(span, &t);
    (void)endpoint(span, copy(t.resource.value_len > 0 ? &t.resource : &t.name, resource),
                   copy(&t.type, type), 1);
}
