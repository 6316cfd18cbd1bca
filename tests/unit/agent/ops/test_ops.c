/* test_ops.c - the tick: what is reported, refused, ended and fed. */
#include "agent/ops/ops.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define MIB (UINT64_C(1) << 20)
#define S   UINT64_C(1000000000)

static unsigned sheds, restored, deaths;

static void quiet(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
}

static void shed(void *user, bool on)
{
    (void)user;
    if (on)
        sheds++;
    else
        restored++;
}

static void die(void)
{
    deaths++;
}

static void write_status(void *user, sonde_buf *out)
{
    (void)user;
    sonde_buf_append_str(out, SONDE_STR("{\"trace_writer\":{\"spans_out\":5}}"));
}

static agent_config *configure(const char *variable)
{
    char *variables[] = { (char *)(uintptr_t) "DD_API_KEY=k", (char *)(uintptr_t)variable, NULL };
    agent_config *c = NULL;

    assert_status(config_load_text(
                      &(config_options){ .environment = variables, .os_hostname = "h", .cpus = 1 },
                      SONDE_STR(""), "t", &c, NULL),
                  SONDE_OK);
    return c;
}

static ops *open_it(agent_config *c, rates_cell *rates, const notify *supervisor)
{
    ops *o = NULL;

    assert_status(ops_open(&(ops_options){ .config = c,
                                           .version = "1",
                                           .commit = "",
                                           .rates = rates,
                                           .supervisor = supervisor,
                                           .write_status = write_status,
                                           .shed = shed,
                                           .die = die },
                           &o),
                  SONDE_OK);
    return o;
}

static void test_memory_is_acted_on_when_it_is_checked(void **state)
{
    agent_config *c = configure(NULL);
    ops *o = open_it(c, NULL, NULL);
    uint64_t now = sonde_mono_ns(); /* not before: what is due is due from then on */

    (void)state;
    sheds = restored = deaths = 0;
    ops_tick(o, &(ops_progress){ .memory_bytes = 70 * MIB }, now + S);
    assert_int_equal(sheds, 0); /* not time yet */
    ops_tick(o, &(ops_progress){ .memory_bytes = 70 * MIB }, now + 11 * S);
    ops_tick(o, &(ops_progress){ .memory_bytes = 70 * MIB }, now + 22 * S);
    assert_int_equal(sheds, 1);
    ops_tick(o, &(ops_progress){ .memory_bytes = 10 * MIB },
             now + 23 * S); /* looked at each time now */
    assert_int_equal(restored, 1);
    ops_tick(o, &(ops_progress){ .memory_bytes = 97 * MIB }, now + 44 * S);
    assert_int_equal(sheds, 2);
    assert_int_equal(deaths, 0); /* refusing may help */
    ops_tick(o, &(ops_progress){ .memory_bytes = 97 * MIB }, now + 45 * S);
    assert_int_equal(deaths, 1);
    ops_close(o);
    config_put(c);
}

