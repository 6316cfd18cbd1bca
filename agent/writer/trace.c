/* trace.c - the trace writer.
 *
 *   scratch (per thread)  prefix  chunk chunk ...  suffix
 *                            │  one TracerPayload, appended under the mutex
 *                            ▼
 *   pending               AgentPayload head, TracerPayloads ...
 *                            │  taken whole when full or due
 *                            ▼
 *                         tail, zstd, upload
 *
 * Invariant   pending.body.len <= max_payload_bytes, unless one single group is larger than that.
 */
#include "trace.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "codec/compress/compress.h"
#include "codec/pb_write.h"

#include "languages.h"
#include "limits.h"

#define FLUSH_NS         UINT64_C(5000000000)
#define GROUP_EXTRA      16u /* tag and length of a TracerPayload */
#define AGENT_HEAD_BYTES 1024u

typedef struct pending {
    sonde_buf body;
    uint64_t chunks;
    uint64_t spans;
    languages languages;
} pending;

/* Chunks in scratch that become one TracerPayload. */
typedef struct chunk_group {
    const payload *p;
    sonde_buf *scratch;
    uint64_t chunks;
    uint64_t spans;
} chunk_group;

struct trace_writer {
    sonde_mutex mu;
    pending pending; /* all below guarded by mu */
    sonde_buf spare; /* memory of a body that was sent, for the next one */
    uint64_t last_flush_mono_ns;
    trace_writer_counters counters;
    trace_writer_options options; /* immutable, as the rest; but agent's targets: guarded by mu */
};

static void pending_init(pending *p)
{
    memset(p, 0, sizeof(*p));
    sonde_buf_init(&p->body,
                   TRACE_PAYLOAD_MAX_BYTES + TRACE_CHUNK_MAX_BYTES + 2 * TRACE_GROUP_MAX_BYTES);
}

void trace_scratch_init(sonde_buf *scratch)
{
    sonde_buf_init(scratch, TRACE_CHUNK_MAX_BYTES + TRACE_GROUP_MAX_BYTES);
}

sonde_status trace_writer_open(const trace_writer_options *options, uint64_t now_mono_ns,
                               trace_writer **out_writer)
{
    trace_writer *w = sonde_calloc(1, sizeof(*w));

    if (!w)
        return SONDE_ERR_NOMEM;
    w->options = *options;
    if (!w->options.max_payload_bytes)
        w->options.max_payload_bytes = TRACE_PAYLOAD_MAX_BYTES;
    if (!w->options.flush_ns)
        w->options.flush_ns = FLUSH_NS;
    w->last_flush_mono_ns = now_mono_ns;
    sonde_mutex_init(&w->mu, SONDE_RANK_ROOM);
    pending_init(&w->pending);
    sonde_buf_init(&w->spare, w->pending.body.max_bytes);
    *out_writer = w;
    return SONDE_OK;
}

void trace_writer_close(trace_writer *w)
{
    if (!w)
        return;
    sonde_buf_done(&w->pending.body);
    sonde_buf_done(&w->spare);
    sonde_mutex_done(&w->mu);
    sonde_free(w);
}

static void drop_locked(trace_writer *w, trace_writer_drop why, uint64_t chunks, uint64_t spans)
{
    w->counters.chunks_dropped[why] += chunks;
    w->counters.spans_dropped[why] += spans;
}

/* Moves what is pending to *out and starts anew with the spare memory. */
static void take_locked(trace_writer *w, pending *out, uint64_t now_mono_ns)
{
    *out = w->pending;
    pending_init(&w->pending);
    w->pending.body = w->spare;
    sonde_buf_init(&w->spare, w->pending.body.max_bytes);
    w->last_flush_mono_ns = now_mono_ns;
}

static sonde_status compress(pending *p, sonde_buf *out)
{
    if (p->body.status != SONDE_OK)
        return p->body.status;
    return sonde_compress(SONDE_ENCODING_ZSTD, 0, sonde_buf_str(&p->body), out);
}

/* Finishes, compresses and hands over.  No lock is held. */
void trace_writer_set_targets(trace_writer *w, double target_tps, double errors_tps)
{
    sonde_mutex_lock(&w->mu);
    w->options.agent.target_tps = target_tps;
    w->options.agent.errors_tps = errors_tps;
    sonde_mutex_unlock(&w->mu);
}

