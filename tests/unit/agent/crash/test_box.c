/* Black boxes of the dead: what becomes a span, and what a hostile file cannot do. */
#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "agent/crash/box.h"
#include "vocab/tags.h"

#define AREAS 4u
#define BYTES (SONDE_BLACKBOX_HEADER_BYTES + AREAS * SONDE_BLACKBOX_AREA_BYTES)
#define DEATH INT64_C(1700000010000000000)
#define START INT64_C(1700000000000000000)

typedef struct box {
    int fd;
    uint8_t *bytes;
    sonde_blackbox_header *h;
    sonde_blackbox_area *areas;
} box;

static box make_box(void)
{
    static const char process[] = "\x83\xac"
                                  "service_name"
                                  "\xa3"
                                  "web"
                                  "\xab"
                                  "service_env"
                                  "\xa4"
                                  "prod"
                                  "\xaf"
                                  "tracer_language"
                                  "\xa1"
                                  "c";
    box b = { .fd = memfd_create("box", MFD_CLOEXEC | MFD_ALLOW_SEALING) };

    assert_true(b.fd >= 0);
    assert_int_equal(ftruncate(b.fd, BYTES), 0);
    b.bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0);
    assert_true(b.bytes != MAP_FAILED);
    b.h = (sonde_blackbox_header *)(void *)b.bytes;
    b.areas = (sonde_blackbox_area *)(void *)(b.bytes + SONDE_BLACKBOX_HEADER_BYTES);
    *b.h = (sonde_blackbox_header){ .magic = SONDE_BLACKBOX_MAGIC,
                                    .version = SONDE_BLACKBOX_VERSION,
                                    .header_bytes = SONDE_BLACKBOX_HEADER_BYTES,
                                    .area_bytes = SONDE_BLACKBOX_AREA_BYTES,
                                    .areas = AREAS,
                                    .place_bytes = SONDE_BLACKBOX_PLACE_BYTES,
                                    .places = SONDE_BLACKBOX_PLACES,
                                    .places_at = SONDE_BLACKBOX_PLACES_AT,
                                    .state = SONDE_BLACKBOX_RUNNING,
                                    .process_bytes = sizeof(process) - 1 };
    memcpy(b.h->process, process, sizeof(process) - 1);
    return b;
}

static void free_box(box *b)
{
    (void)munmap(b->bytes, BYTES);
    (void)close(b->fd);
}

static sonde_blackbox_place *open_span(box *b, unsigned area, unsigned place, uint64_t id,
                                       uint64_t trace)
{
    sonde_blackbox_place *p = &b->areas[area].places[place];

    *p = (sonde_blackbox_place){ .span_id = id,
                                 .trace_id_low = trace,
                                 .start_unix_ns = START,
                                 .priority = SONDE_BLACKBOX_UNDECIDED,
                                 .name_len = 4,
                                 .resource_len = 5 };
    memcpy(p->name, "work", 4);
    memcpy(p->resource, "GET /", 5);
    b->areas[area].record.tid = 100 + area;
    memcpy(b->areas[area].thread_name, "worker", 7);
    return p;
}

static payload *read_box(const box *b, box_counts *n)
{
    const box_death death = { BOX_SIGNAL, SIGSEGV, 4242, DEATH, NULL };

    return box_read(b->fd, &death, n);
}

static void assert_meta(const payload_span *s, const char *key, const char *want)
{
    const sonde_str *have = span_meta_get(s, sonde_str_from(key));

    if (!have || !sonde_str_eq(*have, sonde_str_from(want)))
        fail_msg("%s is %.*s, want %s", key, have ? (int)have->len : 0, have ? have->ptr : "",
                 want);
}

static double metric(const payload_span *s, const char *key)
{
    const double *have = span_metric_get(s, sonde_str_from(key));

    return have ? *have : -99.0;
}

