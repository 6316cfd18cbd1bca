/* test_trace_filter.c - which roots which filters drop: docs/spec/trace-filters.md. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "codec/msgpack_write.h"
#include "libtrace/src/agent_info.h"
#include "libtrace/src/trace_filter.h"
#include "support/alloc_fail.h"

/* "key=text" or "key#number", up to four, then NULL. */
typedef struct root_case {
    const char *label;
    const char *info; /* members of /info */
    const char *resource;
    const char *tags[5];
    bool drops;
} root_case;

static bool is_number(const char *tag)
{
    return tag[strcspn(tag, "=#")] == '#';
}

static void write_tags(sonde_buf *b, const char *const *tags, bool numbers)
{
    uint32_t count = 0;
    int i;

    for (i = 0; tags[i]; i++)
        count += is_number(tags[i]) == numbers;
    sonde_mp_write_map(b, count);
    for (i = 0; tags[i]; i++) {
        size_t key_len = strcspn(tags[i], "=#");
        sonde_str value = sonde_str_from(tags[i] + key_len + 1);
        double number = 0;

        if (is_number(tags[i]) != numbers)
            continue;
        sonde_mp_write_str(b, (sonde_str){ tags[i], key_len });
        if (!numbers) {
            sonde_mp_write_str(b, value);
            continue;
        }
        assert_status(sonde_parse_double(value, &number), SONDE_OK);
        sonde_mp_write_double(b, number);
    }
}

static void make_root(const root_case *c, sonde_buf *b, sonde__wire_span *out)
{
    sonde_mp_reader r;

    sonde_buf_init(b, 1u << 16);
    sonde_mp_write_map(b, 4);
    sonde_mp_write_str(b, SONDE_STR("name"));
    sonde_mp_write_str(b, SONDE_STR("http.request"));
    sonde_mp_write_str(b, SONDE_STR("resource"));
    sonde_mp_write_str(b, sonde_str_from(c->resource));
    sonde_mp_write_str(b, SONDE_STR("meta"));
    write_tags(b, c->tags, false);
    sonde_mp_write_str(b, SONDE_STR("metrics"));
    write_tags(b, c->tags, true);
    sonde_mp_reader_init(&r, b->data, b->len);
    assert_true(sonde__wire_span_read(&r, out));
}

static sonde_status make_filter(const char *members, sonde__agent_info *info,
                                sonde__trace_filter **out)
{
    char json[4096];

    (void)snprintf(json, sizeof(json), "{%s}", members);
    assert_status(sonde__agent_info_parse(sonde_str_from(json), info), SONDE_OK);
    return sonde__trace_filter_new(info, out);
}

#define IGNORE(list)        "\"ignore_resources\":[" list "]"
#define REJECT(list)        "\"filter_tags\":{\"reject\":[" list "]}"
#define REQUIRE(list)       "\"filter_tags\":{\"require\":[" list "]}"
#define REJECT_REGEX(list)  "\"filter_tags_regex\":{\"reject\":[" list "]}"
#define REQUIRE_REGEX(list) "\"filter_tags_regex\":{\"require\":[" list "]}"

static const root_case cases[] = {
    { "resource", IGNORE("\"GET /health\""), "GET /healthz", { NULL }, true },
    { "other resource", IGNORE("\"^GET /health$\""), "GET /healthz", { NULL }, false },
    { "second pattern", IGNORE("\"x\",\"(GET|PUT) /\""), "PUT /a", { NULL }, true },
    { "no resource: the name", IGNORE("\"^http[.]\""), "", { NULL }, true },
    { "bad pattern left out", IGNORE("\"(\",\"b\""), "a(", { NULL }, false },
    { "reject key", REJECT("\"a\""), "r", { "a=1" }, true },
    { "reject key, empty value", REJECT("\"a\""), "r", { "a=" }, true },
    { "reject key, absent", REJECT("\"a\""), "r", { "b=1" }, false },
    { "reject value", REJECT("\"a:1\""), "r", { "a=1" }, true },
    { "reject other value", REJECT("\"a:1\""), "r", { "a=12" }, false },
    { "trimmed", REJECT("\" a : x:y \""), "r", { "a=x:y" }, true },
    { "empty value wanted", REJECT("\"a:\""), "r", { "a=" }, true },
    { "empty value not met", REJECT("\"a:\""), "r", { "a=1" }, false },
    { "no key", REJECT("\":x\",\"\""), "r", { "x=x" }, false },
    { "number as text", REJECT("\"a:2\""), "r", { "a#2" }, true },
    { "fraction as text", REJECT("\"a:0.5\""), "r", { "a#0.5" }, true },
    { "reject pattern", REJECT_REGEX("\"a:^x.z$\""), "r", { "a=xyz" }, true },
    { "reject pattern, elsewhere", REJECT_REGEX("\"a:b\""), "r", { "c=abc" }, false },
    { "pattern searches", REJECT_REGEX("\"a:b\""), "r", { "a=abc" }, true },
    { "pattern on a number", REJECT_REGEX("\"a:^1\""), "r", { "a#15" }, true },
    { "key of a pattern is literal", REJECT_REGEX("\"a.:x\""), "r", { "ab=x" }, false },
    { "only a key", REJECT_REGEX("\"a\""), "r", { "a=x" }, true },
    { "bad pattern rejects nothing", REJECT_REGEX("\"a:(\""), "r", { "a=(" }, false },
    { "required", REQUIRE("\"a:1\""), "r", { "a=1" }, false },
    { "required, absent", REQUIRE("\"a:1\""), "r", { "b=1" }, true },
    { "every one is required", REQUIRE("\"a\",\"b\""), "r", { "a=1" }, true },
    { "all of them there", REQUIRE("\"a\",\"b\""), "r", { "a=1", "b#3" }, false },
    { "required pattern", REQUIRE_REGEX("\"a:^x\""), "r", { "a=xyz" }, false },
    { "required pattern not met", REQUIRE_REGEX("\"a:^x\""), "r", { "a=yx" }, true },
    { "bad pattern requires nothing", REQUIRE_REGEX("\"a:[\""), "r", { "b=1" }, false },
    { "rejecting wins",
      "\"filter_tags\":{\"reject\":[\"a\"],\"require\":[\"a\"]}",
      "r",
      { "a=1" },
      true },
    { "both kinds", REQUIRE("\"a\"") "," REQUIRE_REGEX("\"b:1\""), "r", { "a=1", "b=2" }, true },
    { "env as the agent has it", REJECT("\"env:my_prod\""), "r", { "env=My__Prod_!" }, true },
    { "env as it was", REJECT("\"env:Prod\""), "r", { "env=Prod" }, false },
    { "peer as the agent has it",
      REQUIRE("\"peer.service:db-1\""),
      "r",
      { "peer.service=DB-1" },
      false },
    { "base service",
      REJECT("\"_dd.base_service:web_app\""),
      "r",
      { "_dd.base_service=Web App" },
      true },
    { "letters beyond ASCII", REJECT("\"env:caf\xc3\xa9\""), "r", { "env=Caf\xc3\xa9" }, true },
    { "status", REJECT("\"http.status_code:404\""), "r", { "http.status_code=404" }, true },
    { "status as a number",
      REJECT("\"http.status_code:404\""),
      "r",
      { "http.status_code#404" },
      true },
    { "no status", REJECT("\"http.status_code\""), "r", { "http.status_code=600" }, false },
    { "status of letters", REQUIRE("\"http.status_code\""), "r", { "http.status_code=ok" }, true },
    { "fraction of a status",
      REJECT("\"http.status_code\""),
      "r",
      { "http.status_code#404.5" },
      false },
};

