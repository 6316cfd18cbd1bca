/* The SQLite store through its header: commits, look-ups, retention, refusals. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_dir.h"
#include "support/test.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "dashboards/store/sqlite/db.h"
#include "dashboards/store/store.h"

#define DAY_NS (86400ll * 1000000000)
#define NOW_NS (1764000000ll * 1000000000) /* 2025-11-24T16:00:00Z */

/* ---- a clock that stands, and answers that are waited for ---- */

static _Atomic int64_t now_unix_ns;

static int64_t fake_unix_ns(void *user)
{
    (void)user;
    return now_unix_ns;
}

static uint64_t real_mono_ns(void *user)
{
    (void)user;
    return sonde_mono_ns();
}

static const sonde_clock fake_clock = { fake_unix_ns, real_mono_ns, NULL };

typedef struct waiter {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    unsigned answers;
    sonde_status last;
    bool hold; /* the writer waits in done() */
} waiter;

static waiter answers = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void on_done(void *user, sonde_status status)
{
    (void)user;
    pthread_mutex_lock(&answers.mu);
    answers.answers++;
    answers.last = status;
    pthread_cond_broadcast(&answers.changed);
    while (answers.hold)
        pthread_cond_wait(&answers.changed, &answers.mu);
    pthread_mutex_unlock(&answers.mu);
}

static void wait_answers(unsigned n)
{
    pthread_mutex_lock(&answers.mu);
    while (answers.answers < n)
        pthread_cond_wait(&answers.changed, &answers.mu);
    pthread_mutex_unlock(&answers.mu);
}

static void set_hold(bool hold)
{
    pthread_mutex_lock(&answers.mu);
    answers.hold = hold;
    pthread_cond_broadcast(&answers.changed);
    pthread_mutex_unlock(&answers.mu);
}

/* ---- the store ---- */

typedef struct world {
    char dir[64];
    store *store;
} world;

static store_options options_of(const world *w)
{
    return (store_options){ .dir = w->dir, .clock = &fake_clock };
}

static int open_world(void **state)
{
    static world w;
    store_options o;

    now_unix_ns = NOW_NS;
    answers.answers = 0;
    answers.hold = false;
    temp_dir_make(w.dir, sizeof(w.dir));
    o = options_of(&w);
    *state = &w;
    return store_open(&o, &w.store, NULL) == SONDE_OK ? 0 : -1;
}

static int close_world(void **state)
{
    world *w = (world *)*state;

    store_close(w->store);
    temp_dir_remove(w->dir);
    return 0;
}

static void reopen(world *w, const store_options *o)
{
    store_close(w->store);
    w->store = NULL;
    assert_status(store_open(o, &w->store, NULL), SONDE_OK);
}

static store_batch *new_batch(void)
{
    store_batch *b = store_batch_new();

    assert_non_null(b);
    b->done = on_done;
    return b;
}

/* One span in one trace; `payload` bytes that cannot be compressed. */
static void add_frame(store_batch *batch, uint64_t trace, int64_t start, size_t payload)
{
    static const model_source source = { .env = { "prod", 4 } };
    frame_builder *b = frame_builder_new();
    uint64_t noise[512];
    model_attr attr = { .key = SONDE_STR("noise"),
                        .kind = MODEL_ATTR_META,
                        .text = { (const char *)noise, payload } };
    sonde_rng rng;
    frame f = { 0 };
    size_t i;

    sonde_rng_seed(&rng, trace);
    for (i = 0; i < COUNT_OF(noise); i++)
        noise[i] = sonde_rng_next(&rng);
    frame_builder_source(b, &source);
    if (payload)
        frame_builder_new_attr(b, attr.text, &attr);
    frame_builder_end_span(b, &(frame_span){ .span_id = trace,
                                             .start_unix_ns = start,
                                             .duration_ns = 5,
                                             .service = frame_builder_str(b, SONDE_STR("web")) });
    frame_builder_end_chunk(b, &(frame_chunk){ .trace_lo = trace });
    assert_status(frame_builder_finish(b, &f), SONDE_OK);
    assert_status(store_batch_add_frame(batch, &f), SONDE_OK);
    frame_builder_free(b);
}

static void store_trace(world *w, uint64_t trace, int64_t start)
{
    unsigned before = answers.answers;
    store_batch *b = new_batch();

    add_frame(b, trace, start, 0);
    assert_status(store_append(w->store, b), SONDE_OK);
    wait_answers(before + 1);
    assert_status(answers.last, SONDE_OK);
}

static bool count_place(void *user, int32_t day, int64_t frame_id)
{
    (void)day, (void)frame_id;
    ++*(unsigned *)user;
    return true;
}

static unsigned places_of(world *w, uint64_t hi, uint64_t lo)
{
    store_reader *r = store_reader_get(w->store, UINT64_MAX);
    unsigned n = 0;

    assert_status(store_find_trace(r, hi, lo, count_place, &n), SONDE_OK);
    store_reader_put(r);
    return n;
}

