/* decode_stats.c - /v0.6/stats: statistics a tracer made of all its spans, a map under Go's field names.
 *
 * Fields that go no further than this agent (TracerVersion, RuntimeID, Sequence, Tags, AgentTimeShift, ...) are
 * passed over with the unknown ones.
 *
 * Bounds   PAYLOAD_ARRAY_MAX entries of any array or map, SUMMARY_MAX_BYTES a sketch.
 * Source   docs/spec/receiver.md, "Statistics".
 */
#include "decoder.h"

#define SUMMARY_MAX_BYTES 500000u

#define IS(literal) sonde_str_eq(key, SONDE_STR(literal))

static bool limit(decoder *d, size_t n, size_t max)
{
    return n <= max ||
           sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "msgp: configured reader limit exceeded");
}

/* An array header and room for its elements; nil counts as empty. */
static bool read_elements(decoder *d, size_t bytes, uint32_t *out_count, void **out_elements)
{
    *out_count = 0;
    if (!sonde_mp_read_nil(&d->r) && !sonde_mp_read_array(&d->r, out_count))
        return false;
    if (!limit(d, *out_count, PAYLOAD_ARRAY_MAX))
        return false;
    *out_elements = decoder_alloc(d, *out_count, bytes);
    return *out_elements != NULL || *out_count == 0;
}

static bool read_fields(decoder *d, uint32_t *out_count)
{
    return sonde_mp_read_map(&d->r, out_count) && limit(d, *out_count, PAYLOAD_ARRAY_MAX);
}

static bool read_u32(decoder *d, uint32_t *out)
{
    uint64_t v;

    if (!sonde_mp_read_u64(&d->r, &v))
        return false;
    if (v > UINT32_MAX)
        return sonde_mp_fail(&d->r, SONDE_ERR_SYNTAX, "integer does not fit in 32 bits");
    *out = (uint32_t)v;
    return true;
}

static bool read_summary(decoder *d, sonde_str *out)
{
    if (sonde_mp_read_nil(&d->r)) {
        *out = (sonde_str){ NULL, 0 };
        return true;
    }
    return sonde_mp_read_bin(&d->r, out) && limit(d, out->len, SUMMARY_MAX_BYTES);
}

static bool read_texts(decoder *d, sonde_str **out_texts, uint32_t *out_len)
{
    uint32_t count;
    sonde_str *texts;

    if (!read_elements(d, sizeof(*texts), &count, (void **)&texts))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_text(d, &texts[i]))
            return false;
    }
    *out_texts = texts;
    *out_len = count;
    return true;
}

/* The half of a group's fields that make its key. */
static bool read_key_field(decoder *d, stats_group *g, sonde_str key)
{
    if (IS("Service"))
        return decode_text(d, &g->service);
    if (IS("Name"))
        return decode_text(d, &g->name);
    if (IS("Resource"))
        return decode_text(d, &g->resource);
    if (IS("HTTPStatusCode"))
        return read_u32(d, &g->http_status_code);
    if (IS("Type"))
        return decode_text(d, &g->type);
    if (IS("DBType"))
        return decode_text(d, &g->db_type);
    if (IS("Synthetics"))
        return sonde_mp_read_bool(&d->r, &g->synthetics);
    if (IS("SpanKind"))
        return decode_text(d, &g->span_kind);
    if (IS("PeerTags"))
        return read_texts(d, &g->peer_tags, &g->peer_tags_len);
    if (IS("IsTraceRoot"))
        return sonde_mp_read_i32(&d->r, &g->is_trace_root);
    if (IS("GRPCStatusCode"))
        return decode_text(d, &g->grpc_status_code);
    if (IS("HTTPMethod"))
        return decode_text(d, &g->http_method);
    if (IS("HTTPEndpoint"))
        return decode_text(d, &g->http_endpoint);
    if (IS("srv_src"))
        return decode_text(d, &g->service_source);
    if (IS("AdditionalMetricTags"))
        return read_texts(d, &g->metric_tags, &g->metric_tags_len);
    return sonde_mp_skip(&d->r);
}

