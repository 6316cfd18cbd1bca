/* The agent as a library: what it says about bad settings, and that half an agent can always be closed. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "agent/main/agent_main.h"
#include "base/log.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"

static void quiet(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
}

static char data_dir[256], data_setting[300];

static int setup(void **state)
{
    (void)state;
    sonde_log_set_sink(quiet, NULL);
    temp_dir_make(data_dir, sizeof(data_dir));
    (void)snprintf(data_setting, sizeof(data_setting), "SONDE_DATA_DIR=%s", data_dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_dir_remove(data_dir);
    return 0;
}

static agent_config *configure(const char *const *environment)
{
    agent_config *c = NULL;
    char *list[6] = { NULL };
    size_t i;

    for (i = 0; i < 4 && environment[i]; i++)
        list[i] = (char *)(uintptr_t)environment[i];
    list[i] = data_setting;

    assert_status(
        config_load_text(&(config_options){ .environment = list, .os_hostname = "h", .cpus = 2 },
                         SONDE_STR("{}\n"), "test", &c, NULL),
        SONDE_OK);
    return c;
}

static const char *const plain[] = { "DD_API_KEY=k", "DD_APM_DD_URL=http://127.0.0.1:1",
                                     "DD_APM_RECEIVER_PORT=-1", "DD_APM_RECEIVER_SOCKET=", NULL };

static void test_settings_that_cannot_work_are_named(void **state)
{
    static const struct {
        const char *label;
        const char *environment[5];
        const char *says;
    } cases[] = {
        { "no endpoint",
          { "DD_APM_RECEIVER_PORT=-1", "DD_APM_RECEIVER_SOCKET=", NULL },
          "DD_API_KEY" },
        { "nowhere to listen",
          { "DD_API_KEY=k", "DD_APM_DD_URL=http://127.0.0.1:1", "DD_APM_RECEIVER_PORT=0",
            "DD_APM_RECEIVER_SOCKET=" },
          "listen" },
        { "not our address",
          { "DD_API_KEY=k", "DD_APM_DD_URL=http://127.0.0.1:1", "DD_BIND_HOST=192.0.2.1",
            "DD_APM_RECEIVER_SOCKET=" },
          "192.0.2.1" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        agent_config *c = configure(cases[i].environment);
        sonde_error error = { .message = "" };
        agent_main *a = NULL;
        sonde_status status = agent_main_open(&(agent_main_options){ .config = c }, &a, &error);

        if (status == SONDE_OK || a || !strstr(error.message, cases[i].says))
            fail_msg("%s: %s \"%s\"", cases[i].label, sonde_status_name(status), error.message);
        config_put(c);
    }
}

static sonde_status open_and_stop(void *user)
{
    agent_main *a = NULL;
    sonde_status status = agent_main_open(&(agent_main_options){ .config = user }, &a, NULL);

    if (status != SONDE_OK)
        return status;
    agent_main_stop(a);
    agent_main_close(a);
    return SONDE_OK;
}

static void test_an_agent_that_had_no_memory_can_be_closed(void **state)
{
    agent_config *c = configure(plain);

    (void)state;
    alloc_fail_each(open_and_stop, c);
    config_put(c);
}

static void test_opened_and_closed_a_hundred_times(void **state)
{
    agent_config *c = configure(plain);
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        agent_main *a = NULL;

        assert_status(agent_main_open(&(agent_main_options){ .config = c }, &a, NULL), SONDE_OK);
        agent_main_close(a);
    }
    config_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings_that_cannot_work_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_agent_that_had_no_memory_can_be_closed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_opened_and_closed_a_hundred_times, setup, teardown),
    };

    return cmocka_run_group_tests_name("agent_main", tests, NULL, NULL);
}
