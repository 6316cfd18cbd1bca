/* Batches that wait: what is merged, what is lost, and that it all adds up. */
#include "support/test.h"

#include <string.h>

#include "profiler/src/link.h"
#include "profiler/src/outbox.h"

static void put(sonde_buf *b, const char *text)
{
    sonde_buf_append_str(b, sonde_str_from(text));
}

static sonde_prof__batch batch(const char *dict, const char *own, const char *rest, uint64_t events)
{
    sonde_prof__batch b;

    sonde_prof__batch_init(&b);
    put(&b.dict, dict);
    put(&b.own, own);
    sonde_prof__batch_part(&b, 0, events);
    put(&b.rest, rest);
    return b;
}

static void push(sonde_prof__outbox *o, const char *dict, const char *own, const char *rest,
                 uint64_t events)
{
    sonde_prof__batch b = batch(dict, own, rest, events);

    sonde_prof__outbox_push(o, &b);
    sonde_prof__batch_done(&b);
}

static void assert_text(sonde_buf *b, const char *want)
{
    assert_string_equal(sonde_buf_cstr(b), want);
}

static void a_fourth_batch_costs_the_oldest_its_samples_and_not_its_dictionary(void **state)
{
    sonde_prof__outbox o;
    sonde_prof__batch *head;

    (void)state;
    sonde_prof__outbox_init(&o);
    push(&o, "A", "a", "1", 1);
    push(&o, "B", "b", "2", 10);
    push(&o, "C", "c", "3", 100);
    push(&o, "D", "d", "4", 1000);
    assert_int_equal(o.len, 3);
    assert_int_equal(o.events_lost, 1);
    assert_int_equal(o.lost, 1);
    head = sonde_prof__outbox_head(&o);
    assert_text(&head->dict, "AB");
    assert_text(&head->own, "ab");
    assert_text(&head->rest, "2");
    assert_int_equal(sonde_prof__outbox_events(&o), 1110);
    sonde_prof__outbox_sent(&o);
    assert_int_equal(o.events_sent, 10);
    assert_text(&sonde_prof__outbox_head(&o)->dict, "C");
    sonde_prof__outbox_done(&o);
    assert_int_equal(o.events_lost, 1 + 1100);
    assert_int_equal(o.events_sent + o.events_lost, 1111);
    assert_int_equal(o.sent + o.lost, 4);
}

static void the_only_batch_that_is_dropped_keeps_its_dictionary(void **state)
{
    sonde_prof__outbox o;

    (void)state;
    sonde_prof__outbox_init(&o);
    push(&o, "A", "a", "1", 5);
    sonde_prof__outbox_drop(&o);
    assert_int_equal(o.events_lost, 5);
    assert_text(&sonde_prof__outbox_head(&o)->dict, "A");
    assert_text(&sonde_prof__outbox_head(&o)->rest, "");
    sonde_prof__outbox_done(&o);
    assert_int_equal(o.events_lost, 5);
}

static void a_batch_that_is_too_big_is_sent_in_halves(void **state)
{
    sonde_prof__outbox o;
    sonde_prof__batch b;
    sonde_prof__batch *head;

    (void)state;
    sonde_prof__outbox_init(&o);
    b = batch("A", "a", "one", 1);
    sonde_prof__batch_part(&b, 3, 2);
    put(&b.rest, "two");
    sonde_prof__batch_part(&b, 6, 4);
    put(&b.rest, "three");
    sonde_prof__batch_part(&b, 11, 8);
    put(&b.rest, "four");
    sonde_prof__outbox_push(&o, &b);
    sonde_prof__outbox_halve(&o);
    assert_int_equal(o.len, 2);
    head = sonde_prof__outbox_head(&o);
    assert_text(&head->dict, "A");
    assert_text(&head->rest, "onetwo");
    assert_int_equal(head->events, 3);
    assert_text(&o.batches[1].dict, "");
    assert_text(&o.batches[1].rest, "threefour");
    assert_int_equal(o.batches[1].events, 12);
    sonde_prof__outbox_halve(&o);
    assert_text(&sonde_prof__outbox_head(&o)->rest, "one");
    sonde_prof__outbox_halve(&o); /* one record: there are no halves */
    assert_int_equal(o.events_lost, 1);
    assert_text(&sonde_prof__outbox_head(&o)->dict, "A");
    sonde_prof__outbox_done(&o);
    assert_int_equal(o.events_lost, 15);
}

