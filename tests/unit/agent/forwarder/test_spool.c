/* The folder of one endpoint: what a start finds, what a broken disk does, the index. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/forwarder/spool.h"
#include "agent/forwarder/storage.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "support/alloc_fail.h"
#include "support/sys_fail.h"
#include "support/temp_dir.h"

#define S INT64_C(1000000000)

static char dir[256], folder[300];

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(folder, sizeof(folder), "%s/e", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sys_fail_clear();
    temp_dir_remove(dir);
    return 0;
}

static sonde_status open_at(spool *s, int64_t now_unix_ns, uint64_t now_mono_ns)
{
    return spool_open(s,
                      &(spool_options){ .dir = folder,
                                        .max_bytes = 1000000,
                                        .now_unix_ns = now_unix_ns,
                                        .now_mono_ns = now_mono_ns },
                      NULL);
}

static delivery *make(uint64_t sequence, const char *text)
{
    upload u = { .kind = UPLOAD_TRACES,
                 .path = "/api/v0.2/traces",
                 .content_type = "application/x-protobuf",
                 .content_encoding = "zstd",
                 .headers = "X-More: 2\n",
                 .body = (uint8_t *)sonde_strndup(text, strlen(text)),
                 .body_len = strlen(text),
                 .items = 5,
                 .chunks = 2 };
    shared_upload *shared = shared_upload_new(&u);
    delivery *d = delivery_new(shared);

    shared_upload_put(shared);
    d->sequence = sequence;
    d->attempts = 3;
    return d;
}

static sonde_status put(const spool *s, uint64_t sequence, const char *text, int64_t unix_ns,
                        int *out_errno)
{
    delivery *d = make(sequence, text);
    uint64_t bytes;
    sonde_status status = spool_write(s, d, unix_ns, &bytes, out_errno);

    delivery_free(d);
    return status;
}

static void path_of(uint64_t sequence, const char *suffix, char out[400])
{
    (void)snprintf(out, 400, "%s/%016llx%s", folder, (unsigned long long)sequence, suffix);
}

static void test_a_body_survives_its_process(void **state)
{
    spool s;
    delivery *d = NULL;
    struct stat st;
    char path[400];
    int error;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_status(put(&s, 258, "the body", 10 * S, &error), SONDE_OK);
    spool_close(&s);
    path_of(258, ".body", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);

    assert_status(open_at(&s, 25 * S, (uint64_t)(100 * S)), SONDE_OK);
    assert_int_equal(s.len, 1);
    assert_int_equal(spool_last_sequence(&s), 258);
    assert_int_equal(spool_oldest(&s)->accepted_mono_ns, 85 * S);
    assert_int_equal(spool_oldest(&s)->items, 5);
    assert_status(spool_read(&s, spool_oldest(&s), &d), SONDE_OK);
    assert_int_equal(d->upload->what.body_len, 8);
    assert_memory_equal(d->upload->what.body, "the body", 8);
    assert_string_equal(d->upload->what.path, "/api/v0.2/traces");
    assert_string_equal(d->upload->what.content_type, "application/x-protobuf");
    assert_string_equal(d->upload->what.content_encoding, "zstd");
    assert_string_equal(d->upload->what.headers, "X-More: 2\n");
    assert_int_equal(d->upload->what.chunks, 2);
    assert_int_equal(d->attempts, 3);
    assert_int_equal(d->on_disk.sequence, 258);
    delivery_free(d);
    spool_remove(&s, 258);
    assert_int_not_equal(stat(path, &st), 0);
    spool_close(&s);
}

static void test_a_clock_that_was_set_back_makes_nothing_older(void **state)
{
    spool s;
    int error;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_status(put(&s, 1, "x", 1000 * S, &error), SONDE_OK);
    spool_close(&s);
    assert_status(open_at(&s, 10 * S, (uint64_t)S), SONDE_OK);
    assert_int_equal(spool_oldest(&s)->accepted_mono_ns, S);
    spool_close(&s);
}

static void write_raw(uint64_t sequence, const char *suffix, const char *text)
{
    char path[400];
    FILE *f;

    path_of(sequence, suffix, path);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void test_what_a_kill_or_a_power_cut_left_is_counted_and_removed(void **state)
{
    char path[400];
    struct stat st;
    spool s;
    int error;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_status(put(&s, 4, "whole", 0, &error), SONDE_OK);
    assert_status(put(&s, 5, "cut off", 0, &error), SONDE_OK);
    spool_close(&s);
    path_of(5, ".body", path);
    assert_int_equal(truncate(path, 70), 0);
    write_raw(6, ".part", "SNDSPL01");
    write_raw(7, ".body", "");
    (void)snprintf(path, sizeof(path), "%s/README", folder);
    (void)close(open(path, O_CREAT | O_WRONLY, 0600));

    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_int_equal(s.len, 1);
    assert_int_equal(s.counters.partial, 1);
    assert_int_equal(s.counters.corrupt, 2);
    assert_int_equal(stat(path, &st), 0); /* a stranger's file stays */
    path_of(5, ".body", path);
    assert_int_not_equal(stat(path, &st), 0);
    path_of(6, ".part", path);
    assert_int_not_equal(stat(path, &st), 0);
    spool_close(&s);
}

