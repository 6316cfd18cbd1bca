/* test_blackbox.c - the black box as the agent reads it: by the descriptor of HELLO, with pread.
 *
 * Processes that end are this program again, started with the name of a part to play. */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msgpack.h>

#include "base/clock.h"
#include "base/str.h"
#include "libtrace/src/area.h"
#include "libtrace/src/blackbox.h"
#include "libtrace/src/ctx_tls.h"
#include "libtrace/src/tracer.h"
#include "libtrace/src/watch.h"
#include "sonde/sonde.h"
#include "support/fake_agent.h"
#include "support/fake_crash_socket.h"
#include "support/sys_fail.h"
#include "support/temp_dir.h"

extern char **environ;

#define PART_MAX_S 60 /* a part ends by itself when nobody ends it */

static char *self; /* argv[0] */
static char dir[200];
static char url[320];
static char crash_path[300];
static char info[400];
static fake_agent *agent;
static fake_crash_socket *crash;

/* -- the two ends --------------------------------------------------------------------------------- */

static int open_ends(void **state)
{
    char path[300];

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/apm.socket", dir);
    (void)snprintf(url, sizeof(url), "unix://%s", path);
    (void)snprintf(crash_path, sizeof(crash_path), "%s/crash.socket", dir);
    (void)snprintf(info, sizeof(info), "{\"version\":\"1\",\"sonde\":{\"crash_socket\":\"%s\"}}",
                   crash_path);
    agent = fake_agent_open(path);
    crash = fake_crash_socket_open(crash_path);
    fake_agent_info(agent, info, "first");
    return 0;
}

static int close_ends(void **state)
{
    (void)state;
    sonde_stop();
    fake_crash_socket_close(crash);
    fake_agent_close(agent);
    temp_dir_remove(dir);
    return 0;
}

static void start_at(const char *agent_url)
{
    sonde_options o = { .service = "box",
                        .env = "test",
                        .version = "1.2",
                        .tags = "team:a,zone:b",
                        .agent_url = agent_url,
                        .stop_timeout_ms = 5000 };

    (void)setenv("DD_TRACE_STARTUP_LOGS", "0", 1);
    if (sonde_start(&o) != SONDE_OK)
        _exit(90);
}

/* Looks again until it is so, or 10 s are over. */
static bool is_watched(bool want)
{
    uint64_t until = sonde_deadline(sonde_mono_ns(), 60 * (uint64_t)SONDE_NS_PER_S);

    while (((sonde__watched() & SONDE__WATCH_BLACKBOX) != 0) != want) {
        if (sonde_mono_ns() > until)
            return false;
        (void)poll(NULL, 0, 1);
    }
    return true;
}

static int start_connected(void)
{
    unsigned n = fake_crash_socket_hellos(crash);

    start_at(url);
    assert_true(fake_crash_socket_wait(crash, n + 1, 10000));
    assert_true(is_watched(true));
    return fake_crash_socket_file(crash, n);
}

/* The next /info comes when the agent's state has changed. */
static void ask_info_again(void)
{
    static char states[64][8];
    static unsigned n;

    (void)snprintf(states[n], sizeof(states[n]), "s%u", n);
    fake_agent_info(agent, info, states[n++]);
    sonde_span_finish(sonde_span_start("x", NULL));
    assert_status(sonde_flush(60000), SONDE_OK);
}

/* -- reading -------------------------------------------------------------------------------------- */

static sonde_blackbox_header read_header(int file)
{
    sonde_blackbox_header h;

    assert_int_equal(pread(file, &h, sizeof(h), 0), sizeof(h));
    return h;
}

static off_t area_offset(unsigned i)
{
    return (off_t)(SONDE_BLACKBOX_HEADER_BYTES + i * SONDE_BLACKBOX_AREA_BYTES);
}

static sonde_blackbox_area read_area(int file, unsigned i)
{
    sonde_blackbox_area a;

    assert_int_equal(pread(file, &a, sizeof(a), area_offset(i)), sizeof(a));
    return a;
}

#define AREAS_LOOKED_AT 64

/* Copies the place of the span and returns its area, or -1. */
static int find_place(int file, uint64_t span_id, sonde_blackbox_place *out)
{
    int i, k;

    for (i = 0; i < AREAS_LOOKED_AT; i++) {
        sonde_blackbox_area a = read_area(file, (unsigned)i);

        for (k = 0; k < (int)SONDE_BLACKBOX_PLACES; k++) {
            if (a.places[k].span_id != span_id)
                continue;
            memcpy(out, &a.places[k], sizeof(*out));
            return i;
        }
    }
    return -1;
}

static unsigned count_places(int file)
{
    unsigned n = 0;
    unsigned i, k;

    for (i = 0; i < AREAS_LOOKED_AT; i++) {
        sonde_blackbox_area a = read_area(file, i);

        for (k = 0; k < SONDE_BLACKBOX_PLACES; k++)
            n += a.places[k].span_id != 0;
    }
    return n;
}

