/* Whole profiles: the message, the body around it, and what answers do to bodies that wait. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "codec/pb_read.h"
#include "profiler/src/uploads.h"
#include "profiler/src/waits.h"
#include "support/fake_agent.h"
#include "support/temp_dir.h"

#define PATH       SONDE_PROF__PROFILE_PATH
#define TIMEOUT_MS 20000
#define PERIOD_NS  (60 * (uint64_t)SONDE_NS_PER_S)
#define START_NS   1767225600000000000u /* 2026-01-01 */

typedef struct scene {
    fake_agent *agent;
    sonde_prof__config *config;
    sonde_prof__identity who;
    sonde_prof__dict dict;
    sonde_prof__window window;
    sonde_prof__uploads uploads;
    sonde_prof__stats stats;
    sonde_prof__link *link;
    const char *env[12]; /* "NAME=value" */
} scene;

static const char *lookup(void *user, const char *name)
{
    const char *const *env = user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static char url[200];

static void open_scene(scene *s, const char *more)
{
    static const _Atomic uint64_t never = UINT64_MAX;
    const char *env[] = { "DD_PROFILING_NATIVE_LOG_LEVEL=off",
                          "DD_SERVICE=demo",
                          "DD_ENV=prod",
                          "DD_VERSION=1.2",
                          "DD_HOSTNAME=box",
                          "DD_PROFILING_RUNTIME_ID=00112233-4455-6677-8899-aabbccddeeff",
                          "DD_TAGS=team:a,runtime-id:mine",
                          "DD_PROFILING_TAGS=list:x,y",
                          "DD_PROFILING_DEBUG_COMPRESSION_SETTINGS=none",
                          url,
                          more,
                          NULL };

    memset(s, 0, sizeof(*s));
    s->agent = fake_agent_open(NULL);
    (void)snprintf(url, sizeof(url), "DD_TRACE_AGENT_URL=%s", fake_agent_url(s->agent));
    memcpy(s->env, env, sizeof(env));
    s->config = sonde_prof__config_new(NULL, lookup, (void *)(uintptr_t)s->env);
    assert_non_null(s->config);
    sonde_prof__identity_init(&s->who, s->config);
    s->who.pid = 4242;
    assert_status(sonde_prof__dict_init(&s->dict), SONDE_OK);
    sonde_prof__window_init(&s->window, 1000);
    sonde_prof__uploads_init(&s->uploads);
    assert_status(sonde_prof__link_open(s->config, &never, NULL, NULL, &s->link), SONDE_OK);
}

static int setup(void **state)
{
    static scene s;

    open_scene(&s, NULL);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;

    sonde_prof__link_close(s->link);
    sonde_prof__uploads_done(&s->uploads);
    sonde_prof__window_done(&s->window);
    sonde_prof__dict_done(&s->dict);
    sonde_prof__identity_done(&s->who);
    sonde_prof__config_free(s->config);
    fake_agent_close(s->agent);
    sonde_prof__maps_done();
    return 0;
}

static void sample(scene *s, uint8_t kind, int64_t value, uint64_t span, uint64_t mono_ns)
{
    uint64_t room[sizeof(sonde_prof__sample) / sizeof(uint64_t) + 2] = { 0 };
    sonde_prof__sample *one = (sonde_prof__sample *)(void *)room;
    uint32_t thread = sonde_prof__dict_thread(&s->dict, 77, 5);

    sonde_prof__dict_name_thread(&s->dict, thread, SONDE_STR("worker"));
    one->depth = 2;
    one->kind = kind;
    one->events = 1;
    one->value[0] = value;
    one->tid = 77;
    one->mono_ns = mono_ns;
    one->context.span_id = span;
    one->context.local_root_id = span ? 9 : 0;
    one->frames[0] = 0x2000;
    one->frames[1] = 0x1000;
    sonde_prof__window_add(&s->window, &s->dict, one, thread);
}

static void close_window(scene *s)
{
    const sonde_prof__endpoint e = { 9, sonde_prof__dict_string(&s->dict, SONDE_STR("GET /")), 0,
                                     3 };
    const sonde_prof__closed c = {
        .dict = &s->dict,
        .window = &s->window,
        .endpoints = &e,
        .endpoints_len = 1,
        .who = &s->who,
        .stats = &s->stats,
        .time = { START_NS, START_NS + PERIOD_NS, (int64_t)START_NS },
        .sends = true,
    };

    sonde_prof__uploads_close(&s->uploads, &c);
}

static bool send_all(scene *s)
{
    s->uploads.reports.next_try_ns = 0;
    return sonde_prof__uploads_send(&s->uploads, s->link, PERIOD_NS,
                                    sonde_mono_ns() + 20 * (uint64_t)SONDE_NS_PER_S);
}

static void answer(scene *s, int status)
{
    fake_agent_route(s->agent, PATH, (fake_answer){ .status = status });
}

/* -- the body --------------------------------------------------------------------------------------- */

static void tags_are_in_their_order_and_ours_cannot_be_overridden(void **state)
{
    static const char want[] =
        "language:native,runtime:native,service:demo,env:prod,version:1.2,"
        "runtime-id:00112233-4455-6677-8899-aabbccddeeff,profiler_version:" SONDE_VERSION
        ",profile_seq:7,process_id:4242,cpu_arch:";
    scene *s = *state;
    sonde_buf b;

    sonde_buf_init(&b, 4096);
    sonde_prof__report_tags(&b, &s->who, 7, false);
    assert_memory_equal(sonde_buf_cstr(&b), want, sizeof(want) - 1);
    assert_non_null(strstr(sonde_buf_cstr(&b), ",team:a,list:x,runtime_platform:"));
    assert_null(strstr(sonde_buf_cstr(&b), "mine"));
    assert_null(strstr(sonde_buf_cstr(&b), "remote_symbols"));
    sonde_buf_done(&b);
}

static void the_body_is_multipart_to_the_byte(void **state)
{
    static const char form[] =
        "--%s\r\nContent-Disposition: form-data; name=\"event\"; filename=\"event.json\"\r\n"
        "Content-Type: application/json\r\n\r\n{}\r\n"
        "--%s\r\nContent-Disposition: form-data; name=\"profile.pprof\"; "
        "filename=\"profile.pprof\"\r\n\r\n"
        "BYTES\r\n--%s--\r\n";
    scene *s = *state;
    char want[600], type[100];
    char *head, *body;

    sonde_prof__report_push(&s->uploads.reports, SONDE_STR("BYTES"), SONDE_STR("{}"), 1);
    (void)snprintf(type, sizeof(type), "\r\nContent-Type: multipart/form-data; boundary=%s\r\n",
                   s->uploads.reports.items[0].boundary);
    (void)snprintf(want, sizeof(want), form, s->uploads.reports.items[0].boundary,
                   s->uploads.reports.items[0].boundary, s->uploads.reports.items[0].boundary);
    assert_true(send_all(s));
    body = fake_agent_other(s->agent, PATH, 0, TIMEOUT_MS, &head);
    assert_non_null(body);
    assert_string_equal(body, want);
    assert_non_null(strstr(head, type));
    assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(head, "\r\nDD-EVP-ORIGIN: sonde-profiler\r\n"));
    assert_non_null(strstr(head, "\r\nDD-EVP-ORIGIN-VERSION: " SONDE_VERSION "\r\n"));
    assert_non_null(strstr(head, "\r\nUser-Agent: Sonde/" SONDE_VERSION "\r\n"));
    free(head);
    free(body);
}

