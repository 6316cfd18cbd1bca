/* test_stable_config.c - the subset of YAML, the rules of the files, and where files stand among the other
 * sources. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "libtrace/src/config.h"
#include "libtrace/src/stable_config.h"
#include "libtrace/src/yaml.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"

/* -- YAML ----------------------------------------------------------------------------------------- */

/* A tree as one line: {a=b c=[d e] f=~}. */
static void show(const sonde__yaml *node, char *out, size_t cap)
{
    size_t len = strlen(out);
    const sonde__yaml *child;

    if (node->kind == SONDE__YAML_NULL) {
        (void)snprintf(out + len, cap - len, "~");
        return;
    }
    if (node->kind == SONDE__YAML_SCALAR) {
        (void)snprintf(out + len, cap - len, "%.*s", SONDE_STR_ARG(node->text));
        return;
    }
    (void)snprintf(out + len, cap - len, node->kind == SONDE__YAML_MAP ? "{" : "[");
    for (child = node->child; child; child = child->next) {
        len = strlen(out);
        if (node->kind == SONDE__YAML_MAP)
            (void)snprintf(out + len, cap - len, "%.*s=", SONDE_STR_ARG(child->key));
        show(child, out, cap);
        len = strlen(out);
        (void)snprintf(out + len, cap - len, child->next ? " " : "");
    }
    len = strlen(out);
    (void)snprintf(out + len, cap - len, node->kind == SONDE__YAML_MAP ? "}" : "]");
}

