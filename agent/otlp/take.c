/* take.c - the way of one request: unpack, decode, hand on, count.
 *
 * The payloads of a request share its body, which goes when the last of them is freed. */
#include "internal.h"

#include "base/alloc.h"
#include "codec/pb_write.h"

#define TAG_CONTAINER_TAGS "_dd.tags.container"

typedef struct otlp_body {
    _Atomic size_t refs;
    otlp *o;
    http_body http; /* counted by the HTTP server */
    uint8_t *data;  /* or ours, counted in held_bytes */
    size_t held;
    sonde_str bytes;
} otlp_body;

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void body_put(otlp_body *body)
{
    if (!body || atomic_fetch_sub_explicit(&body->refs, 1, memory_order_acq_rel) != 1)
        return;
    http_body_release(&body->http);
    sonde_free(body->data);
    atomic_fetch_sub_explicit(&body->o->counters.held_bytes, body->held, memory_order_relaxed);
    otlp_put(body->o);
    sonde_free(body);
}

static void release_body(payload *p)
{
    body_put(p->body_owner);
}

/* Charges bytes of our own; false: over the budget. */
static bool body_charge(otlp_body *body, size_t bytes)
{
    otlp *o = body->o;
    uint64_t before =
        atomic_fetch_add_explicit(&o->counters.held_bytes, bytes, memory_order_relaxed);

    body->held += bytes;
    return before + bytes <= o->budget_bytes;
}

/* A body with one reference that owns the request's bytes. */
static otlp_body *body_new(otlp *o, otlp_export *e)
{
    otlp_body *body = sonde_calloc(1, sizeof(*body));

    if (!body)
        return NULL;
    atomic_store_explicit(&body->refs, 1, memory_order_relaxed);
    body->o = o;
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    if (e->from_http) {
        body->http = *e->from_http;
        *e->from_http = (http_body){ .data = NULL };
        body->bytes = (sonde_str){ (const char *)body->http.data, body->http.len };
    } else {
        body->data = e->data;
        e->data = NULL;
        body->bytes = (sonde_str){ (const char *)body->data, e->len };
    }
    return body;
}

/* Replaces the packed bytes by what is in them. */
static sonde_status body_unpack(otlp_body *body, const otlp_export *e)
{
    sonde_buf out;
    size_t len;
    sonde_status status;

    sonde_buf_init(&out, e->max_bytes);
    status = sonde_decompress(e->encoding, body->bytes, &out);
    http_body_release(&body->http);
    sonde_free(body->data);
    body->data = NULL;
    body->bytes = (sonde_str){ NULL, 0 };
    if (status != SONDE_OK) {
        sonde_buf_done(&out);
        return status;
    }
    body->data = sonde_buf_take(&out, &len);
    body->bytes = (sonde_str){ (const char *)body->data, len };
    return SONDE_OK;
}

static void refuse(otlp_outcome *out, otlp_reason why, const char *message)
{
    *out = (otlp_outcome){ .why = why, .message = message };
}

static void refuse_status(otlp_outcome *out, sonde_status status, const char *message)
{
    switch (status) {
    case SONDE_ERR_FULL:
        refuse(out, OTLP_REFUSED_QUEUE, "the agent is busy");
        break;
    case SONDE_ERR_CLOSED:
        refuse(out, OTLP_REFUSED_CLOSING, "the agent is shutting down");
        break;
    case SONDE_ERR_NOMEM:
        refuse(out, OTLP_NO_MEMORY, "out of memory");
        break;
    case SONDE_ERR_TOO_BIG:
        refuse(out, OTLP_DECODED_TOO_BIG, message);
        break;
    case SONDE_ERR_EOF:
        refuse(out, OTLP_EOF, message);
        break;
    default:
        refuse(out, OTLP_DECODE, message);
        break;
    }
}

static bool unpack(otlp_body *body, const otlp_export *e, otlp_outcome *out)
{
    sonde_status status = SONDE_OK;

    if (e->encoding != SONDE_ENCODING_IDENTITY)
        status = body_unpack(body, e);
    if (status == SONDE_ERR_TOO_BIG)
        refuse(out, OTLP_TOO_BIG, "unpacked body too large");
    else if (status != SONDE_OK)
        refuse_status(out, status, "malformed compressed body");
    else if (body->data && !body_charge(body, body->bytes.len))
        refuse(out, OTLP_REFUSED_BUDGET, "the agent is busy");
    else
        return true;
    return false;
}

static uint64_t count_spans(const payload *p)
{
    uint64_t spans = 0;

    for (uint32_t i = 0; i < p->chunks_len; i++)
        spans += p->chunks[i].spans_len;
    return spans;
}

