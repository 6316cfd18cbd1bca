/* test_obfuscate_modes.c - codec/obfuscate.h, what sql_obfuscation_mode selects: the tables of
 * docs/spec/obfuscation.md. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "codec/obfuscate.h"
#include "support/alloc_fail.h"

enum {
    ALIAS = SONDE_SQL_KEEP_ALIAS,
    DIGITS = SONDE_SQL_REPLACE_DIGITS,
    FUNC = SONDE_SQL_DOLLAR_FUNC,
    NO = SONDE_SQL_NO_DIALECT,
    MSSQL = SONDE_SQL_MSSQL,
    PG = SONDE_SQL_POSTGRESQL,
    MYSQL = SONDE_SQL_MYSQL,
    ORACLE = SONDE_SQL_ORACLE,
    SNOWFLAKE = SONDE_SQL_SNOWFLAKE,
    HIDE = SONDE_SQL_OBFUSCATE_ONLY,
    LAY_OUT = SONDE_SQL_NORMALIZE_ONLY,
    BOTH = SONDE_SQL_OBFUSCATE_AND_NORMALIZE
};

typedef struct mode_case {
    int mode, dialect;
    unsigned flags;
    const char *statement, *want, *tables;
} mode_case;

static void check(const mode_case *c, size_t len)
{
    sonde_buf out, tables;
    const sonde_sql_options options = { .flags = c->flags,
                                        .dialect = (sonde_sql_dialect)c->dialect,
                                        .mode = (sonde_sql_mode)c->mode,
                                        .tables = &tables };

    sonde_buf_init(&out, 1u << 16);
    sonde_buf_init(&tables, 1u << 16);
    if (sonde_obfuscate_sql_with((sonde_str){ c->statement, len }, &options, &out) != SONDE_OK)
        fail_msg("%s", c->statement);
    if (strcmp(sonde_buf_cstr(&out), c->want) != 0)
        fail_msg("%s\n got %s\nwant %s", c->statement, sonde_buf_cstr(&out), c->want);
    if (strcmp(sonde_buf_cstr(&tables), c->tables) != 0)
        fail_msg("%s: tables %s", c->statement, sonde_buf_cstr(&tables));
    sonde_buf_done(&out);
    sonde_buf_done(&tables);
}

static const mode_case values_alone[] = {
    { HIDE, NO, 0, "SELECT  a FROM t WHERE id=5", "SELECT  a FROM t WHERE id=?", "" },
    { HIDE, NO, 0, "SELECT * FROM u WHERE n = 'Joh", "SELECT * FROM u WHERE n = ?", "" },
    { HIDE, NO, 0, "SELECT 'it''s', 'it\\'s'", "SELECT ??, ?", "" },
    { HIDE, NO, 0, "x = 'a\\'", "x = ?", "" },
    { HIDE, NO, 0, "0x12aF, 017, -.5, +3, 1e-3, 1.2E3, 08", "?, ?, ?, ?, ?, ?, ?", "" },
    { HIDE, NO, 0, "a - 1 * b / c", "a - ? * b / c", "" },
    { HIDE, NO, 0, " SELECT a -- c 1\nFROM b\t\n", "SELECT a -- c 1\nFROM b", "" },
    { HIDE, NO, 0, "/* 1 */ SELECT 1 /* open 2", "/* 1 */ SELECT ? /* open 2", "" },
    { HIDE, NO, 0, "a IS NULL AND b=TRUE or nulls", "a IS ? AND b=? or nulls", "" },
    { HIDE, NO, 0, "x = $1 AND y = :y AND z = @z", "x = ? AND y = :y AND z = @z", "" },
    { HIDE, NO, 0, "SELECT $$a$$, $t$b$t$, $func$SELECT 1$func$", "SELECT ?, ?, ?", "" },
    { HIDE, NO, 0, "SELECT $$open 1", "SELECT ?", "" },
    { HIDE, NO, 0, "SELECT $open 1", "SELECT ?", "" },
    { HIDE, NO, FUNC, "SELECT $func$SELECT 'a' , 1$func$", "SELECT $func$SELECT ? , ?$func$", "" },
    { HIDE, NO, DIGITS, "SELECT a1, \"b22\" FROM t_1_2 WHERE f2(3)",
      "SELECT a?, \"b?\" FROM t_?_? WHERE f2(?)", "" },
    { HIDE, NO, 0, "a->>'k', b #> '{c}', d ?| e, f@>'g'", "a->>?, b #> ?, d ?| e, f@>?", "" },
    { HIDE, NO, 0, "@@version, @@ x, a=@b, c=?", "@@version, @@ x, a=@b, c=?", "" },
    { HIDE, NO, 0, "SELECT \"a\".\"b 1\", \"open 1", "SELECT \"a\".\"b 1\", \"open 1", "" },
    { HIDE, NO, 0, "SELECT `a 1`", "SELECT `a ?`", "" },
    { HIDE, NO, 0, "a # 1", "a # ?", "" },
    { HIDE, NO, 0, "SELECT \xe4\xb8\x96 1", "SELECT \xe4\xb8\x96 ?", "" },
    { HIDE, NO, 0, "SELECT \xe2\x82\xac 1", "SELECT \xe2\x82\xac ?", "" },
    { HIDE, MYSQL, 0, "SELECT `a 1` # 2", "SELECT `a 1` # 2", "" },
    { HIDE, MSSQL, 0, "SELECT [a 1].[b] FROM #t1, $action", "SELECT [a 1].[b] FROM #t1, $action",
      "" },
    { HIDE, ORACLE, 0, "a - :s/24", "a - :s/?", "" },
    { HIDE, ORACLE, 0, "TRUNC(SYSDATE@!)", "TRUNC(SYSDATE@!)", "" },
    { HIDE, SNOWFLAKE, 0, "FROM @stage/7", "FROM @stage/7", "" },
    { HIDE, PG, 0, "FROM @stage/7", "FROM @stage/?", "" },
    { HIDE, NO, 0, "", "", "" },
};

static void test_values_alone_become_question_marks(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(values_alone); i++)
        check(&values_alone[i], strlen(values_alone[i].statement));
    check(&(mode_case){ HIDE, NO, 0, "SELECT 1\0 2", "SELECT ?", "" }, 11);
}

static const mode_case laid_out[] = {
    { BOTH, NO, 0, "SELECT  a.b AS c , d\nFROM t as x WHERE id IN (1, 2) AND y = ARRAY[3,4];",
      "SELECT a.b, d FROM t WHERE id IN ( ? ) AND y = ARRAY [ ? ]", "t" },
    { BOTH, NO, ALIAS, "SELECT a AS \"b\" FROM t", "SELECT a AS b FROM t", "t" },
    { BOTH, NO, 0, "SELECT a AS \"b\", f(x)", "SELECT a, f ( x )", "" },
    { BOTH, NO, 0, "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')",
      "INSERT INTO t ( a, b ) VALUES ( ? ), ( ? )", "t" },
    { BOTH, NO, 0, "SELECT \"a\".\"b\" FROM \"s\".\"t\"", "SELECT a.b FROM s.t", "s.t" },
    { BOTH, NO, 0, "WITH c AS (SELECT 1) SELECT * FROM c JOIN d ON 1",
      "WITH c AS ( SELECT ? ) SELECT * FROM c JOIN d ON ?", "d" },
    { BOTH, NO, 0, "CREATE PROCEDURE p AS SELECT * FROM u", "CREATE PROCEDURE p AS SELECT * FROM u",
      "u" },
    { BOTH, MSSQL, 0, "(@p int, @q int) SELECT a", "SELECT a", "" },
    { BOTH, NO, 0, " (SELECT a)", "( SELECT a )", "" },
    { BOTH, NO, 0, "SELECT f(1, g(2), 3)", "SELECT f ( ?, g ( ? ), ? )", "" },
    { BOTH, NO, 0, "BEGIN; SELECT 1; ", "BEGIN; SELECT ?", "" },
    { BOTH, NO, 0, "SELECT a -- x\n FROM t /* y */", "SELECT a FROM t", "t" },
    { BOTH, NO, 0, "-- only a comment", "", "" },
    { BOTH, NO, 0, "SET x := 5, y : = 6", "SET x := ?, y := ?", "" },
    { BOTH, NO, 0, "SELECT * FROM a JOIN b ON 1 WHERE EXISTS (SELECT 1 FROM a, \"c\")",
      "SELECT * FROM a JOIN b ON ? WHERE EXISTS ( SELECT ? FROM a, c )", "a,b" },
    { BOTH, NO, 0, "DROP TABLE IF EXISTS u", "DROP TABLE IF EXISTS u", "u" },
    { BOTH, NO, 0, "SELECT * FROM ONLY u, v$w", "SELECT * FROM ONLY u, v$w", "u" },
    { BOTH, NO, DIGITS, "UPDATE t12 SET a1 = 1", "UPDATE t? SET a? = ?", "t?" },
    { BOTH, NO, FUNC, "SELECT $func$INSERT INTO t VALUES ('a', 1)$func$ FROM u",
      "SELECT $func$INSERT INTO t VALUES ( ? )$func$ FROM u", "u" },
    { BOTH, NO, 0, "SELECT $func$SELECT 1$func$", "SELECT ?", "" },
    { BOTH, MSSQL, 0, "SELECT * FROM [a].[b] WHERE c = 1", "SELECT * FROM a.b WHERE c = ?", "a.b" },
    { BOTH, MYSQL, 0, "SELECT * FROM `a` WHERE c = 1 # d", "SELECT * FROM a WHERE c = ?", "a" },
    { BOTH, NO, 0, "SELECT \"\"", "SELECT", "" },
    { LAY_OUT, NO, 0, "SELECT  a FROM t WHERE b IN (1, 'x') AND c IN (?, ?)",
      "SELECT a FROM t WHERE b IN ( 1, 'x' ) AND c IN ( ? )", "t" },
    { LAY_OUT, NO, DIGITS, "SELECT $func$SELECT  1$func$ FROM t1",
      "SELECT $func$SELECT 1$func$ FROM t1", "t1" },
};

