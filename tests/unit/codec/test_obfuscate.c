/* test_obfuscate.c - codec/obfuscate.h: the tables of docs/spec/obfuscation.md. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "codec/obfuscate.h"
#include "support/alloc_fail.h"

static const struct {
    const char *statement;
    const char *want; /* NULL: not parsable */
} statements[] = {
    { "SELECT id, name FROM users WHERE id = 42 AND name = 'bob'",
      "SELECT id, name FROM users WHERE id = ? AND name = ?" },
    { "select * from orders where total > 10.5 and status in (1, 2, 3)",
      "select * from orders where total > ? and status in ( ? )" },
    { "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')",
      "INSERT INTO t ( a, b ) VALUES ( ? )" },
    { "UPDATE accounts SET balance = -5 WHERE owner = \"ann\"",
      "UPDATE accounts SET balance = ? WHERE owner = ?" },
    { "SELECT \"col\" FROM \"tab\" WHERE \"col\" = 'v'", "SELECT col FROM tab WHERE col = ?" },
    { "SELECT `a`.`b` FROM `db`.`t`", "SELECT a . b FROM db . t" },
    { "SELECT price AS p, qty AS [my qty] FROM items", "SELECT price, qty FROM items" },
    { "SELECT 1 -- note\nFROM dual", "SELECT ? FROM dual" },
    { "/* hint */ SELECT a FROM b; ", "SELECT a FROM b" },
    { "SELECT a FROM b LIMIT 10 OFFSET 20", "SELECT a FROM b LIMIT ? OFFSET ?" },
    { "SELECT * FROM t WHERE a IS NULL AND b = TRUE", "SELECT * FROM t WHERE a IS ? AND b = ?" },
    { "SELECT * FROM t WHERE id = $1 AND x IN (?, ?, ?)",
      "SELECT * FROM t WHERE id = ? AND x IN ( ? )" },
    { "SELECT * FROM t WHERE id = :id AND x = @p1", "SELECT * FROM t WHERE id = :id AND x = @p1" },
    { "SELECT * FROM t WHERE id = %s AND x = %(name)s", "SELECT * FROM t WHERE id = ? AND x = ?" },
    { "SELECT a::int FROM t WHERE d = '2020-01-01'::date",
      "SELECT a :: int FROM t WHERE d = ? :: date" },
    { "SELECT $$it's$$, $tag$ body $tag$", "SELECT ?" },
    { "SELECT data->'k' FROM t", "SELECT data ? > ? FROM t" },
    { "SELECT [col] FROM t", "SELECT [ col ] FROM t" },
    { "SELECT * FROM t WHERE a = 'it''s'", "SELECT * FROM t WHERE a = ?" },
    { "SELECT * FROM t WHERE a = 'it\\'s'", "SELECT * FROM t WHERE a = ?" },
    { "SELECT * FROM t WHERE a = 'C:\\' AND b = 2", "SELECT * FROM t WHERE a = ? AND b = ?" },
    { "SELECT ARRAY[1,2,3]", "SELECT ARRAY [ ? ]" },
    { "SELECT 0xFF, 1e10, -.5, 007, .25", "SELECT ?" },
    { "SAVEPOINT s_123", "SAVEPOINT ?" },
    { "BEGIN; SELECT 1; COMMIT;", "BEGIN SELECT ? COMMIT" },
    { "SELECT * FROM (SELECT id FROM t WHERE x IN (1,2)) sub",
      "SELECT * FROM ( SELECT id FROM t WHERE x IN ( ? ) ) sub" },
    { "INSERT INTO t VALUES (1, (SELECT max(id) FROM u), 3)",
      "INSERT INTO t VALUES ( ? ( SELECT max ( id ) FROM u ), ? )" },
    { "SELECT a FROM t WHERE (a, b) IN ((1,2),(3,4))",
      "SELECT a FROM t WHERE ( a, b ) IN ( ( ? )" },
    { "{call proc(?, ?)}", "{ call proc ( ? ) }" },
    { "SELECT {fn NOW()} FROM t", "SELECT ? FROM t" },
    { "CALL p(1, 'a', NULL)", "CALL p ( ? )" },
    { "SELECT count(*) FROM t GROUP BY c HAVING count(*) > 5",
      "SELECT count ( * ) FROM t GROUP BY c HAVING count ( * ) > ?" },
    { "SELECT 'unterminated FROM t", NULL },
    { "", NULL },
    { "  ", NULL },
    { "-- only a comment", NULL },
    { ";", NULL },
    { "SELECT a /* open", NULL },
    { "SELECT $$ open", NULL },
    { "SELECT {open", NULL },
    { "SELECT a } b", NULL },
    { "SELECT !? a", NULL },
    { "SELECT a !", NULL },
    { "SELECT \\ a", NULL },
    { "SELECT \xff", NULL },
    { "SELECT '\xff'", NULL },
    { "SELECT a :", NULL },
    { "SELECT a :+", NULL },
    { "SELECT %(x", NULL },
    { "SELECT %(x) ", NULL },
    { "SELECT a AS [my-col] FROM t", NULL },
    { "SELECT ! a, !(b), !'c'", "SELECT ! a, ! ( b ), ! ?" },
    { "CREATE TABLE x AS SELECT * FROM t", "CREATE TABLE x * FROM t" },
    { "SET x := 5", "SET x := ?" },
    { "SELECT a[1:2] : b", "SELECT a [ ? :2 ] : b" },
    { "SELECT \"\", ``, \" \", ` `", "SELECT \"\", ``, \"\", ``" },
    { "SELECT $ $a$$ b", "SELECT ? b" },
    { "SELECT \"a\"\"b\"", "SELECT a\"b" },
    { "SELECT id % 8, %foo", "SELECT id % ? oo" },
    { "SELECT a # comment\nFROM b", "SELECT a FROM b" },
    { "SELECT a #\nb\nFROM c", "SELECT a FROM c" },
    { "SELECT a // comment\nFROM b", "SELECT a FROM b" },
    { "SELECT a / b - c * d", "SELECT a / b - c * d" },
    { "a <=> b <> c <= d >= e != f !~ g !~* h ~* i ~ j",
      "a <=> b <> c <= d >= e != f !~ g !~* h ~* i ~ j" },
    { "SELECT $? FROM t", "SELECT ? FROM t" },
    { "SELECT $1.a, b", "SELECT ? a, b" },
    { "SELECT 1.5e-3 x, 2E+4", "SELECT ? x, ?" },
    { "SELECT t.* FROM a.b$c#d", "SELECT t.* FROM a.b$c#d" },
    { "SELECT \xc3\xa9t\xc3\xa9\xc2\xa0 FROM t", "SELECT \xc3\xa9t\xc3\xa9 FROM t" },
    { "SELECT \xe2\x80\x9c"
      "a",
      NULL },
    { "select null, true, False", "select ?" },
    { "SAVEPOINT /* c */ a", "SAVEPOINT ? a" },
};

