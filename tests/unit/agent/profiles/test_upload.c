/* test_upload.c - the request around a profile: what is given up to make it fit, and what stands in event.json. */
#include "agent/profiles/upload.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/compress/compress.h"
#include "codec/proto/pprof.pb-c.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#include "batch.h"

#define ROWS 4000u

/* A window with a row a moment, on stacks 200 deep, and one row that outweighs all others. */
static window *make_window(unsigned rows)
{
    window *w = sonde_calloc(1, sizeof(*w));
    profile_sample row = { .kind = PROFILE_CPU, .events = 1, .value = { 1000 } };
    profile *p;

    assert_non_null(w);
    assert_status(profile_open(&w->profile), SONDE_OK);
    p = w->profile;
    p->timeline = true;
    w->end_unix_ns = (int64_t)(60 * SECOND);
    for (uint64_t i = 1; i <= 200; i++)
        row.node = profile_node_of(p, row.node, profile_location_of(p, PROFILE_MAP_NONE, i));
    for (uint64_t i = 0; i < rows; i++) {
        profile_sample one = row;

        one.node = profile_node_of(
            p, row.node, profile_location_of(p, PROFILE_MAP_NONE, 1000 + i * 7919 % (ROWS / 4)));
        one.end_unix_ns = (int64_t)(1 + i * 7919 * 104729);
        profile_add(p, &one);
    }
    row.value[0] = INT64_C(1000000000000);
    row.events = 100000000;
    row.end_unix_ns = 5;
    profile_add(p, &row);
    return w;
}

typedef struct made {
    upload u;
    upload_facts facts;
    Sonde__Pprof__Profile *pprof;
} made;

/* The part between its head and the last boundary. */
static sonde_str pprof_part(const upload_frame *f, const upload *u)
{
    sonde_str body = { (const char *)u->body, u->body_len };
    size_t at, tail = strlen(f->boundary) + 8; /* CRLF -- boundary -- CRLF */

    assert_true(sonde_str_find(body, SONDE_STR("filename=\"profile.pprof\"\r\n\r\n"), &at));
    at += sizeof("filename=\"profile.pprof\"\r\n\r\n") - 1;
    return sonde_str_sub(body, at, body.len - at - tail);
}

static void make(window *w, size_t max_bytes, made *out)
{
    upload_frame f;
    sonde_buf plain;

    upload_frame_init(&f, "1.2.3");
    f.max_bytes = max_bytes;
    assert_status(upload_make(&f, w, SONDE_STR("k:v"), &out->u, &out->facts), SONDE_OK);
    sonde_buf_init(&plain, PPROF_MAX_BYTES);
    assert_status(sonde_decompress(SONDE_ENCODING_ZSTD, pprof_part(&f, &out->u), &plain), SONDE_OK);
    out->pprof = sonde__pprof__profile__unpack(NULL, plain.len, plain.data);
    assert_non_null(out->pprof);
    sonde_buf_done(&plain);
}

static void done(made *m)
{
    sonde__pprof__profile__free_unpacked(m->pprof, NULL);
    sonde_free(m->u.body);
}

static int64_t cpu_ns(const made *m)
{
    int64_t sum = 0;

    for (size_t i = 0; i < m->pprof->n_sample; i++)
        sum += m->pprof->sample[i]->value[1];
    return sum;
}

static size_t deepest(const made *m)
{
    size_t most = 0;

    for (size_t i = 0; i < m->pprof->n_sample; i++)
        most =
            m->pprof->sample[i]->n_location_id > most ? m->pprof->sample[i]->n_location_id : most;
    return most;
}

