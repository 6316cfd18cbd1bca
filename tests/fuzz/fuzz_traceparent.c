/* fuzz_traceparent.c - any traceparent.
 *
 * Property: what is taken has 55 lower-case characters at its front, and goes out with the same ids and the bit of its
 * priority; it passes a second time unchanged. */
#include "propagation.h"

#include "base/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_str given = sonde_str_trim((sonde_str){ (const char *)data, size });
    sonde_context *context;
    sonde_str sent;
    uint64_t flags;

    start_with_style("tracecontext");
    memset(&in, 0, sizeof(in));
    carrier_put(&in, "traceparent", (sonde_str){ (const char *)data, size });
    context = pass_through(&in, &out);
    if (!context)
        return 0;
    sent = carrier_get(&out, "traceparent");
    must(sent.len == 55 && given.len >= 55);
    must(memcmp(sent.ptr, "00-", 3) == 0);
    must(memcmp(sent.ptr + 3, given.ptr + 3, 50) == 0); /* both ids */
    must(sonde_hex_parse_u64(sonde_str_sub(given, 53, 2), 0, &flags) == SONDE_OK);
    must(sent.ptr[54] == (flags & 1 ? '1' : '0'));
    must_be_stable(context, &out);
    sonde_context_release(context);
    return 0;
}