static bool read_group_field(decoder *d, stats_group *g, sonde_str key)
{
    if (IS("Hits"))
        return sonde_mp_read_u64(&d->r, &g->hits);
    if (IS("Errors"))
        return sonde_mp_read_u64(&d->r, &g->errors);
    if (IS("Duration"))
        return sonde_mp_read_u64(&d->r, &g->duration_ns);
    if (IS("TopLevelHits"))
        return sonde_mp_read_u64(&d->r, &g->top_level_hits);
    if (IS("OkSummary"))
        return read_summary(d, &g->ok_summary);
    if (IS("ErrorSummary"))
        return read_summary(d, &g->error_summary);
    return read_key_field(d, g, key);
}

static bool read_group(decoder *d, stats_group *g)
{
    uint32_t fields;
    sonde_str key;

    *g = (stats_group){ 0 };
    if (!read_fields(d, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_str(&d->r, &key) || !read_group_field(d, g, key))
            return false;
    }
    if (g->is_trace_root < STATS_ROOT_UNSET || g->is_trace_root > STATS_ROOT_FALSE)
        g->is_trace_root = STATS_ROOT_UNSET;
    return true;
}

static bool read_groups(decoder *d, stats_bucket *b)
{
    uint32_t count;

    if (!read_elements(d, sizeof(*b->groups), &count, (void **)&b->groups))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_group(d, &b->groups[i]))
            return false;
    }
    b->groups_len = count;
    return true;
}

static bool read_bucket(decoder *d, stats_bucket *b)
{
    uint32_t fields;

    *b = (stats_bucket){ 0 };
    if (!read_fields(d, &fields))
        return false;
    while (fields-- > 0) {
        sonde_str key;
        bool ok;

        if (!sonde_mp_read_str(&d->r, &key))
            return false;
        if (IS("Start"))
            ok = sonde_mp_read_u64(&d->r, &b->start_unix_ns);
        else if (IS("Duration"))
            ok = sonde_mp_read_u64(&d->r, &b->duration_ns);
        else if (IS("Stats"))
            ok = read_groups(d, b);
        else
            ok = sonde_mp_skip(&d->r);
        if (!ok)
            return false;
    }
    return true;
}

static bool read_buckets(decoder *d, client_stats *c)
{
    uint32_t count;

    if (!read_elements(d, sizeof(*c->buckets), &count, (void **)&c->buckets))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_bucket(d, &c->buckets[i]))
            return false;
    }
    c->buckets_len = count;
    return true;
}

static bool read_client_field(decoder *d, client_stats *c, sonde_str key)
{
    if (IS("Hostname"))
        return decode_text(d, &c->hostname);
    if (IS("Env"))
        return decode_text(d, &c->env);
    if (IS("Version"))
        return decode_text(d, &c->version);
    if (IS("Stats"))
        return read_buckets(d, c);
    if (IS("Lang"))
        return decode_text(d, &c->lang);
    if (IS("Service"))
        return decode_text(d, &c->service);
    if (IS("GitCommitSha"))
        return decode_text(d, &c->git_commit_sha);
    if (IS("ImageTag"))
        return decode_text(d, &c->image_tag);
    if (IS("ProcessTagsHash"))
        return sonde_mp_read_u64(&d->r, &c->process_tags_hash);
    if (IS("ProcessTags"))
        return decode_text(d, &c->process_tags);
    return sonde_mp_skip(&d->r);
}

static bool read_client(decoder *d, client_stats *c)
{
    uint32_t fields;
    sonde_str key;

    *c = (client_stats){ 0 };
    if (!read_fields(d, &fields))
        return false;
    while (fields-- > 0) {
        if (!sonde_mp_read_str(&d->r, &key) || !read_client_field(d, c, key))
            return false;
    }
    return true;
}

sonde_status decode_stats(payload *p, decode_tally *out_tally, sonde_error *out_error)
{
    client_stats *c;
    decoder d;

    decoder_init(&d, p);
    c = decoder_alloc(&d, 1, sizeof(*c));
    if (c && read_client(&d, c)) {
        p->stats = c;
        d.tally.buckets = c->buckets_len;
        for (uint32_t i = 0; i < c->buckets_len; i++)
            d.tally.groups += c->buckets[i].groups_len;
    }
    return decoder_finish(&d, out_tally, out_error);
}
