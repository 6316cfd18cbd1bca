/* fuzz_b3.c - any b3 header.
 *
 * Property: what goes out is "<32 or 16 hex>-<16 hex>-<0 or 1>" and passes a second time unchanged. */
#include "propagation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_context *context;
    sonde_str sent;

    start_with_style("b3");
    memset(&in, 0, sizeof(in));
    carrier_put(&in, "b3", (sonde_str){ (const char *)data, size });
    context = pass_through(&in, &out);
    if (!context)
        return 0;
    sent = carrier_get(&out, "b3");
    must(sent.len == 16 + 1 + 16 + 2 || sent.len == 32 + 1 + 16 + 2);
    must(sent.ptr[sent.len - 1] == '0' || sent.ptr[sent.len - 1] == '1');
    must_be_stable(context, &out);
    sonde_context_release(context);
    return 0;
}
