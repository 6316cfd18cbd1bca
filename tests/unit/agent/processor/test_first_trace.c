/* test_first_trace.c - agent/processor/first_trace.h: which traces name the installation. */
#include <stdio.h>
#include <string.h>

#include "agent/processor/first_trace.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static const char *const no_environment[] = { NULL };
static const char installed[] =
    "apm_config: {install_id: i-1, install_type: k8s, install_time: '1700000000'}\n";

static agent_config *config_of(const char *yaml)
{
    const config_options options = { .environment = (char *const *)no_environment };
    agent_config *c = NULL;

    assert_status(config_load_text(&options, sonde_str_from(yaml), "test", &c, NULL), SONDE_OK);
    return c;
}

/* One chunk of one span. */
static payload *payload_of(const char *service)
{
    payload *p = payload_new(1u << 20);

    p->chunks = sonde_arena_zalloc(&p->arena, 1, sizeof(*p->chunks));
    p->chunks_len = 1;
    p->chunks[0].spans = sonde_arena_zalloc(&p->arena, 1, sizeof(*p->chunks[0].spans));
    p->chunks[0].spans_len = 1;
    p->chunks[0].spans[0].service = sonde_str_from(service);
    return p;
}

static void assert_tag(const payload *p, const char *key, const char *want)
{
    const sonde_str *got = span_meta_get(&p->chunks[0].spans[0], sonde_str_from(key));

    if ((got != NULL) != (want != NULL) || (got && !sonde_str_eq(*got, sonde_str_from(want))))
        fail_msg("%s: got %.*s", key, got ? (int)got->len : 6, got ? got->ptr : "(none)");
}

static void mark(first_traces *f, const char *service, const char *want_id)
{
    payload *p = payload_of(service);

    first_traces_mark(f, p);
    assert_tag(p, "_dd.install.id", want_id);
    payload_free(p);
}

static void test_the_first_trace_of_each_service_is_marked(void **state)
{
    agent_config *c = config_of(installed);
    first_traces *f;
    payload *p;

    (void)state;
    assert_status(first_traces_open(c, 1, &f), SONDE_OK);
    p = payload_of("web");
    first_traces_mark(f, p);
    assert_tag(p, "_dd.install.id", "i-1");
    assert_tag(p, "_dd.install.type", "k8s");
    assert_tag(p, "_dd.install.time", "1700000000");
    payload_free(p);
    mark(f, "web", NULL);
    mark(f, "db", "i-1");
    mark(f, "db", NULL);
    first_traces_close(f);
    config_put(c);
}

static void test_what_the_tracer_says_stays(void **state)
{
    agent_config *c = config_of("apm_config: {install_id: i-1}\n");
    payload *p = payload_of("web");
    first_traces *f;

    (void)state;
    assert_status(first_traces_open(c, 1, &f), SONDE_OK);
    assert_status(span_meta_set(&p->chunks[0].spans[0], &p->arena, SONDE_STR("_dd.install.id"),
                                SONDE_STR("theirs")),
                  SONDE_OK);
    first_traces_mark(f, p);
    assert_tag(p, "_dd.install.id", "theirs");
    assert_tag(p, "_dd.install.type", NULL);
    payload_free(p);
    first_traces_close(f);
    config_put(c);
}

static void test_dropped_traces_are_not_marked(void **state)
{
    agent_config *c = config_of(installed);
    payload *p = payload_of("web");
    first_traces *f;

    (void)state;
    assert_status(first_traces_open(c, 1, &f), SONDE_OK);
    p->chunks[0].dropped_trace = true;
    first_traces_mark(f, p);
    assert_tag(p, "_dd.install.id", NULL);
    payload_free(p);
    mark(f, "web", "i-1");
    first_traces_close(f);
    config_put(c);
}

static void test_without_an_id_nothing_is_marked(void **state)
{
    agent_config *c = config_of("apm_config: {install_type: k8s}\n");
    first_traces *f;

    (void)state;
    assert_status(first_traces_open(c, 1, &f), SONDE_OK);
    assert_null(f);
    mark(f, "web", NULL);
    assert_status(first_traces_open(NULL, 1, &f), SONDE_OK);
    assert_null(f);
    assert_int_equal(first_traces_unmarked(f), 0);
    config_put(c);
}

static void test_services_beyond_the_bound_are_counted(void **state)
{
    agent_config *c = config_of(installed);
    first_traces *f;
    char name[32];

    (void)state;
    assert_status(first_traces_open(c, 1, &f), SONDE_OK);
    for (int i = 0; i < FIRST_TRACE_SERVICES; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        mark(f, name, "i-1");
    }
    mark(f, "one more", NULL);
    mark(f, "s7", NULL);
    assert_int_equal(first_traces_unmarked(f), 1);
    first_traces_close(f);
    config_put(c);
}

static sonde_status open_once(void *user)
{
    first_traces *f;
    sonde_status status = first_traces_open(user, 1, &f);

    first_traces_close(f);
    return status;
}

static void test_opening_copes_without_memory(void **state)
{
    agent_config *c = config_of(installed);

    (void)state;
    alloc_fail_each(open_once, c);
    config_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_trace_of_each_service_is_marked),
        cmocka_unit_test(test_what_the_tracer_says_stays),
        cmocka_unit_test(test_dropped_traces_are_not_marked),
        cmocka_unit_test(test_without_an_id_nothing_is_marked),
        cmocka_unit_test(test_services_beyond_the_bound_are_counted),
        cmocka_unit_test(test_opening_copes_without_memory),
    };

    return cmocka_run_group_tests_name("first_trace", tests, NULL, NULL);
}
