/* The forwarder against real servers on loopback: copies, headers, outages, draining. */
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/forwarder/forwarder.h"
#include "agent/forwarder/storage.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "net/server/http_server.h"
#include "net/socket.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"

#define S UINT64_C(1000000000)

typedef struct server {
    http_server *http;
    http_route route;
    char url[64];
    _Atomic unsigned status; /* what it answers */
    _Atomic unsigned requests;
    _Atomic unsigned taken; /* answered with 200 */
    _Atomic unsigned bad;   /* a header or the body was not as it should be */
} server;

static http_result handle(void *user, http_request *r, http_response *response)
{
    server *s = user;

    atomic_fetch_add(&s->requests, 1);
    response->status = atomic_load(&s->status);
    atomic_fetch_add(&s->taken, response->status == 200);
    if (!sonde_str_eq(http_request_header(r, "DD-Api-Key"), SONDE_STR("key")) ||
        !sonde_str_eq(http_request_header(r, "X-Extra"), SONDE_STR("1")) ||
        !sonde_str_eq(http_request_header(r, "X-More"), SONDE_STR("2")) ||
        !sonde_str_eq(http_request_header(r, "Content-Encoding"), SONDE_STR("zstd")) ||
        !sonde_str_eq(http_request_header(r, "Content-Type"),
                      SONDE_STR("application/x-protobuf")) ||
        !sonde_str_eq(http_request_body(r), SONDE_STR("body")))
        atomic_fetch_add(&s->bad, 1);
    return HTTP_DONE;
}

static void serve(server *s, unsigned status)
{
    int fd;

    memset(s, 0, sizeof(*s));
    s->route = (http_route){ .methods = "POST",
                             .path = "/api/v0.2/traces",
                             .handle = handle,
                             .max_body_bytes = 1000,
                             .user = s };
    atomic_store(&s->status, status);
    assert_status(sonde_listen_tcp("127.0.0.1", 0, &fd, NULL), SONDE_OK);
    (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", sonde_local_port(fd));
    assert_status(http_server_open(&(http_server_options){ .name = "sink",
                                                           .routes = &s->route,
                                                           .routes_len = 1,
                                                           .threads = 1,
                                                           .body_budget_bytes = 100000 },
                                   &(http_listener){ .fd = fd }, 1, &s->http, NULL),
                  SONDE_OK);
}

static forwarder *open_to(const server *const *servers, size_t len, size_t memory_bytes)
{
    forwarder_endpoint to[4];
    forwarder *f = NULL;
    size_t i;

    for (i = 0; i < len; i++)
        to[i] = (forwarder_endpoint){ sonde_str_from(servers[i]->url), SONDE_STR("key") };
    assert_status(forwarder_open(&(forwarder_options){ .endpoints = to,
                                                       .endpoints_len = len,
                                                       .memory_bytes = memory_bytes,
                                                       .backoff_base_ns = 1000000,
                                                       .backoff_max_ns = 5000000 },
                                 &f, NULL),
                  SONDE_OK);
    return f;
}

static sonde_status push(forwarder *f)
{
    upload u = { .kind = UPLOAD_TRACES,
                 .path = "/api/v0.2/traces",
                 .content_type = "application/x-protobuf",
                 .content_encoding = "zstd",
                 .headers = "X-Extra: 1\nX-More: 2\n",
                 .body_len = 4,
                 .items = 10,
                 .chunks = 2 };
    sonde_status status;

    u.body = sonde_malloc(4);
    if (!u.body)
        return SONDE_ERR_NOMEM;
    memcpy(u.body, "body", 4);
    status = forwarder_push(f, &u);
    if (status != SONDE_OK)
        sonde_free(u.body);
    return status;
}

static void stop(forwarder *f, uint64_t within_ns)
{
    forwarder_stop(f, sonde_mono_ns() + within_ns);
}

static void test_every_endpoint_gets_every_body_with_its_headers(void **state)
{
    server a, b;
    forwarder *f;
    endpoint_counters n;
    int i;

    (void)state;
    serve(&a, 200);
    serve(&b, 202);
    f = open_to((const server *const[]){ &a, &b }, 2, 0);
    for (i = 0; i < 20; i++)
        assert_status(push(f), SONDE_OK);
    stop(f, 10 * S);

    assert_int_equal(atomic_load(&a.requests), 20);
    assert_int_equal(atomic_load(&b.requests), 20);
    assert_int_equal(atomic_load(&a.bad) + atomic_load(&b.bad), 0);
    for (i = 0; forwarder_read_counters(f, (size_t)i, &n); i++) {
        assert_int_equal(n.delivered[UPLOAD_TRACES].payloads, 20);
        assert_int_equal(n.delivered[UPLOAD_TRACES].items, 200);
        assert_int_equal(n.delivered[UPLOAD_TRACES].bytes, 80);
    }
    assert_int_equal(i, 2);
    forwarder_close(f);
    http_server_close(a.http, 0);
    http_server_close(b.http, 0);
}

static void test_an_endpoint_that_fails_does_not_hold_up_the_other(void **state)
{
    server good, bad;
    forwarder *f;
    endpoint_counters n;
    int i;

    (void)state;
    serve(&good, 200);
    serve(&bad, 503);
    f = open_to((const server *const[]){ &bad, &good }, 2, 0);
    for (i = 0; i < 5; i++)
        assert_status(push(f), SONDE_OK);
    stop(f, S / 5);

    assert_int_equal(atomic_load(&good.taken), 5);
    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.dropped[FORWARDER_DROP_SHUTDOWN][UPLOAD_TRACES].payloads, 5);
    assert_int_equal(n.queued[UPLOAD_TRACES].payloads, 0);
    assert_int_equal(n.last_http_status, 503);
    assert_true(n.retries > 0);
    forwarder_close(f);
    http_server_close(good.http, 0);
    http_server_close(bad.http, 0);
}

