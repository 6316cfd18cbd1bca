/* test_obfuscate.c - which texts of which spans the processor takes values out of. */
#include <string.h>

#include "agent/config/config.h"
#include "agent/processor/processor.h"
#include "base/rng.h"
#include "support/test.h"

static const char *const no_environment[] = { NULL };

static agent_config *config_of(const char *yaml)
{
    const config_options options = { .environment = (char *const *)no_environment };
    agent_config *c = NULL;

    assert_status(config_load_text(&options, sonde_str_from(yaml), "test", &c, NULL), SONDE_OK);
    assert_int_equal(c->warnings_len, 0);
    return c;
}

static processor *processor_of(const char *yaml)
{
    agent_config *c = yaml ? config_of(yaml) : NULL;
    processor *p = NULL;

    assert_status(processor_open(&(processor_options){ .config = c }, &p), SONDE_OK);
    config_put(c);
    return p;
}

/* One chunk of one span with one tag. */
static payload *payload_of(const char *type, const char *resource, const char *key,
                           const char *value)
{
    payload *p = payload_new(16u << 20);
    payload_span *s;

    p->chunks = sonde_arena_zalloc(&p->arena, 1, sizeof(*p->chunks));
    p->chunks_len = 1;
    p->chunks[0].priority = PRIORITY_NONE;
    p->chunks[0].spans_len = 1;
    p->chunks[0].spans = s = sonde_arena_zalloc(&p->arena, 1, sizeof(*s));
    *s = (payload_span){ .service = SONDE_STR("s"),
                         .name = SONDE_STR("op"),
                         .resource = sonde_str_from(resource),
                         .type = sonde_str_from(type),
                         .trace_id = 1,
                         .span_id = 2,
                         .start = 1700000000000000000,
                         .duration = 1 };
    if (key)
        assert_status(span_meta_set(s, &p->arena, sonde_str_from(key), sonde_str_from(value)),
                      SONDE_OK);
    return p;
}

static void assert_tag(const payload *p, const char *key, const char *want)
{
    const sonde_str *got = span_meta_get(&p->chunks[0].spans[0], sonde_str_from(key));

    if ((got != NULL) != (want != NULL) || (got && !sonde_str_eq(*got, sonde_str_from(want))))
        fail_msg("%s: got %.*s, want %s", key, got ? (int)got->len : 6, got ? got->ptr : "(none)",
                 want ? want : "(none)");
}

static void assert_resource(const payload *p, const char *want)
{
    sonde_str got = p->chunks[0].spans[0].resource;

    if (!sonde_str_eq(got, sonde_str_from(want)))
        fail_msg("got %.*s, want %s", SONDE_STR_ARG(got), want);
}

static const char every_json_off[] = "apm_config:\n"
                                     "  obfuscation:\n"
                                     "    elasticsearch: {enabled: false}\n"
                                     "    opensearch: {enabled: false}\n"
                                     "    mongodb: {enabled: false}\n"
                                     "    redis: {enabled: false}\n"
                                     "    valkey: {enabled: false}\n"
                                     "    memcached: {enabled: false}\n"
                                     "    credit_cards: {enabled: false}\n";
static const char more[] = "apm_config:\n"
                           "  obfuscation:\n"
                           "    elasticsearch: {keep_values: [a]}\n"
                           "    mongodb: {obfuscate_sql_values: [q]}\n"
                           "    redis: {remove_all_args: true}\n"
                           "    memcached: {keep_command: true}\n"
                           "    http: {remove_query_string: true, remove_paths_with_digits: true}\n"
                           "    credit_cards: {luhn: true, keep_values: [known]}\n";

