/* encode_v04.c - spans straight from their cells into the payload.
 *
 * A span's records are gathered once; of those with the same key the last counts.  What every span or
 * every key needs is kept encoded.  Texts are checked where they were written: ASCII, else UTF-8, else
 * they are written again with U+FFFD for what is wrong. */
#include "encode_v04.h"

#include <string.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/hex.h"
#include "codec/msgpack_write.h"
#include "vocab/tags.h"

#include "encode_items.h"
#include "live.h"
#include "peer_service.h"
#include "policy.h"
#include "put.h"
#include "sampler.h"
#include "trace_tags.h"

#define FEW_TAGS        12 /* up to here every key is compared with every other */
#define ARRAY32_BYTES   5
#define TEXT_HEAD_BYTES 10 /* of a key and its value */

static inline bool is_ascii(const uint8_t *p, size_t len)
{
    uint64_t any = 0;
    uint64_t word;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        any |= word;
    }
    for (; len > 0; p++, len--)
        any |= *p;
    return (any & UINT64_C(0x8080808080808080)) == 0;
}

#define PUT(p, bytes) (memcpy((p), (bytes), sizeof(bytes) - 1), (p) + (sizeof(bytes) - 1))

/* -- texts ---------------------------------------------------------------------------------------- */

/* Writes `text` again, at `from`, with U+FFFD for each byte that is not UTF-8. */
static __attribute__((noinline, cold)) void repair(sonde__encoder *e, size_t from, sonde_str text)
{
    sonde_buf_reset(&e->fix);
    while (text.len > 0) {
        unsigned rune;
        size_t n = sonde_utf8_decode(text, &rune);

        if (n > 0)
            sonde_buf_append(&e->fix, text.ptr, n);
        else
            sonde_buf_append_str(&e->fix, SONDE_STR("\xef\xbf\xbd"));
        text = sonde_str_sub(text, n ? n : 1, text.len);
    }
    if (e->fix.status != SONDE_OK && e->payload.status == SONDE_OK)
        e->payload.status = e->fix.status;
    e->payload.len = from;
    sonde_mp_write_str(&e->payload, sonde_buf_str(&e->fix));
    (void)sonde_buf_reserve(&e->payload, e->room); /* it may have become longer */
}

/* Completes a text of `len` bytes whose body stands at `body`. */
static inline void check_text(sonde__encoder *e, uint8_t *start, uint8_t *body, size_t len)
{
    size_t from = (size_t)(start - e->payload.data);

    e->payload.len = (size_t)(body + len - e->payload.data);
    if (__builtin_expect(!is_ascii(body, len), 0) &&
        !sonde_utf8_valid((sonde_str){ (const char *)body, len }))
        repair(e, from, (sonde_str){ (const char *)body, len });
}

/* The writers from here on rely on the room that make_room() has made. */

static inline uint8_t *cursor(sonde__encoder *e)
{
    return e->payload.data + e->payload.len;
}

static inline void put_literal(sonde__encoder *e, sonde_str text)
{
    memcpy(cursor(e), text.ptr, text.len);
    e->payload.len += text.len;
}

static inline void write_text(sonde__encoder *e, sonde_str text)
{
    uint8_t *start = cursor(e);
    uint8_t *body = sonde__put_str_head(start, text.len);

    sonde__copy_short(body, text.ptr, text.len);
    check_text(e, start, body, text.len);
}

static inline void write_value(sonde__encoder *e, const sonde__record *r)
{
    uint8_t *start = cursor(e);
    uint8_t *body = sonde__put_str_head(start, r->value_len);

    if (__builtin_expect(r->rest == 0, 1))
        sonde__copy_short(body, r->value, r->value_len);
    else
        sonde__text_copy(r, (char *)body);
    check_text(e, start, body, r->value_len);
}

static void write_pair(sonde_buf *b, sonde_str key, sonde_str value)
{
    sonde_mp_write_str(b, key);
    sonde_mp_write_str(b, value);
}

static inline void write_metric(sonde_buf *b, sonde_str key, double value)
{
    uint8_t *at = sonde_buf_reserve(b, key.len + 14);

    if (!at)
        return;
    at = sonde__put_str_head(at, key.len);
    memcpy(at, key.ptr, key.len);
    at = sonde__put_double(at + key.len, value);
    b->len = (size_t)(at - b->data);
}

/* -- keys that clash with ours -------------------------------------------------------------------- */

