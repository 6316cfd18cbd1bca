/* A conversation with an agent: what is said once, what its answers change, and that samples add up. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "codec/msgpack_read.h"
#include "profiler/src/session.h"
#include "support/fake_agent.h"

#define PATH       SONDE_PROF__BATCH_PATH
#define TIMEOUT_MS 20000

typedef struct scene {
    fake_agent *agent;
    sonde_prof__config *config;
    sonde_prof__identity who;
    sonde_prof__dict dict;
    sonde_prof__window window;
    sonde_prof__session session;
    sonde_prof__link *link;
    uint64_t mono_ns;
} scene;

static const char *lookup(void *user, const char *name)
{
    const char *const *url = user;

    if (strcmp(name, "DD_TRACE_AGENT_URL") == 0)
        return *url;
    if (strcmp(name, "DD_PROFILING_NATIVE_LOG_LEVEL") == 0)
        return "off";
    return strcmp(name, "DD_SERVICE") == 0 ? "shop" : NULL;
}

static int setup(void **state)
{
    static const _Atomic uint64_t never = UINT64_MAX;
    static scene s;
    const char *url;

    memset(&s, 0, sizeof(s));
    s.agent = fake_agent_open(NULL);
    url = fake_agent_url(s.agent);
    s.config = sonde_prof__config_new(NULL, lookup, (void *)&url);
    assert_non_null(s.config);
    sonde_prof__identity_init(&s.who, s.config);
    assert_status(sonde_prof__dict_init(&s.dict), SONDE_OK);
    sonde_prof__window_init(&s.window, 1000);
    sonde_prof__session_init(&s.session);
    assert_status(sonde_prof__link_open(s.config, &never, NULL, NULL, &s.link), SONDE_OK);
    s.mono_ns = 1000;
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;

    sonde_prof__link_close(s->link);
    sonde_prof__session_done(&s->session);
    sonde_prof__window_done(&s->window);
    sonde_prof__dict_done(&s->dict);
    sonde_prof__identity_done(&s->who);
    sonde_prof__config_free(s->config);
    fake_agent_close(s->agent);
    return 0;
}

static void sample(scene *s, uint8_t kind, uint64_t leaf)
{
    uint64_t room[sizeof(sonde_prof__sample) / sizeof(uint64_t) + 2] = { 0 };
    sonde_prof__sample *one = (sonde_prof__sample *)(void *)room;

    one->depth = 2;
    one->kind = kind;
    one->events = 1;
    one->value[0] = 10;
    one->tid = 7;
    one->mono_ns = s->mono_ns++;
    one->frames[0] = leaf;
    one->frames[1] = 0x1000;
    sonde_prof__window_add(&s->window, &s->dict, one, sonde_prof__dict_thread(&s->dict, 7, 0));
}

static void close_batch(scene *s)
{
    const sonde_prof__batch_facts facts = { .time = { 0, 1000000, 0 } };

    sonde_prof__session_close(&s->session, &s->dict, &s->window, &facts);
    sonde_prof__dict_next_contexts(&s->dict);
    sonde_prof__window_clear(&s->window);
}

static sonde_prof__sending send_all(scene *s)
{
    s->session.next_try_ns = 0;
    return sonde_prof__session_send(&s->session, s->link, &s->who, &s->dict,
                                    sonde_mono_ns() + 20 * (uint64_t)SONDE_NS_PER_S);
}

static void answer(scene *s, int status)
{
    fake_agent_route(s->agent, PATH, (fake_answer){ .status = status });
}

/* -- what was sent ---------------------------------------------------------------------------------- */

typedef struct read_batch {
    char session[33];
    char seq[8];
    uint32_t hello_keys;
    uint32_t strings, nodes, threads;
    uint32_t samples; /* records */
    bool has_end;
} read_batch;

static const char *header(const char *head, const char *name, char *out, size_t cap)
{
    const char *at = strstr(head, name);
    size_t len;

    assert_non_null(at);
    at += strlen(name);
    len = strcspn(at, "\r");
    assert_true(len < cap);
    memcpy(out, at, len);
    out[len] = '\0';
    return out;
}

