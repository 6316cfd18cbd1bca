/* test_processor.c - every rule of docs/spec/normalization.md as a row, and what must hold for any span. */
#include "agent/processor/processor.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define NOW 1700000000000000000

static int64_t fixed_unix_ns(void *user)
{
    (void)user;
    return NOW;
}

static uint64_t fixed_mono_ns(void *user)
{
    (void)user;
    return 0;
}

static const sonde_clock fixed_clock = { .unix_ns = fixed_unix_ns, .mono_ns = fixed_mono_ns };

/* A payload of one chunk made of these spans, which are copied into its arena with their tags. */
static payload *payload_of(const payload_span *spans, uint32_t len)
{
    payload *p = payload_new(16u << 20);

    p->chunks = sonde_arena_zalloc(&p->arena, 1, sizeof(*p->chunks));
    p->chunks_len = 1;
    p->chunks[0].priority = PRIORITY_NONE;
    p->chunks[0].spans_len = len;
    p->chunks[0].spans = sonde_arena_zalloc(&p->arena, len + 1, sizeof(*spans));
    for (uint32_t i = 0; i < len; i++) {
        payload_span *s = &p->chunks[0].spans[i];

        *s = spans[i];
        s->meta = sonde_arena_zalloc(&p->arena, s->meta_len + 1, sizeof(*s->meta));
        s->metrics = sonde_arena_zalloc(&p->arena, s->metrics_len + 1, sizeof(*s->metrics));
        if (s->meta_len)
            memcpy(s->meta, spans[i].meta, s->meta_len * sizeof(*s->meta));
        if (s->metrics_len)
            memcpy(s->metrics, spans[i].metrics, s->metrics_len * sizeof(*s->metrics));
        s->meta_cap = s->meta_len;
        s->metrics_cap = s->metrics_len;
    }
    return p;
}

static payload_span good_span(void)
{
    return (payload_span){ .service = SONDE_STR("web"),
                           .name = SONDE_STR("http.request"),
                           .resource = SONDE_STR("GET /"),
                           .trace_id = 1,
                           .span_id = 2,
                           .start = NOW - 1000,
                           .duration = 10 };
}

static processor *open_processor(void)
{
    const processor_options options = { .clock = &fixed_clock };
    processor *p = NULL;

    assert_status(processor_open(&options, &p), SONDE_OK);
    return p;
}

static uint64_t fixes(const processor *p, processor_fix why)
{
    return processor_read_counters(p)->fixed[why];
}

static uint64_t all_fixes(const processor *p)
{
    uint64_t sum = 0;

    for (int i = 0; i < PROCESSOR_FIXES; i++)
        sum += fixes(p, (processor_fix)i);
    return sum;
}

static sonde_str repeated(char c, size_t len)
{
    static char text[32768];

    assert_true(len < sizeof(text));
    memset(text, c, len);
    return (sonde_str){ text, len };
}