static void test_an_outage_loses_nothing(void **state)
{
    server s;
    forwarder *f;
    endpoint_counters n;
    int i;

    (void)state;
    serve(&s, 503);
    f = open_to((const server *const[]){ &s }, 1, 0);
    for (i = 0; i < 10; i++)
        assert_status(push(f), SONDE_OK);
    while (atomic_load(&s.requests) < 3) /* it has met the outage */
        (void)sched_yield();
    atomic_store(&s.status, 200);
    stop(f, 10 * S);

    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.delivered[UPLOAD_TRACES].payloads, 10);
    assert_int_equal(atomic_load(&s.taken), 10);
    forwarder_close(f);
    http_server_close(s.http, 0);
}

static void test_nobody_there_is_an_outage_too(void **state)
{
    server gone = { .url = "http://127.0.0.1:1" };
    forwarder *f = open_to((const server *const[]){ &gone }, 1, 12);
    endpoint_counters n;
    int i;

    (void)state;
    for (i = 0; i < 10; i++)
        assert_status(push(f), SONDE_OK);
    stop(f, S / 10);

    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.accepted[UPLOAD_TRACES].payloads, 10);
    assert_int_equal(n.dropped[FORWARDER_DROP_BUDGET][UPLOAD_TRACES].payloads +
                         n.dropped[FORWARDER_DROP_SHUTDOWN][UPLOAD_TRACES].payloads,
                     10);
    assert_true(n.dropped[FORWARDER_DROP_BUDGET][UPLOAD_TRACES].payloads >= 7);
    forwarder_close(f);
}

static void test_a_refused_body_is_dropped_and_the_next_one_sent(void **state)
{
    server s;
    forwarder *f;
    endpoint_counters n;

    (void)state;
    serve(&s, 413);
    f = open_to((const server *const[]){ &s }, 1, 0);
    assert_status(push(f), SONDE_OK);
    while (atomic_load(&s.requests) < 1)
        (void)sched_yield();
    atomic_store(&s.status, 200);
    assert_status(push(f), SONDE_OK);
    stop(f, 10 * S);

    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.dropped[FORWARDER_DROP_REFUSED][UPLOAD_TRACES].payloads, 1);
    assert_int_equal(n.delivered[UPLOAD_TRACES].payloads, 1);
    forwarder_close(f);
    http_server_close(s.http, 0);
}

static void test_pushes_after_the_stop_are_refused(void **state)
{
    server gone = { .url = "http://127.0.0.1:1" };
    forwarder *f = open_to((const server *const[]){ &gone }, 1, 0);

    (void)state;
    stop(f, 0);
    assert_status(push(f), SONDE_ERR_CLOSED);
    forwarder_close(f);
}

