/* What happens to a tracer's statistics before they are added up. */
#include "agent/processor/client_stats.h"

#include <string.h>

#include "codec/obfuscate.h"
#include "support/test.h"

#define GROUPS 4

typedef struct fixture {
    payload *p;
    client_stats stats;
    stats_bucket bucket;
    stats_group groups[GROUPS];
    client_stats_stage stage;
} fixture;

static void begin(fixture *f, uint32_t groups, client_stats_rules rules)
{
    memset(f, 0, sizeof(*f));
    f->p = payload_new(1 << 20);
    assert_non_null(f->p);
    f->p->stats = &f->stats;
    f->stats.buckets = &f->bucket;
    f->stats.buckets_len = 1;
    f->bucket.groups = f->groups;
    f->bucket.groups_len = groups;
    client_stats_stage_init(&f->stage, SONDE_STR("none"), rules);
}

static void finish(fixture *f)
{
    const client_stats_stage *s = &f->stage;

    client_stats_run(&f->stage, f->p);
    assert_int_equal(s->groups_in, s->groups_out + s->groups_ignored + s->groups_no_memory);
}

static void assert_text(const char *label, sonde_str got, const char *want)
{
    if (!sonde_str_eq(got, sonde_str_from(want)))
        fail_msg("%s: got \"%.*s\", want \"%s\"", label, SONDE_STR_ARG(got), want);
}

static void test_texts_become_as_the_agent_has_them(void **state)
{
    static const struct {
        const char *label;
        const char *service, *name, *resource, *type;
        const char *want_service, *want_name, *want_resource;
        bool obfuscated;
    } rows[] = {
        { "clean", "web", "http.request", "GET /", "web", "web", "http.request", "GET /", false },
        { "odd", "Web Store", "HTTP Request", "", "", "web_store", "HTTP_Request", "HTTP_Request",
          false },
        { "empty", "", "", "", "", "unnamed-c-service", "unnamed_operation", "unnamed_operation",
          false },
        { "sql", "db", "q", "SELECT * FROM t WHERE id = 42", "sql", "db", "q",
          "SELECT * FROM t WHERE id = ?", false },
        { "cassandra", "db", "q", "SELECT a FROM t WHERE id = 'x'", "cassandra", "db", "q",
          "SELECT a FROM t WHERE id = ?", false },
        { "not parsable", "db", "q", "SELECT 'x", "sql", "db", "q", "Non-parsable SQL query",
          false },
        { "redis", "r", "q", "GET k\nSET k v", "redis", "r", "q", "GET SET", false },
        { "valkey", "r", "q", "GET k", "valkey", "r", "q", "GET", false },
        { "web is left alone", "w", "q", "SELECT 42", "web", "w", "q", "SELECT 42", false },
        { "done by the tracer", "db", "q", "SELECT 42", "sql", "db", "q", "SELECT 42", true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fixture f;

        begin(&f, 1, (client_stats_rules){ 0 });
        f.p->language_name = SONDE_STR("c");
        f.stats.obfuscated = rows[i].obfuscated;
        f.groups[0] = (stats_group){ .service = sonde_str_from(rows[i].service),
                                     .name = sonde_str_from(rows[i].name),
                                     .resource = sonde_str_from(rows[i].resource),
                                     .type = sonde_str_from(rows[i].type) };
        finish(&f);
        assert_text(rows[i].label, f.groups[0].service, rows[i].want_service);
        assert_text(rows[i].label, f.groups[0].name, rows[i].want_name);
        assert_text(rows[i].label, f.groups[0].resource, rows[i].want_resource);
        payload_free(f.p);
    }
}

static void test_a_long_resource_is_cut_between_characters(void **state)
{
    char text[5001];
    fixture f;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + 4999, "\xc3\xa9", 2);
    begin(&f, 1, (client_stats_rules){ 0 });
    f.groups[0].resource = (sonde_str){ text, sizeof(text) };
    finish(&f);
    assert_int_equal(f.groups[0].resource.len, 4999);
    payload_free(f.p);

    begin(&f, 1, (client_stats_rules){ .resource_max_bytes = 15000 });
    f.groups[0].resource = (sonde_str){ text, sizeof(text) };
    finish(&f);
    assert_int_equal(f.groups[0].resource.len, sizeof(text));
    payload_free(f.p);
}

static void test_the_agents_env_stands_for_an_empty_one(void **state)
{
    static const char *const rows[][2] = { { "", "none" }, { "Prod 1", "prod_1" }, { "x", "x" } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fixture f;

        begin(&f, 0, (client_stats_rules){ 0 });
        f.stats.env = sonde_str_from(rows[i][0]);
        finish(&f);
        assert_text(rows[i][0], f.stats.env, rows[i][1]);
        payload_free(f.p);
    }
}

static stats_group hit(const char *resource, const char *type, uint64_t hits)
{
    return (stats_group){ .service = SONDE_STR("db"),
                          .name = SONDE_STR("q"),
                          .resource = sonde_str_from(resource),
                          .type = sonde_str_from(type),
                          .hits = hits,
                          .errors = 1,
                          .top_level_hits = hits,
                          .duration_ns = 10 * hits };
}

