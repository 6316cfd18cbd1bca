/* fuzz_headers_datadog.c - the five x-datadog-* headers, one a line: trace id, parent id, priority, origin, tags.
 *
 * Property: what goes out is within its limits (tags 512 bytes, origin 256) and passes a second time unchanged.
 * (A parent of 0 needs an origin to be taken: those pass once.) */
#include "propagation.h"

static const char *const names[] = { "x-datadog-trace-id", "x-datadog-parent-id",
                                     "x-datadog-sampling-priority", "x-datadog-origin",
                                     "x-datadog-tags" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_context *context;

    start_with_style("datadog");
    memset(&in, 0, sizeof(in));
    put_lines(&in, names, 5, (sonde_str){ (const char *)data, size });
    context = pass_through(&in, &out);
    must(carrier_get(&out, "x-datadog-tags").len <= 512);
    must(carrier_get(&out, "x-datadog-origin").len <= 256);
    must((context != NULL) == (carrier_get(&out, "x-datadog-trace-id").len > 0));
    if (sonde_context_span_id(context) != 0)
        must_be_stable(context, &out);
    sonde_context_release(context);
    return 0;
}
