/* Profiles in the SQLite store: kept, listed, read, and kept to their share. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/temp_dir.h"
#include "support/test.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "codec/compress/compress.h"
#include "dashboards/store/store.h"

#define assert_str(got, want) assert_true(sonde_str_eq((got), sonde_str_from(want)))

#define NOW_NS (1764000000ll * 1000000000) /* 2025-11-24T16:00:00Z */
#define DAY_NS (86400ll * 1000000000)

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

typedef struct world {
    char dir[64];
    store *store;
} world;

static void open_store(world *w, const store_options *o)
{
    store_options options = *o;

    options.dir = w->dir;
    options.clock = &fake_clock;
    assert_status(store_open(&options, &w->store, NULL), SONDE_OK);
}

static int open_world(void **state)
{
    static world w;
    const store_options o = { .dir = NULL };

    now_unix_ns = NOW_NS;
    temp_dir_make(w.dir, sizeof(w.dir));
    open_store(&w, &o);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    world *w = (world *)*state;

    store_close(w->store);
    temp_dir_remove(w->dir);
    return 0;
}

/* Closing commits what is queued, so that nobody waits. */
static void reopen(world *w, const store_options *o)
{
    store_close(w->store);
    open_store(w, o);
}

/* A profile of `service` from `start` on, one second long. */
static void append(world *w, const char *service, int64_t start, size_t bytes)
{
    store_batch *b = store_batch_new();
    sonde_buf message, body;
    store_profile p = { .service = sonde_str_from(service),
                        .env = SONDE_STR("prod"),
                        .runtime_id = SONDE_STR("r-1"),
                        .types = SONDE_STR("cpu-time/nanoseconds"),
                        .tags = SONDE_STR("service:x"),
                        .start_unix_ns = start,
                        .end_unix_ns = start + 1000000000,
                        .samples = 3 };
    sonde_rng rng;

    sonde_rng_seed(&rng, (uint64_t)start + 1);
    sonde_buf_init(&message, 1 << 20);
    sonde_buf_init(&body, 1 << 20);
    sonde_buf_append_str(&message, SONDE_STR("message of "));
    sonde_buf_append_str(&message, p.service);
    while (message.len < bytes) {
        uint64_t noise = sonde_rng_next(&rng);

        sonde_buf_append(&message, &noise, sizeof(noise));
    }
    assert_status(sonde_compress(SONDE_ENCODING_ZSTD, 0, sonde_buf_str(&message), &body), SONDE_OK);
    p.body = sonde_buf_take(&body, &p.body_len);
    assert_status(store_batch_add_profile(b, &p), SONDE_OK);
    assert_status(store_append(w->store, b), SONDE_OK);
    sonde_buf_done(&message);
    sonde_buf_done(&body);
}

typedef struct seen {
    size_t len;
    store_profile_ref first; /* its text is gone */
    char services[256];
} seen;

static bool note(void *user, const store_profile_ref *ref)
{
    seen *s = (seen *)user;
    size_t used = strlen(s->services);

    if (s->len++ == 0)
        s->first = *ref;
    if (used + ref->info.service.len + 2 < sizeof(s->services))
        snprintf(s->services + used, sizeof(s->services) - used, "%.*s ",
                 SONDE_STR_ARG(ref->info.service));
    return true;
}

static seen list(world *w, store_profile_query query)
{
    store_reader *r = store_reader_get(w->store, UINT64_MAX);
    seen s = { .len = 0 };

    assert_status(store_list_profiles(r, &query, note, &s), SONDE_OK);
    store_reader_put(r);
    return s;
}

static const store_options defaults = { .dir = NULL };
static const store_profile_query everything = { .to_unix_ns = INT64_MAX };

