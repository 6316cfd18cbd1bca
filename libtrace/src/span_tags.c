/* span_tags.c - typed tags, special keys, errors.
 *
 * A tag is appended to the span's text; of several records with one key the last counts, which the
 * encoder sorts out on the flusher's thread.
 *
 * Source: docs/spec/spans.md, "Tags". */
#include <math.h>
#include <string.h>

#include "base/format.h"
#include "base/str.h"
#include "vocab/tags.h"

#include "sampler.h"
#include "span.h"
#include "watch.h"

#define KEY_MAX_BYTES   200
#define VALUE_MAX_BYTES 25000
#define TAGS_MAX        1024
#define INT_MAX_EXACT   (INT64_C(1) << 53) /* integers a double holds are below */

typedef struct target {
    sonde__span *span;
    sonde__area *area;
} target;

static inline SONDE__HOT bool find(sonde_span *handle, sonde_str key, target *t)
{
    t->span = sonde__span_open(handle);
    t->area = t->span && key.ptr && key.len > 0 ? sonde__area_get() : NULL;
    return t->area != NULL;
}

static inline SONDE__HOT sonde_str cut(const target *t, sonde_str text, size_t max)
{
    if (__builtin_expect(text.len > max, 0)) {
        sonde__count_own(&t->area->counts, SONDE__TAGS_TRUNCATED, 1);
        text.len = sonde_utf8_cut(text, max);
    }
    return text;
}

static __attribute__((noinline)) void tell(target t, unsigned kind, sonde_str key, sonde_str value)
{
    if (t.span->flags & SONDE__SPAN_WATCHED)
        sonde__root_changes(t.area, t.span, kind, key, value);
    sonde__blackbox_decides(t.span);
    if (sonde_str_eq(key, SONDE_STR(SONDE_TAG_MEASURED)))
        sonde__blackbox_marks(t.span, SONDE_BLACKBOX_MEASURED, kind == SONDE__TEXT_NUMBER);
}

static inline SONDE__HOT void add(const target *t, unsigned kind, sonde_str key, sonde_str value)
{
    sonde__text *text = &t->span->text;

    if (__builtin_expect(t->span->flags & (SONDE__SPAN_WATCHED | SONDE__SPAN_RECORDED), 0))
        tell(*t, kind, key, value);
    if (__builtin_expect(text->count < TAGS_MAX && sonde__text_add(text, &t->area->cells, kind,
                                                                   cut(t, key, KEY_MAX_BYTES),
                                                                   cut(t, value, VALUE_MAX_BYTES)),
                         1))
        text->count++;
    else
        sonde__count_own(&t->area->counts, SONDE__TAGS_DROPPED, 1);
}

static __attribute__((noinline)) void add_seldom(target t, unsigned kind, sonde_str key,
                                                 sonde_str value)
{
    add(&t, kind, key, value);
}

static void add_number(const target *t, sonde_str key, double value)
{
    if (isfinite(value))
        add(t, SONDE__TEXT_NUMBER, key, (sonde_str){ (const char *)&value, sizeof(value) });
    else
        sonde__count_own(&t->area->counts, SONDE__TAGS_DROPPED, 1);
}

/* -- special keys --------------------------------------------------------------------------------- */

/* A value as special keys see it. */
typedef struct given {
    sonde_str text; /* ptr NULL when it was a number */
    double number;
} given;

static bool is_truthy(const given *g)
{
    if (!g->text.ptr)
        return g->number != 0;
    return g->text.len > 0 && !sonde_str_eq(g->text, SONDE_STR("0")) &&
           !sonde_str_eq_nocase(g->text, SONDE_STR("false"));
}

static void set_service(const target *t, const given *g)
{
    if (g->text.ptr)
        sonde_span_set_service_n((sonde_span *)sonde__cell_handle(t->span), g->text);
}

static void set_text(const target *t, unsigned kind, sonde_str text, size_t max)
{
    sonde_str none = { NULL, 0 };

    if (!text.ptr)
        return;
    if (!sonde__text_add(&t->span->text, &t->area->cells, kind, none, cut(t, text, max)))
        sonde__count_own(&t->area->counts, SONDE__TAGS_DROPPED, 1);
    if (t->span->flags & SONDE__SPAN_TELLS)
        sonde__watch_changes(t->area, t->span, kind, text);
}

static void set_resource(const target *t, const given *g)
{
    set_text(t, SONDE__TEXT_RESOURCE, g->text, 5000);
}

static void set_name(const target *t, const given *g)
{
    set_text(t, SONDE__TEXT_NAME, g->text, 100);
}

static void set_type(const target *t, const given *g)
{
    set_text(t, SONDE__TEXT_TYPE, g->text, 100);
}

static void set_error(const target *t, const given *g)
{
    t->span->flags &= (uint16_t)~SONDE__SPAN_ERROR;
    if (is_truthy(g))
        t->span->flags |= SONDE__SPAN_ERROR;
    sonde__blackbox_marks(t->span, SONDE_BLACKBOX_ERROR, is_truthy(g));
}

static void set_keep(const target *t, const given *g)
{
    (void)t;
    if (is_truthy(g))
        sonde_span_keep((sonde_span *)sonde__cell_handle(t->span));
}

static void set_drop(const target *t, const given *g)
{
    if (is_truthy(g))
        sonde_span_drop((sonde_span *)sonde__cell_handle(t->span));
}

static void set_analytics(const target *t, const given *g)
{
    bool is_rate = !g->text.ptr && g->number >= 0 && g->number <= 1;

    add_number(t, SONDE_STR(SONDE_TAG_ANALYTICS_RATE), is_rate ? g->number : is_truthy(g) ? 1 : 0);
}