static void test_a_trace_is_found_once_its_batch_was_acknowledged(void **state)
{
    world *w = (world *)*state;
    store_frame_ref *refs;
    store_reader *r;
    frame_view v;
    size_t len;

    store_trace(w, 7, 1000);

    assert_int_equal(places_of(w, 0, 7), 1);
    assert_int_equal(places_of(w, 1, 7), 0);
    assert_int_equal(places_of(w, 0, 8), 0);
    r = store_reader_get(w->store, UINT64_MAX);
    assert_status(store_list_frames(r, 0, 2000, &refs, &len), SONDE_OK);
    assert_int_equal(len, 1);
    assert_int_equal(refs[0].day, 20251124);
    frame_view_init(&v);
    assert_status(store_read_frame(r, refs[0].day, refs[0].id, &v), SONDE_OK);
    assert_int_equal(v.spans[0].span_id, 7);
    assert_status(store_read_frame(r, refs[0].day, refs[0].id + 1, &v), SONDE_ERR_NOT_FOUND);
    frame_view_done(&v);
    sonde_free(refs);
    store_reader_put(r);
}

static void test_frames_are_listed_by_time_and_told_apart_by_filter(void **state)
{
    world *w = (world *)*state;
    uint64_t web = filter_token(FILTER_SERVICE, SONDE_STR("web"));
    uint64_t other = filter_token(FILTER_SERVICE, SONDE_STR("other"));
    store_frame_ref *refs;
    store_reader *r;
    size_t len;

    store_trace(w, 1, 1000);
    store_trace(w, 2, 3000);
    store_trace(w, 3, 2000);

    r = store_reader_get(w->store, UINT64_MAX);
    assert_status(store_list_frames(r, 1500, 9000, &refs, &len), SONDE_OK);
    assert_int_equal(len, 2);
    assert_int_equal(refs[0].max_start_unix_ns, 3000); /* latest first */
    assert_int_equal(refs[1].max_start_unix_ns, 2000);
    assert_true(store_may_hold(r, &refs[0], &web, 1));
    assert_false(store_may_hold(r, &refs[0], &other, 1));
    sonde_free(refs);
    store_reader_put(r);
}

static void test_what_was_stored_is_there_after_opening_again(void **state)
{
    world *w = (world *)*state;
    store_options o = options_of(w);

    store_trace(w, 7, 1000);
    reopen(w, &o);
    assert_int_equal(places_of(w, 0, 7), 1);

    store_trace(w, 7, 2000); /* ids of frames go on */
    assert_int_equal(places_of(w, 0, 7), 2);
}

static void test_days_beyond_the_age_are_unlinked(void **state)
{
    world *w = (world *)*state;
    store_options o = options_of(w);
    store_counters c;
    char path[128];
    struct stat st;

    o.max_age_s = 2 * 86400;
    store_trace(w, 1, 1000);
    snprintf(path, sizeof(path), "%s/spans-20251124.db", w->dir);
    assert_int_equal(stat(path, &st), 0);

    now_unix_ns = NOW_NS + 2 * DAY_NS;
    reopen(w, &o);
    assert_int_equal(places_of(w, 0, 1), 1);
    now_unix_ns = NOW_NS + 3 * DAY_NS;
    reopen(w, &o);

    assert_int_equal(places_of(w, 0, 1), 0);
    assert_int_not_equal(stat(path, &st), 0);
    c = store_read_counters(w->store);
    assert_int_equal(c.retired_frames, 1);
}

static void test_the_oldest_day_goes_when_the_store_is_too_large(void **state)
{
    world *w = (world *)*state;
    store_options o = options_of(w);

    store_trace(w, 1, 1000);
    now_unix_ns = NOW_NS + DAY_NS;
    reopen(w, &o);
    store_trace(w, 2, 2000);
    o.max_bytes = 1; /* today's newest run is never given up */
    reopen(w, &o);

    assert_int_equal(places_of(w, 0, 1), 0);
    assert_int_equal(places_of(w, 0, 2), 1);
}

static void test_a_day_too_large_loses_its_oldest_frames(void **state)
{
    world *w = (world *)*state;
    store_options o = options_of(w);
    store_batch *b = new_batch();
    store_counters c;
    uint64_t i;

    for (i = 1; i <= 600; i++) /* runs of 256: 1..255, 256..511, 512..600 */
        add_frame(b, i, (int64_t)i, 2000);
    assert_status(store_append(w->store, b), SONDE_OK);
    wait_answers(1);
    o.max_bytes = 2000 * 500;
    reopen(w, &o);

    c = store_read_counters(w->store);
    if (c.retired_frames != 511)
        fail_msg("%d frames retired", (int)c.retired_frames);
    assert_int_equal(places_of(w, 0, 1), 0);
    assert_int_equal(places_of(w, 0, 600), 1);
    assert_true(c.oldest_unix_s == 0);
}

