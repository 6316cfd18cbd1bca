/* counters.c - GET /api/sonde/v1/counters: received = stored + dropped + queued. */
#include "codec/json_write.h"
#include "internal.h"

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void write_received(sonde_json_writer *w, const intake_counters *c)
{
    sonde_json_key(w, SONDE_STR("received"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "trace_payloads", get(&c->trace_payloads));
    sonde_json_put_u64(w, "stats_payloads", get(&c->stats_payloads));
    sonde_json_put_u64(w, "chunks", get(&c->chunks));
    sonde_json_put_u64(w, "spans", get(&c->spans));
    sonde_json_put_u64(w, "stats_groups", get(&c->stats_groups));
    sonde_json_put_u64(w, "profile_payloads", get(&c->profile_payloads));
    sonde_json_put_u64(w, "attachments", get(&c->attachments));
    sonde_json_put_u64(w, "profiles", get(&c->profiles));
    sonde_json_end_object(w);
}

static void write_stored(sonde_json_writer *w, const store_counters *s)
{
    sonde_json_key(w, SONDE_STR("stored"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "chunks", s->stored_chunks);
    sonde_json_put_u64(w, "spans", s->stored_spans);
    sonde_json_put_u64(w, "stats_groups", s->stored_stats_groups);
    sonde_json_put_u64(w, "profiles", s->stored_profiles);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("queued"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "spans", s->queued_spans);
    sonde_json_put_u64(w, "profiles", s->queued_profiles);
    sonde_json_end_object(w);
}

static void write_dropped(sonde_json_writer *w, const intake_counters *c, const store_counters *s)
{
    size_t i;

    sonde_json_key(w, SONDE_STR("dropped"));
    sonde_json_begin_object(w);
    sonde_json_key(w, SONDE_STR("spans"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "too_big", get(&c->spans_too_big));
    sonde_json_put_u64(w, "commit_failed", s->dropped_spans);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("stats_groups"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "commit_failed", s->dropped_stats_groups);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("profiles"));
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "commit_failed", s->dropped_profiles);
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("attachments"));
    sonde_json_begin_object(w);
    for (i = 0; i < PROFILE_SKIPS; i++)
        sonde_json_put_u64(w, profile_skip_names[i], get(&c->skipped_attachments[i]));
    sonde_json_end_object(w);
    sonde_json_key(w, SONDE_STR("payloads"));
    sonde_json_begin_object(w);
    for (i = 0; i < INTAKE_DROPS; i++)
        sonde_json_put_u64(w, intake_drop_names[i], get(&c->dropped_payloads[i]));
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}

void main_counters_json(intake_main *m, sonde_buf *out)
{
    const intake_counters *c = intake_read_counters(m->intake);
    store_counters s = store_read_counters(m->store);
    sonde_json_writer w;

    sonde_json_writer_init(&w, out);
    sonde_json_begin_object(&w);
    write_received(&w, c);
    write_stored(&w, &s);
    write_dropped(&w, c, &s);
    sonde_json_put_u64(&w, "ignored_requests", get(&c->ignored_requests));
    sonde_json_key(&w, SONDE_STR("store"));
    sonde_json_begin_object(&w);
    sonde_json_put_u64(&w, "bytes", s.bytes);
    sonde_json_put_i64(&w, "oldest_unix_s", s.oldest_unix_s);
    sonde_json_put_u64(&w, "retired_frames", s.retired_frames);
    sonde_json_put_u64(&w, "retired_profiles", s.retired_profiles);
    sonde_json_put_u64(&w, "commits", s.commits);
    sonde_json_put_u64(&w, "collapsed_stats_groups", s.collapsed_stats_groups);
    sonde_json_end_object(&w);
    sonde_json_end_object(&w);
}