static void test_open_spans_become_a_chunk_for_each_trace(void **state)
{
    box b = make_box();
    box_counts n;
    payload *p;
    const payload_span *s;

    (void)state;
    open_span(&b, 0, 0, 11, 7)->trace_id_high = UINT64_C(0x6740000000000000);
    open_span(&b, 1, 27, 12, 7)->trace_id_high = UINT64_C(0x6740000000000000);
    b.areas[1].places[27].start_unix_ns = START + 5;
    b.areas[1].places[27].parent_id = 11;
    b.areas[0].places[0].priority = 2;
    (void)open_span(&b, 3, 5, 13, 8);
    b.h->spans_without_place = 3;

    p = read_box(&b, &n);
    assert_non_null(p);
    assert_int_equal(n.spans, 3);
    assert_int_equal(n.unplaced, 3);
    assert_int_equal(p->chunks_len, 2);
    assert_int_equal(p->chunks[0].spans_len, 1); /* trace 8 has no upper half: first */
    assert_int_equal(p->chunks[1].spans_len, 2);

    s = &p->chunks[1].spans[0];
    assert_int_equal(s->span_id, 11);
    assert_true(sonde_str_eq(s->name, SONDE_STR("work")));
    assert_true(sonde_str_eq(s->service, SONDE_STR("web")));
    assert_int_equal(s->start, START);
    assert_int_equal(s->duration, DEATH - START);
    assert_int_equal(s->error, 1);
    assert_meta(s, "error.type", "unfinished");
    assert_meta(s, "error.message", "process 4242 ended with this span open: signal:SIGSEGV");
    assert_meta(s, "sonde.end_cause", "signal:SIGSEGV");
    assert_meta(s, "thread.name", "worker");
    assert_meta(s, "env", "prod");
    assert_meta(s, "language", "c");
    assert_meta(s, "_dd.p.tid", "6740000000000000");
    assert_true(metric(s, "_sampling_priority_v1") >= 2.0);
    assert_true(metric(s, "thread.id") >= 100.0 && metric(s, "thread.id") <= 100.0);
    assert_true(metric(s, "sonde.unfinished") >= 1.0);
    assert_null(span_meta_get(&p->chunks[1].spans[1], SONDE_STR("_dd.p.tid")));
    /* undecided: kept */
    assert_true(metric(&p->chunks[0].spans[0], "_sampling_priority_v1") <= 1.0);
    payload_free(p);
    free_box(&b);
}

static void test_texts_and_times_are_not_believed(void **state)
{
    box b = make_box();
    box_counts n;
    payload *p;
    const payload_span *s;

    (void)state;
    open_span(&b, 0, 0, 1, 1)->seq = 5; /* torn */
    open_span(&b, 0, 1, 2, 2)->name_len = 200;
    memcpy(open_span(&b, 0, 2, 3, 3)->name, "\xff\xff\xff\xff", 4);
    open_span(&b, 0, 3, 4, 4)->start_unix_ns = DEATH + 1;
    open_span(&b, 0, 4, 5, 5)->start_unix_ns = INT64_MIN;
    memset(b.areas[0].thread_name, 'x', SONDE_BLACKBOX_THREAD_MAX);

    p = read_box(&b, &n);
    assert_non_null(p);
    assert_int_equal(n.spans, 5);
    assert_int_equal(n.torn, 1);
    s = p->chunks[0].spans;
    assert_int_equal(s->name.len, 0);
    assert_int_equal(s->resource.len, 0);
    assert_int_equal(s->start, START); /* times and ids stay */
    assert_meta(s, "thread.name", "xxxxxxxxxxxxxxxx");
    assert_int_equal(p->chunks[1].spans[0].name.len, 0);
    assert_int_equal(p->chunks[1].spans[0].resource.len, 5);
    assert_int_equal(p->chunks[2].spans[0].name.len, 0);
    assert_int_equal(p->chunks[3].spans[0].duration, 1);
    assert_int_equal(p->chunks[4].spans[0].duration, 1);
    payload_free(p);
    free_box(&b);
}

static void test_an_agent_that_slept_takes_the_last_sign_of_life(void **state)
{
    box b = make_box();
    box_counts n;
    payload *p;

    (void)state;
    (void)open_span(&b, 0, 0, 1, 1);
    b.h->heartbeat_unix_ns = (uint64_t)START + 2000000000u;
    p = read_box(&b, &n);
    assert_non_null(p);
    assert_int_equal(p->chunks[0].spans[0].duration, DEATH - START); /* eight seconds: not asleep */
    payload_free(p);
    b.areas[0].places[0].start_unix_ns = START - 100000000000;
    b.h->heartbeat_unix_ns = (uint64_t)START - 1000000000u;
    p = read_box(&b, &n);
    assert_non_null(p);
    assert_int_equal(p->chunks[0].spans[0].duration, 100000000000);
    payload_free(p);
    free_box(&b);
}

static void test_a_header_that_lies_gives_nothing(void **state)
{
    static const size_t fields[] = { 0, 4, 8, 12, 20, 24, 28 };
    box_counts n;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(fields); i++) {
        box b = make_box();

        (void)open_span(&b, 0, 0, 1, 1);
        b.bytes[fields[i]] ^= 1;
        if (read_box(&b, &n))
            fail_msg("byte %zu does not matter", fields[i]);
        free_box(&b);
    }
    {
        box b = make_box();
        payload *p;

        (void)open_span(&b, 3, 0, 1, 1);
        b.h->areas = 2000; /* more than the file has */
        b.h->process_bytes = 1u << 30;
        p = read_box(&b, &n);
        assert_non_null(p);
        assert_int_equal(n.spans, 1);
        payload_free(p);
        b.h->areas = UINT32_MAX;
        assert_null(read_box(&b, &n));
        free_box(&b);
    }
}