static void test_a_full_queue_refuses_and_what_it_took_is_stored(void **state)
{
    world *w = (world *)*state;
    uint64_t accepted = 1;
    sonde_status status = SONDE_OK;
    store_counters c;
    store_batch *b;

    set_hold(true); /* the writer stops in the first answer */
    b = new_batch();
    add_frame(b, 1, 1, 0);
    assert_status(store_append(w->store, b), SONDE_OK);
    wait_answers(1);
    while (status == SONDE_OK) {
        b = new_batch();
        add_frame(b, accepted + 1, 1, 4000);
        /* text makes the batch 1 MiB heavy */
        assert_non_null(sonde_arena_alloc(&b->text, 1 << 20));
        status = store_append(w->store, b);
        if (status == SONDE_OK)
            accepted++;
    }
    store_batch_free(b);
    assert_status(status, SONDE_ERR_FULL);
    assert_true(accepted > 8 && accepted < 20);
    set_hold(false);
    wait_answers((unsigned)accepted);

    c = store_read_counters(w->store);
    assert_int_equal(c.stored_spans, accepted);
    assert_int_equal(c.queued_spans, 0);
}

static void test_a_batch_heavier_than_the_queue_is_too_big(void **state)
{
    world *w = (world *)*state;
    store_batch *b = new_batch();

    assert_non_null(sonde_arena_alloc(&b->text, STORE_QUEUE_MAX_BYTES + 1));
    assert_status(store_append(w->store, b), SONDE_ERR_TOO_BIG);
    store_batch_free(b);
}

static void test_a_store_of_another_version_is_refused_untouched(void **state)
{
    static const db_kind kind = { .application_id = 0x534f4e49, .version = 1, .schema = "" };
    world *w = (world *)*state;
    store_options o = options_of(w);
    sonde_error error = { 0 };
    char path[128];
    sqlite3 *db;
    store *other = NULL;

    snprintf(path, sizeof(path), "%s/index.db", w->dir);
    assert_status(db_open(path, &kind, DB_WRITE, false, &db, NULL), SONDE_OK);
    assert_status(db_exec(db, "PRAGMA user_version=2"), SONDE_OK);
    db_close(db);

    assert_status(store_open(&o, &other, &error), SONDE_ERR_CONFIG);
    assert_null(other);
    assert_non_null(strstr(error.message, "has format 2"));
}

/* ---- statistics ---- */

static void add_stats(store_batch *b, stats_row *row)
{
    b->stats = (stats_row *)sonde_arena_zalloc(&b->text, 1, sizeof(*row));
    *b->stats = *row;
    b->stats_len = 1;
}

typedef struct seen_stats {
    unsigned rows;
    uint64_t hits, duration;
    double count; /* of the sketches */
    int64_t bucket_s;
} seen_stats;

static bool see_row(void *user, const stats_row *row)
{
    seen_stats *s = (seen_stats *)user;
    sonde_sketch sum, scratch;

    sonde_sketch_init(&sum);
    sonde_sketch_init(&scratch);
    assert_status(stats_sketch_merge(&sum, row->ok_sketch, &scratch), SONDE_OK);
    s->rows++;
    s->hits += row->hits;
    s->duration += row->duration_ns;
    s->count += sum.count;
    s->bucket_s = row->bucket_s;
    sonde_sketch_done(&sum);
    sonde_sketch_done(&scratch);
    return true;
}

static seen_stats scan(world *w, uint32_t step_s, const char *service)
{
    store_stats_query q = {
        .from_s = 0, .to_s = INT64_MAX, .step_s = step_s, .service = sonde_str_from(service)
    };
    store_reader *r = store_reader_get(w->store, UINT64_MAX);
    seen_stats s = { 0 };

    assert_status(store_scan_stats(r, &q, see_row, &s), SONDE_OK);
    store_reader_put(r);
    return s;
}

static void store_stats(world *w, const char *service, const char *resource, int64_t bucket_s)
{
    /* one latency in bin 100, three times */
    stats_row row = { .service = sonde_str_from(service),
                      .resource = sonde_str_from(resource),
                      .bucket_s = bucket_s,
                      .hits = 3,
                      .top_hits = 3,
                      .duration_ns = 30,
                      .ok_sketch = { "\x01\x00\xc8\x01\x03", 5 } };
    unsigned before = answers.answers;
    store_batch *b = new_batch();

    add_stats(b, &row);
    assert_status(store_append(w->store, b), SONDE_OK);
    wait_answers(before + 1);
    assert_status(answers.last, SONDE_OK);
}