static void test_addresses_and_keys_that_cannot_be_used_are_named(void **state)
{
    static const struct {
        forwarder_endpoint to;
        const char *says;
    } cases[] = {
        { { { "unix:///x", 9 }, { "k", 1 } }, "http" },
        { { { "ftp://x", 7 }, { "k", 1 } }, "" },
        { { { "http://x", 8 }, { "a\nb", 3 } }, "line break" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_error error = { .message = "" };
        forwarder *f = NULL;

        assert_int_not_equal(
            forwarder_open(&(forwarder_options){ .endpoints = &cases[i].to, .endpoints_len = 1 },
                           &f, &error),
            SONDE_OK);
        assert_null(f);
        assert_non_null(strstr(error.message, cases[i].says));
        assert_true(error.message[0]);
    }
}

/* ---- with a disk ---- */

static char dir[256];

static int setup_dir(void **state)
{
    (void)state;
    temp_dir_make(dir, sizeof(dir));
    return 0;
}

static int teardown_dir(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

static forwarder *open_on_disk(const char *const *urls, size_t len, uint64_t disk_bytes)
{
    forwarder_endpoint to[4];
    forwarder *f = NULL;
    size_t i;

    for (i = 0; i < len; i++)
        to[i] = (forwarder_endpoint){ sonde_str_from(urls[i]), SONDE_STR("key") };
    assert_status(forwarder_open(&(forwarder_options){ .endpoints = to,
                                                       .endpoints_len = len,
                                                       .backoff_base_ns = 1000000,
                                                       .backoff_max_ns = 5000000,
                                                       .storage_path = dir,
                                                       .disk_bytes = disk_bytes },
                                 &f, NULL),
                  SONDE_OK);
    return f;
}

static void test_what_was_not_delivered_at_the_stop_is_in_the_next_life(void **state)
{
    const char *gone = "http://127.0.0.1:1";
    endpoint_counters n;
    forwarder *f;
    server s;
    int i;

    (void)state;
    serve(&s, 503);
    f = open_on_disk((const char *const[]){ s.url, gone }, 2, 1 << 20);
    for (i = 0; i < 5; i++)
        assert_status(push(f), SONDE_OK);
    stop(f, 0);
    for (i = 0; i < 2; i++) {
        assert_true(forwarder_read_counters(f, (size_t)i, &n));
        assert_int_equal(n.spooled[UPLOAD_TRACES].payloads, 5);
        assert_int_equal(n.queued[UPLOAD_TRACES].items, 50);
    }
    forwarder_close(f);

    atomic_store(&s.status, 200);
    f = open_on_disk((const char *const[]){ s.url, gone }, 2, 1 << 20);
    while (atomic_load(&s.taken) < 5)
        (void)sched_yield();
    stop(f, 10 * S);
    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.recovered[UPLOAD_TRACES].payloads, 5);
    assert_int_equal(n.delivered[UPLOAD_TRACES].items, 50);
    assert_int_equal(n.queued[UPLOAD_TRACES].payloads, 0);
    assert_true(forwarder_read_counters(f, 1, &n));
    assert_int_equal(n.spooled[UPLOAD_TRACES].payloads, 5); /* its own copies, untouched */
    assert_int_equal(atomic_load(&s.taken), 5);
    assert_int_equal(atomic_load(&s.bad), 0);
    forwarder_close(f);
    http_server_close(s.http, 0);
}

static void test_a_budget_that_became_smaller_is_kept_at_the_start(void **state)
{
    const char *gone = "http://127.0.0.1:1";
    forwarder *f = open_on_disk(&gone, 1, 1 << 20);
    endpoint_counters n;
    int i;

    (void)state;
    for (i = 0; i < 5; i++)
        assert_status(push(f), SONDE_OK);
    stop(f, 0);
    forwarder_close(f);
    f = open_on_disk(&gone, 1, 300); /* two of some 140 bytes */
    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.recovered[UPLOAD_TRACES].payloads, 5);
    assert_int_equal(n.dropped[FORWARDER_DROP_DISK_BUDGET][UPLOAD_TRACES].payloads, 3);
    assert_int_equal(n.spooled[UPLOAD_TRACES].payloads, 2);
    stop(f, 0);
    forwarder_close(f);
}

