/* disk.c - spill, load, expire: decide under the mutex, touch the file without it, report back. */
#include "disk.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* Removes files until `bytes` more fit; false: they never will. */
static bool make_room_locked(sonde_mutex *mu, endpoint *e, uint64_t bytes) SONDE_REQUIRES(mu)
{
    uint64_t own = e->spool.bytes, limit, sequence;

    sonde_mutex_unlock(mu);
    limit = spool_limit(&e->spool, own);
    sonde_mutex_lock(mu);
    while (endpoint_make_room(e, bytes, limit, &sequence)) {
        sonde_mutex_unlock(mu);
        spool_remove(&e->spool, sequence);
        sonde_mutex_lock(mu);
    }
    return bytes <= limit && e->spool.bytes <= limit - bytes;
}

/* The wall clock's time of what the monotonic one saw. */
static int64_t accepted_unix_ns(const delivery *d)
{
    uint64_t now = sonde_mono_ns();
    uint64_t age = now > d->accepted_mono_ns ? now - d->accepted_mono_ns : 0;

    return sonde_unix_ns() - (int64_t)age;
}

bool disk_spill_locked(sonde_mutex *mu, endpoint *e, bool all, uint64_t now_mono_ns)
{
    delivery *d = endpoint_spill(e, all, now_mono_ns);
    uint64_t file_bytes = 0;
    int error = ENOSPC;
    bool ok;

    if (!d)
        return false;
    ok = make_room_locked(mu, e, d->upload->what.body_len + (uint64_t)RECORD_PREFIX_MAX);
    if (ok) {
        sonde_mutex_unlock(mu);
        ok = spool_write(&e->spool, d, accepted_unix_ns(d), &file_bytes, &error) == SONDE_OK;
        sonde_mutex_lock(mu);
    }
    endpoint_spilled(e, d, ok, file_bytes, error, now_mono_ns);
    if (!ok) {
        sonde_mutex_unlock(mu);
        SONDE_LOG(SONDE_LOG_WARN,
                  "payloads stay in memory, no room on disk: folder=%s error=\"%s\"", e->spool.dir,
                  strerror(error));
        sonde_mutex_lock(mu);
    }
    return true;
}

delivery *disk_load_locked(sonde_mutex *mu, endpoint *e, uint64_t now_mono_ns, bool *out_tried)
{
    delivery *d = NULL;
    spool_entry entry;
    sonde_status status;
    bool keep;

    *out_tried = endpoint_load(e, now_mono_ns, &entry);
    if (!*out_tried)
        return NULL;
    sonde_mutex_unlock(mu);
    status = spool_read(&e->spool, &entry, &d);
    keep = status == SONDE_ERR_NOMEM || status == SONDE_ERR_SYS;
    if (!d && !keep) {
        spool_remove(&e->spool, entry.sequence);
        SONDE_LOG(SONDE_LOG_WARN, "a payload on disk is not whole, dropped: folder=%s error=\"%s\"",
                  e->spool.dir, sonde_status_str(status));
    }
    sonde_mutex_lock(mu);
    endpoint_loaded(e, &entry, d, keep, now_mono_ns);
    return d;
}

void disk_expire_locked(sonde_mutex *mu, endpoint *e, uint64_t now_mono_ns)
{
    uint64_t sequence;

    while (endpoint_expire_on_disk(e, now_mono_ns, &sequence)) {
        sonde_mutex_unlock(mu);
        spool_remove(&e->spool, sequence);
        sonde_mutex_lock(mu);
    }
}