/* Keys the tracer writes itself; a program's tag of that name is left out. */
static const sonde_str own_keys[] = {
    { SONDE_TAG_LANGUAGE, sizeof(SONDE_TAG_LANGUAGE) - 1 },
    { SONDE_TAG_RUNTIME_ID, sizeof(SONDE_TAG_RUNTIME_ID) - 1 },
    { SONDE_TAG_PROCESS_ID, sizeof(SONDE_TAG_PROCESS_ID) - 1 },
    { SONDE_TAG_DD_TOP_LEVEL, sizeof(SONDE_TAG_DD_TOP_LEVEL) - 1 },
    { SONDE_TAG_HOSTNAME, sizeof(SONDE_TAG_HOSTNAME) - 1 },
    { SONDE_TAG_GIT_REPOSITORY, sizeof(SONDE_TAG_GIT_REPOSITORY) - 1 },
    { SONDE_TAG_GIT_COMMIT, sizeof(SONDE_TAG_GIT_COMMIT) - 1 },
    { SONDE_TAG_PROCESS_TAGS, sizeof(SONDE_TAG_PROCESS_TAGS) - 1 },
    { SONDE_TAG_BASE_SERVICE, sizeof(SONDE_TAG_BASE_SERVICE) - 1 },
    { SONDE_TAG_SVC_SRC, sizeof(SONDE_TAG_SVC_SRC) - 1 },
    { SONDE_TAG_PEER_SOURCE, sizeof(SONDE_TAG_PEER_SOURCE) - 1 },
    { SONDE_TAG_PEER_REMAPPED, sizeof(SONDE_TAG_PEER_REMAPPED) - 1 },
    { SONDE_TAG_SCHEMA, sizeof(SONDE_TAG_SCHEMA) - 1 },
    { SONDE_TAG_ORIGIN, sizeof(SONDE_TAG_ORIGIN) - 1 },
    { SONDE_TAG_PARENT_ID, sizeof(SONDE_TAG_PARENT_ID) - 1 },
    { SONDE_TAG_PROPAGATION_ERROR, sizeof(SONDE_TAG_PROPAGATION_ERROR) - 1 },
    { SONDE_TAG_AGENT_PSR, sizeof(SONDE_TAG_AGENT_PSR) - 1 },
    { SONDE_TAG_RULE_PSR, sizeof(SONDE_TAG_RULE_PSR) - 1 },
    { SONDE_TAG_LIMIT_PSR, sizeof(SONDE_TAG_LIMIT_PSR) - 1 },
    { SONDE_TAG_SPAN_MECHANISM, sizeof(SONDE_TAG_SPAN_MECHANISM) - 1 },
    { SONDE_TAG_SPAN_RULE_RATE, sizeof(SONDE_TAG_SPAN_RULE_RATE) - 1 },
    { SONDE_TAG_SPAN_LIMIT, sizeof(SONDE_TAG_SPAN_LIMIT) - 1 },
};

static inline uint64_t key_bit(sonde_str key)
{
    unsigned char first = (unsigned char)key.ptr[0];
    unsigned char last = (unsigned char)key.ptr[key.len - 1];

    return UINT64_C(1) << ((key.len * 7 + first * 3u + last) & 63);
}

static bool is_own_key(sonde_str key)
{
    size_t i;

    if (sonde_str_starts(key, SONDE_STR(SONDE__PROPAGATING_PREFIX)))
        return true;
    for (i = 0; i < sizeof(own_keys) / sizeof(own_keys[0]); i++)
        if (sonde_str_eq(own_keys[i], key))
            return true;
    return false;
}

static inline bool may_clash(const sonde__encoder *e, sonde_str key)
{
    return (key.len >= 6 && memcmp(key.ptr, SONDE__PROPAGATING_PREFIX, 6) == 0) ||
           (e->default_keys & key_bit(key)) != 0;
}

/* -- one span ------------------------------------------------------------------------------------- */

typedef struct picture {
    const sonde__span *span;
    sonde_str service;
    const sonde__segment *segment;
    sonde__decision decision;
    bool first;       /* of its chunk */
    bool clash;       /* a tag replaces a default one */
    bool own_version; /* a tag replaces the configured version */
    bool may_have_peer;
    sonde__peer peer;
    bool countable; /* a tag may have it counted */
    const sonde__record *name;
    const sonde__record *resource;
    const sonde__record *type;
    uint32_t tags; /* records[0 .. tags-1], superseded ones have kind END */
    uint32_t meta;
    uint32_t metrics;
    uint32_t links;
    uint32_t events;
    uint32_t structs;
    size_t item_bytes;          /* of both */
    const sonde__rule *kept_by; /* a rule for single spans, or NULL */
} picture;

