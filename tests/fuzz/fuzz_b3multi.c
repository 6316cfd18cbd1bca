/* fuzz_b3multi.c - the x-b3-* headers, one a line: trace id, span id, sampled, flags.
 *
 * Property: ids go out as 32 or 16 and 16 hex digits, and everything passes a second time unchanged. */
#include "propagation.h"

static const char *const names[] = { "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_context *context;
    sonde_str sent;

    start_with_style("b3multi");
    memset(&in, 0, sizeof(in));
    put_lines(&in, names, 4, (sonde_str){ (const char *)data, size });
    context = pass_through(&in, &out);
    if (!context)
        return 0;
    sent = carrier_get(&out, "x-b3-traceid");
    must(sent.len == 16 || sent.len == 32);
    must(carrier_get(&out, "x-b3-spanid").len == 16);
    must(carrier_get(&out, "x-b3-sampled").len == 1);
    must_be_stable(context, &out);
    sonde_context_release(context);
    return 0;
}