#define assert_text(got, want)                                                                     \
    do {                                                                                           \
        sonde_str text_got_ = (got);                                                               \
        if (!sonde_str_eq(text_got_, sonde_str_from(want)))                                        \
            fail_msg("%s: got \"%.*s\", want \"%s\"", #got, SONDE_STR_ARG(text_got_), (want));     \
    } while (0)

static void test_a_good_span_is_left_alone(void **state)
{
    payload_span s = good_span();
    processor *p = open_processor();
    payload *pl = payload_of(&s, 1);

    (void)state;
    processor_run(p, pl);

    assert_int_equal(pl->chunks_len, 1);
    assert_int_equal(all_fixes(p), 0);
    assert_text(pl->chunks[0].spans[0].service, "web");
    assert_text(pl->chunks[0].spans[0].name, "http.request");
    assert_true(pl->chunks[0].spans[0].start == NOW - 1000);
    assert_int_equal(pl->chunks[0].spans[0].duration, 10);
    payload_free(pl);
    processor_close(p);
}

static void test_texts_are_repaired_and_counted(void **state)
{
    static const struct {
        const char *label;
        const char *lang, *service, *name, *resource, *type;
        const char *want_service, *want_name, *want_resource;
        processor_fix why; /* PROCESSOR_FIXES: none */
    } cases[] = {
        { "empty service", "", "", "op", "r", "", "unnamed-service", "op", "r",
          PROCESSOR_FIX_SERVICE_EMPTY },
        { "empty service, language known", "cpp", "", "op", "r", "", "unnamed-cpp-service", "op",
          "r", PROCESSOR_FIX_SERVICE_EMPTY },
        { "empty service, odd language", ".NET", "", "op", "r", "", "unnamed-.NET-service", "op",
          "r", PROCESSOR_FIX_SERVICE_EMPTY },
        { "service of nothing valid", "go", "***", "op", "r", "", "unnamed-go-service", "op", "r",
          PROCESSOR_FIX_SERVICE_INVALID },
        { "service with capitals", "", "Web Store", "op", "r", "", "web_store", "op", "r",
          PROCESSOR_FIXES },
        { "empty name", "", "s", "", "r", "", "s", "unnamed_operation", "r",
          PROCESSOR_FIX_SPAN_NAME_EMPTY },
        { "name of nothing valid", "", "s", "---", "r", "", "s", "unnamed_operation", "r",
          PROCESSOR_FIX_SPAN_NAME_INVALID },
        { "name with odd bytes", "", "s", "Foo::Bar#baz", "r", "", "s", "Foo_Bar_baz", "r",
          PROCESSOR_FIXES },
        { "empty resource", "", "s", "Op Name", "", "", "s", "Op_Name", "Op_Name",
          PROCESSOR_FIX_RESOURCE_EMPTY },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_span s = good_span();
        processor *p = open_processor();
        payload *pl;
        const payload_span *out;

        s.service = sonde_str_from(cases[i].service);
        s.name = sonde_str_from(cases[i].name);
        s.resource = sonde_str_from(cases[i].resource);
        pl = payload_of(&s, 1);
        pl->language_name = sonde_str_from(cases[i].lang);
        processor_run(p, pl);
        out = &pl->chunks[0].spans[0];
        if (!sonde_str_eq(out->service, sonde_str_from(cases[i].want_service)) ||
            !sonde_str_eq(out->name, sonde_str_from(cases[i].want_name)) ||
            !sonde_str_eq(out->resource, sonde_str_from(cases[i].want_resource)))
            fail_msg("%s: %.*s, %.*s, %.*s", cases[i].label, SONDE_STR_ARG(out->service),
                     SONDE_STR_ARG(out->name), SONDE_STR_ARG(out->resource));
        if (all_fixes(p) != (cases[i].why != PROCESSOR_FIXES) ||
            (cases[i].why != PROCESSOR_FIXES && fixes(p, cases[i].why) != 1))
            fail_msg("%s: wrong counter", cases[i].label);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_long_fields_are_cut_and_counted(void **state)
{
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;
    const payload_span *out;

    (void)state;
    s.service = repeated('s', 101);
    s.name = repeated('s', 101);
    s.type = repeated('s', 101);
    s.resource = repeated('s', 5001);
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    out = &pl->chunks[0].spans[0];

    assert_int_equal(out->service.len, 100);
    assert_int_equal(out->name.len, 100);
    assert_int_equal(out->type.len, 100);
    assert_int_equal(out->resource.len, 5000);
    assert_int_equal(fixes(p, PROCESSOR_FIX_SERVICE_TRUNCATE), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_SPAN_NAME_TRUNCATE), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_TYPE_TRUNCATE), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_RESOURCE_TRUNCATE), 1);
    payload_free(pl);
    processor_close(p);
}

static void test_a_long_text_of_nothing_valid_counts_once(void **state)
{
    char stars[150];
    span_meta meta[] = { { SONDE_STR("peer.service"), { stars, sizeof(stars) } },
                         { SONDE_STR("_dd.base_service"), { stars, sizeof(stars) } } };
    payload_span s = good_span();
    processor *p = open_processor();
    payload *pl;

    (void)state;
    memset(stars, '*', sizeof(stars));
    s.service = s.name = (sonde_str){ stars, sizeof(stars) };
    s.meta = meta;
    s.meta_len = COUNT_OF(meta);
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    assert_int_equal(all_fixes(p), 4);
    assert_int_equal(fixes(p, PROCESSOR_FIX_SERVICE_INVALID), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_SPAN_NAME_INVALID), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_PEER_SERVICE_INVALID), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_BASE_SERVICE_INVALID), 1);
    payload_free(pl);
    processor_close(p);
}

static void test_cuts_never_split_a_letter(void **state)
{
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;
    char type[102];

    (void)state;
    memset(type, 'a', 99);
    memcpy(type + 99, "\xc3\xa9", 3); /* bytes 99 and 100 */
    s.type = (sonde_str){ type, 101 };
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].spans[0].type.len, 99);
    payload_free(pl);
    processor_close(p);
}

