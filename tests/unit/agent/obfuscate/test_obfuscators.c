/* test_obfuscators.c - the tables of docs/spec/obfuscation.md, and what holds for any text. */
#include "agent/obfuscate/obfuscators.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "support/alloc_fail.h"
#include "support/test.h"

#define MAX_BYTES (1u << 20)

static const sonde_str find_key[] = { { "find", 4 } };
static const sonde_str query_key[] = { { "query", 5 } };

#define SQL_FAILED                                                                                 \
    "Datadog-agent failed to obfuscate SQL string. Enable agent debug logs for more info."

typedef enum json_mode { PLAIN, KEEP_FIND, SQL_QUERY } json_mode;

static bool literal_escapes;

static obfuscate_json_options json_options(json_mode mode)
{
    static const sonde_sql_options sql = { .literal_escapes = &literal_escapes };
    obfuscate_json_options o = { .sql = &sql };

    literal_escapes = false;
    if (mode == KEEP_FIND)
        o.keep_values = (obfuscate_names){ find_key, 1 };
    if (mode == SQL_QUERY)
        o.sql_values = (obfuscate_names){ query_key, 1 };
    return o;
}

static void test_documents_keep_their_keys(void **state)
{
    static const struct {
        json_mode mode;
        const char *in, *want;
    } cases[] = {
        { PLAIN, "{\"find\":\"users\",\"filter\":{\"age\":{\"$gt\":21},\"tags\":[\"a\",\"b\"]}}",
          "{\"find\":\"?\",\"filter\":{\"age\":{\"$gt\":\"?\"},\"tags\":[\"?\",\"?\"]}}" },
        { KEEP_FIND,
          "{\"find\":\"users\",\"filter\":{\"age\":{\"$gt\":21},\"tags\":[\"a\",\"b\"]}}",
          "{\"find\":\"users\",\"filter\":{\"age\":{\"$gt\":\"?\"},\"tags\":[\"?\",\"?\"]}}" },
        { KEEP_FIND, "{\"a\":[{\"find\":{\"x\":[1,{\"y\":2}]},\"b\":3}],\"find\":4,\"c\":5}",
          "{\"a\":[{\"find\":{\"x\":[1,{\"y\":2}]},\"b\":\"?\"}],\"find\":4,\"c\":\"?\"}" },
        { KEEP_FIND, "{\"find\":[],\"c\":5}", "{\"find\":[],\"c\":\"?\"}" },
        { KEEP_FIND, "{\"x\":{\"find\":1},\"c\":5}", "{\"x\":{\"find\":1},\"c\":\"?\"}" },
        { PLAIN, "{\"index\":{\"_id\":1}}\n{\"f\":\"v\"}",
          "{\"index\":{\"_id\":\"?\"}}\n{\"f\":\"?\"}" },
        { PLAIN, "{\"index\":{\"_id\":1}}{\"f\":\"v\"} \n",
          "{\"index\":{\"_id\":\"?\"}}{\"f\":\"?\"} \n" },
        { PLAIN, "{\"query\": {\"match\": \"x", "{\"query\":{\"match\":\"?\"..." },
        { PLAIN, " { \"a\" : 1 , \"b\" : [ ] } ", "{\"a\":\"?\",\"b\":[]} " },
        { PLAIN, "{\"a\":-1.5e+3,\"b\":true,\"c\":false,\"d\":null,\"e\":0}",
          "{\"a\":\"?\",\"b\":\"?\",\"c\":\"?\",\"d\":\"?\",\"e\":\"?\"}" },
        { PLAIN, "[[],{},[{}],1]", "[[],{},[{}],\"?\"]" },
        { PLAIN, "{\"a\\\"b\":\"c\\\\\"}", "{\"a\\\"b\":\"?\"}" },
        { PLAIN, "\"secret\"", "\"?\"" },
        { PLAIN, "{} \"secret\"", "{} \"?\"" },
        { PLAIN, "42", "\"?\"" },
        { PLAIN, "", "" },
        { PLAIN, " ", "..." },
        { PLAIN, "{\"que", "{\"que..." },
        { PLAIN, "{\"a\":1,}", "{\"a\":\"?\",..." },
        { PLAIN, "{\"a\":x}", "{\"a\":..." },
        { PLAIN, "{\"a\":fxlse}", "{\"a\":\"?\"..." },
        { PLAIN, "{\"a\":01}", "{\"a\":\"?\"..." },
        { PLAIN, "{\"a\":1.}", "{\"a\":\"?\"..." },
        { PLAIN, "{\"a\":\"b\\q\"}", "{\"a\":\"?\"..." },
        { PLAIN, "{\"a\":\"b\\u12g4\"}", "{\"a\":\"?\"..." },
        { PLAIN, "{\"a\":\"b\nc\"}", "{\"a\":\"?\"..." },
        { PLAIN, "[1}", "[\"?\"..." },
        { PLAIN, "[1", "[\"?\"..." },
        { PLAIN, "{1:2}", "{..." },
        { PLAIN, "}", "..." },
        { SQL_QUERY, "{\"query\":\"SELECT a FROM t WHERE b = 'x'\",\"c\":1}",
          "{\"query\":\"SELECT a FROM t WHERE b = ?\",\"c\":\"?\"}" },
        { SQL_QUERY, "{\"query\":\"SELECT \\\"a\\u0062\\\" FROM t\"}",
          "{\"query\":\"SELECT ab FROM t\"}" },
        { SQL_QUERY, "{\"query\":\"SELECT 'x\"}", "{\"query\":\"" SQL_FAILED "\"}" },
        { SQL_QUERY, "{\"query\":\"\"}", "{\"query\":\"" SQL_FAILED "\"}" },
        { SQL_QUERY, "{\"query\":5}", "{\"query\":\"?\"}" },
        { SQL_QUERY, "{\"query\":{\"a\":\"SELECT 1\"}}", "{\"query\":{\"a\":\"?\"}}" },
        { SQL_QUERY, "{\"query\":\"SELECT 1", "{\"query\":..." },
    };
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, MAX_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        obfuscate_json_options o = json_options(cases[i].mode);

        assert_status(obfuscate_json(sonde_str_from(cases[i].in), &o, &out), SONDE_OK);
        if (!sonde_str_eq(sonde_buf_str(&out), sonde_str_from(cases[i].want)))
            fail_msg("%s: got %s", cases[i].in, sonde_buf_cstr(&out));
    }
    sonde_buf_done(&out);
}

