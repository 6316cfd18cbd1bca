/* span_facets.c - tags with a meaning of their own, arrays, errors with a stack, and reading tags back.
 *
 * Source: docs/spec/spans.md, "Tags". */
#include <string.h>

#include "base/format.h"
#include "base/stack_libunwind.h"
#include "codec/msgpack_read.h"
#include "vocab/tags.h"

#include "attributes.h"
#include "span.h"

#define STACK_MAX_BYTES 8192
#define TAGS_MAX        1024 /* with links, events and structured values */

/* -- values of any type --------------------------------------------------------------------------- */

static bool set_one(void *user, sonde_str key, const sonde_value *value)
{
    sonde_span *span = (sonde_span *)user;

    if (value->type == SONDE_VALUE_STR)
        sonde_span_set_str_n(span, key, value->as.str);
    else if (value->type == SONDE_VALUE_BOOL)
        sonde_span_set_bool_n(span, key, value->as.integer != 0);
    else if (value->type == SONDE_VALUE_INT)
        sonde_span_set_int_n(span, key, value->as.integer);
    else
        sonde_span_set_double_n(span, key, value->as.number);
    return true;
}

/* One document and nothing behind it. */
static bool is_document(sonde_str bytes)
{
    sonde_mp_reader r;

    sonde_mp_reader_init(&r, bytes.ptr, bytes.len);
    return sonde_mp_skip(&r) && sonde_mp_left(&r) == 0;
}

void sonde_span_set_struct(sonde_span *handle, const char *key, const void *bytes, size_t len)
{
    sonde__span *span = key && *key ? sonde__span_open(handle) : NULL;
    sonde__area *a = span ? sonde__area_get() : NULL;
    sonde_str name = sonde_str_from(key);
    sonde_str value = { (const char *)bytes, bytes ? len : 0 };

    if (!a)
        return;
    name.len = sonde_utf8_cut(name, SONDE__KEY_MAX_BYTES);
    if (span->text.count < TAGS_MAX && value.len <= SONDE__TEXT_VALUE_MAX &&
        (value.len == 0 || is_document(value)) &&
        sonde__text_add(&span->text, &a->cells, SONDE__TEXT_STRUCT, name, value))
        span->text.count++;
    else
        sonde__count_own(&a->counts, SONDE__TAGS_DROPPED, 1);
}

void sonde_span_set_value(sonde_span *span, const char *key, sonde_value value)
{
    uint32_t refused;

    if (!key || !*key || !sonde__span_open(span))
        return;
    if (value.type == SONDE_VALUE_NONE)
        sonde_span_set_str(span, key, NULL); /* a decision may come without a value */
    refused = sonde__value_flatten(sonde_str_from(key), &value, set_one, span);
    if (refused > 0)
        sonde__count(SONDE__TAGS_DROPPED, refused);
}

/* -- reading -------------------------------------------------------------------------------------- */

/* The last record of the key, which counts. */
static bool find_tag(const sonde_span *handle, const char *key, sonde__record *out)
{
    const sonde__span *span = key ? sonde__span_open(handle) : NULL;
    sonde_str want = sonde_str_from(key);
    sonde__text_cursor c;
    sonde__record r;
    bool found = false;

    if (!span)
        return false;
    want.len = sonde_utf8_cut(want, SONDE__KEY_MAX_BYTES);
    c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    while (sonde__text_next(&c, &r)) {
        if (r.kind >= SONDE__TEXT_NAME || !sonde_str_eq(sonde__record_key(&r), want))
            continue;
        *out = r;
        found = r.kind != SONDE__TEXT_GONE;
    }
    return found;
}

static double number_of(const sonde__record *r)
{
    char bytes[sizeof(double)];
    double number;

    sonde__text_copy_head(r, bytes, sizeof(bytes));
    memcpy(&number, bytes, sizeof(number));
    return number;
}

int64_t sonde_span_get_str(const sonde_span *span, const char *key, char *out, size_t out_bytes)
{
    char digits[SONDE_DOUBLE_MAX_LEN];
    sonde__record r;
    size_t len, fits;

    if (out && out_bytes > 0)
        out[0] = '\0';
    if (!find_tag(span, key, &r))
        return -1;
    len = r.kind == SONDE__TEXT_NUMBER ? sonde_format_double(number_of(&r), digits) : r.value_len;
    if (!out || out_bytes == 0)
        return (int64_t)len;
    fits = len < out_bytes ? len : out_bytes;
    if (r.kind == SONDE__TEXT_NUMBER)
        memcpy(out, digits, fits);
    else
        sonde__text_copy_head(&r, out, fits);
    if (fits == out_bytes) /* a character that does not fit whole goes as well */
        fits = sonde_utf8_cut((sonde_str){ out, fits }, fits - 1);
    out[fits] = '\0';
    return (int64_t)len;
}

int sonde_span_get_double(const sonde_span *span, const char *key, double *out)
{
    sonde__record r;

    if (!out || !find_tag(span, key, &r) || r.kind != SONDE__TEXT_NUMBER)
        return 0;
    *out = number_of(&r);
    return 1;
}

/* -- errors --------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void capture_stack(sonde_span *span)
{
    char text[STACK_MAX_BYTES];
    size_t len = sonde_stack_text(text, sizeof(text));

    if (len > 0)
        sonde_span_set_str_n(span, SONDE_STR(SONDE_TAG_ERROR_STACK), (sonde_str){ text, len });
}

void sonde_span_set_error(sonde_span *span, const sonde_failure *failure)
{
    sonde_failure e;
    size_t bytes;

    if (!failure || !sonde__span_open(span))
        return;
    bytes = failure->struct_bytes > 0 && failure->struct_bytes < sizeof(e) ? failure->struct_bytes
                                                                           : sizeof(e);
    memset(&e, 0, sizeof(e));
    memcpy(&e, failure, bytes);
    sonde_span_error(span, e.type, e.message);
    if (e.stack)
        sonde_span_set_str(span, SONDE_TAG_ERROR_STACK, e.stack);
    else if (e.capture_stack)
        capture_stack(span);
}

/* -- facets --------------------------------------------------------------------------------------- */

void sonde_span_set_kind(sonde_span *span, enum sonde_kind kind)
{
    static const char *const names[] = {
        [SONDE_KIND_INTERNAL] = "internal", [SONDE_KIND_SERVER] = "server",
        [SONDE_KIND_CLIENT] = "client",     [SONDE_KIND_PRODUCER] = "producer",
        [SONDE_KIND_CONSUMER] = "consumer",
    };

    if ((unsigned)kind < sizeof(names) / sizeof(names[0]))
        sonde_span_set_str(span, SONDE_TAG_SPAN_KIND, names[kind]);
}

void sonde_span_set_measured(sonde_span *span, int measured)
{
    if (measured)
        sonde_span_set_int(span, SONDE_TAG_MEASURED, 1);
    else
        sonde_span_remove(span, SONDE_TAG_MEASURED);
}

void sonde_span_set_analytics(sonde_span *span, double rate)
{
    if (rate >= 0 && rate <= 1)
        sonde_span_set_double(span, SONDE_TAG_ANALYTICS_RATE, rate);
}
