/* sonde/value.h - typed values and named ones: what arrays of tags, links and events are given.
 *
 *   const sonde_attribute what[] = { sonde_attr_str("cache.key", key), sonde_attr_int("size", n) };
 *
 *   const sonde_value list[] = { sonde_value_str("a"), sonde_value_str("b") };
 *   sonde_span_set_value(span, "names", sonde_value_array(list, 2));     names.0, names.1
 *
 * Memory    a value borrows its text or items; the call it is given to copies what it keeps.
 * Failure   a value of no type, a NULL text and an attribute without a key are left out.
 */
#ifndef SONDE_VALUE_H
#define SONDE_VALUE_H

#include <stdint.h>
#include <string.h>

#include "sonde/str.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_value_type {
    SONDE_VALUE_NONE = 0,
    SONDE_VALUE_STR = 1,
    SONDE_VALUE_BOOL = 2,
    SONDE_VALUE_INT = 3,
    SONDE_VALUE_DOUBLE = 4,
    SONDE_VALUE_ARRAY = 5
};

typedef struct sonde_value {
    int32_t type; /* enum sonde_value_type */
    uint32_t len; /* items of an array */
    union {
        sonde_str str;
        int64_t integer; /* also of a bool: 0 or 1 */
        double number;
        const struct sonde_value *items;
    } as;
} sonde_value;

typedef struct sonde_attribute {
    sonde_str key;
    sonde_value value;
} sonde_attribute;

static inline sonde_value sonde_value_str_n(sonde_str text)
{
    sonde_value v;

    v.type = text.ptr ? SONDE_VALUE_STR : SONDE_VALUE_NONE;
    v.len = 0;
    v.as.str = text;
    return v;
}

static inline sonde_value sonde_value_str(const char *text)
{
    sonde_str s;

    s.ptr = text;
    s.len = text ? strlen(text) : 0;
    return sonde_value_str_n(s);
}

static inline sonde_value sonde_value_int(int64_t integer)
{
    sonde_value v;

    v.type = SONDE_VALUE_INT;
    v.len = 0;
    v.as.integer = integer;
    return v;
}

static inline sonde_value sonde_value_bool(int truth)
{
    sonde_value v = sonde_value_int(truth != 0);

    v.type = SONDE_VALUE_BOOL;
    return v;
}

static inline sonde_value sonde_value_double(double number)
{
    sonde_value v;

    v.type = SONDE_VALUE_DOUBLE;
    v.len = 0;
    v.as.number = number;
    return v;
}

static inline sonde_value sonde_value_array(const sonde_value *items, uint32_t len)
{
    sonde_value v;

    v.type = SONDE_VALUE_ARRAY;
    v.len = items ? len : 0;
    v.as.items = items;
    return v;
}

static inline sonde_attribute sonde_attr(const char *key, sonde_value value)
{
    sonde_attribute a;

    a.key.ptr = key;
    a.key.len = key ? strlen(key) : 0;
    a.value = value;
    return a;
}

static inline sonde_attribute sonde_attr_str(const char *key, const char *text)
{
    return sonde_attr(key, sonde_value_str(text));
}

static inline sonde_attribute sonde_attr_int(const char *key, int64_t integer)
{
    return sonde_attr(key, sonde_value_int(integer));
}

static inline sonde_attribute sonde_attr_bool(const char *key, int truth)
{
    return sonde_attr(key, sonde_value_bool(truth));
}

static inline sonde_attribute sonde_attr_double(const char *key, double number)
{
    return sonde_attr(key, sonde_value_double(number));
}

static inline sonde_attribute sonde_attr_array(const char *key, const sonde_value *items,
                                               uint32_t len)
{
    return sonde_attr(key, sonde_value_array(items, len));
}

#ifdef __cplusplus
}
#endif
#endif /* SONDE_VALUE_H */