static void test_statements_in_documents_are_read_as_all_are(void **state)
{
    static const sonde_sql_options as_it_stands = { .mode = SONDE_SQL_OBFUSCATE_ONLY };
    static const sonde_sql_options keeping = { .flags = SONDE_SQL_KEEP_ALIAS,
                                               .literal_escapes = &literal_escapes };
    sonde_str document = SONDE_STR("{\"query\":\"SELECT  a AS b, 1\"}");
    obfuscate_json_options o = json_options(SQL_QUERY);
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, MAX_BYTES);
    o.sql = &as_it_stands;
    assert_status(obfuscate_json(document, &o, &out), SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&out), "{\"query\":\"SELECT  a AS b, ?\"}");
    o.sql = &keeping;
    assert_status(obfuscate_json(document, &o, &out), SONDE_OK);
    assert_string_equal(sonde_buf_cstr(&out), "{\"query\":\"SELECT a AS b, ?\"}");
    sonde_buf_done(&out);
}

static void test_json_is_nested_only_so_deep(void **state)
{
    static char deep[OBFUSCATE_JSON_DEPTH_MAX + 1];
    obfuscate_json_options o = json_options(PLAIN);
    sonde_buf out;

    (void)state;
    memset(deep, '[', sizeof(deep));
    sonde_buf_init(&out, MAX_BYTES);
    assert_status(obfuscate_json((sonde_str){ deep, sizeof(deep) }, &o, &out), SONDE_OK);
    assert_int_equal(out.len, OBFUSCATE_JSON_DEPTH_MAX + 1 + 3);
    assert_true(sonde_str_ends(sonde_buf_str(&out), SONDE_STR("[...")));
    sonde_buf_done(&out);
}

