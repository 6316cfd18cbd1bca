/* Frames: what goes in comes out, by builder, by summary and by filter. */
#include <stdio.h>
#include <string.h>

#include "support/alloc_fail.h"
#include "support/test.h"

#include "codec/compress/compress.h"
#include "dashboards/model/frame.h"
#include "dashboards/model/summary.h"

static void add_attr(frame_builder *b, const char *raw, const char *key, const char *text)
{
    model_attr attr = { .key = sonde_str_from(key),
                        .text = sonde_str_from(text),
                        .kind = MODEL_ATTR_META };

    if (!frame_builder_known_attr(b, MODEL_ATTR_META, sonde_str_from(raw)))
        frame_builder_new_attr(b, sonde_str_from(raw), &attr);
}

static void add_span(frame_builder *b, uint64_t id, uint64_t parent, const char *service,
                     int64_t start, int32_t error)
{
    frame_span span = { .span_id = id,
                        .parent_id = parent,
                        .start_unix_ns = start,
                        .duration_ns = 1000,
                        .error = error,
                        .service = frame_builder_str(b, sonde_str_from(service)),
                        .name = frame_builder_str(b, SONDE_STR("op")),
                        .resource = frame_builder_str(b, SONDE_STR("GET /")),
                        .type = frame_builder_str(b, SONDE_STR("web")) };

    frame_builder_end_span(b, &span);
}

static const model_source source = { .env = { "prod", 4 }, .host = { "h1", 2 } };

/* Trace 7: a root with two children, one failing, one in another service; trace 5: a part whose
 * parent is elsewhere. */
static void fill(frame_builder *b)
{
    frame_builder_source(b, &source);
    add_attr(b, "a", "http.status_code", "500");
    add_attr(b, "b", "k", "v");
    add_span(b, 1, 0, "web", 5000, 1);
    add_attr(b, "b", "k", "v");
    add_span(b, 2, 1, "web", 5100, 0);
    add_span(b, 3, 1, "db", 5200, 0);
    frame_builder_end_chunk(
        b,
        &(frame_chunk){ .trace_hi = 9, .trace_lo = 7, .priority = -1, .origin = SONDE_STR("rum") });
    add_span(b, 4, UINT64_MAX, "db", 4000, 0);
    add_attr(b, "c", "chunk.tag", "x");
    frame_builder_end_chunk(b, &(frame_chunk){ .trace_lo = 5, .priority = 2 });
}

static sonde_str body_of(const frame *f)
{
    return (sonde_str){ (const char *)f->body, f->body_len };
}

static void make(frame *f)
{
    frame_builder *b = frame_builder_new();

    fill(b);
    assert_status(frame_builder_finish(b, f), SONDE_OK);
    frame_builder_free(b);
}

static void test_frame_returns_its_spans(void **state)
{
    frame f;
    frame_view v;
    const model_attr *a;

    (void)state;
    make(&f);
    frame_view_init(&v);
    assert_status(frame_view_decode(&v, body_of(&f)), SONDE_OK);

    assert_int_equal(v.spans_len, 4);
    assert_int_equal(v.spans[0].span_id, 1);
    assert_int_equal(v.spans[0].parent_id, 0);
    assert_int_equal(v.spans[1].parent_id, 1);
    assert_int_equal(v.spans[2].parent_id, 1);
    assert_true(v.spans[3].parent_id == UINT64_MAX);
    assert_int_equal(v.spans[3].start_unix_ns, 4000);
    assert_int_equal(v.spans[0].error, 1);
    assert_true(sonde_str_eq(v.spans[2].service, SONDE_STR("db")));
    assert_int_equal(v.spans[0].attrs_len, 2);
    a = frame_view_attr(&v, &v.spans[1], SONDE_STR("k"));
    assert_non_null(a);
    assert_true(sonde_str_eq(a->text, SONDE_STR("v")));
    assert_null(frame_view_attr(&v, &v.spans[2], SONDE_STR("k")));
    assert_int_equal(v.attrs_len, 3); /* the repeated one is there once */
    frame_view_done(&v);
    frame_done(&f);
}

static void test_frame_returns_its_chunks(void **state)
{
    frame f;
    frame_view v;

    (void)state;
    make(&f);
    frame_view_init(&v);
    assert_status(frame_view_decode(&v, body_of(&f)), SONDE_OK);

    assert_int_equal(v.chunks_len, 2);
    assert_int_equal(v.chunks[0].trace_hi, 9);
    assert_int_equal(v.chunks[0].trace_lo, 7);
    assert_int_equal(v.chunks[0].priority, -1);
    assert_true(sonde_str_eq(v.chunks[0].origin, SONDE_STR("rum")));
    assert_int_equal(v.chunks[0].spans_len, 3);
    assert_int_equal(v.chunks[1].attrs_len, 1);
    assert_true(sonde_str_eq(v.chunks[1].source->env, SONDE_STR("prod")));
    assert_ptr_equal(v.spans[3].chunk, &v.chunks[1]);
    frame_view_done(&v);
    frame_done(&f);
}

