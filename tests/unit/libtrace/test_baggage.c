/* test_baggage.c - key-values that travel, against docs/spec/propagation.md, "Baggage". */
#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>

#include "carrier.h"
#include "libtrace/src/baggage.h"
#include "libtrace/src/cell.h"
#include "libtrace/src/span.h"

#define TRACEPARENT "00-00000000000000000000000000000001-0000000000000002-01"

static void start_with(const char *variable, const char *value)
{
    sonde_options o = { .service = "test",
                        .agent_url = "http://127.0.0.1:1",
                        .memory_bytes = 2 << 20,
                        .stop_timeout_ms = 2000 };

    /* Nobody listens there: one attempt is enough. */
    assert_int_equal(setenv("DD_TRACE_SEND_RETRIES", "0", 1), 0);
    assert_int_equal(setenv(variable, value, 1), 0);
    assert_int_equal(sonde_start(&o), SONDE_OK);
    (void)unsetenv(variable);
}

static int start(void **state)
{
    (void)state;
    start_with("DD_TRACE_PROPAGATION_STYLE", "tracecontext,baggage");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sonde_stop();
    return 0;
}

static uint64_t dropped(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c.baggage_dropped;
}

static const char *outgoing(const sonde_context *context)
{
    static carrier out;

    inject(context, &out);
    return value_of(&out, "baggage");
}

static void assert_same(const char *label, const char *got, const char *want)
{
    if ((got == NULL) != (want == NULL) || (want && strcmp(got, want) != 0))
        fail_msg("%s: %s, want %s", label, got ? got : "nothing", want ? want : "nothing");
}

/* -- the header ----------------------------------------------------------------------------------- */

