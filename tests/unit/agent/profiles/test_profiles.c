/* test_profiles.c - the room between batches and uploads: what is taken, what makes room, and that every row is
 * accounted for. */
#include "agent/profiles/profiles.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "agent/profiles/internal.h"
#include "base/alloc.h"
#include "codec/json_write.h"
#include "support/test.h"

#include "batch.h"

/* A forwarder that counts, refuses or stands still. */
typedef struct sink {
    pthread_mutex_t mu;
    unsigned uploads;
    uint64_t rows;
    char last_body[4096];
    sonde_status give;
    sem_t may_go; /* when it stands still */
    sem_t arrived;
    bool stands;
} sink;

typedef struct fixture {
    sink to;
    agent_config *config;
    profiles *p;
    profiles_counters n;
} fixture;

static fixture f;

static sonde_status push(void *stage, upload *u)
{
    sink *s = stage;

    if (s->stands) {
        (void)sem_post(&s->arrived);
        (void)sem_wait(&s->may_go);
    }
    pthread_mutex_lock(&s->mu);
    if (s->give == SONDE_OK) {
        s->uploads++;
        s->rows += u->items;
        (void)snprintf(s->last_body, sizeof(s->last_body), "%.*s", (int)u->body_len,
                       (const char *)u->body);
        sonde_free(u->body);
    }
    pthread_mutex_unlock(&s->mu);
    return s->give;
}

static void open_room(void)
{
    config_options options = { .os_hostname = "h1", .cpus = 2 };

    memset(&f, 0, sizeof(f));
    assert_int_equal(pthread_mutex_init(&f.to.mu, NULL), 0);
    assert_int_equal(sem_init(&f.to.may_go, 0, 0), 0);
    assert_int_equal(sem_init(&f.to.arrived, 0, 0), 0);
    assert_status(config_load_text(&options, SONDE_STR("{api_key: KEY}"), "t", &f.config, NULL),
                  SONDE_OK);
    assert_status(profiles_open(&(profiles_options){ .config = f.config,
                                                     .sink = { push, &f.to },
                                                     .agent_version = "1.2.3",
                                                     .via = SONDE_STR("trace-agent 1.2.3"),
                                                     .tags = SONDE_STR("host:h1") },
                                &f.p, NULL),
                  SONDE_OK);
}

static uint64_t sum(const uint64_t *counts, size_t len)
{
    uint64_t all = 0;

    for (size_t i = 0; i < len; i++)
        all += counts[i];
    return all;
}

/* Reads the counters; the law holds at any moment. */
static void read_counters(void)
{
    profiles_read_counters(f.p, &f.n);
    assert_int_equal(f.n.rows_received,
                     f.n.rows_uploaded + sum(f.n.rows_dropped, PROFILES_DROPS) + f.n.rows_held);
}

static void close_room(void)
{
    profiles_close(f.p);
    config_put(f.config);
    (void)sem_destroy(&f.to.may_go);
    (void)sem_destroy(&f.to.arrived);
    (void)pthread_mutex_destroy(&f.to.mu);
}

static take_result take_body(sonde_str body)
{
    batch_request r = { .body = body };

    assert_status(batch_check(body, &r.facts, NULL), SONDE_OK);
    return profiles_take(f.p, &r);
}

/* A first batch of a session with `rows` good rows and one of an unknown node. */
static take_result take(const char *id, uint64_t seq, uint64_t start_s, unsigned rows)
{
    take_result result;
    sonde_buf b;

    sonde_buf_init(&b, 1u << 20);
    put_hello(&b, id, seq, start_s, start_s + 10);
    put(&b, "[uu[uuu", 3, U(4), U(1), 3, U(0), U(0), U(0x10));
    for (unsigned i = 0; i < rows; i++)
        put(&b, "[uuu[uuuuuu", 4, U(5), U(1), start_s * SECOND, 6, U(0), U(0), U(0), U(1), U(1),
            U(7));
    put(&b, "[uuu[uuuuuu", 4, U(5), U(1), start_s * SECOND, 6, U(0), U(0), U(0), U(99), U(1), U(7));
    put_end(&b, seq);
    result = take_body(sonde_buf_str(&b));
    sonde_buf_done(&b);
    return result;
}