static void check_sql(const char *statement, const char *want, bool *literal)
{
    sonde_buf out;
    sonde_status status;

    sonde_buf_init(&out, 1u << 16);
    status = sonde_obfuscate_sql(sonde_str_from(statement), literal, &out);
    if ((status == SONDE_OK) != (want != NULL) || (!want && status != SONDE_ERR_SYNTAX))
        fail_msg("%s: %s %s", statement, sonde_status_name(status), sonde_buf_cstr(&out));
    if (want)
        assert_string_equal(sonde_buf_cstr(&out), want);
    sonde_buf_done(&out);
}

static void test_statements_keep_their_shape(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(statements); i++) {
        bool literal = false;

        check_sql(statements[i].statement, statements[i].want, &literal);
    }
}

/* But where quotes were all that made a text a name. */
static void test_a_shape_keeps_its_shape(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(statements); i++) {
        const char *want = statements[i].want;
        bool literal = false;

        if (want && strcmp(want, "SELECT a\"b") != 0)
            check_sql(want, want, &literal);
    }
}

static void test_switches_change_the_shape(void **state)
{
    enum {
        ALIAS = SONDE_SQL_KEEP_ALIAS,
        DIGITS = SONDE_SQL_REPLACE_DIGITS,
        FUNC = SONDE_SQL_DOLLAR_FUNC
    };
    static const struct {
        unsigned flags;
        const char *statement, *want, *tables;
    } cases[] = {
        { ALIAS, "SELECT price AS p FROM items AS i", "SELECT price AS p FROM items AS i",
          "items" },
        { ALIAS, "SELECT a AS [b c] FROM t", "SELECT a AS [ b c ] FROM t", "t" },
        { 0, "SELECT a AS [b c] FROM t", "SELECT a FROM t", "t" },
        { DIGITS, "SELECT * FROM jobs_2020_15 WHERE a1 = 3", "SELECT * FROM jobs_?_? WHERE a? = ?",
          "jobs_?_?" },
        { DIGITS, "SELECT `a1`, \"b2\" FROM t", "SELECT a?, b2 FROM t", "t" },
        { DIGITS, "SELECT \"b2\" FROM \"t1\" JOIN `u2`", "SELECT b2 FROM t? JOIN u?", "t?,u?" },
        { FUNC, "SELECT $func$INSERT INTO t VALUES (1)$func$ FROM x",
          "SELECT $func$INSERT INTO t VALUES ( ? )$func$ FROM x", "x" },
        { FUNC, "SELECT $func$ 'open $func$, 1 FROM x", "SELECT ? FROM x", "x" },
        { FUNC, "SELECT $func$ a $func$, $func$b$func$", "SELECT $func$a$func$, $func$b$func$",
          "" },
        { FUNC, "SELECT $func$ $func$ FROM x", "SELECT ? FROM x", "x" },
        { FUNC, "SELECT $f$INSERT 1$f$ FROM x", "SELECT ? FROM x", "x" },
        { 0, "SELECT $func$INSERT INTO t VALUES (1)$func$ FROM x", "SELECT ? FROM x", "x" },
        { 0, "SELECT * FROM a JOIN b ON a.x = b.x join c",
          "SELECT * FROM a JOIN b ON a.x = b.x join c", "a,b,c" },
        { 0, "SELECT * FROM (SELECT 1 FROM a) x, a", "SELECT * FROM ( SELECT ? FROM a ) x, a",
          "a" },
        { 0, "UPDATE u SET a = 1", "UPDATE u SET a = ?", "u" },
        { 0, "INSERT INTO i VALUES (1)", "INSERT INTO i VALUES ( ? )", "i" },
        { 0, "DELETE FROM \"d d\"", "DELETE FROM d d", "d d" },
        { 0, "SELECT * FROM _t", "SELECT * FROM _t", "" },
        { 0, "SELECT * FROM a, b JOIN a ON 1", "SELECT * FROM a, b JOIN a ON ?", "a" },
        { 0, "SELECT 1", "SELECT ?", "" },
    };
    sonde_buf out, tables;
    size_t i;

    (void)state;
    sonde_buf_init(&out, 1u << 16);
    sonde_buf_init(&tables, 1u << 16);
    for (i = 0; i < COUNT_OF(cases); i++) {
        bool literal = false;
        const sonde_sql_options options = { .flags = cases[i].flags,
                                            .literal_escapes = &literal,
                                            .tables = &tables };

        if (sonde_obfuscate_sql_with(sonde_str_from(cases[i].statement), &options, &out) !=
            SONDE_OK)
            fail_msg("%s", cases[i].statement);
        assert_string_equal(sonde_buf_cstr(&out), cases[i].want);
        assert_string_equal(sonde_buf_cstr(&tables), cases[i].tables);
    }
    sonde_buf_done(&out);
    sonde_buf_done(&tables);
}

