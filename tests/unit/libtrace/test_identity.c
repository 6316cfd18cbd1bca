/* test_identity.c - what a process says about itself: on the first span of each chunk, and by the names
 * of its services. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "libtrace/src/config.h"
#include "libtrace/src/service.h"
#include "sonde/sonde.h"
#include "support/fake_agent.h"

/* -- chunk tags ----------------------------------------------------------------------------------- */

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

#define ENV(...)                                                                                   \
    {                                                                                              \
        "DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED=0", __VA_ARGS__, NULL                      \
    }

static void test_chunk_tags_follow_the_configuration(void **state)
{
    static const struct {
        const char *label;
        const char *env[6];
        const char *want;
    } cases[] = {
        { "nothing", ENV("DD_HOSTNAME=h"), "" },
        { "host", ENV("DD_HOSTNAME=h", "DD_TRACE_REPORT_HOSTNAME=1"), "_dd.hostname=h;" },
        { "source host", ENV("DD_HOSTNAME=h", "DD_TRACE_SOURCE_HOSTNAME=s"), "_dd.hostname=s;" },
        { "git", ENV("DD_GIT_REPOSITORY_URL=git@h:o/r.git", "DD_GIT_COMMIT_SHA=c"),
          "_dd.git.repository_url=git@h:o/r.git;_dd.git.commit.sha=c;" },
        { "git, each on its own",
          ENV("DD_GIT_COMMIT_SHA=c", "DD_TAGS=git.commit.sha:d,git.repository_url:ssh://u@h/x"),
          "_dd.git.repository_url=ssh://h/x;_dd.git.commit.sha=c;" },
        { "git of the tags, with a password",
          ENV("DD_TAGS=git.repository_url:https://u:p@h/x git.commit.sha:d"),
          "_dd.git.repository_url=https://h/x;_dd.git.commit.sha=d;" },
        { "git off", ENV("DD_TRACE_GIT_METADATA_ENABLED=0", "DD_GIT_COMMIT_SHA=c"), "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__config *c = sonde__config_new(NULL, look_up, (void *)(uintptr_t)cases[i].env);
        char got[400] = "";
        uint32_t k;

        assert_non_null(c);
        assert_int_equal(c->tags_len, 0);
        for (k = 0; k < c->chunk_tags_len; k++) {
            size_t len = strlen(got);

            (void)snprintf(got + len, sizeof(got) - len, "%.*s=%.*s;",
                           SONDE_STR_ARG(c->chunk_tags[k].key),
                           SONDE_STR_ARG(c->chunk_tags[k].value));
        }
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].label, got);
        sonde__config_free(c);
    }
}

static void test_the_system_names_the_host(void **state)
{
    const char *env[] = { "DD_TRACE_REPORT_HOSTNAME=1", NULL };
    sonde__config *c = sonde__config_new(NULL, look_up, env);
    char want[256] = "";

    (void)state;
    assert_non_null(c);
    assert_int_equal(gethostname(want, sizeof(want) - 1), 0);
    assert_true(sonde_str_eq(c->hostname, sonde_str_from(want)));
    assert_int_equal(sonde__setting_of(c, offsetof(sonde__config, hostname))->origin,
                     SONDE__ORIGIN_CALCULATED);
    sonde__config_free(c);
}

/* -- on the wire ---------------------------------------------------------------------------------- */

static int times_in(sonde_str body, const char *text)
{
    size_t at;
    int n = 0;

    while (sonde_str_find(body, sonde_str_from(text), &at)) {
        body = sonde_str_sub(body, at + 1, body.len);
        n++;
    }
    return n;
}

static void trace_two_services(void)
{
    sonde_span *root = sonde_span_start("root", NULL);
    sonde_span *child =
        sonde_span_start("child", &(sonde_span_options){ .parent = root, .service = "old" });

    sonde_span_set_str(root, "_dd.hostname", "forged");
    sonde_span_finish(child);
    sonde_span_finish(root);
}

