/* telemetry_integrations.c - reports, appended without a lock and never changed. */
#include "telemetry_integrations.h"

#include <stdatomic.h>
#include <string.h>

#include "counters.h"
#include "sonde/integration.h"

typedef struct report {
    _Atomic bool whole; /* from now on it does not change */
    bool enabled;
    bool automatic;
    bool compatible;
    char name[64];
    char version[32];
    char error[128];
} report;

static report reports[SONDE__INTEGRATIONS];
static _Atomic uint32_t claimed;

/* Of the flusher: a bit per report. */
static uint64_t told;
static uint64_t under_way;

/* -- reporting ------------------------------------------------------------------------------------ */

static void copy(char *to, size_t cap, const char *text)
{
    sonde_str from = sonde_str_from(text);
    size_t len = sonde_utf8_cut(from, cap - 1);

    memcpy(to, len > 0 ? from.ptr : "", len);
    to[len] = '\0';
}

static void fill(report *r, const sonde_integration *what)
{
    r->enabled = what->enabled != 0;
    r->automatic = what->automatic != 0;
    r->compatible = what->incompatible == 0;
    copy(r->name, sizeof(r->name), what->name);
    copy(r->version, sizeof(r->version), what->version);
    copy(r->error, sizeof(r->error), what->error);
}

static bool is_whole(uint32_t i)
{
    /* pairs with sonde_integration_report() */
    return atomic_load_explicit(&reports[i].whole, memory_order_acquire);
}

/* The one that holds of that name, or NULL. */
static const report *latest(const char *name)
{
    uint32_t i;

    for (i = SONDE__INTEGRATIONS; i-- > 0;)
        if (is_whole(i) && strcmp(reports[i].name, name) == 0)
            return &reports[i];
    return NULL;
}

static bool is_same(const report *a, const report *b)
{
    return a->enabled == b->enabled && a->automatic == b->automatic &&
           a->compatible == b->compatible && strcmp(a->version, b->version) == 0 &&
           strcmp(a->error, b->error) == 0;
}

/* The place of a new report; SONDE__INTEGRATIONS: none is left. */
static uint32_t claim(void)
{
    uint32_t at = atomic_load_explicit(&claimed, memory_order_relaxed);

    while (at < SONDE__INTEGRATIONS &&
           !atomic_compare_exchange_weak_explicit(&claimed, &at, at + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    return at;
}

sonde_status sonde_integration_report(const sonde_integration *what)
{
    sonde_integration w = { .struct_bytes = 0 };
    report next = { .whole = false };
    const report *before;
    uint32_t at;

    if (!what)
        return SONDE_ERR_INVALID;
    memcpy(&w, what,
           what->struct_bytes > 0 && what->struct_bytes < sizeof(w) ? what->struct_bytes
                                                                    : sizeof(w));
    if (!w.name || !*w.name)
        return SONDE_ERR_INVALID;
    fill(&next, &w);
    before = latest(next.name);
    if (before && is_same(before, &next))
        return SONDE_OK;
    at = claim();
    if (at == SONDE__INTEGRATIONS) {
        sonde__count(SONDE__TELEMETRY_DROPPED, 1);
        return SONDE_ERR_FULL;
    }
    fill(&reports[at], &w);
    /* pairs with is_whole() */
    atomic_store_explicit(&reports[at].whole, true, memory_order_release);
    return SONDE_OK;
}

/* -- telling -------------------------------------------------------------------------------------- */

static void put_report(sonde_json_writer *w, const report *r)
{
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", sonde_str_from(r->name));
    sonde_json_put_bool(w, "enabled", r->enabled);
    sonde_json_put_str(w, "version", sonde_str_from(r->version));
    sonde_json_put_bool(w, "auto_enabled", r->automatic);
    sonde_json_put_bool(w, "compatible", r->compatible);
    sonde_json_put_str(w, "error", sonde_str_from(r->error));
    sonde_json_end_object(w);
}

static uint64_t whole_ones(void)
{
    uint64_t bits = 0;
    uint32_t i;

    for (i = 0; i < SONDE__INTEGRATIONS; i++)
        bits |= (uint64_t)is_whole(i) << i;
    return bits;
}

static void put_reports(sonde_json_writer *w, uint64_t which)
{
    uint32_t i;

    for (i = 0; i < SONDE__INTEGRATIONS; i++)
        if ((which >> i & 1) && latest(reports[i].name) == &reports[i])
            put_report(w, &reports[i]);
}

void sonde__telemetry_integrations_put(sonde__telemetry_request *r)
{
    sonde_json_writer *w;

    under_way = whole_ones() & ~told;
    if (under_way == 0)
        return;
    w = sonde__telemetry_begin(r, "app-integrations-change");
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("integrations"));
    sonde_json_begin_array(w);
    put_reports(w, under_way);
    sonde_json_end_array(w);
    sonde_json_end_object(w);
    sonde__telemetry_end(r);
}

void sonde__telemetry_integrations_told(void)
{
    told |= under_way;
    under_way = 0;
}

void sonde__telemetry_integrations_forget(void)
{
    told = under_way = 0;
}

void sonde__telemetry_integrations_put_all(sonde_json_writer *w)
{
    put_reports(w, whole_ones());
}
