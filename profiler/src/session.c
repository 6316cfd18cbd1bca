/* session.c - building a batch, posting it, and the table of answers. */
#include "session.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/rng.h"

#include "code.h"
#include "maps.h"

#define PAUSE_FIRST_NS (2 * (uint64_t)SONDE_NS_PER_S)
#define PAUSE_MAX_NS   (60 * (uint64_t)SONDE_NS_PER_S)
#define UNMAPS_MAX     4096u

static void make_id(uint8_t id[SONDE_PROF__SESSION_BYTES])
{
    uint64_t random[2] = { sonde_random_u64(), sonde_random_u64() };

    memcpy(id, random, SONDE_PROF__SESSION_BYTES);
}

void sonde_prof__session_init(sonde_prof__session *s)
{
    memset(s, 0, sizeof(*s));
    make_id(s->id);
    sonde_prof__outbox_init(&s->outbox);
    sonde_buf_init(&s->body, SONDE_PROF__SPB_BODY_MAX);
}

void sonde_prof__session_done(sonde_prof__session *s)
{
    sonde_prof__outbox_done(&s->outbox);
    sonde_buf_done(&s->body);
}

/* An agent that did take a batch, and whose answer was lost, passes over another one of that number. */
static void number(sonde_prof__session *s, sonde_prof__batch *b)
{
    if (b->has_seq)
        return;
    b->has_seq = true;
    b->seq = s->next_seq++;
}

void sonde_prof__session_roll_over(sonde_prof__session *s)
{
    uint32_t i;

    for (i = 0; i < s->outbox.len; i++)
        number(s, &s->outbox.batches[i]);
    memcpy(s->prev, s->id, sizeof(s->prev));
    make_id(s->id);
    s->is_known = false;
    s->next_seq = 0;
}

/* -- building --------------------------------------------------------------------------------------- */

/* Mappings behind the mark, with their paths as strings. */
typedef struct mappings {
    const sonde_prof__loaded **objects; /* owned */
    uint32_t *paths;                    /* owned */
    uint32_t len;
} mappings;

static void collect_mappings(sonde_prof__dict *d, mappings *out)
{
    uint32_t len = sonde_prof__maps_len() - d->mark.maps, i;

    memset(out, 0, sizeof(*out));
    if (len == 0)
        return;
    out->objects =
        (const sonde_prof__loaded **)sonde_calloc(len, sizeof(const sonde_prof__loaded *));
    out->paths = (uint32_t *)sonde_calloc(len, sizeof(*out->paths));
    if (!out->objects || !out->paths)
        return;
    for (i = 0; i < len; i++) {
        out->objects[i] = sonde_prof__maps_by_id(SONDE_PROF__FIRST_MAP + d->mark.maps + i);
        out->paths[i] = sonde_prof__dict_string(d, out->objects[i]->path);
    }
    out->len = len;
}

static void free_mappings(mappings *m)
{
    sonde_free((void *)m->objects);
    sonde_free(m->paths);
}

/* Code the program told of, not in a batch yet. */
typedef struct code_rows {
    sonde_prof__dict *d;
    sonde_prof__code_row *rows; /* owned */
    uint32_t len, cap;
} code_rows;

static void take_code(void *user, uint64_t lo, uint64_t bytes, sonde_str name)
{
    code_rows *c = user;
    const sonde_prof__loaded *object = sonde_prof__maps_find(lo);
    uint32_t cap = c->cap ? c->cap * 2 : 64;
    sonde_prof__code_row *grown = c->rows;

    if (c->len == c->cap) {
        grown = (sonde_prof__code_row *)sonde_realloc(grown, cap * sizeof(*grown));
        if (!grown)
            return;
        c->rows = grown;
        c->cap = cap;
    }
    c->rows[c->len++] = (sonde_prof__code_row){
        .map = object ? object->id : 0,
        .name = sonde_prof__dict_string(c->d, name),
        .vaddr = object ? lo - object->bias : lo,
        .bytes = bytes,
    };
}

/* Strings are made while mappings are collected, so they are written after that and before them. */
static void put_dict(sonde_buf *b, sonde_prof__dict *d, int64_t mono_to_unix)
{
    code_rows code = { .d = d };
    mappings m;

    collect_mappings(d, &m);
    sonde_prof__code_take(d->mark.nodes == 0, take_code, &code);
    sonde_prof__spb_strings(b, d);
    sonde_prof__spb_mappings(b, m.objects, m.paths, m.len);
    sonde_prof__spb_nodes(b, d);
    sonde_prof__spb_threads(b, d, mono_to_unix);
    sonde_prof__spb_code(b, code.rows, code.len);
    free_mappings(&m);
    sonde_free(code.rows);
}

