/* forwarder_json.c - the numbers of the room for /sonde/v1/status. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#include "internal.h"

static void write_tally(sonde_json_writer *w, const char *key, const tally *t)
{
    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "payloads", t->payloads);
    sonde_json_put_u64(w, "items", t->items);
    sonde_json_put_u64(w, "chunks", t->chunks);
    sonde_json_put_u64(w, "bytes", t->bytes);
    sonde_json_end_object(w);
}

static void write_kind(sonde_json_writer *w, const char *name, const endpoint_counters *n,
                       upload_kind kind)
{
    int i;

    sonde_json_key(w, sonde_str_from(name));
    sonde_json_begin_object(w);
    write_tally(w, "accepted", &n->accepted[kind]);
    write_tally(w, "delivered", &n->delivered[kind]);
    if (n->recovered[kind].payloads)
        write_tally(w, "recovered", &n->recovered[kind]);
    write_tally(w, "queued", &n->queued[kind]);
    write_tally(w, "spooled", &n->spooled[kind]);
    sonde_json_key(w, SONDE_STR("dropped"));
    sonde_json_begin_object(w);
    for (i = 0; i < FORWARDER_DROPS; i++)
        if (n->dropped[i][kind].payloads)
            write_tally(w, forwarder_drop_names[i], &n->dropped[i][kind]);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

static void write_failures(sonde_json_writer *w, const endpoint_counters *n)
{
    int i;

    sonde_json_key(w, SONDE_STR("failures"));
    sonde_json_begin_object(w);
    for (i = 0; i < FAILURES; i++)
        if (n->failures[i])
            sonde_json_put_u64(w, failure_names[i], n->failures[i]);
    sonde_json_end_object(w);
}

/* closed: it works; open: a pause; half_open: one request probes. */
static const char *breaker_state(const endpoint *e, uint64_t now_mono_ns)
{
    if (!endpoint_is_failing(e))
        return "closed";
    return now_mono_ns < e->next_try_mono_ns ? "open" : "half_open";
}

static void write_disk(sonde_json_writer *w, const spool *s, uint64_t now_mono_ns)
{
    const spool_counters *n = &s->counters;

    sonde_json_key(w, SONDE_STR("disk"));
    sonde_json_begin_object(w);
    sonde_json_put_bool(w, "usable", spool_is_usable(s, now_mono_ns));
    sonde_json_put_u64(w, "bytes_max", s->max_bytes);
    sonde_json_put_u64(w, "bytes", s->bytes);
    sonde_json_put_u64(w, "files", s->len);
    sonde_json_put_u64(w, "written", n->written);
    sonde_json_put_u64(w, "read", n->read);
    sonde_json_put_u64(w, "partial", n->partial);
    sonde_json_put_u64(w, "corrupt", n->corrupt);
    sonde_json_put_u64(w, "errors", n->errors);
    sonde_json_put_str(w, "last_error",
                       n->last_errno ? sonde_str_from(strerror(n->last_errno)) : SONDE_STR(""));
    sonde_json_end_object(w);
}

static void write_endpoint(sonde_json_writer *w, const endpoint *e, const book *b)
{
    const endpoint_counters *n = &e->counters;
    uint64_t now = sonde_mono_ns();

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "url", sonde_str_from(e->url));
    write_kind(w, "traces", n, UPLOAD_TRACES);
    write_kind(w, "stats", n, UPLOAD_STATS);
    if (n->accepted[UPLOAD_PROFILES].payloads || n->recovered[UPLOAD_PROFILES].payloads)
        write_kind(w, "profiles", n, UPLOAD_PROFILES);
    sonde_json_put_u64(w, "attempts", n->attempts);
    sonde_json_put_u64(w, "retries", n->retries);
    sonde_json_put_u64(w, "last_http_status", n->last_http_status);
    sonde_json_put_double(w, "queue_filled", endpoint_queue_filled(e));
    sonde_json_put_double(w, "connections_filled", endpoint_connections_filled(e));
    write_failures(w, n);
    sonde_json_put_str(w, "breaker", sonde_str_from(breaker_state(e, now)));
    if (e->spool.dir[0])
        write_disk(w, &e->spool, now);
    if (b->row) {
        sonde_json_key(w, SONDE_STR("all_lives"));
        sonde_json_begin_object(w);
        ledger_write_json(b->row, w);
        sonde_json_end_object(w);
    }
    sonde_json_end_object(w);
}

void forwarder_write_json(void *arg, sonde_json_writer *w)
{
    forwarder *f = arg;
    endpoint copy;
    size_t i;

    sonde_json_begin_array(w);
    for (i = 0; i < f->endpoints_len; i++) {
        sonde_mutex_lock(&f->mu);
        copy = f->endpoints[i]; /* for its numbers; writing allocates */
        sonde_mutex_unlock(&f->mu);
        write_endpoint(w, &copy, &f->books[i]);
    }
    sonde_json_end_array(w);
}

void forwarder_write_ledger_json(void *arg, sonde_json_writer *w)
{
    forwarder *f = arg;
    int i;

    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("spans"));
    sonde_json_begin_object(w);
    for (i = 0; i < LEDGER_SPOOLED; i++)
        sonde_json_put_u64(w, ledger_column_names[i],
                           ledger_read(f->pipeline, UPLOAD_TRACES, (ledger_column)i).items);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}