static void test_detail_is_given_up_step_by_step_and_no_value_is_lost(void **state)
{
    const int64_t all = ROWS * 1000 + INT64_C(1000000000000);
    window *w = make_window(ROWS);
    size_t bytes[4];
    made m;

    (void)state;
    make(w, PPROF_WIRE_MAX_BYTES, &m);
    bytes[0] =
        pprof_part(&(upload_frame){ .boundary = "sonde-00000000000000000000000000000000" }, &m.u)
            .len;
    assert_int_equal(m.facts.steps, 0);
    assert_int_equal(m.pprof->n_sample, ROWS + 1);
    assert_int_equal(deepest(&m), 201);
    assert_int_equal(cpu_ns(&m), all);
    done(&m);

    make(w, bytes[0] - 1, &m); /* without times */
    assert_int_equal(m.facts.steps, 1);
    assert_int_equal(m.pprof->n_sample, ROWS / 4 + 1);
    assert_int_equal(deepest(&m), 201);
    assert_int_equal(cpu_ns(&m), all);
    bytes[1] =
        pprof_part(&(upload_frame){ .boundary = "sonde-00000000000000000000000000000000" }, &m.u)
            .len;
    done(&m);

    make(w, bytes[1] - 1, &m); /* short stacks */
    assert_int_equal(m.facts.steps, 2);
    assert_int_equal(deepest(&m), PPROF_CUT_DEPTH + 1);
    assert_int_equal(cpu_ns(&m), all);
    bytes[2] =
        pprof_part(&(upload_frame){ .boundary = "sonde-00000000000000000000000000000000" }, &m.u)
            .len;
    done(&m);

    make(w, bytes[2] - 1, &m); /* small rows together */
    assert_int_equal(m.facts.steps, 3);
    assert_int_equal(m.pprof->n_sample, 2);
    assert_int_equal(cpu_ns(&m), all);
    done(&m);

    make(w, 1, &m); /* as small as it gets is sent */
    assert_int_equal(m.facts.steps, 3);
    done(&m);
    window_free(w);
}

static void test_a_boundary_is_never_the_same(void **state)
{
    upload_frame a, b;

    (void)state;
    upload_frame_init(&a, "1");
    upload_frame_init(&b, "1");
    assert_string_not_equal(a.boundary, b.boundary);
    assert_non_null(strstr(a.content_type, a.boundary));
}

static void test_headers_that_do_not_fit_are_left_out_whole(void **state)
{
    static char long_tags[UPLOAD_HEADERS_BYTES];
    window *w = make_window(20);
    upload_frame f;
    upload_facts facts;
    upload u;

    (void)state;
    memset(long_tags, 't', sizeof(long_tags) - 1);
    upload_frame_init(&f, "1");
    f.via = SONDE_STR("trace-agent 1");
    f.tags = sonde_str_from(long_tags);
    assert_status(upload_make(&f, w, SONDE_STR("k:v"), &u, &facts), SONDE_OK);
    assert_string_equal(
        u.headers,
        "DD-EVP-ORIGIN: sonde-profiler\nVia: trace-agent 1\nX-Datadog-Container-Tags: k:v\n");
    sonde_free(u.body);
    window_free(w);
}

static void test_names_cannot_leave_the_json_they_stand_in(void **state)
{
    window *w = make_window(20);
    upload_frame f;
    upload_facts facts;
    sonde_str body;
    size_t at;
    upload u;

    (void)state;
    w->who.text[SPB_KEY_SERVICE] = sonde_strndup("a\"\r\n--b\\", 8);
    upload_frame_init(&f, "1");
    assert_status(upload_make(&f, w, SONDE_STR(""), &u, &facts), SONDE_OK);
    body = (sonde_str){ (const char *)u.body, u.body_len };
    assert_true(sonde_str_find(body, SONDE_STR("service:a\\\"\\r\\n--b\\\\,"), &at));
    sonde_free(u.body);
    window_free(w);
}

static sonde_status make_once(void *user)
{
    upload_frame f;
    upload_facts facts;
    upload u;
    sonde_status status;

    upload_frame_init(&f, "1");
    f.max_bytes = 1;
    status = upload_make(&f, user, SONDE_STR("k:v"), &u, &facts);
    if (status == SONDE_OK)
        sonde_free(u.body);
    return status;
}

static void test_making_a_request_survives_every_failed_allocation(void **state)
{
    window *w = make_window(20);

    (void)state;
    assert_status(make_once(w),
                  SONDE_OK); /* what it interns stays in the profile: not a leak of the scenario */
    alloc_fail_each(make_once, w);
    window_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detail_is_given_up_step_by_step_and_no_value_is_lost),
        cmocka_unit_test(test_a_boundary_is_never_the_same),
        cmocka_unit_test(test_headers_that_do_not_fit_are_left_out_whole),
        cmocka_unit_test(test_names_cannot_leave_the_json_they_stand_in),
        cmocka_unit_test(test_making_a_request_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("upload", tests, NULL, NULL);
}
