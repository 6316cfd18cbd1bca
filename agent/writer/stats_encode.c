/* stats_encode.c - StatsPayload in msgpack, every field of every struct under its Go name.
 *
 * A payload with too many groups is dealt out: group number i goes to part i mod parts.  How many of a
 * bucket's groups are in a part follows from the numbers of its first and last one, so counts can be
 * written before the elements without a second pass over them.
 */
#include "stats.h"

#include "codec/msgpack_write.h"

typedef struct deal {
    uint64_t part;
    uint64_t parts;
    uint64_t next; /* number of the next group */
} deal;

/* How many of the numbers [first, first + len) are in the part. */
static uint64_t dealt(const deal *d, uint64_t first, uint64_t len)
{
    uint64_t below_end = (first + len + d->parts - 1 - d->part) / d->parts;
    uint64_t below_first = (first + d->parts - 1 - d->part) / d->parts;

    return below_end - below_first;
}

static void put_str(sonde_buf *b, const char *key, sonde_str value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, value);
}

static void put_u64(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void put_bool(sonde_buf *b, const char *key, bool value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_bool(b, value);
}

static void put_bin(sonde_buf *b, const char *key, sonde_str value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_bin(b, value.ptr, value.len);
}

static void put_array(sonde_buf *b, const char *key, uint32_t count)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_array(b, count);
}

static void put_texts(sonde_buf *b, const char *key, const sonde_str *texts, uint32_t len)
{
    uint32_t i;

    put_array(b, key, len);
    for (i = 0; i < len; i++)
        sonde_mp_write_str(b, texts[i]);
}

static void group(sonde_buf *b, const stats_group *g)
{
    sonde_mp_write_map(b, 22);
    put_str(b, "Service", g->service);
    put_str(b, "Name", g->name);
    put_str(b, "Resource", g->resource);
    put_u64(b, "HTTPStatusCode", g->http_status_code);
    put_str(b, "Type", g->type);
    put_str(b, "DBType", (sonde_str){ NULL, 0 });
    put_u64(b, "Hits", g->hits);
    put_u64(b, "Errors", g->errors);
    put_u64(b, "Duration", g->duration_ns);
    put_bin(b, "OkSummary", g->ok_summary);
    put_bin(b, "ErrorSummary", g->error_summary);
    put_bool(b, "Synthetics", g->synthetics);
    put_u64(b, "TopLevelHits", g->top_level_hits);
    put_str(b, "SpanKind", g->span_kind);
    put_texts(b, "PeerTags", g->peer_tags, g->peer_tags_len);
    put_u64(b, "IsTraceRoot", (uint64_t)g->is_trace_root);
    put_str(b, "GRPCStatusCode", g->grpc_status_code);
    put_str(b, "HTTPMethod", g->http_method);
    put_str(b, "HTTPEndpoint", g->http_endpoint);
    put_str(b, "srv_src", g->service_source);
    put_array(b, "SpanDerivedPrimaryTags", 0);
    put_texts(b, "AdditionalMetricTags", g->metric_tags, g->metric_tags_len);
}

static void bucket(sonde_buf *b, const stats_bucket *s, deal *d, uint64_t in_part)
{
    uint32_t i;

    sonde_mp_write_map(b, 4);
    put_u64(b, "Start", s->start_unix_ns);
    put_u64(b, "Duration", s->duration_ns);
    put_array(b, "Stats", (uint32_t)in_part);
    for (i = 0; i < s->groups_len; i++)
        if (d->next++ % d->parts == d->part)
            group(b, &s->groups[i]);
    put_u64(b, "AgentTimeShift", 0);
}

static uint32_t buckets_in_part(const client_stats *c, const deal *d)
{
    uint64_t at = d->next;
    uint32_t i, n = 0;

    for (i = 0; i < c->buckets_len; at += c->buckets[i++].groups_len)
        n += dealt(d, at, c->buckets[i].groups_len) > 0;
    return n;
}

static void client(sonde_buf *b, const client_stats *c, deal *d, uint32_t buckets)
{
    uint32_t i;

    sonde_mp_write_map(b, 16);
    put_str(b, "Hostname", c->hostname);
    put_str(b, "Env", c->env);
    put_str(b, "Version", c->version);
    put_array(b, "Stats", buckets);
    for (i = 0; i < c->buckets_len; i++) {
        uint64_t in_part = dealt(d, d->next, c->buckets[i].groups_len);

        if (in_part)
            bucket(b, &c->buckets[i], d, in_part);
        else
            d->next += c->buckets[i].groups_len;
    }
    put_str(b, "Lang", c->lang);
    put_str(b, "TracerVersion", (sonde_str){ NULL, 0 });
    put_str(b, "RuntimeID", (sonde_str){ NULL, 0 });
    put_u64(b, "Sequence", 0);
    put_str(b, "AgentAggregation", (sonde_str){ NULL, 0 });
    put_str(b, "Service", c->service);
    put_str(b, "ContainerID", c->container_id);
    put_array(b, "Tags", 0);
    put_str(b, "GitCommitSha", c->git_commit_sha);
    put_str(b, "ImageTag", c->image_tag);
    put_u64(b, "ProcessTagsHash", c->process_tags_hash);
    put_str(b, "ProcessTags", c->process_tags);
}

static void skip(const client_stats *c, deal *d)
{
    uint32_t i;

    for (i = 0; i < c->buckets_len; i++)
        d->next += c->buckets[i].groups_len;
}

static uint32_t clients_in_part(const stats_payload *s, deal d)
{
    uint32_t i, n = 0;

    for (i = 0; i < s->stats_len; i++) {
        n += buckets_in_part(&s->stats[i], &d) > 0;
        skip(&s->stats[i], &d);
    }
    return n;
}

void stats_encode(sonde_buf *b, const stats_writer *w, const stats_payload *s, uint64_t part,
                  uint64_t parts)
{
    deal d = { .part = part, .parts = parts };
    uint32_t i, buckets;

    sonde_mp_write_map(b, 6);
    put_str(b, "AgentHostname", w->hostname);
    put_str(b, "AgentEnv", w->env);
    put_array(b, "Stats", clients_in_part(s, d));
    for (i = 0; i < s->stats_len; i++) {
        buckets = buckets_in_part(&s->stats[i], &d);
        if (buckets)
            client(b, &s->stats[i], &d, buckets);
        else
            skip(&s->stats[i], &d);
    }
    put_str(b, "AgentVersion", w->version);
    put_bool(b, "ClientComputed", s->client_computed);
    put_bool(b, "SplitPayload", parts > 1);
}
