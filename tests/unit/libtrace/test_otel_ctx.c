/* test_otel_ctx.c - the process context as an outside profiler finds it: by /proc/self/maps, decoded by
 * hand. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/hex.h"
#include "libtrace/src/otel_ctx.h"
#include "libtrace/src/tracer.h"
#include "sonde/sonde.h"
#include "support/alloc_fail.h"
#include "support/sys_fail.h"

/* -- finding -------------------------------------------------------------------------------------- */

/* The mapping, or NULL; stops when there are two. */
static const uint8_t *find_mapping(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const uint8_t *found = NULL;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        uint64_t from;

        if (!strstr(line, "/memfd:OTEL_CTX") && !strstr(line, "[anon_shmem:OTEL_CTX]") &&
            !strstr(line, "[anon:OTEL_CTX]"))
            continue;
        assert_null(found);
        assert_non_null(strstr(line, "rw-p"));
        assert_status(sonde_hex_parse_u64((sonde_str){ line, strcspn(line, "-") }, 0, &from),
                      SONDE_OK);
        found = (const uint8_t *)(uintptr_t)from;
    }
    (void)fclose(maps);
    return found;
}

static uint64_t number_at(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;

    memcpy(&v, p, bytes);
    return v;
}

/* -- decoding ------------------------------------------------------------------------------------- */

typedef struct message {
    const uint8_t *at;
    const uint8_t *end;
} message;

static uint64_t varint(message *m)
{
    uint64_t v = 0;
    int shift = 0;

    do {
        assert_true(m->at < m->end);
        v |= (uint64_t)(*m->at & 0x7f) << shift;
        shift += 7;
    } while (*m->at++ & 0x80);
    return v;
}

/* The next field, which is of wire type 2; 0: the message is over. */
static uint64_t next_field(message *m, message *out)
{
    uint64_t tag, len;

    if (m->at == m->end)
        return 0;
    tag = varint(m);
    assert_int_equal(tag & 7, 2);
    len = varint(m);
    assert_true(len <= (uint64_t)(m->end - m->at));
    *out = (message){ m->at, m->at + len };
    m->at += len;
    return tag >> 3;
}

static bool is_text(message m, const char *text)
{
    return (size_t)(m.end - m.at) == strlen(text) && memcmp(m.at, text, strlen(text)) == 0;
}

/* The AnyValue of `key` among the KeyValues that are field `field` of `m`; false: it is not there. */
static bool find_value(message m, uint64_t field, const char *key, message *out)
{
    message pair, part;
    uint64_t n;

    while ((n = next_field(&m, &pair)) != 0) {
        if (n != field)
            continue;
        assert_int_equal(next_field(&pair, &part), 1);
        if (!is_text(part, key))
            continue;
        assert_int_equal(next_field(&pair, out), 2);
        return true;
    }
    return false;
}

static void assert_value(message m, uint64_t field, const char *key, const char *want)
{
    message any, text;

    if (!find_value(m, field, key, &any))
        fail_msg("%s is not there", key);
    assert_int_equal(next_field(&any, &text), 1);
    if (!is_text(text, want))
        fail_msg("%s is %.*s, want %s", key, (int)(text.end - text.at), text.at, want);
}

static message payload_of(const uint8_t *p)
{
    const uint8_t *payload;

    memcpy(&payload, p + 24, sizeof(payload));
    return (message){ payload, payload + number_at(p + 12, 4) };
}

static message resource_of(const uint8_t *p)
{
    message m = payload_of(p);
    message resource;

    assert_int_equal(next_field(&m, &resource), 1);
    return resource;
}

/* -- tests ---------------------------------------------------------------------------------------- */

static void start(const char *version)
{
    sonde_options o = {
        .service = "ctx", .env = "test", .version = version, .agent_url = "http://127.0.0.1:1"
    };

    assert_status(sonde_start(&o), SONDE_OK);
}

static uint64_t failures(void)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };

    sonde_counters_read(&c);
    return c.otel_ctx_failed;
}

static uint64_t boottime_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void test_the_process_can_be_read_from_outside(void **state)
{
    const uint8_t *p;
    message any, array, item, text;

    (void)state;
    assert_null(find_mapping());
    start("1.2");
    p = find_mapping();
    assert_non_null(p);
    assert_memory_equal(p, "OTEL_CTX", 8);
    assert_int_equal(number_at(p + 8, 4), 2);
    assert_true(number_at(p + 16, 8) > 0);
    assert_true(number_at(p + 16, 8) <= boottime_ns());
    assert_value(resource_of(p), 1, "service.name", "ctx");
    assert_value(resource_of(p), 1, "service.instance.id", sonde__runtime_id());
    assert_value(resource_of(p), 1, "service.version", "1.2");
    assert_value(resource_of(p), 1, "deployment.environment.name", "test");
    assert_value(resource_of(p), 1, "telemetry.sdk.language", "c");
    assert_value(resource_of(p), 1, "telemetry.sdk.version", sonde_version());
    assert_value(resource_of(p), 1, "telemetry.sdk.name", "sonde");
    assert_true(find_value(resource_of(p), 1, "host.name", &any));
    assert_true(find_value(payload_of(p), 2, "datadog.process_tags", &any));
    assert_value(payload_of(p), 2, "threadlocal.schema_version", "tlsdesc_v1_dev");
    assert_true(find_value(payload_of(p), 2, "threadlocal.attribute_key_map", &any));
    assert_int_equal(next_field(&any, &array), 5);
    assert_int_equal(next_field(&array, &item), 1);
    assert_int_equal(next_field(&item, &text), 1);
    assert_true(is_text(text, "datadog.local_root_span_id"));
    assert_true(array.at == array.end);
    sonde_stop();
    assert_null(find_mapping());
    assert_int_equal(failures(), 0);
}