static void send(trace_writer *w, pending *p)
{
    upload u = { .kind = UPLOAD_TRACES,
                 .path = "/api/v0.2/traces",
                 .content_type = "application/x-protobuf",
                 .content_encoding = "zstd",
                 .items = p->spans,
                 .chunks = p->chunks };
    trace_writer_drop why = TRACE_WRITER_NO_MEMORY;
    size_t raw, compressed = 0;
    sonde_status status;
    sonde_buf out;

    sonde_mutex_lock(&w->mu);
    encode_agent_tail(&p->body, &w->options.agent);
    sonde_mutex_unlock(&w->mu);
    raw = p->body.len;
    sonde_buf_init(&out, UPLOAD_BODY_MAX_BYTES);
    languages_header(&p->languages, u.headers, sizeof(u.headers));
    status = compress(p, &out);
    if (status == SONDE_OK) {
        u.body = sonde_buf_take(&out, &u.body_len);
        compressed = u.body_len;
        status = w->options.sink.push(w->options.sink.stage, &u);
        if (status != SONDE_OK) {
            sonde_free(u.body);
            why = status == SONDE_ERR_NOMEM ? TRACE_WRITER_NO_MEMORY : TRACE_WRITER_REFUSED;
        }
    }
    sonde_buf_done(&out);

    sonde_mutex_lock(&w->mu);
    if (status == SONDE_OK) {
        w->counters.payloads_out++;
        w->counters.chunks_out += p->chunks;
        w->counters.spans_out += p->spans;
        w->counters.bytes_raw += raw;
        w->counters.bytes_compressed += compressed;
    } else {
        drop_locked(w, why, p->chunks, p->spans);
    }
    w->counters.spans_waiting -= p->spans;
    if (!w->spare.data && p->body.cap <= 2 * TRACE_PAYLOAD_MAX_BYTES) {
        sonde_buf_reset(&p->body);
        w->spare = p->body;
        sonde_buf_init(&p->body, w->spare.max_bytes);
    }
    sonde_mutex_unlock(&w->mu);
    sonde_buf_done(&p->body);
}

/* One TracerPayload around the chunks in scratch; its length is known, so nothing has to move. */
static void append_locked(trace_writer *w, const chunk_group *g, sonde_str head, sonde_str tail)
{
    sonde_buf *b = &w->pending.body;
    size_t len = head.len + g->scratch->len + tail.len, before = b->len;

    if (!b->len)
        encode_agent_head(b, &w->options.agent);
    if (sonde_buf_reserve(b, len + GROUP_EXTRA)) {
        sonde_pb_len_prefix(b, AGENT_FIELD_TRACER_PAYLOADS, len);
        sonde_buf_append_str(b, head);
        sonde_buf_append_str(b, sonde_buf_str(g->scratch));
        sonde_buf_append_str(b, tail);
        w->pending.chunks += g->chunks;
        w->pending.spans += g->spans;
        w->counters.spans_waiting += g->spans;
        languages_add(&w->pending.languages, g->p->language_name);
    } else {
        drop_locked(w, TRACE_WRITER_NO_MEMORY, g->chunks, g->spans);
        b->len = before;
        b->status = SONDE_OK;
    }
}

static void put_group(trace_writer *w, chunk_group *g, sonde_str head, sonde_str tail,
                      uint64_t now_mono_ns)
{
    size_t len = head.len + g->scratch->len + tail.len + GROUP_EXTRA + AGENT_HEAD_BYTES;
    pending full = { .spans = 0 };

    if (g->chunks) {
        sonde_mutex_lock(&w->mu);
        if (w->pending.spans && w->pending.body.len + len > w->options.max_payload_bytes)
            take_locked(w, &full, now_mono_ns);
        append_locked(w, g, head, tail);
        sonde_mutex_unlock(&w->mu);
        if (full.spans)
            send(w, &full);
    }
    sonde_buf_reset(g->scratch);
    g->chunks = g->spans = 0;
}

static void drop(trace_writer *w, trace_writer_drop why, uint64_t chunks, uint64_t spans)
{
    sonde_mutex_lock(&w->mu);
    drop_locked(w, why, chunks, spans);
    sonde_mutex_unlock(&w->mu);
}

static void add_chunk(trace_writer *w, chunk_group *g, const payload_chunk *c)
{
    size_t before = g->scratch->len;

    encode_chunk(g->scratch, c);
    if (g->scratch->status == SONDE_OK && g->scratch->len - before <= TRACE_CHUNK_MAX_BYTES) {
        g->chunks++;
        g->spans += c->spans_len;
        return;
    }
    drop(w,
         g->scratch->status == SONDE_ERR_NOMEM ? TRACE_WRITER_NO_MEMORY
                                               : TRACE_WRITER_CHUNK_TOO_BIG,
         1, c->spans_len);
    g->scratch->len = before;
    g->scratch->status = SONDE_OK;
}