static void test_what_comes_before_a_fault_is_kept_where_asked_for(void **state)
{
    static const struct {
        const char *statement, *want; /* NULL: not parsable */
    } cases[] = {
        { "SELECT a FROM t WHERE b = 'cut of", "SELECT a FROM t WHERE b =..." },
        { "SELECT a FROM t WHERE b IN (1, 2, 'cut", "SELECT a FROM t WHERE b IN ( ?..." },
        { "SELECT a /* cut", "SELECT a..." },
        { "SELECT a } b", "SELECT a..." },
        { "SELECT a AS [my-col] FROM t", "SELECT a..." },
        { "SELECT 'a\\' FROM t", "SELECT ? FROM t" },
        { "'cut", NULL },
        { "", NULL },
        { "SELECT \xff", NULL },
    };
    sonde_buf out;
    size_t i;

    (void)state;
    sonde_buf_init(&out, 1u << 16);
    for (i = 0; i < COUNT_OF(cases); i++) {
        bool literal = false;
        const sonde_sql_options options = { .flags = SONDE_SQL_PREFIX,
                                            .literal_escapes = &literal };
        sonde_status status =
            sonde_obfuscate_sql_with(sonde_str_from(cases[i].statement), &options, &out);

        if ((status == SONDE_OK) != (cases[i].want != NULL))
            fail_msg("%s: %s", cases[i].statement, sonde_status_name(status));
        if (cases[i].want)
            assert_string_equal(sonde_buf_cstr(&out), cases[i].want);
    }
    sonde_buf_done(&out);
}