static void test_times_are_repaired_duration_first(void **state)
{
    static const struct {
        const char *label;
        int64_t start, duration, want_start, want_duration;
        uint64_t bad_start, bad_duration;
    } cases[] = {
        { "good", NOW, 5, NOW, 5, 0, 0 },
        { "negative duration", NOW, -1, NOW, 0, 0, 1 },
        { "sum overflows", NOW, INT64_MAX, NOW, 0, 0, 1 },
        { "sum reaches the limit", NOW, INT64_MAX - NOW, NOW, INT64_MAX - NOW, 0, 0 },
        { "start before 2000", 946684799999999999, 5, NOW - 5, 5, 1, 0 },
        { "start at 2000", 946684800000000000, 5, 946684800000000000, 5, 0, 0 },
        { "start zero, duration too long to fit before now", 0, NOW + 1, NOW, NOW + 1, 1, 0 },
        { "start negative", -5, 1, NOW - 1, 1, 1, 0 },
        { "centuries that would end after the last nanosecond", -1, INT64_MAX, NOW, 0, 1, 1 },
        { "both bad: the start uses the repaired duration", 0, -9, NOW, 0, 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        processor *p = open_processor();
        payload_span s = good_span();
        payload *pl;

        s.start = cases[i].start;
        s.duration = cases[i].duration;
        pl = payload_of(&s, 1);
        processor_run(p, pl);
        if (pl->chunks[0].spans[0].start != cases[i].want_start ||
            pl->chunks[0].spans[0].duration != cases[i].want_duration ||
            fixes(p, PROCESSOR_FIX_INVALID_START_DATE) != cases[i].bad_start ||
            fixes(p, PROCESSOR_FIX_INVALID_DURATION) != cases[i].bad_duration)
            fail_msg("%s: start %lld, duration %lld", cases[i].label,
                     (long long)pl->chunks[0].spans[0].start,
                     (long long)pl->chunks[0].spans[0].duration);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_known_tags_are_repaired(void **state)
{
    static const struct {
        const char *key, *in, *want; /* NULL: removed */
        processor_fix why;
    } cases[] = {
        { "env", "Prod Env", "prod_env", PROCESSOR_FIXES },
        { "env", "", "", PROCESSOR_FIXES },
        { "peer.service", "My DB", "my_db", PROCESSOR_FIXES },
        { "peer.service", "***", "", PROCESSOR_FIX_PEER_SERVICE_INVALID },
        { "_dd.base_service", "Base", "base", PROCESSOR_FIXES },
        { "_dd.base_service", "!", "", PROCESSOR_FIX_BASE_SERVICE_INVALID },
        { "http.status_code", "200", "200", PROCESSOR_FIXES },
        { "http.status_code", "100", "100", PROCESSOR_FIXES },
        { "http.status_code", "599", "599", PROCESSOR_FIXES },
        { "http.status_code", "600", NULL, PROCESSOR_FIX_INVALID_HTTP_STATUS_CODE },
        { "http.status_code", "99", NULL, PROCESSOR_FIX_INVALID_HTTP_STATUS_CODE },
        { "http.status_code", "abc", NULL, PROCESSOR_FIX_INVALID_HTTP_STATUS_CODE },
        { "http.status_code", "", NULL, PROCESSOR_FIX_INVALID_HTTP_STATUS_CODE },
        { "http.status_code", "-200", NULL, PROCESSOR_FIX_INVALID_HTTP_STATUS_CODE },
        { "other", "Stays AS is", "Stays AS is", PROCESSOR_FIXES },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        span_meta meta[] = { { SONDE_STR("before"), SONDE_STR("1") },
                             { sonde_str_from(cases[i].key), sonde_str_from(cases[i].in) },
                             { SONDE_STR("after"), SONDE_STR("2") } };
        processor *p = open_processor();
        payload_span s = good_span();
        const sonde_str *got;
        payload *pl;

        s.meta = meta;
        s.meta_len = COUNT_OF(meta);
        pl = payload_of(&s, 1);
        processor_run(p, pl);
        got = span_meta_get(&pl->chunks[0].spans[0], meta[1].key);
        if (!got != !cases[i].want || (got && !sonde_str_eq(*got, sonde_str_from(cases[i].want))))
            fail_msg("%s = %s", cases[i].key, cases[i].in);
        if (all_fixes(p) != (cases[i].why != PROCESSOR_FIXES) ||
            (cases[i].why != PROCESSOR_FIXES && fixes(p, cases[i].why) != 1))
            fail_msg("%s = %s: wrong counter", cases[i].key, cases[i].in);
        assert_text(*span_meta_get(&pl->chunks[0].spans[0], SONDE_STR("after")), "2");
        payload_free(pl);
        processor_close(p);
    }
}

static void test_long_service_tags_are_cut_and_counted(void **state)
{
    span_meta meta[] = { { SONDE_STR("peer.service"), repeated('p', 101) },
                         { SONDE_STR("_dd.base_service"), repeated('p', 101) } };
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;

    (void)state;
    s.meta = meta;
    s.meta_len = COUNT_OF(meta);
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].spans[0].meta[0].value.len, 100);
    assert_int_equal(pl->chunks[0].spans[0].meta[1].value.len, 100);
    assert_int_equal(fixes(p, PROCESSOR_FIX_PEER_SERVICE_TRUNCATE), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_BASE_SERVICE_TRUNCATE), 1);
    payload_free(pl);
    processor_close(p);
}