static void test_the_layout_is_one_blank_and_lists_of_one(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(laid_out); i++)
        check(&laid_out[i], strlen(laid_out[i].statement));
    check(&(mode_case){ BOTH, NO, 0, "f(x) AS g(y)", "f ( x ) AS g ( y )", "" }, 12);
}

static void test_modes_have_their_names(void **state)
{
    bool literal = false;
    const sonde_sql_options unknown = { .mode = SONDE_SQL_UNKNOWN_MODE,
                                        .literal_escapes = &literal };
    sonde_buf out;

    (void)state;
    assert_int_equal(sonde_sql_mode_of(SONDE_STR("")), SONDE_SQL_DEFAULT_MODE);
    assert_int_equal(sonde_sql_mode_of(SONDE_STR("obfuscate_only")), HIDE);
    assert_int_equal(sonde_sql_mode_of(SONDE_STR("normalize_only")), LAY_OUT);
    assert_int_equal(sonde_sql_mode_of(SONDE_STR("obfuscate_and_normalize")), BOTH);
    assert_int_equal(sonde_sql_mode_of(SONDE_STR("both")), SONDE_SQL_UNKNOWN_MODE);
    sonde_buf_init(&out, 1u << 16);
    assert_status(sonde_obfuscate_sql_with(SONDE_STR("SELECT 1"), &unknown, &out),
                  SONDE_ERR_SYNTAX);
    sonde_buf_done(&out);
}