static void assert_text(const char *got, size_t len, const char *want)
{
    if (len != strlen(want) || memcmp(got, want, len) != 0)
        fail_msg("got \"%.*s\", want \"%s\"", (int)len, got, want);
}

#define assert_place_text(place, field, want)                                                      \
    assert_text((place)->field, (place)->field##_len, want)

/* -- in this process ------------------------------------------------------------------------------ */

static void test_the_file_is_sealed_and_says_what_it_is(void **state)
{
    int file = start_connected();
    sonde_blackbox_header h = read_header(file);
    sonde_crash_hello hello = fake_crash_socket_hello(crash, fake_crash_socket_hellos(crash) - 1);
    struct stat st;

    (void)state;
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_size, 4096 + 1024 * 8192);
    assert_int_equal(fcntl(file, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    assert_int_equal(hello.head.magic, 0x31424253);
    assert_int_equal(hello.head.version, 1);
    assert_int_equal(hello.head.type, 1);
    assert_int_equal(hello.pid, getpid());
    assert_int_equal(hello.file_bytes, st.st_size);
    assert_memory_equal(&h, "SBB1", 4);
    assert_int_equal(h.version, 1);
    assert_int_equal(h.header_bytes, 4096);
    assert_int_equal(h.area_bytes, 8192);
    assert_int_equal(h.areas, 1024);
    assert_int_equal(h.place_bytes, 256);
    assert_int_equal(h.places, 28);
    assert_int_equal(h.places_at, 832);
    assert_int_equal(h.pid, getpid());
    assert_int_equal(h.state, 1);
    assert_true(h.start_unix_ns <= (uint64_t)sonde_unix_ns());
    assert_true(h.heartbeat_unix_ns >= h.start_unix_ns);
    assert_int_equal(h.spans_without_place, 0);
    sonde_stop();
    assert_int_equal(read_header(file).state, 2);
}

static const msgpack_object *entry(const msgpack_object *map, const char *key)
{
    uint32_t i;

    for (i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        if (kv->key.via.str.size == strlen(key) &&
            memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
            return &kv->val;
    }
    return NULL;
}

static void assert_entry(const msgpack_object *map, const char *key, const char *want)
{
    const msgpack_object *o = entry(map, key);

    assert_non_null(o);
    assert_int_equal(o->type, MSGPACK_OBJECT_STR);
    assert_text(o->via.str.ptr, o->via.str.size, want);
}

static void test_the_process_introduces_itself(void **state)
{
    sonde_blackbox_header h = read_header(start_connected());
    const msgpack_object *id;
    msgpack_unpacked u;
    char runtime_id[37];
    sonde_crash_hello hello = fake_crash_socket_hello(crash, fake_crash_socket_hellos(crash) - 1);
    const uint8_t *r = hello.runtime_id;

    (void)state;
    msgpack_unpacked_init(&u);
    assert_int_equal(msgpack_unpack_next(&u, (const char *)h.process, h.process_bytes, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(u.data.type, MSGPACK_OBJECT_MAP);
    assert_int_equal(entry(&u.data, "schema_version")->via.u64, 2);
    assert_entry(&u.data, "tracer_language", "c");
    assert_entry(&u.data, "service_name", "box");
    assert_entry(&u.data, "service_env", "test");
    assert_entry(&u.data, "service_version", "1.2");
    assert_non_null(entry(&u.data, "tracer_version"));
    assert_non_null(entry(&u.data, "hostname"));
    assert_non_null(entry(&u.data, "process_tags"));
    assert_int_equal(entry(&u.data, "tags")->via.map.size, 2);
    assert_entry(entry(&u.data, "tags"), "team", "a");
    assert_entry(entry(&u.data, "tags"), "zone", "b");
    id = entry(&u.data, "runtime_id");
    (void)snprintf(runtime_id, sizeof(runtime_id),
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
                   r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
                   r[14], r[15]);
    assert_text(id->via.str.ptr, id->via.str.size, runtime_id);
    msgpack_unpacked_destroy(&u);
}

static void test_open_spans_are_found_and_finished_ones_are_not(void **state)
{
    int file = start_connected();
    sonde_span_options o = { .resource = "GET /users/{id}", .type = "web", .service = "front" };
    sonde_span *root = sonde_span_enter("http.request", &o);
    sonde_span *child = sonde_span_enter("db", NULL);
    uint64_t root_id = sonde_span_id(root);
    uint64_t child_id = sonde_span_id(child);
    sonde_blackbox_place p;
    sonde_blackbox_area a;
    int at = find_place(file, root_id, &p);
    char name[16] = { 0 };

    (void)state;
    assert_true(at >= 0);
    assert_int_equal(p.parent_id, 0);
    assert_int_equal(p.trace_id_low, root_id);
    assert_int_equal(p.trace_id_low, sonde_span_trace_id_low(root));
    assert_int_equal(p.trace_id_high, sonde_span_trace_id_high(root));
    assert_int_equal(p.local_root_id, root_id);
    assert_true(sonde_unix_ns() - p.start_unix_ns < 60 * (int64_t)SONDE_NS_PER_S);
    assert_int_equal(p.priority, 1);
    assert_int_equal(p.flags, SONDE_BLACKBOX_LOCAL_ROOT);
    assert_int_equal(p.seq % 2, 0);
    assert_place_text(&p, name, "http.request");
    assert_place_text(&p, service, "front");
    assert_place_text(&p, resource, "GET /users/{id}");
    assert_place_text(&p, type, "web");

    assert_int_equal(find_place(file, child_id, &p), at);
    assert_int_equal(p.parent_id, root_id);
    assert_int_equal(p.trace_id_low, root_id);
    assert_int_equal(p.local_root_id, root_id);
    assert_int_equal(p.flags, 0);
    assert_place_text(&p, name, "db");
    assert_place_text(&p, service, "front");
    assert_place_text(&p, resource, "");
    assert_place_text(&p, type, "");

    a = read_area(file, (unsigned)at);
    (void)prctl(PR_GET_NAME, name);
    assert_string_equal(a.thread_name, name);
    assert_int_equal(a.record.tid, syscall(SYS_gettid));
    assert_int_equal(a.record.span_id_host, child_id);

    sonde_span_leave(child);
    assert_int_equal(find_place(file, child_id, &p), -1);
    sonde_span_leave(root);
    assert_int_equal(find_place(file, root_id, &p), -1);
    assert_int_equal(count_places(file), 0);
}

static void test_changes_of_a_span_are_there_too(void **state)
{
    int file = start_connected();
    sonde_span *span = sonde_span_start("a", NULL);
    sonde_blackbox_place p;
    char name_long[101];

    (void)state;
    sonde_span_set_name(span, "b");
    sonde_span_set_service(span, "other");
    sonde_span_set_resource(span, "r1");
    sonde_span_set_type(span, "sql");
    sonde_span_set_error(span, &(sonde_failure){ .type = "t", .message = "m" });
    sonde_span_set_measured(span, 1);
    sonde_span_drop(span);
    assert_true(find_place(file, sonde_span_id(span), &p) >= 0);
    assert_place_text(&p, name, "b");
    assert_place_text(&p, service, "other");
    assert_place_text(&p, resource, "r1");
    assert_place_text(&p, type, "sql");
    assert_int_equal(p.flags,
                     SONDE_BLACKBOX_LOCAL_ROOT | SONDE_BLACKBOX_ERROR | SONDE_BLACKBOX_MEASURED);
    assert_int_equal(p.priority, -1);
    assert_int_equal(p.seq % 2, 0);

    sonde_span_clear_error(span);
    sonde_span_set_measured(span, 0);
    sonde_span_keep(span);
    sonde_span_set_str(span, "resource.name", "r2");
    sonde_span_set_str(span, "span.type", "cache");
    sonde_span_set_str(span, "service.name", "third");
    memset(name_long, 'n', 47);
    memcpy(name_long + 47, "\xc3\xa9!", 4);
    sonde_span_set_str(span, "span.name", name_long);
    assert_true(find_place(file, sonde_span_id(span), &p) >= 0);
    assert_place_text(&p, resource, "r2");
    assert_place_text(&p, type, "cache");
    assert_place_text(&p, service, "third");
    name_long[47] = '\0'; /* the character after it does not fit whole */
    assert_place_text(&p, name, name_long);
    assert_int_equal(p.flags, SONDE_BLACKBOX_LOCAL_ROOT);
    assert_int_equal(p.priority, 2);
    sonde_span_set_str(span, "error", "true");
    assert_true(find_place(file, sonde_span_id(span), &p) >= 0);
    assert_int_equal(p.flags, SONDE_BLACKBOX_LOCAL_ROOT | SONDE_BLACKBOX_ERROR);
    sonde_span_finish(span);
    assert_int_equal(count_places(file), 0);
}

static sonde_str get_header(void *user, sonde_str name)
{
    const char *const *headers = (const char *const *)user;

    for (; headers[0]; headers += 2)
        if (sonde_str_eq(name, sonde_str_from(headers[0])))
            return sonde_str_from(headers[1]);
    return (sonde_str){ NULL, 0 };
}

static void test_a_remote_parent_is_marked(void **state)
{
    static const char *const headers[] = { "x-datadog-trace-id",
                                           "77",
                                           "x-datadog-parent-id",
                                           "55",
                                           "x-datadog-sampling-priority",
                                           "2",
                                           NULL };
    int file = start_connected();
    sonde_context *context =
        sonde_extract(&(sonde_reader){ .get = get_header, .user = (void *)(uintptr_t)headers });
    sonde_span *span = sonde_span_start("s", &(sonde_span_options){ .context = context });
    sonde_blackbox_place p;

    (void)state;
    assert_true(find_place(file, sonde_span_id(span), &p) >= 0);
    assert_int_equal(p.parent_id, 55);
    assert_int_equal(p.trace_id_low, 77);
    assert_int_equal(p.trace_id_high, 0);
    assert_int_equal(p.local_root_id, sonde_span_id(span));
    assert_int_equal(p.priority, 2);
    assert_int_equal(p.flags, SONDE_BLACKBOX_LOCAL_ROOT | SONDE_BLACKBOX_REMOTE_PARENT);
    sonde_span_finish(span);
    sonde_context_release(context);
}

static void test_spans_beyond_the_places_are_counted(void **state)
{
    enum { SPANS = 2000 };
    static sonde_span *spans[SPANS];
    sonde_counters c = { .struct_bytes = sizeof(c) };
    int file = start_connected();
    uint64_t before;
    int i;

    (void)state;
    sonde_counters_read(&c);
    before = c.blackbox_no_place;
    for (i = 0; i < SPANS; i++)
        spans[i] = sonde_span_start("s", NULL);
    assert_int_equal(count_places(file), 28);
    assert_int_equal(read_header(file).spans_without_place, SPANS - 28);
    sonde_counters_read(&c);
    assert_int_equal(c.blackbox_no_place - before, SPANS - 28);
    for (i = 0; i < SPANS; i++)
        sonde_span_finish(spans[i]);
    assert_int_equal(count_places(file), 0);
    spans[0] = sonde_span_start("s", NULL);
    assert_int_equal(count_places(file), 1);
    sonde_span_finish(spans[0]);
}

/* -- threads -------------------------------------------------------------------------------------- */

typedef struct handed {
    sonde_span *spans[28];
    uint64_t tid;
} handed;

static void *start_all(void *arg)
{
    handed *h = (handed *)arg;
    int i;

    for (i = 0; i < 28; i++)
        h->spans[i] = sonde_span_start("s", NULL);
    h->tid = (uint64_t)syscall(SYS_gettid);
    return NULL;
}

static void *finish_all(void *arg)
{
    handed *h = (handed *)arg;
    int i;

    for (i = 0; i < 28; i++)
        sonde_span_finish(h->spans[i]);
    return NULL;
}

static void on_a_thread(void *(*run)(void *), handed *h)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, h), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_places_given_back_by_other_threads_are_collected(void **state)
{
    int file = start_connected();
    handed h;

    (void)state;
    start_all(&h);
    assert_int_equal(count_places(file), 28);
    on_a_thread(finish_all, &h);
    assert_int_equal(count_places(file), 0);
    start_all(&h);
    assert_int_equal(count_places(file), 28);
    finish_all(&h);
    assert_int_equal(read_header(file).spans_without_place, 0);
}

/* An area whose thread has ended is used again when its last span has. */
static void test_an_area_waits_for_its_open_spans(void **state)
{
    int file = start_connected();
    sonde_blackbox_place p;
    handed one, two, three;
    int first, second;

    (void)state;
    on_a_thread(start_all, &one);
    first = find_place(file, sonde_span_id(one.spans[0]), &p);
    assert_true(first >= 0);
    assert_int_equal(read_area(file, (unsigned)first).record.tid, 0);
    on_a_thread(start_all, &two);
    second = find_place(file, sonde_span_id(two.spans[0]), &p);
    assert_true(second >= 0);
    assert_int_not_equal(first, second);
    finish_all(&one);
    on_a_thread(start_all, &three);
    assert_int_equal(find_place(file, sonde_span_id(three.spans[27]), &p), first);
    finish_all(&two);
    finish_all(&three);
    assert_int_equal(count_places(file), 0);
}

enum { STORM_SPANS = 512, STORM_ROUNDS = 200, STORM_THREADS = 3 };

static _Atomic(sonde_span *) pool[STORM_SPANS];

/* Starts spans into the pool, and finishes those it finds there, whoever started them. */
static void *storm(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg * 2654435761u + 1;
    int i;

    for (i = 0; i < STORM_ROUNDS * 16; i++) {
        sonde_span *span = sonde_span_start("s", &(sonde_span_options){ .resource = "r" });
        sonde_span *found;

        if (i % 3 == 0)
            sonde_span_set_resource(span, "a longer resource than before");
        random = random * 6364136223846793005u + 1442695040888963407u;
        found = atomic_exchange(&pool[(random >> 33) % 64], span);
        sonde_span_finish(found);
    }
    return NULL;
}

static void test_threads_that_hand_spans_around_leave_none_behind(void **state)
{
    int file = start_connected();
    pthread_t threads[STORM_THREADS];
    uintptr_t i;
    int k;

    (void)state;
    for (i = 0; i < STORM_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm, (void *)(i + 1)), 0);
    for (k = 0; k < STORM_ROUNDS; k++) {
        sonde_blackbox_area a = read_area(file, (unsigned)k % 8);
        unsigned p;

        for (p = 0; p < SONDE_BLACKBOX_PLACES; p++) {
            assert_true(a.places[p].name_len <= sizeof(a.places[p].name));
            assert_true(a.places[p].resource_len <= sizeof(a.places[p].resource));
        }
    }
    for (i = 0; i < STORM_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(count_places(file) <= 64);
    for (k = 0; k < STORM_SPANS; k++)
        sonde_span_finish(atomic_exchange(&pool[k], NULL));
    assert_int_equal(count_places(file), 0);
}

/* -- the socket ----------------------------------------------------------------------------------- */

static void test_without_an_offer_only_the_record_is_written(void **state)
{
    sonde_span *span;

    (void)state;
    fake_agent_info(agent, "{\"version\":\"7\"}", "first");
    start_at(url);
    assert_status(sonde_wait_for_agent(10000), SONDE_OK);
    span = sonde_span_enter("s", NULL);
    assert_int_equal(sonde__watched(), 0);
    assert_int_equal(count_places(sonde__blackbox_fd()), 0);
    assert_int_equal(read_area(sonde__blackbox_fd(), 0).record.valid, 1);
    sonde_span_leave(span);
    ask_info_again(); /* now it offers */
    assert_true(is_watched(true));
    assert_int_equal(fake_crash_socket_hellos(crash), 1);
}

static void test_the_socket_is_found_beside_the_trace_socket(void **state)
{
    (void)state;
    fake_agent_info(agent, "{\"sonde\":{\"crash_socket\":\"/not/here/x.socket\"}}", "first");
    (void)start_connected();
}

static void test_after_a_hang_up_it_connects_again(void **state)
{
    int file = start_connected();
    sonde_span *before = sonde_span_start("before", NULL);
    sonde_span *between, *after;

    (void)state;
    fake_crash_socket_hang_up(crash, 0);
    assert_true(is_watched(false));
    between = sonde_span_start("between", NULL);
    assert_int_equal(count_places(file), 1);
    ask_info_again();
    assert_true(fake_crash_socket_wait(crash, 2, 10000));
    assert_true(is_watched(true));
    after = sonde_span_start("after", NULL);
    assert_int_equal(count_places(fake_crash_socket_file(crash, 1)), 2);
    sonde_span_finish(between);
    sonde_span_finish(before);
    sonde_span_finish(after);
    assert_int_equal(count_places(file), 0);
}

static void test_a_refusal_ends_it_but_for_too_many(void **state)
{
    (void)state;
    fake_crash_socket_answer(crash, SONDE_CRASH_TOO_MANY);
    start_at(url);
    assert_true(fake_crash_socket_wait(crash, 1, 10000));
    assert_true(fake_crash_socket_wait_end(crash, 0, 60000));
    fake_crash_socket_answer(crash, SONDE_CRASH_BAD_SEALS);
    ask_info_again();
    assert_true(fake_crash_socket_wait(crash, 2, 10000));
    assert_true(fake_crash_socket_wait_end(crash, 1, 60000));
    fake_crash_socket_answer(crash, SONDE_CRASH_ACCEPTED);
    ask_info_again();
    ask_info_again();
    assert_int_equal(fake_crash_socket_hellos(crash), 2);
    assert_int_equal(sonde__watched(), 0);
}

static void test_an_agent_that_does_not_answer_is_left(void **state)
{
    (void)state;
    fake_crash_socket_answer(crash, FAKE_CRASH_SILENT);
    start_at(url);
    assert_true(fake_crash_socket_wait(crash, 1, 10000));
    assert_true(fake_crash_socket_wait_end(crash, 0, 60000));
    assert_int_equal(sonde__watched(), 0);
}

static void test_the_heart_beats_while_connected(void **state)
{
    int file = start_connected();
    uint64_t first = read_header(file).heartbeat_unix_ns;
    uint64_t until = sonde_deadline(sonde_mono_ns(), 60 * (uint64_t)SONDE_NS_PER_S);

    (void)state;
    while (read_header(file).heartbeat_unix_ns <= first && sonde_mono_ns() < until)
        (void)poll(NULL, 0, 10);
    assert_true(read_header(file).heartbeat_unix_ns > first);
}

/* -- other processes ------------------------------------------------------------------------------ */

typedef struct actor {
    pid_t pid;
    int says; /* its standard output */
} actor;

static actor play(const char *part)
{
    char *argv[] = { self, (char *)(uintptr_t)part, url, NULL };
    posix_spawn_file_actions_t files;
    actor a;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    assert_int_equal(posix_spawn(&a.pid, self, &files, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)close(ends[1]);
    a.says = ends[0];
    return a;
}

/* What an actor says: ids, as bytes. */
static uint64_t hear(const actor *a)
{
    uint64_t id = 0;

    assert_int_equal(read(a->says, &id, sizeof(id)), sizeof(id));
    return id;
}

static void say(uint64_t id)
{
    if (write(1, &id, sizeof(id)) != (ssize_t)sizeof(id))
        _exit(91);
}

static int end_of(const actor *a)
{
    int status = -1;

    assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
    (void)close(a->says);
    return status;
}

static void stay(void)
{
    for (;;)
        (void)pause();
}

static int part_killed(void)
{
    sonde_span *outer, *inner, *done;

    if (!is_watched(true))
        return 92;
    outer = sonde_span_enter("outer", NULL);
    done = sonde_span_enter("done", NULL);
    sonde_span_leave(done);
    inner = sonde_span_enter("inner", &(sonde_span_options){ .resource = "r" });
    say(sonde_span_id(outer));
    say(sonde_span_id(inner));
    stay();
    return 0;
}

static void test_open_spans_of_a_killed_process_are_read_back(void **state)
{
    actor a = play("killed");
    uint64_t outer = hear(&a);
    uint64_t inner = hear(&a);
    sonde_blackbox_place p;
    int file;

    (void)state;
    assert_int_equal(kill(a.pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(end_of(&a)));
    assert_true(fake_crash_socket_wait_end(crash, 0, 60000));
    file = fake_crash_socket_file(crash, 0);
    assert_int_equal(read_header(file).state, 1);
    assert_int_equal(read_header(file).pid, a.pid);
    assert_int_equal(count_places(file), 2);
    assert_true(find_place(file, outer, &p) >= 0);
    assert_place_text(&p, name, "outer");
    assert_true(find_place(file, inner, &p) >= 0);
    assert_place_text(&p, name, "inner");
    assert_place_text(&p, resource, "r");
    assert_int_equal(p.parent_id, outer);
}

/* A text that is there is whole, or its sequence is odd. */
static int part_changing(void)
{
    sonde_span *span;
    unsigned i;

    if (!is_watched(true))
        return 92;
    span = sonde_span_enter("s", NULL);
    sonde_span_set_resource(span,
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    say(sonde_span_id(span));
    for (i = 0;; i++) {
        sonde_span *next = sonde_span_start("n", NULL);

        sonde_span_set_resource(next,
                                i % 2 ? "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" : "cc");
        sonde_span_finish(next);
    }
    return 0;
}

static void test_what_a_killed_process_was_changing_is_whole_or_odd(void **state)
{
    actor a = play("changing");
    uint64_t id = hear(&a);
    sonde_blackbox_place p;
    int file, i;

    (void)state;
    assert_int_equal(kill(a.pid, SIGKILL), 0);
    (void)end_of(&a);
    file = fake_crash_socket_file(crash, 0);
    assert_true(find_place(file, id, &p) >= 0);
    assert_int_equal(p.resource_len, 64);
    assert_true(count_places(file) <= 2);
    for (i = 0; i < (int)SONDE_BLACKBOX_PLACES; i++) {
        memcpy(&p, &(read_area(file, 0).places[i]), sizeof(p));
        if (p.span_id == 0 || p.span_id == id || p.seq % 2 == 1)
            continue;
        assert_true(p.resource_len == 0 || p.resource_len == 2 || p.resource_len == 45);
        assert_int_equal(p.resource_len == 0 ? 'x' : p.resource[0], p.resource_len == 0   ? 'x'
                                                                    : p.resource_len == 2 ? 'c'
                                                                                          : 'b');
    }
}

static int part_ended_in_order(void)
{
    if (!is_watched(true))
        return 92;
    (void)sonde_span_enter("open", NULL);
    exit(0);
}

static int part_left_at_once(void)
{
    if (!is_watched(true))
        return 92;
    (void)sonde_span_enter("open", NULL);
    _exit(3);
}

static void test_an_exit_is_in_order_and_a_short_cut_is_not(void **state)
{
    actor a = play("ended_in_order");

    (void)state;
    assert_int_equal(end_of(&a), 0);
    assert_true(fake_crash_socket_wait_end(crash, 0, 60000));
    assert_int_equal(read_header(fake_crash_socket_file(crash, 0)).state, 2);
    a = play("left_at_once");
    assert_int_equal(WEXITSTATUS(end_of(&a)), 3);
    assert_true(fake_crash_socket_wait_end(crash, 1, 60000));
    assert_int_equal(read_header(fake_crash_socket_file(crash, 1)).state, 1);
    assert_int_equal(count_places(fake_crash_socket_file(crash, 1)), 1);
}

static int part_forks(void)
{
    sonde_span *inherited, *mine;
    pid_t pid;

    if (!is_watched(true))
        return 92;
    inherited = sonde_span_enter("parents", NULL);
    say(sonde_span_id(inherited));
    pid = fork();
    if (pid == 0) {
        (void)alarm(PART_MAX_S);
        mine = sonde_span_start("first", NULL);
        sonde_span_finish(mine);
        if (!is_watched(true))
            _exit(93);
        mine = sonde_span_enter("childs", NULL);
        sonde_span_finish(inherited); /* not in our file, and not out of the parent's */
        say(sonde_span_id(mine));
        stay();
    }
    say((uint64_t)pid);
    stay();
    return 0;
}

/* ThreadSanitizer cannot follow threads started after a fork among threads. */
static void need_threads_after_fork(void)
{
#if defined(__SANITIZE_THREAD__)
    skip();
#endif
}

static void test_a_forked_child_has_a_file_of_its_own(void **state)
{
    sonde_blackbox_place p;
    uint64_t parents, said[2], child_pid, childs;
    sonde_crash_hello hello;
    int file, theirs, at;
    actor a;

    (void)state;
    need_threads_after_fork();
    a = play("forks");
    parents = hear(&a);
    said[0] = hear(&a);
    said[1] = hear(&a);
    child_pid = said[0] < said[1] ? said[0] : said[1]; /* the other one is an id */
    childs = said[0] < said[1] ? said[1] : said[0];
    assert_true(fake_crash_socket_wait(crash, 2, 10000));
    file = fake_crash_socket_file(crash, 0);
    theirs = fake_crash_socket_file(crash, 1);
    hello = fake_crash_socket_hello(crash, 1);
    assert_int_equal(hello.pid, child_pid);
    assert_memory_not_equal(hello.runtime_id, fake_crash_socket_hello(crash, 0).runtime_id, 16);
    assert_int_equal(count_places(file), 1);
    assert_true(find_place(file, parents, &p) >= 0);
    assert_int_equal(read_header(theirs).pid, child_pid);
    assert_int_equal(read_header(theirs).state, 1);
    assert_int_equal(count_places(theirs), 1);
    at = find_place(theirs, childs, &p);
    assert_true(at >= 0);
    assert_place_text(&p, name, "childs");
    assert_int_equal(read_area(theirs, (unsigned)at).record.tid, child_pid);
    assert_int_equal(kill((pid_t)child_pid, SIGKILL), 0);
    assert_int_equal(kill(a.pid, SIGKILL), 0);
    (void)end_of(&a);
}

static int part_execs(void)
{
    char part[] = "killed";
    char *argv[] = { self, part, url, NULL };

    if (!is_watched(true))
        return 92;
    (void)sonde_span_enter("lost", NULL);
    (void)execv(self, argv);
    return 94;
}

static void test_exec_hangs_up_and_the_new_program_makes_a_new_file(void **state)
{
    actor a = play("execs");
    uint64_t outer = hear(&a);
    sonde_blackbox_place p;

    (void)state;
    (void)hear(&a);
    assert_true(fake_crash_socket_wait_end(crash, 0, 60000));
    assert_int_equal(count_places(fake_crash_socket_file(crash, 0)), 1);
    assert_true(find_place(fake_crash_socket_file(crash, 1), outer, &p) >= 0);
    assert_int_equal(kill(a.pid, SIGKILL), 0);
    (void)end_of(&a);
}

/* Whether this process has a descriptor of the black box. */
static bool has_file(void)
{
    char link[64], name[128];
    int fd;

    for (fd = 0; fd < 256; fd++) {
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, name, sizeof(name) - 1);
        if (n > 0 && memmem(name, (size_t)n, "sonde-blackbox", 14))
            return true;
    }
    return false;
}

static int part_switched_off(void)
{
    sonde_span *span = sonde_span_enter("s", NULL);

    if (has_file() || sonde_wait_for_agent(10000) != SONDE_OK)
        return 1;
    sonde_span_leave(span);
    return sonde__watched() == 0 ? 0 : 2;
}

static void test_switched_off_there_is_no_file_and_no_connection(void **state)
{
    actor a;

    (void)state;
    (void)setenv("SONDE_BLACKBOX", "false", 1);
    a = play("switched_off");
    (void)unsetenv("SONDE_BLACKBOX");
    assert_int_equal(end_of(&a), 0);
    assert_int_equal(fake_crash_socket_hellos(crash), 0);
}

/* Seats until there are none: areas, then bare records, then nothing; and again. */
static int part_seats(void)
{
    static sonde__seat seats[SONDE__CTX_RECORDS_MAX + 1];
    sonde_counters c = { .struct_bytes = sizeof(c) };
    unsigned round, i;

    for (round = 0; round < 2; round++) {
        for (i = 0; i <= SONDE__CTX_RECORDS_MAX; i++) {
            seats[i] = sonde__blackbox_take();
            if ((seats[i].box != NULL) != (i < SONDE_BLACKBOX_AREAS) ||
                (seats[i].record != NULL) != (i < SONDE__CTX_RECORDS_MAX))
                return 1;
            if (seats[i].record && (uintptr_t)seats[i].record % 64 != 0)
                return 2;
        }
        for (i = 0; i <= SONDE__CTX_RECORDS_MAX; i++)
            sonde__blackbox_give(&seats[i]);
    }
    sonde_counters_read(&c);
    if (c.blackbox_no_area != 2 * (SONDE__CTX_RECORDS_MAX + 1 - SONDE_BLACKBOX_AREAS))
        return 3;
    if (sonde__blackbox_header()->threads_without_area != c.blackbox_no_area)
        return 4;
    for (i = 0; sonde__blackbox_record(i); i++)
        ;
    return i == SONDE__CTX_RECORDS_MAX ? 0 : 5;
}

static void test_threads_beyond_the_areas_get_bare_records(void **state)
{
    actor a = play("seats");

    (void)state;
    assert_int_equal(end_of(&a), 0);
}

/* There is no memfd: the records are in private memory, and nothing is offered. */
static int part_no_file(void)
{
    sonde_span *span = sonde_span_enter("s", NULL);

    if (has_file() || sonde__blackbox_header() || sonde__blackbox_fd() >= 0)
        return 1;
    if (!sonde__self->record || sonde__self->record->span_id_host != sonde_span_id(span))
        return 2;
    if (sonde_wait_for_agent(10000) != SONDE_OK)
        return 3;
    sonde_span_leave(span);
    return sonde__watched() == 0 ? 0 : 4;
}

static void test_without_a_memfd_there_are_the_records(void **state)
{
    actor a = play("no_file");

    (void)state;
    assert_int_equal(end_of(&a), 0);
    assert_int_equal(fake_crash_socket_hellos(crash), 0);
}

/* No private memory for the child: it must do without a record, and must not touch the parent's file. */
static int part_forks_without_memory(void)
{
    sonde_span *span = sonde_span_enter("parents", NULL);
    int status = 0;
    pid_t pid;

    sys_fail_always(SYS_FAIL_MMAP, ENOMEM);
    pid = fork();
    if (pid == 0) {
        sonde_span *mine = sonde_span_enter("childs", NULL);

        if (sonde__self->record || *sonde__ctx_tls() || sonde_span_id(mine) == 0)
            _exit(1);
        sonde_span_leave(mine);
        sonde_span_leave(span);
        _exit(0);
    }
    sys_fail_clear();
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    return sonde__self->record->span_id_host == sonde_span_id(span) ? 0 : 3;
}

static void test_a_child_without_memory_does_without_a_record(void **state)
{
    actor a;

    (void)state;
    need_threads_after_fork();
    a = play("forks_without_memory");
    assert_int_equal(end_of(&a), 0);
}

/* The child's file cannot be made: its records stay where they are. */
static int part_forks_without_file(void)
{
    sonde_span *span = sonde_span_enter("parents", NULL);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        sonde_span *mine;

        sys_fail_always(SYS_FAIL_MEMFD_CREATE, EMFILE);
        mine = sonde_span_enter("childs", NULL);
        if (has_file() || sonde__self->record->span_id_host != sonde_span_id(mine))
            _exit(1);
        if (sonde__self->record->tid != (uint32_t)getpid())
            _exit(2);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 3;
    return sonde__self->record->span_id_host == sonde_span_id(span) ? 0 : 4;
}

static void test_a_child_without_a_file_keeps_its_record(void **state)
{
    actor a;

    (void)state;
    need_threads_after_fork();
    a = play("forks_without_file");
    assert_int_equal(end_of(&a), 0);
}

static const struct {
    const char *name;
    int (*run)(void);
} parts[] = {
    { "killed", part_killed },
    { "changing", part_changing },
    { "ended_in_order", part_ended_in_order },
    { "left_at_once", part_left_at_once },
    { "forks", part_forks },
    { "execs", part_execs },
    { "switched_off", part_switched_off },
    { "seats", part_seats },
    { "no_file", part_no_file },
    { "forks_without_memory", part_forks_without_memory },
    { "forks_without_file", part_forks_without_file },
};

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ends, close_ends)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_file_is_sealed_and_says_what_it_is),
        TEST(test_the_process_introduces_itself),
        TEST(test_open_spans_are_found_and_finished_ones_are_not),
        TEST(test_changes_of_a_span_are_there_too),
        TEST(test_a_remote_parent_is_marked),
        TEST(test_spans_beyond_the_places_are_counted),
        TEST(test_places_given_back_by_other_threads_are_collected),
        TEST(test_an_area_waits_for_its_open_spans),
        TEST(test_threads_that_hand_spans_around_leave_none_behind),
        TEST(test_without_an_offer_only_the_record_is_written),
        TEST(test_the_socket_is_found_beside_the_trace_socket),
        TEST(test_after_a_hang_up_it_connects_again),
        TEST(test_a_refusal_ends_it_but_for_too_many),
        TEST(test_an_agent_that_does_not_answer_is_left),
        TEST(test_the_heart_beats_while_connected),
        TEST(test_open_spans_of_a_killed_process_are_read_back),
        TEST(test_what_a_killed_process_was_changing_is_whole_or_odd),
        TEST(test_an_exit_is_in_order_and_a_short_cut_is_not),
        TEST(test_a_forked_child_has_a_file_of_its_own),
        TEST(test_exec_hangs_up_and_the_new_program_makes_a_new_file),
        TEST(test_switched_off_there_is_no_file_and_no_connection),
        TEST(test_threads_beyond_the_areas_get_bare_records),
        TEST(test_without_a_memfd_there_are_the_records),
        TEST(test_a_child_without_memory_does_without_a_record),
        TEST(test_a_child_without_a_file_keeps_its_record),
    };
    size_t i;

    self = argv[0];
    for (i = 0; argc == 3 && i < COUNT_OF(parts); i++) {
        if (strcmp(parts[i].name, argv[1]) != 0)
            continue;
        (void)snprintf(url, sizeof(url), "%s", argv[2]);
        (void)alarm(PART_MAX_S);
        if (parts[i].run == part_no_file)
            sys_fail_always(SYS_FAIL_MEMFD_CREATE, ENOSYS);
        start_at(url);
        return parts[i].run();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