static inline bool same_key(const sonde__record *a, const sonde__record *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static void note_item(picture *p, const sonde__record *r)
{
    p->links += r->kind == SONDE__TEXT_LINK;
    p->events += r->kind == SONDE__TEXT_EVENT;
    p->item_bytes += r->value_len;
}

/* The last one of a key counts; an empty one takes it away. */
static void note_struct(sonde__encoder *e, picture *p, const sonde__record *r)
{
    uint32_t i;

    for (i = 0; i < p->structs && !same_key(&e->structs[i], r); i++)
        ;
    if (r->value_len == 0) {
        if (i < p->structs)
            e->structs[i] = e->structs[--p->structs];
    } else if (i < SONDE__STRUCTS_MAX && e->has_structs) {
        e->structs[i] = *r;
        p->structs += i == p->structs;
    } else {
        sonde__count(SONDE__TAGS_DROPPED, 1);
    }
}

static void gather(sonde__encoder *e, const sonde__span *span, picture *p)
{
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde__record *names[3] = { &e->records[SONDE__RECORDS_MAX - 1],
                                &e->records[SONDE__RECORDS_MAX - 2],
                                &e->records[SONDE__RECORDS_MAX - 3] };

    while (p->tags < SONDE__RECORDS_MAX - 3 && sonde__text_next(&c, &e->records[p->tags])) {
        const sonde__record *r = &e->records[p->tags];

        if (r->kind < SONDE__TEXT_NAME) {
            p->tags++;
            continue;
        }
        if (r->kind == SONDE__TEXT_STRUCT) {
            note_struct(e, p, r);
            continue;
        }
        if (r->kind > SONDE__TEXT_TYPE) {
            note_item(p, r);
            continue;
        }
        *names[r->kind - SONDE__TEXT_NAME] = *r;
        if (r->kind == SONDE__TEXT_NAME)
            p->name = names[0];
        else if (r->kind == SONDE__TEXT_RESOURCE)
            p->resource = names[1];
        else
            p->type = names[2];
    }
}

static void supersede_few(sonde__record *r, uint32_t n)
{
    uint32_t i, j;

    for (i = 0; i + 1 < n; i++) {
        for (j = i + 1; j < n; j++) {
            if (same_key(&r[i], &r[j])) {
                r[i].kind = SONDE__TEXT_END;
                break;
            }
        }
    }
}

static void supersede_many(sonde__encoder *e, uint32_t n)
{
    const uint32_t mask = sizeof(e->slots) / sizeof(e->slots[0]) - 1;
    uint32_t i;

    memset(e->slots, 0, sizeof(e->slots));
    for (i = n; i-- > 0;) {
        sonde__record *r = &e->records[i];
        uint32_t at = (uint32_t)sonde_hash(0, r->key, r->key_len) & mask;

        while (e->slots[at] != 0 && !same_key(r, &e->records[e->slots[at] - 1]))
            at = (at + 1) & mask;
        if (e->slots[at] != 0)
            r->kind = SONDE__TEXT_END;
        else
            e->slots[at] = (uint16_t)(i + 1);
    }
}

/* A program may say where a trace comes from that says nothing itself. */
static bool is_origin_of_its_own(const picture *p, sonde_str key)
{
    sonde__record r;

    return sonde_str_eq(key, SONDE_STR(SONDE_TAG_ORIGIN)) &&
           !sonde__segment_text(p->segment, SONDE__TEXT_ORIGIN, &r);
}

static void resolve_clash(sonde__encoder *e, sonde__record *r, picture *p)
{
    sonde_str key = sonde__record_key(r);
    uint32_t i;

    if (is_own_key(key) && !is_origin_of_its_own(p, key)) {
        r->kind = SONDE__TEXT_END;
        return;
    }
    p->own_version |= sonde_str_eq(key, SONDE_STR(SONDE_TAG_VERSION));
    p->may_have_peer |= sonde_str_eq(key, SONDE_STR(SONDE_TAG_PEER_SERVICE)) ||
                        sonde_str_eq(key, SONDE_STR(SONDE_TAG_SPAN_KIND));
    p->clash |= sonde_str_eq(key, SONDE_STR(SONDE_TAG_ENV));
    for (i = 0; i < e->tags_len && !p->clash; i++)
        p->clash = sonde_str_eq(key, e->tags[i].key);
}

/* Tags that have spans counted in statistics which are not top-level ones. */
static inline bool may_count(sonde_str key)
{
    return sonde_str_eq(key, SONDE_STR(SONDE_TAG_SPAN_KIND)) ||
           sonde_str_eq(key, SONDE_STR(SONDE_TAG_MEASURED));
}

static bool is_peer_given(const picture *p)
{
    return sonde_str_eq(p->peer.source, SONDE_STR(SONDE_TAG_PEER_SERVICE));
}

static void settle_peer(sonde__encoder *e, picture *p)
{
    p->peer = sonde__peer_find(e->config, e->records, p->tags);
    if (p->peer.mapped.len > 0 && is_peer_given(p)) {
        p->peer.value->kind = SONDE__TEXT_END; /* written among our own */
        p->meta--;
    }
}

/* Leaves in records[] what is to be written. */
static void settle_tags(sonde__encoder *e, picture *p)
{
    uint32_t i;

    if (p->tags <= FEW_TAGS)
        supersede_few(e->records, p->tags);
    else
        supersede_many(e, p->tags);
    for (i = 0; i < p->tags; i++) {
        sonde__record *r = &e->records[i];

        if (r->kind != SONDE__TEXT_END && may_clash(e, sonde__record_key(r)))
            resolve_clash(e, r, p);
        p->countable |= may_count(sonde__record_key(r));
        if (p->events > 0 && sonde_str_eq(sonde__record_key(r), SONDE_STR(SONDE_TAG_EVENTS)))
            r->kind = SONDE__TEXT_END; /* the place is taken */
        p->meta += r->kind == SONDE__TEXT_STR;
        p->metrics += r->kind == SONDE__TEXT_NUMBER;
    }
    if (p->may_have_peer)
        settle_peer(e, p);
}

static bool is_set_by_program(const sonde__encoder *e, const picture *p, sonde_str key)
{
    uint32_t i;

    for (i = 0; i < p->tags; i++)
        if (e->records[i].kind != SONDE__TEXT_END &&
            sonde_str_eq(sonde__record_key(&e->records[i]), key))
            return true;
    return false;
}

static uint32_t write_defaults(sonde__encoder *e, sonde_buf *b, const picture *p)
{
    const sonde__config *c = e->config;
    uint32_t n = 1;
    uint32_t i;

    write_pair(b, SONDE_STR(SONDE_TAG_LANGUAGE), c->language);
    if (c->env.len > 0 && !(p && is_set_by_program(e, p, SONDE_STR(SONDE_TAG_ENV)))) {
        write_pair(b, SONDE_STR(SONDE_TAG_ENV), c->env);
        n++;
    }
    for (i = 0; i < e->tags_len; i++) {
        if (p && is_set_by_program(e, p, e->tags[i].key))
            continue;
        write_pair(b, e->tags[i].key, e->tags[i].value);
        n++;
    }
    return n;
}

static bool has_base_service(const picture *p)
{
    return !sonde__service_is_own(p->span->service);
}

static bool has_version(const sonde__encoder *e, const picture *p)
{
    return e->config->version.len > 0 && !p->own_version &&
           (p->span->service == 0 || e->config->universal_version);
}

static bool is_top_level(const picture *p)
{
    return (p->span->flags & SONDE__SPAN_LOCAL_ROOT) || p->span->service != p->span->parent_service;
}

static bool is_local_root(const picture *p)
{
    return (p->span->flags & SONDE__SPAN_LOCAL_ROOT) != 0;
}

static uint32_t write_chunk_meta(sonde__encoder *e)
{
    const sonde__config *c = e->config;
    uint32_t i;

    for (i = 0; i < c->chunk_tags_len; i++)
        write_pair(&e->payload, c->chunk_tags[i].key, c->chunk_tags[i].value);
    return c->chunk_tags_len;
}

static void write_copy(sonde__encoder *e, const char *key, const sonde__record *value)
{
    sonde_mp_write_str(&e->payload, sonde_str_from(key));
    if (sonde_buf_reserve(&e->payload, TEXT_HEAD_BYTES + (size_t)value->value_len))
        write_value(e, value);
}

static uint32_t write_peer(sonde__encoder *e, const picture *p)
{
    const sonde__peer *peer = &p->peer;

    if (!peer->value)
        return 0;
    write_pair(&e->payload, SONDE_STR(SONDE_TAG_PEER_SOURCE), peer->source);
    if (peer->mapped.len > 0) {
        write_pair(&e->payload, SONDE_STR(SONDE_TAG_PEER_SERVICE), peer->mapped);
        write_copy(e, SONDE_TAG_PEER_REMAPPED, peer->value);
        return 3;
    }
    if (is_peer_given(p))
        return 1;
    write_copy(e, SONDE_TAG_PEER_SERVICE, peer->value);
    return 2;
}

/* Tags of ours beside the defaults.  Written behind the others; `mark` takes the final count. */
static uint32_t write_own_meta(sonde__encoder *e, const picture *p)
{
    sonde_buf *b = &e->payload;
    uint32_t n = 0;

    if (has_version(e, p)) {
        write_pair(b, SONDE_STR(SONDE_TAG_VERSION), e->config->version);
        n++;
    }
    if (has_base_service(p)) {
        write_pair(b, SONDE_STR(SONDE_TAG_BASE_SERVICE), e->config->service);
        write_pair(b, SONDE_STR(SONDE_TAG_SVC_SRC),
                   sonde__service_is_mapped(p->span->service) ? SONDE_STR("opt.mapping")
                                                              : SONDE_STR("m"));
        n += 2;
    }
    if (is_local_root(p)) {
        write_pair(b, SONDE_STR(SONDE_TAG_RUNTIME_ID), sonde_str_from(e->runtime_id));
        n++;
    }
    if (p->events > 0 && !e->native_events) {
        sonde__events_json(&e->json, &e->fix, p->span);
        write_pair(b, SONDE_STR(SONDE_TAG_EVENTS), sonde_buf_str(&e->json));
        n++;
    }
    n += write_peer(e, p);
    if (p->first)
        n += write_chunk_meta(e);
    return n + sonde__write_trace_meta(b, p->segment, p->decision, p->first, is_local_root(p));
}

/* What the decision of a local root was made with. */
static uint32_t write_rates(sonde_buf *b, const picture *p)
{
    double rate = sonde__decision_rate(p->decision);
    double passed;

    if (!sonde__decision_by_rate(p->decision))
        return 0;
    if (!sonde__decision_by_rule(p->decision)) {
        write_metric(b, SONDE_STR(SONDE_TAG_AGENT_PSR), rate);
        return 1;
    }
    write_metric(b, SONDE_STR(SONDE_TAG_RULE_PSR), rate);
    if (!sonde__segment_limit_ratio(p->segment, &passed))
        return 1;
    write_metric(b, SONDE_STR(SONDE_TAG_LIMIT_PSR), passed);
    return 2;
}

/* Why a single span is kept. */
static uint32_t write_kept_by(sonde_buf *b, const sonde__rule *rule)
{
    write_metric(b, SONDE_STR(SONDE_TAG_SPAN_MECHANISM), SONDE__BY_SPAN_RULE);
    write_metric(b, SONDE_STR(SONDE_TAG_SPAN_RULE_RATE), rule->rate);
    if (rule->max_per_second < 0)
        return 2;
    write_metric(b, SONDE_STR(SONDE_TAG_SPAN_LIMIT), rule->max_per_second);
    return 3;
}

static uint32_t write_own_metrics(sonde__encoder *e, const picture *p)
{
    sonde_buf *b = &e->payload;
    int priority = sonde__decision_priority(p->decision);
    uint32_t n = 0;

    if (is_top_level(p)) {
        write_metric(b, SONDE_STR(SONDE_TAG_DD_TOP_LEVEL), 1);
        n++;
        if (e->config->attribute_schema > 0) {
            write_metric(b, SONDE_STR(SONDE_TAG_SCHEMA), e->config->attribute_schema);
            n++;
        }
    }
    if (p->first || is_local_root(p)) {
        write_metric(b, SONDE_STR(SONDE_TAG_PRIORITY), priority);
        n++;
        if (p->decision & SONDE__DECISION_TAIL) {
            write_metric(b, SONDE_STR(SONDE_TAG_TAIL_KEEP), 1);
            n++;
        }
    }
    if (p->kept_by)
        n += write_kept_by(b, p->kept_by);
    if (!is_local_root(p))
        return n;
    write_metric(b, SONDE_STR(SONDE_TAG_PROCESS_ID), e->pid);
    n++;
    if (!e->config->apm_tracing) {
        write_metric(b, SONDE_STR(SONDE_TAG_APM_ENABLED), 0);
        n++;
    }
    return n + write_rates(b, p);
}

static void write_head(sonde__encoder *e, const picture *p)
{
    const sonde__span *s = p->span;
    uint8_t *at = cursor(e);

    at = PUT(at, "\xa8trace_id");
    at = sonde__put_u64(at, p->segment->trace_id_low);
    at = PUT(at, "\xa7span_id");
    at = sonde__put_u64(at, s->id);
    at = PUT(at, "\xa9parent_id");
    at = sonde__put_u64(at, s->parent_id);
    at = PUT(at, "\xa5start");
    at = sonde__put_u64(at, s->start_mono_ns + (uint64_t)p->segment->mono_to_unix_ns);
    at = PUT(at, "\xa8"
                 "duration");
    at = sonde__put_u64(at, s->duration_ns);
    at = PUT(at, "\xa5"
                 "error");
    *at++ = (s->flags & SONDE__SPAN_ERROR) != 0;
    e->payload.len = (size_t)(at - e->payload.data);
}

static bool has_native_events(const sonde__encoder *e, const picture *p)
{
    return p->events > 0 && e->native_events;
}

static void write_names(sonde__encoder *e, const picture *p)
{
    static const sonde__record unnamed = { .value_len = 17, .value = "unnamed_operation" };
    const sonde__record *name = p->name && p->name->value_len > 0 ? p->name : &unnamed;
    bool has_resource = p->resource && p->resource->value_len > 0;

    *cursor(e) = (uint8_t)(0x8c + (p->structs > 0) + (p->links > 0) + has_native_events(e, p));
    e->payload.len++;
    put_literal(e, SONDE_STR("\xa7service"));
    write_text(e, p->service);
    put_literal(e, SONDE_STR("\xa4name"));
    write_value(e, name);
    put_literal(e, SONDE_STR("\xa8resource"));
    write_value(e, has_resource ? p->resource : name);
    put_literal(e, SONDE_STR("\xa4type"));
    if (p->type)
        write_value(e, p->type);
    else
        *cursor(e) = 0xa0, e->payload.len++;
}

/* The count comes first but is known last: room for the long form is made where it may be needed. */
static inline size_t begin_map(sonde__encoder *e, sonde_str key, uint32_t likely)
{
    put_literal(e, key);
    e->payload.len += likely < 16 ? 1 : 3;
    return e->payload.len;
}

static void end_map(sonde__encoder *e, size_t body, uint32_t likely, uint32_t count)
{
    uint8_t *at = e->payload.data + body;

    if (e->payload.status != SONDE_OK)
        return;
    if (likely < 16 && count < 16) {
        at[-1] = (uint8_t)(0x80 | count);
        return;
    }
    if (likely < 16) { /* rare: more tags of ours than expected */
        if (!sonde_buf_reserve(&e->payload, 2))
            return;
        at = e->payload.data + body;
        memmove(at + 2, at, e->payload.len - body);
        e->payload.len += 2;
        at += 2;
    }
    at[-3] = 0xde;
    at[-2] = (uint8_t)(count >> 8);
    at[-1] = (uint8_t)count;
}

static void write_meta(sonde__encoder *e, const picture *p)
{
    uint32_t count = p->meta;
    uint32_t likely = p->meta + e->common_count + 4 + (p->first ? e->config->chunk_tags_len : 0);
    size_t body = begin_map(e, SONDE_STR("\xa4meta"), likely);
    uint32_t i;

    if (p->clash) {
        count += write_defaults(e, &e->payload, p);
    } else {
        put_literal(e, sonde_buf_str(&e->common));
        count += e->common_count;
    }
    for (i = 0; i < p->tags; i++) {
        const sonde__record *r = &e->records[i];

        if (r->kind != SONDE__TEXT_STR)
            continue;
        write_text(e, sonde__record_key(r));
        write_value(e, r);
    }
    count += write_own_meta(e, p);
    end_map(e, body, likely, count);
}

static void write_metrics(sonde__encoder *e, const picture *p)
{
    uint32_t likely = p->metrics + 4;
    size_t body = begin_map(e, SONDE_STR("\xa7metrics"), likely);
    uint32_t i;

    for (i = 0; i < p->tags; i++) {
        const sonde__record *r = &e->records[i];
        double value;

        if (r->kind != SONDE__TEXT_NUMBER)
            continue;
        memcpy(&value, r->value, sizeof(value));
        write_text(e, sonde__record_key(r));
        e->payload.len = (size_t)(sonde__put_double(cursor(e), value) - e->payload.data);
    }
    end_map(e, body, likely, p->metrics + write_own_metrics(e, p));
}

#define SPAN_FIXED_BYTES 512 /* the fields' keys, ids, times and heads of texts */

/* Makes room for all that is written without looking. */
static bool make_room(sonde__encoder *e, const picture *p)
{
    size_t bytes = SPAN_FIXED_BYTES + e->common.len + p->service.len;
    uint32_t i;

    for (i = 0; i < p->tags; i++)
        bytes += TEXT_HEAD_BYTES + (size_t)e->records[i].key_len + e->records[i].value_len;
    bytes += p->name ? 2 * (size_t)p->name->value_len : 0;
    bytes += p->resource ? p->resource->value_len : 0;
    bytes += p->type ? p->type->value_len : 0;
    bytes += p->item_bytes;
    e->room = bytes;
    return sonde_buf_reserve(&e->payload, bytes) != NULL;
}

static void write_struct(sonde__encoder *e, const sonde__record *r)
{
    sonde_buf *b = &e->payload;
    uint8_t *at = sonde_buf_reserve(b, 2 * TEXT_HEAD_BYTES + (size_t)r->key_len + r->value_len);

    if (!at)
        return;
    write_text(e, sonde__record_key(r));
    at = sonde_buf_reserve(b, TEXT_HEAD_BYTES + (size_t)r->value_len);
    if (!at)
        return;
    at = sonde__put_32(at, 0xc6, r->value_len);
    sonde__text_copy(r, (char *)at);
    b->len = (size_t)(at - b->data) + r->value_len;
}

static void write_structs(sonde__encoder *e, const picture *p)
{
    uint32_t i;

    sonde_mp_write_str(&e->payload, SONDE_STR("meta_struct"));
    sonde_mp_write_map(&e->payload, p->structs);
    for (i = 0; i < p->structs; i++)
        write_struct(e, &e->structs[i]);
}

static void write_items(sonde__encoder *e, const picture *p)
{
    if (p->structs > 0)
        write_structs(e, p);
    if (p->links > 0) {
        sonde_mp_write_str(&e->payload, SONDE_STR("span_links"));
        sonde__write_items(&e->payload, p->span, SONDE__TEXT_LINK, p->links);
    }
    if (has_native_events(e, p)) {
        sonde_mp_write_str(&e->payload, SONDE_STR("span_events"));
        sonde__write_items(&e->payload, p->span, SONDE__TEXT_EVENT, p->events);
    }
}

static const sonde__rule *pick_rule(sonde__encoder *e, const picture *p)
{
    sonde__span_facts facts = { .id = p->span->id,
                                .service = p->service,
                                .name = p->name,
                                .resource = p->resource,
                                .tags = e->records,
                                .tags_len = p->tags };

    return sonde__span_rules_pick(e->span_rules, &facts, &e->fix, sonde_mono_ns());
}

static void encode_span(sonde__encoder *e, const sonde__span *span, sonde__decision decision,
                        bool first, size_t chunk_at)
{
    size_t from = e->payload.len - chunk_at;
    picture p = { .span = span, .segment = span->segment, .decision = decision, .first = first };

    p.service = sonde__service_name(span->service);
    gather(e, span, &p);
    settle_tags(e, &p);
    if (__builtin_expect(e->span_rules != NULL, 0) && sonde__decision_priority(decision) <= 0)
        p.kept_by = pick_rule(e, &p);
    p.first |= p.kept_by != NULL; /* it may travel alone */
    if (!make_room(e, &p))
        return;
    if (e->for_stats && (p.countable || e->tags_count || is_top_level(&p)))
        sonde_buf_append(&e->countable, &from, sizeof(from));
    write_names(e, &p);
    write_head(e, &p);
    write_meta(e, &p);
    if (sonde_buf_reserve(&e->payload, e->room)) /* our own tags may have used some */
        write_metrics(e, &p);
    if (__builtin_expect(p.item_bytes > 0 || p.structs > 0, 0))
        write_items(e, &p);
}

/* -- chunks --------------------------------------------------------------------------------------- */

static void know_keys(sonde__encoder *e)
{
    size_t i;

    e->default_keys = key_bit(SONDE_STR(SONDE_TAG_VERSION)) | key_bit(SONDE_STR(SONDE_TAG_ENV));
    e->default_keys |= key_bit(SONDE_STR(SONDE_TAG_PEER_SERVICE));
    if (e->config->peer_defaults)
        e->default_keys |= key_bit(SONDE_STR(SONDE_TAG_SPAN_KIND));
    for (i = 0; i < sizeof(own_keys) / sizeof(own_keys[0]); i++)
        e->default_keys |= key_bit(own_keys[i]);
    e->tags_count = false;
    for (i = 0; i < e->tags_len; i++) {
        e->default_keys |= key_bit(e->tags[i].key);
        e->tags_count |= may_count(e->tags[i].key);
    }
}

/* Takes over the tags every span has now; without memory for them spans go without, until there is. */
static sonde_status take_tags(sonde__encoder *e)
{
    uint32_t version = atomic_load_explicit(&sonde__live_version, memory_order_relaxed);

    e->tags_version = version;
    e->tags = sonde__live_tags(e->config, &e->tags_len);
    know_keys(e);
    sonde_buf_reset(&e->common);
    e->common_count = write_defaults(e, &e->common, NULL);
    if (e->span_rules)
        sonde__rules_know_config(e->span_rules, e->config, e->tags, e->tags_len);
    if (e->common.status == SONDE_OK)
        return SONDE_OK;
    e->tags_version = version - 1;
    sonde_buf_reset(&e->common);
    e->common_count = 0;
    return SONDE_ERR_NOMEM;
}

sonde_status sonde__encode_chunk(sonde__encoder *e, sonde__span *chunk)
{
    sonde__decision decision = sonde__segment_lock_here(chunk->segment);
    uint32_t len = chunk->text.chunk_len;
    size_t from = e->payload.len;
    const sonde__span *root = chunk;
    const sonde__span *span;
    uint8_t *at = sonde_buf_reserve(&e->payload, ARRAY32_BYTES);
    sonde_status status;

    if (e->tags_version != atomic_load_explicit(&sonde__live_version, memory_order_relaxed))
        (void)take_tags(e);
    if (at)
        e->payload.len = (size_t)(sonde__put_array_head(at, len) - e->payload.data);
    for (span = chunk; span && !(span->flags & SONDE__SPAN_LOCAL_ROOT); span = span->next)
        ;
    e->has_root = span != NULL;
    if (span)
        root = span;
    sonde_buf_reset(&e->countable);
    encode_span(e, root, decision, true, from);
    for (span = chunk; span; span = span->next)
        if (span != root)
            encode_span(e, span, decision, false, from);
    status = e->payload.status;
    if (status != SONDE_OK) {
        e->payload.status = SONDE_OK;
        e->payload.len = from;
        return status;
    }
    e->chunks++;
    e->spans += len;
    return SONDE_OK;
}

sonde_status sonde__encoder_open(sonde__encoder *e, const sonde__config *config,
                                 const char *runtime_id, size_t max_bytes)
{
    memset(e, 0, offsetof(sonde__encoder, records));
    e->config = config;
    e->pid = (uint32_t)getpid();
    memcpy(e->runtime_id, runtime_id, sizeof(e->runtime_id) - 1);
    sonde_buf_init(&e->payload, max_bytes);
    sonde_buf_init(&e->common, 1u << 20);
    sonde_buf_init(&e->fix, 1u << 18);
    sonde_buf_init(&e->json, 1u << 20);
    sonde_buf_init(&e->countable, SONDE__SEGMENT_SPANS_MAX * sizeof(size_t));
    sonde__encoder_reset(e);
    if (sonde__span_rules_open(config, &e->span_rules) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    return take_tags(e) == SONDE_OK ? e->payload.status : SONDE_ERR_NOMEM;
}

void sonde__encoder_close(sonde__encoder *e)
{
    sonde_buf_done(&e->payload);
    sonde_buf_done(&e->common);
    sonde_buf_done(&e->fix);
    sonde_buf_done(&e->json);
    sonde_buf_done(&e->countable);
    sonde__span_rules_close(e->span_rules);
    e->span_rules = NULL;
}

void sonde__encoder_reset(sonde__encoder *e)
{
    sonde_buf_reset(&e->payload);
    e->count_mark = sonde_mp_begin_array32(&e->payload);
    e->chunks = 0;
    e->spans = 0;
}

sonde_str sonde__encoder_body(sonde__encoder *e)
{
    sonde_mp_patch32(&e->payload, e->count_mark, (uint32_t)e->chunks);
    return sonde_buf_str(&e->payload);
}