static void put_unmaps(sonde_buf *b, const sonde_prof__span_of_time *time)
{
    sonde_prof__unmap unmaps[64];
    uint32_t i, len = 0, all = sonde_prof__maps_len();

    for (i = 0; i < all; i++) {
        const sonde_prof__loaded *l = sonde_prof__maps_by_id(SONDE_PROF__FIRST_MAP + i);
        uint64_t unix_ns = l->unloaded_mono_ns + (uint64_t)time->mono_to_unix;

        if (l->is_loaded || l->unloaded_mono_ns == 0 || unix_ns < time->start_unix_ns)
            continue;
        unmaps[len++] = (sonde_prof__unmap){ l->id, unix_ns };
        if (len < sizeof(unmaps) / sizeof(unmaps[0]))
            continue;
        sonde_prof__spb_unmaps(b, unmaps, len);
        len = 0;
    }
    sonde_prof__spb_unmaps(b, unmaps, len);
}

static uint64_t events_between(const sonde_prof__window *w, uint32_t kind, uint32_t from,
                               uint32_t to)
{
    uint64_t events = 0;

    for (; from < to; from++)
        if (w->rows[from].key.kind == kind)
            events += w->rows[from].events;
    return events;
}

static void put_samples(sonde_prof__batch *b, const sonde_prof__window *w,
                        const sonde_prof__span_of_time *time)
{
    uint32_t kind;

    for (kind = 1; kind < SONDE_PROF__KINDS; kind++) {
        uint32_t cursor = 0, from = 0;
        size_t at = b->rest.len;

        while (sonde_prof__spb_samples(&b->rest, w, kind, &cursor, time)) {
            sonde_prof__batch_part(b, at, events_between(w, kind, from, cursor));
            from = cursor;
            at = b->rest.len;
        }
    }
}

static void put_living(sonde_buf *b, const sonde_prof__living *l, uint64_t unix_ns)
{
    uint32_t i;

    sonde_prof__spb_live_begin(b, unix_ns, l->len);
    for (i = 0; i < l->len; i++)
        sonde_prof__spb_live_entry(b, l->rows[i].node, 0, l->rows[i].objects, l->rows[i].bytes,
                                   l->rows[i].oldest_age_s);
}

void sonde_prof__session_close(sonde_prof__session *s, sonde_prof__dict *d,
                               const sonde_prof__window *w, const sonde_prof__batch_facts *facts)
{
    bool lives = facts->living &&
                 sonde_prof__living_snapshot(facts->living, d, facts->now_mono_ns) == SONDE_OK;
    sonde_prof__batch b;

    sonde_prof__batch_init(&b);
    memcpy(b.session, s->id, sizeof(b.session));
    memcpy(b.prev, s->prev, sizeof(b.prev));
    b.start_unix_ns = facts->time.start_unix_ns;
    b.end_unix_ns = facts->time.end_unix_ns;
    put_dict(&b.dict, d, facts->time.mono_to_unix);
    sonde_prof__spb_contexts(&b.own, &d->now);
    sonde_prof__spb_endpoints(&b.own, facts->endpoints, facts->endpoints_len);
    put_unmaps(&b.own, &facts->time);
    put_samples(&b, w, &facts->time);
    if (lives)
        put_living(&b.rest, facts->living, facts->time.end_unix_ns);
    if (facts->stats)
        sonde_prof__spb_stats(&b.rest, facts->stats);
    sonde_prof__dict_mark(d);
    sonde_prof__outbox_push(&s->outbox, &b);
}

/* -- posting ---------------------------------------------------------------------------------------- */

static bool is_current(const sonde_prof__session *s, const sonde_prof__batch *b)
{
    return memcmp(s->id, b->session, sizeof(s->id)) == 0;
}

static bool make_body(sonde_prof__session *s, const sonde_prof__batch *b,
                      const sonde_prof__identity *who)
{
    static const uint8_t none[SONDE_PROF__SESSION_BYTES];
    bool is_known = s->is_known && is_current(s, b);
    sonde_prof__hello hello;

    sonde_prof__identity_hello(who, &hello);
    memcpy(hello.session, b->session, sizeof(hello.session));
    hello.prev = memcmp(b->prev, none, sizeof(none)) != 0 ? b->prev : NULL;
    hello.seq = b->seq;
    hello.start_unix_ns = b->start_unix_ns;
    hello.end_unix_ns = b->end_unix_ns;
    if (!is_known || memcmp(s->told, who->interval, sizeof(s->told)) != 0)
        memcpy(hello.interval, who->interval, sizeof(hello.interval));
    sonde_buf_reset(&s->body);
    sonde_prof__spb_hello(&s->body, &hello, !is_known);
    sonde_buf_append_str(&s->body, sonde_buf_str(&b->dict));
    sonde_buf_append_str(&s->body, sonde_buf_str(&b->own));
    sonde_buf_append_str(&s->body, sonde_buf_str(&b->rest));
    sonde_prof__spb_end(&s->body, b->seq);
    return s->body.status == SONDE_OK && b->dict.status == SONDE_OK && b->own.status == SONDE_OK &&
           b->rest.status == SONDE_OK;
}