static void test_only_sealed_files_of_the_said_size_are_taken(void **state)
{
    box b = make_box();

    (void)state;
    assert_int_equal(box_check(b.fd, BYTES), SONDE_CRASH_BAD_SEALS);
    assert_int_equal(fcntl(b.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(box_check(b.fd, BYTES), SONDE_CRASH_BAD_SEALS);
    assert_int_equal(fcntl(b.fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    assert_int_equal(box_check(b.fd, BYTES), SONDE_CRASH_ACCEPTED);
    assert_int_equal(box_check(b.fd, BYTES + 1), SONDE_CRASH_BAD_SIZE);
    assert_int_equal(box_check(STDIN_FILENO, BYTES), SONDE_CRASH_BAD_SIZE);
    free_box(&b);
}

static void test_causes_have_names(void **state)
{
    static const struct {
        box_death death;
        const char *text;
    } cases[] = {
        { { BOX_SIGNAL, SIGKILL, 1, 0, NULL }, "signal:SIGKILL" },
        { { BOX_SIGNAL, 12345, 1, 0, NULL }, "signal:12345" },
        { { BOX_OOM_KILL, 0, 1, 0, NULL }, "oom_kill" },
        { { BOX_EXIT, 3, 1, 0, NULL }, "exit:3" },
        { { BOX_UNKNOWN, 0, 1, 0, NULL }, "unknown" },
    };
    char text[BOX_CAUSE_ROOM];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        box_cause_text(&cases[i].death, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_the_span_that_was_active_has_the_stack(void **state)
{
    const box_crash crash = { 12, DEATH - 1, SONDE_STR("SIGSEGV"), SONDE_STR("it died"),
                              SONDE_STR("#0 f\n") };
    const box_death death = { BOX_SIGNAL, SIGSEGV, 4242, DEATH, &crash };
    box b = make_box();
    box_counts n;
    payload *p;
    const payload_span *s;

    (void)state;
    open_span(&b, 0, 0, 11, 7);
    open_span(&b, 0, 1, 12, 7)->start_unix_ns++;
    b.areas[0].record.span_id_host = 12;
    assert_int_equal(box_active_span(b.fd, 100), 0); /* the record is not valid */
    b.areas[0].record.valid = 1;
    assert_int_equal(box_active_span(b.fd, 100), 12);
    assert_int_equal(box_active_span(b.fd, 999), 0);
    p = box_read(b.fd, &death, &n);
    assert_non_null(p);
    assert_int_equal(p->chunks[0].spans[0].events_len, 0);
    assert_null(span_meta_get(&p->chunks[0].spans[0], SONDE_STR(SONDE_TAG_ERROR_STACK)));
    s = &p->chunks[0].spans[1];
    assert_meta(s, SONDE_TAG_ERROR_STACK, "#0 f\n");
    assert_meta(s, SONDE_TAG_ERROR_TYPE, "unfinished");
    assert_int_equal(s->events_len, 1);
    assert_true(sonde_str_eq(s->events[0].name, SONDE_STR("exception")));
    assert_int_equal(s->events[0].time_unix_nano, DEATH - 1);
    assert_int_equal(s->events[0].attributes_len, 3);
    assert_true(sonde_str_eq(s->events[0].attributes[2].value.str, SONDE_STR("#0 f\n")));
    payload_free(p);
    free_box(&b);
}

static void test_a_full_box_is_read_whole(void **state)
{
    box b = make_box();
    box_counts n;
    unsigned area, place;
    payload *p;

    (void)state;
    for (area = 0; area < AREAS; area++)
        for (place = 0; place < SONDE_BLACKBOX_PLACES; place++)
            (void)open_span(&b, area, place, area * 100 + place + 1, 9);
    p = read_box(&b, &n);
    assert_non_null(p);
    assert_int_equal(n.spans, AREAS * SONDE_BLACKBOX_PLACES);
    assert_int_equal(p->chunks_len, 1);
    payload_free(p);
    free_box(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_spans_become_a_chunk_for_each_trace),
        cmocka_unit_test(test_texts_and_times_are_not_believed),
        cmocka_unit_test(test_an_agent_that_slept_takes_the_last_sign_of_life),
        cmocka_unit_test(test_a_header_that_lies_gives_nothing),
        cmocka_unit_test(test_only_sealed_files_of_the_said_size_are_taken),
        cmocka_unit_test(test_causes_have_names),
        cmocka_unit_test(test_the_span_that_was_active_has_the_stack),
        cmocka_unit_test(test_a_full_box_is_read_whole),
    };

    return cmocka_run_group_tests_name("box", tests, NULL, NULL);
}
