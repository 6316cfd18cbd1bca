/* test_session.c - batches of one process, one after the other. */
#include "agent/profiles/session.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include "batch.h"

typedef struct fixture {
    session *s;
    profile *p;
} fixture;

static void open_both(fixture *f, const char *id)
{
    assert_status(session_open((const uint8_t *)id, NULL, &f->s), SONDE_OK);
    assert_status(profile_open(&f->p), SONDE_OK);
}

static void close_both(fixture *f)
{
    session_close(f->s);
    profile_close(f->p);
}

/* The way of a batch through the room; frees it. */
static session_verdict take(fixture *f, sonde_buf *b)
{
    batch_facts facts;
    session_verdict verdict;

    assert_status(batch_check(sonde_buf_str(b), &facts, NULL), SONDE_OK);
    verdict = session_accepts(f->s, &facts);
    if (verdict == SESSION_TAKES) {
        assert_status(session_greet(f->s, &facts.hello), SONDE_OK);
        assert_status(session_merge(f->s, sonde_buf_str(b), f->p), SONDE_OK);
    }
    sonde_buf_done(b);
    return verdict;
}

static void begin(sonde_buf *b, uint64_t seq)
{
    sonde_buf_init(b, 64u << 20);
    put_hello(b, SESSION_A, seq, 100, 110);
}

static void put_stack(sonde_buf *b, uint64_t base, uint64_t parent, uint64_t address)
{
    put(b, "[uu[uuu", 3, U(4), base, 3, parent, U(0), address);
}

static void put_cpu(sonde_buf *b, uint64_t at_s, uint64_t context, uint64_t node, uint64_t ns)
{
    put(b, "[uuu[uuuuuu", 4, U(5), U(1), at_s * SECOND, 6, U(0), U(1), context, node, U(1), ns);
}

static void test_rows_of_one_stack_and_span_are_one(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put_stack(&b, 1, 0, 0x10);
    put(&b, "[u[[uuuuu", 2, U(7), 1, 5, U(9), U(0), U(1), U(22), U(11));
    put_cpu(&b, 105, 9, 1, 10);
    put_cpu(&b, 106, 9, 1, 20);
    put_cpu(&b, 106, 0, 1, 40);
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.p->rows, 3);
    assert_int_equal(f.p->samples_len, 2);
    assert_int_equal(f.p->samples[0].value[0], 30);
    assert_int_equal(f.p->samples[0].events, 2);
    assert_int_equal(f.p->samples[0].span_id, 22);
    assert_int_equal(f.p->samples[0].local_root_id, 11);
    assert_int_equal(f.p->samples[1].span_id, 0);
    close_both(&f);
}

static void test_with_timeline_each_row_keeps_its_time_up_to_the_ceiling(void **state)
{
    const uint32_t more = 100;
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    b.len = 0;
    put(&b, "[u{ u u u b u u u u u u u u u u", 2, U(0), 7, U(0), U(1), U(1), SESSION_A, (size_t)16,
        U(2), U(1), U(3), 100 * SECOND, U(4), 110 * SECOND, U(5), U(1), U(18), U(1));
    put_stack(&b, 1, 0, 0x10);
    for (uint32_t i = 0; i < PROFILE_TIMELINE_MAX + more; i++)
        put_cpu(&b, 105, 0, 1, 1);
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.p->timeline_len, PROFILE_TIMELINE_MAX);
    assert_int_equal(f.p->samples_len, PROFILE_TIMELINE_MAX + 1);
    assert_true(f.p->timeline_truncated);
    assert_int_equal(f.p->samples[PROFILE_TIMELINE_MAX].value[0], more);
    assert_int_equal(f.p->samples[0].end_unix_ns, 105 * SECOND);
    close_both(&f);
}

static void test_a_row_of_a_node_nobody_described_is_counted(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put_cpu(&b, 105, 0, 77, 1);
    put_cpu(&b, 105, 0, 0, 1);
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.p->lost[PROFILE_LOSS_UNKNOWN], 2);
    assert_int_equal(f.s->counters.rows, 2);
    assert_int_equal(f.p->rows, 0);
    close_both(&f);
}

