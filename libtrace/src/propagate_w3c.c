/* propagate_w3c.c - traceparent and tracestate. */
#include <string.h>

#include "base/format.h"
#include "base/hex.h"
#include "base/parse.h"
#include "vocab/headers.h"
#include "vocab/tags.h"

#include "chars.h"
#include "ot_member.h"
#include "propagate.h"
#include "standalone.h"
#include "trace_tags.h"

#define ORIGIN_MAX_BYTES 256
#define SUFFIX_MAX_BYTES 190 /* of a propagating key */

/* -- traceparent ---------------------------------------------------------------------------------- */

static bool read_traceparent(sonde_str s, sonde__remote *out, bool *out_sampled)
{
    unsigned version, flags;

    s = sonde_str_trim(s);
    if (s.len < SONDE__TRACEPARENT_LEN || s.ptr[2] != '-' || s.ptr[35] != '-' || s.ptr[52] != '-')
        return false;
    if (!sonde__hex2(s.ptr, &version) || version == 0xff)
        return false;
    if (s.len > SONDE__TRACEPARENT_LEN && (version == 0 || s.ptr[SONDE__TRACEPARENT_LEN] != '-'))
        return false;
    if (!sonde__hex16(s.ptr + 3, &out->trace_id_high) ||
        !sonde__hex16(s.ptr + 19, &out->trace_id_low) ||
        !sonde__hex16(s.ptr + 36, &out->parent_id) || !sonde__hex2(s.ptr + 53, &flags))
        return false;
    *out_sampled = (flags & 1) != 0;
    return (out->trace_id_high | out->trace_id_low) != 0 && out->parent_id != 0;
}

/* -- tracestate in -------------------------------------------------------------------------------- */

/* Walks the members of all lines. */
typedef struct members {
    const sonde__headers *h;
    uint32_t line;
    sonde_str rest;
} members;

static size_t tracestate_bytes(const sonde__headers *h)
{
    size_t bytes = h->tracestate_count > 0 ? h->tracestate_count - 1 : 0;
    uint32_t i;

    for (i = 0; i < h->tracestate_count; i++)
        bytes += h->tracestate[i].len;
    return bytes;
}

static bool next_member(members *m, sonde_str *out)
{
    for (;;) {
        while (m->rest.len == 0) {
            if (m->line == m->h->tracestate_count)
                return false;
            m->rest = m->h->tracestate[m->line++];
        }
        *out = sonde_str_trim(sonde_str_cut(&m->rest, ','));
        if (out->len > 0)
            return true;
    }
}

/* What we send on must not be able to end the header. */
static bool is_printable(sonde_str member)
{
    return sonde__printable(member);
}

static bool is_ours(sonde_str member)
{
    return sonde_str_starts(member, SONDE_STR("dd="));
}

/* Blanks around a `;` are not allowed; those at the end of the member are no longer there. */
static bool has_blank_at_item(sonde_str items)
{
    size_t i;

    for (i = 0; i < items.len; i++) {
        bool begins = i == 0 || items.ptr[i - 1] == ';';
        bool ends = i + 1 < items.len && items.ptr[i + 1] == ';';

        if ((begins || ends) && (items.ptr[i] == ' ' || items.ptr[i] == '\t'))
            return true;
    }
    return false;
}

/* All of tracestate when that is nothing but our own member, as it nearly always is; else an empty view. */
static sonde_str only_dd(const sonde__headers *h)
{
    sonde_str line = h->tracestate[0];

    if (h->tracestate_count != 1 || line.len > SONDE__DD_MEMBER_MAX_BYTES || !is_ours(line) ||
        !sonde__graphic(line) || memchr(line.ptr, ',', line.len))
        return (sonde_str){ NULL, 0 };
    return line;
}

