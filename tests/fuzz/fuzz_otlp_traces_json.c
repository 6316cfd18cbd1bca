/* fuzz_otlp_traces_json.c - an OTLP body of unknown origin through reader and mapping.
 *
 * Property   no input crashes or passes the arena's ceiling; what is taken is valid UTF-8 with unique
 *            keys, in chunks of one trace id, as many spans as counted; a failure says why. */
#include "otlp_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return check_otlp(otlp_read_json, data, size);
}
