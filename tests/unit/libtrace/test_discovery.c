/* test_discovery.c - the memory file by which an agent finds this process, read as the agent does: through
 * /proc/self/fd. */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "codec/msgpack_read.h"
#include "sonde/sonde.h"
#include "support/sys_fail.h"

#define NAME "/memfd:datadog-tracer-info-"

typedef struct found {
    int files;
    char fd[300]; /* path of the last one */
    char target[300];
    uint8_t data[8192];
    size_t len;
} found;

static void look(found *f)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    int fd;

    memset(f, 0, sizeof(*f));
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        char path[300], target[300] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%.200s", e->d_name);
        if (readlink(path, target, sizeof(target) - 1) < 0 ||
            strncmp(target, NAME, sizeof(NAME) - 1) != 0)
            continue;
        f->files++;
        memcpy(f->fd, path, sizeof(path));
        memcpy(f->target, target, sizeof(target));
    }
    (void)closedir(dir);
    if (f->files == 0)
        return;
    fd = open(f->fd, O_RDONLY | O_CLOEXEC); /* a description of its own, from the start */
    assert_true(fd >= 0);
    f->len = (size_t)read(fd, f->data, sizeof(f->data));
    assert_int_equal(fcntl(fd, F_GET_SEALS) &
                         (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    (void)close(fd);
}

/* The value of a key; an empty view when it is not there. */
static sonde_str value_of(const found *f, const char *key)
{
    sonde_str value = { NULL, 0 };
    sonde_mp_reader r;
    uint32_t entries = 0;

    sonde_mp_reader_init(&r, f->data, f->len);
    assert_true(sonde_mp_read_map(&r, &entries));
    while (entries-- > 0) {
        sonde_str k = { NULL, 0 };

        assert_true(sonde_mp_read_str(&r, &k));
        if (sonde_mp_peek(&r) != SONDE_MP_STR) {
            uint64_t version = 0;

            assert_true(sonde_str_eq(k, SONDE_STR("schema_version")));
            assert_true(sonde_mp_read_u64(&r, &version));
            assert_int_equal(version, 2);
        } else if (sonde_str_eq(k, sonde_str_from(key))) {
            assert_true(sonde_mp_read_str(&r, &value));
        } else {
            assert_true(sonde_mp_skip(&r));
        }
    }
    assert_int_equal(sonde_mp_peek(&r), SONDE_MP_END);
    return value;
}

static void expect(const found *f, const char *key, const char *want)
{
    sonde_str got = value_of(f, key);

    if (!sonde_str_eq(got, sonde_str_from(want)))
        fail_msg("%s is \"%.*s\", want \"%s\"", key, SONDE_STR_ARG(got), want);
}

static void start(const sonde_options *o)
{
    assert_status(sonde_start(o), SONDE_OK);
}

static void test_one_sealed_file_says_who_we_are(void **state)
{
    sonde_options o = { .service = "shop", .env = "dev", .version = "7" };
    found f;
    size_t i;

    (void)state;
    start(&o);
    look(&f);
    assert_int_equal(f.files, 1);
    for (i = sizeof(NAME) - 1; i < sizeof(NAME) - 1 + 8; i++)
        assert_true((f.target[i] >= 'a' && f.target[i] <= 'z') ||
                    (f.target[i] >= 'A' && f.target[i] <= 'Z') ||
                    (f.target[i] >= '0' && f.target[i] <= '9'));
    assert_string_equal(f.target + i, " (deleted)");
    expect(&f, "service_name", "shop");
    expect(&f, "service_env", "dev");
    expect(&f, "service_version", "7");
    expect(&f, "tracer_language", "c");
    expect(&f, "tracer_version", SONDE_VERSION);
    expect(&f, "hostname", "host-1");
    assert_int_equal(value_of(&f, "runtime_id").len, 36);
    assert_true(sonde_str_starts(value_of(&f, "process_tags"), SONDE_STR("entrypoint.")));
    sonde_stop();
    look(&f);
    assert_int_equal(f.files, 0);
}

static void test_empty_values_are_left_out(void **state)
{
    found f;

    (void)state;
    start(NULL);
    look(&f);
    assert_null(value_of(&f, "service_env").ptr);
    assert_null(value_of(&f, "service_version").ptr);
    assert_non_null(value_of(&f, "service_name").ptr);
    sonde_stop();
}

/* {"schema_version":2,"runtime_id":...: the first bytes, by the msgpack specification. */
static void test_the_map_begins_with_its_version(void **state)
{
    static const char begin[] = "\xaeschema_version\x02\xaaruntime_id\xd9\x24";
    found f;

    (void)state;
    start(NULL);
    look(&f);
    assert_memory_equal(f.data + 1, begin, sizeof(begin) - 1);
    assert_int_equal(f.data[0] & 0xf0, 0x80);
    sonde_stop();
}

static void test_there_is_none_when_tracing_is_off(void **state)
{
    sonde_options o = { .enabled = -1 };
    found f;

    (void)state;
    start(&o);
    look(&f);
    assert_int_equal(f.files, 0);
    sonde_stop();
}

static int in_child(const found *parent)
{
    found f;

    look(&f);
    if (f.files != 1)
        return 1;
    if (strcmp(f.target, parent->target) == 0)
        return 2;
    return sonde_str_eq(value_of(&f, "runtime_id"), value_of(parent, "runtime_id")) ? 3 : 0;
}

static void test_a_forked_child_has_its_own(void **state)
{
    int status = -1;
    found f, after;
    pid_t pid;

    (void)state;
    start(NULL);
    look(&f);
    pid = fork();
    if (pid == 0)
        _exit(in_child(&f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    look(&after);
    assert_int_equal(after.files, 1);
    assert_string_equal(after.target, f.target);
    sonde_stop();
}

static void test_failures_cost_the_file_only(void **state)
{
    found f;

    (void)state;
    sys_fail_always(SYS_FAIL_MEMFD_CREATE, EMFILE);
    start(NULL);
    look(&f);
    assert_int_equal(f.files, 0);
    assert_true(sonde_enabled());
    sonde_stop();
    sys_fail_clear();
    sys_fail(SYS_FAIL_MEMFD_CREATE, 1, EINVAL); /* an older kernel */
    start(NULL);
    look(&f);
    assert_int_equal(f.files, 1);
    sonde_stop();
    sys_fail_clear();
}

static int set_environment(void **state)
{
    (void)state;
    return setenv("DD_HOSTNAME", "host-1", 1) | setenv("DD_TRACE_AGENT_URL", "unix:///nowhere", 1) |
           setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false", 1) |
           setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_sealed_file_says_who_we_are),
        cmocka_unit_test(test_empty_values_are_left_out),
        cmocka_unit_test(test_the_map_begins_with_its_version),
        cmocka_unit_test(test_there_is_none_when_tracing_is_off),
        cmocka_unit_test(test_a_forked_child_has_its_own),
        cmocka_unit_test(test_failures_cost_the_file_only),
    };

    return cmocka_run_group_tests_name("discovery", tests, set_environment, NULL);
}