static uint64_t spans_of(const payload *p)
{
    uint64_t spans = 0;
    uint32_t i;

    for (i = 0; i < p->chunks_len; i++)
        spans += p->chunks[i].spans_len;
    return spans;
}

void trace_writer_add(trace_writer *w, sonde_buf *scratch, const payload *p, uint64_t now_mono_ns)
{
    chunk_group g = { .p = p, .scratch = scratch };
    uint64_t spans = spans_of(p);
    size_t head_len, limit;
    sonde_buf around; /* the fields of the TracerPayload before and behind its chunks */
    uint32_t i;

    if (!p->chunks_len)
        return;
    sonde_mutex_lock(&w->mu);
    w->counters.chunks_in += p->chunks_len;
    w->counters.spans_in += spans;
    sonde_mutex_unlock(&w->mu);

    sonde_buf_init(&around, TRACE_CHUNK_MAX_BYTES);
    encode_tracer_head(&around, p);
    head_len = around.len;
    encode_tracer_tail(&around, p);
    if (around.status != SONDE_OK) {
        drop(w, TRACE_WRITER_NO_MEMORY, p->chunks_len, spans);
        sonde_buf_done(&around);
        return;
    }
    limit = TRACE_GROUP_MAX_BYTES < w->options.max_payload_bytes / 2
                ? TRACE_GROUP_MAX_BYTES
                : w->options.max_payload_bytes / 2;
    for (i = 0; i < p->chunks_len; i++) {
        add_chunk(w, &g, &p->chunks[i]);
        if (scratch->len >= limit || i + 1 == p->chunks_len)
            put_group(w, &g, sonde_str_sub(sonde_buf_str(&around), 0, head_len),
                      sonde_str_sub(sonde_buf_str(&around), head_len, around.len), now_mono_ns);
    }
    sonde_buf_done(&around);
    if (scratch->cap > TRACE_SCRATCH_KEEP_BYTES) {
        sonde_buf_done(scratch);
        trace_scratch_init(scratch);
    }
}

void trace_writer_flush(trace_writer *w, uint64_t now_mono_ns)
{
    pending full = { .spans = 0 };

    sonde_mutex_lock(&w->mu);
    w->last_flush_mono_ns = now_mono_ns;
    if (w->pending.spans)
        take_locked(w, &full, now_mono_ns);
    sonde_mutex_unlock(&w->mu);
    if (full.spans)
        send(w, &full);
}

void trace_writer_tick(trace_writer *w, uint64_t now_mono_ns)
{
    uint64_t last;

    sonde_mutex_lock(&w->mu);
    last = w->last_flush_mono_ns;
    sonde_mutex_unlock(&w->mu);
    if (now_mono_ns >= sonde_deadline(last, w->options.flush_ns))
        trace_writer_flush(w, now_mono_ns);
}

void trace_writer_read_counters(trace_writer *w, trace_writer_counters *out)
{
    sonde_mutex_lock(&w->mu);
    *out = w->counters;
    out->bytes_waiting = w->pending.body.len;
    sonde_mutex_unlock(&w->mu);
}

void trace_writer_write_json(void *arg, sonde_json_writer *w)
{
    static const char *const reasons[TRACE_WRITER_DROPS] = {
#define X(name, text) [TRACE_WRITER_##name] = text,
        TRACE_WRITER_DROP_MAP(X)
#undef X
    };
    trace_writer_counters n;
    int i;

    trace_writer_read_counters(arg, &n);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "chunks_in", n.chunks_in);
    sonde_json_put_u64(w, "spans_in", n.spans_in);
    sonde_json_put_u64(w, "chunks_out", n.chunks_out);
    sonde_json_put_u64(w, "spans_out", n.spans_out);
    sonde_json_put_u64(w, "payloads_out", n.payloads_out);
    sonde_json_put_u64(w, "bytes_raw", n.bytes_raw);
    sonde_json_put_u64(w, "bytes_compressed", n.bytes_compressed);
    sonde_json_put_u64(w, "spans_waiting", n.spans_waiting);
    sonde_json_put_u64(w, "bytes_waiting", n.bytes_waiting);
    sonde_json_key(w, SONDE_STR("spans_dropped"));
    sonde_json_begin_object(w);
    for (i = 0; i < TRACE_WRITER_DROPS; i++)
        sonde_json_put_u64(w, reasons[i], n.spans_dropped[i]);
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}
