/* The trace writer: when it flushes, how it splits, what it counts. */
#include "support/test.h"

#include <string.h>

#include "agent/writer/languages.h"
#include "agent/writer/limits.h"
#include "agent/writer/trace.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "codec/compress/compress.h"
#include "codec/proto/agent_payload.pb-c.h"
#include "support/alloc_fail.h"

#define S UINT64_C(1000000000)

typedef struct sink_log {
    size_t pushes;
    uint64_t spans, chunks; /* as the uploads say */
    uint64_t decoded_spans; /* as protobuf-c counts them */
    size_t tracer_payloads;
    size_t largest_raw;
    char headers[256];
    char last_language[16];
    sonde_status answer;
    bool decode;
} sink_log;

static void decode(sink_log *log, const upload *u)
{
    Datadog__Trace__AgentPayload *got;
    sonde_buf raw;
    size_t i, j;

    sonde_buf_init(&raw, (size_t)64 << 20);
    assert_status(sonde_decompress(SONDE_ENCODING_ZSTD,
                                   (sonde_str){ (const char *)u->body, u->body_len }, &raw),
                  SONDE_OK);
    got = datadog__trace__agent_payload__unpack(NULL, raw.len, raw.data);
    assert_non_null(got);
    assert_string_equal(got->agentversion, "9");
    log->tracer_payloads += got->n_tracerpayloads;
    for (i = 0; i < got->n_tracerpayloads; i++)
        for (j = 0; j < got->tracerpayloads[i]->n_chunks; j++) {
            assert_string_equal(got->tracerpayloads[i]->env, "prod");
            log->decoded_spans += got->tracerpayloads[i]->chunks[j]->n_spans;
        }
    if (raw.len > log->largest_raw)
        log->largest_raw = raw.len;
    datadog__trace__agent_payload__free_unpacked(got, NULL);
    sonde_buf_done(&raw);
}

static sonde_status sink_push(void *stage, upload *u)
{
    sink_log *log = stage;

    if (log->answer != SONDE_OK)
        return log->answer;
    log->pushes++;
    log->spans += u->items;
    log->chunks += u->chunks;
    memcpy(log->headers, u->headers, sizeof(log->headers));
    if (log->decode)
        decode(log, u);
    sonde_free(u->body);
    return SONDE_OK;
}

typedef struct fixture {
    sink_log log;
    trace_writer *w;
    sonde_buf scratch;
} fixture;

static void open_writer(fixture *f, size_t max_payload_bytes)
{
    memset(f, 0, sizeof(*f));
    f->log.decode = true;
    assert_status(trace_writer_open(&(trace_writer_options){ .agent = { .version = SONDE_STR("9") },
                                                             .max_payload_bytes = max_payload_bytes,
                                                             .sink = { sink_push, &f->log } },
                                    0, &f->w),
                  SONDE_OK);
    trace_scratch_init(&f->scratch);
}

static void close_writer(fixture *f)
{
    trace_writer_close(f->w);
    sonde_buf_done(&f->scratch);
}

/* Adds one payload of `chunks` chunks with one span each, whose resource is `bytes` long. */
static void add(fixture *f, uint32_t chunks, size_t bytes, uint64_t now)
{
    payload_chunk *c = sonde_calloc(chunks, sizeof(*c));
    payload_span *s = sonde_calloc(chunks, sizeof(*s));
    payload p = {
        .chunks = c, .chunks_len = chunks, .env = SONDE_STR("prod"), .language_name = SONDE_STR("c")
    };
    char *text = sonde_malloc(bytes);
    uint32_t i;

    memset(text, 'r', bytes);
    for (i = 0; i < chunks; i++) {
        s[i] = (payload_span){ .service = SONDE_STR("web"),
                               .resource = { text, bytes },
                               .span_id = i + 1 };
        c[i] = (payload_chunk){ .spans = &s[i], .spans_len = 1, .priority = 1 };
    }
    trace_writer_add(f->w, &f->scratch, &p, now);
    sonde_free(text);
    sonde_free(s);
    sonde_free(c);
}

static void assert_balanced(fixture *f)
{
    trace_writer_counters n;
    uint64_t dropped = 0;
    int i;

    trace_writer_read_counters(f->w, &n);
    for (i = 0; i < TRACE_WRITER_DROPS; i++)
        dropped += n.spans_dropped[i];
    assert_int_equal(n.spans_in, n.spans_out + dropped + n.spans_waiting);
}

static void test_what_waits_is_sent_every_five_seconds(void **state)
{
    fixture f;

    (void)state;
    open_writer(&f, 0);
    add(&f, 2, 10, 1 * S);
    trace_writer_tick(f.w, 5 * S - 1);
    assert_int_equal(f.log.pushes, 0);
    trace_writer_tick(f.w, 5 * S);
    assert_int_equal(f.log.pushes, 1);
    assert_int_equal(f.log.spans, 2);
    assert_int_equal(f.log.chunks, 2);
    assert_int_equal(f.log.decoded_spans, 2);
    assert_string_equal(f.log.headers, "X-Datadog-Reported-Languages: c\n");
    trace_writer_tick(f.w, 10 * S);
    assert_int_equal(f.log.pushes, 1); /* nothing to send */
    assert_balanced(&f);
    close_writer(&f);
}

