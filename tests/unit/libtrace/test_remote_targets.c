/* test_remote_targets.c - the agent's answer to a poll; the golden one was made with Python's json, base64
 * and hashlib. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "libtrace/src/remote_targets.h"
#include "support/alloc_fail.h"

static const char golden[] =
    "{\"roots\": [], \"targets\": \"eyJzaWduYXR1cmVzIjogW10sICJzaWduZWQiOiB7Il90eXBlIjogInR"
    "hcmdldHMiLCAiY3VzdG9tIjogeyJhZ2VudF9yZWZyZXNoX2ludGVydmFsIjogNSwgIm9wYXF1ZV9iYWNrZW5kX"
    "3N0YXRlIjogImV5Sm1iMjhpT2lKaVlYSWlmUT09In0sICJleHBpcmVzIjogIjIwMzAtMDEtMDFUMDA6MDA6MDB"
    "aIiwgInNwZWNfdmVyc2lvbiI6ICIxLjAiLCAidGFyZ2V0cyI6IHsiZGF0YWRvZy8yL0FQTV9UUkFDSU5HL2NmZ"
    "zEvY29uZmlnIjogeyJjdXN0b20iOiB7ImMiOiBbIngiXSwgInYiOiAzfSwgImhhc2hlcyI6IHsic2hhMjU2Ijo"
    "gIjBiZGRiMGU0MDBlN2Q3MDhkZTlhOGI4ZDM4YTQ1MTk4OWYxYWFhMzExZmVlMDBkZWExNGQ5ZDdlZTNmMWVkN"
    "zcifSwgImxlbmd0aCI6IDQ0fSwgImRhdGFkb2cvMi9BU00vb3RoZXIvY29uZmlnIjogeyJjdXN0b20iOiB7InY"
    "iOiAxfSwgImhhc2hlcyI6IHsic2hhMjU2IjogIjAwIn0sICJsZW5ndGgiOiAxfX0sICJ2ZXJzaW9uIjogOTQzO"
    "DMxNDV9fQ==\", \"target_files\": [{\"path\": \"datadog/2/APM_TRACING/cfg1/config\", \""
    "raw\": \"eyJsaWJfY29uZmlnIjp7InRyYWNpbmdfc2FtcGxpbmdfcmF0ZSI6MC41fX0=\"}, {\"path\": \""
    "datadog/2/ASM/other/config\", \"raw\": \"AA==\"}], \"client_configs\": [\"datadog/2/AP"
    "M_TRACING/cfg1/config\"]}";

#define GOLDEN_FILE "{\"lib_config\":{\"tracing_sampling_rate\":0.5}}"
#define GOLDEN_HASH "0bddb0e400e7d708de9a8b8d38a451989f1aaa311fee00dea14d9d7ee3f1ed77"

static void test_an_answer_is_read(void **state)
{
    sonde__remote_answer a;
    char error[SONDE__REMOTE_ERROR_ROOM] = "";
    char hash[65] = "";

    (void)state;
    assert_status(sonde__remote_answer_parse(sonde_str_from(golden), &a, error), SONDE_OK);
    assert_true(a.says_something);
    assert_int_equal(a.version, 94383145);
    assert_true(sonde_str_eq(a.backend_state, SONDE_STR("eyJmb28iOiJiYXIifQ==")));
    assert_int_equal(a.len, 1);
    assert_true(sonde_str_eq(a.target[0].path, SONDE_STR("datadog/2/APM_TRACING/cfg1/config")));
    assert_int_equal(a.target[0].parts.product, SONDE__APM_TRACING);
    assert_true(sonde_str_eq(a.target[0].parts.id, SONDE_STR("cfg1")));
    assert_true(sonde_str_eq(a.target[0].parts.name, SONDE_STR("config")));
    assert_true(a.target[0].described);
    assert_int_equal(a.target[0].version, 3);
    assert_int_equal(a.target[0].length, strlen(GOLDEN_FILE));
    sonde_hex_bytes(a.target[0].sha256, 32, hash);
    assert_string_equal(hash, GOLDEN_HASH);
    assert_true(sonde_str_eq(a.target[0].file, SONDE_STR(GOLDEN_FILE)));
    sonde__remote_answer_done(&a);
}

/* "targets" in base64, of JSON that stands in the clear here. */
static void write_answer(const char *targets, const char *rest, char *to, size_t cap)
{
    char text[2048] = "";

    assert_true(sonde_base64_encode_len(strlen(targets)) < sizeof(text));
    (void)sonde_base64_encode((const uint8_t *)targets, strlen(targets), text);
    (void)snprintf(to, cap, "{\"targets\":\"%s\"%s}", text, rest);
}

