/* trace_id.c - trace ids as people and clients write them. */
#include "base/hex.h"
#include "base/parse.h"
#include "dashboards/query/trace.h"

sonde_status trace_parse_id(sonde_str text, uint64_t *out_hi, uint64_t *out_lo)
{
    uint64_t hi = 0, lo;
    sonde_status status;

    if (text.len == 32) {
        status = sonde_hex_parse_u64(sonde_str_sub(text, 0, 16), 1, &hi);
        if (status == SONDE_OK)
            status = sonde_hex_parse_u64(sonde_str_sub(text, 16, 16), 1, &lo);
    } else if (text.len == 16) {
        status = sonde_hex_parse_u64(text, 1, &lo);
    } else {
        status = sonde_parse_u64(text, &lo);
    }
    if (status != SONDE_OK)
        return SONDE_ERR_SYNTAX;
    *out_hi = hi;
    *out_lo = lo;
    return SONDE_OK;
}
