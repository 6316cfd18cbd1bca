/* propagate_datadog.c - the x-datadog-* headers. */
#include <string.h>

#include "base/format.h"
#include "base/parse.h"
#include "vocab/headers.h"
#include "vocab/tags.h"

#include "chars.h"
#include "propagate.h"
#include "standalone.h"
#include "trace_tags.h"

#define TAGS_MAX_BYTES    512
#define TAG_KEY_MAX_BYTES 200
#define ORIGIN_MAX_BYTES  256

static bool is_key(sonde_str s)
{
    return s.len > 0 && sonde__all_are(s, SONDE__CHAR_TAG_KEY);
}

static bool is_value(sonde_str s)
{
    return s.len > 0 && sonde__all_are(s, SONDE__CHAR_TAG_VALUE);
}

static void split_pair(sonde_str *rest, sonde_str *out_key, sonde_str *out_value)
{
    *out_value = sonde_str_cut(rest, ',');
    *out_key = sonde_str_cut(out_value, '=');
}

/* Decimal; a negative number means the same 64 bits. */
static bool read_id(sonde_str s, uint64_t *out)
{
    int64_t negative;

    s = sonde_str_trim(s);
    if (s.len > 0 && s.ptr[0] == '-') {
        if (sonde_parse_i64(s, &negative) != SONDE_OK)
            return false;
        *out = (uint64_t)negative;
        return true;
    }
    return sonde__decimal(s, out);
}

static bool read_parent(const sonde__headers *h, sonde__remote *out)
{
    if (h->parent_id.len > 0 && !read_id(h->parent_id, &out->parent_id))
        return false;
    return out->parent_id != 0 || h->origin.len > 0; /* synthetics starts traces with parent 0 */
}

static bool read_priority(const sonde__headers *h, sonde__remote *out)
{
    sonde_str s = sonde_str_trim(h->priority);

    if (s.len == 0)
        return true;
    out->has_priority = sonde__priority_of(s, &out->priority);
    return out->has_priority;
}

static bool is_dm(sonde_str v)
{
    size_t i;

    if (v.len < 2 || v.len > 3 || v.ptr[0] != '-')
        return false;
    for (i = 1; i < v.len; i++)
        if (v.ptr[i] < '0' || v.ptr[i] > '9')
            return false;
    return true;
}

static void read_tid(sonde__remote *out, sonde_str value)
{
    if (value.len == 16 && sonde__hex16(value.ptr, &out->trace_id_high))
        return;
    out->error = "malformed_tid ";
    out->error_value = value;
}

/* Like split_pair(), checking what it passes over; false: malformed. */
static bool read_pair(sonde_str *rest, sonde_str *out_key, sonde_str *out_value)
{
    const char *at = rest->ptr;
    size_t key = 0;
    size_t end;

    while (key < rest->len && sonde__char_is(at[key], SONDE__CHAR_TAG_KEY))
        key++;
    if (key == 0 || key == rest->len || at[key] != '=')
        return false;
    for (end = key + 1; end < rest->len && sonde__char_is(at[end], SONDE__CHAR_TAG_VALUE);)
        end++;
    if (end == key + 1 || (end < rest->len && at[end] != ','))
        return false;
    *out_key = (sonde_str){ at, key };
    *out_value = (sonde_str){ at + key + 1, end - key - 1 };
    *rest = sonde_str_sub(*rest, end + 1, rest->len);
    return true;
}

static bool ends_pair(sonde_str s, size_t at)
{
    return at == s.len || (at < s.len && s.ptr[at] == ',');
}

static bool is_digit_at(sonde_str s, size_t at)
{
    return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';
}

/* What nearly every request brings, and nearly always nothing else, is known at a glance.  Each returns how
 * long the pair is; 0: what is in front is something else, or malformed. */
static size_t read_tid_pair(sonde_str s, sonde__remote *out)
{
    static const char head[] = SONDE_TAG_TID "=";
    const size_t len = sizeof(head) - 1;

    if (s.len < len + 16 || memcmp(s.ptr, head, len) != 0 || !ends_pair(s, len + 16))
        return 0;
    return sonde__hex16(s.ptr + len, &out->trace_id_high) ? len + 16 : 0;
}

