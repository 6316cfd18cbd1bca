/* test_span_items.c - links and events on the wire, read with msgpack-c's unpacker. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <msgpack.h>

#include "base/parse.h"
#include "base/str.h"
#include "sonde/sonde.h"
#include "support/fake_agent.h"

static fake_agent *agent;
static msgpack_unpacked last;
static uint8_t *last_bytes;

/* The one span of the one chunk of the last payload. */
static const msgpack_object *flush_and_read(void)
{
    size_t len;

    assert_status(sonde_flush(60000), SONDE_OK);
    free(last_bytes);
    msgpack_unpacked_destroy(&last);
    msgpack_unpacked_init(&last);
    last_bytes = fake_agent_last_body(agent, &len);
    assert_int_equal(msgpack_unpack_next(&last, (const char *)last_bytes, len, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    return &last.data.via.array.ptr[0].via.array.ptr[0];
}

static const msgpack_object *member(const msgpack_object *map, const char *key)
{
    uint32_t i;

    if (!map)
        return NULL;
    for (i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        if (kv->key.via.str.size == strlen(key) &&
            memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
            return &kv->val;
    }
    return NULL;
}

static void assert_str(const msgpack_object *value, const char *want)
{
    if (!value || !want) {
        assert_true(!value && !want);
        return;
    }
    assert_int_equal(value->type, MSGPACK_OBJECT_STR);
    if (value->via.str.size != strlen(want) || memcmp(value->via.str.ptr, want, strlen(want)) != 0)
        fail_msg("got %.*s, want %s", (int)value->via.str.size, value->via.str.ptr, want);
}

static const msgpack_object *link_at(const msgpack_object *span, uint32_t at, uint32_t of)
{
    const msgpack_object *links = member(span, "span_links");

    assert_non_null(links);
    assert_int_equal(links->via.array.size, of);
    return &links->via.array.ptr[at];
}

static uint64_t number(const msgpack_object *map, const char *key)
{
    const msgpack_object *value = member(map, key);

    assert_non_null(value);
    assert_int_equal(value->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
    return value->via.u64;
}

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

/* -- links ---------------------------------------------------------------------------------------- */

static void test_a_link_by_ids_has_what_was_given_and_nothing_else(void **state)
{
    const msgpack_object *span, *link;

    (void)state;
    {
        SONDE_SPAN(s, "ids");

        sonde_span_add_link(s, &(sonde_link){ .trace_id_low = 1234, .span_id = 5678 });
        sonde_span_add_link(s, &(sonde_link){ .trace_id_high = 7,
                                              .trace_id_low = 8,
                                              .span_id = 9,
                                              .tracestate = "dd=s:1",
                                              .flags = SONDE_LINK_NOT_SAMPLED });
        sonde_span_add_link(s, &(sonde_link){ .span_id = 9 });
        sonde_span_add_link(s, &(sonde_link){ .trace_id_low = 9 });
        sonde_span_add_link(s, NULL);
    }
    span = flush_and_read();
    assert_int_equal(span->via.map.size, 13);
    link = link_at(span, 0, 2);
    assert_int_equal(link->via.map.size, 2);
    assert_int_equal(number(link, "trace_id"), 1234);
    assert_int_equal(number(link, "span_id"), 5678);
    link = link_at(span, 1, 2);
    assert_int_equal(link->via.map.size, 5);
    assert_int_equal(number(link, "trace_id_high"), 7);
    assert_int_equal(number(link, "flags"), 0x80000000u);
    assert_str(member(link, "tracestate"), "dd=s:1");
}

static void test_attributes_of_a_link_are_texts_and_arrays_are_flat(void **state)
{
    const sonde_value inner[] = { sonde_value_int(1), sonde_value_bool(1) };
    const sonde_value list[] = { sonde_value_str("a"), sonde_value_array(inner, 2) };
    const sonde_attribute given[] = {
        sonde_attr_str("k", "first"),
        sonde_attr_int("n", -5),
        sonde_attr_double("f", 1.5),
        sonde_attr_bool("b", 0),
        sonde_attr_array("l", list, 2),
        sonde_attr_array("none", NULL, 0),
        sonde_attr_double("nan", (double)NAN),
        sonde_attr_str("null", NULL),
        sonde_attr_str("", "x"),
        sonde_attr_str("k", "last"),
        sonde_attr_str("bad", "a\xff"),
    };
    static const char *const want[][2] = { { "k", "last" },     { "n", "-5" },
                                           { "f", "1.5" },      { "b", "false" },
                                           { "l.0", "a" },      { "l.1.0", "1" },
                                           { "l.1.1", "true" }, { "bad", "a\xef\xbf\xbd" } };
    const msgpack_object *attributes;
    size_t i;

    (void)state;
    {
        SONDE_SPAN(s, "attributes");

        sonde_span_add_link(s, &(sonde_link){ .trace_id_low = 1,
                                              .span_id = 2,
                                              .attributes = given,
                                              .attributes_len = sizeof(given) / sizeof(given[0]) });
    }
    attributes = member(link_at(flush_and_read(), 0, 1), "attributes");
    assert_non_null(attributes);
    assert_int_equal(attributes->via.map.size, sizeof(want) / sizeof(want[0]));
    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_str(member(attributes, want[i][0]), want[i][1]);
}

static void test_a_link_to_an_open_span_takes_its_decision_and_tracestate(void **state)
{
    sonde_span *other = sonde_span_start("other", NULL);
    uint64_t id = sonde_span_id(other);
    uint64_t low = sonde_span_trace_id_low(other);
    const msgpack_object *link;
    char want[64];

    (void)state;
    sonde_span_drop(other);
    {
        SONDE_SPAN_WITH(s, "to", &(sonde_span_options){ .new_trace = 1 });

        sonde_span_add_link(s, &(sonde_link){ .to = other });
    }
    link = link_at(flush_and_read(), 0, 1);
    assert_int_equal(number(link, "trace_id"), low);
    assert_int_equal(number(link, "span_id"), id);
    assert_true(number(link, "trace_id_high") > 0);
    assert_int_equal(number(link, "flags"), 0x80000000u);
    (void)snprintf(want, sizeof(want), "dd=s:-1;p:%016llx", (unsigned long long)id);
    assert_str(member(link, "tracestate"), want);
    sonde_span_finish(other);
    (void)flush_and_read();
}

static sonde_str header(void *user, sonde_str name)
{
    const char *const *h = (const char *const *)user;

    for (; *h; h += 2)
        if (strncasecmp(*h, name.ptr, name.len) == 0 && (*h)[name.len] == '\0')
            return (sonde_str){ h[1], strlen(h[1]) };
    return (sonde_str){ NULL, 0 };
}

static void test_a_link_to_a_received_context_passes_on_what_came_with_it(void **state)
{
    static const struct {
        const char *label;
        const char *headers[9];
        uint64_t high;
        uint32_t flags; /* 0: none */
        const char *tracestate;
    } rows[] = {
        { "datadog headers become a tracestate",
          { "x-datadog-trace-id", "1234567890", "x-datadog-parent-id", "9876543210",
            "x-datadog-sampling-priority", "2", "x-datadog-origin", "synthetics", NULL },
          0,
          SONDE_LINK_SAMPLED,
          "dd=s:2;o:synthetics" },
        { "without a priority nothing is known",
          { "x-datadog-trace-id", "1234567890", "x-datadog-parent-id", "9876543210", NULL },
          0,
          0,
          NULL },
        { "w3c",
          { "traceparent", "00-000000000000000a00000000499602d2-000000024cb016ea-00", "tracestate",
            "foo=1,dd=s:0;t.x:y", NULL },
          10,
          SONDE_LINK_NOT_SAMPLED,
          "dd=s:0;t.x:y,foo=1" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_reader reader = { .get = header, .user = (void *)(uintptr_t)rows[i].headers };
        sonde_context *from = sonde_extract(&reader);
        const msgpack_object *link;
        {
            SONDE_SPAN(s, rows[i].label);
            sonde_span_add_link(s, &(sonde_link){ .context = from });
        }
        sonde_context_release(from);
        link = link_at(flush_and_read(), 0, 1);
        assert_int_equal(number(link, "trace_id"), 1234567890);
        assert_int_equal(number(link, "span_id"), 9876543210u);
        assert_str(member(link, "tracestate"), rows[i].tracestate);
        if (rows[i].flags)
            assert_int_equal(number(link, "flags"), rows[i].flags);
        else
            assert_null(member(link, "flags"));
        if (rows[i].high)
            assert_int_equal(number(link, "trace_id_high"), rows[i].high);
    }
}

static void test_an_older_callers_link_has_no_more_than_it_knows(void **state)
{
    sonde_link link = { .struct_bytes = offsetof(sonde_link, attributes),
                        .trace_id_low = 1,
                        .span_id = 2,
                        .tracestate = "not there yet" };

    (void)state;
    {
        SONDE_SPAN(s, "older");
        sonde_span_add_link(s, &link);
    }
    assert_null(member(link_at(flush_and_read(), 0, 1), "tracestate"));
}

/* -- events --------------------------------------------------------------------------------------- */

static void test_events_are_json_for_an_agent_that_does_not_know_them(void **state)
{
    const sonde_value list[] = { sonde_value_str("p"), sonde_value_str("q\"") };
    const sonde_value mixed[] = { sonde_value_str("p"), sonde_value_int(1) };
    const sonde_value nested[] = { sonde_value_array(list, 2) };
    const sonde_attribute given[] = {
        sonde_attr_str("a", "x"),
        sonde_attr_int("n", INT64_MIN),
        sonde_attr_double("f", 1.5),
        sonde_attr_bool("b", 1),
        sonde_attr_array("l", list, 2),
        sonde_attr_array("mixed", mixed, 2),
        sonde_attr_array("deep", nested, 1),
        sonde_attr_double("inf", (double)INFINITY),
        sonde_attr_array("empty", NULL, 0),
    };
    const msgpack_object *span;
    uint64_t before = counters().tags_dropped;

    (void)state;
    {
        SONDE_SPAN(s, "events");

        sonde_span_add_event_at(s, SONDE_STR("evt"), 1700000000000000000, given,
                                sizeof(given) / sizeof(given[0]));
        sonde_span_add_event_at(s, SONDE_STR("bare"), 5, NULL, 0);
        sonde_span_add_event(s, NULL, NULL, 0);
        sonde_span_add_event(s, "", NULL, 0);
        sonde_span_set_str(s, "events", "the place is taken");
    }
    span = flush_and_read();
    assert_int_equal(span->via.map.size, 12);
    assert_str(
        member(member(span, "meta"), "events"),
        "[{\"name\":\"evt\",\"time_unix_nano\":1700000000000000000,\"attributes\":{"
        "\"a\":\"x\",\"n\":-9223372036854775808,\"f\":1.5,\"b\":true,\"l\":[\"p\",\"q\\\"\"],"
        "\"empty\":[]}},{\"name\":\"bare\",\"time_unix_nano\":5}]");
    assert_int_equal(member(span, "error")->via.u64, 0);
    assert_int_equal(counters().tags_dropped - before, 3);
}

static void test_an_event_without_a_time_happens_now(void **state)
{
    const msgpack_object *text;
    uint64_t start, at = 0;
    sonde_str digits;

    (void)state;
    {
        SONDE_SPAN(s, "now");
        sonde_span_add_event(s, "tick", NULL, 0);
    }
    text = member(member(flush_and_read(), "meta"), "events");
    assert_non_null(text);
    start = number(&last.data.via.array.ptr[0].via.array.ptr[0], "start");
    digits = sonde_str_sub((sonde_str){ text->via.str.ptr, text->via.str.size },
                           sizeof("[{'name':'tick','time_unix_nano':") - 1, 19);
    assert_status(sonde_parse_u64(digits, &at), SONDE_OK);
    assert_in_range(at, start - 1000000000u, start + 60000000000u);
}

static void test_events_that_would_be_cut_off_as_json_are_left_out_and_counted(void **state)
{
    static char text[9000];
    sonde_attribute a;
    uint64_t before = counters().events_dropped;
    const msgpack_object *json;
    int i;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    a = sonde_attr_str("a", text);
    {
        SONDE_SPAN(s, "long");
        for (i = 0; i < 4; i++)
            sonde_span_add_event(s, "big", &a, 1);
        sonde_span_add_event(s, "small", NULL, 0);
    }
    json = member(member(flush_and_read(), "meta"), "events");
    assert_in_range(json->via.str.size, 18000, 25000);
    assert_non_null(strstr(json->via.str.ptr, "\"small\""));
    assert_int_equal(counters().events_dropped - before, 2);
}

static void test_an_exception_is_an_event_and_error_tags_but_no_failure(void **state)
{
    const msgpack_object *span;

    (void)state;
    {
        SONDE_SPAN(s, "exception");
        sonde_span_record_exception(s, "E", "m", NULL);
    }
    span = flush_and_read();
    assert_str(member(member(span, "meta"), "error.type"), "E");
    assert_str(member(member(span, "meta"), "error.message"), "m");
    assert_str(member(member(span, "meta"), "error.stack"), NULL);
    assert_int_equal(number(span, "error"), 0);
    assert_non_null(strstr(member(member(span, "meta"), "events")->via.str.ptr,
                           "{\"exception.type\":\"E\",\"exception.message\":\"m\"}"));
}

static void test_an_agent_that_knows_events_gets_them_natively(void **state)
{
    sonde_options o = { .service = "unit", .agent_url = fake_agent_url(agent) };
    const sonde_attribute a = sonde_attr_str("a", "x");
    const msgpack_object *span, *event;

    (void)state;
    sonde_stop();
    fake_agent_info(agent, "{\"span_events\":true}", "state");
    assert_status(sonde_start(&o), SONDE_OK);
    {
        SONDE_SPAN(s, "native");
        sonde_span_add_event_at(s, SONDE_STR("evt"), 7, &a, 1);
    }
    span = flush_and_read();
    assert_int_equal(span->via.map.size, 13);
    assert_null(member(member(span, "meta"), "events"));
    event = &member(span, "span_events")->via.array.ptr[0];
    assert_str(member(event, "name"), "evt");
    assert_int_equal(number(event, "time_unix_nano"), 7);
    assert_str(member(member(member(event, "attributes"), "a"), "string_value"), "x");
}

static void test_a_program_decides_the_form_of_events_over_the_agent(void **state)
{
    static const struct {
        const char *told, *info;
        bool native;
    } cases[] = { { "false", "{\"span_events\":true}", false },
                  { "true", "{\"span_events\":false}", true } };
    sonde_options o = { .service = "unit", .agent_url = fake_agent_url(agent) };
    const msgpack_object *span;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_stop();
        assert_int_equal(setenv("DD_TRACE_NATIVE_SPAN_EVENTS", cases[i].told, 1), 0);
        fake_agent_info(agent, cases[i].info, cases[i].told);
        assert_status(sonde_start(&o), SONDE_OK);
        {
            SONDE_SPAN(s, "told");
            sonde_span_add_event(s, "evt", NULL, 0);
        }
        span = flush_and_read();
        if ((member(span, "span_events") != NULL) != cases[i].native ||
            (member(member(span, "meta"), "events") == NULL) != cases[i].native)
            fail_msg("told %s", cases[i].told);
    }
    unsetenv("DD_TRACE_NATIVE_SPAN_EVENTS");
}

/* -- limits --------------------------------------------------------------------------------------- */

static void test_links_and_events_beyond_the_ceilings_are_counted(void **state)
{
    static char text[25001];
    sonde_counters before = counters();
    const msgpack_object *span;
    int i;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    {
        SONDE_SPAN(s, "ceilings");
        const sonde_attribute three[] = { sonde_attr_str("a", text), sonde_attr_str("b", text),
                                          sonde_attr_str("c", text) };

        sonde_span_add_event(s, "too long", three, 3);
        for (i = 0; i < 1026; i++)
            sonde_span_add_link(s, &(sonde_link){ .trace_id_low = 1, .span_id = 2 });
        sonde_span_add_event(s, "too many", NULL, 0);
    }
    span = flush_and_read();
    assert_int_equal(member(span, "span_links")->via.array.size, 1024);
    assert_int_equal(counters().links_dropped - before.links_dropped, 2);
    assert_int_equal(counters().events_dropped - before.events_dropped, 2);
}

static void test_attributes_beyond_128_are_counted(void **state)
{
    static char keys[2000][16];
    static sonde_attribute many[2000];
    static sonde_value deep[9];
    uint64_t before = counters().tags_dropped;
    int i;

    (void)state;
    for (i = 0; i < 2000; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        many[i] = sonde_attr_int(keys[i], i);
    }
    for (i = 0; i < 9; i++)
        deep[i] = i ? sonde_value_array(&deep[i - 1], 1) : sonde_value_int(1);
    many[0] = sonde_attr("k0", deep[8]);
    {
        SONDE_SPAN(s, "many");
        sonde_span_add_link(
            s, &(sonde_link){
                   .trace_id_low = 1, .span_id = 2, .attributes = many, .attributes_len = 2000 });
    }
    assert_int_equal(member(link_at(flush_and_read(), 0, 1), "attributes")->via.map.size, 128);
    assert_int_equal(counters().tags_dropped - before, 1872);
    many[0] = sonde_attr_array("k0", &deep[8], 1);
    {
        SONDE_SPAN(s, "deep");
        sonde_span_add_link(
            s, &(sonde_link){
                   .trace_id_low = 1, .span_id = 2, .attributes = many, .attributes_len = 1 });
    }
    assert_null(member(link_at(flush_and_read(), 0, 1), "attributes"));
    assert_int_equal(counters().tags_dropped - before, 1873);
}

static void test_links_of_every_length_come_whole_through_the_cells(void **state)
{
    static char text[700];
    int len;

    (void)state;
    for (len = 1; len < 700; len += 7) {
        const msgpack_object *link;

        memset(text, 'a' + len % 26, sizeof(text));
        text[len] = '\0';
        {
            SONDE_SPAN(s, "lengths");
            sonde_span_add_link(
                s, &(sonde_link){ .trace_id_low = 1, .span_id = 2, .tracestate = text });
            sonde_span_set_str(s, "after", text);
            sonde_span_add_link(
                s, &(sonde_link){ .trace_id_low = 3, .span_id = 4, .tracestate = "t" });
        }
        link = link_at(flush_and_read(), 0, 2);
        assert_str(member(link, "tracestate"), text);
        assert_str(member(member(&last.data.via.array.ptr[0].via.array.ptr[0], "meta"), "after"),
                   text);
        assert_str(
            member(link_at(&last.data.via.array.ptr[0].via.array.ptr[0], 1, 2), "tracestate"), "t");
    }
}

static void test_null_and_finished_spans_take_none(void **state)
{
    sonde_span *s = sonde_span_start("finished", NULL);

    (void)state;
    sonde_span_finish(s);
    sonde_span_add_link(s, &(sonde_link){ .trace_id_low = 1, .span_id = 2 });
    sonde_span_add_event(s, "late", NULL, 0);
    sonde_span_record_exception(s, "a", "b", "c");
    sonde_span_add_link(NULL, &(sonde_link){ .trace_id_low = 1, .span_id = 2 });
    sonde_span_add_event(NULL, "none", NULL, 0);
    sonde_span_record_exception(NULL, "a", "b", "c");
    assert_int_equal(flush_and_read()->via.map.size, 12);
}

static void test_without_memory_links_and_events_are_counted(void **state)
{
    static char text[1001];
    sonde_options o = { .service = "unit",
                        .agent_url = fake_agent_url(agent),
                        .memory_bytes = 1 }; /* the least there may be */
    sonde_counters before, after;
    int i;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    sonde_stop();
    assert_status(sonde_start(&o), SONDE_OK);
    {
        sonde_span *spans[40];
        int j;

        for (i = 0; i < 40; i++) { /* more than all cells */
            spans[i] = sonde_span_start("full", NULL);
            for (j = 0; j < 1000; j++)
                sonde_span_set_str(spans[i], "k", text);
        }
        before = counters();
        for (i = 0; i < 20; i++) {
            sonde_span_add_link(spans[0], &(sonde_link){ .trace_id_low = 1, .span_id = 2 });
            sonde_span_add_event(spans[0], "e", NULL, 0);
        }
        after = counters();
        for (i = 0; i < 40; i++)
            sonde_span_finish(spans[i]);
    }
    assert_in_range(after.links_dropped - before.links_dropped, 10, 20);
    assert_in_range(after.events_dropped - before.events_dropped, 10, 20);
}

/* -- structured values ---------------------------------------------------------------------------- */

static void assert_bytes(const msgpack_object *value, const char *want, size_t len)
{
    assert_non_null(value);
    assert_int_equal(value->type, MSGPACK_OBJECT_BIN);
    assert_int_equal(value->via.bin.size, len);
    assert_memory_equal(value->via.bin.ptr, want, len);
}

static void start_with_info(const char *info)
{
    sonde_stop();
    fake_agent_info(agent, info, NULL);
    assert_status(sonde_start(&(sonde_options){ .agent_url = fake_agent_url(agent) }), SONDE_OK);
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
}

static uint64_t tags_dropped(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c.tags_dropped;
}

static void set_structs(sonde_span *s)
{
    static char long_text[3 + 60000] = "\xda\xea\x60";
    char key[24];
    int i;

    sonde_span_set_struct(s, "a", "\x81\xa1k\x01", 4);
    sonde_span_set_struct(s, "a", "\x81\xa1k\x02", 4); /* the last one counts */
    sonde_span_set_struct(s, "gone", "\x01", 1);
    sonde_span_set_struct(s, "gone", NULL, 0);
    sonde_span_set_struct(s, "never", NULL, 5);
    sonde_span_set_struct(s, "zero", "\x00", 1);
    memset(long_text + 3, 'x', 60000);
    sonde_span_set_struct(s, "long", long_text, sizeof(long_text));
    sonde_span_set_str(s, "a", "a tag");
    sonde_span_set_struct(s, "", "\x01", 1);
    sonde_span_set_struct(s, NULL, "\x01", 1);
    sonde_span_set_struct(NULL, "k", "\x01", 1);
    for (i = 0; i < 29; i++) { /* up to the ceiling */
        (void)snprintf(key, sizeof(key), "k%d", i);
        sonde_span_set_struct(s, key, "\xc0", 1);
    }
}

static void test_structured_values_arrive_as_they_are(void **state)
{
    const msgpack_object *span, *structs;
    sonde_span *s;
    uint64_t dropped;

    (void)state;
    start_with_info("{\"endpoints\":[\"/v0.4/traces\"],\"span_meta_structs\":true}");
    dropped = tags_dropped();
    s = sonde_span_start("s", NULL);
    set_structs(s);
    sonde_span_finish(s);
    span = flush_and_read();
    structs = member(span, "meta_struct");
    assert_int_equal(structs->via.map.size, 32);
    assert_bytes(member(structs, "a"), "\x81\xa1k\x02", 4);
    assert_bytes(member(structs, "zero"), "\x00", 1);
    assert_int_equal(member(structs, "long")->via.bin.size, 60003);
    assert_null(member(structs, "gone"));
    assert_str(member(member(span, "meta"), "a"), "a tag");
    assert_int_equal(tags_dropped(), dropped);
}

static void test_structured_values_that_cannot_be_sent_are_counted(void **state)
{
    static const struct {
        const char *label;
        const char *bytes;
        size_t len;
    } cases[] = {
        { "cut off", "\x81\xa1k", 3 },
        { "two", "\x01\x02", 2 },
        { "no msgpack", "\xc1", 1 },
    };
    static char too_long[70000];
    sonde_span *s;
    uint64_t dropped;
    size_t i;

    (void)state;
    start_with_info("{\"endpoints\":[\"/v0.4/traces\"],\"span_meta_structs\":true}");
    dropped = tags_dropped();
    s = sonde_span_start("s", NULL);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_span_set_struct(s, "k", cases[i].bytes, cases[i].len);
        if (tags_dropped() != dropped + i + 1)
            fail_msg("%s", cases[i].label);
    }
    memcpy(too_long, "\xdb\x00\x01\x11\x6b", 5);
    sonde_span_set_struct(s, "k", too_long, sizeof(too_long));
    assert_int_equal(tags_dropped(), dropped + 4);
    for (i = 0; i < 33; i++) {
        char key[24];

        (void)snprintf(key, sizeof(key), "k%zu", i);
        sonde_span_set_struct(s, key, "\x01", 1);
    }
    sonde_span_finish(s);
    assert_int_equal(member(flush_and_read(), "meta_struct")->via.map.size, 32);
    assert_int_equal(tags_dropped(), dropped + 5);
    start_with_info("{\"endpoints\":[\"/v0.4/traces\"]}"); /* an agent that does not know them */
    dropped = tags_dropped();
    s = sonde_span_start("s", NULL);
    sonde_span_set_struct(s, "k", "\x01", 1);
    sonde_span_finish(s);
    assert_null(member(flush_and_read(), "meta_struct"));
    assert_int_equal(tags_dropped(), dropped + 1);
}

static int start(void **state)
{
    sonde_options o = { .service = "unit" };

    (void)state;
    agent = fake_agent_open(NULL);
    o.agent_url = fake_agent_url(agent);
    msgpack_unpacked_init(&last);
    return sonde_start(&o) == SONDE_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sonde_stop();
    msgpack_unpacked_destroy(&last);
    free(last_bytes);
    fake_agent_close(agent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_by_ids_has_what_was_given_and_nothing_else),
        cmocka_unit_test(test_attributes_of_a_link_are_texts_and_arrays_are_flat),
        cmocka_unit_test(test_a_link_to_an_open_span_takes_its_decision_and_tracestate),
        cmocka_unit_test(test_a_link_to_a_received_context_passes_on_what_came_with_it),
        cmocka_unit_test(test_an_older_callers_link_has_no_more_than_it_knows),
        cmocka_unit_test(test_events_are_json_for_an_agent_that_does_not_know_them),
        cmocka_unit_test(test_an_event_without_a_time_happens_now),
        cmocka_unit_test(test_events_that_would_be_cut_off_as_json_are_left_out_and_counted),
        cmocka_unit_test(test_an_exception_is_an_event_and_error_tags_but_no_failure),
        cmocka_unit_test(test_links_and_events_beyond_the_ceilings_are_counted),
        cmocka_unit_test(test_attributes_beyond_128_are_counted),
        cmocka_unit_test(test_links_of_every_length_come_whole_through_the_cells),
        cmocka_unit_test(test_null_and_finished_spans_take_none),
        cmocka_unit_test(test_structured_values_arrive_as_they_are),
        cmocka_unit_test(test_structured_values_that_cannot_be_sent_are_counted),
        cmocka_unit_test(test_an_agent_that_knows_events_gets_them_natively),
        cmocka_unit_test(test_a_program_decides_the_form_of_events_over_the_agent),
        cmocka_unit_test(test_without_memory_links_and_events_are_counted),
    };

    return cmocka_run_group_tests_name("span_items", tests, start, stop);
}