static void test_the_supervisor_is_fed_while_payloads_move(void **state)
{
    static const struct {
        const char *label;
        ops_progress progress;
        bool fed;
    } steps[] = {
        { "nothing waits", { .taken = 0, .waiting = 0 }, true },
        { "one was taken", { .taken = 1, .waiting = 5 }, true },
        { "none was taken", { .taken = 1, .waiting = 5 }, false },
        { "still none", { .taken = 1, .waiting = 5 }, false },
        { "on again", { .taken = 2, .waiting = 4 }, true },
    };
    agent_config *c = configure(NULL);
    uint64_t now = sonde_mono_ns();
    int pair[2];
    notify n;
    ops *o;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
    n = (notify){ .fd = pair[0], .watchdog_ns = 3 * S };
    o = open_it(c, NULL, &n);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        char text[64];
        ssize_t got;

        ops_tick(o, &steps[i].progress, now + (i + 1) * 3 * S / 2); /* below the check's 10 s */
        got = recv(pair[1], text, sizeof(text), 0);
        if ((got > 0) != steps[i].fed)
            fail_msg("%s: %zd", steps[i].label, got);
    }
    ops_close(o);
    config_put(c);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void test_the_supervisor_reads_how_things_are(void **state)
{
    agent_config *c = configure(NULL);
    uint64_t now;
    char text[256];
    int pair[2];
    ssize_t got;
    notify n;
    ops *o;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
    n = (notify){ .fd = pair[0] };
    o = open_it(c, NULL, &n);
    now = sonde_mono_ns();
    ops_tick(o, &(ops_progress){ .taken = 7, .waiting = 2, .memory_bytes = 70 * MIB },
             now + 11 * S);
    got = recv(pair[1], text, sizeof(text) - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    assert_string_equal(
        text, "STATUS=7 payloads processed, 2 waiting, 70 MiB, refusing: memory is short");
    ops_close(o);
    config_put(c);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* Appends what came by now. */
static void receive(int fd, sonde_buf *text)
{
    char datagram[2048];
    ssize_t got;

    while ((got = recv(fd, datagram, sizeof(datagram), 0)) > 0)
        sonde_buf_append(text, datagram, (size_t)got);
}

static void test_metrics_go_to_the_port_that_was_set(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    payload_sources *sources = sources_open();
    char variable[64];
    sonde_buf text;
    uint64_t now;
    agent_config *c;
    ops *o = NULL;

    (void)state;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(variable, sizeof(variable), "DD_DOGSTATSD_PORT=%u",
                   (unsigned)ntohs(at.sin_port));
    c = configure(variable);
    assert_status(ops_open(&(ops_options){ .config = c,
                                           .version = "1",
                                           .commit = "",
                                           .sources = sources,
                                           .write_status = write_status,
                                           .shed = shed },
                           &o),
                  SONDE_OK);
    now = sonde_mono_ns();
    sonde_buf_init(&text, 1 << 16);
    source_add(sources_at(sources, 0), SOURCE_BYTES, 9);
    ops_tick(o, &(ops_progress){ 0 }, now + 5 * S); /* tracers are told of more often */
    receive(fd, &text);
    assert_non_null(strstr(sonde_buf_cstr(&text), "trace_agent.receiver.traces_bytes:9|c\n"));
    ops_tick(o, &(ops_progress){ 0 }, now + 10 * S);
    ops_tick(o, &(ops_progress){ 0 }, now + 20 * S);
    receive(fd, &text);
    assert_non_null(strstr(sonde_buf_cstr(&text), "trace_agent.receiver.traces_bytes:0|c\n"));
    assert_non_null(strstr(sonde_buf_cstr(&text), "trace_agent.trace_writer.spans:5|c\n"));
    assert_non_null(strstr(sonde_buf_cstr(&text), "trace_agent.trace_writer.spans:0|c\n"));
    sonde_buf_done(&text);
    sources_close(sources);
    ops_close(o);
    config_put(c);
    (void)close(fd);
}

static sonde_status open_and_close(void *user)
{
    ops *o = NULL;
    sonde_status status =
        ops_open(&(ops_options){ .config = user, .write_status = write_status, .shed = shed }, &o);

    if (status == SONDE_OK)
        ops_tick(o, &(ops_progress){ 0 }, sonde_mono_ns() + 100 * S);
    ops_close(o);
    return status;
}

static void test_opening_and_reporting_copes_without_memory(void **state)
{
    agent_config *c = configure("DD_DOGSTATSD_PORT=1");

    (void)state;
    alloc_fail_each(open_and_close, c);
    config_put(c);
}

static int setup(void **state)
{
    (void)state;
    sonde_log_set_sink(quiet, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_acted_on_when_it_is_checked),
        cmocka_unit_test(test_the_supervisor_is_fed_while_payloads_move),
        cmocka_unit_test(test_the_supervisor_reads_how_things_are),
        cmocka_unit_test(test_metrics_go_to_the_port_that_was_set),
        cmocka_unit_test(test_opening_and_reporting_copes_without_memory),
    };

    return cmocka_run_group_tests_name("agent/ops", tests, setup, NULL);
}