static void test_chunks_that_break_a_rule_are_removed_and_counted(void **state)
{
    static const struct {
        const char *label;
        uint64_t trace_ids[2], span_ids[2];
        const char *tids[2]; /* _dd.p.tid; NULL: absent */
        processor_drop why;  /* PROCESSOR_DROPS: kept */
    } cases[] = {
        { "good", { 1, 1 }, { 2, 3 }, { NULL, NULL }, PROCESSOR_DROPS },
        { "trace id zero", { 0, 0 }, { 2, 3 }, { NULL, NULL }, PROCESSOR_DROP_TRACE_ID_ZERO },
        { "trace id zero in the second",
          { 1, 0 },
          { 2, 3 },
          { NULL, NULL },
          PROCESSOR_DROP_TRACE_ID_ZERO },
        { "span id zero", { 1, 1 }, { 2, 0 }, { NULL, NULL }, PROCESSOR_DROP_SPAN_ID_ZERO },
        { "two traces", { 1, 2 }, { 2, 3 }, { NULL, NULL }, PROCESSOR_DROP_FOREIGN_SPAN },
        { "high halves differ", { 1, 1 }, { 2, 3 }, { "aa", "bb" }, PROCESSOR_DROP_FOREIGN_SPAN },
        { "high halves agree", { 1, 1 }, { 2, 3 }, { "aa", "aa" }, PROCESSOR_DROPS },
        { "high half on the first only", { 1, 1 }, { 2, 3 }, { "aa", NULL }, PROCESSOR_DROPS },
        { "high half on the second only", { 1, 1 }, { 2, 3 }, { NULL, "bb" }, PROCESSOR_DROPS },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_span spans[2] = { good_span(), good_span() };
        span_meta meta[2];
        processor *p = open_processor();
        const processor_counters *c = processor_read_counters(p);
        payload *pl;
        bool dropped = cases[i].why != PROCESSOR_DROPS;

        for (int k = 0; k < 2; k++) {
            spans[k].trace_id = cases[i].trace_ids[k];
            spans[k].span_id = cases[i].span_ids[k];
            meta[k] = (span_meta){ SONDE_STR("_dd.p.tid"), sonde_str_from(cases[i].tids[k]) };
            spans[k].meta = &meta[k];
            spans[k].meta_len = cases[i].tids[k] != NULL;
        }
        pl = payload_of(spans, 2);
        processor_run(p, pl);
        if (pl->chunks_len != !dropped || c->spans_received != 2 ||
            c->spans_out != (dropped ? 0 : 2) ||
            (dropped &&
             (c->spans_dropped[cases[i].why] != 2 || c->chunks_dropped[cases[i].why] != 1)))
            fail_msg("%s", cases[i].label);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_one_bad_chunk_costs_nothing_else(void **state)
{
    payload_span good = good_span(), bad = good_span();
    processor *p = open_processor();
    payload *pl = payload_of(&good, 1);
    payload_chunk chunks[4];

    (void)state;
    bad.trace_id = 0;
    chunks[0] = (payload_chunk){ .priority = PRIORITY_NONE }; /* empty */
    chunks[1] = pl->chunks[0];
    chunks[2] = (payload_chunk){ .spans = &bad, .spans_len = 1 };
    chunks[3] = pl->chunks[0];
    pl->chunks = chunks;
    pl->chunks_len = 4;
    processor_run(p, pl);

    assert_int_equal(pl->chunks_len, 2);
    assert_int_equal(processor_read_counters(p)->chunks_dropped[PROCESSOR_DROP_EMPTY_TRACE], 1);
    assert_int_equal(processor_read_counters(p)->chunks_received, 4);
    assert_int_equal(processor_read_counters(p)->chunks_out, 2);
    payload_free(pl);
    processor_close(p);
}

static void test_repeated_span_ids_are_kept_and_counted_in_short_and_long_chunks(void **state)
{
    static const uint32_t lengths[] = { 3, 12, 13, 500 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        payload_span spans[500];
        processor *p = open_processor();
        payload *pl;

        for (uint32_t k = 0; k < lengths[i]; k++) {
            spans[k] = good_span();
            spans[k].span_id = 10 + k;
        }
        spans[1].span_id = spans[0].span_id;
        spans[lengths[i] - 1].span_id = spans[0].span_id;
        pl = payload_of(spans, lengths[i]);
        processor_run(p, pl);
        assert_int_equal(pl->chunks[0].spans_len, lengths[i]);
        assert_int_equal(fixes(p, PROCESSOR_FIX_DUPLICATE_SPAN_ID), 2);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_a_span_that_is_its_own_parent_becomes_a_root(void **state)
{
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;

    (void)state;
    s.trace_id = s.span_id = s.parent_id = 7;
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].spans[0].parent_id, 0);
    payload_free(pl);
    processor_close(p);
}

#define CHUNK_SPANS 4

static void test_the_root_is_found(void **state)
{
    static const struct {
        const char *label;
        uint64_t ids[CHUNK_SPANS], parents[CHUNK_SPANS];
        uint32_t want;
    } cases[] = {
        { "one without parent", { 1, 2, 3, 4 }, { 0, 1, 1, 2 }, 0 },
        { "the last of two without parent", { 1, 2, 3, 4 }, { 0, 1, 0, 3 }, 2 },
        { "one whose parent is elsewhere", { 1, 2, 3, 4 }, { 2, 9, 2, 1 }, 1 },
        { "the first of several whose parents are elsewhere", { 1, 2, 3, 4 }, { 2, 9, 8, 1 }, 1 },
        { "a circle: the last", { 1, 2, 3, 4 }, { 2, 3, 4, 1 }, 3 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_span spans[CHUNK_SPANS];
        processor *p = open_processor();
        payload *pl;

        for (int k = 0; k < CHUNK_SPANS; k++) {
            spans[k] = good_span();
            spans[k].trace_id = 99;
            spans[k].span_id = cases[i].ids[k];
            spans[k].parent_id = cases[i].parents[k];
        }
        pl = payload_of(spans, CHUNK_SPANS);
        processor_run(p, pl);
        if (pl->chunks[0].root != cases[i].want)
            fail_msg("%s: %u", cases[i].label, pl->chunks[0].root);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_chunk_attributes_come_from_root_then_others(void **state)
{
    static const struct {
        const char *label;
        double on_root, on_child; /* priority; -1000: absent */
        int32_t want;
    } cases[] = {
        { "none", -1000, -1000, PRIORITY_NONE }, { "on the root", 2, 0, 2 },
        { "on a child only", -1000, -1, -1 },    { "with a fraction", 1.9, -1000, 1 },
        { "huge", 1e300, -1000, INT32_MAX },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_span spans[2] = { good_span(), good_span() }; /* the child comes first */
        span_metric metrics[2] = { { SONDE_STR("_sampling_priority_v1"), cases[i].on_child },
                                   { SONDE_STR("_sampling_priority_v1"), cases[i].on_root } };
        span_meta meta[] = { { SONDE_STR("_dd.origin"), SONDE_STR("synthetics") },
                             { SONDE_STR("_dd.p.dm"), SONDE_STR("-3") } };
        processor *p = open_processor();
        payload *pl;

        spans[0].span_id = 5;
        spans[0].parent_id = 2;
        spans[0].metrics = &metrics[0];
        spans[0].metrics_len = cases[i].on_child > -1000;
        spans[1].metrics = &metrics[1];
        spans[1].metrics_len = cases[i].on_root > -1000;
        spans[1].meta = meta;
        spans[1].meta_len = 2;
        pl = payload_of(spans, 2);
        processor_run(p, pl);
        if (pl->chunks[0].priority != cases[i].want)
            fail_msg("%s: %d", cases[i].label, pl->chunks[0].priority);
        assert_text(pl->chunks[0].origin, "synthetics");
        assert_int_equal(pl->chunks[0].tags_len, 1);
        assert_text(pl->chunks[0].tags[0].value, "-3");
        assert_non_null(span_meta_get(&pl->chunks[0].spans[1], SONDE_STR("_dd.p.dm")));
        payload_free(pl);
        processor_close(p);
    }
}

static void test_top_level_is_computed_unless_the_client_did(void **state)
{
    static const struct {
        const char *label;
        bool by_client;
        bool want[3];
    } cases[] = {
        { "computed: root, other service, orphan", false, { true, false, true } },
        { "by the client: _dd.top_level is copied", true, { false, true, false } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload_span spans[3] = { good_span(), good_span(), good_span() };
        span_metric mark = { SONDE_STR("_dd.top_level"), 1 };
        processor *p = open_processor();
        payload *pl;

        spans[0].span_id = 1;
        spans[1].span_id = 2;
        spans[1].parent_id = 1; /* same service */
        spans[2].span_id = 3;
        spans[2].parent_id = 2;
        spans[2].service = SONDE_STR("db");
        if (cases[i].by_client) {
            spans[1].metrics = &mark;
            spans[1].metrics_len = 1;
        }
        pl = payload_of(spans, 3);
        pl->client_computed_top_level = cases[i].by_client;
        processor_run(p, pl);
        for (int k = 0; k < 3; k++) {
            const double *top = span_metric_get(&pl->chunks[0].spans[k], SONDE_STR("_top_level"));

            if ((top && *top == 1) != cases[i].want[k])
                fail_msg("%s: span %d", cases[i].label, k);
        }
        payload_free(pl);
        processor_close(p);
    }
}

static void test_a_service_changed_by_normalisation_still_matches_its_parent(void **state)
{
    payload_span spans[2] = { good_span(), good_span() };
    processor *p = open_processor();
    payload *pl;

    (void)state;
    spans[0].span_id = 1;
    spans[0].service = SONDE_STR("Web");
    spans[1].span_id = 2;
    spans[1].parent_id = 1;
    spans[1].service = SONDE_STR("web");
    pl = payload_of(spans, 2);
    processor_run(p, pl);
    assert_false(span_is_top_level(&pl->chunks[0].spans[1]));
    payload_free(pl);
    processor_close(p);
}

static void test_long_tags_end_in_dots_but_documents_stay(void **state)
{
    static char key201[202], key_exempt[300];
    span_meta meta[4];
    span_metric metric;
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;
    const payload_span *out;

    (void)state;
    memset(key201, 'k', 201);
    memset(key_exempt, 'k', sizeof(key_exempt));
    memcpy(key_exempt, "_dd.", 4);
    memcpy(key_exempt + sizeof(key_exempt) - 5, ".json", 5);
    meta[0] = (span_meta){ { key201, 201 }, SONDE_STR("v") };
    meta[1] = (span_meta){ SONDE_STR("long"), repeated('v', 25001) };
    meta[2] = (span_meta){ { key_exempt, sizeof(key_exempt) }, repeated('v', 25001) };
    meta[3] = (span_meta){ SONDE_STR("fits"), repeated('v', 25000) };
    metric = (span_metric){ { key201, 201 }, 1 };
    s.meta = meta;
    s.meta_len = COUNT_OF(meta);
    s.metrics = &metric;
    s.metrics_len = 1;
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    out = &pl->chunks[0].spans[0];

    assert_int_equal(out->meta[0].key.len, 203);
    assert_true(sonde_str_ends(out->meta[0].key, SONDE_STR("k...")));
    assert_int_equal(out->meta[1].value.len, 25003);
    assert_int_equal(out->meta[2].key.len, sizeof(key_exempt));
    assert_int_equal(out->meta[2].value.len, 25001);
    assert_int_equal(out->meta[3].value.len, 25000);
    assert_int_equal(out->metrics[0].key.len, 203);
    assert_int_equal(fixes(p, PROCESSOR_FIX_META_KEY_TRUNCATE), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_META_VALUE_TRUNCATE), 1);
    assert_int_equal(fixes(p, PROCESSOR_FIX_METRICS_KEY_TRUNCATE), 1);
    payload_free(pl);
    processor_close(p);
}

static void test_keys_that_become_equal_by_cutting_are_one_tag(void **state)
{
    static char keys[2][300];
    span_meta meta[2];
    span_metric metrics[2];
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;

    (void)state;
    for (int i = 0; i < 2; i++) {
        memset(keys[i], 'k', sizeof(keys[i]));
        keys[i][299] = (char)('a' + i);
        meta[i] = (span_meta){ { keys[i], sizeof(keys[i]) }, SONDE_STR("v") };
        metrics[i] = (span_metric){ { keys[i], sizeof(keys[i]) }, i };
    }
    s.meta = meta;
    s.meta_len = 2;
    s.metrics = metrics;
    s.metrics_len = 2;
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].spans[0].meta_len, 1);
    assert_int_equal(pl->chunks[0].spans[0].metrics_len, 1 + 1); /* and _top_level */
    payload_free(pl);
    processor_close(p);
}

static void test_the_client_rate_of_the_root_is_recorded_when_below_one(void **state)
{
    static const struct {
        double rate; /* < 0: absent */
        double had;  /* _dd1.sr.rcusr before; < 0: absent */
        double want; /* < 0: absent */
    } cases[] = {
        { 0.5, -1, 0.5 }, { 1, -1, -1 }, { -1, 0.3, -1 }, { 1, 0.3, -1 }, { 0.25, 0.3, 0.25 }
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        span_metric metrics[2];
        processor *p = open_processor();
        payload_span s = good_span();
        const double *got;
        payload *pl;

        s.metrics = metrics;
        if (cases[i].rate >= 0)
            metrics[s.metrics_len++] = (span_metric){ SONDE_STR("_sample_rate"), cases[i].rate };
        if (cases[i].had >= 0)
            metrics[s.metrics_len++] = (span_metric){ SONDE_STR("_dd1.sr.rcusr"), cases[i].had };
        pl = payload_of(&s, 1);
        processor_run(p, pl);
        got = span_metric_get(&pl->chunks[0].spans[0], SONDE_STR("_dd1.sr.rcusr"));
        if (!got != (cases[i].want < 0) || (got && *got != cases[i].want))
            fail_msg("row %zu", i);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_the_payload_takes_attributes_from_its_spans(void **state)
{
    payload_span spans[2] = { good_span(), good_span() };
    span_meta root_meta[] = { { SONDE_STR("_dd.hostname"), SONDE_STR("h1") },
                              { SONDE_STR("_dd.apm_mode"), SONDE_STR("EDGE") },
                              { SONDE_STR("version"), SONDE_STR("1.2") } };
    span_meta child_meta[] = { { SONDE_STR("env"), SONDE_STR("Prod") } };
    processor *p = open_processor();
    payload *pl;

    (void)state;
    spans[0].meta = root_meta;
    spans[0].meta_len = COUNT_OF(root_meta);
    spans[1].span_id = 9;
    spans[1].parent_id = spans[0].span_id;
    spans[1].meta = child_meta;
    spans[1].meta_len = 1;
    pl = payload_of(spans, 2);
    processor_run(p, pl);
    assert_text(pl->hostname, "h1");
    assert_text(pl->app_version, "1.2");
    assert_text(pl->env, "prod");
    assert_non_null(payload_tag_get(pl, SONDE_STR("_dd.apm_mode")));
    payload_free(pl);

    pl = payload_of(spans, 2); /* what the payload says itself stays, normalised */
    pl->env = SONDE_STR("My Env");
    pl->hostname = SONDE_STR("h0");
    processor_run(p, pl);
    assert_text(pl->env, "my_env");
    assert_text(pl->hostname, "h0");
    payload_free(pl);
    processor_close(p);
}

static void test_a_long_language_is_cut_in_the_name_it_gives(void **state)
{
    payload_span s = good_span();
    processor *p = open_processor();
    payload *pl;
    char lang[200];

    (void)state;
    memset(lang, 'x', sizeof(lang));
    s.service = SONDE_STR("");
    pl = payload_of(&s, 1);
    pl->language_name = (sonde_str){ lang, sizeof(lang) };
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].spans[0].service.len, 100);
    assert_true(sonde_str_ends(pl->chunks[0].spans[0].service, SONDE_STR("x-service")));
    payload_free(pl);
    processor_close(p);
}

static void test_v1_says_itself_what_others_take_from_spans(void **state)
{
    payload_span spans[2] = { good_span(), good_span() };
    span_meta meta[] = { { SONDE_STR("_dd.origin"), SONDE_STR("synthetics") },
                         { SONDE_STR("_dd.p.dm"), SONDE_STR("-3") },
                         { SONDE_STR("_dd.hostname"), SONDE_STR("h1") },
                         { SONDE_STR("env"), SONDE_STR("prod") },
                         { SONDE_STR("version"), SONDE_STR("1.2") },
                         { SONDE_STR("_dd.apm_mode"), SONDE_STR("edge") } };
    processor *p = open_processor();
    payload *pl;

    (void)state;
    spans[0].trace_id = spans[1].trace_id = 0; /* the low half of 128 bits */
    spans[0].span_id = spans[0].parent_id = 5;
    spans[0].meta = meta;
    spans[0].meta_len = COUNT_OF(meta);
    pl = payload_of(spans, 2);
    pl->endpoint_version = "v1.0";
    processor_run(p, pl);
    assert_int_equal(pl->chunks_len, 1);
    assert_int_equal(pl->chunks[0].spans[0].parent_id, 0);
    assert_text(pl->chunks[0].origin, "");
    assert_int_equal(pl->chunks[0].tags_len, 1); /* v1.0's mechanism is that tag */
    assert_text(pl->env, "");
    assert_text(pl->app_version, "");
    assert_text(pl->hostname, "");
    assert_null(payload_tag_get(pl, SONDE_STR("_dd.apm_mode")));
    payload_free(pl);

    pl = payload_of(spans, 2);
    pl->endpoint_version = "v0.7";
    processor_run(p, pl);
    assert_int_equal(pl->chunks_len, 0);
    payload_free(pl);
    processor_close(p);
}

static void test_a_decision_maker_of_the_chunk_stays(void **state)
{
    payload_span s = good_span();
    span_meta meta[] = { { SONDE_STR("_dd.p.dm"), SONDE_STR("-3") } };
    processor *p = open_processor();
    payload *pl;

    (void)state;
    s.meta = meta;
    s.meta_len = 1;
    pl = payload_of(&s, 1);
    assert_status(chunk_tag_set(&pl->chunks[0], &pl->arena, SONDE_STR("_dd.p.dm"), SONDE_STR("-4")),
                  SONDE_OK);
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].tags_len, 1);
    assert_text(pl->chunks[0].tags[0].value, "-4");
    payload_free(pl);
    processor_close(p);
}

static void test_link_names_are_normalised(void **state)
{
    span_meta attributes[] = { { SONDE_STR("link.name"), SONDE_STR("my job!") },
                               { SONDE_STR("other"), SONDE_STR("my job!") } };
    span_link link = { .attributes = attributes, .attributes_len = COUNT_OF(attributes) };
    processor *p = open_processor();
    payload_span s = good_span();
    payload *pl;

    (void)state;
    s.links = &link;
    s.links_len = 1;
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    assert_text(attributes[0].value, "my_job");
    assert_text(attributes[1].value, "my job!");
    payload_free(pl);
    processor_close(p);
}

static sonde_str random_text(sonde_rng *rng, char *out, size_t max)
{
    size_t len = sonde_rng_next(rng) % (max + 1);

    for (size_t i = 0; i < len; i++)
        out[i] = "aZ9_.-:/ !k"[sonde_rng_next(rng) % 11];
    return (sonde_str){ out, len };
}

static void test_whatever_comes_in_meets_the_rules_and_a_second_run_changes_nothing(void **state)
{
    enum { TEXT = 320 };
    static char texts[6][TEXT];
    processor *p = open_processor();
    sonde_rng rng;

    (void)state;
    sonde_rng_seed(&rng, 7);
    for (int round = 0; round < 5000; round++) {
        payload_span s = good_span();
        span_meta meta[2];
        const payload_span *out;
        sonde_str service, name;
        int64_t end, start;
        payload *pl;

        s.service = random_text(&rng, texts[0], 120);
        s.name = random_text(&rng, texts[1], 120);
        s.resource = random_text(&rng, texts[2], 30);
        s.type = random_text(&rng, texts[3], 120);
        s.start = (int64_t)sonde_rng_next(&rng);
        s.duration = (int64_t)sonde_rng_next(&rng);
        meta[0] = (span_meta){ SONDE_STR("env"), random_text(&rng, texts[4], 100) };
        meta[1] = (span_meta){ SONDE_STR("http.status_code"), random_text(&rng, texts[5], 3) };
        s.meta = meta;
        s.meta_len = 2;
        pl = payload_of(&s, 1);
        processor_run(p, pl);
        out = &pl->chunks[0].spans[0];
        service = out->service;
        name = out->name;
        start = out->start;
        if (service.len == 0 || service.len > 100 || name.len == 0 || name.len > 100 ||
            out->resource.len == 0 || out->type.len > 100 || out->duration < 0 ||
            __builtin_add_overflow(out->start, out->duration, &end))
            fail_msg("round %d", round);
        processor_run(p, pl);
        out = &pl->chunks[0].spans[0];
        if (!sonde_str_eq(out->service, service) || !sonde_str_eq(out->name, name) ||
            out->start != start)
            fail_msg("round %d: the second run changed something", round);
        payload_free(pl);
    }
    processor_close(p);
}

static void test_counters_add_up(void **state)
{
    processor *p = open_processor();
    const processor_counters *c = processor_read_counters(p);
    uint64_t dropped = 0;
    sonde_rng rng;

    (void)state;
    sonde_rng_seed(&rng, 3);
    for (int round = 0; round < 200; round++) {
        payload_span spans[5];
        uint32_t len = (uint32_t)(sonde_rng_next(&rng) % 6);
        payload *pl;

        for (uint32_t i = 0; i < len; i++) {
            spans[i] = good_span();
            spans[i].trace_id = sonde_rng_next(&rng) % 10 ? 1 : 0;
            spans[i].span_id = sonde_rng_next(&rng) % 10;
        }
        pl = payload_of(spans, len);
        processor_run(p, pl);
        payload_free(pl);
    }
    for (int i = 0; i < PROCESSOR_DROPS; i++)
        dropped += c->spans_dropped[i];
    assert_int_equal(c->payloads, 200);
    assert_true(dropped > 0 && c->spans_out > 0);
    assert_int_equal(c->spans_received, c->spans_out + dropped);
    processor_close(p);
}

static void test_a_full_arena_removes_the_chunk(void **state)
{
    payload_span s = good_span();
    payload_chunk chunk = { .spans = &s, .spans_len = 1, .priority = PRIORITY_NONE };
    processor *p = open_processor();
    payload *pl = payload_new(1);

    (void)state;
    s.service = SONDE_STR("Needs Rewriting");
    pl->chunks = &chunk;
    pl->chunks_len = 1;
    processor_run(p, pl);
    assert_int_equal(pl->chunks_len, 0);
    assert_int_equal(processor_read_counters(p)->spans_dropped[PROCESSOR_DROP_NO_MEMORY], 1);
    payload_free(pl);
    processor_close(p);
}

static void test_counters_are_written_as_json(void **state)
{
    processor *p = open_processor();
    payload_span s = good_span();
    sonde_json_writer w;
    payload *pl;
    sonde_buf out;

    (void)state;
    s.service = SONDE_STR("");
    pl = payload_of(&s, 1);
    processor_run(p, pl);
    sonde_buf_init(&out, 1 << 16);
    sonde_json_writer_init(&w, &out);
    processor_write_json(p, &w);
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"spans_out\":1"));
    assert_non_null(strstr(sonde_buf_cstr(&out), "\"service_empty\":1"));
    sonde_buf_done(&out);
    payload_free(pl);
    processor_close(p);
}

