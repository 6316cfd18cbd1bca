/* propagate_baggage.c - the baggage header, ot-baggage-* of older tracers, and tags made from baggage. */
#include <string.h>

#include "base/log.h"
#include "vocab/headers.h"

#include "sonde/span.h"

#include "chars.h"
#include "propagate.h"
#include "tracer.h"

#define TAG_PREFIX "baggage."

/* -- in ------------------------------------------------------------------------------------------- */

/* "key=value;property": without the property.  False: malformed. */
static bool split(sonde_str member, sonde_str *out_key, sonde_str *out_value)
{
    *out_value = sonde_str_cut(&member, ';');
    *out_key = sonde_str_trim(sonde_str_cut(out_value, '='));
    *out_value = sonde_str_trim(*out_value);
    return out_key->len > 0 && out_value->len > 0;
}

static bool is_well_formed(const sonde__headers *h)
{
    sonde_str key, value;
    uint32_t i;

    for (i = 0; i < h->baggage_count; i++) {
        sonde_str rest = h->baggage[i];

        while (rest.len > 0)
            if (!split(sonde_str_cut(&rest, ','), &key, &value))
                return false;
    }
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX becomes a byte; a % without two digits stays.  `to` has room for `cap` bytes; what is longer is too
 * long anyway, and comes back with its length and no text. */
static sonde_str decode(sonde_str s, char *to, size_t cap)
{
    size_t len = 0;
    size_t i;

    if (!memchr(s.ptr, '%', s.len))
        return s;
    for (i = 0; i < s.len && len < cap; i++) {
        bool escaped = s.ptr[i] == '%' && i + 2 < s.len && digit(s.ptr[i + 1]) >= 0 &&
                       digit(s.ptr[i + 2]) >= 0;

        if (escaped) {
            to[len++] = (char)(digit(s.ptr[i + 1]) << 4 | digit(s.ptr[i + 2]));
            i += 2;
        } else {
            to[len++] = s.ptr[i];
        }
    }
    return i < s.len ? (sonde_str){ NULL, 0 } : (sonde_str){ to, len };
}

static bool put_decoded(sonde__baggage_ref *b, sonde__area *a, sonde_str key, sonde_str value)
{
    char key_room[SONDE__BAGGAGE_KEY_MAX];
    char value_room[SONDE__BAGGAGE_VALUE_MAX];

    key = decode(key, key_room, sizeof(key_room));
    value = decode(value, value_room, sizeof(value_room));
    return key.len > 0 && value.len > 0 && sonde__baggage_change(b, &a->cells, key, value);
}

static void drop(sonde__area *a)
{
    sonde__count_own(&a->counts, SONDE__BAGGAGE_DROPPED, 1);
}

static void note_cut(bool items, bool bytes)
{
    if (items)
        sonde__count(SONDE__BAGGAGE_CUT_ITEMS, 1);
    else if (bytes)
        sonde__count(SONDE__BAGGAGE_CUT_BYTES, 1);
}

/* What comes of the header's members until the first that would pass a limit. */
static void take_members(const sonde__headers *h, const sonde__config *c, sonde__area *a,
                         sonde__baggage_ref *b)
{
    sonde_str key, value;
    uint64_t bytes = 0;
    uint32_t items = 0;
    uint32_t i;

    for (i = 0; i < h->baggage_count; i++) {
        sonde_str rest = h->baggage[i];

        while (rest.len > 0) {
            (void)split(sonde_str_cut(&rest, ','), &key, &value);
            bytes += key.len + 1 + value.len + (items > 0);
            items++;
            if (items > c->baggage_max_items || bytes > c->baggage_max_bytes ||
                !put_decoded(b, a, key, value))
                drop(a);
        }
    }
    note_cut(items > c->baggage_max_items, bytes > c->baggage_max_bytes);
}

static void take_older(const sonde__headers *h, sonde__area *a, sonde__baggage_ref *b)
{
    uint32_t i;

    for (i = 0; i < h->ot_baggage_count; i++)
        if (h->ot_baggage[i].value.len > 0 &&
            !sonde__baggage_change(b, &a->cells, h->ot_baggage[i].key, h->ot_baggage[i].value))
            drop(a);
}

sonde__baggage_ref sonde__extract_baggage(const sonde__headers *h, const sonde__config *c,
                                          sonde__area *a)
{
    sonde__baggage_ref b = 0;

    if (h->ot_baggage_count > 0 && sonde__styles_have(&c->extract, SONDE__STYLE_DATADOG))
        take_older(h, a, &b);
    if (h->baggage_count == 0 || !sonde__styles_have(&c->extract, SONDE__STYLE_BAGGAGE))
        return b;
    if (is_well_formed(h)) {
        take_members(h, c, a, &b);
        sonde__count_own(&a->counts, SONDE__CONTEXTS_EXTRACTED + SONDE__STYLE_BAGGAGE, 1);
    } else {
        drop(a);
        sonde__count_own(&a->counts, SONDE__CONTEXTS_MALFORMED + SONDE__STYLE_BAGGAGE, 1);
    }
    return b;
}

/* -- out ------------------------------------------------------------------------------------------ */

typedef struct line {
    size_t len;
    size_t max;
    char text[SONDE__BAGGAGE_HEADER_MAX];
} line;

/* Encodes in place the `raw` bytes behind the line's end, and makes them part of it. */
static bool encode(line *l, size_t raw, unsigned allowed)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = l->text + l->len;
    size_t len = raw;
    size_t i, to;

    for (i = 0; i < raw; i++)
        len += sonde__char_is(at[i], allowed) ? 0 : 2;
    if (l->len + len > l->max)
        return false;
    for (i = raw, to = len; i-- > 0;) {
        unsigned char c = (unsigned char)at[i];

        if (sonde__char_is((char)c, allowed)) {
            at[--to] = (char)c;
            continue;
        }
        at[--to] = digits[c & 15];
        at[--to] = digits[c >> 4];
        at[--to] = '%';
    }
    l->len += len;
    return true;
}

