/* dashboards/model/filter.h - a Bloom filter over the values of a frame.
 *
 * A search for `service:shop @order.id:17` asks the filter of every frame first and decodes only those
 * that may hold both.  No false negatives; about 2.5 % false positives below the ceiling.
 *
 * A token is (field, text) as one 64-bit FNV-1a hash; it is stored, so it never changes.
 *
 * Threads   pure functions.  Bounds: FILTER_MAX_BYTES; beyond it the filter only gets less sharp. */
#ifndef SONDE_DASHBOARDS_MODEL_FILTER_H
#define SONDE_DASHBOARDS_MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define FILTER_MAX_BYTES (32u * 1024)

typedef enum filter_field {
    FILTER_SERVICE = 1,
    FILTER_NAME,
    FILTER_RESOURCE,
    FILTER_TYPE,
    FILTER_ENV,
    FILTER_HOST,
    FILTER_VERSION,
    FILTER_STATUS,    /* "error" */
    FILTER_ATTR,      /* filter_attr_token() */
    FILTER_ATTR_NAME, /* key alone */
} filter_field;

uint64_t filter_token(filter_field field, sonde_str text);
uint64_t filter_attr_token(sonde_str key, sonde_str value);

/* Bytes of a filter for that many tokens: a multiple of 8, at least 8. */
size_t filter_bytes(size_t tokens);
void filter_add(uint8_t *filter, size_t bytes, uint64_t token);
bool filter_may_hold(const uint8_t *filter, size_t bytes, uint64_t token); /* bytes 0: true */

#endif /* SONDE_DASHBOARDS_MODEL_FILTER_H */