static void the_event_says_when_and_who_and_what_requests_were_of(void **state)
{
    scene *s = *state;
    char *body;

    sample(s, SONDE_PROF__CPU, 10, 1, 5);
    s->stats.samples[SONDE_PROF__CPU] = 1;
    close_window(s);
    assert_true(send_all(s));
    body = fake_agent_other(s->agent, PATH, 0, TIMEOUT_MS, NULL);
    assert_non_null(body);
    assert_non_null(strstr(
        body,
        "{\"version\":\"4\",\"family\":\"native\",\"start\":\"2026-01-01T00:00:00.000000000Z\","
        "\"end\":\"2026-01-01T00:01:00.000000000Z\",\"attachments\":[\"profile.pprof\"],"
        "\"tags_profiler\":\"language:native,"));
    assert_non_null(strstr(body, ",\"endpoint_counts\":{\"GET /\":3},\"process_tags\":"));
    assert_non_null(
        strstr(body, ",\"internal\":{\"sonde_version\":\"" SONDE_VERSION "\",\"samples_cpu\":1}"));
    assert_int_equal(s->uploads.reports.events_sent, 1);
    free(body);
}

/* -- answers ---------------------------------------------------------------------------------------- */

static void a_server_in_trouble_is_tried_twice_and_others_once(void **state)
{
    static const struct {
        int status;
        uint64_t tries;
    } cases[] = { { 500, 2 }, { 503, 2 }, { 504, 1 }, { 400, 1 }, { 403, 1 } };
    scene *s = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        uint64_t before = fake_agent_others(s->agent, PATH), tries = 0;

        answer(s, cases[i].status);
        sonde_prof__report_push(&s->uploads.reports, SONDE_STR("x"), SONDE_STR("{}"), 1);
        while (s->uploads.reports.len > 0 && tries++ < 5)
            assert_true(send_all(s));
        if (fake_agent_others(s->agent, PATH) - before != cases[i].tries)
            fail_msg("%d: tried %d times", cases[i].status,
                     (int)(fake_agent_others(s->agent, PATH) - before));
    }
    assert_int_equal(s->uploads.reports.events_lost, COUNT_OF(cases));
    assert_int_equal(s->uploads.reports.lost, COUNT_OF(cases));
}

