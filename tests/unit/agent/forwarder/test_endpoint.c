/* One endpoint's life with deliveries, time and chance as arguments; the retry table. */
#include "support/test.h"

#include <string.h>

#include "agent/forwarder/endpoint.h"
#include "base/alloc.h"
#include "base/rng.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static endpoint make(void)
{
    return (endpoint){ .limits = { .memory_bytes = 1000, .max_age_ns = 60 * S, .requests = 3 },
                       .backoff = { .base_ns = 100 * MS, .max_ns = 10 * S } };
}

static delivery *body(size_t bytes, uint64_t items)
{
    upload u = { .kind = UPLOAD_TRACES,
                 .path = "/x",
                 .body = sonde_malloc(bytes),
                 .body_len = bytes,
                 .items = items,
                 .chunks = 1 + items / 2 };
    shared_upload *s = shared_upload_new(&u);
    delivery *d = delivery_new(s);

    shared_upload_put(s);
    return d;
}

static void add(tally *sum, const tally *t)
{
    sum->payloads += t->payloads;
    sum->chunks += t->chunks;
    sum->items += t->items;
    sum->bytes += t->bytes;
}

static void assert_balanced(const endpoint *e)
{
    int kind, why;

    for (kind = 0; kind < UPLOAD_KINDS; kind++) {
        tally sum = e->counters.delivered[kind];

        add(&sum, &e->counters.queued[kind]);
        for (why = 0; why < FORWARDER_DROPS; why++)
            add(&sum, &e->counters.dropped[why][kind]);
        assert_memory_equal(&sum, &e->counters.accepted[kind], sizeof(sum));
    }
}

static uint64_t dropped(const endpoint *e, forwarder_drop why)
{
    return e->counters.dropped[why][UPLOAD_TRACES].payloads;
}

