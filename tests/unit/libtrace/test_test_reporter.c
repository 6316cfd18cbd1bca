/* test_test_reporter.c - <sonde/test.h> as a program's own tests use it. */
#include "support/test.h"

#include <pthread.h>
#include <string.h>

#include "sonde/sonde.h"
#include "sonde/test.h"

static const sonde_options tracer = { .service = "shop", .env = "test" };

static void place_order(void)
{
    SONDE_SPAN(order, "order.place");

    sonde_span_set_str(order, "order.id", "7");
    sonde_span_set_int(order, "items", 3);
    {
        SONDE_SPAN_WITH(pay, "payment.charge", &(sonde_span_options){ .type = "http" });

        sonde_span_error(pay, "payment.refused", "no funds");
        sonde_span_add_event(pay, "refused", NULL, 0);
        sonde_span_add_link(pay, &(sonde_link){ .trace_id_low = 1, .span_id = 2 });
    }
}

static void test_finished_spans_are_found_with_all_that_is_sent(void **state)
{
    const sonde_test_span *order, *pay;

    (void)state;
    assert_status(sonde_test_start(&(sonde_test_options){ .tracer = &tracer }), SONDE_OK);
    place_order();
    assert_int_equal(sonde_test_count(), 2);
    order = sonde_test_at(0);
    pay = sonde_test_at(1);
    assert_null(sonde_test_at(2));
    assert_ptr_equal(sonde_test_find("payment.charge"), pay);
    assert_ptr_equal(sonde_test_parent_of(pay), order);
    assert_null(sonde_test_parent_of(order));
    assert_null(sonde_test_parent_of(NULL));
    assert_null(sonde_test_find("other"));
    assert_null(sonde_test_find(NULL));
    assert_string_equal(order->service, "shop");
    assert_string_equal(order->resource, "order.place");
    assert_string_equal(pay->type, "http");
    assert_int_equal(pay->error, 1);
    assert_int_equal(pay->events, 1);
    assert_int_equal(pay->links, 1);
    assert_int_equal(pay->trace_id_low, order->trace_id_low);
    assert_true(order->trace_id_high != 0);
    assert_int_equal(pay->trace_id_high, order->trace_id_high);
    assert_string_equal(sonde_test_tag(order, "order.id"), "7");
    assert_string_equal(sonde_test_tag(order, "items"), "3");
    assert_string_equal(sonde_test_tag(order, "env"), "test");
    assert_null(sonde_test_tag(order, "other"));
    assert_null(sonde_test_tag(NULL, "other"));
    assert_non_null(strstr(pay->json, "\"span_events\":[{\"name\":\"refused\""));
    assert_non_null(strstr(pay->json, "\"span_links\":[{\"trace_id\":1,\"span_id\":2}]"));
    sonde_test_clear();
    assert_int_equal(sonde_test_count(), 0);
    sonde_test_stop();
    assert_int_equal(sonde_enabled(), 0);
}

static void test_expectations_are_silent_or_say_what_is_wrong(void **state)
{
    const sonde_test_span *order, *pay;

    (void)state;
    assert_status(sonde_test_start(&(sonde_test_options){ .tracer = &tracer }), SONDE_OK);
    assert_string_equal(sonde_test_expect_span("order.place"),
                        "no span order.place; there are: none");
    place_order();
    order = sonde_test_find("order.place");
    pay = sonde_test_find("payment.charge");
    assert_null(sonde_test_expect_count(2));
    assert_string_equal(sonde_test_expect_count(1),
                        "2 spans, expected 1: order.place, payment.charge");
    assert_null(sonde_test_expect_span("order.place"));
    assert_string_equal(sonde_test_expect_span("other"),
                        "no span other; there are: order.place, payment.charge");
    assert_null(sonde_test_expect_tag(order, "order.id", "7"));
    assert_null(sonde_test_expect_tag(order, "other", NULL));
    assert_string_equal(sonde_test_expect_tag(order, "order.id", "8"),
                        "span order.place has order.id = \"7\", expected \"8\"");
    assert_string_equal(sonde_test_expect_tag(order, "order.id", NULL),
                        "span order.place has order.id = \"7\", expected none");
    assert_string_equal(sonde_test_expect_tag(order, "other", "8"),
                        "span order.place has no other, expected \"8\"");
    assert_string_equal(sonde_test_expect_tag(NULL, "other", "8"),
                        "no span to look at; there are: order.place, payment.charge");
    assert_null(sonde_test_expect_error(order, NULL));
    assert_null(sonde_test_expect_error(pay, "payment.refused"));
    assert_string_equal(sonde_test_expect_error(order, "E"),
                        "span order.place did not fail, expected E");
    assert_non_null(strstr(sonde_test_expect_error(pay, NULL), "span payment.charge failed: {"));
    assert_null(sonde_test_expect_parent(pay, order));
    assert_null(sonde_test_expect_parent(order, NULL));
    assert_string_equal(sonde_test_expect_parent(pay, NULL),
                        "span payment.charge is a child of order.place, expected none");
    assert_string_equal(sonde_test_expect_parent(order, pay),
                        "span order.place is a child of none, expected payment.charge");
    sonde_test_stop();
}

