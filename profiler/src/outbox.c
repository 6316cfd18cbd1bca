/* outbox.c - a short queue whose members can be merged, halved and told anew. */
#include "outbox.h"

#include <string.h>

void sonde_prof__batch_init(sonde_prof__batch *b)
{
    memset(b, 0, sizeof(*b));
    sonde_buf_init(&b->dict, SONDE_PROF__SPB_BODY_MAX);
    sonde_buf_init(&b->own, SONDE_PROF__SPB_BODY_MAX);
    sonde_buf_init(&b->rest, SONDE_PROF__SPB_BODY_MAX);
}

void sonde_prof__batch_done(sonde_prof__batch *b)
{
    sonde_buf_done(&b->dict);
    sonde_buf_done(&b->own);
    sonde_buf_done(&b->rest);
    sonde_prof__batch_init(b);
}

void sonde_prof__batch_part(sonde_prof__batch *b, size_t at, uint64_t events)
{
    b->events += events;
    if (b->parts == SONDE_PROF__BATCH_PARTS_MAX) {
        b->part_events[b->parts - 1] += events;
        return;
    }
    b->part_at[b->parts] = at;
    b->part_events[b->parts++] = events;
}

void sonde_prof__outbox_init(sonde_prof__outbox *o)
{
    memset(o, 0, sizeof(*o));
}

void sonde_prof__outbox_done(sonde_prof__outbox *o)
{
    while (o->len > 0) {
        o->events_lost += o->batches[0].events;
        o->lost++;
        sonde_prof__batch_done(&o->batches[0]);
        memmove(&o->batches[0], &o->batches[1], --o->len * sizeof(o->batches[0]));
    }
}

static void remove_oldest(sonde_prof__outbox *o)
{
    sonde_prof__batch_done(&o->batches[0]);
    memmove(&o->batches[0], &o->batches[1], --o->len * sizeof(o->batches[0]));
}

/* Takes what `from` has and `to` has not, in front of it. */
static void put_before(sonde_buf *to, sonde_buf *from)
{
    sonde_buf both = *from;

    sonde_buf_append_str(&both, sonde_buf_str(to));
    sonde_buf_done(to);
    *to = both;
    sonde_buf_init(from, SONDE_PROF__SPB_BODY_MAX);
}

static void lose_samples(sonde_prof__outbox *o, sonde_prof__batch *b)
{
    o->events_lost += b->events;
    b->events = 0;
    b->parts = 0;
    sonde_buf_reset(&b->rest);
}

static bool is_of_session(const sonde_prof__batch *b,
                          const uint8_t session[SONDE_PROF__SESSION_BYTES])
{
    return memcmp(b->session, session, SONDE_PROF__SESSION_BYTES) == 0;
}

void sonde_prof__outbox_drop(sonde_prof__outbox *o)
{
    sonde_prof__batch *oldest = &o->batches[0];

    if (o->len == 0)
        return;
    o->lost++;
    lose_samples(o, oldest);
    if (o->len == 1)
        return;
    if (is_of_session(&o->batches[1], oldest->session)) {
        put_before(&o->batches[1].dict, &oldest->dict);
        put_before(&o->batches[1].own, &oldest->own);
    }
    remove_oldest(o);
}

void sonde_prof__outbox_discard(sonde_prof__outbox *o)
{
    if (o->len == 0)
        return;
    o->lost++;
    lose_samples(o, &o->batches[0]);
    remove_oldest(o);
}

void sonde_prof__outbox_push(sonde_prof__outbox *o, sonde_prof__batch *b)
{
    if (o->len == SONDE_PROF__OUTBOX_MAX)
        sonde_prof__outbox_drop(o);
    o->batches[o->len++] = *b;
    sonde_prof__batch_init(b);
}

sonde_prof__batch *sonde_prof__outbox_head(sonde_prof__outbox *o)
{
    return o->len > 0 ? &o->batches[0] : NULL;
}

uint64_t sonde_prof__outbox_events(const sonde_prof__outbox *o)
{
    uint64_t events = 0;
    uint32_t i;

    for (i = 0; i < o->len; i++)
        events += o->batches[i].events;
    return events;
}

void sonde_prof__outbox_sent(sonde_prof__outbox *o)
{
    if (o->len == 0)
        return;
    o->sent++;
    o->events_sent += o->batches[0].events;
    remove_oldest(o);
}

/* Records from `part` on, moved into an empty batch. */
static void split_off(sonde_prof__batch *b, uint32_t part, sonde_prof__batch *out)
{
    size_t at = b->part_at[part];
    uint32_t i;

    sonde_prof__batch_init(out);
    memcpy(out->session, b->session, sizeof(out->session));
    memcpy(out->prev, b->prev, sizeof(out->prev));
    out->start_unix_ns = b->start_unix_ns;
    out->end_unix_ns = b->end_unix_ns;
    sonde_buf_append(&out->rest, b->rest.data + at, b->rest.len - at);
    for (i = part; i < b->parts; i++) {
        out->part_at[i - part] = b->part_at[i] - at;
        out->part_events[i - part] = b->part_events[i];
        out->events += b->part_events[i];
    }
    out->parts = b->parts - part;
    b->parts = part;
    b->events -= out->events;
    b->rest.len = at;
}

void sonde_prof__outbox_halve(sonde_prof__outbox *o)
{
    sonde_prof__batch *b = sonde_prof__outbox_head(o);
    sonde_prof__batch half;

    if (!b)
        return;
    if (b->parts < 2 || o->len == SONDE_PROF__OUTBOX_MAX) {
        lose_samples(o, b);
        o->lost++;
        return;
    }
    split_off(b, b->parts / 2, &half);
    if (half.rest.status != SONDE_OK) {
        o->events_lost += half.events;
        sonde_prof__batch_done(&half);
        return;
    }
    memmove(&o->batches[2], &o->batches[1], (o->len - 1) * sizeof(o->batches[0]));
    o->batches[1] = half;
    o->len++;
}

void sonde_prof__outbox_resync(sonde_prof__outbox *o, sonde_buf *dict,
                               const uint8_t session[SONDE_PROF__SESSION_BYTES])
{
    uint8_t former[SONDE_PROF__SESSION_BYTES];
    uint32_t i;

    if (o->len == 0)
        return;
    memcpy(former, o->batches[0].session, sizeof(former));
    for (i = 0; i < o->len && is_of_session(&o->batches[i], former); i++) {
        sonde_buf_reset(&o->batches[i].dict);
        o->batches[i].has_seq = false;
        memset(o->batches[i].prev, 0, sizeof(o->batches[i].prev));
        memcpy(o->batches[i].session, session, SONDE_PROF__SESSION_BYTES);
    }
    sonde_buf_done(&o->batches[0].dict);
    o->batches[0].dict = *dict;
    sonde_buf_init(dict, SONDE_PROF__SPB_BODY_MAX);
}