static void test_an_endpoint_without_a_folder_leaves_the_others_theirs(void **state)
{
    const char *const urls[] = { "http://127.0.0.1:1", "http://127.0.0.1:2" };
    char name[STORAGE_NAME_MAX], path[400];
    endpoint_counters n;
    forwarder *f;

    (void)state;
    storage_endpoint_name(urls[0], 0, name);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)close(open(path, O_CREAT | O_WRONLY, 0600)); /* a file where the folder should be */
    f = open_on_disk(urls, 2, 1 << 20);
    assert_status(push(f), SONDE_OK);
    stop(f, 0);
    assert_true(forwarder_read_counters(f, 0, &n));
    assert_int_equal(n.dropped[FORWARDER_DROP_SHUTDOWN][UPLOAD_TRACES].payloads, 1);
    assert_true(forwarder_read_counters(f, 1, &n));
    assert_int_equal(n.spooled[UPLOAD_TRACES].payloads, 1);
    forwarder_close(f);
}

static void test_the_status_document_has_every_number_and_no_key(void **state)
{
    static const char *const want[] = { "\"breaker\":", "\"failures\":", "\"disk\":",
                                        "\"all_lives\":", "\"lost_crash\":" };
    const char *gone = "http://127.0.0.1:1";
    forwarder *f = open_on_disk(&gone, 1, 1 << 20);
    sonde_json_writer w;
    sonde_buf text;
    size_t i;

    (void)state;
    assert_status(push(f), SONDE_OK);
    stop(f, 0);
    sonde_buf_init(&text, 100000);
    sonde_json_writer_init(&w, &text);
    forwarder_write_json(f, &w);
    for (i = 0; i < COUNT_OF(want); i++)
        if (!strstr(sonde_buf_cstr(&text), want[i]))
            fail_msg("%s: %s", want[i], sonde_buf_cstr(&text));
    assert_null(strstr(sonde_buf_cstr(&text), "key"));
    sonde_buf_done(&text);
    forwarder_close(f);
}

static sonde_status open_and_push_on_disk(void *user)
{
    const forwarder_endpoint to = { SONDE_STR("http://127.0.0.1:1"), SONDE_STR("key") };
    forwarder *f = NULL;
    sonde_status status = forwarder_open(
        &(forwarder_options){
            .endpoints = &to, .endpoints_len = 1, .storage_path = dir, .disk_bytes = 1000 },
        &f, NULL);

    (void)user;
    if (status != SONDE_OK)
        return status;
    status = push(f);
    stop(f, 0);
    forwarder_close(f);
    return status;
}

static void test_every_failing_allocation_is_survived_with_a_disk(void **state)
{
    (void)state;
    alloc_fail_each(open_and_push_on_disk, NULL);
}

static sonde_status open_and_push(void *user)
{
    const forwarder_endpoint to = { SONDE_STR("http://127.0.0.1:1"), SONDE_STR("key") };
    forwarder *f = NULL;
    sonde_status status =
        forwarder_open(&(forwarder_options){ .endpoints = &to, .endpoints_len = 1 }, &f, NULL);

    (void)user;
    if (status != SONDE_OK)
        return status;
    status = push(f);
    stop(f, 0);
    forwarder_close(f);
    return status;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    alloc_fail_each(open_and_push, NULL);
}

int main(void)
{
#define WITH_DIR(name) cmocka_unit_test_setup_teardown(name, setup_dir, teardown_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_endpoint_gets_every_body_with_its_headers),
        cmocka_unit_test(test_an_endpoint_that_fails_does_not_hold_up_the_other),
        cmocka_unit_test(test_an_outage_loses_nothing),
        cmocka_unit_test(test_nobody_there_is_an_outage_too),
        cmocka_unit_test(test_a_refused_body_is_dropped_and_the_next_one_sent),
        cmocka_unit_test(test_pushes_after_the_stop_are_refused),
        cmocka_unit_test(test_addresses_and_keys_that_cannot_be_used_are_named),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        WITH_DIR(test_what_was_not_delivered_at_the_stop_is_in_the_next_life),
        WITH_DIR(test_a_budget_that_became_smaller_is_kept_at_the_start),
        WITH_DIR(test_an_endpoint_without_a_folder_leaves_the_others_theirs),
        WITH_DIR(test_the_status_document_has_every_number_and_no_key),
        WITH_DIR(test_every_failing_allocation_is_survived_with_a_disk),
    };

    return cmocka_run_group_tests_name("forwarder", tests, NULL, NULL);
}