static void test_a_body_is_sent_before_it_would_grow_too_large(void **state)
{
    fixture f;
    int i;

    (void)state;
    open_writer(&f, 100000);
    for (i = 0; i < 30; i++)
        add(&f, 1, 10000, 0);
    assert_true(f.log.pushes >= 3);
    trace_writer_flush(f.w, 0);

    assert_int_equal(f.log.decoded_spans, 30);
    assert_true(f.log.largest_raw <= 100000);
    assert_balanced(&f);
    close_writer(&f);
}

static void test_one_large_payload_is_split_between_its_chunks(void **state)
{
    fixture f;

    (void)state;
    open_writer(&f, 100000);
    add(&f, 50, 9000, 0);
    trace_writer_flush(f.w, 0);

    assert_int_equal(f.log.decoded_spans, 50);
    assert_true(f.log.tracer_payloads > 4);
    assert_true(f.log.largest_raw <= 100000);
    assert_balanced(&f);
    close_writer(&f);
}

static void test_a_chunk_above_the_limit_still_goes_out_alone(void **state)
{
    fixture f;

    (void)state;
    open_writer(&f, 100000);
    add(&f, 1, 500, 0);
    add(&f, 1, 300000, 0);
    add(&f, 1, 500, 0);
    trace_writer_flush(f.w, 0);

    assert_int_equal(f.log.decoded_spans, 3);
    assert_int_equal(f.log.pushes, 3);
    close_writer(&f);
}

static void test_a_chunk_above_every_ceiling_is_dropped_and_its_neighbours_are_not(void **state)
{
    fixture f;
    trace_writer_counters n;

    (void)state;
    open_writer(&f, 0);
    add(&f, 1, 500, 0);
    add(&f, 1, TRACE_CHUNK_MAX_BYTES + 1, 0);
    add(&f, 1, 500, 0);
    trace_writer_flush(f.w, 0);
    trace_writer_read_counters(f.w, &n);

    assert_int_equal(f.log.decoded_spans, 2);
    assert_int_equal(n.spans_dropped[TRACE_WRITER_CHUNK_TOO_BIG], 1);
    assert_balanced(&f);
    close_writer(&f);
}

static void test_a_refusing_sink_is_counted(void **state)
{
    fixture f;
    trace_writer_counters n;

    (void)state;
    open_writer(&f, 0);
    f.log.answer = SONDE_ERR_CLOSED;
    add(&f, 3, 10, 0);
    trace_writer_flush(f.w, 0);
    trace_writer_read_counters(f.w, &n);

    assert_int_equal(n.spans_dropped[TRACE_WRITER_REFUSED], 3);
    assert_balanced(&f);
    close_writer(&f);
}

static void test_languages_are_sorted_once_each_and_harmless(void **state)
{
    languages l = { .len = 0 };
    char header[256], short_header[45];
    char text[8] = "lang-a";
    int i;

    (void)state;
    languages_header(&l, header, sizeof(header));
    assert_string_equal(header, "");
    languages_add(&l, SONDE_STR("java"));
    languages_add(&l, SONDE_STR("go"));
    languages_add(&l, SONDE_STR("java"));
    languages_add(&l, SONDE_STR(""));
    languages_add(&l, SONDE_STR("x\r\nEvil: 1"));
    languages_add(&l, SONDE_STR("a language of too many letters"));
    languages_header(&l, header, sizeof(header));
    assert_string_equal(header, "X-Datadog-Reported-Languages: go|java\n");

    for (i = 0; i < 26; i++, text[5]++)
        languages_add(&l, sonde_str_from(text));
    assert_int_equal(l.len, TRACE_LANGUAGES_MAX);
    languages_header(&l, short_header, sizeof(short_header));
    assert_true(strlen(short_header) < sizeof(short_header));
    assert_true(short_header[strlen(short_header) - 1] == '\n');
}

static sonde_status write_a_little(void *user)
{
    sink_log log = { .decode = false };
    payload_span s = { .service = SONDE_STR("web") };
    payload_chunk c = { .spans = &s, .spans_len = 1 };
    payload p = { .chunks = &c, .chunks_len = 1, .env = SONDE_STR("prod") };
    sonde_buf scratch;
    trace_writer_counters n;
    trace_writer *w = NULL;
    sonde_status status;

    (void)user;
    status = trace_writer_open(&(trace_writer_options){ .sink = { sink_push, &log } }, 0, &w);
    if (status != SONDE_OK)
        return status;
    trace_scratch_init(&scratch);
    trace_writer_add(w, &scratch, &p, 0);
    trace_writer_flush(w, 0);
    trace_writer_read_counters(w, &n);
    assert_int_equal(n.spans_in, n.spans_out + n.spans_dropped[TRACE_WRITER_NO_MEMORY]);
    assert_int_equal(n.spans_out, log.spans);
    sonde_buf_done(&scratch);
    trace_writer_close(w);
    return n.spans_out ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_every_failing_allocation_is_counted(void **state)
{
    (void)state;
    alloc_fail_each(write_a_little, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits_is_sent_every_five_seconds),
        cmocka_unit_test(test_a_body_is_sent_before_it_would_grow_too_large),
        cmocka_unit_test(test_one_large_payload_is_split_between_its_chunks),
        cmocka_unit_test(test_a_chunk_above_the_limit_still_goes_out_alone),
        cmocka_unit_test(test_a_chunk_above_every_ceiling_is_dropped_and_its_neighbours_are_not),
        cmocka_unit_test(test_a_refusing_sink_is_counted),
        cmocka_unit_test(test_languages_are_sorted_once_each_and_harmless),
        cmocka_unit_test(test_every_failing_allocation_is_counted),
    };

    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
