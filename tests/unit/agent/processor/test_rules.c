/* test_rules.c - where filters and replace_tags stand among the stages, and what is counted. */
#include <string.h>

#include "agent/config/config.h"
#include "agent/processor/processor.h"
#include "support/test.h"

typedef struct fixture {
    agent_config *config;
    trace_rules *rules;
    processor *p;
} fixture;

static void open_fixture(fixture *f, const char *yaml)
{
    static const char *const none[] = { NULL };
    const config_options options = { .environment = (char *const *)(uintptr_t)none };

    assert_status(config_load_text(&options, sonde_str_from(yaml), "test", &f->config, NULL),
                  SONDE_OK);
    assert_status(rules_open(f->config, 1, &f->rules, NULL), SONDE_OK);
    assert_status(
        processor_open(&(processor_options){ .config = f->config, .rules = f->rules }, &f->p),
        SONDE_OK);
}

static void close_fixture(fixture *f)
{
    processor_close(f->p);
    rules_close(f->rules);
    config_put(f->config);
}

/* Chunks of one span each. */
static payload *payload_of(const char *const *resources, uint32_t len)
{
    payload *p = payload_new(16u << 20);

    p->chunks = sonde_arena_zalloc(&p->arena, len, sizeof(*p->chunks));
    p->chunks_len = len;
    for (uint32_t i = 0; i < len; i++) {
        payload_span *s = sonde_arena_zalloc(&p->arena, 1, sizeof(*s));

        p->chunks[i].priority = PRIORITY_NONE;
        p->chunks[i].spans = s;
        p->chunks[i].spans_len = 1;
        *s = (payload_span){ .service = SONDE_STR("s"),
                             .name = SONDE_STR("op"),
                             .resource = sonde_str_from(resources[i]),
                             .type = SONDE_STR("sql"),
                             .trace_id = i + 1,
                             .span_id = 2,
                             .start = 1700000000000000000 };
    }
    return p;
}

static void test_filtered_traces_are_counted_and_gone(void **state)
{
    static const char *const resources[] = { "SELECT a", "PING 1", "SELECT b" };
    payload *pl = payload_of(resources, 3);
    const processor_counters *n;
    fixture f;

    (void)state;
    /* the resource as it came: obfuscated it would be PING ? */
    open_fixture(&f, "apm_config: {ignore_resources: [\"^PING 1$\"]}");
    processor_run(f.p, pl);
    n = processor_read_counters(f.p);
    assert_int_equal(pl->chunks_len, 2);
    assert_int_equal(n->chunks_dropped[PROCESSOR_DROP_FILTERED], 1);
    assert_int_equal(n->spans_dropped[PROCESSOR_DROP_FILTERED], 1);
    assert_int_equal(n->spans_received, n->spans_out + 1);
    payload_free(pl);
    close_fixture(&f);
}

static void test_rules_see_texts_without_values_and_cut(void **state)
{
    static char resource[9000];
    const char *const resources[] = { resource };
    payload *pl;
    fixture f;

    (void)state;
    memset(resource, 'x', sizeof(resource) - 1);
    memcpy(resource, "SELECT 5, ", 10);
    pl = payload_of(resources, 1);
    open_fixture(&f,
                 "apm_config:\n  replace_tags:\n"
                 "    - {name: resource.name, pattern: \"^SELECT \\\\? x+$\", repl: \"${0}y\"}\n"
                 "    - {name: sql.query, pattern: \"x+\", repl: \"\"}\n");
    processor_run(f.p, pl);
    assert_int_equal(pl->chunks[0].spans[0].resource.len, 5001);
    assert_true(sonde_str_ends(pl->chunks[0].spans[0].resource, SONDE_STR("xy")));
    assert_int_equal(span_meta_get(&pl->chunks[0].spans[0], SONDE_STR("sql.query"))->len, 9);
    payload_free(pl);
    close_fixture(&f);
}

static void test_a_text_that_cannot_be_replaced_does_not_pass(void **state)
{
    static char resource[5000];
    static const char begin[] =
        "apm_config: {replace_tags: [{name: resource.name, pattern: x, repl: ";
    static char yaml[2000];
    const char *const resources[] = { resource };
    payload *pl;
    fixture f;

    (void)state;
    memset(resource, 'x', sizeof(resource) - 1);
    memset(yaml, 'y', sizeof(yaml) - 1);
    memcpy(yaml, begin, sizeof(begin) - 1);
    memcpy(yaml + sizeof(yaml) - 4, "}]}", 4);
    pl = payload_of(resources, 1);
    open_fixture(&f, yaml);
    processor_run(f.p, pl);
    assert_int_equal(pl->chunks_len, 0);
    assert_int_equal(processor_read_counters(f.p)->chunks_dropped[PROCESSOR_DROP_NO_MEMORY], 1);
    payload_free(pl);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filtered_traces_are_counted_and_gone),
        cmocka_unit_test(test_rules_see_texts_without_values_and_cut),
        cmocka_unit_test(test_a_text_that_cannot_be_replaced_does_not_pass),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
