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
        tally in = e->counters.accepted[kind];

        add(&sum, &e->counters.queued[kind]);
        for (why = 0; why < FORWARDER_DROPS; why++)
            add(&sum, &e->counters.dropped[why][kind]);
        add(&in, &e->counters.recovered[kind]);
        assert_memory_equal(&sum, &in, sizeof(sum));
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
        { SONDE_OK, 200, OUTCOME_SENT },           { SONDE_OK, 202, OUTCOME_SENT },
        { SONDE_OK, 299, OUTCOME_SENT },           { SONDE_OK, 301, OUTCOME_REFUSED },
        { SONDE_OK, 400, OUTCOME_REFUSED },        { SONDE_OK, 401, OUTCOME_REFUSED },
        { SONDE_OK, 403, OUTCOME_RETRY },          { SONDE_OK, 404, OUTCOME_REFUSED },
        { SONDE_OK, 408, OUTCOME_RETRY },          { SONDE_OK, 413, OUTCOME_REFUSED },
        { SONDE_OK, 429, OUTCOME_RETRY },          { SONDE_OK, 500, OUTCOME_RETRY },
        { SONDE_OK, 503, OUTCOME_RETRY },          { SONDE_OK, 599, OUTCOME_RETRY },
        { SONDE_ERR_CONNECT, 0, OUTCOME_RETRY },   { SONDE_ERR_TIMEOUT, 0, OUTCOME_RETRY },
        { SONDE_ERR_EOF, 0, OUTCOME_RETRY },       { SONDE_ERR_REFUSED, 0, OUTCOME_RETRY },
        { SONDE_ERR_EOF, 200, OUTCOME_SENT },      { SONDE_ERR_TIMEOUT, 202, OUTCOME_SENT },
        { SONDE_ERR_CLOSED, 200, OUTCOME_SENT },   { SONDE_ERR_EOF, 413, OUTCOME_REFUSED },
        { SONDE_ERR_TIMEOUT, 503, OUTCOME_RETRY },
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

