/* test_windows.c - which profile a batch belongs to, by two clocks. */
#include "agent/profiles/windows.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "support/test.h"

#include <stdio.h>

#include "batch.h"

#define MINUTE (60 * SECOND)

typedef struct fixture {
    windows ws;
    session *s;
    uint64_t seq;
    uint64_t mono_ns;
    bool gone;
} fixture;

static void open_it(fixture *f)
{
    *f = (fixture){ .mono_ns = 1000 * SECOND };
    windows_init(&f->ws, MINUTE);
    assert_status(session_open((const uint8_t *)SESSION_A, NULL, &f->s), SONDE_OK);
    f->s->pid_is_sure = true;
    f->s->host_pid = 4242;
}

static void close_it(fixture *f)
{
    session_close(f->s);
    windows_done(&f->ws);
}

/* One batch over [start, end) seconds with `rows` samples. */
static process *take(fixture *f, uint64_t start_s, uint64_t end_s, unsigned rows)
{
    batch_facts facts;
    window *ended;
    process *p;
    sonde_buf b;

    f->seq++;
    sonde_buf_init(&b, 1u << 20);
    put(&b, "[u{ u u u b u u u u u u u u u s", 2, U(0), 7, U(0), U(1), U(1), SESSION_A, (size_t)16,
        U(2), f->seq, U(3), start_s * SECOND, U(4), end_s * SECOND, U(5), U(42), U(10), "runtime");
    put(&b, "[uu[uuu", 3, U(4), U(1), 3, U(0), U(0), U(0x10));
    for (unsigned i = 0; i < rows; i++)
        put(&b, "[uuu[uuuuuu", 4, U(5), U(1), start_s * SECOND, 6, U(0), U(0), U(0), U(1), U(1),
            U(7));
    put(&b, "[u[[uuuu", 2, U(8), 1, 4, U(70 + f->seq), U(0), U(0), U(1));
    put_end(&b, f->seq);
    assert_status(batch_check(sonde_buf_str(&b), &facts, NULL), SONDE_OK);
    assert_status(session_greet(f->s, &facts.hello), SONDE_OK);
    p = windows_process(&f->ws, f->s, &ended);
    assert_null(ended);
    assert_non_null(p);
    assert_status(session_merge(f->s, sonde_buf_str(&b), process_profile(p)), SONDE_OK);
    assert_status(process_note(&f->ws, p, f->s, &facts, SONDE_STR("box"), f->mono_ns), SONDE_OK);
    sonde_buf_done(&b);
    return p;
}

static bool is_gone(void *user, pid_t pid)
{
    assert_int_equal(pid, 4242);
    return ((fixture *)user)->gone;
}

static window *due(fixture *f, bool all)
{
    const windows_due when = { f->mono_ns, is_gone, f, all };

    return windows_next_due(&f->ws, &when);
}

/* Ten-second batches until one window has ended; returns its end in seconds. */
static uint64_t run_until_ended(fixture *f, uint64_t from_s, window **out)
{
    for (uint64_t at = from_s;; at += 10) {
        take(f, at, at + 10, 1);
        f->mono_ns += 10 * SECOND;
        *out = due(f, false);
        if (*out)
            return at + 10;
    }
}

static void test_windows_follow_each_other_and_are_numbered(void **state)
{
    fixture f;
    window *first, *second;
    uint64_t end;

    (void)state;
    open_it(&f);

    end = run_until_ended(&f, 100, &first);
    assert_in_range(first->end_unix_ns - first->start_unix_ns, 30 * SECOND,
                    70 * SECOND); /* by chance of its name */
    assert_int_equal(first->start_unix_ns, 100 * SECOND);
    assert_int_equal(first->seq, 0);
    assert_string_equal(first->who.text[SPB_KEY_RUNTIME_ID], "runtime");
    assert_string_equal(first->who.container, "box");

    end = run_until_ended(&f, end + 3, &second); /* three seconds were lost */
    assert_int_equal(second->start_unix_ns, first->end_unix_ns);
    assert_int_equal(second->end_unix_ns, end * SECOND);
    assert_in_range(second->end_unix_ns - second->start_unix_ns, 60 * SECOND, 70 * SECOND);
    assert_int_equal(second->seq, 1);
    window_free(first);
    window_free(second);
    close_it(&f);
}

static void test_a_late_batch_goes_into_the_next_window(void **state)
{
    fixture f;
    window *w;
    uint64_t end;

    (void)state;
    open_it(&f);
    end = run_until_ended(&f, 100, &w);
    window_free(w);

    take(&f, 100, 110, 5);
    take(&f, end, end + 10, 1);

    w = due(&f, true);
    assert_int_equal(w->late_batches, 1);
    assert_int_equal(w->profile->rows, 6);
    assert_int_equal(w->start_unix_ns, end * SECOND);
    window_free(w);
    close_it(&f);
}

static void test_a_clock_that_goes_back_does_not_keep_a_window_open(void **state)
{
    fixture f;
    window *w = NULL;

    (void)state;
    open_it(&f);
    take(&f, 100000, 100010, 1);
    for (int i = 0; i < 30 && !w; i++) {
        take(&f, 50, 51, 1); /* a day ago, and it stays there */
        f.mono_ns += 10 * SECOND;
        w = due(&f, false);
    }
    assert_non_null(w);
    window_free(w);
    close_it(&f);
}