static void test_summary_tells_about_every_trace(void **state)
{
    frame f;
    summary_view v;
    const frame_part *p;

    (void)state;
    make(&f);
    summary_view_init(&v);
    assert_status(summary_view_decode(&v, (sonde_str){ (const char *)f.summary, f.summary_len }),
                  SONDE_OK);

    assert_int_equal(v.parts_len, 2);
    assert_int_equal(f.traces_len, 2);
    assert_int_equal(f.traces[0].lo, 5); /* sorted */
    p = summary_view_find(&v, 9, 7);
    assert_non_null(p);
    assert_int_equal(p->spans, 3);
    assert_int_equal(p->errors, 1);
    assert_true(p->has_root);
    assert_int_equal(p->start_unix_ns, 5000);
    assert_int_equal(p->end_unix_ns, 6200);
    assert_true(sonde_str_eq(p->services, SONDE_STR("web\ndb")));
    assert_true(sonde_str_eq(p->http_status, SONDE_STR("500")));
    assert_null(summary_view_find(&v, 8, 7));
    p = summary_view_find(&v, 0, 5);
    assert_non_null(p);
    assert_false(p->has_root);
    assert_true(sonde_str_eq(p->services, SONDE_STR("db")));
    summary_view_done(&v);
    frame_done(&f);
}

static void test_chunks_of_one_trace_become_one_part(void **state)
{
    frame_builder *b = frame_builder_new();
    summary_view v;
    frame f;

    (void)state;
    frame_builder_source(b, &source);
    add_span(b, 2, 1, "late", 6000, 0);
    frame_builder_end_chunk(b, &(frame_chunk){ .trace_lo = 7 });
    add_span(b, 1, 0, "root", 5000, 1);
    frame_builder_end_chunk(b, &(frame_chunk){ .trace_lo = 7 });
    assert_status(frame_builder_finish(b, &f), SONDE_OK);
    summary_view_init(&v);
    assert_status(summary_view_decode(&v, (sonde_str){ (const char *)f.summary, f.summary_len }),
                  SONDE_OK);

    assert_int_equal(v.parts_len, 1);
    assert_int_equal(f.chunks, 2);
    assert_int_equal(v.parts[0].spans, 2);
    assert_true(sonde_str_eq(v.parts[0].service, SONDE_STR("root")));
    assert_true(sonde_str_eq(v.parts[0].services, SONDE_STR("root\nlate")));
    summary_view_done(&v);
    frame_done(&f);
    frame_builder_free(b);
}

static void test_filter_of_a_frame_knows_its_values(void **state)
{
    const struct {
        uint64_t token;
        bool want;
    } cases[] = {
        { filter_token(FILTER_SERVICE, SONDE_STR("db")), true },
        { filter_token(FILTER_ENV, SONDE_STR("prod")), true },
        { filter_token(FILTER_STATUS, SONDE_STR("error")), true },
        { filter_attr_token(SONDE_STR("k"), SONDE_STR("v")), true },
        { filter_attr_token(SONDE_STR("chunk.tag"), SONDE_STR("x")), true },
        { filter_token(FILTER_ATTR_NAME, SONDE_STR("k")), true },
        { filter_token(FILTER_SERVICE, SONDE_STR("mail")), false },
        { filter_attr_token(SONDE_STR("k"), SONDE_STR("w")), false },
    };
    frame f;
    size_t i;

    (void)state;
    make(&f);
    for (i = 0; i < COUNT_OF(cases); i++)
        if (filter_may_hold(f.filter, f.filter_len, cases[i].token) != cases[i].want)
            fail_msg("case %zu", i);
    frame_done(&f);
}

static void test_builder_says_when_it_is_full(void **state)
{
    frame_builder *b = frame_builder_new();
    uint32_t i;

    (void)state;
    frame_builder_source(b, &source);
    for (i = 0; i < FRAME_SPANS_MAX; i++) {
        assert_false(frame_builder_is_full(b));
        add_span(b, i + 1, 0, "s", 1, 0);
    }
    assert_true(frame_builder_is_full(b));
    frame_builder_free(b);
}

static void test_finishing_without_a_whole_chunk_is_refused(void **state)
{
    frame_builder *b = frame_builder_new();
    frame f = { .spans = 77 };

    (void)state;
    assert_status(frame_builder_finish(b, &f), SONDE_ERR_STATE);
    frame_builder_source(b, &source);
    add_span(b, 1, 0, "s", 1, 0);
    assert_status(frame_builder_finish(b, &f), SONDE_ERR_STATE);
    assert_int_equal(f.spans, 77);
    frame_builder_free(b);
}

