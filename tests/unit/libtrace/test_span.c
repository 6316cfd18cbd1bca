/* test_span.c - what spans become on the wire, read with msgpack-c's unpacker. */
#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <msgpack.h>

#include "base/thread_ctx.h"
#include "sonde/sonde.h"
#include "support/fake_agent.h"

static fake_agent *agent;

/* -- the last payload ----------------------------------------------------------------------------- */

static msgpack_unpacked last;
static uint8_t *last_bytes;

static void flush_and_read(void)
{
    size_t len;

    assert_status(sonde_flush(60000), SONDE_OK);
    free(last_bytes);
    msgpack_unpacked_destroy(&last);
    msgpack_unpacked_init(&last);
    last_bytes = fake_agent_last_body(agent, &len);
    assert_int_equal(msgpack_unpack_next(&last, (const char *)last_bytes, len, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(last.data.type, MSGPACK_OBJECT_ARRAY);
}

static const msgpack_object *member(const msgpack_object *map, const char *key)
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

/* The span named `name`; its place in its chunk in *out_at. */
static const msgpack_object *span_named(const char *name, uint32_t *out_at)
{
    uint32_t i, j;

    for (i = 0; i < last.data.via.array.size; i++) {
        const msgpack_object *chunk = &last.data.via.array.ptr[i];

        for (j = 0; j < chunk->via.array.size; j++) {
            const msgpack_object *n = member(&chunk->via.array.ptr[j], "name");

            if (n->via.str.size == strlen(name) &&
                memcmp(n->via.str.ptr, name, strlen(name)) == 0) {
                if (out_at)
                    *out_at = j;
                return &chunk->via.array.ptr[j];
            }
        }
    }
    fail_msg("no span named %s", name);
    return NULL;
}

static void assert_str(const msgpack_object *value, const char *want)
{
    if (!value || !want) {
        assert_true(!value && !want);
        return;
    }
    assert_int_equal(value->type, MSGPACK_OBJECT_STR);
    if (value->via.str.size != strlen(want) || memcmp(value->via.str.ptr, want, strlen(want)) != 0)
        fail_msg("got %.*s, want %s", (int)value->via.str.size, value->via.str.ptr, want);
}

static void assert_meta(const msgpack_object *span, const char *key, const char *want)
{
    assert_str(member(member(span, "meta"), key), want);
}

static void assert_metric(const msgpack_object *span, const char *key, double want)
{
    const msgpack_object *value = member(member(span, "metrics"), key);

    assert_non_null(value);
    assert_int_equal(value->type, MSGPACK_OBJECT_FLOAT64);
    assert_true(value->via.f64 == want);
}

static void assert_no_metric(const msgpack_object *span, const char *key)
{
    assert_null(member(member(span, "metrics"), key));
}

static uint64_t number(const msgpack_object *span, const char *key)
{
    return member(span, key)->via.u64;
}

/* -- tests ---------------------------------------------------------------------------------------- */

static void test_tags_are_stored_by_their_type(void **state)
{
    const msgpack_object *span;

    (void)state;
    {
        SONDE_SPAN(s, "typed");

        sonde_span_set_str(s, "text", "x");
        sonde_span_set_bool(s, "yes", 1);
        sonde_span_set_bool(s, "no", 0);
        sonde_span_set_int(s, "small", -3);
        sonde_span_set_int(s, "edge", (INT64_C(1) << 53) - 1);
        sonde_span_set_int(s, "large", INT64_C(1) << 53);
        sonde_span_set_int(s, "lowest", INT64_MIN);
        sonde_span_set_double(s, "half", 0.5);
        sonde_span_set_double(s, "nan", (double)NAN);
        sonde_span_set_double(s, "inf", (double)INFINITY);
        sonde_span_set_int(s, "http.status_code", 404);
        sonde_span_set_str(s, NULL, "x");
        sonde_span_set_str(s, "", "x");
        sonde_span_set_str(s, "null", NULL);
        sonde_span_set_str_n(s, SONDE_STR("view"), (sonde_str){ "abcdef", 3 });
    }
    flush_and_read();
    span = span_named("typed", NULL);
    assert_meta(span, "text", "x");
    assert_meta(span, "yes", "true");
    assert_meta(span, "no", "false");
    assert_metric(span, "small", -3);
    assert_metric(span, "edge", 9007199254740991);
    assert_meta(span, "large", "9007199254740992");
    assert_meta(span, "lowest", "-9223372036854775808");
    assert_metric(span, "half", 0.5);
    assert_no_metric(span, "nan");
    assert_no_metric(span, "inf");
    assert_meta(span, "http.status_code", "404");
    assert_meta(span, "null", NULL);
    assert_meta(span, "view", "abc");
}

/* What <sonde/span.h> has inline exists in the library too, for function pointers and other languages. */
static void test_inline_calls_are_functions_as_well(void **state)
{
    sonde_span *(*volatile start)(const char *, const sonde_span_options *) = sonde_span_start;
    sonde_span *(*volatile enter)(const char *, const sonde_span_options *) = sonde_span_enter;
    void (*volatile set_str)(sonde_span *, const char *, const char *) = sonde_span_set_str;
    void (*volatile set_int)(sonde_span *, const char *, int64_t) = sonde_span_set_int;
    void (*volatile set_double)(sonde_span *, const char *, double) = sonde_span_set_double;
    void (*volatile set_bool)(sonde_span *, const char *, int) = sonde_span_set_bool;
    sonde_span *outer = enter("pointed at", NULL);
    sonde_span *inner = start("within", NULL);
    sonde_span *view = sonde_span_start_n((sonde_str){ "a view of it", 6 }, NULL);
    const msgpack_object *span;

    (void)state;
    set_str(outer, "text", "x");
    set_int(outer, "int", 3);
    set_double(outer, "double", 0.5);
    set_bool(outer, "bool", 1);
    sonde_span_finish(view);
    sonde_span_finish(inner);
    sonde_span_leave(outer);
    flush_and_read();
    span = span_named("pointed at", NULL);
    assert_meta(span, "text", "x");
    assert_metric(span, "int", 3);
    assert_metric(span, "double", 0.5);
    assert_meta(span, "bool", "true");
    assert_non_null(span_named("within", NULL));
    assert_non_null(span_named("a view", NULL));
}

static void test_the_last_of_several_settings_counts_whatever_its_type(void **state)
{
    const msgpack_object *span;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        int many;
        char key[16];
        SONDE_SPAN(s, i ? "many" : "few");

        for (many = 0; many < i * 40; many++) {
            (void)snprintf(key, sizeof(key), "k%d", many % 20);
            sonde_span_set_int(s, key, many);
        }
        sonde_span_set_str(s, "a", "text");
        sonde_span_set_int(s, "a", 1);
        sonde_span_set_int(s, "b", 1);
        sonde_span_set_str(s, "b", "text");
        sonde_span_set_str(s, "c", "gone");
        sonde_span_remove(s, "c");
    }
    flush_and_read();
    for (i = 0; i < 2; i++) {
        span = span_named(i ? "many" : "few", NULL);
        assert_metric(span, "a", 1);
        assert_meta(span, "a", NULL);
        assert_meta(span, "b", "text");
        assert_no_metric(span, "b");
        assert_meta(span, "c", NULL);
    }
    assert_metric(span, "k19", 39);
}

static void test_special_keys_act(void **state)
{
    const msgpack_object *span;

    (void)state;
    {
        SONDE_SPAN(s, "special");

        sonde_span_set_str(s, "service.name", "other");
        sonde_span_set_str(s, "resource.name", "GET /");
        sonde_span_set_str(s, "span.type", "web");
        sonde_span_set_bool(s, "error", 1);
        sonde_span_set_int(s, "_sampling_priority_v1", 7);
        sonde_span_set_str(s, "manual.keep", "false");
        sonde_span_set_double(s, "analytics.event", 0.25);
        sonde_span_set_str(s, "span.name", "renamed");
    }
    flush_and_read();
    span = span_named("renamed", NULL);
    assert_str(member(span, "service"), "other");
    assert_str(member(span, "resource"), "GET /");
    assert_str(member(span, "type"), "web");
    assert_int_equal(number(span, "error"), 1);
    assert_metric(span, "_sampling_priority_v1", 1);
    assert_metric(span, "_dd1.sr.eausr", 0.25);
    assert_meta(span, "service.name", NULL);
    assert_meta(span, "_dd.base_service", "unit");
    assert_meta(span, "_dd.svc_src", "m");
    assert_meta(span, "version", NULL);
}

static void test_roots_and_chunks_carry_what_belongs_to_them(void **state)
{
    const msgpack_object *root, *child;
    uint32_t at;

    (void)state;
    {
        SONDE_SPAN(r, "the.root");
        {
            SONDE_SPAN(c, "the.child");
            sonde_span_set_str(c, "team", "own");
        }
    }
    flush_and_read();
    root = span_named("the.root", &at);
    child = span_named("the.child", NULL);
    assert_int_equal(at, 0);
    assert_int_equal(number(root, "parent_id"), 0);
    assert_int_equal(number(root, "span_id"), number(root, "trace_id"));
    assert_int_equal(number(child, "parent_id"), number(root, "span_id"));
    assert_int_equal(number(child, "trace_id"), number(root, "trace_id"));
    assert_str(member(root, "resource"), "the.root");
    assert_meta(root, "language", "c");
    assert_meta(child, "language", "c");
    assert_meta(root, "env", "test");
    assert_meta(child, "env", "test");
    assert_meta(root, "version", "1.0");
    assert_meta(root, "team", "core");
    assert_meta(child, "team", "own");
    assert_meta(root, "_dd.p.dm", "-0");
    assert_meta(child, "_dd.p.dm", NULL);
    assert_int_equal(member(member(root, "meta"), "_dd.p.tid")->via.str.size, 16);
    assert_meta(child, "_dd.p.tid", NULL);
    assert_int_equal(member(member(root, "meta"), "runtime-id")->via.str.size, 36);
    assert_meta(child, "runtime-id", NULL);
    assert_metric(root, "process_id", getpid());
    assert_metric(root, "_dd.top_level", 1);
    assert_no_metric(child, "_dd.top_level");
    assert_metric(root, "_dd.agent_psr", 1);
    assert_metric(root, "_sampling_priority_v1", 1);
    assert_no_metric(child, "_sampling_priority_v1");
}

static void test_keys_of_the_tracer_cannot_be_set(void **state)
{
    const msgpack_object *span;
    uint32_t i, seen = 0;

    (void)state;
    {
        SONDE_SPAN(s, "reserved");

        sonde_span_set_str(s, "_dd.p.dm", "-9");
        sonde_span_set_str(s, "language", "cobol");
        sonde_span_set_int(s, "process_id", 1);
        sonde_span_set_str(s, "version", "mine");
    }
    flush_and_read();
    span = span_named("reserved", NULL);
    assert_meta(span, "_dd.p.dm", "-0");
    assert_meta(span, "language", "c");
    assert_meta(span, "version", "mine");
    assert_metric(span, "process_id", getpid());
    for (i = 0; i < member(span, "meta")->via.map.size; i++)
        seen += member(span, "meta")->via.map.ptr[i].key.via.str.size == 7 &&
                memcmp(member(span, "meta")->via.map.ptr[i].key.via.str.ptr, "version", 7) == 0;
    assert_int_equal(seen, 1);
}

static void each_origin_header(void *user, sonde_visitor visit, void *visitor_user)
{
    (void)user;
    visit(visitor_user, SONDE_STR("x-datadog-trace-id"), SONDE_STR("7"));
    visit(visitor_user, SONDE_STR("x-datadog-origin"), SONDE_STR("rum"));
}

static void test_a_program_may_say_the_origin_where_none_was_received(void **state)
{
    sonde_context *received = sonde_extract(&(sonde_reader){ .each = each_origin_header });

    (void)state;
    {
        SONDE_SPAN(mine, "mine");
        SONDE_SPAN_WITH(theirs, "theirs", &(sonde_span_options){ .context = received });

        sonde_span_set_str(mine, "_dd.origin", "synthetics");
        sonde_span_set_str(theirs, "_dd.origin", "synthetics");
    }
    sonde_context_release(received);
    flush_and_read();
    assert_meta(span_named("mine", NULL), "_dd.origin", "synthetics");
    assert_meta(span_named("theirs", NULL), "_dd.origin", "rum");
}

static void test_texts_are_cut_and_made_valid(void **state)
{
    static char big[26000];
    char want[301];
    const msgpack_object *span;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    memset(want, 'x', sizeof(want));
    want[200] = '\0';
    {
        SONDE_SPAN(s, "texts");

        sonde_span_set_str(s, big, "long key");
        sonde_span_set_str(s, "big", big);
        sonde_span_set_str(s, "bad", "a\xc3(b\xff");
        sonde_span_set_str(s, "good", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    }
    flush_and_read();
    span = span_named("texts", NULL);
    assert_meta(span, want, "long key");
    assert_int_equal(member(member(span, "meta"), "big")->via.str.size, 25000);
    assert_meta(span, "bad", "a\xef\xbf\xbd(b\xef\xbf\xbd");
    assert_meta(span, "good", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_errors_are_set_and_cleared(void **state)
{
    (void)state;
    {
        SONDE_SPAN(a, "failed");
        SONDE_SPAN(b, "recovered");

        sonde_span_error(a, "E_IO", "disk");
        sonde_span_error(b, "E_IO", "disk");
        sonde_span_clear_error(b);
    }
    flush_and_read();
    assert_int_equal(number(span_named("failed", NULL), "error"), 1);
    assert_meta(span_named("failed", NULL), "error.type", "E_IO");
    assert_meta(span_named("failed", NULL), "error.message", "disk");
    assert_int_equal(number(span_named("recovered", NULL), "error"), 0);
    assert_meta(span_named("recovered", NULL), "error.type", NULL);
}

static void test_times_can_be_given(void **state)
{
    const int64_t start = INT64_C(1700000000000000000);
    sonde_span *a = sonde_span_start("given", &(sonde_span_options){ .start_unix_ns = start });
    sonde_span *b = sonde_span_start("backwards", &(sonde_span_options){ .start_unix_ns = start });

    (void)state;
    sonde_span_finish_at(a, start + 5000);
    sonde_span_finish_at(b, start - 5000);
    flush_and_read();
    assert_int_equal(number(span_named("given", NULL), "start"), start);
    assert_int_equal(number(span_named("given", NULL), "duration"), 5000);
    assert_int_equal(number(span_named("backwards", NULL), "duration"), 0);
}

static void test_a_finished_span_cannot_be_changed_and_finishes_once(void **state)
{
    sonde_span *span = sonde_span_start("once", NULL);
    sonde_counters before = { .struct_bytes = sizeof(before) };
    sonde_counters after = { .struct_bytes = sizeof(after) };

    (void)state;
    sonde_counters_read(&before);
    sonde_span_finish(span);
    sonde_span_set_str(span, "late", "x");
    sonde_span_set_name(span, "changed");
    sonde_span_finish(span);
    flush_and_read();
    assert_meta(span_named("once", NULL), "late", NULL);
    sonde_span_set_str(span, "later", "x"); /* the cell is somebody else's by now */
    sonde_span_finish(span);
    assert_int_equal(sonde_span_id(span), 0);
    assert_null(sonde_context_of_span(span));
    sonde_counters_read(&after);
    assert_int_equal(after.spans_finished, before.spans_finished + 1);
}

static void test_children_follow_the_active_span(void **state)
{
    sonde_span *a, *b, *c;

    (void)state;
    a = sonde_span_enter("a", NULL);
    b = sonde_span_enter("b", NULL);
    assert_ptr_equal(sonde_span_current(), b);
    sonde_span_deactivate(a); /* out of order: b stays */
    assert_ptr_equal(sonde_span_current(), b);
    sonde_span_deactivate(b);
    assert_null(sonde_span_current());
    c = sonde_span_start("c", NULL);
    assert_true(sonde_span_trace_id_low(c) != sonde_span_trace_id_low(a));
    assert_true(sonde_span_trace_id_low(b) == sonde_span_trace_id_low(a));
    sonde_span_finish(c);
    sonde_span_finish(b);
    sonde_span_finish(a);
    assert_status(sonde_flush(60000), SONDE_OK);
}

static void test_a_finished_active_span_still_takes_children(void **state)
{
    sonde_span *a = sonde_span_enter("finished.parent", NULL);
    uint64_t trace = sonde_span_trace_id_low(a);
    uint64_t id = sonde_span_id(a);
    sonde_span *b;

    (void)state;
    sonde_span_finish(a);
    flush_and_read(); /* sent, and its cell recycled */
    assert_null(sonde_span_current());
    b = sonde_span_start("late.child", NULL);
    assert_true(sonde_span_trace_id_low(b) == trace);
    sonde_span_finish(b);
    sonde_span_deactivate(a);
    flush_and_read();
    assert_int_equal(number(span_named("late.child", NULL), "parent_id"), id);
    assert_metric(span_named("late.child", NULL), "_sampling_priority_v1", 1);
    assert_meta(span_named("late.child", NULL), "_dd.p.dm", "-0");
}

static void *ship(void *context)
{
    SONDE_ATTACH((sonde_context *)context);
    SONDE_SPAN(span, "order.ship");

    return (void *)(uintptr_t)sonde_span_trace_id_low(span);
}

static void test_a_context_takes_the_trace_to_another_thread_after_it_was_sent(void **state)
{
    sonde_context *context;
    pthread_t thread;
    uint64_t trace, parent;
    void *seen;

    (void)state;
    {
        SONDE_SPAN(span, "order.place");

        trace = sonde_span_trace_id_low(span);
        parent = sonde_span_id(span);
        context = sonde_context_current();
    }
    flush_and_read();
    assert_int_equal(pthread_create(&thread, NULL, ship, context), 0);
    assert_int_equal(pthread_join(thread, &seen), 0);
    assert_true((uint64_t)(uintptr_t)seen == trace);
    sonde_context_release(context);
    sonde_context_release(context); /* stale by now: nothing happens */
    assert_int_equal(sonde_context_span_id(context), 0);
    flush_and_read();
    assert_int_equal(number(span_named("order.ship", NULL), "parent_id"), parent);
}

static void test_activations_beyond_the_ceiling_are_refused_and_counted(void **state)
{
    sonde_counters before = { .struct_bytes = sizeof(before) };
    sonde_counters after = { .struct_bytes = sizeof(after) };
    sonde_span *span[130];
    int i;

    (void)state;
    sonde_counters_read(&before);
    for (i = 0; i < 130; i++)
        span[i] = sonde_span_enter("deep", NULL);
    sonde_counters_read(&after);
    assert_int_equal(after.activations_refused - before.activations_refused, 2);
    while (i-- > 0)
        sonde_span_leave(span[i]);
    assert_null(sonde_span_current());
    assert_status(sonde_flush(60000), SONDE_OK);
}

extern __thread void *otel_thread_ctx_v1;

static void test_the_context_record_shows_the_active_span(void **state)
{
    const sonde_thread_ctx *r;
    char hex[33];
    int i;
    SONDE_SPAN(root, "shown.root");

    (void)state;
    r = (const sonde_thread_ctx *)otel_thread_ctx_v1;
    assert_non_null(r);
    assert_int_equal(atomic_load(&r->valid), 1);
    assert_int_equal(atomic_load(&r->tid), gettid());
    assert_int_equal(atomic_load(&r->seq) & 1, 0);
    sonde_span_trace_id_hex(root, hex);
    for (i = 0; i < 16; i++) {
        char two[3];

        (void)snprintf(two, sizeof(two), "%02x", r->trace_id[i]);
        assert_memory_equal(two, hex + 2 * i, 2);
    }
    assert_int_equal(r->attrs_bytes, 18);
    assert_int_equal(r->attrs[0], 0);
    assert_int_equal(r->attrs[1], 16);
    assert_memory_equal(r->attrs + 2, hex + 16, 16);
    assert_true(r->span_id_host == sonde_span_id(root));
    {
        SONDE_SPAN(child, "shown.child");

        assert_true(r->span_id_host == sonde_span_id(child));
        assert_true(r->local_root_id_host == sonde_span_id(root));
    }
    assert_true(r->span_id_host == sonde_span_id(root));
    sonde_span_deactivate(root);
    assert_int_equal(atomic_load(&r->valid), 0);
    assert_int_equal(r->span_id_host, 0);
}

static void test_null_is_a_span_and_a_context_everywhere(void **state)
{
    char hex[33] = "x";

    (void)state;
    sonde_span_finish(NULL);
    sonde_span_activate(NULL);
    sonde_span_deactivate(NULL);
    sonde_span_leave(NULL);
    sonde_span_set_str(NULL, "k", "v");
    sonde_span_error(NULL, "t", "m");
    sonde_span_keep(NULL);
    sonde_span_trace_id_hex(NULL, hex);
    assert_string_equal(hex, "");
    assert_null(sonde_context_of_span(NULL));
    assert_null(sonde_context_retain(NULL));
    assert_null(sonde_context_attach(NULL));
    sonde_context_detach(NULL);
    sonde_context_release(NULL);
    sonde_counters_read(NULL);
    assert_string_equal(sonde_drop_name(SONDE_DROP_STOPPED), "stopped");
    assert_string_equal(sonde_drop_name(99), "unknown");
}

static int start(void **state)
{
    sonde_options o = { .service = "unit", .env = "test", .version = "1.0", .tags = "team:core" };

    (void)state;
    agent = fake_agent_open(NULL);
    o.agent_url = fake_agent_url(agent);
    msgpack_unpacked_init(&last);
    return sonde_start(&o) == SONDE_OK ? 0 : -1;
}

static int stop(void **state)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    (void)state;
    sonde_stop();
    sonde_counters_read(&c);
    free(last_bytes);
    msgpack_unpacked_destroy(&last);
    if (fake_agent_counts(agent).taken_spans != c.spans_delivered || c.spans_open || c.spans_queued)
        return -1;
    fake_agent_close(agent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_are_stored_by_their_type),
        cmocka_unit_test(test_inline_calls_are_functions_as_well),
        cmocka_unit_test(test_the_last_of_several_settings_counts_whatever_its_type),
        cmocka_unit_test(test_special_keys_act),
        cmocka_unit_test(test_roots_and_chunks_carry_what_belongs_to_them),
        cmocka_unit_test(test_keys_of_the_tracer_cannot_be_set),
        cmocka_unit_test(test_a_program_may_say_the_origin_where_none_was_received),
        cmocka_unit_test(test_texts_are_cut_and_made_valid),
        cmocka_unit_test(test_errors_are_set_and_cleared),
        cmocka_unit_test(test_times_can_be_given),
        cmocka_unit_test(test_a_finished_span_cannot_be_changed_and_finishes_once),
        cmocka_unit_test(test_children_follow_the_active_span),
        cmocka_unit_test(test_a_finished_active_span_still_takes_children),
        cmocka_unit_test(test_a_context_takes_the_trace_to_another_thread_after_it_was_sent),
        cmocka_unit_test(test_activations_beyond_the_ceiling_are_refused_and_counted),
        cmocka_unit_test(test_the_context_record_shows_the_active_span),
        cmocka_unit_test(test_null_is_a_span_and_a_context_everywhere),
    };

    return cmocka_run_group_tests_name("span", tests, start, stop);
}