static void test_a_body_that_changed_on_disk_is_not_sent(void **state)
{
    delivery *d = NULL;
    char path[400];
    spool s;
    int error, fd;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_status(put(&s, 1, "body", 0, &error), SONDE_OK);
    spool_close(&s);
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    path_of(1, ".body", path);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, lseek(fd, 0, SEEK_END) - 1), 1);
    (void)close(fd);
    assert_status(spool_read(&s, spool_oldest(&s), &d), SONDE_ERR_SYNTAX);
    (void)unlink(path);
    assert_status(spool_read(&s, spool_oldest(&s), &d), SONDE_ERR_NOT_FOUND);
    assert_null(d);
    spool_close(&s);
}

static void test_a_disk_that_fails_leaves_nothing_behind(void **state)
{
    static const struct {
        sys_fail_call call;
        int error;
    } cases[] = {
        { SYS_FAIL_OPEN, EROFS },   { SYS_FAIL_OPEN, EACCES },   { SYS_FAIL_WRITE, ENOSPC },
        { SYS_FAIL_WRITE, EDQUOT }, { SYS_FAIL_RENAME, ENOSPC },
    };
    spool s, again;
    size_t i;
    int error;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sys_fail(cases[i].call, 1, cases[i].error);
        assert_status(put(&s, 1, "body", 0, &error), SONDE_ERR_SYS);
        assert_int_equal(error, cases[i].error);
        sys_fail_clear();
        assert_status(open_at(&again, 0, 0), SONDE_OK);
        assert_int_equal(again.len + again.counters.partial + again.counters.corrupt, 0);
        spool_close(&again);
    }
    assert_true(spool_is_usable(&s, 0));
    spool_failed(&s, ENOSPC, 5);
    assert_int_equal(s.counters.errors, 1);
    assert_false(spool_is_usable(&s, 4 + SPOOL_REST_NS));
    assert_true(spool_is_usable(&s, 5 + SPOOL_REST_NS));
    spool_close(&s);
}

static void test_the_index_is_in_the_order_of_arrival(void **state)
{
    spool s = { 0 };
    uint64_t last = 0;
    sonde_rng rng;
    int i;

    (void)state;
    sonde_rng_seed(&rng, 7);
    for (i = 0; i < 3000; i++) {
        const spool_entry entry = { .sequence = 1 + sonde_rng_next(&rng) % 100000 };

        assert_status(spool_put(&s, &entry), SONDE_OK);
        if (i % 3 == 0) {
            const spool_entry taken = spool_take(&s);

            assert_status(spool_put(&s, &taken), SONDE_OK);
        }
    }
    while (s.len) {
        const spool_entry entry = spool_take(&s);

        assert_true(entry.sequence >= last);
        last = entry.sequence;
    }
    spool_close(&s);
}

static void test_the_index_has_a_ceiling(void **state)
{
    spool s = { 0 };
    uint64_t i;

    (void)state;
    for (i = 1; i <= SPOOL_FILES_MAX; i++)
        assert_status(spool_put(&s, &(spool_entry){ .sequence = i }), SONDE_OK);
    assert_status(spool_put(&s, &(spool_entry){ .sequence = i }), SONDE_ERR_FULL);
    spool_close(&s);
}

