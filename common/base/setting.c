/* setting.c - numbers, durations, sizes and choices, each within its bounds. */
#include "base/setting.h"

#include <math.h>

#include "base/parse.h"

static const char *check(sonde_bounds bounds, double *value)
{
    double max = bounds.min < bounds.max ? bounds.max : HUGE_VAL;

    if (*value >= bounds.min && *value <= max)
        return NULL;
    if (!bounds.clamp)
        return "out of range";
    *value = *value < bounds.min ? bounds.min : max;
    return NULL;
}

const char *sonde_setting_u32(sonde_str text, sonde_bounds bounds, uint32_t *out)
{
    uint64_t whole = UINT64_MAX;
    sonde_status status = sonde_parse_u64(text, &whole);
    double value = (double)whole;

    if (status != SONDE_OK && status != SONDE_ERR_TOO_BIG)
        return "not a whole number";
    if (check(bounds, &value) || value > UINT32_MAX)
        return "out of range";
    *out = (uint32_t)value;
    return NULL;
}

const char *sonde_setting_double(sonde_str text, sonde_bounds bounds, double *out)
{
    double value;
    const char *why;

    if (sonde_parse_double(text, &value) != SONDE_OK)
        return "not a number";
    why = check(bounds, &value);
    if (!why)
        *out = value;
    return why;
}

static bool read_duration(sonde_str text, uint64_t unit_ns, uint64_t *out_ns)
{
    double units;

    if (sonde_parse_duration_ns(text, unit_ns, out_ns) == SONDE_OK)
        return true;
    if (sonde_parse_double(text, &units) != SONDE_OK || !(units >= 0) ||
        units * (double)unit_ns >= 0x1p63)
        return false;
    *out_ns = (uint64_t)(units * (double)unit_ns);
    return true;
}

static bool read_bytes(sonde_str text, uint64_t unit, uint64_t *out)
{
    uint64_t units;

    if (sonde_parse_u64(text, &units) != SONDE_OK)
        return sonde_parse_bytes(text, out) == SONDE_OK;
    *out = units < UINT64_MAX / unit ? units * unit : UINT64_MAX;
    return true;
}

/* `whole`, moved to the nearest bound where the bounds say so. */
static const char *keep_within(sonde_bounds bounds, uint64_t unit, uint64_t whole, uint64_t *out)
{
    double asked = (double)whole / (double)unit, units = asked;
    const char *why = check(bounds, &units);

    if (!why)
        *out = units == asked ? whole : (uint64_t)(units * (double)unit);
    return why;
}

const char *sonde_setting_duration(sonde_str text, sonde_bounds bounds, uint64_t unit_ns,
                                   uint64_t *out_ns)
{
    uint64_t ns;

    if (!read_duration(text, unit_ns, &ns))
        return "not a duration";
    return keep_within(bounds, unit_ns, ns, out_ns);
}

const char *sonde_setting_bytes(sonde_str text, sonde_bounds bounds, uint64_t unit, uint64_t *out)
{
    uint64_t bytes;

    if (!read_bytes(text, unit, &bytes))
        return "not a size";
    return keep_within(bounds, unit, bytes, out);
}

const char *sonde_setting_choice(sonde_str text, const char *choices, uint32_t *out)
{
    sonde_str rest = sonde_str_from(choices);
    uint32_t i;

    for (i = 0; rest.len > 0; i++) {
        sonde_str spellings = sonde_str_cut(&rest, ',');

        while (spellings.len > 0) {
            if (!sonde_str_eq_nocase(sonde_str_cut(&spellings, '='), text))
                continue;
            *out = i;
            return NULL;
        }
    }
    return "not one of its values";
}