static void test_answers_are_taken_or_rejected_as_a_whole(void **state)
{
    static const struct {
        const char *label, *json;
        sonde_status want;
        bool says_something;
        const char *error; /* how it begins */
    } cases[] = {
        { "nothing new", "{}", SONDE_OK, false, "" },
        { "no targets", "{\"client_configs\":[]}", SONDE_OK, false, "" },
        { "empty targets", "{\"targets\":\"\"}", SONDE_OK, false, "" },
        { "null targets", "{\"targets\":null,\"target_files\":null,\"client_configs\":null}",
          SONDE_OK, false, "" },
        { "unknown members", "{\"a\":{\"targets\":1},\"roots\":[\"x\"]}", SONDE_OK, false, "" },
        { "not JSON", "no", SONDE_ERR_SYNTAX, false, "the answer is not JSON" },
        { "an array", "[]", SONDE_ERR_SYNTAX, false, "the answer is not JSON" },
        { "empty", "", SONDE_ERR_SYNTAX, false, "the answer is not JSON" },
        { "cut off", "{\"client_configs\":[", SONDE_ERR_SYNTAX, false,
          "client_configs is not a list" },
        { "two documents", "{}{}", SONDE_ERR_SYNTAX, false, "the answer is not JSON" },
        { "targets is a number", "{\"targets\":1}", SONDE_ERR_SYNTAX, false,
          "targets is not a string" },
        { "bad base64", "{\"targets\":\"e30\\u0020\"}", SONDE_ERR_SYNTAX, false,
          "targets is not base64" },
        { "targets not JSON", "{\"targets\":\"bm8=\"}", SONDE_ERR_SYNTAX, false,
          "targets is not JSON" },
        { "no signed", "{\"targets\":\"e30=\"}", SONDE_ERR_SYNTAX, false,
          "targets: no \"signed\"" },
        { "list is an object", "{\"client_configs\":{}}", SONDE_ERR_SYNTAX, false,
          "client_configs is not an array" },
        { "list of numbers", "{\"client_configs\":[1]}", SONDE_ERR_SYNTAX, false,
          "client_configs is not a list of paths" },
        { "foreign path", "{\"client_configs\":[\"datadog/2/ASM/x/config\"]}", SONDE_ERR_SYNTAX,
          false, "not a path this client asked for: \"datadog/2/ASM/x/config\"" },
        { "files is a string", "{\"target_files\":\"x\"}", SONDE_ERR_SYNTAX, false,
          "target_files is not an array" },
        { "file not base64", "{\"target_files\":[{\"path\":\"x\",\"raw\":\"?\"}]}",
          SONDE_ERR_SYNTAX, false, "a file is not base64" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char error[SONDE__REMOTE_ERROR_ROOM] = "";
        sonde__remote_answer a;
        sonde_status got = sonde__remote_answer_parse(sonde_str_from(cases[i].json), &a, error);

        if (got != cases[i].want || strncmp(error, cases[i].error, strlen(cases[i].error)) != 0 ||
            (cases[i].error[0] == '\0') != (error[0] == '\0'))
            fail_msg("%s: %s, \"%s\"", cases[i].label, sonde_status_name(got), error);
        assert_int_equal(a.says_something, cases[i].says_something);
        if (got == SONDE_OK)
            sonde__remote_answer_done(&a);
    }
}

#define LISTED ",\"client_configs\":[\"employee/AGENT_TASK/1/config\"]"

static void test_targets_describe_what_is_listed(void **state)
{
    static const struct {
        const char *label, *targets;
        sonde_status want;
        bool described;
        const char *error;
    } cases[] = {
        { "not there", "{\"signed\":{\"version\":1,\"targets\":{}}}", SONDE_OK, false, "" },
        { "no targets at all", "{\"signed\":{}}", SONDE_OK, false, "" },
        { "no hash", "{\"signed\":{\"targets\":{\"employee/AGENT_TASK/1/config\":{\"length\":1}}}}",
          SONDE_OK, false, "" },
        { "a hash",
          "{\"signed\":{\"targets\":{\"employee/AGENT_TASK/1/config\":{\"hashes\":{\"sha256\":"
          "\"" GOLDEN_HASH "\",\"sha512\":\"1\"}}}}}",
          SONDE_OK, true, "" },
        { "a short hash",
          "{\"signed\":{\"targets\":{\"employee/AGENT_TASK/1/"
          "config\":{\"hashes\":{\"sha256\":\"00\"}}}}}",
          SONDE_ERR_SYNTAX, false, "targets: not a SHA-256" },
        { "a hash that is none",
          "{\"signed\":{\"targets\":{\"employee/AGENT_TASK/1/config\":{\"hashes\":{\"sha256\":"
          "\"zz000000000000000000000000000000000000000000000000000000000000zz\"}}}}}",
          SONDE_ERR_SYNTAX, false, "targets: not a SHA-256" },
        { "a negative length",
          "{\"signed\":{\"targets\":{\"employee/AGENT_TASK/1/config\":{\"length\":-1}}}}",
          SONDE_ERR_SYNTAX, false, "targets: not a whole number" },
        { "a version with a fraction", "{\"signed\":{\"version\":1.5}}", SONDE_ERR_SYNTAX, false,
          "targets: not a whole number" },
        { "signed is a string", "{\"signed\":\"x\"}", SONDE_ERR_SYNTAX, false,
          "targets: \"signed\" is not an object" },
        { "odd members are passed over",
          "{\"signed\":{\"custom\":1,\"targets\":{\"employee/AGENT_TASK/1/config\":[],\"x\":{}}}}",
          SONDE_OK, false, "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        char error[SONDE__REMOTE_ERROR_ROOM] = "";
        char json[4096];
        sonde__remote_answer a;
        sonde_status got;

        write_answer(cases[i].targets, LISTED, json, sizeof(json));
        got = sonde__remote_answer_parse(sonde_str_from(json), &a, error);
        if (got != cases[i].want || strcmp(error, cases[i].error) != 0)
            fail_msg("%s: %s, \"%s\"", cases[i].label, sonde_status_name(got), error);
        if (got != SONDE_OK)
            continue;
        assert_int_equal(a.len, 1);
        assert_int_equal(a.target[0].described, cases[i].described);
        sonde__remote_answer_done(&a);
    }
}

static void test_the_order_of_members_does_not_matter(void **state)
{
    static const char json[] =
        "{\"target_files\":[{\"raw\":\"e30=\",\"x\":[1],\"path\":\"employee/AGENT_TASK/1/"
        "config\"}],"
        "\"client_configs\":[\"employee/AGENT_TASK/1/config\",\"employee/AGENT_TASK/1/config\"]}";
    char error[SONDE__REMOTE_ERROR_ROOM];
    sonde__remote_answer a;

    (void)state;
    assert_status(sonde__remote_answer_parse(sonde_str_from(json), &a, error), SONDE_OK);
    assert_int_equal(a.len, 1);
    assert_true(sonde_str_eq(a.target[0].file, SONDE_STR("{}")));
    sonde__remote_answer_done(&a);
}

static void test_paths_have_one_of_two_forms(void **state)
{
    static const struct {
        const char *path;
        bool ok;
        sonde__product product;
        const char *id;
    } cases[] = {
        { "datadog/2/APM_TRACING/cfg/config", true, SONDE__APM_TRACING, "cfg" },
        { "datadog/123456789012345678901234/AGENT_TASK/a.b-c/n", true, SONDE__AGENT_TASK, "a.b-c" },
        { "employee/AGENT_CONFIG/flare-log-level.debug/x", true, SONDE__AGENT_CONFIG,
          "flare-log-level.debug" },
        { "employee/2/AGENT_CONFIG/x/y", false, SONDE__AGENT_CONFIG, "" },
        { "datadog/APM_TRACING/cfg/config", false, SONDE__APM_TRACING, "" },
        { "datadog//APM_TRACING/cfg/config", false, SONDE__APM_TRACING, "" },
        { "datadog/2x/APM_TRACING/cfg/config", false, SONDE__APM_TRACING, "" },
        { "datadog/2/APM_TRACING/cfg", false, SONDE__APM_TRACING, "" },
        { "datadog/2/APM_TRACING//config", false, SONDE__APM_TRACING, "" },
        { "datadog/2/APM_TRACING/cfg/", false, SONDE__APM_TRACING, "" },
        { "datadog/2/APM_TRACING/cfg/config/more", false, SONDE__APM_TRACING, "" },
        { "datadog/2/apm_tracing/cfg/config", false, SONDE__APM_TRACING, "" },
        { "datadog/2/LIVE_DEBUGGING/cfg/config", false, SONDE__APM_TRACING, "" },
        { "/datadog/2/APM_TRACING/cfg/config", false, SONDE__APM_TRACING, "" },
        { "", false, SONDE__APM_TRACING, "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__remote_path p;

        if (sonde__remote_path_parse(sonde_str_from(cases[i].path), &p) != cases[i].ok)
            fail_msg("\"%s\": %s", cases[i].path, cases[i].ok ? "refused" : "taken");
        if (cases[i].ok)
            assert_true(p.product == cases[i].product &&
                        sonde_str_eq(p.id, sonde_str_from(cases[i].id)));
    }
}

static void test_more_than_the_ceilings_is_rejected(void **state)
{
    char error[SONDE__REMOTE_ERROR_ROOM];
    static char json[65536];
    sonde__remote_answer a;
    size_t len = (size_t)snprintf(json, sizeof(json), "{\"client_configs\":[");
    int i;

    (void)state;
    for (i = 0; i <= SONDE__REMOTE_CONFIGS_MAX; i++)
        len += (size_t)snprintf(json + len, sizeof(json) - len, "%s\"employee/AGENT_TASK/%d/c\"",
                                i ? "," : "", i);
    (void)snprintf(json + len, sizeof(json) - len, "]}");
    assert_status(sonde__remote_answer_parse(sonde_str_from(json), &a, error), SONDE_ERR_TOO_BIG);
    assert_string_equal(error, "too many configurations");
    (void)snprintf(json, sizeof(json), "{\"client_configs\":[\"employee/AGENT_TASK/%0*d/c\"]}",
                   SONDE__REMOTE_PATH_MAX_BYTES, 1);
    assert_status(sonde__remote_answer_parse(sonde_str_from(json), &a, error), SONDE_ERR_TOO_BIG);
    assert_int_equal(strncmp(error, "too long a path", 15), 0);
}

static void test_a_state_that_would_not_fit_a_poll_is_rejected(void **state)
{
    static const char head[] = "{\"signed\":{\"custom\":{\"opaque_backend_state\":\"";
    static const char tail[] = "\"}}}";
    static char targets[SONDE__REMOTE_BACKEND_STATE_MAX_BYTES + sizeof(head) + sizeof(tail) + 1];
    static char json[2 * sizeof(targets)];
    size_t more;

    (void)state;
    for (more = 0; more < 2; more++) {
        size_t state_len = SONDE__REMOTE_BACKEND_STATE_MAX_BYTES + more;
        size_t len = sizeof(head) - 1;
        char error[SONDE__REMOTE_ERROR_ROOM];
        sonde__remote_answer a;

        memcpy(targets, head, len);
        memset(targets + len, 's', state_len);
        memcpy(targets + len + state_len, tail, sizeof(tail));
        memcpy(json, "{\"targets\":\"", 12);
        len = 12 + sonde_base64_encode((const uint8_t *)targets, strlen(targets), json + 12);
        memcpy(json + len, "\"}", 3);
        assert_status(sonde__remote_answer_parse(sonde_str_from(json), &a, error),
                      more ? SONDE_ERR_TOO_BIG : SONDE_OK);
        if (!more)
            sonde__remote_answer_done(&a);
    }
}

static sonde_status parse_golden(void *unused)
{
    char error[SONDE__REMOTE_ERROR_ROOM];
    sonde__remote_answer a;
    sonde_status status = sonde__remote_answer_parse(sonde_str_from(golden), &a, error);

    (void)unused;
    if (status == SONDE_OK)
        sonde__remote_answer_done(&a);
    return status;
}

static void test_without_memory_an_answer_is_rejected(void **state)
{
    (void)state;
    alloc_fail_each(parse_golden, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_is_read),
        cmocka_unit_test(test_answers_are_taken_or_rejected_as_a_whole),
        cmocka_unit_test(test_targets_describe_what_is_listed),
        cmocka_unit_test(test_the_order_of_members_does_not_matter),
        cmocka_unit_test(test_paths_have_one_of_two_forms),
        cmocka_unit_test(test_more_than_the_ceilings_is_rejected),
        cmocka_unit_test(test_a_state_that_would_not_fit_a_poll_is_rejected),
        cmocka_unit_test(test_without_memory_an_answer_is_rejected),
    };

    return cmocka_run_group_tests_name("remote_targets", tests, NULL, NULL);
}
