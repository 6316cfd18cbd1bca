/* fuzz_traces_v07.c - a v0.7 body of unknown origin through decoder and processor.
 *
 * Property   as fuzz_traces_v05.c. */
#include "trace_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return check_decoder(decode_v07, data, size);
}