static void test_a_clock_that_jumps_ahead_ends_the_window_first(void **state)
{
    batch_facts later = { .hello = { .start_unix_ns = (int64_t)(5000 * SECOND) } };
    fixture f;
    process *p;
    window *w;

    (void)state;
    open_it(&f);
    p = take(&f, 100, 110, 1);
    assert_true(process_must_end(p, &later));
    w = process_end(&f.ws, p);
    assert_int_equal(w->end_unix_ns, 110 * SECOND);
    window_free(w);

    take(&f, 5000, 5010, 1);
    w = due(&f, true);
    assert_int_equal(w->start_unix_ns,
                     5000 * SECOND); /* nothing is claimed about the time between */
    window_free(w);
    close_it(&f);
}

static void test_times_that_are_no_times_do_no_harm(void **state)
{
    fixture f;
    window *w;

    (void)state;
    open_it(&f);
    take(&f, 200, 100, 1); /* ends before it begins */
    w = due(&f, true);
    assert_int_equal(w->start_unix_ns, w->end_unix_ns);
    window_free(w);
    close_it(&f);
}

static void test_a_process_that_is_gone_is_sent_after_fifteen_seconds(void **state)
{
    fixture f;
    window *w;

    (void)state;
    open_it(&f);
    take(&f, 100, 110, 1);
    f.gone = true;
    f.mono_ns += 14 * SECOND;
    assert_null(due(&f, false));
    f.mono_ns += SECOND;
    w = due(&f, false);
    assert_non_null(w);
    assert_int_equal(f.ws.processes.count, 0);
    window_free(w);
    close_it(&f);
}

static void test_a_process_nobody_knows_is_sent_when_it_was_silent_long(void **state)
{
    fixture f;
    window *w;

    (void)state;
    open_it(&f);
    f.s->pid_is_sure = false;
    take(&f, 100, 110, 1);
    f.gone = true;
    f.mono_ns += 119 * SECOND;
    assert_null(due(&f, false));
    f.mono_ns += 31 * SECOND;
    w = due(&f, false);
    assert_non_null(w);
    window_free(w);
    close_it(&f);
}

static void test_a_window_without_samples_waits_five_minutes(void **state)
{
    fixture f;
    window *w = NULL;
    uint64_t at;

    (void)state;
    open_it(&f);
    for (at = 100; at < 390 && !w; at += 10) {
        take(&f, at, at + 10, 0);
        f.mono_ns += 10 * SECOND;
        w = due(&f, false);
        assert_null(w);
    }
    take(&f, at, at + 10, 0);
    w = due(&f, false);
    assert_non_null(w);
    assert_int_equal(w->end_unix_ns - w->start_unix_ns, 300 * SECOND);
    window_free(w);
    close_it(&f);
}

static void test_endpoints_are_known_for_one_window_more(void **state)
{
    static const bool known[] = { true, true, false };
    fixture f;
    process *p;

    (void)state;
    open_it(&f);
    for (uint64_t i = 0; i < COUNT_OF(known); i++) {
        window *w;

        p = take(&f, 100 + 10 * i, 110 + 10 * i, 1); /* reports the end of root 71 + i */
        w = process_end(&f.ws, p);
        assert_int_equal(profile_endpoint_of(w->profile, 71) != NULL, known[i]);
        assert_non_null(profile_endpoint_of(w->profile, 71 + i));
        window_free(w);
    }
    close_it(&f);
}

static void test_the_process_silent_longest_makes_room(void **state)
{
    char id[SPB_SESSION_LEN + 1];
    window *ended;
    fixture f;
    session *s;

    (void)state;
    open_it(&f);
    take(&f, 100, 110, 3);
    for (unsigned i = 1; i <= WINDOWS_MAX; i++) {
        process *p;

        (void)snprintf(id, sizeof(id), "session %08u", i);
        assert_status(session_open((const uint8_t *)id, NULL, &s), SONDE_OK);
        p = windows_process(&f.ws, s, &ended);
        assert_non_null(p);
        assert_int_equal(ended != NULL, i == WINDOWS_MAX);
        assert_non_null(process_profile(p));
        assert_status(process_note(&f.ws, p, s, &(batch_facts){ .strings_first = 0 }, SONDE_STR(""),
                                   f.mono_ns + i),
                      SONDE_OK);
        session_close(s);
        if (ended)
            assert_int_equal(ended->profile->rows, 3);
        window_free(ended);
    }
    assert_int_equal(f.ws.processes.count, WINDOWS_MAX);
    close_it(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_follow_each_other_and_are_numbered),
        cmocka_unit_test(test_a_late_batch_goes_into_the_next_window),
        cmocka_unit_test(test_a_clock_that_goes_back_does_not_keep_a_window_open),
        cmocka_unit_test(test_a_clock_that_jumps_ahead_ends_the_window_first),
        cmocka_unit_test(test_times_that_are_no_times_do_no_harm),
        cmocka_unit_test(test_a_process_that_is_gone_is_sent_after_fifteen_seconds),
        cmocka_unit_test(test_a_process_nobody_knows_is_sent_when_it_was_silent_long),
        cmocka_unit_test(test_a_window_without_samples_waits_five_minutes),
        cmocka_unit_test(test_endpoints_are_known_for_one_window_more),
        cmocka_unit_test(test_the_process_silent_longest_makes_room),
    };

    return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
