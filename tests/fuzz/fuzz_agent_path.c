/* A v0.4 body through the whole agent: never crashes; every span is counted, not eligible or lost; every span kept is
 * encoded, dropped with a reason or waiting; what is sent is zstd. */
#include <stdlib.h>

#include "agent/payload/limits.h"
#include "agent/processor/processor.h"
#include "agent/receiver/decode.h"
#include "agent/sampler/sampler.h"
#include "agent/stats/concentrator.h"
#include "agent/writer/stats.h"
#include "agent/writer/trace.h"
#include "base/alloc.h"

#define NOW_S INT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sonde_status take(void *stage, upload *u)
{
    (void)stage;
    if (u->body_len < 4)
        abort();
    sonde_free(u->body);
    return SONDE_OK;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_counters(concentrator *c, trace_writer *w)
{
    concentrator_counters n;
    trace_writer_counters t;
    uint64_t dropped = 0;
    int i;

    concentrator_read_counters(c, &n);
    must(n.spans_in == n.spans_counted + n.spans_not_eligible + n.spans_lost);
    trace_writer_read_counters(w, &t);
    for (i = 0; i < TRACE_WRITER_DROPS; i++)
        dropped += t.spans_dropped[i];
    must(t.spans_in == t.spans_out + dropped + t.spans_waiting);
}

static void run(payload *p)
{
    const upload_sink sink = { take, NULL };
    stats_writer stats;
    concentrator *c = NULL;
    processor *pr = NULL;
    sampler *s = NULL;
    trace_writer *w = NULL;
    sonde_buf scratch;
    uint32_t i, kept = 0;

    stats_writer_init(&stats, SONDE_STR("h"), SONDE_STR("e"), SONDE_STR("v"), sink);
    must(processor_open(&(processor_options){ .clock = NULL }, &pr) == SONDE_OK);
    must(concentrator_open(&(concentrator_options){ .sink = { stats_writer_push, &stats } },
                           NOW_S * 1000000000, &c) == SONDE_OK);
    must(sampler_open(&(sampler_options){ .target_per_s = 10 }, &s) == SONDE_OK);
    must(trace_writer_open(&(trace_writer_options){ .sink = sink }, 0, &w) == SONDE_OK);
    trace_scratch_init(&scratch);

    processor_run(pr, p);
    concentrator_add(c, p, NOW_S * 1000000000);
    for (i = 0; i < p->chunks_len; i++)
        if (sampler_keeps(s, p, &p->chunks[i], 0.0, NOW_S * 1000000000))
            p->chunks[kept++] = p->chunks[i];
    p->chunks_len = kept;
    trace_writer_add(w, &scratch, p, 0);
    concentrator_flush(c, NOW_S * 1000000000, CONCENTRATOR_FLUSH_ALL);
    trace_writer_flush(w, 0);
    check_counters(c, w);

    sonde_buf_done(&scratch);
    trace_writer_close(w);
    sampler_close(s);
    concentrator_close(c);
    processor_close(pr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    payload *p = payload_new(PAYLOAD_ARENA_BASE_BYTES + PAYLOAD_ARENA_FACTOR * size);
    decode_tally tally = { 0 };
    sonde_error error;

    if (!p)
        return 0;
    p->body = (sonde_str){ (const char *)data, size };
    p->endpoint_version = "v0.4";
    p->language_name = SONDE_STR("c");
    if (decode_v04(p, &tally, &error) == SONDE_OK)
        run(p);
    payload_free(p);
    return 0;
}