static size_t read_dm_pair(sonde_str s, sonde__remote *out)
{
    static const char head[] = SONDE_TAG_DM "=-";
    const size_t len = sizeof(head) - 1;
    size_t end = len + 1;

    if (out->dm.len > 0 || s.len < end || memcmp(s.ptr, head, len) != 0 || !is_digit_at(s, len))
        return 0;
    end += is_digit_at(s, end);
    if (!ends_pair(s, end))
        return 0;
    out->dm = sonde_str_sub(s, len - 1, end - len + 1);
    return end;
}

static void read_tags(const sonde__headers *h, uint32_t max_bytes, sonde__remote *out)
{
    sonde_str rest = h->tags;
    sonde_str key, value;
    size_t known;

    if (rest.len == 0)
        return;
    if (rest.len > max_bytes) {
        out->error = max_bytes == 0 ? "disabled" : "extract_max_size";
        return;
    }
    while (rest.len > 0) {
        if ((known = read_tid_pair(rest, out)) > 0 || (known = read_dm_pair(rest, out)) > 0) {
            rest = sonde_str_sub(rest, known + 1, rest.len);
            continue;
        }
        out->has_other_tags = true;
        if (!read_pair(&rest, &key, &value)) {
            out->trace_id_high = 0;
            out->error = "decoding_error";
            return;
        }
        if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_TID)))
            read_tid(out, value);
        else if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_DM)) && !is_dm(value))
            out->error = "decoding_error"; /* and it is not stored */
    }
    out->tags = h->tags;
}

bool sonde__extract_datadog(const sonde__headers *h, uint32_t tags_max_bytes, sonde__remote *out)
{
    memset(out, 0, sizeof(*out));
    if (!read_id(h->trace_id, &out->trace_id_low) || out->trace_id_low == 0)
        return false;
    if (!read_parent(h, out) || !read_priority(h, out))
        return false;
    out->origin = sonde_str_sub(h->origin, 0, ORIGIN_MAX_BYTES);
    read_tags(h, tags_max_bytes, out);
    return true;
}

sonde_str sonde__datadog_tag(const sonde__remote *r, sonde_str suffix)
{
    const size_t prefix = sizeof(SONDE__PROPAGATING_PREFIX) - 1;
    sonde_str rest = r->tags;
    sonde_str key, value;

    while (rest.len > 0) {
        split_pair(&rest, &key, &value);
        if (sonde_str_starts(key, SONDE_STR(SONDE__PROPAGATING_PREFIX)) &&
            sonde_str_eq(sonde_str_sub(key, prefix, key.len), suffix))
            return value;
    }
    return (sonde_str){ NULL, 0 };
}

bool sonde__store_datadog_tags(const sonde__remote *r, sonde__segment *s, sonde__cell_stack *cells)
{
    sonde_str rest = r->tags;
    sonde_str key, value;

    if (rest.len > 0 && !r->has_other_tags)
        return r->dm.len == 0 || sonde__text_add(&s->text, cells, SONDE__TEXT_PROPAGATING,
                                                 SONDE_STR(SONDE_TAG_DM), r->dm);
    while (rest.len > 0) { /* well formed: they were read before */
        bool is_kept;

        split_pair(&rest, &key, &value);
        is_kept = sonde_str_starts(key, SONDE_STR(SONDE__PROPAGATING_PREFIX)) &&
                  key.len <= TAG_KEY_MAX_BYTES && !sonde_str_eq(key, SONDE_STR(SONDE_TAG_TID)) &&
                  (!sonde_str_eq(key, SONDE_STR(SONDE_TAG_DM)) || is_dm(value));

        if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_TRACE_SOURCE)))
            sonde__segment_take_source(s, value);
        if (is_kept && !sonde__text_add(&s->text, cells, SONDE__TEXT_PROPAGATING, key, value))
            return false;
    }
    return true;
}

/* -- out ------------------------------------------------------------------------------------------ */

static void set_u64(const sonde_writer *w, sonde_str name, uint64_t v)
{
    char digits[SONDE_U64_MAX_LEN];

    w->set(w->user, name, (sonde_str){ digits, sonde_format_u64(v, digits) });
}

