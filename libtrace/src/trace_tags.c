/* trace_tags.c - the walk over the propagating tags, and their place on spans. */
#include "trace_tags.h"

#include "base/format.h"
#include "codec/msgpack_write.h"
#include "vocab/tags.h"

#include "chars.h"
#include "org_marker.h"
#include "sampler.h"
#include "standalone.h"
#include "user.h"

#define TAG_KSR  "_dd.p.ksr"
#define TAG_USER "_dd.p.usr.id"

enum {
    STEP_TID,
    STEP_RECEIVED,
    STEP_DM,
    STEP_KSR,
    STEP_SOURCE,
    STEP_USER,
    STEP_ORG_MARKER,
    STEP_END
};

static bool has_text(const sonde__segment *s)
{
    return (atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_HAS_TEXT) != 0;
}

bool sonde__segment_find_text(const sonde__segment *s, unsigned kind, sonde__record *out)
{
    sonde__text_cursor c = sonde__text_read(&s->text, s, SONDE__SEGMENT_BYTES);

    while (sonde__text_next(&c, out))
        if (out->kind == kind)
            return true;
    return false;
}

void sonde__trace_tags_begin(sonde__trace_tag_walk *w, const sonde__segment *s, sonde__decision d)
{
    w->segment = s;
    w->decision = d;
    w->cursor = sonde__text_read(&s->text, s, SONDE__SEGMENT_BYTES);
    w->org_marker = sonde__org_marker();
    w->step = STEP_TID;
    w->source = sonde__segment_source(s);
    w->has_more = w->org_marker.len > 0 || w->source != 0 || sonde__segment_has_user(s);
    w->has_org_marker = w->has_ksr = w->has_source = w->has_user = false;
}

/* A received dm holds as long as the received decision does. */
static bool passes(const sonde__trace_tag_walk *w, const sonde__record *r)
{
    if (r->kind != SONDE__TEXT_PROPAGATING)
        return false;
    if (!sonde_str_eq(sonde__record_key(r), SONDE_STR(SONDE_TAG_DM)))
        return true;
    return (w->decision & SONDE__DECISION_INHERITED) && sonde__decision_priority(w->decision) > 0;
}

static bool make_source(const sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    static const char digits[] = "0123456789abcdef";

    if (w->source == 0)
        return false;
    out->room[0] = digits[w->source >> 4];
    out->room[1] = digits[w->source & 15];
    out->key = SONDE_STR(SONDE_TAG_TRACE_SOURCE);
    out->value = (sonde_str){ out->room, 2 };
    return true;
}

static bool take_user(const sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    sonde_str id = sonde__segment_user(w->segment);

    if (id.len == 0)
        return false;
    out->key = SONDE_STR(TAG_USER);
    out->value = id;
    return true;
}

/* Some received tags are ours to say, in their place. */
static bool put_own_value(sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    w->has_ksr |= sonde_str_eq(out->key, SONDE_STR(TAG_KSR));
    if (sonde_str_eq(out->key, SONDE_STR(SONDE_TAG_TRACE_SOURCE)))
        return w->has_source = make_source(w, out);
    if (sonde_str_eq(out->key, SONDE_STR(TAG_USER)))
        return w->has_user = take_user(w, out);
    if (w->org_marker.len == 0 || !sonde_str_eq(out->key, SONDE_STR(SONDE_TAG_ORG_MARKER)))
        return false;
    out->value = w->org_marker;
    return w->has_org_marker = true;
}

static bool next_received(sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    sonde__record r;

    if (!has_text(w->segment))
        return false;
    while (sonde__text_next(&w->cursor, &r)) {
        if (!passes(w, &r))
            continue;
        out->is_received = true;
        out->key = sonde__record_key(&r);
        if (put_own_value(w, out))
            return true;
        out->value = sonde__record_head(&r);
        if (r.rest > 0) {
            sonde__text_copy(&r, out->copied); /* stored values are at most that long */
            out->value = (sonde_str){ out->copied, r.value_len };
        }
        return true;
    }
    return false;
}

static bool make_tid(const sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    if (w->segment->trace_id_high == 0)
        return false;
    sonde__put_hex16(w->segment->trace_id_high, out->room);
    out->key = SONDE_STR(SONDE_TAG_TID);
    out->value = (sonde_str){ out->room, 16 };
    return true;
}

static bool make_dm(const sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    unsigned mechanism = sonde__decision_mechanism(w->decision);

    if (!sonde__decision_is_ours(w->decision) || sonde__decision_priority(w->decision) <= 0)
        return false;
    out->room[0] = '-';
    out->key = SONDE_STR(SONDE_TAG_DM);
    out->value = (sonde_str){ out->room, 1 + sonde_format_u64(mechanism, out->room + 1) };
    return true;
}

static bool make_ksr(const sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    if (w->has_ksr || !sonde__decision_by_rate(w->decision) ||
        sonde__decision_mechanism(w->decision) == SONDE__BY_DEFAULT)
        return false;
    out->key = SONDE_STR(TAG_KSR);
    out->value =
        (sonde_str){ out->room, sonde__format_rate(sonde__decision_rate(w->decision), out->room) };
    return true;
}

