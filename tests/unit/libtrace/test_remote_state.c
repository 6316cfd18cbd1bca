/* test_remote_state.c - which files a client holds after which answers, and what it tells the agent. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/src/remote_poll.h"
#include "libtrace/src/remote_state.h"
#include "support/alloc_fail.h"
#include "support/remote_answer.h"

#define ONE "datadog/2/APM_TRACING/one/config"
#define TWO "employee/AGENT_CONFIG/two/config"

/* Takes an answer with these files; `from` and `to`: a text to be replaced in it, NULL: none. */
static bool take(sonde__remote_state *s, uint64_t version, const remote_content *files, size_t len,
                 const char *from, const char *to)
{
    char *json = remote_answer(version, files, len);
    char *at = from ? strstr(json, from) : NULL;
    bool changed;

    if (from)
        assert_non_null(at);
    if (from)
        memcpy(at, to, strlen(to));
    changed = sonde__remote_state_take(s, sonde_str_from(json));
    free(json);
    return changed;
}

static void test_a_file_is_new_once(void **state)
{
    remote_content files[] = { { ONE, "{}", 1 }, { TWO, "{\"a\":1}", 1 } };
    sonde__remote_state s = { 0 };
    sonde__remote_file *one;

    (void)state;
    assert_true(take(&s, 5, files, 2, NULL, NULL));
    assert_int_equal(s.len, 2);
    assert_int_equal(s.targets_version, 5);
    assert_true(sonde_str_eq(s.backend_state, SONDE_STR("b3BhcXVl")));
    assert_true(sonde_str_eq(s.file[1]->content, SONDE_STR("{\"a\":1}")));
    one = s.file[0];
    one->state = SONDE__CONFIG_ACKNOWLEDGED;
    files[0].version = 9;
    assert_false(take(&s, 6, files, 2, NULL, NULL));
    assert_ptr_equal(s.file[0], one);
    assert_int_equal(one->version, 9);
    assert_int_equal(one->state, SONDE__CONFIG_ACKNOWLEDGED);
    files[0].json = "{ }";
    assert_true(take(&s, 7, files, 2, NULL, NULL));
    assert_int_equal(s.file[0]->state, SONDE__CONFIG_NEW);
    sonde__remote_state_done(&s);
}

static void test_what_is_not_listed_goes(void **state)
{
    static const remote_content files[] = { { ONE, "{}", 1 }, { TWO, "{}", 1 } };
    sonde__remote_state s = { 0 };

    (void)state;
    assert_true(take(&s, 1, files, 2, NULL, NULL));
    assert_false(sonde__remote_state_take(&s, SONDE_STR("{}")));
    assert_int_equal(s.len, 2);
    assert_true(take(&s, 2, files + 1, 1, NULL, NULL));
    assert_int_equal(s.len, 1);
    assert_true(sonde_str_eq(s.file[0]->path, SONDE_STR(TWO)));
    assert_true(take(&s, 3, files, 1, "client_configs", "elsewhere_too_"));
    assert_int_equal(s.len, 0);
    sonde__remote_state_done(&s);
}

static void test_a_bad_update_changes_nothing(void **state)
{
    static const remote_content files[] = { { ONE, "{\"new\":1}", 1 } };
    static const struct {
        const char *label, *from, *to, *error;
    } cases[] = {
        { "another length of file", "eyJuZXciOjF9", "eyJuZXciOjEg",
          "length or hash is wrong: \"" ONE "\"" },
        { "no file", "\"raw\"", "\"row\"", "no file for: \"" ONE "\"" },
        { "not described", "\"client_configs\":[\"datadog/2/APM_TRACING/one",
          "\"client_configs\":[\"datadog/2/APM_TRACING/two",
          "not in the targets: \"datadog/2/APM_TRACING/two/config\"" },
        { "not base64", "\"raw\":\"eyJ", "\"raw\":\"e?J", "a file is not base64" },
    };
    static const remote_content held[] = { { TWO, "{}", 1 } };
    sonde__remote_state s = { 0 };
    size_t i;

    (void)state;
    assert_true(take(&s, 1, held, 1, NULL, NULL));
    for (i = 0; i < COUNT_OF(cases); i++) {
        assert_false(take(&s, 2, files, 1, cases[i].from, cases[i].to));
        if (strcmp(s.error, cases[i].error) != 0)
            fail_msg("%s: \"%s\"", cases[i].label, s.error);
        assert_int_equal(s.len, 1);
        assert_true(sonde_str_eq(s.file[0]->path, SONDE_STR(TWO)));
        assert_int_equal(s.targets_version, 1);
    }
    assert_true(take(&s, 2, files, 1, NULL, NULL));
    assert_string_equal(s.error, "");
    sonde__remote_state_done(&s);
}

static void test_a_file_that_is_held_need_not_be_sent(void **state)
{
    static const remote_content files[] = { { ONE, "{\"new\":1}", 1 } };
    sonde__remote_state s = { 0 };

    (void)state;
    assert_true(take(&s, 1, files, 1, NULL, NULL));
    assert_false(take(&s, 2, files, 1, "\"raw\"", "\"row\""));
    assert_string_equal(s.error, "");
    assert_int_equal(s.len, 1);
    sonde__remote_state_done(&s);
}