static void test_yaml_is_read_as_the_subset_says(void **state)
{
    static const struct {
        const char *label;
        const char *in;
        const char *want; /* NULL: refused */
    } cases[] = {
        { "empty", "", "~" },
        { "comment only", "# a\n\n  # b", "~" },
        { "one scalar", "a b", "a b" },
        { "map", "a: 1\nb:  x y \nc:\n", "{a=1 b=x y c=~}" },
        { "marker", "---\na: 1\n", "{a=1}" },
        { "line ends of DOS", "a: 1\r\nb: 2\r\n", "{a=1 b=2}" },
        { "nested", "a:\n  b:\n    c: 1\n  d: 2\ne: 3", "{a={b={c=1} d=2} e=3}" },
        { "list", "- a\n- b\n-\n", "[a b ~]" },
        { "list in map", "a:\n  - b\n  - c\nd: e", "{a=[b c] d=e}" },
        { "list at the key's column", "a:\n- b\n- c\nd: e", "{a=[b c] d=e}" },
        { "maps in list", "- a: 1\n  b: 2\n- c: 3", "[{a=1 b=2} {c=3}]" },
        { "list in list", "- - a\n  - b\n- c", "[[a b] c]" },
        { "list below dash", "-\n  - a\n", "[[a]]" },
        { "flow", "a: [1, \"b, c\", {d: e, f: [g]}]", "{a=[1 b, c {d=e f=[g]}]}" },
        { "flow over lines", "a: [1,\n  2, # two\n 3]\nb: 4", "{a=[1 2 3] b=4}" },
        { "flow, comma at the end", "[a, ]", "[a]" },
        { "flow, empty", "a: []\nb: {}", "{a=[] b={}}" },
        { "flow map without values", "{a, b: , c: 1}", "{a=~ b=~ c=1}" },
        { "flow map, colon at once", "{\"a\": [b]}", "{a=[b]}" },
        { "null", "a: ~\nb: null\nc: 'null'", "{a=~ b=~ c=null}" },
        { "single quotes", "a: 'it''s: #1'", "{a=it's: #1}" },
        { "double quotes", "a: \"b\\\"\\\\\\tc\"", "{a=b\"\\\tc}" },
        { "quoted key", "\"a b\": 1\n'c': 2", "{a b=1 c=2}" },
        { "colons in a value", "a: http://h:1/x\nb: c:d", "{a=http://h:1/x b=c:d}" },
        { "hash in a value", "a: b#c # d", "{a=b#c}" },
        { "dashes", "a: -1\nb: --x", "{a=-1 b=--x}" },
        { "comments", "# x\na: # y\n  b: 1 # z\n", "{a={b=1}}" },

        { "tab as indentation", "a:\n\tb: 1", NULL },
        { "key twice", "a: 1\na: 2", NULL },
        { "key twice in flow", "{a: 1, a: 2}", NULL },
        { "anchor", "a: &x 1", NULL },
        { "alias", "a: *x", NULL },
        { "tag", "a: !!str 1", NULL },
        { "literal block", "a: |\n  x", NULL },
        { "folded block", "a: >\n  x", NULL },
        { "complex key", "? a\n: b", NULL },
        { "directive", "%YAML 1.2\n---\na: 1", NULL },
        { "two documents", "a: 1\n---\nb: 2", NULL },
        { "scalar over two lines", "a: b\n  c", NULL },
        { "map in a value", "a: b: c", NULL },
        { "list in a value", "a: - b", NULL },
        { "not closed, single", "a: 'b''", NULL },
        { "not closed, double", "a: \"b\\\"", NULL },
        { "quotes over two lines", "a: \"b\nc\"", NULL },
        { "unknown escape", "a: \"\\q\"", NULL },
        { "text behind quotes", "a: 'b' c", NULL },
        { "comment glued to quotes", "a: 'b'#c", NULL },
        { "flow not closed", "a: [1, 2", NULL },
        { "flow closed otherwise", "a: [1}", NULL },
        { "text behind flow", "a: [1] 2", NULL },
        { "indented less", "  a: 1\nb: 2", NULL },
        { "between two columns", "a:\n    b: 1\n  c: 2", NULL },
        { "map then list", "a: 1\n- b", NULL },
        { "list then map", "- b\na: 1", NULL },
        { "key without colon", "a: 1\nb", NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_arena arena;
        sonde__yaml *root = NULL;
        char out[200] = "";
        sonde_status status;

        sonde_arena_init(&arena, 1u << 20);
        status = sonde__yaml_parse(sonde_str_from(cases[i].in), &arena, &root);
        if (status == SONDE_OK)
            show(root, out, sizeof(out));
        if (status != (cases[i].want ? SONDE_OK : SONDE_ERR_SYNTAX) ||
            (cases[i].want && strcmp(out, cases[i].want) != 0))
            fail_msg("%s: %s %s", cases[i].label, sonde_status_name(status), out);
        sonde_arena_done(&arena);
    }
}

static sonde_status parse_repeated(const char *piece, size_t times)
{
    static char text[SONDE__YAML_NODES_MAX * 8];
    size_t len = strlen(piece);
    sonde_arena arena;
    sonde__yaml *root;
    sonde_status status;
    size_t i;

    for (i = 0; i < times; i++)
        memcpy(text + i * len, piece, len);
    sonde_arena_init(&arena, 1u << 20);
    status = sonde__yaml_parse((sonde_str){ text, times * len }, &arena, &root);
    sonde_arena_done(&arena);
    return status;
}

static void test_yaml_has_bounds(void **state)
{
    (void)state;
    assert_status(parse_repeated("- ", SONDE__YAML_DEPTH_MAX), SONDE_OK);
    assert_status(parse_repeated("- ", SONDE__YAML_DEPTH_MAX + 1), SONDE_ERR_TOO_BIG);
    assert_status(parse_repeated("[", SONDE__YAML_DEPTH_MAX), SONDE_ERR_TOO_BIG);
    assert_status(parse_repeated("- a\n", SONDE__YAML_NODES_MAX - 1), SONDE_OK);
    assert_status(parse_repeated("- a\n", SONDE__YAML_NODES_MAX), SONDE_ERR_TOO_BIG);
}

/* -- rules ---------------------------------------------------------------------------------------- */

static const char *look_up(void *user, const char *name)
{
    const char *const *env = (const char *const *)user;
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static const char *const environment[] = { "ROLE=web", "EMPTY=", NULL };

static const sonde__process the_process = {
    .variable = look_up,
    .user = (void *)(uintptr_t)environment,
    .language = { "c", 1 },
    .arguments = { "prog\0--mode=a\0--flag\0-x=1=2\0", 28 },
};

#define RULE(selector)                                                                             \
    "apm_configuration_default:\n  DD_ENV: d\n"                                                    \
    "apm_configuration_rules:\n- selectors:\n  - " selector "\n  configuration: {DD_ENV: r}\n"

static void test_the_first_rule_that_holds_is_layered_over_the_defaults(void **state)
{
    static const struct {
        const char *label;
        const char *in;
        const char *want; /* of DD_ENV; NULL: the file is ignored, or does not say */
    } cases[] = {
        { "empty", "", NULL },
        { "defaults", "apm_configuration_default:\n  DD_ENV: d\n", "d" },
        { "number becomes text", "apm_configuration_default: {DD_ENV: 1.50}", "1.50" },
        { "null is nothing", "apm_configuration_default: {DD_ENV: ~}", NULL },
        { "unknown members", "x: [1]\napm_configuration_default: {DD_ENV: d}", "d" },
        { "argument",
          RULE("{origin: process_arguments, key: '--mode', operator: equals, "
               "matches: [b, a]}"),
          "r" },
        { "other argument",
          RULE("{origin: process_arguments, key: '--mode', operator: equals, "
               "matches: [b]}"),
          "d" },
        { "argument without value",
          RULE("{origin: process_arguments, key: '--flag', "
               "operator: exists}"),
          "r" },
        { "first equals sign",
          RULE("{origin: process_arguments, key: '-x', operator: equals, "
               "matches: ['1=2']}"),
          "r" },
        { "no argument", RULE("{origin: process_arguments, key: '--mod', operator: exists}"), "d" },
        { "variable",
          RULE("{origin: environment_variables, key: ROLE, operator: prefix_matches, "
               "matches: [w]}"),
          "r" },
        { "variable, end",
          RULE("{origin: environment_variables, key: ROLE, "
               "operator: suffix_matches, matches: [x, eb]}"),
          "r" },
        { "variable, empty", RULE("{origin: environment_variables, key: EMPTY, operator: exists}"),
          "r" },
        { "no variable", RULE("{origin: environment_variables, key: NONE, operator: exists}"),
          "d" },
        { "language", RULE("{origin: language, operator: equals, matches: [java, c]}"), "r" },
        { "tag", "tags: {t: u}\n" RULE("{origin: tags, key: t, operator: equals, matches: [u]}"),
          "r" },
        { "unknown origin", RULE("{origin: moon, operator: exists}"), "d" },
        { "unknown operator", RULE("{origin: language, operator: likes, matches: [c]}"), "d" },
        { "all selectors",
          RULE("{origin: language, operator: exists}\n"
               "  - {origin: tags, key: t, operator: exists}"),
          "d" },
        { "no selectors", "apm_configuration_rules: [{configuration: {DD_ENV: r}}]", "r" },
        { "first rule wins",
          "apm_configuration_rules: [{selectors: [{origin: x}], configuration: {DD_ENV: 0}},"
          " {configuration: {DD_ENV: 1}}, {configuration: {DD_ENV: 2}}]",
          "1" },
        { "template",
          "apm_configuration_default: {DD_ENV: \"a-{{ environment_variables['ROLE'] }}"
          "-{{language}}-{{process_arguments['--mode']}}\"}",
          "a-web-c-a" },
        { "unresolvable", "apm_configuration_default: {DD_ENV: \"{{tags['x']}}{{y}}\"}",
          "UNDEFINEDUNDEFINED" },
        { "no template", "apm_configuration_default: {DD_ENV: \"{{ x\"}", "{{ x" },
        { "list at the top", "[a]", NULL },
        { "defaults are a list", "apm_configuration_default: [DD_ENV]", NULL },
        { "value is a list", "apm_configuration_default: {DD_ENV: [a]}", NULL },
        { "rules are a map", RULE("x") "apm_configuration_rules2: 1\n", NULL },
        { "broken below", "apm_configuration_default: {DD_ENV: d}\nx: &y\n", NULL },
        { "not UTF-8", "apm_configuration_default: {DD_ENV: \xff}", NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde__stable s;
        sonde_str got;

        if (sonde__stable_parse(sonde_str_from(cases[i].in), &the_process, &s) != SONDE_OK)
            assert_int_equal(s.len, 0);
        got = sonde__stable_get(&s, "DD_ENV");
        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s: %.*s", cases[i].label, SONDE_STR_ARG(got));
        sonde__stable_done(&s);
    }
}

static void test_settings_have_a_ceiling(void **state)
{
    char text[SONDE__STABLE_MAX * 16 + 100];
    size_t len = (size_t)snprintf(text, sizeof(text), "apm_configuration_default:\n");
    sonde__stable s;
    int i;

    (void)state;
    for (i = 0; i < SONDE__STABLE_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "  K%d: v\n", i);
    assert_status(sonde__stable_parse((sonde_str){ text, len }, &the_process, &s), SONDE_OK);
    assert_int_equal(s.len, SONDE__STABLE_MAX);
    sonde__stable_done(&s);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "  more: v\n");
    assert_status(sonde__stable_parse((sonde_str){ text, len }, &the_process, &s),
                  SONDE_ERR_TOO_BIG);
    assert_int_equal(s.len, 0);
    sonde__stable_done(&s);
}

static sonde_status parse_and_done(void *user)
{
    sonde__stable s;
    sonde_status status = sonde__stable_parse(sonde_str_from((const char *)user), &the_process, &s);

    sonde__stable_done(&s);
    return status;
}

static void test_parsing_survives_every_failing_allocation(void **state)
{
    (void)state;
    alloc_fail_each(parse_and_done, (void *)(uintptr_t) "config_id: 'x'\n" RULE(
                                        "{origin: language, operator: exists}"));
}

/* -- among the other sources ---------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_files_have_their_place_among_the_sources(void **state)
{
    static const struct {
        const char *label;
        const char *local, *env, *fleet, *option;
        const char *want;
        sonde__origin origin;
    } cases[] = {
        { "local", "l", NULL, NULL, NULL, "l", SONDE__ORIGIN_LOCAL },
        { "environment over local", "l", "DD_VERSION=e", NULL, NULL, "e", SONDE__ORIGIN_ENV },
        { "fleet over environment", "l", "DD_VERSION=e", "f", NULL, "f", SONDE__ORIGIN_FLEET },
        { "code over fleet", "l", "DD_VERSION=e", "f", "o", "o", SONDE__ORIGIN_CODE },
        { "tags under local", "l", "DD_TAGS=version:t", NULL, NULL, "l", SONDE__ORIGIN_LOCAL },
        { "nothing", NULL, NULL, NULL, NULL, "", SONDE__ORIGIN_DEFAULT },
    };
    char dir[200], local[256], fleet[256], text[300];
    size_t i;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(local, sizeof(local), "%s/local.yaml", dir);
    (void)snprintf(fleet, sizeof(fleet), "%s/fleet.yaml", dir);
    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *env[] = { cases[i].env, NULL };
        sonde_options options = { .version = cases[i].option };
        sonde__config *c;
        const sonde__setting *s;

        (void)remove(local);
        (void)remove(fleet);
        (void)snprintf(text, sizeof(text),
                       "config_id: id-l\napm_configuration_default: {DD_VERSION: %s}",
                       cases[i].local ? cases[i].local : "");
        if (cases[i].local)
            write_file(local, text);
        (void)snprintf(text, sizeof(text),
                       "config_id: id-f\napm_configuration_default: {DD_VERSION: %s}",
                       cases[i].fleet ? cases[i].fleet : "");
        if (cases[i].fleet)
            write_file(fleet, text);
        c = sonde__config_new_with_files(&options, look_up, env, local, fleet);
        assert_non_null(c);
        s = sonde__setting_of(c, offsetof(sonde__config, version));
        if (!sonde_str_eq(c->version, sonde_str_from(cases[i].want)) ||
            s->origin != cases[i].origin)
            fail_msg("%s: %.*s, origin %d", cases[i].label, SONDE_STR_ARG(c->version), s->origin);
        assert_true(sonde_str_eq(c->local_id, sonde_str_from(cases[i].local ? "id-l" : "")));
        assert_true(sonde_str_eq(c->fleet_id, sonde_str_from(cases[i].fleet ? "id-f" : "")));
        sonde__config_free(c);
    }
    temp_dir_remove(dir);
}

static void test_files_that_are_too_big_or_no_files_are_ignored(void **state)
{
    char dir[200], path[256];
    sonde__stable s;
    FILE *file;
    int i;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/big.yaml", dir);
    file = fopen(path, "w");
    assert_non_null(file);
    for (i = 0; i < (1 << 16) + 1; i++)
        assert_true(fputs("# sixteen bytes\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_status(sonde__stable_load(path, &the_process, &s), SONDE_ERR_TOO_BIG);
    sonde__stable_done(&s);
    assert_status(sonde__stable_load(dir, &the_process, &s), SONDE_ERR_SYS);
    sonde__stable_done(&s);
    (void)snprintf(path, sizeof(path), "%s/none.yaml", dir);
    assert_status(sonde__stable_load(path, &the_process, &s), SONDE_OK);
    assert_int_equal(s.len, 0);
    sonde__stable_done(&s);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_is_read_as_the_subset_says),
        cmocka_unit_test(test_yaml_has_bounds),
        cmocka_unit_test(test_the_first_rule_that_holds_is_layered_over_the_defaults),
        cmocka_unit_test(test_settings_have_a_ceiling),
        cmocka_unit_test(test_parsing_survives_every_failing_allocation),
        cmocka_unit_test(test_files_have_their_place_among_the_sources),
        cmocka_unit_test(test_files_that_are_too_big_or_no_files_are_ignored),
    };

    return cmocka_run_group_tests_name("stable_config", tests, NULL, NULL);
}