static sonde_status open_and_close(void *user)
{
    processor_options options = { 0 };
    processor *p = NULL;
    sonde_status status = processor_open(&options, &p);

    (void)user;
    processor_close(p);
    return status;
}

static void test_opening_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(open_and_close, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_span_is_left_alone),
        cmocka_unit_test(test_texts_are_repaired_and_counted),
        cmocka_unit_test(test_long_fields_are_cut_and_counted),
        cmocka_unit_test(test_a_long_text_of_nothing_valid_counts_once),
        cmocka_unit_test(test_cuts_never_split_a_letter),
        cmocka_unit_test(test_times_are_repaired_duration_first),
        cmocka_unit_test(test_known_tags_are_repaired),
        cmocka_unit_test(test_long_service_tags_are_cut_and_counted),
        cmocka_unit_test(test_chunks_that_break_a_rule_are_removed_and_counted),
        cmocka_unit_test(test_one_bad_chunk_costs_nothing_else),
        cmocka_unit_test(test_repeated_span_ids_are_kept_and_counted_in_short_and_long_chunks),
        cmocka_unit_test(test_a_span_that_is_its_own_parent_becomes_a_root),
        cmocka_unit_test(test_the_root_is_found),
        cmocka_unit_test(test_chunk_attributes_come_from_root_then_others),
        cmocka_unit_test(test_top_level_is_computed_unless_the_client_did),
        cmocka_unit_test(test_a_service_changed_by_normalisation_still_matches_its_parent),
        cmocka_unit_test(test_long_tags_end_in_dots_but_documents_stay),
        cmocka_unit_test(test_keys_that_become_equal_by_cutting_are_one_tag),
        cmocka_unit_test(test_the_client_rate_of_the_root_is_recorded_when_below_one),
        cmocka_unit_test(test_the_payload_takes_attributes_from_its_spans),
        cmocka_unit_test(test_a_long_language_is_cut_in_the_name_it_gives),
        cmocka_unit_test(test_v1_says_itself_what_others_take_from_spans),
        cmocka_unit_test(test_a_decision_maker_of_the_chunk_stays),
        cmocka_unit_test(test_link_names_are_normalised),
        cmocka_unit_test(test_whatever_comes_in_meets_the_rules_and_a_second_run_changes_nothing),
        cmocka_unit_test(test_counters_add_up),
        cmocka_unit_test(test_a_full_arena_removes_the_chunk),
        cmocka_unit_test(test_counters_are_written_as_json),
        cmocka_unit_test(test_opening_copes_without_memory),
    };

    return cmocka_run_group_tests_name("processor", tests, NULL, NULL);
}