static void an_agent_without_the_path_gets_no_more(void **state)
{
    scene *s = *state;

    answer(s, 404);
    sonde_prof__report_push(&s->uploads.reports, SONDE_STR("x"), SONDE_STR("{}"), 1);
    assert_false(send_all(s));
}

static void of_three_profiles_that_wait_the_oldest_goes(void **state)
{
    scene *s = *state;

    sonde_prof__report_push(&s->uploads.reports, SONDE_STR("1"), SONDE_STR("{}"), 1);
    sonde_prof__report_push(&s->uploads.reports, SONDE_STR("2"), SONDE_STR("{}"), 10);
    sonde_prof__report_push(&s->uploads.reports, SONDE_STR("3"), SONDE_STR("{}"), 100);
    assert_int_equal(s->uploads.reports.events_lost, 1);
    assert_int_equal(sonde_prof__report_events(&s->uploads.reports), 110);
    assert_true(send_all(s));
    assert_int_equal(s->uploads.reports.events_sent, 110);
    assert_int_equal(s->uploads.reports.seq, 3);
}

static void a_profile_that_is_too_big_is_sent_again_without_times(void **state)
{
    scene *s = *state;
    char *first, *second;
    int i;

    for (i = 0; i < 50; i++)
        sample(s, SONDE_PROF__CPU, 10, 1, 5 + (uint64_t)i);
    close_window(s);
    answer(s, 413);
    assert_true(send_all(s));
    assert_int_equal(fake_agent_others(s->agent, PATH), 2);
    first = fake_agent_other(s->agent, PATH, 0, TIMEOUT_MS, NULL);
    second = fake_agent_other(s->agent, PATH, 1, TIMEOUT_MS, NULL);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(s->uploads.last.step, SONDE_PROF__PPROF_NO_TIMES);
    assert_int_equal(s->uploads.reports.events_lost, 50);
    assert_int_equal(s->uploads.reports.len, 0);
    free(first);
    free(second);
}

/* -- the message ------------------------------------------------------------------------------------ */

typedef struct message {
    sonde_str texts[200];
    uint32_t texts_len;
    uint32_t samples, locations, mappings, functions, types;
    uint64_t sums[32];    /* of each column */
    uint32_t labels[200]; /* uses of each key */
    uint64_t last_number[200];
    sonde_str last_text[200];
} message;

