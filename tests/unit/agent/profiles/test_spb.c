/* test_spb.c - batches, good and bad. */
#include "agent/profiles/spb.h"

#include "support/test.h"

#include "batch.h"

/* What a walk has seen. */
typedef struct seen {
    spb_hello hello;
    unsigned strings, mappings, unmaps, nodes, samples, threads, contexts, endpoints, lives, stats,
        codes;
    sonde_str last_string;
    spb_mapping mapping;
    spb_node node[2];
    spb_sample sample[2];
    spb_thread thread;
    spb_context context;
    spb_endpoint endpoint;
    spb_live live;
    int64_t live_unix_ns;
    int64_t stat[24][8];
    spb_code code;
    sonde_status give; /* what the visitor says to a sample */
} seen;

#define SEE(name, type, field, count)                                                              \
    static sonde_status see_##name(void *user, const type *row)                                    \
    {                                                                                              \
        seen *s = user;                                                                            \
                                                                                                   \
        s->field = *row;                                                                           \
        s->count++;                                                                                \
        return SONDE_OK;                                                                           \
    }

SEE(mapping, spb_mapping, mapping, mappings)
SEE(thread, spb_thread, thread, threads)
SEE(context, spb_context, context, contexts)
SEE(endpoint, spb_endpoint, endpoint, endpoints)
SEE(live, spb_live, live, lives)
SEE(code, spb_code, code, codes)

static sonde_status see_hello(void *user, const spb_hello *h)
{
    ((seen *)user)->hello = *h;
    return SONDE_OK;
}

static sonde_status see_string(void *user, uint64_t id, sonde_str text)
{
    seen *s = user;

    (void)id;
    s->last_string = text;
    s->strings++;
    return SONDE_OK;
}

static sonde_status see_unmap(void *user, uint64_t mapping, int64_t unix_ns)
{
    (void)mapping, (void)unix_ns;
    ((seen *)user)->unmaps++;
    return SONDE_OK;
}

static sonde_status see_node(void *user, const spb_node *n)
{
    seen *s = user;

    s->node[s->nodes++ % 2] = *n;
    return SONDE_OK;
}

static sonde_status see_sample(void *user, const spb_sample *row)
{
    seen *s = user;

    s->sample[s->samples++ % 2] = *row;
    return s->give;
}

static sonde_status see_live_begin(void *user, int64_t unix_ns)
{
    ((seen *)user)->live_unix_ns = unix_ns;
    return SONDE_OK;
}

static sonde_status see_stat(void *user, uint64_t id, uint64_t part, int64_t value)
{
    seen *s = user;

    s->stats++;
    if (id < 24 && part < 8)
        s->stat[id][part] = value;
    return SONDE_OK;
}

static const spb_visitor all = { see_hello,  see_string, see_mapping, see_unmap,    see_node,
                                 see_sample, see_thread, see_context, see_endpoint, see_live_begin,
                                 see_live,   see_stat,   see_code };

static void test_the_worked_example_says_what_the_description_says(void **state)
{
    seen s = { 0 };

    (void)state;
    assert_status(spb_decode(example_body, &all, &s, NULL), SONDE_OK);

    assert_int_equal(s.hello.seq, 7);
    assert_int_equal(s.hello.start_unix_ns, 0x18867251edfa0000);
    assert_int_equal(s.hello.end_unix_ns - s.hello.start_unix_ns, 10000000000);
    assert_int_equal(s.hello.pid, 4242);
    assert_int_equal(s.hello.session[15], 0xff);
    assert_int_equal(s.strings, 3);
    assert_memory_equal(s.last_string.ptr, "GET /", 5);
    assert_int_equal(s.mapping.id, 2);
    assert_int_equal(s.mapping.start, 0x401000);
    assert_int_equal(s.mapping.length, 0x1000);
    assert_int_equal(s.mapping.file_offset, 0x1000);
    assert_int_equal(s.mapping.path, 1);
    assert_int_equal(s.mapping.build_id.len, 8);
    assert_int_equal(s.mapping.mtime_s, 0); /* left out */
    assert_int_equal(s.node[1].id, 2);
    assert_int_equal(s.node[1].parent, 1);
    assert_int_equal(s.node[1].address, 0x401136);
    assert_int_equal(s.thread.tid, 4242);
    assert_int_equal(s.context.local_root_id, 0x0102030405060708);
    assert_int_equal(s.endpoint.finished, 1);
    assert_int_equal(s.samples, 2);
    assert_int_equal(s.sample[1].kind, SPB_CPU);
    assert_int_equal(s.sample[1].unix_ns - s.sample[0].unix_ns, 10000);
    assert_int_equal(s.sample[1].rest[0], 10000000);
}