static void test_negative_values_are_counted_and_not_believed(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put_stack(&b, 1, 0, 0x10);
    put(&b, "[uuu[uuuuui", 4, U(5), U(1), 105 * SECOND, 6, U(0), U(1), U(0), U(1), U(1),
        (int64_t)-5);
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.p->lost[PROFILE_LOSS_NEGATIVE], 1);
    close_both(&f);
}

static void test_times_outside_the_batch_are_clamped(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    f.p->timeline = true;
    begin(&b, 1);
    put(&b, "[uu", 2, U(99), U(0));
    put_stack(&b, 1, 0, 0x10);
    put_cpu(&b, 39, 0, 1, 1);
    put_cpu(&b, 40, 0, 1, 1);
    put_cpu(&b, 111, 0, 1, 1);
    put_cpu(&b, 112, 0, 1, 1);
    put(&b, "[uuu[iuuuuu", 4, U(5), U(1), U(0) - 1, 6, (int64_t)INT64_MIN, U(1), U(0), U(1), U(1),
        U(1));
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.s->counters.clamped, 3);
    close_both(&f);
}

static void test_a_lost_batch_shows_in_the_ids_of_the_next(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put_stack(&b, 1, 0, 0x10);
    put(&b, "[uu[ss", 3, U(1), U(1), 2, "a", "b");
    put_end(&b, 1);
    assert_int_equal(take(&f, &b), SESSION_TAKES);

    begin(&b, 3);
    put_stack(&b, 3, 1, 0x20);
    put_end(&b, 3);
    assert_int_equal(take(&f, &b), SESSION_RESYNC);

    begin(&b, 3);
    put(&b, "[uu[s", 3, U(1), U(4), 1, "d");
    put_end(&b, 3);
    assert_int_equal(take(&f, &b), SESSION_RESYNC);

    begin(&b, 3); /* what is known may come again */
    put_stack(&b, 1, 0, 0x10);
    put_stack(&b, 2, 1, 0x20);
    put_end(&b, 3);
    assert_int_equal(take(&f, &b), SESSION_TAKES);
    assert_int_equal(f.s->nodes_len, 3);
    close_both(&f);
}

static void test_a_batch_that_comes_twice_counts_once(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    for (int i = 0; i < 2; i++) {
        begin(&b, 0);
        put_stack(&b, 1, 0, 0x10);
        put_cpu(&b, 105, 0, 1, 10);
        put_end(&b, 0);
        assert_int_equal(take(&f, &b), i == 0 ? SESSION_TAKES : SESSION_HAS_IT);
    }
    assert_int_equal(f.p->rows, 1);
    close_both(&f);
}

static void test_a_parent_that_is_not_older_is_refused(void **state)
{
    batch_facts facts;
    sonde_buf b;

    (void)state;
    begin(&b, 1);
    put_stack(&b, 1, 1, 0x10);
    put_end(&b, 1);
    assert_status(batch_check(sonde_buf_str(&b), &facts, NULL), SONDE_ERR_SYNTAX);
    sonde_buf_done(&b);
}

static void test_a_stack_that_is_too_deep_begins_anew(void **state)
{
    fixture f;
    sonde_buf b;
    uint32_t depth = 0;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    for (uint64_t i = 1; i <= PROFILE_DEPTH_MAX + 10; i++)
        put_stack(&b, i, i - 1, i);
    put_cpu(&b, 105, 0, PROFILE_DEPTH_MAX + 10, 1);
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.s->counters.too_deep, 1);
    for (uint32_t n = f.p->samples[0].node; n; n = f.p->nodes[n].parent)
        depth++;
    assert_int_equal(depth, 10);
    close_both(&f);
}

