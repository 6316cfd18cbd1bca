/* test_trace_allocs.c - in steady state a span allocates nothing: no malloc, and no mmap.
 *
 * Every allocation of the process is counted by functions of libc's names that stand in front. */
#include "support/test.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "sonde/sonde.h"
#include "support/fake_agent.h"

static _Atomic unsigned long allocations;

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *p, size_t bytes);

void *malloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(p, bytes);
}

static void spans(int traces)
{
    const sonde_attribute attributes[] = { sonde_attr_str("a", "text"), sonde_attr_int("b", 1) };
    char text[SONDE_LOG_ROOM];
    int i, j;

    for (i = 0; i < traces; i++) {
        SONDE_SPAN(root, "request");

        for (j = 0; j < 9; j++) {
            SONDE_SPAN(child, "query");
            sonde_context *context = sonde_context_current();

            sonde_span_set_str(child, "a", "text");
            sonde_span_set_int(child, "b", j);
            sonde_span_error(child, "E", "message");
            sonde_span_add_event(child, "e", attributes, 2);
            sonde_span_add_link(child, &(sonde_link){ .context = context });
            (void)sonde_log_text(text, sizeof(text));
            sonde_context_release(context);
        }
    }
}

static void test_a_hundred_thousand_spans_allocate_nothing(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_options o = { .service = "allocs", .agent_url = fake_agent_url(agent) };
    sonde_counters c = { .struct_bytes = sizeof(c) };
    unsigned long seen = 0;
    int i;

    (void)state;
    assert_status(sonde_start(&o), SONDE_OK);
    for (i = 0; i < 110; i++) {
        unsigned long from = atomic_load(&allocations);

        spans(100);
        if (i >= 10) /* from span 10 000 on */
            seen += atomic_load(&allocations) - from;
        assert_status(sonde_flush(60000), SONDE_OK); /* the agent of the test allocates here */
    }
    sonde_stop();
    sonde_counters_read(&c);
    assert_int_equal(c.spans_delivered, 110000);
    assert_int_equal(seen, 0);
    fake_agent_close(agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hundred_thousand_spans_allocate_nothing),
    };

    return cmocka_run_group_tests_name("trace_allocs", tests, NULL, NULL);
}
