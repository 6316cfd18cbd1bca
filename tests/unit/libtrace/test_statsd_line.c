/* test_statsd_line.c - lines byte for byte as the protocol's pages give them, and what becomes of text
 * that would break one. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "libtrace/src/statsd_line.h"

#define CONTAINER "83c0a99c0a54c0c187f461c7980e9b57f3f6a8b0c918c8d93df19a9de6f3fe1d"

static const sonde__statsd_shared bare = { .cardinality = SONDE__CARDINALITY_UNSET };

/* -- metrics -------------------------------------------------------------------------------------- */

static const struct metric_case {
    const char *label;
    sonde_statsd_type type;
    const char *name;
    double value;
    const char *member;
    const char *tags;
    double rate;
    int64_t unix_s;
    uint32_t cardinality;
    const char *want;
} metrics[] = {
    { "count", SONDE_STATSD_COUNT, "page.views", 1, "", "", 1, 0, 0, "page.views:1|c\n" },
    { "count with a tag", SONDE_STATSD_COUNT, "page.views", 1, "", "env:dev", 1, 0, 0,
      "page.views:1|c|#env:dev\n" },
    { "gauge", SONDE_STATSD_GAUGE, "fuel.level", 0.5, "", "", 1, 0, 0, "fuel.level:0.5|g\n" },
    { "negative", SONDE_STATSD_GAUGE, "g", -2.5, "", "", 1, 0, 0, "g:-2.5|g\n" },
    { "sampled histogram", SONDE_STATSD_HISTOGRAM, "song.length", 240, "", "", 0.5, 0, 0,
      "song.length:240|h|@0.5\n" },
    { "set", SONDE_STATSD_SET, "users.uniques", 0, "1234", "", 1, 0, 0, "users.uniques:1234|s\n" },
    { "a set's member may hold colons", SONDE_STATSD_SET, "u", 0, "a:b|c\nd", "", 1, 0, 0,
      "u:a:b_c_d|s\n" },
    { "several tags", SONDE_STATSD_COUNT, "users.online", 1, "", "country:china,pro", 1, 0, 0,
      "users.online:1|c|#country:china,pro\n" },
    { "all at once", SONDE_STATSD_COUNT, "users.online", 1, "", "country:china", 0.5, 0, 0,
      "users.online:1|c|@0.5|#country:china\n" },
    { "distribution", SONDE_STATSD_DISTRIBUTION, "d", 1e-7, "", "", 1, 0, 0, "d:1e-7|d\n" },
    { "timing", SONDE_STATSD_TIMING, "t", 320, "", "", 1, 0, 0, "t:320|ms\n" },
    { "time of a gauge", SONDE_STATSD_GAUGE, "page.views", 15, "", "env:dev", 1, 1656581400, 0,
      "page.views:15|g|#env:dev|T1656581400\n" },
    { "cardinality", SONDE_STATSD_GAUGE, "page.views", 15, "", "env:dev", 1, 0,
      SONDE__CARDINALITY_LOW, "page.views:15|g|#env:dev|card:low\n" },
    { "what would end the name", SONDE_STATSD_COUNT, "a:b|c\nd\re", 1, "", "", 1, 0, 0,
      "a_b_c_d_e:1|c\n" },
    { "a name must not look like a check", SONDE_STATSD_COUNT, "_scan", 1, "", "", 1, 0, 0,
      "scan:1|c\n" },
    { "nor like an event", SONDE_STATSD_COUNT, "_e{x", 1, "", "", 1, 0, 0, "e{x:1|c\n" },
    { "another underscore stays", SONDE_STATSD_COUNT, "_x", 1, "", "", 1, 0, 0, "_x:1|c\n" },
    { "what would end the tags", SONDE_STATSD_COUNT, "a", 1, "", "k:v|w\n#x,y\t", 1, 0, 0,
      "a:1|c|#k:v_w_#x,y_\n" },
    { "empty tags are left out", SONDE_STATSD_COUNT, "a", 1, "", ",,b,,c,", 1, 0, 0,
      "a:1|c|#b,c\n" },
    { "nothing but commas", SONDE_STATSD_COUNT, "a", 1, "", ",,", 1, 0, 0, "a:1|c\n" },
    { "UTF-8 stays", SONDE_STATSD_COUNT,
      "gr\xc3\xb6\xc3\x9f"
      "e",
      1, "", "stadt:k\xc3\xb6ln", 1, 0, 0,
      "gr\xc3\xb6\xc3\x9f"
      "e:1|c|#stadt:k\xc3\xb6ln\n" },
    { "large", SONDE_STATSD_COUNT, "a", 9007199254740992.0, "", "", 1, 0, 0,
      "a:9007199254740992|c\n" },
};

static void expect(const char *label, const char *from, const char *behind, const char *want)
{
    if (!behind)
        fail_msg("%s: did not fit", label);
    if ((size_t)(behind - from) != strlen(want) || memcmp(from, want, strlen(want)) != 0)
        fail_msg("%s: got %.*s, want %s", label, (int)(behind - from), from, want);
}