static void read_record(sonde_mp_reader *r, read_batch *out)
{
    uint32_t elements, count = 0, i;
    uint64_t type, base;

    assert_true(sonde_mp_read_array(r, &elements));
    assert_true(sonde_mp_read_u64(r, &type));
    if (type == SONDE_PROF__HELLO) {
        assert_true(sonde_mp_read_map(r, &out->hello_keys));
        for (i = 0; i < 2 * out->hello_keys; i++)
            assert_true(sonde_mp_skip(r));
        return;
    }
    out->samples += type == SONDE_PROF__SAMPLES;
    out->has_end = type == SONDE_PROF__END;
    i = 1;
    if (type == SONDE_PROF__STRINGS || type == SONDE_PROF__NODES) {
        assert_true(sonde_mp_read_u64(r, &base));
        assert_int_equal(base, type == SONDE_PROF__STRINGS ? out->strings + 1 : out->nodes + 1);
        assert_true(sonde_mp_read_array(r, &count));
        *(type == SONDE_PROF__STRINGS ? &out->strings : &out->nodes) +=
            type == SONDE_PROF__STRINGS ? count : count / 3;
        for (i = 0; i < count; i++)
            assert_true(sonde_mp_skip(r));
        return;
    }
    out->threads += type == SONDE_PROF__THREADS;
    for (; i < elements; i++)
        assert_true(sonde_mp_skip(r));
}

/* The n-th request, from 0.  `strings` and `nodes` say how many the agent knew before. */
static read_batch received(scene *s, uint64_t n, uint32_t strings, uint32_t nodes)
{
    read_batch b = { .strings = strings, .nodes = nodes };
    char *head, *body = fake_agent_other(s->agent, PATH, n, TIMEOUT_MS, &head);
    char text[32];
    uint64_t len;
    sonde_mp_reader r;

    assert_non_null(body);
    (void)header(head, "Sonde-Profile-Session: ", b.session, sizeof(b.session));
    (void)header(head, "Sonde-Profile-Seq: ", b.seq, sizeof(b.seq));
    (void)header(head, "Content-Length: ", text, sizeof(text));
    assert_int_equal(sonde_parse_u64(sonde_str_from(text), &len), SONDE_OK);
    sonde_mp_reader_init(&r, body, len);
    while (sonde_mp_left(&r) > 0)
        read_record(&r, &b);
    assert_true(b.has_end);
    free(head);
    free(body);
    return b;
}

/* -- cases ------------------------------------------------------------------------------------------ */