static sonde_prof__link_answer post(const sonde_prof__session *s, const sonde_prof__batch *b,
                                    sonde_prof__link *link, uint64_t deadline_mono_ns)
{
    char id[2 * SONDE_PROF__SESSION_BYTES], seq[SONDE_U64_MAX_LEN];
    sonde_http_header headers[] = {
        { SONDE_STR("Content-Type"), SONDE_STR("application/msgpack") },
        { SONDE_STR("Sonde-Profile-Session"), { id, sizeof(id) } },
        { SONDE_STR("Sonde-Profile-Seq"), { seq, sonde_format_u64(b->seq, seq) } },
    };

    sonde_hex_bytes(b->session, sizeof(b->session), id);
    return sonde_prof__link_post(link, SONDE_PROF__BATCH_PATH, headers,
                                 sizeof(headers) / sizeof(headers[0]), sonde_buf_str(&s->body),
                                 deadline_mono_ns);
}

/* The agent knows nothing of this session: under a new id it is told everything. */
static void resync(sonde_prof__session *s, sonde_prof__dict *d, int64_t mono_to_unix)
{
    sonde_buf all;

    s->resyncs++;
    if (!is_current(s, sonde_prof__outbox_head(&s->outbox))) {
        sonde_prof__outbox_discard(&s->outbox); /* its dictionary is gone here, too */
        return;
    }
    make_id(s->id);
    memset(s->prev, 0, sizeof(s->prev));
    s->is_known = false;
    s->next_seq = 0;
    sonde_buf_init(&all, SONDE_PROF__SPB_BODY_MAX);
    sonde_prof__dict_rewind(d);
    put_dict(&all, d, mono_to_unix);
    sonde_prof__spb_contexts(&all, &d->before);
    sonde_prof__spb_contexts(&all, &d->now);
    sonde_prof__dict_mark(d);
    sonde_prof__outbox_resync(&s->outbox, &all, s->id);
    sonde_buf_done(&all);
}

static void back_off(sonde_prof__session *s, uint64_t at_least_ns)
{
    s->pause_ns = s->pause_ns ? s->pause_ns * 2 : PAUSE_FIRST_NS;
    if (s->pause_ns > PAUSE_MAX_NS)
        s->pause_ns = PAUSE_MAX_NS;
    s->next_try_ns = sonde_mono_ns() + (at_least_ns > s->pause_ns ? at_least_ns : s->pause_ns);
}

static int64_t mono_to_unix(void)
{
    return sonde_unix_ns() - (int64_t)sonde_mono_ns();
}

/* One answer; true: go on with what is the oldest now. */
static bool take_answer(sonde_prof__session *s, const sonde_prof__identity *who,
                        sonde_prof__dict *d, const sonde_prof__link_answer *answer,
                        sonde_prof__sending *out)
{
    *out = SONDE_PROF__SENT_LATER;
    switch (answer->status) {
    case 200:
    case 202:
        s->pause_ns = 0;
        s->is_known = s->is_known || is_current(s, sonde_prof__outbox_head(&s->outbox));
        memcpy(s->told, who->interval, sizeof(s->told));
        sonde_prof__outbox_sent(&s->outbox);
        return true;
    case 409:
        resync(s, d, mono_to_unix());
        return true;
    case 413:
        if (sonde_prof__outbox_head(&s->outbox)->parts == 0)
            *out = SONDE_PROF__SENT_UNSAYABLE;
        sonde_prof__outbox_halve(&s->outbox);
        return *out != SONDE_PROF__SENT_UNSAYABLE;
    case 404:
        *out = SONDE_PROF__SENT_NEVER;
        return false;
    case 400: /* it cannot be read, and would not be the next time */
        SONDE_LOG(SONDE_LOG_WARN, "agent refuses a batch: status=400 body=%s",
                  SONDE_LOG_QUOTE(answer->body));
        sonde_prof__outbox_drop(&s->outbox);
        resync(s, d, mono_to_unix());
        back_off(s, 0);
        return false;
    default:
        back_off(s, answer->retry_after_ns);
        return false;
    }
}

#define POSTS_MAX 32u /* in a row: halves of halves */

sonde_prof__sending sonde_prof__session_send(sonde_prof__session *s, sonde_prof__link *link,
                                             const sonde_prof__identity *who, sonde_prof__dict *d,
                                             uint64_t deadline_mono_ns)
{
    sonde_prof__sending result = SONDE_PROF__SENT_LATER;
    sonde_prof__link_answer answer;
    uint32_t i;

    for (i = 0; i < POSTS_MAX; i++) {
        sonde_prof__batch *b = sonde_prof__outbox_head(&s->outbox);

        if (!b)
            return SONDE_PROF__SENT_ALL;
        number(s, b);
        if (!make_body(s, b, who)) {
            sonde_prof__outbox_halve(&s->outbox);
            continue;
        }
        answer = post(s, b, link, deadline_mono_ns);
        if (!take_answer(s, who, d, &answer, &result))
            return result;
    }
    back_off(s, 0);
    return SONDE_PROF__SENT_LATER;
}

uint64_t sonde_prof__session_interval_ns(const sonde_prof__session *s, uint64_t interval_ns)
{
    uint64_t longest = interval_ns > PAUSE_MAX_NS ? interval_ns : PAUSE_MAX_NS;
    uint64_t wanted = interval_ns;
    uint64_t pause;

    for (pause = PAUSE_FIRST_NS; s->pause_ns >= pause && wanted < longest; pause *= 2)
        wanted *= 2;
    return wanted < longest ? wanted : longest;
}