static const struct {
    sonde_sql_dialect dialect;
    const char *statement, *want; /* NULL: not parsable */
} in_dialects[] = {
    { SONDE_SQL_POSTGRESQL, "SELECT data->'k' FROM t", "SELECT data -> ? FROM t" },
    { SONDE_SQL_POSTGRESQL, "SELECT data->>'k' FROM t WHERE tags @> '{1}' AND a ? 'b'",
      "SELECT data ->> ? FROM t WHERE tags @> ? AND a ? ?" },
    { SONDE_SQL_POSTGRESQL, "a #> '{b}' #>> '{c}' #- '{d}' # e", "a #> ? #>> ? #- ? # e" },
    { SONDE_SQL_POSTGRESQL, "a <@ '{}' ?| b ?& c <> d <= e", "a <@ ? ?| b ?& c <> d <= e" },
    { SONDE_SQL_POSTGRESQL, "SELECT @x, @ -5", "SELECT @ x, @ ?" },
    { SONDE_SQL_POSTGRESQL, "x IN (?, ?)", "x IN ( ?, ? )" },
    { SONDE_SQL_POSTGRESQL, "SELECT [a], $1, $t$x$t$ -- c", "SELECT [ a ], ?" },
    { SONDE_SQL_MSSQL, "SELECT [col] FROM [dbo].[t] WHERE x = 1",
      "SELECT col FROM dbo . t WHERE x = ?" },
    { SONDE_SQL_MSSQL, "SELECT [a]]b], [], [ ] FROM t", "SELECT a]b, ]], ]] FROM t" },
    { SONDE_SQL_MSSQL, "SELECT a AS [my-col], b FROM t", "SELECT a, b FROM t" },
    { SONDE_SQL_MSSQL, "SELECT * FROM #tmp WHERE a = [7]", "SELECT * FROM #tmp WHERE a = ?" },
    { SONDE_SQL_MSSQL, "MERGE INTO t OUTPUT $action, inserted.*",
      "MERGE INTO t OUTPUT $action, inserted.*" },
    { SONDE_SQL_MSSQL, "SELECT [open FROM t", NULL },
    { SONDE_SQL_MSSQL, "SELECT @p, $1 FROM t", "SELECT @p, ? FROM t" },
    { SONDE_SQL_MYSQL, "SELECT `a` FROM t # x", "SELECT a FROM t" },
    { SONDE_SQL_ORACLE, "SELECT :a FROM [t]", "SELECT :a FROM [ t ]" },
};

