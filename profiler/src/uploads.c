/* uploads.c - one window after the other through pprof.c and report.c. */
#include "uploads.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#define ENDPOINTS_MAX 65536u

void sonde_prof__uploads_init(sonde_prof__uploads *u)
{
    memset(u, 0, sizeof(*u));
    sonde_prof__reports_init(&u->reports);
    sonde_prof__symbols_init(&u->symbols);
}

void sonde_prof__uploads_done(sonde_prof__uploads *u)
{
    sonde_prof__reports_done(&u->reports);
    sonde_prof__symbols_done(&u->symbols);
    sonde_free(u->endpoints);
}

void sonde_prof__uploads_forget(sonde_prof__uploads *u)
{
    u->can_shrink = false;
    u->endpoints_len = 0;
    u->before_len = 0;
}

/* -- endpoints -------------------------------------------------------------------------------------- */

/* Those of the window before last go, those of this one come behind the last one's. */
static void take_endpoints(sonde_prof__uploads *u, const sonde_prof__endpoint *e, uint32_t len)
{
    uint32_t kept = u->endpoints_len - u->before_len;
    sonde_prof__endpoint *grown = u->endpoints;

    if (kept > 0)
        memmove(u->endpoints, u->endpoints + u->before_len, kept * sizeof(*e));
    u->before_len = u->endpoints_len = kept;
    if (len > ENDPOINTS_MAX - kept)
        len = ENDPOINTS_MAX - kept;
    if (kept + len > u->endpoints_cap) {
        grown = (sonde_prof__endpoint *)sonde_realloc(grown, (kept + len) * sizeof(*e));
        if (!grown)
            return;
        u->endpoints = grown;
        u->endpoints_cap = kept + len;
    }
    if (len > 0)
        memcpy(u->endpoints + kept, e, len * sizeof(*e));
    u->endpoints_len = kept + len;
}

/* -- profiles --------------------------------------------------------------------------------------- */

static uint32_t kinds_of(const sonde_prof__config *c)
{
    return (c->cpu ? 1u << SONDE_PROF__CPU : 0u) | (c->wall ? 1u << SONDE_PROF__WALL : 0u) |
           (c->alloc ? 1u << SONDE_PROF__ALLOC : 0u) | (c->lock ? 1u << SONDE_PROF__LOCK : 0u) |
           (c->exception ? 1u << SONDE_PROF__EXCEPTION : 0u) | (c->io ? 1u << SONDE_PROF__IO : 0u);
}

static sonde_str base_name(sonde_str path)
{
    while (path.len > 0 && memchr(path.ptr, '/', path.len))
        (void)sonde_str_cut(&path, '/');
    return path;
}

static void describe(sonde_prof__uploads *u, const sonde_prof__closed *c)
{
    const sonde_prof__config *config = c->who->config;
    uint32_t kind;

    u->pprof = (sonde_prof__pprof){
        .dict = c->dict,
        .window = c->window,
        .symbols = &u->symbols,
        .endpoints = u->endpoints,
        .endpoints_len = u->endpoints_len,
        .finished = u->endpoints + u->before_len,
        .finished_len = u->endpoints_len - u->before_len,
        .time = c->time,
        .kinds = kinds_of(config),
        .living = c->living,
        .cpu_period_ns = c->who->interval[SONDE_PROF__CPU],
        .pid = c->who->pid,
        .process_name = base_name(config->exe),
    };
    u->last = (sonde_prof__report_facts){
        .pprof = &u->pprof,
        .who = c->who,
        .stats = c->stats,
        .step = config->timeline ? SONDE_PROF__PPROF_WHOLE : SONDE_PROF__PPROF_NO_TIMES,
    };
    for (kind = 1; kind < SONDE_PROF__KINDS; kind++)
        u->last.events += c->window->samples[kind];
    if (c->window->rows_of[SONDE_PROF__RELEASE])
        u->pprof.kinds |= 1u << SONDE_PROF__RELEASE;
}

/* Calls `done` with the encoded profile; false: it could not be encoded. */
static bool encode(sonde_prof__uploads *u, bool sends, bool again)
{
    sonde_buf profile, event;
    sonde_status status;

    sonde_buf_init(&profile, SONDE_PROF__REPORT_MAX_BYTES);
    sonde_buf_init(&event, (size_t)1 << 20);
    status = sonde_prof__report_encode(&u->reports, &u->last, &profile, &event);
    if (status != SONDE_OK)
        SONDE_LOG(SONDE_LOG_WARN, "a profile is lost: reason=\"%s\"", sonde_status_str(status));
    else if (again)
        sonde_prof__report_replace(&u->reports, sonde_buf_str(&profile), sonde_buf_str(&event));
    else
        sonde_prof__report_write_files(&u->reports, &u->last, sonde_buf_str(&profile),
                                       sonde_buf_str(&event));
    if (status == SONDE_OK && sends && !again)
        sonde_prof__report_push(&u->reports, sonde_buf_str(&profile), sonde_buf_str(&event),
                                u->last.events);
    else if (status == SONDE_OK && !again)
        u->reports.seq++; /* the next file is another one */
    sonde_buf_done(&profile);
    sonde_buf_done(&event);
    return status == SONDE_OK;
}

void sonde_prof__uploads_close(sonde_prof__uploads *u, const sonde_prof__closed *c)
{
    take_endpoints(u, c->endpoints, c->endpoints_len);
    describe(u, c);
    u->can_shrink = encode(u, c->sends, false) && c->sends;
    if (!u->can_shrink && c->sends) {
        u->reports.lost++;
        u->reports.events_lost += u->last.events;
    }
}

/* Smaller by a step, or not at all. */
static bool shrink(sonde_prof__uploads *u)
{
    bool can = u->can_shrink && u->last.step + 1 < SONDE_PROF__PPROF_STEPS;

    u->can_shrink = false; /* once */
    if (can) {
        u->last.step++;
        can = encode(u, true, true);
    }
    if (!can)
        sonde_prof__report_drop_newest(&u->reports);
    return can;
}

bool sonde_prof__uploads_send(sonde_prof__uploads *u, sonde_prof__link *link, uint64_t period_ns,
                              uint64_t deadline_mono_ns)
{
    sonde_prof__reporting result;

    do {
        result = sonde_prof__report_send(&u->reports, link, period_ns, deadline_mono_ns);
    } while (result == SONDE_PROF__REPORT_TOO_BIG && shrink(u));
    return result != SONDE_PROF__REPORT_NEVER;
}
