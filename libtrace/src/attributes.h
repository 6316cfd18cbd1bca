/* attributes.h - typed values of the public API on their way to tags, links and events.
 *
 * Threads   none.
 * Bounds    SONDE__ATTRIBUTES_MAX entries; arrays in arrays SONDE__VALUE_DEPTH_MAX deep. */
#ifndef SONDE_LIBTRACE_ATTRIBUTES_H
#define SONDE_LIBTRACE_ATTRIBUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "packed.h"
#include "sonde/value.h"

#define SONDE__KEY_MAX_BYTES   200
#define SONDE__VALUE_MAX_BYTES 25000
#define SONDE__ATTRIBUTES_MAX  128 /* of a link or an event */
#define SONDE__VALUE_DEPTH_MAX 8

typedef struct sonde__attributes {
    const sonde_attribute *items;
    uint32_t len;
} sonde__attributes;

/* What is not an array.  False: nothing further is wanted. */
typedef bool (*sonde__take_value)(void *user, sonde_str key, const sonde_value *value);

/* Calls `take` for a value that is not an array, or for each item, under "key.0", "key.1.0", ...  Values of
 * no type are left out.  Returns how many could not be named (too deep, key too long). */
uint32_t sonde__value_flatten(sonde_str key, const sonde_value *value, sonde__take_value take,
                              void *user);

/* Writes {key: text}, arrays flattened; `out_dropped` says how many entries were left out. */
uint32_t sonde__texts_count(const sonde__attributes *a, uint32_t *out_dropped);
void sonde__texts_pack(sonde__packer *p, const sonde__attributes *a, uint32_t count);

/* Writes {key: typed value} as events have it. */
uint32_t sonde__typed_count(const sonde__attributes *a, uint32_t *out_dropped);
void sonde__typed_pack(sonde__packer *p, const sonde__attributes *a, uint32_t count);

#endif /* SONDE_LIBTRACE_ATTRIBUTES_H */