/* A later batch of a session: nothing new but its number. */
static take_result take_later(const char *id, uint64_t seq)
{
    take_result result;
    sonde_buf b;

    sonde_buf_init(&b, 4096);
    put(&b, "[u{ u u u b u u u u u u", 2, U(0), 5, U(0), U(1), U(1), id, (size_t)16, U(2), seq,
        U(3), U(1), U(4), U(2));
    put_end(&b, seq);
    result = take_body(sonde_buf_str(&b));
    sonde_buf_done(&b);
    return result;
}

static void test_every_row_is_uploaded_or_counted(void **state)
{
    (void)state;
    open_room();
    assert_int_equal(take("session-a-------", 1, 100, 3), TAKE_OK);
    assert_int_equal(take("session-b-------", 1, 100, 5), TAKE_OK);
    read_counters();
    assert_int_equal(f.n.rows_held, 8);
    assert_int_equal(f.n.rows_dropped[PROFILES_DROP_UNKNOWN], 2);

    profiles_stop(f.p);

    read_counters();
    assert_int_equal(f.n.rows_uploaded, 8);
    assert_int_equal(f.n.rows_held, 0);
    assert_int_equal(f.to.uploads, 2);
    assert_int_equal(f.to.rows, 8);
    assert_non_null(strstr(f.to.last_body, "\"family\":\"native\""));
    close_room();
}

static void test_a_batch_that_comes_again_is_acknowledged_and_counts_once(void **state)
{
    (void)state;
    open_room();
    assert_int_equal(take(SESSION_A, 1, 100, 3), TAKE_OK);
    assert_int_equal(take(SESSION_A, 1, 100, 3), TAKE_AGAIN);
    read_counters();
    assert_int_equal(f.n.batches_taken, 1);
    assert_int_equal(f.n.batches_repeated, 1);
    assert_int_equal(f.n.rows_received, 4);
    close_room();
}

static void test_a_session_nobody_knows_is_told_to_begin_anew(void **state)
{
    (void)state;
    open_room();
    assert_int_equal(take_later(SESSION_A, 5), TAKE_RESYNC);
    assert_int_equal(take(SESSION_A, 6, 100, 3), TAKE_OK);
    assert_int_equal(take_later(SESSION_A, 7), TAKE_OK);
    read_counters();
    assert_int_equal(f.n.batches_resync, 1);
    close_room();
}

static void test_the_session_unused_longest_makes_room(void **state)
{
    char id[17];

    (void)state;
    open_room();
    f.p->sessions_max_bytes = SIZE_MAX;
    for (unsigned i = 0; i < SESSIONS_MAX + 1; i++) {
        (void)snprintf(id, sizeof(id), "session %08u", i);
        assert_int_equal(take(id, 1, 100, 0), TAKE_OK);
    }
    read_counters();
    assert_int_equal(f.n.sessions, SESSIONS_MAX);
    assert_int_equal(f.n.sessions_evicted, 1);
    assert_int_equal(take_later("session 00000000", 2), TAKE_RESYNC);
    assert_int_equal(take_later("session 00000001", 2), TAKE_OK);
    close_room();
}

static void test_sessions_have_a_ceiling_of_bytes(void **state)
{
    (void)state;
    open_room();
    f.p->sessions_max_bytes = 1;
    assert_int_equal(take("session-a-------", 1, 100, 1), TAKE_OK); /* one is always kept */
    assert_int_equal(take("session-b-------", 1, 100, 1), TAKE_OK);
    read_counters();
    assert_int_equal(f.n.sessions, 1);
    assert_int_equal(take_later("session-a-------", 2), TAKE_RESYNC);
    assert_int_equal(take_later("session-b-------", 2), TAKE_OK);
    close_room();
}

static void test_once_stopped_batches_are_refused(void **state)
{
    (void)state;
    open_room();
    profiles_stop(f.p);
    assert_int_equal(take(SESSION_A, 1, 100, 3), TAKE_CLOSING);
    read_counters();
    assert_int_equal(f.n.batches_refused[PROFILES_REFUSED_CLOSING], 1);
    close_room();
}