/* KeyValue{key "service.name", value AnyValue{string "ctx"}} in Resource in ProcessContext, by hand. */
static void test_the_first_bytes_are_these(void **state)
{
    static const uint8_t want[] = "\x0a\x15\x0a\x0cservice.name\x12\x05\x0a\x03"
                                  "ctx";
    const uint8_t *p;
    message m;

    (void)state;
    start("1");
    p = find_mapping();
    m = payload_of(p);
    assert_int_equal(m.at[0], 0x0a);
    (void)next_field(&(message){ m.at, m.end }, &m); /* the resource */
    assert_memory_equal(m.at, want, sizeof(want) - 1);
    sonde_stop();
}

static void test_an_update_advances_the_time(void **state)
{
    char version[3000];
    const uint8_t *p;
    uint64_t first;

    (void)state;
    start("1");
    p = find_mapping();
    first = number_at(p + 16, 8);
    sonde__otel_ctx_publish(sonde__settings(), "other-id");
    assert_ptr_equal(find_mapping(), p);
    assert_true(number_at(p + 16, 8) > first);
    assert_value(resource_of(p), 1, "service.instance.id", "other-id");
    sonde_stop();
    memset(version, 'v', sizeof(version));
    version[sizeof(version) - 1] = '\0';
    start(version); /* more than a page */
    sonde__otel_ctx_publish(sonde__settings(), version);
    p = find_mapping();
    assert_value(resource_of(p), 1, "service.instance.id", version);
    sonde_stop();
}

static int look_in_child(const char *parents_id)
{
    message any, text;

    if (find_mapping())
        return 1; /* inherited */
    (void)sonde_span_start("s", NULL);
    if (!find_mapping())
        return 2;
    if (!find_value(resource_of(find_mapping()), 1, "service.instance.id", &any) ||
        next_field(&any, &text) != 1)
        return 3;
    return is_text(text, parents_id) || !is_text(text, sonde__runtime_id()) ? 4 : 0;
}

static void test_a_child_is_found_as_itself(void **state)
{
    char id[40];
    int status;
    pid_t pid;

    (void)state;
    start("1");
    (void)snprintf(id, sizeof(id), "%s", sonde__runtime_id());
    pid = fork();
    if (pid == 0)
        _exit(look_in_child(id));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_value(resource_of(find_mapping()), 1, "service.instance.id", id);
    sonde_stop();
}

static void test_without_a_memfd_it_is_anonymous(void **state)
{
    (void)state;
    sys_fail_always(SYS_FAIL_MEMFD_CREATE, ENOSYS);
    start("1");
    sys_fail_clear();
    assert_int_equal(failures(), 0);
    sonde_stop();
}

static void test_what_fails_is_counted_and_costs_nothing_else(void **state)
{
    const sonde__config *c;

    (void)state;
    start("1");
    c = sonde__settings();
    sonde__otel_ctx_retract();
    sys_fail_always(SYS_FAIL_MMAP, ENOMEM);
    sonde__otel_ctx_publish(c, "id");
    sys_fail_clear();
    assert_int_equal(failures(), 1);
    assert_null(find_mapping());
    alloc_fail_begin();
    alloc_fail_at(1);
    sonde__otel_ctx_publish(c, "id");
    alloc_fail_end();
    assert_int_equal(failures(), 2);
    sonde__otel_ctx_publish(c, "id");
    assert_non_null(find_mapping());
    sonde_stop();
}

static void test_switched_off_nothing_is_published(void **state)
{
    sonde_options o = { .enabled = -1 };

    (void)state;
    assert_status(sonde_start(&o), SONDE_OK);
    assert_null(find_mapping());
    sonde_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_process_can_be_read_from_outside),
        cmocka_unit_test(test_the_first_bytes_are_these),
        cmocka_unit_test(test_an_update_advances_the_time),
        cmocka_unit_test(test_a_child_is_found_as_itself),
        cmocka_unit_test(test_without_a_memfd_it_is_anonymous),
        cmocka_unit_test(test_what_fails_is_counted_and_costs_nothing_else),
        cmocka_unit_test(test_switched_off_nothing_is_published),
    };

    (void)setenv("DD_TRACE_STARTUP_LOGS", "0", 1);
    (void)setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "0", 1); /* no other thread of ours */
    (void)setenv("DD_REMOTE_CONFIGURATION_ENABLED", "0", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