/* Statements put together from words, with literals all of whose digits are 7. */
static void test_no_digit_of_a_literal_survives(void **state)
{
    static const char *const words[] = {
        "SELECT", "a",      "FROM", "t",      "WHERE", "=",      ",",     "(",    ")",  "IN",
        "'7'",    "77",     "7.7",  "-7",     "0x77",  "'a''7'", "$$7$$", "NULL", "AS", "b",
        "INSERT", "VALUES", "$7",   "{fn 7}", "->",    "'\\'7'", "\"c\"", ";",    "?",  "[",
    };
    sonde_rng rng;
    sonde_buf out;

    (void)state;
    sonde_rng_seed(&rng, 12);
    sonde_buf_init(&out, 1u << 16);
    for (int round = 0; round < 20000; round++) {
        const sonde_sql_options options = {
            .mode = round % 2 ? SONDE_SQL_OBFUSCATE_ONLY : SONDE_SQL_OBFUSCATE_AND_NORMALIZE,
            .dialect = round / 2 % 2 ? SONDE_SQL_NO_DIALECT : SONDE_SQL_MYSQL
        };
        char text[400];
        size_t len = 0;

        for (size_t n = sonde_rng_next(&rng) % 20; n > 0; n--)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ",
                                    words[sonde_rng_next(&rng) % COUNT_OF(words)]);
        assert_status(sonde_obfuscate_sql_with((sonde_str){ text, len }, &options, &out), SONDE_OK);
        if (out.len && memchr(out.data, '7', out.len))
            fail_msg("%.*s: %s", (int)len, text, sonde_buf_cstr(&out));
        assert_true(sonde_utf8_valid(sonde_buf_str(&out)));
        assert_true(out.len <= 2 * len);
    }
    sonde_buf_done(&out);
}

