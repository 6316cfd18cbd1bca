/* endpoints.c - a bounded list under a lock of ours. */
#include "endpoints.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

#include "counts.h"
#include "lock.h"
#include "profiler.h"

static sonde_prof__lock lock;
static sonde_prof__report **reports; /* room for all, made at the first; guarded by lock */
static uint32_t reports_len;         /* guarded by lock */
static _Atomic bool has_finished;

static bool keep(sonde_prof__report *r)
{
    bool kept = false;

    sonde_prof__lock_take(&lock);
    if (!reports)
        reports = (sonde_prof__report **)sonde_calloc(SONDE_PROF__ENDPOINTS_MAX, sizeof(*reports));
    if (reports && reports_len < SONDE_PROF__ENDPOINTS_MAX) {
        reports[reports_len++] = r;
        kept = true;
    }
    sonde_prof__lock_give(&lock);
    return kept;
}

void sonde_prof__endpoints_report(uint64_t local_root_id, sonde_str resource, sonde_str type,
                                  uint32_t finished)
{
    sonde_prof__report *r =
        (sonde_prof__report *)sonde_malloc(sizeof(*r) + resource.len + type.len);

    sonde_prof__resume();
    if (finished > 0)
        atomic_store_explicit(&has_finished, true, memory_order_relaxed);
    if (r) {
        r->local_root_id = local_root_id;
        r->finished = finished;
        r->type_at = (uint32_t)resource.len;
        r->text_len = (uint32_t)(resource.len + type.len);
        if (resource.len > 0)
            memcpy(r->text, resource.ptr, resource.len);
        if (type.len > 0)
            memcpy(r->text + resource.len, type.ptr, type.len);
        if (keep(r))
            return;
        sonde_free(r);
    }
    SONDE_PROF__COUNT(endpoints_lost);
}

void sonde_prof__endpoints_take(void (*take)(void *user, const sonde_prof__report *r), void *user)
{
    sonde_prof__report **taken;
    uint32_t len, i;

    sonde_prof__lock_take(&lock);
    taken = reports;
    len = reports_len;
    reports = NULL;
    reports_len = 0;
    sonde_prof__lock_give(&lock);
    for (i = 0; i < len; i++) {
        take(user, taken[i]);
        sonde_free(taken[i]);
    }
    sonde_free((void *)taken);
}

bool sonde_prof__endpoints_finished(void)
{
    return atomic_load_explicit(&has_finished, memory_order_relaxed);
}

void sonde_prof__endpoints_prefork(void)
{
    sonde_prof__lock_take(&lock);
}

void sonde_prof__endpoints_postfork_parent(void)
{
    sonde_prof__lock_give(&lock);
}

void sonde_prof__endpoints_postfork_child(void)
{
    uint32_t i;

    sonde_prof__lock_init(&lock);
    for (i = 0; i < reports_len; i++)
        sonde_free(reports[i]);
    reports_len = 0;
}
