/* fuzz_traces_json.c - a trace body of unknown origin through decoder and processor.
 *
 * Property   no input crashes or passes the arena's ceiling; what decodes is valid UTF-8 with unique
 *            keys and as many spans as counted, and meets the limits of normalisation afterwards; a
 *            failure leaves no chunk behind and says why. */
#include "trace_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return check_decoder(decode_json, data, size);
}