static void test_filters_drop_what_the_agent_would(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__agent_info info;
        sonde__trace_filter *f;
        sonde__wire_span root;
        sonde_buf b;

        assert_status(make_filter(cases[i].info, &info, &f), SONDE_OK);
        assert_non_null(f);
        make_root(&cases[i], &b, &root);
        if (sonde__trace_filter_drops(f, &root) != cases[i].drops)
            fail_msg("%s", cases[i].label);
        sonde_buf_done(&b);
        sonde__trace_filter_free(f);
        sonde__agent_info_done(&info);
    }
}

static void test_filters_that_cannot_be_applied_say_so(void **state)
{
    char many[4096] = "\"ignore_resources\":[";
    const struct {
        const char *members;
        sonde_status status;
    } refused[] = {
        { "\"filter_tags\":{}", SONDE_OK },
        { IGNORE("\"\\\\pX\""), SONDE_ERR_INVALID },
        { REJECT_REGEX("\"a:(?i)\xc3\xa9\""), SONDE_ERR_INVALID },
        { IGNORE("\"((x{9}y){9}){9}((x{9}y){9}){9}z{999}\""), SONDE_OK },
        { IGNORE("\"(xyz{900}){3}\""), SONDE_OK }, /* left out */
        { many, SONDE_ERR_TOO_BIG },
    };
    size_t i;

    (void)state;
    for (i = 0; i < 20; i++) /* each fits, all of them do not */
        strncat(many, i ? ",\"(abc){1000}\"" : "\"(abc){1000}\"", 20);
    strncat(many, "]", 2);
    for (i = 0; i < COUNT_OF(refused); i++) {
        sonde__agent_info info;
        sonde__trace_filter *f;

        assert_status(make_filter(refused[i].members, &info, &f), refused[i].status);
        assert_true((f != NULL) == (refused[i].status == SONDE_OK && i > 0));
        sonde__trace_filter_free(f);
        sonde__agent_info_done(&info);
    }
}

static void test_a_list_that_was_cut_is_not_applied(void **state)
{
    sonde__agent_info info = { .cut = true };
    sonde__trace_filter *f;

    (void)state;
    assert_status(sonde__trace_filter_new(&info, &f), SONDE_ERR_TOO_BIG);
    assert_null(f);
}

static sonde_status make_once(void *user)
{
    sonde__trace_filter *f;
    sonde_status status = sonde__trace_filter_new((const sonde__agent_info *)user, &f);

    sonde__trace_filter_free(f);
    return status;
}

static void test_making_survives_every_failing_allocation(void **state)
{
    sonde__agent_info info;
    sonde__trace_filter *f;

    (void)state;
    assert_status(
        make_filter(IGNORE("\"a\",\"b+\"") "," REJECT("\"a\"") "," REQUIRE_REGEX("\"b:c\""), &info,
                    &f),
        SONDE_OK);
    sonde__trace_filter_free(f);
    alloc_fail_each(make_once, &info);
    sonde__agent_info_done(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_drop_what_the_agent_would),
        cmocka_unit_test(test_filters_that_cannot_be_applied_say_so),
        cmocka_unit_test(test_a_list_that_was_cut_is_not_applied),
        cmocka_unit_test(test_making_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("trace_filter", tests, NULL, NULL);
}