static void test_a_profile_is_listed_and_read(void **state)
{
    world *w = (world *)*state;
    store_reader *r;
    sonde_buf message;
    seen s;

    append(w, "shop", NOW_NS, 0);
    reopen(w, &defaults);
    s = list(w, everything);
    assert_int_equal(s.len, 1);
    assert_int_equal(s.first.day, 20251124);
    assert_int_equal(s.first.info.samples, 3);
    assert_int_equal(s.first.info.end_unix_ns, NOW_NS + 1000000000);
    r = store_reader_get(w->store, UINT64_MAX);
    sonde_buf_init(&message, 1 << 20);
    assert_status(store_read_profile(r, s.first.day, s.first.id, &message), SONDE_OK);
    assert_str(sonde_buf_str(&message), "message of shop");
    assert_status(store_read_profile(r, s.first.day, s.first.id + 1, &message),
                  SONDE_ERR_NOT_FOUND);
    assert_status(store_read_profile(r, 20240101, s.first.id, &message), SONDE_ERR_NOT_FOUND);
    sonde_buf_done(&message);
    store_reader_put(r);
}

static void test_profiles_are_listed_by_service_and_time_latest_first(void **state)
{
    world *w = (world *)*state;

    append(w, "a", NOW_NS, 0);
    append(w, "b", NOW_NS + 5000000000, 0);
    append(w, "c", NOW_NS + 2000000000, 0);
    reopen(w, &defaults);
    assert_string_equal(list(w, everything).services, "b c a ");
    assert_string_equal(
        list(w, (store_profile_query){ 0, INT64_MAX, SONDE_STR("c"), SONDE_STR("prod") }).services,
        "c ");
    assert_int_equal(
        list(w, (store_profile_query){ 0, INT64_MAX, { NULL, 0 }, SONDE_STR("dev") }).len, 0);
    assert_string_equal(list(w, (store_profile_query){ .from_unix_ns = NOW_NS + 1500000000,
                                                       .to_unix_ns = NOW_NS + 3000000000 })
                            .services,
                        "c ");
    assert_string_equal(list(w, (store_profile_query){ .from_unix_ns = NOW_NS + 1000000000,
                                                       .to_unix_ns = NOW_NS + 1000000000 })
                            .services,
                        "a "); /* its end counts */
}

static void test_days_of_profiles_beyond_their_age_are_unlinked(void **state)
{
    world *w = (world *)*state;
    char path[128];
    struct stat st;
    seen s;

    append(w, "old", NOW_NS, 0);
    reopen(w, &defaults);
    snprintf(path, sizeof(path), "%s/profiles-20251124.db", w->dir);
    assert_int_equal(stat(path, &st), 0);
    now_unix_ns = NOW_NS + 9 * DAY_NS;
    append(w, "new", now_unix_ns, 0);
    reopen(w, &defaults);
    s = list(w, everything);
    assert_string_equal(s.services, "new ");
    assert_int_not_equal(stat(path, &st), 0);
}

static void test_profiles_keep_to_their_share_of_the_store(void **state)
{
    world *w = (world *)*state;
    const store_options small = { .max_bytes = 20u << 20 };
    uint64_t share = small.max_bytes / 100 * STORE_PROFILES_PERCENT, used;
    store_counters c;
    size_t i;

    reopen(w, &small);
    for (i = 0; i < 200; i++)
        append(w, "shop", NOW_NS + (int64_t)i, 40000);
    for (i = 0; i < 40; i++)
        reopen(w, &small); /* a step of retention each */
    c = store_read_counters(w->store);
    used = list(w, everything).len * 40000ull;
    assert_true(used <= share);
    assert_true(used > share / 2); /* and no more than that was given up */
    assert_true(c.bytes <= small.max_bytes);
}

static void test_counters_add_up(void **state)
{
    world *w = (world *)*state;
    store_counters c;

    append(w, "shop", NOW_NS, 0);
    for (c = store_read_counters(w->store); c.queued_profiles;) {
        sched_yield();
        c = store_read_counters(w->store);
    }
    assert_int_equal(c.stored_profiles, 1);
    assert_int_equal(c.dropped_profiles, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_profile_is_listed_and_read),
        TEST(test_profiles_are_listed_by_service_and_time_latest_first),
        TEST(test_days_of_profiles_beyond_their_age_are_unlinked),
        TEST(test_profiles_keep_to_their_share_of_the_store),
        TEST(test_counters_add_up),
    };

    return cmocka_run_group_tests_name("store profiles", tests, NULL, NULL);
}