/* Hits, errors and durations move to the first; the rest stays, and so does the entry. */
static void test_groups_that_become_equal_are_merged_whatever_their_type(void **state)
{
    fixture f;

    (void)state;
    begin(&f, 4, (client_stats_rules){ 0 });
    f.groups[0] = hit("SELECT 1", "sql", 1);
    f.groups[1] = hit("SELECT 2", "sql", 2);
    f.groups[2] = hit("SELECT ?", "custom", 4);
    f.groups[3] = hit("SELECT ?", "sql", 8);
    f.groups[3].span_kind = SONDE_STR("client"); /* another key */
    finish(&f);
    assert_int_equal(f.bucket.groups_len, 4);
    assert_int_equal(f.groups[0].hits, 7);
    assert_int_equal(f.groups[0].errors, 3);
    assert_int_equal(f.groups[0].duration_ns, 70);
    assert_int_equal(f.groups[0].top_level_hits, 1);
    assert_int_equal(f.groups[1].hits + f.groups[1].errors + f.groups[1].duration_ns, 0);
    assert_int_equal(f.groups[1].top_level_hits, 2);
    assert_int_equal(f.groups[2].hits, 0);
    assert_int_equal(f.groups[3].hits, 8);
    assert_int_equal(f.stage.groups_merged, 2);
    payload_free(f.p);
}

static bool keeps_all_but_health(void *user, const stats_group *g)
{
    (void)user;
    return !sonde_str_eq(g->resource, SONDE_STR("GET /health"));
}

static sonde_status replaces(void *user, sonde_arena *arena, stats_group *g)
{
    (void)user, (void)arena;
    g->resource = SONDE_STR("replaced");
    return SONDE_OK;
}

static void test_rules_drop_groups_and_rewrite_them(void **state)
{
    fixture f;

    (void)state;
    begin(&f, 2, (client_stats_rules){ .keeps = keeps_all_but_health, .replace = replaces });
    f.groups[0] = hit("GET /health", "web", 1);
    f.groups[1] = hit("GET /", "web", 2);
    finish(&f);
    assert_int_equal(f.bucket.groups_len, 1);
    assert_text("kept", f.groups[0].resource, "replaced");
    assert_int_equal(f.groups[0].hits, 2);
    assert_int_equal(f.stage.groups_ignored, 1);
    payload_free(f.p);
}

static void test_a_full_arena_drops_a_group_and_counts_it(void **state)
{
    static char resource[16000] = "SELECT ";
    fixture f;

    (void)state;
    begin(&f, 2, (client_stats_rules){ 0 });
    payload_free(f.p);
    f.p = payload_new(4096);
    assert_non_null(f.p);
    f.p->stats = &f.stats;
    f.p->body.len = 32768;
    memset(resource + 7, 'a', sizeof(resource) - 7);
    f.groups[0] = hit("x", "sql", 1);
    f.groups[0].resource = (sonde_str){ resource, sizeof(resource) };
    f.groups[1] = hit("GET /", "web", 2);
    finish(&f);
    assert_int_equal(f.stage.groups_no_memory, 1);
    assert_int_equal(f.bucket.groups_len, 1);
    assert_int_equal(f.groups[0].hits, 2);
    payload_free(f.p);
}

static void test_statements_are_read_as_those_of_spans(void **state)
{
    fixture f;

    (void)state;
    begin(&f, 1, (client_stats_rules){ .sql.flags = SONDE_SQL_REPLACE_DIGITS });
    f.groups[0] = hit("SELECT a FROM jobs_2020 WHERE b = 5", "sql", 1);
    finish(&f);
    assert_text("digits", f.groups[0].resource, "SELECT a FROM jobs_? WHERE b = ?");
    payload_free(f.p);

    begin(&f, 1, (client_stats_rules){ .sql = { .mode = SONDE_SQL_OBFUSCATE_ONLY } });
    f.groups[0] = hit("SELECT  a FROM t WHERE b=5", "sql", 1);
    finish(&f);
    assert_text("mode", f.groups[0].resource, "SELECT  a FROM t WHERE b=?");
    payload_free(f.p);

    begin(&f, 1, (client_stats_rules){ .sql.by_db_type = true });
    f.groups[0] = hit("SELECT [a] FROM t", "sql", 1);
    f.groups[0].db_type = SONDE_STR("sqlserver");
    finish(&f);
    assert_text("dialect", f.groups[0].resource, "SELECT a FROM t");
    payload_free(f.p);

    begin(&f, 2, (client_stats_rules){ .keeps = NULL });
    f.groups[0] = hit("SELECT 'C:\\' x", "sql", 1);
    f.groups[1] = hit("SELECT 'a\\' b, 'c'", "sql", 1);
    finish(&f);
    assert_text("what a backslash means is remembered", f.groups[1].resource, "SELECT ? b, ?");
    payload_free(f.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_become_as_the_agent_has_them),
        cmocka_unit_test(test_a_long_resource_is_cut_between_characters),
        cmocka_unit_test(test_the_agents_env_stands_for_an_empty_one),
        cmocka_unit_test(test_groups_that_become_equal_are_merged_whatever_their_type),
        cmocka_unit_test(test_rules_drop_groups_and_rewrite_them),
        cmocka_unit_test(test_a_full_arena_drops_a_group_and_counts_it),
        cmocka_unit_test(test_statements_are_read_as_those_of_spans),
    };

    return cmocka_run_group_tests_name("client_stats", tests, NULL, NULL);
}