static void test_it_tells_how_full_it_is(void **state)
{
    endpoint e = make();
    delivery *d;
    uint64_t wake;

    (void)state;
    endpoint_push(&e, body(300, 1), 0);
    endpoint_push(&e, body(200, 1), 0);
    assert_true(endpoint_queue_filled(&e) == 0.5 && endpoint_connections_filled(&e) == 0);
    d = endpoint_next(&e, 0, &wake);
    assert_true(endpoint_queue_filled(&e) == 0.5); /* what is in flight is still held */
    assert_true(endpoint_connections_filled(&e) > 0.33 && endpoint_connections_filled(&e) < 0.34);
    endpoint_done(&e, d, OUTCOME_SENT, 200, 0, 0);
    assert_true(endpoint_queue_filled(&e) == 0.2 && endpoint_connections_filled(&e) == 0);
    endpoint_abandon(&e);
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

static void test_a_failure_is_known_by_its_kind(void **state)
{
    static const struct {
        sonde_status status;
        unsigned http;
        failure want;
    } cases[] = {
        { SONDE_ERR_CONNECT, 0, FAILURE_CONNECT },
        { SONDE_ERR_TIMEOUT, 0, FAILURE_TIMEOUT },
        { SONDE_ERR_REFUSED, 0, FAILURE_TLS },
        { SONDE_ERR_EOF, 0, FAILURE_CUT_OFF },
        { SONDE_ERR_SYNTAX, 0, FAILURE_OTHER },
        { SONDE_OK, 401, FAILURE_KEY },
        { SONDE_OK, 403, FAILURE_KEY },
        { SONDE_OK, 408, FAILURE_BUSY },
        { SONDE_OK, 429, FAILURE_BUSY },
        { SONDE_OK, 500, FAILURE_SERVER },
        { SONDE_OK, 599, FAILURE_SERVER },
        { SONDE_OK, 413, FAILURE_REFUSED },
        { SONDE_OK, 600, FAILURE_REFUSED },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (failure_of(cases[i].status, cases[i].http) != cases[i].want)
            fail_msg("%s %u", sonde_status_name(cases[i].status), cases[i].http);
}

/* ---- the disk, without one ---- */

static endpoint make_with_disk(void)
{
    endpoint e = make();

    e.limits.spill_bytes = 500;
    e.limits.spill_age_ns = 10 * S;
    e.spool = (spool){ .dir = "/nowhere", .max_bytes = 2000, .max_disk_ratio = 1 };
    return e;
}

/* Moves the oldest to the disk, in files of the size of their bodies. */
static bool spill(endpoint *e, bool all)
{
    delivery *d = endpoint_spill(e, all, 0);
    uint64_t gone;

    if (!d)
        return false;
    while (endpoint_make_room(e, d->upload->what.body_len, 2000, &gone))
        ;
    endpoint_spilled(e, d, true, d->upload->what.body_len, 0, 0);
    return true;
}

/* What reading the file back gives. */
static delivery *read_back(const spool_entry *entry)
{
    delivery *d = body(entry->body_bytes, entry->items);

    d->sequence = entry->sequence;
    d->on_disk = *entry;
    return d;
}

static delivery *load(endpoint *e, uint64_t now)
{
    spool_entry entry;
    delivery *d;

    if (!endpoint_load(e, now, &entry))
        return NULL;
    d = read_back(&entry);
    endpoint_loaded(e, &entry, d, false, now);
    return d;
}

static void test_the_oldest_goes_to_disk_when_memory_holds_too_much(void **state)
{
    endpoint e = make_with_disk();
    uint64_t i;

    (void)state;
    for (i = 1; i <= 5; i++) {
        endpoint_push(&e, body(200, i), 0);
        while (spill(&e, false))
            ;
    }
    assert_int_equal(e.waiting.len, 2);
    assert_int_equal(e.spool.len, 3);
    assert_int_equal(spool_oldest(&e.spool)->items, 1);
    assert_int_equal(e.counters.spooled[UPLOAD_TRACES].payloads, 3);
    assert_int_equal(e.counters.queued[UPLOAD_TRACES].payloads, 5);
    assert_balanced(&e);
    while (spill(&e, true))
        ;
    assert_int_equal(e.waiting.len, 0);
    assert_int_equal(e.spool.len, 5);
    assert_balanced(&e);
    spool_close(&e.spool);
}

static void test_what_waits_long_for_an_endpoint_that_fails_goes_to_disk(void **state)
{
    endpoint e = make_with_disk();
    uint64_t wake;
    delivery *d;

    (void)state;
    endpoint_push(&e, body(100, 1), 0);
    endpoint_push(&e, body(100, 2), 5 * S);
    assert_null(endpoint_spill(&e, false, 20 * S)); /* it may be sent any moment */
    d = endpoint_next(&e, 20 * S, &wake);
    endpoint_done(&e, d, OUTCOME_RETRY, 503, 20 * S, UINT64_MAX);
    assert_null(endpoint_spill(&e, false, 10 * S));
    d = endpoint_spill(&e, false, 10 * S + 1);
    assert_int_equal(d->upload->what.items, 1);
    endpoint_spilled(&e, d, true, 100, 0, 20 * S);
    assert_null(endpoint_spill(&e, false, 15 * S));
    assert_int_equal(e.waiting.len, 1);
    assert_balanced(&e);
    endpoint_abandon(&e);
    spool_close(&e.spool);
}

static void test_the_oldest_on_disk_makes_room_there(void **state)
{
    endpoint e = make_with_disk();
    uint64_t i;

    (void)state;
    for (i = 1; i <= 10; i++) {
        endpoint_push(&e, body(300, i), 0);
        while (spill(&e, true))
            ;
    }
    assert_int_equal(e.spool.len, 6);
    assert_int_equal(e.spool.bytes, 1800);
    assert_int_equal(spool_oldest(&e.spool)->items, 5);
    assert_int_equal(dropped(&e, FORWARDER_DROP_DISK_BUDGET), 4);
    assert_balanced(&e);
    spool_close(&e.spool);
}

static void test_memory_is_sent_before_disk_and_one_request_belongs_to_the_disk(void **state)
{
    endpoint e = make_with_disk();
    delivery *fresh[2], *old, *next;
    uint64_t wake, i;

    (void)state;
    for (i = 1; i <= 3; i++)
        endpoint_push(&e, body(100, i), 0);
    while (spill(&e, true))
        ;
    for (i = 11; i <= 13; i++)
        endpoint_push(&e, body(100, i), 0);
    old = load(&e, 0);
    assert_int_equal(old->upload->what.items, 1);
    assert_null(load(&e, 0));
    assert_non_null(fresh[0] = endpoint_next(&e, 0, &wake));
    assert_int_equal(fresh[0]->upload->what.items, 11);
    assert_non_null(fresh[1] = endpoint_next(&e, 0, &wake));
    assert_null(endpoint_next(&e, 0, &wake)); /* three in flight */

    assert_true(endpoint_is_last(&e, old, OUTCOME_SENT));
    endpoint_done(&e, old, OUTCOME_SENT, 200, 0, 0);
    assert_int_equal(e.counters.spooled[UPLOAD_TRACES].payloads, 2);
    next = load(&e, 0);
    assert_int_equal(next->upload->what.items, 2);
    endpoint_done(&e, next, OUTCOME_SENT, 200, 0, 0);
    endpoint_done(&e, fresh[0], OUTCOME_SENT, 200, 0, 0);
    endpoint_done(&e, fresh[1], OUTCOME_SENT, 200, 0, 0);
    assert_balanced(&e);
    endpoint_abandon(&e);
    spool_close(&e.spool);
}

static void test_what_came_from_disk_and_failed_is_on_disk_still(void **state)
{
    endpoint e = make_with_disk();
    delivery *d;
    uint64_t i;

    (void)state;
    for (i = 1; i <= 2; i++)
        endpoint_push(&e, body(100, i), 0);
    while (spill(&e, true))
        ;
    d = load(&e, 0);
    assert_false(endpoint_is_last(&e, d, OUTCOME_RETRY));
    endpoint_done(&e, d, OUTCOME_RETRY, 503, 0, UINT64_MAX);
    assert_int_equal(e.waiting.len, 0);
    assert_int_equal(e.spool.len, 2);
    assert_int_equal(spool_oldest(&e.spool)->items, 1);
    assert_null(load(&e, 0)); /* the pause */
    assert_balanced(&e);
    d = load(&e, S);
    assert_int_equal(d->upload->what.items, 1);
    endpoint_done(&e, d, OUTCOME_REFUSED, 400, S, 0);
    assert_int_equal(e.spool.bytes, 100);
    assert_balanced(&e);
    spool_close(&e.spool);
}

static void test_a_disk_that_fails_is_rested_from_and_memory_does_its_part(void **state)
{
    endpoint e = make_with_disk();
    delivery *d;
    uint64_t i;

    (void)state;
    for (i = 1; i <= 3; i++)
        endpoint_push(&e, body(300, i), 0);
    d = endpoint_spill(&e, false, 0);
    assert_int_equal(d->upload->what.items, 1);
    endpoint_push(&e, body(300, 4), 0); /* what is on its way to disk is still in memory */
    assert_int_equal(dropped(&e, FORWARDER_DROP_BUDGET), 1);
    endpoint_spilled(&e, d, false, 0, 28, 0);
    assert_int_equal(e.waiting.len, 3);
    assert_int_equal(delivery_queue_peek(&e.waiting)->upload->what.items, 1);
    assert_null(endpoint_spill(&e, true, SPOOL_REST_NS - 1));
    endpoint_push(&e, body(300, 5), 0);
    assert_int_equal(dropped(&e, FORWARDER_DROP_BUDGET), 2);
    assert_int_equal(e.spool.counters.errors, 1);
    assert_balanced(&e);
    d = endpoint_spill(&e, true, SPOOL_REST_NS);
    assert_non_null(d);
    endpoint_spilled(&e, d, true, 300, 0, SPOOL_REST_NS);
    assert_int_equal(e.spool.len, 1);
    assert_balanced(&e);
    endpoint_abandon(&e);
    spool_close(&e.spool);
}

static void test_files_of_a_former_life_are_counted_and_come_first_in_order(void **state)
{
    endpoint e = make_with_disk();
    const spool_entry found = {
        .sequence = 41, .items = 4, .chunks = 1, .file_bytes = 90, .body_bytes = 60
    };
    delivery *d;

    (void)state;
    assert_status(spool_put(&e.spool, &found), SONDE_OK);
    e.spool.bytes = 90;
    endpoint_recover(&e);
    assert_int_equal(e.counters.recovered[UPLOAD_TRACES].items, 4);
    assert_balanced(&e);
    endpoint_push(&e, body(10, 5), 0);
    assert_int_equal(delivery_queue_peek(&e.waiting)->sequence, 42);
    d = body(60, 4);
    d->upload->what.chunks = 1;
    d->on_disk = found;
    assert_true(endpoint_load(&e, 0, &(spool_entry){ 0 }));
    endpoint_loaded(&e, &found, d, false, 0);
    endpoint_done(&e, d, OUTCOME_SENT, 200, 0, 0);
    assert_int_equal(e.counters.delivered[UPLOAD_TRACES].items, 4);
    assert_int_equal(e.spool.bytes, 0);
    assert_balanced(&e);
    endpoint_abandon(&e);
    spool_close(&e.spool);
}

static void test_a_file_that_is_not_whole_or_too_old_is_dropped_and_counted(void **state)
{
    endpoint e = make_with_disk();
    spool_entry entry;
    uint64_t gone = 0, i;

    (void)state;
    for (i = 1; i <= 3; i++)
        endpoint_push(&e, body(100, i), 0);
    while (spill(&e, true))
        ;
    assert_true(endpoint_load(&e, 0, &entry));
    endpoint_loaded(&e, &entry, NULL, true, 0); /* no memory: later */
    assert_int_equal(e.spool.len, 3);
    assert_true(endpoint_load(&e, S, &entry));
    endpoint_loaded(&e, &entry, NULL, false, S);
    assert_int_equal(dropped(&e, FORWARDER_DROP_CORRUPT), 1);
    assert_false(endpoint_expire_on_disk(&e, 60 * S, &gone));
    assert_true(endpoint_expire_on_disk(&e, 60 * S + 1, &gone));
    assert_int_equal(gone, 2);
    assert_int_equal(dropped(&e, FORWARDER_DROP_EXPIRED), 1);
    assert_balanced(&e);
    spool_close(&e.spool);
}

/* Random pushes, answers and time: the books always balance, the ceiling always holds. */
static void test_the_books_balance_through_a_random_life(void **state)
{
    endpoint e = make_with_disk();
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
            flying[slot] = r & 2 ? endpoint_next(&e, now, &wake) : load(&e, now);
        }
        if (r & 4)
            (void)spill(&e, r & 8);
        assert_true(e.spool.bytes <= 2000);
        assert_true(e.waiting.bytes + e.in_flight_bytes <= 1000);
        if (i % 100 == 0)
            assert_balanced(&e);
    }
    for (i = 0; i < 3; i++)
        if (flying[i])
            endpoint_done(&e, flying[i], OUTCOME_RETRY, 0, now, 0);
    endpoint_abandon(&e);
    assert_balanced(&e);
    assert_int_equal(e.counters.queued[UPLOAD_TRACES].payloads, e.spool.len);
    assert_int_equal(e.counters.spooled[UPLOAD_TRACES].payloads, e.spool.len);
    spool_close(&e.spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_read_as_the_retry_table_says),
        cmocka_unit_test(test_deliveries_leave_in_the_order_they_came),
        cmocka_unit_test(test_it_tells_how_full_it_is),
        cmocka_unit_test(test_requests_in_flight_are_bounded_and_one_while_failing),
        cmocka_unit_test(test_pauses_grow_up_to_ten_seconds),
        cmocka_unit_test(test_the_oldest_makes_room_within_the_byte_ceiling),
        cmocka_unit_test(test_what_is_too_old_is_given_up),
        cmocka_unit_test(test_attempts_are_counted_where_a_limit_is_set),
        cmocka_unit_test(test_a_lost_body_is_accepted_and_dropped),
        cmocka_unit_test(test_a_failure_is_known_by_its_kind),
        cmocka_unit_test(test_the_oldest_goes_to_disk_when_memory_holds_too_much),
        cmocka_unit_test(test_what_waits_long_for_an_endpoint_that_fails_goes_to_disk),
        cmocka_unit_test(test_the_oldest_on_disk_makes_room_there),
        cmocka_unit_test(test_memory_is_sent_before_disk_and_one_request_belongs_to_the_disk),
        cmocka_unit_test(test_what_came_from_disk_and_failed_is_on_disk_still),
        cmocka_unit_test(test_a_disk_that_fails_is_rested_from_and_memory_does_its_part),
        cmocka_unit_test(test_files_of_a_former_life_are_counted_and_come_first_in_order),
        cmocka_unit_test(test_a_file_that_is_not_whole_or_too_old_is_dropped_and_counted),
        cmocka_unit_test(test_the_books_balance_through_a_random_life),
    };

    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
