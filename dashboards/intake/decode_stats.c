/* decode_stats.c - StatsPayload (msgpack) to rows.
 *
 * Maps have Go's field names as keys, in any order, unknown ones are passed over, missing ones are
 * zero.  What belongs to all rows (host, env) may come after them, so a map's nested value is
 * remembered and read when the map is done. */
#include <string.h>

#include "codec/msgpack_read.h"
#include "decode.h"

#define ROWS_MAX      1000000u
#define BUCKET_LAST_S 253402300799 /* year 9999 */

typedef struct decoder {
    store_batch *batch;
    size_t rows_cap;
    sonde_str agent_host, agent_env;
    sonde_str host, env; /* of the client payload in hand */
    int64_t bucket_s;    /* of the bucket in hand */
    sonde_sketch sketch; /* scratch */
    sonde_buf packed;
} decoder;

static sonde_status grow_rows(decoder *d)
{
    size_t cap = d->rows_cap ? d->rows_cap * 2 : 64;
    stats_row *more;

    if (cap > ROWS_MAX)
        return SONDE_ERR_TOO_BIG;
    more = (stats_row *)sonde_arena_zalloc(&d->batch->text, cap, sizeof(*more));
    if (!more)
        return SONDE_ERR_NOMEM;
    if (d->batch->stats_len)
        memcpy(more, d->batch->stats, d->batch->stats_len * sizeof(*more));
    d->batch->stats = more;
    d->rows_cap = cap;
    return SONDE_OK;
}

static sonde_status keep(decoder *d, sonde_str *s)
{
    if (s->len == 0) {
        *s = (sonde_str){ NULL, 0 };
        return SONDE_OK;
    }
    *s = sonde_arena_copy(&d->batch->text, *s);
    return s->ptr ? SONDE_OK : SONDE_ERR_NOMEM;
}

/* DDSketch protobuf to our packed form. */
static sonde_status keep_sketch(decoder *d, sonde_str *s)
{
    sonde_status status;

    if (s->len == 0)
        return SONDE_OK;
    sonde_sketch_clear(&d->sketch);
    status = sonde_sketch_decode_merge(&d->sketch, *s);
    if (status != SONDE_OK)
        return status;
    sonde_buf_reset(&d->packed);
    stats_sketch_pack(&d->sketch, &d->packed);
    *s = sonde_buf_str(&d->packed);
    return d->packed.status == SONDE_OK ? keep(d, s) : d->packed.status;
}

static sonde_status add_row(decoder *d, stats_row *row)
{
    sonde_str *texts[] = { &row->service, &row->name, &row->resource, &row->type,
                           &row->kind,    &row->env,  &row->host };
    sonde_status status = SONDE_OK;
    size_t i;

    row->bucket_s = d->bucket_s;
    row->env = d->env.len ? d->env : d->agent_env;
    row->host = d->host.len ? d->host : d->agent_host;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == SONDE_OK; i++)
        status = keep(d, texts[i]);
    if (status == SONDE_OK)
        status = keep_sketch(d, &row->ok_sketch);
    if (status == SONDE_OK)
        status = keep_sketch(d, &row->err_sketch);
    if (status == SONDE_OK && d->batch->stats_len == d->rows_cap)
        status = grow_rows(d);
    if (status == SONDE_OK)
        d->batch->stats[d->batch->stats_len++] = *row;
    return status;
}

/* ---- the maps, from the inside out; false: the reader or *status says why ---- */

static bool is(sonde_str key, const char *name)
{
    return sonde_str_eq(key, sonde_str_from(name));
}

static bool read_field(sonde_mp_reader *r, sonde_str key, stats_row *row)
{
    const struct {
        const char *name;
        sonde_str *text;
        uint64_t *number;
    } fields[] = {
        { "Service", &row->service, NULL },         { "Name", &row->name, NULL },
        { "Resource", &row->resource, NULL },       { "Type", &row->type, NULL },
        { "SpanKind", &row->kind, NULL },           { "OkSummary", &row->ok_sketch, NULL },
        { "ErrorSummary", &row->err_sketch, NULL }, { "Hits", NULL, &row->hits },
        { "Errors", NULL, &row->errors },           { "Duration", NULL, &row->duration_ns },
        { "TopLevelHits", NULL, &row->top_hits },
    };
    uint64_t status_code;
    size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (is(key, fields[i].name))
            return fields[i].text ? sonde_mp_read_str(r, fields[i].text)
                                  : sonde_mp_read_u64(r, fields[i].number);
    if (!is(key, "HTTPStatusCode"))
        return sonde_mp_skip(r);
    if (!sonde_mp_read_u64(r, &status_code))
        return false;
    row->http_status = (uint32_t)(status_code <= UINT32_MAX ? status_code : 0);
    return true;
}

