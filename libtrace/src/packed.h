/* packed.h - msgpack written straight into a text's cells: how links and events are kept.
 *
 * What is to be written is written twice by the same function: once to count the bytes, once into the
 * cells that were taken for them.  So a link or an event needs neither a buffer nor an allocation on the
 * traced thread.  Texts that are not UTF-8 are repaired on the way.
 *
 * Threads   as the text.
 * Bounds    SONDE__TEXT_VALUE_MAX bytes a record. */
#ifndef SONDE_LIBTRACE_PACKED_H
#define SONDE_LIBTRACE_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "text.h"

typedef struct sonde__packer {
    sonde__text_place place; /* place.to NULL: only counting */
    size_t len;              /* written so far */
} sonde__packer;

void sonde__pack_bool(sonde__packer *p, bool v);
void sonde__pack_u64(sonde__packer *p, uint64_t v);
void sonde__pack_i64(sonde__packer *p, int64_t v);
void sonde__pack_double(sonde__packer *p, double v);
void sonde__pack_str(sonde__packer *p, sonde_str s);
void sonde__pack_array(sonde__packer *p, uint32_t count);
void sonde__pack_map(sonde__packer *p, uint32_t count);

typedef void (*sonde__pack)(sonde__packer *p, const void *what);

/* Appends a record of `kind` whose value `pack` writes, the same both times.  False: too long or no
 * memory, nothing was written. */
bool sonde__text_pack(sonde__text *t, sonde__cell_stack *cells, unsigned kind, sonde__pack pack,
                      const void *what);

#endif /* SONDE_LIBTRACE_PACKED_H */