static void test_answers_are_read_as_the_retry_table_says(void **state)
{
    static const struct {
        sonde_status status;
        unsigned http;
        outcome want;
    } cases[] = {
        { SONDE_OK, 200, OUTCOME_SENT },         { SONDE_OK, 202, OUTCOME_SENT },
        { SONDE_OK, 299, OUTCOME_SENT },         { SONDE_OK, 301, OUTCOME_REFUSED },
        { SONDE_OK, 400, OUTCOME_REFUSED },      { SONDE_OK, 401, OUTCOME_REFUSED },
        { SONDE_OK, 403, OUTCOME_RETRY },        { SONDE_OK, 404, OUTCOME_REFUSED },
        { SONDE_OK, 408, OUTCOME_RETRY },        { SONDE_OK, 413, OUTCOME_REFUSED },
        { SONDE_OK, 429, OUTCOME_RETRY },        { SONDE_OK, 500, OUTCOME_RETRY },
        { SONDE_OK, 503, OUTCOME_RETRY },        { SONDE_OK, 599, OUTCOME_RETRY },
        { SONDE_ERR_CONNECT, 0, OUTCOME_RETRY }, { SONDE_ERR_TIMEOUT, 0, OUTCOME_RETRY },
        { SONDE_ERR_EOF, 0, OUTCOME_RETRY },     { SONDE_ERR_REFUSED, 0, OUTCOME_RETRY },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (outcome_of(cases[i].status, cases[i].http) != cases[i].want)
            fail_msg("%s %u", sonde_status_name(cases[i].status), cases[i].http);
}

static void test_deliveries_leave_in_the_order_they_came(void **state)
{
    endpoint e = make();
    uint64_t wake, i;

    (void)state;
    for (i = 1; i <= 3; i++)
        endpoint_push(&e, body(10, i), 0);
    for (i = 1; i <= 3; i++) {
        delivery *d = endpoint_next(&e, 0, &wake);

        assert_int_equal(d->upload->what.items, i);
        endpoint_done(&e, d, OUTCOME_SENT, 200, 0, 0);
    }
    assert_true(endpoint_is_idle(&e));
    assert_int_equal(e.counters.delivered[UPLOAD_TRACES].payloads, 3);
    assert_balanced(&e);
}

static void test_requests_in_flight_are_bounded_and_one_while_failing(void **state)
{
    endpoint e = make();
    delivery *d[3];
    uint64_t wake, later;
    int i;

    (void)state;
    for (i = 0; i < 6; i++)
        endpoint_push(&e, body(10, 1), 0);
    for (i = 0; i < 3; i++)
        assert_non_null(d[i] = endpoint_next(&e, 0, &wake));
    assert_null(endpoint_next(&e, 0, &wake));
    assert_true(wake == UINT64_MAX);

    for (i = 0; i < 3; i++)
        endpoint_done(&e, d[i], OUTCOME_RETRY, 503, 0, UINT64_MAX);
    assert_null(endpoint_next(&e, 0, &wake));
    assert_true(wake > 0 && wake <= 200 * MS);
    assert_int_equal(e.backoff.failures, 1); /* three together are one */
    later = wake;
    assert_non_null(d[0] = endpoint_next(&e, later, &wake));
    assert_null(endpoint_next(&e, later, &wake)); /* one probe */
    assert_int_equal(d[0]->sequence, 1);          /* the oldest again */
    endpoint_done(&e, d[0], OUTCOME_SENT, 200, S, 0);
    for (i = 0; i < 3; i++)
        assert_non_null(d[i] = endpoint_next(&e, S, &wake));
    for (i = 0; i < 3; i++)
        endpoint_done(&e, d[i], OUTCOME_SENT, 200, S, 0);
    assert_balanced(&e);
    endpoint_abandon(&e);
}

static void test_pauses_grow_up_to_ten_seconds(void **state)
{
    endpoint e = make();
    uint64_t now = 0, wake, longest = 0;
    int i;

    (void)state;
    e.limits.max_age_ns = UINT64_MAX;
    endpoint_push(&e, body(10, 1), 0);
    for (i = 0; i < 20; i++) {
        delivery *d = endpoint_next(&e, now, &wake);

        assert_non_null(d);
        endpoint_done(&e, d, OUTCOME_RETRY, 0, now, 10 * S - 1);
        assert_null(endpoint_next(&e, now, &wake));
        if (wake - now > longest)
            longest = wake - now;
        now = wake;
    }
    assert_true(longest > 9 * S && longest <= 10 * S);
    endpoint_abandon(&e);
    assert_int_equal(dropped(&e, FORWARDER_DROP_SHUTDOWN), 1);
    assert_balanced(&e);
}

static void test_the_oldest_makes_room_within_the_byte_ceiling(void **state)
{
    endpoint e = make();
    uint64_t wake, i;
    delivery *d;

    (void)state;
    for (i = 1; i <= 5; i++)
        endpoint_push(&e, body(300, i), 0);

    assert_int_equal(dropped(&e, FORWARDER_DROP_BUDGET), 2);
    assert_true(e.waiting.bytes <= 1000);
    d = endpoint_next(&e, 0, &wake);
    assert_int_equal(d->upload->what.items, 3);
    endpoint_push(&e, body(1000, 9),
                  0); /* all that waits goes, and still it does not fit beside d */
    assert_int_equal(dropped(&e, FORWARDER_DROP_BUDGET), 5);
    endpoint_push(&e, body(1001, 9), 0);
    assert_int_equal(dropped(&e, FORWARDER_DROP_TOO_BIG), 1);
    assert_balanced(&e);
    endpoint_done(&e, d, OUTCOME_SENT, 200, 0, 0);
    assert_true(endpoint_is_idle(&e));
}

static void test_what_is_too_old_is_given_up(void **state)
{
    endpoint e = make();
    uint64_t wake;
    delivery *d;

    (void)state;
    endpoint_push(&e, body(10, 1), 0);
    endpoint_push(&e, body(10, 2), 30 * S);
    d = endpoint_next(&e, 61 * S, &wake);
    assert_int_equal(d->upload->what.items, 2);
    assert_int_equal(dropped(&e, FORWARDER_DROP_EXPIRED), 1);
    endpoint_done(&e, d, OUTCOME_REFUSED, 413, 61 * S, 0);
    assert_int_equal(dropped(&e, FORWARDER_DROP_REFUSED), 1);
    assert_false(endpoint_is_failing(&e)); /* it answered */
    assert_balanced(&e);
}

static void test_attempts_are_counted_where_a_limit_is_set(void **state)
{
    endpoint e = make();
    uint64_t now = 0, wake;
    int attempts = 0;
    delivery *d;

    (void)state;
    e.limits.max_attempts = 4;
    endpoint_push(&e, body(10, 1), 0);
    for (; !endpoint_is_idle(&e); now += S)
        if ((d = endpoint_next(&e, now, &wake)) != NULL) {
            attempts++;
            endpoint_done(&e, d, OUTCOME_RETRY, 500, now, 0);
        }
    assert_int_equal(attempts, 4);
    assert_int_equal(dropped(&e, FORWARDER_DROP_RETRIES), 1);
    assert_balanced(&e);
}

static void test_a_lost_body_is_accepted_and_dropped(void **state)
{
    endpoint e = make();
    const upload u = { .kind = UPLOAD_STATS, .body_len = 5, .items = 3 };

    (void)state;
    endpoint_lose(&e, &u);
    assert_int_equal(e.counters.dropped[FORWARDER_DROP_NO_MEMORY][UPLOAD_STATS].items, 3);
    assert_balanced(&e);
}

/* Random pushes, answers and time: the books always balance, the ceiling always holds. */
static void test_the_books_balance_through_a_random_life(void **state)
{
    endpoint e = make();
    delivery *flying[3] = { NULL };
    uint64_t now = 0, wake;
    sonde_rng rng;
    int i;

    (void)state;
    sonde_rng_seed(&rng, 99);
    for (i = 0; i < 20000; i++) {
        uint64_t r = sonde_rng_next(&rng);
        size_t slot = (r >> 8) % 3;

        now += r % (200 * MS);
        if (r & 1)
            endpoint_push(&e, body(1 + (r >> 16) % 600, (r >> 32) % 50), now);
        if (flying[slot]) {
            endpoint_done(&e, flying[slot], (outcome)((r >> 40) % 3), 200, now,
                          sonde_rng_next(&rng));
            flying[slot] = NULL;
        } else {
            flying[slot] = endpoint_next(&e, now, &wake);
        }
        assert_true(e.waiting.bytes + e.in_flight_bytes <= 1000);
        if (i % 100 == 0)
            assert_balanced(&e);
    }
    for (i = 0; i < 3; i++)
        if (flying[i])
            endpoint_done(&e, flying[i], OUTCOME_RETRY, 0, now, 0);
    endpoint_abandon(&e);
    assert_balanced(&e);
    assert_int_equal(e.counters.queued[UPLOAD_TRACES].payloads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_read_as_the_retry_table_says),
        cmocka_unit_test(test_deliveries_leave_in_the_order_they_came),
        cmocka_unit_test(test_requests_in_flight_are_bounded_and_one_while_failing),
        cmocka_unit_test(test_pauses_grow_up_to_ten_seconds),
        cmocka_unit_test(test_the_oldest_makes_room_within_the_byte_ceiling),
        cmocka_unit_test(test_what_is_too_old_is_given_up),
        cmocka_unit_test(test_attempts_are_counted_where_a_limit_is_set),
        cmocka_unit_test(test_a_lost_body_is_accepted_and_dropped),
        cmocka_unit_test(test_the_books_balance_through_a_random_life),
    };

    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