static bool take_org_marker(const sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    if (w->org_marker.len == 0 || w->has_org_marker)
        return false;
    out->key = SONDE_STR(SONDE_TAG_ORG_MARKER);
    out->value = w->org_marker;
    return true;
}

void sonde__trace_tags_begin_behind_tid(sonde__trace_tag_walk *w, const sonde__segment *s,
                                        sonde__decision d)
{
    sonde__trace_tags_begin(w, s, d);
    w->step = STEP_RECEIVED;
}

bool sonde__trace_tags_are_plain(const sonde__segment *s, sonde__decision d)
{
    bool has_ksr = sonde__decision_by_rate(d) && sonde__decision_mechanism(d) != SONDE__BY_DEFAULT;

    return !has_text(s) && sonde__decision_is_ours(d) && !has_ksr &&
           sonde__segment_source(s) == 0 && !sonde__segment_has_user(s) &&
           sonde__org_marker().len == 0;
}

bool sonde__trace_tags_next(sonde__trace_tag_walk *w, sonde__trace_tag *out)
{
    out->is_received = false;
    switch (w->step) {
    case STEP_TID:
        w->step = STEP_RECEIVED;
        if (make_tid(w, out))
            return true;
        /* fall through */
    case STEP_RECEIVED:
        if (next_received(w, out))
            return true;
        w->step = STEP_DM;
        /* fall through */
    case STEP_DM:
        w->step = STEP_KSR;
        if (make_dm(w, out))
            return true;
        /* fall through */
    case STEP_KSR:
        w->step = w->has_more ? STEP_SOURCE : STEP_END;
        if (make_ksr(w, out))
            return true;
        if (!w->has_more)
            return false;
        /* fall through */
    case STEP_SOURCE:
        w->step = STEP_USER;
        if (!w->has_source && make_source(w, out))
            return true;
        /* fall through */
    case STEP_USER:
        w->step = STEP_ORG_MARKER;
        if (!w->has_user && take_user(w, out))
            return true;
        /* fall through */
    case STEP_ORG_MARKER:
        w->step = STEP_END;
        return take_org_marker(w, out);
    default:
        return false;
    }
}

/* -- on spans ------------------------------------------------------------------------------------- */

static uint32_t write_record(sonde_buf *b, const sonde__record *r, sonde_str key)
{
    char value[SONDE__TRACE_TAG_VALUE_MAX];

    if (r->value_len > sizeof(value))
        return 0;
    sonde__text_copy(r, value);
    sonde_mp_write_str(b, key);
    sonde_mp_write_str(b, (sonde_str){ value, r->value_len });
    return 1;
}

static const char *outbound_error(const sonde__segment *s)
{
    uint32_t flags = atomic_load_explicit(&s->flags, memory_order_relaxed);

    if (flags & SONDE__SEGMENT_INJECT_MAX_SIZE)
        return "inject_max_size";
    if (flags & SONDE__SEGMENT_ENCODING_ERROR)
        return "encoding_error";
    return flags & SONDE__SEGMENT_TAGS_DISABLED ? "disabled" : NULL;
}

static uint32_t write_outbound_error(sonde_buf *b, const sonde__segment *s)
{
    const char *error = outbound_error(s);

    if (!error)
        return 0;
    sonde_mp_write_str(b, SONDE_STR(SONDE_TAG_PROPAGATION_ERROR));
    sonde_mp_write_str(b, sonde_str_from(error));
    return 1;
}

/* What came with the headers; *out_error tells whether an error was among it. */
static uint32_t write_received(sonde_buf *b, const sonde__segment *s, bool first, bool local_root,
                               bool *out_error)
{
    sonde__text_cursor c = sonde__text_read(&s->text, s, SONDE__SEGMENT_BYTES);
    sonde__record r;
    uint32_t n = 0;

    while (sonde__text_next(&c, &r)) {
        if (r.kind == SONDE__TEXT_ORIGIN)
            n += write_record(b, &r, SONDE_STR(SONDE_TAG_ORIGIN));
        else if (r.kind == SONDE__TEXT_PARENT && local_root)
            n += write_record(b, &r, SONDE_STR(SONDE_TAG_PARENT_ID));
        else if (r.kind == SONDE__TEXT_ERROR && first)
            n += *out_error = write_record(b, &r, SONDE_STR(SONDE_TAG_PROPAGATION_ERROR));
    }
    return n;
}

uint32_t sonde__write_trace_meta(sonde_buf *b, const sonde__segment *s, sonde__decision d,
                                 bool first, bool local_root)
{
    sonde__trace_tag_walk walk;
    sonde__trace_tag tag;
    bool error = false;
    uint32_t n = 0;

    if (has_text(s))
        n += write_received(b, s, first, local_root, &error);
    if (!first)
        return n;
    sonde__trace_tags_begin(&walk, s, d);
    while (sonde__trace_tags_next(&walk, &tag)) {
        sonde_mp_write_str(b, tag.key);
        sonde_mp_write_str(b, tag.value);
        n++;
    }
    return error ? n : n + write_outbound_error(b, s);
}