static void test_urls_lose_what_is_asked_for(void **state)
{
    enum { NONE = 0, QUERY = OBFUSCATE_URL_QUERY, DIGITS = OBFUSCATE_URL_PATH_DIGITS };
    static const struct {
        unsigned what;
        const char *in, *want; /* NULL: unchanged */
    } cases[] = {
        { NONE, "http://u:p@h/a?b=1", "http://h/a?b=1" },
        { NONE, "http://u@h:80", "http://h:80" },
        { NONE, "//u:p@h/a", "//h/a" },
        { NONE, "http://a@b@h/", "http://h/" },
        { NONE, "http://u:p@[::1]:80/x", "http://[::1]:80/x" },
        { NONE, "http://h/a@b", NULL },
        { NONE, "mailto:a@b", NULL },
        { NONE, "http://h/a?b=1", NULL },
        { NONE, "/a@b", NULL },
        { NONE, "http://u:p w@h/", NULL }, /* not parsable */
        { NONE, "", NULL },
        { QUERY, "http://h/p?x=1#f", "http://h/p?#f" },
        { QUERY, "http://h/p?x=1#", "http://h/p?" }, /* with what goes, an empty fragment */
        { 0, "http://u@h/p#", "http://h/p" },
        { QUERY, "http://h/p?", NULL },
        { QUERY, "http://h/p#f?x", NULL },
        { QUERY, "http://u:p@h/p1?x=1", "http://h/p1?" },
        { DIGITS, "http://h/users/42/v2/list", "http://h/users/?/?/list" },
        { DIGITS, "http://h1:8080/a/b/", NULL },
        { DIGITS, "/1", "/?" },
        { DIGITS, "1/", "?/" },
        { DIGITS, "/%31", "/?" },
        { DIGITS, "/%41", NULL },
        { DIGITS, "/a?b=1", NULL },
        { QUERY | DIGITS, "/a/b1/c?q=2", "/a/?/c?" },
        { QUERY, "http://[::1", "?" },
        { QUERY, "http://h:x/", "?" },
        { QUERY, "http://h ost/", "?" },
        { QUERY, "http://h/%zz", "?" },
        { QUERY, "http://h/#%z", "?" },
        { QUERY, "http://%41/", "?" },
        { QUERY, ":x", "?" },
        { QUERY, "1a:b", "?" },
        { QUERY, "a:b", NULL },
        { QUERY, "http://h/\n", "?" },
        { QUERY, "http://h/a b", NULL },
        { DIGITS, "", NULL },
    };
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, MAX_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool changed = obfuscate_url(sonde_str_from(cases[i].in), cases[i].what, &out);

        if (changed != (cases[i].want != NULL) ||
            (changed && !sonde_str_eq(sonde_buf_str(&out), sonde_str_from(cases[i].want))))
            fail_msg("%s: got %s", cases[i].in, changed ? sonde_buf_cstr(&out) : "(unchanged)");
    }
    sonde_buf_done(&out);
}

static void test_redis_arguments_that_are_values_go(void **state)
{
    static const char *const cases[][2] = {
        { "SET sess:1 \"a b\" EX 60", "SET sess:1 ? EX 60" },
        { "HMSET h f1 v1 f2 v2", "HMSET h f1 ? f2 ?" },
        { "hset h f1 v1 f2 v2 f3", "hset h f1 ? f2 ? f3" },
        { "ZADD z NX 1 one 2 two", "ZADD z NX 1 ? 2 ?" },
        { "ZADD z GT 1 a", "ZADD z GT ? a" },
        { "ZADD z NX CH INCR 1 a", "ZADD z NX CH INCR 1 ?" },
        { "ZADD z", "ZADD z" },
        { "GEOADD g 13.3 38.1 Rome", "GEOADD g 13.3 38.1 ?" },
        { "GEOADD g 1 2 a 3 4 b", "GEOADD g 1 2 ? 3 4 ?" },
        { "SADD s a b c", "SADD s ?" },
        { "SADD s", "SADD s" },
        { "ACL SETUSER bob on >pw", "ACL SETUSER ?" },
        { "ACL LIST", "ACL LIST" },
        { "AUTH secret", "AUTH ?" },
        { "AUTH user secret", "AUTH ?" },
        { "HELLO 3 AUTH u p", "HELLO ?" },
        { "MIGRATE h 6379 k", "MIGRATE ?" },
        { "CONFIG GET x", "CONFIG GET x" },
        { "CONFIG SET requirepass x", "CONFIG SET requirepass ?" },
        { "APPEND k v", "APPEND k ?" },
        { "LREM k 1 v", "LREM k 1 ?" },
        { "LINSERT k BEFORE p v", "LINSERT k BEFORE p ?" },
        { "MSET a 1 b 2", "MSET a ? b ?" },
        { "BITFIELD k GET u8 0 SET u8 0 1", "BITFIELD k GET u8 0 SET u8 0 ?" },
        { "BITFIELD k SET u8 0 1 SET u8 8 2", "BITFIELD k SET u8 0 ? SET u8 8 2" },
        { "BITFIELD SET GET u8 0", "BITFIELD SET GET u8 0" },
        { "GET k", "GET k" },
        { "PING", "PING" },
        { "SET k v\nGET k\nSET l w", "SET k ?\nGET k\nSET l ?" },
        { "MULTI\n\n  SET k v \n", "MULTI\nSET k ?" },
        { "MULTI\n \tSET k v\n \r\nSET l w", "MULTI\nSET k ?\nSET l ?" },
        { "SET k \"a\nb\" x", "SET k ? x" },
        { "SET k \"a\\\" b\" x", "SET k ? x" },
        { "SET   k    v", "SET k ?" },
        { "SET k \"open", "SET k ?" },
        { "", "" },
        { " \n ", "" },
    };
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, MAX_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_status(obfuscate_redis_arguments(sonde_str_from(cases[i][0]), &out), SONDE_OK);
        if (!sonde_str_eq(sonde_buf_str(&out), sonde_str_from(cases[i][1])))
            fail_msg("%s: got %s", cases[i][0], sonde_buf_cstr(&out));
    }
    sonde_buf_done(&out);
}

