/* fuzz_frame - the bodies of frames and summaries, inflated, may hold any bytes: they are refused, or
 * every index and every text of the view lies inside what was decoded. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/compress/compress.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const sonde_buf *raw, sonde_str s)
{
    const char *start = (const char *)raw->data;

    if (s.len && (s.ptr < start || s.ptr + s.len > start + raw->len))
        abort();
}

static void check_frame(sonde_str body)
{
    frame_view v;
    size_t i, k;

    frame_view_init(&v);
    if (frame_view_decode(&v, body) == SONDE_OK)
        for (i = 0; i < v.spans_len; i++) {
            const model_span *s = &v.spans[i];

            inside(&v.raw, s->service);
            inside(&v.raw, s->extra);
            inside(&v.raw, s->chunk->source->env);
            for (k = 0; k < s->attrs_len; k++) {
                inside(&v.raw, v.attrs[s->attrs[k]].key);
                inside(&v.raw, v.attrs[s->attrs[k]].text);
            }
        }
    frame_view_done(&v);
}

static void check_summary(sonde_str body)
{
    summary_view v;
    size_t i;

    summary_view_init(&v);
    if (summary_view_decode(&v, body) == SONDE_OK)
        for (i = 0; i < v.parts_len; i++) {
            inside(&v.raw, v.parts[i].service);
            inside(&v.raw, v.parts[i].services);
            (void)summary_view_find(&v, 0, v.parts[i].trace_lo);
        }
    summary_view_done(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_buf packed;

    sonde_buf_init(&packed, 1 << 24);
    if (sonde_compress(SONDE_ENCODING_ZSTD, 1, (sonde_str){ (const char *)data, size }, &packed) ==
        SONDE_OK) {
        check_frame(sonde_buf_str(&packed));
        check_summary(sonde_buf_str(&packed));
    }
    sonde_buf_done(&packed);
    return 0;
}