static bool put_item(line *l, const sonde__record *r)
{
    size_t separators = l->len > 0 ? 2 : 1;

    if (l->len + separators + r->key_len + r->value_len > l->max) /* encoding only adds to it */
        return false;
    if (l->len > 0)
        l->text[l->len++] = ',';
    memcpy(l->text + l->len, r->key, r->key_len);
    if (!encode(l, r->key_len, SONDE__CHAR_BAGGAGE_KEY) || l->len + 1 + r->value_len > l->max)
        return false;
    l->text[l->len++] = '=';
    sonde__text_copy(r, l->text + l->len);
    return encode(l, r->value_len, SONDE__CHAR_BAGGAGE_VALUE);
}

/* Out of line: its frame is large, and most traces have no baggage. */
static __attribute__((noinline)) void set_baggage(sonde__baggage_ref ref, const sonde__config *c,
                                                  const sonde_writer *w)
{
    line l;
    sonde__text_cursor cursor = sonde__baggage_read(ref);
    uint32_t items = 0;
    sonde__record r;

    l.len = 0;
    l.max = c->baggage_max_bytes;
    while (items < c->baggage_max_items && sonde__text_next(&cursor, &r)) {
        size_t before = l.len;

        if (!put_item(&l, &r)) {
            l.len = before;
            break;
        }
        items++;
    }
    if (items < sonde__baggage_at(ref)->items)
        sonde__count(SONDE__BAGGAGE_DROPPED, sonde__baggage_at(ref)->items - items);
    note_cut(items == c->baggage_max_items && items < sonde__baggage_at(ref)->items,
             items < sonde__baggage_at(ref)->items);
    if (items < sonde__baggage_at(ref)->items)
        SONDE_LOG(SONDE_LOG_WARN, "baggage does not fit its header: items=%u sent=%u",
                  (unsigned)sonde__baggage_at(ref)->items, (unsigned)items);
    if (l.len > 0)
        sonde__count(SONDE__CONTEXTS_INJECTED + SONDE__STYLE_BAGGAGE, 1);
    if (l.len > 0)
        w->set(w->user, SONDE_STR(SONDE_HDR_BAGGAGE), (sonde_str){ l.text, l.len });
}

void sonde__inject_baggage(const sonde__where *at, const sonde__config *c, const sonde_writer *w)
{
    if (at->baggage != 0)
        set_baggage(at->baggage, c, w);
}

/* -- tags ----------------------------------------------------------------------------------------- */

static bool is_listed(sonde_str list, sonde_str key)
{
    if (sonde_str_eq(list, SONDE_STR("*")))
        return true;
    while (list.len > 0)
        if (sonde_str_eq(sonde_str_trim(sonde_str_cut(&list, ',')), key))
            return true;
    return false;
}

static void tag_item(void *user, sonde_str key, sonde_str value)
{
    char name[sizeof(TAG_PREFIX) + SONDE__BAGGAGE_KEY_MAX] = TAG_PREFIX;

    if (!is_listed(sonde__settings()->baggage_tag_keys, key))
        return;
    memcpy(name + sizeof(TAG_PREFIX) - 1, key.ptr, key.len);
    sonde_span_set_str_n((sonde_span *)user, (sonde_str){ name, sizeof(TAG_PREFIX) - 1 + key.len },
                         value);
}

void sonde__baggage_tag(sonde__span *span)
{
    sonde__baggage_each(span->baggage, tag_item, sonde__cell_handle(span));
}
