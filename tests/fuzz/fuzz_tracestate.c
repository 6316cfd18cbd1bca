/* fuzz_tracestate.c - any tracestate, each line a header, beside a traceparent.
 *
 * Property: at most 32 members go out, ours first and within 256 bytes, each other within 512, at most one ot; it
 * passes a second time unchanged; the link another trace would get holds it, or nothing. */
#include "propagation.h"

static void check_members(sonde_str rest)
{
    sonde_str member = sonde_str_cut(&rest, ',');
    int members = 1;
    int ot = 0;

    must(sonde_str_starts(member, SONDE_STR("dd=s:")) && member.len <= 256);
    while (rest.len > 0) {
        member = sonde_str_cut(&rest, ',');
        must(member.len > 0 && member.len <= 512);
        must(!sonde_str_starts(member, SONDE_STR("dd=")));
        ot += sonde_str_starts(member, SONDE_STR("ot="));
        members++;
    }
    must(members <= 32 && ot <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_str rest = { (const char *)data, size };
    bool sampled = size > 0 && data[0] % 2;
    sonde_context *context;

    start_with_style("tracecontext");
    memset(&in, 0, sizeof(in));
    carrier_put(&in, "traceparent",
                sampled ? SONDE_STR("00-00000000000000010000000000000002-0000000000000003-01")
                        : SONDE_STR("00-00000000000000010000000000000002-0000000000000003-00"));
    while (rest.len > 0 && in.len < CARRIER_ROWS)
        carrier_put(&in, "tracestate", sonde_str_cut(&rest, '\n'));
    context = pass_through(&in, &out);
    must(context != NULL);
    check_members(carrier_get(&out, "tracestate"));
    must_be_stable(context, &out);
    sonde_context_release(context);
    return 0;
}