static void test_chunk_tags_stand_on_the_first_span_only(void **state)
{
    fake_agent *agent = fake_agent_open(NULL);
    sonde_options options = { .service = "web",
                              .version = "v-1",
                              .agent_url = fake_agent_url(agent) };
    sonde_str body;
    uint8_t *bytes;

    (void)state;
    assert_int_equal(setenv("DD_TRACE_SOURCE_HOSTNAME", "h-1", 1), 0);
    assert_int_equal(setenv("DD_GIT_COMMIT_SHA", "c-1", 1), 0);
    assert_int_equal(setenv("DD_SERVICE_MAPPING", "old:new,web:no", 1), 0);
    assert_int_equal(setenv("DD_TRACE_UNIVERSAL_VERSION_ENABLED", "true", 1), 0);
    assert_status(sonde_start(&options), SONDE_OK);
    trace_two_services();
    assert_status(sonde_flush(60000), SONDE_OK);
    bytes = fake_agent_last_body(agent, &body.len);
    body.ptr = (const char *)bytes;
    assert_int_equal(times_in(body, "_dd.hostname\xa3h-1"), 1);
    assert_int_equal(times_in(body, "_dd.hostname"), 1);
    assert_int_equal(times_in(body, "_dd.git.commit.sha\xa3"
                                    "c-1"),
                     1);
    assert_int_equal(times_in(body, "_dd.git.repository_url"), 0);
    assert_int_equal(times_in(body, "_dd.tags.process"), 1);
    assert_int_equal(times_in(body, "entrypoint.name:test_libtrace_identity,"
                                    "entrypoint.type:executable,"),
                     1);
    assert_int_equal(times_in(body, "svc.user:true"), 1);
    assert_int_equal(times_in(body, "version\xa3v-1"), 2);
    assert_int_equal(times_in(body, "\xa7service\xa3new"), 1);
    assert_int_equal(times_in(body, "\xa7service\xa3web"), 1);
    assert_int_equal(times_in(body, "_dd.svc_src\xabopt.mapping"), 1);
    assert_int_equal(times_in(body, "_dd.base_service\xa3web"), 1);
    assert_int_equal(times_in(body, "\xa3old"), 0);
    sonde_stop();
    free(bytes);
    fake_agent_close(agent);
}

/* -- mapping -------------------------------------------------------------------------------------- */

static void assert_sent(const char *given, const char *want, bool mapped)
{
    sonde__service s = sonde__service_number(sonde_str_from(given));

    if (!sonde_str_eq(sonde__service_name(s), sonde_str_from(want)) ||
        sonde__service_is_mapped(s) != mapped)
        fail_msg("%s is sent as %.*s", given, SONDE_STR_ARG(sonde__service_name(s)));
}

static void test_services_are_sent_under_their_mapped_name(void **state)
{
    sonde__service before;

    (void)state;
    sonde__services_map(SONDE_STR(" a : b ,c:d:e,:f,g:,h, a:later"));
    assert_status(sonde__services_open(SONDE_STR("own"), SONDE_STR("")), SONDE_OK);
    assert_sent("a", "b", true);
    assert_sent("b", "b", false);
    assert_sent("c", "d:e", true);
    assert_sent("g", "g", false);
    assert_sent("h", "h", false);
    assert_int_equal(sonde__service_number(SONDE_STR("a")), sonde__service_number(SONDE_STR("a")));
    before = sonde__service_number(SONDE_STR("a"));
    sonde__services_map(SONDE_STR("a:own"));
    assert_sent("a", "own", true);
    assert_true(sonde__service_is_own(sonde__service_number(SONDE_STR("a"))));
    assert_true(sonde_str_eq(sonde__service_name(before), SONDE_STR("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk_tags_follow_the_configuration),
        cmocka_unit_test(test_the_system_names_the_host),
        cmocka_unit_test(test_chunk_tags_stand_on_the_first_span_only),
        cmocka_unit_test(test_services_are_sent_under_their_mapped_name),
    };

    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