static void test_a_fixed_time_goes_only_when_told(void **state)
{
    const int64_t at = 1700000000000000000;
    const sonde_test_span *order, *pay;

    (void)state;
    assert_status(sonde_test_start(&(sonde_test_options){ .fixed_unix_ns = at }), SONDE_OK);
    {
        SONDE_SPAN(order_span, "order.place");

        sonde_test_advance(1000);
        {
            SONDE_SPAN(pay_span, "payment.charge");

            sonde_test_advance(500);
            sonde_span_add_event(pay_span, "now", NULL, 0);
        }
        sonde_test_advance(1);
    }
    order = sonde_test_find("order.place");
    pay = sonde_test_find("payment.charge");
    assert_int_equal(order->start_unix_ns, at);
    assert_int_equal(order->duration_ns, 1501);
    assert_int_equal(pay->start_unix_ns, at + 1000);
    assert_int_equal(pay->duration_ns, 500);
    assert_int_equal(order->trace_id_high, UINT64_C(1700000000) << 32);
    assert_non_null(strstr(pay->json, "\"time_unix_nano\":1700000000000001500"));
    sonde_test_stop();
    assert_status(sonde_test_start(NULL), SONDE_OK); /* the time goes again */
    place_order();
    assert_true(sonde_test_at(0)->start_unix_ns > at + 1000000000);
    sonde_test_stop();
}

static void *place_order_on_thread(void *unused)
{
    (void)unused;
    place_order();
    return NULL;
}

static void test_a_seed_makes_the_ids_of_a_run_those_of_the_last(void **state)
{
    uint64_t ids[3][2];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        pthread_t thread;

        assert_status(sonde_test_start(&(sonde_test_options){ .id_seed = i < 2 ? 42 : 43 }),
                      SONDE_OK);
        place_order();
        ids[i][0] = sonde_test_find("order.place")->span_id;
        sonde_test_clear();
        assert_int_equal(pthread_create(&thread, NULL, place_order_on_thread, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        ids[i][1] = sonde_test_find("order.place")->span_id;
        assert_true(ids[i][0] != ids[i][1]);
        sonde_test_stop();
    }
    assert_int_equal(ids[0][0], ids[1][0]);
    assert_int_equal(ids[0][1], ids[1][1]);
    assert_true(ids[0][0] != ids[2][0]);
}

static void test_what_is_too_much_is_dropped_and_counted(void **state)
{
    static char text[25001];
    sonde_counters c = { .struct_bytes = sizeof(c) };
    uint64_t before;
    int i, j;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    assert_status(sonde_test_start(NULL), SONDE_OK);
    sonde_counters_read(&c);
    before = c.spans_dropped[SONDE_DROP_AGENT_REFUSED];
    for (i = 0; i < 40; i++) {
        for (j = 0; j < 40; j++) {
            SONDE_SPAN(span, "long");
            sonde_span_set_str(span, "a", text);
            sonde_span_set_str(span, "b", text);
        }
        (void)sonde_test_count();
    }
    sonde_counters_read(&c);
    assert_true(c.spans_dropped[SONDE_DROP_AGENT_REFUSED] > before);
    assert_int_equal(sonde_test_count() + c.spans_dropped[SONDE_DROP_AGENT_REFUSED] - before, 1600);
    sonde_test_clear();
    place_order();
    assert_int_equal(sonde_test_count(), 2);
    sonde_test_stop();
}

static void test_it_starts_once_and_not_beside_a_tracer(void **state)
{
    (void)state;
    assert_status(sonde_test_start(NULL), SONDE_OK);
    assert_status(sonde_test_start(NULL), SONDE_ERR_STATE);
    sonde_test_stop();
    sonde_test_stop();
    assert_int_equal(sonde_test_count(), 0);
    assert_status(sonde_start(&(sonde_options){ .agent_url = "http://127.0.0.1:1" }), SONDE_OK);
    assert_status(sonde_test_start(NULL), SONDE_ERR_STATE);
    assert_int_equal(sonde_enabled(), 1);
    sonde_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finished_spans_are_found_with_all_that_is_sent),
        cmocka_unit_test(test_expectations_are_silent_or_say_what_is_wrong),
        cmocka_unit_test(test_a_fixed_time_goes_only_when_told),
        cmocka_unit_test(test_a_seed_makes_the_ids_of_a_run_those_of_the_last),
        cmocka_unit_test(test_what_is_too_much_is_dropped_and_counted),
        cmocka_unit_test(test_it_starts_once_and_not_beside_a_tracer),
    };

    return cmocka_run_group_tests_name("test_reporter", tests, NULL, NULL);
}
