/* Command lines: options become variables before the process's own; mistakes are told apart. */
#include "support/test.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "base/log.h"

static const cli_option options[] = {
    { 'c', "config", NULL, NULL },
    { 'p', "port", "DD_APM_RECEIVER_PORT", NULL },
    { 0, "no-local", "SONDE_LOCAL", "false" },
    { 0, "socket", "DD_APM_RECEIVER_SOCKET", NULL },
};

static const command fake = {
    .name = "fake", .summary = "summary", .help = "help text\n", CLI_OPTIONS(options)
};

static const cli_option options_before_a_program[] = {
    { 'o', "output", NULL, NULL },
    { 0, CLI_COMMAND, NULL, "COMMAND" },
};

static const command runs_programs = { .name = "runs",
                                       .summary = "summary",
                                       .help = "help text\n",
                                       CLI_OPTIONS(options_before_a_program) };

static bool parse_as(const command *c, const char *const *words, cli_line *line, int *code)
{
    static char *argv[12]; /* `rest` is a view of it */
    int argc = 0;

    memset(argv, 0, sizeof(argv));
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    optind = 0; /* getopt keeps its place between calls */
    return cli_parse(c, argc, argv, line, code);
}

static bool parse(const char *const *words, cli_line *line, int *code)
{
    return parse_as(&fake, words, line, code);
}

static void quiet_log(void *user, sonde_log_level level, const char *line, size_t len)
{
    (void)user, (void)level, (void)line, (void)len;
}

static void test_options_become_variables(void **state)
{
    const char *const words[] = { "fake", "-p", "9000", "--no-local", "--config=/x", NULL };
    cli_line line;
    int code = -1;

    (void)state;
    assert_true(parse(words, &line, &code));
    assert_int_equal(line.variables_len, 2);
    assert_string_equal(line.variables[0], "DD_APM_RECEIVER_PORT=9000");
    assert_string_equal(line.variables[1], "SONDE_LOCAL=false");
    assert_string_equal(line.values[0], "/x");
    assert_null(line.values[3]);
    cli_line_done(&line);
}

static void test_mistakes_end_with_two_and_help_with_zero(void **state)
{
    static const struct {
        const char *words[4];
        int code;
    } cases[] = {
        { { "fake", "--help" }, EXIT_DONE },      { { "fake", "-h" }, EXIT_DONE },
        { { "fake", "--nonsense" }, EXIT_USAGE }, { { "fake", "-p" }, EXIT_USAGE },
        { { "fake", "word" }, EXIT_USAGE },       { { "fake", "--no-local=1" }, EXIT_USAGE },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        cli_line line;
        int code = -1;

        if (parse(cases[i].words, &line, &code) || code != cases[i].code)
            fail_msg("%s: code %d", cases[i].words[1], code);
        cli_line_done(&line);
    }
}

static void test_all_words_from_the_program_on_are_the_programs(void **state)
{
    static const struct {
        const char *words[8], *rest[4];
        bool has_output;
    } cases[] = {
        { { "runs", "-o", "x", "prog", "-o", "y" }, { "prog", "-o", "y" }, true },
        { { "runs", "-o", "x", "--", "prog", "--help" }, { "prog", "--help" }, true },
        { { "runs", "--", "-prog" }, { "-prog" }, false },
        { { "runs", "prog", "--", "a" }, { "prog", "--", "a" }, false },
        { { "runs" }, { NULL }, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cli_line line;
        int code = -1;

        assert_true(parse_as(&runs_programs, cases[i].words, &line, &code));
        assert_int_equal(line.values[0] != NULL, cases[i].has_output);
        for (size_t k = 0; k == 0 || cases[i].rest[k - 1]; k++) {
            if (cases[i].rest[k])
                assert_string_equal(line.rest[k], cases[i].rest[k]);
            else
                assert_null(line.rest[k]);
        }
        cli_line_done(&line);
    }
}

static void
test_the_command_line_wins_over_the_environment_and_the_last_option_over_the_first(void **state)
{
    const char *const words[] = { "fake", "-p", "9000", "--port", "9001", "--socket", "", NULL };
    char *const environment[] = { (char[]){ "DD_APM_RECEIVER_PORT=1" }, (char[]){ "DD_ENV=prod" },
                                  NULL };
    char **before = environ;
    cli_line line;
    agent_config *c;
    int code;

    (void)state;
    assert_true(parse(words, &line, &code));
    environ = (char **)(uintptr_t)environment;
    sonde_log_set_sink(quiet_log, NULL);
    c = cli_config(NULL, &line);
    sonde_log_set_sink(NULL, NULL);
    environ = before;

    assert_non_null(c);
    assert_int_equal(c->receiver_port, 9001);
    assert_int_equal(c->receiver_socket.len, 0);
    assert_int_equal(c->env.len, 4);
    config_put(c);
    cli_line_done(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_become_variables),
        cmocka_unit_test(test_all_words_from_the_program_on_are_the_programs),
        cmocka_unit_test(test_mistakes_end_with_two_and_help_with_zero),
        cmocka_unit_test(
            test_the_command_line_wins_over_the_environment_and_the_last_option_over_the_first),
    };

    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