static void read_label(message *m, sonde_str bytes)
{
    sonde_pb_reader r;
    uint64_t key = 0, text = 0, number = 0;

    sonde_pb_reader_init(&r, bytes.ptr, bytes.len);
    while (sonde_pb_next(&r)) {
        key = r.field == 1 ? sonde_pb_u64(&r) : key;
        text = r.field == 2 ? sonde_pb_u64(&r) : text;
        number = r.field == 3 ? sonde_pb_u64(&r) : number;
    }
    assert_status(r.status, SONDE_OK);
    assert_true(key > 0 && key < m->texts_len && text < m->texts_len);
    assert_true((text != 0) != (number != 0)); /* exactly one */
    m->labels[key]++;
    m->last_number[key] = number;
    m->last_text[key] = m->texts[text];
}

static uint64_t take_varint(sonde_str *s)
{
    uint64_t v = 0;
    unsigned shift = 0;

    while (s->len > 0) {
        uint8_t byte = (uint8_t)s->ptr[0];

        *s = sonde_str_sub(*s, 1, s->len);
        v |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80))
            break;
    }
    return v;
}

static void read_sample(message *m, sonde_str bytes)
{
    sonde_pb_reader r;
    uint32_t column = 0;

    sonde_pb_reader_init(&r, bytes.ptr, bytes.len);
    while (sonde_pb_next(&r)) {
        sonde_str packed = sonde_pb_bytes(&r);

        if (r.field == 2)
            while (packed.len > 0)
                m->sums[column++] += take_varint(&packed);
        if (r.field == 1)
            while (packed.len > 0)
                assert_int_not_equal(take_varint(&packed), 0);
        if (r.field == 3)
            read_label(m, packed);
    }
    assert_status(r.status, SONDE_OK);
    assert_int_equal(column, m->types);
    m->samples++;
}

static void read_message(const sonde_buf *b, message *m)
{
    sonde_pb_reader r;

    memset(m, 0, sizeof(*m));
    sonde_pb_reader_init(&r, b->data, b->len);
    while (sonde_pb_next(&r))
        if (r.field == 6) {
            assert_true(m->texts_len < 200);
            m->texts[m->texts_len++] = sonde_pb_bytes(&r);
        }
    assert_status(r.status, SONDE_OK);
    assert_int_equal(m->texts[0].len, 0);
    sonde_pb_reader_init(&r, b->data, b->len);
    while (sonde_pb_next(&r)) {
        if (r.field == 1)
            m->types++;
        else if (r.field == 2)
            read_sample(m, sonde_pb_bytes(&r));
        m->mappings += r.field == 3;
        m->locations += r.field == 4;
        m->functions += r.field == 5;
    }
    assert_status(r.status, SONDE_OK);
}

static uint32_t text_of(const message *m, const char *text)
{
    uint32_t i;

    for (i = 0; i < m->texts_len; i++)
        if (sonde_str_eq(m->texts[i], sonde_str_from(text)))
            return i;
    fail_msg("no text \"%s\"", text);
    return 0;
}

static void write_message(scene *s, sonde_prof__pprof_step step, message *m, sonde_buf *b)
{
    static sonde_prof__symbols none;
    const sonde_prof__endpoint e = { 9, sonde_prof__dict_string(&s->dict, SONDE_STR("GET /")), 0,
                                     3 };
    sonde_prof__pprof p = {
        .dict = &s->dict,
        .window = &s->window,
        .symbols = &none,
        .endpoints = &e,
        .endpoints_len = 1,
        .time = { START_NS, START_NS + PERIOD_NS, (int64_t)START_NS },
        .kinds = 1u << SONDE_PROF__CPU | 1u << SONDE_PROF__WALL,
        .cpu_period_ns = 10101010,
        .pid = 4242,
        .process_name = SONDE_STR("demo"),
    };
    uint32_t i;

    for (i = 0; i < s->window.len; i++)
        p.kinds |= 1u << s->window.rows[i].key.kind;
    sonde_buf_init(b, (size_t)1 << 20);
    assert_status(sonde_prof__pprof_write(&p, step, b), SONDE_OK);
    read_message(b, m);
}