static void test_statistics_of_one_group_are_added_up_sketches_included(void **state)
{
    world *w = (world *)*state;
    int64_t t = NOW_NS / 1000000000;
    seen_stats s;

    store_stats(w, "web", "GET /", t);
    store_stats(w, "web", "GET /", t); /* the same bucket */
    store_stats(w, "web", "GET /", t + 10);
    store_stats(w, "db", "SELECT", t);

    s = scan(w, 10, "web");
    assert_int_equal(s.rows, 2);
    assert_int_equal(s.hits, 9);
    assert_int_equal(s.duration, 90);
    assert_true(s.count == 9);
    s = scan(w, 60, "web");
    assert_int_equal(s.rows, 1);
    assert_int_equal(s.hits, 9);
    assert_true(s.count == 9);
    assert_int_equal(s.bucket_s % 60, 0);
    s = scan(w, 3600, "");
    assert_int_equal(s.rows, 2);
    assert_int_equal(s.hits, 12);
}

static void test_statistics_expire_by_resolution(void **state)
{
    world *w = (world *)*state;
    store_options o = options_of(w);

    store_stats(w, "web", "GET /", NOW_NS / 1000000000);
    now_unix_ns = NOW_NS + DAY_NS;
    reopen(w, &o);

    assert_int_equal(scan(w, 10, "").rows, 0);
    assert_int_equal(scan(w, 60, "").rows, 1);
    assert_int_equal(scan(w, 3600, "").rows, 1);
}

static void test_groups_beyond_the_ceiling_are_added_up_as_other(void **state)
{
    world *w = (world *)*state;
    store_options o = options_of(w);
    int64_t t = NOW_NS / 1000000000;

    o.max_stats_keys = 2;
    reopen(w, &o);
    store_stats(w, "a", "r", t);
    store_stats(w, "b", "r", t);
    store_stats(w, "c", "r", t);
    store_stats(w, "d", "r", t);
    store_stats(w, "a", "r", t); /* one that is known stays itself */

    assert_int_equal(scan(w, 10, "a").hits, 6);
    assert_int_equal(scan(w, 10, "(other)").hits, 6);
    assert_int_equal(scan(w, 10, "").hits, 15);
    assert_int_equal(store_read_counters(w->store).collapsed_stats_groups, 2);
}

static void test_a_failed_commit_is_told_to_the_sender_and_counted(void **state)
{
    world *w = (world *)*state;
    struct rlimit before, tiny;
    store_batch *b = new_batch();
    uint64_t i;
    store_counters c;

    assert_int_equal(sigaction(SIGXFSZ, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tiny = (struct rlimit){ .rlim_cur = 256 * 1024, .rlim_max = before.rlim_max };
    for (i = 1; i <= 200; i++) /* 800 KB: does not fit below that */
        add_frame(b, i, 1, 4000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    assert_status(store_append(w->store, b), SONDE_OK);
    wait_answers(1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

    assert_true(answers.last != SONDE_OK);
    assert_int_equal(places_of(w, 0, 1), 0);
    store_trace(w, 7, 1000); /* and it goes on */
    assert_int_equal(places_of(w, 0, 7), 1);
    c = store_read_counters(w->store);
    assert_int_equal(c.dropped_spans, 200);
    assert_int_equal(c.stored_spans, 1);
    assert_int_equal(c.queued_spans, 0);
}

static void test_readers_are_few_and_waited_for(void **state)
{
    world *w = (world *)*state;
    store_reader *readers[STORE_READERS];
    size_t i;

    for (i = 0; i < STORE_READERS; i++) {
        readers[i] = store_reader_get(w->store, UINT64_MAX);
        assert_non_null(readers[i]);
    }
    assert_null(store_reader_get(w->store, 0));
    store_reader_put(readers[0]);
    readers[0] = store_reader_get(w->store, 0);
    assert_non_null(readers[0]);
    for (i = 0; i < STORE_READERS; i++)
        store_reader_put(readers[i]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        T(test_a_trace_is_found_once_its_batch_was_acknowledged),
        T(test_frames_are_listed_by_time_and_told_apart_by_filter),
        T(test_what_was_stored_is_there_after_opening_again),
        T(test_days_beyond_the_age_are_unlinked),
        T(test_the_oldest_day_goes_when_the_store_is_too_large),
        T(test_a_day_too_large_loses_its_oldest_frames),
        T(test_a_full_queue_refuses_and_what_it_took_is_stored),
        T(test_a_batch_heavier_than_the_queue_is_too_big),
        T(test_a_store_of_another_version_is_refused_untouched),
        T(test_statistics_of_one_group_are_added_up_sketches_included),
        T(test_statistics_expire_by_resolution),
        T(test_groups_beyond_the_ceiling_are_added_up_as_other),
        T(test_a_failed_commit_is_told_to_the_sender_and_counted),
        T(test_readers_are_few_and_waited_for),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
