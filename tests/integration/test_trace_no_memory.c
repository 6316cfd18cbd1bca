/* test_trace_no_memory.c - a whole life of the tracer, with each of its allocations failing once.
 *
 * Linked with the rooms instead of the shared object, so that their allocator can be replaced. */
#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>

#include "sonde/sonde.h"
#include "support/alloc_fail.h"
#include "support/fake_agent.h"

#define ROUNDS     60 /* more than a life has allocations: the last rounds meet no failure */
#define LIFE_SPANS 12 /* of one life */

static sonde_counters counters(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c;
}

static void trace_some(void)
{
    int i;

    for (i = 0; i < LIFE_SPANS / 4; i++) {
        SONDE_SPAN(root, "root");
        SONDE_SPAN(child, "child");

        sonde_span_set_str(child, "key", "value");
        sonde_span_set_service(child, i ? "other" : "another");
    }
}

static void *trace_elsewhere(void *unused)
{
    (void)unused;
    trace_some();
    return NULL;
}

/* True when every span of it was delivered. */
static bool live_once(const char *url)
{
    const sonde_options o = { .service = "poor", .agent_url = url, .stop_timeout_ms = 60000 };
    sonde_counters before = counters();
    sonde_counters after;
    pthread_t thread;

    (void)sonde_start(&o);
    trace_some();
    assert_int_equal(pthread_create(&thread, NULL, trace_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)sonde_flush(5000);
    sonde_stop();
    after = counters();
    return after.spans_delivered - before.spans_delivered == LIFE_SPANS;
}

static void check_books(size_t round, uint64_t taken)
{
    sonde_counters c = counters();
    uint64_t dropped = 0;
    uint32_t i;

    for (i = 0; i < c.drops; i++)
        dropped += c.spans_dropped[i];
    if (c.spans_open != 0 || c.spans_queued != 0 || c.chunks_queued != 0 ||
        c.spans_finished != c.spans_delivered + dropped || c.spans_delivered != taken)
        fail_msg("allocation %zu failing: the books are wrong", round);
}

static void test_any_allocation_may_fail_and_the_program_does_not_notice(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    size_t blocks, round;
    bool whole = false;

    (void)state;
    assert_int_equal(setenv("DD_TRACE_LOG_LEVEL", "error", 1), 0);
    alloc_fail_begin();
    for (round = 1; round <= ROUNDS; round++) {
        alloc_fail_at(round);
        whole = live_once(fake_agent_url(agent));
        alloc_fail_at(0);
        check_books(round, fake_agent_counts(agent).taken_spans);
    }
    assert_true(whole);
    blocks = alloc_fail_live_blocks();
    assert_true(live_once(fake_agent_url(agent)));
    assert_true(alloc_fail_live_blocks() <= blocks); /* lives do not pile up */
    alloc_fail_end();
    fake_agent_close(agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_allocation_may_fail_and_the_program_does_not_notice),
    };

    return cmocka_run_group_tests_name("trace_no_memory", tests, NULL, NULL);
}