static void samples_become_rows_with_times_labels_and_places(void **state)
{
    static message m;
    scene *s = *state;
    sonde_buf b;

    sample(s, SONDE_PROF__CPU, 10000000, 1, 100);
    sample(s, SONDE_PROF__CPU, 20000000, 1, 200);
    sample(s, SONDE_PROF__WALL, 50000000, 0, 300);
    write_message(s, SONDE_PROF__PPROF_WHOLE, &m, &b);
    assert_int_equal(m.types, 4);
    assert_int_equal(m.samples, 3);
    assert_int_equal(m.sums[0], 2);
    assert_int_equal(m.sums[1], 30000000);
    assert_int_equal(m.sums[2], 1);
    assert_int_equal(m.sums[3], 50000000);
    assert_int_equal(m.locations, 2);
    assert_int_equal(m.labels[text_of(&m, "end_timestamp_ns")], 3);
    assert_int_equal(m.last_number[text_of(&m, "end_timestamp_ns")], START_NS + 300);
    assert_int_equal(m.labels[text_of(&m, "span id")], 2);
    assert_int_equal(m.last_number[text_of(&m, "local root span id")], 9);
    assert_true(sonde_str_eq(m.last_text[text_of(&m, "trace endpoint")], SONDE_STR("GET /")));
    assert_int_equal(m.last_number[text_of(&m, "thread id")], 77);
    assert_true(sonde_str_eq(m.last_text[text_of(&m, "thread name")], SONDE_STR("worker")));
    assert_true(sonde_str_eq(m.last_text[text_of(&m, "process_id")], SONDE_STR("4242")));
    assert_true(sonde_str_eq(m.last_text[text_of(&m, "thread state")], SONDE_STR("running")));
    sonde_buf_done(&b);
}

static void without_times_equal_samples_are_one_and_nothing_is_lost(void **state)
{
    static message m;
    scene *s = *state;
    sonde_buf b;
    int i;

    for (i = 0; i < 20; i++)
        sample(s, SONDE_PROF__CPU, 10, 1, 100 + (uint64_t)i);
    sample(s, SONDE_PROF__CPU, 5, 2, 500);
    write_message(s, SONDE_PROF__PPROF_NO_TIMES, &m, &b);
    assert_int_equal(m.samples, 2);
    assert_int_equal(m.sums[0], 21);
    assert_int_equal(m.sums[1], 205);
    sonde_buf_done(&b);
}

static void what_is_small_goes_into_other_and_nothing_is_lost(void **state)
{
    static message m;
    scene *s = *state;
    sonde_buf b;

    sample(s, SONDE_PROF__CPU, 1000000000, 1, 100);
    s->window.rows[0].events = 1000000;
    sample(s, SONDE_PROF__CPU, 10, 2, 500);
    write_message(s, SONDE_PROF__PPROF_COARSE, &m, &b);
    assert_int_equal(m.samples, 2);
    assert_int_equal(m.sums[1], 1000000010);
    (void)text_of(&m, "[other]");
    sonde_buf_done(&b);
}

static void io_has_columns_by_direction_and_by_what_it_goes_to(void **state)
{
    static message m;
    scene *s = *state;
    sonde_buf b;

    sample(s, SONDE_PROF__IO, 3, 1, 100);
    s->window.rows[0].value[1] = 700;
    s->window.rows[0].value[2] = 4096;
    s->window.rows[0].key.extra[0] = SONDE_PROF__IO_SYNC;
    s->window.rows[0].key.extra[1] = SONDE_PROF__IO_FILE;
    write_message(s, SONDE_PROF__PPROF_WHOLE, &m, &b);
    assert_int_equal(m.types, 4 + 16);
    assert_int_equal(m.sums[4 + 8], 0);
    assert_int_equal(m.sums[4 + 12], 700); /* file-io-write-time, ... */
    assert_int_equal(m.sums[4 + 13], 3);
    assert_int_equal(m.sums[4 + 14], 4096);
    assert_int_equal(m.sums[4 + 15], 3);
    assert_true(sonde_str_eq(m.last_text[text_of(&m, "io operation")], SONDE_STR("sync")));
    sonde_buf_done(&b);
}