static void begin(sonde_buf *b)
{
    sonde_buf_init(b, 1u << 20);
    put_hello(b, SESSION_A, 3, 100, 110);
}

static sonde_status decode(sonde_buf *b, seen *s)
{
    sonde_status status = spb_decode(sonde_buf_str(b), &all, s, NULL);

    sonde_buf_done(b);
    return status;
}

static void test_what_a_later_profiler_adds_is_passed_over(void **state)
{
    seen s = { 0 };
    sonde_buf b;

    (void)state;
    begin(&b);
    put(&b, "[u[us{us", 3, U(77), 2, U(1), "x", 1, U(1), "y"); /* a record */
    put(&b, "[u[[uuuuuuu", 2, U(6), 1, 7, U(1), U(2), U(0), U(0), U(0), U(0),
        U(99));                                              /* an element of a row */
    put(&b, "[uuu[uu", 4, U(5), U(50), U(0), 2, U(1), U(2)); /* a kind of sample */
    put(&b, "[u[[us", 3, U(7), 1, 1, U(5), "surplus");       /* an element of a record */
    put_end(&b, 3);

    assert_status(decode(&b, &s), SONDE_OK);

    assert_int_equal(s.thread.tid, 2);
    assert_int_equal(s.samples, 0);
    assert_int_equal(s.context.id, 5);
    assert_int_equal(s.context.span_id, 0); /* missing is 0 */
}

static void test_every_record_is_read(void **state)
{
    seen s = { 0 };
    sonde_buf b;

    (void)state;
    begin(&b);
    put(&b, "[u[[uu", 2, U(3), 1, 2, U(2), U(5));
    put(&b, "[uu[uuiii", 3, U(9), U(1234), 5, U(1), U(2), (int64_t)3, (int64_t)4, (int64_t)5);
    put(&b, "[u{u{uuuu", 2, U(10), 2, U(2), 1, U(1), U(17), U(5), U(99));
    put(&b, "[u[[uuuu", 2, U(12), 1, 4, U(2), U(0x10), U(0x20), U(1));
    put(&b, "[uuu[iuuuiiiiii", 4, U(5), U(5), U(1000), 10, (int64_t)-7, U(1), U(2), U(3),
        (int64_t)4, (int64_t)5, (int64_t)6, (int64_t)7, (int64_t)1, (int64_t)2);
    put_end(&b, 3);

    assert_status(decode(&b, &s), SONDE_OK);

    assert_int_equal(s.unmaps, 1);
    assert_int_equal(s.live_unix_ns, 1234);
    assert_int_equal(s.live.bytes, 4);
    assert_int_equal(s.stat[2][1], 17);
    assert_int_equal(s.stat[5][0], 99);
    assert_int_equal(s.code.length, 0x20);
    assert_int_equal(s.sample[0].unix_ns, 993);
    assert_int_equal(s.sample[0].rest[4], 2);
}

static void test_a_body_that_is_not_whole_is_refused_wherever_it_ends(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(example); len++) {
        seen s = { 0 };
        sonde_error error = { 0 };
        sonde_status status =
            spb_decode((sonde_str){ (const char *)example, len }, &all, &s, &error);

        if (status != SONDE_ERR_EOF && status != SONDE_ERR_SYNTAX)
            fail_msg("%zu bytes: %s", len, sonde_status_name(status));
        assert_true(error.message[0]);
    }
}