/* Written by hand from docs/spec/store.md: one string, no attribute, one source, one chunk, one span. */
static const uint8_t golden[] = {
    'S',  'F',  'R', 1,                    /* magic and version */
    2,    0,    1,   1,   1,               /* strings, attributes, sources, chunks, spans */
    0,    3,    'w', 'e', 'b',             /* lengths, bytes: "" and "web" */
    0,    0,    0,   0,   0,   0, 0, 0,    /* the source: eight times "" */
    1,    0,    0,   0,   0,   0, 0, 0,    /* trace id, high */
    2,    0,    0,   0,   0,   0, 0, 0,    /* trace id, low */
    2,    0,    0,   1,   0,               /* priority 1, origin, source, spans, attributes */
    1,    1,    1,   1,                    /* service, name, resource, type */
    5,    0,    0,   0,   0,   0, 0, 0,    /* span id */
    1,    6,    0,   0,   0,   0, 0, 0, 0, /* parent: in full, 6 */
    0xc8, 0x01, 20,  1,   0,   0, /* start 100, duration 10, error -1, no attribute, extra */
};

static void test_a_body_made_by_hand_is_read(void **state)
{
    sonde_buf packed;
    frame_view v;

    (void)state;
    sonde_buf_init(&packed, 4096);
    assert_status(sonde_compress(SONDE_ENCODING_ZSTD, 1,
                                 (sonde_str){ (const char *)golden, sizeof(golden) }, &packed),
                  SONDE_OK);
    frame_view_init(&v);
    assert_status(frame_view_decode(&v, sonde_buf_str(&packed)), SONDE_OK);

    assert_int_equal(v.spans_len, 1);
    assert_int_equal(v.spans[0].span_id, 5);
    assert_int_equal(v.spans[0].parent_id, 6);
    assert_int_equal(v.spans[0].start_unix_ns, 100);
    assert_int_equal(v.spans[0].duration_ns, 10);
    assert_int_equal(v.spans[0].error, -1);
    assert_int_equal(v.chunks[0].priority, 1);
    assert_int_equal(v.chunks[0].trace_hi, 1);
    assert_true(sonde_str_eq(v.spans[0].type, SONDE_STR("web")));
    frame_view_done(&v);
    sonde_buf_done(&packed);
}

static void test_a_damaged_body_is_refused(void **state)
{
    uint8_t bytes[sizeof(golden)];
    frame_view v;
    size_t i;

    (void)state;
    frame_view_init(&v);
    assert_status(frame_view_decode(&v, SONDE_STR("not zstd")), SONDE_ERR_SYNTAX);
    for (i = 0; i < sizeof(golden); i++) { /* cut off at every byte */
        sonde_buf packed;

        memcpy(bytes, golden, sizeof(golden));
        sonde_buf_init(&packed, 4096);
        assert_status(
            sonde_compress(SONDE_ENCODING_ZSTD, 1, (sonde_str){ (const char *)bytes, i }, &packed),
            SONDE_OK);
        if (frame_view_decode(&v, sonde_buf_str(&packed)) != SONDE_ERR_SYNTAX)
            fail_msg("cut at %zu", i);
        sonde_buf_done(&packed);
    }
    assert_int_equal(v.spans_len, 0);
    frame_view_done(&v);
}

static sonde_status build_and_read(void *user)
{
    frame_builder *b = frame_builder_new();
    frame f = { 0 };
    frame_view v;
    summary_view s;
    sonde_status status = SONDE_ERR_NOMEM;

    (void)user;
    frame_view_init(&v);
    summary_view_init(&s);
    if (b) {
        fill(b);
        status = frame_builder_finish(b, &f);
    }
    if (status == SONDE_OK)
        status = frame_view_decode(&v, body_of(&f));
    if (status == SONDE_OK)
        status = summary_view_decode(&s, (sonde_str){ (const char *)f.summary, f.summary_len });
    frame_view_done(&v);
    summary_view_done(&s);
    frame_done(&f);
    frame_builder_free(b);
    return status;
}

static void test_frames_cope_with_failing_allocations(void **state)
{
    (void)state;
    alloc_fail_each(build_and_read, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_returns_its_spans),
        cmocka_unit_test(test_frame_returns_its_chunks),
        cmocka_unit_test(test_summary_tells_about_every_trace),
        cmocka_unit_test(test_chunks_of_one_trace_become_one_part),
        cmocka_unit_test(test_filter_of_a_frame_knows_its_values),
        cmocka_unit_test(test_builder_says_when_it_is_full),
        cmocka_unit_test(test_finishing_without_a_whole_chunk_is_refused),
        cmocka_unit_test(test_a_body_made_by_hand_is_read),
        cmocka_unit_test(test_a_damaged_body_is_refused),
        cmocka_unit_test(test_frames_cope_with_failing_allocations),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
