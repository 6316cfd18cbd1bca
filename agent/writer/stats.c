/* stats.c - the stats writer: encode, compress, hand over. */
#include "stats.h"

#include "base/alloc.h"
#include "codec/compress/compress.h"

#include "languages.h"
#include "limits.h"

static void count(_Atomic uint64_t *n, uint64_t by)
{
    atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

static uint64_t read(_Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

void stats_writer_init(stats_writer *w, sonde_str hostname, sonde_str env, sonde_str version,
                       upload_sink sink)
{
    *w = (stats_writer){ .hostname = hostname,
                         .env = env,
                         .version = version,
                         .sink = sink,
                         .groups_max = STATS_PAYLOAD_GROUPS_MAX };
}

static uint64_t groups_of(const stats_payload *s)
{
    uint64_t n = 0;
    uint32_t i, j;

    for (i = 0; i < s->stats_len; i++)
        for (j = 0; j < s->stats[i].buckets_len; j++)
            n += s->stats[i].buckets[j].groups_len;
    return n;
}

static void name_languages(const stats_payload *s, upload *u)
{
    languages l = { .len = 0 };
    uint32_t i;

    for (i = 0; i < s->stats_len; i++)
        languages_add(&l, s->stats[i].lang);
    languages_header(&l, u->headers, sizeof(u->headers));
}

static sonde_status hand_over(stats_writer *w, const stats_payload *s, sonde_buf *body,
                              uint64_t groups)
{
    upload u = { .kind = UPLOAD_STATS,
                 .path = "/api/v0.2/stats",
                 .content_type = "application/msgpack",
                 .content_encoding = "gzip",
                 .items = groups,
                 .chunks = 1 };
    sonde_status status;

    name_languages(s, &u);
    u.body = sonde_buf_take(body, &u.body_len);
    count(&w->bytes_compressed, u.body_len);
    status = w->sink.push(w->sink.stage, &u);
    if (status != SONDE_OK)
        sonde_free(u.body);
    return status;
}

static sonde_status send_part(stats_writer *w, const stats_payload *s, uint64_t groups,
                              uint64_t part, uint64_t parts)
{
    sonde_buf raw, body;
    sonde_status status;

    sonde_buf_init(&raw, STATS_PAYLOAD_MAX_BYTES);
    sonde_buf_init(&body, UPLOAD_BODY_MAX_BYTES);
    stats_encode(&raw, w, s, part, parts);
    status = raw.status;
    if (status == SONDE_OK)
        status = sonde_compress(SONDE_ENCODING_GZIP, 0, sonde_buf_str(&raw), &body);
    sonde_buf_done(&raw);
    if (status == SONDE_OK)
        status = hand_over(w, s, &body, groups);
    sonde_buf_done(&body);
    count(status == SONDE_OK ? &w->groups_out : &w->groups_dropped, groups);
    count(&w->payloads_out, status == SONDE_OK);
    return status;
}

sonde_status stats_writer_push(void *writer, const stats_payload *s)
{
    stats_writer *w = writer;
    uint64_t groups = groups_of(s), parts, part;
    sonde_status first = SONDE_OK, status;

    if (!groups)
        return SONDE_OK;
    parts = (groups + w->groups_max - 1) / w->groups_max;
    count(&w->groups_in, groups);
    count(&w->splits, parts > 1);
    for (part = 0; part < parts; part++) {
        status = send_part(w, s, groups / parts + (part < groups % parts), part, parts);
        if (first == SONDE_OK)
            first = status;
    }
    return first;
}

void stats_writer_write_json(void *arg, sonde_json_writer *w)
{
    stats_writer *s = arg;

    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "groups_in", read(&s->groups_in));
    sonde_json_put_u64(w, "groups_out", read(&s->groups_out));
    sonde_json_put_u64(w, "groups_dropped", read(&s->groups_dropped));
    sonde_json_put_u64(w, "payloads_out", read(&s->payloads_out));
    sonde_json_put_u64(w, "splits", read(&s->splits));
    sonde_json_put_u64(w, "bytes_compressed", read(&s->bytes_compressed));
    sonde_json_end_object(w);
}