static void test_more_bytes_than_the_ceiling_are_rejected(void **state)
{
    char *big = (char *)malloc(SONDE__REMOTE_HELD_MAX_BYTES + 1);
    remote_content files[] = { { ONE, big, 1 }, { TWO, "{}", 1 } };
    sonde__remote_state s = { 0 };

    (void)state;
    memset(big, ' ', SONDE__REMOTE_HELD_MAX_BYTES);
    big[SONDE__REMOTE_HELD_MAX_BYTES - 1] = '\0';
    assert_false(take(&s, 1, files, 2, NULL, NULL));
    assert_string_equal(s.error, "too many bytes of configuration");
    assert_true(take(&s, 1, files, 1, NULL, NULL));
    sonde__remote_state_done(&s);
    free(big);
}

/* -- polls ---------------------------------------------------------------------------------------- */

/* By hand from docs/spec/remote-config.md; hashes by sha256sum. */
static const char first_poll[] =
    "{\"client\":{\"id\":\"c-1\",\"products\":[\"APM_TRACING\",\"AGENT_CONFIG\",\"AGENT_TASK\"],"
    "\"is_tracer\":true,\"capabilities\":\"IAAgCPAA\",\"client_tracer\":{\"runtime_id\":\"r-1\","
    "\"language\":\"c\",\"tracer_version\":\"0.1.0\",\"service\":\"web\",\"env\":\"\",\"app_"
    "version\":"
    "\"1.2\",\"tags\":[],\"process_tags\":[\"a:b\",\"c:d\"]},\"state\":{\"root_version\":1,"
    "\"targets_version\":0,\"has_error\":false,\"error\":\"\",\"backend_client_state\":\"\","
    "\"config_states\":[]}},\"cached_target_files\":[]}";

static const char later_poll[] =
    "\"state\":{\"root_version\":1,\"targets_version\":5,\"has_error\":true,\"error\":\"the answer "
    "is not "
    "JSON: \\\"expected a "
    "value\\\"\",\"backend_client_state\":\"b3BhcXVl\",\"config_states\":[{\"id\":"
    "\"one\",\"version\":3,\"product\":\"APM_TRACING\",\"apply_state\":3,\"apply_error\":\"why\"}]}"
    "},"
    "\"cached_target_files\":[{\"path\":\"" ONE
    "\",\"length\":2,\"hashes\":[{\"algorithm\":\"sha256\","
    "\"hash\":\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"}]}]}";

static void test_a_poll_says_who_asks_and_what_it_holds(void **state)
{
    static const remote_content files[] = { { ONE, "{}", 3 } };
    sonde__config *c = (sonde__config *)calloc(1, sizeof(*c));
    sonde__remote_state s = { 0 };
    sonde_buf b;

    (void)state;
    c->language = SONDE_STR("c");
    c->tracer_version = SONDE_STR("0.1.0");
    c->service = SONDE_STR("web");
    c->version = SONDE_STR("1.2");
    c->process_tags = SONDE_STR("a:b,c:d");
    sonde_buf_init(&b, 65536);
    sonde__remote_poll_write(c, "c-1", "r-1", &s, &b);
    assert_string_equal(sonde_buf_cstr(&b), first_poll);
    sonde_buf_reset(&b);
    c->language = SONDE_STR("zig"); /* bits 12, 15, 19 and 29 */
    sonde__remote_poll_write(c, "c-1", "r-1", &s, &b);
    assert_non_null(strstr(sonde_buf_cstr(&b), "\"capabilities\":\"IAiQAA==\""));
    assert_true(take(&s, 5, files, 1, NULL, NULL));
    sonde__remote_file_fail(s.file[0], "why");
    assert_false(sonde__remote_state_take(&s, SONDE_STR("no")));
    sonde_buf_reset(&b);
    sonde__remote_poll_write(c, "c-1", "r-1", &s, &b);
    assert_string_equal(strstr(sonde_buf_cstr(&b), "\"state\""), later_poll);
    sonde_buf_done(&b);
    sonde__remote_state_done(&s);
    free(c);
}

static sonde_status take_two(void *user)
{
    sonde__remote_state s = { 0 };
    sonde_status status;

    (void)sonde__remote_state_take(&s, sonde_str_from((const char *)user));
    status = s.len == 2 ? SONDE_OK : SONDE_ERR_NOMEM;
    assert_true(s.len == 2 || s.error[0] != '\0');
    sonde__remote_state_done(&s);
    return status;
}

static void test_without_memory_an_update_is_rejected(void **state)
{
    static const remote_content files[] = { { ONE, "{}", 1 }, { TWO, "{}", 1 } };
    char *json = remote_answer(1, files, 2);

    (void)state;
    alloc_fail_each(take_two, json);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_new_once),
        cmocka_unit_test(test_what_is_not_listed_goes),
        cmocka_unit_test(test_a_bad_update_changes_nothing),
        cmocka_unit_test(test_a_file_that_is_held_need_not_be_sent),
        cmocka_unit_test(test_more_bytes_than_the_ceiling_are_rejected),
        cmocka_unit_test(test_a_poll_says_who_asks_and_what_it_holds),
        cmocka_unit_test(test_without_memory_an_update_is_rejected),
    };

    return cmocka_run_group_tests_name("remote_state", tests, NULL, NULL);
}