static sonde_status add_container_tags(const otlp *o, payload *p)
{
    origin_tags_text room;
    sonde_str tags = origin_tags(o->origin, p->container_id, room);

    if (tags.len == 0)
        return SONDE_OK;
    tags = sonde_arena_copy(&p->arena, tags);
    return tags.ptr ? payload_tag_set(p, SONDE_STR(TAG_CONTAINER_TAGS), tags) : SONDE_ERR_NOMEM;
}

static sonde_status push(otlp *o, payload *p, otlp_body *body, bool is_first)
{
    sonde_status status = add_container_tags(o, p);

    p->body = body->bytes;
    p->body_owner = body;
    p->release_body = release_body;
    atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed);
    p->charged_bytes = p->arena.held_bytes + (is_first ? body->bytes.len : 0);
    if (atomic_load_explicit(&o->stopped, memory_order_relaxed))
        status = SONDE_ERR_CLOSED;
    if (status == SONDE_OK)
        status = o->sink.push(o->sink.stage, p);
    if (status == SONDE_OK)
        return SONDE_OK;
    payload_free(p);
    return status == SONDE_ERR_CLOSED ? status : SONDE_ERR_FULL;
}

/* Nothing taken: refused, and the client may send it again; some taken: a partial success. */
static void hand_on(otlp *o, otlp_builder *b, otlp_body *body, otlp_outcome *out)
{
    uint64_t traces = 0, accepted = 0, rejected = 0, payloads = 0;
    sonde_status failure = SONDE_OK;
    payload *p;

    while ((p = otlp_build_take(b)) != NULL) {
        uint64_t spans = count_spans(p), chunks = p->chunks_len;
        sonde_status status = push(o, p, body, payloads == 0);

        if (status == SONDE_OK) {
            traces += chunks;
            accepted += spans;
            payloads++;
        } else {
            rejected += spans;
            failure = status;
        }
    }
    add(&o->counters.spans_decoded, accepted + rejected);
    add(&o->counters.traces_accepted, traces);
    add(&o->counters.spans_accepted, accepted);
    add(&o->counters.spans_rejected, rejected);
    add(&o->counters.payloads, payloads);
    if (rejected && !accepted) {
        refuse_status(out, failure, NULL);
        return;
    }
    *out = (otlp_outcome){ .accepted = true,
                           .rejected_spans = rejected,
                           .message = rejected ? "the agent is busy" : "" };
    add(&o->counters.requests_partial, rejected != 0);
}

static void decode(otlp *o, const otlp_export *e, otlp_body *body, otlp_outcome *out)
{
    const otlp_build_options options = {
        .rate = o->rate,
        .leave_undecided = o->config->probabilistic_enabled,
        .stats_computed = e->stats_computed,
        .hostname = o->config->hostname,
        .max_arena_bytes = o->config->memory_limit_bytes / 2,
    };
    otlp_builder *b = sonde_malloc(sizeof(*b));
    sonde_status status;

    if (!b) {
        refuse(out, OTLP_NO_MEMORY, "out of memory");
        return;
    }
    otlp_build_init(b, &options, body->bytes.len);
    status = e->read(b, body->bytes);
    if (status == SONDE_OK) {
        add(&o->counters.strings_repaired, b->tally.strings_repaired);
        add(&o->counters.tags_cut, b->tally.tags_cut);
        hand_on(o, b, body, out);
    } else {
        refuse_status(out, status, b->error);
    }
    otlp_build_done(b);
    sonde_free(b);
}

void otlp_take(otlp *o, otlp_export *e, otlp_outcome *out)
{
    otlp_body *body = body_new(o, e);

    add(&o->counters.requests_received, 1);
    if (!body)
        refuse(out, OTLP_NO_MEMORY, "out of memory");
    else if (unpack(body, e, out))
        decode(o, e, body, out);
    if (out->accepted) {
        add(&o->counters.requests_accepted, 1);
        add(&o->counters.bytes_received, body->bytes.len);
    } else {
        add(&o->counters.requests_dropped[out->why], 1);
    }
    body_put(body);
}

void otlp_count_lost(otlp *o, otlp_reason why)
{
    add(&o->counters.requests_received, 1);
    add(&o->counters.requests_dropped[why], 1);
}

void otlp_put_response_pb(const otlp_outcome *outcome, sonde_buf *out)
{
    size_t mark;

    if (outcome->rejected_spans == 0)
        return;
    mark = sonde_pb_begin(out, 1);
    sonde_pb_int64(out, 1, (int64_t)outcome->rejected_spans);
    sonde_pb_str(out, 2, sonde_str_from(outcome->message));
    sonde_pb_end(out, mark);
}
