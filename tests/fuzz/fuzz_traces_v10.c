/* fuzz_traces_v10.c - a v1.0 body of unknown origin through decoder and processor.
 *
 * Property   as fuzz_traces_v05.c; and no depth of values overflows the stack. */
#include "trace_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return check_decoder(decode_v10, data, size);
}