static void ignore(const target *t, const given *g)
{
    (void)t, (void)g;
}

static const struct {
    sonde_str key;
    void (*set)(const target *t, const given *g);
} special_keys[] = {
    { { "service.name", 12 }, set_service }, { { "resource.name", 13 }, set_resource },
    { { "span.name", 9 }, set_name },        { { "span.type", 9 }, set_type },
    { { "error", 5 }, set_error },           { { "manual.keep", 11 }, set_keep },
    { { "manual.drop", 11 }, set_drop },     { { "analytics.event", 15 }, set_analytics },
    { { SONDE_TAG_PRIORITY, 21 }, ignore },
};

/* What a special key of this length begins with: that rules out nearly every other key. */
static const char special_letter[32] = {
    [5] = 'e', [9] = 's', [11] = 'm', [12] = 's', [13] = 'r', [15] = 'a', [21] = '_'
};

static inline bool may_be_special(sonde_str key)
{
    return key.len < sizeof(special_letter) && special_letter[key.len] == key.ptr[0];
}

static __attribute__((noinline)) bool act_on_one(target t, sonde_str key, given g)
{
    size_t i;

    for (i = 0; i < sizeof(special_keys) / sizeof(special_keys[0]); i++) {
        if (!sonde_str_eq(special_keys[i].key, key))
            continue;
        special_keys[i].set(&t, &g);
        return true;
    }
    return false;
}

static inline SONDE__HOT bool act_on_special(const target *t, sonde_str key, given g)
{
    return __builtin_expect(may_be_special(key), 0) && act_on_one(*t, key, g);
}

/* -- the setters ---------------------------------------------------------------------------------- */

/* A decision may come without a value: the key says it. */
static __attribute__((noinline, cold)) bool act_without_value(sonde_span *handle, sonde_str key)
{
    target t;

    return sonde_str_starts(key, SONDE_STR("manual.")) && find(handle, key, &t) &&
           act_on_special(&t, key, (given){ SONDE_STR("1"), 0 });
}

void sonde_span_set_str_n(sonde_span *handle, sonde_str key, sonde_str value)
{
    target t;

    if (!value.ptr)
        (void)act_without_value(handle, key);
    else if (find(handle, key, &t) && !act_on_special(&t, key, (given){ value, 0 }))
        add(&t, SONDE__TEXT_STR, key, value);
}

void sonde_span_set_str(sonde_span *handle, const char *key, const char *value)
{
    sonde_span_set_str_n(handle, SONDE_STR_FROM(key), SONDE_STR_FROM(value));
}

void sonde_span_set_int_n(sonde_span *handle, sonde_str key, int64_t value)
{
    char digits[SONDE_I64_MAX_LEN];
    target t;

    if (!find(handle, key, &t) || act_on_special(&t, key, (given){ { NULL, 0 }, (double)value }))
        return;
    if (value < INT_MAX_EXACT && value > -INT_MAX_EXACT &&
        !sonde_str_eq(key, SONDE_STR(SONDE_TAG_HTTP_STATUS_CODE)))
        add_number(&t, key, (double)value);
    else
        add_seldom(t, SONDE__TEXT_STR, key, (sonde_str){ digits, sonde_format_i64(value, digits) });
}

void sonde_span_set_int(sonde_span *handle, const char *key, int64_t value)
{
    sonde_span_set_int_n(handle, SONDE_STR_FROM(key), value);
}

void sonde_span_set_double_n(sonde_span *handle, sonde_str key, double value)
{
    target t;

    if (find(handle, key, &t) && !act_on_special(&t, key, (given){ { NULL, 0 }, value }))
        add_number(&t, key, value);
}

void sonde_span_set_double(sonde_span *handle, const char *key, double value)
{
    sonde_span_set_double_n(handle, SONDE_STR_FROM(key), value);
}

void sonde_span_set_bool_n(sonde_span *handle, sonde_str key, int value)
{
    sonde_span_set_str_n(handle, key, value ? SONDE_STR("true") : SONDE_STR("false"));
}

void sonde_span_set_bool(sonde_span *handle, const char *key, int value)
{
    sonde_span_set_bool_n(handle, SONDE_STR_FROM(key), value);
}

void sonde_span_remove(sonde_span *handle, const char *key)
{
    target t;

    if (find(handle, sonde_str_from(key), &t))
        add_seldom(t, SONDE__TEXT_GONE, sonde_str_from(key), (sonde_str){ NULL, 0 });
}

void sonde_span_error_n(sonde_span *handle, sonde_str type, sonde_str message)
{
    sonde__span *span = sonde__span_open(handle);

    if (!span)
        return;
    span->flags |= SONDE__SPAN_ERROR;
    sonde__blackbox_marks(span, SONDE_BLACKBOX_ERROR, true);
    sonde_span_set_str_n(handle, SONDE_STR(SONDE_TAG_ERROR_TYPE), type);
    sonde_span_set_str_n(handle, SONDE_STR(SONDE_TAG_ERROR_MESSAGE), message);
}

void sonde_span_error(sonde_span *handle, const char *type, const char *message)
{
    sonde_span_error_n(handle, sonde_str_from(type), sonde_str_from(message));
}

void sonde_span_clear_error(sonde_span *handle)
{
    sonde__span *span = sonde__span_open(handle);

    if (!span)
        return;
    span->flags &= (uint16_t)~SONDE__SPAN_ERROR;
    sonde__blackbox_marks(span, SONDE_BLACKBOX_ERROR, false);
    sonde_span_remove(handle, SONDE_TAG_ERROR_TYPE);
    sonde_span_remove(handle, SONDE_TAG_ERROR_MESSAGE);
    sonde_span_remove(handle, SONDE_TAG_ERROR_STACK);
}