/* The items of the first dd member; an empty view when it is malformed or too long, or there is none. */
static sonde_str find_dd(const sonde__headers *h)
{
    members m = { h, 0, { NULL, 0 } };
    sonde_str member;

    if (tracestate_bytes(h) > SONDE__TRACESTATE_MAX_BYTES)
        return (sonde_str){ NULL, 0 };
    while (next_member(&m, &member)) {
        if (!is_ours(member))
            continue;
        if (member.len > SONDE__DD_MEMBER_MAX_BYTES || !is_printable(member))
            return (sonde_str){ NULL, 0 };
        member = sonde_str_sub(member, 3, member.len);
        return has_blank_at_item(member) ? (sonde_str){ NULL, 0 } : member;
    }
    return (sonde_str){ NULL, 0 };
}

/* One "key:value" of the dd member; false: no more. */
static bool next_item(sonde_str *rest, sonde_str *out_item, sonde_str *out_key,
                      sonde_str *out_value)
{
    while (rest->len > 0) {
        sonde_str item = sonde_str_trim(sonde_str_cut(rest, ';'));

        *out_item = item;
        *out_value = item;
        *out_key = sonde_str_cut(out_value, ':');
        if (item.len > 0)
            return true;
    }
    return false;
}

static void check_tid(sonde__remote *out, sonde_str value)
{
    uint64_t tid;

    if (value.len != 16 || !sonde__hex16(value.ptr, &tid))
        out->error = "malformed_tid ";
    else if (tid != out->trace_id_high)
        out->error = "inconsistent_tid ";
    out->error_value = value;
}

static bool ends_item(sonde_str s, size_t at)
{
    return at == s.len || (at < s.len && s.ptr[at] == ';');
}

static bool is_digit_at(sonde_str s, size_t at)
{
    return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';
}

/* The first of `s` when it is one that tracers send and looks as it nearly always does: known at a glance, as
 * long as is returned.  0: it is to be looked at closely. */
static size_t read_usual_item(sonde_str s, sonde__remote *out, bool *out_has_s, int *out_s)
{
    uint64_t id;

    if (s.len > 2 && s.ptr[1] == ':') {
        if (s.ptr[0] == 's' && is_digit_at(s, 2) && ends_item(s, 3)) {
            *out_has_s = true;
            *out_s = s.ptr[2] - '0';
            return 3;
        }
        if (s.ptr[0] == 'p' && ends_item(s, 18) && sonde__hex16(s.ptr + 2, &id)) {
            out->last_id = sonde_str_sub(s, 2, 16);
            return 18;
        }
        return 0;
    }
    return s.len > 6 && memcmp(s.ptr, "t.dm:-", 6) == 0 && is_digit_at(s, 6) && ends_item(s, 7) ? 7
                                                                                                : 0;
}

static void read_items(sonde__remote *out, bool *out_has_s, int *out_s)
{
    sonde_str rest = out->tags;
    size_t usual;
    sonde_str item, key, value;

    while ((usual = read_usual_item(rest, out, out_has_s, out_s)) > 0)
        rest = sonde_str_sub(rest, usual + 1, rest.len);
    while (next_item(&rest, &item, &key, &value)) {
        if (sonde_str_eq(key, SONDE_STR("s"))) {
            *out_has_s = sonde__priority_of(value, out_s);
        } else if (sonde_str_eq(key, SONDE_STR("o"))) {
            out->origin = value;
        } else if (sonde_str_eq(key, SONDE_STR("p"))) {
            out->last_id = value;
        } else if (sonde_str_eq(key, SONDE_STR("t.tid"))) {
            check_tid(out, value);
        } else if (!sonde_str_starts(key, SONDE_STR("t."))) {
            out->has_unknown_items = true;
        }
    }
}

/* What the sampled bit and our own priority make of each other. */
static void merge_decision(sonde__remote *out, bool sampled, bool has_s, int s)
{
    out->has_priority = true;
    if (sampled) {
        out->priority = has_s && s > 0 ? s : 1;
        out->dm_is_default = !(has_s && s > 0);
    } else {
        out->priority = has_s && s <= 0 ? s : 0;
        out->dm_is_gone = true;
    }
}