static void test_what_the_forwarder_does_not_take_is_counted(void **state)
{
    (void)state;
    open_room();
    f.to.give = SONDE_ERR_CLOSED;
    assert_int_equal(take(SESSION_A, 1, 100, 3), TAKE_OK);
    profiles_stop(f.p);
    read_counters();
    assert_int_equal(f.n.rows_dropped[PROFILES_DROP_SINK], 3);
    close_room();
}

static void test_when_encoding_cannot_keep_up_the_oldest_window_is_dropped(void **state)
{
    const unsigned more = 3;

    (void)state;
    open_room();
    f.to.stands = true;
    assert_int_equal(take(SESSION_A, 1, 100, 1), TAKE_OK);
    assert_int_equal(take(SESSION_A, 2, 10000, 1),
                     TAKE_OK);     /* an hour later: the window ends first */
    (void)sem_wait(&f.to.arrived); /* the thread is at the first one now */
    for (unsigned i = 0; i < WINDOWS_WAITING_MAX + more; i++)
        assert_int_equal(take(SESSION_A, 3 + i, 20000 + 10000 * (uint64_t)i, 1), TAKE_OK);
    read_counters();
    assert_int_equal(f.n.rows_dropped[PROFILES_DROP_WAITING], more);

    for (unsigned i = 0; i < WINDOWS_WAITING_MAX + 2; i++)
        (void)sem_post(&f.to.may_go);
    profiles_stop(f.p);

    read_counters();
    assert_int_equal(f.n.rows_uploaded, WINDOWS_WAITING_MAX + 2);
    close_room();
}

static void test_a_profile_that_makes_all_of_them_too_big_ends_early(void **state)
{
    (void)state;
    open_room();
    f.p->windows_max_bytes = 1;
    assert_int_equal(take(SESSION_A, 1, 100, 3), TAKE_OK);
    assert_int_equal(take(SESSION_A, 2, 110, 5), TAKE_OK);
    read_counters();
    assert_int_equal(f.p->windows.bytes, 0);
    profiles_stop(f.p);
    read_counters();
    assert_int_equal(f.n.rows_uploaded, 8);
    assert_int_equal(f.to.uploads, 2);
    close_room();
}

static void take_line(void *to, sonde_str line)
{
    sonde_buf_append_str(to, line);
}

static void test_counters_of_profilers_are_gauges(void **state)
{
    sonde_buf b, out;

    (void)state;
    open_room();
    sonde_buf_init(&b, 4096);
    put(&b, "[u{ u u u b u u u u u u u u u s u s", 2, U(0), 8, U(0), U(1), U(1), SESSION_A,
        (size_t)16, U(2), U(1), U(3), U(1), U(4), U(2), U(5), U(42), U(7), "shop,1|x", U(8),
        "prod");
    put(&b, "[u{u{uuuu", 2, U(10), 2, U(2), 1, U(1), U(17), U(5), U(99));
    put_end(&b, 1);
    assert_int_equal(take_body(sonde_buf_str(&b)), TAKE_OK);

    sonde_buf_init(&out, 4096);
    profiles_to_statsd(f.p, take_line, &out);

    assert_string_equal(sonde_buf_cstr(&out),
                        "sonde.profiler.lost_cpu:17|g|#service:shop_1_x,env:prod\n"
                        "sonde.profiler.handler_ns:99|g|#service:shop_1_x,env:prod\n");
    sonde_buf_done(&b);
    sonde_buf_done(&out);
    close_room();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_uploaded_or_counted),
        cmocka_unit_test(test_a_batch_that_comes_again_is_acknowledged_and_counts_once),
        cmocka_unit_test(test_a_session_nobody_knows_is_told_to_begin_anew),
        cmocka_unit_test(test_the_session_unused_longest_makes_room),
        cmocka_unit_test(test_sessions_have_a_ceiling_of_bytes),
        cmocka_unit_test(test_once_stopped_batches_are_refused),
        cmocka_unit_test(test_what_the_forwarder_does_not_take_is_counted),
        cmocka_unit_test(test_when_encoding_cannot_keep_up_the_oldest_window_is_dropped),
        cmocka_unit_test(test_a_profile_that_makes_all_of_them_too_big_ends_early),
        cmocka_unit_test(test_counters_of_profilers_are_gauges),
    };

    return cmocka_run_group_tests_name("profiles", tests, NULL, NULL);
}