/* What one pass made of it is what the next makes of it. */
static void test_modes_are_idempotent(void **state)
{
    sonde_buf once, twice;
    size_t i;

    (void)state;
    sonde_buf_init(&once, 1u << 16);
    sonde_buf_init(&twice, 1u << 16);
    for (i = 0; i < COUNT_OF(laid_out); i++) {
        const sonde_sql_options options = { .flags = laid_out[i].flags,
                                            .mode = (sonde_sql_mode)laid_out[i].mode };

        assert_status(sonde_obfuscate_sql_with(sonde_str_from(laid_out[i].want), &options, &once),
                      SONDE_OK);
        assert_string_equal(sonde_buf_cstr(&once), laid_out[i].want);
    }
    for (i = 0; i < COUNT_OF(values_alone); i++) {
        const sonde_sql_options options = { .flags = values_alone[i].flags,
                                            .dialect = (sonde_sql_dialect)values_alone[i].dialect,
                                            .mode = (sonde_sql_mode)values_alone[i].mode };

        assert_status(
            sonde_obfuscate_sql_with(sonde_str_from(values_alone[i].want), &options, &twice),
            SONDE_OK);
        assert_string_equal(sonde_buf_cstr(&twice), values_alone[i].want);
    }
    sonde_buf_done(&once);
    sonde_buf_done(&twice);
}

static sonde_status rewrite_once(void *user)
{
    sonde_buf out, tables;
    const sonde_sql_options options = { .flags = FUNC | DIGITS,
                                        .tables = &tables,
                                        .mode = SONDE_SQL_OBFUSCATE_AND_NORMALIZE };
    sonde_status status;

    (void)user;
    sonde_buf_init(&out, 1u << 16);
    sonde_buf_init(&tables, 1u << 16);
    status = sonde_obfuscate_sql_with(
        SONDE_STR("WITH a1 AS (SELECT \"b\") SELECT $func$SELECT c2$func$ FROM d3"), &options,
        &out);
    sonde_buf_done(&out);
    sonde_buf_done(&tables);
    return status;
}

static void test_modes_survive_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(rewrite_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_alone_become_question_marks),
        cmocka_unit_test(test_the_layout_is_one_blank_and_lists_of_one),
        cmocka_unit_test(test_modes_have_their_names),
        cmocka_unit_test(test_no_digit_of_a_literal_survives),
        cmocka_unit_test(test_modes_are_idempotent),
        cmocka_unit_test(test_modes_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("obfuscate_modes", tests, NULL, NULL);
}
