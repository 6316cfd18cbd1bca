/* base/setting.h - the text of a setting into its value, within bounds.
 *
 * All return NULL when *out was set, else why the text cannot be used ("not a whole number", "out of range"), and leave
 * *out untouched then.
 *
 * Threads   pure functions. */
#ifndef SONDE_BASE_SETTING_H
#define SONDE_BASE_SETTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct sonde_bounds {
    double min, max; /* max no more than min: none above */
    bool clamp;      /* out of range: the nearest bound */
} sonde_bounds;

const char *sonde_setting_u32(sonde_str text, sonde_bounds bounds, uint32_t *out);
const char *sonde_setting_double(sonde_str text, sonde_bounds bounds, double *out);

/* "5s", "150ms"; a bare number counts units, and may have a fraction.  The bounds are in units. */
const char *sonde_setting_duration(sonde_str text, sonde_bounds bounds, uint64_t unit_ns,
                                   uint64_t *out_ns);

/* "64MiB"; a bare number counts units.  The bounds are in units. */
const char *sonde_setting_bytes(sonde_str text, sonde_bounds bounds, uint64_t unit, uint64_t *out);

/* The place of `text` in "one,other=its second spelling", in any case. */
const char *sonde_setting_choice(sonde_str text, const char *choices, uint32_t *out);

#endif /* SONDE_BASE_SETTING_H */