/* One wait, told by who waited and by who let go, whom nobody saw. */
static void waits_have_columns_for_who_waited_and_who_let_go(void **state)
{
    static message m;
    scene *s = *state;
    sonde_prof__sample nobodys = { .kind = SONDE_PROF__RELEASE,
                                   .events = 1,
                                   .value = { 3, 700, 0x1234, SONDE_PROF__RWLOCK_WRITE } };
    sonde_buf b;

    sonde_prof__window_add(&s->window, &s->dict, &nobodys, 0);
    assert_int_equal(s->window.ends[SONDE_PROF__COMPLETE], 0); /* no walk */
    nobodys.kind = SONDE_PROF__LOCK;
    sonde_prof__window_add(&s->window, &s->dict, &nobodys, 0);
    write_message(s, SONDE_PROF__PPROF_WHOLE, &m, &b);
    assert_int_equal(m.types, 4 + 4);
    assert_int_equal(m.sums[4], 3); /* lock-acquire, lock-acquire-wait, lock-release, ... */
    assert_int_equal(m.sums[5], 700);
    assert_int_equal(m.sums[6], 3);
    assert_int_equal(m.sums[7], 700);
    (void)text_of(&m, "[lost]");
    assert_true(
        sonde_str_eq(m.last_text[text_of(&m, "lock name")], SONDE_STR("0x0000000000001234")));
    assert_true(sonde_str_eq(m.last_text[text_of(&m, "lock type")], SONDE_STR("rwlock write")));
    sonde_buf_done(&b);
}

/* -- files ------------------------------------------------------------------------------------------ */

static size_t size_of(const char *folder, const char *name)
{
    char path[600];
    FILE *f;
    long len;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "r");
    if (!f)
        return 0;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    len = ftell(f);
    (void)fclose(f);
    return (size_t)len;
}

static void profiles_are_written_where_they_are_wanted(void **state)
{
    char folder[200];
    char setting[300];
    scene s;
    void *scene_state = &s;

    (void)state;
    temp_dir_make(folder, sizeof(folder));
    (void)snprintf(setting, sizeof(setting), "DD_PROFILING_OUTPUT_PPROF=%s/p", folder);
    open_scene(&s, setting);
    s.config->output_dir = sonde_str_from(folder);
    sample(&s, SONDE_PROF__CPU, 10, 1, 100);
    close_window(&s);
    assert_true(size_of(folder, "p.4242.0") > 100);
    assert_true(size_of(folder, "4242.0/profile.pprof") == size_of(folder, "p.4242.0"));
    assert_true(size_of(folder, "4242.0/event.json") > 100);
    s.config->output_dir = (sonde_str){ "", 0 };
    (void)teardown(&scene_state);
    temp_dir_remove(folder);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tags_are_in_their_order_and_ours_cannot_be_overridden),
        CASE(the_body_is_multipart_to_the_byte),
        CASE(the_event_says_when_and_who_and_what_requests_were_of),
        CASE(a_server_in_trouble_is_tried_twice_and_others_once),
        CASE(an_agent_without_the_path_gets_no_more),
        CASE(of_three_profiles_that_wait_the_oldest_goes),
        CASE(a_profile_that_is_too_big_is_sent_again_without_times),
        CASE(samples_become_rows_with_times_labels_and_places),
        CASE(without_times_equal_samples_are_one_and_nothing_is_lost),
        CASE(io_has_columns_by_direction_and_by_what_it_goes_to),
        CASE(waits_have_columns_for_who_waited_and_who_let_go),
        CASE(what_is_small_goes_into_other_and_nothing_is_lost),
        cmocka_unit_test(profiles_are_written_where_they_are_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
