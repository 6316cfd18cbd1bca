/* fuzz_trace_intake - any bytes as AgentPayload are refused, or become frames that decode again with the
 * number of spans they say. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dashboards/intake/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t check(const frame *f)
{
    frame_view v;
    summary_view s;
    uint64_t spans = 0;
    size_t i;

    frame_view_init(&v);
    summary_view_init(&s);
    if (frame_view_decode(&v, (sonde_str){ (const char *)f->body, f->body_len }) != SONDE_OK ||
        summary_view_decode(&s, (sonde_str){ (const char *)f->summary, f->summary_len }) !=
            SONDE_OK)
        abort();
    for (i = 0; i < s.parts_len; i++)
        spans += s.parts[i].spans;
    if (v.spans_len != f->spans || spans != f->spans || s.parts_len != f->traces_len)
        abort();
    frame_view_done(&v);
    summary_view_done(&s);
    return spans;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    traces_decoder *d = traces_decoder_new();
    store_batch *b = store_batch_new();
    traces_counts counts = { 0 };
    uint64_t spans = 0;
    size_t i;

    if (d && b &&
        traces_decode(d, (sonde_str){ (const char *)data, size }, b, &counts) == SONDE_OK) {
        for (i = 0; i < b->frames_len; i++)
            spans += check(&b->frames[i]);
        if (spans != counts.spans)
            abort();
    }
    store_batch_free(b);
    traces_decoder_free(d);
    return 0;
}