static void test_ids_above_a_ceiling_are_left_out_and_counted(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put(&b, "[u[[uuuu", 2, U(6), 1, 4, U(SESSION_THREADS_MAX), U(1), U(0), U(0));
    put(&b, "[u[[uuuu", 2, U(6), 1, 4, UINT64_MAX, U(1), U(0), U(0));
    put(&b, "[u[[uuuu", 2, U(2), 1, 4, U(SESSION_MAPPINGS_MAX), U(1), U(0), U(0));
    put(&b, "[u[[uuuuu", 2, U(7), 2, 5, U(10), U(1), U(0), U(0), U(5));
    put(&b, "[uuuuu", 5, U(10 + SESSION_CONTEXTS_MAX), U(1), U(0), U(0), U(5));
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.s->counters.left_out, 4);
    close_both(&f);
}

static void test_a_span_is_forgotten_two_windows_later(void **state)
{
    static const uint64_t spans[] = { 22, 22, 0 };
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    for (uint64_t window = 0; window < COUNT_OF(spans); window++) {
        begin(&b, window + 1);
        put_stack(&b, 1, 0, 0x10);
        if (window == 0)
            put(&b, "[u[[uuuuu", 2, U(7), 1, 5, U(9), U(0), U(1), U(22), U(11));
        put_cpu(&b, 105, 9, 1, 1);
        put_end(&b, window + 1);
        assert_int_equal(take(&f, &b), SESSION_TAKES);
        assert_int_equal(f.p->samples[0].span_id, spans[window]);
        profile_close(f.p);
        assert_status(profile_open(&f.p), SONDE_OK);
    }
    assert_int_equal(f.s->counters.unknown_contexts, 1);
    close_both(&f);
}

static void test_of_snapshots_of_the_live_heap_the_last_one_counts(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put_stack(&b, 1, 0, 0x10);
    put(&b, "[uu[uuuuuuuuuu", 3, U(9), U(1), 10, U(1), U(0), U(5), U(500), U(1), U(1), U(0), U(6),
        U(600), U(1));
    put(&b, "[uu[uuuuu", 3, U(9), U(2), 5, U(1), U(0), U(7), U(700), U(1));
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.p->live_len, 1);
    assert_int_equal(f.p->live[0].value[1], 700);
    close_both(&f);
}

static void test_own_sample_types_have_a_ceiling(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put_stack(&b, 1, 0, 0x10);
    put(&b, "[uu[sssssss", 3, U(1), U(1), 7, "a", "b", "c", "d", "e", "f", "count");
    for (uint64_t type = 1; type <= 6; type++)
        put(&b, "[uuu[uuuuuuuu", 4, U(5), U(7), 105 * SECOND, 8, U(0), U(0), U(0), U(1), U(1), U(3),
            type, U(7));
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    assert_int_equal(f.p->custom_len, PROFILE_CUSTOM_MAX);
    assert_int_equal(f.p->lost[PROFILE_LOSS_CUSTOM], 1);
    close_both(&f);
}

static void test_counters_of_batches_are_summed_up_and_others_stand(void **state)
{
    fixture f;
    sonde_buf b;

    (void)state;
    open_both(&f, SESSION_A);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        begin(&b, seq);
        put(&b, "[u{u{uuuu", 2, U(10), 2, U(2), 1, U(1), U(17), U(5), U(99 * seq));
        put_end(&b, seq);
        assert_int_equal(take(&f, &b), SESSION_TAKES);
    }
    assert_int_equal(f.s->stats.value[2][1], 34);
    assert_int_equal(f.s->stats.value[5][0], 198);
    close_both(&f);
}

static void test_a_full_profile_counts_what_it_cannot_take(void **state)
{
    profile_sample row = { .kind = PROFILE_CPU, .events = 1 };
    profile *p;

    (void)state;
    assert_status(profile_open(&p), SONDE_OK);
    row.node = profile_node_of(p, 0, profile_location_of(p, PROFILE_MAP_NONE, 1));
    for (uint64_t i = 0; i < PROFILE_SAMPLES_MAX + 7; i++) {
        row.span_id = i;
        profile_add(p, &row);
    }
    assert_int_equal(p->rows, PROFILE_SAMPLES_MAX);
    assert_int_equal(p->lost[PROFILE_LOSS_FULL], 7);
    profile_close(p);
}