static void test_tags_are_rewritten_by_type(void **state)
{
    static const struct {
        const char *yaml, *type, *key, *value, *want;
    } cases[] = {
        { NULL, "redis", "redis.raw_command", "SET a b", "SET a ?" },
        { NULL, "valkey", "valkey.raw_command", "SET a b", "SET a ?" },
        { NULL, "valkey", "redis.raw_command", "SET a b", "SET a b" },
        { NULL, "memcached", "memcached.command", "set k 0 60 5\r\nhello", "" },
        { NULL, "web", "http.url", "http://u:p@h/a?b=1", "http://h/a?b=1" },
        { NULL, "http", "http.url", "http://u:p@h/a?b=1", "http://h/a?b=1" },
        { NULL, "rpc", "http.url", "http://u:p@h/a?b=1", "http://u:p@h/a?b=1" },
        { NULL, "mongodb", "mongodb.query", "{\"a\":1}", "{\"a\":\"?\"}" },
        { NULL, "mongodb", "elasticsearch.body", "{\"a\":1}", "{\"a\":1}" },
        { NULL, "elasticsearch", "elasticsearch.body", "{\"a\":1}", "{\"a\":\"?\"}" },
        { NULL, "elasticsearch", "opensearch.body", "{\"a\":1}", "{\"a\":\"?\"}" },
        { NULL, "opensearch", "elasticsearch.body", "{\"a\":1}", "{\"a\":\"?\"}" },
        { NULL, "opensearch", "opensearch.body", "{\"a\":1}", "{\"a\":\"?\"}" },
        { NULL, "opensearch", "opensearch.body", "", "" },
        { NULL, "sql", "db.statement", "SELECT 1 FROM t", "SELECT ? FROM t" },
        { NULL, "cassandra", "db.query.text", "SELECT 1 FROM t", "SELECT ? FROM t" },
        { NULL, "sql", "db.query.text", "SELECT 'open", "Non-parsable SQL query" },
        { NULL, "web", "db.statement", "SELECT 1 FROM t", "SELECT 1 FROM t" },
        { NULL, "redis", "db.statement", "SET a b", "SET a ?" },
        { NULL, "valkey", "db.query.text", "SET a b", "SET a ?" },
        { NULL, "mongodb", "db.statement", "{\"a\":1}", "{\"a\":\"?\"}" },
        { NULL, "opensearch", "db.query.text", "{\"a\":1}", "{\"a\":\"?\"}" },
        { every_json_off, "redis", "db.statement", "SET a b", "SET a b" },
        { every_json_off, "mongodb", "db.statement", "{\"a\":1}", "{\"a\":1}" },
        { NULL, "web", "card", "4111111111111111", "?" },
        { NULL, "", "card", "4532015112830367", "?" },
        { NULL, "", "account_id", "4111111111111111", "4111111111111111" },
        { NULL, "", "_card", "4111111111111111", "4111111111111111" },
        { every_json_off, "redis", "redis.raw_command", "SET a b", "SET a b" },
        { every_json_off, "valkey", "valkey.raw_command", "SET a b", "SET a b" },
        { every_json_off, "memcached", "memcached.command", "get k", "get k" },
        { every_json_off, "mongodb", "mongodb.query", "{\"a\":1}", "{\"a\":1}" },
        { every_json_off, "opensearch", "elasticsearch.body", "{\"a\":1}", "{\"a\":1}" },
        { every_json_off, "elasticsearch", "opensearch.body", "{\"a\":1}", "{\"a\":1}" },
        { every_json_off, "", "card", "4111111111111111", "4111111111111111" },
        { more, "redis", "redis.raw_command", "SET a b c", "SET ?" },
        { more, "valkey", "valkey.raw_command", "SET a b c", "SET a ? c" },
        { more, "memcached", "memcached.command", "set k 0 60 5\r\nhello", "set k 0 60 5" },
        { more, "web", "http.url", "/a/b1/c?q=2", "/a/?/c?" },
        { more, "elasticsearch", "elasticsearch.body", "{\"a\":1,\"b\":2}",
          "{\"a\":1,\"b\":\"?\"}" },
        { more, "elasticsearch", "opensearch.body", "{\"a\":1}", "{\"a\":\"?\"}" },
        { more, "mongodb", "mongodb.query", "{\"q\":\"SELECT 1 FROM t\"}",
          "{\"q\":\"SELECT ? FROM t\"}" },
        { more, "", "card", "4532015112830367", "4532015112830367" },
        { more, "", "card", "4111111111111111", "?" },
        { more, "", "known", "4111111111111111", "4111111111111111" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        processor *p = processor_of(cases[i].yaml);
        payload *pl = payload_of(cases[i].type, "r", cases[i].key, cases[i].value);

        processor_run(p, pl);
        assert_tag(pl, cases[i].key, cases[i].want);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_resources_are_rewritten_by_type(void **state)
{
    static const struct {
        const char *type, *resource, *want, *want_query; /* meta sql.query */
    } cases[] = {
        { "sql", "SELECT a FROM t WHERE b = 5", "SELECT a FROM t WHERE b = ?",
          "SELECT a FROM t WHERE b = ?" },
        { "cassandra", "SELECT a FROM t WHERE b = 5", "SELECT a FROM t WHERE b = ?",
          "SELECT a FROM t WHERE b = ?" },
        { "sql", "SELECT 'open", "Non-parsable SQL query", "Non-parsable SQL query" },
        { "sql", "SELECT a FROM t", "SELECT a FROM t", "SELECT a FROM t" },
        { "SQL", "SELECT 5", "SELECT 5", NULL },
        { "redis", "get user:1", "GET", NULL },
        { "valkey", "config set a b", "CONFIG SET", NULL },
        { "web", "GET /5", "GET /5", NULL },
    };
    processor *p = processor_of(NULL);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload *pl = payload_of(cases[i].type, cases[i].resource, NULL, NULL);

        processor_run(p, pl);
        assert_resource(pl, cases[i].want);
        assert_tag(pl, "sql.query", cases[i].want_query);
        payload_free(pl);
    }
    processor_close(p);
}

static void test_modes_and_dialects_are_those_of_the_configuration(void **state)
{
    static const struct {
        const char *yaml, *db_type, *resource, *want;
    } cases[] = {
        { NULL, "mssql", "SELECT  [a] AS b, 1", "SELECT [ a ], ?" },
        { "sonde: {sql_keep_prefix: true}", NULL, "SELECT a, 'cut", "SELECT a,..." },
        { "sonde: {sql_dialects: true}", "mssql", "SELECT  [a] AS b, 1", "SELECT a, ?" },
        { "sonde: {sql_dialects: true}", "sqlserver", "SELECT [a]", "SELECT a" },
        { "sonde: {sql_dialects: true}", "postgres", "SELECT a->'k'", "SELECT a -> ?" },
        { "sonde: {sql_dialects: true}", NULL, "SELECT a->'k'", "SELECT a ? > ?" },
        { "apm_config: {sql_obfuscation_mode: obfuscate_only}", NULL, "SELECT  [a]  AS b, 1",
          "SELECT  [a]  AS b, ?" },
        { "apm_config: {sql_obfuscation_mode: obfuscate_only}", "mysql", "SELECT `1` # 1",
          "SELECT `1` # 1" },
        { "apm_config: {sql_obfuscation_mode: obfuscate_only}", NULL, "SELECT 'open", "SELECT ?" },
        { "apm_config: {sql_obfuscation_mode: normalize_only}", NULL, "SELECT  1 AS b;",
          "SELECT 1" },
        { "apm_config: {sql_obfuscation_mode: obfuscate_and_normalize}", "mssql",
          "SELECT  [a] AS b FROM t WHERE c IN (1, 2)", "SELECT a FROM t WHERE c IN ( ? )" },
        { "apm_config: {features: [sqllexer]}", NULL, "SELECT  1", "SELECT  ?" },
        { "apm_config: {features: [sqllexer], sql_obfuscation_mode: normalize_only}", NULL,
          "SELECT  1", "SELECT 1" },
        { "apm_config: {sql_obfuscation_mode: obfuscate_and_normalize, features: [keep_sql_alias]}",
          NULL, "SELECT  a AS b", "SELECT a AS b" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        processor *p = processor_of(cases[i].yaml);
        payload *pl = payload_of("sql", cases[i].resource, cases[i].db_type ? "db.type" : NULL,
                                 cases[i].db_type);

        processor_run(p, pl);
        assert_resource(pl, cases[i].want);
        assert_tag(pl, "sql.query", cases[i].want);
        payload_free(pl);
        processor_close(p);
    }
}

static void test_each_dialect_remembers_what_a_backslash_means(void **state)
{
    static const struct {
        const char *db_type, *resource, *want;
    } cases[] = {
        /* makes sense only with the backslash standing for itself */
        { "mssql", "SELECT 'C:\\' x", "SELECT ? x" },
        { "mssql", "SELECT 'a\\' AND b = 'c\\' d", "SELECT ? AND b = ? d" },
        /* read so first, this were two literals */
        { "mssql", "SELECT 'a\\' b, 'c'", "SELECT ? b, ?" },
        { "mysql", "SELECT 'a\\' b, 'c' d'", "SELECT ? c ?" },
    };
    processor *p = processor_of("sonde: {sql_dialects: true}");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        payload *pl = payload_of("sql", cases[i].resource, "db.type", cases[i].db_type);

        processor_run(p, pl);
        assert_resource(pl, cases[i].want);
        payload_free(pl);
    }
    processor_close(p);
}

static void test_values_are_taken_out_before_texts_are_cut(void **state)
{
    static char statement[8000];
    processor *p = processor_of(NULL);
    payload *pl;

    (void)state;
    memset(statement, 'x', sizeof(statement) - 1);
    memcpy(statement, "SELECT '", 8);
    statement[sizeof(statement) - 2] = '\'';
    pl = payload_of("sql", statement, NULL, NULL);
    processor_run(p, pl);
    assert_resource(pl, "SELECT ?");
    payload_free(pl);
    processor_close(p);
}

static void test_a_long_literal_is_a_literal(void **state)
{
    static char statement[200000];
    processor *p = processor_of(NULL);
    payload *pl;

    (void)state;
    memset(statement, 'x', sizeof(statement) - 1);
    memcpy(statement, "SELECT '", 8);
    statement[sizeof(statement) - 2] = '\'';
    pl = payload_of("sql", statement, NULL, NULL);
    processor_run(p, pl);
    assert_resource(pl, "SELECT ?");
    payload_free(pl);
    processor_close(p);
}

/* What dd-trace sends, from captured requests. */
static void test_real_clients_leave_no_value(void **state)
{
    processor *p = processor_of(NULL);
    payload *pl = payload_of(
        "sql", "SELECT id, name FROM users WHERE email = 'a@b.example' AND age > 42 LIMIT 10", NULL,
        NULL);

    (void)state;
    processor_run(p, pl);
    assert_resource(pl, "SELECT id, name FROM users WHERE email = ? AND age > ? LIMIT ?");
    payload_free(pl);
    pl = payload_of("redis", "set", "redis.raw_command", "SET session:1234 secret-value");
    processor_run(p, pl);
    assert_resource(pl, "SET");
    assert_tag(pl, "redis.raw_command", "SET session:1234 ?");
    payload_free(pl);
    processor_close(p);
}

/* Without room for the new text the chunk goes, not the old text on. */
static void test_a_full_arena_drops_the_chunk(void **state)
{
    static char statement[6000];
    payload_chunk chunk = { .priority = PRIORITY_NONE, .spans_len = 1 };
    payload *pl = payload_new(4096);
    processor *p = processor_of(NULL);
    payload_span span = { .service = SONDE_STR("s"),
                          .name = SONDE_STR("op"),
                          .type = SONDE_STR("sql"),
                          .trace_id = 1,
                          .span_id = 2,
                          .start = 1700000000000000000 };

    (void)state;
    memset(statement, 'x', sizeof(statement));
    memcpy(statement, "SELECT 5 ", 9);
    span.resource = (sonde_str){ statement, sizeof(statement) };
    chunk.spans = &span;
    pl->chunks = &chunk;
    pl->chunks_len = 1;
    processor_run(p, pl);
    assert_int_equal(pl->chunks_len, 0);
    assert_int_equal(processor_read_counters(p)->chunks_dropped[PROCESSOR_DROP_NO_MEMORY], 1);
    payload_free(pl);
    processor_close(p);
}

static size_t random_text(sonde_rng *rng, char *out, size_t room)
{
    static const char *const pieces[] = {
        "SELECT ",
        "'",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "4111111111111111",
        " ",
        "\n",
        "SET ",
        "k",
        "\xc3\xa9",
        "\xf0\x9f\x8d\xa3",
        "http://",
        "u:p@",
        "/",
        "?",
        "#",
        "%41",
        "$$",
        "--",
        "1.5",
        "FROM",
        "t",
        "(",
        ")",
        "AS ",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    };
    size_t len = 0;

    for (size_t n = sonde_rng_next(rng) % 400; n > 0; n--) {
        const char *piece = pieces[sonde_rng_next(rng) % COUNT_OF(pieces)];

        if (len + strlen(piece) > room)
            break;
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

static void check_text(const char *what, sonde_str text, size_t max)
{
    if (!sonde_utf8_valid(text) || text.len > max)
        fail_msg("%s: %.*s", what, SONDE_STR_ARG(text));
}

static void test_any_text_comes_out_as_text_within_limits(void **state)
{
    static const char *const kinds[][2] = {
        { "sql", "sql.query" },
        { "redis", "redis.raw_command" },
        { "valkey", "valkey.raw_command" },
        { "memcached", "memcached.command" },
        { "web", "http.url" },
        { "mongodb", "mongodb.query" },
        { "elasticsearch", "elasticsearch.body" },
        { "opensearch", "opensearch.body" },
        { "", "card" },
    };
    static char resource[30000], value[30000];
    const char *const settings[] = {
        NULL, more, every_json_off, "apm_config: {sql_obfuscation_mode: obfuscate_only}",
        "apm_config: {sql_obfuscation_mode: obfuscate_and_normalize}"
    };
    sonde_rng rng;

    (void)state;
    sonde_rng_seed(&rng, 3);
    for (size_t k = 0; k < COUNT_OF(settings); k++) {
        processor *p = processor_of(settings[k]);

        for (int round = 0; round < 900; round++) {
            const char *const *kind = kinds[(size_t)round % COUNT_OF(kinds)];
            payload *pl;
            const payload_span *s;

            resource[random_text(&rng, resource, sizeof(resource) - 1)] = '\0';
            value[random_text(&rng, value, sizeof(value) - 1)] = '\0';
            pl = payload_of(kind[0], resource, kind[1], value);
            processor_run(p, pl);
            assert_int_equal(pl->chunks_len, 1);
            s = &pl->chunks[0].spans[0];
            check_text(kind[0], s->resource, 5000);
            for (uint32_t i = 0; i < s->meta_len; i++)
                check_text(kind[1], s->meta[i].value, 25003);
            payload_free(pl);
        }
        processor_close(p);
    }
}

static void test_features_change_sql_names_and_limits(void **state)
{
    static char resource[20000];
    processor *p = processor_of("apm_config: {features: [table_names, keep_sql_alias, "
                                "quantize_sql_tables, dollar_quoted_func, big_resource, "
                                "component2name]}");
    payload *pl = payload_of("sql", "SELECT a1 AS b FROM jobs_20, $func$SELECT 5$func$",
                             "component", "libpq");

    (void)state;
    processor_run(p, pl);
    assert_resource(pl, "SELECT a? AS b FROM jobs_?, $func$SELECT ?$func$");
    assert_tag(pl, "sql.tables", "jobs_?");
    assert_true(sonde_str_eq(pl->chunks[0].spans[0].name, SONDE_STR("libpq")));
    payload_free(pl);

    memset(resource, 'x', sizeof(resource) - 1);
    pl = payload_of("web", resource, NULL, NULL);
    processor_run(p, pl);
    assert_int_equal(pl->chunks[0].spans[0].resource.len, 15000);
    assert_true(sonde_str_eq(pl->chunks[0].spans[0].name, SONDE_STR("op")));
    payload_free(pl);
    processor_close(p);
}

static void test_cards_in_events_go(void **state)
{
    span_any numbers[] = { { .type = SPAN_ANY_INT, .integer = 4111111111111111 },
                           { .type = SPAN_ANY_INT, .integer = 41 } };
    span_event_attr attributes[] = {
        { SONDE_STR("text"), { .type = SPAN_ANY_STRING, .str = SONDE_STR("4111111111111111") } },
        { SONDE_STR("double"), { .type = SPAN_ANY_DOUBLE, .number = 4111111111111111 } },
        { SONDE_STR("list"), { .type = SPAN_ANY_ARRAY, .values = numbers, .values_len = 2 } },
        { SONDE_STR("error"), { .type = SPAN_ANY_STRING, .str = SONDE_STR("4111111111111111") } },
        { SONDE_STR("flag"), { .type = SPAN_ANY_BOOL, .integer = 1 } },
    };
    span_event event = { .name = SONDE_STR("e"), .attributes = attributes, .attributes_len = 5 };
    payload *pl = payload_of("", "r", NULL, NULL);
    processor *p = processor_of(NULL);
    payload_span *s = &pl->chunks[0].spans[0];

    (void)state;
    s->events = &event;
    s->events_len = 1;
    processor_run(p, pl);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(attributes[i].value.type, SPAN_ANY_STRING);
        assert_true(sonde_str_eq(attributes[i].value.str, SONDE_STR("?")));
    }
    assert_int_equal(numbers[0].type, SPAN_ANY_STRING);
    assert_int_equal(numbers[1].type, SPAN_ANY_INT);
    assert_int_equal(attributes[3].value.str.len, 16);
    assert_int_equal(attributes[4].value.type, SPAN_ANY_BOOL);
    payload_free(pl);
    processor_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_are_rewritten_by_type),
        cmocka_unit_test(test_resources_are_rewritten_by_type),
        cmocka_unit_test(test_modes_and_dialects_are_those_of_the_configuration),
        cmocka_unit_test(test_each_dialect_remembers_what_a_backslash_means),
        cmocka_unit_test(test_values_are_taken_out_before_texts_are_cut),
        cmocka_unit_test(test_a_long_literal_is_a_literal),
        cmocka_unit_test(test_real_clients_leave_no_value),
        cmocka_unit_test(test_a_full_arena_drops_the_chunk),
        cmocka_unit_test(test_any_text_comes_out_as_text_within_limits),
        cmocka_unit_test(test_features_change_sql_names_and_limits),
        cmocka_unit_test(test_cards_in_events_go),
    };

    return cmocka_run_group_tests_name("obfuscate", tests, NULL, NULL);
}