static void who_we_are_is_said_until_the_agent_has_taken_a_batch(void **state)
{
    scene *s = *state;
    read_batch first, second, third;

    answer(s, 503);
    sample(s, SONDE_PROF__CPU, 0x2000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_LATER);
    answer(s, 200);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    sample(s, SONDE_PROF__CPU, 0x3000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    first = received(s, 0, 0, 0);
    second = received(s, 1, 0, 0);
    third = received(s, 2, 0, second.nodes);
    assert_true(first.hello_keys > 5 && second.hello_keys == first.hello_keys);
    assert_int_equal(third.hello_keys, 5);
    assert_string_equal(second.seq, "0"); /* the same batch: the agent may have it */
    assert_string_equal(third.seq, "1");
    assert_string_equal(first.session, third.session);
    assert_int_equal(second.nodes, 3);
    assert_int_equal(third.nodes, 4);
    assert_int_equal(third.threads, 0);
    assert_int_equal(s->session.outbox.events_sent, 2);
}

static void an_agent_that_forgot_is_told_everything_under_a_new_session(void **state)
{
    scene *s = *state;
    read_batch before, after;

    answer(s, 200);
    sample(s, SONDE_PROF__CPU, 0x2000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    answer(s, 409);
    sample(s, SONDE_PROF__CPU, 0x3000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_LATER); /* again and again */
    answer(s, 200);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    before = received(s, 1, 0, 3);
    after = received(s, fake_agent_others(s->agent, PATH) - 1, 0, 0);
    assert_string_not_equal(before.session, after.session);
    assert_string_equal(after.seq, "0");
    assert_int_equal(after.nodes, 4);
    assert_int_equal(after.threads, 1);
    assert_int_equal(after.samples, 1);
    assert_true(after.hello_keys > 5);
    assert_int_equal(s->session.outbox.events_sent, 2);
    assert_int_equal(s->session.outbox.events_lost, 0);
}

static void a_batch_that_is_too_big_is_sent_kind_by_kind(void **state)
{
    scene *s = *state;
    read_batch last;

    sample(s, SONDE_PROF__CPU, 0x2000);
    sample(s, SONDE_PROF__WALL, 0x2000);
    close_batch(s);
    answer(s, 413);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_UNSAYABLE); /* not even one record */
    assert_int_equal(s->session.outbox.events_lost, 1);
    answer(s, 200);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    last = received(s, fake_agent_others(s->agent, PATH) - 1, 0, 3);
    assert_int_equal(last.samples, 1);
    assert_int_equal(s->session.outbox.events_sent, 1);
}

static void a_number_is_never_given_to_other_samples(void **state)
{
    scene *s = *state;
    read_batch last;
    int i;

    answer(s, 500);
    sample(s, SONDE_PROF__CPU, 0x2000);
    close_batch(s);
    assert_int_equal(send_all(s),
                     SONDE_PROF__SENT_LATER); /* number 0, and the answer could be a lie */
    for (i = 0; i < SONDE_PROF__OUTBOX_MAX; i++) {
        sample(s, SONDE_PROF__CPU, 0x2000);
        close_batch(s);
    }
    assert_int_equal(s->session.outbox.events_lost, 1);
    answer(s, 200);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    last = received(s, 1, 0, 0);
    assert_string_equal(last.seq, "1");
    assert_int_equal(last.nodes, 3); /* the dictionary of the one that was dropped */
    assert_int_equal(s->session.outbox.events_sent, 3);
}

static void a_busy_agent_makes_batches_longer(void **state)
{
    scene *s = *state;
    const uint64_t interval = 10 * (uint64_t)SONDE_NS_PER_S;
    uint64_t before = sonde_mono_ns();
    int i;

    assert_int_equal(sonde_prof__session_interval_ns(&s->session, interval), interval);
    answer(s, 429);
    sample(s, SONDE_PROF__CPU, 0x2000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_LATER);
    assert_true(s->session.next_try_ns > before);
    assert_int_equal(sonde_prof__session_interval_ns(&s->session, interval), 2 * interval);
    for (i = 0; i < 10; i++)
        assert_int_equal(send_all(s), SONDE_PROF__SENT_LATER);
    assert_int_equal(sonde_prof__session_interval_ns(&s->session, interval), 6 * interval);
    answer(s, 200);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    assert_int_equal(sonde_prof__session_interval_ns(&s->session, interval), interval);
}

static void an_agent_without_the_path_is_not_asked_again(void **state)
{
    scene *s = *state;

    answer(s, 404);
    sample(s, SONDE_PROF__CPU, 0x2000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_NEVER);
    assert_int_equal(fake_agent_others(s->agent, PATH), 1);
}

static void what_waits_under_an_old_session_is_sent_under_it(void **state)
{
    scene *s = *state;
    read_batch old, young;

    answer(s, 503);
    sample(s, SONDE_PROF__CPU, 0x2000);
    close_batch(s);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_LATER);
    sonde_prof__session_roll_over(&s->session);
    assert_status(sonde_prof__dict_restart(&s->dict), SONDE_OK);
    sample(s, SONDE_PROF__CPU, 0x3000);
    close_batch(s);
    answer(s, 200);
    assert_int_equal(send_all(s), SONDE_PROF__SENT_ALL);
    old = received(s, 1, 0, 0);
    young = received(s, 2, 0, 0);
    assert_string_not_equal(old.session, young.session);
    assert_int_equal(young.hello_keys, old.hello_keys + 1); /* prev */
    assert_string_equal(young.seq, "0");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(who_we_are_is_said_until_the_agent_has_taken_a_batch),
        CASE(an_agent_that_forgot_is_told_everything_under_a_new_session),
        CASE(a_batch_that_is_too_big_is_sent_kind_by_kind),
        CASE(a_number_is_never_given_to_other_samples),
        CASE(a_busy_agent_makes_batches_longer),
        CASE(an_agent_without_the_path_is_not_asked_again),
        CASE(what_waits_under_an_old_session_is_sent_under_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