static void test_the_header_is_read_and_written_as_the_table_says(void **state)
{
    static const struct {
        const char *label, *in, *out;
    } cases[] = {
        { "one", "a=1", "a=1" },
        { "order is kept", "z=1,a=2,m=3", "z=1,a=2,m=3" },
        { "blanks around", " a = 1 ,\tb=2", "a=1,b=2" },
        { "properties go", "a=1;ttl=3;x,b=2", "a=1,b=2" },
        { "equals sign in the value", "a=b=c", "a=b=c" },
        { "value characters stay", "a=()/:<=>?@[]{}", "a=()/:<=>?@[]{}" },
        { "key characters stay", "!#$&'*+-.^_`|~=1", "!#$&'*+-.^_`|~=1" },
        { "escapes come back", "us%C3%A9r=Am%C3%A9lie", "us%C3%A9r=Am%C3%A9lie" },
        { "lower-case escapes", "a=%e4%b8%ad", "a=%E4%B8%AD" },
        { "separators in escapes", "%22%2C%3B=%22%2C%3B%5C%25", "%22%2C%3B=%22%2C%3B%5C%25" },
        { "key delimiters", "%28%2F%40%5B=1", "%28%2F%40%5B=1" },
        { "needless escapes are undone", "%61=%31", "a=1" },
        { "half an escape stays text", "a=100%,b=%4,c=%zz", "a=100%25,b=%254,c=%25zz" },
        { "control characters stay escaped", "a=x%0D%0Ay%00", "a=x%0D%0Ay%00" },
        { "the last of a key, in its first place", "a=1,b=2,a=3", "a=3,b=2" },
        { "comma at the end", "a=1,", "a=1" },
        { "no equals sign", "a=1,b", NULL },
        { "empty key", "a=1,=2", NULL },
        { "empty value", "a=1,b=", NULL },
        { "blank value", "a=1,b= ;p", NULL },
        { "empty member", "a=1,,b=2", NULL },
        { "only a property", ";a=1", NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        uint64_t before = dropped();
        sonde_context *context;

        put(&in, "traceparent", TRACEPARENT);
        put(&in, "Baggage", cases[i].in);
        context = extract(&in);
        assert_same(cases[i].label, outgoing(context), cases[i].out);
        if (dropped() - before != (cases[i].out == NULL))
            fail_msg("%s: %llu dropped", cases[i].label, (unsigned long long)(dropped() - before));
        sonde_context_release(context);
    }
}

static void test_lines_are_joined_and_one_bad_line_discards_all(void **state)
{
    carrier in = { .len = 0 };
    sonde_context *context;

    (void)state;
    put(&in, "traceparent", TRACEPARENT);
    put(&in, "baggage", "a=1");
    put(&in, "baggage", "b=2");
    context = extract(&in);
    assert_same("joined", outgoing(context), "a=1,b=2");
    sonde_context_release(context);
    put(&in, "baggage", "c");
    context = extract(&in);
    assert_non_null(context);
    assert_same("bad line", outgoing(context), NULL);
    sonde_context_release(context);
}

static void test_limits_cut_both_ways_at_the_first_item_that_passes_them(void **state)
{
    static const struct {
        const char *label, *variable, *value, *in, *out;
        uint64_t lost;
    } cases[] = {
        { "items", "DD_TRACE_BAGGAGE_MAX_ITEMS", "2", "a=1,b=2,c=3,d=4", "a=1,b=2", 2 },
        { "bytes", "DD_TRACE_BAGGAGE_MAX_BYTES", "8", "a=1,b=234,c=5", "a=1", 2 },
        { "bytes, exactly", "DD_TRACE_BAGGAGE_MAX_BYTES", "7", "a=1,b=2", "a=1,b=2", 0 },
        { "no items", "DD_TRACE_BAGGAGE_MAX_ITEMS", "0", "a=1", NULL, 1 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        sonde_context *context;
        uint64_t before;
        sonde_span *span;
        carrier out;

        start_with(cases[i].variable, cases[i].value);
        before = dropped();
        put(&in, "traceparent", TRACEPARENT);
        put(&in, "baggage", cases[i].in);
        context = extract(&in);
        assert_same(cases[i].label, outgoing(context), cases[i].out);
        sonde_context_release(context);
        assert_int_equal(dropped() - before, cases[i].lost);

        span = sonde_span_enter("out", NULL);
        sonde_span_set_baggage(span, "a", "1");
        sonde_span_set_baggage(span, "b", strcmp(cases[i].label, "bytes") == 0 ? "234" : "2");
        sonde_span_set_baggage(span, "c", "3");
        inject(NULL, &out);
        assert_same(cases[i].label, value_of(&out, "baggage"), cases[i].out);
        sonde_span_leave(span);
        sonde_stop();
    }
}

static void test_baggage_alone_starts_a_trace_that_owns_it(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    sonde_context *context;
    sonde_span *span;

    (void)state;
    put(&in, "baggage", "a=1");
    context = extract(&in);
    assert_non_null(context);
    inject(context, &out);
    assert_int_equal(out.len, 1); /* there is no span yet to be anybody's parent */
    assert_header("alone", &out, "baggage", "a=1");
    span = sonde_span_start("root", &(sonde_span_options){ .context = context });
    assert_int_not_equal(sonde_span_trace_id_low(span), 0);
    assert_int_equal(sonde_span_trace_id_low(span), sonde_context_trace_id_low(context));
    sonde_context_release(context);
    sonde_span_activate(span);
    inject(NULL, &out);
    assert_non_null(value_of(&out, "traceparent"));
    assert_header("with a span", &out, "baggage", "a=1");
    sonde_span_leave(span);
}

static void test_headers_of_older_tracers_are_read_with_the_datadog_style(void **state)
{
    carrier in = { .len = 0 };
    sonde_context *context;

    (void)state;
    start_with("DD_TRACE_PROPAGATION_STYLE", "datadog,baggage");
    put(&in, "x-datadog-trace-id", "1");
    put(&in, "x-datadog-parent-id", "2");
    put(&in, "OT-Baggage-User", "old");
    put(&in, "ot-baggage-plan", "a b");
    put(&in, "ot-baggage-", "no key");
    put(&in, "baggage", "User=new");
    context = extract(&in);
    assert_same("older", outgoing(context), "User=new,plan=a%20b");
    sonde_context_release(context);
}

static void test_a_style_that_is_not_listed_is_not_spoken_but_works_here(void **state)
{
    carrier in = { .len = 0 };
    carrier out;
    sonde_context *context;
    char value[8];

    (void)state;
    start_with("DD_TRACE_PROPAGATION_STYLE", "datadog,tracecontext");
    put(&in, "traceparent", TRACEPARENT);
    put(&in, "baggage", "a=1");
    context = extract(&in);
    assert_int_equal(sonde_context_baggage(context, "a", NULL, 0), 0);
    sonde_context_release(context);
    {
        SONDE_SPAN(span, "local");

        sonde_span_set_baggage(span, "a", "1");
        assert_int_equal(sonde_span_baggage(span, "a", value, sizeof(value)), 1);
        inject(NULL, &out);
        assert_null(value_of(&out, "baggage"));
    }
}

/* -- tags ----------------------------------------------------------------------------------------- */

static bool has_tag(const sonde_span *handle, const char *key, const char *value)
{
    const sonde__span *span = (const sonde__span *)sonde__cell_of(handle);
    sonde__text_cursor c = sonde__text_read(&span->text, span, SONDE__SPAN_BYTES);
    sonde__record r;

    while (sonde__text_next(&c, &r))
        if (r.kind == SONDE__TEXT_STR && sonde_str_eq(sonde__record_key(&r), sonde_str_from(key)) &&
            sonde_str_eq(sonde__record_head(&r), sonde_str_from(value)))
            return true;
    return false;
}

static void test_listed_keys_become_tags_of_the_local_root(void **state)
{
    static const struct {
        const char *label, *keys; /* NULL: the default */
        bool user_id, plan, upper;
    } cases[] = {
        { "default", NULL, true, false, false },   { "all", "*", true, true, true },
        { "none", "", false, false, false },       { "one", " plan , x", false, true, false },
        { "case", "USER.ID", false, false, true }, { "no patterns", "user.*", false, false, false },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        carrier in = { .len = 0 };
        sonde_context *context;
        sonde_span *root, *child;

        start_with(cases[i].keys ? "DD_TRACE_BAGGAGE_TAG_KEYS" : "DD_ENV",
                   cases[i].keys ? cases[i].keys : "test");
        put(&in, "traceparent", TRACEPARENT);
        put(&in, "baggage", "user.id=7,plan=gold,USER.ID=8");
        context = extract(&in);
        root = sonde_span_start("root", &(sonde_span_options){ .context = context });
        child = sonde_span_start("child", &(sonde_span_options){ .parent = root });
        if (has_tag(root, "baggage.user.id", "7") != cases[i].user_id ||
            has_tag(root, "baggage.plan", "gold") != cases[i].plan ||
            has_tag(root, "baggage.USER.ID", "8") != cases[i].upper)
            fail_msg("%s: other tags than that", cases[i].label);
        assert_false(has_tag(child, "baggage.user.id", "7"));
        sonde_context_release(context);
        sonde_span_finish(child);
        sonde_span_finish(root);
        sonde_stop();
    }
}

/* -- on spans and contexts ------------------------------------------------------------------------ */

static void test_items_are_set_replaced_removed_and_cleared(void **state)
{
    char value[4];
    SONDE_SPAN(span, "s");

    (void)state;
    sonde_span_set_baggage(span, "a", "1");
    sonde_span_set_baggage(span, "b", "2");
    sonde_span_set_baggage(span, "c", "3");
    assert_same("three", outgoing(NULL), "a=1,b=2,c=3");
    sonde_span_set_baggage(span, "b", "two");
    assert_same("replaced", outgoing(NULL), "a=1,b=two,c=3");
    sonde_span_remove_baggage(span, "a");
    sonde_span_remove_baggage(span, "absent");
    assert_same("removed", outgoing(NULL), "b=two,c=3");
    assert_int_equal(sonde_span_baggage(span, "b", value, sizeof(value)), 3);
    assert_string_equal(value, "two");
    assert_int_equal(sonde_span_baggage(span, "b", value, 3), 3); /* does not fit */
    assert_string_equal(value, "");
    assert_int_equal(sonde_span_baggage(span, "a", value, sizeof(value)), 0);
    sonde_span_clear_baggage(span);
    assert_same("cleared", outgoing(NULL), NULL);
    sonde_span_clear_baggage(span);
    sonde_span_set_baggage(span, "", "1");
    sonde_span_set_baggage(span, "k", "");
    sonde_span_set_baggage(span, NULL, NULL);
    sonde_span_set_baggage(NULL, "k", "v");
    assert_same("nothing", outgoing(NULL), NULL);
    assert_int_equal(sonde_span_baggage(NULL, "k", value, sizeof(value)), 0);
}

static void test_removing_all_that_was_received_sends_no_header(void **state)
{
    carrier in = { .len = 0 };
    sonde_context *context, *without;

    (void)state;
    put(&in, "traceparent", TRACEPARENT);
    put(&in, "baggage", "a=1");
    context = extract(&in);
    without = sonde_context_with_baggage(context, "a", NULL);
    assert_same("without", outgoing(without), NULL);
    assert_same("as it was", outgoing(context), "a=1");
    sonde_context_release(without);
    sonde_context_release(context);
}

static void collect(void *user, sonde_str name, sonde_str value)
{
    char *to = (char *)user;
    size_t len = strlen(to);

    (void)snprintf(to + len, 64 - len, "%.*s:%.*s;", SONDE_STR_ARG(name), SONDE_STR_ARG(value));
}

static void test_a_child_starts_with_its_parents_items_and_changes_its_own(void **state)
{
    char seen[64] = "";
    char copy[1000];
    char big[901];
    SONDE_SPAN(parent, "parent");

    (void)state;
    memset(big, 'b', 900);
    big[900] = '\0';
    sonde_span_set_baggage(parent, "a", "1");
    {
        SONDE_SPAN(child, "child");

        sonde_span_set_baggage(child, "a", "2");
        sonde_span_set_baggage(parent, "late", "x");
        assert_same("child", outgoing(NULL), "a=2");
        sonde_span_each_baggage(child, collect, seen);
        assert_string_equal(seen, "a:2;");
        sonde_span_set_baggage(child, "big", big);
        sonde_span_set_baggage(child, "a", "3"); /* copies what lies in several cells */
        assert_int_equal(sonde_span_baggage(child, "big", copy, sizeof(copy)), 900);
        assert_string_equal(copy, big);
    }
    assert_same("parent", outgoing(NULL), "a=1,late=x");
}

static void test_a_context_keeps_what_there_was_and_another_is_made_with_more(void **state)
{
    sonde_span *span = sonde_span_enter("s", NULL);
    sonde_context *context, *more, *fresh;
    char value[8];

    (void)state;
    sonde_span_set_baggage(span, "a", "1");
    context = sonde_context_current();
    sonde_span_set_baggage(span, "a", "2");
    more = sonde_context_with_baggage(context, "b", "3");
    assert_same("context", outgoing(context), "a=1");
    assert_same("more", outgoing(more), "a=1,b=3");
    assert_int_equal(sonde_context_span_id(more), sonde_span_id(span));
    assert_int_equal(sonde_context_baggage(NULL, "a", value, sizeof(value)), 1);
    assert_string_equal(value, "2");
    sonde_span_leave(span);
    fresh = sonde_context_with_baggage(NULL, "c", "4");
    assert_same("new trace", outgoing(fresh), "c=4");
    assert_null(sonde_context_with_baggage(fresh, "", "4"));
    sonde_context_release(context);
    sonde_context_release(more);
    sonde_context_release(fresh);
}

static void test_a_finished_span_that_is_still_active_passes_its_items_on(void **state)
{
    sonde_span *span = sonde_span_enter("s", NULL);
    sonde_span *child;

    (void)state;
    sonde_span_set_baggage(span, "a", "1");
    sonde_span_finish(span);
    assert_same("held", outgoing(NULL), "a=1");
    child = sonde_span_start("child", NULL);
    assert_int_equal(sonde_span_baggage(child, "a", NULL, 0), 1);
    sonde_span_finish(child);
    sonde_span_deactivate(span);
    assert_same("left", outgoing(NULL), NULL);
}

static void *child_of(void *context)
{
    SONDE_ATTACH((sonde_context *)context);
    SONDE_SPAN(span, "elsewhere");

    sonde_span_set_baggage(span, "mine", "2");
    return (void *)(uintptr_t)sonde_span_baggage(span, "a", NULL, 0);
}

static void test_items_go_with_a_context_to_other_threads(void **state)
{
    sonde_span *span = sonde_span_enter("s", NULL);
    sonde_context *context;
    pthread_t threads[4];
    size_t i;

    (void)state;
    sonde_span_set_baggage(span, "a", "12345");
    context = sonde_context_of_span(span);
    for (i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, child_of, context), 0);
    sonde_span_leave(span);
    for (i = 0; i < COUNT_OF(threads); i++) {
        void *len = NULL;

        assert_int_equal(pthread_join(threads[i], &len), 0);
        assert_int_equal((uintptr_t)len, 5);
    }
    assert_same("here", outgoing(context), "a=12345");
    sonde_context_release(context);
}

static void test_what_passes_a_bound_is_not_set_and_is_counted(void **state)
{
    char big[SONDE__BAGGAGE_VALUE_MAX + 2];
    uint64_t before = dropped();
    char key[16];
    int i;
    SONDE_SPAN(span, "s");

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    sonde_span_set_baggage(span, "value", big);
    big[SONDE__BAGGAGE_KEY_MAX + 1] = '\0';
    sonde_span_set_baggage(span, big, "1");
    assert_int_equal(dropped() - before, 2);
    big[SONDE__BAGGAGE_KEY_MAX] = '\0';
    sonde_span_set_baggage(span, big, "longest key");
    assert_int_equal(sonde_span_baggage(span, big, NULL, 0), 11);
    sonde_span_clear_baggage(span);
    for (i = 0; i <= SONDE__BAGGAGE_ITEMS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        sonde_span_set_baggage(span, key, "1");
    }
    assert_int_equal(dropped() - before, 3);
    assert_int_equal(sonde_span_baggage(span, "k255", NULL, 0), 1);
    sonde_span_clear_baggage(span);
    memset(big, 'x', SONDE__BAGGAGE_VALUE_MAX);
    big[SONDE__BAGGAGE_VALUE_MAX] = '\0';
    for (i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        sonde_span_set_baggage(span, key, big);
    }
    assert_int_equal(dropped() - before, 5); /* 4 keys leave no room for a fourth value */
}

static void test_without_memory_nothing_changes_and_everything_comes_back(void **state)
{
    enum { SPANS = 64 };
    char big[SONDE__BAGGAGE_VALUE_MAX];
    sonde_span *spans[SPANS];
    uint64_t used, before = dropped();
    char key[16];
    int i, j;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (i = 0; i < SPANS; i++)
        spans[i] = sonde_span_start("s", NULL);
    used = sonde__cells_used_bytes();
    for (i = 0; i < SPANS; i++)
        for (j = 0; j < 3; j++) {
            (void)snprintf(key, sizeof(key), "k%d", j);
            sonde_span_set_baggage(spans[i], key, big);
        }
    assert_true(dropped() > before);
    assert_int_equal(sonde_span_baggage(spans[0], "k2", NULL, 0), sizeof(big) - 1);
    for (i = 0; i < SPANS; i++)
        sonde_span_clear_baggage(spans[i]);
    assert_true(sonde__cells_used_bytes() <=
                used + (uint64_t)2 * SONDE__CELL_BATCH * SONDE__CELL_BYTES);
    sonde_span_set_baggage(spans[0], "k", "v");
    assert_int_equal(sonde_span_baggage(spans[0], "k", NULL, 0), 1);
    for (i = 0; i < SPANS; i++)
        sonde_span_finish(spans[i]);
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_the_header_is_read_and_written_as_the_table_says),
        RUNNING(test_lines_are_joined_and_one_bad_line_discards_all),
        cmocka_unit_test(test_limits_cut_both_ways_at_the_first_item_that_passes_them),
        RUNNING(test_baggage_alone_starts_a_trace_that_owns_it),
        cmocka_unit_test_teardown(test_headers_of_older_tracers_are_read_with_the_datadog_style,
                                  stop),
        cmocka_unit_test_teardown(test_a_style_that_is_not_listed_is_not_spoken_but_works_here,
                                  stop),
        cmocka_unit_test(test_listed_keys_become_tags_of_the_local_root),
        RUNNING(test_items_are_set_replaced_removed_and_cleared),
        RUNNING(test_removing_all_that_was_received_sends_no_header),
        RUNNING(test_a_child_starts_with_its_parents_items_and_changes_its_own),
        RUNNING(test_a_context_keeps_what_there_was_and_another_is_made_with_more),
        RUNNING(test_a_finished_span_that_is_still_active_passes_its_items_on),
        RUNNING(test_items_go_with_a_context_to_other_threads),
        RUNNING(test_what_passes_a_bound_is_not_set_and_is_counted),
        RUNNING(test_without_memory_nothing_changes_and_everything_comes_back),
    };

    return cmocka_run_group_tests_name("baggage", tests, NULL, NULL);
}