static void a_new_session_tells_everything_with_the_oldest(void **state)
{
    static const uint8_t id[SONDE_PROF__SESSION_BYTES] = { 1, 2, 3 };
    sonde_prof__outbox o;
    sonde_buf all;

    (void)state;
    sonde_prof__outbox_init(&o);
    push(&o, "A", "a", "1", 1);
    push(&o, "B", "b", "2", 1);
    sonde_buf_init(&all, 100);
    put(&all, "everything");
    sonde_prof__outbox_resync(&o, &all, id);
    assert_memory_equal(o.batches[1].session, id, sizeof(id));
    assert_text(&o.batches[0].dict, "everything");
    assert_text(&o.batches[0].own, "a");
    assert_text(&o.batches[1].dict, "");
    assert_text(&o.batches[1].own, "b");
    assert_int_equal(all.len, 0);
    sonde_buf_done(&all);
    sonde_prof__outbox_done(&o);
}

static void a_dictionary_is_of_no_use_to_another_session(void **state)
{
    sonde_prof__outbox o;

    (void)state;
    sonde_prof__outbox_init(&o);
    push(&o, "A", "a", "1", 1);
    push(&o, "B", "b", "2", 2);
    o.batches[1].session[0] = 7;
    sonde_prof__outbox_drop(&o);
    assert_int_equal(o.len, 1);
    assert_text(&sonde_prof__outbox_head(&o)->dict, "B");
    sonde_prof__outbox_discard(&o);
    assert_int_equal(o.len, 0);
    assert_int_equal(o.events_lost, 3);
    assert_int_equal(o.lost, 2);
    sonde_prof__outbox_done(&o);
}

static void an_agents_answer_says_what_it_takes(void **state)
{
    static const struct {
        const char *json;
        sonde_prof__takes want;
    } cases[] = {
        { "{\"endpoints\":[\"/v0.4/traces\",\"/profiling/v1/input\",\"/sonde/profiling/v1/"
          "batch\"]}",
          SONDE_PROF__TAKES_BATCHES },
        { "{\"version\":\"7\",\"config\":{\"endpoints\":1},\"endpoints\":[1,{},\"/profiling/v1/"
          "input\"]}",
          SONDE_PROF__TAKES_PROFILES },
        { "{\"endpoints\":[]}", SONDE_PROF__TAKES_NOTHING },
        { "{\"endpoints\":null}", SONDE_PROF__TAKES_NOTHING },
        { "{\"endpoints\":[\"/profiling", SONDE_PROF__TAKES_UNKNOWN },
        { "[]", SONDE_PROF__TAKES_UNKNOWN },
        { "", SONDE_PROF__TAKES_UNKNOWN },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        if (sonde_prof__info_says(sonde_str_from(cases[i].json)) != cases[i].want)
            fail_msg("%s: not %d", cases[i].json, (int)cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fourth_batch_costs_the_oldest_its_samples_and_not_its_dictionary),
        cmocka_unit_test(the_only_batch_that_is_dropped_keeps_its_dictionary),
        cmocka_unit_test(a_batch_that_is_too_big_is_sent_in_halves),
        cmocka_unit_test(a_new_session_tells_everything_with_the_oldest),
        cmocka_unit_test(a_dictionary_is_of_no_use_to_another_session),
        cmocka_unit_test(an_agents_answer_says_what_it_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