static void set_origin(const sonde__outbound *o, const sonde_writer *w)
{
    char value[ORIGIN_MAX_BYTES];
    sonde__record r;
    size_t i;

    if (!sonde__segment_text(o->segment, SONDE__TEXT_ORIGIN, &r) || r.value_len > sizeof(value))
        return;
    sonde__text_copy(&r, value);
    for (i = 0; i < r.value_len; i++)
        if (!sonde__char_is(value[i], SONDE__CHAR_PRINTABLE))
            value[i] = '_';
    w->set(w->user, SONDE_STR(SONDE_HDR_DD_ORIGIN), (sonde_str){ value, r.value_len });
}

static void report(const sonde__outbound *o, uint32_t flag)
{
    atomic_fetch_or_explicit(&o->segment->flags, flag, memory_order_relaxed);
}

/* Of a trace that bears nothing but what we put there.  False: it bears more, or there is not the room. */
static bool set_plain_tags(const sonde__outbound *o, uint32_t max_bytes, const sonde_writer *w)
{
    static const char tid[] = SONDE_TAG_TID "=";
    static const char dm[] = "," SONDE_TAG_DM "=-";
    char line[sizeof(tid) + 16 + sizeof(dm) + SONDE_U64_MAX_LEN];
    size_t len = sizeof(tid) - 1 + 16;

    if (max_bytes < sizeof(line) || o->segment->trace_id_high == 0 || !o->is_plain)
        return false;
    memcpy(line, tid, sizeof(tid) - 1);
    sonde__put_hex16(o->segment->trace_id_high, line + sizeof(tid) - 1);
    if (sonde__decision_priority(o->decision) > 0) {
        memcpy(line + len, dm, sizeof(dm) - 1);
        len += sizeof(dm) - 1;
        len += sonde_format_u64(sonde__decision_mechanism(o->decision), line + len);
    }
    w->set(w->user, SONDE_STR(SONDE_HDR_DD_TAGS), (sonde_str){ line, len });
    return true;
}

static void set_tags(const sonde__outbound *o, uint32_t max_bytes, const sonde_writer *w)
{
    char line[TAGS_MAX_BYTES];
    sonde__trace_tag_walk walk;
    sonde__trace_tag tag;
    size_t len = 0;

    sonde__trace_tags_begin(&walk, o->segment, o->decision);
    while (sonde__trace_tags_next(&walk, &tag)) {
        size_t need = tag.key.len + tag.value.len + (len > 0 ? 2 : 1);

        if (tag.is_received && (!is_key(tag.key) || !is_value(tag.value))) {
            report(o, SONDE__SEGMENT_ENCODING_ERROR);
            continue;
        }
        if (len + need > max_bytes) {
            report(o, max_bytes ? SONDE__SEGMENT_INJECT_MAX_SIZE : SONDE__SEGMENT_TAGS_DISABLED);
            return;
        }
        if (len > 0)
            line[len++] = ',';
        sonde__copy_short((uint8_t *)line + len, tag.key.ptr, tag.key.len);
        len += tag.key.len;
        line[len++] = '=';
        sonde__copy_short((uint8_t *)line + len, tag.value.ptr, tag.value.len);
        len += tag.value.len;
    }
    if (len > 0)
        w->set(w->user, SONDE_STR(SONDE_HDR_DD_TAGS), (sonde_str){ line, len });
}

void sonde__inject_datadog(const sonde__outbound *o, uint32_t tags_max_bytes, const sonde_writer *w)
{
    char digits[SONDE_I64_MAX_LEN];

    set_u64(w, SONDE_STR(SONDE_HDR_DD_TRACE_ID), o->segment->trace_id_low);
    set_u64(w, SONDE_STR(SONDE_HDR_DD_PARENT_ID), o->span_id);
    w->set(w->user, SONDE_STR(SONDE_HDR_DD_PRIORITY),
           (sonde_str){ digits, sonde__put_priority(o->decision, digits) });
    set_origin(o, w);
    if (!set_plain_tags(o, tags_max_bytes, w))
        set_tags(o, tags_max_bytes, w);
}