static void test_a_full_file_system_leaves_less_room(void **state)
{
    spool s;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_int_equal(spool_limit(&s, 0), 1000000);
    s.max_disk_ratio = 1e-9; /* more is in use than that */
    assert_int_equal(spool_limit(&s, 0), 0);
    s.max_disk_ratio = 1;
    spool_close(&s);
}

static void test_folders_are_named_after_host_and_url_never_the_key(void **state)
{
    char a[STORAGE_NAME_MAX], b[STORAGE_NAME_MAX];

    (void)state;
    storage_endpoint_name("https://trace.example.com:443/x/../y", 0, a);
    assert_int_equal(strncmp(a, "trace.example.com-", 18), 0);
    assert_null(strchr(a, '/'));
    assert_int_equal(strcmp(a + strlen(a) - 2, "-0"), 0);
    storage_endpoint_name("https://trace.example.com:443/x/../y", 1, b);
    assert_string_not_equal(a, b);
    storage_endpoint_name("https://trace.example.com:444/x/../y", 0, b);
    assert_string_not_equal(a, b);
}

static void test_a_folder_has_one_agent(void **state)
{
    char path[300];
    int a, b;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/deep/er", dir);
    assert_status(storage_open(path, &a, NULL), SONDE_OK);
    assert_status(storage_open(path, &b, NULL), SONDE_ERR_STATE);
    (void)close(a);
    assert_status(storage_open(path, &b, NULL), SONDE_OK);
    (void)close(b);
}

static void test_bodies_of_endpoints_that_are_no_more_go_when_they_are_old(void **state)
{
    static const char used[1][STORAGE_NAME_MAX] = { "used" };
    static const struct {
        const char *path;
        time_t mtime;
        bool stays;
    } cases[] = {
        { "used/1.body", 100, true }, { "gone/1.body", 100, false },
        { "gone/2.body", 300, true }, { "emptied/1.part", 100, false },
        { "gone/README", 100, true },
    };
    char path[400];
    struct stat st;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        const struct timespec times[2] = { { cases[i].mtime, 0 }, { cases[i].mtime, 0 } };

        (void)snprintf(path, sizeof(path), "%s/%s", dir, cases[i].path);
        *strrchr(path, '/') = '\0';
        (void)mkdir(path, 0700);
        path[strlen(path)] = '/';
        (void)close(open(path, O_CREAT | O_WRONLY, 0600));
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    assert_int_equal(storage_sweep(dir, used, 1, 400 * S, (uint64_t)(200 * S)), 2);
    for (i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, cases[i].path);
        if ((stat(path, &st) == 0) != cases[i].stays)
            fail_msg("%s", cases[i].path);
    }
    (void)snprintf(path, sizeof(path), "%s/emptied", dir);
    assert_int_not_equal(stat(path, &st), 0);
}

static sonde_status write_and_read(void *user)
{
    delivery *d = NULL;
    sonde_status status;
    spool s;
    int *wrote = user;

    status = open_at(&s, 0, 0);
    if (status == SONDE_OK && s.len == 0)
        status = SONDE_ERR_NOMEM; /* the index could not hold it */
    if (status == SONDE_OK)
        status = spool_read(&s, spool_oldest(&s), &d);
    *wrote += status == SONDE_OK;
    delivery_free(d);
    spool_close(&s);
    return status;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    spool s;
    int error, read = 0;

    (void)state;
    assert_status(open_at(&s, 0, 0), SONDE_OK);
    assert_status(put(&s, 1, "body", 0, &error), SONDE_OK);
    spool_close(&s);
    alloc_fail_each(write_and_read, &read);
    assert_true(read > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_body_survives_its_process),
        TEST(test_a_clock_that_was_set_back_makes_nothing_older),
        TEST(test_what_a_kill_or_a_power_cut_left_is_counted_and_removed),
        TEST(test_a_body_that_changed_on_disk_is_not_sent),
        TEST(test_a_disk_that_fails_leaves_nothing_behind),
        TEST(test_the_index_is_in_the_order_of_arrival),
        TEST(test_the_index_has_a_ceiling),
        TEST(test_a_full_file_system_leaves_less_room),
        TEST(test_folders_are_named_after_host_and_url_never_the_key),
        TEST(test_a_folder_has_one_agent),
        TEST(test_bodies_of_endpoints_that_are_no_more_go_when_they_are_old),
        TEST(test_every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