static sonde__statsd_line line_of(const struct metric_case *c)
{
    return (sonde__statsd_line){ .type = (int32_t)c->type,
                                 .cardinality = c->cardinality,
                                 .name = sonde_str_from(c->name),
                                 .tags = sonde_str_from(c->tags),
                                 .member = sonde_str_from(c->member),
                                 .values = &c->value,
                                 .values_len = 1,
                                 .rate = c->rate,
                                 .unix_s = c->unix_s };
}

static void test_metrics_have_the_bytes_of_the_protocol(void **state)
{
    char got[512];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(metrics); i++) {
        sonde__statsd_line line = line_of(&metrics[i]);
        size_t at = 0;
        char *behind = sonde__statsd_put_metric(&bare, &line, &at, got, got + sizeof(got));

        expect(metrics[i].label, got, behind, metrics[i].want);
        assert_int_equal(at, 1);
    }
}

static void test_a_line_that_does_not_fit_is_not_put(void **state)
{
    char got[512];
    size_t i, room;

    (void)state;
    for (i = 0; i < COUNT_OF(metrics); i++) {
        sonde__statsd_line line = line_of(&metrics[i]);
        size_t needed = strlen(metrics[i].want);
        bool is_shortened = metrics[i].name[0] == '_'; /* takes room for a moment */

        for (room = 0; room <= needed + 1; room++) {
            size_t at = 0;
            char *behind;

            got[room] = '!';
            behind = sonde__statsd_put_metric(&bare, &line, &at, got, got + room);
            if ((behind != NULL) != (room >= needed) && !(is_shortened && room == needed))
                fail_msg("%s: %zu bytes of room", metrics[i].label, room);
            assert_int_equal(at, behind ? 1 : 0);
            assert_int_equal(got[room], '!');
        }
    }
}

static void test_what_a_client_has_is_on_every_line(void **state)
{
    static const sonde__statsd_shared shared = {
        .prefix = { "shop.", 5 },
        .tags = { "env:dev", 7 },
        .local_data = { "ci-" CONTAINER, 3 + sizeof(CONTAINER) - 1 },
        .external_data = { "it-false,cn-nginx-web,pu-\x01|75a2", 31 },
        .cardinality = SONDE__CARDINALITY_ORCHESTRATOR,
    };
    const char *const want = "shop.a:1|c|#env:dev,b|c:ci-" CONTAINER
                             "|e:it-false,cn-nginx-web,pu-75a2|card:orchestrator\n";
    double one = 1;
    sonde__statsd_line line = {
        .name = SONDE_STR("a"), .tags = SONDE_STR("b"), .values = &one, .values_len = 1, .rate = 1
    };
    char got[512];
    size_t at = 0;

    (void)state;
    expect("shared", got, sonde__statsd_put_metric(&shared, &line, &at, got, got + sizeof(got)),
           want);
    line.cardinality = SONDE__CARDINALITY_HIGH;
    at = 0;
    assert_non_null(sonde__statsd_put_metric(&shared, &line, &at, got, got + sizeof(got)));
    assert_non_null(strstr(got, "|card:high\n"));
}

static void test_values_are_packed_as_far_as_there_is_room(void **state)
{
    static const double values[] = { 1, 2, 32, 4, 5 };
    sonde__statsd_line line = { .type = SONDE_STATSD_DISTRIBUTION,
                                .name = SONDE_STR("page.views"),
                                .tags = SONDE_STR("a"),
                                .values = values,
                                .values_len = 5,
                                .rate = 1 };
    char got[64];
    size_t at = 0;

    (void)state;
    expect("all", got, sonde__statsd_put_metric(&bare, &line, &at, got, got + sizeof(got)),
           "page.views:1:2:32:4:5|d|#a\n");
    assert_int_equal(at, 5);
    at = 0;
    expect("some", got, sonde__statsd_put_metric(&bare, &line, &at, got, got + 23),
           "page.views:1:2:32|d|#a\n");
    assert_int_equal(at, 3);
    expect("the rest", got, sonde__statsd_put_metric(&bare, &line, &at, got, got + 23),
           "page.views:4:5|d|#a\n");
    at = 0;
    assert_null(sonde__statsd_put_metric(&bare, &line, &at, got, got + 17));
    assert_int_equal(at, 0);
}

/* -- events, service checks ----------------------------------------------------------------------- */