bool sonde__extract_w3c(const sonde__headers *h, sonde__remote *out)
{
    bool sampled, has_s = false;
    sonde_str only;
    int s = 0;

    memset(out, 0, sizeof(*out));
    if (h->traceparent_count != 1 || !read_traceparent(h->traceparent, out, &sampled))
        return false;
    only = h->tracestate_count > 0 ? only_dd(h) : (sonde_str){ NULL, 0 };
    out->is_only_member = only.len > 3;
    out->tags = out->is_only_member ? sonde_str_sub(only, 3, only.len) : find_dd(h);
    read_items(out, &has_s, &s);
    merge_decision(out, sampled, has_s, s);
    return true;
}

/* -- storing -------------------------------------------------------------------------------------- */

static sonde_str untilde(sonde_str s, char *to, size_t cap)
{
    size_t i;

    if (s.len > cap)
        s.len = cap;
    for (i = 0; i < s.len; i++)
        to[i] = s.ptr[i] == '~' ? '=' : s.ptr[i];
    return (sonde_str){ to, s.len };
}

sonde_str sonde__w3c_tag(const sonde__remote *r, sonde_str suffix,
                         char room[SONDE__DD_MEMBER_MAX_BYTES])
{
    sonde_str rest = r->tags;
    sonde_str item, key, value;

    while (next_item(&rest, &item, &key, &value))
        if (sonde_str_starts(key, SONDE_STR("t.")) &&
            sonde_str_eq(sonde_str_sub(key, 2, key.len), suffix))
            return untilde(value, room, SONDE__DD_MEMBER_MAX_BYTES);
    return (sonde_str){ NULL, 0 };
}

static bool store_tag(const sonde__remote *r, sonde_str suffix, sonde_str value, sonde__segment *s,
                      sonde__cell_stack *cells)
{
    char key[sizeof(SONDE__PROPAGATING_PREFIX) + SUFFIX_MAX_BYTES] = SONDE__PROPAGATING_PREFIX;
    char decoded[SONDE__DD_MEMBER_MAX_BYTES];
    bool is_dm = sonde_str_eq(suffix, SONDE_STR("dm"));

    if (suffix.len == 0 || suffix.len > SUFFIX_MAX_BYTES || value.len == 0 ||
        sonde_str_eq(suffix, SONDE_STR("tid")))
        return true;
    if (is_dm && (r->dm_is_gone || r->dm_is_default))
        return true;
    if (sonde_str_eq(suffix, SONDE_STR("ts")))
        sonde__segment_take_source(s, value);
    memcpy(key + sizeof(SONDE__PROPAGATING_PREFIX) - 1, suffix.ptr, suffix.len);
    return sonde__text_add(&s->text, cells, SONDE__TEXT_PROPAGATING,
                           (sonde_str){ key, sizeof(SONDE__PROPAGATING_PREFIX) - 1 + suffix.len },
                           untilde(value, decoded, sizeof(decoded)));
}

bool sonde__store_w3c_tags(const sonde__remote *r, sonde__segment *s, sonde__cell_stack *cells)
{
    sonde_str rest = r->tags;
    sonde_str item, key, value;

    if (r->dm_is_default && !sonde__text_add(&s->text, cells, SONDE__TEXT_PROPAGATING,
                                             SONDE_STR(SONDE_TAG_DM), SONDE_STR("-0")))
        return false;
    while (next_item(&rest, &item, &key, &value)) {
        if (sonde_str_starts(key, SONDE_STR("t.")) &&
            !store_tag(r, sonde_str_sub(key, 2, key.len), value, s, cells))
            return false;
    }
    return true;
}

static bool store_unknown(sonde_str rest, sonde__segment *s, sonde__cell_stack *cells)
{
    sonde_str none = { NULL, 0 };
    sonde_str item, key, value;

    while (next_item(&rest, &item, &key, &value)) {
        bool is_known = sonde_str_starts(key, SONDE_STR("t.")) ||
                        (key.len == 1 && memchr("sop", key.ptr[0], 3) != NULL);

        if (!is_known && !sonde__text_add(&s->text, cells, SONDE__TEXT_DD_UNKNOWN, none, item))
            return false;
    }
    return true;
}