static void test_all_redis_arguments_become_one(void **state)
{
    static const char *const cases[][2] = {
        { "GET k\nSET a b", "GET ?" },
        { "SET k v", "SET ?" },
        { "PING", "PING" },
        { "CONFIG SET a b", "CONFIG SET ?" },
        { "config rewrite", "config rewrite ?" },
        { "CONFIG HELP", "CONFIG ?" },
        { "BITFIELD k GET u8 0 SET u8 0 1", "BITFIELD ? GET ? SET ?" },
        { "bitfield k incrby i5 100 1", "bitfield ? incrby ?" },
        { "\t ", "" },
    };
    sonde_buf out;

    (void)state;
    sonde_buf_init(&out, MAX_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_status(obfuscate_redis_all_arguments(sonde_str_from(cases[i][0]), &out), SONDE_OK);
        if (!sonde_str_eq(sonde_buf_str(&out), sonde_str_from(cases[i][1])))
            fail_msg("%s: got %s", cases[i][0], sonde_buf_cstr(&out));
    }
    sonde_buf_done(&out);
}

static void test_memcached_keeps_its_command(void **state)
{
    static const char *const cases[][2] = {
        { "set k 0 60 5\r\nhello", "set k 0 60 5" },
        { " get k ", "get k" },
        { "get k\nx", "get k\nx" },
        { "\r\nx", "" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_true(sonde_str_eq(obfuscate_memcached(sonde_str_from(cases[i][0])),
                                 sonde_str_from(cases[i][1])));
}

static void test_cards_are_known_by_their_numbers(void **state)
{
    static const struct {
        const char *value;
        bool is_card, with_luhn;
    } cases[] = {
        { "4532 0151 1283 0366", true, true },
        { "378282246310005", true, true },
        { "6011-1111-1111-1117", true, true },
        { "411111111111", true, false },
        { "4532015112830367", true, false },
        { "4111111111111111", true, true },
        { "41111111111", false, false },
        { "41111111111111111", false, false },
        { "9111111111111111", false, false },
        { "2721000000000000", false, false },
        { "2720990000000007", true, true },
        { "2221000000000009", true, true },
        { "2220990000000000", false, false },
        { "abc4111111111111111", false, false },
        { "4111111111111111x", false, false },
        { "", false, false },
        { "            ", false, false },
        { "- 4111111111111111", true, true },
        { "5019000000000000", true, false },
        { "5500005555555559", true, true },
        { "3000000000000000", true, false },
        { "3060000000000000", false, false },
        { "3530111333300000", true, true },
        { "3527000000000000", true, false }, /* 35 is enough */
        { "0000000000000000", false, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_str v = sonde_str_from(cases[i].value);

        if (obfuscate_is_card(v, false) != cases[i].is_card)
            fail_msg("%s without Luhn", cases[i].value);
        if (obfuscate_is_card(v, true) != cases[i].with_luhn)
            fail_msg("%s with Luhn", cases[i].value);
    }
}

static void test_some_tags_are_not_looked_at_for_cards(void **state)
{
    (void)state;
    assert_true(obfuscate_is_card_exempt(SONDE_STR("_dd.x")));
    assert_true(obfuscate_is_card_exempt(SONDE_STR("account_id")));
    assert_true(obfuscate_is_card_exempt(SONDE_STR("sql.query")));
    assert_false(obfuscate_is_card_exempt(SONDE_STR("card")));
    assert_false(obfuscate_is_card_exempt(SONDE_STR("")));
}

/* Any text of bytes that mean something, three ways. */
static void test_what_comes_out_stays_so(void **state)
{
    static const char alphabet[] = "{}[]\",:\\ \n\tabtfn0129-.eu?@/%#SETGET\xc3\xa9";
    obfuscate_json_options o = json_options(PLAIN);
    sonde_rng rng;
    sonde_buf once, twice;

    (void)state;
    sonde_rng_seed(&rng, 7);
    sonde_buf_init(&once, MAX_BYTES);
    sonde_buf_init(&twice, MAX_BYTES);
    for (int round = 0; round < 20000; round++) {
        char text[48];
        size_t len = sonde_rng_next(&rng) % sizeof(text);
        sonde_str in = { text, len };

        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[sonde_rng_next(&rng) % (sizeof(alphabet) - 3)];
        assert_status(obfuscate_json(in, &o, &once), SONDE_OK);
        assert_true(once.len <= 3 * len + 3);
        if (!sonde_str_ends(sonde_buf_str(&once), SONDE_STR("..."))) {
            assert_status(obfuscate_json(sonde_buf_str(&once), &o, &twice), SONDE_OK);
            assert_true(sonde_str_eq(sonde_buf_str(&once), sonde_buf_str(&twice)));
        }
        assert_status(obfuscate_redis_arguments(in, &once), SONDE_OK);
        assert_true(once.len <= len);
        assert_status(obfuscate_redis_arguments(sonde_buf_str(&once), &twice), SONDE_OK);
        assert_true(sonde_str_eq(sonde_buf_str(&once), sonde_buf_str(&twice)));
        if (obfuscate_url(in, OBFUSCATE_URL_QUERY | OBFUSCATE_URL_PATH_DIGITS, &once))
            assert_true(once.len <= len + 1);
        if (obfuscate_url(in, OBFUSCATE_URL_QUERY, &once))
            assert_false(obfuscate_url(sonde_buf_str(&once), OBFUSCATE_URL_QUERY, &twice));
    }
    sonde_buf_done(&once);
    sonde_buf_done(&twice);
}

static sonde_status obfuscate_once(void *user)
{
    obfuscate_json_options o = json_options(SQL_QUERY);
    sonde_str document = SONDE_STR("{\"query\":\"SELECT 'a\\\\b'\",\"b\":[1,2]}");
    sonde_status status;
    sonde_buf out;

    (void)user;
    sonde_buf_init(&out, MAX_BYTES);
    status = obfuscate_json(document, &o, &out);
    if (status == SONDE_OK)
        status = obfuscate_redis_arguments(SONDE_STR("SET a b"), &out);
    if (status == SONDE_OK)
        status = obfuscate_redis_all_arguments(SONDE_STR("SET a b"), &out);
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
        cmocka_unit_test(test_documents_keep_their_keys),
        cmocka_unit_test(test_statements_in_documents_are_read_as_all_are),
        cmocka_unit_test(test_json_is_nested_only_so_deep),
        cmocka_unit_test(test_urls_lose_what_is_asked_for),
        cmocka_unit_test(test_redis_arguments_that_are_values_go),
        cmocka_unit_test(test_all_redis_arguments_become_one),
        cmocka_unit_test(test_memcached_keeps_its_command),
        cmocka_unit_test(test_cards_are_known_by_their_numbers),
        cmocka_unit_test(test_some_tags_are_not_looked_at_for_cards),
        cmocka_unit_test(test_what_comes_out_stays_so),
        cmocka_unit_test(test_obfuscating_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("obfuscators", tests, NULL, NULL);
}