static void test_dialects_have_quotes_and_operators_of_their_own(void **state)
{
    sonde_buf out;
    size_t i;

    (void)state;
    sonde_buf_init(&out, 1u << 16);
    for (i = 0; i < COUNT_OF(in_dialects); i++) {
        bool literal = false;
        const sonde_sql_options options = { .literal_escapes = &literal,
                                            .dialect = in_dialects[i].dialect };
        sonde_status status =
            sonde_obfuscate_sql_with(sonde_str_from(in_dialects[i].statement), &options, &out);

        if ((status == SONDE_OK) != (in_dialects[i].want != NULL))
            fail_msg("%s: %s", in_dialects[i].statement, sonde_status_name(status));
        if (in_dialects[i].want)
            assert_string_equal(sonde_buf_cstr(&out), in_dialects[i].want);
    }
    sonde_buf_done(&out);
}

static void test_tracers_names_of_dialects_are_known(void **state)
{
    static const struct {
        const char *db_type;
        sonde_sql_dialect want;
    } cases[] = {
        { "mssql", SONDE_SQL_MSSQL },         { "sql-server", SONDE_SQL_MSSQL },
        { "sqlserver", SONDE_SQL_MSSQL },     { "postgresql", SONDE_SQL_POSTGRESQL },
        { "postgres", SONDE_SQL_POSTGRESQL }, { "mysql", SONDE_SQL_MYSQL },
        { "oracle", SONDE_SQL_ORACLE },       { "snowflake", SONDE_SQL_SNOWFLAKE },
        { "MySQL", SONDE_SQL_NO_DIALECT },    { "sqlite", SONDE_SQL_NO_DIALECT },
        { "", SONDE_SQL_NO_DIALECT },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(sonde_sql_dialect_of(sonde_str_from(cases[i].db_type)), cases[i].want);
}

/* Statements put together from words, with literals all of whose digits are 7. */
static void test_no_digit_of_a_literal_survives(void **state)
{
    static const char *const words[] = {
        "SELECT", "a",      "FROM", "t",      "WHERE", "=",      ",",     "(",    ")",  "IN",
        "'7'",    "77",     "7.7",  "-7",     "0x77",  "'a''7'", "$$7$$", "NULL", "AS", "b",
        "INSERT", "VALUES", "$7",   "{fn 7}", "/*7*/", "->",     "\"c\"", ";",    "?",  "'\\'7'",
    };
    sonde_rng rng;
    sonde_buf out;
    unsigned parsed = 0;

    (void)state;
    sonde_rng_seed(&rng, 11);
    sonde_buf_init(&out, 1u << 16);
    for (int round = 0; round < 20000; round++) {
        char text[400];
        bool literal = false;
        size_t len = 0;

        for (size_t n = sonde_rng_next(&rng) % 20; n > 0; n--)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ",
                                    words[sonde_rng_next(&rng) % COUNT_OF(words)]);
        if (len == 0 || sonde_obfuscate_sql((sonde_str){ text, len }, &literal, &out) != SONDE_OK)
            continue;
        parsed++;
        if (memchr(out.data, '7', out.len))
            fail_msg("%s: %s", text, sonde_buf_cstr(&out));
        assert_true(sonde_utf8_valid(sonde_buf_str(&out)));
        assert_true(out.len <= 2 * len);
    }
    assert_in_range(parsed, 10000, 20000);
    sonde_buf_done(&out);
}

static void test_what_a_backslash_means_is_remembered(void **state)
{
    bool literal = false;

    (void)state;
    check_sql("SELECT 'a\\'b'", "SELECT ?", &literal);
    assert_false(literal);
    check_sql("SELECT 'C:\\', 'D:\\' x", "SELECT ? x", &literal);
    check_sql("SELECT 'C:\\'", "SELECT ?", &literal);
    assert_true(literal);
    check_sql("SELECT 'C:\\' FROM 'x'", "SELECT ? FROM ?", &literal);
    check_sql("SELECT 'a\\'b'", "SELECT ?", &literal);
    assert_false(literal);
    check_sql("SELECT '\\", NULL, &literal);
    assert_false(literal);
}

