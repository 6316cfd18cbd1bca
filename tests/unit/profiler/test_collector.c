/* What the drainer makes of samples: a thread keeps the name it has. */
#include "support/test.h"

#include <string.h>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler/src/collector.h"
#include "profiler/src/samplers.h"
#include "profiler/src/threads.h"

typedef struct scene {
    sonde_prof__config *config;
    sonde_prof__collector collector;
    sonde_prof__slot *apart; /* a ring of no thread, as the wall sampler has one */
} scene;

static const char *lookup(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "DD_PROFILING_NATIVE_LOG_LEVEL") == 0 ? "off" : NULL;
}

static int setup(void **state)
{
    static const sonde_prof__sampler_settings settings = { 0 };
    static scene s;

    memset(&s, 0, sizeof(s));
    assert_int_equal(prctl(PR_SET_NAME, "before"), 0);
    assert_status(sonde_prof__samplers_start(&settings), SONDE_OK);
    s.config = sonde_prof__config_new(NULL, lookup, NULL);
    assert_non_null(s.config);
    assert_status(sonde_prof__collector_init(&s.collector, s.config), SONDE_OK);
    s.apart = sonde_prof__slot_reserve();
    assert_non_null(s.apart);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;

    sonde_prof__samplers_stop();
    sonde_prof__collector_done(&s->collector);
    sonde_prof__config_free(s->config);
    return 0;
}

static void put(sonde_prof__ring *ring, uint8_t kind)
{
    static const uint64_t frames[] = { 0x2000, 0x1000 };
    sonde_prof__sample one = { .kind = kind, .events = 1, .depth = 2, .value = { 10 } };

    one.tid = (uint32_t)syscall(SYS_gettid);
    one.mono_ns = sonde_mono_ns();
    assert_true(sonde_prof__ring_put(ring, &one, frames));
}

static void expect_name(const scene *s, const char *name)
{
    const sonde_prof__dict *d = &s->collector.dict;

    assert_int_equal(d->threads_len, 1);
    assert_true(sonde_str_eq(sonde_prof__dict_text(d, d->threads[0].name), sonde_str_from(name)));
}

static void a_thread_seen_from_outside_keeps_its_name(void **state)
{
    scene *s = *state;
    sonde_prof__slot *own = sonde_prof__slot_mine();
    uint64_t old;

    assert_non_null(own);
    old = own->start_mono_ns + 3600 * (uint64_t)SONDE_NS_PER_S; /* its name is looked at seldom */
    assert_int_equal(prctl(PR_SET_NAME, "after"), 0);
    put(&own->ring, SONDE_PROF__CPU);
    sonde_prof__collector_drain(&s->collector, old);
    expect_name(s, "after");

    put(&s->apart->ring, SONDE_PROF__WALL);
    sonde_prof__collector_drain(&s->collector, old + 1);
    expect_name(s, "after");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thread_seen_from_outside_keeps_its_name, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