static sonde_status read_group(decoder *d, sonde_mp_reader *r)
{
    stats_row row = { 0 };
    uint32_t n;
    sonde_str key;

    if (sonde_mp_read_nil(r) || !sonde_mp_read_map(r, &n))
        return r->status;
    while (n-- > 0)
        if (!sonde_mp_read_str(r, &key) || !read_field(r, key, &row))
            return r->status;
    return add_row(d, &row);
}

typedef sonde_status (*read_item)(decoder *d, sonde_mp_reader *r);

static sonde_status read_list(decoder *d, sonde_str raw, read_item item)
{
    sonde_mp_reader r;
    sonde_status status = SONDE_OK;
    uint32_t n;

    if (raw.len == 0)
        return SONDE_OK;
    sonde_mp_reader_init(&r, raw.ptr, raw.len);
    if (sonde_mp_read_nil(&r) || !sonde_mp_read_array(&r, &n))
        return r.status;
    while (n-- > 0 && status == SONDE_OK)
        status = item(d, &r);
    return status;
}

static sonde_status read_bucket(decoder *d, sonde_mp_reader *r)
{
    uint64_t start_ns = 0;
    sonde_str key, list = { NULL, 0 };
    uint32_t n;

    if (sonde_mp_read_nil(r) || !sonde_mp_read_map(r, &n))
        return r->status;
    while (n-- > 0) {
        bool ok = sonde_mp_read_str(r, &key);

        if (ok && is(key, "Start"))
            ok = sonde_mp_read_u64(r, &start_ns);
        else if (ok && is(key, "Stats"))
            ok = sonde_mp_read_raw(r, &list);
        else if (ok)
            ok = sonde_mp_skip(r);
        if (!ok)
            return r->status;
    }
    d->bucket_s = (int64_t)(start_ns / 1000000000u);
    d->bucket_s -= d->bucket_s % STATS_STEP_S;
    if (d->bucket_s > BUCKET_LAST_S)
        return SONDE_ERR_SYNTAX;
    return read_list(d, list, read_group);
}

/* A map with two texts and a list: both outer levels have that shape. */
static sonde_status read_outer(decoder *d, sonde_mp_reader *r, const char *host_key,
                               const char *env_key, sonde_str *out_host, sonde_str *out_env,
                               read_item item)
{
    sonde_str key, list = { NULL, 0 };
    uint32_t n;

    *out_host = *out_env = list;
    if (sonde_mp_read_nil(r) || !sonde_mp_read_map(r, &n))
        return r->status;
    while (n-- > 0) {
        bool ok = sonde_mp_read_str(r, &key);

        if (ok && is(key, host_key))
            ok = sonde_mp_read_str(r, out_host);
        else if (ok && is(key, env_key))
            ok = sonde_mp_read_str(r, out_env);
        else if (ok && is(key, "Stats"))
            ok = sonde_mp_read_raw(r, &list);
        else if (ok)
            ok = sonde_mp_skip(r);
        if (!ok)
            return r->status;
    }
    return read_list(d, list, item);
}

static sonde_status read_client_payload(decoder *d, sonde_mp_reader *r)
{
    return read_outer(d, r, "Hostname", "Env", &d->host, &d->env, read_bucket);
}

sonde_status stats_decode(sonde_str body, store_batch *batch)
{
    decoder d = { .batch = batch };
    sonde_mp_reader r;
    sonde_status status;

    sonde_sketch_init(&d.sketch);
    sonde_buf_init(&d.packed, SONDE_SKETCH_BINS_MAX * 20);
    sonde_mp_reader_init(&r, body.ptr, body.len);
    status = read_outer(&d, &r, "AgentHostname", "AgentEnv", &d.agent_host, &d.agent_env,
                        read_client_payload);
    sonde_sketch_done(&d.sketch);
    sonde_buf_done(&d.packed);
    return status;
}
