/* forwarder_storage.c - what a start finds on disk: the lock, the ledger, one spool an endpoint. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include "internal.h"
#include "storage.h"

/* How many endpoints before `index` have its URL. */
static unsigned ordinal_of(const forwarder *f, size_t index)
{
    unsigned n = 0;
    size_t i;

    for (i = 0; i < index; i++)
        n += strcmp(f->endpoints[i].url, f->endpoints[index].url) == 0;
    return n;
}

static void log_loss(const char *what, const ledger_row *row, ledger_count before)
{
    ledger_count lost = ledger_read(row, UPLOAD_TRACES, LEDGER_LOST_CRASH);

    if (lost.items > before.items)
        SONDE_LOG_ALWAYS(
            SONDE_LOG_WARN,
            "the former life did not stop in order, what only its memory held is lost: "
            "where=%s spans=%llu",
            what, (unsigned long long)(lost.items - before.items));
}

/* Settles the row of an endpoint and takes its values as the base of this life's. */
static void open_book(forwarder *f, size_t index, const char *name)
{
    const endpoint_counters *n = &f->endpoints[index].counters;
    book *b = &f->books[index];
    ledger_count on_disk[UPLOAD_KINDS], before;
    int kind, column;

    b->row = ledger_claim(f->ledger, name);
    before = ledger_read(b->row, UPLOAD_TRACES, LEDGER_LOST_CRASH);
    for (kind = 0; kind < UPLOAD_KINDS; kind++)
        on_disk[kind] = (ledger_count){ n->recovered[kind].payloads, n->recovered[kind].items };
    ledger_settle(b->row, on_disk);
    for (kind = 0; kind < UPLOAD_KINDS; kind++)
        for (column = 0; column < LEDGER_SPOOLED; column++)
            b->base[kind][column] = ledger_read(b->row, (upload_kind)kind, (ledger_column)column);
    log_loss(f->endpoints[index].url, b->row, before);
}

static void open_pipeline_row(forwarder *f)
{
    const ledger_count none[UPLOAD_KINDS] = { { 0, 0 } };
    ledger_count before;

    f->pipeline = ledger_claim(f->ledger, LEDGER_PIPELINE);
    before = ledger_read(f->pipeline, UPLOAD_TRACES, LEDGER_LOST_CRASH);
    ledger_settle(f->pipeline, none);
    log_loss("before the forwarder", f->pipeline, before);
}

static sonde_status open_ledger(forwarder *f, const forwarder_options *o, sonde_error *out_error)
{
    char path[SPOOL_PATH_MAX + 8];
    sonde_status status;

    (void)snprintf(path, sizeof(path), "%s/ledger", o->storage_path);
    status = ledger_open(path, &f->ledger, out_error);
    if (status == SONDE_OK)
        open_pipeline_row(f);
    return status;
}

/* The budget may have become smaller since the files were written. */
static void trim_spool(endpoint *e)
{
    uint64_t sequence;

    while (e->spool.max_bytes && endpoint_make_room(e, 0, e->spool.max_bytes, &sequence))
        spool_remove(&e->spool, sequence);
}

static sonde_status open_spool(forwarder *f, size_t index, const forwarder_options *o,
                               sonde_error *out_error)
{
    char name[STORAGE_NAME_MAX], dir[SPOOL_PATH_MAX];
    endpoint *e = &f->endpoints[index];
    sonde_status status;

    storage_endpoint_name(e->url, ordinal_of(f, index), name);
    (void)snprintf(dir, sizeof(dir), "%s/%s", o->storage_path, name);
    status = spool_open(&e->spool,
                        &(spool_options){ .dir = dir,
                                          .max_bytes = o->disk_bytes,
                                          .max_disk_ratio = o->disk_ratio,
                                          .now_unix_ns = sonde_unix_ns(),
                                          .now_mono_ns = sonde_mono_ns() },
                        out_error);
    if (status != SONDE_OK)
        return status;
    endpoint_recover(e);
    open_book(f, index, name);
    trim_spool(e);
    if (e->spool.len)
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "payloads found on disk: url=%s payloads=%zu bytes=%llu",
                         e->url, e->spool.len, (unsigned long long)e->spool.bytes);
    return SONDE_OK;
}

static void sweep(const forwarder *f, const forwarder_options *o)
{
    char names[FORWARDER_ENDPOINTS_MAX][STORAGE_NAME_MAX];
    uint64_t removed;
    size_t i;

    for (i = 0; i < f->endpoints_len; i++)
        storage_endpoint_name(f->endpoints[i].url, ordinal_of(f, i), names[i]);
    removed = storage_sweep(o->storage_path, (const char(*)[STORAGE_NAME_MAX])names,
                            f->endpoints_len, sonde_unix_ns(), o->stale_ns);
    if (removed)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN,
                         "old payloads of endpoints that are not configured any more removed: "
                         "folder=%s payloads=%llu",
                         o->storage_path, (unsigned long long)removed);
}

static void say_memory_only(const char *what, const sonde_error *error)
{
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "payloads wait in memory only: for=%s error=\"%s\"", what,
                     error->message);
}

void forwarder_open_storage(forwarder *f, const forwarder_options *o)
{
    sonde_error error = { .message = "" };
    sonde_status status;
    size_t i;

    if (!o->storage_path || !f->endpoints_len)
        return;
    status = storage_open(o->storage_path, &f->storage_fd, &error);
    if (status == SONDE_OK)
        status = open_ledger(f, o, &error);
    if (status != SONDE_OK) {
        say_memory_only("all", &error);
        return;
    }
    if (o->stale_ns)
        sweep(f, o);
    for (i = 0; i < f->endpoints_len; i++)
        if (open_spool(f, i, o, &error) != SONDE_OK)
            say_memory_only(f->endpoints[i].url, &error);
}