static void test_generated_code_is_called_as_the_program_says(void **state)
{
    fixture f;
    sonde_buf b;
    const profile_location *l;

    (void)state;
    open_both(&f, SESSION_A);
    begin(&b, 1);
    put(&b, "[uu[ss", 3, U(1), U(1), 2, "older", "newer");
    put(&b, "[u[[uuuuuu", 2, U(2), 1, 6, U(2), U(0x1000), U(0x1000), U(0), U(0), U(4));
    put(&b, "[u[[uuuu", 2, U(12), 3, 4, U(2), U(0x1100), U(0x10), U(1));
    put(&b, "[uuuu[uuuu", 4, U(2), U(0x1080), U(0x10), U(1), 4, U(2), U(0x1100), U(0x20), U(2));
    put(&b, "[uu[uuuuuu", 3, U(4), U(1), 6, U(0), U(2), U(0x111f), U(0), U(2), U(0x1120));
    put_cpu(&b, 105, 0, 1, 1);
    put_cpu(&b, 105, 0, 2, 1);
    put_end(&b, 1);

    assert_int_equal(take(&f, &b), SESSION_TAKES);

    l = &f.p->locations[f.p->nodes[f.p->samples[0].node].location];
    assert_int_equal(l->lines_len, 1);
    assert_memory_equal(
        profile_text(f.p, f.p->functions[f.p->lines[l->lines_at].function].name).ptr, "newer", 5);
    l = &f.p->locations[f.p->nodes[f.p->samples[1].node].location];
    assert_int_equal(l->lines_len, 0);
    close_both(&f);
}

static sonde_status take_the_example(void *user)
{
    session *s = NULL;
    profile *p = NULL;
    batch_facts facts;
    sonde_status status;

    (void)user;
    status = batch_check(example_body, &facts, NULL);
    if (status == SONDE_OK)
        status = session_open(facts.hello.session, NULL, &s);
    if (status == SONDE_OK)
        status = profile_open(&p);
    if (status == SONDE_OK)
        status = session_greet(s, &facts.hello);
    if (status == SONDE_OK)
        status = session_merge(s, example_body, p);
    session_close(s);
    profile_close(p);
    return status;
}

static void test_taking_a_batch_survives_every_failed_allocation(void **state)
{
    (void)state;
    alloc_fail_each(take_the_example, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_one_stack_and_span_are_one),
        cmocka_unit_test(test_with_timeline_each_row_keeps_its_time_up_to_the_ceiling),
        cmocka_unit_test(test_a_row_of_a_node_nobody_described_is_counted),
        cmocka_unit_test(test_negative_values_are_counted_and_not_believed),
        cmocka_unit_test(test_times_outside_the_batch_are_clamped),
        cmocka_unit_test(test_a_lost_batch_shows_in_the_ids_of_the_next),
        cmocka_unit_test(test_a_batch_that_comes_twice_counts_once),
        cmocka_unit_test(test_a_parent_that_is_not_older_is_refused),
        cmocka_unit_test(test_a_stack_that_is_too_deep_begins_anew),
        cmocka_unit_test(test_ids_above_a_ceiling_are_left_out_and_counted),
        cmocka_unit_test(test_a_span_is_forgotten_two_windows_later),
        cmocka_unit_test(test_of_snapshots_of_the_live_heap_the_last_one_counts),
        cmocka_unit_test(test_own_sample_types_have_a_ceiling),
        cmocka_unit_test(test_counters_of_batches_are_summed_up_and_others_stand),
        cmocka_unit_test(test_a_full_profile_counts_what_it_cannot_take),
        cmocka_unit_test(test_generated_code_is_called_as_the_program_says),
        cmocka_unit_test(test_taking_a_batch_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
