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

/* Writes {key: text}, arrays flattened; `out_dropped` says how many entries were left out. */
uint32_t sonde__texts_count(const sonde__attributes *a, uint32_t *out_dropped);
void sonde__texts_pack(sonde__packer *p, const sonde__attributes *a, uint32_t count);

/* Writes {key: typed value} as events have it. */
uint32_t sonde__typed_count(const sonde__attributes *a, uint32_t *out_dropped);
void sonde__typed_pack(sonde__packer *p, const sonde__attributes *a, uint32_t count);

#endif /* SONDE_LIBTRACE_ATTRIBUTES_H */