static void test_events_have_the_bytes_of_the_protocol(void **state)
{
    static const struct {
        const char *label;
        sonde_statsd_event event;
        const char *want;
    } cases[] = {
        { "plain",
          { .title = "An exception occurred",
            .text = "Cannot parse CSV file from 10.0.0.17",
            .alert_type = "warning",
            .tags = "err_type:bad_file" },
          "_e{21,36}:An exception occurred|Cannot parse CSV file from "
          "10.0.0.17|t:warning|#err_type:bad_file\n" },
        { "lines count two bytes",
          { .title = "An exception occurred",
            .text = "Cannot parse JSON request:\n{\"foo: \"bar\"}",
            .priority = "low",
            .tags = "err_type:bad_request" },
          "_e{21,41}:An exception occurred|Cannot parse JSON request:\\n{\"foo: "
          "\"bar\"}|p:low|#err_type:bad_request\n" },
        { "no text", { .title = "t" }, "_e{1,0}:t|\n" },
        { "bytes, not characters",
          { .title = "\xc3\xb6", .text = "a|b" },
          "_e{2,3}:\xc3\xb6|a|b\n" },
        { "everything",
          { .title = "t",
            .text = "x",
            .unix_s = 1700000000,
            .host = "h|1",
            .aggregation_key = "k",
            .priority = "normal",
            .source_type = "s",
            .alert_type = "error",
            .tags = "a:b",
            .cardinality = "high" },
          "_e{1,1}:t|x|d:1700000000|h:h_1|k:k|p:normal|s:s|t:error|#a:b|card:high\n" },
    };
    char got[512];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        expect(cases[i].label, got,
               sonde__statsd_put_event(&bare, &cases[i].event, got, got + sizeof(got)),
               cases[i].want);
}

static void test_checks_have_the_bytes_of_the_protocol(void **state)
{
    static const struct {
        const char *label;
        sonde_statsd_check check;
        const char *want;
    } cases[] = {
        { "plain", { .name = "db", .state = SONDE_STATSD_OK }, "_sc|db|0\n" },
        { "message behind the tags",
          { .name = "Redis connection",
            .state = SONDE_STATSD_CRITICAL,
            .message = "Redis connection timed out after 10s",
            .tags = "env:dev" },
          "_sc|Redis connection|2|#env:dev|m:Redis connection timed out after 10s\n" },
        { "what would end the message",
          { .name = "a|b", .state = SONDE_STATSD_UNKNOWN, .message = "from:1\n|m:x" },
          "_sc|a_b|3|m:from\\:1\\n_m\\:x\n" },
        { "everything",
          { .name = "a",
            .state = SONDE_STATSD_WARNING,
            .message = "x",
            .unix_s = 5,
            .host = "h",
            .tags = "t",
            .cardinality = "none" },
          "_sc|a|1|d:5|h:h|#t|m:x|card:none\n" },
    };
    char got[512];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        expect(cases[i].label, got,
               sonde__statsd_put_check(&bare, &cases[i].check, got, got + sizeof(got)),
               cases[i].want);
}

/* -- whatever is given ---------------------------------------------------------------------------- */

static void fill(sonde_rng *r, char *to, size_t max)
{
    size_t len = sonde_rng_next(r) % max;
    size_t i;

    for (i = 0; i < len; i++)
        to[i] = (char)(1 + sonde_rng_next(r) % 255); /* no NUL */
    to[len] = '\0';
}

/* One line feed, at the end; for a metric one ':' in front of the number and as many '|' as fields. */
static void test_any_text_makes_one_valid_line(void **state)
{
    char name[40], tags[60], member[20], got[256];
    sonde_rng rng;
    int round;

    (void)state;
    sonde_rng_seed(&rng, 20261125);
    for (round = 0; round < 20000; round++) {
        double value = sonde_rng_unit(&rng);
        sonde__statsd_line line = { .type = (int32_t)(sonde_rng_next(&rng) % SONDE_STATSD_TYPES),
                                    .values = &value,
                                    .values_len = 1,
                                    .rate = 1 };
        size_t at = 0;
        char *behind, *colon;

        fill(&rng, name + 1, sizeof(name) - 1);
        fill(&rng, tags, sizeof(tags));
        fill(&rng, member + 1, sizeof(member) - 1);
        name[0] = (char)(round % 3 ? 'n' : '_');
        member[0] = 'm';
        line.name = sonde_str_from(name);
        line.tags = sonde_str_from(tags);
        line.member = sonde_str_from(member);
        behind = sonde__statsd_put_metric(&bare, &line, &at, got, got + sizeof(got));
        assert_non_null(behind);
        assert_ptr_equal(memchr(got, '\n', (size_t)(behind - got)), behind - 1);
        assert_null(memchr(got, '\r', (size_t)(behind - got)));
        colon = (char *)memchr(got, ':', (size_t)(behind - got));
        assert_non_null(colon);
        assert_true(colon > got);
        assert_null(memchr(got, '|', (size_t)(colon - got)));
        assert_memory_not_equal(got, "_sc", 3);
        assert_memory_not_equal(got, "_e{", 3);
        *behind = '\0';
        colon = strchr(got, '|');
        assert_non_null(colon);
        colon = strchr(colon + 1, '|');
        if (colon) {
            assert_int_equal(colon[1], '#');
            assert_null(strchr(colon + 1, '|'));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_have_the_bytes_of_the_protocol),
        cmocka_unit_test(test_a_line_that_does_not_fit_is_not_put),
        cmocka_unit_test(test_what_a_client_has_is_on_every_line),
        cmocka_unit_test(test_values_are_packed_as_far_as_there_is_room),
        cmocka_unit_test(test_events_have_the_bytes_of_the_protocol),
        cmocka_unit_test(test_checks_have_the_bytes_of_the_protocol),
        cmocka_unit_test(test_any_text_makes_one_valid_line),
    };

    return cmocka_run_group_tests_name("statsd_line", tests, NULL, NULL);
}