static void test_no_text_at_all_is_no_statement(void **state)
{
    const sonde_sql_options modes = { .mode = SONDE_SQL_OBFUSCATE_AND_NORMALIZE };
    bool literal = false;
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, 1u << 16);
    assert_status(sonde_obfuscate_sql((sonde_str){ NULL, 0 }, &literal, &out), SONDE_ERR_SYNTAX);
    assert_status(sonde_obfuscate_sql_with((sonde_str){ NULL, 0 }, &modes, &out), SONDE_OK);
    assert_int_equal(out.len, 0);
    assert_status(sonde_obfuscate_redis((sonde_str){ NULL, 0 }, &out), SONDE_OK);
    sonde_buf_done(&out);
}

static void test_redis_keeps_its_commands(void **state)
{
    static const char *const cases[][2] = {
        { "GET user:1", "GET" },
        { "config set maxmemory 1gb", "CONFIG SET" },
        { "GET a\nSET b 1\nDEL c\nINCR d", "GET SET DEL ..." },
        { "MULTI\nSET a b\nEXEC", "MULTI SET EXEC ..." },
        { "GET a\nSE...", "GET ..." },
        { "SET k...", "SET" },
        { "  get   a \n\n  del b", "GET DEL" },
        { "CONFIG", "CONFIG" },
        { "CONFIG SE...", "..." },
        { "SE...\nGET a", "GET" },
        { "", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf out;

        sonde_buf_init(&out, 1u << 16);
        assert_status(sonde_obfuscate_redis(sonde_str_from(cases[i][0]), &out), SONDE_OK);
        assert_string_equal(sonde_buf_cstr(&out), cases[i][1]);
        sonde_buf_done(&out);
    }
}

static void test_what_does_not_fit_is_refused(void **state)
{
    bool literal = false;
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, 10);
    assert_status(sonde_obfuscate_sql(SONDE_STR("SELECT a, b, c"), &literal, &out),
                  SONDE_ERR_TOO_BIG);
    assert_status(sonde_obfuscate_redis(SONDE_STR("A\nBCDEFGHIJKLM"), &out), SONDE_ERR_TOO_BIG);
    sonde_buf_done(&out);
}

static sonde_status obfuscate_once(void *user)
{
    bool literal = false;
    sonde_status status;
    sonde_buf out;

    (void)user;
    sonde_buf_init(&out, 1u << 16);
    status = sonde_obfuscate_sql(SONDE_STR("SELECT \"a\", 'b\\' FROM c"), &literal, &out);
    if (status == SONDE_OK)
        status = sonde_obfuscate_sql_with(
            SONDE_STR("SELECT $func$SELECT \"a\"\"b\"$func$"),
            &(sonde_sql_options){ .flags = SONDE_SQL_DOLLAR_FUNC, .literal_escapes = &literal },
            &out);
    if (status == SONDE_OK)
        status = sonde_obfuscate_redis(SONDE_STR("get a"), &out);
    sonde_buf_done(&out);
    return status;
}

static void test_obfuscating_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(obfuscate_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements_keep_their_shape),
        cmocka_unit_test(test_a_shape_keeps_its_shape),
        cmocka_unit_test(test_switches_change_the_shape),
        cmocka_unit_test(test_what_comes_before_a_fault_is_kept_where_asked_for),
        cmocka_unit_test(test_dialects_have_quotes_and_operators_of_their_own),
        cmocka_unit_test(test_tracers_names_of_dialects_are_known),
        cmocka_unit_test(test_no_digit_of_a_literal_survives),
        cmocka_unit_test(test_what_a_backslash_means_is_remembered),
        cmocka_unit_test(test_no_text_at_all_is_no_statement),
        cmocka_unit_test(test_redis_keeps_its_commands),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_obfuscating_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("obfuscate", tests, NULL, NULL);
}