static bool is_ot(sonde_str member)
{
    return sonde_str_starts(member, SONDE_STR("ot="));
}

/* The first one, without what is malformed. */
static bool store_ot(sonde_str member, sonde__segment *s, sonde__cell_stack *cells)
{
    char text[SONDE__TRACESTATE_MEMBER_MAX_BYTES];
    sonde_str clean = { text, sonde__ot_clean(member, true, text) };
    sonde_str key = { "changed", clean.len < member.len ? 7 : 0 };

    return clean.len == 0 || sonde__text_add(&s->text, cells, SONDE__TEXT_OT, key, clean);
}

static bool flush_run(sonde_str *run, sonde__segment *s, sonde__cell_stack *cells)
{
    sonde_str all = *run;

    *run = (sonde_str){ NULL, 0 };
    return all.len == 0 ||
           sonde__text_add(&s->text, cells, SONDE__TEXT_TRACESTATE, (sonde_str){ NULL, 0 }, all);
}

/* Neighbours in one line are stored together, as they stand. */
bool sonde__store_tracestate(const sonde__headers *h, const sonde__remote *w3c, bool decides,
                             sonde__segment *s, sonde__cell_stack *cells)
{
    members m = { h, 0, { NULL, 0 } };
    sonde_str run = { NULL, 0 };
    uint32_t kept = decides ? 2 : 1; /* ours, and an ot */
    uint32_t run_line = 0;
    bool has_ot = false;
    sonde_str member;

    if (tracestate_bytes(h) > SONDE__TRACESTATE_MAX_BYTES)
        return true;
    while (kept < SONDE__TRACESTATE_MEMBERS_MAX && next_member(&m, &member)) {
        if (is_ours(member) || member.len > SONDE__TRACESTATE_MEMBER_MAX_BYTES ||
            !memchr(member.ptr, '=', member.len) || !is_printable(member) ||
            (has_ot && is_ot(member)))
            continue;
        if (is_ot(member)) {
            has_ot = true;
            kept += !decides;
            if (!flush_run(&run, s, cells) || !store_ot(member, s, cells))
                return false;
            continue;
        }
        kept++;
        if (run.len > 0 && m.line == run_line && run.ptr + run.len + 1 == member.ptr) {
            run.len += 1 + member.len;
            continue;
        }
        if (!flush_run(&run, s, cells))
            return false;
        run = member;
        run_line = m.line;
    }
    if (!flush_run(&run, s, cells))
        return false;
    return !w3c->has_unknown_items || store_unknown(w3c->tags, s, cells);
}

/* -- out ------------------------------------------------------------------------------------------ */

/* The header under construction. */
typedef struct line {
    char *text;
    size_t len;
} line;