static void test_what_is_not_well_formed_is_refused(void **state)
{
    static const struct {
        const char *label;
        const char *bytes;
        size_t len;
        sonde_status want;
    } cases[] = {
        { "no record", "", 0, SONDE_ERR_EOF },
        { "not an array", "\x01", 1, SONDE_ERR_SYNTAX },
        { "an empty record", "\x90", 1, SONDE_ERR_SYNTAX },
        { "END first", "\x92\x0b\x00", 3, SONDE_ERR_SYNTAX },
        { "HELLO without a map", "\x91\x00", 2, SONDE_ERR_SYNTAX },
        { "another format", "\x92\x00\x81\x00\x02", 5, SONDE_ERR_SYNTAX },
        { "HELLO without a window", "\x92\x00\x81\x00\x01\x92\x0b\x00", 8, SONDE_ERR_SYNTAX },
        { "a short session", "\x92\x00\x81\x01\xc4\x01x", 7, SONDE_ERR_SYNTAX },
        { "a list longer than the body", "\x92\x00\xdf\xff\xff\xff\xff", 7, SONDE_ERR_EOF },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        seen s = { 0 };
        sonde_status got = spb_decode((sonde_str){ cases[i].bytes, cases[i].len }, &all, &s, NULL);

        if (got != cases[i].want)
            fail_msg("%s: got %s", cases[i].label, sonde_status_name(got));
    }
}

static void test_what_comes_behind_hello_can_be_wrong_too(void **state)
{
    static const struct {
        const char *label;
        int which;
        sonde_status want;
    } cases[] = {
        { "a second HELLO", 0, SONDE_ERR_SYNTAX },
        { "END of another batch", 1, SONDE_ERR_SYNTAX },
        { "a record behind END", 2, SONDE_ERR_SYNTAX },
        { "nodes that end inside a row", 3, SONDE_ERR_SYNTAX },
        { "samples that end inside a row", 4, SONDE_ERR_SYNTAX },
        { "a string of 4097 bytes", 5, SONDE_ERR_TOO_BIG },
        { "text where a number is due", 6, SONDE_ERR_SYNTAX },
    };
    static char long_text[SPB_TEXT_MAX_BYTES + 2];

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        seen s = { 0 };
        sonde_status got;
        sonde_buf b;

        begin(&b);
        if (cases[i].which == 0)
            put_hello(&b, SESSION_A, 3, 100, 110);
        if (cases[i].which == 1)
            put_end(&b, 4);
        if (cases[i].which == 3)
            put(&b, "[uu[uu", 3, U(4), U(1), 2, U(0), U(0));
        if (cases[i].which == 4)
            put(&b, "[uuu[uuuuu", 4, U(5), U(1), U(0), 5, U(0), U(0), U(0), U(0), U(0));
        if (cases[i].which == 5)
            put(&b, "[uu[s", 3, U(1), U(1), 1, long_text);
        if (cases[i].which == 6)
            put(&b, "[u[[s", 2, U(6), 1, 1, "one");
        put_end(&b, 3);
        if (cases[i].which == 2)
            put_end(&b, 3);
        got = decode(&b, &s);
        if (got != cases[i].want)
            fail_msg("%s: got %s", cases[i].label, sonde_status_name(got));
    }
}

static void test_a_visitor_that_has_no_room_ends_the_walk(void **state)
{
    seen s = { .give = SONDE_ERR_NOMEM };

    (void)state;
    assert_status(spb_decode(example_body, &all, &s, NULL), SONDE_ERR_NOMEM);
    assert_int_equal(s.samples, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_worked_example_says_what_the_description_says),
        cmocka_unit_test(test_what_a_later_profiler_adds_is_passed_over),
        cmocka_unit_test(test_every_record_is_read),
        cmocka_unit_test(test_a_body_that_is_not_whole_is_refused_wherever_it_ends),
        cmocka_unit_test(test_what_is_not_well_formed_is_refused),
        cmocka_unit_test(test_what_comes_behind_hello_can_be_wrong_too),
        cmocka_unit_test(test_a_visitor_that_has_no_room_ends_the_walk),
    };

    return cmocka_run_group_tests_name("spb", tests, NULL, NULL);
}