static void put(line *l, const char *text, size_t len)
{
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

/* Appends `; name : value`, encoded, unless the member would get too long; false then. */
static bool put_item(line *l, sonde_str prefix, sonde_str name, sonde_str value)
{
    size_t need = 1 + prefix.len + name.len + 1 + value.len;
    size_t i;

    if (l->len + need > SONDE__DD_MEMBER_MAX_BYTES)
        return false;
    put(l, ";", 1);
    put(l, prefix.ptr, prefix.len);
    for (i = 0; i < name.len; i++)
        l->text[l->len++] = sonde__char_is(name.ptr[i], SONDE__CHAR_DD_KEY) ? name.ptr[i] : '_';
    put(l, ":", 1);
    for (i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (!sonde__char_is(c, SONDE__CHAR_DD_VALUE))
            c = c == '=' ? '~' : '_';
        l->text[l->len++] = c;
    }
    return true;
}

static bool put_origin(line *l, const sonde__outbound *o)
{
    char value[ORIGIN_MAX_BYTES];
    sonde__record r;

    if (!sonde__segment_text(o->segment, SONDE__TEXT_ORIGIN, &r) || r.value_len > sizeof(value))
        return true;
    sonde__text_copy(&r, value);
    return put_item(l, SONDE_STR(""), SONDE_STR("o"), (sonde_str){ value, r.value_len });
}

/* The received one, as it came. */
static bool put_received_id(line *l, const sonde__outbound *o)
{
    sonde__record r;

    if (!sonde__segment_text(o->segment, SONDE__TEXT_PARENT, &r) || r.rest > 0)
        return true;
    if (l->len + 3 + r.value_len > SONDE__DD_MEMBER_MAX_BYTES)
        return false;
    put(l, ";p:", 3);
    put(l, r.value, r.value_len);
    return true;
}

static bool put_last_id(line *l, const sonde__outbound *o)
{
    if (!o->is_local)
        return put_received_id(l, o);
    if (l->len + 3 + 16 > SONDE__DD_MEMBER_MAX_BYTES)
        return false;
    put(l, ";p:", 3);
    sonde__put_hex16(o->span_id, l->text + l->len);
    l->len += 16;
    return true;
}

static bool put_tags(line *l, const sonde__outbound *o)
{
    const size_t prefix = sizeof(SONDE__PROPAGATING_PREFIX) - 1;
    sonde__trace_tag_walk walk;
    sonde__trace_tag tag;

    sonde__trace_tags_begin_behind_tid(&walk, o->segment, o->decision);
    while (sonde__trace_tags_next(&walk, &tag)) {
        if (!put_item(l, SONDE_STR("t."), sonde_str_sub(tag.key, prefix, tag.key.len), tag.value))
            return false;
    }
    return true;
}

static void put_unknown(line *l, const sonde__outbound *o)
{
    sonde__text_cursor c = sonde__text_read(&o->segment->text, o->segment, SONDE__SEGMENT_BYTES);
    sonde__record r;

    while (sonde__text_next(&c, &r)) {
        if (r.kind != SONDE__TEXT_DD_UNKNOWN ||
            l->len + 1 + r.value_len > SONDE__DD_MEMBER_MAX_BYTES)
            continue;
        put(l, ";", 1);
        sonde__text_copy(&r, l->text + l->len);
        l->len += r.value_len;
    }
}

/* Of a trace that bears nothing but what we put there. */
static void put_own_dm(line *l, const sonde__outbound *o)
{
    if (sonde__decision_priority(o->decision) <= 0)
        return;
    put(l, ";t.dm:-", 7);
    l->len += sonde_format_u64(sonde__decision_mechanism(o->decision), l->text + l->len);
}

static void put_dd(line *l, const sonde__outbound *o)
{
    bool has_text = (atomic_load_explicit(&o->segment->flags, memory_order_relaxed) &
                     SONDE__SEGMENT_HAS_TEXT) != 0;

    put(l, "dd=s:", 5);
    l->len += sonde__put_priority(o->decision, l->text + l->len);
    if (o->is_plain && put_last_id(l, o))
        put_own_dm(l, o);
    else if (put_origin(l, o) && put_last_id(l, o) && put_tags(l, o) && has_text)
        put_unknown(l, o);
}

/* ot is right behind the dd member: one of ours, */
static void put_own_ot(line *l, const sonde__outbound *o)
{
    size_t len = sonde__ot_make(o->segment->trace_id_low, o->decision, l->text + l->len + 1);

    if (len == 0)
        return;
    l->text[l->len] = ',';
    l->len += 1 + len;
}

/* or the received one, unless it is sent on as it came and where it stood. */
static void put_ot(line *l, const sonde__outbound *o)
{
    char room[SONDE__TRACESTATE_MEMBER_MAX_BYTES];
    bool holds = sonde__ot_holds(o->segment->trace_id_low, o->decision);
    sonde__record r;
    size_t len;

    if (!sonde__segment_text(o->segment, SONDE__TEXT_OT, &r)) {
        put_own_ot(l, o);
        return;
    }
    if (holds && r.key_len == 0)
        return;
    sonde__text_copy(&r, room);
    len = sonde__ot_clean((sonde_str){ room, r.value_len }, holds, l->text + l->len + 1);
    if (len == 0)
        return;
    l->text[l->len] = ',';
    l->len += 1 + len;
}

static void put_foreign(line *l, const sonde__outbound *o)
{
    bool holds = sonde__ot_holds(o->segment->trace_id_low, o->decision);
    sonde__text_cursor c = sonde__text_read(&o->segment->text, o->segment, SONDE__SEGMENT_BYTES);
    sonde__record r;

    while (sonde__text_next(&c, &r)) {
        if (r.kind != SONDE__TEXT_TRACESTATE &&
            !(r.kind == SONDE__TEXT_OT && r.key_len == 0 && holds))
            continue;
        put(l, ",", 1);
        sonde__text_copy(&r, l->text + l->len);
        l->len += r.value_len;
    }
}

static void set_traceparent(const sonde__outbound *o, const sonde_writer *w)
{
    char text[SONDE__TRACEPARENT_LEN];

    memcpy(text, "00-", 3);
    sonde__put_hex16(o->segment->trace_id_high, text + 3);
    sonde__put_hex16(o->segment->trace_id_low, text + 19);
    text[35] = '-';
    sonde__put_hex16(o->span_id, text + 36);
    memcpy(text + 52, sonde__decision_priority(o->decision) > 0 ? "-01" : "-00", 3);
    w->set(w->user, SONDE_STR(SONDE_HDR_TRACEPARENT), (sonde_str){ text, sizeof(text) });
}

static void set_tracestate(const line *l, const sonde_writer *w)
{
    w->set(w->user, SONDE_STR(SONDE_HDR_TRACESTATE), (sonde_str){ l->text, l->len });
}

/* What the next service would not read goes without its last members, the oldest. */
static void cut_to_limit(line *l)
{
    size_t len = l->len;

    if (len <= SONDE__TRACESTATE_MAX_BYTES)
        return;
    for (len = SONDE__TRACESTATE_MAX_BYTES; l->text[len] != ','; len--)
        ;
    l->len = len;
}

/* Foreign members are rare and may be long: their room is a frame of its own. */
static __attribute__((noinline)) void set_long_tracestate(const sonde__outbound *o,
                                                          const sonde_writer *w)
{
    char room[SONDE__DD_MEMBER_MAX_BYTES + 1 + SONDE__OT_BYTES + SONDE__TRACESTATE_MAX_BYTES +
              SONDE__TRACESTATE_MEMBERS_MAX];
    line l = { room, 0 };

    put_dd(&l, o);
    put_ot(&l, o);
    put_foreign(&l, o);
    cut_to_limit(&l);
    set_tracestate(&l, w);
}

static __attribute__((noinline)) void set_short_tracestate(const sonde__outbound *o,
                                                           const sonde_writer *w)
{
    char room[SONDE__DD_MEMBER_MAX_BYTES + 1 + SONDE__OT_BYTES];
    line l = { room, 0 };

    put_dd(&l, o);
    put_own_ot(&l, o);
    set_tracestate(&l, w);
}

static bool has_foreign(const sonde__segment *s)
{
    sonde__record r;

    return (atomic_load_explicit(&s->flags, memory_order_relaxed) & SONDE__SEGMENT_HAS_TEXT) != 0 &&
           (sonde__segment_text(s, SONDE__TEXT_TRACESTATE, &r) ||
            sonde__segment_text(s, SONDE__TEXT_OT, &r));
}

void sonde__inject_w3c(const sonde__outbound *o, const sonde_writer *w)
{
    set_traceparent(o, w);
    if (has_foreign(o->segment))
        set_long_tracestate(o, w);
    else
        set_short_tracestate(o, w);
}
